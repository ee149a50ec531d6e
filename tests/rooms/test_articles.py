"""Which article a line means, what it costs whom, and how the catalogue is kept and told."""

import asyncio
import datetime as dt
import unicodedata
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA
from sqlalchemy import Insert, insert, select, update

from prodsys import errors
from prodsys.articles import actions, api, model, store
from prodsys.articles.model import Agreed, Draft, Found, Known, Learned, Wanted
from prodsys.documents import plain
from prodsys.kit.clock import now
from prodsys.kit.db import Hot, Tx
from prodsys.kit.sheets import write_xlsx
from prodsys.scopes import CONSOLE, Caller, Scope
from prodsys.tables import articles as rows
from prodsys.tables import company as companies
from prodsys.tables import log_entries, partners, sales_lines, sales_orders
from tests.rooms.doors import a_partner, company_of, our_card

pytestmark = pytest.mark.anyio

GTIN, OTHER_GTIN, UPC = "4006381333931", "7038010000010", "012345678905"
HEADER = "number,name,unit,price,currency,gtin,active\n"

_pks = count(1)


def known(number="A-100", **more):
    pk = more.pop("pk", next(_pks))
    texts = {"id": f"ar_{pk}", "name": "Bolt M8x40", "unit": "H87", "gtin": "", "currency": "NOK"}
    amounts = {"price": Decimal("12.50"), "price_quantity": Decimal(1), "lead_time_days": None, "minimum": None, "multiple": None}
    return Known(**{"pk": pk, "number": number, "is_active": True} | texts | amounts | more)


def climb(wanted, catalogue, lessons=None):
    """The ladder over a small catalogue, and over lessons as {their number: article}."""
    by_gtin: dict[str, list[Known]] = {}
    for article in catalogue:
        if article.gtin:
            by_gtin.setdefault(model.gtin_key(article.gtin), []).append(article)
    learned = {
        number: (Learned(their_number=number, article=article.pk, unit="", factor=Decimal(1)), article)
        for number, article in (lessons or {}).items()
    }
    return model.climb(wanted, {article.number: article for article in catalogue}, by_gtin, learned)


def a_draft(number="A-100", name="Bolt M8x40", **more):
    return Draft(**{"number": number, "name": name, "unit": "H87", "price": Decimal("12.50"), "currency": "NOK"} | more)


async def kept(db, *drafts):
    await db.write(store.keeping.save_many, [draft if isinstance(draft, Draft) else a_draft(draft) for draft in drafts])
    return await db.read(store.finding.by_numbers, [draft.number if isinstance(draft, Draft) else draft for draft in drafts])


async def matched(db, *numbers, partner=None, offers_all=True):
    wanted = [number if isinstance(number, Wanted) else Wanted(plain(number)) for number in numbers]
    return await db.read(store.finding.match, partner, wanted, offers_all=offers_all)


async def the_feed(caller, after=None, **query):
    answer = await caller.get("/articles", params=({"after": after} if after else {}) | {"limit": 500} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"], answer.json()["next"]


@pytest.fixture
async def shop(db):
    async with company_of(db, api.routes) as company:
        await db.write(our_card)
        yield company


@pytest.fixture
async def buyer(db):
    return await db.write(a_partner, show_prices=True)


@pytest.fixture
async def house(shop):
    return shop.caller((await shop.a_token()).token)


@pytest.fixture
async def partner(shop, buyer):
    return shop.caller((await shop.a_token(Scope.ARTICLES_READ, partner=buyer)).token)


def test_an_exact_active_number_is_found():
    article = known("A-100")

    assert climb(Wanted("A-100"), [article]) == Found("article_number", article)


def test_a_learned_mapping_comes_before_the_gtin():
    ours, other = known("A-100", gtin=GTIN), known("B-200")

    found = climb(Wanted("4711", GTIN), [ours, other], {"4711": ours})

    assert (found.how, found.article) == ("learned", ours)


def test_an_exact_active_number_that_contradicts_a_mapping_is_ambiguous():
    exact, taught = known("4711"), known("A-100")

    found = climb(Wanted("4711"), [exact, taught], {"4711": taught})

    assert (found.how, found.reason) == ("ambiguous", "mapping_mismatch")


def test_a_mapping_outlives_an_inactive_article_of_the_same_number():
    retired, taught = known("4711", is_active=False), known("A-100")

    assert climb(Wanted("4711"), [retired, taught], {"4711": taught}).article == taught


def test_a_mapping_to_a_retired_article_says_so():
    taught = known("A-100", is_active=False)

    assert climb(Wanted("4711"), [taught], {"4711": taught}).how == "inactive"


@pytest.mark.parametrize("lessons", [False, True])
def test_number_and_gtin_of_two_articles_are_a_mismatch(lessons):
    one, two = known("A-100"), known("B-200", gtin=GTIN)

    found = climb(Wanted("A-100", GTIN), [one, two], {"A-100": one} if lessons else None)

    assert (found.how, found.reason) == ("ambiguous", "gtin_mismatch")


def test_a_gtin_shared_by_several_articles_agrees_with_each_of_their_numbers():
    one, two = known("A-100", gtin=GTIN), known("B-200", gtin=GTIN)

    assert climb(Wanted("B-200", GTIN), [one, two]) == Found("article_number", two)


def test_a_gtin_we_do_not_know_is_told_but_stops_nothing():
    article = known("A-100", gtin=GTIN)

    assert climb(Wanted("A-100", OTHER_GTIN), [article]) == Found("article_number", article, None, "gtin_differs")


def test_an_inactive_number_stops_the_ladder_before_the_gtin():
    retired, other = known("A-100", is_active=False), known("B-200", gtin=GTIN)

    assert climb(Wanted("A-100", GTIN), [retired, other]) == Found("inactive", retired)


def test_a_gtin_decides_only_if_exactly_one_active_article_has_it():
    active, retired, third = known("A-100", gtin=GTIN), known("B-200", gtin=GTIN, is_active=False), known("C-300", gtin=GTIN)

    assert climb(Wanted("", GTIN), [active, retired]) == Found("gtin", active)
    assert climb(Wanted("", GTIN), [active, retired, third]).reason == "gtin_not_unique"
    assert climb(Wanted("", GTIN), [retired]).how == "inactive"


def test_the_same_gtin_is_found_however_many_zeros_lead_it():
    article = known("A-100", gtin=UPC)

    assert climb(Wanted("", "0" + UPC), [article]).article == article
    assert climb(Wanted("", "00" + UPC), [article]).article == article


@pytest.mark.parametrize("gtin", ["", "0", "0000000000000"])
def test_nothing_is_looked_for_without_a_number_and_a_gtin(gtin):
    assert climb(Wanted("", gtin), [known("", gtin=""), known("B", gtin="00000000")]) == model.UNKNOWN


_few = st.sampled_from(["A", "a", "B", "4711"])
_gtins = st.sampled_from(["", GTIN, OTHER_GTIN, UPC, "0" + UPC])
_catalogue = st.lists(st.tuples(_few, _gtins, st.booleans()), unique_by=lambda article: article[0], max_size=4)


@given(_catalogue, st.dictionaries(_few, st.integers(0, 3)), _few | st.just(""), _gtins)
def test_whatever_the_catalogue_nothing_contradictory_or_inactive_is_matched(entries, taught, number, gtin):
    catalogue = [known(number, gtin=gtin, is_active=active) for number, gtin, active in entries]
    lessons = {number: catalogue[place] for number, place in taught.items() if place < len(catalogue)}
    exact = next((article for article in catalogue if article.number == number), None)
    same_gtin = {article.pk for article in catalogue if gtin and model.gtin_key(article.gtin) == model.gtin_key(gtin)}

    found = climb(Wanted(number, gtin), catalogue, lessons)

    if found.how in ("learned", "article_number", "gtin"):
        assert found.article is not None
        assert found.article.is_active
        assert not same_gtin or found.article.pk in same_gtin
        assert found.how != "learned" or not (exact and exact.is_active and exact != found.article)
        assert found.how != "article_number" or found.article == exact
        assert found.how != "gtin" or (exact is None and number not in lessons)
    if found.how == "unknown":
        assert exact is None
        assert number not in lessons
        assert not same_gtin


_number_text = st.text(st.characters(min_codepoint=32, exclude_categories=["Cc", "Cs", "Cf"]), min_size=1, max_size=20).filter(str.strip)


@given(_number_text, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["", " ", "\t", "\u00a0 "]))
def test_a_number_is_the_same_in_every_unicode_form_and_with_spaces_around(number, form, space):
    written = space + unicodedata.normalize(form, number) + space

    assert plain(written) == plain(number)
    assert model.number_key(written) == model.number_key(number)


@pytest.mark.parametrize(("one", "other"), [("007", "7"), ("A-1", "a-1"), ("A-1", "A1"), ("A 1", "A  1"), ("A１", "A1")])
def test_leading_zeros_case_and_separators_make_another_number(one, other):
    assert climb(Wanted(plain(one)), [known(other)]) == model.UNKNOWN


@pytest.mark.parametrize("written", ["a-100", "A100", "A.100", "A/100", "A_100", " a 100 ", "Ａ１００", "A‑100", "A–100"])
def test_numbers_that_look_alike_share_a_key(written):
    assert model.number_key(written) == "a100"


@given(st.text("0123456789abc", min_size=2, max_size=6))
def test_a_slip_is_one_step_away(key):
    slips = model.slips(key)

    assert {OSA.distance(key, slip) for slip in slips} == {1}


def agreed(price, **more):
    open_ended: dict[str, Any] = {
        "article": 1,
        "from_quantity": Decimal(0),
        "valid_from": None,
        "valid_to": None,
        "price_quantity": Decimal(1),
        "currency": "NOK",
    }
    return Agreed(**open_ended | {"price": Decimal(price)} | more)


@pytest.mark.parametrize(
    ("quantity", "currency", "day", "expected"),
    [
        ("5", "NOK", "2026-06-01", ("11", "agreed")),
        ("100", "NOK", "2026-06-01", ("10", "agreed")),
        ("100", "NOK", "2026-12-31", ("9", "agreed")),
        ("100", "NOK", "2027-01-01", ("10", "agreed")),
        ("5", "EUR", "2026-06-01", None),
        ("5", "NOK", "2025-12-31", ("12.50", "list")),
    ],
)
def test_the_agreed_price_for_quantity_day_and_currency_comes_before_the_list(quantity, currency, day, expected):
    since, december, last = dt.date(2026, 1, 1), dt.date(2026, 12, 1), dt.date(2026, 12, 31)
    prices = [
        agreed("11", valid_from=since),
        agreed("10", valid_from=since, from_quantity=Decimal(100)),
        agreed("9", valid_from=december, valid_to=last, from_quantity=Decimal(100)),
        agreed("1", article=2),
    ]

    price = model.expected_price(known(pk=1), prices, Decimal(quantity), currency, dt.date.fromisoformat(day))

    assert (price and (str(price[0]), price[2])) == expected


async def test_lines_are_matched_in_their_order(db):
    await kept(db, "A-100", a_draft("B-200", gtin=GTIN), a_draft("C-300", is_active=False))

    found = await matched(db, "A-100", "a-100", " A-100 ", Wanted("", GTIN), "C-300", Wanted("A-100", GTIN), "", "A\x00")

    hows = ["article_number", "unknown", "article_number", "gtin", "inactive", "ambiguous", "unknown", "unknown"]
    assert [one.how for one in found] == hows


async def test_an_article_comes_back_as_it_was_kept(db):
    draft = a_draft(gtin=GTIN, price=Decimal("0.000001"), price_quantity=Decimal(1000), lead_time_days=5, minimum=Decimal("2.5"))

    article = (await kept(db, draft))["A-100"]

    assert store.keeping.as_draft(article) == draft


async def test_twenty_thousand_lines_are_matched_at_once(db):
    numbers = [f"A-{n:05}" for n in range(20_000)]
    await kept(db, *numbers[::2])

    found = await matched(db, *numbers)

    assert [one.how == "article_number" for one in found] == [True, False] * 10_000


async def test_an_article_not_offered_is_as_if_it_did_not_exist(db, buyer):
    articles = await kept(db, "A-100", a_draft("B-200", gtin=GTIN), "C-300")
    await db.write(store.offers.choose, buyer, [articles["A-100"].pk])
    await db.write(actions.learn, CONSOLE, partner=buyer, their_number="4711", article=articles["C-300"].pk)

    found = await matched(db, "A-100", "B-200", "4711", Wanted("A-100", GTIN), Wanted("", GTIN), partner=buyer, offers_all=False)

    assert [one.how for one in found] == ["article_number", "unknown", "unknown", "article_number", "unknown"]


async def test_what_a_partners_number_means_is_learned_for_that_partner_alone(db, buyer):
    other = await db.write(a_partner, name="Baltic Parts")
    article = (await kept(db, "A-100"))["A-100"]

    await db.write(actions.learn, CONSOLE, partner=buyer, their_number=" 4711 ", article=article.pk, their_unit="XBX", factor=Decimal(10))

    [found] = await matched(db, "4711", partner=buyer)
    assert found.learned == Learned(their_number="4711", article=article.pk, unit="XBX", factor=Decimal(10))
    assert (await matched(db, "4711", partner=other))[0].how == "unknown"


async def test_teaching_again_replaces_and_undoing_forgets(db, buyer):
    articles = await kept(db, "A-100", "B-200")
    first = await db.write(actions.learn, CONSOLE, partner=buyer, their_number="4711", article=articles["A-100"].pk)
    second = await db.write(actions.learn, CONSOLE, partner=buyer, their_number="4711", article=articles["B-200"].pk)
    again = await db.write(actions.learn, CONSOLE, partner=buyer, their_number="4711", article=articles["B-200"].pk)
    before = await matched(db, "4711", partner=buyer)

    await db.write(actions.undo, CONSOLE, second)

    assert (first != second, second == again, before[0].article.number) == (True, True, "B-200")
    assert (await matched(db, "4711", partner=buyer))[0].how == "unknown"
    with pytest.raises(errors.WrongState):
        await db.write(actions.undo, CONSOLE, first)


async def suggested(db, number, name="", gtin="", partner=None, offers_all=True):
    found = await db.read(store.suggesting.suggest, Wanted(plain(number), gtin), name, partner=partner, offers_all=offers_all)
    return [suggestion.article_number for suggestion in found]


@pytest.mark.parametrize("written", ["a-10400-x", "A10400X", "A-10400-Y", "A-10040-X", "A-1040-X", "B-10400-X", "10400-X", "A-10400"])
async def test_the_article_meant_is_among_three_suggestions(db, written):
    await kept(db, *(f"A-{n:05}-X" for n in range(0, 100_000, 400)))

    assert "A-10400-X" in await suggested(db, written)


async def test_a_difference_in_case_only_is_suggested_first(db):
    await kept(db, "AB-1", "AB1", "ab.1", "AB-11")

    assert (await suggested(db, "ab-1"))[0] == "AB-1"


async def test_a_name_is_suggested_where_the_number_says_nothing(db):
    await kept(db, a_draft("A-100", "Hex bolt M8x40"), a_draft("B-200", "Washer M8"))

    assert await suggested(db, "4711", "hex bolt m8 x 40, zinc") == ["A-100"]


async def test_what_is_retired_or_not_offered_is_never_suggested(db, buyer):
    articles = await kept(db, "A-100", "A-101", a_draft("A-102", is_active=False))
    await db.write(store.offers.choose, buyer, [articles["A-101"].pk, articles["A-102"].pk])

    assert await suggested(db, "A-10", partner=buyer, offers_all=False) == ["A-101"]


async def test_a_large_choice_is_looked_up_like_the_catalogue(db, buyer, monkeypatch):
    monkeypatch.setattr(store.offers, "FEW_OFFERED", 1)
    articles = await kept(db, "A-100", "A-101", "A-102")
    await db.write(store.offers.choose, buyer, [articles["A-101"].pk, articles["A-102"].pk])

    assert await suggested(db, "A-100", partner=buyer, offers_all=False) == ["A-101", "A-102"]


async def imported(db, text, **more):
    return await actions.import_articles(db, CONSOLE, text.encode() if isinstance(text, str) else text, **more)


async def test_a_list_of_articles_is_taken_in(db):
    text = HEADER + f'007,"Bolt, M8",stk,12.50,nok,{GTIN},yes\n A-1 ,Nut,H87,,,,no\n'

    result = await imported(db, text)

    articles = await db.read(store.finding.by_numbers, ["007", "A-1"])
    assert (result.created, result.issues) == (2, [])
    assert store.keeping.as_draft(articles["007"]) == a_draft("007", "Bolt, M8", gtin=GTIN)
    assert store.keeping.as_draft(articles["A-1"]) == Draft(number="A-1", name="Nut", unit="H87", is_active=False)


BAD_ROWS = [
    (",Bolt,H87,1,NOK,,", "number", "article_number_missing"),
    ("A-1,,H87,1,NOK,,", "name", "name_missing"),
    ("A-2,Bolt,Dings,1,NOK,,", "unit", "unit_unknown"),
    ("A-3,Bolt,H87,twelve,NOK,,", "price", "not_a_number"),
    ("A-4,Bolt,H87,-1,NOK,,", "price", "price_negative"),
    ("A-5,Bolt,H87,1,XYZ,,", "currency", "currency_unknown"),
    ("A-6,Bolt,H87,1,,,", "currency", "currency_missing"),
    ("A-7,Bolt,H87,1,NOK,4006381333932,", "gtin", "gtin_invalid"),
    ("A-8,Bolt,H87,1,NOK,00000000,", "gtin", "gtin_invalid"),
    ("A-9,Bolt,H87,1,NOK,,perhaps", "active", "not_yes_or_no"),
    ("GOOD,Bolt,H87,1,NOK,,", "number", "number_twice"),
    ("A" * 81 + ",Bolt,H87,1,NOK,,", "number", "text_too_long"),
    ("A-10,Bolt,H87,1234567890123,NOK,,", "price", "number_out_of_range"),
]


async def test_every_bad_row_is_listed_and_nothing_is_stored(db):
    text = HEADER + "GOOD,Bolt,H87,1,NOK,,\n" + "".join(f"{row}\n" for row, _, _ in BAD_ROWS)

    with pytest.raises(errors.BadFile) as refused:
        await imported(db, text)

    told = [(issue.pointer, issue.code) for issue in refused.value.issues]
    assert told == [(f"/rows/{place}/{column}", code) for place, (_, column, code) in enumerate(BAD_ROWS, 3)]
    assert await db.read(store.feed.newest) == 0


async def test_the_good_rows_are_taken_when_that_is_asked_for(db):
    text = HEADER + "GOOD,Bolt,H87,1,NOK,,\n" + "".join(f"{row}\n" for row, _, _ in BAD_ROWS) + "GOOD-2,Bolt,H87,1,NOK,,\n"

    result = await imported(db, text, take_good=True)

    assert (result.created, result.refused, len(result.issues)) == (2, len(BAD_ROWS), len(BAD_ROWS))
    assert list(await db.read(store.finding.by_numbers, ["GOOD", "GOOD-2", "A-3"])) == ["GOOD", "GOOD-2"]


async def test_a_number_cell_of_a_workbook_is_a_bad_row(db):
    book = write_xlsx(["number", "name"], [[Decimal(7), "Bolt"]])

    with pytest.raises(errors.BadFile) as refused:
        await imported(db, book)

    assert [issue.code for issue in refused.value.issues] == ["format_as_text"]


async def test_importing_the_same_list_again_changes_nothing(db):
    text = HEADER + "A-1,Bolt,H87,1.50,NOK,,\nA-2,Nut,H87,2,NOK,,\n"
    await imported(db, text)
    before = await db.read(store.feed.changed_since, 0, 10)

    result = await imported(db, text.replace("1.50", "1.5"))

    assert (result.created, result.changed, result.unchanged) == (0, 0, 2)
    assert await db.read(store.feed.changed_since, 0, 10) == before


async def test_a_column_that_is_absent_leaves_articles_as_they_are(db):
    await kept(db, a_draft("A-1", gtin=GTIN))

    await imported(db, "number,price,currency\nA-1,99,NOK\n")

    assert store.keeping.as_draft((await db.read(store.finding.by_numbers, ["A-1"]))["A-1"]) == a_draft("A-1", gtin=GTIN, price=Decimal(99))


async def test_a_new_article_needs_a_name(db):
    with pytest.raises(errors.BadFile) as refused:
        await imported(db, "number,price,currency\nA-1,99,NOK\n")

    assert [issue.code for issue in refused.value.issues] == ["name_missing"]


async def test_a_list_sets_the_numbers_articles_have_at_suppliers(db):
    fjord, baltic = await db.write(a_partner, name="Fjord"), await db.write(a_partner, name="Baltic")
    articles = await kept(db, "A-1", "A-2")

    await imported(db, "number,supplier,supplier_article_number\nA-1,Fjord,F/1\nA-1,Baltic,B 1\nA-2,Fjord,F/1\n")

    keys = [articles["A-1"].pk, articles["A-2"].pk]
    assert await db.read(store.supplier_numbers.numbers_at, fjord, keys) == dict.fromkeys(keys, "F/1")
    assert await db.read(store.supplier_numbers.numbers_at, baltic, keys) == {keys[0]: "B 1"}


async def test_a_supplier_nobody_knows_or_two_bear_the_name_of_is_a_bad_row(db):
    await db.write(a_partner, name="Fjord")
    await db.write(a_partner, name="Fjord")

    with pytest.raises(errors.BadFile) as refused:
        await imported(db, "number,name,supplier,supplier_article_number\nA-1,Bolt,Fjord,F\nA-2,Bolt,Nobody,N\nA-3,Bolt,,N\n")

    assert [issue.code for issue in refused.value.issues] == ["partner_ambiguous", "partner_unknown", "supplier_incomplete"]


async def test_agreed_prices_are_imported_and_replaced(db, buyer):
    article = (await kept(db, "A-100"))["A-100"]
    header = "partner;article_number;price;currency;from_quantity;valid_from\n"
    await actions.import_agreed_prices(db, CONSOLE, f"{header}Nordlys Mekaniske AS;A-100;1,50;NOK;0;2026-01-01\n".encode())

    result = await actions.import_agreed_prices(
        db, CONSOLE, f"{header}Nordlys Mekaniske AS;A-100;1,40;NOK;0;2026-01-01\nNordlys Mekaniske AS;A-100;1;NOK;100;\n".encode()
    )

    prices = (await db.read(store.prices.agreed, buyer, [article.pk]))[article.pk]
    assert (result.created, result.changed) == (1, 1)
    assert sorted((str(price.from_quantity), str(price.price)) for price in prices) == [("0", "1.4"), ("100", "1")]


async def test_every_bad_row_of_agreed_prices_is_listed(db, buyer):
    await kept(db, "A-100")
    header = "partner,article_number,price,currency,valid_from,valid_to\n"
    text = (
        "Nobody,A-100,1,NOK,,\nNordlys Mekaniske AS,A-999,1,NOK,,\nNordlys Mekaniske AS,A-100,,NOK,,\n"
        "Nordlys Mekaniske AS,A-100,1,kroner,,\nNordlys Mekaniske AS,A-100,1,NOK,2026-02-01,2026-01-01\n"
        "Nordlys Mekaniske AS,A-100,1,NOK,1.2.2026,\nNordlys Mekaniske AS,A-100,1,NOK,,\nNordlys Mekaniske AS,A-100,2,NOK,,\n"
    )

    with pytest.raises(errors.BadFile) as refused:
        await actions.import_agreed_prices(db, CONSOLE, (header + text).encode())

    codes = ["partner_unknown", "article_unknown", "price_missing", "currency_unknown", "dates_reversed", "date_invalid", "price_twice"]
    assert [issue.code for issue in refused.value.issues] == codes


async def test_a_reader_of_the_feed_misses_no_change_however_many_write(db):
    numbers = [f"A-{n}" for n in range(60)]
    seen, place, writing = {}, 0, True

    async def write(mine, price):
        for number in mine:
            await db.write(store.keeping.save_many, [a_draft(number, price=Decimal(price))])

    async def read():
        nonlocal place
        while True:
            last_round = not writing
            for article in await db.read(store.feed.changed_since, place, 7):
                seen[article.number], place = article.price, article.position
            if last_round and place == await db.read(store.feed.newest):
                return
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(numbers[first::4], 1) for first in range(4)), *(write(numbers[first::3], 2) for first in range(3)))
    writing = False
    await reader

    assert seen == {article.number: article.price for article in (await db.read(store.finding.by_numbers, numbers)).values()}


async def test_a_change_moves_an_article_to_the_end_of_the_feed(shop, house):
    await kept(shop.db, "A-1", "A-2", "A-3")
    first, cursor = await the_feed(house)

    await kept(shop.db, a_draft("A-1", price=Decimal(99)), "A-2")

    later, end = await the_feed(house, cursor)
    assert [article["number"] for article in first] == ["A-1", "A-2", "A-3"]
    assert [(article["number"], article["price"]) for article in later] == [("A-1", "99")]
    assert await the_feed(house, end) == ([], end)


async def test_a_partner_sees_a_retired_article_by_its_number_alone(shop, partner):
    article = (await kept(shop.db, "A-1"))["A-1"]
    await shop.db.write(actions.change, CONSOLE, article, a_draft("A-1", is_active=False))

    items, _ = await the_feed(partner)

    assert items == [{"id": article.id, "number": "A-1", "is_active": False}]


async def test_a_partner_sees_prices_only_where_they_are_shown(shop, partner, buyer):
    article = (await kept(shop.db, "A-1"))["A-1"]
    open_prices, cursor = await the_feed(partner)
    tag = (await partner.get(f"/articles/{article.id}")).headers["ETag"]
    await shop.db.write(lambda tx: tx.execute(update(partners).where(partners.c.pk == buyer).values(show_prices=False)))

    [hidden], _ = await the_feed(partner)

    assert (open_prices[0]["price"], "price" in hidden, "currency" in hidden) == ("12.5", False, False)
    assert (await partner.get("/articles", params={"after": cursor})).status_code == 410
    assert (await partner.get(f"/articles/{article.id}", headers={"If-None-Match": tag})).status_code == 200


async def test_a_partner_sees_only_the_articles_chosen_for_it(shop, house, partner, buyer, monkeypatch):
    articles = await kept(shop.db, "A-1", "A-2", "A-3")
    partner_id = await shop.db.write(
        lambda tx: tx.execute(update(partners).where(partners.c.pk == buyer).values(offers="chosen").returning(partners.c.id)).scalar_one()
    )
    await house.put(f"/partners/{partner_id}/articles", json={"numbers": ["A-3", "A-1"]})
    items, cursor = await the_feed(partner)
    monkeypatch.setattr(store.offers, "FEW_OFFERED", 1)
    monkeypatch.setattr(store.feed, "_WINDOW", 1)

    assert [article["number"] for article in items] == ["A-1", "A-3"]
    assert (await the_feed(partner))[0] == items
    assert (await the_feed(partner, number="A-2"))[0] == []
    assert (await partner.get(f"/articles/{articles['A-2'].id}")).status_code == 404
    assert (await house.put(f"/partners/{partner_id}/articles", json={"numbers": ["A-3"]})).json() == {"count": 1}
    assert (await partner.get("/articles", params={"after": cursor})).json()["code"] == "cursor_gone"


async def test_a_cursor_of_another_life_is_gone(shop, house):
    await kept(shop.db, "A-1")
    _, cursor = await the_feed(house)
    await shop.db.write(lambda tx: tx.execute(update(companies).values(epoch="e2")))

    answer = await house.get("/articles", params={"after": cursor})

    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_gone")


async def test_the_house_looks_articles_up(shop, house):
    await kept(
        shop.db, a_draft("A-100", "Hex bolt", gtin=UPC), a_draft("A-200", "Washer"), a_draft("B-300", "a-1 rated bolt", is_active=False)
    )

    async def numbers(**query):
        return [article["number"] for article in (await the_feed(house, **query))[0]]

    assert await numbers(number="A-100 ") == ["A-100"]
    assert await numbers(gtin="00" + UPC) == ["A-100"]
    assert await numbers(q="a1") == ["A-100"]
    assert await numbers(q="a-1") == ["A-100", "B-300"]
    assert await numbers(q="WASH") == ["A-200"]
    assert await numbers(active=False) == ["B-300"]


async def test_a_search_goes_on_page_by_page(shop, house):
    expected = sorted(f"BOLT-{n:02}" for n in range(5)) + [f"X-{n}" for n in range(5)]
    await kept(shop.db, *(a_draft(f"BOLT-{n:02}", "Washer") for n in range(5)), *(a_draft(f"X-{n}", f"Bolt M{n}") for n in range(5)))

    found, after = [], None
    while True:
        answer = (await house.get("/articles", params={"q": "bolt", "limit": 3} | ({"after": after} if after else {}))).json()
        found += [article["number"] for article in answer["items"]]
        after = answer["next"]
        if after is None:
            break

    assert found == expected


async def test_a_partner_asks_what_numbers_mean(shop, partner):
    await kept(shop.db, "A-100", a_draft("B-200", is_active=False))

    answer = await partner.post("/articles/match", json={"numbers": ["A-100", "a-100", "B-200", ""]})

    items = answer.json()["items"]
    assert [item["how"] for item in items] == ["article_number", "unknown", "inactive", "unknown"]
    assert [suggestion["article_number"] for suggestion in items[1]["suggestions"]] == ["A-100"]
    assert items[2]["article"].keys() == {"id", "number", "is_active"}


async def test_an_article_is_made_read_and_changed_over_the_api(house):
    form = {"number": "A/100 ", "name": "Bolt", "unit": "stk", "price": "12.50", "currency": "NOK"}
    made = await house.post("/articles", json=form)
    where = made.headers["Location"].removeprefix("/api/v1")

    stale = await house.put(where, json=form, headers={"If-Match": '"other"'})
    changed = await house.put(where, json=form | {"price": "13"}, headers={"If-Match": made.headers["ETag"]})

    assert (made.status_code, made.json()["number"], made.json()["unit"]) == (201, "A/100", "H87")
    assert (stale.status_code, stale.headers["ETag"]) == (412, made.headers["ETag"])
    assert (changed.status_code, changed.json()["price"]) == (200, "13")
    assert (await house.get(where)).headers["ETag"] == changed.headers["ETag"] != made.headers["ETag"]


async def test_a_number_is_given_once(house):
    one = await house.post("/articles", json={"number": "A-1", "name": "Bolt"})
    two = await house.post("/articles", json={"number": "A-2", "name": "Bolt"})

    again = await house.post("/articles", json={"number": "A-1 ", "name": "Bolt"})
    renamed = await house.put(
        two.headers["Location"].removeprefix("/api/v1"), json={"number": "A-1", "name": "Bolt"}, headers={"If-Match": two.headers["ETag"]}
    )

    assert (one.status_code, again.status_code, renamed.status_code) == (201, 409, 409)


async def test_every_fault_of_an_article_is_told_at_once(house):
    answer = await house.post("/articles", json={"number": "A\t1", "name": " ", "unit": "Dings", "gtin": "1", "price": "1"})

    told = {(issue["pointer"], issue["code"]) for issue in answer.json()["issues"]}
    assert answer.status_code == 422
    assert told == {
        ("/number", "control_character"),
        ("/name", "name_missing"),
        ("/unit", "unit_unknown"),
        ("/gtin", "gtin_invalid"),
        ("/currency", "currency_missing"),
    }


async def test_a_file_is_imported_over_the_api(shop, house):
    bad = await house.post("/articles/import", content=(HEADER + "A-1,Bolt,Dings,1,NOK,,\n").encode(), headers={"Content-Type": "text/csv"})
    good = await house.post("/articles/import", content=(HEADER + "A-1,Bolt,H87,1,NOK,,\n").encode(), headers={"Content-Type": "text/csv"})

    assert (bad.status_code, bad.json()["code"], bad.json()["issues"][0]["pointer"]) == (422, "bad_file", "/rows/2/unit")
    assert (good.status_code, good.json()["created"]) == (200, 1)
    assert len(await shop.logged("articles.imported")) == 1


async def test_agreed_prices_are_made_listed_and_taken_back(shop, house, buyer):
    await kept(shop.db, "A-100", "B-200")
    partner_id = await shop.db.read(lambda tx: tx.execute(select(partners.c.id)).scalar_one())
    form = {"partner": partner_id, "article_number": "A-100", "price": "11.50", "currency": "NOK", "from_quantity": "0"}
    made = await house.post("/agreed-prices", json=form)

    again = await house.post("/agreed-prices", json=form | {"price": "1"})
    other = await house.post("/agreed-prices", json=form | {"article_number": "B-200", "valid_from": "2026-01-01"})
    negative = await house.post("/agreed-prices", json=form | {"from_quantity": "-1"})
    first = (await house.get("/agreed-prices", params={"partner": partner_id, "limit": 1})).json()
    rest = (await house.get("/agreed-prices", params={"partner": partner_id, "limit": 1, "after": first["next"]})).json()

    assert (made.status_code, again.status_code, other.status_code, negative.status_code) == (201, 409, 201, 422)
    assert [first["items"][0]["id"], rest["items"][0]["id"], rest["next"]] == [made.json()["id"], other.json()["id"], None]
    assert [(await house.delete(f"/agreed-prices/{made.json()['id']}")).status_code for _ in range(2)] == [204, 404]


async def test_supplier_numbers_are_set_over_the_api(shop, house, buyer):
    article = (await kept(shop.db, "A-100"))["A-100"]
    partner_id = await shop.db.read(lambda tx: tx.execute(select(partners.c.id)).scalar_one())
    path = f"/articles/{article.id}/supplier-numbers"

    await house.put(path, json={"numbers": [{"supplier": partner_id, "number": " F-1 "}]})

    assert [place["number"] for place in (await house.get(path)).json()["items"]] == ["F-1"]
    assert (await house.put(path, json={"numbers": [{"supplier": "pa_none", "number": "F"}]})).status_code == 422
    assert (await house.put(path, json={"numbers": []})).json()["items"] == []


async def test_a_learned_mapping_is_listed_and_undone(shop, house, buyer):
    article = (await kept(shop.db, "A-100"))["A-100"]
    learned = await shop.db.write(actions.learn, CONSOLE, partner=buyer, their_number="4711", article=article.pk)
    partner_id = await shop.db.read(lambda tx: tx.execute(select(partners.c.id)).scalar_one())
    [listed] = (await house.get("/mappings", params={"partner": partner_id})).json()["items"]

    undone = await house.post(f"/mappings/{learned}/undo")

    assert (listed["id"], listed["their_number"], listed["article_number"]) == (learned, "4711", "A-100")
    assert (undone.status_code, "undone_at" in undone.json()) == (200, True)
    assert (await house.get("/mappings", params={"partner": partner_id})).json()["items"] == []
    assert (await house.post(f"/mappings/{learned}/undo")).status_code == 409


async def test_the_history_of_a_number_says_who_taught_and_who_undid(shop, house, buyer):
    articles = await kept(shop.db, "A-100", "B-200")
    for author, number in (("Kari", "A-100"), ("Ola", "B-200")):
        caller = Caller(token="tk_1", name=author, scopes=frozenset(Scope))
        await shop.db.write(actions.learn, caller, partner=buyer, their_number="4711", article=articles[number].pk)
    partner_id = await shop.db.read(lambda tx: tx.execute(select(partners.c.id)).scalar_one())

    told = (await house.get("/mappings", params={"partner": partner_id, "their_number": "4711"})).json()["items"]
    holding = (await house.get("/mappings", params={"partner": partner_id, "q": "47"})).json()["items"]
    elsewhere = (await house.get("/mappings", params={"partner": partner_id, "q": "48"})).json()["items"]

    assert [(one["article_number"], one["author"], one.get("undone_by")) for one in told] == [
        ("A-100", "Kari", "Ola"),
        ("B-200", "Ola", None),
    ]
    assert ([one["article_number"] for one in holding], elsewhere) == (["B-200"], [])
    assert (await house.get("/mappings", params={"q": "47"})).status_code == 422


async def test_undoing_says_which_open_drafts_it_had_matched_and_leaves_them(shop, house, buyer):
    article = (await kept(shop.db, "A-100"))["A-100"]
    learned = await shop.db.write(actions.learn, CONSOLE, partner=buyer, their_number="4711", article=article.pk)

    def drafts(tx: Tx) -> None:
        states = {"delivery": "received", "validation": "clean", "fulfilment": "none", "contact_how": "none", "document": "{}"}
        for number, acceptance in (("PO-1", "open"), ("PO-2", "open"), ("PO-3", "approved")):
            row = states | {"id": f"sd_{number}", "partner": buyer, "number": number, "revision": 1, "acceptance": acceptance, "digest": ""}
            row |= {"date": now().date(), "currency": "NOK", "net": Decimal(1), "buyer_key": "", "receipt": "{}", "received_at": now()}
            key = tx.execute(insert(sales_orders).values(row).returning(sales_orders.c.pk)).scalar_one()
            line = {"order": key, "article": article.pk, "how": "learned", "article_number": "4711"}
            tx.execute(insert(sales_lines), [line | {"position": at, "line_id": str(at)} for at in (1, 2)])

    await shop.db.write(drafts)

    read = (await house.get(f"/mappings/{learned}")).json()
    undone = (await house.post(f"/mappings/{learned}/undo")).json()

    assert (read["open_drafts"], undone["open_drafts"], undone["undone_by"]) == (2, 2, "ops")
    assert "4 lines of 2 open drafts were matched by it and stay as they are" in undone["effect"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/articles"), ("POST", "/articles/import"), ("GET", "/agreed-prices"), ("GET", "/mappings"), ("PUT", "/articles/ar_1")],
)
async def test_a_partner_does_not_find_the_doors_of_the_house(partner, method, path):
    assert (await partner.request(method, path, json={})).status_code == 404


async def test_the_house_reads_its_catalogue_whatever_is_switched_on(shop, house, partner):
    from prodsys.modules import store as modules
    from prodsys.scopes import PRODSYS_MODULE

    await shop.db.write(modules.set_on, PRODSYS_MODULE, False, "test")
    await shop.switchboard.refresh()

    assert (await house.get("/articles")).status_code == 200
    assert (await partner.get("/articles")).json()["code"] == "module_off"


async def test_who_changed_what_is_logged(db):
    article = await db.write(actions.create, CONSOLE, a_draft())

    await db.write(actions.change, CONSOLE, article, a_draft(price=Decimal(13)))

    said = await db.read(lambda tx: tx.execute(select(log_entries.c.message).order_by(log_entries.c.pk)).scalars().all())
    assert said[-1] == "console changed article A-100: price 12.5 → 13."


# Few rows are read whole where there can only be few: our one company, and partners.
READ_WHOLE = {"_epoch", "_partners_named", "_every_number", "_suppliers_of"}
# What is sorted here has been cut down by an index before, to one article's or one request's worth.
SORTED = {"_by_gtin", "_by_gtin_offered", "_feed_few", "_every_number", "_prices_for"}


async def test_no_question_reads_a_table_whole(db):
    if db.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by how many rows there are, and an empty table it always reads whole.")
    questions = {
        name: hot
        for kept in store.__all__
        for name, hot in vars(getattr(store, kept)).items()
        if isinstance(hot, Hot) and not isinstance(hot._statement, Insert)
    }
    around = {
        f"{name}{place}": hot
        for name in ("_around_number", "_around_end", "_around_name")
        for place, hot in enumerate(getattr(store.suggesting, name))
    }

    def plan(tx, hot):
        form = hot._form(tx, {})
        cursor = tx.connection.dbapi_connection.execute("EXPLAIN QUERY PLAN " + form.sql, [None] * form.sql.count("?"))
        return [str(row[3]) for row in cursor.fetchall()]

    for name, hot in (questions | around).items():
        steps = await db.read(plan, hot)
        scans = [step for step in steps if step.startswith("SCAN") and "json_each" not in step and "CONSTANT" not in step]
        scans = [step for step in scans if name != "_newest" or "INDEX articles_position" not in step]
        assert not scans or name in READ_WHOLE, (name, steps)
        assert name in SORTED or not any("TEMP B-TREE FOR ORDER" in step for step in steps), (name, steps)


async def test_an_article_keeps_the_keys_it_is_searched_by(db):
    await kept(db, "A-100")
    await db.write(
        actions.change, CONSOLE, (await db.read(store.finding.by_numbers, ["A-100"]))["A-100"], a_draft("B.200", "Nut M6", price=None)
    )

    row = await db.read(lambda tx: tx.execute(select(rows)).one())

    assert (row.number_key, row.number_reverse, row.name_key, row.version) == ("b200", "002b", "nut m6", 2)
    assert row.changed_at <= now()
