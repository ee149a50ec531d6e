"""A reply that is lost behind a write doubles no order in any system: it is looked for there, or a person is asked to look."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from prodsys.connections import store
from prodsys.connections.abroad import Abroad, Going
from prodsys.connections.model import FlowSettings
from prodsys.connections.preparing import manner_of
from prodsys.exchange.engine import Outcome, Placed, Refused, place_abroad
from prodsys.kit.outbound import Later
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.test_promises import Bench, simulator_of
from tests.connectors.wired import a_company, connect
from tests.stories.company import Company

SYSTEMS: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ("eaccounting", {}, True),
    ("accountview", {}, True),
    ("asperion", {"checks_orders": False}, True),
    ("asperion", {"checks_orders": False, "order_lookup": ""}, False),
    ("buchhaltungsbutler", {}, False),
    ("buchhaltungsbutler", {"orders_become": "offer"}, False),
    ("ccv_salespos", {}, True),
)
"""A system, what of its form is other than usual, and whether an order can be looked up there."""


@pytest.fixture
async def fjord(database_url: str, tmp_path: Path) -> AsyncIterator[Company]:
    """A company with the module ERP connections switched on."""
    async with a_company(database_url, tmp_path / "home") as company:
        yield company


async def place(fjord: Company, connection: str, bench: Bench, form: dict[str, Any]) -> Outcome:
    """Bring the example order there, as one run of a flow does."""
    kept = await fjord.db.read(store.connections.one, connection)
    settings = FlowSettings(debtor="default", default_debtor=bench.simulator.known("orders").customer)
    manner = await fjord.db.read(manner_of, kept, "orders", settings)
    target = Abroad(fjord.db, kept.pk, bench.connect(**form), "orders", manner)
    [outcome] = await place_abroad([Going(ours="so_1", document=bench.simulator.examples["orders"])], target)
    return outcome


@pytest.mark.parametrize("stumble", ["drop_after", "hang_after"])
@pytest.mark.parametrize(("name", "form", "is_found"), SYSTEMS)
async def test_an_order_whose_reply_was_lost_is_there_once_however_often_the_flow_runs(
    fjord: Company, name: str, form: dict[str, Any], is_found: bool, stumble: Any
) -> None:
    async with serving(simulator_of(name)) as simulator:
        connection = (await connect(fjord, simulator))["id"]
        before = made(simulator)
        # Signing in has changed the tokens, so we go on with what the system gives out now.
        async with reaching(simulator, timeout=0.5) as reach:
            bench = Bench(simulator=simulator, reach=reach)
            simulator.stumble(Fault(stumble=stumble, method="POST"))
            lost = await place(fjord, connection, bench, form)
            after = [await place(fjord, connection, bench, form) for _ in range(3)]

    assert isinstance(lost, Later)
    assert lost.sent
    assert made(simulator) == before + 1
    if is_found:
        assert all(isinstance(one, Placed) and not one.new for one in after), after
    else:
        assert [one.code for one in after if isinstance(one, Refused)] == ["unknown_there"] * 3


def made(simulator: Any) -> int:
    """How many orders it holds, drafts and offers that became of them included."""
    return int(simulator.held("orders")) + (int(simulator.held("invoices")) if simulator.name == "buchhaltungsbutler" else 0)
