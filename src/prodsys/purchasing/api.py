"""The doors of Orders > Purchase orders, Orders > Export to partner, and the ledger of deliveries."""

import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import anyio.to_thread
import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Meta

from prodsys import documents, errors
from prodsys.attachments.api import saved
from prodsys.documents import Issue
from prodsys.kit import sheets
from prodsys.kit.clock import instant, micros
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import (
    PDF,
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    Page,
    answered,
    asked_form,
    decode_cursor,
    encode_cursor,
    etag_of,
    once,
    pdf,
    request_key,
    tagged,
)
from prodsys.kit.web import answers as refusals
from prodsys.purchasing import (
    abroad,
    actions,
    answers,
    attaching,
    carrying,
    exporting,
    following,
    importing,
    mailing,
    previewing,
    receiving,
    reconciling,
    reminding,
    replaying,
    store,
    words,
)
from prodsys.purchasing.model.deliveries import DeliveryEntry
from prodsys.purchasing.model.exports import Export, ExportSummary, Previewed
from prodsys.purchasing.model.goods import Goods
from prodsys.purchasing.model.lists import FollowUpCounts, PurchaseSummary, Totals
from prodsys.purchasing.model.orders import OrderMessage, PurchaseOrder
from prodsys.purchasing.model.writing import ChangedOrder, ImportedOrders, NewOrder
from prodsys.purchasing.reconciling import OrdersToTakeOver, Reconciliation
from prodsys.purchasing.store.lists import Filter
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows
from prodsys.settings import Settings

MOST_BYTES = 20 * 1024 * 1024

Travel = Annotated[
    Literal["not_sent", "queued", "received", "failed", "unknown"] | None,
    QueryParameter(description="How far it has travelled; `queued` is everything on its way."),
]
Answer = Annotated[documents.Acceptance | None, QueryParameter(description="What the two companies have agreed.")]
Moved = Annotated[documents.Fulfilment | None, QueryParameter(description="How much of it has moved.")]
OfPartner = Annotated[str | None, QueryParameter(description="Only orders to this supplier, by id.")]
Beginning = Annotated[str | None, QueryParameter(max_length=80, description="Only numbers beginning so; then sorted by number.")]
FromDay = Annotated[dt.date | None, QueryParameter(description="Only orders of this day or later; the list is then sorted by day.")]
ToDay = Annotated[dt.date | None, QueryParameter(description="Only orders of this day or earlier.")]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", description="The `id` of the last event seen.")]


class OrderList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The orders meant, by id."""

    orders: Annotated[list[str], Meta(min_length=1, max_length=exporting.MOST_ORDERS)]


class AnswerAccepted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which answer of the supplier is accepted."""

    answer: Annotated[int, Meta(ge=1)]


class AnswerDisputed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which answer of the supplier is disputed, and why, in words he will read."""

    answer: Annotated[int, Meta(ge=1)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class WhyCancel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, in words the supplier will read."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class MessageToSupplier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A few words to the supplier."""

    text: Annotated[str, Meta(min_length=1, max_length=4000)]
    line_id: Annotated[str, Meta(max_length=40, description="The line meant; empty for the whole order.")] = ""


@get("/purchasing/orders", operation_id="list_purchase_orders", **allows(Scope.PURCHASE_ORDERS_READ))
async def list_orders(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    delivery: Travel = None,
    acceptance: Answer = None,
    fulfilment: Moved = None,
    partner: OfPartner = None,
    number: Beginning = None,
    from_date: FromDay = None,
    to_date: ToDay = None,
) -> Page[PurchaseSummary]:
    """Purchase orders, newest first."""
    wanted = _filter(delivery, acceptance, fulfilment, partner, number, from_date, to_date)
    kind = f"orders-{'-'.join(part.__name__ for part in store.lists.shape(wanted))}"
    behind = None if after is None else _read_place(after, kind, wanted)
    found, more = await db.read(actions.listed, wanted, behind, limit)
    return Page(items=found, next=None if more is None else encode_cursor(kind, *more))


def _read_place(after: str, kind: str, wanted: Filter) -> tuple[Any, ...]:
    place = decode_cursor(after, kind, *store.lists.shape(wanted))
    if len(place) == 2:
        _must_be_a_day(place[0])
    return place


def _must_be_a_day(text: str) -> None:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        message = "This is not a cursor of this list; begin again without `after`."
        issue = Issue(code="cursor_invalid", message=message, pointer="/query/after", blocks=True)
        raise errors.Invalid(issues=[issue]) from None


def _filter(
    delivery: str | None,
    acceptance: documents.Acceptance | None,
    fulfilment: documents.Fulfilment | None,
    partner: str | None,
    number: str | None,
    from_date: dt.date | None,
    to_date: dt.date | None,
) -> Filter:
    return Filter(
        delivery=delivery,
        acceptance=None if acceptance is None else acceptance.value,
        fulfilment=None if fulfilment is None else fulfilment.value,
        partner=partner,
        number=number,
        from_date=from_date,
        to_date=to_date,
    )


@get("/purchasing/orders/totals", operation_id="sum_purchase_orders", **allows(Scope.PURCHASE_ORDERS_READ))
async def sum_orders(
    db: NamedDependency[Database],
    delivery: Travel = None,
    acceptance: Answer = None,
    fulfilment: Moved = None,
    partner: OfPartner = None,
    number: Beginning = None,
    from_date: FromDay = None,
    to_date: ToDay = None,
) -> Totals:
    """How many orders a list holds and what they come to, counted up to a thousand."""
    return await db.read(actions.totals, _filter(delivery, acceptance, fulfilment, partner, number, from_date, to_date))


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


def _made(order: PurchaseOrder) -> Answered:
    return answered(order, headers={"Location": f"/api/v1/purchasing/orders/{order.id}", "ETag": order.etag})


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
    "/purchasing/orders/{id:str}/answer-by-hand",
    operation_id="answer_by_hand",
    status_code=200,
    responses=refusals(errors.WrongState, errors.Stale, errors.IfMatchMissing),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def answer_by_hand(
    id: FromPath[str],
    data: JSONBody[mailing.AnswerByHand],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[PurchaseOrder]:
    """Type in what the supplier of an order sent by e-mail has answered."""
    order = await db.write(mailing.answer_by_hand, caller, id, data, if_match)
    return tagged(order, order.etag)


@post(
    "/purchasing/orders/{id:str}/accept",
    operation_id="accept_answer",
    status_code=200,
    responses=refusals(errors.WrongState, errors.AnswerSuperseded, errors.PartnerNotReady, errors.Stale, errors.IfMatchMissing),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def accept_answer(
    id: FromPath[str],
    data: JSONBody[AnswerAccepted],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[PurchaseOrder]:
    """Accept the supplier's changes: the order is agreed here at once, and he is told."""
    order = await db.write(words.accept, caller, id, data.answer, if_match)
    return tagged(order, order.etag)


@post(
    "/purchasing/orders/{id:str}/dispute",
    operation_id="dispute_answer",
    status_code=200,
    responses=refusals(errors.WrongState, errors.AnswerSuperseded, errors.PartnerNotReady, errors.Stale, errors.IfMatchMissing),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def dispute_answer(
    id: FromPath[str],
    data: JSONBody[AnswerDisputed],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[PurchaseOrder]:
    """Say no to the supplier's changes, with the reason he will read; he is to answer again."""
    order = await db.write(words.dispute, caller, id, data.answer, data.reason, if_match)
    return tagged(order, order.etag)


@post(
    "/purchasing/orders/{id:str}/cancel",
    operation_id="cancel_purchase_order",
    status_code=200,
    responses=refusals(errors.WrongState, errors.PartnerNotReady),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def cancel_order(
    id: FromPath[str], data: JSONBody[WhyCancel], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Response[PurchaseOrder]:
    """Cancel an order: at once when the supplier never had it, else he is asked, and may say that it is too late."""
    order = await db.write(words.cancel, caller, id, data.reason)
    return tagged(order, order.etag)


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


@post(
    "/purchasing/orders/{id:str}/messages",
    operation_id="say_to_supplier",
    responses=refusals(errors.WrongState, errors.PartnerNotReady, errors.TooManyMessages),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def say_to_supplier(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    data: JSONBody[MessageToSupplier],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[OrderMessage]:
    """Say something to the supplier about an order or one of its lines."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, answered, words.say, caller, id, data.text, data.line_id)).reply()


@post(
    "/purchasing/orders/{id:str}/remind",
    operation_id="remind_supplier",
    responses=refusals(errors.WrongState, errors.PartnerNotReady, errors.TooManyMessages),
    **allows(Scope.PURCHASE_ORDERS_WRITE),
)
async def remind_supplier(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[OrderMessage]:
    """Ask the supplier for the answer that is due, or for goods that are overdue; at most once a day."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, answered, reminding.remind, caller, id)).reply()


@get("/purchasing/follow-up", operation_id="list_follow_up", **allows(Scope.PURCHASE_ORDERS_READ))
async def list_follow_up(
    db: NamedDependency[Database],
    what: Annotated[store.following.FollowedUp, QueryParameter(name="filter", description="Which orders somebody should look at.")],
    limit: Limit = 50,
    after: After = None,
) -> Page[PurchaseSummary]:
    """Orders to follow up, what waits longest first."""
    kind = f"follow-up-{what}"
    behind = None if after is None else _read_day(decode_cursor(after, kind, *following.shape(what)), what)
    found, more = await db.read(following.listed, what, behind, limit)
    return Page(items=found, next=None if more is None else encode_cursor(kind, *more))


def _read_day(place: tuple[Any, ...], what: store.following.FollowedUp) -> tuple[Any, ...]:
    if what == "overdue":
        _must_be_a_day(place[0])
    return place


@get("/purchasing/follow-up/counts", operation_id="count_follow_up", **allows(Scope.PURCHASE_ORDERS_READ))
async def count_follow_up(db: NamedDependency[Database]) -> FollowUpCounts:
    """How many orders there are to follow up, each list counted up to a thousand."""
    return await db.read(following.counts)


@post(
    "/purchasing/orders/{id:str}/refresh",
    operation_id="refresh_purchase_order",
    status_code=200,
    responses=refusals(errors.WrongState, errors.PartnerUnreachable),
    **allows(Scope.PURCHASE_ORDERS_EXPORT),
)
async def refresh_order(
    id: FromPath[str],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[PurchaseOrder]:
    """Ask the supplier for his answers now, instead of at the next minute."""
    order = await answers.refresh(db, abroad.reach_by(outbound, vault, settings), id)
    return tagged(order, order.etag)


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


def _whole(shown: tuple[Export, int | None]) -> Export:
    found, more = shown
    return found if more is None else msgspec.structs.replace(found, next=encode_cursor("export", more))


def _accepted(made: Export) -> Answered:
    return answered(made, 202, headers={"Location": f"/api/v1/exports/{made.id}"})


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


@get("/deliveries", operation_id="list_deliveries", **allows(Scope.LOGS_READ))
async def list_deliveries(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    lane: Annotated[str | None, QueryParameter(description="Only what goes to this partner, by id.")] = None,
    ended: Annotated[
        Literal["refused", "dead"] | None, QueryParameter(name="state", description="Only what somebody has to look at.")
    ] = None,
    subject: Annotated[str | None, QueryParameter(description="Only deliveries of this order, by id.")] = None,
) -> Page[DeliveryEntry]:
    """The ledger of what was promised to partners, newest first; what was sent stands in the integration logs."""
    below = None if after is None else decode_cursor(after, "deliveries", int)[0]
    rows = await db.read(store.deliveries.below, below, limit + 1, lane=lane, state=ended, subject=subject)
    more = encode_cursor("deliveries", rows[limit - 1].pk) if len(rows) > limit else None
    return Page(items=[carrying.delivery_entry(row) for row in rows[:limit]], next=more)


@post(
    "/deliveries/{id:str}/resend",
    operation_id="resend_delivery",
    status_code=202,
    responses=refusals(errors.WrongState),
    **allows(Scope.DELIVERIES_WRITE),
)
async def resend_delivery(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> DeliveryEntry:
    """Send what died once more, exactly as it was."""
    return await db.write(carrying.send_again, caller, id)


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


@post(
    "/partners/{id:str}/reconcile",
    operation_id="reconcile_with_partner",
    status_code=202,
    responses=refusals(errors.PartnerNotReady),
    **allows(Scope.PURCHASE_ORDERS_EXPORT),
)
async def reconcile(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Reconciliation]:
    """Compare our orders of 90 days with a supplier's books: what he lost is sent again, what we lost is named, to be taken over."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _asked, reconciling.ask, caller, id, answers_every=settings.answers_every_seconds)).reply()


@post(
    "/partners/{id:str}/reconciliation/take-over",
    operation_id="take_over_lost_orders",
    status_code=200,
    responses=refusals(errors.PartnerNotReady, errors.PartnerUnreachable, errors.WrongState),
    **allows(Scope.PURCHASE_ORDERS_EXPORT),
)
async def take_over_lost_orders(
    id: FromPath[str],
    data: JSONBody[OrdersToTakeOver],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Reconciliation:
    """Write orders that comparing found to be lost here down again, as the supplier holds them; a person says that they are ours.

    Without naming any, all of them. Safe to repeat.
    """
    return await reconciling.take_over(db, abroad.reach_by(outbound, vault, settings), caller, id, data)


def _asked(standing: Reconciliation) -> Answered:
    return answered(standing, 202)


@get("/partners/{id:str}/reconciliation", operation_id="get_reconciliation", **allows(Scope.PURCHASE_ORDERS_READ))
async def get_reconciliation(id: FromPath[str], db: NamedDependency[Database]) -> Reconciliation:
    """How comparing our orders with a supplier's books stands, and what it came to last."""
    return await db.read(reconciling.shown, id)


routes = [
    replay_order,
    replay_entry,
    reconcile,
    get_reconciliation,
    take_over_lost_orders,
    list_orders,
    sum_orders,
    create_order,
    get_order,
    change_order,
    delete_order,
    copy_order,
    import_orders,
    answer_by_hand,
    accept_answer,
    dispute_answer,
    cancel_order,
    receive_goods,
    say_to_supplier,
    remind_supplier,
    list_follow_up,
    count_follow_up,
    refresh_order,
    read_attachment,
    export,
    preview_export,
    list_exports,
    get_export,
    follow_export,
    retry_export,
    stop_export,
    list_deliveries,
    resend_delivery,
]
