"""One row of a table read by column, with everything wrong with it told so that its author finds the cell."""

import datetime as dt
from decimal import Decimal
from typing import Literal, TypeVar, overload

from prodsys.documents import Exact, Issue, canonical
from prodsys.kit.sheets.cells import Unclear, flag, number
from prodsys.kit.sheets.reading import BadRow, Row

E = TypeVar("E", bound=Exact)
T = TypeVar("T")


def at_row(row: int, column: str = "") -> str:
    """Where a fault of a list stands, as a JSON pointer: the row as a spreadsheet program counts it, then the column's name."""
    return f"/rows/{row}/{column}" if column else f"/rows/{row}"


def row_fault(row: int, column: str, code: str, message: str, **params: str) -> Issue:
    """A fault of one cell, or, without a column, of a whole row."""
    where = {"row": str(row), "column": column}
    return Issue(code=code, message=message, params=where | params, pointer=at_row(row, column), blocks=True)


def unreadable(bad: BadRow) -> Issue:
    """A row that could not be read at all."""
    return row_fault(bad.number, bad.column, bad.code, bad.message)


def row_of(fault: Issue) -> int:
    """The row a fault stands in."""
    return int(fault.params.get("row", "0"))


class Cells:
    """The cells of one row, read by column, with everything wrong with them. A cell at fault reads as an empty one."""

    def __init__(self, row: Row, decimal: Literal[".", ","] | None) -> None:
        self.row = row.number
        self.issues: list[Issue] = []
        self._cells = row.cells
        self._decimal = decimal

    def wrong(self, column: str, code: str, message: str, **params: str) -> None:
        """Note a fault of one cell."""
        self.issues.append(row_fault(self.row, column, code, message, **params))

    def text(self, column: str, longest: int = 0) -> str:
        """A cell's text; one longer than allowed is a fault."""
        text = self._cells.get(column, "")
        if longest and len(text) > longest:
            self.wrong(column, "text_too_long", f"This text has at most {longest} characters.", longest=str(longest))
            return ""
        return text

    @overload
    def number(self, column: str) -> Decimal | None: ...
    @overload
    def number(self, column: str, blank: Decimal) -> Decimal: ...
    def number(self, column: str, blank: Decimal | None = None) -> Decimal | None:
        """A cell's number."""
        text = self.text(column)
        return self._clear(column, number(text, decimal=self._decimal), blank) if text else blank

    def exact(self, column: str, kind: type[E]) -> E | None:
        """A cell's number, as this kind of number allows it."""
        found = self.number(column)
        if found is None:
            return None
        try:
            return kind(kind.read(canonical(found)))
        except ValueError:
            self.wrong(column, "number_out_of_range", f"Write {kind.rule}.")
            return None

    def whole(self, column: str) -> int | None:
        """A cell's whole number."""
        value = self.number(column)
        if value is None:
            return None
        if value != value.to_integral_value():
            self.wrong(column, "not_a_whole_number", "This must be a whole number.")
            return None
        return int(value)

    def flag(self, column: str, *, blank: bool) -> bool:
        """A cell's yes or no."""
        text = self.text(column)
        return self._clear(column, flag(text), blank) if text else blank

    def day(self, column: str) -> dt.date | None:
        """A cell's day."""
        text = self.text(column)
        if not text:
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            self.wrong(column, "date_invalid", "Write a date as 2026-11-21.")
            return None

    def _clear(self, column: str, read: T | Unclear, blank: T) -> T:
        if isinstance(read, Unclear):
            self.wrong(column, read.code, read.message)
            return blank
        return read
