"""What becomes of orders that are exported, and the next move of whoever exported them."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.connectors.prodsys.words import Report
from prodsys.documents import Exact, Issue
from prodsys.exchange.outbox import LaneTurn
from prodsys.purchasing.model.orders import OrderPartner

ItemStatus = Literal["queued", "sending", "waiting", "received", "repeated", "held", "sent_by_email", "refused", "dead", "stopped"]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders of an export stand how."""

    queued: int = 0
    sending: int = 0
    waiting: int = 0
    received: int = 0
    repeated: int = 0
    held: int = 0
    sent_by_email: int = 0
    refused: int = 0
    dead: int = 0
    stopped: int = 0

    @property
    def under_way(self) -> int:
        """Those of which something is still to be heard."""
        return self.queued + self.sending + self.waiting


class ExportedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one order of an export, and what to do about it."""

    order: str
    number: str
    partner: OrderPartner | None
    status: ItemStatus
    issues: list[Issue]
    what_to_do: str
    trace_id: str
    delivery: Annotated[str | None, Meta(description="Id of the delivery; null when nothing was sent.")]
    their_id: Annotated[str | None, Meta(description="Id of the supplier's draft, once he has it.")]
    their_page: Annotated[str | None, Meta(description="That draft's page at his instance; null where its address is not safe.")]
    changed_at: dt.datetime
    currency: str
    net: Exact
    attempts: Annotated[int, Meta(description="How often it was tried, while it is under way.")]
    next_attempt_at: Annotated[dt.datetime | None, Meta(description="When it is tried again; null unless it waits.")]


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """A press of *Export to partner*: every order of it, by the page."""

    id: str
    created_at: dt.datetime
    created_by: str
    size: int
    counts: Counts
    is_settled: bool
    items: list[ExportedOrder]
    next: str | None = None


class ExportSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An export as a row of the list."""

    id: str
    created_at: dt.datetime
    created_by: str
    size: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """An export's news: how many stand how, and the orders whose status has changed."""

    counts: Counts
    items: list[ExportedOrder]
    is_settled: bool


class Previewed(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one order. `would` is `unknown` when the supplier could not be asked; `problem` then says why."""

    order: str
    number: str
    partner: OrderPartner | None
    would: Annotated[str, Meta(description="draft | held | refused | email | unknown")]
    issues: list[Issue]
    report: Annotated[Report | None, Meta(description="The supplier's; null when it was not asked.")] = None
    problem: str = ""


_UNRESOLVED = frozenset({"unknown", "ambiguous", "inactive"})


def receipt_status(*, is_new: bool, hows: Collection[str]) -> ItemStatus:
    """How an order that arrived stands in its export; `hows` are the rungs its lines were matched on."""
    if not _UNRESOLVED.isdisjoint(hows):
        return "held"
    return "received" if is_new else "repeated"


_MENDING: Mapping[str, str] = {
    "unauthorized": "The supplier no longer accepts our token: get a new one and enter it under Admin > Integrations > ProdSys to ProdSys.",
    "insufficient_scope": "Our token may not create orders there: ask the supplier for one with PurchaseOrders:Create.",
    "module_off": "ProdSys to ProdSys is switched off there: ask the supplier to switch it on. The order leaves by itself then.",
    "module_off_here": "Switch ProdSys to ProdSys on under Admin > Extensions. The order leaves by itself then.",
    "partner_not_connected": "Enter the supplier's address and token under Admin > Integrations > ProdSys to ProdSys.",
    "partner_inactive": "The supplier is switched off as a partner: switch it on under Admin > Integrations.",
    "vault_locked": "The key that sealed the supplier's token is not here: put its key file back, or enter the token again.",
    "not_prodsys": "The supplier's address leads to something else: check it under Admin > Integrations > ProdSys to ProdSys.",
}


def what_to_do(status: ItemStatus, issues: Sequence[Issue], lane: LaneTurn | None, *, by_mail: bool = False) -> str:
    """The next move, in one or two sentences; empty when there is none."""
    match status:
        case "waiting" if by_mail and lane is not None and lane.state == "stopped":
            return f"{lane.reason} The order leaves by itself then."
        case "waiting" if by_mail:
            return "The mail server takes no mail at the moment. Nothing to do: the order leaves by itself as soon as it does."
        case "dead" if by_mail:
            return "The mail server did not take it in time. Look at its settings, then send the order again."
        case "waiting" if lane is not None and lane.state == "stopped":
            return _MENDING.get(lane.code, f"{lane.reason} Somebody has to mend this; the order leaves by itself then.")
        case "sent_by_email":
            return "It went by e-mail; type in the supplier's answer when it comes."
        case "waiting":
            return "The supplier cannot be reached at the moment. Nothing to do: the order leaves by itself as soon as he can."
        case "held":
            return "The supplier has it, but some lines are unclear there; its order desk decides about them."
        case "refused":
            to_mend = [issue for issue in issues if issue.blocks] or issues
            return to_mend[0].message if len(to_mend) == 1 else f"Mend the {len(to_mend)} points listed, then retry."
        case "stopped":
            return "It was taken back before it left. Retry the export, or export the order again, when it shall go."
        case "dead":
            return "The supplier was not to be reached in time. Check its address and token, then send the order again."
        case _:
            return ""
