"""The door of the pages: a signed-in person may pass, with what his groups allow; everybody else is asked to sign in."""

import hashlib
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.db import Database
from prodsys.kit.journal import log
from prodsys.kit.telemetry import current_trace
from prodsys.kit.web import problems
from prodsys.kit.web.problems import as_refusal
from prodsys.pages import menu, paper, speech
from prodsys.pages.visitor import CSRF_FIELD, Visitor, form_of, go, query_of
from prodsys.scopes import AnyToken, Scope
from prodsys.settings import Settings
from prodsys.users.browsers import Browsers, SignedIn

LANGUAGE_COOKIE = "prodsys-language"
THEME_COOKIE = "prodsys-theme"
_SAFE = frozenset({"GET", "HEAD"})


def cookie_of(settings: Settings) -> str:
    """The name of our cookie; two instances on one machine have two, so that they do not sign each other out (rulings.md, 30)."""
    ours = hashlib.sha256(settings.url.encode()).hexdigest()[:8]
    return f"__Host-prodsys-{ours}" if settings.public_url.startswith("https:") else f"prodsys-{ours}"


class PageDoor:
    """Lets a person to a page, with a `Visitor` in `scope["visitor"]`; one for each app, in the guards of the pages' router."""

    def __init__(self, db: Database, settings: Settings, browsers: Browsers) -> None:
        self._db = db
        self._settings = settings
        self._browsers = browsers
        self.is_secure = settings.public_url.startswith("https:")
        self.cookie = cookie_of(settings)

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
        """Raises SignInNeeded, ForeignForm, InsufficientScope."""
        request = cast("Request[Any, Any, Any]", connection)
        door = route.opt.get("door")
        if request.scope["method"] not in _SAFE:
            self._from_here(request)
        if door == "public":
            return
        known = await self._known(request)
        if known is None:
            raise errors.SignInNeeded
        visitor = self.visitor(request, known)
        scope = cast("dict[str, Any]", request.scope)
        scope["visitor"], scope["caller"] = visitor, visitor.caller
        if request.scope["method"] not in _SAFE:
            form = await form_of(request, visitor.speech)
            if not visitor.is_mine(request.headers.get("x-csrf") or form.text(CSRF_FIELD)):
                raise errors.ForeignForm
            scope["form"] = form
        wanted = route.opt["scope"]
        if wanted is not AnyToken.ANY and not visitor.caller.may(wanted):
            raise _not_yours(wanted)

    def visitor(self, request: Request[Any, Any, Any], known: SignedIn) -> Visitor:
        """The person behind a sign-in, in front of this page."""
        return Visitor(
            caller=known.caller,
            person=known.user,
            name=known.name,
            email=known.email,
            session=known.session,
            speech=speech.speech(
                speech.wanted(known.language, request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", "")),
                self._settings.time_zone,
            ),
            theme=known.theme,
            shortcuts=known.has_shortcuts,
            secret=known.csrf,
            path=request.scope["path"],
            query=query_of(request),
            is_part=request.headers.get("hx-request-type") == "partial",
            accepts_packed="gzip" in request.headers.get("accept-encoding", ""),
            db=self._db,
        )

    async def _known(self, request: Request[Any, Any, Any]) -> SignedIn | None:
        secret = request.cookies.get(self.cookie, "")
        if not secret:
            return None
        client = request.scope.get("client")
        return await self._browsers.known(secret, address=client[0] if client else "")

    def _from_here(self, request: Request[Any, Any, Any]) -> None:
        """A browser says where a form comes from; another site's is refused before it is read (rulings.md, 30)."""
        origin = request.headers.get("origin")
        if origin is None:
            if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
                raise errors.ForeignForm
            return
        ours = {f"{request.scope['scheme']}://{request.headers.get('host', '')}"}
        if self._settings.public_url:
            parts = urlsplit(self._settings.public_url)
            ours.add(f"{parts.scheme}://{parts.netloc}")
        if origin not in ours:
            raise errors.ForeignForm


def refused(request: Request[Any, Any, Any], refusal: errors.Refusal) -> Response[Any]:
    """A refusal as a page: to sign-in where that helps, else what is true and what to do."""
    if isinstance(refusal, errors.SignInNeeded):
        if "text/event-stream" in request.headers.get("accept", ""):
            return Response(b"", status_code=401, headers={"Cache-Control": "no-store"})
        back = request.scope["path"]
        query = request.scope["query_string"].decode("latin-1")
        if request.scope["method"] in _SAFE:
            return go("/sign-in?" + urlencode({"next": f"{back}?{query}" if query else back}))
        return go("/sign-in", "ended")
    visitor: Visitor | None = cast("dict[str, Any]", request.scope).get("visitor")
    said = (
        visitor.speech
        if visitor
        else speech.speech(speech.wanted("", request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", "")))
    )
    trace = current_trace.get()
    facts: dict[str, Any] = {
        "visitor": visitor,
        "speech": said,
        "theme": visitor.theme if visitor else request.cookies.get(THEME_COOKIE, ""),
        "said_code": "",
        "refusal": refusal,
        "here": "",
        "trace_id": trace.trace_id if trace else "",
        # Without counts: who is told of a fault is not asked to wait for the database first.
        "frame": menu.Frame(us="", menu=menu.rooms(visitor.caller, {}) if visitor else ()),
    }
    accepts_packed = "gzip" in request.headers.get("accept-encoding", "")
    template = "refused.html" if visitor else "refused_outside.html"
    headers = {"Retry-After": refusal.headers["Retry-After"]} if "Retry-After" in refusal.headers else None
    return paper.answer(paper.written(template, facts), accepts_packed=accepts_packed, status=refusal.status, headers=headers)


def refused_by_litestar(request: Request[Any, Any, Any], exc: HTTPException) -> Response[Any]:
    """What Litestar refuses before our code is asked, as a page."""
    if exc.status_code >= 500:
        return failed(request, exc)
    return refused(request, as_refusal(exc))


def failed(request: Request[Any, Any, Any], exc: Exception) -> Response[Any]:
    """A fault of ours as a page without detail; the stack goes to the log."""
    log.error("page_failed", method=request.scope["method"], route=request.scope.get("path_template") or "", exc_info=exc)
    return refused(request, errors.InternalFault())


def no_such_page(request: Request[Any, Any, Any], exc: HTTPException) -> Response[Any]:
    """An address nothing stands at: a page for who reads pages, a problem for programs."""
    if request.scope["path"].startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return problems.refused_by_litestar(request, exc)
    return refused_by_litestar(request, exc)


def _not_yours(scope: Scope) -> errors.InsufficientScope:
    message = f"This page asks for {scope}; none of your groups has it."
    return errors.InsufficientScope(
        message, issues=[Issue(code="insufficient_scope", message=message, params={"required": scope.value}, blocks=True)]
    )


exception_handlers: dict[type[Exception] | int, Any] = {errors.Refusal: refused, HTTPException: refused_by_litestar, Exception: failed}
"""For the pages' router."""
