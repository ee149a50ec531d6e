"""Take in people, give them roles, passwords and one-time codes, sign them in and out."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import UNSET

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, signal
from prodsys.kit.granting import must_carry
from prodsys.kit.ids import new_id
from prodsys.kit.states import must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import CONSOLE, Caller, Role, Scope
from prodsys.users import model, store
from prodsys.users.model import (
    FIRST_GROUPS,
    LIFETIMES,
    NO_PASSWORD,
    Code,
    CodeHolder,
    Group,
    GroupPatch,
    Kind,
    NewSession,
    Opened,
    Preferences,
    Sessions,
    User,
    UserPatch,
)
from prodsys.users.store import GroupRow, KeptCode, Person

TOPIC = "people"
"""Signalled by whatever ends a browser's session or changes what its person may do, so that nobody goes on with what he knew."""

_LETTER_EVERY = dt.timedelta(minutes=2)


def create(
    tx: Tx,
    caller: Caller,
    *,
    email: str,
    name: str,
    password: str,
    scopes: frozenset[Scope] = frozenset(),
    groups: Sequence[str] = (),
    language: str = "",
) -> User:
    """Take in a person; `password` is hashed already, `groups` are ids. Raises AlreadyExists, Invalid, ScopeNotYours."""
    theirs = _named_groups(tx, groups)
    must_carry(caller, scopes.union(*(group.carries for group in theirs)))
    email_key = model.email_key(email)
    key = store.put(tx, email=email_key, name=name, password=password, scopes=scopes, language=language)
    if key is None:
        raise errors.AlreadyExists(f"There is a user {email_key} already.")
    store.join(tx, [(group.pk, key) for group in theirs])
    store.void_codes(tx, kind="first_admin")
    user = _shown(tx, key)
    tell(tx, Entry(code="user.created", message=f"{caller.name} took in {email_key}.", subject=user.id, actor=caller.name))
    note_change(tx, caller.name, "user", user.id, f"{caller.name} took in {email_key}.", after=user)
    return user


def invite(
    tx: Tx,
    caller: Caller,
    *,
    email: str,
    name: str,
    scopes: frozenset[Scope] = frozenset(),
    groups: Sequence[str] = (),
    language: str = "",
) -> Code:
    """Take in a person who chooses the password himself, with the code that lets him, good for 24 hours. Raises as `create`."""
    user = create(tx, caller, email=email, name=name, password=NO_PASSWORD, scopes=scopes, groups=groups, language=language)
    return _new_code(tx, "invitation", _key(tx, user.id), user)


def new_link(tx: Tx, caller: Caller, id: str) -> Code:
    """A code by which a person chooses a password: the invitation anew, or a reset good for an hour.

    Raises NotFound, WrongState for who may not sign in any more, ScopeNotYours for who may do more than the caller.
    """
    person = _person(tx, id)
    must_carry(caller, person.scopes)
    if not person.is_active:
        raise errors.WrongState(f"{person.email} may not sign in; activate the account first.")
    kind: Kind = "invitation" if person.password == NO_PASSWORD else "reset"
    message = f"{caller.name} made a link by which {person.email} chooses a password."
    tell(tx, Entry(code="user.link_made", message=message, subject=person.id, actor=caller.name))
    note_change(tx, caller.name, "user", person.id, message)
    return _new_code(tx, kind, person.pk, _shown(tx, person.pk))


def ask_reset(tx: Tx, email: str, address: str) -> Code | None:
    """What a person who forgot the password asks for: a code, good for an hour; None for nobody, and within two minutes of the last.

    Raises Invalid for what is no e-mail address.
    """
    person = store.by_email(tx, model.email_key(email))
    if person is None or not person.is_active:
        return None
    store.hold_person(tx, person.pk)
    kind: Kind = "invitation" if person.password == NO_PASSWORD else "reset"
    if store.has_code_since(tx, person.pk, kind, now() - _LETTER_EVERY):
        return None
    message = f"Somebody at {address or 'an unknown address'} asked for a new password of {person.email}."
    tell(tx, Entry(code="user.reset_asked", message=message, subject=person.id))
    return _new_code(tx, kind, person.pk, _shown(tx, person.pk))


def holder_of(tx: Tx, code: str) -> CodeHolder:
    """Whose an invitation or a reset is; looking at it does not use it. Raises CodeUnknown."""
    person = _held(tx, code)[1]
    kind: Kind = "invitation" if person.password == NO_PASSWORD else "reset"
    return msgspec.convert({"kind": kind, "email": person.email, "name": person.name, "language": person.language}, CodeHolder)


def use_code(tx: Tx, code: str, password: str, sessions: Sessions) -> Person:
    """Give a person the password he chose, hashed already; every code and every sign-in he had ends. Raises CodeUnknown."""
    kept, person = _held(tx, code)
    if not store.use_code(tx, kept.pk):
        raise errors.CodeUnknown
    _set_password(tx, person, password, sessions)
    message = f"{person.email} chose a password by {'an invitation' if kept.kind == 'invitation' else 'a link'}."
    tell(tx, Entry(code="user.password_chosen", message=message, subject=person.id, actor=person.email))
    note_change(tx, person.email, "user", person.id, message)
    return _person(tx, person.id)


def first_admin_code(tx: Tx) -> Code | None:
    """The code by which the first admin takes this instance, good for an hour; None when there is somebody already (rulings.md, 30)."""
    return _new_code(tx, "first_admin", None) if store.is_empty(tx) else None


def wants_first_admin(tx: Tx) -> bool:
    """Whether nobody can sign in yet."""
    return store.is_empty(tx)


def must_know_first_admin_code(tx: Tx, code: str) -> None:
    """Raise CodeUnknown unless this is a good code for the first admin; looking at it does not use it."""
    _first_admin_code(tx, code)


def first_admin(tx: Tx, code: str, *, email: str, name: str, password: str, language: str = "") -> Person:
    """Make the first admin, whose password is hashed already. Raises CodeUnknown, also once there is somebody, and Invalid."""
    kept = _first_admin_code(tx, code)
    if not store.use_code(tx, kept.pk):
        raise errors.CodeUnknown
    user = begin(tx, email=email, name=name, password=password, language=language)
    return _person(tx, user.id)


def begin(tx: Tx, *, email: str, name: str, password: str, language: str = "") -> User:
    """Make the groups a new instance has, and its first person, an admin. Raises as `create`."""
    by_name = store.group_ids(tx)
    for group, role in FIRST_GROUPS.items():
        if group.casefold() not in by_name:
            by_name[group.casefold()] = create_group(tx, CONSOLE, name=group, role=role).id
    return create(tx, CONSOLE, email=email, name=name, password=password, groups=[by_name["administrators"]], language=language)


def change(tx: Tx, caller: Caller, id: str, patch: UserPatch, sessions: Sessions, *, if_match: str | None) -> User:
    """Change a person: name, groups, own scopes, preferences, and whether he may sign in; who may not is signed out everywhere.

    Raises NotFound, IfMatchMissing, Stale, Invalid, ScopeNotYours for who may do more than the caller, LastAdmin.
    """
    store.hold_people(tx)
    person = _person(tx, id)
    before = _shown(tx, person.pk)
    must_match(if_match, model.tag(before))
    must_carry(caller, person.scopes)
    had_admin = store.has_admin(tx)
    values = {
        name: value
        for name in ("name", "is_active", "language", "theme", "has_shortcuts")
        if (value := getattr(patch, name)) is not UNSET and value != getattr(before, name)
    }
    if patch.scopes is not UNSET:
        scopes = frozenset(patch.scopes)
        must_carry(caller, scopes)
        if sorted(scopes) != before.scopes:
            values["scopes"] = store.written_scopes(scopes)
    if patch.groups is not UNSET:
        wanted = {group.id: group for group in _named_groups(tx, patch.groups)}
        current = store.groups_of(tx, person.pk)
        coming = [group for group in wanted.values() if group.id not in current]
        must_carry(caller, frozenset().union(*(group.carries for group in coming)))
        store.join(tx, [(group.pk, person.pk) for group in coming])
        store.leave(tx, [(group.pk, person.pk) for group in current.values() if group.id not in wanted])
    if values:
        store.set_members(tx, person.pk, values)
    if not patch.is_active and patch.is_active is not UNSET:
        sessions.end_all(tx, person.pk)
        store.end_sessions(tx, person.pk)
        store.void_codes(tx, person=person.pk)
    _keep_an_admin(tx, had_admin)
    after = _shown(tx, person.pk)
    if after == before:
        return after
    _renew(tx, [person.pk], sessions)
    _tell_change(tx, caller, "user", person.id, f"{caller.name} changed {person.email}.", before, after)
    return after


def set_preferences(tx: Tx, person: int | None, wanted: Preferences) -> User:
    """What a person (by key) chooses for himself. Raises NotFound for a token that belongs to nobody."""
    before = me(tx, person)
    values = {
        name: value
        for name in Preferences.__struct_fields__
        if (value := getattr(wanted, name)) is not UNSET and value != getattr(before, name)
    }
    if not values:
        return before
    key = _key(tx, before.id)
    store.set_members(tx, key, values)
    signal(tx, TOPIC)
    after = _shown(tx, key)
    note_change(tx, before.email, "user", before.id, f"{before.email} changed his own preferences.", before, after)
    return after


def one(tx: Tx, id: str) -> User:
    """One person as an admin sees it. Raises NotFound."""
    return _shown(tx, _person(tx, id).pk)


def me(tx: Tx, person: int | None) -> User:
    """The person who asks, by key. Raises NotFound for a token that belongs to nobody."""
    found = None if person is None else store.shown(tx, person)
    if found is None:
        raise errors.NotFound("This token belongs to no person.")
    return found


def set_password(tx: Tx, caller: Caller, id: str, password: str, sessions: Sessions) -> None:
    """Give a person another password, hashed already, and end all sign-ins made with the old one. Raises NotFound, ScopeNotYours."""
    person = _person(tx, id)
    # Otherwise whoever may write users could sign in as somebody who may do more.
    must_carry(caller, person.scopes)
    _set_password(tx, person, password, sessions)
    _tell_change(tx, caller, "user", person.id, f"{caller.name} set a new password for {person.email}.", code="user.password_set")


def change_own_password(tx: Tx, person: Person, password: str, sessions: Sessions) -> Person:
    """Give a person whose old password has just been checked another, hashed already; every sign-in ends, this one too.

    Raises SignInFailed when the old one has changed meanwhile.
    """
    if not store.note_sign_in(tx, person.pk, person.password, now(), person.signed_in_from):
        raise errors.SignInFailed
    _set_password(tx, person, password, sessions)
    message = f"{person.email} chose another password."
    tell(tx, Entry(code="user.password_chosen", message=message, subject=person.id, actor=person.email))
    note_change(tx, person.email, "user", person.id, message)
    return _person(tx, person.id)


def sign_in(tx: Tx, person: Person, address: str, sessions: Sessions) -> Opened:
    """Open a token of the house for a person whose password has just been checked. Raises SignInFailed when that has changed meanwhile."""
    _note_sign_in(tx, person, address, "")
    return sessions.open(tx, person.pk, person.email, person.scopes)


def open_session(
    tx: Tx, person: Person, *, address: str, user_agent: str, lifetime: dt.timedelta = model.SESSION_LIFETIME, instead_of: str = ""
) -> NewSession:
    """Sign a browser in for a person whose password has just been checked; the session of the cookie it had, if any, ends.

    Raises SignInFailed when the password has changed meanwhile, or the person may not sign in any more.
    """
    browser = model.browser_of(user_agent)
    _note_sign_in(tx, person, address, browser)
    if instead_of:
        store.end_session_with(tx, model.digest(instead_of))
    at = now()
    session, cookie = new_id("se"), model.new_cookie()
    row = {"id": session, "person": person.pk, "digest": model.digest(cookie), "created_at": at, "used_at": at}
    store.put_session(tx, row | {"expires_at": at + lifetime, "address": address, "browser": browser})
    signal(tx, TOPIC)
    return NewSession(id=session, cookie=cookie, csrf=model.csrf_of(cookie), expires_at=at + lifetime)


def sign_out(tx: Tx, cookie: str) -> None:
    """End the session of a browser; an ended one stays so."""
    ended = store.browser(tx, model.digest(cookie))
    if ended is None:
        return
    store.end_session(tx, ended.id, ended.person)
    tell(tx, Entry(code="user.signed_out", message=f"{ended.email} signed out.", subject=ended.user, actor=ended.email))
    signal(tx, TOPIC)


def end_session(tx: Tx, person: int, id: str) -> None:
    """End one of a person's browser sessions. Raises NotFound."""
    if not store.end_session(tx, id, person):
        raise errors.NotFound
    _tell_end(tx, person, "another browser")


def end_other_sessions(tx: Tx, person: int, keep: str) -> int:
    """End all browser sessions of a person but the one with this id; how many there were."""
    ended = store.end_sessions(tx, person, keep)
    if ended:
        _tell_end(tx, person, f"{ended} other browser{'s' if ended > 1 else ''}")
    return ended


def close_account(tx: Tx, person: int) -> None:
    """Sign a person out of every browser, for good, and take him out of every group. Raises LastAdmin."""
    store.hold_people(tx)
    had_admin = store.has_admin(tx)
    store.set_members(tx, person, {"is_active": False, "password": NO_PASSWORD, "scopes": "[]", "signed_in_from": ""})
    store.leave(tx, [(group.pk, person) for group in store.groups_of(tx, person).values()])
    store.end_sessions(tx, person)
    store.void_codes(tx, person=person)
    _keep_an_admin(tx, had_admin)
    signal(tx, TOPIC)


def create_group(
    tx: Tx,
    caller: Caller,
    *,
    name: str,
    role: Role | None = None,
    scopes: frozenset[Scope] = frozenset(),
    members: Sequence[str] = (),
    sessions: Sessions | None = None,
) -> Group:
    """Make a group. Raises AlreadyExists, Invalid, ScopeNotYours."""
    carries = model.scopes_of_group(role, scopes)
    must_carry(caller, carries)
    people = _named_people(tx, members)
    public_id = store.put_group(tx, name=name.strip(), role=role, scopes=scopes)
    if public_id is None:
        raise errors.AlreadyExists(f"There is a group {name} already.")
    row = store.group_rows(tx, [public_id])[public_id]
    store.join(tx, [(row.pk, person) for person in people])
    if sessions is not None:
        _renew(tx, people, sessions)
    made = group(tx, public_id)
    _tell_change(tx, caller, "group", public_id, f"{caller.name} made the group {made.name}.", after=made, code="group.created")
    return made


def group(tx: Tx, id: str) -> Group:
    """One group with its members. Raises NotFound."""
    found = store.group(tx, id)
    if found is None:
        raise errors.NotFound
    return found


def change_group(tx: Tx, caller: Caller, id: str, patch: GroupPatch, sessions: Sessions, *, if_match: str | None) -> Group:
    """Change a group: its name, what its members may do, and who they are.

    Raises NotFound, IfMatchMissing, Stale, AlreadyExists, Invalid, ScopeNotYours, LastAdmin.
    """
    store.hold_people(tx)
    row, before = _group_row(tx, id), group(tx, id)
    must_match(if_match, model.group_tag(before))
    had_admin = store.has_admin(tx)
    name = row.name if patch.name is UNSET else patch.name.strip()
    role = row.role if patch.role is UNSET else patch.role
    scopes = row.scopes if patch.scopes is UNSET else frozenset(patch.scopes)
    must_carry(caller, row.carries | model.scopes_of_group(role, scopes))
    concerned = set(store.members_of(tx, row.pk))
    if (name, role, scopes) != (row.name, row.role, row.scopes):
        if store.is_group_name_taken(tx, name, row.pk):
            raise errors.AlreadyExists(f"There is a group {name} already.")
        store.change_group(tx, row.pk, name=name, role=role, scopes=scopes)
    if patch.members is not UNSET:
        wanted = set(_named_people(tx, patch.members))
        store.join(tx, [(row.pk, person) for person in wanted - concerned])
        store.leave(tx, [(row.pk, person) for person in concerned - wanted])
        concerned |= wanted
    return _group_changed(tx, caller, before, concerned, had_admin, sessions)


def add_member(tx: Tx, caller: Caller, id: str, user: str, sessions: Sessions) -> Group:
    """Put a person into a group; who is in stays in. Raises NotFound, ScopeNotYours."""
    row, before, person = _group_row(tx, id), group(tx, id), _person(tx, user)
    must_carry(caller, row.carries)
    store.join(tx, [(row.pk, person.pk)])
    return _group_changed(tx, caller, before, [person.pk], False, sessions)


def remove_member(tx: Tx, caller: Caller, id: str, user: str, sessions: Sessions) -> Group:
    """Take a person out of a group. Raises NotFound, ScopeNotYours, LastAdmin."""
    store.hold_people(tx)
    row, before, person = _group_row(tx, id), group(tx, id), _person(tx, user)
    must_carry(caller, row.carries)
    had_admin = store.has_admin(tx)
    store.leave(tx, [(row.pk, person.pk)])
    return _group_changed(tx, caller, before, [person.pk], had_admin, sessions)


def delete_group(tx: Tx, caller: Caller, id: str, sessions: Sessions) -> None:
    """Delete a group; its members lose what it gave them. Raises NotFound, ScopeNotYours, LastAdmin."""
    store.hold_people(tx)
    row, before = _group_row(tx, id), group(tx, id)
    must_carry(caller, row.carries)
    had_admin = store.has_admin(tx)
    concerned = store.members_of(tx, row.pk)
    store.delete_group(tx, row.pk)
    _keep_an_admin(tx, had_admin)
    _renew(tx, concerned, sessions)
    _tell_change(tx, caller, "group", id, f"{caller.name} deleted the group {row.name}.", before, code="group.deleted")


def groups_by_role(tx: Tx, roles: Iterable[Role]) -> list[str]:
    """Ids of the groups that have these roles and nothing else to give; those a new instance begins with are made when missing."""
    known = {group.role: group.id for _, group in reversed(store.groups(tx, limit=500)) if group.role and not group.scopes}
    names = {role: name for name, role in FIRST_GROUPS.items()}
    return [known.get(role) or create_group(tx, CONSOLE, name=names[role], role=role).id for role in roles]


def tidy(tx: Tx) -> None:
    """Forget codes and sessions whose time is over. Meant to run every few hours."""
    store.tidy(tx, now())


def _new_code(tx: Tx, kind: Kind, person: int | None, user: User | None = None) -> Code:
    at = now()
    code = model.new_code(kind)
    store.put_code(tx, kind=kind, person=person, digest=model.digest(code), at=at, expires_at=at + LIFETIMES[kind])
    return Code(code=code, kind=kind, expires_at=at + LIFETIMES[kind], user=user)


def _held(tx: Tx, code: str) -> tuple[KeptCode, Person]:
    kept = store.kept_code(tx, model.digest(code.strip()), now())
    person = None if kept is None or kept.person is None else store.by_key(tx, kept.person)
    if kept is None or person is None or not person.is_active:
        raise errors.CodeUnknown
    return kept, person


def _first_admin_code(tx: Tx, code: str) -> KeptCode:
    kept = store.kept_code(tx, model.digest(model.typed(code)), now())
    if kept is None or kept.kind != "first_admin" or not store.is_empty(tx):
        raise errors.CodeUnknown
    return kept


def _set_password(tx: Tx, person: Person, password: str, sessions: Sessions) -> None:
    store.set_password(tx, person.pk, password)
    store.void_codes(tx, person=person.pk)
    sessions.end_all(tx, person.pk)
    store.end_sessions(tx, person.pk)
    signal(tx, TOPIC)


def _note_sign_in(tx: Tx, person: Person, address: str, browser: str) -> None:
    if not store.note_sign_in(tx, person.pk, person.password, now(), address):
        raise errors.SignInFailed
    where = f" with {browser}" if browser else ""
    message = f"{person.email} signed in from {address or 'an unknown address'}{where}."
    tell(tx, Entry(code="user.signed_in", message=message, subject=person.id, actor=person.email))


def _tell_end(tx: Tx, person: int, what: str) -> None:
    who = me(tx, person)
    tell(tx, Entry(code="user.signed_out", message=f"{who.email} signed out of {what}.", subject=who.id, actor=who.email))
    signal(tx, TOPIC)


def _keep_an_admin(tx: Tx, had_admin: bool) -> None:
    if had_admin and not store.has_admin(tx):
        raise errors.LastAdmin


def _renew(tx: Tx, people: Iterable[int], sessions: Sessions) -> None:
    """Let what these people may do now count for the sign-ins they have."""
    sessions.carry(tx, store.carried(tx, people))
    signal(tx, TOPIC)


def _group_changed(tx: Tx, caller: Caller, before: Group, people: Iterable[int], had_admin: bool, sessions: Sessions) -> Group:
    _keep_an_admin(tx, had_admin)
    after = group(tx, before.id)
    if after != before:
        _renew(tx, people, sessions)
        _tell_change(tx, caller, "group", after.id, f"{caller.name} changed the group {after.name}.", before, after)
    return after


def _tell_change(
    tx: Tx,
    caller: Caller,
    kind: Literal["user", "group"],
    id: str,
    message: str,
    before: User | Group | None = None,
    after: User | Group | None = None,
    code: str = "",
) -> None:
    tell(tx, Entry(code=code or f"{kind}.changed", message=message, subject=id, actor=caller.name))
    note_change(tx, caller.name, kind, id, message, before, after)


def _named_groups(tx: Tx, ids: Sequence[str]) -> list[GroupRow]:
    found = store.group_rows(tx, ids)
    _must_know("group", ids, found.keys(), "/groups")
    return list(found.values())


def _named_people(tx: Tx, ids: Sequence[str]) -> list[int]:
    found = store.keys_of(tx, ids)
    _must_know("user", ids, found.keys(), "/members")
    return list(found.values())


def _must_know(kind: str, ids: Iterable[str], known: Iterable[str], pointer: str) -> None:
    unknown = sorted(one[:40] for one in {*ids} - {*known})
    if unknown:
        issues = [
            Issue(code=f"{kind}_unknown", message=f"There is no {kind} {one}.", params={"id": one}, pointer=pointer, blocks=True)
            for one in unknown
        ]
        raise errors.Invalid(issues[0].message, issues=issues)


def _group_row(tx: Tx, id: str) -> GroupRow:
    row = store.group_rows(tx, [id]).get(id)
    if row is None:
        raise errors.NotFound
    return row


def _person(tx: Tx, id: str) -> Person:
    person = store.by_id(tx, id)
    if person is None:
        raise errors.NotFound
    return person


def _key(tx: Tx, id: str) -> int:
    return store.keys_of(tx, [id])[id]


def _shown(tx: Tx, key: int) -> User:
    user = store.shown(tx, key)
    assert user is not None  # noqa: S101 - read or made in this transaction
    return user
