"""The child process that opens a workbook, with little memory and little time."""

import io
import posixpath
import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import msgspec
from python_calamine import CalamineError, CalamineWorkbook, SheetMetadata, SheetTypeEnum, SheetVisibleEnum

from prodsys.kit.sheets import limits
from prodsys.kit.sheets.workbook import NOT_A_WORKBOOK, TOO_LARGE, Sheet, Unreadable

_FILLED_CELL = re.compile(rb"""<(?:\w{1,20}:)?c\s(?:[^>]*?\s)?r\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["'](?:[^>]*[^/>])?>""")
_FAILED_CELL = re.compile(rb"""<(?:\w{1,20}:)?c\s(?=[^>]*\bt\s*=\s*["']e["'])(?:[^>]*?\s)?r\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["']""")


class _Refused(Exception):
    def __init__(self, reason: Unreadable) -> None:
        self.reason = reason


def main() -> None:
    """Read a workbook from standard input, write `Sheet` or `Unreadable` as JSON to standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.CHILD_SECONDS, limits.CHILD_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (limits.CHILD_MEMORY_BYTES, limits.CHILD_MEMORY_BYTES))
    answer: Sheet | Unreadable
    try:
        answer = _read(sys.stdin.buffer.read(limits.MOST_BYTES))
    except _Refused as refused:
        answer = refused.reason
    except MemoryError:
        answer = TOO_LARGE
    except (CalamineError, zipfile.BadZipFile, ET.ParseError, NotImplementedError, RuntimeError, LookupError, OSError):
        answer = NOT_A_WORKBOOK
    sys.stdout.buffer.write(msgspec.json.encode(answer))


def _read(content: bytes) -> Sheet:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_members(archive)
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        first = _first_visible(book)
        failed = _check_cells(_sheet_xml(archive, first.name))
    sheet = book.get_sheet_by_name(first.name)
    left = (sheet.start or (0, 0))[1]
    lines, characters = [], 0
    for number, cells in enumerate(sheet.iter_rows(), 1):
        texts = [_text(cell) for cell in cells]
        characters += sum(map(len, texts))
        if characters > limits.MOST_BYTES:
            raise _Refused(TOO_LARGE)
        typed = [place for place, cell in enumerate(cells) if not isinstance(cell, str)]
        wrong = [column - left for column in failed.get(number, ()) if left <= column < left + len(cells)]
        if typed or wrong or any(texts):
            lines.append((number, texts, typed, wrong))
    return Sheet(lines=lines)


def _check_members(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = {member.filename for member in members}
    if "xl/workbook.xml" not in names or len(names) != len(members):
        raise _Refused(NOT_A_WORKBOOK)
    if len(members) > limits.MOST_MEMBERS or sum(member.file_size for member in members) > limits.MOST_UNPACKED_BYTES:
        message = f"The workbook unpacks to more than {limits.MOST_UNPACKED_BYTES // 1024**2} MiB. Split it, or save it as .csv."
        raise _Refused(Unreadable(code="workbook_too_large", message=message))


def _first_visible(book: CalamineWorkbook) -> SheetMetadata:
    for sheet in book.sheets_metadata:
        if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
            return sheet
    raise _Refused(NOT_A_WORKBOOK)


def _sheet_xml(archive: zipfile.ZipFile, name: str) -> bytes:
    """The XML of the sheet with this name; LookupError if the workbook does not say where it is."""
    sheets = {sheet.get("name"): sheet for sheet in _xml(archive, "xl/workbook.xml").iterfind(".//{*}sheet")}
    link = next(value for key, value in sheets[name].items() if key.endswith("}id"))
    targets = {link.get("Id"): link.get("Target", "") for link in _xml(archive, "xl/_rels/workbook.xml.rels")}
    return archive.read(posixpath.normpath(posixpath.join("/xl", targets[link])).lstrip("/"))


def _xml(archive: zipfile.ZipFile, path: str) -> ET.Element:
    content = archive.read(path)
    if b"<!DOCTYPE" in content:
        raise _Refused(NOT_A_WORKBOOK)
    return ET.fromstring(content)  # noqa: S314 - no DTD, little memory, little time


def _check_cells(xml: bytes) -> dict[int, list[int]]:
    """Refuse a sheet with a filled cell far out (ruling 32: one such cell took 3 GB); return the failed formulas' columns by row number."""
    for column, row in set(_edges(xml)):
        if int(row) > limits.MOST_ROWS + 1 or _place(column) >= limits.MOST_COLUMNS:
            message = (
                f"Cell {column.decode()}{row.decode()} lies outside the {limits.MOST_ROWS:,} rows and {limits.MOST_COLUMNS} columns "
                "that can be read. Delete the rows and columns around it (Ctrl+End shows the last cell)."
            )
            raise _Refused(Unreadable(code="cell_far_out", message=message))
    failed: dict[int, list[int]] = {}
    for column, row in _FAILED_CELL.findall(xml):
        failed.setdefault(int(row), []).append(_place(column))
    return failed


def _edges(xml: bytes) -> Iterator[tuple[bytes, bytes]]:
    far_column, far_row = (b"A", b"1"), (b"A", b"1")
    for found in _FILLED_CELL.finditer(xml):
        column, row = found.groups()
        if (len(column), column) > (len(far_column[0]), far_column[0]):
            far_column = (column, row)
        if (len(row), row) > (len(far_row[1]), far_row[1]):
            far_row = (column, row)
    yield far_column
    yield far_row


def _place(letters: bytes) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + letter - 64
    return place - 1


def _text(cell: str | float | bool | date | datetime | time | timedelta) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (int, float)):
        return _number_text(cell)
    return str(cell) if isinstance(cell, timedelta) else cell.isoformat()


def _number_text(value: float) -> str:
    """The number as a spreadsheet program shows it: 15 digits, so that 0.1 + 0.2 is 0.3; never with an exponent."""
    text = f"{Decimal(f'{value:.15g}'):f}"
    whole, _, fraction = text.partition(".")
    # A dot and three digits could be thousands to whoever reads the text; here it is known to be a fraction.
    return f"{whole}.{fraction}0" if len(fraction) == 3 else text


if __name__ == "__main__":
    main()
