"""What other systems said of records of ours, kept beside them."""

import datetime as dt
from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import bindparam, delete, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_texts, insert_new, insert_or_update
from prodsys.tables import counters, shelf


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """One of their documents, kept for whom it may concern."""

    number: str
    document: str
    position: int


class OnShelf(msgspec.Struct, frozen=True, kw_only=True):
    """What one system says about a record of ours."""

    connection: int
    kind: str
    document: str
    changed_at: dt.datetime


_shelve = hot(insert_or_update(shelf, "connection", "kind", "number", only=("document", "position", "changed_at")))
_shelved = hot(
    select(shelf.c.number, shelf.c.document, shelf.c.position).where(
        shelf.c.connection == bindparam("of"), shelf.c.kind == bindparam("kind"), in_texts(shelf.c.number, "numbers")
    ),
    Shelved,
)


def shelved(tx: Tx, connection: int, kind: str, numbers: Collection[str]) -> dict[str, Shelved]:
    """What lies on the shelf of a connection, by number."""
    return {row.number: row for row in _shelved.all(tx, {"of": connection, "kind": kind, "numbers": list(numbers)})}


def shelve(tx: Tx, connection: int, kind: str, documents: Mapping[str, str]) -> None:
    """Put documents on the shelf, by number; what lies there under a number is replaced."""
    if not documents:
        return
    at, last = now(), _positions(tx, len(documents))
    places = range(last - len(documents) + 1, last + 1)
    _shelve.many(
        tx,
        [
            {"connection": connection, "kind": kind, "number": number, "document": document, "position": place, "changed_at": at}
            for (number, document), place in zip(documents.items(), places, strict=True)
        ],
    )


def unshelve(tx: Tx, connection: int, kind: str, number: str) -> bool:
    """Take a document off the shelf; False when it was not there."""
    return tx.execute(delete(shelf).where(shelf.c.connection == connection, shelf.c.kind == kind, shelf.c.number == number)).rowcount == 1


def _positions(tx: Tx, many: int) -> int:
    insert_new(tx, counters, {"name": "shelf"})
    taken = update(counters).where(counters.c.name == "shelf").values(value=counters.c.value + many).returning(counters.c.value)
    return int(tx.execute(taken).scalar_one())


def from_shelf(tx: Tx, kind: str, after: int, limit: int, *, but: int | None = None) -> list[Shelved]:
    """What was put on any shelf behind a position, but on that of one connection."""
    query = select(shelf.c.number, shelf.c.document, shelf.c.position).where(shelf.c.kind == kind, shelf.c.position > after)
    if but is not None:
        query = query.where(shelf.c.connection != but)
    return [
        Shelved(number=row.number, document=row.document, position=row.position)
        for row in tx.execute(query.order_by(shelf.c.position).limit(limit))
    ]


def on_shelves(tx: Tx, kind: str, number: str) -> list[OnShelf]:
    """What every system says of a record of ours."""
    rows = tx.execute(
        select(shelf.c.connection, shelf.c.kind, shelf.c.document, shelf.c.changed_at).where(shelf.c.number == number, shelf.c.kind == kind)
    )
    return [OnShelf(connection=row.connection, kind=row.kind, document=row.document, changed_at=row.changed_at) for row in rows]


def stock_of(tx: Tx, article: str) -> list[OnShelf]:
    """What every system says of how much there is of an article, in all or at a place (`A-100@Oslo`)."""
    s = shelf.c
    # @ is followed by A; texts are compared byte by byte.
    places = (s.number >= f"{article}@") & (s.number < f"{article}A")
    query = select(s.connection, s.kind, s.document, s.changed_at).where(s.kind == "stock", (s.number == article) | places)
    rows = tx.execute(query.order_by(s.connection, s.number).limit(_MOST_PLACES))
    return [OnShelf(connection=row.connection, kind=row.kind, document=row.document, changed_at=row.changed_at) for row in rows]


_MOST_PLACES = 100
