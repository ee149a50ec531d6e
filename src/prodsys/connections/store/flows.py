"""Flows as they are kept."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, insert, or_, select, update

from prodsys import errors
from prodsys.connections.model import Flow, FlowSettings
from prodsys.connections.store.members import groups_of
from prodsys.connectors._base import Direction
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.tables import connection_members, connections, flow_cursors, flow_runs, flows, run_records, users

_read_settings = msgspec.json.Decoder(FlowSettings).decode


class KeptFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as it is kept, with its connections' keys."""

    pk: int
    id: str
    connection: int
    other: int | None
    kind: str
    direction: Direction
    trigger: str
    every_seconds: int
    settings: FlowSettings
    is_on: bool
    run_lease_until: dt.datetime | None
    version: int


_flow_columns = [flows.c[name] for name in KeptFlow.__struct_fields__]


def put(tx: Tx, values: Mapping[str, Any]) -> KeptFlow:
    """Make a flow."""
    made = new_id("fl")
    settings = msgspec.json.encode(values["settings"]).decode()
    tx.execute(insert(flows).values(**{**values, "settings": settings, "id": made, "created_at": now()}))
    return flow(tx, made)


def change(tx: Tx, pk: int, values: Mapping[str, Any]) -> None:
    """Change a flow."""
    settings = {"settings": msgspec.json.encode(values["settings"]).decode()} if "settings" in values else {}
    tx.execute(update(flows).where(flows.c.pk == pk).values(**{**values, **settings, "version": flows.c.version + 1}))


def remove(tx: Tx, pk: int) -> None:
    """Forget a flow and its runs."""
    of = select(flow_runs.c.pk).where(flow_runs.c.flow == pk)
    tx.execute(delete(run_records).where(run_records.c.run.in_(of)))
    tx.execute(delete(flow_runs).where(flow_runs.c.flow == pk))
    tx.execute(delete(flow_cursors).where(flow_cursors.c.flow == pk))
    tx.execute(delete(flows).where(flows.c.pk == pk))


def flow(tx: Tx, id: str) -> KeptFlow:
    """A flow by its id. Raises NotFound."""
    row = tx.execute(select(*_flow_columns).where(flows.c.id == id)).first()
    if row is None:
        raise no_flow(id)
    return _flow(row)


def no_flow(id: str) -> errors.NotFound:
    """The same for a flow that is not there, and for one of a connection that is not for whoever asks."""
    return errors.NotFound(f"There is no flow {id[:40]} that you may use; GET /flows lists those you may.")


def flows_of(tx: Tx, connection: int) -> list[KeptFlow]:
    """The flows of a connection, in the order they were made."""
    return [_flow(row) for row in tx.execute(select(*_flow_columns).where(flows.c.connection == connection).order_by(flows.c.pk))]


def every(tx: Tx, *, person: int | None, after: int, limit: int) -> list[KeptFlow]:
    """Every flow of the connections a person may use."""
    query = (
        select(*_flow_columns)
        .join(connections, connections.c.pk == flows.c.connection)
        .where(flows.c.pk > after)
        .order_by(flows.c.pk)
        .limit(limit)
    )
    if person is not None:
        mine = select(users.c.id).where(users.c.pk == person).union(groups_of(person))
        chosen = select(connection_members.c.connection).where(connection_members.c.member.in_(mine))
        query = query.where(or_(connections.c.is_for_everyone, connections.c.pk.in_(chosen)))
    return [_flow(row) for row in tx.execute(query)]


def on_event(tx: Tx, kind: str) -> list[KeptFlow]:
    """The flows that carry a kind out of our books as it happens, whose connections are active."""
    query = select(*_flow_columns).join(connections, connections.c.pk == flows.c.connection)
    query = query.where(
        flows.c.kind == kind,
        flows.c.direction == "out",
        flows.c.trigger == "event",
        flows.c.is_on,
        connections.c.is_active,
        flows.c.other.is_(None),
    )
    return [_flow(row) for row in tx.execute(query.order_by(connections.c.priority, flows.c.pk))]


def _flow(row: Any) -> KeptFlow:
    values = {name: getattr(row, name) for name in KeptFlow.__struct_fields__}
    return KeptFlow(**values | {"settings": _read_settings(row.settings)})


def shown(kept: KeptFlow, named: Mapping[int, tuple[str, str]], **more: Any) -> Flow:
    """A flow as it is shown."""
    here = named[kept.connection]
    there = named.get(kept.other) if kept.other is not None else None
    is_running = kept.run_lease_until is not None and kept.run_lease_until > now()
    return Flow(
        id=kept.id, connection=here[0], connection_name=here[1], other=there[0] if there else None, other_name=there[1] if there else None,
        kind=kept.kind, direction=kept.direction, trigger=kept.trigger, every_seconds=kept.every_seconds, settings=kept.settings,  # type: ignore[arg-type]  # texts the database keeps, checked on their way in
        is_on=kept.is_on, is_running=is_running, version=kept.version, **more,
    )  # fmt: skip
