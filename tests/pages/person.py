"""Somebody at a browser, and what is asked of every page he opens: nothing broken, nothing from elsewhere, readable for everybody."""

from importlib.resources import files
from typing import Any, Self

from playwright.async_api import Browser, BrowserContext, Page, Response

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


class Person:
    """A browser window of somebody. Everything that goes wrong in it is collected in `trouble`."""

    def __init__(self, context: BrowserContext, page: Page, url: str, email: str) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.email = email
        self.trouble: list[str] = []
        page.on("console", lambda said: self.trouble.append(f"console: {said.text}") if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda fault: self.trouble.append(f"script: {fault}"))
        page.on(
            "request",
            lambda asked: self.trouble.append(f"elsewhere: {asked.url}") if not asked.url.startswith((url, "data:", "blob:")) else None,
        )

    @classmethod
    async def at(
        cls,
        browser: Browser,
        url: str,
        email: str = "",
        *,
        language: str = "en-GB",
        theme: str = "light",
        width: int = 1280,
        script: bool = True,
    ) -> Self:
        """Open a window, in a language, light or dark, so wide, with scripts or without."""
        context = await browser.new_context(
            base_url=url,
            locale=language,
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": 900},
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        return cls(context, await context.new_page(), url, email)

    async def sign_in(self, password: str) -> None:
        """By the form, as everybody does."""
        await self.page.goto("/sign-in")
        await self.page.fill("#email", self.email)
        await self.page.fill("#password", password)
        await self.page.click("main .form button[type=submit]")
        await self.page.wait_for_url(lambda at: not at.endswith("/sign-in"))

    async def open(self, path: str, status: int = 200) -> Page:
        """Go to a page; fails the test when it does not answer so."""
        answer: Response | None = await self.page.goto(path)
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"
        return self.page

    async def press(self, words: str) -> None:
        """Press a button, or follow a link, by its words."""
        target = self.page.get_by_role("button", name=words).or_(self.page.get_by_role("link", name=words))
        await target.first.click()
        await self.page.wait_for_load_state()

    async def words(self) -> str:
        """What the page says."""
        return await self.page.inner_text("main")

    async def faults_of_access(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA."""
        await self.page.evaluate(AXE)
        found: dict[str, Any] = await self.page.evaluate("rules => axe.run(document, rules)", RULES)
        return [
            f"{fault['id']}: {fault['help']} at {node['target'][0]} {node.get('failureSummary', '')[:200]}"
            for fault in found["violations"]
            for node in fault["nodes"][:3]
        ]

    async def space_out(self) -> None:
        """Set the text as wide as WCAG 1.4.12 asks a page to bear, wider than any font would."""
        await self.page.evaluate(
            "style => { const sheet = new CSSStyleSheet(); sheet.replaceSync(style); document.adoptedStyleSheets = [sheet]; }",
            "*, *::before { letter-spacing: 0.12em !important; word-spacing: 0.16em !important; line-height: 1.5 !important }",
        )

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    async def must_be_sound(self) -> None:
        """Fails the test when something in this window broke, or the page is not for everybody."""
        assert await self.faults_of_access() == [], self.page.url
        assert self.trouble == [], self.page.url

    async def leave(self) -> None:
        """Close the window."""
        await self.context.close()
