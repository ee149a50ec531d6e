"""Two folders, and somebody who puts files into one of them."""

import contextlib
import datetime as dt
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from prodsys.documents import (
    Address,
    ArticleCard,
    ContactCard,
    Exact,
    Invoice,
    InvoiceDraft,
    OrderStatus,
    PurchaseRequest,
    SalesOrder,
    Stock,
    TradeLine,
    UnitPrice,
    Voucher,
    VoucherLine,
)
from tests.connectors.loopback import Asked, Reply, Simulator

_DAY = dt.date(2026, 11, 21)
_WHO = ContactCard(number="1001", name="Nordlys AS", email="innkjop@nordlys.example")
_LINES = [
    TradeLine(line_id="1", article_number="A-100", description="Bolt; 8 mm", quantity=Exact("1200"), unit_price=Exact("1.3")),
    TradeLine(line_id="2", article_number="A-200", quantity=Exact("3.5"), unit_price=Exact("0.45")),
]


class FilesSim(Simulator):
    """A folder in and a folder out."""

    name = "files"
    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="007",
            name="Havn Bygg AS",
            email="post@havn.example",
            address=Address(street="Kaiveien", house_number="7B", postcode="0155", city="Bergen", country="NO"),
        ),
        "articles": ArticleCard(number="00300", name="=Brakett", price=UnitPrice("1234.5"), currency="NOK", categories=["Stål", "Beslag"]),
        "stock": Stock(article_number="A-100", on_hand=Exact("50"), available=Exact("46.5")),
        "orders": SalesOrder(number="SO/1042", date=_DAY, currency="NOK", customer=_WHO, is_draft=False, lines=_LINES),
        "order_status": OrderStatus(number="SO-1", status="shipped", tracking_number="0042"),
        "purchase_orders": PurchaseRequest(number="PO-1", date=_DAY, currency="NOK", supplier=_WHO, lines=_LINES),
        "invoice_drafts": InvoiceDraft(number="ID-1", date=_DAY, currency="NOK", customer=_WHO, lines=_LINES),
        "invoices": Invoice(number="I-1", date=_DAY, currency="NOK", customer=_WHO, lines=_LINES, net=Exact("100"), gross=Exact("125")),
        "vouchers": Voucher(
            number="V-1",
            date=_DAY,
            currency="NOK",
            lines=[
                VoucherLine(line_id="1", account="1500", amount=Exact("125")),
                VoucherLine(line_id="2", account="3000", amount=Exact("-125")),
            ],
        ),
    }

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="prodsys-files-"))
        self.into, self.out = self.folder / "in", self.folder / "out"
        self.into.mkdir()
        self.out.mkdir()

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)

    def config(self) -> dict[str, Any]:
        return {"folder_in": str(self.out), "folder_out": str(self.out), "separator": ";", "decimal_mark": ",", "date_format": "DD.MM.YYYY"}

    def reach(self) -> dict[str, Any]:
        return {"folders": str(self.folder)}

    def held(self, kind: str) -> int:
        return len(list(self.out.glob(f"{kind}-*")))

    async def answer(self, asked: Asked) -> Reply:
        return Reply(status=404)


SIMULATOR = FilesSim
