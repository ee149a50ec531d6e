"""How many orders wait for our word, how long they do, and which of them too long."""

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, bindparam, case, exists, func, select, type_coerce

from prodsys.kit.db import Tx, hot
from prodsys.sales.store.views import is_waiting
from prodsys.tables import log_entries, partners, sales_orders


def _count(*more: Any) -> Any:
    those = select(sales_orders.c.pk).where(is_waiting, *more).order_by(sales_orders.c.pk).limit(bindparam("most"))
    return hot(select(func.count()).select_from(those.subquery()))


_all, _clean = _count(), _count(sales_orders.c.validation == "clean")


def count(tx: Tx, most: int, *, only_clean: bool = False) -> int:
    """How many orders wait for our word, counted so far and no further; `only_clean`: of those there is nothing to say against."""
    return int((_clean if only_clean else _all).all(tx, {"most": most})[0][0])


def days(tx: Tx, since: dt.datetime) -> tuple[list[tuple[dt.date, int, int]], list[tuple[dt.date, float]]]:
    """What came since a moment: (day, orders, clean ones) and, for each that was answered, (day of its arrival, seconds until then).

    Looks at the newest 50,000 orders at most, so that it costs the same in every year.
    """
    at = type_coerce(sales_orders.c.received_at, BigInteger)
    newest = select(func.coalesce(func.max(sales_orders.c.pk), 0)).scalar_subquery()
    those = (sales_orders.c.pk > newest - 50_000, sales_orders.c.received_at >= since)
    day = (at // 86_400_000_000).label("day")
    clean = func.sum(case((sales_orders.c.validation == "clean", 1), else_=0))
    rows = tx.execute(select(day, func.count(), clean).where(*those).group_by(day)).all()
    waits = tx.execute(
        select(day, type_coerce(sales_orders.c.answered_at, BigInteger) - at)
        .where(*those, sales_orders.c.answered_at.is_not(None))
        .order_by(sales_orders.c.pk.desc())
        .limit(5_000)
    ).all()
    return [(_day(row[0]), row[1], row[2]) for row in rows], [(_day(row[0]), row[1] / 1_000_000) for row in waits]


def _day(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)


UNANSWERED = "order.unanswered"
"""The log's word for a draft that has waited too long."""


def unanswered(tx: Tx, before: dt.datetime, *, after: int, limit: int) -> list[Any]:
    """Drafts that have waited for our word since before a moment, by their key, and whether the log has told of each (`is_told`)."""
    told = select(log_entries.c.pk).where(log_entries.c.subject == sales_orders.c.id, log_entries.c.code == UNANSWERED)
    rows = tx.execute(
        select(
            *(sales_orders.c[name] for name in ("pk", "id", "number", "partner", "trace_id", "received_at")),
            partners.c.name.label("partner_name"),
            exists(told).label("is_told"),
        )
        .join(partners, partners.c.pk == sales_orders.c.partner)
        .where(is_waiting, sales_orders.c.received_at < before, sales_orders.c.pk > after)
        .order_by(sales_orders.c.pk)
        .limit(limit)
    )
    return list(rows.all())
