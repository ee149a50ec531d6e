"""The guide after sending: the supplier answers, the buyer agrees, something changes, goods move, and both companies end in one state."""

from typing import Any

from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, an_order, export


async def draft_of(supplier: Company, order: dict[str, Any], revision: int = 1) -> dict[str, Any]:
    """The order as the supplier has it."""

    async def arrived() -> Any:
        drafts = (await supplier.call("GET", "/sales/drafts"))["items"]
        return next((one for one in drafts if (one["number"], one["revision"]) == (order["number"], revision)), None)

    found: dict[str, Any] = await supplier.in_time(arrived, 30)
    return found


async def sent(
    buyer: Company, supplier: Company, partner: str, *lines: dict[str, Any], **more: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An order and the draft it has become."""
    order = await an_order(buyer, partner, *lines, **more)
    await export(buyer, order)
    return order, await draft_of(supplier, order)


async def once_it_is(buyer: Company, order: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The buyer's order as soon as it is so."""

    async def is_so() -> Any:
        now = await buyer.call("GET", f"/purchasing/orders/{order['id']}")
        return now if all(now[member] == value for member, value in members.items()) else None

    found: dict[str, Any] = await buyer.in_time(is_so, 30)
    return found


async def once_the_draft_is(supplier: Company, draft: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The supplier's draft as soon as it is so."""

    async def is_so() -> Any:
        now = await supplier.call("GET", f"/sales/drafts/{draft['id']}")
        return now if all(now["summary"][member] == value for member, value in members.items()) else None

    found: dict[str, Any] = await supplier.in_time(is_so, 30)
    return found


async def approve(supplier: Company, draft: dict[str, Any]) -> dict[str, Any]:
    done: dict[str, Any] = await supplier.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])
    return done


async def test_an_order_is_sent_changed_answered_agreed_and_received_in_two_deliveries(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    three = [a_line("10", quantity="100"), a_line("20", "A-200", quantity="50"), a_line("30", "A-300", quantity="20")]
    order, _ = await sent(nordlys, fjord, connected, *three)

    now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
    changed = {"partner": connected, "currency": "NOK", "lines": [a_line("10", quantity="120"), *three[1:]]}
    await nordlys.call("PUT", f"/purchasing/orders/{order['id']}", json=changed, etag=now["etag"])
    await export(nordlys, order)
    draft = await draft_of(fjord, order, revision=2)

    instead = {"line_id": "30", "action": "3", "substitute": {"article_number": "A-200"}, "reason": "A-300 is sold out"}
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/answer", json={"lines": [instead]}, etag=draft["etag"])
    answered = await once_it_is(nordlys, order, acceptance="changed")
    beside = answered["answered"]["lines"]
    assert [line["action"] for line in beside] == ["5", "5", "3"]
    assert beside[2]["differences"] == [{"member": "article_number", "before": "A-300", "after": "A-200"}]

    agreed = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/accept", json={"answer": 1}, etag=answered["etag"])
    theirs = await once_the_draft_is(fjord, draft, acceptance="agreed")
    assert agreed["acceptance"] == "agreed"
    stands = await once_it_is(nordlys, order, agreed_revision=2, is_word_on_its_way=False)
    assert (stands["acceptance"], stands["their_order_number"]) in (("agreed", ""), ("agreed", theirs["summary"]["order_number"]))

    gone = {
        "lines": [{"line_id": "10", "quantity": "120"}, {"line_id": "20", "quantity": "30"}],
        "carrier": "Bring",
        "tracking_number": "T-1",
    }
    await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=gone)
    half = await once_it_is(nordlys, order, fulfilment="partly")
    [first] = half["despatches"]
    assert (first["carrier"], first["tracking_number"]) == ("Bring", "T-1")
    booked = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/receive", json={"despatch": first["id"]})
    assert [line.get("received", "0") for line in booked["lines"]] == ["120", "30", "0"]
    assert [one["id"] for one in (await nordlys.call("GET", "/purchasing/follow-up?filter=partly_received"))["items"]] == [order["id"]]

    rest = {"lines": [{"line_id": "20", "quantity": "20"}, {"line_id": "30", "quantity": "20"}]}
    await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=rest)
    shipped = await once_it_is(nordlys, order, fulfilment="shipped")
    last = {"despatch": shipped["despatches"][1]["id"], "lines": [{"line_id": "20", "quantity": "19", "note": "One was bent"}]}
    closed = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/receive", json=last)

    assert (closed["fulfilment"], closed["lines"][1]["received"]) == ("received", "49")
    assert (await fjord.call("GET", f"/sales/drafts/{draft['id']}"))["summary"]["fulfilment"] == "shipped"
    codes = [one["code"] for one in reversed(closed["history"])]
    told = ["order.changed", "order.agreed", "order.despatched", "order.goods_received"]
    assert [code for code in dict.fromkeys(codes) if code in told] == told


async def test_a_cancellation_is_granted_while_nothing_has_left_and_too_late_afterwards(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    early, early_draft = await sent(nordlys, fjord, connected)
    late, late_draft = await sent(nordlys, fjord, connected)
    await approve(fjord, late_draft)
    await once_it_is(nordlys, late, acceptance="approved")
    await fjord.call("POST", f"/sales/orders/{late_draft['id']}/despatches", json={"lines": [{"line_id": "10", "quantity": "1"}]})

    asked = await nordlys.call("POST", f"/purchasing/orders/{early['id']}/cancel", json={"reason": "Project stopped"})
    await nordlys.call("POST", f"/purchasing/orders/{late['id']}/cancel", json={"reason": "Project stopped"})
    seen = await once_the_draft_is(fjord, early_draft, acceptance="cancel_requested")
    await fjord.call("POST", f"/sales/drafts/{early_draft['id']}/cancellation/accept", etag=seen["summary"]["etag"])

    assert asked["acceptance"] == "cancel_requested"
    await once_it_is(nordlys, early, acceptance="cancelled")
    stands = await once_it_is(nordlys, late, acceptance="approved", reason="Too late: 1 line(s) of the order have been despatched.")
    assert stands["fulfilment"] == "partly"
    assert (await fjord.call("GET", f"/sales/drafts/{late_draft['id']}"))["summary"]["acceptance"] == "approved"


async def test_a_change_of_an_agreed_order_is_taken_or_leaves_it_as_it_was(fjord: Company, nordlys: Company, connected: str) -> None:
    taken, kept = await sent(nordlys, fjord, connected), await sent(nordlys, fjord, connected)
    for order, draft in (taken, kept):
        await approve(fjord, draft)
        now = await once_it_is(nordlys, order, acceptance="approved")
        more = {"partner": connected, "currency": "NOK", "lines": [a_line("10", quantity="1500")]}
        await nordlys.call("PUT", f"/purchasing/orders/{order['id']}", json=more, etag=now["etag"])
        await export(nordlys, order)

    for (order, _), verb in ((taken, "apply"), (kept, "keep")):
        newer = await draft_of(fjord, order, revision=2)
        await fjord.call("POST", f"/sales/drafts/{newer['id']}/{verb}", etag=newer["etag"])

    applied = await once_it_is(nordlys, taken[0], acceptance="approved", agreed_revision=2)
    left = await once_it_is(nordlys, kept[0], acceptance="approved", revision=1)
    assert ([line["quantity"] for line in applied["lines"]], applied["revision"]) == (["1500"], 2)
    assert ([line["quantity"] for line in left["lines"]], left["agreed_revision"]) == (["1200"], 1)
    assert {applied["their_order_number"], left["their_order_number"]} == {"SO-100001", "SO-100002"}


async def test_accepting_an_answer_that_was_just_replaced_ends_with_the_newer_one_on_both_sides(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    order, draft = await sent(nordlys, fjord, connected)
    first = {"lines": [{"line_id": "10", "action": "3", "unit_price": "1.40", "reason_code": "price"}]}
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/answer", json=first, etag=draft["etag"])
    seen = await once_it_is(nordlys, order, acceptance="changed")
    theirs = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
    second = {"lines": [{"line_id": "10", "action": "3", "unit_price": "1.35", "reason_code": "price"}]}
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/answer", json=second, etag=theirs["summary"]["etag"])

    await nordlys.http.post(f"/purchasing/orders/{order['id']}/accept", json={"answer": 1}, headers={"If-Match": seen["etag"]})
    newer = await once_it_is(nordlys, order, acceptance="changed", answer=2)
    await nordlys.call("POST", f"/purchasing/orders/{order['id']}/accept", json={"answer": 2}, etag=newer["etag"])

    await once_the_draft_is(fjord, draft, acceptance="agreed")
    agreed = await once_it_is(nordlys, order, acceptance="agreed", agreed_revision=1)
    assert agreed["answered"]["lines"][0]["answered"]["unit_price"] == "1.35"


async def test_words_go_both_ways_and_stand_in_both_orders(fjord: Company, nordlys: Company, connected: str) -> None:
    order, draft = await sent(nordlys, fjord, connected)

    await nordlys.call("POST", f"/purchasing/orders/{order['id']}/messages", json={"text": "Gate 4, please", "line_id": "10"})
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/messages", json={"text": "Gate 4 it is"})

    async def heard() -> Any:
        now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
        return now["messages"] if len(now["messages"]) == 2 else None

    ours = await nordlys.in_time(heard, 30)

    async def heard_there() -> Any:
        now = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
        return now["messages"] if len(now.get("messages", [])) == 2 else None

    theirs = await fjord.in_time(heard_there, 30)
    assert {one["text"] for one in ours} == {one["text"] for one in theirs} == {"Gate 4, please", "Gate 4 it is"}
    assert {one["id"] for one in ours} == {one["id"] for one in theirs}
