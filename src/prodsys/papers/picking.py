"""A picking list as a PDF, for whoever fetches the goods of an order from the shelves."""

import datetime as dt
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from prodsys.documents import DeliveryPlace, Exact
from prodsys.papers.sheet import (
    BOTTOM,
    GREY,
    MARGIN,
    PALE,
    ROW,
    SMALL,
    SMALL_ROW,
    WIDTH,
    Paper,
    box,
    file_name,
    new_sheet,
    paragraph,
    place_lines,
    wrapped_to,
    write,
)
from prodsys.papers.words import Language, day, number, say, unit

# Heading, width in mm, whether it is a number; the last one is an empty box to tick.
_COLUMNS = (("line", 12.0, False), ("article", 34.0, False), ("description", 78.0, False), ("quantity", 24.0, True), ("unit", 16.0, False))
_TICK = 16.0


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """What is still to go of one line."""

    line_id: str
    article_number: Annotated[str, Meta(description="Ours, or that of the substitute we have offered.")]
    name: str
    quantity: Exact
    unit: str
    date: Annotated[dt.date | None, Meta(description="The first day something of it is promised for, or asked for.")]
    deliver_to: DeliveryPlace | None
    note: str


class PickingList(msgspec.Struct, frozen=True, kw_only=True):
    """What is still to go of an order, and where to."""

    order_number: str
    number: Annotated[str, Meta(description="The buyer's.")]
    customer: str
    deliver_to: DeliveryPlace
    delivery_terms: str
    note: str
    lines: list[Pick]


def picking_list_on_paper(wanted: PickingList, ours: str, language: Language) -> Paper:
    """Write a picking list down as a PDF; `ours` is our company's name. Slow: about a second in a thread."""
    told = partial(say, language=language)
    title = f"{told('picking_list')} {wanted.order_number}"
    sheet = new_sheet(title=title, author=ours, above=f"{title} · {told('carried')}", below=ours, told=told)
    sheet.add_page()
    write(sheet, title, WIDTH, size=17, bold=True, row=8)
    sheet.ln(11)
    top = sheet.get_y()
    terms = [wanted.delivery_terms] if wanted.delivery_terms else []
    bottoms = [
        box(sheet, MARGIN, top, told("customer"), wanted.customer, [f"{told('number')} {wanted.number}", *terms]),
        box(sheet, 108, top, told("deliver_to"), wanted.deliver_to.name or wanted.customer, place_lines(wanted.deliver_to)),
    ]
    sheet.set_xy(MARGIN, max(bottoms) + 6)
    _table_head(sheet, told)
    for line in wanted.lines:
        _line(sheet, line, told, language)
    if wanted.note:
        sheet.ln(4)
        paragraph(sheet, told("note"), WIDTH, size=SMALL, grey=True, at=MARGIN)
        paragraph(sheet, wanted.note, WIDTH, at=MARGIN)
    return Paper(name=file_name(f"{told('picking_list')}-{wanted.order_number}"), content=bytes(sheet.output()))


def _table_head(sheet: Any, told: Any) -> None:
    sheet.set_fill_color(*PALE)
    sheet.set_x(MARGIN)
    for name, width, is_number in _COLUMNS:
        write(sheet, told(name), width, size=SMALL, bold=True, right=is_number, row=6, fill=True)
    write(sheet, "", _TICK, row=6, fill=True)
    sheet.ln(6)


def _line(sheet: Any, line: Pick, told: Any, language: Language) -> None:
    extra = [f"{told('by')} {day(line.date, language)}"] if line.date is not None else []
    if line.deliver_to is not None:
        extra.append(f"{told('deliver_to')}: {', '.join(filter(None, [line.deliver_to.name, *place_lines(line.deliver_to)]))}")
    if line.note:
        extra.append(line.note)
    cells = [line.line_id, line.article_number, line.name, number(line.quantity, language), unit(line.unit, language)]
    wrapped = [wrapped_to(sheet, text, width) for text, (_, width, _) in zip(cells, _COLUMNS, strict=True)]
    small = [row for text in extra for row in wrapped_to(sheet, text, _COLUMNS[2][1], size=SMALL)]
    height = max(len(wrapped[2]) * ROW + len(small) * SMALL_ROW, *(len(rows) * ROW for rows in wrapped)) + 2.4
    if height > sheet.h - BOTTOM - sheet.get_y():
        sheet.add_page()
        _table_head(sheet, told)
    top, left = sheet.get_y() + 1.2, MARGIN
    for rows, (_, width, is_number) in zip(wrapped, _COLUMNS, strict=True):
        for place, text in enumerate(rows):
            sheet.set_xy(left, top + place * ROW)
            write(sheet, text, width, right=is_number)
        left += width
    for place, text in enumerate(small):
        sheet.set_xy(MARGIN + _COLUMNS[0][1] + _COLUMNS[1][1], top + len(wrapped[2]) * ROW + place * SMALL_ROW)
        write(sheet, text, _COLUMNS[2][1], size=SMALL, grey=True, row=SMALL_ROW)
    sheet.set_draw_color(*GREY)
    sheet.set_line_width(0.2)
    sheet.rect(left + _TICK / 2 - 2, top + 0.2, 4, 4)
    sheet.set_draw_color(215, 215, 215)
    sheet.set_line_width(0.1)
    low = top - 1.2 + height
    sheet.line(MARGIN, low, MARGIN + WIDTH, low)
    sheet.set_xy(MARGIN, low)
