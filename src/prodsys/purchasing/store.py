"""The rows of purchase orders, of exports, and of what came of them."""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    tuple_,
    type_coerce,
    union_all,
    update,
)

from prodsys import documents
from prodsys.documents import Issue, Order
from prodsys.kit.clock import instant, micros, now
from prodsys.kit.db import Instant, Tx, hot, in_ints, in_texts, insert_new, insert_or_ignore, insert_or_update
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import new_trace_id
from prodsys.purchasing.model import ItemStatus, OurArticle, WrittenLine
from prodsys.tables import (
    articles,
    contacts,
    counters,
    deliveries,
    export_orders,
    exports,
    partners,
    purchase_despatch_lines,
    purchase_despatches,
    purchase_lines,
    purchase_messages,
    purchase_orders,
    purchase_receipt_lines,
    purchase_receipts,
    purchase_revisions,
    reconciliations,
)

FIRST_NUMBER = 100_001
MOST_COUNTED = 1_000

read_order = documents.reader(Order)
read_answer = documents.reader(documents.OrderAnswer)
read_despatch = documents.reader(documents.Despatch)
read_issues = msgspec.json.Decoder(list[Issue]).decode
_write_issues = msgspec.json.Encoder().encode


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase order as it is kept; `document` is documents.Order and `issues` a list of documents.Issue, as JSON."""

    pk: int
    id: str
    number: str
    revision: int
    partner: int | None
    partner_id: str | None
    partner_name: str | None
    date: dt.date
    currency: str
    net: Decimal
    document: str
    issues: str
    delivery: str
    validation: str
    acceptance: str
    fulfilment: str
    trace_id: str
    version: int
    created_at: dt.datetime
    changed_at: dt.datetime
    created_by: str
    sent_at: dt.datetime | None
    their_id: str | None
    their_order_number: str
    reason: str
    newest_revision: int
    answer: int
    answered: str | None
    agreed_revision: int
    agreed_answered: str | None
    agreed_net: Decimal | None
    word: str
    stood_at: str
    due_date: dt.date | None
    mailed_to: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An order about to be kept."""

    partner: int | None
    order: Order
    lines: Sequence[WrittenLine]
    issues: Sequence[Issue]
    validation: str
    due_date: dt.date | None


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """An order of an export that nobody has looked at yet."""

    position: int
    pk: int
    id: str
    number: str
    revision: int
    partner: int | None
    document: str
    delivery: str
    acceptance: str
    trace_id: str


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was sent, as far as settling it needs."""

    pk: int
    id: str
    number: str
    revision: int
    partner: int | None
    partner_name: str | None
    delivery: str
    trace_id: str


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order of an export as it is kept; `state` and `attempts` are its delivery's while it is under way."""

    position: int
    order: str
    number: str
    partner_id: str | None
    partner_name: str | None
    status: str
    issues: str
    trace_id: str
    delivery: str | None
    changed_at: dt.datetime
    state: str | None
    attempts: int | None
    run_at: dt.datetime | None
    lane: str | None
    currency: str
    net: Decimal


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger, without what was sent."""

    pk: int
    id: str
    kind: str
    lane: str
    subject: str
    state: Literal["ready", "leased", "done", "refused", "dead"]
    attempts: int
    run_at: dt.datetime
    deadline: dt.datetime
    last_error: str
    traceparent: str
    created_at: dt.datetime
    settled_at: dt.datetime | None
    has_document: bool


_ORDER = (
    purchase_orders.c.pk,
    purchase_orders.c.id,
    purchase_orders.c.number,
    purchase_orders.c.revision,
    purchase_orders.c.partner,
    partners.c.id.label("partner_id"),
    partners.c.name.label("partner_name"),
    purchase_orders.c.date,
    purchase_orders.c.currency,
    purchase_orders.c.net,
    purchase_orders.c.document,
    purchase_orders.c.issues,
    purchase_orders.c.delivery,
    purchase_orders.c.validation,
    purchase_orders.c.acceptance,
    purchase_orders.c.fulfilment,
    purchase_orders.c.trace_id,
    purchase_orders.c.version,
    purchase_orders.c.created_at,
    purchase_orders.c.changed_at,
    purchase_orders.c.created_by,
    purchase_orders.c.sent_at,
    purchase_orders.c.their_id,
    purchase_orders.c.their_order_number,
    purchase_orders.c.reason,
    purchase_orders.c.newest_revision,
    purchase_orders.c.answer,
    purchase_orders.c.answered,
    purchase_orders.c.agreed_revision,
    purchase_orders.c.agreed_answered,
    purchase_orders.c.agreed_net,
    purchase_orders.c.word,
    purchase_orders.c.stood_at,
    purchase_orders.c.due_date,
    purchase_orders.c.mailed_to,
)
_with_partner = purchase_orders.outerjoin(partners, partners.c.pk == purchase_orders.c.partner)
# A list shows no lines, and the documents would be most of its bytes.
_LISTED = tuple(
    literal_column("''").label(column.name) if column.name in ("document", "answered", "agreed_answered") else column for column in _ORDER
)

_order = hot(select(*_ORDER).select_from(_with_partner).where(purchase_orders.c.id == bindparam("id")), Kept)
_orders = hot(select(*_ORDER).select_from(_with_partner).where(in_texts(purchase_orders.c.id, "ids")), Kept)
_locked = hot(select(purchase_orders.c.pk).where(purchase_orders.c.id == bindparam("id")).with_for_update())
_lines_of = hot(
    select(purchase_lines.c.line_id, articles.c.id)
    .join_from(purchase_lines, articles, articles.c.pk == purchase_lines.c.article)
    .where(purchase_lines.c.order == bindparam("order"))
)
_keys = hot(select(purchase_orders.c.id, purchase_orders.c.pk).where(in_texts(purchase_orders.c.id, "ids")))
_numbers = hot(select(purchase_orders.c.number, purchase_orders.c.id).where(in_texts(purchase_orders.c.number, "numbers")))
_insert = hot(insert_or_ignore(purchase_orders))
_insert_lines = hot(insert(purchase_lines))
_drop_lines = hot(delete(purchase_lines).where(purchase_lines.c.order == bindparam("order_pk")))
_rewrite = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"), purchase_orders.c.version == bindparam("seen"))
    .values(
        {
            "version": purchase_orders.c.version + 1,
            "acceptance": "open",
            "delivery": "not_sent",
            "reason": "",
            "answer": 0,
            "answered": null(),
            "answered_at": null(),
            "word": "",
            "stood_at": "",
            "is_promised_late": literal_column("false"),
        }
        | {
            column: bindparam(f"new_{column}", type_=purchase_orders.c[column].type)
            for column in (
                "partner",
                "revision",
                "newest_revision",
                "date",
                "currency",
                "net",
                "document",
                "issues",
                "validation",
                "changed_at",
                "due_date",
            )
        }
    )
)
_count_up = hot(update(counters).where(counters.c.name == "purchase_order").values(value=counters.c.value + 1).returning(counters.c.value))


def order(tx: Tx, id: str, *, lock: bool = False) -> Kept | None:
    """The order of this public id; with *lock* nobody else changes it until this unit ends."""
    if lock and _locked.first(tx, {"id": id}) is None:
        return None
    return _order.first(tx, {"id": id})


def orders(tx: Tx, ids: Collection[str]) -> dict[str, Kept]:
    """Orders by their public ids."""
    return {row.id: row for row in _orders.all(tx, {"ids": ids})} if ids else {}


def line_articles(tx: Tx, order: int) -> dict[str, str]:
    """The ids of our articles by the line that means them."""
    return {row.line_id: row.id for row in _lines_of.all(tx, {"order": order})}


def keys(tx: Tx, ids: Collection[str]) -> dict[str, int]:
    """Keys of orders by their public ids."""
    return {row.id: row.pk for row in _keys.all(tx, {"ids": ids})} if ids else {}


def ids(tx: Tx, numbers: Collection[str]) -> dict[str, str]:
    """Public ids of the orders with these numbers; a number nobody has is left out."""
    return {row.number: row.id for row in _numbers.all(tx, {"numbers": numbers})} if numbers else {}


def next_number(tx: Tx) -> str:
    """The next free number of our series: PO-100001 and on."""
    insert_new(tx, counters, {"name": "purchase_order", "value": FIRST_NUMBER - 1})
    while True:
        row = _count_up.first(tx)
        if row is None:
            raise LookupError("The counter of purchase orders is gone.")
        number = f"PO-{row.value}"
        if not ids(tx, [number]):
            return number


def insert_orders(tx: Tx, many: Sequence[Written], actor: str) -> list[str]:
    """Keep new orders with their lines; the ids of those made. An order whose number is taken is not made."""
    at = now()
    rows = [
        {
            "id": new_id("po"),
            "partner": one.partner,
            "number": one.order.number,
            "revision": one.order.revision,
            "date": one.order.date,
            "currency": one.order.currency,
            "net": one.order.net,
            "document": documents.write(one.order).decode(),
            "issues": _issues(one.issues),
            "delivery": "not_sent",
            "validation": one.validation,
            "acceptance": "open",
            "fulfilment": "none",
            "created_at": at,
            "changed_at": at,
            "created_by": actor,
            "newest_revision": one.order.revision,
            "due_date": one.due_date,
        }
        for one in many
    ]
    _insert.many(tx, rows)
    made = keys(tx, [str(row["id"]) for row in rows])
    _insert_lines.many(
        tx, [line for row, one in zip(rows, many, strict=True) if row["id"] in made for line in _line_rows(made[str(row["id"])], one)]
    )
    return [str(row["id"]) for row in rows if row["id"] in made]


def rewrite(tx: Tx, pk: int, version: int, one: Written) -> bool:
    """Make an order say something else; False when it is no longer in this version."""
    kept = _rewrite.run(
        tx,
        {
            "order_pk": pk,
            "seen": version,
            "new_partner": one.partner,
            "new_revision": one.order.revision,
            "new_date": one.order.date,
            "new_currency": one.order.currency,
            "new_net": one.order.net,
            "new_document": documents.write(one.order).decode(),
            "new_issues": _issues(one.issues),
            "new_validation": one.validation,
            "new_changed_at": now(),
            "new_newest_revision": one.order.revision,
            "new_due_date": one.due_date,
        },
    )
    if kept:
        _drop_lines.run(tx, {"order_pk": pk})
        _insert_lines.many(tx, list(_line_rows(pk, one)))
    return kept == 1


def forget(tx: Tx, pk: int) -> None:
    """Take an order that was never sent out of the books, and out of the exports that refused it."""
    tx.execute(delete(export_orders).where(export_orders.c.order == pk))
    _drop_lines.run(tx, {"order_pk": pk})
    tx.execute(delete(purchase_orders).where(purchase_orders.c.pk == pk))


def _issues(issues: Sequence[Issue]) -> str:
    return _write_issues(issues).decode() if issues else "[]"


def _line_rows(pk: int, one: Written) -> Iterable[dict[str, Any]]:
    for position, written in enumerate(one.lines):
        line = written.line
        yield {
            "order": pk,
            "position": position,
            "line_id": line.line_id,
            "article": written.article,
            "article_number": line.article_number,
            "quantity": line.quantity,
            "unit": line.unit,
            "unit_price": line.unit_price,
            "net": line.net,
        }


_line_counts = hot(
    select(purchase_lines.c.order, func.count().label("count"))
    .where(in_ints(purchase_lines.c.order, "pks"))
    .group_by(purchase_lines.c.order)
)


def line_counts(tx: Tx, pks: Collection[int]) -> dict[int, int]:
    """How many lines these orders have, by their keys."""
    return {row.order: row.count for row in _line_counts.all(tx, {"pks": pks})} if pks else {}


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are asked for; `number` is how theirs begin, `partner` a public id, days are included."""

    delivery: str | None = None
    acceptance: str | None = None
    fulfilment: str | None = None
    partner: str | None = None
    number: str | None = None
    from_date: dt.date | None = None
    to_date: dt.date | None = None


_LAST = "\U0010ffff"


def listed(tx: Tx, wanted: Filter, after: tuple[Any, ...] | None, limit: int) -> list[Kept]:
    """A page of orders, without their documents. With `number` sorted by it, with days by day, otherwise newest first.

    `after` is what `place` says of the last order of the page before.
    """
    asked: Select[Any] = _filtered(select(*_LISTED).select_from(_with_partner), wanted)
    if wanted.number:
        if after:
            asked = asked.where(purchase_orders.c.number > after[0])
        asked = asked.order_by(purchase_orders.c.number)
    elif _has_days(wanted):
        if after:
            day, pk = dt.date.fromisoformat(after[0]), after[1]
            asked = asked.where((purchase_orders.c.date < day) | and_(purchase_orders.c.date == day, purchase_orders.c.pk < pk))
        asked = asked.order_by(purchase_orders.c.date.desc(), purchase_orders.c.pk.desc())
    else:
        if after:
            asked = asked.where(purchase_orders.c.pk < after[0])
        asked = asked.order_by(purchase_orders.c.pk.desc())
    return [Kept(**row) for row in tx.execute(asked.limit(limit)).mappings()]


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """An order the supplier does not have, as far as it decides whether it can leave. `issues` as in `Kept`."""

    pk: int
    id: str
    number: str
    partner: int | None
    delivery: str
    acceptance: str
    issues: str


_NOT_SENT = tuple(purchase_orders.c[name] for name in NotSent.__struct_fields__)


def not_sent_yet(tx: Tx, wanted: Filter, states: Collection[str], limit: int) -> list[NotSent]:
    """Orders of a filter whose delivery stands so, newest first; cancelled ones are left out."""
    found: list[NotSent] = []
    # One state after the other: each is walked newest first by an index, while all at once would be sorted.
    for state in states if wanted.delivery is None else {wanted.delivery} & set(states):
        asked = _filtered(select(*_NOT_SENT), msgspec.structs.replace(wanted, delivery=state))
        asked = asked.where(purchase_orders.c.acceptance.not_in(["cancel_requested", "cancelled"]))
        found += [NotSent(**row) for row in tx.execute(asked.order_by(purchase_orders.c.pk.desc()).limit(limit)).mappings()]
    return sorted(found, key=lambda row: -row.pk)[:limit]


def place(wanted: Filter, row: Kept) -> tuple[str | int, ...]:
    """Where a list with this filter goes on after this order."""
    if wanted.number:
        return (row.number,)
    return (row.date.isoformat(), row.pk) if _has_days(wanted) else (row.pk,)


def shape(wanted: Filter) -> tuple[type, ...]:
    """The types of `place`."""
    if wanted.number:
        return (str,)
    return (str, int) if _has_days(wanted) else (int,)


def totals(tx: Tx, wanted: Filter) -> tuple[int, dict[str, Decimal]]:
    """How many orders there are, counted up to one more than 1,000, and the sum of up to 1,000 of them by currency."""
    some = _filtered(select(purchase_orders.c.currency, purchase_orders.c.net), wanted).limit(MOST_COUNTED + 1).subquery()
    rows = tx.execute(select(some.c.currency, func.count(), func.sum(some.c.net).label("net")).group_by(some.c.currency)).all()
    return sum(row[1] for row in rows), {row.currency: _amount(row.net) for row in rows}


def _amount(hundredths: Any) -> Decimal:
    return hundredths if isinstance(hundredths, Decimal) and hundredths.as_tuple().exponent == -2 else Decimal(hundredths or 0)


def _has_days(wanted: Filter) -> bool:
    return wanted.from_date is not None or wanted.to_date is not None


def _filtered(asked: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.delivery:
        asked = asked.where(purchase_orders.c.delivery == wanted.delivery)
    if wanted.acceptance:
        asked = asked.where(purchase_orders.c.acceptance == wanted.acceptance)
    if wanted.fulfilment:
        asked = asked.where(purchase_orders.c.fulfilment == wanted.fulfilment)
    if wanted.partner:
        # By number the list is sorted by it; walking the partner's orders instead would need a sort, and `+ 0` keeps SQLite from it.
        whose = purchase_orders.c.partner + 0 if wanted.number else purchase_orders.c.partner
        asked = asked.where(whose == select(partners.c.pk).where(partners.c.id == wanted.partner).scalar_subquery())
    if wanted.number:
        asked = asked.where(purchase_orders.c.number >= wanted.number, purchase_orders.c.number < wanted.number + _LAST)
    if wanted.from_date:
        asked = asked.where(purchase_orders.c.date >= wanted.from_date)
    if wanted.to_date:
        asked = asked.where(purchase_orders.c.date <= wanted.to_date)
    return asked


_ARTICLE = (articles.c.pk, articles.c.number, articles.c.name, articles.c.unit)
_articles_by_id = hot(select(articles.c.id.label("word"), *_ARTICLE).where(in_texts(articles.c.id, "words")))
_articles_by_number = hot(select(articles.c.number.label("word"), *_ARTICLE).where(in_texts(articles.c.number, "words")))
_SUPPLIER = (partners.c.pk, partners.c.id, partners.c.name, contacts.c.organisation_number)
_partners_and_contacts = partners.outerjoin(contacts, contacts.c.pk == partners.c.contact)
_suppliers_by_word = hot(
    select(*_SUPPLIER)
    .select_from(_partners_and_contacts)
    .where(in_texts(partners.c.id, "words") | in_texts(partners.c.name, "words") | in_texts(contacts.c.organisation_number, "words"))
)


def articles_named(tx: Tx, words: Collection[str]) -> dict[str, OurArticle]:
    """Articles of ours by id or number; a number wins over an id."""
    if not words:
        return {}
    rows = [*_articles_by_id.all(tx, {"words": words}), *_articles_by_number.all(tx, {"words": words})]
    return {row.word: OurArticle(pk=row.pk, number=row.number, name=row.name, unit=row.unit) for row in rows}


def suppliers_named(tx: Tx, words: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """Suppliers by id, exact name or organisation number: word → [(key, id)]. Two of one name are both told."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in _suppliers_by_word.all(tx, {"words": words}) if words else []:
        for word in {row.id, row.name, row.organisation_number}:
            if word and word in words:
                found.setdefault(word, []).append((row.pk, row.id))
    return found


_insert_items = hot(insert(export_orders))
_export = hot(select(exports).where(exports.c.id == bindparam("id")))
_exports = hot(select(exports).where(exports.c.pk < bindparam("below")).order_by(exports.c.pk.desc()).limit(bindparam("limit")))
_going = hot(
    select(
        export_orders.c.position,
        purchase_orders.c.pk,
        purchase_orders.c.id,
        purchase_orders.c.number,
        purchase_orders.c.revision,
        purchase_orders.c.partner,
        purchase_orders.c.document,
        purchase_orders.c.delivery,
        purchase_orders.c.acceptance,
        export_orders.c.trace_id,
    )
    .join_from(export_orders, purchase_orders, purchase_orders.c.pk == export_orders.c.order)
    .where(export_orders.c.export == bindparam("of"), export_orders.c.delivery.is_(None))
    .order_by(export_orders.c.position)
    .limit(bindparam("most"))
    .with_for_update(),
    Going,
)
_mark_queued = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        delivery="queued",
        trace_id=bindparam("trace"),
        sent_digest=bindparam("digest"),
        issues="[]",
        sent_at=bindparam("at", type_=Instant()),
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)
_note_promise = hot(
    update(export_orders)
    .where(export_orders.c.export == bindparam("of"), export_orders.c.position == bindparam("at_position"))
    .values(
        delivery=bindparam("promise"),
        status=bindparam("new_status"),
        issues=bindparam("new_issues"),
        changed_at=bindparam("at", type_=Instant()),
    )
)
_retry = hot(
    update(export_orders)
    .where(
        export_orders.c.export == bindparam("of"),
        export_orders.c.position == bindparam("at_position"),
        export_orders.c.status.in_(["refused", "dead"]),
    )
    .values(delivery=null(), status="queued", issues="[]", trace_id=bindparam("trace"), changed_at=bindparam("at", type_=Instant()))
)
_failed_items = hot(
    select(export_orders.c.position).where(export_orders.c.export == bindparam("of"), export_orders.c.status.in_(["refused", "dead"]))
)


def new_export(tx: Tx, orders: Sequence[int], actor: str) -> tuple[int, str]:
    """Begin an export of these orders, in this order; its key and id. Each gets the trace it will be known by in both companies."""
    at = now()
    name = new_id("ex")
    tx.execute(insert(exports).values(id=name, created_at=at, created_by=actor, size=len(orders)))
    pk = int(tx.execute(select(exports.c.pk).where(exports.c.id == name)).scalar_one())
    fresh = {"export": pk, "delivery": None, "status": "queued", "changed_at": at}
    rows = [fresh | {"position": position, "order": order, "trace_id": new_trace_id()} for position, order in enumerate(orders)]
    _insert_items.many(tx, rows)
    return pk, name


def export_row(tx: Tx, id: str) -> Any:
    """The export of this public id: pk, id, created_at, created_by, size; or None."""
    return _export.first(tx, {"id": id})


def exports_below(tx: Tx, below: int | None, limit: int) -> list[Any]:
    """Exports, newest first, below this key."""
    return _exports.all(tx, {"below": below if below is not None else 2**62, "limit": limit})


def going(tx: Tx, export: int, most: int) -> list[Going]:
    """The next orders of an export that nobody has looked at; nobody else does until this unit ends."""
    return _going.all(tx, {"of": export, "most": most})


def mark_queued(tx: Tx, orders: Iterable[tuple[int, str, str]]) -> None:
    """These orders (key, trace id, digest of what is sent) are promised from now on."""
    at = now()
    _mark_queued.many(tx, [{"order_pk": pk, "trace": trace, "digest": digest, "at": at} for pk, trace, digest in orders])


def note_items(tx: Tx, export: int, rows: Iterable[tuple[int, str, ItemStatus, Sequence[Issue]]]) -> None:
    """What became of orders of an export when they were looked at: (position, promise or empty, status, issues)."""
    at = now()
    _note_promise.many(
        tx,
        [
            {"of": export, "at_position": position, "promise": promise, "new_status": status, "new_issues": _issues(issues), "at": at}
            for position, promise, status, issues in rows
        ],
    )


def reopen_failed(tx: Tx, export: int) -> int:
    """Make the failed orders of an export ones nobody has looked at, each with a new trace; how many they are."""
    at = now()
    failed = _failed_items.all(tx, {"of": export})
    _retry.many(tx, [{"of": export, "at_position": row.position, "trace": new_trace_id(), "at": at} for row in failed])
    return len(failed)


_UNDER_WAY = and_(deliveries.c.id == export_orders.c.delivery, export_orders.c.status == "queued")
_ITEM = (
    select(
        export_orders.c.position,
        purchase_orders.c.id.label("order"),
        purchase_orders.c.number,
        partners.c.id.label("partner_id"),
        partners.c.name.label("partner_name"),
        export_orders.c.status,
        export_orders.c.issues,
        export_orders.c.trace_id,
        export_orders.c.delivery,
        export_orders.c.changed_at,
        deliveries.c.state,
        deliveries.c.attempts,
        deliveries.c.run_at,
        deliveries.c.lane,
        purchase_orders.c.currency,
        purchase_orders.c.net,
    )
    .join_from(export_orders, purchase_orders, purchase_orders.c.pk == export_orders.c.order)
    .outerjoin(partners, partners.c.pk == purchase_orders.c.partner)
    .outerjoin(deliveries, _UNDER_WAY)
    .where(export_orders.c.export == bindparam("of"))
    .order_by(export_orders.c.position)
)
_items = hot(_ITEM.where(export_orders.c.position > bindparam("after")).limit(bindparam("limit")), ItemRow)
_changed_items = hot(
    _ITEM.where((export_orders.c.changed_at > bindparam("since", type_=Instant())) | deliveries.c.state.is_not(None)).limit(
        bindparam("limit")
    ),
    ItemRow,
)
# Without bound values, so that PostgreSQL sees the same expression in both places.
_was_tried = deliveries.c.attempts > literal_column("0")
_counted = hot(
    select(
        export_orders.c.status,
        deliveries.c.state,
        deliveries.c.lane,
        _was_tried.label("tried"),
        func.count().label("count"),
    )
    .select_from(export_orders.outerjoin(deliveries, _UNDER_WAY))
    .where(export_orders.c.export == bindparam("of"))
    .group_by(export_orders.c.status, deliveries.c.state, deliveries.c.lane, _was_tried)
)


def items(tx: Tx, export: int, after: int, limit: int) -> list[ItemRow]:
    """Orders of an export after this position."""
    return _items.all(tx, {"of": export, "after": after, "limit": limit})


def items_changed(tx: Tx, export: int, since: dt.datetime, limit: int) -> list[ItemRow]:
    """Orders of an export that changed after this moment, and those still under way."""
    return _changed_items.all(tx, {"of": export, "since": since, "limit": limit})


def counted(tx: Tx, export: int) -> list[Any]:
    """How many orders of an export stand how: rows of status, state, lane, tried, count."""
    return _counted.all(tx, {"of": export})


_counted_in = hot(
    select(exports.c.id, export_orders.c.status, func.count().label("count"))
    .join_from(exports, export_orders, export_orders.c.export == exports.c.pk)
    .where(in_texts(exports.c.id, "ids"))
    .group_by(exports.c.id, export_orders.c.status)
)


def counted_in(tx: Tx, ids: Collection[str]) -> list[Any]:
    """How many orders of these exports stand how: rows of id, status, count."""
    return _counted_in.all(tx, {"ids": ids}) if ids else []


_gone = hot(
    select(
        purchase_orders.c.pk,
        purchase_orders.c.id,
        purchase_orders.c.number,
        purchase_orders.c.revision,
        purchase_orders.c.partner,
        partners.c.name.label("partner_name"),
        purchase_orders.c.delivery,
        purchase_orders.c.trace_id,
    )
    .select_from(_with_partner)
    .where(in_texts(purchase_orders.c.id, "ids")),
    Gone,
)
# The feed may tell of it before its receipt comes, and let another revision stand meanwhile.
_NOT_THERE_YET = purchase_orders.c.delivery != "received"
_mark_received = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"), purchase_orders.c.trace_id == bindparam("sent_as"), _NOT_THERE_YET)
    .values(
        delivery="received",
        validation=bindparam("new_validation"),
        their_id=bindparam("theirs", type_=purchase_orders.c.their_id.type),
        receipt=bindparam("new_receipt", type_=purchase_orders.c.receipt.type),
        mailed_to="",
        issues=bindparam("new_issues"),
        trace_id=bindparam("trace"),
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)
_mark_failed = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"), purchase_orders.c.trace_id == bindparam("sent_as"), _NOT_THERE_YET)
    .values(
        delivery="failed",
        validation=case((bindparam("is_refused"), "refused"), else_=purchase_orders.c.validation),
        issues=bindparam("new_issues"),
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)
_settle_item = hot(
    update(export_orders)
    .where(export_orders.c.delivery == bindparam("promise"))
    .values(
        status=bindparam("new_status"),
        issues=bindparam("new_issues"),
        trace_id=bindparam("trace"),
        changed_at=bindparam("at", type_=Instant()),
    )
)


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """An order the supplier has: what he said of it."""

    order: int
    promise: str
    sent_as: str
    trace_id: str
    their_id: str | None
    receipt: str | None
    validation: str
    issues: str
    status: ItemStatus


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """An order the supplier refused, or that nobody could deliver in time."""

    order: int
    promise: str
    sent_as: str
    trace_id: str
    issues: Sequence[Issue]
    status: Literal["refused", "dead"]


def gone(tx: Tx, ids: Collection[str]) -> dict[str, Gone]:
    """Orders that were sent, by their public ids."""
    return {row.id: row for row in _gone.all(tx, {"ids": ids})} if ids else {}


def settle(tx: Tx, arrived: Sequence[Arrived], failed: Sequence[Failed]) -> None:
    """Write down how orders ended.

    An order that has been changed or sent anew since then keeps what it is; its export hears all the same.
    """
    at = now()
    _mark_received.many(
        tx,
        [
            {
                "order_pk": one.order, "sent_as": one.sent_as, "new_validation": one.validation, "theirs": one.their_id,
                "new_receipt": one.receipt, "new_issues": one.issues, "trace": one.trace_id, "at": at,
            }
            for one in arrived
        ],
    )  # fmt: skip
    told = [_issues(one.issues) for one in failed]
    _mark_failed.many(
        tx,
        [
            {"order_pk": one.order, "sent_as": one.sent_as, "is_refused": one.status == "refused", "new_issues": issues, "at": at}
            for one, issues in zip(failed, told, strict=True)
        ],
    )
    ended: list[tuple[Arrived | Failed, str]] = [*((one, one.issues) for one in arrived), *zip(failed, told, strict=True)]
    _settle_item.many(
        tx,
        [
            {"promise": one.promise, "new_status": one.status, "new_issues": issues, "trace": one.trace_id, "at": at}
            for one, issues in ended
        ],
    )


_note_mailed = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"), purchase_orders.c.delivery == "received")
    .values(mailed_to=bindparam("address"))
)


def note_mailed(tx: Tx, orders: Mapping[int, str]) -> None:
    """These orders, settled just now, went by e-mail to these addresses."""
    _note_mailed.many(tx, [{"order_pk": pk, "address": address} for pk, address in orders.items()])


_leased_subject = hot(select(deliveries.c.pk).where(deliveries.c.subject == bindparam("subject"), deliveries.c.state == "leased").limit(1))


_lanes_waited_in = hot(
    select(deliveries.c.subject, deliveries.c.lane).where(in_texts(deliveries.c.subject, "subjects"), deliveries.c.state == "ready")
)


def lanes_waited_in(tx: Tx, orders: Collection[str]) -> dict[str, str]:
    """In which lane orders (by id) wait to leave: their supplier's, or the post's."""
    return {row.subject: row.lane for row in _lanes_waited_in.all(tx, {"subjects": orders})} if orders else {}


def is_leaving(tx: Tx, order: str) -> bool:
    """Whether a courier has the order in hands at this moment."""
    return _leased_subject.first(tx, {"subject": order}) is not None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """An order of ours as far as the supplier's feed may change it."""

    pk: int
    id: str
    number: str
    revision: int
    partner: int | None
    delivery: str
    acceptance: str
    fulfilment: str
    their_id: str | None
    their_order_number: str
    reason: str
    trace_id: str
    change_seen: int
    newest_revision: int
    answer: int
    answered: str | None
    answered_at: dt.datetime | None
    agreed_revision: int
    agreed_answered: str | None
    agreed_net: Decimal | None
    word: str
    stood_at: str
    due_date: dt.date | None
    is_promised_late: bool
    is_partly_received: bool


_HEARD = (
    "revision", "delivery", "acceptance", "fulfilment", "their_id", "their_order_number", "reason", "change_seen", "answer", "answered",
    "answered_at", "agreed_revision", "agreed_answered", "agreed_net", "word", "stood_at", "due_date", "is_promised_late",
    "is_partly_received",
)  # fmt: skip
# By number alone: with the partner in it SQLite would rather read all of a supplier's orders.
_heard = hot(
    select(*(purchase_orders.c[field] for field in Heard.__struct_fields__))
    .where(in_texts(purchase_orders.c.number, "numbers"))
    .order_by(purchase_orders.c.pk)
    .with_for_update(),
    Heard,
)
_hear = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        {"version": purchase_orders.c.version + 1, "changed_at": bindparam("at", type_=Instant())}
        | {column: bindparam(f"new_{column}", type_=purchase_orders.c[column].type) for column in _HEARD}
    )
)


def heard_of(tx: Tx, partner: int, numbers: Collection[str]) -> dict[str, Heard]:
    """Orders to this supplier by their numbers; nobody else changes them until this unit ends."""
    found = _heard.all(tx, {"numbers": numbers}) if numbers else []
    return {row.number: row for row in found if row.partner == partner}


_heard_one = hot(
    select(*(purchase_orders.c[field] for field in Heard.__struct_fields__)).where(purchase_orders.c.pk == bindparam("order_pk")), Heard
)


def heard(tx: Tx, pk: int) -> Heard:
    """One order as the feed may change it. Raises LookupError."""
    row = _heard_one.first(tx, {"order_pk": pk})
    if row is None:
        raise LookupError(pk)
    return row


def hear(tx: Tx, changed: Iterable[Heard]) -> None:
    """Keep what the supplier said."""
    at = now()
    _hear.many(tx, [{"order_pk": one.pk, "at": at} | {f"new_{field}": getattr(one, field) for field in _HEARD} for one in changed])


def forget_positions(tx: Tx, partner: int) -> None:
    """Let every position of a supplier's feed count as unseen: it has begun a new life."""
    seen = and_(purchase_orders.c.partner == partner, purchase_orders.c.change_seen > 0)
    # Its answers are counted anew as well.
    tx.execute(update(purchase_orders).where(seen).values(change_seen=0, answer=0))


_documents = hot(select(purchase_orders.c.pk, purchase_orders.c.document).where(in_ints(purchase_orders.c.pk, "pks")))
_received = hot(
    select(purchase_receipts.c.order, purchase_receipt_lines.c.line_id, purchase_receipt_lines.c.quantity)
    .join_from(purchase_receipts, purchase_receipt_lines, purchase_receipt_lines.c.receipt == purchase_receipts.c.pk)
    .where(in_ints(purchase_receipts.c.order, "pks"))
)
_despatches = hot(select(purchase_despatches).where(in_ints(purchase_despatches.c.order, "pks")).order_by(purchase_despatches.c.pk))
_insert_despatches = hot(insert_or_ignore(purchase_despatches))
_insert_despatch_lines = hot(insert(purchase_despatch_lines))
_messages = hot(select(purchase_messages).where(purchase_messages.c.order == bindparam("of")).order_by(purchase_messages.c.pk))
_message_ids = hot(select(purchase_messages.c.order, purchase_messages.c.id).where(in_ints(purchase_messages.c.order, "pks")))
_insert_messages = hot(insert_or_ignore(purchase_messages))
_insert_receipt_lines = hot(insert(purchase_receipt_lines))
_OF_A_REVISION = ("document", "acceptance", "their_id", "answer", "answered", "answered_at", "sent_digest")
_keep_revision = hot(
    insert_or_update(purchase_revisions, "order", "revision", only=_OF_A_REVISION).from_select(
        ["order", "revision", *_OF_A_REVISION],
        select(purchase_orders.c.pk, purchase_orders.c.revision, *(purchase_orders.c[name] for name in _OF_A_REVISION)).where(
            purchase_orders.c.pk == bindparam("order_pk")
        ),
    )
)
_revision = hot(
    select(purchase_revisions).where(
        purchase_revisions.c.order == bindparam("of"), purchase_revisions.c.revision == bindparam("wanted_revision")
    )
)
_note_revision = hot(
    update(purchase_revisions)
    .where(purchase_revisions.c.order == bindparam("of"), purchase_revisions.c.revision == bindparam("of_revision"))
    .values(
        acceptance=func.coalesce(bindparam("new_acceptance"), purchase_revisions.c.acceptance),
        their_id=bindparam("theirs"),
        answer=func.coalesce(bindparam("new_answer", type_=purchase_revisions.c.answer.type), purchase_revisions.c.answer),
        answered=func.coalesce(bindparam("new_answered", type_=purchase_revisions.c.answered.type), purchase_revisions.c.answered),
        answered_at=func.coalesce(bindparam("new_at", type_=Instant()), purchase_revisions.c.answered_at),
    )
)


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """A despatch the supplier told us of, and whether somebody has booked it in."""

    pk: int
    order: int
    document: documents.Despatch
    heard_at: dt.datetime
    received_at: dt.datetime | None


def documents_of(tx: Tx, pks: Collection[int]) -> dict[int, Order]:
    """What orders say, by their keys."""
    return {row.pk: read_order(row.document) for row in _documents.all(tx, {"pks": pks})} if pks else {}


def received(tx: Tx, pks: Collection[int]) -> dict[int, dict[str, Decimal]]:
    """How much of each line has been received, by the key of the order and the line's id."""
    sums: dict[int, dict[str, Decimal]] = {}
    for row in _received.all(tx, {"pks": pks}) if pks else []:
        of = sums.setdefault(row.order, {})
        of[row.line_id] = of.get(row.line_id, Decimal(0)) + row.quantity
    return sums


def shipments(tx: Tx, pks: Collection[int]) -> dict[int, list[Shipment]]:
    """The despatches of orders, by the key of the order, as they were heard of."""
    found: dict[int, list[Shipment]] = {}
    for row in _despatches.all(tx, {"pks": pks}) if pks else []:
        one = Shipment(pk=row.pk, order=row.order, document=read_despatch(row.document), heard_at=row.heard_at, received_at=row.received_at)
        found.setdefault(row.order, []).append(one)
    return found


def keep_despatches(tx: Tx, told: Sequence[tuple[int, documents.Despatch]]) -> set[tuple[int, str]]:
    """Keep despatches (key of the order, despatch); those that are new, by order and the supplier's id."""
    if not told:
        return set()
    orders = {order for order, _ in told}
    before = {(one.order, one.document.id) for some in shipments(tx, orders).values() for one in some}
    fresh = {(order, one.id): one for order, one in told if (order, one.id) not in before}
    at = now()
    rows = [{"order": order, "id": one.id, "document": documents.write(one).decode(), "heard_at": at} for (order, _), one in fresh.items()]
    _insert_despatches.many(tx, rows)
    made = {(one.order, one.document.id): one for some in shipments(tx, orders).values() for one in some}
    lines = [
        {"despatch": made[key].pk, "position": position, "line_id": line.line_id, "quantity": line.quantity}
        for key, one in fresh.items()
        for position, line in enumerate(one.lines)
    ]
    _insert_despatch_lines.many(tx, lines)
    return set(fresh)


def keep_receipt(tx: Tx, order: int, despatch: int | None, lines: Sequence[tuple[str, Decimal, str]], actor: str) -> None:
    """Keep what was received of an order: (line id, quantity, note); its despatch counts as booked in."""
    at, name = now(), new_id("gr")
    tx.execute(insert(purchase_receipts).values(id=name, order=order, despatch=despatch, at=at, actor=actor))
    pk = int(tx.execute(select(purchase_receipts.c.pk).where(purchase_receipts.c.id == name)).scalar_one())
    _insert_receipt_lines.many(
        tx,
        [
            {"receipt": pk, "position": position, "line_id": line_id, "quantity": quantity, "note": note}
            for position, (line_id, quantity, note) in enumerate(lines)
        ],
    )
    if despatch is not None:
        tx.execute(update(purchase_despatches).where(purchase_despatches.c.pk == despatch).values(received_at=at))


def messages(tx: Tx, order: int) -> list[Any]:
    """What was said about an order, oldest first: rows of id, at, author, text, line_id, state."""
    return _messages.all(tx, {"of": order})


def keep_messages(tx: Tx, told: Sequence[tuple[int, documents.Message]], state: Literal["heard", "queued"]) -> set[tuple[int, str]]:
    """Keep messages (key of the order, message); those that are new, by order and id. What is beyond both companies' bound is not kept."""
    if not told:
        return set()
    before = {(row.order, row.id) for row in _message_ids.all(tx, {"pks": {order for order, _ in told}})}
    fresh: dict[tuple[int, str], documents.Message] = {}
    kept = Counter(order for order, _ in before)
    for order, one in told:
        if (order, one.id) not in before and (order, one.id) not in fresh and kept[order] < 2 * documents.MOST_MESSAGES:
            fresh[order, one.id] = one
            kept[order] += 1
    _insert_messages.many(
        tx,
        [
            {
                "order": order, "id": one.id, "at": one.at, "author": one.author, "text": one.text, "line_id": one.line_id,
                "state": state,
            }
            for (order, _), one in fresh.items()
        ],
    )  # fmt: skip
    return set(fresh)


_end_message = hot(
    update(purchase_messages)
    .where(
        purchase_messages.c.order == select(purchase_orders.c.pk).where(purchase_orders.c.id == bindparam("subject")).scalar_subquery(),
        purchase_messages.c.id == bindparam("message"),
    )
    .values(state=bindparam("ends"))
)


def end_messages(tx: Tx, ended: Sequence[tuple[str, str, str]]) -> None:
    """What became of messages of ours: (id of the order, id of the message, sent or failed)."""
    _end_message.many(tx, [{"subject": subject, "message": message, "ends": state} for subject, message, state in ended])


def keep_revision(tx: Tx, pk: int) -> None:
    """Keep what the present revision of an order says and how it stands, before another takes its place."""
    _keep_revision.run(tx, {"order_pk": pk})


def revision(tx: Tx, pk: int, wanted: int) -> Any:
    """An earlier or later revision of an order: document, acceptance, their_id, answer, answered, answered_at; or None."""
    return _revision.first(tx, {"of": pk, "wanted_revision": wanted})


class RevisionHeard(msgspec.Struct, frozen=True, kw_only=True):
    """What the supplier said of a revision that is not the present one; None of what he did not speak of."""

    order: int
    revision: int
    acceptance: str | None
    their_id: str
    answer: int | None
    answered: str | None
    answered_at: dt.datetime | None


_revisions_of = hot(
    select(purchase_revisions.c.order, purchase_revisions.c.revision, purchase_revisions.c.document, purchase_revisions.c.acceptance,
           purchase_revisions.c.answered).where(in_ints(purchase_revisions.c.order, "pks"))
)  # fmt: skip


def revisions_of(tx: Tx, pks: Collection[int]) -> dict[tuple[int, int], Any]:
    """The revisions that are not the present ones, by order and revision: document, acceptance, answered."""
    return {(row.order, row.revision): row for row in _revisions_of.all(tx, {"pks": pks})} if pks else {}


def note_revisions(tx: Tx, heard: Sequence[RevisionHeard]) -> None:
    """Keep what the supplier said of revisions that are not the present ones."""
    _note_revision.many(
        tx,
        [
            {
                "of": one.order, "of_revision": one.revision, "new_acceptance": one.acceptance, "theirs": one.their_id,
                "new_answer": one.answer, "new_answered": one.answered, "new_at": one.answered_at,
            }
            for one in heard
        ],
    )  # fmt: skip


_turn_to = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        document=bindparam("new_document"),
        date=bindparam("new_date", type_=purchase_orders.c.date.type),
        currency=bindparam("new_currency"),
        net=bindparam("new_net", type_=purchase_orders.c.net.type),
        sent_digest=func.coalesce(
            select(purchase_revisions.c.sent_digest)
            .where(purchase_revisions.c.order == purchase_orders.c.pk, purchase_revisions.c.revision == bindparam("to_revision"))
            .scalar_subquery(),
            "",
        ),
        issues="[]",
        validation="clean",
        delivery="received",
    )
)


def turn_to(tx: Tx, pk: int, lines: Sequence[WrittenLine], order: Order) -> None:
    """Let another revision of an order be the present one: its document, sums and lines; its states are written by `hear`."""
    row = {
        "order_pk": pk, "new_document": documents.write(order).decode(), "new_date": order.date, "new_currency": order.currency,
        "new_net": order.net, "to_revision": order.revision,
    }  # fmt: skip
    _turn_to.run(tx, row)
    _drop_lines.run(tx, {"order_pk": pk})
    one = Written(partner=None, order=order, lines=lines, issues=[], validation="clean", due_date=None)
    _insert_lines.many(tx, list(_line_rows(pk, one)))


def change(tx: Tx, pk: int, **values: Any) -> None:
    """Change columns of an order that is locked; it is a new version then."""
    fresh = values | {"version": purchase_orders.c.version + 1, "changed_at": now()}
    tx.execute(update(purchase_orders).where(purchase_orders.c.pk == pk).values(fresh))


_their_ids = hot(select(purchase_orders.c.id, purchase_orders.c.their_id).where(in_texts(purchase_orders.c.id, "ids")))
_carried = hot(
    select(
        purchase_orders.c.pk, purchase_orders.c.id, purchase_orders.c.number, purchase_orders.c.revision, purchase_orders.c.partner,
        partners.c.name.label("partner_name"), purchase_orders.c.acceptance, purchase_orders.c.agreed_revision,
        purchase_orders.c.word, purchase_orders.c.stood_at, purchase_orders.c.reason,
        purchase_orders.c.trace_id, purchase_orders.c.answered,
    )
    .select_from(_with_partner)
    .where(in_texts(purchase_orders.c.id, "ids"))
    .order_by(purchase_orders.c.pk)
)  # fmt: skip
_end_word = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"), purchase_orders.c.word == bindparam("promise"))
    .values(
        acceptance=bindparam("ends"),
        agreed_revision=bindparam("agreed"),
        reason=bindparam("why"),
        due_date=case((bindparam("is_over"), null()), else_=purchase_orders.c.due_date),
        word="",
        stood_at="",
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)


_agree = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(agreed_answered=bindparam("answer_agreed"), agreed_net=bindparam("net_agreed", type_=purchase_orders.c.agreed_net.type))
)


def their_ids(tx: Tx, ids: Collection[str]) -> dict[str, str | None]:
    """What the supplier calls orders, by our ids; None where he never said that he has one."""
    return {row.id: row.their_id for row in _their_ids.all(tx, {"ids": ids})} if ids else {}


def carried(tx: Tx, ids: Collection[str]) -> dict[str, Any]:
    """Orders a word of ours was about, by their ids."""
    return {row.id: row for row in _carried.all(tx, {"ids": ids})} if ids else {}


def agree(tx: Tx, agreed: Mapping[int, tuple[str | None, Decimal]]) -> None:
    """Keep what is agreed of orders, by their keys: the answer that was accepted, and what the order comes to by it."""
    _agree.many(tx, [{"order_pk": pk, "answer_agreed": answer, "net_agreed": amount} for pk, (answer, amount) in agreed.items()])


class WordEnded(msgspec.Struct, frozen=True, kw_only=True):
    """What a word of ours came to; `promise` is the one that carried it, and another on its way since then changes nothing."""

    order: int
    promise: str
    acceptance: str
    agreed_revision: int
    reason: str
    is_over: bool = False


def end_words(tx: Tx, ended: Sequence[WordEnded]) -> None:
    """Write down what words of ours came to."""
    at = now()
    _end_word.many(
        tx,
        [
            {
                "order_pk": one.order, "promise": one.promise, "ends": one.acceptance, "agreed": one.agreed_revision, "why": one.reason,
                "is_over": one.is_over, "at": at,
            }
            for one in ended
        ],
    )  # fmt: skip


FollowedUp = Literal["not_answered", "changed_waiting_for_me", "promised_late", "overdue", "partly_received"]

# Written out, not bound: only so do the databases see that the small index of each list serves.
_UNANSWERED = (
    purchase_orders.c.delivery == literal_column("'received'"),
    purchase_orders.c.acceptance == literal_column("'open'"),
)
_DUE = (purchase_orders.c.due_date.is_not(None), purchase_orders.c.delivery == literal_column("'received'"))


def _followed_up(asked: Select[Any], what: FollowedUp, today: dt.date, before: dt.datetime) -> Select[Any]:
    match what:
        case "not_answered":
            return asked.where(*_UNANSWERED, purchase_orders.c.sent_at <= before)
        case "changed_waiting_for_me":
            return asked.where(purchase_orders.c.acceptance == "changed")
        case "promised_late":
            return asked.where(purchase_orders.c.is_promised_late)
        case "overdue":
            return asked.where(*_DUE, purchase_orders.c.due_date < today)
        case "partly_received":
            return asked.where(purchase_orders.c.is_partly_received)


def follow_up(
    tx: Tx, what: FollowedUp, after: tuple[Any, ...] | None, limit: int, *, today: dt.date, before: dt.datetime
) -> list[tuple[Kept, tuple[str | int, ...]]]:
    """Orders somebody should look at, what waits longest first, each with its place in the list."""
    by = {"not_answered": purchase_orders.c.sent_at, "overdue": purchase_orders.c.due_date}.get(what)
    asked = _followed_up(select(*_LISTED).select_from(_with_partner), what, today, before)
    if by is None:
        asked = asked.order_by(purchase_orders.c.pk)
        asked = asked if after is None else asked.where(purchase_orders.c.pk > after[0])
    else:
        asked = asked.order_by(by, purchase_orders.c.pk)
        if after is not None:
            place: Any = dt.date.fromisoformat(after[0]) if what == "overdue" else instant(after[0])
            asked = asked.where((by > place) | and_(by == place, purchase_orders.c.pk > after[1]))
    rows = [Kept(**row) for row in tx.execute(asked.limit(limit)).mappings()]
    return [(row, _follow_up_place(what, row)) for row in rows]


def _follow_up_place(what: FollowedUp, row: Kept) -> tuple[str | int, ...]:
    if what == "overdue":
        return (str(row.due_date), row.pk)
    return (micros(row.sent_at), row.pk) if what == "not_answered" and row.sent_at else (row.pk,)


def days(tx: Tx, since: dt.datetime) -> tuple[list[tuple[dt.date, int, int]], list[tuple[dt.date, float]]]:
    """What was sent since a moment: (day, orders, clean ones) and, for each that was answered, (day it was sent, seconds until then).

    Looks at the newest 50,000 orders at most, so that it costs the same in every year.
    """
    at = type_coerce(purchase_orders.c.sent_at, BigInteger)
    newest = select(func.coalesce(func.max(purchase_orders.c.pk), 0)).scalar_subquery()
    those = (purchase_orders.c.pk > newest - 50_000, purchase_orders.c.sent_at >= since)
    day = (at // 86_400_000_000).label("day")
    clean = func.sum(case((purchase_orders.c.validation == "clean", 1), else_=0))
    rows = tx.execute(select(day, func.count(), clean).where(*those).group_by(day)).all()
    waits = tx.execute(
        select(day, type_coerce(purchase_orders.c.answered_at, BigInteger) - at)
        .where(*those, purchase_orders.c.answered_at.is_not(None))
        .order_by(purchase_orders.c.pk.desc())
        .limit(5_000)
    ).all()
    return [(_day(row[0]), row[1], row[2]) for row in rows], [(_day(row[0]), row[1] / 1_000_000) for row in waits]


def _day(number: int) -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(days=number)


def follow_up_count(tx: Tx, what: FollowedUp, *, today: dt.date, before: dt.datetime) -> int:
    """How many such orders there are, counted up to one more than 1,000."""
    some = _followed_up(select(purchase_orders.c.pk), what, today, before).limit(MOST_COUNTED + 1).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one())


def to_tell(tx: Tx, what: Literal["not_answered", "overdue"], most: int, *, today: dt.date, before: dt.datetime) -> list[Any]:
    """Orders not answered or overdue of which nobody has been told: rows of pk, id, number, revision, due_date, sent_at and partner."""
    told = (
        purchase_orders.c.told_unanswered < purchase_orders.c.revision
        if what == "not_answered"
        else purchase_orders.c.told_overdue.is_(None) | (purchase_orders.c.told_overdue != purchase_orders.c.due_date)
    )
    columns = (
        purchase_orders.c.pk, purchase_orders.c.id, purchase_orders.c.number, purchase_orders.c.revision, purchase_orders.c.due_date,
        purchase_orders.c.sent_at, purchase_orders.c.partner, purchase_orders.c.trace_id, partners.c.name.label("partner_name"),
    )  # fmt: skip
    asked = _followed_up(select(*columns).select_from(_with_partner), what, today, before).where(told)
    by = purchase_orders.c.sent_at if what == "not_answered" else purchase_orders.c.due_date
    return list(tx.execute(asked.order_by(by, purchase_orders.c.pk).limit(most)))


_tell_unanswered = hot(
    update(purchase_orders).where(in_ints(purchase_orders.c.pk, "pks")).values(told_unanswered=purchase_orders.c.revision)
)
_tell_overdue = hot(update(purchase_orders).where(in_ints(purchase_orders.c.pk, "pks")).values(told_overdue=purchase_orders.c.due_date))


def told(tx: Tx, what: Literal["not_answered", "overdue"], pks: Collection[int]) -> None:
    """People have been told of these orders."""
    (_tell_unanswered if what == "not_answered" else _tell_overdue).run(tx, {"pks": pks})


_DELIVERY = tuple(deliveries.c[name] for name in DeliveryRow.__struct_fields__ if name != "has_document")


def deliveries_below(
    tx: Tx, below: int | None, limit: int, *, lane: str | None, state: Literal["refused", "dead"] | None, subject: str | None
) -> list[DeliveryRow]:
    """Rows of the ledger, newest first."""
    asked = select(*_DELIVERY, deliveries.c.document.is_not(None).label("has_document"))
    if below is not None:
        asked = asked.where(deliveries.c.pk < below)
    if lane is not None:
        asked = asked.where(deliveries.c.lane == lane)
    if subject is not None:
        asked = asked.where(deliveries.c.subject == subject)
    if state is not None:
        # Written out, not bound: only so do the databases see that the index of troubled deliveries serves.
        asked = asked.where(deliveries.c.state.in_(["refused", "dead"]), deliveries.c.state == literal_column(f"'{state}'"))
    return [DeliveryRow(**row) for row in tx.execute(asked.order_by(deliveries.c.pk.desc()).limit(limit)).mappings()]


def deliveries_waiting(tx: Tx, after: tuple[str, dt.datetime, int] | None, limit: int, *, lane: str | None = None) -> list[DeliveryRow]:
    """Rows of the ledger that have not left yet, lane by lane, the next to leave first."""
    d = deliveries.c
    asked = select(*_DELIVERY, d.document.is_not(None).label("has_document")).where(d.state == "ready")
    if lane is not None:
        asked = asked.where(d.lane == lane)
    if after is not None:
        asked = asked.where(tuple_(d.lane, d.run_at, d.pk) > tuple_(literal(after[0]), literal(after[1], Instant()), literal(after[2])))
    return [DeliveryRow(**row) for row in tx.execute(asked.order_by(d.lane, d.run_at, d.pk).limit(limit)).mappings()]


def delivery(tx: Tx, id: str) -> DeliveryRow | None:
    """The row of the ledger of this public id."""
    asked = select(*_DELIVERY, deliveries.c.document.is_not(None).label("has_document")).where(deliveries.c.id == id)
    row = tx.execute(asked).mappings().first()
    return None if row is None else DeliveryRow(**row)


_requeue = hot(
    update(purchase_orders)
    .where(
        purchase_orders.c.id == bindparam("subject"),
        purchase_orders.c.trace_id == bindparam("sent_as"),
        purchase_orders.c.delivery.in_(["failed", "unknown"]),
    )
    .values(delivery="queued", issues="[]", changed_at=bindparam("at", type_=Instant()), version=purchase_orders.c.version + 1)
)


def requeue(tx: Tx, subject: str, promise: str, trace_id: str) -> bool:
    """An order's dead delivery goes out again; False when the order has been changed or sent anew since."""
    at = now()
    if _requeue.run(tx, {"subject": subject, "sent_as": trace_id, "at": at}) != 1:
        return False
    _settle_item.run(tx, {"promise": promise, "new_status": "queued", "new_issues": "[]", "trace": trace_id, "at": at})
    return True


class SentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order, or an earlier revision of one, that the supplier has by our books; `digest` is of what was sent."""

    number: str
    revision: int
    digest: str
    answer: int


def sent_behind(tx: Tx, partner: int, after: str, since: dt.datetime, limit: int) -> list[SentOrder]:
    """What a supplier has by our books and got since then, behind a number, sorted by number and revision."""
    # What went by e-mail was never in his books; a person who wants it there changes the order and exports it.
    went = (purchase_orders.c.sent_at >= since, purchase_orders.c.mailed_to == "")
    whose = (purchase_orders.c.partner == partner, purchase_orders.c.number > after, *went)
    columns = (purchase_orders.c.number, purchase_orders.c.revision, purchase_orders.c.sent_digest, purchase_orders.c.answer)
    present = select(*columns).where(*whose, purchase_orders.c.delivery == "received", purchase_orders.c.their_id.is_not(None))
    earlier = (
        select(purchase_orders.c.number, purchase_revisions.c.revision, purchase_revisions.c.sent_digest, purchase_revisions.c.answer)
        .join_from(purchase_orders, purchase_revisions, purchase_revisions.c.order == purchase_orders.c.pk)
        .where(*whose, purchase_revisions.c.their_id.is_not(None))
        .where((purchase_revisions.c.revision != purchase_orders.c.revision) | (purchase_orders.c.delivery != "received"))
    )
    some = union_all(
        select(present.order_by(purchase_orders.c.number).limit(limit).subquery()),
        select(earlier.order_by(purchase_orders.c.number, purchase_revisions.c.revision).limit(limit).subquery()),
    ).subquery()
    rows = tx.execute(select(some).order_by(some.c.number, some.c.revision).limit(limit)).all()
    return [SentOrder(number=row.number, revision=row.revision, digest=row.sent_digest, answer=row.answer) for row in rows]


_their_revisions = hot(
    select(purchase_orders.c.number, purchase_revisions.c.revision)
    .join_from(purchase_orders, purchase_revisions, purchase_revisions.c.order == purchase_orders.c.pk)
    .where(in_texts(purchase_orders.c.number, "numbers"))
)


def revisions_kept(tx: Tx, numbers: Collection[str]) -> set[tuple[str, int]]:
    """Which revisions beside the present ones are kept of these orders."""
    return {(row.number, row.revision) for row in _their_revisions.all(tx, {"numbers": numbers})} if numbers else set()


def numbers_taken(tx: Tx, numbers: Collection[str], *, lock: bool = True) -> dict[str, Kept]:
    """Orders by their numbers, whoever they go to; with *lock* nobody else changes them until this unit ends."""
    if not numbers:
        return {}
    if lock:
        _lock_numbers.all(tx, {"numbers": numbers})
    return {row.number: row for row in _by_numbers.all(tx, {"numbers": numbers})}


_lock_numbers = hot(
    select(purchase_orders.c.pk).where(in_texts(purchase_orders.c.number, "numbers")).order_by(purchase_orders.c.pk).with_for_update()
)
_by_numbers = hot(select(*_ORDER).select_from(_with_partner).where(in_texts(purchase_orders.c.number, "numbers")), Kept)
_lost = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        acceptance="open",
        answer=0,
        answered=null(),
        answered_at=null(),
        agreed_revision=0,
        agreed_answered=null(),
        agreed_net=null(),
        word="",
        stood_at="",
        change_seen=0,
        their_order_number="",
        is_promised_late=literal_column("false"),
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)


def lose_answers(tx: Tx, pks: Collection[int]) -> None:
    """The supplier no longer knows what he answered to these orders; they are open again, until he answers anew."""
    at = now()
    _lost.many(tx, [{"order_pk": pk, "at": at} for pk in pks])


_found_there = hot(
    update(purchase_orders)
    .where(purchase_orders.c.pk == bindparam("order_pk"))
    .values(
        delivery="received",
        validation="clean",
        issues="[]",
        their_id=bindparam("theirs"),
        sent_digest=bindparam("digest"),
        revision=bindparam("of_revision"),
        newest_revision=case(
            (purchase_orders.c.newest_revision < bindparam("of_revision"), bindparam("of_revision")),
            else_=purchase_orders.c.newest_revision,
        ),
        sent_at=func.coalesce(purchase_orders.c.sent_at, bindparam("at", type_=Instant())),
        trace_id=bindparam("trace"),
        changed_at=bindparam("now", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)


class FoundThere(msgspec.Struct, frozen=True, kw_only=True):
    """An order that turned out to be at the supplier already."""

    order: int
    revision: int
    their_id: str
    digest: str
    trace_id: str
    received_at: dt.datetime


def found_there(tx: Tx, many: Sequence[FoundThere]) -> None:
    """These orders are at the supplier, as it turned out."""
    at = now()
    _found_there.many(
        tx,
        [
            {
                "order_pk": one.order, "theirs": one.their_id, "digest": one.digest, "of_revision": one.revision,
                "trace": one.trace_id, "at": one.received_at, "now": at,
            }
            for one in many
        ],
    )  # fmt: skip


_keep_earlier = hot(insert_or_ignore(purchase_revisions))


def keep_earlier(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Keep earlier revisions of orders: order, revision, document, acceptance, their_id, answer, answered, answered_at, sent_digest."""
    _keep_earlier.many(tx, rows)


_ask = hot(insert_or_update(reconciliations, "partner", only=("is_due", "why", "asked_at", "fault")))


def ask_reconciliation(tx: Tx, partner: int, why: str) -> None:
    """Our orders at this supplier are to be compared with his before anything more is heard of him."""
    _ask.run(tx, {"partner": partner, "is_due": True, "why": why, "asked_at": now(), "fault": ""})


def is_reconciliation_due(tx: Tx, partner: int) -> bool:
    """Whether comparing with this supplier was asked for and has not ended."""
    found = tx.execute(select(reconciliations.c.is_due).where(reconciliations.c.partner == partner)).scalar()
    return bool(found)


def end_reconciliation(tx: Tx, partner: int, found: str | None, fault: str, *, is_due: bool) -> None:
    """Keep what comparing came to, or why it could not be done."""
    values: dict[str, Any] = {"is_due": is_due, "fault": fault[:500]}
    if found is not None:
        values |= {"found": found, "ended_at": now()}
    tx.execute(update(reconciliations).where(reconciliations.c.partner == partner).values(values))


def reconciliation(tx: Tx, partner: int) -> Any:
    """How comparing with this supplier stands: is_due, why, asked_at, ended_at, found, fault; or None."""
    return tx.execute(select(reconciliations).where(reconciliations.c.partner == partner)).first()


def sent_digest(tx: Tx, pk: int) -> str:
    """The digest of what was sent of an order last; empty while nothing was."""
    return str(tx.execute(select(purchase_orders.c.sent_digest).where(purchase_orders.c.pk == pk)).scalar_one())
