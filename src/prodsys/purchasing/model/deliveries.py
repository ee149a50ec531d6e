"""The ledger of what was promised to suppliers, as it is shown."""

import datetime as dt
from typing import Literal

import msgspec


class DeliveryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A promise to deliver as it stands in the ledger."""

    id: str
    kind: str
    lane: str
    subject: str
    state: Literal["ready", "leased", "done", "refused", "dead"]
    attempts: int
    run_at: dt.datetime
    deadline: dt.datetime
    last_error: str
    trace_id: str
    created_at: dt.datetime
    settled_at: dt.datetime | None
    may_resend: bool
