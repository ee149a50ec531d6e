"""What it costs to carry documents between systems: a mapping, a long flow beside a bare client, and the memory of a very long one (i)."""

import asyncio
import datetime as dt
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from _bench import company, shop, table
from _bench.company import Size
from _bench.load import Failed
from _bench.server import Instance
from _bench.table import Row
from prodsys.connections import shaping
from prodsys.connections.model import FlowSettings
from prodsys.connections.preparing import prepared
from prodsys.connectors._base import Connector, Known, Record, Secret, whole
from prodsys.connectors.eaccounting import EAccounting
from prodsys.documents import ContactCard, Exact, SalesOrder, TradeLine
from prodsys.exchange import mapping
from prodsys.exchange.mapping import Adjustments

LATENCY = 0.02
AT_ONCE = 8
_names = itertools.count(1)
_FIELDS = {
    "articles": {"number": "sku", "name": "title", "price": "price.net", "currency": "price.currency", "unit": "unit"},
    "stock": {"article_number": "sku", "on_hand": "qty"},
}


def measure(folder: Path, size: Size) -> Iterator[Row]:
    """(i) An order of ten lines read, mapped, checked and written; articles sent to a slow shop; stock read from it."""
    each = _mapped()
    yield Row(what="i  an order of 10 lines mapped twice and matched", figure=table.millis(each) + " CPU", bar="≤ 3 ms", met=each <= 0.003)
    supplier = company.supplier(folder / "flows", size.flow_articles)
    supplier.instance.verb("module", "on", "erp-connections")
    supplier.instance.start(PRODSYS_ALLOWED_NETWORKS="127.0.0.0/8")
    try:
        yield _sent(supplier.instance, size.flow_articles)
        yield from _held(supplier.instance, size.flow_stock)
    finally:
        supplier.instance.stop()


def _mapped() -> float:
    """Seconds of processor for an order that comes in eAccounting's words and leaves in them, with fifteen rules either way."""
    if_many = {"do": "condition", "when": "line.quantity > 1", "then": {"do": "constant", "value": "x"}}
    together = {"do": "join", "of": [{"do": "path", "path": "customer.name"}, {"do": "path", "path": "number"}]}
    rules: list[Any] = [{"field": f"Rows[].f{at}", "step": if_many} for at in range(5)]
    rules += [{"field": f"Head{at}", "step": together} for at in range(10)]
    leaving = msgspec.convert({"rules": rules}, Adjustments)
    coming = msgspec.convert({"rules": [{"field": "note", "step": {"do": "constant", "value": "x"}}]}, Adjustments)
    lines = [TradeLine(line_id=str(at), article_number=f"A-{at}", description="Bolt M8", quantity=Exact("12"), unit_price=Exact("1.3"))
             for at in range(10)]  # fmt: skip
    order = SalesOrder(number="SO-1", date=dt.date(2026, 11, 21), currency="NOK", customer=ContactCard(name="Nordlys AS"), lines=lines)
    config = EAccounting.Config(client_id="x", client_secret=Secret("x"))
    articles = {line.article_number: line.article_number for line in lines}
    resource = EAccounting.resources["orders"]
    connector: Connector = EAccounting.__new__(EAccounting)
    theirs = msgspec.to_builtins(connector.words("orders", order, Known(customer="1", articles=articles, config=config)))
    settings, look = FlowSettings(), shaping.look_in({}, "out")

    def once() -> None:
        read = prepared(connector, "orders", Record(id="1", theirs=theirs), settings, coming, look)
        if read is None or read.issues:
            raise Failed(f"The order could not be read: {read}")
        document = shaping.translated("orders", shaping.shaped(read.document, settings, look), look)
        missing = [line for line in document.lines if line.article_number not in articles]
        if missing or shaping.limit_faults(document, resource.limits):
            raise Failed("The order is refused")
        words = connector.words("orders", document, Known(customer="1", articles=articles, config=config))
        mapping.adjust(leaving, whole(document), words, look)

    once()
    took = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(100):
            once()
        took.append((time.process_time() - began) / 100)
    return company.middle(took)


def _sent(instance: Instance, articles: int) -> Row:
    """Every article to a shop that answers after 20 ms, eight at a time; beside a loop that asks and sends the very same."""
    with shop.running(LATENCY) as address:
        flow = _flow(instance, address, "articles", "out")
        cpu, began = instance.cpu(), time.monotonic()
        done = _run(instance, flow)
        ours, took = instance.cpu() - cpu, time.monotonic() - began
        if done["created"] != articles:
            raise Failed(f"The flow did not send every article: {done}")
    with shop.running(LATENCY) as address:
        cpu, began = time.process_time(), time.monotonic()
        asyncio.run(_bare(address, articles))
        bare, alone = time.process_time() - cpu, time.monotonic() - began
    bar, ratio, met = table.at_most(2, ours / bare, "a bare client's CPU")
    figure = f"{took:.0f} s (bare {alone:.0f} s), {table.micros(ours / articles)} CPU each (bare {table.micros(bare / articles)})"
    return Row(what=f"i  {articles:,} articles to a shop, 20 ms, 8 at once", figure=figure, bar=bar, ratio=ratio, met=met)


async def _bare(address: str, articles: int) -> None:
    """Look each article up and send it, eight at a time, and nothing else."""
    wanted = iter(range(articles))
    async with httpx2.AsyncClient(headers={"authorization": "Bearer x"}) as client:

        async def loop() -> None:
            for at in wanted:
                found = (await client.get(f"{address}/products", params={"sku": f"A-{at}", "page": "1", "limit": "100"})).json()
                assert not found["data"]  # noqa: S101 - the shop is new
                row = {"sku": f"A-{at}", "title": f"Bolt M{at} zinc plated", "price": {"net": 1.25, "currency": "NOK"}, "unit": "H87"}
                (await client.post(f"{address}/products", json=row)).json()

        await asyncio.gather(*(loop() for _ in range(AT_ONCE)))


def _held(instance: Instance, stock: int) -> Iterator[Row]:
    """Stock rows read from a shop that answers at once, with a look at the memory after a tenth of them and at the end."""
    with shop.running(0, stock) as address:
        flow = _flow(instance, address, "stock", "in")
        held: list[tuple[int, float]] = []
        began = time.monotonic()
        done = _run(instance, flow, lambda read: held.append((read, instance.memory())))
        took = time.monotonic() - began
    if done["created"] != stock:
        raise Failed(f"The flow did not read every row: {done}")
    early, before = next(one for one in held if one[0] >= stock // 10)
    late, after = held[-1]
    figure = f"{after - before:+.0f} MB ({before:.0f} → {after:.0f} MB), {table.rate(stock, took)}"
    yield Row(what=f"i  memory from {early:,} to {late:,} stock rows", figure=figure, bar="< 20 MB", met=after - before < 20)


def _flow(instance: Instance, address: str, kind: str, direction: str) -> str:
    described = {kind: {"path": f"/{'products' if kind == 'articles' else kind}", "rows": "data", "fields": _FIELDS[kind], "writes": True,
                        "find": {"number": "sku"} if kind == "articles" else {}}}  # fmt: skip
    config = {"base_url": address, "probe": "/ping", "sign_in": "key", "secret": "a-key", "key_prefix": "Bearer", "pages": "number",
              "page_size": shop.ROWS, "calls_a_minute": 100_000, "resources": described}  # fmt: skip
    made = _asked(instance, "POST", "/connections", {"name": f"Shop {next(_names)}", "connector": "rest", "config": config})
    _asked(instance, "POST", f"/connections/{made['id']}/activate", {})
    flow = _asked(instance, "POST", f"/connections/{made['id']}/flows", {"kind": kind, "direction": direction})
    return str(flow["id"])


def _run(instance: Instance, flow: str, seen: Any = None) -> dict[str, Any]:
    _asked(instance, "POST", f"/flows/{flow}/runs", {})
    while True:
        time.sleep(0.25)
        run = _asked(instance, "GET", f"/flows/{flow}", None)["last_run"]
        if run is None:
            continue
        if seen is not None:
            seen(run["read"])
        if run["state"] != "running":
            done: dict[str, Any] = run
            return done


def _asked(instance: Instance, method: str, path: str, body: Any) -> Any:
    status, said = instance.ask(method, f"/api/v1{path}", body)
    if status >= 300:
        raise Failed(f"{method} {path}: {status} {said}")
    return said
