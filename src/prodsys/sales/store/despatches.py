"""What has been sent off of an order."""

from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy import insert, select, update

from prodsys.documents import Despatch, reader, write
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.tables import sales_despatches, sales_lines

_read_despatch = reader(Despatch)


def note_gone(tx: Tx, order: int, quantities: Mapping[int, Decimal]) -> None:
    """Write how much of each line, by its position, has gone so far."""
    for position, quantity in quantities.items():
        tx.execute(update(sales_lines).where(sales_lines.c.order == order, sales_lines.c.position == position).values(despatched=quantity))


def keep(tx: Tx, order: int, despatch: Despatch, actor: str) -> None:
    """Keep a despatch."""
    row = {"id": despatch.id, "order": order, "number": despatch.number, "document": write(despatch).decode(), "at": now(), "actor": actor}
    tx.execute(insert(sales_despatches).values(row))


def by_number(tx: Tx, order: int, number: str) -> Despatch | None:
    """The despatch of an order that bears this number, which no two of one order do."""
    query = select(sales_despatches.c.document).where(sales_despatches.c.order == order, sales_despatches.c.number == number)
    document = tx.execute(query).scalar()
    return None if document is None else _read_despatch(document)


def of_order(tx: Tx, order: int) -> list[Despatch]:
    """All despatches of an order, oldest first."""
    query = select(sales_despatches.c.document).where(sales_despatches.c.order == order).order_by(sales_despatches.c.pk)
    return [_read_despatch(document) for document in tx.execute(query).scalars()]
