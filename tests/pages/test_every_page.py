"""Every page, for everybody: light and dark, narrow and wide, in every language, without scripts, and for readers of every kind."""

import pytest
from playwright.async_api import Browser, Response

from tests.pages.conftest import Enter
from tests.pages.person import Person
from tests.stories.company import Company

PAGES = [
    "/",
    "/tokens",
    "/tokens/new",
    "/partners",
    "/partners/new",
    "/partners/new?way=token",
    "/logs",
    "/logs?view=causes",
    "/logs?live=1",
    "/changes",
    "/deliveries",
    "/users",
    "/users/new",
    "/groups",
    "/groups/new",
    "/settings",
    "/profile",
    "/company",
    "/modules",
    "/search?q=A-100",
    "/suppliers",
    "/customers",
    "/contacts/new",
    "/contacts/import",
    "/customers?view=proposals",
    "/duplicates",
    "/articles",
    "/articles/new",
    "/articles/import",
    "/prices",
    "/prices/import",
    "/mappings",
    "/catalogue",
    "/orders",
    "/orders/new",
    "/orders/import",
    "/exports",
    "/follow-up",
    "/drafts",
    "/drafts?view=clean",
    "/drafts?view=answered",
    "/sales-orders",
    "/connectors",
    "/connections",
    "/connections/new",
    "/flows",
]

HEAVIEST = 60 * 1024
"""Bytes a first visit may weigh, packed: the page, its style, its scripts and its icons."""


@pytest.mark.parametrize(("theme", "language"), [("light", "nb-NO"), ("dark", "pl-PL")])
async def test_every_page_is_readable_for_everybody_and_breaks_nothing(fjord: Company, enter: Enter, theme: str, language: str) -> None:
    admin = await enter(fjord, theme=theme, language=language)

    for path in PAGES:
        await admin.open(path)

        await admin.must_be_sound()


async def test_no_page_scrolls_sideways_on_the_narrowest_phone_in_the_longest_language(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord, width=320, language="de-DE")

    for path in PAGES:
        await admin.open(path)
        await admin.space_out()

        assert await admin.overflow() <= 0, path


async def test_every_page_answers_without_scripts(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord, script=False)

    for path in PAGES:
        page = await admin.open(path)

        assert await page.locator("h1").count() == 1, path


async def test_a_first_visit_is_light(fjord: Company, browser: Browser) -> None:
    person = await Person.at(browser, fjord.url)
    weights: dict[str, int] = {}

    async def weigh(answer: Response) -> None:
        sizes = await answer.request.sizes()
        weights[answer.url] = sizes["responseBodySize"]

    person.page.on("response", weigh)
    await person.open("/sign-in")
    await person.page.wait_for_load_state("networkidle")
    await person.leave()

    assert sum(weights.values()) < HEAVIEST, weights
    assert any(address.partition("?")[0].endswith(".css") for address in weights)
