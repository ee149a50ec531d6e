"""Sales > Order drafts > one of them: the answer to it, line by line, and the article a line means."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.documents import Issue, LineAction, ReasonCode, plain
from prodsys.kit.db import Database, Tx
from prodsys.pages.fields import Form, document
from prodsys.pages.review_lines import Line
from prodsys.pages.review_seen import REASONS, look, shown
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.sales import actions, answers, terms
from prodsys.sales.desk.answers import NewAnswer
from prodsys.sales.model import Draft
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings


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


routes = [answer, match]


def reason_in_words(speech: Speech, form: Form) -> str:
    """A reason of the list with what was written beside it, as the buyer will read it."""
    text = form.text("reason")
    code = form.text("code")
    word = speech.say(REASONS[ReasonCode(code)]) if code in set(ReasonCode) and code != ReasonCode.OTHER else ""
    return f"{word}: {text}" if word and text else word or text


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
