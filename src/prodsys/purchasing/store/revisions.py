"""The revisions of orders that are not the present ones."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select, update

from prodsys.kit.db import Instant, Tx, hot, in_ints, in_texts, insert_or_ignore, insert_or_update
from prodsys.tables import purchase_orders, purchase_revisions

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


def keep(tx: Tx, pk: int) -> None:
    """Keep what the present revision of an order says and how it stands, before another takes its place."""
    _keep_revision.run(tx, {"order_pk": pk})


def get(tx: Tx, pk: int, wanted: int) -> Any:
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


def of(tx: Tx, pks: Collection[int]) -> dict[tuple[int, int], Any]:
    """The revisions that are not the present ones, by order and revision: document, acceptance, answered."""
    return {(row.order, row.revision): row for row in _revisions_of.all(tx, {"pks": pks})} if pks else {}


def note(tx: Tx, heard: Sequence[RevisionHeard]) -> None:
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


_their_revisions = hot(
    select(purchase_orders.c.number, purchase_revisions.c.revision)
    .join_from(purchase_orders, purchase_revisions, purchase_revisions.c.order == purchase_orders.c.pk)
    .where(in_texts(purchase_orders.c.number, "numbers"))
)


def kept(tx: Tx, numbers: Collection[str]) -> set[tuple[str, int]]:
    """Which revisions beside the present ones are kept of these orders."""
    return {(row.number, row.revision) for row in _their_revisions.all(tx, {"numbers": numbers})} if numbers else set()


_keep_earlier = hot(insert_or_ignore(purchase_revisions))


def keep_earlier(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Keep earlier revisions of orders: order, revision, document, acceptance, their_id, answer, answered, answered_at, sent_digest."""
    _keep_earlier.many(tx, rows)
