"""Whether a document of ours reached the systems it goes to, and which of them cannot be reached."""

import datetime as dt
from collections.abc import Mapping
from typing import Literal

import msgspec

from prodsys.connections import events, store
from prodsys.connections.store.connections import Kept
from prodsys.exchange import links, outbox
from prodsys.exchange.outbox import Waiting
from prodsys.kit.db import Tx
from prodsys.scopes import Caller


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document of ours at one system. `none`: nothing of it has been sent there."""

    connection: str
    connection_name: str
    state: Literal["there", "waiting", "sending", "refused", "dead", "unknown", "none"]
    theirs: str = ""
    """Its id there."""
    at: dt.datetime | None = None
    """When it ended like this, or is tried next."""
    reason: str = ""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that takes nothing at the moment, and how much waits for it."""

    connection: str
    connection_name: str
    lane: Waiting


def arrivals(tx: Tx, caller: Caller, kind: str, ours: str) -> list[Arrival]:
    """What became of a document at every system it goes to or has gone to, of those the caller may see."""
    known = {link.connection: link for link in links.everywhere(tx, ours, kind)}
    told = {one.lane: one for one in outbox.newest_about(tx, ours, events.FLOW)}
    refused = store.runs.refused_there(tx, kind, ours)
    wanted = known.keys() | refused.keys() | {flow.connection for flow in store.flows.on_event(tx, kind)}
    wanted |= {kept.pk for lane in told if (kept := events.of_lane(tx, lane)) is not None}
    found = []
    for key in sorted(wanted):
        kept = store.connections.by_key(tx, key)
        if store.connections.may_use(tx, kept, caller.person):
            one = _arrival(kept, known.get(key), told.get(events.lane_of(kept.id)), refused.get(key))
            found.append(_awaited(tx, one) if one.state == "waiting" else one)
    return found


def _awaited(tx: Tx, one: Arrival) -> Arrival:
    """What waits behind a closed lane leaves when that is tried again, and waits for the lane's reason."""
    for lane in outbox.closed_or_waiting(tx, most=1, among=events.lane_of(one.connection)):
        if lane.state != "open":
            return msgspec.structs.replace(one, at=lane.probe_at, reason=lane.reason)
    return one


def _arrival(kept: Kept, link: links.Standing | None, told: outbox.Told | None, refused: tuple[dt.datetime, str] | None) -> Arrival:
    one = Arrival(connection=kept.id, connection_name=kept.name, state="none")
    if told is not None and told.state in ("ready", "leased"):
        state: Literal["sending", "waiting"] = "sending" if told.state == "leased" else "waiting"
        return msgspec.structs.replace(one, state=state, at=told.run_at, reason=told.last_error.partition(": ")[2])
    if link is not None and link.state == "linked":
        return msgspec.structs.replace(one, state="there", theirs=link.theirs or "", at=link.changed_at)
    if told is not None and told.state in ("refused", "dead"):
        ended: Literal["refused", "dead"] = "refused" if told.state == "refused" else "dead"
        return msgspec.structs.replace(one, state=ended, at=told.settled_at, reason=told.last_error.partition(": ")[2])
    if refused is not None:
        return msgspec.structs.replace(one, state="refused", at=refused[0], reason=refused[1])
    if link is not None:
        return msgspec.structs.replace(one, state="unknown", at=link.changed_at)
    return one


def closed(tx: Tx, caller: Caller) -> Mapping[str, Closed]:
    """The connections of the caller that take nothing at the moment, by id."""
    found = {}
    for lane in outbox.closed_or_waiting(tx, among=events.LANES):
        kept = events.of_lane(tx, lane.lane) if lane.state != "open" else None
        if kept is not None and store.connections.may_use(tx, kept, caller.person):
            found[kept.id] = Closed(connection=kept.id, connection_name=kept.name, lane=lane)
    return found
