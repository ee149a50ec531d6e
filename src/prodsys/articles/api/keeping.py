"""The doors by which articles are written down, changed and imported."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.articles import actions, model
from prodsys.articles.actions import ImportedArticles
from prodsys.articles.api.catalogue import EVERYTHING, tag
from prodsys.articles.model import Draft, Known
from prodsys.documents import Article, Quantity, UnitPrice
from prodsys.kit.db import Database, Tx
from prodsys.kit.sheets.limits import MOST_BYTES
from prodsys.kit.web import Answered, IdempotencyKey, IfMatch, Reply, answered, answers, must_match, once, request_key
from prodsys.scopes import Caller, Scope, allows

FILE_BYTES = MOST_BYTES + 1

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
    return Reply(model.as_document(article), headers={"ETag": tag(article, EVERYTHING)})


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
    request_max_body_size=FILE_BYTES,
    tags=["articles"],
    media="file",
    **allows(Scope.ARTICLES_WRITE),
)
async def import_articles(
    request: Request[Any, Any, Any], caller: NamedDependency[Caller], db: NamedDependency[Database], take_good: TakeGood = False
) -> ImportedArticles:
    return await actions.import_articles(db, caller, await request.body(), take_good=take_good)


routes = [create_article, change_article, import_articles]


def _change(tx: Tx, caller: Caller, id: str, if_match: str | None, draft: Draft) -> Known:
    article = actions.taken(tx, id)
    must_match(if_match, tag(article, EVERYTHING))
    return actions.change(tx, caller, article, draft)


def _draft(form: ArticleForm) -> Draft:
    return Draft(**msgspec.structs.asdict(form))


def _made(article: Known) -> Answered:
    headers = {"Location": f"/api/v1/articles/{article.id}", "ETag": tag(article, EVERYTHING)}
    return answered(model.as_document(article), headers=headers)
