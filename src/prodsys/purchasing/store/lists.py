"""Purchase orders by what is asked of a list, page by page."""

import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, select

from prodsys.kit.db import Tx
from prodsys.purchasing.store.orders import LISTED, Kept, with_partner
from prodsys.tables import partners, purchase_orders

MOST_COUNTED = 1_000


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are asked for; `number` is how theirs begin, `partner` a public id, days are included."""

    delivery: str | None = None
    acceptance: str | None = None
    fulfilment: str | None = None
    partner: str | None = None
    number: str | None = None
    from_date: dt.date | None = None
    to_date: dt.date | None = None


_LAST = "\U0010ffff"


def listed(tx: Tx, wanted: Filter, after: tuple[Any, ...] | None, limit: int) -> list[Kept]:
    """A page of orders, without their documents. With `number` sorted by it, with days by day, otherwise newest first.

    `after` is what `place` says of the last order of the page before.
    """
    asked: Select[Any] = _filtered(select(*LISTED).select_from(with_partner), wanted)
    if wanted.number:
        if after:
            asked = asked.where(purchase_orders.c.number > after[0])
        asked = asked.order_by(purchase_orders.c.number)
    elif _has_days(wanted):
        if after:
            day, pk = dt.date.fromisoformat(after[0]), after[1]
            asked = asked.where((purchase_orders.c.date < day) | and_(purchase_orders.c.date == day, purchase_orders.c.pk < pk))
        asked = asked.order_by(purchase_orders.c.date.desc(), purchase_orders.c.pk.desc())
    else:
        if after:
            asked = asked.where(purchase_orders.c.pk < after[0])
        asked = asked.order_by(purchase_orders.c.pk.desc())
    found = tx.execute(asked.limit(limit))
    names = list(found.keys())
    return [Kept(**dict(zip(names, row, strict=True))) for row in found.all()]


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """An order the supplier does not have, as far as it decides whether it can leave. `issues` as in `Kept`."""

    pk: int
    id: str
    number: str
    partner: int | None
    delivery: str
    acceptance: str
    issues: str


_NOT_SENT = tuple(purchase_orders.c[name] for name in NotSent.__struct_fields__)
FEW = 20_000
"""Orders whose numbers begin alike that are read through faster than all the unsent ones."""


def not_sent_yet(tx: Tx, wanted: Filter, states: Collection[str], limit: int) -> list[NotSent]:
    """Orders of a filter whose delivery stands so, newest first; cancelled ones are left out."""
    meant = set(states) if wanted.delivery is None else {wanted.delivery} & set(states)
    delivery = purchase_orders.c.delivery
    if _are_few(tx, wanted.number):
        # Behind `coalesce` SQLite does not see the index by delivery, and takes the one by number.
        return _not_sent(tx, wanted, func.coalesce(delivery, "").in_(meant), limit)
    # One state after the other: each is walked newest first by an index, while all at once would be sorted.
    found = [row for state in meant for row in _not_sent(tx, wanted, delivery == state, limit)]
    return sorted(found, key=lambda row: -row.pk)[:limit]


def _not_sent(tx: Tx, wanted: Filter, stands_so: ColumnElement[bool], limit: int) -> list[NotSent]:
    asked = _filtered(select(*_NOT_SENT), msgspec.structs.replace(wanted, delivery=None)).where(stands_so)
    asked = asked.where(purchase_orders.c.acceptance.not_in(["cancel_requested", "cancelled"]))
    rows = tx.execute(asked.order_by(purchase_orders.c.pk.desc()).limit(limit)).all()
    return [NotSent(**dict(zip(NotSent.__struct_fields__, row, strict=True))) for row in rows]


def _are_few(tx: Tx, number: str | None) -> bool:
    if not number:
        return False
    some = _filtered(select(purchase_orders.c.pk), Filter(number=number)).limit(FEW).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one()) < FEW


def place(wanted: Filter, row: Kept) -> tuple[str | int, ...]:
    """Where a list with this filter goes on after this order."""
    if wanted.number:
        return (row.number,)
    return (row.date.isoformat(), row.pk) if _has_days(wanted) else (row.pk,)


def shape(wanted: Filter) -> tuple[type, ...]:
    """The types of `place`."""
    if wanted.number:
        return (str,)
    return (str, int) if _has_days(wanted) else (int,)


def totals(tx: Tx, wanted: Filter) -> tuple[int, dict[str, Decimal]]:
    """How many orders there are, counted up to one more than 1,000, and the sum of up to 1,000 of them by currency."""
    some = _filtered(select(purchase_orders.c.currency, purchase_orders.c.net), wanted).limit(MOST_COUNTED + 1).subquery()
    rows = tx.execute(select(some.c.currency, func.count(), func.sum(some.c.net).label("net")).group_by(some.c.currency)).all()
    return sum(row[1] for row in rows), {row.currency: _amount(row.net) for row in rows}


def _amount(hundredths: Any) -> Decimal:
    return hundredths if isinstance(hundredths, Decimal) and hundredths.as_tuple().exponent == -2 else Decimal(hundredths or 0)


def _has_days(wanted: Filter) -> bool:
    return wanted.from_date is not None or wanted.to_date is not None


def _filtered(asked: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.delivery:
        asked = asked.where(purchase_orders.c.delivery == wanted.delivery)
    if wanted.acceptance:
        asked = asked.where(purchase_orders.c.acceptance == wanted.acceptance)
    if wanted.fulfilment:
        asked = asked.where(purchase_orders.c.fulfilment == wanted.fulfilment)
    if wanted.partner:
        # By number the list is sorted by it; walking the partner's orders instead would need a sort, and `+ 0` keeps SQLite from it.
        whose = purchase_orders.c.partner + 0 if wanted.number else purchase_orders.c.partner
        asked = asked.where(whose == select(partners.c.pk).where(partners.c.id == wanted.partner).scalar_subquery())
    if wanted.number:
        asked = asked.where(purchase_orders.c.number >= wanted.number, purchase_orders.c.number < wanted.number + _LAST)
    if wanted.from_date:
        asked = asked.where(purchase_orders.c.date >= wanted.from_date)
    if wanted.to_date:
        asked = asked.where(purchase_orders.c.date <= wanted.to_date)
    return asked
