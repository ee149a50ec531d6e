"""How long the answer takes to the buyer, a long feed to be read, and many cards to be compared; over HTTP between two companies here."""

import argparse
import asyncio
import datetime as dt
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import msgspec
from sqlalchemy import func, select

from prodsys.contacts import store as contacts
from prodsys.documents import Acceptance, Address, Message, Party
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.partners import cards as partner_cards
from prodsys.partners import reaching
from prodsys.partners import store as partners
from prodsys.purchasing import abroad
from prodsys.purchasing.answers import pull_answers
from prodsys.sales import store as sales
from prodsys.sales.model import News
from prodsys.scopes import CONSOLE, Scope
from prodsys.tables import contact_syncs
from prodsys.tables import contacts as contacts_table
from prodsys.tokens import actions as tokens
from prodsys.upkeep import upgrade
from tests.stories.company import FJORD, NORDLYS, Company, running
from tests.stories.test_an_order_arrives import an_order

_UNIT = 500
_SCOPES = frozenset({Scope.CONTACTS_READ_WRITE})
"""Of the partners whose cards are compared; so nothing else is asked of them meanwhile."""


class Two(msgspec.Struct, frozen=True):
    """A supplier and a buyer who have pasted his bundle; his id at the buyer."""

    fjord: Company
    nordlys: Company
    supplier: str


class Figure(msgspec.Struct, frozen=True):
    """One thing that was measured."""

    what: str
    figure: str


class Took(msgspec.Struct, frozen=True):
    """Seconds on the wall, and of the processor in both companies, which others on the machine do not lengthen."""

    seconds: float
    processor: float

    def over(self, count: int) -> str:
        """In words, for so many things done."""
        return f"{self.seconds:.1f} s, {count / self.seconds:,.0f}/s; processor {self.processor:.1f} s"


def stopwatch() -> Callable[[], Took]:
    """What it has taken since now, whenever it is asked."""
    began, used = time.monotonic(), time.process_time()
    return lambda: Took(time.monotonic() - began, time.process_time() - used)


class Answers(msgspec.Struct, frozen=True):
    """Seconds from the seller's press of *Approve* to the buyer's order saying so, the undo seconds left out."""

    seconds: list[float]

    def told(self) -> list[Figure]:
        """The middle, the slowest of twenty, the slowest."""
        ranked = sorted(self.seconds)
        shown = {"the middle": ranked[len(ranked) // 2], "19 of 20 within": ranked[len(ranked) * 19 // 20], "the slowest": ranked[-1]}
        return [Figure(f"answer to the buyer, {len(ranked)} of them: {name}", f"{value:.2f} s") for name, value in shown.items()]


class Drained(msgspec.Struct, frozen=True):
    """How long a buyer took to read a feed of so many changes, each in effect once."""

    changes: int
    took: Took

    def told(self) -> list[Figure]:
        """Seconds and changes a second."""
        return [Figure(f"feed of {self.changes:,} changes drained", self.took.over(self.changes))]


class Compared(msgspec.Struct, frozen=True):
    """How long the cards of so many partners took to be compared: for the first time, and when little has changed."""

    cards: int
    first: Took
    again: Took
    changed: int

    def told(self) -> list[Figure]:
        """Both rounds."""
        return [
            Figure(f"{self.cards:,} contacts compared for the first time", self.first.over(self.cards)),
            Figure(f"the same again, {self.changed:,} of them changed", self.again.over(self.cards)),
        ]


async def answers(two: Two, count: int) -> Answers:
    """Approve orders one after the other, each when the buyer knows of the one before, and wait until he does."""
    made = [await an_order(two.nordlys, two.supplier) for _ in range(count)]
    await two.nordlys.call("POST", "/exports", json={"orders": [one["id"] for one in made]})

    async def there() -> Any:
        found = await two.fjord.call("GET", "/sales/drafts", params={"limit": "200", "state": "open"})
        return found["items"] if len(found["items"]) == count else None

    drafts = {one["number"]: one for one in await two.fjord.in_time(there, 120)}
    seconds = []
    for order in made:
        draft = drafts[order["number"]]
        began = time.monotonic()
        await two.fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])

        async def knows(path: str = f"/purchasing/orders/{order['id']}") -> bool:
            return bool((await two.nordlys.call("GET", path))["acceptance"] == "approved")

        await two.nordlys.in_time(knows, 60)
        seconds.append(time.monotonic() - began)
    return Answers(seconds)


async def feed(two: Two, changes: int, orders: int) -> Drained:
    """Let so many things happen to so many orders while the buyer does not listen, then let him read all of it."""
    made = [await an_order(two.nordlys, two.supplier) for _ in range(orders)]
    await two.nordlys.call("POST", "/exports", json={"orders": [one["id"] for one in made]})

    numbers = {one["number"] for one in made}

    def arrived(tx: Tx) -> list[str]:
        return [one.id for _, one in sales.lists.page(tx, before=None, limit=2 * orders) if one.number in numbers]

    async def there() -> Any:
        return len(await two.fjord.db.read(arrived)) == orders

    await two.fjord.in_time(there, 300)
    reach = abroad.reach_by(two.nordlys.instance.outbound, two.nordlys.instance.vault, two.nordlys.instance.settings)
    await pull_answers(two.nordlys.db, reach, two.supplier)
    ids = await two.fjord.db.read(arrived)
    for start in range(0, changes, _UNIT):
        await two.fjord.db.write(_happen, ids, range(start, min(start + _UNIT, changes)))
    taken = stopwatch()
    if fault := await pull_answers(two.nordlys.db, reach, two.supplier):
        raise RuntimeError(fault)
    took = taken()
    for order in (made[0], made[-1]):
        now_says = await two.nordlys.call("GET", f"/purchasing/orders/{order['id']}")
        told, expected = len(now_says["messages"]), len(range(made.index(order), changes, orders)) - 1
        if (now_says["acceptance"], told) != ("approved", expected):
            raise RuntimeError(f"The buyer has {now_says['acceptance']} and {told} messages instead of {expected}.")
    return Drained(changes, took)


def _happen(tx: Tx, ids: Sequence[str], places: range) -> None:
    for at in places:
        row = sales.orders.draft(tx, ids[-1 - at % len(ids)])
        assert row is not None
        if at < len(ids):
            approved = Acceptance.APPROVED.value
            sales.told.publish(tx, row, News(kind="order.approved", acceptance=approved, order_number=f"SO-{at + 1}"))
        else:
            said = Message(id=new_id("ms"), at=now(), author="Ola", text="It is being packed.", line_id="")
            sales.told.publish(tx, row, News(kind="order.message", said=said))


async def cards(two: Two, count: int, changed: int) -> Compared:
    """Compare the cards of so many partners, each with a token and a contact of his own, then again when some have changed."""
    for start in range(0, count, _UNIT):
        places = range(start, min(start + _UNIT, count))
        given = await two.fjord.db.write(_buyers, places)
        await two.nordlys.db.write(_suppliers, two.nordlys.instance.vault.seal, two.fjord.url, given)
    way = reaching.way(two.nordlys.instance.outbound, two.nordlys.instance.vault, two.nordlys.instance.settings)

    async def all_of_them() -> Took:
        taken, since = stopwatch(), now()
        while not await partner_cards.sync_due(two.nordlys.db, msgspec.structs.replace(way, contacts_every=now() - since)):
            pass
        return taken()

    first = await all_of_them()
    await two.fjord.db.write(_change_some, changed)
    again = await all_of_them()
    outcome = await two.nordlys.db.read(_outcome)
    if outcome != (count + 1, changed):  # and the supplier they trade with
        raise RuntimeError(f"Of {count} partners with {changed} changes, (compared, seen to have changed) are {outcome}.")
    return Compared(count, first, again, changed)


def _card(at: int) -> Party:
    street = Address(street="Storgata", house_number=str(at % 200 + 1), postcode=f"{4000 + at % 900}", city="Stavanger", country="NO")
    return Party(name=f"Kunde {at:06d} AS", email=f"post{at}@kunde.example", address=street)


def _buyers(tx: Tx, places: range) -> list[str]:
    """Partners of the supplier's, each with a contact and a token."""
    made = contacts.create(tx, *(contacts.New(card=_card(at), is_customer=True) for at in places), actor="measure")
    given = []
    for at, contact in zip(places, made, strict=True):
        pk, _ = partners.put(tx, {"name": f"Kunde {at:06d} AS", "contact": contacts.key_of(tx, contact)})
        given.append(tokens.create(tx, CONSOLE, name=f"Kunde {at}", scopes=_SCOPES, partner=pk).token)
    return given


def _suppliers(tx: Tx, seal: Callable[[str], str], url: str, given: Sequence[str]) -> None:
    """The same supplier as many times, each with a token of its own and a contact here."""
    made = contacts.create(tx, *(contacts.New(card=FJORD, is_supplier=True) for _ in given), actor="measure")
    for token, contact in zip(given, made, strict=True):
        pk, _ = partners.put(tx, {"name": f"Fjord {new_id('x')[-8:]}", "contact": contacts.key_of(tx, contact)})
        end = now() + dt.timedelta(days=90)
        partners.connect(tx, pk, endpoint=url, trust="admin", sealed=seal(token), expires_at=end, scopes=[one.value for one in _SCOPES])


def _change_some(tx: Tx, count: int) -> None:
    """The supplier notes another street for so many of his customers."""
    rows = tx.execute(select(contacts_table.c.pk, contacts_table.c.version).order_by(contacts_table.c.pk.desc()).limit(count)).all()
    for row in rows:
        stored = contacts.by_key(tx, row.pk)
        assert stored is not None
        moved = msgspec.structs.replace(stored.card, address=Address(street="Nygata", house_number="1", city="Stavanger", country="NO"))
        contacts.change(tx, row.pk, row.version, moved, is_supplier=False, is_customer=True)


def _outcome(tx: Tx) -> tuple[int, int]:
    """How many were compared without a fault, and how many of them are known to have noted another street."""
    fine = tx.execute(select(func.count()).where(contact_syncs.c.fault == "")).scalar_one()
    moved = tx.execute(select(func.count()).where(contact_syncs.c.fault == "", contact_syncs.c.state.contains("Nygata"))).scalar_one()
    return fine, moved


@asynccontextmanager
async def trading(fjord_url: str, nordlys_url: str, home: Path) -> AsyncIterator[Two]:
    """Two connected companies; answers leave at once."""
    async with (
        running(FJORD, fjord_url, home / "fjord", undo_seconds=0) as fjord,
        running(NORDLYS, nordlys_url, home / "nordlys", answers_every_seconds=3600) as nordlys,
    ):
        await fjord.import_articles()
        handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
        partner = await nordlys.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})

        async def registered() -> Any:
            return await nordlys.logged(code="inbox.registered")

        await nordlys.in_time(registered)
        yield Two(fjord, nordlys, str(partner["id"]))


def main() -> None:
    """Measure what was asked for, and tell."""
    asked = argparse.ArgumentParser(prog="scripts/measure", description=__doc__)
    asked.add_argument("--answers", type=int, default=100, help="answers awaited one after the other (100)")
    asked.add_argument("--changes", type=int, default=100_000, help="changes in the feed (100000)")
    asked.add_argument("--orders", type=int, default=1_000, help="orders those changes are about (1000)")
    asked.add_argument("--contacts", type=int, default=50_000, help="partners whose cards are compared (50000)")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="prodsys-measure-") as home:
        asyncio.run(_measured(given, Path(home)))


async def _measured(given: argparse.Namespace, home: Path) -> None:
    empty = home / "empty.db"
    upgrade.upgrade(f"sqlite:///{empty}")
    files = [home / name / "prodsys.db" for name in ("fjord", "nordlys")]
    for file in files:
        file.parent.mkdir()
        copyfile(empty, file)
    async with trading(f"sqlite:///{files[0]}", f"sqlite:///{files[1]}", home) as two:
        _say(await answers(two, given.answers))
        _say(await feed(two, given.changes, given.orders))
        _say(await cards(two, given.contacts, given.contacts // 100))


def _say(found: Answers | Drained | Compared) -> None:
    for one in found.told():
        sys.stdout.write(f"  {one.what:<64} {one.figure}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
