"""What stands in the way of an order, all of it at once, before anything is sent."""

from collections.abc import Sequence
from decimal import Decimal

from prodsys import codes
from prodsys.documents import Issue, Order, OrderLine, plain

MOST_NET = Decimal(10) ** 12


def ready_to_export(
    order: Order, delivery: str, acceptance: str, *, has_card: bool, supplier_issues: Sequence[Issue] | None
) -> list[Issue]:
    """Why an order cannot leave now; empty when it can. Everything at once, and nothing is sent while anything stands.

    `supplier_issues` is what `partners.model.ready` says of the supplier, None when the order names none.
    """
    stop = not_to_leave(order.number, delivery, acceptance)
    return [stop] if stop else [*against_leaving(order.number, has_card, supplier_issues), *local_issues(order)]


def not_to_leave(number: str, delivery: str, acceptance: str) -> Issue | None:
    """Why an order is not to leave at all, whatever it says: it has ended, is on its way, or is there already."""
    if acceptance in ("cancel_requested", "cancelled"):
        return fault("cancelled", f"Order {number} is cancelled; write a new one instead.", None, number=number)
    match delivery:
        case "queued" | "sending" | "waiting":
            return fault("already_on_its_way", f"Order {number} is on its way already; wait for its result.", None, number=number)
        case "received":
            message = f"The supplier has order {number} as it stands; change it first to send a new revision."
            return fault("already_received", message, None, number=number)
        case _:
            return None


def against_leaving(number: str, has_card: bool, supplier_issues: Sequence[Issue] | None) -> list[Issue]:
    """What of us and of the supplier stands in an order's way; `supplier_issues` is None when the order names none."""
    issues = []
    if not has_card:
        issues.append(fault("company_card_missing", "Our own company card is empty; fill it in under Admin > Company.", None))
    if supplier_issues is None:
        message = f"Order {number} names no supplier; choose one and export again."
        issues.append(fault("supplier_missing", message, "/partner", number=number))
    return [*issues, *(issue for issue in supplier_issues or () if issue.blocks)]


def local_issues(order: Order) -> list[Issue]:
    """What the supplier would refuse whoever he is; every line of it, so that all can be mended at once."""
    issues = []
    if not codes.is_currency(order.currency):
        message = f"Currency {order.currency} is not in ISO 4217; use a code such as NOK or EUR."
        issues.append(fault("currency_unknown", message, "/currency", currency=order.currency))
    for at, line in enumerate(order.lines):
        if line.kind == "article":
            issues += _line_issues(at, line)
    return issues


def _line_issues(at: int, line: OrderLine) -> list[Issue]:
    issues = []
    where, name = f"/lines/{at}", line.line_id
    if not plain(line.article_number):
        ours = f" of article {line.buyer_article_number}" if line.buyer_article_number else ""
        message = f"Line {name} has no supplier article number; fill in the supplier's number{ours} and export again."
        issues.append(fault("article_missing", message, f"{where}/article_number", line=name, article=line.buyer_article_number))
    if line.quantity is None:
        issues.append(
            fault("quantity_missing", f"Line {name} has no quantity; fill it in and export again.", f"{where}/quantity", line=name)
        )
    if not plain(line.unit):
        message = f"Line {name} has no unit; use a UN/ECE Rec 20 code such as H87 and export again."
        issues.append(fault("unit_missing", message, f"{where}/unit", line=name))
    elif codes.unit_code(plain(line.unit)) is None:
        message = f"Line {name}: unit {line.unit} is not known; use a UN/ECE Rec 20 code such as H87 (piece) or KGM (kilogram)."
        issues.append(fault("unit_unknown", message, f"{where}/unit", line=name, unit=line.unit))
    return issues


def too_large(order: Order) -> list[Issue]:
    """Amounts of more than 12 digits before the point, which no supplier takes and no column of ours holds."""
    issues = [
        fault("amount_too_large", f"Line {line.line_id} amounts to more than 12 digits.", f"/lines/{at}/unit_price", line=line.line_id)
        for at, line in enumerate(order.lines)
        if line.net is not None and line.net >= MOST_NET
    ]
    if not issues and abs(order.net) >= MOST_NET:
        issues.append(fault("amount_too_large", "The order amounts to more than 12 digits.", "/lines"))
    return issues


def fault(code: str, message: str, pointer: str | None, **params: str) -> Issue:
    """Something that has to be mended before the order can leave."""
    return Issue(code=code, message=message, params=params, pointer=pointer, blocks=True)
