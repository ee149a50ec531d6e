"""What a partner's answer means, and what it says in words."""

import re
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from prodsys.documents import Issue
from prodsys.kit import clock
from prodsys.kit.outbound.outcomes import Answered, Fine, Forbidden, Later, Misconfigured, Outcome, Problem, Refused, Unreachable, Verdict
from prodsys.kit.telemetry import redact

MAX_RETRY_AFTER = 3600.0
MAX_FOREIGN_TEXT = 2_000
MAX_FOREIGN_ISSUES = 10_000

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")

T = TypeVar("T")


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


def _media_type(answer: Answered) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json(answer: Answered) -> bool:
    media_type = _media_type(answer)
    if media_type != "application/json" and not media_type.endswith("+json"):
        return False
    return _lenient(answer.content, msgspec.Raw, None) is not None
