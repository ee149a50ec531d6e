"""Connections as they are kept, and who may use each."""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, or_, select, update

from prodsys import errors
from prodsys.connections.model import name_key
from prodsys.connections.store.flows import remove as remove_flow
from prodsys.connections.store.members import groups_of
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, insert_new
from prodsys.kit.ids import new_id
from prodsys.tables import connection_members, connections, field_mappings, flows, grants, list_entries, shelf, users


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as it is kept."""

    pk: int
    id: str
    name: str
    description: str
    connector: str
    config: str
    secrets: str | None
    config_digest: str
    is_for_everyone: bool
    is_active: bool
    priority: int
    grant: int | None
    checks: str | None
    tested_at: dt.datetime | None
    created_at: dt.datetime
    changed_at: dt.datetime
    version: int


_kept_columns = [connections.c[name] for name in Kept.__struct_fields__]


def may_use(tx: Tx, connection: Kept, person: int | None) -> bool:
    """Whether a person may use a connection: it is for everyone, or he or one of his groups is chosen. Programs may use all."""
    if connection.is_for_everyone or person is None:
        return True
    mine = select(users.c.id).where(users.c.pk == person).union(groups_of(person))
    m = connection_members.c
    chosen = select(m.member).where(m.connection == connection.pk, m.member.in_(mine)).limit(1)
    return tx.execute(chosen).first() is not None


def one(tx: Tx, id: str, *, lock: bool = False) -> Kept:
    """A connection by its id. Raises NotFound."""
    query = select(*_kept_columns).where(connections.c.id == id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise no_connection(id)
    return _kept(row)


def no_connection(id: str) -> errors.NotFound:
    """The same for a connection that is not there, and for one that is not for whoever asks."""
    return errors.NotFound(f"There is no connection {id[:40]} that you may use; GET /connections lists those you may.")


def by_key(tx: Tx, pk: int) -> Kept:
    """A connection by its key. Raises NotFound."""
    row = tx.execute(select(*_kept_columns).where(connections.c.pk == pk)).first()
    if row is None:
        raise errors.NotFound
    return _kept(row)


def of_connector(tx: Tx, connector: str) -> list[Kept]:
    """Every connection of one connector; few, as an admin makes each of them."""
    return [_kept(row) for row in tx.execute(select(*_kept_columns).where(connections.c.connector == connector).order_by(connections.c.pk))]


def page(tx: Tx, *, person: int | None, after: int, limit: int) -> list[Kept]:
    """Connections in the order they were made, those alone that a person may use."""
    query = select(*_kept_columns).where(connections.c.pk > after).order_by(connections.c.pk).limit(limit)
    if person is not None:
        mine = select(users.c.id).where(users.c.pk == person).union(groups_of(person))
        chosen = select(connection_members.c.connection).where(connection_members.c.member.in_(mine))
        query = query.where(or_(connections.c.is_for_everyone, connections.c.pk.in_(chosen)))
    return [_kept(row) for row in tx.execute(query)]


def _kept(row: Any) -> Kept:
    return Kept(**{name: getattr(row, name) for name in Kept.__struct_fields__})


def put(tx: Tx, values: Mapping[str, Any]) -> Kept:
    """Make a connection. Raises AlreadyExists when its name is taken."""
    at = now()
    row = {"id": new_id("cn"), "name_key": name_key(values["name"]), "created_at": at, "changed_at": at, **values}
    if not insert_new(tx, connections, row):
        raise errors.AlreadyExists(f"There is a connection {values['name']} already; give this one another name.")
    return one(tx, row["id"])


def change(tx: Tx, kept: Kept, values: Mapping[str, Any]) -> Kept:
    """Change a connection. Raises AlreadyExists when its new name is taken."""
    named = {"name_key": name_key(values["name"])} if "name" in values else {}
    if named and (other := tx.execute(select(connections.c.pk).where(connections.c.name_key == named["name_key"])).scalar()) not in (
        None,
        kept.pk,
    ):
        del other
        raise errors.AlreadyExists(f"There is a connection {values['name']} already; give this one another name.")
    tx.execute(
        update(connections)
        .where(connections.c.pk == kept.pk)
        .values(**values, **named, changed_at=now(), version=connections.c.version + 1)
    )
    return one(tx, kept.id)


def remove(tx: Tx, kept: Kept) -> None:
    """Forget a connection with everything of it but its links, which the caller has dropped."""
    of = [row.pk for row in tx.execute(select(flows.c.pk).where(or_(flows.c.connection == kept.pk, flows.c.other == kept.pk)))]
    for flow in of:
        remove_flow(tx, flow)
    for table in (list_entries, field_mappings, shelf, connection_members):
        tx.execute(delete(table).where(table.c.connection == kept.pk))
    tx.execute(delete(connections).where(connections.c.pk == kept.pk))
    if kept.grant is not None:
        tx.execute(delete(grants).where(grants.c.pk == kept.grant))


def names(tx: Tx, keys: Collection[int]) -> dict[int, tuple[str, str]]:
    """Id and name of connections, by key."""
    rows = tx.execute(select(connections.c.pk, connections.c.id, connections.c.name).where(connections.c.pk.in_(keys)))
    return {row.pk: (row.id, row.name) for row in rows}
