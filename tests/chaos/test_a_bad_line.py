"""Lost replies, cut bodies and doubled requests cost time and nothing else (pains 1 to 3)."""

import pytest

from tests.chaos.bad_line import trade
from tests.chaos.companies import Pair


@pytest.mark.timeout(300)
async def test_every_order_arrives_once_over_a_line_that_loses_cuts_doubles_and_delays(pair: Pair) -> None:
    traded = await trade(pair, orders=60, seed=5)

    assert traded.repeated_at_the_supplier > 0
