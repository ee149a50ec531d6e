"""Visma.net ERP as its public contract says it behaves: a token for a tenant, wrapped v1, flat sales orders v3, If-Match."""

import base64
import datetime as dt
import itertools
import json
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from prodsys.connectors._base import Known
from prodsys.documents import (
    Address,
    ContactCard,
    DeliveryPlace,
    Exact,
    Invoice,
    InvoiceDraft,
    Percent,
    Person,
    SalesOrder,
    TradeLine,
    Voucher,
    VoucherLine,
)
from prodsys.kit.clock import now
from tests.connectors.loopback import Asked, Reply, Simulator

SECRET, TENANT = "a-client-secret-of-theirs", "af1140c1-52e0-46c7-b684-df894d4b8a5a"
NEEDED = {"vismanet_erp_service_api:read", "vismanet_erp_service_api:create", "vismanet_erp_service_api:update",
          "visma.net.erp.salesorder:read", "visma.net.erp.salesorder:write"}  # fmt: skip
_BARE = {"overrideWithClassValues", "operation"}
_LONGEST = {"order": 40, "refNo": 40, "note": 2048, "description": 256, "unitOfMeasure": 6, "line1": 50, "city": 50, "postalCode": 20}
AN_INVOICE = InvoiceDraft(
    number="SO-1043",
    date=dt.date(2026, 11, 21),
    due_date=dt.date(2026, 12, 21),
    currency="NOK",
    customer=ContactCard(number="10000", name="Nordlys AS"),
    customer_reference="PO-78",
    payment_terms="30",
    note="Takk for handelen",
    lines=[
        TradeLine(
            line_id="1",
            article_number="A-200",
            description="Mutter",
            quantity=Exact("4"),
            unit="STK",
            unit_price=Exact("2.5"),
            tax_code="3",
            account="3000",
        )
    ],
)


class VismaNetSim(Simulator):
    """One company with a customer, two items in two warehouses, and a purchase order."""

    name = "visma_net"
    token_path = "/connect/token"

    def __init__(self) -> None:
        super().__init__()
        self.access: list[str] = []
        self.tenant = TENANT
        self.max_page_size = 1000
        self.classes = ["1", "PRIVATE"]
        self.numbers = itertools.count(10001)
        self.order_numbers = itertools.count(223)
        self.customers: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.invoices: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.add_customer({"name": "Nordlys AS", "number": "10000", "corporateId": "999888777"}, email="innkjop@nordlys.example")
        self.items = {number: an_item(number) for number in ("A-100", "A-200")}
        self.purchases = {"000017": a_purchase("000017"), "000018": a_purchase("000018") | {"status": "Hold"}}

    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="2001",
            name="Havn Bygg AS",
            organisation_number="974760673",
            vat_number="NO974760673MVA",
            gln="7080000000004",
            email="post@havn.example",
            phone="+47 55 00 00 00",
            address=Address(street="Kaiveien", house_number="7B", street2="Bygg 2", postcode="5003", city="Bergen", country="NO"),
            deliver_to=DeliveryPlace(
                name="Lager 2", address=Address(street="Havnegata", house_number="2", postcode="5004", city="Bergen", country="NO")
            ),
            persons=[Person(name="Kari Havn")],
            currency="NOK",
            payment_terms="30",
            customer_class="1",
        ),
        "orders": SalesOrder(
            number="SO-1042",
            is_draft=True,
            date=dt.date(2026, 11, 21),
            currency="NOK",
            customer=ContactCard(number="10000", name="Nordlys AS"),
            customer_reference="PO-77",
            requested_date=dt.date(2026, 12, 1),
            deliver_to=DeliveryPlace(
                name="Lager 2", address=Address(street="Havnegata", house_number="2", postcode="5004", city="Bergen", country="NO")
            ),
            note="Ring før levering",
            lines=[
                TradeLine(
                    line_id="1",
                    article_number="A-100",
                    description="Bolt",
                    quantity=Exact("12"),
                    unit="STK",
                    unit_price=Exact("1.3"),
                    discount_percent=Percent("5"),
                    requested_date=dt.date(2026, 12, 1),
                    note="Galvanisert",
                ),
                TradeLine(line_id="2", article_number="A-200", description="Mutter", quantity=Exact("3"), unit_price=Exact("0.4512")),
            ],
        ),
        "invoice_drafts": AN_INVOICE,
        "invoices": Invoice(
            **msgspec.structs.asdict(AN_INVOICE) | {"number": "SO-1044"}, net=Exact("10"), tax=Exact("2.5"), gross=Exact("12.5")
        ),
        "vouchers": Voucher(
            number="V-7",
            date=dt.date(2026, 11, 21),
            currency="NOK",
            journal="1",
            description="Kjøp av skruer",
            lines=[
                VoucherLine(line_id="1", account="4300", amount=Exact("100.25"), description="Varekjøp", tax_code="3"),
                VoucherLine(line_id="2", account="1920", amount=Exact("-100.25")),
            ],
        ),
    }
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "contacts": ("number",),
        # They are numbered there.
        "invoices": ("number",),
        "vouchers": ("number", "description"),
    }
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "invoices": [
            {
                "referenceNumber": "156589",
                "documentType": "CreditNote",
                "status": "Closed",
                "documentDate": "2026-11-21T00:00:00",
                "currencyId": "NOK",
                "customer": {"number": "10000", "name": "Nordlys AS"},
                "amountInCurrency": Decimal("125.0"),
                "vatTotalInCurrency": Decimal("25.0"),
                "balanceInCurrency": Decimal("0.0"),
                "invoiceLines": [{"lineNumber": 1, "inventoryNumber": "A-100", "quantity": 1, "unitPriceInCurrency": Decimal("100.0")}],
            }
        ],
        "stock": [
            {
                "internalId": 5001,
                "inventoryId": "StockItem1",
                "baseUnit": "STK",
                "attributes": None,
                "availability": [
                    {
                        "warehouseId": "1",
                        "quantityOnHand": Decimal("50.0"),
                        "quantityAvailable": Decimal("46.0"),
                        "quantityAvailableForShipment": Decimal("44.0"),
                        "quantityPurchaseOrders": Decimal("10.0"),
                        "locations": None,
                    }
                ],
            }
        ],
    }

    def config(self) -> dict[str, Any]:
        return {
            "client_id": "fjord-service",
            "client_secret": SECRET,
            "tenant_id": TENANT,
            "customer_class": "1",
            "private_class": "PRIVATE",
            "base_url": self.url,
            "salesorder_url": self.url,
            "identity_url": self.url,
        }

    def wrong(self) -> dict[str, Any]:
        return {"client_secret": "not-the-secret"}

    def expire(self) -> bool:
        self.access = []
        return True

    def error(self, message: str) -> tuple[int, Any]:
        return 400, {"message": f"VismaId: {uuid.uuid4()}. Error inserting the record. Error: {message}\r\n"}

    def held(self, kind: str) -> int:
        held = {
            "contacts": self.customers,
            "orders": self.orders,
            "order_status": self.orders,
            "articles": self.items,
            "stock": self.items,
            "purchase_orders": self.purchases,
            "invoices": self.invoices,
            "invoice_drafts": self.invoices,
            "vouchers": self.batches,
        }
        return len(held[kind])

    def known(self, kind: str) -> Known:
        return Known(customer="10000", articles={number: number for number in self.items})

    def add_customer(self, customer: dict[str, Any], email: str) -> str:
        number = str(customer.setdefault("number", str(next(self.numbers))))
        contact = customer.setdefault("mainContact", {"name": customer["name"]})
        contact.setdefault("email", email)
        stamp = now().strftime("%Y-%m-%dT%H:%M:%S.%f")
        self.customers[number] = (
            {"status": "Active"} | customer | {"createdDateTime": stamp, "lastModifiedDateTime": stamp, "timeStamp": "1"}
        )
        return number

    async def answer(self, asked: Asked) -> Reply:
        if asked.path == self.token_path:
            return self._token(asked)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            return Reply(status=401, body={"message": "Authorization has been denied for this request."})
        match asked.method, asked.path.strip("/").split("/"):
            case "GET", ["v1", "customer", "customerClass"]:
                return Reply(body=[{"id": one, "description": one} for one in self.classes])
            case "GET", ["v1", "creditTerm"]:
                return Reply(
                    body={"pageNumber": 1, "pageSize": 500, "totalCount": 1, "records": [{"termsId": "30", "description": "30 days"}]}
                )
            case "GET", ["v1", "customer"]:
                return self._page_v1([row for row in self.customers.values() if self._fits(row, asked.query)], asked.query)
            case "GET", ["v1", "customer", number] if number in self.customers:
                row = self.customers[number]
                return Reply(body=row, headers={"etag": f'"{row["timeStamp"]}"'})
            case "POST", ["v1", "customer"]:
                return self._new_customer(asked.json)
            case "PUT", ["v1", "customer", number] if number in self.customers:
                return self._changed_customer(number, asked)
            case "GET", ["v1", "inventory"]:
                wanted = asked.query.get("inventoryNumber")
                rows = [row for row in self.items.values() if wanted in (None, row["inventoryNumber"])]
                has_references = asked.query.get("expandCrossReference") == "true"
                return self._page_v1([row if has_references else row | {"crossReferences": []} for row in rows], asked.query)
            case "GET", ["v1", "purchaseorder"]:
                state = asked.query.get("orderStatus")
                return self._page_v1([row for row in self.purchases.values() if state in (None, row["status"])], asked.query)
            case "GET", ["v1", "purchaseorder", number] if number in self.purchases:
                return Reply(body=self.purchases[number])
            case "GET", ["v1", "customerinvoice"]:
                return self._page_v1([row for row in self.invoices.values() if self._is_wanted(row, asked.query)], asked.query)
            case "GET", ["v1", "customerinvoice", number] if number in self.invoices:
                return Reply(body=self.invoices[number])
            case "POST", ["v2", "customerinvoice"]:
                return self._new_invoice(asked.json)
            case "GET", ["v2", "journaltransaction"]:
                return self._page_v1([row for row in self.batches.values() if self._fits(row, asked.query)], asked.query)
            case "GET", ["v2", "journaltransaction", number] if number in self.batches:
                return Reply(body=self.batches[number])
            case "POST", ["v2", "journaltransaction"]:
                return self._new_batch(asked.json)
            case method, ["api", "v3", *rest]:
                return self._v3(method, rest, asked)
            case _:
                return Reply(status=404, body={"message": "The resource was not found."})

    def _token(self, asked: Asked) -> Reply:
        if asked.headers.get("content-type") != "application/x-www-form-urlencoded":
            return Reply(status=415)
        form = asked.form
        if (form.get("grant_type"), form.get("client_id"), form.get("client_secret")) != ("client_credentials", "fjord-service", SECRET):
            return Reply(status=400, body={"error": "invalid_client"})
        if form.get("tenant_id") != self.tenant:
            said = "The application user or subscription is not entitled to use the API"
            return Reply(status=400, body={"error": "invalid_tenant", "error_description": said})
        if set(form.get("scope", "").split()) - NEEDED:
            return Reply(status=400, body={"error": "invalid_scope"})
        claims = base64.urlsafe_b64encode(json.dumps({"tenant_id": self.tenant, "n": str(uuid.uuid4())}).encode()).decode().rstrip("=")
        self.access.append(f"eyJhbGciOiJSUzI1NiJ9.{claims}.c2ln")
        return Reply(body={"access_token": self.access[-1], "expires_in": 3600, "token_type": "Bearer", "scope": form["scope"]})

    def _fits(self, row: dict[str, Any], query: dict[str, str]) -> bool:
        reached = row.get("mainContact") or {}
        said = {"email": reached.get("email"), "name": row.get("name"), "corporateId": row.get("corporateId")}
        if any(query.get(name) not in (None, value) for name, value in said.items()):
            return False
        # A moment without its condition is ignored.
        return all(
            f"{name}Condition" not in query or row[name] >= query[name].replace(" ", "T")
            for name in ("createdDateTime", "lastModifiedDateTime")
            if name in query
        )

    def _page_v1(self, rows: list[dict[str, Any]], query: dict[str, str]) -> Reply:
        size, page = min(int(query["pageSize"]), self.max_page_size), int(query["pageNumber"])
        about = {"totalCount": len(rows), "maxPageSize": self.max_page_size}
        return Reply(body=[row | {"metadata": about} for row in rows[(page - 1) * size : page * size]])

    def _new_customer(self, sent: dict[str, Any]) -> Reply:
        if wrong := not_wrapped(sent):
            return self._refused(f"Data received not recognized as CustomerUpdateDto ({wrong})")
        said = unwrapped(sent)
        if "number" in said:
            return self._refused("'Customer ID' is given by a number series.")
        missing = [name for name in ("name", "customerClassId", "mainAddress") if not said.get(name)]
        if missing or not said["mainAddress"].get("countryId"):
            return self._refused(f"'{(missing or ['Country'])[0]}' cannot be empty.")
        if said["customerClassId"] not in self.classes:
            return self._refused("The customer class cannot be found in the system.")
        number = self.add_customer(as_read(said), "")
        return Reply(status=201, headers={"location": f"{self.url}/v1/customer/{number}"})

    def _changed_customer(self, number: str, asked: Asked) -> Reply:
        row = self.customers[number]
        if asked.headers.get("if-match") not in (None, f'"{row["timeStamp"]}"'):
            return Reply(status=412, body={"message": "The record has been changed."})
        if wrong := not_wrapped(asked.json):
            return self._refused(f"Data received not recognized as CustomerUpdateDto ({wrong})")
        stamp = str(int(row["timeStamp"]) + 1)
        self.customers[number] = (
            row | as_read(unwrapped(asked.json)) | {"timeStamp": stamp, "lastModifiedDateTime": f"{now():%Y-%m-%dT%H:%M:%S.%f}"}
        )
        return Reply(status=204, headers={"etag": f'"{stamp}"'})

    def _is_wanted(self, invoice: dict[str, Any], query: dict[str, str]) -> bool:
        is_released = str(invoice["status"] not in ("Hold", "Balanced")).lower()
        fits = query.get("released") in (None, is_released) and query.get("status") in (None, invoice["status"])
        return fits and query.get("externalReference") in (None, invoice.get("externalReference"))

    def _new_invoice(self, sent: dict[str, Any]) -> Reply:
        if wrong := not_wrapped(sent):
            return self._refused(f"Data received not recognized as CustomerInvoiceUpdateDto ({wrong})")
        said = unwrapped(sent)
        if said.get("customerNumber") not in self.customers:
            return self._refused("'Customer' cannot be found in the system.")
        lines = []
        for at, line in enumerate(said.get("invoiceLines", []), 1):
            if line["inventoryNumber"] not in self.items:
                return self._refused("'Inventory ID' cannot be found in the system.")
            lines.append(
                line | {"lineNumber": at, "vatCode": {"id": line.get("vatCodeId")}, "account": {"number": line.get("accountNumber")}}
            )
        net = sum(line["quantity"] * line["unitPriceInCurrency"] for line in lines)
        number, customer = str(156589 + len(self.invoices)), self.customers[said["customerNumber"]]
        stamp = f"{now():%Y-%m-%dT%H:%M:%S.%f}"
        self.invoices[number] = {name: value for name, value in said.items() if name not in ("customerNumber", "hold")} | {
            "referenceNumber": number, "documentType": "Invoice", "status": "Hold" if said["hold"] else "Balanced", "invoiceLines": lines,
            "customer": {"number": customer["number"], "name": customer["name"]}, "createdDateTime": stamp, "lastModifiedDateTime": stamp,
            "creditTerms": {"id": said.get("creditTermsId")}, "amountInCurrency": net * Decimal("1.25"),
            "vatTotalInCurrency": net * Decimal("0.25"), "balanceInCurrency": net * Decimal("1.25"),
        }  # fmt: skip
        return Reply(status=201, headers={"location": f"{self.url}/v1/customerinvoice/{number}"})

    def _new_batch(self, sent: dict[str, Any]) -> Reply:
        if wrong := not_wrapped(sent):
            return self._refused(f"Data received not recognized as JournalTransactionUpdateDto ({wrong})")
        said = unwrapped(sent)
        rows = [row | {"vatCode": {"id": row.get("vatCodeId")}} for row in said["journalTransactionLines"]]
        if sum(row.get("debitAmountInCurrency", 0) - row.get("creditAmountInCurrency", 0) for row in rows):
            return self._refused("The batch is out of balance.")
        number, stamp = f"{len(self.batches) + 1:06}", f"{now():%Y-%m-%dT%H:%M:%S.%f}"
        self.batches[number] = said | {
            "batchNumber": number,
            "status": "Hold",
            "journalTransactionLines": rows,
            "lastModifiedDateTime": stamp,
        }
        return Reply(status=201, headers={"location": f"{self.url}/v2/journaltransaction/{number}"})

    def _refused(self, message: str) -> Reply:
        status, body = self.error(message)
        return Reply(status=status, body=body)

    def _v3(self, method: str, rest: list[str], asked: Asked) -> Reply:
        match method, rest:
            case "GET", ["Inventory"]:
                wanted = asked.query.get("inventoryId")
                return self._page_v3([a_balance(number) for number in self.items if wanted in (None, number)], asked)
            case "GET", ["SalesOrders"]:
                since, state = asked.query.get("modifiedSince", ""), asked.query.get("status")
                rows = [listed(row) for row in self.orders.values() if row["lastModified"] >= since]
                return self._page_v3([row for row in rows if state in (None, row["status"])], asked)
            case "POST", ["SalesOrders"]:
                return self._new_order(asked.json)
            case "GET", ["SalesOrders", kind, number] if f"{kind}/{number}" in self.orders:
                row = self.orders[f"{kind}/{number}"]
                return Reply(body={name: value for name, value in row.items() if name != "lines"}, headers={"etag": f'"{row["version"]}"'})
            case "GET", ["SalesOrders", kind, number, "lines"] if f"{kind}/{number}" in self.orders:
                return self._page_v3(self.orders[f"{kind}/{number}"]["lines"], asked)
            case _:
                return Reply(status=404, body={"title": "Not Found", "status": 404})

    def _page_v3(self, rows: list[dict[str, Any]], asked: Asked) -> Reply:
        size, index = min(int(asked.query["pageSize"]), self.max_page_size), int(asked.query["pageIndex"])
        following = f"{self.url}{asked.path}?" + "&".join(
            f"{name}={value}" for name, value in (asked.query | {"pageIndex": str(index + 1)}).items()
        )
        is_last = (index + 1) * size >= len(rows)
        body = {"value": rows[index * size : (index + 1) * size], "totalCount": len(rows), "nextPage": None if is_last else following}
        return Reply(body=body)

    def _new_order(self, sent: dict[str, Any]) -> Reply:
        customer = self.customers.get((sent.get("customer") or {}).get("id", ""))
        faults = [] if customer else [("1400-CustomerNotFound", "customer.id", "Customer cannot be found or is invalid")]
        if sent.get("type") != "SO" or sent.get("status") not in (None, "Open", "Hold"):
            faults.append(("0003-InvalidValue", "type", "Order type or status is not valid"))
        for at, line in enumerate(sent.get("orderLines") or []):
            if line.get("inventoryId") not in self.items:
                faults.append(("1804-InventoryIdNotFound", f"orderLines[{at}].inventoryId", "InventoryId cannot be found or is invalid"))
        faults += [("0002-LengthOutOfRange", name, f"{name} is too long") for name in too_long(sent)]
        address = (sent.get("shipping") or {}).get("address")
        if address and not address.get("countryId"):
            faults.append(("0001-NullNotAllowed", "shipping.address.countryId", "Null value not allowed"))
        if faults or customer is None:
            details = [{"code": code, "message": message, "parameters": {"property": name}} for code, name, message in faults]
            errors = {name: [message] for _, name, message in faults}
            return Reply(status=400, body={"title": "One or more validation errors occurred.", "status": 400, "errors": errors,
                                           "details": details}, headers={"content-type": "application/problem+json"})  # fmt: skip
        if address:
            sent["shipping"]["address"] = {"country": {"id": address.pop("countryId")}} | address
        number = f"{next(self.order_numbers):06}"
        lines = []
        for at, line in enumerate(sent.get("orderLines") or [], 1):
            # Without a price of one's own the price rules of the company apply.
            price = line.get("unitPrice") if line.get("hasManualPrice") else Decimal(999)
            lines.append(line | {"lineId": at, "inventory": {"id": line["inventoryId"]}, "unitPrice": price})
        self.orders[f"SO/{number}"] = {
            name: value for name, value in sent.items() if name != "orderLines"
        } | {
            "orderId": number,
            "status": {"description": sent.get("status") or "Open", "hold": sent.get("status") == "Hold", "cancelled": False},
            "customer": sent["customer"] | {"name": customer["name"]},
            "lines": lines,
            "version": "1",
            "lastModified": f"{now():%Y-%m-%dT%H:%M:%S.%fZ}",
        }  # fmt: skip
        return Reply(status=201, headers={"location": f"/api/v3/SalesOrders/SO/{number}"})


def an_item(number: str) -> dict[str, Any]:
    return {
        "inventoryId": 5001,
        "inventoryNumber": number,
        "status": "Active",
        "type": "FinishedGoodItem",
        "description": f"Item {number}",
        "body": None,
        "vatCode": {"id": "3", "description": "VAT 25 %"},
        "defaultPrice": Decimal("101.25"),
        "baseUnit": "STK",
        "stockItem": True,
        "crossReferences": [
            {"alternateType": "Barcode", "alternateID": "7041234567894", "uom": "STK"},
            {"alternateType": "VPN", "alternateID": f"SKR-{number}"},
        ],
        "attributes": [{"id": "SIZE", "description": "Size", "value": "M8"}],
        "salesCategories": [{"categoryId": 1, "description": "Festemidler"}],
        "lastModifiedDateTime": "2026-11-20T12:00:00",
    }


def a_balance(number: str) -> dict[str, Any]:
    places = [
        {
            "warehouseId": "1",
            "quantityOnHand": Decimal("50.0"),
            "quantityAvailableForShipment": Decimal("44.0"),
            "quantityPurchaseOrders": 10,
        },
        {"warehouseId": "2", "quantityOnHand": Decimal("5.5"), "quantityAvailableForShipment": Decimal("5.5"), "quantityPurchaseOrders": 0},
    ]
    return {"inventoryId": number, "baseUnit": "STK", "attributes": None, "availability": places}


def a_purchase(number: str) -> dict[str, Any]:
    return {
        "orderType": "RegularOrder",
        "orderNbr": number,
        "status": "Open",
        "date": "2026-11-21T00:00:00",
        "promisedOn": "2026-12-01T00:00:00",
        "currency": "NOK",
        "description": "Til lager",
        "supplier": {"internalId": 7, "number": "50000", "name": "Skruefabrikken AS"},
        "remitContact": {"email": "ordre@skrue.example"},
        "shippingAddress": {"addressLine1": "Havnegata 2", "postalCode": "5003", "city": "Bergen", "country": {"id": "NO"}},
        "shippingContact": {"name": "Hovedlager"},
        "terms": {"id": "30", "description": "30 days"},
        "lines": [
            {
                "lineNbr": 1,
                "inventory": {"number": "A-100", "description": "Bolt M8"},
                "alternateId": "SKR-A-100",
                "lineDescription": "Bolt M8",
                "orderQty": Decimal("500.0"),
                "uom": "STK",
                "unitCost": Decimal("0.9"),
                "discountPercent": Decimal("2.5"),
                "promised": "2026-12-01T00:00:00",
            }
        ],
        "lastModifiedDateTime": "2026-11-21T08:00:00",
    }


def listed(order: dict[str, Any]) -> dict[str, Any]:
    """An order as a list shows it: flat, and without its rows."""
    customer = order["customer"]
    return {
        "type": order["type"],
        "orderId": order["orderId"],
        "status": order["status"]["description"],
        "customerId": customer["id"],
        "customerName": customer["name"],
        "customerOrder": customer.get("order"),
        "customerRefNo": customer.get("refNo"),
        "lastModified": order["lastModified"],
    }


def not_wrapped(sent: Any, path: str = "") -> str:
    """The first member that is not wrapped as v1 wants it, or is wrapped and must not be."""
    for name, value in sent.items():
        if name in _BARE:
            if isinstance(value, dict):
                return f"{path}{name}"
        elif isinstance(value, list):
            if inside := next((found for row in value if (found := not_wrapped(row, f"{path}{name}."))), ""):
                return inside
        elif not isinstance(value, dict) or list(value) != ["value"]:
            return f"{path}{name}"
        elif isinstance(value["value"], dict) and (inside := not_wrapped(value["value"], f"{path}{name}.")):
            return inside
    return ""


def unwrapped(sent: Any) -> Any:
    if not isinstance(sent, dict):
        return sent
    return {
        name: [unwrapped(row) for row in value]
        if isinstance(value, list)
        else unwrapped(value["value"])
        if isinstance(value, dict)
        else value
        for name, value in sent.items()
    }


def as_read(said: dict[str, Any]) -> dict[str, Any]:
    """A customer as it is read again: look-ups with their id, addresses with their country."""
    row = {name: value for name, value in said.items() if name not in ("customerClassId", "creditTermsId", "overrideWithClassValues")}
    if "customerClassId" in said:
        row["customerClass"] = {"id": said["customerClassId"], "description": ""}
    if "creditTermsId" in said:
        row["creditTerms"] = {"id": said["creditTermsId"], "description": ""}
    for name in ("mainAddress", "deliveryAddress"):
        if name in said:
            place = dict(said[name])
            row[name] = {"country": {"id": place.pop("countryId", None)}} | place
    return row


def too_long(sent: Any) -> list[str]:
    if isinstance(sent, list):
        return [name for one in sent for name in too_long(one)]
    if not isinstance(sent, dict):
        return []
    found = [name for name, value in sent.items() if isinstance(value, str) and len(value) > _LONGEST.get(name, 9999)]
    return found + [name for value in sent.values() for name in too_long(value)]


SIMULATOR = VismaNetSim
