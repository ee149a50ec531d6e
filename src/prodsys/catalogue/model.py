"""What an offered article must be to be kept, and which one a number that no longer matches may have meant."""

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.articles.model import LONGEST_LEAD_TIME, LONGEST_NAME, LONGEST_NUMBER, Known, Wanted, gtin_key, name_key, number_key, ranked
from prodsys.connectors.prodsys.words import Article
from prodsys.documents import Exact, plain
from prodsys.kit import outbound

MOST_FIXES = 1_000
SUGGESTED = 3

_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,6})?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_DIGITS = re.compile(r"\d{8}|\d{12,14}", re.ASCII)

Why = Literal["unknown", "inactive"]
SuggestedBy = Literal["gtin", "number", "name"]


class Theirs(msgspec.Struct, frozen=True, kw_only=True):
    """An article a supplier offers, fit to be kept; its price is without VAT and per `price_quantity` units."""

    their_id: str
    number: str
    name: str = ""
    gtin: str = ""
    unit: str = ""
    price: Decimal | None = None
    price_quantity: Decimal = Decimal(1)
    currency: str = ""
    is_active: bool = True
    lead_time_days: int | None = None
    minimum: Decimal | None = None
    multiple: Decimal | None = None


class SupplierArticle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An article as its supplier offers it. Prices are without VAT and per `price_quantity` units."""

    partner: Annotated[str, Meta(description="Id of the supplier.")]
    number: Annotated[str, Meta(description="The supplier's article number.")]
    is_active: bool
    name: str = ""
    gtin: str = ""
    unit: str = ""
    price: Exact | None = None
    price_quantity: Exact = Exact(1)
    currency: str = ""
    lead_time_days: int | None = None
    minimum: Exact | None = None
    multiple: Exact | None = None
    read_at: dt.datetime | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How far a supplier's catalogue has been read."""

    partner: Annotated[str, Meta(description="Id of the supplier.")]
    partner_name: str
    articles: Annotated[int, Meta(description="How many of his articles we know of.")] = 0
    mismatches: Annotated[int, Meta(description="How many of our numbers for him lead nowhere there.")] = 0
    is_whole: Annotated[bool, Meta(description="Read to its end at least once; before that nothing is called a mismatch.")] = False
    pulled_at: Annotated[dt.datetime | None, Meta(description="When we last had all of it.")] = None
    fault: Annotated[str, Meta(description="Why the last reading did not come to its end; empty when it did.")] = ""


class Suggested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An article of the supplier that may be meant."""

    number: str
    score: Annotated[int, Meta(description="0 to 100: for people to read, never to decide by.")]
    by: Annotated[SuggestedBy, Meta(description="What speaks for it most.")]
    name: str = ""
    gtin: str = ""
    unit: str = ""
    price: Exact | None = None
    price_quantity: Exact = Exact(1)
    currency: str = ""


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """An article of ours whose number at a supplier leads nowhere there any more."""

    partner: Annotated[str, Meta(description="Id of the supplier.")]
    partner_name: str
    article: Annotated[str, Meta(description="Id of our article.")]
    article_number: str
    name: str
    number: Annotated[str, Meta(description="What we believed he calls it.")]
    why: Annotated[Why, Meta(description="`unknown`: not in his catalogue. `inactive`: he no longer sells it.")]
    suggestions: Annotated[list[Suggested], Meta(description="At most three: equal GTIN first, then like numbers and names.")]


class Fix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a supplier calls one article of ours from now on."""

    article: Annotated[str, Meta(max_length=40, description="Id of our article.")]
    number: Annotated[str, Meta(max_length=LONGEST_NUMBER, description="The supplier's number; empty: he does not sell it.")]


class Fixes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers to set at one supplier, all or none."""

    partner: Annotated[str, Meta(max_length=40, description="Id of the supplier.")]
    fixes: Annotated[list[Fix], Meta(min_length=1, max_length=MOST_FIXES)]


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """What fixing came to."""

    changed: int
    unchanged: int
    mismatches: Annotated[int, Meta(description="How many of our numbers for this supplier still lead nowhere.")]


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What one reading of a catalogue brought."""

    articles: Annotated[int, Meta(description="Articles that were new or had changed.")] = 0
    gone: Annotated[int, Meta(description="Articles that are no longer offered.")] = 0
    unreadable: Annotated[int, Meta(description="Articles left out because their number cannot be written in an order.")] = 0
    is_whole: bool = False
    fault: str = ""


def readable(article: Article) -> Theirs | None:
    """An article as it is kept; None when its number is none we could order by. What else cannot be read is left out of it."""
    number = plain(article.number)
    if not number or len(number) > LONGEST_NUMBER or outbound.plain(number, LONGEST_NUMBER) != number:
        return None
    price, per = _decimal(article.price), _decimal(article.price_quantity)
    currency = article.currency if _CURRENCY.fullmatch(article.currency) else ""
    lead = article.lead_time_days
    return Theirs(
        their_id=outbound.plain(article.id, 100),
        number=number,
        name=outbound.plain(article.name, LONGEST_NAME),
        gtin=article.gtin if _DIGITS.fullmatch(article.gtin) else "",
        unit=outbound.plain(article.unit, 20),
        price=price if currency and per else None,
        price_quantity=per or Decimal(1),
        currency=currency,
        is_active=article.is_active,
        lead_time_days=lead if lead is not None and 0 <= lead <= LONGEST_LEAD_TIME else None,
        minimum=_decimal(article.minimum) or None,
        multiple=_decimal(article.multiple) or None,
    )


def suggestions(wanted: Wanted, name: str, candidates: Iterable[Known]) -> list[Suggested]:
    """What a number that leads nowhere may have meant: an equal GTIN first, then by likeness as an order's unknown numbers are."""
    listed = {article.number: article for article in candidates}
    key = gtin_key(wanted.gtin) if wanted.gtin else ""
    same = [article for article in listed.values() if key and article.gtin and gtin_key(article.gtin) == key]
    others = [article for article in listed.values() if article not in same]
    best = [*ranked(wanted, name, same, SUGGESTED), *ranked(wanted, name, others, SUGGESTED)][:SUGGESTED]
    return [_suggested(listed[one.article_number], one.score, wanted, key) for one in best]


def _suggested(article: Known, score: int, wanted: Wanted, key: str) -> Suggested:
    from rapidfuzz import fuzz

    by: SuggestedBy = "name"
    if key and article.gtin and gtin_key(article.gtin) == key:
        by = "gtin"
    elif wanted.number and fuzz.ratio(number_key(wanted.number), number_key(article.number)) >= 60:
        by = "number"
    return Suggested(
        number=article.number,
        score=score,
        by=by,
        name=article.name,
        gtin=article.gtin,
        unit=article.unit,
        price=None if article.price is None else Exact(article.price),
        price_quantity=Exact(article.price_quantity),
        currency=article.currency,
    )


def beginning(q: str) -> tuple[str, str]:
    """How numbers and how names begin that somebody looks for."""
    return number_key(q), name_key(q)


def _decimal(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None and _DECIMAL.fullmatch(text) else None
