"""What is still to be fetched from the shelves for an order."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from prodsys import errors
from prodsys.articles.store import finding
from prodsys.company import store as company
from prodsys.documents import AnswerLine, DeliveryPlace, Exact, LineAction, OrderLine
from prodsys.kit.db import Tx
from prodsys.papers.picking import Pick, PickingList
from prodsys.sales import store, terms
from prodsys.sales.despatching import promised


def to_pick(tx: Tx, order_id: str) -> tuple[PickingList, str, str]:
    """What was promised of an order and has not gone; our name, and the country we read in.

    Raises NotFound, WrongState for an order that was not agreed or of which all has gone.
    """
    row, ours = store.orders.draft(tx, order_id), company.card(tx)
    if row is None:
        raise errors.NotFound
    terms.must("despatch", row.acceptance, row.number)
    order = store.orders.read_order(row.document)
    answered = store.answers.answered(tx, row.pk, row.answer) if row.answer else None
    said = {line.line_id: line for line in answered.lines} if answered else {}
    due = promised(order, list(said.values()))
    kept = {line.line_id: line for line in store.orders.lines(tx, row.pk)}
    if row.order_number is None:
        raise errors.WrongState(f"Revision {row.revision} of order {row.number} has no order number: it is not what was agreed.")
    if row.fulfilment == "shipped":
        raise errors.WrongState(f"All of order {row.number} has been despatched.")
    offered = finding.by_numbers(tx, {line.substitute.article_number for line in said.values() if line.substitute is not None})
    names = {number: article.name for number, article in offered.items()}
    lines = [
        _pick(line, kept[line.line_id].our_number, kept[line.line_id].our_name, left, said.get(line.line_id), names)
        for line in order.lines
        if line.kind == "article" and (left := due[line.line_id] - kept[line.line_id].despatched) > 0
    ]
    if not lines:
        raise errors.WrongState(f"Nothing of order {row.number} was promised.")
    wanted = PickingList(
        order_number=row.order_number,
        number=row.number,
        customer=order.buyer.name,
        deliver_to=order.deliver_to or DeliveryPlace(name=order.buyer.name, address=order.buyer.address),
        delivery_terms=f"{order.delivery_terms} {order.delivery_place}".strip(),
        note=order.note,
        lines=lines,
    )
    return wanted, "" if ours is None else ours.name, "" if ours is None else ours.card.address.country


def _pick(
    ordered: OrderLine, number: str | None, name: str | None, left: Decimal, said: AnswerLine | None, names: Mapping[str, str]
) -> Pick:
    instead = said.substitute if said is not None and said.action is LineAction.CHANGED else None
    return Pick(
        line_id=ordered.line_id,
        article_number=instead.article_number if instead else number or ordered.article_number,
        name=(instead.name or names.get(instead.article_number, "")) if instead else name or ordered.description,
        quantity=Exact(left),
        unit=(instead.unit if instead else "") or ordered.unit,
        date=_day(ordered, said),
        deliver_to=ordered.deliver_to,
        note=ordered.note,
    )


def _day(ordered: OrderLine, said: AnswerLine | None) -> dt.date | None:
    days = [one.date for one in said.deliveries if one.date is not None] if said is not None else []
    return min(days, default=ordered.requested_date)
