"""How soon an instance is ready, and what memory it holds when idle and after long work (h)."""

import time
from collections.abc import Iterator
from pathlib import Path

from _bench import company, load, table
from _bench.company import Size
from _bench.table import Row

_CLIENTS = 32
_BATCH = 64


def measure(folder: Path, size: Size) -> Iterator[Row]:
    """(h) Two starts; then orders singly and in batches by turns, with a look at the memory after each twentieth of them."""
    supplier = company.supplier(folder / "life", size.articles)
    instance = supplier.instance
    first = instance.start()
    instance.stop()
    second = instance.start()
    yield Row(what="h  second start until ready", figure=f"{second:.2f} s (first {first:.2f} s)", bar="< 2 s", met=second < 2)
    try:
        time.sleep(2)
        idle = instance.memory()
        yield Row(what="h  memory when idle", figure=f"{idle:.0f} MB", bar="< 160 MB", met=idle < 160)
        step = size.life // 20
        taken = 0
        held: list[tuple[int, float]] = []
        for turn in range(20):
            work = supplier.work(step, _CLIENTS) if turn % 2 else supplier.work(step // _BATCH + 1, 2, size=_BATCH)
            taken += load.run(work).requests * work.size
            held.append((taken, instance.memory()))
        (early, before), (late, after) = held[3], held[-1]
        figure = f"{after - before:+.0f} MB ({before:.0f} → {after:.0f} MB, at most {instance.memory('VmHWM'):.0f} MB)"
        yield Row(what=f"h  memory from {early:,} to {late:,} orders", figure=figure, bar="< 20 MB", met=after - before < 20)
        instance.stop()
        again = instance.start()
        yield Row(what=f"h  start with {late:,} orders", figure=table.millis(again), bar="< 2 s", met=again < 2)
    finally:
        instance.stop()
