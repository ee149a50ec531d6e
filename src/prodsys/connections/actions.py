"""Add a connection, configure it, change it, switch it on, and remove it."""

from collections.abc import Sequence
from typing import Any

from prodsys import connectors, errors
from prodsys.connections import events, model, store
from prodsys.connections.model import ChangedConnection, Configuration, Connection, NewErpConnection, fault
from prodsys.connections.reaching import Systems
from prodsys.connections.standing import allowed, missing_of, note, shown
from prodsys.connections.steering import plan, task_of
from prodsys.connections.trials import Passed, kept_values, must_pass
from prodsys.exchange import links, outbox, timetable
from prodsys.kit.db import Tx
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.scopes import Caller


def listed_connectors() -> list[model.ConnectorShown]:
    """Every system we can connect to."""
    return [model.shown(name, connector) for name, connector in connectors.known().items()]


async def configure(systems: Systems, caller: Caller, id: str, given: Configuration, if_match: str | None) -> Connection:
    """Test a filled form and keep it when the test passes. Raises Invalid with every reason per field, NotFound, Stale."""
    kept = await systems.db.read(allowed, caller, id)
    must_match(if_match, etag(id, kept.version))
    passed = await must_pass(systems, kept.connector, given, kept)
    made = await systems.db.write(_configure, systems, caller, id, passed, if_match)
    systems.forget(kept.pk)
    return made


def change(tx: Tx, systems: Systems, caller: Caller, id: str, wanted: ChangedConnection, if_match: str | None) -> Connection:
    """Change name, description, scope or priority; that can always be saved. Raises NotFound, Stale, AlreadyExists, Invalid."""
    kept = allowed(tx, caller, id, lock=True)
    must_match(if_match, etag(id, kept.version))
    before = shown(tx, systems, kept)
    values: dict[str, Any] = {name: value for name in ("name", "description", "priority") if (value := getattr(wanted, name)) is not None}
    if wanted.scope is not None:
        values["is_for_everyone"] = wanted.scope == "everyone"
    if wanted.members is not None:
        _choose(tx, kept.pk, wanted.members)
    kept = store.connections.change(tx, kept, values)
    after = shown(tx, systems, kept)
    note(tx, caller, kept, f"{caller.name} changed the connection {kept.name}.", before, after)
    return after


def remove(tx: Tx, caller: Caller, id: str, if_match: str | None) -> None:
    """Forget a connection, its mappings, flows and links; nothing in either system changes. Raises NotFound, Stale."""
    kept = allowed(tx, caller, id, lock=True)
    must_match(if_match, etag(id, kept.version))
    for flow in store.flows.flows_of(tx, kept.pk):
        timetable.drop(tx, task_of(flow.id))
    outbox.withdraw_lane(tx, events.lane_of(kept.id))
    links.drop(tx, kept.pk)
    store.connections.remove(tx, kept)
    note(tx, caller, kept, f"{caller.name} removed the connection {kept.name}.", {"name": kept.name}, None)


def switch(tx: Tx, systems: Systems, caller: Caller, id: str, *, on: bool) -> Connection:
    """Activate a connection, or let it rest. Raises Invalid with everything that stands against activating it, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    if on and (missing := missing_of(tx, systems, kept)):
        raise errors.Invalid("The connection cannot be activated yet.", issues=missing)
    if kept.is_active != on:
        kept = store.connections.change(tx, kept, {"is_active": on})
        for flow in store.flows.flows_of(tx, kept.pk):
            plan(tx, flow, kept)
        if on:
            outbox.probe_soon(tx, events.lane_of(kept.id))
        what = f"{caller.name} {'activated' if on else 'deactivated'} the connection {kept.name}."
        note(tx, caller, kept, what, {"is_active": not on}, {"is_active": on})
    return shown(tx, systems, kept)


def create(tx: Tx, systems: Systems, caller: Caller, new: NewErpConnection, passed: Passed | None) -> Connection:
    """Make a connection; what has passed its test is kept with it. Raises AlreadyExists, Invalid for members nobody knows."""
    values: dict[str, Any] = {
        "name": new.name.strip(),
        "description": new.description,
        "connector": new.connector,
        "is_for_everyone": new.scope == "everyone",
        "created_by": caller.name,
    }
    kept = store.connections.put(tx, values | (kept_values(systems, passed) if passed is not None else {}))
    _choose(tx, kept.pk, new.members)
    made = shown(tx, systems, kept)
    note(tx, caller, kept, f"{caller.name} added the connection {kept.name}.", None, made)
    tell(
        tx, Entry(code="connection.created", message=f"{caller.name} added the connection {kept.name}.", subject=kept.id, actor=caller.name)
    )
    return made


def _configure(tx: Tx, systems: Systems, caller: Caller, id: str, passed: Passed, if_match: str | None) -> Connection:
    kept = allowed(tx, caller, id, lock=True)
    must_match(if_match, etag(id, kept.version))
    before = shown(tx, systems, kept)
    kept = store.connections.change(tx, kept, kept_values(systems, passed))
    outbox.probe_soon(tx, events.lane_of(kept.id))
    after = shown(tx, systems, kept)
    note(tx, caller, kept, f"{caller.name} configured the connection {kept.name}.", before, after)
    return after


def _choose(tx: Tx, connection: int, members: Sequence[str]) -> None:
    if strangers := store.members.set_members(tx, connection, members):
        issues = [fault("member_unknown", f"There is no user or group {one[:40]}.", "/members") for one in strangers]
        raise errors.Invalid("Not everybody chosen is known here.", issues=issues)
