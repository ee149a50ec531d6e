"""What was ordered beside what was answered, line by line, and what of it is still to come."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.documents import (
    Acceptance,
    AnswerCode,
    AnswerLine,
    Despatch,
    Exact,
    LineAction,
    Order,
    OrderAnswer,
    OrderLine,
    PromisedDelivery,
    Quantity,
    ReasonCode,
    UnitPrice,
    canonical,
)

STANDS = frozenset({Acceptance.APPROVED, Acceptance.AGREED})
"""Both companies stand by it."""
ENDED = frozenset({Acceptance.REJECTED, Acceptance.CANCELLED})
"""Nothing of it will come."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a line comes to: as ordered, or as answered."""

    article_number: str
    description: str
    quantity: Exact | None
    unit: str
    unit_price: UnitPrice | None
    net: Exact | None
    deliveries: list[PromisedDelivery]
    back_order: Annotated[Quantity | None, Meta(description="Of the quantity, what comes later without a day yet.")] = None


class TermsDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is answered otherwise than ordered."""

    member: Annotated[str, Meta(examples=["quantity"])]
    before: str
    after: str


class AnsweredLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as ordered beside the same line as answered."""

    line_id: str
    action: LineAction
    ordered: Annotated[Terms | None, Meta(description="Null for a line the supplier adds.")]
    answered: Annotated[Terms | None, Meta(description="Null for a line the supplier does not accept.")]
    differences: list[TermsDifference]
    is_late: Annotated[bool, Meta(description="Something of it is promised for a later day than was asked for.")]
    reason_code: ReasonCode | None
    reason: str


class AnsweredOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The supplier's newest answer beside the order it answers."""

    answer: int
    code: AnswerCode
    at: dt.datetime
    order_number: str | None
    reason: str
    waits_for_us: Annotated[bool, Meta(description="It changes the order, and we have neither accepted nor disputed it.")]
    lines: list[AnsweredLine]


def beside(order: Order, answer: OrderAnswer, acceptance: str) -> AnsweredOrder:
    """The answer beside the order. Lines nothing is said of are as ordered, or not accepted where the whole order is rejected."""
    told = {line.line_id: line for line in answer.lines}
    ours = [line for line in order.lines if line.kind == "article"]
    known = {line.line_id for line in ours}
    lines = [_beside(order, line, told.get(line.line_id) or _unsaid(line.line_id, answer.code)) for line in ours]
    lines += [_added(line) for line in answer.lines if line.line_id not in known]
    return AnsweredOrder(
        answer=answer.answer,
        code=answer.code,
        at=answer.at,
        order_number=answer.order_number,
        reason=answer.reason,
        waits_for_us=acceptance == Acceptance.CHANGED,
        lines=lines,
    )


def _unsaid(line_id: str, code: AnswerCode) -> AnswerLine:
    return AnswerLine(line_id=line_id, action=LineAction.REJECTED if code is AnswerCode.REJECTED else LineAction.ACCEPTED)


def _beside(order: Order, line: OrderLine, told: AnswerLine) -> AnsweredLine:
    ordered = _ordered(order, line)
    answered = None if told.action is LineAction.REJECTED else _answered(line, ordered, told)
    return AnsweredLine(
        line_id=line.line_id,
        action=told.action,
        ordered=ordered,
        answered=answered,
        differences=[] if answered is None else _differences(ordered, answered),
        is_late=answered is not None and _is_late(ordered, answered),
        reason_code=told.reason_code,
        reason=told.reason,
    )


def _ordered(order: Order, line: OrderLine) -> Terms:
    day = line.requested_date or order.requested_date
    return Terms(
        article_number=line.article_number,
        description=line.description,
        quantity=line.quantity,
        unit=line.unit,
        unit_price=line.unit_price,
        net=None if line.net is None else Exact(line.net),
        deliveries=[] if line.quantity is None else [PromisedDelivery(quantity=line.quantity, date=day)],
    )


def _answered(line: OrderLine, ordered: Terms, told: AnswerLine) -> Terms:
    quantity = line.quantity
    if told.deliveries:
        quantity = Quantity(sum((one.quantity for one in told.deliveries), Decimal(told.back_order or 0)))
    price = ordered.unit_price if told.unit_price is None else told.unit_price
    net = msgspec.structs.replace(line, quantity=quantity, unit_price=price).net
    substitute = told.substitute
    return Terms(
        article_number=substitute.article_number if substitute else ordered.article_number,
        description=(substitute.name if substitute else "") or ordered.description,
        quantity=quantity,
        unit=(substitute.unit if substitute else "") or ordered.unit,
        unit_price=price,
        net=None if net is None else Exact(net),
        deliveries=told.deliveries or ordered.deliveries,
        back_order=told.back_order,
    )


def _added(told: AnswerLine) -> AnsweredLine:
    nothing = Terms(article_number="", description="", quantity=None, unit="", unit_price=None, net=None, deliveries=[])
    return AnsweredLine(
        line_id=told.line_id,
        action=told.action,
        ordered=None,
        answered=_answered(OrderLine(line_id=told.line_id), nothing, told),
        differences=[],
        is_late=False,
        reason_code=told.reason_code,
        reason=told.reason,
    )


def _differences(ordered: Terms, answered: Terms) -> list[TermsDifference]:
    pairs = (
        ("article_number", ordered.article_number, answered.article_number),
        ("quantity", _number(ordered.quantity), _number(answered.quantity)),
        ("unit", ordered.unit, answered.unit),
        ("unit_price", _number(ordered.unit_price), _number(answered.unit_price)),
        ("date", _days(ordered), _days(answered)),
        ("back_order", "", _number(answered.back_order)),
    )
    return [TermsDifference(member=member, before=before, after=after) for member, before, after in pairs if before != after]


def _number(number: Decimal | None) -> str:
    return "" if number is None else canonical(number)


def _days(terms: Terms) -> str:
    """The days alone when one delivery has it all, else how much on which day."""
    if len(terms.deliveries) == 1:
        day = terms.deliveries[0].date
        return day.isoformat() if day else ""
    return ", ".join(f"{canonical(one.quantity)} on {one.date or 'a day to be told'}" for one in terms.deliveries)


def _is_late(ordered: Terms, answered: Terms) -> bool:
    asked_for = ordered.deliveries[0].date if ordered.deliveries else None
    return asked_for is not None and any(one.date is not None and one.date > asked_for for one in answered.deliveries)


def is_promised_late(order: Order, answer: OrderAnswer | None) -> bool:
    """Whether anything is promised for a later day than was asked for."""
    return answer is not None and any(line.is_late for line in beside(order, answer, "").lines)


def net(order: Order, answer: OrderAnswer | None) -> Decimal:
    """What an order comes to with the lines as answered, and its charges as ordered."""
    if answer is None:
        return order.net
    lines = [line.answered.net for line in beside(order, answer, "").lines if line.answered is not None]
    return sum((one for one in lines if one is not None), order.charged)


def expected(order: Order, answer: OrderAnswer | None) -> dict[str, list[PromisedDelivery]]:
    """What is to come of each line and when, by the answer where there is one; a line that is not accepted brings nothing."""
    if answer is None:
        return {line.line_id: _ordered(order, line).deliveries for line in order.lines if line.kind == "article"}
    found = {}
    for line in beside(order, answer, "").lines:
        deliveries = list(line.answered.deliveries) if line.answered else []
        if line.answered is not None and line.answered.back_order is not None and deliveries:
            deliveries.append(PromisedDelivery(quantity=line.answered.back_order))
        found[line.line_id] = deliveries
    return found


def due_date(order: Order, answer: OrderAnswer | None, received: Mapping[str, Decimal]) -> dt.date | None:
    """The first day on which something should be here that has not been received; None when no day is known, or all is here."""
    days = []
    for line_id, deliveries in expected(order, answer).items():
        left = received.get(line_id, Decimal(0))
        for one in sorted(deliveries, key=lambda delivery: delivery.date or dt.date.max):
            left -= one.quantity
            if left < 0 and one.date is not None:
                days.append(one.date)
                break
    return min(days, default=None)


def is_all_here(
    order: Order,
    answer: OrderAnswer | None,
    received: Mapping[str, Decimal],
    unbooked: Sequence[Despatch],
    *,
    is_shipped: bool,
) -> bool:
    """Whether nothing more is to be received: the supplier has shipped all and all of that is booked in, or all that was agreed is here."""
    if is_shipped and not _on_its_way(unbooked):
        return True
    due = {line_id: sum((one.quantity for one in deliveries), Decimal(0)) for line_id, deliveries in expected(order, answer).items()}
    return any(due.values()) and all(received.get(line_id, Decimal(0)) >= quantity for line_id, quantity in due.items())


def _on_its_way(unbooked: Iterable[Despatch]) -> bool:
    return any(line.quantity > 0 for despatch in unbooked for line in despatch.lines)
