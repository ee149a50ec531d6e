"""Take in people, change them, and close their accounts."""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import UNSET

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, signal
from prodsys.kit.granting import must_carry
from prodsys.kit.states import must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller, Scope
from prodsys.users import model, store
from prodsys.users.model import NO_PASSWORD, Group, Preferences, Sessions, User, UserPatch
from prodsys.users.store.groups import GroupRow
from prodsys.users.store.people import Person
from prodsys.users.store.scopes import written

TOPIC = "people"
"""Signalled by whatever ends a browser's session or changes what its person may do, so that nobody goes on with what he knew."""


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
    theirs = named_groups(tx, groups)
    must_carry(caller, scopes.union(*(group.carries for group in theirs)))
    email_key = model.email_key(email)
    key = store.people.put(tx, email=email_key, name=name, password=password, scopes=scopes, language=language)
    if key is None:
        raise errors.AlreadyExists(f"There is a user {email_key} already.")
    store.groups.join(tx, [(group.pk, key) for group in theirs])
    store.codes.void(tx, kind="first_admin")
    user = user_of(tx, key)
    tell(tx, Entry(code="user.created", message=f"{caller.name} took in {email_key}.", subject=user.id, actor=caller.name))
    note_change(tx, caller.name, "user", user.id, f"{caller.name} took in {email_key}.", after=user)
    return user


def change(tx: Tx, caller: Caller, id: str, patch: UserPatch, sessions: Sessions, *, if_match: str | None) -> User:
    """Change a person: name, groups, own scopes, preferences, and whether he may sign in; who may not is signed out everywhere.

    Raises NotFound, IfMatchMissing, Stale, Invalid, ScopeNotYours for who may do more than the caller, LastAdmin.
    """
    store.people.hold_people(tx)
    person = person_of(tx, id)
    before = user_of(tx, person.pk)
    must_match(if_match, model.tag(before))
    must_carry(caller, person.scopes)
    had_admin = store.people.has_admin(tx)
    values = {
        name: value
        for name in ("name", "is_active", "language", "theme", "has_shortcuts")
        if (value := getattr(patch, name)) is not UNSET and value != getattr(before, name)
    }
    if patch.scopes is not UNSET:
        scopes = frozenset(patch.scopes)
        must_carry(caller, scopes)
        if sorted(scopes) != before.scopes:
            values["scopes"] = written(scopes)
    if patch.groups is not UNSET:
        wanted = {group.id: group for group in named_groups(tx, patch.groups)}
        current = store.groups.groups_of(tx, person.pk)
        coming = [group for group in wanted.values() if group.id not in current]
        must_carry(caller, frozenset().union(*(group.carries for group in coming)))
        store.groups.join(tx, [(group.pk, person.pk) for group in coming])
        store.groups.leave(tx, [(group.pk, person.pk) for group in current.values() if group.id not in wanted])
    if values:
        store.people.set_members(tx, person.pk, values)
    if not patch.is_active and patch.is_active is not UNSET:
        sessions.end_all(tx, person.pk)
        store.sessions.end_all(tx, person.pk)
        store.codes.void(tx, person=person.pk)
    keep_an_admin(tx, had_admin)
    after = user_of(tx, person.pk)
    if after == before:
        return after
    renew(tx, [person.pk], sessions)
    tell_change(tx, caller, "user", person.id, f"{caller.name} changed {person.email}.", before, after)
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
    key = key_of(tx, before.id)
    store.people.set_members(tx, key, values)
    signal(tx, TOPIC)
    after = user_of(tx, key)
    note_change(tx, before.email, "user", before.id, f"{before.email} changed his own preferences.", before, after)
    return after


def one(tx: Tx, id: str) -> User:
    """One person as an admin sees it. Raises NotFound."""
    return user_of(tx, person_of(tx, id).pk)


def me(tx: Tx, person: int | None) -> User:
    """The person who asks, by key. Raises NotFound for a token that belongs to nobody."""
    found = None if person is None else store.people.shown(tx, person)
    if found is None:
        raise errors.NotFound("This token belongs to no person.")
    return found


def set_password(tx: Tx, caller: Caller, id: str, password: str, sessions: Sessions) -> None:
    """Give a person another password, hashed already, and end all sign-ins made with the old one. Raises NotFound, ScopeNotYours."""
    person = person_of(tx, id)
    # Otherwise whoever may write users could sign in as somebody who may do more.
    must_carry(caller, person.scopes)
    give_password(tx, person, password, sessions)
    tell_change(tx, caller, "user", person.id, f"{caller.name} set a new password for {person.email}.", code="user.password_set")


def change_own_password(tx: Tx, person: Person, password: str, sessions: Sessions) -> Person:
    """Give a person whose old password has just been checked another, hashed already; every sign-in ends, this one too.

    Raises SignInFailed when the old one has changed meanwhile.
    """
    if not store.people.note_sign_in(tx, person.pk, person.password, now(), person.signed_in_from):
        raise errors.SignInFailed
    give_password(tx, person, password, sessions)
    message = f"{person.email} chose another password."
    tell(tx, Entry(code="user.password_chosen", message=message, subject=person.id, actor=person.email))
    note_change(tx, person.email, "user", person.id, message)
    return person_of(tx, person.id)


def close_account(tx: Tx, person: int) -> None:
    """Sign a person out of every browser, for good, and take him out of every group. Raises LastAdmin."""
    store.people.hold_people(tx)
    had_admin = store.people.has_admin(tx)
    store.people.set_members(tx, person, {"is_active": False, "password": NO_PASSWORD, "scopes": "[]", "signed_in_from": ""})
    store.groups.leave(tx, [(group.pk, person) for group in store.groups.groups_of(tx, person).values()])
    store.sessions.end_all(tx, person)
    store.codes.void(tx, person=person)
    keep_an_admin(tx, had_admin)
    signal(tx, TOPIC)


def tidy(tx: Tx) -> None:
    """Forget codes and sessions whose time is over. Meant to run every few hours."""
    store.codes.tidy(tx, now())
    store.sessions.tidy(tx, now())


def give_password(tx: Tx, person: Person, password: str, sessions: Sessions) -> None:
    store.people.set_password(tx, person.pk, password)
    store.codes.void(tx, person=person.pk)
    sessions.end_all(tx, person.pk)
    store.sessions.end_all(tx, person.pk)
    signal(tx, TOPIC)


def keep_an_admin(tx: Tx, had_admin: bool) -> None:
    if had_admin and not store.people.has_admin(tx):
        raise errors.LastAdmin


def renew(tx: Tx, people: Iterable[int], sessions: Sessions) -> None:
    """Let what these people may do now count for the sign-ins they have."""
    sessions.carry(tx, store.people.carried(tx, people))
    signal(tx, TOPIC)


def tell_change(
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


def named_groups(tx: Tx, ids: Sequence[str]) -> list[GroupRow]:
    found = store.groups.rows(tx, ids)
    must_know("group", ids, found.keys(), "/groups")
    return list(found.values())


def must_know(kind: str, ids: Iterable[str], known: Iterable[str], pointer: str) -> None:
    unknown = sorted(one[:40] for one in {*ids} - {*known})
    if unknown:
        issues = [
            Issue(code=f"{kind}_unknown", message=f"There is no {kind} {one}.", params={"id": one}, pointer=pointer, blocks=True)
            for one in unknown
        ]
        raise errors.Invalid(issues[0].message, issues=issues)


def person_of(tx: Tx, id: str) -> Person:
    person = store.people.by_id(tx, id)
    if person is None:
        raise errors.NotFound
    return person


def key_of(tx: Tx, id: str) -> int:
    return store.people.keys_of(tx, [id])[id]


def user_of(tx: Tx, key: int) -> User:
    user = store.people.shown(tx, key)
    assert user is not None  # noqa: S101 - read or made in this transaction
    return user
