"""Orders somebody should look at before the other side has to be asked."""

import datetime as dt
from typing import Any, Literal

from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.purchasing import store
from prodsys.purchasing.actions import summaries
from prodsys.purchasing.model.lists import FollowUpCount, FollowUpCounts, PurchaseSummary
from prodsys.purchasing.store.following import FollowedUp

FOLLOW_UP = "follow_up"
"""The kind of task that looks, once a day, for orders not answered and overdue."""
EVERY = dt.timedelta(days=1)
PATIENCE = dt.timedelta(hours=24)
"""After so long an order counts as not answered (product.md, A19)."""
_CHUNK = 500


def listed(
    tx: Tx, what: FollowedUp, after: tuple[Any, ...] | None, limit: int
) -> tuple[list[PurchaseSummary], tuple[str | int, ...] | None]:
    """A page of orders to follow up, what waits longest first, and where the next one begins."""
    at = now()
    found = store.following.listed(tx, what, after, limit + 1, today=at.date(), before=at - PATIENCE)
    more = found[limit - 1][1] if len(found) > limit else None
    return summaries(tx, [row for row, _ in found[:limit]]), more


def shape(what: FollowedUp) -> tuple[type, ...]:
    """The types of a place in such a list."""
    return {"overdue": (str, int), "not_answered": (int, int)}.get(what, (int,))


def count(tx: Tx, what: FollowedUp) -> FollowUpCount:
    """How many orders one of the lists holds, counted up to a thousand."""
    at = now()
    found = store.following.count(tx, what, today=at.date(), before=at - PATIENCE)
    return FollowUpCount(count=min(found, store.lists.MOST_COUNTED), is_more=found > store.lists.MOST_COUNTED)


def counts(tx: Tx) -> FollowUpCounts:
    """How many orders there are to follow up, each list counted up to a thousand."""
    return FollowUpCounts(
        not_answered=count(tx, "not_answered"),
        changed_waiting_for_me=count(tx, "changed_waiting_for_me"),
        promised_late=count(tx, "promised_late"),
        overdue=count(tx, "overdue"),
        partly_received=count(tx, "partly_received"),
    )


async def look(db: Database) -> None:
    """Log, once for each, the orders that have not been answered in time and those that are overdue."""
    for what in ("not_answered", "overdue"):
        while await db.write(_tell_some, what):
            pass


def _tell_some(tx: Tx, what: Literal["not_answered", "overdue"]) -> bool:
    at = now()
    rows = store.following.to_tell(tx, what, _CHUNK, today=at.date(), before=at - PATIENCE)
    if not rows:
        return False
    tell(tx, *(_unanswered(row) if what == "not_answered" else _overdue(row) for row in rows))
    store.following.told(tx, what, [row.pk for row in rows])
    return len(rows) == _CHUNK


def _unanswered(row: Any) -> Entry:
    message = f"{row.partner_name} has not answered order {row.number} since {row.sent_at:%Y-%m-%d %H:%M} UTC."
    return _entry(row, "order.unanswered", message)


def _overdue(row: Any) -> Entry:
    message = f"Something of order {row.number} should have come from {row.partner_name} by {row.due_date}; nothing says that it has."
    return _entry(row, "order.overdue", message)


def _entry(row: Any, code: str, message: str) -> Entry:
    return Entry(
        code=code,
        message=message,
        level="warning",
        partner=row.partner,
        subject=row.id,
        number=row.number,
        trace_id=row.trace_id,
        actor="timetable",
    )
