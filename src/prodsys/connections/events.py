"""What happens in our books leaves at once for every system a flow brings it to."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from prodsys import documents, errors
from prodsys.connections import books, shaping, store
from prodsys.connections.abroad import Abroad, Going
from prodsys.connections.books import Leaving
from prodsys.connections.preparing import manner_of, write_json
from prodsys.connections.reaching import Systems
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.flows import KeptFlow
from prodsys.connectors._base import KINDS, whole
from prodsys.documents import Issue, read_exact
from prodsys.exchange import engine, links, outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead, LaneTurn, Promise
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import Trace, current_trace, new_trace
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on

TOLD_AT_ONCE = frozenset({"orders"})
"""Kinds of which our books tell in the very transaction (an approved sales order), so that no clock is needed."""
FLOW = "flow"
"""The kind of task that runs a flow by the clock, and of promise that carries an event."""
LANES = "connection:"


class FlowKind:
    """Promises of kind `flow`: a document of ours that leaves for a system because something happened to it."""

    def __init__(self, db: Database, systems: Systems) -> None:
        self._db = db
        self._systems = systems

    async def deliver(self, promises: Sequence[Claimed]) -> list[Outcome]:
        """Bring them there, each once, however often it is tried."""
        met: dict[str, Outcome] = {}
        for flow, claimed in _by_flow(promises).items():
            reached = await self._db.read(self._reached, flow)
            if isinstance(reached, Misconfigured | Refused):
                met |= {one.id: reached for one in claimed}
                continue
            kept, target, shape = reached
            going = []
            for one in claimed:
                parcel = _read_parcel(one.document)
                document = msgspec.convert(parcel.document, KINDS[kept.kind], dec_hook=read_exact)
                going.append(Going(ours=parcel.ours, document=shape(document)))
            outcomes = await engine.place_abroad(going, target)
            for one, parcel_out, outcome in zip(claimed, going, outcomes, strict=True):
                done = target.done.get(parcel_out.ours)
                said = (
                    write_json({"did": done.did, "sent": done.sent.decode(), "said": done.said.decode("utf-8", "replace")}) if done else b""
                )
                met[one.id] = msgspec.structs.replace(outcome, answer=said) if isinstance(outcome, Placed | Refused) else outcome
        return [met[one.id] for one in promises]

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
        """Tell how it ended, in the run history of the flow and in the log."""
        for flow, listed in _by_flow([one for one, _ in ended]).items():
            outcomes = [(one, outcome) for one, outcome in ended if one in listed and not isinstance(outcome, Later | Misconfigured)]
            if outcomes:
                _tell_event(tx, flow, outcomes)

    def _reached(self, tx: Tx, id: str) -> tuple[KeptFlow, Abroad, Callable[[Any], Any]] | Misconfigured | Refused:
        try:
            flow = store.flows.flow(tx, id)
        except errors.NotFound:
            # Nothing can be mended, so it must not hold up what leaves by other flows.
            return Refused(code="flow_gone", title="The flow it was to leave by has been removed.")
        connection = store.connections.by_key(tx, flow.connection)
        if not is_on(tx, ERP_MODULE):
            detail = "The module ERP connections is switched off here; switch it on under Admin > Extensions."
            return Misconfigured(reason="module_off_here", detail=detail)
        if not connection.is_active:
            return Misconfigured(reason="not_active", detail=f"The connection {connection.name} is not active; activate it.")
        if not flow.is_on:
            what = flow.kind.replace("_", " ")
            return Misconfigured(reason="not_active", detail=f"The flow of {what} to {connection.name} is switched off; switch it on.")
        connector = self._systems.connect(connection)
        if isinstance(connector, Misconfigured):
            return connector
        manner = manner_of(tx, connection, flow.kind, flow.settings)

        def shape(document: Any) -> Any:
            return shaping.translated(flow.kind, shaping.shaped(document, flow.settings, manner.look), manner.look)

        return flow, Abroad(self._db, connection.pk, connector, flow.kind, manner), shape


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A document of ours and what names it here."""

    flow: str
    ours: str
    number: str
    document: Any
    run: str = ""
    """The run that found it had not left, where one did; it counts there."""


_read_parcel = msgspec.json.Decoder(Parcel).decode


def happened(tx: Tx, kind: str, ours: str, document: Callable[[], Any], trace: Trace | None = None) -> int:
    """Something happened to a document of ours: promise it to every system a flow brings it to, in this transaction; to how many.

    Saying it twice promises once, unless the document has changed in between.
    """
    wanted = store.flows.on_event(tx, kind)
    if not wanted or not is_on(tx, ERP_MODULE):
        return 0
    said = document()
    if said is None:
        return 0
    tree = whole(said)
    wanted = [flow for flow in wanted if shaping.is_wanted(flow.settings, tree, said, {})]
    content = documents.write(said)
    named = store.connections.names(tx, [flow.connection for flow in wanted])
    digest = hashlib.sha256(content).hexdigest()[:16]
    trace = trace or current_trace.get() or new_trace()
    outbox.promise(tx, *(_promise(flow, lane_of(named[flow.connection][0]), ours, said, content, digest, trace) for flow in wanted))
    return len(wanted)


def is_told_at_once(flow: KeptFlow) -> bool:
    """Whether our books promise what this flow carries the moment it happens."""
    return flow.trigger == "event" and flow.kind in TOLD_AT_ONCE


def promise_the_rest(tx: Tx, flow: KeptFlow, connection: Kept, leaving: Sequence[Leaving], run: str, room: int) -> Counter[str]:
    """Promise what has not left for a system, at most as many as there is room for: neither what is there nor what is on its way.

    Through the same chain as what leaves by itself, so that the two can never meet there. What was refused or given up leaves once more.
    """
    known = links.of_ours(tx, connection.pk, flow.kind, [one.ours for one in leaving])
    under_way = outbox.under_way(tx, [_chain(flow, one.ours) for one in leaving])
    counted: Counter[str] = Counter()
    promises: list[Promise] = []
    for one in leaving:
        link = known.get(one.ours)
        if not shaping.is_wanted(flow.settings, whole(one.document), one.document, {}) or (link is not None and link.state == "linked"):
            counted["skipped"] += 1
        elif _chain(flow, one.ours) in under_way:
            counted["waits"] += 1
        elif link is not None and link.state == "unknown":
            counted["unknown"] += 1
        elif len(promises) < room:
            trace = current_trace.get() or new_trace()
            content = documents.write(one.document)
            promises.append(_promise(flow, lane_of(connection.id), one.ours, one.document, content, run, trace, run=run))
    if promises:
        outbox.promise(tx, *promises)
    counted["leaves"] = len(promises)
    return counted


def _promise(flow: KeptFlow, lane: str, ours: str, said: Any, content: bytes, once: str, trace: Trace, run: str = "") -> Promise:
    parcel = {"flow": flow.id, "ours": ours, "number": books.number_of(said), "document": msgspec.Raw(content), "run": run}
    return Promise(
        kind=FLOW, lane=lane, chain=_chain(flow, ours), dedup=f"flow:{flow.id}:{ours}:{once}", subject=ours,
        document=write_json(parcel).decode(), trace=trace,
    )  # fmt: skip


def _chain(flow: KeptFlow, ours: str) -> str:
    return f"{flow.id}:{ours}"


def lane_of(connection: str) -> str:
    """The lane on which everything leaves for a connection."""
    return f"{LANES}{connection}"


def of_lane(tx: Tx, lane: str) -> Kept | None:
    """The connection a lane leads to; None for other lanes, and for one that was removed."""
    if not lane.startswith(LANES):
        return None
    with contextlib.suppress(errors.NotFound):
        return store.connections.one(tx, lane.removeprefix(LANES))
    return None


def tell_lane(tx: Tx, turn: LaneTurn) -> None:
    """Tell once that a system cannot be reached, must be mended, or is back."""
    with contextlib.suppress(errors.NotFound):
        kept = store.connections.one(tx, turn.lane.removeprefix(LANES))
        issue = [Issue(code=turn.code or "unreachable", message=turn.reason, blocks=True)] if turn.state != "open" else []
        sentence = {
            "open": f"{kept.name} takes documents again.",
            "paused": f"{kept.name} cannot be reached; what is promised waits and is tried again. {turn.reason}",
            "stopped": f"Nothing can be sent to {kept.name} until somebody mends this: {turn.reason}",
        }[turn.state]
        level: Any = "info" if turn.state == "open" else "warning" if turn.state == "paused" else "error"
        code = {"open": "connection.works", "paused": "connection.unreachable", "stopped": "connection.stopped"}[turn.state]
        tell(tx, Entry(code=code, message=sentence, level=level, direction="out", subject=kept.id, actor="courier", issues=issue))


def _tell_event(tx: Tx, flow_id: str, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
    try:
        flow = store.flows.flow(tx, flow_id)
    except errors.NotFound:
        return
    connection = store.connections.by_key(tx, flow.connection)
    of_runs: dict[str, list[tuple[Claimed, Parcel, Outcome | Dead]]] = {}
    for claimed, outcome in ended:
        parcel = _read_parcel(claimed.document)
        of_runs.setdefault(parcel.run, []).append((claimed, parcel, outcome))
    for run, listed in of_runs.items():
        _tell_run(tx, flow, connection, run, listed)


def _tell_run(tx: Tx, flow: KeptFlow, connection: Kept, run: str, ended: Sequence[tuple[Claimed, Parcel, Outcome | Dead]]) -> None:
    kept = store.runs.key(tx, run) if run else None
    # A run by hand has counted what it read.
    counted: Counter[str] = Counter(read=len(ended) if kept is None else 0)
    entries, records = [], []
    for claimed, parcel, outcome in ended:
        told = msgspec.json.decode(outcome.answer) if isinstance(outcome, Placed | Refused) and outcome.answer else {}
        if isinstance(outcome, Placed):
            did, issues, reason = told.get("did", "created"), [], "."
        elif isinstance(outcome, Refused):
            did, issues, reason = ("unknown" if outcome.code == "unknown_there" else "refused"), outcome.issues, f": {outcome.title}"
        else:
            issue = Issue(code="dead", message="The system could not be reached before the deadline.", blocks=True)
            did, issues, reason = "refused", [issue], f": {issue.message}"
        counted[did] += 1
        if issues:
            source = write_json(parcel.document).decode()
            records.append(
                {"number": parcel.number, "outcome": "unknown" if did == "unknown" else "refused", "issues": issues, "source": source}
            )
        what = flow.kind.replace("_", " ").capitalize()
        entries.append(
            Entry(
                code=f"flow.{did}", message=f"{what} {parcel.number}, to {connection.name}: {did}{reason}",
                level="error" if issues else "info", direction="out", subject=flow.id, number=parcel.number, actor="flow",
                trace_id=claimed.traceparent[3:35], issues=issues, request=told.get("sent") or None, response=told.get("said") or None,
            )
        )  # fmt: skip
    kept = kept or store.runs.event_run(tx, flow.pk, trace_id=ended[0][0].traceparent[3:35])
    store.runs.count(tx, kept, counted)
    store.runs.put_records(tx, kept, records)
    tell(tx, *entries)


def _by_flow(promises: Sequence[Claimed]) -> dict[str, list[Claimed]]:
    found: dict[str, list[Claimed]] = {}
    for one in promises:
        found.setdefault(_read_parcel(one.document).flow, []).append(one)
    return found
