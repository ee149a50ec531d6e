"""The rows of order drafts, sales orders and the feed of what happened to them."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    bindparam,
    case,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    type_coerce,
    update,
)

from prodsys.documents import (
    Acceptance,
    Change,
    Delivery,
    Despatch,
    Exact,
    Fulfilment,
    Issue,
    Message,
    Order,
    OrderAnswer,
    Receipt,
    Validation,
    plain,
    reader,
    write,
)
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_texts, insert_new, insert_or_ignore
from prodsys.kit.states import etag
from prodsys.sales import model
from prodsys.sales.model import DraftSummary, ExaminedLine, Finding, News, PartnerOrder
from prodsys.tables import (
    ANY_ACCEPTANCE,
    ANY_PARTNER,
    ANY_VALIDATION,
    TO_SHIP,
    WAITING,
    articles,
    contacts,
    counters,
    log_entries,
    partners,
    sales_answers,
    sales_changes,
    sales_despatches,
    sales_lines,
    sales_messages,
    sales_orders,
)

read_order = reader(Order)
read_receipt = reader(Receipt)
read_issues = reader(list[Issue])
_read_change = reader(Change)
_read_answer = reader(OrderAnswer)
_read_despatch = reader(Despatch)
_read_message = reader(Message)
_read_findings = reader(list[Finding])


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An order that has arrived before, from this partner or another."""

    pk: int
    partner: int
    number: str
    revision: int
    digest: str
    buyer_key: str
    receipt: str
    trace_id: str


_known = hot(
    select(
        sales_orders.c.pk,
        sales_orders.c.partner,
        sales_orders.c.number,
        sales_orders.c.revision,
        sales_orders.c.digest,
        sales_orders.c.buyer_key,
        sales_orders.c.receipt,
        sales_orders.c.trace_id,
    ).where(in_texts(sales_orders.c.number, "numbers")),
    Known,
)
_keep_order = hot(insert_or_ignore(sales_orders))
_keep_lines = hot(insert(sales_lines))
_newer = sales_orders.alias("newer")
_age = hot(
    update(sales_orders)
    .where(
        sales_orders.c.partner == bindparam("of"),
        in_texts(sales_orders.c.number, "numbers"),
        sales_orders.c.is_newest,
        exists().where(
            _newer.c.partner == sales_orders.c.partner,
            _newer.c.number == sales_orders.c.number,
            _newer.c.revision > sales_orders.c.revision,
        ),
    )
    .values(is_newest=False, version=sales_orders.c.version + 1)
)
_next_number = hot(
    update(counters).where(counters.c.name == bindparam("series")).values(value=counters.c.value + 1).returning(counters.c.value)
)
_next_position = hot(
    update(partners)
    .where(partners.c.pk == bindparam("whose"))
    .values(feed_position=partners.c.feed_position + 1)
    .returning(partners.c.feed_position)
)

WAITING_WORDS = ("open", "disputed", "cancel_requested")
"""Acceptances in which an order waits for our word."""
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
NO_DAY = dt.date(9999, 12, 31)
"""Stands where no day is asked for, so that such orders come last."""
_is_waiting = text(" AND ".join(f"sales_orders.{term}" for term in WAITING.split(" AND ")))
_is_to_ship = text(" AND ".join(f"sales_orders.{term}" for term in TO_SHIP.split(" AND ")))
_by_acceptance, _by_validation, _by_partner = (text(f"sales_orders.{term}") for term in (ANY_ACCEPTANCE, ANY_VALIDATION, ANY_PARTNER))
_has_something = text("sales_orders.verdict <> 'clean'")
_FEW = 1_000
"""Orders that are read through faster than their list is sought in another way."""


def known(tx: Tx, numbers: Sequence[str]) -> list[Known]:
    """Every order under these numbers, whoever sent it."""
    return _known.all(tx, {"numbers": numbers})


def keep(tx: Tx, order: Mapping[str, Any]) -> int | None:
    """Keep an arrived order; its key for `keep_lines`, or None when the same (partner, number, revision) is there already."""
    return _keep_order.key(tx, order)


def keep_lines(tx: Tx, orders: Iterable[tuple[int, Sequence[ExaminedLine]]]) -> None:
    """Keep the lines of orders just kept, of all of them in one go."""
    _keep_lines.many(tx, [_line_row(pk, at, line) for pk, lines in orders for at, line in enumerate(lines)])


def _line_row(order: int, at: int, examined: ExaminedLine) -> dict[str, Any]:
    line, article, expected = examined.line, examined.found.article, examined.expected
    return {
        "order": order,
        "position": at,
        "line_id": line.line_id,
        "article": None if article is None else article.pk,
        "how": "text" if line.kind == "text" else examined.found.how,
        "article_number": line.article_number,
        "quantity": line.quantity,
        "unit": line.unit,
        "unit_price": line.unit_price,
        "net": examined.net,
        "expected_price": None if expected is None else expected.price,
        "expected_price_quantity": None if expected is None else expected.price_quantity,
        "expected_price_from": None if expected is None else expected.origin,
    }


def age(tx: Tx, partner: int, numbers: Sequence[str]) -> None:
    """Let of each of these orders only the highest revision be the newest."""
    _age.run(tx, {"of": partner, "numbers": numbers})


def next_number(tx: Tx, series: str) -> int:
    """The next number of a series; series begin at 100001 so that every number has six digits."""
    row = _next_number.first(tx, {"series": series})
    if row is None:
        insert_new(tx, counters, {"name": series, "value": 100_000})
        row = _next_number.first(tx, {"series": series})
    assert row is not None  # noqa: S101  # it was made one line above
    return int(row[0])


def draft(tx: Tx, order_id: str, *, lock: bool = False) -> Any | None:
    """One order whole, with its partner's id and name."""
    query = (
        select(sales_orders, partners.c.id.label("partner_id"), partners.c.name.label("partner_name"), contacts.c.id.label("contact_id"))
        .join(partners, partners.c.pk == sales_orders.c.partner)
        .join(contacts, contacts.c.pk == sales_orders.c.contact, isouter=True)
        .where(sales_orders.c.id == order_id)
    )
    if lock:
        query = query.with_for_update(of=sales_orders)
    return tx.execute(query).first()


def lines(tx: Tx, order: int) -> list[Any]:
    """The lines of an order with what is known of their articles, in the order sent."""
    query = (
        select(
            sales_lines,
            articles.c.id.label("article_id"),
            articles.c.number.label("our_number"),
            articles.c.name.label("our_name"),
            articles.c.unit.label("our_unit"),
        )
        .join(articles, articles.c.pk == sales_lines.c.article, isouter=True)
        .where(sales_lines.c.order == order)
        .order_by(sales_lines.c.position)
    )
    return list(tx.execute(query).all())


def change(tx: Tx, pk: int, version: int, **values: Any) -> bool:
    """Change an order if it still is at this version; False when somebody was faster."""
    changed = update(sales_orders).where(sales_orders.c.pk == pk, sales_orders.c.version == version)
    return tx.execute(changed.values(version=version + 1, **values)).rowcount == 1


def rematch_line(tx: Tx, order: int, position: int, examined: ExaminedLine) -> None:
    """Keep which article a line means after all, and what it was expected to cost."""
    row = _line_row(order, position, examined)
    told = {name: row[name] for name in ("article", "how", "expected_price", "expected_price_quantity", "expected_price_from")}
    tx.execute(update(sales_lines).where(sales_lines.c.order == order, sales_lines.c.position == position).values(told))


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
) -> list[tuple[int, DraftSummary]]:
    """Orders newest first, with their keys for the cursor. Each filter, and each with `partner`, has an index to walk."""
    query: Select[Any] = select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner)
    wanted = {sales_orders.c.acceptance: acceptance, sales_orders.c.validation: validation}
    stands = [column == word for column, word in wanted.items() if word is not None]
    by_state = [said for said, word in zip((_by_acceptance, _by_validation), wanted.values(), strict=True) if word is not None]
    query = query.where(*stands)
    if number is not None or taken_by is not None:
        # These find a few rows; walking all of the partner's instead would be the worse index, and `+ 0` keeps SQLite from it.
        if partner is not None:
            query = query.where(sales_orders.c.partner + 0 == _key_of(partner))
    elif partner is None or (stands and _are_few(tx, *by_state, *stands)):
        query = query.where(*by_state)
        if partner is not None:
            query = query.where(sales_orders.c.partner + 0 == _key_of(partner))
    elif verdict is None:
        query = query.where(_by_partner, sales_orders.c.partner == _key_of(partner))
    if number is not None:
        query = query.where(sales_orders.c.number == number)
    if verdict is not None:
        query = query.where(*_of_verdict(tx, verdict, partner))
    if taken_by is not None:
        query = query.where(_is_waiting, text("sales_orders.taken_by <> ''"), sales_orders.c.taken_by == taken_by)
    if approved_only:
        query = query.where(sales_orders.c.order_number.is_not(None))
    if before is not None:
        query = query.where(sales_orders.c.pk < before)
    rows = tx.execute(query.order_by(sales_orders.c.pk.desc()).limit(limit)).all()
    return [(row.pk, summary(row)) for row in rows]


def _key_of(partner: str) -> Any:
    return select(partners.c.pk).where(partners.c.id == partner).scalar_subquery()


def _of_partner(tx: Tx, partner: str) -> list[Any]:
    """A partner's among all there are of a view: his own are walked while they are few, and the view when they are many."""
    his = [_by_partner, sales_orders.c.partner == _key_of(partner)]
    return his if _are_few(tx, *his) else [sales_orders.c.partner + 0 == _key_of(partner)]


def _are_few(tx: Tx, *those: Any) -> bool:
    some = select(sales_orders.c.pk).where(*those).limit(_FEW).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one()) < _FEW


def _of_verdict(tx: Tx, verdict: str, partner: str | None) -> list[Any]:
    """What waits with this verdict, of one partner or of all: what there is less of is walked."""
    those = [_is_waiting, sales_orders.c.verdict == verdict]
    if partner is None:
        return those
    if _are_few(tx, *those):
        return [*those, sales_orders.c.partner + 0 == _key_of(partner)]
    # Behind `coalesce` SQLite does not see the verdict's index.
    return [_is_waiting, func.coalesce(sales_orders.c.verdict, "") == verdict, sales_orders.c.partner == _key_of(partner)]


Tab = Literal["open", "attention", "clean", "price", "mine", "answered"]
"""A view of the inbox."""
Sort = Literal["age", "value", "wanted"]
"""What the inbox can be sorted by: who waits longest, what is worth most, what is wanted first."""
_BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SOUGHT = 2_000
"""An article is looked for in so many of the newest orders of a view."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which drafts are asked for. `partner` by id; `until`: wanted by then; `me`: who asks, for those he has taken."""

    tab: Tab = "open"
    sort: Sort = "age"
    partner: str | None = None
    until: dt.date | None = None
    words: str = ""
    me: str = ""


def inbox(tx: Tx, wish: Wish, *, after: tuple[int | str, int] | None, limit: int) -> list[tuple[tuple[int | str, int], DraftSummary]]:
    """Drafts of a view with their places for the cursor, walking an index of that view. Answered ones come newest answer first."""
    column, down = _order_of(wish)
    query = _of_tab(tx, select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner), wish)
    if wish.partner is not None and wish.tab not in ("clean", "price"):
        query = query.where(*_of_partner(tx, wish.partner) if wish.tab == "answered" else [sales_orders.c.partner == _key_of(wish.partner)])
    if wish.until is not None:
        query = query.where(sales_orders.c.wanted <= wish.until)
    if wish.words:
        query = query.where(_has_words(tx, wish))
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


def inbox_counts(tx: Tx, most: int, me: str) -> dict[str, int]:
    """How many drafts each view of the inbox holds, counted so far and no further."""
    views = {
        tab: _of_tab(tx, select(sales_orders.c.pk), Wish(tab=tab, me=me)).limit(most).subquery()
        for tab in ("open", "attention", "clean", "price", "mine")
    }
    row = tx.execute(select(*(select(func.count()).select_from(view).scalar_subquery().label(tab) for tab, view in views.items()))).one()
    return {tab: int(getattr(row, tab)) for tab in views}


def only_prices_within(tx: Tx, percent: Decimal, *, limit: int) -> list[DraftSummary]:
    """Drafts that wait and in which nothing differs but prices, none by more than so many percent; the oldest first."""
    query = _of_tab(tx, select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner), Wish(tab="price"))
    query = query.where(sales_orders.c.price_gap <= min(int(percent * 100), 2**31 - 1)).order_by(sales_orders.c.pk).limit(limit)
    return [summary(row) for row in tx.execute(query).all()]


def summaries(tx: Tx, ids: Sequence[str]) -> dict[str, DraftSummary]:
    """Drafts by their ids, those that there are."""
    query = select(*_SUMMARY).join(partners, partners.c.pk == sales_orders.c.partner).where(in_texts(sales_orders.c.id, "ids"))
    return {row.id: summary(row) for row in tx.execute(query, {"ids": list(ids)}).all()} if ids else {}


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier order of the same partner that asks for the same things."""

    id: str
    number: str
    received_at: dt.datetime


_ALIKE = 20
"""A twin is looked for among so many of the newest orders that ask for the same."""


def twins(tx: Tx, ids: Sequence[str], within: dt.timedelta) -> dict[str, Twin]:
    """For those of these orders that have one: the newest other order, not so long before, with the same lines, whatever its number."""
    if not ids:
        return {}
    earlier, twin = sales_orders.alias("earlier"), sales_orders.alias("twin")
    alike = (
        select(earlier)
        .where(earlier.c.lines_key == sales_orders.c.lines_key, earlier.c.pk < sales_orders.c.pk)
        .order_by(earlier.c.pk.desc())
        .limit(_ALIKE)
        .correlate(sales_orders)
        .subquery()
    )
    newest = (
        select(func.max(alike.c.pk))
        .where(
            alike.c.partner == sales_orders.c.partner,
            alike.c.number != sales_orders.c.number,
            alike.c.acceptance.not_in([Acceptance.REJECTED.value, Acceptance.CANCELLED.value]),
            type_coerce(alike.c.received_at, BigInteger)
            >= type_coerce(sales_orders.c.received_at, BigInteger) - within // dt.timedelta(microseconds=1),
        )
        .correlate(sales_orders)
        .scalar_subquery()
    )
    query = (
        select(sales_orders.c.id.label("of"), twin.c.id, twin.c.number, twin.c.received_at)
        .join_from(sales_orders, twin, twin.c.pk == newest)
        .where(in_texts(sales_orders.c.id, "ids"))
    )
    return {row.of: Twin(id=row.id, number=row.number, received_at=row.received_at) for row in tx.execute(query, {"ids": list(ids)}).all()}


def buyers(tx: Tx) -> list[tuple[str, str]]:
    """(id, name) of every partner that has sent an order, by name."""
    has_orders = exists().where(sales_orders.c.partner == partners.c.pk)
    rows = tx.execute(select(partners.c.id, partners.c.name).where(has_orders).limit(1_000)).all()
    return sorted(((row.id, row.name) for row in rows), key=lambda pair: pair[1].casefold())


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
    query = query.where(_is_to_ship) if to_ship else query.where(sales_orders.c.order_number.is_not(None))
    if partner is not None:
        query = query.where(*_of_partner(tx, partner))
    if words:
        query = query.where(or_(_has_words(tx, Wish(tab="answered", words=words)), sales_orders.c.order_number == words.upper()))
    if before is not None:
        query = query.where(sales_orders.c.pk < before)
    rows = tx.execute(query.order_by(sales_orders.c.pk.desc()).limit(limit)).all()
    return [(row.pk, summary(row)) for row in rows]


def _of_tab(tx: Tx, query: Select[Any], wish: Wish) -> Select[Any]:
    match wish.tab:
        case "answered":
            return query.where(sales_orders.c.answered_at.is_not(None), sales_orders.c.acceptance.not_in(WAITING_WORDS))
        case "attention":
            return query.where(_is_waiting, _has_something)
        case "clean" | "price":
            return query.where(*_of_verdict(tx, wish.tab, wish.partner))
        case "mine":
            return query.where(_is_waiting, text("sales_orders.taken_by <> ''"), sales_orders.c.taken_by == wish.me)
        case _:
            return query.where(_is_waiting)


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


def _has_words(tx: Tx, wish: Wish) -> ColumnElement[bool]:
    """Orders whose number begins with the words, whose buyer is called so, or in which an article has this number."""
    words = wish.words.casefold()
    newest = _of_tab(tx, select(sales_orders.c.pk), wish).order_by(sales_orders.c.pk.desc()).limit(_SOUGHT).subquery()
    ours = select(articles.c.pk).where(articles.c.number == wish.words)
    of_article = (
        select(sales_lines.c.order)
        .join(newest, newest.c.pk == sales_lines.c.order)
        .where(or_(sales_lines.c.article_number == wish.words, sales_lines.c.article.in_(ours)))
    )
    named = [pk for pk, name in tx.execute(select(partners.c.pk, partners.c.name).limit(5_000)) if words in name.casefold()]
    # People type numbers as they read them, and most are in capitals.
    numbered = {pk for start in {wish.words, wish.words.upper()} for pk in tx.execute(_numbered(start)).scalars()}
    found = numbered | set(tx.execute(of_article).scalars())
    ways = [
        column.in_(keys) for column, keys in ((sales_orders.c.pk, sorted(found)[-_SOUGHT:]), (sales_orders.c.partner, named[:200])) if keys
    ]
    # A way that leads nowhere is left out: with it, SQLite would walk the whole view for the other.
    return or_(false(), *ways)


def _numbered(start: str) -> Select[Any]:
    column = sales_orders.c.number
    return select(sales_orders.c.pk).where(column >= start, column < start + "\U0010ffff").order_by(column).limit(_SOUGHT)


def waiting(tx: Tx, most: int, *, only_clean: bool = False) -> int:
    """How many orders wait for our word, counted so far and no further; `only_clean`: of those there is nothing to say against."""
    those = select(sales_orders.c.pk).where(_is_waiting)
    if only_clean:
        those = those.where(sales_orders.c.validation == "clean")
    return tx.execute(select(func.count()).select_from(those.limit(most).subquery())).scalar_one()


def days(tx: Tx, since: dt.datetime) -> tuple[list[tuple[dt.date, int, int]], list[tuple[dt.date, float]]]:
    """What came since a moment: (day, orders, clean ones) and, for each that was answered, (day of its arrival, seconds until then).

    Looks at the newest 50,000 orders at most, so that it costs the same in every year.
    """
    at = type_coerce(sales_orders.c.received_at, BigInteger)
    newest = select(func.coalesce(func.max(sales_orders.c.pk), 0)).scalar_subquery()
    those = (sales_orders.c.pk > newest - 50_000, sales_orders.c.received_at >= since)
    day = (at // 86_400_000_000).label("day")
    clean = func.sum(case((sales_orders.c.validation == "clean", 1), else_=0))
    rows = tx.execute(select(day, func.count(), clean).where(*those).group_by(day)).all()
    waits = tx.execute(
        select(day, type_coerce(sales_orders.c.answered_at, BigInteger) - at)
        .where(*those, sales_orders.c.answered_at.is_not(None))
        .order_by(sales_orders.c.pk.desc())
        .limit(5_000)
    ).all()
    return [(_day(row[0]), row[1], row[2]) for row in rows], [(_day(row[0]), row[1] / 1_000_000) for row in waits]


def _day(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)


UNANSWERED = "order.unanswered"
"""The log's word for a draft that has waited too long."""


def untold_unanswered(tx: Tx, before: dt.datetime, limit: int) -> list[Any]:
    """Drafts that have waited for our word since before a moment and of which the log has not told yet, the oldest first."""
    told = select(log_entries.c.pk).where(log_entries.c.subject == sales_orders.c.id, log_entries.c.code == UNANSWERED)
    rows = tx.execute(
        select(
            *(sales_orders.c[name] for name in ("id", "number", "partner", "trace_id", "received_at")),
            partners.c.name.label("partner_name"),
        )
        .join(partners, partners.c.pk == sales_orders.c.partner)
        .where(_is_waiting, sales_orders.c.received_at < before, ~exists(told))
        .order_by(sales_orders.c.pk)
        .limit(limit)
    )
    return list(rows.all())


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


def of_partner(tx: Tx, partner: int, *, order_id: str | None = None, number: str | None = None, revision: int | None = None,
               acceptance: str | None = None, before: int | None = None, limit: int = 50) -> list[tuple[int, PartnerOrder]]:  # fmt: skip
    """A partner's own orders, newest first; never anybody else's."""
    query = select(sales_orders).where(_by_partner, sales_orders.c.partner == partner)
    if order_id is not None:
        query = query.where(sales_orders.c.id == order_id)
    if number is not None:
        query = query.where(sales_orders.c.number == number)
    if revision is not None:
        query = query.where(sales_orders.c.revision == revision)
    if acceptance is not None:
        query = query.where(_acceptance_as_told.in_([acceptance]))
    if before is not None:
        query = query.where(sales_orders.c.pk < before)
    rows = tx.execute(query.order_by(sales_orders.c.pk.desc()).limit(limit)).all()
    return [(row.pk, _as_partner_sees(row)) for row in rows]


_OWN_WORDS = (Acceptance.AGREED.value, Acceptance.DISPUTED.value, Acceptance.CANCEL_REQUESTED.value)
"""What an order is by its buyer's own word, which nobody has to tell him."""
_acceptance_as_told = case((sales_orders.c.acceptance.in_(_OWN_WORDS), sales_orders.c.acceptance), else_=sales_orders.c.told_acceptance)


def acceptance_as_told(row: Any) -> Acceptance:
    """How an order stands for its buyer: by his own word, or as the feed has told him."""
    return Acceptance(row.acceptance if row.acceptance in _OWN_WORDS else row.told_acceptance)


def _as_partner_sees(row: Any) -> PartnerOrder:
    return PartnerOrder(
        id=row.id,
        number=row.number,
        revision=row.revision,
        delivery=Delivery(row.delivery),
        validation=Validation(row.validation),
        acceptance=acceptance_as_told(row),
        fulfilment=Fulfilment(row.told_fulfilment),
        received_at=row.received_at,
        trace_id=row.trace_id,
        receipt=read_receipt(row.receipt),
        answer=row.told_answer,
        order_number=row.told_order_number,
        reason=row.told_reason or None,
    )


def publish(tx: Tx, row: Any, news: News) -> int:
    """Put what happened to an order at the end of its partner's feed; its position there.

    The position comes from the partner's own row, so positions have no gaps and appear in the order they are taken (rulings.md, 8).
    A change carries the states of its own moment: those told before it, and what it moved. What happened since stands in later changes.
    """
    taken = _next_position.first(tx, {"whose": row.partner})
    assert taken is not None  # noqa: S101  # the order's partner exists by foreign key
    at = now()
    acceptance, fulfilment = news.acceptance or row.told_acceptance, news.fulfilment or row.told_fulfilment
    answer, order_number = news.answer or row.told_answer, news.order_number or row.told_order_number
    is_beside = not news.acceptance
    document = Change(
        position=taken[0],
        kind=news.kind,
        at=at,
        id=row.id,
        number=row.number,
        revision=row.revision,
        delivery=Delivery(row.delivery),
        validation=Validation(row.validation),
        acceptance=Acceptance(acceptance),
        fulfilment=Fulfilment(fulfilment),
        order_number=order_number,
        reason=news.reason or (row.told_reason if is_beside else "") or None,
        answer=answer,
        answered=answered(tx, row.pk, news.answer) if news.answer else None,
        despatch=news.despatch,
        said=news.said,
    )
    tx.execute(
        insert(sales_changes).values(
            partner=row.partner, position=taken[0], order=row.pk, kind=news.kind, document=write(document).decode(), at=at
        )
    )
    told = {"told_acceptance": acceptance, "told_fulfilment": fulfilment, "told_answer": answer, "told_order_number": order_number}
    tx.execute(update(sales_orders).where(sales_orders.c.pk == row.pk).values(told | {"told_reason": document.reason or ""}))
    if news.older:
        over = {"told_acceptance": acceptance, "told_reason": news.reason} if acceptance == Acceptance.CANCELLED else {}
        given_up = over or {"told_order_number": None}
        tx.execute(update(sales_orders).where(sales_orders.c.id == news.older).values(given_up))
    return int(taken[0])


def changes(tx: Tx, partner: int, after: int, limit: int) -> list[Change]:
    """The feed of a partner after a position."""
    query = (
        select(sales_changes.c.document)
        .where(sales_changes.c.partner == partner, sales_changes.c.position > after)
        .order_by(sales_changes.c.position)
        .limit(limit)
    )
    return [_read_change(document) for document in tx.execute(query).scalars()]


def feed_end(tx: Tx, partner: int) -> int:
    """The newest position of a partner's feed."""
    return int(tx.execute(select(partners.c.feed_position).where(partners.c.pk == partner)).scalar_one())


def feed_purged(tx: Tx, partner: int) -> int:
    """Up to which position of a partner's feed nothing is left."""
    lowest = tx.execute(select(func.min(sales_changes.c.position)).where(sales_changes.c.partner == partner)).scalar()
    return feed_end(tx, partner) if lowest is None else int(lowest) - 1


def order_row(
    *,
    id: str,
    partner: int,
    contact: int | None,
    contact_how: str,
    arrived: Order,
    net: Decimal,
    document: str,
    receipt: Receipt,
    digest: str,
    buyer_key: str,
) -> dict[str, Any]:
    """The row of an order that has just arrived; its states are those its receipt told."""
    return {
        "id": id,
        "partner": partner,
        "contact": contact,
        "contact_how": contact_how,
        "number": plain(arrived.number),
        "revision": arrived.revision,
        "date": arrived.date,
        "currency": arrived.currency,
        "net": net,
        "document": document,
        "delivery": receipt.delivery.value,
        "acceptance": receipt.acceptance.value,
        "fulfilment": receipt.fulfilment.value,
        "trace_id": receipt.trace_id,
        "digest": digest,
        "buyer_key": buyer_key,
        "is_newest": True,
        **judged(receipt.issues, [line.how for line in receipt.lines], receipt.revision),
        "wanted": model.wanted(arrived) or NO_DAY,
        "line_count": len(arrived.lines),
        "lines_key": model.lines_key(partner, arrived),
        "receipt": write(receipt).decode(),
        "received_at": receipt.received_at,
    }


def judged(issues: Sequence[Issue], hows: Sequence[str], revision: int) -> dict[str, Any]:
    """The columns that follow from what was found in an order."""
    return {
        "issues": write(issues).decode() if issues else "[]",
        "validation": "issues" if issues else "clean",
        "verdict": model.verdict(issues, hows, revision),
        "findings": write(model.findings(issues)).decode() if issues else "[]",
        "price_gap": model.price_gap(issues),
    }


def keep_answer(tx: Tx, order: int, answer: OrderAnswer) -> None:
    """Keep an answer beside those given before it; one taken back and given again is written over."""
    row = {"order": order, "answer": answer.answer, "document": write(answer).decode()}
    if not insert_new(tx, sales_answers, row):
        same = (sales_answers.c.order == order, sales_answers.c.answer == answer.answer)
        tx.execute(update(sales_answers).where(*same).values(document=row["document"]))


def answered(tx: Tx, order: int, answer: int) -> OrderAnswer | None:
    """Answer n to an order, whole."""
    query = select(sales_answers.c.document).where(sales_answers.c.order == order, sales_answers.c.answer == answer)
    document = tx.execute(query).scalar()
    return None if document is None else _read_answer(document)


def standing(tx: Tx, row: Any, *, lock: bool = True) -> Any | None:
    """The revision of the same order that carries its order number and has not ended, if it is another one; locked unless said."""
    query = select(sales_orders).where(
        sales_orders.c.partner == row.partner,
        sales_orders.c.number == row.number,
        sales_orders.c.pk != row.pk,
        sales_orders.c.order_number.is_not(None),
        sales_orders.c.acceptance.not_in([Acceptance.REJECTED.value, Acceptance.CANCELLED.value]),
    )
    return tx.execute(query.with_for_update() if lock else query).first()


def before(tx: Tx, row: Any) -> Any | None:
    """The revision that arrived before this one."""
    query = (
        select(sales_orders)
        .where(sales_orders.c.partner == row.partner, sales_orders.c.number == row.number, sales_orders.c.revision < row.revision)
        .order_by(sales_orders.c.revision.desc())
        .limit(1)
    )
    return tx.execute(query).first()


def despatched(tx: Tx, order: int, quantities: Mapping[int, Decimal]) -> None:
    """Write how much of each line, by its position, has gone so far."""
    for position, quantity in quantities.items():
        tx.execute(update(sales_lines).where(sales_lines.c.order == order, sales_lines.c.position == position).values(despatched=quantity))


def keep_despatch(tx: Tx, order: int, despatch: Despatch, actor: str) -> None:
    """Keep a despatch."""
    row = {"id": despatch.id, "order": order, "document": write(despatch).decode(), "at": now(), "actor": actor}
    tx.execute(insert(sales_despatches).values(row))


def despatches(tx: Tx, order: int) -> list[Despatch]:
    """All despatches of an order, oldest first."""
    query = select(sales_despatches.c.document).where(sales_despatches.c.order == order).order_by(sales_despatches.c.pk)
    return [_read_despatch(document) for document in tx.execute(query).scalars()]


def keep_message(tx: Tx, order: int, message: Message, *, is_ours: bool) -> bool:
    """Keep a message; False when it has been kept before."""
    return insert_new(tx, sales_messages, {"id": message.id, "order": order, "is_ours": is_ours, "document": write(message).decode()})


def message_count(tx: Tx, order: int, *, is_ours: bool) -> int:
    """How much we, or the buyer, have said about an order."""
    said = select(func.count()).where(sales_messages.c.order == order, sales_messages.c.is_ours.is_(is_ours))
    return int(tx.execute(said).scalar_one())


def messages(tx: Tx, order: int) -> list[Message]:
    """What was said about an order, oldest first."""
    query = select(sales_messages.c.document).where(sales_messages.c.order == order).order_by(sales_messages.c.pk)
    return [_read_message(document) for document in tx.execute(query).scalars()]


def said(tx: Tx, order: int) -> list[tuple[bool, Message]]:
    """What was said about an order, oldest first, and whether it was said by us."""
    query = select(sales_messages.c.is_ours, sales_messages.c.document).where(sales_messages.c.order == order).order_by(sales_messages.c.pk)
    return [(is_ours, _read_message(document)) for is_ours, document in tx.execute(query)]


def own(tx: Tx, partner: int, order_id: str) -> Any | None:
    """A partner's own order, locked, with the partner's id and name; None for anybody else's."""
    row = draft(tx, order_id, lock=True)
    return row if row is not None and row.partner == partner else None


def document(tx: Tx, order: int) -> Order:
    """What an order says, by its key."""
    found: Order = read_order(tx.execute(select(sales_orders.c.document).where(sales_orders.c.pk == order)).scalar_one())
    return found


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


def agreed_after(tx: Tx, after: int, limit: int) -> list[Any]:
    """Orders both companies stand by, with everything `draft` says of them, from behind a key."""
    return list(tx.execute(_whole_agreed().where(sales_orders.c.pk > after).order_by(sales_orders.c.pk).limit(limit)))


def by_order_number(tx: Tx, number: str) -> Any | None:
    """The newest order both companies stand by under one of our order numbers."""
    return tx.execute(_whole_agreed().where(sales_orders.c.order_number == number).order_by(sales_orders.c.pk.desc()).limit(1)).first()


def _whole_agreed() -> Any:
    return (
        select(sales_orders, partners.c.id.label("partner_id"), partners.c.name.label("partner_name"), contacts.c.id.label("contact_id"))
        .join(partners, partners.c.pk == sales_orders.c.partner)
        .join(contacts, contacts.c.pk == sales_orders.c.contact, isouter=True)
        .where(sales_orders.c.order_number.is_not(None), sales_orders.c.acceptance.in_(["approved", "agreed"]))
    )
