"""Whatever buyer and seller do, and whatever the line does to it, both books say the same once everything has been delivered.

The steps are made up, the same each time. Further, and other ones each time: PRODSYS_AGREE_EXAMPLES=2000, or `scripts/agree`.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import postgres
from tests.chaos.trading import VERBS, Step, play

ASKED = os.environ.get("PRODSYS_AGREE_EXAMPLES")
EXAMPLES = int(ASKED or "24")
STEPS = st.lists(
    st.tuples(st.sampled_from([verb for verb, often in VERBS.items() for _ in range(often)]), st.integers(0, 99)), min_size=30, max_size=90
)

pytestmark = pytest.mark.timeout(0 if ASKED else 300)


def longest(examples: int) -> settings:
    """As many examples; what the suite does is the same each time."""
    return settings(max_examples=examples, deadline=None, derandomize=not ASKED, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="session")
def two_files(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[str, str]]:
    """Makes two SQLite files with every table and no row, in place of those it made before."""
    folder = tmp_path_factory.mktemp("trade")

    def made() -> tuple[str, str]:
        shutil.rmtree(folder)
        folder.mkdir()
        files = [folder / "nordlys.db", folder / "fjord.db"]
        for file in files:
            shutil.copyfile(sqlite_template, file)
        return f"sqlite:///{files[0]}", f"sqlite:///{files[1]}"

    return made


# An answer taken back is given again under its own number, and the one before it can be accepted.
@example([("write", 7), ("carry", 0), ("answer", 36), ("take_back", 3), ("answer", 4)])
# A changed revision is applied, and that is taken back: the order has its number again.
@example(
    [("write", 1), ("hurry", 0), ("approve", 0), ("hurry", 0), ("change", 1), ("hurry", 0), ("apply", 0), ("take_back", 0), ("keep", 0)]
)
# ... or the change is declined, and that is taken back: somebody can answer it again.
@example(
    [("write", 1), ("hurry", 0), ("approve", 0), ("hurry", 0), ("change", 1), ("hurry", 0), ("keep", 0), ("take_back", 0), ("apply", 0)]
)
# Approved, then answered with changes before the approval was told, while a new revision was on its way.
@example([("write", 14), ("export", 21), ("hurry", 6), ("approve", 25), ("answer", 18), ("change", 28)])
# Goods leave on the revision before the one that arrives.
@example([("write", 31), ("hurry", 5), ("change", 24), ("answer", 39), ("despatch", 16), ("cancel", 23)])
# Changed here but not sent, then cancelled: the supplier was asked about what he has.
@example([("write", 16), ("write", 36), ("hurry", 8), ("change", 39), ("cancel", 2)])
@example([("write", 27), ("write", 15), ("hurry", 28), ("change", 33), ("reject", 28), ("cancel", 2)])
# The receipt of a revision comes when the feed has told long ago that it was declined.
@example(
    [
        ("write", 34), ("write", 21), ("export", 11), ("carry", 37), ("cancel", 36), ("approve", 36), ("change", 9), ("carry", 10),
        ("slow_reply", 19), ("hurry", 0), ("reject", 20), ("hurry", 21),
    ]
)  # fmt: skip
# An agreed revision is rejected after all, while the next one is on its way.
@example(
    [
        ("write", 28), ("write", 18), ("hurry", 16), ("answer", 38), ("answer", 29), ("hurry", 1), ("dispute", 34), ("change", 20),
        ("hurry", 10), ("change", 16), ("reject", 31),
    ]
)  # fmt: skip
# A cancellation crosses an answer with changes and a new revision.
@example(
    [
        ("write", 38), ("hurry", 29), ("slow_request", 1), ("change", 28), ("carry", 2), ("cancel", 22), ("approve", 35), ("come_late", 0),
        ("let_go", 31), ("apply", 33), ("hurry", 11), ("let_cancel", 32), ("despatch", 21),
    ]
)  # fmt: skip
@longest(EXAMPLES)
@given(steps=STEPS)
def test_both_books_agree_whatever_is_done_and_lost(two_files: Callable[[], tuple[str, str]], steps: list[Step]) -> None:
    asyncio.run(play(two_files(), steps))


@longest(max(EXAMPLES // 8, 4))
@given(steps=STEPS)
def test_both_books_agree_on_postgresql_as_well(cluster: postgres.Cluster, steps: list[Step]) -> None:
    with ExitStack() as databases:
        urls = [databases.enter_context(cluster.copy_of("template_prodsys")) for _ in range(2)]
        asyncio.run(play((urls[0], urls[1]), steps))
