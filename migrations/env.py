"""How Alembic reaches the database it is told to migrate."""

from alembic import context
from sqlalchemy import create_engine, text

import prodsys.kit.web.idempotency
import prodsys.tables  # noqa: F401  # registers every table on the metadata
from prodsys.kit.db import metadata

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        # Two processes that start together migrate one after the other.
        connection.execute(text("SELECT pg_advisory_lock(20261121)"))
        connection.commit()
    context.configure(connection=connection, target_metadata=metadata, compare_type=True, render_as_batch=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
