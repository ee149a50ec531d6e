"""A changed order: what differs from the revision before it, and whether the change is taken."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from prodsys import errors
from prodsys.documents import Exact, Order, OrderLine, canonical, write
from prodsys.kit.db import Tx
from prodsys.sales import answers, store
from prodsys.sales.model import Draft
from prodsys.scopes import Caller

KEPT = "The order stays as it was agreed."


class MemberChange(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the order or a line: what it was and what it is to be; null where it was not said."""

    member: str
    before: str | None
    after: str | None


class LineChange(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one line."""

    line_id: str
    kind: Literal["added", "removed", "changed"]
    changes: list[MemberChange] = []


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A revision against the one before it."""

    before: int
    after: int
    head: list[MemberChange]
    lines: list[LineChange]


def difference(tx: Tx, order_id: str) -> Difference:
    """What a revision changes. Raises NotFound where there is no earlier revision."""
    row = store.orders.draft(tx, order_id)
    older = None if row is None else store.orders.before(tx, row)
    if row is None or older is None:
        raise errors.NotFound("There is no earlier revision of this order to compare with.")
    return compared(store.orders.read_order(older.document), store.orders.read_order(row.document))


def compared(before: Order, after: Order) -> Difference:
    """Two revisions member by member; lines go by their `line_id`, wherever they stand."""
    old, new = ({line.line_id: line for line in order.lines} for order in (before, after))
    lines = [
        LineChange(line_id=line_id, kind="removed", changes=_members(_said(line), {}))
        for line_id, line in old.items()
        if line_id not in new
    ]
    for line_id, line in new.items():
        if line_id not in old:
            lines.append(LineChange(line_id=line_id, kind="added", changes=_members({}, _said(line))))
        elif changes := _members(_said(old[line_id]), _said(line)):
            lines.append(LineChange(line_id=line_id, kind="changed", changes=changes))
    return Difference(before=before.revision, after=after.revision, head=_members(_head(before), _head(after)), lines=lines)


def apply(tx: Tx, caller: Caller, order_id: str, if_match: str | None, *, undo: dt.timedelta) -> Draft:
    """Take the change: the new revision becomes the order, under the number the agreed one had."""
    _must_be_a_change(tx, order_id)
    return answers.approve(tx, caller, order_id, if_match, undo=undo)


def keep(tx: Tx, caller: Caller, order_id: str, if_match: str | None, *, undo: dt.timedelta) -> Draft:
    """Decline the change: the revision agreed before stands."""
    _must_be_a_change(tx, order_id)
    return answers.reject(tx, caller, order_id, if_match, KEPT, undo=undo)


def _must_be_a_change(tx: Tx, order_id: str) -> None:
    row = store.orders.draft(tx, order_id)
    if row is None:
        raise errors.NotFound
    if store.orders.standing(tx, row) is None:
        raise errors.WrongState(f"No earlier revision of order {row.number} was agreed; approve or reject this one.")


def _head(order: Order) -> dict[str, str]:
    members = {name: getattr(order, name) for name in Order.__struct_fields__ if name not in ("lines", "revision", "number")}
    return _texts(members)


def _said(line: OrderLine) -> dict[str, str]:
    return _texts({name: getattr(line, name) for name in OrderLine.__struct_fields__ if name != "line_id"})


def _texts(members: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in members.items() if value not in (None, "", [])}


def _text(value: Any) -> str:
    if isinstance(value, Exact):
        return canonical(value)
    return value if isinstance(value, str) else write(value).decode().strip('"')


def _members(before: Mapping[str, str], after: Mapping[str, str]) -> list[MemberChange]:
    return [
        MemberChange(member=name, before=before.get(name), after=after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
