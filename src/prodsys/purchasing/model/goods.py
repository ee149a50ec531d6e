"""Goods the supplier says are on their way, and goods that came."""

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.documents import Attachment, DespatchLine, Exact, Words


class PurchaseDespatch(msgspec.Struct, frozen=True, kw_only=True):
    """Goods the supplier says are on their way, and whether somebody has booked them in."""

    id: Annotated[str, Meta(description="The supplier's.")]
    number: str
    date: dt.date
    carrier: str
    tracking_number: str
    expected_date: dt.date | None
    is_last: bool
    attachments: list[Attachment]
    lines: list[DespatchLine]
    heard_at: dt.datetime
    received_at: dt.datetime | None


class GoodsLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a line came; a negative quantity was sent back."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    quantity: Exact
    note: Words = ""


class Goods(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came in. With a despatch only the lines that differ from it need be named; without one, all that came."""

    despatch: Annotated[str | None, Meta(description="Id of the supplier's despatch.")] = None
    lines: Annotated[list[GoodsLine], Meta(max_length=10_000)] = []
