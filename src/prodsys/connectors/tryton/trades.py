"""Sales, how they stand, and purchases of Tryton: between its words and ours."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from prodsys.connectors._base import Known, Limit, Resource, at, text
from prodsys.connectors._words import as_counted, on, spelled, unit_price
from prodsys.connectors.tryton.parties import ASKED as PARTY
from prodsys.connectors.tryton.parties import read_party
from prodsys.connectors.tryton.words import PLACE, Theirs, changed, dotted, equal, read_place, unit_of, write_place
from prodsys.documents import OrderStatus, Progress, PurchaseRequest, SalesOrder, TradeLine

_TRADE = ("number", "reference", "description", "comment", "state", "shipment_state", "invoice_state", "currency.code", "payment_term",
          *dotted("party", *PARTY), *dotted("lines", "type", "product.code", "product.name", "quantity", "unit.symbol", "unit_price",
                                            "description", "note"))  # fmt: skip
SALE_ASKED = (*_TRADE, "sale_date", "shipping_date", *dotted("shipment_address", *PLACE))
STATUS_ASKED = ("number", "reference", "state", "shipment_state", "invoice_state", "shipping_date")
PURCHASE_ASKED = (*_TRADE, "purchase_date", "delivery_date", *dotted("warehouse.address", *PLACE),
                  *dotted("lines", "product_supplier.code", "delivery_date"))  # fmt: skip
_SALE = spelled(SalesOrder, currency="currency.code", requested_date="shipping_date", customer_reference="description", status="state",
                payment_terms="payment_term", note="comment")  # fmt: skip
_PURCHASE = spelled(PurchaseRequest, currency="currency.code", requested_date="delivery_date", buyer_reference="description",
                    status="state", note="comment")  # fmt: skip
_ROW = spelled(TradeLine, line_id="id", article_number="product.code", supplier_article_number="product_supplier.code",
               quantity="quantity", unit_price="unit_price", requested_date="delivery_date", note="note")  # fmt: skip
_STATE: Mapping[str, Progress] = {
    "draft": "open", "quotation": "open", "confirmed": "confirmed", "processing": "in_progress", "done": "shipped",
    "cancelled": "cancelled",
}  # fmt: skip
_SHIPPED: Mapping[str, Progress] = {"partially shipped": "partly_shipped", "sent": "shipped", "exception": "on_hold"}
BY_STATE: Mapping[str, Callable[[str], Mapping[str, str]]] = {"status": lambda value: {"state =": value}}


def read_sale(theirs: Theirs) -> SalesOrder:
    """A sale in our words; its reference is the number it is found again by, Tryton's own where it has none."""
    return SalesOrder(
        **_SALE.read(theirs), number=number_of(theirs), date=on(theirs.get("sale_date") or theirs.get("create_date")),
        is_draft=theirs.get("state") in ("draft", "quotation"), customer=read_party(theirs.get("party") or {}),
        deliver_to=read_place(theirs.get("shipment_address")), is_paid=theirs.get("invoice_state") == "paid", lines=read_lines(theirs),
    )  # fmt: skip


def write_sale(ours: SalesOrder, known: Known) -> dict[str, Any]:
    """A draft in their words. Units, taxes and addresses that are not said here follow from the product and the party."""
    there = ours.deliver_to
    return {
        "party": known.customer, "reference": ours.number, "description": ours.customer_reference or None, "sale_date": ours.date,
        "shipping_date": max(ours.requested_date, ours.date) if ours.requested_date else None, "currency": ours.currency,
        "payment_term": ours.payment_terms or None, "warehouse": ours.warehouse or None,
        "shipment_address": write_place(there.address, there.name) if there else None, "comment": ours.note or None,
        "lines": [write_line(line, known, ours.discount_percent, includes_tax=ours.prices_include_tax) for line in ours.lines],
    }  # fmt: skip


def read_status(theirs: Theirs) -> OrderStatus:
    """How a sale stands: its state, and how far shipping and invoicing have come."""
    state, shipped, invoiced = (str(theirs.get(name) or "") for name in ("state", "shipment_state", "invoice_state"))
    status = _STATE.get(state, "unknown")
    if state in ("confirmed", "processing", "done"):
        status = _SHIPPED.get(shipped, status)
    if state == "done" and invoiced in ("paid", "awaiting payment"):
        status = "invoiced"
    said = ", ".join(part for part in (state, shipped, invoiced) if part and part != "none")
    return OrderStatus(number=number_of(theirs), status=status, said=text(said, 120), is_paid=invoiced == "paid",
                       expected_date=theirs.get("shipping_date"))  # fmt: skip


def read_purchase(theirs: Theirs) -> PurchaseRequest:
    """A purchase in our words; it goes to its warehouse."""
    supplier = msgspec.structs.replace(read_party(theirs.get("party") or {}), is_customer=False, is_supplier=True)
    return PurchaseRequest(
        **_PURCHASE.read(theirs), number=text(theirs.get("number"), 80) or number_of(theirs), supplier=supplier,
        date=on(theirs.get("purchase_date") or theirs.get("create_date")), deliver_to=read_place(at(theirs, "warehouse.address")),
        lines=read_lines(theirs),
    )  # fmt: skip


def number_of(theirs: Theirs) -> str:
    """The number a document is found again by: its reference, else Tryton's own."""
    return text(theirs.get("reference") or theirs.get("number") or theirs.get("id"), 80)


def read_lines(theirs: Theirs) -> list[TradeLine]:
    """The rows of a sale, a purchase or an invoice."""
    return [_read_line(row) for row in theirs.get("lines") or []]


def _read_line(row: Theirs) -> TradeLine:
    said = text(row.get("description") or at(row, "product.name"), 4000)
    if row.get("type", "line") != "line":
        return TradeLine(line_id=text(row.get("id"), 40), kind="text", description=said)
    return TradeLine(**_ROW.read(row), kind="article" if row.get("product") else "charge", description=said, unit=unit_of(row.get("unit")))


def write_line(line: TradeLine, known: Known, discount: Decimal, *, includes_tax: bool) -> dict[str, Any]:
    """A row; there is no discount beside the price there. Raises ValueError for a price whose tax would have to be guessed."""
    if line.kind == "text":
        return {"type": "comment", "description": line.description or line.note}
    return {
        "type": "line", "product": known.articles.get(line.article_number) or None,
        "quantity": Decimal(line.quantity if line.quantity is not None else 1),
        "unit_price": unit_price(line, line.discount_percent, discount, tax=as_counted(line, includes_tax=includes_tax)),
        "description": line.description or None, "taxes": [line.tax_code] if line.tax_code else None, "note": line.note or None,
    }  # fmt: skip


_SALES: Mapping[str, Any] = {"path": "sale.sale", "number": "reference", "changed": "write_date", "where": BY_STATE,
                             "find_by": {"reference": equal("reference")}}  # fmt: skip
SALES = Resource(
    **_SALES, read=read_sale, write=write_sale, since=changed("", "lines."), drafts="Draft",
    limits=(Limit(field="lines[].unit_price", says="At most four decimals, discounts included."),),
    provenance={"head, lines, draft, look-up by reference": "documented"},
    notes={"out": "Every order arrives as a draft, which a person quotes and confirms in Tryton. Taxes and units follow from the products, "
         "addresses and terms from the party, as they do for a person."},
)  # fmt: skip
SALE_STATUS = Resource(
    **_SALES, read=read_status, since=changed(""), provenance={"state of sale, shipping, invoicing": "documented"},
    no={"out": "A sale's state follows from what is done with it there."},
)  # fmt: skip
PURCHASES = Resource(
    path="purchase.purchase", number="number", read=read_purchase, since=changed("", "lines."), changed="write_date",
    find_by={"reference": equal("number")}, where=BY_STATE, provenance={"head, lines, supplier's article numbers": "documented"},
    no={"out": "Purchases are made in Tryton and placed from here."},
    notes={"in": "Drafts and cancelled ones stay there, unless the filter by status asks for them."},
)  # fmt: skip
