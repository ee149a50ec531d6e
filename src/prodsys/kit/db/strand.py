"""One SQLite connection and the one thread it lives on."""

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

import aiosqlite
from sqlalchemy import Connection, ExceptionContext, StaticPool, create_engine, event

from prodsys.kit.db.driver import freeze_if_dropped

P = ParamSpec("P")
T = TypeVar("T")


class Strand:
    """A thread that owns a connection; ``run`` takes a whole function there in one hop.

    *tx* and *raw* are two views of the same connection and may be used on the strand only; sqlite3 itself refuses other threads.
    """

    raw: sqlite3.Connection
    tx: Connection

    def __init__(self, uri: str, pragmas: dict[str, Any]) -> None:
        self._owner = aiosqlite.Connection(partial(self._connect, uri), iter_chunk_size=64)
        self._pragmas = pragmas
        self._is_open = False

    async def open(self) -> None:
        """Start the thread and connect there."""
        self._owner = await self._owner
        try:
            await self.run(self._take_hold)
        except BaseException:
            await self._owner.close()
            raise
        self._is_open = True

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on the strand. aiosqlite keeps this door half open since its first release; a test guards it."""
        answer: T = await self._owner._execute(call, *args, **kwargs)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return answer

    async def close(self) -> None:
        """Let the calls that wait finish, then close the connection and end the thread."""
        if not self._is_open:
            return
        self._is_open = False
        await self.run(self._let_go)
        await self._owner.close()

    def _connect(self, uri: str) -> sqlite3.Connection:
        self.raw = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=512)
        return self.raw

    def _take_hold(self) -> None:
        raw = self.raw
        for name, value in self._pragmas.items():
            raw.execute(f"PRAGMA {name} = {value}").fetchall()
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, hide_parameters=True)
        event.listen(engine, "handle_error", _freeze)
        self.tx = engine.connect()
        # Core believes in one transaction for ever, so it never begins, commits or rolls back by itself: we do, in plain SQL.
        self.tx.begin()

    def _let_go(self) -> None:
        self.tx.close()
        self.tx.engine.dispose()


def _freeze(context: ExceptionContext) -> None:
    if context.connection is not None:
        freeze_if_dropped(context.dialect, context.connection.connection.dbapi_connection)
