"""The advanced search of SuperOffice's ERP Sync interface: whether a field's value is as a restriction wants it.

Texts are compared without case, moments without their seconds, as SuperOffice does it.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._erpsync import Restriction, Value

T = TypeVar("T")


def matches(kind: wire.FieldType, held: Value, restriction: Restriction) -> bool:
    """Whether a field's value is as a restriction wants it. Raises ValueError for an operator or a value its type has not."""
    operator = {"in": "oneof"}.get(restriction.operator, restriction.operator)
    if kind == "List" or operator in ("oneof", "notoneof"):
        wanted = {str(wire.decoded("List", one)).casefold() for one in restriction.values}
        if operator in ("=", "!=", "oneof", "notoneof", "isnot"):
            return (str(held or "").casefold() in wanted) == (operator in ("=", "oneof"))
        raise _no_operator(restriction, kind)
    if kind in ("Text", "Password", "Label"):
        return _text_matches(str(held or ""), operator, restriction)
    return _ordered_matches(kind, held, operator, restriction)


def _text_matches(held: str, operator: str, restriction: Restriction) -> bool:
    said = held.casefold()
    # Some write the wildcard the operator stands for anyway.
    wanted = [one.strip("%").casefold() if operator in _WILD else one.casefold() for one in restriction.values]
    low, high = _bounds(operator, wanted, restriction)
    match operator:
        case "=":
            return said == low
        case "isnot" | "!=":
            return said != low
        case "begins" | "notbegins":
            return said.startswith(low) == (operator == "begins")
        case "contains" | "notcontains":
            return (low in said) == (operator == "contains")
        case "ends" | "notends":
            return said.endswith(low) == (operator == "ends")
        case "between":
            return low <= said <= high
        case _:
            raise _no_operator(restriction, "Text")


_WILD = frozenset({"begins", "notbegins", "contains", "notcontains", "ends", "notends"})
_COMPARED: Mapping[str, Callable[[Any, Any, Any], bool]] = {
    "=": lambda held, low, _: held == low,
    "!=": lambda held, low, _: held != low,
    ">": lambda held, low, _: held > low,
    "<": lambda held, low, _: held < low,
    ">=": lambda held, low, _: held >= low,
    "<=": lambda held, low, _: held <= low,
    "between": lambda held, low, high: low <= held <= high,
}
_BY_TIME = {"before": "<", "after": ">", "beforeorequal": "<=", "afterorequal": ">="}
_OPERATORS = {
    "Checkbox": frozenset({"=", "!="}),
    "Integer": frozenset(_COMPARED),
    "Double": frozenset(_COMPARED),
    "Datetime": frozenset({"=", "!=", "between", *_BY_TIME}),
}


def _ordered_matches(kind: wire.FieldType, held: Value, operator: str, restriction: Restriction) -> bool:
    if operator not in _OPERATORS[kind]:
        raise _no_operator(restriction, kind)
    wanted = [_compared(wire.decoded(kind, one)) for one in restriction.values]
    low, high = _bounds(operator, wanted, restriction)
    if held is None or low is None or high is None:
        return (held is None) == (low is None) if operator == "=" else operator == "!=" and (held is None) != (low is None)
    return _COMPARED[_BY_TIME.get(operator, operator)](_compared(held), low, high)


def _compared(value: Value) -> Any:
    """A value as it is compared."""
    return value.replace(second=0, microsecond=0) if isinstance(value, dt.datetime) else value


def _bounds(operator: str, wanted: Sequence[T], restriction: Restriction) -> tuple[T, T]:
    if len(wanted) < (2 if operator == "between" else 1):
        raise ValueError(f"{restriction.key} {operator} was given {len(wanted)} values.")
    return wanted[0], wanted[1] if operator == "between" else wanted[0]


def _no_operator(restriction: Restriction, kind: str) -> ValueError:
    return ValueError(f"A field of the type {kind} is not searched by {restriction.operator[:40] or 'no operator'}.")
