"""Exactly once in effect, although both sides are killed while they work (product.md, A11)."""

import pytest

from tests.chaos.companies import Pair
from tests.chaos.kills import survive


@pytest.mark.timeout(300)
async def test_no_order_is_lost_or_doubled_when_both_sides_are_killed_again_and_again(pair: Pair) -> None:
    survived = await survive(pair, kills=4, orders=24, seed=11)

    assert sum(survived.kills.values()) == 4
