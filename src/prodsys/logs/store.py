"""The rows of the integration logs."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, ScalarSelect, bindparam, func, insert, select

from prodsys import documents
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Hot, Tx, hot
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import current_trace, cut, redact
from prodsys.logs.model import MAX_BODY, Changed, ChangedKind, Entry, Logged, weightiest
from prodsys.tables import changes, log_entries, partners

_tell = hot(insert(log_entries))
_note_change = hot(insert(changes))
_read_members = msgspec.json.Decoder(dict[str, Any]).decode
_write = msgspec.json.Encoder().encode
_read_issues = msgspec.json.Decoder(list[Issue]).decode
_NEVER = 2**63 - 1

_HEAD = (
    log_entries.c.pk,
    log_entries.c.id,
    log_entries.c.at,
    log_entries.c.level,
    log_entries.c.code,
    log_entries.c.message,
    log_entries.c.direction,
    log_entries.c.trace_id,
    partners.c.id.label("partner_id"),
    log_entries.c.subject,
    log_entries.c.number,
    log_entries.c.actor,
    log_entries.c.issues,
)


def tell(tx: Tx, *entries: Entry) -> None:
    """Log what happened, in the same transaction as what happened.

    Exchanged documents are kept with secrets redacted, cut at 64 KiB aloud. An entry without a trace belongs to the one we are in.
    """
    at = now()
    trace = current_trace.get()
    ours = trace.trace_id if trace else ""
    _tell.many(
        tx,
        [
            {
                "id": new_id("lg"),
                "at": at,
                "level": entry.level,
                "code": entry.code,
                "message": redact(entry.message),
                "direction": entry.direction,
                "partner": entry.partner,
                "subject": entry.subject,
                "number": entry.number,
                "trace_id": entry.trace_id or ours,
                "actor": entry.actor,
                "issues": redact(_write(entry.issues).decode()) if entry.issues else None,
                "request": _kept(entry.request),
                "response": _kept(entry.response),
            }
            for entry in entries
        ],
    )


def _kept(body: str | None) -> str | None:
    return None if body is None else cut(redact(body), MAX_BODY)


def page(
    tx: Tx,
    *,
    before: int | None,
    limit: int,
    trace_id: str | None = None,
    level: str | None = None,
    code: str | None = None,
    partner: str | None = None,
    number: str | None = None,
    subject: str | None = None,
    direction: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    down_to: int | None = None,
) -> list[tuple[int, Logged]]:
    """Entries newest first, with their keys for the cursor. Rows are written in the order of time, so a time is a place in the keys.

    `down_to` is the lowest key looked at, for words no index knows.
    """
    query = select(*_HEAD).join(partners, partners.c.pk == log_entries.c.partner, isouter=True)
    for column, wanted in (("trace_id", trace_id), ("level", level), ("code", code), ("number", number), ("subject", subject)):
        if wanted is not None:
            query = query.where(log_entries.c[column] == wanted)
    if direction is not None:
        query = query.where(log_entries.c.direction == direction)
    if partner is not None:
        # With a word that finds a few rows, walking the partner's many would be the worse index; `+ 0` keeps SQLite from it.
        whose = log_entries.c.partner + 0 if (trace_id or number or subject) else log_entries.c.partner
        query = query.where(whose == select(partners.c.pk).where(partners.c.id == partner).scalar_subquery())
    if since is not None:
        query = query.where(log_entries.c.pk >= _first_at(since))
    if until is not None:
        query = query.where(log_entries.c.pk < func.coalesce(_first_at(until), _NEVER))
    if before is not None:
        query = query.where(log_entries.c.pk < before)
    if down_to is not None:
        query = query.where(log_entries.c.pk >= down_to)
    rows = tx.execute(query.order_by(log_entries.c.pk.desc()).limit(limit)).all()
    return [(row.pk, _logged(row)) for row in rows]


def newest(tx: Tx) -> int:
    """The key of the newest entry; 0 for an empty log."""
    return int(tx.execute(select(func.max(log_entries.c.pk))).scalar() or 0)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries were written from one moment to the next, and how many of them are warnings and errors."""

    begin: dt.datetime
    end: dt.datetime
    count: int
    warnings: int
    errors: int


_first_from = hot(
    select(log_entries.c.pk).where(log_entries.c.at >= bindparam("moment")).order_by(log_entries.c.at, log_entries.c.pk).limit(1)
)
_between = (log_entries.c.pk >= bindparam("first"), log_entries.c.pk < bindparam("end"))


def _counted(*where: ColumnElement[bool]) -> Hot[Any]:
    some = select(log_entries.c.pk).where(*_between, *where).limit(bindparam("most")).subquery()
    return hot(select(func.count().label("count")).select_from(some))


_level, _whose = log_entries.c.level == bindparam("level"), log_entries.c.partner == bindparam("whose")
_of_level, _of_partner, _of_both = _counted(_level), _counted(_whose), _counted(_whose, _level)


def spans(tx: Tx, edges: Sequence[dt.datetime], *, partner: int | None = None, most: int = 2_000) -> list[Span]:
    """How many entries lie between each two of these moments, counted no further than `most` each, so that it costs the same in any log.

    All entries together are not counted but measured by their keys, which follow the time: rolled back ones count along.
    """
    found = [row.pk if (row := _first_from.first(tx, {"moment": edge})) else None for edge in edges]
    behind = newest(tx) + 1
    keys = [behind if key is None else int(key) for key in found]
    told = []
    for begin, end, first, last in zip(edges, edges[1:], keys, keys[1:], strict=False):
        at = {"first": first, "end": last, "most": most, "whose": partner}
        count = last - first if partner is None else _how_many(tx, _of_partner, at)
        by_level = _of_level if partner is None else _of_both
        warnings, errors = (_how_many(tx, by_level, at | {"level": level}) if count else 0 for level in ("warning", "error"))
        told.append(Span(begin=begin, end=end, count=count, warnings=warnings, errors=errors))
    return told


def _how_many(tx: Tx, counted: Hot[Any], at: Mapping[str, Any]) -> int:
    row = counted.first(tx, at)
    return 0 if row is None else int(row.count)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Entries with the same cause: as often as they were seen, and the newest of them."""

    newest: Logged
    issue: Issue | None
    """The newest one's weightiest reason, whose code all of them share; None when they name none."""
    times: int


def troubles(tx: Tx, *, since: dt.datetime, level: str, partner: str | None = None, most: int = 500) -> list[Trouble]:
    """The newest entries of a level, those of one cause together: the same word, partner and weightiest reason. Most frequent first."""
    rows = page(tx, before=None, limit=most, level=level, since=since, partner=partner)
    found: dict[tuple[Any, ...], Trouble] = {}
    for _, entry in rows:
        if "." not in entry.code:  # a detail of another entry, where it is counted
            continue
        issue = weightiest(entry.issues)
        key = (entry.code, entry.partner, issue and issue.code)
        known = found.get(key)
        found[key] = Trouble(newest=entry, issue=issue, times=1) if known is None else msgspec.structs.replace(known, times=known.times + 1)
    return sorted(found.values(), key=lambda trouble: -trouble.times)


def one(tx: Tx, entry_id: str) -> Logged | None:
    """One entry with the documents that were exchanged."""
    query = (
        select(*_HEAD, log_entries.c.request, log_entries.c.response)
        .join(partners, partners.c.pk == log_entries.c.partner, isouter=True)
        .where(log_entries.c.id == entry_id)
    )
    row = tx.execute(query).first()
    return None if row is None else _logged(row, request=row.request, response=row.response)


def _first_at(moment: dt.datetime) -> ScalarSelect[int]:
    return (
        select(log_entries.c.pk).where(log_entries.c.at >= moment).order_by(log_entries.c.at, log_entries.c.pk).limit(1).scalar_subquery()
    )


def _logged(row: Any, **documents: str | None) -> Logged:
    return Logged(
        id=row.id,
        at=row.at,
        level=row.level,
        code=row.code,
        message=row.message,
        direction=row.direction,
        trace_id=row.trace_id,
        partner=row.partner_id,
        subject=row.subject,
        number=row.number,
        actor=row.actor,
        issues=_read_issues(row.issues) if row.issues else [],
        **documents,
    )


Said = msgspec.Struct | Mapping[str, Any]
"""A document, or some of its members by name."""


def note_change(
    tx: Tx, actor: str, kind: ChangedKind, subject: str, what: str, before: Said | None = None, after: Said | None = None
) -> None:
    """Write down, in the transaction of the change itself, what somebody has set otherwise; there is no way to change or drop it again.

    Of two documents only the members that differ are kept; of two that are the same nothing is written. Secrets are masked.
    """
    old, new = _members(before), _members(after)
    if before is not None and after is not None:
        if old == new:
            return
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        old, new = ({name: side.get(name) for name in names} for side in (old, new))
    _note_change.run(
        tx,
        {
            "id": new_id("ch"),
            "at": now(),
            "actor": actor,
            "kind": kind,
            "subject": subject,
            "what": redact(what),
            "before": None if before is None else redact(_write(old).decode()),
            "after": None if after is None else redact(_write(new).decode()),
        },
    )


_NOT_SET = frozenset({"etag", "version", "pk", "changed_at"})
"""Members nobody sets: they follow from every change."""


def _members(document: Said | None) -> dict[str, Any]:
    if document is None:
        return {}
    plain = msgspec.to_builtins(document, enc_hook=documents.write_exact)
    return {name: value for name, value in plain.items() if name not in _NOT_SET}


def changes_page(
    tx: Tx,
    *,
    before: int | None,
    limit: int,
    kind: str | None = None,
    subject: str | None = None,
    actor: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> list[tuple[int, Changed]]:
    """Changes newest first, with their keys for the cursor. Rows are written in the order of time, so a time is a place in the keys."""
    query = select(changes)
    if subject is not None:
        query = query.where(changes.c.subject == subject)
    # One thing has few changes: with it, no other word may lead; `|| ''` keeps SQLite from their indexes.
    for column, wanted in ((changes.c.kind, kind), (changes.c.actor, actor)):
        if wanted is not None:
            query = query.where((column if subject is None else column + "") == wanted)
    if since is not None:
        query = query.where(changes.c.pk >= _first_change_at(since))
    if until is not None:
        query = query.where(changes.c.pk < func.coalesce(_first_change_at(until), _NEVER))
    if before is not None:
        query = query.where(changes.c.pk < before)
    rows = tx.execute(query.order_by(changes.c.pk.desc()).limit(limit)).all()
    return [(row.pk, _changed(row)) for row in rows]


def _first_change_at(moment: dt.datetime) -> ScalarSelect[int]:
    return select(changes.c.pk).where(changes.c.at >= moment).order_by(changes.c.at, changes.c.pk).limit(1).scalar_subquery()


def _changed(row: Any) -> Changed:
    return Changed(
        id=row.id,
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        subject=row.subject,
        what=row.what,
        before=None if row.before is None else _read_members(row.before),
        after=None if row.after is None else _read_members(row.after),
    )
