"""Two companies with something in their books, so that pages have something to show."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.stories.company import FJORD, NORDLYS, Company, running
from tests.stories.test_an_order_arrives import a_line, an_order, export
from tests.stories.test_the_answer_comes_back import approve, draft_of, once_it_is


class World(NamedTuple):
    """The supplier and the buyer, connected, with orders in several states."""

    fjord: Company
    nordlys: Company
    supplier: str
    """Id of the supplier's partner record at the buyer."""
    orders: dict[str, dict[str, Any]]
    """The buyer's orders by what became of them: clean, price, unknown, approved, changed, rejected, new."""
    drafts: dict[str, dict[str, Any]]
    """The supplier's drafts by the same words."""


@asynccontextmanager
async def world(home: Path, template: Path) -> AsyncIterator[World]:
    """Fjord sells, Nordlys buys; Fjord holds orders with unknown articles for a person."""
    for name in ("fjord", "nordlys"):
        (home / name).mkdir(parents=True)
        shutil.copyfile(template, home / name / "prodsys.db")
    async with (
        running(FJORD, f"sqlite:///{home}/fjord/prodsys.db", home / "fjord") as fjord,
        running(NORDLYS, f"sqlite:///{home}/nordlys/prodsys.db", home / "nordlys") as nordlys,
    ):
        await fjord.import_articles()
        supplier = await connect(nordlys, fjord)
        orders = await ordered(nordlys, supplier)
        drafts = await answered(fjord, nordlys, orders)
        yield World(fjord, nordlys, supplier, orders, drafts)


async def connect(buyer: Company, supplier: Company) -> str:
    """The supplier hands over a bundle and the buyer pastes it."""
    handed = await supplier.hand_over("Nordlys Mekaniske AS", "987654325")
    partner = f"/partners/{handed['partner']['id']}"
    seen = await supplier.http.get(partner)
    await supplier.call("PATCH", partner, etag=seen.headers["etag"], json={"when_unknown": "hold"})
    card = await buyer.call("GET", "/company")
    known = {name: card[name] for name in ("name", "organisation_number", "email", "address", "persons")}
    await supplier.call("POST", "/contacts", json={**known, "is_customer": True})
    made = await buyer.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})
    return str(made["id"])


async def ordered(buyer: Company, supplier: str) -> dict[str, dict[str, Any]]:
    """Seven orders, six of them exported."""
    two = [a_line("10", quantity="1200"), a_line("20", "A-200", quantity="400")]
    made = {
        "clean": await an_order(buyer, supplier, *two),
        "price": await an_order(buyer, supplier, a_line("10", quantity="60", unit_price="1.10")),
        "unknown": await an_order(buyer, supplier, *two, a_line("30", "M8-40-ZN", quantity="10", unit_price="412.00")),
        "approved": await an_order(buyer, supplier, *two),
        "changed": await an_order(buyer, supplier, *two),
        "rejected": await an_order(buyer, supplier, a_line("10", "A-300", quantity="24")),
        "new": await an_order(buyer, supplier, *two),
    }
    for word, order in made.items():
        if word != "new":
            await export(buyer, order)
    return made


async def answered(supplier: Company, buyer: Company, orders: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One approved, one answered with a change, one rejected; the others wait."""
    drafts = {word: await draft_of(supplier, order) for word, order in orders.items() if word != "new"}
    await approve(supplier, drafts["approved"])
    instead = {
        "line_id": "20",
        "action": "3",
        "deliveries": [{"quantity": "300"}],
        "reason_code": "out_of_stock",
        "reason": "The rest comes in January",
    }
    await supplier.call(
        "POST", f"/sales/drafts/{drafts['changed']['id']}/answer", json={"lines": [instead]}, etag=drafts["changed"]["etag"]
    )
    gone = drafts["rejected"]
    await supplier.call("POST", f"/sales/drafts/{gone['id']}/reject", json={"reason": "We no longer sell this."}, etag=gone["etag"])
    for word in ("approved", "changed", "rejected"):
        await once_it_is(buyer, orders[word], acceptance=word)
    return drafts
