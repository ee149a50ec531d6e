"""An exchanged document as a command line, so that a developer can send it again by hand; the token is left for him to fill in."""

import shlex
from urllib.parse import quote

import msgspec

from prodsys.kit.telemetry import redact
from prodsys.logs.model import Logged

_ORDERS = "/api/v1/purchase-orders"
_ARRIVED = frozenset({"order.received", "order.repeated", "order.refused"})
_LEFT = frozenset({"order.delivered", "order.repeated", "order.refused", "order.dead"})
_WORDS = ("acceptance", "cancellation", "message")


def door(entry: Logged, their_id: str | None) -> str:
    """The path an entry's document was sent to, here or at the partner's; empty where it was no call of this interface, or is not known."""
    if not entry.request:
        return ""
    if entry.code in (_ARRIVED if entry.direction == "in" else _LEFT if entry.direction == "out" else ()):
        return _ORDERS
    word = next((word for word in _WORDS if entry.code.startswith(f"order.{word}_")), "")
    if entry.direction == "out" and word and their_id:
        return f"{_ORDERS}/{quote(their_id, safe='')}/{word}{'s' if word == 'message' else ''}"
    return ""


def command(address: str, path: str, document: str, trace_id: str) -> str:
    """A POST of this document in curl, with `$TOKEN` for the token; empty when the document was cut and is none any more.

    `address` is an instance's without a path; where it is not known, `$URL` stands for it. It goes under the same trace, so that both
    logs show it beside the first.
    """
    try:
        msgspec.json.decode(document)
    except (msgspec.MsgspecError, RecursionError):
        return ""
    where = shlex.quote(redact(address) + path) if address else f'"$URL"{shlex.quote(path)}'
    parts = [f"curl -X POST {where}", '-H "Authorization: Bearer $TOKEN"', "-H 'Content-Type: application/json'"]
    if trace_id:
        parts.append(f"-H 'traceparent: 00-{trace_id}-{trace_id[:16]}-01'")
    parts.append(f"--data-binary {shlex.quote(redact(document))}")
    return " \\\n  ".join(parts)
