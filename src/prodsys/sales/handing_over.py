"""What was agreed with a customer, as our own systems are handed it: by themselves when it can no longer be undone, or when they ask."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from prodsys.connections import events
from prodsys.connections.books import Book, Leaving, Stretch, contact_card
from prodsys.contacts import store as contacts
from prodsys.documents import (
    AnswerLine,
    ContactCard,
    Exact,
    LineAction,
    Order,
    OrderLine,
    SalesOrder,
    TradeLine,
    canonical,
    read_exact,
)
from prodsys.exchange.courier import Kind
from prodsys.exchange.engine import Outcome, Placed
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit.db import Tx
from prodsys.kit.telemetry import Trace
from prodsys.sales import store
from prodsys.sales.model import News

AGREED = frozenset({"order.approved", "order.agreed"})
_read = msgspec.json.Decoder(News, dec_hook=read_exact).decode


class HandingOver:
    """Promises of kind `answer`, and beside them those to our own systems: whoever is told first, both are told in one transaction."""

    def __init__(self, answers: Kind) -> None:
        self._answers = answers

    async def deliver(self, promises: Sequence[Claimed]) -> list[Outcome]:
        """As answers are delivered."""
        return await self._answers.deliver(promises)

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
        """As answers are settled; an order that is now agreed is promised to every system a flow by event brings orders to."""
        self._answers.settle(tx, ended)
        for claimed, outcome in ended:
            if isinstance(outcome, Placed) and _read(claimed.document).kind in AGREED:
                hand_over(tx, claimed.subject)


def hand_over(tx: Tx, order_id: str) -> int:
    """Promise an agreed order to our own systems; to how many."""
    row = store.orders.draft(tx, order_id)
    if row is None or row.order_number is None:
        return 0
    trace = Trace(row.trace_id, row.trace_id[:16])
    return events.happened(tx, "orders", row.order_number, lambda: sales_order(tx, row), trace)


def book() -> Book:
    """Our sales orders as flows read them: the agreed ones, in the order of our numbers."""
    return Book(read=_stretch, one=_one)


def sales_order(tx: Tx, row: Any) -> SalesOrder:
    """An order as it was agreed: its number is ours, the customer's own stands beside it."""
    order: Order = store.orders.read_order(row.document)
    answer = store.answers.answered(tx, row.pk, row.answer) if row.answer else None
    said = {line.line_id: line for line in answer.lines} if answer is not None else {}
    ours = {kept.line_id: kept.our_number for kept in store.orders.lines(tx, row.pk)}
    lines = [made for line in order.lines if (made := _line(line, said.get(line.line_id), ours.get(line.line_id) or "")) is not None]
    charges = [
        TradeLine(line_id=f"charge-{at}", kind="charge", description=charge.description, quantity=Exact(1), unit_price=Exact(charge.amount))
        for at, charge in enumerate(order.charges, 1)
    ]
    return SalesOrder(
        number=row.order_number,
        date=order.date,
        currency=order.currency,
        customer=_customer(tx, row.contact_id, order),
        deliver_to=order.deliver_to,
        requested_date=order.requested_date,
        customer_reference=order.number,
        status=row.acceptance,
        payment_terms=order.payment_terms,
        delivery_terms=order.delivery_terms,
        note=order.note,
        lines=lines + charges,
    )


def _line(line: OrderLine, said: AnswerLine | None, ours: str) -> TradeLine | None:
    if line.kind == "text":
        return TradeLine(line_id=line.line_id, kind="text", description=line.description or line.note)
    if said is not None and said.action is LineAction.REJECTED:
        return None
    quantity: Decimal | None = line.quantity
    price, date, number = line.unit_price, line.requested_date, ours or line.article_number
    if said is not None:
        if said.deliveries:
            quantity = sum((one.quantity for one in said.deliveries), Decimal(0))
            date = said.deliveries[0].date or date
        price = said.unit_price if said.unit_price is not None else price
        number = said.substitute.article_number if said.substitute is not None else number
    return TradeLine(
        line_id=line.line_id,
        article_number=number,
        gtin=line.gtin,
        description=line.description,
        quantity=None if quantity is None else Exact(canonical(quantity)),
        unit=line.unit,
        unit_price=None if price is None else Exact(price),
        price_quantity=line.price_quantity,
        discount_percent=line.discount_percent,
        requested_date=date,
        note=line.note,
    )


def _customer(tx: Tx, contact: str | None, order: Order) -> ContactCard:
    stored = contacts.by_id(tx, contact) if contact else None
    if stored is not None:
        # By its id, so that the contact flow and the order flow mean the same record there.
        return msgspec.structs.replace(contact_card(stored), attributes={"id": stored.id}, is_customer=True)
    buyer = order.buyer
    names = ("name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons")
    return ContactCard(**{name: getattr(buyer, name) for name in names})


def _stretch(tx: Tx, position: str, limit: int) -> Stretch:
    # Where the next reading begins, once something was left out, and behind what this one has come to.
    first, _, after = position.partition("|")
    rows = store.orders.agreed_from(tx, first, after, limit)
    leaving = [Leaving(ours=row.order_number, document=sales_order(tx, row)) for row in rows]
    left_out = (first if after else "") or store.orders.first_undecided(tx, first, after)
    is_last, after = len(rows) < limit, rows[-1].order_number if rows else after
    onwards = f"{left_out}|" if is_last and left_out else f"{left_out}|{after}" if after else position
    return Stretch(leaving=leaving, position=onwards, is_last=is_last)


def _one(tx: Tx, number: str) -> SalesOrder | None:
    row = store.orders.by_order_number(tx, number)
    return None if row is None else sales_order(tx, row)
