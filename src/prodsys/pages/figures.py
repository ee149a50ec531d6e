"""The last days in figures: how many orders came or went, how many without a fault, and how long an answer took."""

import datetime as dt
import statistics
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from prodsys.kit.db import Database, Tx
from prodsys.purchasing import store as purchasing
from prodsys.sales import store as sales
from prodsys.scopes import Caller, Scope

DAYS = 7
_FRESH_SECONDS = 60.0


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day of one trade. `minutes` are those between an order and its answer, for the orders answered that day."""

    day: dt.date
    orders: int
    clean: int
    minutes: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Two weeks of days, oldest first: the last seven, and the seven before to compare with."""

    days: Sequence[Day]

    def of(self, weeks_ago: int) -> Sequence[Day]:
        """The days of this week (0) or the one before (1)."""
        end = len(self.days) - DAYS * weeks_ago
        return self.days[end - DAYS : end]

    def orders(self, weeks_ago: int = 0) -> int:
        """All orders of a week."""
        return sum(day.orders for day in self.of(weeks_ago))

    def share_clean(self, weeks_ago: int = 0) -> float | None:
        """Of 100 orders of a week, how many came without a fault; None without orders."""
        orders = self.orders(weeks_ago)
        return 100 * sum(day.clean for day in self.of(weeks_ago)) / orders if orders else None

    def minutes(self, weeks_ago: int = 0) -> float | None:
        """The median of the days' median minutes to an answer."""
        known = [day.minutes for day in self.of(weeks_ago) if day.minutes is not None]
        return statistics.median(known) if known else None


_TRADES: dict[str, tuple[Scope, Any]] = {
    "sales": (Scope.SALES_ORDERS_READ, sales.waiting.days),
    "orders": (Scope.PURCHASE_ORDERS_READ, purchasing.following.days),
}
_kept: dict[tuple[int, str], tuple[float, Figures]] = {}


async def figures(db: Database, caller: Caller, today: dt.date) -> dict[str, Figures]:
    """The figures of each trade the caller may see, at most a minute old, because they are counted over two weeks of orders."""
    found = {}
    for trade, (scope, unit) in _TRADES.items():
        if not caller.may(scope):
            continue
        key = (id(db), trade)
        at, kept = _kept.get(key, (0.0, None))
        if kept is None or time.monotonic() - at > _FRESH_SECONDS or kept.days[-1].day != today:
            kept = await db.read(_counted, unit, today)
            _kept[key] = (time.monotonic(), kept)
        found[trade] = kept
    return found


def _counted(tx: Tx, unit: Any, today: dt.date) -> Figures:
    first = today - dt.timedelta(days=2 * DAYS - 1)
    orders, waits = unit(tx, dt.datetime.combine(first, dt.time(), dt.UTC))
    counts = {day: (every, clean) for day, every, clean in orders}
    minutes: dict[dt.date, list[float]] = {}
    for day, seconds in waits:
        minutes.setdefault(day, []).append(seconds / 60)
    return Figures(
        days=[
            Day(
                day=day,
                orders=counts.get(day, (0, 0))[0],
                clean=counts.get(day, (0, 0))[1],
                minutes=statistics.median(minutes[day]) if day in minutes else None,
            )
            for day in (first + dt.timedelta(days=n) for n in range(2 * DAYS))
        ]
    )
