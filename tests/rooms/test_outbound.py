"""What leaves the house over HTTP, and what it makes of the answers."""

import asyncio
import contextlib
import datetime as dt
import email.utils
import gzip
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import trustme

from prodsys.documents import Issue
from prodsys.kit import clock, outbound
from prodsys.kit.outbound import (
    Address,
    Answered,
    Call,
    Fine,
    Forbidden,
    Later,
    Misconfigured,
    Outbound,
    Problem,
    Refused,
    Unreachable,
    judge,
    read_address,
)
from prodsys.kit.telemetry import Trace, current_trace

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
JSON_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Elsewhere:
    """Another company's machine: a real socket that answers in bytes and remembers what came."""

    def __init__(self, reply: Reply, host: str) -> None:
        self.reply = reply
        self.host = host
        self.port = 0
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0

    def url(self, path: str = "/", *, scheme: str = "http", host: str | None = None) -> str:
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    self.heads.append(head)
                    length = next(
                        (int(line.partition(":")[2]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0
                    )
                    self.bodies.append(await reader.readexactly(length))
                    await self.reply(writer)
                    await writer.drain()
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def elsewhere(
    reply: bytes | Reply = JSON_ANSWER, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Elsewhere]:
    async def say(writer: asyncio.StreamWriter) -> None:
        if isinstance(reply, bytes):
            writer.write(reply)
        else:
            await reply(writer)

    there = Elsewhere(say, host)
    meetings: set[asyncio.Task[None]] = set()

    def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.ensure_future(there.meet(reader, writer))
        meetings.add(meeting)
        meeting.add_done_callback(meetings.discard)

    server = await asyncio.start_server(on_connection, host, port, ssl=tls)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        for meeting in list(meetings):
            meeting.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)


@contextlib.asynccontextmanager
async def a_way_out(authority: trustme.CA | None = None, resolve: outbound.Resolve | None = None) -> AsyncIterator[Outbound]:
    with contextlib.ExitStack() as kept:
        file = Path(kept.enter_context(authority.cert_pem.tempfile())) if authority else None
        out = Outbound(LOOPBACK, file, "prodsys/test", resolve=resolve)
    try:
        yield out
    finally:
        await out.close()


async def ask(
    url: str, *, authority: trustme.CA | None = None, resolve: outbound.Resolve | None = None, within: float = 20.0
) -> outbound.Outcome:
    async with a_way_out(authority, resolve) as out:
        return await out.send(Call(method="GET", url=url, trust="admin", timeout=within))


def names(*answers: str) -> outbound.Resolve:
    """A name server that gives these addresses for every name."""

    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [ipaddress.ip_address(answer) for answer in answers]

    return resolve


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(authority: trustme.CA, *hosts: str, expired: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = clock.now() - dt.timedelta(days=1) if expired else None
    since = clock.now() - dt.timedelta(days=30) if expired else None
    authority.issue_cert(*hosts, not_before=since, not_after=until).configure_cert(context)
    return context


async def test_an_answer_comes_back_whole() -> None:
    async with elsewhere() as there, a_way_out() as out:
        answer = await out.send(
            Call(method="POST", url=there.url("/a%2Fb?q=1"), headers={"Authorization": "Bearer x"}, content=b"{}", trust="admin")
        )

    assert answer == Answered(status=200, headers={"content-type": "application/json", "content-length": "11"}, content=b'{"ok":true}')
    assert there.heads[0].startswith("POST /a%2Fb?q=1 HTTP/1.1\r\n")
    assert there.bodies == [b"{}"]


async def test_we_say_who_we_are_and_ask_for_plain_bytes() -> None:
    async with elsewhere() as there:
        await ask(there.url())

    head = there.heads[0].lower()
    assert f"host: 127.0.0.1:{there.port}\r\n" in head
    assert "user-agent: prodsys/test\r\n" in head
    assert "accept-encoding: identity\r\n" in head


async def test_the_trace_goes_along() -> None:
    trace = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    token = current_trace.set(trace)

    async with elsewhere() as there:
        await ask(there.url())
    current_trace.reset(token)

    assert f"traceparent: 00-{trace.trace_id}-" in there.heads[0]
    assert trace.span_id not in there.heads[0]


async def test_a_connection_is_kept_for_the_next_call() -> None:
    async with elsewhere() as there, a_way_out() as out:
        for _ in range(3):
            await out.send(Call(method="GET", url=there.url(), trust="admin"))

    assert (len(there.heads), there.connections) == (3, 1)


async def test_a_connection_they_closed_meanwhile_is_opened_anew() -> None:
    async def once(writer: asyncio.StreamWriter) -> None:
        writer.write(JSON_ANSWER)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with elsewhere(once) as there, a_way_out() as out:
        first = await out.send(Call(method="GET", url=there.url(), trust="admin"))
        second = await out.send(Call(method="GET", url=there.url(), trust="admin"))

    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert there.connections == 2


async def test_a_proxy_named_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async with elsewhere() as there:
        answer = await ask(there.url())

    assert isinstance(answer, Answered)


async def test_a_certificate_of_the_companys_own_authority_is_accepted_when_it_is_named(authority: trustme.CA) -> None:
    async with elsewhere(tls=certificate(authority, "localhost")) as there:
        answer = await ask(there.url(scheme="https", host="localhost"), authority=authority)

    assert isinstance(answer, Answered)


async def test_the_name_is_verified_although_the_address_is_dialled(authority: trustme.CA) -> None:
    async with elsewhere(tls=certificate(authority, "fjord.example")) as there:
        right = await ask(there.url(scheme="https", host="fjord.example"), authority=authority, resolve=names("127.0.0.1"))
        wrong = await ask(there.url(scheme="https", host="nordlys.example"), authority=authority, resolve=names("127.0.0.1"))

    assert isinstance(right, Answered)
    assert isinstance(wrong, Unreachable)
    assert wrong.reason_code == "certificate"
    assert "nordlys.example" in wrong.detail


async def test_an_expired_certificate_is_told_apart_and_nothing_was_sent(authority: trustme.CA) -> None:
    async with elsewhere(tls=certificate(authority, "localhost", expired=True)) as there:
        answer = await ask(there.url(scheme="https", host="localhost"), authority=authority)

    assert isinstance(answer, Unreachable)
    assert (answer.reason_code, answer.sent, there.heads) == ("certificate", False, [])
    assert "expired" in answer.detail


async def test_an_unknown_authority_is_not_believed() -> None:
    async with elsewhere(tls=certificate(trustme.CA(), "localhost")) as there:
        answer = await ask(there.url(scheme="https", host="localhost"))

    assert isinstance(answer, Unreachable)
    assert answer.reason_code == "certificate"


async def test_a_server_without_encryption_behind_https_is_unreachable() -> None:
    async def plain_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Plain words\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(plain_words, "127.0.0.1", 0) as server:
        answer = await ask(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert isinstance(answer, Unreachable)
    assert (answer.reason_code, answer.sent) == ("tls", False)


async def test_a_redirect_is_not_followed() -> None:
    async with elsewhere(b"HTTP/1.1 307 Elsewhere\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n") as there:
        answer = await ask(there.url())

    assert isinstance(answer, Forbidden)
    assert (answer.reason, answer.sent) == ("redirected", True)


async def test_an_endless_answer_is_cut_off() -> None:
    cut_off = asyncio.Event()

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
                await writer.drain()
        finally:
            cut_off.set()

    async with elsewhere(endless) as there:
        answer = await ask(there.url())
        await asyncio.wait_for(cut_off.wait(), 10)

    assert isinstance(answer, Forbidden)
    assert answer.reason == "answer_too_large"


async def test_an_answer_of_exactly_four_mebibytes_is_taken() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n" + bytes(4_194_304)
    async with elsewhere(whole) as there:
        answer = await ask(there.url())

    assert isinstance(answer, Answered)
    assert len(answer.content) == 4_194_304


@pytest.mark.parametrize("status", ["200 OK", "503 Busy"])
async def test_a_compressed_answer_is_never_unpacked(status: str) -> None:
    bomb = gzip.compress(bytes(8_000_000))
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: {len(bomb)}\r\n\r\n"
    async with elsewhere(head.encode() + bomb) as there:
        answer = await ask(there.url())

    if status.startswith("503"):
        assert isinstance(judge(answer), Later)
    else:
        assert isinstance(answer, Forbidden)
        assert answer.reason == "answer_encoded"


async def test_an_answer_that_only_says_it_is_compressed_is_read_as_it_stands() -> None:
    async with elsewhere(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\ntrue") as there:
        answer = await ask(there.url())

    assert isinstance(answer, Answered)
    assert answer.content == b"true"


async def test_an_answer_that_never_ends_its_body_is_given_up_in_time() -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
        await writer.drain()
        await asyncio.Event().wait()

    async with elsewhere(slow) as there:
        answer = await ask(there.url(), within=0.2)

    assert answer == Unreachable(reason_code="timeout", detail="The other side did not answer in time.", sent=True)


async def test_a_name_server_that_never_answers_is_given_up_in_time() -> None:
    async def never(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        return []

    answer = await ask("https://fjord.example/", resolve=never, within=0.05)

    assert answer == Unreachable(reason_code="timeout", detail="The other side did not answer in time.", sent=False)


async def test_a_connection_broken_off_after_the_request_may_have_had_effect() -> None:
    async def slam(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with elsewhere(slam) as there:
        answer = await ask(there.url())

    assert isinstance(answer, Unreachable)
    assert (answer.reason_code, answer.sent) == ("reset", True)


async def test_an_answer_that_breaks_off_in_the_middle_is_no_answer() -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with elsewhere(half) as there:
        answer = await ask(there.url())

    assert isinstance(answer, Unreachable)
    assert (answer.reason_code, answer.sent) == ("reset", True)


async def test_what_is_not_http_is_no_answer() -> None:
    async with elsewhere(b"220 mail.example ESMTP\r\n\r\n") as there:
        answer = await ask(there.url())

    assert isinstance(answer, Unreachable)
    assert answer.reason_code == "protocol"


async def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    answer = await ask(f"http://127.0.0.1:{port}/")

    assert isinstance(answer, Unreachable)
    assert (answer.reason_code, answer.sent) == ("connect", False)


async def test_a_name_nobody_knows_is_unreachable() -> None:
    answer = await ask("https://fjord.invalid/", resolve=names())

    assert isinstance(answer, Unreachable)
    assert answer.reason_code == "dns"


async def test_the_next_address_of_a_name_is_tried() -> None:
    async with elsewhere() as there:
        answer = await ask(there.url(host="fjord.example"), resolve=names("127.9.9.9", "127.0.0.1"))

    assert isinstance(answer, Answered)


async def test_a_name_cannot_lead_elsewhere_between_the_check_and_the_call() -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else "10.0.0.1")]

    async with elsewhere() as there:
        answer = await ask(there.url(host="rebind.example"), resolve=rebinding)

    assert isinstance(answer, Answered)
    assert asked == ["rebind.example"]


async def test_one_private_address_among_public_ones_forbids_the_name() -> None:
    async with a_way_out(resolve=names("9.9.9.9", "127.0.0.1")) as out:
        answer = await out.send(Call(method="GET", url="https://fjord.example/", trust="partner"))

    assert isinstance(answer, Forbidden)
    assert answer.reason == "private_address"


async def test_a_partners_call_never_uses_a_connection_opened_for_an_admin(authority: trustme.CA) -> None:
    tls = certificate(authority, "fjord.example")
    async with elsewhere(tls=tls, host="127.0.0.77", port=8443) as there, a_way_out(authority, names("127.0.0.77")) as out:
        by_admin = await out.send(Call(method="GET", url="https://fjord.example:8443/", trust="admin"))
        by_partner = await out.send(Call(method="GET", url="https://fjord.example:8443/", trust="partner"))

    assert isinstance(by_admin, Answered)
    assert isinstance(by_partner, Forbidden)
    assert len(there.heads) == 1


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fec0::1]",
        "[fd00:ec2::254]",
        "[2001:db8::1]",
    ],
)
async def test_a_partner_cannot_send_us_to_ourselves_or_our_neighbours(host: str) -> None:
    async with a_way_out() as out:
        answer = await out.send(Call(method="GET", url=f"https://{host}/", trust="partner"))

    assert isinstance(answer, Forbidden)
    assert answer.reason == "private_address"


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.0.1", "[fd00::1]", "[::ffff:10.1.2.3]"])
async def test_an_admin_reaches_private_addresses_only_where_they_are_allowed(host: str) -> None:
    async with a_way_out() as out:
        answer = await out.send(Call(method="GET", url=f"https://{host}:9443/", trust="admin"))

    assert isinstance(answer, Forbidden)
    assert answer.reason == "private_address"


async def test_plain_http_leaves_the_allowed_networks_for_nobody() -> None:
    async with a_way_out(resolve=names("9.9.9.9")) as out:
        answer = await out.send(Call(method="GET", url="http://erp.example/", trust="admin"))

    assert isinstance(answer, Forbidden)
    assert answer.reason == "private_address"


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::909:909"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert outbound.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://fjord.example/", "not_https"),
        ("ftp://fjord.example/", "not_https"),
        ("file:///etc/passwd", "not_https"),
        ("fjord.example", "not_https"),
        ("//fjord.example/", "not_https"),
        ("", "not_https"),
        ("https://fjord.example:22/", "port_not_allowed"),
        ("https://fjord.example:444/", "port_not_allowed"),
        ("https://fjord.example:0/", "port_not_allowed"),
        ("https://fjord.example:99999/", "port_not_allowed"),
        ("https://user@fjord.example/", "bad_address"),
        ("https://fjord.example@9.9.9.9/", "bad_address"),
        ("https://fjord.example:443@9.9.9.9/", "bad_address"),
        ("https://2130706433/", "bad_address"),
        ("https://0x7f000001/", "bad_address"),
        ("https://0x7f.1/", "bad_address"),
        ("https://127.1/", "bad_address"),
        ("https://0177.0.0.1/", "bad_address"),
        ("https://①②⑦.0.0.1/", "bad_address"),
        ("https://[fe80::1%25eth0]/", "bad_address"),
        ("https:///x", "bad_address"),
        ("https://fjord.example\r\nX: y/", "bad_address"),
        ("https://fj ord.example/", "bad_address"),
        ("https://fjord%2eexample/", "bad_address"),
        ("https://a..b/", "bad_address"),
        (f"https://{'a' * 64}.example/", "bad_address"),
    ],
)
def test_an_address_a_partner_may_not_give(url: str, reason: str) -> None:
    answer = read_address(url, "partner")

    assert isinstance(answer, Forbidden)
    assert answer.reason == reason


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://fjord.example/x", "fjord.example", 443),
        ("HTTPS://FJORD.example.:8443", "fjord.example", 8443),
        ("https://blåbær.example/", "xn--blbr-roah.example", 443),
        ("https://9.9.9.9/", "9.9.9.9", 443),
        ("https://[2620:fe::fe]:8443/", "2620:fe::fe", 8443),
    ],
)
def test_an_address_a_partner_may_give(url: str, host: str, port: int) -> None:
    answer = read_address(url, "partner")

    assert isinstance(answer, outbound.Target)
    assert (answer.host, answer.port) == (host, port)


async def test_an_address_can_be_checked_before_it_is_ever_called() -> None:
    async with a_way_out(resolve=names("9.9.9.9")) as out:
        fine = await out.check("https://fjord.example/", "partner")
        wrong = await out.check("https://10.0.0.1/", "partner")
    async with a_way_out(resolve=names()) as out:
        unknown = await out.check("https://fjord.example/", "partner")

    assert fine is None
    assert isinstance(wrong, Forbidden)
    assert isinstance(unknown, Unreachable)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer a\r\nX: y"},
        {"Authorization": "Bearer “x”"},
        {"X y": "z"},
        {"Host": "other.example"},
        {"accept-encoding": "gzip"},
    ],
)
async def test_a_header_that_would_break_the_request_is_not_sent(headers: dict[str, str]) -> None:
    async with elsewhere() as there, a_way_out() as out:
        answer = await out.send(Call(method="GET", url=there.url(), headers=headers, trust="admin"))

    assert isinstance(answer, Forbidden)
    assert answer.reason == "bad_request"
    assert "Bearer" not in answer.detail


async def test_one_partners_cookies_are_forgotten() -> None:
    async with elsewhere(JSON_ANSWER.replace(b"OK\r\n", b"OK\r\nSet-Cookie: a=b\r\n")) as there, a_way_out() as out:
        for _ in range(2):
            await out.send(Call(method="GET", url=there.url(), trust="admin"))

    assert "cookie" not in there.heads[1].lower()


def test_a_call_shows_neither_its_token_nor_its_path() -> None:
    call = Call(
        method="GET", url="https://fjord.example/s3cret", headers={"Authorization": "Bearer s3cret"}, content=b"s3cret", trust="admin"
    )

    assert "s3cret" not in repr(call)
    assert "s3cret" not in repr(Answered(status=200, headers={"set-cookie": "s3cret"}, content=b"s3cret"))


def an_answer(status: int, body: object = None, media_type: str = "application/json", **headers: str) -> Answered:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answered(
        status=status, headers={"content-type": media_type} | {k.replace("_", "-"): v for k, v in headers.items()}, content=content
    )


def a_problem(status: int, code: str, media_type: str = "application/problem+json") -> Answered:
    return an_answer(
        status, {"code": code, "title": "So it is.", "detail": "This time.", "status": status, "trace_id": "ab" * 16}, media_type
    )


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (an_answer(200, {}), Fine),
        (an_answer(201, {}, "application/json; charset=utf-8"), Fine),
        (an_answer(200, {}, "application/vnd.prodsys+json"), Fine),
        (Answered(status=204), Fine),
        (Answered(status=304), Fine),
        (an_answer(200, b"<html>", "text/html"), Misconfigured),
        (an_answer(200, b"<html>"), Misconfigured),
        (an_answer(200, {}, "text/plain"), Misconfigured),
        (an_answer(200, b"[" * 100_000), Misconfigured),
        (Answered(status=200), Misconfigured),
        (Answered(status=101), Misconfigured),
        (Answered(status=300), Misconfigured),
        (Unreachable(reason_code="dns", detail=""), Later),
        (Unreachable(reason_code="certificate", detail=""), Later),
        (Forbidden(reason="redirected", detail=""), Misconfigured),
        (Forbidden(reason="private_address", detail=""), Misconfigured),
        (an_answer(408, b"", "text/html"), Later),
        (an_answer(425, b"", "text/html"), Later),
        (a_problem(429, "too_many_requests"), Later),
        (an_answer(500, b"<html>", "text/html"), Later),
        (a_problem(503, "module_off"), Later),
        (an_answer(504, b"", "text/html"), Later),
        (a_problem(401, "token_expired"), Misconfigured),
        (an_answer(401, b"<html>", "text/html"), Misconfigured),
        (a_problem(403, "module_off"), Misconfigured),
        (a_problem(403, "insufficient_scope"), Misconfigured),
        (a_problem(403, "partner_suspended"), Refused),
        (an_answer(403, b"<html>", "text/html"), Misconfigured),
        (an_answer(404, b"<html>", "text/html"), Misconfigured),
        (an_answer(404, {"detail": "Not Found"}), Misconfigured),
        (a_problem(404, "not_found"), Refused),
        (a_problem(409, "order_conflict"), Refused),
        (a_problem(409, "order_conflict", "application/json"), Refused),
        (an_answer(409, b"<html>", "text/html"), Misconfigured),
        (an_answer(413, b"<html>", "text/html"), Refused),
        (a_problem(422, "validation_failed"), Refused),
        (a_problem(400, "not_json"), Refused),
        (a_problem(410, "cursor_gone"), Refused),
        (an_answer(405, b"", "text/html"), Misconfigured),
    ],
)
def test_whose_move_is_next(outcome: outbound.Outcome, verdict: type) -> None:
    assert type(judge(outcome)) is verdict


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("999999", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("٣", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_how_long_they_ask_us_to_wait(said: str, seconds: float | None) -> None:
    verdict = judge(an_answer(503, {}, retry_after=said))

    assert isinstance(verdict, Later)
    assert verdict.retry_after == seconds


def test_how_long_they_ask_us_to_wait_by_date() -> None:
    then = clock.now() + dt.timedelta(minutes=10)

    wait = outbound.retry_after(an_answer(503, {}, retry_after=email.utils.format_datetime(then, usegmt=False)))

    assert wait is not None
    assert 500 < wait <= 600


def test_a_refusal_says_everything_at_once() -> None:
    issues = [
        {
            "code": "article_unknown",
            "message": "Article A-9 is not known.",
            "params": {"number": "A-9"},
            "pointer": "/lines/0/article_number",
            "blocks": True,
        }
    ]
    answer = an_answer(
        422, {"code": "order_refused", "title": "T", "detail": "D", "issues": issues, "trace_id": "ab"}, "application/problem+json"
    )

    assert judge(answer) == Refused(
        problem=Problem(
            status=422,
            code="order_refused",
            title="T",
            detail="D",
            trace_id="ab",
            issues=(
                Issue(
                    code="article_unknown",
                    message="Article A-9 is not known.",
                    params={"number": "A-9"},
                    pointer="/lines/0/article_number",
                    blocks=True,
                ),
            ),
        )
    )


def test_a_strange_refusal_is_read_as_far_as_it_goes() -> None:
    strange = {
        "code": 7,
        "title": "a\x00b\u202ec\nd",
        "detail": "x" * 5_000,
        "issues": [
            None,
            {"code": "c", "params": {"n": 5, "deep": []}, "pointer": 1, "blocks": "yes", "new": {}},
            {"params": {"n": 5, "y": None}},
        ],
        "more": {"than": "we know"},
    }

    problem = outbound.read_problem(an_answer(422, strange))

    assert problem is not None
    assert (problem.code, problem.title, len(problem.detail)) == ("", "a b c d", 2_000)
    assert problem.issues[1] == Issue(code="c", message="", blocks=False)
    assert problem.issues[2].params == {"n": "5", "y": "None"}


def test_a_refusal_that_repeats_our_token_does_not_spread_it() -> None:
    token = "pst_Ab3dEf7h_" + "s" * 32 + "_abc123"

    problem = outbound.read_problem(an_answer(422, {"detail": f"{token} is odd", "issues": [{"message": token}]}))

    assert problem is not None
    assert problem.detail == "pst_Ab3dEf7h*** is odd"
    assert token not in str(problem.issues)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b"\xff", b"{" * 50_000, b'{"issues":' + b"[" * 50_000])
def test_what_is_no_object_is_no_problem_document(body: bytes) -> None:
    assert outbound.read_problem(an_answer(422, body)) is None


@pytest.mark.parametrize(
    ("url", "trust"),
    [
        ("http://127.0.0.1:8071/inbox", "admin"),
        ("https://10.1.2.3/inbox", "admin"),
        ("https://10.1.2.3:8443/inbox", "admin"),
        ("http://10.1.2.3/inbox", "partner"),
        ("https://10.1.2.3:9200/inbox", "partner"),
        ("https://192.168.0.1/inbox", "partner"),
        ("https://intranet.example/inbox", "partner"),
    ],
)
async def test_in_a_network_the_operator_has_opened_a_partner_may_still_name_no_odd_port_and_no_plain_http(url: str, trust: str) -> None:
    out = Outbound([*LOOPBACK, ipaddress.ip_network("10.0.0.0/8")])
    try:
        assert out.trust_of(url) == trust
    finally:
        await out.close()
