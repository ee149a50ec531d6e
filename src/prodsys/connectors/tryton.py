"""Tryton, whole: its form, its words over JSON-RPC, and the way between its words and ours."""

import asyncio
import base64
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.connectors._base import (
    Check,
    Choice,
    Grant,
    Known,
    Limit,
    Lookup,
    Reach,
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
from prodsys.connectors._rest import RETRIES, Answer, Auth, Request, RestConnector, same
from prodsys.documents import (
    Address,
    ArticleCard,
    ContactCard,
    DeliveryPlace,
    Exact,
    OrderStatus,
    Person,
    Progress,
    PurchaseRequest,
    SalesOrder,
    Stock,
    TradeLine,
    UnitPrice,
)
from prodsys.kit.clock import now
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused

SESSION = dt.timedelta(days=30)
"""How long a session lasts there unless it is used; one that ended earlier is begun anew at the first 401."""
PAGE = 200


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    base_url: Annotated[str, Meta(title="Address of the server", min_length=1, examples=["https://tryton.example:8000"])]
    database: Annotated[str, Meta(title="Database", min_length=1, examples=["production"])]
    user: Annotated[str, Meta(title="User", description="A user of its own, with the rights this connection needs.", min_length=1)]
    password: Annotated[Secret, Meta(title="Password")]
    company: Annotated[str, Meta(title="Company", description="Its name in Tryton; may be left out where the user has only one.")] = ""


Text = str | None
Number = Decimal | None


class Named(msgspec.Struct, kw_only=True):
    id: int = 0
    code: Text = None
    name: Text = None
    symbol: Text = None


class Place(msgspec.Struct, kw_only=True):
    street: Text = None
    postal_code: Text = None
    city: Text = None
    country: Named | None = None
    party_name: Text = None
    invoice: bool | None = None
    delivery: bool | None = None


class Mechanism(msgspec.Struct, kw_only=True):
    type: Text = None
    value: Text = None
    name: Text = None


class Identifier(msgspec.Struct, kw_only=True):
    type: Text = None
    code: Text = None


class Party(msgspec.Struct, kw_only=True):
    code: Text = None
    name: Text = None
    active: bool | None = True
    addresses: list[Place] = []
    contact_mechanisms: list[Mechanism] = []
    identifiers: list[Identifier] = []
    customer_payment_term: int | None = None


class Template(msgspec.Struct, kw_only=True):
    code: Text = None
    products: list[int] = []
    categories: list[Named] = []


class Product(msgspec.Struct, kw_only=True):
    code: str
    name: Text = None
    description: Text = None
    type: Text = None
    active: bool | None = True
    default_uom: Named | None = None
    list_price_used: Number = None
    quantity: Number = None
    available: Number = None
    currency: str = ""
    identifiers: list[Identifier] = []
    template: Template = msgspec.field(default_factory=Template)


class Line(msgspec.Struct, kw_only=True):
    id: int = 0
    type: str = "line"
    product: Named | None = None
    product_supplier: Named | None = None
    unit: Named | None = None
    quantity: Number = None
    unit_price: Number = None
    description: Text = None
    note: Text = None
    delivery_date: dt.date | None = None


class Warehouse(msgspec.Struct, kw_only=True):
    address: Place | None = None


class Trade(msgspec.Struct, kw_only=True):
    """A sale or a purchase; their words for both are nearly the same."""

    id: int = 0
    number: Text = None
    reference: Text = None
    description: Text = None
    comment: Text = None
    state: str = ""
    shipment_state: Text = None
    invoice_state: Text = None
    party: Party | None = None
    shipment_address: Place | None = None
    warehouse: Warehouse | None = None
    currency: Named | None = None
    sale_date: dt.date | None = None
    purchase_date: dt.date | None = None
    create_date: dt.datetime | None = None
    shipping_date: dt.date | None = None
    delivery_date: dt.date | None = None
    payment_term: int | None = None
    lines: list[Line] = []


def read_party(theirs: Party) -> ContactCard:
    """A party in our words. Tryton does not tell a person from a company; ways to reach somebody by name are its contact persons."""
    invoiced = sorted(theirs.addresses, key=lambda place: not place.invoice)
    delivered = [place for place in theirs.addresses if place.delivery and place is not invoiced[0]]
    ways = [way for way in theirs.contact_mechanisms if way.value]
    names = dict.fromkeys(text(way.name, 200) for way in ways if way.name)
    vat = next((one.code for one in theirs.identifiers if (one.type or "").endswith("_vat")), "")
    return ContactCard(
        number=text(theirs.code, 80),
        name=text(theirs.name, 200) or "?",
        is_active=theirs.active is not False,
        organisation_number=text(next((one.code for one in theirs.identifiers if one.type in _ORGANISATION.values()), ""), 80),
        vat_number=text(vat, 80),
        email=_way(ways, "email", "", 120),
        phone=_way(ways, "phone", "", 80) or _way(ways, "mobile", "", 80),
        address=_address(invoiced[0]) if invoiced else Address(),
        deliver_to=_place(delivered[0]) if delivered else None,
        persons=[Person(name=name, email=_way(ways, "email", name, 120), phone=_way(ways, "phone", name, 80)) for name in names][:50],
        payment_terms=str(theirs.customer_payment_term or ""),
    )


def write_party(ours: ContactCard, _known: Known) -> dict[str, Any]:
    """A party in their words, its rows without the commands that make or change them."""
    country = ours.address.country
    places = [_said_place(ours.address, "") | {"invoice": True}]
    if ours.deliver_to is not None:
        places.append(_said_place(ours.deliver_to.address, ours.deliver_to.name) | {"delivery": True})
    ways = [(kind, value, "") for kind, value in (("email", ours.email), ("phone", ours.phone))]
    ways += [(kind, value, one.name) for one in ours.persons for kind, value in (("email", one.email), ("phone", one.phone))]
    identifiers = [(f"{country.lower()}_vat" if country else None, ours.vat_number), (_ORGANISATION.get(country), ours.organisation_number)]
    return {
        "name": ours.name,
        "code": ours.number or None,
        "active": ours.is_active,
        "addresses": places,
        "contact_mechanisms": [{"type": kind, "value": value, "name": name or None} for kind, value, name in ways if value],
        "identifiers": [{"type": kind, "code": code} for kind, code in identifiers if code and kind],
        "customer_payment_term": ours.payment_terms or None,
    }


def read_product(theirs: Product) -> ArticleCard:
    """A product (what Tryton calls a variant) in our words; its price is that of its default unit, without tax."""
    has_siblings = len(theirs.template.products) > 1
    return ArticleCard(
        number=text(theirs.code, 80),
        kind="virtual" if theirs.type == "service" else "variant" if has_siblings else "simple",
        variant_of=text(theirs.template.code, 80) if has_siblings else "",
        name=text(theirs.name),
        description=text(theirs.description, 20_000),
        unit=_unit(theirs.default_uom),
        gtin=next((text(one.code, 14) for one in theirs.identifiers if one.type in ("ean", "ean8", "ean13", "upc")), ""),
        price=exact(UnitPrice, theirs.list_price_used),
        currency=theirs.currency,
        is_active=theirs.active is not False,
        categories=[text(one.name) for one in theirs.template.categories][:100],
    )


def read_stock(theirs: Product) -> Stock:
    """A product's stock in all warehouses; what is assigned to shipments is reserved."""
    on_hand, available = theirs.quantity or Decimal(0), theirs.available if theirs.available is not None else theirs.quantity or Decimal(0)
    return Stock(
        article_number=text(theirs.code, 80),
        on_hand=exact(Exact, on_hand),
        reserved=exact(Exact, on_hand - available),
        available=exact(Exact, available),
    )


def read_sale(theirs: Trade) -> SalesOrder:
    """A sale in our words; its reference is the number it is found again by, Tryton's own where it has none."""
    return SalesOrder(
        number=_number(theirs),
        is_draft=theirs.state in ("draft", "quotation"),
        date=theirs.sale_date or day(theirs.create_date) or dt.date(1970, 1, 1),
        currency=text(theirs.currency and theirs.currency.code, 3),
        customer=read_party(theirs.party or Party()),
        deliver_to=_place(theirs.shipment_address),
        requested_date=theirs.shipping_date,
        customer_reference=text(theirs.description, 80),
        status=theirs.state,
        is_paid=theirs.invoice_state == "paid",
        payment_terms=str(theirs.payment_term or ""),
        note=text(theirs.comment, 4000),
        lines=[_read_line(line) for line in theirs.lines],
    )


def write_sale(ours: SalesOrder, known: Known) -> dict[str, Any]:
    """A draft in their words. Units, taxes and addresses that are not said here follow from the product and the party."""
    there = ours.deliver_to
    return {
        "party": known.customer,
        "reference": ours.number,
        "description": ours.customer_reference or None,
        "sale_date": ours.date,
        "shipping_date": max(ours.requested_date, ours.date) if ours.requested_date else None,
        "currency": ours.currency,
        "payment_term": ours.payment_terms or None,
        "warehouse": ours.warehouse or None,
        "shipment_address": _said_place(there.address, there.name) if there else None,
        "comment": ours.note or None,
        "lines": [_said_line(line, known, ours) for line in ours.lines],
    }


def read_status(theirs: Trade) -> OrderStatus:
    """How a sale stands: its state, and how far shipping and invoicing have come."""
    status = _STATE.get(theirs.state, "unknown")
    if theirs.state in ("confirmed", "processing", "done"):
        status = _SHIPPED.get(theirs.shipment_state or "", status)
    if theirs.state == "done" and theirs.invoice_state in ("paid", "awaiting payment"):
        status = "invoiced"
    said = ", ".join(part for part in (theirs.state, theirs.shipment_state, theirs.invoice_state) if part and part != "none")
    return OrderStatus(number=_number(theirs), status=status, said=text(said, 120), is_paid=theirs.invoice_state == "paid",
                       expected_date=theirs.shipping_date)  # fmt: skip


def read_purchase(theirs: Trade) -> PurchaseRequest:
    """A purchase in our words; it goes to its warehouse."""
    return PurchaseRequest(
        number=text(theirs.number, 80) or _number(theirs),
        date=theirs.purchase_date or day(theirs.create_date) or dt.date(1970, 1, 1),
        currency=text(theirs.currency and theirs.currency.code, 3),
        supplier=msgspec.structs.replace(read_party(theirs.party or Party()), is_customer=False, is_supplier=True),
        deliver_to=_place(theirs.warehouse.address) if theirs.warehouse else None,
        requested_date=theirs.delivery_date,
        buyer_reference=text(theirs.description),
        status=theirs.state,
        note=text(theirs.comment, 4000),
        lines=[_read_line(line) for line in theirs.lines],
    )


_ORGANISATION = {"NO": "no_orgnr", "SE": "se_orgnr", "FI": "fi_ytunnus", "FR": "fr_siren", "BE": "be_businessid",
                 "DE": "de_handelsregisternummer", "PL": "pl_regon", "EE": "ee_registrikood"}  # fmt: skip
_STATE: Mapping[str, Progress] = {
    "draft": "open", "quotation": "open", "confirmed": "confirmed", "processing": "in_progress", "done": "shipped",
    "cancelled": "cancelled",
}  # fmt: skip
_SHIPPED: Mapping[str, Progress] = {"partially shipped": "partly_shipped", "sent": "shipped", "exception": "on_hold"}


def _number(theirs: Trade) -> str:
    return text(theirs.reference, 80) or text(theirs.number, 80) or str(theirs.id)


def _unit(unit: Named | None) -> str:
    # Their "u" is nobody else's word for a piece.
    return "" if unit is None else "H87" if unit.symbol == "u" else text(unit.symbol, 20)


def _way(ways: Sequence[Mechanism], kind: str, name: str, longest: int) -> str:
    return next((text(way.value, longest) for way in ways if way.type == kind and text(way.name, 200) == name), "")


def _address(theirs: Place) -> Address:
    country = text(theirs.country and theirs.country.code)[:2]
    first, _, more = (theirs.street or "").partition("\n")
    street, number = streets.split(text(first), country)
    postcode, city = text(theirs.postal_code, 80), text(theirs.city, 120)
    return Address(street=street, house_number=number, street2=text(more), postcode=postcode, city=city, country=country)


def _place(theirs: Place | None) -> DeliveryPlace | None:
    return DeliveryPlace(name=text(theirs.party_name), address=_address(theirs)) if theirs is not None else None


def _said_place(address: Address, name: str) -> dict[str, Any]:
    line = streets.join(address.street, address.house_number, address.country)
    said = {"street": "\n".join(part for part in (line, address.street2) if part), "postal_code": address.postcode, "city": address.city,
            "country": address.country, "party_name": name}  # fmt: skip
    return {member: value for member, value in said.items() if value}


def _read_line(line: Line) -> TradeLine:
    if line.type != "line":
        return TradeLine(line_id=str(line.id), kind="text", description=text(line.description, 4000))
    return TradeLine(
        line_id=str(line.id),
        kind="article" if line.product else "charge",
        article_number=text(line.product and line.product.code, 80),
        supplier_article_number=text(line.product_supplier and line.product_supplier.code, 80),
        description=text(line.description or (line.product and line.product.name), 4000),
        quantity=exact(Exact, line.quantity),
        unit=_unit(line.unit),
        unit_price=exact(Exact, line.unit_price),
        requested_date=line.delivery_date,
        note=text(line.note, 4000),
    )


def _said_line(line: TradeLine, known: Known, order: SalesOrder) -> dict[str, Any]:
    if line.kind == "text":
        return {"type": "comment", "description": line.description or line.note}
    if order.prices_include_tax and line.tax_percent is None:
        raise ValueError("Tryton takes prices without tax, and the order does not say what tax is in them")
    price = None
    if line.unit_price is not None:
        # A sale there has no discount beside the price.
        left = (100 - line.discount_percent) * (100 - order.discount_percent) / 10_000
        taxed = 1 + (line.tax_percent or 0) / Decimal(100) if order.prices_include_tax else Decimal(1)
        price = (line.unit_price / line.price_quantity * left / taxed).quantize(Decimal("0.0001"))
    return {
        "type": "line",
        "product": known.articles.get(line.article_number) or None,
        "quantity": Decimal(line.quantity if line.quantity is not None else 1),
        "unit_price": price,
        "description": line.description or None,
        "taxes": [line.tax_code] if line.tax_code else None,
        "note": line.note or None,
    }


def plain(theirs: Any) -> Any:
    """What they said without its wrapping: numbers, dates and moments as such, and `party.` beside `party` in its place."""
    if isinstance(theirs, list):
        return [plain(one) for one in theirs]
    if not isinstance(theirs, dict):
        return theirs
    kind = theirs.get("__class__")
    if kind == "Decimal":
        return Decimal(theirs["decimal"])
    if kind in ("date", "datetime"):
        said = {part: int(theirs[part]) for part in _MOMENT if part in theirs}
        return dt.date(**said) if kind == "date" else dt.datetime(**said, tzinfo=dt.UTC)
    # A default names its record beside its id (`party.` is {"rec_name": …} there); the id is what counts then.
    told = [name for name in sorted(theirs) if not (name.endswith(".") and isinstance(theirs[name], dict) and "id" not in theirs[name])]
    return {name.rstrip("."): plain(theirs[name]) for name in told}


def wrapped(ours: Any) -> Any:
    """What we say in the wrapping their JSON needs."""
    if isinstance(ours, Mapping):
        return {name: wrapped(value) for name, value in ours.items()}
    if isinstance(ours, list | tuple):
        return [wrapped(one) for one in ours]
    if isinstance(ours, Decimal):
        return {"__class__": "Decimal", "decimal": str(ours)}
    if isinstance(ours, dt.datetime):
        said = ours.astimezone(dt.UTC)
        return {"__class__": "datetime"} | {part: getattr(said, part) for part in _MOMENT}
    return {"__class__": "date", "year": ours.year, "month": ours.month, "day": ours.day} if isinstance(ours, dt.date) else ours


_MOMENT = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def _dotted(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}" for name in names)


_PLACE = ("street", "postal_code", "city", "country.code", "party_name", "invoice", "delivery")
_PARTY = ("code", "name", "active", "customer_payment_term", *_dotted("addresses", *_PLACE), *_dotted("identifiers", "type", "code"),
          *_dotted("contact_mechanisms", "type", "value", "name"))  # fmt: skip
_TRADE = ("number", "reference", "description", "comment", "state", "shipment_state", "invoice_state", "currency.code", "payment_term",
          *_dotted("party", *_PARTY), *_dotted("lines", "type", "product.code", "product.name", "quantity", "unit.symbol", "unit_price",
                                               "description", "note"))  # fmt: skip
_SALE = (*_TRADE, "sale_date", "shipping_date", *_dotted("shipment_address", *_PLACE))
_STATES = ("number", "reference", "state", "shipment_state", "invoice_state", "shipping_date")
_ASKED: Mapping[str, tuple[str, ...]] = {
    "contacts": _PARTY,
    "articles": ("code", "name", "description", "type", "active", "default_uom.symbol", "list_price_used",
                 *_dotted("identifiers", "type", "code"), *_dotted("template", "code", "products", "categories.name")),
    "stock": ("code", "type", "quantity"),
    "orders": _SALE,
    "order_status": _STATES,
    "purchase_orders": (*_TRADE, "purchase_date", "delivery_date", *_dotted("warehouse.address", *_PLACE),
                        *_dotted("lines", "product_supplier.code", "delivery_date")),
}  # fmt: skip
"""What is read of a record, by kind; with what it belongs to in the same answer."""
_ALWAYS: Mapping[str, list[Any]] = {
    "contacts": [["active", "in", [True, False]]],
    "articles": [["active", "in", [True, False]], ["code", "not in", [None, ""]]],
    "stock": [["code", "not in", [None, ""]], ["type", "=", "goods"]],
}
_ROWS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "addresses": lambda row: bool(row.get("delivery")),
    "contact_mechanisms": lambda row: (row.get("type"), row.get("name") or None),
    "identifiers": lambda row: row.get("type"),
}
"""The rows of a party, and by what two of them are the same one."""


def _is(member: str) -> Lookup:
    return Lookup(lambda value: {f"{member} =": value}, member)


def _changed(*parts: str) -> Callable[[dt.datetime], Mapping[str, str]]:
    return lambda moment: {f"{part}{name} >=": moment.isoformat() for part in parts for name in ("create_date", "write_date")}


_BY_STATE = {"status": lambda value: {"state =": value}}


class Session(Auth):
    """A session that is begun with user and password and goes on until it is not used for a month, or somebody ends it there."""

    fields = ("user", "password")

    def __init__(self, config: Config, reach: Reach) -> None:
        self._config, self._reach = config, reach
        self._door = RestConnector(config, reach)
        self._used: Grant | None = None

    async def headers(self, request: Request) -> Mapping[str, str] | Trouble:
        grant = await self._reach.grants.read()
        if grant is None or grant.expires_at < now():
            renewed = await self._reach.grants.renew(grant, self._log_in)
            if not isinstance(renewed, Grant):
                return renewed
            grant = renewed
        self._used = grant
        return {"authorization": f"Session {grant.access_token.reveal()}"}

    async def turned_away(self) -> bool:
        used = self._used
        renewed = await self._reach.grants.renew(used, self._log_in)
        return isinstance(renewed, Grant) and renewed != used

    async def _log_in(self, current: Grant | None) -> Grant | Trouble:
        user, password = self._config.user, self._config.password.reveal()
        body = {"id": 0, "method": "common.db.login", "params": [user, {"password": password}, "en"]}
        answer = await self._door.ask("POST", f"/{quote(self._config.database, safe='')}/", body=body, is_write=False)
        if isinstance(answer, Refused) and answer.problem.status == 404:
            return Misconfigured(reason="no_database", detail=f"There is no database {self._config.database} at this address.")
        if not isinstance(answer, Answer):
            return answer
        session = at(answer.body, "result")
        if not isinstance(session, list) or len(session) < 2:
            return Misconfigured(
                reason="unauthorized", detail="Tryton asks this user for more than a password; use one that needs no more."
            )
        token = base64.b64encode(f"{user}:{session[0]}:{session[1]}".encode()).decode("ascii")
        return Grant(access_token=Secret(token), expires_at=now() + SESSION)


class Tryton(RestConnector):
    """One company in a Tryton database (series 7.8), as one of its users."""

    title = "Tryton"
    summary = "Free ERP: parties, products, stock, sales, purchases and accounting."
    Config = Config
    prerequisites = (
        "A user of its own in Tryton whose rights cover what shall flow.",
        "The modules sale, purchase and stock, as far as orders, purchase orders and stock shall flow.",
        "Customers made from here get our number as their code: give Tryton's sequence of parties a prefix, so that the two never meet.",
    )
    remarks = (
        "Tryton takes user and password; its application keys do not open this interface.",
        "A sale there has no discount beside its price: discounts are taken off the unit price.",
        "A party is not told apart into company and person, and counts as a company here.",
        "Countries are known as far as they have been imported into Tryton; an address there without one stays without.",
        "Images of products are not carried.",
    )
    lists: ClassVar[Mapping[str, str]] = {
        "payment_terms": "Payment terms", "tax_codes": "Taxes", "units": "Units of measure", "warehouses": "Warehouses",
    }  # fmt: skip
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            path="party.party", wire=Party, number="code", read=read_party, write=write_party, update="patch", changed="write_date",
            since=_changed("", "addresses.", "contact_mechanisms.", "identifiers."),
            find_by={"reference": _is("code"), "number": _is("code"), "name": _is("name"),
                     "email": Lookup(lambda value: {"contact_mechanisms.value ilike": value}, "contact_mechanisms.value"),
                     "organisation_number": _is("identifiers.code"), "vat_number": _is("identifiers.code")},
            limits=(Limit(field="organisation_number", says="Tryton checks it by the rules of the country, VAT numbers as well."),),
            provenance={"code, name, addresses, ways of contact, identifiers, payment term": "documented"},
        ),
        "articles": Resource(
            path="product.product", wire=Product, number="code", read=read_product, changed="write_date",
            since=_changed("", "template."), find_by={"number": _is("code"), "gtin": _is("identifiers.code")},
            provenance={"code, name, unit, price, identifiers, variants, categories": "documented"},
            no={"out": "Articles are kept in Tryton: a new one needs its units, accounts and taxes there."},
            note="Those without a code do not come; the price is the list price of the default unit.",
        ),
        "stock": Resource(
            path="product.product", wire=Product, number="code", read=read_stock, find_by={"number": _is("code")},
            provenance={"on hand, assigned, available": "documented"},
            no={"out": "Tryton counts its stock by moves and inventories itself."},
        ),
        "orders": Resource(
            path="sale.sale", wire=Trade, number="reference", read=read_sale, write=write_sale, since=_changed("", "lines."),
            changed="write_date", find_by={"reference": _is("reference")}, where=_BY_STATE, drafts="Draft",
            limits=(Limit(field="lines[].unit_price", is_required=False, says="At most four decimals, discounts included."),),
            provenance={"head, lines, draft, look-up by reference": "documented"},
            note="Every order arrives as a draft, which a person quotes and confirms in Tryton. Taxes and units follow from the products, "
                 "addresses and terms from the party, as they do for a person.",
        ),
        "order_status": Resource(
            path="sale.sale", wire=Trade, number="reference", read=read_status, since=_changed(""), changed="write_date",
            find_by={"reference": _is("reference")}, where=_BY_STATE, provenance={"state of sale, shipping, invoicing": "documented"},
            no={"out": "A sale's state follows from what is done with it there."},
        ),
        "purchase_orders": Resource(
            path="purchase.purchase", wire=Trade, number="number", read=read_purchase, since=_changed("", "lines."), changed="write_date",
            find_by={"reference": _is("number")}, where=_BY_STATE, provenance={"head, lines, supplier's article numbers": "documented"},
            no={"out": "Purchases are made in Tryton and placed from here."},
            note="Drafts and cancelled ones stay there, unless the filter by status asks for them.",
        ),
        "invoices": Resource(no={"in": "Invoices of Tryton are not read yet; its sales tell whether they are paid.",
                                 "out": "An invoice follows from its sale there."}),
        "invoice_drafts": Resource(no={"in": "Invoices of Tryton are not read yet.", "out": "An invoice follows from its sale there."}),
        "vouchers": Resource(no={"in": "Moves of Tryton's accounts are not read yet.", "out": "Nothing is booked there from here yet."}),
    }  # fmt: skip

    def __init__(self, config: Any, reach: Reach) -> None:
        super().__init__(config, reach)
        self._company: Mapping[str, Any] | None = None
        self._known: dict[str, Mapping[str, int]] = {}
        self._turns = asyncio.Semaphore(self.at_once)

    def auth(self) -> Auth:
        return Session(self.config, self.reach)

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        error = body.get("error") if isinstance(body, dict) and answer.status == 200 else None
        if not isinstance(error, list) or not error:
            return None
        kind, said = str(error[0]), error[1] if len(error) > 1 and isinstance(error[1], list) else []
        if kind == "ConcurrencyException":
            return Later(reason="concurrency", detail="Somebody changed the record in Tryton at the same moment.")
        if kind == "LoginException":
            return Misconfigured(
                reason="unauthorized", detail="Tryton asks this user for more than a password; use one that needs no more."
            )
        words = [text(one, 1000) for one in (said[1:3] if kind == "UserWarning" else said[:2]) if one]
        if kind in ("UserError", "UserWarning") and words:
            return Refused(problem=Problem(status=422, code=kind, title=words[0], detail=" ".join(words) if len(words) > 1 else ""))
        # The whole transaction is undone there when its code stumbles, so nothing has happened.
        return Refused(problem=Problem(status=500, code="stumbled", title=f"Tryton stumbled over this: {text(kind, 300)}"))

    def blame(self, trouble: Trouble) -> Check:
        if isinstance(trouble, Misconfigured) and trouble.reason in ("no_database", "no_company"):
            return Check(field=trouble.reason.removeprefix("no_"), message=trouble.detail)
        return super().blame(trouble)

    async def test(self) -> Tested:
        company = await self._working()
        if not isinstance(company, Mapping):
            return Tested(is_fine=False, checks=[self.blame(company)])
        checks = []
        for model in ("country.country", "currency.currency"):
            codes = await self._codes(model)
            if not isinstance(codes, Mapping):
                checks.append(self.blame(codes))
        for kind, resource in self.resources.items():
            if resource.path:
                found = await self._asked(f"{resource.path}.search", [], 0, 1, None)
                if not isinstance(found, Answer):
                    blamed = self.blame(found)
                    checks.append(msgspec.structs.replace(blamed, message=f"{kind.replace('_', ' ').capitalize()}: {blamed.message}"))
        if not checks:
            checks.append(Check(is_fine=True, message=f"Tryton answers, and we work for {company['name']}."))
        return Tested(is_fine=all(check.is_fine for check in checks), checks=checks)

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        asked = [*_ALWAYS.get(kind, []), *_domain(self.query_of(self.resources[kind], since, where or {}))]
        if kind == "purchase_orders" and "status" not in (where or {}):
            asked.append(["state", "not in", ["draft", "cancelled"]])
        last, is_last = 0, False
        while not is_last:
            answer = await self._rows(kind, [*asked, ["id", ">", last]], PAGE)
            if not isinstance(answer, Answer):
                yield answer
                return
            is_last = len(answer.body) < PAGE
            last = answer.body[-1]["id"] if answer.body else 0
            yield Records(records=[self.record(kind, row) for row in answer.body], read_at=self.clock_of(answer), is_last=is_last)

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        found = await self.find_many(kind, by, [value])
        return found[value] if isinstance(found, Mapping) else found

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        lookup = self.resources[kind].find_by[by]
        found: dict[str, list[Record]] = {value: [] for value in values}
        wanted = [value for value in found if value]
        for begin in range(0, len(wanted), PAGE):
            chunk = wanted[begin : begin + PAGE]
            fitting = ["OR", *(one for value in chunk for one in _domain(lookup.query(value)))]
            answer = await self._rows(kind, [*(_ALWAYS[kind] if kind == "contacts" else []), fitting], None)
            if not isinstance(answer, Answer):
                return answer
            for row in answer.body:
                for value in chunk:
                    if any(same(said, value, by) for said in _values(row, lookup.member)):
                        found[value].append(self.record(kind, row))
        return found

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        if not id.isdecimal():
            return None
        everybody = [["active", "in", [True, False]]] if kind in ("contacts", "articles", "stock") else []
        answer = await self._rows(kind, [["id", "=", int(id)], *everybody], 1)
        if not isinstance(answer, Answer):
            return answer
        return self.record(kind, answer.body[0]) if answer.body else None

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        values = await (self._a_party(words, None) if kind == "contacts" else self._a_sale(words))
        if not isinstance(values, dict):
            return values
        answer = await self._asked(f"{self.resources[kind].path}.create", [values], is_write=True)
        if not isinstance(answer, Answer):
            return answer
        if not isinstance(answer.body, list) or len(answer.body) != 1:
            return Later(reason="no_id", detail="Tryton took it but did not say under which id.", sent=True)
        return Written(id=str(answer.body[0]), said=answer.said)

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        theirs = await self.get(kind, id)
        if not isinstance(theirs, Record):
            return theirs or Refused(problem=Problem(status=404, title=f"The record {id} is not there any more."))
        values = await self._a_party(words, theirs.theirs)
        if not isinstance(values, dict):
            return values
        answer = await self._asked(f"{self.resources[kind].path}.write", [int(id)], values, is_write=True)
        return Written(id=id, said=answer.said) if isinstance(answer, Answer) else answer

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        model = {"payment_terms": "account.invoice.payment_term", "tax_codes": "account.tax", "units": "product.uom",
                 "warehouses": "stock.location"}[name]  # fmt: skip
        domain = [["type", "=", "warehouse"]] if name == "warehouses" else []
        answer = await self._asked(f"{model}.search_read", domain, 0, None, None, ["rec_name"])
        if not isinstance(answer, Answer):
            return answer
        return [Choice(id=str(row["id"]), title=text(row["rec_name"], 200)) for row in answer.body]

    async def _rows(self, kind: str, domain: list[Any], limit: int | None) -> Answer | Trouble:
        """Their records that fit, in the order they were made; asked for again after a stumble."""
        company = await self._working()
        if not isinstance(company, Mapping):
            return company
        context: dict[str, Any] = {}
        if kind == "stock":
            warehouses = await self._asked("stock.location.search", [["type", "=", "warehouse"]], 0, None, None)
            if not isinstance(warehouses, Answer):
                return warehouses
            context = {"locations": warehouses.body, "with_childs": True, "stock_date_end": now().date()}
        arguments = (domain, 0, limit, [["id", "ASC"]], [*_ASKED[kind], "create_date", "write_date"])
        answer = await self._asked(f"{self.resources[kind].path}.search_read", *arguments, **context)
        for attempt in range(RETRIES):
            if not isinstance(answer, Later) or answer.reason in ("connect", "dns", "certificate") or answer.retry_after:
                break
            await asyncio.sleep(0.2 * (attempt + 1))
            answer = await self._asked(f"{self.resources[kind].path}.search_read", *arguments, **context)
        if not isinstance(answer, Answer):
            return answer
        for row in answer.body:
            row["write_date"] = row["write_date"] or row["create_date"]
            if kind == "articles":
                row["currency"] = company["currency"]
        if kind == "stock" and answer.body:
            ids = [row["id"] for row in answer.body]
            free = await self._asked("product.product.read", ids, ["quantity"], **context, stock_assign=True)
            if not isinstance(free, Answer):
                return free
            left = {row["id"]: row["quantity"] for row in free.body}
            for row in answer.body:
                row["available"] = left.get(row["id"])
        return answer

    async def _a_party(self, words: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> dict[str, Any] | Trouble:
        """A party as create or write takes it: rows that are the same ones are changed, others added, none taken away."""
        countries = await self._codes("country.country")
        if not isinstance(countries, Mapping):
            return countries
        values = dict(words)
        if term := values.get("customer_payment_term"):
            values["customer_payment_term"] = int(term)
        for name, which in _ROWS.items():
            if name not in values:
                continue
            there = {which(row): row["id"] for row in reversed((theirs or {}).get(name) or [])}
            rows = [_placed(row, countries) if name == "addresses" else row for row in values[name]]
            known = [["write", [there[which(row)]], row] for row in rows if which(row) in there]
            values[name] = [*known, ["create", [row for row in rows if which(row) not in there]]]
        return values

    async def _a_sale(self, words: Mapping[str, Any]) -> dict[str, Any] | Trouble:
        """A sale as create takes it: what a person would get from the party and the products is asked of Tryton."""
        currencies = await self._codes("currency.currency")
        company = await self._working()
        if not isinstance(currencies, Mapping) or not isinstance(company, Mapping):
            return company if isinstance(currencies, Mapping) and not isinstance(company, Mapping) else currencies  # type: ignore[return-value]
        values = {name: value for name, value in words.items() if name not in ("lines", "shipment_address")}
        if values.get("currency") not in currencies:
            return Refused(problem=Problem(status=422, code="currency_unknown", title=f"Tryton has no currency {values.get('currency')}."))
        values |= {name: int(values[name]) for name in ("party", "payment_term", "warehouse") if values.get(name)}
        values["currency"] = currencies[values["currency"]]
        head = {"company": company["id"], "party": values["party"], "currency": values["currency"]}
        usual = await self._asked("sale.sale.on_change", head, ["party"])
        if not isinstance(usual, Answer):
            return usual
        for name in ("invoice_address", "shipment_address", "payment_term", "shipment_method", "invoice_method"):
            values.setdefault(name, usual.body.get(name))
        if there := words.get("shipment_address"):
            address = await self._an_address(values["party"], there)
            if not isinstance(address, int):
                return address
            values["shipment_address"] = address
        lines = await asyncio.gather(*(self._a_line(line, head) for line in words.get("lines", [])))
        for line in lines:
            if not isinstance(line, dict):
                return line
        return values | {"lines": [["create", list(lines)]]}

    async def _a_line(self, line: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, Any] | Trouble:
        values = dict(line)
        if line.get("type") != "line":
            return values
        product = int(line["product"]) if line.get("product") else None
        values |= {"quantity": float(line["quantity"]), "product": product}
        asked = {"type": "line", "product": product, "quantity": values["quantity"], "sale": head}
        async with self._turns:
            usual = await self._asked("sale.line.on_change", asked, ["product"])
        if not isinstance(usual, Answer):
            return usual
        values.setdefault("unit", usual.body.get("unit"))
        values.setdefault("unit_price", usual.body.get("unit_price") or Decimal(0))
        taxes = line.get("taxes") or [row["id"] for _, row in at(usual.body, "taxes.add") or []]
        values["taxes"] = [["add", [int(tax) for tax in taxes]]]
        return values

    async def _an_address(self, party: int, wanted: Mapping[str, Any]) -> int | Trouble:
        """The party's address that says the same, or a new one; what is there is found, so a repeat makes no second."""
        countries = await self._codes("country.country")
        if not isinstance(countries, Mapping):
            return countries
        place = _placed(wanted, countries)
        fields = ("street", "postal_code", "city", "country", "party_name")
        found = await self._asked("party.address.search_read", [["party", "=", party]], 0, None, None, list(fields))
        if not isinstance(found, Answer):
            return found
        for row in found.body:
            if all((row[name] or None) == (place.get(name) or None) for name in fields):
                return int(row["id"])
        made = await self._asked("party.address.create", [place | {"party": party, "delivery": True}])
        return int(made.body[0]) if isinstance(made, Answer) else made

    async def _working(self) -> Mapping[str, Any] | Trouble:
        """The company we work for: id, name, currency."""
        if self._company is None:
            answer = await self._call("company.company.search_read", [], 0, None, None, ["party.name", "currency.code"])
            if not isinstance(answer, Answer):
                return answer
            named = [row for row in answer.body if self.config.company in ("", row["party"]["name"])]
            if len(named) != 1:
                names = ", ".join(text(row["party"]["name"], 80) for row in answer.body)
                detail = f"This user works for {names or 'no company'} in Tryton; name one of them." if not named or names else ""
                return Misconfigured(reason="no_company", detail=detail)
            self._company = {"id": named[0]["id"], "name": named[0]["party"]["name"], "currency": named[0]["currency"]["code"]}
        return self._company

    async def _codes(self, model: str) -> Mapping[str, int] | Trouble:
        """Their ids of countries or currencies by code, read once."""
        if model not in self._known:
            answer = await self._asked(f"{model}.search_read", [], 0, None, None, ["code"])
            if not isinstance(answer, Answer):
                return answer
            self._known[model] = {row["code"]: row["id"] for row in answer.body}
        return self._known[model]

    async def _asked(self, method: str, *arguments: Any, is_write: bool = False, **context: Any) -> Answer | Trouble:
        company = await self._working()
        if not isinstance(company, Mapping):
            return company
        return await self._call(method, *arguments, is_write=is_write, company=company["id"], **context)

    async def _call(self, method: str, *arguments: Any, is_write: bool = False, **context: Any) -> Answer | Trouble:
        """One method of a model, in their wrapping; the answer's body is its result without it."""
        body = {"id": 0, "method": f"model.{method}", "params": wrapped([*arguments, context])}
        answer = await self.ask("POST", f"/{quote(self.config.database, safe='')}/", body=body, is_write=is_write)
        if isinstance(answer, Answer):
            return msgspec.structs.replace(answer, body=plain(at(answer.body, "result")))
        return msgspec.structs.replace(answer, sent=False) if isinstance(answer, Later) and not is_write else answer


def _domain(query: Mapping[str, str]) -> list[Any]:
    """Their search terms of a query such as `{"code =": "1001"}`; of what has changed, any part suffices."""
    terms = [(*said.split(" "), value) for said, value in query.items()]
    dates = [[name, operator, dt.datetime.fromisoformat(value)] for name, operator, value in terms if name.endswith("_date")]
    others = [[name, operator, value] for name, operator, value in terms if not name.endswith("_date")]
    return [*others, ["OR", *dates]] if dates else others


def _values(theirs: Any, path: str) -> list[Any]:
    if isinstance(theirs, list):
        return [value for one in theirs for value in _values(one, path)]
    name, _, rest = path.partition(".")
    value = theirs.get(name) if isinstance(theirs, Mapping) else None
    return _values(value, rest) if rest else [value]


def _placed(place: Mapping[str, Any], countries: Mapping[str, int]) -> dict[str, Any]:
    return {name: countries.get(value) if name == "country" else value for name, value in place.items()}


CONNECTOR = Tryton
