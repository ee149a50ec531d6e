"""The rows of the browsers people are signed in with."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot
from prodsys.scopes import Scope
from prodsys.tables import browser_sessions, users
from prodsys.users.model import Session
from prodsys.users.store.people import carried


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's session, and whose it is."""

    pk: int
    id: str
    expires_at: dt.datetime
    used_at: dt.datetime
    created_at: dt.datetime
    person: int
    user: str
    email: str
    name: str
    scopes: frozenset[Scope]
    language: str
    theme: str
    has_shortcuts: bool
    is_active: bool


_by_cookie = hot(
    select(
        browser_sessions.c.pk,
        browser_sessions.c.id,
        browser_sessions.c.expires_at,
        browser_sessions.c.used_at,
        browser_sessions.c.created_at,
        browser_sessions.c.person,
        users.c.id.label("user"),
        users.c.email,
        users.c.name,
        users.c.language,
        users.c.theme,
        users.c.has_shortcuts,
        users.c.is_active,
    )
    .join(users, users.c.pk == browser_sessions.c.person)
    .where(browser_sessions.c.digest == bindparam("digest"))
)
_insert_session = hot(insert(browser_sessions))
_session_use = hot(
    update(browser_sessions)
    .where(browser_sessions.c.pk == bindparam("key"))
    .values(used_at=bindparam("at", type_=Instant()), address=bindparam("address"))
)


def put(tx: Tx, values: Mapping[str, Any]) -> None:
    """Insert a browser's session."""
    _insert_session.run(tx, values)


def browser(tx: Tx, digest: str) -> Browser | None:
    """The session with this digest of its cookie, whatever its state."""
    row = _by_cookie.first(tx, {"digest": digest})
    if row is None:
        return None
    return Browser(
        pk=row.pk,
        id=row.id,
        expires_at=row.expires_at,
        used_at=row.used_at,
        created_at=row.created_at,
        person=row.person,
        user=row.user,
        email=row.email,
        name=row.name,
        scopes=carried(tx, [row.person])[row.person],
        language=row.language,
        theme=row.theme,
        has_shortcuts=bool(row.has_shortcuts),
        is_active=bool(row.is_active),
    )


def sessions_of(
    tx: Tx, person: int, idle_since: dt.datetime, *, current: str = "", limit: int = 100, below: int | None = None
) -> list[tuple[int, Session]]:
    """The browsers a person is signed in with, newest first, each with its key; `current` is the id of the one that asks."""
    query = (
        select(browser_sessions)
        .where(browser_sessions.c.person == person, browser_sessions.c.expires_at > now(), browser_sessions.c.used_at > idle_since)
        .order_by(browser_sessions.c.pk.desc())
        .limit(limit)
    )
    if below is not None:
        query = query.where(browser_sessions.c.pk < below)
    return [
        (
            row.pk,
            Session(
                id=row.id,
                created_at=row.created_at,
                used_at=row.used_at,
                expires_at=row.expires_at,
                address=row.address,
                browser=row.browser,
                is_current=row.id == current,
            ),
        )
        for row in tx.execute(query)
    ]


def end(tx: Tx, id: str, person: int) -> bool:
    """End one browser's session of a person; False when there is none such."""
    return tx.execute(delete(browser_sessions).where(browser_sessions.c.id == id, browser_sessions.c.person == person)).rowcount == 1


def end_with(tx: Tx, digest: str) -> bool:
    """End the session with this digest of its cookie."""
    return tx.execute(delete(browser_sessions).where(browser_sessions.c.digest == digest)).rowcount == 1


def end_all(tx: Tx, person: int, keep: str = "") -> int:
    """End every browser's session of a person, but for one by id; how many there were."""
    return tx.execute(delete(browser_sessions).where(browser_sessions.c.person == person, browser_sessions.c.id != keep)).rowcount


def note_use(tx: Tx, uses: Sequence[tuple[int, dt.datetime, str]]) -> None:
    """Remember when and from where sessions were last used: (key, moment, address) each."""
    # In one order everywhere, so that two nodes cannot wait for each other.
    _session_use.many(tx, [{"key": key, "at": at, "address": address} for key, at, address in sorted(uses)])


def tidy(tx: Tx, at: dt.datetime) -> None:
    """Forget sessions whose time is over."""
    tx.execute(delete(browser_sessions).where(browser_sessions.c.expires_at <= at))
