"""ERP connections by page: the wizard with its refusals, a sign-in at the other system, a flow run, a field mapped, a list mapped."""

from collections.abc import AsyncIterator

import pytest

from prodsys.exchange import outbox
from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import Fault, Simulator, serving
from tests.connectors.sim_eaccounting import EAccountingSim
from tests.connectors.sim_visma_net import VismaNetSim
from tests.connectors.wired import a_flow, an_eaccounting, connect, run
from tests.pages.conftest import Enter
from tests.pages.person import Person
from tests.pages.world import connect as partners
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line
from tests.stories.test_the_answer_comes_back import approve, once_it_is, sent


@pytest.fixture
async def books() -> AsyncIterator[EAccountingSim]:
    """eAccounting on loopback."""
    async with an_eaccounting() as simulator:
        yield simulator


@pytest.fixture
async def admin(fjord: Company, enter: Enter) -> Person:
    """An administrator, with the extension ERP connections switched on."""
    await fjord.db.write(modules.set_on, ERP_MODULE, True, "test")
    return await enter(fjord)


@pytest.fixture
async def visma() -> AsyncIterator[VismaNetSim]:
    """Visma.net ERP on loopback."""
    async with serving(VismaNetSim()) as simulator:
        assert isinstance(simulator, VismaNetSim)
        yield simulator


async def fill_in(person: Person, simulator: Simulator, **other: str) -> None:
    """Type a configuration into the form."""
    for name, value in (simulator.config() | other).items():
        field = person.page.locator(f'[name="config.{name}"]')
        if await field.count():
            await field.fill(str(value))


async def test_the_wizard_says_per_field_what_is_missing_and_keeps_what_was_typed(admin: Person, books: EAccountingSim) -> None:
    page = await admin.open("/connections/new")
    await admin.press("eAccounting")
    assert "Connect" in await page.inner_text("h1")
    await page.fill("#f-name", "Regnskap")
    await admin.press("Go on")
    assert page.url.endswith("/fields")
    await admin.must_be_sound()

    await fill_in(admin, books, client_id="")
    await page.get_by_role("button", name="Test connection").click()
    await page.wait_for_selector("#found")

    assert "Client ID must be filled in" in await page.inner_text("#result")
    await page.click("#result a:has-text('Client ID')")
    assert await page.evaluate("location.hash.slice(1)") == await page.get_attribute('[name="config.client_id"]', "id")
    assert await page.input_value('[name="config.client_secret"]') != ""


async def test_a_system_is_signed_in_at_tested_and_saved_and_its_secret_is_never_shown_again(
    fjord: Company, admin: Person, books: EAccountingSim
) -> None:
    made = await fjord.call("POST", "/connections", json={"name": "Regnskap", "connector": "eaccounting"})
    page = await admin.open(f"/connections/{made['id']}/fields")
    await fill_in(admin, books)

    async with admin.context.expect_page() as opened:
        await page.get_by_role("button", name="Sign in at").click()
    theirs = await opened.value
    await theirs.wait_for_load_state()
    link = await theirs.get_by_role("link", name="Go to").get_attribute("href")
    assert link is not None
    assert link.startswith(books.url)
    state = link.partition("state=")[2].partition("&")[0]
    await theirs.goto(f"{fjord.url}/api/v1/connections/authorized?code=the-code&state={state}")
    assert "You are signed in there" in await theirs.inner_text("main")
    await theirs.close()
    await page.get_by_role("button", name="Test and save").click()
    await page.wait_for_url(f"**/connections/{made['id']}?said=test_passed")

    assert "The test passed" in await admin.words()
    assert books.config()["client_secret"] not in await (await admin.open(f"/connections/{made['id']}/fields")).content()


async def test_a_system_nobody_signs_in_at_is_connected_from_the_first_page_to_its_articles_here(
    fjord: Company, admin: Person, visma: VismaNetSim
) -> None:
    page = await admin.open("/connections/new")
    await admin.press("Visma.net ERP")
    await page.fill("#f-name", "Økonomi")
    await admin.press("Go on")
    await fill_in(admin, visma, tenant_id="00000000-0000-0000-0000-000000000000")
    await page.get_by_role("button", name="Test connection").click()
    await page.wait_for_selector("#found")
    assert "not entitled to use the API" in await page.inner_text("#result")

    await page.fill('[name="config.tenant_id"]', visma.tenant)
    await page.get_by_role("button", name="Test and save").click()
    await page.wait_for_url("**/connections/cn_*?said=test_passed")
    connection = page.url.rpartition("/")[2].partition("?")[0]
    await admin.must_be_sound()
    await page.goto(f"{fjord.url}/connections/{connection}/flows/new")
    await page.get_by_role("link", name="Articles: Økonomi").click()
    await page.wait_for_load_state()
    await admin.press("Set up this flow")
    flow = page.url
    await admin.open(f"/connections/{connection}")
    await admin.press("Activate")
    missing = await admin.words()
    await page.goto(flow)
    await page.fill('[name="currency"]', "NOK")
    await admin.press("Save")
    await admin.open(f"/connections/{connection}")
    await admin.press("Activate")

    assert "currency is mandatory" in missing
    assert (await fjord.call("GET", f"/connections/{connection}"))["is_active"]


async def test_that_the_extension_is_off_is_said_before_anything_is_filled_in_and_once_when_it_is_in_the_way(
    fjord: Company, admin: Person, books: EAccountingSim
) -> None:
    connection = await connect(fjord, books)
    await admin.open(f"/connections/{connection['id']}")
    await admin.press("Let it rest")
    await fjord.db.write(modules.set_on, ERP_MODULE, False, "test")
    off = "The extension ERP connections is switched off"

    for path in ("/connections", "/connections/new", "/connections/new?connector=eaccounting"):
        await admin.open(path)
        assert off in await admin.words()
    page = await admin.open(f"/connections/{connection['id']}")
    await admin.must_be_sound()
    await admin.press("Activate")

    assert (await admin.words()).count("switched off") == 1
    assert await page.inner_text('.steps [aria-current="step"]') == "Flows and mapping"
    await fjord.db.write(modules.set_on, ERP_MODULE, True, "test")
    await admin.press("Activate")
    assert "set up its first flow" in await admin.words()


async def test_a_connection_is_activated_and_a_flow_brings_articles_in(fjord: Company, admin: Person, books: EAccountingSim) -> None:
    connection = await connect(fjord, books)
    page = await admin.open(f"/connections/{connection['id']}/flows/new")

    await page.get_by_role("link", name="Articles: Books").click()
    await page.wait_for_load_state()
    await admin.must_be_sound()
    assert await page.locator('[name="currency"]').count()
    assert not await page.locator('[name="employee_number"], [name="default_debtor"], [name="stock"], [value="event"]').count()
    await admin.press("Set up this flow")
    assert "Saved." in await admin.words()
    await admin.press("Run now")

    await page.wait_for_selector("#flow-lead:has-text('Read up to')", timeout=30_000)

    assert "Done" in await page.inner_text("#flow-runs tbody")
    assert await page.inner_text('#flow-runs [data-label="By"]') == "Admin Hansen"
    await page.locator("tbody th a").first.click()
    await page.wait_for_load_state()
    assert "taken over" in await page.inner_text("h1")
    assert "Brought up to date in Fjord Lager AS" in await admin.words()
    await admin.must_be_sound()
    await run(fjord, await a_flow(fjord, connection, "stock", "in"))
    await page.get_by_role("link", name="A-100 ").first.click()
    await page.wait_for_load_state()
    assert "Books" in await page.inner_text("section:has(#stock)")
    await admin.must_be_sound()


async def test_a_system_that_is_away_is_named_wherever_somebody_looks_and_so_is_the_order_that_waits(
    fjord: Company, nordlys: Company, admin: Person, books: EAccountingSim
) -> None:
    connection = await connect(fjord, books)
    flow = await a_flow(fjord, connection, "orders", "out", trigger="event")
    supplier = await partners(nordlys, fjord)
    books.faults.append(Fault(stumble="status", times=1_000))
    await admin.open(f"/connections/{connection['id']}")
    await admin.press("Test now")
    assert "The test did not pass" in await admin.page.inner_text(".notice.is-bad")

    order, draft = await sent(nordlys, fjord, supplier, a_line("10", quantity="100"))
    number = (await approve(fjord, draft))["summary"]["order_number"]
    await once_it_is(nordlys, order, acceptance="approved")

    async def paused() -> bool:
        return (await fjord.db.read(outbox.lane_states, [f"connection:{connection['id']}"])).popitem()[1].state == "paused"

    await fjord.in_time(paused, 30)
    await admin.open("/")
    assert "Books takes nothing" in await admin.words()
    await admin.must_be_sound()
    await admin.open("/connections")
    assert "Cannot be reached" in await admin.words()
    await admin.must_be_sound()
    for path in (f"/connections/{connection['id']}", f"/flows/{flow['id']}"):
        await admin.open(path)
        assert "Books cannot be reached at the moment" in await admin.words()
        await admin.must_be_sound()
    await admin.open("/deliveries")
    assert "Books: " in await admin.words()
    assert number in await admin.words()
    assert "connection:" not in await admin.words()
    await admin.open(f"/sales-orders/{draft['id']}")
    assert "Books: Waiting" in await admin.words() or "Books: Being sent" in await admin.words()
    await admin.must_be_sound()

    books.faults.clear()
    await fjord.db.write(outbox.probe_soon, f"connection:{connection['id']}")

    async def arrived() -> bool:
        await admin.open(f"/sales-orders/{draft['id']}")
        return "Books: There" in await admin.words() or "Books: Refused" in await admin.words()

    await fjord.in_time(arrived, 30)
    await admin.open("/logs")
    assert await admin.page.get_by_role("link", name=f"Flow {number}").count()


async def test_a_field_is_mapped_tried_on_a_real_record_and_saved_as_a_version(
    fjord: Company, admin: Person, books: EAccountingSim
) -> None:
    connection = await connect(fjord, books)
    page = await admin.open(f"/connections/{connection['id']}/mapping?way=articles.in")
    assert await page.text_content('#sources option[value="NetPrice"]') == "Price · number"
    assert await page.text_content('#fields option[value="gtin"]') == "GTIN · text"

    await page.locator('[name="rule.field"]').first.fill("name")
    await page.locator('[name="rule.do"]').first.select_option("join")
    await page.locator('[name="rule.of"]').first.fill("=New:, own")
    await page.locator('[name="rule.more"]').first.fill(" ")
    await page.get_by_role("button", name="Try", exact=True).click()
    await page.wait_for_selector(".seam")
    assert "New: " in await page.locator(".seam pre").last.inner_text()
    await admin.must_be_sound()
    await admin.press("Save as the next version")

    kept = await fjord.call("GET", f"/connections/{connection['id']}/mapping/articles/in")
    assert kept["number"] == 1
    assert await page.locator('[name="rule.of"]').first.input_value() == "=New:, own"


async def test_a_list_is_mapped_with_what_the_system_offers(fjord: Company, admin: Person, books: EAccountingSim) -> None:
    connection = await connect(fjord, books)
    page = await admin.open(f"/connections/{connection['id']}/lists?list=units&ask=1")

    await page.locator('[name="source"]').first.fill("H87")
    await page.locator('[name="target"]').first.fill("pcs")
    await admin.must_be_sound()
    await admin.press("Save this list")

    lists = {one["name"]: one for one in (await fjord.call("GET", f"/connections/{connection['id']}/lists"))["items"]}
    assert [(one["source"], one["target"]) for one in lists["units"]["entries"]] == [("H87", "pcs")]


async def test_only_those_who_are_chosen_see_a_connection(fjord: Company, admin: Person, enter: Enter, books: EAccountingSim) -> None:
    connection = await connect(fjord, books)
    await admin.open(f"/connections/{connection['id']}")
    await admin.page.check('input[name=scope][value="chosen"]', force=True)
    await admin.page.locator('.panel:has(#name) button[value="save"]').click()
    await admin.page.wait_for_load_state()
    other = await enter(fjord)

    await other.open(f"/connections/{connection['id']}", status=404)
    await a_flow(fjord, connection, "articles", "in")
    assert "Articles" not in await (await other.open("/flows")).inner_text("main")


async def test_every_connector_tells_what_it_can_do_and_why_not(fjord: Company, admin: Person) -> None:
    page = await admin.open("/connectors")
    names = await page.locator("tbody th a").all_inner_texts()

    assert "eAccounting" in " ".join(names)
    assert "By itself" in await page.locator("tr", has_text="SuperOffice CRM").inner_text()
    assert await page.evaluate("(s => s.scrollWidth <= s.clientWidth)(document.querySelector('.scroller'))")
    await admin.must_be_sound()
    await admin.open("/connectors/eaccounting")
    assert "documented" in await admin.words()
    await admin.must_be_sound()
