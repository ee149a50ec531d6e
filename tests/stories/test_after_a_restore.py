"""After a restore neither company is without an order the other has, and nothing is there twice."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import select, update

from prodsys.kit.db import Tx
from prodsys.settings import Settings
from prodsys.tables import partners, purchase_orders, sales_orders
from prodsys.upkeep import backup, upgrade
from tests.rooms.makers import wire_order
from tests.stories.company import FJORD, NORDLYS, Company, running
from tests.stories.terminal import Shell
from tests.stories.test_an_order_arrives import a_line, an_order, export


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as `prodsys init` makes it: only such a one can be restored."""
    file = tmp_path_factory.mktemp("migrated") / "prodsys.db"
    upgrade.upgrade(f"sqlite:///{file}")
    return file


class House:
    """A company that can be shut, put back to an earlier day, and opened again at the same address."""

    def __init__(self, card: Any, folder: Path, empty: Path) -> None:
        self.card = card
        self.home = folder
        self.home.mkdir()
        copyfile(empty, folder / "prodsys.db")
        self.port: int | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Company]:
        async with running(self.card, f"sqlite:///{self.home}/prodsys.db", self.home, port=self.port) as company:
            self.port = int(company.url.rpartition(":")[2])
            yield company

    async def back_up(self, company: Company) -> Path:
        file = self.home / "backup.db"
        await backup.backup(company.db, company.instance.vault, file)
        return file

    async def restore(self, file: Path) -> None:
        await backup.restore(file, Settings(home=str(self.home), answers_every_seconds=1))


@pytest.fixture
def fjord_house(tmp_path: Path, migrated: Path) -> House:
    """The supplier."""
    return House(FJORD, tmp_path / "fjord", migrated)


@pytest.fixture
def nordlys_house(tmp_path: Path, migrated: Path) -> House:
    """The buyer."""
    return House(NORDLYS, tmp_path / "nordlys", migrated)


async def connect(fjord: Company, nordlys: Company) -> str:
    await fjord.import_articles()
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    partner = await nordlys.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})
    return str(partner["id"])


async def some_orders(nordlys: Company, supplier: str, count: int) -> list[dict[str, Any]]:
    made = [await an_order(nordlys, supplier, a_line(quantity=str(100 + at))) for at in range(count)]
    await export(nordlys, *made)
    return made


async def drafts(fjord: Company) -> list[dict[str, Any]]:
    return list((await fjord.call("GET", "/sales/drafts", params={"limit": "100"}))["items"])


async def compared(buyer: Company, supplier: str) -> dict[str, Any]:
    """What comparing came to, once it has ended."""

    async def ended() -> Any:
        now = await buyer.call("GET", f"/partners/{supplier}/reconciliation")
        return now if now["ended_at"] and not now["is_due"] else None

    done: dict[str, Any] = await buyer.in_time(ended, 30)
    return done


def documents_of(tx: Tx) -> dict[tuple[str, int], str]:
    rows = tx.execute(select(sales_orders.c.number, sales_orders.c.revision, sales_orders.c.digest))
    return {(row.number, row.revision): row.digest for row in rows}


async def test_drafts_a_restored_supplier_has_lost_come_again_each_once_and_their_answers_arrive(fjord_house: House, nordlys_house: House):
    async with nordlys_house.open() as nordlys:
        async with fjord_house.open() as fjord:
            supplier = await connect(fjord, nordlys)
            kept = await some_orders(nordlys, supplier, 2)
            file = await fjord_house.back_up(fjord)
            lost = await some_orders(nordlys, supplier, 5)
            as_sent = await fjord.db.read(documents_of)
            answered = next(one for one in await drafts(fjord) if one["number"] == lost[0]["number"])
            await fjord.call("POST", f"/sales/drafts/{answered['id']}/approve", etag=answered["etag"])
            await nordlys.in_time(lambda: is_now(nordlys, lost[0], "approved"), 30)
        await fjord_house.restore(file)

        async with fjord_house.open() as fjord:
            before = {one["number"] for one in await drafts(fjord)}
            found = (await compared(nordlys, supplier))["found"]

            async def all_back() -> Any:
                return len(await drafts(fjord)) == 7

            await nordlys.in_time(all_back, 30)
            assert before == {one["number"] for one in kept}
            assert sorted(found["promised_again"]) == sorted(one["number"] for one in lost)
            assert await fjord.db.read(documents_of) == as_sent
            assert (await is_now(nordlys, lost[0], "open"))["answer"] == 0
            for draft in await drafts(fjord):
                now = await fjord.call("GET", f"/sales/drafts/{draft['id']}")
                await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=now["summary"]["etag"])
            for one in [*kept, *lost]:
                now = await nordlys.in_time(lambda one=one: is_now(nordlys, one, "approved"), 30)
                assert now["their_order_number"].startswith("SO-")
            assert "reconcile.promised_again" in {entry["code"] for entry in await nordlys.logged(level="warning")}
            told = [entry["number"] for entry in await nordlys.logged(code="order.approved", number=kept[0]["number"])]
            await nordlys.call("POST", f"/partners/{supplier}/reconcile")
            await compared(nordlys, supplier)
            await nordlys.call("POST", f"/purchasing/orders/{kept[0]['id']}/refresh")
            assert [entry["number"] for entry in await nordlys.logged(code="order.approved", number=kept[0]["number"])] == told
            assert told == [kept[0]["number"]]


async def is_now(buyer: Company, order: dict[str, Any], acceptance: str) -> Any:
    now = await buyer.call("GET", f"/purchasing/orders/{order['id']}")
    return now if now["acceptance"] == acceptance else None


async def test_a_restored_buyer_catches_up_and_sends_nothing_twice(fjord_house: House, nordlys_house: House):
    async with fjord_house.open() as fjord:
        async with nordlys_house.open() as nordlys:
            supplier = await connect(fjord, nordlys)
            first = await some_orders(nordlys, supplier, 1)
            waiting = await an_order(nordlys, supplier, a_line(quantity="7"))
            file = await nordlys_house.back_up(nordlys)
            await export(nordlys, waiting)
            later = await some_orders(nordlys, supplier, 3)
            for draft in await drafts(fjord):
                if draft["number"] == later[0]["number"]:
                    await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])
            await nordlys.in_time(lambda: is_now(nordlys, later[0], "approved"), 30)
            whole = await nordlys.call("GET", f"/purchasing/orders/{later[0]['id']}")
        await nordlys_house.restore(file)

        async with nordlys_house.open() as nordlys:
            [fresh] = await some_orders(nordlys, supplier, 1)
            found = (await compared(nordlys, supplier))["found"]
            before = (await nordlys.call("GET", "/purchasing/orders"))["items"]
            path = f"/partners/{supplier}/reconciliation/take-over"
            one_of_them = found["lost_here"][0]
            first_back = (await nordlys.call("POST", path, json={"orders": [one_of_them["their_id"]]}))["found"]
            taken = (await nordlys.call("POST", path, json={}))["found"]
            strange = await nordlys.call("POST", path, json={"orders": [one_of_them["their_id"]]}, expect=409)

            assert sorted(one["number"] for one in found["lost_here"]) == sorted(one["number"] for one in later)
            assert (fresh["number"], (await is_now(nordlys, fresh, "open"))["delivery"]) == ("PO-200001", "received")
            assert {one["number"] for one in before} == {one["number"] for one in [*first, waiting, fresh]}
            assert [entry["level"] for entry in await nordlys.logged(code="reconcile.not_here")] == ["error"] * 3
            assert (first_back["recovered"], len(first_back["lost_here"])) == ([one_of_them["number"]], 2)
            assert (sorted(taken["recovered"]), taken["lost_here"]) == (sorted(one["number"] for one in later), [])
            assert strange["code"] == "wrong_state"
            assert found["found_there"] == [waiting["number"]]
            assert found["promised_again"] == found["differs"] == found["recovered"] == []
            assert len(await drafts(fjord)) == 6
            listed = (await nordlys.call("GET", "/purchasing/orders"))["items"]
            assert {one["number"]: one["delivery"] for one in listed} == dict.fromkeys(
                [one["number"] for one in [*first, waiting, *later, fresh]], "received"
            )
            again = next(one for one in listed if one["number"] == later[0]["number"])
            now = await nordlys.call("GET", f"/purchasing/orders/{again['id']}")
            assert (now["acceptance"], now["their_order_number"], now["lines"], now["net"]) == (
                "approved", whole["their_order_number"], whole["lines"], whole["net"],
            )  # fmt: skip
            assert (await an_order(nordlys, supplier))["number"] not in {one["number"] for one in listed}
            assert not await fjord.logged(code="order.repeated")

            async def nothing_open() -> Any:
                return not (await nordlys.call("GET", "/alerts", params={"is_open": "true"}))["items"]

            await nordlys.in_time(nothing_open, 30)
            # It is told of as recovered; that it was approved long ago is no news.
            assert not await nordlys.logged(code="order.approved")
            assert not await nordlys.logged(code="answer.unknown_order")


async def test_an_order_that_says_something_else_there_is_said_aloud_with_both_digests(
    fjord: Company, nordlys: Company, connected: str
) -> None:
    [order] = await some_orders(nordlys, connected, 1)
    await fjord.db.write(lambda tx: tx.execute(update(sales_orders).values(digest="1:other")).rowcount)

    await nordlys.call("POST", f"/partners/{connected}/reconcile")
    done = await compared(nordlys, connected)

    [different] = done["found"]["differs"]
    [entry] = await nordlys.logged(code="reconcile.differs")
    assert (different["number"], different["theirs"]) == (order["number"], "1:other")
    assert different["ours"].startswith("1:")
    assert different["ours"] in entry["message"]
    assert "1:other" in entry["message"]
    assert entry["level"] == "error"
    assert len(await drafts(fjord)) == 1


async def test_where_nothing_is_missing_comparing_changes_nothing(fjord: Company, nordlys: Company, connected: str) -> None:
    await some_orders(nordlys, connected, 3)

    await nordlys.call("POST", f"/partners/{connected}/reconcile")
    done = await compared(nordlys, connected)

    assert done["found"]["compared"] == 3
    assert not any(value for name, value in done["found"].items() if name != "compared")
    assert len(await drafts(fjord)) == 3


async def test_an_order_of_which_goods_have_moved_is_left_to_a_person(fjord: Company, nordlys: Company, connected: str) -> None:
    [order] = await some_orders(nordlys, connected, 1)

    def lose(tx: Tx) -> None:
        tx.execute(update(sales_orders).values(number="elsewhere", received_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))

    await fjord.db.write(lose)
    await nordlys.db.write(lambda tx: tx.execute(update(purchase_orders).values(fulfilment="partly")).rowcount)

    await nordlys.call("POST", f"/partners/{connected}/reconcile")
    done = await compared(nordlys, connected)

    assert done["found"]["kept_back"] == [order["number"]]
    assert done["found"]["promised_again"] == []


async def test_another_buyers_orders_are_never_told(fjord: Company, nordlys: Company, connected: str) -> None:
    await some_orders(nordlys, connected, 2)
    other = await fjord.hand_over("Havn Bygg AS", "974760673")

    async with fjord.as_(other["token"]["token"]) as stranger:
        answer = await stranger.post("/purchase-orders/digests", json={"orders": [{"number": "PO-100001", "revision": 1}]})

    assert answer.json() == {
        "missing": [{"number": "PO-100001", "revision": 1}], "differs": [], "behind": [], "others": [], "through": None,
    }  # fmt: skip


async def test_at_a_terminal_books_are_compared_and_what_was_lost_is_taken_over(tmp_path: Path, fjord: Company) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    shell = Shell(tmp_path / "terminal", public_url="http://127.0.0.1:9", allowed_networks="127.0.0.0/8")

    def at_the_terminal(*words: str, stdin: str = "") -> Any:
        return shell.done(*words, "--json", stdin=stdin).json

    await asyncio.to_thread(shell.begin, "Nordlys Mekaniske AS", "987654325")
    await asyncio.to_thread(at_the_terminal, "partner", "add", "--bundle", "-", stdin=handed["token"]["bundle"])
    async with fjord.as_(handed["token"]["token"]) as partner:
        lost = await partner.post("/purchase-orders", json=wire_order(buyer={"name": "Nordlys", "organisation_number": "987654325"}))

    found = (await asyncio.to_thread(at_the_terminal, "partner", "reconcile", "Fjord Lager AS"))["found"]
    taken = (await asyncio.to_thread(at_the_terminal, "partner", "take-over", "Fjord Lager AS"))["found"]

    assert lost.status_code == 201, lost.text
    assert [one["their_id"] for one in found["lost_here"]] == [lost.json()["id"]]
    assert (taken["recovered"], taken["lost_here"]) == ([lost.json()["number"]], [])
    shown = await asyncio.to_thread(at_the_terminal, "order", "show", lost.json()["number"])
    assert (shown["delivery"], shown["acceptance"]) == ("received", "open")


@pytest.mark.parametrize(("theirs", "next_one"), [("PO-100007", "PO-100008"), ("PO-999999", "PO-100001"), ("4711", "PO-100001")])
async def test_a_number_a_supplier_holds_in_our_name_is_not_given_again(
    fjord: Company, nordlys: Company, connected: str, theirs: str, next_one: str
) -> None:
    token = nordlys.instance.vault.unseal(await nordlys.db.read(lambda tx: tx.execute(select(partners.c.token)).scalar_one()))
    async with fjord.as_(token) as partner:
        buyer = {"name": NORDLYS.name, "organisation_number": NORDLYS.organisation_number}
        assert (await partner.post("/purchase-orders", json=wire_order(number=theirs, buyer=buyer))).status_code == 201

    await nordlys.call("POST", f"/partners/{connected}/reconcile")
    found = (await compared(nordlys, connected))["found"]

    assert [one["number"] for one in found["lost_here"]] == [theirs]
    assert (await an_order(nordlys, connected))["number"] == next_one
