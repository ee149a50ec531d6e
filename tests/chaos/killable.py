"""A company in a process of its own, which may be killed at any moment and started again on what it left behind."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx2
import psycopg

from prodsys import app
from prodsys.company import actions as company
from prodsys.documents import Party
from prodsys.kit.db import Tx
from prodsys.modules import store as modules
from prodsys.scopes import CONSOLE, PRODSYS_MODULE, Scope
from prodsys.settings import Settings
from prodsys.tokens import actions as tokens
from prodsys.upkeep import upgrade
from tests.ports import a_free_port
from tests.stories.company import ARTICLES

GONE = (httpx2.TransportError, ConnectionError)
"""What a caller sees of a server that is not there, or no longer."""


class Killable:
    """One company: where its data lies, where it listens, and its process while it has one."""

    def __init__(self, home: Path, database_url: str, port: int, environment: dict[str, str], token: str) -> None:
        self.home = home
        self.database_url = database_url
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.token = token
        self.log = home / "serve.log"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.http = self.as_(token)

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return Path(self.database_url.removeprefix("sqlite:///"))

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ended_with(self) -> int | None:
        """What the process said when it ended."""
        return None if self._process is None else self._process.poll()

    def as_(self, token: str) -> httpx2.AsyncClient:
        """Somebody who calls this company with this token."""
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=0)
        headers = {"Authorization": f"Bearer {token}"}
        return httpx2.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=30, limits=limits)

    async def start(self, *, largest_file: int = -1, **settings: str) -> None:
        """Start serving, as the operator's service manager does, and wait until it answers."""
        self._process = self.spawn("serve", "--port", str(self.port), **settings)
        self.limit_files(largest_file)
        async with httpx2.AsyncClient(timeout=2) as http:
            for _ in range(2_000):
                if self._process.poll() is not None:
                    raise AssertionError(f"The server ended with {self._process.returncode}:\n{self.log.read_text()[-3000:]}")
                with contextlib.suppress(*GONE):
                    if (await http.get(f"{self.url}/health/live")).status_code == 200:
                        return
                await asyncio.sleep(0.02)
        raise AssertionError("The server did not come up.")

    def spawn(self, *words: str, **settings: str) -> subprocess.Popen[bytes]:
        """Run a verb of the command line on this company."""
        more = {f"PRODSYS_{name.upper()}": setting for name, setting in settings.items()}
        said, log = os.pipe()
        threading.Thread(target=_keep, args=(said, self.log), daemon=True).start()
        try:
            environment = self._environment | more
            return subprocess.Popen([sys.executable, "-m", "prodsys", *words], env=environment, stdout=log, stderr=subprocess.STDOUT)
        finally:
            os.close(log)

    def kill(self) -> None:
        """Let the process end between two instructions."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def stop(self, within: float = 30) -> float:
        """Ask the process to end, and wait; how many seconds that took. Kills it when it does not."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        began = asyncio.get_running_loop().time()
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, within)
        except subprocess.TimeoutExpired:
            self.kill()
        return asyncio.get_running_loop().time() - began

    def limit_files(self, size: int) -> None:
        """Let no file of the running process grow beyond so many bytes, as a full disk would; -1 makes room again."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, -1))

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """Somebody of the house calls and is answered with a 2xx; its JSON."""
        answer = await self.http.request(method, path, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def insist(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Call until there is an answer that is not the server's trouble."""
        for _ in range(1_200):
            with contextlib.suppress(*GONE):
                answer = await self.http.request(method, path, **more)
                if answer.status_code < 500:
                    return answer
            await asyncio.sleep(0.05)
        raise AssertionError(f"{method} {path} was never answered.")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the database from outside."""
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10)) as connection:
                return list(connection.execute(query))
        with psycopg.connect(self._libpq) as connection:
            return list(connection.execute(query.encode()))

    def one(self, query: str) -> Any:
        """The first value of the first row."""
        return self.rows(query)[0][0]

    def write(self, *statements: str) -> None:
        """Change the database from outside, as a guest does (rulings.md, 3)."""
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as connection:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements:
                    connection.execute(statement)
                connection.execute("COMMIT")
        else:
            with psycopg.connect(self._libpq) as connection:
                for statement in statements:
                    connection.execute(statement.encode())

    @property
    def _libpq(self) -> str:
        return self.database_url.replace("postgresql+psycopg", "postgresql")

    def hurry(self) -> None:
        """Let the waiting be over that the courier has ahead of it: a minute passes in a moment, nothing else changes."""
        # One by one, because together they would take their locks in the courier's opposite order.
        with contextlib.suppress(sqlite3.OperationalError, psycopg.OperationalError):
            self.write("UPDATE deliveries SET run_at = 1 WHERE state = 'ready' AND attempts > 0")
            self.write("UPDATE lanes SET probe_at = 1 WHERE state <> 'open'")

    def let_leases_end(self) -> None:
        """On PostgreSQL another process may be alive, so what a dead one held is free only when its lease ends: now."""
        self.write("UPDATE deliveries SET lease_until = 1 WHERE state = 'leased'", "UPDATE timetable SET lease_until = NULL")

    def must_be_sound(self) -> None:
        """Fail unless the database is whole and no order or answer in it is still under way; a webhook only wakes somebody."""
        if self.is_sqlite:
            assert self.rows("PRAGMA integrity_check") == [("ok",)]
            assert self.rows("PRAGMA foreign_key_check") == []
        assert self.rows("SELECT id FROM deliveries WHERE state IN ('ready', 'leased') AND kind <> 'hook'") == []
        assert self.rows("SELECT lane FROM lanes WHERE state <> 'open' AND lane NOT LIKE 'hook:%'") == []


def _keep(said: int, where: Path) -> None:
    """Write down what a process says; it could not itself when its files may not grow."""
    with open(said, "rb", buffering=0) as words, where.open("ab", buffering=0) as log:
        while some := words.read(65_536):
            log.write(some)


@contextlib.asynccontextmanager
async def founded(card: Party, home: Path, database_url: str = "", public_url: str = "", **settings: Any) -> AsyncIterator[Killable]:
    """A company with its schema, its card and an admin's token; not started yet, and gone at the end."""
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    port = a_free_port()
    url = database_url or f"sqlite:///{home / 'prodsys.db'}"
    known: dict[str, Any] = {
        "home": str(home),
        "database_url": url,
        "public_url": public_url or f"http://127.0.0.1:{port}",
        "allowed_networks": "127.0.0.0/8",
        "access_log": False,
        "answers_every_seconds": 1,
        "undo_seconds": 1,
    } | settings
    if database_url:
        await asyncio.to_thread(upgrade.upgrade, url)
    else:
        await asyncio.to_thread(shutil.copyfile, upgraded_file(), home / "prodsys.db")
    async with app.opened(Settings(**known), serving=False) as instance:
        token = await instance.db.write(_begin, card)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PRODSYS_")}
    environment |= {f"PRODSYS_{name.upper()}": str(setting) for name, setting in known.items()}
    here = Killable(home, url, port, environment, token)
    try:
        yield here
    finally:
        await here.http.aclose()
        here.kill()


@cache
def upgraded_file() -> Path:
    """A SQLite file at this version's schema, to be copied."""
    file = Path(mkdtemp(prefix="prodsys-chaos-")) / "prodsys.db"
    upgrade.upgrade(f"sqlite:///{file}")
    return file


def _begin(tx: Tx, card: Party) -> str:
    company.begin(tx, card)
    modules.set_on(tx, PRODSYS_MODULE, True, "console")
    return tokens.create(tx, CONSOLE, name="ops", scopes=frozenset(Scope), expires_at=None, partner=None).token


async def connect(supplier: Killable, buyer: Killable, name: str = "Nordlys Mekaniske AS", number: str = "987654325") -> str:
    """Give the supplier its articles and the buyer the supplier's bundle; the supplier's id at the buyer."""
    await supplier.call("POST", "/articles/import", content=ARTICLES.encode(), headers={"Content-Type": "text/csv"})
    handed = await hand_over(supplier, name, number)
    partner = await buyer.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})
    return str(partner["id"])


async def hand_over(supplier: Killable, name: str, number: str) -> Any:
    """A token and a bundle for a new partner of the supplier."""
    scopes = [Scope.PURCHASE_ORDERS_CREATE.value, Scope.ARTICLES_READ.value]
    return await supplier.call("POST", "/partners/with-token", json={"name": name, "organisation_number": number, "scopes": scopes})


async def write_orders(buyer: Killable, partner: str, count: int) -> list[str]:
    """Write so many orders down; their ids."""
    rows = [f"PO-{at:05d},{partner},NOK,A-{at % 3 + 1}00,{at % 97 + 1},H87,1.30\n" for at in range(count)]
    table = "number,supplier,currency,supplier_article_number,quantity,unit,unit_price\n" + "".join(rows)
    made = await buyer.call("POST", "/purchasing/orders/import", content=table.encode(), headers={"Content-Type": "text/csv"})
    return list(made["orders"])


async def export(buyer: Killable, orders: Sequence[str], key: str = "the-one-export") -> str:
    """Press Export once; whoever answers, however often the call is repeated, it is one export. Its id."""
    answer = await buyer.insist("POST", "/exports", json={"orders": list(orders)}, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def in_time(seconds: float, question: Any, *, what: str) -> Any:
    """Ask until the answer is not empty; fails when it stays empty."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        answer = await asyncio.to_thread(question)
        if answer:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(f"Not within {seconds:.0f} s: {what}; the answer was {answer!r}.")
