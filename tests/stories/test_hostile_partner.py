"""A partner who tries it on: he learns nothing early, nothing of others, and gets clear words for what is shut."""

import asyncio
import hashlib
from typing import Any

import pytest

from tests.stories.company import NORDLYS, Company
from tests.stories.test_isolation import HAVN, an_order


@pytest.fixture
async def partner(fjord: Company) -> Any:
    """A buyer's token at the supplier, and his id there."""
    made = await fjord.hand_over(NORDLYS.name, NORDLYS.organisation_number)
    async with fjord.as_(made["token"]["token"]) as buyer:
        yield buyer, made["partner"]["id"]


async def switch_off(fjord: Company, partner: str) -> None:
    etag = (await fjord.http.get(f"/partners/{partner}")).headers["etag"]
    await fjord.call("PATCH", f"/partners/{partner}", json={"is_active": False}, etag=etag)


async def test_who_is_not_traded_with_is_told_so_alone_in_a_batch_and_in_a_dry_run_and_it_is_logged(fjord: Company, partner: Any) -> None:
    buyer, partner_id = partner
    await switch_off(fjord, partner_id)
    orders = [an_order(NORDLYS, "PO-1"), an_order(NORDLYS, "PO-2")]

    alone = await buyer.post("/purchase-orders", json=orders[0])
    together = await buyer.post("/purchase-orders/batch", json={"orders": [{"order": order} for order in orders]})
    asked = await buyer.post("/purchase-orders/preview", json={"orders": orders})

    assert [answer.status_code for answer in (alone, together, asked)] == [403, 403, 403]
    assert {answer.json()["code"] for answer in (alone, together, asked)} == {"partner_inactive"}
    logged = await fjord.logged(code="order.refused")
    assert sorted(entry["number"] for entry in logged) == ["PO-1", "PO-1", "PO-2"]
    assert {entry["partner"] for entry in logged} == {partner_id}


async def test_an_answer_that_can_still_be_taken_back_is_nowhere_to_be_seen(fjord: Company, partner: Any) -> None:
    buyer, _ = partner
    order_id = (await buyer.post("/purchase-orders", json=an_order(NORDLYS, "PO-1"))).json()["id"]
    etag = (await fjord.http.get(f"/sales/drafts/{order_id}")).headers["etag"]
    await fjord.call("POST", f"/sales/drafts/{order_id}/reject", json={"reason": "Sold out."}, etag=etag)

    one = (await buyer.get(f"/purchase-orders/{order_id}")).json()
    [listed] = (await buyer.get("/purchase-orders")).json()["items"]
    rejected = (await buyer.get("/purchase-orders", params={"state": "rejected"})).json()["items"]

    for seen in (one, listed):
        assert (seen["acceptance"], seen["answer"], seen["order_number"], seen["reason"]) == ("open", 0, None, None)
    assert rejected == []

    async def told() -> Any:
        return (await buyer.get("/purchase-orders", params={"state": "rejected"})).json()["items"]

    [after] = await fjord.in_time(told)
    assert (after["answer"], after["reason"]) == (1, "Sold out.")


async def test_ordering_in_anothers_name_does_not_tell_which_numbers_he_has_used(fjord: Company, partner: Any) -> None:
    buyer, _ = partner
    havn = await fjord.hand_over(HAVN.name, HAVN.organisation_number)
    async with fjord.as_(havn["token"]["token"]) as other:
        assert (await other.post("/purchase-orders", json=an_order(HAVN, "SECRET-1"))).status_code == 201
    guesses = [an_order(HAVN, "SECRET-1"), an_order(HAVN, "SECRET-2")]

    reports = (await buyer.post("/purchase-orders/preview", json={"orders": guesses})).json()["items"]
    used, unused = ([issue["code"] for issue in report["issues"]] for report in reports)

    assert used == unused
    assert "possible_duplicate" not in used


async def test_a_dry_run_is_no_larger_than_a_batch(partner: Any) -> None:
    buyer, _ = partner
    line = {"line_id": "1", "article_number": "A-100", "quantity": "1", "unit": "H87"}
    orders = [an_order(NORDLYS, f"PO-{at}") | {"lines": [line | {"line_id": str(one)} for one in range(7_000)]} for at in range(3)]

    answer = await buyer.post("/purchase-orders/preview", json={"orders": orders})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_revision_that_was_replaced_cannot_be_cancelled_and_never_answered(fjord: Company, partner: Any) -> None:
    buyer, _ = partner
    first = (await buyer.post("/purchase-orders", json=an_order(NORDLYS, "PO-1"))).json()["id"]
    await buyer.post("/purchase-orders", json=an_order(NORDLYS, "PO-1") | {"revision": 2})

    answer = await buyer.post(f"/purchase-orders/{first}/cancellation", json={})

    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert (await fjord.call("GET", "/sales/cancellations"))["items"] == []


async def test_a_file_another_partner_has_sent_is_as_new_as_any(fjord: Company, partner: Any) -> None:
    buyer, _ = partner
    havn = await fjord.hand_over(HAVN.name, HAVN.organisation_number)
    content = b"A drawing of ours."
    door = f"/attachments/{hashlib.sha256(content).hexdigest()}"
    async with fjord.as_(havn["token"]["token"]) as other:
        first = await other.put(door, content=content)

    before = await buyer.get(door)
    same = await buyer.put(door, content=content)
    again = await buyer.put(door, content=content)
    at_once = await asyncio.gather(*(buyer.put(f"/attachments/{hashlib.sha256(b'Two').hexdigest()}", content=b"Two") for _ in range(5)))

    assert (first.status_code, before.status_code, same.status_code, again.status_code) == (201, 404, 201, 200)
    assert first.json() == same.json()
    assert {answer.status_code for answer in at_once} <= {200, 201}
