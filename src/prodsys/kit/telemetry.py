"""What the program says about itself while it runs: log lines, and traces that cross companies; never a secret."""

import logging
import re
import secrets
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog

MAX_STORED_BODY = 65_536
HIDDEN = "***"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("prodsys")

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
    return Trace(new_trace_id(), secrets.token_hex(8))


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
_HINTS = ("token", "secret", "passw", "passphrase", "claim", "credential", "authorization", "cookie")
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
    if not any(hint in lower for hint in _HINTS) and not ("key" in lower and _KEY_HINT.search(lower)):
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


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers fit to be stored: those named like a secret keep their name only."""
    return {name: HIDDEN if _SECRET_NAME.search(name) else redact(text) for name, text in headers.items()}


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


def configure(level: str = "info", json: bool = True) -> None:
    """Send every log line, ours and the libraries', to stderr: JSON for machines, columns for a person.

    `level` is debug, info, warning or error. Raises ValueError for any other word.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"Expected debug, info, warning or error, got {level}")
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    written: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_as_json) if json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, written],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )

    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _redact_event, written],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [libraries]
    root.setLevel(number)
    # These write whole addresses, and addresses may hold secrets.
    for talkative in ("httpx", "httpx2", "httpcore", "httpcore2", "uvicorn.access"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it counts its plugins


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    trace = current_trace.get()
    if trace is not None:
        event.setdefault("trace_id", trace.trace_id)
    return event


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        # structlog keeps its own bookkeeping under these names.
        if not name.startswith("_") and not isinstance(value, bool | int | float | None):
            event[name] = _hidden(name, value)
    return event


def _hidden(name: object, value: Any) -> Any:
    if isinstance(name, str) and _SECRET_NAME.search(name):
        return HIDDEN
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case Mapping():
            return {key: _hidden(key, inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_hidden(None, inner) for inner in value]
        case _:
            return redact(str(value))


def _as_json(event: Any, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
