"""A supplier who is away from Friday to Monday costs nobody a click; only a deadline ends the waiting, aloud (rulings.md, 20)."""

import asyncio
import datetime as dt
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import time_machine
from sqlalchemy import text

from prodsys import app
from prodsys.kit.db import Tx
from tests.chaos.killable import upgraded_file
from tests.chaos.proxy import Proxy, between
from tests.ports import a_free_port
from tests.stories.company import FJORD, NORDLYS, Company, running
from tests.stories.test_an_order_arrives import an_order

FRIDAY = dt.datetime(2026, 11, 20, 16, 0, tzinfo=dt.UTC)
MONDAY = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)


class Weekend(msgspec.Struct, frozen=True):
    """Two companies, the line between them, and the clock both look at."""

    fjord: Company
    nordlys: Company
    line: Proxy
    clock: time_machine.Traveller
    partner: str

    async def pass_by(self, time: dt.timedelta) -> None:
        """Let time pass; the buyer's courier looks, carries what it can, and sweeps."""
        self.clock.shift(time)
        self.nordlys.db.tell(["outbox"])
        await asyncio.sleep(0.02)
        await self.nordlys.in_time(self._is_at_rest)
        await app.courier_of(self.nordlys.instance).sweep()

    async def _is_at_rest(self) -> bool:
        return bool(await asked(self.nordlys, "SELECT count(*) FROM deliveries WHERE state = 'leased'") == 0)

    async def export(self, count: int) -> str:
        """Write so many orders and export them together; the export's id."""
        orders = [await an_order(self.nordlys, self.partner) for _ in range(count)]
        begun = await self.nordlys.call("POST", "/exports", json={"orders": [order["id"] for order in orders]})
        return str(begun["id"])

    async def all_received(self) -> bool:
        """Whether every order is known to be there."""
        return bool(await asked(self.nordlys, "SELECT count(*) FROM purchase_orders WHERE delivery <> 'received'") == 0)


async def asked(company: Company, question: str) -> Any:
    """The one value a question to a company's database has for an answer."""

    def ask(tx: Tx) -> Any:
        return tx.execute(text(question)).scalar_one()

    return await company.db.read(ask)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(FRIDAY, tick=True) as clock:
        yield clock


@pytest.fixture
async def weekend(clock: time_machine.Traveller, tmp_path: Path) -> AsyncIterator[Weekend]:
    port = a_free_port()
    files = [tmp_path / name / "prodsys.db" for name in ("fjord", "nordlys")]
    for file in files:
        await asyncio.to_thread(file.parent.mkdir)
        await asyncio.to_thread(shutil.copyfile, upgraded_file(), file)
    async with (
        running(FJORD, f"sqlite:///{files[0]}", files[0].parent, public_url=f"http://127.0.0.1:{port}") as fjord,
        running(NORDLYS, f"sqlite:///{files[1]}", files[1].parent) as nordlys,
        between(int(fjord.url.rpartition(":")[2]), port) as line,
    ):
        await fjord.import_articles()
        handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
        partner = await nordlys.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})
        yield Weekend(fjord, nordlys, line, clock, str(partner["id"]))


async def test_what_was_exported_on_friday_arrives_on_monday_by_itself(weekend: Weekend) -> None:
    weekend.line.faults = {"lose_request": 1}
    await weekend.export(30)
    await weekend.pass_by(dt.timedelta(minutes=10))
    told_at_first = [entry["code"] for entry in await weekend.nordlys.logged(partner=weekend.partner) if entry["code"].startswith("lane.")]

    steps = 0
    while dt.datetime.now(dt.UTC) < MONDAY:
        await weekend.pass_by(dt.timedelta(minutes=45))
        steps += 1
    on_the_weekend = [entry["code"] for entry in await weekend.nordlys.logged(partner=weekend.partner) if entry["code"].startswith("lane.")]
    attempts = await asked(weekend.nordlys, "SELECT sum(attempts) FROM deliveries")
    weekend.line.turn_good()
    await weekend.pass_by(dt.timedelta(minutes=10))
    await weekend.nordlys.in_time(weekend.all_received)

    assert told_at_first == ["lane.paused"]
    assert on_the_weekend == ["lane.waiting", "lane.paused"]
    # All of them on Friday, afterwards one at a time.
    assert attempts <= 2 * 30 + steps + 3
    assert await asked(weekend.fjord, "SELECT count(*) FROM sales_orders") == 30
    assert await asked(weekend.fjord, "SELECT count(*) FROM log_entries WHERE code = 'order.repeated'") == 0
    assert [entry["code"] for entry in await weekend.nordlys.logged(partner=weekend.partner, code="lane.open")] == ["lane.open"]


async def test_an_order_dies_at_its_deadline_and_not_before_and_can_be_sent_again(weekend: Weekend) -> None:
    weekend.line.faults = {"lose_request": 1}
    begun = await weekend.export(3)
    for _ in range(6):
        await weekend.pass_by(dt.timedelta(days=1))
    await weekend.pass_by(dt.timedelta(hours=23))
    waiting = await weekend.nordlys.call("GET", f"/exports/{begun}")

    await weekend.pass_by(dt.timedelta(hours=2))
    over = await weekend.nordlys.call("GET", f"/exports/{begun}")
    told = await weekend.nordlys.logged(code="order.dead")
    weekend.line.turn_good()
    for item in over["items"]:
        await weekend.nordlys.call("POST", f"/deliveries/{item['delivery']}/resend")
    await weekend.pass_by(dt.timedelta(minutes=1))
    await weekend.nordlys.in_time(weekend.all_received)

    assert [item["status"] for item in waiting["items"]] == ["waiting"] * 3
    assert [(item["status"], item["issues"][0]["code"]) for item in over["items"]] == [("dead", "delivery_dead")] * 3
    assert all(item["what_to_do"] for item in over["items"])
    assert [entry["level"] for entry in told] == ["error"] * 3
    again = await weekend.nordlys.call("GET", f"/exports/{begun}")
    assert [item["status"] for item in again["items"]] == ["received"] * 3
    assert await asked(weekend.fjord, "SELECT count(*) FROM sales_orders") == 3


async def test_a_clock_that_jumps_ahead_and_back_delays_an_order_and_doubles_none(weekend: Weekend) -> None:
    reached = asyncio.Event()
    weekend.line.at = lambda stage, what: reached.set() if (stage, what) == ("delivered", "order") else None
    weekend.line.faults = {"too_late": 1}
    weekend.line.too_late = 1
    await weekend.export(3)
    await reached.wait()

    # Every lease seems over while its order is still under way, so a second courier takes it too.
    weekend.clock.shift(dt.timedelta(hours=3))
    await app.courier_of(weekend.nordlys.instance).sweep()
    weekend.line.turn_good()
    await weekend.export(3)
    weekend.clock.shift(-dt.timedelta(hours=3))
    for _ in range(4):
        await weekend.pass_by(dt.timedelta(hours=1))
    await weekend.nordlys.in_time(weekend.all_received)

    assert await asked(weekend.fjord, "SELECT count(*) FROM sales_orders") == 6
    assert await asked(weekend.fjord, "SELECT count(*) FROM log_entries WHERE code = 'order.received'") == 6
    assert await asked(weekend.nordlys, "SELECT count(*) FROM log_entries WHERE code = 'order.delivered'") == 6


async def test_a_feed_heard_many_times_at_once_and_again_from_its_beginning_is_told_once(weekend: Weekend) -> None:
    await weekend.export(4)
    await weekend.nordlys.in_time(weekend.all_received)
    drafts = (await weekend.fjord.call("GET", "/sales/drafts"))["items"]
    wanted = [{"id": draft["id"], "etag": draft["etag"]} for draft in drafts]
    await weekend.fjord.call("POST", "/sales/drafts/approve", json={"drafts": wanted})
    orders = (await weekend.nordlys.call("GET", "/purchasing/orders"))["items"]

    async def all_published() -> bool:
        return bool(await asked(weekend.fjord, "SELECT count(*) FROM sales_changes") == 4)

    await weekend.fjord.in_time(all_published)
    refreshes = [weekend.nordlys.call("POST", f"/purchasing/orders/{order['id']}/refresh") for order in orders for _ in range(5)]
    heard = await asyncio.gather(*refreshes)
    before = await asked(weekend.nordlys, "SELECT sum(version) FROM purchase_orders")
    await weekend.nordlys.db.write(_forget_how_far_we_read)
    again = await weekend.nordlys.call("POST", f"/purchasing/orders/{orders[0]['id']}/refresh")

    assert {one["acceptance"] for one in [*heard, again]} == {"approved"}
    assert await asked(weekend.nordlys, "SELECT count(*) FROM log_entries WHERE code = 'order.approved'") == 4
    assert await asked(weekend.nordlys, "SELECT sum(version) FROM purchase_orders") == before


def _forget_how_far_we_read(tx: Tx) -> None:
    tx.execute(text("UPDATE partners SET their_cursor = ''"))
