"""What buyer and seller said about an order."""

from sqlalchemy import func, select

from prodsys.documents import Message, reader, write
from prodsys.kit.db import Tx, insert_new
from prodsys.tables import sales_messages

_read_message = reader(Message)


def keep(tx: Tx, order: int, message: Message, *, is_ours: bool) -> bool:
    """Keep a message; False when it has been kept before."""
    return insert_new(tx, sales_messages, {"id": message.id, "order": order, "is_ours": is_ours, "document": write(message).decode()})


def count(tx: Tx, order: int, *, is_ours: bool) -> int:
    """How much we, or the buyer, have said about an order."""
    said = select(func.count()).where(sales_messages.c.order == order, sales_messages.c.is_ours.is_(is_ours))
    return int(tx.execute(said).scalar_one())


def of_order(tx: Tx, order: int) -> list[Message]:
    """What was said about an order, oldest first."""
    query = select(sales_messages.c.document).where(sales_messages.c.order == order).order_by(sales_messages.c.pk)
    return [_read_message(document) for document in tx.execute(query).scalars()]


def said(tx: Tx, order: int) -> list[tuple[bool, Message]]:
    """What was said about an order, oldest first, and whether it was said by us."""
    query = select(sales_messages.c.is_ours, sales_messages.c.document).where(sales_messages.c.order == order).order_by(sales_messages.c.pk)
    return [(is_ours, _read_message(document)) for is_ours, document in tx.execute(query)]
