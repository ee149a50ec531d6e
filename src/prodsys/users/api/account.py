"""The doors of one's own account."""

from typing import Any

import msgspec
from litestar import Request, Response, get, patch, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.web import IfNoneMatch, answers, tagged
from prodsys.scopes import AnyToken, Caller, allows
from prodsys.users import actions, model, signing_in
from prodsys.users.model import NewPassword, Password, Preferences, Sessions, User
from prodsys.users.passwords import Passwords
from prodsys.users.signing_in import Attempts


class OtherPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password of one's own."""

    current: Password
    password: NewPassword


@get("/me", operation_id="get_me", responses=answers(errors.NotFound), **allows(AnyToken.ANY, "house"))
async def get_me(caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[User]:
    """The person who signed in; a token proper belongs to nobody, so there is nothing here for it."""
    user = await db.read(actions.me, caller.person)
    return tagged(user, model.tag(user), if_none_match)


@patch("/me", operation_id="change_me", responses=answers(errors.NotFound), **allows(AnyToken.ANY, "house"))
async def change_me(data: JSONBody[Preferences], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> User:
    """Choose one's own name, language, theme, and whether single keys do something on pages."""
    return await db.write(actions.set_preferences, caller.person, data)


@put(
    "/me/password",
    operation_id="change_my_password",
    status_code=204,
    responses=answers(errors.NotFound, errors.SignInFailed, errors.TooManyRequests),
    **allows(AnyToken.ANY, "house"),
)
async def change_my_password(
    request: Request[Any, Any, Any],
    data: JSONBody[OtherPassword],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    passwords: NamedDependency[Passwords],
    sessions: NamedDependency[Sessions],
    sign_in_attempts: NamedDependency[Attempts],
) -> None:
    """Give oneself another password; every sign-in ends, the one that asks too."""
    if caller.person is None:
        raise errors.NotFound
    person = await signing_in.prove_again(
        db, passwords, sign_in_attempts, person=caller.person, password=data.current, address=caller.address, scope=request.scope
    )
    await db.write(actions.change_own_password, person, await passwords.hash(data.password), sessions)


routes = [get_me, change_me, change_my_password]
