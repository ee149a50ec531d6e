"""Keeps promises: takes what is due, carries it outside any transaction, and writes down how it ended."""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Batch, Claimed, Dead, LaneTurn
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import log

IDLE = 5.0
"""Seconds after which a courier looks by itself, in case nobody could wake it."""
SWEEP = 10.0
"""Seconds between looks for expired leases and passed deadlines."""
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
        """Carry until cancelled. What is under way then stays leased and is taken up again later, by whoever comes first."""
        self._db.listen("outbox", self.wake)
        self._db.listen("elsewhere", self.wake)
        # Where only one process can be alive, every lease at start-up is a dead one's.
        await self._db.write(outbox.reclaim, everything=self._alone)
        sweep = asyncio.create_task(self._sweep())
        try:
            while True:
                self._awake.clear()
                try:
                    took = await self._take()
                except Exception as fault:  # noqa: BLE001  # the database may be full or away for a moment; promises wait in it
                    log.error("courier.cannot_claim", fault=repr(fault))
                    took = False
                if not took:
                    await self._rest()
        finally:
            sweep.cancel()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(sweep, *self._under_way, return_exceptions=True)

    async def _take(self) -> bool:
        batches = await self._db.write(outbox.claim, self._owner, busy=dict(self._busy))
        for batch in batches:
            self._busy[batch.lane] += 1
            task = asyncio.create_task(self._carry(batch))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return bool(batches)

    async def _rest(self) -> None:
        due = await self._db.read(outbox.next_due)
        seconds = IDLE if due is None else min(max((due - now()).total_seconds(), 0.05), IDLE)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._awake.wait(), seconds)

    async def _carry(self, batch: Batch) -> None:
        kind = self._kinds[batch.claimed[0].kind]
        try:
            try:
                outcomes = await kind.deliver(batch.claimed)
            except Exception as fault:  # noqa: BLE001  # a bug in one kind must not stop the others
                log.exception("courier.stumbled", lane=batch.lane, kind=batch.claimed[0].kind)
                stumbled = Later(reason="internal", detail=f"Our own fault while sending: {type(fault).__name__}.", sent=True)
                outcomes = [stumbled for _ in batch.claimed]
            await self._db.write(self._settle, kind, batch, outcomes)
        except Exception:  # noqa: BLE001  # the lease runs out, and somebody carries it again
            log.exception("courier.cannot_settle", lane=batch.lane)
        finally:
            self._busy[batch.lane] -= 1
            self.wake()

    def _settle(self, tx: Tx, kind: Kind, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        ended = outbox.settle(tx, self._owner, list(zip(batch.claimed, outcomes, strict=True)))
        kind.settle(tx, ended)
        troubles = [(claimed, outcome) for claimed, outcome in ended if isinstance(outcome, Later | Misconfigured)]
        if any(isinstance(outcome, Placed | Refused) for outcome in outcomes):
            turn = outbox.lane_works(tx, batch.lane)
            for claimed, _ in troubles:
                outbox.put_off(tx, claimed, now() + STUMBLES * min(claimed.attempt, 60))
        elif troubles:
            turn = outbox.lane_failed(tx, batch.lane, troubles[0][1])
        else:
            turn = None
        if turn is not None:
            self._tell(tx, turn)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self._db.write(self._sweep_once)
            except Exception:  # noqa: BLE001  # the next sweep tries again
                log.exception("courier.cannot_sweep")

    def _sweep_once(self, tx: Tx) -> None:
        outbox.reclaim(tx, everything=False)
        for claimed in outbox.overdue(tx):
            self._kinds[claimed.kind].settle(tx, [(claimed, Dead(reason="The partner could not be reached before the deadline."))])
        for turn in outbox.lanes_to_tell(tx):
            self._tell(tx, turn)
