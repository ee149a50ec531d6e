"""The real Tryton: what a company keeps in it comes to us, and what we agree on arrives there once."""

import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from prodsys.connectors._base import Known, Later, Misconfigured, Pace, Record, Records, Refused, Written, read_config
from prodsys.connectors.tryton import Tryton
from prodsys.documents import Address, ContactCard, DeliveryPlace, Exact, Person, SalesOrder, TradeLine
from prodsys.kit.clock import now
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_tryton import TrytonBehindIt, method_of
from tests.connectors.tryton_erp import GTIN, Erp, many


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to Tryton, the server before it, and a person who works in it."""

    tryton: Tryton
    behind: TrytonBehindIt

    @property
    def erp(self) -> Erp:
        return self.behind.erp

    def reconnect(self, **changes: Any) -> Tryton:
        config, issues = read_config(Tryton.Config, self.behind.config() | changes)
        assert not issues
        return Tryton(config, msgspec.structs.replace(self.tryton.reach, pace=Pace()))

    async def all_of(self, kind: str, **asked: Any) -> dict[str, Any]:
        """Every document of a kind, by number."""
        documents = {}
        async for page in self.tryton.pages(kind, **asked):
            assert isinstance(page, Records), page
            for record in page.records:
                document = self.tryton.document(kind, record)
                documents[getattr(document, "number", None) or document.article_number] = document
        return documents

    async def place(self, order: SalesOrder) -> Any:
        """As a flow places an order: look for its customer and articles, then make it."""
        customer = await self.tryton.find("contacts", "email", order.customer.email)
        articles = await self.tryton.find_many("articles", "number", [line.article_number for line in order.lines if line.article_number])
        assert not isinstance(customer, Later | Misconfigured | Refused)
        assert not isinstance(articles, Later | Misconfigured | Refused)
        ids = {number: records[0].id for number, records in articles.items()}
        words = self.tryton.words("orders", order, Known(customer=customer[0].id, articles=ids, config=self.tryton.config))
        return await self.tryton.create("orders", words)

    async def found(self, kind: str, number: str) -> list[Record]:
        found = await self.tryton.find(kind, "reference", number)
        assert not isinstance(found, Later | Misconfigured | Refused), found
        return list(found)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    async with serving(TrytonBehindIt()) as behind, reaching(behind, timeout=60) as reach:
        assert isinstance(behind, TrytonBehindIt)
        config, _ = read_config(Tryton.Config, behind.config())
        yield Office(tryton=Tryton(config, reach), behind=behind)


def an_order(number: str, **changes: Any) -> SalesOrder:
    line = TradeLine(line_id="1", article_number="A-200", quantity=Exact("10"), unit_price=Exact("0.40"))
    customer = ContactCard(number="1001", name="Nordlys AS", email="innkjop@nordlys.example")
    order = SalesOrder(number=number, date=dt.date(2026, 11, 22), currency="NOK", customer=customer, lines=[line])
    return msgspec.structs.replace(order, **changes)


async def test_customers_articles_and_stock_come_as_they_are_kept_there(office):
    customers = await office.all_of("contacts")
    articles = await office.all_of("articles")
    stock = await office.all_of("stock")

    nordlys = customers["1001"]
    assert (nordlys.name, nordlys.email, nordlys.phone) == ("Nordlys AS", "innkjop@nordlys.example", "+47 22 00 00 00")
    assert (nordlys.address.street, nordlys.address.house_number) == ("Storgata", "1")
    assert (nordlys.address.postcode, nordlys.address.city, nordlys.address.country) == ("0155", "Oslo", "NO")
    assert (customers["S-1"].is_customer, customers["S-1"].is_supplier) == (False, True), "products are bought of it"
    bolt = articles["A-100"]
    assert (bolt.name, bolt.price, bolt.currency, bolt.unit, bolt.gtin) == ("Bolt M8", Decimal("1.30"), "NOK", "H87", GTIN)
    assert articles["T-1"].kind == "virtual"
    assert (stock["A-100"].on_hand, stock["A-100"].available) == (100, 100)
    assert "T-1" not in stock, "a service is not in stock"


async def test_only_what_has_changed_is_read_again(office):
    before = now()
    party = office.erp.make("party.party", name="Fersk AS", code=f"F-{before.timestamp()}")

    changed = await office.all_of("contacts", since=before)
    assert [(one.name, one.is_customer, one.is_supplier) for one in changed.values()] == [("Fersk AS", False, False)]

    later = now()
    office.erp.make("party.address", party=party, street="Nygata 3", city="Oslo")
    assert [one.address.city for one in (await office.all_of("contacts", since=later)).values()] == ["Oslo"]


async def test_an_order_arrives_as_a_draft_with_what_a_person_would_get_from_the_party_and_the_products(office):
    made = await office.place(an_order("SO-DRAFT"))

    assert isinstance(made, Written), made
    said = ("state", "number", "reference", "party.name", "invoice_address.city", "untaxed_amount", "total_amount", "lines.unit.symbol")
    sale = office.erp.read("sale.sale", int(made.id), *said)
    assert (sale["state"], sale["number"], sale["reference"]) == ("draft", None, "SO-DRAFT")
    assert (sale["party."]["name"], sale["invoice_address."]["city"]) == ("Nordlys AS", "Oslo")
    assert (sale["untaxed_amount"]["decimal"], sale["total_amount"]["decimal"]) == ("4.00", "5.00")
    assert [line["unit."]["symbol"] for line in sale["lines."]] == ["u"]


async def test_an_order_whose_answer_is_lost_is_found_again_and_there_once(office):
    assert (await office.tryton.test()).is_fine
    office.behind.stumble(Fault(stumble="drop_after", method="POST"))
    before = office.behind.held("orders")

    lost = await office.place(an_order("SO-LOST"))
    found = await office.found("orders", "SO-LOST")

    assert isinstance(lost, Later)
    assert lost.sent
    assert len(found) == 1
    assert office.behind.held("orders") == before + 1
    assert office.tryton.document("orders", found[0]).lines[0].article_number == "A-200"


async def test_a_stumble_while_only_asking_says_that_nothing_was_made(office):
    assert (await office.tryton.test()).is_fine
    before = office.behind.held("orders")
    office.behind.stumble(Fault(stumble="drop_after", path="sale.line.on_change", times=99))

    outcome = await office.place(an_order("SO-NOT-YET"))

    assert isinstance(outcome, Later)
    assert not outcome.sent
    assert office.behind.held("orders") == before


async def test_a_delivery_address_whose_answer_is_lost_is_made_once(office):
    assert (await office.tryton.test()).is_fine
    where = Address(street="Fjellveien", house_number=f"{office.erp.count('party_address')}", postcode="5019", city="Bergen", country="NO")
    order = an_order(f"SO-{where.house_number}", deliver_to=DeliveryPlace(name="Lager 3", address=where))
    before = office.erp.count("party_address")
    office.behind.stumble(Fault(stumble="drop_after", path="party.address.create"))

    lost, made = await office.place(order), await office.place(order)

    assert isinstance(lost, Later)
    assert not lost.sent, "no order was on its way yet"
    assert isinstance(made, Written), made
    assert office.erp.count("party_address") == before + 1
    sale = office.erp.read("sale.sale", int(made.id), "shipment_address.party_name", "shipment_address.street")
    assert (sale["shipment_address."]["party_name"], sale["shipment_address."]["street"]) == ("Lager 3", f"Fjellveien {where.house_number}")


async def test_what_tryton_refuses_is_told_in_its_words_and_nothing_is_kept(office):
    before = office.behind.held("orders")
    half = TradeLine(line_id="1", article_number="A-200", quantity=Exact("0.5"), unit_price=Exact("1"))

    refused = await office.place(an_order("SO-HALF", lines=[half]))

    assert isinstance(refused, Refused), refused
    assert "Quantity" in refused.problem.title
    assert office.behind.held("orders") == before


async def test_how_an_order_stands_comes_back(office):
    made = await office.place(an_order("SO-STATUS", lines=[msgspec.structs.replace(an_order("x").lines[0], article_number="A-100")]))
    assert isinstance(made, Written), made
    said = []
    for step in ("", "quote", "confirm", "shipped"):
        if step == "shipped":
            ship(office.erp, int(made.id))
        elif step:
            office.erp.press("sale.sale", step, int(made.id))
        status = office.tryton.document("order_status", (await office.found("order_status", "SO-STATUS"))[0])
        said.append(status.status)

    stock = await office.all_of("stock")

    assert said == ["open", "open", "in_progress", "shipped"]
    assert stock["A-100"].on_hand == 90


def ship(erp: Erp, sale: int) -> None:
    (shipment,) = erp.read("sale.sale", sale, "shipments")["shipments"]
    for step in ("wait", "assign_try", "pick", "pack", "do"):
        erp.press("stock.shipment.out", step, shipment)


async def test_an_invoice_arrives_as_a_draft_and_comes_back_with_its_number_and_sums_when_a_person_has_posted_it(office):
    draft = office.behind.examples["invoice_drafts"]
    words = office.tryton.words("invoice_drafts", draft, office.behind.known("invoice_drafts"))

    made = await office.tryton.create("invoice_drafts", words)
    assert isinstance(made, Written), made
    waiting = await office.all_of("invoice_drafts")
    office.erp.press("account.invoice", "post", int(made.id))
    [invoice] = (await office.all_of("invoices")).values()

    assert waiting[draft.number].customer_reference == "PO-78"
    assert (invoice.order_number, invoice.status, invoice.number != draft.number) == (draft.number, "open", True)
    # 25 % follows from the product, as it does for a person.
    assert (invoice.net, invoice.tax, invoice.gross, invoice.paid) == (10, Decimal("2.5"), Decimal("12.5"), 0)
    assert draft.number not in await office.all_of("invoice_drafts")


async def test_an_account_nobody_knows_there_is_told_by_its_number(office):
    move = office.behind.examples["vouchers"]
    lines = [msgspec.structs.replace(move.lines[0], account="9.9.9"), move.lines[1]]
    words = office.tryton.words("vouchers", msgspec.structs.replace(move, lines=lines), Known())

    refused = await office.tryton.create("vouchers", words)

    assert isinstance(refused, Refused)
    assert refused.problem.title == "Tryton has no account 9.9.9."


async def test_a_purchase_order_made_there_comes_as_one_to_be_placed_with_its_supplier(office):
    erp = office.erp
    supplier, bolt = erp.one("party.party", ["code", "=", "S-1"]), erp.one("product.product", ["code", "=", "A-100"])
    offer = erp.one("purchase.product_supplier", ["code", "=", "SKR-A-100"])
    unit, nok = erp.one("product.uom", ["symbol", "=", "u"]), erp.one("currency.currency", ["code", "=", "NOK"])
    line = {"product": bolt, "product_supplier": offer, "unit": unit, "quantity": 500.0, "unit_price": Decimal("0.9")}
    head = {"party": supplier, "currency": nok, "purchase_date": dt.date(2026, 11, 22), "delivery_date": dt.date(2026, 12, 1),
            "invoice_address": erp.one("party.address", ["party", "=", supplier])}  # fmt: skip
    purchase = erp.make("purchase.purchase", **head, lines=many(line))
    erp.make("purchase.purchase", **head, description="Still being thought about", lines=many(line))
    erp.press("purchase.purchase", "quote", purchase)
    erp.press("purchase.purchase", "confirm", purchase)

    listed = await office.all_of("purchase_orders")

    number = erp.read("purchase.purchase", purchase, "number")["number"]
    assert list(listed) == [number], "a draft stays there"
    order = listed[number]
    assert (order.status, order.currency, order.requested_date) == ("processing", "NOK", dt.date(2026, 12, 1))
    assert (order.supplier.name, order.supplier.email, order.supplier.is_supplier) == ("Skruefabrikken AS", "ordre@skrue.example", True)
    bought = order.lines[0]
    assert (bought.article_number, bought.supplier_article_number) == ("A-100", "SKR-A-100")
    assert (bought.quantity, bought.unit, bought.unit_price) == (500, "H87", Decimal("0.9"))


async def test_a_customer_is_made_once_and_brought_up_to_date_in_place(office):
    card = office.behind.examples["contacts"]
    context = Known(config=office.tryton.config)
    made = await office.tryton.create("contacts", office.tryton.words("contacts", card, context))
    assert isinstance(made, Written), made
    new_street = msgspec.structs.replace(card.address, street="Nygaten")
    ola = Person(name="Ola", email="ola@havn.example")
    moved = msgspec.structs.replace(card, phone="+47 55 11 11 11", address=new_street, persons=[ola])

    twice = await office.tryton.create("contacts", office.tryton.words("contacts", card, context))
    changed = await office.tryton.change("contacts", made.id, office.tryton.words("contacts", moved, context))
    (by_email,) = await office.tryton.find("contacts", "email", card.email.upper())

    assert isinstance(twice, Refused)
    assert "code" in twice.problem.title
    assert isinstance(changed, Written), changed
    now_there = office.tryton.document("contacts", by_email)
    assert (by_email.id, now_there.phone, now_there.address.street) == (made.id, "+47 55 11 11 11", "Nygaten")
    assert [person.name for person in now_there.persons] == ["Kari Havn", "Ola"], "nobody is taken away"
    assert len(office.erp.read("party.party", int(made.id), "addresses")["addresses"]) == 2


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"database": "elsewhere"}, "database", "There is no database elsewhere"),
        ({"user": "nobody", "password": "guessed"}, "password", "Check User and Password"),
        ({"company": "Somebody Else AS"}, "company", "Fjord Lager AS"),
    ],
)
async def test_a_test_names_the_field_that_is_at_fault(office, changes, field, words):
    tested = await office.reconnect(**changes).test()

    assert not tested.is_fine
    assert [check.field for check in tested.checks] == [field]
    assert words in tested.checks[0].message


async def test_a_whole_list_needs_few_questions(office):
    await office.tryton.test()
    office.behind.asked.clear()

    articles = await office.all_of("articles")
    await office.tryton.find_many("articles", "number", ["A-100", "A-200", "A-404"])

    assert len(articles) >= 3
    assert [method_of(asked) for asked in office.behind.asked] == ["model.product.product.search_read"] * 2
