"""The integration logs as they grow: what is new of them, once a second, for whoever has them open."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Callable

import msgspec

from prodsys.kit.clock import now
from prodsys.kit.db import LEAVING, Database, Tx
from prodsys.logs import store
from prodsys.logs.model import Logged

FOLLOWED = dt.timedelta(minutes=15)
"""After this long a page has to ask again, so that a sign-in that has ended sees no more."""
MOST = 200
"""Entries told of at once; of more only the newest, as a page shows no more either."""
_LOOK_EVERY = 1.0
_QUIET = 15.0
"""Seconds without a word after which a sign of life is sent, so that nothing between us and the browser closes the line."""
_BACK = 100
"""Keys behind the newest that are looked at again: a transaction may commit after one that was given a later key."""

Matching = Callable[[Tx, int, int], list[tuple[int, Logged]]]
"""Entries of a filter, newest first, from this key on, so many at most."""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """New entries, newest first, none for a sign of life, and the key up to which all is told."""

    entries: list[Logged]
    place: int


async def follow(db: Database, matching: Matching, place: int) -> AsyncGenerator[News, None]:
    """What is written after this key, until a quarter of an hour is over or this server stops."""
    leaving = asyncio.Event()
    unlisten = db.listen(LEAVING, leaving.set)
    end, quiet_since = now() + FOLLOWED, now()
    try:
        told = {key for key, _ in await db.read(matching, max(place - _BACK, 0) + 1, MOST) if key <= place}
        while now() < end and not leaving.is_set():
            newest, found = await db.read(_new, matching, max(place - _BACK, 0) + 1)
            news = [entry for key, entry in found if key not in told]
            told = {key for key, _ in found}
            place = max(place, newest)
            if news or now() - quiet_since > dt.timedelta(seconds=_QUIET):
                quiet_since = now()
                yield News(entries=news, place=place)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await leaving.wait()
    finally:
        unlisten()


def _new(tx: Tx, matching: Matching, first: int) -> tuple[int, list[tuple[int, Logged]]]:
    # The newest key is read before the entries: one written in between is told now, and not passed over later.
    newest = store.newest(tx)
    return newest, matching(tx, first, MOST)
