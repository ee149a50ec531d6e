"""Articles that may be meant by a number or a name nobody knows."""

from typing import Any

from sqlalchemy import bindparam, select

from prodsys.articles import model
from prodsys.articles.model import Wanted
from prodsys.articles.store.finding import LAST, by_pks
from prodsys.articles.store.offers import few_offered
from prodsys.documents import Suggestion
from prodsys.kit.db import Hot, Tx, hot, in_texts
from prodsys.tables import articles

_NEIGHBOURS = 20
_SLIPS = 60


def _neighbours(column: Any) -> tuple[Hot[Any], Hot[Any]]:
    """The articles around a key, upwards and downwards, within a common beginning: those with the longest one come first."""
    up = select(articles.c.pk).where(column >= bindparam("key"), column < bindparam("end")).order_by(column).limit(_NEIGHBOURS)
    down = select(articles.c.pk).where(column >= bindparam("start"), column < bindparam("key")).order_by(column.desc()).limit(_NEIGHBOURS)
    return hot(up), hot(down)


_around_number = _neighbours(articles.c.number_key)
_around_end = _neighbours(articles.c.number_reverse)
_around_name = _neighbours(articles.c.name_key)
_one_slip = hot(select(articles.c.pk).where(in_texts(articles.c.number_key, "keys")).limit(_SLIPS))
_same_gtin = hot(select(articles.c.pk).where(in_texts(articles.c.gtin, "gtins")).limit(_NEIGHBOURS))


def suggest(tx: Tx, wanted: Wanted, name: str, *, partner: int | None, offers_all: bool, limit: int = 3) -> list[Suggestion]:
    """The active articles a person may have meant, best first; only such as this partner may see (rulings.md, 18 and 25).

    Reads at most 200 rows, by index alone; for a reader, never inside the unit that receives an order.
    """
    visible_to = None if offers_all else partner
    pks = few_offered(tx, visible_to) if visible_to is not None else None
    if pks is None:
        pks = _like(tx, wanted, model.name_key(name))
    candidates = [article for article in by_pks(tx, pks, partner=visible_to).values() if article.is_active]
    return model.ranked(wanted, name, candidates, limit)


def _like(tx: Tx, wanted: Wanted, words: str) -> set[int]:
    key = model.number_key(wanted.number)
    found: set[int] = set()
    for statements, around in ((_around_number, key), (_around_end, model.reverse(key)), (_around_name, words)):
        if around and "\x00" not in around:
            bounds = {"key": around, "start": around[:2], "end": around[:2] + LAST}
            found.update(row.pk for statement in statements for row in statement.all(tx, bounds))
    if slips := model.slips(key):
        found.update(row.pk for row in _one_slip.all(tx, {"keys": slips}))
    if wanted.gtin.isascii() and wanted.gtin.isdigit():
        found.update(row.pk for row in _same_gtin.all(tx, {"gtins": model.gtin_spellings(wanted.gtin)}))
    return found
