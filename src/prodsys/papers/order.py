"""A purchase order as a PDF, fit to be sent to a supplier."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from prodsys.documents import DeliveryPlace, Order, OrderLine, Party, rounded
from prodsys.papers.sheet import (
    BODY,
    BOTTOM,
    MARGIN,
    PALE,
    ROW,
    SMALL,
    SMALL_ROW,
    WIDTH,
    Paper,
    address_lines,
    box,
    file_name,
    identity,
    new_sheet,
    paragraph,
    place_lines,
    style,
    wrapped_to,
    write,
)
from prodsys.papers.words import Language, day, number, say, unit

# Heading, width in mm, whether it is a number.
_COLUMNS = (
    ("line", 11.0, False),
    ("article", 28.0, False),
    ("description", 49.0, False),
    ("quantity", 19.0, True),
    ("unit", 11.0, False),
    ("price", 25.0, True),
    ("discount", 13.0, True),
    ("net", 24.0, True),
)
_DESCRIPTION = 2


def order_on_paper(order: Order, supplier: Party, language: Language) -> Paper:
    """Write an order down as a PDF of as many pages as it takes; the buyer stands in the order. Slow: about a second in a thread.

    Letters are Latin, Greek and Cyrillic; any other sign is an empty box.
    """
    told = partial(say, language=language)
    sheet = _sheet(order, told)
    sheet.add_page()
    _head(sheet, order, told, language)
    _addresses(sheet, order, supplier, told)
    _lines(sheet, order, told, language)
    _sums(sheet, order, told, language)
    if order.note:
        _note(sheet, told("note"), order.note)
    return Paper(name=file_name(f"{order.number}-{order.revision}"), content=bytes(sheet.output()))


def _sheet(order: Order, told: Any) -> Any:
    return new_sheet(
        title=f"{told('title')} {order.number}",
        author=order.buyer.name,
        above=f"{told('title')} {order.number} · {told('revision')} {order.revision} · {told('carried')}",
        below=" · ".join(identity(order.buyer, told)),
        told=told,
    )


def _head(sheet: Any, order: Order, told: Any, language: Language) -> None:
    """Left who orders, right which order this is."""
    top = sheet.get_y()
    sheet.set_xy(MARGIN, top)
    paragraph(sheet, order.buyer.name, 95, size=13, bold=True, row=6)
    for line in [*address_lines(order.buyer.address), *identity(order.buyer, told)[1:], *_reach(order.buyer)]:
        paragraph(sheet, line, 95, grey=True)
    left = sheet.get_y()
    sheet.set_xy(115, top)
    write(sheet, told("title"), 80, size=17, bold=True, right=True, row=8)
    sheet.set_y(top + 10)
    for name, value in _facts(order, told, language):
        sheet.set_x(112)
        write(sheet, name, 38, grey=True)
        paragraph(sheet, value, 45, bold=name == told("number"), right=True)
    sheet.set_y(max(left, sheet.get_y()) + 5)


def _facts(order: Order, told: Any, language: Language) -> Iterator[tuple[str, str]]:
    yield told("number"), order.number
    yield told("revision"), str(order.revision)
    yield told("date"), day(order.date, language)
    if order.requested_date is not None:
        yield told("requested"), day(order.requested_date, language)
    if order.buyer.persons:
        yield told("contact"), order.buyer.persons[0].name
    if order.buyer_reference:
        yield told("our_reference"), order.buyer_reference
    if order.quote_reference:
        yield told("your_quote"), order.quote_reference
    if order.payment_terms:
        days = order.payment_terms
        yield told("payment"), told("days", days=days) if days.isascii() and days.isdigit() else days
    if order.delivery_terms:
        yield told("delivery"), f"{order.delivery_terms} {order.delivery_place}".strip()


def _addresses(sheet: Any, order: Order, supplier: Party, told: Any) -> None:
    top = sheet.get_y()
    place = order.deliver_to or DeliveryPlace(name=order.buyer.name, address=order.buyer.address)
    to_supplier = [*address_lines(supplier.address), *identity(supplier, told)[1:], *([supplier.email] if supplier.email else [])]
    bottoms = [
        box(sheet, MARGIN, top, told("supplier"), supplier.name, to_supplier),
        box(sheet, 108, top, told("deliver_to"), place.name or order.buyer.name, place_lines(place)),
    ]
    sheet.set_xy(MARGIN, max(bottoms) + 6)


def _lines(sheet: Any, order: Order, told: Any, language: Language) -> None:
    """The table; its head is repeated on every page, and a row is never torn apart unless it is longer than a page."""
    _table_head(sheet, told)
    for line in order.lines:
        cells = _cells(line, language)
        extra = _extra(line, told, language)
        width = WIDTH - _COLUMNS[0][1] if line.kind == "text" else _COLUMNS[_DESCRIPTION][1]
        # Wrapped first, because a row must know its height before it begins. A number is never torn apart: it shrinks.
        wrapped = [
            [text] if _COLUMNS[at][2] else wrapped_to(sheet, text, width if line.kind == "text" and at == 1 else _COLUMNS[at][1])
            for at, text in enumerate(cells)
        ]
        small = [row for text in extra for row in wrapped_to(sheet, text, width, size=SMALL)]
        described = len(wrapped[1 if line.kind == "text" else _DESCRIPTION]) * ROW + len(small) * SMALL_ROW
        height = max(described, *(len(rows) * ROW for rows in wrapped)) + 1.6
        room = sheet.h - BOTTOM - sheet.get_y()
        if height > room and height < sheet.h - 60:
            sheet.add_page()
            _table_head(sheet, told)
        _row(sheet, wrapped, small, told, described=1 if line.kind == "text" else _DESCRIPTION, width=width)


def _row(sheet: Any, wrapped: list[list[str]], small: list[str], told: Any, *, described: int, width: float) -> None:
    """One row of the table. What describes the line comes last, because it alone may go on over the next page."""
    top: float = sheet.get_y() + 0.8
    low = top
    lefts = [MARGIN + sum(wide for _, wide, _ in _COLUMNS[:at]) for at in range(len(_COLUMNS))]
    for at, rows in enumerate(wrapped):
        if at == described:
            continue
        _, wide, is_number = _COLUMNS[at]
        for place, text in enumerate(rows):
            sheet.set_xy(lefts[at], top + place * ROW)
            write(sheet, text, wide, size=_fitting(sheet, text, wide) if is_number else BODY, right=is_number)
        low = max(low, top + len(rows) * ROW)
    y, page = top, sheet.page
    for text, size, step in [*((text, BODY, ROW) for text in wrapped[described]), *((text, SMALL, SMALL_ROW) for text in small)]:
        if y + step > sheet.h - BOTTOM:
            sheet.add_page()
            _table_head(sheet, told)
            y = sheet.get_y() + 0.8
        sheet.set_xy(lefts[described], y)
        write(sheet, text, width, size=size, grey=size == SMALL, row=step)
        y += step
    low = (max(low, y) if sheet.page == page else y) + 0.8
    sheet.set_xy(MARGIN, low)
    sheet.set_draw_color(215, 215, 215)
    sheet.set_line_width(0.1)
    sheet.line(MARGIN, low, MARGIN + WIDTH, low)


def _fitting(sheet: Any, text: str, width: float) -> float:
    """The size at which a number fits its column."""
    style(sheet, BODY)
    needed = sheet.get_string_width(text)
    return min(BODY, BODY * (width - 2 * sheet.c_margin) / needed) if needed else BODY


def _table_head(sheet: Any, told: Any) -> None:
    sheet.set_fill_color(*PALE)
    sheet.set_x(MARGIN)
    for name, width, is_number in _COLUMNS:
        write(sheet, told(name), width, size=SMALL, bold=True, right=is_number, row=6, fill=True)
    sheet.ln(6)


def _cells(line: OrderLine, language: Language) -> list[str]:
    if line.kind == "text":
        return [line.line_id, line.description]
    price = "" if line.unit_price is None else number(line.unit_price, language, places=2)
    if price and line.price_quantity != 1:
        price += f" / {number(line.price_quantity, language)}"
    return [
        line.line_id,
        line.article_number,
        line.description,
        "" if line.quantity is None else number(line.quantity, language),
        unit(line.unit, language),
        price,
        number(line.discount_percent, language) if line.discount_percent else "",
        "" if line.net is None else number(line.net, language, places=2),
    ]


def _extra(line: OrderLine, told: Any, language: Language) -> list[str]:
    """What is said of a line below its description."""
    said = []
    if line.buyer_article_number:
        said.append(f"{told('our_article')}: {line.buyer_article_number}")
    if line.gtin:
        said.append(f"GTIN: {line.gtin}")
    if line.requested_date is not None:
        said.append(f"{told('requested')}: {day(line.requested_date, language)}")
    if line.deliver_to is not None:
        said.append(f"{told('deliver_to')}: {', '.join(filter(None, [line.deliver_to.name, *place_lines(line.deliver_to)]))}")
    if line.note:
        said.append(line.note)
    return said


def _sums(sheet: Any, order: Order, told: Any, language: Language) -> None:
    rows = []
    if order.charges:
        rows.append((told("lines_sum"), order.net - order.charged))
        rows += [(charge.description, rounded(Decimal(charge.amount))) for charge in order.charges]
    if sheet.get_y() + (len(rows) + 2) * 6 > sheet.h - BOTTOM and len(rows) < 20:
        sheet.add_page()
    sheet.ln(2)
    for name, amount in rows:
        sheet.set_x(105)
        write(sheet, wrapped_to(sheet, name, 60)[0], 60)
        write(sheet, number(amount, language, places=2), 30, right=True)
        sheet.ln(5)
    sheet.set_fill_color(*PALE)
    sheet.set_x(105)
    write(sheet, told("total"), 50, bold=True, row=7, fill=True, size=9.5)
    write(sheet, f"{order.currency} {number(order.net, language, places=2)}", 40, bold=True, right=True, row=7, fill=True, size=9.5)
    sheet.ln(12)


def _note(sheet: Any, title: str, note: str) -> None:
    sheet.set_x(MARGIN)
    paragraph(sheet, title, WIDTH, size=SMALL, grey=True)
    for line in note.splitlines():
        paragraph(sheet, line or " ", WIDTH, at=MARGIN)


def _reach(party: Party) -> list[str]:
    person = party.persons[0] if party.persons else None
    phone = (person.phone if person else "") or party.phone
    email = (person.email if person else "") or party.email
    return [" · ".join(filter(None, [phone, email]))] if phone or email else []
