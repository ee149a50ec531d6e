"""An order is sent again by today's rules, and is there once whatever happens."""

from typing import Any

from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, an_order, export


async def ended(buyer: Company, id: str) -> dict[str, Any]:
    async def settled() -> Any:
        now = await buyer.call("GET", f"/exports/{id}")
        return now if now["is_settled"] else None

    done: dict[str, Any] = await buyer.in_time(settled)
    return done


async def test_a_refused_order_is_taken_by_the_suppliers_new_articles_under_its_own_revision(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    order = await an_order(nordlys, connected, a_line("10", "B-100"))
    first = await export(nordlys, order)
    await fjord.import_articles("number,name,unit,price,currency,gtin,active\nB-100,Bracket,H87,1.30,NOK,,yes\n")
    [refusal] = await nordlys.logged(code="order.refused")

    again = await ended(nordlys, (await nordlys.call("POST", f"/logs/{refusal['id']}/replay"))["id"])

    assert [item["status"] for item in (first["items"] + again["items"])] == ["refused", "received"]
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    assert (draft["number"], draft["revision"]) == (order["number"], 1)
    [replayed] = await nordlys.logged(code="order.replayed")
    assert first["items"][0]["trace_id"] in replayed["message"]
    assert again["items"][0]["trace_id"] != first["items"][0]["trace_id"]


async def test_an_order_that_is_there_is_answered_with_its_first_receipt(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)
    await export(nordlys, order)

    again = await ended(nordlys, (await nordlys.call("POST", f"/purchasing/orders/{order['id']}/replay"))["id"])

    assert [item["status"] for item in again["items"]] == ["repeated"]
    assert len((await fjord.call("GET", "/sales/drafts"))["items"]) == 1
    now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
    assert (now["delivery"], now["revision"]) == ("received", 1)


async def test_an_order_that_would_say_something_else_by_now_is_not_sent_again(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)
    await export(nordlys, order)
    answer = await nordlys.http.get("/company")
    card = {name: answer.json()[name] for name in ("name", "organisation_number", "email", "address")}
    await nordlys.call("PUT", "/company", json=card | {"phone": "+47 51 99 99 99"}, etag="*")

    refused = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/replay", expect=409)

    assert "company card has changed" in refused["detail"]


async def test_what_was_never_sent_or_is_not_ours_to_send_is_refused_in_words(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)
    never = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/replay", expect=409)
    await export(nordlys, order)
    [received] = await fjord.logged(code="order.received")

    theirs = await fjord.call("POST", f"/logs/{received['id']}/replay", expect=409)

    assert "has not been sent yet" in never["detail"]
    assert "the buyer's to send again" in theirs["detail"]
