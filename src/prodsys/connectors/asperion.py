"""Asperion, whole: what is known of its interface, and a profile an admin corrects for what is only assumed (articles and orders)."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from prodsys import documents
from prodsys.codes import streets
from prodsys.connectors._base import (
    Check,
    Known,
    Limit,
    Lookup,
    Record,
    Resource,
    Secret,
    Tested,
    Trouble,
    Written,
    at,
    day,
    exact,
    text,
)
from prodsys.connectors._rest import Answer, Auth, Numbered, OAuth, Paging, RestConnector, same
from prodsys.documents import ArticleCard, ContactCard, Exact, InvoiceDraft, SalesOrder, TradeLine, UnitPrice, rounded
from prodsys.kit.outbound import Later, Misconfigured, Refused

Names = dict[str, str]
Theirs = Mapping[str, Any]
"""Their words are read by name, for an admin may have to correct the names."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client_id: Annotated[str, Meta(title="Client ID", description="Of an API partner of Asperion.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="Client secret")]
    tenant: Annotated[int | None, Meta(title="Administration", description="Its number (X-Tenant-Id); empty: the default one.")] = None
    ledger_account: Annotated[int, Meta(title="Revenue account", description="Id of the ledger account of rows without one.", ge=0)] = 0
    journal: Annotated[str, Meta(title="Sales journal", description="Id of the journal invoices are booked in.")] = ""
    vat_code: Annotated[str, Meta(title="VAT code", description="Of rows whose VAT is not mapped.")] = ""
    articles_path: Annotated[str, Meta(title="Path of articles")] = "/v1/articles"
    article_names: Annotated[
        Names, Meta(title="Corrected names of articles", description="Assumed are articleNumber, description, salesPrice, vatCode, "
                    "currentStock. Where Swagger says otherwise: {\"articleNumber\": \"code\"}."),
    ] = {}  # fmt: skip
    orders_path: Annotated[str, Meta(title="Path of orders")] = "/v1/SalesOrderWithLines/"
    order_names: Annotated[
        Names, Meta(title="Corrected names of orders", description="Assumed are debtorCustomerNumber, date, reference, description."),
    ] = {}  # fmt: skip
    row_names: Annotated[
        Names, Meta(title="Corrected names of order rows", description="Assumed are articleId, description, quantity, price, vatCode."),
    ] = {}  # fmt: skip
    order_lookup: Annotated[
        str, Meta(title="Filter of orders by reference", description="Such as Reference, if orders can be listed. Empty: an order is sent "
                  "once, and when the answer is lost a person has to look.", max_length=60),
    ] = ""  # fmt: skip
    checks_orders: Annotated[
        bool, Meta(title="Check orders before they are sent", description="Only where validateOnly is known to hold for orders: where it "
                   "does not, the check itself would make the order."),
    ] = False  # fmt: skip
    language: Annotated[Literal["en-US", "nl-NL"], Meta(title="Language of their messages")] = "en-US"
    scope: Annotated[str, Meta(title="Scopes", description="As Asperion gave them to the client.")] = "offline_access"
    base_url: Annotated[str, Meta(title="Address of the API", description="The sandbox has another one.")] = "https://api.asperion.nl"
    identity_url: Annotated[str, Meta(title="Address of the sign-in")] = "https://identity.asperion.nl"


def read_debtor(theirs: Theirs) -> ContactCard:
    """A debtor."""
    country, person = text(theirs.get("countryCode"))[:2].upper(), text(theirs.get("attentionTo"), 200)
    street, house = streets.split(text(theirs.get("address")), country)
    return ContactCard(
        number=text(theirs.get("customerNumber"), 80), name=text(theirs.get("name"), 200) or "?",
        is_active=theirs.get("blocked") is not True, organisation_number=text(theirs.get("cocNumber"), 80),
        vat_number=text(theirs.get("vatNumber"), 80), email=text(theirs.get("emailAddress"), 120),
        phone=text(theirs.get("phoneNumber"), 80), payment_terms=text(theirs.get("paymentConditionId"), 80),
        address=documents.Address(street=street, house_number=house, street2=text(theirs.get("addressLine2")), country=country,
                        postcode=text(theirs.get("postCode"), 80), city=text(theirs.get("city"), 120)),
        persons=[documents.Person(name=person)] if person else [], note=text(theirs.get("comments"), 4000),
    )  # fmt: skip


def write_debtor(ours: ContactCard, known: Known) -> Theirs:  # noqa: ARG001
    """A debtor; one without a number is given one there."""
    return {
        "customerNumber": ours.number or None, "name": ours.name, "attentionTo": ours.persons[0].name if ours.persons else None,
        "address": streets.join(ours.address.street, ours.address.house_number, ours.address.country) or None,
        "addressLine2": ours.address.street2 or None, "postCode": ours.address.postcode or None, "city": ours.address.city or None,
        "countryCode": ours.address.country or None, "emailAddress": ours.email or None, "phoneNumber": ours.phone or None,
        "vatNumber": ours.vat_number or None, "cocNumber": ours.organisation_number or None, "comments": ours.note or None,
        "paymentConditionId": _number(ours.payment_terms), "blocked": None if ours.is_active else True,
    }  # fmt: skip


def read_invoice(theirs: Theirs) -> documents.Invoice:
    """A sales invoice; its rows are amounts on ledger accounts, without articles or quantities."""
    customer, status = text(theirs.get("debtorCustomerNumber"), 80), theirs.get("status")
    lines = [
        TradeLine(line_id=str(row.get("id") or place), description=text(row.get("description"), 4000), quantity=Exact(1),
                  unit_price=exact(Exact, row.get("amount")), tax_code=text(row.get("vatCode"), 80),
                  account=text(row.get("ledgerAccountId"), 80))
        for place, row in enumerate(at(theirs, "lines._data") or [], 1)
    ]  # fmt: skip
    net, tax, gross = (exact(Exact, theirs.get(name)) or Exact(0) for name in ("amountExclVat", "vatAmount", "amountInclVat"))
    return documents.Invoice(
        number=text(theirs.get("invoiceNumber"), 80) or text(theirs.get("id"), 80), date=day(theirs.get("date")) or dt.date(1970, 1, 1),
        due_date=day(theirs.get("paymentDueDate")), currency="EUR", customer=ContactCard(number=customer, name=customer or "?"),
        order_number=text(theirs.get("description"), 80), payment_terms=text(theirs.get("paymentConditionId"), 80), is_credit=gross < 0,
        lines=lines, net=net, tax=tax, gross=gross, status="paid" if status == 7 else "open" if status in (2, 3, 6, 8) else "unknown",
    )  # fmt: skip


def write_invoice(ours: InvoiceDraft, known: Known) -> Theirs:
    """An invoice under our number. Raises ValueError for a row without a ledger account, or whose VAT is included but not said."""
    config: Config = known.config
    sign, rows = -1 if ours.is_credit else 1, []
    for line in ours.lines:
        if line.kind == "text":
            continue
        account = _number(line.account) or config.ledger_account
        if not account:
            raise ValueError(f"Row {line.line_id} has no ledger account, and there is none in the form")
        net = rounded(line.net / _tax_in(line, includes_tax=ours.prices_include_tax))
        vat = line.net - net if ours.prices_include_tax else rounded(net * (line.tax_percent or Decimal(0)) / 100)
        rows.append({"amount": sign * net, "vatAmount": sign * vat, "description": line.description or line.article_number or None,
                     "ledgerAccountId": account, "vatCode": line.tax_code or config.vat_code or None})  # fmt: skip
    net, vat = (sum((Decimal(str(row[name])) for row in rows), Decimal(0)) for name in ("amount", "vatAmount"))
    return {
        "bookyear": ours.date.year, "bookperiod": ours.date.month, "date": f"{ours.date}T00:00:00", "journalId": config.journal or None,
        "debtorCustomerNumber": known.customer, "invoiceNumber": ours.number, "description": ours.order_number or ours.note[:80] or None,
        "paymentConditionId": _number(ours.payment_terms), "paymentDueDate": f"{ours.due_date}T00:00:00" if ours.due_date else None,
        "amountExclVat": net, "vatAmount": vat, "amountInclVat": net + vat, "lines": {"_data": rows},
    }  # fmt: skip


def write_draft(ours: InvoiceDraft, known: Known) -> Theirs:
    """The same as a concept (1)."""
    return {**write_invoice(ours, known), "status": 1}


def read_article(theirs: Theirs) -> ArticleCard:
    """An article."""
    return ArticleCard(
        number=text(theirs.get("articleNumber"), 80) or "?", name=text(theirs.get("description")), tax_code=text(theirs.get("vatCode"), 80),
        price=exact(UnitPrice, theirs.get("salesPrice")), quantity=exact(Exact, theirs.get("currentStock")),
    )  # fmt: skip


def write_article(ours: ArticleCard, known: Known) -> Theirs:
    """An article; its stock cannot be written."""
    price = rounded(ours.price / ours.price_quantity) if ours.price is not None else None
    return {"articleNumber": ours.number, "description": ours.name or ours.number, "salesPrice": price,
            "vatCode": ours.tax_code or known.config.vat_code or None}  # fmt: skip


def read_stock(theirs: Theirs) -> documents.Stock:
    """An article's stock."""
    return documents.Stock(article_number=text(theirs.get("articleNumber"), 80) or "?", on_hand=exact(Exact, theirs.get("currentStock")))


def write_order(ours: SalesOrder, known: Known) -> Theirs:
    """An order. Raises ValueError for a charge without an article, and for a price whose VAT would have to be guessed."""
    if any(line.kind == "charge" and not line.article_number for line in ours.lines):
        raise ValueError("Asperion takes articles only; name in the flow the article that charges become")
    said = [ours.customer_reference, ours.note, *(line.description or line.note for line in ours.lines if line.kind == "text")]
    rows = []
    for line in ours.lines:
        if line.kind != "text":
            article = known.articles.get(line.article_number, "")
            each = (line.unit_price or Decimal(0)) / line.price_quantity * (100 - line.discount_percent) * (100 - ours.discount_percent)
            price = each / 10_000 / _tax_in(line, includes_tax=ours.prices_include_tax)
            rows.append({"articleId": int(article) if article.isdecimal() else article or None, "description": line.description or None,
                         "quantity": line.quantity, "price": price.quantize(Decimal("0.0001")),
                         "vatCode": line.tax_code or known.config.vat_code or None})  # fmt: skip
    return {"debtorCustomerNumber": known.customer, "date": f"{ours.date}T00:00:00", "reference": ours.number,
            "description": "\n".join(one for one in said if one) or None, "lines": {"_data": rows}}  # fmt: skip


def _tax_in(line: TradeLine, *, includes_tax: bool) -> Decimal:
    if not includes_tax:
        return Decimal(1)
    if line.tax_percent is None:
        raise ValueError(f"Row {line.line_id} does not say the VAT its price includes")
    return 1 + line.tax_percent / 100


def _number(said: str) -> int | None:
    return int(said) if said.isdecimal() else None


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def _equal(parameter: str, member: str) -> Lookup:
    return Lookup(lambda value: {parameter: value, f"{parameter}_comparison": "Equals"}, member)


def _exactly(parameter: str, member: str) -> Lookup:
    return Lookup(lambda value: {parameter: value}, member)


_ASSUMED = "The paths are documented, the names of members are assumed; compare them with Asperion's Swagger and correct them in the form."


def resources_of(config: Mapping[str, Any]) -> dict[str, Resource]:
    """What a connection with this form has: the profile decides about articles and orders."""
    number = (config.get("article_names") or {}).get("articleNumber", "articleNumber")
    articles, by_number = config.get("articles_path") or "/v1/articles", _equal(_pascal(number), "articleNumber")
    lookup = config.get("order_lookup") or ""
    invoices: dict[str, Any] = {
        "path": "/v1/salesinvoiceswithlines", "number": "invoiceNumber",
        "find_by": {"reference": _equal("InvoiceNumber", "invoiceNumber"), "number": _equal("InvoiceNumber", "invoiceNumber")},
        "limits": (Limit(field="number", is_required=True), Limit(field="currency", one_of=("EUR",)),
                   Limit(field="lines[].account", says="A ledger account's id, by the row, the mapping or the form.")),
        "provenance": {"head, rows, look-up by number": "client code", "euro only": "assumed"},
    }  # fmt: skip
    return {
        "contacts": Resource(
            path="/v1/debtors", key="customerNumber", number="customerNumber", read=read_debtor, write=write_debtor,
            find_by={"email": _exactly("EmailAddress", "emailAddress"), "number": _exactly("CustomerNumber", "customerNumber"),
                     "reference": _exactly("CustomerNumber", "customerNumber"), "name": _exactly("Name", "name"),
                     "organisation_number": _exactly("CocNumber", "cocNumber")},
            limits=(Limit(field="name", is_required=True),), provenance={"all members, filters": "client code"},
            notes={"out": "Debtors are made, not changed: no way to change one is known."},
        ),
        "invoices": Resource(**invoices, read=read_invoice, write=write_invoice, notes={"out": "An invoice is booked under our number."}),
        "invoice_drafts": Resource(**invoices, write=write_draft, drafts="Concept (status 1)",
                                   no={"in": "Concepts are read among the invoices."}),
        "articles": Resource(
            path=articles, number="articleNumber", read=read_article, write=write_article,
            find_by={"number": by_number, "reference": by_number},
            provenance={"path": "documented", "members, filters": "assumed"}, note=_ASSUMED, lacks=("currency",),
        ),
        "stock": Resource(
            path=articles, number="articleNumber", read=read_stock, find_by={"number": by_number},
            provenance={"current stock": "documented", "other members": "assumed"},
            no={"out": "Asperion's stock cannot be edited through its interface; it changes by orders alone."},
        ),
        "orders": Resource(
            path=config.get("orders_path") or "/v1/SalesOrderWithLines/", number="reference", write=write_order,
            find_by={"reference": _equal(lookup, "reference")} if lookup else {}, is_once_only=not lookup,
            limits=(Limit(field="currency", one_of=("EUR",)),), provenance={"path": "documented", "members": "assumed"},
            no={"in": "Whether orders can be read is not known."}, note=_ASSUMED,
        ),
        "order_status": Resource(no=dict.fromkeys(("in", "out"), "Whether Asperion says where an order stands is not known.")),
        "purchase_orders": Resource(no=dict.fromkeys(("in", "out"), "Purchase orders are not known to be in Asperion's interface.")),
        "vouchers": Resource(no=dict.fromkeys(("in", "out"), "Journal entries of Asperion are not carried.")),
    }  # fmt: skip


class Asperion(RestConnector):
    """One administration."""

    title = "Asperion"
    summary = "Bookkeeping and trade for small companies in the Netherlands."
    Config = Config
    probe = "/v1/administrations"
    authorizes = True
    prerequisites = (
        "An API partner's client id and secret, with this instance's address as its redirect URI.",
        "Asperion inBalance or inTrade; orders need inTrade.",
    )
    remarks = (
        "Names of articles' and orders' members are assumed and stand in the form, to be corrected after reading Asperion's Swagger.",
        "Stock can be read only; rows of invoices are amounts on ledger accounts.",
        "Suppliers are not carried: where creditors are in the interface is not known. Images of articles are not carried.",
    )
    lists: ClassVar[Mapping[str, str]] = {"payment_terms": "Payment conditions", "tax_codes": "VAT codes"}
    choices_at: ClassVar[Mapping[str, tuple[str, str, str]]] = {
        "payment_terms": ("/v1/paymentconditions", "id", "description"), "tax_codes": ("/v1/vatcodes", "id", "description"),
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = resources_of({})

    def __init__(self, config: Any, reach: Any) -> None:
        super().__init__(config, reach)
        # What this one connection can do; the class says what such connections can.
        self.resources = resources_of(msgspec.structs.asdict(config))  # type: ignore[misc]

    @classmethod
    def offered(cls, config: Mapping[str, Any]) -> Mapping[str, Resource]:
        return resources_of(config)

    def auth(self) -> Auth:
        config: Config = self.config
        identity = config.identity_url.rstrip("/")
        return OAuth(self.reach, f"{identity}/connect/token", config.client_id, config.client_secret, scope=config.scope,
                     sign_in=f"{identity}/connect/authorize")  # fmt: skip

    def paging(self, kind: str) -> Paging:
        return Numbered("page", "pageSize", of=100, rows="_data", pages="_meta.pageCount")

    def standing_headers(self) -> Mapping[str, str]:
        return {"accept-language": self.config.language}

    async def ask(self, method: str, path: str, **more: Any) -> Answer | Trouble:
        # Which administrations there are is asked of none of them.
        tenant = {} if self.config.tenant is None or path == self.probe else {"x-tenant-id": str(self.config.tenant)}
        return await super().ask(method, path, **{**more, "headers": {**(more.get("headers") or {}), **tenant}})

    async def looked_into(self, answer: Answer) -> Tested:
        listed = [row for row in at(answer.body, "_data") or [] if isinstance(row, dict)]
        ids = {text(row.get("id"), 80): text(row.get("name"), 80) for row in listed if row.get("id") is not None}
        if self.config.tenant is None or not ids or str(self.config.tenant) in ids:
            return await super().looked_into(answer)
        there = "; ".join(f"{one}: {name}" for one, name in list(ids.items())[:20])
        return Tested(is_fine=False, checks=[Check(field="tenant", message=f"There is no such administration. There are: {there}.")])

    def record(self, kind: str, theirs: Mapping[str, Any]) -> Record:
        names = {"articles": self.config.article_names, "stock": self.config.article_names, "orders": self.config.order_names}.get(kind, {})
        return super().record(kind, {**theirs, **{name: theirs[said] for name, said in names.items() if said in theirs}})

    def words(self, kind: str, document: Any, known: Known) -> dict[str, Any]:
        words = super().words(kind, document, known)
        config: Config = self.config
        if kind == "articles":
            return _corrected(words, config.article_names)
        if kind == "orders":
            words["lines"] = {"_data": [_corrected(row, config.row_names) for row in words["lines"]["_data"]]}
            return _corrected(words, config.order_names)
        return words

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        if not value:
            return []
        lookup = self.resources[kind].find_by[by]
        records = await self._asked(kind, lookup.query(value))
        if not isinstance(records, list):
            return records
        said = [text(at(record.theirs, lookup.member)) for record in records]
        if any(text(value).casefold() not in one.casefold() for one in said):
            # Then "not there" would mean nothing, and what is there would be made again.
            detail = f"Asperion does not filter {kind} by {next(iter(lookup.query(value)))}; correct the names in the form."
            return Misconfigured(reason="filter_ignored", detail=detail)
        return [record for record in records if same(at(record.theirs, lookup.member), value, by)]

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        records = await self._asked(kind, {_pascal(self.resources[kind].key): id})
        return next((record for record in records if record.id == id), None) if isinstance(records, list) else records

    async def _asked(self, kind: str, query: Mapping[str, str]) -> list[Record] | Trouble:
        answer = await self._read_again("GET", self.resources[kind].path, {**self.paging(kind).first(), **query})
        if not isinstance(answer, Answer):
            return answer
        rows = at(answer.body, "_data")
        if not isinstance(rows, list):
            return Misconfigured(reason="unreadable", detail=f"The list of {kind} does not look as Asperion answers one.")
        return [self.record(kind, row) for row in rows]

    async def rehearse(self, kind: str, words: Any) -> Sequence[documents.Issue] | Trouble:
        if kind == "articles" or (kind == "orders" and not self.config.checks_orders):
            return []
        answer = await self.ask("POST", self.resources[kind].path, query={"validateOnly": "true"}, body=words, is_write=False)
        if isinstance(answer, Refused):
            problem = answer.problem
            whole = documents.Issue(code=problem.code or "refused_there", message=problem.detail or problem.title, blocks=True)
            return list(problem.issues) or [whole]
        if isinstance(answer, Answer) and at(answer.body, "id"):
            # A check that answers with an id was none: whoever comes next looks first.
            return Later(reason="check_wrote", detail="Asperion seems to have taken what it was to check only.", sent=True)
        if isinstance(answer, Answer | Misconfigured):
            return [] if isinstance(answer, Answer) else answer
        # Nothing is there but the check, whatever became of its answer.
        return msgspec.structs.replace(answer, sent=False)

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        made = await super().create(kind, words)
        if isinstance(made, Later) and made.reason == "no_id" and self.resources[kind].is_once_only:
            # It has been taken; what cannot be looked up needs no id.
            return Written(id="")
        return made


def _corrected(words: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in words.items()}


CONNECTOR = Asperion
