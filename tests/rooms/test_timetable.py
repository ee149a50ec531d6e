"""What happens by the clock: once per time, whoever is awake, and again after a failure."""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest
import time_machine
from sqlalchemy import select

from prodsys.exchange import timetable
from prodsys.kit.clock import now
from prodsys.kit.db import Database
from prodsys.tables import timetable as rows
from tests.rooms.makers import eventually, goes_by_index, plans_of

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


async def planned(db: Database, name: str = "answers:pa_1", every: dt.timedelta = MINUTE) -> None:
    await db.write(timetable.plan, name, kind="answers", subject=name.partition(":")[2], every=every)


async def due(db: Database, owner: str = "a") -> list[str]:
    return [task.name for task in await db.write(timetable.claim, owner)]


async def kept(db: Database, name: str = "answers:pa_1"):
    return await db.read(lambda tx: tx.execute(select(rows).where(rows.c.name == name)).one())


@contextlib.asynccontextmanager
async def keeping(db: Database, task: Callable[[str], Awaitable[None]], owner: str = "a", *, alone: bool = False):
    running = asyncio.create_task(timetable.keep(db, {"answers": task}, owner, alone=alone))
    try:
        yield running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(is_so: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return is_so()

    await eventually(ask, bool)


async def failed(db: Database, name: str = "answers:pa_1"):
    """The row of a task as soon as it tells of a failure."""
    return await eventually(partial(kept, db, name), lambda row: bool(row.last_error))


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Keepers that look more often than once a second, so that nobody waits for them."""
    monkeypatch.setattr(timetable, "LOOK", 0.01)


async def test_a_task_runs_first_when_it_is_planned_and_then_as_often_as_it_should(db, clock):
    await planned(db)
    [task] = await db.write(timetable.claim, "a")
    await db.write(timetable.done, task, "a")

    assert (task.kind, task.subject, task.every_seconds) == ("answers", "pa_1", 60)
    assert await due(db) == []
    clock.shift(59)
    assert await due(db) == []
    clock.shift(1)
    assert await due(db) == ["answers:pa_1"]


async def test_planning_again_changes_only_how_often(db, clock):
    await planned(db)
    [task] = await db.write(timetable.claim, "a")
    await db.write(timetable.done, task, "a")

    await planned(db, every=5 * MINUTE)

    assert await due(db) == []
    assert ((await kept(db)).every_seconds, (await kept(db)).run_at) == (300, START + MINUTE)


async def test_a_task_can_be_hurried_and_dropped(db, clock):
    await planned(db)
    [task] = await db.write(timetable.claim, "a")
    await db.write(timetable.done, task, "a")

    await db.write(timetable.hurry, "answers:pa_1")
    assert await due(db) == ["answers:pa_1"]

    await db.write(timetable.drop, "answers:pa_1")
    clock.shift(dt.timedelta(days=1))
    assert await due(db) == []


async def test_two_keepers_run_a_task_once_per_time(db):
    ran: Counter[str] = Counter()

    async def task(subject: str) -> None:
        ran[subject] += 1

    for at in range(20):
        await planned(db, f"answers:pa_{at}")
    async with keeping(db, task, "a"), keeping(db, task, "b"):
        await until(lambda: len(ran) == 20)

    assert ran == {f"pa_{at}": 1 for at in range(20)}


async def test_keepers_that_race_never_take_the_same_task(db):
    for at in range(30):
        await planned(db, f"answers:pa_{at}")

    taken = await asyncio.gather(*(due(db, f"keeper {at}") for at in range(8)))

    names = [name for some in taken for name in some]
    assert len(names) == len(set(names))


async def test_a_task_that_fails_is_planned_again_with_the_reason(db):
    async def failing(subject: str) -> None:
        raise OSError("no line")

    await planned(db)
    async with keeping(db, failing):
        again = await failed(db)

    assert again.last_error == "OSError('no line')"
    assert again.lease_until is None
    assert again.run_at > now()


async def test_a_failure_is_forgotten_when_it_works_again(db, clock):
    await planned(db)
    for fault in ("OSError('no line')", ""):
        [task] = await db.write(timetable.claim, "a")
        await db.write(timetable.done, task, "a", fault)
        clock.shift(60)

    assert (await kept(db)).last_error == ""


async def test_a_task_of_a_kind_nobody_knows_harms_no_other(db):
    ran: list[str] = []

    async def task(subject: str) -> None:
        ran.append(subject)

    await db.write(timetable.plan, "a:x", kind="of tomorrow", subject="x", every=MINUTE)
    await planned(db)
    async with keeping(db, task):
        await until(lambda: ran == ["pa_1"])
        unknown = await failed(db, "a:x")

    assert unknown.last_error == "KeyError('of tomorrow')"


async def test_a_keeper_that_died_is_replaced_when_its_lease_has_run_out(db, clock):
    await planned(db)
    assert await due(db, "dead") == ["answers:pa_1"]
    assert await due(db, "survivor") == []

    clock.shift(timetable.LEASE + dt.timedelta(seconds=1))

    assert await due(db, "survivor") == ["answers:pa_1"]


async def test_a_keeper_that_was_replaced_plans_nothing(db, clock):
    await planned(db)
    [late] = await db.write(timetable.claim, "late")
    clock.shift(timetable.LEASE + dt.timedelta(seconds=1))
    await due(db, "survivor")

    await db.write(timetable.done, late, "late")

    assert (await kept(db)).owner == "survivor"
    assert (await kept(db)).lease_until is not None


async def test_the_only_process_begins_with_every_task_free(db):
    ran: list[str] = []

    async def task(subject: str) -> None:
        ran.append(subject)

    await planned(db)
    await due(db, "before the crash")
    async with keeping(db, task, alone=True):
        await until(lambda: ran == ["pa_1"])


async def test_a_keeper_that_is_stopped_takes_its_tasks_with_it(db):
    began, ended = asyncio.Event(), asyncio.Event()

    async def task(subject: str) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await planned(db)
    async with keeping(db, task):
        await asyncio.wait_for(began.wait(), 30)

    assert ended.is_set()


async def test_what_is_put_on_the_timetable_is_seen_at_once_and_a_keeper_stopped_in_that_moment_stops(db, monkeypatch):
    monkeypatch.setattr(timetable, "LOOK", 3_600)
    ran: list[str] = []

    async def task(subject: str) -> None:
        ran.append(subject)

    async with keeping(db, task) as running:
        await planned(db, "answers:pa_1")
        await until(lambda: ran == ["pa_1"])
        stop_listening = db.listen("timetable", running.cancel)
        await planned(db, "answers:pa_2")
        stopped, _ = await asyncio.wait([running], timeout=10)
        stop_listening()

    assert running in stopped


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_due_is_found_by_index(db):
    await planned(db)

    goes_by_index(await plans_of(db, timetable._is_anything_due), "timetable")
    goes_by_index(await plans_of(db, timetable.claim, "a"), "timetable")


async def test_a_task_hurried_while_it_runs_runs_again_at_once(db, clock):
    await db.write(timetable.plan, "answers:pa_1", kind="answers", subject="pa_1", every=dt.timedelta(hours=1))
    [task] = await db.write(timetable.claim, "a")
    clock.shift(1)
    await db.write(timetable.hurry, "answers:pa_1")

    await db.write(timetable.done, task, "a")

    assert [one.name for one in await db.write(timetable.claim, "a")] == ["answers:pa_1"]
