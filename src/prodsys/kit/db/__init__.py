"""The database: units of work, fast statements, and how each kind of value is kept.

SQLAlchemy Core on SQLite and PostgreSQL alike. Two things differ and need no care: ``with_for_update()`` is ignored by SQLite
(one writer, nothing to lock against), and a failed statement ends a PostgreSQL transaction, so catch errors only around a ``savepoint``.
"""

from pathlib import Path

from sqlalchemy import make_url

from prodsys.kit.db.hot import Hot, hot, insert_new, insert_or_ignore, insert_or_update
from prodsys.kit.db.listed import in_ints, in_texts
from prodsys.kit.db.sqlite import open_sqlite, server_lock
from prodsys.kit.db.types import Code, Day, DecimalText, Hundredths, Instant, Json, metadata
from prodsys.kit.db.unit import ELSEWHERE, LEAVING, Database, DatabaseInUse, Tx, savepoint, signal

__all__ = [
    "ELSEWHERE",
    "LEAVING",
    "Code",
    "Database",
    "DatabaseInUse",
    "Day",
    "DecimalText",
    "Hot",
    "Hundredths",
    "Instant",
    "Json",
    "Tx",
    "hot",
    "in_ints",
    "in_texts",
    "insert_new",
    "insert_or_ignore",
    "insert_or_update",
    "metadata",
    "open_database",
    "savepoint",
    "server_lock",
    "signal",
]


async def open_database(url: str, *, lock: bool = True, home: Path | None = None, threads: int = 8) -> Database:
    """Open ``sqlite:///file.db`` (a relative path starts at *home*) or ``postgresql://…`` (with so many threads).

    Without *lock* we are a guest on a SQLite file whose server may be running. Raises DatabaseInUse when another server holds
    the file, StorageUnavailable when the database does not answer, ValueError for any other kind of URL.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite" if parsed.database:
            return await open_sqlite((home or Path()) / parsed.database, lock=lock)
        case "postgresql":
            from prodsys.kit.db.postgres import open_postgres  # a company on SQLite never pays for psycopg (rulings.md, 37)

            return await open_postgres(parsed, threads=threads)
        case _:
            raise ValueError("The database is sqlite:///file.db or postgresql://user@host/name.")
