"""Articles: what we sell and buy, and what each supplier calls it."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.articles import actions, model, store
from prodsys.articles.api.keeping import ArticleForm
from prodsys.articles.model import Draft, Known
from prodsys.connections.linking import StockThere, stock_of
from prodsys.connections.model import SystemTab
from prodsys.documents import Issue
from prodsys.kit.db import Database, Tx
from prodsys.kit.states import etag, must_match
from prodsys.kit.web import encode_cursor
from prodsys.pages.contacts import said_by_systems
from prodsys.pages.fields import Form, document
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier
from prodsys.scopes import Scope, allows

_ON_A_PAGE = 50
_MOST_NUMBERS = 500


@get("/articles", include_in_schema=False, **allows(Scope.ARTICLES_READ, "page"))
async def articles(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """All of them by number, or those whose number or name begins so."""
    found = await db.read(_listed, visitor)
    last = found[_ON_A_PAGE - 1] if len(found) > _ON_A_PAGE else None
    more = None if last is None or visitor.query["q"] else encode_cursor("articles-page", model.number_key(last.number), last.pk)
    return await show(
        visitor, "articles.html", here="articles", view="articles", articles=found[:_ON_A_PAGE], next=more, is_cut=last is not None
    )


@get("/articles/new", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def new_article(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """An empty form."""
    return await _form(visitor, msgspec.structs.asdict(Draft(number="")))


@post("/articles/new", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def create_article(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Take it in, or say what is wrong."""
    typed = _typed(form)
    try:
        made = await db.write(actions.create, visitor.caller, _draft(typed, form))
    except errors.Refusal as refusal:
        return await _form(visitor, typed, refusal=refusal)
    return go(f"/articles/{made.id}", "saved")


@get("/articles/import", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def import_form(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Choose a file."""
    return await show(visitor, "articles_import.html", here="articles", what="articles", done=None)


@post("/articles/import", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def import_articles(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Take the rows in; bad ones stop all of them, unless the good ones are to be taken."""
    try:
        done = await actions.import_articles(db, visitor.caller, await file_of(form), take_good=form.flag("take_good"))
    except errors.Refusal as refusal:
        return await show(
            visitor, "articles_import.html", here="articles", what="articles", done=None, refusal=refusal, status=refusal.status
        )
    return await show(visitor, "articles_import.html", here="articles", what="articles", done=done)


@get("/articles/{id:str}", include_in_schema=False, **allows(Scope.ARTICLES_READ, "page"))
async def article(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One article with its numbers at suppliers."""
    found, numbers, suppliers = await db.read(_whole, id)
    systems = await db.read(said_by_systems, visitor, "articles", found.number)
    stock = await db.read(stock_of, visitor.caller, found.number)
    return await _article(visitor, found, msgspec.structs.asdict(found), numbers, suppliers, systems, stock)


@post("/articles/{id:str}", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def change_article(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Keep what was typed, article and numbers together."""
    typed = _typed(form)
    numbers = dict(zip(form.many("supplier"), form.many("supplier_number"), strict=False))
    try:
        await db.write(_change, visitor, id, form.text("etag"), _draft(typed, form), numbers)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        found, kept, suppliers = await db.read(_whole, id)
        return await _article(visitor, found, typed, kept, suppliers, refusal=refusal, tag=form.text("etag"))
    return go(f"/articles/{id}", "saved")


routes = [articles, new_article, create_article, import_form, import_articles, article, change_article]


async def file_of(form: Form) -> bytes:
    """The file that was chosen. Raises BadFile for none."""
    file = form.file("file")
    if file is None:
        raise errors.BadFile(issues=[Issue(code="file_missing", message="Choose a file first.", pointer="/file", blocks=True)])
    content: bytes = await file.read()
    return content


def _listed(tx: Tx, visitor: Visitor) -> list[Known]:
    text = visitor.query["q"]
    if not text:
        number, pk = visitor.place("articles-page", str, int) or ("", 0)
        return store.finding.all_by_number(tx, (number, pk), _ON_A_PAGE + 1)
    found = store.finding.numbers_beginning(tx, text, ("", 0), _ON_A_PAGE + 1) + store.finding.names_beginning(
        tx, text, ("", 0), _ON_A_PAGE + 1
    )
    return list({one.pk: one for one in found}.values())[: _ON_A_PAGE + 1]


def _whole(tx: Tx, id: str) -> tuple[Known, dict[str, str], list[Supplier]]:
    found = actions.found(tx, id)
    numbers = {one.supplier: one.number for one in store.supplier_numbers.numbers_of(tx, found.pk)}
    return found, numbers, partners.connected(tx)[:_MOST_NUMBERS]


def _change(tx: Tx, visitor: Visitor, id: str, if_match: str, draft: Draft, numbers: dict[str, str]) -> None:
    kept = actions.taken(tx, id)
    must_match(if_match, etag(kept.id, kept.version))
    changed = actions.change(tx, visitor.caller, kept, draft)
    before = {one.supplier: one.number for one in store.supplier_numbers.numbers_of(tx, changed.pk)}
    # Suppliers this page did not show keep what they have.
    wanted = {**before, **numbers}
    if (named := {supplier: number for supplier, number in wanted.items() if number}) != before:
        actions.set_supplier_numbers(tx, visitor.caller, changed, named)


def _typed(form: Form) -> dict[str, Any]:
    return {
        **{name: form.text(name) for name in ("number", "name", "unit", "gtin", "currency")},
        "price": form.decimal("price"),
        "price_quantity": form.decimal("price_quantity"),
        "is_active": form.flag("is_active"),
        "lead_time_days": form.whole("lead_time_days"),
        "minimum": form.decimal("minimum"),
        "multiple": form.decimal("multiple"),
    }


def _draft(typed: dict[str, Any], form: Form) -> Draft:
    given = {
        name: f"{value:f}" if name in {"price", "price_quantity", "minimum", "multiple"} else value
        for name, value in typed.items()
        if value is not None
    }
    return Draft(**msgspec.structs.asdict(document(given, ArticleForm, form)))


async def _form(visitor: Visitor, typed: dict[str, Any], refusal: errors.Refusal | None = None) -> Response[Any]:
    return await show(
        visitor, "article.html", here="articles", article=None, typed=typed, numbers={}, suppliers=[], systems=[], stock=[], etag="",
        refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip


async def _article(
    visitor: Visitor,
    found: Known,
    typed: dict[str, Any],
    numbers: dict[str, str],
    suppliers: list[Supplier],
    systems: list[SystemTab] | None = None,
    stock: list[StockThere] | None = None,
    *,
    refusal: errors.Refusal | None = None,
    tag: str = "",
) -> Response[Any]:
    return await show(
        visitor, "article.html", here="articles", article=found, typed=typed, numbers=numbers, suppliers=suppliers, systems=systems or [],
        stock=stock or [], etag=tag or etag(found.id, found.version), refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip
