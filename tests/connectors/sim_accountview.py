"""AccountView as the code of its clients shows it: tables with definitions, filters by number, a company header, errors inside 200."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from prodsys.connectors._base import Grant, Known
from prodsys.documents import Address, ArticleCard, ContactCard, DeliveryPlace, Exact, Percent, Person, SalesOrder, TradeLine, UnitPrice
from prodsys.kit.clock import now
from prodsys.kit.vault import Secret
from tests.connectors.loopback import Asked, Reply, Simulator

COMPANY = "b3e1e950-d3aa-4005-ac58-fe057c9dc624"
CLIENT, SECRET = "fjord-key", "a-secret-of-the-application"
_TABLE = {"AR1": "CONTACT", "AK1": "ARTICLE", "SO1": "SO_HDR", "ADDR": "DEL_ADDR", "VA1": "VAT"}
_KEY = {"CONTACT": "SUB_NR", "ARTICLE": "ART_CODE", "SO_HDR": "REC_ID", "DEL_ADDR": "REC_ID", "VAT": "VAT_CODE"}
_REQUIRED = {"CONTACT": ("ACCT_NR", "ACCT_NAME", "SRC_CODE"), "ARTICLE": ("ART_CODE", "ART_DESC1"), "SO_HDR": ("RPL_INV", "ORD_DATE")}
_LONGEST = {"ACCT_NAME": 40, "SRC_CODE": 10, "DEB_NR": 10, "CITY": 35, "POST_CODE": 10, "MAIL_BUS": 50, "TEL_BUS": 20, "ACCT_NR": 10}
_LITERAL = re.compile(r"\{\^(\d{4}-\d\d-\d\d) 00:00:00\}")
PLACE = DeliveryPlace(
    name="Magazijn 2", address=Address(street="Havenweg", house_number="2", postcode="3011 AA", city="Rotterdam", country="NL")
)


class AccountViewSim(Simulator):
    """One company with a debtor and two articles, behind a relay."""

    name = "accountview"
    token_path = "/api/v3/token"

    def __init__(self) -> None:
        super().__init__()
        self.access = ["first-access-token"]
        self.refresh = "first-refresh-token"
        self.made = 0
        self.inside_200 = True
        self.is_silent = False
        self.rows: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in _KEY}
        debtor = {"ACCT_NAME": "Nordlys BV", "DEB_NR": "1001", "MAIL_BUS": "inkoop@nordlys.example", "ACCT_NR": "1210"}
        self.customer = self.add("CONTACT", debtor | {"SRC_CODE": "NORDLYS"})
        for number in ("A-100", "A-200"):
            self.an_article(number)
        self.add("VAT", {"VAT_CODE": "1", "VAT_NAME": "BTW hoog", "VAT_PCT": 21})

    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="2001", name="Haven Bouw BV", organisation_number="12345678", vat_number="NL999999999B01", email="post@haven.example",
            phone="+31101234567", currency="EUR", payment_terms="30", tax_code="1", language="NL", note="Bel eerst",
            address=Address(street="Kade", house_number="7B", postcode="3511 AB", city="Utrecht", country="NL"),
            persons=[Person(name="Kari Haven", email="kari@haven.example")],
        ),
        "articles": ArticleCard(number="B-300", name="Beugel 40 mm", price=UnitPrice("101.25"), categories=["BEUGELS"]),
        "orders": SalesOrder(
            number="SO-1042", date=dt.date(2026, 11, 21), currency="EUR", requested_date=dt.date(2026, 12, 1), customer_reference="PO-77",
            customer=ContactCard(number="10001", name="?", email="inkoop@nordlys.example"), employee_number="999999",
            lines=[
                TradeLine(line_id="1", article_number="A-100", quantity=Exact("12"), unit_price=Exact("1.3"), discount_percent=Percent("5"),
                          requested_date=dt.date(2026, 12, 1)),
                TradeLine(line_id="2", article_number="A-200", quantity=Exact("1"), unit_price=Exact("0.45"),
                          requested_date=dt.date(2026, 12, 3)),
            ],
        ),
    }  # fmt: skip
    not_mapped: ClassVar[Mapping[str, tuple[str, ...]]] = {"orders": ("is_draft", "discount_percent", "unit_price")}
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "contacts": [{"ACCT_NR": "1210", "SUB_NR": "10001     ", "ACCT_NAME": "Nordlys BV", "SRC_CODE": "NORDLYS",
                      "ADDRESS1": "Oudegracht 1", "POST_CODE": "3511 AB", "CITY": "Utrecht", "BOX_CITY": "Utrecht", "CNT_CODE": "NL",
                      "MAIL_BUS": "inkoop@example.nl", "TEL_BUS": "+31301234567", "VAT_NR": "NL999999999B01", "COC_CODE": "12345678",
                      "CUR_CODE": "EUR", "DISC_CODE": "30", "CRED_LIM": 0, "BLK_SP": False, "REC_BLK": False,
                      "CNG_DATE": "2026-11-20T12:00:00", "EXT_KEY": 0, "CONTACT_Id": 0}],
        "articles": [{"ART_CODE": "SKU-1", "ART_DESC1": "Beugel 40 mm", "AG_CODE": "BEUGELS", "PX_SELL": Decimal("101.25"),
                      "COST_PX": Decimal("60.0"), "QTY_TECH": Decimal("50.0"), "QTY_AVAIL": Decimal("46.0"),
                      "QTY_BESTEL": Decimal("10.0"), "CNG_DATE": "2026-11-20T12:00:00", "ARTICLE_Id": 0}],
        "stock": [{"ART_CODE": "SKU-1", "QTY_TECH": Decimal("50.0"), "QTY_AVAIL": Decimal("46.0"), "QTY_BESTEL": Decimal("10.0")}],
    }  # fmt: skip

    def config(self) -> dict[str, Any]:
        return {"client_id": CLIENT, "client_secret": SECRET, "company": COMPANY, "control_account": "1210",
                "base_url": f"{self.url}/api/v3", "sign_in_url": f"{self.url}/ams/authorize.aspx"}  # fmt: skip

    def grant(self) -> Grant:
        return Grant(access_token=Secret(self.access[-1]), refresh_token=Secret(self.refresh), expires_at=now() + dt.timedelta(hours=1))

    def wrong(self) -> dict[str, Any]:
        self.expire()
        return {"client_secret": "not-the-secret"}

    def expire(self) -> bool:
        self.access = []
        return True

    def error(self, message: str) -> tuple[int, Any]:
        return 200, {"ErrorType": "AccountViewError", "ErrorNumbers": None, "ErrorMessage": message}

    def held(self, kind: str) -> int:
        return len(self.rows[{"contacts": "CONTACT", "orders": "SO_HDR"}.get(kind, "ARTICLE")])

    def known(self, kind: str) -> Known:
        return Known(customer=self.customer, articles={"A-100": "A-100", "A-200": "A-200"})

    def add(self, table: str, row: dict[str, Any]) -> str:
        """Put a row into a table; its key."""
        self.made += 1
        key = _KEY[table]
        made = str(row.get(key) or (f"A{self.made:09}" if key == "REC_ID" else str(10_000 + self.made)))
        stamp = {"CNG_DATE": f"{now():%Y-%m-%dT%H:%M:%S}", "EXT_KEY": 0, f"{table}_Id": self.made}
        # Texts of a fixed length are filled up, as its tables hold them.
        self.rows[table][made] = {**stamp, **row, key: f"{made:<10}"}
        return made

    def an_article(self, number: str, **more: Any) -> str:
        """An article that is there already."""
        return self.add("ARTICLE", {"ART_CODE": number, "ART_DESC1": f"Bolt {number}", "PX_SELL": Decimal("1.30"), "QTY_TECH": 50,
                                    "QTY_AVAIL": 46, "QTY_BESTEL": 10, **more})  # fmt: skip

    async def answer(self, asked: Asked) -> Reply:
        if asked.path == self.token_path:
            return self._token(asked.form)
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            return Reply(status=401, body={"Message": "Authorization has been denied for this request."})
        if asked.path == "/api/v3/companies":
            return Reply(body=[{"Id": COMPANY, "Description": "Demo BV", "Code": "DEMO"}])
        if asked.headers.get("x-company") != COMPANY:
            return self._fault("Onderneming onbekend.", 400)
        if asked.path != "/api/v3/accountviewdata":
            return Reply(status=404, body={"Message": "No HTTP resource was found."})
        if asked.method == "GET":
            return self._listed(asked.query)
        return self._taken(asked.json, is_new=asked.method == "POST")

    def _token(self, form: dict[str, str]) -> Reply:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return Reply(status=400, body={"error": "invalid_client"})
        if form["grant_type"] == "authorization_code" and form["code"] != "the-code":
            return Reply(status=400, body={"error": "invalid_grant"})
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.refresh:
            return Reply(status=400, body={"error": "invalid_grant"})
        token, self.refresh = f"access-{uuid.uuid4()}", f"refresh-{uuid.uuid4()}"
        self.access.append(token)
        return Reply(body={"access_token": token, "refresh_token": self.refresh, "token_type": "bearer"})

    def _listed(self, query: dict[str, str]) -> Reply:
        table = _TABLE[query["BusinessObject"]]
        rows = list(self.rows[table].values())
        for at in range(1, 10):
            if f"FilterControlSource{at}" not in query:
                break
            member, value = query[f"FilterControlSource{at}"], query[f"FilterValue{at}"]
            match query[f"FilterOperator{at}"]:
                case "Equal":
                    rows = [row for row in rows if str(row.get(member) or "").rstrip() == value]
                case "DateOnOrAfterDate":
                    found = _LITERAL.fullmatch(value)
                    if not found or query[f"FilterValueType{at}"] not in "TD":
                        return self._fault("Ongeldige datum.", 400)
                    rows = [row for row in rows if row[member] >= found[1]]
                case _:
                    return self._fault("Onbekende operator.", 400)
        size, page = int(query.get("PageSize", 50)), int(query.get("PageNumber", 1))
        part = rows[(page - 1) * size : page * size]
        # An empty result is a table that is not there at all.
        return Reply(body={table: part, "USR_LINK": []} if part else {})

    def _taken(self, said: dict[str, Any], *, is_new: bool) -> Reply:
        table = _TABLE[said["BusinessObject"]]
        definition, data = said["Table"], said["TableData"]
        if definition["Definition"]["Name"] != table:
            return self._fault("Tabel onbekend.")
        names = [field["Name"] for field in definition["Definition"]["Fields"]]
        [values] = [row["Values"] for row in data["Data"]["Rows"]]
        details: list[dict[str, Any]] = []
        for detail, listed in zip(definition.get("DetailDefinitions", []), data.get("DetailData", []), strict=True):
            members = [field["Name"] for field in detail["Fields"]]
            if any(len(one["Values"]) != len(members) for one in listed["Rows"]):
                return self._fault("Aantal waarden komt niet overeen met aantal velden.")
            details += [dict(zip(members, one["Values"], strict=True)) for one in listed["Rows"]]
        if len(values) != len(names):
            return self._fault("Aantal waarden komt niet overeen met aantal velden.")
        row = {name: value for name, value in zip(names, values, strict=True) if name != "RowId"}
        if is_new:
            if missing := [name for name in _REQUIRED.get(table, ()) if not row.get(name)]:
                return self._fault(f"{missing[0]} is verplicht.")
        elif row[_KEY[table]] not in self.rows[table]:
            return self._fault("Record bestaat niet.")
        if long := [name for name, longest in _LONGEST.items() if len(str(row.get(name) or "")) > longest]:
            return self._fault(f"{long[0]} is te lang.")
        if table == "SO_HDR":
            if row["RPL_INV"] not in self.rows["CONTACT"]:
                return self._fault(f"Debiteur {row['RPL_INV']} bestaat niet.")
            if row.get("DEL_CODE") and row["DEL_CODE"] not in self.rows["DEL_ADDR"]:
                return self._fault(f"Afleveradres {row['DEL_CODE']} bestaat niet.")
            if unknown := [one["ART_CODE"] for one in details if one["ART_CODE"] not in self.rows["ARTICLE"]]:
                return self._fault(f"Artikel {unknown[0]} bestaat niet.")
            if any(one["HeaderId"] != values[names.index("RowId")] for one in details):
                return self._fault("Regel zonder kop.")
            row["SO_LINE"] = details
        if table == "ARTICLE" and is_new and row["ART_CODE"] in self.rows[table]:
            return self._fault(f"Artikel {row['ART_CODE']} bestaat al.")
        if not is_new:
            key = row.pop(_KEY[table])
            self.rows[table][key] |= row
            return Reply(body={table: [self.rows[table][key]]})
        made = self.add(table, row)
        return Reply(body={} if self.is_silent else {table: [self.rows[table][made]]})

    def _fault(self, message: str, status: int = 0) -> Reply:
        body = {"ErrorType": "AccountViewError", "ErrorNumbers": None, "ErrorMessage": message}
        return Reply(status=200 if self.inside_200 else status or 400, body=body)


SIMULATOR = AccountViewSim
