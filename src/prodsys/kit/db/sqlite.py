"""A database in one file: one writer that commits waiting units together, and a few readers."""

import asyncio
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import Context, copy_context
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Concatenate, Literal, NamedTuple, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from prodsys import errors
from prodsys.kit.db.strand import Strand
from prodsys.kit.db.unit import Database, DatabaseInUse, Tx, start_topics, unfit_for_a_future

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
GROUP_UNITS = 64
GROUP_SECONDS = 0.05
BUSY_MILLISECONDS = 5_000

CANNOT_KEEP = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
}


class Waiting(NamedTuple):
    """A unit in the queue, the context it runs in, and who waits for its answer."""

    unit: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: Context
    caller: "asyncio.Future[Any]"


class Settled(NamedTuple):
    """What came of a unit: its answer or its error."""

    caller: "asyncio.Future[Any]"
    answer: Any
    error: BaseException | None


class Dropped(Exception):
    """SQLite has rolled back the whole group on its own."""


@contextmanager
def server_lock(path: Path) -> Iterator[None]:
    """Be the only server of this database file; who replaces or migrates it needs this too. Raises DatabaseInUse."""
    with open(f"{path}.lock", "ab", opener=_for_the_owner) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DatabaseInUse(f"Another ProdSys server is running on {path}. Stop it first, or give this one its own home.") from None
        yield


async def open_sqlite(path: Path, *, lock: bool) -> "SqliteDatabase":
    """Open the file, making it when it is new. With *lock* we are its server, without it a guest (rulings.md, 3)."""
    with ExitStack() as opened:
        path = _make_ready(path, opened, lock=lock)
        file = path.as_uri()
        readers = (Strand(f"{file}?mode=ro", READER_PRAGMAS) for _ in range(READERS))
        strands = [Strand(file, _writer_pragmas(path, is_server=lock)), *readers]
        try:
            for strand in strands:
                await strand.open()
        except BaseException as error:
            for strand in strands:
                await strand.close()
            if isinstance(error, sqlite3.Error):
                raise _unavailable(error) from error
            raise
        db = SqliteDatabase(path, strands[0], strands[1:], opened.pop_all())
    await db.has_changed_elsewhere()
    if lock:
        db.start_watching()
    return db


def _writer_pragmas(path: Path, *, is_server: bool) -> dict[str, Any]:
    # Before WAL, afterwards a new file would stay without it for ever (rulings.md, 2). On any other file it only writes, which needs room.
    of_a_new_file = {"auto_vacuum": "INCREMENTAL"} if path.stat().st_size == 0 else {}
    return {
        "busy_timeout": BUSY_MILLISECONDS,
        **of_a_new_file,
        "journal_mode": "WAL",
        "synchronous": "FULL",  # an answer given must survive a power cut
        "foreign_keys": "ON",
        "journal_size_limit": 64 * 2**20,
        "cache_size": -16 * 2**10,  # 16 MiB
        "temp_store": "MEMORY",
        # SQLite before 3.51.3 can corrupt a WAL when two connections checkpoint at once: only the server's writer does.
        "wal_autocheckpoint": 1_000 if is_server else 0,
    }


READER_PRAGMAS: dict[str, Any] = {
    "busy_timeout": BUSY_MILLISECONDS,
    "query_only": "ON",
    "cache_size": -8 * 2**10,
    "temp_store": "MEMORY",
    "wal_autocheckpoint": 0,
}


def _make_ready(path: Path, opened: ExitStack, *, lock: bool) -> Path:
    """Make the file if need be, readable by its owner only, and take the server's lock on it."""
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if lock:
        opened.enter_context(server_lock(path))
    path.touch(mode=0o600)
    return path


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class SqliteDatabase(Database):
    """Units that wait are committed together, each in its own savepoint; nobody is answered before the commit."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path, writer: Strand, readers: list[Strand], opened: ExitStack) -> None:
        super().__init__()
        self.path = path
        self._opened = opened
        self._writer = writer
        self._readers = readers
        self._idle = list(readers)
        self._reading = asyncio.Semaphore(len(readers))
        self._waiting: deque[Waiting] = deque()
        self._work = asyncio.Event()
        self._is_open = True
        self._data_version: int | None = None
        self._writing = asyncio.create_task(self._keep_writing(), name="prodsys.db.writer")

    async def write(self, unit: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._must_be_open()
        caller: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(unit, args, kwargs, copy_context(), caller))
        self._work.set()
        return await caller

    async def read(self, unit: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._reading:
            self._must_be_open()
            reader = self._idle.pop()
            try:
                return await reader.run(copy_context().run, partial(_read, reader, unit, *args, **kwargs))
            finally:
                # When the caller has left, this strand may still be at work: let the others be taken before it.
                self._idle.insert(0, reader)

    async def has_changed_elsewhere(self) -> bool:
        before, self._data_version = self._data_version, await self._writer.run(_data_version, self._writer)
        return self._data_version != before

    async def incremental_vacuum(self, pages: int = 1000) -> None:
        self._must_be_open()
        await self._writer.run(_incremental_vacuum, self._writer, pages)

    async def backup(self, target: Path) -> None:
        await asyncio.to_thread(_copy, self.path, target)

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await super().close()
        self._work.set()
        await self._writing
        for reader in self._readers:
            await reader.close()
        await self._writer.close()
        self._opened.close()

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise errors.StorageUnavailable("The database is closed.")

    async def _keep_writing(self) -> None:
        while self._is_open or self._waiting:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                settled, topics = await self._writer.run(self._write_group)
                self.tell(topics)
                for caller, answer, error in settled:
                    if caller.done():  # the caller has left; what the unit did stays done
                        continue
                    if error is None:
                        caller.set_result(answer)
                    else:
                        caller.set_exception(error)

    def _write_group(self) -> tuple[list[Settled], set[str]]:
        """On the writer's strand: run the units that wait, also those that come meanwhile, and commit them together."""
        settled: list[Settled] = []
        topics: set[str] = set()
        execute = self._writer.raw.execute
        try:
            execute("BEGIN IMMEDIATE")
            enough = perf_counter() + GROUP_SECONDS
            while self._waiting and len(settled) < GROUP_UNITS:
                self._write_unit(self._waiting.popleft(), settled, topics)
                if perf_counter() > enough:
                    break
            execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may be left waiting
            self._start_over()
            if not settled:
                settled = [Settled(self._waiting.popleft().caller, None, None) for _ in range(min(len(self._waiting), GROUP_UNITS))]
            return [Settled(caller, None, _unavailable(error)) for caller, _, _ in settled], set()
        return settled, topics

    def _write_unit(self, waiting: Waiting, settled: list[Settled], topics: set[str]) -> None:
        tx, raw = self._writer.tx, self._writer.raw
        signalled: set[str] = set()
        try:
            start_topics(tx, signalled)
            raw.execute("SAVEPOINT unit")
            answer = waiting.context.run(waiting.unit, tx, *waiting.args, **waiting.kwargs)
            raw.execute("RELEASE unit")
        except BaseException as error:
            settled.append(Settled(waiting.caller, None, _for_the_caller(error)))
            if not raw.in_transaction:
                raise Dropped from error
            raw.execute("ROLLBACK TO unit")
            raw.execute("RELEASE unit")
        else:
            settled.append(Settled(waiting.caller, answer, None))
            topics |= signalled

    def _start_over(self) -> None:
        raw = self._writer.raw
        with suppress(sqlite3.Error):
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        with suppress(sqlite3.Error):
            raw.execute("PRAGMA query_only = 0")


def _read(reader: Strand, unit: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    try:
        start_topics(reader.tx, set())
        reader.raw.execute("BEGIN")
        return unit(reader.tx, *args, **kwargs)
    except (DBAPIError, sqlite3.Error, StopIteration) as error:
        refusal = _for_the_caller(error)
        if refusal is error:
            raise
        raise refusal from error
    finally:
        if reader.raw.in_transaction:
            reader.raw.execute("ROLLBACK")


def _for_the_caller(error: BaseException) -> BaseException:
    """The unit's own error, unless the database is at fault or a future cannot carry it."""
    if isinstance(error, StopIteration):
        return unfit_for_a_future(error)
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error) and getattr(original, "sqlite_errorcode", 0) & 0xFF in CANNOT_KEEP:
        return _unavailable(error)
    return error


def _unavailable(error: BaseException) -> errors.StorageUnavailable:
    refusal = errors.StorageUnavailable()
    refusal.__cause__ = error
    return refusal


def _data_version(writer: Strand) -> int:
    """SQLite's count of what other connections have committed."""
    try:
        version: int = writer.raw.execute("PRAGMA data_version").fetchone()[0]
    except sqlite3.Error as error:
        raise _unavailable(error) from error
    return version


def _incremental_vacuum(writer: Strand, pages: int) -> None:
    try:
        # As a script, because `execute` takes one step of it and frees one page.
        writer.raw.executescript(f"PRAGMA incremental_vacuum({int(pages)})")
    except sqlite3.Error as error:
        raise _unavailable(error) from error


def _copy(path: Path, target: Path) -> None:
    """One snapshot, checked, whole or not there at all."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    source = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    copy = sqlite3.connect(part, isolation_level=None)
    try:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise errors.StorageUnavailable("The copy did not pass its integrity check.")
    except sqlite3.Error as error:
        raise _unavailable(error) from error
    finally:
        copy.close()
        source.close()
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(target)
