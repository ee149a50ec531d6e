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
from prodsys.connectors._words import contact_person, gtin, left_after, on, party, rules, spelled, unit_price, where
from prodsys.documents import ArticleCard, ContactCard, Exact, Invoice, InvoiceDraft, Percent, Person, SalesOrder, Stock, TradeLine, Voucher
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


Theirs = Mapping[str, Any]

_CUSTOMER = spelled(ContactCard, number="CustomerNumber", name="Name", is_active="IsActive", organisation_number="CorporateIdentityNumber",
                    vat_number="VatNumber", gln="EdiGlnNumber", email="EmailAddress", phone="Telephone", currency="CurrencyCode",
                    payment_terms="TermsOfPaymentId", note="Note")  # fmt: skip
_PERSON = spelled(Person, name="ContactPersonName", email="ContactPersonEmail", phone="ContactPersonPhone")
_INVOICED = where("InvoiceAddress1", street2="InvoiceAddress2", postcode="InvoicePostalCode", city="InvoiceCity",
                  country="InvoiceCountryCode")  # fmt: skip
_DELIVERED = where("DeliveryAddress1", name="DeliveryCustomerName", street2="DeliveryAddress2", postcode="DeliveryPostalCode",
                   city="DeliveryCity", country="DeliveryCountryCode")  # fmt: skip
_ARTICLE = spelled(ArticleCard, number="Number", name="Name", is_active="IsActive", supplier_article_number="SupplierArticleNumber")
_STOCK = spelled(Stock, article_number="Number", on_hand="StockBalance", reserved="StockBalanceReserved", available="StockBalanceAvailable",
                 is_managed="IsStock")  # fmt: skip
_ORDER = spelled(SalesOrder, number="BuyersOrderReference", date="OrderDate", currency="CurrencyCode", requested_date="DeliveryDate",
                 customer_reference="YourReference", payment_terms="TermsOfPaymentId", delivery_terms="DeliveryTermCode",
                 shipping_method="DeliveryMethodCode")  # fmt: skip
_INVOICE = spelled(InvoiceDraft, number="BuyersOrderReference", date="InvoiceDate", due_date="DueDate", customer_reference="YourReference",
                   payment_terms="TermsOfPaymentId", is_credit="IsCreditInvoice")  # fmt: skip
_ROW = spelled(TradeLine, article_number="ArticleNumber", description="Text", quantity="Quantity", unit_price="UnitPrice")
_HEAD = {"EuThirdParty": False, "RotReducedInvoicingType": 0}


def read_customer(theirs: Theirs) -> ContactCard:
    """A customer in our words; a person's record has no organisation number to speak of."""
    person = Person(**_PERSON.read(theirs))
    return ContactCard(
        **_CUSTOMER.read(theirs), kind="person" if theirs.get("IsPrivatePerson") else "company", address=_INVOICED.read(theirs),
        deliver_to=_DELIVERED.read_place(theirs), persons=[person] if theirs.get("ContactPersonName") else [],
    )  # fmt: skip


def write_customer(ours: ContactCard, known: Known) -> Theirs:
    """A customer in their words; a company's first person is its contact person."""
    return {"IsPrivatePerson": ours.kind == "person", "TermsOfPaymentId": known.config.terms_of_payment or None, **_CUSTOMER.write(ours),
            **_INVOICED.write(ours.address), **_DELIVERED.write(ours.deliver_to), **_PERSON.write(contact_person(ours))}  # fmt: skip


def read_article(theirs: Theirs) -> ArticleCard:
    """An article in our words; a label such as `Colour: red` is a feature of that name."""
    labels = [text(label.get("Name")).rpartition(": ") for label in (theirs.get("ArticleLabels") or [])[:MOST_LABELS]]
    return ArticleCard(
        **_ARTICLE.read(theirs), kind="virtual" if theirs.get("IsServiceArticle") else "simple",
        unit=text(theirs.get("UnitAbbreviation"), 20), gtin=gtin(one.get("Barcode") for one in theirs.get("Barcodes") or ()),
        price=exact(documents.UnitPrice, theirs.get("NetPrice") or None), quantity=exact(Exact, theirs.get("StockBalance")),
        price_with_tax=exact(documents.UnitPrice, theirs.get("GrossPrice") or None),
        features={name or f"label_{at}": said for at, (name, _, said) in enumerate(labels, 1)},
    )  # fmt: skip


def write_article(ours: ArticleCard, known: Known) -> Theirs:
    """An article in their words. VAT follows the coding, so a tax code of ours is mapped to one of their codings.

    Raises ValueError for more attributes and features than an article may have labels.
    """
    config: Config = known.config
    labels = [f"{name}: {said}" for name, said in {**ours.attributes, **ours.features}.items()]
    if len(labels) > MOST_LABELS:
        raise ValueError(f"An article has at most {MOST_LABELS} attributes and features there, not {len(labels)}")
    return {
        **_ARTICLE.write(ours), "CodingId": ours.tax_code or config.coding or None, "UnitId": config.unit or None,
        "NetPrice": documents.rounded(ours.price / ours.price_quantity) if ours.price is not None else None,
        "GrossPrice": documents.rounded(ours.price_with_tax / ours.price_quantity) if ours.price_with_tax is not None else None,
        "Barcodes": [{"Barcode": ours.gtin, "BarcodeType": 0}] if ours.gtin else None,
        "ArticleLabels": [{"Name": label} for label in labels] or None,
    }  # fmt: skip


def read_stock(theirs: Theirs) -> Stock:
    """An article's stock; what they call available is what is on hand without what is reserved."""
    return Stock(**_STOCK.read(theirs))


def read_order(theirs: Theirs) -> SalesOrder:
    """An order in our words; the buyer's own number is the one it is found again by, theirs where he gave none."""
    return SalesOrder(
        **(_ORDER.read(theirs) | {"number": _number(theirs)}), is_draft=theirs.get("Status") == 1, customer=_customer(theirs),
        deliver_to=_DELIVERED.read_place(theirs), status=_STATUS.get(theirs.get("Status", 0), ("unknown", ""))[1],
        prices_include_tax=theirs.get("IncludesVat") is True, lines=_lines(theirs),
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> Theirs:
    """An order in their words, Draft (1) or Ongoing (2); where an invoice is to be made of it, the draft of one or an issued one."""
    if ours.kind != "order":
        shared = {name: getattr(ours, name) for name in ("number", "date", "currency", "customer", "customer_reference", "payment_terms",
                                                         "lines")}  # fmt: skip
        return _invoice(InvoiceDraft(**shared), known, ours.discount_percent, is_draft=ours.is_draft)
    return {
        **_HEAD, "ReverseChargeOnConstructionServices": False, "CustomerId": known.customer, "Status": 1 if ours.is_draft else 2,
        "YourReference": ours.number, **_ORDER.write(ours), **_DELIVERED.write(ours.deliver_to),
        "Rows": [_row(at, line, known, ours.discount_percent) | {"EligibleForReverseChargeOnVat": False}
                 for at, line in enumerate(ours.lines)],
    }  # fmt: skip


def read_status(theirs: Theirs) -> documents.OrderStatus:
    """How an order stands there."""
    status, said = _STATUS.get(theirs.get("Status", 0), ("unknown", ""))
    return documents.OrderStatus(number=_number(theirs), status=status, said=said, expected_date=day(theirs.get("DeliveryDate")))


def read_invoice_draft(theirs: Theirs) -> InvoiceDraft:
    """An invoice draft in our words."""
    return InvoiceDraft(**_invoice_head(theirs))


def write_invoice_draft(ours: InvoiceDraft, known: Known) -> Theirs:
    """An invoice draft in their words."""
    return _invoice(ours, known, Decimal(0), is_draft=True)


def read_invoice(theirs: Theirs) -> Invoice:
    """An issued invoice under the number of their series; the buyer's order is the one it is about."""
    gross, tax, owed = (exact(Exact, theirs.get(f"{what}AmountInvoiceCurrency")) for what in ("Total", "TotalVat", "Remaining"))
    gross, tax = gross or Exact(0), tax or Exact(0)
    return Invoice(
        **(_invoice_head(theirs) | {"number": text(theirs.get("InvoiceNumber"), 80) or _number(theirs)}),
        order_number=text(theirs.get("BuyersOrderReference"), 80), prices_include_tax=theirs.get("IncludesVat") is True,
        net=Exact(gross - tax), tax=tax, gross=gross, paid=None if owed is None else Exact(gross - owed),
        status="unknown" if owed is None else "open" if owed else "paid",
    )  # fmt: skip


def write_invoice(ours: Invoice, known: Known) -> Theirs:
    """An invoice, which is booked at once under the next number of their series."""
    return _invoice(ours, known, Decimal(0), is_draft=False)


def read_voucher(theirs: Theirs) -> Voucher:
    """A voucher under its number and series; debit is positive."""
    lines = [
        documents.VoucherLine(line_id=str(at), account=text(row.get("AccountNumber"), 80), description=text(row.get("TransactionText")),
                              amount=Exact(Decimal(row.get("DebitAmount") or 0) - Decimal(row.get("CreditAmount") or 0)),
                              tax_code=text(row.get("VatCodeId"), 80))
        for at, row in enumerate(theirs.get("Rows") or [], 1)
    ]  # fmt: skip
    return Voucher(number=text(theirs.get("NumberAndNumberSeries") or theirs.get("Id"), 80), date=on(theirs.get("VoucherDate")),
                   currency="XXX", journal=text(theirs.get("NumberSeries"), 80), description=text(theirs.get("VoucherText")),
                   lines=lines)  # fmt: skip


def write_voucher(ours: Voucher, known: Known) -> Theirs:  # noqa: ARG001
    """A voucher in their words; its text begins with our number, by which it is found. Raises ValueError where it does not balance."""
    if ours.difference:
        raise ValueError(f"Debit and credit differ by {ours.difference}")
    rows = [
        {"AccountNumber": int(line.account), "DebitAmount": max(line.amount, Decimal(0)), "CreditAmount": max(-line.amount, Decimal(0)),
         "TransactionText": line.description[:60] or None, "VatCodeId": line.tax_code or None}
        for line in ours.lines
    ]  # fmt: skip
    return {"VoucherDate": ours.date.isoformat(), "VoucherText": f"{ours.number}: {ours.description}"[:1000], "Rows": rows}


def _number(theirs: Theirs) -> str:
    return text(theirs.get("BuyersOrderReference") or theirs.get("Number") or theirs.get("Id"), 80)


def _customer(theirs: Theirs) -> ContactCard:
    return party(theirs.get("CustomerNumber"), theirs.get("CustomerName"))


def _invoice(ours: InvoiceDraft, known: Known, discount: Decimal, *, is_draft: bool) -> Theirs:
    # What is issued says to nobody (0) it is sent; that is how the two are told apart, see `create`.
    told, row = ({}, {"ReversedConstructionServicesVatFree": False}) if is_draft else ({"SendType": 0}, {})
    return {**_HEAD, **told, "CustomerId": known.customer, "YourReference": ours.number, **_INVOICE.write(ours),
            "Rows": [_row(at, line, known, discount) | row for at, line in enumerate(ours.lines)]}  # fmt: skip


def _invoice_head(theirs: Theirs) -> dict[str, Any]:
    currency = text(theirs.get("InvoiceCurrencyCode") or theirs.get("CurrencyCode"), 3) or "XXX"
    return _INVOICE.read(theirs) | {"number": _number(theirs), "currency": currency, "customer": _customer(theirs), "lines": _lines(theirs)}


def _row(at: int, line: TradeLine, known: Known, discount: Decimal) -> dict[str, Any]:
    row: dict[str, Any] = {"LineNumber": at, "IsTextRow": line.kind == "text", "IsWorkCost": False, "Text": line.description or line.note}
    if line.kind == "text":
        return row | {"Text": row["Text"] or "-"}
    # Their percentage is a fraction from 0 to 1.
    part = (1 - left_after(line.discount_percent, discount)).quantize(Decimal("0.0001"))
    return row | _ROW.write(line) | {"ArticleId": known.articles.get(line.article_number) or None, "UnitPrice": unit_price(line),
                                     "DiscountPercentage": part}  # fmt: skip


def _lines(theirs: Theirs) -> list[TradeLine]:
    return [
        TradeLine(line_id=text(row.get("LineNumber", at), 40), kind="text", description=text(row.get("Text"), 4000)) if row.get("IsTextRow")
        else TradeLine(line_id=text(row.get("LineNumber", at), 40), **_ROW.read(row),
                       discount_percent=exact(Percent, 100 * (row.get("DiscountPercentage") or 0)) or Percent(0))
        for at, row in enumerate(theirs.get("Rows") or [])
    ]  # fmt: skip


_FOUND_BY_OURS = odata_by(reference="BuyersOrderReference")
_ORDERS: Mapping[str, Any] = {"path": "/orders", "key": "Id", "number": "BuyersOrderReference", "find_by": _FOUND_BY_OURS,
                              "since": odata_since("ModifiedUtc"), "changed": "ModifiedUtc"}  # fmt: skip
_ARTICLES: Mapping[str, Any] = {"path": "/articles", "key": "Id", "number": "Number", "since": odata_since("ChangedUtc"),
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
            path="/customers", key="Id", number="CustomerNumber", read=read_customer, write=write_customer, update="put",
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
            **_ARTICLES, read=read_article, write=write_article, update="put", lacks=("currency",),
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
            notes={"out": "An invoice made of an order is a draft, or issued at once where the flow wants no drafts."},
        ),
        "order_status": Resource(
            **_ORDERS, read=read_status, provenance={"status": "documented"},
            no={"out": "An order's status follows from what is done with it there."},
        ),
        "invoice_drafts": Resource(
            path="/customerinvoicedrafts", key="Id", number="BuyersOrderReference", read=read_invoice_draft,
            write=write_invoice_draft, find_by=_FOUND_BY_OURS, drafts="Invoice draft", limits=_NUMBER_RULE,
            provenance={"head, rows": "documented", "look-up by buyer's reference": "assumed"},
            notes={"out": "It has the currency of its customer there."},
        ),
        "invoices": Resource(
            path="/customerinvoices", key="Id", number="InvoiceNumber", read=read_invoice, write=write_invoice,
            find_by=_FOUND_BY_OURS, since=odata_since("ModifiedUtc"), changed="ModifiedUtc", limits=_NUMBER_RULE,
            provenance={"head, rows": "documented", "look-up by buyer's reference, what sums include": "assumed"},
            notes={"out": "One that is sent is booked at once, under the next number of their series and in its customer's currency; "
                 "ours stands as the buyer's order."},
        ),
        "vouchers": Resource(
            path="/vouchers", key="Id", number="NumberAndNumberSeries", read=read_voucher, write=write_voucher,
            find_by={"reference": Lookup(_beginning, "VoucherText", begins=True)}, since=odata_since("ModifiedUtc"), changed="ModifiedUtc",
            limits=rules(Limit(field="lines[].account", is_required=True, digits_only=True), needed=("number",)),
            provenance={"date, text, rows": "documented", "look-up by text": "assumed"},
            notes={"out": "It is numbered there; ours begins its text. Amounts are in the company's own currency, which it does not say."},
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
