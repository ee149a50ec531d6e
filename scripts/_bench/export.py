"""How fast queued orders travel from one company's instance to another's on one machine (c)."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from _bench import bare, company, load, orders, rows, seed, table
from _bench.company import Size
from _bench.load import Failed
from _bench.server import Instance
from _bench.table import Row

_AT_ONCE = 500
_PATIENCE = 180.0
"""Seconds after which an export counts as stuck."""


def measure(folder: Path, size: Size) -> Iterator[Row]:
    """(c) Orders are queued while the courier rests; then it is started, and the clock runs until the buyer knows all receipts."""
    supplier = company.supplier(folder / "supplier", size.articles)
    buyer = Instance(folder / "buyer", orders.BUYER["name"], orders.BUYER["organisation_number"], PRODSYS_ALLOWED_NETWORKS="127.0.0.0/8")
    with company.running(supplier):
        first = company.new_prefix()
        load.run(supplier.work(1, prefix=first))
        loop = bare.Loop(folder / "bare.db", supplier.instance.file, f"{first}-000000", size.articles)
        _connect(buyer, supplier.instance)
        ids = _purchases(buyer, size)
        alone = [loop.run(company.new_prefix(), size.orders)]
        buyer.start(PRODSYS_RUN_COURIER="false")
        began = time.monotonic()
        for start in range(0, len(ids), _AT_ONCE):
            status, answer = buyer.ask("POST", "/api/v1/exports", {"orders": ids[start : start + _AT_ONCE]})
            if status != 202:
                raise Failed(f"The export was answered {status}: {str(answer)[:500]}")
        queued = time.monotonic() - began
        buyer.stop()
        had, cpu = _received(supplier.instance.file), supplier.instance.cpu()
        buyer.start()
        began, there = time.monotonic(), _received(supplier.instance.file) - had
        try:
            took = _delivered(buyer.file, len(ids), began)
            cpu_there, cpu_here = supplier.instance.cpu() - cpu, buyer.cpu()
        finally:
            buyer.stop()
        alone.append(loop.run(company.new_prefix(), size.orders))
        loop.close()
        arrived = _received(supplier.instance.file) - had
    if arrived != len(ids):
        raise Failed(f"{len(ids)} orders were exported and {arrived} arrived.")
    rate, theirs = (len(ids) - there) / took, company.middle([one.rate for one in alone])
    bar, ratio, met = table.at_least(0.3, rate / theirs, "the loop")
    yield Row(
        what=f"c  export of {len(ids):,} queued orders", figure=f"{rate:,.0f}/s (loop {theirs:,.0f}/s)", bar=bar, ratio=ratio, met=met
    )
    each = f"{table.micros(cpu_here / len(ids))} here, {table.micros(cpu_there / len(ids))} there"
    yield Row(what="c  server CPU per exported order", figure=each)
    yield Row(what=f"c  queueing them, {_AT_ONCE} a request", figure=table.rate(len(ids), queued))


def _connect(buyer: Instance, supplier: Instance) -> None:
    made = supplier.verb(
        "token", "create", "--partner", orders.BUYER["name"], "--scope", "PurchaseOrders:Create", "--expires", "90d", "--json"
    )
    buyer.verb("partner", "add", "--bundle", "-", told=msgspec.json.decode(made)["bundle"] + "\n")


def _purchases(buyer: Instance, size: Size) -> list[str]:
    """Write one order down at the buyer's door, and the others like it straight into the file; the ids of all."""
    document = orders.order("EXPORT-000000", 10, size.articles, random.Random(1042))  # noqa: S311 - chosen to be the same each time
    wanted = {name: document[name] for name in ("number", "date", "currency", "deliver_to", "requested_date", "buyer_reference", "lines")}
    buyer.start(PRODSYS_RUN_COURIER="false")
    status, made = buyer.ask("POST", "/api/v1/purchasing/orders", wanted | {"partner": "Fjord Lager AS"})
    buyer.stop()
    if status != 201:
        raise Failed(f"The buyer's order was answered {status}: {str(made)[:500]}")
    return [made["id"], *_copies(buyer.file, made["id"], size.exported - 1)]


def _copies(file: Path, id: str, count: int) -> list[str]:
    with rows.reading(file) as raw:
        order = dict(raw.execute("SELECT * FROM purchase_orders WHERE id = ?", [id]).fetchone())
        pk = order.pop("pk")
        lines = [dict(row) for row in raw.execute('SELECT * FROM purchase_lines WHERE "order" = ?', [pk])]
    ids = [f"po_{seed.number_of(at)}" for at in range(count)]

    def copied(at: int) -> list[Any]:
        number = f"EXPORT-{at + 1:06d}"
        mine = {"id": ids[at], "number": number, "document": order["document"].replace(order["number"], number)}
        return [pk + 1 + at, *(order | mine).values()]

    with seed.at_full_speed(file) as raw:
        raw.executemany(rows.insert_into("purchase_orders", ["pk", *order]), (copied(at) for at in range(count)))
        statement = rows.insert_into("purchase_lines", list(lines[0]))
        raw.executemany(statement, (list((line | {"order": pk + 1 + at}).values()) for at in range(count) for line in lines))
    return ids


def _received(file: Path) -> int:
    with rows.reading(file) as raw:
        count: int = raw.execute("SELECT count(*) FROM sales_orders").fetchone()[0]
    return count


def _delivered(file: Path, count: int, began: float) -> float:
    """Seconds until the buyer holds a receipt for every order."""
    with rows.reading(file) as raw:
        while time.monotonic() - began < _PATIENCE:
            states = dict(raw.execute("SELECT delivery, count(*) FROM purchase_orders GROUP BY delivery").fetchall())
            if states.get("received", 0) == count:
                return time.monotonic() - began
            time.sleep(0.05)
    raise Failed(f"After {_PATIENCE:g} s the orders were {states}.")
