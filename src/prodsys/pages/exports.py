"""Orders > Export to partner: what the suppliers will say, what became of each order, and what to do about it."""

import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from prodsys import errors
from prodsys.connectors.prodsys.words import ReportContact, ReportLine
from prodsys.documents import Issue, Order, OrderLine
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit.clock import micros
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import encode_cursor
from prodsys.pages.downloads import Rows, taken_away
from prodsys.pages.fields import Form
from prodsys.pages.orders import filter_of
from prodsys.pages.pressing import pressed
from prodsys.pages.refusals import of_them
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, part_text, show
from prodsys.pages.words import N_, STATES, Word, of_language
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier, host_of
from prodsys.purchasing import abroad, actions, choosing, exporting, previewing, store
from prodsys.purchasing.model.exports import Export, ExportedOrder, Previewed
from prodsys.purchasing.store.orders import Kept
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings

SHOWN = 50
MOST_IN_ADDRESS = 90
"""Orders that an address may name; more are only found again by their filter."""

MENDING = (
    N_("The supplier no longer accepts our token: get a new one and enter it under Admin > Integrations > ProdSys to ProdSys."),
    N_("Our token may not create orders there: ask the supplier for one with PurchaseOrders:Create."),
    N_("ProdSys to ProdSys is switched off there: ask the supplier to switch it on. The order leaves by itself then."),
    N_("Switch ProdSys to ProdSys on under Admin > Extensions. The order leaves by itself then."),
    N_("Enter the supplier's address and token under Admin > Integrations > ProdSys to ProdSys."),
    N_("The supplier is switched off as a partner: switch it on under Admin > Integrations."),
    N_("The key that sealed the supplier's token is not here: put its key file back, or enter the token again."),
    N_("The supplier's address leads to something else: check it under Admin > Integrations > ProdSys to ProdSys."),
)
"""What purchasing.model.exports says about a lane that stopped, marked for the catalogues."""

STOPPED = {
    "token_revoked": N_("They have revoked our token. Ask them for a new one and enter it; the orders leave by themselves then."),
    "token_expired": N_("Our token there has expired. Ask them for a new one and enter it; the orders leave by themselves then."),
    "token_unknown": N_("They do not know our token. Ask them for a new one and enter it; the orders leave by themselves then."),
    "scope_missing": N_("Our token may not create orders there. Ask them for one that may; the orders leave by themselves then."),
    "insufficient_scope": N_("Our token may not create orders there. Ask them for one that may; the orders leave by themselves then."),
    "module_off": N_("ProdSys to ProdSys is switched off there. Ask them to switch it on; the orders leave by themselves then."),
}
"""What somebody has to mend before anything leaves to a supplier, by the code of what stopped it."""

_UNRESOLVED = frozenset({"unknown", "ambiguous", "inactive"})
_WORDS = {"price_differs": "price", "unit_differs": "unit", "gtin_mismatch": "ambiguous"}
_TO_LOOK_AT = Word(kind="warn", icon="warn", text=N_("Worth a look"))
_TO_MEND = Word(kind="bad", icon="bad", text=N_("To be mended"))
_NOT_ASKED = Word(kind="idle", icon="open", text=N_("Not asked"))

VERDICTS = {
    "draft": Word(kind="ok", icon="ok", text=N_("Will be a draft")),
    "held": Word(kind="warn", icon="warn", text=N_("Will be held for review")),
    "refused": Word(kind="bad", icon="bad", text=N_("Would be refused")),
    "email": Word(kind="info", icon="ok", text=N_("Will go by e-mail")),
    "unknown": Word(kind="warn", icon="ask", text=N_("Could not be asked")),
}
"""What would become of an order, in the future tense."""


class SeenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line beside what the supplier says of it."""

    line: OrderLine
    word: Word
    issues: list[Issue]
    report: ReportLine | None


class SeenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order beside what would become of it."""

    id: str
    number: str
    revision: int
    order: Order
    would: str
    verdict: Word
    issues: list[Issue]
    """What is true of the whole order, not of one of its lines."""
    problem: str
    doubtful: list[SeenLine]
    fine: list[SeenLine]
    is_picked: bool
    may_leave: bool


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """All orders to one supplier, and how he would know us."""

    supplier: Supplier | None
    name: str
    host: str
    contact: ReportContact | None
    orders: list[SeenOrder]


@get("/exports/new", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def preview(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """What would become of the chosen orders if they were exported now. Nothing is sent."""
    asked = parse_qsl(request.scope["query_string"].decode("latin-1"), max_num_fields=200)
    picked = [value for name, value in asked if name == "order"]
    left = [value for name, value in asked if name == "left"]
    if visitor.query.get("all"):
        picked = await db.read(choosing.matching, filter_of(visitor.query), choosing.MOST_TOGETHER)
    return await _preview(visitor, db, abroad.reach_by(outbound, vault, settings), picked, left)


@post("/exports/new", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def preview_again(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """The same once more, with the boxes as they are ticked now."""
    picked = form.many("order")
    left = [one for one in form.many("seen") if one not in picked]
    if len(picked) + len(left) <= MOST_IN_ADDRESS:
        return go("/exports/new?" + urlencode([*(("order", one) for one in picked), *(("left", one) for one in left)]))
    return await _preview(visitor, db, abroad.reach_by(outbound, vault, settings), picked, left)


@post("/exports", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def export(visitor: NamedDependency[Visitor], form: NamedDependency[Form], settings: NamedDependency[Settings]) -> Response[Any]:
    """Promise the ticked orders to their suppliers; a second press leads to the same export."""
    picked = form.many("order")
    if not picked:
        return go("/orders?delivery=not_sent", "nothing_selected")
    made = await pressed(
        visitor, form, "export", str, exporting.export, visitor.caller, picked, answers_every=settings.answers_every_seconds
    )
    return go(f"/exports/{made}")


@get("/exports", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def exports(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """All exports, newest first."""
    place = visitor.place("exports", int)

    def read(tx: Tx) -> dict[str, Any]:
        found, more = exporting.exports_listed(tx, place[0] if place else None, SHOWN)
        return {
            "rows": found,
            "counts": exporting.counts_of(tx, [one.id for one in found]),
            "next": None if more is None else encode_cursor("exports", more),
        }

    return await show(visitor, "exports.html", here="exports", **await db.read(read))


@get("/exports/{id:str}", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def export_shown(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """How an export goes on, and what became of each order; the address keeps the result."""
    place = visitor.place("export", int)
    facts = await db.read(_facts, id, place[0] if place else -1)
    return await show(visitor, "export.html", here="exports", **facts)


@get("/exports/{id:str}/events", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def export_events(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> ServerSentEvent:
    """The parts of that page that have changed, as they change, until every order has ended."""
    await db.read(exporting.export_shown, id, -1, 1)  # a 404 must come before the stream begins
    return ServerSentEvent(_news(visitor, db, id))


@get("/exports/{id:str}/download", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def download(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The result as a file."""
    await db.read(exporting.export_shown, id, -1, 1)
    speech = visitor.speech
    columns = (N_("Order"), N_("Supplier"), N_("Currency"), N_("Amount"), N_("Result"), N_("What was found"), N_("Trace"), N_("Changed"))
    return await taken_away(f"export-{id}", visitor.query.get("as", "csv"), [speech.say(one) for one in columns], _pages(db, id, speech))


@post("/exports/{id:str}/retry", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def retry(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Send the failed ones again, as they stand now; those that arrived are left alone."""
    await pressed(visitor, form, f"retry {id}", str, exporting.retry, visitor.caller, id, answers_every=settings.answers_every_seconds)
    return go(f"/exports/{id}")


@post("/exports/{id:str}/stop", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def stop(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Take back what has not left; what is under way arrives."""
    count = await db.write(exporting.stop, visitor.caller, id)
    return go(f"/exports/{id}", "export_stopped" if count else "export_not_stopped")


routes = [preview, preview_again, export, exports, export_shown, export_events, download, retry, stop]


async def _preview(visitor: Visitor, db: Database, reach: abroad.Reach, picked: Sequence[str], left: Sequence[str]) -> Response[Any]:
    wanted = list(dict.fromkeys([*picked, *left]))
    if not wanted:
        return go("/orders?delivery=not_sent", "nothing_selected")
    rows = await db.read(store.orders.by_id, wanted)
    known = [one for one in wanted if one in rows]
    if not known:
        raise errors.NotFound
    found = await previewing.preview(db, reach, visitor.caller, known)
    suppliers = await db.read(partners.suppliers, {row.partner for row in rows.values() if row.partner is not None})
    # Who comes from the list has ticked nothing off yet: what would be refused is not sent unless he says so.
    is_first = not left
    seen = [_seen(rows[one.order], one, is_picked=one.order in picked, is_first=is_first) for one in found]
    groups = _groups(rows, found, seen, suppliers)
    going = [one for one in seen if one.is_picked]
    lines = [line for one in seen for line in (*one.doubtful, *one.fine)]
    return await show(
        visitor,
        "export_preview.html",
        here="exports",
        groups=groups,
        exactly=Decimal,
        going=going,
        all_count=len(seen),
        left_count=len(seen) - len(going),
        lines=lines,
        line_count=sum(len(one.doubtful) + len(one.fine) for one in going),
        fine_count=sum(len(one.fine) for one in seen),
        tally=_tally(lines),
        held=[one for one in going if one.would == "held"],
        sums=_sums(going),
        back=visitor.query.get("all") or "",
    )


def _groups(
    rows: Mapping[str, Kept], found: Sequence[Previewed], seen: Sequence[SeenOrder], suppliers: Mapping[int, Supplier]
) -> list[Group]:
    by: dict[int | None, list[tuple[Previewed, SeenOrder]]] = {}
    for one, order in zip(found, seen, strict=True):
        by.setdefault(rows[one.order].partner, []).append((one, order))
    made = []
    for pk, some in by.items():
        supplier = suppliers.get(pk or 0)
        made.append(
            Group(
                supplier=supplier,
                name=supplier.name if supplier else "",
                host=host_of(supplier.endpoint) if supplier else "",
                contact=next((one.report.contact for one, _ in some if one.report), None),
                orders=[order for _, order in some],
            )
        )
    return made


def _seen(row: Kept, found: Previewed, *, is_picked: bool, is_first: bool) -> SeenOrder:
    order = store.orders.read_order(row.document)
    by_line: dict[int, list[Issue]] = {}
    whole: list[Issue] = []
    for issue in found.issues:
        at = _line_at(issue.pointer, len(order.lines))
        (whole if at is None else by_line.setdefault(at, [])).append(issue)
    reports = {line.line_id: line for line in found.report.lines} if found.report else {}
    lines = [
        _seen_line(line, by_line.get(at, []), reports.get(line.line_id)) for at, line in enumerate(order.lines) if line.kind == "article"
    ]
    # What is against an order here stays here; what the supplier would refuse may be tried all the same.
    may_leave = found.report is not None or found.would in ("email", "unknown")
    return SeenOrder(
        id=row.id,
        number=row.number,
        revision=row.revision,
        order=order,
        would=found.would,
        verdict=VERDICTS.get(found.would, VERDICTS["unknown"]),
        issues=whole,
        problem=found.problem,
        doubtful=[line for line in lines if line.word.kind in ("bad", "warn")],
        fine=[line for line in lines if line.word.kind not in ("bad", "warn")],
        is_picked=is_picked and may_leave and not (is_first and found.would == "refused"),
        may_leave=may_leave,
    )


def _line_at(pointer: str | None, count: int) -> int | None:
    steps = (pointer or "").split("/")
    if len(steps) < 3 or steps[1] != "lines" or not steps[2].isascii() or not steps[2].isdigit() or int(steps[2]) >= count:
        return None
    return int(steps[2])


def _seen_line(line: OrderLine, issues: list[Issue], report: ReportLine | None) -> SeenLine:
    words = STATES["line"]
    blocking = next((issue for issue in issues if issue.blocks), None)
    if report is not None and report.how in _UNRESOLVED:
        word = words[report.how]
    elif blocking is not None:
        word = words.get(_WORDS.get(blocking.code, ""), _TO_MEND)
    elif issues:
        word = words.get(_WORDS.get(issues[0].code, ""), _TO_LOOK_AT)
    elif report is not None:
        word = words.get(report.how, words["matched"])
    else:
        word = _NOT_ASKED
    return SeenLine(line=line, word=word, issues=issues, report=report)


def _tally(lines: Iterable[SeenLine]) -> list[tuple[Word, int]]:
    counts: dict[str, tuple[Word, int]] = {}
    for line in lines:
        word, count = counts.get(line.word.text, (line.word, 0))
        counts[line.word.text] = word, count + 1
    rank = {"ok": 0, "idle": 1, "info": 1, "warn": 2, "bad": 3}
    return sorted(counts.values(), key=lambda one: rank[one[0].kind])


def _sums(orders: Iterable[SeenOrder]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in orders:
        sums[one.order.currency] = sums.get(one.order.currency, Decimal(0)) + one.order.net
    return sums


def _facts(tx: Tx, id: str, after: int = -1) -> dict[str, Any]:
    found, more = exporting.export_shown(tx, id, after, SHOWN)
    head = _head(tx, found)
    return {
        **head,
        "rows": [(item, remedy(item, head["stopped"])) for item in found.items],
        "next": None if more is None else encode_cursor("export", more),
    }


def _head(tx: Tx, found: Export) -> dict[str, Any]:
    waiting = {item.partner.id: item.partner.name for item in found.items if item.status == "waiting" and item.partner}
    closed = actions.closed_lanes(tx, list(waiting))
    troubles: list[tuple[str, LaneTurn, str]] = [
        (waiting[name], lane, STOPPED.get(lane.code) or _what_to_do(found, name)) for name, lane in closed.items()
    ]
    stopped = {name for name, lane in closed.items() if lane.state == "stopped"}
    return {
        "stopped": stopped,
        "export": found,
        "done": found.size - found.counts.under_way,
        "tally": _export_tally(found),
        "troubles": troubles,
    }


def _what_to_do(found: Export, partner: str) -> str:
    return next((item.what_to_do for item in found.items if item.partner and item.partner.id == partner and item.what_to_do), "")


def _export_tally(found: Export) -> list[tuple[str, int]]:
    order = ("received", "repeated", "sent_by_email", "held", "refused", "dead", "stopped", "sending", "waiting", "queued")
    return [(name, count) for name in order if (count := getattr(found.counts, name))]


async def _news(visitor: Visitor, db: Database, id: str) -> AsyncIterator[ServerSentEventMessage]:
    async with contextlib.aclosing(exporting.news(db, id, None)) as pieces:
        async for piece in pieces:
            facts = await db.read(_facts_of_news, id, piece.progress.items)
            html = part_text(visitor, "export_news.html", **facts)
            yield ServerSentEventMessage(data=" ".join(html.split("\n")), id=str(micros(piece.until)))
            if piece.progress.is_settled:
                yield ServerSentEventMessage(data="", event="settled")


def _facts_of_news(tx: Tx, id: str, items: Sequence[ExportedOrder]) -> dict[str, Any]:
    found, _ = exporting.export_shown(tx, id, -1, SHOWN)
    head = _head(tx, found)
    return {**head, "rows": [(item, remedy(item, head["stopped"])) for item in items]}


_TO_THE_LINES = frozenset(
    {"article_unknown", "article_inactive", "article_ambiguous", "article_missing", "gtin_mismatch", "quantity_missing",
     "unit_missing", "unit_unknown", "currency_unknown", "supplier_missing", "order_conflict", "revision_superseded", "already_received",
     "amount_too_large"}
)  # fmt: skip
_TO_THE_PARTNER = frozenset(
    {"token_expired", "scope_missing", "partner_not_connected", "partner_inactive", "unauthorized", "insufficient_scope", "buyer_mismatch",
     "buyer_is_us", "contact_blocked", "contact_ambiguous", "contact_belongs_to_other", "mail_refused"}
)  # fmt: skip


def remedy(item: ExportedOrder, stopped: Collection[str] = ()) -> tuple[str, str] | None:
    """What to press about an order that did not arrive, and where that leads; None where nothing is to be done here."""
    if item.status == "waiting" and item.partner and item.partner.id in stopped:
        return N_("Check the connection"), f"/partners/{item.partner.id}"
    if item.status not in ("refused", "dead"):
        return None
    codes = {issue.code for issue in item.issues}
    if codes & _TO_THE_LINES:
        return N_("Correct the order"), f"/orders/{item.order}/edit"
    if "company_card_missing" in codes:
        return N_("Fill in our card"), "/company"
    if codes & {"module_off", "module_off_here"}:
        return N_("Switch it on"), "/modules"
    if item.partner and (codes & _TO_THE_PARTNER or item.status == "dead"):
        return N_("Check the connection"), f"/partners/{item.partner.id}"
    return None


async def _pages(db: Database, id: str, speech: Speech) -> AsyncIterator[Rows]:
    after: int | None = -1
    while after is not None:
        found, after = await db.read(exporting.export_shown, id, after, 500)
        yield [
            [
                item.number,
                item.partner.name if item.partner else "",
                item.currency,
                item.net,
                of_language(speech, "delivery", item.status),
                " ".join(of_them(speech, issue) for issue in item.issues),
                item.trace_id,
                item.changed_at,
            ]
            for item in found.items
        ]
