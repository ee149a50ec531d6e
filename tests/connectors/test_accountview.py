"""What is odd about AccountView: rows by position, errors inside 200, a company header, empty answers, prices as the books count."""

import datetime as dt
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from prodsys.connectors._base import Grant, Later, Misconfigured, Records, Refused, Written
from prodsys.documents import Address, ContactCard, DeliveryPlace, Exact, Percent, TradeLine
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_accountview import PLACE, AccountViewSim
from tests.connectors.test_promises import Bench


@pytest.fixture
async def books() -> AsyncIterator[Bench]:
    """A company on loopback, behind its relay."""
    async with serving(AccountViewSim()) as simulator, reaching(simulator) as reach:
        yield Bench(simulator=simulator, reach=reach)


async def placed(books: Bench, **changed: Any) -> Any:
    """What becomes of the example order, to be delivered elsewhere, changed so."""
    connector = books.connect()
    order = msgspec.structs.replace(books.simulator.examples["orders"], **{"deliver_to": PLACE, **changed})
    return await connector.create("orders", connector.words("orders", order, books.context(connector, "orders")))


async def test_an_order_is_rows_by_position_under_a_definition_as_clients_send_it(books):
    vendors = os.environ.get("PRODSYS_VENDORS")
    if not vendors:
        pytest.skip("PRODSYS_VENDORS does not say where the vendors' documents are.")
    sample = sample_of(vendors, "so1-post.json")

    await placed(books)

    sent = books.simulator.asked[-1]
    known = {field["Name"]: field["FieldType"] for field in sample["Table"]["Definition"]["Fields"]}
    said = {field["Name"]: field["FieldType"] for field in sent.json["Table"]["Definition"]["Fields"]}
    details = {field["Name"]: field["FieldType"] for field in sample["Table"]["DetailDefinitions"][0]["Fields"]}
    assert sent.headers["x-company"] == books.simulator.config()["company"]
    assert {name: said.get(name) for name in known if name != "PD_AMT"} == {name: kind for name, kind in known.items() if name != "PD_AMT"}
    assert {field["Name"]: field["FieldType"] for field in sent.json["Table"]["DetailDefinitions"][0]["Fields"]} == details
    assert sent.json.keys() == sample.keys()


async def test_a_delivery_address_is_made_once_and_taken_again(books):
    first, second = await placed(books), await placed(books, number="SO-1043")

    assert isinstance(first, Written)
    assert isinstance(second, Written)
    assert len(books.simulator.rows["DEL_ADDR"]) == 1
    assert {row["DEL_CODE"] for row in books.simulator.rows["SO_HDR"].values()} == set(books.simulator.rows["DEL_ADDR"])


async def test_when_the_answer_to_the_address_is_lost_no_order_can_have_been_made(books):
    books.simulator.stumble(Fault(stumble="drop_after", method="POST"))

    outcome = await placed(books)
    again = await placed(books)

    assert isinstance(outcome, Later)
    assert not outcome.sent
    assert isinstance(again, Written)
    assert books.simulator.held("orders") == 1
    assert len(books.simulator.rows["DEL_ADDR"]) == 1


async def test_when_the_answer_to_the_order_is_lost_it_is_found_and_there_once(books):
    await placed(books)
    books.simulator.stumble(Fault(stumble="drop_after", method="POST"))

    outcome = await placed(books, number="SO-1043")
    found = await books.connect().find("orders", "reference", "SO-1043")

    assert isinstance(outcome, Later)
    assert outcome.sent
    assert len(found) == 1
    assert books.simulator.held("orders") == 2


@pytest.mark.parametrize("inside", [True, False])
async def test_an_error_is_a_refusal_inside_a_200_or_not(books, inside):
    books.simulator.inside_200 = inside

    outcome = await placed(books, lines=[TradeLine(line_id="1", article_number="SKU-9", quantity=Exact("1"), unit_price=Exact("1"))])

    assert isinstance(outcome, Refused)
    assert outcome.problem.title == "Artikel SKU-9 bestaat niet."
    assert books.simulator.held("orders") == 0


async def test_a_relay_that_does_not_reach_the_machine_is_nobodys_fault_even_inside_a_200(books):
    body = {"ErrorType": "AccountViewError", "ErrorNumbers": None, "ErrorMessage": "De server is niet bereikbaar."}
    books.simulator.stumble(Fault(stumble="status", method="POST", status=200, body=body))

    outcome = await placed(books, deliver_to=None)

    assert isinstance(outcome, Later)
    assert outcome.sent


async def test_an_answer_without_the_row_is_completed_by_looking(books):
    books.simulator.is_silent = True

    made = await placed(books, deliver_to=None)

    assert isinstance(made, Written)
    assert [made.id] == list(books.simulator.rows["SO_HDR"])


async def test_a_company_that_is_not_there_is_told_with_those_that_are(books):
    tested = await books.connect(company="another").test()
    outcome = await books.create(books.connect(company="another"), "articles")

    assert [check.field for check in tested.checks] == ["company"]
    assert "Demo BV: b3e1e950" in tested.checks[0].message
    assert isinstance(outcome, Refused)


async def test_texts_filled_up_with_blanks_are_the_same_texts(books):
    [record] = await books.connect().find("articles", "number", "A-100")

    assert record.id == "A-100"
    assert books.connect().document("articles", record).number == "A-100"


async def test_more_articles_than_a_page_holds_are_all_read_and_a_missing_table_is_an_empty_one(books):
    for number in range(450):
        books.simulator.an_article(f"B-{number}")
    connector, numbers = books.connect(), []

    async for page in connector.pages("articles"):
        assert isinstance(page, Records)
        numbers += [record.id for record in page.records]
    empty = [page async for page in connector.pages("orders")]

    assert len(numbers) == len(set(numbers)) == 452
    assert [page.records for page in empty if isinstance(page, Records)] == [[]]


async def test_what_changed_is_asked_for_from_the_day_before_for_their_clock_has_no_zone(books):
    books.simulator.an_article("OLD", CNG_DATE="2026-11-01T12:00:00")
    books.simulator.an_article("NEW", CNG_DATE="2026-11-19T23:30:00")

    found = [page async for page in books.connect().pages("stock", since=dt.datetime(2026, 11, 20, 0, 10, tzinfo=dt.UTC))]

    assert "OLD" not in {record.id for page in found if isinstance(page, Records) for record in page.records}
    assert "NEW" in {record.id for page in found if isinstance(page, Records) for record in page.records}


@pytest.mark.parametrize(
    ("books_with", "order_with", "tax", "price"),
    [(False, False, None, "10"), (True, False, "21", "12.1"), (False, True, "21", "8.2645"), (True, False, None, "refused")],
)
async def test_a_price_is_said_as_the_books_count_and_never_guessed(books, books_with, order_with, tax, price):
    connector = books.connect(prices_include_tax=books_with)
    line = TradeLine(
        line_id="1", article_number="A-100", quantity=Exact("1"), unit_price=Exact("10"), tax_percent=Percent(tax) if tax else None
    )
    order = msgspec.structs.replace(books.simulator.examples["orders"], lines=[line], prices_include_tax=order_with)

    if price == "refused":
        with pytest.raises(ValueError, match="does not say its VAT"):
            connector.words("orders", order, books.context(connector, "orders"))
    else:
        words = connector.words("orders", order, books.context(connector, "orders"))
        assert words["lines"][0]["ART_PX"] == Exact(price)


async def test_a_charge_without_an_article_is_not_left_out_in_silence(books):
    line = TradeLine(line_id="1", kind="charge", description="Vracht", quantity=Exact("1"), unit_price=Exact("10"))

    with pytest.raises(ValueError, match="charges become"):
        await placed(books, lines=[line])


async def test_a_debtor_is_changed_without_touching_what_only_new_ones_get(books):
    connector = books.connect()
    card = ContactCard(number="1001", name="Nordlys Nieuw BV", email="inkoop@nordlys.example",
                       address=Address(street="Oudegracht", house_number="1", postcode="3511ab", city="Utrecht", country="NL"))  # fmt: skip
    [record] = await connector.find("contacts", "email", "inkoop@nordlys.example")

    changed = await connector.change("contacts", record.id, connector.words("contacts", card, books.context(connector, "contacts")))

    kept = books.simulator.rows["CONTACT"][record.id]
    assert isinstance(changed, Written)
    assert (kept["ACCT_NAME"], kept["POST_CODE"], kept["SRC_CODE"]) == ("Nordlys Nieuw BV", "3511 AB", "NORDLYS")


async def test_signing_in_asks_for_the_three_scopes_and_sends_the_secret_in_the_body(books):
    connector = books.connect()

    asked = parse_qs(urlsplit(connector.authorize_url("the-state")).query)
    grant = await connector.authorized("the-code")
    refused = await connector.authorized("another")

    assert asked["scope"] == ["readaccountviewdata updateaccountviewdata deleteaccountviewdata"]
    assert asked["redirect_uri"] == ["https://fjord.example/api/v1/connections/authorized"]
    assert isinstance(grant, Grant)
    assert isinstance(refused, Misconfigured)
    assert "authorization" not in books.simulator.asked[0].headers


async def test_a_place_of_delivery_without_a_name_is_the_customers(books):
    place = DeliveryPlace(address=Address(street="Kade", house_number="1", city="Utrecht", country="NL"))

    await placed(books, deliver_to=place)

    assert [row["DEL_NAME"] for row in books.simulator.rows["DEL_ADDR"].values()] == ["?"]


def sample_of(vendors: str, name: str) -> Any:
    """The body of a recorded request."""
    return json.loads(Path(vendors, "visma", "samples", "accountview", name).read_text())["body"]
