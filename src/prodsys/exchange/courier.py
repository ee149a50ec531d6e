"""Keeps promises: takes what is due, carries it outside any transaction, and writes down how it ended."""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec

from prodsys import errors
from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Batch, Claimed, Dead, LaneTurn
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, savepoint
from prodsys.kit.journal import log
from prodsys.kit.outbound import Later, Misconfigured

IDLE = 5.0
"""Seconds after which a courier looks by itself, in case nobody could wake it."""
SWEEP = 10.0
"""Seconds between looks for expired leases and passed deadlines."""
RENEW = 20.0
"""Seconds after which a lease of 60 is renewed while its batch is still on its way."""
STUMBLES = dt.timedelta(minutes=1)
"""How long one promise waits that alone makes the other side stumble, times the attempts it has had."""


class Kind(Protocol):
    """One kind of promise: how it is carried, and what its end means to the room that made it. `app` lists them all."""

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]: ...
    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None: ...


class Courier:
    """Carries promises until it is stopped; as many processes as there are may run one on the same PostgreSQL."""

    def __init__(self, db: Database, kinds: Mapping[str, Kind], owner: str, tell: Callable[[Tx, LaneTurn], None], *, alone: bool) -> None:
        self._db = db
        self._kinds = kinds
        self._owner = owner
        self._tell = tell
        self._alone = alone
        self._awake = asyncio.Event()
        self._busy: Counter[str] = Counter()
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look now: something was promised, or a lane may be open again."""
        self._awake.set()

    async def run(self) -> None:
        """Carry until cancelled. What is under way then is given back, and taken up again by whoever comes first."""
        deaf = [self._db.listen(topic, self.wake) for topic in ("outbox", "elsewhere")]
        sweep = asyncio.create_task(self._sweep())
        is_fresh = True
        try:
            while True:
                self._awake.clear()
                try:
                    if is_fresh:
                        # Where only one process can be alive, every lease at start-up is a dead one's.
                        await self._db.write(outbox.reclaim, everything=self._alone)
                        is_fresh = False
                    seconds = 0.0 if await self._take() else await self._idle()
                except Exception as fault:  # noqa: BLE001  # the database may be full or away for a moment; promises wait in it
                    log.error("courier.cannot_claim", fault=repr(fault))
                    seconds = IDLE
                if seconds:
                    await self._rest(seconds)
        finally:
            for stop_listening in deaf:
                stop_listening()
            sweep.cancel()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(sweep, *self._under_way, return_exceptions=True)
            with contextlib.suppress(errors.StorageUnavailable):
                await self._db.write(outbox.give_back, self._owner)

    async def _take(self) -> bool:
        batches = await self._db.write(outbox.claim, self._owner, busy=dict(self._busy))
        for batch in batches:
            self._busy[batch.lane] += 1
            task = asyncio.create_task(self._carry(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return bool(batches)

    async def _idle(self) -> float:
        """Seconds until there may be something to do again."""
        due = await self._db.read(outbox.next_due)
        return IDLE if due is None else min(max((due - now()).total_seconds(), 0.05), IDLE)

    async def _rest(self, seconds: float) -> None:
        # Not wait_for: in Python 3.11 it loses a cancellation that comes in the moment we are woken, and then nothing stops us any more.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake.wait()

    async def _carry(self, batch: Batch) -> None:
        holding = asyncio.create_task(self._hold(batch))
        try:
            kind = self._kinds[batch.claimed[0].kind]
            await self._end(kind, batch, await self._deliver(kind, batch.claimed))
        except Exception:  # noqa: BLE001  # the lease runs out, and somebody carries it again
            log.exception("courier.cannot_settle", lane=batch.lane)
        finally:
            holding.cancel()
            self._busy[batch.lane] -= 1
            self.wake()

    async def _hold(self, batch: Batch) -> None:
        """Renew a lease for as long as its batch is carried: a slow mail server or webhook must not make everything leave twice."""
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(errors.StorageUnavailable):
                await self._db.write(outbox.prolong, self._owner, batch.claimed)

    async def _deliver(self, kind: Kind, claimed: Sequence[Claimed]) -> list[Outcome]:
        try:
            return await kind.deliver(claimed)
        except Exception as fault:  # noqa: BLE001  # a bug in one kind must not stop the others
            log.exception("courier.stumbled", lane=claimed[0].lane, kind=claimed[0].kind)
            if len(claimed) == 1:
                return [Later(reason="internal", detail=f"Our own fault while sending: {type(fault).__name__}.", sent=True)]
        # One by one, so that only the odd one waits; what had left already is only repeated.
        return [(await self._deliver(kind, [one]))[0] for one in claimed]

    async def _end(self, kind: Kind, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        try:
            await self._db.write(self._settle, kind, batch, outcomes)
            return
        except errors.StorageUnavailable:
            raise
        except Exception:  # told below, for the odd one alone
            if len(batch.claimed) == 1:
                raise
        for claimed, outcome in zip(batch.claimed, outcomes, strict=True):
            try:
                await self._db.write(self._settle, kind, msgspec.structs.replace(batch, claimed=[claimed]), [outcome])
            except Exception:  # noqa: BLE001  # the lease runs out, and it is carried again
                log.exception("courier.cannot_settle", lane=batch.lane, delivery=claimed.id)

    def _settle(self, tx: Tx, kind: Kind, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        ended = outbox.settle(tx, self._owner, list(zip(batch.claimed, outcomes, strict=True)))
        kind.settle(tx, ended)
        troubles = [(claimed, outcome) for claimed, outcome in ended if isinstance(outcome, Later | Misconfigured)]
        # Where others get through, or did before this one left alone, it is not the lane that is in trouble.
        is_theirs_alone = not batch.is_probe and batch.claimed[0].attempt > outbox.ALONE_AFTER
        turn = None
        if any(isinstance(outcome, Placed | Refused) for outcome in outcomes):
            turn = outbox.lane_works(tx, batch.lane)
            is_theirs_alone = True
        elif troubles:
            turn = outbox.lane_failed(tx, batch.lane, troubles[0][1])
        if is_theirs_alone:
            for claimed, _ in troubles:
                outbox.put_off(tx, claimed, now() + STUMBLES * min(claimed.attempt, 60))
        if turn is not None:
            self._tell(tx, turn)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            await self.sweep()

    async def sweep(self) -> None:
        """Take back what dead couriers held, bury what has passed its deadline, tell of lanes that wait too long."""
        for part in (partial(outbox.reclaim, everything=False), self._bury, self._tell_of_lanes):
            try:
                await self._db.write(part)
            except Exception:  # noqa: BLE001  # the next sweep tries again
                log.exception("courier.cannot_sweep")

    def _bury(self, tx: Tx) -> None:
        for claimed in outbox.overdue(tx):
            try:
                with savepoint(tx):
                    outbox.bury(tx, claimed)
                    dead = Dead(reason="The partner could not be reached before the deadline.")
                    self._kinds[claimed.kind].settle(tx, [(claimed, dead)])
            except errors.StorageUnavailable:
                raise
            except Exception:  # noqa: BLE001  # one room's bug must not keep the others' from being told
                log.exception("courier.cannot_bury", delivery=claimed.id)

    def _tell_of_lanes(self, tx: Tx) -> None:
        for turn in outbox.lanes_to_tell(tx):
            self._tell(tx, turn)
