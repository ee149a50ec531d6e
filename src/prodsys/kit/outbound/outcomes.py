"""A call, how it can end, and whose move is next then."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from prodsys.documents import Issue

Trust = Literal["partner", "admin"]

MAX_ANSWER = 4 * 1024 * 1024


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
