"""Visma eAccounting (Spiris, eKonomi), whole: its form, its words, and the way between its words and ours."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from prodsys import documents
from prodsys.connectors._base import Known, Limit, Lookup, Record, Resource, Secret, Trouble, Written, day, exact, text
from prodsys.connectors._rest import Answer, Auth, Numbered, OAuth, Paging, RestConnector, odata_by, odata_equal, odata_filters, odata_since
from prodsys.connectors._words import address, contact_person, gtin, left_after, on, party, persons, place, rules, street, unit_price
from prodsys.documents import ArticleCard, ContactCard, Exact, Invoice, InvoiceDraft, Percent, SalesOrder, TradeLine, UnitPrice, Voucher
from prodsys.kit.outbound import Answered, Later

_SERVICE = "service:44643EB1-3F76-4C1C-A672-402AE8085934+forceselectcompany:true"
_AGAIN_IN = re.compile(r"again in (\d{1,4}) second", re.IGNORECASE)
MOST_LABELS = 5
_STATUS: Mapping[int, tuple[documents.Progress, str]] = {
    1: ("open", "Draft"), 2: ("in_progress", "Ongoing"), 3: ("shipped", "Shipped"), 4: ("invoiced", "Invoiced"),
}  # fmt: skip


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client_id: Annotated[str, Meta(title="Client ID", description="Of the application in Visma's developer portal.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="Client secret")]
    terms_of_payment: Annotated[
        str, Meta(title="Terms of payment", description="Id given to customers whose terms are not mapped; see the list of terms.")
    ] = ""
    coding: Annotated[str, Meta(title="Article coding", description="Id of the account coding of new articles; it decides their VAT.")] = ""
    unit: Annotated[str, Meta(title="Unit", description="Id of the unit new articles get where theirs is not mapped.")] = ""
    scope: Annotated[str, Meta(title="Scopes", description="What the application may do; vouchers need ea:accounting.")] = (
        "ea:api offline_access ea:sales ea:accounting"
    )
    base_url: Annotated[str, Meta(title="Address of the API", description="The sandbox has another one.")] = (
        "https://eaccountingapi.vismaonline.com/v2"
    )
    identity_url: Annotated[str, Meta(title="Address of the sign-in")] = "https://identity.vismaonline.com"


Text = str | None
Number = Decimal | None


class Delivered(msgspec.Struct, kw_only=True, rename="pascal"):
    delivery_customer_name: Text = None
    delivery_address1: Text = None
    delivery_postal_code: Text = None
    delivery_city: Text = None
    delivery_country_code: Text = None


class Customer(Delivered, kw_only=True, rename="pascal"):
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
    invoice_postal_code: Text = ""
    invoice_city: Text = ""
    invoice_country_code: Text = None
    contact_person_name: Text = None
    contact_person_email: Text = None
    contact_person_phone: Text = None
    currency_code: Text = None
    terms_of_payment_id: Text = None
    note: Text = None


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
    barcodes: list[dict[str, Any]] | None = None
    article_labels: list[dict[str, Any]] | None = None


class Row(msgspec.Struct, kw_only=True, rename="pascal"):
    line_number: int = 0
    is_text_row: bool = False
    article_id: Text = None
    article_number: Text = None
    text: Text = ""
    quantity: Number = None
    unit_price: Number = None
    discount_percentage: Number = None
    """A fraction from 0 to 1, not percent."""
    is_work_cost: bool = False
    eligible_for_reverse_charge_on_vat: bool | None = None
    reversed_construction_services_vat_free: bool | None = None


class Order(Delivered, kw_only=True, rename="pascal"):
    """An order, the draft of an invoice, or an invoice: their members are nearly the same."""

    id: Text = None
    number: int | None = None
    customer_id: str = ""
    customer_name: Text = None
    customer_number: Text = None
    currency_code: Text = None
    invoice_currency_code: Text = None
    status: int | None = None
    order_date: Text = None
    invoice_date: Text = None
    due_date: Text = None
    delivery_date: Text = None
    your_reference: Text = None
    buyers_order_reference: Text = None
    delivery_method_code: Text = None
    delivery_term_code: Text = None
    terms_of_payment_id: Text = None
    eu_third_party: bool = False
    reverse_charge_on_construction_services: bool | None = None
    rot_reduced_invoicing_type: int = 0
    is_credit_invoice: bool | None = None
    includes_vat: bool | None = None
    send_type: int | None = None
    invoice_number: int | None = None
    total_amount_invoice_currency: Number = None
    total_vat_amount_invoice_currency: Number = None
    remaining_amount_invoice_currency: Number = None
    rows: list[Row] | None = None


def read_customer(theirs: Customer) -> ContactCard:
    """A customer in our words; a person's record has no organisation number to speak of."""
    return ContactCard(
        number=text(theirs.customer_number, 80), kind="person" if theirs.is_private_person else "company",
        name=text(theirs.name, 200) or "?", is_active=theirs.is_active, organisation_number=text(theirs.corporate_identity_number, 80),
        vat_number=text(theirs.vat_number, 80), gln=text(theirs.edi_gln_number, 80), email=text(theirs.email_address, 120),
        phone=text(theirs.telephone, 80), deliver_to=_place(theirs), currency=text(theirs.currency_code, 3),
        address=address(theirs.invoice_address1, postcode=theirs.invoice_postal_code, city=theirs.invoice_city,
                        country=theirs.invoice_country_code, more=theirs.invoice_address2),
        persons=persons(theirs.contact_person_name, theirs.contact_person_email, theirs.contact_person_phone),
        payment_terms=text(theirs.terms_of_payment_id, 80), note=text(theirs.note, 4000),
    )  # fmt: skip


def write_customer(ours: ContactCard, known: Known) -> Customer:
    """A customer in their words; a company's first person is its contact person."""
    person = contact_person(ours)
    return Customer(
        customer_number=ours.number or None, name=ours.name, is_private_person=ours.kind == "person", is_active=ours.is_active,
        corporate_identity_number=ours.organisation_number or None, vat_number=ours.vat_number or None, edi_gln_number=ours.gln or None,
        email_address=ours.email or None, telephone=ours.phone or None, invoice_address1=street(ours.address),
        invoice_address2=ours.address.street2 or None, invoice_postal_code=ours.address.postcode, invoice_city=ours.address.city,
        invoice_country_code=ours.address.country or None, contact_person_name=person.name or None,
        contact_person_email=person.email or None, contact_person_phone=person.phone or None, currency_code=ours.currency or None,
        terms_of_payment_id=ours.payment_terms or known.config.terms_of_payment or None, note=ours.note or None,
        **_delivery(ours.deliver_to),
    )  # fmt: skip


def read_article(theirs: Article) -> ArticleCard:
    """An article in our words; a label such as `Colour: red` is a feature of that name."""
    labels = [text(label.get("Name")).rpartition(": ") for label in (theirs.article_labels or [])[:MOST_LABELS]]
    return ArticleCard(
        number=text(theirs.number, 80), kind="virtual" if theirs.is_service_article else "simple", name=text(theirs.name),
        unit=text(theirs.unit_abbreviation, 20), gtin=gtin(one.get("Barcode") for one in theirs.barcodes or ()),
        is_active=theirs.is_active, supplier_article_number=text(theirs.supplier_article_number, 80),
        price=exact(UnitPrice, theirs.net_price or None), price_with_tax=exact(UnitPrice, theirs.gross_price or None),
        quantity=exact(Exact, theirs.stock_balance), features={name or f"label_{at}": said for at, (name, _, said) in enumerate(labels, 1)},
    )  # fmt: skip


def write_article(ours: ArticleCard, known: Known) -> Article:
    """An article in their words. VAT follows the coding, so a tax code of ours is mapped to one of their codings.

    Raises ValueError for more attributes and features than an article may have labels.
    """
    config: Config = known.config
    labels = [f"{name}: {said}" for name, said in {**ours.attributes, **ours.features}.items()]
    if len(labels) > MOST_LABELS:
        raise ValueError(f"An article has at most {MOST_LABELS} attributes and features there, not {len(labels)}")
    return Article(
        number=ours.number, name=ours.name, is_active=ours.is_active, coding_id=ours.tax_code or config.coding or None,
        unit_id=config.unit or None, supplier_article_number=ours.supplier_article_number or None,
        net_price=documents.rounded(ours.price / ours.price_quantity) if ours.price is not None else None,
        gross_price=documents.rounded(ours.price_with_tax / ours.price_quantity) if ours.price_with_tax is not None else None,
        barcodes=[{"Barcode": ours.gtin, "BarcodeType": 0}] if ours.gtin else None,
        article_labels=[{"Name": label} for label in labels] or None,
    )  # fmt: skip


def read_stock(theirs: Article) -> documents.Stock:
    """An article's stock; what they call available is what is on hand without what is reserved."""
    return documents.Stock(
        article_number=text(theirs.number, 80), on_hand=exact(Exact, theirs.stock_balance), is_managed=theirs.is_stock,
        reserved=exact(Exact, theirs.stock_balance_reserved), available=exact(Exact, theirs.stock_balance_available),
    )  # fmt: skip


def read_order(theirs: Order) -> SalesOrder:
    """An order in our words; the buyer's own number is the one it is found again by, theirs where he gave none."""
    return SalesOrder(
        number=_number(theirs), is_draft=theirs.status == 1, date=on(theirs.order_date), currency=text(theirs.currency_code, 3),
        customer=party(theirs.customer_number, theirs.customer_name), deliver_to=_place(theirs), requested_date=day(theirs.delivery_date),
        customer_reference=text(theirs.your_reference, 80), status=_STATUS.get(theirs.status or 0, ("unknown", ""))[1],
        payment_terms=text(theirs.terms_of_payment_id, 80), delivery_terms=text(theirs.delivery_term_code, 80),
        shipping_method=text(theirs.delivery_method_code, 80), prices_include_tax=theirs.includes_vat is True, lines=_lines(theirs),
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> Order:
    """An order in their words, Draft (1) or Ongoing (2); where an invoice is to be made of it, the draft of one or an issued one."""
    if ours.kind != "order":
        said = {"date": ours.date, "currency": ours.currency, "customer": ours.customer, "payment_terms": ours.payment_terms}
        draft = InvoiceDraft(number=ours.number, customer_reference=ours.customer_reference, lines=ours.lines, **said)  # type: ignore[arg-type]  # each of its own kind
        return _invoice(draft, known, ours.discount_percent, is_draft=ours.is_draft)
    return Order(
        **_head(ours, known), **_delivery(ours.deliver_to), status=1 if ours.is_draft else 2, currency_code=ours.currency,
        order_date=ours.date.isoformat(), delivery_date=ours.requested_date.isoformat() if ours.requested_date else None,
        delivery_method_code=ours.shipping_method or None, delivery_term_code=ours.delivery_terms or None,
        reverse_charge_on_construction_services=False,
        rows=[_row(at, line, known, ours.discount_percent, eligible_for_reverse_charge_on_vat=False) for at, line in enumerate(ours.lines)],
    )  # fmt: skip


def read_status(theirs: Order) -> documents.OrderStatus:
    """How an order stands there."""
    status, said = _STATUS.get(theirs.status or 0, ("unknown", ""))
    return documents.OrderStatus(number=_number(theirs), status=status, said=said, expected_date=day(theirs.delivery_date))


def read_invoice_draft(theirs: Order) -> InvoiceDraft:
    """An invoice draft in our words."""
    return InvoiceDraft(**_invoice_head(theirs), number=_number(theirs))


def write_invoice_draft(ours: InvoiceDraft, known: Known) -> Order:
    """An invoice draft in their words."""
    return _invoice(ours, known, Decimal(0), is_draft=True)


def read_invoice(theirs: Order) -> Invoice:
    """An issued invoice under the number of their series; the buyer's order is the one it is about."""
    gross, tax = (
        exact(Exact, said) or Exact(0) for said in (theirs.total_amount_invoice_currency, theirs.total_vat_amount_invoice_currency)
    )
    owed = exact(Exact, theirs.remaining_amount_invoice_currency)
    return Invoice(
        **_invoice_head(theirs), number=str(theirs.invoice_number or "") or _number(theirs), due_date=day(theirs.due_date),
        order_number=text(theirs.buyers_order_reference, 80), prices_include_tax=theirs.includes_vat is True,
        net=exact(Exact, gross - tax) or Exact(0), tax=tax, gross=gross, paid=None if owed is None else exact(Exact, gross - owed),
        status="unknown" if owed is None else "open" if owed else "paid",
    )  # fmt: skip


def write_invoice(ours: Invoice, known: Known) -> Order:
    """An invoice, which is booked at once under the next number of their series."""
    return _invoice(ours, known, Decimal(0), is_draft=False)


def read_voucher(theirs: Mapping[str, Any]) -> Voucher:
    """A voucher under its number and series; debit is positive."""
    number = text(theirs.get("NumberAndNumberSeries"), 80) or text(theirs.get("Id"), 80)
    lines = [
        documents.VoucherLine(
            line_id=str(at), account=text(row.get("AccountNumber"), 80), description=text(row.get("TransactionText")),
            amount=exact(Exact, Decimal(row.get("DebitAmount") or 0) - Decimal(row.get("CreditAmount") or 0)) or Exact(0),
            tax_code=text(row.get("VatCodeId"), 80),
        )
        for at, row in enumerate(theirs.get("Rows") or [], 1)
    ]  # fmt: skip
    return Voucher(number=number, date=on(theirs.get("VoucherDate")), currency="XXX", journal=text(theirs.get("NumberSeries"), 80),
                   description=text(theirs.get("VoucherText")), lines=lines)  # fmt: skip


def write_voucher(ours: Voucher, known: Known) -> Mapping[str, Any]:  # noqa: ARG001
    """A voucher in their words; its text begins with our number, by which it is found. Raises ValueError where it does not balance."""
    if ours.difference:
        raise ValueError(f"Debit and credit differ by {ours.difference}")
    rows = [
        {"AccountNumber": int(line.account), "DebitAmount": max(line.amount, Decimal(0)), "CreditAmount": max(-line.amount, Decimal(0)),
         "TransactionText": line.description[:60] or None, "VatCodeId": line.tax_code or None}
        for line in ours.lines
    ]  # fmt: skip
    return {"VoucherDate": ours.date.isoformat(), "VoucherText": f"{ours.number}: {ours.description}"[:1000], "Rows": rows}


def _number(theirs: Order) -> str:
    return text(theirs.buyers_order_reference, 80) or str(theirs.number or "") or text(theirs.id, 80)


def _head(ours: SalesOrder | InvoiceDraft, known: Known) -> dict[str, Any]:
    return {"customer_id": known.customer, "buyers_order_reference": ours.number, "terms_of_payment_id": ours.payment_terms or None,
            "your_reference": ours.customer_reference or ours.number}  # fmt: skip


def _invoice(ours: InvoiceDraft, known: Known, discount: Decimal, *, is_draft: bool) -> Order:
    # What is issued says to nobody (0) it is sent; that is how the two are told apart, see `create`.
    reverse_charge: dict[str, bool] = {"reversed_construction_services_vat_free": False} if is_draft else {}
    rows = [_row(at, line, known, discount, **reverse_charge) for at, line in enumerate(ours.lines)]
    return Order(**_head(ours, known), send_type=None if is_draft else 0, invoice_date=ours.date.isoformat(), rows=rows,
                 is_credit_invoice=ours.is_credit, due_date=ours.due_date.isoformat() if ours.due_date else None)  # fmt: skip


def _invoice_head(theirs: Order) -> dict[str, Any]:
    return {"date": on(theirs.invoice_date), "currency": text(theirs.invoice_currency_code or theirs.currency_code, 3) or "XXX",
            "customer": party(theirs.customer_number, theirs.customer_name), "customer_reference": text(theirs.your_reference, 80),
            "is_credit": theirs.is_credit_invoice is True, "lines": _lines(theirs),
            "payment_terms": text(theirs.terms_of_payment_id, 80)}  # fmt: skip


def _delivery(there: documents.DeliveryPlace | None) -> dict[str, Any]:
    if there is None:
        return {}
    return {"delivery_customer_name": there.name or None, "delivery_address1": street(there.address),
            "delivery_postal_code": there.address.postcode or None, "delivery_city": there.address.city or None,
            "delivery_country_code": there.address.country or None}  # fmt: skip


def _place(theirs: Delivered) -> documents.DeliveryPlace | None:
    there = address(theirs.delivery_address1, postcode=theirs.delivery_postal_code, city=theirs.delivery_city,
                    country=theirs.delivery_country_code)  # fmt: skip
    return place(theirs.delivery_customer_name, there)


def _row(at: int, line: TradeLine, known: Known, discount: Decimal, **reverse_charge: Any) -> Row:
    if line.kind == "text":
        return Row(line_number=at, is_text_row=True, text=line.description or line.note or "-", **reverse_charge)
    return Row(
        line_number=at, text=line.description or line.note, article_id=known.articles.get(line.article_number) or None,
        article_number=line.article_number or None, quantity=Decimal(line.quantity) if line.quantity is not None else None,
        unit_price=unit_price(line), **reverse_charge,
        discount_percentage=(1 - left_after(line.discount_percent, discount)).quantize(Decimal("0.0001")),
    )  # fmt: skip


def _lines(theirs: Order) -> list[TradeLine]:
    return [
        TradeLine(line_id=str(row.line_number), kind="text", description=text(row.text, 4000)) if row.is_text_row else TradeLine(
            line_id=str(row.line_number), article_number=text(row.article_number, 80), description=text(row.text, 4000),
            quantity=exact(Exact, row.quantity), unit_price=exact(Exact, row.unit_price),
            discount_percent=exact(Percent, 100 * (row.discount_percentage or 0)) or Percent(0),
        )
        for row in theirs.rows or []
    ]  # fmt: skip


_FOUND_BY_OURS = odata_by(reference="BuyersOrderReference")
_ORDERS: Mapping[str, Any] = {"path": "/orders", "wire": Order, "key": "Id", "number": "BuyersOrderReference", "find_by": _FOUND_BY_OURS,
                              "since": odata_since("ModifiedUtc"), "changed": "ModifiedUtc"}  # fmt: skip
_ARTICLES: Mapping[str, Any] = {"path": "/articles", "wire": Article, "key": "Id", "number": "Number", "since": odata_since("ChangedUtc"),
                                "changed": "ChangedUtc", "find_by": odata_by(number="Number", reference="Number")}  # fmt: skip
_NUMBER_RULE = rules(needed=("number",), longest={"number": 35})


def _beginning(value: str) -> Mapping[str, str]:
    return {"$filter": odata_equal("VoucherText").query(value)["$filter"].replace("VoucherText eq ", "contains(VoucherText,") + ")"}


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
    choices_at: ClassVar[Mapping[str, tuple[str, str, str]]] = {
        "payment_terms": ("/termsofpayments", "Id", "Name"), "tax_codes": ("/articleaccountcodings", "Id", "Name"),
        "units": ("/units", "Id", "Name"), "shipping_methods": ("/deliverymethods", "Code", "Name"),
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path="/customers", wire=Customer, key="Id", number="CustomerNumber", read=read_customer, write=write_customer, update="put",
            find_by=odata_by(email="EmailAddress", number="CustomerNumber", name="Name", organisation_number="CorporateIdentityNumber",
                             reference="CustomerNumber"),
            since=odata_since("ChangedUtc"), changed="ChangedUtc",
            limits=rules(Limit(field="payment_terms", says="Terms of payment, by the list mapping or in the form."),
                         needed=("name", "address.city", "address.postcode"),
                         longest={"name": 50, "address.city": 50, "address.postcode": 10, "number": 16, "organisation_number": 20,
                                  "vat_number": 20, "email": 255}),
            provenance={"number, name, addresses, e-mail, VAT": "documented", "filters by e-mail and number": "client code"},
        ),
        "articles": Resource(
            **_ARTICLES, read=read_article, write=write_article, update="put",
            limits=rules(Limit(field="price", decimals=2), needed=("number", "name"),
                         longest={"number": 40, "name": 50, "supplier_article_number": 16}),
            provenance={"number, name, prices, unit, coding, barcodes, labels": "documented"},
            note="Attributes and features travel in the five labels an article may have; labels that are missing there are made.",
        ),
        "stock": Resource(
            **_ARTICLES, read=read_stock, provenance={"on hand, reserved, available": "documented"},
            no={"out": "With its stock module eAccounting keeps count itself; the interface takes no balance."},
        ),
        "orders": Resource(
            **_ORDERS, read=read_order, write=write_order, where={"status": lambda value: {"$filter": f"Status eq {int(value)}"}},
            drafts="Draft (status 1)", makes=("order", "sales_invoice", "invoice"),
            limits=rules(needed=("number",), longest={"number": 35, "customer_reference": 100, "lines[].description": 2000,
                                                      "lines[].article_number": 40}),
            provenance={"head, rows, draft": "documented", "look-up by buyer's reference": "assumed"},
            note="An invoice made of an order is a draft, or issued at once where the flow wants no drafts.",
        ),
        "order_status": Resource(
            **_ORDERS, read=read_status, provenance={"status": "documented"},
            no={"out": "An order's status follows from what is done with it there."},
        ),
        "invoice_drafts": Resource(
            path="/customerinvoicedrafts", wire=Order, key="Id", number="BuyersOrderReference", read=read_invoice_draft,
            write=write_invoice_draft, find_by=_FOUND_BY_OURS, drafts="Invoice draft", limits=_NUMBER_RULE,
            provenance={"head, rows": "documented", "look-up by buyer's reference": "assumed"},
            note="It has the currency of its customer there.",
        ),
        "invoices": Resource(
            path="/customerinvoices", wire=Order, key="Id", number="InvoiceNumber", read=read_invoice, write=write_invoice,
            find_by=_FOUND_BY_OURS, since=odata_since("ModifiedUtc"), changed="ModifiedUtc", limits=_NUMBER_RULE,
            provenance={"head, rows": "documented", "look-up by buyer's reference, what sums include": "assumed"},
            note="One that is sent is booked at once, under the next number of their series and in its customer's currency; "
                 "ours stands as the buyer's order.",
        ),
        "vouchers": Resource(
            path="/vouchers", key="Id", number="NumberAndNumberSeries", read=read_voucher, write=write_voucher,
            find_by={"reference": Lookup(_beginning)}, since=odata_since("ModifiedUtc"), changed="ModifiedUtc",
            limits=rules(Limit(field="lines[].account", is_required=True, digits_only=True), needed=("number",)),
            provenance={"date, text, rows": "documented", "look-up by text": "assumed"},
            note="It is numbered there; ours begins its text. Amounts are in the company's own currency, which it does not say.",
        ),
    }  # fmt: skip

    def auth(self) -> Auth:
        config: Config = self.config
        identity = config.identity_url.rstrip("/")
        return OAuth(self.reach, f"{identity}/connect/token", config.client_id, config.client_secret, scope=config.scope,
                     credentials="basic", sign_in=f"{identity}/connect/authorize",
                     more={"prompt": "login", "acr_values": _SERVICE})  # fmt: skip

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

    def fits(self, record: Record, lookup: Lookup, value: str, by: str) -> bool:
        return super().fits(record, lookup, value, by) and str(record.theirs.get("VoucherText", f"{value}: ")).startswith(f"{value}: ")

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        # What is made of an order goes where its own kind is: the draft of an invoice, or an invoice.
        made = "invoices" if "SendType" in words else "invoice_drafts" if "InvoiceDate" in words else kind
        labelled = await self._labelled(words)
        return await super().create(made, labelled) if isinstance(labelled, Mapping) else labelled

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        labelled = await self._labelled(words)
        return await super().change(kind, id, labelled) if isinstance(labelled, Mapping) else labelled

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        for place_ in ("orders", "invoice_drafts", "invoices") if kind == "orders" else (kind,):
            if found := await super().find(place_, by, value):
                return found
        return []

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        if kind != "vouchers":
            return await super().get(kind, id)
        # One voucher is asked for by its fiscal year too, which it does not say.
        async for page in self.heads(kind, {"$filter": f"Id eq {id}"}):
            return next(iter(page.records), None) if not isinstance(page, Trouble) else page
        return None

    async def _labelled(self, words: Mapping[str, Any]) -> Mapping[str, Any] | Trouble:
        """An article's words with their ids of its labels, those that are missing there made."""
        if not words.get("ArticleLabels"):
            return words
        listed = await self.rows("labels", "/articlelabels", {}, self.paging("articles"))
        if not isinstance(listed, list):
            return listed
        known = {row.get("Name"): row.get("Id") for row in listed}
        for name in [label["Name"] for label in words["ArticleLabels"] if label["Name"] not in known]:
            made = await self.ask("POST", "/articlelabels", body={"Name": name})
            if not isinstance(made, Answer):
                return msgspec.structs.replace(made, sent=False) if isinstance(made, Later) else made
            known[name] = made.body.get("Id")
        return {**words, "ArticleLabels": [{"Id": known[label["Name"]], "Name": label["Name"]} for label in words["ArticleLabels"]]}


CONNECTOR = EAccounting
