"""Admin > Integrations > ProdSys to ProdSys: connect with a partner, see that all is well with him, and say how he is treated."""

import asyncio
import datetime as dt
import hmac
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.catalogue import actions as catalogue
from prodsys.catalogue import store as catalogue_store
from prodsys.company import store as company
from prodsys.contacts import actions as contacts
from prodsys.contacts import store as contact_store
from prodsys.contacts.spelling import name_key
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Secret, Vault
from prodsys.kit.web import encode_cursor
from prodsys.pages import checks
from prodsys.pages.fields import Form, document
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, part_text, show
from prodsys.partners import actions, cards, connecting, reaching, store, trials
from prodsys.partners.model import Check, Checklist, Look, Partner, Rules, Settlement
from prodsys.purchasing import abroad, reconciling
from prodsys.purchasing.reconciling import OrdersToTakeOver
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings
from prodsys.tokens import store as tokens

SHOWN = 50
FEW_MAPPINGS = 10
FEW_TOKENS = 5
MOST_FOUND = 20


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether all is well with a partner, in a word, and why not."""

    kind: str
    icon: str
    word: str
    why: str = ""


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants to connect, as it was typed. A token is not kept here: it is never written into a page again."""

    way: str = "bundle"
    bundle: str = ""
    url: str = ""
    name: str = ""


@get("/partners", include_in_schema=False, **allows(Scope.PARTNERS_READ, "page"))
async def partners(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Everybody we trade with, and whether all is well."""
    place = visitor.place("partners", int)

    def read(tx: Tx) -> dict[str, Any]:
        rows = store.page(tx, after=place[0] if place else 0, limit=SHOWN + 1)
        more = encode_cursor("partners", rows[SHOWN - 1].pk) if len(rows) > SHOWN else None
        found = actions.complete(tx, rows[:SHOWN])
        return {"rows": [(partner, health(visitor, partner)) for partner in found], "next": more}

    return await show(visitor, "partners.html", here="partners", now=now(), **await db.read(read))


@get("/partners/new", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def begin(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Paste the supplier's bundle, or his address and token."""
    return await _begin(visitor, Typed(way="token" if visitor.query.get("way") == "token" else "bundle"))


@post("/partners/look", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def look(visitor: NamedDependency[Visitor], form: NamedDependency[Form], settings: NamedDependency[Settings]) -> Response[Any]:
    """Whom a bundle leads to, before anybody is called."""
    typed = Typed(bundle=form.text("bundle"))
    try:
        return await _begin(visitor, typed, _looked(typed.bundle, settings))
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
            looked = _looked(typed.bundle, settings)
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


@get("/partners/{id:str}/setup", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def setup(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The test, the contact he is, and the switch."""
    return await _setup(visitor, db, id)


@get("/partners/{id:str}/test/events", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def test_events(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> ServerSentEvent:
    """The test as it goes on. It changes nothing but what we know of him, yet only a page of ours may begin it."""
    if not visitor.is_mine(visitor.query.get("mark", "")):
        raise errors.NotFound
    partner = await db.read(actions.shown, id)
    return ServerSentEvent(_ticking(visitor, db, reaching.way(outbound, vault, settings), partner))


@post("/partners/{id:str}/test", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def test(
    id: FromPath[str],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Ask his instance everything that must be true to trade; for browsers without scripts, all at once."""
    found = await trials.test(db, reaching.way(outbound, vault, settings), id)
    return go(f"/partners/{id}/setup" if form.flag("setup") else f"/partners/{id}", "tested" if found.passed else "tested_faults")


@post("/partners/{id:str}/contact", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def link(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Say which contact he is."""
    try:
        await db.write(actions.change, visitor.caller, id, Rules(contact=form.text("contact") or None), if_match="*")
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _setup(visitor, db, id, refusal)
    return go(f"/partners/{id}/setup" if form.flag("setup") else f"/partners/{id}", "saved")


@post("/partners/{id:str}/switch", include_in_schema=False, **allows(Scope.PARTNERS_WRITE, "page"))
async def switch(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Switch him on, after a test where none has passed yet; or off, so that nothing goes to him and nothing is taken from him."""
    is_on = form.flag("on")
    partner = await db.read(actions.shown, id)
    if is_on and partner.endpoint:
        found = partner.checklist
        if found is None or not found.can_send:
            found = await trials.test(db, reaching.way(outbound, vault, settings), id)
        if not found.can_send:
            issues = [
                Issue(code="check_failed", message=checks.told(visitor.speech, check, partner, "").title, blocks=True)
                for check in found.checks
                if check.needed and check.passed is False
            ]
            return await _setup(visitor, db, id, errors.PartnerNotReady(issues=issues))
    await db.write(actions.change, visitor.caller, id, Rules(is_active=is_on), if_match="*")
    return go(f"/partners/{id}", "partner_on" if is_on else "partner_off")


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
        rules = document(_typed_rules(form), Rules, form)
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
            _looked(form.text("bundle"), settings)
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
        await reconciling.take_over(db, abroad.reach_by(outbound, vault, settings), visitor.caller, id, OrdersToTakeOver())
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _partner(visitor, db, id, refusal)
    return go(f"/partners/{id}", "taken_over")


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


routes = [
    partners,
    begin,
    look,
    connect,
    setup,
    test_events,
    test,
    link,
    switch,
    partner,
    change,
    reconnect,
    renew,
    pull,
    reconcile,
    take_over,
    compare,
    sync,
    settle,
]


def health(visitor: Visitor, partner: Partner) -> Health:
    """Whether all is well, worst first."""
    say = visitor.speech.say
    blocking = next((issue for issue in partner.missing if issue.blocks), None)
    if not partner.is_active:
        return Health(kind="idle", icon="off", word=say("Switched off"))
    if blocking is not None:
        return Health(kind="bad", icon="bad", word=say("Not connected"), why=blocking.message)
    if partner.lane is not None and partner.lane.state == "stopped":
        return Health(kind="bad", icon="bad", word=say("Stopped"), why=partner.lane.reason)
    if partner.lane is not None and partner.lane.state == "paused":
        return Health(kind="warn", icon="clock", word=say("Not reached"), why=partner.lane.reason)
    if partner.missing:
        return Health(kind="warn", icon="clock", word=say("Token ends soon"), why=partner.missing[0].message)
    if partner.checklist is not None and not partner.checklist.passed:
        return Health(kind="warn", icon="warn", word=say("Needs a look"))
    if not partner.endpoint:
        return Health(kind="idle", icon="open", word=say("No connection from here"))
    return Health(kind="ok", icon="ok", word=say("Connected"))


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


def _looked(bundle: str, settings: Settings) -> Look:
    """What a bundle says; our own is nobody to connect with. Raises Invalid."""
    found = connecting.look(bundle)
    if settings.public_url and hmac.compare_digest(found.url.rstrip("/").encode(), settings.public_url.rstrip("/").encode()):
        message = "This is a bundle of our own company, made here for a partner. Paste the one a supplier sent you."
        raise errors.Invalid(message, issues=[Issue(code="bundle_is_ours", message=message, pointer="/bundle", blocks=True)])
    return found


def _added(tx: Tx, caller: Caller, add: Any) -> Partner:
    """Keep a new partner, switched off until somebody has seen that the test passes."""
    made: Partner = add(tx)
    return actions.change(tx, caller, made.id, Rules(is_active=False), if_match="*")


async def _setup(visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    words = visitor.query.get("q", "").strip()

    def read(tx: Tx) -> dict[str, Any]:
        row = store.by_id(tx, id)
        us = company.card(tx)
        found = contact_store.page(tx, after=None, limit=MOST_FOUND, starts_with=name_key(words)) if words else []
        return {
            "partner": actions.complete(tx, [row])[0],
            "contact": contacts.linked_card(tx, row.contact) if row.contact else None,
            "card": store.their_cards(tx, [row.pk]).get(row.pk),
            "found": [contact_store.as_document(one) for one in found],
            "us": us.name if us else "",
        }

    facts = await db.read(read)
    one: Partner = facts["partner"]
    is_testing = visitor.query.get("test") == "1" and one.checklist is None
    return await show(
        visitor,
        "partner_setup.html",
        here="partners",
        words=words,
        is_testing=is_testing,
        mark=visitor.csrf() if is_testing else "",
        told=_told(visitor, one.checklist, one, facts["us"]),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )


def _told(visitor: Visitor, found: Checklist | None, partner: Partner, us: str) -> list[checks.Told]:
    return [checks.told(visitor.speech, check, partner, us) for check in (found.checks if found else [])]


async def _ticking(visitor: Visitor, db: Database, way: reaching.Way, partner: Partner) -> AsyncIterator[ServerSentEventMessage]:
    """Each group of answers as it comes, and at the end all of them with their remedies."""
    us = await db.read(_our_name)
    heard: asyncio.Queue[list[Check] | None] = asyncio.Queue()

    async def run() -> None:
        try:
            await trials.test(db, way, partner.id, watch=heard.put_nowait)
        finally:
            heard.put_nowait(None)

    running = asyncio.create_task(run())
    try:
        while (found := await heard.get()) is not None:
            told = [checks.told(visitor.speech, check, partner, us) for check in found]
            html = part_text(visitor, "_checks.html", told=told, is_running=True, partner=partner)
            yield ServerSentEventMessage(data=html)
    finally:
        await running
    done = await db.read(actions.shown, partner.id)
    html = part_text(visitor, "_checks.html", told=_told(visitor, done.checklist, done, us), is_running=False, partner=done)
    yield ServerSentEventMessage(data=html)
    yield ServerSentEventMessage(data="", event="settled")


def _our_name(tx: Tx) -> str:
    us = company.card(tx)
    return us.name if us else ""


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
        told=_told(visitor, one.checklist, one, facts["us"]),
        rules=_shown_rules(visitor, one) if form is None else _retyped(form),
        few=FEW_MAPPINGS,
        now=now(),
        soon=now() + dt.timedelta(days=14),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )


async def _compare(visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        return {"partner": actions.shown(tx, id), "cards": cards.compare(tx, id)}

    facts = await db.read(read)
    return await show(visitor, "partner_compare.html", here="partners", refusal=refusal, status=refusal.status if refusal else 200, **facts)


_TEXTS = ("name", "when_unknown", "price_tolerance", "offers", "give_up_after_days")
_TICKS = ("show_prices", "may_rotate")
_LIMITS = ("auto_price_tolerance", "value_ceiling", "currency", "quantity_ceiling")
_LIMIT_TICKS = ("auto_is_on", "only_clean", "only_linked_contact")


def _shown_rules(visitor: Visitor, partner: Partner) -> dict[str, Any]:
    """The rules as the form's fields show them, figures in the reader's own way."""
    number, auto = visitor.speech.number, partner.auto_confirm
    return {
        "name": partner.name,
        "when_unknown": partner.when_unknown,
        "price_tolerance": number(partner.price_tolerance),
        "offers": partner.offers,
        "give_up_after_days": str(partner.give_up_after_days),
        "show_prices": partner.show_prices,
        "may_rotate": partner.may_rotate,
        "identifiers": "\n".join(partner.identifiers),
        "lets_through": partner.lets_through,
        "auto_is_on": auto.is_on if auto else False,
        "only_clean": auto.only_clean if auto else True,
        "only_linked_contact": auto.only_linked_contact if auto else True,
        "auto_price_tolerance": number(auto.price_tolerance) if auto else "0",
        "value_ceiling": number(auto.value_ceiling) if auto and auto.value_ceiling is not None else "",
        "currency": auto.currency if auto else "",
        "quantity_ceiling": number(auto.quantity_ceiling) if auto and auto.quantity_ceiling is not None else "",
    }


def _retyped(form: Form) -> dict[str, Any]:
    return {
        **{name: form.text(name) for name in (*_TEXTS, *_LIMITS, "identifiers")},
        **{name: form.flag(name) for name in (*_TICKS, *_LIMIT_TICKS)},
        "lets_through": form.many("lets_through"),
    }


def _typed_rules(form: Form) -> dict[str, Any]:
    """The rules as they were typed. Automatic approval that was never on is not kept."""
    tolerance = form.decimal("price_tolerance")
    is_auto = form.flag("auto_is_on") or form.flag("had_auto")
    auto = {
        "is_on": form.flag("auto_is_on"),
        "only_clean": form.flag("only_clean"),
        "only_linked_contact": form.flag("only_linked_contact"),
        "price_tolerance": str(form.decimal("auto_price_tolerance", "/auto_confirm/price_tolerance") or 0),
        "currency": form.text("currency").upper(),
    }
    for name in ("value_ceiling", "quantity_ceiling"):
        figure = form.decimal(name, f"/auto_confirm/{name}")
        auto[name] = None if figure is None else str(figure)
    days = form.whole("give_up_after_days")
    return {
        "name": form.text("name"),
        "when_unknown": form.text("when_unknown"),
        "price_tolerance": str(tolerance if tolerance is not None else 0),
        "offers": form.text("offers"),
        "show_prices": form.flag("show_prices"),
        "may_rotate": form.flag("may_rotate"),
        "identifiers": [line.strip() for line in form.text("identifiers").splitlines() if line.strip()],
        "lets_through": form.many("lets_through"),
        **({"give_up_after_days": days} if days is not None else {}),
        "auto_confirm": auto if is_auto else None,
    }
