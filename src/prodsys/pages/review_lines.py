"""The lines of an order under review: what was found, what may be meant, and what is filled in for each."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from prodsys.articles import store as articles
from prodsys.articles.model import Known, Wanted
from prodsys.documents import AnswerLine, Issue, LineAction, Suggestion
from prodsys.kit.db import Tx
from prodsys.pages.fields import Form
from prodsys.partners import store as partners
from prodsys.sales import actions, model
from prodsys.sales.model import Draft, DraftLine

MOST_LINES = 300
"""So many lines a page shows; of longer orders those with something to look at, and the rest is accepted as ordered."""

Choice = Literal["accept", "change", "reject", ""]


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


def lines_of(tx: Tx, row: Any, draft: Draft, form: Form | None, mark: str, sought: Mapping[str, str]) -> tuple[list[Line], int]:
    """The lines a page shows, with what was typed for each, and how many more there are."""
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
