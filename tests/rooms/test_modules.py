"""Extensions that an admin switches on and off."""

import asyncio

import pytest
from sqlalchemy import insert

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.modules import api, store
from prodsys.scopes import PRODSYS_MODULE, Scope
from prodsys.tables import articles
from tests.rooms.doors import a_partner, company_of, our_card

pytestmark = pytest.mark.anyio


@pytest.fixture
async def company(db):
    async with company_of(db, api.routes) as company:
        yield company


@pytest.fixture
async def admin(company):
    return company.caller((await company.a_token()).token)


def an_article(tx, number="A-100"):
    row = {"id": "ar_1", "number": number, "number_key": number, "number_reverse": number[::-1], "position": 1, "changed_at": now()}
    tx.execute(insert(articles).values(row))


async def test_a_new_instance_has_api_access_and_nothing_else(db):
    switches = await db.read(store.switches)

    assert {name: switch.is_on for name, switch in switches.items()} == {
        "prodsys-to-prodsys": False,
        "api-access": True,
        "erp-connections": False,
    }


async def test_switching_is_answered_and_shown_and_logged_with_who(company, admin):
    answer = await admin.put("/modules/erp-connections", json={"is_on": True})
    shown = {module["name"]: module for module in (await admin.get("/modules")).json()["items"]}
    (line,) = [entry for entry in await company.logged("module.on") if entry.subject == "erp-connections"]

    assert (answer.status_code, answer.json()) == (200, shown["erp-connections"])
    assert (answer.json()["is_on"], answer.json()["changed_by"], line.actor) == (True, "ops", "ops")
    assert company.switchboard.is_on("erp-connections")


async def test_switching_to_what_it_is_already_changes_and_logs_nothing(company, admin):
    before = (await admin.get("/modules")).json()

    answer = await admin.put(f"/modules/{PRODSYS_MODULE}", json={"is_on": True})

    assert answer.status_code == 200
    assert (await admin.get("/modules")).json() == before
    assert len(await company.logged("module.on")) == 1


async def test_activating_names_everything_that_is_missing(db):
    async with company_of(db, api.routes, public_url="http://fjord.example") as company:
        admin = company.caller((await company.a_token()).token)

        answer = await admin.put(f"/modules/{PRODSYS_MODULE}", json={"is_on": True})

        missing = answer.json()["missing"]
        assert [issue["code"] for issue in missing] == ["company_missing", "partners_missing", "public_url_not_https"]
        assert all(issue["message"].endswith(".") for issue in missing)


async def test_who_sells_is_told_what_buyers_still_need(company, admin):
    await company.db.write(our_card)
    await company.db.write(an_article)

    answer = await admin.put(f"/modules/{PRODSYS_MODULE}", json={"is_on": True})

    assert [issue["code"] for issue in answer.json()["missing"]] == ["token_missing"]


async def test_who_only_buys_needs_no_token_for_a_buyer_although_he_has_articles(company, admin):
    await company.db.write(our_card)
    await company.db.write(a_partner, endpoint="https://supplier.example")
    await company.db.write(an_article)

    answer = await admin.put(f"/modules/{PRODSYS_MODULE}", json={"is_on": True})

    assert answer.json()["missing"] == []


async def test_nothing_is_missing_once_everything_is_there(company, admin):
    await company.db.write(our_card)
    await company.db.write(an_article)
    await company.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=await company.db.write(a_partner))

    answer = await admin.put(f"/modules/{PRODSYS_MODULE}", json={"is_on": True})

    assert answer.json()["missing"] == []


async def test_an_unknown_module_is_not_found(company, admin):
    answer = await admin.put("/modules/licences", json={"is_on": True})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert not company.switchboard.is_on("licences")
    with pytest.raises(errors.NotFound):
        await company.db.read(store.is_on, "licences")


async def test_the_switchboard_hears_of_a_switch_made_behind_its_back(company):
    heard = asyncio.Event()
    refresh = company.switchboard.refresh

    async def refreshed():
        await refresh()
        heard.set()

    company.switchboard.refresh = refreshed
    await company.db.write(store.set_on, "erp-connections", True, "console")
    await asyncio.wait_for(heard.wait(), 10)

    assert company.switchboard.is_on("erp-connections")


async def test_a_switch_that_was_not_committed_is_not_heard_of(company):
    def fails(tx):
        store.set_on(tx, "erp-connections", True, "console")
        raise errors.WrongState

    with pytest.raises(errors.WrongState):
        await company.db.write(fails)

    assert not await company.db.read(store.is_on, "erp-connections")
