"""How a supplier's instance is reached, and what keeps us from trying."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.connectors.prodsys.words import Sending
from prodsys.exchange import timetable
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.outbound import Later, Misconfigured, Outbound
from prodsys.kit.vault import Secret, Vault
from prodsys.modules.store import is_on
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier, ready
from prodsys.scopes import PRODSYS_MODULE
from prodsys.settings import Settings

ANSWERS = "answers"
"""The kind of task that asks a supplier for answers; its subject is the partner's id."""


class Abroad(Protocol):
    """A supplier's instance as this room speaks to it; `connectors.prodsys.instance.Prodsys` is one."""

    async def send(self, orders: Sequence[Sending], /) -> list[Any]: ...
    async def preview(self, orders: Sequence[str], /) -> Any: ...
    async def changes(self, after: str | None, /) -> Any: ...
    async def digests(self, orders: Sequence[Mapping[str, Any]], after: str, through: str | None, since: str, /) -> Any: ...
    async def held(self, id: str, /) -> Any: ...
    async def has_attachment(self, sha256: str, /) -> Any: ...
    async def attachment(self, sha256: str, size: int, /) -> Any: ...
    async def attach(self, sha256: str, content: bytes, /) -> Any: ...
    async def accept(self, id: str, word: str, traceparent: str, /) -> Any: ...
    async def cancel(self, id: str, word: str, traceparent: str, /) -> Any: ...
    async def say(self, id: str, word: str, traceparent: str, /) -> Any: ...


Reach = Callable[[Supplier], Abroad]
"""How a supplier is reached. Raises VaultLocked when his token cannot be unsealed."""


def reach_by(out: Outbound, vault: Vault, settings: Settings) -> Reach:
    """Reach suppliers over the network, with the token each of them gave us."""

    def reach(supplier: Supplier) -> Abroad:
        token = None if supplier.sealed is None else Secret(vault.unseal(supplier.sealed))
        return Prodsys(out, supplier.endpoint, token, trust=supplier.trust, timeout=settings.delivery_timeout_seconds)

    return reach


GONE = Misconfigured(reason="partner_not_connected", detail="This supplier is not a partner any more.")
STOPS = {"module_off": "module_off_here", "partner_inactive": "partner_inactive", "partner_not_connected": "partner_not_connected"}
"""What stops a delivery here; a token that looks expired is tried all the same, since only the supplier knows."""
STOPS_HEARING = {code: reason for code, reason in STOPS.items() if code != "module_off"}
"""With the module off nothing is sent, but what was sent is still heard of (product.md, A3)."""


def reachable(tx: Tx, lane: str, stops: Mapping[str, str]) -> tuple[Supplier | None, Misconfigured | None]:
    supplier = partners.supplier_named(tx, lane)
    if supplier is None:
        return None, GONE
    for issue in ready(supplier, is_on(tx, PRODSYS_MODULE), now()):
        if issue.code in stops:
            return supplier, Misconfigured(reason=stops[issue.code], detail=issue.message)
    return supplier, None


def said(trouble: Later | Misconfigured | outbound.Refused) -> str:
    return trouble.problem.detail or trouble.problem.title if isinstance(trouble, outbound.Refused) else trouble.detail


def plan_answers(tx: Tx, partner: str, every_seconds: int, *, soon: bool = False) -> None:
    """From now on ask this supplier (by id) for answers, by the clock; planning it again changes only how often, and *soon* asks now."""
    timetable.plan(tx, f"{ANSWERS}:{partner}", kind=ANSWERS, subject=partner, every=dt.timedelta(seconds=every_seconds))
    if soon:
        ask_soon(tx, partner)


def ask_soon(tx: Tx, partner: str) -> None:
    """Ask this supplier (by id) for answers now instead of at the next minute."""
    timetable.hurry(tx, f"{ANSWERS}:{partner}")
