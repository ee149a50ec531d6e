"""The migrations lead to the tables of the page, on both databases."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

import prodsys.kit.web.idempotency
import prodsys.tables  # noqa: F401  # they register the tables on the metadata
from prodsys.kit.db import metadata
from prodsys.upkeep import upgrade
from tests import postgres


def test_an_empty_sqlite_database_after_all_migrations_equals_the_page_of_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prodsys.db"

    upgrade.upgrade(url)

    assert _differences(url) == []


def test_an_empty_postgresql_database_after_all_migrations_equals_the_page_of_tables(cluster: postgres.Cluster) -> None:
    with cluster.copy_of("template1") as url:
        upgrade.upgrade(url)

        assert _differences(url) == []


def test_a_second_upgrade_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prodsys.db"
    upgrade.upgrade(url)

    assert upgrade.upgrade(url) is None


def _differences(url: str) -> list[object]:
    engine = create_engine(url)
    with engine.connect() as tx:
        found: list[object] = compare_metadata(MigrationContext.configure(tx), metadata)
    engine.dispose()
    return found
