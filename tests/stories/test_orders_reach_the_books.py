"""An approved order leaves for the supplier's ERP by itself, as sources 001 to 003 tell it, and never twice."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from prodsys.connections.events import lane_of
from prodsys.exchange import outbox
from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import Fault
from tests.connectors.sim_eaccounting import EAccountingSim
from tests.connectors.wired import a_flow, an_eaccounting, connect, refused_in, run
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, an_order, export


@pytest.fixture
async def books(fjord: Company) -> AsyncIterator[EAccountingSim]:
    """The supplier's bookkeeping system; it has articles A-100 and A-200, and Nordlys AS as a customer."""
    await fjord.db.write(modules.set_on, ERP_MODULE, True, "test")
    async with an_eaccounting() as simulator:
        yield simulator


async def sell(fjord: Company, nordlys: Company, supplier: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The buyer orders and the supplier approves; the draft."""
    order = await an_order(nordlys, supplier, *lines, **more)
    await export(nordlys, order)
    drafts = (await fjord.call("GET", "/sales/drafts"))["items"]
    draft = next(one for one in drafts if one["number"] == order["number"] and one["acceptance"] == "open")
    approved: dict[str, Any] = await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag="*")
    return approved


async def settled(fjord: Company, flow: dict[str, Any], impatient_with: dict[str, Any] | None = None) -> dict[str, Any]:
    """The run the order went with, once it has ended; whoever is impatient with a connection has it tried again at once."""

    async def ended() -> Any:
        if impatient_with:
            await fjord.db.write(outbox.probe_soon, lane_of(impatient_with["id"]))
        run = (await fjord.call("GET", f"/flows/{flow['id']}"))["last_run"]
        return run if run is not None and run["read"] else None

    done: dict[str, Any] = await fjord.in_time(ended)
    return done


async def settled_by_hand(fjord: Company, flow: dict[str, Any]) -> dict[str, Any]:
    """A run by hand, once what it promised has ended too."""
    begun = await run(fjord, flow)

    async def ended() -> Any:
        found = await fjord.call("GET", f"/runs/{begun['id']}")
        return found if found["created"] + found["refused"] + found["unknown"] else None

    done: dict[str, Any] = await fjord.in_time(ended)
    return done


async def test_an_approved_order_becomes_a_draft_in_the_books_with_its_customer_found_by_email_and_does_not_come_back(
    fjord: Company, nordlys: Company, connected: str, books: EAccountingSim
) -> None:
    connection = await connect(fjord, books)
    flow = await a_flow(fjord, connection, "orders", "out", trigger="event")

    approved = await sell(fjord, nordlys, connected, a_line(), a_line("20", "A-200", quantity="3.5", unit_price="0.45"))
    ended = await settled(fjord, flow)

    [order] = books.rows["orders"].values()
    customer = books.rows["customers"][order["CustomerId"]]
    assert (ended["created"], ended["refused"], order["Status"]) == (1, 0, 1)
    assert (customer["EmailAddress"], customer["CustomerNumber"]) == ("innkjop@nordlys.example", "1001")
    assert order["BuyersOrderReference"] == approved["summary"]["order_number"]
    assert [(row["ArticleId"], row["Quantity"], row["UnitPrice"]) for row in order["Rows"]] == [
        (books.articles["A-100"], Decimal(1200), Decimal("1.30")),
        (books.articles["A-200"], Decimal("3.5"), Decimal("0.45")),
    ]

    back = await run(fjord, await a_flow(fjord, connection, "orders", "in"))
    assert (back["read"], back["skipped"], back["created"], back["refused"]) == (1, 1, 0, 0)
    assert back["reason"] == "1 of orders left out: we sent them to Books ourselves."


async def test_a_customer_the_books_do_not_have_is_made_as_a_company_with_its_contact_person(
    fjord: Company, nordlys: Company, connected: str, books: EAccountingSim
) -> None:
    books.rows["customers"].clear()
    connection = await connect(fjord, books)
    flow = await a_flow(fjord, connection, "orders", "out", trigger="event")

    await sell(fjord, nordlys, connected)
    await settled(fjord, flow)

    [customer] = books.rows["customers"].values()
    assert (customer["Name"], customer["IsPrivatePerson"], customer["ContactPersonName"]) == (
        "Nordlys Mekaniske AS",
        False,
        "Kari Nordmann",
    )
    assert (customer["InvoiceAddress1"], customer["InvoicePostalCode"]) == ("Verkstedveien 1", "4020")


async def test_an_order_with_articles_the_books_lack_is_refused_with_the_whole_list_and_leaves_when_they_have_them(
    fjord: Company, nordlys: Company, connected: str, books: EAccountingSim
) -> None:
    await fjord.import_articles("number,name,unit,price,currency\nA-700,Rail,H87,1.00,NOK\nA-800,Hook,H87,1.00,NOK\n")
    connection = await connect(fjord, books)
    flow = await a_flow(fjord, connection, "orders", "out", trigger="event")

    approved = await sell(fjord, nordlys, connected, a_line(), a_line("20", "A-700"), a_line("30", "A-800"))
    ended = await settled(fjord, flow)

    number = approved["summary"]["order_number"]
    assert await refused_in(fjord, ended) == {number: ["article_missing_there", "article_missing_there"]}
    assert (books.held("orders"), ended["refused"]) == (0, 1)
    [told] = await fjord.logged(code="flow.refused")
    assert [issue["params"]["article_number"] for issue in told["issues"]] == ["A-700", "A-800"]

    for article in ("A-700", "A-800"):
        books.articles[article] = books.an_article(article)
    sent = await settled_by_hand(fjord, flow)
    again = await run(fjord, flow)

    assert (sent["read"], sent["created"], sent["reason"][:35]) == (1, 1, "1 of orders not there yet: promised")
    assert (again["read"], again["skipped"], again["created"]) == (1, 1, 0)
    assert again["reason"] == "Nothing of orders is left to send to Books."
    assert books.held("orders") == 1


@pytest.mark.parametrize("stumble", ["drop_after", "drop_before", "status"])
async def test_whatever_happens_to_the_reply_the_order_is_there_once(
    fjord: Company, nordlys: Company, connected: str, books: EAccountingSim, stumble: Any
) -> None:
    connection = await connect(fjord, books)
    flow = await a_flow(fjord, connection, "orders", "out", trigger="event")
    books.stumble(Fault(stumble=stumble, method="POST", path="/orders"))

    await sell(fjord, nordlys, connected)
    await settled(fjord, flow, impatient_with=connection)

    assert books.held("orders") == 1


async def test_a_default_debtor_may_be_forced(fjord: Company, nordlys: Company, connected: str, books: EAccountingSim) -> None:
    connection = await connect(fjord, books)
    web = books.add("customers", {"Name": "Web shop", "CustomerNumber": "9", "InvoiceCity": "Oslo", "InvoicePostalCode": "0155"})
    flow = await a_flow(
        fjord, connection, "orders", "out", trigger="event", settings={"debtor": "default", "default_debtor": web, "as_draft": False}
    )

    await sell(fjord, nordlys, connected)
    await settled(fjord, flow)

    [order] = books.rows["orders"].values()
    assert (order["CustomerId"], order["Status"]) == (web, 2)


async def test_orders_from_before_the_flow_leave_when_it_is_run_by_hand_each_once_also_one_that_is_agreed_after_a_later_one(
    fjord: Company, nordlys: Company, connected: str, books: EAccountingSim
) -> None:
    earlier = await an_order(nordlys, connected)
    await export(nordlys, earlier)
    await sell(fjord, nordlys, connected)
    connection = await connect(fjord, books)
    flow = await a_flow(fjord, connection, "orders", "out")

    async def left() -> Any:
        return (await run(fjord, flow))["created"]

    # What the buyer has not been told yet can be taken back, and does not leave.
    first, second = await fjord.in_time(left), await run(fjord, flow)
    [draft] = [one for one in (await fjord.call("GET", "/sales/drafts"))["items"] if one["acceptance"] == "open"]
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag="*")

    assert (first, second["created"], await fjord.in_time(left), books.held("orders")) == (1, 0, 1, 2)
