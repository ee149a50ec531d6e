"""Who may use a connection that is not for everyone."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, insert, select

from prodsys.kit.db import Tx, in_texts
from prodsys.tables import connection_members, group_members, user_groups, users


def groups_of(person: int) -> Any:
    """The ids of the groups a person is in."""
    return (
        select(user_groups.c.id).join(group_members, group_members.c.user_group == user_groups.c.pk).where(group_members.c.person == person)
    )


def members_of(tx: Tx, of: Collection[int]) -> dict[int, list[str]]:
    """The users and groups chosen for connections."""
    m = connection_members.c
    found: dict[int, list[str]] = {}
    for row in tx.execute(select(m.connection, m.member).where(m.connection.in_(of)).order_by(m.member)):
        found.setdefault(row.connection, []).append(row.member)
    return found


def set_members(tx: Tx, connection: int, members: Collection[str]) -> list[str]:
    """Choose who may use a connection; those among them that are neither a user nor a group are given back and left out."""
    wanted = list(dict.fromkeys(members))
    known = {
        row.id
        for table in (users, user_groups)
        for row in tx.execute(select(table.c.id).where(in_texts(table.c.id, "ids")), {"ids": wanted})
    }
    tx.execute(delete(connection_members).where(connection_members.c.connection == connection))
    if kept := [one for one in wanted if one in known]:
        tx.execute(insert(connection_members), [{"connection": connection, "member": one} for one in kept])
    return [one for one in wanted if one not in known]
