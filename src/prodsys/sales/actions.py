"""The verbs of the order desk: receive, preview, approve, reject, take back, say which article is meant."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.articles import actions as article_actions
from prodsys.articles import store as articles
from prodsys.articles.model import Found, Wanted
from prodsys.company import actions as company
from prodsys.documents import (
    Acceptance,
    Exact,
    Issue,
    MatchedContact,
    MatchReport,
    OrderLine,
    UnitPrice,
    plain,
    write,
)
from prodsys.exchange import engine, outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, savepoint
from prodsys.kit.telemetry import Trace
from prodsys.kit.web import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.sales import model, store
from prodsys.sales.books import Books
from prodsys.sales.model import Arrival, Draft, DraftLine, Examined
from prodsys.scopes import Caller

SUGGESTED_LINES = 20
"""For how many unknown lines suggestions are looked up (rulings.md, 18)."""


def receive(tx: Tx, caller: Caller, arrivals: Sequence[Arrival]) -> list[Outcome]:
    """Take a partner's orders as drafts, each exactly once in effect, and log what happened to every one of them."""
    assert caller.partner is not None  # noqa: S101  # the door is a partner's door
    buyer = partners.buyer(tx, caller.partner)
    outcomes = engine.place(arrivals, Books(tx, buyer, company.card(tx)))
    tell(tx, *(_received(caller, buyer.pk, arrival, outcome) for arrival, outcome in zip(arrivals, outcomes, strict=True)))
    return outcomes


def _received(caller: Caller, partner: int, arrival: Arrival, outcome: Outcome) -> Entry:
    order = arrival.order
    about = Entry(
        code="order.received",
        message="",
        direction="in",
        partner=partner,
        number=plain(order.number),
        trace_id=arrival.trace.trace_id,
        actor=caller.token,
        request=arrival.body,
    )
    what = f"Order {order.number} revision {order.revision} from {order.buyer.name}"
    match outcome:
        case Placed(new=True):
            return msgspec.structs.replace(
                about, message=f"{what} arrived as a draft.", subject=outcome.id, response=outcome.answer.decode()
            )
        case Placed():
            return msgspec.structs.replace(
                about,
                code="order.repeated",
                message=f"{what} arrived again and was answered with its first receipt.",
                subject=outcome.id,
                response=outcome.answer.decode(),
            )
        case Refused():
            return msgspec.structs.replace(
                about,
                code="order.refused",
                level="error",
                message=f"{what} was refused: {outcome.title}",
                issues=outcome.issues,
            )
        case _:
            raise AssertionError("our own books are always within reach")


def preview(tx: Tx, caller: Caller, arrivals: Sequence[Arrival]) -> list[MatchReport]:
    """Say what would happen to these orders if they were sent now; nothing is stored but a log line."""
    assert caller.partner is not None  # noqa: S101  # the door is a partner's door
    buyer = partners.buyer(tx, caller.partner)
    books = Books(tx, buyer, company.card(tx))
    known = books.find(arrivals)
    books.match(arrivals)
    left = SUGGESTED_LINES
    reports = []
    for arrival, before in zip(arrivals, known, strict=True):
        examined, recognised = books.examined(arrival), books.recognised(arrival)
        lines = []
        for line in examined.lines:
            suggestions = []
            if line.line.kind == "article" and line.found.how in model.UNRESOLVED and left > 0:
                left -= 1
                wanted = Wanted(plain(line.line.article_number), plain(line.line.gtin))
                suggestions = articles.suggest(tx, wanted, line.line.description, partner=buyer.pk, offers_all=buyer.offers_all)
            lines.append(model.report_line(line, suggestions))
        issues = list(before.issues) if isinstance(before, Refused) else examined.issues
        reports.append(
            MatchReport(
                number=arrival.order.number,
                revision=arrival.order.revision,
                would=_would(examined, before),
                contact=MatchedContact(how=_would_know(recognised, buyer.contact), similar=recognised.similar),
                lines=lines,
                issues=issues,
            )
        )
    return reports


def note_preview(tx: Tx, caller: Caller, reports: Sequence[MatchReport], trace: Trace) -> None:
    """Log that a partner asked what would happen; apart from asking, because the asking runs on a reader."""
    numbers = ", ".join(report.number for report in reports[:5]) + (" …" if len(reports) > 5 else "")
    message = f"A dry run of {len(reports)} order(s) was asked for: {numbers}."
    tell(
        tx,
        Entry(code="order.previewed", message=message, direction="in", partner=caller.partner, trace_id=trace.trace_id, actor=caller.token),
    )


def _would(examined: Examined, before: Outcome | None) -> Any:
    if isinstance(before, Refused) or any(issue.blocks for issue in examined.issues):
        return "refused"
    return "held" if any(line.found.how in model.UNRESOLVED for line in examined.lines if line.line.kind == "article") else "draft"


def _would_know(recognised: Any, linked: int | None) -> Any:
    if recognised.how == "ambiguous":
        return "ambiguous"
    if recognised.would_create:
        return "would_create"
    return "linked" if linked is not None else "matched"


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


def approve(tx: Tx, caller: Caller, order_id: str, if_match: str | None, *, undo: dt.timedelta) -> Draft:
    """Say yes to a draft as it stands: it gets an order number, and the buyer hears of it when it can no longer be undone."""
    row = _answerable(tx, order_id, if_match)
    unresolved = [line for line in store.lines(tx, row.pk) if line.how in model.UNRESOLVED]
    if unresolved:
        names = ", ".join(line.line_id for line in unresolved[:10])
        raise errors.WrongState(f"Line(s) {names} have no article yet. Say which article is meant, or reject the order.")
    order_number = f"SO-{store.next_number(tx, 'sales_order')}"
    return _answer(tx, caller, row, Acceptance.APPROVED, order_number=order_number, reason="", undo=undo)


def reject(tx: Tx, caller: Caller, order_id: str, if_match: str | None, reason: str, *, undo: dt.timedelta) -> Draft:
    """Say no to a draft, with the reason the buyer will read when it can no longer be undone."""
    if not plain(reason):
        issue = Issue(code="reason_missing", message="A rejection needs a reason; the buyer reads it.", pointer="/reason", blocks=True)
        raise errors.Invalid("A rejection needs a reason.", issues=[issue])
    return _answer(tx, caller, _answerable(tx, order_id, if_match), Acceptance.REJECTED, order_number=None, reason=plain(reason), undo=undo)


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


def take_back(tx: Tx, caller: Caller, order_id: str, if_match: str | None) -> Draft:
    """Take an answer back before it leaves; afterwards the buyer has it, and WrongState says so."""
    row = _seen(tx, order_id, if_match)
    if row.acceptance not in (Acceptance.APPROVED, Acceptance.REJECTED) or not outbox.withdraw(tx, _promise_of(row.id, row.answer)):
        raise errors.WrongState("There is no answer that could still be taken back; it has left.")
    open_again = {"acceptance": Acceptance.OPEN.value, "answered_at": None, "answered_by": "", "order_number": None, "reason": ""}
    store.change(tx, row.pk, row.version, **open_again)
    _log(tx, caller, row, "order.answer_taken_back", f"The answer to order {row.number} was taken back before it left.")
    return whole(tx, order_id)


def say_which(tx: Tx, caller: Caller, order_id: str, if_match: str | None, line_id: str, article_id: str) -> Draft:
    """Say which article a marked line means. The answer is remembered for this partner (product.md, A9).

    The line is looked at again, so that its price and unit are compared like any other's before somebody approves it.
    """
    row = _answerable(tx, order_id, if_match)
    line = next((line for line in store.lines(tx, row.pk) if line.line_id == line_id), None)
    if line is None or line.how == "text":
        raise errors.NotFound(f"Order {row.number} has no article line {line_id}.")
    article = articles.by_id(tx, article_id)
    if article is None or not article.is_active:
        raise errors.NotFound("There is no active article with this id.")
    their_number = plain(line.article_number)
    if their_number:
        article_actions.learn(tx, caller, partner=row.partner, their_number=their_number, article=article.pk)
    examined, said = model.examine_line(
        store.read_order(row.document),
        line.position,
        Found("learned", article),
        articles.agreed(tx, row.partner, {article.pk}),
        holds=True,
        tolerance=partners.buyer(tx, row.partner).price_tolerance,
        today=now().date(),
    )
    store.rematch_line(tx, row.pk, line.position, examined)
    pointer = f"/lines/{line.position}/"
    issues = [issue for issue in store.read_issues(row.issues) if not (issue.pointer or "").startswith(pointer)] + said
    store.change(tx, row.pk, row.version, issues=write(issues).decode(), validation="issues" if issues else "clean")
    _log(
        tx,
        caller,
        row,
        "order.line_matched",
        f"Line {line_id} of order {row.number} means article {article.number}; remembered for this partner.",
    )
    return whole(tx, order_id)


def whole(tx: Tx, order_id: str) -> Draft:
    """A draft with everything beside it; raises NotFound."""
    row = store.draft(tx, order_id)
    if row is None:
        raise errors.NotFound
    order = store.read_order(row.document)
    lines = [_line(sent, kept) for sent, kept in zip(order.lines, store.lines(tx, row.pk), strict=True)]
    return Draft(
        summary=store.summary(row),
        order=order,
        lines=lines,
        issues=store.read_issues(row.issues),
        contact=None if row.contact is None else row.contact_id,
        contact_how=row.contact_how,
        answer=row.answer,
        answered_at=row.answered_at,
        answered_by=row.answered_by,
        reason=row.reason,
    )


def suggestions(tx: Tx, order_id: str) -> dict[str, list[Any]]:
    """For each marked line, by its id, up to three articles that may be meant."""
    row = store.draft(tx, order_id)
    if row is None:
        raise errors.NotFound
    buyer = partners.buyer(tx, row.partner)
    order = store.read_order(row.document)
    marked = [line.position for line in store.lines(tx, row.pk) if line.how in model.UNRESOLVED][:SUGGESTED_LINES]
    found = {}
    for at in marked:
        line = order.lines[at]
        wanted = Wanted(plain(line.article_number), plain(line.gtin))
        found[line.line_id] = articles.suggest(tx, wanted, line.description, partner=buyer.pk, offers_all=buyer.offers_all)
    return found


def publish_answer(tx: Tx, order_id: str) -> None:
    """Let the buyer see the answer as it stands now."""
    row = store.draft(tx, order_id)
    assert row is not None  # noqa: S101  # orders are never deleted
    store.publish(tx, row, f"order.{row.acceptance}")


def _answerable(tx: Tx, order_id: str, if_match: str | None) -> Any:
    row = _seen(tx, order_id, if_match)
    if row.acceptance != Acceptance.OPEN:
        raise errors.WrongState(f"Order {row.number} is {row.acceptance}; only an open draft can be answered.")
    if not row.is_newest:
        raise errors.WrongState(f"A newer revision of order {row.number} has arrived; answer that one.")
    return row


def _seen(tx: Tx, order_id: str, if_match: str | None) -> Any:
    row = store.draft(tx, order_id, lock=True)
    if row is None:
        raise errors.NotFound
    must_match(if_match, etag(row.id, row.version))
    return row


def _answer(
    tx: Tx, caller: Caller, row: Any, acceptance: Acceptance, *, order_number: str | None, reason: str, undo: dt.timedelta
) -> Draft:
    at, answer = now(), row.answer + 1
    changed = {"acceptance": acceptance.value, "answer": answer, "answered_at": at, "answered_by": caller.name, "reason": reason}
    if order_number is not None:
        changed["order_number"] = order_number
    store.change(tx, row.pk, row.version, **changed)
    outbox.promise(
        tx,
        outbox.Promise(
            kind="answer",
            lane=f"feed:{row.partner_id}",
            chain=row.id,
            dedup=_promise_of(row.id, answer),
            subject=row.id,
            document="",
            trace=Trace(row.trace_id, row.trace_id[:16]),
            run_at=at + undo,
            # Nobody has to be reached, so an answer that waited for us through a long holiday still leaves.
            give_up_after=dt.timedelta(days=36_500),
        ),
    )
    told = f"approved as {order_number}" if order_number else f"rejected: {reason}"
    _log(tx, caller, row, f"order.{acceptance.value}", f"Order {row.number} revision {row.revision} was {told}")
    return whole(tx, row.id)


def _promise_of(order_id: str, answer: int) -> str:
    return f"answer:{order_id}:{answer}"


def _log(tx: Tx, caller: Caller, row: Any, code: str, message: str) -> None:
    tell(
        tx,
        Entry(code=code, message=message, partner=row.partner, subject=row.id, number=row.number, trace_id=row.trace_id, actor=caller.name),
    )


def _line(sent: OrderLine, kept: Any) -> DraftLine:
    expected = None
    if kept.expected_price is not None:
        expected = model.Expected(price=kept.expected_price, price_quantity=kept.expected_price_quantity, origin=kept.expected_price_from)
    difference, percent = (None, None) if expected is None or sent.unit_price is None else model.price_difference(sent, expected)
    return DraftLine(
        line=sent,
        how=kept.how,
        net=kept.net,
        article=kept.article_id,
        article_number=kept.our_number or "",
        article_name=kept.our_name or "",
        article_unit=kept.our_unit or "",
        expected_price=None if expected is None else UnitPrice(expected.price),
        expected_price_from=None if expected is None else expected.origin,
        price_difference=None if difference is None else Exact(difference),
        price_difference_percent=None if percent is None else Exact(percent),
    )
