"""The rows of groups, and of who is in them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, literal_column, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new
from prodsys.kit.ids import new_id
from prodsys.scopes import Role, Scope
from prodsys.tables import group_members, user_groups, users
from prodsys.users.model import Group, Member, scopes_of_group
from prodsys.users.store.scopes import known, read_scopes, written

_MEMBERS_SHOWN = 500
_NO_END: ColumnElement[int] = literal_column("9223372036854775807")


class GroupRow(msgspec.Struct, frozen=True, kw_only=True):
    """A group as the rules need it; `carries` is what it gives its members."""

    pk: int
    id: str
    name: str
    role: Role | None
    scopes: frozenset[Scope]
    carries: frozenset[Scope]


_others = group_members.alias("others")
_theirs = _others.c.user_group == user_groups.c.pk
_last_shown = (
    select(_others.c.person)
    .where(_theirs)
    .order_by(_others.c.person)
    .offset(literal_column(str(_MEMBERS_SHOWN - 1)))
    .limit(literal_column("1"))
    .scalar_subquery()
)
_first_members = hot(
    select(user_groups.c.pk.label("user_group"), users.c.pk, users.c.id, users.c.email, users.c.name, users.c.is_active)
    .join_from(
        user_groups,
        group_members,
        and_(group_members.c.user_group == user_groups.c.pk, group_members.c.person <= func.coalesce(_last_shown, _NO_END)),
    )
    .join(users, users.c.pk == group_members.c.person)
    .where(in_ints(user_groups.c.pk, "groups"))
)
_member_counts = hot(
    select(user_groups.c.pk, select(func.count()).select_from(_others).where(_theirs).scalar_subquery().label("many")).where(
        in_ints(user_groups.c.pk, "groups")
    )
)


def put(tx: Tx, *, name: str, role: Role | None, scopes: Iterable[Scope]) -> str | None:
    """Insert a group; its public id, or None when the name is taken."""
    row = {
        "id": new_id("gr"),
        "name": name,
        "name_key": name.casefold(),
        "role": role or "",
        "scopes": written(scopes),
        "created_at": now(),
    }
    return str(row["id"]) if insert_new(tx, user_groups, row) else None


def rows(tx: Tx, ids: Sequence[str]) -> dict[str, GroupRow]:
    """The groups with these public ids, as far as there are such."""
    found = tx.execute(select(user_groups).where(in_texts(user_groups.c.id, "ids")), {"ids": list(ids)})
    return {row.id: _group_row(row) for row in found}


def ids(tx: Tx) -> dict[str, str]:
    """Public ids of all groups by casefolded name."""
    return {row.name_key: row.id for row in tx.execute(select(user_groups.c.name_key, user_groups.c.id))}


def groups_of(tx: Tx, person: int) -> dict[str, GroupRow]:
    """The groups a person is in, by public id."""
    query = select(user_groups).join(group_members, group_members.c.user_group == user_groups.c.pk).where(group_members.c.person == person)
    return {row.id: _group_row(row) for row in tx.execute(query)}


def members_of(tx: Tx, group: int) -> list[int]:
    """Keys of the people in a group."""
    return list(tx.execute(select(group_members.c.person).where(group_members.c.user_group == group)).scalars())


def change(tx: Tx, group: int, *, name: str, role: Role | None, scopes: Iterable[Scope]) -> None:
    """Write a group. IntegrityError when the name is another's."""
    values = {"name": name, "name_key": name.casefold(), "role": role or "", "scopes": written(scopes)}
    tx.execute(update(user_groups).where(user_groups.c.pk == group).values(**values, version=user_groups.c.version + 1))


def is_name_taken(tx: Tx, name: str, but: int) -> bool:
    """Whether another group has this name."""
    found = select(user_groups.c.pk).where(user_groups.c.name_key == name.casefold(), user_groups.c.pk != but)
    return tx.execute(found).first() is not None


def remove(tx: Tx, group: int) -> None:
    """Delete a group; its members are in it no more."""
    tx.execute(delete(group_members).where(group_members.c.user_group == group))
    tx.execute(delete(user_groups).where(user_groups.c.pk == group))


def join(tx: Tx, pairs: Iterable[tuple[int, int]]) -> None:
    """Put people into groups: (group, person) each; who is in stays in."""
    for group, person in sorted(pairs):
        insert_new(tx, group_members, {"user_group": group, "person": person})


def leave(tx: Tx, pairs: Iterable[tuple[int, int]]) -> None:
    """Take people out of groups: (group, person) each."""
    for group, person in sorted(pairs):
        tx.execute(delete(group_members).where(group_members.c.user_group == group, group_members.c.person == person))


def listed(tx: Tx, *, limit: int, after: str | None = None) -> list[tuple[str, Group]]:
    """Groups by name, each with the key of its name."""
    query = select(user_groups).order_by(user_groups.c.name_key).limit(limit)
    if after is not None:
        query = query.where(user_groups.c.name_key > after)
    rows = tx.execute(query).all()
    return [(row.name_key, group) for row, group in zip(rows, _groups(tx, rows), strict=True)]


def shown(tx: Tx, id: str) -> Group | None:
    """One group with its members."""
    found = _groups(tx, tx.execute(select(user_groups).where(user_groups.c.id == id)).all())
    return found[0] if found else None


def _groups(tx: Tx, rows: Sequence[Any]) -> list[Group]:
    members: dict[int, list[Member]] = {row.pk: [] for row in rows}
    for one in sorted(_first_members.all(tx, {"groups": list(members)}), key=lambda member: (member.name, member.pk)):
        members[one.user_group].append(Member(id=one.id, email=one.email, name=one.name, is_active=bool(one.is_active)))
    counts = {row.pk: row.many for row in _member_counts.all(tx, {"groups": list(members)})}
    return [
        Group(
            id=row.id,
            name=row.name,
            role=row.role or None,
            scopes=read_scopes(row.scopes),
            carries=sorted(_group_row(row).carries),
            members=members[row.pk],
            member_count=counts.get(row.pk, 0),
            version=row.version,
        )
        for row in rows
    ]


def _group_row(row: Any) -> GroupRow:
    scopes = known(row.scopes)
    role = row.role or None
    return GroupRow(pk=row.pk, id=row.id, name=row.name, role=role, scopes=scopes, carries=scopes_of_group(role, scopes))
