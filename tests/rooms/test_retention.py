"""What is dropped when its time has come, and what never is."""

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from prodsys import errors
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.logs import store as logs
from prodsys.logs.model import Entry
from prodsys.purchasing import carrying
from prodsys.sales import store as sales
from prodsys.scopes import CONSOLE
from prodsys.settings import Settings
from prodsys.tables import deliveries, log_entries, partners, sales_changes, sales_orders
from prodsys.upkeep import retention
from tests.rooms.doors import company_of
from tests.rooms.makers import Supplier, a_promise, a_supplier, an_order, promised

DAY = dt.timedelta(days=1)
AT = Settings()


async def counted(db: Database, query: Any) -> int:
    return await db.read(lambda tx: int(tx.execute(query).scalar_one()))


async def a_log(db: Database, age: dt.timedelta, *, body: str = "x" * 100, count: int = 1) -> None:
    def write(tx: Tx) -> None:
        rows = [
            {
                "id": new_id("lg"), "at": now() - age, "level": "info", "code": "order.received", "message": "An order.",
                "direction": "in", "trace_id": "", "request": body, "response": body,
            }
            for _ in range(count)
        ]  # fmt: skip
        tx.execute(insert(log_entries), rows)

    await db.write(write)


async def test_log_rows_go_after_their_days_and_their_documents_sooner(db: Database):
    await a_log(db, 91 * DAY, count=1_203)
    await a_log(db, 15 * DAY, count=3)
    await a_log(db, 13 * DAY)

    dropped = await retention.run(db, AT)

    assert (dropped.log_entries, dropped.log_bodies) == (1_203, 1_206)
    assert await counted(db, select(func.count()).select_from(log_entries)) == 4
    assert await counted(db, select(func.count(log_entries.c.request))) == 1
    assert (await retention.run(db, AT)).log_bodies == 0


async def test_the_newest_log_row_stays_so_that_no_key_is_given_twice(db: Database):
    await a_log(db, 200 * DAY, count=3)

    await retention.run(db, AT)
    await db.write(logs.tell, Entry(code="company.changed", message="Later."))

    keys = await db.read(lambda tx: list(tx.execute(select(log_entries.c.pk).order_by(log_entries.c.pk)).scalars()))
    assert keys == [3, 4]


async def test_with_no_days_for_documents_they_go_at_once_but_what_died_can_still_be_sent_again(db: Database):
    await a_log(db, dt.timedelta(minutes=2))
    await promised(db, a_promise("done"), a_promise("dead"))
    await settled(db, {"done": "done", "dead": "dead"}, dt.timedelta(minutes=2))
    at_once = Settings(log_bodies_days=0)

    dropped = await retention.run(db, at_once)

    assert (dropped.log_bodies, dropped.delivered) == (1, 1)
    assert await has_document(db) == {"done": False, "dead": True}
    assert retention.every(at_once) == retention.AT_ONCE
    assert retention.every(AT) == retention.EVERY


async def settled(db: Database, states: dict[str, str], age: dt.timedelta) -> None:
    def end(tx: Tx) -> None:
        for dedup, state in states.items():
            tx.execute(update(deliveries).where(deliveries.c.dedup == dedup).values(state=state, settled_at=now() - age))

    await db.write(end)


async def has_document(db: Database) -> dict[str, bool]:
    return await db.read(lambda tx: {row.dedup: row.document is not None for row in tx.execute(select(deliveries))})


async def test_the_ledger_forgets_the_bytes_after_14_days_and_says_so_when_they_are_wanted_again(db: Database):
    [old, fresh, waiting] = await promised(db, a_promise("old"), a_promise("fresh"), a_promise("waiting"))
    await settled(db, {"old": "dead"}, 15 * DAY)
    await settled(db, {"fresh": "dead"}, 13 * DAY)

    dropped = await retention.run(db, AT)

    assert dropped.delivered == 1
    assert await has_document(db) == {"old": False, "fresh": True, "waiting": True}
    assert [fresh, waiting]
    assert not await db.write(outbox.send_again, old)
    with pytest.raises(errors.WrongState, match="purged"):
        await db.write(carrying.send_again, CONSOLE, old)


async def a_feed(db: Database, supplier: Supplier, ages: list[dt.timedelta]) -> None:
    draft = await supplier.a_draft(an_order())

    def tell(tx: Tx) -> None:
        order = tx.execute(select(sales_orders.c.pk).where(sales_orders.c.id == draft)).scalar_one()
        base = sales.told.feed_end(tx, supplier.partner)
        for at, age in enumerate(ages, base + 1):
            row = {"partner": supplier.partner, "position": at, "order": order, "kind": "x", "document": "{}", "at": now() - age}
            tx.execute(insert(sales_changes).values(row))
        tx.execute(update(partners).where(partners.c.pk == supplier.partner).values(feed_position=base + len(ages)))

    await db.write(tell)


async def test_a_feed_is_shortened_from_its_beginning_only_and_its_lowest_position_is_known(db: Database):
    supplier = await a_supplier(db)
    await a_feed(db, supplier, [400 * DAY, 380 * DAY, 10 * DAY, 400 * DAY, DAY])

    dropped = await retention.run(db, AT)

    assert dropped.changes == 2
    assert await db.read(sales.told.feed_purged, supplier.partner) == 2
    assert await db.read(sales.told.feed_end, supplier.partner) == 5


async def test_a_feed_of_which_nothing_is_left_is_purged_to_its_end(db: Database):
    supplier = await a_supplier(db)
    await a_feed(db, supplier, [400 * DAY] * 3)

    await retention.run(db, AT)

    assert await db.read(sales.told.feed_purged, supplier.partner) == 3


async def test_orders_and_their_natural_keys_are_never_dropped(db: Database):
    supplier = await a_supplier(db)
    await supplier.a_draft(an_order())
    await db.write(lambda tx: tx.execute(update(sales_orders).values(received_at=now() - 4_000 * DAY)).rowcount)

    await retention.run(db, AT)

    [again] = await supplier.receive(an_order())
    assert getattr(again, "new", None) is False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_file_really_shrinks_while_others_write(db: Database, database_url: str):
    file = Path(database_url.removeprefix("sqlite:///"))
    await a_log(db, 91 * DAY, body="x" * 20_000, count=800)
    await a_log(db, DAY)
    grown = await whole_size(db, file)

    dropped = await retention.run(db, AT)
    shrunk = await whole_size(db, file)

    assert dropped.pages > 5_000
    assert await db.read(lambda tx: tx.exec_driver_sql("PRAGMA freelist_count").scalar()) < retention.FEW_PAGES  # type: ignore[operator]
    assert shrunk < grown / 5


async def whole_size(db: Database, file: Path) -> int:
    """The size of the file once what stands in its log is in it."""
    checkpoint: Callable[[], object] = lambda: db._writer.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # type: ignore[attr-defined]  # noqa: E731
    await db._writer.run(checkpoint)  # type: ignore[attr-defined]
    return (await asyncio.to_thread(file.stat)).st_size


async def test_the_numbers_in_force_are_shown_to_who_may_see_settings(db: Database):
    from prodsys.upkeep import api

    async with company_of(db, api.routes) as company:
        token = (await company.a_token()).token
        async with company.caller(token) as caller:
            answer = await caller.get("/settings")

    told = answer.json()
    assert (told["log_days"], told["log_bodies_days"], told["delivery_days"], told["idempotency_hours"]) == (90, 14, 14, 72)
    assert "orders" in told["kept_for_ever"]
