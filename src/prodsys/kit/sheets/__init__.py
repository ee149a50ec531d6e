"""Tables people bring and take as files."""

from prodsys.kit.sheets.cells import Unclear, cleaned, flag, number, quoted
from prodsys.kit.sheets.reading import BadFile, BadRow, Row, Table, read_table
from prodsys.kit.sheets.writing import Cell, write_csv, write_xlsx

__all__ = [
    "BadFile",
    "BadRow",
    "Cell",
    "Row",
    "Table",
    "Unclear",
    "cleaned",
    "flag",
    "number",
    "quoted",
    "read_table",
    "write_csv",
    "write_xlsx",
]
