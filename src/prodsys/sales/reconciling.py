"""Compare a buyer's orders with those here, so that neither side is without one the other has."""

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue, OrderNumber, Revision, plain
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.sales import store
from prodsys.scopes import Caller

MOST = 10_000
"""Orders one call may name, and as many more may be answered."""
PERIOD = dt.timedelta(days=90)


class OrderDigest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order the buyer believes to be here."""

    number: OrderNumber
    revision: Revision
    digest: Annotated[str, Meta(max_length=100, description="What was sent, as `1:` + SHA-256; empty compares the presence only.")] = ""
    answer: Annotated[int, Meta(ge=0, le=2_147_483_647, description="The newest answer the buyer knows.")] = 0


class OrdersToCompare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some of the buyer's orders, sorted by number as Unicode code points; one call for each stretch of numbers."""

    orders: Annotated[list[OrderDigest], Meta(max_length=MOST)]
    after: Annotated[str, Meta(max_length=80, description="The stretch begins behind this number; empty: at the first.")] = ""
    through: Annotated[Annotated[str, Meta(max_length=80)] | None, Meta(description="The last number of the stretch; null: no end.")] = None
    since: Annotated[
        Annotated[dt.datetime, Meta(tz=True)] | None, Meta(description="Orders here that came earlier are not named; null: 90 days ago.")
    ] = None


class MissingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is not here."""

    number: str
    revision: int


class OrderHere(msgspec.Struct, frozen=True, kw_only=True):
    """An order that is here."""

    id: str
    number: str
    revision: int
    digest: str
    answer: int
    order_number: str | None
    received_at: dt.datetime


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How a stretch of the buyer's orders stands against those here."""

    missing: Annotated[list[MissingOrder], Meta(description="The buyer has it, it is not here.")]
    differs: Annotated[list[OrderHere], Meta(description="Here with another content under the same number and revision.")]
    behind: Annotated[list[OrderHere], Meta(description="Here with fewer answers than the buyer knows: they are lost here.")]
    others: Annotated[list[OrderHere], Meta(description="Here since then, and not among the buyer's.")]
    through: Annotated[str | None, Meta(description="How far was compared, less than asked where much is here; null: to the end.")]


def compare(tx: Tx, caller: Caller, asked: OrdersToCompare) -> Compared:
    """Say what of a partner's orders is missing here, differs, or is here and not among his.

    Raises Invalid when an order lies outside the stretch it is said to be of.
    """
    assert caller.partner is not None  # noqa: S101  # the door is a partner's door
    theirs = {(plain(one.number), one.revision): one for one in asked.orders}
    _must_lie_within(asked, [number for number, _ in theirs])
    here = {
        (row.number, row.revision): row
        for row in store.reconciling.digests_of(tx, caller.partner, sorted({number for number, _ in theirs}))
    }
    near = store.reconciling.digests_between(tx, caller.partner, asked.after, asked.through, asked.since or now() - PERIOD, MOST + 1)
    through = asked.through
    if len(near) > MOST:
        # Cut between two numbers, so that no order's revisions are torn apart.
        through = near[MOST].number
        near = [row for row in near if row.number < through] or near[:MOST]
        through = near[-1].number
    known = {key: one for key, one in theirs.items() if through is None or key[0] <= through}
    return Compared(
        missing=[MissingOrder(number=number, revision=revision) for number, revision in sorted(known) if (number, revision) not in here],
        differs=[_shown(here[key]) for key in sorted(known) if key in here and known[key].digest not in ("", here[key].digest)],
        behind=[_shown(here[key]) for key in sorted(known) if key in here and here[key].answer < known[key].answer],
        others=[_shown(row) for row in near if (row.number, row.revision) not in theirs],
        through=through,
    )


def _must_lie_within(asked: OrdersToCompare, numbers: list[str]) -> None:
    outside = [number for number in numbers if number <= asked.after or (asked.through is not None and number > asked.through)]
    if outside:
        message = f"Order {outside[0]} does not lie in the stretch of numbers that is compared."
        issue = Issue(code="outside_the_stretch", message=message, params={"number": outside[0]}, pointer="/orders", blocks=True)
        raise errors.Invalid(issues=[issue])


def _shown(row: store.reconciling.Digest) -> OrderHere:
    return OrderHere(**{field: getattr(row, field) for field in OrderHere.__struct_fields__})
