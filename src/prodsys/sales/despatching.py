"""Goods on their way: despatch notes against order lines, and how far an order is fulfilled."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.attachments import actions as files
from prodsys.documents import (
    AnswerLine,
    Attachment,
    CodeWord,
    Despatch,
    DespatchLine,
    Fulfilment,
    Issue,
    LineAction,
    Order,
    ShortWords,
    canonical,
    plain,
)
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.sales import feed, store, terms
from prodsys.sales.answers import note
from prodsys.sales.model import News
from prodsys.scopes import Caller


class NewDespatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A despatch to be told to the buyer. A negative quantity takes goods back."""

    lines: Annotated[list[DespatchLine], Meta(min_length=1, max_length=10_000)]
    number: Annotated[CodeWord, Meta(description="Told again with it, a despatch is the same one. Empty: the next of our series.")] = ""
    date: dt.date | None = None
    carrier: ShortWords = ""
    tracking_number: CodeWord = ""
    expected_date: dt.date | None = None
    is_last: bool = False
    attachments: Annotated[list[Attachment], Meta(max_length=20, description="Files sent here before, by PUT /attachments.")] = []


class TellsDespatch(Despatch, frozen=True, kw_only=True, omit_defaults=True):
    """A despatch as it is told to the buyer, and what to know about it: `new` is false when it was told before."""

    new: bool
    issues: list[Issue] = msgspec.field(default_factory=list)


def despatch(tx: Tx, caller: Caller, order_id: str, new: NewDespatch) -> TellsDespatch:
    """Tell that goods of an order are on their way; partial, several, more (which is said) or less than ordered.

    The number is the despatch's own within its order: the same one with the same content is answered with the first, and changes nothing.
    Raises NotFound, AlreadyExists for a number with other content, WrongState (not agreed, or a cancellation waits for its answer),
    Invalid with every line that does not fit.
    """
    row = store.orders.draft(tx, order_id, lock=True)
    if row is None:
        raise errors.NotFound
    if (number := plain(new.number)) and (first := store.despatches.by_number(tx, row.pk, number)):
        return _told_before(first, new, row.number)
    terms.must("despatch", row.acceptance, row.number)
    if row.order_number is None:
        raise errors.WrongState(f"Revision {row.revision} of order {row.number} has no order number: it is not what was agreed.")
    kept = {line.line_id: line for line in store.orders.lines(tx, row.pk) if line.how != "text"}
    held = files.held(tx, files.holder_of(caller), {one.sha256 for one in new.attachments})
    if issues := [*_faults(new.lines, kept), *files.missing(held, new.attachments)]:
        raise errors.Invalid("The despatch does not fit the order.", issues=issues)

    before = {line.line_id: line.despatched for line in kept.values()}
    gone = {line.position: line.despatched for line in kept.values()}
    for line in new.lines:
        gone[kept[line.line_id].position] += line.quantity
    made = Despatch(
        id=new_id("ds"),
        number=number or _next_number(tx, row.pk),
        date=new.date or now().date(),
        lines=new.lines,
        carrier=new.carrier,
        tracking_number=new.tracking_number,
        expected_date=new.expected_date,
        is_last=new.is_last,
        attachments=new.attachments,
    )
    files.use(tx, order_id, held, new.attachments)
    files.hand_over(tx, row.partner, held.values())
    answered = store.answers.answered(tx, row.pk, row.answer) if row.answer else None
    order = store.orders.read_order(row.document)
    due = promised(order, answered.lines if answered else [])
    fulfilment = _fulfilment({line.line_id: gone[line.position] for line in kept.values()}, due, is_last=new.is_last)
    store.despatches.note_gone(tx, row.pk, {kept[line.line_id].position: gone[kept[line.line_id].position] for line in new.lines})
    store.despatches.keep(tx, row.pk, made, caller.name)
    store.orders.change(tx, row.pk, row.version, fulfilment=fulfilment.value)
    feed.announce(tx, row, News(kind="order.despatched", fulfilment=fulfilment.value, despatch=made))
    note(
        tx,
        caller,
        row,
        "order.despatched",
        f"Despatch {made.number} of order {row.number}: {len(made.lines)} line(s), now {fulfilment.value}.",
    )
    return _tells(made, _too_much(new.lines, before, due, order))


def _told_before(first: Despatch, new: NewDespatch, order_number: str) -> TellsDespatch:
    # Without a day it was told for the day it was told on; told again tomorrow it is still the same despatch.
    again = msgspec.structs.replace(
        first,
        date=new.date or first.date,
        lines=new.lines,
        carrier=new.carrier,
        tracking_number=new.tracking_number,
        expected_date=new.expected_date,
        is_last=new.is_last,
        attachments=new.attachments,
    )
    if again == first:
        return _tells(first, [], new=False)
    message = (
        f"Despatch {first.number} of order {order_number} was told before with other content, and stands as it was told. "
        "Give this one a number of its own; a negative quantity takes goods back."
    )
    params = {"number": first.number}
    raise errors.AlreadyExists(
        message, issues=[Issue(code="despatch_told", message=message, params=params, pointer="/number", blocks=True)]
    )


def _tells(made: Despatch, issues: list[Issue], *, new: bool = True) -> TellsDespatch:
    return TellsDespatch(**msgspec.structs.asdict(made), new=new, issues=issues)


def _next_number(tx: Tx, order: int) -> str:
    # Somebody may have given a despatch by hand the number our series comes to now.
    while store.despatches.by_number(tx, order, number := f"D-{store.orders.next_number(tx, 'despatch')}"):
        continue
    return number


def _too_much(lines: Sequence[DespatchLine], before: dict[str, Decimal], due: dict[str, Decimal], order: Order) -> list[Issue]:
    """What goes beyond what was still to go, which is allowed (product.md, A15), line by line."""
    going: dict[str, Decimal] = {}
    for line in lines:
        going[line.line_id] = going.get(line.line_id, Decimal(0)) + line.quantity
    ordered = {line.line_id: line.quantity for line in order.lines}
    issues = []
    for line_id, quantity in going.items():
        over = quantity - max(due.get(line_id, Decimal(0)) - before[line_id], Decimal(0))
        if quantity <= 0 or over <= 0:
            continue
        what = "was ordered" if not before[line_id] and due.get(line_id) == ordered[line_id] else "was still to go"
        message = f"Line {line_id}: {canonical(quantity)} is {canonical(over)} more than {what}."
        params = {"line": line_id, "quantity": canonical(quantity), "over": canonical(over)}
        issues.append(Issue(code="more_than_to_go", message=message, params=params, pointer="/lines"))
    return issues


def promised(order: Order, answered: Sequence[AnswerLine]) -> dict[str, Decimal]:
    """How much of each line is to come, by the newest answer where it says, as ordered elsewhere."""
    said = {line.line_id: line for line in answered}
    return {line.line_id: _promised(line.quantity, said.get(line.line_id)) for line in order.lines if line.kind == "article"}


def _promised(ordered: Decimal | None, answer: AnswerLine | None) -> Decimal:
    if answer is not None and answer.action is LineAction.REJECTED:
        return Decimal(0)
    if answer is not None and answer.deliveries:
        return sum((delivery.quantity for delivery in answer.deliveries), Decimal(0)) + (answer.back_order or 0)
    return ordered or Decimal(0)


def _fulfilment(gone: dict[str, Decimal], due: dict[str, Decimal], *, is_last: bool) -> Fulfilment:
    if not any(quantity > 0 for quantity in gone.values()):
        return Fulfilment.NONE
    if is_last or all(gone.get(line_id, Decimal(0)) >= quantity for line_id, quantity in due.items()):
        return Fulfilment.SHIPPED
    return Fulfilment.PARTLY


def _faults(lines: Sequence[DespatchLine], kept: dict[str, Any]) -> list[Issue]:
    issues = []
    gone = {line_id: line.despatched for line_id, line in kept.items()}
    for at, line in enumerate(lines):
        if line.line_id not in kept:
            issues.append(_issue("line_unknown", at, "line_id", f"The order has no article line {line.line_id}.", line.line_id))
            continue
        gone[line.line_id] += line.quantity
        if not line.quantity:
            issues.append(
                _issue("quantity_zero", at, "quantity", f"Line {line.line_id}: a despatch of nothing says nothing.", line.line_id)
            )
        elif gone[line.line_id] < 0:
            message = f"Line {line.line_id}: more would come back than has gone."
            issues.append(_issue("returned_too_much", at, "quantity", message, line.line_id))
    return issues


def _issue(code: str, at: int, member: str, message: str, line_id: str) -> Issue:
    return Issue(code=code, message=message, params={"line": line_id}, pointer=f"/lines/{at}/{member}", blocks=True)
