"""What is done about a buyer's card in an order that is not the card we have of him."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.contacts import actions as contacts
from prodsys.contacts import store as contact_store
from prodsys.contacts.cards import differences, spoken
from prodsys.contacts.model import MEMBERS, ContactForm, ContactPatch, Member
from prodsys.documents import Issue, Party
from prodsys.kit.db import Tx
from prodsys.sales import store, terms
from prodsys.sales.actions import whole
from prodsys.sales.answers import locked, note
from prodsys.sales.model import Draft
from prodsys.scopes import Caller, Scope


class BuyerSettled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which card is right: ours as it is, theirs (all that differs, or some members of it), or a new contact for this order."""

    use: Literal["ours", "theirs", "new"]
    members: Annotated[list[Member], Meta(max_length=8, description="With `theirs`: what to take over; empty: all that differs.")] = []


def settle_buyer(tx: Tx, caller: Caller, order_id: str, if_match: str | None, wish: BuyerSettled) -> Draft:
    """Say which card of the buyer is right; what was remarked about him is settled with that.

    What his card does not say is no difference and is never taken over, so nothing of ours is emptied.

    Raises NotFound, IfMatchMissing, Stale, WrongState, and InsufficientScope where a contact would be written.
    """
    row = locked(tx, order_id, if_match)
    terms.must("match", row.acceptance, row.number)
    if wish.use != "ours" and not caller.may(Scope.CONTACTS_WRITE):
        raise errors.InsufficientScope(f"This writes a contact, which needs {Scope.CONTACTS_WRITE}.")
    theirs = store.orders.read_order(row.document).buyer
    changed: dict[str, Any] = {}
    if wish.use == "new":
        form: dict[str, Any] = {name: getattr(theirs, name) for name in Party.__struct_fields__}
        made = contacts.create(tx, ContactForm(**form, is_customer=True), actor=caller.name, allow_similar=True)
        changed = {"contact": made.pk, "contact_how": "created"}
        told = f"is a contact of its own now: {made.card.name}"
    elif wish.use == "theirs":
        told = _taken_over(tx, caller, row, theirs, wish)
    else:
        told = "stays as we have it"
    issues = [issue for issue in store.orders.read_issues(row.issues) if issue.blocks or not _is_about_buyer(issue)]
    hows = [line.how for line in store.orders.lines(tx, row.pk)]
    store.orders.change(tx, row.pk, row.version, **store.arriving.judged(issues, hows, row.revision), **changed)
    note(tx, caller, row, "order.buyer_settled", f"The buyer of order {row.number} {told}.")
    return whole(tx, order_id)


def compared(tx: Tx, draft: Draft) -> tuple[Party | None, Sequence[Any]]:
    """The card we have of a draft's buyer, and what the order says otherwise."""
    if draft.contact is None:
        return None, []
    ours = contact_store.by_id(tx, draft.contact)
    return (None, []) if ours is None else (ours.card, differences(ours.card, _said(ours.card, draft.order.buyer)))


def _taken_over(tx: Tx, caller: Caller, row: Any, theirs: Party, wish: BuyerSettled) -> str:
    contact = None if row.contact is None else contact_store.by_key(tx, row.contact)
    if contact is None:
        raise errors.WrongState(f"Order {row.number} has no contact yet; make a new one.")
    theirs = _said(contact.card, theirs)
    differing: set[str] = {difference.field for difference in differences(contact.card, theirs)}
    members = [name for name in wish.members or MEMBERS if name in differing]
    given: dict[str, Any] = {name: getattr(theirs, name) for name in members}
    if given:
        contacts.patch(tx, contact.id, ContactPatch(**given), if_match=contacts.tag(contact), actor=caller.name)
    return f"is written as in the order: {', '.join(members) or 'nothing differs'}"


def _said(ours: Party, theirs: Party) -> Party:
    return spoken(ours, theirs, all_persons=False)


def _is_about_buyer(issue: Issue) -> bool:
    return (issue.pointer or "").startswith("/buyer")
