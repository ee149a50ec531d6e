"""Orders by the page, as people and programs look through them."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Select, String, bindparam, exists, func, literal, literal_column, or_, select, text, tuple_

from prodsys.documents import Acceptance, Delivery, Exact, Fulfilment, Validation, reader
from prodsys.kit.db import Tx, hot, in_texts
from prodsys.kit.states import etag
from prodsys.sales.model import DraftSummary, Finding
from prodsys.sales.store.arriving import NO_DAY
from prodsys.sales.store.views import (
    Tab,
    Wish,
    are_few,
    by_acceptance,
    by_partner,
    by_validation,
    has_words,
    in_view,
    is_to_ship,
    is_waiting,
    key_of,
    of_tab,
    of_verdict,
    partners_own,
)
from prodsys.tables import partners, sales_orders

_read_findings = reader(list[Finding])
_SUMMARY = (
    sales_orders.c.pk,
    sales_orders.c.id,
    partners.c.id.label("partner"),
    partners.c.name.label("partner_name"),
    sales_orders.c.number,
    sales_orders.c.revision,
    sales_orders.c.date,
    sales_orders.c.currency,
    sales_orders.c.net,
    sales_orders.c.delivery,
    sales_orders.c.validation,
    sales_orders.c.acceptance,
    sales_orders.c.fulfilment,
    sales_orders.c.is_newest,
    sales_orders.c.verdict,
    sales_orders.c.findings,
    sales_orders.c.wanted,
    sales_orders.c.line_count,
    sales_orders.c.taken_by,
    sales_orders.c.taken_at,
    sales_orders.c.answered_at,
    sales_orders.c.received_at,
    sales_orders.c.trace_id,
    sales_orders.c.order_number,
    sales_orders.c.version,
)


def page(
    tx: Tx,
    *,
    before: int | None,
    limit: int,
    acceptance: str | None = None,
    validation: str | None = None,
    partner: str | None = None,
    number: str | None = None,
    verdict: str | None = None,
    taken_by: str | None = None,
    approved_only: bool = False,
    newest_only: bool = False,
) -> list[tuple[int, DraftSummary]]:
    """Orders newest first, with their keys for the cursor. Each filter, and each with `partner`, has an index to walk.

    `newest_only`: without revisions that do not stand any more.
    """
    query: Select[Any] = select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner)
    wanted = {sales_orders.c.acceptance: acceptance, sales_orders.c.validation: validation}
    stands = [column == word for column, word in wanted.items() if word is not None]
    by_state = [said for said, word in zip((by_acceptance, by_validation), wanted.values(), strict=True) if word is not None]
    query = query.where(*stands)
    if number is not None or taken_by is not None:
        # These find a few rows; walking all of the partner's instead would be the worse index, and `+ 0` keeps SQLite from it.
        if partner is not None:
            query = query.where(sales_orders.c.partner + 0 == key_of(partner))
    elif partner is None or (stands and are_few(tx, *by_state, *stands)):
        query = query.where(*by_state)
        if partner is not None:
            query = query.where(sales_orders.c.partner + 0 == key_of(partner))
    elif verdict is None:
        query = query.where(by_partner, sales_orders.c.partner == key_of(partner))
    if number is not None:
        query = query.where(sales_orders.c.number == number)
    if verdict is not None:
        query = query.where(*of_verdict(tx, verdict, partner))
    if taken_by is not None:
        query = query.where(is_waiting, text("sales_orders.taken_by <> ''"), sales_orders.c.taken_by == taken_by)
    if newest_only:
        query = query.where(sales_orders.c.is_newest)
    if approved_only:
        query = query.where(sales_orders.c.order_number.is_not(None))
    if before is not None:
        query = query.where(sales_orders.c.pk < before)
    rows = tx.execute(query.order_by(sales_orders.c.pk.desc()).limit(limit)).all()
    return [(row.pk, summary(row)) for row in rows]


_BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def inbox(tx: Tx, wish: Wish, *, after: tuple[int | str, int] | None, limit: int) -> list[tuple[tuple[int | str, int], DraftSummary]]:
    """Drafts of a view with their places for the cursor, walking an index of that view. Answered ones come newest answer first."""
    column, down = _order_of(wish)
    query = of_tab(tx, select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner), wish)
    if wish.partner is not None and wish.tab not in ("clean", "price"):
        query = query.where(*partners_own(tx, wish.partner) if wish.tab == "answered" else [sales_orders.c.partner == key_of(wish.partner)])
    if wish.until is not None:
        query = query.where(sales_orders.c.wanted <= wish.until)
    if wish.words:
        query = query.where(has_words(tx, wish))
    place = tuple_(column, sales_orders.c.pk) if column is not None else None
    if after is not None:
        at, pk = after
        if place is None:
            query = query.where(sales_orders.c.pk < pk if down else sales_orders.c.pk > pk)
        else:
            there = tuple_(_place_value(at), pk)
            query = query.where(place < there if down else place > there)
    ways = [sales_orders.c.pk] if column is None else [column, sales_orders.c.pk]
    rows = tx.execute(query.order_by(*(way.desc() if down else way for way in ways)).limit(limit)).all()
    return [(_place_of(wish, row), summary(row)) for row in rows]


def _counted(tab: Tab) -> Any:
    # In order, so that SQLite walks the small index of the view and not a larger one with many looks into the table.
    those = select(sales_orders.c.pk).where(*in_view(tab, bindparam("me"))).order_by(sales_orders.c.pk).limit(bindparam("most"))
    return select(func.count()).select_from(those.subquery()).scalar_subquery().label(tab)


_COUNTED: tuple[Tab, ...] = ("open", "attention", "clean", "price", "mine")
_counts = hot(select(*(_counted(tab) for tab in _COUNTED)))


def inbox_counts(tx: Tx, most: int, me: str) -> dict[str, int]:
    """How many drafts each view of the inbox holds, counted so far and no further."""
    return dict(zip(_COUNTED, _counts.all(tx, {"most": most, "me": me})[0], strict=True))


def only_prices_within(tx: Tx, percent: Decimal, *, limit: int) -> list[DraftSummary]:
    """Drafts that wait and in which nothing differs but prices, none by more than so many percent; the oldest first."""
    query = of_tab(tx, select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner), Wish(tab="price"))
    query = query.where(sales_orders.c.price_gap <= min(int(percent * 100), 2**31 - 1)).order_by(sales_orders.c.pk).limit(limit)
    return [summary(row) for row in tx.execute(query).all()]


def by_ids(tx: Tx, ids: Sequence[str]) -> dict[str, DraftSummary]:
    """Drafts by their ids, those that there are."""
    query = select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner).where(in_texts(sales_orders.c.id, "ids"))
    return {row.id: summary(row) for row in tx.execute(query, {"ids": list(ids)}).all()} if ids else {}


_buyers = hot(
    select(partners.c.id, partners.c.name).where(exists().where(sales_orders.c.partner == partners.c.pk)).limit(literal_column("1000"))
)


def buyers(tx: Tx) -> list[tuple[str, str]]:
    """(id, name) of every partner that has sent an order, by name."""
    return sorted(_buyers.all(tx), key=lambda pair: pair.name.casefold())


def approved(
    tx: Tx,
    *,
    before: int | None,
    limit: int,
    partner: str | None = None,
    to_ship: bool = False,
    words: str = "",
) -> list[tuple[int, DraftSummary]]:
    """Orders with a number of ours, newest first; with `to_ship` those that were agreed and are not all on their way."""
    query = select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner)
    query = query.where(is_to_ship) if to_ship else query.where(sales_orders.c.order_number.is_not(None))
    if partner is not None:
        query = query.where(*partners_own(tx, partner))
    if words:
        query = query.where(or_(has_words(tx, Wish(tab="answered", words=words)), sales_orders.c.order_number == words.upper()))
    if before is not None:
        query = query.where(sales_orders.c.pk < before)
    rows = tx.execute(query.order_by(sales_orders.c.pk.desc()).limit(limit)).all()
    return [(row.pk, summary(row)) for row in rows]


def _order_of(wish: Wish) -> tuple[Any | None, bool]:
    """The column a view is sorted by before the key, and whether downwards."""
    if wish.tab == "answered":
        return sales_orders.c.answered_at, True
    return {"age": (None, False), "value": (sales_orders.c.net, True), "wanted": (sales_orders.c.wanted, False)}[wish.sort]


def _place_of(wish: Wish, row: Any) -> tuple[int | str, int]:
    if wish.tab == "answered":
        return (row.answered_at - _BEGINNING) // dt.timedelta(microseconds=1), row.pk
    match wish.sort:
        case "value":
            return int(row.net * 100), row.pk
        case "wanted":
            return row.wanted.isoformat(), row.pk
        case _:
            return 0, row.pk


def _place_value(at: int | str) -> Any:
    # As it is kept, not as it is read: what a cursor holds is compared with what the index holds.
    return literal(at, String() if isinstance(at, str) else BigInteger())


def summary(row: Any) -> DraftSummary:
    """A row as the inbox shows it."""
    findings = _read_findings(row.findings) if row.findings != "[]" else []
    return DraftSummary(
        id=row.id,
        partner=row.partner if isinstance(row.partner, str) else row.partner_id,
        partner_name=row.partner_name,
        number=row.number,
        revision=row.revision,
        date=row.date,
        currency=row.currency,
        net=Exact(row.net),
        delivery=Delivery(row.delivery),
        validation=Validation(row.validation),
        acceptance=Acceptance(row.acceptance),
        fulfilment=Fulfilment(row.fulfilment),
        is_newest=row.is_newest,
        issue_count=sum(finding.count for finding in findings),
        received_at=row.received_at,
        trace_id=row.trace_id,
        etag=etag(row.id, row.version),
        order_number=row.order_number,
        verdict=row.verdict,
        findings=findings,
        wanted=None if row.wanted == NO_DAY else row.wanted,
        line_count=row.line_count,
        taken_by=row.taken_by,
        taken_at=row.taken_at,
        answered_at=row.answered_at,
    )
