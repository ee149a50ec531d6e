"""The one way out over HTTP: to partners and to the systems an admin has named, and nowhere else.

Every call ends as a value. `Outbound.send` says what happened on the way; `judge` says what a ProdSys partner's answer means:

    Answered      they answered, whatever the status
    Unreachable   no answer came; nobody's fault, try again
    Forbidden     the address or the answer breaks a rule of ours; a person has to mend it

    Fine · Later · Misconfigured · Refused       (rulings 20 and 29)
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
import httpcore2
import httpx2
import msgspec

from prodsys.documents import Issue
from prodsys.kit import clock
from prodsys.kit.telemetry import current_trace, redact

Trust = Literal["partner", "admin"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
T = TypeVar("T")

MAX_ANSWER = 4 * 1024 * 1024
MAX_RETRY_AFTER = 3600.0
MAX_FOREIGN_TEXT = 2_000
MAX_FOREIGN_ISSUES = 10_000
PARTNER_PORTS = frozenset({443, 8443})

_CONNECT_SECONDS = 5.0
_ADDRESSES_TRIED = 4
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)", re.ASCII)
_METHOD = re.compile(r"[A-Z]{1,20}", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_TEXT = re.compile(r"[\x20-\x7e]*", re.ASCII)
_OURS_ALONE = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent", "te", "upgrade", "expect"}
)
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_INTERNET6 = ipaddress.IPv6Network("2000::/3")
_ENCODED = "The answer is compressed although we asked for it as it is."
_GZIP = b"\x1f\x8b"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request. `trust` says who gave the address (ruling 29); `timeout` is seconds for all of it, name look-up to last byte."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    trust: Trust
    timeout: float = 30.0
    most: int = MAX_ANSWER
    """Bytes of the answer's body that are read at most."""

    def __repr__(self) -> str:
        # Headers carry tokens, and some vendors put secrets into the path.
        return f"Call({self.method}, trust={self.trust!r}, {len(self.content or b'')} bytes)"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """They answered. Header names are in small letters; `content` is empty when an error came with a body too large or compressed."""

    status: int
    headers: Mapping[str, str] = {}
    content: bytes = b""

    def __repr__(self) -> str:
        return f"Answered({self.status}, {len(self.content)} bytes)"


class Unreachable(msgspec.Struct, frozen=True, kw_only=True):
    """No answer came.

    `reason_code` is dns, connect, timeout, reset, certificate, tls or protocol. `sent` is False when nothing of the request can have
    reached them; when it is True a create may have happened, so look before repeating it.
    """

    reason_code: str
    detail: str
    retry_after: float | None = None
    sent: bool = False


class Forbidden(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of ours stopped the call, or (when `sent`) its answer.

    `reason` is bad_address, not_https, port_not_allowed, private_address, bad_request, redirected, answer_too_large or answer_encoded.
    """

    reason: str
    detail: str
    sent: bool = False


Outcome = Answered | Unreachable | Forbidden


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side says is wrong (RFC 9457), as data: texts cut to 2,000 characters, no control characters, no secrets."""

    status: int
    code: str = ""
    title: str = ""
    detail: str = ""
    issues: tuple[Issue, ...] = ()
    trace_id: str = ""


class Fine(msgspec.Struct, frozen=True, kw_only=True):
    """Done, and the body is JSON (or the status says there is none)."""

    answer: Answered


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody's fault: the lane waits, the document has lost nothing. `retry_after` is seconds, at most an hour."""

    reason: str
    detail: str
    retry_after: float | None = None
    sent: bool = False


class Misconfigured(msgspec.Struct, frozen=True, kw_only=True):
    """An admin has to mend something, here or there: the lane is paused until then."""

    reason: str
    detail: str
    problem: Problem | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """They understood this document and do not take it."""

    problem: Problem


Verdict = Fine | Later | Misconfigured | Refused


class _Stopped(Exception):
    def __init__(self, forbidden: Forbidden) -> None:
        self.forbidden = forbidden


class _NoSuchName(Exception):
    pass


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An address that was read once; what is checked is what is called."""

    scheme: str
    host: str
    port: int
    netloc: bytes
    path: bytes


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
            known_as = _meant(address)
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
        literal = _literal("127.0.0.1" if target.host == "localhost" else target.host)
        if literal is None or not self._inside(literal):
            return "partner"
        is_like_any_partner = target.scheme == "https" and target.port in PARTNER_PORTS
        return "admin" if literal.is_loopback or is_like_any_partner else "partner"

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
        literal = _literal(host)
        found = [literal] if literal is not None else list(await self._resolve(host, port))
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


def read_address(url: str, trust: Trust) -> Target | Forbidden:
    """Read an address and hold it against the rules that need no name look-up (ruling 29)."""
    try:
        read = httpx2.URL(url)
        host = read.raw_host.decode("ascii").lower().removesuffix(".")
    except (httpx2.InvalidURL, UnicodeError, ValueError, TypeError):
        return _bad_address("The address cannot be read.")
    if read.scheme not in ("http", "https") or (trust == "partner" and read.scheme != "https"):
        detail = "The address must begin with https://, unless it is this machine's own and PRODSYS_ALLOWED_NETWORKS names it."
        return Forbidden(reason="not_https", detail=detail)
    if read.userinfo:
        return _bad_address("The address must not hold a user name or a password.")
    if _literal(host) is None and not _NAME.fullmatch(host):
        return _bad_address("The address does not name a host.")
    # The resolver would read 2130706433, 0x7f.1 and 127.1 as addresses; a person reads them as something else.
    if _literal(host) is None and _NUMBER.fullmatch(host.rpartition(".")[2]):
        return _bad_address("The address spells an IP address in an unusual way.")
    port = read.port if read.port is not None else (443 if read.scheme == "https" else 80)
    if not 0 < port < 65_536:
        return Forbidden(reason="port_not_allowed", detail="There is no such port.")
    if trust == "partner" and port not in PARTNER_PORTS:
        detail = "A partner's address must use port 443 or 8443, unless it is this machine's own and PRODSYS_ALLOWED_NETWORKS names it."
        return Forbidden(reason="port_not_allowed", detail=detail)
    return Target(scheme=read.scheme, host=host, port=port, netloc=read.netloc, path=read.raw_path)


def is_public(address: Address) -> bool:
    """Whether an address is reached over the internet, also when an IPv4 address is wrapped in an IPv6 one."""
    meant = _meant(address)
    if isinstance(meant, ipaddress.IPv6Address) and meant not in _INTERNET6:
        return False
    return meant.is_global and not meant.is_multicast and not meant.is_reserved


def judge(outcome: Outcome) -> Verdict:
    """Sort a ProdSys partner's outcome by whose move is next (ruling 20)."""
    match outcome:
        case Unreachable():
            return Later(reason=outcome.reason_code, detail=outcome.detail, retry_after=outcome.retry_after, sent=outcome.sent)
        case Forbidden():
            return Misconfigured(reason=outcome.reason, detail=outcome.detail)
        case Answered():
            return _judge_answer(outcome)


def _judge_answer(answer: Answered) -> Verdict:
    status = answer.status
    if status in (204, 304) or (200 <= status < 300 and _is_json(answer)):
        return Fine(answer=answer)
    if status in (408, 425, 429) or status >= 500:
        wait = retry_after(answer)
        return Later(reason=f"status_{status}", detail=f"The partner's system answered {status}.", retry_after=wait, sent=True)
    if status < 400:
        return Misconfigured(reason="not_prodsys", detail=f"The address answers {status}, but not as a ProdSys system does.")

    problem = read_problem(answer)
    if status == 401:
        return Misconfigured(reason="unauthorized", detail="The partner's system does not accept our token.", problem=problem)
    if problem is not None and problem.code in ("module_off", "insufficient_scope", "partner_inactive"):
        return Misconfigured(reason=problem.code, detail=problem.detail or problem.title, problem=problem)
    if status == 413:
        # Proxies in front of the partner answer this one in HTML; it is still about this document alone.
        return Refused(problem=problem or Problem(status=status, title="The document is larger than the partner's system takes."))
    if problem is not None and (status in (409, 422) or _media_type(answer) == "application/problem+json"):
        return Refused(problem=problem)
    return Misconfigured(reason="not_prodsys", detail=f"The address answers {status}, but not as a ProdSys system does.")


def retry_after(answer: Answered) -> float | None:
    """The seconds an answer asks us to wait (RFC 9110, seconds or a date), at most an hour; None when it does not say."""
    said = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,12}", said, re.ASCII):
        return min(float(said), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:
        return None
    return min(max((until - clock.now()).total_seconds(), 0.0), MAX_RETRY_AFTER)


def read_problem(answer: Answered) -> Problem | None:
    """Read what the other side says is wrong, leaving out whatever does not fit; None when the body is no JSON object."""
    wire = _lenient(answer.content, _WireProblem, None)
    if wire is None:
        return None
    return Problem(
        status=answer.status,
        code=plain(_lenient(wire.code, str, ""), 100),
        title=plain(_lenient(wire.title, str, "")),
        detail=plain(_lenient(wire.detail, str, "")),
        issues=tuple(map(_issue, _lenient(wire.issues, list[msgspec.Raw], [])[:MAX_FOREIGN_ISSUES])),
        trace_id=plain(_lenient(wire.trace_id, str, ""), 64),
    )


def plain(text: str, limit: int = MAX_FOREIGN_TEXT) -> str:
    """Foreign text made harmless: control and direction characters become a blank, secrets are masked, the rest is cut to `limit`."""
    text = redact(_UNSEEN.sub(" ", text[: 4 * limit])).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


class _WireProblem(msgspec.Struct):
    code: msgspec.Raw = msgspec.Raw(b"null")
    title: msgspec.Raw = msgspec.Raw(b"null")
    detail: msgspec.Raw = msgspec.Raw(b"null")
    issues: msgspec.Raw = msgspec.Raw(b"null")
    trace_id: msgspec.Raw = msgspec.Raw(b"null")


class _WireIssue(msgspec.Struct):
    code: msgspec.Raw = msgspec.Raw(b"null")
    message: msgspec.Raw = msgspec.Raw(b"null")
    params: msgspec.Raw = msgspec.Raw(b"null")
    pointer: msgspec.Raw = msgspec.Raw(b"null")
    blocks: msgspec.Raw = msgspec.Raw(b"null")


def _issue(raw: msgspec.Raw) -> Issue:
    wire = _lenient(raw, _WireIssue, _WireIssue())
    params = _lenient(wire.params, dict[str, str | int | float | bool | None], {})
    return Issue(
        code=plain(_lenient(wire.code, str, ""), 100),
        message=plain(_lenient(wire.message, str, "")),
        params={plain(name, 100): plain(str(said)) for name, said in list(params.items())[:50]},
        pointer=plain(_lenient(wire.pointer, str, ""), 500) or None,
        blocks=_lenient(wire.blocks, bool, False),
    )


def _lenient(raw: bytes | msgspec.Raw, kind: type[T], otherwise: Any) -> T | Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return otherwise


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


def _bad_address(detail: str) -> Forbidden:
    return Forbidden(reason="bad_address", detail=detail)


def _literal(host: str) -> Address | None:
    if "%" in host:  # the zone of an IPv6 address names one of our own network cards
        return None
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _media_type(answer: Answered) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json(answer: Answered) -> bool:
    media_type = _media_type(answer)
    if media_type != "application/json" and not media_type.endswith("+json"):
        return False
    return _lenient(answer.content, msgspec.Raw, None) is not None
