"""What is odd about Visma.net, and what source 001 tells: orders of a shop become its sales orders, its articles and stock the shop's."""

import json
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from prodsys.connectors._base import Known, Later, Pace, Reach, Record, Refused, Written, read_config
from prodsys.connectors.visma_net import VismaNet
from prodsys.documents import Exact, Percent, TradeLine
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_ccv_salespos import CcvSalesPosSim
from tests.connectors.sim_visma_net import VismaNetSim
from tests.connectors.wired import a_company, a_flow, connect, refused_in, run
from tests.stories.company import Company


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator, and a connection to it."""

    simulator: VismaNetSim
    reach: Reach

    def connect(self, **changes: Any) -> VismaNet:
        config, issues = read_config(VismaNet.Config, self.simulator.config() | changes)
        assert not issues
        return VismaNet(config, msgspec.structs.replace(self.reach, pace=Pace()))

    def words(self, visma: VismaNet, kind: str, **changes: Any) -> Any:
        document = msgspec.structs.replace(self.simulator.examples[kind], **changes)
        context: Known = msgspec.structs.replace(self.simulator.known(kind), config=visma.config)
        return visma.words(kind, document, context)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with serving(VismaNetSim()) as simulator, reaching(simulator) as reach:
        assert isinstance(simulator, VismaNetSim)
        yield Desk(simulator=simulator, reach=reach)


@pytest.fixture
async def fjord(database_url: str, tmp_path: Path) -> AsyncIterator[Company]:
    async with a_company(database_url, tmp_path) as company:
        yield company


@pytest.fixture
async def visma() -> AsyncIterator[VismaNetSim]:
    async with serving(VismaNetSim()) as simulator:
        assert isinstance(simulator, VismaNetSim)
        yield simulator


@pytest.fixture
async def shop() -> AsyncIterator[CcvSalesPosSim]:
    async with serving(CcvSalesPosSim()) as simulator:
        assert isinstance(simulator, CcvSalesPosSim)
        yield simulator


COMPANY = {"company": "Havn Bygg AS", "first_name": "Kari", "last_name": "Havn", "street": "Kaiveien", "housenumber": 7, "zipcode": "5003",
           "city": "Bergen", "country_code": "NO"}  # fmt: skip
PERSON = {
    "first_name": "Jan",
    "last_name": "de Vries",
    "address_line_1": "Storgata 1",
    "zipcode": "0155",
    "city": "Oslo",
    "country_code": "NO",
}
KNOWN = {"company": "Nordlys AS", "address_line_1": "Nygata 9", "zipcode": "0155", "city": "Oslo", "country_code": "NO"}


async def test_only_paid_orders_go_and_their_customers_are_found_by_email_or_made(
    fjord: Company, shop: CcvSalesPosSim, visma: VismaNetSim
) -> None:
    shop.rows["orders"].clear()
    for number, email, bill, paid in (("1", "innkjop@nordlys.example", KNOWN, True), ("2", "kari@havn.example", COMPANY, True),
                                      ("3", "jan@vries.example", PERSON, True), ("4", "late@payer.example", PERSON, False)):  # fmt: skip
        shop.sell(number, {"status": 1, "paid": paid, "customer": {"email": email, "billingaddress": bill}, "currency": "NOK"})
    unknown = shop.sell("5", {"status": 1, "paid": True, "customer": {"email": "kari@havn.example", "billingaddress": COMPANY}})
    shop.order_rows[unknown][0]["product_number"] = "NOT-THERE"
    made, there = await connect(fjord, shop, "Shop"), await connect(fjord, visma, "Visma.net")
    flow = await a_flow(fjord, made, "orders", "in", other=there["id"], settings={"where": {"is_paid": "true"}})

    first, again = await run(fjord, flow), await run(fjord, flow)

    orders = {order["customer"]["refNo"]: order for order in visma.orders.values()}
    names = {row["mainContact"]["email"]: row for row in visma.customers.values()}
    assert sorted(orders) == ["1", "2", "3"]
    assert (first["created"], first["refused"], again["created"]) == (3, 1, 0)
    assert await refused_in(fjord, first) == {"5": ["article_missing_there"]}
    assert orders["1"]["customer"]["id"] == "10000", "the customer that was there"
    assert names["innkjop@nordlys.example"]["mainAddress"]["addressLine1"] == "Nygata 9", "brought up to date"
    company, person = names["kari@havn.example"], names["jan@vries.example"]
    assert (company["name"], company["mainContact"]["attention"], company["customerClass"]["id"]) == ("Havn Bygg AS", "Kari Havn", "1")
    assert (person["name"], person["mainContact"].get("attention"), person["customerClass"]["id"]) == ("Jan de Vries", None, "PRIVATE")
    assert {order["status"]["description"] for order in orders.values()} == {"Hold"}
    # The shop's price holds the tax of 21 %, Visma.net's does not.
    assert [(line["inventoryId"], line["quantity"], line["unitPrice"]) for line in orders["1"]["lines"]] == [
        ("A-100", 2, Decimal("1.2975"))
    ]


async def test_articles_and_stock_of_visma_net_arrive_in_the_shop_by_their_sku(
    fjord: Company, shop: CcvSalesPosSim, visma: VismaNetSim
) -> None:
    visma.items["A-300"] = visma.items["A-200"] | {"inventoryNumber": "A-300", "crossReferences": []}
    visma.max_page_size = 2
    without_tax = shop.config() | {"prices_include_tax": False}
    made, there = await connect(fjord, visma, "Visma.net"), await connect(fjord, shop, "Shop", config=without_tax)
    tariffs = [{"direction": "in", "source": "3", "target": "normal"}]
    await fjord.call("PUT", f"/connections/{made['id']}/lists/tax_codes", json={"entries": tariffs})
    articles = await a_flow(fjord, made, "articles", "in", other=there["id"], settings={"currency": "NOK"})
    stock = await a_flow(fjord, made, "stock", "in", other=there["id"])

    taken, counted = await run(fjord, articles), await run(fjord, stock)

    products = {row["productnumber"]: row for row in shop.rows["products"].values()}
    assert (taken["refused"], counted["refused"]) == (0, 0), await refused_in(fjord, taken)
    assert products["A-300"]["name"] == "Item A-200"
    # Both warehouses, less what sales have reserved.
    assert Decimal(str(products["A-100"]["stock"])) == Decimal("49.5")


async def test_a_change_is_made_only_to_what_was_read_and_leaves_the_class_alone(desk):
    visma = desk.connect()
    moved = desk.words(visma, "contacts", phone="+47 55 99 99 99")

    changed = await visma.change("contacts", "10000", moved)
    sent = desk.simulator.asked[-1]
    desk.simulator.stumble(Fault(stumble="status", method="PUT", status=412, body={"message": "The record has been changed."}))
    stale = await visma.change("contacts", "10000", moved)

    assert isinstance(changed, Written), changed
    assert sent.headers["if-match"] == '"1"'
    assert "overrideWithClassValues" not in sent.json
    assert desk.simulator.customers["10000"]["mainContact"]["phone1"] == "+47 55 99 99 99"
    assert isinstance(stale, Later)
    assert not stale.sent


async def test_a_rule_broken_that_is_said_with_500_is_a_refusal_and_not_a_breakdown(desk):
    status, body = desk.simulator.error("'Customer ID' cannot be empty.")
    assert status == 400
    desk.simulator.stumble(Fault(stumble="status", method="POST", path="/v1/customer", status=500, body=body))
    visma = desk.connect()

    outcome = await visma.create("contacts", desk.words(visma, "contacts"))

    assert isinstance(outcome, Refused), outcome
    assert "'Customer ID' cannot be empty." in outcome.problem.title


async def test_what_is_wrong_with_an_order_is_told_with_its_code_and_its_row(desk):
    visma = desk.connect()
    strange = TradeLine(line_id="1", article_number="NOT-THERE", quantity=Exact("1"), unit_price=Exact("1"))

    outcome = await visma.create("orders", desk.words(visma, "orders", lines=[strange]))

    assert isinstance(outcome, Refused), outcome
    assert [(issue.code, issue.params["field"]) for issue in outcome.problem.issues] == [
        ("1804-InventoryIdNotFound", "orderLines[0].inventoryId")
    ]


async def test_a_price_we_agreed_on_is_not_replaced_by_their_price_rules_and_texts_become_the_orders_note(desk):
    visma = desk.connect()
    line = TradeLine(line_id="1", article_number="A-100", quantity=Exact("200"), unit_price=Exact("45"))
    text = TradeLine(line_id="2", kind="text", description="Leveres samlet")

    made = await visma.create("orders", desk.words(visma, "orders", lines=[line, text]))
    assert isinstance(made, Written), made

    order = desk.simulator.orders[made.id]
    assert [row["unitPrice"] for row in order["lines"]] == [45]
    assert order["note"] == "Ring før levering\nLeveres samlet"


async def test_a_charge_without_an_article_is_refused_before_anything_is_sent(desk):
    visma = desk.connect()
    freight = TradeLine(line_id="1", kind="charge", description="Frakt", quantity=Exact("1"), unit_price=Exact("99"))

    with pytest.raises(ValueError, match="rows with an article only"):
        desk.words(visma, "orders", lines=[freight])


async def test_an_order_is_found_among_many_and_with_all_of_its_rows(desk):
    visma = desk.connect()
    desk.simulator.max_page_size = 2
    lines = [TradeLine(line_id=str(at), article_number="A-100", quantity=Exact("1"), unit_price=Exact("1")) for at in range(1, 6)]
    for number in range(5):
        assert isinstance(await visma.create("orders", desk.words(visma, "orders", number=f"SO-{number}", lines=lines)), Written)

    found = await visma.find("orders", "reference", "SO-3")
    missing = await visma.find("orders", "reference", "SO-9")

    assert isinstance(found, list)
    assert [record.number for record in found] == ["SO-3"]
    assert len(visma.document("orders", found[0]).lines) == 5
    assert missing == []


async def test_a_purchase_order_comes_with_its_suppliers_numbers(desk):
    visma = desk.connect()

    read = [record async for page in visma.pages("purchase_orders", where={"status": "Open"}) for record in page.records]

    [order] = [visma.document("purchase_orders", record) for record in read]
    [line] = order.lines
    assert (order.number, order.supplier.number, order.supplier.name, order.status) == ("000017", "50000", "Skruefabrikken AS", "Open")
    assert (line.supplier_article_number, line.quantity, line.unit_price, line.discount_percent) == (
        "SKR-A-100", 500, Decimal("0.9"), Decimal("2.5"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"tenant_id": "00000000-0000-0000-0000-000000000000"}, "tenant_id", "not entitled"),
        ({"client_secret": "guessed"}, "client_secret", "Check"),
        ({"customer_class": "GOLD"}, "customer_class", "it has 1, PRIVATE"),
    ],
)
async def test_a_test_names_the_field_that_is_at_fault(desk, changes, field, words):
    tested = await desk.connect(**changes).test()

    assert not tested.is_fine
    assert [check.field for check in tested.checks] == [field]
    assert words in tested.checks[0].message


async def test_a_company_that_shows_nothing_is_not_taken_for_an_empty_one(desk):
    desk.simulator.classes = []

    tested = await desk.connect().test()

    assert [(check.field, check.is_fine) for check in tested.checks] == [("tenant_id", False)]


async def test_our_token_goes_to_the_two_hosts_of_the_form_and_no_other(desk):
    visma = desk.connect()
    desk.simulator.stumble(
        Fault(stumble="status", path="/api/v3/SalesOrders", status=200, body={"value": [], "totalCount": 9, "nextPage": "https://elsewhere.example/x"})
    )  # fmt: skip

    pages = [page async for page in visma.pages("orders")]

    assert getattr(pages[-1], "reason", "") == "other_host"


@pytest.mark.parametrize("is_draft", [True, False])
async def test_an_invoice_made_of_an_order_waits_there_on_hold_or_to_be_released_and_is_found_as_an_invoice(desk, is_draft):
    visma = desk.connect()
    line = TradeLine(line_id="1", article_number="A-100", quantity=Exact("2"), unit_price=Exact("125"), tax_percent=Percent("25"))
    changes = {"kind": "invoice", "is_draft": is_draft, "prices_include_tax": True, "lines": [line]}
    order = msgspec.structs.replace(desk.simulator.examples["orders"], **changes)

    made = await visma.create("orders", visma.words("orders", order, desk.simulator.known("orders")))
    found = await visma.find("orders", "reference", "SO-1042")

    assert isinstance(made, Written), made
    assert [record.id for record in found] == [made.id]
    [invoice] = desk.simulator.invoices.values()
    assert invoice["status"] == ("Hold" if is_draft else "Balanced")
    assert (invoice["externalReference"], invoice["customerRefNumber"], invoice["documentDate"]) == (
        "SO-1042", "PO-77", "2026-11-21T00:00:00",
    )  # fmt: skip
    assert [(row["inventoryNumber"], row["unitPriceInCurrency"]) for row in invoice["invoiceLines"]] == [("A-100", 100)]


@pytest.mark.parametrize(
    ("kind", "method", "name"),
    [("contacts", "POST", "CustomerUpdateDto"), ("contacts", "PUT", "CustomerUpdateDto"), ("orders", "POST", "NewSalesOrderCommand"),
     ("invoice_drafts", "POST", "CustomerInvoiceUpdateDto"), ("vouchers", "POST", "JournalTransactionUpdateDto")],
)  # fmt: skip
async def test_what_we_send_is_valid_by_the_vendors_specification(desk, kind, method, name):
    vendors = os.environ.get("PRODSYS_VENDORS")
    if not vendors:
        pytest.skip("PRODSYS_VENDORS does not say where the vendors' documents are.")
    visma = desk.connect()

    if method == "PUT":
        await visma.change("contacts", "10000", desk.words(visma, "contacts"))
    else:
        await visma.create(kind, desk.words(visma, kind))

    file = "visma-net-salesorder-v3-1.0.14.784.reconstructed.json" if kind == "orders" else "visma-net-erp-api-9.66.02.1023.json"
    sent = next(asked for asked in reversed(desk.simulator.asked) if asked.method == method and asked.path != "/connect/token")
    jsonschema.validate(json.loads(sent.body), strict(vendors, file, {"$ref": f"#/components/schemas/{name}"}))


async def test_what_we_read_is_what_the_vendor_samples_hold(desk):
    vendors = os.environ.get("PRODSYS_VENDORS")
    if not vendors:
        pytest.skip("PRODSYS_VENDORS does not say where the vendors' documents are.")
    visma = desk.connect()

    customer = visma.document("contacts", sample(vendors, "customer-list.json"))
    article = visma.document("articles", sample(vendors, "inventory-list.json"))
    stock = visma.document("stock", sample(vendors, "inventory-v3.json"))

    assert (customer.number, customer.name, customer.email, customer.address.house_number) == (
        "10000",
        "Nordlys AS",
        "kari@example.no",
        "1",
    )
    assert (article.number, article.price, article.gtin, article.tax_code) == ("StockItem1", Decimal("101.25"), "7041234567890", "3")
    assert (stock.on_hand, stock.reserved, stock.ordered, stock.available) == (50, 6, 10, 44)


def sample(vendors: str, name: str) -> Record:
    """The first record of a list the vendor shows."""
    body = json.loads(Path(vendors, "visma", "samples", "visma-net", name).read_text(), parse_float=Decimal)["body"]
    return Record(id="1", theirs=(body if isinstance(body, list) else body["value"])[0])


def strict(vendors: str, file: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of one of the vendor's OpenAPI documents as JSON Schema that allows no member the document does not know."""
    specification = json.loads(Path(vendors, "visma", "openapi", file).read_text())

    def closed(part: Any) -> Any:
        if isinstance(part, list):
            return [closed(one) for one in part]
        if not isinstance(part, dict):
            return part
        made = {name: closed(value) for name, value in part.items() if name not in ("example", "nullable")}
        return made | ({"additionalProperties": False} if isinstance(part.get("properties"), dict) else {})

    components = {"schemas": {name: closed(one) for name, one in specification["components"]["schemas"].items()}}
    return schema | {"components": components}
