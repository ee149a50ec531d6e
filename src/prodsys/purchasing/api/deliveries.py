"""The doors of the ledger of what was promised to suppliers."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.web import After, Limit, Page, decode_cursor, encode_cursor
from prodsys.kit.web import answers as refusals
from prodsys.purchasing import carrying, store
from prodsys.purchasing.model.deliveries import DeliveryEntry
from prodsys.scopes import Caller, Scope, allows


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


routes = [list_deliveries, resend_delivery]
