"""The buyer reads the supplier's catalogue on, sees which of his numbers no longer match, and mends them."""

from typing import Any

from prodsys.scopes import Scope
from tests.stories.company import Company

OURS = """number,name,unit,gtin,supplier,supplier_article_number
4711,Bolt M8x40,H87,7038010000010,Fjord Lager AS,A-100
4712,Nut M8,H87,,Fjord Lager AS,A-2OO
4713,Bracket,H87,,Fjord Lager AS,A-900
"""


async def reading(buyer: Company) -> Any:
    """What the buyer has read of the supplier's catalogue, once it has come to its end."""

    async def whole() -> Any:
        found = (await buyer.call("GET", "/catalogue/readings"))["items"]
        return found[0] if found and found[0]["is_whole"] else None

    return await buyer.in_time(whole)


async def read_on(buyer: Company, supplier: str) -> Any:
    """Read the catalogue on now, and wait until it is done."""
    before = (await reading(buyer))["pulled_at"]
    await buyer.call("POST", "/catalogue/pull", json={"partner": supplier}, expect=202)

    async def later() -> Any:
        now = await reading(buyer)
        return now if now["pulled_at"] != before else None

    return await buyer.in_time(later)


async def numbers(buyer: Company, **query: str) -> list[tuple[str, bool]]:
    found = (await buyer.call("GET", "/catalogue", params=query))["items"]
    return [(one["number"], one["is_active"]) for one in found]


async def test_a_connected_buyer_reads_what_the_supplier_offers(fjord: Company, nordlys: Company, connected: str) -> None:
    read = await reading(nordlys)

    assert (read["partner"], read["articles"], read["fault"]) == (connected, 4, "")
    assert await numbers(nordlys) == [("A-100", True), ("A-200", True), ("A-300", True), ("A-900", False)]
    assert await numbers(nordlys, partner=connected, q="nut") == [("A-200", True)]


async def test_only_what_has_changed_is_read_again(fjord: Company, nordlys: Company, connected: str) -> None:
    await reading(nordlys)
    [bolt] = (await fjord.call("GET", "/articles", params={"number": "A-100"}))["items"]
    answer = await fjord.http.get(f"/articles/{bolt['id']}")
    renamed = {name: value for name, value in answer.json().items() if name != "id"} | {"number": "A-101"}
    await fjord.call("PUT", f"/articles/{bolt['id']}", json=renamed, etag=answer.headers["etag"])

    read = await read_on(nordlys, connected)

    assert read["articles"] == 4
    assert await numbers(nordlys, partner=connected, q="A-10") == [("A-101", True)]
    [newest, _] = await nordlys.logged(code="catalogue.pulled")
    assert "1 new or changed" in newest["message"]


async def test_numbers_that_drifted_are_seen_and_mended_together(fjord: Company, nordlys: Company, connected: str) -> None:
    await reading(nordlys)
    await nordlys.import_articles(OURS)

    found = (await nordlys.call("GET", "/catalogue/mismatches", params={"partner": connected}))["items"]
    fixes = [{"article": one["article"], "number": one["suggestions"][0]["number"]} for one in found if one["why"] == "unknown"]
    fixed = await nordlys.call("POST", "/catalogue/fix", json={"partner": connected, "fixes": fixes})

    assert [(one["article_number"], one["number"], one["why"]) for one in found] == [
        ("4712", "A-2OO", "unknown"),
        ("4713", "A-900", "inactive"),
    ]
    assert fixes[0]["number"] == "A-200"
    assert fixed == {"changed": 1, "unchanged": 0, "mismatches": 1}


async def test_another_offer_is_read_from_its_beginning_and_the_rest_forgotten(fjord: Company, nordlys: Company, connected: str) -> None:
    await reading(nordlys)
    [buyer] = (await fjord.call("GET", "/partners"))["items"]
    read = await fjord.http.get(f"/partners/{buyer['id']}")
    await fjord.call("PATCH", f"/partners/{buyer['id']}", json={"offers": "chosen"}, etag=read.headers["etag"])
    await fjord.call("PUT", f"/partners/{buyer['id']}/articles", json={"numbers": ["A-200"]})

    await read_on(nordlys, connected)

    assert await numbers(nordlys) == [("A-200", True)]
    assert await nordlys.logged(code="catalogue.begun_again")


async def test_the_test_of_the_connection_uses_the_fresh_catalogue(fjord: Company, nordlys: Company, connected: str) -> None:
    await reading(nordlys)
    await nordlys.import_articles(OURS)

    checklist = await nordlys.call("POST", f"/partners/{connected}/test")

    [check] = [one for one in checklist["checks"] if one["code"] == "articles_matched"]
    assert check["params"] == {"matched": "1", "asked": "3"}


async def test_a_token_without_the_scope_is_said_and_nothing_is_asked(fjord: Company, nordlys: Company) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325", Scope.PURCHASE_ORDERS_CREATE)
    partner = await nordlys.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})

    async def told() -> Any:
        return (await nordlys.call("GET", "/catalogue/readings"))["items"]

    [read] = await nordlys.in_time(told)
    assert (read["partner"], read["is_whole"]) == (partner["id"], False)
    assert "Articles:Read" in read["fault"]
