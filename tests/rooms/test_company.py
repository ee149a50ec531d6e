"""Our own company: its card, and the life this instance is in."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from litestar import Router
from litestar.di import Provide
from sqlalchemy import insert, select

from prodsys import __version__, errors, scopes
from prodsys.company import actions, api
from prodsys.company.model import Company
from prodsys.contacts import store as contacts
from prodsys.documents import Address, Party, Person
from prodsys.kit import web
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.scopes import Caller, Scope
from prodsys.tables import modules, partners

FJORD = Party(
    name="Fjord Lager AS",
    organisation_number="999999999",
    email="post@fjord.example",
    address=Address(street="Kaiveien", house_number="7", postcode="4005", city="Stavanger", country="NO"),
    persons=[Person(name="Kari Nordmann")],
)
HOUSE = Caller(token="tk_h", name="Kari", scopes=frozenset({Scope.COMPANY_WRITE}))


async def test_an_instance_begins_once(db: Database):
    begun = await asyncio.gather(*(db.write(actions.begin, FJORD) for _ in range(3)), return_exceptions=True)

    assert sorted(type(one).__name__ for one in begun) == ["AlreadyExists", "AlreadyExists", "Company"]
    kept = await db.read(actions.card)
    assert (kept.name, kept.card, kept.version, len(kept.epoch)) == ("Fjord Lager AS", FJORD, 1, 26)


async def test_an_instance_without_a_card_says_how_it_gets_one(db: Database):
    with pytest.raises(errors.NotFound, match="prodsys init"):
        await db.read(actions.card)


async def test_a_company_needs_a_name(db: Database):
    with pytest.raises(errors.Invalid):
        await db.write(actions.begin, Party(name="  "))


async def test_a_new_life_has_another_name_and_the_same_card(db: Database):
    before = await db.write(actions.begin, FJORD)

    epoch = await db.write(actions.renew_epoch)

    after = await db.read(actions.card)
    assert after.epoch == epoch != before.epoch
    assert (after.card, after.version) == (FJORD, before.version)


async def test_two_people_changing_the_card_at_once_do_not_overwrite_each_other(db: Database):
    current = actions.tag(await db.write(actions.begin, FJORD))

    def change(tx: Tx, name: str) -> Company:
        return actions.set_card(tx, Party(name=name), if_match=current, actor=name)

    said = await asyncio.gather(db.write(change, "A"), db.write(change, "B"), return_exceptions=True)

    assert sorted(type(one).__name__ for one in said) == ["Company", "Stale"]


def a_client(db: Database, caller: Caller) -> httpx2.AsyncClient:
    async def stand_in(connection: Any, route: Any) -> None:
        if route.opt["door"] == "house" and not caller.is_house:
            raise errors.NotFound
        connection.scope["caller"] = caller

    app: Any = web.web_app(
        [Router("/api/v1", route_handlers=api.routes)],
        openapi=web.openapi_config("Test", "1"),
        dependencies={"db": Provide(lambda: db, sync_to_thread=False)},
        guards=[stand_in],
        log_access=False,
    )
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test/api/v1")


@pytest.fixture
async def house(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    await db.write(actions.begin, FJORD)
    async with a_client(db, HOUSE) as client:
        yield client


async def test_a_partner_reads_who_we_are_and_what_its_token_may(house: httpx2.AsyncClient, db: Database):
    def unit(tx: Tx) -> int:
        tx.execute(insert(partners).values(id="pa_1", name="Nordlys", created_at=now()))
        tx.execute(insert(modules).values(name=scopes.PRODSYS_MODULE, is_on=True, changed_at=now()))
        tx.execute(insert(modules).values(name="erp-connections", is_on=False, changed_at=now()))
        key: int = tx.execute(select(partners.c.pk)).scalar_one()
        return key

    caller = Caller(
        token="tk_p", name="N", scopes=frozenset(scopes.GUIDE_SCOPES), partner=await db.write(unit), expires_at="2027-02-19T00:00:00Z"
    )
    async with a_client(db, caller) as client:
        answer = await client.get("/company")
        refused = await client.put("/company", json={"name": "X"})

    told = answer.json()
    assert told == {
        "document_versions": ["1"],
        "name": "Fjord Lager AS",
        "organisation_number": "999999999",
        "vat_number": "",
        "gln": "",
        "email": "post@fjord.example",
        "phone": "",
        "address": {"street": "Kaiveien", "house_number": "7", "postcode": "4005", "city": "Stavanger", "country": "NO"},
        "persons": [{"name": "Kari Nordmann"}],
        "version": __version__,
        "modules": ["prodsys-to-prodsys"],
        "epoch": told["epoch"],
        "token": {
            "scopes": ["Articles:Read", "Contacts:ReadWrite", "PurchaseOrders:Create"],
            "expires_at": "2027-02-19T00:00:00Z",
            "partner": {"id": "pa_1", "name": "Nordlys"},
        },
        "contact": None,
    }
    assert refused.status_code == 404


async def test_a_partner_is_told_of_the_card_we_keep_of_it_and_when_that_has_changed(db: Database):
    def unit(tx: Tx) -> tuple[int, int]:
        actions.begin(tx, FJORD)
        [made] = contacts.create(tx, contacts.New(card=Party(name="Nordlys AS"), is_customer=True), actor="test")
        contact = contacts.key_of(tx, made)
        assert contact is not None
        key: int = tx.execute(
            insert(partners).values(id="pa_1", name="N", contact=contact, created_at=now()).returning(partners.c.pk)
        ).scalar_one()
        return key, contact

    key, contact = await db.write(unit)
    may, may_not = (
        Caller(token="tk_p", name="N", scopes=frozenset(given), partner=key) for given in (scopes.GUIDE_SCOPES, {Scope.ARTICLES_READ})
    )
    async with a_client(db, may) as client:
        first = await client.get("/company")
        same = await client.get("/company", headers={"If-None-Match": first.headers["etag"]})
        await db.write(contacts.change, contact, 1, Party(name="Nordlys Mekaniske AS"), is_supplier=False, is_customer=True)
        changed = await client.get("/company", headers={"If-None-Match": first.headers["etag"]})
    async with a_client(db, may_not) as client:
        other = await client.get("/company")

    assert (same.status_code, other.json()["contact"]) == (304, None)
    assert [answer.json()["contact"]["name"] for answer in (first, changed)] == ["Nordlys AS", "Nordlys Mekaniske AS"]
    assert first.json()["contact"]["etag"] != changed.json()["contact"]["etag"]


async def test_the_house_changes_the_card_it_has_read(house: httpx2.AsyncClient):
    read = await house.get("/company")
    missing = await house.put("/company", json={"name": "Fjord AS"})
    done = await house.put("/company", json={"name": "Fjord AS"}, headers={"If-Match": read.headers["etag"]})
    stale = await house.put("/company", json={"name": "Fjord"}, headers={"If-Match": read.headers["etag"]})

    assert [answer.status_code for answer in (missing, done, stale)] == [428, 200, 412]
    assert (done.json()["name"], done.json()["token"]["partner"], done.headers["etag"] != read.headers["etag"]) == ("Fjord AS", None, True)


async def test_an_unchanged_card_is_not_sent_again_unless_the_token_is_another(house: httpx2.AsyncClient, db: Database):
    tag = (await house.get("/company")).headers["etag"]

    same = await house.get("/company", headers={"If-None-Match": tag})
    async with a_client(db, Caller(token="tk_2", name="Ola", scopes=frozenset())) as client:
        other = await client.get("/company", headers={"If-None-Match": tag})

    assert (same.status_code, other.status_code) == (304, 200)
