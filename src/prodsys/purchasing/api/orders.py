"""The doors of one purchase order: write it down, change it, copy it, book in what came of it."""

from typing import Any

import anyio.to_thread
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from prodsys import errors
from prodsys.attachments.api import saved
from prodsys.kit import sheets
from prodsys.kit.db import Database
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import PDF, Answered, IdempotencyKey, IfMatch, IfNoneMatch, answered, asked_form, once, pdf, request_key, tagged
from prodsys.kit.web import answers as refusals
from prodsys.purchasing import abroad, actions, attaching, importing, mailing, receiving
from prodsys.purchasing.model.goods import Goods
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.model.writing import ChangedOrder, ImportedOrders, NewOrder
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings

MOST_BYTES = 20 * 1024 * 1024


@post(
    "/purchasing/orders",
    operation_id="create_purchase_order",
    responses=refusals(errors.AlreadyExists),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def create_order(
    request: Request[Any, Any, Any],
    data: JSONBody[NewOrder],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[PurchaseOrder]:
    """Write an order down; nothing is sent."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _made, actions.create, caller, data)).reply()


@get("/purchasing/orders/{id:str}", operation_id="get_purchase_order", paper=True, **allows(Scope.PURCHASE_ORDERS_READ))
async def get_order(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[PurchaseOrder]:
    """One order, whole: what it says, where it is, and what the supplier said. As application/pdf it is the order as it is sent."""
    if asked_form(PDF) == PDF:
        return pdf(await mailing.written(await db.read(mailing.on_paper, id)))
    order = await db.read(actions.shown, id)
    return tagged(order, order.etag, if_none_match)


@put(
    "/purchasing/orders/{id:str}",
    operation_id="change_purchase_order",
    responses=refusals(errors.WrongState, errors.Stale, errors.IfMatchMissing),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def change_order(
    id: FromPath[str],
    data: JSONBody[ChangedOrder],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[PurchaseOrder]:
    """Let an order say something else; a delivered one becomes the next revision, to be exported again."""
    order = await db.write(actions.change, caller, id, data, if_match)
    return tagged(order, order.etag)


@delete(
    "/purchasing/orders/{id:str}",
    operation_id="delete_purchase_order",
    responses=refusals(errors.WrongState, errors.Stale, errors.IfMatchMissing),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def delete_order(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None) -> None:
    """Take an order out of the books, as long as nothing of it was ever sent."""
    await db.write(actions.delete, caller, id, if_match)


@post("/purchasing/orders/{id:str}/copy", operation_id="copy_purchase_order", **allows(Scope.PURCHASE_ORDERS_WRITE))
async def copy_order(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[PurchaseOrder]:
    """A new order that says the same, under the next number."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _made, actions.copy, caller, id)).reply()


def _made(order: PurchaseOrder) -> Answered:
    return answered(order, headers={"Location": f"/api/v1/purchasing/orders/{order.id}", "ETag": order.etag})


@post(
    "/purchasing/orders/import",
    operation_id="import_purchase_orders",
    request_max_body_size=MOST_BYTES,
    responses=refusals(errors.BadFile, errors.TooLarge),
    media="file",
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def import_orders(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[ImportedOrders]:
    """Write down the orders of a CSV or XLSX file, the body of this request: one row per line, all of them or none."""
    content = await request.body()
    key = await request_key(request, idempotency_key)
    table = await anyio.to_thread.run_sync(_read_table, content)
    return (await once(db, key, answered, importing.import_table, caller, table)).reply()


def _read_table(content: bytes) -> sheets.Table | sheets.BadFile:
    return sheets.read_table(content, text_columns=importing.SHEET_CODES, required=importing.SHEET_REQUIRED)


@post(
    "/purchasing/orders/{id:str}/receive",
    operation_id="receive_goods",
    status_code=200,
    responses=refusals(errors.WrongState),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def receive_goods(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    data: JSONBody[Goods],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[PurchaseOrder]:
    """Book in what came, against a despatch or without one; the order closes when all of it is here."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _booked, receiving.receive, caller, id, data)).reply()


def _booked(order: PurchaseOrder) -> Answered:
    return answered(order, 200, headers={"ETag": order.etag})


@get(
    "/purchasing/orders/{id:str}/attachments/{sha256:str}",
    operation_id="read_order_attachment",
    media_type="application/octet-stream",
    responses=refusals(errors.BadFile, errors.PartnerNotReady, errors.PartnerUnreachable),
    **allows(Scope.PURCHASE_ORDERS_READ),
)
async def read_attachment(
    id: FromPath[str],
    sha256: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    if_none_match: IfNoneMatch = None,
) -> Response[Any]:
    """A file the order names, or a despatch of it; a despatch's is asked of the supplier when it is first wanted, and kept here."""
    return saved(db, await attaching.fetched(db, abroad.reach_by(outbound, vault, settings), caller, id, sha256), if_none_match)


routes = [create_order, get_order, change_order, delete_order, copy_order, import_orders, receive_goods, read_attachment]
