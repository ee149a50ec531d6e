"""What scripts/measure measures is measured here in small, so that it stays true that it can be."""

from pathlib import Path

from tests.stories.measured import answers, cards, feed, trading


async def test_answers_a_feed_and_cards_are_measured_in_small(two_databases: tuple[str, str], tmp_path: Path) -> None:
    async with trading(*two_databases, tmp_path) as two:
        told = await answers(two, 3)
        drained = await feed(two, 300, 10)
        compared = await cards(two, 20, 2)

    assert len(told.seconds) == 3
    assert max(told.seconds) < 5
    assert (drained.changes, compared.cards) == (300, 20)
    assert [one.figure for one in (*told.told(), *drained.told(), *compared.told())]
