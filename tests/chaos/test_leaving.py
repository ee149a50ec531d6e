"""A server that is told to end does so within seconds, whoever is still listening, and loses nothing."""

import asyncio

from tests.chaos.companies import Pair
from tests.chaos.killable import connect, export, in_time, write_orders

SOON = 20.0
"""Seconds; far below what a service manager waits before it kills."""


async def test_a_buyer_with_a_listener_and_a_slow_partner_ends_soon_and_goes_on_afterwards(pair: Pair) -> None:
    supplier, buyer, line = pair.supplier, pair.buyer, pair.line
    ids = await write_orders(buyer, await connect(supplier, buyer), 5)
    line.faults = {"too_late": 1}
    line.too_late = 60
    begun = await export(buyer, ids)
    heard = asyncio.Event()

    async def listen() -> None:
        async with buyer.http.stream("GET", f"/exports/{begun}/events") as events:
            async for _ in events.aiter_bytes():
                heard.set()

    listening = asyncio.create_task(listen())
    await in_time(10, lambda: heard.is_set() and buyer.one("SELECT sum(attempts) FROM deliveries") > 0, what="news of an export under way")

    took = await buyer.stop()

    await asyncio.wait([listening])
    assert buyer.ended_with == 0
    assert took < SOON
    line.turn_good()
    if not buyer.is_sqlite:
        await asyncio.to_thread(buyer.let_leases_end)
    await buyer.start()
    await asyncio.to_thread(buyer.hurry)
    await in_time(75, lambda: buyer.one("SELECT count(*) FROM purchase_orders WHERE delivery = 'received'") == 5, what="all five delivered")
    assert supplier.one("SELECT count(*) FROM sales_orders") == 5
