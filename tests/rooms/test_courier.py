"""The courier: whatever breaks on the way, what was promised is delivered once, and one bad promise delays only itself."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial

import pytest
import time_machine
from sqlalchemy import select, update

from prodsys import errors
from prodsys.exchange import courier as couriers
from prodsys.exchange import outbox
from prodsys.exchange.courier import Courier
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead, LaneTurn
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.tables import deliveries, lanes
from tests.rooms.makers import a_promise, eventually, promised, turned

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
GONE = Later(reason="timeout", detail="No answer came.")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


class Partner:
    """Another company, and the room that promised: what each was told, and whatever is wrong with them."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.batches: list[list[str]] = []
        self.noted: dict[str, list[Outcome | Dead]] = {}
        self.turns: list[LaneTurn] = []
        self.answers: Callable[[str], Outcome | None] = lambda _: None
        self.breaks_on: Callable[[Sequence[str]], bool] = lambda _: False
        self.cannot_note: set[str] = set()
        self.is_slow = asyncio.Event()
        self.is_slow.set()
        self.called = asyncio.Event()

    async def deliver(self, promises: Sequence[Claimed]) -> list[Outcome]:
        names = [promise.subject for promise in promises]
        self.batches.append(names)
        self.called.set()
        await self.is_slow.wait()
        if self.breaks_on(names):
            raise RuntimeError(f"broke on {names}")
        return [self._take(name) for name in names]

    def _take(self, name: str) -> Outcome:
        other = self.answers(name)
        if other is not None:
            return other
        self.received.append(name)
        return Placed(id=f"at-{name}", new=True)

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
        for claimed, _ in ended:
            if claimed.subject in self.cannot_note:
                raise RuntimeError(f"cannot note {claimed.subject}")
        # Noted as the rooms do, in the same transaction, so that a rollback forgets it.
        for claimed, outcome in ended:
            self.noted.setdefault(claimed.subject, []).append(outcome)
            if isinstance(outcome, Placed):
                tx.execute(update(deliveries).where(deliveries.c.id == claimed.id).values(traceparent="noted"))

    def tell(self, tx: Tx, turn: LaneTurn) -> None:
        self.turns.append(turn)


def a_courier(db: Database, partner: Partner, owner: str = "a", *, alone: bool = True, kind: str = "order") -> Courier:
    return Courier(db, {kind: partner}, owner, partner.tell, alone=alone)


@contextlib.asynccontextmanager
async def running(courier: Courier) -> AsyncIterator[Courier]:
    task = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def states(db: Database) -> dict[str, str]:
    return await db.read(lambda tx: {row.dedup: row.state for row in tx.execute(select(deliveries.c.dedup, deliveries.c.state))})


async def until(db: Database, is_so: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """The states of all promises as soon as something is so of them."""
    return await eventually(partial(states, db), is_so)


def all_ended(found: dict[str, str]) -> bool:
    return all(state in ("done", "refused", "dead") for state in found.values())


async def test_what_is_promised_while_it_runs_is_delivered_at_once(db):
    partner = Partner()
    async with running(a_courier(db, partner)):
        await promised(db, a_promise("po_1"))
        await until(db, all_ended)
        await promised(db, a_promise("po_2"))
        await until(db, all_ended)

    assert partner.received == ["po_1", "po_2"]
    assert partner.noted["po_1"] == [Placed(id="at-po_1", new=True)]


async def test_a_refusal_is_told_to_the_room_and_is_the_end(db):
    partner = Partner()
    partner.answers = lambda _: Refused(code="order_refused", title="Not as it is.")
    async with running(a_courier(db, partner)):
        await promised(db, a_promise("po_1"))
        await until(db, all_ended)

    assert [type(outcome) for outcome in partner.noted["po_1"]] == [Refused]
    assert partner.turns == []


async def test_two_couriers_deliver_each_promise_once(db):
    partner = Partner()
    await promised(db, *(a_promise(f"po_{at}", lane=f"pa_{at % 4}") for at in range(40)))
    async with running(a_courier(db, partner, "a", alone=False)), running(a_courier(db, partner, "b", alone=False)):
        await until(db, all_ended)

    assert sorted(partner.received) == sorted(f"po_{at}" for at in range(40))


async def test_a_bug_in_sending_loses_nothing_and_delays_only_the_promise_that_has_it(db, clock):
    partner = Partner()
    partner.breaks_on = lambda names: "poison" in names
    courier = a_courier(db, partner)
    await promised(db, a_promise("po_1"), a_promise("poison"), a_promise("po_2"))

    await turned(courier)

    assert await states(db) == {"po_1": "done", "poison": "ready", "po_2": "done"}
    assert partner.turns == []
    partner.breaks_on = lambda _: False
    clock.shift(dt.timedelta(minutes=2))
    await turned(courier)
    assert all_ended(await states(db))


async def test_a_bug_in_noting_the_end_loses_nothing_and_keeps_nobody_else_from_being_noted(db, clock):
    partner = Partner()
    partner.cannot_note = {"odd"}
    courier = a_courier(db, partner)
    await promised(db, a_promise("po_1"), a_promise("odd"), a_promise("po_2"))

    await turned(courier)

    assert await states(db) == {"po_1": "done", "odd": "leased", "po_2": "done"}
    partner.cannot_note = set()
    clock.shift(61)
    await courier.sweep()
    await turned(courier)
    assert all_ended(await states(db))
    # Delivered again: the other side knows it by its number and answers with the first receipt.
    assert partner.received.count("odd") == 2


async def test_a_poison_promise_on_which_the_other_side_falls_blocks_only_itself(db, clock):
    partner = Partner()
    fault = Later(reason="http_500", detail="They have a fault.", sent=True)
    # Their batch door has a bug: the whole call ends in 500 when the poison is part of it.
    poisoned = False

    def answers(name: str) -> Outcome | None:
        return fault if poisoned else None

    def look(names: Sequence[str]) -> bool:
        nonlocal poisoned
        poisoned = "poison" in names
        return False

    partner.breaks_on, partner.answers = look, answers
    courier = a_courier(db, partner)
    await promised(db, *(a_promise(name) for name in ("po_1", "po_2", "poison", "po_3", "po_4")))

    for _ in range(40):
        await turned(courier)
        clock.shift(10)

    assert await states(db) == {"po_1": "done", "po_2": "done", "poison": "ready", "po_3": "done", "po_4": "done"}
    assert sorted(partner.received) == ["po_1", "po_2", "po_3", "po_4"]
    paused = [turn for turn in partner.turns if turn.state == "paused"]
    # Put off for longer each time, so that the lane it makes stumble mostly stands open.
    assert len(paused) <= 6


async def test_a_poison_promise_among_others_that_get_through_never_pauses_the_lane(db, clock):
    partner = Partner()
    partner.answers = lambda name: GONE if name == "poison" else None
    courier = a_courier(db, partner)
    await promised(db, a_promise("poison"), a_promise("po_1"))

    await turned(courier)
    await promised(db, a_promise("po_2"))
    await turned(courier)

    assert partner.received == ["po_1", "po_2"]
    assert partner.turns == []


async def test_an_outage_pauses_the_lane_and_afterwards_everything_arrives_in_order(db, clock):
    partner = Partner()
    partner.answers = lambda _: GONE
    courier = a_courier(db, partner)
    await promised(db, *(a_promise(f"po_1:{at}", chain="po_1") for at in range(3)), a_promise("po_2"))
    for _ in range(8):
        await turned(courier)
        clock.shift(400)
    assert partner.received == []
    assert [turn.state for turn in partner.turns] == ["paused"]

    partner.answers = lambda _: None
    for _ in range(12):
        await turned(courier)
        clock.shift(400)

    assert all_ended(await states(db))
    assert [name for name in partner.received if name.startswith("po_1")] == ["po_1:0", "po_1:1", "po_1:2"]
    assert [turn.state for turn in partner.turns] == ["paused", "open"]


async def test_a_partner_who_asks_for_patience_is_left_alone_until_then(db, clock):
    partner = Partner()
    partner.answers = lambda _: Later(reason="too_many_requests", detail="Wait.", retry_after=600)
    courier = a_courier(db, partner)
    await promised(db, a_promise("po_1"))
    await turned(courier)
    partner.answers = lambda _: None

    clock.shift(599)
    assert not await turned(courier)
    clock.shift(122)
    assert await turned(courier)
    assert partner.received == ["po_1"]


async def test_what_an_admin_must_mend_stops_the_lane_and_is_told_once(db, clock):
    partner = Partner()
    partner.answers = lambda _: Misconfigured(reason="module_off", detail="Switched off there.")
    courier = a_courier(db, partner)
    await promised(db, a_promise("po_1"))
    for _ in range(3):
        await turned(courier)
        clock.shift(400)

    assert [(turn.state, turn.code) for turn in partner.turns] == [("stopped", "module_off")]
    partner.answers = lambda _: None
    await turned(courier)
    assert partner.received == ["po_1"]


async def test_a_partner_who_cannot_be_reached_keeps_no_other_waiting(db):
    partner = Partner()
    partner.is_slow.clear()
    courier = a_courier(db, partner)
    await promised(db, a_promise("po_slow", lane="pa_slow"))
    async with running(courier):
        await partner.called.wait()
        quick = Partner()
        courier._kinds = {"order": quick}
        await promised(db, a_promise("po_quick", lane="pa_quick"))
        await until(db, lambda found: found["po_quick"] == "done")

        assert (await states(db))["po_slow"] == "leased"
        partner.is_slow.set()
        await until(db, all_ended)


async def test_a_courier_stopped_in_the_middle_gives_back_what_it_carries_and_goes_on_where_it_was(db, clock):
    partner = Partner()
    partner.is_slow.clear()
    await promised(db, *(a_promise(f"po_{at}") for at in range(5)))
    async with running(a_courier(db, partner, "before")):
        await partner.called.wait()
    assert partner.received == []
    assert set((await states(db)).values()) == {"ready"}

    partner.is_slow.set()
    await promised(db, a_promise("po_5"))
    async with running(a_courier(db, partner, "after")):
        await until(db, all_ended)

    assert sorted(partner.received) == [f"po_{at}" for at in range(6)]


async def test_a_courier_among_others_waits_for_the_leases_of_the_dead(db, clock):
    partner = Partner()
    await promised(db, a_promise("po_1"))
    await db.write(outbox.claim, "dead", busy={})
    survivor = a_courier(db, partner, "survivor", alone=False)
    await survivor.sweep()
    assert not await turned(survivor)

    clock.shift(61)
    await survivor.sweep()
    await turned(survivor)

    assert partner.received == ["po_1"]


async def test_a_promise_dies_aloud(db, clock):
    partner = Partner()
    partner.answers = lambda _: GONE
    courier = a_courier(db, partner)
    [delivery] = await promised(db, a_promise("po_1"))
    await turned(courier)
    clock.shift(dt.timedelta(days=7))

    await courier.sweep()

    assert await states(db) == {"po_1": "dead"}
    assert isinstance(partner.noted["po_1"][-1], Dead)
    partner.answers = lambda _: None
    await db.write(outbox.send_again, delivery)
    await turned(courier)
    assert partner.received == ["po_1"]


async def test_a_room_that_cannot_be_told_of_a_death_keeps_no_other_from_it_nor_the_sweep_from_its_work(db, clock):
    partner = Partner()
    partner.answers, partner.cannot_note = (lambda _: GONE), {"odd"}
    courier = a_courier(db, partner)
    await promised(db, a_promise("odd"), a_promise("po_1"), a_promise("held", lane="pa_2", give_up_after=dt.timedelta(days=30)))
    await db.write(lambda tx: tx.execute(update(deliveries).where(deliveries.c.dedup == "held").values(state="leased", lease_until=START)))
    clock.shift(dt.timedelta(days=7))

    await courier.sweep()

    assert await states(db) == {"odd": "ready", "po_1": "dead", "held": "ready"}
    partner.cannot_note = set()
    await courier.sweep()
    assert (await states(db))["odd"] == "dead"


async def test_a_kind_nobody_here_knows_waits_for_a_courier_that_does(db, clock):
    partner = Partner()
    courier = a_courier(db, partner)
    await promised(db, a_promise("new", kind="of tomorrow"), a_promise("po_1", lane="pa_2"))

    await turned(courier)

    assert await states(db) == {"new": "leased", "po_1": "done"}
    assert +courier._busy == {}
    clock.shift(61)
    await courier.sweep()
    tomorrow = Partner()
    await turned(a_courier(db, tomorrow, kind="of tomorrow"))
    assert tomorrow.received == ["new"]


async def test_a_database_that_is_away_for_a_moment_does_not_end_the_courier(db, monkeypatch):
    partner, hiccups, back = Partner(), 0, asyncio.Event()
    read = db.read

    async def away(*args, **kwargs):
        nonlocal hiccups
        hiccups += 1
        if hiccups <= 2:
            raise errors.StorageUnavailable
        back.set()
        return await read(*args, **kwargs)

    monkeypatch.setattr(couriers, "IDLE", 0.01)
    monkeypatch.setattr(db, "read", away)
    async with running(a_courier(db, partner)):
        await asyncio.wait_for(back.wait(), 30)
        await promised(db, a_promise("po_1"))
        await until(db, all_ended)

    assert partner.received == ["po_1"]


async def test_lanes_that_wait_for_half_an_hour_are_told(db, clock):
    partner = Partner()
    await promised(db, a_promise("po_1"))
    await db.write(lambda tx: tx.execute(update(lanes).values(state="paused", code="timeout", probe_at=START, since=START)))
    clock.shift(dt.timedelta(minutes=31))

    await a_courier(db, partner).sweep()

    assert [(turn.lane, turn.waiting_since) for turn in partner.turns] == [("pa_1", START)]
