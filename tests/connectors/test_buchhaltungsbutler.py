"""What is odd about BuchhaltungsButler: drafts nobody can find again, two credentials, articles it does not have, names that differ."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from prodsys.connectors._base import Later, Misconfigured, Records, Refused, Written, capabilities
from prodsys.connectors.buchhaltungsbutler import BuchhaltungsButler
from prodsys.documents import ContactCard
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_buchhaltungsbutler import BuchhaltungsButlerSim
from tests.connectors.test_promises import Bench


@pytest.fixture
async def books() -> AsyncIterator[Bench]:
    """A company's books on loopback."""
    async with serving(BuchhaltungsButlerSim()) as simulator, reaching(simulator) as reach:
        yield Bench(simulator=simulator, reach=reach)


def test_articles_stock_and_orders_are_said_not_to_be_offered_and_why():
    offered = {(one.kind, one.direction): one for one in capabilities(BuchhaltungsButler)}

    for kind in ("articles", "stock", "order_status", "purchase_orders"):
        assert not offered[kind, "in"].is_offered
        assert not offered[kind, "out"].is_offered
        assert "keeps books" in offered[kind, "out"].reason
    assert not offered["orders", "in"].is_offered
    assert offered["orders", "out"].drafts == "Invoice draft"


@pytest.mark.parametrize("kind", ["orders", "invoice_drafts"])
async def test_a_draft_is_taken_under_no_id_and_says_whose_order_it_is_of(books, kind):
    made = await books.create(books.connect(), kind)

    assert isinstance(made, Written)
    assert made.id == ""
    [draft] = books.simulator.drafts
    assert draft["correspondence"].startswith(f"Auftrag {books.simulator.examples[kind].number}")
    assert draft["item_name"] == ["Schraube", "Versand"]
    assert draft["item_amount"] == ["12", "1"]
    assert draft["item_single_price"] == ["1.235", "4.95"]
    assert draft["item_vat"] == ["19", "19"]


@pytest.mark.parametrize("kind", ["orders", "invoice_drafts"])
@pytest.mark.parametrize("stumble", ["drop_after", "status"])
async def test_a_draft_whose_answer_is_lost_can_only_be_looked_for_by_a_person(books, kind, stumble):
    books.simulator.stumble(
        Fault(stumble=stumble, method="POST", status=504, body={"success": False, "error_code": 30, "message": "timeout"})
    )

    outcome = await books.create(books.connect(), kind)

    assert isinstance(outcome, Later)
    assert outcome.sent
    assert BuchhaltungsButler.resources[kind].is_once_only
    assert BuchhaltungsButler.resources[kind].find_by == {}


async def test_an_order_becomes_an_offer_where_the_form_says_so(books):
    made = await books.create(books.connect(orders_become="offer"), "orders")

    assert isinstance(made, Written)
    assert made.number.startswith("AN-")
    assert books.simulator.receipts[made.id]["type"] == "offer"


@pytest.mark.parametrize(("wrong", "field"), [({"client_secret": "no"}, "client_secret"), ({"api_key": "no"}, "api_key")])
async def test_which_of_the_two_credentials_is_wrong_is_told(books, wrong, field):
    tested = await books.connect(**wrong).test()

    assert [check.field for check in tested.checks] == [field]


async def test_everything_is_asked_by_post_and_no_empty_text_is_sent(books):
    connector = books.connect()

    await connector.test()
    made = await connector.create(
        "contacts", connector.words("contacts", ContactCard(name="Nur ein Name"), books.context(connector, "contacts"))
    )

    assert isinstance(made, Written)
    assert {asked.method for asked in books.simulator.asked} == {"POST"}
    assert books.simulator.asked[-1].json == {"api_key": "an-api-key-of-the-company", "name": "Nur ein Name"}


async def test_a_supplier_is_a_creditor_and_is_found_again_by_its_address(books):
    connector = books.connect()
    card = ContactCard(
        number="S-1", name="Mutterwerk AG", is_customer=False, is_supplier=True, email="post@mutter.example", payment_terms="30"
    )

    made = await connector.create("contacts", connector.words("contacts", card, books.context(connector, "contacts")))
    found = await connector.find("contacts", "email", "Post@Mutter.example")
    changed = await connector.change("contacts", found[0].id, {"type": "creditor", "city": "Köln"})

    assert isinstance(made, Written)
    assert int(made.id) >= 70_000
    assert [record.id for record in found] == [made.id]
    assert connector.document("contacts", found[0]).is_supplier
    assert books.simulator.due_in_days[made.id] == 30
    assert isinstance(changed, Written)
    assert books.simulator.accounts[made.id]["city"] == "Köln"


async def test_customers_beyond_the_first_page_are_read_even_when_pages_are_smaller_than_asked_for(books):
    for number in range(60):
        books.simulator.an_account("debitor", name=f"Kunde {number}", email=f"kunde{number}@example.invalid")
    books.simulator.most = 25

    found = await books.connect().find_many("contacts", "email", ["kunde59@example.invalid", "nobody@example.invalid"])
    names = []
    async for page in books.connect().pages("contacts"):
        assert isinstance(page, Records)
        names += [record.theirs["name"] for record in page.records]

    assert {value: len(records) for value, records in found.items()} == {"kunde59@example.invalid": 1, "nobody@example.invalid": 0}
    assert len(names) == len(set(names)) == 62


async def test_an_error_inside_a_200_is_a_refusal(books):
    body = {"success": False, "error_code": 13, "message": "invalid company_name specified"}
    books.simulator.stumble(Fault(stumble="status", status=200, body=body))

    outcome = await books.create(books.connect(), "orders")

    assert isinstance(outcome, Refused)
    assert outcome.problem.title == "invalid company_name specified"


@pytest.mark.parametrize(("code", "kind"), [(15, Later), (11, Misconfigured), (33, Misconfigured)])
async def test_a_403_means_patience_or_an_admin(books, code, kind):
    books.simulator.stumble(Fault(stumble="status", status=403, body={"success": False, "error_code": code, "message": "No"}))

    outcome = await books.create(books.connect(), "orders")

    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Later) or not outcome.sent


async def test_an_address_that_is_not_theirs_is_said_to_be_wrong(books):
    tested = await books.connect(base_url=f"{books.simulator.url}/api/v2").test()

    assert [check.field for check in tested.checks] == ["base_url"]


async def test_digits_only_is_a_rule_where_the_form_says_so(books):
    rules = [[limit.field for limit in books.connect(digits_only=on).limits_of("orders") if limit.digits_only] for on in (False, True)]

    assert rules == [[], ["lines[].article_number"]]


async def test_an_order_that_is_to_be_an_invoice_at_once_is_issued_under_its_number(books):
    connector = books.connect()
    order = msgspec.structs.replace(books.simulator.examples["orders"], kind="invoice", is_draft=False)

    made = await connector.create("orders", connector.words("orders", order, books.context(connector, "orders")))

    assert isinstance(made, Written)
    assert books.simulator.receipts[made.id]["invoicenumber"] == "SO-1042"
