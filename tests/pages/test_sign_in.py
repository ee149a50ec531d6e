"""Signing in by page: the first admin's code, an invitation, a wrong password, a form from elsewhere, a session that ends."""

import httpx2
import pytest
from playwright.async_api import Browser

from prodsys.scopes import CONSOLE
from prodsys.users import inviting
from tests.pages.conftest import PASSWORD, Enter
from tests.pages.person import Person
from tests.stories.company import Company


async def test_a_new_instance_leads_to_its_first_admin_by_the_code_it_printed(fjord: Company, browser: Browser) -> None:
    code = await fjord.db.write(inviting.first_admin_code)
    assert code is not None
    person = await Person.at(browser, fjord.url)

    page = await person.open("/")
    assert page.url.endswith("/first-admin")
    await page.fill("#f-code", code.code.lower())
    await page.fill("#f-name", "Ola Fjord")
    await page.fill("#f-email", "ola@fjord.example")
    await page.fill("#f-password", PASSWORD)
    await person.must_be_sound()
    await person.press("Begin")

    assert await page.inner_text(".side__foot .nav__link") == "Ola Fjord"
    assert await fjord.db.write(inviting.first_admin_code) is None
    await person.leave()


async def test_a_wrong_code_makes_nobody_an_admin(fjord: Company, browser: Browser) -> None:
    await fjord.db.write(inviting.first_admin_code)
    person = await Person.at(browser, fjord.url)
    page = await person.open("/first-admin")

    for name, value in {"code": "ABCD-" * 7 + "ABCD", "name": "Mallory", "email": "m@evil.example", "password": PASSWORD}.items():
        await page.fill(f"#f-{name}", value)
    await person.press("Begin")

    assert "not known, has been used, or is too old" in await person.words()
    assert await fjord.db.read(inviting.wants_first_admin)
    await person.leave()


@pytest.mark.parametrize("email", ["nobody@fjord.example", "known"])
async def test_a_wrong_password_and_an_unknown_address_are_told_alike(fjord: Company, enter: Enter, browser: Browser, email: str) -> None:
    known = await enter(fjord, "seller")
    person = await Person.at(browser, fjord.url)
    page = await person.open("/sign-in")

    await page.fill("#email", known.email if email == "known" else email)
    await page.fill("#password", "not the password at all")
    await person.press("Sign in")

    assert await page.inner_text("#why") == "E-mail or password is wrong."
    await person.leave()


async def test_who_was_going_somewhere_goes_there_after_signing_in_and_nowhere_else(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    await admin.page.context.clear_cookies()

    page = await admin.open("/articles?q=A-1")
    assert "/sign-in?next=" in page.url
    await page.fill("#email", admin.email)
    await page.fill("#password", PASSWORD)
    await admin.press("Sign in")
    assert page.url == f"{fjord.url}/articles?q=A-1"
    await admin.page.context.clear_cookies()
    await admin.open("/sign-in?next=https://evil.example/")
    await page.fill("#email", admin.email)
    await page.fill("#password", PASSWORD)
    await admin.press("Sign in")

    assert page.url == f"{fjord.url}/"


async def test_guessing_is_slowed_down_and_the_person_is_not_locked_out(fjord: Company, enter: Enter) -> None:
    seller = await enter(fjord, "seller")
    # Hashing steps back behind everything else, and a busy machine has much else.
    async with httpx2.AsyncClient(base_url=fjord.url, timeout=60) as guesser:
        answers = [
            await guesser.post("/sign-in", data={"email": "someone@fjord.example", "password": f"guess number {n}"}) for n in range(7)
        ]

    assert {one.status_code for one in answers[:5]} == {422}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    await seller.open("/")


async def test_a_form_from_elsewhere_does_nothing(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    [cookie] = [one for one in await admin.context.cookies() if "prodsys" in one["name"] and one["httpOnly"] and one["sameSite"] == "Lax"]
    async with httpx2.AsyncClient(base_url=fjord.url, cookies={cookie["name"]: cookie["value"]}) as thief:
        without_mark = await thief.post("/modules/prodsys-to-prodsys", data={})
        elsewhere = await thief.post("/modules/prodsys-to-prodsys", data={}, headers={"Origin": "https://evil.example"})

    assert (without_mark.status_code, elsewhere.status_code) == (403, 403)
    modules = {one["name"]: one["is_on"] for one in (await fjord.call("GET", "/modules"))["items"]}
    assert modules["prodsys-to-prodsys"]


async def test_an_invitation_lets_a_person_choose_the_password_once(fjord: Company, browser: Browser, enter: Enter) -> None:
    await enter(fjord)
    code = await fjord.db.write(
        inviting.invite, CONSOLE, email="kari@fjord.example", name="Kari Nordmann", scopes=frozenset(), groups=[], language="nb"
    )
    person = await Person.at(browser, fjord.url)
    page = await person.open(f"/invitation?code={code.code}")

    await page.fill("#f-password", "short")
    await page.click("main .form button[type=submit]")
    assert await page.get_attribute("#f-password", "aria-invalid") == "true"
    await page.fill("#f-password", "a sentence of my own")
    await page.click("main .form button[type=submit]")
    await page.wait_for_selector(".side__foot")

    await person.open(f"/invitation?code={code.code}", status=422)
    await person.leave()


async def test_a_session_that_was_ended_elsewhere_asks_to_sign_in_again_and_saves_nothing(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    page = await admin.open("/company")
    await page.fill("#f-phone", "+47 55 55 55 55")

    await page.context.clear_cookies()
    await admin.press("Save company card")

    assert "Nothing was saved since" in await page.inner_text("main")
    assert (await fjord.call("GET", "/company"))["phone"] != "+47 55 55 55 55"


async def test_every_page_has_the_strict_policy_and_says_nothing_to_the_outside(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    answer = await admin.page.goto("/")

    assert answer is not None
    headers = answer.headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
