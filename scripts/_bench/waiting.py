"""What it costs to know a caller, and what callers wait while people sign in (f)."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from _bench import company, load, table
from _bench.company import Size, Supplier
from _bench.load import Outcome, Work
from _bench.table import Row
from prodsys.kit.db import open_database
from prodsys.scopes import AnyToken, allows
from prodsys.tokens.guard import guard_of

_CHECKS = 20_000


def measure(folder: Path, size: Size) -> Iterator[Row]:
    """(f) The guard alone, in this process; then the API's answer times, with and without sign-ins, in turns."""
    supplier = company.supplier(folder / "waiting", size.articles)
    with company.running(supplier):
        took = asyncio.run(_guarded(supplier))
        yield Row(what="f  warm token check", figure=f"{took * 1e6:.1f} µs", bar="≤ 10 µs", met=took <= 10e-6)
        quiet: list[float] = []
        busy: list[float] = []
        sign_ins: list[float] = []
        for turn in range(size.rounds):
            seconds = size.sign_ins / size.rounds
            quiet.append(_calls(supplier, seconds).outcome().waited(0.99))
            people = load.Running(_people(supplier, seconds + 1, turn))
            people.go()
            time.sleep(0.5)
            busy.append(_calls(supplier, seconds).outcome().waited(0.99))
            signed_in = people.outcome(may_fail=True)
            sign_ins.append(_hashes(signed_in) / signed_in.seconds)
        more = company.middle([one - other for one, other in zip(busy, quiet, strict=True)])
        with_them, without = table.millis(company.middle(busy)), table.millis(company.middle(quiet))
        yield Row(
            what="f  p99 of API calls, 8 people signing in",
            figure=f"{with_them}, without {without}; {company.middle(sign_ins):.0f} sign-ins/s",
            bar="≤ without + 20 ms",
            ratio=f"{more * 1e3:+.1f} ms",
            met=more <= 0.02,
        )


async def _guarded(supplier: Supplier) -> float:
    """Seconds the guard takes for a token it has met before."""
    database = await open_database(f"sqlite:///{supplier.instance.file}", lock=False)
    async with database:
        guard = guard_of(database, lambda _: True)
        scope = {"method": "GET", "client": ("127.0.0.1", 1), "headers": [(b"authorization", f"Bearer {supplier.token}".encode())]}
        request, route = cast(Any, SimpleNamespace(scope=scope)), cast(Any, SimpleNamespace(opt=allows(AnyToken.ANY, "any")["opt"]))
        await guard(request, route)
        rounds = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(_CHECKS):
                await guard(request, route)
            rounds.append((time.perf_counter() - began) / _CHECKS)
        guard.close()
    return company.middle(rounds)


def _calls(supplier: Supplier, seconds: float) -> load.Running:
    """Four clients that ask for the company card."""
    work = Work(
        port=supplier.instance.port, token=supplier.token, kind="same", method="GET", path="/api/v1/company", clients=4, requests=100_000
    )
    running = load.Running(work.limited(seconds))
    running.go()
    return running


def _people(supplier: Supplier, seconds: float, turn: int) -> Work:
    """Eight at the sign-in, each time under another name: a wrong password costs what a right one does, and one name is slowed down."""
    body = msgspec.json.encode({"email": f"person-{turn}-{{at}}@nordlys.example", "password": "wrong horse battery staple"}).decode()
    work = Work(port=supplier.instance.port, token="", kind="same", path="/api/v1/sessions", clients=8, requests=1_000, body=body)
    return work.limited(seconds)


def _hashes(signed_in: Outcome) -> int:
    """How many passwords were really checked: an answer of another kind cost nothing."""
    return signed_in.statuses.get(401, 0) + signed_in.statuses.get(201, 0)
