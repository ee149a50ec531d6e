"""What a review shows of an order: what was ordered against what we expected, and what has happened to it."""

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import msgspec
from litestar import Response

from prodsys import errors
from prodsys.company import store as company
from prodsys.contacts.cards import member_in_words, spoken
from prodsys.contacts.model import MEMBERS
from prodsys.documents import Acceptance, Message, Party, ReasonCode
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.logs import store as logs
from prodsys.logs.model import Logged
from prodsys.pages.drafts import TWIN_WITHIN, seconds_left
from prodsys.pages.fields import Form
from prodsys.pages.review_lines import Line, lines_of
from prodsys.pages.visitor import Visitor, show
from prodsys.pages.words import N_
from prodsys.sales import actions, buyer, revisions, store, terms
from prodsys.sales.model import Draft
from prodsys.sales.revisions import Difference
from prodsys.sales.store.twins import Twin
from prodsys.sales.store.views import Wish
from prodsys.scopes import Scope
from prodsys.settings import Settings
from prodsys.users import store as users

HISTORY = 30
ROOM_FOR = 3
"""Deliveries a line can be split into on the page without a script; with one there is a button for more."""

REASONS = {
    ReasonCode.OUT_OF_STOCK: N_("Out of stock"),
    ReasonCode.DISCONTINUED: N_("No longer sold"),
    ReasonCode.PRICE: N_("Other price"),
    ReasonCode.QUANTITY: N_("Other quantity"),
    ReasonCode.DATE: N_("Other date"),
    ReasonCode.OTHER: N_("Other reason"),
}
"""The reasons of the contract, as people say them."""

MEMBER_NAMES = {
    "name": N_("Name"),
    "organisation_number": N_("Org. no."),
    "vat_number": N_("VAT number"),
    "gln": "GLN",
    "email": N_("E-mail"),
    "phone": N_("Phone"),
    "address": N_("Address"),
    "persons": N_("Persons"),
}
"""The members of a card."""

STEPS: dict[str, tuple[str, str, str]] = {
    "order.received": ("ok", "in", N_("Received")),
    "order.taken": ("info", "people", N_("Taken")),
    "order.released": ("idle", "people", N_("Given back")),
    "order.line_matched": ("ok", "learned", N_("Article chosen")),
    "order.buyer_settled": ("ok", "people", N_("Buyer settled")),
    "order.approved": ("ok", "ok", N_("Approved")),
    "order.approved_by_rule": ("ok", "ok", N_("Approved by a rule")),
    "order.left_for_a_person": ("info", "clock", N_("Left for a person")),
    "order.changed": ("warn", "warn", N_("Answered with changes")),
    "order.rejected": ("bad", "bad", N_("Rejected")),
    "order.answer_taken_back": ("info", "retry", N_("Answer taken back")),
    "order.agreed": ("ok", "ok", N_("The buyer agrees")),
    "order.disputed": ("warn", "ask", N_("The buyer disputes")),
    "order.cancel_requested": ("warn", "clock", N_("The buyer wants to cancel")),
    "order.cancellation_refused": ("warn", "bad", N_("Not cancelled")),
    "order.cancelled": ("idle", "off", N_("Cancelled")),
    "order.despatched": ("ok", "truck", N_("Despatched")),
    "order.message": ("info", "chat", N_("Message")),
    "order.repeated": ("idle", "copy", N_("Sent again by the buyer")),
}
"""What a step of an order's way is called: kind, icon, words; any other is told by its log line alone."""

_TAKEN_BACK = frozenset({Acceptance.APPROVED, Acceptance.CHANGED, Acceptance.REJECTED})


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a card, ours and theirs, in pieces: (piece, whether it differs)."""

    member: str
    ours: Sequence[tuple[str, bool]]
    theirs: Sequence[tuple[str, bool]]
    differs: bool


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a review shows of one order."""

    draft: Draft
    lines: Sequence[Line]
    hidden_lines: int
    ours: Party | None
    beside: Sequence[Beside]
    change: Difference | None
    agreed_before: str | None
    """Our number of the order as it was agreed before this revision."""
    history: Sequence[Logged]
    said: Sequence[tuple[bool, Message]]
    twin: Twin | None
    names: Mapping[str, str]
    seconds_left: int
    next_id: str | None
    us: Party
    waited: float
    """Seconds since it came."""

    def place_of(self, code: str) -> str:
        """The part of the page a finding is about: a line's row, the contact, or the order's facts."""
        if code.startswith(("contact_", "organisation_", "vat_", "gln_")):
            return "contact" if self.beside else "facts"
        at = next((line.at for line in self.lines if any(issue.code == code for issue in line.issues)), None)
        return "facts" if at is None else f"f-l{at}"

    @property
    def same_number(self) -> bool:
        """Whether both cards carry the same organisation number."""
        return any(one.member == "organisation_number" and one.theirs != [] and not one.differs for one in self.beside)

    @property
    def has_buyer_issues(self) -> bool:
        """Whether something was remarked about the buyer that nobody has settled."""
        return any((issue.pointer or "").startswith("/buyer") for issue in self.draft.issues)

    @property
    def blocking(self) -> list[Line]:
        """Lines without an article."""
        return [line for line in self.lines if line.is_unresolved]

    @property
    def differing(self) -> int:
        """Members of the buyer's card that differ."""
        return sum(one.differs for one in self.beside)

    def may(self, step: str) -> bool:
        """Whether a step fits the state the order is in."""
        return self.draft.summary.acceptance in terms.STEPS[step] and self.draft.summary.is_newest

    def who(self, actor: str) -> str:
        """A person's name for his e-mail address."""
        return self.names.get(actor.casefold(), actor)


async def shown(
    visitor: Visitor,
    db: Database,
    settings: Settings,
    order_id: str,
    *,
    form: Form | None = None,
    refusal: errors.Refusal | None = None,
    said: str = "",
    mark: str = "",
    sought: Mapping[str, str] | None = None,
) -> Response[Any]:
    """The review, with what was typed and what is wrong with it."""
    seen = await db.read(look, order_id, settings.undo_seconds, form, mark, sought)
    summary = seen.draft.summary
    is_again = summary.acceptance not in terms.STEPS["approve"]
    can_answer = (
        visitor.may(Scope.SALES_ORDERS_APPROVE) and seen.may("answer") and (not is_again or form is not None or "again" in visitor.query)
    )
    return await show(
        visitor,
        "draft.html",
        here="drafts",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        seen=seen,
        draft=seen.draft,
        order=seen.draft.order,
        summary=summary,
        reasons=REASONS,
        steps=STEPS,
        member_names=MEMBER_NAMES,
        form=form,
        said_now=said,
        can_decide=visitor.may(Scope.SALES_ORDERS_APPROVE),
        can_answer=can_answer,
        can_match=can_answer and seen.may("match"),
        is_again=is_again,
        room_for=range(ROOM_FOR),
        me=visitor.caller.name,
    )


def look(
    tx: Tx, order_id: str, undo_seconds: int, form: Form | None = None, mark: str = "", sought: Mapping[str, str] | None = None
) -> Seen:
    """Unit: everything a review shows of one order. Raises NotFound."""
    row = store.orders.draft(tx, order_id)
    if row is None:
        raise errors.NotFound
    draft = actions.whole(tx, order_id)
    lines, hidden = lines_of(tx, row, draft, form, mark, sought or {})
    standing = store.orders.standing(tx, row, lock=False) if draft.summary.revision > 1 else None
    ours, _ = buyer.compared(tx, draft)
    history = [entry for _, entry in logs.page(tx, before=None, limit=HISTORY, number=row.number, partner=row.partner_id)]
    us = company.card(tx)
    waiting = draft.summary.acceptance in store.views.WAITING_WORDS
    after = store.lists.inbox(tx, Wish(), after=(0, row.pk), limit=1)
    return Seen(
        draft=draft,
        lines=lines,
        hidden_lines=hidden,
        ours=ours,
        beside=[] if ours is None else beside(ours, draft.order.buyer),
        change=_change(tx, order_id) if draft.summary.revision > 1 else None,
        agreed_before=None if standing is None else standing.order_number,
        history=history,
        said=store.messages.said(tx, row.pk),
        twin=store.twins.of_orders(tx, [order_id], TWIN_WITHIN).get(order_id) if waiting else None,
        names=users.people.names_of(tx, {entry.actor for entry in history} | {draft.summary.taken_by, draft.answered_by}),
        seconds_left=seconds_left(draft.answered_at, undo_seconds) if draft.summary.acceptance in _TAKEN_BACK else 0,
        next_id=after[0][1].id if after else None,
        us=us.card if us is not None else Party(name=" "),
        waited=(now() - draft.summary.received_at).total_seconds(),
    )


def beside(ours: Party, theirs: Party) -> list[Beside]:
    """Two cards member by member, with the characters that differ told from the others; an empty member of theirs differs nowhere."""
    found = []
    told = spoken(ours, theirs, all_persons=False)
    for member in MEMBERS:
        here, there = member_in_words(ours, member), member_in_words(theirs, member)
        if here or there:
            differs = here != member_in_words(told, member)
            pieces = _pieces if differs else _alike
            found.append(Beside(member=member, ours=pieces(here, there), theirs=pieces(there, here), differs=differs))
    return found


def _alike(text: str, _: str) -> list[tuple[str, bool]]:
    return [(text, False)] if text else []


def _pieces(text: str, other: str) -> list[tuple[str, bool]]:
    pieces = []
    for tag, start, end, _, _ in SequenceMatcher(None, text, other, autojunk=False).get_opcodes():
        if end > start:
            pieces.append((text[start:end], tag != "equal"))
    return pieces


def _change(tx: Tx, order_id: str) -> Difference | None:
    try:
        return revisions.difference(tx, order_id)
    except errors.NotFound:
        return None
