"""Write, export, hear back: the verbs of the buyer's desk."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from prodsys import documents, errors
from prodsys.articles.store import numbers_at
from prodsys.company.store import card as company_card
from prodsys.connectors.prodsys import Change as TheirChange
from prodsys.connectors.prodsys import Changes, CursorGone, Prodsys, Report, Sending, Taken
from prodsys.documents import Acceptance, Delivery, Fulfilment, Issue, Order, Party, Validation
from prodsys.exchange import engine, outbox, timetable
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead, Promise
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, signal
from prodsys.kit.outbound import Later, Misconfigured, Outbound
from prodsys.kit.sheets import BadFile, Table
from prodsys.kit.telemetry import Metrics, new_trace, parse_traceparent
from prodsys.kit.vault import Secret, Vault, VaultLocked
from prodsys.kit.web import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.store import is_on
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier, ready
from prodsys.purchasing import model, store
from prodsys.purchasing.model import (
    ChangedOrder,
    DeliveryEntry,
    Export,
    ExportedOrder,
    ExportSummary,
    Imported,
    NewLine,
    NewOrder,
    OrderPartner,
    Previewed,
    Progress,
    PurchaseLine,
    PurchaseOrder,
    PurchaseSummary,
    Totals,
)
from prodsys.purchasing.store import Arrived, Failed, Filter, Gone, Heard, ItemRow, Kept, Written
from prodsys.scopes import PRODSYS_MODULE, Caller
from prodsys.settings import Settings

KIND = "order"
"""The kind of promise an exported order is."""
ANSWERS = "answers"
"""The kind of task that asks a supplier for answers; its subject is the partner's id."""
EXPORT = "export"
"""The kind of task that goes on with a long export; its subject is the export's id."""
TOPIC = "exports"
"""Signalled when an order of an export changes its status."""

NEWS = 500
"""Orders told of in one piece of an export's news."""
_OVERLAP = dt.timedelta(seconds=5)
_MOST_FAULTS = 10_000
_NO_CARD = Party(name="?")


class Abroad(Protocol):
    """A supplier's instance as this room speaks to it; `connectors.prodsys.Prodsys` is one."""

    async def send(self, orders: Sequence[Sending], /) -> list[Any]: ...
    async def preview(self, orders: Sequence[str], /) -> Any: ...
    async def changes(self, after: str | None, /) -> Any: ...


Reach = Callable[[Supplier], Abroad]
"""How a supplier is reached. Raises VaultLocked when his token cannot be unsealed."""


def reach_by(out: Outbound, vault: Vault, settings: Settings) -> Reach:
    """Reach suppliers over the network, with the token each of them gave us."""

    def reach(supplier: Supplier) -> Abroad:
        token = None if supplier.sealed is None else Secret(vault.unseal(supplier.sealed))
        return Prodsys(out, supplier.endpoint, token, trust=supplier.trust, timeout=settings.delivery_timeout_seconds)

    return reach


def create(tx: Tx, caller: Caller, new: NewOrder) -> PurchaseOrder:
    """Write an order down. Raises Invalid with every fault, AlreadyExists when its number is taken."""
    number = documents.plain(new.number) if new.number else store.next_number(tx)
    made = store.insert_orders(tx, [_written(tx, number, 1, new.content())], caller.name)
    if not made:
        raise errors.AlreadyExists(f"There is an order {number} already; give this one another number.")
    signal(tx, "orders")
    return shown(tx, made[0])


def change(tx: Tx, caller: Caller, id: str, changed: ChangedOrder, if_match: str | None) -> PurchaseOrder:
    """Let an order say something else; a delivered one becomes the next revision, to be exported again (ruling 14).

    Raises IfMatchMissing, Stale, NotFound, Invalid, and WrongState while it is on its way.
    """
    row = _kept(tx, id, lock=True)
    must_match(if_match, etag(row.id, row.version))
    model.must(row.delivery, "change", row.number)
    before = store.read_order(row.document)
    revision = model.next_revision(row.revision, row.delivery, row.validation, store.read_issues(row.issues))
    one = _written(tx, row.number, revision, changed, taken=[line.line_id for line in before.lines])
    if not store.rewrite(tx, row.pk, row.version, one):
        raise errors.Stale
    tell(
        tx,
        Entry(
            code="order.changed",
            message=f"{caller.name} changed order {row.number}; it is revision {revision} now.",
            partner=one.partner,
            subject=row.id,
            number=row.number,
            actor=caller.name,
        ),
    )
    return shown(tx, id)


def copy(tx: Tx, caller: Caller, id: str) -> PurchaseOrder:
    """Write down a new order that says the same under the next number, dated today."""
    row = _kept(tx, id)
    order = store.read_order(row.document)
    ours = store.line_articles(tx, row.pk)
    lines = [
        NewLine(
            **{field: getattr(line, field) for field in NewLine.__struct_fields__ if field != "article"}, article=ours.get(line.line_id, "")
        )
        for line in order.lines
    ]
    kept = {field: getattr(order, field) for field in ChangedOrder.__struct_fields__ if field not in ("partner", "date", "lines")}
    content = ChangedOrder(**kept, partner=row.partner_id or "", lines=lines)
    made = store.insert_orders(tx, [_written(tx, store.next_number(tx), 1, content)], caller.name)
    return shown(tx, made[0])


def delete(tx: Tx, caller: Caller, id: str, if_match: str | None) -> None:
    """Take an order out of the books, as long as nothing of it was ever sent. Raises WrongState otherwise, IfMatchMissing, Stale."""
    row = _kept(tx, id, lock=True)
    must_match(if_match, etag(row.id, row.version))
    if row.sent_at is not None:
        raise errors.WrongState(f"Order {row.number} has been sent; it stays in the books.")
    model.must(row.delivery, "delete", row.number)
    store.forget(tx, row.pk)
    message = f"{caller.name} deleted order {row.number}, which was never sent."
    tell(tx, Entry(code="order.deleted", message=message, partner=row.partner, subject=row.id, number=row.number, actor=caller.name))


def import_table(tx: Tx, caller: Caller, table: Table | BadFile) -> Imported:
    """Write down the orders of a file: all of them, or none when a single row is bad. Raises BadFile with every fault of every row."""
    if isinstance(table, BadFile):
        raise errors.BadFile(table.message, issues=[Issue(code=table.code, message=table.message, blocks=True)])
    orders, issues = model.listed_orders(table)
    taken = store.ids(tx, [one.number for one in orders])
    known = _Known(tx, [one.new.content() for one in orders])
    many = []
    for one in orders:
        if one.number in taken:
            message = f"There is an order {one.number} already."
            issues.append(model.row_fault(one.rows[0], "number", "already_exists", message, number=one.number))
        order, found = _write(known, one.number, 1, one.new.content())
        issues += [_at_its_row(issue, one.rows) for issue in found]
        many.append(order)
    if issues or not many:
        raise errors.BadFile(issues=issues[:_MOST_FAULTS])
    made = store.insert_orders(tx, many, caller.name)
    if len(made) != len(many):
        raise errors.BadFile("Another file with the same order numbers came in at this moment; look at the list of orders.")
    line_count = sum(len(one.rows) for one in orders)
    message = f"{caller.name} imported {len(made)} orders with {line_count} lines."
    tell(tx, Entry(code="orders.imported", message=message, actor=caller.name))
    signal(tx, "orders")
    return Imported(orders=made, line_count=line_count)


_COLUMNS = {"partner": "supplier"}


def _at_its_row(issue: Issue, rows: Sequence[int]) -> Issue:
    steps = (issue.pointer or "").split("/")
    row = rows[int(steps[2])] if len(steps) > 3 and steps[1] == "lines" else rows[0]
    return model.row_fault(row, _COLUMNS.get(steps[-1], steps[-1]), issue.code, issue.message, **issue.params)


class _Known:
    """What many orders need to know of our articles and suppliers, asked once for all of them."""

    def __init__(self, tx: Tx, contents: Sequence[ChangedOrder]) -> None:
        self.articles = store.articles_named(tx, {documents.plain(line.article) for one in contents for line in one.lines if line.article})
        self.suppliers = store.suppliers_named(tx, {documents.plain(one.partner) for one in contents if one.partner})
        pks = {article.pk for article in self.articles.values()}
        keys = {found[0][0] for found in self.suppliers.values() if len(found) == 1}
        self.numbers = {key: numbers_at(tx, key, pks) for key in keys}
        ours = company_card(tx)
        self.card = ours.card if ours else _NO_CARD
        self.today = now().date()


def _written(tx: Tx, number: str, revision: int, content: ChangedOrder, taken: Sequence[str] = ()) -> Written:
    one, issues = _write(_Known(tx, [content]), number, revision, content, taken)
    if issues:
        raise errors.Invalid(issues=issues)
    return one


def _write(known: _Known, number: str, revision: int, content: ChangedOrder, taken: Sequence[str] = ()) -> tuple[Written, list[Issue]]:
    word = documents.plain(content.partner)
    found = known.suppliers.get(word, [])
    issues = []
    if word and not found:
        message = f"There is no supplier {word}; name one by id, exact name or organisation number."
        issues.append(Issue(code="supplier_unknown", message=message, params={"supplier": word}, pointer="/partner", blocks=True))
    if len(found) > 1:
        message = f"More than one supplier is called {word}; name the one you mean by its id: {', '.join(name for _, name in found)}."
        issues.append(Issue(code="supplier_ambiguous", message=message, params={"supplier": word}, pointer="/partner", blocks=True))
    partner = found[0][0] if found else None
    lines, faults = model.written_lines(content.lines, known.articles, known.numbers.get(partner, {}) if partner else {}, taken)
    order = model.written(number, revision, content, lines, known.card, known.today)
    notes = model.local_issues(order)
    currency = [issue for issue in notes if issue.code == "currency_unknown"]
    return (
        Written(partner=partner, order=order, lines=lines, issues=notes, validation=Validation.ISSUES if notes else Validation.CLEAN),
        [*issues, *currency, *faults],
    )


def _kept(tx: Tx, id: str, *, lock: bool = False) -> Kept:
    row = store.order(tx, id, lock=lock)
    if row is None:
        raise errors.NotFound
    return row


def shown(tx: Tx, id: str) -> PurchaseOrder:
    """One order, whole. Raises NotFound."""
    row = _kept(tx, id)
    order = store.read_order(row.document)
    ours = store.line_articles(tx, row.pk)
    return PurchaseOrder(
        id=row.id,
        number=row.number,
        revision=row.revision,
        partner=_partner(row),
        date=row.date,
        currency=row.currency,
        net=documents.Exact(row.net),
        deliver_to=order.deliver_to,
        requested_date=order.requested_date,
        buyer_reference=order.buyer_reference,
        quote_reference=order.quote_reference,
        payment_terms=order.payment_terms,
        delivery_terms=order.delivery_terms,
        delivery_place=order.delivery_place,
        note=order.note,
        charges=order.charges,
        lines=[_line(line, ours.get(line.line_id)) for line in order.lines],
        delivery=_travelled(tx, row),
        validation=Validation(row.validation),
        acceptance=Acceptance(row.acceptance),
        fulfilment=Fulfilment(row.fulfilment),
        issues=store.read_issues(row.issues),
        their_id=row.their_id,
        their_order_number=row.their_order_number,
        reason=row.reason,
        trace_id=row.trace_id,
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
        sent_at=row.sent_at,
        etag=etag(row.id, row.version),
    )


def _line(line: documents.OrderLine, article: str | None) -> PurchaseLine:
    same = {field: getattr(line, field) for field in PurchaseLine.__struct_fields__ if field not in ("article", "net")}
    return PurchaseLine(**same, article=article, net=None if line.net is None else documents.Exact(line.net))


def _partner(row: Kept | ItemRow) -> OrderPartner | None:
    return OrderPartner(id=row.partner_id, name=row.partner_name or "") if row.partner_id else None


def _travelled(tx: Tx, row: Kept) -> model.Travelled:
    if row.delivery != "queued":
        return row.delivery  # type: ignore[return-value]  # the column holds nothing else
    if store.is_leaving(tx, row.id):
        return "sending"
    return "waiting" if _closed_lanes(tx, [row.partner_id]) else "queued"


def _closed_lanes(tx: Tx, names: Sequence[str | None]) -> dict[str, outbox.LaneTurn]:
    lanes = outbox.lane_states(tx, sorted({name for name in names if name}))
    return {name: lane for name, lane in lanes.items() if lane.state != "open"}


def listed(tx: Tx, wanted: Filter, after: tuple[Any, ...] | None, limit: int) -> tuple[list[PurchaseSummary], tuple[str | int, ...] | None]:
    """A page of orders, and where the next one begins."""
    rows = store.listed(tx, wanted, after, limit + 1)
    more = store.place(wanted, rows[limit - 1]) if len(rows) > limit else None
    rows = rows[:limit]
    closed = _closed_lanes(tx, [row.partner_id for row in rows if row.delivery == "queued"])
    return [_summary(row, closed) for row in rows], more


def _summary(row: Kept, closed: Mapping[str, outbox.LaneTurn]) -> PurchaseSummary:
    delivery: Any = "waiting" if row.delivery == "queued" and row.partner_id in closed else row.delivery
    return PurchaseSummary(
        id=row.id,
        number=row.number,
        revision=row.revision,
        partner=_partner(row),
        date=row.date,
        currency=row.currency,
        net=documents.Exact(row.net),
        delivery=delivery,
        validation=Validation(row.validation),
        acceptance=Acceptance(row.acceptance),
        fulfilment=Fulfilment(row.fulfilment),
        issue_count=len(store.read_issues(row.issues)),
        their_order_number=row.their_order_number,
        reason=row.reason,
        trace_id=row.trace_id,
        changed_at=row.changed_at,
        etag=etag(row.id, row.version),
    )


def totals(tx: Tx, wanted: Filter) -> Totals:
    """How much a list holds, up to a thousand orders."""
    count, net = store.totals(tx, wanted)
    return Totals(
        count=min(count, store.MOST_COUNTED),
        is_more=count > store.MOST_COUNTED,
        net={currency: documents.Exact(amount) for currency, amount in sorted(net.items())},
    )


def export(tx: Tx, caller: Caller, orders: Sequence[str], *, answers_every: int = 60) -> str:
    """Promise orders to their suppliers; returns the export's id. They leave when this transaction has committed.

    An order that is not ready is refused here, with every reason, and never sent. Up to 500 orders are looked at in this unit; the rest
    of a longer list goes on by `go_on`, chunk by chunk. Raises Invalid for an empty or too long list and for orders there are not.
    """
    ids = list(dict.fromkeys(orders))
    if not 1 <= len(ids) <= model.MOST_ORDERS:
        message = f"An export holds 1 to {model.MOST_ORDERS} orders."
        raise errors.Invalid(issues=[Issue(code="order_count", message=message, pointer="/orders", blocks=True)])
    keys = store.keys(tx, ids)
    unknown = [_unknown_order(at, order) for at, order in enumerate(orders) if order not in keys]
    if unknown:
        raise errors.Invalid(issues=unknown[:1000])
    pk, export_id = store.new_export(tx, [keys[order] for order in ids], caller.name)
    _promise_some(tx, pk, export_id, caller.name, model.AT_ONCE, answers_every)
    if len(ids) > model.AT_ONCE:
        timetable.plan(tx, f"{EXPORT}:{export_id}", kind=EXPORT, subject=export_id, every=dt.timedelta(minutes=1))
    signal(tx, TOPIC)
    return export_id


def _unknown_order(at: int, order: str) -> Issue:
    name = order[:80]
    return Issue(code="order_unknown", message=f"There is no order {name}.", params={"order": name}, pointer=f"/orders/{at}", blocks=True)


async def go_on(db: Database, export_id: str, *, answers_every: int = 60) -> None:
    """Go on with a long export until every order of it has been looked at; a crash in between loses nothing."""
    while await db.write(_go_on_once, export_id, answers_every):
        pass
    await db.write(timetable.drop, f"{EXPORT}:{export_id}")


def _go_on_once(tx: Tx, export_id: str, answers_every: int) -> bool:
    row = store.export_row(tx, export_id)
    if row is None:
        return False
    looked_at = _promise_some(tx, row.pk, row.id, row.created_by, model.CHUNK, answers_every)
    signal(tx, TOPIC)
    return looked_at == model.CHUNK


def _promise_some(tx: Tx, export_pk: int, export_id: str, actor: str, most: int, answers_every: int) -> int:
    """Look at the next orders of an export: promise those that are ready, refuse the others with every reason."""
    going = store.going(tx, export_pk, most)
    if not going:
        return 0
    at = now()
    module_on = is_on(tx, PRODSYS_MODULE)
    ours = company_card(tx)
    suppliers = partners.suppliers(tx, {one.partner for one in going if one.partner is not None})
    standing = {pk: ready(supplier, module_on, at) for pk, supplier in suppliers.items()}
    promises, promised, entries = [], [], []
    refused: list[tuple[int, str, model.ItemStatus, Sequence[Issue]]] = []
    for one in going:
        order = store.read_order(one.document)
        supplier_issues = standing.get(one.partner) if one.partner is not None else None
        issues = model.ready_to_export(order, one.delivery, has_card=ours is not None, supplier_issues=supplier_issues)
        if issues or ours is None or one.partner is None:
            refused.append((one.position, "", "refused", issues))
            entries.append(_not_sent(one, issues, actor))
            continue
        supplier = suppliers[one.partner]
        trace = msgspec.structs.replace(new_trace(), trace_id=one.trace_id)
        promises.append(
            Promise(
                kind=KIND,
                lane=supplier.lane,
                chain=one.id,
                dedup=f"{export_id}:{one.id}:{one.trace_id}",
                subject=one.id,
                document=documents.write(model.as_document(order, one.revision, ours.card)).decode(),
                trace=trace,
                give_up_after=supplier.give_up_after,
            )
        )
        promised.append(one)
        entries.append(
            Entry(
                code="order.queued",
                message=f"{actor} exported order {one.number} to {supplier.name}.",
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
        store.mark_queued(tx, [(one.pk, one.trace_id) for one in promised])
        store.note_items(tx, export_pk, [(one.position, dl, "queued", ()) for one, dl in zip(promised, deliveries, strict=True)])
        for pk in {one.partner for one in promised if one.partner is not None}:
            plan_answers(tx, suppliers[pk].id, answers_every)
    store.note_items(tx, export_pk, refused)
    tell(tx, *entries)
    return len(going)


def _not_sent(one: store.Going, issues: Sequence[Issue], actor: str) -> Entry:
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


def plan_answers(tx: Tx, partner: str, every_seconds: int) -> None:
    """From now on ask this supplier (by id) for answers, by the clock; planning it again changes only how often."""
    timetable.plan(tx, f"{ANSWERS}:{partner}", kind=ANSWERS, subject=partner, every=dt.timedelta(seconds=every_seconds))


def retry(tx: Tx, caller: Caller, export_id: str, *, answers_every: int = 60) -> int:
    """Promise the failed orders of an export anew, as they stand now, and nothing else; how many they are. Raises NotFound."""
    row = store.export_row(tx, export_id)
    if row is None:
        raise errors.NotFound
    count = store.reopen_failed(tx, row.pk)
    _promise_some(tx, row.pk, row.id, caller.name, model.AT_ONCE, answers_every)
    if count > model.AT_ONCE:
        timetable.plan(tx, f"{EXPORT}:{row.id}", kind=EXPORT, subject=row.id, every=dt.timedelta(minutes=1))
    signal(tx, TOPIC)
    return count


def send_again(tx: Tx, caller: Caller, delivery: str) -> DeliveryEntry:
    """Send what died once more, exactly as it was. Raises NotFound, WrongState with the reason."""
    row = store.delivery(tx, delivery)
    if row is None:
        raise errors.NotFound
    if row.state != "dead":
        raise errors.WrongState("Only a delivery that died can be sent again as it was; export a refused order anew when it is mended.")
    if not row.has_document:
        raise errors.WrongState("What was sent has been purged, so it cannot be sent again as it was; export the order anew.")
    trace = parse_traceparent(row.traceparent)
    if row.kind == KIND and not store.requeue(tx, row.subject, row.id, trace.trace_id if trace else ""):
        raise errors.WrongState("The order has been changed or exported since; export it anew instead.")
    if not outbox.send_again(tx, row.id):
        raise errors.WrongState("Somebody else has just sent it again.")
    outbox.probe_soon(tx, row.lane)
    trace_id = trace.trace_id if trace else ""
    message = f"{caller.name} sent a delivery again that had died."
    entry = Entry(code="delivery.sent_again", message=message, direction="out", subject=row.subject, actor=caller.name, trace_id=trace_id)
    tell(tx, entry)
    signal(tx, TOPIC)
    again = store.delivery(tx, delivery)
    return delivery_entry(again or row)


def delivery_entry(row: store.DeliveryRow) -> DeliveryEntry:
    """A row of the ledger as it is shown."""
    trace = parse_traceparent(row.traceparent)
    same = {field: getattr(row, field) for field in DeliveryEntry.__struct_fields__ if field not in ("trace_id", "may_resend")}
    return DeliveryEntry(**same, trace_id=trace.trace_id if trace else "", may_resend=row.state == "dead" and row.has_document)


def export_shown(tx: Tx, id: str, after: int = -1, limit: int = 500) -> tuple[Export, int | None]:
    """An export with some of its orders, and the position after which the rest comes. Raises NotFound."""
    row = store.export_row(tx, id)
    if row is None:
        raise errors.NotFound
    rows = store.items(tx, row.pk, after, limit + 1)
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
    row = store.export_row(tx, id)
    if row is None:
        raise errors.NotFound
    counts = _counts(tx, row.pk)
    # A commit may become visible a moment after one with a later time, so the look goes back a little.
    rows = store.items_changed(tx, row.pk, (since or row.created_at) - _OVERLAP, model.MOST_ORDERS)
    news = [one for one in _items(tx, rows) if told.get(one.order) != one.status]
    return Progress(counts=counts, items=news[:NEWS], is_settled=counts.under_way == 0 and len(news) <= NEWS)


def exports_listed(tx: Tx, below: int | None, limit: int) -> tuple[list[ExportSummary], int | None]:
    """A page of exports, newest first, and the key below which the next one begins."""
    rows = store.exports_below(tx, below, limit + 1)
    more = rows[limit - 1].pk if len(rows) > limit else None
    return [ExportSummary(id=row.id, created_at=row.created_at, created_by=row.created_by, size=row.size) for row in rows[:limit]], more


def _counts(tx: Tx, export_pk: int) -> model.Counts:
    rows = store.counted(tx, export_pk)
    closed = _closed_lanes(tx, [row.lane for row in rows])
    counts: dict[str, int] = {}
    for row in rows:
        status = _status(row.status, row.state, was_tried=bool(row.tried), is_closed=row.lane in closed)
        counts[status] = counts.get(status, 0) + row.count
    return model.Counts(**counts)


def _items(tx: Tx, rows: Sequence[ItemRow]) -> list[ExportedOrder]:
    closed = _closed_lanes(tx, [row.partner_id for row in rows if row.status == "queued"])
    items = []
    for row in rows:
        lane = closed.get(row.partner_id or "")
        status = _status(row.status, row.state, was_tried=bool(row.attempts), is_closed=lane is not None)
        issues = store.read_issues(row.issues)
        items.append(
            ExportedOrder(
                order=row.order,
                number=row.number,
                partner=_partner(row),
                status=status,
                issues=issues,
                what_to_do=model.what_to_do(status, issues, lane),
                trace_id=row.trace_id,
                delivery=row.delivery or None,
                changed_at=row.changed_at,
            )
        )
    return items


def _status(status: str, state: str | None, *, was_tried: bool, is_closed: bool) -> Any:
    """What is under way is told from its delivery and its lane, so that a lane that pauses costs no update of its orders."""
    if status != "queued":
        return status
    if state == "leased":
        return "sending"
    return "waiting" if state == "ready" and (is_closed or was_tried) else "queued"


class OrderDesk:
    """A supplier's order desk as a target of the engine. What he has already is found by sending it again, and matching is his to do."""

    def __init__(self, abroad: Abroad) -> None:
        self._abroad = abroad

    async def find(self, documents: Sequence[Sending], /) -> list[Outcome | None]:
        """Nothing is known before he is asked: to ask is to send (ruling 14)."""
        return [None for _ in documents]

    async def match(self, documents: Sequence[Sending], /) -> list[list[Issue]]:
        """The lines are matched over there."""
        return [[] for _ in documents]

    async def create(self, documents: Sequence[Sending], issues: Sequence[list[Issue]], /) -> list[Outcome]:
        """Send the orders together."""
        return [_outcome(sent) for sent in await self._abroad.send(documents)]


def _outcome(sent: Taken | outbound.Refused | Later | Misconfigured) -> Outcome:
    match sent:
        case Taken(receipt=receipt, answer=answer):
            return Placed(id=receipt.id, new=receipt.new, answer=answer)
        case outbound.Refused(problem=problem):
            return Refused(
                code=problem.code or "order_refused",
                title=problem.detail or problem.title,
                issues=list(problem.issues),
                status=problem.status,
                trace_id=problem.trace_id,
                answer=msgspec.json.encode(problem),
            )
        case Later() | Misconfigured():
            return sent


class OrderKind:
    """Orders as the courier carries them: to the supplier's desk, and what came of it into our books."""

    def __init__(self, db: Database, reach: Reach, metrics: Metrics | None = None) -> None:
        self._db = db
        self._reach = reach
        self._metrics = metrics

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]:
        """Carry the orders of one lane to its supplier, together."""
        lane = promises[0].lane
        supplier, trouble = await self._db.read(_reachable, lane, _STOPS)
        if supplier is None or trouble is not None:
            return [trouble or _GONE for _ in promises]
        try:
            desk = OrderDesk(self._reach(supplier))
        except VaultLocked as locked:
            return [Misconfigured(reason="vault_locked", detail=str(locked)) for _ in promises]
        sendings = [Sending(document=one.document, traceparent=one.traceparent) for one in promises]
        outcomes = await engine.place_abroad(sendings, desk)
        if self._metrics is not None:
            for outcome in outcomes:
                self._metrics.exports_total.labels(partner=lane, result=_result(outcome)).inc()
        return outcomes

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None:
        """Write down what came of it."""
        settle(tx, ended)


_GONE = Misconfigured(reason="partner_not_connected", detail="This supplier is not a partner any more.")
_STOPS = {"module_off": "module_off_here", "partner_inactive": "partner_inactive", "partner_not_connected": "partner_not_connected"}
"""What stops a delivery here; a token that looks expired is tried all the same, since only the supplier knows."""


_STOPS_HEARING = {code: reason for code, reason in _STOPS.items() if code != "module_off"}
"""With the module off nothing is sent, but what was sent is still heard of (product.md, A3)."""


def _reachable(tx: Tx, lane: str, stops: Mapping[str, str]) -> tuple[Supplier | None, Misconfigured | None]:
    supplier = partners.supplier_named(tx, lane)
    if supplier is None:
        return None, _GONE
    for issue in ready(supplier, is_on(tx, PRODSYS_MODULE), now()):
        if issue.code in stops:
            return supplier, Misconfigured(reason=stops[issue.code], detail=issue.message)
    return supplier, None


def _result(outcome: Outcome) -> str:
    match outcome:
        case Placed():
            return "received" if outcome.new else "repeated"
        case Refused():
            return "refused"
        case _:
            return "waiting"


class _SeenLine(msgspec.Struct, frozen=True):
    line_id: str = ""
    how: str = ""


class _SeenReceipt(msgspec.Struct, frozen=True):
    """A Receipt as far as we act on it; lenient, because its writer may be newer than we are."""

    validation: str = Validation.CLEAN.value
    trace_id: str = ""
    lines: list[_SeenLine] = []
    issues: list[Issue] = []


_read_receipt = msgspec.json.Decoder(_SeenReceipt).decode
_write_issues = msgspec.json.Encoder().encode


def settle(tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
    """Write down how deliveries of orders ended: in the order, in its export and in the log, for the whole batch at once.

    One that waits needs no writing: its status is told from its lane.
    """
    gone = store.gone(tx, [claimed.subject for claimed, outcome in ended if not isinstance(outcome, Later | Misconfigured)])
    arrived: list[Arrived] = []
    failed: list[Failed] = []
    entries: list[Entry] = []
    for claimed, outcome in ended:
        order = gone.get(claimed.subject)
        if order is None:
            continue
        trace_id = claimed.traceparent[3:35]
        match outcome:
            case Placed():
                one, entry = _arrived(order, claimed, outcome, trace_id)
                arrived.append(one)
                entries.append(entry)
            case Refused():
                sent = _document(claimed.document)
                issues = model.in_our_words(outcome, sent, order.partner_name or "The supplier")
                failed.append(
                    Failed(order=order.pk, promise=claimed.id, sent_as=trace_id, trace_id=trace_id, issues=issues, status="refused")
                )
                entries += _refusal_entries(order, claimed, outcome, issues, trace_id)
            case Dead(reason=reason):
                what = "Check the supplier's address and token, then send it again."
                issue = Issue(code="delivery_dead", message=f"{reason} {what}", blocks=True)
                failed.append(
                    Failed(order=order.pk, promise=claimed.id, sent_as=trace_id, trace_id=trace_id, issues=[issue], status="dead")
                )
                message = f"Order {order.number} did not reach {order.partner_name}: {issue.message}"
                entries.append(_entry(order, "order.dead", message, trace_id, level="error", issues=[issue], request=claimed.document))
            case Later() | Misconfigured():
                pass
    store.settle(tx, arrived, failed)
    if entries:
        tell(tx, *entries)
    signal(tx, TOPIC)


def _arrived(order: Gone, claimed: Claimed, placed: Placed, sent_as: str) -> tuple[Arrived, Entry]:
    answer = placed.answer.decode("utf-8", "replace")
    try:
        seen = _read_receipt(answer) if answer else _SeenReceipt()
    except msgspec.MsgspecError:
        seen = _SeenReceipt()
    status = model.receipt_status(is_new=placed.new, hows={line.how for line in seen.lines})
    validation = seen.validation if seen.validation in (Validation.CLEAN, Validation.ISSUES) else Validation.ISSUES.value
    trace_id = seen.trace_id if len(seen.trace_id) == 32 else sent_as
    issues = _write_issues(seen.issues).decode() if seen.issues else "[]"
    one = Arrived(
        order=order.pk,
        promise=claimed.id,
        sent_as=sent_as,
        trace_id=trace_id,
        their_id=placed.id,
        receipt=answer or None,
        validation=validation,
        issues=issues,
        status=status,
    )
    what = {"held": "has it and holds it, because some lines are unclear there", "repeated": "had it already"}.get(status, "has it")
    message = f"Order {order.number} was delivered: {order.partner_name} {what}."
    level = "warning" if status == "held" else "info"
    entry = _entry(order, "order.delivered", message, trace_id, level=level, issues=seen.issues, request=claimed.document, response=answer)
    return one, entry


def _refusal_entries(order: Gone, claimed: Claimed, refused: Refused, issues: Sequence[Issue], trace_id: str) -> list[Entry]:
    first = _entry(
        order,
        "order.refused",
        f"{order.partner_name} refused order {order.number}: {len(issues)} thing{'s' if len(issues) != 1 else ''} to mend.",
        trace_id,
        level="error",
        issues=issues,
        request=claimed.document,
        response=refused.answer.decode("utf-8", "replace"),
    )
    each = [
        _entry(order, one.code, f"Order {order.number}: {one.message}", trace_id, level="error" if one.blocks else "warning", issues=[one])
        for one in issues[: model.MOST_LOGGED]
    ]
    return [first, *each]


def _entry(
    order: Gone,
    code: str,
    message: str,
    trace_id: str,
    *,
    level: Any = "info",
    issues: Sequence[Issue] = (),
    request: str | None = None,
    response: str | None = None,
) -> Entry:
    return Entry(
        code=code,
        message=message,
        level=level,
        direction="out",
        partner=order.partner,
        subject=order.id,
        number=order.number,
        trace_id=trace_id,
        actor="courier",
        issues=list(issues),
        request=request,
        response=response,
    )


def _document(text: str) -> Order | None:
    try:
        order: Order = store.read_order(text)
    except msgspec.MsgspecError:
        return None
    return order


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An order somebody wants to see the fate of: what is against it here, and what would be sent."""

    row: Kept
    issues: list[Issue]
    document: str


class _Looked(msgspec.Struct, frozen=True, kw_only=True):
    asked: list[_Asked]
    suppliers: dict[int, Supplier]


async def preview(db: Database, reach: Reach, caller: Caller, orders: Sequence[str]) -> list[Previewed]:
    """What would become of each order if it were exported now: one dry run per supplier, nothing is stored but a log line.

    A supplier who does not answer makes his orders `unknown`, with the reason. Raises Invalid for orders there are not.
    """
    ids = list(dict.fromkeys(orders))
    if not 1 <= len(ids) <= model.MOST_PREVIEWED:
        message = f"A preview holds 1 to {model.MOST_PREVIEWED} orders."
        raise errors.Invalid(issues=[Issue(code="order_count", message=message, pointer="/orders", blocks=True)])
    looked = await db.read(_look, ids)
    found: dict[str, Previewed] = {}
    for partner, supplier in looked.suppliers.items():
        some = [one for one in looked.asked if one.row.partner == partner and not one.issues]
        if some:
            found |= await _preview_at(reach, supplier, some)
    result = [found.get(one.row.id) or _previewed(one, "refused") for one in looked.asked]
    await db.write(_note_preview, caller, result)
    return result


def _look(tx: Tx, ids: Sequence[str]) -> _Looked:
    rows = store.orders(tx, ids)
    unknown = [_unknown_order(at, order) for at, order in enumerate(ids) if order not in rows]
    if unknown:
        raise errors.Invalid(issues=unknown)
    ours = company_card(tx)
    suppliers = partners.suppliers(tx, {row.partner for row in rows.values() if row.partner is not None})
    module_on, at = is_on(tx, PRODSYS_MODULE), now()
    standing = {pk: ready(supplier, module_on, at) for pk, supplier in suppliers.items()}
    asked = []
    for order_id in ids:
        row = rows[order_id]
        order = store.read_order(row.document)
        supplier_issues = standing.get(row.partner) if row.partner is not None else None
        issues = model.ready_to_export(order, row.delivery, has_card=ours is not None, supplier_issues=supplier_issues)
        document = model.as_document(order, row.revision, ours.card if ours else _NO_CARD)
        asked.append(_Asked(row=row, issues=issues, document=documents.write(document).decode()))
    return _Looked(asked=asked, suppliers=suppliers)


async def _preview_at(reach: Reach, supplier: Supplier, some: Sequence[_Asked]) -> dict[str, Previewed]:
    try:
        answer = await reach(supplier).preview([one.document for one in some])
    except VaultLocked as locked:
        answer = Misconfigured(reason="vault_locked", detail=str(locked))
    if isinstance(answer, list):
        return {one.row.id: _previewed(one, report.would, report=report) for one, report in zip(some, answer, strict=True)}
    problem = f"{supplier.name} could not be asked: {_said(answer)}"
    return {one.row.id: _previewed(one, "unknown", problem=problem) for one in some}


def _said(trouble: Later | Misconfigured | outbound.Refused) -> str:
    return trouble.problem.detail or trouble.problem.title if isinstance(trouble, outbound.Refused) else trouble.detail


def _previewed(one: _Asked, would: str, *, report: Report | None = None, problem: str = "") -> Previewed:
    issues = [*one.issues, *(report.issues if report else ())]
    return Previewed(
        order=one.row.id, number=one.row.number, partner=_partner(one.row), would=would, issues=issues, report=report, problem=problem
    )


def _note_preview(tx: Tx, caller: Caller, result: Sequence[Previewed]) -> None:
    counts: dict[str, int] = {}
    for one in result:
        counts[one.would] = counts.get(one.would, 0) + 1
    would = ", ".join(f"{count} {would}" for would, count in sorted(counts.items()))
    only = result[0] if len(result) == 1 else None
    tell(
        tx,
        Entry(
            code="export.previewed",
            message=f"{caller.name} previewed {len(result)} order{'s' if len(result) != 1 else ''}: {would}.",
            direction="out",
            subject=only.order if only else "",
            number=only.number if only else "",
            actor=caller.name,
        ),
    )


async def pull_answers(db: Database, reach: Reach, partner: str) -> str:
    """Hear from a supplier (by id) everything he has said since last time; returns why not, or an empty text.

    Each page is applied in one unit together with the new cursor. A cursor that is gone means he has begun a new life: the feed is read
    from its beginning again, which changes nothing that is true still (ruling 8).
    """
    supplier, trouble = await db.read(_reachable, partner, _STOPS_HEARING)
    if supplier is None or trouble is not None:
        return (trouble or _GONE).detail
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
                return _said(answer)


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
    row = await db.read(_kept, id)
    if row.partner_id is None or row.sent_at is None:
        raise errors.WrongState(f"Order {row.number} has not been sent to anybody, so there is nothing to hear.")
    trouble = await pull_answers(db, reach, row.partner_id)
    if trouble:
        raise errors.PartnerUnreachable(trouble)
    return await db.read(shown, id)


def tasks(db: Database, reach: Reach, *, answers_every: int = 60) -> dict[str, Callable[[str], Awaitable[None]]]:
    """What this room does by the clock, by kind of task."""

    async def answers(partner: str) -> None:
        await pull_answers(db, reach, partner)

    async def exports(id: str) -> None:
        await go_on(db, id, answers_every=answers_every)

    return {ANSWERS: answers, EXPORT: exports}
