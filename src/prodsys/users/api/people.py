"""The doors of Admin > Users and groups, as far as they are about people."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Name
from prodsys.kit.db import Database
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    Page,
    Reply,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    once,
    request_key,
    tagged,
)
from prodsys.scopes import Caller, Scope, allows
from prodsys.users import actions, inviting, model, store
from prodsys.users.letters import Letters
from prodsys.users.model import Code, Email, Language, NewPassword, Scopes, Sessions, User, UserPatch
from prodsys.users.passwords import Passwords

GroupIds = Annotated[list[str], Meta(max_length=200, description="Ids of groups the person is to be in.")]


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person to be taken in, with a password that is handed over."""

    email: Email
    name: Name
    password: NewPassword
    scopes: Scopes = []
    groups: GroupIds = []
    language: Language = ""


class Invitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person to be taken in, who chooses the password himself."""

    email: Email
    name: Name
    scopes: Scopes = []
    groups: GroupIds = []
    language: Language = ""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """How a person comes to choose a password: by mail, or by a link that whoever reads this hands over, shown once."""

    user: User
    is_mailed: bool
    link: Annotated[str | None, Meta(description="Only when it could not be mailed; without a public address just its path.")]
    trouble: Annotated[str, Meta(description="Why it could not be mailed, where mail is set up.")]
    expires_at: dt.datetime


@get("/users", operation_id="list_users", **allows(Scope.USERS_READ))
async def list_users(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    q: Annotated[str, QueryParameter(max_length=120, description="Stands in the name or the e-mail.")] = "",
    is_active: Annotated[bool | None, QueryParameter(description="Only those who may, or may not, sign in.")] = None,
) -> Page[User]:
    """All people, in the order they were taken in."""
    above = None if after is None else decode_cursor(after, "users", int)[0]
    found = await db.read(store.people.listed, limit=limit + 1, after=above, words=q, is_active=is_active)
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
    """Take in a person, with scopes and groups the caller carries himself."""
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
        groups=data.groups,
        language=data.language,
    )
    return made.reply()


@post(
    "/users/invitations",
    operation_id="invite_user",
    responses=answers(errors.AlreadyExists, errors.ScopeNotYours),
    **allows(Scope.USERS_WRITE),
)
async def invite_user(
    request: Request[Any, Any, Any],
    data: JSONBody[Invitation],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    letters: NamedDependency[Letters],
    idempotency_key: IdempotencyKey = None,
) -> Response[Link]:
    """Take in a person, who chooses the password by a link that is mailed, or shown here once; it is good for 24 hours."""
    key = await request_key(request, idempotency_key)
    made: list[Code] = []
    done = await once(
        db,
        key,
        lambda code: _code_made(made, code),
        inviting.invite,
        caller,
        email=data.email,
        name=data.name,
        scopes=frozenset(data.scopes),
        groups=data.groups,
        language=data.language,
    )
    return await _handed_over(letters, made[-1]) if made else done.reply()


@get("/users/{id:str}", operation_id="get_user", responses=answers(errors.NotFound), **allows(Scope.USERS_READ))
async def get_user(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[User]:
    """One person, with groups and with what these allow."""
    user = await db.read(actions.one, id)
    return tagged(user, model.tag(user), if_none_match)


@patch(
    "/users/{id:str}",
    operation_id="change_user",
    responses=answers(errors.NotFound, errors.Stale, errors.IfMatchMissing, errors.ScopeNotYours, errors.LastAdmin),
    **allows(Scope.USERS_WRITE),
)
async def change_user(
    id: FromPath[str],
    data: JSONBody[UserPatch],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
    if_match: IfMatch = None,
) -> Response[User]:
    """Change a person's name, groups, scopes or preferences, or whether he may sign in; who may not is signed out everywhere."""
    user = await db.write(actions.change, caller, id, data, sessions, if_match=if_match)
    return Reply(user, headers={"ETag": model.tag(user)})


@post(
    "/users/{id:str}/link",
    operation_id="make_user_link",
    responses=answers(errors.NotFound, errors.WrongState, errors.ScopeNotYours),
    **allows(Scope.USERS_WRITE),
)
async def make_user_link(
    id: FromPath[str],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    letters: NamedDependency[Letters],
    idempotency_key: IdempotencyKey = None,
) -> Response[Link]:
    """Invite a person once more, or let one who forgot the password choose another: by a link that is mailed, or shown here once."""
    key = await request_key(request, idempotency_key)
    made: list[Code] = []
    done = await once(db, key, lambda code: _code_made(made, code), inviting.new_link, caller, id)
    return await _handed_over(letters, made[-1]) if made else done.reply()


routes = [list_users, create_user, invite_user, get_user, change_user, make_user_link]


def _taken_in(user: User) -> Answered:
    return answered(user, headers={"Location": f"/api/v1/users/{user.id}"})


def _code_made(made: list[Code], code: Code) -> Answered:
    """Keep, of an answer that holds a secret, only whose it is; the link itself is handed over once the unit is committed."""
    made.append(code)
    assert code.user is not None  # noqa: S101 - links are made for people
    return answered(None, secret_id=code.user.id)


async def _handed_over(letters: Letters, code: Code) -> Response[Link]:
    sent = await letters.hand_over(code)
    assert code.user is not None  # noqa: S101 - links are made for people
    told = Link(user=code.user, is_mailed=sent.is_mailed, link=sent.link or None, trouble=sent.trouble, expires_at=code.expires_at)
    return Reply(told, status_code=201, headers={"Location": f"/api/v1/users/{code.user.id}"})
