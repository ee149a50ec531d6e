"""The buyer's desk in a browser: writing, finding, changing, importing and receiving orders."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.pages.conftest import Enter
from tests.pages.world import World, world
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, an_order
from tests.stories.test_the_answer_comes_back import once_it_is


@pytest.fixture
async def trade(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[World]:
    """Two connected companies with orders in several states."""
    async with world(tmp_path / "world", sqlite_template) as companies:
        yield companies


async def our_articles(buyer: Company, supplier: str) -> None:
    """The buyer's own articles, one of which has a number at the supplier."""
    await buyer.import_articles("number,name,unit,price,currency,gtin,active\n4711,Bolt M8x40 zinc,H87,,,,yes\n")
    made = await buyer.call("GET", "/articles?number=4711")
    await buyer.call(
        "PUT", f"/articles/{made['items'][0]['id']}/supplier-numbers", json={"numbers": [{"supplier": supplier, "number": "A-100"}]}
    )


async def test_an_order_is_written_in_the_readers_own_numbers(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer", language="nb-NO")
    page = await kari.open("/orders/new")

    await page.select_option("#f-partner", label="Fjord Lager AS")
    await page.fill("[name='lines.0.article_number']", "A-100")
    await page.fill("[name='lines.0.quantity']", "1 200,5")
    await page.fill("[name='lines.0.unit']", "H87")
    await page.fill("[name='lines.0.unit_price']", "1,30")
    await page.click(".bar .btn--primary")
    await page.wait_for_url("**/orders/po_*")

    assert "1 560,65" in re.sub(r"\s", " ", await kari.words())
    await kari.must_be_sound()


async def test_a_form_that_is_refused_keeps_what_was_typed_and_says_what_is_wrong_beside_it(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer")
    page = await kari.open("/orders/new")

    await page.fill("[name='lines.0.article']", "9999")
    await page.fill("[name='lines.0.quantity']", "many")
    await page.click(".bar .btn--primary")
    await page.wait_for_selector("#errors")

    assert "many is not a number" in await page.inner_text(".field--bad")
    assert await page.input_value("[name='lines.0.article']") == "9999"

    await page.fill("[name='lines.0.quantity']", "9" * 40)
    await page.fill("[name='lines.0.unit_price']", "2")
    await page.click(".bar .btn--primary")
    await page.wait_for_selector("#errors")

    assert await page.input_value("[name='lines.0.quantity']") == "9" * 40
    assert [fault for fault in kari.trouble if "422" not in fault] == []


async def test_lines_are_added_and_filled_in_without_scripts(trade: World, enter: Enter) -> None:
    await our_articles(trade.nordlys, trade.supplier)
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open("/orders/new")

    await page.select_option("#f-partner", label="Fjord Lager AS")
    await page.fill("[name='lines.0.article']", "4711")
    await page.fill("[name='lines.0.quantity']", "10")
    await page.click("button[value=fill]")
    filled = await page.input_value("[name='lines.0.article_number']")
    await page.click("button[value=add]")
    rows = await page.locator(".lines__row").count()
    await page.click("button[value=drop-1]")
    await page.click(".bar .btn--primary")
    await page.wait_for_url("**/orders/po_*")

    assert (filled, rows) == ("A-100", 4)
    assert "4711 → A-100" in await kari.words()


async def test_another_article_does_not_keep_the_number_of_the_one_before(trade: World, enter: Enter) -> None:
    await our_articles(trade.nordlys, trade.supplier)
    await trade.nordlys.import_articles("number,name,unit,price,currency,gtin,active\n4718,Nut M8,H87,,,,yes\n")
    kari = await enter(trade.nordlys, "buyer")
    page = await kari.open("/orders/new")
    await page.select_option("#f-partner", label="Fjord Lager AS")
    await page.fill("[name='lines.0.article']", "4711")
    await page.click("button[value=fill]")
    await page.wait_for_load_state()

    await page.fill("[name='lines.0.article']", "4718")
    await page.click("button[value=fill]")
    await page.wait_for_load_state()

    assert await page.input_value("[name='lines.0.article_number']") == ""
    assert await page.input_value("[name='lines.0.description']") == "Nut M8"


async def test_changing_a_sent_order_makes_its_next_revision_and_says_so_before(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer")
    page = await kari.open(f"/orders/{trade.orders['approved']['id']}/edit")

    announced = await kari.words()
    await page.fill("[name='lines.0.quantity']", "900")
    await page.click(".bar .btn--primary")
    await page.wait_for_url("**/orders/po_*said=saved")

    assert "becomes revision 2" in announced
    assert "Revision 2" in await kari.words()
    assert await page.locator("text=Export to partner").count() > 0


async def test_a_change_by_the_supplier_is_seen_beside_the_order_and_accepted(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer")
    page = await kari.open(f"/orders/{trade.orders['changed']['id']}")
    row = await page.inner_text("#l20")
    await kari.must_be_sound()

    await kari.press("Accept the changes")
    await once_it_is(trade.nordlys, trade.orders["changed"], acceptance="agreed", is_word_on_its_way=False)
    await kari.open(f"/orders/{trade.orders['changed']['id']}")

    assert "400 pcs" in row
    assert "300 pcs" in row
    assert "The rest comes in January" in row
    assert "Agreed" in await kari.words()


async def test_a_dispute_needs_a_reason_which_the_supplier_reads(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open(f"/orders/{trade.orders['changed']['id']}")

    await page.fill("[name=reason]", "We need all 400 in December")
    await kari.press("Dispute the changes")

    assert "Disputed" in await kari.words()
    draft = trade.drafts["changed"]

    async def heard() -> bool:
        now = await trade.fjord.call("GET", f"/sales/drafts/{draft['id']}")
        return now["summary"]["acceptance"] == "disputed" and "We need all 400" in str(now)

    assert await trade.fjord.in_time(heard, 30)


async def test_goods_are_received_in_two_deliveries_and_the_second_is_short(trade: World, enter: Enter) -> None:
    order, draft = trade.orders["approved"], trade.drafts["approved"]
    now = await trade.fjord.call("GET", f"/sales/drafts/{draft['id']}")
    for number, lines in (("D-1", [{"line_id": "10", "quantity": "1200"}]), ("D-2", [{"line_id": "20", "quantity": "400"}])):
        sent = {"number": number, "lines": lines, "is_last": number == "D-2"}
        await trade.fjord.call("POST", f"/sales/orders/{now['summary']['id']}/despatches", json=sent)
    await trade.nordlys.in_time(lambda: _despatches(trade.nordlys, order, 2), 30)
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open(f"/orders/{order['id']}")

    await page.locator("form:has(input[name=despatch]) >> button:has-text('All of it is here')").first.click()
    first = await kari.words()
    await page.locator("summary:has-text('Something is different')").click()
    await page.fill("[name='quantity.20']", "390")
    await page.fill("[name='note.20']", "ten were bent")
    await kari.press("Book in as typed")
    whole = await trade.nordlys.call("GET", f"/purchasing/orders/{order['id']}")

    assert "Booked in" in first
    assert [(line["line_id"], line["received"]) for line in whole["lines"]] == [("10", "1200"), ("20", "390")]
    assert whole["fulfilment"] == "received"


async def _despatches(buyer: Company, order: dict[str, str], count: int) -> bool:
    return len((await buyer.call("GET", f"/purchasing/orders/{order['id']}"))["despatches"]) == count


async def test_a_file_is_looked_at_before_its_good_orders_are_taken(trade: World, enter: Enter, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(
        "number,supplier,currency,supplier_article_number,quantity,unit,unit_price\n"
        "N-1,Fjord Lager AS,NOK,A-100,10,H87,1.30\n"
        "N-2,Nobody AS,NOK,A-100,10,H87,1.30\n"
        "N-3,Fjord Lager AS,NOK,A-100,many,H87,1.30\n"
        "N-3,Fjord Lager AS,NOK,A-200,5,H87,0.45\n"
    )
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open("/orders/import")

    await page.set_input_files("#f-file", file)
    await kari.press("Look at it")
    seen = await kari.words()
    before = (await trade.nordlys.call("GET", "/purchasing/orders?number=N-"))["items"]
    await kari.press("Take 1 order")
    after = (await trade.nordlys.call("GET", "/purchasing/orders?number=N-"))["items"]

    assert "1 of 3 orders can be taken" in seen
    assert "There is no supplier Nobody AS" in seen
    assert "N-2" in seen
    assert (len(before), [order["number"] for order in after]) == (0, ["N-1"])


async def test_what_is_no_table_is_refused_in_words(trade: World, enter: Enter, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("<html><body>no table</body></html>")
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open("/orders/import")

    await page.set_input_files("#f-file", file)
    await kari.press("Look at it")

    assert "not a table" in await kari.words()


async def test_the_filter_lives_in_the_address_and_the_list_leaves_as_a_file_with_it(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer", script=False)
    page = await kari.open("/orders")

    await page.select_option("[name=acceptance]", "changed")
    await page.click(".filters button")
    answer = await page.request.get("/orders/download?as=csv&acceptance=changed")
    table = await answer.text()

    assert "acceptance=changed" in page.url
    assert await page.locator("tbody tr").count() == 1
    assert table.count("\r\n") == 2
    assert "Changed" in table


async def test_an_order_that_cannot_be_exported_says_why_in_its_row(trade: World, enter: Enter) -> None:
    await an_order(trade.nordlys, "", a_line())
    kari = await enter(trade.nordlys, "buyer")
    page = await kari.open("/orders")
    row = page.locator("tbody tr").first

    assert await row.locator("input[data-pick]").is_disabled()
    assert "No supplier chosen" in await row.inner_text()


async def test_a_viewer_sees_no_button_he_may_not_press(trade: World, enter: Enter) -> None:
    viewer = await enter(trade.nordlys, "viewer")

    for path in ("/orders", f"/orders/{trade.orders['changed']['id']}", f"/orders/{trade.orders['new']['id']}"):
        page = await viewer.open(path)

        assert await page.locator("main form[method=post]").count() == 0, path
        assert await page.locator("main input[data-pick]").count() == 0, path
    await viewer.open("/orders/new", 403)
    await viewer.open(f"/exports/new?order={trade.orders['new']['id']}", 403)


async def test_a_message_reaches_the_supplier_once_although_the_button_was_pressed_twice(trade: World, enter: Enter) -> None:
    kari = await enter(trade.nordlys, "buyer", script=False)
    order = trade.orders["clean"]
    page = await kari.open(f"/orders/{order['id']}")

    await page.fill("[name=text]", "Please pack it in one box")
    await page.dblclick("button:has-text('Send message')")
    await expect(page).to_have_url(re.compile("said=said_to_them"), timeout=20_000)
    whole = await trade.nordlys.call("GET", f"/purchasing/orders/{order['id']}")

    assert [one["text"] for one in whole["messages"]] == ["Please pack it in one box"]
