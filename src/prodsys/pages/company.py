"""Admin > Company: our own card, as partners see it."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from prodsys import errors
from prodsys.company import actions
from prodsys.documents import Party
from prodsys.kit.db import Database
from prodsys.pages.fields import Form, document
from prodsys.pages.parties import party_of
from prodsys.pages.visitor import Visitor, go, show
from prodsys.scopes import Scope, allows


@get("/company", include_in_schema=False, **allows(Scope.COMPANY_WRITE, "page"))
async def card(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The card and the form to change it."""
    ours = await db.read(actions.card)
    return await _form(visitor, ours.card, actions.tag(ours))


@post("/company", include_in_schema=False, **allows(Scope.COMPANY_WRITE, "page"))
async def change_card(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Keep what was typed, or say everything that is wrong with it beside what was typed."""
    typed = party_of(form)
    try:
        await db.write(actions.set_card, document(typed, Party, form), if_match=form.text("etag"), actor=visitor.name)
    except errors.Refusal as refusal:
        return await _form(visitor, typed, form.text("etag"), refusal)
    return go("/company", "saved")


async def _form(visitor: Visitor, card: Any, etag: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    return await show(
        visitor, "company.html", here="company", card=card, etag=etag, refusal=refusal, status=refusal.status if refusal else 200
    )


routes = [card, change_card]
