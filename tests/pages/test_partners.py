"""Connecting with a supplier: what is pasted, what the test says, who can mend it, and the switch."""

from pathlib import Path

import msgspec

from prodsys import documents
from prodsys.scopes import Scope
from tests.pages.conftest import Enter
from tests.pages.person import Person
from tests.pages.world import connect, world
from tests.stories.company import FJORD, Company


async def test_a_bundle_shows_whom_it_leads_to_then_ticks_through_the_test_and_ends_switched_on(
    fjord: Company, nordlys: Company, enter: Enter
) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    admin = await enter(nordlys)

    page = await admin.open("/partners/new")
    await page.fill("#f-bundle", handed["token"]["bundle"])
    await admin.press("Read the bundle")
    told = await admin.words()
    assert "Fjord Lager AS" in told
    assert "127.0.0.1" in told
    assert not await fjord.logged(code="token.claimed")
    await admin.press("Connect and test")
    await page.get_by_text("Nothing is missing").wait_for()
    await admin.must_be_sound()
    await admin.page.wait_for_selector("h1:has-text('Fjord Lager AS can be switched on')")
    assert (await admin.page.title()).startswith("Fjord Lager AS can be switched on · Nordlys")
    await admin.press("Switch on")

    assert "Switched on" in await admin.words()
    [partner] = (await nordlys.call("GET", "/partners"))["items"]
    assert partner["is_active"]
    assert partner["contact"]


async def test_what_cannot_be_a_bundle_says_so_and_calls_nobody(fjord: Company, nordlys: Company, enter: Enter) -> None:
    handed = await nordlys.hand_over("Somebody AS", "999999999")
    admin = await enter(nordlys)

    for bundle, sentence in (
        ("pst_something", "begins with prodsys1:"),
        ("prodsys1:eyJ1cmwiOi", "damaged or cut off"),
        (handed["token"]["bundle"], "bundle of our own company"),
    ):
        page = await admin.open("/partners/new")
        await page.fill("#f-bundle", bundle)
        await admin.press("Read the bundle")

        assert sentence in await admin.words()
        assert await admin.faults_of_access() == []


async def test_a_bundle_that_was_used_before_is_no_good_and_another_is_asked_for(fjord: Company, nordlys: Company, enter: Enter) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    async with fjord.as_(None) as thief:
        code = await claim_of(handed["token"]["bundle"])
        assert (await thief.post("/claims", json={"claim": code})).status_code == 201
    admin = await enter(nordlys)

    await pasted(admin, handed["token"]["bundle"])

    assert "Not saved" in await admin.words()
    assert (await nordlys.call("GET", "/partners"))["items"] == []


async def test_a_missing_permission_opens_with_who_can_mend_it_and_a_text_to_send(fjord: Company, nordlys: Company, enter: Enter) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325", Scope.PURCHASE_ORDERS_CREATE, Scope.ARTICLES_READ)
    admin = await enter(nordlys)

    await pasted(admin, handed["token"]["bundle"])

    row = admin.page.locator(".check--bad", has_text="Contacts:ReadWrite")
    await row.get_by_role("button", name="Copy text").wait_for()
    assert "They can fix it" in await row.inner_text()
    assert "Nordlys Mekaniske AS" in await row.locator("textarea").input_value()
    await admin.must_be_sound()


async def test_a_supplier_without_the_one_permission_that_counts_cannot_be_switched_on(
    fjord: Company, nordlys: Company, enter: Enter
) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325", Scope.ARTICLES_READ)
    admin = await enter(nordlys, script=False)

    await pasted(admin, handed["token"]["bundle"])
    await admin.press("Test and switch on")

    told = await admin.words()
    assert "Not done" in told
    assert "The token lacks PurchaseOrders:Create" in told
    [partner] = (await nordlys.call("GET", "/partners"))["items"]
    assert not partner["is_active"]


async def test_a_revoked_token_and_an_address_where_nobody_answers_are_told_apart(
    tmp_path: Path, sqlite_template: Path, enter: Enter
) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        admin = await enter(w.nordlys)
        [token] = [one for one in (await w.fjord.call("GET", "/tokens"))["items"] if one["partner"]]
        await w.fjord.call("POST", f"/tokens/{token['id']}/revoke")

        page = await admin.open(f"/partners/{w.supplier}")
        await admin.press("Test now")
        assert "The token is not valid" in await admin.words()
        await admin.must_be_sound()
        await page.goto("/partners/new?way=token")
        await page.fill("#f-url", "http://127.0.0.1:1")
        await page.fill("#f-token", "pst_" + "a" * 8 + "_" + "b" * 32 + "_" + "c" * 6)
        await admin.press("Connect and test")

        assert "This is not a token" in await admin.words()


async def test_a_supplier_who_is_down_is_named_unreachable_and_nothing_is_kept(fjord: Company, nordlys: Company, enter: Enter) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    admin = await enter(nordlys)

    page = await admin.open("/partners/new?way=token")
    await page.fill("#f-url", "http://127.0.0.1:9")
    await page.fill("#f-token", handed["token"]["token"])
    await admin.press("Connect and test")

    assert "Not saved" in await admin.words()
    assert handed["token"]["token"] not in await page.content()
    assert (await nordlys.call("GET", "/partners"))["items"] == []


async def test_a_company_that_is_there_already_gets_the_new_bundle_instead_of_a_double(
    fjord: Company, nordlys: Company, enter: Enter
) -> None:
    await connect(nordlys, fjord)
    [buyer] = (await fjord.call("GET", "/partners"))["items"]
    again = {"name": "second", "scopes": ["PurchaseOrders:Create"], "partner": buyer["id"], "bundle": True}
    bundle = (await fjord.call("POST", "/tokens", json=again))["bundle"]
    admin = await enter(nordlys)

    await pasted(admin, bundle)
    assert "much like this one" in await admin.words()
    await admin.press("Connect and test")
    await admin.page.get_by_text("The token lacks").first.wait_for()

    assert len((await nordlys.call("GET", "/partners"))["items"]) == 1


async def test_the_rules_of_a_partner_are_set_in_the_readers_own_figures(fjord: Company, enter: Enter) -> None:
    await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    admin = await enter(fjord, language="nb-NO")

    page = await admin.open("/partners")
    await page.get_by_role("link", name="Nordlys Mekaniske AS").click()
    await page.check("input[name=when_unknown][value=hold]")
    await page.fill("input[name=price_tolerance]", "2,5")
    await page.check("input[name=auto_is_on]")
    await page.fill("input[name=value_ceiling]", "50 000,00")
    await page.fill("input[name=currency]", "nok")
    await page.locator("form:has(input[name=price_tolerance]) > .row button").click()

    [partner] = (await fjord.call("GET", "/partners"))["items"]
    assert (partner["when_unknown"], partner["price_tolerance"]) == ("hold", "2.5")
    assert (partner["auto_confirm"]["value_ceiling"], partner["auto_confirm"]["currency"]) == ("50000.00", "NOK")
    await admin.must_be_sound()


async def test_cards_are_compared_side_by_side_and_theirs_is_taken(tmp_path: Path, sqlite_template: Path, enter: Enter) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        ours = await w.fjord.http.get("/company")
        card = documents.write(msgspec.structs.replace(FJORD, email="nytt@fjord.example"))
        await w.fjord.call("PUT", "/company", etag=ours.headers["etag"], json=msgspec.json.decode(card))
        admin = await enter(w.nordlys)

        page = await admin.open(f"/partners/{w.supplier}/compare")
        await admin.press("Compare now")
        assert "1 difference" in await admin.words()
        await page.get_by_role("button", name="Take theirs").click()

        assert "No differences" in await admin.words()
        await admin.must_be_sound()


async def test_a_viewer_sees_how_partners_are_doing_and_no_button(tmp_path: Path, sqlite_template: Path, enter: Enter) -> None:
    async with world(tmp_path / "w", sqlite_template) as w:
        viewer = await enter(w.nordlys, "viewer")

        page = await viewer.open(f"/partners/{w.supplier}")

        assert "Connected" in await viewer.words()
        assert await page.locator("main button:not([data-copy])").count() == 0
        await viewer.open("/partners/new", 403)
        await viewer.open(f"/partners/{w.supplier}/setup", 403)


async def pasted(admin: Person, bundle: str) -> None:
    """Read the bundle and go on."""
    page = await admin.open("/partners/new")
    await page.fill("#f-bundle", bundle)
    await admin.press("Read the bundle")
    await admin.press("Connect and test")


async def claim_of(bundle: str) -> str:
    """The code inside a bundle."""
    from prodsys.tokens.model import unpack

    return unpack(bundle).claim
