"""The ground every other test stands on: two real databases, new for each test."""

import pytest
from sqlalchemy import func, inspect, select, text

from prodsys.kit.db import Database, Tx, metadata


async def test_a_test_begins_with_every_table_and_no_row(db: Database) -> None:
    def rows(tx: Tx) -> dict[str, int]:
        return {
            name: tx.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one() for name in inspect(tx).get_table_names()
        }

    counted = await db.read(rows)

    assert counted == dict.fromkeys(metadata.tables, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_sqlite_file_gives_its_free_pages_back(db: Database) -> None:
    def setting(tx: Tx) -> object:
        return tx.execute(text("PRAGMA auto_vacuum")).scalar_one()

    incremental = 2
    assert await db.read(setting) == incremental


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_postgresql_sorts_as_english_unless_a_column_says_otherwise(db: Database) -> None:
    def in_order(tx: Tx) -> list[str]:
        return list(tx.execute(text("SELECT word FROM (VALUES ('a'), ('B')) AS words (word) ORDER BY word")).scalars())

    assert await db.read(in_order) == ["a", "B"]
