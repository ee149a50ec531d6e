"""The rows of exports, and of each order in one."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, case, exists, func, insert, literal_column, null, or_, select, update

from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, in_texts
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import new_trace_id
from prodsys.purchasing.model.exports import ItemStatus
from prodsys.purchasing.store.orders import write_issues
from prodsys.tables import deliveries, export_orders, exports, partners, purchase_orders


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
    their_id: str | None
    endpoint: str | None


class Stoppable(msgspec.Struct, frozen=True, kw_only=True):
    """An order of an export of which nothing has been heard; `delivery` is null while nobody has looked at it."""

    position: int
    pk: int
    id: str
    number: str
    partner: int | None
    delivery: str | None
    trace_id: str


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
        export_orders.c.status.in_(["refused", "dead", "stopped"]),
    )
    .values(delivery=null(), status="queued", issues="[]", trace_id=bindparam("trace"), changed_at=bindparam("at", type_=Instant()))
)
_failed_items = hot(
    select(export_orders.c.position).where(
        export_orders.c.export == bindparam("of"), export_orders.c.status.in_(["refused", "dead", "stopped"])
    )
)
_stoppable = hot(
    select(
        export_orders.c.position,
        purchase_orders.c.pk,
        purchase_orders.c.id,
        purchase_orders.c.number,
        purchase_orders.c.partner,
        export_orders.c.delivery,
        export_orders.c.trace_id,
    )
    .join_from(export_orders, purchase_orders, purchase_orders.c.pk == export_orders.c.order)
    .where(export_orders.c.export == bindparam("of"), export_orders.c.status == "queued")
    .order_by(export_orders.c.position)
    .with_for_update(of=export_orders),
    Stoppable,
)
_sent_before = exists().where(
    export_orders.c.order == purchase_orders.c.pk,
    export_orders.c.delivery != "",
    export_orders.c.delivery != bindparam("promise"),
    export_orders.c.status != "stopped",
)
# What was tried may have arrived although nobody heard so; what was not is again what it was.
_mark_stopped = hot(
    update(purchase_orders)
    .where(
        purchase_orders.c.pk == bindparam("order_pk"),
        purchase_orders.c.trace_id == bindparam("sent_as"),
        purchase_orders.c.delivery == "queued",
    )
    .values(
        delivery=case((bindparam("was_tried"), "unknown"), else_="not_sent"),
        sent_at=case((or_(bindparam("was_tried"), _sent_before), purchase_orders.c.sent_at), else_=null()),
        sent_digest=case((or_(bindparam("was_tried"), _sent_before), purchase_orders.c.sent_digest), else_=""),
        changed_at=bindparam("at", type_=Instant()),
        version=purchase_orders.c.version + 1,
    )
)


def begin(tx: Tx, orders: Sequence[int], actor: str) -> tuple[int, str]:
    """Begin an export of these orders, in this order; its key and id. Each gets the trace it will be known by in both companies."""
    at = now()
    name = new_id("ex")
    tx.execute(insert(exports).values(id=name, created_at=at, created_by=actor, size=len(orders)))
    pk = int(tx.execute(select(exports.c.pk).where(exports.c.id == name)).scalar_one())
    fresh = {"export": pk, "delivery": None, "status": "queued", "changed_at": at}
    rows = [fresh | {"position": position, "order": order, "trace_id": new_trace_id()} for position, order in enumerate(orders)]
    _insert_items.many(tx, rows)
    return pk, name


def get(tx: Tx, id: str) -> Any:
    """The export of this public id: pk, id, created_at, created_by, size; or None."""
    return _export.first(tx, {"id": id})


def below(tx: Tx, below: int | None, limit: int) -> list[Any]:
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
            {"of": export, "at_position": position, "promise": promise, "new_status": status, "new_issues": write_issues(issues), "at": at}
            for position, promise, status, issues in rows
        ],
    )


def stoppable(tx: Tx, export: int) -> list[Stoppable]:
    """The orders of an export of which nothing has been heard yet; nobody else goes on with them until this unit ends."""
    return _stoppable.all(tx, {"of": export})


def stop(tx: Tx, export: int, untouched: Iterable[Stoppable], taken_back: Iterable[tuple[Stoppable, bool]]) -> None:
    """These orders of an export do not go: nobody had looked at them, or their promise was taken back (True: after it had been tried)."""
    at = now()
    taken = list(taken_back)
    _mark_stopped.many(
        tx,
        [{"order_pk": one.pk, "sent_as": one.trace_id, "promise": one.delivery, "was_tried": tried, "at": at} for one, tried in taken],
    )
    note_items(tx, export, [(one.position, one.delivery or "", "stopped", ()) for one in (*untouched, *(one for one, _ in taken))])


def reopen_failed(tx: Tx, export: int) -> int:
    """Make the failed and the stopped orders of an export ones nobody has looked at, each with a new trace; how many they are."""
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
        purchase_orders.c.their_id,
        partners.c.endpoint,
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


_leaving_in = hot(
    select(purchase_orders.c.id.label("order"), exports.c.id.label("export"))
    .join_from(export_orders, purchase_orders, purchase_orders.c.pk == export_orders.c.order)
    .join(exports, exports.c.pk == export_orders.c.export)
    .join(deliveries, _UNDER_WAY)
    .where(in_texts(purchase_orders.c.id, "orders"), deliveries.c.state.in_(["ready", "leased"]))
)


def leaving_in(tx: Tx, orders: Collection[str]) -> dict[str, str]:
    """The export with which each of these orders (by id) is on its way; one that is not is left out."""
    return {row.order: row.export for row in _leaving_in.all(tx, {"orders": orders})} if orders else {}


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
