"""The doors of the catalogue: what partners may see of it, and what the house does to it."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.articles import actions, model, store
from prodsys.articles.actions import ImportedArticles, LearnedMapping
from prodsys.articles.model import Draft, Known, Offer, Wanted
from prodsys.documents import Article, Currency, Exact, How, Issue, Quantity, Suggestion, UnitPrice, plain
from prodsys.kit.db import Database, Tx
from prodsys.kit.sheets.limits import MOST_BYTES
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    Page,
    Reply,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    etag,
    etag_of,
    must_match,
    once,
    request_key,
    tagged,
)
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows

SUGGESTED = 20
"""For so many unknown numbers of one request suggestions are looked up (rulings.md, 18)."""

_EVERYTHING = Offer(all=True, show_prices=True)
_FILE_BYTES = MOST_BYTES + 1

Number = Annotated[str, Meta(min_length=1, max_length=model.LONGEST_NUMBER)]
Amount = Annotated[Exact, Meta(description="Zero or more.")]
TakeGood = Annotated[bool, QueryParameter(description="Leave bad rows out instead of refusing the whole file.")]


class ArticleForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An article as it is to be. Prices are without VAT and per `price_quantity` units."""

    number: Annotated[str, Meta(min_length=1, max_length=model.LONGEST_NUMBER, examples=["A-100"])]
    name: Annotated[str, Meta(min_length=1, max_length=model.LONGEST_NAME, examples=["Bolt M8x40"])]
    unit: Annotated[str, Meta(max_length=20, description="UN/ECE Rec 20 code; common local words are understood.", examples=["H87"])] = ""
    gtin: Annotated[str, Meta(max_length=20)] = ""
    price: UnitPrice | None = None
    price_quantity: Quantity = Quantity(1)
    currency: Annotated[str, Meta(max_length=3, description="ISO 4217.", examples=["NOK"])] = ""
    is_active: bool = True
    lead_time_days: Annotated[int, Meta(ge=0, le=model.LONGEST_LEAD_TIME)] | None = None
    minimum: Quantity | None = None
    multiple: Quantity | None = None


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


class NumberAtSupplier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one supplier calls an article of ours."""

    supplier: Annotated[str, Meta(description="Id of the partner.", examples=["pa_01KANQ0000000000000000000A"])]
    number: Number


class NumbersAtSuppliers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every supplier calls an article of ours."""

    numbers: Annotated[list[NumberAtSupplier], Meta(max_length=500)]


class ChosenArticles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The articles a partner with a chosen range may see, by our numbers."""

    numbers: Annotated[list[Number], Meta(max_length=100_000)]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """How many articles are chosen for a partner."""

    count: int


class AgreedPriceForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A price agreed with a partner. Both days are included; an absent one leaves that end open."""

    partner: Annotated[str, Meta(description="Id of the partner.", examples=["pa_01KANQ0000000000000000000A"])]
    article_number: Number
    price: UnitPrice
    currency: Currency
    price_quantity: Quantity = Quantity(1)
    from_quantity: Amount = Exact(0)
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


class AgreedPrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A price agreed with a partner, as it holds."""

    id: str
    partner: str
    article: str
    article_number: str
    price: UnitPrice
    currency: str
    price_quantity: Quantity = Quantity(1)
    from_quantity: Exact = Exact(0)
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


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


@post(
    "/articles",
    operation_id="create_article",
    summary="Take in an article",
    responses=answers(errors.AlreadyExists, errors.IdempotencyKeyReused),
    tags=["articles"],
    **allows(Scope.ARTICLES_WRITE),
)
async def create_article(
    request: Request[Any, Any, Any],
    data: JSONBody[ArticleForm],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Article]:
    made = await once(db, await request_key(request, idempotency_key), _made, actions.create, caller, _draft(data))
    return made.reply()


@put(
    "/articles/{id:str}",
    operation_id="change_article",
    summary="Change an article",
    description="The whole article is replaced; `is_active: false` retires it.",
    responses=answers(errors.NotFound, errors.AlreadyExists, errors.IfMatchMissing, errors.Stale),
    tags=["articles"],
    **allows(Scope.ARTICLES_WRITE),
)
async def change_article(
    id: FromPath[str],
    data: JSONBody[ArticleForm],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Article]:
    article = await db.write(_change, caller, id, if_match, _draft(data))
    return Reply(model.as_document(article), headers={"ETag": _etag(article, _EVERYTHING)})


@post(
    "/articles/import",
    status_code=200,
    operation_id="import_articles",
    summary="Import articles from a file",
    description=(
        "CSV or XLSX. Columns: number; name (a new article needs one), unit, price, price_quantity, currency, gtin, active, lead_time_days,"
        " minimum, multiple; supplier (a partner's id or name) with supplier_article_number. A column that is absent leaves known articles"
        " as they are. Every fault of every row is told; nothing is stored when there is one, unless `take_good` leaves the bad rows out."
    ),
    responses=answers(errors.BadFile),
    request_max_body_size=_FILE_BYTES,
    tags=["articles"],
    media="file",
    **allows(Scope.ARTICLES_WRITE),
)
async def import_articles(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], db: NamedDependency[Database], take_good: TakeGood = False
) -> ImportedArticles:
    return await actions.import_articles(db, caller, await request.body(), take_good=take_good)


@get(
    "/articles/{id:str}/supplier-numbers",
    operation_id="list_supplier_numbers",
    summary="An article's numbers at suppliers",
    responses=answers(errors.NotFound),
    tags=["articles"],
    **allows(Scope.ARTICLES_READ),
)
async def list_supplier_numbers(id: FromPath[str], db: NamedDependency[Database]) -> Page[store.supplier_numbers.NumberAt]:
    def read(tx: Tx) -> list[store.supplier_numbers.NumberAt]:
        return store.supplier_numbers.numbers_of(tx, actions.found(tx, id).pk)

    return Page(items=await db.read(read))


@put(
    "/articles/{id:str}/supplier-numbers",
    operation_id="set_supplier_numbers",
    summary="Set an article's supplier numbers",
    description="Those named become the only ones.",
    responses=answers(errors.NotFound),
    tags=["articles"],
    **allows(Scope.ARTICLES_WRITE),
)
async def set_supplier_numbers(
    id: FromPath[str], data: JSONBody[NumbersAtSuppliers], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Page[store.supplier_numbers.NumberAt]:
    def write(tx: Tx) -> list[store.supplier_numbers.NumberAt]:
        numbers = {place.supplier: place.number for place in data.numbers}
        return actions.set_supplier_numbers(tx, caller, actions.found(tx, id), numbers)

    return Page(items=await db.write(write))


@put(
    "/partners/{id:str}/articles",
    operation_id="choose_articles",
    summary="Choose what a partner sees",
    description="For a partner whose offer is a chosen range. A change ends its cursors, so that it lists the catalogue again.",
    tags=["articles"],
    **allows(Scope.ARTICLES_WRITE),
)
async def choose_articles(
    id: FromPath[str], data: JSONBody[ChosenArticles], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Chosen:
    def write(tx: Tx) -> int:
        keys = [key for key, public_id in store.offers.partners_named(tx, [id]).get(id, []) if public_id == id]
        if not keys:
            raise errors.NotFound("There is no partner with this id.")
        return actions.choose(tx, caller, keys[0], data.numbers)

    return Chosen(count=await db.write(write))


@get(
    "/agreed-prices",
    operation_id="list_agreed_prices",
    summary="Prices agreed with partners",
    tags=["agreed prices"],
    **allows(Scope.ARTICLES_READ),
)
async def list_agreed_prices(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    partner: Annotated[str | None, QueryParameter(description="Only those with this partner, by its id.")] = None,
    article_number: Annotated[str | None, QueryParameter(description="Only for this article; needs `partner`.")] = None,
) -> Page[AgreedPrice]:
    if article_number is not None and partner is None:
        raise errors.Invalid("Agreed prices for one article are listed for one partner; say which.")

    def read(tx: Tx) -> list[store.prices.AgreedKept]:
        with_partner = None if partner is None else actions.partner_key(tx, partner, "/query/partner")
        found = None if article_number is None else store.finding.of_number(tx, plain(article_number))
        if found == []:
            return []
        start = (0, 0) if after is None else decode_cursor(after, "agreed-prices", int, int)
        return store.prices.after(tx, with_partner, found[0].pk if found else None, (start[0], start[1]), limit + 1)

    kept = await db.read(read)
    more = encode_cursor("agreed-prices", kept[limit - 1].article_pk, kept[limit - 1].pk) if len(kept) > limit else None
    return Page(items=[_agreed(price) for price in kept[:limit]], next=more)


@post(
    "/agreed-prices",
    operation_id="create_agreed_price",
    summary="Agree on a price",
    responses=answers(errors.AlreadyExists, errors.IdempotencyKeyReused),
    tags=["agreed prices"],
    **allows(Scope.ARTICLES_WRITE),
)
async def create_agreed_price(
    request: Request[Any, Any, Any],
    data: JSONBody[AgreedPriceForm],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[AgreedPrice]:
    made = await once(db, await request_key(request, idempotency_key), _agreed_upon, agree_on, caller, data)
    return made.reply()


@delete(
    "/agreed-prices/{id:str}",
    operation_id="delete_agreed_price",
    summary="Take an agreed price back",
    responses=answers(errors.NotFound),
    tags=["agreed prices"],
    **allows(Scope.ARTICLES_WRITE),
)
async def delete_agreed_price(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> None:
    await db.write(actions.drop_agreed_price, caller, id)


@post(
    "/agreed-prices/import",
    status_code=200,
    operation_id="import_agreed_prices",
    summary="Import agreed prices from a file",
    description=(
        "CSV or XLSX. Columns: partner (id or name), article_number, price, currency; from_quantity, valid_from, valid_to, price_quantity."
        " A price for the same partner, article, quantity, currency and first day is replaced. Every fault of every row is told; nothing is"
        " stored when there is one, unless `take_good` leaves the bad rows out."
    ),
    responses=answers(errors.BadFile),
    request_max_body_size=_FILE_BYTES,
    tags=["agreed prices"],
    media="file",
    **allows(Scope.ARTICLES_WRITE),
)
async def import_agreed_prices(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], db: NamedDependency[Database], take_good: TakeGood = False
) -> ImportedArticles:
    return await actions.import_agreed_prices(db, caller, await request.body(), take_good=take_good)


@get(
    "/mappings",
    operation_id="list_mappings",
    summary="What was learned of partners' numbers",
    description=(
        "With `partner` those that hold, by number; with `their_number` too, everything ever taught about that number, oldest first;"
        " otherwise all there ever were, oldest first."
    ),
    tags=["mappings"],
    **allows(Scope.ARTICLES_READ),
)
async def list_mappings(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    partner: Annotated[str | None, QueryParameter(description="Only those of this partner that hold, by its id.")] = None,
    their_number: Annotated[str | None, QueryParameter(max_length=200, description="The history of this number; needs `partner`.")] = None,
    q: Annotated[str | None, QueryParameter(max_length=200, description="Their number begins so; needs `partner`.")] = None,
) -> Page[LearnedMapping]:
    if partner is None and (their_number is not None or q is not None):
        raise errors.Invalid("A number means something at one partner; say which.")

    def read(tx: Tx) -> list[store.mappings.MappingKept]:
        start = ("", 0) if after is None else decode_cursor(after, "mappings", str, int)
        of_partner = None if partner is None else actions.partner_key(tx, partner, "/query/partner")
        if of_partner is not None and their_number is not None:
            return store.mappings.history(tx, of_partner, plain(their_number), start[1], limit + 1)
        return store.mappings.after(tx, of_partner, (start[0], start[1]), limit + 1, starts_with=plain(q or ""))

    kept = await db.read(read)
    more = encode_cursor("mappings", kept[limit - 1].their_number, kept[limit - 1].pk) if len(kept) > limit else None
    return Page(items=[actions.mapping_shown(mapping) for mapping in kept[:limit]], next=more)


@get(
    "/mappings/{id:str}",
    operation_id="get_mapping",
    summary="One learned mapping",
    description="Who taught it when, and what undoing it would mean for open drafts.",
    responses=answers(errors.NotFound),
    tags=["mappings"],
    **allows(Scope.ARTICLES_READ),
)
async def get_mapping(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[LearnedMapping]:
    def read(tx: Tx) -> LearnedMapping:
        kept = store.mappings.get(tx, id)
        if kept is None:
            raise errors.NotFound("There is no mapping with this id.")
        return actions.mapping_explained(tx, kept)

    mapping = await db.read(read)
    return tagged(mapping, etag_of(id, mapping), if_none_match)


@post(
    "/mappings/{id:str}/undo",
    status_code=200,
    operation_id="undo_mapping",
    summary="Undo a learned mapping",
    description="Orders that arrive from now on are matched without it; drafts it has matched stay as they are, and are counted.",
    responses=answers(errors.NotFound, errors.WrongState),
    tags=["mappings"],
    **allows(Scope.ARTICLES_WRITE),
)
async def undo_mapping(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> LearnedMapping:
    def write(tx: Tx) -> LearnedMapping:
        return actions.mapping_explained(tx, actions.undo(tx, caller, id))

    return await db.write(write)


routes = [
    list_articles,
    get_article,
    match_articles,
    create_article,
    change_article,
    import_articles,
    list_supplier_numbers,
    set_supplier_numbers,
    choose_articles,
    list_agreed_prices,
    create_agreed_price,
    delete_agreed_price,
    import_agreed_prices,
    list_mappings,
    get_mapping,
    undo_mapping,
]


def _offer(tx: Tx, caller: Caller) -> Offer:
    return _EVERYTHING if caller.partner is None else store.offers.offer_of(tx, caller.partner)


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
    return _shown(caller, article, offer), _etag(article, offer)


def _etag(article: Known, offer: Offer) -> str:
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


def _change(tx: Tx, caller: Caller, id: str, if_match: str | None, draft: Draft) -> Known:
    article = actions.taken(tx, id)
    must_match(if_match, _etag(article, _EVERYTHING))
    return actions.change(tx, caller, article, draft)


def _draft(form: ArticleForm) -> Draft:
    return Draft(**msgspec.structs.asdict(form))


def _made(article: Known) -> Answered:
    headers = {"Location": f"/api/v1/articles/{article.id}", "ETag": _etag(article, _EVERYTHING)}
    return answered(model.as_document(article), headers=headers)


def agree_on(tx: Tx, caller: Caller, form: AgreedPriceForm) -> store.prices.AgreedKept:
    """Unit: keep a price as it was written. Raises Invalid, AlreadyExists."""
    number = plain(form.article_number)
    known = store.finding.of_number(tx, number)
    if not known:
        message = f"There is no article {number}."
        issue = Issue(code="article_unknown", message=message, params={"number": number}, pointer="/article_number", blocks=True)
        raise errors.Invalid(message, issues=[issue])
    row = store.prices.AgreedRow(
        partner=actions.partner_key(tx, form.partner),
        article=known[0].pk,
        from_quantity=Decimal(form.from_quantity),
        valid_from=form.valid_from,
        valid_to=form.valid_to,
        price=form.price,
        price_quantity=form.price_quantity,
        currency=form.currency,
    )
    return actions.agree(tx, caller, row)


def _agreed_upon(price: store.prices.AgreedKept) -> Answered:
    return answered(_agreed(price), headers={"Location": f"/api/v1/agreed-prices/{price.id}"})


def _agreed(price: store.prices.AgreedKept) -> AgreedPrice:
    return AgreedPrice(
        id=price.id,
        partner=price.partner,
        article=price.article,
        article_number=price.article_number,
        price=UnitPrice(price.price),
        currency=price.currency,
        price_quantity=Quantity(price.price_quantity),
        from_quantity=Exact(price.from_quantity),
        valid_from=price.valid_from,
        valid_to=price.valid_to,
    )
