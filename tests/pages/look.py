"""Photographs pages, so that a designer can judge them: `scripts/look /drafts /orders`."""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright

from tests import conftest
from tests.pages.conftest import PASSWORD, chromium, take_in
from tests.pages.person import Person
from tests.pages.world import world

SHOTS = Path(__file__).parents[2] / ".shots"


def main() -> None:
    """Read the command line and photograph."""
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("paths", nargs="+", metavar="PATH", help="a page; {clean} stands for the order or draft of that word")
    wanted.add_argument("--company", choices=("fjord", "nordlys"), default="fjord")
    wanted.add_argument("--role", default="admin")
    wanted.add_argument("--language", default="en-GB")
    wanted.add_argument("--theme", choices=("light", "dark"), default="light")
    wanted.add_argument("--width", type=int, default=1440)
    asyncio.run(photograph(wanted.parse_args()))


async def photograph(wanted: argparse.Namespace) -> None:
    """Start two companies, sign in, and take a picture of every page asked for; what axe and the console say is printed."""
    SHOTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        conftest.create_tables(f"sqlite:///{template}")
        async with world(Path(folder) / "world", template) as companies, async_playwright() as playwright:
            company = companies.fjord if wanted.company == "fjord" else companies.nordlys
            rows = companies.drafts if wanted.company == "fjord" else companies.orders
            browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"] if os.getuid() == 0 else [])
            await company.db.write(take_in, "ingrid@fjord.example", wanted.role)
            person = await Person.at(
                browser, company.url, "ingrid@fjord.example", language=wanted.language, theme=wanted.theme, width=wanted.width
            )
            await person.sign_in(PASSWORD)
            for path in wanted.paths:
                at = re.sub(r"\{(\w+)\}", lambda word: str(rows[word[1]]["id"]), path)
                answer = await person.page.goto(at)
                word = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "home"
                name = f"{word}-{wanted.theme}-{wanted.language[:2]}-{wanted.width}.png"
                await person.page.screenshot(path=SHOTS / name, full_page=True)
                found = [f"overflow {await person.overflow()} px", *await person.faults_of_access(), *person.trouble]
                sys.stdout.write("\n  ".join([str(SHOTS / name), str(answer and answer.status), *found]) + "\n")
                person.trouble.clear()
            await browser.close()


if __name__ == "__main__":
    main()
