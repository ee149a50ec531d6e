"""How soon the first page of every list is there after years of work, with and without its filters (g), and the web pages (p)."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from _bench import company, load, orders, pages, rows, seed, table
from _bench.company import Size, Supplier
from _bench.load import Failed, Work
from _bench.server import Instance
from _bench.table import Row

_BAR = 0.05
_LARGE = 1_000
"""A table with more rows must not be read whole."""
_STATES = ("open", "approved", "open", "agreed", "open", "approved", "changed", "approved", "open", "approved")
_DELIVERIES = ("received", "received", "received", "queued", "received", "received", "received", "received", "failed", "received")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A list and the filter it is asked with."""

    path: str
    filters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.path + (f"?{urlencode(self.filters)}" if self.filters else "")


def measure(folder: Path, size: Size) -> Iterator[Row]:
    """(g) Every list of the contract as it answers by itself; then again with every statement explained."""
    supplier = company.supplier(folder / "lists", size.articles)
    _give_a_past(supplier, size.past, size.past)
    instance = supplier.instance
    instance.start()
    try:
        times = {one: took for one in _documented(instance) if (took := _first_page(supplier, one)) is not None}
    finally:
        instance.stop()
    findings = _explained(instance, folder / "statements", list(times))
    for path in sorted({one.path for one in times}):
        filtered = {one: took for one, took in times.items() if one.path == path and one.filters}
        plain, slowest = times[Asked(path=path)], max(filtered.values(), default=0.0)
        figure = table.millis(plain) + (f", slowest of {len(filtered)} filters {table.millis(slowest)}" if filtered else "")
        notes = tuple(f"{table.millis(took)} with {urlencode(one.filters)}" for one, took in filtered.items() if took >= _BAR)
        yield Row(what=f"g  GET {path}", figure=figure, bar="< 50 ms", met=max(plain, slowest) < _BAR, notes=notes)
    figure = f"{len(findings)} with {size.past:,} orders each way and log entries"
    yield Row(what="g  scans and sorts behind these", figure=figure, bar="none", met=not findings, notes=tuple(findings))


def measure_pages(folder: Path, size: Size) -> Iterator[Row]:
    """(p) Every page of a company with a past, and with a longer log."""
    supplier = company.supplier(folder / "pages", size.articles)
    _give_a_past(supplier, size.past_of_pages, size.past)
    supplier.instance.start()
    try:
        yield from pages.measure(supplier.instance, f"{size.past_of_pages:,} orders each way, {size.past:,} log entries")
    finally:
        supplier.instance.stop()


def _give_a_past(supplier: Supplier, count: int, entries: int) -> None:
    """One order each way through the doors, and the others like them straight into the file."""
    instance = supplier.instance
    small = orders.order("PAST-0", 1, supplier.articles, company.chance())
    small = {name: small[name] for name in ("number", "date", "currency", "lines")} | {"buyer": orders.BUYER}
    instance.start(PRODSYS_RUN_COURIER="false")
    sold = instance.ask("POST", "/api/v1/purchase-orders", small, supplier.token)
    bought = instance.ask("POST", "/api/v1/purchasing/orders", {name: small[name] for name in ("number", "date", "currency", "lines")})
    instance.stop()
    if (sold[0], bought[0]) != (201, 201):
        raise Failed(f"The orders to be copied were answered {sold} and {bought}.")
    like = rows.template(instance.file, "PAST-0")
    with rows.reading(instance.file) as raw:
        purchase = dict(raw.execute("SELECT * FROM purchase_orders").fetchone())
    two_partners = _second_partner(instance.file)
    seed.past(
        instance.file,
        "sales_orders",
        "sd",
        like.order,
        count,
        {
            "number": lambda at: f"PAST-{at + 1}",
            "partner": lambda at: two_partners[at % 1_000 == 0],
            "acceptance": lambda at: _STATES[at % 10],
            "validation": lambda at: "issues" if at % 50 == 0 else "clean",
            "order_number": lambda at: f"SO{at}" if _STATES[at % 10] == "approved" else None,
            "answered_at": lambda at: None if _STATES[at % 10] == "open" else seed.moment_of(at),
        },
    )
    seed.past(
        instance.file,
        "purchase_orders",
        "po",
        purchase,
        count,
        {
            "number": lambda at: f"PAST-{at + 1}",
            "partner": lambda at: two_partners[at % 1_000 == 0],
            "delivery": lambda at: _DELIVERIES[at % 10],
            "acceptance": lambda at: _STATES[at % 10],
        },
    )
    seed.past(
        instance.file,
        "log_entries",
        "lg",
        like.entry | {"request": None, "response": None},
        entries,
        {
            "subject": lambda at: f"sd_{seed.number_of(at)}",
            "number": lambda at: f"PAST-{at + 1}",
            "partner": lambda at: two_partners[at % 1_000 == 0],
            "level": lambda at: "error" if at % 1_000 == 7 else "info",
            "code": lambda at: "order.refused" if at % 1_000 == 7 else "order.received",
        },
    )


def _second_partner(file: Path) -> tuple[int, int]:
    """The partner there is, and another who buys seldom."""
    with rows.reading(file) as raw:
        partner = dict(raw.execute("SELECT * FROM partners").fetchone())
    first = partner.pop("pk")
    partner |= {"id": f"pa_{seed.number_of(2)}", "name": "Seldom Handel AS", "contact": None}
    with seed.at_full_speed(file) as raw:
        second = raw.execute(rows.insert_into("partners", list(partner)), list(partner.values())).lastrowid
    return first, second or 0


def _documented(instance: Instance) -> Iterator[Asked]:
    """Every list of the house in the contract: bare, with each filter, and with each filter of one partner."""
    _, contract = instance.get("/api/openapi.json")
    for path, operations in contract["paths"].items():
        parameters = {one["name"]: one["schema"] for one in operations.get("get", {}).get("parameters", ()) if one["in"] == "query"}
        if "limit" not in parameters or "{" in path:
            continue
        status, page = instance.get(path)
        if status != 200:
            continue
        items = page["items"]
        yield Asked(path=path)
        found = {name: list(_values(name, schema, items)) for name, schema in parameters.items() if name not in {"limit", "after"}}
        partners = found.get("partner", [])
        for name, values in found.items():
            for value in values:
                yield Asked(path=path, filters=((name, value),))
                if name != "partner":
                    yield from (Asked(path=path, filters=((name, value), ("partner", partner))) for partner in partners)


def _values(name: str, schema: dict[str, Any], items: list[dict[str, Any]]) -> Iterator[str]:
    """What to ask a filter for: every word it knows, or what the first and the last row of a page say."""
    if words := _words(schema):
        yield from words
        return
    said = [one for item in items[:1] + items[-1:] if (one := _said(item.get(name)))]
    if name == "partner":
        said = [*said, f"pa_{seed.number_of(2)}"]
    if said:
        yield from dict.fromkeys(said)
    elif _kind(schema) == "boolean":
        yield from ("true", "false")
    elif _kind(schema) in {"date-time", "date"}:
        yield "2026-10-01T00:00:00Z" if _kind(schema) == "date-time" else "2026-10-01"
    else:
        yield "1" if _kind(schema) == "integer" else "PAST-77"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("id")
    return str(value).lower() if isinstance(value, bool) else str(value or "")


def _forms(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for part in (schema.get("oneOf") or schema.get("anyOf") or [schema]) for one in [part] if part.get("type") != "null"]


def _words(schema: dict[str, Any]) -> list[str]:
    return [str(word) for form in _forms(schema) for word in form.get("enum", ()) if word is not None]


def _kind(schema: dict[str, Any]) -> str:
    form = (_forms(schema) or [{}])[0]
    return str(form.get("format") or form.get("type"))


def _first_page(supplier: Supplier, asked: Asked) -> float | None:
    """The median answer time; None when the list asks for another filter beside this one."""
    work = Work(port=supplier.instance.port, token=supplier.instance.house_token, kind="same", method="GET", path=str(asked), requests=5)
    outcome = load.run(work, may_fail=True)
    if 422 in outcome.statuses:
        return None
    if 200 not in outcome.statuses:
        raise Failed(f"GET {asked} answered {outcome.statuses}: {outcome.last[:300]}")
    return outcome.waited(0.5)


def _explained(instance: Instance, trace: Path, asked: list[Asked]) -> list[str]:
    """Which of the statements behind these pages read a large table whole, or sort."""
    findings: dict[str, None] = {}
    large = {name for name, count in rows.counts(instance.file).items() if count > _LARGE}
    instance.start("-m", "_bench.traced", BENCH_TRACE=str(trace), PRODSYS_RUN_COURIER="false")
    try:
        with rows.reading(instance.file) as raw, trace.open("rb") as file:
            for one in asked:
                file.seek(0, os.SEEK_END)
                instance.get(str(one))
                for statement in dict.fromkeys(msgspec.json.decode(line, type=str) for line in file.read().splitlines()):
                    if statement.startswith(("SELECT", "WITH")):
                        findings |= {f"{one}: {fault}": None for fault in _faults(raw, statement, large, is_filtered=bool(one.filters))}
    finally:
        instance.stop()
    return list(findings)


def _faults(raw: sqlite3.Connection, statement: str, large: set[str], *, is_filtered: bool) -> Iterator[str]:
    with suppress(sqlite3.OperationalError):  # a statement too long for the trace is cut
        for step in raw.execute("EXPLAIN QUERY PLAN " + statement).fetchall():
            plan = step["detail"]
            words = plan.split()
            # A page without a filter walks an index and stops; everything else that scans may walk to the end.
            may_stop = "LIMIT" in statement and not is_filtered
            if "TEMP B-TREE" in plan or (words[0] == "SCAN" and words[1] in large and not may_stop):
                yield plan
