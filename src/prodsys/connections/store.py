"""The rows of connections, their mappings, flows and runs."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, literal, or_, select, update

from prodsys import errors
from prodsys.connections.model import Flow, FlowSettings, ListEntry, Run, RunRecord, name_key
from prodsys.connectors._base import Direction
from prodsys.documents import Issue
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_texts, insert_new, insert_or_update
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import cut, redact
from prodsys.tables import (
    connection_members,
    connections,
    counters,
    field_mappings,
    flow_cursors,
    flow_runs,
    flows,
    grants,
    group_members,
    list_entries,
    run_records,
    shelf,
    user_groups,
    users,
)

_c, _f, _r, _m, _s = connections.c, flows.c, flow_runs.c, field_mappings.c, shelf.c
_read_settings = msgspec.json.Decoder(FlowSettings).decode
_read_adjustments = msgspec.json.Decoder(Adjustments).decode
_read_issues = msgspec.json.Decoder(list[Issue]).decode
_write = msgspec.json.Encoder().encode
_MOST_SOURCE = 65_536
COUNTS = ("read", "created", "updated", "unchanged", "skipped", "refused", "unknown")


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


class KeptGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in at another system, under way or done."""

    pk: int
    id: str
    connector: str
    form: str
    config_digest: str
    sealed: str | None
    lease_until: dt.datetime | None
    expires_at: dt.datetime
    version: int


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """One of their documents, kept for whom it may concern."""

    number: str
    document: str
    position: int


class OnShelf(msgspec.Struct, frozen=True, kw_only=True):
    """What one system says about a record of ours."""

    connection: int
    kind: str
    document: str
    changed_at: dt.datetime


_kept_columns = [_c[name] for name in Kept.__struct_fields__]
_grant_columns = [grants.c[name] for name in KeptGrant.__struct_fields__]
_flow_columns = [_f[name] for name in KeptFlow.__struct_fields__]
_shelve = hot(insert_or_update(shelf, "connection", "kind", "number", only=("document", "position", "changed_at")))
_shelved = hot(
    select(_s.number, _s.document, _s.position).where(
        _s.connection == bindparam("of"), _s.kind == bindparam("kind"), in_texts(_s.number, "numbers")
    ),
    Shelved,
)


def may_use(tx: Tx, connection: Kept, person: int | None) -> bool:
    """Whether a person may use a connection: it is for everyone, or he or one of his groups is chosen. Programs may use all."""
    if connection.is_for_everyone or person is None:
        return True
    mine = select(users.c.id).where(users.c.pk == person).union(_groups_of(person))
    m = connection_members.c
    chosen = select(m.member).where(m.connection == connection.pk, m.member.in_(mine)).limit(1)
    return tx.execute(chosen).first() is not None


def _groups_of(person: int) -> Any:
    return (
        select(user_groups.c.id).join(group_members, group_members.c.user_group == user_groups.c.pk).where(group_members.c.person == person)
    )


def one(tx: Tx, id: str, *, lock: bool = False) -> Kept:
    """A connection by its id. Raises NotFound."""
    query = select(*_kept_columns).where(_c.id == id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise errors.NotFound
    return _kept(row)


def by_key(tx: Tx, pk: int) -> Kept:
    """A connection by its key. Raises NotFound."""
    row = tx.execute(select(*_kept_columns).where(_c.pk == pk)).first()
    if row is None:
        raise errors.NotFound
    return _kept(row)


def of_connector(tx: Tx, connector: str) -> list[Kept]:
    """Every connection of one connector; few, as an admin makes each of them."""
    return [_kept(row) for row in tx.execute(select(*_kept_columns).where(_c.connector == connector).order_by(_c.pk))]


def page(tx: Tx, *, person: int | None, after: int, limit: int) -> list[Kept]:
    """Connections in the order they were made, those alone that a person may use."""
    query = select(*_kept_columns).where(_c.pk > after).order_by(_c.pk).limit(limit)
    if person is not None:
        mine = select(users.c.id).where(users.c.pk == person).union(_groups_of(person))
        chosen = select(connection_members.c.connection).where(connection_members.c.member.in_(mine))
        query = query.where(or_(_c.is_for_everyone, _c.pk.in_(chosen)))
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
    if named and (other := tx.execute(select(_c.pk).where(_c.name_key == named["name_key"])).scalar()) not in (None, kept.pk):
        del other
        raise errors.AlreadyExists(f"There is a connection {values['name']} already; give this one another name.")
    tx.execute(update(connections).where(_c.pk == kept.pk).values(**values, **named, changed_at=now(), version=_c.version + 1))
    return one(tx, kept.id)


def remove(tx: Tx, kept: Kept) -> None:
    """Forget a connection with everything of it but its links, which the caller has dropped."""
    of = [row.pk for row in tx.execute(select(_f.pk).where(or_(_f.connection == kept.pk, _f.other == kept.pk)))]
    for flow in of:
        remove_flow(tx, flow)
    for table in (list_entries, field_mappings, shelf, connection_members):
        tx.execute(delete(table).where(table.c.connection == kept.pk))
    tx.execute(delete(connections).where(_c.pk == kept.pk))
    if kept.grant is not None:
        tx.execute(delete(grants).where(grants.c.pk == kept.grant))


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


def put_grant(tx: Tx, values: Mapping[str, Any]) -> str:
    """Begin a sign-in; its id."""
    made = new_id("gt")
    tx.execute(insert(grants).values(id=made, created_at=now(), **values))
    return made


def grant(tx: Tx, id: str) -> KeptGrant:
    """A sign-in by its id. Raises NotFound."""
    return _grant(tx, grants.c.id == id)


def newest_grant(tx: Tx, connector: str, by: str) -> str:
    """The newest sign-in at a system that somebody has brought to its end and that no connection has yet; empty when there is none."""
    used = select(connections.c.pk).where(connections.c.grant == grants.c.pk).exists()
    query = (
        select(grants.c.id)
        .where(grants.c.connector == connector, grants.c.created_by == by, grants.c.sealed.is_not(None), ~used)
        .order_by(grants.c.pk.desc())
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none() or ""


def grant_by_state(tx: Tx, state: str) -> KeptGrant:
    """A sign-in that is under way. Raises NotFound."""
    return _grant(tx, (grants.c.state == state) & (grants.c.expires_at > now()))


def grant_by_key(tx: Tx, pk: int) -> KeptGrant:
    """A sign-in by its key. Raises NotFound."""
    return _grant(tx, grants.c.pk == pk)


def _grant(tx: Tx, where: Any) -> KeptGrant:
    row = tx.execute(select(*_grant_columns).where(where)).first()
    if row is None:
        raise errors.NotFound
    return KeptGrant(**{name: getattr(row, name) for name in KeptGrant.__struct_fields__})


def lease_grant(tx: Tx, pk: int, until: dt.datetime) -> KeptGrant | None:
    """Take the right to renew a grant for a while; None while somebody else has it."""
    free = (grants.c.lease_until.is_(None)) | (grants.c.lease_until < literal(now(), type_=grants.c.lease_until.type))
    taken = tx.execute(update(grants).where(grants.c.pk == pk, free).values(lease_until=until)).rowcount
    return grant_by_key(tx, pk) if taken else None


def keep_grant(tx: Tx, pk: int, sealed: str | None, *, end_sign_in: bool = False) -> None:
    """Keep a grant (None: as it was) and let go of the right to renew it."""
    values: dict[str, Any] = {"lease_until": None}
    if sealed is not None:
        values |= {"sealed": sealed, "version": grants.c.version + 1}
    if end_sign_in:
        values["state"] = grants.c.id
    tx.execute(update(grants).where(grants.c.pk == pk).values(values))


def mapping(tx: Tx, connection: int, kind: str, direction: str, number: int | None = None) -> Any | None:
    """A mapping: the one that holds, or the one of this number."""
    query = select(field_mappings).where(_m.connection == connection, _m.kind == kind, _m.direction == direction)
    if number is not None:
        query = query.where(_m.number == number)
    return tx.execute(query.order_by(_m.number.desc()).limit(1)).first()


def adjustments(tx: Tx, connection: int, kind: str, direction: str) -> Adjustments:
    """What a mapping that holds says; nothing where none was ever saved."""
    row = mapping(tx, connection, kind, direction)
    return _read_adjustments(row.document) if row is not None else Adjustments()


def put_mapping(tx: Tx, connection: int, kind: str, direction: str, document: Adjustments, actor: str) -> int:
    """Save a mapping as the next version; its number."""
    last = mapping(tx, connection, kind, direction)
    number = (last.number if last is not None else 0) + 1
    tx.execute(
        insert(field_mappings).values(
            id=new_id("fm"), connection=connection, kind=kind, direction=direction, number=number,
            document=_write(document).decode(), created_at=now(), created_by=actor,
        )
    )  # fmt: skip
    return number


def mapping_versions(tx: Tx, connection: int, kind: str, direction: str) -> list[Any]:
    """Every version of a mapping, newest first."""
    query = select(field_mappings).where(_m.connection == connection, _m.kind == kind, _m.direction == direction)
    return list(tx.execute(query.order_by(_m.number.desc()).limit(500)))


def entries(tx: Tx, connection: int) -> dict[str, list[ListEntry]]:
    """The list mappings of a connection."""
    e = list_entries.c
    found: dict[str, list[ListEntry]] = {}
    for row in tx.execute(select(list_entries).where(e.connection == connection).order_by(e.list, e.direction, e.source)):
        found.setdefault(row.list, []).append(ListEntry(direction=row.direction, source=row.source, target=row.target, title=row.title))
    return found


def set_entries(tx: Tx, connection: int, name: str, listed: Iterable[ListEntry]) -> None:
    """Replace a list mapping."""
    tx.execute(delete(list_entries).where(list_entries.c.connection == connection, list_entries.c.list == name))
    rows = [
        {"connection": connection, "list": name, "direction": one.direction, "source": one.source, "target": one.target, "title": one.title}
        for one in listed
    ]
    if rows:
        tx.execute(insert(list_entries), rows)


def put_flow(tx: Tx, values: Mapping[str, Any]) -> KeptFlow:
    """Make a flow."""
    made = new_id("fl")
    settings = _write(values["settings"]).decode()
    tx.execute(insert(flows).values(**{**values, "settings": settings, "id": made, "created_at": now()}))
    return flow(tx, made)


def change_flow(tx: Tx, pk: int, values: Mapping[str, Any]) -> None:
    """Change a flow."""
    settings = {"settings": _write(values["settings"]).decode()} if "settings" in values else {}
    tx.execute(update(flows).where(_f.pk == pk).values(**{**values, **settings, "version": _f.version + 1}))


def remove_flow(tx: Tx, pk: int) -> None:
    """Forget a flow and its runs."""
    of = select(_r.pk).where(_r.flow == pk)
    tx.execute(delete(run_records).where(run_records.c.run.in_(of)))
    tx.execute(delete(flow_runs).where(_r.flow == pk))
    tx.execute(delete(flow_cursors).where(flow_cursors.c.flow == pk))
    tx.execute(delete(flows).where(_f.pk == pk))


def flow(tx: Tx, id: str) -> KeptFlow:
    """A flow by its id. Raises NotFound."""
    row = tx.execute(select(*_flow_columns).where(_f.id == id)).first()
    if row is None:
        raise errors.NotFound
    return _flow(row)


def flows_of(tx: Tx, connection: int) -> list[KeptFlow]:
    """The flows of a connection, in the order they were made."""
    return [_flow(row) for row in tx.execute(select(*_flow_columns).where(_f.connection == connection).order_by(_f.pk))]


def all_flows(tx: Tx, *, person: int | None, after: int, limit: int) -> list[KeptFlow]:
    """Every flow of the connections a person may use."""
    query = select(*_flow_columns).join(connections, _c.pk == _f.connection).where(_f.pk > after).order_by(_f.pk).limit(limit)
    if person is not None:
        mine = select(users.c.id).where(users.c.pk == person).union(_groups_of(person))
        chosen = select(connection_members.c.connection).where(connection_members.c.member.in_(mine))
        query = query.where(or_(_c.is_for_everyone, _c.pk.in_(chosen)))
    return [_flow(row) for row in tx.execute(query)]


def on_event(tx: Tx, kind: str) -> list[KeptFlow]:
    """The flows that carry a kind out of our books as it happens, whose connections are active."""
    query = select(*_flow_columns).join(connections, _c.pk == _f.connection)
    query = query.where(_f.kind == kind, _f.direction == "out", _f.trigger == "event", _f.is_on, _c.is_active, _f.other.is_(None))
    return [_flow(row) for row in tx.execute(query.order_by(_c.priority, _f.pk))]


def _flow(row: Any) -> KeptFlow:
    values = {name: getattr(row, name) for name in KeptFlow.__struct_fields__}
    return KeptFlow(**values | {"settings": _read_settings(row.settings)})


def begin_run(tx: Tx, flow: int, *, owner: str, until: dt.datetime, trigger: str, actor: str, trace_id: str) -> int | None:
    """Begin a run unless one is under way; its key. One whose process died is taken up by the next."""
    free = (_f.run_lease_until.is_(None)) | (_f.run_lease_until < literal(now(), type_=_f.run_lease_until.type))
    if not tx.execute(update(flows).where(_f.pk == flow, free).values(run_lease_until=until, run_owner=owner)).rowcount:
        return None
    tx.execute(
        update(flow_runs)
        .where(_r.flow == flow, _r.state == "running")
        .values(
            state="failed", ended_at=now(), code="interrupted", reason="The process ended in the middle of it; the next run takes it up."
        )
    )
    made = new_id("ru")
    row = {"id": made, "flow": flow, "state": "running", "trigger": trigger, "actor": actor, "started_at": now(), "trace_id": trace_id}
    tx.execute(insert(flow_runs).values(row))
    return int(tx.execute(select(_r.pk).where(_r.id == made)).scalar_one())


def renew_run(tx: Tx, flow: int, owner: str, until: dt.datetime) -> bool:
    """Go on holding a run; False when somebody else has taken the flow."""
    return tx.execute(update(flows).where(_f.pk == flow, _f.run_owner == owner).values(run_lease_until=until)).rowcount == 1


def count_run(tx: Tx, run: int, counted: Mapping[str, int]) -> None:
    """Add to a run's counts."""
    values = {name: _r[name] + many for name, many in counted.items() if many}
    if values:
        tx.execute(update(flow_runs).where(_r.pk == run).values(values))


def end_run(tx: Tx, flow: int, run: int, owner: str, *, state: str, code: str = "", reason: str = "") -> None:
    """End a run and let go of its flow."""
    tx.execute(update(flow_runs).where(_r.pk == run).values(state=state, ended_at=now(), code=code, reason=redact(reason)[:500]))
    tx.execute(update(flows).where(_f.pk == flow, _f.run_owner == owner).values(run_lease_until=None, run_owner=""))


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
                "issues": redact(_write(one["issues"]).decode()),
                "source": None if one.get("source") is None else cut(redact(one["source"]), _MOST_SOURCE),
            }
            for one in listed
        ]
        tx.execute(insert(run_records), rows)


def run(tx: Tx, id: str) -> tuple[int, Run]:
    """A run by its id, with its key. Raises NotFound."""
    row = tx.execute(_runs().where(_r.id == id)).first()
    if row is None:
        raise errors.NotFound
    return row.pk, _run(row)


def runs_of(tx: Tx, flow: int, *, before: int | None, limit: int) -> list[tuple[int, Run]]:
    """The runs of a flow, newest first."""
    query = _runs().where(_r.flow == flow).order_by(_r.pk.desc()).limit(limit)
    if before is not None:
        query = query.where(_r.pk < before)
    return [(row.pk, _run(row)) for row in tx.execute(query)]


def last_runs(tx: Tx, of: Collection[int]) -> dict[int, Run]:
    """The newest run of each of these flows."""
    newest = select(func.max(_r.pk)).where(_r.flow.in_(of)).group_by(_r.flow)
    return {row.flow: _run(row) for row in tx.execute(_runs().where(_r.pk.in_(newest)))}


def _runs() -> Any:
    return select(flow_runs, _f.id.label("flow_id")).join(flows, _f.pk == _r.flow)


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


def record(tx: Tx, id: str) -> tuple[Any, str]:
    """A record that was not taken over, and the id of its run. Raises NotFound."""
    query = select(run_records, _r.id.label("run_id")).join(flow_runs, _r.pk == run_records.c.run).where(run_records.c.id == id)
    row = tx.execute(query).first()
    if row is None:
        raise errors.NotFound
    return row, row.run_id


def shown_record(tx: Tx, id: str) -> RunRecord:
    """A record that was not taken over. Raises NotFound."""
    return _record(record(tx, id)[0])


def settle_record(tx: Tx, id: str, issues: Sequence[Issue]) -> None:
    """Note how taking a record over once more ended: without issues it is settled."""
    values: dict[str, Any] = {"issues": redact(_write(list(issues)).decode())} if issues else {"settled_at": now()}
    tx.execute(update(run_records).where(run_records.c.id == id).values(values))


def _record(row: Any) -> RunRecord:
    issues = _read_issues(row.issues)
    return RunRecord(id=row.id, number=row.number, outcome=row.outcome, issues=issues, source=row.source, settled_at=row.settled_at)


def drop_sources(tx: Tx, before: dt.datetime, limit: int) -> int:
    """Forget what was to be taken over in runs that began before; the reasons stay."""
    p = run_records.c
    old = select(p.pk).join(flow_runs, _r.pk == p.run).where(_r.started_at < before, p.source.is_not(None)).limit(limit)
    return tx.execute(update(run_records).where(p.pk.in_(old)).values(source=None)).rowcount


def drop_runs(tx: Tx, before: dt.datetime, limit: int) -> int:
    """Forget runs that ended before, and what they did not take over; the newest of each flow stays."""
    newest = select(func.max(_r.pk)).group_by(_r.flow)
    old = [row.pk for row in tx.execute(select(_r.pk).where(_r.ended_at < before, _r.pk.not_in(newest)).limit(limit))]
    tx.execute(delete(run_records).where(run_records.c.run.in_(old)))
    return tx.execute(delete(flow_runs).where(_r.pk.in_(old))).rowcount


def drop_sign_ins(tx: Tx) -> int:
    """Forget sign-ins at other systems that nobody ended."""
    unused = grants.c.pk.not_in(select(_c.grant).where(_c.grant.is_not(None)))
    return tx.execute(delete(grants).where(grants.c.expires_at < now(), grants.c.sealed.is_(None), unused)).rowcount


def shelved(tx: Tx, connection: int, kind: str, numbers: Collection[str]) -> dict[str, Shelved]:
    """What lies on the shelf of a connection, by number."""
    return {row.number: row for row in _shelved.all(tx, {"of": connection, "kind": kind, "numbers": list(numbers)})}


def shelve(tx: Tx, connection: int, kind: str, documents: Mapping[str, str]) -> None:
    """Put documents on the shelf, by number; what lies there under a number is replaced."""
    if not documents:
        return
    at, last = now(), _positions(tx, len(documents))
    places = range(last - len(documents) + 1, last + 1)
    _shelve.many(
        tx,
        [
            {"connection": connection, "kind": kind, "number": number, "document": document, "position": place, "changed_at": at}
            for (number, document), place in zip(documents.items(), places, strict=True)
        ],
    )


def unshelve(tx: Tx, connection: int, kind: str, number: str) -> bool:
    """Take a document off the shelf; False when it was not there."""
    return tx.execute(delete(shelf).where(_s.connection == connection, _s.kind == kind, _s.number == number)).rowcount == 1


def _positions(tx: Tx, many: int) -> int:
    insert_new(tx, counters, {"name": "shelf"})
    taken = update(counters).where(counters.c.name == "shelf").values(value=counters.c.value + many).returning(counters.c.value)
    return int(tx.execute(taken).scalar_one())


def from_shelf(tx: Tx, kind: str, after: int, limit: int, *, but: int | None = None) -> list[Shelved]:
    """What was put on any shelf behind a position, but on that of one connection."""
    query = select(_s.number, _s.document, _s.position).where(_s.kind == kind, _s.position > after)
    if but is not None:
        query = query.where(_s.connection != but)
    return [
        Shelved(number=row.number, document=row.document, position=row.position)
        for row in tx.execute(query.order_by(_s.position).limit(limit))
    ]


def on_shelves(tx: Tx, kind: str, number: str) -> list[OnShelf]:
    """What every system says of a record of ours."""
    rows = tx.execute(select(_s.connection, _s.kind, _s.document, _s.changed_at).where(_s.number == number, _s.kind == kind))
    return [OnShelf(connection=row.connection, kind=row.kind, document=row.document, changed_at=row.changed_at) for row in rows]


def names(tx: Tx, keys: Collection[int]) -> dict[int, tuple[str, str]]:
    """Id and name of connections, by key."""
    rows = tx.execute(select(_c.pk, _c.id, _c.name).where(_c.pk.in_(keys)))
    return {row.pk: (row.id, row.name) for row in rows}


def shown_flow(kept: KeptFlow, named: Mapping[int, tuple[str, str]], **more: Any) -> Flow:
    """A flow as it is shown."""
    here = named[kept.connection]
    there = named.get(kept.other) if kept.other is not None else None
    is_running = kept.run_lease_until is not None and kept.run_lease_until > now()
    return Flow(
        id=kept.id, connection=here[0], connection_name=here[1], other=there[0] if there else None, other_name=there[1] if there else None,
        kind=kept.kind, direction=kept.direction, trigger=kept.trigger, every_seconds=kept.every_seconds, settings=kept.settings,  # type: ignore[arg-type]  # texts the database keeps, checked on their way in
        is_on=kept.is_on, is_running=is_running, version=kept.version, **more,
    )  # fmt: skip


def refused_before(tx: Tx, flow: int, numbers: Collection[str]) -> dict[str, list[str]]:
    """The codes for which a flow last refused these, as long as nobody has settled it."""
    if not numbers:
        return {}
    p = run_records.c
    query = (
        select(p.number, p.issues).join(flow_runs, _r.pk == p.run).where(_r.flow == flow, p.settled_at.is_(None), in_texts(p.number, "n"))
    )
    return {
        row.number: [issue.code for issue in _read_issues(row.issues)] for row in tx.execute(query.order_by(p.pk), {"n": list(numbers)})
    }


def last_runs_but(tx: Tx, flow: int, run: int) -> Run | None:
    """The run of a flow before this one."""
    row = tx.execute(_runs().where(_r.flow == flow, _r.pk < run).order_by(_r.pk.desc()).limit(1)).first()
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
    return int(tx.execute(select(_r.pk).where(_r.id == row["id"])).scalar_one())
