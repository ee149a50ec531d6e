"""Which articles each partner is offered."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, bindparam, delete, select, update

from prodsys.articles.model import Offer
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new, insert_or_ignore
from prodsys.tables import article_offers, articles, counters, partners

FEW_OFFERED = 1_000
"""Up to so many chosen articles a partner's choice is looked through whole; more are looked up like the catalogue."""


def is_offered_to() -> ColumnElement[bool]:
    mine = (article_offers.c.partner == bindparam("partner"), article_offers.c.article == articles.c.pk)
    return select(article_offers.c.article).where(*mine).exists()


_chosen = hot(select(article_offers.c.article).where(article_offers.c.partner == bindparam("partner")).limit(FEW_OFFERED + 1))


def few_offered(tx: Tx, partner: int) -> set[int] | None:
    chosen = {row.article for row in _chosen.all(tx, {"partner": partner})}
    return chosen if len(chosen) <= FEW_OFFERED else None


_settings = hot(select(partners.c.offers, partners.c.show_prices).where(partners.c.pk == bindparam("partner")))
_counted = hot(select(counters.c.value).where(counters.c.name == bindparam("name")))
_count_up = hot(update(counters).where(counters.c.name == bindparam("counter")).values(value=counters.c.value + 1))
_withdraw = hot(
    delete(article_offers).where(article_offers.c.partner == bindparam("partner"), in_ints(article_offers.c.article, "articles"))
)
_offer_new = hot(insert_or_ignore(article_offers))
_every_chosen = hot(select(article_offers.c.article).where(article_offers.c.partner == bindparam("partner")))
_is_offered = hot(
    select(article_offers.c.article).where(
        article_offers.c.partner == bindparam("partner"), article_offers.c.article == bindparam("article")
    )
)
_partners_named = hot(
    select(partners.c.pk, partners.c.id, partners.c.name).where(in_texts(partners.c.id, "words") | in_texts(partners.c.name, "words"))
)


def offer_of(tx: Tx, partner: int) -> Offer:
    """What this partner may see; nothing for a partner that does not exist."""
    row = _settings.first(tx, {"partner": partner})
    if row is None:
        return Offer(all=False, show_prices=False)
    edition = _counted.first(tx, {"name": f"offers:{partner}"})
    return Offer(all=row.offers == "all", show_prices=row.show_prices, edition=edition.value if edition else 0)


def is_offered(tx: Tx, partner: int, article: int) -> bool:
    """Whether this article is among those chosen for the partner."""
    return _is_offered.first(tx, {"partner": partner, "article": article}) is not None


def chosen_for(tx: Tx, partner: int) -> set[int]:
    """The articles chosen for this partner."""
    return {row.article for row in _every_chosen.all(tx, {"partner": partner})}


def choose(tx: Tx, partner: int, articles: Collection[int]) -> bool:
    """Offer exactly these articles to this partner; True when that changed anything.

    A change ends the partner's cursors: an article offered late, or withdrawn, has no event in the feed, so it lists again.
    """
    before, wanted = chosen_for(tx, partner), set(articles)
    if before == wanted:
        return False
    _withdraw.run(tx, {"partner": partner, "articles": before - wanted})
    _offer_new.many(tx, [{"partner": partner, "article": article} for article in sorted(wanted - before)])
    counter = f"offers:{partner}"
    insert_new(tx, counters, {"name": counter, "value": 0})
    _count_up.run(tx, {"counter": counter})
    return True


def partners_named(tx: Tx, words: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """Partners by public id or exact name: word → [(key, id)]. Two of one name are both told."""
    found: dict[str, list[tuple[int, str]]] = {}
    if words:
        for row in _partners_named.all(tx, {"words": words}):
            for word in {row.id, row.name}:
                if word in words:
                    found.setdefault(word, []).append((row.pk, row.id))
    return found


def partner_id(tx: Tx, partner: int) -> str:
    """The public id of a partner by its key."""
    return str(tx.execute(select(partners.c.id).where(partners.c.pk == partner)).scalar_one())
