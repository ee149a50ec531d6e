"""Articles > Suppliers' catalogues: how far each has been read, and which of our numbers lead nowhere there."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from prodsys import errors
from prodsys.catalogue import actions, store
from prodsys.catalogue.model import Fix, Fixes, Mismatch, Reading
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import store as partners
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings

_ON_A_PAGE = 25
"""Fewer than elsewhere, because each row brings suggestions that are looked up for it alone."""


@get("/catalogue", include_in_schema=False, **allows(Scope.ARTICLES_READ, "page"))
async def catalogue(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Every supplier's catalogue, and what to mend."""
    return await _shown(visitor, db)


@post("/catalogue/pull", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def pull(form: NamedDependency[Form], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """Read on now."""
    await db.write(actions.pull_soon, form.text("partner"), settings.catalogue_every_seconds)
    return go("/catalogue", "pulling")


@post("/catalogue/fix", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def fix(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Set the number a supplier really uses for one of our articles: a suggestion, or what was typed."""
    number = form.text("typed") or form.text("number")
    try:
        await db.write(
            actions.fix, visitor.caller, Fixes(partner=form.text("partner"), fixes=[Fix(article=form.text("article"), number=number)])
        )
    except errors.Refusal as refusal:
        return await _shown(visitor, db, refusal)
    return go("/catalogue", "number_set")


routes = [catalogue, pull, fix]


async def _shown(visitor: Visitor, db: Database, refusal: errors.Refusal | None = None) -> Response[Any]:
    readings, listed, more = await db.read(_look, visitor)
    return await show(
        visitor, "catalogue.html", here="articles", view="catalogue", readings=readings, mismatches=listed, refusal=refusal,
        next=None if more is None else encode_cursor("mismatches-page", *more), status=refusal.status if refusal else 200,
    )  # fmt: skip


def _look(tx: Tx, visitor: Visitor) -> tuple[list[Reading], list[Mismatch], tuple[int, int] | None]:
    supplier = partners.supplier_named(tx, visitor.query["partner"]) if visitor.query["partner"] else None
    place = visitor.place("mismatches-page", int, int) or (0, 0)
    listed, more = actions.mismatches(tx, supplier.pk if supplier else None, (place[0], place[1]), _ON_A_PAGE)
    return store.readings(tx), listed, more
