"""An order nobody answers is not forgotten: the supplier's own people hear of it, and the buyer can ask."""

import datetime as dt
from typing import Any

from sqlalchemy import update

from prodsys.kit.clock import now
from prodsys.sales import following
from prodsys.tables import log_entries, purchase_orders, sales_orders
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import an_order, export


def a_day_passes(fjord: Company) -> Any:
    """The draft came in more than a day ago."""
    past = now() - dt.timedelta(hours=25)
    return fjord.db.write(lambda tx: tx.execute(update(sales_orders).values(received_at=past)))


async def test_the_suppliers_people_hear_once_of_a_draft_nobody_answers(fjord: Company, nordlys: Company, connected: str) -> None:
    order, answered = await an_order(nordlys, connected), await an_order(nordlys, connected)
    await export(nordlys, order, answered)
    drafts = {draft["number"]: draft for draft in (await fjord.call("GET", "/sales/drafts"))["items"]}
    done = drafts[answered["number"]]
    await fjord.call("POST", f"/sales/drafts/{done['id']}/approve", etag=done["etag"])
    await following.look(fjord.db)
    early = await fjord.logged(code="order.unanswered")
    await a_day_passes(fjord)

    await following.look(fjord.db)
    await following.look(fjord.db)

    [told] = await fjord.logged(code="order.unanswered")
    assert early == []
    assert (told["number"], told["subject"], told["level"]) == (order["number"], drafts[order["number"]]["id"], "warning")
    assert told["message"].startswith(f"Nobody has answered order {order['number']} of Nordlys Mekaniske AS, here since ")


async def test_the_buyer_asks_and_the_supplier_reads_it_on_the_order(fjord: Company, nordlys: Company, connected: str) -> None:
    order = await an_order(nordlys, connected)
    await export(nordlys, order)

    asked = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/remind")

    async def arrived() -> Any:
        [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
        return (await fjord.call("GET", f"/sales/drafts/{draft['id']}"))["messages"]

    [read] = await nordlys.in_time(arrived)
    assert read["text"] == asked["text"]
    assert read["text"].startswith(f"Reminder: please answer order {order['number']}, which we sent on ")
    [heard] = await fjord.logged(code="order.message")
    assert heard["direction"] == "in"


async def test_a_supplier_is_reminded_once_a_day_and_only_of_what_is_due(fjord: Company, nordlys: Company, connected: str) -> None:
    order, unsent = await an_order(nordlys, connected), await an_order(nordlys, connected)
    await export(nordlys, order)
    door = f"/purchasing/orders/{order['id']}/remind"
    await nordlys.call("POST", door)

    again = await nordlys.call("POST", door, expect=409)
    never = await nordlys.call("POST", f"/purchasing/orders/{unsent['id']}/remind", expect=409)
    yesterday = now() - dt.timedelta(hours=25)
    await nordlys.db.write(lambda tx: tx.execute(update(log_entries).where(log_entries.c.code == "order.reminded").values(at=yesterday)))
    await nordlys.call("POST", door)
    await nordlys.db.write(lambda tx: tx.execute(update(purchase_orders).values(acceptance="approved")))
    agreed = await nordlys.call("POST", door, expect=409)

    assert "once a day is enough" in again["detail"]
    assert "he never had it" in never["detail"]
    assert agreed["detail"] == f"Nothing of order {order['number']} is due from the supplier today."
