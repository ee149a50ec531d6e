"""Makers that default everything, so that a test names only what it is about."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from sqlalchemy import insert, select

from prodsys.articles import store as articles
from prodsys.articles.model import Draft, Known
from prodsys.company import actions as company
from prodsys.contacts import store as contacts
from prodsys.documents import Order, Party, digest, reader, write
from prodsys.exchange import outbox
from prodsys.exchange.courier import Courier
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Promise
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.db.driver import raw
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import new_trace
from prodsys.partners import store as partners
from prodsys.sales import receiving
from prodsys.sales.model import Arrival
from prodsys.scopes import GUIDE_SCOPES, Caller, Scope
from prodsys.tables import agreed_prices, log_entries
from prodsys.tables import contacts as contacts_table

T = TypeVar("T")

OURS, THEIRS = "999999999", "987654325"
US = Party(name="Fjord Lager AS", organisation_number=OURS)
DESK = Caller(token="tk_desk", name="Ola at the order desk", scopes=frozenset(Scope))
"""Somebody of the house who may do everything."""

read_order = reader(Order)

A_BUYER = {
    "name": "Nordlys Mekaniske AS",
    "organisation_number": THEIRS,
    "email": "innkjop@nordlys.example",
    "address": {"street": "Verkstedveien", "house_number": "1", "postcode": "4020", "city": "Stavanger", "country": "NO"},
}


def a_line(line_id: str = "10", article: str = "A-100", **more: Any) -> dict[str, Any]:
    """A line of the wire: two pieces at the list price of A-100."""
    return {"line_id": line_id, "article_number": article, "quantity": "2", "unit": "H87", "unit_price": "129.50", **more}


def wire_order(number: str = "PO-1", article: str = "A-100", lines: Sequence[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """An order as it stands on the wire."""
    return {
        "number": number,
        "date": "2026-11-21",
        "currency": "NOK",
        "buyer": A_BUYER,
        "lines": [a_line(article=article)] if lines is None else list(lines),
        **more,
    }


def an_order(number: str = "PO-1", article: str = "A-100", lines: Sequence[dict[str, Any]] | None = None, **more: Any) -> Order:
    """An order as it is read from the wire; one line of two A-100 unless something else is said."""
    order: Order = read_order(msgspec.json.encode(wire_order(number, article, lines, **more)))
    return order


def an_arrival(order: Order, at: int = 0) -> Arrival:
    """An order at our door."""
    return Arrival(at=at, order=order, body=write(order).decode(), trace=new_trace(), digest=digest(order))


def a_company(tx: Tx) -> None:
    """Our own company, Fjord Lager AS."""
    company.begin(tx, US)


def a_partner(tx: Tx, name: str = "Nordlys", **columns: Any) -> int:
    """A partner without a contact, who may see every article; its key."""
    return partners.put(tx, {"name": name, **columns})[0]


def a_contact(tx: Tx, card: dict[str, Any] | None = None, **more: Any) -> int:
    """A contact with the buyer's card; its key."""
    [made] = contacts.create(tx, contacts.New(card=msgspec.convert(card or A_BUYER, Party), is_customer=True, **more), actor="test")
    return int(tx.execute(select(contacts_table.c.pk).where(contacts_table.c.id == made)).scalar_one())


def some_articles(tx: Tx, *drafts: Draft | str) -> dict[str, Known]:
    """Articles by their numbers; a number alone is an active one at 129.50 NOK a piece. Without any: A-100, A-200 and A-300."""
    wanted = [an_article(one) if isinstance(one, str) else one for one in drafts or ("A-100", "A-200", "A-300")]
    articles.keeping.save_many(tx, wanted)
    return articles.finding.by_numbers(tx, [one.number for one in wanted])


def an_article(number: str = "A-100", **more: Any) -> Draft:
    """An article as somebody would have it."""
    usual: dict[str, Any] = {"name": f"Bolt {number}", "unit": "H87", "price": Decimal("129.50"), "currency": "NOK"}
    return Draft(number=number, **(usual | more))


def an_agreed_price(tx: Tx, partner: int, article: int, price: str, **more: Any) -> None:
    """A price agreed with a partner, from now on and for any quantity."""
    row = {"id": new_id("ag"), "partner": partner, "article": article, "price": Decimal(price), "currency": "NOK", "changed_at": now()}
    tx.execute(insert(agreed_prices).values(row | more))


def a_caller(partner: int) -> Caller:
    """Somebody with the token this partner was given."""
    return Caller(token=f"tk_{partner}", name="Nordlys", scopes=frozenset(GUIDE_SCOPES), partner=partner)


class Supplier(msgspec.Struct, frozen=True, kw_only=True):
    """A supplier with a company card, a partner who buys, and A-100, A-200 and A-300 at 129.50 NOK."""

    db: Database
    partner: int
    articles: dict[str, Known]

    async def receive(self, *orders: Order, partner: int | None = None) -> list[Outcome]:
        """What becomes of orders that arrive together."""
        caller = a_caller(self.partner if partner is None else partner)
        return await self.db.write(receiving.receive, caller, [an_arrival(order, at) for at, order in enumerate(orders)])

    async def a_draft(self, order: Order | None = None, partner: int | None = None) -> str:
        """The id of an order that was taken."""
        [outcome] = await self.receive(order or an_order(), partner=partner)
        return placed(outcome).id


async def a_supplier(db: Database, **partner: Any) -> Supplier:
    """A supplier in a fresh database; the columns of its partner may be given."""

    def opened(tx: Tx) -> Supplier:
        a_company(tx)
        return Supplier(db=db, partner=a_partner(tx, **partner), articles=some_articles(tx))

    return await db.write(opened)


def placed(outcome: Outcome) -> Placed:
    """The outcome, which must be that the document is there."""
    assert isinstance(outcome, Placed), outcome
    return outcome


def refused(outcome: Outcome) -> Refused:
    """The outcome, which must be a refusal."""
    assert isinstance(outcome, Refused), outcome
    return outcome


def codes(outcome: Outcome) -> list[str]:
    """The codes of a refusal's issues."""
    return [issue.code for issue in refused(outcome).issues]


async def logged(db: Database, *wanted: str) -> list[Any]:
    """The log entries with one of these codes, oldest first; all of them when none is named."""

    def rows(tx: Tx) -> list[Any]:
        everything = tx.execute(select(log_entries).order_by(log_entries.c.pk)).all()
        return [row for row in everything if not wanted or row.code in wanted]

    return await db.read(rows)


def a_promise(dedup: str, lane: str = "pa_1", chain: str | None = None, **more: Any) -> Promise:
    """A promise that is due now and a chain of its own."""
    usual: dict[str, Any] = {"kind": "order", "subject": dedup, "document": f'"{dedup}"', "trace": new_trace()}
    return Promise(lane=lane, chain=chain or dedup, dedup=dedup, **(usual | more))


async def promised(db: Database, *promises: Promise) -> list[str]:
    """Promises made in one unit of work; their ids."""
    return await db.write(outbox.promise, *promises)


async def asked_of(db: Database, unit: Callable[..., object], *args: Any, **kwargs: Any) -> list[str]:
    """Every SELECT and UPDATE a unit sends to SQLite, with its values."""
    seen: list[str] = []

    def traced(tx: Tx) -> None:
        connection: sqlite3.Connection = raw(tx)
        connection.set_trace_callback(seen.append)
        try:
            unit(tx, *args, **kwargs)
        finally:
            connection.set_trace_callback(None)

    await db.write(traced)
    return [sql for sql in seen if sql.lstrip().upper().startswith(("SELECT", "UPDATE"))]


async def plans_of(db: Database, unit: Callable[..., object], *args: Any, **kwargs: Any) -> list[str]:
    """How SQLite goes about each of these: the steps of its plan, one text a statement."""
    asked = await asked_of(db, unit, *args, **kwargs)

    def explained(tx: Tx) -> list[str]:
        return ["\n".join(row[3] for row in raw(tx).execute(f"EXPLAIN QUERY PLAN {sql}")) for sql in asked]

    return await db.read(explained)


def goes_by_index(plans: Sequence[str], table: str, walking: str = "no index") -> None:
    """Nothing reads a table from end to end, sorts, or builds an index for the occasion; one index may be walked in its order."""
    assert plans
    for plan in plans:
        assert "USE TEMP B-TREE" not in plan, plan
        assert "AUTOMATIC" not in plan, plan
        assert f"SCAN {table}" not in plan.replace(f"SCAN {table} USING INDEX {walking}", ""), plan


async def eventually(ask: Callable[[], Awaitable[T]], is_so: Callable[[T], bool]) -> T:
    """What is answered as soon as something is so of it, within half a minute."""
    async with asyncio.timeout(30):
        while not is_so(answer := await ask()):  # noqa: ASYNC110  # what is waited for is written by somebody else
            await asyncio.sleep(0.01)
    return answer


async def turned(courier: Courier) -> bool:
    """Take what is due and carry it to its end, as one turn of `run` does; whether there was anything."""
    took = await courier._take()
    while courier._under_way:
        await asyncio.wait(set(courier._under_way))
    return took
