"""A seller at his desk: drafts sifted, approved together or one by one, changed, refused, and taken back in time."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.pages.conftest import Enter
from tests.pages.world import connect
from tests.stories.company import FJORD, Company, running
from tests.stories.test_an_order_arrives import a_line, an_order, export
from tests.stories.test_the_answer_comes_back import draft_of, once_it_is, sent


@pytest.fixture
async def slow_fjord(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """A supplier whose answers can be taken back for longer than a test lasts."""
    (tmp_path / "slow").mkdir()
    shutil.copyfile(sqlite_template, tmp_path / "slow" / "prodsys.db")
    async with running(FJORD, f"sqlite:///{tmp_path}/slow/prodsys.db", tmp_path / "slow", undo_seconds=60) as company:
        await company.import_articles()
        yield company


@pytest.fixture
async def supplier(fjord: Company, nordlys: Company) -> str:
    return await connect(nordlys, fjord)


def two_lines(quantity: int = 100) -> tuple[dict[str, Any], dict[str, Any]]:
    return a_line("10", quantity=str(quantity)), a_line("20", "A-200", quantity="40", unit_price="0.45")


async def open_drafts(company: Company) -> dict[str, str]:
    items = (await company.call("GET", "/sales/drafts", params={"acceptance": "open", "limit": 100}))["items"]
    return {draft["number"]: draft["verdict"] for draft in items}


async def test_thirty_clean_drafts_are_approved_in_one_go_and_the_one_that_differs_is_never_among_them(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    clean = [await an_order(nordlys, supplier, *two_lines(100 + at)) for at in range(30)]
    odd = await an_order(nordlys, supplier, a_line("10", quantity="7", unit_price="1.25"))
    await export(nordlys, *clean, odd)
    seller = await enter(fjord, "seller")

    page = await seller.open("/drafts")
    assert await page.locator("input[data-pick]:enabled").count() == 30
    assert await page.locator(f"tr:has-text('{odd['number']}') input[data-pick]").is_disabled()
    await page.click("[data-pick-all]")
    assert "30 clean drafts selected" in await page.inner_text(".bar")
    await seller.press("List them first")
    assert await page.inner_text("h1") == "30 drafts will be approved"
    assert odd["number"] not in await seller.words()
    await page.click("[data-key=a]")
    await page.wait_for_url("**/drafts?tab=answered**")

    assert await open_drafts(fjord) == {odd["number"]: "price"}
    await seller.must_be_sound()
    for order in clean[:2]:
        assert (await once_it_is(nordlys, order, acceptance="approved"))["their_order_number"]


async def test_a_draft_that_differs_is_not_approved_even_when_its_box_is_forged(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    _, odd = await sent(nordlys, fjord, supplier, a_line("10", unit_price="9.00"))
    await sent(nordlys, fjord, supplier, *two_lines())
    seller = await enter(fjord, "seller")

    page = await seller.open("/drafts")
    await page.evaluate("document.querySelectorAll('input[data-pick]').forEach(box => { box.disabled = false; box.checked = true })")
    await page.evaluate("document.querySelector('form[action=\"/drafts/approve\"]').submit()")
    await page.wait_for_url("**/drafts/approve")

    assert await page.inner_text("h1") == "1 draft was not approved"
    assert await open_drafts(fjord) == {odd["number"]: "price"}


async def test_drafts_whose_only_difference_is_a_small_price_are_listed_before_they_leave_together(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    near = await an_order(nordlys, supplier, a_line("10", unit_price="1.31"))
    far = await an_order(nordlys, supplier, a_line("10", quantity="5", unit_price="2.00"))
    await export(nordlys, near, far)
    seller = await enter(fjord, "seller")

    page = await seller.open("/drafts?tab=price")
    await page.fill("[name=within]", "1")
    await seller.press("List them")
    words = await seller.words()
    assert near["number"] in words
    assert far["number"] not in words
    await page.click("[data-key=a]")
    await page.wait_for_url("**/drafts?tab=answered**")

    assert await open_drafts(fjord) == {far["number"]: "price"}


async def test_an_order_that_repeats_another_says_so_and_is_not_ticked_by_itself(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    first, _ = await sent(nordlys, fjord, supplier, *two_lines())
    second, _ = await sent(nordlys, fjord, supplier, *two_lines())
    seller = await enter(fjord, "seller")

    page = await seller.open("/drafts")

    row = page.locator("tbody tr", has=page.get_by_role("link", name=second["number"], exact=True))
    assert f"Same lines as {first['number']}" in await row.inner_text()
    assert await row.locator("input[data-pick]").is_disabled()


async def test_drafts_are_found_by_number_by_article_and_by_what_was_found(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    bolts, _ = await sent(nordlys, fjord, supplier, a_line("10"))
    washers, _ = await sent(nordlys, fjord, supplier, a_line("10", "A-300", unit_price="0.25"))
    seller = await enter(fjord, "seller")

    async def numbers(query: str) -> list[str]:
        page = await seller.open(f"/drafts?{query}")
        return [text.strip() for text in await page.locator("tbody th > a:visible").all_inner_texts()]

    assert await numbers("") == [bolts["number"], washers["number"]]
    assert await numbers("sort=value") == [bolts["number"], washers["number"]]
    assert await numbers(f"q={washers['number'].lower()}") == [washers["number"]]
    assert await numbers("q=A-300") == [washers["number"]]
    assert await numbers("q=nordlys") == [bolts["number"], washers["number"]]
    assert await numbers("tab=clean") == [bolts["number"]]
    assert await numbers("tab=attention") == [washers["number"]]
    assert await numbers("tab=price") == [washers["number"]]
    assert await numbers("tab=mine") == []
    assert await numbers("after=rubbish") == [bolts["number"], washers["number"]]


async def test_a_draft_is_reviewed_with_its_differences_and_the_buyer_sees_the_answer_line_by_line(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    lines = (a_line("10", quantity="1200"), a_line("20", "A-200", unit_price="0.40"), a_line("30", "M8-40-ZN", quantity="10"))
    order, draft = await sent(nordlys, fjord, supplier, *lines)
    seller = await enter(fjord, "seller")

    page = await seller.open(f"/drafts/{draft['id']}")
    assert "Line 30 blocks approval" in await page.inner_text(".bar")
    assert await page.get_attribute(".bar .btn--primary", "aria-disabled") == "true"
    await page.fill("[name=other-2]", "A-300")
    await seller.press("Use this article")
    assert "blocks approval" not in await page.inner_text(".bar")

    await page.check("[name=do-0][value=change]")
    await page.fill("[name=quantity-0] >> nth=0", "1,000")
    await page.fill("[name=date-0] >> nth=0", "2027-01-08")
    await page.fill("[name=quantity-0] >> nth=1", "200")
    await page.fill("[name=date-0] >> nth=1", "2027-02-12")
    await page.select_option("[name=code-0]", "date")
    await page.click("[name=do][value=changes]")
    assert "1 line will go back" in await page.inner_text("h1")
    assert "1,000 on 8 Jan 2027, 200 on 12 Feb 2027" in await seller.words()
    await seller.press("Send this answer")
    assert "Answered with changes" in await seller.words()
    await seller.must_be_sound()

    answered = await once_it_is(nordlys, order, acceptance="changed")
    told = {line["line_id"]: line for line in answered["answered"]["lines"]}
    assert [told[line]["action"] for line in ("10", "20", "30")] == ["3", "5", "5"]
    mapped = (await fjord.call("GET", "/mappings"))["items"]
    assert [(one["their_number"], one["article_number"]) for one in mapped] == [("M8-40-ZN", "A-300")]


async def test_what_was_typed_stays_when_the_answer_is_wrong(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    _, draft = await sent(nordlys, fjord, supplier, *two_lines())
    seller = await enter(fjord, "seller", script=False)

    page = await seller.open(f"/drafts/{draft['id']}")
    await page.check("[name=do-0][value=change]", force=True)
    await page.fill("[name=price-0]", "1,4 0x")
    await page.click("[name=do][value=changes]")
    assert "is not a number" in await seller.words()
    assert await page.input_value("[name=price-0]") == "1,4 0x"

    await page.fill("[name=price-0]", "1.40")
    await page.click("[name=do][value=changes]")
    assert "reason" in await page.inner_text("tr.more .error")
    assert await page.is_checked("[name=do-0][value=change]")


async def test_a_draft_is_rejected_with_a_reason_the_buyer_reads(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    order, draft = await sent(nordlys, fjord, supplier, *two_lines())
    seller = await enter(fjord, "seller")

    page = await seller.open(f"/drafts/{draft['id']}/reject")
    await page.select_option("#code", "other")
    await seller.press("Reject PO")
    assert "reason" in (await seller.words()).lower()
    await page.select_option("#code", "discontinued")
    await page.fill("textarea", "Try A-300.")
    await seller.press("Reject PO")

    rejected = await once_it_is(nordlys, order, acceptance="rejected")
    assert rejected["reason"] == "No longer sold: Try A-300."


async def test_an_approval_is_taken_back_before_it_leaves(slow_fjord: Company, nordlys: Company, enter: Enter) -> None:
    supplier = await connect(nordlys, slow_fjord)
    order, draft = await sent(nordlys, slow_fjord, supplier, *two_lines())
    seller = await enter(slow_fjord, "seller")

    page = await seller.open(f"/drafts/{draft['id']}")
    await page.keyboard.press("a")
    await page.wait_for_selector("text=Approved as SO-")
    assert "Until then you can take it back" in await seller.words()
    await page.keyboard.press("u")
    await page.wait_for_url("**said=taken_back")

    assert await open_drafts(slow_fjord) == {order["number"]: "clean"}
    now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
    assert now["acceptance"] == "open"


async def test_who_comes_second_is_told_who_did_what(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    _, draft = await sent(nordlys, fjord, supplier, *two_lines())
    first, second = await enter(fjord, "seller"), await enter(fjord, "seller")

    await second.open(f"/drafts/{draft['id']}")
    page = await first.open(f"/drafts/{draft['id']}")
    await first.press("Take it")
    await page.click(".bar [data-key=a]")
    await page.wait_for_selector("text=Approved as SO-")
    await second.page.click(".bar [data-key=a]")
    await second.page.wait_for_selector("text=was faster")

    assert "Seller Hansen was faster" in await second.words()
    assert "Nothing of yours was saved" in await second.words()


async def test_a_viewer_sees_everything_and_no_button_he_may_not_press(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    _, draft = await sent(nordlys, fjord, supplier, *two_lines(), a_line("30", "M8-40-ZN"))
    viewer = await enter(fjord, "viewer")

    for path in ("/drafts", f"/drafts/{draft['id']}", "/sales-orders"):
        page = await viewer.open(path)
        assert await page.locator("main form[method=post] button[type=submit]:visible").count() == 0, path
        assert await page.locator("main input[type=checkbox]").count() == 0, path
    await viewer.open(f"/drafts/{draft['id']}/reject", 403)


async def test_a_cancellation_is_refused_with_a_reason_and_a_message_is_said_once(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    order, draft = await sent(nordlys, fjord, supplier, *two_lines())
    await nordlys.call("POST", f"/purchasing/orders/{order['id']}/cancel", json={"reason": "Project stopped"})

    async def asked() -> bool:
        return bool((await fjord.call("GET", f"/sales/drafts/{draft['id']}"))["summary"]["acceptance"] == "cancel_requested")

    await fjord.in_time(asked)
    seller = await enter(fjord, "seller", script=False)

    page = await seller.open(f"/drafts/{draft['id']}")
    assert "They say: Project stopped" in await seller.words()
    await page.click("summary:has-text('Keep the order')")
    await page.fill("[name=reason]", "It is packed.")
    await page.click("[name=do][value=refuse]")
    await page.fill("#say", "Sorry, it had left the shelf.")
    await seller.press("Send message")

    assert "Sorry, it had left the shelf." in await seller.words()
    await once_it_is(nordlys, order, acceptance="open")


async def test_a_changed_order_shows_what_differs_and_is_applied(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    order, draft = await sent(nordlys, fjord, supplier, *two_lines())
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])
    approved = await once_it_is(nordlys, order, acceptance="approved")
    changed = {"partner": supplier, "currency": "NOK", "lines": [a_line("10", quantity="120"), a_line("30", "A-300", unit_price="0.20")]}
    await nordlys.call("PUT", f"/purchasing/orders/{order['id']}", json=changed, etag=approved["etag"])
    await export(nordlys, order)
    second = await draft_of(fjord, order, revision=2)
    seller = await enter(fjord, "seller")

    assert (await open_drafts(fjord)) == {order["number"]: "look"}
    await seller.open(f"/drafts/{second['id']}")
    words = await seller.words()
    assert "Line 20 removed" in words
    assert "Line 30 added" in words
    await seller.press("Apply to our order")

    now = await once_it_is(nordlys, order, acceptance="approved", agreed_revision=2)
    assert now["their_order_number"] == approved["their_order_number"]


async def test_a_buyer_who_has_moved_is_compared_and_taken_over(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    await sent(nordlys, fjord, supplier, *two_lines())
    card = await nordlys.http.get("/company")
    ours = {name: card.json()[name] for name in ("name", "organisation_number", "email", "address", "persons")}
    moved = {**ours, "phone": "+47 51 11 22 33", "address": {**ours["address"], "street": "Kaiveien", "house_number": "12"}}
    await nordlys.call("PUT", "/company", json=moved, etag=card.headers["etag"])
    _, draft = await sent(nordlys, fjord, supplier, *two_lines(7))
    seller = await enter(fjord, "seller")

    page = await seller.open(f"/drafts/{draft['id']}")
    assert "+47 51 11 22 33" in await page.inner_text(".seam")
    await seller.press("Take over 2 fields")

    assert "Nothing differs" in await seller.words()

    silent = {name: moved[name] for name in ("name", "organisation_number")}
    now_here = await nordlys.http.get("/company")
    await nordlys.call("PUT", "/company", json=silent, etag=now_here.headers["etag"])
    _, draft = await sent(nordlys, fjord, supplier, *two_lines(8))
    await seller.open(f"/drafts/{draft['id']}")
    words = await seller.words()
    assert "Nothing differs" in words
    assert "Contact differs" not in words
    assert "Take over" not in words
    etag = (await fjord.http.get(f"/sales/drafts/{draft['id']}")).headers["etag"]
    wish = {"use": "theirs", "members": ["phone", "address"]}
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/buyer", json=wish, etag=etag)
    [kept] = [one for one in (await fjord.call("GET", "/contacts"))["items"] if one["name"] == moved["name"]]
    assert (kept["phone"], kept["address"]["street"]) == ("+47 51 11 22 33", "Kaiveien")


async def test_the_list_is_taken_away_as_a_file(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    order, _ = await sent(nordlys, fjord, supplier, *two_lines())
    seller = await enter(fjord, "seller")

    answer = await seller.context.request.get(f"{fjord.url}/drafts/download?as=csv")
    book = await seller.context.request.get(f"{fjord.url}/drafts/download?as=xlsx")

    assert order["number"] in await answer.text()
    assert (await book.body())[:2] == b"PK"


async def test_the_seller_finds_his_pages_readable_light_and_dark_wide_and_narrow(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    _, draft = await sent(nordlys, fjord, supplier, *two_lines(), a_line("30", "M8-40-ZN"))
    paths = (
        "/drafts",
        "/drafts?tab=answered",
        f"/drafts/{draft['id']}",
        f"/drafts/{draft['id']}/reject",
        "/sales-orders",
        "/drafts/approve",
    )

    for theme, width in (("light", 320), ("dark", 1280)):
        seller = await enter(fjord, "seller", theme=theme, width=width)
        for path in paths:
            await seller.open(path)
            await seller.must_be_sound()
            assert await seller.overflow() <= 0, (path, width)
