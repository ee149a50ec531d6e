"""A list as a file that a spreadsheet program opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from prodsys.kit.sheets.cells import LONGEST_TEXT, quoted

Cell = str | Decimal | int | bool | date | datetime | None

_CHUNK_CHARACTERS = 65_536
_MOST_WORKBOOK_ROWS = 1_048_575
_MOST_FLOAT_DIGITS = 15
_LOOKS = {"text": "@", "day": "yyyy-mm-dd", "instant": "yyyy-mm-dd hh:mm:ss"}


def write_csv(header: Sequence[str] | None, rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """The table as RFC 4180 says it: commas, CRLF, quotes where needed; UTF-8 with the mark by which spreadsheet programs know it.

    Numbers are plain with a dot, dates and UTC instants ISO 8601, yes and no `true` and `false`. Text that looks like a formula gets
    a leading `'` (ruling 32), which `read_table` takes off. Comes in chunks of about 64 KiB; takes any number of rows.
    Without a header come the rows alone, to stand behind those of an earlier call.
    """
    buffer = io.StringIO("" if header is None else "\ufeff", newline="")
    buffer.seek(0, io.SEEK_END)
    lines = csv.writer(buffer)
    if header is not None:
        lines.writerow([quoted(name) for name in header])
    for row in rows:
        lines.writerow([_csv_text(cell) for cell in row])
        if buffer.tell() >= _CHUNK_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def write_xlsx(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """The table as a workbook of one sheet; texts are formatted as text, so codes keep their zeros when someone edits them.

    Text that looks like a formula gets a leading `'` (ruling 32), text over 32,767 characters ends in `…`. Instants are shown in UTC.
    Raises ValueError past 1,048,575 rows, which is all a sheet can hold.
    """
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    content = io.BytesIO()
    book = Workbook(content, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False})
    with book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True, "num_format": "@"})
        looks = {name: book.add_format({"num_format": code}) for name, code in _LOOKS.items()}
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(header):
            sheet.write_string(0, column, quoted(name), bold)
        for number, row in enumerate(rows, 1):
            if number > _MOST_WORKBOOK_ROWS:
                raise ValueError("a sheet holds 1,048,575 rows; write CSV instead")
            for column, cell in enumerate(row):
                _put(sheet, (number, column), cell, looks)
    return content.getvalue()


def _put(sheet: Any, place: tuple[int, int], cell: Cell, looks: dict[str, Any]) -> None:
    match cell:
        case None | "":
            return
        case bool():
            sheet.write_boolean(*place, cell)
        case int() | Decimal() if _fits_a_float(cell):
            sheet.write_number(*place, float(cell))
        case datetime() if cell.year >= 1900:
            sheet.write_datetime(*place, cell.astimezone(UTC).replace(tzinfo=None), looks["instant"])
        case date() if cell.year >= 1900 and not isinstance(cell, datetime):
            sheet.write_datetime(*place, cell, looks["day"])
        case str():
            shown = quoted(cell)
            sheet.write_string(*place, shown if len(shown) <= LONGEST_TEXT else shown[: LONGEST_TEXT - 1] + "…", looks["text"])
        case _:
            sheet.write_string(*place, _csv_text(cell), looks["text"])


def _fits_a_float(value: int | Decimal) -> bool:
    return len(Decimal(value).as_tuple().digits) <= _MOST_FLOAT_DIGITS


def _csv_text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case str():
            return quoted(cell)
        case bool():
            return "true" if cell else "false"
        case Decimal():
            return f"{cell:f}"
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return cell.isoformat()
        case _:
            return str(cell)
