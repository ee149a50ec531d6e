"""A purchase order as somebody writes it, and the document it becomes."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.documents import (
    Attachment,
    Charge,
    CodeWord,
    Currency,
    DeliveryPlace,
    Issue,
    LongWords,
    Order,
    OrderLine,
    OrderNumber,
    Party,
    Percent,
    Quantity,
    UnitPrice,
    Words,
    plain,
)
from prodsys.purchasing.model.readiness import fault


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


class ImportedOrders(msgspec.Struct, frozen=True, kw_only=True):
    """What a file brought."""

    orders: list[str]
    line_count: int


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
            issues.append(fault("line_id_duplicate", message, f"/lines/{at}/line_id", line=line_id))
        seen.add(line_id)
        name = plain(line.article)
        ours = articles.get(name)
        if name and ours is None:
            issues.append(fault("article_unknown", f"We have no article {name}.", f"/lines/{at}/article", number=name))
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
