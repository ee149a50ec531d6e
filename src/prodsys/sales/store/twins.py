"""Orders that ask for the same things as an earlier one."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Select, bindparam, func, select, type_coerce

from prodsys.documents import Acceptance
from prodsys.kit.db import Tx, hot, in_texts
from prodsys.tables import sales_orders


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier order of the same partner that asks for the same things."""

    id: str
    number: str
    received_at: dt.datetime


_ALIKE = 20
"""A twin is looked for among so many of the newest orders that ask for the same."""


def _twins() -> Select[Any]:
    earlier, twin = sales_orders.alias("earlier"), sales_orders.alias("twin")
    columns = (earlier.c[name] for name in ("pk", "partner", "number", "acceptance", "received_at"))
    alike = (
        select(*columns)
        .where(earlier.c.lines_key == sales_orders.c.lines_key, earlier.c.pk < sales_orders.c.pk)
        .order_by(earlier.c.pk.desc())
        .limit(_ALIKE)
        .correlate(sales_orders)
        .subquery()
    )
    newest = (
        select(func.max(alike.c.pk))
        .where(
            alike.c.partner == sales_orders.c.partner,
            alike.c.number != sales_orders.c.number,
            alike.c.acceptance.not_in([Acceptance.REJECTED.value, Acceptance.CANCELLED.value]),
            type_coerce(alike.c.received_at, BigInteger)
            >= type_coerce(sales_orders.c.received_at, BigInteger) - bindparam("within", type_=BigInteger),
        )
        .correlate(sales_orders)
        .scalar_subquery()
    )
    return (
        select(sales_orders.c.id.label("of"), twin.c.id, twin.c.number, twin.c.received_at)
        .join_from(sales_orders, twin, twin.c.pk == newest)
        .where(in_texts(sales_orders.c.id, "ids"))
    )


_of_orders = hot(_twins())


def of_orders(tx: Tx, ids: Sequence[str], within: dt.timedelta) -> dict[str, Twin]:
    """For those of these orders that have one: the newest other order, not so long before, with the same lines, whatever its number."""
    if not ids:
        return {}
    rows = _of_orders.all(tx, {"ids": ids, "within": within // dt.timedelta(microseconds=1)})
    return {row.of: Twin(id=row.id, number=row.number, received_at=row.received_at) for row in rows}
