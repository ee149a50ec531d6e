"""Admin > Integrations > ProdSys to ProdSys > Set up: the test of a partner, the contact he is, and the switch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from prodsys import errors
from prodsys.company import store as company
from prodsys.contacts import actions as contacts
from prodsys.contacts import store as contact_store
from prodsys.contacts.spelling import name_key
from prodsys.documents import Issue
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.pages import checks
from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor, go, part_text, show
from prodsys.partners import actions, reaching, store, trials
from prodsys.partners.checking import Check, Checklist
from prodsys.partners.model import Partner, Rules
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings

MOST_FOUND = 20


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


routes = [setup, test_events, test, link, switch]


def told_of(visitor: Visitor, found: Checklist | None, partner: Partner, us: str) -> list[checks.Told]:
    """What a test found, in the reader's words."""
    return [checks.told(visitor.speech, check, partner, us) for check in (found.checks if found else [])]


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
        told=told_of(visitor, one.checklist, one, facts["us"]),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )


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
    told = told_of(visitor, done.checklist, done, us)
    html = part_text(visitor, "setup_news.html", told=told, is_running=False, is_testing=False, partner=done, us=us)
    yield ServerSentEventMessage(data=html)
    yield ServerSentEventMessage(data="", event="settled")


def _our_name(tx: Tx) -> str:
    us = company.card(tx)
    return us.name if us else ""
