"""BuchhaltungsButler as its documents say it behaves: POST alone, two credentials, no empty texts, drafts that vanish from sight."""

import base64
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from prodsys.connectors._base import Known
from prodsys.documents import Address, ContactCard, Exact, Invoice, InvoiceDraft, Percent, Person, SalesOrder, TradeLine
from tests.connectors.loopback import Asked, Reply, Simulator

CLIENT, SECRET, KEY = "fjord-client", "a-secret-of-the-client", "an-api-key-of-the-company"
_BASE = "/api/v1"
_CUSTOMER = ContactCard(
    number="K-1000", name="Nordlicht GmbH", email="einkauf@nordlicht.example", persons=[Person(name="Eva Nord")],
    address=Address(street="Hafenstraße", house_number="7", postcode="20095", city="Hamburg", country="DE"),
)  # fmt: skip
_LINES = [
    TradeLine(line_id="1", article_number="4711", description="Schraube", quantity=Exact("12"), unit="Stk.", unit_price=Exact("1.3"),
              discount_percent=Percent("5"), tax_percent=Percent("19")),
    TradeLine(line_id="2", kind="charge", description="Versand", quantity=Exact("1"), unit_price=Exact("4.95")),
    TradeLine(line_id="3", kind="text", description="Bitte zusammen liefern"),
]  # fmt: skip
_ARRAYS = ("item_name", "item_amount", "item_unit", "item_vat", "item_single_price")
_REQUIRED = {"type": 5, "show_prices_type": 7, "company_name": 13, "date": 21, "item_name": 6}


class BuchhaltungsButlerSim(Simulator):
    """One company's books with a customer and a supplier."""

    name = "buchhaltungsbutler"

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.most = 1000
        self.accounts: dict[str, dict[str, Any]] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.drafts: list[dict[str, Any]] = []
        self.due_in_days: dict[str, int] = {}
        self.customer = self.an_account("debitor", name="Nordlicht GmbH", email="einkauf@nordlicht.example", customer_number="K-1000")
        self.supplier = self.an_account("creditor", name="Schraubenwerk AG", email="post@schraubenwerk.example")

    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="K-2000", name="Hafen Bau GmbH", vat_number="DE999999999", email="post@hafen.example",
            persons=[Person(name="Kai Hafen")],
            address=Address(street="Kai", house_number="7B", street2="Tor 2", postcode="20457", city="Hamburg", country="DE"),
        ),
        "orders": SalesOrder(number="SO-1042", date=dt.date(2026, 11, 21), currency="EUR", customer=_CUSTOMER, customer_reference="PO-77",
                             requested_date=dt.date(2026, 12, 1), lines=_LINES),
        "invoice_drafts": InvoiceDraft(number="SO-1043", date=dt.date(2026, 11, 21), currency="EUR", customer=_CUSTOMER, lines=_LINES),
        "invoices": Invoice(number="RE-7", date=dt.date(2026, 11, 21), currency="EUR", customer=ContactCard(name="Nordlicht GmbH"),
                            payment_terms="14", lines=_LINES[:1]),
    }  # fmt: skip
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {"invoices": ("lines", "payment_terms")}
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "contacts": [{
            "type": "debitor", "name": "Musterkunde GmbH", "postingaccount_number": "10001", "contact_person_name": "",
            "street": "Musterstraße 1", "additional_addressline": "", "zip": "10000", "city": "Musterstadt", "country": "DE",
            "customer_number": "", "sales_tax_id_eu": "", "email": "r@example.invalid", "uid_ch": None, "iban": "", "bic": "",
            "import_pending": 0,
        }],
        "invoices": [{
            "filename": "x.pdf", "id_by_customer": "12", "type": "invoice outbound", "date": "2026-09-12", "delivery_date": None,
            "counterparty": "Beispiel GmbH", "invoicenumber": "RE-1001", "amount": "123.99", "payment_date": None,
            "due_date": "2026-09-26", "account": None, "amount_paid": "0.00", "deleted": "0",
        }],
    }  # fmt: skip

    def config(self) -> dict[str, Any]:
        return {"client": CLIENT, "client_secret": SECRET, "api_key": KEY, "base_url": f"{self.url}{_BASE}"}

    def wrong(self) -> dict[str, Any]:
        return {"client_secret": "not-the-secret"}

    def error(self, message: str) -> tuple[int, Any]:
        return 400, {"success": False, "error_code": 13, "message": message}

    def held(self, kind: str) -> int:
        return {"contacts": len(self.accounts), "invoices": len(self.receipts)}.get(kind, len(self.drafts))

    def known(self, kind: str) -> Known:
        return Known(customer=self.customer)

    def an_account(self, type: str, **more: Any) -> str:
        """A debtor or creditor; its account."""
        self.made += 1
        number = str(more.pop("postingaccount_number", None) or (70_000 if type == "creditor" else 10_000) + self.made)
        blank = dict.fromkeys(("contact_person_name", "street", "additional_addressline", "zip", "city", "country", "email", "iban"), "")
        self.accounts[number] = {**blank, "sales_tax_id_eu": "", "uid_ch": None, "import_pending": 0, "customer_number": None,
                                 **more, "type": type, "postingaccount_number": number}  # fmt: skip
        return number

    async def answer(self, asked: Asked) -> Reply:
        path = asked.path.removeprefix(_BASE)
        if asked.method != "POST":
            return _fault(400, 2, "Api method calls require POST requests")
        if asked.headers.get("authorization") != "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode():
            return _fault(401, 3, "API credentials unknown or invalid")
        said = asked.json
        if said.pop("api_key", None) != KEY:
            return _fault(401, 4, "customer not found or insufficient privileges")
        if empty := [name for name, value in said.items() if value == "" or (isinstance(value, list) and "" in value)]:
            return _fault(400, 10, f"invalid {empty[0]} specified")
        match path.strip("/").split("/"):
            case ["accounts", "get"]:
                return self._listed([{"name": "Bank", "postingaccount_number": "1200"}], said, 1000)
            case ["settings", "get", "debtors" | "creditors" as name]:
                kind = "debitor" if name == "debtors" else "creditor"
                return self._listed([row for row in self.accounts.values() if row["type"] == kind], said, 25)
            case ["settings", "add", "debtor" | "creditor" as name]:
                return self._account(name, said, "")
            case ["settings", "update", "debtor" | "creditor" as name]:
                if not isinstance(said.get("postingaccount_number"), int):
                    return _fault(400, 1, "wrong postingaccount_number")
                if str(said["postingaccount_number"]) not in self.accounts:
                    return _fault(400, 24, f"no {name} found for specified postingaccount_number")
                return self._account(name, said, str(said.pop("postingaccount_number")))
            case ["invoices", "create", "draft"]:
                return self._invoice(said, is_draft=True)
            case ["invoices", "create"]:
                return self._invoice(said, is_draft=False)
            case ["receipts", "get"]:
                if said.get("list_direction") not in ("inbound", "outbound"):
                    return _fault(400, 5, "invalid list_direction specified")
                if said.get("limit", 500) > 500:
                    return _fault(400, 10, "invalid limit specified")
                wanted = said.get("invoicenumber")
                rows = [row for row in self.receipts.values() if wanted is None or row["invoicenumber"] == wanted]
                return self._listed([row for row in rows if said.get("include_offers") or row["type"] != "offer"], said, 500)
            case ["receipts", "get", id] if id in self.receipts:
                return Reply(body={"success": True, "message": "", "data": self.receipts[id]})
            case ["receipts", "get", _]:
                return _fault(400, 6, "receipt not found")
            case _:
                return Reply(status=404, raw=b"<!doctype html><title>404</title>", headers={"content-type": "text/html"})

    def _listed(self, rows: list[dict[str, Any]], said: dict[str, Any], usual: int) -> Reply:
        offset, limit = said.get("offset", 0), min(said.get("limit", usual), self.most)
        part = rows[offset : offset + limit]
        return Reply(body={"success": True, "message": "", "rows": len(part), "data": part})

    def _account(self, name: str, said: dict[str, Any], known: str) -> Reply:
        if not known and not said.get("name"):
            return _fault(400, 8, "invalid name specified")
        if name == "creditor" and "customer_number" in said:
            return _fault(400, 21, "invalid customer_number specified")
        days = said.pop("due_in_days", None)
        renamed = {"additional_address_line": "additional_addressline", "sales_tax_id": "sales_tax_id_eu"}
        row = {renamed.get(member, member): value for member, value in said.items()}
        if known:
            self.accounts[known] |= row
        number = known or self.an_account("creditor" if name == "creditor" else "debitor", **row)
        if days is not None:
            self.due_in_days[number] = days
        return Reply(body={"success": True, "postingaccount_number": number, "message": ""})

    def _invoice(self, said: dict[str, Any], *, is_draft: bool) -> Reply:
        for member, code in _REQUIRED.items():
            if not said.get(member):
                return _fault(400, code, f"invalid {member} specified")
        if len({len(said.get(member, [])) for member in _ARRAYS}) != 1:
            return _fault(400, 34, "invalid item_amount specified")
        if is_draft:
            if wrong := [member for member in ("invoicenumber", "due_days", "payment_reference") if member in said]:
                return _fault(400, 22, f"invalid {wrong[0]} specified")
            self.drafts.append(said)
            return Reply(body={"success": True, "message": ""})
        self.made += 1
        number = said.get("invoicenumber") or f"{'AN' if said['type'] == 'offer' else 'RE'}-{1000 + self.made}"
        if any(row["invoicenumber"] == number for row in self.receipts.values()):
            return _fault(400, 22, "invalid invoicenumber specified")
        amounts = zip(said["item_amount"], said["item_single_price"], said["item_vat"], strict=True)
        gross = sum((Decimal(count) * Decimal(price) * (1 + Decimal(vat) / 100) for count, price, vat in amounts), Decimal(0))
        made = str(100 + self.made)
        kind = "offer" if said["type"] == "offer" else f"{said['type']} outbound"
        self.receipts[made] = {"id_by_customer": made, "type": kind, "date": said["date"], "due_date": None, "amount_paid": "0.00",
                             "counterparty": said["company_name"], "invoicenumber": number, "amount": f"{gross:.2f}",
                             "payment_date": None, "deleted": "0", "currency": "EUR"}  # fmt: skip
        return Reply(body={"success": True, "message": "", "id_by_customer": made, "invoicenumber": number, "file_name": "x"})


def _fault(status: int, code: int, message: str) -> Reply:
    return Reply(status=status, body={"success": False, "error_code": code, "message": message})


SIMULATOR = BuchhaltungsButlerSim
