"""What somebody is answered when the other system cannot be asked."""

from typing import Any

from prodsys import errors
from prodsys.connections.reaching import Systems
from prodsys.connections.store.connections import Kept
from prodsys.connectors._base import Connector, Later, Misconfigured, Refused


def connected(systems: Systems, kept: Kept) -> Connector:
    """A connector ready to be asked. Raises PartnerNotReady."""
    connector = systems.connect(kept)
    if isinstance(connector, Misconfigured):
        raise errors.PartnerNotReady(connector.detail)
    return connector


def as_refusal(trouble: Later | Misconfigured | Refused) -> errors.Refusal:
    """What is raised when the other system did not answer as asked."""
    if isinstance(trouble, Refused) and trouble.problem.status == 404:
        return errors.NotFound()
    if isinstance(trouble, Later):
        return errors.PartnerUnreachable(trouble.detail)
    return errors.PartnerNotReady(said(trouble))


def said(trouble: Any) -> str:
    """The other system's own words for what went wrong."""
    if isinstance(trouble, Refused):
        return trouble.problem.detail or trouble.problem.title
    return str(trouble.detail)
