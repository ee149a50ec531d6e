"""What every test may ask for: an empty database of each kind, real ones both."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # says no types

from tests import postgres

if TYPE_CHECKING:
    from prodsys.kit.db import Database

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


class _Handing(LoadScopeScheduling):  # type: ignore[misc]  # for the same reason
    """Hands a file to one process, which sets up once what its tests share, and all that needs a Tryton too; a storm is long by itself."""

    def _split_scope(self, nodeid: str) -> str:
        if "tryton" in nodeid:
            return "tryton"
        file = nodeid.partition("::")[0]
        return nodeid if "/chaos/" in file else file


# Not the marks of `--dist loadgroup`: pytest 9.2 does not see them (pytest-xdist 1386).
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Who runs what where there are several processes."""
    config.option.loadscopereorder = False  # The long ones come first as they are.
    return _Handing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first that needs a Tryton installs it."""
    for found in items:
        if "tryton" in found.nodeid:
            found.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests and fixtures of a session share one asyncio loop."""
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh database with every table and no row."""
    if request.param == "sqlite":
        file = request.getfixturevalue("tmp_path") / "prodsys.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
    else:
        cluster: postgres.Cluster = request.getfixturevalue("cluster")
        with cluster.copy_of("template_prodsys") as url:
            yield url


@pytest.fixture
async def db(database_url: str) -> "AsyncIterator[Database]":
    """An open, empty database; a test that asks for it runs once on SQLite and once on PostgreSQL."""
    # Imported here, as below, so that a test of pure words loads no database.
    from prodsys.kit.db import open_database

    database = await open_database(database_url)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table, to be copied."""
    file = tmp_path_factory.mktemp("template") / "prodsys.db"
    create_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A running PostgreSQL with a database `template_prodsys` that holds every table."""
    programs = postgres.binaries()
    if programs is None:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail("REQUIRE_POSTGRES=1, but no PostgreSQL server is installed (Debian: apt-get install postgresql).", pytrace=False)
        pytest.skip("No PostgreSQL server is installed (Debian: apt-get install postgresql).")
    with postgres.running(programs) as running:
        running.run("CREATE DATABASE template_prodsys")
        create_tables(running.url("template_prodsys"))
        yield running


def create_tables(url: str) -> None:
    """Put every table of the product into an empty database."""
    import sqlalchemy

    import prodsys.kit.web.idempotency
    import prodsys.tables  # noqa: F401  they register the tables on `metadata`
    from prodsys.kit.db import metadata

    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # As the product makes a new file: set before anything is written, it stays for ever.
            connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
        metadata.create_all(connection)
    engine.dispose()
