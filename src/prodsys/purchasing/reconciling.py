"""Compare our orders with a supplier's books after either side was restored, and send again what is missing there."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from prodsys import documents, errors
from prodsys.company.store import card as company_card
from prodsys.connectors.prodsys.words import Compared, OrderThere
from prodsys.documents import Acceptance, Delivery, Fulfilment, Order
from prodsys.exchange import outbox
from prodsys.exchange.outbox import Promise
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later
from prodsys.kit.telemetry import new_trace
from prodsys.kit.vault import VaultLocked
from prodsys.logs.model import Entry, Level
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier
from prodsys.purchasing import store
from prodsys.purchasing.abroad import GONE, STOPS_HEARING, Abroad, Reach, plan_answers, reachable, said
from prodsys.purchasing.answers import pull_answers
from prodsys.purchasing.exporting import KIND
from prodsys.purchasing.model import writing
from prodsys.purchasing.store.orders import Kept
from prodsys.purchasing.store.reconciling import FoundThere, SentOrder
from prodsys.purchasing.terms import ENDED
from prodsys.scopes import Caller

PERIOD = dt.timedelta(days=90)
PAGE = 2_000
"""Orders compared in one call."""

MOST_NAMED = 1_000
"""Orders of one kind named in what comparing came to; all of them are logged."""

T = TypeVar("T")
Key = tuple[str, int]


class Different(msgspec.Struct, frozen=True, kw_only=True):
    """An order that says one thing here and another there."""

    number: str
    revision: int
    ours: Annotated[str, Meta(description="Digest of what we sent, or would send now.")]
    theirs: str
    their_id: str


class LostHere(msgspec.Struct, frozen=True, kw_only=True):
    """An order the supplier holds in our name, of which our books know nothing."""

    number: str
    revision: int
    their_id: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What comparing came to: the numbers of orders, at most 1,000 of a kind."""

    compared: int = 0
    promised_again: Annotated[list[str], Meta(description="Missing there, and sent again as they were.")] = []
    kept_back: Annotated[list[str], Meta(description="Missing there, but ended or with goods moved: a person decides.")] = []
    differs: list[Different] = []
    answers_lost: Annotated[list[str], Meta(description="There, but their answers are lost; they are open again.")] = []
    lost_here: Annotated[list[LostHere], Meta(description="Missing here: nothing is written until a person takes them over.")] = []
    recovered: Annotated[list[str], Meta(description="Were missing here, and a person had them written down again.")] = []
    found_there: Annotated[list[str], Meta(description="Thought unsent here; the supplier has them, with the same content.")] = []


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """How comparing our orders with a supplier's books stands."""

    is_due: Annotated[bool, Meta(description="Asked for and not ended yet.")]
    why: str
    asked_at: dt.datetime | None
    ended_at: dt.datetime | None
    found: Found | None
    fault: Annotated[str, Meta(description="Why the last attempt did not get to its end.")]


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    orders: Sequence[SentOrder]
    through: str | None


class _Lost(msgspec.Struct, frozen=True, kw_only=True):
    """What the supplier has beside what we named, as far as we know less of it."""

    lost_here: Sequence[OrderThere]
    standing: Sequence[OrderThere]


def ask(tx: Tx, caller: Caller, partner: str, *, answers_every: int) -> Reconciliation:
    """Have our orders compared with a supplier's books as soon as may be. Raises NotFound, PartnerNotReady."""
    supplier, trouble = reachable(tx, partner, STOPS_HEARING)
    if supplier is None:
        raise no_supplier(partner)
    if trouble is not None:
        raise errors.PartnerNotReady(trouble.detail)
    _ask(tx, supplier, f"{caller.name} asked for it.", answers_every)
    return shown(tx, partner)


def no_supplier(partner: str) -> errors.NotFound:
    """Nobody we send orders to is called so."""
    return errors.NotFound(f"There is no supplier {partner[:60]} we are connected to; GET /partners lists the partners.")


def ask_all(tx: Tx, why: str, *, answers_every: int = 60) -> None:
    """Have our orders compared with every supplier's books: our own have just been restored."""
    for supplier in partners.connected(tx):
        _ask(tx, supplier, why, answers_every)


def _ask(tx: Tx, supplier: Supplier, why: str, answers_every: int) -> None:
    store.reconciling.ask(tx, supplier.pk, why)
    plan_answers(tx, supplier.id, answers_every, soon=True)


def shown(tx: Tx, partner: str) -> Reconciliation:
    """How comparing with a supplier stands. Raises NotFound."""
    supplier = partners.supplier_named(tx, partner)
    if supplier is None:
        raise no_supplier(partner)
    row = store.reconciling.get(tx, supplier.pk)
    if row is None:
        return Reconciliation(is_due=False, why="", asked_at=None, ended_at=None, found=None, fault="")
    found = None if row.found is None else read_found(row.found)
    return Reconciliation(is_due=row.is_due, why=row.why, asked_at=row.asked_at, ended_at=row.ended_at, found=found, fault=row.fault)


read_found = msgspec.json.Decoder(Found).decode


async def hear(db: Database, reach: Reach, partner: str) -> str:
    """Hear what a supplier (by id) has said since last time, after comparing books where that is due; returns why not, or an empty text."""
    if trouble := await _if_due(db, reach, partner):
        return trouble
    if trouble := await pull_answers(db, reach, partner):
        return trouble
    # He may have turned out to have begun a new life.
    if not await db.read(_is_due, partner):
        return ""
    return await _if_due(db, reach, partner) or await pull_answers(db, reach, partner)


def _is_due(tx: Tx, partner: str) -> bool:
    supplier = partners.supplier_named(tx, partner)
    return supplier is not None and store.reconciling.is_due(tx, supplier.pk)


async def _if_due(db: Database, reach: Reach, partner: str) -> str:
    supplier, trouble = await db.read(reachable, partner, STOPS_HEARING)
    if supplier is None or trouble is not None:
        return (trouble or GONE).detail
    if not await db.read(store.reconciling.is_due, supplier.pk):
        return ""
    try:
        abroad = reach(supplier)
    except VaultLocked as locked:
        return str(locked)
    return await reconcile(db, abroad, supplier)


async def reconcile(db: Database, abroad: Abroad, supplier: Supplier) -> str:
    """Compare all orders of the last 90 days and mend what is missing, a stretch of numbers after the other; safe to repeat.

    What is missing there is promised again under its own number and revision, so that it can be there only once. What ended, or of which
    goods have moved, is not: it is logged for a person to decide. So is what is missing here: a supplier's word alone writes no order of
    ours (see `recovering`). What went by e-mail was never there. At the end the supplier's feed is read from its beginning. Returns why
    it could not be done, or an empty text.
    """
    since, after, found = now() - PERIOD, "", Found()
    while True:
        page = await db.read(_page, supplier.pk, after, since)
        orders = [{"number": one.number, "revision": one.revision, "digest": one.digest, "answer": one.answer} for one in page.orders]
        answer = await abroad.digests(orders, after, page.through, since.isoformat())
        if not isinstance(answer, Compared):
            return await _give_up(db, supplier, answer)
        lost = await db.read(_lost, supplier, answer.others)
        found = await db.write(_mend, supplier, page, answer, found)
        found = await db.write(_note_standing, supplier, lost.standing, found)
        found = await db.write(_note_lost_here, supplier, lost.lost_here, found)
        if answer.through is None or answer.through <= after:
            break
        after = answer.through
    await db.write(_end, supplier, found)
    return ""


async def _give_up(db: Database, supplier: Supplier, trouble: Later | outbound.Misconfigured | outbound.Refused) -> str:
    """Try again later; where he does not know how to compare, go on without, since his answers must not wait for it."""
    why = f"{supplier.name}: {said(trouble)}"
    is_for_good = isinstance(trouble, outbound.Refused) or (isinstance(trouble, outbound.Misconfigured) and trouble.reason == "not_prodsys")
    if not is_for_good:
        await db.write(store.reconciling.end, supplier.pk, None, why, is_due=True)
        return why

    def go_on(tx: Tx) -> None:
        message = f"Our orders could not be compared with {supplier.name}'s books: {said(trouble)}"
        tell(
            tx, Entry(code="reconcile.failed", message=message, level="error", partner=supplier.pk, subject=supplier.id, actor="timetable")
        )
        store.reconciling.end(tx, supplier.pk, None, why, is_due=False)
        read_from_the_beginning(tx, supplier)

    await db.write(go_on)
    return ""


def _page(tx: Tx, partner: int, after: str, since: dt.datetime) -> _Page:
    rows = store.reconciling.sent_behind(tx, partner, after, since, PAGE + 1)
    if len(rows) <= PAGE:
        return _Page(orders=rows, through=None)
    # No order's revisions are torn apart.
    whole = [row for row in rows if row.number != rows[-1].number] or rows
    return _Page(orders=whole, through=whole[-1].number)


def _lost(tx: Tx, supplier: Supplier, others: Sequence[OrderThere]) -> _Lost:
    numbers = sorted({one.number for one in others})
    ours = {number: row for number, row in store.orders.by_number(tx, numbers, lock=False).items() if row.partner == supplier.pk}
    kept = store.revisions.kept(tx, list(ours))
    lost_here, standing = [], []
    for one in others:
        row = ours.get(one.number)
        if row is not None and (one.revision == row.revision or (one.number, one.revision) in kept):
            standing.append(one)
        else:
            lost_here.append(one)
    return _Lost(lost_here=lost_here, standing=standing)


def _mend(tx: Tx, supplier: Supplier, page: _Page, answer: Compared, found: Found) -> Found:
    """What is missing there is promised again, what differs is said aloud, what was answered and is lost there is open again."""
    sent = {(one.number, one.revision): one for one in page.orders}
    missing = [(one.number, one.revision) for one in answer.missing if (one.number, one.revision) in sent]
    there = {(one.number, one.revision) for one in page.orders} - set(missing)
    again, back = _promise_again(tx, supplier, missing, there)
    differs = [
        Different(
            number=one.number, revision=one.revision, ours=sent[one.number, one.revision].digest, theirs=one.digest, their_id=one.id
        )
        for one in answer.differs
        if (one.number, one.revision) in sent
    ]  # fmt: skip
    tell(tx, *(_differs(supplier, one) for one in differs))
    return msgspec.structs.replace(
        found,
        compared=found.compared + len(page.orders),
        promised_again=more(found.promised_again, again),
        kept_back=more(found.kept_back, back),
        differs=more(found.differs, differs),
        answers_lost=more(found.answers_lost, _forget_lost_answers(tx, supplier, answer.behind)),
    )


def _promise_again(tx: Tx, supplier: Supplier, missing: Sequence[Key], there: set[Key]) -> tuple[list[str], list[str]]:
    """Promise the newest revision of each order that is missing there; the numbers promised, and those a person has to decide about."""
    newest: dict[str, int] = {}
    for number, revision in missing:
        newest[number] = max(revision, newest.get(number, 0))
    # Where he has a higher revision, an older one would come too late.
    superseded = {number for number, revision in there if newest.get(number, revision) < revision}
    rows = {number: row for number, row in store.orders.by_number(tx, sorted(newest)).items() if row.partner == supplier.pk}
    ours = company_card(tx)
    promises, queued, again, back, entries, reset = [], [], [], [], [], []
    for number, revision in sorted(newest.items()):
        row = rows.get(number)
        if row is None or ours is None or number in superseded:
            continue
        is_present = row.revision == revision
        if is_present and row.delivery != Delivery.RECEIVED:
            continue  # it has been sent, or changed, meanwhile
        if row.acceptance in ENDED | {Acceptance.CANCEL_REQUESTED} or row.fulfilment != Fulfilment.NONE:
            back.append(number)
            message = (
                f"{supplier.name} no longer has order {number} revision {revision}. Here it is {row.acceptance} and {row.fulfilment} "
                "of it has moved, so it is not sent again by itself, lest it come twice. Ask them, and copy the order if it is wanted anew."
            )
            entries.append(entry_about(supplier, row, "reconcile.kept_back", message, level="error"))
            continue
        document = _what_was_sent(tx, row, revision)
        if document is None:
            continue
        leaving, trace = writing.as_document(document, revision, ours.card), new_trace()
        promises.append(
            Promise(
                kind=KIND,
                lane=supplier.lane,
                chain=row.id,
                dedup=f"reconcile:{row.id}:{revision}:{trace.trace_id}",
                subject=row.id,
                document=documents.write(leaving).decode(),
                trace=trace,
                give_up_after=supplier.give_up_after,
            )
        )
        if is_present:
            queued.append((row.pk, trace.trace_id, documents.digest(leaving)))
            reset.append(row.pk)
        again.append(number)
        before = f" They had answered {row.acceptance}{_as_their(row)}, and will answer anew." if row.answer else ""
        message = f"{supplier.name} no longer has order {number} revision {revision}; it is sent again as it was.{before}"
        entries.append(
            entry_about(supplier, row, "reconcile.promised_again", message, level="warning", trace_id=trace.trace_id, response=row.answered)
        )
    if promises:
        store.answers.lose(tx, reset)
        outbox.promise(tx, *promises)
        store.exports.mark_queued(tx, queued)
    tell(tx, *entries)
    return again, back


def _what_was_sent(tx: Tx, row: Kept, revision: int) -> Order | None:
    if row.revision == revision:
        present: Order = store.orders.read_order(row.document)
        return present
    earlier = store.revisions.get(tx, row.pk, revision)
    return None if earlier is None else store.orders.read_order(earlier.document)


def _forget_lost_answers(tx: Tx, supplier: Supplier, behind: Sequence[OrderThere]) -> list[str]:
    """Orders there whose answers are lost there are open again; what he still knows is read from the beginning of his feed."""
    rows = store.orders.by_number(tx, sorted({one.number for one in behind}))
    lost = []
    for one in behind:
        row = rows.get(one.number)
        if row is not None and row.partner == supplier.pk and row.revision == one.revision and row.acceptance != Acceptance.CANCELLED:
            lost.append(row)
    store.answers.lose(tx, [row.pk for row in lost])
    for row in lost:
        message = (
            f"{supplier.name} no longer knows answer {row.answer} to order {row.number} ({row.acceptance}{_as_their(row)}); "
            "the order is open until they answer anew."
        )
        tell(tx, entry_about(supplier, row, "reconcile.answer_lost", message, level="warning", response=row.answered))
    return [row.number for row in lost]


def _as_their(row: Kept) -> str:
    return f" as their order {row.their_order_number}" if row.their_order_number else ""


def _note_standing(tx: Tx, supplier: Supplier, standing: Sequence[OrderThere], found: Found) -> Found:
    """Orders that are there although by our books they have not arrived: the same content has arrived after all, another is said aloud."""
    rows = store.orders.by_number(tx, sorted({one.number for one in standing}))
    ours = company_card(tx)
    there, numbers, differs = [], [], []
    for one in standing:
        row = rows.get(one.number)
        if row is None or ours is None or row.revision != one.revision or row.delivery in ("queued", "sending", "waiting", "received"):
            continue
        digest = documents.digest(writing.as_document(store.orders.read_order(row.document), row.revision, ours.card))
        if digest != one.digest:
            differs.append(Different(number=row.number, revision=row.revision, ours=digest, theirs=one.digest, their_id=one.id))
            continue
        received = FoundThere(
            order=row.pk, revision=row.revision, their_id=one.id, digest=digest, trace_id=row.trace_id, received_at=row.sent_at or now()
        )
        there.append(received)
        numbers.append(row.number)
        message = f"{supplier.name} has order {row.number} revision {row.revision} already; it is not sent again."
        tell(tx, entry_about(supplier, row, "reconcile.found_there", message))
    store.reconciling.found_there(tx, there)
    tell(tx, *(_differs(supplier, one) for one in differs))
    return msgspec.structs.replace(found, differs=more(found.differs, differs), found_there=more(found.found_there, numbers))


def _note_lost_here(tx: Tx, supplier: Supplier, lost: Sequence[OrderThere], found: Found) -> Found:
    told = store.reconciling.lost_here(tx, supplier.pk)
    for one in lost:
        if one.number in told:
            continue
        message = (
            f"{supplier.name} has order {one.number} revision {one.revision} of ours (their id {one.id}), which is not here. "
            f"If it is ours: prodsys partner take-over {supplier.id} {one.id}; if not, ask them."
        )
        tell(
            tx,
            Entry(
                code="reconcile.not_here",
                message=message,
                level="error",
                partner=supplier.pk,
                subject=supplier.id,
                number=one.number,
                actor="timetable",
            ),
        )
    named = [LostHere(number=one.number, revision=one.revision, their_id=one.id) for one in lost]
    store.orders.go_on_behind(tx, {one.number for one in lost})
    return msgspec.structs.replace(found, lost_here=more(found.lost_here, named))


def _end(tx: Tx, supplier: Supplier, found: Found) -> None:
    store.reconciling.end(tx, supplier.pk, msgspec.json.encode(found).decode(), "", is_due=False)
    read_from_the_beginning(tx, supplier)
    parts = [
        (len(found.promised_again), "sent again"),
        (len(found.kept_back), "missing there and left to a person"),
        (len(found.differs), "different"),
        (len(found.answers_lost), "with lost answers"),
        (len(found.lost_here), "missing here and left to a person"),
        (len(found.found_there), "found there"),
    ]
    told = ", ".join(f"{count} {what}" for count, what in parts if count) or "nothing is missing"
    level: Level = "warning" if any(count for count, _ in parts) else "info"
    message = f"Our orders were compared with {supplier.name}'s books, {found.compared} of them: {told}."
    tell(tx, Entry(code="reconcile.done", message=message, level=level, partner=supplier.pk, subject=supplier.id, actor="timetable"))


def read_from_the_beginning(tx: Tx, supplier: Supplier) -> None:
    """Hear all of a supplier's feed again: what was said before may have been lost."""
    store.answers.forget_positions(tx, supplier.pk)
    partners.keep_cursor(tx, supplier.pk, "", "")


def _differs(supplier: Supplier, one: Different) -> Entry:
    message = (
        f"Order {one.number} revision {one.revision} says something else at {supplier.name} (their id {one.their_id}): "
        f"ours is {one.ours}, theirs {one.theirs}. Compare the two and send a change."
    )
    return Entry(code="reconcile.differs", message=message, level="error", partner=supplier.pk, number=one.number, actor="timetable")


def entry_about(
    supplier: Supplier,
    row: Kept,
    code: str,
    message: str,
    *,
    level: Level = "info",
    trace_id: str = "",
    response: str | None = None,
    actor: str = "timetable",
) -> Entry:
    """A log entry about an order that was compared."""
    return Entry(
        code=code,
        message=message,
        level=level,
        partner=supplier.pk,
        subject=row.id,
        number=row.number,
        trace_id=trace_id or row.trace_id,
        actor=actor,
        response=response,
    )


def more(before: list[T], fresh: Sequence[T]) -> list[T]:
    """Those of one kind, as far as they are named."""
    return [*before, *fresh][:MOST_NAMED]
