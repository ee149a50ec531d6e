"""Fills a stopped instance's file with a large catalogue and a long past, faster than its doors would."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _bench import orders, rows
from prodsys.articles.model import name_key, number_key, reverse

Varied = Callable[[int], tuple[Any, ...]]
"""The values of a row that differ from place to place."""

_STARTED = 1_790_000_000_000_000
"""µs since 1970: when the first of the seeded things happened."""


def moment_of(at: int) -> int:
    """µs since 1970: when the seeded thing at this place happened."""
    return _STARTED + at * 1_000_000


def number_of(at: int) -> str:
    """The ULID-shaped text of the seeded thing at this place; older than any id made now."""
    return f"01J{at:023d}"


@contextmanager
def at_full_speed(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that keeps nothing safe until it is done."""
    raw = sqlite3.connect(file, isolation_level=None)
    for pragma in ("wal_checkpoint(TRUNCATE)", "journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
        raw.execute(f"PRAGMA {pragma}").fetchall()
    raw.execute("BEGIN")
    yield raw
    raw.execute("COMMIT")
    raw.execute("PRAGMA journal_mode = WAL").fetchall()
    raw.close()


def articles(file: Path, count: int) -> None:
    """A catalogue of this many articles, all of them active and priced."""

    def varied(at: int) -> tuple[Any, ...]:
        number, name = orders.article_number(at), orders.article_name(at)
        key = number_key(number)
        return (f"ar_{number_of(at)}", number, key, reverse(key), name, name_key(name), orders.article_price(at), at + 1)

    fixed = {"unit": "H87", "price_quantity": "100", "currency": "NOK", "is_active": 1, "changed_at": _STARTED}
    names = ["id", "number", "number_key", "number_reverse", "name", "name_key", "price", "position"]
    with at_full_speed(file) as raw:
        _many(raw, "articles", count, fixed, names, varied)
        raw.execute("INSERT OR REPLACE INTO counters (name, value) VALUES ('articles', ?)", [count])


def past(file: Path, table: str, prefix: str, like: rows.Values, count: int, more: dict[str, Callable[[int], Any]]) -> None:
    """So many rows like this one, each with id, moment and trace of its own, and what *more* says of the row at a place."""
    moments = [name for name in ("received_at", "at", "created_at", "changed_at") if name in like]
    names = ["id", *moments, "trace_id", *more]

    def varied(at: int) -> tuple[Any, ...]:
        moment = moment_of(at)
        trace = f"{at * 0x9E3779B97F4A7C15 % 2**64:032x}"
        return (f"{prefix}_{number_of(at)}", *(moment for _ in moments), trace, *(of(at) for of in more.values()))

    fixed = {name: value for name, value in like.items() if name not in names and name != "pk"}
    with at_full_speed(file) as raw:
        _many(raw, table, count, fixed, names, varied)


def _many(raw: sqlite3.Connection, table: str, count: int, fixed: rows.Values, names: list[str], varied: Varied) -> None:
    same = tuple(fixed.values())
    raw.executemany(rows.insert_into(table, [*fixed, *names]), ((*same, *varied(at)) for at in range(count)))
