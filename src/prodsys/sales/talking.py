"""A few words between buyer and supplier about an order or one of its lines."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.documents import MOST_MESSAGES, CodeWord, Message, ShortWords
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.sales import feed, store
from prodsys.sales.answers import note, own
from prodsys.sales.model import News
from prodsys.scopes import Caller

Text = Annotated[str, Meta(min_length=1, max_length=4000)]


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody of the house wants to say."""

    text: Text
    line_id: CodeWord = ""


class TheirMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the buyer says; his own id for it makes it safe to send again."""

    id: Annotated[str, Meta(pattern=r"^ms_[0-9A-Z]{26}$", examples=["ms_01KANQ0000000000000000000A"])]
    text: Text
    author: ShortWords = ""
    line_id: CodeWord = ""


def say(tx: Tx, caller: Caller, order_id: str, new: NewMessage) -> Message:
    """Say something to the buyer. Raises NotFound, TooManyMessages."""
    row = store.orders.draft(tx, order_id, lock=True)
    if row is None:
        raise errors.NotFound
    _must_have_room(tx, row, is_ours=True)
    message = Message(id=new_id("ms"), at=now(), author=caller.name[:120], text=new.text, line_id=_line(tx, row, new.line_id))
    store.messages.keep(tx, row.pk, message, is_ours=True)
    feed.announce(tx, row, News(kind="order.message", said=message))
    note(tx, caller, row, "order.message", f"Said about order {row.number}: {new.text}")
    return message


def hear(tx: Tx, caller: Caller, order_id: str, said: TheirMessage) -> tuple[Message, bool]:
    """Hear what the buyer says; the message as it was said first, and whether it is new.

    Raises NotFound, AlreadyExists for an id under which something was said about another order, and TooManyMessages.
    """
    row = own(tx, caller, order_id)
    message = Message(id=said.id, at=now(), author=said.author, text=said.text, line_id=_line(tx, row, said.line_id))
    first = next((kept for kept in store.messages.of_order(tx, row.pk) if kept.id == said.id), None)
    if first is not None:
        return first, False
    _must_have_room(tx, row, is_ours=False)
    if store.messages.keep(tx, row.pk, message, is_ours=False):
        note(tx, caller, row, "order.message", f"The buyer says about order {row.number}: {said.text}", direction="in")
        return message, True
    raise errors.AlreadyExists("This id stands for another message.")


def _must_have_room(tx: Tx, row: Any, *, is_ours: bool) -> None:
    if store.messages.count(tx, row.pk, is_ours=is_ours) >= MOST_MESSAGES:
        raise errors.TooManyMessages(f"There are {MOST_MESSAGES} messages about order {row.number}; no more are kept.")


def _line(tx: Tx, row: Any, line_id: str) -> str:
    if line_id and all(line.line_id != line_id for line in store.orders.lines(tx, row.pk)):
        raise errors.NotFound(f"Order {row.number} has no line {line_id}.")
    return line_id
