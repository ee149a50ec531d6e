"""CCV Shop and CCV SalesPOS, whole: the form, the words of their shop interface, and signatures in both directions."""

import asyncio
import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from prodsys import documents
from prodsys.codes import streets
from prodsys.connectors import _base
from prodsys.connectors._base import Known, Limit, Lookup, Record, Records, Resource, Secret, Trouble, Written, at, day, exact, text
from prodsys.connectors._rest import Answer, Auth, Page, Paging, Request, RestConnector, Signed, parsed_query, same
from prodsys.documents import ArticleCard, ContactCard, DeliveryPlace, Exact, Percent, Progress, SalesOrder, TradeLine, UnitPrice
from prodsys.kit.clock import now
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused

ROOT = "/api/rest/v1"
CLOCK_WINDOW = dt.timedelta(minutes=5)
Theirs = Mapping[str, Any]
"""Their words are read by name: hundreds of members, all optional, of which we use a few."""
_TARIFFS = ("normal", "low a", "low b", "extra low", "zero")
_HOUSE = re.compile(r"(\d{1,9})\s*(.{0,20})")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    base_url: Annotated[str, Meta(title="Address of the shop", min_length=1, examples=["https://myshop.ccvshop.nl"])]
    public_key: Annotated[str, Meta(title="Public key", description="My web shop > Settings > API settings.", min_length=1)]
    secret_key: Annotated[Secret, Meta(title="Secret key")]
    system: Annotated[Literal["salespos", "webshop"], Meta(title="System", description="Which of the two the keys are for.")] = "salespos"
    prices_include_tax: Annotated[bool, Meta(title="Product prices include VAT", description="As the shop is set up.")] = True
    package: Annotated[int, Meta(title="Package", description="Id of the package new products get; it decides their shipping.", ge=0)] = 0
    tax_tariff: Annotated[str, Meta(title="Tax tariff", description="Of new products whose VAT is not mapped.")] = "normal"
    language: Annotated[str, Meta(title="Language of orders", min_length=2, max_length=2)] = "nl"
    look_back_days: Annotated[
        int, Meta(title="Days to look back", description="Orders of so many days are read again for changes, and looked through before one "
                  "is sent: they can be asked for by the day they were made only.", ge=1, le=366),
    ] = 14  # fmt: skip


def read_user(theirs: Theirs) -> ContactCard:
    """A customer; one with a company name is a company with its contact person, every other one a person."""
    return _contact(theirs.get("userinfo"), is_active=theirs.get("status") is not False)


def write_user(ours: ContactCard, known: Known) -> Theirs:  # noqa: ARG001
    """A customer with an account in the shop; its password is made up when it is sent, and kept by nobody."""
    return {"username": ours.email or ours.number or None, "status": ours.is_active, "userinfo": _info(ours, ours.deliver_to, "")}


def read_product(theirs: Theirs) -> ArticleCard:
    """A product; whether `price` is one with tax the form says, see `CcvSalesPos.document`."""
    gtin = text(theirs.get("eannumber"), 14)
    return ArticleCard(
        number=text(theirs.get("productnumber"), 80) or text(theirs.get("id"), 80), name=text(theirs.get("name")),
        text=text(theirs.get("shortdescription"), 4000), description=text(theirs.get("description"), 20_000),
        unit=text(theirs.get("unit"), 20), gtin=gtin if gtin.isdigit() else "", price=exact(UnitPrice, theirs.get("price")),
        supplier_article_number=text(theirs.get("mpnnumber"), 80), tax_code=text(theirs.get("taxtariff"), 80),
        quantity=exact(Exact, theirs.get("stock")) if theirs.get("stockenabled") else None, is_active=theirs.get("active") is not False,
        categories=[text(theirs[name]) for name in ("maincategory", "subcategory") if theirs.get(name)],
    )  # fmt: skip


def write_product(ours: ArticleCard, known: Known) -> Theirs:
    """A product; without the price that fits how the shop counts, the other one is not guessed from it."""
    config: Config = known.config
    price = ours.price_with_tax if config.prices_include_tax else ours.price
    return {
        "productnumber": ours.number, "active": ours.is_active, "eannumber": ours.gtin or None, "name": ours.name or ours.number,
        "mpnnumber": ours.supplier_article_number or None, "shortdescription": ours.text or None, "description": ours.description or None,
        "taxtariff": ours.tax_code or config.tax_tariff, "unit": ours.unit or None, "package_id": config.package or None,
        "price": documents.rounded(price / ours.price_quantity) if price is not None else None, "discount": Decimal(0),
        **dict(zip(("maincategory", "subcategory"), ours.categories, strict=False)),
    }  # fmt: skip


def read_stock(theirs: Theirs) -> documents.Stock:
    """A product's stock; the shop lowers it with each order, so all of it is available."""
    held = exact(Exact, theirs.get("stock"))
    number = text(theirs.get("productnumber"), 80) or text(theirs.get("id"), 80)
    return documents.Stock(article_number=number, on_hand=held, available=held, is_managed=theirs.get("stockenabled"))


def write_stock(ours: documents.Stock, known: Known) -> Theirs:  # noqa: ARG001
    """A product's stock; what is available counts for a shop, not what lies there promised to others."""
    free = ours.available if ours.available is not None else ours.on_hand
    return {"productnumber": ours.article_number, "stockenabled": ours.is_managed, "stock": free}


def read_order(theirs: Theirs) -> SalesOrder:
    """An order; shipping and fees, which are sums of the order there, are rows of their own here."""
    status = read_status(theirs)
    return SalesOrder(
        number=status.number, is_draft=False, date=day(theirs.get("create_date")) or dt.date(1970, 1, 1), status=status.said,
        currency=text(theirs.get("currency"), 3) or "EUR", customer=_contact(theirs.get("customer")), is_paid=status.is_paid,
        deliver_to=_delivery(at(theirs, "customer.deliveryaddress")), requested_date=status.expected_date,
        customer_reference=text(theirs.get("reservationnumber"), 80), payment_method=text(theirs.get("paymethod"), 80),
        shipping_method=text(theirs.get("deliver_method"), 80), prices_include_tax=theirs.get("order_row_taxes_included") is True,
        note=text(at(theirs, "customer.billingaddress.comment"), 4000), lines=_read_rows(theirs),
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> Theirs:
    """An order, New (1) or In process (2): the first charge is its shipping, others extra costs; texts are a comment for the merchant."""
    charges = [line for line in ours.lines if line.kind == "charge"]
    said = [ours.note, *(line.description or line.note for line in ours.lines if line.kind == "text")]
    return {
        "paid": ours.is_paid is True, "status": 1 if ours.is_draft else 2, "currency": ours.currency, "orderedinlng": known.config.language,
        "order_row_taxes_included": ours.prices_include_tax, "deliver_method": ours.shipping_method or "shipping",
        "deliver_date": f"{ours.requested_date}T00:00:00Z" if ours.requested_date else None, "reservationnumber": ours.number,
        # Without a sum the shop would reckon shipping of its own.
        "total_shipping": charges[0].net if charges else Decimal(0),
        "extra_costs": sum((line.net for line in charges[1:]), Decimal(0)) or None,
        "extra_costs_description": ", ".join(line.description for line in charges[1:] if line.description) or None,
        "user_id": int(known.customer) if known.customer.isdigit() else None,
        "customer": _info(ours.customer, ours.deliver_to, "\n".join(one for one in said if one)),
        "orderrows": [_row(line, known, ours.discount_percent) for line in ours.lines if line.kind == "article"],
    }  # fmt: skip


def read_status(theirs: Theirs) -> documents.OrderStatus:
    """How an order stands there."""
    number = next(text(theirs[name], 80) for name in ("reservationnumber", "ordernumber_full", "id") if theirs.get(name))
    status, said = _STATUS.get(theirs.get("status") or 0, ("unknown", ""))
    return documents.OrderStatus(
        number=number, status=status, said=said, is_paid=theirs.get("paid"), expected_date=day(theirs.get("deliver_date")),
        carrier=text(theirs.get("track_and_trace_carrier"), 120), tracking_number=text(theirs.get("track_and_trace_code"), 80),
    )  # fmt: skip


def write_status(ours: documents.OrderStatus, known: Known) -> Theirs:  # noqa: ARG001
    """How an order stands here, told to the shop; nothing is said of a state the shop has no word for."""
    return {"reservationnumber": ours.number, "status": _SAID.get(ours.status), "paid": ours.is_paid,
            "track_and_trace_code": ours.tracking_number or None, "track_and_trace_carrier": ours.carrier or None}  # fmt: skip


def read_invoice(theirs: Theirs) -> documents.Invoice:
    """An issued invoice."""
    net, tax, gross = (exact(Exact, theirs.get(name)) or Exact(0) for name in ("total_price_exc_tax", "total_tax", "total_price_inc_tax"))
    return documents.Invoice(
        number=text(theirs.get("invoicenumber_full"), 80) or text(theirs.get("id"), 80),
        order_number=text(theirs.get("ordernumber_full"), 80), date=day(theirs.get("create_date")) or dt.date(1970, 1, 1),
        currency=text(theirs.get("currency"), 3) or "EUR", customer=_contact(theirs.get("customer")),
        prices_include_tax=theirs.get("invoice_row_taxes_included") is True,
        is_credit=text(theirs.get("type")).casefold() == "credit", lines=_read_rows(theirs), net=net, tax=tax, gross=gross,
        status=_INVOICES.get(text(theirs.get("status")), "unknown"),
    )  # fmt: skip


def _contact(info: Theirs | None, *, is_active: bool = True) -> ContactCard:
    info = info or {}
    bill = info.get("billingaddress") or {}
    person = text(" ".join(bill[part] for part in ("first_name", "last_name") if bill.get(part)) or bill.get("full_name"), 200)
    company, email = text(bill.get("company"), 200), text(info.get("email"), 120)
    return ContactCard(
        number=text(info.get("reference"), 80), kind="company" if company else "person", name=company or person or email or "?",
        is_active=is_active, organisation_number=text(info.get("kvk"), 80), vat_number=text(info.get("btw"), 80), email=email,
        phone=text(bill.get("telephone") or bill.get("mobile"), 80), address=_address(bill),
        deliver_to=_delivery(info.get("deliveryaddress")), persons=[documents.Person(name=person)] if company and person else [],
    )  # fmt: skip


def _info(ours: ContactCard, there: DeliveryPlace | None, comment: str) -> Theirs:
    is_company = ours.kind == "company"
    person = ours.persons[0].name if ours.persons else "" if is_company else ours.name
    first, _, last = person.rpartition(" ")
    bill = {**_place(ours.address), "company": ours.name if is_company else None, "first_name": first or None, "last_name": last or None,
            "telephone": ours.phone or None, "comment": comment or None}  # fmt: skip
    delivery = None
    if there is not None:
        delivery = {**_place(there.address), "company": there.name if is_company else None, "full_name": person or there.name}
    return {"billingaddress": bill, "deliveryaddress": delivery, "email": ours.email or None, "reference": ours.number or None,
            "customertype": "b2b" if is_company else "b2c", "btw": ours.vat_number or None,
            "kvk": ours.organisation_number or None}  # fmt: skip


def _place(ours: documents.Address) -> Theirs:
    place: dict[str, Any] = {"zipcode": ours.postcode or None, "city": ours.city or None, "province": ours.region or None,
                             "country_code": ours.country or None}  # fmt: skip
    house = _HOUSE.fullmatch(ours.house_number)
    if house and not ours.street2:
        return place | {"street": ours.street, "housenumber": int(house[1]), "housenumber_suffix": house[2] or None}
    line = streets.join(ours.street, ours.house_number, ours.country)
    return place | {"address_line_1": line or None, "address_line_2": ours.street2 or None}


def _address(theirs: Theirs) -> documents.Address:
    country, street = text(theirs.get("country_code"))[:2].upper(), text(theirs.get("street"))
    number = f"{theirs.get('housenumber') or ''}{theirs.get('housenumber_suffix') or ''}"
    if not street:
        street, number = streets.split(text(theirs.get("address_line_1")), country)
    return documents.Address(street=street, house_number=text(number, 80), street2=text(theirs.get("address_line_2")), country=country,
                             postcode=text(theirs.get("zipcode"), 80), city=text(theirs.get("city"), 120),
                             region=text(theirs.get("province"), 120))  # fmt: skip


def _delivery(theirs: Theirs | None) -> DeliveryPlace | None:
    theirs = theirs or {}
    place = DeliveryPlace(name=text(theirs.get("company") or theirs.get("full_name")), address=_address(theirs))
    return None if place == DeliveryPlace() else place


def _row(line: TradeLine, known: Known, discount: Percent) -> Theirs:
    row: dict[str, Any] = {"count": line.quantity, "tax": line.tax_percent, "unit": line.unit or None, "memo": line.note or None}
    if line.unit_price is not None:
        row["price"] = price = (line.unit_price / line.price_quantity).quantize(Decimal("0.0001"))
        left = (100 - line.discount_percent) * (100 - discount) / 10_000
        row["discount"] = (price * (1 - left)).quantize(Decimal("0.0001"))
    if product := known.articles.get(line.article_number):
        return row | {"product_id": int(product)}
    # What is no product of theirs has to say all of itself.
    return row | {"product_name": line.description or line.article_number or "-", "product_number": line.article_number or "-",
                  "weight": 0, "package_id": known.config.package or None}  # fmt: skip


def _read_rows(theirs: Theirs) -> list[TradeLine]:
    lines = []
    for place, row in enumerate(theirs.get("rows") or [], 1):
        price, gtin = row.get("price"), text(row.get("sub_ean_number"), 14)
        lines.append(TradeLine(
            line_id=str(row.get("id") or place), article_number=text(row.get("sub_product_number") or row.get("product_number"), 80),
            gtin=gtin if gtin.isdigit() else "", description=text(row.get("product_name"), 4000), quantity=exact(Exact, row.get("count")),
            unit=text(row.get("unit"), 20), unit_price=exact(Exact, price), note=text(row.get("memo"), 4000),
            discount_percent=exact(Percent, 100 * Decimal(row.get("discount") or 0) / price if price else 0) or Percent(0),
            tax_percent=exact(Percent, row.get("tax")),
        ))  # fmt: skip
    for name, said, tax in (("total_shipping", "Shipping", theirs.get("shipping_tax_percentage")), ("paymethod_costs", "Payment", None),
                            ("extra_costs", text(theirs.get("extra_costs_description"), 4000) or "Extra costs", None)):  # fmt: skip
        if theirs.get(name):
            lines.append(TradeLine(line_id=name, kind="charge", description=said, quantity=Exact(1), unit_price=exact(Exact, theirs[name]),
                                   tax_percent=exact(Percent, tax)))  # fmt: skip
    return lines


_STATUS: Mapping[int, tuple[Progress, str]] = {
    1: ("open", "New"), 2: ("in_progress", "In process"), 3: ("in_progress", "Wait for manufacturer"), 4: ("on_hold", "Wait for payment"),
    5: ("shipped", "Sent"), 6: ("delivered", "Delivered"), 7: ("delivered", "Completed"), 8: ("cancelled", "Cancelled"),
    9: ("in_progress", "Wait for supplier"), 10: ("in_progress", "Packaging"), 11: ("in_progress", "Ready to collect"),
    12: ("in_progress", "Assembling"), 13: ("on_hold", "Backorder"), 14: ("confirmed", "Reserved"),
}  # fmt: skip
_SAID: Mapping[Progress, int] = {
    "open": 1, "confirmed": 2, "in_progress": 2, "partly_shipped": 2, "shipped": 5, "delivered": 6, "invoiced": 7, "on_hold": 13,
    "cancelled": 8,
}  # fmt: skip
_INVOICES: Mapping[str, Literal["open", "paid", "cancelled"]] = {"paid": "paid", "unpaid": "open", "reimbursed": "cancelled"}
_FINAL = re.compile(r"500\.(2[1-5]|[4-8]0)|501\.[1-3]0")
"""Codes of theirs that say the request was wrong, whatever the status; 500.20 is not one: what it speaks of may have been written."""


def signature(public: str, secret: Secret, request: Request, body: bytes, date: str) -> str:
    """What a call, or the answer to it, is signed with: HMAC-SHA512 over key, method, path with query, body and moment, in hex."""
    said = f"{public}|{request.method}|{request.uri}|".encode() + body + f"|{date}".encode()
    return hmac.new(secret.reveal().encode(), said, hashlib.sha512).hexdigest()


class _Sets(Paging):
    def first(self) -> Mapping[str, str]:
        return {"start": "0", "size": "100"}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        rows = at(answer.body, "items")
        if not isinstance(rows, list):
            raise ValueError("There is no list where one was expected")
        # Their link may name another host of the shop; where it starts is all we need of it.
        link = at(answer.body, "next")
        start = parsed_query(str(link)).get("start", "") if link and rows else ""
        return Page(rows=rows, query={"start": start} if start else None)


def _any(member: str) -> Lookup:
    return Lookup(lambda _: {}, member)


def _made_since(since: dt.datetime) -> Mapping[str, str]:
    return {"min_create_date": f"{since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}


_ORDER_FILTERS: Mapping[str, Any] = {
    "status": lambda value: {"status": value}, "is_paid": lambda value: {"is_paid": value.casefold()},
    "is_completed": lambda value: {"is_completed": value.casefold()},
}  # fmt: skip
_SURE: Mapping[str, Any] = {"members, filters": "client code", "the same members in SalesPOS": "assumed"}


class CcvSalesPos(RestConnector):
    """One shop; the same interface serves the cash desk (SalesPOS) and the web shop."""

    title = "CCV SalesPOS / CCV Shop"
    summary = "Cash desk and web shop for small retailers in the Netherlands, Belgium and Germany."
    Config = Config
    probe = f"{ROOT}/"
    rate = (100, 60.0)
    prerequisites = ("The API app, and a pair of keys made under Settings > API settings, with the rights to orders, products and users.",
                     "A clock here that is right: calls more than five minutes off are not taken.")  # fmt: skip
    remarks = (
        "Customers cannot be searched for there: all of them are read to find one by its e-mail address.",
        "Orders can be asked for by the day they were made, not by when they changed; see the days to look back.",
        "Variants are read in orders by their own number; as articles and stock only whole products are carried.",
        "Images, coupons and cash-ups are not carried; categories are the two names a product has for exports.",
        "Where VAT is included is set in the shop; a price of the other kind is not guessed.",
    )
    lists: ClassVar[Mapping[str, str]] = {"payment_methods": "Payment methods", "tax_codes": "Tax tariffs"}
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path=f"{ROOT}/users", number="userinfo.reference", read=read_user, write=write_user, update="patch",
            find_by={"email": _any("userinfo.email"), "reference": _any("userinfo.reference"), "number": _any("userinfo.reference"),
                     "organisation_number": _any("userinfo.kvk"), "name": _any("userinfo.billingaddress.company")},
            limits=(Limit(field="email", is_required=True, says="It is the user name in the shop, and unique."),),
            provenance=_SURE, note="Each becomes a user of the shop, with a password nobody knows; he may have a new one sent.",
        ),
        "articles": Resource(
            path=f"{ROOT}/products", number="productnumber", read=read_product, write=write_product, update="patch", lacks=("currency",),
            find_by={name: Lookup(lambda value, member=member: {member: value}, member)  # type: ignore[misc]  # bound now
                     for name, member in (("number", "productnumber"), ("reference", "productnumber"), ("gtin", "eannumber"))},
            limits=(Limit(field="name", is_required=True), Limit(field="gtin", digits_only=True),
                    Limit(field="tax_code", one_of=_TARIFFS, says="One of the shop's tariffs; the list mapping makes them of others."),
                    Limit(field="price", says="The price, with or without VAT as the shop counts, and a package in the form.")),
            provenance=_SURE,
        ),
        "stock": Resource(
            path=f"{ROOT}/products", number="productnumber", read=read_stock, write=write_stock, update="patch",
            find_by={"reference": Lookup(lambda value: {"productnumber": value}, "productnumber")}, provenance=_SURE,
            note="What is available is written; a product has to be there already.",
        ),
        "orders": Resource(
            path=f"{ROOT}/orders", number="reservationnumber", read=read_order, write=write_order, since=_made_since,
            changed="create_date", where=_ORDER_FILTERS, find_by={"reference": _any("reservationnumber")}, provenance=_SURE,
            limits=(Limit(field="customer.email", is_required=True),),
            note="An order is real there at once: as a draft it is New, otherwise In process. It is found again by its reservation number.",
        ),
        "order_status": Resource(
            path=f"{ROOT}/orders", number="reservationnumber", read=read_status, write=write_status, update="patch",
            since=_made_since, where=_ORDER_FILTERS, find_by={"reference": _any("reservationnumber")}, provenance=_SURE,
        ),
        "invoices": Resource(
            path=f"{ROOT}/invoices", number="invoicenumber_full", read=read_invoice, since=_made_since,
            where={"status": lambda value: {"status": value}}, provenance=_SURE, no={"out": "It is made of an order in the shop."},
        ),
        "invoice_drafts": Resource(no=dict.fromkeys(("in", "out"), "The shop has no drafts of invoices.")),
        "purchase_orders": Resource(no=dict.fromkeys(("in", "out"), "The shop sells only; it orders nothing.")),
        "vouchers": Resource(no={"in": "Cash-ups are not read yet.", "out": "The shop keeps no ledger."}),
    }  # fmt: skip

    def auth(self) -> Auth:
        config: Config = self.config

        def sign(request: Request, moment: dt.datetime) -> Mapping[str, str]:
            date = f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
            made = signature(config.public_key, config.secret_key, request, request.content, date)
            return {"x-public": config.public_key, "x-date": date, "x-hash": made}

        def is_genuine(request: Request, answer: Answered) -> bool:
            date, said = answer.headers.get("x-date", ""), answer.headers.get("x-hash", "")
            expected = signature(config.public_key, config.secret_key, request, answer.content, date)
            at_ = _base.moment(date)
            return hmac.compare_digest(said.encode(), expected.encode()) and at_ is not None and abs(now() - at_) <= CLOCK_WINDOW

        return Signed(sign, is_genuine, fields=("public_key", "secret_key"))

    def standing_headers(self) -> Mapping[str, str]:
        return {"accept": f"application/vnd.verto.{self.config.system}+json"}

    def paging(self, kind: str) -> Paging:
        return _Sets()

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        code = str(at(body, "code") or "")
        if answer.status in (401, 403) and (off := _clock_off(answer)) > CLOCK_WINDOW:
            minutes = int(off.total_seconds() // 60)
            detail = f"Our clock and the shop's are {minutes} minutes apart; with more than 5 it takes no call of ours."
            return Misconfigured(reason="clock_skew", detail=detail)
        if code in ("429.10", "429.11") and answer.status != 429:
            return Later(reason="rate", detail="The shop asks us to call less often.")
        if code == "500.90":
            return Misconfigured(reason="app_missing", detail="The app that these calls need is not installed in the shop.")
        return Refused(problem=self.problem_in(answer.status, body)) if answer.status >= 500 and _FINAL.fullmatch(code) else None

    def problem_in(self, status: int, body: Any) -> Problem:
        said = text(at(body, "developermessage"), 1000) or f"The shop answered {status}."
        return Problem(status=status, code=str(at(body, "code") or ""), title=said)

    async def looked_into(self, answer: Answer) -> _base.Tested:
        tested = await super().looked_into(answer)
        open_to_us = str(at(answer.body, "items"))
        closed = [name for name in ("orders", "products", "users") if f"/{name}" not in open_to_us]
        more = [_base.Check(field="public_key", message=f"These keys may not use {name}.") for name in closed]
        return _base.Tested(is_fine=tested.is_fine, checks=[*tested.checks, *more])

    def blame(self, trouble: Trouble) -> _base.Check:
        named = isinstance(trouble, Misconfigured) and trouble.reason in ("clock_skew", "app_missing")
        return _base.Check(message=trouble.detail) if named and isinstance(trouble, Misconfigured) else super().blame(trouble)

    def query_of(self, resource: Resource, since: dt.datetime | None, where: Mapping[str, str]) -> Mapping[str, str]:
        return super().query_of(resource, since and since - dt.timedelta(days=self.config.look_back_days), where)

    def document(self, kind: str, record: Record) -> Any:
        read = super().document(kind, record)
        if kind == "articles" and self.config.prices_include_tax:
            return msgspec.structs.replace(read, price=None, price_with_tax=read.price)
        return read

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        turns = asyncio.Semaphore(self.at_once)

        async def whole(record: Record) -> Record | Trouble:
            async with turns:
                return await self._whole(kind, record)

        async for page in super().pages(kind, since=since, where=where):
            if isinstance(page, Records) and kind in ("orders", "invoices"):
                records = await asyncio.gather(*(whole(record) for record in page.records))
                if trouble := next((one for one in records if not isinstance(one, Record)), None):
                    yield trouble
                    return
                yield msgspec.structs.replace(page, records=records)
            else:
                yield page

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        found = await super().get(kind, id)
        return await self._whole(kind, found) if isinstance(found, Record) and kind in ("orders", "invoices") else found

    async def _whole(self, kind: str, record: Record) -> Record | Trouble:
        """An order or an invoice with its rows, which are a list of their own."""
        path, query = f"{ROOT}/{kind}/{record.id}/{kind[:-1]}rows", _Sets().first()
        rows: list[Any] = []
        while True:
            answer = await self._read_again("GET", path, query)
            if not isinstance(answer, Answer):
                return answer
            try:
                page = _Sets().page(answer, query)
            except ValueError:
                return Misconfigured(reason="unreadable", detail=f"The rows of {kind} do not look as {self.title} answers them.")
            rows += page.rows
            if page.query is None:
                return msgspec.structs.replace(record, theirs={**record.theirs, "rows": rows})
            query = {**query, **page.query}

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        if kind in ("articles", "stock"):
            return await super().find(kind, by, value)
        found = await self.find_many(kind, by, [value])
        return found.get(value, []) if isinstance(found, Mapping) else found

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        if kind in ("articles", "stock"):
            return await super().find_many(kind, by, values)
        wanted = {value: list[Record]() for value in values if value}
        members = [self.resources[kind].find_by[by].member, *(["ordernumber_full"] if kind == "order_status" else [])]
        # Their clock may be behind ours; `query_of` goes back by the days to look back.
        since = None if kind == "contacts" else now() - CLOCK_WINDOW
        async for page in super().pages(kind, since=since) if wanted else _nothing():
            if not isinstance(page, Records):
                return page
            for record in page.records:
                for value, found in wanted.items():
                    if any(same(at(record.theirs, member), value, by) for member in members):
                        found.append(record)
        return wanted

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        if kind in ("stock", "order_status"):
            what = f"product {words.get('productnumber')}" if kind == "stock" else f"order {words.get('reservationnumber')}"
            return Refused(problem=Problem(status=404, code="not_there", title=f"The shop has no {what}."))
        if kind == "contacts":
            words = {**words, "password": secrets.token_urlsafe(24)}
        return await super().create(kind, words)

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        names = {"contacts": "username", "stock": "productnumber", "order_status": "reservationnumber"}
        changed = await super().change(kind, id, {name: value for name, value in words.items() if name != names.get(kind)})
        is_same = isinstance(changed, Refused) and changed.problem.code == "500.50"
        return Written(id=id) if is_same else changed

    async def choices(self, name: str) -> Sequence[_base.Choice] | Trouble:
        if name == "tax_codes":
            return [_base.Choice(id=one, title=one.capitalize()) for one in _TARIFFS]
        answer = await self.ask("GET", f"{ROOT}/paymethods")
        if not isinstance(answer, Answer):
            return answer
        rows = at(answer.body, "items") or []
        return [_base.Choice(id=text(at(row, "combined_name"), 80), title=text(at(row, "label"), 200)) for row in rows]

    def _url(self, path: str) -> str | Misconfigured:
        # Every address of theirs ends in a slash; without it they redirect, and a signature would not fit.
        return super()._url(path if "?" in path or path.endswith("/") else f"{path}/")


def _clock_off(answer: Answered) -> dt.timedelta:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return dt.timedelta()
    return abs(now() - theirs) if theirs.tzinfo else dt.timedelta()


async def _nothing() -> AsyncIterator[Records | Trouble]:
    return
    yield


CONNECTOR = CcvSalesPos
