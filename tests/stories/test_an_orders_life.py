"""What else happens to orders between two companies: ordered anew, sent to two places, sent back, crossed by the other's word."""

import asyncio
from typing import Any

from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, export
from tests.stories.test_the_answer_comes_back import approve, draft_of, once_it_is, once_the_draft_is, sent

HARBOUR = {
    "name": "Lager 2",
    "address": {"street": "Kaiveien", "house_number": "7", "postcode": "4005", "city": "Stavanger", "country": "NO"},
}
SITE = {
    "name": "Byggeplass Hundvåg",
    "address": {"street": "Ringveien", "house_number": "21", "postcode": "4085", "city": "Hundvåg", "country": "NO"},
}


async def test_what_was_cancelled_is_ordered_anew_under_a_number_of_its_own(fjord: Company, nordlys: Company, connected: str) -> None:
    order, draft = await sent(nordlys, fjord, connected)
    await nordlys.call("POST", f"/purchasing/orders/{order['id']}/cancel", json={"reason": "The project was stopped"})
    seen = await once_the_draft_is(fjord, draft, acceptance="cancel_requested")
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/cancellation/accept", etag=seen["summary"]["etag"])
    over = await once_it_is(nordlys, order, acceptance="cancelled")

    refused = await nordlys.call("POST", "/exports", json={"orders": [order["id"]]})
    anew = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/copy")
    await export(nordlys, anew)
    await approve(fjord, await draft_of(fjord, anew))

    stands = await once_it_is(nordlys, anew, acceptance="approved")
    ended = await nordlys.call("GET", f"/exports/{refused['id']}")
    assert [issue["code"] for issue in ended["items"][0]["issues"]] == ["cancelled"]
    assert (stands["number"] != order["number"], stands["revision"], stands["their_order_number"]) == (True, 1, "SO-100001")
    assert [line["quantity"] for line in stands["lines"]] == [line["quantity"] for line in over["lines"]]
    drafts = {one["number"]: one["acceptance"] for one in (await fjord.call("GET", "/sales/drafts"))["items"]}
    assert drafts == {order["number"]: "cancelled", anew["number"]: "approved"}


async def test_one_order_goes_to_two_addresses_line_by_line(fjord: Company, nordlys: Company, connected: str) -> None:
    lines = [a_line("10"), a_line("20", "A-200", deliver_to=SITE), a_line("30", "A-300")]
    order, draft = await sent(nordlys, fjord, connected, *lines, deliver_to=HARBOUR)

    whole = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
    paper = await fjord.http.get(f"/sales/drafts/{draft['id']}", headers={"Accept": "application/pdf"})
    now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
    moved = {"partner": connected, "currency": "NOK", "deliver_to": HARBOUR, "lines": [*lines[:2], lines[2] | {"deliver_to": SITE}]}
    await nordlys.call("PUT", f"/purchasing/orders/{order['id']}", json=moved, etag=now["etag"])
    await export(nordlys, order)
    second = await draft_of(fjord, order, revision=2)

    assert whole["order"]["deliver_to"]["name"] == "Lager 2"
    assert [line["line"].get("deliver_to", {}).get("name") for line in whole["lines"]] == [None, SITE["name"], None]
    assert whole["lines"][1]["line"]["deliver_to"]["address"]["city"] == "Hundvåg"
    assert (paper.headers["content-type"], paper.content[:4]) == ("application/pdf", b"%PDF")
    assert order["number"] in paper.headers["content-disposition"]
    difference = await fjord.call("GET", f"/sales/drafts/{second['id']}/diff")
    [changed] = difference["lines"]
    assert (changed["line_id"], [one["member"] for one in changed["changes"]], difference["head"]) == ("30", ["deliver_to"], [])
    assert SITE["name"] in changed["changes"][0]["after"]


async def test_what_was_delivered_goes_back_and_both_books_say_so(fjord: Company, nordlys: Company, connected: str) -> None:
    order, draft = await sent(nordlys, fjord, connected, a_line("10", quantity="100"), a_line("20", "A-200", quantity="50"))
    await approve(fjord, draft)
    await once_it_is(nordlys, order, acceptance="approved")
    both = {"lines": [{"line_id": "10", "quantity": "100"}, {"line_id": "20", "quantity": "50"}]}
    await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=both)
    shipped = await once_it_is(nordlys, order, fulfilment="shipped")
    path = f"/purchasing/orders/{order['id']}/receive"
    received = await nordlys.call("POST", path, json={"despatch": shipped["despatches"][0]["id"]})

    sent_back = await nordlys.call("POST", path, json={"lines": [{"line_id": "20", "quantity": "-8", "note": "Rusty"}]})
    too_much = await nordlys.call("POST", path, json={"lines": [{"line_id": "20", "quantity": "-43"}]}, expect=422)
    taken_back = {"lines": [{"line_id": "20", "quantity": "-8"}], "number": "R-1"}
    await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=taken_back)
    returned = await once_it_is(nordlys, order, fulfilment="partly")
    instead = {"lines": [{"line_id": "20", "quantity": "8"}]}
    await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=instead)
    replaced = await once_it_is(nordlys, order, fulfilment="shipped")
    closed = await nordlys.call("POST", path, json={"despatch": replaced["despatches"][-1]["id"]})

    assert received["fulfilment"] == "received"
    assert [line["received"] for line in sent_back["lines"]] == ["100", "42"]
    assert too_much["issues"][0]["pointer"].startswith("/lines/0")
    assert [line["despatched"] for line in returned["lines"]] == ["100", "42"]
    assert [line["received"] for line in closed["lines"]] == ["100", "50"]
    assert closed["fulfilment"] == "received"
    assert (await fjord.call("GET", f"/sales/drafts/{draft['id']}"))["summary"]["fulfilment"] == "shipped"


async def test_a_change_that_crosses_an_approval_ends_in_one_order_on_both_sides(fjord: Company, nordlys: Company, connected: str) -> None:
    pairs = [await sent(nordlys, fjord, connected) for _ in range(6)]

    async def change(order: dict[str, Any]) -> None:
        now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
        more = {"partner": connected, "currency": "NOK", "lines": [a_line("10", quantity="1500")]}
        answer = await nordlys.http.put(f"/purchasing/orders/{order['id']}", json=more, headers={"If-Match": now["etag"]})
        if answer.status_code == 200:
            await export(nordlys, order)

    async def say_yes(draft: dict[str, Any], at: int) -> None:
        await asyncio.sleep(at * 0.02)
        await fjord.http.post(f"/sales/drafts/{draft['id']}/approve", headers={"If-Match": draft["etag"]})

    await asyncio.gather(*(one for at, (order, draft) in enumerate(pairs) for one in (change(order), say_yes(draft, at))))
    for order, _ in pairs:
        newest = await draft_of(fjord, order, revision=2)
        now = await fjord.call("GET", f"/sales/drafts/{newest['id']}")
        await fjord.call("POST", f"/sales/drafts/{newest['id']}/approve", etag=now["summary"]["etag"])

    for order, first in pairs:
        stands = await once_it_is(nordlys, order, acceptance="approved", agreed_revision=2)
        theirs = [one for one in (await fjord.call("GET", "/sales/drafts"))["items"] if one["number"] == order["number"]]
        numbers = [one["order_number"] for one in theirs if one["order_number"]]
        assert numbers == [stands["their_order_number"]], (numbers, first["id"])
        assert [line["quantity"] for line in stands["lines"]] == ["1500"]


async def test_a_cancellation_that_crosses_a_despatch_ends_in_one_state_on_both_sides(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    pairs = [await sent(nordlys, fjord, connected) for _ in range(6)]
    for order, draft in pairs:
        await approve(fjord, draft)
        await once_it_is(nordlys, order, acceptance="approved")

    async def cancel(order: dict[str, Any], at: int) -> None:
        await asyncio.sleep((5 - at) * 0.02)
        await nordlys.call("POST", f"/purchasing/orders/{order['id']}/cancel", json={"reason": "Not needed"})

    async def despatch(draft: dict[str, Any], at: int) -> int:
        await asyncio.sleep(at * 0.02)
        gone = {"lines": [{"line_id": "10", "quantity": "1200"}]}
        return (await fjord.http.post(f"/sales/orders/{draft['id']}/despatches", json=gone)).status_code

    done = await asyncio.gather(
        *(cancel(order, at) for at, (order, _) in enumerate(pairs)), *(despatch(draft, at) for at, (_, draft) in enumerate(pairs))
    )

    for (order, draft), went in zip(pairs, done[len(pairs) :], strict=True):
        if went == 201:
            stands = await once_it_is(nordlys, order, acceptance="approved", fulfilment="shipped")
            assert stands["reason"].startswith("Too late"), stands["reason"]
            assert (await fjord.call("GET", f"/sales/drafts/{draft['id']}"))["summary"]["acceptance"] == "approved"
        else:
            assert went == 409
            seen = await once_the_draft_is(fjord, draft, acceptance="cancel_requested")
            await fjord.call("POST", f"/sales/drafts/{draft['id']}/cancellation/accept", etag=seen["summary"]["etag"])
            over = await once_it_is(nordlys, order, acceptance="cancelled")
            assert (over["fulfilment"], over["despatches"]) == ("none", [])
