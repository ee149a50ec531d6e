"""Connecting a system, and what flows between it and us."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.sim_eaccounting import TERMS, EAccountingSim
from tests.connectors.wired import a_company, a_flow, an_eaccounting, connect, refused_in, run, sign_in
from tests.stories.company import Company


@pytest.fixture
async def fjord(database_url: str, tmp_path: Path) -> AsyncIterator[Company]:
    """A company with the module ERP connections switched on, and no article yet."""
    async with a_company(database_url, tmp_path / "home") as company:
        yield company


@pytest.fixture
async def books() -> AsyncIterator[EAccountingSim]:
    """Its bookkeeping system."""
    async with an_eaccounting() as simulator:
        yield simulator


async def test_a_connection_is_saved_only_when_its_test_passes_and_says_what_is_missing(fjord: Company, books: EAccountingSim) -> None:
    config = books.config() | {"base_url": "http://127.0.0.1:9/v2"}
    grant = await sign_in(fjord, books)

    tested = await fjord.call("POST", "/connections/test", json={"connector": "eaccounting", "config": config, "grant": grant})
    refused = await fjord.call(
        "POST", "/connections", expect=422, json={"name": "B", "connector": "eaccounting", "config": config, "grant": grant}
    )

    assert (tested["is_fine"], tested["may_be_saved"], [check["field"] for check in tested["checks"]]) == (False, False, ["base_url"])
    assert [issue["pointer"] for issue in refused["issues"]] == ["/config/base_url"]
    assert (await fjord.call("GET", "/connections"))["items"] == []


async def test_mandatory_fields_are_named_before_anybody_is_called(fjord: Company, books: EAccountingSim) -> None:
    asked = {"connector": "eaccounting", "config": {"client_id": ""}}

    tested = await fjord.call("POST", "/connections/test", json=asked)

    assert [issue["pointer"] for issue in tested["missing"]] == ["/config/client_id", "/config/client_secret"]
    assert books.asked == []


async def test_name_and_description_can_always_be_saved_and_secrets_are_never_shown(fjord: Company, books: EAccountingSim) -> None:
    noted = await fjord.call("POST", "/connections", json={"name": "Later", "connector": "eaccounting"})
    named = await fjord.call(
        "PATCH", f"/connections/{noted['id']}", etag=f'"{noted["id"]}.{noted["version"]}"', json={"description": "The Oslo books"}
    )
    made = await connect(fjord, books)

    assert (named["description"], [issue["code"] for issue in named["missing"]]) == ("The Oslo books", ["not_configured"])
    assert made["config"]["client_secret"] == "••••••••"
    assert "a-client-secret-of-theirs" not in str(await fjord.call("GET", "/changes-log"))


async def test_a_secret_left_as_its_mask_stays_what_it_was(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    config = made["config"] | {"unit": ""}

    saved = await fjord.call("PUT", f"/connections/{made['id']}/config", etag=f'"{made["id"]}.{made["version"]}"', json={"config": config})

    assert (saved["config"]["unit"], saved["tested"]["is_fine"]) == ("", True)


async def test_a_connection_for_chosen_people_is_not_there_for_others(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    kari, ola = [await _person(fjord, name) for name in ("kari", "ola")]
    etag = f'"{made["id"]}.{made["version"]}"'
    await fjord.call("PATCH", f"/connections/{made['id']}", etag=etag, json={"scope": "chosen", "members": [kari["id"]]})

    seen, denied = [], []
    for who in (kari, ola):
        async with fjord.as_(who["token"]) as http:
            seen.append([one["id"] for one in (await http.get("/connections")).json()["items"]])
            denied.append((await http.get(f"/connections/{made['id']}/flows")).status_code)
            hidden = (await http.get(f"/connections/{made['id']}")).json()
    nowhere = await fjord.call("GET", "/connections/cn_0", expect=404)

    assert seen == [[made["id"]], []]
    assert denied == [200, 404]
    assert hidden["detail"].replace(made["id"], "cn_0") == nowhere["detail"], "one that is hidden is told like one that is not there"


async def _person(fjord: Company, name: str) -> dict[str, Any]:
    email, password = f"{name}@fjord.example", "twelve characters or more"
    scopes = ["Connections:Read"]
    made = await fjord.call("POST", "/users", json={"email": email, "name": name, "password": password, "scopes": scopes})
    session = await fjord.call("POST", "/sessions", json={"email": email, "password": password})
    return {"id": made["id"], "token": session["token"]}


async def test_activating_is_refused_while_a_mandatory_field_has_no_source(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    await fjord.call("POST", f"/connections/{made['id']}/deactivate")
    await a_flow(fjord, made, "contacts", "out")
    coming = await a_flow(fjord, made, "articles", "in")
    fields = [{"field": "TermsOfPaymentId", "is_mandatory": True}]
    await fjord.call("PUT", f"/connections/{made['id']}/mapping/contacts/out", json={"fields": fields})

    refused = await fjord.call("POST", f"/connections/{made['id']}/activate", expect=422)
    at_rest = await fjord.call("POST", f"/flows/{coming['id']}/runs", expect=409)
    await fjord.call("PATCH", f"/flows/{coming['id']}", etag="*", json={"settings": {"currency": "NOK"}})
    fields[0]["default"] = TERMS
    await fjord.call("PUT", f"/connections/{made['id']}/mapping/contacts/out", json={"fields": fields})
    active = await fjord.call("POST", f"/connections/{made['id']}/activate")

    # eAccounting does not say the currency of an article, without which our books take none.
    assert [(issue["code"], issue["params"]["field"]) for issue in refused["issues"]] == [
        ("mandatory_without_source", "TermsOfPaymentId"),
        ("mandatory_without_source", "currency"),
    ]
    assert at_rest["detail"] == "The connection Books is not active, so its flows do not run; activate it first."
    assert active["is_active"]


async def test_articles_come_in_once_and_again_only_when_they_have_changed(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "articles", "in", settings={"currency": "NOK"})

    first, second = await run(fjord, flow), await run(fjord, flow)
    books.rows["articles"][books.articles["A-100"]] |= {"NetPrice": Decimal("2.50"), "ChangedUtc": "2999-01-01T00:00:00Z"}
    third = await run(fjord, flow)

    assert (first["created"], second["created"], second["updated"], third["updated"]) == (2, 0, 0, 1)
    listed = (await fjord.call("GET", "/articles"))["items"]
    assert sorted((one["number"], one.get("price")) for one in listed) == [("A-100", "2.5"), ("A-200", "1.3")]


async def test_articles_leave_with_their_sku_as_key_and_enriched_texts_stay(fjord: Company, books: EAccountingSim) -> None:
    await fjord.import_articles()
    made = await connect(fjord, books)
    await fjord.call("PUT", f"/connections/{made['id']}/mapping/articles/out", json={"fields": [{"field": "Name", "update": False}]})
    flow = await a_flow(fjord, made, "articles", "out")

    done = await run(fjord, flow)

    there = {row["Number"]: row for row in books.rows["articles"].values()}
    assert (done["created"], done["updated"]) == (2, 2)
    assert (there["A-100"]["Name"], there["A-100"]["NetPrice"], there["A-300"]["Name"]) == ("Bolt A-100", Decimal("1.30"), "Washer M8")


async def test_contacts_come_in_and_are_known_again_by_their_identifiers(fjord: Company, books: EAccountingSim) -> None:
    books.rows["customers"][books.customer]["CorporateIdentityNumber"] = "987654325"
    ours = await fjord.call(
        "POST", "/contacts", json={"name": "Nordlys Mekaniske AS", "organisation_number": "987654325", "is_customer": True}
    )
    made = await connect(fjord, books)

    done = await run(fjord, await a_flow(fjord, made, "contacts", "in"))

    assert (done["created"], done["updated"]) == (0, 1)
    contact = await fjord.call("GET", f"/contacts/{ours['id']}")
    assert contact["email"] == "innkjop@nordlys.example"
    [tab] = (await fjord.call("GET", "/connections/records", params={"kind": "contacts", "ours": ours["id"]}))["items"]
    assert (tab["connection_name"], {"field": "payment_terms", "value": TERMS} in tab["fields"]) == ("Books", True)


async def test_a_contact_is_made_there_once_and_brought_up_to_date_afterwards(fjord: Company, books: EAccountingSim) -> None:
    address = {"street": "Kaiveien", "house_number": "7B", "postcode": "5003", "city": "Bergen", "country": "NO"}
    card = {"name": "Havn Bygg AS", "email": "post@havn.example", "is_customer": True, "address": address}
    contact = await fjord.call("POST", "/contacts", json=card)
    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "contacts", "out")

    first, again = await run(fjord, flow), await run(fjord, flow)
    await fjord.call("PATCH", f"/contacts/{contact['id']}", etag="*", json={"phone": "+47 55 00 00 00"})
    third = await run(fjord, flow)

    [there] = [row for row in books.rows["customers"].values() if row["Name"] == "Havn Bygg AS"]
    assert (first["created"], again["created"] + again["updated"], third["updated"]) == (1, 0, 1)
    assert (there["InvoiceAddress1"], there["Telephone"]) == ("Kaiveien 7B", "+47 55 00 00 00")


async def test_a_lost_reply_while_articles_leave_makes_no_double(fjord: Company, books: EAccountingSim) -> None:
    from tests.connectors.loopback import Fault

    await fjord.import_articles()
    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "articles", "out", settings={"update": False})
    books.stumble(Fault(stumble="drop_after", method="POST", path="/articles"))

    await run(fjord, flow, "waiting")
    second = await run(fjord, flow)

    numbers = [row["Number"] for row in books.rows["articles"].values()]
    assert len(numbers) == len(set(numbers)) == 4
    assert second["state"] == "done"


async def test_what_cannot_be_read_is_refused_with_its_number_and_told_once(fjord: Company, books: EAccountingSim) -> None:
    books.an_article("B-1", Name="")
    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "articles", "in", settings={"currency": "NOK"})

    first, second = await run(fjord, flow), await run(fjord, flow)

    assert await refused_in(fjord, first) == {"B-1": ["name_missing"]}
    assert await refused_in(fjord, second) == {}
    assert len(await fjord.logged(code="flow.refused")) == 1


async def test_a_preview_shows_what_a_mapping_would_make_of_a_real_record(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    rule = {
        "field": "price",
        "step": {
            "do": "compute",
            "by": "multiply",
            "of": [{"do": "own"}, {"do": "constant", "value": "1.05", "type": "number"}],
            "decimals": 2,
        },
    }
    currency = {"field": "currency", "step": {"do": "constant", "value": "NOK"}}

    shown = await fjord.call(
        "POST",
        f"/connections/{made['id']}/preview",
        json={"kind": "articles", "direction": "in", "record": "A-100", "adjustments": {"rules": [rule, currency]}},
    )

    assert (shown["source"]["Number"], shown["default"]["price"], shown["target"]["price"]) == ("A-100", "1.3", "1.37")
    assert shown["issues"] == []


async def test_stock_is_what_is_available_without_reservations(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    free, on_hand = [await a_flow(fjord, made, "stock", "in", settings={"stock": formula}) for formula in ("free", "on_hand")]

    await run(fjord, free)
    first = await fjord.call("GET", "/connections/records", params={"kind": "stock", "ours": "A-100"})
    await run(fjord, on_hand)
    second = await fjord.call("GET", "/connections/records", params={"kind": "stock", "ours": "A-100"})

    said = [{field["field"]: field["value"] for field in tab["items"][0]["fields"]} for tab in (first, second)]
    assert [one["available"] for one in said] == ["46", "50"]


async def test_what_a_system_does_not_take_is_refused_with_the_reason_when_the_flow_is_set_up(
    fjord: Company, books: EAccountingSim
) -> None:
    made = await connect(fjord, books)

    refused = await fjord.call("POST", f"/connections/{made['id']}/flows", expect=422, json={"kind": "stock", "direction": "out"})

    assert [issue["code"] for issue in refused["issues"]] == ["not_offered"]
    assert "keeps count itself" in refused["issues"][0]["message"]


async def test_a_refresh_token_is_used_once_and_its_successor_is_kept(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "articles", "in", settings={"currency": "NOK"})
    for _ in range(3):
        books.expire()
        await run(fjord, flow)

    assert len(books.used_refresh) == len(set(books.used_refresh)) == 3


async def test_a_system_that_cannot_be_reached_lets_the_run_wait_and_says_why(fjord: Company, books: EAccountingSim) -> None:
    from tests.connectors.loopback import Fault

    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "articles", "in", settings={"currency": "NOK"})
    books.stumble(Fault(stumble="status", status=503, path="/articles", times=99))

    waiting = await run(fjord, flow, "waiting")

    assert (waiting["code"], waiting["created"]) == ("status_503", 0)
    assert [entry["code"] for entry in await fjord.logged(code="flow.waiting")] == ["flow.waiting"]


async def test_a_field_that_asks_a_person_waits_for_him_and_takes_his_answer(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    fields = [{"field": "currency", "default": "NOK", "mode": "ask"}]
    await fjord.call("PUT", f"/connections/{made['id']}/mapping/articles/in", json={"fields": fields})
    flow = await a_flow(fjord, made, "articles", "in", settings={"condition": "source.Number == 'A-100'"})

    waiting = await run(fjord, flow)
    [record] = (await fjord.call("GET", f"/runs/{waiting['id']}/records"))["items"]
    refused = await fjord.call("POST", f"/runs/records/{record['id']}/retry", expect=422, json={"given": {}})
    taken = await fjord.call("POST", f"/runs/records/{record['id']}/retry", json={"given": {"currency": "NOK"}})

    assert await refused_in(fjord, waiting) == {"A-100": ["value_needed"]}
    assert [issue["code"] for issue in refused["issues"]] == ["value_needed"]
    assert taken["settled_at"] is not None
    assert [one["number"] for one in (await fjord.call("GET", "/articles"))["items"]] == ["A-100"]


async def test_a_run_takes_no_more_than_its_amount_and_the_next_goes_on(fjord: Company, books: EAccountingSim) -> None:
    for at in range(7):
        books.an_article(f"B-{at}")
    made = await connect(fjord, books)
    flow = await a_flow(fjord, made, "articles", "in", settings={"currency": "NOK", "amount": 4})

    runs = [await run(fjord, flow) for _ in range(3)]

    assert [one["created"] for one in runs] == [4, 4, 1]


async def test_records_outside_the_filter_and_the_condition_are_left(fjord: Company, books: EAccountingSim) -> None:
    made = await connect(fjord, books)
    settings = {"currency": "NOK", "where": {"is_active": "true"}, "condition": "source.StockBalance > 10 && source.Number != 'A-200'"}

    done = await run(fjord, await a_flow(fjord, made, "articles", "in", settings=settings))

    assert (done["created"], done["skipped"]) == (1, 1)


async def test_articles_go_from_one_system_to_another_by_their_sku(fjord: Company, books: EAccountingSim) -> None:
    from tests.connectors.loopback import serving
    from tests.connectors.sim_rest import RestSim

    async with serving(RestSim()) as shop:
        assert isinstance(shop, RestSim)
        made, there = await connect(fjord, books), await connect(fjord, shop, "Shop")
        flow = await a_flow(fjord, made, "articles", "in", other=there["id"], settings={"currency": "NOK"})

        first, second = await run(fjord, flow), await run(fjord, flow)

        assert [row["sku"] for row in shop.rows["products"]] == ["A-100", "A-200"]
        assert (first["created"], second["created"], second["updated"]) == (2, 0, 0)
    assert (await fjord.call("GET", "/articles"))["items"] == []
