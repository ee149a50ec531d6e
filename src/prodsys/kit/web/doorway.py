"""Where every request comes in: its trace, the headers every answer carries, and one line in the access log."""

import time
from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from prodsys import errors
from prodsys.kit.journal import log
from prodsys.kit.telemetry import Trace, current_trace, new_trace, parse_traceparent
from prodsys.kit.web.forms import accept_of, accepted
from prodsys.kit.web.problems import MEDIA_TYPE, problem_of

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")


def doorway(inner: ASGIApp, *, log_access: bool = True) -> ASGIApp:
    """Put the doorway before an app. It also makes HEAD an answer to every GET.

    It reads `scope["caller"]` (for `Token-Expires` and the log) and `scope["quota"]` (for `RateLimit`), set by whoever stands behind it.
    The log names the route's template, never the path: a path may hold a secret (rulings.md, 28).
    """

    async def enter(connection: Scope, receive: Receive, send: Send) -> None:
        scope: Any = connection
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        # A copy, because the server goes on reading its own.
        seen = dict(scope)
        is_head = scope["method"] == "HEAD"
        if is_head:
            seen["method"] = "GET"
        trace = _trace(scope["headers"])
        entered = current_trace.set(trace)
        asked = accepted.set(accept_of(scope["headers"]))
        started = time.perf_counter()
        status = 0

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_headers(seen, trace, message["headers"])]
            elif is_head and message["type"] == "http.response.body":
                message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
            await send(message)

        try:
            if scope["path"].isprintable():
                await inner(cast("Scope", seen), receive, answer)
            else:
                # Our ids never look like this, and a NUL would reach the database.
                await _not_found(answer)
        finally:
            if log_access:
                caller = seen.get("caller")
                log.info(
                    "request",
                    method=scope["method"],
                    route=seen.get("path_template") or "unknown",
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                    caller=caller.token if caller else "",
                    trace_id=trace.trace_id,
                )
            accepted.reset(asked)
            current_trace.reset(entered)

    return enter


def _trace(headers: Any) -> Trace:
    """The next step of the caller's trace, or a new one."""
    for name, value in headers:
        if name == b"traceparent":
            parent = parse_traceparent(value.decode("latin-1"))
            return parent.child() if parent else new_trace()
    return new_trace()


def _headers(scope: dict[str, Any], trace: Trace, given: Any) -> list[tuple[bytes, bytes]]:
    # `traceresponse` is the answer's half of W3C Trace Context Level 2: a plain GET tells its trace too.
    added = [_NOSNIFF, (b"traceresponse", trace.header().encode())]
    if scope["path"].startswith("/api/") and all(name.lower() != b"cache-control" for name, _ in given):
        added.append(_NO_STORE)
    caller = scope.get("caller")
    if caller is not None and caller.expires_at:
        added.append((b"token-expires", caller.expires_at.encode()))
    quota = scope.get("quota")
    if quota is not None:
        added.append((b"ratelimit-policy", quota.policy))
        added.append((b"ratelimit", quota.header()))
    return added


async def _not_found(send: Any) -> None:
    body = msgspec.json.encode(problem_of(errors.NotFound()))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
