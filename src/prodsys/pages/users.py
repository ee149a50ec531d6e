"""Admin > Users and groups: who may sign in, and what each may do."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.fields import Form, document
from prodsys.pages.permissions import MEANINGS, ROLE_MEANINGS, ROLES
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, show
from prodsys.scopes import Role, Scope, allows
from prodsys.settings import Settings
from prodsys.users import actions, grouping, inviting, model, store
from prodsys.users.letters import Letters
from prodsys.users.model import LIFETIMES, Code, Group, GroupPatch, Sessions, User, UserPatch

SHOWN = 50
MOST_GROUPS = 200
MOST_PEOPLE = 500


@get("/users", include_in_schema=False, **allows(Scope.USERS_READ, "page"))
async def users(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Everybody who may sign in, and who might once."""
    place = visitor.place("users", int)
    is_closed = visitor.query.get("view") == "closed"

    def read(tx: Tx) -> dict[str, Any]:
        rows = store.people.listed(
            tx, limit=SHOWN + 1, after=place[0] if place else None, words=visitor.query.get("q", ""), is_active=not is_closed
        )
        more = encode_cursor("users", rows[SHOWN - 1][0]) if len(rows) > SHOWN else None
        return {"rows": [user for _, user in rows[:SHOWN]], "next": more}

    return await show(visitor, "users.html", here="users", is_closed=is_closed, **await db.read(read))


@get("/users/new", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def invitation(visitor: NamedDependency[Visitor], db: NamedDependency[Database], letters: NamedDependency[Letters]) -> Response[Any]:
    """The form to invite somebody."""
    return await _invitation(visitor, db, letters, {"email": "", "name": "", "language": visitor.speech.language, "groups": []})


@post("/users", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def invite(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    letters: NamedDependency[Letters],
) -> Response[Any]:
    """Take the person in; the link to choose a password goes by mail, or is shown here, once."""
    typed = {"email": form.text("email"), "name": form.text("name"), "language": form.text("language"), "groups": form.many("group")}
    try:
        if not typed["name"]:
            raise model.invalid("name_missing", "Write the person's name.", "/name")
        made = await pressed(
            visitor,
            form,
            "invitation",
            _user_of,
            inviting.invite,
            visitor.caller,
            email=str(typed["email"]),
            name=str(typed["name"]),
            groups=form.many("group"),
            language=_language(form),
        )
    except errors.Refusal as refusal:
        return await _invitation(visitor, db, letters, typed, refusal)
    return await _handed_over(visitor, letters, made)


@get("/users/{id:str}", include_in_schema=False, **allows(Scope.USERS_READ, "page"))
async def user(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """One person: groups, what they allow, and the browsers signed in."""
    return await _user(visitor, db, settings, id)


@post("/users/{id:str}", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def change_user(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Keep what was changed; the last administrator stays one."""
    typed = {
        "name": form.text("name"),
        "language": _language(form),
        "groups": form.many("group"),
        "scopes": form.many("scope"),
        "is_active": form.flag("is_active"),
    }
    try:
        patch = document(typed, UserPatch, form)
        await db.write(actions.change, visitor.caller, id, patch, sessions, if_match=form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _user(visitor, db, settings, id, refusal, typed)
    return go(f"/users/{id}", "saved")


@post("/users/{id:str}/link", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def link(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    letters: NamedDependency[Letters],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """A link by which the person chooses another password."""
    try:
        made = await pressed(visitor, form, f"link {id}", _user_of, inviting.new_link, visitor.caller, id)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _user(visitor, db, settings, id, refusal)
    return await _handed_over(visitor, letters, made)


@get("/groups", include_in_schema=False, **allows(Scope.USERS_READ, "page"))
async def groups(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """All groups, what their members may do, and how many they are."""
    place = visitor.place("groups", str)

    def read(tx: Tx) -> dict[str, Any]:
        rows = store.groups.listed(tx, limit=SHOWN + 1, after=place[0] if place else None)
        more = encode_cursor("groups", rows[SHOWN - 1][0]) if len(rows) > SHOWN else None
        return {"rows": [group for _, group in rows[:SHOWN]], "next": more}

    return await show(visitor, "groups.html", here="users", roles=ROLES, role_meanings=ROLE_MEANINGS, **await db.read(read))


@get("/groups/new", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def new_group(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The form for a group."""
    return await _group(visitor, db, None, {"name": "", "role": "viewer", "scopes": [], "members": []})


@post("/groups", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def create_group(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
) -> Response[Any]:
    """Make it."""
    typed = _typed_group(form)
    try:
        wanted = document(typed, GroupPatch, form)
        if not typed["name"]:
            raise model.invalid("name_missing", "Give the group a name.", "/name")
        made = await pressed(
            visitor,
            form,
            "group",
            lambda group: group.id,
            grouping.create_group,
            visitor.caller,
            name=str(typed["name"]),
            role=wanted.role or None,
            scopes=frozenset(wanted.scopes or ()),
            members=list(wanted.members or ()),
            sessions=sessions,
        )
    except errors.Refusal as refusal:
        return await _group(visitor, db, None, typed, refusal)
    return go(f"/groups/{made if isinstance(made, str) else made.id}", "saved")


@get("/groups/{id:str}", include_in_schema=False, **allows(Scope.USERS_READ, "page"))
async def group(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One group and its members."""
    found = await db.read(grouping.group, id)
    return await _group(visitor, db, found, _as_typed(found))


@post("/groups/{id:str}", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def change_group(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    sessions: NamedDependency[Sessions],
) -> Response[Any]:
    """Keep what was changed; it counts at once for those who are signed in."""
    typed = _typed_group(form)
    try:
        await db.write(grouping.change_group, visitor.caller, id, document(typed, GroupPatch, form), sessions, if_match=form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _group(visitor, db, await db.read(grouping.group, id), typed, refusal)
    return go(f"/groups/{id}", "saved")


@post("/groups/{id:str}/delete", include_in_schema=False, **allows(Scope.USERS_WRITE, "page"))
async def delete_group(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], sessions: NamedDependency[Sessions]
) -> Response[Any]:
    """Delete it; its members lose what it gave them."""
    try:
        await db.write(grouping.delete_group, visitor.caller, id, sessions)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        found = await db.read(grouping.group, id)
        return await _group(visitor, db, found, _as_typed(found), refusal)
    return go("/groups", "group_deleted")


routes = [users, invitation, invite, user, change_user, link, groups, new_group, create_group, group, change_group, delete_group]


async def _invitation(
    visitor: Visitor, db: Database, letters: Letters, typed: dict[str, Any], refusal: errors.Refusal | None = None
) -> Response[Any]:
    return await show(
        visitor,
        "user_new.html",
        here="users",
        typed=typed,
        groups=await db.read(_all_groups),
        can_mail=letters.can_mail,
        roles=ROLES,
        role_meanings=ROLE_MEANINGS,
        refusal=refusal,
        status=refusal.status if refusal else 200,
    )


async def _handed_over(visitor: Visitor, letters: Letters, made: Code | str) -> Response[Any]:
    """Mail the link; where that cannot be, show it this once."""
    if isinstance(made, str):
        return go(f"/users/{made}", "link_shown_before")
    user = made.user
    assert user is not None  # noqa: S101 - links are made for people
    sent = await letters.hand_over(made)
    if sent.is_mailed:
        return go(f"/users/{user.id}", "link_mailed")
    return await show(
        visitor,
        "user_link.html",
        here="users",
        status=201,
        user=user,
        link=sent.link,
        trouble=sent.trouble,
        kind=made.kind,
        hours=int(LIFETIMES[made.kind].total_seconds() // 3600),
        is_path=not sent.link.startswith("http"),
    )


async def _user(
    visitor: Visitor,
    db: Database,
    settings: Settings,
    id: str,
    refusal: errors.Refusal | None = None,
    typed: dict[str, Any] | None = None,
) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        found = actions.one(tx, id)
        key = store.people.keys_of(tx, [id])[id]
        rest = now() - dt.timedelta(minutes=settings.session_idle_minutes)
        return {"user": found, "groups": _all_groups(tx), "sessions": [one for _, one in store.sessions.sessions_of(tx, key, rest)]}

    facts = await db.read(read)
    found: User = facts["user"]
    return await show(
        visitor,
        "user.html",
        here="users",
        etag=model.tag(found),
        typed=typed
        or {
            "name": found.name,
            "language": found.language,
            "groups": [group.id for group in found.groups],
            "scopes": found.scopes,
            "is_active": found.is_active,
        },
        scopes=_grantable(visitor, found.scopes),
        meanings=MEANINGS,
        roles=ROLES,
        role_meanings=ROLE_MEANINGS,
        may_change=visitor.may(Scope.USERS_WRITE),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )


async def _group(
    visitor: Visitor, db: Database, found: Group | None, typed: dict[str, Any], refusal: errors.Refusal | None = None
) -> Response[Any]:
    active = await db.read(_everybody)
    people = [(one.id, one.name, one.email) for one in active]
    people += [(one.id, one.name, one.email) for one in (found.members if found else ()) if not one.is_active]
    is_small = len(active) < MOST_PEOPLE and (found is None or found.member_count <= len(found.members))
    return await show(
        visitor,
        "group.html",
        here="users",
        group=found,
        etag=model.group_tag(found) if found else "",
        typed=typed,
        people=people,
        is_small=is_small,
        scopes=_grantable(visitor, found.scopes if found else ()),
        meanings=MEANINGS,
        roles=ROLES,
        role_meanings=ROLE_MEANINGS,
        may_change=visitor.may(Scope.USERS_WRITE),
        refusal=refusal,
        status=refusal.status if refusal else 200,
    )


def _grantable(visitor: Visitor, carried: Sequence[str]) -> list[Scope]:
    """What the visitor may give, and what is given already."""
    return [scope for scope in Scope if visitor.caller.may(scope) or scope.value in carried]


def _typed_group(form: Form) -> dict[str, Any]:
    role = form.text("role")
    known: Sequence[Role] = tuple(ROLES)
    return {
        "name": form.text("name"),
        "role": role if role in known else None,
        "scopes": form.many("scope"),
        # A group too large to be shown whole keeps the members it has.
        **({"members": form.many("member")} if form.flag("members_shown") else {}),
    }


def _as_typed(group: Group) -> dict[str, Any]:
    return {"name": group.name, "role": group.role, "scopes": group.scopes, "members": [one.id for one in group.members]}


def _language(form: Form) -> Any:
    return form.text("language") if form.text("language") in {"en", "nb", "de", "pl"} else ""


def _user_of(code: Code) -> str:
    assert code.user is not None  # noqa: S101 - links are made for people
    return code.user.id


def _all_groups(tx: Tx) -> list[Group]:
    return [group for _, group in store.groups.listed(tx, limit=MOST_GROUPS)]


def _everybody(tx: Tx) -> list[User]:
    found = [user for _, user in store.people.listed(tx, limit=MOST_PEOPLE, is_active=True)]
    return sorted(found, key=lambda user: user.name.casefold())
