"""An export over a line that loses, cuts, delays, doubles and makes up answers."""

import asyncio

import msgspec

from tests.chaos import books
from tests.chaos.companies import Pair
from tests.chaos.killable import connect, export, in_time, write_orders
from tests.chaos.kills import in_a_hurry


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the line did, and what became of the orders all the same."""

    orders: int
    seconds: float
    met: dict[str, int]
    said: dict[str, int]
    repeated_at_the_supplier: int

    def told(self) -> list[tuple[str, object]]:
        return [
            ("orders exported, each one draft there", self.orders),
            ("seconds", self.seconds),
            *((f"calls met by {fault}", count) for fault, count in sorted(self.met.items())),
            *((f"the export says {status}", count) for status, count in sorted(self.said.items())),
            ("arrivals answered with their first receipt", self.repeated_at_the_supplier),
        ]


async def trade(pair: Pair, *, orders: int, seed: int, at_once: int = 7) -> Figures:
    """Export so many orders, a few at a time, over a line that turns bad at once, and touch nothing until all have arrived."""
    began = asyncio.get_running_loop().time()
    supplier, buyer, line = pair.supplier, pair.buyer, pair.line
    partner = await connect(supplier, buyer)
    ids = await write_orders(buyer, partner, orders)
    line.turn_bad(seed)

    exports = [await export(buyer, ids[at : at + at_once], f"export-{at}") for at in range(0, orders, at_once)]
    async with in_a_hurry(supplier, buyer):
        left = "SELECT count(*) FROM purchase_orders WHERE delivery <> 'received'"
        await in_time(60 + orders, lambda: buyer.one(left) == 0, what="every order delivered")
    met = {str(fault): count for fault, count in line.met.items()}
    line.turn_good()

    said = books.everything_arrived_once(supplier, buyer, orders, len(exports))
    books.both_logs_agree(supplier, buyer)
    return Figures(
        orders=orders,
        seconds=round(asyncio.get_running_loop().time() - began, 1),
        met=met,
        said=said,
        repeated_at_the_supplier=supplier.one("SELECT count(*) FROM log_entries WHERE code = 'order.repeated'"),
    )
