"""The doors of the catalogue: what partners may see of it, and what numbers mean in it."""

from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.articles import actions, model, store
from prodsys.articles.model import Known, Offer, Wanted
from prodsys.documents import Article, How, Suggestion, plain
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import After, IfNoneMatch, Limit, Page, answers, decode_cursor, encode_cursor, etag, tagged
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows

SUGGESTED = 20
"""For so many unknown numbers of one request suggestions are looked up (rulings.md, 18)."""

EVERYTHING = Offer(all=True, show_prices=True)
"""What the house itself sees."""


class NumbersToMatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Article numbers to look up, as one writes them in an order."""

    numbers: Annotated[list[Annotated[str, Meta(max_length=model.LONGEST_NUMBER)]], Meta(min_length=1, max_length=1_000)]


class MatchedNumber(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one number means here."""

    number: str
    how: How
    article: Article | None = None
    suggestions: list[Suggestion] = []


class MatchedNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """One answer per number, in the order asked."""

    items: list[MatchedNumber]


@get(
    "/articles",
    operation_id="list_articles",
    summary="The catalogue, as it changes",
    description=(
        "A change feed: articles in the order they last changed. It has no end, so `next` is answered even on an empty page, and whoever"
        " asks again later goes on from there; a cursor of another life of this instance, or of another offer to you, answers 410. With"
        " `number`, `gtin` or `q` it is a plain list whose last page has no `next`. A partner sees what is offered to it; an article"
        " that is sold no longer stands there with its number alone."
    ),
    responses=answers(errors.CursorGone),
    tags=["articles"],
    **allows(Scope.ARTICLES_READ, "any", PRODSYS_MODULE),
)
async def list_articles(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    number: Annotated[str | None, QueryParameter(max_length=200, description="Exactly this number; upper and lower case differ.")] = None,
    gtin: Annotated[
        str | None, QueryParameter(max_length=20, description="This GTIN, however many leading zeros it is written with.")
    ] = None,
    q: Annotated[str | None, QueryParameter(max_length=200, description="The number or name begins so; for the house.")] = None,
    active: Annotated[bool | None, QueryParameter(description="Only active or only retired ones; for the house.")] = None,
) -> Page[Article]:
    if number is not None or gtin is not None:
        return await db.read(_looked_up, caller, number, gtin)
    if q is not None and caller.is_house:
        return await db.read(_searched, q, active, after, limit)
    return await db.read(_feed, caller, active if caller.is_house else None, after, limit)


@get(
    "/articles/{id:str}",
    operation_id="get_article",
    summary="One article",
    responses=answers(errors.NotFound),
    tags=["articles"],
    **allows(Scope.ARTICLES_READ, "any", PRODSYS_MODULE),
)
async def get_article(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[Article]:
    shown, tag = await db.read(_one, caller, id)
    return tagged(shown, tag, if_none_match)


@post(
    "/articles/match",
    status_code=200,
    operation_id="match_articles",
    summary="What numbers mean here",
    description="As an order would be read, learned mappings included; suggestions for the first 20 numbers that lead nowhere.",
    tags=["articles"],
    **allows(Scope.ARTICLES_READ, "any", PRODSYS_MODULE),
)
async def match_articles(data: JSONBody[NumbersToMatch], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> MatchedNumbers:
    return MatchedNumbers(items=await db.read(_matched, caller, data.numbers))


routes = [list_articles, get_article, match_articles]


def _offer(tx: Tx, caller: Caller) -> Offer:
    return EVERYTHING if caller.partner is None else store.offers.offer_of(tx, caller.partner)


def _shown(caller: Caller, article: Known, offer: Offer) -> Article:
    return model.as_document(article) if caller.is_house else model.as_offered(article, offer)


def _feed(tx: Tx, caller: Caller, active: bool | None, after: str | None, limit: int) -> Page[Article]:
    epoch, offer = store.feed.epoch(tx), _offer(tx, caller)
    # What is offered or withdrawn late has no event of its own, so a cursor holds only for the offer it was given for.
    view = "house" if caller.is_house else f"{offer.all:d}{offer.show_prices:d}{offer.edition}"
    start = 0
    if after is not None:
        life, seen, start = decode_cursor(after, "articles", str, str, int)
        if (life, seen) != (epoch, view) or start > store.feed.newest(tx):
            raise errors.CursorGone
    if caller.partner is None or offer.all:
        found = store.feed.changed_since(tx, start, limit, active=active)
    else:
        found = store.feed.offered_since(tx, caller.partner, start, limit)
    end = found[-1].position if found else start
    return Page(items=[_shown(caller, article, offer) for article in found], next=encode_cursor("articles", epoch, view, end))


def _looked_up(tx: Tx, caller: Caller, number: str | None, gtin: str | None) -> Page[Article]:
    offer = _offer(tx, caller)
    visible_to = None if offer.all else caller.partner
    if number is None:
        found = store.finding.of_gtin(tx, plain(gtin or ""), partner=visible_to)
    else:
        found = store.finding.of_number(tx, plain(number), partner=visible_to)
        if gtin is not None:
            found = [article for article in found if article.gtin and model.gtin_key(article.gtin) == model.gtin_key(plain(gtin))]
    return Page(items=[_shown(caller, article, offer) for article in found])


def _searched(tx: Tx, q: str, active: bool | None, after: str | None, limit: int) -> Page[Article]:
    """First the numbers that begin so, then the names; each found once."""
    kind, key, pk = ("number", "", 0) if after is None else decode_cursor(after, "articles-found", str, str, int)
    found: list[tuple[str, Known]] = []
    if kind == "number":
        found = [("number", article) for article in store.finding.numbers_beginning(tx, q, (key, pk), limit + 1)]
        key, pk = "", 0
    if len(found) <= limit:
        found += [("name", article) for article in store.finding.names_beginning(tx, q, (key, pk), limit + 1 - len(found))]
    more = None
    if len(found) > limit:
        kind, last = found[limit - 1]
        key = model.number_key(last.number) if kind == "number" else model.name_key(last.name)
        more = encode_cursor("articles-found", kind, key, last.pk)
    beginning = model.number_key(q)
    shown = [
        article
        for kind, article in found[:limit]
        if active in (None, article.is_active)
        and not (kind == "name" and beginning and model.number_key(article.number).startswith(beginning))
    ]
    return Page(items=[model.as_document(article) for article in shown], next=more)


def _one(tx: Tx, caller: Caller, id: str) -> tuple[Article, str]:
    article, offer = actions.found(tx, id), _offer(tx, caller)
    if caller.partner is not None and not offer.all and not store.offers.is_offered(tx, caller.partner, article.pk):
        raise errors.NotFound("There is no article with this id.")
    return _shown(caller, article, offer), tag(article, offer)


def tag(article: Known, offer: Offer) -> str:
    """The ETag of an article, as it is offered."""
    # A partner that is shown prices from now on must not be told that nothing has changed.
    return etag(article.id, article.version if offer.show_prices else f"{article.version}-unpriced")


def _matched(tx: Tx, caller: Caller, numbers: list[str]) -> list[MatchedNumber]:
    offer = _offer(tx, caller)
    wanted = [Wanted(plain(number)) for number in numbers]
    left = SUGGESTED
    items = []
    for number, line, found in zip(numbers, wanted, store.finding.match(tx, caller.partner, wanted, offers_all=offer.all), strict=True):
        suggestions: list[Suggestion] = []
        if found.how == "unknown" and line.number and left:
            left -= 1
            suggestions = store.suggesting.suggest(tx, line, "", partner=caller.partner, offers_all=offer.all)
        article = None if found.article is None else _shown(caller, found.article, offer)
        items.append(MatchedNumber(number=number, how=found.how, article=article, suggestions=suggestions))
    return items
