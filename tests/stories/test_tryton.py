"""A new user connects the real Tryton: articles and customers come, an approved order leaves, a purchase order goes on to its supplier."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import Fault, serving
from tests.connectors.sim_tryton import TrytonBehindIt
from tests.connectors.tryton_erp import Erp, many
from tests.connectors.wired import a_flow, connect, refused_in, run
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line, export
from tests.stories.test_orders_reach_the_books import sell, settled


@pytest.fixture
async def tryton() -> AsyncIterator[TrytonBehindIt]:
    async with serving(TrytonBehindIt()) as behind:
        assert isinstance(behind, TrytonBehindIt)
        # The same numbers are given on each database.
        for sale in behind.erp.ask("model.sale.sale.search", [["reference", "like", "SO-1000%"], ["state", "=", "draft"]], 0, None, None):
            behind.erp.press("sale.sale", "cancel", sale)
            behind.erp.ask("model.sale.sale.delete", [sale])
        yield behind


def sales(erp: Erp, reference: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = erp.ask(
        "model.sale.sale.search_read", [["reference", "=", reference]], 0, None, None,
        ["state", "party.code", "description", "lines.product.code", "lines.quantity", "lines.unit_price", "untaxed_amount"],
    )  # fmt: skip
    return found


async def test_articles_and_customers_come_from_tryton_and_an_approved_order_leaves_for_it_once(
    fjord: Company, nordlys: Company, connected: str, tryton: TrytonBehindIt
) -> None:
    await fjord.db.write(modules.set_on, ERP_MODULE, True, "test")
    connection = await connect(fjord, tryton, "Tryton")

    articles = await run(fjord, await a_flow(fjord, connection, "articles", "in"))
    customers = await run(fjord, await a_flow(fjord, connection, "contacts", "in"))
    stock = await run(fjord, await a_flow(fjord, connection, "stock", "in"))
    leaves = await a_flow(fjord, connection, "orders", "out", trigger="event")
    # The order is made there, and the answer is lost.
    tryton.stumble(Fault(stumble="drop_after", method="POST", path="sale.sale.create"))
    approved = await sell(fjord, nordlys, connected, a_line(), a_line("20", "A-200", quantity="4", unit_price="0.45"))
    number = approved["summary"]["order_number"]
    went = await settled(fjord, leaves)
    there = sales(tryton.erp, number)

    assert (articles["refused"], customers["refused"], stock["refused"]) == (0, 0, 0)
    assert articles["created"] + articles["updated"] >= 3
    names = {article["number"]: article["name"] for article in (await fjord.call("GET", "/articles"))["items"]}
    assert names["T-1"] == "Montering"
    assert len(there) == 1
    assert (there[0]["state"], there[0]["party."]["code"]) == ("draft", "1001")
    assert [line["product."]["code"] for line in there[0]["lines."]] == ["A-100", "A-200"]
    assert [line["quantity"] for line in there[0]["lines."]] == [1200, 4]
    assert (went["created"], went["skipped"], went["refused"]) == (0, 1, 0), "looked for before it was sent again, and found"

    only = {"condition": f"source.reference == '{number}'"}
    back = await run(fjord, await a_flow(fjord, connection, "orders", "in", settings=only))
    assert (back["created"], back["updated"], back["refused"]) == (0, 0, 0)
    assert back["reason"] == "1 of orders left out: we sent them to Tryton ourselves."


async def test_a_purchase_order_made_in_tryton_is_placed_with_its_supplier(
    fjord: Company, nordlys: Company, connected: str, tryton: TrytonBehindIt
) -> None:
    await nordlys.db.write(modules.set_on, ERP_MODULE, True, "test")
    erp = tryton.erp
    number = a_purchase_from(erp, "Fjord Lager AS")
    connection = await connect(nordlys, tryton, "Tryton")

    await run(nordlys, await a_flow(nordlys, connection, "articles", "in"))

    only = {"condition": f"source.number == '{number}'"}
    taken = await run(nordlys, await a_flow(nordlys, connection, "purchase_orders", "in", settings=only))
    assert await refused_in(nordlys, taken) == {}
    [order] = (await nordlys.call("GET", "/purchasing/orders"))["items"]
    await export(nordlys, order)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]

    assert (taken["created"], taken["refused"]) == (1, 0)
    assert (order["number"], draft["number"]) == (number, number)
    whole = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
    assert [line["article_number"] for line in whole["order"]["lines"]] == ["A-100"]


def a_purchase_from(erp: Erp, supplier: str) -> str:
    """A confirmed purchase of 500 bolts under the supplier's number; its number."""
    party = erp.one("party.party", ["name", "=", supplier])
    nok = erp.one("currency.currency", ["code", "=", "NOK"])
    bolt = erp.one("product.product", ["code", "=", "A-100"])
    template = erp.read("product.product", bolt, "template")["template"]
    offer = erp.make("purchase.product_supplier", party=party, code="A-100", currency=nok, template=template)
    line = {"product": bolt, "product_supplier": offer, "unit": erp.one("product.uom", ["symbol", "=", "u"]), "quantity": 500.0,
            "unit_price": Decimal("1.3"), "description": "Bolter"}  # fmt: skip
    made = erp.make("purchase.purchase", party=party, currency=nok, purchase_date=dt.date(2026, 11, 22), lines=many(line),
                    invoice_address=erp.one("party.address", ["party", "=", party]))  # fmt: skip
    erp.press("purchase.purchase", "quote", made)
    erp.press("purchase.purchase", "confirm", made)
    number: str = erp.read("purchase.purchase", made, "number")["number"]
    return number
