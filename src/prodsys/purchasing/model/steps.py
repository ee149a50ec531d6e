"""Which steps a purchase order may take, and the revision it gets by them."""

from collections.abc import Collection, Mapping
from typing import Literal

from prodsys import errors
from prodsys.documents import Issue, Validation

Verb = Literal["change", "delete", "export", "send_again"]

STEPS: Mapping[str, frozenset[Verb]] = {
    "not_sent": frozenset({"change", "delete", "export"}),
    "queued": frozenset(),
    "sending": frozenset(),
    "waiting": frozenset(),
    "received": frozenset({"change"}),
    "failed": frozenset({"change", "export", "send_again"}),
    "unknown": frozenset({"change", "export", "send_again"}),
}
"""Which verb fits which state of delivery. Copying always fits; deleting also asks that nothing was ever sent."""

_PAST: Mapping[Verb, str] = {"change": "changed", "delete": "deleted", "export": "exported", "send_again": "sent again"}
_KNOWN_THERE = frozenset({"order_conflict", "revision_superseded"})


def may(state: str, verb: Verb) -> bool:
    """Whether a step fits the state of delivery."""
    return verb in STEPS[state]


def must(state: str, verb: Verb, number: str) -> None:
    """Go on only when the step fits. Raises WrongState with the reason."""
    if may(state, verb):
        return
    where = "is on its way" if state in ("queued", "sending", "waiting") else f"is {state.replace('_', ' ')}"
    raise errors.WrongState(f"Order {number} {where}; it cannot be {_PAST[verb]} now.")


def must_live(acceptance: str, fulfilment: str, number: str) -> None:
    """Go on only while the order can still become another. Raises WrongState when it is cancelled, about to be, or all received."""
    if acceptance in ("cancel_requested", "cancelled"):
        how = "is cancelled" if acceptance == "cancelled" else "waits for the supplier's word on its cancellation"
        raise errors.WrongState(f"Order {number} {how}; write a new one instead.")
    if fulfilment == "received":
        raise errors.WrongState(f"Order {number} has been received and is closed; write a new one instead.")


def next_revision(revision: int, delivery: str, validation: str, issues: Collection[Issue]) -> int:
    """The revision a changed order gets: a delivered one the next, one that was never sent or refused keeps its own (ruling 14).

    One that may have arrived although we heard nothing gets the next too: a gap is allowed, a conflict is not.
    """
    if delivery == "not_sent":
        return revision
    is_known_there = any(issue.code in _KNOWN_THERE for issue in issues)
    return revision if validation == Validation.REFUSED and not is_known_there else revision + 1
