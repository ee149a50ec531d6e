"""Articles > Agreed prices and Learned numbers: what was promised to a partner, and what its numbers mean here."""

import datetime as dt
from decimal import Decimal
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.articles import actions, store
from prodsys.articles.actions import LearnedMapping
from prodsys.articles.api.prices import AgreedPriceForm, agree_on
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.articles import file_of
from prodsys.pages.fields import Form, document
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import store as partners
from prodsys.scopes import Scope, allows

_ON_A_PAGE = 50
_FIELDS = ("partner", "article_number", "currency", "valid_from", "valid_to", "price", "price_quantity", "from_quantity")


@get("/prices", include_in_schema=False, **allows(Scope.ARTICLES_READ, "page"))
async def prices(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Prices agreed with partners, and a form for another."""
    return await _prices(visitor, db, dict.fromkeys(_FIELDS, "") | {"price_quantity": "1"})


@post("/prices", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def agree(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Keep one more."""
    figures: dict[str, Decimal | None] = {name: form.decimal(name) for name in ("price", "price_quantity", "from_quantity")}
    days: dict[str, dt.date | None] = {name: form.day(name) for name in ("valid_from", "valid_to")}
    given = {
        **{name: form.text(name) for name in ("partner", "article_number", "currency")},
        **{name: f"{value:f}" for name, value in figures.items() if value is not None},
        **{name: day for name, day in days.items() if day is not None},
    }
    try:
        await db.write(agree_on, visitor.caller, document(given, AgreedPriceForm, form))
    except errors.Refusal as refusal:
        return await _prices(visitor, db, {name: form.text(name) for name in _FIELDS}, refusal)
    return go("/prices", "saved")


@post("/prices/{id:str}/drop", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def drop(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Take an agreed price back; orders from now on are compared with the list."""
    await db.write(actions.drop_agreed_price, visitor.caller, id)
    return go("/prices", "price_dropped")


@get("/prices/import", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def import_form(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Choose a file."""
    return await show(visitor, "articles_import.html", here="articles", what="prices", done=None)


@post("/prices/import", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def import_prices(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Take the rows in; bad ones stop all of them, unless the good ones are to be taken."""
    try:
        done = await actions.import_agreed_prices(db, visitor.caller, await file_of(form), take_good=form.flag("take_good"))
    except errors.Refusal as refusal:
        return await show(
            visitor, "articles_import.html", here="articles", what="prices", done=None, refusal=refusal, status=refusal.status
        )
    return await show(visitor, "articles_import.html", here="articles", what="prices", done=done)


@get("/mappings", include_in_schema=False, **allows(Scope.ARTICLES_READ, "page"))
async def mappings(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """What sellers have taught about partners' numbers, by whom and when."""
    kept, named = await db.read(_mappings, visitor)
    more = encode_cursor("mappings-page", kept[_ON_A_PAGE - 1].their_number, kept[_ON_A_PAGE - 1].pk) if len(kept) > _ON_A_PAGE else None
    shown = [actions.mapping_shown(one) for one in kept[:_ON_A_PAGE]]
    return await show(visitor, "mappings.html", here="articles", view="mappings", mappings=shown, partners=named, next=more)


@get("/mappings/{id:str}", include_in_schema=False, **allows(Scope.ARTICLES_READ, "page"))
async def mapping(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One, and what undoing it would mean."""
    return await show(visitor, "mapping.html", here="articles", mapping=await db.read(_mapping, id))


@post("/mappings/{id:str}/undo", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def undo(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Forget it for orders that arrive from now on."""
    await db.write(actions.undo, visitor.caller, id)
    return go("/mappings", "mapping_undone")


routes = [prices, agree, drop, import_form, import_prices, mappings, mapping, undo]


async def _prices(visitor: Visitor, db: Database, typed: dict[str, Any], refusal: errors.Refusal | None = None) -> Response[Any]:
    kept, named = await db.read(_agreed, visitor)
    more = encode_cursor("prices-page", kept[_ON_A_PAGE - 1].article_pk, kept[_ON_A_PAGE - 1].pk) if len(kept) > _ON_A_PAGE else None
    return await show(
        visitor, "prices.html", here="articles", view="prices", prices=kept[:_ON_A_PAGE], partners=named, typed=typed, next=more,
        refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip


def _agreed(tx: Tx, visitor: Visitor) -> tuple[list[store.prices.AgreedKept], dict[str, str]]:
    named = {one.id: one.name for one in partners.named(tx)}
    of = visitor.query["partner"]
    partner = actions.partner_key(tx, of) if of in named else None
    article, pk = visitor.place("prices-page", int, int) or (0, 0)
    return store.prices.after(tx, partner, None, (article, pk), _ON_A_PAGE + 1), named


def _mappings(tx: Tx, visitor: Visitor) -> tuple[list[store.mappings.MappingKept], dict[str, str]]:
    named = {one.id: one.name for one in partners.named(tx)}
    of = visitor.query["partner"]
    partner = actions.partner_key(tx, of) if of in named else None
    number, pk = visitor.place("mappings-page", str, int) or ("", 0)
    begins = visitor.query["q"] if partner is not None else ""
    return store.mappings.after(tx, partner, (number, pk), _ON_A_PAGE + 1, starts_with=begins), named


def _mapping(tx: Tx, id: str) -> LearnedMapping:
    kept = store.mappings.get(tx, id)
    if kept is None:
        raise errors.NotFound
    return actions.mapping_explained(tx, kept)
