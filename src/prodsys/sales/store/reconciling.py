"""The orders of a partner in short, for comparing them with his own."""

import datetime as dt
from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, select

from prodsys.kit.db import Tx, hot, in_texts
from prodsys.tables import sales_orders


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a partner's as far as comparing needs it."""

    pk: int
    id: str
    number: str
    revision: int
    digest: str
    answer: int
    order_number: str | None
    received_at: dt.datetime


# The partner learns here what he has been told, and nothing earlier.
_DIGEST = tuple(
    sales_orders.c[f"told_{name}"].label(name) if name in ("answer", "order_number") else sales_orders.c[name]
    for name in Digest.__struct_fields__
)
_digests_of = hot(select(*_DIGEST).where(sales_orders.c.partner == bindparam("whose"), in_texts(sales_orders.c.number, "numbers")), Digest)


def digests_of(tx: Tx, partner: int, numbers: Sequence[str]) -> list[Digest]:
    """Every revision here of these orders of a partner's."""
    return _digests_of.all(tx, {"whose": partner, "numbers": numbers}) if numbers else []


def digests_between(tx: Tx, partner: int, after: str, through: str | None, since: dt.datetime, limit: int) -> list[Digest]:
    """A partner's orders that arrived since then, behind one number and up to another, sorted by number and revision."""
    query = select(*_DIGEST).where(sales_orders.c.partner == partner, sales_orders.c.number > after, sales_orders.c.received_at >= since)
    if through is not None:
        query = query.where(sales_orders.c.number <= through)
    rows = tx.execute(query.order_by(sales_orders.c.number, sales_orders.c.revision).limit(limit)).mappings()
    return [Digest(**row) for row in rows]
