"""Sales orders, how they stand, and purchase orders of Visma.net: between its words and ours."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from prodsys.connectors._base import Known, Resource, at, by_reading, day, text
from prodsys.connectors._words import as_counted, left_after, party, place, rules, spelled, texts_of, unit_price, where
from prodsys.connectors.visma_net.form import Config
from prodsys.connectors.visma_net.interface import Theirs, read_address, recent_v3, since_v1, since_v3
from prodsys.connectors.visma_net.invoices import written_as_invoice
from prodsys.documents import DeliveryPlace, OrderStatus, Progress, PurchaseRequest, SalesOrder, TradeLine

_BOTH_WAYS = {"number": "customer.refNo", "customer_reference": "customer.order", "payment_terms": "customer.termsId", "date": "date",
              "requested_date": "requestOn", "currency": "currencyId"}  # fmt: skip
_READ = spelled(SalesOrder, **_BOTH_WAYS, note="note")
_WRITTEN = spelled(SalesOrder, **_BOTH_WAYS, branch="branchId", shipping_method="shipping.shipViaId",
                   warehouse="shipping.preferredWarehouseId")  # fmt: skip
_ROW = spelled(TradeLine, description="description", quantity="quantity", unit="unitOfMeasure", unit_price="unitPrice",
               discount_percent="discountPercent", tax_code="taxCategoryId", requested_date="requestDate", note="note")  # fmt: skip
_PLACE = where("line1", street2="line2", postcode="postalCode", city="city", country="countryId")
_PURCHASE = spelled(PurchaseRequest, number="orderNbr", date="date", currency="currency", requested_date="promisedOn",
                    buyer_reference="description", payment_terms="terms.id", status="status", note="note")  # fmt: skip
_PURCHASED = spelled(TradeLine, line_id="lineNbr", article_number="inventory.number", supplier_article_number="alternateId",
                     description="lineDescription", quantity="orderQty", unit="uom", unit_price="unitCost",
                     discount_percent="discountPercent", requested_date="promised", note="note")  # fmt: skip
_STATUS: Mapping[str, Progress] = {
    "Hold": "on_hold", "CreditHold": "on_hold", "PendingApproval": "open", "Open": "confirmed", "Shipping": "in_progress",
    "BackOrder": "partly_shipped", "Completed": "shipped", "Invoiced": "invoiced", "Cancelled": "cancelled", "Voided": "cancelled",
}  # fmt: skip


def read_order(theirs: Theirs) -> SalesOrder:
    """A sales order in our words; its reference is the number it is found again by, Visma's own where it has none."""
    number = text(at(theirs, "customer.refNo") or theirs.get("orderId"), 80)
    status = theirs.get("status")
    said = status if isinstance(status, Mapping) else {"description": status}
    there = {"countryId": at(theirs, "shipping.address.country.id"), **(at(theirs, "shipping.address") or {})}
    lines = [
        TradeLine(line_id=text(row.get("lineId") or at_, 40), article_number=text(at(row, "inventory.id") or row.get("inventoryId"), 80),
                  **_ROW.read(row))
        for at_, row in enumerate(theirs.get("orderLines") or [], 1)
    ]  # fmt: skip
    return SalesOrder(
        **(_READ.read(theirs) | {"number": number}), is_draft=said.get("hold") is True or said.get("description") == "Hold",
        customer=party(at(theirs, "customer.id"), at(theirs, "customer.name")), status=text(said.get("description"), 80),
        deliver_to=place(at(theirs, "shipping.contact.name"), _PLACE.read(there)), lines=lines,
    )  # fmt: skip


def write_order(ours: SalesOrder, known: Known) -> dict[str, Any]:
    """A sales order in their words, on hold while it is a draft; where an invoice is to be made of it, an invoice.

    Texts between the rows go into its note, since every row is an item. Raises ValueError for a charge without an article, for a price
    whose tax would have to be guessed, and for a delivery address without its country.
    """
    if ours.kind != "order":
        return written_as_invoice(ours, known)
    config: Config = known.config
    words = _WRITTEN.write(ours, time="T00:00:00Z")
    words["customer"]["id"] = known.customer
    if ours.deliver_to is not None:
        words["shipping"] = {**words.get("shipping", {}), **_shipped(ours, ours.deliver_to)}
    note = "\n".join(part for part in (ours.note, *texts_of(ours.lines)) if part)
    return words | {"type": config.order_type, "status": "Hold" if ours.is_draft else "Open", "note": note or None,
                    "orderLines": [_row(line, known, ours) for line in ours.lines if line.kind != "text"]}  # fmt: skip


def read_status(theirs: Theirs) -> OrderStatus:
    """How a sales order stands, as a list or the order itself shows it."""
    said = text(at(theirs, "status.description") or theirs.get("status"), 120)
    number = text(theirs.get("customerRefNo") or at(theirs, "customer.refNo") or theirs.get("orderId"), 80)
    return OrderStatus(number=number, status=_STATUS.get(said, "unknown"), said=said,
                       expected_date=day(theirs.get("shippingScheduledDate")))  # fmt: skip


def read_purchase(theirs: Theirs) -> PurchaseRequest:
    """A purchase order in our words; the alternate id of a row is the supplier's number."""
    supplier = party(at(theirs, "supplier.number"), at(theirs, "supplier.name"), at(theirs, "remitContact.email"), is_supplier=True,
                     phone=at(theirs, "remitContact.phone1"), there=read_address(theirs.get("remitAddress")))  # fmt: skip
    return PurchaseRequest(
        **_PURCHASE.read(theirs), supplier=supplier,
        deliver_to=place(at(theirs, "shippingContact.name"), read_address(theirs.get("shippingAddress"))),
        lines=[TradeLine(**_PURCHASED.read(row), kind="article" if row.get("inventory") else "charge")
               for row in theirs.get("lines") or []],
    )  # fmt: skip


def _shipped(ours: SalesOrder, there: DeliveryPlace) -> dict[str, Any]:
    country = there.address.country or ours.customer.address.country
    if not country:
        raise ValueError("Visma.net takes no delivery address without its country")
    return {"address": _PLACE.write(there.address) | {"countryId": country}, "contact": {"name": there.name or ours.customer.name}}


def _row(line: TradeLine, known: Known, order: SalesOrder) -> dict[str, Any]:
    if not line.article_number:
        raise ValueError("Visma.net takes rows with an article only; choose in the flow which article a charge is")
    price = unit_price(line, tax=as_counted(line, includes_tax=order.prices_include_tax))
    # Both discounts are taken one after the other: 10 % and 5 % leave 85.5 %.
    discount = 100 - 100 * left_after(line.discount_percent, order.discount_percent)
    return _ROW.write(line, time="T00:00:00Z") | {
        "inventoryId": known.articles.get(line.article_number, line.article_number), "salesAccountId": line.account or None,
        # Without it their price rules put another price in its place.
        "unitPrice": price, "hasManualPrice": True if price is not None else None,
        "discountPercent": Decimal(discount) or None, "hasManualDiscount": True if discount else None,
    }  # fmt: skip


_LISTED: Mapping[str, Any] = {
    "path": "/api/v3/SalesOrders", "key": "orderId", "number": "customerRefNo", "since": since_v3, "changed": "lastModified",
    "where": {"status": lambda value: {"status": value}}, "find_by": {"reference": by_reading("customerRefNo", recent_v3)},
}  # fmt: skip
ORDERS = Resource(
    **_LISTED, read=read_order, write=write_order, drafts="Hold", makes=("order", "sales_invoice", "invoice"),
    limits=rules(needed=("number",), longest={
        "number": 40, "customer_reference": 40, "currency": 5, "note": 2048, "branch": 30, "warehouse": 30, "shipping_method": 15,
        "deliver_to.address.street": 50, "deliver_to.address.street2": 50, "deliver_to.address.postcode": 20,
        "deliver_to.address.city": 50, "lines[].article_number": 30, "lines[].description": 256, "lines[].unit": 6,
        "lines[].account": 10,
    }),
    provenance={"head, rows, draft on hold": "documented", "look-up among recent orders": "client code",
                "length of an article number": "assumed"},
    notes={"out": "An invoice made of an order waits there to be released; as a draft it is on hold."},
)  # fmt: skip
ORDER_STATUS = Resource(
    **_LISTED, read=read_status, provenance={"status": "documented"},
    no={"out": "An order's status follows from what is done with it there."},
)  # fmt: skip
PURCHASE_ORDERS = Resource(
    path="/v1/purchaseorder", key="orderNbr", number="orderNbr", read=read_purchase, since=since_v1, changed="lastModifiedDateTime",
    where={"status": lambda value: {"orderStatus": value}},
    provenance={"head, supplier, rows": "documented", "alternate id as the supplier's number": "assumed"},
    no={"out": "Purchase orders are made in Visma.net and placed from here."},
)  # fmt: skip
