"""Set flows up, let them run, and settle what their runs did not take over."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connections import events, model, store
from prodsys.connections.flows import Busy, Flows
from prodsys.connections.model import ChangedFlow, Flow, NewFlow, fault
from prodsys.connections.reaching import connector_of, read_form
from prodsys.connections.standing import allowed, flow_issues, note
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.flows import KeptFlow
from prodsys.exchange import links, mapping, outbox, timetable
from prodsys.kit.db import Database, Tx
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on
from prodsys.scopes import Caller

HAND_ONLY = dt.timedelta(days=3650)
EVENT_EVERY = dt.timedelta(seconds=10)
"""How often our own books are looked at for a flow by event of what they cannot tell in the same transaction."""

_TRIES, _A_MOMENT = 45, 2.0


def create_flow(tx: Tx, caller: Caller, id: str, new: NewFlow) -> Flow:
    """Set up a flow. Raises Invalid with everything that speaks against it, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    other = allowed(tx, caller, new.other) if new.other else None
    must_be_sound(kept, other, new)
    made = store.flows.put(
        tx,
        {
            "connection": kept.pk,
            "other": other.pk if other is not None else None,
            "kind": new.kind,
            "direction": new.direction,
            "trigger": new.trigger,
            "every_seconds": new.every_seconds,
            "settings": new.settings,
            "is_on": new.is_on,
            "created_by": caller.name,
        },
    )
    plan(tx, made, kept)
    after = flow_shown(tx, made)
    note(tx, caller, kept, f"{caller.name} set up a flow of {new.kind.replace('_', ' ')} with {kept.name}.", None, after, subject=made.id)
    return after


def change_flow(tx: Tx, caller: Caller, id: str, wanted: ChangedFlow, if_match: str | None) -> Flow:
    """Change a flow. Raises Invalid, NotFound, Stale."""
    flow, kept = flow_allowed(tx, caller, id)
    must_match(if_match, etag(id, flow.version))
    before = flow_shown(tx, flow)
    values = {name: value for name in ChangedFlow.__struct_fields__ if (value := getattr(wanted, name)) is not None}
    other = store.connections.by_key(tx, flow.other) if flow.other is not None else None
    as_new = NewFlow(
        kind=flow.kind,  # type: ignore[arg-type]  # kept as it was checked
        direction=flow.direction,
        trigger=values.get("trigger", flow.trigger),
        every_seconds=values.get("every_seconds", flow.every_seconds),
        settings=values.get("settings", flow.settings),
        is_on=values.get("is_on", flow.is_on),
    )
    must_be_sound(kept, other, as_new)
    store.flows.change(tx, flow.pk, values)
    flow = store.flows.flow(tx, id)
    plan(tx, flow, kept)
    after = flow_shown(tx, flow)
    note(tx, caller, kept, f"{caller.name} changed a flow of {flow.kind.replace('_', ' ')} with {kept.name}.", before, after, subject=id)
    return after


def remove_flow(tx: Tx, caller: Caller, id: str, if_match: str | None) -> None:
    """Forget a flow and its history; what it linked stays linked. Raises NotFound, Stale."""
    flow, kept = flow_allowed(tx, caller, id)
    must_match(if_match, etag(id, flow.version))
    before = flow_shown(tx, flow)
    timetable.drop(tx, task_of(id))
    store.flows.remove(tx, flow.pk)
    note(tx, caller, kept, f"{caller.name} removed a flow of {flow.kind.replace('_', ' ')} with {kept.name}.", before, None, subject=id)


def flow_allowed(tx: Tx, caller: Caller, id: str) -> tuple[KeptFlow, Kept]:
    """A flow, and its connection, that the caller may use. Raises NotFound."""
    flow = store.flows.flow(tx, id)
    kept = store.connections.by_key(tx, flow.connection)
    if not store.connections.may_use(tx, kept, caller.person):
        raise store.flows.no_flow(id)
    return flow, kept


def flow_shown(tx: Tx, flow: KeptFlow) -> Flow:
    """A flow as it is shown."""
    return flows_shown(tx, [flow])[0]


def flows_shown(tx: Tx, listed: Sequence[KeptFlow]) -> list[Flow]:
    """Flows as they are shown, each with its newest run."""
    named = store.connections.names(tx, {key for one in listed for key in (one.connection, one.other) if key is not None})
    runs = store.runs.last_runs(tx, [one.pk for one in listed])
    return [
        store.flows.shown(one, named, last_run=runs.get(one.pk), read_since=links.cursor(tx, one.pk).since, missing=flow_issues(tx, one))
        for one in listed
    ]


def begin_again(tx: Tx, caller: Caller, id: str) -> Flow:
    """Let a flow read everything from the beginning; what has not changed is recognised and left. Raises NotFound."""
    flow, kept = flow_allowed(tx, caller, id)
    links.begin_again(tx, flow.pk)
    note(
        tx,
        caller,
        kept,
        f"{caller.name} let the flow of {flow.kind.replace('_', ' ')} with {kept.name} begin again.",
        None,
        None,
        subject=id,
    )
    return flow_shown(tx, flow)


def import_soon(tx: Tx, caller: Caller, id: str, kinds: Sequence[str]) -> list[Flow]:
    """Bring existing records in once, now: a flow by hand for each kind that has none yet. Raises Invalid, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    if not kept.is_active:
        raise errors.WrongState(f"The connection {kept.name} is not active, so nothing comes in; activate it first.")
    there = {flow.kind: flow for flow in store.flows.flows_of(tx, kept.pk) if flow.direction == "in" and flow.other is None}
    made = []
    for kind in dict.fromkeys(kinds):
        if kind not in there:
            new = msgspec.convert({"kind": kind, "direction": "in"}, NewFlow)
            there[kind] = store.flows.flow(tx, create_flow(tx, caller, id, new).id)
        run_soon(tx, there[kind], kept, caller.name)
        made.append(flow_shown(tx, there[kind]))
    return made


def run_soon(tx: Tx, flow: KeptFlow, kept: Kept, by: str) -> None:
    """Let the timetable run a flow now, in the name of whoever asked for it."""
    plan(tx, flow, kept)
    timetable.hurry(tx, task_of(flow.id), f"{flow.id} {by}")


def run_now(tx: Tx, caller: Caller, id: str) -> Flow:
    """Let a flow run now; what waits because its system could not be reached is tried again too.

    Raises NotFound, WrongState with what has to be switched on first.
    """
    flow, kept = flow_allowed(tx, caller, id)
    other = store.connections.by_key(tx, flow.other) if flow.other is not None else None
    if not is_on(tx, ERP_MODULE):
        raise errors.WrongState("The module ERP connections is switched off, so no flow runs; switch it on under Admin > Extensions.")
    if not flow.is_on:
        raise errors.WrongState("This flow is switched off; switch it on, then let it run.")
    for one in (kept, other):
        if one is not None and not one.is_active:
            raise errors.WrongState(f"The connection {one.name} is not active, so its flows do not run; activate it first.")
    run_soon(tx, flow, kept, caller.name)
    outbox.probe_soon(tx, events.lane_of(kept.id))
    tell(tx, Entry(code="flow.asked_for", message=f"{caller.name} let the flow run now.", subject=id, actor=caller.name))
    return flow_shown(tx, flow)


def flows_of(tx: Tx, caller: Caller, id: str) -> list[Flow]:
    """The flows of a connection. Raises NotFound."""
    return flows_shown(tx, store.flows.flows_of(tx, allowed(tx, caller, id).pk))


def runs_of(tx: Tx, caller: Caller, id: str, *, before: int | None, limit: int) -> list[tuple[int, model.Run]]:
    """The runs of a flow, newest first, with their keys. Raises NotFound."""
    flow, _ = flow_allowed(tx, caller, id)
    return store.runs.runs_of(tx, flow.pk, before=before, limit=limit)


def run_allowed(tx: Tx, caller: Caller, id: str) -> tuple[int, model.Run]:
    """A run of a flow the caller may see, with its key. Raises NotFound."""
    found = store.runs.run(tx, id)
    flow_allowed(tx, caller, found[1].flow)
    return found


def records_of(tx: Tx, caller: Caller, id: str, *, after: int, limit: int) -> list[tuple[int, model.RunRecord]]:
    """What a run did not take over, with keys. Raises NotFound."""
    return store.runs.records_of(tx, run_allowed(tx, caller, id)[0], after=after, limit=limit)


def told_before(tx: Tx, caller: Caller, id: str) -> int:
    """How many records a run refused in the same words as a run before it, which names them. Raises NotFound."""
    key, found = run_allowed(tx, caller, id)
    return max(found.refused + found.unknown - store.runs.how_many_records(tx, key), 0)


async def retry(db: Database, runner: Flows, caller: Caller, id: str, given: dict[str, str]) -> model.RunRecord:
    """Take a record over once more, with what a person has filled in. Raises NotFound, WrongState, Invalid while it still cannot be."""

    def asked(tx: Tx) -> tuple[Any, str]:
        row, run = store.runs.record(tx, id)
        return row, run_allowed(tx, caller, run)[1].flow

    row, flow = await db.read(asked)
    if row.settled_at is not None:
        raise errors.WrongState("This record has been taken over already; there is nothing left to do.")
    if row.source is None or not row.record:
        raise errors.WrongState("What was to be taken over is not kept any more; run the flow again.")
    issues = await runner.once_more(flow, row.record, row.source, given)
    await db.write(store.runs.settle_record, id, issues)
    if issues:
        raise errors.Invalid("The record still cannot be taken over.", issues=issues)
    return await db.read(store.runs.shown_record, id)


def is_going(tx: Tx, flow: Flow) -> bool:
    """Whether a run of a flow is under way, or about to begin."""
    return flow.is_running or timetable.is_at_hand(tx, task_of(flow.id))


def tasks(db: Database, runner: Flows) -> dict[str, Any]:
    """What this room does by the clock, by kind of task."""

    async def run(subject: str) -> None:
        flow, _, by = subject.partition(" ")
        if by:
            # Only this one run is his.
            await db.write(timetable.rename, task_of(flow), flow)
        with contextlib.suppress(errors.NotFound):
            # Whoever ran it before may have died: his lease ends by itself.
            for _ in range(_TRIES):
                if await runner.run(flow, actor=by or "timetable") is not Busy:
                    return
                await asyncio.sleep(_A_MOMENT)

    return {events.FLOW: run}


def task_of(flow: str) -> str:
    """What names a flow on the timetable."""
    return f"{events.FLOW}:{flow}"


def must_be_sound(kept: Kept, other: Kept | None, new: NewFlow) -> None:
    """Raises Invalid with everything that speaks against a flow."""
    issues = model.flow_faults(_end(kept), _end(other) if other is not None else None, new)
    if other is not None and other.pk == kept.pk:
        issues.append(fault("same_connection", "A flow leads from one system to another.", "/other"))
    if new.settings.condition and (why := mapping.condition_fault(new.settings.condition)):
        issues.append(fault("condition_invalid", f"The condition cannot be used: {why}", "/settings/condition"))
    if issues:
        raise errors.Invalid("The flow cannot be set up like this.", issues=issues)


def _end(kept: Kept) -> model.End:
    return connector_of(kept.connector), read_form(kept.config)


def plan(tx: Tx, flow: KeptFlow, kept: Kept) -> None:
    """Put a flow on the timetable as its trigger says; what runs by hand only is there, and not due."""
    if not (flow.is_on and kept.is_active):
        timetable.drop(tx, task_of(flow.id))
        return
    # Planned anew, because a task that is there keeps the moment of its next run.
    timetable.drop(tx, task_of(flow.id))
    # What our books tell at once needs no clock; run by hand, such a flow sends what has not left.
    by_hand = flow.trigger == "hand" or events.is_told_at_once(flow)
    every = HAND_ONLY if by_hand else EVENT_EVERY if flow.trigger == "event" else dt.timedelta(seconds=max(flow.every_seconds, 10))
    timetable.plan(tx, task_of(flow.id), kind=events.FLOW, subject=flow.id, every=every, at_once=not by_hand)
