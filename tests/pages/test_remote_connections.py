"""A remote sync connector by page: registered with name and URL, filled in by its own fields, changed without typing a secret again."""

from collections.abc import AsyncIterator

import pytest

from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import serving
from tests.connectors.sim_remote_sync import PASSWORD, RemoteSyncSim
from tests.pages.conftest import Enter
from tests.stories.company import Company


@pytest.fixture
async def remote(fjord: Company) -> AsyncIterator[RemoteSyncSim]:
    """Somebody's sync connector on loopback, and the extension switched on."""
    await fjord.db.write(modules.set_on, ERP_MODULE, True, "test")
    simulator = RemoteSyncSim()
    async with serving(simulator):
        yield simulator


async def test_its_own_fields_make_the_form_and_its_password_stays_sealed_when_another_field_is_changed(
    fjord: Company, remote: RemoteSyncSim, enter: Enter
) -> None:
    admin = await enter(fjord)
    page = await admin.open("/connections/new?connector=remote_sync")
    await page.fill("#f-name", "Old ERP")
    await admin.press("Go on")
    await page.fill("[name='config.name']", "Old ERP")
    await page.fill("[name='config.url']", remote.config()["url"])
    await admin.press("Ask for its fields")
    await page.wait_for_selector("[name='config.remote_COMPANY']")
    await admin.must_be_sound()

    await page.select_option("[name='config.remote_COMPANY']", label="Bergen")
    await page.get_by_role("button", name="Test connection").click()
    await page.wait_for_selector("#found")
    assert "Password is missing." in await page.inner_text("#result")
    await page.fill("[name='config.remote_PASSWORD']", PASSWORD)
    await admin.press("Test and save")
    await page.wait_for_url("**/connections/*said=test_passed")
    await page.goto(page.url.partition("?")[0] + "/fields")
    await admin.press("Ask for its fields")
    await page.wait_for_selector("[name='config.remote_DAYS']")

    assert await page.input_value("[name='config.remote_DAYS']") == "30"
    assert await page.input_value("[name='config.remote_PASSWORD']") == ""
    assert "Kept sealed" in await page.inner_text("#own")
    await page.fill("[name='config.remote_DAYS']", "7")
    await admin.press("Test and save")
    await page.wait_for_url("**/connections/*said=test_passed")
    assert list(remote.saved.values())[-1] == {"COMPANY": "2", "PASSWORD": PASSWORD, "DAYS": "[I:7]"}


async def test_without_scripts_it_is_asked_and_saved_as_well_and_one_that_does_not_answer_says_so(
    fjord: Company, remote: RemoteSyncSim, enter: Enter
) -> None:
    admin = await enter(fjord, script=False)
    made = await fjord.call("POST", "/connections", json={"name": "Old ERP", "connector": "remote_sync"})
    page = await admin.open(f"/connections/{made['id']}/fields")
    await page.fill("[name='config.name']", "Old ERP")
    await page.fill("[name='config.url']", "http://127.0.0.1:9/nobody")
    await admin.press("Ask for its fields")
    assert await page.locator("#found").count() == 1

    for _ in range(2):
        await page.fill("[name='config.url']", remote.config()["url"])
        if await page.locator("[name='config.remote_COMPANY']").count():
            await page.select_option("[name='config.remote_COMPANY']", "1")
            await page.fill("[name='config.remote_PASSWORD']", PASSWORD)
        await admin.press("Test and save")

    assert "said=test_passed" in page.url
    assert list(remote.saved.values()) == [{"COMPANY": "1", "PASSWORD": PASSWORD, "DAYS": "[I:30]"}]
