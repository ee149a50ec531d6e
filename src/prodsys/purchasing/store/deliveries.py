"""How sent orders ended, and the ledger of what is still to leave."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy import bindparam, case, literal, literal_column, select, tuple_, update

from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, in_texts
from prodsys.purchasing.model.exports import ItemStatus
from prodsys.purchasing.store.orders import with_partner, write_issues
from prodsys.tables import deliveries, export_orders, partners, purchase_orders


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
    .select_from(with_partner)
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
    told = [write_issues(one.issues) for one in failed]
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


_DELIVERY = tuple(deliveries.c[name] for name in DeliveryRow.__struct_fields__ if name != "has_document")


def below(
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


def waiting(tx: Tx, after: tuple[str, dt.datetime, int] | None, limit: int, *, lane: str | None = None) -> list[DeliveryRow]:
    """Rows of the ledger that have not left yet, lane by lane, the next to leave first."""
    d = deliveries.c
    asked = select(*_DELIVERY, d.document.is_not(None).label("has_document")).where(d.state == "ready")
    if lane is not None:
        asked = asked.where(d.lane == lane)
    if after is not None:
        asked = asked.where(tuple_(d.lane, d.run_at, d.pk) > tuple_(literal(after[0]), literal(after[1], Instant()), literal(after[2])))
    return [DeliveryRow(**row) for row in tx.execute(asked.order_by(d.lane, d.run_at, d.pk).limit(limit)).mappings()]


def get(tx: Tx, id: str) -> DeliveryRow | None:
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
