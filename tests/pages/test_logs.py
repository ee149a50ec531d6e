"""From a complaint to its cause in the integration logs, and from there to what mends it."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.pages.conftest import Enter
from tests.pages.world import world
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, an_order, export
from tests.stories.test_the_answer_comes_back import draft_of


async def test_a_buyer_finds_why_an_order_was_refused_and_once_it_is_mended_sends_it_again(
    tmp_path: Path, sqlite_template: Path, enter: Enter
) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        await refuses_what_is_unknown(w.fjord)
        order = await an_order(w.nordlys, w.supplier, a_line("10", "X-900", quantity="4"))
        await export(w.nordlys, order)
        await w.nordlys.in_time(lambda: w.nordlys.logged(number=order["number"], code="order.refused"))
        admin = await enter(w.nordlys)

        page = await admin.open("/logs")
        await page.fill("main input[name=q]", order["number"])
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/logs?q=*")
        await page.get_by_role("link", name="Order refused").click()
        told = await admin.words()
        await admin.must_be_sound()
        assert "X-900" in told
        assert "You can fix it" in told
        assert await page.get_by_role("link", name="Open the order").get_attribute("href") == f"/orders/{order['id']}"
        await w.fjord.import_articles("number,name,unit,price,currency,active\nX-900,Bracket,H87,210,NOK,yes\n")
        await page.get_by_role("button", name="Send again").click()
        await page.wait_for_url("**/exports/*")

        assert (await draft_of(w.fjord, order))["number"] == order["number"]


async def test_the_same_cause_stands_on_one_line_and_says_who_can_fix_it(tmp_path: Path, sqlite_template: Path, enter: Enter) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        await refuses_what_is_unknown(w.fjord)
        orders = [await an_order(w.nordlys, w.supplier, a_line("10", "X-900", quantity="4")) for _ in range(2)]
        for order in orders:
            await export(w.nordlys, order)
            await w.nordlys.in_time(lambda order=order: w.nordlys.logged(number=order["number"], code="order.refused"))
        admin = await enter(w.nordlys, width=390)

        page = await admin.open("/logs?view=causes&level=error")

        row = page.locator("tbody tr", has_text="article_unknown")
        assert await row.count() == 1
        assert "You can fix it" in await row.inner_text()
        assert "2" in await row.locator("td[data-label=Times]").inner_text()
        await admin.must_be_sound()


async def test_one_trace_id_leads_through_both_companies_logs(tmp_path: Path, sqlite_template: Path, enter: Enter) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        buyer, seller = await enter(w.nordlys, "viewer"), await enter(w.fjord, "viewer")
        trace = (await w.nordlys.logged(number=w.orders["clean"]["number"], code="order.delivered"))[0]["trace_id"]

        for person, what in ((buyer, "Order delivered"), (seller, "Order received")):
            page = await person.open(f"/logs?q={trace}")
            await page.get_by_role("link", name=what).click()

            assert trace in await person.words()
            assert await page.locator("#request").count() == 1
            assert await page.get_by_role("button", name="Send again").count() == 0
            await person.must_be_sound()


async def test_filters_stand_in_the_address_and_a_bar_leads_to_its_hour(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    page = await admin.open("/logs?level=info&direction=here&code=articles.imported")
    assert await page.locator("tbody tr").count() == 1
    page = await admin.open("/logs")
    await page.locator("svg.chart a").last.click()

    assert "from=" in page.url
    assert await page.locator("tbody tr").count() > 1


async def test_the_log_and_the_changes_are_taken_away_with_their_filter(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    page = await admin.open("/logs?code=articles.imported")

    async with page.expect_download() as log:
        await page.get_by_role("link", name="CSV").click()
    page = await admin.open("/changes?kind=module")
    async with page.expect_download() as changes:
        await page.get_by_role("link", name="XLSX").click()

    rows = (await (await log.value).path()).read_text("utf-8-sig").splitlines()
    assert rows[0].startswith("Time")
    assert len(rows) == 2
    assert (await (await changes.value).path()).read_bytes().startswith(b"PK")


async def test_what_was_changed_stands_with_before_and_after(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    partner = (await fjord.call("GET", "/partners"))["items"][0]
    seen = await fjord.http.get(f"/partners/{partner['id']}")
    await fjord.call("PATCH", f"/partners/{partner['id']}", etag=seen.headers["etag"], json={"price_tolerance": "2"})

    page = await admin.open("/changes?kind=partner")

    row = page.locator("tbody tr", has_text="price tolerance")
    assert "0 → 2" in " ".join((await row.inner_text()).split())
    await admin.must_be_sound()


async def test_what_waits_for_a_partner_who_is_down_is_shown_and_can_be_tried_at_once(
    tmp_path: Path, sqlite_template: Path, enter: Enter
) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        await w.fjord.call("POST", "/tokens/" + (await partner_token(w.fjord)) + "/revoke")
        order = await an_order(w.nordlys, w.supplier, a_line("10"))
        await w.nordlys.call("POST", "/exports", json={"orders": [order["id"]]})
        admin = await enter(w.nordlys)
        page = await admin.open("/deliveries")
        for _ in range(50):
            if "Try now" in await admin.words():
                break
            await asyncio.sleep(0.1)
            await page.reload()

        assert "1 delivery waits" in await admin.words()
        await admin.must_be_sound()
        await admin.press("Try now")
        assert "tried at once" in await admin.words()


async def refuses_what_is_unknown(supplier: Company) -> None:
    """The supplier's rule for unknown articles, as the guide has it."""
    partner = (await supplier.call("GET", "/partners"))["items"][0]
    seen = await supplier.http.get(f"/partners/{partner['id']}")
    await supplier.call("PATCH", f"/partners/{partner['id']}", etag=seen.headers["etag"], json={"when_unknown": "refuse"})


async def partner_token(supplier: Company) -> str:
    """The token the buyer has."""
    listed = await supplier.call("GET", "/tokens")
    return next(str(one["id"]) for one in listed["items"] if one["partner"])


async def test_the_log_is_followed_as_it_grows_and_paused_without_losing_an_entry(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    plain = await enter(fjord, script=False)

    page = await admin.open("/logs?code=articles.imported")
    await admin.press("Follow live")
    await fjord.import_articles("number,name,unit,price,currency,active\nA-901,Bracket,H87,210,NOK,yes\n")
    await page.locator("#entries tr").nth(1).wait_for()
    await page.get_by_role("link", name="Pause").click()
    await fjord.import_articles("number,name,unit,price,currency,active\nA-902,Bracket,H87,210,NOK,yes\n")
    await plain.open("/logs?code=articles.imported&live=1")

    assert await plain.page.locator("#entries tr").count() == 3
    assert await plain.page.get_by_role("link", name="Load what is new").count() == 1
    assert await page.locator("#entries tr").count() == 2
    await page.get_by_role("link", name="Go on").click()
    await page.locator("#entries tr").nth(2).wait_for()
    await admin.must_be_sound()


async def test_a_line_nobody_may_listen_to_any_more_is_closed_not_answered_with_a_page(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    await admin.open("/logs")
    await admin.context.clear_cookies()

    answer = await admin.context.request.get("/logs/events", headers={"Accept": "text/event-stream"})

    assert answer.status == 401


@pytest.mark.skipif(shutil.which("curl") is None, reason="No curl is installed.")
async def test_an_entry_leads_to_what_it_is_about_and_its_document_can_be_sent_again_from_a_command_line(
    tmp_path: Path, sqlite_template: Path, enter: Enter
) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        buyer, seller = await enter(w.nordlys), await enter(w.fjord)
        order, draft = w.orders["clean"], w.drafts["clean"]
        page = await buyer.open(f"/logs?number={order['number']}&code=order.delivered")
        assert await page.locator("td a", has_text="Order").get_attribute("href") == f"/orders/{order['id']}"
        await page.get_by_role("link", name="Order delivered").click()
        await page.get_by_text("As a curl command").click()
        command = await page.inner_text("#command")
        await buyer.must_be_sound()
        theirs = await seller.open(f"/logs?number={order['number']}&code=order.received")
        assert await theirs.locator("td a", has_text="Draft").get_attribute("href") == f"/drafts/{draft['id']}"

        partner = (await w.fjord.call("GET", "/partners"))["items"][0]["id"]
        made = await w.fjord.call("POST", "/tokens", json={"name": "x", "partner": partner, "scopes": ["PurchaseOrders:Create"]})
        known = {"TOKEN": made["token"], "PATH": os.environ["PATH"]}
        sent = await asyncio.create_subprocess_shell(command, env=known, stdout=asyncio.subprocess.PIPE)
        said, _ = await sent.communicate()

        assert "pst_" not in command
        assert (json.loads(said)["id"], json.loads(said)["new"]) == (draft["id"], False)
