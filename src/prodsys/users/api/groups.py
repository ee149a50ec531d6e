"""The doors of Admin > Users and groups, as far as they are about groups."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
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
from prodsys.scopes import Caller, Role, Scope, allows
from prodsys.users import grouping, model, store
from prodsys.users.model import Group, GroupPatch, Scopes, Sessions


class NewGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group to be made."""

    name: Name
    role: Role | None = None
    scopes: Scopes = []
    members: Annotated[list[str], Meta(max_length=500, description="Ids of people.")] = []


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


routes = [list_groups, create_group, get_group, change_group, delete_group, add_group_member, remove_group_member]


def _group_made(group: Group) -> Answered:
    return answered(group, headers={"Location": f"/api/v1/groups/{group.id}", "ETag": model.group_tag(group)})
