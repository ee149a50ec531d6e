"""The rows that are dropped when their time has come."""

import datetime as dt

from sqlalchemy import case, delete, func, select, text, update

from prodsys.kit.db import Tx, in_ints, insert_new
from prodsys.tables import counters, deliveries, log_entries, partners, sales_changes

_BODIES = "log_bodies_dropped"
"""The counter that says up to which key of the logs no documents are left, so that nobody looks there again."""


def drop_log_entries(tx: Tx, before: dt.datetime, most: int) -> int:
    """Drop log entries older than this, the oldest first; how many there were.

    The newest one of all stays: SQLite would give its key away again, and who reads the logs by key would miss what comes under it.
    """
    newest = select(func.max(log_entries.c.pk)).scalar_subquery()
    old = select(log_entries.c.pk).where(log_entries.c.at < before).order_by(log_entries.c.at, log_entries.c.pk).limit(most)
    pks = list(tx.execute(old).scalars())
    dropped = delete(log_entries).where(in_ints(log_entries.c.pk, "pks"), log_entries.c.pk < newest)
    return tx.execute(dropped, {"pks": pks}).rowcount if pks else 0


def drop_log_bodies(tx: Tx, before: dt.datetime, most: int) -> int:
    """Drop the documents kept with log entries older than this, the entries stay; how many entries were looked at."""
    mark = tx.execute(select(counters.c.value).where(counters.c.name == _BODIES)).scalar()
    if mark is None:
        insert_new(tx, counters, {"name": _BODIES, "value": 0})
        mark = 0
    old = select(log_entries.c.pk).where(log_entries.c.pk > mark, log_entries.c.at < before).order_by(log_entries.c.pk).limit(most)
    pks = list(tx.execute(old).scalars())
    if not pks:
        return 0
    has_bodies = log_entries.c.request.is_not(None) | log_entries.c.response.is_not(None)
    stripped = update(log_entries).where(in_ints(log_entries.c.pk, "pks"), has_bodies).values(request=None, response=None)
    tx.execute(stripped, {"pks": pks})
    tx.execute(update(counters).where(counters.c.name == _BODIES).values(value=pks[-1]))
    return len(pks)


def drop_delivered(tx: Tx, before: dt.datetime, dead_before: dt.datetime, most: int) -> int:
    """Drop what was sent and answered in deliveries that were settled before this; the rows stay. How many there were.

    What died can be sent again by hand, so it has a time of its own.
    """
    d = deliveries.c
    # Both conditions written out as in the index, so that the databases see that it serves.
    old = select(d.pk).where(d.document.is_not(None), d.settled_at.is_not(None), d.settled_at < before)
    old = old.where((d.state != "dead") | (d.settled_at < dead_before)).order_by(d.settled_at).limit(most)
    pks = list(tx.execute(old).scalars())
    if not pks:
        return 0
    emptied = update(deliveries).where(in_ints(d.pk, "pks"), d.settled_at.is_not(None)).values(document=None, answer=None)
    return tx.execute(emptied, {"pks": pks}).rowcount


def partners_after(tx: Tx, after: int, most: int) -> list[int]:
    """Keys of partners with a feed, behind this one."""
    query = select(partners.c.pk).where(partners.c.pk > after, partners.c.feed_position > 0).order_by(partners.c.pk).limit(most)
    return list(tx.execute(query).scalars())


def drop_changes(tx: Tx, partner: int, before: dt.datetime, most: int) -> int:
    """Drop what a partner's feed told before this, its oldest positions first; how many there were. A gap is never made."""
    c = sales_changes.c
    oldest = select(c.position, case((c.at < before, 1), else_=0).label("is_old")).where(c.partner == partner)
    last = 0
    for row in tx.execute(oldest.order_by(c.position).limit(most)):
        if not row.is_old:
            break
        last = row.position
    return tx.execute(delete(sales_changes).where(c.partner == partner, c.position <= last)).rowcount if last else 0


def free_pages(tx: Tx) -> int:
    """How many pages of a SQLite file hold nothing; PostgreSQL sees to it itself, so there are none."""
    return int(tx.execute(text("PRAGMA freelist_count")).scalar_one()) if tx.dialect.name == "sqlite" else 0
