"""Drafts nobody of ours has answered, told to our own people before the buyer has to ask."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.sales import store

TASK = "unanswered_drafts"
EVERY = dt.timedelta(hours=1)
PATIENCE = dt.timedelta(hours=24)
"""After so long a draft counts as not answered (product.md, A19)."""
_CHUNK = 500


async def look(db: Database) -> None:
    """Log, once for each, the drafts that have waited too long; who subscribes to what is overdue hears of them."""
    before, after = now() - PATIENCE, 0
    # Most have been told of, and reading that keeps nobody from writing.
    while rows := await db.read(store.waiting.unanswered, before, after=after, limit=_CHUNK):
        after = rows[-1].pk
        if untold := [row for row in rows if not row.is_told]:
            await db.write(_tell, untold)


def _tell(tx: Tx, drafts: Sequence[Any]) -> None:
    tell(tx, *map(_entry, drafts))


def _entry(row: Any) -> Entry:
    return Entry(
        code=store.waiting.UNANSWERED,
        message=f"Nobody has answered order {row.number} of {row.partner_name}, here since {row.received_at:%Y-%m-%d %H:%M} UTC.",
        level="warning",
        partner=row.partner,
        subject=row.id,
        number=row.number,
        trace_id=row.trace_id,
        actor="timetable",
    )
