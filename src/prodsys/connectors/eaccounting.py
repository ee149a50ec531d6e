"""Visma eAccounting (Spiris, eKonomi), whole: its form, its words, and the way between its words and ours."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.connectors._base import Choice, Grant, Known, Limit, Record, Resource, Secret, Trouble, Written, day, exact, text
from prodsys.connectors._rest import Answer, Auth, Numbered, OAuth, Paging, RestConnector, odata_equal, odata_filters, odata_since
from prodsys.documents import (
    Address,
    ArticleCard,
    ContactCard,
    DeliveryPlace,
    Exact,
    InvoiceDraft,
    OrderStatus,
    Percent,
    Person,
    Progress,
    SalesOrder,
    Stock,
    TradeLine,
    UnitPrice,
    rounded,
)  # fmt: skip
from prodsys.kit.outbound import Answered, Later

SCOPES = "ea:api offline_access ea:sales"
_SERVICE = "service:44643EB1-3F76-4C1C-A672-402AE8085934+forceselectcompany:true"
_AGAIN_IN = re.compile(r"again in (\d{1,4}) second", re.IGNORECASE)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client_id: Annotated[str, Meta(title="Client ID", description="Of the application in Visma's developer portal.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="Client secret")]
    terms_of_payment: Annotated[
        str, Meta(title="Terms of payment", description="Id given to customers whose terms are not mapped; see the list of terms.")
    ] = ""
    coding: Annotated[str, Meta(title="Article coding", description="Id of the account coding new articles get; it decides their VAT.")] = (
        ""
    )
    unit: Annotated[str, Meta(title="Unit", description="Id of the unit new articles get where theirs is not mapped.")] = ""
    base_url: Annotated[str, Meta(title="Address of the API", description="The sandbox has another one.")] = (
        "https://eaccountingapi.vismaonline.com/v2"
    )
    identity_url: Annotated[str, Meta(title="Address of the sign-in")] = "https://identity.vismaonline.com"


Text = str | None
Number = Decimal | None


class Customer(msgspec.Struct, kw_only=True, rename="pascal"):
    id: Text = None
    customer_number: Text = None
    name: str = ""
    is_private_person: bool = False
    is_active: bool = True
    corporate_identity_number: Text = None
    vat_number: Text = None
    edi_gln_number: Text = None
    email_address: Text = None
    telephone: Text = None
    invoice_address1: Text = None
    invoice_address2: Text = None
    invoice_postal_code: str | None = ""
    invoice_city: str | None = ""
    invoice_country_code: Text = None
    delivery_customer_name: Text = None
    delivery_address1: Text = None
    delivery_postal_code: Text = None
    delivery_city: Text = None
    delivery_country_code: Text = None
    contact_person_name: Text = None
    contact_person_email: Text = None
    contact_person_phone: Text = None
    currency_code: Text = None
    terms_of_payment_id: str | None = None
    note: Text = None


class Barcode(msgspec.Struct, kw_only=True, rename="pascal"):
    barcode: str = ""
    barcode_type: int = 0


class Article(msgspec.Struct, kw_only=True, rename="pascal"):
    id: Text = None
    number: str
    name: str = ""
    is_active: bool = True
    coding_id: Text = None
    unit_id: Text = None
    unit_abbreviation: Text = None
    net_price: Number = None
    gross_price: Number = None
    stock_balance: Number = None
    stock_balance_reserved: Number = None
    stock_balance_available: Number = None
    supplier_article_number: Text = None
    is_service_article: bool | None = None
    is_stock: bool | None = None
    barcodes: list[Barcode] | None = None
    article_labels: list[dict[str, Any]] | None = None


class Row(msgspec.Struct, kw_only=True, rename="pascal"):
    line_number: int = 0
    is_text_row: bool = False
    article_id: Text = None
    article_number: Text = None
    text: str | None = ""
    quantity: Number = None
    unit_price: Number = None
    discount_percentage: Number = None
    """A fraction from 0 to 1, not percent."""
    is_work_cost: bool = False
    eligible_for_reverse_charge_on_vat: bool | None = None
    reversed_construction_services_vat_free: bool | None = None


class Order(msgspec.Struct, kw_only=True, rename="pascal"):
    id: Text = None
    number: int | None = None
    customer_id: str = ""
    customer_name: Text = None
    customer_number: Text = None
    currency_code: str = ""
    status: int | None = None
    order_date: Text = None
    invoice_date: Text = None
    delivery_date: Text = None
    your_reference: Text = None
    buyers_order_reference: Text = None
    delivery_customer_name: Text = None
    delivery_address1: Text = None
    delivery_postal_code: Text = None
    delivery_city: Text = None
    delivery_country_code: Text = None
    delivery_method_code: Text = None
    delivery_term_code: Text = None
    terms_of_payment_id: Text = None
    eu_third_party: bool = False
    reverse_charge_on_construction_services: bool | None = None
    rot_reduced_invoicing_type: int = 0
    is_credit_invoice: bool | None = None
    includes_vat: bool | None = None
    rows: list[Row] | None = None


def read_customer(theirs: Customer) -> ContactCard:
    """A customer in our words; a person's record has no organisation number to speak of."""
    country = text(theirs.invoice_country_code)[:2].upper()
    contact = text(theirs.contact_person_name, 200)
    persons = [Person(name=contact, email=text(theirs.contact_person_email, 120), phone=text(theirs.contact_person_phone, 80))]
    return ContactCard(
        number=text(theirs.customer_number, 80), kind="person" if theirs.is_private_person else "company",
        name=text(theirs.name, 200) or "?", is_active=theirs.is_active, organisation_number=text(theirs.corporate_identity_number, 80),
        vat_number=text(theirs.vat_number, 80), gln=text(theirs.edi_gln_number, 80), email=text(theirs.email_address, 120),
        phone=text(theirs.telephone, 80),
        address=_address(theirs.invoice_address1, theirs.invoice_postal_code, theirs.invoice_city, country, theirs.invoice_address2),
        deliver_to=_place(theirs), persons=persons if contact else [], currency=text(theirs.currency_code, 3),
        payment_terms=text(theirs.terms_of_payment_id, 80), note=text(theirs.note, 4000),
    )  # fmt: skip


def write_customer(ours: ContactCard, known: Known) -> Customer:
    """A customer in their words; a company's first person is its contact person."""
    person = ours.persons[0] if ours.persons and ours.kind == "company" else None
    return Customer(
        customer_number=ours.number or None, name=ours.name, is_private_person=ours.kind == "person", is_active=ours.is_active,
        corporate_identity_number=ours.organisation_number or None, vat_number=ours.vat_number or None, edi_gln_number=ours.gln or None,
        email_address=ours.email or None, telephone=ours.phone or None, invoice_address1=_line(ours.address),
        invoice_address2=ours.address.street2 or None, invoice_postal_code=ours.address.postcode, invoice_city=ours.address.city,
        invoice_country_code=ours.address.country or None, contact_person_name=person.name if person else None,
        contact_person_email=person.email or None if person else None, contact_person_phone=person.phone or None if person else None,
        currency_code=ours.currency or None, terms_of_payment_id=ours.payment_terms or known.config.terms_of_payment or None,
        note=ours.note or None, **_delivery(ours.deliver_to),
    )  # fmt: skip


def read_article(theirs: Article) -> ArticleCard:
    """An article in our words; their five labels come as features."""
    codes = [one.barcode for one in theirs.barcodes or () if one.barcode.isdigit() and len(one.barcode) in (8, 12, 13, 14)]
    return ArticleCard(
        number=text(theirs.number, 80), kind="virtual" if theirs.is_service_article else "simple", name=text(theirs.name),
        unit=text(theirs.unit_abbreviation, 20), gtin=codes[0] if codes else "", is_active=theirs.is_active,
        supplier_article_number=text(theirs.supplier_article_number, 80), price=exact(UnitPrice, theirs.net_price or None),
        price_with_tax=exact(UnitPrice, theirs.gross_price or None), quantity=exact(Exact, theirs.stock_balance),
        features={f"label_{at}": text(label.get("Name")) for at, label in enumerate((theirs.article_labels or [])[:5], 1)},
    )  # fmt: skip


def write_article(ours: ArticleCard, known: Known) -> Article:
    """An article in their words. VAT follows the coding, so a tax code of ours is mapped to one of their codings."""
    config: Config = known.config
    return Article(
        number=ours.number, name=ours.name, is_active=ours.is_active, coding_id=ours.tax_code or config.coding or None,
        unit_id=config.unit or None, net_price=rounded(ours.price / ours.price_quantity) if ours.price is not None else None,
        gross_price=rounded(ours.price_with_tax / ours.price_quantity) if ours.price_with_tax is not None else None,
        supplier_article_number=ours.supplier_article_number or None, is_service_article=True if ours.kind == "virtual" else None,
        barcodes=[Barcode(barcode=ours.gtin)] if ours.gtin else None,
    )  # fmt: skip


def read_stock(theirs: Article) -> Stock:
    """An article's stock; what they call available is what is on hand without what is reserved."""
    return Stock(
        article_number=text(theirs.number, 80), on_hand=exact(Exact, theirs.stock_balance), is_managed=theirs.is_stock,
        reserved=exact(Exact, theirs.stock_balance_reserved), available=exact(Exact, theirs.stock_balance_available),
    )  # fmt: skip


def read_order(theirs: Order) -> SalesOrder:
    """An order in our words; the buyer's own number is the one it is found again by, theirs where he gave none."""
    return SalesOrder(
        number=text(theirs.buyers_order_reference, 80) or str(theirs.number or "") or text(theirs.id, 80), is_draft=theirs.status == 1,
        date=day(theirs.order_date) or dt.date(1970, 1, 1), currency=text(theirs.currency_code, 3),
        customer=ContactCard(number=text(theirs.customer_number, 80), name=text(theirs.customer_name, 200) or "?"),
        deliver_to=_place(theirs), requested_date=day(theirs.delivery_date), customer_reference=text(theirs.your_reference, 80),
        status=_STATUS.get(theirs.status or 0, ("unknown", ""))[1], payment_terms=text(theirs.terms_of_payment_id, 80),
        delivery_terms=text(theirs.delivery_term_code, 80), shipping_method=text(theirs.delivery_method_code, 80),
        prices_include_tax=theirs.includes_vat is True, lines=[_read_row(row) for row in theirs.rows or []],
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> Order:
    """An order in their words, Draft (1) or Ongoing (2); where an invoice is to be made of it, the draft of one."""
    if ours.kind != "order":
        rows = [_row(at, line, known, ours.discount_percent, is_order=False) for at, line in enumerate(ours.lines)]
        return Order(**_head(ours, known), invoice_date=ours.date.isoformat(), is_credit_invoice=False, rows=rows)
    return Order(
        **_head(ours, known), **_delivery(ours.deliver_to), status=1 if ours.is_draft else 2, order_date=ours.date.isoformat(),
        delivery_date=ours.requested_date.isoformat() if ours.requested_date else None, delivery_method_code=ours.shipping_method or None,
        delivery_term_code=ours.delivery_terms or None, reverse_charge_on_construction_services=False,
        rows=[_row(at, line, known, ours.discount_percent, is_order=True) for at, line in enumerate(ours.lines)],
    )  # fmt: skip


def read_status(theirs: Order) -> OrderStatus:
    """How an order stands there."""
    status, said = _STATUS.get(theirs.status or 0, ("unknown", ""))
    number = text(theirs.buyers_order_reference, 80) or str(theirs.number or "") or text(theirs.id, 80)
    return OrderStatus(number=number, status=status, said=said, expected_date=day(theirs.delivery_date))


def read_invoice_draft(theirs: Order) -> InvoiceDraft:
    """An invoice draft in our words."""
    return InvoiceDraft(
        number=text(theirs.buyers_order_reference, 80) or text(theirs.id, 80), date=day(theirs.invoice_date) or dt.date(1970, 1, 1),
        currency=text(theirs.currency_code, 3) or "XXX",
        customer=ContactCard(number=text(theirs.customer_number, 80), name=text(theirs.customer_name, 200) or "?"),
        customer_reference=text(theirs.your_reference, 80), is_credit=theirs.is_credit_invoice is True,
        lines=[_read_row(row) for row in theirs.rows or []],
    )  # fmt: skip


def write_invoice_draft(ours: InvoiceDraft, known: Known) -> Order:
    """An invoice draft in their words."""
    rows = [_row(at, line, known, Decimal(0), is_order=False) for at, line in enumerate(ours.lines)]
    return Order(**_head(ours, known), invoice_date=ours.date.isoformat(), is_credit_invoice=ours.is_credit, rows=rows)


def _head(ours: SalesOrder | InvoiceDraft, known: Known) -> dict[str, Any]:
    return {"customer_id": known.customer, "currency_code": ours.currency, "buyers_order_reference": ours.number,
            "your_reference": ours.customer_reference or ours.number, "terms_of_payment_id": ours.payment_terms or None}  # fmt: skip


def _delivery(there: DeliveryPlace | None) -> dict[str, Any]:
    if there is None:
        return {}
    return {"delivery_customer_name": there.name or None, "delivery_address1": _line(there.address),
            "delivery_postal_code": there.address.postcode or None, "delivery_city": there.address.city or None,
            "delivery_country_code": there.address.country or None}  # fmt: skip


def _row(at: int, line: TradeLine, known: Known, discount: Decimal, *, is_order: bool) -> Row:
    row = Row(line_number=at, text=line.description or line.note)
    if is_order:
        row.eligible_for_reverse_charge_on_vat = False
    else:
        row.reversed_construction_services_vat_free = False
    if line.kind == "text":
        row.is_text_row, row.text = True, row.text or "-"
        return row
    row.article_id = known.articles.get(line.article_number) or None
    row.article_number = line.article_number or None
    row.quantity = Decimal(line.quantity) if line.quantity is not None else None
    if line.unit_price is not None:
        row.unit_price = (line.unit_price / line.price_quantity).quantize(Decimal("0.0001"))
    # Both discounts are taken one after the other: 10 % and 5 % leave 85.5 %.
    left = (100 - line.discount_percent) * (100 - discount) / 10_000
    row.discount_percentage = (1 - left).quantize(Decimal("0.0001"))
    return row


def _read_row(row: Row) -> TradeLine:
    if row.is_text_row:
        return TradeLine(line_id=str(row.line_number), kind="text", description=text(row.text, 4000))
    return TradeLine(
        line_id=str(row.line_number), article_number=text(row.article_number, 80), description=text(row.text, 4000),
        quantity=exact(Exact, row.quantity), unit_price=exact(Exact, row.unit_price),
        discount_percent=exact(Percent, 100 * (row.discount_percentage or 0)) or Percent(0),
    )  # fmt: skip


_STATUS: Mapping[int, tuple[Progress, str]] = {
    1: ("open", "Draft"), 2: ("in_progress", "Ongoing"), 3: ("shipped", "Shipped"), 4: ("invoiced", "Invoiced"),
}  # fmt: skip


def _line(address: Address) -> str | None:
    return streets.join(address.street, address.house_number, address.country) or None


def _address(line: Any, postcode: Any, city: Any, country: str, more: Any = "") -> Address:
    street, number = streets.split(text(line), country)
    return Address(
        street=street, house_number=number, street2=text(more), postcode=text(postcode, 80), city=text(city, 120), country=country
    )


def _place(theirs: Customer | Order) -> DeliveryPlace | None:
    country = text(theirs.delivery_country_code)[:2].upper()
    address = _address(theirs.delivery_address1, theirs.delivery_postal_code, theirs.delivery_city, country)
    place = DeliveryPlace(name=text(theirs.delivery_customer_name), address=address)
    return None if place == DeliveryPlace() else place


class EAccounting(RestConnector):
    """One company in eAccounting; who signs in chooses which."""

    title = "Visma eAccounting / eKonomi"
    summary = "Bookkeeping, invoicing and stock for small companies in the Nordic countries and the Netherlands."
    Config = Config
    probe = "/companysettings"
    rate = (600, 60.0)
    authorizes = True
    prerequisites = (
        "An application in Visma's developer portal, with this instance's address as its redirect URI.",
        "Orders and stock need a package that has them; without it eAccounting answers 4002 (no access to the module).",
    )
    remarks = (
        "Images and categories of articles are not in the interface.",
        "VAT of a row follows the article's coding and cannot be set for a row.",
        "Stock can be read; it changes there by orders, deliveries and stock counts only.",
    )
    lists: ClassVar[Mapping[str, str]] = {
        "payment_terms": "Terms of payment", "tax_codes": "Article codings", "units": "Units", "shipping_methods": "Delivery methods",
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path="/customers", wire=Customer, key="Id", number="CustomerNumber", read=read_customer, write=write_customer,
            find_by={"email": odata_equal("EmailAddress"), "number": odata_equal("CustomerNumber"), "name": odata_equal("Name"),
                     "organisation_number": odata_equal("CorporateIdentityNumber"), "reference": odata_equal("CustomerNumber")},
            since=odata_since("ChangedUtc"), changed="ChangedUtc", update="put",
            limits=(
                Limit(field="name", longest=50, is_required=True), Limit(field="address.city", longest=50, is_required=True),
                Limit(field="address.postcode", longest=10, is_required=True), Limit(field="number", longest=16),
                Limit(field="organisation_number", longest=20), Limit(field="vat_number", longest=20), Limit(field="email", longest=255),
                Limit(field="payment_terms", says="Terms of payment, by the list mapping or in the form."),
            ),
            provenance={"number, name, addresses, e-mail, VAT": "documented", "filters by e-mail and number": "client code"},
        ),
        "articles": Resource(
            path="/articles", wire=Article, key="Id", number="Number", read=read_article, write=write_article,
            find_by={"number": odata_equal("Number"), "reference": odata_equal("Number")},
            since=odata_since("ChangedUtc"), changed="ChangedUtc", update="put",
            limits=(Limit(field="number", longest=40, is_required=True), Limit(field="name", longest=50, is_required=True),
                    Limit(field="supplier_article_number", longest=16), Limit(field="price", decimals=2)),
            provenance={"number, name, prices, unit, coding, barcodes": "documented"},
            note="Attributes and features travel in the five labels an article may have.",
        ),
        "stock": Resource(
            path="/articles", wire=Article, key="Id", number="Number", read=read_stock, since=odata_since("ChangedUtc"),
            changed="ChangedUtc", find_by={"number": odata_equal("Number")},
            provenance={"on hand, reserved, available": "documented"},
            no={"out": "With its stock module eAccounting keeps count itself; the interface takes no balance."},
        ),
        "orders": Resource(
            path="/orders", wire=Order, key="Id", number="BuyersOrderReference", read=read_order, write=write_order,
            find_by={"reference": odata_equal("BuyersOrderReference")},
            since=odata_since("ModifiedUtc"), changed="ModifiedUtc", where={"status": lambda value: {"$filter": f"Status eq {int(value)}"}},
            drafts="Draft (status 1)", makes=("order", "sales_invoice", "invoice"),
            limits=(Limit(field="number", longest=35, is_required=True), Limit(field="customer_reference", longest=100),
                    Limit(field="lines[].description", longest=2000), Limit(field="lines[].article_number", longest=40)),
            provenance={"head, rows, draft": "documented", "look-up by buyer's reference": "assumed"},
        ),
        "order_status": Resource(
            path="/orders", wire=Order, key="Id", number="BuyersOrderReference", read=read_status, since=odata_since("ModifiedUtc"),
            changed="ModifiedUtc", find_by={"reference": odata_equal("BuyersOrderReference")}, provenance={"status": "documented"},
            no={"out": "An order's status follows from what is done with it there."},
        ),
        "invoice_drafts": Resource(
            path="/customerinvoicedrafts", wire=Order, key="Id", number="BuyersOrderReference", read=read_invoice_draft,
            write=write_invoice_draft, find_by={"reference": odata_equal("BuyersOrderReference")}, drafts="Invoice draft",
            limits=(Limit(field="number", longest=35, is_required=True),),
            provenance={"head, rows": "documented", "look-up by buyer's reference": "assumed"},
        ),
        "invoices": Resource(no={
            "in": "Issued invoices are not read yet; their drafts and the orders are.",
            "out": "An issued invoice is booked at once there; send an invoice draft and issue it in eAccounting.",
        }),
        "vouchers": Resource(no={"in": "Needs the scope ea:accounting, which this connection does not ask for.",
                                 "out": "Needs the scope ea:accounting, which this connection does not ask for."}),
    }  # fmt: skip

    def auth(self) -> Auth:
        return self._sign_in()

    def paging(self, kind: str) -> Paging:
        return Numbered("$page", "$pagesize", of=500, rows="Data", pages="Meta.TotalNumberOfPages", clock="Meta.ServerTimeUtc")

    def joined(self, parts: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
        return odata_filters(parts)

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        if not isinstance(body, dict) or answer.status != 429:
            return None
        # The seconds stand in the sentence only.
        found = _AGAIN_IN.search(str(body.get("DeveloperErrorMessage", "")))
        return Later(reason="status_429", detail="eAccounting asks us to call less often.", retry_after=float(found[1]) if found else None)

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        # What has an invoice date is the draft of an invoice, whichever kind it was made of.
        return await super().create("invoice_drafts" if "InvoiceDate" in words else kind, words)

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        found = await super().find(kind, by, value)
        return found if found or kind != "orders" else await super().find("invoice_drafts", by, value)

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        path = {"payment_terms": "/termsofpayments", "tax_codes": "/articleaccountcodings", "units": "/units",
                "shipping_methods": "/deliverymethods"}[name]  # fmt: skip
        answer = await self.ask("GET", path, query={"$page": "1", "$pagesize": "500"})
        if not isinstance(answer, Answer):
            return answer
        key = "Code" if name == "shipping_methods" else "Id"
        return [Choice(id=str(row.get(key, "")), title=text(row.get("Name", ""), 200)) for row in answer.body.get("Data", [])]

    def authorize_url(self, state: str) -> str:
        asked = {"client_id": self.config.client_id, "redirect_uri": self._redirect_uri(), "scope": SCOPES, "state": state,
                 "response_type": "code", "prompt": "login", "acr_values": _SERVICE}  # fmt: skip
        return f"{self.config.identity_url.rstrip('/')}/connect/authorize?{urlencode(asked)}"

    async def authorized(self, code: str) -> Grant | Trouble:
        return await self._sign_in().exchanged(code)

    def _sign_in(self) -> OAuth:
        config: Config = self.config
        token_url = f"{config.identity_url.rstrip('/')}/connect/token"
        return OAuth(self.reach, token_url, config.client_id, config.client_secret, scope=SCOPES, credentials="basic", code=True,
                     redirect_uri=self._redirect_uri())  # fmt: skip

    def _redirect_uri(self) -> str:
        return f"{self.reach.public_url}/api/v1/connections/authorized"


CONNECTOR = EAccounting
