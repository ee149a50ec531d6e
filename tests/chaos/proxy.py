"""A bad line between two companies: it loses, cuts, delays, doubles and makes up, by a plan that a seed repeats."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Literal

Fault = Literal[
    "none", "lose_request", "lose_reply", "cut_request", "cut_reply", "late", "too_late", "twice", "own_502", "own_502_after_delivery"
]
Stage = Literal["arrived", "delivered", "answered"]

CARRIES_ORDERS = {"POST /api/v1/purchase-orders", "POST /api/v1/purchase-orders/batch"}

BAD: dict[Fault, int] = {
    "none": 30, "lose_request": 8, "lose_reply": 14, "cut_request": 8, "cut_reply": 10,
    "late": 10, "too_late": 2, "twice": 10, "own_502": 6, "own_502_after_delivery": 8,
}  # fmt: skip
"""How often which fault, as weights: two requests of three meet one."""

_SAID = b"<html><h1>Bad Gateway</h1></html>"
OWN_502 = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_SAID), _SAID)


def quiet(_: Stage, __: str) -> None:
    """Nobody wants to know."""


class Proxy:
    """Passes HTTP on to a port of this machine; `faults` says how well, `at` hears of each stage of every request, and which it is."""

    def __init__(self, upstream: int, seed: int = 1) -> None:
        self.upstream = upstream
        self.faults: dict[Fault, int] = {"none": 1}
        self.too_late = 2.5
        """Seconds after which the caller has given up."""
        self.at: Callable[[Stage, str], None] = quiet
        self.late = (0.01, 0.3)
        """Seconds between which a late request is late."""
        self.met: Counter[Fault] = Counter()
        self._random = random.Random(seed)

    def turn_bad(self, seed: int) -> None:
        """From now on two requests of three meet a fault; the same seed, the same faults."""
        self._random = random.Random(seed)
        self.met.clear()
        self.faults = BAD

    def turn_good(self) -> None:
        """From now on everything arrives."""
        self.faults = {"none": 1}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one caller until he leaves or is cut off."""
        try:
            while (request := await _message(reader)) is not None:
                await self._pass_on(request, writer)
                if writer.is_closing():
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _pass_on(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        [fault] = self._random.choices(list(self.faults), weights=list(self.faults.values()))
        self.met[fault] += 1
        what = _what(request)
        self.at("arrived", what)
        match fault:
            case "lose_request":
                _hang_up(writer)
                return
            case "own_502":
                writer.write(OWN_502)
                writer.close()
                return
            case "cut_request":
                await self._deliver(request[: self._random.randrange(1, len(request))], cut=True)
                _hang_up(writer)
                return
            case "late":
                await asyncio.sleep(self._random.uniform(*self.late))
            case _:
                pass
        if fault == "twice":
            wait = self._random.choice([0, self._random.uniform(0, 0.1)])
            _, reply = await asyncio.gather(self._deliver(request), self._deliver(request, after=wait))
        else:
            reply = await self._deliver(request)
        self.at("answered", what)
        match fault:
            case _ if not reply:
                _hang_up(writer)
            case "lose_reply":
                _hang_up(writer)
            case "too_late":
                await asyncio.sleep(self.too_late)
                _hang_up(writer)
            case "own_502_after_delivery":
                writer.write(OWN_502)
                writer.close()
            case "cut_reply":
                writer.write(reply[: self._random.randrange(1, len(reply))])
                await writer.drain()
                _hang_up(writer)
            case _:
                writer.write(reply)
                await writer.drain()

    async def _deliver(self, request: bytes, *, after: float = 0, cut: bool = False) -> bytes:
        """The whole reply; empty when the other side has none, being dead or cut off."""
        await asyncio.sleep(after)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            return b""
        try:
            writer.write(request)
            await writer.drain()
            if cut:
                return b""
            self.at("delivered", _what(request))
            return await _message(reader) or b""
        except (OSError, asyncio.IncompleteReadError):
            return b""
        finally:
            _hang_up(writer)


@contextlib.asynccontextmanager
async def between(upstream: int, port: int, seed: int = 1) -> AsyncIterator[Proxy]:
    """A line that leads from this port to that one until the block ends; it is good until it is told to turn bad."""
    proxy = Proxy(upstream, seed)
    calls: set[asyncio.Task[None]] = set()

    def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.create_task(proxy.serve(reader, writer))
        calls.add(call)
        call.add_done_callback(calls.discard)

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    try:
        yield proxy
    finally:
        server.close()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def _what(request: bytes) -> str:
    """What is asked for, as `GET /path`, but `order` for what carries orders."""
    asked = b" ".join(request.split(b" ", 2)[:2]).decode("latin-1")
    return "order" if asked.partition("?")[0] in CARRIES_ORDERS else asked


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """A whole request or reply, head and body; None when nothing more comes."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise
        return None
    length = 0
    for line in head.split(b"\r\n"):
        name, _, text = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(text)
    return head + (await reader.readexactly(length) if length else b"")


def _hang_up(writer: asyncio.StreamWriter) -> None:
    if writer.transport is not None:
        writer.transport.abort()
