"""A real browser in front of two real companies."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from prodsys.users import actions as users
from prodsys.users import grouping, inviting
from tests.pages.person import Person
from tests.passwords import hashed
from tests.stories.company import FJORD, NORDLYS, Company, running

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
PASSWORD = "correct horse battery"

Enter = Callable[..., Coroutine[Any, Any, Person]]


def chromium() -> str | None:
    """The browser of this machine."""
    return os.environ.get("CHROMIUM") or next((found for name in BROWSERS if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all pages' tests."""
    program = chromium()
    if program is None:
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail("REQUIRE_BROWSER=1, but no Chromium is installed (Debian: apt-get install chromium-headless-shell).", pytrace=False)
        pytest.skip("No Chromium is installed (Debian: apt-get install chromium-headless-shell).")
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            # Chromium's own sandbox refuses root; nothing but our own pages is opened here.
            args=[*quiet, "--no-sandbox"] if os.getuid() == 0 else quiet,
        )
        yield browser
        await browser.close()


@pytest.fixture
async def fjord(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """The supplier, with its articles."""
    async with _company(FJORD, tmp_path / "fjord", sqlite_template) as company:
        await company.import_articles()
        yield company


@pytest.fixture
async def nordlys(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """The buyer."""
    async with _company(NORDLYS, tmp_path / "nordlys", sqlite_template) as company:
        yield company


@pytest.fixture
async def enter(browser: Browser) -> AsyncIterator[Enter]:
    """Somebody with a role opens a browser and signs in: `await enter(fjord, "seller", language="nb")`."""
    opened: list[Person] = []

    async def come_in(company: Company, role: str = "admin", **wanted: Any) -> Person:
        email = f"{role}-{len(opened)}@{company.url.rpartition(':')[2]}.example"
        await company.db.write(take_in, email, role)
        person = await Person.at(browser, company.url, email, **wanted)
        opened.append(person)
        await person.sign_in(PASSWORD)
        return person

    yield come_in
    for person in opened:
        await person.leave()


def take_in(tx: Any, email: str, role: str) -> None:
    """Unit: a person with a role and the password of the tests."""
    from prodsys.scopes import CONSOLE

    if inviting.wants_first_admin(tx):
        inviting.begin(tx, email="first@example.example", name="First", password=hashed(PASSWORD))
    users.create(
        tx,
        CONSOLE,
        email=email,
        name=f"{role.capitalize()} Hansen",
        password=_HASHED,
        scopes=frozenset(),
        groups=grouping.groups_by_role(tx, [role]),  # type: ignore[list-item]
    )


_HASHED = hashed(PASSWORD)


def _company(card: Any, home: Path, template: Path) -> Any:
    home.mkdir()
    shutil.copyfile(template, home / "prodsys.db")
    return running(card, f"sqlite:///{home}/prodsys.db", home)
