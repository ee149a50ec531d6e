"""The rows one order leaves in the product's file, so that the bare loop writes the very same."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import StaticPool, create_engine

from _bench.load import Failed
from prodsys import tables
from prodsys.kit.db import metadata
from prodsys.kit.ids import new_id

Values = dict[str, Any]
OrderRows = tuple[list[Any], list[list[Any]], list[Any]]
"""The values of an order, of its lines without the order's key, and of its log entry."""

_TRADED = {
    *("sales_orders", "sales_lines", "sales_changes", "log_entries"),
    *("purchase_orders", "purchase_lines", "exports", "export_orders", "deliveries"),
}
_WRITTEN = ("sales_orders", "sales_lines", "log_entries")


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """What the product wrote for one order: the order, its lines, its line in the log."""

    order: Values
    lines: list[Values]
    entry: Values


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """What one order amounts to in a file, on average."""

    lines: float
    entries: float
    bytes: float


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Statements and values, all ready, for as many orders as are to be written."""

    order_sql: str
    lines_sql: str
    entry_sql: str
    orders: list[OrderRows]


def reading(file: Path) -> "closing[sqlite3.Connection]":
    """A connection that can do no harm to a file in use."""
    raw = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=30)
    raw.row_factory = sqlite3.Row
    return closing(raw)


def template(file: Path, number: str) -> Template:
    """Read what the product wrote for the order of this number. Raises Failed when it is not what this benchmark knows."""
    with reading(file) as raw:
        order = raw.execute("SELECT * FROM sales_orders WHERE number = ?", [number]).fetchone()
        if order is None:
            raise Failed(f"The product has no order {number}.")
        lines = raw.execute('SELECT * FROM sales_lines WHERE "order" = ? ORDER BY position', [order["pk"]]).fetchall()
        entries = raw.execute("SELECT * FROM log_entries WHERE subject = ?", [order["id"]]).fetchall()
    if not lines or len(entries) != 1:
        raise Failed(f"Order {number} left {len(lines)} lines and {len(entries)} log entries.")
    return Template(order=_without(order, "pk"), lines=[_without(line, "order") for line in lines], entry=_without(entries[0], "pk"))


def _without(row: sqlite3.Row, left_out: str) -> Values:
    return {name: row[name] for name in row.keys() if name != left_out}  # noqa: SIM118 - a Row iterates over its values


def writing(file: Path) -> sqlite3.Connection:
    """A connection as the product's writer has it."""
    raw = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    for pragma in ("auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "cache_size = -16384"):
        raw.execute(f"PRAGMA {pragma}")
    return raw


def make_like(file: Path, product: Path) -> None:
    """A new file with the product's tables and indexes, its catalogue and partners, and no orders yet."""
    raw = writing(file)
    metadata.create_all(create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool))
    raw.execute("PRAGMA foreign_keys = OFF")
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("ATTACH ? AS product", [str(product)])
    for table in metadata.sorted_tables:
        if table.name not in _TRADED:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            raw.execute(f'INSERT INTO main."{table.name}" ({columns}) SELECT {columns} FROM product."{table.name}"')  # noqa: S608 - our own names
    raw.execute("DETACH product")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def differences(file: Path, product: Path) -> list[str]:
    """Indexes only one of the two files has: then the loop would not do the product's work."""
    names = []
    for one in (file, product):
        with reading(one) as raw:
            indexes = raw.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'").fetchall()
            names.append({row["name"] for row in indexes if row["tbl_name"] in _WRITTEN})
    return sorted(names[0] ^ names[1])


def prepare(like: Template, prefix: str, count: int, catalogue: int) -> Prepared:
    """Rows for new orders like the template, each with ids, number, trace and articles of its own."""
    chance = random.Random(prefix)  # noqa: S311 - chosen to be the same each time
    return Prepared(
        order_sql=insert_into(tables.sales_orders.name, list(like.order)),
        lines_sql=insert_into(tables.sales_lines.name, ["order", *like.lines[0]]),
        entry_sql=insert_into(tables.log_entries.name, list(like.entry)),
        orders=list(_orders(like, prefix, count, catalogue, chance)),
    )


def _orders(like: Template, prefix: str, count: int, catalogue: int, chance: random.Random) -> Iterator[OrderRows]:
    old = (like.order["number"], like.order["id"], like.order["trace_id"], like.entry["id"])
    article = list(like.lines[0]).index("article")
    lines = [list(line.values()) for line in like.lines]
    for at in range(count):
        new = (f"{prefix}-{at:06d}", new_id("sd"), f"{chance.getrandbits(128):032x}", new_id("lg"))
        order = [_renamed(value, old, new) for value in like.order.values()]
        entry = [_renamed(value, old, new) for value in like.entry.values()]
        yield order, [[*line[:article], chance.randint(1, catalogue), *line[article + 1 :]] for line in lines], entry


def _renamed(value: Any, old: tuple[str, ...], new: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        for before, after in zip(old, new, strict=True):
            value = value.replace(before, after)
    return value


def insert_into(table: str, columns: list[str]) -> str:
    """A plain INSERT of these columns."""
    names = ", ".join(f'"{column}"' for column in columns)
    return f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(columns))})'  # noqa: S608 - our own names


def counts(file: Path) -> dict[str, int]:
    """How many rows each table has."""
    with reading(file) as raw:
        return {table.name: raw.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0] for table in metadata.sorted_tables}  # noqa: S608


def last_orders(file: Path, orders: int = 200) -> Weight:
    """What the last orders of a file amount to."""
    with reading(file) as raw:
        first = raw.execute("SELECT max(pk) FROM sales_orders").fetchone()[0] - orders + 1
        number, order_bytes = _weigh(raw, "sales_orders", "pk >= ?", first)
        lines, line_bytes = _weigh(raw, "sales_lines", '"order" >= ?', first)
        entries, entry_bytes = _weigh(raw, "log_entries", "subject IN (SELECT id FROM sales_orders WHERE pk >= ?)", first)
    return Weight(lines=lines / number, entries=entries / number, bytes=(order_bytes + line_bytes + entry_bytes) / number)


def _weigh(raw: sqlite3.Connection, table: str, which: str, first: int) -> tuple[int, int]:
    size = " + ".join(f'coalesce(length(CAST("{column.name}" AS BLOB)), 0)' for column in metadata.tables[table].columns)
    count, total = raw.execute(f'SELECT count(*), sum({size}) FROM "{table}" WHERE {which}', [first]).fetchone()  # noqa: S608 - our own names
    return int(count), int(total or 0)
