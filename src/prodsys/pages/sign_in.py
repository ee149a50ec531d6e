"""Signing in and out, asking for a new password, taking up an invitation, and the very first administrator."""

from typing import Any, cast

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from prodsys import errors
from prodsys.company import store as company
from prodsys.company.actions import begin as begin_company
from prodsys.documents import Party
from prodsys.kit.db import Database, Tx
from prodsys.pages import menu, paper, speech
from prodsys.pages.door import LANGUAGE_COOKIE, THEME_COOKIE, PageDoor
from prodsys.pages.speech import LANGUAGES
from prodsys.pages.visitor import Visitor, form_of, go, own_path, query_of
from prodsys.scopes import AnyToken, allows, public
from prodsys.users import actions, inviting, signing_in
from prodsys.users.browsers import Browsers
from prodsys.users.letters import Letters
from prodsys.users.model import CodeHolder, Preferences, Sessions
from prodsys.users.passwords import Passwords
from prodsys.users.signing_in import Attempts
from prodsys.users.store.people import Person

_A_YEAR = 31_536_000
_THEMES = {"system": "light", "light": "dark", "dark": "system"}
"""What the button beside the name changes to."""


@get("/sign-in", include_in_schema=False, **public())
async def sign_in_form(request: Request[Any, Any, Any], db: NamedDependency[Database]) -> Response[Any]:
    """The form; on an instance without people, the way to the first administrator."""
    if await db.read(inviting.wants_first_admin):
        return go("/first-admin")
    return await _gate(request, db, "sign_in.html", next=own_path(query_of(request).get("next", "/")), email="")


@post("/sign-in", include_in_schema=False, **public())
async def sign_in(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    page_door: NamedDependency[PageDoor],
    browsers: NamedDependency[Browsers],
    passwords: NamedDependency[Passwords],
    sign_in_attempts: NamedDependency[Attempts],
) -> Response[Any]:
    """Sign in, and go where the person was going. The same words and the same time whatever was wrong."""
    form = await form_of(request, _speech(request))
    back = own_path(form.text("next", "/"))
    try:
        person = await signing_in.prove(
            db,
            passwords,
            sign_in_attempts,
            email=form.text("email"),
            password=form.secret("password"),
            address=_address(request),
            scope=request.scope,
        )
        return await opened(request, page_door, browsers, person, back)
    except (errors.SignInFailed, errors.Invalid, errors.TooManyRequests) as refusal:
        return await _gate(request, db, "sign_in.html", refusal=refusal, status=_shown(refusal), next=back, email=form.text("email"))


@post("/sign-out", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def sign_out(
    request: Request[Any, Any, Any], page_door: NamedDependency[PageDoor], browsers: NamedDependency[Browsers]
) -> Response[Any]:
    """End this sign-in."""
    await browsers.end(request.cookies.get(page_door.cookie, ""))
    gone = go("/sign-in", "signed_out")
    gone.delete_cookie(page_door.cookie)
    gone.headers["Clear-Site-Data"] = '"cache"'
    return gone


@get("/forgotten", include_in_schema=False, **public())
async def forgotten_form(
    request: Request[Any, Any, Any], db: NamedDependency[Database], letters: NamedDependency[Letters]
) -> Response[Any]:
    """Ask for a link by mail, where mail can be sent; else say who can help."""
    return await _gate(request, db, "forgotten.html", can_mail=letters.can_mail, is_asked=False)


@post("/forgotten", include_in_schema=False, **public())
async def forgotten(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    letters: NamedDependency[Letters],
    sign_in_attempts: NamedDependency[Attempts],
) -> Response[Any]:
    """The same answer whether there is such a person or not."""
    form = await form_of(request, _speech(request))
    try:
        sign_in_attempts.letter(request.scope, _address(request))
        letters.ask_reset(form.text("email"), _address(request))
    except (errors.Invalid, errors.TooManyRequests) as refusal:
        return await _gate(
            request, db, "forgotten.html", refusal=refusal, status=_shown(refusal), can_mail=letters.can_mail, is_asked=False
        )
    return await _gate(request, db, "forgotten.html", can_mail=letters.can_mail, is_asked=True)


@get(["/invitation", "/new-password"], include_in_schema=False, **public())
async def password_form(
    request: Request[Any, Any, Any], db: NamedDependency[Database], sign_in_attempts: NamedDependency[Attempts]
) -> Response[Any]:
    """Choose a password with the code of a letter."""
    sign_in_attempts.code(request.scope, _address(request))
    code = query_of(request).get("code", "")
    return await _gate(request, db, "new_password.html", code=code, holder=await db.read(inviting.holder_of, code))


@post(["/invitation", "/new-password"], include_in_schema=False, **public())
async def new_password(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    page_door: NamedDependency[PageDoor],
    browsers: NamedDependency[Browsers],
    passwords: NamedDependency[Passwords],
    sessions: NamedDependency[Sessions],
    sign_in_attempts: NamedDependency[Attempts],
) -> Response[Any]:
    """Keep it, end every older sign-in, and sign this browser in."""
    form = await form_of(request, _speech(request))
    sign_in_attempts.code(request.scope, _address(request))
    code = form.text("code")
    holder: CodeHolder = await db.read(inviting.holder_of, code)
    try:
        person = await db.write(inviting.use_code, code, await passwords.hash(form.secret("password")), sessions)
    except errors.Invalid as refusal:
        return await _gate(request, db, "new_password.html", refusal=refusal, status=refusal.status, code=code, holder=holder)
    return await opened(request, page_door, browsers, person, "/")


@get("/first-admin", include_in_schema=False, **public())
async def first_admin_form(request: Request[Any, Any, Any], db: NamedDependency[Database]) -> Response[Any]:
    """The first page of a new instance: the code that was printed at the start makes its first administrator."""
    if not await db.read(inviting.wants_first_admin):
        return go("/sign-in")
    return await _gate(request, db, "first_admin.html", code=query_of(request)["code"], email="", name="", company="")


@post("/first-admin", include_in_schema=False, **public())
async def first_admin(
    request: Request[Any, Any, Any],
    db: NamedDependency[Database],
    page_door: NamedDependency[PageDoor],
    browsers: NamedDependency[Browsers],
    passwords: NamedDependency[Passwords],
    sign_in_attempts: NamedDependency[Attempts],
) -> Response[Any]:
    """Make the first administrator and sign him in."""
    form = await form_of(request, _speech(request))
    code, email, name, ours = form.text("code"), form.text("email"), form.text("name"), form.text("company")
    try:
        sign_in_attempts.code(request.scope, _address(request))
        # Before a password is hashed, which costs 150 ms of somebody who may only be guessing.
        await db.read(inviting.must_know_first_admin_code, code)
        hashed = await passwords.hash(form.secret("password"))
        person = await db.write(_begin, code, ours, email=email, name=name, password=hashed, language=_speech(request).language)
    except errors.Refusal as refusal:
        facts = {"code": code, "email": email, "name": name, "company": ours}
        return await _gate(request, db, "first_admin.html", refusal=refusal, status=_shown(refusal), **facts)
    return await opened(request, page_door, browsers, person, "/")


@post("/language", include_in_schema=False, **public())
async def language(request: Request[Any, Any, Any]) -> Response[Any]:
    """Keep a language in a cookie, for those who have not signed in yet."""
    form = await form_of(request, _speech(request))
    wanted = form.text("language")
    gone = go(_back_of(request))
    if wanted in LANGUAGES:
        gone.set_cookie(Cookie(LANGUAGE_COOKIE, value=wanted, max_age=_A_YEAR, httponly=True, samesite="lax", secure=_is_safe(request)))
    return gone


@post("/theme", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def theme(request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Change between light, dark and as the system, and stay on the page."""
    form = cast("dict[str, Any]", request.scope)["form"]
    wanted = _THEMES.get(visitor.theme, "light")
    await db.write(actions.set_preferences, visitor.caller.person, Preferences(theme=wanted))  # type: ignore[arg-type]  # a word of ours
    gone = go(own_path(form.text("back", "/")))
    # For the pages before signing in.
    gone.set_cookie(Cookie(THEME_COOKIE, value=wanted, max_age=_A_YEAR, httponly=True, samesite="lax", secure=_is_safe(request)))
    return gone


routes = [
    sign_in_form,
    sign_in,
    sign_out,
    forgotten_form,
    forgotten,
    password_form,
    new_password,
    first_admin_form,
    first_admin,
    language,
    theme,
]


async def opened(request: Request[Any, Any, Any], page_door: PageDoor, browsers: Browsers, person: Person, back: str) -> Response[Any]:
    """Sign this browser in for a person who has just been proven, and go on. Raises SignInFailed."""
    made = await browsers.open(
        person,
        address=_address(request),
        user_agent=request.headers.get("user-agent", ""),
        instead_of=request.cookies.get(page_door.cookie, ""),
    )
    gone = go(back)
    # Lax, so that a link in a mail finds the person signed in; every form is marked besides (rulings.md, 30).
    gone.set_cookie(Cookie(page_door.cookie, value=made.cookie, path="/", httponly=True, samesite="lax", secure=page_door.is_secure))
    return gone


async def _gate(
    request: Request[Any, Any, Any], db: Database, template: str, *, status: int = 200, refusal: errors.Refusal | None = None, **facts: Any
) -> Response[Any]:
    """A page outside: without a menu, in the language of the cookie or the browser."""
    us = await db.read(_our_name)
    told = {
        "visitor": None,
        "speech": _speech(request),
        "theme": request.cookies.get(THEME_COOKIE, ""),
        "said_code": query_of(request).get("said", ""),
        "frame": menu.Frame(us=us),
        "here": "",
        "refusal": refusal,
    }
    headers = {"Retry-After": refusal.headers["Retry-After"]} if refusal and "Retry-After" in refusal.headers else None
    accepts_packed = "gzip" in request.headers.get("accept-encoding", "")
    return paper.answer(paper.written(template, told | facts), accepts_packed=accepts_packed, status=status, headers=headers)


def _begin(tx: Tx, code: str, name_of_company: str, *, email: str, name: str, password: str, language: str) -> Person:
    """Unit: the first admin, and the company's card where there is none yet."""
    made = inviting.first_admin(tx, code, email=email, name=name, password=password, language=language)
    if company.card(tx) is None:
        begin_company(tx, Party(name=name_of_company))
    return made


def _our_name(tx: Tx) -> str:
    ours = company.card(tx)
    return ours.name if ours else ""


def _shown(refusal: errors.Refusal) -> int:
    """A page with a form is no challenge: 401 would make some programs ask for a password of another kind."""
    return 422 if refusal.status == 401 else refusal.status


def _speech(request: Request[Any, Any, Any]) -> speech.Speech:
    return speech.speech(speech.wanted("", request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", "")))


def _address(request: Request[Any, Any, Any]) -> str:
    client = request.scope.get("client")
    return client[0] if client else ""


def _is_safe(request: Request[Any, Any, Any]) -> bool:
    return request.scope["scheme"] == "https"


def _back_of(request: Request[Any, Any, Any]) -> str:
    """Where a form without a field for it came from: the page before, when it is ours."""
    before = request.headers.get("referer", "")
    _, _, path = before.partition(f"//{request.headers.get('host', '')}")
    return own_path(path, "/sign-in")
