"""What both companies said about orders."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import bindparam, func, select, update

from prodsys import documents
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_or_ignore
from prodsys.tables import purchase_messages, purchase_orders

_messages = hot(select(purchase_messages).where(purchase_messages.c.order == bindparam("of")).order_by(purchase_messages.c.pk))
_so_many = hot(
    select(purchase_messages.c.order, func.count().label("messages"))
    .where(in_ints(purchase_messages.c.order, "pks"))
    .group_by(purchase_messages.c.order)
)
# An expression, because SQLite would otherwise look up every id in every order.
_kept_before = hot(
    select(purchase_messages.c.order, purchase_messages.c.id).where(
        in_ints(purchase_messages.c.order, "pks"), in_texts(purchase_messages.c.id.concat(""), "ids")
    )
)
_insert_messages = hot(insert_or_ignore(purchase_messages))


def of(tx: Tx, order: int) -> list[Any]:
    """What was said about an order, oldest first: rows of id, at, author, text, line_id, state."""
    return _messages.all(tx, {"of": order})


def keep(tx: Tx, told: Sequence[tuple[int, documents.Message]], state: Literal["heard", "queued"]) -> set[tuple[int, str]]:
    """Keep messages (key of the order, message); those that are new, by order and id. What is beyond both companies' bound is not kept."""
    if not told:
        return set()
    orders = {order for order, _ in told}
    before = {(row.order, row.id) for row in _kept_before.all(tx, {"pks": orders, "ids": {one.id for _, one in told}})}
    fresh: dict[tuple[int, str], documents.Message] = {}
    kept = Counter({row.order: row.messages for row in _so_many.all(tx, {"pks": orders})})
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


def end(tx: Tx, ended: Sequence[tuple[str, str, str]]) -> None:
    """What became of messages of ours: (id of the order, id of the message, sent or failed)."""
    _end_message.many(tx, [{"subject": subject, "message": message, "ends": state} for subject, message, state in ended])
