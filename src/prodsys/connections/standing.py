"""How a connection stands, for whoever may use it."""

from typing import Any

import msgspec

from prodsys import connectors
from prodsys.connections import model, store
from prodsys.connections.model import Connection, TestFindings, fault
from prodsys.connections.reaching import Systems, masked, read_form
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.flows import KeptFlow
from prodsys.connections.wording import said_of
from prodsys.connectors._base import Connector, Misconfigured, Resource, Tested
from prodsys.documents import Issue
from prodsys.kit.db import Tx
from prodsys.kit.vault import MASK, VaultLocked
from prodsys.logs.store import note_change
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on
from prodsys.scopes import Caller

_read_tested = msgspec.json.Decoder(TestFindings).decode


def allowed(tx: Tx, caller: Caller, id: str, *, lock: bool = False) -> Kept:
    """A connection the caller may use. Raises NotFound for one that is not there, and for one that is not for him (B2)."""
    kept = store.connections.one(tx, id, lock=lock)
    if not store.connections.may_use(tx, kept, caller.person):
        raise store.connections.no_connection(id)
    return kept


def shown(tx: Tx, systems: Systems, kept: Kept) -> Connection:
    """A connection as an admin sees it."""
    kind = connectors.known().get(kept.connector)
    secrets: dict[str, str] = {}
    if kept.secrets is not None:
        try:
            secrets = read_form(systems.vault.unseal(kept.secrets))
        except VaultLocked:
            secrets = {}
    is_authorized = None
    if kind is not None and kind.authorizes:
        is_authorized = kept.grant is not None and store.grants.by_key(tx, kept.grant).sealed is not None
    return Connection(
        id=kept.id,
        name=kept.name,
        description=kept.description,
        connector=kept.connector,
        connector_title=kind.title if kind is not None else kept.connector,
        scope="everyone" if kept.is_for_everyone else "chosen",
        members=store.members.members_of(tx, [kept.pk]).get(kept.pk, []),
        config=masked(read_form(kept.config), secrets, MASK),
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
        issues.append(fault("module_off", "The module ERP connections is switched off; switch it on under Admin > Extensions.", ""))
    connector = systems.connect(kept)
    if isinstance(connector, Misconfigured):
        return [*issues, fault(connector.reason, connector.detail, "/config")]
    tested = _read_tested(kept.checks) if kept.checks else None
    if tested is None or not tested.is_fine:
        issues += test_issues(tested) or [fault("not_tested", "The connection has not been tested yet.", "/config")]
    for flow in store.flows.flows_of(tx, kept.pk):
        issues += _flow_missing(tx, flow, connector)
    return issues


def test_issues(tested: Tested | TestFindings | None) -> list[Issue]:
    """What a test found against the form, field by field; nothing where there was no test, or it passed."""
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
    ] or [fault("test_failed", "The test did not pass.", "/config")]


def _flow_missing(tx: Tx, flow: KeptFlow, connector: Connector) -> list[Issue]:
    return flow_issues(tx, flow, type(connector)) if flow.is_on else []


def flow_issues(tx: Tx, flow: KeptFlow, kind: type[Connector] | None = None) -> list[Issue]:
    """What a flow demands of each record and has no source for."""
    here = store.connections.by_key(tx, flow.connection)
    connector: type[Connector] | None = kind or connectors.known().get(here.connector)
    if connector is None:
        return []
    adjustments = store.mappings.adjustments(tx, flow.connection, flow.kind, flow.direction)
    if flow.direction == "in":
        resource = connector.resources.get(flow.kind, Resource())
        needed = model.needed_by_us(flow.kind, flow.settings, adjustments) if flow.other is None else adjustments
        return model.uncovered(flow.kind, needed, [field for field in model.fields_of(flow.kind) if field not in resource.lacks])
    # What the connector itself always fills counts as covered; what it fills only sometimes is seen record by record.
    return model.uncovered(flow.kind, adjustments, said_of(connector, flow.kind).always)


def note(tx: Tx, caller: Caller, kept: Kept, what: str, before: Any, after: Any, *, subject: str = "") -> None:
    """Keep who changed what of a connection."""
    note_change(tx, caller.name, "connection", subject or kept.id, what, before, after)
