"""The runs of flows, and the records they did not take over."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, literal, select, update

from prodsys import errors
from prodsys.connections.model import Run, RunRecord
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, in_texts
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import cut, redact
from prodsys.tables import flow_runs, flows, run_records

_read_issues = msgspec.json.Decoder(list[Issue]).decode
_MOST_SOURCE = 65_536
COUNTS = ("read", "created", "updated", "unchanged", "skipped", "refused", "unknown")


def begin(tx: Tx, flow: int, *, owner: str, until: dt.datetime, trigger: str, actor: str, trace_id: str) -> int | None:
    """Begin a run unless one is under way; its key. One whose process died is taken up by the next."""
    free = (flows.c.run_lease_until.is_(None)) | (flows.c.run_lease_until < literal(now(), type_=flows.c.run_lease_until.type))
    if not tx.execute(update(flows).where(flows.c.pk == flow, free).values(run_lease_until=until, run_owner=owner)).rowcount:
        return None
    tx.execute(
        update(flow_runs)
        .where(flow_runs.c.flow == flow, flow_runs.c.state == "running")
        .values(
            state="failed", ended_at=now(), code="interrupted", reason="The process ended in the middle of it; the next run takes it up."
        )
    )
    made = new_id("ru")
    row = {"id": made, "flow": flow, "state": "running", "trigger": trigger, "actor": actor, "started_at": now(), "trace_id": trace_id}
    tx.execute(insert(flow_runs).values(row))
    return int(tx.execute(select(flow_runs.c.pk).where(flow_runs.c.id == made)).scalar_one())


def renew(tx: Tx, flow: int, owner: str, until: dt.datetime) -> bool:
    """Go on holding a run; False when somebody else has taken the flow."""
    return tx.execute(update(flows).where(flows.c.pk == flow, flows.c.run_owner == owner).values(run_lease_until=until)).rowcount == 1


def count(tx: Tx, run: int, counted: Mapping[str, int]) -> None:
    """Add to a run's counts."""
    values = {name: flow_runs.c[name] + many for name, many in counted.items() if many}
    if values:
        tx.execute(update(flow_runs).where(flow_runs.c.pk == run).values(values))


def end(tx: Tx, flow: int, run: int, owner: str, *, state: str, code: str = "", reason: str = "") -> None:
    """End a run and let go of its flow."""
    tx.execute(update(flow_runs).where(flow_runs.c.pk == run).values(state=state, ended_at=now(), code=code, reason=redact(reason)[:500]))
    tx.execute(update(flows).where(flows.c.pk == flow, flows.c.run_owner == owner).values(run_lease_until=None, run_owner=""))


def put_records(tx: Tx, run: int, listed: Sequence[Mapping[str, Any]]) -> None:
    """Keep what was not taken over, with its reasons."""
    if listed:
        rows = [
            {
                "id": new_id("rr"),
                "run": run,
                "number": one["number"],
                "record": one.get("record", ""),
                "outcome": one["outcome"],
                "issues": redact(msgspec.json.encode(one["issues"]).decode()),
                "source": None if one.get("source") is None else cut(redact(one["source"]), _MOST_SOURCE),
            }
            for one in listed
        ]
        tx.execute(insert(run_records), rows)


def run(tx: Tx, id: str) -> tuple[int, Run]:
    """A run by its id, with its key. Raises NotFound."""
    row = tx.execute(_runs().where(flow_runs.c.id == id)).first()
    if row is None:
        raise errors.NotFound(
            f"There is no run {id[:40]}; it may have been dropped with its flow, or with age. GET /flows lists the flows."
        )
    return row.pk, _run(row)


def id_of(tx: Tx, pk: int) -> str:
    """What names a run outside the database."""
    return str(tx.execute(select(flow_runs.c.id).where(flow_runs.c.pk == pk)).scalar_one())


def key(tx: Tx, id: str) -> int | None:
    """What names a run inside the database; None when it has been forgotten."""
    return tx.execute(select(flow_runs.c.pk).where(flow_runs.c.id == id)).scalar()


def runs_of(tx: Tx, flow: int, *, before: int | None, limit: int) -> list[tuple[int, Run]]:
    """The runs of a flow, newest first."""
    query = _runs().where(flow_runs.c.flow == flow).order_by(flow_runs.c.pk.desc()).limit(limit)
    if before is not None:
        query = query.where(flow_runs.c.pk < before)
    return [(row.pk, _run(row)) for row in tx.execute(query)]


def last_runs(tx: Tx, of: Collection[int]) -> dict[int, Run]:
    """The newest run of each of these flows."""
    newest = select(func.max(flow_runs.c.pk)).where(flow_runs.c.flow.in_(of)).group_by(flow_runs.c.flow)
    return {row.flow: _run(row) for row in tx.execute(_runs().where(flow_runs.c.pk.in_(newest)))}


def _runs() -> Any:
    return select(flow_runs, flows.c.id.label("flow_id")).join(flows, flows.c.pk == flow_runs.c.flow)


def _run(row: Any) -> Run:
    counted = {name: getattr(row, name) for name in COUNTS}
    return Run(
        id=row.id, flow=row.flow_id, state=row.state, trigger=row.trigger, actor=row.actor, started_at=row.started_at,
        ended_at=row.ended_at, code=row.code, reason=row.reason, trace_id=row.trace_id, **counted,
    )  # fmt: skip


def records_of(tx: Tx, run: int, *, after: int, limit: int) -> list[tuple[int, RunRecord]]:
    """What a run did not take over."""
    p = run_records.c
    rows = tx.execute(select(run_records).where(p.run == run, p.pk > after).order_by(p.pk).limit(limit))
    return [(row.pk, _record(row)) for row in rows]


def how_many_records(tx: Tx, run: int) -> int:
    """How many records a run names that it did not take over; those refused in the same words before are counted only."""
    return int(tx.execute(select(func.count()).where(run_records.c.run == run)).scalar_one())


def record(tx: Tx, id: str) -> tuple[Any, str]:
    """A record that was not taken over, and the id of its run. Raises NotFound."""
    query = (
        select(run_records, flow_runs.c.id.label("run_id"))
        .join(flow_runs, flow_runs.c.pk == run_records.c.run)
        .where(run_records.c.id == id)
    )
    row = tx.execute(query).first()
    if row is None:
        raise errors.NotFound(f"There is no record {id[:40]} that a run left; it may have been dropped with age. Run the flow again.")
    return row, row.run_id


def shown_record(tx: Tx, id: str) -> RunRecord:
    """A record that was not taken over. Raises NotFound."""
    return _record(record(tx, id)[0])


def settle_record(tx: Tx, id: str, issues: Sequence[Issue]) -> None:
    """Note how taking a record over once more ended: without issues it is settled."""
    values: dict[str, Any] = {"issues": redact(msgspec.json.encode(list(issues)).decode())} if issues else {"settled_at": now()}
    tx.execute(update(run_records).where(run_records.c.id == id).values(values))


def _record(row: Any) -> RunRecord:
    issues = _read_issues(row.issues)
    return RunRecord(id=row.id, number=row.number, outcome=row.outcome, issues=issues, source=row.source, settled_at=row.settled_at)


def drop_sources(tx: Tx, before: dt.datetime, limit: int) -> int:
    """Forget what was to be taken over in runs that began before; the reasons stay."""
    p = run_records.c
    old = select(p.pk).join(flow_runs, flow_runs.c.pk == p.run).where(flow_runs.c.started_at < before, p.source.is_not(None)).limit(limit)
    return tx.execute(update(run_records).where(p.pk.in_(old)).values(source=None)).rowcount


def drop_runs(tx: Tx, before: dt.datetime, limit: int) -> int:
    """Forget runs that ended before, and what they did not take over; the newest of each flow stays."""
    newest = select(func.max(flow_runs.c.pk)).group_by(flow_runs.c.flow)
    old = [
        row.pk
        for row in tx.execute(select(flow_runs.c.pk).where(flow_runs.c.ended_at < before, flow_runs.c.pk.not_in(newest)).limit(limit))
    ]
    tx.execute(delete(run_records).where(run_records.c.run.in_(old)))
    return tx.execute(delete(flow_runs).where(flow_runs.c.pk.in_(old))).rowcount


def refused_before(tx: Tx, flow: int, numbers: Collection[str]) -> dict[str, list[str]]:
    """The codes for which a flow last refused these, as long as nobody has settled it."""
    if not numbers:
        return {}
    p = run_records.c
    query = (
        select(p.number, p.issues)
        .join(flow_runs, flow_runs.c.pk == p.run)
        .where(flow_runs.c.flow == flow, p.settled_at.is_(None), in_texts(p.number, "n"))
    )
    return {
        row.number: [issue.code for issue in _read_issues(row.issues)] for row in tx.execute(query.order_by(p.pk), {"n": list(numbers)})
    }


def refused_there(tx: Tx, kind: str, number: str) -> dict[int, tuple[dt.datetime, str]]:
    """Where a document was last refused on its way out and nobody has settled it: when, and why, by the connection's key."""
    p = run_records.c
    query = (
        select(flows.c.connection, flow_runs.c.started_at, p.issues)
        .join(flow_runs, flow_runs.c.pk == p.run)
        .join(flows, flows.c.pk == flow_runs.c.flow)
        .where(p.number == number, p.settled_at.is_(None), flows.c.kind == kind, flows.c.direction == "out")
        .order_by(p.pk)
    )
    return {row.connection: (row.started_at, " ".join(one.message for one in _read_issues(row.issues))) for row in tx.execute(query)}


def last_runs_but(tx: Tx, flow: int, run: int) -> Run | None:
    """The run of a flow before this one."""
    row = tx.execute(_runs().where(flow_runs.c.flow == flow, flow_runs.c.pk < run).order_by(flow_runs.c.pk.desc()).limit(1)).first()
    return None if row is None else _run(row)


def issues_of_run(tx: Tx, run: int) -> list[Issue]:
    """Everything a run refused records for."""
    rows = tx.execute(select(run_records.c.issues).where(run_records.c.run == run).order_by(run_records.c.pk))
    return [issue for row in rows for issue in _read_issues(row.issues)]


def event_run(tx: Tx, flow: int, *, trace_id: str, trigger: str = "event") -> int:
    """A run for what left because it happened, or for one record that a person let through; its key."""
    at = now()
    row = {"id": new_id("ru"), "flow": flow, "state": "done", "trigger": trigger, "actor": "courier", "started_at": at, "ended_at": at}
    tx.execute(insert(flow_runs).values(**row, trace_id=trace_id))
    return int(tx.execute(select(flow_runs.c.pk).where(flow_runs.c.id == row["id"])).scalar_one())
