"""Orders rung up at a CCV cash desk reach Visma.net, paid late, sold in part, or answered by nobody; source 001 tells the rest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.connectors.loopback import Fault, serving
from tests.connectors.sim_ccv_salespos import CcvSalesPosSim
from tests.connectors.sim_visma_net import VismaNetSim
from tests.connectors.wired import a_company, a_flow, connect, refused_in, run
from tests.stories.company import Company

PAID = {"where": {"is_paid": "true"}}


@pytest.fixture
async def fjord(database_url: str, tmp_path: Path) -> AsyncIterator[Company]:
    """A company with the module ERP connections switched on."""
    async with a_company(database_url, tmp_path / "home") as company:
        yield company


@pytest.fixture
async def desk() -> AsyncIterator[CcvSalesPosSim]:
    """Its cash desk; nothing is sold yet."""
    async with serving(CcvSalesPosSim()) as simulator:
        assert isinstance(simulator, CcvSalesPosSim)
        simulator.rows["orders"].clear()
        yield simulator


@pytest.fixture
async def books() -> AsyncIterator[VismaNetSim]:
    """Its bookkeeping."""
    async with serving(VismaNetSim()) as simulator:
        assert isinstance(simulator, VismaNetSim)
        yield simulator


def sell(desk: CcvSalesPosSim, *, paid: bool = True) -> None:
    """An order at the desk: two of A-100, for a company."""
    bill = {"company": "Nordlys AS", "street": "Kaiveien", "housenumber": 7, "zipcode": "5003", "city": "Bergen", "country_code": "NO"}
    customer = {"email": "innkjop@nordlys.example", "customertype": "b2b", "billingaddress": bill}
    desk.sell("POS-1", {"status": 1, "paid": paid, "currency": "NOK", "order_row_taxes_included": False, "customer": customer})


async def test_an_order_paid_days_later_is_not_missed(fjord: Company, desk: CcvSalesPosSim, books: VismaNetSim) -> None:
    sell(desk, paid=False)
    made, there = await connect(fjord, desk, "Cash desk"), await connect(fjord, books)
    flow = await a_flow(fjord, made, "orders", "in", other=there["id"], settings=PAID)
    before = await run(fjord, flow)

    next(iter(desk.rows["orders"].values()))["paid"] = True
    after = await run(fjord, flow)

    assert (before["created"], after["created"], books.held("orders")) == (0, 1, 1)


async def test_an_order_with_a_product_visma_lacks_is_refused_whole(fjord: Company, desk: CcvSalesPosSim, books: VismaNetSim) -> None:
    sell(desk)
    desk.order_rows[max(desk.order_rows)].append({"id": 9, "product_number": "A-900", "product_name": "Rail", "count": 1, "price": 5})
    made, there = await connect(fjord, desk, "Cash desk"), await connect(fjord, books)
    flow = await a_flow(fjord, made, "orders", "in", other=there["id"], settings=PAID)

    done = await run(fjord, flow)

    assert await refused_in(fjord, done) == {"POS-1": ["article_missing_there"]}
    assert books.held("orders") == 0


async def test_a_reply_lost_on_the_way_doubles_nothing(fjord: Company, desk: CcvSalesPosSim, books: VismaNetSim) -> None:
    sell(desk)
    made, there = await connect(fjord, desk, "Cash desk"), await connect(fjord, books)
    flow = await a_flow(fjord, made, "orders", "in", other=there["id"], settings=PAID)
    books.stumble(Fault(stumble="drop_after", method="POST", path="/SalesOrders"))

    await run(fjord, flow, "waiting")
    await run(fjord, flow)

    assert books.held("orders") == 1
