"""Sales > Order drafts > one of them: what was ordered against what we expected, and the answer to it, line by line."""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from prodsys import errors, papers
from prodsys.articles import store as articles
from prodsys.articles.model import Known, Wanted
from prodsys.attachments import actions as attachments
from prodsys.attachments.model import ENDINGS
from prodsys.company import store as company
from prodsys.contacts.cards import member_in_words, spoken
from prodsys.contacts.model import MEMBERS
from prodsys.documents import Acceptance, AnswerLine, Issue, LineAction, Message, Party, ReasonCode, Suggestion, plain
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import pdf
from prodsys.logs import store as logs
from prodsys.logs.model import Logged
from prodsys.pages.drafts import TWIN_WITHIN, seconds_left
from prodsys.pages.fields import Form, document
from prodsys.pages.pressing import pressed
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, own_path, show
from prodsys.pages.words import N_
from prodsys.partners import store as partners
from prodsys.sales import actions, answers, buyer, cancelling, model, picking, revisions, store, taking, talking, terms
from prodsys.sales.buyer import BuyerSettled
from prodsys.sales.desk import NewAnswer
from prodsys.sales.model import Draft, DraftLine
from prodsys.sales.revisions import Difference
from prodsys.sales.store.twins import Twin
from prodsys.sales.store.views import Wish
from prodsys.sales.talking import NewMessage
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings
from prodsys.users import store as users

MOST_LINES = 300
"""So many lines a page shows; of longer orders those with something to look at, and the rest is accepted as ordered."""
HISTORY = 30
ROOM_FOR = 3
"""Deliveries a line can be split into on the page without a script; with one there is a button for more."""

Choice = Literal["accept", "change", "reject", ""]

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


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What is filled in for one line."""

    choice: Choice = ""
    deliveries: Sequence[tuple[str, str]] = ()
    price: str = ""
    substitute: str = ""
    back_order: str = ""
    code: str = ""
    why: str = ""
    map: str = ""
    other: str = ""
    learn: bool = True
    picked: bool = False


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An article a line may mean, with how like it is."""

    article: Known
    score: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line as the page shows it."""

    at: int
    draft: DraftLine
    issues: Sequence[Issue]
    candidates: Sequence[Candidate]
    answered: AnswerLine | None
    typed: Typed

    @property
    def state(self) -> str:
        """The word of its verdict."""
        codes = {issue.code for issue in self.issues}
        if self.is_unresolved or self.draft.how == "text":
            return self.draft.how
        if codes & {"unit_differs", "unit_unknown"}:
            return "unit"
        return "price" if "price_differs" in codes or "currency_differs" in codes else self.draft.how

    @property
    def is_unresolved(self) -> bool:
        """Whether nobody has said which article is meant."""
        return self.draft.how in model.UNRESOLVED


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


@get("/drafts/{order_id:str}", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def review(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """An order as it was sent, with what was found and the answer to give."""
    return await shown(visitor, db, settings, order_id)


@get("/drafts/{order_id:str}/reject", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def reject_form(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Why an order is rejected: the question before it is done."""
    seen = await db.read(look, order_id, settings.undo_seconds)
    return await show(visitor, "draft_reject.html", here="drafts", seen=seen, reasons=REASONS, typed=None)


@post("/drafts/{order_id:str}/reject", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def reject(
    order_id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Reject it with the reason the buyer will read."""
    reason = reason_in_words(visitor.speech, form)
    undo = dt.timedelta(seconds=settings.undo_seconds)
    try:
        await db.write(answers.reject, visitor.caller, order_id, form.text("etag"), reason, undo=undo)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        seen = await db.read(look, order_id, settings.undo_seconds)
        return await show(
            visitor,
            "draft_reject.html",
            here="drafts",
            seen=seen,
            reasons=REASONS,
            typed=form,
            refusal=refusal,
            status=refusal.status,
        )
    return go(f"/drafts/{order_id}")


@post("/drafts/{order_id:str}/answer", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def answer(
    order_id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Approve as it stands, or, when a line is changed or refused, show what the buyer will be told and send it when that is confirmed."""
    do = form.text("do")
    if do in ("mark-accept", "mark-change", "mark-reject", "look"):
        return await shown(visitor, db, settings, order_id, form=form, mark=do.removeprefix("mark-") if do != "look" else "")
    undo = dt.timedelta(seconds=settings.undo_seconds)
    changed: list[Line] = []
    try:
        seen = await db.read(look, order_id, settings.undo_seconds, form)
        changed = [line for line in seen.lines if line.typed.choice in ("change", "reject")]
        if not changed and do == "changes":
            message = "No line has been changed yet."
            raise errors.Invalid(message, issues=[Issue(code="nothing_changed", message=message, blocks=True)])
        if not changed:
            await db.write(answers.approve, visitor.caller, order_id, form.text("etag"), undo=undo)
        else:
            given = _answer(form, changed)
            if do != "send":
                faults = terms.faults(seen.draft.order, given.lines, frozenset(line.draft.line.line_id for line in seen.blocking))
                if faults:
                    raise errors.Invalid("The answer cannot be given as it is.", issues=faults)
                return await show(visitor, "draft_confirm.html", here="drafts", seen=seen, given=given, form=form, reasons=REASONS)
            await db.write(answers.answer, visitor.caller, order_id, form.text("etag"), given.lines, given.reason, undo=undo)
    except errors.NotFound:
        raise
    except errors.Invalid as refusal:
        at_rows = errors.Invalid(refusal.detail, issues=[_at_row(issue, changed) for issue in refusal.issues])
        return await shown(visitor, db, settings, order_id, form=form, refusal=at_rows)
    except errors.Refusal as refusal:
        return await shown(visitor, db, settings, order_id, form=form, refusal=refusal)
    return go(f"/drafts/{order_id}")


@post("/drafts/{order_id:str}/match", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def match(
    order_id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Say which article a line means; whatever else was filled in stays as it is."""
    at = form.text("line-to-match")
    wanted = form.text(f"other-{at}") or form.text(f"map-{at}")
    try:
        await db.write(_say_which, visitor, order_id, form.text("etag"), at, wanted, remember=form.flag(f"learn-{at}"))
    except errors.NotFound as refusal:
        if not refusal.issues:
            raise
        return await shown(visitor, db, settings, order_id, form=form, refusal=refusal, sought={at: wanted})
    except errors.Refusal as refusal:
        return await shown(visitor, db, settings, order_id, form=form, refusal=refusal)
    return await shown(visitor, db, settings, order_id, form=form, said="line_matched")


@post("/drafts/{order_id:str}/take", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def take(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Look after it, or give it back."""
    verb = taking.release if form.text("do") == "release" else taking.take
    return await _done(visitor, db, settings, order_id, verb, visitor.caller, order_id, form.text("etag"))


@post("/drafts/{order_id:str}/undo", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def undo(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Take the answer back before it leaves."""
    return await _done(visitor, db, settings, order_id, answers.take_back, visitor.caller, order_id, form.text("etag"), said="taken_back")


@post("/drafts/{order_id:str}/buyer", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def settle_buyer(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Say which card of the buyer is right."""
    wish = document({"use": form.text("use"), "members": form.many("member")}, BuyerSettled)
    return await _done(
        visitor, db, settings, order_id, buyer.settle_buyer, visitor.caller, order_id, form.text("etag"), wish, said="buyer_settled"
    )


@post("/drafts/{order_id:str}/revision", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def decide_revision(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Take a change of an agreed order, or keep what was agreed."""
    verb = revisions.keep if form.text("do") == "keep" else revisions.apply
    undo = dt.timedelta(seconds=settings.undo_seconds)
    return await _done(visitor, db, settings, order_id, verb, visitor.caller, order_id, form.text("etag"), undo=undo)


@post("/drafts/{order_id:str}/cancellation", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def decide_cancellation(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Let it be cancelled, or keep it with a reason."""
    if form.text("do") == "accept":
        return await _done(visitor, db, settings, order_id, cancelling.accept, visitor.caller, order_id, form.text("etag"))
    return await _done(
        visitor, db, settings, order_id, cancelling.refuse, visitor.caller, order_id, form.text("etag"), form.text("reason"),
    )  # fmt: skip


@post("/drafts/{order_id:str}/messages", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def say(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Say something to the buyer, once however often the button is pressed."""
    back = own_path(form.text("back"), f"/drafts/{order_id}")
    try:
        new = document({"text": form.text("text"), "line_id": form.text("line_id")}, NewMessage)
        await pressed(visitor, form, f"say {order_id}", lambda said: said.id, talking.say, visitor.caller, order_id, new)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await shown(visitor, db, settings, order_id, refusal=refusal)
    return go(f"{back}#messages")


@get("/drafts/{order_id:str}/order.pdf", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def on_paper(order_id: FromPath[str], db: NamedDependency[Database]) -> Response[Any]:
    """The order as the buyer sent it, as a PDF."""
    order, ours = await db.read(actions.on_paper, order_id)
    paper = await asyncio.to_thread(papers.order_on_paper, order, ours, papers.language_of(ours.address.country))
    headers = {"Content-Disposition": f'inline; filename="{paper.name}"', "Cache-Control": "no-store"}
    return Response(paper.content, media_type="application/pdf", headers=headers)


@get("/drafts/{order_id:str}/picking-list.pdf", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def picking_list(order_id: FromPath[str], db: NamedDependency[Database]) -> Response[Any]:
    """What of the order is still to go, for the warehouse."""
    wanted, ours, country = await db.read(picking.to_pick, order_id)
    return pdf(await asyncio.to_thread(papers.picking_list_on_paper, wanted, ours, papers.language_of(country)))


@get("/drafts/{order_id:str}/files/{sha256:str}", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def attachment(
    order_id: FromPath[str], sha256: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]
) -> Response[Any]:
    """A file the order names, to be saved."""
    draft = await db.read(actions.whole, order_id)
    if all(one.sha256 != sha256 for one in draft.order.attachments):
        raise errors.NotFound
    file = await db.read(attachments.find, visitor.caller, sha256)
    headers = {
        "Content-Length": str(file.size),
        # Whatever a browser thinks it is, it is to be saved and never shown under our name.
        "Content-Disposition": f'attachment; filename="{sha256[:16]}.{ENDINGS[file.media_type]}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Stream(attachments.content(db, file), media_type="application/octet-stream", headers=headers)


routes = [
    review,
    reject_form,
    reject,
    answer,
    match,
    take,
    undo,
    settle_buyer,
    decide_revision,
    decide_cancellation,
    say,
    on_paper,
    picking_list,
    attachment,
]


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
    lines, hidden = _lines(tx, row, draft, form, mark, sought or {})
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
        names=users.names_of(tx, {entry.actor for entry in history} | {draft.summary.taken_by, draft.answered_by}),
        seconds_left=seconds_left(draft.answered_at, undo_seconds) if draft.summary.acceptance in _TAKEN_BACK else 0,
        next_id=after[0][1].id if after else None,
        us=us.card if us is not None else Party(name=" "),
        waited=(now() - draft.summary.received_at).total_seconds(),
    )


_TAKEN_BACK = frozenset({Acceptance.APPROVED, Acceptance.CHANGED, Acceptance.REJECTED})


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


def reason_in_words(speech: Speech, form: Form) -> str:
    """A reason of the list with what was written beside it, as the buyer will read it."""
    text = form.text("reason")
    code = form.text("code")
    word = speech.say(REASONS[ReasonCode(code)]) if code in set(ReasonCode) and code != ReasonCode.OTHER else ""
    return f"{word}: {text}" if word and text else word or text


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


def _lines(tx: Tx, row: Any, draft: Draft, form: Form | None, mark: str, sought: Mapping[str, str]) -> tuple[list[Line], int]:
    issues: dict[int, list[Issue]] = {}
    for issue in draft.issues:
        parts = (issue.pointer or "").split("/")
        if len(parts) > 2 and parts[1] == "lines":
            issues.setdefault(int(parts[2]), []).append(issue)
    candidates = _candidates(tx, row, draft, sought) if any(line.how in model.UNRESOLVED for line in draft.lines) else {}
    answered = {line.line_id: line for line in draft.answered.lines} if draft.answered else {}
    lines: list[Line] = []
    for at, line in enumerate(draft.lines):
        is_plain = at not in issues and line.how not in model.UNRESOLVED
        if len(draft.lines) > MOST_LINES and (is_plain or len(lines) >= MOST_LINES):
            continue
        before = answered.get(line.line.line_id)
        lines.append(
            Line(
                at=at,
                draft=line,
                issues=issues.get(at, []),
                candidates=candidates.get(line.line.line_id, []),
                answered=before,
                typed=_typed(form, at, line, before, mark),
            )
        )
    return lines, len(draft.lines) - len(lines)


def _typed(form: Form | None, at: int, line: DraftLine, answered: AnswerLine | None, mark: str) -> Typed:
    if form is None or (f"do-{at}" not in form and form.text("seen") != "1"):
        return _as_answered(line, answered)
    choice = form.text(f"do-{at}")
    picked = str(at) in form.many("line")
    if mark and picked:
        choice = mark
    return Typed(
        choice=choice if choice in ("accept", "change", "reject") else "" if line.how in model.UNRESOLVED else "accept",  # type: ignore[arg-type]
        deliveries=list(zip(form.many(f"quantity-{at}"), form.many(f"date-{at}"), strict=False)),
        price=form.text(f"price-{at}"),
        substitute=form.text(f"substitute-{at}"),
        back_order=form.text(f"back_order-{at}"),
        code=form.text(f"code-{at}"),
        why=form.text(f"why-{at}"),
        map=form.text(f"map-{at}"),
        other=form.text(f"other-{at}"),
        learn=form.flag(f"learn-{at}"),
        picked=picked,
    )


def _as_answered(line: DraftLine, answered: AnswerLine | None) -> Typed:
    if line.how == "text" or line.how in model.UNRESOLVED:
        return Typed()
    if answered is None or answered.action is LineAction.ACCEPTED:
        return Typed(choice="accept")
    return Typed(
        choice="reject" if answered.action is LineAction.REJECTED else "change", code=answered.reason_code or "", why=answered.reason
    )


def _candidates(tx: Tx, row: Any, draft: Draft, sought: Mapping[str, str]) -> dict[str, list[Candidate]]:
    found: dict[str, list[Suggestion]] = dict(actions.suggestions(tx, draft.summary.id))
    known_buyer = partners.buyer(tx, row.partner)
    for at, words in sought.items():
        if at.isdecimal() and int(at) < len(draft.lines):
            like = articles.suggesting.suggest(tx, Wanted(words, words), words, partner=known_buyer.pk, offers_all=known_buyer.offers_all)
            found[draft.lines[int(at)].line.line_id] = like
    numbers = articles.finding.by_numbers(tx, {one.article_number for like in found.values() for one in like})
    return {
        line_id: [Candidate(article=numbers[one.article_number], score=one.score) for one in like if one.article_number in numbers]
        for line_id, like in found.items()
    }


def _say_which(tx: Tx, visitor: Visitor, order_id: str, etag: str, at: str, wanted: str, *, remember: bool) -> Draft:
    draft = actions.whole(tx, order_id)
    if not at.isdecimal() or int(at) >= len(draft.lines):
        raise errors.NotFound
    number = plain(wanted)
    article = articles.finding.by_numbers(tx, {number}).get(number) or next(
        iter(articles.finding.of_gtin(tx, number) if number.isdecimal() else ()), None
    )
    if article is None or not article.is_active:
        message = f"We sell no article {number}." if number else "Choose an article first."
        code = "article_not_found" if number else "article_not_chosen"
        pointer = f"/other-{at}"
        raise errors.NotFound(message, issues=[Issue(code=code, message=message, params={"number": number}, pointer=pointer, blocks=True)])
    line_id = draft.lines[int(at)].line.line_id
    return actions.say_which(tx, visitor.caller, order_id, etag, line_id, article.id, remember=remember)


def _answer(form: Form, changed: Sequence[Line]) -> NewAnswer:
    """The answer the form amounts to; what is wrong points to the line's row."""
    lines: list[dict[str, Any]] = []
    reason, code = form.text("reason"), form.text("code")
    for line in changed:
        at, pointer = line.at, f"/l{line.at}"
        told: dict[str, Any] = {"line_id": line.draft.line.line_id, "action": LineAction.REJECTED.value}
        if line.typed.choice == "change":
            told["action"] = LineAction.CHANGED.value
            told["deliveries"] = [{"quantity": quantity, "date": date} for quantity, date in _deliveries(form, line, pointer)]
            told["unit_price"] = _decimal(form, f"price-{at}", pointer)
            told["back_order"] = _decimal(form, f"back_order-{at}", pointer)
            told["substitute"] = {"article_number": line.typed.substitute} if line.typed.substitute else None
        told["reason_code"] = line.typed.code or code or None
        told["reason"] = line.typed.why
        lines.append(told)
    return document({"lines": lines, "reason": reason}, NewAnswer, form)


def _at_row(issue: Issue, changed: Sequence[Line]) -> Issue:
    parts = (issue.pointer or "").split("/")
    if len(parts) > 2 and parts[1] == "lines" and parts[2].isdecimal() and int(parts[2]) < len(changed):
        return msgspec.structs.replace(issue, pointer=f"/l{changed[int(parts[2])].at}")
    return issue


def _deliveries(form: Form, line: Line, pointer: str) -> list[tuple[str, dt.date | None]]:
    found = []
    for quantity, date in line.typed.deliveries:
        one = Form({"quantity": [quantity], "date": [date]}, form.speech)
        number, day = one.decimal("quantity", pointer), one.day("date", pointer)
        form.issues += one.issues
        if number is None and day is not None and line.draft.line.quantity is not None:
            # A day alone means all of it on that day.
            number = line.draft.line.quantity
        if number is not None:
            found.append((format(number, "f"), day))
    return found


def _decimal(form: Form, name: str, pointer: str) -> str | None:
    number = form.decimal(name, pointer)
    return None if number is None else format(number, "f")


async def _done(
    visitor: Visitor, db: Database, settings: Settings, order_id: str, verb: Any, *args: Any, said: str = "", **kwargs: Any
) -> Response[Any]:
    """Carry out a verb of one order and show it again, or what stands against it."""
    try:
        await db.write(verb, *args, **kwargs)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await shown(visitor, db, settings, order_id, refusal=refusal)
    return go(f"/drafts/{order_id}", said)
