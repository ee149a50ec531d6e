"""Write orders that are lost here down again, as the supplier holds them, because a person says that they are ours."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys import documents, errors
from prodsys.connectors.prodsys.words import Held, OrderThere
from prodsys.documents import Acceptance, Fulfilment, Order, Validation
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, signal
from prodsys.kit.vault import VaultLocked
from prodsys.logs.store import tell
from prodsys.partners.model import Supplier
from prodsys.purchasing import store
from prodsys.purchasing.abroad import STOPS_HEARING, Reach, ask_soon, reachable, said
from prodsys.purchasing.answers import recounted
from prodsys.purchasing.model import readiness
from prodsys.purchasing.model.writing import WrittenLine
from prodsys.purchasing.reconciling import (
    MOST_NAMED,
    Key,
    LostHere,
    Reconciliation,
    entry_about,
    more,
    no_supplier,
    read_found,
    read_from_the_beginning,
    shown,
)
from prodsys.purchasing.store.answers import Heard
from prodsys.purchasing.store.orders import Kept, Written
from prodsys.purchasing.store.reconciling import FoundThere
from prodsys.purchasing.terms import STANDS
from prodsys.scopes import Caller

AT_ONCE = 10
"""Lost orders that are fetched at the same time, and written down in one unit."""


class OrdersToTakeOver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the orders that are lost here are to be written down again, by the supplier's ids; none named: all of them."""

    orders: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=MOST_NAMED)] = []


async def take_over(db: Database, reach: Reach, caller: Caller, partner: str, wanted: OrdersToTakeOver) -> Reconciliation:
    """Write orders that are lost here down again from the supplier's books, because a person says that they are ours.

    Raises NotFound, WrongState for one that comparing has not found, PartnerNotReady, PartnerUnreachable.
    """
    supplier, trouble = await db.read(reachable, partner, STOPS_HEARING)
    if supplier is None:
        raise no_supplier(partner)
    if trouble is not None:
        raise errors.PartnerNotReady(trouble.detail)
    standing = await db.read(shown, partner)
    known = {} if standing.found is None else {one.their_id: one for one in standing.found.lost_here}
    if strange := [one for one in wanted.orders if one not in known]:
        raise errors.WrongState(f"Comparing has not found {strange[0]} to be missing here; compare again.")
    chosen = [one for one in known.values() if not wanted.orders or one.their_id in wanted.orders]
    try:
        abroad = reach(supplier)
    except VaultLocked as locked:
        raise errors.PartnerNotReady(str(locked)) from None
    for start in range(0, len(chosen), AT_ONCE):
        some = chosen[start : start + AT_ONCE]
        answers = await asyncio.gather(*(abroad.held(one.their_id) for one in some))
        fetched = [(one, answer) for one, answer in zip(some, answers, strict=True) if isinstance(answer, Held)]
        await db.write(_take_over, caller, supplier, fetched)
        if faults := [answer for answer in answers if not isinstance(answer, Held)]:
            raise errors.PartnerUnreachable(f"{supplier.name}: {said(faults[0])}")
    return await db.read(shown, partner)


def _take_over(tx: Tx, caller: Caller, supplier: Supplier, fetched: Sequence[tuple[LostHere, Held]]) -> None:
    row = store.reconciling.get(tx, supplier.pk)
    if row is None or row.found is None:
        return  # compared anew meanwhile
    there = [(OrderThere(id=one.their_id, number=one.number, revision=one.revision, digest=_digest(held)), held) for one, held in fetched]
    written = _write_down(tx, supplier, there, caller)
    found = read_found(row.found)
    done = {one.their_id for one, held in fetched if held.order is not None}
    left = [one for one in found.lost_here if one.their_id not in done]
    after = msgspec.structs.replace(found, lost_here=left, recovered=more(found.recovered, written))
    store.reconciling.end(tx, supplier.pk, msgspec.json.encode(after).decode(), row.fault, is_due=row.is_due)
    # What was said of them meanwhile was strange to us.
    read_from_the_beginning(tx, supplier)
    ask_soon(tx, supplier.id)


def _digest(held: Held) -> str:
    return "" if held.order is None else documents.digest(held.order)


def _write_down(tx: Tx, supplier: Supplier, pairs: Sequence[tuple[OrderThere, Held]], caller: Caller) -> list[str]:
    """Write down orders that we lost, as the supplier holds them: delivered, with his answers; the numbers of those written."""
    chosen: dict[str, list[tuple[OrderThere, Held, Order]]] = {}
    for there, held in pairs:
        order = held.order
        if order is None or readiness.too_large(order):
            continue
        if documents.plain(order.number) == there.number and order.revision == there.revision:
            chosen.setdefault(there.number, []).append((there, held, order))
    taken = store.orders.by_number(tx, sorted(chosen))
    strangers = {number for number, row in taken.items() if row.partner != supplier.pk}
    ours = store.named.articles_named(
        tx,
        {
            line.buyer_article_number
            for some in chosen.values()
            for _, _, order in some
            for line in order.lines
            if line.buyer_article_number
        },
    )

    def lines_of(order: Order) -> list[WrittenLine]:
        return [
            WrittenLine(line=line, article=ours[line.buyer_article_number].pk if line.buyer_article_number in ours else None)
            for line in order.lines
        ]

    newest = {number: max(some, key=lambda one: one[0].revision) for number, some in chosen.items() if number not in strangers}
    new = [
        Written(partner=supplier.pk, order=order, lines=lines_of(order), issues=[], validation=Validation.CLEAN, due_date=None)
        for number, (_, _, order) in newest.items()
        if number not in taken
    ]
    store.orders.write_down(tx, new, f"recovered from {supplier.name}")
    rows = store.orders.by_number(tx, sorted(newest))
    present = []
    for number, (there, held, order) in newest.items():
        row = rows[number]
        if number in taken and there.revision > row.revision:
            store.revisions.keep(tx, row.pk)
            store.orders.turn_to(tx, row.pk, lines_of(order), order)
        if number not in taken or there.revision > row.revision:
            present.append((row, there, held))
    store.reconciling.found_there(
        tx,
        [
            FoundThere(
                order=row.pk,
                revision=there.revision,
                their_id=there.id,
                digest=there.digest,
                trace_id=held.their.trace_id or row.trace_id,
                received_at=held.received_at or now(),
            )
            for row, there, held in present
        ],
    )
    _keep_earlier(tx, rows, chosen, {(row.number, there.revision) for row, there, _ in present})
    heard = store.answers.heard_of(tx, supplier.pk, {row.number for row, _, _ in present})
    states = [_as_held(heard[row.number], held) for row, _, held in present]
    store.goods.keep_despatches(tx, [(row.pk, one) for row, _, held in present for one in held.despatches])
    store.answers.hear(tx, recounted(tx, states))
    for row, there, _ in present:
        which = f"Order {row.number} revision {there.revision}"
        message = f"{which} was missing here; {caller.name} had it written down again as {supplier.name} holds it."
        tell(tx, entry_about(supplier, row, "reconcile.recovered", message, level="warning", actor=caller.name))
    signal(tx, "orders")
    return [row.number for row, _, _ in present]


def _keep_earlier(
    tx: Tx, rows: Mapping[str, Kept], chosen: Mapping[str, Sequence[tuple[OrderThere, Held, Order]]], present: set[Key]
) -> None:
    store.revisions.keep_earlier(
        tx,
        [
            {
                "order": rows[number].pk,
                "revision": there.revision,
                "document": documents.write(order).decode(),
                "acceptance": _acceptance(held),
                "their_id": there.id,
                "answer": held.their.answer,
                "answered": None if held.answered is None else documents.write(held.answered).decode(),
                "answered_at": None if held.answered is None else held.answered.at,
                "sent_digest": there.digest,
            }
            for number, some in chosen.items()
            if number in rows
            for there, held, order in some
            if (number, there.revision) not in present
        ],
    )


def _as_held(order: Heard, held: Held) -> Heard:
    acceptance = _acceptance(held)
    return msgspec.structs.replace(
        order,
        acceptance=acceptance,
        fulfilment=held.their.fulfilment if held.their.fulfilment in set(Fulfilment) else order.fulfilment,
        their_order_number=held.their.order_number or "",
        reason=held.their.reason or "",
        answer=held.their.answer,
        answered=None if held.answered is None else documents.write(held.answered).decode(),
        answered_at=None if held.answered is None else held.answered.at,
        agreed_revision=order.revision if acceptance in STANDS else order.agreed_revision,
    )


def _acceptance(held: Held) -> str:
    return held.their.acceptance if held.their.acceptance in set(Acceptance) else Acceptance.OPEN.value
