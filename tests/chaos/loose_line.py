"""A line between a buyer and a supplier in one process, which loses, doubles, delays and reorders what travels on it."""

import asyncio
import contextlib
from collections import deque
from contextvars import ContextVar
from typing import Any, Literal

import httpx2

from prodsys.kit.outbound import Answered, Call, Unreachable

Fate = Literal["lose_request", "lose_reply", "double", "come_late", "busy", "slow_request", "slow_reply", "die"]

TURN: ContextVar[int] = ContextVar("TURN", default=0)
"""Which turn a call belongs to, so that one that hangs on the line does not hold up the others."""


class LooseLine:
    """Stands where the buyer's `Outbound` stands. What is to befall the next calls is said beforehand; without a word they arrive."""

    def __init__(self) -> None:
        self.door: Any = None
        """The supplier's app; another one after he was started again."""
        self.fates: deque[Fate] = deque()
        self._late: list[Call] = []
        self._held: list[tuple[int, asyncio.Event]] = []
        self._moving: dict[int, int] = {}
        self.answers: list[tuple[str, int]] = []

    async def send(self, call: Call) -> Answered | Unreachable:
        """Carry a call, as far as its fate lets it."""
        turn, fate = TURN.get(), self.fates.popleft() if self.fates else None
        with self._moves(turn):
            if fate == "lose_request":
                return _LOST
            if fate == "come_late":
                self._late.append(call)
                return _LOST
            if fate == "busy":
                return Answered(status=503, headers={"content-type": "application/problem+json"}, content=b'{"code":"busy"}')
            if fate == "double":
                await self._arrive(call)
            if fate == "slow_request":
                await self._hang(turn)
            answer = await self._arrive(call)
            if fate == "lose_reply":
                return _LOST
            if fate == "slow_reply":
                await self._hang(turn)
            if fate == "die":
                raise asyncio.CancelledError
            return answer

    async def deliver_late(self) -> None:
        """Let the oldest of what was thought lost arrive after all; nobody waits for the answer any more."""
        if self._late:
            await self._arrive(self._late.pop(0))

    def let_go(self) -> int | None:
        """Let the oldest hanging call go on; the turn it belongs to."""
        if not self._held:
            return None
        turn, event = self._held.pop(0)
        event.set()
        return turn

    def forget(self) -> None:
        """Nobody waits for the hanging calls any more."""
        self._held.clear()
        self._moving.clear()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way."""
        return not self._late and not self._held

    def hangs(self, turn: int) -> bool:
        """Whether a turn can only go on when it is let go."""
        return any(held == turn for held, _ in self._held) and not self._moving.get(turn)

    async def _arrive(self, call: Call) -> Answered:
        transport = httpx2.ASGITransport(app=self.door, client=("203.0.113.7", 5000))
        async with httpx2.AsyncClient(transport=transport) as client:
            answer = await client.request(call.method, call.url, headers=dict(call.headers), content=call.content)
        self.answers.append((call.url, answer.status_code))
        return Answered(status=answer.status_code, headers=dict(answer.headers), content=answer.content)

    async def _hang(self, turn: int) -> None:
        event = asyncio.Event()
        self._held.append((turn, event))
        self._moving[turn] -= 1
        await event.wait()
        self._moving[turn] = self._moving.get(turn, 0) + 1

    @contextlib.contextmanager
    def _moves(self, turn: int) -> Any:
        self._moving[turn] = self._moving.get(turn, 0) + 1
        try:
            yield
        finally:
            self._moving[turn] = self._moving.get(turn, 0) - 1


_LOST = Unreachable(reason_code="timeout", detail="No answer came in time.", sent=True)
