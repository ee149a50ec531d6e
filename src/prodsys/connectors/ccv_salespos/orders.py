"""Orders, how they stand, and invoices of the shop: between its words and ours."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from prodsys import documents
from prodsys.connectors._base import Known, at, day, exact, text
from prodsys.connectors._words import left_after, on, texts_of
from prodsys.connectors.ccv_salespos.customers import Theirs, contact, delivery, info_of
from prodsys.documents import Exact, Percent, Progress, SalesOrder, TradeLine

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


def read_order(theirs: Theirs) -> SalesOrder:
    """An order; shipping and fees, which are sums of the order there, are rows of their own here."""
    status = read_status(theirs)
    return SalesOrder(
        number=status.number, is_draft=False, date=on(theirs.get("create_date")), status=status.said,
        currency=text(theirs.get("currency"), 3) or "EUR", customer=contact(theirs.get("customer")), is_paid=status.is_paid,
        deliver_to=delivery(at(theirs, "customer.deliveryaddress")), requested_date=status.expected_date,
        customer_reference=text(theirs.get("reservationnumber"), 80), payment_method=text(theirs.get("paymethod"), 80),
        shipping_method=text(theirs.get("deliver_method"), 80), prices_include_tax=theirs.get("order_row_taxes_included") is True,
        note=text(at(theirs, "customer.billingaddress.comment"), 4000), lines=_read_rows(theirs),
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> Theirs:
    """An order, New (1) or In process (2): the first charge is its shipping, others extra costs; texts are a comment for the merchant."""
    charges = [line for line in ours.lines if line.kind == "charge"]
    said = [ours.note, *texts_of(ours.lines)]
    return {
        "paid": ours.is_paid is True, "status": 1 if ours.is_draft else 2, "currency": ours.currency, "orderedinlng": known.config.language,
        "order_row_taxes_included": ours.prices_include_tax, "deliver_method": ours.shipping_method or "shipping",
        "deliver_date": f"{ours.requested_date}T00:00:00Z" if ours.requested_date else None, "reservationnumber": ours.number,
        # Without a sum the shop would reckon shipping of its own.
        "total_shipping": charges[0].net if charges else Decimal(0),
        "extra_costs": sum((line.net for line in charges[1:]), Decimal(0)) or None,
        "extra_costs_description": ", ".join(line.description for line in charges[1:] if line.description) or None,
        "user_id": int(known.customer) if known.customer.isdigit() else None,
        "customer": info_of(ours.customer, ours.deliver_to, "\n".join(one for one in said if one)),
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
        order_number=text(theirs.get("ordernumber_full"), 80), date=on(theirs.get("create_date")),
        currency=text(theirs.get("currency"), 3) or "EUR", customer=contact(theirs.get("customer")),
        prices_include_tax=theirs.get("invoice_row_taxes_included") is True,
        is_credit=text(theirs.get("type")).casefold() == "credit", lines=_read_rows(theirs), net=net, tax=tax, gross=gross,
        status=_INVOICES.get(text(theirs.get("status")), "unknown"),
    )  # fmt: skip


def _row(line: TradeLine, known: Known, discount: Percent) -> Theirs:
    row: dict[str, Any] = {"count": line.quantity, "tax": line.tax_percent, "unit": line.unit or None, "memo": line.note or None}
    if line.unit_price is not None:
        row["price"] = price = (line.unit_price / line.price_quantity).quantize(Decimal("0.0001"))
        row["discount"] = (price * (1 - left_after(line.discount_percent, discount))).quantize(Decimal("0.0001"))
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
