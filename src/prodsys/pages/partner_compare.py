"""Admin > Integrations > ProdSys to ProdSys > a partner > Compare: his card beside ours, and whose spelling holds."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.pages.fields import Form, document
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import actions, cards, reaching
from prodsys.partners.comparing import Settlement
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings


@get("/partners/{id:str}/compare", include_in_schema=False, **allows(Scope.PARTNERS_READ, "page"))
async def compare(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Our contact beside his card, and our card beside his record of us."""
    return await _compare(visitor, db, id)


@post("/partners/{id:str}/sync", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def sync(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Compare cards now."""
    way = reaching.way(outbound, vault, settings)
    await cards.sync_contacts(db, way, id, actor=visitor.caller.name, offer=form.flag("offer"))
    return go(f"/partners/{id}/compare", "compared")


@post("/partners/{id:str}/settle", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def settle(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Say whose spelling holds."""
    try:
        wish = document({"about": form.text("about"), "members": form.many("member"), "hold": form.text("hold")}, Settlement, form)
        await cards.settle(db, reaching.way(outbound, vault, settings), visitor.caller, id, wish)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _compare(visitor, db, id, refusal)
    return go(f"/partners/{id}/compare", "saved")


routes = [compare, sync, settle]


async def _compare(visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        return {"partner": actions.shown(tx, id), "cards": cards.compare(tx, id)}

    facts = await db.read(read)
    return await show(visitor, "partner_compare.html", here="partners", refusal=refusal, status=refusal.status if refusal else 200, **facts)
