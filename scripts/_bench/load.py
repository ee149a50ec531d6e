"""Requests over kept-alive raw sockets from a process of their own, because an HTTP library would tire before the server does."""

import os
import random
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from typing import Literal

import msgspec

from _bench import orders


class Failed(Exception):
    """A measurement could not be made."""


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be asked of a server: `orders` posts new ones singly, `batch` posts them together, `same` repeats one request.

    In a repeated body `{at}` stands for the request's number.
    """

    port: int
    token: str
    kind: Literal["orders", "batch", "same"] = "orders"
    clients: int = 1
    requests: int
    seconds: float = 20.0
    """Whatever is left to ask then is left out."""
    prefix: str = "PO"
    """Beginning of the order numbers; another one each time, so that no order is a repeat."""
    lines: int = 10
    catalogue: int = 1_000
    size: int = 1
    """Orders in a batch."""
    method: str = "POST"
    path: str = "/api/v1/purchase-orders"
    body: str = ""

    def limited(self, seconds: float) -> "Work":
        """The same for at most so long."""
        return msgspec.structs.replace(self, seconds=seconds)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    seconds: float
    cpu: float
    """Seconds of the load generator itself."""
    statuses: dict[int, int]
    times: list[tuple[float, float]]
    """When each request was sent (the machine's monotonic clock) and how long its answer took, in seconds."""
    last: str
    """The last answer's body."""

    @property
    def requests(self) -> int:
        """How many were answered."""
        return len(self.times)

    def waited(self, part: float) -> float:
        """The answer time, in seconds, that this part of the requests did not exceed."""
        return quantile([took for _, took in self.times], part)


def quantile(values: list[float], part: float) -> float:
    """The value that this part of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


class Running:
    """A load generator that has made its requests ready and waits for the word."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._process = subprocess.Popen([sys.executable, "-m", "_bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._tell(msgspec.json.encode(work))
        self._hear()

    def go(self) -> None:
        """Let the requests out."""
        self._tell(b"go")

    def outcome(self, *, may_fail: bool = False) -> Outcome:
        """Wait for the end; raises Failed when an answer was no success."""
        outcome = msgspec.json.decode(self._hear(), type=Outcome)
        self._process.wait()
        if not may_fail and (not outcome.times or any(status >= 300 for status in outcome.statuses)):
            raise Failed(f"{self.work.method} {self.work.path} answered {outcome.statuses}: {outcome.last[:600]}")
        return outcome

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin  # noqa: S101 - asked for above
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def _hear(self) -> bytes:
        assert self._process.stdout  # noqa: S101 - asked for above
        line = self._process.stdout.readline()
        if not line:
            raise Failed("The load generator ended early.")
        return line


def run(work: Work, *, may_fail: bool = False) -> Outcome:
    """Ask all of it and wait for the answers."""
    running = Running(work)
    running.go()
    return running.outcome(may_fail=may_fail)


def _requests(work: Work) -> list[bytes]:
    chance = random.Random(work.prefix)  # noqa: S311 - chosen to be the same each time
    if work.kind == "same":
        return [_request(work, work.body.replace("{at}", str(at)).encode()) for at in range(work.requests)]
    made = [orders.order(f"{work.prefix}-{at:06d}", work.lines, work.catalogue, chance) for at in range(work.requests * work.size)]
    if work.kind == "orders":
        return [_request(work, msgspec.json.encode(order)) for order in made]
    batches = [made[start : start + work.size] for start in range(0, len(made), work.size)]
    told = [{"orders": [{"traceparent": _trace(chance), "order": order} for order in batch]} for batch in batches]
    return [_request(work, msgspec.json.encode(batch)) for batch in told]


def _trace(chance: random.Random) -> str:
    return f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01"


def _request(work: Work, body: bytes) -> bytes:
    headers = {"Host": f"127.0.0.1:{work.port}", "Accept": "application/json"}
    if work.token:
        headers["Authorization"] = f"Bearer {work.token}"
    if body:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"{work.method} {work.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Client:
    """One connection, and the request it waits for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.socket = self._connect()
        self.sent_at = 0.0
        self._heard = b""

    def _connect(self) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def send(self, request: bytes) -> None:
        self.sent_at = time.monotonic()
        self.socket.sendall(request)

    def hear(self) -> tuple[int, bytes] | None:
        """The status and body of the answer once it is there whole."""
        more = self.socket.recv(262_144)
        if not more:
            raise Failed("The server closed the connection.")
        self._heard += more
        head, found, body = self._heard.partition(b"\r\n\r\n")
        if not found:
            return None
        length = _length(head)
        if length is None:  # chunked, as streams are
            if not body.endswith(b"0\r\n\r\n"):
                return None
        elif len(body) < length:
            return None
        self._heard = b""
        return int(head[9:12]), body


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return None if b"chunked" in head.lower() else 0


def _ask(work: Work, requests: list[bytes]) -> Outcome:
    statuses: Counter[int] = Counter()
    times: list[tuple[float, float]] = []
    left = iter(requests)
    fault, body = b"", b""
    began, cpu = time.monotonic(), time.process_time()
    with selectors.DefaultSelector() as selector:
        for _ in range(work.clients):
            client = _Client(work.port)
            if (request := next(left, None)) is None:
                break
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(request)
        while selector.get_map():
            if not (ready := selector.select(timeout=60)):
                raise Failed("No answer for a minute.")
            for key, _ in ready:
                client = key.data
                if (answer := client.hear()) is None:
                    continue
                at = time.monotonic()
                status, body = answer
                statuses[status] += 1
                times.append((client.sent_at, at - client.sent_at))
                fault = fault or (body if status >= 300 else b"")
                request = next(left, None) if at - began < work.seconds else None
                if request is None:
                    selector.unregister(client.socket)
                    client.socket.close()
                else:
                    client.send(request)
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    return Outcome(seconds=took, cpu=cpu, statuses=dict(statuses), times=times, last=(fault or body).decode(errors="replace"))


def main() -> None:
    """Read the work, make the requests, wait for the word, ask, tell."""
    work = msgspec.json.decode(sys.stdin.buffer.readline(), type=Work)
    requests = _requests(work)
    os.write(1, b"ready\n")
    sys.stdin.buffer.readline()
    sys.stdout.buffer.write(msgspec.json.encode(_ask(work, requests)) + b"\n")


if __name__ == "__main__":
    main()
