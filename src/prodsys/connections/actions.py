"""Connect a system, test it, say what goes where, and switch it on."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from prodsys import connectors, errors
from prodsys.connections import flows, model, shaping, store
from prodsys.connections.flows import Busy, Flows
from prodsys.connections.model import (
    Authorization,
    Authorize,
    ChangedConnection,
    ChangedFlow,
    Configuration,
    Connection,
    Flow,
    ListChoice,
    ListEntry,
    ListMapping,
    MappingShown,
    NewErpConnection,
    NewFlow,
    Preview,
    PreviewAsked,
    TestFinding,
    TestFindings,
    TestResult,
    ToTest,
)
from prodsys.connections.reaching import Systems, apart, connector_of, masked, refused, written_grant
from prodsys.connections.store import Kept, KeptFlow, KeptGrant
from prodsys.connectors._base import (
    KINDS,
    Check,
    Connector,
    Grant,
    Known,
    Later,
    Misconfigured,
    Records,
    Refused,
    Tested,
    builtins,
    read_config,
    whole,
)
from prodsys.connectors._rest import new_state, state_digest
from prodsys.documents import Issue, write_exact
from prodsys.exchange import links, mapping, outbox, timetable
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.states import etag, must_match
from prodsys.kit.vault import MASK, VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on
from prodsys.scopes import Caller

SIGN_IN = dt.timedelta(minutes=30)
HAND_ONLY = dt.timedelta(days=3650)
EVENT_EVERY = dt.timedelta(seconds=10)
"""How often our own books are looked at for a flow by event of what they cannot tell in the same transaction."""
TOLD_AT_ONCE = frozenset({"orders"})
"""Kinds of which our books tell in the very transaction (an approved sales order), so that no clock is needed."""

_TRIES, _A_MOMENT = 45, 2.0

_read_map = msgspec.json.Decoder(dict[str, Any]).decode
_read_tested = msgspec.json.Decoder(TestFindings).decode
_write = msgspec.json.Encoder().encode


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A filled form whose test has passed, ready to be kept."""

    connector: str
    config: dict[str, Any]
    secrets: dict[str, str]
    digest: str
    tested: Tested
    grant: int | None


def listed_connectors() -> list[model.ConnectorShown]:
    """Every system we can connect to."""
    return [model.shown(name, connector) for name, connector in connectors.known().items()]


async def described(systems: Systems, name: str, given: dict[str, Any]) -> model.ConnectorShown:
    """A connector with the form its system describes, asked now; nothing is kept. Raises NotFound, Invalid, PartnerUnreachable."""
    kind = connector_of(name)
    config, issues = read_config(kind.Config, kind.gathered(given))
    if config is None:
        raise refused(issues, "The system cannot be asked for its fields yet.")
    found = await systems.trial(name, config, None).with_own_form()
    if isinstance(found, Later | Misconfigured | Refused):
        raise _as_refusal(found)
    return model.shown(name, found)


async def test(systems: Systems, caller: Caller, asked: ToTest) -> TestResult:
    """Try a filled form out, and say of every field that is at fault why; nothing is saved. Raises NotFound."""
    kept = await systems.db.read(allowed, caller, asked.connection) if asked.connection else None
    issues, tested, _ = await _tried(systems, asked.connector, asked, kept)
    checks = [TestFinding(field=one.field, is_fine=one.is_fine, message=one.message) for one in tested.checks] if tested is not None else []
    is_fine = tested is not None and tested.is_fine and not issues
    return TestResult(is_fine=is_fine, checks=checks, missing=issues + _test_issues(tested), may_be_saved=is_fine)


async def test_again(systems: Systems, caller: Caller, id: str) -> Connection:
    """Test a saved connection as it is, now and for ever; what was found is kept. Raises NotFound."""
    kept = await systems.db.read(allowed, caller, id)
    connector = systems.connect(kept)
    if isinstance(connector, Misconfigured):
        tested = Tested(is_fine=False, checks=[Check(message=connector.detail)])
    else:
        tested = await connector.test()
    return await systems.db.write(_keep_test, systems, caller, id, tested)


async def passed_for(systems: Systems, new: NewErpConnection) -> Passed | None:
    """Test the form of a new connection; None where it has none yet. Raises Invalid with every reason per field."""
    kind = connectors.known().get(new.connector)
    if kind is None:
        raise refused([_fault("connector_unknown", f"There is no connector {new.connector[:60]}.", "/connector")])
    if kind.is_partner:
        raise refused([_fault("connector_is_partner", "A partner's ProdSys is connected under partners.", "/connector")])
    if new.config is None:
        return None
    return await _passed(systems, new.connector, Configuration(config=new.config, grant=new.grant), None)


async def configure(systems: Systems, caller: Caller, id: str, given: Configuration, if_match: str | None) -> Connection:
    """Test a filled form and keep it when the test passes. Raises Invalid with every reason per field, NotFound, Stale."""
    kept = await systems.db.read(allowed, caller, id)
    must_match(if_match, etag(id, kept.version))
    passed = await _passed(systems, kept.connector, given, kept)
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
    kept = store.change(tx, kept, values)
    after = shown(tx, systems, kept)
    _note(tx, caller, kept, f"{caller.name} changed the connection {kept.name}.", before, after)
    return after


def remove(tx: Tx, caller: Caller, id: str, if_match: str | None) -> None:
    """Forget a connection, its mappings, flows and links; nothing in either system changes. Raises NotFound, Stale."""
    kept = allowed(tx, caller, id, lock=True)
    must_match(if_match, etag(id, kept.version))
    for flow in store.flows_of(tx, kept.pk):
        timetable.drop(tx, task_of(flow.id))
    outbox.withdraw_lane(tx, flows.lane_of(kept.id))
    links.drop(tx, kept.pk)
    store.remove(tx, kept)
    _note(tx, caller, kept, f"{caller.name} removed the connection {kept.name}.", {"name": kept.name}, None)


def switch(tx: Tx, systems: Systems, caller: Caller, id: str, *, on: bool) -> Connection:
    """Activate a connection, or let it rest. Raises Invalid with everything that stands against activating it, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    if on and (missing := missing_of(tx, systems, kept)):
        raise errors.Invalid("The connection cannot be activated yet.", issues=missing)
    if kept.is_active != on:
        kept = store.change(tx, kept, {"is_active": on})
        for flow in store.flows_of(tx, kept.pk):
            _plan(tx, flow, kept)
        if on:
            outbox.probe_soon(tx, flows.lane_of(kept.id))
        what = f"{caller.name} {'activated' if on else 'deactivated'} the connection {kept.name}."
        _note(tx, caller, kept, what, {"is_active": not on}, {"is_active": on})
    return shown(tx, systems, kept)


def begin_sign_in(tx: Tx, systems: Systems, caller: Caller, wanted: Authorize, config: Any) -> tuple[str, str]:
    """Begin a sign-in at the other system: the id of the grant, and the state that ties its end to it."""
    state = new_state()
    fields, secrets = apart(config)
    form = systems.vault.seal(_write(fields | secrets).decode())
    values = {
        "connector": wanted.connector,
        "form": form,
        "config_digest": model.config_digest(wanted.connector, fields | secrets),
        "state": state_digest(state),
        "expires_at": now() + SIGN_IN,
        "created_by": caller.name,
    }
    return store.put_grant(tx, values), state


async def authorize(systems: Systems, caller: Caller, wanted: Authorize) -> Authorization:
    """Where somebody signs in at the other system. Raises Invalid with every field at fault, WrongState where nobody has to sign in."""
    kind = connector_of(wanted.connector)
    if not kind.authorizes:
        raise errors.WrongState(f"Nobody signs in at {kind.title}; fill in the form and test it.")
    kept = await systems.db.read(allowed, caller, wanted.connection) if wanted.connection else None
    config, issues = read_config(kind.Config, wanted.config, _kept_config(systems, kept))
    if config is None:
        raise refused(issues)
    made, state = await systems.db.write(begin_sign_in, systems, caller, wanted, config)
    grant = await systems.db.read(store.grant, made)
    url = systems.trial(wanted.connector, config, grant).authorize_url(state)
    return Authorization(id=made, url=url, is_authorized=False, expires_at=grant.expires_at)


async def authorized(systems: Systems, code: str, state: str) -> str:
    """End a sign-in with the code the other system sent along; the id of the grant. Raises NotFound, WrongState."""
    grant = await systems.db.read(store.grant_by_state, state_digest(state))
    config = systems.form_of(grant)
    if config is None:
        raise errors.WrongState("The connector asks for other fields now; begin again.")
    brought = await systems.trial(grant.connector, config, grant).authorized(code)
    if not isinstance(brought, Grant):
        raise errors.WrongState(f"The other system did not let us in: {_said(brought)}")
    await systems.db.write(store.keep_grant, grant.pk, systems.vault.seal(written_grant(brought)), end_sign_in=True)
    return grant.id


def authorization(tx: Tx, id: str) -> Authorization:
    """How a sign-in stands. Raises NotFound."""
    grant = store.grant(tx, id)
    return Authorization(id=id, url="", is_authorized=grant.sealed is not None, expires_at=grant.expires_at)


def allowed(tx: Tx, caller: Caller, id: str, *, lock: bool = False) -> Kept:
    """A connection the caller may use. Raises NotFound for one that is not there, and for one that is not for him (B2)."""
    kept = store.one(tx, id, lock=lock)
    if not store.may_use(tx, kept, caller.person):
        raise errors.NotFound
    return kept


def shown(tx: Tx, systems: Systems, kept: Kept) -> Connection:
    """A connection as an admin sees it."""
    kind = connectors.known().get(kept.connector)
    secrets: dict[str, str] = {}
    if kept.secrets is not None:
        try:
            secrets = _read_map(systems.vault.unseal(kept.secrets))
        except VaultLocked:
            secrets = {}
    is_authorized = None
    if kind is not None and kind.authorizes:
        is_authorized = kept.grant is not None and store.grant_by_key(tx, kept.grant).sealed is not None
    return Connection(
        id=kept.id,
        name=kept.name,
        description=kept.description,
        connector=kept.connector,
        connector_title=kind.title if kind is not None else kept.connector,
        scope="everyone" if kept.is_for_everyone else "chosen",
        members=store.members_of(tx, [kept.pk]).get(kept.pk, []),
        config=masked(_read_map(kept.config), secrets, MASK),
        is_authorized=is_authorized,
        is_active=kept.is_active,
        priority=kept.priority,
        tested=_read_tested(kept.checks) if kept.checks else None,
        tested_at=kept.tested_at,
        missing=[] if kept.is_active else missing_of(tx, systems, kept),
        created_at=kept.created_at,
        changed_at=kept.changed_at,
        version=kept.version,
    )


def missing_of(tx: Tx, systems: Systems, kept: Kept) -> list[Issue]:
    """What stands against activating a connection, in words."""
    issues = []
    if not is_on(tx, ERP_MODULE):
        issues.append(_fault("module_off", "The module ERP connections is switched off; switch it on under Admin > Extensions.", ""))
    connector = systems.connect(kept)
    if isinstance(connector, Misconfigured):
        return [*issues, _fault(connector.reason, connector.detail, "/config")]
    tested = _read_tested(kept.checks) if kept.checks else None
    if tested is None or not tested.is_fine:
        issues += _test_issues(tested) or [_fault("not_tested", "The connection has not been tested yet.", "/config")]
    for flow in store.flows_of(tx, kept.pk):
        issues += _flow_missing(tx, flow, connector)
    return issues


def set_mapping(tx: Tx, caller: Caller, id: str, kind: str, direction: str, adjustments: Adjustments) -> MappingShown:
    """Save a mapping as the next version. Raises Invalid with every fault, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    _must_be_one(kind, direction)
    connector = connector_of(kept.connector)
    if issue := model.cannot(connector, kind, direction, _read_map(kept.config)):
        raise errors.Invalid(issue.message, issues=[issue])
    if issues := mapping.faults(adjustments):
        raise errors.Invalid("The mapping cannot be used as it is.", issues=issues)
    before = store.adjustments(tx, kept.pk, kind, direction)
    if before != adjustments:
        number = store.put_mapping(tx, kept.pk, kind, direction, adjustments, caller.name)
        what = f"{caller.name} saved mapping {number} of {kind.replace('_', ' ')} ({direction}) of {kept.name}."
        _note(tx, caller, kept, what, {"mapping": before}, {"mapping": adjustments})
    return mapping_shown(tx, kept, kind, direction)


def mapping_shown(tx: Tx, kept: Kept, kind: str, direction: str, number: int | None = None) -> MappingShown:
    """A mapping, the one that holds or one before it. Raises NotFound."""
    _must_be_one(kind, direction)
    row = store.mapping(tx, kept.pk, kind, direction, number)
    if row is None and number is not None:
        raise errors.NotFound
    return shown_mapping(connector_of(kept.connector), kind, direction, row)


def _must_be_one(kind: str, direction: str) -> None:
    if kind not in KINDS or direction not in ("in", "out"):
        raise errors.NotFound


def shown_mapping(connector: type[Connector], kind: str, direction: str, row: Any | None) -> MappingShown:
    """A mapping with the fields its target has."""
    resource = connector.resources.get(kind)
    wire = resource.wire if resource is not None else None
    fields = model.fields_of(kind) if direction == "in" or wire is None else model.paths_in(wire)
    return MappingShown(
        kind=kind,  # type: ignore[arg-type]  # one of KINDS, as the caller has seen
        direction=direction,  # type: ignore[arg-type]  # in or out, likewise
        number=row.number if row is not None else 0,
        adjustments=msgspec.json.decode(row.document, type=Adjustments) if row is not None else Adjustments(),
        created_at=row.created_at if row is not None else None,
        created_by=row.created_by if row is not None else "",
        fields=fields,
    )


async def preview(systems: Systems, runner: Flows, caller: Caller, id: str, asked: PreviewAsked) -> Preview:
    """What a mapping makes of a real record, saved or not; nothing is sent or kept. Raises NotFound, Invalid, PartnerUnreachable."""
    kept = await systems.db.read(allowed, caller, id)
    connector = _connected(systems, kept)
    if issue := model.cannot(type(connector), asked.kind, asked.direction, _read_map(kept.config)):
        raise errors.Invalid(issue.message, issues=[issue])
    if asked.adjustments is not None and (faults := mapping.faults(asked.adjustments)):
        raise errors.Invalid("The mapping cannot be used as it is.", issues=faults)
    adjustments, entries = await systems.db.read(_mapping_and_lists, kept.pk, asked.kind, asked.direction)
    adjustments = asked.adjustments if asked.adjustments is not None else adjustments
    look = shaping.look_in(entries, asked.direction)
    if asked.direction == "out":
        return await _preview_out(systems, runner, connector, asked, adjustments, look)
    record = await _a_record(connector, asked)
    source = msgspec.to_builtins(record.theirs)
    try:
        default = builtins(connector.document(asked.kind, record))
    except (ValueError, TypeError, KeyError) as fault:
        issue = Issue(code="unreadable", message=f"The record cannot be read: {str(fault)[:300]}", blocks=True)
        return Preview(source=source, default=None, target=None, issues=[issue])
    made = mapping.adjust(adjustments, record.theirs, default, look)
    found = flows.prepared(connector, asked.kind, record, asked.settings, adjustments, look)
    if found is None:
        issue = Issue(code="filtered_out", message="The flow's filters leave this record out.")
        return Preview(source=source, default=_plain(default), target=_plain(made.target), issues=[*made.issues, issue])
    target = _plain(builtins(found.document)) if found.document is not None else _plain(made.target)
    return Preview(source=source, default=_plain(default), target=target, issues=found.issues or made.issues)


async def _preview_out(
    systems: Systems, runner: Flows, connector: Connector, asked: PreviewAsked, adjustments: Adjustments, look: mapping.Look
) -> Preview:
    book = runner.books[asked.kind]
    document = None
    if asked.record and book.one is not None:
        document = await systems.db.read(book.one, asked.record)
    elif book.read is not None:
        stretch = await systems.db.read(book.read, "", 1)
        document = stretch.leaving[0].document if stretch.leaving else None
    if document is None:
        raise errors.NotFound
    shaped = shaping.translated(asked.kind, shaping.shaped(document, asked.settings, look), look)
    issues = shaping.limit_faults(shaped, connector.limits_of(asked.kind))
    default = connector.words(asked.kind, shaped, Known(customer="(looked up when sent)", config=connector.config))
    made = mapping.adjust(adjustments, whole(shaped), default, look)
    return Preview(source=_plain(whole(document)), default=_plain(default), target=_plain(made.target), issues=issues + made.issues)


def set_list(tx: Tx, caller: Caller, id: str, name: str, entries: Sequence[ListEntry]) -> ListMapping:
    """Replace a list mapping. Raises Invalid for an entry given twice, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    known = {*model.LISTS, *model.BY_COUNTRY, *connector_of(kept.connector).lists}
    if name not in known and not name.startswith("x-"):
        message = f"There is no list {name[:60]}; lists of your own, for look-ups in mappings, begin with x-."
        raise errors.Invalid(message, issues=[_fault("list_unknown", message, "/name")])
    keys = [(one.direction, one.source) for one in entries]
    twice = [at for at, key in enumerate(keys) if key in keys[:at]]
    if twice:
        issues = [_fault("entry_twice", f"{entries[at].source} is mapped twice.", f"/{at}/source") for at in twice]
        raise errors.Invalid("A list maps each entry once.", issues=issues)
    before = store.entries(tx, kept.pk).get(name, [])
    store.set_entries(tx, kept.pk, name, entries)
    _note(tx, caller, kept, f"{caller.name} mapped the list {name} of {kept.name}.", {name: before}, {name: list(entries)})
    return next(one for one in lists(tx, kept) if one.name == name)


def lists(tx: Tx, kept: Kept) -> list[ListMapping]:
    """Every list of a connection, mapped or not."""
    offered = connector_of(kept.connector).lists
    mapped = store.entries(tx, kept.pk)
    names = dict.fromkeys([*offered, *model.LISTS, *model.BY_COUNTRY, *mapped])
    return [
        ListMapping(name=name, title=offered.get(name, name.replace("_", " ")), entries=mapped.get(name, []), is_offered=name in offered)
        for name in names
    ]


async def choices(systems: Systems, caller: Caller, id: str, name: str) -> list[ListChoice]:
    """What can be chosen in one of their lists, asked now. Raises NotFound, PartnerUnreachable, PartnerNotReady."""
    kept = await systems.db.read(allowed, caller, id)
    connector = _connected(systems, kept)
    if name not in connector.lists:
        raise errors.NotFound
    found = await connector.choices(name)
    if isinstance(found, Later | Misconfigured | Refused):
        raise _as_refusal(found)
    return [ListChoice(id=one.id, title=one.title) for one in found]


def create_flow(tx: Tx, caller: Caller, id: str, new: NewFlow) -> Flow:
    """Set up a flow. Raises Invalid with everything that speaks against it, NotFound."""
    kept = allowed(tx, caller, id, lock=True)
    other = allowed(tx, caller, new.other) if new.other else None
    must_be_sound(kept, other, new)
    made = store.put_flow(
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
    _plan(tx, made, kept)
    after = flow_shown(tx, made)
    _note(tx, caller, kept, f"{caller.name} set up a flow of {new.kind.replace('_', ' ')} with {kept.name}.", None, after, subject=made.id)
    return after


def change_flow(tx: Tx, caller: Caller, id: str, wanted: ChangedFlow, if_match: str | None) -> Flow:
    """Change a flow. Raises Invalid, NotFound, Stale."""
    flow, kept = flow_allowed(tx, caller, id)
    must_match(if_match, etag(id, flow.version))
    before = flow_shown(tx, flow)
    values = {name: value for name in ChangedFlow.__struct_fields__ if (value := getattr(wanted, name)) is not None}
    other = store.by_key(tx, flow.other) if flow.other is not None else None
    as_new = NewFlow(
        kind=flow.kind,  # type: ignore[arg-type]  # kept as it was checked
        direction=flow.direction,
        trigger=values.get("trigger", flow.trigger),
        every_seconds=values.get("every_seconds", flow.every_seconds),
        settings=values.get("settings", flow.settings),
        is_on=values.get("is_on", flow.is_on),
    )
    must_be_sound(kept, other, as_new)
    store.change_flow(tx, flow.pk, values)
    flow = store.flow(tx, id)
    _plan(tx, flow, kept)
    after = flow_shown(tx, flow)
    _note(tx, caller, kept, f"{caller.name} changed a flow of {flow.kind.replace('_', ' ')} with {kept.name}.", before, after, subject=id)
    return after


def remove_flow(tx: Tx, caller: Caller, id: str, if_match: str | None) -> None:
    """Forget a flow and its history; what it linked stays linked. Raises NotFound, Stale."""
    flow, kept = flow_allowed(tx, caller, id)
    must_match(if_match, etag(id, flow.version))
    before = flow_shown(tx, flow)
    timetable.drop(tx, task_of(id))
    store.remove_flow(tx, flow.pk)
    _note(tx, caller, kept, f"{caller.name} removed a flow of {flow.kind.replace('_', ' ')} with {kept.name}.", before, None, subject=id)


def flow_allowed(tx: Tx, caller: Caller, id: str) -> tuple[KeptFlow, Kept]:
    """A flow, and its connection, that the caller may use. Raises NotFound."""
    flow = store.flow(tx, id)
    kept = store.by_key(tx, flow.connection)
    if not store.may_use(tx, kept, caller.person):
        raise errors.NotFound
    return flow, kept


def flow_shown(tx: Tx, flow: KeptFlow) -> Flow:
    """A flow as it is shown."""
    return flows_shown(tx, [flow])[0]


def flows_shown(tx: Tx, listed: Sequence[KeptFlow]) -> list[Flow]:
    """Flows as they are shown, each with its newest run."""
    named = store.names(tx, {key for one in listed for key in (one.connection, one.other) if key is not None})
    runs = store.last_runs(tx, [one.pk for one in listed])
    return [
        store.shown_flow(one, named, last_run=runs.get(one.pk), read_since=links.cursor(tx, one.pk).since, missing=_flow_issues(tx, one))
        for one in listed
    ]


def begin_again(tx: Tx, caller: Caller, id: str) -> Flow:
    """Let a flow read everything from the beginning; what has not changed is recognised and left. Raises NotFound."""
    flow, kept = flow_allowed(tx, caller, id)
    links.begin_again(tx, flow.pk)
    _note(
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
        raise errors.WrongState(f"Activate the connection {kept.name} first.")
    there = {flow.kind: flow for flow in store.flows_of(tx, kept.pk) if flow.direction == "in" and flow.other is None}
    made = []
    for kind in dict.fromkeys(kinds):
        if kind not in there:
            new = msgspec.convert({"kind": kind, "direction": "in"}, NewFlow)
            there[kind] = store.flow(tx, create_flow(tx, caller, id, new).id)
        run_soon(tx, there[kind], kept)
        made.append(flow_shown(tx, there[kind]))
    return made


def run_soon(tx: Tx, flow: KeptFlow, kept: Kept) -> None:
    """Let the timetable run a flow now."""
    _plan(tx, flow, kept)
    timetable.hurry(tx, task_of(flow.id))


def unlink(tx: Tx, caller: Caller, id: str, kind: str, ours: str) -> None:
    """Cut a link, or settle one of which nobody knows whether it is there: it may be sent again. Raises NotFound."""
    kept = allowed(tx, caller, id)
    if not links.unlink(tx, kept.pk, kind, ours):
        raise errors.NotFound
    _note(tx, caller, kept, f"{caller.name} cut the link of {ours} with {kept.name}.", {"kind": kind, "ours": ours}, None)


def link(tx: Tx, caller: Caller, id: str, kind: str, ours: str, theirs: str) -> None:
    """Say which record there is which record here. Raises NotFound, AlreadyExists where the one there is linked to another."""
    kept = allowed(tx, caller, id)
    if kind not in KINDS:
        raise errors.NotFound
    if links.link(tx, kept.pk, kind, [(ours, theirs, "")]):
        raise errors.AlreadyExists(f"The record {theirs} there is linked to another one of ours.")
    _note(
        tx, caller, kept, f"{caller.name} linked {ours} with {theirs} of {kept.name}.", None, {"kind": kind, "ours": ours, "theirs": theirs}
    )


def run_now(tx: Tx, caller: Caller, id: str) -> Flow:
    """Let a flow run now. Raises NotFound, WrongState where it or its connection is switched off."""
    flow, kept = flow_allowed(tx, caller, id)
    if not kept.is_active or not flow.is_on:
        raise errors.WrongState(f"The connection {kept.name} or its flow is not active.")
    run_soon(tx, flow, kept)
    tell(tx, Entry(code="flow.asked_for", message=f"{caller.name} let the flow run now.", subject=id, actor=caller.name))
    return flow_shown(tx, flow)


def flows_of(tx: Tx, caller: Caller, id: str) -> list[Flow]:
    """The flows of a connection. Raises NotFound."""
    return flows_shown(tx, store.flows_of(tx, allowed(tx, caller, id).pk))


def mapping_versions(tx: Tx, caller: Caller, id: str, kind: str, direction: str) -> list[MappingShown]:
    """Every version of a mapping, newest first. Raises NotFound."""
    kept = allowed(tx, caller, id)
    _must_be_one(kind, direction)
    connector = connector_of(kept.connector)
    return [shown_mapping(connector, kind, direction, row) for row in store.mapping_versions(tx, kept.pk, kind, direction)]


def links_of(tx: Tx, caller: Caller, id: str, *, kind: str, state: str | None, after: int, limit: int) -> list[tuple[int, model.LinkShown]]:
    """The links of a connection, with their keys. Raises NotFound."""
    kept = allowed(tx, caller, id)
    return [
        (
            pk,
            model.LinkShown(
                kind=kind,  # type: ignore[arg-type]  # one of KINDS, as the door has seen
                ours=row.ours, theirs=row.theirs, state=row.state, reference=row.reference,
                created_at=row.created_at, changed_at=row.changed_at,
            ),
        )
        for pk, row in links.page(tx, kept.pk, kind=kind, state=state, after=after, limit=limit)
    ]  # fmt: skip


def runs_of(tx: Tx, caller: Caller, id: str, *, before: int | None, limit: int) -> list[tuple[int, model.Run]]:
    """The runs of a flow, newest first, with their keys. Raises NotFound."""
    flow, _ = flow_allowed(tx, caller, id)
    return store.runs_of(tx, flow.pk, before=before, limit=limit)


def run_allowed(tx: Tx, caller: Caller, id: str) -> tuple[int, model.Run]:
    """A run of a flow the caller may see, with its key. Raises NotFound."""
    found = store.run(tx, id)
    flow_allowed(tx, caller, found[1].flow)
    return found


def records_of(tx: Tx, caller: Caller, id: str, *, after: int, limit: int) -> list[tuple[int, model.RunRecord]]:
    """What a run did not take over, with keys. Raises NotFound."""
    return store.records_of(tx, run_allowed(tx, caller, id)[0], after=after, limit=limit)


async def retry(db: Database, runner: Flows, caller: Caller, id: str, given: dict[str, str]) -> model.RunRecord:
    """Take a record over once more, with what a person has filled in. Raises NotFound, WrongState, Invalid while it still cannot be."""

    def asked(tx: Tx) -> tuple[Any, str]:
        row, run = store.record(tx, id)
        return row, run_allowed(tx, caller, run)[1].flow

    row, flow = await db.read(asked)
    if row.settled_at is not None:
        raise errors.WrongState("This record has been taken over already.")
    if row.source is None or not row.record:
        raise errors.WrongState("What was to be taken over is not kept any more; run the flow again.")
    issues = await runner.once_more(flow, row.record, row.source, given)
    await db.write(store.settle_record, id, issues)
    if issues:
        raise errors.Invalid("The record still cannot be taken over.", issues=issues)
    return await db.read(store.shown_record, id)


def tabs(tx: Tx, caller: Caller, record: model.OurRecord) -> list[model.SystemTab]:
    """What every system the caller may see says of a record of ours, by priority (B4)."""
    linked = dict(links.of_record(tx, record.ours, record.kind))
    said = {one.connection: one for one in store.on_shelves(tx, record.kind, record.ours)}
    found = []
    for key in linked.keys() | said.keys():
        kept = store.by_key(tx, key)
        if not store.may_use(tx, kept, caller.person):
            continue
        document = msgspec.json.decode(said[key].document) if key in said else {}
        settings = sorted(store.adjustments(tx, key, record.kind, "in").fields, key=lambda one: one.rank)
        chosen = [one.field for one in settings if one.is_shown] or [path for path in model.fields_of(record.kind) if "[]" not in path]
        fields = [
            model.TabField(field=path, value=_told(value)) for path in chosen if not mapping.is_empty(value := mapping.get(document, path))
        ]
        tab = model.SystemTab(
            connection=kept.id, connection_name=kept.name, theirs=linked.get(key), changed_at=said[key].changed_at if key in said else None,
            fields=fields,
        )  # fmt: skip
        found.append((kept.priority, kept.pk, tab))
    return [tab for _, _, tab in sorted(found, key=lambda one: one[:2])]


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_told(one)}" for name, one in value.items())
    return ", ".join(map(_told, value)) if isinstance(value, list) else mapping.as_text(value)


def tasks(runner: Flows) -> dict[str, Any]:
    """What this room does by the clock, by kind of task."""

    async def run(flow: str) -> None:
        with contextlib.suppress(errors.NotFound):
            # Whoever ran it before may have died: his lease ends by itself.
            for _ in range(_TRIES):
                if await runner.run(flow) is not Busy:
                    return
                await asyncio.sleep(_A_MOMENT)

    return {flows.FLOW: run}


def task_of(flow: str) -> str:
    """What names a flow on the timetable."""
    return f"{flows.FLOW}:{flow}"


def must_be_sound(kept: Kept, other: Kept | None, new: NewFlow) -> None:
    """Raises Invalid with everything that speaks against a flow."""
    issues = model.flow_faults(_end(kept), _end(other) if other is not None else None, new)
    if other is not None and other.pk == kept.pk:
        issues.append(_fault("same_connection", "A flow leads from one system to another.", "/other"))
    if new.settings.condition and (why := mapping.condition_fault(new.settings.condition)):
        issues.append(_fault("condition_invalid", f"The condition cannot be used: {why}", "/settings/condition"))
    if issues:
        raise errors.Invalid("The flow cannot be set up like this.", issues=issues)


def _end(kept: Kept) -> model.End:
    return connector_of(kept.connector), _read_map(kept.config)


async def _passed(systems: Systems, connector: str, given: Configuration, kept: Kept | None) -> Passed:
    issues, tested, passed = await _tried(systems, connector, given, kept)
    if issues or tested is None or not tested.is_fine or passed is None:
        raise refused(issues + _test_issues(tested))
    return passed


async def _tried(systems: Systems, name: str, given: Configuration, kept: Kept | None) -> tuple[list[Issue], Tested | None, Passed | None]:
    kind = connector_of(name)
    config, issues = read_config(kind.Config, kind.gathered(given.config), _kept_config(systems, kept))
    if config is None:
        return issues, None, None
    grant: KeptGrant | None = None
    if given.grant:
        grant = await systems.db.read(store.grant, given.grant)
    elif kept is not None and kept.grant is not None:
        grant = await systems.db.read(store.grant_by_key, kept.grant)
    if kind.authorizes and (grant is None or grant.sealed is None or grant.connector != name):
        message = f"Somebody has to sign in at {kind.title} first."
        return [_fault("not_authorized", message, "/grant")], None, None
    tested = await systems.trial(name, config, grant).test()
    fields, secrets = apart(config)
    digest = model.config_digest(name, fields | secrets)
    passed = Passed(
        connector=name, config=fields, secrets=secrets, digest=digest, tested=tested, grant=grant.pk if grant is not None else None
    )
    return [], tested, passed


def _kept_config(systems: Systems, kept: Kept | None) -> Any | None:
    if kept is None or not kept.config_digest:
        return None
    try:
        return systems.config(kept)
    except VaultLocked:
        return None


def _test_issues(tested: Tested | TestFindings | None) -> list[Issue]:
    if tested is None or tested.is_fine:
        return []
    return [
        Issue(
            code="test_failed",
            message=check.message,
            params={"field": check.field} if check.field else {},
            pointer=f"/config/{check.field}" if check.field else "/config",
            blocks=True,
        )
        for check in tested.checks
        if not check.is_fine
    ] or [_fault("test_failed", "The test did not pass.", "/config")]


def create(tx: Tx, systems: Systems, caller: Caller, new: NewErpConnection, passed: Passed | None) -> Connection:
    """Make a connection; what has passed its test is kept with it. Raises AlreadyExists, Invalid for members nobody knows."""
    values: dict[str, Any] = {
        "name": new.name.strip(),
        "description": new.description,
        "connector": new.connector,
        "is_for_everyone": new.scope == "everyone",
        "created_by": caller.name,
    }
    kept = store.put(tx, values | (_kept_values(systems, passed) if passed is not None else {}))
    _choose(tx, kept.pk, new.members)
    made = shown(tx, systems, kept)
    _note(tx, caller, kept, f"{caller.name} added the connection {kept.name}.", None, made)
    tell(
        tx, Entry(code="connection.created", message=f"{caller.name} added the connection {kept.name}.", subject=kept.id, actor=caller.name)
    )
    return made


def _configure(tx: Tx, systems: Systems, caller: Caller, id: str, passed: Passed, if_match: str | None) -> Connection:
    kept = allowed(tx, caller, id, lock=True)
    must_match(if_match, etag(id, kept.version))
    before = shown(tx, systems, kept)
    kept = store.change(tx, kept, _kept_values(systems, passed))
    outbox.probe_soon(tx, flows.lane_of(kept.id))
    after = shown(tx, systems, kept)
    _note(tx, caller, kept, f"{caller.name} configured the connection {kept.name}.", before, after)
    return after


def _kept_values(systems: Systems, passed: Passed) -> dict[str, Any]:
    return {
        "config": _write(passed.config).decode(),
        "secrets": systems.vault.seal(_write(passed.secrets).decode()) if passed.secrets else None,
        "config_digest": passed.digest,
        "grant": passed.grant,
        "checks": _write(passed.tested).decode(),
        "tested_at": now(),
    }


def _keep_test(tx: Tx, systems: Systems, caller: Caller, id: str, tested: Tested) -> Connection:
    kept = allowed(tx, caller, id, lock=True)
    kept = store.change(tx, kept, {"checks": _write(tested).decode(), "tested_at": now()})
    if tested.is_fine:
        outbox.probe_soon(tx, flows.lane_of(kept.id))
    return shown(tx, systems, kept)


def _choose(tx: Tx, connection: int, members: Sequence[str]) -> None:
    if strangers := store.set_members(tx, connection, members):
        issues = [_fault("member_unknown", f"There is no user or group {one[:40]}.", "/members") for one in strangers]
        raise errors.Invalid("Not everybody chosen is known here.", issues=issues)


def _plan(tx: Tx, flow: KeptFlow, kept: Kept) -> None:
    """Put a flow on the timetable as its trigger says; what runs by hand only is there, and not due."""
    if not (flow.is_on and kept.is_active) or (flow.trigger == "event" and flow.kind in TOLD_AT_ONCE):
        timetable.drop(tx, task_of(flow.id))
        return
    # Planned anew, because a task that is there keeps the moment of its next run.
    timetable.drop(tx, task_of(flow.id))
    every = {"hand": HAND_ONLY, "event": EVENT_EVERY}.get(flow.trigger, dt.timedelta(seconds=max(flow.every_seconds, 10)))
    timetable.plan(tx, task_of(flow.id), kind=flows.FLOW, subject=flow.id, every=every, at_once=flow.trigger != "hand")


def _flow_missing(tx: Tx, flow: KeptFlow, connector: Connector) -> list[Issue]:
    return _flow_issues(tx, flow, type(connector)) if flow.is_on else []


def _flow_issues(tx: Tx, flow: KeptFlow, kind: type[Connector] | None = None) -> list[Issue]:
    here = store.by_key(tx, flow.connection)
    connector = kind or connectors.known().get(here.connector)
    if connector is None:
        return []
    adjustments = store.adjustments(tx, flow.connection, flow.kind, flow.direction)
    if flow.direction == "in":
        return model.uncovered(flow.kind, adjustments, model.fields_of(flow.kind))
    wire = connector.resources[flow.kind].wire if flow.kind in connector.resources else None
    # What the connector itself always fills counts as covered; what it fills only sometimes is seen record by record.
    return model.uncovered(flow.kind, adjustments, model.always_filled(wire) if wire is not None else [])


def _mapping_and_lists(tx: Tx, connection: int, kind: str, direction: str) -> tuple[Adjustments, dict[str, list[ListEntry]]]:
    return store.adjustments(tx, connection, kind, direction), store.entries(tx, connection)


async def _a_record(connector: Connector, asked: PreviewAsked) -> Any:
    resource = connector.resources[asked.kind]
    found: Any = None
    if asked.record:
        found = await connector.get(asked.kind, asked.record)
        if found is None and "number" in resource.find_by:
            found = await connector.find(asked.kind, "number", asked.record)
            found = found[0] if isinstance(found, Sequence) and found else found
    else:
        async for page in connector.pages(asked.kind, where=asked.settings.where):
            found = page.records[0] if isinstance(page, Records) and page.records else page
            break
    if isinstance(found, Later | Misconfigured | Refused):
        raise _as_refusal(found)
    if found is None or isinstance(found, Records | list):
        raise errors.NotFound(f"There is no such record in {connector.title}.")
    return found


def _connected(systems: Systems, kept: Kept) -> Connector:
    connector = systems.connect(kept)
    if isinstance(connector, Misconfigured):
        raise errors.PartnerNotReady(connector.detail)
    return connector


def _as_refusal(trouble: Later | Misconfigured | Refused) -> errors.Refusal:
    if isinstance(trouble, Refused) and trouble.problem.status == 404:
        return errors.NotFound()
    if isinstance(trouble, Later):
        return errors.PartnerUnreachable(trouble.detail)
    return errors.PartnerNotReady(_said(trouble))


def _said(trouble: Any) -> str:
    if isinstance(trouble, Refused):
        return trouble.problem.detail or trouble.problem.title
    return str(trouble.detail)


def _plain(tree: Any) -> Any:
    return msgspec.to_builtins(tree, enc_hook=write_exact)


def _fault(code: str, message: str, pointer: str) -> Issue:
    return Issue(code=code, message=message, pointer=pointer or None, blocks=True)


def _note(tx: Tx, caller: Caller, kept: Kept, what: str, before: Any, after: Any, *, subject: str = "") -> None:
    note_change(tx, caller.name, "connection", subject or kept.id, what, before, after)
