"""The doors of Orders > Purchase orders and of Follow-up, as far as they are lists."""

import datetime as dt
from typing import Annotated, Any, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prodsys import documents, errors
from prodsys.documents import Issue
from prodsys.kit.db import Database
from prodsys.kit.web import After, Limit, Page, decode_cursor, encode_cursor
from prodsys.purchasing import actions, following, store
from prodsys.purchasing.model.lists import FollowUpCounts, PurchaseSummary, Totals
from prodsys.purchasing.store.lists import Filter
from prodsys.scopes import Scope, allows

Travel = Annotated[
    Literal["not_sent", "queued", "received", "failed", "unknown"] | None,
    QueryParameter(description="How far it has travelled; `queued` is everything on its way."),
]
Answer = Annotated[documents.Acceptance | None, QueryParameter(description="What the two companies have agreed.")]
Moved = Annotated[documents.Fulfilment | None, QueryParameter(description="How much of it has moved.")]
OfPartner = Annotated[str | None, QueryParameter(description="Only orders to this supplier, by id.")]
Beginning = Annotated[str | None, QueryParameter(max_length=80, description="Only numbers beginning so; then sorted by number.")]
FromDay = Annotated[dt.date | None, QueryParameter(description="Only orders of this day or later; the list is then sorted by day.")]
ToDay = Annotated[dt.date | None, QueryParameter(description="Only orders of this day or earlier.")]


@get("/purchasing/orders", operation_id="list_purchase_orders", **allows(Scope.PURCHASE_ORDERS_READ))
async def list_orders(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    delivery: Travel = None,
    acceptance: Answer = None,
    fulfilment: Moved = None,
    partner: OfPartner = None,
    number: Beginning = None,
    from_date: FromDay = None,
    to_date: ToDay = None,
) -> Page[PurchaseSummary]:
    """Purchase orders, newest first."""
    wanted = _filter(delivery, acceptance, fulfilment, partner, number, from_date, to_date)
    kind = f"orders-{'-'.join(part.__name__ for part in store.lists.shape(wanted))}"
    behind = None if after is None else _read_place(after, kind, wanted)
    found, more = await db.read(actions.listed, wanted, behind, limit)
    return Page(items=found, next=None if more is None else encode_cursor(kind, *more))


@get("/purchasing/orders/totals", operation_id="sum_purchase_orders", **allows(Scope.PURCHASE_ORDERS_READ))
async def sum_orders(
    db: NamedDependency[Database],
    delivery: Travel = None,
    acceptance: Answer = None,
    fulfilment: Moved = None,
    partner: OfPartner = None,
    number: Beginning = None,
    from_date: FromDay = None,
    to_date: ToDay = None,
) -> Totals:
    """How many orders a list holds and what they come to, counted up to a thousand."""
    return await db.read(actions.totals, _filter(delivery, acceptance, fulfilment, partner, number, from_date, to_date))


@get("/purchasing/follow-up", operation_id="list_follow_up", **allows(Scope.PURCHASE_ORDERS_READ))
async def list_follow_up(
    db: NamedDependency[Database],
    what: Annotated[store.following.FollowedUp, QueryParameter(name="filter", description="Which orders somebody should look at.")],
    limit: Limit = 50,
    after: After = None,
) -> Page[PurchaseSummary]:
    """Orders to follow up, what waits longest first."""
    kind = f"follow-up-{what}"
    behind = None if after is None else _read_day(decode_cursor(after, kind, *following.shape(what)), what)
    found, more = await db.read(following.listed, what, behind, limit)
    return Page(items=found, next=None if more is None else encode_cursor(kind, *more))


@get("/purchasing/follow-up/counts", operation_id="count_follow_up", **allows(Scope.PURCHASE_ORDERS_READ))
async def count_follow_up(db: NamedDependency[Database]) -> FollowUpCounts:
    """How many orders there are to follow up, each list counted up to a thousand."""
    return await db.read(following.counts)


routes = [list_orders, sum_orders, list_follow_up, count_follow_up]


def _filter(
    delivery: str | None,
    acceptance: documents.Acceptance | None,
    fulfilment: documents.Fulfilment | None,
    partner: str | None,
    number: str | None,
    from_date: dt.date | None,
    to_date: dt.date | None,
) -> Filter:
    return Filter(
        delivery=delivery,
        acceptance=None if acceptance is None else acceptance.value,
        fulfilment=None if fulfilment is None else fulfilment.value,
        partner=partner,
        number=number,
        from_date=from_date,
        to_date=to_date,
    )


def _read_place(after: str, kind: str, wanted: Filter) -> tuple[Any, ...]:
    place = decode_cursor(after, kind, *store.lists.shape(wanted))
    if len(place) == 2:
        _must_be_a_day(place[0])
    return place


def _read_day(place: tuple[Any, ...], what: store.following.FollowedUp) -> tuple[Any, ...]:
    if what == "overdue":
        _must_be_a_day(place[0])
    return place


def _must_be_a_day(text: str) -> None:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        message = "This is not a cursor of this list; begin again without `after`."
        issue = Issue(code="cursor_invalid", message=message, pointer="/query/after", blocks=True)
        raise errors.Invalid(issues=[issue]) from None
