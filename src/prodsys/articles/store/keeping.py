"""Keep articles, each change with its place in the feed."""

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, update

from prodsys.articles import model
from prodsys.articles.model import Draft, Known
from prodsys.articles.store.finding import by_numbers
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, insert_new
from prodsys.kit.ids import new_id
from prodsys.tables import articles, counters

EVERYTHING = tuple(Draft.__struct_fields__)


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """How many articles were new, different, or already as they should be."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0


_position = hot(
    update(counters).where(counters.c.name == "articles").values(value=counters.c.value + bindparam("more")).returning(counters.c.value)
)
_insert = hot(insert(articles))
_KEPT = (*EVERYTHING, "number_key", "number_reverse", "name_key", "position", "changed_at")
_update = hot(
    update(articles)
    .where(articles.c.pk == bindparam("article"))
    .values({"version": articles.c.version + 1} | {column: bindparam(f"new_{column}", type_=articles.c[column].type) for column in _KEPT})
)


def positions(tx: Tx, count: int) -> int:
    """Take *count* places at the end of the change feed and return the last.

    Until this transaction ends nobody else gets one: so places become visible in their order, and no reader passes over one
    (rulings.md, 8). Taking none still keeps the others waiting, which makes look-then-write safe on PostgreSQL.
    """
    row = _position.first(tx, {"more": count})
    if row is None:
        insert_new(tx, counters, {"name": "articles", "value": 0})
        row = _position.first(tx, {"more": count})
    if row is None:
        raise LookupError("The counter of the articles' feed is gone.")
    return int(row.value)


def save_many(tx: Tx, drafts: Sequence[Draft], given: Collection[str] = EVERYTHING) -> Saved:
    """Create or change articles by their numbers, each number once. Of those that exist only the *given* fields change.

    An article that is already as wanted keeps its place in the feed and its version.
    """
    if not drafts:
        return Saved()
    positions(tx, 0)
    known = by_numbers(tx, [draft.number for draft in drafts])
    new = [draft for draft in drafts if draft.number not in known]
    changed: list[tuple[int, Draft]] = []
    for draft in drafts:
        if article := known.get(draft.number):
            merged = merge(article, draft, given)
            if merged != as_draft(article):
                changed.append((article.pk, merged))
    last = positions(tx, len(new) + len(changed))
    at = now()
    places = iter(range(last - len(new) - len(changed) + 1, last + 1))
    _insert.many(tx, [{"id": new_id("ar"), **_columns(draft, next(places), at)} for draft in new])
    _update.many(tx, [_changes(pk, draft, next(places), at) for pk, draft in changed])
    return Saved(created=len(new), changed=len(changed), unchanged=len(drafts) - len(new) - len(changed))


def change(tx: Tx, article: Known, draft: Draft) -> None:
    """Make this article what the draft says, its number included. The caller has seen that the number is free."""
    _update.run(tx, _changes(article.pk, draft, positions(tx, 1), now()))


def as_draft(article: Known) -> Draft:
    """The article without what only the house knows of it."""
    return Draft(**{field: getattr(article, field) for field in EVERYTHING})


def merge(article: Known, draft: Draft, given: Collection[str]) -> Draft:
    """The article with the given fields of the draft."""
    return Draft(**{field: getattr(draft if field in given else article, field) for field in EVERYTHING})


def _columns(draft: Draft, position: int, at: dt.datetime) -> dict[str, Any]:
    key = model.number_key(draft.number)
    return {
        **{field: getattr(draft, field) for field in EVERYTHING},
        "number_key": key,
        "number_reverse": model.reverse(key),
        "name_key": model.name_key(draft.name),
        "position": position,
        "changed_at": at,
    }


def _changes(pk: int, draft: Draft, position: int, at: dt.datetime) -> dict[str, Any]:
    return {"article": pk} | {f"new_{column}": value for column, value in _columns(draft, position, at).items()}
