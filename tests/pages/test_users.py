"""People and what they may do, as an administrator and they themselves set it."""

from tests.pages.conftest import PASSWORD, Enter
from tests.pages.person import Person
from tests.stories.company import Company


async def test_somebody_who_is_invited_chooses_a_password_by_the_link_and_sees_only_what_the_role_allows(
    fjord: Company, enter: Enter
) -> None:
    admin = await enter(fjord)

    page = await admin.open("/users/new")
    await page.fill("#f-name", "Sara Selger")
    await page.fill("#f-email", "sara@fjord.example")
    await page.get_by_role("checkbox", name="Sellers").check()
    await admin.press("Make the link")
    link = await page.input_value("#link")
    await page.reload()
    assert "not shown a second time" in await admin.words()
    await page.context.clear_cookies()
    await page.goto(link)
    await page.fill("input[name=password]", "a very long sentence")
    await page.locator("form:has(input[name=password]) button").click()

    assert await page.get_by_role("link", name="Order drafts").count() == 1
    assert await page.get_by_role("link", name="Purchase orders").count() == 0
    assert await page.get_by_role("link", name="Users and groups").count() == 0


async def test_an_account_that_is_closed_is_signed_out_and_the_last_administrator_stays(fjord: Company, enter: Enter) -> None:
    admin, viewer = await enter(fjord), await enter(fjord, "viewer")

    page = await admin.open("/users")
    await page.get_by_role("link", name="Viewer Hansen").click()
    await page.get_by_role("checkbox", name="May sign in").uncheck()
    await admin.press("Save")
    assert "Closed" in await admin.words()
    await viewer.page.goto("/")
    assert "/sign-in" in viewer.page.url
    for name in ("First", "Admin Hansen"):
        await admin.open("/users")
        await page.locator("tbody").get_by_role("link", name=name, exact=True).click()
        await page.get_by_role("checkbox", name="Administrators").uncheck()
        await admin.press("Save")

    assert "Not saved" in await admin.words()


async def test_a_person_changes_language_theme_and_what_to_hear_of(fjord: Company, enter: Enter) -> None:
    seller = await enter(fjord, "seller")

    page = await seller.open("/profile")
    await page.select_option("#f-language", "nb")
    await page.get_by_role("radio", name="Dark").check()
    await seller.press("Save")
    assert await page.get_attribute("html", "lang") == "nb"
    assert await page.get_attribute("html", "data-theme") == "dark"
    await page.select_option("#f-language", "")
    await page.locator("form[action='/profile'] button").click()
    await page.select_option("#f-new_draft", "daily")
    await page.select_option("#f-hour", "9")
    await page.locator("form[action='/profile/subscriptions'] button").click()

    assert await page.input_value("#f-new_draft") == "daily"
    assert await page.input_value("#f-hour") == "9"


async def test_other_sign_ins_end_when_their_person_says_so_and_with_a_new_password(fjord: Company, enter: Enter) -> None:
    here = await enter(fjord, "viewer")
    there = await also(enter, fjord, here)

    page = await here.open("/profile")
    await here.press("Sign out of all others")
    await there.page.goto("/profile")
    assert "/sign-in" in there.page.url
    await there.sign_in(PASSWORD)
    await page.fill("#f-current", "not the password")
    await page.fill("#f-password", "another long sentence")
    await here.press("Change password")
    assert "not your present password" in await here.words()
    await page.fill("#f-current", PASSWORD)
    await page.fill("#f-password", "another long sentence")
    await here.press("Change password")

    assert "signed in here only" in await here.words()
    await there.page.goto("/profile")
    assert "/sign-in" in there.page.url


async def test_a_group_is_made_with_its_people_and_gives_them_what_it_carries(fjord: Company, enter: Enter) -> None:
    admin, viewer = await enter(fjord), await enter(fjord, "viewer")

    page = await admin.open("/groups/new")
    await page.fill("#f-name", "Night shift")
    await page.get_by_role("radio", name="Seller").check()
    await page.get_by_role("checkbox", name="Viewer Hansen").check()
    await admin.press("Make the group")
    assert "1 person" in await admin.words()

    assert "Night shift" in await (await viewer.open("/profile")).inner_text("main")
    page = await viewer.open("/users", 403)


async def also(enter: Enter, company: Company, person: Person) -> Person:
    """The same person in a second window."""
    second = await Person.at(person.context.browser, company.url, person.email)  # type: ignore[arg-type]
    await second.sign_in(PASSWORD)
    return second
