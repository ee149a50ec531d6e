"""Orders that wait for somebody, and how long suppliers took to answer."""

import datetime as dt
from collections.abc import Collection
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Select, and_, bindparam, case, func, literal_column, select, type_coerce, update

from prodsys.kit.clock import instant, micros
from prodsys.kit.db import Tx, hot, in_ints
from prodsys.purchasing.store.lists import MOST_COUNTED
from prodsys.purchasing.store.orders import LISTED, Kept, with_partner
from prodsys.tables import partners, purchase_orders

FollowedUp = Literal["not_answered", "changed_waiting_for_me", "promised_late", "overdue", "partly_received"]


# Written out, not bound: only so do the databases see that the small index of each list serves.
_UNANSWERED = (
    purchase_orders.c.delivery == literal_column("'received'"),
    purchase_orders.c.acceptance == literal_column("'open'"),
)
_DUE = (purchase_orders.c.due_date.is_not(None), purchase_orders.c.delivery == literal_column("'received'"))


def _followed_up(asked: Select[Any], what: FollowedUp, today: Any, before: Any) -> Select[Any]:
    match what:
        case "not_answered":
            return asked.where(*_UNANSWERED, purchase_orders.c.sent_at <= before)
        case "changed_waiting_for_me":
            return asked.where(purchase_orders.c.acceptance == "changed")
        case "promised_late":
            return asked.where(purchase_orders.c.is_promised_late)
        case "overdue":
            return asked.where(*_DUE, purchase_orders.c.due_date < today)
        case "partly_received":
            return asked.where(purchase_orders.c.is_partly_received)


def listed(
    tx: Tx, what: FollowedUp, after: tuple[Any, ...] | None, limit: int, *, today: dt.date, before: dt.datetime
) -> list[tuple[Kept, tuple[str | int, ...]]]:
    """Orders somebody should look at, what waits longest first, each with its place in the list."""
    by = {"not_answered": purchase_orders.c.sent_at, "overdue": purchase_orders.c.due_date}.get(what)
    asked = _followed_up(select(*LISTED).select_from(with_partner), what, today, before)
    if by is None:
        asked = asked.order_by(purchase_orders.c.pk)
        asked = asked if after is None else asked.where(purchase_orders.c.pk > after[0])
    else:
        asked = asked.order_by(by, purchase_orders.c.pk)
        if after is not None:
            place: Any = dt.date.fromisoformat(after[0]) if what == "overdue" else instant(after[0])
            asked = asked.where((by > place) | and_(by == place, purchase_orders.c.pk > after[1]))
    rows = [Kept(**row) for row in tx.execute(asked.limit(limit)).mappings()]
    return [(row, _place(what, row)) for row in rows]


def _place(what: FollowedUp, row: Kept) -> tuple[str | int, ...]:
    if what == "overdue":
        return (str(row.due_date), row.pk)
    return (micros(row.sent_at), row.pk) if what == "not_answered" and row.sent_at else (row.pk,)


def days(tx: Tx, since: dt.datetime) -> tuple[list[tuple[dt.date, int, int]], list[tuple[dt.date, float]]]:
    """What was sent since a moment: (day, orders, clean ones) and, for each that was answered, (day it was sent, seconds until then).

    Looks at the newest 50,000 orders at most, so that it costs the same in every year.
    """
    at = type_coerce(purchase_orders.c.sent_at, BigInteger)
    newest = select(func.coalesce(func.max(purchase_orders.c.pk), 0)).scalar_subquery()
    those = (purchase_orders.c.pk > newest - 50_000, purchase_orders.c.sent_at >= since)
    day = (at // 86_400_000_000).label("day")
    clean = func.sum(case((purchase_orders.c.validation == "clean", 1), else_=0))
    rows = tx.execute(select(day, func.count(), clean).where(*those).group_by(day)).all()
    waits = tx.execute(
        select(day, type_coerce(purchase_orders.c.answered_at, BigInteger) - at)
        .where(*those, purchase_orders.c.answered_at.is_not(None))
        .order_by(purchase_orders.c.pk.desc())
        .limit(5_000)
    ).all()
    return [(_day(row[0]), row[1], row[2]) for row in rows], [(_day(row[0]), row[1] / 1_000_000) for row in waits]


def _day(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)


def _count(what: FollowedUp) -> Any:
    those = _followed_up(select(purchase_orders.c.pk), what, bindparam("today"), bindparam("before"))
    return hot(select(func.count()).select_from(those.limit(literal_column(str(MOST_COUNTED + 1))).subquery()))


_counts = {what: _count(what) for what in get_args(FollowedUp)}


def count(tx: Tx, what: FollowedUp, *, today: dt.date, before: dt.datetime) -> int:
    """How many such orders there are, counted up to one more than 1,000."""
    return int(_counts[what].all(tx, {"today": today, "before": before})[0][0])


def to_tell(tx: Tx, what: Literal["not_answered", "overdue"], most: int, *, today: dt.date, before: dt.datetime) -> list[Any]:
    """Orders not answered or overdue of which nobody has been told: rows of pk, id, number, revision, due_date, sent_at and partner."""
    told = (
        purchase_orders.c.told_unanswered < purchase_orders.c.revision
        if what == "not_answered"
        else purchase_orders.c.told_overdue.is_(None) | (purchase_orders.c.told_overdue != purchase_orders.c.due_date)
    )
    columns = (
        purchase_orders.c.pk, purchase_orders.c.id, purchase_orders.c.number, purchase_orders.c.revision, purchase_orders.c.due_date,
        purchase_orders.c.sent_at, purchase_orders.c.partner, purchase_orders.c.trace_id, partners.c.name.label("partner_name"),
    )  # fmt: skip
    asked = _followed_up(select(*columns).select_from(with_partner), what, today, before).where(told)
    by = purchase_orders.c.sent_at if what == "not_answered" else purchase_orders.c.due_date
    return list(tx.execute(asked.order_by(by, purchase_orders.c.pk).limit(most)))


_tell_unanswered = hot(
    update(purchase_orders).where(in_ints(purchase_orders.c.pk, "pks")).values(told_unanswered=purchase_orders.c.revision)
)
_tell_overdue = hot(update(purchase_orders).where(in_ints(purchase_orders.c.pk, "pks")).values(told_overdue=purchase_orders.c.due_date))


def told(tx: Tx, what: Literal["not_answered", "overdue"], pks: Collection[int]) -> None:
    """People have been told of these orders."""
    (_tell_unanswered if what == "not_answered" else _tell_overdue).run(tx, {"pks": pks})
