"""Purchase orders out of a CSV or XLSX file, one row a line."""

from collections.abc import Sequence

import msgspec

from prodsys import errors
from prodsys.documents import Issue, Percent, Quantity, UnitPrice, plain
from prodsys.kit.db import Tx, signal
from prodsys.kit.sheets import BadFile, Table
from prodsys.kit.sheets.faults import Cells, row_fault, row_of, unreadable
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.purchasing import store
from prodsys.purchasing.actions import Known, write
from prodsys.purchasing.model.writing import ImportedOrders, NewLine, NewOrder
from prodsys.scopes import Caller

SHEET_CODES = ("number", "supplier", "date", "currency", "article", "supplier_article_number", "unit", "requested_date")
"""Columns of a file of orders that hold codes: a number cell of a workbook there may have lost its zeros."""

SHEET_REQUIRED = ("number", "supplier", "currency", "quantity")

_MOST_FAULTS = 10_000
_OF_OUR_BOOKS = frozenset({"supplier_unknown", "supplier_ambiguous", "article_unknown", "already_exists"})


def import_table(tx: Tx, caller: Caller, table: Table | BadFile) -> ImportedOrders:
    """Write down the orders of a file: all of them, or none when a single row is bad. Raises BadFile with every fault of every row."""
    found = look(tx, table)
    if found.faults or not found.orders:
        raise errors.BadFile(issues=list(found.faults[:_MOST_FAULTS]))
    return take(tx, caller, [one.new for one in found.orders])


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds: the orders that can be written down whole, and every fault of the rows of the others."""

    orders: list["ListedOrder"]
    faults: list[Issue]
    left_out: list[str]
    """Numbers of the orders that cannot be taken, because one of their rows is bad."""


def look(tx: Tx, table: Table | BadFile) -> Found:
    """Say what of a file could be written down; nothing is. An order is taken whole or not at all. Raises BadFile for no table."""
    if isinstance(table, BadFile):
        raise errors.BadFile(table.message, issues=[Issue(code=table.code, message=table.message, blocks=True)])
    read = _read(table)
    taken = store.orders.ids(tx, [one.number for one in read.orders])
    known = Known(tx, [one.new.content() for one in read.orders])
    sound, issues, left_out = [], list(read.faults), list(read.left_out)
    spoilt = set(left_out)
    for one in read.orders:
        found = [_at_its_row(issue, one.rows) for issue in write(known, one.number, 1, one.new.content())[1]]
        if one.number in taken:
            message = f"There is an order {one.number} already."
            found.insert(0, row_fault(one.rows[0], "number", "already_exists", message, number=one.number))
        if one.number in spoilt:
            # Of cells that could not be read all is said; who mends them should not then hear of the next fault in the same row.
            issues += [issue for issue in found if issue.code in _OF_OUR_BOOKS]
        elif found:
            issues += found
            left_out.append(one.number)
        else:
            sound.append(one)
    return Found(orders=sound, faults=sorted(issues, key=row_of), left_out=left_out)


def take(tx: Tx, caller: Caller, orders: Sequence[NewOrder]) -> ImportedOrders:
    """Write down orders that were looked at before: all of them, or none when one has become bad since. Raises Invalid, BadFile."""
    known = Known(tx, [one.content() for one in orders])
    many, issues = [], []
    for one in orders:
        order, found = write(known, one.number or store.orders.next_number(tx), 1, one.content())
        many.append(order)
        issues += found
    if issues:
        raise errors.Invalid(issues=issues[:_MOST_FAULTS])
    made = store.orders.write_down(tx, many, caller.name)
    if len(made) != len(many):
        raise errors.BadFile("Another file with the same order numbers came in at this moment; look at the list of orders.")
    line_count = sum(len(one.lines) for one in orders)
    message = f"{caller.name} imported {len(made)} orders with {line_count} lines."
    tell(tx, Entry(code="orders.imported", message=message, actor=caller.name))
    signal(tx, "orders")
    return ImportedOrders(orders=made, line_count=line_count)


_COLUMNS = {"partner": "supplier"}


def _at_its_row(issue: Issue, rows: Sequence[int]) -> Issue:
    steps = (issue.pointer or "").split("/")
    row = rows[int(steps[2])] if len(steps) > 3 and steps[1] == "lines" else rows[0]
    return row_fault(row, _COLUMNS.get(steps[-1], steps[-1]), issue.code, issue.message, **issue.params)


class ListedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a file, and the row of each of its lines."""

    number: str
    new: NewOrder
    rows: list[int]


def _read(table: Table) -> Found:
    """The orders a file holds, one row per line, also those left out, and every fault of every row. Rows with one number are one order."""
    issues = [unreadable(bad) for bad in table.bad]
    spoilt = _spoilt(table)
    if not {"article", "supplier_article_number"} & set(table.columns):
        message = "The first row must name the column article or supplier_article_number."
        return Found(orders=[], faults=[*issues, row_fault(1, "article", "column_missing", message)], left_out=[])
    heads: dict[str, Cells] = {}
    lines: dict[str, list[NewLine]] = {}
    rows: dict[str, list[int]] = {}
    for row in table.rows:
        cells = Cells(row, table.decimal)
        number = plain(cells.text("number", 80))
        if not number:
            cells.wrong("number", "number_missing", "An order needs a number.")
        head = heads.setdefault(number, cells)
        for column in ("supplier", "date", "currency"):
            if cells.text(column) not in ("", head.text(column)):
                cells.wrong(column, "order_contradicts", f"Order {number} has another {column} in row {head.row}; one order has one.")
        lines.setdefault(number, []).append(_listed_line(cells))
        rows.setdefault(number, []).append(row.number)
        if head is cells:
            cells.day("date")
            if len(cells.text("currency")) != 3:
                cells.wrong("currency", "currency_unknown", "Write the currency as an ISO 4217 code, such as NOK.")
        if cells.issues:
            spoilt.add(number)
        issues += cells.issues
    orders = [
        ListedOrder(
            number=number,
            rows=rows[number],
            new=NewOrder(
                number=number,
                partner=head.text("supplier", 200),
                date=head.day("date"),
                currency=head.text("currency").upper(),
                lines=lines[number],
            ),
        )
        for number, head in heads.items()
        if number
    ]
    return Found(orders=orders, faults=issues, left_out=[number for number in heads if number in spoilt])


def _spoilt(table: Table) -> set[str]:
    """Numbers of the orders a row that could not be read belongs to; those beside it, when not even its number could be."""
    numbers = [(row.number, plain(row.cells.get("number", ""))) for row in table.rows]
    spoilt: set[str] = set()
    for bad in table.bad:
        if number := plain(bad.cells.get("number", "")):
            spoilt.add(number)
            continue
        spoilt |= {number for _, number in [*(one for one in numbers if one[0] < bad.number)][-1:]}
        spoilt |= {number for _, number in [*(one for one in numbers if one[0] > bad.number)][:1]}
    return spoilt


def _listed_line(cells: Cells) -> NewLine:
    quantity = cells.exact("quantity", Quantity)
    if quantity is None and not cells.text("quantity"):
        cells.wrong("quantity", "quantity_missing", "A line needs a quantity.")
    if not cells.text("article") and not cells.text("supplier_article_number"):
        cells.wrong("article", "article_missing", "A line needs our article or the supplier's article number.")
    return NewLine(
        article=cells.text("article", 80),
        article_number=cells.text("supplier_article_number", 80),
        description=cells.text("description", 500),
        quantity=quantity,
        unit=cells.text("unit", 20),
        unit_price=cells.exact("unit_price", UnitPrice),
        price_quantity=cells.exact("price_quantity", Quantity) or Quantity(1),
        discount_percent=cells.exact("discount_percent", Percent) or Percent(0),
        requested_date=cells.day("requested_date"),
        note=cells.text("note", 4000),
    )
