"""What a partner's ProdSys says, in words of ours that no version of theirs can break."""

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.documents import Despatch, Issue, Message, Order, OrderAnswer, Party
from prodsys.kit.outbound import Later, Misconfigured, Refused
from prodsys.kit.vault import Secret

Trouble = Later | Misconfigured | Refused
"""Why a call brought no answer we can use."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be sent: its JSON exactly as it was promised, and the trace it belongs to."""

    document: str
    traceparent: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Their word that they have an order; the states are texts, because their version may know words ours does not."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    number: str
    revision: int
    new: bool
    delivery: str = "received"
    validation: str = "clean"
    acceptance: str = "open"
    fulfilment: str = "none"
    epoch: str = ""
    received_at: dt.datetime | None = None
    trace_id: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """They have the order. `answer` is their Receipt as they wrote it, `receipt` what we read in it."""

    receipt: Receipt
    answer: bytes


Sent = Taken | Refused | Later | Misconfigured
"""What became of one order."""


class TheirToken(msgspec.Struct, frozen=True, kw_only=True):
    """What they say of the token we called with."""

    scopes: list[str] = []
    expires_at: dt.datetime | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The card they keep of us, and the ETag of its state."""

    id: str
    card: Party
    etag: str


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """Who they are, what they speak, and what our token is worth there. `clock` is the time their answer bore, if any."""

    card: Party
    token: TheirToken
    version: str = ""
    epoch: str = ""
    document_versions: list[str] = []
    modules: frozenset[str] | None = None
    """Their extensions that are switched on; None when they do not say."""
    clock: dt.datetime | None = None
    etag: str = ""
    tells_record: bool = False
    """Whether its answer, and so its ETag, covers the card they keep of us; older ones are asked for it."""
    record: Record | None = None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle's code was exchanged for."""

    token: Secret
    scopes: list[str]
    expires_at: dt.datetime
    card: Party | None


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The successor of the token we called with."""

    token: Secret
    scopes: list[str]
    expires_at: dt.datetime


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """Our address as they will call it, and what they sign by."""

    id: str
    secret: Secret


class ReportSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """An article a person may have meant."""

    article_number: str
    name: str = ""
    score: int = 0


class ReportLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line against their live catalogue; numbers stay texts."""

    line_id: str
    how: str
    article_number: str = ""
    name: str = ""
    unit: str = ""
    expected_price: str | None = None
    expected_price_from: str | None = None
    price_difference: str | None = None
    price_difference_percent: str | None = None
    lead_time_days: int | None = None
    minimum: str | None = None
    multiple: str | None = None
    suggestions: list[ReportSuggestion] = []


class ReportContact(msgspec.Struct, frozen=True, kw_only=True):
    """How they would know us."""

    how: str
    similar: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to an order if it were sent now: documents.MatchReport as read from another version."""

    number: str
    revision: int
    would: str
    contact: ReportContact
    lines: list[ReportLine]
    issues: list[Issue] = []


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one of our orders there: documents.Change as read from another version."""

    position: int
    kind: str
    id: str
    number: str
    revision: int
    at: dt.datetime | None = None
    delivery: str = ""
    validation: str = ""
    acceptance: str = ""
    fulfilment: str = ""
    order_number: str | None = None
    reason: str | None = None
    answer: int = 0
    answered: OrderAnswer | None = None
    despatch: Despatch | None = None
    said: Message | None = None
    is_cut: bool = False
    """Whether it came with an answer, despatch or message that we cannot read, so that only its states are known."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the feed of our orders; `next` is where to go on, also when nothing new has happened."""

    items: list[Change]
    next: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """They have heard a word of ours about an order. `acceptance` is how it stands there now, empty where they do not say."""

    acceptance: str = ""
    answer: int = 0


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """An article they offer us; a retired one is its number alone."""

    number: str
    is_active: bool
    id: str = ""
    name: str = ""
    unit: str = ""
    gtin: str = ""
    price: str | None = None
    price_quantity: str = "1"
    currency: str = ""
    lead_time_days: int | None = None
    minimum: str | None = None
    multiple: str | None = None


class Articles(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the change feed of their catalogue."""

    items: list[Article]
    next: str | None = None


class MatchedNumber(msgspec.Struct, frozen=True, kw_only=True):
    """What one article number means to them."""

    number: str
    how: str


class TheirOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as it stands there."""

    id: str
    number: str
    revision: int
    delivery: str = ""
    validation: str = ""
    acceptance: str = ""
    fulfilment: str = ""
    trace_id: str = ""
    answer: int = 0
    order_number: str | None = None
    reason: str | None = None


class OrderThere(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as comparing finds it there."""

    id: Annotated[str, Meta(min_length=1, max_length=100)] = ""
    number: str
    revision: int
    digest: str = ""
    answer: int = 0


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How a stretch of our orders stands against theirs; `through` is how far they compared, None to the end."""

    missing: list[OrderThere] = []
    differs: list[OrderThere] = []
    behind: list[OrderThere] = []
    others: list[OrderThere] = []
    through: str | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as they hold it, with all that came of it; `order` is None where they do not say what we can read."""

    order: Order | None
    their: TheirOrder
    received_at: dt.datetime | None = None
    answered: OrderAnswer | None = None
    despatches: list[Despatch] = []
    messages: list[Message] = []


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a card we offered: `open` waits for a person there, `taken` holds, `unchanged` was so already."""

    state: str = "open"
    taken: list[str] = []


class Same(msgspec.Struct, frozen=True):
    """Nothing has changed since the ETag we named."""


class Stale(msgspec.Struct, frozen=True):
    """It has changed since the ETag we named; read it again."""


class CursorGone(msgspec.Struct, frozen=True):
    """The cursor belongs to another life of theirs, or what it points to has been purged: list again and reconcile (rulings.md, 8)."""
