"""Groups: what they give to the people in them."""

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from prodsys import errors
from prodsys.kit.db import Tx
from prodsys.kit.granting import must_carry
from prodsys.kit.states import must_match
from prodsys.scopes import CONSOLE, Caller, Role, Scope
from prodsys.users import model, store
from prodsys.users.actions import keep_an_admin, must_know, person_of, renew, tell_change
from prodsys.users.model import FIRST_GROUPS, Group, GroupPatch, Sessions
from prodsys.users.store.groups import GroupRow


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
    public_id = store.groups.put(tx, name=name.strip(), role=role, scopes=scopes)
    if public_id is None:
        raise errors.AlreadyExists(f"There is a group {name} already.")
    row = store.groups.rows(tx, [public_id])[public_id]
    store.groups.join(tx, [(row.pk, person) for person in people])
    if sessions is not None:
        renew(tx, people, sessions)
    made = group(tx, public_id)
    tell_change(tx, caller, "group", public_id, f"{caller.name} made the group {made.name}.", after=made, code="group.created")
    return made


def group(tx: Tx, id: str) -> Group:
    """One group with its members. Raises NotFound."""
    found = store.groups.shown(tx, id)
    if found is None:
        raise errors.NotFound
    return found


def change_group(tx: Tx, caller: Caller, id: str, patch: GroupPatch, sessions: Sessions, *, if_match: str | None) -> Group:
    """Change a group: its name, what its members may do, and who they are.

    Raises NotFound, IfMatchMissing, Stale, AlreadyExists, Invalid, ScopeNotYours, LastAdmin.
    """
    store.people.hold_people(tx)
    row, before = _group_row(tx, id), group(tx, id)
    must_match(if_match, model.group_tag(before))
    had_admin = store.people.has_admin(tx)
    name = row.name if patch.name is UNSET else patch.name.strip()
    role = row.role if patch.role is UNSET else patch.role
    scopes = row.scopes if patch.scopes is UNSET else frozenset(patch.scopes)
    must_carry(caller, row.carries | model.scopes_of_group(role, scopes))
    concerned = set(store.groups.members_of(tx, row.pk))
    if (name, role, scopes) != (row.name, row.role, row.scopes):
        if store.groups.is_name_taken(tx, name, row.pk):
            raise errors.AlreadyExists(f"There is a group {name} already.")
        store.groups.change(tx, row.pk, name=name, role=role, scopes=scopes)
    if patch.members is not UNSET:
        wanted = set(_named_people(tx, patch.members))
        store.groups.join(tx, [(row.pk, person) for person in wanted - concerned])
        store.groups.leave(tx, [(row.pk, person) for person in concerned - wanted])
        concerned |= wanted
    return _group_changed(tx, caller, before, concerned, had_admin, sessions)


def add_member(tx: Tx, caller: Caller, id: str, user: str, sessions: Sessions) -> Group:
    """Put a person into a group; who is in stays in. Raises NotFound, ScopeNotYours."""
    row, before, person = _group_row(tx, id), group(tx, id), person_of(tx, user)
    must_carry(caller, row.carries)
    store.groups.join(tx, [(row.pk, person.pk)])
    return _group_changed(tx, caller, before, [person.pk], False, sessions)


def remove_member(tx: Tx, caller: Caller, id: str, user: str, sessions: Sessions) -> Group:
    """Take a person out of a group. Raises NotFound, ScopeNotYours, LastAdmin."""
    store.people.hold_people(tx)
    row, before, person = _group_row(tx, id), group(tx, id), person_of(tx, user)
    must_carry(caller, row.carries)
    had_admin = store.people.has_admin(tx)
    store.groups.leave(tx, [(row.pk, person.pk)])
    return _group_changed(tx, caller, before, [person.pk], had_admin, sessions)


def delete_group(tx: Tx, caller: Caller, id: str, sessions: Sessions) -> None:
    """Delete a group; its members lose what it gave them. Raises NotFound, ScopeNotYours, LastAdmin."""
    store.people.hold_people(tx)
    row, before = _group_row(tx, id), group(tx, id)
    must_carry(caller, row.carries)
    had_admin = store.people.has_admin(tx)
    concerned = store.groups.members_of(tx, row.pk)
    store.groups.remove(tx, row.pk)
    keep_an_admin(tx, had_admin)
    renew(tx, concerned, sessions)
    tell_change(tx, caller, "group", id, f"{caller.name} deleted the group {row.name}.", before, code="group.deleted")


def groups_by_role(tx: Tx, roles: Iterable[Role]) -> list[str]:
    """Ids of the groups that have these roles and nothing else to give; those a new instance begins with are made when missing."""
    known = {group.role: group.id for _, group in reversed(store.groups.listed(tx, limit=500)) if group.role and not group.scopes}
    names = {role: name for name, role in FIRST_GROUPS.items()}
    return [known.get(role) or create_group(tx, CONSOLE, name=names[role], role=role).id for role in roles]


def _group_changed(tx: Tx, caller: Caller, before: Group, people: Iterable[int], had_admin: bool, sessions: Sessions) -> Group:
    keep_an_admin(tx, had_admin)
    after = group(tx, before.id)
    if after != before:
        renew(tx, people, sessions)
        tell_change(tx, caller, "group", after.id, f"{caller.name} changed the group {after.name}.", before, after)
    return after


def _named_people(tx: Tx, ids: Sequence[str]) -> list[int]:
    found = store.people.keys_of(tx, ids)
    must_know("user", ids, found.keys(), "/members")
    return list(found.values())


def _group_row(tx: Tx, id: str) -> GroupRow:
    row = store.groups.rows(tx, [id]).get(id)
    if row is None:
        raise errors.NotFound
    return row
