"""What comparing with a supplier's books needs, and what it came to."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, case, func, select, union_all, update

from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, insert_or_update
from prodsys.tables import purchase_orders, purchase_revisions, reconciliations


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


_ask = hot(insert_or_update(reconciliations, "partner", only=("is_due", "why", "asked_at", "fault")))


def ask(tx: Tx, partner: int, why: str) -> None:
    """Our orders at this supplier are to be compared with his before anything more is heard of him."""
    _ask.run(tx, {"partner": partner, "is_due": True, "why": why, "asked_at": now(), "fault": ""})


def is_due(tx: Tx, partner: int) -> bool:
    """Whether comparing with this supplier was asked for and has not ended."""
    found = tx.execute(select(reconciliations.c.is_due).where(reconciliations.c.partner == partner)).scalar()
    return bool(found)


def end(tx: Tx, partner: int, found: str | None, fault: str, *, is_due: bool) -> None:
    """Keep what comparing came to, or why it could not be done."""
    values: dict[str, Any] = {"is_due": is_due, "fault": fault[:500]}
    if found is not None:
        values |= {"found": found, "ended_at": now()}
    tx.execute(update(reconciliations).where(reconciliations.c.partner == partner).values(values))


def get(tx: Tx, partner: int) -> Any:
    """How comparing with this supplier stands: is_due, why, asked_at, ended_at, found, fault; or None."""
    return tx.execute(select(reconciliations).where(reconciliations.c.partner == partner)).first()


class _Found(msgspec.Struct):
    lost_here: list["_Number"] = []


class _Number(msgspec.Struct):
    number: str


_read_found = msgspec.json.Decoder(_Found).decode


def lost_here(tx: Tx, partner: int) -> frozenset[str]:
    """Numbers of the orders that comparing found with this supplier and not here; a person decides about them."""
    found = tx.execute(select(reconciliations.c.found).where(reconciliations.c.partner == partner)).scalar()
    return frozenset(one.number for one in _read_found(found).lost_here) if found else frozenset()
