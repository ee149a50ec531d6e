"""The doors of prices agreed with partners."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.articles import actions, store
from prodsys.articles.actions import ImportedArticles
from prodsys.articles.api.keeping import FILE_BYTES, TakeGood
from prodsys.articles.api.numbers import Number
from prodsys.documents import Currency, Exact, Issue, Quantity, UnitPrice, plain
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import After, Answered, IdempotencyKey, Limit, Page, answered, answers, decode_cursor, encode_cursor, once, request_key
from prodsys.scopes import Caller, Scope, allows

Amount = Annotated[Exact, Meta(description="Zero or more.")]


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
    request_max_body_size=FILE_BYTES,
    tags=["agreed prices"],
    media="file",
    **allows(Scope.ARTICLES_WRITE),
)
async def import_agreed_prices(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], db: NamedDependency[Database], take_good: TakeGood = False
) -> ImportedArticles:
    return await actions.import_agreed_prices(db, caller, await request.body(), take_good=take_good)


routes = [list_agreed_prices, create_agreed_price, delete_agreed_price, import_agreed_prices]


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
