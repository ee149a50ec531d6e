"""Contacts by page: a card written, a wrong one explained, two that are one company merged, a partner's proposal decided."""

from tests.pages.conftest import Enter
from tests.pages.world import connect
from tests.stories.company import Company


async def test_a_card_is_written_and_found_by_the_beginning_of_its_name(fjord: Company, enter: Enter) -> None:
    seller = await enter(fjord, "seller")
    page = await seller.open("/contacts/new?role=customer")

    await page.fill("#f-name", "Havn Bygg AS")
    await page.fill("#f-organisation_number", "974 760 673")
    await page.fill("#f-address-city", "Bergen")
    await page.select_option("#f-address-country", "NO")
    await seller.press("Save contact")
    assert "Havn Bygg AS" in await page.inner_text("h1")
    await seller.open("/customers?q=havn")

    assert await page.locator("tbody th a").all_inner_texts() == ["Havn Bygg AS"]
    await seller.must_be_sound()


async def test_what_is_wrong_with_a_card_stands_at_its_fields_and_nothing_typed_is_lost(fjord: Company, enter: Enter) -> None:
    seller = await enter(fjord, "seller")
    page = await seller.open("/contacts/new")

    await page.fill("#f-email", "post@havn.example")
    await seller.press("Save contact")

    assert "Not saved" in await page.inner_text("#errors h2")
    assert await page.get_attribute("#f-name", "aria-invalid") == "true"
    assert await page.input_value("#f-email") == "post@havn.example"
    assert await page.evaluate("document.activeElement.id") == "errors"


async def test_two_clerks_do_not_overwrite_each_other(fjord: Company, enter: Enter) -> None:
    made = await fjord.call("POST", "/contacts", json={"name": "Havn Bygg AS", "is_customer": True})
    one, other = await enter(fjord, "seller"), await enter(fjord, "seller")
    for clerk in (one, other):
        await clerk.open(f"/contacts/{made['id']}")

    await one.page.fill("#f-phone", "+47 55 00 00 01")
    await one.press("Save contact")
    await other.page.fill("#f-phone", "+47 55 00 00 02")
    await other.press("Save contact")

    assert "Somebody else has changed this" in await other.words()
    assert (await fjord.call("GET", f"/contacts/{made['id']}"))["phone"] == "+47 55 00 00 01"


async def test_two_cards_of_one_company_are_compared_and_merged(fjord: Company, enter: Enter) -> None:
    card = {"name": "Havn Bygg AS", "organisation_number": "974760673", "is_customer": True}
    first = await fjord.call("POST", "/contacts", json=card)
    second = await fjord.call("POST", "/contacts?confirm=true", json={**card, "name": "Havn Bygg", "email": "post@havn.example"})
    seller = await enter(fjord, "seller")

    await seller.open("/duplicates")
    await seller.press("Compare")
    assert "will be kept" in await seller.words()
    await seller.press("Merge")

    kept, gone = await fjord.call("GET", f"/contacts/{first['id']}"), await fjord.call("GET", f"/contacts/{second['id']}")
    assert {kept.get("merged_into"), gone.get("merged_into")} == {None, first["id"] if gone.get("merged_into") else second["id"]}
    assert "Merged" in await seller.words()


async def test_a_partners_proposal_is_shown_and_kept_ours(fjord: Company, nordlys: Company, enter: Enter) -> None:
    await connect(nordlys, fjord)
    own = (await fjord.call("GET", "/contacts", params={"q": "Nordlys"}))["items"][0]
    [partner] = (await fjord.call("GET", "/partners"))["items"]
    seen = await fjord.http.get(f"/partners/{partner['id']}")
    await fjord.call("PATCH", f"/partners/{partner['id']}", etag=seen.headers["etag"], json={"contact": own["id"]})
    token = await fjord.call("POST", "/tokens", json={"name": "second", "partner": partner["id"], "scopes": ["Contacts:ReadWrite"]})
    async with fjord.as_(token["token"]) as partner:
        answer = await partner.patch(f"/contacts/{own['id']}", json={"phone": "+47 99 00 00 00"})
        assert answer.status_code == 202, answer.text
        assert answer.json()["state"] == "open", answer.text
    seller = await enter(fjord, "seller")

    page = await seller.open("/customers?view=proposals")
    assert "+47 99 00 00 00" in await seller.words()
    await seller.press("Keep ours")

    assert "Ours was kept" in await seller.words()
    assert (await fjord.call("GET", f"/contacts/{own['id']}")).get("phone", "") != "+47 99 00 00 00"
    assert page.url.startswith(f"{fjord.url}/contacts/{own['id']}")


async def test_a_viewer_reads_cards_and_is_shown_no_button_he_may_not_press(fjord: Company, enter: Enter) -> None:
    made = await fjord.call("POST", "/contacts", json={"name": "Havn Bygg AS", "is_customer": True})
    viewer = await enter(fjord, "viewer")

    for path in ("/customers", f"/contacts/{made['id']}", "/duplicates"):
        page = await viewer.open(path)
        assert await page.locator("main form[method=post]").locator("button").count() == 0, path
        assert await page.get_by_role("link", name="New contact").count() == 0
    await viewer.open("/contacts/new", status=403)
