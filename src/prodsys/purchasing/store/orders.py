"""The rows of purchase orders and of their lines."""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, literal_column, null, select, update

from prodsys import documents
from prodsys.documents import Issue, Order
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new, insert_or_ignore
from prodsys.kit.ids import new_id
from prodsys.purchasing.model.writing import WrittenLine
from prodsys.tables import articles, counters, export_orders, partners, purchase_lines, purchase_orders, purchase_revisions

FIRST_NUMBER = 100_001
_OF_OUR_SERIES = re.compile(r"PO-([1-9]\d{5,8})", re.ASCII)
_AHEAD = 100_000


read_order = documents.reader(Order)
read_issues = msgspec.json.Decoder(list[Issue]).decode
_encode_issues = msgspec.json.Encoder().encode


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


ORDER = (
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
with_partner = purchase_orders.outerjoin(partners, partners.c.pk == purchase_orders.c.partner)
# A list shows no lines, and the documents would be most of its bytes.
LISTED = tuple(
    literal_column("''").label(column.name) if column.name in ("document", "answered", "agreed_answered") else column for column in ORDER
)


_order = hot(select(*ORDER).select_from(with_partner).where(purchase_orders.c.id == bindparam("id")), Kept)
_orders = hot(select(*ORDER).select_from(with_partner).where(in_texts(purchase_orders.c.id, "ids")), Kept)
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


def get(tx: Tx, id: str, *, lock: bool = False) -> Kept | None:
    """The order of this public id; with *lock* nobody else changes it until this unit ends."""
    if lock and _locked.first(tx, {"id": id}) is None:
        return None
    return _order.first(tx, {"id": id})


def by_id(tx: Tx, ids: Collection[str]) -> dict[str, Kept]:
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


def go_on_behind(tx: Tx, numbers: Collection[str]) -> None:
    """Let our series go on behind these numbers, which somebody holds in our name although we do not know them."""
    insert_new(tx, counters, {"name": "purchase_order", "value": FIRST_NUMBER - 1})
    series = counters.c.name == "purchase_order"
    given: int = tx.execute(select(counters.c.value).where(series)).scalar_one()
    held = [int(found[1]) for number in numbers if (found := _OF_OUR_SERIES.fullmatch(number))]
    # Nobody may push our series out of sight by what he says he has.
    if (last := max((one for one in held if one <= given + _AHEAD), default=0)) > given:
        tx.execute(update(counters).where(series, counters.c.value < last).values(value=last))


def write_down(tx: Tx, many: Sequence[Written], actor: str) -> list[str]:
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
            "issues": write_issues(one.issues),
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
            "new_issues": write_issues(one.issues),
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


def write_issues(issues: Sequence[Issue]) -> str:
    return _encode_issues(issues).decode() if issues else "[]"


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


_documents = hot(select(purchase_orders.c.pk, purchase_orders.c.document).where(in_ints(purchase_orders.c.pk, "pks")))


def documents_of(tx: Tx, pks: Collection[int]) -> dict[int, Order]:
    """What orders say, by their keys."""
    return {row.pk: read_order(row.document) for row in _documents.all(tx, {"pks": pks})} if pks else {}


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


def their_ids(tx: Tx, ids: Collection[str]) -> dict[str, str | None]:
    """What the supplier calls orders, by our ids; None where he never said that he has one."""
    return {row.id: row.their_id for row in _their_ids.all(tx, {"ids": ids})} if ids else {}


def by_number(tx: Tx, numbers: Collection[str], *, lock: bool = True) -> dict[str, Kept]:
    """Orders by their numbers, whoever they go to; with *lock* nobody else changes them until this unit ends."""
    if not numbers:
        return {}
    if lock:
        _lock_numbers.all(tx, {"numbers": numbers})
    return {row.number: row for row in _by_numbers.all(tx, {"numbers": numbers})}


_lock_numbers = hot(
    select(purchase_orders.c.pk).where(in_texts(purchase_orders.c.number, "numbers")).order_by(purchase_orders.c.pk).with_for_update()
)
_by_numbers = hot(select(*ORDER).select_from(with_partner).where(in_texts(purchase_orders.c.number, "numbers")), Kept)


def sent_digest(tx: Tx, pk: int) -> str:
    """The digest of what was sent of an order last; empty while nothing was."""
    return str(tx.execute(select(purchase_orders.c.sent_digest).where(purchase_orders.c.pk == pk)).scalar_one())
