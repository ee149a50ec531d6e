"""The doors partners knock on: with orders, with what they think of our answers, and for what has happened."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Schema
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition
from msgspec import Meta

from prodsys import errors
from prodsys.company import actions as company
from prodsys.documents import (
    MAX_BATCH_LINES,
    Acceptance,
    Change,
    Issue,
    MatchReport,
    Message,
    Order,
    Receipt,
    Words,
    digest,
    read_exact,
    write,
)
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.db import Database, Tx
from prodsys.kit.journal import log
from prodsys.kit.metrics import Metrics
from prodsys.kit.telemetry import Trace, current_trace, new_trace, parse_traceparent
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfNoneMatch,
    Limit,
    Page,
    Problem,
    Reply,
    answers,
    decode_cursor,
    encode_cursor,
    etag_of,
    once,
    request_key,
    tagged,
)
from prodsys.kit.web.problems import problem_of
from prodsys.kit.web.requests import read_document
from prodsys.partners import store as partners
from prodsys.sales import actions, cancelling, receiving, reconciling, store, talking
from prodsys.sales import answers as answering
from prodsys.sales.answers import BuyersWord
from prodsys.sales.model import Arrival, PartnerOrder
from prodsys.sales.reconciling import Compared, OrdersToCompare
from prodsys.sales.talking import TheirMessage
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows
from prodsys.settings import Settings

_REFUSALS: dict[str, type[errors.Refusal]] = {
    refusal.code: refusal for refusal in (errors.OrderRefused, errors.OrderConflict, errors.RevisionSuperseded)
}
_ORDER = msgspec.json.Decoder(Order, dec_hook=read_exact)


State = Annotated[Acceptance | None, QueryParameter(name="state", description="Only orders of this acceptance.")]
OfNumber = Annotated[str | None, QueryParameter(description="Exactly this order number of the buyer's.")]
OfRevision = Annotated[int | None, QueryParameter(ge=1, le=2_147_483_647, description="Exactly this revision.")]


class OrderInBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One order of a batch, read by itself so that its faults stay its own."""

    order: msgspec.Raw
    traceparent: Annotated[str, Meta(max_length=100, description="W3C trace context of this order; without one a new trace begins.")] = ""


class OrderBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 500 orders, 20,000 lines in all."""

    orders: Annotated[list[OrderInBatch], Meta(min_length=1, max_length=500)]


class OrderPreviews(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Orders to look at without sending them."""

    orders: Annotated[list[Order], Meta(min_length=1, max_length=500)]


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one order of a batch: a Receipt (200, 201) or a problem."""

    status: int
    number: str = ""
    revision: int = 0
    receipt: Receipt | None = None
    problem: Problem | None = None


class _Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A BatchAnswer with its receipt as the bytes they are already."""

    status: int
    number: str = ""
    revision: int = 0
    receipt: msgspec.Raw | None = None
    problem: Problem | None = None


class BatchAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """One answer per order, in the order sent."""

    items: list[BatchAnswer]


class MatchReports(msgspec.Struct, frozen=True, kw_only=True):
    """One report per order, in the order sent."""

    items: list[MatchReport]


class Cancellation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an order is to be cancelled."""

    reason: Words = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the two companies stand on an order now."""

    acceptance: Acceptance
    answer: int


class RawOrders(OpenAPISchemaPlugin):
    """Tells the contract that an order read by itself is an order."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return value is msgspec.Raw

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        schema: Schema = schema_creator.for_field_definition(FieldDefinition.from_annotation(Order))
        return schema


@post(
    "/purchase-orders",
    operation_id="receive_purchase_order",
    summary="Send a purchase order",
    description="Safe to repeat: the same order number and revision with the same content answers 200 with its first Receipt.",
    responses={200: ResponseSpec(data_container=Receipt, generate_examples=False, description="Known: its first Receipt, with `new` false")}
    | answers(errors.OrderConflict, errors.RevisionSuperseded, errors.OrderRefused, errors.PartnerInactive),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def receive_purchase_order(
    request: Request[Any, Any, Any],
    data: JSONBody[Order],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    metrics: NamedDependency[Metrics],
    idempotency_key: IdempotencyKey = None,
) -> Response[Receipt]:
    arrival = _arrival(0, data, await request.body(), _trace())
    refused: list[Refused] = []
    taken: list[Outcome] = []

    def answer(outcomes: Sequence[Outcome]) -> Answered:
        taken[:] = outcomes
        match outcomes[0]:
            case Placed() as placed:
                headers = {"Location": f"/api/v1/purchase-orders/{placed.id}", "Content-Type": "application/json"}
                return Answered(status=201 if placed.new else 200, content=placed.answer, headers=headers)
            case Refused() as no:
                refused.append(no)
                return Answered(status=no.status)
            case _:
                raise AssertionError("our own books are always within reach")

    key = await request_key(request, idempotency_key)
    try:
        answered = await once(db, key, answer, receiving.receive, caller, [arrival], undo=_undo(settings))
    except errors.PartnerInactive:
        await db.write(receiving.note_inactive, caller, [arrival])
        raise
    await _count(metrics, db, caller, taken)
    if answered.status >= 300:
        raise _refusal(refused[-1])
    return answered.reply()


@post(
    "/purchase-orders/batch",
    status_code=200,
    operation_id="receive_purchase_orders",
    summary="Send many purchase orders",
    description="Each order is answered by itself; one order's fault never touches another.",
    responses=answers(errors.PartnerInactive),
    tags=["purchase orders"],
    reads_parts=True,
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def receive_purchase_orders(
    data: JSONBody[OrderBatch],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    metrics: NamedDependency[Metrics],
) -> Response[BatchAnswers]:
    items: list[_Told | None] = []
    arrivals: list[Arrival] = []
    lines = 0
    for at, part in enumerate(data.orders):
        body = bytes(part.order)
        try:
            order = read_document(body, _ORDER)
        except errors.Refusal as refusal:
            items.append(_Told(status=refusal.status, problem=problem_of(refusal)))
            continue
        lines += len(order.lines)
        arrivals.append(_arrival(at, order, body, parse_traceparent(part.traceparent) or new_trace()))
        items.append(None)
    if lines > MAX_BATCH_LINES:
        raise errors.Invalid(f"A batch holds at most {MAX_BATCH_LINES} lines; send fewer orders at once.")
    outcomes = await _receive_all(db, caller, arrivals, _undo(settings))
    await _count(metrics, db, caller, outcomes)
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        items[arrival.at] = _item(arrival, outcome)
    return Response(write({"items": items}), media_type="application/json", status_code=200)  # type: ignore[arg-type]  # it is written already


@post(
    "/purchase-orders/preview",
    status_code=200,
    operation_id="preview_purchase_orders",
    summary="Ask what would happen",
    description="A dry run against the live catalogue. Nothing is stored but a log line.",
    responses=answers(errors.PartnerInactive),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def preview_purchase_orders(
    data: JSONBody[OrderPreviews], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> MatchReports:
    if sum(len(order.lines) for order in data.orders) > MAX_BATCH_LINES:
        raise errors.Invalid(f"A preview holds at most {MAX_BATCH_LINES} lines; ask about fewer orders at once.")
    trace = _trace()
    arrivals = [_arrival(at, order, b"", trace) for at, order in enumerate(data.orders)]
    reports = await db.read(receiving.preview, caller, arrivals)
    await db.write(receiving.note_preview, caller, reports, trace)
    return MatchReports(items=reports)


@post(
    "/purchase-orders/digests",
    status_code=200,
    operation_id="compare_purchase_orders",
    summary="Compare your orders with those here",
    description="After a restore on either side: what is missing here, what differs, and what is here and not among yours.",
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner"),
)
async def compare_purchase_orders(
    data: JSONBody[OrdersToCompare], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Compared:
    return await db.read(reconciling.compare, caller, data)


@get(
    "/purchase-orders",
    operation_id="list_sent_purchase_orders",
    summary="Your own orders here",
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner"),
)
async def list_sent_purchase_orders(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    number: OfNumber = None,
    revision: OfRevision = None,
    acceptance: State = None,
) -> Page[PartnerOrder]:
    before = None if after is None else decode_cursor(after, "purchase-orders", int)[0]
    rows = await db.read(
        actions.sent_by,
        _partner(caller),
        number=number,
        revision=revision,
        acceptance=None if acceptance is None else acceptance.value,
        before=before,
        limit=limit + 1,
    )
    return _page("purchase-orders", rows, limit)


@get(
    "/purchase-orders/changes",
    operation_id="list_purchase_order_changes",
    summary="What happened to your orders",
    description="In order, without gaps, resumable. A cursor of another life of this instance answers 410.",
    responses=answers(errors.CursorGone),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner"),
)
async def list_purchase_order_changes(
    caller: NamedDependency[Caller], db: NamedDependency[Database], limit: Limit = 50, after: After = None
) -> Page[Change]:
    partner = _partner(caller)

    def read(tx: Tx) -> tuple[str, list[Change]]:
        epoch = company.card(tx).epoch
        start = 0
        if after is not None:
            life, start = decode_cursor(after, "changes", str, int)
            if life != epoch or start > store.told.feed_end(tx, partner) or start < store.told.feed_purged(tx, partner):
                raise errors.CursorGone
        return epoch, store.told.changes(tx, partner, start, limit)

    epoch, items = await db.read(read)
    # The feed has no end, so its cursor is answered even on an empty page: whoever asks again later goes on from there.
    last = encode_cursor("changes", epoch, items[-1].position) if items else after
    return Page(items=items, next=last or encode_cursor("changes", epoch, 0))


@get(
    "/purchase-orders/{order_id:str}",
    operation_id="read_sent_purchase_order",
    summary="One of your own orders",
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner"),
)
async def read_sent_purchase_order(
    order_id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[PartnerOrder]:
    order = await db.read(actions.sent, _partner(caller), order_id)
    if order is None:
        raise errors.NotFound
    return tagged(order, etag_of(order_id, order), if_none_match)


@post(
    "/purchase-orders/{order_id:str}/acceptance",
    status_code=200,
    operation_id="accept_or_dispute_answer",
    summary="Accept or dispute an answer",
    description="Names the answer it is about; a newer one answers 409. Safe to repeat.",
    responses=answers(errors.AnswerSuperseded, errors.WrongState),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def accept_or_dispute_answer(
    order_id: FromPath[str], data: JSONBody[BuyersWord], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Standing:
    row = await db.write(answering.hear, caller, order_id, data)
    return Standing(acceptance=Acceptance(row.acceptance), answer=row.answer)


@post(
    "/purchase-orders/{order_id:str}/cancellation",
    status_code=202,
    operation_id="ask_for_cancellation",
    summary="Ask for an order to be cancelled",
    description="Accepted or refused in the feed of changes; what was despatched is too late. Safe to repeat.",
    responses=answers(errors.WrongState),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def ask_for_cancellation(
    order_id: FromPath[str], data: JSONBody[Cancellation], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Standing:
    row = await db.write(cancelling.ask, caller, order_id, data.reason)
    return Standing(acceptance=store.told.acceptance_as_told(row), answer=row.told_answer)


@post(
    "/purchase-orders/{order_id:str}/messages",
    operation_id="say_about_purchase_order",
    summary="Say something about an order",
    description="Under an id of your own making, so that it is safe to repeat.",
    responses={200: ResponseSpec(data_container=Message, generate_examples=False, description="Heard before: as it was said first")}
    | answers(errors.AlreadyExists, errors.TooManyMessages),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def say_about_purchase_order(
    order_id: FromPath[str], data: JSONBody[TheirMessage], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Response[Message]:
    message, is_new = await db.write(talking.hear, caller, order_id, data)
    return Reply(message, status_code=201 if is_new else 200)


routes = [
    receive_purchase_order,
    receive_purchase_orders,
    preview_purchase_orders,
    compare_purchase_orders,
    list_sent_purchase_orders,
    list_purchase_order_changes,
    read_sent_purchase_order,
    accept_or_dispute_answer,
    ask_for_cancellation,
    say_about_purchase_order,
]


async def _receive_all(db: Database, caller: Caller, arrivals: list[Arrival], undo: dt.timedelta) -> list[Outcome | errors.Refusal]:
    """All together in one unit of work; when something unforeseen happens, one by one, so that only the odd one fails."""
    if not arrivals:
        return []
    try:
        return list(await db.write(receiving.receive, caller, arrivals, undo=undo))
    except errors.PartnerInactive:
        await db.write(receiving.note_inactive, caller, arrivals)
        raise
    except errors.StorageUnavailable:
        raise
    except Exception:
        if len(arrivals) == 1:
            raise
    outcomes: list[Outcome | errors.Refusal] = []
    for arrival in arrivals:
        try:
            outcomes += await db.write(receiving.receive, caller, [arrival], undo=undo)
        except errors.StorageUnavailable:
            raise
        except errors.Refusal as refusal:
            outcomes.append(refusal)
        except Exception:  # noqa: BLE001  # this order's bug is this order's alone
            log.exception("sales.cannot_receive", number=arrival.order.number, trace_id=arrival.trace.trace_id)
            outcomes.append(errors.InternalFault())
    return outcomes


async def _count(metrics: Metrics, db: Database, caller: Caller, outcomes: Sequence[Outcome | errors.Refusal]) -> None:
    """Count what came of orders, for whoever watches from outside."""
    partner = _partner(caller)
    if partner not in metrics.partner_ids:
        metrics.partner_ids[partner] = (await db.read(partners.buyer, partner)).id
    for outcome in outcomes:
        result = ("received" if outcome.new else "repeated") if isinstance(outcome, Placed) else "refused"
        metrics.orders_received_total.labels(partner=metrics.partner_ids[partner], result=result).inc()


def _item(arrival: Arrival, outcome: Outcome | errors.Refusal) -> _Told:
    number, revision = arrival.order.number, arrival.order.revision
    match outcome:
        case Placed():
            return _Told(number=number, revision=revision, status=201 if outcome.new else 200, receipt=msgspec.Raw(outcome.answer))
        case Refused():
            refusal = _refusal(outcome)
        case errors.Refusal():
            refusal = outcome
        case _:
            raise AssertionError("our own books are always within reach")
    problem = msgspec.structs.replace(problem_of(refusal), trace_id=arrival.trace.trace_id)
    return _Told(number=number, revision=revision, status=refusal.status, problem=problem)


def _refusal(refused: Refused) -> errors.Refusal:
    return _REFUSALS[refused.code](_in_short(refused.issues), issues=refused.issues)


def _in_short(issues: Sequence[Issue]) -> str:
    blocking = [issue.message for issue in issues if issue.blocks]
    more = f" And {len(blocking) - 1} more, see issues." if len(blocking) > 1 else ""
    return (blocking[0] + more) if blocking else ""


def _arrival(at: int, order: Order, body: bytes, trace: Trace) -> Arrival:
    return Arrival(at=at, order=order, body=body.decode(), trace=trace, digest=digest(order))


def _trace() -> Trace:
    return current_trace.get() or new_trace()


def _partner(caller: Caller) -> int:
    if caller.partner is None:
        raise errors.NotFound
    return caller.partner


def _undo(settings: Settings) -> dt.timedelta:
    return dt.timedelta(seconds=settings.undo_seconds)


def _page(kind: str, rows: Sequence[tuple[int, Any]], limit: int) -> Page[Any]:
    shown = rows[:limit]
    return Page(items=[value for _, value in shown], next=encode_cursor(kind, shown[-1][0]) if len(rows) > limit else None)
