"""Traces that cross companies, and what is said of them without a secret."""

import re
import secrets
from contextvars import ContextVar
from functools import lru_cache

import msgspec

MAX_STORED_BODY = 65_536
HIDDEN = "***"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


class Trace(msgspec.Struct, frozen=True):
    """Where we are in a W3C trace: `trace_id` (32 hex digits) is the same through both companies, `span_id` (16) is this step."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def child(self) -> "Trace":
        """The next step of the same trace."""
        return Trace(self.trace_id, secrets.token_hex(8), self.sampled)

    def header(self) -> str:
        """The value of a `traceparent` header."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


current_trace: ContextVar[Trace | None] = ContextVar("current_trace", default=None)


def new_trace_id() -> str:
    return secrets.token_hex(16)


def new_trace() -> Trace:
    drawn = secrets.token_hex(24)
    return Trace(drawn[:32], drawn[32:])


def parse_traceparent(text: str) -> Trace | None:
    """Read a `traceparent` header as strictly as W3C Trace Context asks; None when it is not one, so that a new trace begins."""
    read = _TRACEPARENT.fullmatch(text)
    if read is None:
        return None
    version, trace_id, span_id, flags, more = read.groups()
    if version == "ff" or (version == "00" and more is not None) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & 1))


# A member, header, field or element is secret when its name ends in one of these, whatever stands before and however it is spelled.
_NAMES = (
    "(?:passw(?:or)?d|passphrase|passwort|token|secret|(?:api|private|access|subscription)[_-]?key|claim|credentials?|authorization|cookie)"
)
_SECRET_NAME = re.compile(rf"{_NAMES}$", re.IGNORECASE)
_KEY_HINT = re.compile(r"(?:api|private|access|subscription)[_-]?key")

_TOKEN = re.compile(r"pst_([0-9A-Za-z]{8})[0-9A-Za-z_]+")
_BUNDLE = re.compile(r"(prodsys1(?::|%3A))[0-9A-Za-z_=+/%-]+", re.IGNORECASE)
_WEBHOOK_SECRET = re.compile(r"(whsec_)[0-9A-Za-z_=+/-]+")
_BEARER = re.compile(r'\b(bearer\s+)[0-9A-Za-z._~+/-]{8,}+(?!="[^\s,}\]])=*', re.IGNORECASE)
# Bodies come from others, so every pattern below is linear: bounded or possessive repeats only.
_MEMBER = re.compile(rf'({_NAMES}"\s*:\s*)(?:"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|-?[0-9][0-9.eE+-]*)', re.IGNORECASE | re.DOTALL)
_MEMBER_IN_TEXT = re.compile(rf'({_NAMES}(\\+)"\s*:\s*)\2".*?(?:(?<!\\)\2"|\Z)', re.IGNORECASE | re.DOTALL)
_MEMBER_SHOWN = re.compile(rf"({_NAMES}'\s*:\s*)'[^'\\]*+(?:\\.[^'\\]*+)*+(?:'|\\?\Z)", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(rf"({_NAMES}=)[^&\s\"'<>]+", re.IGNORECASE)
_ELEMENT = re.compile(rf"(<[\w:.-]{{0,80}}{_NAMES}(?:\s[^<>]{{0,200}})?>)[^<]+", re.IGNORECASE)
_HEADER = re.compile(r"((?:authorization|cookie): *)(?![\s\"'*\[{])[^\r\n\"']+", re.IGNORECASE)
_WORD = re.compile(rf"({_NAMES}: *)(?![\s\"'*\[{{])[^\s\"',;]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Mask every secret a text holds: our tokens, bundles and webhook secrets, and whatever is named like a secret.

    Our tokens keep their public half (`pst_` and 8 characters) so that a log line still says which one it was. Quick when there is
    nothing to mask, since it runs over every stored body.
    """
    if "pst_" in text:
        text = _TOKEN.sub(rf"pst_\1{HIDDEN}", text)
    if "prodsys1" in text:
        text = _BUNDLE.sub(rf"\1{HIDDEN}", text)
    if "whsec_" in text:
        text = _WEBHOOK_SECRET.sub(rf"\1{HIDDEN}", text)
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.sub(rf"\1{HIDDEN}", text)
    # Spelled out, because a generator would cost as much as the looking; "cre" stands in secret and in credential.
    if not (
        "token" in lower
        or "cre" in lower
        or "pass" in lower
        or "claim" in lower
        or "authorization" in lower
        or "cookie" in lower
        or ("key" in lower and _KEY_HINT.search(lower))
    ):
        return text
    if '"' in text:
        text = _MEMBER.sub(rf'\1"{HIDDEN}"', text)
        if '\\"' in text:
            text = _MEMBER_IN_TEXT.sub(rf'\1\2"{HIDDEN}\2"', text)
    if "'" in text:
        text = _MEMBER_SHOWN.sub(rf"\1'{HIDDEN}'", text)
    if "=" in text:
        text = _FIELD.sub(rf"\1{HIDDEN}", text)
    if "</" in text:
        text = _ELEMENT.sub(rf"\1{HIDDEN}", text)
    if ": " in text:
        text = _WORD.sub(rf"\1{HIDDEN}", _HEADER.sub(rf"\1{HIDDEN}", text))
    return text


@lru_cache(1024)
def is_secret_name(name: str) -> bool:
    """Whether what is called so is to be hidden: a member, a header, a field or an element."""
    return _SECRET_NAME.search(name) is not None


def cut(text: str, limit: int = MAX_STORED_BODY) -> str:
    """Shorten a text to `limit` bytes of UTF-8, aloud: its last line then says how many bytes were cut (ruling 33)."""
    if len(text) * 4 <= limit:
        return text
    whole = text.encode("utf-8", "replace")
    if len(whole) <= limit:
        return text
    room = max(limit - len(_cut_line(len(whole)).encode()), 0)
    kept = whole[:room].decode("utf-8", "ignore")
    return kept + _cut_line(len(whole) - len(kept.encode()))


def _cut_line(count: int) -> str:
    return f"\n… {count} bytes cut"
