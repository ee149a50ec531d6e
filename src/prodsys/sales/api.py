"""The doors partners knock on with orders, and those of our own order desk."""

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
    Order,
    Receipt,
    Suggestion,
    Validation,
    digest,
    read_exact,
)
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.db import Database, Tx
from prodsys.kit.telemetry import Trace, current_trace, log, new_trace, parse_traceparent
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
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
from prodsys.sales import actions, store
from prodsys.sales.actions import Answered as AnsweredDraft
from prodsys.sales.actions import DraftToApprove
from prodsys.sales.model import Arrival, Draft, DraftSummary, PartnerOrder
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows
from prodsys.settings import Settings

_REFUSALS: dict[str, type[errors.Refusal]] = {
    refusal.code: refusal for refusal in (errors.OrderRefused, errors.OrderConflict, errors.RevisionSuperseded)
}
_ORDER = msgspec.json.Decoder(Order, dec_hook=read_exact)


State = Annotated[Acceptance | None, QueryParameter(name="state", description="Only orders of this acceptance.")]
OfAcceptance = Annotated[Acceptance | None, QueryParameter(description="Only drafts of this acceptance.")]
OfValidation = Annotated[Validation | None, QueryParameter(description="Only drafts matching said this of.")]
OfPartner = Annotated[str | None, QueryParameter(description="Only orders of this partner, by id.")]
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


class BatchAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """One answer per order, in the order sent."""

    items: list[BatchAnswer]


class MatchReports(msgspec.Struct, frozen=True, kw_only=True):
    """One report per order, in the order sent."""

    items: list[MatchReport]


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, in words the buyer will read."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class DraftsToApprove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Drafts to approve as they were seen."""

    drafts: Annotated[list[DraftToApprove], Meta(min_length=1, max_length=500)]


class AnsweredDrafts(msgspec.Struct, frozen=True, kw_only=True):
    """One answer per draft, in the order asked."""

    items: list[AnsweredDraft]


class ArticleMeant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The article a marked line means."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    article: Annotated[str, Meta(description="Id of our article.", examples=["ar_01KANQ0000000000000000000A"])]


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
    | answers(errors.OrderConflict, errors.RevisionSuperseded, errors.OrderRefused),
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def receive_purchase_order(
    request: Request[Any, Any, Any],
    data: JSONBody[Order],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Receipt]:
    arrival = _arrival(0, data, await request.body(), _trace())
    refused: list[Refused] = []

    def answer(outcomes: Sequence[Outcome]) -> Answered:
        match outcomes[0]:
            case Placed() as placed:
                headers = {"Location": f"/api/v1/purchase-orders/{placed.id}", "Content-Type": "application/json"}
                return Answered(status=201 if placed.new else 200, content=placed.answer, headers=headers)
            case Refused() as no:
                refused.append(no)
                return Answered(status=no.status)
            case _:
                raise AssertionError("our own books are always within reach")

    answered = await once(db, await request_key(request, idempotency_key), answer, actions.receive, caller, [arrival])
    if answered.status >= 300:
        raise _refusal(refused[-1])
    return answered.reply()


@post(
    "/purchase-orders/batch",
    status_code=200,
    operation_id="receive_purchase_orders",
    summary="Send many purchase orders",
    description="Each order is answered by itself; one order's fault never touches another.",
    tags=["purchase orders"],
    reads_parts=True,
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def receive_purchase_orders(
    data: JSONBody[OrderBatch], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> BatchAnswers:
    items: list[BatchAnswer | None] = []
    arrivals: list[Arrival] = []
    lines = 0
    for at, part in enumerate(data.orders):
        body = bytes(part.order)
        try:
            order = read_document(body, _ORDER)
        except errors.Refusal as refusal:
            items.append(BatchAnswer(status=refusal.status, problem=problem_of(refusal)))
            continue
        lines += len(order.lines)
        arrivals.append(_arrival(at, order, body, parse_traceparent(part.traceparent) or new_trace()))
        items.append(None)
    if lines > MAX_BATCH_LINES:
        raise errors.Invalid(f"A batch holds at most {MAX_BATCH_LINES} lines; send fewer orders at once.")
    for arrival, outcome in zip(arrivals, await _receive_all(db, caller, arrivals), strict=True):
        items[arrival.at] = _item(arrival, outcome)
    return BatchAnswers(items=[item for item in items if item is not None])


@post(
    "/purchase-orders/preview",
    status_code=200,
    operation_id="preview_purchase_orders",
    summary="Ask what would happen",
    description="A dry run against the live catalogue. Nothing is stored but a log line.",
    tags=["purchase orders"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE),
)
async def preview_purchase_orders(
    data: JSONBody[OrderPreviews], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> MatchReports:
    trace = _trace()
    arrivals = [_arrival(at, order, b"", trace) for at, order in enumerate(data.orders)]
    reports = await db.read(actions.preview, caller, arrivals)
    await db.write(actions.note_preview, caller, reports, trace)
    return MatchReports(items=reports)


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
        store.of_partner,
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
            if life != epoch or start > store.feed_end(tx, partner):
                raise errors.CursorGone
        return epoch, store.changes(tx, partner, start, limit)

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
    rows = await db.read(store.of_partner, _partner(caller), order_id=order_id)
    if not rows:
        raise errors.NotFound
    return tagged(rows[0][1], etag_of(order_id, rows[0][1]), if_none_match)


@get(
    "/sales/drafts",
    operation_id="list_drafts",
    summary="Order drafts, newest first",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def list_drafts(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    acceptance: OfAcceptance = None,
    validation: OfValidation = None,
    partner: OfPartner = None,
    number: OfNumber = None,
) -> Page[DraftSummary]:
    before = None if after is None else decode_cursor(after, "drafts", int)[0]
    rows = await db.read(
        store.page,
        before=before,
        limit=limit + 1,
        acceptance=None if acceptance is None else acceptance.value,
        validation=None if validation is None else validation.value,
        partner=partner,
        number=number,
    )
    return _page("drafts", rows, limit)


@get(
    "/sales/orders",
    operation_id="list_sales_orders",
    summary="Approved orders, newest first",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def list_sales_orders(
    db: NamedDependency[Database], limit: Limit = 50, after: After = None, partner: OfPartner = None
) -> Page[DraftSummary]:
    before = None if after is None else decode_cursor(after, "sales-orders", int)[0]
    rows = await db.read(store.page, before=before, limit=limit + 1, partner=partner, approved_only=True)
    return _page("sales-orders", rows, limit)


@get(
    "/sales/drafts/{order_id:str}",
    operation_id="read_draft",
    summary="A draft with its match",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def read_draft(order_id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[Draft]:
    draft = await db.read(actions.whole, order_id)
    return tagged(draft, draft.summary.etag, if_none_match)


@get(
    "/sales/drafts/{order_id:str}/suggestions",
    operation_id="suggest_for_draft",
    summary="Articles marked lines may mean",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def suggest_for_draft(order_id: FromPath[str], db: NamedDependency[Database]) -> dict[str, list[Suggestion]]:
    return await db.read(actions.suggestions, order_id)


_CHANGED = answers(errors.WrongState, errors.Stale, errors.IfMatchMissing)


@post(
    "/sales/drafts/{order_id:str}/approve",
    status_code=200,
    operation_id="approve_draft",
    summary="Approve a draft",
    description="It gets an order number; the buyer hears of it ten seconds later (a setting), and until then it can be taken back.",
    responses=_CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def approve_draft(
    order_id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return _draft(await db.write(actions.approve, caller, order_id, if_match, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/reject",
    status_code=200,
    operation_id="reject_draft",
    summary="Reject a draft with a reason",
    responses=_CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def reject_draft(
    order_id: FromPath[str],
    data: JSONBody[Reason],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return _draft(await db.write(actions.reject, caller, order_id, if_match, data.reason, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/undo",
    status_code=200,
    operation_id="take_back_answer",
    summary="Take an answer back",
    responses=_CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def take_back_answer(
    order_id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[Draft]:
    return _draft(await db.write(actions.take_back, caller, order_id, if_match))


@post(
    "/sales/drafts/approve",
    status_code=200,
    operation_id="approve_drafts",
    summary="Approve many drafts",
    description="Each as it was seen; one that cannot be approved stops none of the others.",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def approve_drafts(
    data: JSONBody[DraftsToApprove], caller: NamedDependency[Caller], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> AnsweredDrafts:
    return AnsweredDrafts(items=await db.write(actions.approve_many, caller, data.drafts, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/match",
    status_code=200,
    operation_id="match_draft_line",
    summary="Say which article is meant",
    description="For a marked line of a held draft. The answer is remembered for this partner.",
    responses=_CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def match_draft_line(
    order_id: FromPath[str],
    data: JSONBody[ArticleMeant],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return _draft(await db.write(actions.say_which, caller, order_id, if_match, data.line_id, data.article))


routes = [
    receive_purchase_order,
    receive_purchase_orders,
    preview_purchase_orders,
    list_sent_purchase_orders,
    list_purchase_order_changes,
    read_sent_purchase_order,
    list_drafts,
    list_sales_orders,
    read_draft,
    suggest_for_draft,
    approve_draft,
    reject_draft,
    take_back_answer,
    approve_drafts,
    match_draft_line,
]


async def _receive_all(db: Database, caller: Caller, arrivals: list[Arrival]) -> list[Outcome | errors.Refusal]:
    """All together in one unit of work; when something unforeseen happens, one by one, so that only the odd one fails."""
    if not arrivals:
        return []
    try:
        return list(await db.write(actions.receive, caller, arrivals))
    except errors.StorageUnavailable:
        raise
    except Exception:
        if len(arrivals) == 1:
            raise
    outcomes: list[Outcome | errors.Refusal] = []
    for arrival in arrivals:
        try:
            outcomes += await db.write(actions.receive, caller, [arrival])
        except errors.StorageUnavailable:
            raise
        except Exception:  # noqa: BLE001  # this order's bug is this order's alone
            log.exception("sales.cannot_receive", number=arrival.order.number, trace_id=arrival.trace.trace_id)
            outcomes.append(errors.InternalFault())
    return outcomes


def _item(arrival: Arrival, outcome: Outcome | errors.Refusal) -> BatchAnswer:
    number, revision = arrival.order.number, arrival.order.revision
    match outcome:
        case Placed():
            receipt = store.read_receipt(outcome.answer)
            return BatchAnswer(number=number, revision=revision, status=201 if outcome.new else 200, receipt=receipt)
        case Refused():
            refusal = _refusal(outcome)
        case errors.Refusal():
            refusal = outcome
        case _:
            raise AssertionError("our own books are always within reach")
    problem = msgspec.structs.replace(problem_of(refusal), trace_id=arrival.trace.trace_id)
    return BatchAnswer(number=number, revision=revision, status=refusal.status, problem=problem)


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


def _draft(draft: Draft) -> Response[Draft]:
    return Reply(draft, headers={"ETag": draft.summary.etag})


def _page(kind: str, rows: Sequence[tuple[int, Any]], limit: int) -> Page[Any]:
    shown = rows[:limit]
    return Page(items=[value for _, value in shown], next=encode_cursor(kind, shown[-1][0]) if len(rows) > limit else None)
