"""What a flow's settings make of documents, word by word as product.md, C1 to C8, has them; no server is needed for it."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest

from prodsys.connections import store
from prodsys.connections.abroad import Abroad, Going
from prodsys.connections.books import Coming, Manner, our_books
from prodsys.connections.events import FlowKind
from prodsys.connections.model import FlowSettings, ListEntry, NewFlow, flow_faults, needed_by_us, uncovered
from prodsys.connections.preparing import manner_of
from prodsys.connections.shaping import is_wanted, limit_faults, look_in, shaped, stock_of, translated
from prodsys.connections.wording import said_of
from prodsys.connectors import CONNECTORS, known
from prodsys.connectors._base import KINDS, Connector, Known, Limit, Record, capabilities
from prodsys.connectors._words import where
from prodsys.contacts import store as contacts
from prodsys.contacts.store import Rewritten
from prodsys.documents import Address, ContactCard, DeliveryPlace, Exact, Person, SalesOrder, Stock, TradeLine
from prodsys.exchange.engine import Outcome, Placed, Refused, place_abroad
from prodsys.exchange.mapping import Adjustments
from prodsys.exchange.outbox import Claimed
from prodsys.kit.db import Database
from tests.connectors.loopback import reaching, serving
from tests.connectors.sim_eaccounting import EAccountingSim
from tests.connectors.test_promises import Bench
from tests.rooms.makers import a_company

ROW = TradeLine(line_id="10", article_number="A-100", quantity=Exact("2"), unit_price=Exact("1.3"))
ORDER = SalesOrder(
    number="SO-1", date=dt.date(2026, 11, 21), currency="NOK", lines=[ROW],
    customer=ContactCard(name="Nordlys AS", email="innkjop@nordlys.example", address=Address(postcode="0155", city="Oslo", country="NO")),
)  # fmt: skip
NOTHING = look_in({}, "out")


def an_order(**changes: Any) -> SalesOrder:
    return msgspec.structs.replace(ORDER, **changes)


def lists(**entries: Mapping[str, str]) -> Any:
    """List mappings on the way out: by list, from our code to theirs."""
    listed = {
        name: [ListEntry(direction="out", source=ours, target=theirs) for ours, theirs in one.items()] for name, one in entries.items()
    }
    return look_in(listed, "out")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_document_has_a_system_it_comes_from_and_one_it_goes_to(kind):
    offered = {one.direction for name in CONNECTORS for one in capabilities(known()[name]) if one.kind == kind and one.is_offered}

    assert offered == {"in", "out"}


@pytest.mark.parametrize(
    ("flow", "code"),
    [({"trigger": "schedule", "every_seconds": 5}, "interval_missing"), ({"direction": "in", "trigger": "event"}, "event_not_offered"),
     ({"trigger": "schedule", "every_seconds": 60}, ""), ({"trigger": "event"}, ""), ({"trigger": "hand"}, "")],
)  # fmt: skip
def test_a_flow_runs_on_an_event_by_schedule_or_by_hand(flow, code):
    faults = flow_faults((known()["eaccounting"], {}), None, NewFlow(**{"kind": "orders", "direction": "out"} | flow))

    assert [fault.code for fault in faults] == [code] * bool(code)


def test_orders_before_the_from_date_are_left():
    settings = FlowSettings(from_date=dt.date(2026, 11, 21))

    assert is_wanted(settings, {}, ORDER, {})
    assert not is_wanted(settings, {}, an_order(date=dt.date(2026, 11, 20)), {})


def test_only_paid_orders_are_wanted_where_the_system_cannot_be_asked_for_them():
    settings = FlowSettings(where={"is_paid": "true"})

    assert is_wanted(settings, {}, an_order(is_paid=True), {})
    assert not is_wanted(settings, {}, an_order(is_paid=False), {})


def test_what_is_missing_in_an_order_is_filled_in_the_employee_is_999999_and_what_it_says_itself_stays():
    settings = FlowSettings(branch="2", warehouse="W1")

    filled = shaped(ORDER, settings, NOTHING)
    kept = shaped(an_order(employee_number="7", branch="1", warehouse="W9"), settings, NOTHING)

    assert (filled.employee_number, filled.branch, filled.warehouse) == ("999999", "2", "W1")
    assert (kept.employee_number, kept.branch, kept.warehouse) == ("7", "1", "W9")


@pytest.mark.parametrize(
    ("system", "makes", "code"),
    [("eaccounting", "invoice", ""), ("visma_net", "sales_invoice", ""), ("tryton", "order", ""),
     ("tryton", "invoice", "order_type_not_offered"), ("accountview", "invoice", "order_type_not_offered")],
)  # fmt: skip
def test_of_an_order_an_order_a_sales_invoice_or_an_invoice_is_made_as_far_as_the_system_makes_them(system, makes, code):
    flow = NewFlow(kind="orders", direction="out", settings=FlowSettings(makes=makes, as_draft=False))

    faults = flow_faults((known()[system], {}), None, flow)
    made = shaped(ORDER, flow.settings, NOTHING)

    assert [fault.code for fault in faults] == [code] * bool(code)
    assert (made.kind, made.is_draft) == (makes, False)


def test_a_default_debtor_has_to_be_named_and_a_key_the_system_cannot_look_up_is_refused():
    settings = [FlowSettings(debtor="default"), FlowSettings(customer_key="vat_number")]

    faults = [flow_faults((known()["eaccounting"], {}), None, NewFlow(kind="orders", direction="out", settings=one)) for one in settings]

    assert [[fault.code for fault in one] for one in faults] == [["default_debtor_missing"], ["customer_key_not_offered"]]


def test_tax_code_and_revenue_account_follow_the_country_the_goods_go_to_unless_the_row_says_its_own():
    look = lists(tax_codes_by_country={"NO": "25", "SE": "EXP"}, accounts_by_country={"NO": "3000", "SE": "3100"})
    own = msgspec.structs.replace(ROW, line_id="20", tax_code="12", account="3900")
    to_sweden = DeliveryPlace(name="Lager", address=Address(country="SE"))

    at_home, abroad = shaped(an_order(lines=[ROW, own]), FlowSettings(), look), shaped(an_order(deliver_to=to_sweden), FlowSettings(), look)

    assert [(line.tax_code, line.account) for line in at_home.lines] == [("25", "3000"), ("12", "3900")]
    assert [(line.tax_code, line.account) for line in abroad.lines] == [("EXP", "3100")]


def test_shipping_becomes_a_row_of_the_article_the_flow_names_and_stays_a_charge_without_one():
    freight = TradeLine(line_id="20", kind="charge", description="Frakt", quantity=Exact("1"), unit_price=Exact("99"))
    order = an_order(lines=[ROW, freight])

    named, unnamed = shaped(order, FlowSettings(charge_article="FRAKT"), NOTHING), shaped(order, FlowSettings(), NOTHING)

    assert [(line.kind, line.article_number) for line in named.lines] == [("article", "A-100"), ("article", "FRAKT")]
    assert (unnamed.lines[1].kind, unnamed.lines[1].article_number) == ("charge", "")
    assert named.lines[1].unit_price == 99


def test_payment_terms_payment_methods_shipping_methods_and_statuses_are_translated_by_their_lists():
    look = lists(payment_terms={"30": "NET30"}, payment_methods={"card": "2"}, shipping_methods={"post": "P"}, delivery_terms={"DAP": "D"},
                 order_statuses={"approved": "2"}, tax_codes={"25": "MVA25"}, units={"H87": "stk"})  # fmt: skip
    order = an_order(payment_terms="30", payment_method="card", shipping_method="post", delivery_terms="DAP", status="approved",
                     lines=[msgspec.structs.replace(ROW, tax_code="25", unit="H87")])  # fmt: skip

    made = translated("orders", order, look)

    assert (made.payment_terms, made.payment_method, made.shipping_method, made.delivery_terms, made.status) == (
        "NET30",
        "2",
        "P",
        "D",
        "2",
    )
    assert (made.lines[0].tax_code, made.lines[0].unit) == ("MVA25", "stk")


@pytest.mark.parametrize(
    ("formula", "handed_on"), [("free", "44"), ("on_hand", "50"), ("on_hand_less_reserved", "46"), ("free_and_ordered", "54")]
)
def test_stock_is_handed_on_by_the_formula_that_is_chosen(formula, handed_on):
    stock = Stock(article_number="A-100", on_hand=Exact("50"), reserved=Exact("4"), ordered=Exact("10"), available=Exact("44"))

    assert stock_of(stock, FlowSettings(stock=formula)) == Decimal(handed_on)


def test_available_is_what_is_on_hand_without_what_sales_have_reserved_where_the_system_does_not_say_it():
    assert stock_of(Stock(article_number="A-100", on_hand=Exact("50"), reserved=Exact("4")), FlowSettings()) == 46


@pytest.mark.parametrize(("switch", "told"), [(True, True), (False, False), (None, None)])
def test_whether_the_target_keeps_count_of_an_article_is_a_switch(switch, told):
    stock = shaped(Stock(article_number="A-100", on_hand=Exact("5")), FlowSettings(manage_stock=switch), NOTHING)
    desk = known()["ccv_salespos"]

    words = desk.resources["stock"].write(stock, Known(config=None))

    assert stock.is_managed is told
    assert words.get("stockenabled") is told


def test_what_a_system_does_not_take_is_said_with_the_field_before_anything_is_sent():
    limits = (Limit(field="number", digits_only=True, longest=6), Limit(field="lines[].article_number", digits_only=True),
              Limit(field="customer.email", is_required=True), Limit(field="currency", one_of=("EUR",)),
              Limit(field="lines[].unit_price", decimals=2), Limit(field="lines[].tax_code", is_required=True))  # fmt: skip
    order = an_order(number="SO-1042", customer=ContactCard(name="N"), lines=[msgspec.structs.replace(ROW, unit_price=Exact("1.305"))])

    faults = limit_faults(order, limits)

    assert [(fault.code, fault.pointer) for fault in faults] == [
        ("too_long_there", "/number"), ("digits_only_there", "/lines/0/article_number"), ("field_missing_there", "/customer/email"),
        ("not_a_choice_there", "/currency"), ("too_exact_there", "/lines/0/unit_price"), ("field_missing_there", "/lines/0/tax_code"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in CONNECTORS if name not in ("prodsys", "files", "rest", "remote_sync")])
def test_what_is_needed_before_connecting_and_what_cannot_be_carried_is_said(name):
    connector = known()[name]

    assert connector.prerequisites
    assert all(sentence.endswith(".") for sentence in (*connector.prerequisites, *connector.remarks))
    if "articles" in connector.resources and connector.resources["articles"].provenance:
        assert "Images" in " ".join(connector.remarks), "nobody says that images are not carried"


@pytest.mark.parametrize(
    ("country", "line", "street", "number"),
    [("NO", "Kirkeveien 114 A", "Kirkeveien", "114 A"), ("DE", "Straße des 17. Juni 135", "Straße des 17. Juni", "135"),
     ("PL", "ul. 3 Maja 5", "ul. 3 Maja", "5"), ("NL", "Plein 1944 10", "Plein 1944", "10")],
)  # fmt: skip
def test_street_and_house_number_are_apart_here_and_together_there(country, line, street, number):
    there = where("Address1", name="Name", postcode="Zip", city="City", country="Land")
    theirs = {"Name": "Lager", "Address1": line, "Zip": "1234", "City": "By", "Land": country}

    place = there.read_place(theirs)

    assert place is not None
    assert (place.address.street, place.address.house_number) == (street, number)
    assert there.write(place) == theirs


def test_what_our_books_insist_on_and_a_system_never_says_is_missing_until_the_flow_or_the_mapping_says_it():
    def missing(settings: FlowSettings, *fields: Mapping[str, Any]) -> list[str]:
        covered = ["number", "name"]
        adjusted = needed_by_us("articles", settings, msgspec.convert({"fields": fields}, Adjustments))
        return [issue.params["field"] for issue in uncovered("articles", adjusted, covered)]

    assert missing(FlowSettings()) == ["currency"]
    assert missing(FlowSettings(currency="NOK")) == []
    assert missing(FlowSettings(), {"field": "currency", "default": "NOK"}) == []
    assert missing(FlowSettings(), {"field": "currency", "mode": "ask"}) == []
    assert missing(FlowSettings(currency="NOK"), {"field": "gtin", "is_mandatory": True}) == ["gtin"]


@pytest.mark.parametrize(
    ("system", "kind"), [(name, kind) for name in CONNECTORS for kind, one in known()[name].resources.items() if one.write]
)
def test_the_fields_of_their_words_can_be_chosen_in_a_mapping(system, kind):
    connector: type[Connector] = known()[system]

    said = said_of(connector, kind)

    assert said.fields
    assert len(set(said.fields)) == len(said.fields)


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A bookkeeping system, and a database in which it is one of our connections."""

    db: Database
    books: EAccountingSim
    bench: Bench
    connection: Any

    async def place(
        self, *orders: SalesOrder, kind: str = "orders", adjustments: Adjustments | None = None, **settings: Any
    ) -> list[Outcome]:
        manner = await self.db.read(manner_of, self.connection, kind, FlowSettings(**settings))
        if adjustments is not None:
            manner = msgspec.structs.replace(manner, adjustments={**manner.adjustments, "contacts": adjustments})
        target = Abroad(self.db, self.connection.pk, self.bench.connect(), "orders", manner)
        return await place_abroad([Going(ours=one.number, document=one) for one in orders], target)

    def customers(self) -> dict[str, dict[str, Any]]:
        return {row["Name"]: row for row in self.books.rows["customers"].values()}

    def buyers(self) -> list[str]:
        return [self.books.rows["customers"][row["CustomerId"]]["Name"] for row in self.books.rows["orders"].values()]


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    connection = await db.write(
        store.connections.put, {"name": "Books", "description": "", "connector": "eaccounting", "created_by": "test"}
    )
    async with serving(EAccountingSim()) as books, reaching(books) as reach:
        assert isinstance(books, EAccountingSim)
        yield Desk(db=db, books=books, bench=Bench(simulator=books, reach=reach), connection=connection)


HAVN = ContactCard(
    name="Havn Bygg AS", email="post@havn.example", organisation_number="974760673", persons=[Person(name="Kari Havn")],
    address=Address(street="Kaiveien", house_number="7", postcode="5003", city="Bergen", country="NO"),
)  # fmt: skip


async def test_our_own_company_is_left_out_of_our_contacts_and_a_supplier_is_one(db: Database):
    coming = [
        Coming(document=ContactCard(name="Fjord Lager AS", organisation_number="999 999 999")),
        Coming(document=ContactCard(name="Stål AS", is_customer=False, is_supplier=True)),
    ]
    place = our_books({})["contacts"].place
    assert place is not None
    await db.write(a_company)
    erp = await db.write(store.connections.put, {"name": "Books", "description": "", "connector": "eaccounting", "created_by": "test"})

    ourselves, supplier = await db.write(place, Manner(connection=erp.pk, actor="flow"), coming)

    assert isinstance(ourselves, Refused)
    assert [issue.code for issue in ourselves.issues] == ["contact_is_us"]
    assert isinstance(supplier, Placed)
    contact = await db.read(contacts.by_id, supplier.id)
    assert contact is not None
    assert (contact.is_supplier, contact.is_customer) == (True, False)


@pytest.mark.parametrize(
    ("said", "becomes"), [((False, False), (True, False)), ((False, True), (False, True)), ((True, True), (True, True))], ids=str
)  # fmt: skip
async def test_a_role_comes_as_it_is_said_and_what_somebody_gives_or_takes_away_here_stays(db: Database, said, becomes):
    place = our_books({})["contacts"].place
    assert place is not None
    erp = await db.write(store.connections.put, {"name": "Books", "description": "", "connector": "tryton", "created_by": "test"})
    manner = Manner(connection=erp.pk, actor="flow")

    def card(**more: Any) -> ContactCard:
        return ContactCard(**{"name": "Stål AS", "is_customer": said[0], "is_supplier": said[1]} | more)

    async def roles(id: str) -> tuple[bool, bool]:
        contact = await db.read(contacts.by_id, id)
        assert contact is not None
        return contact.is_customer, contact.is_supplier

    [made] = await db.write(place, manner, [Coming(document=card())])
    assert isinstance(made, Placed)
    assert await roles(made.id) == becomes

    contact = await db.read(contacts.by_id, made.id)
    assert contact is not None
    await db.write(contacts.rewrite, [Rewritten(pk=contact.pk, card=contact.card, is_customer=False, is_supplier=False)])
    await db.write(place, manner, [Coming(document=card(phone="22 00 00 00"), ours=made.id)])
    assert await roles(made.id) == (False, False)

    await db.write(place, manner, [Coming(document=card(is_customer=True, is_supplier=True), ours=made.id)])
    assert await roles(made.id) == (not said[0], not said[1]), "what they did not say before"


@pytest.mark.parametrize(("role", "roles"), [("as_told", (True, False)), ("supplier", (False, True)), ("both", (True, True))])
def test_a_flow_may_say_which_role_everybody_gets(role, roles):
    made = shaped(ORDER.customer, FlowSettings(role=role), NOTHING)

    assert (made.is_customer, made.is_supplier) == roles


async def test_what_was_promised_by_a_flow_that_was_removed_holds_nothing_up(db: Database):
    parcel = '{"flow": "fl_gone", "ours": "SO-1", "number": "SO-1", "document": {}}'
    claimed = Claimed(pk=1, id="dl_1", kind="flow", lane="connection:cn_1", chain="c", subject="SO-1", document=parcel, traceparent="",
                      attempt=1)  # fmt: skip
    kind = FlowKind(db, cast(Any, None))

    [outcome] = await kind.deliver([claimed])
    await db.write(kind.settle, [(claimed, outcome)])

    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.title) == ("flow_gone", "The flow it was to leave by has been removed.")


async def test_a_company_becomes_a_company_debtor_with_its_contact_person_and_everybody_else_a_private_one(desk):
    person = msgspec.structs.replace(HAVN, kind="person", name="Jan Vik", email="jan@vik.example", persons=[], organisation_number="")

    placed = await desk.place(an_order(customer=HAVN), an_order(number="SO-2", customer=person))

    made = desk.customers()
    assert [isinstance(one, Placed) and one.new for one in placed] == [True, True], placed
    assert (made["Havn Bygg AS"]["IsPrivatePerson"], made["Havn Bygg AS"]["ContactPersonName"]) == (False, "Kari Havn")
    assert (made["Jan Vik"]["IsPrivatePerson"], made["Jan Vik"].get("ContactPersonName")) == (True, None)


async def test_a_customer_is_found_by_the_key_that_is_chosen_and_updated_only_where_the_switch_is_on(desk):
    there = desk.books.rows["customers"][desk.books.customer]
    there |= {"CorporateIdentityNumber": "974760673", "Telephone": "1"}
    known_by_number = msgspec.structs.replace(HAVN, name="Nordlys Bygg AS", email="other@nordlys.example", phone="2")

    left = await desk.place(an_order(customer=known_by_number), customer_key="organisation_number", update_customer=False)
    untouched = dict(desk.books.rows["customers"][desk.books.customer])
    kept = msgspec.convert({"fields": [{"field": "Name", "update": False}]}, Adjustments)
    moved = await desk.place(
        an_order(number="SO-2", customer=known_by_number), customer_key="organisation_number", adjustments=kept, update_customer=True
    )

    [customer] = desk.books.rows["customers"].values()
    assert all(isinstance(one, Placed) for one in (*left, *moved)), (left, moved)
    assert (untouched["Name"], untouched["Telephone"]) == ("Nordlys AS", "1")
    assert (customer["Name"], customer["Telephone"], customer["EmailAddress"]) == ("Nordlys AS", "2", "other@nordlys.example")


@pytest.mark.parametrize(("debtor", "buyers"), [("default_without_key", ["Nordlys AS", "Web shop"]), ("default", ["Web shop", "Web shop"])])
async def test_a_default_debtor_stands_in_where_there_is_no_key_or_always(desk, debtor, buyers):
    web = desk.books.add("customers", {"Name": "Web shop", "InvoiceCity": "Oslo", "InvoicePostalCode": "0155"})
    stranger = ContactCard(name="Somebody")

    refused = await desk.place(an_order(number="SO-0", customer=stranger))
    await desk.place(ORDER, an_order(number="SO-2", customer=stranger), debtor=debtor, default_debtor=web)

    assert [issue.code for one in refused if isinstance(one, Refused) for issue in one.issues] == ["customer_key_missing"]
    assert sorted(desk.buyers()) == buyers


async def test_an_order_that_is_there_is_skipped_and_one_with_an_unknown_article_is_refused_with_the_whole_list(desk):
    strange = [msgspec.structs.replace(ROW, line_id=number, article_number=number) for number in ("X-1", "A-100", "X-2")]

    first, again = await desk.place(ORDER), await desk.place(ORDER)
    [refused] = await desk.place(an_order(number="SO-2", lines=strange))

    assert [one.new for one in (*first, *again) if isinstance(one, Placed)] == [True, False]
    assert isinstance(refused, Refused)
    assert [issue.params["article_number"] for issue in refused.issues] == ["X-1", "X-2"]
    assert desk.books.held("orders") == 1


@pytest.mark.parametrize(
    ("system", "theirs", "kind"),
    [("eaccounting", {"Number": "S", "IsServiceArticle": True}, "virtual"), ("eaccounting", {"Number": "S"}, "simple"),
     ("visma_net", {"inventoryNumber": "S", "stockItem": False}, "virtual"),
     ("tryton", {"code": "S", "template": {"code": "T", "products": [1, 2]}}, "variant")],
)  # fmt: skip
def test_a_service_is_virtual_and_one_of_several_is_a_variant_of_what_they_belong_to(system, theirs, kind):
    connector: Any = known()[system]
    record = Record(id="1", theirs=theirs)

    article = connector.document(connector.__new__(connector), "articles", record)

    assert article.kind == kind
    assert (article.variant_of == "T") == (kind == "variant")


def test_attributes_features_and_categories_come_from_where_a_system_has_them():
    visma: Any = known()["visma_net"]
    theirs = {
        "inventoryNumber": "A-100", "attributes": [{"id": "SIZE", "value": "M8"}], "salesCategories": [{"description": "Festemidler"}],
    }  # fmt: skip

    article = visma.resources["articles"].read(theirs)

    assert (article.attributes, article.categories) == ({"SIZE": "M8"}, ["Festemidler"])
