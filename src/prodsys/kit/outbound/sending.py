"""Calls are sent: over connections that are kept, to the very address that was checked."""

import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpcore2
import httpx2

from prodsys.kit.outbound.addresses import PARTNER_PORTS, Address, Network, Target, is_public, literal, meant, read_address
from prodsys.kit.outbound.judging import plain
from prodsys.kit.outbound.outcomes import Answered, Call, Forbidden, Outcome, Trust, Unreachable
from prodsys.kit.telemetry import current_trace

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]

_CONNECT_SECONDS = 5.0
_ADDRESSES_TRIED = 4

_METHOD = re.compile(r"[A-Z]{1,20}", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*", re.ASCII)
_OURS_ALONE = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent", "te", "upgrade", "expect"}
)

_ENCODED = "The answer is compressed although we asked for it as it is."
_GZIP = b"\x1f\x8b"


class _Stopped(Exception):
    def __init__(self, forbidden: Forbidden) -> None:
        self.forbidden = forbidden


class _NoSuchName(Exception):
    pass


@cache  # reading the system's hundred authorities takes 40 ms, and companies in one process trust the same
def _trusted() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    trusted = httpx2.create_ssl_context(trust_env=False)
    trusted.load_verify_locations(cafile=ca_file)
    return trusted


class Outbound:
    """Sends calls, keeps connections open per host, and holds the rules of ruling 29. One per app.

    An address given by a partner must be https on port 443 or 8443, and every address its name resolves to must be public. One given
    by an admin may use any port; private addresses and plain http only inside `allowed_networks`. Certificates are always verified,
    against the system's store and the optional `ca_file` (PEM, a company's own authority). Raises OSError when `ca_file` cannot be read.
    """

    def __init__(
        self,
        allowed_networks: Sequence[Network] = (),
        ca_file: Path | None = None,
        user_agent: str = "prodsys",
        *,
        resolve: Resolve | None = None,
    ) -> None:
        trusted = _trusted() if ca_file is None else _trusting(ca_file)
        self._user_agent = user_agent
        look_up = resolve or _SystemNames().resolve

        def inside(address: Address) -> bool:
            known_as = meant(address)
            return any(known_as in network for network in allowed_networks)

        self._inside = inside
        # A pool per rule: a connection that an admin's address opened into the company must never serve a partner's.
        rules: dict[tuple[Trust, str], Callable[[Address], bool]] = {
            ("partner", "https"): is_public,
            ("admin", "https"): lambda address: is_public(address) or inside(address),
            ("admin", "http"): inside,
        }
        self._dialers = {rule: _Dialer(look_up, accepts) for rule, accepts in rules.items()}
        self._pools = {
            rule: httpcore2.AsyncConnectionPool(
                ssl_context=trusted, max_connections=100, max_keepalive_connections=50, keepalive_expiry=30.0, network_backend=dialer
            )
            for rule, dialer in self._dialers.items()
        }

    def trust_of(self, url: str) -> Trust:
        """Whose word an address counts as that a partner gave: an admin's inside a network the operator has opened, else the partner's.

        There, too, a partner may name no other port and no plain http, or he could knock at everything that stands in that network;
        only on this very machine, where companies try each other out, he may.
        """
        target = read_address(url, "admin")
        if isinstance(target, Forbidden):
            return "partner"
        # Only an address that stands there as such: a name may lead elsewhere tomorrow.
        known = literal("127.0.0.1" if target.host == "localhost" else target.host)
        if known is None or not self._inside(known):
            return "partner"
        is_like_any_partner = target.scheme == "https" and target.port in PARTNER_PORTS
        return "admin" if known.is_loopback or is_like_any_partner else "partner"

    async def close(self) -> None:
        """Close every kept connection."""
        for pool in self._pools.values():
            await pool.aclose()

    async def check(self, url: str, trust: Trust) -> Forbidden | Unreachable | None:
        """Say whether `url` could be called, by the same rules and a look-up of its name, without calling it; None when it could."""
        target = read_address(url, trust)
        if isinstance(target, Forbidden):
            return target
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                await self._dialers[trust, target.scheme].addresses(target.host, target.port)
        except TimeoutError:
            return _unreachable("timeout")
        except _NoSuchName:
            return _unreachable("dns")
        except _Stopped as stopped:
            return stopped.forbidden
        return None

    async def send(self, request: Call) -> Outcome:
        """Send one call and read the whole answer; never raises for anything the network or the other side does."""
        target = read_address(request.url, request.trust)
        if isinstance(target, Forbidden):
            return target
        if not _METHOD.fullmatch(request.method):
            return Forbidden(reason="bad_request", detail="The method is not an HTTP method.")
        headers = self._headers(request, target)
        if isinstance(headers, Forbidden):
            return headers

        sent = False

        async def watch(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            sent = sent or event == "http11.send_request_headers.started"

        pool = self._pools[request.trust, target.scheme]
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        try:
            with anyio.fail_after(request.timeout):
                async with pool.stream(
                    request.method, url, headers=headers, content=request.content, extensions={"trace": watch}
                ) as response:
                    return await _read(response, request.most)
        except _Stopped as stopped:
            return stopped.forbidden
        except _NoSuchName:
            return _unreachable("dns")
        except (TimeoutError, httpcore2.TimeoutException):
            return _unreachable("timeout", sent=sent)
        except httpcore2.LocalProtocolError:
            return Forbidden(reason="bad_request", detail="The request is not valid HTTP.")
        except httpcore2.RemoteProtocolError as fault:
            hung_up = "disconnected" in str(fault) or "closed connection" in str(fault)
            return _unreachable("reset" if hung_up else "protocol", sent=sent)
        except (httpcore2.NetworkError, OSError) as fault:
            return _network_fault(fault, sent)

    def _headers(self, request: Call, target: Target) -> list[tuple[bytes, bytes]] | Forbidden:
        given = dict(request.headers)
        trace = current_trace.get()
        if trace is not None and not any(name.lower() == "traceparent" for name in given):
            given["traceparent"] = trace.child().header()
        for name, text in given.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_TEXT.fullmatch(text):
                return Forbidden(reason="bad_request", detail=f"The header {plain(name, 100)} holds characters that HTTP does not allow.")
            if name.lower() in _OURS_ALONE:
                return Forbidden(reason="bad_request", detail=f"The header {plain(name, 100)} is not the caller's to set.")
        ours = [(b"Host", target.netloc), (b"User-Agent", self._user_agent.encode("ascii", "replace")), (b"Accept-Encoding", b"identity")]
        if request.content is None and request.method in {"POST", "PUT", "PATCH"}:
            ours.append((b"Content-Length", b"0"))
        return ours + [(name.encode("ascii"), text.strip().encode("ascii")) for name, text in given.items()]


class _Dialer(httpcore2.AnyIOBackend):
    """Connects to the very address that was checked: a name is looked up once per connection, so it cannot change its mind in between."""

    def __init__(self, resolve: Resolve, accepts: Callable[[Address], bool]) -> None:
        self._resolve = resolve
        self._accepts = accepts

    async def addresses(self, host: str, port: int) -> list[Address]:
        known = literal(host)
        found = [known] if known is not None else list(await self._resolve(host, port))
        if not found:
            raise _NoSuchName
        if not all(self._accepts(address) for address in found):
            raise _Stopped(Forbidden(reason="private_address", detail="The address is not one that may be called from here."))
        return found

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (the library's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        fault: Exception = _NoSuchName()
        for address in (await self.addresses(host, port))[:_ADDRESSES_TRIED]:
            try:
                return await super().connect_tcp(str(address), port, _CONNECT_SECONDS, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as this_one:
                fault = this_one
        raise fault


class _SystemNames:
    """The machine's resolver, in threads of its own: a partner's slow name server must not hold up the threads others need."""

    def __init__(self) -> None:
        self._threads = anyio.CapacityLimiter(16)

    async def resolve(self, host: str, port: int) -> list[Address]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=self._threads)
        except (socket.gaierror, UnicodeError) as fault:
            raise _NoSuchName from fault
        return [ipaddress.ip_address(where[0]) for *_, where in found]


async def _read(response: httpcore2.Response, most: int) -> Answered | Forbidden:
    headers: dict[str, str] = {}
    for raw_name, raw_text in response.headers:
        name, text = raw_name.decode("latin-1").lower(), raw_text.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    status = response.status
    if status in (301, 302, 303, 307, 308):
        return Forbidden(reason="redirected", detail=f"The address redirects ({status}); enter the address it leads to.", sent=True)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        return _unreadable(status, headers, "answer_encoded", _ENCODED)

    content = bytearray()
    async for chunk in response.aiter_stream():
        content += chunk
        # Tryton 7.8 says gzip of every longer answer, although it packs none for who does not take it; so what came is looked at.
        if encoding == "gzip" and content[:2] == _GZIP:
            return _unreadable(status, headers, "answer_encoded", _ENCODED)
        if len(content) > most:
            return _unreadable(status, headers, "answer_too_large", f"The answer is larger than {most:,} bytes.")
    return Answered(status=status, headers=headers, content=bytes(content))


def _unreadable(status: int, headers: Mapping[str, str], reason: str, detail: str) -> Answered | Forbidden:
    # An overloaded proxy's page may be large or compressed, too: its status is all we need to know.
    if status >= 400:
        return Answered(status=status, headers=headers)
    return Forbidden(reason=reason, detail=detail, sent=True)


def _network_fault(fault: BaseException, sent: bool) -> Unreachable:
    causes = [fault]
    while (deeper := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 10:
        causes.append(deeper)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _unreachable("certificate", f" {plain(cause.verify_message, 300)}")
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _unreachable("tls", sent=sent)
    return _unreachable("connect" if isinstance(fault, httpcore2.ConnectError) else "reset", sent=sent)


_SENTENCES = {
    "dns": "The name in the address is not known to the name servers.",
    "connect": "Nothing answers at the address.",
    "timeout": "The other side did not answer in time.",
    "reset": "The other side broke off before it had answered.",
    "certificate": "The other side's certificate does not prove that it is who it says.",
    "tls": "No encrypted connection to the other side could be agreed on.",
    "protocol": "What the other side answered is not HTTP.",
}


def _unreachable(reason: str, more: str = "", *, sent: bool = False) -> Unreachable:
    return Unreachable(reason_code=reason, detail=_SENTENCES[reason] + more, sent=sent)
