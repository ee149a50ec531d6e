"""A plain HTTP/JSON system of the kind people write themselves: a key, lists by page, records found by a parameter."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from prodsys.connectors._base import Known
from prodsys.documents import Address, ArticleCard, ContactCard, Exact, SalesOrder, TradeLine, UnitPrice
from tests.connectors.loopback import Asked, Reply, Simulator

_LISTS = {"contacts": "clients", "articles": "products", "orders": "orders"}
_FIELDS = {
    "contacts": {
        "number": "code",
        "name": "title",
        "email": "mail",
        "address.street": "street",
        "address.house_number": "house",
        "address.postcode": "zip",
        "address.city": "town",
        "address.country": "land",
    },
    "articles": {"number": "sku", "name": "title", "price": "price.net", "currency": "price.currency", "gtin": "ean"},
    "orders": {
        "number": "ref",
        "date": "day",
        "currency": "currency",
        "customer.name": "client.title",
        "customer.email": "client.mail",
        "lines[].line_id": "rows[].no",
        "lines[].article_number": "rows[].sku",
        "lines[].quantity": "rows[].count",
        "lines[].unit_price": "rows[].price",
    },
}
_FIND = {"contacts": {"number": "code", "email": "mail"}, "articles": {"number": "sku"}, "orders": {"number": "ref"}}


class RestSim(Simulator):
    """A shop of their own making."""

    name = "rest"
    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="C-7",
            name="Havn Bygg AS",
            email="post@havn.example",
            address=Address(street="Kaiveien", house_number="7B", postcode="5003", city="Bergen", country="NO"),
        ),
        "articles": ArticleCard(number="B-300", name="Brakett 40 mm", price=UnitPrice("101.25"), currency="NOK", gtin="7041234567890"),
        "orders": SalesOrder(
            number="SO-1042",
            date=dt.date(2026, 11, 21),
            currency="NOK",
            customer=ContactCard(name="Nordlys AS", email="innkjop@nordlys.example"),
            lines=[TradeLine(line_id="1", article_number="A-100", quantity=Exact("12"), unit_price=Exact("1.3"))],
        ),
    }
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "articles": [{"id": 1, "sku": "A-100", "title": "Bolt", "price": {"net": Decimal("1.30"), "currency": "NOK"}, "colour": "blue"}]
    }

    def __init__(self) -> None:
        super().__init__()
        self.key = "a-key-of-ours"
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _LISTS.values()}

    def config(self) -> dict[str, Any]:
        described = {
            kind: {
                "path": f"/{name}",
                "rows": "data",
                "fields": _FIELDS[kind],
                "find": _FIND[kind],
                "writes": True,
                "update": "put",
                "changed": "changed",
            }
            for kind, name in _LISTS.items()
        }
        return {
            "base_url": f"{self.url}/api",
            "probe": "/ping",
            "sign_in": "key",
            "secret": self.key,
            "key_prefix": "Bearer",
            "pages": "number",
            "page_size": 2,
            "resources": described,
        }

    def wrong(self) -> dict[str, Any]:
        return {"secret": "another-key"}

    def held(self, kind: str) -> int:
        return len(self.rows[_LISTS[kind]])

    def known(self, kind: str) -> Known:
        return Known()

    async def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(status=401, body={"message": "No such key"})
        match asked.method, asked.path.removeprefix("/api/").split("/"):
            case "GET", ["ping"]:
                return Reply(body={"ok": True})
            case "GET", [name] if name in self.rows:
                query = asked.query
                at, size = int(query.get("page", 1)), int(query.get("limit", 100))
                wanted = {field: value for field, value in query.items() if field not in ("page", "limit")}
                rows = [row for row in self.rows[name] if all(str(row.get(field)) == value for field, value in wanted.items())]
                return Reply(body={"data": rows[(at - 1) * size : at * size]})
            case "GET", [name, id] if name in self.rows:
                found = [row for row in self.rows[name] if str(row["id"]) == id]
                return Reply(body=found[0]) if found else Reply(status=404, body={"message": "No such record"})
            case "POST", [name] if name in self.rows:
                row = {"id": len(self.rows[name]) + 1, **asked.json}
                self.rows[name].append(row)
                return Reply(status=201, body=row)
            case "PUT", [name, id] if name in self.rows:
                [row] = [row for row in self.rows[name] if str(row["id"]) == id]
                row |= asked.json
                return Reply(body=row)
            case _:
                return Reply(status=404, body={"message": "No such address"})


SIMULATOR = RestSim
