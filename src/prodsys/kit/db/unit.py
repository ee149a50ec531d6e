"""A unit of work: a plain function the database runs whole, or not at all."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from prodsys import errors
from prodsys.kit.db.driver import drive, raw

Tx = Connection
P = ParamSpec("P")
T = TypeVar("T")

ELSEWHERE = "elsewhere"
LEAVING = "leaving"
"""The topic a server tells when it is about to end: whoever keeps a stream open lets go of it."""
ELSEWHERE_SECONDS = 1.0
_TOPICS = "prodsys.topics"


class DatabaseInUse(Exception):
    """Another ProdSys server is running on this database file. Stop it first, or give this one its own home."""


class Database(ABC):
    """Runs units of work: ``await db.write(unit, …)`` calls ``unit(tx, …)``, commits, and only then answers.

    A unit is synchronous, never commits, and may be run again (PostgreSQL repeats it after a serialization failure).
    Whatever it raises undoes it and reaches the caller; a database that cannot keep anything now raises StorageUnavailable.
    """

    dialect: Literal["sqlite", "postgresql"]

    def __init__(self) -> None:
        self._listeners: dict[str, list[Callable[[], object]]] = {}
        self._watch: asyncio.Task[None] | None = None

    @abstractmethod
    async def write(self, unit: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit that may write. The answer comes after the commit; a caller who leaves does not stop the unit."""

    @abstractmethod
    async def read(self, unit: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit on one snapshot. An attempt to write is an error."""

    @abstractmethod
    async def has_changed_elsewhere(self) -> bool:
        """Whether another process may have written since this was last asked."""

    @abstractmethod
    async def backup(self, target: Path) -> None:
        """Write a checked copy of the whole database to a new file while work goes on."""

    @abstractmethod
    async def incremental_vacuum(self, pages: int = 1000) -> None:
        """Give back up to this many free pages to the disk."""

    async def close(self) -> None:
        """Finish the units that wait, then let go of the database."""
        if self._watch:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def listen(self, topic: str, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back on the event loop after each commit that signalled this topic. Returns the way to stop listening.

        The topic ``elsewhere`` comes within a second after another process has written.
        """
        callbacks = self._listeners.setdefault(topic, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    def tell(self, topics: Iterable[str]) -> None:
        """Call everybody who listens to these topics; a listener's error goes to the loop, not to us."""
        loop = asyncio.get_running_loop()
        for topic in topics:
            for callback in self._listeners.get(topic, ()):
                loop.call_soon(callback)

    def start_watching(self) -> None:
        """From now on ask every second whether another process has written."""
        self._watch = asyncio.create_task(self._watch_elsewhere(), name="prodsys.db.elsewhere")

    async def _watch_elsewhere(self) -> None:
        while True:
            await asyncio.sleep(ELSEWHERE_SECONDS)
            try:
                changed = await self.has_changed_elsewhere()
            except (errors.StorageUnavailable, DBAPIError):
                continue  # whoever has work to do will hear of it
            if changed:
                self.tell([ELSEWHERE])


def signal(tx: Tx, topic: str) -> None:
    """Tell those who listen to this topic, once the unit is committed. A unit that fails tells nobody."""
    topics_of(tx).add(topic)


@contextmanager
def savepoint(tx: Tx) -> Iterator[None]:
    """Undo only what happens inside when it raises. The exception goes on to the caller, who may catch it and continue."""
    topics = set(topics_of(tx))
    drive(tx, "SAVEPOINT inside")
    try:
        yield
    except BaseException as error:
        if is_dropped(tx):
            raise errors.StorageUnavailable from error
        drive(tx, "ROLLBACK TO SAVEPOINT inside")
        drive(tx, "RELEASE SAVEPOINT inside")
        topics_of(tx).intersection_update(topics)
        raise
    drive(tx, "RELEASE SAVEPOINT inside")


def is_dropped(tx: Tx) -> bool:
    """Whether SQLite has rolled back the transaction on its own, as it does when the disk is full."""
    return tx.dialect.name == "sqlite" and not raw(tx).in_transaction


def topics_of(tx: Tx) -> set[str]:
    """What the running unit has signalled so far."""
    topics: set[str] = tx.info[_TOPICS]
    return topics


def start_topics(tx: Tx, topics: set[str]) -> None:
    """Begin a unit's list of signals."""
    info: dict[str, Any] = tx.info
    info[_TOPICS] = topics


def unfit_for_a_future(error: StopIteration) -> RuntimeError:
    """What to raise instead: no future can carry a StopIteration, its caller would wait for ever."""
    return RuntimeError(f"A unit of work raised {error!r}.")
