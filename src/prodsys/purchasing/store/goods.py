"""Goods on their way, and goods received."""

import datetime as dt
from collections.abc import Collection, Sequence
from decimal import Decimal

import msgspec
from sqlalchemy import insert, select, update

from prodsys import documents
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, insert_or_ignore
from prodsys.kit.ids import new_id
from prodsys.tables import purchase_despatch_lines, purchase_despatches, purchase_receipt_lines, purchase_receipts

read_despatch = documents.reader(documents.Despatch)
_received = hot(
    select(purchase_receipts.c.order, purchase_receipt_lines.c.line_id, purchase_receipt_lines.c.quantity)
    .join_from(purchase_receipts, purchase_receipt_lines, purchase_receipt_lines.c.receipt == purchase_receipts.c.pk)
    .where(in_ints(purchase_receipts.c.order, "pks"))
)
_despatches = hot(select(purchase_despatches).where(in_ints(purchase_despatches.c.order, "pks")).order_by(purchase_despatches.c.pk))
_insert_despatches = hot(insert_or_ignore(purchase_despatches))
_insert_despatch_lines = hot(insert(purchase_despatch_lines))
_insert_receipt_lines = hot(insert(purchase_receipt_lines))


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """A despatch the supplier told us of, and whether somebody has booked it in."""

    pk: int
    order: int
    document: documents.Despatch
    heard_at: dt.datetime
    received_at: dt.datetime | None


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
