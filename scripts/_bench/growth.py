"""What an order costs as it has more lines, and as the catalogue has more articles (d, e)."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec

from _bench import company, load, orders, table
from _bench.company import Size, Supplier
from _bench.load import Failed, Work, quantile
from _bench.table import Row


def of_lines(folder: Path, size: Size) -> Iterator[Row]:
    """(d) Orders of more and more lines, one after the other; then the largest while others send theirs."""
    supplier = company.supplier(folder / "lines", size.articles)
    with company.running(supplier):
        costs = {lines: supplier.measured(supplier.work(max(3, min(300, 20_000 // lines)), lines=lines)) for lines in size.lines}
        for lines, cost in costs.items():
            answered = table.millis(cost.outcome.waited(0.5))
            figure = f"{table.millis(cost.each)} CPU, {table.micros(cost.each / lines)} a line, answered in {answered}"
            yield Row(what=f"d  an order of {lines:,} lines", figure=figure)
        large, smaller = size.lines[-1], size.lines[-2]
        bar, ratio, met = table.at_most(1.3, costs[large].each / large / (costs[smaller].each / smaller), f"a line of {smaller:,}")
        yield Row(
            what="d  cost is linear in lines", figure=table.micros(costs[large].each / large) + " a line", bar=bar, ratio=ratio, met=met
        )
        took = costs[large].outcome.waited(0.5)
        limit = 2.0 * large / 10_000
        yield Row(what=f"d  time of an order of {large:,} lines", figure=table.millis(took), bar=f"< {limit:g} s", met=took < limit)
        yield _others(supplier, large)


def _others(supplier: Supplier, lines: int) -> Row:
    """How long eight clients' usual orders wait while a very large one is taken in, once and again with a rest between."""
    usual = load.Running(supplier.work(20_000, clients=8).limited(12.0))
    large = [load.Running(supplier.work(1, lines=lines)) for _ in range(6)]
    usual.go()
    spans: list[tuple[float, float]] = []
    for one in large:
        time.sleep(0.5)
        one.go()
        spans += one.outcome().times
    times = usual.outcome().times
    # How much longer than the very order each of them met.
    more = [took - length for sent, took in times for start, length in spans if sent < start + length and sent + took > start]
    own, late = company.middle([length for _, length in spans]), quantile(more, 0.99)
    return Row(
        what=f"d  others' p99 while it takes {table.millis(own)}",
        figure=f"{table.millis(own + late)} of {len(more):,} orders",
        bar="≤ its own time + 50 ms",
        ratio=f"{late * 1e3:+.0f} ms",
        met=late <= 0.05,
    )


def of_articles(folder: Path, size: Size) -> Iterator[Row]:
    """(e) The same orders at three companies with catalogues of different size, in turns; then numbers nobody knows."""
    suppliers = [company.supplier(folder / f"articles-{articles}", articles) for articles in size.catalogues]
    with ExitStack() as stack:
        for supplier in suppliers:
            stack.enter_context(company.running(supplier))
        each: dict[int, list[float]] = {supplier.articles: [] for supplier in suppliers}
        for _ in range(size.rounds):
            for supplier in suppliers:
                each[supplier.articles].append(supplier.measured(supplier.work(size.orders, clients=32)).each)
        few, many = size.catalogues[0], size.catalogues[-1]
        for articles, costs in each.items():
            figure = table.micros(company.middle(costs)) + " CPU an order"
            if articles == many:
                bar, ratio, met = table.at_most(1.6, company.side_by_side(costs, each[few]), f"with {few:,}")
                yield Row(what=f"e  with {articles:,} articles", figure=figure, bar=bar, ratio=ratio, met=met)
            else:
                yield Row(what=f"e  with {articles:,} articles", figure=figure, ratio=f"{company.side_by_side(costs, each[few]):.2f}x")
        yield _suggestions(suppliers[-1])


def _suggestions(supplier: Supplier) -> Row:
    """An order with one number nobody knows, looked at again and again with another slip of the pen each time."""
    order = orders.order("PREVIEW-1", 1, supplier.articles, company.chance())
    order["lines"][0] |= {"article_number": "A-0{at}1O", "description": "Bolt M{at} zink plated"}
    work = Work(
        port=supplier.instance.port,
        token=supplier.token,
        kind="same",
        requests=30,
        path="/api/v1/purchase-orders/preview",
        body=msgspec.json.encode({"orders": [order]}).decode(),
    )
    outcome = load.run(work)
    found = len(msgspec.json.decode(outcome.last)["items"][0]["lines"][0].get("suggestions", ()))
    if not found:
        raise Failed(f"No suggestions: {outcome.last[:300]}")
    took = outcome.waited(0.95)
    figure = f"median {table.millis(outcome.waited(0.5))}, p95 {table.millis(took)}"
    return Row(what=f"e  {found} suggestions among {supplier.articles:,}", figure=figure, bar="< 50 ms", met=took < 0.05 and found == 3)
