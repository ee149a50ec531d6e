"""Drops what has served its time, so that neither logs nor files grow for ever."""

import asyncio
import datetime as dt
from collections.abc import Callable

import msgspec

from prodsys.attachments import store as attachments
from prodsys.connections import store as connections
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.journal import log
from prodsys.settings import Settings
from prodsys.upkeep import store

TASK = "retention"
EVERY = dt.timedelta(hours=3)
AT_ONCE = dt.timedelta(minutes=1)
"""How often it runs, and how old a document must be, where documents are to be dropped at once."""
LEDGER = dt.timedelta(days=14)
"""How long what was sent is kept in the ledger of deliveries; an exact resend is possible so long."""
FEED = dt.timedelta(days=365)
"""How long buyers can read on where they were; a cursor from before answers 410."""
FILES = 5
"""Files of one unit of work, each up to 20 MB."""
CHUNK = 500
"""Rows of one unit of work, so that nobody who wants to write waits for us."""
PAGES = 500
"""Pages given back to the disk in one go: a few milliseconds."""
UNUSED_FILES = dt.timedelta(days=7)
"""How long a file waits for an order that names it."""
FEW_PAGES = 100
PAUSE = 0.02
"""Seconds left to others between two units."""


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """What was dropped: rows of logs and runs, documents in them and in the ledger, news in feeds, files; and pages given back."""

    log_entries: int = 0
    log_bodies: int = 0
    delivered: int = 0
    changes: int = 0
    attachments: int = 0
    runs: int = 0
    run_sources: int = 0
    pages: int = 0


def every(settings: Settings) -> dt.timedelta:
    """How often it has to run to keep what the settings say."""
    return AT_ONCE if settings.log_bodies_days == 0 else EVERY


async def run(db: Database, settings: Settings) -> Dropped:
    """Drop everything whose time has come, in small units. Orders, drafts and natural keys are never dropped.

    A SQLite file really shrinks: its empty pages are given back to the disk, a few at a time.
    """
    at = now()
    bodies = at - max(dt.timedelta(days=settings.log_bodies_days), AT_ONCE)
    ledger = at - min(LEDGER, max(dt.timedelta(days=settings.log_bodies_days), AT_ONCE))
    logs = at - dt.timedelta(days=settings.log_days)
    dropped = Dropped(
        log_bodies=await _until_done(db, lambda tx: store.drop_log_bodies(tx, bodies, CHUNK)),
        log_entries=await _until_done(db, lambda tx: store.drop_log_entries(tx, logs, CHUNK)),
        delivered=await _until_done(db, lambda tx: store.drop_delivered(tx, ledger, at - LEDGER, CHUNK)),
        changes=await _drop_changes(db, at - FEED),
        attachments=await _until_done(db, lambda tx: attachments.drop_unused(tx, at - UNUSED_FILES, FILES), FILES),
        run_sources=await _until_done(db, lambda tx: connections.runs.drop_sources(tx, bodies, CHUNK)),
        runs=await _until_done(db, lambda tx: connections.runs.drop_runs(tx, logs, CHUNK)),
    )
    await db.write(connections.grants.drop_sign_ins)
    dropped = msgspec.structs.replace(dropped, pages=await _shrink(db))
    log.info("retention.done", **msgspec.structs.asdict(dropped))
    return dropped


async def _until_done(db: Database, unit: Callable[[Tx], int], most: int = CHUNK) -> int:
    total = 0
    while (count := await db.write(unit)) > 0:
        total += count
        if count < most:
            break
        await asyncio.sleep(PAUSE)
    return total


async def _drop_changes(db: Database, before: dt.datetime) -> int:
    total, after = 0, 0
    while some := await db.read(store.partners_after, after, CHUNK):
        for partner in some:
            total += await _until_done(db, lambda tx, partner=partner: store.drop_changes(tx, partner, before, CHUNK))  # type: ignore[misc]
        after = some[-1]
    return total


async def _shrink(db: Database) -> int:
    begun = left = await db.read(store.free_pages)
    while left > FEW_PAGES:
        await db.incremental_vacuum(PAGES)
        await asyncio.sleep(PAUSE)
        before, left = left, await db.read(store.free_pages)
        if left >= before:
            break  # somebody frees as fast as we give back, or the file was made without
    return begun - left
