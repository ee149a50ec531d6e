"""The doors through which people sign in and out, and choose a password by a link."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Database
from prodsys.kit.web import After, Limit, Page, answers, decode_cursor, encode_cursor
from prodsys.scopes import AnyToken, Caller, allows, public
from prodsys.settings import Settings
from prodsys.users import inviting, signing_in, store
from prodsys.users.letters import Letters
from prodsys.users.model import Email, NewPassword, Opened, Password, Session, Sessions
from prodsys.users.passwords import Passwords
from prodsys.users.signing_in import Attempts


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signs in."""

    email: Email
    password: Password


class ForgottenPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has forgotten the password."""

    email: Email


class ChosenPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password a person has chosen, with the code of an invitation or of a link."""

    code: Annotated[str, Meta(min_length=1, max_length=100)]
    password: NewPassword


@post("/sessions", operation_id="sign_in", responses=answers(errors.SignInFailed, errors.TooManyRequests), **public())
async def sign_in(
    request: Request[Any, Any, Any],
    data: JSONBody[SignIn],
    db: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    sessions: NamedDependency[Sessions],
    sign_in_attempts: NamedDependency[Attempts],
) -> Opened:
    """Sign in with e-mail and password; the answer is a token of the house for 12 hours."""
    address = _address(request)
    person = await signing_in.prove(
        db, passwords, sign_in_attempts, email=data.email, password=data.password, address=address, scope=request.scope
    )
    return await db.write(signing_in.sign_in, person, address, sessions)


@get("/sessions", operation_id="list_sessions", responses=answers(errors.NotFound), **allows(AnyToken.ANY, "house"))
async def list_sessions(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    limit: Limit = 50,
    after: After = None,
) -> Page[Session]:
    """The browsers one is signed in with, newest first; a token proper belongs to nobody, so it has none."""
    below = None if after is None else decode_cursor(after, "sessions", int)[0]
    rest = now() - dt.timedelta(minutes=settings.session_idle_minutes)
    found = [] if caller.person is None else await db.read(store.sessions.sessions_of, caller.person, rest, limit=limit + 1, below=below)
    more = encode_cursor("sessions", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[session for _, session in found[:limit]], next=more)


@delete("/sessions/current", operation_id="sign_out", responses=answers(errors.NotFound), **allows(AnyToken.ANY, "house"))
async def sign_out(caller: NamedDependency[Caller], db: NamedDependency[Database], sessions: NamedDependency[Sessions]) -> None:
    """End the sign-in this request came with; a token proper is revoked under Tokens instead."""
    if not await db.write(sessions.end, caller):
        raise errors.NotFound


@delete("/sessions/{id:str}", operation_id="end_session", responses=answers(errors.NotFound), **allows(AnyToken.ANY, "house"))
async def end_session(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> None:
    """Sign oneself out of one browser."""
    if caller.person is None:
        raise errors.NotFound
    await db.write(signing_in.end_session, caller.person, id)


@post(
    "/passwords/forgotten",
    operation_id="forget_password",
    status_code=204,
    responses=answers(errors.TooManyRequests),
    **public(),
)
async def forget_password(
    request: Request[Any, Any, Any],
    data: JSONBody[ForgottenPassword],
    letters: NamedDependency[Letters],
    sign_in_attempts: NamedDependency[Attempts],
) -> None:
    """Ask for a link by mail to choose another password; the answer is the same whether there is such a person or not."""
    address = _address(request)
    sign_in_attempts.letter(request.scope, address)
    letters.ask_reset(data.email, address)


@post(
    "/passwords",
    operation_id="choose_password",
    status_code=204,
    responses=answers(errors.CodeUnknown, errors.TooManyRequests),
    **public(),
)
async def choose_password(
    request: Request[Any, Any, Any],
    data: JSONBody[ChosenPassword],
    db: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    sessions: NamedDependency[Sessions],
    sign_in_attempts: NamedDependency[Attempts],
) -> None:
    """Choose a password with the code of an invitation or of a link, once; every sign-in of the person ends."""
    sign_in_attempts.code(request.scope, _address(request))
    await db.read(inviting.holder_of, data.code)
    await db.write(inviting.use_code, data.code, await passwords.hash(data.password), sessions)


routes = [sign_in, list_sessions, sign_out, end_session, forget_password, choose_password]


def new_sign_in_attempts() -> Attempts:
    """How often people may try; one for each app."""
    return Attempts()


def _address(request: Request[Any, Any, Any]) -> str:
    return request.client.host if request.client else ""
