"""The step below SQLAlchemy: a statement's text straight to the driver, its errors in SQLAlchemy's words."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError


def raw(tx: Connection) -> Any:
    """The driver's own connection under this one."""
    return tx.connection.dbapi_connection


def drive(tx: Connection, sql: str, values: Any = ()) -> Any:
    """Execute one statement and return the driver's cursor. Raises what Core would: IntegrityError, OperationalError…"""
    connection = raw(tx)
    try:
        return connection.execute(sql, values)
    except Exception as error:
        raise translated(tx, sql, error) from error


def drive_many(tx: Connection, sql: str, rows: Sequence[Any]) -> int:
    """Execute one statement for each row of values; how many rows were touched."""
    cursor = raw(tx).cursor()
    try:
        cursor.executemany(sql, rows)
    except Exception as error:
        raise translated(tx, sql, error) from error
    count: int = cursor.rowcount
    return count


def translated(tx: Connection, sql: str, error: Exception) -> Exception:
    """The driver's error as SQLAlchemy's, without the parameters: they may be secrets."""
    dialect = tx.dialect
    errors: Any = dialect.loaded_dbapi.Error
    if not isinstance(error, errors):
        return error
    freeze_if_dropped(dialect, raw(tx))
    same = DBAPIError.instance(sql, None, error, errors, hide_parameters=True, dialect=dialect)
    return same if isinstance(same, Exception) else error


def freeze_if_dropped(dialect: Dialect, connection: Any) -> None:
    """After SQLite itself has dropped the transaction, let nothing more of the unit be written.

    A unit that caught the error and went on would otherwise write outside any transaction (rulings.md, 1).
    """
    if dialect.name == "sqlite" and not connection.in_transaction:
        connection.execute("PRAGMA query_only = 1")
