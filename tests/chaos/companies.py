"""Two companies in processes of their own, and the line between them."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from tests.chaos.killable import Killable, founded
from tests.chaos.proxy import Proxy, between
from tests.ports import a_free_port
from tests.stories.company import FJORD, NORDLYS


class Pair(msgspec.Struct, frozen=True):
    """A supplier, a buyer, and the line between them."""

    supplier: Killable
    buyer: Killable
    line: Proxy


@contextlib.asynccontextmanager
async def two_companies(home: Path, databases: tuple[str, str] = ("", ""), seed: int = 1, **settings: Any) -> AsyncIterator[Pair]:
    """Both serve until the block ends, each on a database of its own (empty: a SQLite file). The supplier's address is the line's."""
    port = a_free_port()
    theirs = f"http://127.0.0.1:{port}"
    async with (
        founded(FJORD, home / "fjord", databases[0], theirs, **settings) as supplier,
        founded(NORDLYS, home / "nordlys", databases[1], **{"delivery_timeout_seconds": 2} | settings) as buyer,
        between(supplier.port, port, seed) as line,
    ):
        await supplier.start()
        await buyer.start()
        yield Pair(supplier, buyer, line)
