"""Theirs is ours: which record there is which record here, and how far each flow has read."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import bindparam, delete, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_texts, insert_or_ignore, insert_or_update
from prodsys.tables import flow_cursors, links

OVERLAP = dt.timedelta(minutes=5)
"""How much of what was read before is read again: their clock, ours and their commits do not end together."""

State = Literal["asked", "linked", "unknown"]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One record here and there.

    `asked`: we have begun to make it there and do not know yet how that ended, also when we died meanwhile: look before repeating.
    `unknown`: it cannot be looked up there, so a person has to. `theirs` is None in both.
    `reference`: by what it is found again there; empty for what was never sent there from here.
    """

    ours: str
    theirs: str | None
    state: State
    reference: str
    digest: str

    @property
    def was_made_there(self) -> bool:
        """Whether we sent it there, not they to us."""
        return bool(self.reference)


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a flow has read: their clock at the beginning of the last whole reading, or a place in our own books."""

    since: dt.datetime | None = None
    position: str = ""


_l = links.c
_of = (_l.connection == bindparam("connection"), _l.kind == bindparam("kind"))
_columns = (_l.ours, _l.theirs, _l.state, _l.reference, _l.digest)
_by_ours = hot(select(*_columns).where(*_of, in_texts(_l.ours, "ours")), Link)
_by_theirs = hot(select(*_columns).where(*_of, in_texts(_l.theirs, "theirs")), Link)
_ask = hot(insert_or_ignore(links))
_ask_again = hot(
    update(links)
    .where(*_of, _l.ours == bindparam("known"), _l.state != "linked")
    .values(state="asked", reference=bindparam("name"), changed_at=bindparam("at", type_=_l.changed_at.type))
)
_linked = hot(
    update(links)
    .where(*_of, _l.ours == bindparam("known"))
    .values(
        state=bindparam("ends"),
        theirs=bindparam("their_id"),
        digest=bindparam("content"),
        changed_at=bindparam("at", type_=_l.changed_at.type),
    )
)
_forget = hot(delete(links).where(*_of, _l.ours == bindparam("known"), _l.state != "linked"))
_keep = hot(insert_or_update(flow_cursors, "flow", only=("since", "position", "changed_at")))


def of_ours(tx: Tx, connection: int, kind: str, ours: Collection[str]) -> dict[str, Link]:
    """The links of records here, by what names them here."""
    if not ours:
        return {}
    return {link.ours: link for link in _by_ours.all(tx, {"connection": connection, "kind": kind, "ours": list(ours)})}


def of_theirs(tx: Tx, connection: int, kind: str, theirs: Collection[str]) -> dict[str, Link]:
    """The links of records there, by their ids."""
    if not theirs:
        return {}
    found = _by_theirs.all(tx, {"connection": connection, "kind": kind, "theirs": list(theirs)})
    return {link.theirs: link for link in found if link.theirs is not None}


def ask(tx: Tx, connection: int, kind: str, references: Mapping[str, str]) -> None:
    """Note that we are about to make these records there, by what names them here and by what they will be found again."""
    at = now()
    _ask.many(
        tx,
        [
            {
                "connection": connection,
                "kind": kind,
                "ours": ours,
                "state": "asked",
                "reference": reference,
                "created_at": at,
                "changed_at": at,
            }
            for ours, reference in references.items()
        ],
    )
    for ours, reference in references.items():
        _ask_again.run(tx, {"connection": connection, "kind": kind, "known": ours, "name": reference, "at": at})


def link(tx: Tx, connection: int, kind: str, found: Sequence[tuple[str, str, str]]) -> list[str]:
    """Note which record there is which record here, as (ours, theirs, digest); those of ours whose record there is another's already."""
    at = now()
    taken = of_theirs(tx, connection, kind, {theirs for _, theirs, _ in found if theirs})
    refused = []
    fresh: dict[str, str] = {theirs: known.ours for theirs, known in taken.items()}
    for ours, theirs, digest in found:
        if theirs and fresh.setdefault(theirs, ours) != ours:
            refused.append(ours)
            continue
        row = {"connection": connection, "kind": kind, "ours": ours, "state": "linked", "created_at": at, "changed_at": at}
        _ask.run(tx, row)
        _linked.run(
            tx,
            {
                "connection": connection,
                "kind": kind,
                "known": ours,
                "ends": "linked",
                "their_id": theirs or None,
                "content": digest,
                "at": at,
            },
        )
    return refused


def lost(tx: Tx, connection: int, kind: str, ours: Collection[str]) -> None:
    """Note that nobody can say whether these records are there; a person has to look."""
    for one in ours:
        _linked.run(
            tx, {"connection": connection, "kind": kind, "known": one, "ends": "unknown", "their_id": None, "content": "", "at": now()}
        )


def forget(tx: Tx, connection: int, kind: str, ours: Collection[str]) -> None:
    """Let go of records that were not made there after all; a link that holds stays."""
    for one in ours:
        _forget.run(tx, {"connection": connection, "kind": kind, "known": one})


def of_record(tx: Tx, ours: str, kind: str) -> list[tuple[int, str]]:
    """Where a record of ours is known, as (connection, their id)."""
    rows = tx.execute(select(_l.connection, _l.theirs).where(_l.ours == ours, _l.kind == kind, _l.theirs.is_not(None)))
    return [(row.connection, row.theirs) for row in rows]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a record of ours stands at one connection."""

    connection: int
    theirs: str | None
    state: State
    changed_at: dt.datetime


def everywhere(tx: Tx, ours: str, kind: str) -> list[Standing]:
    """How a record of ours stands wherever it is linked, or was about to be."""
    columns = [_l[name] for name in Standing.__struct_fields__]
    return [Standing(**row) for row in tx.execute(select(*columns).where(_l.ours == ours, _l.kind == kind)).mappings()]


def page(tx: Tx, connection: int, *, kind: str, state: str | None, after: int, limit: int) -> list[tuple[int, Any]]:
    """Links of one kind in the order they were made, with their keys."""
    query = select(_l.pk, *_columns, _l.created_at, _l.changed_at).where(_l.connection == connection, _l.kind == kind, _l.pk > after)
    if state is not None:
        query = query.where(_l.state == state)
    return [(row.pk, row) for row in tx.execute(query.order_by(_l.pk).limit(limit))]


def unlink(tx: Tx, connection: int, kind: str, ours: str) -> bool:
    """Cut a link: neither record changes, but they are strangers from now on."""
    return tx.execute(delete(links).where(_l.connection == connection, _l.kind == kind, _l.ours == ours)).rowcount == 1


def drop(tx: Tx, connection: int) -> None:
    """Forget everything that is linked to a connection."""
    tx.execute(delete(links).where(_l.connection == connection))


def cursor(tx: Tx, flow: int) -> Cursor:
    """How far a flow has read."""
    row = tx.execute(select(flow_cursors.c.since, flow_cursors.c.position).where(flow_cursors.c.flow == flow)).first()
    return Cursor() if row is None else Cursor(since=row.since, position=row.position)


def move(tx: Tx, flow: int, to: Cursor) -> None:
    """Note how far a flow has read."""
    _keep.run(tx, {"flow": flow, "since": to.since, "position": to.position, "changed_at": now()})


def begin_again(tx: Tx, flow: int) -> None:
    """Let a flow read everything from the beginning; what has not changed is still recognised."""
    tx.execute(delete(flow_cursors).where(flow_cursors.c.flow == flow))
