"""CCV Shop as its documents say it behaves: signed calls and answers, sets of rows, orders that are found by the day they were made."""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from prodsys.connectors._base import Known
from prodsys.documents import Address, ArticleCard, ContactCard, DeliveryPlace, Exact, Percent, Person, SalesOrder, TradeLine, UnitPrice
from prodsys.kit.clock import now
from tests.connectors.loopback import Asked, Reply, Simulator

PUBLIC, SECRET = "fjord-public", "a-secret-key-of-the-shop"
ROOT = "/api/rest/v1/"
_HOME = Address(street="Kade", house_number="7B", postcode="3011 AA", city="Rotterdam", country="NL")
_TARIFFS = {"normal", "low a", "low b", "extra low", "zero"}
_PRODUCT_REQUIRED = ("name", "price", "discount", "package_id")


def signature(method: str, uri: str, body: bytes, date: str, secret: str = SECRET) -> str:
    """What a call or an answer is signed with."""
    said = f"{PUBLIC}|{method}|{uri}|".encode() + body + f"|{date}".encode()
    return hmac.new(secret.encode(), said, hashlib.sha512).hexdigest()


class CcvSalesPosSim(Simulator):
    """One shop with a customer, two products, and an order of a passer-by."""

    name = "ccv_salespos"
    only_changed = ("stock", "order_status")

    def __init__(self) -> None:
        super().__init__()
        self.made = 100
        self.size = 100
        self.secret = SECRET
        self.skew = dt.timedelta()
        self.answer_date: str | None = None
        self.rows: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in ("users", "products", "orders", "invoices")}
        self.order_rows: dict[int, list[dict[str, Any]]] = {}
        self.customer = self.add("users", {
            "username": "inkoop@nordlys.example", "status": True,
            "userinfo": {"email": "inkoop@nordlys.example", "reference": "1001", "billingaddress": {"company": "Nordlys BV"}},
        })  # fmt: skip
        self.articles = {number: str(self.a_product(number)) for number in ("A-100", "A-200")}
        self.sell("1042", {"status": 1, "paid": True})

    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="2001", name="Haven Bouw BV", organisation_number="24000000", vat_number="NL001234567B01", email="post@haven.example",
            phone="+31101234567", address=_HOME, persons=[Person(name="Kari Haven")],
            deliver_to=DeliveryPlace(name="Magazijn 2", address=Address(street="Kade", house_number="9", city="Rotterdam", country="NL")),
        ),
        "articles": ArticleCard(
            number="B-300", name="Beugel 40 mm", text="Beugel", description="Beugel van staal", price_with_tax=UnitPrice("126.56"),
            gtin="8712345678906", supplier_article_number="S-1", unit="stuk", tax_code="low a", categories=["Bouw", "Beugels"],
        ),
        "orders": SalesOrder(
            number="SO-1042", date=dt.date(2026, 11, 21), currency="EUR", is_paid=True, requested_date=dt.date(2026, 12, 1),
            customer=ContactCard(number="1001", name="Nordlys BV", email="inkoop@nordlys.example", address=_HOME,
                                 persons=[Person(name="Kari Haven")]),
            deliver_to=DeliveryPlace(name="Magazijn 2", address=Address(street="Kade", house_number="9", city="Rotterdam", country="NL")),
            note="Bel eerst", shipping_method="shipping",
            lines=[
                TradeLine(line_id="1", article_number="A-100", description="Bolt A-100", quantity=Exact("12"), unit_price=Exact("1.3"),
                          discount_percent=Percent("5"), note="Blauw"),
                TradeLine(line_id="total_shipping", kind="charge", description="Shipping", quantity=Exact("1"), unit_price=Exact("4.95")),
            ],
        ),
    }  # fmt: skip
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {"orders": ("date", "line_id", "is_draft")}
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "contacts": [{"href": "…/users/9/", "id": 9, "username": "jan", "group_id": None, "status": False, "userinfo": {
            "email": "jan@example.nl", "customertype": "b2c", "reference": None, "billingaddress": {
                "first_name": "Jan", "last_name": "de Vries", "company": None, "address_line_1": "Straat 1", "country_code": "NL"}}}],
        "orders": [{"id": 7, "ordernumber_full": "POS-7", "create_date": "2026-11-20T10:00:00Z", "status": 7, "paid": True,
                    "currency": "EUR", "customer": None, "total_shipping": 0, "extra_costs": Decimal("-1.5"),
                    "orderrows": {"href": "…"}, "rows": [{"id": 1, "product_number": "A", "count": 2, "price": Decimal("3.50")}]}],
        "order_status": [{"id": 8, "ordernumber_full": "8", "status": 5, "paid": False, "track_and_trace_code": "3SABC"}],
        "invoices": [{"id": 3, "invoicenumber_full": "F-3", "ordernumber_full": "POS-7", "create_date": "2026-11-20T10:00:00Z",
                      "status": "reimbursed", "type": "credit", "currency": "EUR", "total_price_exc_tax": 10, "total_tax": Decimal("2.1"),
                      "total_price_inc_tax": Decimal("12.1"), "customer": {"email": "jan@example.nl"}, "rows": []}],
    }  # fmt: skip

    def config(self) -> dict[str, Any]:
        return {"base_url": self.url, "public_key": PUBLIC, "secret_key": SECRET, "package": 3}

    def wrong(self) -> dict[str, Any]:
        return {"secret_key": "not-the-secret"}

    def error(self, message: str) -> tuple[int, Any]:
        # A refusal that comes as a breakdown.
        return 500, {"status": 500, "code": "500.22", "developermessage": message}

    def held(self, kind: str) -> int:
        return len(self.rows[{"contacts": "users", "articles": "products", "stock": "products", "order_status": "orders"}.get(kind, kind)])

    def known(self, kind: str) -> Known:
        return Known(customer=str(self.customer), articles=self.articles)

    def add(self, name: str, row: dict[str, Any]) -> int:
        """Put a row into a list; its id."""
        self.made += 1
        at = f"{now():%Y-%m-%dT%H:%M:%SZ}"
        self.rows[name][self.made] = {"href": f"https://shop.example{ROOT}{name}/{self.made}/", "id": self.made, "create_date": at, **row}
        return self.made

    def a_product(self, number: str, **more: Any) -> int:
        """A product that is there already; its id."""
        row = {"productnumber": number, "name": f"Bolt {number}", "price": Decimal("1.57"), "discount": 0, "taxtariff": "normal",
               "active": True, "package_id": 3, "stockenabled": True, "stock": 46}  # fmt: skip
        return self.add("products", row | more)

    def sell(self, number: str, more: dict[str, Any], count: int = 1) -> int:
        """An order rung up in the shop, with so many rows; its id."""
        made = self.add("orders", {"ordernumber_full": number, "is_completed": True, "currency": "EUR", "customer": None,
                                   "total_shipping": 0, "order_row_taxes_included": True, **more})  # fmt: skip
        self.order_rows[made] = [{"id": at, "product_number": "A-100", "product_name": "Bolt", "count": 2, "price": Decimal("1.57"),
                                  "discount": 0, "tax": 21} for at in range(1, count + 1)]  # fmt: skip
        return made

    async def answer(self, asked: Asked) -> Reply:
        reply = self._answered(asked)
        date = self.answer_date or f"{now() - self.skew:%Y-%m-%dT%H:%M:%SZ}"
        signed = {"x-date": date, "x-hash": signature(asked.method, asked.uri, reply.content(), date, self.secret)}
        said = {"date": f"{now() - self.skew:%a, %d %b %Y %H:%M:%S GMT}"} if self.skew else {}
        return Reply(status=reply.status, raw=reply.content(), headers={**signed, **said, "content-type": asked.headers.get("accept", "")})

    def _answered(self, asked: Asked) -> Reply:
        date, made = asked.headers.get("x-date", ""), asked.headers.get("x-hash", "")
        if asked.headers.get("x-public") != PUBLIC or not hmac.compare_digest(made, signature(asked.method, asked.uri, asked.body, date)):
            return _fault(401, "401.10", "The hash does not fit")
        if abs(now() - self.skew - dt.datetime.fromisoformat(date)) > dt.timedelta(minutes=5):
            return _fault(401, "401.20", "The x-date is too far off")
        if asked.headers.get("accept") != "application/vnd.verto.salespos+json":
            return _fault(406, "406.10", "Not acceptable")
        if not asked.path.endswith("/"):
            return Reply(status=301, headers={"location": f"{asked.path}/"})
        match asked.method, asked.path.removeprefix(ROOT).strip("/").split("/"):
            case "GET", [""]:
                return Reply(body={"items": [{"href": f"https://shop.example{ROOT}{one}/", "title": one, "uri": f"/{one}/"}
                                             for one in self.rows]})  # fmt: skip
            case "GET", ["paymethods"]:
                return Reply(body={"items": [{"id": 1, "combined_name": "pin", "label": "PIN"}]})
            case "GET", [name] if name in self.rows:
                return self._listed(asked, list(self.rows[name].values()))
            case "GET", [name, id] if name in self.rows:
                row = self.rows[name].get(int(id))
                return Reply(body=row) if row else _fault(404, "404.20", "No such resource")
            case "GET", ["orders" | "invoices", id, "orderrows" | "invoicerows"]:
                return self._listed(asked, self.order_rows.get(int(id), []))
            case "POST", [name] if name in ("users", "products", "orders"):
                return self._create(name, asked.json)
            case "PATCH", [name, id] if int(id) in self.rows.get(name, {}):
                row = self.rows[name][int(id)]
                if all(row.get(member) == value for member, value in asked.json.items()):
                    return _fault(500, "500.50", "The value is the same")
                row.update(asked.json)
                return Reply(raw=b"null")
            case _:
                return _fault(404, "404.20", "No such resource")

    def _listed(self, asked: Asked, rows: list[dict[str, Any]]) -> Reply:
        query = asked.query
        for member in ("productnumber", "eannumber", "status"):
            if member in query:
                rows = [row for row in rows if str(row.get(member, "")) == query[member]]
        if "is_paid" in query:
            rows = [row for row in rows if row.get("paid") is (query["is_paid"] == "true")]
        if "min_create_date" in query:
            rows = [row for row in rows if row["create_date"] >= query["min_create_date"]]
        start, size = int(query.get("start", 0)), min(int(query.get("size", 25)), self.size)
        path = f"https://shop.example{asked.path}"
        is_last = start + size >= len(rows)
        return Reply(body={"start": start, "size": size, "href": path, "first": path, "previous": None,
                           "next": None if is_last else f"{path}?start={start + size}&size={size}",
                           "items": rows[start : start + size]})  # fmt: skip

    def _create(self, name: str, row: dict[str, Any]) -> Reply:
        if name == "users":
            if not row.get("username") or not row.get("password"):
                return _fault(500, "500.22", "The properties username and password are required")
            if any(one["username"] == row["username"] for one in self.rows["users"].values()):
                return _fault(500, "500.40", "The username exists")
            row = {member: value for member, value in row.items() if member != "password"}
        if name == "products":
            if missing := [member for member in _PRODUCT_REQUIRED if row.get(member) is None]:
                return _fault(500, "500.22", f"The property {missing[0]} is required")
            if row.get("taxtariff") not in _TARIFFS:
                return _fault(500, "500.22", "The property taxtariff is none of the tariffs")
        lines = []
        for at, line in enumerate(row.pop("orderrows", []), 1):
            product = self.rows["products"].get(line.get("product_id"), {})
            if not product and any(line.get(member) is None for member in ("product_name", "product_number", "price", "package_id")):
                return _fault(500, "500.22", "An order row needs a product_id, or all of product_name, product_number, price, package_id")
            told = {"product_name": product["name"], "product_number": product["productnumber"]} if product else {}
            lines.append({"tax": 21, "discount": 0, **line, **told, "id": at})
        made = self.add(name, {"ordernumber_full": str(self.made), "is_completed": True, **row} if name == "orders" else row)
        if name == "orders":
            self.order_rows[made] = lines
        return Reply(status=201, body=self.rows[name][made])


def _fault(status: int, code: str, message: str) -> Reply:
    return Reply(status=status, body={"status": status, "code": code, "developermessage": message})


SIMULATOR = CcvSalesPosSim
