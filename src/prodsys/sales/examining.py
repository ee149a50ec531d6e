"""What an arriving order means here: every line against our catalogue, and what a person must look at before saying yes."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Literal

import msgspec

from prodsys import codes
from prodsys.articles.model import Agreed, Found, expected_price
from prodsys.documents import (
    Exact,
    Issue,
    MatchedLine,
    Order,
    OrderLine,
    Quantity,
    Suggestion,
    UnitPrice,
    Validation,
    canonical,
    control_characters,
    plain,
    rounded,
)
from prodsys.sales.model import UNRESOLVED

MOST = Decimal(10) ** 12
"""Amounts from here on have no place on the wire, whose decimals have 12 digits before the point."""

_ROOM = Context(prec=100)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What we would have expected a line to cost, without VAT, per `price_quantity` of the buyer's units."""

    price: Decimal
    price_quantity: Decimal
    origin: Literal["agreed", "list"]


class ExaminedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with the article found for it and the price we would have expected."""

    line: OrderLine
    found: Found
    net: Decimal | None = None
    expected: Expected | None = None
    difference: Decimal | None = None
    percent: Decimal | None = None


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """An order with everything there is to say about it."""

    lines: list[ExaminedLine]
    issues: list[Issue]
    net: Decimal

    @property
    def validation(self) -> Validation:
        """Clean only when there is nothing at all to look at."""
        return Validation.ISSUES if self.issues else Validation.CLEAN


def examine(
    order: Order,
    found: Sequence[Found],
    agreed: Mapping[int, Sequence[Agreed]],
    *,
    holds: bool,
    tolerance: Decimal,
    today: dt.date,
) -> Examined:
    """Look at every line and say everything at once (product.md, A8-A10, A16).

    `found` answers the order's lines one to one. With `holds`, an unclear article does not refuse the order: the draft is marked instead.
    """
    issues = _head(order, today)
    lines = []
    seen: set[str] = set()
    for at, (line, match) in enumerate(zip(order.lines, found, strict=True)):
        line_id = plain(line.line_id)
        if line_id in seen:
            issues.append(
                _issue("line_id_duplicate", at, "line_id", f"Line id {line_id} is used twice; every line needs its own.", line=line_id)
            )
        seen.add(line_id)
        examined, said = examine_line(order, at, match, agreed, holds=holds, tolerance=tolerance, today=today)
        lines.append(examined)
        issues += said
    net = sum((line.net or Decimal(0) for line in lines), order.charged)
    if abs(net) >= MOST and not any(issue.code == "amount_too_large" for issue in issues):
        issues.append(Issue(code="amount_too_large", message="The order amounts to more than 12 digits.", pointer="/lines", blocks=True))
    return Examined(lines=lines, issues=issues, net=net)


def examine_line(
    order: Order, at: int, match: Found, agreed: Mapping[int, Sequence[Agreed]], *, holds: bool, tolerance: Decimal, today: dt.date
) -> tuple[ExaminedLine, list[Issue]]:
    """Look at one line of an order, for which `match` was found, and say everything about it."""
    line = order.lines[at]
    line_id, net = plain(line.line_id), line.net
    issues = []
    if not line_id:
        issues.append(_issue("line_id_missing", at, "line_id", f"Line {at + 1} has no line id; every line needs its own."))
    if net is not None and net >= MOST:
        issues.append(_issue("amount_too_large", at, "unit_price", f"Line {line_id} amounts to more than 12 digits.", line=line_id))
    if line.kind == "text":
        if line.unit_price is not None:
            message = f"Line {line_id} is a text, so its price does not count; send it as an article or a charge."
            issues.append(_issue("text_line_priced", at, "unit_price", message, blocks=False, line=line_id))
        return ExaminedLine(line=line, found=match), issues
    issues += _form(at, line, line_id)
    issues += _article(at, line, line_id, match, holds=holds)
    examined = _against_ours(order, line, match, agreed, net)
    return examined, issues + _differences(at, order, examined, line_id, tolerance, today)


def report_line(examined: ExaminedLine, suggestions: list[Suggestion]) -> MatchedLine:
    """One line of a dry run's report."""
    article, expected = examined.found.article, examined.expected
    if article is None:
        return MatchedLine(line_id=examined.line.line_id, how=examined.found.how, suggestions=suggestions)
    return MatchedLine(
        line_id=examined.line.line_id,
        how=examined.found.how,
        article_number=article.number,
        name=article.name,
        unit=article.unit,
        expected_price=None if expected is None else UnitPrice(expected.price),
        expected_price_from=None if expected is None else expected.origin,
        price_difference=None if examined.difference is None else Exact(examined.difference),
        price_difference_percent=None if examined.percent is None else Exact(examined.percent),
        lead_time_days=article.lead_time_days,
        minimum=None if article.minimum is None else Quantity(article.minimum),
        multiple=None if article.multiple is None else Quantity(article.multiple),
        suggestions=suggestions,
    )


def price_difference(line: OrderLine, expected: Expected) -> tuple[Decimal, Decimal | None]:
    """How much more the buyer pays than we expect, per the expected price's own quantity, and in percent; after his discount."""
    assert line.unit_price is not None  # noqa: S101  # only priced lines are compared
    if line.unit_price == expected.price and line.price_quantity == expected.price_quantity and not line.discount_percent:
        return Decimal(0), rounded(Decimal(0)) if expected.price else None
    ordered = line.unit_price * (1 - line.discount_percent / 100) / line.price_quantity * expected.price_quantity
    difference = ordered - expected.price
    percent = rounded(difference / expected.price * 100) if expected.price else None
    return _six(difference), percent


def _six(number: Decimal) -> Decimal:
    return Decimal(canonical(number.quantize(Decimal("0.000001"), context=_ROOM)))


def _head(order: Order, today: dt.date) -> list[Issue]:
    issues = []
    if not plain(order.number):
        message = "The order has no number; every order needs its own."
        issues.append(Issue(code="order_number_missing", message=message, pointer="/number", blocks=True))
    issues += control_characters(order)
    if not codes.is_currency(order.currency):
        message = f"Currency {order.currency} is not in ISO 4217; use a code such as NOK or EUR, in capitals."
        issues.append(
            Issue(code="currency_unknown", message=message, params={"currency": order.currency}, pointer="/currency", blocks=True)
        )
    if order.requested_date is not None and order.requested_date < today:
        day = order.requested_date.isoformat()
        message = f"Delivery is asked for on {day}, which is past."
        issues.append(Issue(code="requested_date_past", message=message, params={"date": day}, pointer="/requested_date"))
    country = order.deliver_to.address.country if order.deliver_to else ""
    if country and not codes.is_country(country):
        message = f"Country {country} is not in ISO 3166; use two capitals such as NO."
        issues.append(Issue(code="country_unknown", message=message, params={"country": country}, pointer="/deliver_to/address/country"))
    return issues


def _form(at: int, line: OrderLine, line_id: str) -> list[Issue]:
    issues = []
    if line.quantity is None:
        issues.append(_issue("quantity_missing", at, "quantity", f"Line {line_id} has no quantity.", line=line_id))
    if not line.unit:
        issues.append(
            _issue("unit_missing", at, "unit", f"Line {line_id} has no unit; use a UN/ECE Rec 20 code such as H87.", line=line_id)
        )
    elif codes.unit_code(plain(line.unit)) is None:
        message = f"Line {line_id}: unit {line.unit} is not known; use a UN/ECE Rec 20 code such as H87 (piece) or KGM (kilogram)."
        issues.append(_issue("unit_unknown", at, "unit", message, line=line_id, unit=line.unit))
    return issues


def _article(at: int, line: OrderLine, line_id: str, match: Found, *, holds: bool) -> list[Issue]:
    number = plain(line.article_number)
    blocks = not holds
    if not number and match.how not in ("gtin", "learned"):
        message = f"Line {line_id} has no supplier article number; fill it in on the article and export again."
        return [_issue("article_missing", at, "article_number", message, blocks=blocks, line=line_id)]
    match match.how:
        case "unknown":
            message = f"Line {line_id}: the supplier has no article {number}; correct the supplier article number and export again."
            return [_issue("article_unknown", at, "article_number", message, blocks=blocks, line=line_id, number=number)]
        case "inactive":
            message = f"Line {line_id}: article {number} is no longer sold; choose another."
            return [_issue("article_inactive", at, "article_number", message, blocks=blocks, line=line_id, number=number)]
        case "ambiguous" if match.reason == "gtin_mismatch":
            message = f"Line {line_id}: article number {number} and GTIN {line.gtin} belong to two different articles; correct one of them."
            return [_issue("gtin_mismatch", at, "gtin", message, blocks=blocks, line=line_id, number=number, gtin=line.gtin)]
        case "ambiguous":
            message = f"Line {line_id}: article number {number} may mean more than one article; ask the supplier which one."
            return [_issue("article_ambiguous", at, "article_number", message, blocks=blocks, line=line_id, number=number)]
        case _ if match.reason == "gtin_differs":
            message = f"Line {line_id}: GTIN {line.gtin} is not the one we have for article {number}; the article number decides."
            return [_issue("gtin_differs", at, "gtin", message, blocks=False, line=line_id, number=number, gtin=line.gtin)]
        case _:
            return []


def _against_ours(order: Order, line: OrderLine, match: Found, agreed: Mapping[int, Sequence[Agreed]], net: Decimal | None) -> ExaminedLine:
    if match.article is None or match.how in UNRESOLVED or line.quantity is None:
        return ExaminedLine(line=line, found=match, net=net)
    # Their unit may hold several of ours: then we sell more of them, and one of theirs costs as many times as much.
    factor = match.learned.factor if match.learned else Decimal(1)
    ours = expected_price(match.article, agreed.get(match.article.pk, ()), line.quantity * factor, order.currency, order.date)
    if ours is None:
        return ExaminedLine(line=line, found=match, net=net)
    price, price_quantity, origin = ours
    expected = Expected(price=price * factor, price_quantity=price_quantity, origin=origin)
    if line.unit_price is None:
        return ExaminedLine(line=line, found=match, net=net, expected=expected)
    difference, percent = price_difference(line, expected)
    return ExaminedLine(line=line, found=match, net=net, expected=expected, difference=difference, percent=percent)


def _differences(at: int, order: Order, examined: ExaminedLine, line_id: str, tolerance: Decimal, today: dt.date) -> list[Issue]:
    line, article = examined.line, examined.found.article
    if article is None or examined.found.how in UNRESOLVED:
        return []
    issues = []
    unit = codes.unit_code(plain(line.unit))
    expected_unit = examined.found.learned.unit if examined.found.learned and examined.found.learned.unit else article.unit
    if unit and expected_unit and unit != expected_unit:
        message = f"Line {line_id} is ordered in {line.unit}, but article {article.number} is sold in {expected_unit}."
        issues.append(_issue("unit_differs", at, "unit", message, blocks=False, line=line_id, ordered=line.unit, sold=expected_unit))
    if examined.expected is None and article.price is not None and article.currency and article.currency != order.currency:
        message = f"Line {line_id}: our price for {article.number} is in {article.currency}, the order is in {order.currency}."
        issues.append(
            _issue("currency_differs", at, "unit_price", message, blocks=False, line=line_id, ours=article.currency, ordered=order.currency)
        )
    if examined.difference and (examined.percent is None or abs(examined.percent) > tolerance):
        assert examined.expected is not None  # noqa: S101  # a difference is a difference from something
        origin = "agreed price" if examined.expected.origin == "agreed" else "list price"
        percent = "" if examined.percent is None else f" ({examined.percent:+} %)"
        price, difference = canonical(examined.expected.price), f"{examined.difference:+f}"
        message = f"Line {line_id}: the ordered price differs from the {origin} {price} by {difference}{percent}."
        issues.append(
            _issue(
                "price_differs", at, "unit_price", message, blocks=False, line=line_id, origin=origin,
                expected=price, difference=difference, percent=str(examined.percent or ""),
            )
        )  # fmt: skip
    issues += _order_rules(at, order, examined, line_id, today)
    return issues


def _order_rules(at: int, order: Order, examined: ExaminedLine, line_id: str, today: dt.date) -> list[Issue]:
    line, article = examined.line, examined.found.article
    if article is None or line.quantity is None:
        return []
    issues = []
    if article.minimum is not None and line.quantity < article.minimum:
        least = canonical(article.minimum)
        message = f"Line {line_id}: at least {least} {article.unit} of {article.number} must be ordered."
        issues.append(_issue("minimum_not_met", at, "quantity", message, blocks=False, line=line_id, minimum=least))
    if article.multiple and line.quantity % article.multiple:
        multiple = canonical(article.multiple)
        message = f"Line {line_id}: {article.number} is sold in multiples of {multiple} {article.unit}."
        issues.append(_issue("multiple_not_met", at, "quantity", message, blocks=False, line=line_id, multiple=multiple))
    wanted = line.requested_date or order.requested_date
    if article.lead_time_days and wanted is not None and today <= wanted < today + dt.timedelta(days=article.lead_time_days):
        message = f"Line {line_id}: {article.number} takes {article.lead_time_days} days; it is asked for on {wanted.isoformat()}."
        issues.append(
            _issue(
                "lead_time_short",
                at,
                "requested_date",
                message,
                blocks=False,
                line=line_id,
                days=str(article.lead_time_days),
                date=wanted.isoformat(),
            )
        )
    return issues


def _issue(code: str, at: int, member: str, message: str, *, blocks: bool = True, **params: str) -> Issue:
    return Issue(code=code, message=message, params=params, pointer=f"/lines/{at}/{member}", blocks=blocks)
