"""The companies the benchmark measures: a supplier with a catalogue and a past, and how long its rounds take."""

import itertools
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec

from _bench import load, orders, seed
from _bench.load import Outcome, Work
from _bench.server import Instance

_prefixes = itertools.count(1)
_kept: list[tempfile.TemporaryDirectory[str]] = []
"""Removed when we end."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    seconds: float = 600.0
    """No measurement begins later than this."""
    rounds: int = 3
    orders: int = 2_000
    """In one round."""
    articles: int = 100_000
    catalogues: tuple[int, int, int] = (1_000, 100_000, 1_000_000)
    lines: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    exported: int = 10_000
    past: int = 1_000_000
    """Orders, and log entries, that have been there before."""
    past_of_pages: int = 100_000
    """Orders behind the pages; their log is as long as any."""
    life: int = 100_000
    """Orders received while memory is watched, its growth from a fifth of them on."""
    flow_articles: int = 50_000
    flow_stock: int = 1_000_000
    sign_ins: float = 8.0
    """Seconds that people sign in while the API is called."""


QUICK = Size(
    seconds=110,
    orders=400,
    articles=20_000,
    catalogues=(1_000, 20_000, 100_000),
    lines=(1, 10, 100, 1_000),
    exported=1_000,
    past=50_000,
    past_of_pages=5_000,
    life=5_000,
    flow_articles=1_000,
    flow_stock=50_000,
    sign_ins=3,
)


class Supplier(msgspec.Struct, frozen=True, kw_only=True):
    """A company that partners' orders arrive at."""

    instance: Instance
    token: str
    """The partner's."""
    articles: int

    def work(self, requests: int, clients: int = 1, *, lines: int = 10, size: int = 1, prefix: str = "") -> Work:
        """New orders for this supplier, singly or, with a size, in batches of it."""
        together = size > 1
        return Work(
            port=self.instance.port,
            token=self.token,
            kind="batch" if together else "orders",
            path="/api/v1/purchase-orders" + ("/batch" if together else ""),
            clients=clients,
            requests=requests,
            prefix=prefix or new_prefix(),
            lines=lines,
            catalogue=self.articles,
            size=size,
        )

    def measured(self, work: Work) -> "Cost":
        """Do this work and tell what it cost."""
        running = load.Running(work)
        cpu = self.instance.cpu()
        running.go()
        outcome = running.outcome()
        # A server may finish something after its last answer; what it does then is part of the cost.
        time.sleep(0.05)
        return Cost(orders=outcome.requests * work.size, outcome=outcome, cpu=self.instance.cpu() - cpu)


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What some orders cost: `cpu` is the server's, in seconds."""

    orders: int
    outcome: Outcome
    cpu: float

    @property
    def rate(self) -> float:
        """Orders a second."""
        return self.orders / self.outcome.seconds

    @property
    def each(self) -> float:
        """Seconds of the server's processor for one order."""
        return self.cpu / self.orders


def chance() -> random.Random:
    """The same luck each time."""
    return random.Random(1042)  # noqa: S311 - chosen to be the same each time


def new_prefix() -> str:
    """The beginning of order numbers that nobody has used yet."""
    return f"P{next(_prefixes):05d}"


def supplier(folder: Path, articles: int) -> Supplier:
    """A new company with a catalogue, one partner who may order, and nothing running yet."""
    first, token = _first_supplier()
    instance = first.copied(folder)
    seed.articles(instance.file, articles)
    return Supplier(instance=instance, token=token, articles=articles)


@cache
def _first_supplier() -> tuple[Instance, str]:
    """Made once by the verbs an operator uses, which take seconds; the companies measured are copies."""
    folder = tempfile.TemporaryDirectory(prefix="prodsys-bench-")
    instance = Instance(Path(folder.name) / "supplier", "Fjord Lager AS", "999999999")
    token: str = instance.token_for(orders.BUYER["name"], orders.BUYER["organisation_number"])["token"]
    _kept.append(folder)
    return instance, token


@contextmanager
def running(one: Supplier) -> Iterator[Supplier]:
    """The company with its doors open and its caches warm."""
    one.instance.start()
    try:
        load.run(one.work(200, clients=8))
        yield one
    finally:
        one.instance.stop()


@contextmanager
def workplace(parent: Path | None) -> Iterator[Path]:
    """A folder for everything the benchmark writes, on the disk that is to be measured; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="prodsys-bench-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def middle(values: list[float]) -> float:
    """The median: what one noisy round cannot move."""
    return statistics.median(values)


def side_by_side(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios: noise hits both sides of one round."""
    return middle([one / other for one, other in zip(ours, theirs, strict=True)])
