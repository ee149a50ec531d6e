"""The numbers of our articles at their suppliers."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import bindparam, delete, select

from prodsys.kit.db import Tx, hot, in_ints, insert_or_update
from prodsys.tables import partners, supplier_numbers


class NumberAt(msgspec.Struct, frozen=True, kw_only=True):
    """Our article's number at one supplier."""

    supplier: str
    supplier_name: str
    number: str


_numbers_at = hot(
    select(supplier_numbers.c.article, supplier_numbers.c.number).where(
        supplier_numbers.c.partner == bindparam("partner"), in_ints(supplier_numbers.c.article, "articles")
    )
)
_every_number = hot(
    select(partners.c.id.label("supplier"), partners.c.name.label("supplier_name"), supplier_numbers.c.number)
    .join_from(partners, supplier_numbers, supplier_numbers.c.partner == partners.c.pk)
    .where(supplier_numbers.c.article == bindparam("article"))
    .order_by(partners.c.pk),
    NumberAt,
)
_put_number = hot(insert_or_update(supplier_numbers, "partner", "article", only=["number"]))
_drop_number = hot(
    delete(supplier_numbers).where(supplier_numbers.c.partner == bindparam("partner"), supplier_numbers.c.article == bindparam("article"))
)
# By partner, of whom there are hundreds, because numbers are found by partner and article only.
_suppliers_of = hot(
    select(partners.c.pk)
    .join_from(partners, supplier_numbers, supplier_numbers.c.partner == partners.c.pk)
    .where(supplier_numbers.c.article == bindparam("article"))
    .order_by(partners.c.pk)
)


def numbers_at(tx: Tx, partner: int, articles: Collection[int]) -> dict[int, str]:
    """What this supplier calls our articles; an article it has no number for is absent."""
    return {row.article: row.number for row in _numbers_at.all(tx, {"partner": partner, "articles": articles})} if articles else {}


def numbers_of(tx: Tx, article: int) -> list[NumberAt]:
    """What every supplier calls this article."""
    return _every_number.all(tx, {"article": article})


def put(tx: Tx, rows: Iterable[tuple[int, int, str]]) -> None:
    """Set (supplier, article, number) for each row; an empty number takes the old one away."""
    listed = list(rows)
    _put_number.many(tx, [{"partner": partner, "article": article, "number": number} for partner, article, number in listed if number])
    _drop_number.many(tx, [{"partner": partner, "article": article} for partner, article, number in listed if not number])


def replace(tx: Tx, article: int, numbers: Mapping[int, str]) -> None:
    """Make these the only supplier numbers of this article, by supplier."""
    gone = {row.pk: "" for row in _suppliers_of.all(tx, {"article": article})}
    put(tx, [(partner, article, number) for partner, number in (gone | dict(numbers)).items()])
