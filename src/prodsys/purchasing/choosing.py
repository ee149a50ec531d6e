"""Choose orders to export: which of a list can leave, and why the others cannot."""

from collections.abc import Sequence
from typing import Any

import msgspec

from prodsys.company.store import card as company_card
from prodsys.documents import Issue
from prodsys.kit.db import Tx
from prodsys.purchasing import mailing, store
from prodsys.purchasing.actions import kept, summaries
from prodsys.purchasing.model import readiness, steps
from prodsys.purchasing.model.lists import PurchaseSummary
from prodsys.purchasing.store.lists import Filter, NotSent
from prodsys.purchasing.store.orders import Kept

MOST_TOGETHER = 500
"""Orders a person exports at once; who wants more has a program do it."""


class Choosable(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a list, and why it cannot be exported now; nothing when it can."""

    order: PurchaseSummary
    line_count: int
    issues: list[Issue]


def listed(tx: Tx, wanted: Filter, after: tuple[Any, ...] | None, limit: int) -> tuple[list[Choosable], tuple[str | int, ...] | None]:
    """A page of orders, and where the next one begins."""
    found = store.lists.listed(tx, wanted, after, limit + 1)
    more = store.lists.place(wanted, found[limit - 1]) if len(found) > limit else None
    rows = found[:limit]
    counts = store.orders.line_counts(tx, [row.pk for row in rows])
    against = _against(tx, rows)
    chosen = [
        Choosable(order=order, line_count=counts.get(row.pk, 0), issues=against[row.pk])
        for row, order in zip(rows, summaries(tx, rows), strict=True)
    ]
    return chosen, more


def matching(tx: Tx, wanted: Filter, most: int) -> list[str]:
    """Ids of the orders of a filter that can leave now, newest first; of the first *most* that were not sent yet."""
    states = {state for state, verbs in steps.STEPS.items() if "export" in verbs}
    rows = store.lists.not_sent_yet(tx, wanted, states, most)
    against = _against(tx, rows)
    return [row.id for row in rows if not against[row.pk]]


def against(tx: Tx, id: str) -> list[Issue]:
    """Why one order cannot be exported now; empty when it can. Raises NotFound."""
    row = kept(tx, id)
    return _against(tx, [row])[row.pk]


def _against(tx: Tx, rows: Sequence[Kept | NotSent]) -> dict[int, list[Issue]]:
    ways = mailing.ways(tx, {row.partner for row in rows if row.partner is not None})
    has_card = company_card(tx) is not None
    return {row.pk: _against_one(row, has_card, ways.issues.get(row.partner or 0) if row.partner else None) for row in rows}


def _against_one(row: Kept | NotSent, has_card: bool, supplier_issues: Sequence[Issue] | None) -> list[Issue]:
    stop = readiness.not_to_leave(row.number, row.delivery, row.acceptance)
    if stop is not None:
        return [stop]
    # What the supplier said of an order he refused may be mended on either side; ours of one not sent is ours to mend.
    ours = store.orders.read_issues(row.issues) if row.delivery == "not_sent" else []
    return [*readiness.against_leaving(row.number, has_card, supplier_issues), *ours]
