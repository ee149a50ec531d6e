"""What is odd about eAccounting: labels that have to be made first, a wait told in a sentence, invoices that are booked at once."""

import json
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml  # type: ignore[import-untyped]  # comes without types

from prodsys.connectors._base import Known, Later, Pace, Reach, Record, Written, read_config
from prodsys.connectors.eaccounting import EAccounting
from prodsys.documents import Exact, Percent, TradeLine
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_eaccounting import EAccountingSim


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator, and a connection to it."""

    simulator: EAccountingSim
    reach: Reach

    def connect(self) -> EAccounting:
        config, issues = read_config(EAccounting.Config, self.simulator.config())
        assert not issues
        return EAccounting(config, msgspec.structs.replace(self.reach, pace=Pace()))

    def words(self, books: EAccounting, kind: str, /, **changes: Any) -> Any:
        document = msgspec.structs.replace(self.simulator.examples[kind], **changes)
        context: Known = msgspec.structs.replace(self.simulator.known(kind), config=books.config)
        return books.words(kind, document, context)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with serving(EAccountingSim()) as simulator, reaching(simulator) as reach:
        assert isinstance(simulator, EAccountingSim)
        yield Desk(simulator=simulator, reach=reach)


async def test_attributes_and_features_are_labels_and_those_it_lacks_are_made_once(desk):
    books = desk.connect()
    words = desk.words(books, "articles", attributes={"Colour": "blue"}, features={"Origin": "NO", "Lead time": "2 weeks"})

    made = await books.create("articles", words)

    labels = [row["Name"] for row in desk.simulator.rows["articlelabels"].values()]
    assert isinstance(made, Written), made
    assert sorted(labels) == ["Colour: blue", "Colour: red", "Lead time: 2 weeks", "Origin: NO"]
    read = books.document("articles", await books.get("articles", made.id))
    assert read.features == {"Colour": "blue", "Origin": "NO", "Lead time": "2 weeks"}
    with pytest.raises(ValueError, match="at most 5 attributes and features"):
        desk.words(books, "articles", attributes={f"a{at}": "x" for at in range(6)}, features={})


async def test_how_long_to_wait_stands_in_their_sentence(desk):
    books = desk.connect()
    said = {"ErrorCode": 4010, "DeveloperErrorMessage": "Too many requests. Try again in 55 seconds.", "ErrorId": "1", "Errors": None}
    desk.simulator.stumble(Fault(stumble="status", method="POST", status=429, body=said))

    outcome = await books.create("orders", desk.words(books, "orders"))

    assert isinstance(outcome, Later)
    assert (outcome.retry_after, outcome.sent) == (55, False)


@pytest.mark.parametrize(
    ("kind", "is_draft", "there"),
    [("order", True, "orders"), ("order", False, "orders"), ("sales_invoice", True, "customerinvoicedrafts"),
     ("invoice", True, "customerinvoicedrafts"), ("invoice", False, "customerinvoices")],
)  # fmt: skip
async def test_an_order_becomes_an_order_the_draft_of_an_invoice_or_an_invoice_and_is_found_as_what_it_became(desk, kind, is_draft, there):
    books = desk.connect()

    made = await books.create("orders", desk.words(books, "orders", kind=kind, is_draft=is_draft))
    found = await books.find("orders", "reference", "SO-1042")

    assert isinstance(made, Written), made
    assert [record.id for record in found] == [made.id]
    [row] = desk.simulator.rows[there].values()
    assert (row["BuyersOrderReference"], row["YourReference"]) == ("SO-1042", "PO-77")
    assert row.get("Status") == ({True: 1, False: 2}[is_draft] if there == "orders" else None)


async def test_discounts_of_row_and_order_are_taken_one_after_the_other_and_said_as_a_fraction(desk):
    books = desk.connect()
    line = TradeLine(line_id="1", article_number="A-100", quantity=Exact("1"), unit_price=Exact("200"), discount_percent=Percent("10"))

    words = desk.words(books, "orders", lines=[line], discount_percent=Percent("5"))

    assert (words["Rows"][0]["UnitPrice"], words["Rows"][0]["DiscountPercentage"]) == (200, Decimal("0.145"))


async def test_a_voucher_is_numbered_there_found_by_ours_alone_and_has_to_balance(desk):
    books = desk.connect()

    made = await books.create("vouchers", desk.words(books, "vouchers"))
    other = await books.create("vouchers", desk.words(books, "vouchers", number="V-70"))
    found = await books.find("vouchers", "reference", "V-7")

    assert isinstance(made, Written), made
    assert isinstance(other, Written), other
    assert [(record.id, record.number) for record in found] == [(made.id, "A1")]
    voucher = books.document("vouchers", found[0])
    assert [(line.account, line.amount) for line in voucher.lines] == [("4300", Decimal("100.25")), ("1920", Decimal("-100.25"))]
    assert voucher.description == "V-7: Kjøp av skruer"
    with pytest.raises(ValueError, match=r"differ by 100\.25"):
        desk.words(books, "vouchers", lines=desk.simulator.examples["vouchers"].lines[:1])


@pytest.mark.parametrize(
    ("kind", "schema"),
    [("contacts", "CustomerApi"), ("articles", "ArticleApi"), ("orders", "OrderApi"), ("invoice_drafts", "CustomerInvoiceDraftApi"),
     ("invoices", "CustomerInvoiceApi"), ("vouchers", "VoucherApi")],
)  # fmt: skip
async def test_what_we_send_is_valid_by_the_vendors_specification(desk, kind, schema):
    vendors = os.environ.get("PRODSYS_VENDORS")
    if not vendors:
        pytest.skip("PRODSYS_VENDORS does not say where the vendors' documents are.")
    books = desk.connect()
    components = components_of(vendors)

    await books.create(kind, desk.words(books, kind))

    sent = json.loads(desk.simulator.asked[-1].body)
    jsonschema.validate(sent, {"$ref": f"#/components/schemas/{schema}", "components": components})
    assert sent.keys() <= components["schemas"][schema]["properties"].keys()


async def test_a_value_of_another_shape_is_no_text(desk):
    books = desk.connect()

    with pytest.raises(ValueError, match="more than a text"):
        books.document("contacts", Record(id="1", theirs={"Name": {"first": "Kari"}, "CustomerNumber": "1"}))


def components_of(vendors: str) -> dict[str, Any]:
    """The schemas of the vendor's OpenAPI document."""
    components: dict[str, Any] = yaml.safe_load(Path(vendors, "visma", "openapi", "eaccounting-v2.yaml").read_text())["components"]
    return components
