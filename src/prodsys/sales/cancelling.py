"""A buyer asks for an order to be cancelled: accepted, refused, or too late."""

from typing import Any

from prodsys import errors
from prodsys.documents import Acceptance, Fulfilment, plain
from prodsys.kit.db import Tx
from prodsys.sales import feed, store, terms
from prodsys.sales.actions import whole
from prodsys.sales.answers import note, own, seen
from prodsys.sales.model import Draft, News
from prodsys.scopes import Caller


def ask(tx: Tx, caller: Caller, order_id: str, reason: str) -> Any:
    """The buyer asks. What was despatched cannot be cancelled any more, and is said so at once; everything else a person decides.

    Asking again changes nothing. Raises NotFound, and WrongState for a revision that a newer one has taken the place of.
    """
    row = own(tx, caller, order_id)
    if row.acceptance in (Acceptance.CANCEL_REQUESTED, Acceptance.CANCELLED):
        return row
    if not row.is_newest:
        raise errors.WrongState(f"A newer revision of order {row.number} has arrived; ask for that one to be cancelled.")
    why = plain(reason) or "no reason given"
    # A change request is not the order: what was despatched of the revision that stands is too late as well.
    standing = store.orders.standing(tx, row) or row
    if standing.fulfilment != Fulfilment.NONE:
        gone = sum(1 for line in store.orders.lines(tx, standing.pk) if line.despatched)
        told = f"Too late: {gone} line(s) of the order have been despatched."
        feed.announce(tx, row, News(kind="order.cancellation_refused", reason=told))
        note(
            tx,
            caller,
            row,
            "order.cancellation_refused",
            f"The buyer asked to cancel order {row.number} ({why}). {told}",
            level="warning",
            direction="in",
        )
        return row
    if row.acceptance == Acceptance.REJECTED:
        return _settle(
            tx, caller, row, Acceptance.CANCELLED, "", f"Order {row.number}, rejected before, was cancelled by the buyer ({why})."
        )
    terms.must("cancel", row.acceptance, row.number)
    asked = Acceptance.CANCEL_REQUESTED.value
    store.orders.change(tx, row.pk, row.version, acceptance=asked, acceptance_before=row.acceptance, reason=plain(reason), verdict="look")
    feed.announce(tx, row, News(kind="order.cancel_requested", acceptance=asked, reason=plain(reason)))
    note(tx, caller, row, "order.cancel_requested", f"The buyer asks to cancel order {row.number}: {why}.", level="warning", direction="in")
    return own(tx, caller, order_id)


def accept(tx: Tx, caller: Caller, order_id: str, if_match: str | None) -> Draft:
    """Let the order be cancelled."""
    row = seen(tx, order_id, if_match, "decide_cancellation")
    _settle(tx, caller, row, Acceptance.CANCELLED, row.reason, f"Order {row.number} was cancelled as the buyer asked.")
    return whole(tx, order_id)


def refuse(tx: Tx, caller: Caller, order_id: str, if_match: str | None, reason: str) -> Draft:
    """Keep the order as it stood before the buyer asked, with the reason he will read."""
    row = seen(tx, order_id, if_match, "decide_cancellation")
    why = plain(reason)
    if not why:
        raise errors.Invalid("A refusal needs a reason; the buyer reads it.")
    stands = row.acceptance_before or Acceptance.OPEN.value
    store.orders.change(tx, row.pk, row.version, acceptance=stands, acceptance_before="", reason="")
    feed.announce(tx, row, News(kind="order.cancellation_refused", acceptance=stands, reason=why))
    note(tx, caller, row, "order.cancellation_refused", f"Order {row.number} was not cancelled: {why}.")
    return whole(tx, order_id)


def _settle(tx: Tx, caller: Caller, row: Any, acceptance: Acceptance, reason: str, message: str) -> Any:
    store.orders.change(tx, row.pk, row.version, acceptance=acceptance.value, reason=reason)
    older = store.orders.standing(tx, row)
    if older is not None:
        # The buyer cancels the order, not one of its revisions.
        store.orders.change(tx, older.pk, older.version, acceptance=acceptance.value, reason=reason)
    news = News(kind=f"order.{acceptance.value}", acceptance=acceptance.value, reason=reason, older="" if older is None else older.id)
    feed.announce(tx, row, news)
    note(tx, caller, row, f"order.{acceptance.value}", message)
    return store.orders.draft(tx, row.id)
