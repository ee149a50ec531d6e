"""What may be answered to an order, and in which state it may be said."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from prodsys import errors
from prodsys.documents import Acceptance, AnswerCode, AnswerLine, Issue, LineAction, Order, OrderLine, Quantity, plain

STEPS: Mapping[str, frozenset[Acceptance]] = {
    "approve": frozenset({Acceptance.OPEN, Acceptance.DISPUTED}),
    "reject": frozenset({Acceptance.OPEN, Acceptance.DISPUTED}),
    "answer": frozenset({Acceptance.OPEN, Acceptance.DISPUTED, Acceptance.APPROVED, Acceptance.CHANGED, Acceptance.AGREED}),
    "accept": frozenset({Acceptance.CHANGED}),
    "dispute": frozenset({Acceptance.CHANGED}),
    "cancel": frozenset({Acceptance.OPEN, Acceptance.APPROVED, Acceptance.CHANGED, Acceptance.DISPUTED, Acceptance.AGREED}),
    "decide_cancellation": frozenset({Acceptance.CANCEL_REQUESTED}),
    "despatch": frozenset({Acceptance.APPROVED, Acceptance.AGREED, Acceptance.CHANGED}),
    "match": frozenset({Acceptance.OPEN, Acceptance.DISPUTED}),
}
"""From which states each step may be taken; what is not here is not a step."""

SAID = {
    AnswerCode.ACCEPTED: Acceptance.APPROVED,
    AnswerCode.CHANGED: Acceptance.CHANGED,
    AnswerCode.REJECTED: Acceptance.REJECTED,
}
"""What an order is after an answer."""


_STANDS: Mapping[Acceptance, str] = {
    Acceptance.OPEN: "has not been answered yet",
    Acceptance.APPROVED: "is approved",
    Acceptance.CHANGED: "was answered with changes, which the buyer has not accepted yet",
    Acceptance.DISPUTED: "is disputed: the buyer does not accept our changes",
    Acceptance.AGREED: "is agreed",
    Acceptance.REJECTED: "is rejected",
    Acceptance.CANCEL_REQUESTED: "waits for an answer to the buyer, who wants it cancelled",
    Acceptance.CANCELLED: "is cancelled",
}
_TAKES: Mapping[str, str] = {
    "approve": "only an order that waits for our answer can be approved",
    "reject": "only an order that waits for our answer can be rejected",
    "answer": "it cannot be answered now",
    "accept": "there is no answer with changes to accept",
    "dispute": "there is no answer with changes to dispute",
    "cancel": "it cannot be cancelled now",
    "decide_cancellation": "the buyer has not asked for it to be cancelled",
    "despatch": "goods go only for an order that we have taken",
    "match": "only an order that waits for our answer can be worked on",
}


def must(step: str, acceptance: str, number: str) -> None:
    """Go on only when the step fits the state. Raises WrongState saying how the order stands and what the step needs."""
    if Acceptance(acceptance) not in STEPS[step]:
        raise errors.WrongState(f"Order {number} {_STANDS[Acceptance(acceptance)]}; {_TAKES[step]}.")


def completed(order: Order, lines: Sequence[AnswerLine]) -> list[AnswerLine]:
    """The answer to every article line, in the order's own order; a line nothing is said of is accepted.

    Peppol T76, rules R007-R010: an answer with changes carries all lines.
    """
    said = {line.line_id: line for line in lines}
    return [
        said.get(line.line_id, AnswerLine(line_id=line.line_id, action=LineAction.ACCEPTED))
        for line in order.lines
        if line.kind == "article"
    ]


def answered_net(order: Order, lines: Sequence[AnswerLine]) -> Decimal:
    """What an order comes to with its lines as answered, and its charges as ordered."""
    said = {line.line_id: line for line in lines}
    nets = (_as_answered(line, said.get(line.line_id)).net for line in order.lines if not _is_refused(said.get(line.line_id)))
    return sum((net for net in nets if net is not None), order.charged)


def _is_refused(said: AnswerLine | None) -> bool:
    return said is not None and said.action is LineAction.REJECTED


def _as_answered(line: OrderLine, said: AnswerLine | None) -> OrderLine:
    if said is None:
        return line
    so_much = sum((one.quantity for one in said.deliveries), Decimal(said.back_order or 0))
    return msgspec.structs.replace(
        line,
        quantity=Quantity(so_much) if said.deliveries else line.quantity,
        unit_price=line.unit_price if said.unit_price is None else said.unit_price,
    )


def code_of(lines: Sequence[AnswerLine]) -> AnswerCode:
    """What the lines amount to for the whole order."""
    actions = {line.action for line in lines}
    if actions == {LineAction.ACCEPTED} and not any(_says_more(line) for line in lines):
        return AnswerCode.ACCEPTED
    return AnswerCode.CHANGED


def faults(order: Order, lines: Sequence[AnswerLine], marked: frozenset[str]) -> list[Issue]:
    """Everything that is wrong with an answer; `marked` are the lines nobody has found an article for (product.md, A9, A12)."""
    known = {line.line_id: line for line in order.lines if line.kind == "article"}
    issues: list[Issue] = []
    seen: set[str] = set()
    for at, line in enumerate(lines):
        if line.line_id not in known:
            issues.append(_issue("line_unknown", at, "line_id", f"The order has no article line {line.line_id}.", line=line.line_id))
            continue
        if line.line_id in seen:
            message = f"Line {line.line_id} is answered twice; say several dates as several deliveries of one answer."
            issues.append(_issue("line_answered_twice", at, "line_id", message, line=line.line_id))
        seen.add(line.line_id)
        issues += _line_faults(at, line)
    for line_id in sorted(marked):
        answer = next((line for line in lines if line.line_id == line_id), None)
        if answer is None or not (answer.substitute or answer.action is LineAction.REJECTED):
            message = f"Line {line_id} has no article yet: say which is meant, offer a substitute, or reject the line."
            issues.append(Issue(code="line_unresolved", message=message, params={"line": line_id}, pointer="/lines", blocks=True))
    return issues


def _line_faults(at: int, line: AnswerLine) -> list[Issue]:
    issues = []
    if line.action in (LineAction.ADDED, LineAction.DELIVERED):
        message = f"Line {line.line_id}: answer with 5 (accepted), 3 (changed) or 7 (not accepted)."
        issues.append(_issue("action_not_offered", at, "action", message, line=line.line_id))
    if line.action is LineAction.CHANGED and not _says_more(line):
        message = f"Line {line.line_id} is said to be changed, but nothing differs; give deliveries, a price, a substitute or a back order."
        issues.append(_issue("change_missing", at, "action", message, line=line.line_id))
    if line.action is LineAction.REJECTED and _says_more(line):
        message = f"Line {line.line_id} is rejected, so nothing can be promised for it."
        issues.append(_issue("rejected_yet_promised", at, "action", message, line=line.line_id))
    if line.action is LineAction.ACCEPTED and (line.unit_price is not None or line.substitute is not None or line.back_order is not None):
        message = f"Line {line.line_id} is accepted as ordered; a price, substitute or back order makes it changed (3)."
        issues.append(_issue("accepted_yet_changed", at, "action", message, line=line.line_id))
    if line.action is not LineAction.ACCEPTED and line.reason_code is None and not plain(line.reason):
        message = f"Line {line.line_id} needs a reason: a reason_code or a few words."
        issues.append(_issue("reason_missing", at, "reason_code", message, line=line.line_id))
    return issues


def _says_more(line: AnswerLine) -> bool:
    return bool(line.deliveries) or line.unit_price is not None or line.substitute is not None or line.back_order is not None


def _issue(code: str, at: int, member: str, message: str, **params: str) -> Issue:
    return Issue(code=code, message=message, params=params, pointer=f"/lines/{at}/{member}", blocks=True)
