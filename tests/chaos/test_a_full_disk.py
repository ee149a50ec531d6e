"""Where nothing more can be stored, nothing is half stored, the caller hears 503, and everything goes on when there is room."""

import asyncio

import pytest

from tests.chaos import books
from tests.chaos.companies import Pair
from tests.chaos.killable import Killable, connect, export, in_time, write_orders
from tests.chaos.kills import in_a_hurry
from tests.chaos.proxy import Stage, quiet

LEFT = "SELECT count(*) FROM purchase_orders WHERE delivery <> 'received'"


def fill_the_disk(company: Killable) -> None:
    """From now on no file of the company grows; what its write-ahead log can still hold is soon used up."""
    company.limit_files(company.file.with_name("prodsys.db-wal").stat().st_size + 16_384)


async def test_a_supplier_without_room_takes_no_half_order_and_everything_when_there_is_room(files: Pair) -> None:
    supplier, buyer = files.supplier, files.buyer
    partner = await connect(supplier, buyer)
    ids = await write_orders(buyer, partner, 60)
    exports = [await export(buyer, ids[:20], "before")]
    await in_time(20, lambda: buyer.one(f"{LEFT} AND sent_at IS NOT NULL") == 0, what="twenty delivered while there is room")

    fill_the_disk(supplier)
    exports += [await export(buyer, ids[20:40], "into the wall"), await export(buyer, ids[40:], "too")]

    async with in_a_hurry(buyer):
        await in_time(30, lambda: buyer.rows("SELECT 1 FROM lanes WHERE code = 'status_503'"), what="the buyer hears 503")
    answer = await supplier.http.post("/partners/with-token", json={"name": "Another AS", "scopes": ["Articles:Read"]})
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert (await supplier.http.get("/sales/drafts")).status_code == 200
    kept = supplier.one("SELECT count(*) FROM sales_orders")
    assert supplier.one("SELECT count(*) FROM sales_lines") == kept
    assert supplier.one("SELECT count(*) FROM log_entries WHERE code = 'order.received'") == kept
    assert supplier.rows("PRAGMA integrity_check") == [("ok",)]

    supplier.limit_files(-1)
    async with in_a_hurry(buyer):
        await in_time(60, lambda: buyer.one(LEFT) == 0, what="everything delivered when there is room")
    books.everything_arrived_once(supplier, buyer, 60, len(exports))
    books.both_logs_agree(supplier, buyer)


@pytest.mark.timeout(300)
async def test_a_buyer_who_cannot_write_down_that_an_order_arrived_sends_it_again(files: Pair) -> None:
    supplier, buyer, line = files.supplier, files.buyer, files.line
    ids = await write_orders(buyer, await connect(supplier, buyer), 30)

    def fill_it_under_way(stage: Stage, what: str) -> None:
        if (stage, what) == ("delivered", "order"):
            buyer.limit_files(4_096)
            line.at = quiet

    line.at = fill_it_under_way
    begun = await export(buyer, ids)
    await in_time(30, lambda: "courier.cannot_settle" in buyer.log.read_text(), what="the buyer cannot write down what came of it")
    assert buyer.one(LEFT) == 30
    assert begun

    buyer.limit_files(-1)
    await asyncio.to_thread(buyer.let_leases_end)
    # A busy machine has let the lane rest meanwhile, each time for longer.
    await in_time(150, lambda: buyer.one(LEFT) == 0, what="everything known to be delivered")
    said = books.everything_arrived_once(supplier, buyer, 30, 1)
    assert said["repeated"] > 0


async def test_a_buyer_that_is_started_without_room_delivers_when_there_is_room(files: Pair) -> None:
    supplier, buyer, line = files.supplier, files.buyer, files.line
    ids = await write_orders(buyer, await connect(supplier, buyer), 5)
    line.faults = {"lose_request": 1}
    await export(buyer, ids)
    await in_time(20, lambda: buyer.one("SELECT sum(attempts) FROM deliveries") > 0, what="a first attempt")
    buyer.kill()
    line.turn_good()

    # As much as SQLite needs to open the file at all.
    await buyer.start(largest_file=32_768)
    await in_time(10, lambda: "cannot_claim" in buyer.log.read_text(), what="the courier cannot begin")
    buyer.limit_files(-1)

    async with in_a_hurry(buyer):
        await in_time(75, lambda: buyer.one(LEFT) == 0, what="everything delivered when there is room")
    books.everything_arrived_once(supplier, buyer, 5, 1)
