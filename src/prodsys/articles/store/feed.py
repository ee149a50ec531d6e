"""What changed in the catalogue, as far as a partner is offered it."""

from sqlalchemy import bindparam, select

from prodsys.articles.model import Known
from prodsys.articles.store.finding import ARTICLE
from prodsys.articles.store.offers import few_offered, is_offered_to
from prodsys.kit.db import Tx, hot, in_ints
from prodsys.tables import articles, company

_WINDOW = 10_000
_epoch = hot(select(company.c.epoch).limit(1))
_feed = hot(select(*ARTICLE).where(articles.c.position > bindparam("after")).order_by(articles.c.position).limit(bindparam("limit")), Known)
_feed_active = hot(
    select(*ARTICLE)
    .where(articles.c.position > bindparam("after"), articles.c.is_active == bindparam("active"))
    .order_by(articles.c.position)
    .limit(bindparam("limit")),
    Known,
)
_feed_chosen = hot(
    select(*ARTICLE)
    .where(articles.c.position > bindparam("after"), articles.c.position <= bindparam("last"), is_offered_to())
    .order_by(articles.c.position)
    .limit(bindparam("limit")),
    Known,
)
_feed_few = hot(
    select(*ARTICLE).where(in_ints(articles.c.pk, "pks"), articles.c.position > bindparam("after")).order_by(articles.c.position), Known
)
_newest = hot(select(articles.c.position).order_by(articles.c.position.desc()).limit(1))
_place = hot(
    select(articles.c.position).where(articles.c.position > bindparam("after")).order_by(articles.c.position).limit(1).offset(_WINDOW)
)


def epoch(tx: Tx) -> str:
    """This life of the instance; empty before the company has a card."""
    row = _epoch.first(tx)
    return "" if row is None else str(row.epoch)


def newest(tx: Tx) -> int:
    """The last place of the feed; 0 while there is no article."""
    row = _newest.first(tx)
    return 0 if row is None else int(row.position)


def changed_since(tx: Tx, after: int, limit: int, *, active: bool | None = None) -> list[Known]:
    """What changed in the catalogue after a place in the feed, in order."""
    if active is None:
        return _feed.all(tx, {"after": after, "limit": limit})
    return _feed_active.all(tx, {"after": after, "limit": limit, "active": active})


def offered_since(tx: Tx, partner: int, after: int, limit: int) -> list[Known]:
    """What changed after a place in the feed among the articles chosen for this partner, in order."""
    few = few_offered(tx, partner)
    if few is not None:
        return _feed_few.all(tx, {"pks": few, "after": after})[:limit] if few else []
    # Window by window, so that no statement reads the whole catalogue at once.
    found: list[Known] = []
    end = newest(tx)
    while after < end and len(found) < limit:
        place = _place.first(tx, {"after": after})
        last = place.position if place else end
        found.extend(_feed_chosen.all(tx, {"partner": partner, "after": after, "last": last, "limit": limit - len(found)}))
        after = last
    return found
