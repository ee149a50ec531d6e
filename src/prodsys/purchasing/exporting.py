"""Promise orders to their suppliers, many at once, and tell what became of each."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from prodsys import documents, errors
from prodsys.alerts.model import MAIL_LANE
from prodsys.company.store import card as company_card
from prodsys.connectors.prodsys.instance import base
from prodsys.documents import Issue
from prodsys.exchange import outbox, timetable
from prodsys.exchange.outbox import Promise
from prodsys.kit.clock import now
from prodsys.kit.db import ELSEWHERE, LEAVING, Database, Tx, signal
from prodsys.kit.telemetry import new_trace
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.purchasing import mailing, store
from prodsys.purchasing.abroad import plan_answers
from prodsys.purchasing.actions import closed_lanes, partner_of
from prodsys.purchasing.model import readiness, writing
from prodsys.purchasing.model.exports import Counts, Export, ExportedOrder, ExportSummary, ItemStatus, Progress, what_to_do
from prodsys.purchasing.store.exports import ItemRow
from prodsys.scopes import Caller
from prodsys.settings import is_safe_url

MOST_ORDERS = 20_000
"""Orders one export may hold."""
AT_ONCE = 500
"""Up to so many orders an export is promised in the unit that asks for it; more leave in chunks."""
CHUNK = 1_000
KIND = "order"
"""The kind of promise an exported order is."""
EXPORT = "export"
"""The kind of task that goes on with a long export; its subject is the export's id."""
TOPIC = "exports"
"""Signalled when an order of an export changes its status."""
NEWS = 500
"""Orders told of in one piece of an export's news."""
_AT_MOST_EVERY = 0.25
"""Seconds between two pieces of an export's news."""
_LOOK_EVERY = 2.0
"""Seconds after which an export is looked at although nothing was heard: a lane may have paused."""
_OVERLAP = dt.timedelta(seconds=5)


def export(tx: Tx, caller: Caller, orders: Sequence[str], *, answers_every: int = 60) -> str:
    """Promise orders to their suppliers; returns the export's id. They leave when this transaction has committed.

    An order that is not ready is refused here, with every reason, and never sent. Up to 500 orders are looked at in this unit; the rest
    of a longer list goes on by `go_on`, chunk by chunk. Raises Invalid for an empty or too long list and for orders there are not.
    """
    ids = list(dict.fromkeys(orders))
    if not 1 <= len(ids) <= MOST_ORDERS:
        message = f"An export holds 1 to {MOST_ORDERS} orders."
        raise errors.Invalid(issues=[Issue(code="order_count", message=message, pointer="/orders", blocks=True)])
    keys = store.orders.keys(tx, ids)
    unknown = [unknown_order(at, order) for at, order in enumerate(orders) if order not in keys]
    if unknown:
        raise errors.Invalid(issues=unknown[:1000])
    pk, export_id = store.exports.begin(tx, [keys[order] for order in ids], caller.name)
    _promise_some(tx, pk, export_id, caller.name, AT_ONCE, answers_every)
    if len(ids) > AT_ONCE:
        timetable.plan(tx, f"{EXPORT}:{export_id}", kind=EXPORT, subject=export_id, every=dt.timedelta(minutes=1))
    signal(tx, TOPIC)
    return export_id


def unknown_order(at: int, order: str) -> Issue:
    name = order[:80]
    return Issue(code="order_unknown", message=f"There is no order {name}.", params={"order": name}, pointer=f"/orders/{at}", blocks=True)


async def go_on(db: Database, export_id: str, *, answers_every: int = 60) -> None:
    """Go on with a long export until every order of it has been looked at; a crash in between loses nothing."""
    while await db.write(_go_on_once, export_id, answers_every):
        pass
    await db.write(timetable.drop, f"{EXPORT}:{export_id}")


def _go_on_once(tx: Tx, export_id: str, answers_every: int) -> bool:
    row = store.exports.get(tx, export_id)
    if row is None:
        return False
    looked_at = _promise_some(tx, row.pk, row.id, row.created_by, CHUNK, answers_every)
    signal(tx, TOPIC)
    return looked_at == CHUNK


def _promise_some(tx: Tx, export_pk: int, export_id: str, actor: str, most: int, answers_every: int) -> int:
    """Look at the next orders of an export: promise those that are ready, refuse the others with every reason."""
    going = store.exports.going(tx, export_pk, most)
    if not going:
        return 0
    ours = company_card(tx)
    ways = mailing.ways(tx, {one.partner for one in going if one.partner is not None})
    promises, promised, digests, entries = [], [], [], []
    refused: list[tuple[int, str, ItemStatus, Sequence[Issue]]] = []
    for one in going:
        order = store.orders.read_order(one.document)
        supplier_issues = ways.issues.get(one.partner) if one.partner is not None else None
        issues = readiness.ready_to_export(order, one.delivery, one.acceptance, has_card=ours is not None, supplier_issues=supplier_issues)
        if issues or ours is None or one.partner is None:
            refused.append((one.position, "", "refused", issues))
            entries.append(_not_sent(one, issues, actor))
            continue
        supplier = ways.suppliers[one.partner]
        trace = msgspec.structs.replace(new_trace(), trace_id=one.trace_id)
        leaving = writing.as_document(order, one.revision, ours.card)
        is_mailed = one.partner in ways.cards
        promises.append(
            Promise(
                kind=mailing.KIND if is_mailed else KIND,
                lane=MAIL_LANE if is_mailed else supplier.lane,
                chain=one.id,
                dedup=f"{export_id}:{one.id}:{one.trace_id}",
                subject=one.id,
                document=documents.write(mailing.letter(leaving, ways.cards[one.partner]) if is_mailed else leaving).decode(),
                trace=trace,
                give_up_after=supplier.give_up_after,
            )
        )
        promised.append(one)
        digests.append(documents.digest(leaving))
        entries.append(
            Entry(
                code="order.queued",
                message=f"{actor} exported order {one.number} to {supplier.name}{', by e-mail' if is_mailed else ''}.",
                direction="out",
                partner=one.partner,
                subject=one.id,
                number=one.number,
                trace_id=one.trace_id,
                actor=actor,
            )
        )
    if promises:
        deliveries = outbox.promise(tx, *promises)
        store.exports.mark_queued(tx, [(one.pk, one.trace_id, digest) for one, digest in zip(promised, digests, strict=True)])
        store.exports.note_items(tx, export_pk, [(one.position, dl, "queued", ()) for one, dl in zip(promised, deliveries, strict=True)])
        for pk in {one.partner for one in promised if one.partner is not None and one.partner not in ways.cards}:
            plan_answers(tx, ways.suppliers[pk].id, answers_every)
    store.exports.note_items(tx, export_pk, refused)
    tell(tx, *entries)
    return len(going)


def _not_sent(one: store.exports.Going, issues: Sequence[Issue], actor: str) -> Entry:
    return Entry(
        code="order.not_exported",
        message=f"Order {one.number} was not exported: {' '.join(issue.message for issue in issues[:3])}{_more(len(issues) - 3)}",
        level="warning",
        partner=one.partner,
        subject=one.id,
        number=one.number,
        trace_id=one.trace_id,
        actor=actor,
        issues=list(issues),
    )


def _more(count: int) -> str:
    return f" (and {count} more)" if count > 0 else ""


def retry(tx: Tx, caller: Caller, export_id: str, *, answers_every: int = 60) -> int:
    """Promise the failed and the stopped orders of an export anew, as they stand now, and nothing else; how many they are.

    Raises NotFound.
    """
    row = _export(tx, export_id)
    count = store.exports.reopen_failed(tx, row.pk)
    _promise_some(tx, row.pk, row.id, caller.name, AT_ONCE, answers_every)
    if count > AT_ONCE:
        timetable.plan(tx, f"{EXPORT}:{row.id}", kind=EXPORT, subject=row.id, every=dt.timedelta(minutes=1))
    signal(tx, TOPIC)
    return count


def stop(tx: Tx, caller: Caller, export_id: str) -> int:
    """Take back what has not left of an export; how many orders that is. What is under way at this moment arrives. Raises NotFound.

    An order nobody has tried to deliver is again what it was before; one that was tried is `unknown`, since it may have arrived unheard.
    """
    row = _export(tx, export_id)
    going = store.exports.stoppable(tx, row.pk)
    untouched = [one for one in going if one.delivery is None]
    tried = outbox.withdraw_these(tx, [one.delivery for one in going if one.delivery])
    taken_back = [one for one in going if one.delivery in tried]
    store.exports.stop(tx, row.pk, untouched, [(one, tried[one.delivery or ""] > 0) for one in taken_back])
    count = len(untouched) + len(taken_back)
    if count:
        message = f"{caller.name} stopped an export; {count} of {row.size} orders did not leave."
        tell(
            tx,
            Entry(code="export.stopped", message=message, subject=row.id, actor=caller.name),
            *(
                Entry(
                    code="order.taken_back",
                    message=f"{caller.name} took order {one.number} back before it left.",
                    partner=one.partner,
                    subject=one.id,
                    number=one.number,
                    trace_id=one.trace_id,
                    actor=caller.name,
                )
                for one in taken_back
            ),
        )
    signal(tx, TOPIC)
    return count


def _export(tx: Tx, id: str) -> Any:
    row = store.exports.get(tx, id)
    if row is None:
        raise errors.NotFound(f"There is no export {id[:40]}; GET /exports lists them, and an id begins with ex_.")
    return row


def export_shown(tx: Tx, id: str, after: int = -1, limit: int = 500) -> tuple[Export, int | None]:
    """An export with some of its orders, and the position after which the rest comes. Raises NotFound."""
    row = _export(tx, id)
    rows = store.exports.items(tx, row.pk, after, limit + 1)
    more = rows[limit - 1].position if len(rows) > limit else None
    counts = _counts(tx, row.pk)
    shown_now = Export(
        id=row.id,
        created_at=row.created_at,
        created_by=row.created_by,
        size=row.size,
        counts=counts,
        is_settled=counts.under_way == 0,
        items=_items(tx, rows[:limit]),
    )
    return shown_now, more


def progress(tx: Tx, id: str, since: dt.datetime | None, told: Mapping[str, str]) -> Progress:
    """What is new of an export: orders whose status differs from what was `told` (status by order id) last. Raises NotFound."""
    row = _export(tx, id)
    counts = _counts(tx, row.pk)
    # A commit may become visible a moment after one with a later time, so the look goes back a little.
    rows = store.exports.items_changed(tx, row.pk, (since or row.created_at) - _OVERLAP, MOST_ORDERS)
    news = [one for one in _items(tx, rows) if told.get(one.order) != one.status]
    return Progress(counts=counts, items=news[:NEWS], is_settled=counts.under_way == 0 and len(news) <= NEWS)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of an export's news, and the moment up to which everything is told."""

    progress: Progress
    until: dt.datetime


async def news(db: Database, id: str, since: dt.datetime | None) -> AsyncGenerator[News, None]:
    """What happens to an export, piece by piece, until every order of it has ended or this server stops. Raises NotFound."""
    awake, leaving = asyncio.Event(), asyncio.Event()
    stop = [db.listen(topic, awake.set) for topic in (TOPIC, ELSEWHERE, LEAVING)]
    stop.append(db.listen(LEAVING, leaving.set))
    told: dict[str, str] = {}
    counts: Counts | None = None
    try:
        while True:
            awake.clear()
            at = now()
            found = await db.read(progress, id, since, told)
            is_cut = len(found.items) == NEWS
            if found.items or found.counts != counts or found.is_settled:
                told |= {one.order: one.status for one in found.items}
                counts = found.counts
                since = since if is_cut else at
                yield News(progress=found, until=since or at)
            if found.is_settled or leaving.is_set():
                return
            if is_cut:
                continue
            # Looking at a long export takes a while; it may take a fifth of the time, not more.
            await asyncio.sleep(max(_AT_MOST_EVERY, 4 * (now() - at).total_seconds()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await awake.wait()
    finally:
        for unlisten in stop:
            unlisten()


def exports_listed(tx: Tx, below: int | None, limit: int) -> tuple[list[ExportSummary], int | None]:
    """A page of exports, newest first, and the key below which the next one begins."""
    rows = store.exports.below(tx, below, limit + 1)
    more = rows[limit - 1].pk if len(rows) > limit else None
    return [ExportSummary(id=row.id, created_at=row.created_at, created_by=row.created_by, size=row.size) for row in rows[:limit]], more


def counts_of(tx: Tx, exports: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many orders of each of these exports stand how; what is under way counts as `queued`."""
    counts: dict[str, dict[str, int]] = {}
    for row in store.exports.counted_in(tx, exports):
        counts.setdefault(row.id, {})[row.status] = row.count
    return counts


def _counts(tx: Tx, export_pk: int) -> Counts:
    rows = store.exports.counted(tx, export_pk)
    closed = closed_lanes(tx, [row.lane for row in rows])
    counts: dict[str, int] = {}
    for row in rows:
        status = _status(row.status, row.state, was_tried=bool(row.tried), is_closed=row.lane in closed)
        counts[status] = counts.get(status, 0) + row.count
    return Counts(**counts)


def _items(tx: Tx, rows: Sequence[ItemRow]) -> list[ExportedOrder]:
    closed = closed_lanes(tx, [row.lane for row in rows if row.status == "queued"])
    items = []
    for row in rows:
        lane = closed.get(row.lane or "")
        status = _status(row.status, row.state, was_tried=bool(row.attempts), is_closed=lane is not None)
        issues = store.orders.read_issues(row.issues)
        items.append(
            ExportedOrder(
                order=row.order,
                number=row.number,
                partner=partner_of(row),
                status=status,
                issues=issues,
                what_to_do=what_to_do(status, issues, lane, by_mail=row.lane == MAIL_LANE),
                trace_id=row.trace_id,
                delivery=row.delivery or None,
                their_id=row.their_id if status in _ARRIVED else None,
                their_page=_their_page(row) if status in _ARRIVED else None,
                changed_at=row.changed_at,
                currency=row.currency,
                net=documents.Exact(row.net),
                attempts=row.attempts or 0,
                next_attempt_at=row.run_at if status == "waiting" and row.state == "ready" else None,
            )
        )
    return items


_ARRIVED = frozenset({"received", "repeated", "held"})


def _their_page(row: ItemRow) -> str | None:
    """Their draft's page. Only a safe address is told: a link to another would let whoever listens in read along."""
    if not row.their_id or not row.endpoint or not is_safe_url(row.endpoint):
        return None
    return f"{base(row.endpoint)}/drafts/{quote(row.their_id, safe='')}"


def _status(status: str, state: str | None, *, was_tried: bool, is_closed: bool) -> Any:
    """What is under way is told from its delivery and its lane, so that a lane that pauses costs no update of its orders."""
    if status != "queued":
        return status
    if state == "leased":
        return "sending"
    return "waiting" if state == "ready" and (is_closed or was_tried) else "queued"
