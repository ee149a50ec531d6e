"""What is asked of a system, and what its answer means."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from prodsys.connectors._base import Trouble, at
from prodsys.documents import Issue
from prodsys.kit import outbound
from prodsys.kit.outbound import Forbidden, Later, Misconfigured, Problem, Unreachable


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be sent; `uri` is path and query, as a signature covers it."""

    method: str
    url: str
    uri: str
    content: bytes
    is_write: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What they answered, read as JSON (numbers are int or Decimal); `said` are its bytes."""

    status: int
    body: Any
    headers: Mapping[str, str]
    said: bytes


def read_problem(status: int, body: Any) -> Problem:
    """The usual members of a refusal: title, detail, message, error, errors (by field, or a list)."""
    if not isinstance(body, dict):
        return Problem(status=status, title=outbound.plain(str(body), 500))

    def said(*names: str) -> str:
        for name in names:
            for spelled in (name, name[:1].upper() + name[1:]):
                value = body.get(spelled)
                if isinstance(value, str | int) and str(value).strip():
                    return outbound.plain(str(value), 1000)
        return ""

    issues: list[Issue] = []
    errors = body.get("errors") or body.get("Errors") or body.get("details")
    if isinstance(errors, dict):
        for field, messages in list(errors.items())[:100]:
            issues += [_issue(str(field), str(message)) for message in (messages if isinstance(messages, list) else [messages])]
    elif isinstance(errors, list):
        for one in errors[:100]:
            if isinstance(one, dict):
                field = str(one.get("field") or one.get("Field") or at(one, "parameters.property") or "")
                issues.append(_issue(field, str(one.get("message") or one.get("Message") or one), str(one.get("code") or "")))
            else:
                issues.append(_issue("", str(one)))
    title = said("title", "message", "error", "developermessage", "exceptionMessage") or f"The other system answered {status}."
    return Problem(
        status=status,
        code=said("code", "errorCode", "error")[:100],
        title=title,
        detail=said("detail", "error_description"),
        issues=tuple(issues),
    )


def _issue(field: str, message: str, code: str = "") -> Issue:
    params = {"field": outbound.plain(field, 100)} if field else {}
    return Issue(code=outbound.plain(code, 100) or "refused_there", message=outbound.plain(message, 500), params=params, blocks=True)


_read_json = msgspec.json.Decoder(float_hook=Decimal).decode

NOT_JSON: Any = object()
"""What an answer is read as that is no JSON."""


def read_body(content: bytes) -> Any:
    """What was answered, read as JSON; None where nothing was, NOT_JSON where it is something else."""
    if not content.strip():
        return None
    try:
        return _read_json(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError, ArithmeticError):
        return NOT_JSON


def not_answered(outcome: Unreachable | Forbidden) -> Trouble:
    """What it means that no answer came."""
    if isinstance(outcome, Unreachable):
        return Later(reason=outcome.reason_code, detail=outcome.detail, retry_after=outcome.retry_after, sent=outcome.sent)
    if outcome.sent and outcome.reason != "redirected":
        return Later(reason=outcome.reason, detail=outcome.detail, sent=True)
    return Misconfigured(reason=outcome.reason, detail=outcome.detail)
