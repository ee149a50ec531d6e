"""A person may know what is kept, and may be forgotten; the orders stay."""

from typing import Any

from sqlalchemy import select

from prodsys.kit.db import Code, Tx, metadata
from prodsys.tables import sales_orders
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import an_order, export

KARI = "kari@nordlys.example"


def every_text(tx: Tx) -> str:
    """All that stands in any text of the whole database."""
    said = []
    for table in metadata.sorted_tables:
        columns = [column for column in table.c if isinstance(column.type, Code)]
        said += [str(value) for row in tx.execute(select(*columns)) for value in row] if columns else []
    return "\n".join(said)


async def test_everything_about_a_person_is_told_with_where_it_stands(fjord: Company, nordlys: Company, connected: str) -> None:
    await export(nordlys, await an_order(nordlys, connected))

    told = await fjord.call("POST", "/persons/export", json={"email": "Kari@Nordlys.example"})

    kinds = {one["kind"] for one in told["mentions"]}
    assert (told["names"], told["phones"], told["user"]) == (["Kari Nordmann"], ["+47 51 00 00 00"], None)
    assert {"sales_orders", "log_entries"} <= kinds
    assert all("Kari Nordmann" in str(one["said"]) or KARI in str(one["said"]) for one in told["mentions"])
    assert "Bolt M8x40" not in str(told)


async def test_an_erased_person_stands_nowhere_any_more_and_the_order_is_as_it_was(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    order = await an_order(nordlys, connected)
    await export(nordlys, order)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    before = await fjord.db.read(lambda tx: tx.execute(select(sales_orders.c.digest)).scalar_one())

    done = await fjord.call("POST", "/persons/erase", json={"email": KARI})

    left = (await fjord.db.read(every_text)).casefold()
    assert done["records"] > 1
    assert KARI not in left
    assert "kari nordmann" not in left
    assert "+47 51 00 00 00" not in left
    whole = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
    assert whole["order"]["buyer"]["persons"] == [{"name": "erased"}]
    assert (whole["order"]["number"], len(whole["lines"])) == (order["number"], 1)
    assert await fjord.db.read(lambda tx: tx.execute(select(sales_orders.c.digest)).scalar_one()) == before
    [entry] = await fjord.logged(code="person.erased")
    assert "one person" in entry["message"]
    again = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/replay")

    async def ended() -> Any:
        now = await nordlys.call("GET", f"/exports/{again['id']}")
        return now["items"][0]["status"] if now["is_settled"] else None

    assert await nordlys.in_time(ended) == "repeated"
    await fjord.call("POST", "/persons/erase", json={"email": "nobody@nowhere.example"}, expect=404)


async def test_an_account_is_closed_and_its_name_is_gone_from_what_it_did(fjord: Company) -> None:
    person = {"email": "ola@fjord.example", "name": "Ola", "password": "correct horse battery", "scopes": ["Logs:Read"]}
    await fjord.call("POST", "/users", json=person)
    signed = await fjord.call("POST", "/sessions", json={"email": person["email"], "password": person["password"]})

    done = await fjord.call("POST", "/persons/erase", json={"email": person["email"]})

    async with fjord.as_(signed["token"]) as ola:
        shut = await ola.get("/logs")
    async with fjord.as_(None) as anybody:
        refused = await anybody.post("/sessions", json={"email": person["email"], "password": person["password"]})
    assert done["had_account"]
    assert (shut.status_code, refused.status_code) == (401, 401)
    assert "ola@fjord.example" not in await fjord.db.read(every_text)


async def test_nobody_closes_the_account_of_somebody_who_may_do_more_nor_his_own_when_it_is_the_last(fjord: Company) -> None:
    person = {"email": "ola@fjord.example", "name": "Ola", "password": "correct horse battery", "scopes": ["Logs:Read", "Users:Write"]}
    await fjord.call("POST", "/users", json=person)
    signed = await fjord.call("POST", "/sessions", json={"email": person["email"], "password": person["password"]})
    clerk = await fjord.call("POST", "/tokens", json={"name": "clerk", "scopes": ["Users:Write"]})

    async with fjord.as_(clerk["token"]) as lesser, fjord.as_(signed["token"]) as ola:
        by_lesser = await lesser.post("/persons/erase", json={"email": person["email"]})
        by_himself = await ola.post("/persons/erase", json={"email": person["email"]})

    assert (by_lesser.status_code, by_lesser.json()["code"]) == (403, "scope_not_yours")
    assert (by_himself.status_code, by_himself.json()["code"]) == (409, "wrong_state")
