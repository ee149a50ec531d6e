"""Another company's ProdSys for tests: a real server on loopback that keeps the contract, or breaks it where it is told to."""

import asyncio
import contextlib
import datetime as dt
import email.utils
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from prodsys.kit.outbound import Outbound
from prodsys.tokens.model import Bundle, mint, pack

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
SCOPES = ["Articles:Read", "Contacts:ReadWrite", "PurchaseOrders:Create"]
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Reply = tuple[int, Any]
Fault = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Asked:
    """One request that came in."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path, _, self.query = target.removeprefix("/api/v1").partition("?")
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class TheirProdsys:
    """Fjord Lager AS: takes orders, knows articles A-100 and A-200, and hands out one token for one claim code."""

    def __init__(self) -> None:
        self.url = ""
        self.token = mint().token
        self.claim: str | None = "one-use-code"
        self.asked: list[Asked] = []
        self.books: dict[tuple[str, int], dict[str, Any]] = {}
        self.poison: dict[str, int] = {}
        """Orders that make them stumble or object, by number: the status they are answered with."""
        self.faults: dict[str, Fault | bytes] = {}
        """Paths that do not keep the contract, and what they do instead."""
        self.odd_change: dict[str, Any] = {}
        """What their feed says instead."""
        self.most_in_a_batch = 500
        self.expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=90)
        self.scopes = list(SCOPES)
        self.modules = ["api-access", "prodsys-to-prodsys"]
        self.clock = dt.timedelta(0)
        self.contact = {"how": "linked", "similar": 0, "issues": []}
        self.may_rotate = True
        self.card: dict[str, Any] = {
            "name": "Fjord Lager AS",
            "organisation_number": "999999999",
            "email": "ordre@fjord.example",
            "address": {"street": "Havnegata", "house_number": "2", "postcode": "5003", "city": "Bergen", "country": "NO", "floor": "3"},
            "persons": [{"name": "Ola Fjord", "pager": "none"}],
        }

    def bundle(self, **changes: Any) -> str:
        given: dict[str, Any] = {"url": self.url, "claim": "one-use-code", "company": "Fjord Lager AS", "expires_at": self.expires_at}
        return pack(Bundle(**given | changes))

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    async def answer(self, asked: Asked) -> Reply:
        if asked.path == "/claims":
            return self._claimed(asked)
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return problem(401, "token_unknown", "This token is not known here; ask the company that issued it for a new one.")
        match asked.method, asked.path:
            case "GET", "/company":
                return 200, self.card | {
                    "document_versions": ["1"],
                    "version": "0.2.0",
                    "epoch": "01EPOCH",
                    "modules": self.modules,
                    "token": {"scopes": self.scopes, "expires_at": self.expires_at.isoformat(), "partner": None},
                    "contact": None,
                    "mascot": "an otter",
                }
            case "POST", "/purchase-orders":
                return self._place(asked.json, asked.headers.get("traceparent", ""))
            case "POST", "/purchase-orders/batch":
                return self._batch(asked.json["orders"])
            case "POST", "/purchase-orders/preview":
                return 200, {"items": [self._report(order) for order in asked.json["orders"]]}
            case "GET", "/purchase-orders/changes":
                if "after=gone" in asked.query:
                    return problem(410, "cursor_gone", "This cursor belongs to another life of this instance.")
                change = {"position": 1, "kind": "order.blessed", "at": "2026-11-21T10:15:00Z", "acceptance": "consecrated", "answer": 1}
                line: dict[str, Any] = {"line_id": "10", "action": "3", "unit_price": "1.50", "reason_code": "moon", "warranty": "2 years"}
                line["deliveries"] = [{"quantity": "5", "date": "2026-12-01", "lorry": "red"}]
                answered = {"answer": 1, "code": "CA", "at": "2026-11-21T10:15:00Z", "lines": [line], "signed": True}
                more = {"answered": answered, "despatch": {"id": "sp_1", "colour": "blue"}}
                return 200, {"items": [change | more | {"id": "sd_1", "number": "PO-1", "revision": 1} | self.odd_change], "next": "later"}
            case "POST", path if path.startswith("/purchase-orders/sd_"):
                return self._heard(path, asked.json)
            case "GET", "/articles":
                return 200, {"items": [{"id": "ar_1", "number": "A-100", "is_active": True, "price": "12.50"}], "next": None}
            case "POST", "/articles/match":
                numbers = asked.json["numbers"]
                known = {"A-100", "A-200"}
                return 200, {"items": [{"number": one, "how": "article_number" if one in known else "unknown"} for one in numbers]}
            case "POST", "/contacts/match":
                return 200, self.contact
            case "POST", "/token/rotate" if self.may_rotate:
                self.token = mint().token
                return 201, {"id": "tk_2", "token": self.token, "scopes": self.scopes, "expires_at": self.expires_at.isoformat()}
            case "POST", "/token/rotate":
                return problem(403, "rotation_not_allowed", "This partner's tokens are renewed by their issuer alone.")
            case "GET", path if path.startswith("/purchase-orders/"):
                order = {"id": path.rpartition("/")[2], "number": "PO-1", "revision": 1}
                return 200, order | {"acceptance": "approved", "order_number": "SO-1"}
            case _:
                return problem(404, "not_found", "There is nothing here that you may see under this address.")

    def _heard(self, path: str, word: dict[str, Any]) -> Reply:
        if path.endswith("/acceptance") and word["answer"] < 2:
            return problem(409, "answer_superseded", "The supplier has given a newer answer meanwhile.")
        status = 201 if path.endswith("/messages") else 202 if path.endswith("/cancellation") else 200
        return status, {"acceptance": "agreed", "answer": 2, "mood": "good"}

    def _claimed(self, asked: Asked) -> Reply:
        if self.claim is None or asked.json["claim"] != self.claim:
            return problem(422, "claim_unknown", "This claim code is not known, has been used, or is older than 7 days.")
        self.claim = None
        return 201, {"token": self.token, "scopes": self.scopes, "expires_at": self.expires_at.isoformat(), "company": self.card}

    def _batch(self, orders: list[dict[str, Any]]) -> Reply:
        if len(orders) > self.most_in_a_batch:
            return problem(413, "too_large", "The body is larger than 8 MiB.")
        if any(self.poison.get(one["order"]["number"]) == 500 for one in orders):
            return problem(500, "internal", "Something went wrong on our side; nothing was stored.")
        items = []
        for one in orders:
            status, said = self._place(one["order"], one["traceparent"])
            about = {"number": one["order"]["number"], "revision": one["order"].get("revision", 1), "status": status}
            items.append(about | ({"receipt": said} if status < 300 else {"problem": said}))
        return 200, {"items": items}

    def _place(self, order: dict[str, Any], traceparent: str) -> Reply:
        key = (order["number"], order.get("revision", 1))
        if status := self.poison.get(order["number"]):
            issue = {"code": "article_unknown", "message": "Line 10: the supplier has no article A-999.", "blocks": True}
            return problem(status, "order_refused", "The order cannot be taken as it is.", [issue])
        if key in self.books:
            return 200, self.books[key] | {"new": False}
        self.books[key] = {
            "id": f"sd_{len(self.books) + 1}",
            "number": order["number"],
            "revision": key[1],
            "delivery": "received",
            "validation": "sparkling",
            "acceptance": "open",
            "fulfilment": "none",
            "epoch": "01EPOCH",
            "received_at": "2026-11-21T10:15:00Z",
            "new": True,
            "contact": {"how": "partner_link"},
            "lines": [],
            "issues": [],
            "trace_id": traceparent[3:35],
            "weather": "fair",
        }
        return 201, self.books[key]

    def _report(self, order: dict[str, Any]) -> dict[str, Any]:
        return {
            "number": order["number"],
            "revision": order.get("revision", 1),
            "would": "refused",
            "contact": {"how": "linked", "similar": 0},
            "lines": [{"line_id": line["line_id"], "how": "guessed", "expected_price": "129.50"} for line in order["lines"]],
            "issues": [{"code": "article_unknown", "message": "No such article.", "blocks": True, "colour": "red"}],
        }


def problem(status: int, code: str, title: str, issues: list[dict[str, Any]] | None = None) -> Reply:
    said = {"type": f"/problems/{code}", "title": title, "status": status, "detail": title, "code": code}
    return status, said | {"issues": issues or [], "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}


def http(status: int, body: bytes, media_type: str = "application/json", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status} Said", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def drop(writer: asyncio.StreamWriter) -> None:
    """Hang up instead of answering."""
    writer.transport.abort()


async def endless(writer: asyncio.StreamWriter) -> None:
    """Answer for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        await writer.drain()


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[TheirProdsys]:
    """Their instance, listening."""
    theirs = TheirProdsys()
    meetings: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
            method, target, _ = first.split(" ")
            asked = Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))
            theirs.asked.append(asked)
            fault = theirs.faults.get(asked.path)
            if isinstance(fault, bytes):
                writer.write(fault)
            elif fault is not None:
                await fault(writer)
            else:
                status, said = await theirs.answer(asked)
                date = email.utils.format_datetime(dt.datetime.now(dt.UTC) + theirs.clock, usegmt=True)
                kind = "application/problem+json" if status >= 400 else "application/json"
                writer.write(http(status, json.dumps(said).encode(), kind, f"Date: {date}"))
            await writer.drain()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await converse(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.ensure_future(meet(reader, writer))
        meetings.add(meeting)
        meeting.add_done_callback(meetings.discard)

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0, limit=2**20)
    theirs.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield theirs
    finally:
        server.close()
        for meeting in list(meetings):
            meeting.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)


@contextlib.asynccontextmanager
async def a_way_out() -> AsyncIterator[Outbound]:
    """Our one way out, allowed to call this machine."""
    out = Outbound(LOOPBACK, user_agent="prodsys/test")
    try:
        yield out
    finally:
        await out.close()
