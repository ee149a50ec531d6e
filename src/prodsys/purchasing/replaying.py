"""Send an order again by today's rules, as it is stored: once mended there, or to be sure that it is there."""

from prodsys import documents, errors
from prodsys.company.store import card as company_card
from prodsys.documents import Acceptance
from prodsys.kit.db import Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import one as log_entry
from prodsys.logs.store import tell
from prodsys.purchasing import exporting, store
from prodsys.purchasing.actions import kept
from prodsys.purchasing.model import steps, writing
from prodsys.purchasing.store.orders import Kept
from prodsys.purchasing.terms import ENDED
from prodsys.scopes import Caller


def replay(tx: Tx, caller: Caller, id: str, *, answers_every: int = 60) -> str:
    """Promise a stored order anew under its own number and revision; the export's id.

    A refused order is matched there against today's articles and rules; one that has arrived is only answered with its first receipt,
    so it is there once whatever happens. The new attempt has a trace of its own, and the logs tie it to the one before.
    Raises NotFound, and WrongState for an order that was never sent, is on its way, has ended, or would say something else by now.
    """
    row = kept(tx, id, lock=True)
    steps.must(row.delivery, "export" if row.delivery != "received" else "change", row.number)
    if row.sent_at is None:
        raise errors.WrongState(f"Order {row.number} has not been sent yet; export it.")
    if row.delivery == "not_sent":
        raise errors.WrongState(f"Order {row.number} has been changed since it was sent; export the change.")
    if row.acceptance in ENDED | {Acceptance.CANCEL_REQUESTED}:
        raise errors.WrongState(f"Order {row.number} is {row.acceptance.replace('_', ' ')}; write a new one instead.")
    if row.delivery == "received":
        _must_say_the_same(tx, row)
        # Whether it is there is what somebody wants to know; `unknown` may be sent again as it is.
        store.orders.change(tx, row.pk, delivery="unknown")
    message = (
        f"{caller.name} sends order {row.number} revision {row.revision} again by today's rules; before, its trace was {row.trace_id}."
    )
    tell(
        tx,
        Entry(
            code="order.replayed",
            message=message,
            direction="out",
            partner=row.partner,
            subject=row.id,
            number=row.number,
            trace_id=row.trace_id,
            actor=caller.name,
        ),
    )
    made = exporting.export(tx, caller, [row.id], answers_every=answers_every)
    if row.delivery == "received" and kept(tx, id).delivery == "unknown":
        # It could not leave, so it is where it was.
        store.orders.change(tx, row.pk, delivery="received")
    return made


def replay_entry(tx: Tx, caller: Caller, entry: str, *, answers_every: int = 60) -> str:
    """The same for the order a log entry is about. Raises NotFound, WrongState for an entry about something else."""
    found = log_entry(tx, entry)
    if found is None:
        raise errors.NotFound(f"There is no log entry {entry[:40]}; old ones are dropped. The order itself can be exported again.")
    if store.orders.get(tx, found.subject) is None:
        what = "the order is the buyer's to send again" if found.direction == "in" else "there is nothing to send"
        raise errors.WrongState(f"This entry is not about a purchase order of ours, so {what}.")
    return replay(tx, caller, found.subject, answers_every=answers_every)


def _must_say_the_same(tx: Tx, row: Kept) -> None:
    ours = company_card(tx)
    if ours is None:
        return
    leaving = writing.as_document(store.orders.read_order(row.document), row.revision, ours.card)
    if documents.digest(leaving) != store.orders.sent_digest(tx, row.pk):
        raise errors.WrongState(
            f"Order {row.number} would say something else by now, because our company card has changed; the supplier has it as it was. "
            "Change the order to send its next revision."
        )
