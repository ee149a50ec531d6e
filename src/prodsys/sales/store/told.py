"""What each buyer has been told of his orders, change by change."""

from typing import Any

from sqlalchemy import bindparam, case, func, insert, select, update

from prodsys.documents import Acceptance, Change, Delivery, Fulfilment, Validation, reader, write
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot
from prodsys.sales.model import News, PartnerOrder
from prodsys.sales.store.answers import answered
from prodsys.sales.store.orders import read_receipt
from prodsys.sales.store.views import by_partner
from prodsys.tables import partners, sales_changes, sales_orders

_read_change = reader(Change)
_next_position = hot(
    update(partners)
    .where(partners.c.pk == bindparam("whose"))
    .values(feed_position=partners.c.feed_position + 1)
    .returning(partners.c.feed_position)
)


def of_partner(tx: Tx, partner: int, *, order_id: str | None = None, number: str | None = None, revision: int | None = None,
               acceptance: str | None = None, before: int | None = None, limit: int = 50) -> list[tuple[int, PartnerOrder]]:  # fmt: skip
    """A partner's own orders, newest first; never anybody else's."""
    query = select(sales_orders).where(by_partner, sales_orders.c.partner == partner)
    if order_id is not None:
        query = query.where(sales_orders.c.id == order_id)
    if number is not None:
        query = query.where(sales_orders.c.number == number)
    if revision is not None:
        query = query.where(sales_orders.c.revision == revision)
    if acceptance is not None:
        query = query.where(_acceptance_as_told.in_([acceptance]))
    if before is not None:
        query = query.where(sales_orders.c.pk < before)
    rows = tx.execute(query.order_by(sales_orders.c.pk.desc()).limit(limit)).all()
    return [(row.pk, _as_partner_sees(row)) for row in rows]


_OWN_WORDS = (Acceptance.AGREED.value, Acceptance.DISPUTED.value, Acceptance.CANCEL_REQUESTED.value)
"""What an order is by its buyer's own word, which nobody has to tell him."""
_acceptance_as_told = case((sales_orders.c.acceptance.in_(_OWN_WORDS), sales_orders.c.acceptance), else_=sales_orders.c.told_acceptance)


def acceptance_as_told(row: Any) -> Acceptance:
    """How an order stands for its buyer: by his own word, or as the feed has told him."""
    return Acceptance(row.acceptance if row.acceptance in _OWN_WORDS else row.told_acceptance)


def _as_partner_sees(row: Any) -> PartnerOrder:
    return PartnerOrder(
        id=row.id,
        number=row.number,
        revision=row.revision,
        delivery=Delivery(row.delivery),
        validation=Validation(row.validation),
        acceptance=acceptance_as_told(row),
        fulfilment=Fulfilment(row.told_fulfilment),
        received_at=row.received_at,
        trace_id=row.trace_id,
        receipt=read_receipt(row.receipt),
        answer=row.told_answer,
        order_number=row.told_order_number,
        reason=row.told_reason or None,
    )


def publish(tx: Tx, row: Any, news: News) -> int:
    """Put what happened to an order at the end of its partner's feed; its position there.

    The position comes from the partner's own row, so positions have no gaps and appear in the order they are taken (rulings.md, 8).
    A change carries the states of its own moment: those told before it, and what it moved. What happened since stands in later changes.
    """
    taken = _next_position.first(tx, {"whose": row.partner})
    assert taken is not None  # noqa: S101  # the order's partner exists by foreign key
    at = now()
    acceptance, fulfilment = news.acceptance or row.told_acceptance, news.fulfilment or row.told_fulfilment
    answer, order_number = news.answer or row.told_answer, news.order_number or row.told_order_number
    is_beside = not news.acceptance
    document = Change(
        position=taken[0],
        kind=news.kind,
        at=at,
        id=row.id,
        number=row.number,
        revision=row.revision,
        delivery=Delivery(row.delivery),
        validation=Validation(row.validation),
        acceptance=Acceptance(acceptance),
        fulfilment=Fulfilment(fulfilment),
        order_number=order_number,
        reason=news.reason or (row.told_reason if is_beside else "") or None,
        answer=answer,
        answered=answered(tx, row.pk, news.answer) if news.answer else None,
        despatch=news.despatch,
        said=news.said,
    )
    tx.execute(
        insert(sales_changes).values(
            partner=row.partner, position=taken[0], order=row.pk, kind=news.kind, document=write(document).decode(), at=at
        )
    )
    told = {"told_acceptance": acceptance, "told_fulfilment": fulfilment, "told_answer": answer, "told_order_number": order_number}
    tx.execute(update(sales_orders).where(sales_orders.c.pk == row.pk).values(told | {"told_reason": document.reason or ""}))
    if news.older:
        over = {"told_acceptance": acceptance, "told_reason": news.reason} if acceptance == Acceptance.CANCELLED else {}
        given_up = over or {"told_order_number": None}
        tx.execute(update(sales_orders).where(sales_orders.c.id == news.older).values(given_up))
    return int(taken[0])


def changes(tx: Tx, partner: int, after: int, limit: int) -> list[Change]:
    """The feed of a partner after a position."""
    query = (
        select(sales_changes.c.document)
        .where(sales_changes.c.partner == partner, sales_changes.c.position > after)
        .order_by(sales_changes.c.position)
        .limit(limit)
    )
    return [_read_change(document) for document in tx.execute(query).scalars()]


def feed_end(tx: Tx, partner: int) -> int:
    """The newest position of a partner's feed."""
    return int(tx.execute(select(partners.c.feed_position).where(partners.c.pk == partner)).scalar_one())


def feed_purged(tx: Tx, partner: int) -> int:
    """Up to which position of a partner's feed nothing is left."""
    lowest = tx.execute(select(func.min(sales_changes.c.position)).where(sales_changes.c.partner == partner)).scalar()
    return feed_end(tx, partner) if lowest is None else int(lowest) - 1
