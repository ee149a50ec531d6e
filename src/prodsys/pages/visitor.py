"""Who looks at a page, what he may do there, and the page as he gets it: his language, his theme, his menu."""

import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from litestar import Request, Response
from litestar.response import Redirect

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.ids import new_id
from prodsys.kit.web import decode_cursor
from prodsys.pages import menu, paper
from prodsys.pages.fields import Form
from prodsys.pages.speech import Speech
from prodsys.scopes import Caller, Scope

CSRF_FIELD = "_csrf"
ONCE_FIELD = "_once"


class Query(dict[str, str]):
    """The parts of an address after its `?`; one that is not there is empty, so that templates can ask for any."""

    def __missing__(self, name: str) -> str:
        return ""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in person in front of one page. What may be done is asked of `may`, by the same scopes as at the API."""

    caller: Caller
    person: str
    """Public id, `us_…`."""
    name: str
    email: str
    session: str
    """Public id of the sign-in, to be told from the person's others."""
    speech: Speech
    theme: str
    shortcuts: bool
    secret: str
    """What the forms of this sign-in are marked with; never written into a page as it is."""
    path: str
    query: Query
    is_part: bool
    """Whether a script asks for a part of the page only."""
    accepts_packed: bool
    db: Database

    def may(self, scope: str) -> bool:
        """Whether the caller carries a scope, by its name as templates write it: `visitor.may('SalesOrders:Approve')`."""
        return self.caller.may(Scope(scope))

    def csrf(self) -> str:
        """A mark for one form; another one each time, so that a packed page does not give it away by its length (BREACH)."""
        nonce = secrets.token_urlsafe(9)
        return f"{nonce}.{_mark(self.secret, nonce)}"

    def is_mine(self, mark: str) -> bool:
        """Whether a form was written for this sign-in."""
        nonce, _, given = mark.partition(".")
        return hmac.compare_digest(given.encode(), _mark(self.secret, nonce).encode())

    def once(self) -> str:
        """A key for a form that makes something, so that a second press of its button makes nothing twice."""
        return new_id("on")

    def place(self, kind: str, *shape: type) -> tuple[Any, ...] | None:
        """Where a list goes on, as the address says; a place nobody wrote is the first page, not a fault."""
        try:
            return decode_cursor(self.query["after"], kind, *shape) if "after" in self.query else None
        except errors.Invalid:
            return None

    @property
    def here(self) -> str:
        """The address of this page, with its query, for coming back to it."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    def address(self, **changes: str | int | None) -> str:
        """The address of this page with some of its query changed; None takes a part away. Another filter begins at the first page."""
        query = {name: value for name, value in self.query.items() if name not in {"said", "after"}}
        query |= {name: str(value) for name, value in changes.items() if value is not None}
        query = {name: value for name, value in query.items() if not (name in changes and changes[name] is None)}
        return f"{self.path}?{urlencode(query)}" if query else self.path


def _mark(secret: str, nonce: str) -> str:
    return hmac.new(secret.encode(), nonce.encode(), hashlib.sha256).hexdigest()[:32]


async def show(
    visitor: Visitor, template: str, *, here: str = "", status: int = 200, headers: dict[str, str] | None = None, **facts: Any
) -> Response[Any]:
    """A whole page with the menu beside it. `here` is the menu's key of the page."""
    frame = await visitor.db.read(menu.frame, visitor.caller)
    html = paper.written(template, {**_facts(visitor), "frame": frame, "here": here, **facts})
    return paper.answer(html, accepts_packed=visitor.accepts_packed, status=status, headers=headers)


def part(visitor: Visitor, template: str, *, status: int = 200, **facts: Any) -> Response[Any]:
    """A part of a page, for a script that puts it into place."""
    return paper.answer(part_text(visitor, template, **facts), accepts_packed=visitor.accepts_packed, status=status)


def part_text(visitor: Visitor, template: str, **facts: Any) -> str:
    """A part of a page as HTML, as a stream of events sends it."""
    return paper.written(template, {**_facts(visitor), **facts})


def go(to: str, said: str = "") -> Response[Any]:
    """Send the browser on after something was done; `said` is the code word of a sentence the next page shows (see `SAID`)."""
    if said:
        to += ("&" if "?" in to else "?") + urlencode({"said": said})
    return Redirect(to, status_code=303, headers={"Cache-Control": "no-store"})


def own_path(text: str, default: str = "/") -> str:
    """An address of ours to go back to, as a form or a query names it; anything that leads elsewhere becomes the default."""
    parts = urlsplit(text)
    is_ours = not parts.scheme and not parts.netloc and text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_ours else default


def query_of(request: Request[Any, Any, Any]) -> Query:
    """The query, the last of a repeated name, none of the empty ones: a filter left open is no filter."""
    return Query((name, value) for name, value in parse_qsl(request.scope["query_string"].decode("latin-1"), max_num_fields=100) if value)


async def form_of(request: Request[Any, Any, Any], speech: Speech) -> Form:
    """The form that was sent. Raises Invalid for control characters."""
    read = await request.form()
    values: dict[str, list[Any]] = {}
    for name, value in read.multi_items():
        values.setdefault(name, []).append(_typed(value) if isinstance(value, str) else value)
    return Form(values, speech)


def _typed(value: str) -> str:
    value = value.replace("\r\n", "\n")
    if any(not sign.isprintable() and sign not in "\n\t" for sign in value):
        raise errors.Invalid("A field holds control characters.")
    return value


def _facts(visitor: Visitor) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "speech": visitor.speech,
        "theme": visitor.theme,
        "said_code": visitor.query.get("said", ""),
        "refusal": None,
    }
