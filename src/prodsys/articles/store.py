"""The rows of articles, of their numbers and prices for one partner, and of what was learned about them."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, text, tuple_, update

from prodsys.articles import model
from prodsys.articles.model import Agreed, Draft, Found, Known, Learned, Offer, Wanted
from prodsys.documents import Suggestion, plain
from prodsys.kit.clock import now
from prodsys.kit.db import Hot, Tx, hot, in_ints, in_texts, insert_new, insert_or_ignore, insert_or_update
from prodsys.kit.ids import new_id
from prodsys.tables import (
    ANY_ACCEPTANCE,
    agreed_prices,
    article_offers,
    articles,
    company,
    counters,
    mappings,
    partners,
    sales_lines,
    sales_orders,
    supplier_numbers,
)

EVERYTHING = tuple(Draft.__struct_fields__)
FEW_OFFERED = 1_000
"""Up to so many chosen articles a partner's choice is looked through whole; more are looked up like the catalogue."""

_NEIGHBOURS = 20
_SLIPS = 60
_WINDOW = 10_000
_LAST = "\U0010ffff"

_ARTICLE = [articles.c[field] for field in Known.__struct_fields__]


def _offered() -> ColumnElement[bool]:
    mine = (article_offers.c.partner == bindparam("partner"), article_offers.c.article == articles.c.pk)
    return select(article_offers.c.article).where(*mine).exists()


_by_number = hot(select(*_ARTICLE).where(in_texts(articles.c.number, "numbers")), Known)
_by_number_offered = hot(select(*_ARTICLE).where(in_texts(articles.c.number, "numbers"), _offered()), Known)
_by_gtin = hot(select(*_ARTICLE).where(in_texts(articles.c.gtin, "gtins")).order_by(articles.c.gtin, articles.c.pk), Known)
_by_gtin_offered = hot(
    select(*_ARTICLE).where(in_texts(articles.c.gtin, "gtins"), _offered()).order_by(articles.c.gtin, articles.c.pk), Known
)
_by_pk = hot(select(*_ARTICLE).where(in_ints(articles.c.pk, "pks")), Known)
_by_pk_offered = hot(select(*_ARTICLE).where(in_ints(articles.c.pk, "pks"), _offered()), Known)
_by_id = hot(select(*_ARTICLE).where(articles.c.id == bindparam("id")), Known)
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


_by_ids = hot(select(*_ARTICLE).where(in_texts(articles.c.id, "ids")), Known)


def by_ids(tx: Tx, ids: Collection[str]) -> dict[str, Known]:
    """Articles by their public ids; those that are not there are left out."""
    return {article.id: article for article in _by_ids.all(tx, {"ids": ids})} if ids else {}


_agreed = hot(
    select(*(agreed_prices.c[field] for field in Agreed.__struct_fields__)).where(
        agreed_prices.c.partner == bindparam("partner"), in_ints(agreed_prices.c.article, "articles")
    ),
    Agreed,
)


def agreed(tx: Tx, partner: int, articles: Collection[int]) -> dict[int, list[Agreed]]:
    """Every price agreed with this partner for these articles, of any date, quantity and currency; `model.expected_price` chooses."""
    found: dict[int, list[Agreed]] = {}
    if articles:
        for price in _agreed.all(tx, {"partner": partner, "articles": articles}):
            found.setdefault(price.article, []).append(price)
    return found


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
_chosen = hot(select(article_offers.c.article).where(article_offers.c.partner == bindparam("partner")).limit(FEW_OFFERED + 1))


def suggest(tx: Tx, wanted: Wanted, name: str, *, partner: int | None, offers_all: bool, limit: int = 3) -> list[Suggestion]:
    """The active articles a person may have meant, best first; only such as this partner may see (rulings.md, 18 and 25).

    Reads at most 200 rows, by index alone; for a reader, never inside the unit that receives an order.
    """
    visible_to = None if offers_all else partner
    pks = _few_offered(tx, visible_to) if visible_to is not None else None
    if pks is None:
        pks = _like(tx, wanted, model.name_key(name))
    candidates = [article for article in by_pks(tx, pks, partner=visible_to).values() if article.is_active]
    return model.ranked(wanted, name, candidates, limit)


def _few_offered(tx: Tx, partner: int) -> set[int] | None:
    chosen = {row.article for row in _chosen.all(tx, {"partner": partner})}
    return chosen if len(chosen) <= FEW_OFFERED else None


def _like(tx: Tx, wanted: Wanted, words: str) -> set[int]:
    key = model.number_key(wanted.number)
    found: set[int] = set()
    for statements, around in ((_around_number, key), (_around_end, model.reverse(key)), (_around_name, words)):
        if around and "\x00" not in around:
            bounds = {"key": around, "start": around[:2], "end": around[:2] + _LAST}
            found.update(row.pk for statement in statements for row in statement.all(tx, bounds))
    if slips := model.slips(key):
        found.update(row.pk for row in _one_slip.all(tx, {"keys": slips}))
    if wanted.gtin.isascii() and wanted.gtin.isdigit():
        found.update(row.pk for row in _same_gtin.all(tx, {"gtins": model.gtin_spellings(wanted.gtin)}))
    return found


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


_epoch = hot(select(company.c.epoch).limit(1))
_feed = hot(
    select(*_ARTICLE).where(articles.c.position > bindparam("after")).order_by(articles.c.position).limit(bindparam("limit")), Known
)
_feed_active = hot(
    select(*_ARTICLE)
    .where(articles.c.position > bindparam("after"), articles.c.is_active == bindparam("active"))
    .order_by(articles.c.position)
    .limit(bindparam("limit")),
    Known,
)
_feed_chosen = hot(
    select(*_ARTICLE)
    .where(articles.c.position > bindparam("after"), articles.c.position <= bindparam("last"), _offered())
    .order_by(articles.c.position)
    .limit(bindparam("limit")),
    Known,
)
_feed_few = hot(
    select(*_ARTICLE).where(in_ints(articles.c.pk, "pks"), articles.c.position > bindparam("after")).order_by(articles.c.position), Known
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
    few = _few_offered(tx, partner)
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
    return hot(select(*_ARTICLE).where(*within, page, *more).order_by(column, articles.c.pk).limit(bindparam("limit")), Known)


_numbers_beginning = _beginning(articles.c.number_key)
_names_beginning = _beginning(articles.c.name_key)


def numbers_beginning(tx: Tx, text: str, after: tuple[str, int], limit: int) -> list[Known]:
    """Articles whose number begins so, whatever its case and separators, sorted by (number_key, pk) after *after*."""
    key = model.number_key(text)
    bounds = {"start": key, "end": key + _LAST, "key": after[0], "pk": after[1], "limit": limit}
    return _numbers_beginning.all(tx, bounds) if key else []


def all_by_number(tx: Tx, after: tuple[str, int], limit: int) -> list[Known]:
    """Every article, sorted by (number_key, pk), after *after*."""
    return _numbers_beginning.all(tx, {"start": "", "end": _LAST, "key": after[0], "pk": after[1], "limit": limit})


def names_beginning(tx: Tx, text: str, after: tuple[str, int], limit: int) -> list[Known]:
    """Articles whose name begins so, whatever its case and marks, sorted by (name_key, pk) after *after*."""
    key = model.name_key(text)
    bounds = {"start": key, "end": key + _LAST, "key": after[0], "pk": after[1], "limit": limit}
    return _names_beginning.all(tx, bounds) if key else []


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
_numbered = hot(
    select(supplier_numbers.c.number.label("theirs"), *_ARTICLE)
    .join_from(supplier_numbers, articles, articles.c.pk == supplier_numbers.c.article)
    .where(supplier_numbers.c.partner == bindparam("partner"), in_texts(supplier_numbers.c.number, "numbers"))
    .order_by(supplier_numbers.c.number, articles.c.pk)
)
_numbers_of = hot(
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


def supplier_number(tx: Tx, partner: int, article: int) -> str | None:
    """What this supplier calls one article of ours."""
    return numbers_at(tx, partner, [article]).get(article)


def by_supplier_number(tx: Tx, partner: int, numbers: Collection[str]) -> dict[str, list[Known]]:
    """Our articles by what this supplier calls them; two of ours may be one of theirs."""
    found: dict[str, list[Known]] = {}
    for row in _numbered.all(tx, {"partner": partner, "numbers": numbers}) if numbers else []:
        found.setdefault(row.theirs, []).append(Known(**{field: getattr(row, field) for field in Known.__struct_fields__}))
    return found


def supplier_numbers_of(tx: Tx, article: int) -> list[NumberAt]:
    """What every supplier calls this article."""
    return _numbers_of.all(tx, {"article": article})


def put_supplier_numbers(tx: Tx, rows: Iterable[tuple[int, int, str]]) -> None:
    """Set (supplier, article, number) for each row; an empty number takes the old one away."""
    listed = list(rows)
    _put_number.many(tx, [{"partner": partner, "article": article, "number": number} for partner, article, number in listed if number])
    _drop_number.many(tx, [{"partner": partner, "article": article} for partner, article, number in listed if not number])


def replace_supplier_numbers(tx: Tx, article: int, numbers: Mapping[int, str]) -> None:
    """Make these the only supplier numbers of this article, by supplier."""
    gone = {row.pk: "" for row in _suppliers_of.all(tx, {"article": article})}
    put_supplier_numbers(tx, [(partner, article, number) for partner, number in (gone | dict(numbers)).items()])


class AgreedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A price agreed, as it is written."""

    partner: int
    article: int
    from_quantity: Decimal
    valid_from: dt.date | None
    valid_to: dt.date | None
    price: Decimal
    price_quantity: Decimal
    currency: str

    @property
    def key(self) -> tuple[Any, ...]:
        """Of two prices with the same key one replaces the other."""
        return self.partner, self.article, self.from_quantity, self.currency, self.valid_from


class AgreedKept(msgspec.Struct, frozen=True, kw_only=True):
    """A price agreed, as it is read."""

    pk: int
    id: str
    partner: str
    article: str
    article_number: str
    article_pk: int
    from_quantity: Decimal
    valid_from: dt.date | None
    valid_to: dt.date | None
    price: Decimal
    price_quantity: Decimal
    currency: str


_PRICE = ("from_quantity", "valid_from", "valid_to", "price", "price_quantity", "currency")
_kept_prices = (
    select(
        agreed_prices.c.pk,
        agreed_prices.c.id,
        partners.c.id.label("partner"),
        articles.c.id.label("article"),
        articles.c.number.label("article_number"),
        agreed_prices.c.article.label("article_pk"),
        *(agreed_prices.c[column] for column in _PRICE),
    )
    .join_from(agreed_prices, partners, partners.c.pk == agreed_prices.c.partner)
    .join(articles, articles.c.pk == agreed_prices.c.article)
    .limit(bindparam("limit"))
)
_every_price = hot(_kept_prices.where(agreed_prices.c.pk > bindparam("after")).order_by(agreed_prices.c.pk), AgreedKept)
_prices_with = hot(
    _kept_prices.where(
        agreed_prices.c.partner == bindparam("with"),
        tuple_(agreed_prices.c.article, agreed_prices.c.pk) > tuple_(bindparam("after_article"), bindparam("after")),
    ).order_by(agreed_prices.c.article, agreed_prices.c.pk),
    AgreedKept,
)
_prices_for = hot(
    _kept_prices.where(
        agreed_prices.c.partner == bindparam("with"), agreed_prices.c.article == bindparam("for"), agreed_prices.c.pk > bindparam("after")
    ).order_by(agreed_prices.c.pk),
    AgreedKept,
)
_price = hot(_kept_prices.where(agreed_prices.c.id == bindparam("id")), AgreedKept)
_same_prices = hot(
    select(agreed_prices.c.pk, agreed_prices.c.partner, agreed_prices.c.article, *(agreed_prices.c[column] for column in _PRICE)).where(
        in_ints(agreed_prices.c.partner, "partners"), in_ints(agreed_prices.c.article, "articles")
    )
)
_new_price = hot(insert(agreed_prices))
_reprice = hot(
    update(agreed_prices)
    .where(agreed_prices.c.pk == bindparam("key"))
    .values(
        {
            column: bindparam(f"new_{column}", type_=agreed_prices.c[column].type)
            for column in ("price", "price_quantity", "valid_to", "changed_at")
        }
    )
)
_drop_price = hot(delete(agreed_prices).where(agreed_prices.c.id == bindparam("id")))


def agree(tx: Tx, rows: Sequence[AgreedRow], *, replace: bool = True) -> Saved:
    """Keep agreed prices; one with the same partner, article, quantity, currency and first day replaces the other, or stays."""
    if not rows:
        return Saved()
    positions(tx, 0)
    given = {"partners": {row.partner for row in rows}, "articles": {row.article for row in rows}}
    known = {_agreed_row(kept).key: kept for kept in _same_prices.all(tx, given)}
    at = now()
    wanted = {row.key: row for row in rows}
    new = [row for key, row in wanted.items() if key not in known]
    changed = [(known[key].pk, row) for key, row in wanted.items() if key in known and _agreed_row(known[key]) != row]
    _new_price.many(tx, [{"id": new_id("ap"), **msgspec.structs.asdict(row), "changed_at": at} for row in new])
    changed = changed if replace else []
    _reprice.many(
        tx,
        [
            {
                "key": pk,
                "new_price": row.price,
                "new_price_quantity": row.price_quantity,
                "new_valid_to": row.valid_to,
                "new_changed_at": at,
            }
            for pk, row in changed
        ],
    )
    return Saved(created=len(new), changed=len(changed), unchanged=len(rows) - len(new) - len(changed))


def _agreed_row(kept: Any) -> AgreedRow:
    return AgreedRow(**{field: getattr(kept, field) for field in AgreedRow.__struct_fields__})


def same_price(kept: AgreedKept, row: AgreedRow) -> bool:
    """Whether this is how the row was kept."""
    return (kept.article_pk, kept.from_quantity, kept.currency, kept.valid_from) == (
        row.article,
        row.from_quantity,
        row.currency,
        row.valid_from,
    )


def agreed_prices_after(tx: Tx, partner: int | None, article: int | None, after: tuple[int, int], limit: int) -> list[AgreedKept]:
    """Agreed prices by the page, after (article, pk): of one partner sorted by article, of nobody in particular by age.

    An *article* is only looked for together with a partner.
    """
    given = {"with": partner, "for": article, "after_article": after[0], "after": after[1], "limit": limit}
    if partner is None:
        return _every_price.all(tx, given)
    return (_prices_with if article is None else _prices_for).all(tx, given)


def agreed_price(tx: Tx, id: str) -> AgreedKept | None:
    """The agreed price of this public id."""
    return _price.first(tx, {"id": id, "limit": 1})


def drop_agreed_price(tx: Tx, id: str) -> bool:
    """Forget an agreed price; False when there is none."""
    return _drop_price.run(tx, {"id": id}) == 1


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


def undo_mapping(tx: Tx, id: str, *, by: str) -> bool:
    """Let a mapping no longer hold; False when it does not hold anyway."""
    return _undo.run(tx, {"mapping": id, "at": now(), "by": by}) == 1


def open_lines(tx: Tx, partner: int, their_number: str, article: int) -> OpenLines:
    """What waits for an answer and was matched because this number was learned."""
    return _open_lines.first(tx, {"of": partner, "number": their_number, "article": article}) or OpenLines(drafts=0, lines=0)


def mapping(tx: Tx, id: str) -> MappingKept | None:
    """The mapping of this public id, undone or not."""
    return _mapping.first(tx, {"id": id, "limit": 1})


def mappings_after(tx: Tx, partner: int | None, after: tuple[str, int], limit: int, *, starts_with: str = "") -> list[MappingKept]:
    """Mappings by the page, after (their_number, pk): those of one partner that hold, by number; or all there ever were, by age."""
    given = {"of": partner, "after_number": after[0], "after": after[1], "limit": limit}
    if partner is not None and starts_with:
        return _mappings_beginning.all(tx, given | {"start": starts_with, "end": starts_with + _LAST})
    return (_every_mapping if partner is None else _mappings_of).all(tx, given)


def mapping_history(tx: Tx, partner: int, their_number: str, after: int, limit: int) -> list[MappingKept]:
    """Everything that was ever taught about one number of a partner, oldest first."""
    return _history_of.all(tx, {"of": partner, "number": their_number, "after": after, "limit": limit})
