"""Two companies in processes of their own, with SQLite files or on PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from prodsys.upkeep import upgrade
from tests import postgres
from tests.chaos.companies import Pair, two_companies


@pytest.fixture(scope="session")
def upgraded(cluster: postgres.Cluster) -> str:
    """The name of a database on the cluster that is at this version's schema, as an operator's would be."""
    cluster.run("CREATE DATABASE template_upgraded")
    upgrade.upgrade(cluster.url("template_upgraded"))
    return "template_upgraded"


@pytest.fixture(params=["sqlite", "postgresql"])
def two_databases(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The addresses of two empty databases; empty where each company makes its own file."""
    if request.param == "sqlite":
        yield "", ""
        return
    cluster: postgres.Cluster = request.getfixturevalue("cluster")
    template: str = request.getfixturevalue("upgraded")
    with ExitStack() as stack:
        yield stack.enter_context(cluster.copy_of(template)), stack.enter_context(cluster.copy_of(template))


@pytest.fixture
async def pair(two_databases: tuple[str, str], tmp_path: Path) -> AsyncIterator[Pair]:
    """A supplier and a buyer who serve, on databases of either kind."""
    async with two_companies(tmp_path, two_databases) as pair:
        yield pair


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Pair]:
    """A supplier and a buyer who serve, each with its SQLite file."""
    async with two_companies(tmp_path) as pair:
        yield pair
