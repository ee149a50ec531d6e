"""The whole chain: a purchase order of the buyer's ERP becomes an order in the supplier's, and nobody types it twice."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.wired import a_flow, an_eaccounting, connect, refused_in, run
from tests.stories.company import FJORD, NORDLYS, Company, running
from tests.stories.test_an_order_arrives import export
from tests.stories.test_orders_reach_the_books import settled

HEAD = "number;date;currency;supplier.name;lines.supplier_article_number;lines.quantity;lines.unit;lines.unit_price;lines.description\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the buyer's ERP puts its purchase orders."""
    folder = tmp_path / "erp"
    folder.mkdir()
    return folder


@pytest.fixture
async def fjord(two_databases: tuple[str, str], tmp_path: Path) -> AsyncIterator[Company]:
    """The supplier, with its articles and the module ERP connections switched on."""
    async with running(FJORD, two_databases[0], tmp_path / "fjord") as company:
        await company.db.write(modules.set_on, ERP_MODULE, True, "test")
        await company.import_articles()
        yield company


@pytest.fixture
async def nordlys(two_databases: tuple[str, str], tmp_path: Path, folder: Path) -> AsyncIterator[Company]:
    """The buyer, whose operator has opened the folder."""
    async with running(NORDLYS, two_databases[1], tmp_path / "nordlys", erp_folders=str(folder)) as company:
        await company.db.write(modules.set_on, ERP_MODULE, True, "test")
        yield company


async def fetched(nordlys: Company, folder: Path) -> dict[str, Any]:
    """The flow that fetches purchase orders from the folder."""
    config = {"folder_in": str(folder), "separator": ";", "decimal_mark": ","}
    made = await nordlys.call("POST", "/connections", json={"name": "ERP", "connector": "files", "config": config})
    await nordlys.call("POST", f"/connections/{made['id']}/activate")
    return await a_flow(nordlys, made, "purchase_orders", "in")


async def test_a_purchase_order_of_the_buyers_erp_becomes_an_order_in_the_suppliers(
    fjord: Company, nordlys: Company, connected: str, folder: Path
) -> None:
    rows = "PO-77;2026-11-21;NOK;Fjord Lager AS;A-100;1200;stk;1,30;Bolt\nPO-77;2026-11-21;NOK;Fjord Lager AS;A-200;3,5;stk;0,45;Nut\n"
    (folder / "purchase_orders-1.csv").write_text(HEAD + rows, "utf-8")
    async with an_eaccounting() as books:
        connection = await connect(fjord, books)
        leaves = await a_flow(fjord, connection, "orders", "out", trigger="event")

        taken = await run(nordlys, await fetched(nordlys, folder))
        [order] = (await nordlys.call("GET", "/purchasing/orders"))["items"]
        await export(nordlys, order)
        [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
        await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag="*")
        await settled(fjord, leaves)

        assert (taken["created"], taken["refused"], order["number"]) == (1, 0, "PO-77")
        [there] = books.rows["orders"].values()
        assert there["YourReference"] == "PO-77"
        assert [(row["ArticleId"], row["Quantity"]) for row in there["Rows"]] == [
            (books.articles["A-100"], Decimal(1200)),
            (books.articles["A-200"], Decimal("3.5")),
        ]


async def test_a_file_that_is_read_again_makes_no_second_order_and_a_faulty_one_says_what_is_wrong(
    nordlys: Company, connected: str, folder: Path
) -> None:
    (folder / "purchase_orders.csv").write_text(HEAD + "PO-1;2026-11-21;NOK;Fjord Lager AS;A-100;2;stk;1,30;Bolt\n", "utf-8")
    flow = await fetched(nordlys, folder)
    await run(nordlys, flow)
    await nordlys.call("POST", f"/flows/{flow['id']}/restart")
    (folder / "purchase_orders-2.csv").write_text(HEAD + "PO-2;2026-11-21;NOK;Nobody we know;A-100;two;stk;1,30;Bolt\n", "utf-8")

    second = await run(nordlys, flow)

    orders = (await nordlys.call("GET", "/purchasing/orders"))["items"]
    assert [order["number"] for order in orders] == ["PO-1"]
    assert await refused_in(nordlys, second) == {"PO-2": ["unreadable"]}
