"""Orders as far as the suppliers' answers change them."""

import datetime as dt
from collections.abc import Collection, Iterable
from decimal import Decimal

import msgspec
from sqlalchemy import and_, bindparam, literal_column, null, select, update

from prodsys import documents
from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, in_texts
from prodsys.tables import purchase_orders

read_answer = documents.reader(documents.OrderAnswer)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """An order of ours as far as the supplier's feed may change it."""

    pk: int
    id: str
    number: str
    revision: int
    partner: int | None
    delivery: str
    acceptance: str
    fulfilment: str
    their_id: str | None
    their_order_number: str
    reason: str
    trace_id: str
    change_seen: int
    newest_revision: int
    answer: int
    answered: str | None
    answered_at: dt.datetime | None
    agreed_revision: int
    agreed_answered: str | None
    agreed_net: Decimal | None
    word: str
    stood_at: str
    due_date: dt.date | None
    is_promised_late: bool
    is_partly_received: bool


_HEARD = (
    "revision", "delivery", "acceptance", "fulfilment", "their_id", "their_order_number", "reason", "change_seen", "answer", "answered",
    "answered_at", "agreed_revision", "agreed_answered", "agreed_net", "word", "stood_at", "due_date", "is_promised_late",
    "is_partly_received",
)  # fmt: skip
# By number alone: with the partner in it SQLite would rather read all of a supplier's orders.
_heard = hot(
    select(*(purchase_orders.c[field] for field in Heard.__struct_fields__))
    .where(in_texts(purchase_orders.c.number, "numbers"))
    .order_by(purchase_orders.c.pk)
    .with_for_update(),
    Heard,
)
_hear = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        {"version": purchase_orders.c.version + 1, "changed_at": bindparam("at", type_=Instant())}
        | {column: bindparam(f"new_{column}", type_=purchase_orders.c[column].type) for column in _HEARD}
    )
)


def heard_of(tx: Tx, partner: int, numbers: Collection[str]) -> dict[str, Heard]:
    """Orders to this supplier by their numbers; nobody else changes them until this unit ends."""
    found = _heard.all(tx, {"numbers": numbers}) if numbers else []
    return {row.number: row for row in found if row.partner == partner}


_heard_one = hot(
    select(*(purchase_orders.c[field] for field in Heard.__struct_fields__)).where(purchase_orders.c.pk == bindparam("order_pk")), Heard
)


def heard(tx: Tx, pk: int) -> Heard:
    """One order as the feed may change it. Raises LookupError."""
    row = _heard_one.first(tx, {"order_pk": pk})
    if row is None:
        raise LookupError(pk)
    return row


def hear(tx: Tx, changed: Iterable[Heard]) -> None:
    """Keep what the supplier said."""
    at = now()
    _hear.many(tx, [{"order_pk": one.pk, "at": at} | {f"new_{field}": getattr(one, field) for field in _HEARD} for one in changed])


def forget_positions(tx: Tx, partner: int) -> None:
    """Let every position of a supplier's feed count as unseen: it has begun a new life."""
    seen = and_(purchase_orders.c.partner == partner, purchase_orders.c.change_seen > 0)
    # Its answers are counted anew as well.
    tx.execute(update(purchase_orders).where(seen).values(change_seen=0, answer=0))


_lost = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        acceptance="open",
        answer=0,
        answered=null(),
        answered_at=null(),
        agreed_revision=0,
        agreed_answered=null(),
        agreed_net=null(),
        word="",
        stood_at="",
        change_seen=0,
        their_order_number="",
        is_promised_late=literal_column("false"),
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)


def lose(tx: Tx, pks: Collection[int]) -> None:
    """The supplier no longer knows what he answered to these orders; they are open again, until he answers anew."""
    at = now()
    _lost.many(tx, [{"order_pk": pk, "at": at} for pk in pks])
