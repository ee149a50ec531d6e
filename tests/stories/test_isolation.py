"""Two partners of one company never learn of each other, whichever door they try."""

import json
from typing import Any

import httpx2
import msgspec
import pytest

from prodsys import app as prodsys_app
from prodsys.documents import Address, Party, Person
from tests.house.test_doors import Door, doors_of
from tests.stories.company import NORDLYS, Company

HAVN = Party(
    name="Havn Bygg AS",
    organisation_number="974760673",
    email="hemmelig@havn.example",
    address=Address(street="Strandgata", house_number="9", postcode="9008", city="Tromsø", country="NO"),
    persons=[Person(name="Siri Havn", email="siri@havn.example")],
)
ONLY_ITS_NUMBER = {"name": "Anybody", "organisation_number": HAVN.organisation_number}
SECRETS = ("Havn", "974760673", "Strandgata", "Siri", "HAVN-1", "S-77")
"""What only the other partner may ever read."""


class Two:
    """A supplier, a partner that asks, and the other one with everything it owns."""

    def __init__(self, fjord: Company, asking: httpx2.AsyncClient, theirs: dict[str, str], own: dict[str, str]) -> None:
        self.fjord = fjord
        self.asking = asking
        self.theirs = theirs
        self.own = own


@pytest.fixture
async def two(fjord: Company) -> Any:
    """Both have ordered; the other one has an article of its own, a learned number, an agreed price, a wish and an answer."""
    secret = await fjord.call(
        "POST", "/articles", json={"number": "S-77", "name": "Havn special", "unit": "H87", "price": "7", "currency": "NOK"}
    )
    ids: list[dict[str, str]] = []
    for card, number, article in ((NORDLYS, "PO-1", "A-100"), (HAVN, "HAVN-1", "S-77")):
        handed = await fjord.hand_over(card.name, card.organisation_number)
        partner = handed["partner"]
        offered = ["A-100"] if card is NORDLYS else ["A-100", "S-77"]
        etag = (await fjord.http.get(f"/partners/{partner['id']}")).headers["etag"]
        await fjord.call("PATCH", f"/partners/{partner['id']}", json={"offers": "chosen", "when_unknown": "hold"}, etag=etag)
        await fjord.call("PUT", f"/partners/{partner['id']}/articles", json={"numbers": offered})
        async with fjord.as_(handed["token"]["token"]) as buyer:
            receipt = (await buyer.post("/purchase-orders", json=an_order(card, number, article))).json()
            [contact] = (await buyer.get("/contacts")).json()["items"]
            await buyer.patch(f"/contacts/{contact['id']}", json={"phone": "+47 77 00 00 00"})
            changes = (await buyer.get("/purchase-orders/changes")).json()
        ids.append(
            {
                "token": handed["token"]["token"],
                "order_id": receipt["id"],
                "contact": contact["id"],
                "article": secret["id"],
                "cursor": changes["next"],
                "partner": partner["id"],
            }
        )
    own, theirs = ids
    draft = await fjord.http.get(f"/sales/drafts/{theirs['order_id']}")
    await fjord.call("POST", f"/sales/drafts/{theirs['order_id']}/reject", json={"reason": "Havn only."}, etag=draft.headers["etag"])
    price = {"partner": theirs["partner"], "article_number": "A-100", "price": "0.01", "currency": "NOK"}
    await fjord.call("POST", "/agreed-prices", json=price)
    async with fjord.as_(own["token"]) as asking:
        yield Two(fjord, asking, theirs, own)


def an_order(card: Party, number: str, article: str = "A-100") -> dict[str, Any]:
    line = {"line_id": "10", "article_number": article, "quantity": "12", "unit": "H87", "unit_price": "1.30"}
    return {"number": number, "date": "2026-11-21", "currency": "NOK", "buyer": msgspec.to_builtins(card), "lines": [line]}


def tells_a_secret(answer: httpx2.Response) -> bool:
    said = answer.text + json.dumps(dict(answer.headers))
    return any(secret in said for secret in SECRETS)


async def test_no_door_for_partners_shows_one_what_is_the_others(two: Two) -> None:
    doors = [door for door in doors_of(prodsys_app.create_app(two.fjord.instance)) if door.opt["door"] in {"partner", "any"}]

    assert len(doors) > 15
    for door in doors:
        for path in paths(door, two.theirs):
            answer = await two.asking.request(door.method, path, json=None if door.method in {"GET", "DELETE"} else {})
            assert answer.status_code < 500, path
            assert not tells_a_secret(answer), f"{door.method} {path}: {answer.text}"
            if "{" in door.path:
                assert answer.status_code in {404, 422}, f"{door.method} {path}: {answer.status_code}"


def paths(door: Door, theirs: dict[str, str]) -> list[str]:
    """The addresses of a door with each id of the other partner in it."""
    path = door.path.removeprefix("/api/v1")
    if "{" not in path:
        return [path]
    before, _, rest = path.partition("{")
    return [before + known + rest.partition("}")[2] for name, known in theirs.items() if name != "token"]


async def test_anothers_order_is_not_found_by_id_number_or_state(two: Two) -> None:
    by_id = await two.asking.get(f"/purchase-orders/{two.theirs['order_id']}")
    by_number = await two.asking.get("/purchase-orders", params={"number": "HAVN-1"})
    by_state = await two.asking.get("/purchase-orders", params={"state": "rejected"})
    every = await two.asking.get("/purchase-orders")

    assert by_id.status_code == 404
    assert by_number.json()["items"] == by_state.json()["items"] == []
    assert [order["number"] for order in every.json()["items"]] == ["PO-1"]


async def test_the_changes_of_one_are_not_in_the_feed_of_the_other(two: Two) -> None:
    own = (await two.asking.get("/purchase-orders/changes")).json()
    with_their_cursor = await two.asking.get("/purchase-orders/changes", params={"after": two.theirs["cursor"]})

    assert {change["number"] for change in own["items"]} <= {"PO-1"}
    assert not tells_a_secret(with_their_cursor)


async def test_the_same_order_number_of_two_partners_is_two_orders(two: Two) -> None:
    answer = await two.asking.post("/purchase-orders", json=an_order(NORDLYS, "HAVN-1"))

    assert (answer.status_code, answer.json()["new"]) == (201, True)
    assert answer.json()["id"] != two.theirs["order_id"]


async def test_an_article_not_offered_is_not_there_and_never_suggested(two: Two) -> None:
    feed = await two.asking.get("/articles")
    by_number = await two.asking.get("/articles", params={"number": "S-77"})
    by_id = await two.asking.get(f"/articles/{two.theirs['article']}")
    matched = await two.asking.post("/articles/match", json={"numbers": ["S-77", "S-7", "Havn spec", "s-77"]})
    dry_run = await two.asking.post("/purchase-orders/preview", json={"orders": [an_order(NORDLYS, "PO-2", "S-77")]})

    assert [article["number"] for article in feed.json()["items"]] == ["A-100"]
    assert (by_number.json()["items"], by_id.status_code) == ([], 404)
    assert {item["how"] for item in matched.json()["items"]} == {"unknown"}
    assert not any("Havn special" in answer.text or two.theirs["article"] in answer.text for answer in (matched, dry_run))


async def test_a_price_agreed_with_another_is_not_told(two: Two) -> None:
    dry_run = await two.asking.post("/purchase-orders/preview", json={"orders": [an_order(NORDLYS, "PO-2")]})

    assert "0.01" not in dry_run.text


async def test_ones_contact_is_the_only_one_and_anothers_card_leads_nowhere(two: Two) -> None:
    listed = await two.asking.get("/contacts", params={"q": "hav"})
    one = await two.asking.get(f"/contacts/{two.theirs['contact']}")
    written = await two.asking.put(f"/contacts/{two.theirs['contact']}", json={"name": "Mine now"})
    matched = await two.asking.post("/contacts/match", json=ONLY_ITS_NUMBER)

    assert [contact["id"] for contact in listed.json()["items"]] == [two.own["contact"]]
    assert (one.status_code, written.status_code) == (404, 404)
    assert two.theirs["contact"] not in matched.text
    assert "Strandgata" not in matched.text


async def test_an_order_in_anothers_name_is_refused_without_a_word_about_him(two: Two) -> None:
    answer = await two.asking.post("/purchase-orders", json=an_order(HAVN, "PO-9") | {"buyer": ONLY_ITS_NUMBER})

    assert (answer.status_code, answer.json()["code"]) == (422, "order_refused")
    assert two.theirs["contact"] not in answer.text
    assert "Strandgata" not in answer.text


async def test_an_idempotency_key_of_one_is_free_for_the_other(two: Two) -> None:
    key = {"Idempotency-Key": "the-same"}
    async with two.fjord.as_(two.theirs["token"]) as other:
        first = await other.post("/purchase-orders", json=an_order(HAVN, "HAVN-2"), headers=key)

    second = await two.asking.post("/purchase-orders", json=an_order(NORDLYS, "PO-2"), headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert not tells_a_secret(second)


async def test_a_token_of_one_company_is_unknown_at_another(two: Two, nordlys: Company) -> None:
    async with nordlys.as_(two.own["token"]) as stray:
        answer = await stray.get("/company")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_unknown")
