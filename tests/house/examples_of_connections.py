"""The operations of ERP connections, really asked once, with eAccounting on loopback at the other end."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from prodsys.modules import store as modules
from prodsys.modules.model import ERP_MODULE
from tests.connectors.loopback import serving
from tests.connectors.sim_eaccounting import EAccountingSim
from tests.connectors.sim_remote_sync import RemoteSyncSim
from tests.stories.company import Company

if TYPE_CHECKING:
    from tests.house.examples import Recorder

PRICES = {"field": "currency", "step": {"do": "constant", "value": "NOK"}}


async def connections(r: "Recorder", fjord: Company) -> None:
    """Connect the books, say what goes where, bring the articles in, and take leave again."""
    await fjord.db.write(modules.set_on, ERP_MODULE, True, "console")
    books = EAccountingSim()
    await r.ask(fjord, "GET", "/connectors")
    await r.ask(fjord, "GET", "/connectors/{name}", name="eaccounting")
    async with serving(books):
        await _ask_everything(r, fjord, books)


async def _ask_everything(r: "Recorder", fjord: Company, books: EAccountingSim) -> None:
    await _ask_a_remote(r, fjord)
    form = {"connector": "eaccounting", "config": books.config()}
    begun = await r.read(fjord, "POST", "/connections/authorizations", body=form)
    state = parse_qs(urlsplit(begun["url"]).query)["state"][0]
    async with fjord.as_(None) as browser:
        await browser.get("/connections/authorized", params={"code": "the-code", "state": state}, follow_redirects=False)
    await r.ask(fjord, "GET", "/connections/authorizations/{id}", id=begun["id"])
    await r.ask(fjord, "POST", "/connections/test", body=form | {"grant": begun["id"]})
    made = await r.ask(
        fjord, "POST", "/connections", headers={"Idempotency-Key": "books-1"}, body=form | {"name": "The Oslo books", "grant": begun["id"]}
    )
    id = made.json()["id"]  # noqa: A001 - the word of the address
    read = await r.ask(fjord, "GET", "/connections/{id}", id=id)
    named = {"description": "Bookkeeping of the Oslo office", "priority": 1}
    changed = await r.ask(fjord, "PATCH", "/connections/{id}", id=id, headers={"If-Match": read.headers["etag"]}, body=named)
    same = {"config": made.json()["config"]}
    await r.ask(fjord, "PUT", "/connections/{id}/config", id=id, headers={"If-Match": changed.headers["etag"]}, body=same)
    await r.ask(fjord, "POST", "/connections/{id}/test", id=id)
    await r.ask(fjord, "POST", "/connections/{id}/activate", id=id)
    way = {"id": id, "kind": "articles", "direction": "in"}
    await r.ask(fjord, "PUT", "/connections/{id}/mapping/{kind}/{direction}", **way, body={"rules": [PRICES]})
    await r.ask(fjord, "GET", "/connections/{id}/mapping/{kind}/{direction}", **way)
    await r.ask(fjord, "GET", "/connections/{id}/mapping/{kind}/{direction}/versions", **way)
    asked = {"kind": "articles", "direction": "in", "record": "A-100", "adjustments": {"rules": [PRICES]}}
    await r.ask(fjord, "POST", "/connections/{id}/preview", id=id, body=asked)
    await r.ask(fjord, "GET", "/connections/{id}/lists/{name}/choices", id=id, name="payment_terms")
    terms = {"direction": "out", "source": "30", "target": books.config()["terms_of_payment"], "title": "30 dager"}
    await r.ask(fjord, "PUT", "/connections/{id}/lists/{name}", id=id, name="payment_terms", body={"entries": [terms]})
    await r.ask(fjord, "GET", "/connections/{id}/lists", id=id)
    flow = await r.read(fjord, "POST", "/connections/{id}/flows", id=id, body={"kind": "articles", "direction": "in"})
    await r.ask(fjord, "POST", "/flows/{id}/runs", id=flow["id"])
    run = await fjord.in_time(lambda: _ended(fjord, flow["id"]))
    await r.ask(fjord, "GET", "/flows")
    await r.ask(fjord, "GET", "/connections/{id}/flows", id=id)
    read = await r.ask(fjord, "GET", "/flows/{id}", id=flow["id"])
    await r.ask(
        fjord, "PATCH", "/flows/{id}", id=flow["id"], headers={"If-Match": read.headers["etag"]}, body={"settings": {"amount": 100}}
    )
    await r.ask(fjord, "GET", "/flows/{id}/runs", id=flow["id"])
    await r.ask(fjord, "GET", "/runs/{id}", id=run["id"])
    await r.ask(fjord, "GET", "/runs/{id}/records", id=run["id"])
    await _one_that_asks(r, fjord, id, books)
    await r.ask(fjord, "POST", "/flows/{id}/restart", id=flow["id"])
    await r.ask(fjord, "GET", "/connections/records", query={"kind": "articles", "ours": "A-100"})
    await r.ask(fjord, "GET", "/connections/{id}/links", id=id, query={"kind": "articles", "limit": 1})
    await r.ask(
        fjord, "POST", "/connections/{id}/links", id=id, body={"kind": "articles", "ours": "A-300", "theirs": books.an_article("A-300")}
    )
    await r.ask(fjord, "POST", "/connections/{id}/import", id=id, body={"kinds": ["contacts"]})
    [imported] = [one for one in (await fjord.call("GET", "/flows"))["items"] if one["kind"] == "contacts"]
    await fjord.in_time(lambda: _ended(fjord, imported["id"]))
    await r.ask(fjord, "GET", "/connections", query={"limit": 10})
    await r.ask(fjord, "POST", "/connections/{id}/deactivate", id=id)
    read = await r.ask(fjord, "GET", "/flows/{id}", id=flow["id"])
    await r.ask(fjord, "DELETE", "/flows/{id}", id=flow["id"], headers={"If-Match": read.headers["etag"]})
    await r.ask(fjord, "DELETE", "/connections/{id}", id=id, headers={"If-Match": "*"})


async def _one_that_asks(r: "Recorder", fjord: Company, connection: str, books: EAccountingSim) -> None:
    """An article whose currency a person has to say."""
    books.an_article("B-500")
    asks = {"field": "currency", "default": "NOK", "mode": "ask"}
    await fjord.call("PUT", f"/connections/{connection}/mapping/articles/in", json={"fields": [asks]})
    settings = {"condition": "source.Number == 'B-500'"}
    flow = await fjord.call("POST", f"/connections/{connection}/flows", json={"kind": "articles", "direction": "in", "settings": settings})
    await fjord.call("POST", f"/flows/{flow['id']}/runs")
    run = await fjord.in_time(lambda: _ended(fjord, flow["id"]))
    [record] = (await fjord.call("GET", f"/runs/{run['id']}/records"))["items"]
    await r.ask(fjord, "POST", "/runs/records/{id}/retry", id=record["id"], body={"given": {"currency": "NOK"}})


async def _ask_a_remote(r: "Recorder", fjord: Company) -> None:
    async with serving(RemoteSyncSim()) as remote:
        named = {"name": "Old ERP", "url": remote.config()["url"]}
        await r.ask(fjord, "POST", "/connectors/{name}/form", name="remote_sync", body={"config": named})


async def _ended(fjord: Company, flow: str) -> Any:
    run = (await fjord.call("GET", f"/flows/{flow}"))["last_run"]
    return run if run is not None and run["state"] != "running" else None
