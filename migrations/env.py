"""How Alembic reaches the database it is told to migrate."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import create_engine, text

import prodsys.kit.web.idempotency
import prodsys.tables  # noqa: F401  # registers every table on the metadata
from prodsys.kit.db import Json, metadata


def spelled(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """How a column's type stands in a migration: our own types by their names; a Struct kept as JSON is text to the database."""
    if kind != "type" or not type(item).__module__.startswith("prodsys."):
        return False
    return "Code()" if isinstance(item, Json) else f"{type(item).__name__}()"


engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        # Two processes that start together migrate one after the other.
        connection.execute(text("SELECT pg_advisory_lock(20261121)"))
        connection.commit()
    options = {"render_as_batch": True, "render_item": spelled, "transaction_per_migration": True}
    context.configure(connection=connection, target_metadata=metadata, **options)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
