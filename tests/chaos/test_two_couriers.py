"""Several processes may deliver from one PostgreSQL; each order leaves once, and a dead one's work is taken over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import postgres
from tests.chaos import books
from tests.chaos.companies import Pair, two_companies
from tests.chaos.killable import connect, export, in_time, write_orders
from tests.chaos.proxy import quiet

LEFT = "SELECT count(*) FROM purchase_orders WHERE delivery <> 'received'"


@pytest.fixture
async def shared(cluster: postgres.Cluster, upgraded: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """A buyer on PostgreSQL, a supplier in a file."""
    with cluster.copy_of(upgraded) as url:
        async with two_companies(tmp_path, ("", url)) as pair:
            yield pair


async def test_a_server_and_two_workers_deliver_three_hundred_orders_each_in_one_attempt(shared: Pair) -> None:
    supplier, buyer = shared.supplier, shared.buyer
    ids = await write_orders(buyer, await connect(supplier, buyer), 300)
    workers = [buyer.spawn("worker") for _ in range(2)]
    # So slow that one of them alone would take long.
    shared.line.faults = {"late": 1}
    shared.line.late = (0.5, 0.9)
    try:
        await in_time(30, lambda: buyer.log.read_text().count("Delivering what is promised") == 2, what="two workers")
        exports = [await export(buyer, ids[at : at + 10], f"export-{at}") for at in range(0, 300, 10)]
        await in_time(60, lambda: buyer.one(LEFT) == 0, what="every order delivered")

        assert books.everything_arrived_once(supplier, buyer, 300, len(exports)) == {"received": 300}
        books.both_logs_agree(supplier, buyer)
        assert buyer.rows("SELECT DISTINCT attempts FROM deliveries WHERE kind = 'order'") == [(1,)]
        assert supplier.one("SELECT count(*) FROM log_entries WHERE code = 'order.repeated'") == 0
        assert len(buyer.rows("SELECT DISTINCT owner FROM deliveries")) > 1
    finally:
        for worker in workers:
            worker.terminate()
        assert [await asyncio.to_thread(worker.wait, 10) for worker in workers] == [0, 0]


async def test_what_a_killed_worker_held_is_delivered_once_by_another(shared: Pair) -> None:
    supplier, buyer, line = shared.supplier, shared.buyer, shared.line
    ids = await write_orders(buyer, await connect(supplier, buyer), 40)
    await buyer.stop()
    worker = buyer.spawn("worker")
    await in_time(30, lambda: "Delivering what is promised" in buyer.log.read_text(), what="a worker")
    line.at = lambda stage, what: worker.kill() if (stage, what) == ("answered", "order") else None
    await buyer.start(run_courier="false")
    await export(buyer, ids)
    await asyncio.to_thread(worker.wait, 120)
    line.at = quiet

    await asyncio.to_thread(buyer.let_leases_end)
    other = buyer.spawn("worker")

    def is_done() -> bool:
        # On a busy machine answers come later than the two seconds this buyer waits for them; then his lane pauses, and longer each time.
        buyer.hurry()
        return bool(buyer.one(LEFT) == 0)

    try:
        await in_time(120, is_done, what="every order delivered")
        assert books.everything_arrived_once(supplier, buyer, 40, 1)["repeated"] > 0
        books.both_logs_agree(supplier, buyer)
    finally:
        other.kill()
        other.wait()
