"""Answering an order: yes, no, or yes with changes; and hearing whether the buyer agrees."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.documents import Acceptance, AnswerCode, AnswerLine, Issue, OrderAnswer, Words, plain
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, savepoint
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.sales import feed, model, store, terms
from prodsys.sales.actions import whole
from prodsys.sales.model import Draft, DraftSummary, News, Stood
from prodsys.scopes import Caller


class DraftToApprove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft and the ETag it was seen with, so that nothing is approved that has changed meanwhile."""

    id: str
    etag: str


class Answered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What approving one of many drafts came to."""

    id: str
    status: Annotated[int, Meta(description="As the HTTP status of a single answer.")]
    order_number: str | None = None
    code: str = ""
    detail: str = ""


class BuyersWord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the buyer agrees with answer n."""

    answer: Annotated[int, Meta(ge=1)]
    accepts: bool
    reason: Words = ""


def approve(tx: Tx, caller: Caller, order_id: str, if_match: str | None, *, undo: dt.timedelta) -> Draft:
    """Say yes to a draft as it stands: it gets an order number, and the buyer hears of it when it can no longer be undone."""
    row = seen(tx, order_id, if_match, "approve")
    if unresolved := _marked(tx, row):
        names = ", ".join(sorted(unresolved)[:10])
        raise errors.WrongState(f"Line(s) {names} have no article yet. Say which article is meant, or reject the order.")
    give(tx, caller, row, AnswerCode.ACCEPTED, undo=undo)
    return whole(tx, order_id)


def reject(tx: Tx, caller: Caller, order_id: str, if_match: str | None, reason: str, *, undo: dt.timedelta) -> Draft:
    """Say no to a draft, with the reason the buyer will read when it can no longer be undone. An agreed earlier revision stands."""
    if not plain(reason):
        issue = Issue(code="reason_missing", message="A rejection needs a reason; the buyer reads it.", pointer="/reason", blocks=True)
        raise errors.Invalid("A rejection needs a reason.", issues=[issue])
    row = seen(tx, order_id, if_match, "reject")
    give(tx, caller, row, AnswerCode.REJECTED, reason=plain(reason), undo=undo)
    return whole(tx, order_id)


def answer(
    tx: Tx, caller: Caller, order_id: str, if_match: str | None, lines: Sequence[AnswerLine], reason: str, *, undo: dt.timedelta
) -> Draft:
    """Answer line by line; lines nothing is said of are accepted as ordered. May be given again after approval, as answer n.

    Raises Invalid with everything that is wrong with the answer.
    """
    row = seen(tx, order_id, if_match, "answer")
    order = store.orders.read_order(row.document)
    issues = terms.faults(order, lines, _marked(tx, row)) + _unknown_substitutes(tx, lines)
    if issues:
        raise errors.Invalid("The answer cannot be given as it is.", issues=issues)
    every_line = terms.completed(order, lines)
    give(tx, caller, row, terms.code_of(every_line), lines=every_line, reason=plain(reason), undo=undo)
    return whole(tx, order_id)


def approve_many(tx: Tx, caller: Caller, wanted: Sequence[DraftToApprove], *, undo: dt.timedelta) -> list[Answered]:
    """Approve drafts one by one; a draft that cannot be approved stops none of the others."""
    answers = []
    for one in wanted:
        try:
            with savepoint(tx):
                draft = approve(tx, caller, one.id, one.etag, undo=undo)
            answers.append(Answered(id=one.id, status=200, order_number=draft.summary.order_number))
        except errors.Refusal as refusal:
            answers.append(Answered(id=one.id, status=refusal.status, code=refusal.code, detail=refusal.detail or refusal.title()))
    return answers


def approve_harmless(
    tx: Tx, caller: Caller, wanted: Sequence[DraftToApprove], *, price_within: Decimal | None = None, undo: dt.timedelta
) -> list[Answered]:
    """Approve those of these drafts in which nothing differs, or, with `price_within`, nothing but prices by so many percent at most.

    Each by itself, as `approve_many`; whatever has more to look at is left as it is and said so.
    """
    known = store.lists.by_ids(tx, [one.id for one in wanted])
    harmless = {one.id for one in known.values() if is_harmless(one, price_within)}
    done = {one.id: one for one in approve_many(tx, caller, [one for one in wanted if one.id in harmless], undo=undo)}
    differs = errors.WrongState("There is something to look at in this draft; open it and decide.")
    return [
        done.get(one.id) or Answered(id=one.id, status=differs.status, code=differs.code, detail=differs.detail or "") for one in wanted
    ]


def is_harmless(draft: DraftSummary, price_within: Decimal | None = None) -> bool:
    """Whether nobody needs to look at a draft before it is approved."""
    if draft.verdict == "clean":
        return draft.acceptance is Acceptance.OPEN
    gaps = [abs(finding.percent) for finding in draft.findings if finding.percent is not None]
    is_price = draft.verdict == "price" and price_within is not None and len(gaps) == len(draft.findings)
    return is_price and price_within is not None and max(gaps) <= price_within and draft.acceptance is Acceptance.OPEN


def take_back(tx: Tx, caller: Caller, order_id: str, if_match: str | None) -> Draft:
    """Take an answer back before it leaves; afterwards the buyer has it, and WrongState says so."""
    row = locked(tx, order_id, if_match)
    promised = feed.promise_of(row.id, row.answer)
    untold = feed.stood_before(tx, row)
    if not untold or row.acceptance not in terms.SAID.values():
        raise errors.WrongState("There is no answer that could still be taken back; it has left.")
    stood = untold[0]
    if row.acceptance_before != stood.acceptance:
        raise errors.WrongState("A cancellation has been refused on the strength of this answer; it cannot be taken back any more.")
    if row.fulfilment != "none" and Acceptance(stood.acceptance) not in terms.STEPS["despatch"]:
        raise errors.WrongState("Goods have been despatched on the strength of this answer; it cannot be taken back any more.")
    if not outbox.withdraw(tx, promised, is_for_good=False):
        raise errors.WrongState("There is no answer that could still be taken back; it has left.")
    store.orders.change(
        tx,
        row.pk,
        row.version,
        acceptance=stood.acceptance,
        acceptance_before=untold[1].acceptance if len(untold) > 1 else "",
        answer=row.answer - 1,
        answered_at=stood.answered_at,
        answered_by=stood.answered_by,
        order_number=stood.order_number,
        reason=stood.reason,
    )
    if stood.older:
        _put_back(tx, row, stood.older)
    note(tx, caller, row, "order.answer_taken_back", f"The answer to order {row.number} was taken back before it left.")
    return whole(tx, order_id)


def give(
    tx: Tx,
    caller: Caller,
    row: Any,
    code: AnswerCode,
    *,
    lines: Sequence[AnswerLine] = (),
    reason: str = "",
    undo: dt.timedelta,
) -> OrderAnswer:
    """Give answer n: keep it, change the order's state, and let the feed tell it when it can no longer be taken back."""
    accepted = code is AnswerCode.ACCEPTED
    older = store.orders.standing(tx, row) if row.order_number is None and code is not AnswerCode.CHANGED else None
    order_number = (_inherited(tx, row) or f"SO-{store.orders.next_number(tx, 'sales_order')}") if accepted else row.order_number
    given = OrderAnswer(
        answer=row.answer + 1,
        code=code,
        at=now(),
        order_number=order_number,
        reason=reason,
        lines=list(lines) if code is AnswerCode.CHANGED else [],
    )
    acceptance = terms.SAID[code]
    store.answers.keep(tx, row.pk, given)
    store.orders.change(
        tx,
        row.pk,
        row.version,
        acceptance=acceptance.value,
        acceptance_before=row.acceptance,
        answer=given.answer,
        answered_at=given.at,
        answered_by=caller.name,
        reason=reason,
        order_number=order_number,
    )
    if code is AnswerCode.REJECTED:
        _let_stand(tx, row)
    stood = Stood(
        acceptance=row.acceptance,
        answered_at=row.answered_at,
        answered_by=row.answered_by,
        order_number=row.order_number,
        reason=row.reason,
        older=older.id if older is not None else "",
    )
    news = News(
        kind=f"order.{acceptance.value}",
        answer=given.answer,
        acceptance=acceptance.value,
        order_number=order_number or "",
        reason=reason,
        older=older.id if older is not None and accepted else "",
        stood=stood,
    )
    feed.announce(tx, row, news, after=undo)
    told = {
        AnswerCode.ACCEPTED: f"approved as {order_number}.",
        AnswerCode.CHANGED: f"answered with changes, as answer {given.answer}.",
        AnswerCode.REJECTED: f"rejected: {reason}",
    }[code]
    note(tx, caller, row, f"order.{acceptance.value}", f"Order {row.number} revision {row.revision} was {told}")
    return given


def hear(tx: Tx, caller: Caller, order_id: str, word: BuyersWord) -> Any:
    """The buyer accepts or disputes answer n; only then is a changed order agreed. The same word again changes nothing.

    Raises NotFound, AnswerSuperseded when a newer answer exists, WrongState.
    """
    row = own(tx, caller, order_id)
    # What can still be taken back has not been given.
    told = row.answer - len(feed.stood_before(tx, row))
    if word.answer != row.answer or told != row.answer:
        raise errors.AnswerSuperseded(f"The newest answer to order {row.number} is number {told}.")
    wanted = Acceptance.AGREED if word.accepts else Acceptance.DISPUTED
    if row.acceptance == wanted:
        return row
    terms.must("accept" if word.accepts else "dispute", row.acceptance, row.number)
    changed: dict[str, Any] = {"acceptance": wanted.value}
    older = store.orders.standing(tx, row) if word.accepts and row.order_number is None else None
    if word.accepts and row.order_number is None:
        changed["order_number"] = _inherited(tx, row) or f"SO-{store.orders.next_number(tx, 'sales_order')}"
    if not word.accepts:
        changed |= {"reason": plain(word.reason), "verdict": "look"}
    store.orders.change(tx, row.pk, row.version, **changed)
    news = News(
        kind=f"order.{wanted.value}",
        answer=row.answer,
        acceptance=wanted.value,
        order_number=changed.get("order_number", ""),
        reason=changed.get("reason", ""),
        older="" if older is None else older.id,
    )
    feed.announce(tx, row, news)
    how = "agrees with" if word.accepts else f"disputes ({plain(word.reason) or 'no reason given'})"
    message = f"The buyer {how} answer {row.answer} to order {row.number}."
    note(tx, caller, row, f"order.{wanted.value}", message, level="info" if word.accepts else "warning", direction="in")
    return own(tx, caller, order_id)


def seen(tx: Tx, order_id: str, if_match: str | None, step: str) -> Any:
    """An order, locked, as it was seen and in a state for this step. Raises NotFound, IfMatchMissing, Stale, WrongState."""
    row = locked(tx, order_id, if_match)
    terms.must(step, row.acceptance, row.number)
    if not row.is_newest:
        raise errors.WrongState(f"A newer revision of order {row.number} has arrived; answer that one.")
    return row


def own(tx: Tx, caller: Caller, order_id: str) -> Any:
    """The partner's own order, locked. Raises NotFound for anybody else's."""
    row = None if caller.partner is None else store.orders.own(tx, caller.partner, order_id)
    if row is None:
        raise errors.NotFound
    return row


def note(tx: Tx, caller: Caller, row: Any, code: str, message: str, *, level: Any = "info", direction: Any = "here") -> None:
    """Log what was done with an order."""
    tell(
        tx,
        Entry(
            code=code,
            message=message,
            level=level,
            direction=direction,
            partner=row.partner,
            subject=row.id,
            number=row.number,
            trace_id=row.trace_id,
            actor=caller.name,
        ),
    )


def locked(tx: Tx, order_id: str, if_match: str | None) -> Any:
    """An order, locked, as it was seen. Raises NotFound, IfMatchMissing, Stale."""
    row = store.orders.draft(tx, order_id, lock=True)
    if row is None:
        raise errors.NotFound
    must_match(if_match, etag(row.id, row.version))
    return row


def _marked(tx: Tx, row: Any) -> frozenset[str]:
    return frozenset(line.line_id for line in store.orders.lines(tx, row.pk) if line.how in model.UNRESOLVED)


def _unknown_substitutes(tx: Tx, lines: Sequence[AnswerLine]) -> list[Issue]:
    offered = {at: plain(line.substitute.article_number) for at, line in enumerate(lines) if line.substitute is not None}
    known = articles.finding.by_numbers(tx, set(offered.values())) if offered else {}
    return [
        Issue(
            code="article_unknown",
            message=f"We have no active article {number} to offer instead.",
            params={"number": number},
            pointer=f"/lines/{at}/substitute/article_number",
            blocks=True,
        )
        for at, number in offered.items()
        if number not in known or not known[number].is_active
    ]


def _inherited(tx: Tx, row: Any) -> str | None:
    """The number the order has already, taken over from the revision that is being replaced.

    Raises WrongState when goods of that revision are on their way: what was despatched was despatched against what it said.
    """
    if row.order_number is not None:
        return str(row.order_number)
    older = store.orders.standing(tx, row)
    if older is None:
        return None
    if older.fulfilment != "none":
        raise errors.WrongState(f"Goods of revision {older.revision} have been despatched already; keep that revision instead.")
    store.orders.change(tx, older.pk, older.version, order_number=None)
    return str(older.order_number)


def _put_back(tx: Tx, row: Any, older_id: str) -> None:
    """The revision before one whose answer is taken back: it gives up being the order again, or gets its number back."""
    older = store.orders.draft(tx, older_id, lock=True)
    assert older is not None  # noqa: S101  # orders are never deleted
    if row.acceptance == Acceptance.REJECTED:
        if older.is_newest:
            store.orders.change(tx, older.pk, older.version, is_newest=False)
            store.orders.change(tx, row.pk, row.version + 1, is_newest=True)
        return
    store.orders.change(tx, older.pk, older.version, order_number=row.order_number)


def _let_stand(tx: Tx, row: Any) -> None:
    """A rejected change request leaves the agreed revision before it as the order."""
    older = store.orders.standing(tx, row)
    if older is not None:
        store.orders.change(tx, older.pk, older.version, is_newest=True)
        store.orders.change(tx, row.pk, row.version + 1, is_newest=False)
