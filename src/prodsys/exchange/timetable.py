"""What happens by the clock: each row is a task, claimed by one process at a time and planned again when it has run."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec
from sqlalchemy import case, delete, literal, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, insert_new, signal
from prodsys.kit.journal import log
from prodsys.tables import timetable

LEASE = dt.timedelta(minutes=3)
LOOK = 1.0
"""Seconds between looks at the timetable; what is put on it here and now is seen at once."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task whose time has come; `subject` says whom it is for."""

    name: str
    kind: str
    subject: str
    every_seconds: int
    due_at: dt.datetime


def plan(tx: Tx, name: str, *, kind: str, subject: str, every: dt.timedelta, at_once: bool = True) -> None:
    """Put a task on the timetable, or change how often it runs; it runs for the first time now, unless it is to wait for its hour."""
    first = now() if at_once else now() + every
    row = {"name": name, "kind": kind, "subject": subject, "every_seconds": int(every.total_seconds()), "run_at": first}
    if not insert_new(tx, timetable, row):
        tx.execute(update(timetable).where(timetable.c.name == name).values(every_seconds=row["every_seconds"]))
    signal(tx, "timetable")


def hurry(tx: Tx, name: str, subject: str | None = None) -> None:
    """Let a planned task run now instead of later; it may be told another subject."""
    values = {"run_at": now()} | ({"subject": subject} if subject is not None else {})
    tx.execute(update(timetable).where(timetable.c.name == name).values(values))
    signal(tx, "timetable")


def rename(tx: Tx, name: str, subject: str) -> None:
    """Give a task another subject, for its runs after this one."""
    tx.execute(update(timetable).where(timetable.c.name == name).values(subject=subject))


def is_at_hand(tx: Tx, name: str) -> bool:
    """Whether a task is due, or is being run."""
    at = now()
    soon = (timetable.c.run_at <= at) | (timetable.c.lease_until > at)
    return tx.execute(select(timetable.c.name).where(timetable.c.name == name, soon)).first() is not None


def drop(tx: Tx, name: str) -> None:
    """Take a task off the timetable."""
    tx.execute(delete(timetable).where(timetable.c.name == name))


def claim(tx: Tx, owner: str, limit: int = 8) -> list[Task]:
    """Take the tasks whose time has come, under a lease."""
    at = now()
    free = timetable.c.lease_until.is_(None) | (timetable.c.lease_until < at)
    due = select(timetable).where(timetable.c.run_at <= at, free).order_by(timetable.c.run_at).limit(limit)
    rows = tx.execute(due.with_for_update(skip_locked=True)).all()
    for row in rows:
        tx.execute(update(timetable).where(timetable.c.name == row.name).values(lease_until=at + LEASE, owner=owner))
    return [Task(name=row.name, kind=row.kind, subject=row.subject, every_seconds=row.every_seconds, due_at=row.run_at) for row in rows]


def done(tx: Tx, task: Task, owner: str, fault: str = "") -> None:
    """Plan a task again after it has run, or failed; one that was hurried meanwhile runs again at once."""
    # Whoever hurried it may know of something that came up behind the run's back.
    later = literal(now() + dt.timedelta(seconds=task.every_seconds), type_=timetable.c.run_at.type)
    again = case((timetable.c.run_at == task.due_at, later), else_=timetable.c.run_at)
    tx.execute(
        update(timetable)
        .where(timetable.c.name == task.name, timetable.c.owner == owner)
        .values(run_at=again, lease_until=None, last_error=fault[:500])
    )


async def keep(
    db: Database,
    tasks: Mapping[str, Callable[[str], Awaitable[None]]],
    owner: str,
    *,
    alone: bool,
    standing: Mapping[str, dt.timedelta] = MappingProxyType({}),
) -> None:
    """Run what is due until cancelled. `tasks` says what each kind does with its subject; the `standing` kinds run ever so often."""
    under_way: set[asyncio.Task[None]] = set()
    begun = False
    put_on_it = asyncio.Event()
    stop_listening = db.listen("timetable", put_on_it.set)

    def ended(running: asyncio.Task[None]) -> None:
        under_way.discard(running)
        # It may have been hurried while it ran.
        put_on_it.set()

    try:
        while True:
            put_on_it.clear()
            begun = begun or await _begun(db, standing, alone=alone)
            for task in await _due(db, owner) if begun else ():
                running = asyncio.create_task(_run(db, tasks, task, owner))
                under_way.add(running)
                running.add_done_callback(ended)
            # Not wait_for: in Python 3.11 it loses a cancellation that comes in the moment we are woken.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await put_on_it.wait()
    finally:
        stop_listening()
        for running in under_way:
            running.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _begun(db: Database, standing: Mapping[str, dt.timedelta], *, alone: bool) -> bool:
    try:
        await db.write(_begin, standing, alone=alone)
    except Exception as fault:  # noqa: BLE001  # the database may be full or away for a moment; then again in a second
        log.error("timetable.cannot_begin", fault=repr(fault))
        return False
    return True


def _begin(tx: Tx, standing: Mapping[str, dt.timedelta], *, alone: bool) -> None:
    if alone:
        free_all(tx)
    for kind, every in standing.items():
        plan(tx, kind, kind=kind, subject="", every=every)


async def _due(db: Database, owner: str) -> list[Task]:
    try:
        if not await db.read(_is_anything_due):
            return []
        return await db.write(claim, owner)
    except Exception as fault:  # noqa: BLE001  # the database may be full or away for a moment; the timetable waits in it
        log.error("timetable.cannot_claim", fault=repr(fault))
        return []


def _is_anything_due(tx: Tx) -> bool:
    return tx.execute(select(timetable.c.name).where(timetable.c.run_at <= now()).limit(1)).first() is not None


def free_all(tx: Tx) -> None:
    """Let go of every task that is claimed: whoever claimed it is dead."""
    tx.execute(update(timetable).values(lease_until=None))


async def _run(db: Database, tasks: Mapping[str, Callable[[str], Awaitable[None]]], task: Task, owner: str) -> None:
    fault = ""
    try:
        await tasks[task.kind](task.subject)
    except Exception as raised:  # noqa: BLE001  # one task's bug must not stop the others
        fault = repr(raised)
        log.exception("timetable.task_failed", task=task.name)
    try:
        await db.write(done, task, owner, fault)
    except Exception:  # noqa: BLE001  # the lease runs out, and it runs again
        log.exception("timetable.cannot_settle", task=task.name)
