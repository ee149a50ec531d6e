"""Admin > Integrations > ProdSys to ProdSys > Connect: a supplier's bundle, or his address and token."""

import hmac
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from prodsys import errors
from prodsys.contacts.spelling import name_key
from prodsys.documents import Issue
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Secret, Vault
from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import actions, connecting, reaching
from prodsys.partners.model import Look, Partner, Rules
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants to connect, as it was typed. A token is not kept here: it is never written into a page again."""

    way: str = "bundle"
    bundle: str = ""
    url: str = ""
    name: str = ""


@get("/partners/new", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def begin(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Paste the supplier's bundle, or his address and token."""
    return await _begin(visitor, Typed(way="token" if visitor.query.get("way") == "token" else "bundle"))


@post("/partners/look", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def look(visitor: NamedDependency[Visitor], form: NamedDependency[Form], settings: NamedDependency[Settings]) -> Response[Any]:
    """Whom a bundle leads to, before anybody is called."""
    typed = Typed(bundle=form.text("bundle"))
    try:
        return await _begin(visitor, typed, look_into(typed.bundle, settings))
    except errors.Refusal as refusal:
        return await _begin(visitor, typed, refusal=refusal)


@post("/partners", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def connect(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Exchange the bundle for its token, or try the token, and go on to the test. The partner stays switched off until that is done."""
    typed = Typed(way=form.text("way", "bundle"), bundle=form.text("bundle"), url=form.text("url"), name=form.text("name"))
    way = reaching.way(outbound, vault, settings)
    instead, confirmed = form.text("instead"), form.flag("confirmed")
    looked: Look | None = None
    said = ""
    try:
        if typed.way == "bundle":
            looked = look_into(typed.bundle, settings)
        if instead:
            token = Secret(form.text("token")) if typed.way != "bundle" else None
            made = await connecting.set_token(db, way, visitor.caller, instead, bundle=typed.bundle, url=typed.url, token=token)
        elif looked is not None:
            add = await connecting.adding_with_bundle(db, way, visitor.caller, typed.bundle, name=typed.name, confirmed=confirmed)
            made = await db.write(_added, visitor.caller, add)
            said = "company_differs" if name_key(looked.company) != name_key(made.name) and not typed.name else ""
        else:
            token = Secret(form.text("token"))
            add = await connecting.adding_with_token(way, visitor.caller, typed.url, token, name=typed.name, confirmed=confirmed)
            made = await db.write(_added, visitor.caller, add)
    except errors.Refusal as refusal:
        return await _begin(visitor, typed, looked, refusal)
    return go(f"/partners/{made.id}/setup?test=1", said)


routes = [begin, look, connect]


def look_into(bundle: str, settings: Settings) -> Look:
    """What a bundle says; our own is nobody to connect with. Raises Invalid."""
    found = connecting.look(bundle)
    if settings.public_url and hmac.compare_digest(found.url.rstrip("/").encode(), settings.public_url.rstrip("/").encode()):
        message = "This is a bundle of our own company, made here for a partner. Paste the one a supplier sent you."
        raise errors.Invalid(message, issues=[Issue(code="bundle_is_ours", message=message, pointer="/bundle", blocks=True)])
    return found


async def _begin(visitor: Visitor, typed: Typed, looked: Look | None = None, refusal: errors.Refusal | None = None) -> Response[Any]:
    similar = [issue for issue in (refusal.issues if isinstance(refusal, errors.SimilarExists) else []) if "partner" in issue.params]
    return await show(
        visitor,
        "partner_new.html",
        here="partners",
        typed=typed,
        looked=looked,
        similar=similar,
        refusal=refusal,
        status=refusal.status if refusal else 200,
    )


def _added(tx: Tx, caller: Caller, add: Any) -> Partner:
    """Keep a new partner, switched off until somebody has seen that the test passes."""
    made: Partner = add(tx)
    return actions.change(tx, caller, made.id, Rules(is_active=False), if_match="*")
