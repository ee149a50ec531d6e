"""Which members a system's words have, found by saying a full document and an empty one in them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import msgspec

from prodsys.connectors._base import KINDS, Connector, Known, Secret, builtins
from prodsys.documents import Exact, TradeLine, VoucherLine

_OF: Mapping[Any, Any] = {
    bool: False, int: 1, dt.date: dt.date(2026, 1, 1), dt.datetime: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), Secret: Secret("1"),
}  # fmt: skip


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The members of their words as paths (`Rows[].Text`): those a document can fill, and those that even an empty one fills."""

    fields: Sequence[str] = ()
    always: Sequence[str] = ()


@lru_cache(maxsize=256)  # bounded: forms that systems describe themselves are made anew each time
def said_of(connector: type[Connector], kind: str) -> Said:
    """What can be said of a kind in a system's words; nothing where it cannot go there, or cannot be said without its form."""
    resource = connector.resources.get(kind)
    write = resource.write if resource is not None else None
    if write is None:
        return Said()
    known = Known(customer="1", articles={"1": "1"}, config=filled(connector.Config, is_full=False))

    def paths(is_full: bool) -> list[str]:
        try:
            return list(paths_of(builtins(write(filled(KINDS[kind], is_full=is_full), known))))
        except (ValueError, TypeError, KeyError, AttributeError):
            return []

    return Said(fields=paths(True), always=paths(False))


def paths_of(words: Any, before: str = "") -> dict[str, None]:
    """The members of some words, as paths in their order; of a list, those of its first row."""
    found: dict[str, None] = {}
    for name, value in words.items():
        if value is None:
            continue
        row = value[0] if isinstance(value, list) and value else None
        if isinstance(value, dict) and value:
            found |= paths_of(value, f"{before}{name}.")
        elif isinstance(row, dict) and "[]" not in before:
            found |= paths_of(row, f"{before}{name}[].")
        else:
            found[f"{before}{name}"] = None
    return found


def filled(kind: Any, *, is_full: bool, name: str = "") -> Any:
    """Some value of a type: with `is_full` every member of a Struct, without only those it insists on."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        wanted = [field for field in msgspec.structs.fields(kind) if is_full or field.required]
        made = {field.name: filled(field.type, is_full=is_full, name=field.name) for field in wanted}
        # A row is about some article, and postings balance.
        made |= {"article_number": "1"} if kind is TradeLine else {"amount": Exact(0)} if kind is VoucherLine else {}
        return kind(**made)
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is list:
        return [filled(get_args(kind)[0], is_full=is_full)]
    if get_origin(kind) is dict:
        return {"1": "1"}
    if parts := [part for part in get_args(kind) if part is not type(None)]:
        return filled(parts[0], is_full=is_full, name=name)
    if kind is str:
        return "NO" if name == "country" else "1"
    return _OF.get(kind) if kind in _OF else kind(Decimal(1))
