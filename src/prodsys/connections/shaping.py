"""How a flow's settings shape a document: filters, defaults, the stock formula, codes by country, lists, and their system's rules."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from prodsys.connections.model import BY_COUNTRY, LISTS, FlowSettings, ListEntry
from prodsys.connectors._base import KINDS, Limit, builtins, whole
from prodsys.documents import ArticleCard, ContactCard, Exact, Issue, SalesOrder, Stock, canonical, read_exact
from prodsys.exchange import mapping

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


def look_in(entries: Mapping[str, Sequence[ListEntry]], direction: str) -> mapping.Look:
    """How a code is looked up in the list mappings of a connection, one way."""
    tables = {name: {one.source: one.target for one in listed if one.direction == direction} for name, listed in entries.items()}

    def look(name: str, value: str) -> str | None:
        return tables.get(name, {}).get(value)

    return look


def translated(kind: str, document: Any, look: mapping.Look) -> Any:
    """A document with its codes replaced by what the list mappings make of them. Raises msgspec.ValidationError."""
    tree = builtins(document)
    changed = mapping.translate(tree, LISTS, look)
    return document if changed == tree else as_document(kind, changed)


def shaped(document: Any, settings: FlowSettings, look: mapping.Look) -> Any:
    """A document as the flow's settings want it to leave."""
    if isinstance(document, SalesOrder):
        country = document.deliver_to.address.country if document.deliver_to else ""
        country = country or document.customer.address.country
        by_country = {field: look(name, country) or "" for name, field in BY_COUNTRY.items()}
        lines = [
            msgspec.structs.replace(
                line,
                tax_code=line.tax_code or by_country["tax_code"],
                account=line.account or by_country["account"],
                article_number=line.article_number or (settings.charge_article if line.kind == "charge" else ""),
                kind="article" if line.kind == "charge" and settings.charge_article else line.kind,
            )
            for line in document.lines
        ]
        return msgspec.structs.replace(
            document,
            kind=settings.makes,
            is_draft=settings.as_draft,
            employee_number=document.employee_number or settings.employee_number,
            branch=document.branch or settings.branch,
            warehouse=document.warehouse or settings.warehouse,
            lines=lines,
        )
    if isinstance(document, ContactCard) and settings.role != "as_told":
        both = settings.role == "both"
        return msgspec.structs.replace(
            document, is_customer=both or settings.role == "customer", is_supplier=both or settings.role == "supplier"
        )
    if isinstance(document, ArticleCard) and not document.currency and settings.currency:
        return msgspec.structs.replace(document, currency=settings.currency)
    if isinstance(document, Stock):
        managed = settings.manage_stock if settings.manage_stock is not None else document.is_managed
        return msgspec.structs.replace(document, available=stock_of(document, settings), is_managed=managed)
    return document


def stock_of(stock: Stock, settings: FlowSettings) -> Exact | None:
    """The quantity that is handed on: by default what is available, which is what is on hand without sales reservations."""
    on_hand, reserved, ordered = stock.on_hand, stock.reserved or Decimal(0), stock.ordered or Decimal(0)
    less_reserved = None if on_hand is None else Decimal(on_hand) - reserved
    free = stock.available if stock.available is not None else less_reserved
    made: Decimal | None = {
        "free": free,
        "on_hand": on_hand,
        "on_hand_less_reserved": less_reserved,
        "free_and_ordered": None if free is None else free + ordered,
    }[settings.stock]
    return None if made is None else Exact.read(canonical(made))


def is_wanted(settings: FlowSettings, theirs: Mapping[str, Any], document: Any, known_filters: Mapping[str, Any]) -> bool:
    """Whether a record passes the flow's filters: those the system did not apply itself, and the condition over its own words."""
    tree: Mapping[str, Any] | None = None
    for field, wanted in settings.where.items():
        if field in known_filters:
            continue
        tree = tree if tree is not None else whole(document)
        said = mapping.get(tree, field)
        if mapping.as_text(said if not isinstance(said, dict | list) else None).casefold() != wanted.casefold():
            return False
    if settings.from_date is not None and isinstance(on := getattr(document, "date", None), dt.date) and on < settings.from_date:
        return False
    return not settings.condition or mapping.holds(settings.condition, theirs)


def as_document(kind: str, tree: Mapping[str, Any]) -> Any:
    """A tree as one of our documents. Raises msgspec.ValidationError."""
    return msgspec.convert(_as_wire(tree), KINDS[kind], dec_hook=read_exact)


def limit_faults(document: Any, limits: Sequence[Limit]) -> list[Issue]:
    """What their system would object to, said before anything is sent (product.md, C8)."""
    if not limits:
        return []
    tree = whole(document)
    return [issue for limit in limits for value, where in _values(tree, limit.field) if (issue := _limit_fault(limit, value, where))]


def _limit_fault(limit: Limit, value: Any, where: str) -> Issue | None:
    params = {"field": limit.field}
    said = "" if value is None else canonical(value) if isinstance(value, Decimal) else str(value)
    if not said:
        if not limit.is_required:
            return None
        return Issue(code="field_missing_there", message=f"{limit.field} is mandatory there.", params=params, pointer=where, blocks=True)
    code, message = "", ""
    if limit.longest is not None and len(said) > limit.longest:
        code, message = "too_long_there", f"{limit.field} has at most {limit.longest} characters there; {said[:60]!r} has {len(said)}."
        params |= {"longest": str(limit.longest)}
    elif limit.digits_only and not said.isdecimal():
        code, message = "digits_only_there", f"{limit.field} has digits only there, not {said[:60]!r}."
    elif limit.one_of and said not in limit.one_of:
        code, message = "not_a_choice_there", f"{limit.field} is one of {', '.join(limit.one_of)} there, not {said[:60]!r}."
    elif limit.decimals is not None and isinstance(value, Decimal) and -int(value.normalize().as_tuple().exponent) > limit.decimals:
        code, message = "too_exact_there", f"{limit.field} has at most {limit.decimals} decimals there, not {said}."
    elif _CONTROL.search(said):
        code, message = "control_character", f"{limit.field} holds a control character."
    return Issue(code=code, message=message, params=params, pointer=where, blocks=True) if code else None


def _values(tree: Any, path: str) -> list[tuple[Any, str]]:
    before, each, after = path.partition("[].")
    if not each:
        return [(mapping.get(tree, path), f"/{path.replace('.', '/')}")]
    rows = mapping.get(tree, before)
    listed = rows if isinstance(rows, list) else []
    return [
        (mapping.get(row, after), f"/{before}/{at}/{after}") for at, row in enumerate(listed) if row.get("kind", "article") == "article"
    ]


def _as_wire(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _as_wire(value) for name, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [_as_wire(value) for value in tree]
    return canonical(tree) if isinstance(tree, Decimal) else tree
