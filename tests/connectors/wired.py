"""A company that serves, and other systems it is connected to as an admin would connect them."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import Simulator, serving
from tests.connectors.sim_eaccounting import EAccountingSim
from tests.stories.company import FJORD, Company, running


@contextlib.asynccontextmanager
async def a_company(database_url: str, home: Path, **settings: Any) -> AsyncIterator[Company]:
    """Fjord Lager with its articles and the module ERP connections switched on."""
    async with running(FJORD, database_url, home, **settings) as company:
        await company.db.write(modules.set_on, ERP_MODULE, True, "test")
        yield company


@contextlib.asynccontextmanager
async def an_eaccounting() -> AsyncIterator[EAccountingSim]:
    """eAccounting on loopback."""
    simulator = EAccountingSim()
    async with serving(simulator):
        yield simulator


async def sign_in(company: Company, simulator: Simulator, **config: Any) -> str:
    """Somebody signs in at the other system, in a browser that comes back to us; the id of the grant."""
    asked = {"connector": simulator.name, "config": simulator.config() | config}
    begun = await company.call("POST", "/connections/authorizations", json=asked)
    state = parse_qs(urlsplit(begun["url"]).query)["state"][0]
    async with company.as_(None) as browser:
        back = await browser.get("/connections/authorized", params={"code": "the-code", "state": state}, follow_redirects=False)
    assert back.status_code in (302, 303, 307), back.text
    return str(begun["id"])


async def connect(company: Company, simulator: Simulator, name: str = "Books", **more: Any) -> dict[str, Any]:
    """A connection that is tested, saved and activated."""
    wanted = {"name": name, "connector": simulator.name, "config": simulator.config()} | more
    if simulator.grant() is not None:
        wanted["grant"] = await sign_in(company, simulator)
    made = await company.call("POST", "/connections", json=wanted)
    active: dict[str, Any] = await company.call("POST", f"/connections/{made['id']}/activate")
    return active


async def a_flow(company: Company, connection: dict[str, Any], kind: str, direction: str, **more: Any) -> dict[str, Any]:
    """A flow of this connection."""
    made: dict[str, Any] = await company.call(
        "POST", f"/connections/{connection['id']}/flows", json={"kind": kind, "direction": direction, **more}
    )
    return made


async def run(company: Company, flow: dict[str, Any], state: str = "done") -> dict[str, Any]:
    """Run a flow by hand and wait for its end; the run."""
    before = (await company.call("GET", f"/flows/{flow['id']}"))["last_run"]
    await company.call("POST", f"/flows/{flow['id']}/runs")

    async def ended() -> Any:
        newest = (await company.call("GET", f"/flows/{flow['id']}"))["last_run"]
        is_new = newest is not None and newest["id"] != (before or {}).get("id")
        return newest if is_new and newest["state"] != "running" else None

    done: dict[str, Any] = await company.in_time(ended)
    assert done["state"] == state, done
    return done


async def refused_in(company: Company, run: dict[str, Any]) -> dict[str, list[str]]:
    """What a run did not take over: the codes of its reasons by number."""
    records = (await company.call("GET", f"/runs/{run['id']}/records"))["items"]
    return {record["number"]: [issue["code"] for issue in record["issues"]] for record in records}
