"""A new partner's first orders, however they come: he becomes a contact once, and what is counted can be watched from outside."""

import asyncio
from typing import Any

import pytest

from tests.stories.company import NORDLYS, Company
from tests.stories.test_isolation import an_order


@pytest.fixture
async def buyer(fjord: Company) -> Any:
    """A partner who has never ordered."""
    made = await fjord.hand_over(NORDLYS.name, NORDLYS.organisation_number)
    # Without a contact of his, the first order has to make one.
    contact = (await fjord.call("GET", f"/partners/{made['partner']['id']}"))["contact"]
    assert contact is None
    async with fjord.as_(made["token"]["token"]) as calling:
        yield calling, made["partner"]["id"]


def created(receipts: list[dict[str, Any]]) -> list[tuple[bool, str]]:
    return sorted(("contact_created" in [issue["code"] for issue in receipt["issues"]], receipt["contact"]["how"]) for receipt in receipts)


def unseen(problem: dict[str, Any]) -> list[str]:
    return [issue["pointer"] for issue in problem["issues"] if issue["code"] == "control_character"]


async def test_of_two_first_orders_in_one_batch_one_makes_the_contact(fjord: Company, buyer: Any) -> None:
    partner, _ = buyer
    orders = [{"order": an_order(NORDLYS, number)} for number in ("PO-1", "PO-2")]

    answer = await partner.post("/purchase-orders/batch", json={"orders": orders})

    receipts = [item["receipt"] for item in answer.json()["items"]]
    assert created(receipts) == [(False, "partner_link"), (True, "created")]
    assert [receipt["validation"] for receipt in receipts] == ["issues", "clean"]
    assert len((await fjord.call("GET", "/contacts"))["items"]) == 1


async def test_of_first_orders_at_the_same_moment_one_makes_the_contact(fjord: Company, buyer: Any) -> None:
    partner, _ = buyer

    answers = await asyncio.gather(*(partner.post("/purchase-orders", json=an_order(NORDLYS, f"PO-{at}")) for at in range(6)))

    assert {answer.status_code for answer in answers} == {201}
    told = created([answer.json() for answer in answers])
    assert [made for made, _ in told] == [False] * 5 + [True]
    # Who asked before the contact was made, and looks for it after, knows him by his number before he knows of the link.
    assert {how for made, how in told if not made} <= {"partner_link", "identifier"}
    assert len((await fjord.call("GET", "/contacts"))["items"]) == 1


async def test_orders_that_came_are_counted_by_partner_and_by_what_became_of_them(fjord: Company, buyer: Any) -> None:
    partner, partner_id = buyer
    good, bad = an_order(NORDLYS, "PO-1"), an_order(NORDLYS, "PO-2")
    bad["lines"][0]["article_number"] = "X-900"
    await partner.post("/purchase-orders", json=good)
    await partner.post("/purchase-orders", json=good)
    await partner.post("/purchase-orders/batch", json={"orders": [{"order": bad}, {"order": an_order(NORDLYS, "PO-3")}]})

    text = (await fjord.http.get(f"{fjord.url}/metrics")).text

    counted = {line for line in text.splitlines() if line.startswith("prodsys_orders_received_total{")}
    assert counted == {
        f'prodsys_orders_received_total{{partner="{partner_id}",result="received"}} 2.0',
        f'prodsys_orders_received_total{{partner="{partner_id}",result="repeated"}} 1.0',
        f'prodsys_orders_received_total{{partner="{partner_id}",result="refused"}} 1.0',
    }


async def test_what_waits_for_a_partner_who_is_away_is_seen_from_outside(fjord: Company, nordlys: Company, connected: str) -> None:
    await fjord.call("PUT", "/modules/prodsys-to-prodsys", json={"is_on": False})
    order = {"partner": connected, "currency": "NOK", "lines": [{"article_number": "A-100", "quantity": "1", "unit": "H87"}]}
    made = await nordlys.call("POST", "/purchasing/orders", json=order)
    await nordlys.call("POST", "/exports", json={"orders": [made["id"]]})

    async def figures() -> Any:
        text = (await nordlys.http.get(f"{nordlys.url}/metrics")).text
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return found if found["prodsys_lanes_paused"] == "1.0" else None

    seen = await nordlys.in_time(figures)
    assert seen["prodsys_outbox_waiting"] == "1.0"
    assert any(name.startswith("prodsys_partner_request_seconds_count") for name in seen)


async def test_a_number_nobody_could_type_again_is_refused_by_both_sides(fjord: Company, nordlys: Company, buyer: Any) -> None:
    partner, _ = buyer
    order = an_order(NORDLYS, "PO-1\nPO-2")
    order["lines"][0]["line_id"] = "1\t0"
    written = {"number": "PO-7\r\n8", "currency": "NOK", "lines": [{"article_number": "A\u2028100", "quantity": "1", "unit": "H87"}]}

    sent = await partner.post("/purchase-orders", json=order)
    drawn_up = await nordlys.http.post("/purchasing/orders", json=written)
    around = await partner.post("/purchase-orders", json=an_order(NORDLYS, " PO-1\n"))

    pointers = [
        [issue["pointer"] for issue in answer.json()["issues"] if issue["code"] == "control_character"] for answer in (sent, drawn_up)
    ]
    assert [sent.status_code, drawn_up.status_code] == [422, 422]
    assert pointers == [["/number", "/lines/0/line_id"], ["/number", "/lines/0/article_number"]]
    assert (around.status_code, around.json()["issues"][0]["code"]) == (201, "contact_created")
