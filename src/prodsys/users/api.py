"""The doors of Admin > Users, and the one through which people sign in."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Name
from prodsys.kit.db import Database
from prodsys.kit.journal import log
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    Limit,
    Limiter,
    Page,
    answered,
    answers,
    charge,
    decode_cursor,
    encode_cursor,
    once,
    request_key,
)
from prodsys.scopes import AnyToken, Caller, Scope, allows, public
from prodsys.users import actions, model, store
from prodsys.users.actions import Passwords
from prodsys.users.model import Email, Opened, Sessions, User

Password = Annotated[str, Meta(max_length=model.MAX_PASSWORD)]


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person to be taken in."""

    email: Email
    name: Name
    password: Annotated[str, Meta(min_length=model.MIN_PASSWORD, max_length=model.MAX_PASSWORD)]
    scopes: Annotated[list[Scope], Meta(max_length=len(Scope))]


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signs in."""

    email: Email
    password: Password


@get("/users", operation_id="list_users", **allows(Scope.USERS_READ))
async def list_users(db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[User]:
    """All people, in the order they were taken in."""
    above = None if after is None else decode_cursor(after, "users", int)[0]
    found = await db.read(store.listed, limit=limit + 1, after=above)
    more = encode_cursor("users", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[user for _, user in found[:limit]], next=more)


@post("/users", operation_id="create_user", responses=answers(errors.AlreadyExists, errors.ScopeNotYours), **allows(Scope.USERS_WRITE))
async def create_user(
    request: Request[Any, Any, Any],
    data: JSONBody[NewUser],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    idempotency_key: IdempotencyKey = None,
) -> Response[User]:
    """Take in a person, with scopes the caller carries himself."""
    key = await request_key(request, idempotency_key)
    made = await once(
        db,
        key,
        _taken_in,
        actions.create,
        caller,
        email=data.email,
        name=data.name,
        password=await passwords.hash(data.password),
        scopes=frozenset(data.scopes),
    )
    return made.reply()


@post("/sessions", operation_id="sign_in", responses=answers(errors.SignInFailed, errors.TooManyRequests), **public())
async def sign_in(
    request: Request[Any, Any, Any],
    data: JSONBody[SignIn],
    db: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    sessions: NamedDependency[Sessions],
    sign_in_attempts: NamedDependency[Limiter],
) -> Opened:
    """Sign in with e-mail and password; the answer is a token of the house for 12 hours."""
    address = request.client.host if request.client else ""
    email = model.email_key(data.email)
    charge(request.scope, sign_in_attempts, f"{address} {email}")
    person = await db.read(store.by_email, email)
    if not await passwords.check(email, data.password, person) or person is None or not person.is_active:
        log.warning("sign_in_failed", address=address)
        raise errors.SignInFailed
    return await db.write(actions.sign_in, person, address, sessions)


@delete("/sessions/current", operation_id="sign_out", responses=answers(errors.NotFound), **allows(AnyToken.ANY, "house"))
async def sign_out(caller: NamedDependency[Caller], db: NamedDependency[Database], sessions: NamedDependency[Sessions]) -> None:
    """End the sign-in this request came with; a token proper is revoked under Tokens instead."""
    if not await db.write(sessions.end, caller):
        raise errors.NotFound


routes = [list_users, create_user, sign_in, sign_out]


def new_sign_in_attempts() -> Limiter:
    """How often one address may try one e-mail: five times at once, then every six seconds. Nobody is ever locked out. One for each app."""
    return Limiter("sign-in", quota=5, window=30)


def _taken_in(user: User) -> Answered:
    return answered(user)
