"""Admin > Integrations > ProdSys to ProdSys > a partner: how he is reached and treated, and what stands between his books and ours."""

import datetime as dt
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.catalogue import actions as catalogue
from prodsys.catalogue import store as catalogue_store
from prodsys.company import store as company
from prodsys.contacts import actions as contacts
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Secret, Vault
from prodsys.pages.fields import Form, document
from prodsys.pages.partner_new import look_into
from prodsys.pages.partner_rules import retyped, shown_rules, typed_rules
from prodsys.pages.partner_setup import told_of
from prodsys.pages.partners import health
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import actions, connecting, reaching, store, trials
from prodsys.partners.model import Partner, Rules
from prodsys.purchasing import abroad, reconciling, recovering
from prodsys.purchasing.recovering import OrdersToTakeOver
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings
from prodsys.tokens import store as tokens

FEW_MAPPINGS = 10
FEW_TOKENS = 5


@get("/partners/{id:str}", include_in_schema=False, **allows(Scope.PARTNERS_READ, "page"))
async def partner(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """All of one partner: health, how he is reached, how he is treated, what has been learned of him."""
    return await _partner(visitor, db, id)


@post("/partners/{id:str}", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def change(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Keep how he is treated."""
    try:
        rules = document(typed_rules(form), Rules, form)
        await db.write(actions.change, visitor.caller, id, rules, if_match=form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _partner(visitor, db, id, refusal, form)
    return go(f"/partners/{id}", "saved")


@post("/partners/{id:str}/connection", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def reconnect(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Reach him by a new bundle, or a new token; what waits for him leaves with it."""
    way = reaching.way(outbound, vault, settings)
    token = Secret(form.text("token")) if form.text("token") else None
    try:
        if form.text("bundle"):
            look_into(form.text("bundle"), settings)
        await connecting.set_token(db, way, visitor.caller, id, bundle=form.text("bundle"), url=form.text("url"), token=token)
        await trials.test(db, way, id)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _partner(visitor, db, id, refusal)
    return go(f"/partners/{id}", "reconnected")


@post("/partners/{id:str}/renew", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def renew(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Ask him for the successor of the token he gave us."""
    try:
        await connecting.renew_token(db, reaching.way(outbound, vault, settings), id)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _partner(visitor, db, id, refusal)
    return go(f"/partners/{id}", "token_renewed")


@post("/partners/{id:str}/pull", include_in_schema=False, **allows(Scope.ARTICLES_WRITE, "page"))
async def pull(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Read his catalogue on now."""
    try:
        await db.write(catalogue.pull_soon, id, settings.catalogue_every_seconds)
    except errors.PartnerNotReady as refusal:
        return await _partner(visitor, db, id, refusal)
    return go(f"/partners/{id}#catalogue", "pulled_soon")


@post("/partners/{id:str}/reconcile", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def reconcile(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Compare our orders of 90 days with his books."""
    try:
        await pressed(
            visitor,
            form,
            f"reconcile {id}",
            lambda _: id,
            reconciling.ask,
            visitor.caller,
            id,
            answers_every=settings.answers_every_seconds,
        )
    except errors.PartnerNotReady as refusal:
        return await _partner(visitor, db, id, refusal)
    return go(f"/partners/{id}", "books_soon")


@post("/partners/{id:str}/take-over", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def take_over(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Write down again the orders that were lost here, as he holds them."""
    try:
        await recovering.take_over(db, abroad.reach_by(outbound, vault, settings), visitor.caller, id, OrdersToTakeOver())
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _partner(visitor, db, id, refusal)
    return go(f"/partners/{id}", "taken_over")


routes = [partner, change, reconnect, renew, pull, reconcile, take_over]


async def _partner(
    visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None, form: Form | None = None
) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        row = store.by_id(tx, id)
        readings = catalogue_store.readings(tx, row.pk)
        us = company.card(tx)
        return {
            "partner": actions.complete(tx, [row])[0],
            "etag": actions.tag(row),
            "contact": contacts.linked_card(tx, row.contact) if row.contact else None,
            "card": store.their_cards(tx, [row.pk]).get(row.pk),
            "reading": readings[0] if readings else None,
            "mappings": articles.mappings.after(tx, row.pk, ("", 0), FEW_MAPPINGS + 1) if visitor.may(Scope.ARTICLES_READ) else [],
            "tokens": [one for _, one in tokens.by_end(tx, view="live", limit=FEW_TOKENS, partner=id)]
            if visitor.may(Scope.TOKENS_READ)
            else [],
            "books": reconciling.shown(tx, id),
            "us": us.name if us else "",
        }

    facts = await db.read(read)
    one: Partner = facts["partner"]
    return await show(
        visitor,
        "partner.html",
        here="partners",
        health=health(visitor, one),
        told=told_of(visitor, one.checklist, one, facts["us"]),
        rules=shown_rules(visitor, one) if form is None else retyped(form),
        few=FEW_MAPPINGS,
        now=now(),
        soon=now() + dt.timedelta(days=14),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )
