"""Orders coming in: taken as drafts, each exactly once in effect, or looked at without being taken."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.articles.model import Wanted
from prodsys.company import actions as company
from prodsys.documents import Issue, MatchedContact, MatchReport, plain
from prodsys.exchange import engine
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.db import Tx
from prodsys.kit.telemetry import Trace
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.partners.model import Buyer
from prodsys.sales import examining, model, rules
from prodsys.sales.actions import SUGGESTED_LINES
from prodsys.sales.books import Books
from prodsys.sales.examining import Examined
from prodsys.sales.model import Arrival
from prodsys.scopes import Caller
from prodsys.webhooks import sending
from prodsys.webhooks.model import Event, Happened

UNDO = dt.timedelta(seconds=10)
"""How long an answer can be taken back where nobody says otherwise (product.md, A7)."""


def receive(tx: Tx, caller: Caller, arrivals: Sequence[Arrival], *, undo: dt.timedelta = UNDO) -> list[Outcome]:
    """Take a partner's orders as drafts, each exactly once in effect, and log what happened to every one of them.

    What the partner's rule lets pass is approved at once; `undo` is how long that, too, can be taken back.
    """
    assert caller.partner is not None  # noqa: S101  # the door is a partner's door
    buyer = _trading(tx, caller.partner)
    books = Books(tx, buyer, company.card(tx))
    outcomes = engine.place(arrivals, books)
    tell(tx, *(_received(caller, buyer.pk, arrival, outcome) for arrival, outcome in zip(arrivals, outcomes, strict=True)))
    drafts = [
        Happened(id=outcome.id, number=plain(arrival.order.number))
        for arrival, outcome in zip(arrivals, outcomes, strict=True)
        if isinstance(outcome, Placed) and outcome.new
    ]
    sending.promise(tx, None, Event.DRAFT_RECEIVED, *drafts)
    if buyer.auto_confirm is not None:
        for arrival, outcome in zip(arrivals, outcomes, strict=True):
            if isinstance(outcome, Placed) and outcome.new:
                rules.decide(tx, buyer, arrival, books.examined(arrival), outcome, books.known_by(arrival), undo)
    return outcomes


def _trading(tx: Tx, partner: int) -> Buyer:
    """How we treat a buyer. Raises PartnerInactive while we do not trade with him: a dry run must not promise what would be refused."""
    buyer = partners.buyer(tx, partner)
    if not buyer.is_active:
        raise errors.PartnerInactive
    return buyer


def note_inactive(tx: Tx, caller: Caller, arrivals: Sequence[Arrival]) -> None:
    """Log orders that were refused because their sender is switched off here; apart from refusing them, which leaves nothing behind."""
    told = f"was refused: we do not trade with {caller.name} at the moment. Take up the partnership again, or revoke the token."
    issue = Issue(code=errors.PartnerInactive.code, message=errors.PartnerInactive.title(), blocks=True)
    tell(
        tx,
        *(
            Entry(
                code="order.refused",
                message=f"Order {arrival.order.number} revision {arrival.order.revision} {told}",
                level="error",
                direction="in",
                partner=caller.partner,
                number=plain(arrival.order.number),
                trace_id=arrival.trace.trace_id,
                actor=caller.token,
                issues=[issue],
            )
            for arrival in arrivals
        ),
    )


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
    buyer = _trading(tx, caller.partner)
    books = Books(tx, buyer, company.card(tx), needs_files=False)
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
                suggestions = articles.suggesting.suggest(tx, wanted, line.line.description, partner=buyer.pk, offers_all=buyer.offers_all)
            lines.append(examining.report_line(line, suggestions))
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
