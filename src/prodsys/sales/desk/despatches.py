"""The doors of goods that leave: the picking list, and what was sent."""

import asyncio
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody

from prodsys import errors, papers
from prodsys.documents import Despatch
from prodsys.kit.db import Database
from prodsys.kit.web import PDF, Answered, IdempotencyKey, Page, Reply, answered, answers, asked_form, once, pdf, request_key
from prodsys.papers import PickingList
from prodsys.sales import actions, despatching, picking
from prodsys.sales.despatching import NewDespatch, TellsDespatch
from prodsys.scopes import Caller, Scope, allows


@post(
    "/sales/orders/{order_id:str}/despatches",
    operation_id="despatch_order",
    summary="Tell that goods are on their way",
    description="Safe to repeat by its number: the same despatch of an order, told again, answers 200 with the first and changes nothing.",
    responses={200: ResponseSpec(data_container=TellsDespatch, generate_examples=False, description="Told before: the first")}
    | answers(errors.WrongState, errors.AlreadyExists, errors.IdempotencyKeyReused),
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_APPROVE),
)
async def despatch_order(
    request: Request[Any, Any, Any],
    order_id: FromPath[str],
    data: JSONBody[NewDespatch],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[TellsDespatch]:
    def answer(made: TellsDespatch) -> Answered:
        return answered(made, 201 if made.new else 200)

    key = await request_key(request, idempotency_key)
    return (await once(db, key, answer, despatching.despatch, caller, order_id, data)).reply()


@get(
    "/sales/orders/{order_id:str}/despatches",
    operation_id="list_despatches",
    summary="What of an order is on its way",
    tags=["sales"],
    **allows(Scope.SALES_ORDERS_READ),
)
async def list_despatches(order_id: FromPath[str], db: NamedDependency[Database]) -> Page[Despatch]:
    return Page(items=(await db.read(actions.whole, order_id)).despatches)


@get(
    "/sales/orders/{order_id:str}/picking-list",
    operation_id="read_picking_list",
    summary="What of an order is still to go",
    description="What was promised and has not been despatched, where to and by when. As application/pdf it is for the warehouse.",
    responses=answers(errors.WrongState),
    tags=["sales"],
    paper=True,
    **allows(Scope.SALES_ORDERS_READ),
)
async def read_picking_list(order_id: FromPath[str], db: NamedDependency[Database]) -> Response[PickingList]:
    wanted, ours, country = await db.read(picking.to_pick, order_id)
    if asked_form(PDF) == PDF:
        return pdf(await asyncio.to_thread(papers.picking_list_on_paper, wanted, ours, papers.language_of(country)))
    return Reply(wanted)


routes = [despatch_order, list_despatches, read_picking_list]
