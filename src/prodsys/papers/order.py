"""A purchase order as a PDF, fit to be sent to a supplier."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from importlib.resources import files
from typing import Any

import msgspec

from prodsys.documents import Address, DeliveryPlace, Order, OrderLine, Party, rounded
from prodsys.papers.words import Language, day, number, say, unit

_FONT = "DejaVu"
_MARGIN = 15.0
_WIDTH = 180.0
_BOTTOM = 18.0
_INK, _GREY, _PALE = (25, 25, 25), (105, 105, 105), (238, 241, 244)
_BODY, _SMALL = 8.5, 7.0
_ROW, _SMALL_ROW = 4.3, 3.5  # mm a line of text takes

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


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """An order ready to be handed over."""

    name: str
    """What to call the file."""
    content: bytes
    """The PDF."""


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
    return Paper(name=_file_name(order), content=bytes(sheet.output()))


def _file_name(order: Order) -> str:
    safe = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in order.number)
    return f"{safe.strip('.')}-{order.revision}.pdf"


def _sheet(order: Order, told: Any) -> Any:
    from fpdf import FPDF

    class Sheet(FPDF):
        """Paper with a line below every page, and above every page but the first."""

        def header(self) -> None:
            """What the page belongs to, should it lie alone."""
            if self.page_no() > 1:
                _write(self, f"{told('title')} {order.number} · {told('revision')} {order.revision} · {told('carried')}", 0, grey=True)
                self.ln(7)

        def footer(self) -> None:
            """Who writes, and which page of how many this is."""
            self.set_y(-12)
            _write(self, " · ".join(_identity(order.buyer, told)), 130, size=_SMALL, grey=True)
            page = told("page", page=self.page_no(), pages="{nb}")
            # The number of pages is put in at the end, so the place is kept for two digits.
            width = self.get_string_width(page.replace("{nb}", "00")) + 2 * self.c_margin
            self.set_x(_MARGIN + _WIDTH - width)
            _write(self, page, width, size=_SMALL, grey=True)

    sheet = Sheet(format="A4", unit="mm")
    fonts = files("prodsys.papers") / "fonts"
    sheet.add_font(_FONT, "", str(fonts / "DejaVuSans.ttf"))
    sheet.add_font(_FONT, "B", str(fonts / "DejaVuSans-Bold.ttf"))
    sheet.set_margins(_MARGIN, _MARGIN, _MARGIN)
    sheet.set_auto_page_break(True, _BOTTOM)
    sheet.set_title(f"{told('title')} {order.number}")
    sheet.set_author(order.buyer.name)
    sheet.c_margin = 0.8
    return sheet


def _head(sheet: Any, order: Order, told: Any, language: Language) -> None:
    """Left who orders, right which order this is."""
    top = sheet.get_y()
    sheet.set_xy(_MARGIN, top)
    _paragraph(sheet, order.buyer.name, 95, size=13, bold=True, row=6)
    for line in [*_address(order.buyer.address), *_identity(order.buyer, told)[1:], *_reach(order.buyer)]:
        _paragraph(sheet, line, 95, grey=True)
    left = sheet.get_y()
    sheet.set_xy(115, top)
    _write(sheet, told("title"), 80, size=17, bold=True, right=True, row=8)
    sheet.set_y(top + 10)
    for name, value in _facts(order, told, language):
        sheet.set_x(112)
        _write(sheet, name, 38, grey=True)
        _paragraph(sheet, value, 45, bold=name == told("number"), right=True)
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
    to_supplier = [*_address(supplier.address), *_identity(supplier, told)[1:], *([supplier.email] if supplier.email else [])]
    bottoms = [
        _box(sheet, _MARGIN, top, told("supplier"), supplier.name, to_supplier),
        _box(sheet, 108, top, told("deliver_to"), place.name or order.buyer.name, _place(place)),
    ]
    sheet.set_xy(_MARGIN, max(bottoms) + 6)


def _box(sheet: Any, left: float, top: float, title: str, name: str, lines: list[str]) -> float:
    sheet.set_draw_color(*_GREY)
    sheet.set_line_width(0.2)
    sheet.line(left, top, left + 87, top)
    sheet.set_xy(left, top + 1)
    _paragraph(sheet, title, 87, size=_SMALL, grey=True, row=_SMALL_ROW + 0.6)
    _paragraph(sheet, name, 87, bold=True, at=left)
    for line in lines:
        _paragraph(sheet, line, 87, at=left)
    return float(sheet.get_y())


def _lines(sheet: Any, order: Order, told: Any, language: Language) -> None:
    """The table; its head is repeated on every page, and a row is never torn apart unless it is longer than a page."""
    _table_head(sheet, told)
    for line in order.lines:
        cells = _cells(line, language)
        extra = _extra(line, told, language)
        width = _WIDTH - _COLUMNS[0][1] if line.kind == "text" else _COLUMNS[_DESCRIPTION][1]
        # Wrapped first, because a row must know its height before it begins. A number is never torn apart: it shrinks.
        wrapped = [
            [text] if _COLUMNS[at][2] else _wrapped(sheet, text, width if line.kind == "text" and at == 1 else _COLUMNS[at][1])
            for at, text in enumerate(cells)
        ]
        small = [row for text in extra for row in _wrapped(sheet, text, width, size=_SMALL)]
        described = len(wrapped[1 if line.kind == "text" else _DESCRIPTION]) * _ROW + len(small) * _SMALL_ROW
        height = max(described, *(len(rows) * _ROW for rows in wrapped)) + 1.6
        room = sheet.h - _BOTTOM - sheet.get_y()
        if height > room and height < sheet.h - 60:
            sheet.add_page()
            _table_head(sheet, told)
        _row(sheet, wrapped, small, told, described=1 if line.kind == "text" else _DESCRIPTION, width=width)


def _row(sheet: Any, wrapped: list[list[str]], small: list[str], told: Any, *, described: int, width: float) -> None:
    """One row of the table. What describes the line comes last, because it alone may go on over the next page."""
    top: float = sheet.get_y() + 0.8
    low = top
    lefts = [_MARGIN + sum(wide for _, wide, _ in _COLUMNS[:at]) for at in range(len(_COLUMNS))]
    for at, rows in enumerate(wrapped):
        if at == described:
            continue
        _, wide, is_number = _COLUMNS[at]
        for place, text in enumerate(rows):
            sheet.set_xy(lefts[at], top + place * _ROW)
            _write(sheet, text, wide, size=_fitting(sheet, text, wide) if is_number else _BODY, right=is_number)
        low = max(low, top + len(rows) * _ROW)
    y, page = top, sheet.page
    for text, size, step in [*((text, _BODY, _ROW) for text in wrapped[described]), *((text, _SMALL, _SMALL_ROW) for text in small)]:
        if y + step > sheet.h - _BOTTOM:
            sheet.add_page()
            _table_head(sheet, told)
            y = sheet.get_y() + 0.8
        sheet.set_xy(lefts[described], y)
        _write(sheet, text, width, size=size, grey=size == _SMALL, row=step)
        y += step
    low = (max(low, y) if sheet.page == page else y) + 0.8
    sheet.set_xy(_MARGIN, low)
    sheet.set_draw_color(215, 215, 215)
    sheet.set_line_width(0.1)
    sheet.line(_MARGIN, low, _MARGIN + _WIDTH, low)


def _fitting(sheet: Any, text: str, width: float) -> float:
    """The size at which a number fits its column."""
    _style(sheet, _BODY)
    needed = sheet.get_string_width(text)
    return min(_BODY, _BODY * (width - 2 * sheet.c_margin) / needed) if needed else _BODY


def _table_head(sheet: Any, told: Any) -> None:
    sheet.set_fill_color(*_PALE)
    sheet.set_x(_MARGIN)
    for name, width, is_number in _COLUMNS:
        _write(sheet, told(name), width, size=_SMALL, bold=True, right=is_number, row=6, fill=True)
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
        said.append(f"{told('deliver_to')}: {', '.join(filter(None, [line.deliver_to.name, *_place(line.deliver_to)]))}")
    if line.note:
        said.append(line.note)
    return said


def _sums(sheet: Any, order: Order, told: Any, language: Language) -> None:
    rows = []
    if order.charges:
        rows.append((told("lines_sum"), order.net - order.charged))
        rows += [(charge.description, rounded(Decimal(charge.amount))) for charge in order.charges]
    if sheet.get_y() + (len(rows) + 2) * 6 > sheet.h - _BOTTOM and len(rows) < 20:
        sheet.add_page()
    sheet.ln(2)
    for name, amount in rows:
        sheet.set_x(105)
        _write(sheet, _wrapped(sheet, name, 60)[0], 60)
        _write(sheet, number(amount, language, places=2), 30, right=True)
        sheet.ln(5)
    sheet.set_fill_color(*_PALE)
    sheet.set_x(105)
    _write(sheet, told("total"), 50, bold=True, row=7, fill=True, size=9.5)
    _write(sheet, f"{order.currency} {number(order.net, language, places=2)}", 40, bold=True, right=True, row=7, fill=True, size=9.5)
    sheet.ln(12)


def _note(sheet: Any, title: str, note: str) -> None:
    sheet.set_x(_MARGIN)
    _paragraph(sheet, title, _WIDTH, size=_SMALL, grey=True)
    for line in note.splitlines():
        _paragraph(sheet, line or " ", _WIDTH, at=_MARGIN)


def _address(address: Address) -> list[str]:
    street = f"{address.street} {address.house_number}".strip()
    town = f"{address.postcode} {address.city}".strip()
    return list(filter(None, [street, address.street2, ", ".join(filter(None, [town, address.region, address.country]))]))


def _place(place: DeliveryPlace) -> list[str]:
    return [*_address(place.address), *([f"GLN {place.gln}"] if place.gln else [])]


def _identity(party: Party, told: Any) -> list[str]:
    said = [party.name]
    if party.organisation_number:
        said.append(f"{told('organisation_number')} {party.organisation_number}")
    if party.vat_number:
        said.append(f"{told('vat_number')} {party.vat_number}")
    if party.gln:
        said.append(f"GLN {party.gln}")
    return said


def _reach(party: Party) -> list[str]:
    person = party.persons[0] if party.persons else None
    phone = (person.phone if person else "") or party.phone
    email = (person.email if person else "") or party.email
    return [" · ".join(filter(None, [phone, email]))] if phone or email else []


def _style(sheet: Any, size: float, *, bold: bool = False, grey: bool = False) -> None:
    sheet.set_font(_FONT, "B" if bold else "", size)
    sheet.set_text_color(*(_GREY if grey else _INK))


def _write(
    sheet: Any,
    text: str,
    width: float,
    *,
    size: float = _BODY,
    bold: bool = False,
    grey: bool = False,
    right: bool = False,
    row: float = _ROW,
    fill: bool = False,
) -> None:
    """One line of text, and the place behind it."""
    _style(sheet, size, bold=bold, grey=grey)
    sheet.cell(width, row, text, align="R" if right else "L", fill=fill)


def _paragraph(
    sheet: Any,
    text: str,
    width: float,
    *,
    size: float = _BODY,
    bold: bool = False,
    grey: bool = False,
    right: bool = False,
    row: float = _ROW,
    at: float | None = None,
) -> None:
    """Text over as many lines as it takes, and the place below it, at the same left edge."""
    left = sheet.get_x() if at is None else at
    sheet.set_x(left)
    _style(sheet, size, bold=bold, grey=grey)
    sheet.multi_cell(width, row, text, align="R" if right else "L", new_x="LEFT", new_y="NEXT")
    sheet.set_x(left)


def _wrapped(sheet: Any, text: str, width: float, *, size: float = _BODY) -> list[str]:
    """The text in lines that fit the width."""
    _style(sheet, size)
    rows: list[str] = []
    for part in text.splitlines() or [""]:
        if sheet.get_string_width(part) <= width - 2 * sheet.c_margin:
            rows.append(part)
        else:
            rows += sheet.multi_cell(width, _ROW, part, dry_run=True, output="LINES")
    return rows
