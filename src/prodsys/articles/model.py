"""What makes two article numbers the same, what an article costs whom, and which rows of a list can be taken."""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from prodsys import codes
from prodsys.documents import Article, How, Issue, Quantity, Suggestion, UnitPrice, plain
from prodsys.kit.sheets import Table
from prodsys.kit.sheets.faults import Cells, at_row, unreadable

LONGEST_NUMBER = 80
LONGEST_NAME = 200
LONGEST_LEAD_TIME = 3_650  # days

Reason = Literal["", "mapping_mismatch", "gtin_mismatch", "gtin_not_unique", "gtin_differs"]
"""Why a rung of the ladder did not hold, or (`gtin_differs`) what a person should know although it did."""

_NOT_A_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SEPARATORS = re.compile(r"[\s\-./_\u00ad\u200b-\u200d\u2010-\u2015\u2043\u2060\u2212\ufeff]+")
_WORD = re.compile(r"[^\W_]+")
_LETTERS_AND_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An article of ours. Its price is without VAT and per `price_quantity` units; an empty text is something nobody has said."""

    pk: int
    id: str
    number: str
    name: str
    unit: str
    gtin: str
    price: Decimal | None
    price_quantity: Decimal
    currency: str
    is_active: bool
    lead_time_days: int | None
    minimum: Decimal | None
    multiple: Decimal | None
    version: int = 1
    position: int = 0


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An article as somebody would have it; `tidied` makes it fit to keep."""

    number: str
    name: str = ""
    unit: str = ""
    gtin: str = ""
    price: Decimal | None = None
    price_quantity: Decimal = Decimal(1)
    currency: str = ""
    is_active: bool = True
    lead_time_days: int | None = None
    minimum: Decimal | None = None
    multiple: Decimal | None = None


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What a person taught us about one partner: their number means this article, and one of their `unit` is `factor` of the article's."""

    their_number: str
    article: int
    unit: str
    factor: Decimal


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """A price agreed with one partner for one article, from a quantity on, between two dates (both included, either may be open)."""

    article: int
    from_quantity: Decimal
    valid_from: dt.date | None
    valid_to: dt.date | None
    price: Decimal
    price_quantity: Decimal
    currency: str


class Wanted(msgspec.Struct, frozen=True):
    """What a line asks for, both texts already `documents.plain`."""

    number: str
    gtin: str = ""


class Found(msgspec.Struct, frozen=True):
    """Which rung held and what it led to. `article` stands beside `inactive` too; beside `ambiguous` it is what the number alone says."""

    how: How
    article: Known | None = None
    learned: Learned | None = None
    reason: Reason = ""


class Offer(msgspec.Struct, frozen=True):
    """What a partner may see: every active article or only those chosen for it, with prices or without."""

    all: bool
    show_prices: bool
    edition: int = 0
    """Counts how often the choice of articles has changed."""


UNKNOWN = Found("unknown")


def number_key(article_number: str) -> str:
    """What numbers that look alike share: no case, no compatibility forms, no spaces or separators. Only for finding candidates."""
    if not article_number.isascii():
        article_number = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", article_number).casefold())
    return _SEPARATORS.sub("", article_number.casefold())


def reverse(key: str) -> str:
    """The key backwards, so that an end can be looked up as a beginning."""
    return key[::-1]


def name_key(name: str) -> str:
    """The words of a name, without case and marks. Only for finding candidates."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())))


def gtin_key(gtin: str) -> str:
    """What the spellings of one GTIN share: GTIN-8, -12 and -13 are GTIN-14 with leading zeros left out (GS1 General Specifications).

    Empty for a GTIN of nothing but zeros, which people write where they have none.
    """
    digits = gtin.lstrip("0")
    return digits.zfill(14) if digits else ""


def gtin_spellings(gtin: str) -> tuple[str, ...]:
    """Every way one GTIN may be written down."""
    digits = gtin.lstrip("0")
    return tuple({digits.zfill(length) for length in (8, 12, 13, 14)}) if digits else ()


def climb(
    wanted: Wanted,
    by_number: Mapping[str, Known],
    by_gtin: Mapping[str, Sequence[Known]],
    learned: Mapping[str, tuple[Learned, Known]],
) -> Found:
    """Climb the article ladder: learned mapping → article number → GTIN if exactly one active → stop (product.md, A10; rulings.md, 15).

    `by_gtin` goes by `gtin_key`. Two rungs that lead to two articles are ambiguous, whichever stands higher; nothing here is fuzzy.
    """
    key = gtin_key(wanted.gtin) if wanted.gtin else ""
    same_gtin = by_gtin.get(key, ()) if key else ()
    exact = by_number.get(wanted.number) if wanted.number else None
    taught = learned.get(wanted.number) if wanted.number else None
    if taught:
        lesson, article = taught
        if exact and exact.is_active and exact.pk != article.pk:
            return Found("ambiguous", exact, lesson, "mapping_mismatch")
        return _checked("learned", article, lesson, key, same_gtin)
    if exact:
        return _checked("article_number", exact, None, key, same_gtin)
    if not same_gtin:
        return UNKNOWN
    active = [article for article in same_gtin if article.is_active]
    if len(active) == 1:
        return Found("gtin", active[0])
    return Found("ambiguous", reason="gtin_not_unique") if active else Found("inactive", same_gtin[0])


def _checked(how: How, article: Known, lesson: Learned | None, key: str, same_gtin: Sequence[Known]) -> Found:
    """The article a number leads to, unless it is inactive or the GTIN leads elsewhere."""
    if not article.is_active:
        return Found("inactive", article, lesson)
    if not key:
        return Found(how, article, lesson)
    if same_gtin:
        if any(other.pk == article.pk for other in same_gtin):
            return Found(how, article, lesson)
        return Found("ambiguous", article, lesson, "gtin_mismatch")
    # A GTIN we do not know may be that of another package of the same article: told, but no reason to stop.
    return Found(how, article, lesson, "gtin_differs" if article.gtin else "")


def expected_price(
    article: Known, agreed: Iterable[Agreed], quantity: Decimal | None, currency: str, on: dt.date
) -> tuple[Decimal, Decimal, Literal["agreed", "list"]] | None:
    """What this article should cost: (price, price_quantity, where it stands), agreed before list (product.md, A16).

    *quantity* is in the article's unit. Of several agreed prices the highest `from_quantity` holds, then the one agreed for the latest
    start. A price in another currency says nothing.
    """
    fitting = [
        price
        for price in agreed
        if price.article == article.pk
        and price.currency == currency
        and price.from_quantity <= (quantity or 0)
        and (price.valid_from is None or price.valid_from <= on)
        and (price.valid_to is None or price.valid_to >= on)
    ]
    if fitting:
        best = max(fitting, key=lambda price: (price.from_quantity, price.valid_from or dt.date.min))
        return best.price, best.price_quantity, "agreed"
    if article.price is None or article.currency != currency:
        return None
    return article.price, article.price_quantity, "list"


def as_document(article: Known, *, price: bool = True) -> Article:
    """The article as it travels. A retired one, where prices or the whole are not the reader's business, is for the caller to shorten."""
    return Article(
        id=article.id,
        number=article.number,
        is_active=article.is_active,
        name=article.name,
        unit=article.unit,
        gtin=article.gtin,
        price=UnitPrice(article.price) if price and article.price is not None else None,
        price_quantity=Quantity(article.price_quantity) if price else Quantity(1),
        currency=article.currency if price else "",
        lead_time_days=article.lead_time_days,
        minimum=None if article.minimum is None else Quantity(article.minimum),
        multiple=None if article.multiple is None else Quantity(article.multiple),
    )


def as_offered(article: Known, offer: Offer) -> Article:
    """The article as a partner sees it: a retired one by its number alone, a price only where prices are shown."""
    if not article.is_active:
        return Article(id=article.id, number=article.number, is_active=False)
    return as_document(article, price=offer.show_prices)


def slips(key: str) -> list[str]:
    """Every key one slip of the finger away: a character too many, too few, another one, or two swapped. Empty for long keys."""
    if not 2 <= len(key) <= 24:
        return []
    letters = _LETTERS_AND_DIGITS if any(not character.isdigit() for character in key) else "0123456789"
    cuts = [(key[:place], key[place:]) for place in range(len(key) + 1)]
    found = {left + right[1:] for left, right in cuts if right}
    found.update(left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1)
    found.update(left + letter + right[1:] for left, right in cuts if right for letter in letters)
    found.update(left + letter + right for left, right in cuts for letter in letters)
    found.discard(key)
    return sorted(found)


def ranked(wanted: Wanted, name: str, candidates: Iterable[Known], limit: int) -> list[Suggestion]:
    """The candidates most like what was wanted, best first; one that differs in case only leads, then one in separators only."""
    from rapidfuzz import fuzz

    key, words, folded, gtin = number_key(wanted.number), name_key(name), wanted.number.casefold(), gtin_key(wanted.gtin)

    def score(article: Known) -> float:
        if folded and article.number.casefold() == folded:
            return 100
        its_key = number_key(article.number)
        if key and its_key == key:
            return 99
        if gtin and gtin_key(article.gtin) == gtin:
            return 98
        likeness = [
            *([fuzz.ratio(key, its_key)] if key else []),
            *([fuzz.token_sort_ratio(words, name_key(article.name))] if words else []),
        ]
        return min(97.0, 0.85 * max(likeness) + 0.15 * min(likeness)) if likeness else 0

    scored = sorted(((score(article), article) for article in candidates), key=lambda pair: (-pair[0], pair[1].number))
    return [
        Suggestion(article_number=article.number, name=article.name, score=int(points))
        for points, article in scored[:limit]
        if points >= 50
    ]


def tidied(draft: Draft, at: str = "") -> tuple[Draft, list[Issue]]:
    """The article as it is kept, and everything that speaks against keeping it; *at* is put before each JSON pointer."""
    issues: list[Issue] = []

    def wrong(column: str, code: str, message: str, **params: str) -> None:
        issues.append(Issue(code=code, message=message.format(**params), params=params, pointer=f"{at}/{column}", blocks=True))

    article_number, name, gtin, currency = (
        plain(draft.number),
        " ".join(plain(draft.name).split()),
        _bare(draft.gtin),
        plain(draft.currency).upper(),
    )
    if not article_number:
        wrong("number", "article_number_missing", "An article needs a number.")
    elif len(article_number) > LONGEST_NUMBER:
        wrong("number", "text_too_long", "An article number has at most {longest} characters.", longest=str(LONGEST_NUMBER))
    if _NOT_A_TEXT.search(article_number) or _NOT_A_TEXT.search(name):
        wrong(
            "number" if _NOT_A_TEXT.search(article_number) else "name",
            "control_character",
            "The text holds a control character or a line break.",
        )
    if len(name) > LONGEST_NAME:
        wrong("name", "text_too_long", "A name has at most {longest} characters.", longest=str(LONGEST_NAME))
    unit = plain(draft.unit)
    if unit:
        known_unit = codes.unit_code(unit)
        if known_unit is None:
            wrong(
                "unit",
                "unit_unknown",
                'The unit "{unit}" is not known. Write a UN/ECE Rec 20 code, such as H87 for pieces.',
                unit=unit[:40],
            )
        unit = known_unit or unit
    if gtin and not is_gtin(gtin):
        wrong(
            "gtin",
            "gtin_invalid",
            'The GTIN "{gtin}" is not one: 8, 12, 13 or 14 digits, of which the last is the check digit.',
            gtin=gtin[:40],
        )
    if currency and not codes.is_currency(currency):
        wrong(
            "currency",
            "currency_unknown",
            'The currency "{currency}" is not known. Write an ISO 4217 code, such as NOK.',
            currency=currency[:40],
        )
    if draft.price is not None and draft.price < 0:
        wrong("price", "price_negative", "A price is zero or more.")
    if draft.price is not None and not currency:
        wrong("currency", "currency_missing", "A price needs a currency.")
    for column, value in (("price_quantity", draft.price_quantity), ("minimum", draft.minimum), ("multiple", draft.multiple)):
        if value is not None and value <= 0:
            wrong(column, "quantity_not_positive", "This quantity must be more than zero.")
    if draft.lead_time_days is not None and not 0 <= draft.lead_time_days <= LONGEST_LEAD_TIME:
        wrong("lead_time_days", "lead_time_invalid", "A lead time is 0 to {longest} whole days.", longest=str(LONGEST_LEAD_TIME))
    kept = msgspec.structs.replace(draft, number=article_number, name=name, unit=unit, gtin=gtin, currency=currency)
    return kept, issues


def is_gtin(gtin: str) -> bool:
    """Whether this is a GTIN-8, -12, -13 or -14 with a right check digit."""
    from stdnum import ean

    return gtin.isascii() and gtin.isdigit() and bool(gtin_key(gtin)) and ean.is_valid(gtin)


def _bare(gtin: str) -> str:
    return _SEPARATORS.sub("", plain(gtin))


ARTICLE_CODES = ("number", "gtin", "unit", "currency", "supplier", "supplier_article_number")
"""Columns of an article list that hold codes: a number cell of a workbook there may have lost its zeros."""

PRICE_CODES = ("partner", "article_number", "currency", "valid_from", "valid_to")


class ListedArticle(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an article list: the article, and perhaps its number at one supplier."""

    row: int
    draft: Draft
    supplier: str = ""
    supplier_number: str = ""


class ListedPrice(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a list of agreed prices."""

    row: int
    partner: str
    article_number: str
    from_quantity: Decimal
    valid_from: dt.date | None
    valid_to: dt.date | None
    price: Decimal
    price_quantity: Decimal
    currency: str


def listed_articles(table: Table) -> tuple[list[ListedArticle], list[Issue]]:
    """The articles a list names, and every fault of every row. What can only be known from the database is checked later."""
    listed: list[ListedArticle] = []
    issues = [unreadable(bad) for bad in table.bad]
    first: dict[str, ListedArticle] = {}
    for row in table.rows:
        cells = Cells(row, table.decimal)
        draft, found = tidied(
            Draft(
                number=cells.text("number"),
                name=cells.text("name"),
                unit=cells.text("unit"),
                gtin=cells.text("gtin"),
                price=cells.number("price"),
                price_quantity=cells.number("price_quantity", Decimal(1)),
                currency=cells.text("currency"),
                is_active=cells.flag("active", blank=True),
                lead_time_days=cells.whole("lead_time_days"),
                minimum=cells.number("minimum"),
                multiple=cells.number("multiple"),
            ),
            at_row(row.number),
        )
        cells.issues.extend(msgspec.structs.replace(issue, params={"row": str(row.number)} | issue.params) for issue in found)
        article = ListedArticle(
            row=row.number,
            draft=draft,
            supplier=plain(cells.text("supplier")),
            supplier_number=plain(cells.text("supplier_article_number")),
        )
        earlier = first.setdefault(draft.number, article)
        # The same article may stand in several rows when each names it for another supplier.
        if earlier is not article and (not article.supplier or earlier.draft != draft):
            cells.wrong(
                "number",
                "number_twice",
                f"The number {draft.number} stands in row {earlier.row} already.",
                number=draft.number,
                first=str(earlier.row),
            )
        if bool(article.supplier) != bool(article.supplier_number):
            cells.wrong("supplier", "supplier_incomplete", "A supplier and its article number belong together: fill in both cells or none.")
        if len(article.supplier_number) > LONGEST_NUMBER or _NOT_A_TEXT.search(article.supplier_number):
            cells.wrong("supplier_article_number", "text_invalid", "An article number has at most 80 characters and no control characters.")
        if cells.issues:
            issues.extend(cells.issues)
        else:
            listed.append(article)
    return listed, issues


def listed_prices(table: Table) -> tuple[list[ListedPrice], list[Issue]]:
    """The agreed prices a list names, and every fault of every row."""
    listed: list[ListedPrice] = []
    issues = [unreadable(bad) for bad in table.bad]
    for row in table.rows:
        cells = Cells(row, table.decimal)
        price = cells.number("price")
        wanted = ListedPrice(
            row=row.number,
            partner=plain(cells.text("partner")),
            article_number=plain(cells.text("article_number")),
            from_quantity=cells.number("from_quantity", Decimal(0)),
            valid_from=cells.day("valid_from"),
            valid_to=cells.day("valid_to"),
            price=Decimal(0) if price is None else price,
            price_quantity=cells.number("price_quantity", Decimal(1)),
            currency=plain(cells.text("currency")).upper(),
        )
        if price is None and not cells.issues:
            cells.wrong("price", "price_missing", "An agreed price needs a price.")
        for column, code, message in price_faults(wanted):
            cells.wrong(column, code, message)
        if cells.issues:
            issues.extend(cells.issues)
        else:
            listed.append(wanted)
    return listed, issues


def price_faults(price: Any) -> list[tuple[str, str, str]]:
    """What speaks against an agreed price: (column, code, sentence) each."""
    faults = []
    if price.price < 0:
        faults.append(("price", "price_negative", "A price is zero or more."))
    if price.price_quantity <= 0:
        faults.append(("price_quantity", "quantity_not_positive", "This quantity must be more than zero."))
    if price.from_quantity < 0:
        faults.append(("from_quantity", "quantity_negative", "A price holds from a quantity of zero or more."))
    if not codes.is_currency(price.currency):
        faults.append(("currency", "currency_unknown", "The currency is not known. Write an ISO 4217 code, such as NOK."))
    if price.valid_from and price.valid_to and price.valid_to < price.valid_from:
        faults.append(("valid_to", "dates_reversed", "The last day is before the first."))
    return faults
