"""What our yes, no or cancellation of an order came to."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, null, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, in_texts
from prodsys.purchasing.store.orders import with_partner
from prodsys.tables import partners, purchase_orders

_carried = hot(
    select(
        purchase_orders.c.pk, purchase_orders.c.id, purchase_orders.c.number, purchase_orders.c.revision, purchase_orders.c.partner,
        partners.c.name.label("partner_name"), purchase_orders.c.acceptance, purchase_orders.c.agreed_revision,
        purchase_orders.c.word, purchase_orders.c.stood_at, purchase_orders.c.reason,
        purchase_orders.c.trace_id, purchase_orders.c.answered,
    )
    .select_from(with_partner)
    .where(in_texts(purchase_orders.c.id, "ids"))
    .order_by(purchase_orders.c.pk)
)  # fmt: skip
_end_word = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"), purchase_orders.c.word == bindparam("promise"))
    .values(
        acceptance=bindparam("ends"),
        agreed_revision=bindparam("agreed"),
        reason=bindparam("why"),
        due_date=case((bindparam("is_over"), null()), else_=purchase_orders.c.due_date),
        word="",
        stood_at="",
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)


_agree = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(agreed_answered=bindparam("answer_agreed"), agreed_net=bindparam("net_agreed", type_=purchase_orders.c.agreed_net.type))
)


def carried(tx: Tx, ids: Collection[str]) -> dict[str, Any]:
    """Orders a word of ours was about, by their ids."""
    return {row.id: row for row in _carried.all(tx, {"ids": ids})} if ids else {}


def agree(tx: Tx, agreed: Mapping[int, tuple[str | None, Decimal]]) -> None:
    """Keep what is agreed of orders, by their keys: the answer that was accepted, and what the order comes to by it."""
    _agree.many(tx, [{"order_pk": pk, "answer_agreed": answer, "net_agreed": amount} for pk, (answer, amount) in agreed.items()])


class WordEnded(msgspec.Struct, frozen=True, kw_only=True):
    """What a word of ours came to; `promise` is the one that carried it, and another on its way since then changes nothing."""

    order: int
    promise: str
    acceptance: str
    agreed_revision: int
    reason: str
    is_over: bool = False


def end(tx: Tx, ended: Sequence[WordEnded]) -> None:
    """Write down what words of ours came to."""
    at = now()
    _end_word.many(
        tx,
        [
            {
                "order_pk": one.order, "promise": one.promise, "ends": one.acceptance, "agreed": one.agreed_revision, "why": one.reason,
                "is_over": one.is_over, "at": at,
            }
            for one in ended
        ],
    )  # fmt: skip
