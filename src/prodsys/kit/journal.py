"""The lines the program writes about itself while it runs."""

import contextlib
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import msgspec
import structlog

from prodsys.kit.telemetry import HIDDEN, current_trace, is_secret_name, redact

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("prodsys")


def configure(level: str = "info", json: bool = True) -> None:
    """Send every log line, ours and the libraries', to stderr: JSON for machines, columns for a person.

    `level` is debug, info, warning or error. Raises ValueError for any other word.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"Expected debug, info, warning or error, got {level}")
    shared, written = _speak(number, json=json)
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


def _speak(number: int, *, json: bool) -> tuple[list[structlog.typing.Processor], structlog.typing.Processor]:
    """Set how our own lines are written; the steps a line goes through, and the last of them."""
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
        logger_factory=lambda *_: _Teller(sys.stderr),
        cache_logger_on_first_use=False,
    )
    return shared, written


class _Teller(structlog.WriteLogger):
    """Writes lines; what a full disk or a closed pipe cannot take stays unsaid, for no work may stop over a word about it."""

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


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
    if isinstance(name, str) and is_secret_name(name):
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


# Until somebody says otherwise: an answer on stdout is for programs to read, and no secret gets out.
_speak(logging.WARNING, json=False)
