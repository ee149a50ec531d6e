"""Orders that are approved without a person: only within the limits an admin has set, and never without naming the rule."""

import datetime as dt
from decimal import Decimal
from typing import Any

from prodsys.documents import AnswerCode, Issue, Order, canonical
from prodsys.exchange.engine import Placed
from prodsys.kit.db import Tx
from prodsys.partners.model import AutoConfirm, Buyer
from prodsys.sales import answers, store
from prodsys.sales.examining import Examined
from prodsys.sales.model import UNRESOLVED, Arrival
from prodsys.scopes import Caller

LINKED = frozenset({"partner_link"})


def decide(tx: Tx, buyer: Buyer, arrival: Arrival, examined: Examined, placed: Placed, contact_how: str, undo: dt.timedelta) -> None:
    """Approve an order that has just arrived if the partner's rule lets it pass; say in the log which rule did, or what held it back."""
    rule = buyer.auto_confirm
    if rule is None or not rule.is_on:
        return
    row = store.orders.draft(tx, placed.id, lock=True)
    assert row is not None  # noqa: S101  # it was kept in this very unit
    by_rule = Caller(token="rule", name=f"rule: {spelled(rule)}", scopes=frozenset())  # noqa: S106  # nobody signs in with it
    held_back = against(rule, arrival.order, examined, contact_how)
    if store.orders.standing(tx, row) is not None:
        held_back.append("it changes an order that was agreed before")
    if held_back:
        message = f"Order {row.number} waits for a person: {'; '.join(held_back)}."
        answers.note(tx, by_rule, row, "order.left_for_a_person", message)
        return
    answers.note(tx, by_rule, row, "order.approved_by_rule", f"Order {row.number} passes the rule for {buyer.name}: {spelled(rule)}.")
    answers.give(tx, by_rule, row, AnswerCode.ACCEPTED, undo=undo)


def against(rule: AutoConfirm, order: Order, examined: Examined, contact_how: str) -> list[str]:
    """Everything that keeps an order from being approved by a rule, in words."""
    reasons = []
    if rule.only_linked_contact and contact_how not in LINKED:
        reasons.append("its buyer is not a linked contact")
    if any(line.found.how in UNRESOLVED for line in examined.lines if line.line.kind == "article"):
        reasons.append("a line has no article")
    remarked = [issue for issue in examined.issues if rule.only_clean or not _is_within(issue, examined, rule.price_tolerance)]
    if remarked:
        reasons.append(f"{len(remarked)} remark(s), first: {remarked[0].message.rstrip('.')}")
    if rule.value_ceiling is not None and order.currency != rule.currency:
        reasons.append(f"the ceiling is in {rule.currency or 'no currency'}, the order in {order.currency}")
    elif rule.value_ceiling is not None and order.net > rule.value_ceiling:
        reasons.append(f"it comes to {canonical(order.net)}, above {canonical(rule.value_ceiling)} {order.currency}")
    too_much = [line.line_id for line in order.lines if rule.quantity_ceiling and line.quantity and line.quantity > rule.quantity_ceiling]
    if too_much and rule.quantity_ceiling:
        reasons.append(f"line(s) {', '.join(too_much[:5])} ask for more than {canonical(rule.quantity_ceiling)}")
    return reasons


def spelled(rule: AutoConfirm) -> str:
    """The limits in one line, as they stand in the log of every decision."""
    limits = ["only clean orders" if rule.only_clean else f"prices within {canonical(rule.price_tolerance)} %"]
    if rule.value_ceiling is not None:
        limits.append(f"up to {canonical(rule.value_ceiling)} {rule.currency}")
    if rule.quantity_ceiling is not None:
        limits.append(f"up to {canonical(rule.quantity_ceiling)} a line")
    if rule.only_linked_contact:
        limits.append("linked contact")
    return ", ".join(limits)


def _is_within(issue: Issue, examined: Examined, tolerance: Decimal) -> bool:
    """Whether a remark is about a price that differs by no more than the rule lets pass."""
    if issue.code != "price_differs" or issue.pointer is None:
        return False
    percent: Any = examined.lines[int(issue.pointer.split("/")[2])].percent
    return percent is not None and abs(percent) <= tolerance
