"""How a refusal is told to a program: `application/problem+json` (RFC 9457), and never a stack trace."""

import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.journal import log
from prodsys.kit.telemetry import current_trace

MEDIA_TYPE = "application/problem+json"
TYPES = "/problems/"
"""Where the pages about kinds of problems are; a problem's `type` is this and its code."""

_BARE_CHALLENGE = 'Bearer realm="prodsys"'
_AT = re.compile(r"^(?P<sentence>.*?)(?: - at `(?P<where>.*)`)?$", re.DOTALL)
_MEMBER_NAMED = re.compile(r"^Object (?P<how>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_STEP = re.compile(r"\[(?P<index>\d+)\]|\[\.\.\.\]|\.?(?P<name>[^.\[\]]+)")
_PARAMETER_MISSING = re.compile(r"^Missing required (?P<source>\w+) parameter '(?P<name>[^']*)'")
_RETRY_SECONDS = "5"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457)."""

    type: Annotated[
        str, Meta(description="`/problems/` and the code, a path on this host that says what to do.", examples=["/problems/not_found"])
    ]
    title: Annotated[str, Meta(description="What is always true of this refusal.")]
    status: Annotated[int, Meta(description="The HTTP status.", examples=[404])]
    detail: Annotated[str, Meta(description="What happened this time, and what to do.")]
    code: Annotated[str, Meta(description="Stable word for programs; more may be added.", examples=["not_found"])]
    issues: Annotated[list[Issue], Meta(description="Everything a person must look at, all at once.")] = []
    trace_id: Annotated[str, Meta(description="Quote it when you ask us.")] = ""


def problem_of(refusal: errors.Refusal) -> Problem:
    """The refusal as its reader sees it, with the trace it happened in."""
    trace = current_trace.get()
    first = refusal.issues[0].message if refusal.issues else ""
    return Problem(
        type=f"{TYPES}{refusal.code}",
        title=refusal.title(),
        status=refusal.status,
        detail=refusal.detail or first or refusal.title(),
        code=refusal.code,
        issues=list(refusal.issues),
        trace_id=trace.trace_id if trace else "",
    )


def problem_headers(refusal: errors.Refusal) -> dict[str, str]:
    """The headers that belong to a refusal: its own, the Bearer challenge of RFC 6750, and when to come back.

    The scope in the challenge of `insufficient_scope` is the `required` among the params of its first issue.
    """
    headers = dict(refusal.headers)
    if refusal.status == 401:
        has_token = refusal.code not in {"token_missing", "sign_in_failed", "signature_invalid"}
        headers.setdefault("WWW-Authenticate", f'{_BARE_CHALLENGE}, error="invalid_token"' if has_token else _BARE_CHALLENGE)
    elif refusal.code == "insufficient_scope":
        required = refusal.issues[0].params.get("required", "") if refusal.issues else ""
        scope = f', scope="{required}"' if required else ""
        headers.setdefault("WWW-Authenticate", f'{_BARE_CHALLENGE}, error="insufficient_scope"{scope}')
    elif refusal.status in {502, 503}:
        headers.setdefault("Retry-After", _RETRY_SECONDS)
    return headers


def refused(request: Request[Any, Any, Any], refusal: errors.Refusal) -> Response[bytes]:
    """Answer one of our own refusals."""
    headers = problem_headers(refusal)
    if refusal.status == 405:
        headers.setdefault("Allow", _told(_methods_of(request)))
    return Response(msgspec.json.encode(problem_of(refusal)), status_code=refusal.status, media_type=MEDIA_TYPE, headers=headers)


def refused_by_litestar(request: Request[Any, Any, Any], exc: HTTPException) -> Response[bytes]:
    """Answer what Litestar refuses before our code is asked: no such route, a wrong method, a wrong parameter."""
    if exc.status_code >= HTTP_500_INTERNAL_SERVER_ERROR:
        return failed(request, exc)
    return refused(request, as_refusal(exc))


def failed(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """Answer a fault of ours: 500 without detail to the caller, the stack to the log."""
    log.error("request_failed", method=request.scope["method"], route=request.scope.get("path_template") or "", exc_info=exc)
    return refused(request, errors.InternalFault())


def as_refusal(exc: HTTPException) -> errors.Refusal:
    """What a refusal of Litestar's is called here."""
    if isinstance(exc, ValidationException):
        return _invalid_parameters(exc)
    match exc.status_code:
        case 401:
            return errors.TokenMissing()
        case 404:
            return errors.NotFound()
        case 405:
            return errors.MethodNotAllowed(headers={"Allow": _told((exc.headers or {}).get("allow", "").split(","))})
        case 413:
            return errors.TooLarge()
        case 415:
            return errors.UnsupportedMediaType()
        case _:
            # Malformed HTTP, such as a Host header with a space in it: no word of ours says it better.
            return errors.Refusal(exc.detail)


def _methods_of(request: Request[Any, Any, Any]) -> set[str]:
    """What the address of a request answers to, where the guard and not the router refused the method."""
    template = request.scope.get("path_template")
    return {str(method) for route in request.app.routes if route.path_format == template for method in getattr(route, "methods", ())}


def _told(methods: Iterable[str]) -> str:
    known = {method.strip().upper() for method in methods}
    # The guard refuses OPTIONS: we answer to no other origin. The doorway makes HEAD of every GET.
    known -= {"", "OPTIONS"}
    return ", ".join(sorted(known | ({"HEAD"} if "GET" in known else set())))


def _invalid_parameters(exc: ValidationException) -> errors.Refusal:
    if missing := _PARAMETER_MISSING.match(exc.detail):
        name, source = missing["name"], missing["source"]
        return errors.Invalid(issues=[_issue("member_missing", f"The {source} parameter {name} is missing.", f"/{source}/{name}", name)])
    faults = exc.extra if isinstance(exc.extra, list) else []
    if not faults:
        return errors.Invalid(exc.detail)
    if any(fault.get("source") == "body" and fault.get("key") == "data" for fault in faults):
        return errors.NotJson("The body is empty; this door takes a JSON document.")
    return errors.Invalid(issues=[_parameter_issue(fault) for fault in faults])


def _parameter_issue(fault: dict[str, Any]) -> Issue:
    source = str(getattr(fault.get("source"), "value", fault.get("source") or "query"))
    name = str(fault.get("key", ""))
    if source == "header":
        # Litestar names the argument, the caller knows the header.
        name = name.replace("_", "-").title()
    where = pointer(name) if source == "body" else f"/{source}{pointer(name)}"
    return _issue("invalid", f"{fault.get('message', 'Not as expected')}.", where, name)


def _issue(code: str, message: str, where: str, name: str) -> Issue:
    return Issue(code=code, message=message, params={"name": name}, pointer=where, blocks=True)


def invalid_body(exc: msgspec.ValidationError) -> errors.Invalid:
    """The first fault msgspec found in a body, as an issue that points to the member."""
    read = _AT.match(str(exc))
    sentence, where = (read["sentence"], pointer(read["where"] or "")) if read else (str(exc), "")
    member = _MEMBER_NAMED.match(sentence)
    if member is None:
        return errors.Invalid(issues=[Issue(code="invalid", message=f"{sentence}.", params={}, pointer=where, blocks=True)])
    name = member["name"]
    where = f"{where}/{escaped(name)}"
    if member["how"] == "missing required":
        return errors.Invalid(issues=[_issue("member_missing", f"The member {name} is missing.", where, name)])
    return errors.Invalid(issues=[_issue("member_unknown", f"There is no member {name} here.", where, name)])


def pointer(where: str) -> str:
    """The JSON pointer (RFC 6901) of a place as msgspec and Litestar name it: `$.lines[0].quantity` is `/lines/0/quantity`.

    msgspec does not tell the key of a free mapping (`$.params[...]`); the pointer then ends at the mapping.
    """
    steps: list[str] = []
    for step in _STEP.finditer(where.removeprefix("$")):
        if step[0] == "[...]":
            break
        steps.append(escaped(step["index"] or step["name"]))
    return "".join(f"/{step}" for step in steps)


def escaped(name: str) -> str:
    """A member's name as one step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


exception_handlers: dict[type[Exception] | int, Callable[[Request[Any, Any, Any], Any], Response[Any]]] = {
    errors.Refusal: refused,
    HTTPException: refused_by_litestar,
    Exception: failed,
}
"""For Litestar: every refusal and every fault as a problem."""
