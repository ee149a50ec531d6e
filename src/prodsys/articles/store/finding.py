"""Find articles by what somebody calls them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select, tuple_

from prodsys.articles import model
from prodsys.articles.model import Found, Known, Learned, Wanted
from prodsys.articles.store.offers import is_offered_to
from prodsys.kit.db import Hot, Tx, hot, in_ints, in_texts
from prodsys.tables import articles, mappings

LAST = "\U0010ffff"
ARTICLE = [articles.c[field] for field in Known.__struct_fields__]
_by_number = hot(select(*ARTICLE).where(in_texts(articles.c.number, "numbers")), Known)
_by_number_offered = hot(select(*ARTICLE).where(in_texts(articles.c.number, "numbers"), is_offered_to()), Known)
_by_gtin = hot(select(*ARTICLE).where(in_texts(articles.c.gtin, "gtins")).order_by(articles.c.gtin, articles.c.pk), Known)
_by_gtin_offered = hot(
    select(*ARTICLE).where(in_texts(articles.c.gtin, "gtins"), is_offered_to()).order_by(articles.c.gtin, articles.c.pk), Known
)
_by_pk = hot(select(*ARTICLE).where(in_ints(articles.c.pk, "pks")), Known)
_by_pk_offered = hot(select(*ARTICLE).where(in_ints(articles.c.pk, "pks"), is_offered_to()), Known)
_by_ids = hot(select(*ARTICLE).where(in_texts(articles.c.id, "ids")), Known)
_by_id = hot(select(*ARTICLE).where(articles.c.id == bindparam("id")), Known)
_lessons = hot(
    select(mappings.c.their_number, mappings.c.article, mappings.c.unit, mappings.c.factor).where(
        mappings.c.partner == bindparam("partner"), in_texts(mappings.c.their_number, "numbers"), mappings.c.undone_at.is_(None)
    ),
    Learned,
)


def match(tx: Tx, partner: int | None, wanted: Sequence[Wanted], *, offers_all: bool) -> list[Found]:
    """Climb the article ladder for up to 20,000 lines of one partner, in the order of *wanted*.

    Without *offers_all* an article not offered to this partner is as if it did not exist (rulings.md, 25). No partner, no mappings.
    """
    numbers = {line.number: None for line in wanted if line.number and "\x00" not in line.number}
    given = {"partner": partner, "numbers": numbers}
    by_number: dict[str, Known] = {}
    learned: dict[str, tuple[Learned, Known]] = {}
    if numbers:
        by_number = {article.number: article for article in (_by_number if offers_all else _by_number_offered).all(tx, given)}
        if partner is not None and (lessons := _lessons.all(tx, given)):
            taught = by_pks(tx, {lesson.article for lesson in lessons}, partner=None if offers_all else partner)
            learned = {lesson.their_number: (lesson, taught[lesson.article]) for lesson in lessons if lesson.article in taught}
    by_gtin = _of_gtins(tx, {line.gtin for line in wanted if line.gtin}, partner, offers_all=offers_all)
    return [model.climb(line, by_number, by_gtin, learned) for line in wanted]


def _of_gtins(tx: Tx, gtins: Collection[str], partner: int | None, *, offers_all: bool) -> dict[str, list[Known]]:
    """Articles by GTIN, under `gtin_key`, oldest first."""
    spellings = [spelling for gtin in gtins if gtin.isascii() and gtin.isdigit() for spelling in model.gtin_spellings(gtin)]
    found: dict[str, list[Known]] = {}
    if not spellings:
        return found
    for article in (_by_gtin if offers_all else _by_gtin_offered).all(tx, {"partner": partner, "gtins": spellings}):
        found.setdefault(model.gtin_key(article.gtin), []).append(article)
    return found


def by_pks(tx: Tx, pks: Collection[int], *, partner: int | None = None) -> dict[int, Known]:
    """Articles by their keys; with *partner* only those offered to it."""
    if not pks:
        return {}
    found = _by_pk.all(tx, {"pks": pks}) if partner is None else _by_pk_offered.all(tx, {"pks": pks, "partner": partner})
    return {article.pk: article for article in found}


def by_numbers(tx: Tx, numbers: Collection[str]) -> dict[str, Known]:
    """Articles of the house by their numbers, active or not."""
    return {article.number: article for article in _by_number.all(tx, {"numbers": numbers})} if numbers else {}


def by_id(tx: Tx, id: str) -> Known | None:
    """The article of this public id."""
    return _by_id.first(tx, {"id": id})


def by_ids(tx: Tx, ids: Collection[str]) -> dict[str, Known]:
    """Articles by their public ids; those that are not there are left out."""
    return {article.id: article for article in _by_ids.all(tx, {"ids": ids})} if ids else {}


def of_gtin(tx: Tx, gtin: str, *, partner: int | None = None) -> list[Known]:
    """Every article with this GTIN, however it is written; with *partner* only those offered to it."""
    found = _of_gtins(tx, [gtin], partner, offers_all=partner is None)
    return [article for same in found.values() for article in same]


def of_number(tx: Tx, number: str, *, partner: int | None = None) -> list[Known]:
    """The article with exactly this number; with *partner* only if it is offered to it."""
    given = {"numbers": [number], "partner": partner}
    return (_by_number if partner is None else _by_number_offered).all(tx, given)


def _beginning(column: Any, *more: ColumnElement[bool]) -> Hot[Known]:
    page = tuple_(column, articles.c.pk) > tuple_(bindparam("key"), bindparam("pk"))
    within = (column >= bindparam("start"), column < bindparam("end"))
    return hot(select(*ARTICLE).where(*within, page, *more).order_by(column, articles.c.pk).limit(bindparam("limit")), Known)


_numbers_beginning = _beginning(articles.c.number_key)
_names_beginning = _beginning(articles.c.name_key)


def numbers_beginning(tx: Tx, text: str, after: tuple[str, int], limit: int) -> list[Known]:
    """Articles whose number begins so, whatever its case and separators, sorted by (number_key, pk) after *after*."""
    key = model.number_key(text)
    bounds = {"start": key, "end": key + LAST, "key": after[0], "pk": after[1], "limit": limit}
    return _numbers_beginning.all(tx, bounds) if key else []


def all_by_number(tx: Tx, after: tuple[str, int], limit: int) -> list[Known]:
    """Every article, sorted by (number_key, pk), after *after*."""
    return _numbers_beginning.all(tx, {"start": "", "end": LAST, "key": after[0], "pk": after[1], "limit": limit})


def names_beginning(tx: Tx, text: str, after: tuple[str, int], limit: int) -> list[Known]:
    """Articles whose name begins so, whatever its case and marks, sorted by (name_key, pk) after *after*."""
    key = model.name_key(text)
    bounds = {"start": key, "end": key + LAST, "key": after[0], "pk": after[1], "limit": limit}
    return _names_beginning.all(tx, bounds) if key else []
