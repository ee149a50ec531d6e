"""Orders as they arrive, each kept once with its lines."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import bindparam, exists, insert, select, update

from prodsys.documents import Issue, Order, Receipt, plain, write
from prodsys.kit.db import Tx, hot, in_texts, insert_or_ignore
from prodsys.sales import model
from prodsys.sales.examining import ExaminedLine
from prodsys.tables import sales_lines, sales_orders


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
NO_DAY = dt.date(9999, 12, 31)
"""Stands where no day is asked for, so that such orders come last."""


def known(tx: Tx, numbers: Sequence[str]) -> list[Known]:
    """Every order under these numbers, whoever sent it."""
    return _known.all(tx, {"numbers": numbers})


def keep(tx: Tx, order: Mapping[str, Any]) -> int | None:
    """Keep an arrived order; its key for `keep_lines`, or None when the same (partner, number, revision) is there already."""
    return _keep_order.key(tx, order)


def keep_lines(tx: Tx, orders: Iterable[tuple[int, Sequence[ExaminedLine]]]) -> None:
    """Keep the lines of orders just kept, of all of them in one go."""
    _keep_lines.many(tx, [line_row(pk, at, line) for pk, lines in orders for at, line in enumerate(lines)])


def line_row(order: int, at: int, examined: ExaminedLine) -> dict[str, Any]:
    """A line as it is kept."""
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
