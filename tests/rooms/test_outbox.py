"""Promises: each ends exactly once, its chain stays in order, and nobody's silence loses one."""

import asyncio
import datetime as dt
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
import time_machine
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule
from sqlalchemy import StaticPool, create_engine, select, update

from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Batch, Claimed, LaneTurn, Promise
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, metadata
from prodsys.kit.db.unit import start_topics
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.tables import deliveries, lanes
from tests.rooms.makers import a_promise, goes_by_index, plans_of, promised

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
GONE = Later(reason="timeout", detail="No answer came.")
CLOSED = Misconfigured(reason="token_expired", detail="The token has expired.")

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def there(claimed: Claimed) -> Placed:
    return Placed(id=f"at-{claimed.subject}", new=True, answer=b'{"id": "sd_1"}')


async def taken(db: Database, owner: str = "a", **more: Any) -> list[Batch]:
    """What a courier takes that carries nothing yet."""
    return await db.write(outbox.claim, owner, busy=more.pop("busy", {}), **more)


async def one(db: Database, owner: str = "a") -> Claimed:
    """The one promise that is due."""
    [batch] = await taken(db, owner)
    [claimed] = batch.claimed
    return claimed


async def ended(db: Database, claimed: Claimed, outcome: Outcome, owner: str = "a") -> bool:
    """Settle one promise; whether this lease had the right to."""
    return bool(await db.write(outbox.settle, owner, [(claimed, outcome)]))


async def row(db: Database, dedup: str) -> Any:
    return await db.read(lambda tx: tx.execute(select(deliveries).where(deliveries.c.dedup == dedup)).one())


async def lane(db: Database, name: str = "pa_1") -> Any:
    return await db.read(lambda tx: tx.execute(select(lanes).where(lanes.c.lane == name)).one())


def dedups(batches: Sequence[Batch]) -> list[str]:
    return [claimed.subject for batch in batches for claimed in batch.claimed]


async def test_a_promise_leaves_as_it_was_made(db):
    promise = a_promise("po_1:1", chain="po_1")
    [delivery] = await promised(db, promise)

    claimed = await one(db)

    assert (claimed.id, claimed.kind, claimed.chain, claimed.document) == (delivery, "order", "po_1", promise.document)
    assert claimed.traceparent == promise.trace.header()
    assert claimed.attempt == 1


async def test_promising_twice_is_promising_once(db):
    [first] = await promised(db, a_promise("po_1:1"))
    again = await promised(db, a_promise("po_1:1", document="another"), a_promise("po_2:1"))
    twice_at_once = await promised(db, a_promise("po_3:1"), a_promise("po_3:1"))

    assert again[0] == first
    assert twice_at_once[0] == twice_at_once[1]
    assert dedups(await taken(db)) == ["po_1:1", "po_2:1", "po_3:1"]
    assert (await row(db, "po_1:1")).document == '"po_1:1"'


async def test_a_promise_made_in_a_unit_that_fails_was_never_made(db):
    def failing(tx: Tx) -> None:
        outbox.promise(tx, a_promise("po_1:1"))
        raise RuntimeError("the decision fell")

    with pytest.raises(RuntimeError):
        await db.write(failing)

    assert await taken(db) == []


async def test_a_promise_for_later_waits_for_its_time(db, clock):
    await promised(db, a_promise("answer", run_at=START + dt.timedelta(seconds=10)))

    assert await taken(db) == []
    assert await db.read(outbox.next_due) == START + dt.timedelta(seconds=10)

    clock.shift(10)
    assert (await one(db)).subject == "answer"
    assert await db.read(outbox.next_due) is None


async def test_what_is_delivered_is_done_with_its_answer(db):
    await promised(db, a_promise("po_1:1"))
    claimed = await one(db)

    assert await ended(db, claimed, there(claimed))

    kept = await row(db, "po_1:1")
    assert (kept.state, kept.answer, kept.last_error) == ("done", '{"id": "sd_1"}', "")
    assert kept.settled_at is not None
    assert await taken(db) == []


async def test_what_is_refused_is_not_sent_again(db):
    await promised(db, a_promise("po_1:1"))

    assert await ended(db, await one(db), Refused(code="order_refused", title="Not as it is.", answer=b"{}"))

    kept = await row(db, "po_1:1")
    assert (kept.state, kept.last_error, kept.answer) == ("refused", "order_refused: Not as it is.", "{}")
    assert await taken(db) == []


@pytest.mark.parametrize("trouble", [GONE, CLOSED])
async def test_what_could_not_be_delivered_is_ready_again_with_the_reason(db, trouble):
    await promised(db, a_promise("po_1:1"))

    assert await ended(db, await one(db), trouble)

    kept = await row(db, "po_1:1")
    assert (kept.state, kept.settled_at) == ("ready", None)
    assert kept.last_error.startswith(trouble.reason)
    assert (await one(db)).attempt == 2


async def test_two_couriers_never_carry_the_same_promise(db):
    await promised(db, *(a_promise(f"po_{at}:1", lane=f"pa_{at % 3}") for at in range(60)))

    batches = await asyncio.gather(*(taken(db, f"courier {number}") for number in range(10)))

    carried = Counter(subject for some in batches for subject in dedups(some))
    # Who found a row held by another passed over it; nobody took it twice.
    assert set(carried.values()) == {1}
    left = await taken(db, "the last")
    assert sum(carried.values()) + len(dedups(left)) == 60


@postgresql_only
async def test_claimers_that_race_for_one_chain_never_get_two_of_it_at_once(db):
    await promised(db, *(a_promise(f"po_1:{revision}", chain="po_1") for revision in range(1, 6)))

    delivered: list[str] = []
    while len(delivered) < 5:
        batches = await asyncio.gather(*(taken(db, f"courier {number}") for number in range(6)))
        carried = [(f"courier {number}", claimed) for number, some in enumerate(batches) for b in some for claimed in b.claimed]
        assert len(carried) == 1
        for owner, claimed in carried:
            assert await ended(db, claimed, there(claimed), owner)
            delivered.append(claimed.subject)

    assert delivered == [f"po_1:{revision}" for revision in range(1, 6)]


async def test_a_courier_that_slept_through_its_lease_changes_nothing(db, clock):
    await promised(db, a_promise("po_1:1"))
    sleeper = await one(db, "sleeper")
    clock.shift(61)
    await db.write(outbox.reclaim, everything=False)

    assert not await ended(db, sleeper, there(sleeper), "sleeper")
    awake = await one(db, "awake")
    assert not await ended(db, sleeper, there(sleeper), "sleeper")
    assert await ended(db, awake, Refused(code="order_refused", title="No."), "awake")
    assert not await ended(db, sleeper, there(sleeper), "sleeper")

    assert (await row(db, "po_1:1")).state == "refused"


async def test_the_same_courier_cannot_settle_an_earlier_attempt_of_its_own(db, clock):
    await promised(db, a_promise("po_1:1"))
    first = await one(db)
    clock.shift(61)
    await db.write(outbox.reclaim, everything=False)
    second = await one(db)

    assert not await ended(db, first, there(first))
    assert await ended(db, second, there(second))


async def test_a_lease_that_has_not_run_out_is_not_taken_away(db, clock):
    await promised(db, a_promise("po_1:1"))
    claimed = await one(db)
    clock.shift(59)

    assert await db.write(outbox.reclaim, everything=False) == 0
    assert await taken(db, "b") == []
    assert await ended(db, claimed, there(claimed))


async def test_at_the_start_of_the_only_process_every_lease_is_a_dead_ones(db):
    await promised(db, a_promise("po_1:1"))
    await one(db, "before the crash")

    assert await db.write(outbox.reclaim, everything=True) == 1
    assert (await one(db, "after the crash")).attempt == 2


async def test_a_chain_leaves_strictly_one_after_the_other(db):
    await promised(db, *(a_promise(f"po_1:{revision}", chain="po_1") for revision in (1, 2, 3)))

    first = await one(db)
    assert await taken(db, "b") == []
    assert await ended(db, first, GONE)
    again = await one(db)
    assert again.subject == "po_1:1"
    assert await ended(db, again, Refused(code="order_refused", title="No."))

    assert (await one(db)).subject == "po_1:2"


async def test_a_stuck_chain_holds_back_nobody_else(db):
    await promised(db, a_promise("po_1:1", chain="po_1"), a_promise("po_1:2", chain="po_1"), a_promise("po_2:1"), a_promise("po_3:1"))
    [batch] = await taken(db)
    stuck, *others = batch.claimed
    await db.write(outbox.settle, "a", [(stuck, GONE), *((claimed, there(claimed)) for claimed in others)])
    await db.write(outbox.put_off, stuck, now() + dt.timedelta(hours=1))
    await promised(db, a_promise("po_4:1"))

    assert stuck.subject == "po_1:1"
    assert dedups(await taken(db)) == ["po_4:1"]


async def test_promises_of_a_lane_leave_together_oldest_first_and_at_most_a_hundred(db, clock):
    for at in range(130):
        clock.shift(0.001)
        await promised(db, a_promise(f"po_{at}"))

    [first] = await taken(db)
    [second] = await taken(db, busy={"pa_1": 1})

    assert dedups([first, second]) == [f"po_{at}" for at in range(130)]
    assert len(first.claimed) == 100


async def test_a_batch_holds_one_kind_only(db):
    await promised(db, a_promise("po_1"), a_promise("po_2"), a_promise("m_1", kind="message"), a_promise("po_3"))

    assert dedups(await taken(db)) == ["po_1", "po_2"]
    assert dedups(await taken(db)) == ["m_1"]
    assert dedups(await taken(db)) == ["po_3"]


async def test_a_courier_carries_at_most_two_batches_of_a_lane(db):
    await promised(db, a_promise("po_1"), a_promise("po_2", lane="pa_2"))

    assert dedups(await taken(db, busy={"pa_1": 2, "pa_2": 1})) == ["po_2"]


async def test_lanes_that_are_full_leave_room_for_those_behind_them(db):
    await promised(db, *(a_promise(f"po_{at}", lane=f"pa_{at:03}") for at in range(205)))
    full = {f"pa_{at:03}": 2 for at in range(200)}

    assert dedups(await taken(db, busy=full)) == [f"po_{at}" for at in range(200, 205)]


async def test_a_promise_that_keeps_failing_leaves_alone(db):
    await promised(db, a_promise("po_1"), a_promise("po_2"))
    for _ in range(outbox.ALONE_AFTER):
        [batch] = await taken(db)
        await db.write(outbox.settle, "a", [(claimed, GONE) for claimed in batch.claimed])
    await promised(db, a_promise("po_3"))

    assert [dedups([batch]) for batch in [*await taken(db), *await taken(db), *await taken(db)]] == [["po_1"], ["po_2"], ["po_3"]]


async def test_a_lane_that_failed_rests_and_is_probed_with_one_promise(db, clock):
    await promised(db, *(a_promise(f"po_{at}") for at in range(5)))
    [batch] = await taken(db)
    await db.write(outbox.settle, "a", [(claimed, GONE) for claimed in batch.claimed])

    turn = await db.write(outbox.lane_failed, "pa_1", GONE)

    assert turn == LaneTurn(lane="pa_1", state="paused", code="timeout", reason="No answer came.")
    assert await taken(db) == []
    clock.shift(4.9)
    assert await taken(db) == []
    clock.shift(1.2)
    [probe] = await taken(db)
    assert (probe.is_probe, dedups([probe])) == (True, ["po_0"])
    assert await taken(db, "another process") == []


async def test_each_probe_that_fails_makes_the_next_wait_longer_up_to_five_minutes(db, clock):
    await promised(db, a_promise("po_1"))
    waits = []
    for _ in range(6):
        claimed = await one(db)
        await ended(db, claimed, GONE)
        await db.write(outbox.lane_failed, "pa_1", GONE)
        waits.append(((await lane(db)).probe_at - now()).total_seconds())
        clock.move_to((await lane(db)).probe_at)

    for wait, least in zip(waits, (5, 30, 120, 300, 300, 300), strict=True):
        assert least <= wait <= least * 1.2


async def test_a_probe_takes_the_least_tried_so_that_one_bad_promise_does_not_hold_the_lane(db, clock):
    await promised(db, a_promise("poison"), a_promise("po_2"))
    [batch] = await taken(db)
    await db.write(outbox.settle, "a", [(claimed, GONE) for claimed in batch.claimed])
    await db.write(outbox.lane_failed, "pa_1", GONE)
    seen = []
    for _ in range(2):
        clock.move_to((await lane(db)).probe_at)
        claimed = await one(db)
        seen.append(claimed.subject)
        await ended(db, claimed, GONE)
        await db.write(outbox.lane_failed, "pa_1", GONE)

    assert seen == ["poison", "po_2"]


async def test_a_lane_drains_by_itself_when_a_probe_gets_through(db, clock):
    await promised(db, *(a_promise(f"po_{at}") for at in range(5)))
    await db.write(outbox.lane_failed, "pa_1", GONE)
    clock.shift(6)
    claimed = await one(db)
    await ended(db, claimed, there(claimed))

    turn = await db.write(outbox.lane_works, "pa_1")

    assert turn is not None
    assert (turn.state, turn.waiting_since) == ("open", START)
    assert len(dedups(await taken(db))) == 4
    assert await db.write(outbox.lane_works, "pa_1") is None


@pytest.mark.parametrize(("asked", "least"), [(1.0, 5), (90.0, 90), (3600.0, 3600)])
async def test_a_lane_waits_as_long_as_the_other_side_asks(db, clock, asked, least):
    await promised(db, a_promise("po_1"))

    await db.write(outbox.lane_failed, "pa_1", Later(reason="too_many_requests", detail="Wait.", retry_after=asked))

    clock.shift(least - 0.01)
    assert await taken(db) == []
    clock.shift(least * 0.2 + 0.02)
    assert dedups(await taken(db)) == ["po_1"]


async def test_a_stopped_lane_is_looked_at_every_five_minutes(db, clock):
    await promised(db, a_promise("po_1"))

    turn = await db.write(outbox.lane_failed, "pa_1", CLOSED)

    assert turn is not None
    assert (turn.state, turn.code) == ("stopped", "token_expired")
    clock.shift(299)
    assert await taken(db) == []
    clock.shift(62)
    [probe] = await taken(db)
    assert probe.is_probe


async def test_an_admin_who_has_mended_something_is_not_kept_waiting(db):
    await promised(db, a_promise("po_1"))
    await db.write(outbox.lane_failed, "pa_1", CLOSED)

    await db.write(outbox.probe_soon, "pa_1")

    assert dedups(await taken(db)) == ["po_1"]


async def test_people_hear_of_a_lanes_turn_once(db):
    await promised(db, a_promise("po_1"))

    turns = [await db.write(outbox.lane_failed, "pa_1", fault) for fault in (GONE, GONE, CLOSED, CLOSED, GONE)]

    assert [turn.state if turn else None for turn in turns] == ["paused", None, "stopped", None, "paused"]


async def test_people_hear_of_a_lane_that_has_waited_for_half_an_hour_once(db, clock):
    await promised(db, a_promise("po_1"))
    await db.write(outbox.lane_failed, "pa_1", GONE)
    clock.shift(dt.timedelta(minutes=29))
    assert await db.write(outbox.lanes_to_tell) == []
    await db.write(outbox.lane_failed, "pa_1", GONE)
    clock.shift(dt.timedelta(minutes=1))

    [turn] = await db.write(outbox.lanes_to_tell)

    assert (turn.lane, turn.waiting_since) == ("pa_1", START)
    assert await db.write(outbox.lanes_to_tell) == []


async def test_one_lane_that_waits_holds_back_no_other(db):
    await promised(db, a_promise("po_1", lane="pa_1"), a_promise("po_2", lane="pa_2"))
    await db.write(outbox.lane_failed, "pa_1", GONE)

    assert dedups(await taken(db)) == ["po_2"]


async def test_a_waiting_lane_with_nothing_to_send_wakes_nobody(db, clock):
    await promised(db, a_promise("po_1"))
    await db.write(outbox.lane_failed, "pa_1", GONE)
    probe_at = (await lane(db)).probe_at
    assert await db.read(outbox.next_due) == probe_at

    assert await db.write(outbox.withdraw, "po_1")

    assert await db.read(outbox.next_due) is None
    clock.shift(dt.timedelta(hours=1))
    assert await db.read(outbox.next_due) is None


async def test_how_lanes_stand_can_be_asked(db):
    await promised(db, a_promise("po_1", lane="pa_1"), a_promise("po_2", lane="pa_2"))
    await db.write(outbox.lane_failed, "pa_2", CLOSED)

    stand = await db.read(outbox.lane_states, ["pa_1", "pa_2", "pa_3"])

    assert {name: turn.state for name, turn in stand.items()} == {"pa_1": "open", "pa_2": "stopped"}


async def buried(db: Database) -> list[Claimed]:
    """Everything whose deadline has passed, buried."""

    def unit(tx: Tx) -> list[Claimed]:
        found = outbox.overdue(tx)
        for claimed in found:
            outbox.bury(tx, claimed)
        return found

    return await db.write(unit)


async def test_a_promise_dies_by_its_deadline_and_only_then(db, clock):
    await promised(db, a_promise("po_1"), a_promise("po_2", give_up_after=dt.timedelta(days=30)))
    clock.shift(dt.timedelta(days=7, seconds=-1))
    assert await buried(db) == []
    clock.shift(1)

    [dead] = await buried(db)

    assert (dead.subject, (await row(db, "po_1")).state) == ("po_1", "dead")
    assert await buried(db) == []
    assert dedups(await taken(db)) == ["po_2"]


async def test_what_is_on_its_way_does_not_die_under_way(db, clock):
    await promised(db, a_promise("po_1"))
    clock.shift(dt.timedelta(days=7, seconds=-10))
    claimed = await one(db)
    clock.shift(20)

    assert await buried(db) == []
    assert await ended(db, claimed, there(claimed))


async def test_a_dead_promise_can_be_sent_again_exactly_as_it_was(db, clock):
    [delivery] = await promised(db, a_promise("po_1"))
    clock.shift(dt.timedelta(days=7))
    await buried(db)

    assert await db.write(outbox.send_again, delivery)

    claimed = await one(db)
    assert (claimed.id, claimed.document) == (delivery, '"po_1"')
    assert await buried(db) == []
    assert not await db.write(outbox.send_again, delivery)


async def test_what_was_purged_cannot_be_sent_again(db, clock):
    [delivery] = await promised(db, a_promise("po_1"))
    clock.shift(dt.timedelta(days=7))
    await buried(db)
    await db.write(lambda tx: tx.execute(update(deliveries).values(document=None)).rowcount)

    assert not await db.write(outbox.send_again, delivery)


async def test_a_promise_that_has_not_begun_to_leave_can_be_taken_back(db, clock):
    await promised(db, a_promise("answer:1", run_at=START + dt.timedelta(seconds=10)))

    assert await db.write(outbox.withdraw, "answer:1")

    clock.shift(20)
    assert await taken(db) == []
    assert not await db.write(outbox.withdraw, "answer:1")


async def test_a_promise_under_way_or_delivered_cannot_be_taken_back(db):
    await promised(db, a_promise("answer:1"))
    claimed = await one(db)

    assert not await db.write(outbox.withdraw, "answer:1")
    assert await ended(db, claimed, there(claimed))
    assert not await db.write(outbox.withdraw, "answer:1")
    assert (await row(db, "answer:1")).last_error == ""


async def test_the_courier_is_woken_after_the_commit(db):
    woken = asyncio.Event()
    db.listen("outbox", woken.set)

    await promised(db, a_promise("po_1"))

    await asyncio.wait_for(woken.wait(), 5)


@sqlite_only
async def test_what_is_due_is_found_by_index_alone(db):
    await promised(db, *(a_promise(f"po_{at}", lane=f"pa_{at % 5}", chain=f"c_{at % 7}") for at in range(50)))

    claiming = await plans_of(db, outbox.claim, "a", busy={})
    await promised(db, a_promise("po_50", lane="pa_9"))
    await db.write(outbox.lane_failed, "pa_9", GONE)
    await db.write(outbox.probe_soon, "pa_9")
    probing = await plans_of(db, outbox.claim, "a", busy={})

    goes_by_index(claiming, "deliveries")
    # Only the one promise of a probe is chosen by sorting, by what was tried least among what is due in that lane.
    assert all("SCAN deliveries" not in plan for plan in probing)
    assert sum("TEMP B-TREE" in plan for plan in probing) == 1
    goes_by_index(await plans_of(db, outbox.next_due), "deliveries")
    goes_by_index(await plans_of(db, outbox.withdraw, "po_1"), "deliveries")
    goes_by_index(await plans_of(db, outbox.reclaim, everything=False), "deliveries")


class Held(msgspec.Struct, frozen=True):
    """What a courier believes it is carrying."""

    owner: str
    batch: Batch


class Kept(msgspec.Struct):
    """What a promise ought to be."""

    dedup: str
    chain: str
    place: int
    lane: str
    ends: str = ""
    lease: tuple[str, int] | None = None
    until: dt.datetime | None = None


OUTCOMES = st.sampled_from(["ok", "ok", "refused", "later", "misconfigured"])


class Promises(RuleBasedStateMachine):
    """Two couriers, three chains, two lanes, a clock, crashes at any moment."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.travel = time_machine.travel(START, tick=False)
        self.clock = self.travel.start()
        raw = sqlite3.connect(":memory:", isolation_level=None)
        self.engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
        metadata.create_all(self.engine, tables=[deliveries, lanes])
        self.tx = self.engine.connect()
        start_topics(self.tx, set())
        self.kept: dict[str, Kept] = {}

    def teardown(self) -> None:
        try:
            self.everything_ends()
        finally:
            self.tx.close()
            self.engine.dispose()
            self.travel.stop()

    def everything_ends(self) -> None:
        for _ in range(100):
            if all(kept.ends for kept in self.kept.values()):
                break
            self.clock.shift(400)
            self.reclaim(everything=False)
            for held in self._claimed("a"):
                self._settled(held, ["ok"] * len(held.batch.claimed))
        assert all(kept.ends for kept in self.kept.values())
        self.rows_are_what_they_ought_to_be()

    @rule(number=st.integers(0, 12), chain=st.sampled_from("xyz"))
    def promise(self, number: int, chain: str) -> None:
        dedup, lane_name = f"{chain}{number}", "pa_1" if chain == "x" else "pa_2"
        outbox.promise(self.tx, Promise(**msgspec.structs.asdict(a_promise(dedup, lane=lane_name, chain=chain))))
        self.kept.setdefault(dedup, Kept(dedup=dedup, chain=chain, place=len(self.kept), lane=lane_name))

    @rule(target=held, owner=st.sampled_from("ab"))
    def claim(self, owner: str) -> Any:
        return multiple(*self._claimed(owner))

    def _claimed(self, owner: str) -> list[Held]:
        batches = outbox.claim(self.tx, owner, busy={})
        for batch in batches:
            assert not batch.is_probe or len(batch.claimed) == 1
            for claimed in batch.claimed:
                kept = self.kept[claimed.subject]
                assert not kept.ends
                assert kept.lease is None
                assert all(other.ends for other in self.kept.values() if other.chain == kept.chain and other.place < kept.place)
                kept.lease, kept.until = (owner, claimed.attempt), now() + outbox.LEASE
        return [Held(owner, batch) for batch in batches]

    @rule(held=consumes(held), outcomes=st.lists(OUTCOMES, min_size=20, max_size=20))
    def settle(self, held: Held, outcomes: list[str]) -> None:
        self._settled(held, outcomes)

    @rule(held=held, outcomes=st.lists(OUTCOMES, min_size=20, max_size=20))
    def settle_and_forget_that_it_was_settled(self, held: Held, outcomes: list[str]) -> None:
        self._settled(held, outcomes)

    def _settled(self, held: Held, outcomes: Sequence[str]) -> None:
        said: dict[str, Outcome] = {
            "ok": Placed(id="sd", new=True),
            "refused": Refused(code="order_refused", title="No."),
            "later": GONE,
            "misconfigured": CLOSED,
        }
        results = [(claimed, said[word]) for claimed, word in zip(held.batch.claimed, outcomes, strict=False)]
        rightful = [claimed.subject for claimed, _ in results if self.kept[claimed.subject].lease == (held.owner, claimed.attempt)]
        done = outbox.settle(self.tx, held.owner, results)
        assert [claimed.subject for claimed, _ in done] == rightful
        for claimed, outcome in done:
            kept = self.kept[claimed.subject]
            kept.lease = None
            assert not kept.ends
            if isinstance(outcome, Placed | Refused):
                kept.ends = "done" if isinstance(outcome, Placed) else "refused"
        troubles = [outcome for _, outcome in done if isinstance(outcome, Later | Misconfigured)]
        if any(isinstance(outcome, Placed | Refused) for _, outcome in results):
            outbox.lane_works(self.tx, held.batch.lane)
        elif troubles:
            outbox.lane_failed(self.tx, held.batch.lane, troubles[0])

    @rule(held=consumes(held))
    def crash(self, held: Held) -> None:
        """The courier is gone; only its lease is left."""

    @rule(seconds=st.integers(1, 400))
    def time_passes(self, seconds: int) -> None:
        self.clock.shift(seconds)

    @rule(everything=st.booleans())
    def reclaim(self, everything: bool) -> None:
        lost = [kept for kept in self.kept.values() if kept.lease and (everything or (kept.until is not None and kept.until < now()))]
        assert outbox.reclaim(self.tx, everything=everything) == len(lost)
        for kept in lost:
            kept.lease = None

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        kept = self.kept[data.draw(st.sampled_from(sorted(self.kept)))]
        is_free = not kept.ends and kept.lease is None
        assert outbox.withdraw(self.tx, kept.dedup) == is_free
        if is_free:
            kept.ends = "done"

    @rule()
    def a_week_passes(self) -> None:
        self.clock.shift(dt.timedelta(days=8))
        dead = outbox.overdue(self.tx)
        assert {claimed.subject for claimed in dead} == {kept.dedup for kept in self.kept.values() if not kept.ends and not kept.lease}
        for claimed in dead:
            outbox.bury(self.tx, claimed)
            self.kept[claimed.subject].ends = "dead"

    @invariant()
    def rows_are_what_they_ought_to_be(self) -> None:
        rows = {row.dedup: row.state for row in self.tx.execute(select(deliveries.c.dedup, deliveries.c.state))}
        assert rows == {kept.dedup: kept.ends or ("leased" if kept.lease else "ready") for kept in self.kept.values()}


TestPromises = Promises.TestCase
TestPromises.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


async def test_a_lease_that_is_renewed_while_its_batch_is_carried_is_not_taken_away(db, clock):
    await promised(db, a_promise("po_1:1"))
    claimed = await one(db)
    clock.shift(50)
    await db.write(outbox.prolong, "a", [claimed])
    await db.write(outbox.prolong, "b", [claimed])
    clock.shift(50)

    assert await db.write(outbox.reclaim, everything=False) == 0
    assert await ended(db, claimed, there(claimed))
