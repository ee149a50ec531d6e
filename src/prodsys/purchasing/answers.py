"""Hear what suppliers say about our orders."""

import datetime as dt
from collections.abc import Sequence

import msgspec

from prodsys import errors
from prodsys.connectors.prodsys import Change as TheirChange
from prodsys.connectors.prodsys import Changes, CursorGone
from prodsys.documents import Acceptance, Delivery, Fulfilment
from prodsys.exchange import timetable
from prodsys.kit.db import Database, Tx, signal
from prodsys.kit.vault import VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier
from prodsys.purchasing import store
from prodsys.purchasing.abroad import GONE, STOPS_HEARING, Reach, reachable, said
from prodsys.purchasing.actions import kept, shown
from prodsys.purchasing.model import (
    PurchaseOrder,
)
from prodsys.purchasing.store import Heard

ANSWERS = "answers"
"""The kind of task that asks a supplier for answers; its subject is the partner's id."""


def plan_answers(tx: Tx, partner: str, every_seconds: int) -> None:
    """From now on ask this supplier (by id) for answers, by the clock; planning it again changes only how often."""
    timetable.plan(tx, f"{ANSWERS}:{partner}", kind=ANSWERS, subject=partner, every=dt.timedelta(seconds=every_seconds))


async def pull_answers(db: Database, reach: Reach, partner: str) -> str:
    """Hear from a supplier (by id) everything he has said since last time; returns why not, or an empty text.

    Each page is applied in one unit together with the new cursor. A cursor that is gone means he has begun a new life: the feed is read
    from its beginning again, which changes nothing that is true still (ruling 8).
    """
    supplier, trouble = await db.read(reachable, partner, STOPS_HEARING)
    if supplier is None or trouble is not None:
        return (trouble or GONE).detail
    try:
        abroad = reach(supplier)
    except VaultLocked as locked:
        return str(locked)
    cursor, began_again = supplier.their_cursor or None, False
    while True:
        answer = await abroad.changes(cursor)
        match answer:
            case CursorGone() if not began_again and cursor is not None:
                await db.write(_begin_again, supplier)
                cursor, began_again = None, True
            case Changes(items=changes, next=after):
                await db.write(apply, supplier, changes, after)
                if after is None or after == cursor or not changes:
                    return ""
                cursor = after
            case CursorGone():
                return f"{supplier.name} does not know any cursor of ours, not even the first."
            case _:
                return said(answer)


def _begin_again(tx: Tx, supplier: Supplier) -> None:
    store.forget_positions(tx, supplier.pk)
    partners.keep_cursor(tx, supplier.pk, "", "")
    message = f"The feed of {supplier.name} has begun a new life, as after a restore; all of it is read again and compared."
    tell(tx, Entry(code="feed.begun_again", message=message, level="warning", direction="in", partner=supplier.pk, actor="timetable"))


def apply(tx: Tx, supplier: Supplier, changes: Sequence[TheirChange], cursor: str | None) -> None:
    """Apply a page of a supplier's feed in its order, and remember how far we have read."""
    known = store.heard_of(tx, supplier.pk, {change.number for change in changes})
    before = dict(known)
    entries = []
    for change in changes:
        order = known.get(change.number)
        if order is None or change.revision > order.revision:
            entries.append(_strange(supplier, change))
            continue
        after = note_answer(order, change)
        if after is order:
            continue
        known[change.number] = after
        if (entry := _told(supplier, order, after, change)) is not None:
            entries.append(entry)
    store.hear(tx, [after for number, after in known.items() if after is not before[number]])
    if cursor is not None and cursor != supplier.their_cursor:
        partners.keep_cursor(tx, supplier.pk, cursor, supplier.their_epoch)
    if entries:
        tell(tx, *entries)
        signal(tx, "orders")


def note_answer(order: Heard, change: TheirChange) -> Heard:
    """The order after one thing that happened to it there; itself when that is old, or about an earlier revision."""
    if change.position <= order.change_seen or change.revision < order.revision:
        return order
    acceptance = change.acceptance if change.acceptance in set(Acceptance) else order.acceptance
    # Heard of in the feed although its delivery seemed lost: he has it.
    was_lost = order.delivery in ("failed", "unknown") and change.delivery == Delivery.RECEIVED
    return msgspec.structs.replace(
        order,
        change_seen=change.position,
        delivery=Delivery.RECEIVED.value if was_lost else order.delivery,
        acceptance=acceptance,
        fulfilment=change.fulfilment if change.fulfilment in set(Fulfilment) else order.fulfilment,
        their_id=change.id,
        their_order_number=change.order_number or ("" if acceptance == Acceptance.OPEN else order.their_order_number),
        reason=change.reason or "",
    )


def _told(supplier: Supplier, before: Heard, after: Heard, change: TheirChange) -> Entry | None:
    if (before.acceptance, before.fulfilment, before.their_order_number, before.reason) == (
        after.acceptance, after.fulfilment, after.their_order_number, after.reason,
    ):  # fmt: skip
        return None
    match after.acceptance:
        case "approved":
            number = f" as their order {after.their_order_number}" if after.their_order_number else ""
            message, level = f"{supplier.name} approved order {after.number}{number}.", "info"
        case "rejected":
            message, level = f"{supplier.name} rejected order {after.number}: {after.reason or 'no reason given'}", "warning"
        case word:
            message, level = f"{supplier.name}: order {after.number} is {word}, {after.fulfilment} of it moved.", "info"
    return Entry(
        code=f"order.{after.acceptance}",
        message=message,
        level="warning" if level == "warning" else "info",
        direction="in",
        partner=supplier.pk,
        subject=after.id,
        number=after.number,
        trace_id=after.trace_id,
        actor=supplier.name,
        response=msgspec.json.encode(change).decode(),
    )


def _strange(supplier: Supplier, change: TheirChange) -> Entry:
    return Entry(
        code="answer.unknown_order",
        message=f"{supplier.name} tells of order {change.number} revision {change.revision}, which we never sent them; it is passed over.",
        level="warning",
        direction="in",
        partner=supplier.pk,
        number=change.number,
        actor=supplier.name,
        response=msgspec.json.encode(change).decode(),
    )


async def refresh(db: Database, reach: Reach, id: str) -> PurchaseOrder:
    """Ask the order's supplier for answers now. Raises NotFound, WrongState for an order never sent, PartnerUnreachable with the reason."""
    row = await db.read(kept, id)
    if row.partner_id is None or row.sent_at is None:
        raise errors.WrongState(f"Order {row.number} has not been sent to anybody, so there is nothing to hear.")
    trouble = await pull_answers(db, reach, row.partner_id)
    if trouble:
        raise errors.PartnerUnreachable(trouble)
    return await db.read(shown, id)
