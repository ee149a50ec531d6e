"""Export to partner in a browser: seen before, followed while it goes on, mended after."""

import re
from typing import Any

import pytest
from playwright.async_api import expect

from tests.pages.conftest import Enter
from tests.pages.world import connect
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, an_order


@pytest.fixture
async def supplier(fjord: Company, nordlys: Company) -> str:
    """Fjord as Nordlys has it: connected, and refusing what it does not know."""
    partner = await connect(nordlys, fjord)
    [theirs] = (await fjord.call("GET", "/partners"))["items"]
    seen = await fjord.http.get(f"/partners/{theirs['id']}")
    await fjord.call("PATCH", f"/partners/{theirs['id']}", etag=seen.headers["etag"], json={"when_unknown": "refuse"})
    return partner


@pytest.fixture
async def three(nordlys: Company, supplier: str) -> list[dict[str, Any]]:
    """Two orders that are right, and one with a number the supplier does not have."""
    return [
        await an_order(nordlys, supplier, a_line()),
        await an_order(nordlys, supplier, a_line("10", "A-200", quantity="400", unit_price="0.45")),
        await an_order(nordlys, supplier, a_line(), a_line("20", "A-999", quantity="10")),
    ]


async def test_three_orders_one_with_an_unknown_article_are_seen_before_sent_mended_and_retried(
    fjord: Company, nordlys: Company, three: list[dict[str, Any]], enter: Enter
) -> None:
    kari = await enter(nordlys, "buyer")
    page = await kari.open("/orders")
    await page.check("[data-pick-all]")
    chosen = await page.inner_text(".bar")
    await page.click(".bar .btn--primary")
    await page.wait_for_url("**/exports/new*")
    preview = await kari.words()
    await kari.must_be_sound()

    await page.check(f"input[name=order][value={three[2]['id']}]")
    await kari.press("Export 3 orders")
    await page.wait_for_selector("#export-bar .btn--primary")
    await page.locator("tbody tr:has-text('A-999')").wait_for()
    result = await kari.words()
    await kari.must_be_sound()
    await kari.press("Correct the order")
    await page.fill("[name='lines.1.article_number']", "A-300")
    await page.click(".bar .btn--primary")
    await page.wait_for_url("**/orders/po_*")
    await kari.open("/exports")
    await page.click("tbody th a")
    await kari.press("Retry 1 failed")
    await page.wait_for_selector("h1:has-text('All 3 orders have arrived')")

    assert "3 orders selected" in chosen
    assert "2 of 3 orders will be sent" in preview
    assert "Would be refused" in preview
    assert "They have no such number." in preview
    assert "1 of 3 orders did not arrive" in result
    assert "A-999" in result
    assert len((await fjord.call("GET", "/sales/drafts"))["items"]) == 3


async def test_progress_has_an_address_that_survives_a_reload_and_is_pushed(
    fjord: Company, nordlys: Company, three: list[dict[str, Any]], enter: Enter
) -> None:
    kari = await enter(nordlys, "buyer")
    page = await kari.open(f"/exports/new?order={three[0]['id']}&order={three[1]['id']}")

    await kari.press("Export 2 orders")
    await page.wait_for_selector("h1:has-text('All 2 orders have arrived')")
    await page.locator("tbody tr:has-text('Received')").nth(1).wait_for()
    await page.reload()
    await page.locator("tbody tr:has-text('Received')").nth(1).wait_for()

    assert await page.locator("tbody tr:has-text('Received')").count() == 2
    assert await page.locator("[hx-sse\\:connect]").count() == 0
    drafts = {one["number"]: one["id"] for one in (await fjord.call("GET", "/sales/drafts"))["items"]}
    theirs = page.get_by_role("link", name=f"Their draft {three[0]['number']}")
    assert await theirs.get_attribute("href") == f"{fjord.url}/drafts/{drafts[three[0]['number']]}"
    assert await page.get_by_role("button", name="Stop after this order").count() == 0
    await kari.must_be_sound()


async def test_without_scripts_the_page_asks_again_by_itself_until_all_have_ended(
    fjord: Company, nordlys: Company, three: list[dict[str, Any]], enter: Enter
) -> None:
    kari = await enter(nordlys, "buyer", script=False)
    page = await kari.open(f"/exports/new?order={three[0]['id']}")

    await kari.press("Export 1 order")
    await page.wait_for_selector("h1:has-text('1 order has arrived')", timeout=20_000)

    assert await page.locator("meta[http-equiv=refresh]").count() == 0
    assert len((await fjord.call("GET", "/sales/drafts"))["items"]) == 1


async def test_a_double_click_exports_once(fjord: Company, nordlys: Company, three: list[dict[str, Any]], enter: Enter) -> None:
    kari = await enter(nordlys, "buyer", script=False)
    page = await kari.open(f"/exports/new?order={three[0]['id']}")

    await page.dblclick("button:has-text('Export 1 order')")
    await expect(page).to_have_url(re.compile("/exports/ex_"), timeout=20_000)

    assert len((await nordlys.call("GET", "/exports"))["items"]) == 1


async def test_the_preview_sends_nothing_and_keeps_what_was_ticked_off(
    fjord: Company, nordlys: Company, three: list[dict[str, Any]], enter: Enter
) -> None:
    kari = await enter(nordlys, "buyer", script=False)
    page = await kari.open("/exports/new?" + "&".join(f"order={one['id']}" for one in three))

    await page.uncheck(f"input[name=order][value={three[1]['id']}]")
    await kari.press("Check again")

    assert "1 of 3 orders will be sent" in await kari.words()
    assert not await page.is_checked(f"input[name=order][value={three[1]['id']}]")
    assert (await fjord.call("GET", "/sales/drafts"))["items"] == []
    assert (await nordlys.call("GET", "/exports"))["items"] == []


async def test_an_order_that_lacks_something_here_cannot_be_ticked_and_leads_to_its_remedy(
    nordlys: Company, supplier: str, enter: Enter
) -> None:
    order = await an_order(nordlys, supplier, a_line("10", unit=""))
    kari = await enter(nordlys, "buyer")
    page = await kari.open(f"/exports/new?order={order['id']}")

    assert await page.locator("input[data-pick]").is_disabled()
    assert "Line 10 has no unit" in await kari.words()
    assert await page.locator("main a:has-text('Correct the order')").get_attribute("href") == f"/orders/{order['id']}/edit"
    await kari.must_be_sound()


async def test_a_supplier_who_does_not_answer_is_said_and_the_order_waits(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    order = await an_order(nordlys, supplier, a_line())
    [token] = [one for one in (await fjord.call("GET", "/tokens"))["items"] if one["partner"]]
    await fjord.call("POST", f"/tokens/{token['id']}/revoke")
    kari = await enter(nordlys, "buyer")
    page = await kari.open(f"/exports/new?order={order['id']}")
    preview = await kari.words()

    await kari.press("Export 1 order")
    await page.wait_for_selector("#export-trouble:not([hidden])")

    assert "Could not be asked" in preview
    assert "They have revoked our token." in await kari.words()
    assert "nothing will be sent twice" in await kari.words()
    await kari.press("Stop after this order")
    assert "Stopped before anything left" in await page.inner_text("h1")
    assert "Taken back" in await page.inner_text("tbody")
    assert await page.get_by_role("button", name="Send the remaining one").count() == 1
    await kari.must_be_sound()


async def test_all_orders_that_match_a_filter_are_exported_together(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    for _ in range(51):
        await an_order(nordlys, supplier, a_line())
    kari = await enter(nordlys, "buyer")
    page = await kari.open("/orders?delivery=not_sent")

    await kari.press("Select all 51 that match")
    preview = await page.inner_text("h1")
    await kari.press("Export 51 orders")
    await page.wait_for_selector("h1:has-text('All 51 orders have arrived')", timeout=30_000)

    assert preview == "51 orders will be sent"


async def test_the_result_leaves_as_a_file(nordlys: Company, three: list[dict[str, Any]], enter: Enter) -> None:
    kari = await enter(nordlys, "buyer")
    page = await kari.open(f"/exports/new?order={three[0]['id']}")
    await kari.press("Export 1 order")
    await page.wait_for_selector("h1:has-text('1 order has arrived')")

    answer = await page.request.get(page.url.split("?")[0] + "/download?as=csv")

    assert three[0]["number"] in await answer.text()
    assert "Received" in await answer.text()


async def test_a_viewer_follows_an_export_and_may_not_retry_it(nordlys: Company, three: list[dict[str, Any]], enter: Enter) -> None:
    made = await nordlys.call("POST", "/exports", json={"orders": [three[2]["id"]]})
    viewer = await enter(nordlys, "viewer")
    page = await viewer.open(f"/exports/{made['id']}")

    await page.wait_for_selector("h1:has-text('1 of 1 order did not arrive')")

    assert await page.locator("main form").count() == 0
