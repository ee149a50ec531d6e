"""The doors of Admin > Users and groups, of one's own account, and those through which people sign in."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Name
from prodsys.kit.clock import now
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
from prodsys.scopes import AnyToken, Caller, Role, Scope, allows, public
from prodsys.settings import Settings
from prodsys.users import actions, grouping, inviting, model, signing_in, store
from prodsys.users.letters import Letters
from prodsys.users.model import Code, Email, Group, GroupPatch, Language, Opened, Preferences, Session, Sessions, User, UserPatch
from prodsys.users.passwords import Passwords
from prodsys.users.signing_in import Attempts

Password = Annotated[str, Meta(max_length=model.MAX_PASSWORD)]
NewPassword = Annotated[str, Meta(min_length=model.MIN_PASSWORD, max_length=model.MAX_PASSWORD)]
Scopes = Annotated[list[Scope], Meta(max_length=len(Scope))]
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


class OtherPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password of one's own."""

    current: Password
    password: NewPassword


class NewGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group to be made."""

    name: Name
    role: Role | None = None
    scopes: Scopes = []
    members: Annotated[list[str], Meta(max_length=500, description="Ids of people.")] = []


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


@get("/groups", operation_id="list_groups", **allows(Scope.USERS_READ))
async def list_groups(db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[Group]:
    """All groups, by name."""
    above = None if after is None else decode_cursor(after, "groups", str)[0]
    found = await db.read(store.groups.listed, limit=limit + 1, after=above)
    more = encode_cursor("groups", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[group for _, group in found[:limit]], next=more)


@post("/groups", operation_id="create_group", responses=answers(errors.AlreadyExists, errors.ScopeNotYours), **allows(Scope.USERS_WRITE))
async def create_group(
    request: Request[Any, Any, Any],
    data: JSONBody[NewGroup],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
    idempotency_key: IdempotencyKey = None,
) -> Response[Group]:
    """Make a group; its members carry what its role stands for, and its scopes."""
    key = await request_key(request, idempotency_key)
    made = await once(
        db,
        key,
        _group_made,
        grouping.create_group,
        caller,
        name=data.name,
        role=data.role,
        scopes=frozenset(data.scopes),
        members=data.members,
        sessions=sessions,
    )
    return made.reply()


@get("/groups/{id:str}", operation_id="get_group", responses=answers(errors.NotFound), **allows(Scope.USERS_READ))
async def get_group(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[Group]:
    """One group with its members."""
    group = await db.read(grouping.group, id)
    return tagged(group, model.group_tag(group), if_none_match)


@patch(
    "/groups/{id:str}",
    operation_id="change_group",
    responses=answers(errors.NotFound, errors.Stale, errors.IfMatchMissing, errors.AlreadyExists, errors.ScopeNotYours, errors.LastAdmin),
    **allows(Scope.USERS_WRITE),
)
async def change_group(
    id: FromPath[str],
    data: JSONBody[GroupPatch],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
    if_match: IfMatch = None,
) -> Response[Group]:
    """Change a group's name, role, scopes or members; it counts within a second for those who are signed in."""
    group = await db.write(grouping.change_group, caller, id, data, sessions, if_match=if_match)
    return Reply(group, headers={"ETag": model.group_tag(group)})


@delete(
    "/groups/{id:str}",
    operation_id="delete_group",
    responses=answers(errors.NotFound, errors.ScopeNotYours, errors.LastAdmin),
    **allows(Scope.USERS_WRITE),
)
async def delete_group(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], sessions: NamedDependency[Sessions]
) -> None:
    """Delete a group; its members lose what it gave them."""
    await db.write(grouping.delete_group, caller, id, sessions)


@put(
    "/groups/{id:str}/members/{user:str}",
    operation_id="add_group_member",
    responses=answers(errors.NotFound, errors.ScopeNotYours),
    **allows(Scope.USERS_WRITE),
)
async def add_group_member(
    id: FromPath[str],
    user: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
) -> Group:
    """Put a person into a group; a repeat changes nothing."""
    return await db.write(grouping.add_member, caller, id, user, sessions)


@delete(
    "/groups/{id:str}/members/{user:str}",
    operation_id="remove_group_member",
    responses=answers(errors.NotFound, errors.ScopeNotYours, errors.LastAdmin),
    **allows(Scope.USERS_WRITE),
)
async def remove_group_member(
    id: FromPath[str],
    user: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
) -> None:
    """Take a person out of a group; a repeat changes nothing."""
    await db.write(grouping.remove_member, caller, id, user, sessions)


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


routes = [
    list_users,
    create_user,
    invite_user,
    get_user,
    change_user,
    make_user_link,
    list_groups,
    create_group,
    get_group,
    change_group,
    delete_group,
    add_group_member,
    remove_group_member,
    get_me,
    change_me,
    change_my_password,
    sign_in,
    list_sessions,
    sign_out,
    end_session,
    forget_password,
    choose_password,
]


def new_sign_in_attempts() -> Attempts:
    """How often people may try; one for each app."""
    return Attempts()


def _address(request: Request[Any, Any, Any]) -> str:
    return request.client.host if request.client else ""


def _taken_in(user: User) -> Answered:
    return answered(user, headers={"Location": f"/api/v1/users/{user.id}"})


def _group_made(group: Group) -> Answered:
    return answered(group, headers={"Location": f"/api/v1/groups/{group.id}", "ETag": model.group_tag(group)})


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
