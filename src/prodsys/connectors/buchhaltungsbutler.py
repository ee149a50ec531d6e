"""BuchhaltungsButler, whole: books that take customers, suppliers and invoices, by POST alone, and answer little of what they took."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.connectors._base import (
    Check,
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
    at,
    day,
    exact,
    text,
)
from prodsys.connectors._rest import Answer, Auth, Basic, RestConnector, same
from prodsys.documents import Address, ContactCard, Exact, Invoice, InvoiceDraft, Person, SalesOrder, TradeLine, canonical
from prodsys.kit import outbound
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused

ROWS = 500
_CREDITORS_FROM = 70_000
_NOTHING = "BuchhaltungsButler keeps books; it has no {} to read or write."
_ORDER = {"de_DE": "Auftrag", "en_US": "Order"}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    client: Annotated[str, Meta(title="API client", description="Settings > Interfaces and API access.", min_length=1)]
    client_secret: Annotated[Secret, Meta(title="API secret")]
    api_key: Annotated[Secret, Meta(title="API key", description="Of the company whose books these are.")]
    orders_become: Annotated[
        Literal["draft", "offer"], Meta(title="Orders become", description="An invoice draft, or an offer, which gets its number at once.")
    ] = "draft"
    default_vat: Annotated[int, Meta(title="VAT in percent", description="Of rows that say nothing of VAT.", ge=0, le=100)] = 19
    default_unit: Annotated[str, Meta(title="Unit", description="Of rows that have none.", min_length=1)] = "Stk."
    language: Annotated[Literal["de_DE", "en_US"], Meta(title="Language of documents")] = "de_DE"
    digits_only: Annotated[bool, Meta(title="Article numbers are digits only", description="Refuse orders with others.")] = False
    base_url: Annotated[str, Meta(title="Address of the API")] = "https://webapp.buchhaltungsbutler.de/api/v1"


Text = str | None


class Account(msgspec.Struct, kw_only=True):
    """A debtor or creditor as it is read; some members are written under other names."""

    type: str = "debitor"
    name: Text = None
    postingaccount_number: str | int = ""
    contact_person_name: Text = None
    street: Text = None
    additional_addressline: Text = None
    zip: Text = None
    city: Text = None
    country: Text = None
    customer_number: Text = None
    sales_tax_id_eu: Text = None
    email: Text = None


class Receipt(msgspec.Struct, kw_only=True):
    """An invoice as it is read: its head and sums, no rows; numbers are texts."""

    id_by_customer: str | int = ""
    type: Text = None
    date: Text = None
    due_date: Text = None
    counterparty: Text = None
    invoicenumber: Text = None
    amount: Decimal | None = None
    amount_paid: Decimal | None = None
    payment_date: Text = None
    currency: Text = None
    deleted: str | int | None = None


def read_account(theirs: Account) -> ContactCard:
    """A debtor or creditor; a creditor has no number but that of its account."""
    country = text(theirs.country)[:2].upper()
    street, house = streets.split(text(theirs.street), country)
    person = text(theirs.contact_person_name, 200)
    return ContactCard(
        number=text(theirs.customer_number, 80) or text(theirs.postingaccount_number, 80),
        name=text(theirs.name, 200) or "?",
        is_customer=theirs.type != "creditor",
        is_supplier=theirs.type == "creditor",
        vat_number=text(theirs.sales_tax_id_eu, 80),
        email=text(theirs.email, 120),
        address=Address(street=street, house_number=house, street2=text(theirs.additional_addressline), postcode=text(theirs.zip, 80),
                        city=text(theirs.city, 120), country=country),
        persons=[Person(name=person)] if person else [],
    )  # fmt: skip


def write_account(ours: ContactCard, known: Known) -> dict[str, Any]:  # noqa: ARG001
    """A debtor, or a creditor when it is a supplier only; what is empty must not be said at all."""
    is_creditor = ours.is_supplier and not ours.is_customer
    number = ours.number if ours.number.isdigit() and _CREDITORS_FROM <= int(ours.number) <= 99_999 else None
    return {
        "type": "creditor" if is_creditor else "debitor", "name": ours.name, "email": ours.email or None,
        "customer_number": ours.number or None if not is_creditor else None, "postingaccount_number": number if is_creditor else None,
        "contact_person_name": ours.persons[0].name if ours.persons else None, **_place(ours.address, "additional_address_line"),
        "sales_tax_id": ours.vat_number or None,
        "due_in_days": int(ours.payment_terms) if is_creditor and ours.payment_terms.isdecimal() else None,
    }  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> dict[str, Any]:
    """An order as an invoice draft or an offer, or as an invoice where the flow makes those; its number stands in the text."""
    becomes = known.config.orders_become if ours.kind == "order" else "draft" if ours.is_draft else "invoice"
    words = _written(becomes, ours, ours.number, ours.lines, known)
    if ours.requested_date:
        words["date_of_supply"] = ours.requested_date.isoformat()
    if ours.discount_percent:
        words |= {"discount_type": "percent", "discount_value": canonical(ours.discount_percent)}
    return words


def write_draft(ours: InvoiceDraft, known: Known) -> dict[str, Any]:
    """An invoice draft."""
    return _written("draft", ours, ours.order_number or ours.number, ours.lines, known)


def write_invoice(ours: Invoice, known: Known) -> dict[str, Any]:
    """An invoice, issued at once under our number, by which it is found again."""
    return _written("invoice", ours, ours.order_number, ours.lines, known)


def read_receipt(theirs: Receipt) -> Invoice:
    """An issued invoice: its head and what is paid of it."""
    gross, paid = exact(Exact, theirs.amount) or Exact(0), exact(Exact, theirs.amount_paid)
    is_paid = bool(theirs.payment_date) or (paid is not None and abs(gross) > 0 and abs(paid) >= abs(gross))
    return Invoice(
        number=text(theirs.invoicenumber, 80) or text(theirs.id_by_customer, 80),
        date=day(theirs.date) or dt.date(1970, 1, 1),
        due_date=day(theirs.due_date),
        currency=text(theirs.currency, 3) or "EUR",
        customer=ContactCard(name=text(theirs.counterparty, 200) or "?"),
        is_credit=text(theirs.type).startswith("credit"),
        lines=[],
        gross=gross,
        paid=paid,
        status="cancelled" if str(theirs.deleted) == "1" else "paid" if is_paid else "open",
    )


def _written(becomes: str, ours: SalesOrder | InvoiceDraft, order: str, lines: Sequence[TradeLine], known: Known) -> dict[str, Any]:
    config: Config = known.config
    customer, rows = ours.customer, [line for line in lines if line.kind != "text"]
    texts = [line.description or line.note for line in lines if line.kind == "text"]
    # Nothing else of ours shows in a draft, and a person may have to look for it by hand.
    said = [f"{_ORDER[config.language]} {order}" if order else "", ours.customer_reference, ours.note, *texts]
    words: dict[str, Any] = {
        "becomes": becomes, "show_prices_type": "gross" if ours.prices_include_tax else "net", "date": ours.date.isoformat(),
        "type": "offer" if becomes == "offer" else "credit" if isinstance(ours, InvoiceDraft) and ours.is_credit else "invoice",
        "company_name": customer.name, "contact_person_name": customer.persons[0].name if customer.persons else None,
        **_place(customer.address, "additional_addressline"), "email": customer.email or None, "customer_number": customer.number or None,
        "correspondence": "\n".join(one for one in said if one) or None, "language": config.language,
        "item_name": [line.description or line.article_number or "-" for line in rows],
        "item_amount": [canonical(line.quantity) if line.quantity is not None else "1" for line in rows],
        "item_unit": [line.unit or config.default_unit for line in rows], "item_single_price": [_price(line) for line in rows],
        "item_vat": [canonical(line.tax_percent) if line.tax_percent is not None else str(config.default_vat) for line in rows],
    }  # fmt: skip
    if any(line.article_number or line.note for line in rows):
        words["item_description"] = [line.note or line.article_number or "-" for line in rows]
    if becomes == "invoice":
        words["invoicenumber"] = ours.number
    if becomes != "draft" and ours.payment_terms.isdecimal():
        words["due_days"] = ours.payment_terms
    return words


def _price(line: TradeLine) -> str:
    """A row has no discount there, so it is taken off its price."""
    each = (line.unit_price or Decimal(0)) / line.price_quantity * (100 - line.discount_percent) / 100
    return canonical(each.quantize(Decimal("0.0001")))


def _place(ours: Address, second: str) -> dict[str, Any]:
    return {"street": streets.join(ours.street, ours.house_number, ours.country) or None, second: ours.street2 or None,
            "zip": ours.postcode or None, "city": ours.city or None, "country": ours.country or None}  # fmt: skip


def _any(member: str) -> Lookup:
    return Lookup(lambda _: {}, member)


_OUTBOUND = Lookup(lambda value: {"invoicenumber": value}, "invoicenumber")
_LOST = "It cannot be looked up there: when the answer to one is lost, a person has to look."


class BuchhaltungsButler(RestConnector):
    """One company's books."""

    title = "BuchhaltungsButler"
    summary = "Bookkeeping for small companies in Germany."
    Config = Config
    probe = "/accounts/get"
    rate = (100, 60.0)
    prerequisites = ("API access, switched on in BuchhaltungsButler under Settings > Interfaces and API access.",)
    remarks = (
        "Articles, stock and sales orders do not exist in BuchhaltungsButler; an order becomes an invoice draft or an offer.",
        "A draft gets no id and cannot be read, changed or found through the interface; it is pushed once, never again by itself.",
        "An employee number (999999 elsewhere) has no place in its interface; rows' discounts are taken off their prices.",
        "Customers cannot be searched for: all of them are read to find one.",
    )
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path="debtors", wire=Account, key="postingaccount_number", number="customer_number", read=read_account, write=write_account,
            find_by={"email": _any("email"), "number": _any("customer_number"), "reference": _any("customer_number"),
                     "name": _any("name")}, update="patch",
            limits=(Limit(field="name", is_required=True),),
            provenance={"reading": "documented", "writing": "assumed"},
            notes={"out": "A supplier that is no customer becomes a creditor; its number is kept there only from 70000 to 99999."},
        ),
        "orders": Resource(
            path="/invoices/create", number="invoicenumber", key="id_by_customer", write=write_order,
            is_once_only=True, drafts="Invoice draft", makes=("order", "invoice"),
            limits=(Limit(field="currency", one_of=("EUR",)), Limit(field="customer.name", is_required=True)),
            provenance={"head, rows": "documented", "what drafts answer": "documented", "euro only": "assumed"},
            no={"in": "Orders do not exist there; invoices can be read."}, note=_LOST,
        ),
        "invoice_drafts": Resource(
            path="/invoices/create/draft", write=write_draft, is_once_only=True, drafts="Invoice draft",
            limits=(Limit(field="currency", one_of=("EUR",)),), provenance={"head, rows": "documented", "euro only": "assumed"},
            no={"in": "Drafts cannot be read through the interface."}, note=_LOST,
        ),
        "invoices": Resource(
            path="/invoices/create", wire=Receipt, key="id_by_customer", number="invoicenumber", read=read_receipt, write=write_invoice,
            find_by={"reference": _OUTBOUND, "number": _OUTBOUND}, where={"payment_status": lambda value: {"payment_status": value}},
            limits=(Limit(field="number", longest=60, is_required=True), Limit(field="currency", one_of=("EUR",))),
            provenance={"reading": "documented", "writing": "documented", "euro only": "assumed"},
            note="An invoice is issued at once. Read are its head and sums, not its rows.",
        ),
        "articles": Resource(no=dict.fromkeys(("in", "out"), _NOTHING.format("articles"))),
        "stock": Resource(no=dict.fromkeys(("in", "out"), _NOTHING.format("stock"))),
        "order_status": Resource(no=dict.fromkeys(("in", "out"), _NOTHING.format("orders"))),
        "purchase_orders": Resource(no=dict.fromkeys(("in", "out"), _NOTHING.format("purchase orders"))),
        "vouchers": Resource(no=dict.fromkeys(("in", "out"), "Postings are not carried: BuchhaltungsButler makes them of receipts.")),
    }  # fmt: skip

    def auth(self) -> Auth:
        return Basic(self.config.client, self.config.client_secret, fields=("client", "client_secret"))

    def limits_of(self, kind: str) -> Sequence[Limit]:
        digits = (Limit(field="lines[].article_number", digits_only=True),) if self.config.digits_only and kind == "orders" else ()
        return (*super().limits_of(kind), *digits)

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        code = at(body, "error_code")
        if answer.status == 403 and code == 15:
            wait = outbound.retry_after(answer) or 60.0
            return Later(reason="rate", detail="BuchhaltungsButler takes nothing new for a while.", retry_after=wait)
        if answer.status < 300 and at(body, "success") is False:
            return Refused(problem=self.problem_in(answer.status, body))
        return None

    def problem_in(self, status: int, body: Any) -> Problem:
        said = text(at(body, "message"), 1000) or f"BuchhaltungsButler answered {status}."
        return Problem(status=status, code=text(at(body, "error_code"), 20), title=said)

    def blame(self, trouble: Trouble) -> Check:
        found = super().blame(trouble)
        # 4: the caller is known, the company is not.
        is_company = isinstance(trouble, Misconfigured) and trouble.problem is not None and trouble.problem.code in ("4", "11")
        return msgspec.structs.replace(found, field="api_key") if is_company else found

    async def test(self) -> Tested:
        found = await self._post(self.probe, {}, is_write=False)
        return await self.looked_into(found) if isinstance(found, Answer) else Tested(is_fine=False, checks=[self.blame(found)])

    async def _post(self, path: str, said: Mapping[str, Any], *, is_write: bool = True) -> Answer | Trouble:
        # The key is put in here, so that words that are logged never hold it.
        return await self.ask("POST", path, body={"api_key": self.config.api_key.reveal(), **said}, is_write=is_write)

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        asked = dict(self.query_of(self.resources[kind], since, where or {}))
        lists = ("/settings/get/debtors", "/settings/get/creditors") if kind == "contacts" else ("/receipts/get",)
        said = asked if kind == "contacts" else {"list_direction": "outbound", **asked}
        for path in lists:
            offset = 0
            while True:
                answer = await self._post(path, {"limit": ROWS, "offset": offset, **said}, is_write=False)
                if not isinstance(answer, Answer):
                    yield answer
                    return
                rows = at(answer.body, "data")
                if not isinstance(rows, list):
                    yield Misconfigured(reason="unreadable", detail=f"The list of {kind} does not look as {self.title} answers one.")
                    return
                # Only an empty page is surely the last: how many rows they give at most is nowhere said of debtors.
                is_last = not rows and path == lists[-1]
                yield Records(records=[self.record(kind, row) for row in rows], read_at=self.clock_of(answer), is_last=is_last)
                if not rows:
                    break
                offset += len(rows)

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        found = await self.find_many(kind, by, [value])
        return found.get(value, []) if isinstance(found, Mapping) else found

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        lookup = self.resources[kind].find_by[by]
        wanted = {value: list[Record]() for value in values if value}
        if kind == "contacts":
            async for page in self.pages(kind) if wanted else _nothing():
                if not isinstance(page, Records):
                    return page
                for record in page.records:
                    for value, found in wanted.items():
                        named = at(record.theirs, lookup.member)
                        if same(named, value, by) or (lookup.member == "customer_number" and not named and record.id == value):
                            found.append(record)
            return wanted
        for value, found in wanted.items():
            asked = {"list_direction": "outbound", "include_offers": True, "limit": ROWS, **lookup.query(value)}
            answer = await self._post("/receipts/get", asked, is_write=False)
            if not isinstance(answer, Answer):
                return answer
            found += [self.record(kind, row) for row in at(answer.body, "data") or [] if same(at(row, lookup.member), value, by)]
        return wanted

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        if kind == "contacts":
            async for page in self.pages(kind):
                if not isinstance(page, Records):
                    return page
                if record := next((one for one in page.records if one.id == id), None):
                    return record
            return None
        # The id stands in the address itself, unlike what their document shows.
        answer = await self._post(f"/receipts/get/{int(id) if id.isdigit() else 0}", {}, is_write=False)
        if not isinstance(answer, Answer):
            return answer if not isinstance(answer, Refused) or answer.problem.status not in (400, 404) else None
        row = at(answer.body, "data")
        return self.record(kind, row) if isinstance(row, dict) else None

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        said = dict(words)
        if kind == "contacts":
            path = f"/settings/add/{'creditor' if said.pop('type', '') == 'creditor' else 'debtor'}"
        else:
            path = "/invoices/create/draft" if said.pop("becomes", "draft") == "draft" else "/invoices/create"
        answer = await self._post(path, said)
        if not isinstance(answer, Answer):
            return answer
        made = at(answer.body, self.resources[kind].key)
        if made is None and not path.endswith("draft"):
            return Later(reason="no_id", detail="BuchhaltungsButler took it but did not say under which number.", sent=True)
        return Written(id=text(made, 80), number=text(at(answer.body, "invoicenumber"), 80), said=answer.said)

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        account = int(id) if id.isdigit() else 0
        named = {name: value for name, value in words.items() if name not in ("type", "postingaccount_number")}
        path = f"/settings/update/{'creditor' if account >= _CREDITORS_FROM else 'debtor'}"
        answer = await self._post(path, {"postingaccount_number": account, **named})
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer


async def _nothing() -> AsyncIterator[Records | Trouble]:
    return
    yield


CONNECTOR = BuchhaltungsButler
