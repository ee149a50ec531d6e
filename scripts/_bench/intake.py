"""How fast orders come in over HTTP, singly and in batches, beside the bare loop (a, b)."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from _bench import bare, company, load, rows, table
from _bench.bare import Took
from _bench.company import Cost, Size
from _bench.table import Row

BATCH = 64


def disk(folder: Path) -> Row:
    """What the disk alone asks for keeping a page safe; no database is faster than this."""
    took = []
    with (folder / "fdatasync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(os.urandom(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return Row(what="disk: fdatasync of 4 KiB", figure=table.micros(company.middle(took)))


def measure(folder: Path, size: Size) -> Iterator[Row]:
    """(a) and (b), in the same rounds: the loop, 32 clients, 1 client, the loop in groups, batches."""
    supplier = company.supplier(folder / "intake", size.articles)
    file = supplier.instance.file
    alone: list[Took] = []
    grouped: list[Took] = []
    many: list[Cost] = []
    single: list[Cost] = []
    batches: list[Cost] = []
    with company.running(supplier):
        first = company.new_prefix()
        load.run(supplier.work(1, prefix=first))
        loop = bare.Loop(folder / "bare.db", file, f"{first}-000000", size.articles)
        before = rows.counts(file)
        for _ in range(size.rounds):
            alone.append(loop.run(company.new_prefix(), size.orders))
            many.append(supplier.measured(supplier.work(size.orders, clients=32)))
            single.append(supplier.measured(supplier.work(size.orders // 2)))
            grouped.append(loop.run(company.new_prefix(), 2 * size.orders, group=BATCH))
            batches.append(supplier.measured(supplier.work(2 * size.orders // BATCH, clients=2, size=BATCH)))
        loop.close()
        received = sum(cost.orders for cost in (*many, *single, *batches))
        rows_written = _rows(rows.counts(file), before, received)
        product, bare_loop, unlike = rows.last_orders(file), rows.last_orders(loop.file), rows.differences(file, loop.file)
    yield _against("a  intake, 32 clients", many, alone, 0.4)
    yield _against("a  intake, 1 client", single, alone, 0.2)
    yield _cpu("a  server CPU per order, 32 clients", many, alone, 8)
    yield Row(
        what="a  answer time, 32 clients",
        figure=f"median {table.millis(many[0].outcome.waited(0.5))}, p99 {table.millis(many[0].outcome.waited(0.99))}",
    )
    yield Row(what="a  rows written for one order", figure=rows_written, bar="the loop writes the same", met=not unlike)
    yield Row(
        what="a  bytes written for one order",
        figure=f"{product.bytes:,.0f} (loop {bare_loop.bytes:,.0f}), {product.lines:g} lines, {product.entries:g} log entry",
        bar="the loop writes the same",
        ratio=f"{bare_loop.bytes / product.bytes:.2f}",
        met=abs(bare_loop.bytes / product.bytes - 1) < 0.05 and (product.lines, product.entries) == (bare_loop.lines, bare_loop.entries),
    )
    bar, ratio, met = table.at_least(2, company.side_by_side([cost.rate for cost in batches], [cost.rate for cost in many]), "single posts")
    yield Row(what=f"b  batch door, {BATCH} orders a request", figure=_rates(batches), bar=bar, ratio=ratio, met=met)
    yield _against(f"b  the same, beside the loop committing {BATCH}", batches, grouped, None)
    yield _cpu("b  server CPU per order in a batch", batches, grouped, None)


def _rates(costs: list[Cost] | list[Took]) -> str:
    return f"{company.middle([cost.rate for cost in costs]):,.0f}/s"


def _against(what: str, ours: list[Cost], loop: list[Took], bar: float | None) -> Row:
    ratio = company.side_by_side([cost.rate for cost in ours], [took.rate for took in loop])
    figure = f"{_rates(ours)} (loop {_rates(loop)})"
    if bar is None:
        return Row(what=what, figure=figure, ratio=f"{ratio:.2f}")
    words, shown, met = table.at_least(bar, ratio, "the loop")
    return Row(what=what, figure=figure, bar=words, ratio=shown, met=met)


def _cpu(what: str, ours: list[Cost], loop: list[Took], bar: float | None) -> Row:
    each, theirs = [cost.each for cost in ours], [took.cpu / took.orders for took in loop]
    ratio = company.side_by_side(each, theirs)
    figure = f"{table.micros(company.middle(each))} (loop {table.micros(company.middle(theirs))})"
    if bar is None:
        return Row(what=what, figure=figure, ratio=f"{ratio:.2f}x")
    words, shown, met = table.at_most(bar, ratio, "the loop")
    return Row(what=what, figure=figure, bar=words, ratio=shown, met=met)


def _rows(now: dict[str, int], before: dict[str, int], orders: int) -> str:
    return ", ".join(f"{(now[name] - before[name]) / orders:.3g} {name}" for name in now if now[name] - before[name] > orders / 100)
