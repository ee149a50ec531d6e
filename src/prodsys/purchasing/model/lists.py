"""Purchase orders as rows of a list, and how many there are of them."""

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.documents import Acceptance, Exact, Fulfilment, Validation
from prodsys.purchasing.model.orders import DueDate, OrderPartner, Travelled


class PurchaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase order as a row of the list."""

    id: str
    number: str
    revision: int
    partner: OrderPartner | None
    date: dt.date
    currency: str
    net: Annotated[Exact, Meta(description="Sum of lines and charges, without VAT.")]
    delivery: Travelled
    validation: Annotated[Validation, Meta(description="Ours until it is sent, then the supplier's.")]
    acceptance: Acceptance
    fulfilment: Fulfilment
    answer: Annotated[int, Meta(description="The supplier's newest answer to this revision; 0 while there is none.")]
    agreed_revision: Annotated[int, Meta(description="The revision both companies stand by; 0 while there is none.")]
    agreed_net: Annotated[
        Exact | None, Meta(description="What both companies stand by comes to, `net` being as ordered; null: nothing yet.")
    ]
    due_date: DueDate
    issue_count: int
    their_order_number: str
    reason: str
    trace_id: str
    changed_at: dt.datetime
    etag: str


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How much a list holds, counted up to a thousand orders; `is_more` says that there are more. Sums by currency."""

    count: int
    is_more: bool
    net: dict[str, Exact]


class FollowUpCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders a list of *Follow-up* holds, counted up to a thousand; `is_more` says that there are more."""

    count: int
    is_more: bool


class FollowUpCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders somebody should look at, and why."""

    not_answered: FollowUpCount
    changed_waiting_for_me: FollowUpCount
    promised_late: FollowUpCount
    overdue: FollowUpCount
    partly_received: FollowUpCount
