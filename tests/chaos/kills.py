"""An export that is carried through although both sides are killed again and again."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec

from tests.chaos import books
from tests.chaos.companies import Pair
from tests.chaos.killable import GONE, Killable, connect, export, in_time, write_orders
from tests.chaos.proxy import Proxy, Stage, quiet

STAGES: tuple[Stage, ...] = ("arrived", "delivered", "answered")


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was survived."""

    orders: int
    seconds: float
    kills: dict[str, int]
    """How often who was killed, and when."""
    struck_at_work: int
    """Kills before the last order had arrived and its answer was known."""
    said: dict[str, int]
    """What the exports say of their orders."""
    approved_under_fire: int
    repeated_at_the_supplier: int
    most_attempts: int

    def told(self) -> list[tuple[str, object]]:
        return [
            ("orders exported, each one draft there", self.orders),
            ("seconds", self.seconds),
            ("kill -9", sum(self.kills.values())),
            *((f"  {when}", count) for when, count in self.kills.items()),
            ("of them while orders were on their way", self.struck_at_work),
            *((f"the export says {status}", count) for status, count in sorted(self.said.items())),
            ("drafts approved meanwhile, every number known", self.approved_under_fire),
            ("arrivals answered with their first receipt", self.repeated_at_the_supplier),
            ("attempts at most for one order", self.most_attempts),
        ]


async def survive(pair: Pair, *, kills: int, orders: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Figures:
    """Export so many orders under so many kills while somebody approves what arrives, then compare both companies' books.

    The orders leave in as many exports as there are kills, so that there is work to be killed at until the end.
    """
    began = asyncio.get_running_loop().time()
    supplier, buyer, line = pair.supplier, pair.buyer, pair.line
    chance = random.Random(seed)
    partner = await connect(supplier, buyer)
    ids = await write_orders(buyer, partner, orders)
    parts = [ids[orders * at // kills : orders * (at + 1) // kills] for at in range(kills)]
    approved: dict[str, str] = {}
    met: Counter[str] = Counter()
    struck_at_work = 0
    unpublished = "SELECT count(*) FROM deliveries WHERE state <> 'done' AND kind <> 'hook'"
    left = "SELECT count(*) FROM purchase_orders WHERE delivery <> 'received' OR acceptance <> 'approved'"

    async with in_a_hurry(supplier, buyer), _somebody_approves(supplier, chance, approved):
        for number, part in enumerate(parts, 1):
            exported = asyncio.create_task(export(buyer, part, f"export-{number}"))
            victim = chance.choice([supplier, buyer])
            stage = await _strike(victim, line, chance)
            met[f"{victim.home.name}, {stage}"] += 1
            if not victim.is_sqlite:
                await asyncio.to_thread(victim.let_leases_end)
            struck_at_work += bool(await asyncio.to_thread(buyer.one, f"{left} AND sent_at IS NOT NULL"))
            await victim.start()
            await exported
            if number % 10 == 0:
                say(f"{number} kills, {supplier.one('SELECT count(*) FROM sales_orders')} drafts, {len(approved)} answers known")
        under_fire = len(approved)
        await in_time(120, lambda: buyer.one(left) == 0, what="every order delivered and approved")
        await in_time(30, lambda: supplier.one(unpublished) == 0, what="every answer published")

    said = books.everything_arrived_once(supplier, buyer, orders, kills)
    books.both_logs_agree(supplier, buyer)
    assert books.the_buyer_knows_every_answer(supplier, buyer) == orders
    kept = dict(supplier.rows("SELECT id, order_number FROM sales_orders"))
    assert all(kept[draft] == number for draft, number in approved.items())
    return Figures(
        orders=orders,
        seconds=round(asyncio.get_running_loop().time() - began, 1),
        kills=dict(sorted(met.items())),
        struck_at_work=struck_at_work,
        said=said,
        approved_under_fire=under_fire,
        repeated_at_the_supplier=supplier.one("SELECT count(*) FROM log_entries WHERE code = 'order.repeated'"),
        most_attempts=buyer.one("SELECT max(attempts) FROM deliveries"),
    )


async def _strike(victim: Killable, line: Proxy, chance: random.Random) -> str:
    """Kill at a stage of the next call over the line, or at any time when none comes."""
    stage = chance.choice([*STAGES, *STAGES, "any"])
    struck = asyncio.Event()
    loop = asyncio.get_running_loop()
    wait = chance.uniform(0, 0.4) if stage == "any" else 2.0
    delay = chance.choice([0.0, chance.uniform(0, 0.03)])

    def fall() -> None:
        if not struck.is_set():
            victim.kill()
            struck.set()

    def hear(reached: Stage, _: str) -> None:
        if reached == stage:
            line.at = quiet
            if delay:
                loop.call_later(delay, fall)
            else:
                fall()

    line.at = hear
    try:
        async with asyncio.timeout(wait):
            await struck.wait()
    except TimeoutError:
        stage = "any"
        fall()
    finally:
        line.at = quiet
    return stage


async def _approve(supplier: Killable, approved: dict[str, str], chance: random.Random) -> None:
    """Somebody at the supplier's desk approves what comes, a handful at a time; what he was answered is kept in `approved`."""
    while True:
        with contextlib.suppress(*GONE, AssertionError):
            found: dict[str, Any] = await supplier.call("GET", "/sales/drafts", params={"acceptance": "open", "limit": "50"})
            some = chance.sample(found["items"], min(len(found["items"]), chance.randint(1, 25)))
            wanted = [{"id": draft["id"], "etag": draft["etag"]} for draft in some]
            if wanted:
                answered = await supplier.call("POST", "/sales/drafts/approve", json={"drafts": wanted})
                approved |= {one["id"]: one["order_number"] for one in answered["items"] if one["status"] == 200}
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def in_a_hurry(*companies: Killable) -> AsyncIterator[None]:
    """Let the waiting between attempts pass quickly until the block ends."""

    async def hurry() -> None:
        while True:
            await asyncio.sleep(0.2)
            for company in companies:
                if company.is_running:
                    await asyncio.to_thread(company.hurry)

    async with _beside(hurry()):
        yield


@contextlib.asynccontextmanager
async def _somebody_approves(supplier: Killable, chance: random.Random, approved: dict[str, str]) -> AsyncIterator[None]:
    async with _beside(_approve(supplier, approved, chance)):
        yield


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
