"""What a partner's numbers have been found to mean."""

import datetime as dt
from decimal import Decimal

import msgspec
from sqlalchemy import bindparam, func, select, text, update

from prodsys.articles.store.finding import LAST
from prodsys.documents import plain
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, insert_or_ignore
from prodsys.kit.ids import new_id
from prodsys.tables import ANY_ACCEPTANCE, articles, mappings, partners, sales_lines, sales_orders


class MappingKept(msgspec.Struct, frozen=True, kw_only=True):
    """What was taught about a partner's number, by whom, and whether it still holds."""

    pk: int
    id: str
    partner: str
    their_number: str
    article: str
    article_number: str
    unit: str
    factor: Decimal
    author: str
    created_at: dt.datetime
    undone_at: dt.datetime | None
    undone_by: str


class OpenLines(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what waits for an answer was matched by a mapping."""

    drafts: int
    lines: int


_kept_mappings = (
    select(
        mappings.c.pk,
        mappings.c.id,
        partners.c.id.label("partner"),
        mappings.c.their_number,
        articles.c.id.label("article"),
        articles.c.number.label("article_number"),
        mappings.c.unit,
        mappings.c.factor,
        mappings.c.author,
        mappings.c.created_at,
        mappings.c.undone_at,
        mappings.c.undone_by,
    )
    .join_from(mappings, partners, partners.c.pk == mappings.c.partner)
    .join(articles, articles.c.pk == mappings.c.article)
    .limit(bindparam("limit"))
)
_every_mapping = hot(_kept_mappings.where(mappings.c.pk > bindparam("after")).order_by(mappings.c.pk), MappingKept)
_mappings_of = hot(
    _kept_mappings.where(
        mappings.c.partner == bindparam("of"), mappings.c.undone_at.is_(None), mappings.c.their_number > bindparam("after_number")
    ).order_by(mappings.c.their_number),
    MappingKept,
)
_mappings_beginning = hot(
    _kept_mappings.where(
        mappings.c.partner == bindparam("of"),
        mappings.c.undone_at.is_(None),
        mappings.c.their_number > bindparam("after_number"),
        mappings.c.their_number >= bindparam("start"),
        mappings.c.their_number < bindparam("end"),
    ).order_by(mappings.c.their_number),
    MappingKept,
)
_history_of = hot(
    _kept_mappings.where(
        mappings.c.partner == bindparam("of"), mappings.c.their_number == bindparam("number"), mappings.c.pk > bindparam("after")
    ).order_by(mappings.c.pk),
    MappingKept,
)
# Drafts that wait are few; a partner's orders of all time are not.
_open_lines = hot(
    select(func.count(sales_orders.c.pk.distinct()).label("drafts"), func.count().label("lines"))
    .join_from(sales_orders, sales_lines, sales_lines.c.order == sales_orders.c.pk)
    .where(
        text(f"sales_orders.{ANY_ACCEPTANCE}"),
        sales_orders.c.acceptance == "open",
        sales_orders.c.partner + 0 == bindparam("of"),
        sales_lines.c.how == "learned",
        sales_lines.c.article == bindparam("article"),
        sales_lines.c.article_number == bindparam("number"),
    ),
    OpenLines,
)
_mapping = hot(_kept_mappings.where(mappings.c.id == bindparam("id")), MappingKept)
_in_force = hot(
    select(mappings.c.id, mappings.c.article, mappings.c.unit, mappings.c.factor).where(
        mappings.c.partner == bindparam("partner"), mappings.c.their_number == bindparam("number"), mappings.c.undone_at.is_(None)
    )
)
_learn = hot(insert_or_ignore(mappings))
_undo = hot(
    update(mappings)
    .where(mappings.c.id == bindparam("mapping"), mappings.c.undone_at.is_(None))
    .values(undone_at=bindparam("at", type_=mappings.c.undone_at.type), undone_by=bindparam("by"))
)


def learn(tx: Tx, partner: int, their_number: str, article: int, *, their_unit: str = "", factor: Decimal = Decimal(1), author: str) -> str:
    """Remember that this partner's number means this article of ours; returns the mapping's id.

    One *their_unit* is *factor* of the article's own. What was taught before about the same number is undone, unless it says the same.
    """
    number = plain(their_number)
    while True:
        earlier = _in_force.first(tx, {"partner": partner, "number": number})
        if earlier and (earlier.article, earlier.unit, earlier.factor) == (article, their_unit, factor):
            return str(earlier.id)
        at = now()
        if earlier:
            _undo.run(tx, {"mapping": earlier.id, "at": at, "by": author})
        mapping_id = new_id("mp")
        lesson = {"partner": partner, "their_number": number, "article": article, "unit": their_unit, "factor": factor}
        # Nothing is made when another process taught something in between: look again.
        if _learn.run(tx, {"id": mapping_id, **lesson, "author": author, "created_at": at}):
            return mapping_id


def undo(tx: Tx, id: str, *, by: str) -> bool:
    """Let a mapping no longer hold; False when it does not hold anyway."""
    return _undo.run(tx, {"mapping": id, "at": now(), "by": by}) == 1


def open_lines(tx: Tx, partner: int, their_number: str, article: int) -> OpenLines:
    """What waits for an answer and was matched because this number was learned."""
    return _open_lines.first(tx, {"of": partner, "number": their_number, "article": article}) or OpenLines(drafts=0, lines=0)


def get(tx: Tx, id: str) -> MappingKept | None:
    """The mapping of this public id, undone or not."""
    return _mapping.first(tx, {"id": id, "limit": 1})


def after(tx: Tx, partner: int | None, after: tuple[str, int], limit: int, *, starts_with: str = "") -> list[MappingKept]:
    """Mappings by the page, after (their_number, pk): those of one partner that hold, by number; or all there ever were, by age."""
    given = {"of": partner, "after_number": after[0], "after": after[1], "limit": limit}
    if partner is not None and starts_with:
        return _mappings_beginning.all(tx, given | {"start": starts_with, "end": starts_with + LAST})
    return (_every_mapping if partner is None else _mappings_of).all(tx, given)


def history(tx: Tx, partner: int, their_number: str, after: int, limit: int) -> list[MappingKept]:
    """Everything that was ever taught about one number of a partner, oldest first."""
    return _history_of.all(tx, {"of": partner, "number": their_number, "after": after, "limit": limit})
