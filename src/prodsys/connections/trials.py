"""Try a connection out, before it is saved and ever after."""

from typing import Any

import msgspec

from prodsys import connectors
from prodsys.connections import events, model, store
from prodsys.connections.model import Configuration, Connection, NewErpConnection, TestFinding, TestResult, ToTest, fault
from prodsys.connections.reaching import Systems, apart, connector_of, refused, write_form
from prodsys.connections.standing import allowed, shown, test_issues
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.grants import KeptGrant
from prodsys.connections.troubles import as_refusal
from prodsys.connectors._base import Check, Connector, Later, Misconfigured, Refused, Tested, read_config
from prodsys.documents import Issue
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.vault import VaultLocked
from prodsys.scopes import Caller


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A filled form whose test has passed, ready to be kept."""

    connector: str
    config: dict[str, Any]
    secrets: dict[str, str]
    digest: str
    tested: Tested
    grant: int | None


async def described(systems: Systems, name: str, given: dict[str, Any], kept: Kept | None = None) -> model.ConnectorShown:
    """A connector with the form its system describes, asked now; nothing is kept. What is left out is as in a connection that is there.

    Raises NotFound, Invalid, PartnerUnreachable.
    """
    kind, saved = connector_of(name), kept_form(systems, kept)
    config, issues = read_config(kind.Config, kind.gathered(given, saved), saved)
    if config is None:
        raise refused(issues, "The system cannot be asked for its fields yet.")
    found = await systems.trial(name, config, None).with_own_form()
    if isinstance(found, Later | Misconfigured | Refused):
        raise as_refusal(found)
    return model.shown(name, found)


def describes_itself(name: str) -> bool:
    """Whether the systems behind a connector have fields of their own, which they tell when asked. Raises NotFound."""
    return connector_of(name).with_own_form is not Connector.with_own_form


def own_values(systems: Systems, kept: Kept) -> dict[str, Any]:
    """What a connection's kept form says in the fields its system has of its own, secrets among them."""
    saved = kept_form(systems, kept)
    return {} if saved is None else connector_of(kept.connector).spread(saved)


async def test(systems: Systems, caller: Caller, asked: ToTest) -> TestResult:
    """Try a filled form out, and say of every field that is at fault why; nothing is saved. Raises NotFound."""
    kept = await systems.db.read(allowed, caller, asked.connection) if asked.connection else None
    issues, tested, _ = await _tried(systems, asked.connector, asked, kept)
    checks = [TestFinding(field=one.field, is_fine=one.is_fine, message=one.message) for one in tested.checks] if tested is not None else []
    is_fine = tested is not None and tested.is_fine and not issues
    return TestResult(is_fine=is_fine, checks=checks, missing=issues + test_issues(tested), may_be_saved=is_fine)


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
        raise refused([fault("connector_unknown", f"There is no connector {new.connector[:60]}.", "/connector")])
    if kind.is_partner:
        raise refused([fault("connector_is_partner", "A partner's ProdSys is connected under partners.", "/connector")])
    if new.config is None:
        return None
    return await must_pass(systems, new.connector, Configuration(config=new.config, grant=new.grant), None)


async def must_pass(systems: Systems, connector: str, given: Configuration, kept: Kept | None) -> Passed:
    """Test a filled form. Raises Invalid with every reason per field where it does not pass."""
    issues, tested, passed = await _tried(systems, connector, given, kept)
    if issues or tested is None or not tested.is_fine or passed is None:
        raise refused(issues + test_issues(tested))
    return passed


async def _tried(systems: Systems, name: str, given: Configuration, kept: Kept | None) -> tuple[list[Issue], Tested | None, Passed | None]:
    kind = connector_of(name)
    saved = kept_form(systems, kept)
    config, issues = read_config(kind.Config, kind.gathered(given.config, saved), saved)
    if config is None:
        return issues, None, None
    grant: KeptGrant | None = None
    if given.grant:
        grant = await systems.db.read(store.grants.grant, given.grant)
    elif kept is not None and kept.grant is not None:
        grant = await systems.db.read(store.grants.by_key, kept.grant)
    if kind.authorizes and (grant is None or grant.sealed is None or grant.connector != name):
        message = f"Somebody has to sign in at {kind.title} first."
        return [fault("not_authorized", message, "/grant")], None, None
    tested = await systems.trial(name, config, grant).test()
    fields, secrets = apart(config)
    digest = model.config_digest(name, fields | secrets)
    passed = Passed(
        connector=name, config=fields, secrets=secrets, digest=digest, tested=tested, grant=grant.pk if grant is not None else None
    )
    return [], tested, passed


def kept_form(systems: Systems, kept: Kept | None) -> Any | None:
    """The form as it was saved last; None where there is none, or its secrets cannot be read any more."""
    if kept is None or not kept.config_digest:
        return None
    try:
        return systems.config(kept)
    except VaultLocked:
        return None


def kept_values(systems: Systems, passed: Passed) -> dict[str, Any]:
    """The columns of a connection whose form has passed."""
    return {
        "config": write_form(passed.config).decode(),
        "secrets": systems.vault.seal(write_form(passed.secrets).decode()) if passed.secrets else None,
        "config_digest": passed.digest,
        "grant": passed.grant,
        "checks": write_form(passed.tested).decode(),
        "tested_at": now(),
    }


def _keep_test(tx: Tx, systems: Systems, caller: Caller, id: str, tested: Tested) -> Connection:
    kept = allowed(tx, caller, id, lock=True)
    kept = store.connections.change(tx, kept, {"checks": write_form(tested).decode(), "tested_at": now()})
    if tested.is_fine:
        outbox.probe_soon(tx, events.lane_of(kept.id))
    return shown(tx, systems, kept)
