"""What each refusal means and what to do about it, under the address its `type` names."""

from html import escape
from typing import Annotated, Any

import msgspec
from litestar import MediaType, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Response
from msgspec import Meta

from prodsys import errors, scopes
from prodsys.kit.web.forms import JSON, asked_form
from prodsys.kit.web.problems import TYPES

HTML = "text/html"

_CALLERS = "Sent again as it is, it is refused again: change the request first. Its `issues` name every fault, and where it stands."
_ADMINS = "Nothing is wrong with the request; somebody of the company you called has to switch something on first."
_NOBODYS = "Nothing is wrong with the request: send the same one again, after as many seconds as Retry-After says. It is carried out once."
_OURS = "Send the same request again; it is carried out once. If it stays so, tell the company you called the trace id."
_ADMINS_MOVE = frozenset({"module_off", "partner_not_ready", "mail_not_ready"})
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head>
<body><main><h1>{title}</h1>{said}</main></body></html>
"""


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of refusal, whenever it happens."""

    type: Annotated[str, Meta(description="Its address on this host, as problems name it.")]
    code: Annotated[str, Meta(description="Stable word for programs.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    title: Annotated[str, Meta(description="What is always true of it.")]
    what_to_do: str
    may_be_repeated: Annotated[bool, Meta(description="Whether the same request may succeed later as it is.")]


def problem_type(kind: type[errors.Refusal]) -> ProblemType:
    """A refusal as its class tells it; what to do stands behind the semicolon of its sentence, where that says it."""
    title = kind.title()
    asked = title.partition("; ")[2]
    advice = _NOBODYS if kind.status in {429, 502, 503} else _OURS if kind.status >= 500 else _CALLERS
    if kind.code in _ADMINS_MOVE:
        advice = _ADMINS
    return ProblemType(
        type=f"{TYPES}{kind.code}",
        code=kind.code,
        status=kind.status,
        title=title,
        what_to_do=f"{asked[:1].upper()}{asked[1:]} {advice}".strip(),
        may_be_repeated=kind.status == 429 or kind.status >= 500,
    )


def problem_pages() -> list[HTTPRouteHandler]:
    """The pages, for whoever follows the `type` of a problem: JSON for programs, a few words for a browser."""
    kinds: list[type[errors.Refusal]] = [errors.Refusal, *errors.every_refusal()]
    every = {kind.code: problem_type(kind) for kind in kinds}

    @get(TYPES.rstrip("/"), include_in_schema=False, sync_to_thread=False, **scopes.public())
    def list_problem_types() -> Response[Any]:
        listed = "".join(f'<li><a href="{one.type}">{one.code}</a> {escape(one.title)}</li>' for one in every.values())
        return _told({"items": list(every.values()), "next": None}, "Everything this instance may refuse", f"<ul>{listed}</ul>")

    @get(f"{TYPES}{{code:str}}", include_in_schema=False, sync_to_thread=False, **scopes.public())
    def read_problem_type(code: FromPath[str]) -> Response[Any]:
        one = every.get(code)
        if one is None:
            raise errors.NotFound(f"No refusal of this version has the code {code[:80]}; {TYPES.rstrip('/')} lists them.")
        said = f"<p>{escape(one.what_to_do)}</p><p><code>{one.code}</code> · HTTP {one.status}</p>"
        return _told(one, one.title, said)

    return [list_problem_types, read_problem_type]


def _told(value: Any, title: str, said: str) -> Response[Any]:
    headers = {"Cache-Control": "public, max-age=3600", "Vary": "Accept"}
    if asked_form(HTML) == JSON:
        return Response(msgspec.json.encode(value), media_type=JSON, headers=headers)
    headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return Response(_PAGE.format(title=escape(title), said=said).encode(), media_type=MediaType.HTML, headers=headers)
