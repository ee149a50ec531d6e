"""The words companies exchange: Order, Receipt, MatchReport, Article, Contact, Stock, Invoice, Issue and what they are made of.

Words are those of Peppol Ordering 3 (UBL 2.1) where it has one. What arrives forbids unknown members, so that our own contract cannot
drift silently; what is only answered does not, because its reader may be older than its writer.
"""

import datetime as dt
import hashlib
import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

MAX_LINES = 10_000
MAX_BATCH_LINES = 20_000

_DECIMAL = re.compile(r"-?\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_CENT = Decimal("0.01")
_ROOM = Context(prec=100)
"""Room for the product of three of our longest decimals; the usual 28 digits would round it before we do."""


class Exact(Decimal):
    """A decimal number that travels as JSON text, at most 12 digits before and 6 after the point; never a float."""

    __slots__ = ()
    pattern: ClassVar[str] = r"^-?\d{1,12}(\.\d{1,6})?$"
    rule: ClassVar[str] = 'a decimal number as text, such as "12.50"'
    lowest: ClassVar[Decimal | None] = None
    above: ClassVar[Decimal | None] = None
    highest: ClassVar[Decimal | None] = None

    @classmethod
    def read(cls, text: object) -> "Exact":
        """Take the text of the wire; raises ValueError with the rule for anything else, numbers and NaN included."""
        if not isinstance(text, str):
            raise ValueError(f"Expected {cls.rule}")
        return _read(cls, text)  # type: ignore[arg-type]  # typeshed takes a class for one of its values here


class Quantity(Exact):
    """How many units are meant; more than zero."""

    __slots__ = ()
    pattern = r"^\d{1,12}(\.\d{1,6})?$"
    rule = 'a quantity above zero as text, such as "1200" or "2.5"'
    above = Decimal(0)


class UnitPrice(Exact):
    """A price without VAT per `price_quantity` units; zero or more."""

    __slots__ = ()
    pattern = r"^\d{1,12}(\.\d{1,6})?$"
    rule = 'a price of zero or more as text, such as "129.50"'
    lowest = Decimal(0)


class Percent(Exact):
    """A percentage from 0 to 100."""

    __slots__ = ()
    pattern = r"^\d{1,3}(\.\d{1,6})?$"
    rule = 'a percentage from 0 to 100 as text, such as "2.5"'
    lowest = Decimal(0)
    highest = Decimal(100)


@lru_cache(4096)  # the same quantities and prices come again and again
def _read(kind: type[Exact], text: str) -> Exact:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"Expected {kind.rule}")
    number = kind(text)
    if (
        (kind.above is not None and number <= kind.above)
        or (kind.lowest is not None and number < kind.lowest)
        or (kind.highest is not None and number > kind.highest)
    ):
        raise ValueError(f"Expected {kind.rule}")
    return number


def canonical(number: Decimal) -> str:
    """The one way a number is spelled when numbers are compared or stored: no exponent, no trailing zeros, no plus."""
    text = str(number)
    if text.isdecimal():  # as most quantities are
        return text
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(amount: Decimal) -> Decimal:
    """An amount of money to two decimals, half up."""
    return amount.quantize(_CENT, ROUND_HALF_UP, _ROOM)


def plain(text: str) -> str:
    """A text as it is compared: Unicode NFC, without white space around it. Upper and lower case stay different."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", text).strip()


Words = Annotated[str, Meta(max_length=500)]
ShortWords = Annotated[str, Meta(max_length=120)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
CodeWord = Annotated[str, Meta(max_length=80)]
LongWords = Annotated[str, Meta(max_length=4000)]
OrderNumber = Annotated[str, Meta(min_length=1, max_length=80, description="The buyer's number for the order, text as he spells it.")]
Revision = Annotated[int, Meta(ge=1, le=2_147_483_647, description="1 for the order as first sent; each change sent is the next.")]
Currency = Annotated[str, Meta(min_length=3, max_length=3, description="ISO 4217, in capitals.", examples=["NOK"])]


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something a person must look at: what is true, where, and whether it stops the document."""

    code: Annotated[str, Meta(description="Stable word for programs.", examples=["article_unknown"])]
    message: Annotated[str, Meta(description="What is true and what to do about it, one English sentence.")]
    params: Annotated[dict[str, str], Meta(description="Every value in the sentence, so that it can be said in any language.")] = {}
    pointer: Annotated[str | None, Meta(description="JSON pointer into the document (RFC 6901).", examples=["/lines/0/article_number"])] = (
        None
    )
    blocks: Annotated[bool, Meta(description="True when the document cannot be taken while this stands.")] = False


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a company or a delivery place is."""

    street: Words = ""
    house_number: CodeWord = ""
    street2: Words = ""
    postcode: CodeWord = ""
    city: ShortWords = ""
    region: ShortWords = ""
    country: Annotated[str, Meta(max_length=2, description="ISO 3166-1 alpha-2, in capitals.", examples=["NO"])] = ""


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A contact person."""

    name: Name
    email: ShortWords = ""
    phone: CodeWord = ""


class Party(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A company's card as it travels in a document."""

    name: Name
    organisation_number: CodeWord = ""
    vat_number: CodeWord = ""
    gln: CodeWord = ""
    email: ShortWords = ""
    phone: CodeWord = ""
    address: Address = msgspec.field(default_factory=Address)
    persons: Annotated[list[Person], Meta(max_length=50)] = []


class DeliveryPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where goods are to go."""

    name: Words = ""
    gln: CodeWord = ""
    address: Address = msgspec.field(default_factory=Address)


class Charge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Freight, a fee, or another amount beside the lines, without VAT."""

    description: Words
    amount: Exact


class Attachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file named by its content."""

    name: Name
    media_type: ShortWords
    size: Annotated[int, Meta(ge=0, le=20_000_000, description="Bytes.")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class OrderLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing ordered, or a line of text between the things."""

    line_id: Annotated[
        str, Meta(min_length=1, max_length=40, description="The buyer's, unique in the order, echoed everywhere, never renumbered.")
    ]
    kind: Literal["article", "text"] = "article"
    article_number: Annotated[str, Meta(max_length=80, description="The supplier's article number.")] = ""
    buyer_article_number: CodeWord = ""
    gtin: Annotated[str, Meta(max_length=14)] = ""
    description: Words = ""
    quantity: Quantity | None = None
    unit: Annotated[str, Meta(max_length=20, description="UN/ECE Rec 20 code; common local words are understood.", examples=["H87"])] = ""
    unit_price: UnitPrice | None = None
    price_quantity: Annotated[Quantity, Meta(description="The number of units the price is for.")] = Quantity(1)
    discount_percent: Percent = Percent(0)
    requested_date: dt.date | None = None
    deliver_to: DeliveryPlace | None = None
    note: LongWords = ""

    @property
    def net(self) -> Decimal | None:
        """quantity × unit_price ÷ price_quantity × (1 − discount/100), rounded half up; None while a part is missing, and for a text."""
        if self.quantity is None or self.unit_price is None or self.kind == "text":
            return None
        # Divided last and once: a third of a price times a discount would otherwise fall just below the half that is to be rounded up.
        gross = _ROOM.multiply(_ROOM.multiply(self.quantity, self.unit_price), 100 - self.discount_percent)
        return rounded(_ROOM.divide(gross, _ROOM.multiply(self.price_quantity, Decimal(100))))


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A purchase order as the buyer sends it; prices without VAT."""

    number: OrderNumber
    revision: Revision = 1
    date: dt.date
    currency: Currency
    buyer: Party
    deliver_to: DeliveryPlace | None = None
    requested_date: dt.date | None = None
    buyer_reference: Words = ""
    quote_reference: Words = ""
    payment_terms: Annotated[str, Meta(max_length=80, description='Days as text, such as "30".')] = ""
    delivery_terms: Annotated[str, Meta(max_length=80, description="Incoterms 2020 code, such as DAP.")] = ""
    delivery_place: Words = ""
    note: LongWords = ""
    vat_number: CodeWord = ""
    gln: CodeWord = ""
    charges: Annotated[list[Charge], Meta(max_length=100)] = []
    attachments: Annotated[list[Attachment], Meta(max_length=100)] = []
    lines: Annotated[list[OrderLine], Meta(min_length=1, max_length=MAX_LINES)]

    @property
    def net(self) -> Decimal:
        """The sum of the lines that carry a price, and the charges."""
        return sum((line.net or Decimal(0) for line in self.lines), self.charged)

    @property
    def charged(self) -> Decimal:
        """The sum of the charges."""
        return sum((rounded(charge.amount) for charge in self.charges), Decimal(0))


def control_characters(order: Order) -> list[Issue]:
    """Numbers of an order that hold a line break, a tab or their like: nobody sees them, and nobody could type such a number again."""
    issues = [] if order.number.isprintable() else [_unseen("The order number", order.number, "/number")]
    for at, line in enumerate(order.lines):
        if not (line.line_id.isprintable() and line.article_number.isprintable()):
            issues += [
                _unseen(f"The line id of line {at + 1}", line.line_id, f"/lines/{at}/line_id"),
                _unseen(f"The article number of line {at + 1}", line.article_number, f"/lines/{at}/article_number"),
            ]
    return [issue for issue in issues if issue is not None]


def _unseen(what: str, text: str, pointer: str) -> Issue | None:
    # Blanks around a number do not count, and a blank that is not the usual one can be seen.
    found = next((one for one in plain(text) if unicodedata.category(one) in ("Cc", "Zl", "Zp")), None)
    if found is None:
        return None
    spelled = f"U+{ord(found):04X}"
    message = f"{what} holds the control character {spelled}; send it without."
    return Issue(code="control_character", message=message, params={"character": spelled}, pointer=pointer, blocks=True)


class Delivery(StrEnum):
    """How far the order has travelled."""

    QUEUED = "queued"
    SENDING = "sending"
    WAITING = "waiting"
    RECEIVED = "received"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Validation(StrEnum):
    """What matching said."""

    CLEAN = "clean"
    ISSUES = "issues"
    REFUSED = "refused"


class Acceptance(StrEnum):
    """What the two companies have agreed."""

    OPEN = "open"
    APPROVED = "approved"
    CHANGED = "changed"
    DISPUTED = "disputed"
    AGREED = "agreed"
    REJECTED = "rejected"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"


class Fulfilment(StrEnum):
    """How much of it has moved."""

    NONE = "none"
    PARTLY = "partly"
    SHIPPED = "shipped"
    RECEIVED = "received"


How = Literal["learned", "article_number", "gtin", "by_hand", "text", "unknown", "ambiguous", "inactive"]
"""Which rung of the article ladder held, or why none did."""

ContactHow = Literal["partner_link", "identifier", "name_and_address", "email", "created", "ambiguous", "none"]
"""Which rung of the contact ladder held."""


class ReceiptContact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the supplier knew the buyer."""

    how: ContactHow


class ReceiptLine(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one line."""

    line_id: str
    article_number: str
    how: How


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The supplier's word that it has the order; a repeat gets the same one with `new` false."""

    id: Annotated[str, Meta(description="Addresses the order everywhere at the supplier.", examples=["sd_01KANQ0000000000000000000A"])]
    number: str
    revision: int
    delivery: Delivery
    validation: Validation
    acceptance: Acceptance
    fulfilment: Fulfilment
    epoch: Annotated[str, Meta(description="The supplier instance's life; renewed by a restore.")]
    received_at: dt.datetime
    new: bool
    contact: ReceiptContact
    lines: list[ReceiptLine]
    issues: list[Issue]
    trace_id: str


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """An article a person may have meant; never applied by itself."""

    article_number: str
    name: str
    score: Annotated[int, Meta(description="0 to 100.")]


class MatchedLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line against the supplier's live catalogue."""

    line_id: str
    how: How
    article_number: str = ""
    name: str = ""
    unit: str = ""
    expected_price: UnitPrice | None = None
    expected_price_from: Literal["agreed", "list"] | None = None
    price_difference: Exact | None = None
    price_difference_percent: Exact | None = None
    lead_time_days: int | None = None
    minimum: Quantity | None = None
    multiple: Quantity | None = None
    suggestions: list[Suggestion] = []


class MatchedContact(msgspec.Struct, frozen=True, kw_only=True):
    """How the supplier would know the buyer; of other contacts only how many are similar is told."""

    how: Literal["linked", "matched", "would_create", "ambiguous"]
    similar: int = 0


class MatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to an order if it were sent now; nothing is stored but a log line."""

    number: str
    revision: int
    would: Literal["draft", "held", "refused"]
    contact: MatchedContact
    lines: list[MatchedLine]
    issues: list[Issue]


class Article(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An article as a supplier offers it; without a price where the supplier does not show prices."""

    id: str
    number: str
    is_active: bool
    name: str = ""
    unit: str = ""
    gtin: str = ""
    price: UnitPrice | None = None
    price_quantity: Quantity = Quantity(1)
    currency: str = ""
    lead_time_days: int | None = None
    minimum: Quantity | None = None
    multiple: Quantity | None = None


class AnswerCode(StrEnum):
    """What an answer says of the whole order: AB received, AP accepted, CA accepted with changes, RE rejected (UNCL4343, Peppol T76)."""

    RECEIVED = "AB"
    ACCEPTED = "AP"
    CHANGED = "CA"
    REJECTED = "RE"


class LineAction(StrEnum):
    """What an answer says of one line: 1 added, 3 changed, 5 accepted, 7 not accepted, 42 already delivered (UNCL1229, Peppol T76)."""

    ADDED = "1"
    CHANGED = "3"
    ACCEPTED = "5"
    REJECTED = "7"
    DELIVERED = "42"


class ReasonCode(StrEnum):
    """Why a line is not taken as ordered."""

    OUT_OF_STOCK = "out_of_stock"
    DISCONTINUED = "discontinued"
    PRICE = "price"
    QUANTITY = "quantity"
    DATE = "date"
    OTHER = "other"


class PromisedDelivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """So much of a line on such a day; several of them split a line over several dates."""

    quantity: Quantity
    date: dt.date | None = None


class Substitute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The article the supplier offers instead."""

    article_number: Annotated[str, Meta(min_length=1, max_length=80)]
    name: Words = ""
    unit: Annotated[str, Meta(max_length=20)] = ""


class AnswerLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is answered to one line. With `changed`, only what differs from the order is said."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    action: LineAction
    deliveries: Annotated[list[PromisedDelivery], Meta(max_length=50)] = []
    unit_price: UnitPrice | None = None
    substitute: Substitute | None = None
    back_order: Annotated[Quantity | None, Meta(description="What comes later, without a day yet (MaximumBackorderQuantity).")] = None
    reason_code: Annotated[ReasonCode | None, Meta(description="A changed or refused line has this or `reason`.")] = None
    reason: Words = ""


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer n of a supplier to an order. Only `CA` has lines, and then all of them (Peppol T76, R007-R010)."""

    answer: Annotated[int, Meta(ge=1, description="1 for the first answer; a later one replaces it.")]
    code: AnswerCode
    at: dt.datetime
    order_number: Annotated[str | None, Meta(description="The supplier's own number, from the first acceptance on.")] = None
    reason: Words = ""
    lines: list[AnswerLine] = []


class DespatchLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much of an order line a despatch holds; a negative quantity is a return."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    quantity: Exact
    article_number: CodeWord = ""
    note: Words = ""


class Despatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Goods on their way (Peppol T16)."""

    id: str
    number: CodeWord
    date: dt.date
    lines: list[DespatchLine]
    carrier: ShortWords = ""
    tracking_number: CodeWord = ""
    expected_date: dt.date | None = None
    is_last: Annotated[bool, Meta(description="Nothing more of this order will come.")] = False
    attachments: Annotated[list[Attachment], Meta(max_length=20, description="Delivery notes, certificates: read them by their hash.")] = []


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A few words about an order or one of its lines."""

    id: str
    at: dt.datetime
    author: ShortWords
    text: LongWords
    line_id: CodeWord = ""


MOST_MESSAGES = 1_000
"""What one company may say about one order."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one of the caller's orders, in order and without gaps."""

    position: int
    kind: Annotated[str, Meta(examples=["order.received", "order.approved", "order.rejected"])]
    at: dt.datetime
    id: str
    number: str
    revision: int
    delivery: Delivery
    validation: Validation
    acceptance: Acceptance
    fulfilment: Fulfilment
    order_number: Annotated[str | None, Meta(description="The supplier's own number, given on approval.")] = None
    reason: str | None = None
    answer: Annotated[int, Meta(description="Which answer this is; 0 while there is none.")] = 0
    answered: Annotated[OrderAnswer | None, Meta(description="The answer whole, where the change is an answer.")] = None
    despatch: Annotated[Despatch | None, Meta(description="The despatch, where the change is one.")] = None
    said: Annotated[Message | None, Meta(description="The message, where the change is one.")] = None


class ContactCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer or supplier as one system tells another (UBL Party); `number` is its number in the system it comes from."""

    number: CodeWord = ""
    kind: Annotated[Literal["company", "person"], Meta(description="A company debtor with contact persons, or a private person.")] = (
        "company"
    )
    name: Name
    is_customer: bool = True
    is_supplier: bool = False
    is_active: bool = True
    organisation_number: CodeWord = ""
    vat_number: CodeWord = ""
    gln: CodeWord = ""
    email: ShortWords = ""
    phone: CodeWord = ""
    address: Annotated[Address, Meta(description="Where invoices go.")] = msgspec.field(default_factory=Address)
    deliver_to: DeliveryPlace | None = None
    persons: Annotated[list[Person], Meta(max_length=50)] = []
    currency: Annotated[str, Meta(max_length=3)] = ""
    payment_terms: CodeWord = ""
    payment_method: CodeWord = ""
    customer_class: CodeWord = ""
    tax_code: CodeWord = ""
    language: Annotated[str, Meta(max_length=8)] = ""
    note: LongWords = ""
    attributes: Annotated[dict[str, Words], Meta(max_length=100, description="What one of the systems has beyond this, by name.")] = {}


class ArticleCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An article as one system tells another (UBL Item); `number` is the SKU by which it is created or updated."""

    number: Annotated[str, Meta(min_length=1, max_length=80)]
    kind: Annotated[
        Literal["simple", "virtual", "configurable", "variant"],
        Meta(description="Goods, a service, what has variants, or one of them (then `variant_of` names it)."),
    ] = "simple"
    variant_of: CodeWord = ""
    name: Words = ""
    text: Annotated[LongWords, Meta(description="Short description.")] = ""
    description: Annotated[str, Meta(max_length=20_000, description="Long description.")] = ""
    unit: Annotated[str, Meta(max_length=20)] = ""
    gtin: Annotated[str, Meta(max_length=14)] = ""
    supplier_article_number: CodeWord = ""
    price: Annotated[UnitPrice | None, Meta(description="Without tax, per `price_quantity` units.")] = None
    price_with_tax: UnitPrice | None = None
    price_quantity: Quantity = Quantity(1)
    currency: Annotated[str, Meta(max_length=3)] = ""
    tax_code: CodeWord = ""
    quantity: Annotated[Exact | None, Meta(description="On hand.")] = None
    is_active: bool = True
    categories: Annotated[list[Words], Meta(max_length=100)] = []
    attributes: Annotated[dict[str, Words], Meta(max_length=100, description="What makes variants differ: size, colour.")] = {}
    features: Annotated[dict[str, Words], Meta(max_length=100, description="More to know: origin, type, lead time.")] = {}


class Stock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much of an article there is, at one place or in all."""

    article_number: Annotated[str, Meta(min_length=1, max_length=80)]
    location: CodeWord = ""
    on_hand: Exact | None = None
    reserved: Annotated[Exact | None, Meta(description="Promised to customers already.")] = None
    ordered: Annotated[Exact | None, Meta(description="On its way from suppliers.")] = None
    available: Annotated[Exact | None, Meta(description="What the system itself says is free, or what the flow's formula made of it.")] = (
        None
    )
    is_managed: Annotated[bool | None, Meta(description="Whether the other system should keep count of this article.")] = None


class TradeLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A row of a sales order, a purchase request or an invoice; a charge (shipping, a fee) is a row of its own."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    kind: Literal["article", "text", "charge"] = "article"
    article_number: CodeWord = ""
    supplier_article_number: CodeWord = ""
    gtin: Annotated[str, Meta(max_length=14)] = ""
    description: LongWords = ""
    quantity: Exact | None = None
    unit: Annotated[str, Meta(max_length=20)] = ""
    unit_price: Annotated[Exact | None, Meta(description="Per `price_quantity` units; without tax unless the document says otherwise.")] = (
        None
    )
    price_quantity: Quantity = Quantity(1)
    discount_percent: Percent = Percent(0)
    tax_code: CodeWord = ""
    tax_percent: Percent | None = None
    account: Annotated[str, Meta(max_length=80, description="Revenue or cost account.")] = ""
    requested_date: dt.date | None = None
    note: LongWords = ""

    @property
    def net(self) -> Decimal:
        """quantity × unit_price ÷ price_quantity × (1 − discount/100), rounded half up; 0 for a text."""
        if self.quantity is None or self.unit_price is None or self.kind == "text":
            return Decimal(0)
        gross = _ROOM.multiply(_ROOM.multiply(self.quantity, self.unit_price), 100 - self.discount_percent)
        return rounded(_ROOM.divide(gross, _ROOM.multiply(self.price_quantity, Decimal(100))))


class SalesOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer's order as one system hands it to another; `number` is the one by which it is found again there."""

    number: OrderNumber
    kind: Annotated[Literal["order", "sales_invoice", "invoice"], Meta(description="What the other system is to make of it.")] = "order"
    is_draft: Annotated[bool, Meta(description="Left open for a person, where the system has drafts.")] = True
    date: dt.date
    currency: Currency
    customer: ContactCard
    deliver_to: DeliveryPlace | None = None
    requested_date: dt.date | None = None
    customer_reference: Annotated[str, Meta(max_length=80, description="The customer's own order number (BuyersOrderReference).")] = ""
    status: Annotated[str, Meta(max_length=80, description="The state in the system it comes from, in its own word.")] = ""
    is_paid: bool | None = None
    payment_terms: CodeWord = ""
    payment_method: CodeWord = ""
    delivery_terms: CodeWord = ""
    shipping_method: CodeWord = ""
    employee_number: CodeWord = ""
    branch: CodeWord = ""
    warehouse: CodeWord = ""
    prices_include_tax: bool = False
    discount_percent: Percent = Percent(0)
    note: LongWords = ""
    lines: Annotated[list[TradeLine], Meta(max_length=MAX_LINES)]
    attributes: Annotated[dict[str, Words], Meta(max_length=100)] = {}

    @property
    def net(self) -> Decimal:
        """The sum of its rows, charges included."""
        return sum((line.net for line in self.lines), Decimal(0))


class PurchaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A purchase order of our own ERP that is to be placed with a supplier from here."""

    number: OrderNumber
    date: dt.date
    currency: Currency
    supplier: ContactCard
    deliver_to: DeliveryPlace | None = None
    requested_date: dt.date | None = None
    buyer_reference: Words = ""
    payment_terms: CodeWord = ""
    delivery_terms: CodeWord = ""
    status: CodeWord = ""
    note: LongWords = ""
    lines: Annotated[list[TradeLine], Meta(min_length=1, max_length=MAX_LINES)]
    attributes: Annotated[dict[str, Words], Meta(max_length=100)] = {}


Progress = Literal[
    "open", "confirmed", "in_progress", "partly_shipped", "shipped", "delivered", "invoiced", "on_hold", "cancelled", "unknown"
]


class OrderStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an order stands in the system that carries it out."""

    number: OrderNumber
    status: Annotated[Progress, Meta(description="In words every system shares.")] = "unknown"
    said: Annotated[str, Meta(max_length=120, description="The same in the system's own word.")] = ""
    is_paid: bool | None = None
    carrier: ShortWords = ""
    tracking_number: CodeWord = ""
    invoice_number: CodeWord = ""
    expected_date: dt.date | None = None


class InvoiceDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An invoice nobody has issued yet (UBL Invoice without a number of its series); `number` is the one by which it is found again."""

    number: OrderNumber
    date: dt.date
    due_date: dt.date | None = None
    currency: Currency
    customer: ContactCard
    order_number: CodeWord = ""
    customer_reference: CodeWord = ""
    payment_terms: CodeWord = ""
    payment_method: CodeWord = ""
    prices_include_tax: bool = False
    is_credit: bool = False
    note: LongWords = ""
    lines: Annotated[list[TradeLine], Meta(max_length=MAX_LINES)]
    attributes: Annotated[dict[str, Words], Meta(max_length=100)] = {}


class Invoice(InvoiceDraft, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An issued invoice with its sums, two decimals each."""

    net: Exact = Exact(0)
    tax: Exact = Exact(0)
    gross: Exact = Exact(0)
    paid: Exact | None = None
    status: Annotated[Literal["open", "paid", "cancelled", "unknown"], Meta(description="In words every system shares.")] = "unknown"


class VoucherLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A posting; debit is positive, credit negative."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    account: CodeWord
    amount: Exact
    description: Words = ""
    tax_code: CodeWord = ""
    contact_number: CodeWord = ""
    cost_centre: CodeWord = ""
    project: CodeWord = ""


class Voucher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A financial mutation: postings that balance."""

    number: OrderNumber
    date: dt.date
    currency: Currency
    journal: CodeWord = ""
    description: Words = ""
    lines: Annotated[list[VoucherLine], Meta(min_length=1, max_length=MAX_LINES)]
    attributes: Annotated[dict[str, Words], Meta(max_length=100)] = {}

    @property
    def difference(self) -> Decimal:
        """What debit exceeds credit by; 0 where it balances."""
        return sum((line.amount for line in self.lines), Decimal(0))


def read_exact(kind: type, text: Any) -> Any:
    """The decoding hook for our decimals; hand it to every decoder of our documents."""
    if issubclass(kind, Exact):
        return kind.read(text)
    raise NotImplementedError(kind)


def write_exact(value: Any) -> str:
    """The encoding hook for our decimals: the digits as they were sent."""
    if isinstance(value, Exact):
        return format(value, "f")
    raise NotImplementedError(type(value))


def reader(kind: type[Any]) -> Callable[[bytes | str], Any]:
    """A fast decoder of one of our documents; raises msgspec.ValidationError at the first fault."""
    return msgspec.json.Decoder(kind, dec_hook=read_exact).decode


write: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=write_exact).encode

_LINE_DEFAULTS = {"kind": "article", "price_quantity": "1", "discount_percent": "0"}


def digest(order: Order) -> str:
    """What two orders share when they mean the same, version 1 (rulings.md, 14).

    Taken after NFC, trimming and canonical decimals, with defaults and empty members left out and lines sorted by `line_id`.
    """
    meaning = _meaning(msgspec.to_builtins(order, enc_hook=_canonical_exact))
    for line in meaning["lines"]:
        for member, default in _LINE_DEFAULTS.items():
            if line.get(member) == default:
                del line[member]
    meaning["lines"].sort(key=_line_id)
    return "1:" + hashlib.sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()


def _canonical_exact(value: Any) -> str:
    if isinstance(value, Exact):
        return canonical(value)
    raise NotImplementedError(type(value))


def _line_id(line: dict[str, Any]) -> str:
    return str(line.get("line_id", ""))


def _meaning(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {}
        for key, inner in value.items():
            # Most values are short texts, and a call for each of them would be half the cost of a digest.
            meant = (inner.strip() if inner.isascii() else plain(inner)) if isinstance(inner, str) else _meaning(inner)
            if meant or meant == 0:
                kept[key] = meant
        return kept
    if isinstance(value, list):
        return [_meaning(inner) for inner in value]
    return plain(value) if isinstance(value, str) else value
