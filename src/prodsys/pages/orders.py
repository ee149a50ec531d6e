"""Orders > Purchase orders: what has been ordered, how each order stands, and which of them to export."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from prodsys.documents import Acceptance, Fulfilment
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.downloads import Rows, taken_away
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, show
from prodsys.pages.words import N_, of_language
from prodsys.partners import store as partners
from prodsys.purchasing import actions, choosing, store
from prodsys.purchasing.store.lists import Filter
from prodsys.scopes import Scope, allows

SHOWN = 50
DELIVERIES = ("not_sent", "queued", "received", "failed", "unknown")
"""How far an order has travelled, as a list is filtered by it."""

_COLUMNS = (
    N_("Order"),
    N_("Revision"),
    N_("Supplier"),
    N_("Date"),
    N_("Currency"),
    N_("Amount"),
    N_("Delivery"),
    N_("Acceptance"),
    N_("Fulfilment"),
    N_("Due"),
    N_("Their order"),
    N_("Reason"),
)


@get("/orders", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def orders(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Purchase orders, newest first, with boxes for those that can be exported."""
    wanted = filter_of(visitor.query)
    place = _place_of(visitor, wanted)
    can_export = visitor.may(Scope.PURCHASE_ORDERS_EXPORT)

    def read(tx: Tx) -> dict[str, Any]:
        found, more = choosing.listed(tx, wanted, place, SHOWN)
        # Who has all of them before him has no need of a button for all.
        matching = choosing.matching(tx, wanted, choosing.MOST_TOGETHER + 1) if can_export and (more or place) else []
        return {
            "rows": found,
            "next": None if more is None else encode_cursor(_kind(wanted), *more),
            "matching": min(len(matching), choosing.MOST_TOGETHER),
            "is_more": len(matching) > choosing.MOST_TOGETHER,
            "suppliers": partners.names(tx),
        }

    facts = await db.read(read)
    return await show(
        visitor,
        "orders.html",
        here="orders",
        wanted=wanted,
        is_filtered=wanted != Filter(),
        can_export=can_export,
        choosable=sum(not row.issues for row in facts["rows"]),
        deliveries=DELIVERIES,
        acceptances=list(Acceptance),
        fulfilments=list(Fulfilment),
        **facts,
    )


@get("/orders/download", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def download(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The same list, whole, as a file."""
    speech = visitor.speech
    pages = _pages(db, filter_of(visitor.query), speech)
    return await taken_away("purchase-orders", visitor.query.get("as", "csv"), [speech.say(name) for name in _COLUMNS], pages)


async def _pages(db: Database, wanted: Filter, speech: Speech) -> AsyncIterator[Rows]:
    place: tuple[Any, ...] | None = None
    while True:
        found, place = await db.read(actions.listed, wanted, place, 500)
        yield [
            [
                order.number,
                order.revision,
                order.partner.name if order.partner else "",
                order.date,
                order.currency,
                order.net,
                of_language(speech, "delivery", order.delivery),
                of_language(speech, "acceptance", order.acceptance),
                of_language(speech, "fulfilment", order.fulfilment),
                order.due_date,
                order.their_order_number,
                order.reason,
            ]
            for order in found
        ]
        if place is None:
            return


def filter_of(query: Mapping[str, str]) -> Filter:
    """The filter an address asks for; a word nobody wrote is no filter."""
    return Filter(
        delivery=_one_of(query.get("delivery"), DELIVERIES),
        acceptance=_one_of(query.get("acceptance"), [word.value for word in Acceptance]),
        fulfilment=_one_of(query.get("fulfilment"), [word.value for word in Fulfilment]),
        partner=query.get("partner"),
        number=query.get("number", "").strip()[:80] or None,
        from_date=_day(query.get("from")),
        to_date=_day(query.get("to")),
    )


def _one_of(word: str | None, words: Any) -> str | None:
    return word if word in words else None


def _day(text: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _kind(wanted: Filter) -> str:
    return f"orders-{'-'.join(part.__name__ for part in store.lists.shape(wanted))}"


def _place_of(visitor: Visitor, wanted: Filter) -> tuple[Any, ...] | None:
    place = visitor.place(_kind(wanted), *store.lists.shape(wanted))
    if place is not None and len(place) == 2 and _day(place[0]) is None:
        return None
    return place


routes = [orders, download]
