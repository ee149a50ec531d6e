"""A sync connector at a URL: its own fields make the form, and our own server's side is one of those it can be."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import Record, Records, Written, form, read_config
from prodsys.connectors.remote_sync import RemoteSync
from prodsys.documents import ContactCard, Person
from prodsys.kit.clock import now
from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import reaching, serving
from tests.connectors.sim_remote_sync import COMPANIES, PASSWORD, RemoteSyncSim
from tests.connectors.their_superoffice import connector_url, let_in
from tests.connectors.wired import a_company, a_flow, refused_in, run
from tests.stories.company import NORDLYS, Company, running

HAVN: dict[str, Any] = {
    "name": "Havn Bygg AS",
    "organisation_number": "974760673",
    "email": "post@havn.example",
    "address": {"street": "Kaiveien", "house_number": "7B", "postcode": "5003", "city": "Bergen", "country": "NO"},
    "persons": [{"name": "Kari Nordmann", "email": "kari@havn.example"}],
    "is_customer": True,
}


@pytest.fixture
async def fjord(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """A company that has let SuperOffice in, which is as good as letting in anybody who speaks as SuperOffice does."""
    copyfile(sqlite_template, tmp_path / "fjord.db")
    async with a_company(f"sqlite:///{tmp_path}/fjord.db", tmp_path / "fjord") as company:
        await let_in(company)
        yield company


@pytest.fixture
async def nordlys(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """Another company, the module switched on."""
    copyfile(sqlite_template, tmp_path / "nordlys.db")
    async with running(NORDLYS, f"sqlite:///{tmp_path}/nordlys.db", tmp_path / "nordlys") as company:
        await company.db.write(modules.set_on, ERP_MODULE, True, "test")
        yield company


async def contacts_of(company: Company) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await company.call("GET", "/contacts"))["items"]}


async def test_two_companies_keep_their_customers_in_step_by_the_interface_of_superoffice(fjord: Company, nordlys: Company) -> None:
    known = await fjord.call("POST", "/contacts", json=HAVN)
    await fjord.call("POST", "/contacts", json={"name": "Stahl GmbH", "email": "info@stahl.example", "is_supplier": True})

    # Registered with name and URL: the remote's own field list makes the form.
    named = {"name": "Fjord", "url": connector_url(fjord), "timestamps": "moments"}
    shown = await nordlys.call("POST", "/connectors/remote_sync/form", json={"config": named})
    fields = shown["form"]["properties"]
    assert list(fields) == ["name", "url", "timestamps", "remote_COUNTRY", "remote_READONLY"]
    assert (fields["remote_COUNTRY"]["title"], fields["remote_READONLY"]["type"]) == ("Country of new companies", "boolean")
    assert {"NO", "DE"} <= set(fields["remote_COUNTRY"]["enum"])

    # Tested, saved, activated.
    wanted = {"name": "Fjord", "connector": "remote_sync", "config": named | {"remote_COUNTRY": "NO", "remote_READONLY": False}}
    made = await nordlys.call("POST", "/connections", json=wanted)
    assert "Customer, Supplier, Person" in made["tested"]["checks"][0]["message"]
    assert connector_url(fjord) not in str(made)
    await nordlys.call("POST", f"/connections/{made['id']}/activate")

    # In: what is there comes here, with its persons; again, only what has changed.
    coming = await a_flow(nordlys, made, "contacts", "in")
    first = await run(nordlys, coming)
    assert (first["created"], first["refused"]) == (2, 0), await refused_in(nordlys, first)
    here = await contacts_of(nordlys)
    assert here["Havn Bygg AS"]["persons"] == HAVN["persons"]
    assert here["Havn Bygg AS"]["address"] == HAVN["address"]
    assert here["Stahl GmbH"]["is_supplier"]
    tag = (await fjord.http.get(f"/contacts/{known['id']}")).headers["etag"]
    await fjord.call("PATCH", f"/contacts/{known['id']}", etag=tag, json={"phone": "+47 55 11 11 11"})
    await run(nordlys, coming)
    assert (await contacts_of(nordlys))["Havn Bygg AS"]["phone"] == "+47 55 11 11 11"

    # Out: what is made here is made there, and twice is once.
    await nordlys.call("POST", "/contacts", json={"name": "Ny Kunde AS", "email": "ny@kunde.example", "is_customer": True})
    going = await a_flow(nordlys, made, "contacts", "out")
    await run(nordlys, going)
    await run(nordlys, going)
    there = await contacts_of(fjord)
    assert there["Ny Kunde AS"]["is_customer"]
    assert sorted(there) == ["Havn Bygg AS", "Ny Kunde AS", "Stahl GmbH"]


async def test_the_remotes_own_fields_make_the_form(nordlys: Company) -> None:
    remote = RemoteSyncSim()
    async with serving(remote):
        named = {"name": "Old ERP", "url": remote.config()["url"]}

        shown = await nordlys.call("POST", "/connectors/remote_sync/form", json={"config": named})
        wanted = {"name": "ERP", "connector": "remote_sync", "config": named}
        empty = await nordlys.call("POST", "/connections", json=wanted, expect=422)
        filled = named | {"remote_COMPANY": "2", "remote_PASSWORD": PASSWORD, "remote_DAYS": 7}
        wrong = await nordlys.call("POST", "/connections", json=wanted | {"config": filled | {"remote_PASSWORD": "x"}}, expect=422)
        made = await nordlys.call("POST", "/connections", json=wanted | {"config": filled})

    fields = shown["form"]["properties"]
    assert shown["title"] == "Old ERP"
    assert shown["form"]["required"] == ["name", "url", "remote_COMPANY", "remote_PASSWORD"]
    assert fields["remote_COMPANY"]["enum"] == list(COMPANIES)
    assert fields["remote_PASSWORD"]["writeOnly"]
    assert (fields["remote_DAYS"]["type"], fields["remote_DAYS"]["default"]) == ("integer", 30)
    assert [issue["message"] for issue in empty["issues"]] == ["Company is missing.", "Password is missing."]
    assert [issue["message"] for issue in wrong["issues"]] == ["Wrong company or password"]
    assert list(remote.saved.values()) == [{"COMPANY": "2", "PASSWORD": PASSWORD, "DAYS": "[I:7]"}]
    assert PASSWORD not in str(made)


async def looked(connector: RemoteSync, name: str) -> list[Record]:
    found = await connector.find("contacts", "name", name)
    assert isinstance(found, list)
    return found


async def test_a_connection_they_have_forgotten_is_saved_again_and_the_question_repeated_once() -> None:
    remote = RemoteSyncSim()
    async with serving(remote), reaching(remote) as reach:
        config, _ = read_config(RemoteSync.Config, remote.config())
        connector = RemoteSync(config, reach)
        assert (await connector.test()).is_fine
        remote.saved.clear()
        remote.asked.clear()

        made = await connector.create("contacts", {"type": "Customer", "values": {"NAME": "Havn Bygg AS", "SHOESIZE": "43"}})

        assert isinstance(made, Written)
        assert [one.id for one in await looked(connector, "Havn Bygg AS")] == [made.id]
        assert await looked(connector, "havn bygg as") == []
        assert [wire.read(one.body).name for one in remote.asked[:3]] == ["WSCreateActor", "WSSaveConnection", "WSCreateActor"]
        assert dict(remote.rows[0].values) == {"NAME": "Havn Bygg AS"}


@pytest.mark.parametrize("namespace", [wire.SERVICE, wire.CONTRACT])
async def test_their_answers_are_read_whatever_the_namespace(namespace: str) -> None:
    remote = RemoteSyncSim()
    async with serving(remote), reaching(remote) as reach:
        remote.namespace = namespace
        config, _ = read_config(RemoteSync.Config, remote.config())

        assert (await RemoteSync(config, reach).test()).is_fine


@pytest.mark.parametrize("timestamps", ["moments", "other"])
async def test_a_person_who_changed_brings_his_company_with_all_its_persons(timestamps: str) -> None:
    remote = RemoteSyncSim()
    async with serving(remote), reaching(remote) as reach:
        company = remote.put(type="Customer", values={"NAME": "Havn Bygg AS"})
        parent = {"type": "Person", "parent_type": "Customer", "parent_key": company.key}
        remote.put(**parent, values={"FIRSTNAME": "Kari", "LASTNAME": "Nordmann"})
        remote.put(type="Customer", values={"NAME": "Alfa"})
        since = now()
        remote.put(**parent, values={"FIRSTNAME": "Ola", "LASTNAME": "Hansen", "EMAIL": "ola@havn.example"})
        config, _ = read_config(RemoteSync.Config, remote.config() | {"timestamps": timestamps})
        connector = RemoteSync(config, reach)

        read: list[ContactCard] = []
        async for page in connector.pages("contacts", since=since):
            assert isinstance(page, Records)
            read += [connector.document("contacts", record) for record in page.records]

        persons = {card.name: card.persons for card in read}
        assert persons["Havn Bygg AS"] == [Person(name="Kari Nordmann"), Person(name="Ola Hansen", email="ola@havn.example")]
        assert ("Alfa" in persons) == (timestamps == "other")


def test_a_company_of_theirs_is_read_by_the_keys_superoffice_knows() -> None:
    connector = RemoteSync(None, None)  # type: ignore[arg-type]  # nobody is asked

    card = connector.document("contacts", Record(id="erp831", theirs=RemoteSyncSim.recordings["contacts"][0]))

    assert (card.name, card.is_customer, card.is_supplier) == ("Orkdal Senter AS", True, False)


def test_the_form_before_anybody_was_asked_is_name_and_url() -> None:
    assert form(RemoteSync.Config)["required"] == ["name", "url"]
