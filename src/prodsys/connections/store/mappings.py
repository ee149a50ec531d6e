"""Which field of theirs is which of ours, version by version."""

from typing import Any

import msgspec
from sqlalchemy import insert, select

from prodsys.exchange.mapping import Adjustments
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.tables import field_mappings

_read_adjustments = msgspec.json.Decoder(Adjustments).decode


def mapping(tx: Tx, connection: int, kind: str, direction: str, number: int | None = None) -> Any | None:
    """A mapping: the one that holds, or the one of this number."""
    query = select(field_mappings).where(
        field_mappings.c.connection == connection, field_mappings.c.kind == kind, field_mappings.c.direction == direction
    )
    if number is not None:
        query = query.where(field_mappings.c.number == number)
    return tx.execute(query.order_by(field_mappings.c.number.desc()).limit(1)).first()


def adjustments(tx: Tx, connection: int, kind: str, direction: str) -> Adjustments:
    """What a mapping that holds says; nothing where none was ever saved."""
    row = mapping(tx, connection, kind, direction)
    return _read_adjustments(row.document) if row is not None else Adjustments()


def put(tx: Tx, connection: int, kind: str, direction: str, document: Adjustments, actor: str) -> int:
    """Save a mapping as the next version; its number."""
    last = mapping(tx, connection, kind, direction)
    number = (last.number if last is not None else 0) + 1
    tx.execute(
        insert(field_mappings).values(
            id=new_id("fm"), connection=connection, kind=kind, direction=direction, number=number,
            document=msgspec.json.encode(document).decode(), created_at=now(), created_by=actor,
        )
    )  # fmt: skip
    return number


def versions(tx: Tx, connection: int, kind: str, direction: str) -> list[Any]:
    """Every version of a mapping, newest first."""
    query = select(field_mappings).where(
        field_mappings.c.connection == connection, field_mappings.c.kind == kind, field_mappings.c.direction == direction
    )
    return list(tx.execute(query.order_by(field_mappings.c.number.desc()).limit(500)))
