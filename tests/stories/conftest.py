"""Two companies that can trade, each with its own database; every story runs on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile

import pytest

from tests import postgres
from tests.stories.company import FJORD, NORDLYS, Company, running


@pytest.fixture(params=["sqlite", "postgresql"])
def two_databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of two fresh databases."""
    if request.param == "sqlite":
        files = [tmp_path / name / "prodsys.db" for name in ("fjord", "nordlys")]
        for file in files:
            file.parent.mkdir()
            copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{files[0]}", f"sqlite:///{files[1]}"
    else:
        cluster: postgres.Cluster = request.getfixturevalue("cluster")
        with ExitStack() as stack:
            yield stack.enter_context(cluster.copy_of("template_prodsys")), stack.enter_context(cluster.copy_of("template_prodsys"))


@pytest.fixture
async def fjord(two_databases: tuple[str, str], tmp_path: Path) -> AsyncIterator[Company]:
    """The supplier, with its articles."""
    async with running(FJORD, two_databases[0], tmp_path / "fjord") as company:
        await company.import_articles()
        yield company


@pytest.fixture
async def nordlys(two_databases: tuple[str, str], tmp_path: Path) -> AsyncIterator[Company]:
    """The buyer."""
    async with running(NORDLYS, two_databases[1], tmp_path / "nordlys") as company:
        yield company


@pytest.fixture
async def connected(fjord: Company, nordlys: Company) -> str:
    """The buyer has pasted the supplier's bundle; the supplier's id at the buyer."""
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    partner = await nordlys.call("POST", "/partners", json={"bundle": handed["token"]["bundle"]})
    return str(partner["id"])
