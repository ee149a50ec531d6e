"""Orders > Purchase orders > Import: what a file holds, good rows and bad, before anything of it is taken."""

from typing import Any

import anyio.to_thread
import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from prodsys import documents, errors
from prodsys.documents import Issue
from prodsys.kit import sheets
from prodsys.kit.db import Database
from prodsys.kit.web import Reply
from prodsys.pages.fields import Form
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, show
from prodsys.purchasing import importing
from prodsys.purchasing.model.writing import ImportedOrders, NewOrder
from prodsys.scopes import Scope, allows

SHOWN = 200
"""Bad rows shown at once; the rest come to light when these are mended."""
EXAMPLE = (
    ("number", "supplier", "date", "currency", "article", "supplier_article_number", "description", "quantity", "unit", "unit_price",
     "price_quantity", "discount_percent", "requested_date", "note"),
    ("PO-1042", "Fjord Lager AS", "2026-11-23", "NOK", "", "A-100", "Hex bolt M8x40", "1200", "stk", "130.00", "100", "", "2026-12-05", ""),
    ("PO-1042", "Fjord Lager AS", "", "", "4718", "", "", "400", "", "", "", "5", "", "Zinc plated"),
    ("PO-1043", "Fjord Lager AS", "2026-11-23", "NOK", "", "A-200", "", "500", "stk", "0.45", "", "", "", ""),
)  # fmt: skip
"""Two orders, one of two lines; our article or the supplier's number, whichever is known."""


@get("/orders/import", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def choose_file(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Choose a file."""
    return await _page(visitor)


@get("/orders/import/example", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def example(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """A file to begin with, as CSV or XLSX."""
    head, *rows = EXAMPLE
    if visitor.query.get("as") == "xlsx":
        media, ending, content = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", sheets.write_xlsx(head, rows)
    else:
        media, ending, content = "text/csv; charset=utf-8", "csv", b"".join(sheets.write_csv(head, rows))
    return Reply(content, media_type=media, headers={"Content-Disposition": f'attachment; filename="orders-example.{ending}"'})


@post("/orders/import", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def look(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Say what of the file can be taken; nothing is written down yet."""
    brought = form.file("file")
    try:
        if brought is None:
            raise errors.BadFile("Choose a file first.", issues=[Issue(code="file_missing", message="Choose a file first.", blocks=True)])
        table = await anyio.to_thread.run_sync(_table, await brought.read())
        found = await db.read(importing.look, table)
    except errors.Refusal as refusal:
        return await _page(visitor, refusal=refusal)
    good = documents.write([one.new for one in found.orders]).decode() if found.orders else ""
    return await _page(visitor, found=found, good=good, file_name=brought.filename[:200])


@post("/orders/import/take", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def take(visitor: NamedDependency[Visitor], form: NamedDependency[Form]) -> Response[Any]:
    """Write the good orders down, all of them or none."""
    try:
        orders = _read(form.text("good"))
        await pressed(visitor, form, "orders import", _number_of, importing.take, visitor.caller, orders)
    except msgspec.ValidationError:
        raise errors.Invalid("This form holds something else than orders.") from None
    except errors.Refusal as refusal:
        return await _page(visitor, refusal=refusal)
    return go("/orders?delivery=not_sent", "orders_imported")


routes = [choose_file, example, look, take]

_decoder = documents.reader(list[NewOrder])


def _read(text: str) -> list[NewOrder]:
    orders: list[NewOrder] = _decoder(text)
    return orders


def _number_of(made: ImportedOrders) -> str:
    return str(len(made.orders))


def _table(content: bytes) -> sheets.Table | sheets.BadFile:
    return sheets.read_table(content, text_columns=importing.SHEET_CODES, required=importing.SHEET_REQUIRED)


async def _page(
    visitor: Visitor,
    *,
    found: importing.Found | None = None,
    good: str = "",
    file_name: str = "",
    refusal: errors.Refusal | None = None,
) -> Response[Any]:
    orders = found.orders if found else []
    return await show(
        visitor,
        "order_import.html",
        here="orders",
        columns=EXAMPLE[0],
        required=importing.SHEET_REQUIRED,
        found=found,
        shown=(found.faults if found else [])[:SHOWN],
        good=good,
        line_count=sum(len(one.rows) for one in orders),
        file_name=file_name,
        refusal=refusal,
        status=refusal.status if refusal else 200,
    )
