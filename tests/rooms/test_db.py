"""What a unit of work may rely on, on both databases."""

import asyncio
import contextlib
import contextvars
import datetime as dt
import re
import resource
import sqlite3
import threading
from collections.abc import Awaitable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, bindparam, func, insert, select, text, union_all, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from prodsys import errors
from prodsys.kit import clock
from prodsys.kit.db import (
    ELSEWHERE,
    Code,
    Database,
    DatabaseInUse,
    Day,
    DecimalText,
    Hundredths,
    Instant,
    Json,
    Tx,
    hot,
    in_ints,
    in_texts,
    insert_new,
    insert_or_ignore,
    insert_or_update,
    open_database,
    savepoint,
    server_lock,
    signal,
)
from prodsys.kit.db.strand import Strand

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

shelves = Table(
    "test_shelves",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", Code, unique=True, nullable=False),
    Column("room", BigInteger, index=True, default=1, nullable=False),
    Column("quantity", DecimalText),
    Column("amount", Hundredths),
    Column("seen_at", Instant),
    Column("day", Day),
    Column("labels", Json(dict[str, str])),
    Column("changed_at", Instant, default=clock.now, onupdate=clock.now, nullable=False),
)

put_shelf = hot(insert(shelves))
names_of = hot(select(shelves.c.name).order_by(shelves.c.name))
shelf_by_name = hot(select(shelves).where(shelves.c.name == bindparam("wanted")))


class Place(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    room: int


@pytest.fixture
async def db(db: Database) -> Database:
    await db.write(shelves.create)
    return db


def put(tx: Tx, name: str) -> str:
    put_shelf.run(tx, {"name": name})
    return name


def names(tx: Tx) -> list[str]:
    return [row.name for row in names_of.all(tx)]


def put_and_fail(tx: Tx, name: str) -> None:
    put(tx, name)
    raise LookupError(name)


def put_much(tx: Tx) -> None:
    """More than fits into memory, so that SQLite writes to the disk before the commit."""
    tx.exec_driver_sql("PRAGMA cache_size = 10")
    put_shelf.many(tx, [{"name": f"{number:06}" + "x" * 2000} for number in range(2000)])


@contextlib.contextmanager
def full_disk(url: str) -> Iterator[None]:
    """No file may grow beyond what the write-ahead log is now: what SQLite then meets is an I/O error."""
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def results(*calls: Awaitable[object]) -> list[object]:
    """What came of calls made at once: answers, and the kinds of errors."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [type(answer) if isinstance(answer, BaseException) else answer for answer in answers]


async def test_a_unit_that_fails_takes_nobody_with_it(db: Database):
    answers = await results(db.write(put, "a"), db.write(put_and_fail, "b"), db.write(put, "c"))

    assert answers == ["a", LookupError, "c"]
    assert await db.read(names) == ["a", "c"]


@pytest.mark.parametrize("door", ["read", "write"])
async def test_a_unit_that_runs_out_of_an_iterator_does_not_leave_its_caller_waiting(db: Database, door: str):
    def exhausted(tx: Tx) -> object:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await getattr(db, door)(exhausted)


@only_sqlite
async def test_when_the_disk_fills_nobody_of_the_group_is_told_it_was_stored(db: Database, database_url: str):
    with full_disk(database_url):
        answers = await results(db.write(put, "before"), db.write(put_much), db.write(put, "after"))

    assert answers[:2] == [errors.StorageUnavailable] * 2
    assert "before" not in await db.read(names)


@only_sqlite
async def test_a_database_at_its_size_limit_refuses_and_recovers(db: Database):
    def limit(tx: Tx, pages: int) -> None:
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await db.write(limit, 1)
    answers = await results(db.write(put, "before"), db.write(put_much), db.write(put, "after"))
    await db.write(limit, 1_000_000)

    assert answers == [errors.StorageUnavailable, errors.StorageUnavailable, "after"]
    await db.write(put_much)
    assert len(await db.read(names)) == 2001


@only_sqlite
async def test_a_unit_that_swallows_a_full_disk_writes_nothing_outside_its_transaction(db: Database, database_url: str):
    def carry_on(tx: Tx) -> str:
        for attempt in (put_much, lambda tx: put(tx, "hot"), lambda tx: tx.execute(insert(shelves).values(name="core"))):
            with contextlib.suppress(DBAPIError):
                attempt(tx)
        return "all well"

    with full_disk(database_url):
        answers = await results(db.write(carry_on))

    assert answers == [errors.StorageUnavailable]
    assert await db.read(names) == []
    assert await db.write(put, "later") == "later"


@only_sqlite
async def test_a_unit_cannot_step_over_a_full_disk_with_a_savepoint(db: Database, database_url: str):
    def step_over(tx: Tx) -> None:
        with contextlib.suppress(DBAPIError), savepoint(tx):
            put_much(tx)

    with full_disk(database_url):
        answers = await results(db.write(step_over))

    assert answers == [errors.StorageUnavailable]


@only_sqlite
async def test_when_the_commit_fails_nobody_is_told_it_was_stored(db: Database, database_url: str):
    with full_disk(database_url):
        answers = await results(db.write(put, "a"), db.write(put, "b"))

    assert answers == [errors.StorageUnavailable] * 2
    assert await db.read(names) == []
    assert await db.write(put, "later") == "later"


@only_sqlite
async def test_while_somebody_else_holds_the_file_everybody_is_refused(db: Database, database_url: str):
    await db.write(lambda tx: tx.exec_driver_sql("PRAGMA busy_timeout = 0"))
    somebody = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    somebody.execute("BEGIN IMMEDIATE")

    answers = await results(db.write(put, "a"), db.write(put, "b"))
    somebody.close()

    assert answers == [errors.StorageUnavailable] * 2
    assert await db.write(put, "later") == "later"


async def test_a_caller_who_leaves_stops_neither_his_unit_nor_the_writer(db: Database):
    leaving = asyncio.create_task(db.write(put, "left behind"))
    await asyncio.sleep(0)
    leaving.cancel()

    await db.write(put, "next")

    assert leaving.cancelled()
    # On PostgreSQL the two are written side by side, and who has left tells nobody when his is.
    async with asyncio.timeout(30):
        while sorted(await db.read(names)) != ["left behind", "next"]:
            pass


async def test_closing_finishes_what_waits(db: Database, database_url: str):
    waiting = [asyncio.create_task(db.write(put, f"{number:03}")) for number in range(200)]
    await asyncio.sleep(0)

    await db.close()

    assert [await answer for answer in waiting] == [f"{number:03}" for number in range(200)]
    with pytest.raises(errors.StorageUnavailable):
        await db.write(put, "too late")


async def test_a_unit_runs_in_the_context_of_its_caller(db: Database):
    trace = contextvars.ContextVar("trace", default="none")

    async def traced(name: str) -> str:
        trace.set(name)
        return await db.write(lambda tx: trace.get())

    assert await results(traced("a"), traced("b")) == ["a", "b"]


async def test_a_read_sees_one_moment_and_what_was_written_before_it(db: Database):
    first, second = threading.Event(), threading.Event()

    def look_twice(tx: Tx) -> list[list[str]]:
        before = names(tx)
        first.set()
        assert second.wait(10)
        return [before, names(tx)]

    await db.write(put, "a")
    reading = asyncio.create_task(db.read(look_twice))
    await asyncio.to_thread(first.wait, 10)
    await db.write(put, "b")
    second.set()

    assert await reading == [["a"], ["a"]]


async def test_a_read_cannot_write(db: Database):
    with pytest.raises(DBAPIError):
        await db.read(put, "a")

    assert await db.read(names) == []


async def test_a_savepoint_undoes_only_what_is_inside(db: Database):
    told: list[str] = []
    db.listen("inside", lambda: told.append("inside"))
    db.listen("outside", lambda: told.append("outside"))

    def step_back(tx: Tx) -> None:
        put(tx, "kept")
        signal(tx, "outside")
        with contextlib.suppress(IntegrityError), savepoint(tx):
            put(tx, "undone")
            signal(tx, "inside")
            put(tx, "kept")
        put(tx, "also kept")

    await db.write(step_back)
    await asyncio.sleep(0.0)

    assert await db.read(names) == ["also kept", "kept"]
    assert told == ["outside"]


async def test_listeners_hear_of_what_was_committed_once_and_of_nothing_else(db: Database):
    told: list[str] = []
    stop = db.listen("orders", lambda: told.append("orders"))

    def signal_twice(tx: Tx) -> None:
        signal(tx, "orders")
        signal(tx, "orders")

    def signal_and_fail(tx: Tx) -> None:
        signal(tx, "orders")
        raise LookupError

    await results(db.write(signal_and_fail))
    await db.write(signal_twice)
    await db.read(names)
    heard = list(told)
    stop()
    await db.write(signal_twice)
    await db.read(names)

    assert heard == told == ["orders"]


async def test_somebody_hears_when_another_process_wrote(db: Database, database_url: str):
    heard = asyncio.Event()
    db.listen(ELSEWHERE, heard.set)

    async with await open_database(database_url, lock=False) as guest:
        await guest.write(put, "by a guest")

    await asyncio.wait_for(heard.wait(), 10)


@only_sqlite
async def test_our_own_writing_is_not_elsewhere(db: Database):
    await db.write(put, "a")

    assert not await db.has_changed_elsewhere()


@only_sqlite
async def test_a_second_server_on_the_same_file_is_refused(db: Database, database_url: str):
    with pytest.raises(DatabaseInUse, match="Another ProdSys server"):
        await open_database(database_url)

    await db.close()
    async with await open_database(database_url) as after:
        assert await after.read(names) == []


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path):
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, " * 1000)

    with pytest.raises(errors.StorageUnavailable):
        await open_database("sqlite:///letter.db", home=tmp_path)

    with server_lock(tmp_path / "letter.db"):
        pass


@only_sqlite
async def test_a_guest_never_checkpoints(db: Database, database_url: str):
    def setting(tx: Tx) -> int:
        return int(tx.execute(text("PRAGMA wal_autocheckpoint")).scalar_one())

    async with await open_database(database_url, lock=False) as guest:
        assert [await guest.write(setting), await guest.read(setting), await db.read(setting)] == [0, 0, 0]


async def test_a_new_file_can_shrink_and_survives_a_power_cut(tmp_path: Path):
    def settings(tx: Tx) -> dict[str, object]:
        return {
            name: tx.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("auto_vacuum", "journal_mode", "synchronous", "foreign_keys")
        }

    async with await open_database("sqlite:///new.db", home=tmp_path) as db:
        found = await db.write(settings)

    assert found == {"auto_vacuum": 2, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600


@only_sqlite
async def test_free_pages_go_back_to_the_disk(db: Database):
    def free_pages(tx: Tx) -> int:
        return int(tx.execute(text("PRAGMA freelist_count")).scalar_one())

    await db.write(put_much)
    await db.write(lambda tx: tx.execute(shelves.delete()))
    before = await db.read(free_pages)
    await db.incremental_vacuum(10)

    assert await db.read(free_pages) == before - 10


@only_sqlite
async def test_a_backup_is_whole_and_opens_as_a_database(db: Database, tmp_path: Path):
    await db.write(put, "a")

    await db.backup(tmp_path / "copy.db")

    async with await open_database(f"sqlite:///{tmp_path / 'copy.db'}") as copy:
        assert await copy.read(names) == ["a"]
    assert not (tmp_path / "copy.db.part").exists()


@only_postgresql
async def test_a_postgresql_database_is_copied_by_its_own_tool(db: Database, tmp_path: Path):
    with pytest.raises(NotImplementedError, match="pg_dump"):
        await db.backup(tmp_path / "copy.db")


@only_postgresql
@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_a_unit_the_server_sends_back_is_run_again(db: Database, state: str):
    tries: list[int] = []

    def sent_back_twice(tx: Tx) -> int:
        tries.append(put_shelf.run(tx, {"name": "a"}))
        if len(tries) < 3:
            tx.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '{state}'; END $$")
        return len(tries)

    assert await db.write(sent_back_twice) == 3
    assert await db.read(names) == ["a"]


@only_postgresql
async def test_a_unit_the_server_sends_back_three_times_fails(db: Database):
    def always_sent_back(tx: Tx) -> None:
        tx.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$")

    with pytest.raises(DBAPIError):
        await db.write(always_sent_back)


@only_postgresql
async def test_a_lost_connection_is_unavailable_and_the_next_unit_gets_a_new_one(db: Database):
    def lose(tx: Tx) -> None:
        tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(errors.StorageUnavailable):
        await db.write(lose)

    assert await db.write(put, "a") == "a"


async def test_a_server_that_does_not_answer_is_unavailable(tmp_path: Path):
    with pytest.raises(errors.StorageUnavailable):
        await open_database(f"postgresql://nobody@/nothing?host={tmp_path}")


async def test_any_other_kind_of_database_is_refused():
    with pytest.raises(ValueError, match="sqlite:///"):
        await open_database("mysql://somewhere/else")


async def test_values_come_back_as_they_went_in(db: Database):
    row = {
        "name": "Æ-1",
        "room": 2**40,
        "quantity": Decimal("123456789012.123456"),
        "amount": Decimal("-10.05"),
        "seen_at": dt.datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=dt.UTC),
        "day": dt.date(2026, 2, 28),
        "labels": {"colour": "blå"},
        "changed_at": clock.now(),
    }

    await db.write(put_shelf.run, row)

    found = await db.read(shelf_by_name.first, {"wanted": "Æ-1"})
    assert found is not None
    assert found._asdict() == {"id": 1, **row}
    assert await db.read(lambda tx: tx.execute(select(shelves)).one()._asdict()) == {"id": 1, **row}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("1.50", "1.5"), ("1E+3", "1000"), ("-0.00", "0"), ("0E-9", "0"), ("100", "100"), ("0.000001", "0.000001"), ("-1.20", "-1.2")],
)
async def test_a_number_has_one_spelling(db: Database, given: str, kept: str):
    await db.write(put_shelf.run, {"name": "a", "quantity": Decimal(given)})

    assert await db.read(lambda tx: tx.execute(text("SELECT quantity FROM test_shelves")).scalar_one()) == kept


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("amount", Decimal("1.005")),
        ("amount", 1.5),
        ("quantity", 1.5),
        ("quantity", Decimal("NaN")),
        ("seen_at", dt.datetime(2026, 1, 1)),  # noqa: DTZ001
        ("day", clock.now()),
    ],
)
async def test_what_cannot_be_kept_exactly_is_refused(db: Database, column: str, value: object):
    with pytest.raises((ValueError, TypeError)):
        await db.write(put_shelf.run, {"name": "a", column: value})


async def test_amounts_can_be_summed_and_compared_by_the_database(db: Database):
    await db.write(
        put_shelf.many, [{"name": name, "amount": Decimal(amount)} for name, amount in [("a", "0.10"), ("b", "0.20"), ("c", "9.99")]]
    )

    def total(tx: Tx) -> object:
        return tx.execute(select(func.sum(shelves.c.amount)).where(shelves.c.amount < Decimal("1.00"))).scalar_one()

    assert await db.read(total) == Decimal("0.30")


async def test_texts_sort_by_their_bytes_on_both_databases(db: Database):
    await db.write(put_shelf.many, [{"name": name} for name in ("a", "B", "ä", "A-1", "A1")])

    assert await db.read(names) == ["A-1", "A1", "B", "a", "ä"]


async def test_a_row_is_new_only_once(db: Database):
    def twice(tx: Tx) -> list[bool]:
        return [insert_new(tx, shelves, {"name": "a"}), insert_new(tx, shelves, {"name": "a"}), insert_new(tx, shelves, {"name": "b"})]

    assert await db.write(twice) == [True, False, True]
    assert await db.read(names) == ["a", "b"]


async def test_a_row_can_be_made_or_changed_in_one_statement(db: Database):
    keep = hot(insert_or_update(shelves, "name", only=["amount"]).returning(shelves.c.amount, shelves.c.room))

    first = await db.write(keep.first, {"name": "a", "amount": Decimal("1.00"), "room": 5})
    second = await db.write(keep.first, {"name": "a", "amount": Decimal("2.00"), "room": 6})

    assert [first, second] == [(Decimal("1.00"), 5), (Decimal("2.00"), 5)]


async def test_hot_rows_become_structs(db: Database):
    await db.write(put, "a")

    places = hot(select(shelves.c.name, shelves.c.room), Place)

    assert await db.read(places.all) == [Place(name="a", room=1)]


async def test_a_hot_statement_keeps_what_is_written_in_it(db: Database):
    await db.write(put_shelf.many, [{"name": name} for name in "abc"])
    move = hot(
        update(shelves)
        .where(shelves.c.name.in_(["a", "b"]), shelves.c.room == bindparam("from_room"))
        .values(room=bindparam("to_room"), day=dt.date(2026, 1, 2))
        .returning(shelves.c.day)
    )

    moved = await db.write(move.all, {"from_room": 1, "to_room": 2})

    assert [row.day for row in moved] == [dt.date(2026, 1, 2)] * 2
    assert await db.write(move.run, {"from_room": 1, "to_room": 2}) == 0


async def test_hot_statements_of_every_shape_have_rows(db: Database):
    await db.write(put_shelf.many, [{"name": name} for name in "abc"])
    other = shelves.alias()
    pairs = hot(
        select(shelves.c.id, other.c.id, func.count(), shelves.c.name + "%")
        .join(other, shelves.c.id == other.c.id)
        .group_by(shelves.c.id, other.c.id)
        .order_by(shelves.c.id)
        .limit(bindparam("most"))
    )
    both = hot(union_all(select(shelves.c.name), select(other.c.name)).order_by("name"))
    copied = hot(insert(shelves).from_select(["name"], select(shelves.c.name + "!").where(shelves.c.name == bindparam("name"))))

    assert [tuple(row) for row in await db.read(pairs.all, {"most": 2})] == [(1, 1, 1, "a%"), (2, 2, 1, "b%")]
    assert [row.name for row in await db.read(both.all)] == list("aabbcc")
    assert await db.write(copied.run, {"name": "a"}) == 1
    assert await db.read(shelf_by_name.first, {"wanted": "nowhere"}) is None
    assert await db.read(shelf_by_name.all, {"wanted": "nowhere"}) == []


async def test_a_misspelt_column_is_refused(db: Database):
    with pytest.raises(ValueError, match="nmae"):
        await db.write(put_shelf.run, {"name": "a", "nmae": "b"})


async def test_columns_not_given_get_their_defaults(db: Database):
    before = clock.now()
    rename = hot(update(shelves).values(name=bindparam("new_name")).returning(shelves.c.changed_at))

    await db.write(put, "a")
    [made] = await db.read(shelf_by_name.all, {"wanted": "a"})
    [renamed] = await db.write(rename.all, {"new_name": "b"})

    assert (made.room, made.quantity) == (1, None)
    assert before <= made.changed_at < renamed.changed_at


async def test_a_new_rows_key_is_told_and_none_where_a_constraint_stands_against_it(db: Database):
    put_new = hot(insert_or_ignore(shelves))

    def three(tx: Tx) -> list[int | None]:
        return [put_new.key(tx, {"name": name}) for name in ("a", "b", "a")]

    first, second, third = await db.write(three)
    keys = await db.read(lambda tx: {row.name: row.id for row in tx.execute(select(shelves))})

    assert keys == {"a": first, "b": second}
    assert third is None


async def test_rows_inserted_together_name_the_same_columns(db: Database):
    with pytest.raises(ValueError, match="same columns"):
        await db.write(put_shelf.many, [{"name": "a"}, {"name": "b", "room": 2}])

    assert await db.write(put_shelf.many, []) == 0


async def test_a_list_from_the_parameters_needs_one_parameter(db: Database):
    with pytest.raises(ValueError, match="in_texts"):
        await db.read(hot(select(shelves).where(shelves.c.name.in_(bindparam("names")))).all, {"names": ["a"]})


async def test_a_broken_rule_is_the_same_error_by_both_ways(db: Database):
    await db.write(put, "a")

    answers = await results(db.write(put, "a"), db.write(lambda tx: tx.execute(insert(shelves).values(name="a"))))

    assert answers == [IntegrityError, IntegrityError]


async def test_an_error_does_not_show_the_values(db: Database):
    await db.write(put, "a secret")

    with pytest.raises(IntegrityError) as caught:
        await db.write(put_shelf.run, {"name": "a secret", "labels": {"token": "pst_hidden"}})

    assert "pst_hidden" not in str(caught.value)


async def test_a_list_of_any_length_is_one_parameter_and_uses_the_index(db: Database):
    await db.write(put_shelf.many, [{"name": f"{number:05}", "room": number} for number in range(3000)])
    by_names = select(shelves.c.name).where(in_texts(shelves.c.name, "names")).order_by(shelves.c.name)
    by_rooms = select(shelves.c.name).where(in_ints(shelves.c.room, "rooms")).order_by(shelves.c.name)
    wanted = [f"{number:05}" for number in range(1, 3000, 2)]

    def plan(tx: Tx) -> str:
        explain = "EXPLAIN QUERY PLAN " if tx.dialect.name == "sqlite" else "EXPLAIN "
        if tx.dialect.name == "postgresql":
            tx.exec_driver_sql("ANALYZE test_shelves")
        compiled = by_names.compile(dialect=tx.dialect)
        values = ('["00001"]',) if tx.dialect.name == "sqlite" else {"names": ["00001"]}
        return str(tx.exec_driver_sql(explain + str(compiled), values).all())

    assert [row.name for row in await db.read(hot(by_names).all, {"names": wanted})] == wanted
    assert await db.read(lambda tx: list(tx.execute(by_names, {"names": wanted}).scalars())) == wanted
    assert [row.name for row in await db.read(hot(by_rooms).all, {"rooms": [7, 8, -1]})] == ["00007", "00008"]
    assert await db.read(lambda tx: list(tx.execute(by_rooms, {"rooms": []}).scalars())) == []
    assert re.search(r"USING (COVERING )?INDEX|Index (Only )?Scan", await db.write(plan))


async def test_aiosqlite_still_runs_a_whole_function_on_its_thread():
    """Everything on SQLite stands on this protected door of aiosqlite."""
    strand = Strand("file::memory:", {})
    await strand.open()

    def where(first: int, *, second: int) -> tuple[int, int, list[tuple[int]]]:
        return threading.get_ident(), first + second, strand.raw.execute("SELECT 1").fetchall()

    def fail() -> None:
        raise LookupError

    thread, total, rows = await strand.run(where, 1, second=2)
    with pytest.raises(LookupError):
        await strand.run(fail)
    await strand.close()

    assert (total, rows) == (3, [(1,)])
    assert thread != threading.get_ident()
