"""Which code of theirs is which of ours."""

from collections.abc import Iterable

from sqlalchemy import delete, insert, select

from prodsys.connections.model import ListEntry
from prodsys.kit.db import Tx
from prodsys.tables import list_entries


def entries(tx: Tx, connection: int) -> dict[str, list[ListEntry]]:
    """The list mappings of a connection."""
    e = list_entries.c
    found: dict[str, list[ListEntry]] = {}
    for row in tx.execute(select(list_entries).where(e.connection == connection).order_by(e.list, e.direction, e.source)):
        found.setdefault(row.list, []).append(ListEntry(direction=row.direction, source=row.source, target=row.target, title=row.title))
    return found


def set_entries(tx: Tx, connection: int, name: str, listed: Iterable[ListEntry]) -> None:
    """Replace a list mapping."""
    tx.execute(delete(list_entries).where(list_entries.c.connection == connection, list_entries.c.list == name))
    rows = [
        {"connection": connection, "list": name, "direction": one.direction, "source": one.source, "target": one.target, "title": one.title}
        for one in listed
    ]
    if rows:
        tx.execute(insert(list_entries), rows)
