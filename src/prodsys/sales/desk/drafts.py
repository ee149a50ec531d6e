"""The doors of Sales > Order drafts: what came, what was found in it, and who looks after it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors, papers
from prodsys.documents import Acceptance, Message, Suggestion, Validation
from prodsys.kit.db import Database
from prodsys.kit.web import (
    PDF,
    After,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    Page,
    Reply,
    answered,
    answers,
    asked_form,
    decode_cursor,
    encode_cursor,
    once,
    pdf,
    request_key,
    tagged,
)
from prodsys.sales import actions, buyer, revisions, store, taking, talking
from prodsys.sales.buyer import BuyerSettled
from prodsys.sales.model import Draft, DraftSummary, Verdict
from prodsys.sales.talking import NewMessage
from prodsys.scopes import Caller, Scope, allows

CHANGED = answers(errors.WrongState, errors.Stale, errors.IfMatchMissing)
"""What stands in the contract of every door that changes a draft."""

OfAcceptance = Annotated[Acceptance | None, QueryParameter(description="Only drafts of this acceptance.")]
OfValidation = Annotated[Validation | None, QueryParameter(description="Only drafts matching said this of.")]
OfPartner = Annotated[str | None, QueryParameter(description="Only orders of this partner, by id.")]
OfVerdict = Annotated[
    Verdict | None, QueryParameter(description="Only drafts that wait for us, by what there is to do with them: nothing, a price, more.")
]
TakenBy = Annotated[str | None, QueryParameter(description="Only drafts that wait for us and this one looks after.")]
OfNumber = Annotated[str | None, QueryParameter(description="Exactly this order number of the buyer's.")]


class ArticleMeant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The article a marked line means."""

    line_id: Annotated[str, Meta(min_length=1, max_length=40)]
    article: Annotated[str, Meta(description="Id of our article.", examples=["ar_01KANQ0000000000000000000A"])]
    remember: Annotated[bool, Meta(description="Let their number mean it in their later orders too.")] = True


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
    verdict: OfVerdict = None,
    taken_by: TakenBy = None,
) -> Page[DraftSummary]:
    before = None if after is None else decode_cursor(after, "drafts", int)[0]
    rows = await db.read(
        store.lists.page,
        before=before,
        limit=limit + 1,
        acceptance=None if acceptance is None else acceptance.value,
        validation=None if validation is None else validation.value,
        partner=partner,
        number=number,
        verdict=verdict,
        taken_by=taken_by,
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
    rows = await db.read(store.lists.page, before=before, limit=limit + 1, partner=partner, approved_only=True)
    return _page("sales-orders", rows, limit)


@get(
    "/sales/cancellations",
    operation_id="list_cancellations",
    summary="Orders a buyer wants cancelled",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def list_cancellations(db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[DraftSummary]:
    before = None if after is None else decode_cursor(after, "cancellations", int)[0]
    rows = await db.read(store.lists.page, before=before, limit=limit + 1, acceptance=Acceptance.CANCEL_REQUESTED.value)
    return _page("cancellations", rows, limit)


@get(
    "/sales/drafts/{order_id:str}",
    operation_id="read_draft",
    summary="A draft with its match",
    description="As application/pdf it is the order as the buyer sent it.",
    tags=["sales"],
    paper=True,
    **allows(Scope.SALES_ORDERS_READ),
)
async def read_draft(order_id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[Draft]:
    if asked_form(PDF) == PDF:
        order, ours = await db.read(actions.on_paper, order_id)
        return pdf(await asyncio.to_thread(papers.order_on_paper, order, ours, papers.language_of(ours.address.country)))
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


@get(
    "/sales/drafts/{order_id:str}/diff",
    operation_id="compare_revisions",
    summary="What a revision changes",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def compare_revisions(order_id: FromPath[str], db: NamedDependency[Database]) -> revisions.Difference:
    return await db.read(revisions.difference, order_id)


@post(
    "/sales/drafts/{order_id:str}/match",
    status_code=200,
    operation_id="match_draft_line",
    summary="Say which article is meant",
    description="For a marked line of a held draft. The answer is remembered for this partner unless `remember` is false.",
    responses=CHANGED,
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
    return tagged_draft(await db.write(actions.say_which, caller, order_id, if_match, data.line_id, data.article, remember=data.remember))


@post(
    "/sales/drafts/{order_id:str}/take",
    status_code=200,
    operation_id="take_draft",
    summary="Look after a draft",
    description="Also one that somebody else had taken; the others see who looks after it.",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def take_draft(
    order_id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[Draft]:
    return tagged_draft(await db.write(taking.take, caller, order_id, if_match))


@post(
    "/sales/drafts/{order_id:str}/release",
    status_code=200,
    operation_id="release_draft",
    summary="Give a draft back",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def release_draft(
    order_id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[Draft]:
    return tagged_draft(await db.write(taking.release, caller, order_id, if_match))


@post(
    "/sales/drafts/{order_id:str}/buyer",
    status_code=200,
    operation_id="settle_draft_buyer",
    summary="Say which card of the buyer is right",
    description="Ours, theirs, or a new contact for this order. Writing a contact needs `Contacts:Write` too.",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def settle_draft_buyer(
    order_id: FromPath[str],
    data: JSONBody[BuyerSettled],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return tagged_draft(await db.write(buyer.settle_buyer, caller, order_id, if_match, data))


@post(
    "/sales/drafts/{order_id:str}/messages",
    operation_id="say_to_buyer",
    summary="Say something to the buyer",
    responses=answers(errors.IdempotencyKeyReused, errors.TooManyMessages),
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def say_to_buyer(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    data: JSONBody[NewMessage],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Message]:
    key = await request_key(request, idempotency_key)
    return (await once(db, key, answered, talking.say, caller, order_id, data)).reply()


routes = [
    list_drafts,
    list_sales_orders,
    list_cancellations,
    read_draft,
    suggest_for_draft,
    compare_revisions,
    match_draft_line,
    take_draft,
    release_draft,
    settle_draft_buyer,
    say_to_buyer,
]


def tagged_draft(draft: Draft) -> Response[Draft]:
    """A draft as it stands now, with its ETag."""
    return Reply(draft, headers={"ETag": draft.summary.etag})


def _page(kind: str, rows: Sequence[tuple[int, Any]], limit: int) -> Page[Any]:
    shown = rows[:limit]
    return Page(items=[value for _, value in shown], next=encode_cursor(kind, shown[-1][0]) if len(rows) > limit else None)
