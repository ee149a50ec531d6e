"""Visma.net ERP, whole: its form, its words (wrapped in v1, flat in Sales Order v3), and the way between its words and ours."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.connectors._base import (
    Check,
    Choice,
    Known,
    Limit,
    Lookup,
    Record,
    Records,
    Resource,
    Secret,
    Tested,
    Trouble,
    Written,
    at,  # fmt: skip
    day,
    exact,
    text,
)
from prodsys.connectors._rest import Answer, Auth, Linked, Numbered, OAuth, Page, Paging, RestConnector, read_problem
from prodsys.documents import (
    Address,
    ArticleCard,
    ContactCard,
    DeliveryPlace,
    Exact,
    OrderStatus,
    Percent,
    Person,
    Progress,
    PurchaseRequest,  # fmt: skip
    SalesOrder,
    Stock,
    TradeLine,
    UnitPrice,
)
from prodsys.kit.clock import now
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused

SCOPES = ("vismanet_erp_service_api:read vismanet_erp_service_api:create vismanet_erp_service_api:update "
          "visma.net.erp.salesorder:read visma.net.erp.salesorder:write")  # fmt: skip
LOOK_BACK = dt.timedelta(days=30)
"""How far back what we made is looked for where the interface cannot be asked for our number."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client_id: Annotated[str, Meta(title="Client ID", description="Of the service application in Visma's developer portal.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="Client secret")]
    tenant_id: Annotated[str, Meta(title="Tenant ID", description="Of the company, shown where the application is approved.", min_length=1)]
    customer_class: Annotated[str, Meta(title="Customer class", description="Class new customers get; it decides what they inherit.")] = ""
    private_class: Annotated[str, Meta(title="Customer class of persons", description="Where private persons have another one.")] = ""
    order_type: Annotated[str, Meta(title="Order type", min_length=2, max_length=2)] = "SO"
    base_url: Annotated[str, Meta(title="Address of the ERP API")] = "https://api.finance.visma.net"
    salesorder_url: Annotated[str, Meta(title="Address of the sales order API")] = "https://salesorder.visma.net"
    identity_url: Annotated[str, Meta(title="Address of the sign-in")] = "https://connect.visma.com"


Text = str | None
Number = Decimal | None


class Named(msgspec.Struct, kw_only=True):
    id: Text = None
    number: Text = None
    name: Text = None
    description: Text = None


class Place(msgspec.Struct, kw_only=True, rename="camel"):
    address_line1: Text = msgspec.field(default=None, name="addressLine1")
    address_line2: Text = msgspec.field(default=None, name="addressLine2")
    postal_code: Text = None
    city: Text = None
    country: Named | None = None


class Contacted(msgspec.Struct, kw_only=True, rename="camel"):
    name: Text = None
    attention: Text = None
    email: Text = None
    phone1: Text = None


class Customer(msgspec.Struct, kw_only=True, rename="camel"):
    number: Text = None
    name: Text = None
    status: Text = None
    main_address: Place | None = None
    main_contact: Contacted | None = None
    delivery_address: Place | None = None
    delivery_contact: Contacted | None = None
    customer_class: Named | None = None
    credit_terms: Named | None = None
    currency_id: Text = None
    corporate_id: Text = None
    vat_registration_id: Text = None
    gln: Text = None


class CrossReference(msgspec.Struct, kw_only=True, rename="camel"):
    alternate_type: Text = None
    alternate_id: Text = msgspec.field(default=None, name="alternateID")


class Attribute(msgspec.Struct, kw_only=True):
    id: Text = None
    description: Text = None
    value: Text = None


class Inventory(msgspec.Struct, kw_only=True, rename="camel"):
    inventory_number: str
    description: Text = None
    body: Text = None
    status: Text = None
    stock_item: bool | None = None
    default_price: Number = None
    base_unit: Text = None
    vat_code: Named | None = None
    cross_references: list[CrossReference] | None = None
    attributes: list[Attribute] | None = None
    sales_categories: list[Named] | None = None


class Availability(msgspec.Struct, kw_only=True, rename="camel"):
    quantity_on_hand: Number = None
    quantity_available_for_shipment: Number = None
    quantity_purchase_orders: Number = None


class Balance(msgspec.Struct, kw_only=True, rename="camel"):
    inventory_id: str
    availability: list[Availability] | None = None


class OrderAddress(msgspec.Struct, kw_only=True, rename="camel"):
    line1: Text = None
    line2: Text = None
    postal_code: Text = None
    city: Text = None
    country_id: Text = None
    country: Named | None = None


class OrderCustomer(msgspec.Struct, kw_only=True, rename="camel"):
    id: Text = None
    name: Text = None
    order: Text = None
    ref_no: Text = None
    terms_id: Text = None


class Shipping(msgspec.Struct, kw_only=True, rename="camel"):
    address: OrderAddress | None = None
    contact: Contacted | None = None
    ship_via_id: Text = None
    preferred_warehouse_id: Text = None


class Line(msgspec.Struct, kw_only=True, rename="camel"):
    line_id: int | None = None
    inventory: Named | None = None
    inventory_id: Text = None
    description: Text = None
    quantity: Number = None
    unit_of_measure: Text = None
    unit_price: Number = None
    has_manual_price: bool | None = None
    discount_percent: Number = None
    has_manual_discount: bool | None = None
    tax_category_id: Text = None
    sales_account_id: Text = None
    request_date: Text = None
    note: Text = None


class Status(msgspec.Struct, kw_only=True):
    description: Text = None
    hold: bool | None = None


class Order(msgspec.Struct, kw_only=True, rename="camel"):
    type: str = "SO"
    order_id: Text = None
    status: Status | str | None = None
    date: Text = None
    request_on: Text = None
    currency_id: Text = None
    customer: OrderCustomer = msgspec.field(default_factory=OrderCustomer)
    shipping: Shipping | None = None
    note: Text = None
    branch_id: Text = None
    order_lines: list[Line] = []


class Listed(msgspec.Struct, kw_only=True, rename="camel"):
    order_id: str
    status: Text = None
    customer_ref_no: Text = None
    shipping_scheduled_date: Text = None


class PurchaseLine(msgspec.Struct, kw_only=True, rename="camel"):
    line_nbr: int = 0
    inventory: Named | None = None
    alternate_id: Text = None
    line_description: Text = None
    order_qty: Number = None
    uom: Text = None
    unit_cost: Number = None
    discount_percent: Number = None
    promised: Text = None
    note: Text = None


class Purchase(msgspec.Struct, kw_only=True, rename="camel"):
    order_nbr: str
    status: Text = None
    date: Text = None
    promised_on: Text = None
    currency: Text = None
    supplier: Named | None = None
    remit_contact: Contacted | None = None
    remit_address: Place | None = None
    shipping_address: Place | None = None
    shipping_contact: Contacted | None = None
    terms: Named | None = None
    description: Text = None
    note: Text = None
    lines: list[PurchaseLine] = []


def read_customer(theirs: Customer) -> ContactCard:
    """A customer in our words. Who is to be asked for there (attention) is its contact person."""
    reached, there = theirs.main_contact or Contacted(), theirs.delivery_address
    asked_for = text(reached.attention, 200)
    place = _place(there, theirs.delivery_contact) if there is not None and there != theirs.main_address else None
    return ContactCard(
        number=text(theirs.number, 80),
        name=text(theirs.name, 200) or "?",
        is_active=theirs.status != "Inactive",
        organisation_number=text(theirs.corporate_id, 80),
        vat_number=text(theirs.vat_registration_id, 80),
        gln=text(theirs.gln, 80),
        email=text(reached.email, 120),
        phone=text(reached.phone1, 80),
        address=_address(theirs.main_address),
        deliver_to=place,
        persons=[Person(name=asked_for)] if asked_for else [],
        currency=text(theirs.currency_id, 3),
        payment_terms=text(theirs.credit_terms and theirs.credit_terms.id, 80),
        customer_class=text(theirs.customer_class and theirs.customer_class.id, 80),
    )


def write_customer(ours: ContactCard, known: Known) -> dict[str, Any]:
    """A customer in their words, each wrapped as `{"value": …}`; our number is kept as their account reference."""
    config: Config = known.config
    person = ours.persons[0].name if ours.persons and ours.kind == "company" else ""
    of_persons = config.private_class if ours.kind == "person" else ""
    reached = {"name": ours.name, "attention": person, "email": ours.email, "phone1": ours.phone}
    there = ours.deliver_to
    return {
        "overrideWithClassValues": True,
        "name": _value(ours.name),
        "accountReference": _value(ours.number),
        "status": _value("Active" if ours.is_active else "Inactive"),
        "customerClassId": _value(ours.customer_class or of_persons or config.customer_class),
        "corporateId": _value(ours.organisation_number),
        "vatRegistrationId": _value(ours.vat_number),
        "gln": _value(ours.gln),
        "currencyId": _value(ours.currency),
        "creditTermsId": _value(ours.payment_terms),
        "mainAddress": _value(_wrapped_address(ours.address)),
        "mainContact": _value({name: _value(said) for name, said in reached.items()}),
        "deliveryAddress": _value(_wrapped_address(there.address)) if there else None,
        "deliveryContact": _value({"name": _value(there.name)}) if there and there.name else None,
        "note": _value(ours.note),
    }


def read_article(theirs: Inventory) -> ArticleCard:
    """An item in our words; the supplier's number and the barcode are cross references there."""
    others = {one.alternate_type: text(one.alternate_id, 80) for one in reversed(theirs.cross_references or [])}
    barcode = others.get("Barcode", "")
    return ArticleCard(
        number=text(theirs.inventory_number, 80),
        kind="virtual" if theirs.stock_item is False else "simple",
        name=text(theirs.description),
        description=text(theirs.body, 20_000),
        unit=text(theirs.base_unit, 20),
        gtin=barcode if barcode.isdigit() and len(barcode) in (8, 12, 13, 14) else "",
        supplier_article_number=others.get("VPN", ""),
        price=exact(UnitPrice, theirs.default_price),
        tax_code=text(theirs.vat_code and theirs.vat_code.id, 80),
        is_active=theirs.status not in ("Inactive", "MarkedForDeletion", "NoSales"),
        categories=[text(one.description) for one in theirs.sales_categories or [] if one.description][:100],
        attributes={text(one.id, 80): text(one.value) for one in (theirs.attributes or [])[:100] if one.id and one.value},
    )


def read_stock(theirs: Balance) -> Stock:
    """An item's stock in all warehouses. Available is what can still be shipped: on hand without what sales have reserved."""
    places = theirs.availability or []
    on_hand = sum((one.quantity_on_hand or Decimal(0) for one in places), Decimal(0))
    free = sum((one.quantity_available_for_shipment or Decimal(0) for one in places), Decimal(0))
    ordered = sum((one.quantity_purchase_orders or Decimal(0) for one in places), Decimal(0))
    return Stock(article_number=text(theirs.inventory_id, 80), on_hand=exact(Exact, on_hand), reserved=exact(Exact, on_hand - free),
                 ordered=exact(Exact, ordered), available=exact(Exact, free))  # fmt: skip


def read_order(theirs: Order) -> SalesOrder:
    """A sales order in our words; its reference is the number it is found again by, Visma's own where it has none."""
    said = theirs.status if isinstance(theirs.status, Status) else Status(description=theirs.status)
    shipping, customer = theirs.shipping or Shipping(), theirs.customer
    place = DeliveryPlace(name=text(shipping.contact and shipping.contact.name), address=_order_address(shipping.address))
    return SalesOrder(
        number=text(customer.ref_no, 80) or text(theirs.order_id, 80),
        is_draft=said.hold is True or said.description == "Hold",
        date=day(theirs.date) or dt.date(1970, 1, 1),
        currency=text(theirs.currency_id, 3),
        customer=ContactCard(number=text(customer.id, 80), name=text(customer.name, 200) or "?"),
        deliver_to=place if place != DeliveryPlace() else None,
        requested_date=day(theirs.request_on),
        customer_reference=text(customer.order, 80),
        status=text(said.description, 80),
        payment_terms=text(customer.terms_id, 80),
        note=text(theirs.note, 4000),
        lines=[
            TradeLine(
                line_id=str(line.line_id or at),
                article_number=text(line.inventory.id if line.inventory else line.inventory_id, 80),
                description=text(line.description, 4000),
                quantity=exact(Exact, line.quantity),
                unit=text(line.unit_of_measure, 20),
                unit_price=exact(Exact, line.unit_price),
                discount_percent=exact(Percent, line.discount_percent) or Percent(0),
                tax_code=text(line.tax_category_id, 80),
                requested_date=day(line.request_date),
                note=text(line.note, 4000),
            )
            for at, line in enumerate(theirs.order_lines, 1)
        ],
    )


def write_order(ours: SalesOrder, known: Known) -> Order:
    """A sales order in their words, on hold while it is a draft. Texts between the rows go into its note, since every row is an item."""
    config: Config = known.config
    there, texts = ours.deliver_to, [line.description or line.note for line in ours.lines if line.kind == "text"]
    shipping = Shipping(ship_via_id=ours.shipping_method or None, preferred_warehouse_id=ours.warehouse or None)
    if there is not None:
        country = there.address.country or ours.customer.address.country
        if not country:
            raise ValueError("Visma.net takes no delivery address without its country")
        line = streets.join(there.address.street, there.address.house_number, country)
        shipping.address = OrderAddress(line1=line or None, line2=there.address.street2 or None, postal_code=there.address.postcode or None,
                                        city=there.address.city or None, country_id=country)  # fmt: skip
        shipping.contact = Contacted(name=there.name or ours.customer.name)
    return Order(
        type=config.order_type,
        status="Hold" if ours.is_draft else "Open",
        date=f"{ours.date}T00:00:00Z",
        request_on=f"{ours.requested_date}T00:00:00Z" if ours.requested_date else None,
        currency_id=ours.currency,
        customer=OrderCustomer(id=known.customer, order=ours.customer_reference or None, ref_no=ours.number,
                               terms_id=ours.payment_terms or None),
        shipping=shipping if shipping != Shipping() else None,
        note="\n".join(part for part in (ours.note, *texts) if part) or None,
        branch_id=ours.branch or None,
        order_lines=[_said_line(line, known, ours) for line in ours.lines if line.kind != "text"],
    )  # fmt: skip


def read_status(theirs: Listed) -> OrderStatus:
    """How a sales order stands."""
    number = text(theirs.customer_ref_no, 80) or text(theirs.order_id, 80)
    return OrderStatus(number=number, status=_STATUS.get(theirs.status or "", "unknown"), said=text(theirs.status, 120),
                       expected_date=day(theirs.shipping_scheduled_date))  # fmt: skip


def read_purchase(theirs: Purchase) -> PurchaseRequest:
    """A purchase order in our words; the alternate id of a row is the supplier's number."""
    reached = theirs.remit_contact or Contacted()
    supplier = ContactCard(
        number=text(theirs.supplier and theirs.supplier.number, 80), name=text(theirs.supplier and theirs.supplier.name, 200) or "?",
        is_customer=False, is_supplier=True, email=text(reached.email, 120), phone=text(reached.phone1, 80),
        address=_address(theirs.remit_address),
    )  # fmt: skip
    return PurchaseRequest(
        number=text(theirs.order_nbr, 80),
        date=day(theirs.date) or dt.date(1970, 1, 1),
        currency=text(theirs.currency, 3),
        supplier=supplier,
        deliver_to=_place(theirs.shipping_address, theirs.shipping_contact),
        requested_date=day(theirs.promised_on),
        buyer_reference=text(theirs.description),
        payment_terms=text(theirs.terms and theirs.terms.id, 80),
        status=text(theirs.status, 80),
        note=text(theirs.note, 4000),
        lines=[
            TradeLine(
                line_id=str(line.line_nbr),
                kind="article" if line.inventory else "charge",
                article_number=text(line.inventory and line.inventory.number, 80),
                supplier_article_number=text(line.alternate_id, 80),
                description=text(line.line_description, 4000),
                quantity=exact(Exact, line.order_qty),
                unit=text(line.uom, 20),
                unit_price=exact(Exact, line.unit_cost),
                discount_percent=exact(Percent, line.discount_percent) or Percent(0),
                requested_date=day(line.promised),
                note=text(line.note, 4000),
            )
            for line in theirs.lines
        ],
    )


_STATUS: Mapping[str, Progress] = {
    "Hold": "on_hold", "CreditHold": "on_hold", "PendingApproval": "open", "Open": "confirmed", "Shipping": "in_progress",
    "BackOrder": "partly_shipped", "Completed": "shipped", "Invoiced": "invoiced", "Cancelled": "cancelled", "Voided": "cancelled",
}  # fmt: skip


def _said_line(line: TradeLine, known: Known, order: SalesOrder) -> Line:
    if not line.article_number:
        raise ValueError("Visma.net takes rows with an article only; choose in the flow which article a charge is")
    if order.prices_include_tax and line.tax_percent is None:
        raise ValueError("Visma.net takes prices without tax, and the order does not say what tax is in them")
    taxed = 1 + (line.tax_percent or 0) / Decimal(100) if order.prices_include_tax else Decimal(1)
    price = (line.unit_price / line.price_quantity / taxed).quantize(Decimal("0.0001")) if line.unit_price is not None else None
    # Both discounts are taken one after the other: 10 % and 5 % leave 85.5 %.
    discount = 100 - (100 - line.discount_percent) * (100 - order.discount_percent) / 100
    return Line(
        inventory_id=known.articles.get(line.article_number, line.article_number),
        description=line.description or None,
        quantity=Decimal(line.quantity) if line.quantity is not None else None,
        unit_of_measure=line.unit or None,
        unit_price=price,
        # Without it their price rules put another price in its place.
        has_manual_price=True if price is not None else None,
        discount_percent=discount or None,
        has_manual_discount=True if discount else None,
        tax_category_id=line.tax_code or None,
        sales_account_id=line.account or None,
        request_date=f"{line.requested_date}T00:00:00Z" if line.requested_date else None,
        note=line.note or None,
    )


def _value(said: Any) -> dict[str, Any] | None:
    """As v1 writes it; what is empty is not said, because an empty value would clear theirs."""
    return None if said in ("", None, {}) else {"value": said}


def _wrapped_address(address: Address) -> dict[str, Any]:
    line = streets.join(address.street, address.house_number, address.country)
    said = {"addressLine1": line, "addressLine2": address.street2, "postalCode": address.postcode, "city": address.city,
            "countryId": address.country}  # fmt: skip
    return {name: _value(one) for name, one in said.items() if one}


def _address(theirs: Place | None) -> Address:
    if theirs is None:
        return Address()
    country = text(theirs.country and theirs.country.id)[:2].upper()
    street, number = streets.split(text(theirs.address_line1), country)
    return Address(street=street, house_number=number, street2=text(theirs.address_line2), postcode=text(theirs.postal_code, 80),
                   city=text(theirs.city, 120), country=country)  # fmt: skip


def _order_address(theirs: OrderAddress | None) -> Address:
    if theirs is None:
        return Address()
    country = Named(id=theirs.country_id) if theirs.country_id else theirs.country
    return _address(Place(address_line1=theirs.line1, address_line2=theirs.line2, postal_code=theirs.postal_code, city=theirs.city,
                          country=country))  # fmt: skip


def _place(address: Place | None, reached: Contacted | None) -> DeliveryPlace | None:
    place = DeliveryPlace(name=text(reached and reached.name), address=_address(address))
    return place if place != DeliveryPlace() else None


class _Pages(Numbered):
    """Pages of v1: a size that is too large is lowered in silence, so what each record says of the whole counts."""

    def __init__(self, more: Mapping[str, str]) -> None:
        super().__init__("pageNumber", "pageSize", of=500)
        self.more = more

    def first(self) -> Mapping[str, str]:
        return {**super().first(), **self.more}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        rows = answer.body.get("records") if isinstance(answer.body, dict) else answer.body
        if not isinstance(rows, list):
            raise ValueError("There is no list where one was expected")
        here = int(asked.get(self.number, self.begin))
        told = at(rows[0], "metadata") if rows else None
        size = min(self.of, int(at(told, "maxPageSize") or self.of))
        total = at(told, "totalCount") if told else at(answer.body, "totalCount")
        is_last = here * size >= int(total) if total is not None else len(rows) < size
        return Page(rows=rows, query=None if is_last or not rows else {self.number: str(here + 1)})


def _since_v1(moment: dt.datetime) -> Mapping[str, str]:
    return {"lastModifiedDateTime": f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}", "lastModifiedDateTimeCondition": ">="}


def _since_v3(moment: dt.datetime) -> Mapping[str, str]:
    return {"modifiedSince": f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}


def _recent(_: str) -> Mapping[str, str]:
    return {"createdDateTime": f"{now() - LOOK_BACK:%Y-%m-%d %H:%M:%S}", "createdDateTimeCondition": ">="}


class VismaNet(RestConnector):
    """One company in Visma.net ERP, reached by a service application it has approved."""

    title = "Visma.net ERP"
    summary = "Finance, logistics and orders for larger companies in the Nordic countries and the Netherlands."
    Config = Config
    probe = "/v1/customer/customerClass"
    rate = (15_000, 3600.0)
    prerequisites = (
        "A service application in Visma's developer portal with the ERP and Sales Order APIs, approved by the company's administrator.",
        "An order type whose numbers Visma.net gives itself.",
    )
    remarks = (
        "The interface cannot be asked for an order's reference, so what we have made is looked for among the orders of the last 30 days.",
        "Rows without an article are not taken: a charge needs an article, and texts between the rows go into the order's note.",
        "Images of articles are not in the interface.",
        "A customer is not told apart into company and person; persons may have a customer class of their own.",
    )
    lists: ClassVar[Mapping[str, str]] = {
        "payment_terms": "Credit terms", "tax_codes": "VAT categories", "warehouses": "Warehouses", "payment_methods": "Payment methods",
        "customer_classes": "Customer classes",
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path="/v1/customer", wire=Customer, key="number", number="number", read=read_customer, write=write_customer, update="put",
            find_by={"email": Lookup(lambda value: {"email": value}, "mainContact.email"), "number": Lookup(lambda _: {}, "number"),
                     "name": Lookup(lambda value: {"name": value}, "name"),
                     "organisation_number": Lookup(lambda value: {"corporateId": value}, "corporateId"),
                     "reference": Lookup(_recent, "accountReference")},
            since=_since_v1, changed="lastModifiedDateTime",
            limits=(Limit(field="name", is_required=True), Limit(field="address.country", is_required=True),
                    Limit(field="address.street", says="Mandatory, with the postcode, for most customer classes.")),
            provenance={"number, name, addresses, contact, class, terms": "documented", "look-up by e-mail": "client code",
                        "our number as account reference": "assumed", "clock of changes (taken as UTC)": "assumed"},
        ),
        "articles": Resource(
            path="/v1/inventory", wire=Inventory, key="inventoryNumber", number="inventoryNumber", read=read_article,
            find_by={"number": Lookup(lambda value: {"inventoryNumber": value}, "inventoryNumber")},
            since=_since_v1, changed="lastModifiedDateTime",
            provenance={"number, description, price, unit, VAT": "documented", "cross references, attributes, categories": "documented"},
            no={"out": "Articles are kept in Visma.net: a new one needs an item class with its accounts and warehouses there."},
        ),
        "stock": Resource(
            path="/api/v3/Inventory", wire=Balance, key="inventoryId", number="inventoryId", read=read_stock, since=_since_v3,
            find_by={"number": Lookup(lambda value: {"inventoryId": value}, "inventoryId")},
            provenance={"on hand, available for shipment, on order": "documented", "sum over warehouses": "client code"},
            no={"out": "Visma.net counts its stock by receipts and shipments itself."},
        ),
        "orders": Resource(
            path="/api/v3/SalesOrders", wire=Order, key="orderId", number="customerRefNo", read=read_order, write=write_order,
            find_by={"reference": Lookup(lambda _: _since_v3(now() - LOOK_BACK), "customerRefNo")}, since=_since_v3,
            changed="lastModified", where={"status": lambda value: {"status": value}}, drafts="Hold",
            limits=(Limit(field="number", longest=40, is_required=True), Limit(field="customer_reference", longest=40),
                    Limit(field="currency", longest=5), Limit(field="note", longest=2048), Limit(field="branch", longest=30),
                    Limit(field="warehouse", longest=30), Limit(field="shipping_method", longest=15),
                    Limit(field="deliver_to.address.street", longest=50), Limit(field="deliver_to.address.street2", longest=50),
                    Limit(field="deliver_to.address.postcode", longest=20), Limit(field="deliver_to.address.city", longest=50),
                    Limit(field="lines[].article_number", longest=30), Limit(field="lines[].description", longest=256),
                    Limit(field="lines[].unit", longest=6), Limit(field="lines[].account", longest=10)),
            provenance={"head, rows, draft on hold": "documented", "look-up among recent orders": "client code",
                        "length of an article number": "assumed"},
        ),
        "order_status": Resource(
            path="/api/v3/SalesOrders", wire=Listed, key="orderId", number="customerRefNo", read=read_status, since=_since_v3,
            find_by={"reference": Lookup(lambda _: _since_v3(now() - LOOK_BACK), "customerRefNo")}, changed="lastModified",
            where={"status": lambda value: {"status": value}}, provenance={"status": "documented"},
            no={"out": "An order's status follows from what is done with it there."},
        ),
        "purchase_orders": Resource(
            path="/v1/purchaseorder", wire=Purchase, key="orderNbr", number="orderNbr", read=read_purchase, since=_since_v1,
            changed="lastModifiedDateTime", where={"status": lambda value: {"orderStatus": value}},
            provenance={"head, supplier, rows": "documented", "alternate id as the supplier's number": "assumed"},
            no={"out": "Purchase orders are made in Visma.net and placed from here."},
        ),
        "invoices": Resource(no={"in": "Invoices of Visma.net are not read yet; its orders tell when they are invoiced.",
                                 "out": "An invoice follows from its sales order there."}),
        "invoice_drafts": Resource(no={"in": "Invoices of Visma.net are not read yet.",
                                       "out": "An invoice follows from its sales order there."}),
        "vouchers": Resource(no={"in": "Journals of Visma.net are not read yet.", "out": "Nothing is booked in Visma.net from here yet."}),
    }  # fmt: skip

    def auth(self) -> Auth:
        config: Config = self.config
        return OAuth(self.reach, f"{config.identity_url.rstrip('/')}/connect/token", config.client_id, config.client_secret, scope=SCOPES,
                     more={"tenant_id": config.tenant_id}, fields=("client_id", "tenant_id", "client_secret"))  # fmt: skip

    def paging(self, kind: str) -> Paging:
        if self.resources[kind].path.startswith("/api/v3"):
            return Linked("nextPage", rows="value", query={"pageSize": "100", "pageIndex": "0"})
        return _Pages({"expandCrossReference": "true"} if kind == "articles" else {})

    def _url(self, path: str) -> str | Misconfigured:
        # Sales orders and stock live at a host of their own; only these two ever get our token.
        orders = str(self.config.salesorder_url).rstrip("/")
        if path.startswith("/api/v3/"):
            return f"{orders}{path}"
        return path if path.startswith(f"{orders}/api/v3/") else super()._url(path)

    def record(self, kind: str, theirs: Mapping[str, Any]) -> Record:
        record = super().record(kind, theirs)
        if kind not in ("orders", "order_status"):
            return record
        number = at(theirs, "customerRefNo") or at(theirs, "customer.refNo") or ""
        return msgspec.structs.replace(record, id=f"{theirs.get('type')}/{record.id}", number=str(number))

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        if answer.status == 412:
            return Later(reason="changed_there", detail="Somebody changed the record in Visma.net at the same moment.")
        if answer.status == 500 and isinstance(body, dict) and str(body.get("message", "")).startswith("VismaId"):
            # What is wrong with a document is at times said with 500.
            return Refused(problem=self.problem_in(422, body))
        return None

    def problem_in(self, status: int, body: Any) -> Problem:
        coded = isinstance(body, dict) and body.get("details")
        return read_problem(status, {**body, "errors": None} if coded else body)

    def blame(self, trouble: Trouble) -> Check:
        fields = {"invalid_tenant": "tenant_id", "invalid_scope": "client_id"}
        if isinstance(trouble, Misconfigured) and trouble.reason in fields:
            return Check(field=fields[trouble.reason], message=trouble.detail)
        return super().blame(trouble)

    async def test(self) -> Tested:
        tested = await super().test()
        if not tested.is_fine:
            return tested
        orders = await self.ask("GET", "/api/v3/SalesOrders", query={"pageSize": "1", "pageIndex": "0"})
        if isinstance(orders, Answer):
            return tested
        return Tested(is_fine=False, checks=[msgspec.structs.replace(self.blame(orders), field="salesorder_url")])

    async def looked_into(self, answer: Answer) -> Tested:
        classes = [str(row.get("id", "")) for row in answer.body if isinstance(row, dict)] if isinstance(answer.body, list) else []
        if not classes:
            # A token of another company is answered with empty lists rather than refused.
            return Tested(is_fine=False, checks=[Check(field="tenant_id", message="Visma.net shows us nothing of this company.")])
        if self.config.customer_class not in ("", *classes):
            message = f"Visma.net has no customer class {self.config.customer_class}; it has {', '.join(classes[:10])}."
            return Tested(is_fine=False, checks=[Check(field="customer_class", message=message)])
        return await super().looked_into(answer)

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        async for page in super().pages(kind, since=since, where=where):
            if kind != "orders" or not isinstance(page, Records):
                yield page
                continue
            whole = await self._whole(page.records)
            yield msgspec.structs.replace(page, records=whole) if isinstance(whole, list) else whole
            if not isinstance(whole, list):
                return

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        if by == "reference":
            listed = await self.find_many(kind, by, [value])
            return listed[value] if isinstance(listed, Mapping) else listed
        if (kind, by) != ("contacts", "number"):
            return await super().find(kind, by, value)
        met = await self.get(kind, value) if value else None
        return [met] if isinstance(met, Record) else met or []

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        if by != "reference":
            return await super().find_many(kind, by, values)
        lookup, found = self.resources[kind].find_by[by], {value: list[Record]() for value in values}
        if not any(values):
            return found
        query: Mapping[str, str] = {**self.paging(kind).first(), **lookup.query("")}
        path, whole = self.resources[kind].path, query
        while True:
            answer = await self._read_again("GET", path, whole)
            if not isinstance(answer, Answer):
                return answer
            page = self.paging(kind).page(answer, whole)
            for row in page.rows:
                if (said := str(at(row, lookup.member) or "")) in found and said:
                    found[said].append(self.record(kind, row))
            if page.url is not None:
                path, whole = page.url, {}
            elif page.query is not None:
                whole = {**query, **page.query}
            else:
                break
        if kind != "orders":
            return found
        for value, records in found.items():
            full = await self._whole(records)
            if not isinstance(full, list):
                return full
            found[value] = full
        return found

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        if kind == "stock":
            found = await RestConnector.find(self, kind, "number", id)
            return found[0] if isinstance(found, list) and found else None if isinstance(found, list) else found  # type: ignore[return-value]
        if kind not in ("orders", "order_status"):
            return await super().get(kind, id)
        path = f"/api/v3/SalesOrders/{'/'.join(quote(part, safe='') for part in id.split('/', 1))}"
        answer = await self._read_again("GET", path, {"expand": "All"})
        if isinstance(answer, Refused) and answer.problem.status == 404:
            return None
        if not isinstance(answer, Answer):
            return answer
        if kind == "order_status":
            flat = {"status": at(answer.body, "status.description"), "customerRefNo": at(answer.body, "customer.refNo")}
            return self.record(kind, {**answer.body, **flat})
        lines: list[Any] = []
        where, query = f"{path}/lines", {"pageSize": "1000", "pageIndex": "0"}
        while where:
            listed = await self._read_again("GET", where, query)
            if not isinstance(listed, Answer):
                return listed
            lines += at(listed.body, "value") or []
            where, query = str(at(listed.body, "nextPage") or ""), {}
        return self.record(kind, {**answer.body, "orderLines": lines})

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        path = f"{self.resources[kind].path}/{quote(id, safe='')}"
        theirs = await self._read_again("GET", path, {})
        if not isinstance(theirs, Answer):
            return theirs
        # Said again, the class would put its own values over what somebody has changed since.
        kept = {name: value for name, value in words.items() if name != "overrideWithClassValues"}
        known = {"if-match": theirs.headers["etag"]} if theirs.headers.get("etag") else {}
        answer = await self.ask("PUT", path, body=kept, headers=known)
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        path, key, title = {
            "payment_terms": ("/v1/creditTerm", "termsId", "description"), "tax_codes": ("/v1/vatCategory", "vatCategoryId", "description"),
            "warehouses": ("/v1/warehouse", "warehouseID", "description"), "customer_classes": (self.probe, "id", "description"),
            "payment_methods": ("/v1/paymentmethod", "paymentMethodID", "description"),
        }[name]  # fmt: skip
        answer = await self.ask("GET", path, query={"pageNumber": "1", "pageSize": "500"})
        if not isinstance(answer, Answer):
            return answer
        rows = _Pages({}).page(answer, {}).rows
        return [Choice(id=str(row.get(key, "")), title=text(row.get(title, ""), 200)) for row in rows]

    def written(self, kind: str, answer: Answer) -> Written | Trouble:
        parts = urlsplit(answer.headers.get("location", "")).path.rstrip("/").split("/")
        ids = parts[-2:] if kind == "orders" else parts[-1:]
        if not all(ids):
            return Later(reason="no_id", detail="Visma.net took it but did not say under which number.", sent=True)
        return Written(id="/".join(ids), said=answer.headers["location"].encode())

    async def _whole(self, listed: Sequence[Record]) -> list[Record] | Trouble:
        """Orders with all of their rows; a list shows their heads only."""
        turns = asyncio.Semaphore(self.at_once)

        async def one(record: Record) -> Record | Trouble | None:
            async with turns:
                return await self.get("orders", record.id)

        whole = await asyncio.gather(*(one(record) for record in listed))
        trouble = next((one for one in whole if isinstance(one, Later | Misconfigured | Refused)), None)
        return trouble or [one for one in whole if isinstance(one, Record)]


CONNECTOR = VismaNet
