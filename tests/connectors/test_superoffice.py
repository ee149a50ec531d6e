"""SuperOffice's ERP Sync calls us, driven by a SOAP client that is none of ours, in the words of source 000."""

import re
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx2
import pytest
import time_machine
from lxml import etree

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._erpsync import Restriction
from prodsys.connectors._erpsync_search import matches
from prodsys.connectors.superoffice.operations import OPERATIONS
from prodsys.kit.clock import now
from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors import their_superoffice
from tests.connectors.their_superoffice import SECRET, SuperOffice, connector_url, let_in
from tests.connectors.wired import a_company
from tests.stories.company import Company

HAVN: dict[str, Any] = {
    "name": "Havn Bygg AS",
    "organisation_number": "974760673",
    "email": "post@havn.example",
    "phone": "+47 55 00 00 00",
    "address": {"street": "Kaiveien", "house_number": "7B", "postcode": "5003", "city": "Bergen", "country": "NO"},
    "persons": [{"name": "Kari Anne Nordmann", "email": "kari@havn.example", "phone": "+47 900 00 000"}],
    "is_customer": True,
}
STAHL: dict[str, Any] = {"name": "Stahl Müller GmbH", "email": "info@stahl.example", "address": {"country": "DE"}, "is_supplier": True}


@pytest.fixture
async def fjord(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """A company that serves, the module switched on."""
    copyfile(sqlite_template, tmp_path / "prodsys.db")
    async with a_company(f"sqlite:///{tmp_path}/prodsys.db", tmp_path / "home") as company:
        yield company


@pytest.fixture
async def crm(fjord: Company) -> AsyncIterator[SuperOffice]:
    """SuperOffice, with a connection that is set up at both ends."""
    async with their_superoffice.connected(fjord) as superoffice:
        yield superoffice


async def contact(company: Company, **card: Any) -> dict[str, Any]:
    made: dict[str, Any] = await company.call("POST", "/contacts", json=card)
    return made


async def knock(url: str, body: bytes, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=30) as stranger:
        return await stranger.post(url, content=body, headers={"Content-Type": "text/xml; charset=utf-8"} | headers)


def asking(operation: str, members: str = "", *, namespace: str = wire.SERVICE) -> bytes:
    """An envelope as WCF writes it, the members in a namespace of theirs."""
    inner = f'<request xmlns:d="{namespace}">{members}</request>' if members else ""
    wrapped = f'<{operation} xmlns="{wire.SERVICE}">{inner}</{operation}>'
    return f'<s:Envelope xmlns:s="{wire.SOAP}"><s:Body>{wrapped}</s:Body></s:Envelope>'.encode()


async def test_sync_connector_und_erp_verbindung_hinzufuegen(database_url: str, tmp_path: Path) -> None:
    """Source 000, step by step: the connector with name and URL, the connection with its fields, test, OK, and then its use."""
    async with a_company(database_url, tmp_path / "home") as fjord:
        known = await contact(fjord, **HAVN)
        await let_in(fjord)

        # 2. Sync Connector hinzufügen: Namen und Connector-URL eingeben.
        crm = await their_superoffice.of(fjord, wsdl=their_superoffice.reconstructed_wsdl())
        assert crm.operations == sorted(OPERATIONS)

        # 3. Neue ERP-Verbindung: die Konfigurationsfelder hängen vom gewählten Connector ab.
        form = (await crm.call("WSGetConfigData"))["FieldMetaDataObjects"]
        assert [(one["FieldKey"], one["FieldType"], one["ListName"]) for one in form] == [
            ("COUNTRY", "List", "countries"),
            ("READONLY", "Checkbox", None),
        ]
        countries = (await crm.call("WSGetList", ConnectionGuid=wire.NO_GUID, ListName="countries"))["ListItems"]
        assert countries["NO"] == "Norway"

        # ERP-Verbindung testen: wenn der Test fehlschlägt, steht da, warum.
        failed = await crm.call("WSTestConfigData", ConnectionInfo={"COUNTRY": "Norge"})
        assert (failed["IsOk"], failed["State"], "country" in failed["UserExplanation"]) == (False, "Error", True)
        assert (await crm.call("WSTestConfigData", ConnectionInfo={"COUNTRY": "NO", "READONLY": "[I:0]"}))["IsOk"]

        # OK: die Verbindung wird gespeichert; vorher ist sie unbekannt, und dann wird sie noch einmal gespeichert und gefragt.
        unknown = await crm.call("WSTestConnection", ConnectionGuid=crm.guid)
        assert (unknown["IsOk"], unknown["ErrorCode"]) == (False, "UNKNOWN_CONNECTION_ID")
        await crm.set_up(COUNTRY="NO", READONLY="[I:0]")
        await crm.ask("WSTestConnection")

        # Feldzuweisung und Listen konfigurieren.
        assert (await crm.ask("WSGetSupportedActorTypes"))["Items"] == ["Customer", "Supplier", "Person"]
        fields = (await crm.ask("WSGetSupportedActorTypeFields", ActorType="Customer"))["FieldMetaDataObjects"]
        searchable = (await crm.ask("WSGetSearchableFields", ActorType="Customer"))["Items"]
        assert {"NAME", "VATNO", "EMAIL", "STREETAD1", "STREETZIP", "STREETCITY", "COUNTRY"} <= {one["FieldKey"] for one in fields}
        assert set(searchable) == {one["FieldKey"] for one in fields}
        assert [one["Rank"] for one in fields] == list(range(1, len(fields) + 1))

        # Ein Kunde wird gesucht, verbunden und im ERP-Register gezeigt.
        [found] = await crm.search("Customer", "havn")
        assert (found["ErpKey"], found["FieldValues"]) == (known["id"], {"NAME": "Havn Bygg AS"})
        [shown] = (
            await crm.ask("WSGetActors", ActorType="Customer", ErpKeys=[known["id"]], FieldKeys=["STREETAD1", "COUNTRY", "PERSONS"])
        )["Actors"]
        assert shown["FieldValues"] == {"STREETAD1": "Kaiveien 7B", "COUNTRY": "NO", "PERSONS": "[I:1]"}
        assert (await crm.ask("WSGetListItems", ListName="countries", ListItemKeys=["NO"]))["ListItems"] == {"NO": "Norway"}

        # Einer, den es hier nicht gibt, wird angelegt, mit seinem Ansprechpartner.
        made = (
            await crm.ask(
                "WSCreateActor",
                Actor={"ActorType": "Customer", "FieldValues": {"NAME": "Nordlys AS", "STREETAD1": "Storgata 12", "STREETCITY": "Oslo"}},
            )
        )["Actor"]
        person = (
            await crm.ask(
                "WSCreateActor",
                Actor={
                    "ActorType": "Person",
                    "ParentActorType": "Customer",
                    "ParentErpKey": made["ErpKey"],
                    "FieldValues": {"FIRSTNAME": "Ola", "LASTNAME": "Hansen", "EMAIL": "ola@nordlys.example"},
                },
            )
        )["Actor"]
        ours = await fjord.call("GET", f"/contacts/{made['ErpKey']}")
        assert ours["address"] == {"street": "Storgata", "house_number": "12", "city": "Oslo", "country": "NO"}
        assert ours["is_customer"]
        assert ours["persons"] == [{"name": "Ola Hansen", "email": "ola@nordlys.example"}]
        assert (person["ParentErpKey"], made["LastModified"] < person["LastModified"]) == (made["ErpKey"], True)

        # Änderungen gehen in beide Richtungen, und jede steht im Protokoll.
        saved = (
            await crm.ask(
                "WSSaveActors", Actors=[{"ActorType": "Customer", "ErpKey": known["id"], "FieldValues": {"PHONE": "+47 56 00 00 00"}}]
            )
        )["Actors"]
        assert saved[0]["FieldValues"]["PHONE"] == "+47 56 00 00 00"
        with time_machine.travel(now().timestamp() + 60):
            changed = (await crm.ask("WSGetActorsByTimestamp", ActorType="Customer", UpdatedOnOrAfter=made["LastModified"]))["Actors"]
        assert [one["FieldValues"]["NAME"] for one in changed] == ["Nordlys AS", "Havn Bygg AS"]
        changes = (await fjord.call("GET", "/changes-log"))["items"]
        assert [one["what"] for one in changes if one["actor"] == "SuperOffice (CRM)"] == [
            "SuperOffice (CRM) changed the contact Havn Bygg AS (phone).",
            "SuperOffice (CRM) changed the contact Nordlys AS (persons).",
            "SuperOffice (CRM) made the contact Nordlys AS.",
            f"SuperOffice (CRM) set up its connection {crm.guid}.",
        ]

        # Die Verbindung wird entfernt.
        await crm.ask("WSDeleteConnection")
        assert (await crm.call("WSTestConnection", ConnectionGuid=crm.guid))["ErrorCode"] == "UNKNOWN_CONNECTION_ID"


async def test_our_own_description_of_the_service_has_every_operation(crm: SuperOffice) -> None:
    assert crm.operations == sorted(OPERATIONS)
    assert len(crm.operations) == 17


@pytest.mark.parametrize("type_", ["Project", "Employee", "Sale", "Partner", ""])
async def test_other_types_of_actors_are_not_supported_and_that_is_said(crm: SuperOffice, type_: str) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("WSGetSupportedActorTypeFields", {}),
        ("WSGetSearchableFields", {}),
        ("WSGetActors", {"ErpKeys": ["1"]}),
        ("WSSearchActors", {"SearchText": "x"}),
        ("WSSearchActorsAdvanced", {}),
        ("WSGetActorsByTimestamp", {"UpdatedOnOrAfter": ""}),
    ]

    answers = [await crm.call(operation, ConnectionGuid=crm.guid, ActorType=type_, **more) for operation, more in asked]
    answers.append(await crm.call("WSCreateActor", ConnectionGuid=crm.guid, Actor={"ActorType": type_, "FieldValues": {"NAME": "X"}}))

    assert {(one["IsOk"], "not supported" in one["UserExplanation"]) for one in answers} == {(False, True)}


async def test_every_operator_of_the_advanced_search_finds_what_it_says(fjord: Company, crm: SuperOffice) -> None:
    await contact(fjord, **HAVN)
    await contact(fjord, name="Alfa Verktøy", is_customer=True, address={"country": "SE"})
    blocked = await contact(fjord, name="Beta Verktøy", is_customer=True, address={"country": "SE"})
    await fjord.call("POST", f"/contacts/{blocked['id']}/block")
    alfa, beta, havn = "Alfa Verktøy", "Beta Verktøy", "Havn Bygg AS"
    tomorrow, yesterday = (f"[DT:{now().replace(year=year):%m/%d/%Y} 00:00:00.0000000]" for year in (2099, 2001))

    for restriction, names in [
        (("NAME", "=", ["HAVN bygg as"]), [havn]),
        (("NAME", "isnot", ["havn bygg as"]), [alfa, beta]),
        (("NAME", "begins", ["alfa"]), [alfa]),
        (("NAME", "notbegins", ["ALFA%"]), [beta, havn]),
        (("NAME", "contains", ["VERKTØY"]), [alfa, beta]),
        (("NAME", "notcontains", ["verktøy"]), [havn]),
        (("NAME", "ends", ["verktøy"]), [alfa, beta]),
        (("NAME", "notends", ["verktøy"]), [havn]),
        (("NAME", "between", ["alfa", "beta z"]), [alfa, beta]),
        (("PERSONS", "=", ["[I:1]"]), [havn]),
        (("PERSONS", "!=", ["1"]), [alfa, beta]),
        (("PERSONS", ">", ["0"]), [havn]),
        (("PERSONS", "<", ["[I:1]"]), [alfa, beta]),
        (("PERSONS", ">=", ["1"]), [havn]),
        (("PERSONS", "<=", ["0"]), [alfa, beta]),
        (("PERSONS", "between", ["1", "9"]), [havn]),
        (("BLOCKED", "=", ["[I:1]"]), [beta]),
        (("COUNTRY", "oneof", ["NO", "DE"]), [havn]),
        (("COUNTRY", "notoneof", ["NO"]), [alfa, beta]),
        (("CREATED", "before", [tomorrow]), [alfa, beta, havn]),
        (("CREATED", "after", [tomorrow]), []),
        (("CREATED", "beforeOrEqual", [yesterday]), []),
        (("CREATED", "afterOrEqual", [yesterday]), [alfa, beta, havn]),
        (("CREATED", "between", [yesterday, tomorrow]), [alfa, beta, havn]),
        (("CREATED", "=", [yesterday]), []),
    ]:
        assert await crm.advanced("Customer", restriction) == names, restriction
    assert await crm.advanced("Customer", ("COUNTRY", "oneof", ["SE"]), ("BLOCKED", "=", ["0"])) == [alfa]
    assert await crm.advanced("Customer") == [alfa, beta, havn]


async def test_persons_are_found_by_their_company_and_keep_their_key_whatever_becomes_of_them(fjord: Company, crm: SuperOffice) -> None:
    company = await contact(fjord, **HAVN)
    of_company = [("ParentErpKey", "=", [company["id"]]), ("ParentActorType", "=", ["Customer"])]

    by_parent = (
        await crm.ask(
            "WSSearchActorByParent", ActorType="Person", ParentActorType="Customer", ParentActorErpKey=company["id"], SearchText="anne"
        )
    )["Actors"]
    key = by_parent[0]["ErpKey"]
    assert by_parent[0]["FieldValues"]["FIRSTNAME"] == "Kari Anne"
    assert await crm.advanced("Person", *of_company) == ["Kari Anne Nordmann"]

    # Renamed there, renamed here, and joined by a namesake who comes first.
    await crm.ask(
        "WSSaveActors", Actors=[{"ActorType": "Person", "ErpKey": key, "FieldValues": {"LASTNAME": "Berg", "EMAIL": "k@havn.example"}}]
    )
    read = await fjord.http.get(f"/contacts/{company['id']}")
    persons = [{"name": "Anne Berg"}, *({**one, "name": "Kari Berg Lie"} for one in read.json()["persons"])]
    await fjord.call("PATCH", f"/contacts/{company['id']}", etag=read.headers["etag"], json={"persons": persons})

    [again] = (await crm.ask("WSGetActors", ActorType="Person", ErpKeys=[key]))["Actors"]
    every = (await crm.ask("WSGetActorsByTimestamp", ActorType="Person", UpdatedOnOrAfter=""))["Actors"]
    assert (again["FieldValues"]["FIRSTNAME"], again["FieldValues"]["LASTNAME"]) == ("Kari Berg", "Lie")
    assert (again["ParentActorType"], again["ParentErpKey"]) == ("Customer", company["id"])
    assert len({one["ErpKey"] for one in every}) == 2


async def test_asking_twice_to_make_somebody_makes_one(fjord: Company, crm: SuperOffice) -> None:
    supplier = await contact(fjord, **HAVN | {"is_customer": False, "is_supplier": True, "persons": []})
    new = {"ActorType": "Customer", "FieldValues": {"NAME": "Uten Adresse"}}

    first, again = [await crm.ask("WSCreateActor", Actor=new) for _ in range(2)]
    known = await crm.ask("WSCreateActor", Actor={"ActorType": "Customer", "FieldValues": {"NAME": "Havn", "ORGNO": "974 760 673"}})
    person = {"ActorType": "Person", "ParentActorType": "Supplier", "ParentErpKey": supplier["id"], "FieldValues": {"LASTNAME": "Li"}}
    persons = [await crm.ask("WSCreateActor", Actor=person) for _ in range(2)]

    assert first["Actor"]["ErpKey"] == again["Actor"]["ErpKey"]
    assert (first["State"], again["State"]) == ("Ok", "OkWithInfo")
    assert (known["Actor"]["ErpKey"], known["State"]) == (supplier["id"], "OkWithInfo")
    assert len({one["Actor"]["ErpKey"] for one in persons}) == 1
    ours = await fjord.call("GET", f"/contacts/{supplier['id']}")
    assert (ours["name"], ours["is_customer"], ours["is_supplier"], len(ours["persons"])) == ("Havn Bygg AS", True, True, 1)


async def test_what_cannot_be_saved_is_said_and_what_can_is_saved(fjord: Company, crm: SuperOffice) -> None:
    company = await contact(fjord, **HAVN)
    before = await fjord.call("GET", f"/contacts/{company['id']}")
    supplier = await contact(fjord, **STAHL)

    def saving(**values: str) -> dict[str, Any]:
        return {"ActorType": "Customer", "ErpKey": company["id"], "FieldValues": values}

    faults = [
        (saving(SHOESIZE="43"), "UNKOWN_FIELDKEY"),
        (saving(COUNTRY="ZZ"), "UNKOWN_LISTITEM_ID"),
        (saving(NAME=""), None),
        (saving(NAME="x" * 201), None),
        (saving() | {"ErpKey": supplier["id"]}, None),
        (saving() | {"ErpKey": "ct_nobody"}, None),
        (saving() | {"ErpKey": ""}, None),
    ]
    for fault, code in faults:
        refused = await crm.call("WSSaveActors", ConnectionGuid=crm.guid, Actors=[fault])
        assert not refused["IsOk"]
        assert (refused["ErrorCode"] or None) == code, refused
    assert await fjord.call("GET", f"/contacts/{company['id']}") == before

    same = await crm.ask("WSSaveActors", Actors=[saving(PHONE=HAVN["phone"], BLOCKED="[I:1]")])
    partly = await crm.call("WSSaveActors", ConnectionGuid=crm.guid, Actors=[saving(PHONE="1"), saving(SHOESIZE="43")])

    assert same["Actors"][0]["LastModified"][:23] == before["changed_at"][:23]
    assert (partly["IsOk"], partly["State"], len(partly["Actors"])) == (True, "Warning", 1)
    assert (await fjord.call("GET", f"/contacts/{company['id']}"))["phone"] == "1"
    assert await fjord.logged(code="superoffice.refused")


@pytest.mark.parametrize("where", ["here", "there"])
async def test_a_connection_that_only_reads_changes_nothing(fjord: Company, where: str) -> None:
    company = await contact(fjord, **HAVN)
    await let_in(fjord, may_write=where != "here")
    crm = await their_superoffice.of(fjord)
    await crm.set_up(READONLY="[I:1]" if where == "there" else "[I:0]")

    new = {"ActorType": "Customer", "FieldValues": {"NAME": "Ny"}}
    changed = {"ActorType": "Customer", "ErpKey": company["id"], "FieldValues": {"NAME": "Ny"}}
    answers = [
        await crm.call("WSCreateActor", ConnectionGuid=crm.guid, Actor=new),
        await crm.call("WSSaveActors", ConnectionGuid=crm.guid, Actors=[changed]),
    ]

    assert {(one["IsOk"], "only reads" in one["UserExplanation"]) for one in answers} == {(False, True)}
    assert [one["FieldValues"]["NAME"] for one in await crm.search("Customer", "")] == ["Havn Bygg AS"]


async def test_what_changed_at_the_same_moment_is_told_again_and_nothing_is_left_out(fjord: Company, crm: SuperOffice) -> None:
    with time_machine.travel(now().timestamp(), tick=False):
        ids = {(await contact(fjord, name=f"Kunde {number}", is_customer=True))["id"] for number in range(3)}
    last = max(
        one["LastModified"] for one in (await crm.ask("WSGetActorsByTimestamp", ActorType="Customer", UpdatedOnOrAfter=""))["Actors"]
    )
    later = await contact(fjord, name="Kunde 9", is_customer=True)

    since = (await crm.ask("WSGetActorsByTimestamp", ActorType="Customer", UpdatedOnOrAfter=last, FieldKeys=["NAME"]))["Actors"]

    assert {one["ErpKey"] for one in since} == ids | {later["id"]}
    assert since[-1]["ErpKey"] == later["id"]
    assert [one["LastModified"] for one in since] == sorted(one["LastModified"] for one in since)


async def test_a_contact_that_was_merged_answers_under_its_old_key(fjord: Company, crm: SuperOffice) -> None:
    old, kept = await contact(fjord, name="Havn", is_customer=True), await contact(fjord, **HAVN)
    await fjord.call("POST", f"/contacts/{old['id']}/merge", json={"into": kept["id"]})

    [found] = (await crm.ask("WSGetActors", ActorType="Customer", ErpKeys=[old["id"]]))["Actors"]
    await crm.ask("WSSaveActors", Actors=[{"ActorType": "Customer", "ErpKey": old["id"], "FieldValues": {"EMAIL": "ny@havn.example"}}])

    assert (found["ErpKey"], found["FieldValues"]["NAME"]) == (old["id"], "Havn Bygg AS")
    assert (await fjord.call("GET", f"/contacts/{kept['id']}"))["email"] == "ny@havn.example"


async def test_500_companies_are_imported_in_two_calls(fjord: Company, crm: SuperOffice) -> None:
    table = "name,email,customer\n" + "".join(f"Kunde {number:03},k{number}@kunde.example,yes\n" for number in range(500))
    answer = await fjord.http.post(
        "/contacts/import", params={"role": "customer"}, content=table.encode(), headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 200, answer.text

    found = (await crm.ask("WSSearchActorsAdvanced", ActorType="Customer", FieldKeys=["NAME"]))["Actors"]
    read = (await crm.ask("WSGetActors", ActorType="Customer", ErpKeys=[one["ErpKey"] for one in found]))["Actors"]

    assert len(read) == 500
    assert {one["FieldValues"]["EMAIL"] for one in read} == {f"k{number}@kunde.example" for number in range(500)}


@pytest.mark.parametrize("namespace", [wire.SERVICE, wire.CONTRACT, "urn:another"])
async def test_an_answer_is_written_in_the_namespaces_of_its_question(fjord: Company, namespace: str) -> None:
    await let_in(fjord)
    url = connector_url(fjord)
    guid = f"<d:ConnectionGuid>{uuid.uuid4()}</d:ConnectionGuid>"

    saved = await knock(url, asking("WSSaveConnection", guid, namespace=namespace))
    types = await knock(url, asking("WSGetSupportedActorTypes", guid, namespace=namespace))
    form = await knock(url, asking("WSGetConfigData"))

    assert saved.status_code == types.status_code == form.status_code == 200
    result = etree.fromstring(types.content).find(f".//{{{wire.SERVICE}}}WSGetSupportedActorTypesResult")
    assert result is not None
    assert [child.tag for child in result][:3] == [f"{{{namespace}}}{name}" for name in ("ErrorCode", "IsOk", "State")]
    assert [one.text for one in result.iterfind(f"{{{namespace}}}Items/{{{wire.ARRAYS}}}string")] == ["Customer", "Supplier", "Person"]
    # The form is asked for without any members; it comes in the namespace this caller was last seen to use.
    fields = etree.fromstring(form.content).findall(f".//{{{namespace}}}FieldMetadataInfoWS")
    assert len(fields) == 2


async def test_a_wrong_secret_finds_nothing_and_guessing_is_slowed_down_and_told(fjord: Company) -> None:
    await let_in(fjord)
    right, wrong = connector_url(fjord), connector_url(fjord, SECRET[:-1] + "x")

    async with httpx2.AsyncClient(timeout=30) as stranger:
        guesses = [await stranger.post(wrong, content=asking("WSGetConfigData"), headers={"Content-Type": "text/xml"}) for _ in range(31)]
        described = await stranger.get(f"{wrong}?wsdl")
    known = await knock(right, asking("WSGetConfigData"))

    assert {one.status_code for one in guesses[:30]} == {404}
    assert (guesses[30].status_code, described.status_code) == (429, 429)
    # Whoever guesses from the same address as SuperOffice is in its way for a few seconds; nothing else is.
    assert known.status_code == 429
    assert SECRET[:-1] not in str(await fjord.logged(code="superoffice.strangers"))
    assert await fjord.logged(code="superoffice.strangers")


async def test_a_connection_that_is_not_active_or_whose_module_is_off_says_so(fjord: Company) -> None:
    connection = await let_in(fjord)
    url = connector_url(fjord)
    await fjord.call("POST", f"/connections/{connection['id']}/deactivate")
    resting = await knock(url, asking("WSGetConfigData"))
    await fjord.call("POST", f"/connections/{connection['id']}/activate")
    await fjord.db.write(modules.set_on, ERP_MODULE, False, "test")
    off = await knock(url, asking("WSGetConfigData"))
    await fjord.call("DELETE", f"/connections/{connection['id']}", etag="*")
    gone = await knock(url, asking("WSGetConfigData"))

    assert [(one.status_code, b"not active" in one.content) for one in (resting, off)] == [(500, True), (500, True)]
    assert gone.status_code == 404


async def test_each_connection_has_a_secret_and_guids_of_its_own(fjord: Company) -> None:
    other = SECRET[::-1]
    await let_in(fjord)
    await let_in(fjord, other, name="CRM in Germany")
    crm, german = await their_superoffice.of(fjord), await their_superoffice.of(fjord, other)
    await crm.set_up()
    german.guid = crm.guid

    assert (await german.call("WSTestConnection", ConnectionGuid=crm.guid))["ErrorCode"] == "UNKNOWN_CONNECTION_ID"


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (BOMB + asking("WSGetConfigData"), 400),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>" + asking("WSGetConfigData"), 400),
        (f'<?xml version="1.0" encoding="utf-16"?>{BOMB.decode()}{asking("WSGetConfigData").decode()}'.encode("utf-16"), 400),
        (b"{}", 400),
        (b"", 400),
        (b"<a/>", 400),
        (asking("WSGetConfigData", "<d>" * 300 + "</d>" * 300), 400),
        (asking("WSGetConfigData", "<d/>" * 250_000), 400),
        (asking("WSGetConfigData", "x" * (4 * 1024 * 1024)), 413),
        (asking("WSDropTables"), 500),
    ],
    ids=["bomb", "system", "utf-16", "json", "empty", "other xml", "deep", "many", "huge", "unknown operation"],
)
async def test_what_is_no_envelope_of_theirs_is_refused_and_nothing_is_read_of_it(fjord: Company, body: bytes, status: int) -> None:
    await let_in(fjord)

    answer = await knock(connector_url(fjord), body)

    assert answer.status_code == status, answer.text
    assert b"root:" not in answer.content
    assert (await knock(connector_url(fjord), asking("WSGetConfigData"))).status_code == 200


async def test_only_text_xml_is_taken_as_it_is(fjord: Company) -> None:
    await let_in(fjord)
    url, body = connector_url(fjord), asking("WSGetConfigData")

    other = await knock(url, body, **{"Content-Type": "application/json"})
    packed = await knock(url, body, **{"Content-Encoding": "gzip"})

    assert (other.status_code, packed.status_code) == (415, 415)


@pytest.mark.parametrize("secret", ["short", "a" * 40, "with a blank in it and more of them", "ÆØÅ" * 12])
async def test_a_secret_that_could_be_guessed_cannot_be_saved(fjord: Company, secret: str) -> None:
    wanted = {"name": "CRM", "connector": "superoffice", "config": {"secret": secret}}

    refused = await fjord.call("POST", "/connections", json=wanted, expect=422)

    assert {issue["pointer"] for issue in refused["issues"]} == {"/config/secret"}
    assert secret not in str(refused)


@pytest.mark.parametrize(
    ("kind", "said", "value"),
    [
        ("Integer", "[I:12345]", 12345),
        ("Integer", "12345", 12345),
        ("Double", "[F:12345.6789]", Decimal("12345.6789")),
        ("Double", "12345.6789", Decimal("12345.6789")),
        ("Checkbox", "[I:1]", True),
        ("Checkbox", "false", False),
        ("List", "[I:7]", "7"),
        ("List", "NO", "NO"),
        ("Text", "[sic] a text", "[sic] a text"),
        ("Datetime", "", None),
    ],
)
def test_values_mean_the_same_in_every_country(kind: Any, said: str, value: Any) -> None:
    assert wire.decoded(kind, said) == value
    assert wire.decoded(kind, wire.encoded(wire.decoded(kind, said))) == value


def test_moments_are_written_as_they_are_everywhere() -> None:
    moment = wire.decoded("Datetime", "[DT:12/31/2013 23:59:59.0000000]")

    assert wire.encoded(moment) == "[DT:12/31/2013 23:59:59.0000000]"
    assert wire.decoded("Datetime", "[D:12/31/2013]") == wire.decoded("Datetime", "2013-12-31T00:00:00Z")
    assert wire.decoded("Datetime", "12/31/2013 23:59:59") == moment


@pytest.mark.parametrize(
    ("kind", "said"),
    [("Integer", "1,5"), ("Double", "1,5"), ("Double", "NaN"), ("Double", "١"), ("Checkbox", "yes"), ("Datetime", "31.12.2013")],
)
def test_a_value_of_another_country_is_no_value(kind: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        wire.decoded(kind, said)


def test_numbers_and_moments_are_searched_by_their_value() -> None:
    moment = wire.decoded("Datetime", "12/31/2013 23:59:59")

    assert matches("Double", Decimal("1.50"), Restriction(key="X", operator="=", values=("[F:1.5]",)))
    assert matches("Double", Decimal(2), Restriction(key="X", operator="between", values=("1", "[F:2.0]")))
    assert matches("Datetime", moment, Restriction(key="X", operator="=", values=("12/31/2013 23:59:01",)))
    assert not matches("Datetime", None, Restriction(key="X", operator="before", values=("12/31/2013",)))
    with pytest.raises(ValueError, match="not searched by contains"):
        matches("Integer", 1, Restriction(key="X", operator="contains", values=("1",)))
