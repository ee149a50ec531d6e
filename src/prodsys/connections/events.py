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
from prodsys.connections.preparing import manner_of, write_json
from prodsys.connections.reaching import Systems
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.flows import KeptFlow
from prodsys.connectors._base import KINDS, whole
from prodsys.documents import Issue, read_exact
from prodsys.exchange import engine, outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead, LaneTurn, Promise
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import Trace, current_trace, new_trace
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on

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
            if isinstance(reached, Misconfigured):
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

    def _reached(self, tx: Tx, id: str) -> tuple[KeptFlow, Abroad, Callable[[Any], Any]] | Misconfigured:
        try:
            flow = store.flows.flow(tx, id)
        except errors.NotFound:
            return Misconfigured(reason="flow_gone", detail="The flow is not there any more.")
        connection = store.connections.by_key(tx, flow.connection)
        if not is_on(tx, ERP_MODULE):
            return Misconfigured(reason="module_off_here", detail="The module ERP connections is switched off here.")
        if not connection.is_active or not flow.is_on:
            return Misconfigured(reason="not_active", detail=f"The connection {connection.name} or its flow is not active.")
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
    for flow in wanted:
        parcel = {"flow": flow.id, "ours": ours, "number": books.number_of(said), "document": msgspec.Raw(content)}
        outbox.promise(
            tx,
            Promise(
                kind=FLOW, lane=lane_of(named[flow.connection][0]), chain=f"{flow.id}:{ours}", dedup=f"flow:{flow.id}:{ours}:{digest}",
                subject=ours, document=write_json(parcel).decode(), trace=trace or current_trace.get() or new_trace(),
            ),
        )  # fmt: skip
    return len(wanted)


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
    counted: Counter[str] = Counter(read=len(ended))
    entries, records = [], []
    for claimed, outcome in ended:
        parcel = _read_parcel(claimed.document)
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
    run = store.runs.event_run(tx, flow.pk, trace_id=ended[0][0].traceparent[3:35])
    store.runs.count(tx, run, counted)
    store.runs.put_records(tx, run, records)
    tell(tx, *entries)


def _by_flow(promises: Sequence[Claimed]) -> dict[str, list[Claimed]]:
    found: dict[str, list[Claimed]] = {}
    for one in promises:
        found.setdefault(_read_parcel(one.document).flow, []).append(one)
    return found
