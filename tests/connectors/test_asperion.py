"""What is odd about Asperion: administrations by header, dry runs, and a profile that is right only when an admin says so."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from prodsys.connectors._base import Later, Misconfigured, Record, Refused, Written, capabilities
from prodsys.connectors.asperion import Asperion
from prodsys.documents import Exact, Percent, TradeLine
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_asperion import AsperionSim
from tests.connectors.test_promises import Bench


@pytest.fixture
async def books() -> AsyncIterator[Bench]:
    """Two administrations on loopback."""
    async with serving(AsperionSim()) as simulator, reaching(simulator) as reach:
        yield Bench(simulator=simulator, reach=reach)


def words_of(books: Bench, kind: str, connector: Any, **changed: Any) -> Any:
    """The example of a kind in their words, changed so."""
    document = msgspec.structs.replace(books.simulator.examples[kind], **changed)
    return connector.words(kind, document, books.context(connector, kind))


def test_stock_cannot_be_written_and_what_is_assumed_says_so():
    said = {(one.kind, one.direction): one for one in capabilities(Asperion)}

    assert "cannot be edited" in said["stock", "out"].reason
    assert said["stock", "in"].is_offered
    assert "assumed" in said["articles", "out"].provenance.values()
    assert "assumed" in said["orders", "out"].provenance.values()
    assert "Swagger" in said["orders", "out"].note
    assert set(said["contacts", "out"].provenance.values()) == {"client code"}


async def test_every_call_names_the_administration_but_the_one_that_asks_which_there_are(books):
    connector = books.connect()

    await connector.test()
    await books.create(connector, "contacts")

    assert [asked.headers.get("x-tenant-id") for asked in books.simulator.asked] == [None, "1234"]
    assert books.simulator.asked[0].headers["accept-language"] == "en-US"


async def test_an_administration_that_is_not_ours_is_told_with_those_that_are(books):
    tested = await books.connect(tenant=5).test()
    outcome = await books.create(books.connect(tenant=5), "contacts")

    assert [check.field for check in tested.checks] == ["tenant"]
    assert "1234: Fjord Lager BV; 77: Proef BV" in tested.checks[0].message
    assert isinstance(outcome, Misconfigured)


@pytest.mark.parametrize("kind", ["contacts", "invoices", "invoice_drafts", "orders"])
async def test_a_dry_run_says_what_they_would_object_to_and_writes_nothing(books, kind):
    connector = books.connect()
    before = books.simulator.held(kind)
    words = words_of(books, kind, connector)
    wrong = {**words, "name": "", "debtorCustomerNumber": "99"}

    fine = await connector.rehearse(kind, words)
    objections = await connector.rehearse(kind, wrong)

    assert fine == []
    assert [issue.blocks for issue in objections] == [True]
    assert objections[0].params["field"]
    assert books.simulator.held(kind) == before


async def test_orders_are_not_checked_by_a_call_that_may_write_them_unless_an_admin_says_it_does_not(books):
    connector = books.connect(checks_orders=False)

    objections = await connector.rehearse("orders", words_of(books, "orders", connector))

    assert objections == []
    assert books.simulator.asked == []


async def test_a_check_that_wrote_is_noticed_and_the_order_is_not_sent_on_top_of_it(books):
    books.simulator.writes_when_checking = True
    connector = books.connect()

    outcome = await connector.rehearse("orders", words_of(books, "orders", connector))
    found = await connector.find("orders", "reference", "SO-1042")

    assert isinstance(outcome, Later)
    assert outcome.sent
    assert len(found) == 1


async def test_a_check_whose_answer_is_lost_has_made_nothing_and_is_simply_made_again(books):
    connector = books.connect()
    books.simulator.stumble(Fault(stumble="drop_after", method="POST"))

    lost = await connector.rehearse("orders", words_of(books, "orders", connector))
    again = await connector.rehearse("orders", words_of(books, "orders", connector))

    assert isinstance(lost, Later)
    assert not lost.sent
    assert again == []
    assert books.simulator.held("orders") == 0


async def test_an_order_nobody_knows_how_to_look_up_is_sent_once_and_lost_is_for_a_person(books):
    connector = books.connect(order_lookup="")
    books.simulator.stumble(Fault(stumble="drop_after", method="POST"))

    outcome = await books.create(connector, "orders")

    assert isinstance(outcome, Later)
    assert outcome.sent
    assert connector.resources["orders"].is_once_only
    assert connector.resources["orders"].find_by == {}
    assert not books.connect().resources["orders"].is_once_only


async def test_an_order_that_is_taken_without_a_word_has_no_id_and_is_not_sent_again(books):
    books.simulator.says_id = False

    once = await books.create(books.connect(order_lookup=""), "orders")
    looked = await books.create(books.connect(), "orders")

    assert isinstance(once, Written)
    assert once.id == ""
    assert isinstance(looked, Later)
    assert looked.sent


async def test_a_filter_they_do_not_know_is_not_taken_for_an_answer(books):
    books.simulator.ignores = {"Reference"}
    await books.create(books.connect(), "orders")

    found = await books.connect().find("orders", "reference", "SO-9999")

    assert isinstance(found, Misconfigured)
    assert "does not filter orders by Reference" in found.detail


async def test_a_number_that_is_part_of_another_is_not_it(books):
    books.simulator.an_article("A-1000")
    books.simulator.ignores = {"ArticleNumber_comparison"}

    found = await books.connect().find("articles", "number", "A-100")

    assert isinstance(found, list)
    assert [record.theirs["articleNumber"] for record in found] == ["A-100"]


async def test_names_an_admin_has_corrected_are_written_read_and_looked_up_by(books):
    connector = books.connect(article_names={"articleNumber": "code", "salesPrice": "price1"}, order_names={"reference": "yourReference"},
                              row_names={"articleId": "article"})  # fmt: skip
    article = words_of(books, "articles", connector)
    order = words_of(books, "orders", connector)

    document = connector.document("articles", connector.record("articles", {"id": 1, "code": "X-1", "price1": 5}))
    query = connector.resources["articles"].find_by["number"].query("X-1")

    assert article == {"code": "B-300", "description": "Beugel 40 mm", "price1": Exact("101.25"), "vatCode": "H"}
    assert order["yourReference"] == "SO-1042"
    assert "reference" not in order
    assert order["lines"]["_data"][0].keys() == {"article", "description", "quantity", "price", "vatCode"}
    assert (document.number, document.price) == ("X-1", Exact("5"))
    assert query == {"Code": "X-1", "Code_comparison": "Equals"}


async def test_paths_an_admin_has_corrected_are_asked(books):
    connector = books.connect(articles_path="/v1/other")

    outcome = await books.create(connector, "articles")

    assert isinstance(outcome, Refused)
    assert books.simulator.asked[-1].path == "/v1/other"


async def test_an_invoice_is_amounts_on_ledger_accounts_that_add_up(books):
    connector = books.connect()
    lines = [
        TradeLine(line_id="1", description="A", quantity=Exact("3"), unit_price=Exact("12.1"), tax_percent=Percent("21"), account="8010"),
        TradeLine(line_id="2", kind="charge", description="B", quantity=Exact("1"), unit_price=Exact("6.05"), tax_percent=Percent("21")),
    ]

    words = words_of(books, "invoices", connector, lines=lines, prices_include_tax=True)
    credit = words_of(books, "invoices", connector, lines=lines, is_credit=True)

    rows = [(row["amount"], row["vatAmount"], row["ledgerAccountId"]) for row in words["lines"]["_data"]]
    assert rows == [(Exact("30"), Exact("6.3"), 8010), (Exact("5"), Exact("1.05"), 8000)]
    assert (words["amountExclVat"], words["vatAmount"], words["amountInclVat"]) == (Exact("35"), Exact("7.35"), Exact("42.35"))
    assert credit["amountInclVat"] == -(Exact("36.3") + Exact("7.62") + Exact("6.05") + Exact("1.27"))


async def test_a_row_without_an_account_is_refused_before_anything_is_sent(books):
    connector = books.connect(ledger_account=0)
    line = TradeLine(line_id="7", description="A", quantity=Exact("1"), unit_price=Exact("1"))

    with pytest.raises(ValueError, match="Row 7 has no ledger account"):
        words_of(books, "invoices", connector, lines=[line])


async def test_a_draft_is_a_concept(books):
    made = await books.create(books.connect(), "invoice_drafts")

    assert isinstance(made, Written)
    assert books.simulator.rows["salesinvoiceswithlines"][int(made.id)]["status"] == 1


async def test_their_objections_name_the_members(books):
    body = {"title": "Invalid", "status": 400, "traceId": "1", "errors": {"Name": ["Too long"], "City": ["Missing", "Odd"]}}
    books.simulator.stumble(Fault(stumble="status", method="POST", status=400, body=body))

    outcome = await books.create(books.connect(), "contacts")

    assert isinstance(outcome, Refused)
    assert [(issue.params["field"], issue.message) for issue in outcome.problem.issues] == [
        ("Name", "Too long"),
        ("City", "Missing"),
        ("City", "Odd"),
    ]


async def test_every_page_is_read(books):
    for number in range(230):
        books.simulator.an_article(f"B-{number}")
    read: list[Record] = []

    async for page in books.connect().pages("stock"):
        read += page.records

    assert len({record.id for record in read}) == 232
