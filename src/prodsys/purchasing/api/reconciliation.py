"""The doors of comparing our orders with a supplier's books."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import Answered, IdempotencyKey, answered, once, request_key
from prodsys.kit.web import answers as refusals
from prodsys.purchasing import abroad, reconciling, recovering
from prodsys.purchasing.reconciling import Reconciliation
from prodsys.purchasing.recovering import OrdersToTakeOver
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings


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


def _asked(standing: Reconciliation) -> Answered:
    return answered(standing, 202)


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
    return await recovering.take_over(db, abroad.reach_by(outbound, vault, settings), caller, id, data)


@get("/partners/{id:str}/reconciliation", operation_id="get_reconciliation", **allows(Scope.PURCHASE_ORDERS_READ))
async def get_reconciliation(id: FromPath[str], db: NamedDependency[Database]) -> Reconciliation:
    """How comparing our orders with a supplier's books stands, and what it came to last."""
    return await db.read(reconciling.shown, id)


routes = [reconcile, take_over_lost_orders, get_reconciliation]
