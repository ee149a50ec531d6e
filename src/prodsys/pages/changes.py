"""Admin > Logs > Changes: who set what otherwise, when, from what to what; nothing of it is ever changed or dropped."""

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any, get_args

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.logs import store
from prodsys.logs.model import Changed, ChangedKind
from prodsys.pages import mending
from prodsys.pages.downloads import Rows, taken_away
from prodsys.pages.visitor import Visitor, show
from prodsys.pages.words import N_
from prodsys.scopes import Scope, allows

SHOWN = 50
AT_ONCE = 500
LONGEST = 200

KINDS: dict[str, str] = {
    "token": N_("Token"),
    "partner": N_("Partner"),
    "module": N_("Extension"),
    "user": N_("User"),
    "group": N_("Group"),
    "contact": N_("Contact"),
    "article": N_("Article"),
    "mapping": N_("Learned number"),
    "agreed_price": N_("Agreed price"),
    "company": N_("Company card"),
    "subscription": N_("Subscription"),
    "webhook": N_("Webhook"),
    "setting": N_("Setting"),
    "connection": N_("ERP connection"),
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One member that was changed, as text; None where there was nothing before, or is nothing after."""

    member: str
    before: str | None
    after: str | None


_COLUMNS = (N_("Time"), N_("Kind"), N_("What"), N_("Field"), N_("Before"), N_("After"), N_("By whom"))


@get("/changes", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def changes(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Newest first, by what was changed, by whom, and which one."""
    place = visitor.place("changes-log", int)
    rows = await db.read(_some, visitor, place[0] if place else None, SHOWN + 1)
    kinds = {word: KINDS.get(word, word) for word in get_args(ChangedKind)}
    return await show(
        visitor,
        "changes.html",
        here="changes",
        kind=_kind(visitor),
        kinds=kinds,
        page_of=mending.page_of,
        rows=[(change, steps(change)) for _, change in rows[:SHOWN]],
        next=encode_cursor("changes-log", rows[SHOWN - 1][0]) if len(rows) > SHOWN else None,
    )


@get("/changes/download", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def download(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The same list, whole, as a file: a row for every field that was changed."""
    say = visitor.speech.say
    return await taken_away("changes", visitor.query.get("as", "csv"), [say(name) for name in _COLUMNS], _pages(visitor, db))


async def _pages(visitor: Visitor, db: Database) -> AsyncIterator[Rows]:
    say, before = visitor.speech.say, None
    while True:
        found = await db.read(_some, visitor, before, AT_ONCE)
        yield [
            [
                change.at,
                say(KINDS.get(change.kind, change.kind)),
                change.what,
                step.member,
                step.before or "",
                step.after or "",
                change.actor,
            ]
            for _, change in found
            for step in steps(change) or [Step(member="", before=None, after=None)]
        ]
        if len(found) < AT_ONCE:
            return
        before = found[-1][0]


def _some(tx: Tx, visitor: Visitor, before: int | None, limit: int) -> list[tuple[int, Changed]]:
    last = _day(visitor, "to")
    return store.changes_page(
        tx,
        before=before,
        limit=limit,
        kind=_kind(visitor),
        subject=visitor.query.get("subject"),
        actor=visitor.query.get("actor"),
        since=_day(visitor, "from"),
        until=None if last is None else last + dt.timedelta(days=1),
    )


def _kind(visitor: Visitor) -> str | None:
    kind = visitor.query.get("kind")
    return kind if kind in get_args(ChangedKind) else None


routes = [changes, download]


def steps(change: Changed) -> list[Step]:
    """What was changed, member by member."""
    before, after = change.before or {}, change.after or {}
    return [Step(member=name, before=_said(before, name), after=_said(after, name)) for name in {**before, **after}]


def _said(members: dict[str, Any], name: str) -> str | None:
    if name not in members or members[name] is None:
        return None
    value = members[name]
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _day(visitor: Visitor, name: str) -> dt.datetime | None:
    """The beginning of a day where the reader is; what is no day is no filter."""
    try:
        day = dt.date.fromisoformat(visitor.query.get(name, ""))
        return dt.datetime.combine(day, dt.time(), visitor.speech.zone).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
