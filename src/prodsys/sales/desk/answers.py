"""The doors by which our order desk says yes, no or something else to an order, its revisions and its cancellation."""

import datetime as dt
from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from prodsys.documents import AnswerLine, Words
from prodsys.kit.db import Database
from prodsys.kit.web import IfMatch
from prodsys.sales import answers as answering
from prodsys.sales import cancelling, revisions
from prodsys.sales.answers import Answered as AnsweredDraft
from prodsys.sales.answers import DraftToApprove
from prodsys.sales.desk.drafts import CHANGED, tagged_draft
from prodsys.sales.model import Draft
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, in words the buyer will read."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class NewAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is answered to an order, line by line."""

    lines: Annotated[list[AnswerLine], Meta(max_length=10_000)] = []
    reason: Words = ""


class DraftsToApprove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Drafts to approve as they were seen."""

    drafts: Annotated[list[DraftToApprove], Meta(min_length=1, max_length=500)]


class AnsweredDrafts(msgspec.Struct, frozen=True, kw_only=True):
    """One answer per draft, in the order asked."""

    items: list[AnsweredDraft]


@post(
    "/sales/drafts/{order_id:str}/approve",
    status_code=200,
    operation_id="approve_draft",
    summary="Approve a draft",
    description="It gets an order number; the buyer hears of it ten seconds later (a setting), and until then it can be taken back.",
    responses=CHANGED,
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
    return tagged_draft(await db.write(answering.approve, caller, order_id, if_match, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/reject",
    status_code=200,
    operation_id="reject_draft",
    summary="Reject a draft with a reason",
    responses=CHANGED,
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
    return tagged_draft(await db.write(answering.reject, caller, order_id, if_match, data.reason, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/answer",
    status_code=200,
    operation_id="answer_draft",
    summary="Answer line by line",
    description=(
        "Lines nothing is said of are accepted as ordered; a line may be split over several deliveries. "
        "May be given again after approval, as answer n; the buyer accepts or disputes it."
    ),
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def answer_draft(
    order_id: FromPath[str],
    data: JSONBody[NewAnswer],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return tagged_draft(await db.write(answering.answer, caller, order_id, if_match, data.lines, data.reason, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/undo",
    status_code=200,
    operation_id="take_back_answer",
    summary="Take an answer back",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def take_back_answer(
    order_id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[Draft]:
    return tagged_draft(await db.write(answering.take_back, caller, order_id, if_match))


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
    return AnsweredDrafts(items=await db.write(answering.approve_many, caller, data.drafts, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/apply",
    status_code=200,
    operation_id="apply_revision",
    summary="Take a change of an agreed order",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def apply_revision(
    order_id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return tagged_draft(await db.write(revisions.apply, caller, order_id, if_match, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/keep",
    status_code=200,
    operation_id="keep_agreed_order",
    summary="Decline a change of an agreed order",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def keep_agreed_order(
    order_id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return tagged_draft(await db.write(revisions.keep, caller, order_id, if_match, undo=_undo(settings)))


@post(
    "/sales/drafts/{order_id:str}/cancellation/accept",
    status_code=200,
    operation_id="accept_cancellation",
    summary="Let an order be cancelled",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def accept_cancellation(
    order_id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[Draft]:
    return tagged_draft(await db.write(cancelling.accept, caller, order_id, if_match))


@post(
    "/sales/drafts/{order_id:str}/cancellation/refuse",
    status_code=200,
    operation_id="refuse_cancellation",
    summary="Keep an order the buyer wants cancelled",
    responses=CHANGED,
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def refuse_cancellation(
    order_id: FromPath[str],
    data: JSONBody[Reason],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Draft]:
    return tagged_draft(await db.write(cancelling.refuse, caller, order_id, if_match, data.reason))


routes = [
    approve_draft,
    reject_draft,
    answer_draft,
    take_back_answer,
    approve_drafts,
    apply_revision,
    keep_agreed_order,
    accept_cancellation,
    refuse_cancellation,
]


def _undo(settings: Settings) -> dt.timedelta:
    return dt.timedelta(seconds=settings.undo_seconds)
