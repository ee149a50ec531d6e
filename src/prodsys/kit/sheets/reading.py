"""The table inside a file someone brought, with every row that cannot be used listed."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

import msgspec

from prodsys.kit.sheets import workbook
from prodsys.kit.sheets.cells import cleaned, fault
from prodsys.kit.sheets.limits import MOST_BYTES, MOST_CELLS, MOST_COLUMNS, MOST_ROWS

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|\?xml|html|table|head)", re.IGNORECASE)
_SEPARATOR_LINE = re.compile("sep=([,;\t])\r?\n", re.IGNORECASE)
_IN_QUOTES = re.compile('"[^"]*"')
_DECIMAL_MARKS: dict[str, Literal[".", ","]] = {",": ".", ";": ","}


class BadFile(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing of the file was read; `message` tells a person what to do about it."""

    code: str
    message: str


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """One fault in one row; `number` is the row's as a spreadsheet program shows it, `column` is empty if the whole row is at fault."""

    number: int
    column: str
    code: str
    message: str
    cells: dict[str, str] = {}
    """What of the row could be read, by column: to tell which thing of the table it belongs to."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One usable row: every column of the table by its name, an empty text where the cell is blank."""

    number: int
    cells: dict[str, str]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds. Column names are trimmed and casefolded; blank rows are left out; `decimal` is the mark to hand to `number()`."""

    columns: tuple[str, ...]
    rows: list[Row]
    bad: list[BadRow]
    decimal: Literal[".", ","] | None


class _Line(msgspec.Struct, frozen=True):
    number: int
    cells: list[str]
    typed: Collection[int] = ()
    failed: Collection[int] = ()
    broken: bool = False


def read_table(content: bytes, *, text_columns: Collection[str], required: Collection[str] = ()) -> Table | BadFile:
    """Read a CSV or XLSX file; which of the two it is shows in its content, not in its name.

    `text_columns` hold codes: there a number, date or yes/no cell of a workbook is a bad row, since leading zeros may be lost (ruling 32).
    `required` columns must be in the header. Other columns are kept. Faults of single rows are collected in `Table.bad`, never raised.
    CSV may be UTF-8, UTF-16 with its mark, or Windows-1252; delimited by comma, semicolon or tab. A workbook's first visible sheet is read.
    At most 20 MiB, 100,000 rows, 100 columns and 2,000,000 cells. A workbook is read in a child process: call it in a thread.
    """
    if len(content) > MOST_BYTES:
        return BadFile(code="file_too_large", message=f"The file is larger than {MOST_BYTES // 1024**2} MiB. Split it.")
    if content.startswith(_OLE):
        if _ENCRYPTED in content:
            return BadFile(code="file_encrypted", message="The file is locked with a password. Save it without one.")
        return BadFile(code="old_workbook", message="This is a workbook of the old kind. Save it as .xlsx or .csv.")
    if content.startswith(_ZIP):
        match workbook.read(content):
            case workbook.Unreadable(code=code, message=message):
                return BadFile(code=code, message=message)
            case workbook.Sheet(lines=lines):
                return _table((_Line(*line) for line in lines), None, text_columns, required)
    return _csv_table(content, text_columns, required)


def _csv_table(content: bytes, text_columns: Collection[str], required: Collection[str]) -> Table | BadFile:
    if _MARKUP.match(content):
        return BadFile(code="not_a_table", message="The file holds a web page or XML, not a table. Save it as .xlsx or .csv.")
    text = _decoded(content)
    if "\x00\x00" in text[:1024]:  # a single one in text is only a bad row
        return BadFile(code="not_a_table", message="The file is neither CSV nor a workbook. Save it as .xlsx or .csv.")
    named = _SEPARATOR_LINE.match(text)
    delimiter = named[1] if named else _delimiter(text)
    return _table(_csv_lines(text, delimiter, skip_first=bool(named)), _DECIMAL_MARKS.get(delimiter), text_columns, required)


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    if content.startswith(b"\xef\xbb\xbf"):
        return content.decode("utf-8-sig", "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """The mark seen most often in the header, outside quotes; a comma if there is none."""
    header = _IN_QUOTES.sub("", text[:65_536]).lstrip("\r\n").partition("\n")[0].partition("\r")[0]
    return max(",;\t", key=header.count)


def _csv_lines(text: str, delimiter: str, *, skip_first: bool) -> Iterator[_Line]:
    # Rows are counted as records, not as lines of text: a spreadsheet program shows a cell with line breaks as one row.
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    row_number = 0
    while True:
        row_number += 1
        try:
            cells = next(records)
        except StopIteration:
            return
        except csv.Error:
            yield _Line(row_number, [], broken=True)
            continue
        if not (skip_first and row_number == 1):
            yield _Line(row_number, cells)


def _table(
    lines: Iterable[_Line], decimal: Literal[".", ","] | None, text_columns: Collection[str], required: Collection[str]
) -> Table | BadFile:
    lines = (line for line in lines if line.broken or line.failed or any(cell and not cell.isspace() for cell in line.cells))
    header = next(lines, None)
    if header is None:
        return BadFile(code="file_empty", message="The file holds no rows. Its first row must name the columns.")
    names = _column_names(header, required)
    if isinstance(names, BadFile):
        return names
    codes = frozenset(_name(name) for name in text_columns)
    table = Table(columns=tuple(filter(None, names)), rows=[], bad=[], decimal=decimal)
    for count, line in enumerate(lines, 1):
        if count > MOST_ROWS:
            return BadFile(code="too_many_rows", message=f"The file holds more than {MOST_ROWS:,} rows. Split it.")
        if count * len(names) > MOST_CELLS:
            return BadFile(code="too_many_cells", message=f"The file holds more than {MOST_CELLS:,} cells. Split it, or leave out columns.")
        bad = list(_faults(line, names, codes))
        filled = dict.fromkeys(table.columns, "")
        filled.update((name, cleaned(cell)) for name, cell in zip(names, line.cells, strict=False) if name)
        if bad:
            table.bad.extend(msgspec.structs.replace(one, cells=filled) for one in bad)
        else:
            table.rows.append(Row(number=line.number, cells=filled))
    return table


def _column_names(header: _Line, required: Collection[str]) -> list[str] | BadFile:
    if header.broken:
        return BadFile(code="header_unreadable", message="The first row, which names the columns, has a quotation mark out of place.")
    names = [_name(cell) for cell in header.cells]
    while names and not names[-1]:
        names.pop()
    if any(fault(cell) for cell in header.cells):
        return BadFile(code="header_unreadable", message="The first row, which names the columns, contains characters that are no text.")
    if len(names) > MOST_COLUMNS:
        return BadFile(code="too_many_columns", message=f"The first row names more than {MOST_COLUMNS} columns.")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        return BadFile(code="column_twice", message=f"The first row names a column twice: {', '.join(twice)[:200]}.")
    missing = sorted({_name(name) for name in required} - set(names))
    if missing:
        return BadFile(code="column_missing", message=f"The first row must name the columns, and lacks: {', '.join(missing)}.")
    return names


def _name(text: str) -> str:
    return cleaned(text).casefold()


def _faults(line: _Line, names: list[str], codes: frozenset[str]) -> Iterator[BadRow]:
    if line.broken:
        message = "A quotation mark is out of place. Double it inside quoted text, and close every quoted cell."
        yield BadRow(number=line.number, column="", code="broken_quotes", message=message)
        return
    if any(cell and not cell.isspace() for cell, name in zip(line.cells, names + [""] * len(line.cells), strict=False) if not name):
        message = "The row has a cell outside the named columns. Name the column, or put the cell in quotation marks."
        yield BadRow(number=line.number, column="", code="cell_without_column", message=message)
    for place, (name, cell) in enumerate(zip(names, line.cells, strict=False)):
        if place in line.failed:
            message = "The formula in this cell failed. Put the value there."
            yield BadRow(number=line.number, column=name, code="formula_failed", message=message)
        elif place in line.typed and name in codes:
            message = "Leading zeros may be lost: format the column as text and type the value again."
            yield BadRow(number=line.number, column=name, code="format_as_text", message=message)
        elif found := fault(cell):
            yield BadRow(number=line.number, column=name, code=found[0], message=found[1])
