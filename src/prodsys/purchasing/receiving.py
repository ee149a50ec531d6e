"""Book in what came of an order, and close it when all is here."""

from collections.abc import Sequence
from decimal import Decimal

from prodsys import errors
from prodsys.documents import Fulfilment, Issue, Order, canonical
from prodsys.kit.db import Tx, signal
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.purchasing import store
from prodsys.purchasing.actions import kept, shown
from prodsys.purchasing.answers import recounted
from prodsys.purchasing.model.goods import Goods, GoodsLine
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.store.goods import Shipment
from prodsys.purchasing.store.orders import Kept
from prodsys.purchasing.terms import ENDED, expected
from prodsys.scopes import Caller
from prodsys.webhooks.sending import promise_logged


def receive(tx: Tx, caller: Caller, id: str, goods: Goods) -> PurchaseOrder:
    """Book in what came, against a despatch or without one; less, more or something sent back is taken down as it is.

    Raises NotFound, Invalid with every line that does not fit, WrongState for an order never sent or ended, or a despatch booked in before.
    """
    row = kept(tx, id, lock=True)
    if row.sent_at is None:
        raise errors.WrongState(f"Order {row.number} has not been sent, so nothing of it can have come.")
    if row.acceptance in ENDED:
        raise errors.WrongState(f"Order {row.number} is {row.acceptance}; nothing of it is expected.")
    despatch = _despatch(tx, row, goods.despatch)
    order = store.orders.read_order(row.document)
    here = store.goods.received(tx, [row.pk]).get(row.pk, {})
    issues = _faults(order, goods, despatch, here)
    if issues:
        raise errors.Invalid(issues=issues)

    lines = _lines(goods, despatch)
    store.goods.keep_receipt(tx, row.pk, None if despatch is None else despatch.pk, lines, caller.name)
    [after] = recounted(tx, [store.answers.heard(tx, row.pk)])
    store.answers.hear(tx, [after])
    differing = _deviations(row, order, despatch, lines, here)
    is_closed = after.fulfilment == Fulfilment.RECEIVED
    what = f"despatch {despatch.document.number or despatch.document.id}" if despatch else f"{len(lines)} lines"
    end = "; all of it is here now." if is_closed else "."
    entry = Entry(
        code="order.goods_received",
        message=f"{caller.name} booked in {what} of order {row.number}{_and(differing)}{end}",
        level="warning" if differing else "info",
        partner=row.partner,
        subject=row.id,
        number=row.number,
        trace_id=row.trace_id,
        actor=caller.name,
        issues=differing,
    )
    tell(tx, entry)
    promise_logged(tx, entry)
    signal(tx, "orders")
    return shown(tx, id)


def _despatch(tx: Tx, row: Kept, wanted: str | None) -> Shipment | None:
    if wanted is None:
        return None
    for one in store.goods.shipments(tx, [row.pk]).get(row.pk, []):
        if one.document.id == wanted:
            if one.received_at is not None:
                raise errors.WrongState(f"Despatch {one.document.number or wanted} of order {row.number} has been booked in already.")
            return one
    raise errors.NotFound(f"Order {row.number} has no despatch {wanted}.")


def _lines(goods: Goods, despatch: Shipment | None) -> list[tuple[str, Decimal, str]]:
    named = [(line.line_id, Decimal(line.quantity), line.note) for line in goods.lines]
    if despatch is None:
        return named
    known = {line.line_id for line in goods.lines}
    return named + [(line_id, quantity, "") for line_id, quantity in _sums(despatch).items() if line_id not in known]


def _sums(despatch: Shipment) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in despatch.document.lines:
        sums[line.line_id] = sums.get(line.line_id, Decimal(0)) + line.quantity
    return sums


def _faults(order: Order, goods: Goods, despatch: Shipment | None, here: dict[str, Decimal]) -> list[Issue]:
    issues = []
    known = {line.line_id for line in order.lines if line.kind == "article"}
    if despatch is None and not goods.lines:
        issues.append(Issue(code="lines_missing", message="Name the despatch, or the lines that came.", pointer="/lines", blocks=True))
    seen = set()
    for at, line in enumerate(goods.lines):
        where, params = f"/lines/{at}", {"line": line.line_id}
        if line.line_id not in known:
            message = f"The order has no article line {line.line_id}."
            issues.append(Issue(code="line_unknown", message=message, params=params, pointer=f"{where}/line_id", blocks=True))
        elif line.line_id in seen:
            message = f"Line {line.line_id} is named twice; say what came of it in one."
            issues.append(Issue(code="line_id_duplicate", message=message, params=params, pointer=f"{where}/line_id", blocks=True))
        elif _is_more_than_is_here(line, here):
            message = f"Line {line.line_id}: more would be sent back than has come."
            issues.append(Issue(code="returned_too_much", message=message, params=params, pointer=f"{where}/quantity", blocks=True))
        seen.add(line.line_id)
    return issues


def _is_more_than_is_here(line: GoodsLine, here: dict[str, Decimal]) -> bool:
    return line.quantity < 0 and here.get(line.line_id, Decimal(0)) + line.quantity < 0


def _deviations(
    row: Kept, order: Order, despatch: Shipment | None, lines: Sequence[tuple[str, Decimal, str]], here: dict[str, Decimal]
) -> list[Issue]:
    """What came otherwise than it was sent; without a despatch, what came beyond what was agreed."""
    if despatch is not None:
        sent = _sums(despatch)
        return [
            _deviation(line_id, came, sent.get(line_id, Decimal(0)), "despatched", note)
            for line_id, came, note in lines
            if came != sent.get(line_id, Decimal(0))
        ]
    due = expected(order, store.answers.read_answer(row.answered) if row.answered else None)
    wanted = {line_id: sum((one.quantity for one in deliveries), Decimal(0)) for line_id, deliveries in due.items()}
    return [
        _deviation(line_id, here.get(line_id, Decimal(0)) + came, wanted.get(line_id, Decimal(0)), "agreed", note)
        for line_id, came, note in lines
        if here.get(line_id, Decimal(0)) + came > wanted.get(line_id, Decimal(0))
    ]


def _deviation(line_id: str, came: Decimal, wanted: Decimal, how: str, note: str) -> Issue:
    params = {"line": line_id, "received": canonical(came), how: canonical(wanted)}
    message = f"Line {line_id}: {canonical(came)} came, {canonical(wanted)} were {how}{f' ({note})' if note else ''}."
    return Issue(code="quantity_deviates", message=message, params=params)


def _and(differing: Sequence[Issue]) -> str:
    return f"; {len(differing)} line{'s' if len(differing) != 1 else ''} differ{'s' if len(differing) == 1 else ''}" if differing else ""
