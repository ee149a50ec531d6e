"""The doors of what a supplier says about an order, and of what we say to him."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import IdempotencyKey, IfMatch, answered, once, request_key, tagged
from prodsys.kit.web import answers as refusals
from prodsys.purchasing import abroad, answers, mailing, reminding, words
from prodsys.purchasing.model.orders import OrderMessage, PurchaseOrder
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings


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


routes = [answer_by_hand, accept_answer, dispute_answer, cancel_order, say_to_supplier, remind_supplier, refresh_order]
