"""A purchase order whole, as it is shown: what it says, where it is, and what the supplier said."""

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.documents import (
    Acceptance,
    Attachment,
    Charge,
    DeliveryPlace,
    Exact,
    Fulfilment,
    Issue,
    Percent,
    Quantity,
    UnitPrice,
    Validation,
)
from prodsys.purchasing.model.goods import PurchaseDespatch
from prodsys.purchasing.terms import AnsweredOrder

Travelled = Literal["not_sent", "queued", "sending", "waiting", "received", "sent_by_email", "failed", "unknown"]
"""How far an order has travelled: ruling 17's words, and `not_sent` before its first step and after a change."""

DueDate = Annotated[
    dt.date | None, Meta(description="When the next of it should be here; null when no day is known or nothing more comes.")
]


class OrderPartner(msgspec.Struct, frozen=True, kw_only=True):
    """The supplier an order goes to."""

    id: str
    name: str


class PurchaseLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line as it stands in the order; `article` is the id of ours, `article_number` the supplier's number."""

    line_id: str
    kind: Literal["article", "text"] = "article"
    article: str | None = None
    article_number: str = ""
    buyer_article_number: str = ""
    gtin: str = ""
    description: str = ""
    quantity: Quantity | None = None
    unit: str = ""
    unit_price: UnitPrice | None = None
    price_quantity: Quantity = Quantity(1)
    discount_percent: Percent = Percent(0)
    requested_date: dt.date | None = None
    deliver_to: DeliveryPlace | None = None
    note: str = ""
    net: Exact | None = None
    despatched: Annotated[Exact, Meta(description="How much of it the supplier says has left.")] = Exact(0)
    received: Annotated[Exact, Meta(description="How much of it has been booked in here.")] = Exact(0)


class OrderMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A few words about the order or one of its lines, by either company."""

    id: str
    at: dt.datetime
    author: str
    text: str
    line_id: str
    state: Annotated[Literal["heard", "queued", "sent", "failed"], Meta(description="`heard` is the supplier's; the others are ours.")]


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an order, as the integration logs have it."""

    at: dt.datetime
    code: str
    message: str
    level: str
    actor: str
    trace_id: str


class AgreedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What both companies stand by, where it is not the present order as ordered: an answer that was accepted, an earlier revision."""

    revision: int
    date: dt.date
    net: Exact
    lines: Annotated[list[PurchaseLine], Meta(description="As agreed; a line the supplier did not take is left out.")]
    answered: Annotated[AnsweredOrder | None, Meta(description="The answer that was accepted, beside what was ordered; null: as ordered.")]


class OrderWait(msgspec.Struct, frozen=True, kw_only=True):
    """Why an order waits to leave: its supplier, or the mail server, cannot be reached, or somebody has to mend something."""

    code: str
    reason: str
    since: dt.datetime
    tried_again_at: dt.datetime | None


class PurchaseOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase order whole: what it says, where it is, and what the supplier said."""

    id: str
    number: str
    revision: int
    partner: OrderPartner | None
    date: dt.date
    currency: str
    net: Annotated[Exact, Meta(description="Sum of lines and charges, without VAT.")]
    deliver_to: DeliveryPlace | None
    requested_date: dt.date | None
    buyer_reference: str
    quote_reference: str
    payment_terms: str
    delivery_terms: str
    delivery_place: str
    note: str
    charges: list[Charge]
    attachments: list[Attachment]
    lines: list[PurchaseLine]
    delivery: Travelled
    waits: Annotated[OrderWait | None, Meta(description="Where delivery is `waiting`: why, and when it is tried again.")]
    validation: Annotated[Validation, Meta(description="Ours until it is sent, then the supplier's.")]
    acceptance: Acceptance
    fulfilment: Fulfilment
    issues: list[Issue]
    answer: Annotated[int, Meta(description="The supplier's newest answer to this revision; 0 while there is none.")]
    answered: Annotated[AnsweredOrder | None, Meta(description="That answer beside the order, line by line.")]
    agreed_revision: Annotated[int, Meta(description="The revision both companies stand by; 0 while there is none.")]
    agreed: Annotated[AgreedOrder | None, Meta(description="What is agreed, where that is not the present revision as ordered.")]
    is_word_on_its_way: Annotated[bool, Meta(description="Our word on the answer, or our cancellation, has not reached the supplier yet.")]
    due_date: DueDate
    despatches: list[PurchaseDespatch]
    messages: list[OrderMessage]
    history: Annotated[list[Happened], Meta(description="What happened to it, newest first; the latest hundred.")]
    their_id: str | None
    their_order_number: str
    reason: Annotated[str, Meta(description="Why it was rejected, disputed or not cancelled.")]
    trace_id: str
    created_at: dt.datetime
    created_by: str
    changed_at: dt.datetime
    sent_at: dt.datetime | None
    etag: str
