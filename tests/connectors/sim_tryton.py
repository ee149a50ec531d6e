"""Not a simulator: the real Tryton behind a loopback server that passes everything on, or stumbles where it is told to."""

import asyncio
import datetime as dt
import http.client
import json
from collections import Counter
from itertools import count
from typing import Any

import msgspec

from prodsys.connectors._base import Known
from prodsys.documents import (
    Address,
    ContactCard,
    DeliveryPlace,
    Exact,
    InvoiceDraft,
    Percent,
    Person,
    SalesOrder,
    TradeLine,
    Voucher,
    VoucherLine,
)
from tests.connectors import tryton_erp
from tests.connectors.loopback import Asked, Fault, Reply, Simulator

_TABLES = {"contacts": "party_party", "articles": "product_product", "stock": "product_product", "orders": "sale_sale",
           "order_status": "sale_sale", "purchase_orders": "purchase_purchase",
           "invoice_drafts": "account_invoice", "vouchers": "account_move"}  # fmt: skip
_WRITES = ("create", "write", "delete")
_turn = count(1)


def method_of(asked: Asked) -> str:
    """The method of Tryton a request calls."""
    method: str = json.loads(asked.body)["method"]
    return method


class TrytonBehindIt(Simulator):
    """One Tryton for all tests of a process, so every instance makes records under numbers of its own."""

    name = "tryton"
    token_path = "/common.db.login"
    patience = 5.0

    erp: tryton_erp.Erp

    def prepare(self) -> None:
        self.erp = tryton_erp.running()
        self.erp.forget_guesses()
        number = next(_turn)
        oslo = Address(street="Storgata", house_number="1", postcode="0155", city="Oslo", country="NO")
        self.examples = {  # type: ignore[misc]  # of this instance, as its numbers are
            "contacts": ContactCard(
                number=f"HAVN-{number}",
                name=f"Havn Bygg {number} AS",
                organisation_number="974760673",
                vat_number="NO974760673MVA",
                email=f"post{number}@havn.example",
                phone="+47 55 00 00 00",
                address=Address(street="Kaiveien", house_number="7B", street2="Bygg 2", postcode="5003", city="Bergen", country="NO"),
                deliver_to=DeliveryPlace(name="Lager 2", address=oslo),
                persons=[Person(name="Kari Havn", email="kari@havn.example", phone="+47 900 00 000")],
                payment_terms=str(self.erp.one("account.invoice.payment_term")),
            ),
            "orders": SalesOrder(
                number=f"SO-{number}",
                is_draft=True,
                date=dt.date(2026, 11, 21),
                currency="NOK",
                customer=ContactCard(number="1001", name="Nordlys AS", email="innkjop@nordlys.example"),
                customer_reference="PO-77",
                requested_date=dt.date(2026, 12, 1),
                deliver_to=DeliveryPlace(name="Lager 2", address=oslo),
                note="Ring før levering",
                lines=[
                    TradeLine(
                        line_id="0",
                        article_number="A-100",
                        description="Bolt",
                        quantity=Exact("12"),
                        unit_price=Exact("1.2345"),
                        unit="H87",
                        note="Galvanisert",
                    ),
                    TradeLine(
                        line_id="1",
                        article_number="A-200",
                        description="Mutter",
                        quantity=Exact("100"),
                        unit_price=Exact("45"),
                        discount_percent=Percent("5"),
                    ),
                    TradeLine(line_id="2", kind="charge", description="Frakt", quantity=Exact("1"), unit_price=Exact("99")),
                    TradeLine(line_id="3", kind="text", description="Leveres samlet"),
                ],
            ),
            "invoice_drafts": InvoiceDraft(
                number=f"IN-{number}",
                date=dt.date(2026, 11, 21),
                currency="NOK",
                customer=ContactCard(number="1001", name="Nordlys AS"),
                customer_reference="PO-78",
                note="Takk for handelen",
                lines=[
                    TradeLine(
                        line_id="0",
                        article_number="A-200",
                        description="Mutter",
                        quantity=Exact("4"),
                        unit="H87",
                        unit_price=Exact("2.5"),
                    ),
                    TradeLine(line_id="1", kind="text", description="Levert 20.11."),
                ],
            ),
            "vouchers": Voucher(
                number=f"V-{number}",
                date=dt.date(2026, 11, 21),
                currency="NOK",
                journal="MISC",
                description="Kjøp av skruer",
                lines=[
                    VoucherLine(line_id="0", account="1.1.3", amount=Exact("100.25")),
                    VoucherLine(line_id="1", account="1.1.1", amount=Exact("-100.25"), description="Fra kassen"),
                ],
            ),
        }

    # Their ids of the lines, and prices that a discount has been taken off.
    not_mapped = {  # noqa: RUF012
        "orders": ("line_id", "discount_percent", "unit_price"),
        "invoice_drafts": ("line_id",),
        # A move has no number before it is posted.
        "vouchers": ("line_id", "number", "description"),
    }

    def config(self) -> dict[str, Any]:
        return {"base_url": self.url, "database": tryton_erp.DATABASE, "user": tryton_erp.USER, "password": tryton_erp.PASSWORD}

    def wrong(self) -> dict[str, Any]:
        # Another user, because Tryton makes one whose password was wrong wait.
        return {"user": "nobody", "password": "not-the-password"}

    def expire(self) -> bool:
        self.erp.end_sessions()
        return True

    def error(self, message: str) -> tuple[int, Any]:
        return 200, {"id": 0, "error": ["UserError", [message, "", None]]}

    def held(self, kind: str) -> int:
        if kind == "invoices":
            return len(self.erp.ask("model.account.invoice.search", [["state", "in", ["posted", "paid"]]], 0, None, None))
        return self.erp.count(_TABLES[kind]) if kind in _TABLES else 0

    def known(self, kind: str) -> Known:
        articles = {number: str(self.erp.one("product.product", ["code", "=", number])) for number in ("A-100", "A-200")}
        return Known(customer=str(self.erp.one("party.party", ["code", "=", "1001"])), articles=articles)

    def count(self) -> Counter[str]:
        return Counter(f"POST /{method_of(asked)}" for asked in self.asked)

    def fault_for(self, asked: Asked) -> Fault | None:
        # All of it is POST to one address; what a test means by POST is what writes, and what it means by a path is a method.
        method = method_of(asked)
        # An address that is made on the way to its order is looked for again by itself, so a lost answer leaves nothing unknown.
        is_write = method.rpartition(".")[2] in _WRITES and "party.address" not in method
        meant = msgspec.structs.replace(asked, method="POST" if is_write else "GET", uri=f"/{method}")
        return super().fault_for(meant)

    async def answer(self, asked: Asked) -> Reply:
        return await asyncio.to_thread(self._passed_on, asked)

    def _passed_on(self, asked: Asked) -> Reply:
        there = http.client.HTTPConnection("127.0.0.1", self.erp.port, timeout=60)
        try:
            headers = {name: said for name, said in asked.headers.items() if name not in ("host", "connection", "content-length")}
            there.request(asked.method, asked.uri, asked.body, headers)
            said = there.getresponse()
            kept = {
                name.lower(): value for name, value in said.getheaders() if name.lower() in ("content-type", "content-encoding", "date")
            }
            return Reply(status=said.status, raw=said.read(), headers=kept)
        finally:
            there.close()


SIMULATOR = TrytonBehindIt
