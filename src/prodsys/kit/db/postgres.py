"""A database on a PostgreSQL server: units run side by side on a small pool of threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

import psycopg
from sqlalchemy import URL, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from prodsys import errors
from prodsys.kit.db.driver import drive
from prodsys.kit.db.unit import Database, Tx, start_topics, topics_of, unfit_for_a_future

P = ParamSpec("P")
T = TypeVar("T")

TRIES = 3
REPEATABLE = {"40001", "40P01"}  # serialization failure, deadlock
# Connection lost, no resources, server going down, its disk failing: nothing the unit can do about it.
OUT_OF_ORDER = ("08", "53", "57P", "58")


async def open_postgres(url: URL, *, threads: int) -> "PostgresDatabase":
    """Connect to the server; StorageUnavailable when it does not answer."""
    db = PostgresDatabase(url, threads=threads)
    try:
        await db.has_changed_elsewhere()
    except BaseException:
        await db.close()
        raise
    db.start_watching()
    return db


class PostgresDatabase(Database):
    """Units run at READ COMMITTED and are run again when the server asks for it (rulings.md, 6)."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, url: URL, *, threads: int) -> None:
        super().__init__()
        self._engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=threads,
            max_overflow=0,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _keep_more_statements)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="prodsys.db")
        self._position: str | None = None
        self._is_open = True

    async def write(self, unit: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Shielded: a caller who leaves does not take the unit with him.
        return await asyncio.shield(self._hop(self._write, partial(_call, unit, args, kwargs), asyncio.get_running_loop()))

    async def read(self, unit: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._hop(self._repeat, partial(_on_a_snapshot, unit, args, kwargs))

    async def has_changed_elsewhere(self) -> bool:
        """Whether anything was written on the server, here or elsewhere: its log position cannot tell whose it was."""
        before, self._position = self._position, await self.read(_log_position)
        return self._position != before

    async def incremental_vacuum(self, pages: int = 1000) -> None:
        """Nothing to do: PostgreSQL vacuums by itself."""

    async def backup(self, target: Path) -> None:
        raise NotImplementedError("A PostgreSQL database is copied with pg_dump.")

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await super().close()
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    def _hop(self, call: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        if not self._is_open:
            raise errors.StorageUnavailable("The database is closed.")
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(copy_context().run, call, *args))

    def _write(self, call: Callable[[Tx], T], loop: asyncio.AbstractEventLoop) -> T:
        answer, topics = self._repeat(lambda tx: (call(tx), topics_of(tx)))
        if topics:
            loop.call_soon_threadsafe(self.tell, topics)
        return answer

    def _repeat(self, call: Callable[[Tx], T]) -> T:
        """Run the call in a transaction, again where the server asks for it or had gone away before we could commit."""
        left = TRIES
        while True:
            left -= 1
            has_answer = False
            try:
                with self._engine.begin() as tx:
                    start_topics(tx, set())
                    answer = call(tx)
                    has_answer = True
                return answer
            except (DBAPIError, psycopg.Error) as error:
                if _is_out_of_order(error):
                    self._engine.dispose()  # the other connections were lost with this one
                    if left and not has_answer:
                        continue
                    raise errors.StorageUnavailable from error
                if not left or _state(error) not in REPEATABLE:
                    raise
            except StopIteration as error:
                raise unfit_for_a_future(error) from error


def _call(unit: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], tx: Tx) -> T:
    return unit(tx, *args, **kwargs)


def _on_a_snapshot(unit: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], tx: Tx) -> T:
    drive(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    return unit(tx, *args, **kwargs)


def _log_position(tx: Tx) -> str:
    position: str = drive(tx, "SELECT pg_current_wal_insert_lsn()::text").fetchone()[0]
    return position


def _keep_more_statements(connection: psycopg.Connection[Any], _: object) -> None:
    connection.prepared_max = 500


def _state(error: DBAPIError | psycopg.Error) -> str | None:
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None)


def _is_out_of_order(error: DBAPIError | psycopg.Error) -> bool:
    state = _state(error)
    if state is None:  # not the server's word: the line to it
        return isinstance(error, OperationalError | psycopg.OperationalError)
    return state.startswith(OUT_OF_ORDER)
