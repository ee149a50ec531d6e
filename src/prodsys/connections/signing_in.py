"""Somebody signs in at the other system, and lets us in."""

import datetime as dt
from typing import Any

from prodsys import errors
from prodsys.connections import model, store
from prodsys.connections.model import Authorization, Authorize
from prodsys.connections.reaching import Systems, apart, connector_of, refused, write_form, written_grant
from prodsys.connections.standing import allowed
from prodsys.connections.trials import kept_form
from prodsys.connections.troubles import said
from prodsys.connectors._base import Grant, read_config
from prodsys.connectors._rest import new_state, state_digest
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.scopes import Caller

SIGN_IN = dt.timedelta(minutes=30)


def begin_sign_in(tx: Tx, systems: Systems, caller: Caller, wanted: Authorize, config: Any) -> tuple[str, str]:
    """Begin a sign-in at the other system: the id of the grant, and the state that ties its end to it."""
    state = new_state()
    fields, secrets = apart(config)
    form = systems.vault.seal(write_form(fields | secrets).decode())
    values = {
        "connector": wanted.connector,
        "form": form,
        "config_digest": model.config_digest(wanted.connector, fields | secrets),
        "state": state_digest(state),
        "expires_at": now() + SIGN_IN,
        "created_by": caller.name,
    }
    return store.grants.put(tx, values), state


async def authorize(systems: Systems, caller: Caller, wanted: Authorize) -> Authorization:
    """Where somebody signs in at the other system. Raises Invalid with every field at fault, WrongState where nobody has to sign in."""
    kind = connector_of(wanted.connector)
    if not kind.authorizes:
        raise errors.WrongState(f"Nobody signs in at {kind.title}; fill in the form and test it.")
    kept = await systems.db.read(allowed, caller, wanted.connection) if wanted.connection else None
    config, issues = read_config(kind.Config, wanted.config, kept_form(systems, kept))
    if config is None:
        raise refused(issues)
    made, state = await systems.db.write(begin_sign_in, systems, caller, wanted, config)
    grant = await systems.db.read(store.grants.grant, made)
    url = systems.trial(wanted.connector, config, grant).authorize_url(state)
    return Authorization(id=made, url=url, is_authorized=False, expires_at=grant.expires_at)


async def authorized(systems: Systems, code: str, state: str) -> str:
    """End a sign-in with the code the other system sent along; the id of the grant. Raises NotFound, WrongState."""
    grant = await systems.db.read(store.grants.by_state, state_digest(state))
    config = systems.form_of(grant)
    if config is None:
        raise errors.WrongState("The connector asks for other fields now; begin again.")
    brought = await systems.trial(grant.connector, config, grant).authorized(code)
    if not isinstance(brought, Grant):
        raise errors.WrongState(f"The other system did not let us in: {said(brought)}")
    await systems.db.write(store.grants.keep, grant.pk, systems.vault.seal(written_grant(brought)), end_sign_in=True)
    return grant.id


def authorization(tx: Tx, id: str) -> Authorization:
    """How a sign-in stands. Raises NotFound."""
    grant = store.grants.grant(tx, id)
    return Authorization(id=id, url="", is_authorized=grant.sealed is not None, expires_at=grant.expires_at)
