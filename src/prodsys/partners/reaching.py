"""How a partner's instance is reached."""

import datetime as dt
from collections.abc import Mapping

import msgspec

from prodsys import errors
from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.documents import Issue
from prodsys.kit.outbound import Later, Misconfigured, Network, Outbound, Refused
from prodsys.kit.vault import Secret, Vault, VaultLocked
from prodsys.partners import checking, model
from prodsys.partners.model import Supplier
from prodsys.settings import Settings

_FORGOTTEN = VaultLocked.__doc__ or ""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to speak to a partner: the one way out, the vault with his token, and the networks an operator has opened."""

    out: Outbound
    vault: Vault
    networks: tuple[Network, ...] = ()
    timeout: float = 30.0
    contacts_every: dt.timedelta = dt.timedelta(days=1)
    """How often cards are compared with each supplier."""
    clock: Mapping[str, int] = {}
    """What is asked of every connected supplier by the clock: kind of task, and seconds between."""


def way(out: Outbound, vault: Vault, settings: Settings) -> Way:
    """The way to partners with these settings."""
    return Way(
        out=out,
        vault=vault,
        networks=model.networks_of(settings.allowed_networks),
        timeout=settings.delivery_timeout_seconds,
        contacts_every=dt.timedelta(seconds=settings.contacts_every_seconds),
        clock={"catalogue": settings.catalogue_every_seconds},
    )


def speak(way: Way, supplier: Supplier) -> Prodsys | Misconfigured:
    """A partner's instance, ready to be called with the token he gave us; or why it cannot be."""
    if not supplier.endpoint or supplier.sealed is None:
        return Misconfigured(reason="partner_not_connected", detail=f"{supplier.name} has no connection yet; paste its connection bundle.")
    try:
        token = Secret(way.vault.unseal(supplier.sealed))
    except VaultLocked:
        return Misconfigured(reason="credentials_needed", detail=f"The token of {supplier.name} cannot be opened: {_FORGOTTEN}")
    return Prodsys(way.out, supplier.endpoint, token, trust=supplier.trust, timeout=way.timeout)


def as_refusal(trouble: Later | Misconfigured | Refused) -> errors.Refusal:
    """What a caller of ours hears when a partner could not be asked."""
    if isinstance(trouble, Later):
        return errors.PartnerUnreachable(trouble.detail)
    code = trouble.reason if isinstance(trouble, Misconfigured) else trouble.problem.code or "refused"
    message = checking.said(trouble)
    return errors.PartnerNotReady(message, issues=[Issue(code=code, message=message, blocks=True)])
