"""Admin > Logs > Integration logs: from a complaint to its cause, and from there to what mends it."""

import contextlib
import datetime as dt
import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from prodsys import errors
from prodsys.connectors.prodsys.instance import base
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import decode_cursor, encode_cursor
from prodsys.logs import store
from prodsys.logs.model import Logged, weightiest
from prodsys.logs.store import Span
from prodsys.pages import curl, happenings, live, mending, tellings
from prodsys.pages.charts import Bar, bars
from prodsys.pages.downloads import Rows, taken_away
from prodsys.pages.fields import Form
from prodsys.pages.pressing import pressed
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, part_text, show
from prodsys.pages.words import N_, of_language
from prodsys.partners import store as partner_store
from prodsys.purchasing import carrying, exporting, replaying
from prodsys.purchasing import store as purchasing
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings

SHOWN = 50
MOST_PARTNERS = 500
RELATED = 100
"""Entries of one trace that are shown."""
MOST_COUNTED = 2_000
"""Entries an hour that are counted where they have to be looked at; the chart says when there are more."""
LOOKED_AT = 50_000
"""Entries looked at for one page where only the direction is asked for, which no index knows; the page says how far it has looked."""
CAUSES = 50
AT_ONCE = 500
A_DAY = dt.timedelta(hours=24)
TROUBLED = dt.timedelta(days=7)
"""How far back grouped errors go unless said."""
_STEPS = (dt.timedelta(hours=1), dt.timedelta(hours=3), dt.timedelta(hours=6), dt.timedelta(days=1), dt.timedelta(days=7))
_MOST_BARS = 48
_TRACE = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[a-z]{2}_[0-9A-Z]{26}")
_WORDS = ("partner", "direction", "level", "code", "number", "trace", "subject")
MOST_PRETTY = 65_536


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for."""

    partner: str | None = None
    direction: str | None = None
    level: str | None = None
    code: str | None = None
    number: str | None = None
    trace: str | None = None
    subject: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is about everything, or everything of one partner, so that counting by the hour is cheap."""
        return not (self.direction or self.code or self.number or self.trace or self.subject)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a trace: what we noted, and what the other side did or said, as far as we know it."""

    entry: Logged
    title: str
    said: str = ""
    """What the other side answered, in short."""
    is_said_bad: bool = False


@get("/logs", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def logs(visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """Entries newest first, how many there were by the hour, and what goes wrong most often."""
    words = visitor.query.get("q", "").strip()
    if _ID.fullmatch(words) and words.startswith("lg_"):
        return go(f"/logs/{words}")
    wanted = _wanted(visitor, words)
    if visitor.query.get("view") == "causes":
        return await _causes(visitor, db, settings, wanted)
    place = visitor.place("logs", int)
    edges = _edges(wanted, visitor)

    is_live = bool(visitor.query.get("live")) and place is None

    def read(tx: Tx) -> dict[str, Any]:
        before = place[0] if place else None
        low, newest = None, store.newest(tx)
        if wanted.direction and not (wanted.number or wanted.trace or wanted.subject):
            low = max((before or newest + 1) - LOOKED_AT, 1)
        rows = _some(tx, wanted, before, low, SHOWN + 1)
        last = rows[SHOWN - 1][0] if len(rows) > SHOWN else low if low and low > 1 else None
        names = _names(tx)
        key = _key_of(tx, wanted.partner)
        has_chart = wanted.is_whole and place is None and not (wanted.partner and key is None)
        return {
            "rows": [entry for _, entry in rows[:SHOWN]],
            "next": None if last is None else encode_cursor("logs", last),
            "is_cut": last is not None and len(rows) <= SHOWN,
            "names": names,
            "spans": store.spans(tx, edges, partner=key, most=MOST_COUNTED) if has_chart else [],
            "since": encode_cursor("live", newest),
        }

    facts = await db.read(read)
    spans: list[Span] = facts["spans"]
    return await show(
        visitor,
        "logs.html",
        here="logs",
        view="",
        words=words,
        wanted=wanted,
        settings=settings,
        called=happenings.called,
        codes=happenings.HAPPENINGS,
        is_live=is_live,
        most_live=live.MOST,
        about=partial(mending.link_to, caller=visitor.caller),
        chart=_chart(visitor, spans),
        total=sum(span.count for span in spans),
        failed=sum(span.errors for span in spans),
        is_day=wanted.since is None and wanted.until is None,
        **facts,
    )


@get("/logs/events", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def events(request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> ServerSentEvent:
    """The rows of that page as they are written, from where it, or the line that broke, had come to."""
    place = await db.read(store.newest)
    with contextlib.suppress(errors.Invalid):
        place = decode_cursor(request.headers.get("last-event-id") or visitor.query["since"], "live", int)[0]
    return ServerSentEvent(_rows_as_they_come(visitor, db, _wanted(visitor, visitor.query.get("q", "").strip()), place))


async def _rows_as_they_come(visitor: Visitor, db: Database, wanted: Wanted, place: int) -> AsyncIterator[ServerSentEventMessage]:
    facts: dict[str, Any] = {
        "names": await db.read(_names),
        "called": happenings.called,
        "about": partial(mending.link_to, caller=visitor.caller),
    }

    def matching(tx: Tx, first: int, most: int) -> list[tuple[int, Logged]]:
        return _some(tx, wanted, None, first, most)

    async with contextlib.aclosing(live.follow(db, matching, place)) as pieces:
        async for piece in pieces:
            html = part_text(visitor, "logs_news.html", rows=piece.entries, **facts) if piece.entries else ""
            yield ServerSentEventMessage(data=" ".join(html.split("\n")), id=encode_cursor("live", piece.place))
    yield ServerSentEventMessage(data=" ".join(part_text(visitor, "logs_over.html", wanted=wanted).split("\n")))
    yield ServerSentEventMessage(data="", event="over")


_COLUMNS = (
    N_("Time"),
    N_("Outcome"),
    N_("What"),
    N_("Order"),
    N_("Partner"),
    N_("Direction"),
    N_("By"),
    N_("Message"),
    N_("Trace"),
    N_("Kind"),
)


@get("/logs/download", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def download(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The same list, whole, as a file; without the documents that were exchanged."""
    speech = visitor.speech
    pages = _pages(db, _wanted(visitor, visitor.query.get("q", "").strip()), speech)
    return await taken_away("integration-logs", visitor.query.get("as", "csv"), [speech.say(name) for name in _COLUMNS], pages)


async def _pages(db: Database, wanted: Wanted, speech: Speech) -> AsyncIterator[Rows]:
    names, before = await db.read(_names), await db.read(store.newest) + 1
    while before > 1:
        low = max(before - LOOKED_AT, 1)
        found = await db.read(_some, wanted, before, low)
        yield [
            [
                entry.at,
                of_language(speech, "level", entry.level),
                speech.say(happenings.called(entry.code)),
                entry.number,
                names.get(entry.partner or "", ""),
                entry.direction,
                tellings.by_whom(speech, entry.actor),
                tellings.told(speech, entry.code, entry.message, entry.issues),
                entry.trace_id,
                entry.code,
            ]
            for _, entry in found
        ]
        before = found[-1][0] if len(found) == AT_ONCE else low


def _some(tx: Tx, wanted: Wanted, before: int | None, down_to: int | None, limit: int = AT_ONCE) -> list[tuple[int, Logged]]:
    return store.page(
        tx,
        before=before,
        limit=limit,
        trace_id=wanted.trace,
        level=wanted.level,
        code=wanted.code,
        partner=wanted.partner,
        number=wanted.number,
        subject=wanted.subject,
        direction=wanted.direction,
        since=wanted.since,
        until=wanted.until,
        down_to=down_to,
    )


@get("/logs/{id:str}", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def entry(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """One entry: what is wrong, who can mend it and how, what was exchanged, and the rest of its trace."""
    return await _entry(visitor, db, settings, id)


@post("/logs/{id:str}/send-again", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def send_again(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Send the order of this entry again as it is now; what has arrived before is there only once."""
    try:
        made = await pressed(visitor, form, f"again {id}", str, _again, visitor.caller, id, settings.answers_every_seconds)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _entry(visitor, db, settings, id, refusal)
    return go(f"/exports/{made}")


routes = [logs, events, download, entry, send_again]


async def _causes(visitor: Visitor, db: Database, settings: Settings, wanted: Wanted) -> Response[Any]:
    since = wanted.since or now() - TROUBLED
    levels = [wanted.level] if wanted.level else ["error", "warning"]

    def read(tx: Tx) -> dict[str, Any]:
        found = [trouble for level in levels for trouble in store.troubles(tx, since=since, level=level, partner=wanted.partner)]
        return {
            "troubles": [(trouble, mending.advice(trouble.newest)) for trouble in found[:CAUSES]],
            "more": len(found) > CAUSES,
            "names": _names(tx),
        }

    return await show(
        visitor,
        "logs.html",
        here="logs",
        view="causes",
        words="",
        wanted=wanted,
        settings=settings,
        called=happenings.called,
        codes=happenings.HAPPENINGS,
        who=mending.WHO,
        place=mending.place,
        since=since,
        **await db.read(read),
    )


async def _entry(visitor: Visitor, db: Database, settings: Settings, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        found = store.one(tx, id)
        if found is None:
            raise errors.NotFound
        related = store.page(tx, before=None, limit=RELATED, trace_id=found.trace_id) if found.trace_id else []
        # What a flow tells is about the flow; what it carried is in the ledger by its number.
        carried = found.number if found.code.startswith("flow.") else found.subject
        kept = purchasing.deliveries.below(tx, None, 10, lane=None, state=None, subject=carried) if carried else []
        ours = purchasing.orders.get(tx, found.subject) if found.subject else None
        return {
            "entry": found,
            "carried": carried,
            "lines": [_line(one) for _, one in reversed(related)],
            "tries": [one for one in map(carrying.delivery_entry, kept) if one.trace_id == found.trace_id],
            "names": _names(tx),
            "is_ours": ours is not None,
            "command": _curl(tx, found, settings, ours.their_id if ours else None),
        }

    facts = await db.read(read)
    found: Logged = facts["entry"]
    advice = mending.advice(found)
    return await show(
        visitor,
        "log.html",
        here="logs",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        title=happenings.called(found.code),
        advice=advice,
        who=mending.WHO,
        mended_at=mending.place(advice.where, found) if advice else "",
        reasons=[(issue, mending.of_issue(found, issue)) for issue in found.issues],
        about=mending.link_to(found.subject, visitor.caller),
        request=_pretty(found.request),
        answer=_pretty(found.response),
        settings=settings,
        bodies_until=found.at + dt.timedelta(days=settings.log_bodies_days),
        called=happenings.called,
        weightiest=weightiest,
        may_send_again=facts["is_ours"] and visitor.may(Scope.PURCHASE_ORDERS_EXPORT),
        **facts,
    )


def _curl(tx: Tx, entry: Logged, settings: Settings, their_id: str | None) -> str:
    """What sends an entry's document once more, from a command line; empty where there is nothing to send."""
    path = curl.door(entry, their_id)
    if not path or entry.request is None:
        return ""
    if entry.direction == "in":
        return curl.command(settings.public_url.rstrip("/"), path, entry.request, entry.trace_id)
    supplier = partner_store.supplier_named(tx, entry.partner) if entry.partner else None
    return "" if supplier is None or not supplier.endpoint else curl.command(base(supplier.endpoint), path, entry.request, entry.trace_id)


def _again(tx: Tx, caller: Caller, id: str, answers_every: int) -> str:
    """The export that carries the order once more: by today's rules, or what was changed of it since."""
    found = store.one(tx, id)
    if found is None:
        raise errors.NotFound
    order = purchasing.orders.get(tx, found.subject)
    if order is not None and order.delivery == "not_sent":
        return exporting.export(tx, caller, [found.subject], answers_every=answers_every)
    return replaying.replay_entry(tx, caller, id, answers_every=answers_every)


def _wanted(visitor: Visitor, words: str) -> Wanted:
    told: dict[str, Any] = {name: visitor.query.get(name) for name in _WORDS}
    if told["level"] not in (None, "info", "warning", "error"):
        told["level"] = None
    if told["direction"] not in (None, "in", "out", "here"):
        told["direction"] = None
    if _TRACE.fullmatch(words):
        told["trace"] = words
    elif _ID.fullmatch(words):
        told["subject"] = words
    elif words:
        told["number"] = words
    return Wanted(**told, since=_moment(visitor, "from"), until=_moment(visitor, "to"))


def _moment(visitor: Visitor, name: str) -> dt.datetime | None:
    """A moment as the browser's field sends it, in the reader's zone; what is none is no filter."""
    try:
        local = dt.datetime.fromisoformat(visitor.query.get(name, ""))
        return (local if local.tzinfo else local.replace(tzinfo=visitor.speech.zone)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def _edges(wanted: Wanted, visitor: Visitor) -> list[dt.datetime]:
    """The moments between the bars: whole hours, or as many together as fit into 48 bars."""
    end = min(wanted.until or now(), now())
    begin = wanted.since or end - A_DAY
    if begin >= end:
        return []
    step = next((step for step in _STEPS if (end - begin) / step <= _MOST_BARS), _STEPS[-1])
    local = end.astimezone(visitor.speech.zone)
    last = local.replace(minute=0, second=0, microsecond=0) + (dt.timedelta(hours=1) if local.minute or local.second else dt.timedelta(0))
    if step >= dt.timedelta(days=1):
        last = local.replace(hour=0, minute=0, second=0, microsecond=0) + dt.timedelta(days=1)
    count = min(_MOST_BARS, -(-(last - begin) // step))
    return [(last - step * back).astimezone(dt.UTC) for back in range(count, -1, -1)]


def _chart(visitor: Visitor, spans: Sequence[Span]) -> Any:
    """Bars by the hour; a click on one leads to what happened then."""
    speech = visitor.speech
    if not spans or not any(span.count for span in spans):
        return ""
    is_hours = spans[0].end - spans[0].begin < dt.timedelta(days=1)
    rows = []
    for span in spans:
        local = span.begin.astimezone(speech.zone)
        label = f"{local:%H}:00" if is_hours else f"{local.day}.{local.month}."
        title = speech.say(
            "%(at)s: %(count)s entries, %(warnings)s to look at, %(errors)s failed",
            at=speech.moment(span.begin),
            count=speech.number(span.count),
            warnings=_capped(speech.number(span.warnings), span.warnings),
            errors=_capped(speech.number(span.errors), span.errors),
        )
        well = max(span.count - span.warnings - span.errors, 0)
        href = visitor.address(**{"from": _local(span.begin, visitor), "to": _local(span.end, visitor), "view": None})
        rows.append(Bar(label=label, counts=(span.errors, span.warnings, well), title=title, href=href))
    every = max(1, len(rows) // 8)
    return bars(rows, ("b-bad", "b-warn", "b-ok"), speech.say("Entries by the hour"), every=every, width=1080)


def _capped(shown: str, count: int) -> str:
    return f"{shown}+" if count >= MOST_COUNTED else shown


def _local(moment: dt.datetime, visitor: Visitor) -> str:
    return moment.astimezone(visitor.speech.zone).strftime("%Y-%m-%dT%H:%M")


def _line(entry: Logged) -> Line:
    """What the other side said stands in the reasons it gave; of what came in, the whole entry is theirs."""
    title = happenings.called(entry.code)
    if entry.direction == "out" and entry.issues:
        reason = weightiest(entry.issues)
        assert reason is not None  # noqa: S101 - there are some
        return Line(entry=entry, title=title, said=reason.message, is_said_bad=entry.level != "info")
    return Line(entry=entry, title=title)


def _names(tx: Tx) -> dict[str, str]:
    return {one.id: one.name for one in partner_store.called(tx, MOST_PARTNERS)}


def _key_of(tx: Tx, partner: str | None) -> int | None:
    if not partner:
        return None
    known = partner_store.supplier_named(tx, partner)
    return None if known is None else known.pk


def _pretty(body: str | None) -> str | None:
    """A document as people read it; one that was cut, or is none, as it is."""
    if body is None or len(body) > MOST_PRETTY:
        return body
    try:
        return msgspec.json.format(body, indent=2)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return body
