"""How many things wait for a person, counted just far enough to be shown."""

from prodsys.kit.db import Tx
from prodsys.purchasing import following
from prodsys.sales import store as sales
from prodsys.scopes import Caller, Scope

MOST = 1_000
"""Nobody is told more than this many; the count stops here."""


def counts(tx: Tx, caller: Caller) -> dict[str, int]:
    """What waits behind each entry of the menu the caller may open, by the entry's key."""
    found: dict[str, int] = {}
    if caller.may(Scope.SALES_ORDERS_READ):
        found["drafts"] = sales.waiting.count(tx, MOST + 1)
    if caller.may(Scope.PURCHASE_ORDERS_READ):
        found["follow-up"] = following.count(tx, "overdue").count
    return found
