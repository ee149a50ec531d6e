"""The doors of Orders > Export to partner: export, see what became of it, and send again what did not arrive."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Meta

from prodsys import documents, errors
from prodsys.kit.clock import instant, micros
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfNoneMatch,
    Limit,
    Page,
    answered,
    decode_cursor,
    encode_cursor,
    etag_of,
    once,
    request_key,
    tagged,
)
from prodsys.kit.web import answers as refusals
from prodsys.purchasing import abroad, exporting, previewing, replaying
from prodsys.purchasing.model.exports import Export, ExportSummary, Previewed
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows
from prodsys.settings import Settings

LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", description="The `id` of the last event seen.")]


class OrderList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The orders meant, by id."""

    orders: Annotated[list[str], Meta(min_length=1, max_length=exporting.MOST_ORDERS)]


@post(
    "/exports",
    operation_id="export_orders",
    status_code=202,
    responses=refusals(errors.ModuleOff),
    **allows(Scope.PURCHASE_ORDERS_EXPORT, module=PRODSYS_MODULE),
)
async def export(
    request: Request[Any, Any, Any],
    data: JSONBody[OrderList],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Export]:
    """Export orders to their suppliers: each is promised now and leaves by itself; one that is not ready is refused with every reason."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _accepted, _export, caller, data.orders, settings.answers_every_seconds)).reply()


def _export(tx: Tx, caller: Caller, orders: list[str], answers_every: int) -> Export:
    return _whole(exporting.export_shown(tx, exporting.export(tx, caller, orders, answers_every=answers_every)))


@post(
    "/exports/preview",
    operation_id="preview_export",
    status_code=200,
    responses=refusals(errors.ModuleOff),
    **allows(Scope.PURCHASE_ORDERS_EXPORT, module=PRODSYS_MODULE),
)
async def preview_export(
    data: JSONBody[OrderList],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Page[Previewed]:
    """What would become of up to 2,000 orders if they were exported now, line by line against the suppliers' live catalogues."""
    return Page(items=await previewing.preview(db, abroad.reach_by(outbound, vault, settings), caller, data.orders))


@get("/exports", operation_id="list_exports", **allows(Scope.PURCHASE_ORDERS_READ))
async def list_exports(db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[ExportSummary]:
    """Exports, newest first."""
    below = None if after is None else decode_cursor(after, "exports", int)[0]
    found, more = await db.read(exporting.exports_listed, below, limit)
    return Page(items=found, next=None if more is None else encode_cursor("exports", more))


@get("/exports/{id:str}", operation_id="get_export", **allows(Scope.PURCHASE_ORDERS_READ))
async def get_export(
    id: FromPath[str],
    db: NamedDependency[Database],
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="How many orders at most.")] = 500,
    after: After = None,
    if_none_match: IfNoneMatch = None,
) -> Response[Export]:
    """What became of every order of an export, and what to do about it."""
    behind = -1 if after is None else decode_cursor(after, "export", int)[0]
    found = _whole(await db.read(exporting.export_shown, id, behind, limit))
    return tagged(found, etag_of(id, found), if_none_match)


@get("/exports/{id:str}/events", operation_id="follow_export", media_type="text/event-stream", **allows(Scope.PURCHASE_ORDERS_READ))
async def follow_export(id: FromPath[str], db: NamedDependency[Database], last_event_id: LastEventId = None) -> ServerSentEvent:
    """News of an export as they happen, until every order of it has ended; whoever comes back says where he was by `Last-Event-ID`."""
    await db.read(exporting.export_shown, id, -1, 1)  # a 404 must come before the stream begins
    seen = last_event_id or ""
    since = instant(int(seen)) if seen.isascii() and seen.isdigit() and len(seen) < 18 else None
    return ServerSentEvent(news(db, id, since))


async def news(db: Database, id: str, since: dt.datetime | None) -> AsyncIterator[ServerSentEventMessage]:
    """The events of an export: one `progress` with the counts and the orders that changed, each time; `settled` at the end."""
    async with contextlib.aclosing(exporting.news(db, id, since)) as pieces:
        async for piece in pieces:
            event = "settled" if piece.progress.is_settled else "progress"
            yield ServerSentEventMessage(data=documents.write(piece.progress).decode(), event=event, id=str(micros(piece.until)))


@post(
    "/exports/{id:str}/retry",
    operation_id="retry_export",
    status_code=202,
    responses=refusals(errors.ModuleOff),
    **allows(Scope.PURCHASE_ORDERS_EXPORT, module=PRODSYS_MODULE),
)
async def retry_export(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Export]:
    """Export the failed and the stopped orders of an export anew, as they stand now; those that arrived are left alone."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _accepted, _retry, caller, id, settings.answers_every_seconds)).reply()


def _retry(tx: Tx, caller: Caller, id: str, answers_every: int) -> Export:
    exporting.retry(tx, caller, id, answers_every=answers_every)
    return _whole(exporting.export_shown(tx, id))


@post("/exports/{id:str}/stop", operation_id="stop_export", status_code=200, **allows(Scope.PURCHASE_ORDERS_EXPORT))
async def stop_export(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Export:
    """Take back what has not left yet; what is under way arrives. A repeat changes nothing, and `retry` sends the rest after all."""
    return await db.write(_stop, caller, id)


def _stop(tx: Tx, caller: Caller, id: str) -> Export:
    exporting.stop(tx, caller, id)
    return _whole(exporting.export_shown(tx, id))


@post(
    "/purchasing/orders/{id:str}/replay",
    operation_id="replay_purchase_order",
    status_code=202,
    responses=refusals(errors.ModuleOff, errors.WrongState),
    **allows(Scope.PURCHASE_ORDERS_EXPORT, module=PRODSYS_MODULE),
)
async def replay_order(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Export]:
    """Send a stored order again by today's rules, under its own number and revision, so that it is there once whatever happens."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _accepted, _replay, caller, id, settings.answers_every_seconds)).reply()


def _replay(tx: Tx, caller: Caller, id: str, answers_every: int) -> Export:
    return _whole(exporting.export_shown(tx, replaying.replay(tx, caller, id, answers_every=answers_every)))


@post(
    "/logs/{id:str}/replay",
    operation_id="replay_log_entry",
    status_code=202,
    responses=refusals(errors.ModuleOff, errors.WrongState),
    **allows(Scope.PURCHASE_ORDERS_EXPORT, module=PRODSYS_MODULE),
)
async def replay_entry(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Export]:
    """Send the order a log entry is about again by today's rules."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _accepted, _replay_entry, caller, id, settings.answers_every_seconds)).reply()


def _replay_entry(tx: Tx, caller: Caller, id: str, answers_every: int) -> Export:
    return _whole(exporting.export_shown(tx, replaying.replay_entry(tx, caller, id, answers_every=answers_every)))


routes = [export, preview_export, list_exports, get_export, follow_export, retry_export, stop_export, replay_order, replay_entry]


def _whole(shown: tuple[Export, int | None]) -> Export:
    found, more = shown
    return found if more is None else msgspec.structs.replace(found, next=encode_cursor("export", more))


def _accepted(made: Export) -> Answered:
    return answered(made, 202, headers={"Location": f"/api/v1/exports/{made.id}"})
