"""What every paper is written with: a sheet with a head and a foot, letters, boxes and lines that wrap."""

from importlib.resources import files
from typing import Any

import msgspec

from prodsys.documents import Address, DeliveryPlace, Party

FONT = "DejaVu"
MARGIN = 15.0
WIDTH = 180.0
BOTTOM = 18.0
INK, GREY, PALE = (25, 25, 25), (105, 105, 105), (238, 241, 244)
BODY, SMALL = 8.5, 7.0
ROW, SMALL_ROW = 4.3, 3.5
"""Millimetres a line of text takes."""


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A paper ready to be handed over."""

    name: str
    """What to call the file."""
    content: bytes
    """The PDF."""


def file_name(of: str) -> str:
    """What to call the file of a paper about this number."""
    safe = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in of)
    return f"{safe.strip('.')}.pdf"


def new_sheet(*, title: str, author: str, above: str, below: str, told: Any) -> Any:
    """An empty A4 sheet; `above` heads every page but the first, `below` ends every page beside its number."""
    from fpdf import FPDF

    class Sheet(FPDF):
        """Paper with a line below every page, and above every page but the first."""

        def header(self) -> None:
            """What the page belongs to, should it lie alone."""
            if self.page_no() > 1:
                write(self, above, 0, grey=True)
                self.ln(7)

        def footer(self) -> None:
            """Who writes, and which page of how many this is."""
            self.set_y(-12)
            write(self, below, 130, size=SMALL, grey=True)
            page = told("page", page=self.page_no(), pages="{nb}")
            # The number of pages is put in at the end, so the place is kept for two digits.
            width = self.get_string_width(page.replace("{nb}", "00")) + 2 * self.c_margin
            self.set_x(MARGIN + WIDTH - width)
            write(self, page, width, size=SMALL, grey=True)

    sheet = Sheet(format="A4", unit="mm")
    fonts = files("prodsys.papers") / "fonts"
    sheet.add_font(FONT, "", str(fonts / "DejaVuSans.ttf"))
    sheet.add_font(FONT, "B", str(fonts / "DejaVuSans-Bold.ttf"))
    sheet.set_margins(MARGIN, MARGIN, MARGIN)
    sheet.set_auto_page_break(True, BOTTOM)
    sheet.set_title(title)
    sheet.set_author(author)
    sheet.c_margin = 0.8
    return sheet


def box(sheet: Any, left: float, top: float, title: str, name: str, lines: list[str]) -> float:
    """A titled box of lines; where it ends."""
    sheet.set_draw_color(*GREY)
    sheet.set_line_width(0.2)
    sheet.line(left, top, left + 87, top)
    sheet.set_xy(left, top + 1)
    paragraph(sheet, title, 87, size=SMALL, grey=True, row=SMALL_ROW + 0.6)
    paragraph(sheet, name, 87, bold=True, at=left)
    for line in lines:
        paragraph(sheet, line, 87, at=left)
    return float(sheet.get_y())


def address_lines(address: Address) -> list[str]:
    """An address as people write it."""
    street = f"{address.street} {address.house_number}".strip()
    town = f"{address.postcode} {address.city}".strip()
    return list(filter(None, [street, address.street2, ", ".join(filter(None, [town, address.region, address.country]))]))


def place_lines(place: DeliveryPlace) -> list[str]:
    """A delivery place as people write it."""
    return [*address_lines(place.address), *([f"GLN {place.gln}"] if place.gln else [])]


def identity(party: Party, told: Any) -> list[str]:
    """A company and the numbers it is known by."""
    said = [party.name]
    if party.organisation_number:
        said.append(f"{told('organisation_number')} {party.organisation_number}")
    if party.vat_number:
        said.append(f"{told('vat_number')} {party.vat_number}")
    if party.gln:
        said.append(f"GLN {party.gln}")
    return said


def style(sheet: Any, size: float, *, bold: bool = False, grey: bool = False) -> None:
    """The letters of what is written next."""
    sheet.set_font(FONT, "B" if bold else "", size)
    sheet.set_text_color(*(GREY if grey else INK))


def write(
    sheet: Any,
    text: str,
    width: float,
    *,
    size: float = BODY,
    bold: bool = False,
    grey: bool = False,
    right: bool = False,
    row: float = ROW,
    fill: bool = False,
) -> None:
    """One line of text, and the place behind it."""
    style(sheet, size, bold=bold, grey=grey)
    sheet.cell(width, row, text, align="R" if right else "L", fill=fill)


def paragraph(
    sheet: Any,
    text: str,
    width: float,
    *,
    size: float = BODY,
    bold: bool = False,
    grey: bool = False,
    right: bool = False,
    row: float = ROW,
    at: float | None = None,
) -> None:
    """Text over as many lines as it takes, and the place below it, at the same left edge."""
    left = sheet.get_x() if at is None else at
    sheet.set_x(left)
    style(sheet, size, bold=bold, grey=grey)
    sheet.multi_cell(width, row, text, align="R" if right else "L", new_x="LEFT", new_y="NEXT")
    sheet.set_x(left)


def wrapped_to(sheet: Any, text: str, width: float, *, size: float = BODY) -> list[str]:
    """The text in lines that fit the width."""
    style(sheet, size)
    rows: list[str] = []
    for part in text.splitlines() or [""]:
        if sheet.get_string_width(part) <= width - 2 * sheet.c_margin:
            rows.append(part)
        else:
            rows += sheet.multi_cell(width, ROW, part, dry_run=True, output="LINES")
    return rows
