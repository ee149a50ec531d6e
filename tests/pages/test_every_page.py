"""Every page, for everybody: light and dark, narrow and wide, in every language, without scripts, and for readers of every kind."""

import pytest

from tests.pages.conftest import Enter
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
]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_is_readable_for_everybody_and_breaks_nothing(fjord: Company, enter: Enter, theme: str) -> None:
    admin = await enter(fjord, theme=theme)

    for path in PAGES:
        await admin.open(path)

        await admin.must_be_sound()


async def test_no_page_scrolls_sideways_on_the_narrowest_phone(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord, width=320)

    for path in PAGES:
        await admin.open(path)

        assert await admin.overflow() <= 0, path


async def test_every_page_answers_without_scripts(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord, script=False)

    for path in PAGES:
        page = await admin.open(path)

        assert await page.locator("h1").count() == 1, path
