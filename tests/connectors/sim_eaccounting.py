"""eAccounting as its public contract says it behaves: OAuth with refresh tokens that are good once, pages, a little OData, drafts."""

import base64
import datetime as dt
import math
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from prodsys.connectors._base import Grant, Known
from prodsys.documents import (
    Address,
    ArticleCard,
    ContactCard,
    DeliveryPlace,
    Exact,
    Invoice,
    InvoiceDraft,
    Percent,
    Person,
    SalesOrder,
    TradeLine,
    UnitPrice,
    Voucher,
    VoucherLine,
)
from prodsys.kit.clock import now
from prodsys.kit.vault import Secret
from tests.connectors.loopback import Asked, Reply, Simulator

TERMS, CODING, UNIT = (str(uuid.UUID(int=at)) for at in (30, 40, 50))
_REQUIRED = {
    "customers": ("Name", "InvoiceCity", "InvoicePostalCode", "TermsOfPaymentId", "IsPrivatePerson", "IsActive"),
    "articles": ("Number", "Name", "CodingId", "UnitId", "IsActive"),
    "orders": ("CustomerId", "CurrencyCode", "EuThirdParty", "ReverseChargeOnConstructionServices", "RotReducedInvoicingType", "Status"),
    "customerinvoicedrafts": ("CustomerId", "EuThirdParty", "RotReducedInvoicingType"),
    "customerinvoices": ("CustomerId", "EuThirdParty", "RotReducedInvoicingType", "Rows"),
    "vouchers": ("VoucherText", "Rows"),
    "articlelabels": ("Name",),
}
_SALES = ("orders", "customerinvoicedrafts", "customerinvoices")
_ROW_REQUIRED = {
    "orders": ("LineNumber", "IsTextRow", "IsWorkCost", "EligibleForReverseChargeOnVat"),
    "customerinvoicedrafts": ("IsTextRow", "ReversedConstructionServicesVatFree"),
    "vouchers": ("AccountNumber",),
}
_LONGEST = {"Name": 50, "InvoiceCity": 50, "InvoicePostalCode": 10, "Number": 40, "BuyersOrderReference": 35, "CustomerNumber": 16}
_UNIQUE = {"customers": "CustomerNumber", "articles": "Number"}
_TERM = re.compile(r"(\w+) (eq|ne|gt|ge|lt|le) ('(?:[^']|'')*'|[^ ]+)")
_CONTAINS = re.compile(r"contains\((\w+),'((?:[^']|'')*)'\)")


class EAccountingSim(Simulator):
    """One company with a sign-in, a customer and two articles."""

    name = "eaccounting"
    token_path = "/connect/token"

    def __init__(self) -> None:
        super().__init__()
        self.access = ["first-access-token"]
        self.refresh = "first-refresh-token"
        self.used_refresh: list[str] = []
        self.tokens_given = 0
        self.seconds = 3600
        self.page_size = 500
        self.made = 0
        self.rows: dict[str, dict[str, dict[str, Any]]] = {
            name: {} for name in (*_REQUIRED, "termsofpayments", "articleaccountcodings", "units", "deliverymethods")
        }
        self.rows["termsofpayments"][TERMS] = {"Id": TERMS, "Name": "30 dager", "NumberOfDays": 30}
        self.rows["articleaccountcodings"][CODING] = {"Id": CODING, "Name": "Varer 25 %", "VatRatePercent": 25}
        self.rows["units"][UNIT] = {"Id": UNIT, "Name": "Stykk", "Code": "stk"}
        self.customer = self.add(
            "customers",
            {
                "Name": "Nordlys AS",
                "CustomerNumber": "1001",
                "EmailAddress": "innkjop@nordlys.example",
                "InvoiceCity": "Oslo",
                "InvoicePostalCode": "0155",
                "TermsOfPaymentId": TERMS,
                "CurrencyCode": "NOK",
                "IsPrivatePerson": False,
                "IsActive": True,
            },
        )
        self.articles = {number: self.an_article(number) for number in ("A-100", "A-200")}
        for label in ("Colour: red", "Origin: NO"):
            self.add("articlelabels", {"Name": label})

    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="2001",
            name="Havn Bygg AS",
            organisation_number="974760673",
            email="post@havn.example",
            phone="+47 55 00 00 00",
            address=Address(street="Kaiveien", house_number="7B", postcode="5003", city="Bergen", country="NO"),
            deliver_to=DeliveryPlace(
                name="Lager 2", address=Address(street="Havnegata", house_number="2", postcode="5004", city="Bergen", country="NO")
            ),
            persons=[Person(name="Kari Havn", email="kari@havn.example")],
            currency="NOK",
            payment_terms=TERMS,
            note="Ring før levering",
        ),
        "articles": ArticleCard(
            number="B-300",
            name="Brakett 40 mm",
            price=UnitPrice("101.25"),
            price_with_tax=UnitPrice("126.56"),
            gtin="7041234567890",
            supplier_article_number="S-1",
            attributes={"Colour": "red"},
            features={"Origin": "NO"},
        ),
        "orders": SalesOrder(
            number="SO-1042",
            is_draft=True,
            date=dt.date(2026, 11, 21),
            currency="NOK",
            customer=ContactCard(number="1001", name="Nordlys AS"),
            customer_reference="PO-77",
            requested_date=dt.date(2026, 12, 1),
            deliver_to=DeliveryPlace(
                name="Lager 2", address=Address(street="Havnegata", house_number="2", postcode="5004", city="Bergen", country="NO")
            ),
            lines=[
                TradeLine(
                    line_id="0",
                    article_number="A-100",
                    description="Bolt",
                    quantity=Exact("12"),
                    unit_price=Exact("1.3"),
                    discount_percent=Percent("5"),
                ),
                TradeLine(line_id="1", kind="text", description="Leveres samlet"),
            ],
        ),
        "invoice_drafts": InvoiceDraft(
            number="SO-1043",
            date=dt.date(2026, 11, 21),
            currency="NOK",
            customer=ContactCard(number="1001", name="Nordlys AS"),
            customer_reference="PO-78",
            lines=[TradeLine(line_id="0", article_number="A-200", description="Mutter", quantity=Exact("3"), unit_price=Exact("0.45"))],
        ),
        "invoices": Invoice(
            number="SO-1044",
            date=dt.date(2026, 11, 21),
            due_date=dt.date(2026, 12, 21),
            currency="NOK",
            customer=ContactCard(number="1001", name="Nordlys AS"),
            lines=[TradeLine(line_id="0", article_number="A-200", description="Mutter", quantity=Exact("4"), unit_price=Exact("2.5"))],
            net=Exact("10"),
            tax=Exact("2.5"),
            gross=Exact("12.5"),
            status="open",
        ),
        "vouchers": Voucher(
            number="V-7",
            date=dt.date(2026, 11, 21),
            currency="XXX",
            description="Kjøp av skruer",
            lines=[
                VoucherLine(line_id="1", account="4300", amount=Exact("100.25"), description="Varekjøp"),
                VoucherLine(line_id="2", account="1920", amount=Exact("-100.25")),
            ],
        ),
    }
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "orders": ("status",),
        # Attributes come back as what they are to a stranger: features. An invoice and a voucher have the numbers of their series.
        "articles": ("attributes", "features"),
        "invoices": ("number",),
        "vouchers": ("number", "description"),
    }
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "contacts": [
            {
                "Id": "00000000-0000-4000-8000-000000000001",
                "CustomerNumber": "1001",
                "Name": "Nordlys AS",
                "InvoiceAddress2": "",
                "EmailAddress": "innkjop@example.no",
                "InvoiceAddress1": "Storgata 1",
                "InvoicePostalCode": "0155",
                "InvoiceCity": "Oslo",
                "InvoiceCountryCode": "NO",
                "TermsOfPayment": {"Id": TERMS, "Name": "30 dager"},
                "TermsOfPaymentId": TERMS,
                "IsPrivatePerson": False,
                "IsActive": True,
                "EmailAddresses": [],
                "DiscountPercentage": Decimal("0.0"),
                "ChangedUtc": "2026-11-20T12:00:00Z",
            }
        ],
        "articles": [
            {
                "Id": "00000000-0000-4000-8000-000000000002",
                "IsActive": True,
                "Number": "SKU-1",
                "Name": "Brakett 40 mm",
                "NetPrice": Decimal("101.25"),
                "GrossPrice": Decimal("126.56"),
                "CodingId": CODING,
                "UnitId": UNIT,
                "UnitAbbreviation": "stk",
                "StockBalance": Decimal("50.0"),
                "StockBalanceReserved": Decimal("4.0"),
                "StockBalanceAvailable": Decimal("46.0"),
                "ArticleLabels": [],
                "IsStock": True,
                "Barcodes": [{"Barcode": "7041234567890", "BarcodeType": 0}],
            }
        ],
    }

    def config(self) -> dict[str, Any]:
        return {
            "client_id": "fjord-client",
            "client_secret": "a-client-secret-of-theirs",
            "terms_of_payment": TERMS,
            "coding": CODING,
            "unit": UNIT,
            "base_url": f"{self.url}/v2",
            "identity_url": self.url,
        }

    def grant(self) -> Grant:
        return Grant(access_token=Secret(self.access[-1]), refresh_token=Secret(self.refresh), expires_at=now() + dt.timedelta(hours=1))

    def wrong(self) -> dict[str, Any]:
        self.expire()
        return {"client_secret": "not-the-secret"}

    def expire(self) -> bool:
        self.access = []
        return True

    def error(self, message: str) -> tuple[int, Any]:
        return 400, {
            "ErrorCode": 2000,
            "DeveloperErrorMessage": message,
            "ErrorId": str(uuid.uuid4()),
            "Errors": [{"Field": "CustomerId", "Message": message}],
        }

    def held(self, kind: str) -> int:
        return len(
            self.rows[
                {
                    "contacts": "customers",
                    "stock": "articles",
                    "order_status": "orders",
                    "invoice_drafts": "customerinvoicedrafts",
                    "invoices": "customerinvoices",
                }.get(kind, kind)
            ]
        )

    def known(self, kind: str) -> Known:
        return Known(customer=self.customer, articles=self.articles)

    def an_article(self, number: str, **more: Any) -> str:
        """An article that is there already; its id."""
        row = {
            "Number": number,
            "Name": f"Bolt {number}",
            "CodingId": CODING,
            "UnitId": UNIT,
            "IsActive": True,
            "NetPrice": Decimal("1.30"),
            "StockBalance": 50,
            "StockBalanceReserved": 4,
            "StockBalanceAvailable": 46,
            "IsStock": True,
        }
        return self.add("articles", row | more)

    def add(self, name: str, row: dict[str, Any]) -> str:
        """Put a row into a list; its id."""
        # One after the other, so that an example is the same each time.
        self.made += 1
        made = str(uuid.UUID(int=1000 + self.made))
        at = now().strftime("%Y-%m-%dT%H:%M:%SZ")
        stamp = {"ModifiedUtc": at} if name in (*_SALES, "vouchers") else {"ChangedUtc": at}
        self.rows[name][made] = {"Id": made, **stamp, **row}
        return made

    async def answer(self, asked: Asked) -> Reply:
        if asked.path == self.token_path:
            return self._token(asked)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            return self._fault(401, 4005, "Not authorized")
        match asked.method, asked.path.removeprefix("/v2/").split("/"):
            case "GET", ["companysettings"]:
                return Reply(body={"Name": "Fjord Lager AS"})
            case "GET", [name] if name in self.rows:
                return self._listed(name, asked.query)
            case "GET", [name, id] if name in self.rows and name != "vouchers":
                row = self.rows[name].get(id)
                return Reply(body=row) if row else self._fault(404, 3000, "The resource was not found")
            case "POST", [name] if name in _REQUIRED:
                return self._create(name, asked.json)
            case "PUT", [name, id] if id in self.rows.get(name, {}):
                if wrong := self._wrong(name, asked.json, id):
                    return wrong
                self.rows[name][id] = asked.json | {"Id": id}
                return Reply(body=self.rows[name][id])
            case _:
                return self._fault(404, 3000, "The resource was not found")

    def _token(self, asked: Asked) -> Reply:
        expected = "Basic " + base64.b64encode(b"fjord-client:a-client-secret-of-theirs").decode()
        if asked.headers.get("authorization") != expected:
            return Reply(status=400, body={"error": "invalid_client"})
        form = asked.form
        if form["grant_type"] == "authorization_code" and form["code"] != "the-code":
            return Reply(status=400, body={"error": "invalid_grant"})
        if form["grant_type"] == "refresh_token":
            self.used_refresh.append(form["refresh_token"])
            if form["refresh_token"] != self.refresh:
                return Reply(status=400, body={"error": "invalid_grant"})
        self.tokens_given += 1
        token, self.refresh = f"access-{uuid.uuid4()}", f"refresh-{uuid.uuid4()}"
        self.access.append(token)
        return Reply(body={"access_token": token, "refresh_token": self.refresh, "expires_in": self.seconds, "token_type": "Bearer"})

    def _listed(self, name: str, query: dict[str, str]) -> Reply:
        rows = list(self.rows[name].values())
        for member, operator, value in _TERM.findall(query.get("$filter", "")):
            rows = [row for row in rows if _fits(row.get(member), operator, value)]
        for member, value in _CONTAINS.findall(query.get("$filter", "")):
            rows = [row for row in rows if value.replace("''", "'") in str(row.get(member) or "")]
        size = min(int(query.get("$pagesize", 50)), self.page_size)
        page = int(query.get("$page", 1))
        meta = {
            "CurrentPage": page,
            "PageSize": size,
            "TotalNumberOfPages": math.ceil(len(rows) / size) or 1,
            "TotalNumberOfResults": len(rows),
            "ServerTimeUtc": now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return Reply(body={"Meta": meta, "Data": rows[(page - 1) * size : page * size]})

    def _create(self, name: str, row: dict[str, Any]) -> Reply:
        if wrong := self._wrong(name, row, ""):
            return wrong
        at = len(self.rows[name]) + 1
        if name in _SALES:
            customer = self.rows["customers"][row["CustomerId"]]
            row |= {"CustomerName": customer["Name"], "CustomerNumber": customer.get("CustomerNumber")}
        if name == "orders":
            row |= {"Number": at}
        if name == "customerinvoicedrafts":
            row |= {"InvoiceCurrencyCode": customer.get("CurrencyCode")}
        if name == "customerinvoices":
            net = sum(line["Quantity"] * line["UnitPrice"] for line in row["Rows"] if not line["IsTextRow"])
            row |= {
                "CurrencyCode": customer.get("CurrencyCode"),
                "InvoiceNumber": 5000 + at,
                "TotalAmountInvoiceCurrency": net * Decimal("1.25"),
                "TotalVatAmountInvoiceCurrency": net * Decimal("0.25"),
                "RemainingAmountInvoiceCurrency": net * Decimal("1.25"),
            }
        if name == "vouchers":
            row |= {"NumberAndNumberSeries": f"A{at}", "NumberSeries": "A"}
        if row.get("ArticleLabels"):
            row["ArticleLabels"] = [self.rows["articlelabels"][label["Id"]] for label in row["ArticleLabels"]]
        return Reply(status=201, body=self.rows[name][self.add(name, row)])

    def _wrong(self, name: str, row: dict[str, Any], id: str) -> Reply | None:
        missing = [member for member in _REQUIRED[name] if row.get(member) is None]
        for line in row.get("Rows") or []:
            missing += [f"Rows.{member}" for member in _ROW_REQUIRED.get(name, ()) if line.get(member) is None]
            if line.get("ArticleId") and line["ArticleId"] not in self.rows["articles"]:
                return self._fault(400, 3000, "The article was not found")
        if missing:
            return self._fault(400, 2000, f"The {missing[0]} field is required.")
        for member, longest in _LONGEST.items():
            if len(str(row.get(member) or "")) > longest:
                return self._fault(400, 2000, f"The field {member} must be at most {longest} characters.")
        if name in _SALES and row["CustomerId"] not in self.rows["customers"]:
            return self._fault(400, 3000, "The customer was not found")
        if any(label.get("Id") not in self.rows["articlelabels"] for label in row.get("ArticleLabels") or []):
            return self._fault(400, 3000, "The article label was not found")
        if name == "vouchers" and sum(line.get("DebitAmount", 0) - line.get("CreditAmount", 0) for line in row["Rows"]):
            return self._fault(400, 2000, "Debit and credit are not the same.")
        unique = _UNIQUE.get(name)
        if unique and row.get(unique) and any(one.get(unique) == row[unique] and key != id for key, one in self.rows[name].items()):
            return self._fault(400, 4000, f"{unique} is not unique.")
        return None

    def _fault(self, status: int, code: int, message: str) -> Reply:
        return Reply(
            status=status, body={"ErrorCode": code, "DeveloperErrorMessage": message, "ErrorId": str(uuid.uuid4()), "Errors": None}
        )


def _fits(value: Any, operator: str, wanted: str) -> bool:
    if wanted.startswith("'"):
        wanted = wanted[1:-1].replace("''", "'")
    said = str(value if value is not None else "")
    return {
        "eq": said == wanted,
        "ne": said != wanted,
        "ge": said >= wanted,
        "gt": said > wanted,
        "le": said <= wanted,
        "lt": said < wanted,
    }[operator]


SIMULATOR = EAccountingSim
