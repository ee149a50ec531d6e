"""What an administrator sees of the settings, and what can be tried from there."""

import asyncio

from tests.pages.conftest import Enter
from tests.stories.company import Company


async def test_settings_say_how_long_things_are_kept_and_where_each_value_comes_from(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    page = await admin.open("/settings")

    told = await admin.words()
    assert "Log entries\n90 days" in told
    assert "for ever" in told
    row = page.locator("tr", has_text="PRODSYS_LOG_DAYS")
    assert "default" in await row.inner_text()
    row = page.locator("tr", has_text="PRODSYS_UNDO_SECONDS")
    assert "start of the program" in await row.inner_text()
    await admin.must_be_sound()


async def test_a_test_mail_without_a_mail_server_says_what_is_missing(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)

    await admin.open("/settings")
    await admin.press("Send")

    assert "No mail was sent" in await admin.words()
    assert "PRODSYS_SMTP_HOST" in await admin.words()


async def test_a_webhook_is_made_shown_once_tested_and_removed(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    page = await admin.open("/settings")
    await page.fill("#f-url", f"http://127.0.0.1:{port}/hook")
    await page.get_by_role("checkbox", name="An order draft has arrived").check()
    await admin.press("Add webhook")
    secret = await page.input_value("#secret")
    assert secret.startswith("whsec_")
    await admin.press("I have stored it")
    assert secret not in await page.content()
    await admin.press(f"Test http://127.0.0.1:{port}/hook")
    assert "got through" in await admin.words()
    await admin.press(f"Remove http://127.0.0.1:{port}/hook")

    assert "called no more" in await admin.words()
    server.close()


async def test_settings_are_for_administrators(fjord: Company, enter: Enter) -> None:
    for role in ("buyer", "seller", "viewer"):
        person = await enter(fjord, role)

        await person.open("/settings", 403)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A program of the house that takes whatever comes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()
