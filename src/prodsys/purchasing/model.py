"""What a purchase order is, which steps it may take, and what a person must look at before and after it leaves."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from prodsys import codes, errors
from prodsys.connectors.prodsys.words import Report
from prodsys.documents import (
    Acceptance,
    Attachment,
    Charge,
    CodeWord,
    Currency,
    DeliveryPlace,
    DespatchLine,
    Exact,
    Fulfilment,
    Issue,
    LongWords,
    Order,
    OrderLine,
    OrderNumber,
    Party,
    Percent,
    Quantity,
    UnitPrice,
    Validation,
    Words,
    plain,
)
from prodsys.exchange.engine import Refused
from prodsys.exchange.outbox import LaneTurn
from prodsys.purchasing.terms import AnsweredOrder

E = TypeVar("E", bound=Exact)

MOST_ORDERS = 20_000
"""Orders one export may hold."""
AT_ONCE = 500
"""Up to so many orders an export is promised in the unit that asks for it; more leave in chunks."""
CHUNK = 1_000
MOST_PREVIEWED = 2_000
MOST_NET = Decimal(10) ** 12
MOST_LOGGED = 100
"""Issues of one refused order that get a log line of their own; the rest stand in the order's."""

Travelled = Literal["not_sent", "queued", "sending", "waiting", "received", "sent_by_email", "failed", "unknown"]
"""How far an order has travelled: ruling 17's words, and `not_sent` before its first step and after a change."""

ItemStatus = Literal["queued", "sending", "waiting", "received", "repeated", "held", "sent_by_email", "refused", "dead", "stopped"]
Verb = Literal["change", "delete", "export", "send_again"]

STEPS: Mapping[str, frozenset[Verb]] = {
    "not_sent": frozenset({"change", "delete", "export"}),
    "queued": frozenset(),
    "sending": frozenset(),
    "waiting": frozenset(),
    "received": frozenset({"change"}),
    "failed": frozenset({"change", "export", "send_again"}),
    "unknown": frozenset({"change", "export", "send_again"}),
}
"""Which verb fits which state of delivery. Copying always fits; deleting also asks that nothing was ever sent."""

_UNRESOLVED = frozenset({"unknown", "ambiguous", "inactive"})
_KNOWN_THERE = frozenset({"order_conflict", "revision_superseded"})


class NewLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line as somebody writes it. Naming an article of ours fills in what is left empty: the supplier's number, unit, description."""

    line_id: Annotated[str, Meta(max_length=40, description="Kept for ever once given; empty for a new line.")] = ""
    kind: Literal["article", "text"] = "article"
    article: Annotated[str, Meta(max_length=80, description="Ours, by id or number.")] = ""
    article_number: Annotated[str, Meta(max_length=80, description="The supplier's; wins over the one on file.")] = ""
    buyer_article_number: CodeWord = ""
    gtin: Annotated[str, Meta(max_length=14)] = ""
    description: Words = ""
    quantity: Quantity | None = None
    unit: Annotated[str, Meta(max_length=20)] = ""
    unit_price: UnitPrice | None = None
    price_quantity: Quantity = Quantity(1)
    discount_percent: Percent = Percent(0)
    requested_date: dt.date | None = None
    deliver_to: DeliveryPlace | None = None
    note: LongWords = ""


class ChangedOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an order shall say from now on; its number and revision are not the caller's to choose."""

    partner: Annotated[str, Meta(max_length=200, description="The supplier: id, exact name or organisation number; may be empty.")] = ""
    date: dt.date | None = None
    currency: Currency
    deliver_to: DeliveryPlace | None = None
    requested_date: dt.date | None = None
    buyer_reference: Words = ""
    quote_reference: Words = ""
    payment_terms: CodeWord = ""
    delivery_terms: CodeWord = ""
    delivery_place: Words = ""
    note: LongWords = ""
    charges: Annotated[list[Charge], Meta(max_length=100)] = []
    attachments: Annotated[list[Attachment], Meta(max_length=100, description="Files sent here before, by PUT /attachments.")] = []
    lines: Annotated[list[NewLine], Meta(min_length=1, max_length=10_000)]


class NewOrder(ChangedOrder, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An order to be written down; without a number it gets the next of our series."""

    number: OrderNumber | None = None

    def content(self) -> ChangedOrder:
        """Everything but the number."""
        return ChangedOrder(**{field: getattr(self, field) for field in ChangedOrder.__struct_fields__})


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


class PurchaseDespatch(msgspec.Struct, frozen=True, kw_only=True):
    """Goods the supplier says are on their way, and whether somebody has booked them in."""

    id: Annotated[str, Meta(description="The supplier's.")]
    number: str
    date: dt.date
    carrier: str
    tracking_number: str
    expected_date: dt.date | None
    is_last: bool
    attachments: list[Attachment]
    lines: list[DespatchLine]
    heard_at: dt.datetime
    received_at: dt.datetime | None


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


class GoodsLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a line came; a negative quantity was sent back."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    quantity: Exact
    note: Words = ""


class Goods(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came in. With a despatch only the lines that differ from it need be named; without one, all that came."""

    despatch: Annotated[str | None, Meta(description="Id of the supplier's despatch.")] = None
    lines: Annotated[list[GoodsLine], Meta(max_length=10_000)] = []


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


class ImportedOrders(msgspec.Struct, frozen=True, kw_only=True):
    """What a file brought."""

    orders: list[str]
    line_count: int


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


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How much a list holds, counted up to a thousand orders; `is_more` says that there are more. Sums by currency."""

    count: int
    is_more: bool
    net: dict[str, Exact]


class DeliveryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A promise to deliver as it stands in the ledger."""

    id: str
    kind: str
    lane: str
    subject: str
    state: Literal["ready", "leased", "done", "refused", "dead"]
    attempts: int
    run_at: dt.datetime
    deadline: dt.datetime
    last_error: str
    trace_id: str
    created_at: dt.datetime
    settled_at: dt.datetime | None
    may_resend: bool


class OurArticle(msgspec.Struct, frozen=True, kw_only=True):
    """What writing a line needs to know of an article of ours."""

    pk: int
    number: str
    name: str
    unit: str


class WrittenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the document and the article of ours it means."""

    line: OrderLine
    article: int | None


def may(state: str, verb: Verb) -> bool:
    """Whether a step fits the state of delivery."""
    return verb in STEPS[state]


def must_live(acceptance: str, fulfilment: str, number: str) -> None:
    """Go on only while the order can still become another. Raises WrongState when it is cancelled, about to be, or all received."""
    if acceptance in ("cancel_requested", "cancelled"):
        how = "is cancelled" if acceptance == "cancelled" else "waits for the supplier's word on its cancellation"
        raise errors.WrongState(f"Order {number} {how}; write a new one instead.")
    if fulfilment == "received":
        raise errors.WrongState(f"Order {number} has been received and is closed; write a new one instead.")


def must(state: str, verb: Verb, number: str) -> None:
    """Go on only when the step fits. Raises WrongState with the reason."""
    if may(state, verb):
        return
    where = "is on its way" if state in ("queued", "sending", "waiting") else f"is {state.replace('_', ' ')}"
    raise errors.WrongState(f"Order {number} {where}; it cannot be {_PAST[verb]} now.")


_PAST: Mapping[Verb, str] = {"change": "changed", "delete": "deleted", "export": "exported", "send_again": "sent again"}


def next_revision(revision: int, delivery: str, validation: str, issues: Collection[Issue]) -> int:
    """The revision a changed order gets: a delivered one the next, one that was never sent or refused keeps its own (ruling 14).

    One that may have arrived although we heard nothing gets the next too: a gap is allowed, a conflict is not.
    """
    if delivery == "not_sent":
        return revision
    is_known_there = any(issue.code in _KNOWN_THERE for issue in issues)
    return revision if validation == Validation.REFUSED and not is_known_there else revision + 1


def written_lines(
    lines: Sequence[NewLine], articles: Mapping[str, OurArticle], numbers: Mapping[int, str], taken: Collection[str] = ()
) -> tuple[list[WrittenLine], list[Issue]]:
    """The lines as they will stand in the document, and what is wrong with them.

    `articles` are ours by what the lines call them, `numbers` the supplier's by our key, `taken` line ids used before.
    """
    issues: list[Issue] = []
    written = []
    given = [plain(line.line_id) for line in lines]
    ids = _LineIds({*given, *taken})
    seen: set[str] = set()
    for at, (line, line_id) in enumerate(zip(lines, given, strict=True)):
        if line_id and line_id in seen:
            message = f"Line id {line_id} is used twice; every line needs its own."
            issues.append(_fault("line_id_duplicate", message, f"/lines/{at}/line_id", line=line_id))
        seen.add(line_id)
        name = plain(line.article)
        ours = articles.get(name)
        if name and ours is None:
            issues.append(_fault("article_unknown", f"We have no article {name}.", f"/lines/{at}/article", number=name))
        written.append(
            WrittenLine(
                article=ours.pk if ours else None,
                line=OrderLine(
                    line_id=line_id or ids.next(),
                    kind=line.kind,
                    article_number=plain(line.article_number) or (numbers.get(ours.pk, "") if ours else ""),
                    buyer_article_number=ours.number if ours else plain(line.buyer_article_number),
                    gtin=plain(line.gtin),
                    description=line.description or (ours.name if ours else ""),
                    quantity=line.quantity,
                    unit=plain(line.unit) or (ours.unit if ours else ""),
                    unit_price=line.unit_price,
                    price_quantity=line.price_quantity,
                    discount_percent=line.discount_percent,
                    requested_date=line.requested_date,
                    deliver_to=line.deliver_to,
                    note=line.note,
                ),
            )
        )
    return written, issues


class _LineIds:
    """Hands out line ids nobody has used: 10, 20, 30 and on from the highest."""

    def __init__(self, taken: Collection[str]) -> None:
        self._highest = max((int(one) for one in taken if one.isascii() and one.isdigit() and len(one) < 10), default=0)

    def next(self) -> str:
        self._highest = self._highest // 10 * 10 + 10
        return str(self._highest)


def written(number: str, revision: int, content: ChangedOrder, lines: Sequence[WrittenLine], buyer: Party, today: dt.date) -> Order:
    """The order as a document."""
    return Order(
        number=plain(number),
        revision=revision,
        date=content.date or today,
        currency=content.currency.upper(),
        buyer=buyer,
        deliver_to=content.deliver_to,
        requested_date=content.requested_date,
        buyer_reference=content.buyer_reference,
        quote_reference=content.quote_reference,
        payment_terms=content.payment_terms,
        delivery_terms=content.delivery_terms,
        delivery_place=content.delivery_place,
        note=content.note,
        charges=content.charges,
        attachments=content.attachments,
        lines=[one.line for one in lines],
    )


def as_document(order: Order, revision: int, card: Party) -> Order:
    """The order as it leaves: as stored, with our card as it is today."""
    return msgspec.structs.replace(order, revision=revision, buyer=card)


def too_large(order: Order) -> list[Issue]:
    """Amounts of more than 12 digits before the point, which no supplier takes and no column of ours holds."""
    issues = [
        _fault("amount_too_large", f"Line {line.line_id} amounts to more than 12 digits.", f"/lines/{at}/unit_price", line=line.line_id)
        for at, line in enumerate(order.lines)
        if line.net is not None and line.net >= MOST_NET
    ]
    if not issues and abs(order.net) >= MOST_NET:
        issues.append(_fault("amount_too_large", "The order amounts to more than 12 digits.", "/lines"))
    return issues


def local_issues(order: Order) -> list[Issue]:
    """What the supplier would refuse whoever he is; every line of it, so that all can be mended at once."""
    issues = []
    if not codes.is_currency(order.currency):
        message = f"Currency {order.currency} is not in ISO 4217; use a code such as NOK or EUR."
        issues.append(_fault("currency_unknown", message, "/currency", currency=order.currency))
    for at, line in enumerate(order.lines):
        if line.kind == "article":
            issues += _line_issues(at, line)
    return issues


def _line_issues(at: int, line: OrderLine) -> list[Issue]:
    issues = []
    where, name = f"/lines/{at}", line.line_id
    if not plain(line.article_number):
        ours = f" of article {line.buyer_article_number}" if line.buyer_article_number else ""
        message = f"Line {name} has no supplier article number; fill in the supplier's number{ours} and export again."
        issues.append(_fault("article_missing", message, f"{where}/article_number", line=name, article=line.buyer_article_number))
    if line.quantity is None:
        issues.append(
            _fault("quantity_missing", f"Line {name} has no quantity; fill it in and export again.", f"{where}/quantity", line=name)
        )
    if not plain(line.unit):
        message = f"Line {name} has no unit; use a UN/ECE Rec 20 code such as H87 and export again."
        issues.append(_fault("unit_missing", message, f"{where}/unit", line=name))
    elif codes.unit_code(plain(line.unit)) is None:
        message = f"Line {name}: unit {line.unit} is not known; use a UN/ECE Rec 20 code such as H87 (piece) or KGM (kilogram)."
        issues.append(_fault("unit_unknown", message, f"{where}/unit", line=name, unit=line.unit))
    return issues


def ready_to_export(
    order: Order, delivery: str, acceptance: str, *, has_card: bool, supplier_issues: Sequence[Issue] | None
) -> list[Issue]:
    """Why an order cannot leave now; empty when it can. Everything at once, and nothing is sent while anything stands.

    `supplier_issues` is what `partners.model.ready` says of the supplier, None when the order names none.
    """
    stop = not_to_leave(order.number, delivery, acceptance)
    return [stop] if stop else [*against_leaving(order.number, has_card, supplier_issues), *local_issues(order)]


def not_to_leave(number: str, delivery: str, acceptance: str) -> Issue | None:
    """Why an order is not to leave at all, whatever it says: it has ended, is on its way, or is there already."""
    if acceptance in ("cancel_requested", "cancelled"):
        return _fault("cancelled", f"Order {number} is cancelled; write a new one instead.", None, number=number)
    match delivery:
        case "queued" | "sending" | "waiting":
            return _fault("already_on_its_way", f"Order {number} is on its way already; wait for its result.", None, number=number)
        case "received":
            message = f"The supplier has order {number} as it stands; change it first to send a new revision."
            return _fault("already_received", message, None, number=number)
        case _:
            return None


def against_leaving(number: str, has_card: bool, supplier_issues: Sequence[Issue] | None) -> list[Issue]:
    """What of us and of the supplier stands in an order's way; `supplier_issues` is None when the order names none."""
    issues = []
    if not has_card:
        issues.append(_fault("company_card_missing", "Our own company card is empty; fill it in under Admin > Company.", None))
    if supplier_issues is None:
        message = f"Order {number} names no supplier; choose one and export again."
        issues.append(_fault("supplier_missing", message, "/partner", number=number))
    return [*issues, *(issue for issue in supplier_issues or () if issue.blocks)]


def receipt_status(*, is_new: bool, hows: Collection[str]) -> ItemStatus:
    """How an order that arrived stands in its export; `hows` are the rungs its lines were matched on."""
    if not _UNRESOLVED.isdisjoint(hows):
        return "held"
    return "received" if is_new else "repeated"


_REFUSALS: Mapping[str, str] = {
    "article_missing": "{at}the supplier article number is missing; fill it in{ours} and export again.",
    "article_unknown": "{at}{supplier} has no article {number}; correct the supplier article number{ours} and export again.",
    "article_inactive": "{at}{supplier} no longer sells article {number}; choose another article and export again.",
    "article_ambiguous": "{at}article {number} may mean more than one article at {supplier}; ask them which one.",
    "gtin_mismatch": "{at}number {number} and GTIN {gtin} are two different articles at {supplier}; correct one and export again.",
    "quantity_missing": "{at}the quantity is missing; fill it in and export again.",
    "unit_missing": "{at}the unit is missing; use a UN/ECE Rec 20 code such as H87 and export again.",
    "unit_unknown": "{at}{supplier} does not know the unit {unit}; use a UN/ECE Rec 20 code such as H87 and export again.",
    "buyer_mismatch": "Our company card contradicts what {supplier} has on file of us; compare the cards under Admin > Integrations.",
    "buyer_is_us": "{supplier} takes us for itself: the order's buyer is its own company; check whose token we hold.",
    "contact_blocked": "{supplier} has blocked us as a customer; ask their order desk.",
    "contact_ambiguous": "{supplier} knows more than one company that could be us; ask them to choose one for us.",
    "contact_belongs_to_other": "{supplier} has our company's data under another partner; ask them to put it right.",
    "possible_duplicate": "{supplier} has this order number of ours under another partner record; ask them before sending it again.",
    "order_conflict": "{supplier} has this number and revision with other content; change the order so that it gets the next revision.",
    "revision_superseded": "{supplier} has a newer revision of this order; change the order so that it gets the next revision.",
}
"""The supplier's refusals in the buyer's words, each with what to do."""


def in_our_words(refused: Refused, order: Order | None, supplier: str) -> list[Issue]:
    """Every reason of a refusal as the buyer reads it: which line, what is true, what to do."""
    if not refused.issues:
        said = _REFUSALS.get(refused.code)
        message = said.format_map(_Words(supplier=supplier)) if said else f"{supplier} refused the order: {refused.title}"
        return [Issue(code=refused.code, message=message, params={"supplier": supplier}, blocks=True)]
    return [_said(issue, order, supplier) for issue in refused.issues]


def _said(issue: Issue, order: Order | None, supplier: str) -> Issue:
    line = _line_at(issue.pointer, order)
    params = {"supplier": supplier} | issue.params
    if line is not None:
        params = {"line": line.line_id, "number": line.article_number, "article": line.buyer_article_number} | params
    said = _REFUSALS.get(issue.code)
    if said is None:
        return msgspec.structs.replace(issue, message=f"{supplier} says: {issue.message}", params=params)
    at = f"Line {params['line']}: " if "line" in params else ""
    ours = f" of article {params['article']}" if params.get("article") else ""
    text = said.format_map(_Words({"gtin": line.gtin if line else "", "unit": line.unit if line else ""} | params, at=at, ours=ours))
    return msgspec.structs.replace(issue, message=text[:1].upper() + text[1:], params=params)


class _Words(dict[str, str]):
    """Words for a sentence; one that is missing is left out rather than failing the sentence."""

    def __missing__(self, key: str) -> str:
        return ""


def _line_at(pointer: str | None, order: Order | None) -> OrderLine | None:
    if order is None or pointer is None or not pointer.startswith("/lines/"):
        return None
    place = pointer.split("/")[2]
    return order.lines[int(place)] if place.isascii() and place.isdigit() and int(place) < len(order.lines) else None


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


def _fault(code: str, message: str, pointer: str | None, **params: str) -> Issue:
    return Issue(code=code, message=message, params=params, pointer=pointer, blocks=True)
