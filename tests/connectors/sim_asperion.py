"""Asperion as the code of its clients shows it, and as our profile assumes it where nothing is known: envelopes, tenants, dry runs."""

import datetime as dt
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from prodsys.connectors._base import Grant, Known
from prodsys.documents import (
    Address,
    ArticleCard,
    ContactCard,
    Exact,
    Invoice,
    InvoiceDraft,
    Percent,
    Person,
    SalesOrder,
    TradeLine,
    UnitPrice,
)
from prodsys.kit.clock import now
from prodsys.kit.vault import Secret
from tests.connectors.loopback import Asked, Reply, Simulator

CLIENT, SECRET, TENANT = "fjord-client", "a-secret-of-the-partner", 1234
_KEY = {"debtors": "CustomerNumber", "salesinvoiceswithlines": "InvoiceNumber", "articles": "ArticleNumber"}
_REQUIRED = {
    "debtors": ("name",), "articles": ("articleNumber",), "SalesOrderWithLines": ("debtorCustomerNumber", "lines"),
    "salesinvoiceswithlines": ("bookyear", "bookperiod", "date", "debtorCustomerNumber", "invoiceNumber", "lines"),
}  # fmt: skip
_LINES = [TradeLine(line_id="1001", description="Bolt", quantity=Exact("1"), unit_price=Exact("15.6"), tax_code="H", account="8000",
                    tax_percent=Percent("21"))]  # fmt: skip


class AsperionSim(Simulator):
    """Two administrations, one of them with a debtor and two articles."""

    name = "asperion"
    token_path = "/connect/token"

    def __init__(self) -> None:
        super().__init__()
        self.access = ["first-access-token"]
        self.refresh = "first-refresh-token"
        self.made = 100
        self.ignores: set[str] = set()
        self.writes_when_checking = False
        self.says_id = True
        self.rows: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in _REQUIRED}
        self.customer = str(
            self.add("debtors", {"customerNumber": "10017", "name": "Klant BV", "emailAddress": "inkoop@klant.example"})["customerNumber"]
        )
        self.articles = {number: str(self.an_article(number)) for number in ("A-100", "A-200")}

    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="20001", name="Haven Bouw BV", organisation_number="12345678", vat_number="NL999999999B01", email="post@haven.example",
            phone="+31101234567", payment_terms="3", note="Bel eerst", persons=[Person(name="Kari Haven")],
            address=Address(street="Kade", house_number="7B", street2="Poort 2", postcode="3511AB", city="Utrecht", country="NL"),
        ),
        "articles": ArticleCard(number="B-300", name="Beugel 40 mm", price=UnitPrice("101.25"), tax_code="H"),
        "invoices": Invoice(number="F-7", date=dt.date(2026, 11, 21), due_date=dt.date(2026, 12, 5), currency="EUR", order_number="SO-1",
                            customer=ContactCard(number="10017", name="10017"), payment_terms="3", lines=_LINES, net=Exact("15.6"),
                            tax=Exact("3.28"), gross=Exact("18.88")),
        "invoice_drafts": InvoiceDraft(number="F-8", date=dt.date(2026, 11, 21), currency="EUR", customer=ContactCard(name="Klant BV"),
                                       lines=_LINES),
        "orders": SalesOrder(
            number="SO-1042", date=dt.date(2026, 11, 21), currency="EUR", customer=ContactCard(number="10017", name="Klant BV"),
            customer_reference="PO-77",
            lines=[TradeLine(line_id="1", article_number="A-100", description="Bolt", quantity=Exact("12"), unit_price=Exact("1.3"),
                             discount_percent=Percent("5"), tax_code="H"),
                   TradeLine(line_id="2", kind="text", description="Samen leveren")],
        ),
    }  # fmt: skip
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {"invoices": ("tax_percent",)}
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "contacts": [{"id": 17, "customerNumber": "10017", "name": "Klant BV", "address": "Straat 1", "postCode": "1011AA",
                      "city": "Amsterdam", "countryCode": "NL", "emailAddress": "inkoop@klant.nl", "paymentConditionId": 3,
                      "blocked": False, "comments": None, "_meta": {"self": "/v1/debtors/17"}}],
        "invoices": [{"id": 5, "bookyear": 2026, "bookperiod": 9, "date": "2026-09-12T00:00:00", "journalId": "70",
                      "debtorCustomerNumber": "10017", "invoiceNumber": "F-1", "description": "", "paymentConditionId": 3,
                      "paymentDueDate": "2026-09-26T00:00:00", "amountExclVat": 100, "amountInclVat": Decimal("121.00"), "vatAmount": 21,
                      "status": 7, "lines": {"_data": [{"id": 1, "amount": 100, "description": "Werk", "ledgerAccountId": 8000,
                                                        "vatCode": "H", "vatAmount": 21}], "_meta": {"totalCount": 1}}}],
    }  # fmt: skip

    def config(self) -> dict[str, Any]:
        return {"client_id": CLIENT, "client_secret": SECRET, "tenant": TENANT, "ledger_account": 8000, "journal": "70", "vat_code": "H",
                "order_lookup": "Reference", "checks_orders": True, "base_url": self.url, "identity_url": self.url}  # fmt: skip

    def grant(self) -> Grant:
        return Grant(access_token=Secret(self.access[-1]), refresh_token=Secret(self.refresh), expires_at=now() + dt.timedelta(hours=1))

    def wrong(self) -> dict[str, Any]:
        self.expire()
        return {"client_secret": "not-the-secret"}

    def expire(self) -> bool:
        self.access = []
        return True

    def error(self, message: str) -> tuple[int, Any]:
        return 400, {"title": "One or more validation errors occurred.", "status": 400, "traceId": "00-1", "errors": {"Name": [message]}}

    def held(self, kind: str) -> int:
        name = {"contacts": "debtors", "orders": "SalesOrderWithLines", "articles": "articles", "stock": "articles"}.get(kind)
        return len(self.rows[name or "salesinvoiceswithlines"])

    def known(self, kind: str) -> Known:
        return Known(customer=self.customer, articles=self.articles)

    def add(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        """Put a row into a list, as it stands there."""
        self.made += 1
        given = {"customerNumber": str(10_000 + self.made)} if name == "debtors" else {}
        made = {"id": self.made, **given, **row, "_meta": {"self": f"/v1/{name}/{self.made}"}}
        if name == "salesinvoiceswithlines":
            lines = [{"id": 1000 + at, **line} for at, line in enumerate(row["lines"]["_data"], 1)]
            made = {"status": 2, **made, "lines": {"_data": lines, "_meta": {"totalCount": len(lines)}}}
        self.rows[name][self.made] = made
        return made

    def an_article(self, number: str, **more: Any) -> int:
        """An article that is there already; its id."""
        row = {"articleNumber": number, "description": f"Bolt {number}", "salesPrice": Decimal("1.30"), "vatCode": "H", "currentStock": 46}
        return int(self.add("articles", row | more)["id"])

    async def answer(self, asked: Asked) -> Reply:
        if asked.path == self.token_path:
            return self._token(asked.form)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            return Reply(status=401)
        if asked.path == "/v1/administrations":
            return _listed(asked, [{"id": TENANT, "name": "Fjord Lager BV"}, {"id": 77, "name": "Proef BV"}])
        if asked.headers.get("x-tenant-id") != str(TENANT):
            return _problem(403, "The administration is not yours.")
        match asked.method, asked.path.removeprefix("/v1/").strip("/"):
            case "GET", "vatcodes":
                return _listed(asked, [{"id": "H", "description": "Hoog", "percentage": 21}])
            case "GET", name if name in self.rows:
                return _listed(asked, self._filtered(list(self.rows[name].values()), asked.query))
            case "POST", name if name in self.rows:
                return self._taken(name, asked)
            case _:
                return _problem(404, "Not found")

    def _token(self, form: dict[str, str]) -> Reply:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return Reply(status=400, body={"error": "invalid_client"})
        if form["grant_type"] == "authorization_code" and form["code"] != "the-code":
            return Reply(status=400, body={"error": "invalid_grant"})
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
            return Reply(status=400, body={"error": "invalid_grant"})
        token, self.refresh = f"access-{uuid.uuid4()}", f"refresh-{uuid.uuid4()}"
        self.access.append(token)
        return Reply(body={"access_token": token, "refresh_token": self.refresh, "expires_in": 3600, "token_type": "Bearer"})

    def _filtered(self, rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        for name, value in query.items():
            # A filter that is not known is left out of account in silence.
            if name[:1].islower() or name.endswith("_comparison") or name in self.ignores:
                continue
            member = name[:1].lower() + name[1:]
            is_equal = query.get(f"{name}_comparison") == "Equals" or name in ("Id", "EmailAddress", "CustomerNumber")
            rows = [row for row in rows if _fits(str(row.get(member) or ""), value, is_equal=is_equal)]
        return rows

    def _taken(self, name: str, asked: Asked) -> Reply:
        row = asked.json
        if missing := [member for member in _REQUIRED[name] if row.get(member) in (None, "")]:
            return _problem(400, "One or more validation errors occurred.", {missing[0]: [f"The {missing[0]} field is required."]})
        if row.get("debtorCustomerNumber") and row["debtorCustomerNumber"] not in {
            one["customerNumber"] for one in self.rows["debtors"].values()
        }:
            return _problem(400, "One or more validation errors occurred.", {"DebtorCustomerNumber": ["The debtor does not exist."]})
        key = {"debtors": "customerNumber", "salesinvoiceswithlines": "invoiceNumber", "articles": "articleNumber"}.get(name, "")
        if key and row.get(key) and any(one.get(key) == row[key] for one in self.rows[name].values()):
            return _problem(400, "One or more validation errors occurred.", {key: ["It exists."]})
        if "currentStock" in row:
            return _problem(400, "One or more validation errors occurred.", {"CurrentStock": ["It cannot be edited."]})
        if (
            any(line.get("articleId") not in self.rows["articles"] for line in row["lines"]["_data"])
            if name == "SalesOrderWithLines"
            else False
        ):
            return _problem(400, "One or more validation errors occurred.", {"Lines": ["The article does not exist."]})
        if asked.query.get("validateOnly") == "true" and not self.writes_when_checking:
            return Reply(body={**row, "id": 0})
        made = self.add(name, row)
        return Reply(body=made if self.says_id else {})


def _fits(said: str, value: str, *, is_equal: bool) -> bool:
    return said.casefold() == value.casefold() if is_equal else value.casefold() in said.casefold()


def _listed(asked: Asked, rows: list[dict[str, Any]]) -> Reply:
    size, page = int(asked.query.get("pageSize", 25)), int(asked.query.get("page", 1))
    pages = max(-(-len(rows) // size), 1)
    meta = {
        "administrationId": TENANT,
        "totalCount": len(rows),
        "pageCount": pages,
        "nextPage": None,
        "previousPage": None,
        "self": asked.uri,
    }
    return Reply(body={"_data": rows[(page - 1) * size : page * size], "_meta": meta})


def _problem(status: int, title: str, errors: dict[str, list[str]] | None = None) -> Reply:
    return Reply(status=status, body={"title": title, "status": status, "detail": title, "traceId": "00-1", "errors": errors or {}})


SIMULATOR = AsperionSim
