"""Asking a supplier, in so many words, for an answer that is due."""

import datetime as dt

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import page as log_page
from prodsys.logs.store import tell
from prodsys.purchasing import words
from prodsys.purchasing.actions import kept
from prodsys.purchasing.model.orders import OrderMessage
from prodsys.purchasing.store.orders import Kept
from prodsys.purchasing.terms import ENDED
from prodsys.scopes import Caller

REMINDED = "order.reminded"
NOT_AGAIN_FOR = dt.timedelta(hours=24)
"""Who is reminded more often reads nothing any more."""


def remind(tx: Tx, caller: Caller, id: str) -> OrderMessage:
    """Ask the supplier for his answer, or for goods that are overdue; it reaches him as a message on the order.

    Raises NotFound, WrongState where nothing is due from him or he was reminded less than a day ago, and what `words.say` raises.
    """
    row = kept(tx, id, lock=True)
    text = _text(row)
    earlier = log_page(tx, before=None, limit=1, subject=id, code=REMINDED)
    if earlier and (at := earlier[0][1].at) > now() - NOT_AGAIN_FOR:
        raise errors.WrongState(f"The supplier was reminded of order {row.number} on {at:%Y-%m-%d %H:%M} UTC; once a day is enough.")
    said = words.say(tx, caller, id, text)
    message = f"{caller.name} reminded the supplier of order {row.number}."
    tell(
        tx,
        Entry(
            code=REMINDED,
            message=message,
            direction="out",
            partner=row.partner,
            subject=row.id,
            number=row.number,
            trace_id=row.trace_id,
            actor=caller.name,
        ),
    )
    return said


def _text(row: Kept) -> str:
    """What is asked for. Raises WrongState where nothing is due."""
    order = f"order {row.number}" if row.revision == 1 else f"order {row.number}, revision {row.revision}"
    if row.sent_at is None or row.delivery != "received" or row.acceptance in ENDED:
        raise errors.WrongState(f"Order {row.number} does not wait for the supplier: he never had it, or it has ended.")
    if row.acceptance in ("open", "disputed"):
        return f"Reminder: please answer {order}, which we sent on {row.sent_at:%Y-%m-%d}."
    if row.acceptance == "cancel_requested":
        return f"Reminder: please answer whether {order} can be cancelled."
    if row.due_date is not None and row.due_date < now().date():
        return f"Reminder: something of {order} should have come by {row.due_date}; please tell us when it comes."
    raise errors.WrongState(f"Nothing of order {row.number} is due from the supplier today.")
