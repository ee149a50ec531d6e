"""A flow that is killed in the middle of it goes on where it was, and nothing is lost or doubled at either end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from prodsys.articles import store as articles
from prodsys.articles.model import Draft
from prodsys.kit.db import open_database
from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests import postgres
from tests.chaos.killable import Killable, founded, in_time
from tests.connectors.loopback import serving
from tests.connectors.sim_rest import RestSim
from tests.stories.company import FJORD

MANY = 240


@pytest.fixture
async def shop() -> AsyncIterator[RestSim]:
    """A system that takes a few milliseconds for each call."""
    async with serving(RestSim()) as simulator:
        assert isinstance(simulator, RestSim)
        simulator.latency = 0.004
        yield simulator


@pytest.fixture(params=["sqlite", "postgresql"])
async def fjord(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Killable]:
    """A company in a process of its own, with the module ERP connections switched on."""
    with contextlib.ExitStack() as stack:
        url = ""
        if request.param == "postgresql":
            cluster: postgres.Cluster = request.getfixturevalue("cluster")
            url = stack.enter_context(cluster.copy_of(request.getfixturevalue("upgraded")))
        async with founded(FJORD, tmp_path / "fjord", url) as company:
            async with await open_database(company.database_url, lock=False) as db:
                await db.write(modules.set_on, ERP_MODULE, True, "test")
            yield company


async def connected(fjord: Killable, shop: RestSim, direction: str) -> str:
    """A flow of articles to or from the shop; its id."""
    config = shop.config() | {"page_size": 50}
    made = await fjord.call("POST", "/connections", json={"name": "Shop", "connector": "rest", "config": config})
    await fjord.call("POST", f"/connections/{made['id']}/activate")
    flow = await fjord.call("POST", f"/connections/{made['id']}/flows", json={"kind": "articles", "direction": direction})
    return str(flow["id"])


async def run_under_fire(fjord: Killable, flow: str, moments: list[float]) -> None:
    """Run a flow, and kill the company after each of these seconds; at last it may end."""
    for moment in moments:
        await fjord.insist("POST", f"/flows/{flow}/runs")
        await asyncio.sleep(moment)
        fjord.kill()
        fjord.write("UPDATE flows SET run_lease_until = NULL")
        fjord.let_leases_end()
        await fjord.start()
    await fjord.insist("POST", f"/flows/{flow}/runs")

    def ended() -> Any:
        last = fjord.rows("SELECT state FROM flow_runs ORDER BY pk DESC LIMIT 1")
        return last == [("done",)] and not fjord.one("SELECT COUNT(*) FROM flows WHERE run_lease_until IS NOT NULL")

    await in_time(60, ended, what="the flow has run to its end")


@pytest.mark.timeout(240)
async def test_articles_that_leave_are_there_once_each(fjord: Killable, shop: RestSim) -> None:
    async with await open_database(fjord.database_url, lock=False) as db:
        drafts = [Draft(number=f"A-{at:05d}", name=f"Bolt {at}", unit="H87") for at in range(MANY)]
        await db.write(articles.keeping.save_many, drafts)
    await fjord.start()
    flow = await connected(fjord, shop, "out")

    await run_under_fire(fjord, flow, [0.35, 0.7])

    numbers = [row["sku"] for row in shop.rows["products"]]
    assert len(numbers) == len(set(numbers)) == MANY
    assert fjord.one("SELECT COUNT(*) FROM links WHERE state = 'linked'") == MANY
    await fjord.stop()


@pytest.mark.timeout(240)
async def test_articles_that_come_are_here_once_each(fjord: Killable, shop: RestSim) -> None:
    shop.rows["products"] = [
        {"id": at + 1, "sku": f"A-{at:05d}", "title": f"Bolt {at}", "price": {"net": "1.30", "currency": "NOK"}} for at in range(MANY)
    ]
    await fjord.start()
    flow = await connected(fjord, shop, "in")

    await run_under_fire(fjord, flow, [0.3, 0.5])

    assert fjord.one("SELECT COUNT(*) FROM articles") == MANY
    assert fjord.one("SELECT COUNT(*) FROM links WHERE state = 'linked'") == MANY
    await fjord.stop()
