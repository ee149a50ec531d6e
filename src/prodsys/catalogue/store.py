"""The rows of suppliers' articles, and how far each catalogue has been read."""

import datetime as dt
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Select, and_, bindparam, case, delete, func, or_, select, tuple_, update

from prodsys.articles import model as articles_model
from prodsys.articles.model import Known, Wanted
from prodsys.catalogue.model import Reading, SupplierArticle, Theirs, Why
from prodsys.documents import Exact
from prodsys.kit.clock import now
from prodsys.kit.db import Hot, Tx, hot, in_ints, in_texts, insert_new, insert_or_update
from prodsys.tables import articles, catalogue_pulls, partners, supplier_articles, supplier_numbers

_NEIGHBOURS = 20
_SLIPS = 60
_LAST = "\U0010ffff"

_a = supplier_articles.c
_p = catalogue_pulls.c
_n = supplier_numbers.c

_TOLD = ("number", "name", "gtin", "unit", "price", "price_quantity", "currency", "is_active", "lead_time_days", "minimum", "multiple")
_KEPT = (*Theirs.__struct_fields__[2:], "their_id", "number_key", "number_reverse", "name_key", "round", "read_at")
_keep = hot(insert_or_update(supplier_articles, "partner", "number", only=_KEPT))
# Of a retired article only the number is told; what it was called stays, so that a person knows what he is looking at.
_retire = hot(insert_or_update(supplier_articles, "partner", "number", only=["their_id", "is_active", "round", "read_at"]))
_rename = hot(
    delete(supplier_articles).where(_a.partner == bindparam("partner"), in_texts(_a.their_id, "ids"), ~in_texts(_a.number, "numbers"))
)
_sweep = hot(delete(supplier_articles).where(_a.partner == bindparam("partner"), _a.round < bindparam("round")))


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the reading of a catalogue stands."""

    cursor: str
    round: int
    is_whole: bool


class Drifted(msgspec.Struct, frozen=True, kw_only=True):
    """A number of ours that leads nowhere at its supplier, and the article it was for."""

    partner_pk: int
    partner: str
    partner_name: str
    article_pk: int
    article: str
    article_number: str
    name: str
    gtin: str
    number: str
    why: Why


def place(tx: Tx, partner: int) -> Place:
    """Where the reading of a supplier's catalogue stands; the beginning when it was never read."""
    row = tx.execute(select(_p.cursor, _p.round, _p.whole_at).where(_p.partner == partner)).first()
    return (
        Place(cursor="", round=1, is_whole=False) if row is None else Place(cursor=row.cursor, round=row.round, is_whole=bool(row.whole_at))
    )


def move(tx: Tx, partner: int, before: Place, after: Place) -> bool:
    """Note that a catalogue has been read on; False when somebody else has read on from there meanwhile."""
    insert_new(tx, catalogue_pulls, {"partner": partner, "cursor": "", "round": 1})
    at_it = and_(_p.partner == partner, _p.cursor == before.cursor, _p.round == before.round)
    return tx.execute(update(catalogue_pulls).where(at_it).values(cursor=after.cursor, round=after.round)).rowcount == 1


def finish(tx: Tx, partner: int, round: int) -> None:
    """Note that a catalogue has been read to its end."""
    at, here = now(), and_(_p.partner == partner, _p.round == round)
    tx.execute(update(catalogue_pulls).where(here, _p.whole_at.is_(None)).values(whole_at=at))
    tx.execute(update(catalogue_pulls).where(here).values(pulled_at=at, fault=""))


def note_mismatches(tx: Tx, partner: int, count: int) -> None:
    """Remember how many of our numbers lead nowhere there."""
    tx.execute(update(catalogue_pulls).where(_p.partner == partner).values(mismatches=count))


def fail(tx: Tx, partner: int, fault: str) -> bool:
    """Note why a catalogue could not be read on; False when that was the reason before."""
    insert_new(tx, catalogue_pulls, {"partner": partner, "cursor": "", "round": 1})
    changed = update(catalogue_pulls).where(_p.partner == partner, _p.fault != fault[:500])
    return tx.execute(changed.values(fault=fault[:500])).rowcount == 1


def keep(tx: Tx, partner: int, listed: Sequence[Theirs], round: int) -> None:
    """Keep a page of a supplier's catalogue; an article that has got another number loses the old one."""
    by_number = {article.number: article for article in listed}
    ids = {article.their_id for article in listed if article.their_id}
    if ids:
        _rename.run(tx, {"partner": partner, "ids": ids, "numbers": by_number})
    at = now()
    rows = [_row(partner, article, round, at) for article in by_number.values()]
    _keep.many(tx, [row for row in rows if row["is_active"] or row["name"]])
    _retire.many(tx, [row for row in rows if not (row["is_active"] or row["name"])])


def sweep(tx: Tx, partner: int, round: int) -> int:
    """Forget what this reading of the whole catalogue has not met; how many that were."""
    return _sweep.run(tx, {"partner": partner, "round": round})


def _row(partner: int, article: Theirs, round: int, at: dt.datetime) -> dict[str, Any]:
    key = articles_model.number_key(article.number)
    return {
        "partner": partner,
        **msgspec.structs.asdict(article),
        "number_key": key,
        "number_reverse": articles_model.reverse(key),
        "name_key": articles_model.name_key(article.name),
        "round": round,
        "read_at": at,
    }


_article = select(
    _a.pk, _a.partner.label("partner_pk"), partners.c.id.label("partner"), *(_a[name] for name in _TOLD), _a.read_at
).join_from(supplier_articles, partners, partners.c.pk == _a.partner)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A supplier's article in a list, with what the list goes on from."""

    shown: SupplierArticle
    partner_pk: int
    pk: int


def _listed(**row: Any) -> Listed:
    partner_pk, pk = row.pop("partner_pk"), row.pop("pk")
    for name in ("price", "price_quantity", "minimum", "multiple"):
        row[name] = None if row[name] is None else Exact(row[name])
    row["is_active"] = bool(row["is_active"])
    return Listed(shown=SupplierArticle(**row), partner_pk=partner_pk, pk=pk)


def _page(*where: Any, order: Sequence[Any]) -> Hot[Listed]:
    return hot(_article.where(*where).order_by(*order).limit(bindparam("limit")), _listed)


_of_one = _page(_a.partner == bindparam("of"), _a.number > bindparam("after"), order=(_a.number,))
_of_all = _page(tuple_(_a.partner, _a.number) > tuple_(bindparam("after_partner"), bindparam("after")), order=(_a.partner, _a.number))


def _beginning(column: Any) -> Hot[Listed]:
    within = (_a.partner == bindparam("of"), column >= bindparam("start"), column < bindparam("end"))
    return _page(*within, tuple_(column, _a.pk) > tuple_(bindparam("key"), bindparam("pk")), order=(column, _a.pk))


_numbers_beginning = _beginning(_a.number_key)
_names_beginning = _beginning(_a.name_key)


def page(tx: Tx, partner: int | None, after: tuple[int, str], limit: int) -> list[Listed]:
    """Articles of one supplier by number, or of all by supplier and number, from behind a place in that order."""
    given = {"of": partner, "after_partner": after[0], "after": after[1], "limit": limit}
    return (_of_all if partner is None else _of_one).all(tx, given)


def numbers_beginning(tx: Tx, partner: int, key: str, after: tuple[str, int], limit: int) -> list[Listed]:
    """Articles whose folded number begins so."""
    given = {"of": partner, "start": key, "end": key + _LAST, "key": after[0], "pk": after[1], "limit": limit}
    return _numbers_beginning.all(tx, given) if key else []


def names_beginning(tx: Tx, partner: int, key: str, after: tuple[str, int], limit: int) -> list[Listed]:
    """Articles whose folded name begins so."""
    given = {"of": partner, "start": key, "end": key + _LAST, "key": after[0], "pk": after[1], "limit": limit}
    return _names_beginning.all(tx, given) if key else []


_offered = hot(_article.where(_a.partner == bindparam("of"), in_texts(_a.number, "numbers"), _a.is_active), _listed)


def offered(tx: Tx, partner: int, numbers: Collection[str]) -> dict[str, SupplierArticle]:
    """What a supplier sells under these numbers, as we last read it."""
    return {row.shown.number: row.shown for row in _offered.all(tx, {"of": partner, "numbers": numbers})} if numbers else {}


_known = (_a.partner == bindparam("partner"), in_texts(_a.number, "numbers"))
_by_number = hot(select(_a.number, _a.is_active).where(*_known))


def by_numbers(tx: Tx, partner: int, numbers: Collection[str]) -> dict[str, bool]:
    """Which of these numbers stand in a supplier's catalogue, and whether he sells them."""
    return {row.number: bool(row.is_active) for row in _by_number.all(tx, {"partner": partner, "numbers": numbers})} if numbers else {}


def readings(tx: Tx, partner: int | None = None) -> list[Reading]:
    """How far each catalogue has been read, in the order the suppliers were added."""
    counted = select(func.count()).select_from(supplier_articles).where(_a.partner == _p.partner).scalar_subquery()
    statement = (
        select(partners.c.id, partners.c.name, _p.whole_at, _p.pulled_at, _p.fault, _p.mismatches, counted.label("articles"))
        .join_from(catalogue_pulls, partners, partners.c.pk == _p.partner)
        .order_by(_p.partner)
    )
    if partner is not None:
        statement = statement.where(_p.partner == partner)
    return [
        Reading(
            partner=row.id,
            partner_name=row.name,
            articles=row.articles,
            mismatches=row.mismatches,
            is_whole=row.whole_at is not None,
            pulled_at=row.pulled_at,
            fault=row.fault,
        )
        for row in tx.execute(statement)
    ]


def _drifted(*columns: Any) -> Select[Any]:
    """Our active articles whose number at a supplier his catalogue, read whole, does not offer."""
    return (
        select(*columns)
        .join_from(supplier_numbers, catalogue_pulls, and_(_p.partner == _n.partner, _p.whole_at.is_not(None)))
        .join(articles, articles.c.pk == _n.article)
        .outerjoin(supplier_articles, and_(_a.partner == _n.partner, _a.number == _n.number))
        .where(_n.number != "", articles.c.is_active, or_(_a.pk.is_(None), ~_a.is_active))
    )


_mismatches = (
    _drifted(
        _n.partner.label("partner_pk"),
        partners.c.id.label("partner"),
        partners.c.name.label("partner_name"),
        _n.article.label("article_pk"),
        articles.c.id.label("article"),
        articles.c.number.label("article_number"),
        articles.c.name,
        articles.c.gtin,
        _n.number,
        case((_a.pk.is_(None), "unknown"), else_="inactive").label("why"),
    )
    .join(partners, partners.c.pk == _n.partner)
    .order_by(_n.partner, _n.article)
    .limit(bindparam("limit"))
)
_mismatches_of = hot(_mismatches.where(_n.partner == bindparam("of"), _n.article > bindparam("after")), Drifted)
_every_mismatch = hot(_mismatches.where(tuple_(_n.partner, _n.article) > tuple_(bindparam("after_partner"), bindparam("after"))), Drifted)
_count = hot(_drifted(func.count().label("count")).where(_n.partner == bindparam("of")))


def mismatches(tx: Tx, partner: int | None, after: tuple[int, int], limit: int) -> list[Drifted]:
    """Our numbers that lead nowhere at their suppliers, by supplier and article, from behind a place in that order."""
    given = {"of": partner, "after_partner": after[0], "after": after[1], "limit": limit}
    return (_every_mismatch if partner is None else _mismatches_of).all(tx, given)


def count_mismatches(tx: Tx, partner: int) -> int:
    """How many of our numbers lead nowhere at a supplier."""
    row = _count.first(tx, {"of": partner})
    return 0 if row is None else int(row.count)


def _near(*where: Any, order: Any) -> Hot[Any]:
    return hot(select(_a.pk).where(_a.partner == bindparam("of"), _a.is_active, *where).order_by(order).limit(_NEIGHBOURS))


def _neighbours(column: Any) -> tuple[Hot[Any], Hot[Any]]:
    """The articles around a key, upwards and downwards, within a common beginning."""
    up = _near(column >= bindparam("key"), column < bindparam("end"), order=column)
    return up, _near(column >= bindparam("start"), column < bindparam("key"), order=column.desc())


_around = (_neighbours(_a.number_key), _neighbours(_a.number_reverse), _neighbours(_a.name_key))
_one_slip = hot(select(_a.pk).where(_a.partner == bindparam("of"), in_texts(_a.number_key, "keys"), _a.is_active).limit(_SLIPS))
_same_gtin = hot(select(_a.pk).where(_a.partner == bindparam("of"), in_texts(_a.gtin, "gtins"), _a.is_active).limit(_NEIGHBOURS))
_candidates = hot(select(_a.pk, *(_a[name] for name in _TOLD)).where(in_ints(_a.pk, "pks")))


def like(tx: Tx, partner: int, wanted: Wanted, name: str) -> list[Known]:
    """The articles of a supplier a number may have meant, at most 200, by index alone (rulings.md, 18)."""
    key = articles_model.number_key(wanted.number)
    found: set[int] = set()
    for statements, around in zip(_around, (key, articles_model.reverse(key), articles_model.name_key(name)), strict=True):
        if around and "\x00" not in around:
            bounds = {"of": partner, "key": around, "start": around[:2], "end": around[:2] + _LAST}
            found.update(row.pk for statement in statements for row in statement.all(tx, bounds))
    if slips := articles_model.slips(key):
        found.update(row.pk for row in _one_slip.all(tx, {"of": partner, "keys": slips}))
    if wanted.gtin.isascii() and wanted.gtin.isdigit():
        found.update(row.pk for row in _same_gtin.all(tx, {"of": partner, "gtins": articles_model.gtin_spellings(wanted.gtin)}))
    return [_as_known(row) for row in _candidates.all(tx, {"pks": found})] if found else []


def _as_known(row: Any) -> Known:
    told = {name: getattr(row, name) for name in _TOLD}
    price_quantity = told.pop("price_quantity")
    return Known(pk=row.pk, id="", **told, price_quantity=Decimal(1) if price_quantity is None else price_quantity)
