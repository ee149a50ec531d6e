"""The order desk: each order is taken once, every fault is said at once, and nothing is approved that nobody has understood."""

import asyncio
import datetime as dt
import inspect
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
import time_machine
from sqlalchemy import func, select

from prodsys import errors
from prodsys.articles import actions as article_actions
from prodsys.articles import store as articles
from prodsys.company import actions as company
from prodsys.documents import Order, write
from prodsys.exchange.courier import Courier
from prodsys.exchange.engine import Placed, Refused
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.logs import store as logs
from prodsys.partners import store as partners
from prodsys.sales import actions as sales
from prodsys.sales import answers as answering
from prodsys.sales import api, desk, examining, receiving, store
from prodsys.sales.books import Books
from prodsys.sales.feed import AnswerKind
from prodsys.sales.model import Draft, News
from prodsys.scopes import Scope
from prodsys.tables import contacts, log_entries, sales_lines, sales_orders
from tests.rooms.doors import company_of
from tests.rooms.makers import (
    A_BUYER,
    DESK,
    OURS,
    Supplier,
    a_caller,
    a_contact,
    a_line,
    a_partner,
    a_supplier,
    an_agreed_price,
    an_arrival,
    an_article,
    an_order,
    asked_of,
    codes,
    goes_by_index,
    logged,
    placed,
    plans_of,
    refused,
    some_articles,
    turned,
    wire_order,
)

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
UNDO = dt.timedelta(seconds=10)
GTIN, OTHER_GTIN = "4006381333931", "5901234123457"

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def publish_answer(tx: Tx, order_id: str) -> None:
    """Let the feed tell how an order stands, without waiting for the courier."""
    row = store.orders.draft(tx, order_id)
    assert row is not None
    store.told.publish(tx, row, News(kind=f"order.{row.acceptance}", acceptance=row.acceptance))


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
async def supplier(db: Database) -> Supplier:
    return await a_supplier(db)


@pytest.fixture
async def holding(db: Database) -> Supplier:
    """A supplier who would rather look at unknown articles himself."""
    return await a_supplier(db, when_unknown="hold")


async def seen(db: Database, order_id: str) -> Draft:
    return await db.read(sales.whole, order_id)


async def etag_of(db: Database, order_id: str) -> str:
    return (await seen(db, order_id)).summary.etag


async def approved(db: Database, order_id: str) -> Draft:
    return await db.write(answering.approve, DESK, order_id, await etag_of(db, order_id), undo=UNDO)


async def count(db: Database, table: Any) -> int:
    return await db.read(lambda tx: int(tx.execute(select(func.count()).select_from(table)).scalar_one()))


async def leave(db: Database) -> None:
    """Let every answer leave whose time has come."""
    await turned(Courier(db, {"answer": AnswerKind()}, "test", lambda *_: None, alone=True))


async def feed(supplier: Supplier, after: int = 0) -> list[tuple[int, str, str]]:
    changes = await supplier.db.read(store.told.changes, supplier.partner, after, 500)
    return [(change.position, change.kind, change.number) for change in changes]


async def test_an_order_becomes_a_draft_exactly_as_it_was_sent(supplier):
    order = an_order(
        "PO/2026 47",
        lines=[
            a_line("10", quantity="1200.00", unit="stk", price_quantity="100", note="Ståltråd – 5 µm"),
            {"line_id": "20", "kind": "text", "description": "Please call first"},
        ],
        charges=[{"description": "Freight", "amount": "150.00"}],
        note="Første ordre",
    )

    draft = await seen(supplier.db, await supplier.a_draft(order))

    assert draft.order == order
    assert write(draft.order) == write(order)
    assert [line.line for line in draft.lines] == order.lines
    assert [(line.how, line.article_number, line.net) for line in draft.lines] == [
        ("article_number", "A-100", Decimal("1554.00")),
        ("text", "", None),
    ]
    assert (draft.summary.net, draft.summary.acceptance, draft.summary.delivery) == (Decimal("1704.00"), "open", "received")
    assert draft.summary.order_number is None


async def test_a_receipt_tells_what_became_of_the_order_and_its_lines(supplier):
    await supplier.db.write(lambda tx: partners.link_contact(tx, supplier.partner, a_contact(tx)))

    [outcome] = await supplier.receive(an_order())

    receipt = store.orders.read_receipt(placed(outcome).answer)
    assert (receipt.id, receipt.new, receipt.validation, receipt.issues) == (placed(outcome).id, True, "clean", [])
    assert (receipt.contact.how, receipt.epoch) == ("partner_link", (await supplier.db.read(company.card)).epoch)
    assert [(line.line_id, line.article_number, line.how) for line in receipt.lines] == [("10", "A-100", "article_number")]
    [entry] = await logged(supplier.db, "order.received")
    assert (entry.trace_id, entry.subject, entry.number, entry.direction) == (receipt.trace_id, receipt.id, "PO-1", "in")


async def test_every_code_comes_with_its_place_in_the_order(supplier, clock):
    def catalogue(tx: Tx) -> None:
        known = some_articles(
            tx,
            an_article("A-OLD", is_active=False),
            an_article("A-GTIN", gtin=GTIN),
            an_article("A-OTHER", gtin=OTHER_GTIN),
            an_article("A-RULES", minimum=Decimal(10), multiple=Decimal(5), lead_time_days=30),
            an_article("A-EURO", currency="EUR"),
            an_article("A-NO-PRICE", price=None, currency=""),
            "A-TAUGHT",
        )
        article_actions.learn(tx, DESK, partner=supplier.partner, their_number="A-TAUGHT", article=known["A-GTIN"].pk)

    await supplier.db.write(catalogue)
    bare = {"line_id": "10"}
    dear = a_line(article="A-NO-PRICE", quantity="2", unit_price="500000000000")
    soon = a_line(article="A-RULES", quantity="10", requested_date="2026-12-01")
    orders: dict[str, tuple[str, bool, dict[str, Any]]] = {
        "order_number_missing": ("/number", True, {"number": " "}),
        "currency_unknown": ("/currency", True, {"currency": "KRO", "lines": [a_line(article="A-NO-PRICE")]}),
        "requested_date_past": ("/requested_date", False, {"requested_date": "2026-11-20"}),
        "country_unknown": ("/deliver_to/address/country", False, {"deliver_to": {"address": {"country": "XX"}}}),
        "line_id_missing": ("/lines/0/line_id", True, {"lines": [a_line(" ")]}),
        "line_id_duplicate": ("/lines/1/line_id", True, {"lines": [a_line("10"), a_line("10 ", "A-200")]}),
        "amount_too_large": ("/lines/0/unit_price", True, {"lines": [dear]}),
        "quantity_missing": ("/lines/0/quantity", True, {"lines": [bare | {"article_number": "A-100", "unit": "H87"}]}),
        "unit_missing": ("/lines/0/unit", True, {"lines": [a_line(unit="")]}),
        "unit_unknown": ("/lines/0/unit", True, {"lines": [a_line(unit="bøtte")]}),
        "article_missing": ("/lines/1/article_number", True, {"lines": [a_line(), a_line("20", " ")]}),
        "article_unknown": ("/lines/0/article_number", True, {"lines": [a_line(article="A-999")]}),
        "article_inactive": ("/lines/0/article_number", True, {"lines": [a_line(article="A-OLD")]}),
        "article_ambiguous": ("/lines/0/article_number", True, {"lines": [a_line(article="A-TAUGHT")]}),
        "gtin_mismatch": ("/lines/0/gtin", True, {"lines": [a_line(article="A-GTIN", gtin=OTHER_GTIN)]}),
        "gtin_differs": ("/lines/0/gtin", False, {"lines": [a_line(article="A-GTIN", gtin="96385074")]}),
        "unit_differs": ("/lines/0/unit", False, {"lines": [a_line(unit="kg")]}),
        "currency_differs": ("/lines/0/unit_price", False, {"lines": [a_line(article="A-EURO")]}),
        "price_differs": ("/lines/0/unit_price", False, {"lines": [a_line(unit_price="129.51")]}),
        "minimum_not_met": ("/lines/0/quantity", False, {"lines": [a_line(article="A-RULES", quantity="5")]}),
        "multiple_not_met": ("/lines/0/quantity", False, {"lines": [a_line(article="A-RULES", quantity="12")]}),
        "text_line_priced": ("/lines/1/unit_price", False, {"lines": [a_line(), a_line("20", "", kind="text", description="Zinc")]}),
        "lead_time_short": ("/lines/0/requested_date", False, {"lines": [soon]}),
    }  # fmt: skip
    assert set(orders) == set(re.findall(r'(?:_issue\(\s*|code=)"([a-z_]+)"', inspect.getsource(examining)))
    await supplier.a_draft(an_order("the first, which makes the contact"))

    outcomes = await supplier.receive(*(an_order(**({"number": code} | more)) for code, (_, _, more) in orders.items()))

    for (code, (pointer, blocks, _)), outcome in zip(orders.items(), outcomes, strict=True):
        issues = outcome.issues if isinstance(outcome, Refused) else store.orders.read_receipt(placed(outcome).answer).issues
        assert [(issue.code, issue.pointer, issue.blocks) for issue in issues] == [(code, pointer, blocks)]
        assert isinstance(outcome, Refused) == blocks
        [issue] = issues
        assert issue.message.endswith((".", ")."))
        assert all(value in issue.message for value in issue.params.values() if code != "price_differs")


async def test_all_bad_lines_are_told_at_once_and_nothing_is_stored_but_the_log(supplier):
    order = an_order(lines=[a_line("10", "A-998"), a_line("20"), a_line("30", "A-999", unit="bøtte", quantity="1")], currency="KRO")

    [outcome] = await supplier.receive(order)

    no = refused(outcome)
    assert (no.code, no.status) == ("order_refused", 422)
    assert {(issue.code, issue.pointer) for issue in no.issues if issue.blocks} == {
        ("currency_unknown", "/currency"),
        ("article_unknown", "/lines/0/article_number"),
        ("unit_unknown", "/lines/2/unit"),
        ("article_unknown", "/lines/2/article_number"),
    }
    assert [await count(supplier.db, table) for table in (sales_orders, sales_lines, contacts)] == [0, 0, 0]
    [entry] = await logged(supplier.db)
    assert (entry.code, entry.level, entry.number) == ("order.refused", "error", "PO-1")
    assert len(store.orders.read_issues(entry.issues)) == len(no.issues)


async def test_a_refused_order_that_is_mended_is_taken_under_the_same_number_and_revision(supplier):
    [no] = await supplier.receive(an_order(article="A-999"))
    [yes] = await supplier.receive(an_order(article="A-100"))

    assert isinstance(no, Refused)
    assert placed(yes).new


async def test_hold_keeps_an_order_with_its_unclear_lines_marked(holding):
    order_id = await holding.a_draft(an_order(lines=[a_line("10"), a_line("20", "A-999")]))

    draft = await seen(holding.db, order_id)
    assert [(line.how, line.article_number) for line in draft.lines] == [("article_number", "A-100"), ("unknown", "")]
    assert [(issue.code, issue.pointer, issue.blocks) for issue in draft.issues if issue.code.startswith("article")] == [
        ("article_unknown", "/lines/1/article_number", False)
    ]
    assert draft.summary.validation == "issues"


async def test_hold_holds_back_no_other_fault(holding):
    [outcome] = await holding.receive(an_order(lines=[a_line("10", "A-999", unit="bøtte")]))

    assert "unit_unknown" in codes(outcome)


async def test_nothing_is_approved_while_a_line_is_marked(holding):
    order_id = await holding.a_draft(an_order(lines=[a_line("10"), a_line("20", "A-999")]))

    with pytest.raises(errors.WrongState, match=r"20 have no article"):
        await approved(holding.db, order_id)

    assert (await seen(holding.db, order_id)).summary.acceptance == "open"
    assert await holding.db.write(answering.reject, DESK, order_id, await etag_of(holding.db, order_id), "We cannot make it.", undo=UNDO)


async def test_which_article_was_meant_is_remembered_for_this_partner_only(holding):
    other = await holding.db.write(a_partner, "Sørlys", when_unknown="hold")
    order_id = await holding.a_draft(an_order(article="A-999"))
    meant = holding.articles["A-200"].id

    draft = await holding.db.write(sales.say_which, DESK, order_id, await etag_of(holding.db, order_id), "10", meant)

    assert (draft.lines[0].how, draft.lines[0].article_number) == ("learned", "A-200")
    assert not any(issue.pointer == "/lines/0/article_number" for issue in draft.issues)
    assert (await approved(holding.db, order_id)).summary.order_number == "SO-100001"
    next_order = await seen(holding.db, await holding.a_draft(an_order("PO-2", article=" A-999 ")))
    assert (next_order.lines[0].how, next_order.lines[0].article_number) == ("learned", "A-200")
    card = {"name": "Sørlys AS", "organisation_number": "974760673"}
    elsewhere = await seen(holding.db, await holding.a_draft(an_order("PO-3", article="A-999", buyer=card), partner=other))
    assert elsewhere.lines[0].how == "unknown"


async def test_a_line_whose_article_a_person_named_is_compared_like_any_other(holding):
    await holding.db.write(some_articles, an_article("A-KILO", unit="KGM", price=Decimal(100)))
    order_id = await holding.a_draft(an_order(lines=[a_line("10", "A-999"), a_line("20", "A-998")]))
    meant = (await holding.db.read(lambda tx: articles.finding.by_numbers(tx, ["A-KILO"])))["A-KILO"].id

    draft = await holding.db.write(sales.say_which, DESK, order_id, await etag_of(holding.db, order_id), "10", meant)

    said = [(issue.code, issue.pointer) for issue in draft.issues if (issue.pointer or "").startswith("/lines")]
    assert said == [
        ("article_unknown", "/lines/1/article_number"),
        ("unit_differs", "/lines/0/unit"),
        ("price_differs", "/lines/0/unit_price"),
    ]
    assert (draft.lines[0].expected_price, draft.lines[0].price_difference) == (Decimal(100), Decimal("29.5"))


@pytest.mark.parametrize(("line_id", "article"), [("99", "A-200"), ("20", "A-200"), ("10", "A-OLD"), ("10", "nothing")])
async def test_only_an_article_line_can_mean_an_active_article(holding, line_id, article):
    known = holding.articles | await holding.db.write(some_articles, an_article("A-OLD", is_active=False))
    order_id = await holding.a_draft(an_order(lines=[a_line("10", "A-999"), {"line_id": "20", "kind": "text", "description": "Hi"}]))
    meant = known[article].id if article in known else "ar_nothing"

    with pytest.raises(errors.NotFound):
        await holding.db.write(sales.say_which, DESK, order_id, await etag_of(holding.db, order_id), line_id, meant)


async def test_suggestions_are_given_for_marked_lines(holding):
    order_id = await holding.a_draft(an_order(lines=[a_line("10"), a_line("20", "a-100")]))

    found = await holding.db.read(sales.suggestions, order_id)

    assert [suggestion.article_number for suggestion in found["20"]][:1] == ["A-100"]
    assert list(found) == ["20"]


@pytest.mark.parametrize(
    ("price", "quantity", "tolerance", "difference"),
    [
        ("100.00", "2", "0", None),
        ("101.00", "2", "0", "1"),
        ("101.00", "2", "1", None),
        ("101.01", "2", "1", "1.01"),
        ("98.99", "2", "1", "-1.01"),
        ("129.50", "1", "0", None),
    ],
)
async def test_the_agreed_price_stands_before_the_list_price_with_the_partners_tolerance(db, price, quantity, tolerance, difference):
    supplier = await a_supplier(db, price_tolerance=Decimal(tolerance))
    await db.write(an_agreed_price, supplier.partner, supplier.articles["A-100"].pk, "100", from_quantity=Decimal(2))

    draft = await seen(db, await supplier.a_draft(an_order(lines=[a_line(quantity=quantity, unit_price=price)])))

    assert draft.lines[0].expected_price_from == ("agreed" if quantity == "2" else "list")
    said = [issue.params["difference"] for issue in draft.issues if issue.code == "price_differs"]
    assert said == ([] if difference is None else [f"{Decimal(difference):+f}"])


async def test_a_repeat_answers_with_the_first_receipt(supplier):
    [first] = await supplier.receive(an_order(lines=[a_line("10"), a_line("20", "A-200")]))

    [again] = await supplier.receive(
        an_order(lines=[a_line("20", " A-200", quantity="2.0"), a_line("10", discount_percent="0.00")], note="")
    )

    receipt, repeated = (store.orders.read_receipt(placed(outcome).answer) for outcome in (first, again))
    assert repeated == msgspec.structs.replace(receipt, new=False)
    assert not placed(again).new
    assert await count(supplier.db, sales_orders) == 1
    assert [entry.code for entry in await logged(supplier.db, "order.received", "order.repeated")] == ["order.received", "order.repeated"]


async def test_a_repeat_is_answered_even_after_the_article_is_gone(supplier):
    await supplier.a_draft()
    await supplier.db.write(some_articles, an_article("A-100", is_active=False))

    [again] = await supplier.receive(an_order())

    assert not placed(again).new


async def test_the_same_number_and_revision_with_other_content_is_a_conflict(supplier):
    await supplier.a_draft()

    [outcome] = await supplier.receive(an_order(lines=[a_line(quantity="3")]))

    assert (refused(outcome).status, codes(outcome)) == (409, ["order_conflict"])


async def test_a_higher_revision_is_the_newest_and_gaps_are_allowed(supplier):
    first = await supplier.a_draft()
    third = await supplier.a_draft(an_order(revision=3))

    assert [(await seen(supplier.db, one)).summary.is_newest for one in (first, third)] == [False, True]
    with pytest.raises(errors.WrongState, match="newer revision"):
        await approved(supplier.db, first)
    assert (await approved(supplier.db, third)).summary.acceptance == "approved"


async def test_a_lower_revision_that_was_never_seen_is_superseded_and_one_that_was_is_repeated(supplier):
    await supplier.a_draft()
    await supplier.a_draft(an_order(revision=3))

    [late, known] = await supplier.receive(an_order(revision=2), an_order(revision=1))

    assert (refused(late).status, codes(late)) == (409, ["revision_superseded"])
    assert not placed(known).new


async def test_revisions_of_one_batch_may_stand_in_any_order(supplier):
    [third, first, again, fourth] = await supplier.receive(
        an_order(revision=3), an_order(revision=1), an_order(revision=3), an_order(revision=4)
    )

    assert codes(first) == ["revision_superseded"]
    assert (placed(again).id, placed(again).new) == (placed(third).id, False)
    assert [(await seen(supplier.db, placed(one).id)).summary.is_newest for one in (third, fourth)] == [False, True]


async def test_revisions_that_arrive_at_the_same_moment_leave_one_newest(supplier):
    await supplier.a_draft(an_order("the first, which makes the contact"))

    await asyncio.gather(*(supplier.receive(an_order(f"PO-{at}", revision=revision)) for at in range(8) for revision in (1, 2, 3)))

    rows = await supplier.db.read(
        lambda tx: tx.execute(select(sales_orders.c.number, sales_orders.c.revision, sales_orders.c.is_newest)).all()
    )
    for at in range(8):
        of_it = {row.revision: row.is_newest for row in rows if row.number == f"PO-{at}"}
        assert {revision: is_newest for revision, is_newest in of_it.items() if is_newest} == {3: True}


async def test_the_same_order_a_hundred_times_at_once_is_one_draft(supplier):
    outcomes = await asyncio.gather(*(supplier.receive(an_order()) for _ in range(100)))

    answers = [placed(outcome) for [outcome] in outcomes]
    assert sorted(answer.new for answer in answers) == [False] * 99 + [True]
    assert len({answer.id for answer in answers}) == 1
    assert len({store.orders.read_receipt(answer.answer).trace_id for answer in answers}) == 1
    assert [await count(supplier.db, table) for table in (sales_orders, sales_lines, contacts)] == [1, 1, 1]


async def test_one_number_with_two_contents_at_once_is_one_draft_and_conflicts(supplier):
    outcomes = await asyncio.gather(*(supplier.receive(an_order(lines=[a_line(quantity=str(1 + at % 2))])) for at in range(20)))

    kept = [outcome for [outcome] in outcomes if isinstance(outcome, Placed)]
    assert len({one.id for one in kept}) == 1
    assert {refused(outcome).code for [outcome] in outcomes if not isinstance(outcome, Placed)} == {"order_conflict"}
    assert len(kept) == 10


async def test_the_same_number_twice_in_one_batch_is_taken_once(supplier):
    [first, again, other] = await supplier.receive(an_order(), an_order(), an_order(lines=[a_line(quantity="3")]))

    assert (placed(first).new, placed(again).new) == (True, False)
    assert placed(first).id == placed(again).id
    assert codes(other) == ["order_conflict"]


async def test_an_order_that_came_over_another_connection_is_a_possible_duplicate(supplier):
    await supplier.a_draft()
    other = await supplier.db.write(a_partner, "Nordlys again", identifiers="987654325")
    spelled = A_BUYER | {"organisation_number": "987 654 325"}

    [outcome] = await supplier.receive(an_order(buyer=spelled), partner=other)

    assert "possible_duplicate" in codes(outcome)
    assert next(issue.pointer for issue in refused(outcome).issues if issue.code == "possible_duplicate") == "/number"


async def test_two_buyers_may_use_the_same_number(supplier):
    await supplier.a_draft()
    other = await supplier.db.write(a_partner, "Sørlys")

    [outcome] = await supplier.receive(an_order(buyer={"name": "Sørlys AS", "organisation_number": "974760673"}), partner=other)

    assert placed(outcome).new


async def test_an_order_in_the_name_of_another_company_is_refused(supplier):
    await supplier.db.write(lambda tx: partners.link_contact(tx, supplier.partner, a_contact(tx)))

    [outcome] = await supplier.receive(an_order(buyer=A_BUYER | {"organisation_number": "974760673"}))

    assert codes(outcome) == ["buyer_mismatch"]


async def test_an_order_from_ourselves_is_refused(supplier):
    [outcome] = await supplier.receive(an_order(buyer=A_BUYER | {"organisation_number": OURS}))

    assert codes(outcome) == ["buyer_is_us"]


async def test_first_orders_at_the_same_moment_make_one_contact(supplier):
    outcomes = await asyncio.gather(*(supplier.receive(an_order(f"PO-{at}")) for at in range(12)))

    assert all(placed(outcome).new for [outcome] in outcomes)
    assert await count(supplier.db, contacts) == 1
    known = {(await seen(supplier.db, placed(outcome).id)).contact for [outcome] in outcomes}
    assert len(known) == 1
    assert None not in known
    assert len(await logged(supplier.db, "contact.created")) == 1


async def test_the_first_orders_of_one_batch_make_one_contact(supplier):
    outcomes = await supplier.receive(an_order("PO-1"), an_order("PO-2"))

    assert [store.orders.read_receipt(placed(outcome).answer).contact.how for outcome in outcomes] == ["created", "partner_link"]
    assert await count(supplier.db, contacts) == 1


@pytest.mark.parametrize("number", ["PO/2026/47", "  PO 47", "changes", "../drafts", "ord%2Fre", "Bestilling nr. 5 æøå", "x" * 80, "'; --"])
async def test_an_order_number_is_any_text(supplier, number):
    order_id = await supplier.a_draft(an_order(number))

    [(_, kept)] = await supplier.db.read(store.told.of_partner, supplier.partner, number=number.strip())

    assert kept.id == order_id
    assert kept.receipt.number == number


async def test_an_order_of_ten_thousand_lines_is_taken(supplier):
    order_id = await supplier.a_draft(an_order(lines=[a_line(str(at)) for at in range(10_000)]))

    assert (await seen(supplier.db, order_id)).summary.net == Decimal(2_590_000)


async def test_amounts_of_nonsense_are_an_issue_and_no_accident(supplier):
    wild = a_line(quantity="999999999999.999999", unit_price="999999999999.999999", price_quantity="0.000001")

    [outcome] = await supplier.receive(an_order(lines=[wild, a_line("20", quantity="0.000001", unit_price="1", price_quantity="0.000001")]))

    assert [issue.pointer for issue in refused(outcome).issues if issue.code == "amount_too_large"] == ["/lines/0/unit_price"]


async def test_an_order_whose_lines_amount_to_too_much_together_is_an_issue_of_the_order(supplier):
    [outcome] = await supplier.receive(an_order(lines=[a_line(str(at), quantity="1", unit_price="500000000000") for at in range(2)]))

    assert [issue.pointer for issue in refused(outcome).issues if issue.code == "amount_too_large"] == ["/lines"]


async def test_what_cannot_be_stored_sinks_no_other_order_of_its_batch(supplier):
    arrivals = [an_arrival(an_order(f"PO-{at}"), at) for at in range(3)]
    # No database can hold half a surrogate pair; the door refuses it, so this stands for whatever nobody foresaw.
    arrivals[1] = msgspec.structs.replace(arrivals[1], body="\ud800")

    first, odd, last = await api._receive_all(supplier.db, a_caller(supplier.partner), arrivals, receiving.UNDO)

    assert isinstance(odd, errors.InternalFault)
    assert placed_or_none(first) is not None
    assert placed_or_none(last) is not None
    assert await count(supplier.db, sales_orders) == 2


def placed_or_none(outcome: Any) -> Placed | None:
    return outcome if isinstance(outcome, Placed) else None


async def test_a_nul_that_passed_the_door_harms_nothing_but_its_own_order(supplier):
    arrivals = [an_arrival(an_order("PO-1")), an_arrival(an_order("PO\x002"), 1)]

    good, odd = await api._receive_all(supplier.db, a_caller(supplier.partner), arrivals, receiving.UNDO)

    assert isinstance(good, Placed)
    # PostgreSQL cannot even look such a number up.
    assert isinstance(odd, Refused if supplier.db.dialect == "sqlite" else errors.InternalFault)


async def test_a_preview_says_what_would_happen_and_stores_nothing(supplier):
    await supplier.a_draft(an_order("PO-0"))
    before = [await count(supplier.db, table) for table in (sales_orders, contacts, log_entries)]
    orders = [an_order("PO-1"), an_order("PO-2", article="a-100"), an_order("PO-0"), an_order("PO-0", lines=[a_line(quantity="9")])]
    arrivals = [an_arrival(order, at) for at, order in enumerate(orders)]

    reports = await supplier.db.read(receiving.preview, a_caller(supplier.partner), arrivals)

    assert [(report.would, [line.how for line in report.lines]) for report in reports] == [
        ("draft", ["article_number"]), ("refused", ["unknown"]), ("draft", ["article_number"]), ("refused", ["article_number"]),
    ]  # fmt: skip
    assert [suggestion.article_number for suggestion in reports[1].lines[0].suggestions][:1] == ["A-100"]
    assert [issue.code for issue in reports[3].issues] == ["order_conflict"]
    assert reports[0].contact.how == "linked"
    assert [await count(supplier.db, table) for table in (sales_orders, contacts, log_entries)] == before


@pytest.mark.parametrize(("when_unknown", "would"), [("refuse", "refused"), ("hold", "held")])
async def test_a_preview_says_what_the_suppliers_own_rule_will_do(db, when_unknown, would):
    supplier = await a_supplier(db, when_unknown=when_unknown)

    [report] = await db.read(receiving.preview, a_caller(supplier.partner), [an_arrival(an_order(article="A-999"))])

    assert (report.would, report.contact.how) == (would, "would_create")


async def test_an_approved_draft_gets_a_number_and_the_buyer_hears_of_it_when_it_can_no_longer_be_undone(supplier, clock):
    order_id = await supplier.a_draft()

    draft = await approved(supplier.db, order_id)

    assert (draft.summary.order_number, draft.summary.acceptance, draft.answer, draft.answered_by) == (
        "SO-100001",
        "approved",
        1,
        DESK.name,
    )
    await leave(supplier.db)
    assert await feed(supplier) == []
    clock.shift(10)
    await leave(supplier.db)
    assert await feed(supplier) == [(1, "order.approved", "PO-1")]
    [change] = await supplier.db.read(store.told.changes, supplier.partner, 0, 10)
    assert (change.order_number, change.acceptance, change.answer) == ("SO-100001", "approved", 1)


async def test_each_approval_takes_the_next_number_also_at_the_same_moment(supplier):
    ids = [placed(outcome).id for outcome in await supplier.receive(*(an_order(f"PO-{at}") for at in range(10)))]

    drafts = await asyncio.gather(*(approved(supplier.db, one) for one in ids))

    assert sorted(str(draft.summary.order_number) for draft in drafts) == [f"SO-{100_001 + at}" for at in range(10)]


async def test_an_answer_can_be_taken_back_before_it_leaves_and_leaves_no_trace_with_the_buyer(supplier, clock):
    order_id = await supplier.a_draft()
    await approved(supplier.db, order_id)
    clock.shift(9)

    draft = await supplier.db.write(answering.take_back, DESK, order_id, await etag_of(supplier.db, order_id))

    assert (draft.summary.acceptance, draft.summary.order_number, draft.answered_at) == ("open", None, None)
    clock.shift(60)
    await leave(supplier.db)
    assert await feed(supplier) == []
    assert await supplier.db.read(store.lists.page, before=None, limit=10, approved_only=True) == []
    await supplier.db.write(answering.reject, DESK, order_id, await etag_of(supplier.db, order_id), "Sold out.", undo=UNDO)
    clock.shift(10)
    await leave(supplier.db)
    [change] = await supplier.db.read(store.told.changes, supplier.partner, 0, 10)
    assert (change.kind, change.order_number, change.reason, change.answer) == ("order.rejected", None, "Sold out.", 1)


async def test_an_answer_that_has_left_cannot_be_taken_back(supplier, clock):
    order_id = await supplier.a_draft()
    await approved(supplier.db, order_id)
    clock.shift(10)
    await leave(supplier.db)

    with pytest.raises(errors.WrongState, match="it has left"):
        await supplier.db.write(answering.take_back, DESK, order_id, await etag_of(supplier.db, order_id))


async def test_an_answer_that_waited_for_us_longer_than_any_deadline_still_leaves(supplier, clock):
    await approved(supplier.db, await supplier.a_draft())
    clock.shift(dt.timedelta(days=30))

    await Courier(supplier.db, {"answer": AnswerKind()}, "test", lambda *_: None, alone=True).sweep()
    await leave(supplier.db)

    assert [kind for _, kind, _ in await feed(supplier)] == ["order.approved"]


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
async def test_a_rejection_needs_a_reason(supplier, reason):
    order_id = await supplier.a_draft()

    with pytest.raises(errors.Invalid) as refusal:
        await supplier.db.write(answering.reject, DESK, order_id, await etag_of(supplier.db, order_id), reason, undo=UNDO)

    assert [(issue.code, issue.pointer) for issue in refusal.value.issues] == [("reason_missing", "/reason")]


async def test_an_answered_draft_is_not_answered_again(supplier):
    order_id = await supplier.a_draft()
    await approved(supplier.db, order_id)

    with pytest.raises(errors.WrongState, match="approved"):
        await approved(supplier.db, order_id)
    with pytest.raises(errors.WrongState, match="approved"):
        await supplier.db.write(answering.reject, DESK, order_id, await etag_of(supplier.db, order_id), "No.", undo=UNDO)


async def test_what_somebody_else_has_changed_meanwhile_is_not_approved(supplier):
    order_id = await supplier.a_draft()
    before = await etag_of(supplier.db, order_id)
    await supplier.a_draft(an_order("PO-1", revision=2))

    with pytest.raises(errors.Stale) as refusal:
        await supplier.db.write(answering.approve, DESK, order_id, before, undo=UNDO)
    with pytest.raises(errors.IfMatchMissing):
        await supplier.db.write(answering.approve, DESK, order_id, None, undo=UNDO)

    assert refusal.value.headers["ETag"] == await etag_of(supplier.db, order_id)


async def test_two_people_who_answer_at_the_same_moment_give_one_answer(supplier):
    order_id = await supplier.a_draft()
    seen_as = await etag_of(supplier.db, order_id)

    answers = await asyncio.gather(
        *(supplier.db.write(answering.approve, DESK, order_id, seen_as, undo=UNDO) for _ in range(5)), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["Draft", *["Stale"] * 4]


async def test_one_stale_draft_stops_none_of_the_others(supplier):
    ids = [placed(outcome).id for outcome in await supplier.receive(an_order("PO-1"), an_order("PO-2"), an_order("PO-3"))]
    wanted = [answering.DraftToApprove(id=one, etag=await etag_of(supplier.db, one)) for one in ids]
    wanted[1] = answering.DraftToApprove(id=ids[1], etag='"old"')
    wanted.append(answering.DraftToApprove(id="sd_nothing", etag='"x"'))

    answers = await supplier.db.write(answering.approve_many, DESK, wanted, undo=UNDO)

    assert [(answer.status, answer.code, answer.order_number) for answer in answers] == [
        (200, "", "SO-100001"), (412, "stale", None), (200, "", "SO-100002"), (404, "not_found", None),
    ]  # fmt: skip


async def test_the_feed_has_no_gaps_and_loses_nothing_to_a_slower_commit(supplier):
    ids = [placed(outcome).id for outcome in await supplier.receive(*(an_order(f"PO-{at}") for at in range(60)))]
    read: list[int] = []
    is_over = asyncio.Event()

    async def follow() -> None:
        while not is_over.is_set() or len(read) < len(ids):
            read.extend(position for position, _, _ in await feed(supplier, read[-1] if read else 0))

    following = asyncio.create_task(follow())
    await asyncio.gather(*(supplier.db.write(publish_answer, one) for one in ids))
    is_over.set()
    await asyncio.wait_for(following, 30)

    assert read == list(range(1, 61))


async def test_a_feed_position_of_a_unit_that_failed_is_used_again(supplier):
    order_id = await supplier.a_draft()

    def failing(tx: Tx) -> None:
        publish_answer(tx, order_id)
        raise RuntimeError("after all not")

    with pytest.raises(RuntimeError):
        await supplier.db.write(failing)
    await supplier.db.write(publish_answer, order_id)

    assert [position for position, _, _ in await feed(supplier)] == [1]


async def test_a_partner_reads_its_own_orders_only(supplier):
    other = await supplier.db.write(a_partner, "Sørlys")
    order_id = await supplier.a_draft()
    await supplier.db.write(publish_answer, order_id)

    assert await supplier.db.read(store.told.of_partner, other) == []
    assert await supplier.db.read(store.told.of_partner, other, order_id=order_id) == []
    assert await supplier.db.read(store.told.changes, other, 0, 10) == []


FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "acceptance": {"acceptance": "open"},
    "validation": {"validation": "issues"},
    "number": {"number": "PO-1"},
    "approved": {"approved_only": True},
    "partner": {"partner": "PARTNER"},
    "partner and acceptance": {"partner": "PARTNER", "acceptance": "open"},
    "partner and validation": {"partner": "PARTNER", "validation": "clean"},
    "partner and number": {"partner": "PARTNER", "number": "PO-1"},
    "partner, approved": {"partner": "PARTNER", "approved_only": True},
    "acceptance and validation": {"acceptance": "open", "validation": "clean"},
}


@sqlite_only
@pytest.mark.parametrize("before", [None, 50])
@pytest.mark.parametrize("wanted", FILTERS.values(), ids=FILTERS)
async def test_every_filter_of_the_inbox_goes_by_index(supplier, wanted, before):
    partner = await supplier.db.read(lambda tx: partners.buyer(tx, supplier.partner).id)
    wanted = {name: partner if value == "PARTNER" else value for name, value in wanted.items()}

    plans = await plans_of(supplier.db, store.lists.page, before=before, limit=51, **wanted)

    if wanted or before is not None:
        goes_by_index(plans, "sales_orders", walking="sales_orders_approved")
    else:
        # Without a filter the newest rows stand at the end of the table itself.
        assert not any("TEMP B-TREE" in plan for plan in plans)


LOG_FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "trace": {"trace_id": "t"},
    "level": {"level": "error"},
    "code": {"code": "order.received"},
    "number": {"number": "PO-1"},
    "subject": {"subject": "sd_1"},
    "partner": {"partner": "pa_1"},
    "since": {"since": START},
    "until": {"until": START},
    "since and until": {"since": START, "until": START},
    "level since": {"level": "error", "since": START},
    "partner until": {"partner": "pa_1", "until": START},
}


@sqlite_only
@pytest.mark.parametrize("before", [None, 50])
@pytest.mark.parametrize("wanted", LOG_FILTERS.values(), ids=LOG_FILTERS)
async def test_every_filter_of_the_logs_goes_by_index(supplier, wanted, before):
    plans = await plans_of(supplier.db, logs.page, before=before, limit=51, **wanted)

    if wanted or before is not None:
        goes_by_index(plans, "log_entries")
    else:
        assert not any("TEMP B-TREE" in plan for plan in plans)


@sqlite_only
async def test_the_views_of_the_inbox_are_counted_in_the_order_of_their_keys(supplier):
    [plan] = await plans_of(supplier.db, store.lists.inbox_counts, 1_001, "us_1")

    assert plan.count("INDEX sales_orders_inbox_") == 5
    assert "sales_orders_inbox_partner" not in plan
    assert "TEMP B-TREE" not in plan


@sqlite_only
async def test_a_partners_feed_and_orders_go_by_index(supplier):
    goes_by_index(await plans_of(supplier.db, store.told.changes, supplier.partner, 10, 50), "sales_changes")
    for wanted in ({}, {"number": "PO-1"}, {"order_id": "sd_1"}, {"acceptance": "open"}):
        goes_by_index(await plans_of(supplier.db, store.told.of_partner, supplier.partner, before=50, **wanted), "sales_orders")


@sqlite_only
async def test_receiving_goes_by_index_and_asks_as_much_for_a_hundred_orders_as_for_one(supplier):
    await supplier.a_draft(an_order("PO-0"))

    def receive(tx: Tx, orders: list[Order]) -> None:
        receiving.receive(tx, a_caller(supplier.partner), [an_arrival(order, at) for at, order in enumerate(orders)])

    one = await plans_of(supplier.db, receive, [an_order("PO-1")])
    many = await plans_of(supplier.db, receive, [an_order(f"PO-{at}") for at in range(2, 102)])

    assert len(one) == len(many)
    for table in ("sales_orders", "articles", "contacts", "partners", "mappings", "agreed_prices"):
        goes_by_index(one, table)


@sqlite_only
async def test_no_list_is_counted(supplier):
    for unit in (
        partial(store.lists.page, partner="pa_1"),
        partial(logs.page, level="error"),
        partial(store.told.of_partner, partner=supplier.partner),
    ):
        asked = await asked_of(supplier.db, unit, before=None, limit=51)
        assert len(asked) == 1
        assert "count(" not in asked[0].lower()


async def test_lists_are_read_page_by_page(supplier):
    await supplier.receive(*(an_order(f"PO-{at}") for at in range(7)))
    pages, before = [], None
    while rows := await supplier.db.read(store.lists.page, before=before, limit=3):
        pages.append([summary.number for _, summary in rows])
        before = rows[-1][0]

    assert pages == [["PO-6", "PO-5", "PO-4"], ["PO-3", "PO-2", "PO-1"], ["PO-0"]]


async def posted(app: Any, token: str, path: str, body: Any) -> Any:
    async with app.caller(token) as caller:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return await caller.post(path, content=content, headers={"Content-Type": "application/json"})


@pytest.fixture
async def doors(supplier):
    """The supplier's doors, and the token of its partner."""
    async with company_of(supplier.db, [*api.routes, *desk.routes]) as company_doors:
        created = await company_doors.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=supplier.partner)
        yield company_doors, created.token


async def test_at_the_door_an_order_is_created_then_repeated_then_in_conflict(supplier, doors):
    app, token = doors

    first = await posted(app, token, "/purchase-orders", wire_order())
    again = await posted(app, token, "/purchase-orders", wire_order())
    other = await posted(app, token, "/purchase-orders", wire_order(lines=[a_line(quantity="3")]))
    late = await posted(app, token, "/purchase-orders", wire_order(article="A-999", number="PO-2"))

    assert (first.status_code, again.status_code, other.status_code, late.status_code) == (201, 200, 409, 422)
    assert first.headers["Location"] == f"/api/v1/purchase-orders/{first.json()['id']}"
    assert again.json() == first.json() | {"new": False}
    assert other.json()["code"] == "order_conflict"
    assert [issue["pointer"] for issue in late.json()["issues"] if issue["blocks"]] == ["/lines/0/article_number"]


async def test_at_the_door_a_nul_is_refused_and_nothing_stored(supplier, doors):
    app, token = doors

    answer = await posted(app, token, "/purchase-orders", wire_order(note="a\x00b"))

    assert answer.status_code == 422
    assert [(issue["code"], issue["pointer"]) for issue in answer.json()["issues"]] == [("hidden_character", "/note")]
    assert await count(supplier.db, sales_orders) == 0


async def test_at_the_door_each_order_of_a_batch_is_answered_by_itself(supplier, doors):
    app, token = doors
    parts = [wire_order("PO-1"), {"number": 5}, wire_order("PO-2", article="A-999"), wire_order("PO-3", note="a\x00b"), wire_order("PO-1")]

    answer = await posted(app, token, "/purchase-orders/batch", {"orders": [{"order": part} for part in parts]})

    items = answer.json()["items"]
    assert answer.status_code == 200
    assert [item["status"] for item in items] == [201, 422, 422, 422, 200]
    assert items[4]["receipt"] == items[0]["receipt"] | {"new": False}
    assert items[2]["problem"]["code"] == "order_refused"


async def test_at_the_door_a_number_is_looked_up_by_query(supplier, doors):
    app, token = doors
    for number in ("a/b c", "changes"):
        await posted(app, token, "/purchase-orders", wire_order(number))

    async with app.caller(token) as caller:
        found = [(await caller.get("/purchase-orders", params={"number": number})).json()["items"] for number in ("a/b c", "changes", "a")]
        one = await caller.get(f"/purchase-orders/{found[0][0]['id']}")

    assert [[order["number"] for order in orders] for orders in found] == [["a/b c"], ["changes"], []]
    assert one.json()["number"] == "a/b c"


async def test_at_the_door_the_feed_is_resumed_and_a_cursor_of_another_life_is_gone(supplier, doors):
    app, token = doors
    ids = [placed(outcome).id for outcome in await supplier.receive(an_order("PO-1"), an_order("PO-2"))]
    for one in ids:
        await supplier.db.write(publish_answer, one)

    async with app.caller(token) as caller:
        first = (await caller.get("/purchase-orders/changes", params={"limit": "1"})).json()
        second = (await caller.get("/purchase-orders/changes", params={"after": first["next"]})).json()
        end = (await caller.get("/purchase-orders/changes", params={"after": second["next"]})).json()
        epoch = (await supplier.db.read(company.card)).epoch
        beyond = await caller.get("/purchase-orders/changes", params={"after": encode_cursor("changes", epoch, 3)})
        await supplier.db.write(company.renew_epoch)
        gone = await caller.get("/purchase-orders/changes", params={"after": second["next"]})

    assert [[change["number"] for change in page["items"]] for page in (first, second, end)] == [["PO-1"], ["PO-2"], []]
    assert end["next"] == second["next"]
    assert (beyond.status_code, gone.status_code, gone.json()["code"]) == (410, 410, "cursor_gone")


async def test_a_rival_that_kept_the_order_a_moment_earlier_is_answered_like_any_repeat(supplier):
    """Both have looked and found nothing when the other one's order appears."""
    order_id = await supplier.a_draft()

    def late(tx: Tx) -> Any:
        books = Books(tx, partners.buyer(tx, supplier.partner), company.card(tx))
        arrival = an_arrival(an_order())
        issues = books.match([arrival])
        return books.create([arrival], issues)

    [outcome] = await supplier.db.write(late)

    assert (placed(outcome).id, placed(outcome).new) == (order_id, False)
