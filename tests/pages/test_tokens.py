"""A token's life as an admin sees it: made, shown once, replaced without a stop, ended."""

from tests.pages.conftest import Enter
from tests.pages.person import Person
from tests.stories.company import Company


async def test_a_token_is_shown_once_and_on_no_later_page(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    token, bundle = await made_for(admin, "Nordlys Mekaniske AS")

    assert token.startswith("pst_")
    assert bundle.startswith("prodsys1:")
    await admin.must_be_sound()
    kept = (await fjord.call("GET", "/tokens"))["items"][0]
    for path in ("/tokens", f"/tokens/{kept['id']}"):
        page = await admin.open(path)
        assert token not in await page.content()
        assert bundle[9:] not in await page.content()


async def test_a_customer_we_have_already_is_the_one_the_token_is_made_for(fjord: Company, enter: Enter) -> None:
    known = await fjord.call("POST", "/contacts", json={"name": "Vestland Rør AS", "is_customer": True})
    other = await fjord.call("POST", "/contacts", json={"name": "Havn Bygg AS", "organisation_number": "987654325", "is_customer": True})
    admin = await enter(fjord)

    page = await admin.open("/tokens/new")
    await page.fill("#f-new_name", "Vestland Rør AS")
    await page.fill("#f-organisation_number", "916860841")
    await admin.press("Create token")
    assert await page.is_checked(f"input[name=contact][value={known['id']}]")
    assert "This is the one: Vestland Rør AS" in await admin.words()
    assert await admin.faults_of_access() == []
    await admin.press("Create token")
    linked = await fjord.call("GET", f"/contacts/{known['id']}")
    assert linked["partner"]

    await admin.open(f"/contacts/{other['id']}")
    await page.get_by_role("link", name="Make a token for this company").click()
    assert await page.input_value("#f-new_name") == "Havn Bygg AS"
    assert await page.input_value("#f-organisation_number") == "987654325"
    await admin.press("Create token")
    assert (await fjord.call("GET", f"/contacts/{other['id']}"))["partner"]


async def test_the_token_that_was_made_opens_the_api_with_the_three_scopes_of_the_guide(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    token, _ = await made_for(admin, "Nordlys Mekaniske AS")

    async with fjord.as_(token) as partner:
        answer = await partner.get("/company")
    assert sorted(answer.json()["token"]["scopes"]) == ["Articles:Read", "Contacts:ReadWrite", "PurchaseOrders:Create"]


async def test_reloading_the_page_that_showed_a_token_makes_no_second_one(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    await made_for(admin, "Nordlys Mekaniske AS")

    page = admin.page
    await page.reload()

    assert "not shown a second time" in await admin.words()
    await admin.open("/tokens")
    assert await page.locator("tbody tr", has_text="Nordlys").count() == 1


async def test_a_token_in_use_is_revoked_only_by_typing_whose_it_is(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    token, _ = await made_for(admin, "Nordlys Mekaniske AS")
    await used(fjord, token)

    page = await admin.open("/tokens")
    await page.get_by_role("link", name="Revoke Nordlys").click()
    assert "ago by Nordlys Mekaniske AS" in await admin.words()
    await page.fill("#f-confirm", "Somebody else")
    await admin.press("Revoke token")
    assert "Type Nordlys Mekaniske AS" in await admin.words()
    await page.fill("#f-confirm", "Nordlys Mekaniske AS")
    await admin.press("Revoke token")

    assert "It works no more" in await admin.words()
    async with fjord.as_(token) as partner:
        assert (await partner.get("/company")).json()["code"] == "token_revoked"


async def test_a_rotated_token_works_on_until_its_successor_has_been_used(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    old, _ = await made_for(admin, "Nordlys Mekaniske AS")

    page = await admin.open("/tokens")
    await page.get_by_role("link", name="Rotate Nordlys").click()
    await page.get_by_role("radio", name="7 more days").check()
    await admin.press("Rotate")
    new = await page.input_value("#plain")

    async with fjord.as_(old) as before, fjord.as_(new) as after:
        assert (await before.get("/company")).status_code == 200
        assert (await after.get("/company")).status_code == 200
    await admin.open("/tokens")
    assert "Being replaced" in await admin.words()


async def test_the_overlap_is_chosen_in_hours_and_hours_of_ones_own(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    await made_for(admin, "Nordlys Mekaniske AS")
    page = await admin.open("/tokens")
    await page.get_by_role("link", name="Rotate Nordlys").click()

    assert not await page.get_by_label("Hours", exact=True).is_visible()
    await page.get_by_role("radio", name="Choose the hours").check()
    await page.get_by_label("Hours", exact=True).fill("5000")
    await admin.press("Rotate")
    assert "Write a number of hours up to 2,160" in await admin.words()
    assert await page.get_by_role("radio", name="Choose the hours").is_checked()
    await page.get_by_label("Hours", exact=True).fill("36")
    await admin.press("Rotate")

    async with fjord.as_(await page.input_value("#plain")) as partner:
        assert (await partner.get("/company")).status_code == 200
    said = [one["message"] for one in (await fjord.call("GET", "/logs", params={"code": "token.rotated"}))["items"]]
    assert "the old one ends 36 hours after" in said[0]


async def test_the_list_tells_tokens_apart_and_says_which_program_used_one(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    token, _ = await made_for(admin, "Nordlys Mekaniske AS")

    await admin.open("/tokens")

    assert f"{token[:12]}…" in await admin.words()
    assert "pst_" in token
    await admin.open(f"/tokens?q={token[:12]}")
    assert "Nordlys Mekaniske AS" in await admin.words()


async def test_a_token_is_tied_to_addresses_and_refused_from_elsewhere(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    page = await admin.open("/tokens/new")
    await page.get_by_role("radio", name="A new partner").check()
    await page.fill("#f-new_name", "Nordlys Mekaniske AS")
    await page.fill("#f-networks", "198.51.100.0/24, our office")
    await admin.press("Create token")
    assert "our is no IP address" in await admin.words()

    await page.fill("#f-networks", "198.51.100.0/24")
    await admin.press("Create token")
    token = await page.input_value("#plain")

    async with fjord.as_(token) as partner:
        assert (await partner.get("/company")).json()["code"] == "address_not_allowed"
    await admin.open("/logs")
    assert "This request came from 127.0.0.1." in await admin.words()


async def test_a_program_of_the_house_gets_only_what_was_ticked(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord, script=False)

    page = await admin.open("/tokens/new")
    await page.get_by_role("radio", name="A program of ours").check()
    await page.fill("#f-name", "stock-sync")
    await page.get_by_role("checkbox", name="Articles:Read Read").check()
    await admin.press("Create token")
    token = await page.input_value("#plain")

    async with fjord.as_(token) as program:
        assert (await program.get("/articles")).status_code == 200
        assert (await program.get("/logs")).status_code == 403


async def test_a_token_without_a_permission_is_not_made_and_what_was_typed_stays(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    page = await admin.open("/tokens/new")
    await page.get_by_role("radio", name="A program of ours").check()
    await page.fill("#f-name", "stock-sync")
    await admin.press("Create token")

    assert "Tick at least one permission" in await admin.words()
    assert await page.input_value("#f-name") == "stock-sync"
    assert await admin.faults_of_access() == []


async def test_a_viewer_finds_no_tokens(fjord: Company, enter: Enter) -> None:
    viewer = await enter(fjord, "viewer")

    page = await viewer.open("/")
    assert await page.get_by_role("link", name="Tokens").count() == 0

    await viewer.open("/tokens", 403)


async def made_for(admin: Person, name: str) -> tuple[str, str]:
    """A token for a new partner, and its bundle, by the form."""
    page = await admin.open("/tokens/new")
    await page.get_by_role("radio", name="A new partner").check()
    await page.fill("#f-new_name", name)
    await page.fill("#f-organisation_number", "987654325")
    await admin.press("Create token")
    return await page.input_value("#plain"), await page.input_value("#bundle")


async def used(company: Company, token: str) -> None:
    """The partner calls, and the database knows of it."""
    async with company.as_(token) as partner:
        await partner.get("/company")

    async def seen() -> bool:
        listed = await company.call("GET", "/tokens")
        return any(one["partner"] and one["last_used_at"] for one in listed["items"])

    await company.in_time(seen)
