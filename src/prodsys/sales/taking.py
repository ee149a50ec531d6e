"""Who looks after a draft, so that two clerks do not work on the same one."""

from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.sales import store
from prodsys.sales.actions import whole
from prodsys.sales.answers import locked, note
from prodsys.sales.model import Draft
from prodsys.scopes import Caller


def take(tx: Tx, caller: Caller, order_id: str, if_match: str | None) -> Draft:
    """Look after a draft from now on, also one that somebody else had taken. Raises NotFound, IfMatchMissing, Stale."""
    row = locked(tx, order_id, if_match)
    if row.taken_by == caller.name:
        return whole(tx, order_id)
    store.orders.change(tx, row.pk, row.version, taken_by=caller.name, taken_at=now())
    before = f" from {row.taken_by}" if row.taken_by else ""
    note(tx, caller, row, "order.taken", f"{caller.name} took order {row.number}{before}.")
    return whole(tx, order_id)


def release(tx: Tx, caller: Caller, order_id: str, if_match: str | None) -> Draft:
    """Let a draft be anybody's again. Raises NotFound, IfMatchMissing, Stale."""
    row = locked(tx, order_id, if_match)
    if not row.taken_by:
        return whole(tx, order_id)
    store.orders.change(tx, row.pk, row.version, taken_by="", taken_at=None)
    note(tx, caller, row, "order.released", f"{caller.name} gave order {row.number} back.")
    return whole(tx, order_id)
