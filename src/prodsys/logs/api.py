"""The doors of Admin > Logs: Integration logs and Changes."""

import datetime as dt
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.db import Database
from prodsys.kit.web import After, IfNoneMatch, Limit, Page, decode_cursor, encode_cursor, etag_of, tagged
from prodsys.logs import store
from prodsys.logs.model import Changed, ChangedKind, Level, Logged
from prodsys.scopes import Scope, allows

Moment = Annotated[dt.datetime | None, QueryParameter(description="RFC 3339 with a zone.")]


@get(
    "/logs",
    operation_id="list_log_entries",
    summary="Integration logs, newest first",
    description="One trace id leads through both companies' logs. The exchanged documents stand in the single entry.",
    tags=["logs"],
    **allows(Scope.LOGS_READ),
)
async def list_log_entries(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    trace_id: Annotated[str | None, QueryParameter(description="Only entries of this trace, in either company's half of it.")] = None,
    level: Annotated[Level | None, QueryParameter(description="Only entries of this level.")] = None,
    code: Annotated[str | None, QueryParameter(description="Only entries with this code, such as order.refused.")] = None,
    partner: Annotated[str | None, QueryParameter(description="Only entries of this partner, by id.")] = None,
    number: Annotated[str | None, QueryParameter(description="Only entries of this order number.")] = None,
    subject: Annotated[str | None, QueryParameter(description="Only entries of this order or token, by id.")] = None,
    since: Moment = None,
    until: Moment = None,
) -> Page[Logged]:
    before = None if after is None else decode_cursor(after, "logs", int)[0]
    rows = await db.read(
        store.page,
        before=before,
        limit=limit + 1,
        trace_id=trace_id,
        level=level,
        code=code,
        partner=partner,
        number=number,
        subject=subject,
        since=_with_zone(since, "since"),
        until=_with_zone(until, "until"),
    )
    shown = rows[:limit]
    return Page(items=[entry for _, entry in shown], next=encode_cursor("logs", shown[-1][0]) if len(rows) > limit else None)


@get(
    "/logs/{entry_id:str}", operation_id="read_log_entry", summary="One entry with its documents", tags=["logs"], **allows(Scope.LOGS_READ)
)
async def read_log_entry(entry_id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[Logged]:
    entry = await db.read(store.one, entry_id)
    if entry is None:
        raise errors.NotFound(f"There is no log entry {entry_id[:40]}; old ones are dropped after the days chosen for the log.")
    # Not by its id alone: its documents are dropped some day.
    return tagged(entry, etag_of(entry_id, entry), if_none_match)


@get(
    "/changes-log",
    operation_id="list_changes",
    summary="Who changed what, newest first",
    description=(
        "Changes of tokens, partners and their rules, users, modules, contacts, articles, prices, mappings and our own card: who, when, "
        "from what to what. Nothing of it is ever changed or purged."
    ),
    tags=["logs"],
    **allows(Scope.LOGS_READ),
)
async def list_changes(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    kind: Annotated[ChangedKind | None, QueryParameter(description="Only changes of such things.")] = None,
    subject: Annotated[str | None, QueryParameter(max_length=200, description="Only changes of this one, by id.")] = None,
    actor: Annotated[str | None, QueryParameter(max_length=200, description="Only changes made by this person or token.")] = None,
    since: Moment = None,
    until: Moment = None,
) -> Page[Changed]:
    before = None if after is None else decode_cursor(after, "changes-log", int)[0]
    rows = await db.read(
        store.changes_page,
        before=before,
        limit=limit + 1,
        kind=kind,
        subject=subject,
        actor=actor,
        since=_with_zone(since, "since"),
        until=_with_zone(until, "until"),
    )
    shown = rows[:limit]
    return Page(items=[change for _, change in shown], next=encode_cursor("changes-log", shown[-1][0]) if len(rows) > limit else None)


def _with_zone(moment: dt.datetime | None, name: str) -> dt.datetime | None:
    if moment is not None and moment.tzinfo is None:
        message = "A moment needs its zone, as 2026-11-21T10:00:00Z."
        raise errors.Invalid(issues=[Issue(code="zone_missing", message=message, pointer=f"/query/{name}", blocks=True)])
    return moment


routes = [list_log_entries, read_log_entry, list_changes]
