"""The supplier's refusals in the buyer's words, each with what to do."""

from collections.abc import Mapping

import msgspec

from prodsys.documents import Issue, Order, OrderLine
from prodsys.exchange.engine import Refused

_REFUSALS: Mapping[str, str] = {
    "article_missing": "{at}the supplier article number is missing; fill it in{ours} and export again.",
    "article_unknown": "{at}{supplier} has no article {number}; correct the supplier article number{ours} and export again.",
    "article_inactive": "{at}{supplier} no longer sells article {number}; choose another article and export again.",
    "article_ambiguous": "{at}article {number} may mean more than one article at {supplier}; ask them which one.",
    "gtin_mismatch": "{at}number {number} and GTIN {gtin} are two different articles at {supplier}; correct one and export again.",
    "quantity_missing": "{at}the quantity is missing; fill it in and export again.",
    "unit_missing": "{at}the unit is missing; use a UN/ECE Rec 20 code such as H87 and export again.",
    "unit_unknown": "{at}{supplier} does not know the unit {unit}; use a UN/ECE Rec 20 code such as H87 and export again.",
    "buyer_mismatch": "Our company card contradicts what {supplier} has on file of us; compare the cards under Admin > Integrations.",
    "buyer_is_us": "{supplier} takes us for itself: the order's buyer is its own company; check whose token we hold.",
    "contact_blocked": "{supplier} has blocked us as a customer; ask their order desk.",
    "contact_ambiguous": "{supplier} knows more than one company that could be us; ask them to choose one for us.",
    "contact_belongs_to_other": "{supplier} has our company's data under another partner; ask them to put it right.",
    "possible_duplicate": "{supplier} has this order number of ours under another partner record; ask them before sending it again.",
    "order_conflict": "{supplier} has this number and revision with other content; change the order so that it gets the next revision.",
    "revision_superseded": "{supplier} has a newer revision of this order; change the order so that it gets the next revision.",
}
"""The supplier's refusals in the buyer's words, each with what to do."""


def in_our_words(refused: Refused, order: Order | None, supplier: str) -> list[Issue]:
    """Every reason of a refusal as the buyer reads it: which line, what is true, what to do."""
    if not refused.issues:
        said = _REFUSALS.get(refused.code)
        message = said.format_map(_Words(supplier=supplier)) if said else f"{supplier} refused the order: {refused.title}"
        return [Issue(code=refused.code, message=message, params={"supplier": supplier}, blocks=True)]
    return [_said(issue, order, supplier) for issue in refused.issues]


def _said(issue: Issue, order: Order | None, supplier: str) -> Issue:
    line = _line_at(issue.pointer, order)
    params = {"supplier": supplier} | issue.params
    if line is not None:
        params = {"line": line.line_id, "number": line.article_number, "article": line.buyer_article_number} | params
    said = _REFUSALS.get(issue.code)
    if said is None:
        return msgspec.structs.replace(issue, message=f"{supplier} says: {issue.message}", params=params)
    at = f"Line {params['line']}: " if "line" in params else ""
    ours = f" of article {params['article']}" if params.get("article") else ""
    text = said.format_map(_Words({"gtin": line.gtin if line else "", "unit": line.unit if line else ""} | params, at=at, ours=ours))
    return msgspec.structs.replace(issue, message=text[:1].upper() + text[1:], params=params)


class _Words(dict[str, str]):
    """Words for a sentence; one that is missing is left out rather than failing the sentence."""

    def __missing__(self, key: str) -> str:
        return ""


def _line_at(pointer: str | None, order: Order | None) -> OrderLine | None:
    if order is None or pointer is None or not pointer.startswith("/lines/"):
        return None
    place = pointer.split("/")[2]
    return order.lines[int(place)] if place.isascii() and place.isdigit() and int(place) < len(order.lines) else None
