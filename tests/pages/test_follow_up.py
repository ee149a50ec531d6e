"""What waits for somebody, in a browser."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from prodsys.kit.clock import now
from prodsys.tables import purchase_orders
from tests.pages.conftest import Enter
from tests.pages.world import World, world


@pytest.fixture
async def trade(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[World]:
    """Two connected companies; one order was sent three days ago and should have come yesterday."""
    async with world(tmp_path / "world", sqlite_template) as companies:
        await companies.nordlys.db.write(_long_ago, companies.orders["clean"]["id"])
        yield companies


def _long_ago(tx: object, order: str) -> None:
    day = now() - dt.timedelta(days=3)
    then = update(purchase_orders).where(purchase_orders.c.id == order)
    tx.execute(then.values(sent_at=day, due_date=now().date() - dt.timedelta(days=1)))  # type: ignore[attr-defined]


async def test_what_waits_is_counted_and_leads_to_what_is_to_be_done(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer")
    page = await kari.open("/follow-up")
    first = await kari.words()
    await kari.must_be_sound()

    await kari.press("Decide")

    assert trade.orders["changed"]["number"] in first
    assert page.url.endswith(f"/orders/{trade.orders['changed']['id']}#decide")


async def test_a_supplier_who_is_late_is_reminded_once_a_day(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open("/follow-up?what=overdue")
    words = await kari.words()

    await page.locator("tbody button:has-text('Remind')").first.click()
    reminded = await kari.words()
    await page.locator("tbody button:has-text('Remind')").first.click()
    again = await kari.words()

    assert "1 day late" in words
    assert "They are reminded." in reminded
    assert "once a day is enough" in again
    order = await trade.nordlys.call("GET", f"/purchasing/orders/{trade.orders['clean']['id']}")
    assert len(order["messages"]) == 1


async def test_a_viewer_sees_what_waits_and_may_not_remind(trade: World, enter: Enter) -> None:
    viewer = await enter(trade.nordlys, "viewer")

    page = await viewer.open("/follow-up?what=overdue")

    assert await page.locator("tbody tr").count() == 1
    assert await page.locator("main button").count() == 0


async def test_a_list_without_orders_says_that_it_is_empty(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer")

    await kari.open("/follow-up?what=partly_received")

    assert "No order is here only in part." in await kari.words()
    await kari.must_be_sound()
