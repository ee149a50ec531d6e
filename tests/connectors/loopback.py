"""Another system for tests: a real HTTP server on loopback that behaves as its contract says, or stumbles where it is told to."""

import asyncio
import contextlib
import email.utils
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from prodsys.connectors._base import Grant, Reach
from prodsys.connectors._rest import GrantsHere
from prodsys.kit.clock import now
from tests.connectors.their_prodsys import a_way_out

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request that came in; `path` is decoded and without the query, `uri` is what stood in the request line."""

    method: str
    uri: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.uri).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.uri).query, keep_blank_values=True))

    @property
    def json(self) -> Any:
        return _decode(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered: `body` as JSON, or `raw` bytes as they are."""

    status: int = 200
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = {}

    def content(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.body is None else _encode(self.body)


Stumble = Literal["status", "html", "drop_before", "drop_after", "hang_after", "slow_body"]


class Fault(msgspec.Struct, kw_only=True):
    """A stumble of the next `times` requests whose method and path fit.

    `status` answers it without doing anything (with `body`, `headers`), `html` a page for people, `drop_before` hangs up before anything
    was done, `drop_after` and `hang_after` when all of it was done but nothing said: the *timeout after write*; `slow_body` says half.
    """

    stumble: Stumble
    method: str = ""
    path: str = ""
    times: int = 1
    status: int = 503
    body: Any = None
    headers: Mapping[str, str] = {}

    def fits(self, asked: Asked) -> bool:
        return self.times > 0 and (not self.method or asked.method == self.method) and self.path in asked.path


class Simulator:
    """A system on loopback. A subclass says what its form holds, what it knows, and how it answers.

    What `tests/connectors/test_promises.py` asks of it stands in the members below; leave out what the system has not.
    """

    name = ""
    """The connector's name."""
    token_path = ""
    """Where a token is asked for; such requests meet no fault but those that name the path."""
    patience: ClassVar[float] = 1.0
    """Seconds after which a test gives an answer up; longer where a real system answers."""
    examples: ClassVar[Mapping[str, Any]] = {}
    """By kind, a document of ours that may be written and is then read back the same."""
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """By kind, members of the example that the system does not give back as they were."""
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {}
    """By kind, records in their words, as real as we have them."""
    only_changed: ClassVar[tuple[str, ...]] = ()
    """Kinds that belong to a record of another kind and are only ever changed there, such as the stock of an article."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.released = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0
        self.latency = 0.0
        self.certificate: ssl.SSLContext | None = None

    def prepare(self) -> None:
        """Whatever must stand before anything is asked of it."""

    def config(self) -> dict[str, Any]:
        """The form as an admin fills it in."""
        raise NotImplementedError

    def wrong(self) -> dict[str, Any]:
        """Members of the form with credentials that are not accepted."""
        return {}

    def grant(self) -> Grant | None:
        """What a person's sign-in gave, for systems that need one."""
        return None

    def expire(self) -> bool:
        """Let every token that is out be worth nothing from now on; False where there are none."""
        return False

    def error(self, message: str) -> tuple[int, Any]:
        """A refusal in their words: status and body."""
        return 400, {"message": message}

    def held(self, kind: str) -> int:
        """How many records of a kind it holds."""
        raise NotImplementedError

    def known(self, kind: str) -> Any:
        """What a document's context is (`_base.Known`), without its config: their ids of the customer and the articles."""
        from prodsys.connectors._base import Known

        return Known()

    async def answer(self, asked: Asked) -> Reply:
        """What is answered when nothing is wrong."""
        raise NotImplementedError

    def reach(self) -> dict[str, Any]:
        """What of the house it needs beyond the network, such as folders."""
        return {}

    def stumble(self, fault: Fault) -> None:
        """Let what comes stumble."""
        self.faults.append(fault)

    def count(self) -> Counter[str]:
        """How often what was asked, by method and path."""
        return Counter(f"{asked.method} {asked.path}" for asked in self.asked)

    def fault_for(self, asked: Asked) -> Fault | None:
        for fault in self.faults:
            if fault.fits(asked) and (asked.path != self.token_path or fault.path):
                fault.times -= 1
                return fault
        return None

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._converse(reader, writer):
                    pass
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): said.strip() for name, _, said in (line.partition(":") for line in lines)}
        method, uri, _ = first.split(" ")
        asked = Asked(method=method, uri=uri, headers=headers, body=await reader.readexactly(int(headers.get("content-length", 0))))
        self.asked.append(asked)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._reply(asked, writer)
        finally:
            self.under_way -= 1

    async def _reply(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        fault = self.fault_for(asked)
        match fault.stumble if fault else "":
            case "drop_before":
                return False
            case "status" if fault is not None:
                reply = Reply(status=fault.status, body=fault.body, headers=fault.headers)
            case "html":
                reply = Reply(raw=b"<!doctype html><title>Sign in</title>", headers={"content-type": "text/html"})
            case _:
                reply = await self.answer(asked)
        if fault is not None and fault.stumble in ("drop_after", "hang_after"):
            if fault.stumble == "hang_after":
                await self.released.wait()
            return False
        content = reply.content()
        said = {
            "content-type": "application/json",
            "date": email.utils.format_datetime(now(), usegmt=True),
            "content-length": str(len(content)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in (said | dict(reply.headers)).items())
        is_slow = fault is not None and fault.stumble == "slow_body"
        # An answer without a body is slow in its head.
        end = "" if is_slow and not content else "\r\n"
        writer.write(f"HTTP/1.1 {reply.status} Said\r\n{head}{end}".encode("latin-1"))
        if is_slow:
            writer.write(content[: len(content) // 2])
            await writer.drain()
            await self.released.wait()
            return False
        writer.write(content)
        await writer.drain()
        return True


@contextlib.asynccontextmanager
async def serving(simulator: Simulator) -> AsyncIterator[Simulator]:
    """Let a simulator answer on loopback."""
    simulator.prepare()
    meetings: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.ensure_future(simulator.meet(reader, writer))
        meetings[meeting] = writer
        meeting.add_done_callback(meetings.pop)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0, limit=2**22)
    simulator.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield simulator
    finally:
        simulator.released.set()
        server.close()
        left = dict(meetings)
        for meeting in left:
            meeting.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        # A meeting that was cancelled before it began has closed nothing itself; one that was closing has taken the waiting with it.
        for writer in left.values():
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def reaching(simulator: Simulator, *, timeout: float = 5.0, **more: Any) -> AsyncIterator[Reach]:  # noqa: ASYNC109
    """What a connector may use of the house, with the simulator's grant in hand."""
    async with a_way_out() as out:
        yield Reach(out=out, grants=GrantsHere(simulator.grant()), timeout=timeout, public_url="https://fjord.example", **more)


def dumped(value: Any) -> str:
    """Everything a value shows of itself."""
    return f"{value!r} {value!s} {json.dumps(value, default=repr) if isinstance(value, dict | list) else ''}"


def matching(rows: list[dict[str, Any]], keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Those rows that fit."""
    return [row for row in rows if keep(row)]
