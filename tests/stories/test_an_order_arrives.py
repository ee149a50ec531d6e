"""The guide, step by step: from a token to a draft at the supplier, and the answer back at the buyer."""

from typing import Any

from tests.stories.company import Company


def a_line(line_id: str = "10", article: str = "A-100", **more: Any) -> dict[str, Any]:
    return {
        "line_id": line_id,
        "article_number": article,
        "description": "Bolt M8x40",
        "quantity": "1200",
        "unit": "H87",
        "unit_price": "1.30",
        **more,
    }


async def an_order(buyer: Company, supplier: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    order = {"partner": supplier, "currency": "NOK", "lines": list(lines) or [a_line()], **more}
    made: dict[str, Any] = await buyer.call("POST", "/purchasing/orders", json=order)
    return made


async def export(buyer: Company, *orders: dict[str, Any]) -> dict[str, Any]:
    """Press Export and wait until every order of it has ended."""
    begun = await buyer.call("POST", "/exports", json={"orders": [order["id"] for order in orders]})

    async def ended() -> Any:
        now = await buyer.call("GET", f"/exports/{begun['id']}")
        return now if all(item["status"] not in ("queued", "sending", "waiting") for item in now["items"]) else None

    done: dict[str, Any] = await buyer.in_time(ended)
    return done


async def test_the_order_lands_as_a_draft_with_every_line_as_sent(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected, a_line(), a_line("20", "A-200", quantity="3.5", unit_price="0.450", note="Zinc"))

    exported = await export(nordlys, order)

    assert [item["status"] for item in exported["items"]] == ["received"]
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    whole = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
    sent = [(line["line"]["quantity"], line["line"]["unit_price"], line["how"]) for line in whole["lines"]]
    assert sent == [("1200", "1.30", "article_number"), ("3.5", "0.450", "article_number")]
    assert (draft["acceptance"], draft["partner_name"]) == ("open", "Nordlys Mekaniske AS")


async def test_one_trace_id_leads_through_both_companies_logs(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)

    exported = await export(nordlys, order)

    trace = exported["items"][0]["trace_id"]
    assert "order.received" in [entry["code"] for entry in await fjord.logged(trace_id=trace)]
    assert await nordlys.logged(trace_id=trace)


async def test_an_unknown_article_is_refused_with_every_bad_line_and_logged_on_both_sides(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    order = await an_order(nordlys, connected, a_line(), a_line("20", "A-999"), a_line("30", "A-900"))

    exported = await export(nordlys, order)

    [item] = exported["items"]
    assert item["status"] == "refused"
    assert [issue["code"] for issue in item["issues"]] == ["article_unknown", "article_inactive"]
    assert (await fjord.call("GET", "/sales/drafts"))["items"] == []
    assert [entry["code"] for entry in await fjord.logged(trace_id=item["trace_id"])] == ["order.refused"]
    [told] = await nordlys.logged(level="error")
    assert (told["code"], "A-999" in told["message"], "A-900" in told["message"]) == ("order.refused", True, True)
    assert [issue["code"] for issue in told["issues"]] == ["article_unknown", "article_inactive"]


async def test_the_refused_order_is_mended_and_only_it_is_sent_again(fjord: Company, nordlys: Company, connected: str) -> None:
    good = await an_order(nordlys, connected)
    bad = await an_order(nordlys, connected, a_line("10", "A-999"))
    first = await export(nordlys, good, bad)
    now = await nordlys.call("GET", f"/purchasing/orders/{bad['id']}")
    mended = {"partner": connected, "currency": "NOK", "lines": [a_line("10", "A-300")]}
    await nordlys.call("PUT", f"/purchasing/orders/{bad['id']}", json=mended, etag=now["etag"])

    again = await nordlys.call("POST", f"/exports/{first['id']}/retry")

    async def arrived() -> Any:
        drafts = (await fjord.call("GET", "/sales/drafts"))["items"]
        return drafts if len(drafts) == 2 else None

    drafts = await nordlys.in_time(arrived)
    assert {draft["number"] for draft in drafts} == {good["number"], bad["number"]}
    assert {draft["revision"] for draft in drafts} == {1}
    assert again["id"]


async def test_the_buyer_learns_the_order_number_when_the_supplier_approves(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)
    await export(nordlys, order)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]

    approved = await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])

    async def learned() -> Any:
        now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
        return now if now["acceptance"] == "approved" else None

    now = await nordlys.in_time(learned, 30)
    assert now["their_order_number"] == approved["summary"]["order_number"] == "SO-100001"


async def test_the_buyer_reads_the_reason_when_the_supplier_rejects(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)
    await export(nordlys, order)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]

    await fjord.call("POST", f"/sales/drafts/{draft['id']}/reject", etag=draft["etag"], json={"reason": "Sold out until May."})

    async def learned() -> Any:
        now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
        return now if now["acceptance"] == "rejected" else None

    assert (await nordlys.in_time(learned, 30))["reason"] == "Sold out until May."
