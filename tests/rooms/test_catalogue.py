"""The suppliers' catalogues, as their instances offer them to us."""

import datetime as dt
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.articles.model import Known
from prodsys.catalogue import actions, model, store
from prodsys.catalogue.model import Fix, Fixes, Theirs
from prodsys.catalogue.store import Place
from prodsys.connectors.prodsys.words import Article, Articles
from prodsys.kit.db import Database, Tx
from prodsys.modules.store import set_on
from prodsys.partners import store as partners
from prodsys.scopes import PRODSYS_MODULE
from prodsys.tables import supplier_articles
from tests.rooms.makers import DESK, a_partner, an_article, goes_by_index, logged, plans_of, some_articles

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
START = Place(cursor="", round=1, is_whole=False)


def theirs(number: str, **more: Any) -> Theirs:
    return Theirs(**{"their_id": f"ar_{number}", "number": number, "name": f"Bolt {number}"} | more)


class House(msgspec.Struct, frozen=True):
    """A buyer with one supplier."""

    db: Database
    partner: int
    id: str
    ours: dict[str, Known]

    async def read_whole(self, *listed: Theirs, round: int = 1) -> model.Pulled:
        """What one reading of the supplier's whole catalogue comes to."""

        def unit(tx: Tx) -> model.Pulled:
            supplier = partners.supplier(tx, self.partner)
            before = store.place(tx, self.partner)
            after = Place(cursor=f"c{round}", round=round, is_whole=before.is_whole)
            assert store.move(tx, self.partner, before, after)
            store.keep(tx, self.partner, listed, round)
            return actions._finish(tx, supplier, after, model.Pulled(articles=len(listed)), "test")

        return await self.db.write(unit)

    async def numbered(self, **numbers: str) -> None:
        """Our articles' numbers at the supplier."""
        rows = [(self.partner, self.ours[ours].pk, number) for ours, number in numbers.items()]
        await self.db.write(articles.supplier_numbers.put, rows)

    async def drifted(self) -> list[tuple[str, str, list[str]]]:
        """Our numbers that lead nowhere: our number, why, and what may be meant."""
        found, _ = await self.db.read(actions.mismatches, self.partner, (0, 0), 50)
        return [(one.article_number, one.why, [it.number for it in one.suggestions]) for one in found]


@pytest.fixture
async def house(db: Database) -> House:
    def unit(tx: Tx) -> House:
        partner = a_partner(tx, "Fjord Lager AS")
        ours = some_articles(
            tx,
            an_article("X1", name="Bolt M8x40", gtin="7038010000010"),
            an_article("X2", name="Nut M8"),
            an_article("X3", name="Washer M8", is_active=False),
        )
        return House(db, partner, partners.suppliers(tx, [partner])[partner].id, ours)

    return await db.write(unit)


async def test_what_is_offered_is_kept_and_listed_by_number(house: House):
    await house.read_whole(theirs("B-2"), theirs("A-1", price=Decimal("12.50"), currency="NOK", gtin="7038010000010"))

    first = await house.db.read(store.page, house.partner, (0, ""), 9)

    assert [(one.shown.number, one.shown.price and str(one.shown.price)) for one in first] == [("A-1", "12.5"), ("B-2", None)]


async def test_an_article_with_a_new_number_loses_the_old_one(house: House):
    await house.read_whole(theirs("A", their_id="ar_1"), theirs("B", their_id="ar_2"))
    await house.read_whole(theirs("B", their_id="ar_1"), theirs("C", their_id="ar_2"))

    kept = await house.db.read(lambda tx: tx.execute(select(supplier_articles.c.number, supplier_articles.c.their_id)).all())

    assert sorted(map(tuple, kept)) == [("B", "ar_1"), ("C", "ar_2")]


async def test_a_retired_article_keeps_what_it_was_called(house: House):
    await house.read_whole(theirs("A-1", name="Old bracket"))
    await house.read_whole(theirs("A-1", name="", is_active=False))

    [listed] = await house.db.read(store.page, house.partner, (0, ""), 9)

    assert (listed.shown.name, listed.shown.is_active) == ("Old bracket", False)


async def test_what_another_reading_of_the_whole_does_not_meet_is_forgotten(house: House):
    await house.read_whole(theirs("A-1"), theirs("A-2"))

    came = await house.read_whole(theirs("A-2"), theirs("A-3"), round=2)

    assert came.gone == 1
    assert [one.shown.number for one in await house.db.read(store.page, house.partner, (0, ""), 9)] == ["A-2", "A-3"]


async def test_two_readers_of_one_catalogue_do_not_both_keep_a_page(house: House):
    after = Place(cursor="c1", round=1, is_whole=False)

    moved = [await house.db.write(store.move, house.partner, START, after) for _ in range(2)]

    assert moved == [True, False]


@pytest.mark.parametrize(("spoiled", "kept"), [
    ({}, ("A-1", "1.50", "2")),
    ({"number": "  A-1 "}, ("A-1", "1.50", "2")),
    ({"price": "1E5"}, ("A-1", None, "2")),
    ({"price": "-1"}, ("A-1", None, "2")),
    ({"currency": "kr"}, ("A-1", None, "2")),
    ({"price_quantity": "0"}, ("A-1", None, "2")),
    ({"minimum": "NaN"}, ("A-1", "1.50", None)),
    ({"number": "A\u202e1"}, None),
    ({"number": " "}, None),
    ({"number": "x" * 81}, None),
])  # fmt: skip
def test_foreign_words_are_kept_only_as_far_as_they_can_be_read(spoiled, kept):
    article = Article(**{"number": "A-1", "is_active": True, "price": "1.50", "currency": "NOK", "minimum": "2"} | spoiled)

    read = model.readable(article)

    told = read and (read.number, None if read.price is None else str(read.price), None if read.minimum is None else str(read.minimum))
    assert told == kept


async def test_nothing_is_a_mismatch_before_the_catalogue_was_read_to_its_end(house: House):
    await house.numbered(X1="A-9")

    assert await house.drifted() == []


async def test_numbers_that_lead_nowhere_come_with_what_may_be_meant(house: House):
    await house.numbered(X1="OLD-77", X2="N-2OO", X3="GONE")
    await house.read_whole(
        theirs("B-400", name="Sekskantskrue", gtin="07038010000010"),
        theirs("N-200", name="Mutter"),
        theirs("OLD-770", name="Plate"),
        theirs("N-2OO", name="Nut", is_active=False),
    )

    found = await house.drifted()

    assert [(one[0], one[1], one[2][0]) for one in found] == [("X1", "unknown", "B-400"), ("X2", "inactive", "N-200")]


async def test_a_like_name_is_suggested_where_no_number_is_near(house: House):
    await house.numbered(X1="ZZZ")
    await house.read_whole(theirs("4711", name="Bolt M8x40 zinc"), theirs("4712", name="Paint"))

    found, _ = await house.db.read(actions.mismatches, house.partner, (0, 0), 9)

    assert [(it.number, it.by) for it in found[0].suggestions] == [("4711", "name")]


async def test_a_new_mismatch_is_told_once(house: House):
    await house.numbered(X1="A-1")
    await house.read_whole(theirs("A-1"))
    await house.read_whole(theirs("A-1", is_active=False))
    await house.read_whole(theirs("A-2"))

    [told] = await logged(house.db, "catalogue.mismatches")

    assert told.level == "warning"
    assert "1 of our article numbers at Fjord Lager AS" in told.message


async def test_numbers_are_fixed_together_and_logged_from_to(house: House):
    await house.numbered(X1="OLD", X2="N-2")
    await house.read_whole(theirs("A-1"), theirs("N-2"))
    fixes = [Fix(article=house.ours["X1"].id, number=" A-1 "), Fix(article=house.ours["X2"].id, number="N-2")]

    done = await house.db.write(actions.fix, DESK, Fixes(partner=house.id, fixes=fixes))

    assert (done.changed, done.unchanged, done.mismatches) == (1, 1, 0)
    assert await house.drifted() == []
    [told] = await logged(house.db, "catalogue.fixed")
    assert "X1: OLD → A-1" in told.message


async def test_a_fix_with_a_fault_changes_nothing_and_names_every_fault(house: House):
    await house.numbered(X1="OLD")
    await house.read_whole(theirs("A-1"), theirs("A-2", is_active=False))
    wrong = [("ar_none", "A-1"), ("X1", "A-9"), ("X2", "A-2"), ("X2", "A-1")]
    fixes = [Fix(article=house.ours[ours].id if ours in house.ours else ours, number=number) for ours, number in wrong]

    with pytest.raises(errors.Invalid) as refused:
        await house.db.write(actions.fix, DESK, Fixes(partner=house.id, fixes=fixes))

    assert [(issue.pointer, issue.code) for issue in refused.value.issues] == [
        ("/fixes/0/article", "article_unknown"),
        ("/fixes/1/number", "article_unknown"),
        ("/fixes/2", "article_twice"),
    ]
    assert [one[0] for one in await house.drifted()] == ["X1"]


async def test_what_a_supplier_no_longer_sells_may_lose_its_number(house: House):
    await house.numbered(X1="OLD")
    await house.read_whole(theirs("A-1"))

    await house.db.write(actions.fix, DESK, Fixes(partner=house.id, fixes=[Fix(article=house.ours["X1"].id, number="")]))

    assert await house.drifted() == []


async def test_the_test_of_a_connection_asks_only_about_what_a_fresh_catalogue_leaves_open(house: House):
    await house.numbered(X1="A-1", X2="A-9")
    before = await house.db.read(partners.numbers_not_in_catalogue, house.partner, LONG_AGO)
    await house.read_whole(theirs("A-1"))

    after = await house.db.read(partners.numbers_not_in_catalogue, house.partner, LONG_AGO)

    assert before is None
    assert after is not None
    assert (after[0], list(after[1])) == (2, ["A-9"])


async def test_lists_of_a_catalogue_go_by_index(sqlite: Database):
    for unit, args in (
        (store.page, (1, (0, ""), 50)),
        (store.page, (None, (1, "A"), 50)),
        (store.numbers_beginning, (1, "a", ("a", 1), 50)),
        (store.names_beginning, (1, "bolt", ("", 0), 50)),
        (store.mismatches, (1, (0, 0), 50)),
        (store.mismatches, (None, (1, 1), 50)),
        (store.by_numbers, (1, ["A-1"])),
    ):
        goes_by_index(await plans_of(sqlite, unit, *args), "supplier_articles")


@pytest.fixture
async def sqlite(tmp_path: Any, sqlite_template: Any) -> Any:
    import shutil

    from prodsys.kit.db import open_database

    shutil.copyfile(sqlite_template, tmp_path / "prodsys.db")
    database = await open_database(f"sqlite:///{tmp_path}/prodsys.db")
    yield database
    await database.close()


async def test_a_catalogue_without_an_end_does_not_keep_us_for_ever(house, monkeypatch):
    monkeypatch.setattr(actions, "MOST_PAGES", 3)
    asked: list[str | None] = []

    class Endless:
        async def articles(self, after: str | None) -> Articles:
            asked.append(after)
            at = len(asked)
            return Articles(items=[Article(id=f"ar_{at}", number=f"A-{at}", name="Bolt", unit="H87", is_active=True)], next=f"c{at}")

    monkeypatch.setattr(actions, "speak", lambda *_: Endless())
    await house.db.write(set_on, PRODSYS_MODULE, True, "test")
    way: Any = None  # `speak` alone would need it

    first = await actions.pull(house.db, way, house.id)
    await actions.pull(house.db, way, house.id)

    assert (asked, first.articles, first.fault) == ([None, "c1", "c2", "c3", "c4", "c5"], 3, "")
