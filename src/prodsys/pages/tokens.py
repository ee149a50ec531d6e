"""Admin > API access > Tokens: who may use this instance, for how long, and ending that."""

import datetime as dt
import re
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.contacts import store as contact_store
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.vault import Vault
from prodsys.kit.web import encode_cursor
from prodsys.pages.fields import Form
from prodsys.pages.permissions import MEANINGS
from prodsys.pages.pressing import pressed
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import actions as partner_actions
from prodsys.partners import store as partner_store
from prodsys.partners.model import Rules
from prodsys.scopes import GUIDE_SCOPES, PARTNER_SCOPES, Caller, Scope, allows
from prodsys.settings import Settings, is_safe_url
from prodsys.tokens import actions, model, store
from prodsys.tokens.actions import Handover
from prodsys.tokens.api import longest_of
from prodsys.tokens.model import Created, Token
from prodsys.tokens.store import View

SHOWN = 50
LIFETIMES = (30, 90, 180, 365, 730)
"""Days a token may be chosen to live; the longest is the most there is."""
OVERLAPS = (0, 1, 24, 7 * 24, 30 * 24)
"""Hours the old token may outlive the first use of the new one, as offered; others are typed."""
RECENTLY = dt.timedelta(hours=24)
MOST_PARTNERS = 500
ANOTHER = "another"
"""The answer to which contact a new partner is, when it is none of the similar ones."""


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """A partner a token may be made for."""

    id: str
    name: str
    may_rotate: bool


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a token shall end, and the latest this company allows."""

    end: dt.datetime
    longest: dt.timedelta


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it was asked for in the form."""

    whom: str = "partner"
    """partner, new or house."""
    partner: str = ""
    new_name: str = ""
    organisation_number: str = ""
    contact: str = ""
    """Which contact of ours a new partner is."""
    name: str = ""
    preset: str = "export"
    """export: the guide's three; catalogue; own: as ticked."""
    scopes: frozenset[str] = frozenset()
    days: str = "90"
    until: str = ""
    networks: str = ""
    may_rotate: bool = False
    confirmed: bool = False


@get("/tokens", include_in_schema=False, **allows(Scope.TOKENS_READ, "page"))
async def tokens(visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """All tokens that are good, the first to end first; the others behind tabs."""
    asked = visitor.query.get("view", "")
    view: View = asked if asked in ("expiring", "ended") else "live"  # type: ignore[assignment]  # narrowed by the line itself
    place = visitor.place("tokens", str, int)
    after = None if place is None else _moment_of(place)
    whose = visitor.query.get("partner", "")

    def read(tx: Tx) -> dict[str, Any]:
        rows = store.by_end(
            tx,
            view=view,
            limit=SHOWN + 1,
            after=after,
            partner="" if whose == "house" else whose,
            house=whose == "house",
            words=visitor.query.get("q", ""),
        )
        last, key = (rows[SHOWN - 1][1].expires_at, rows[SHOWN - 1][0]) if len(rows) > SHOWN else (None, 0)
        more = encode_cursor("tokens", last.isoformat(), key) if last else None
        return {
            "rows": [token for _, token in rows[:SHOWN]],
            "next": more,
            "counts": store.counts(tx),
            "soon": store.expiring(tx, now())[:1],
            "partners": _partners(tx),
        }

    facts = await db.read(read)
    return await show(visitor, "tokens.html", here="tokens", view=view, whose=whose, now=now(), longest=settings.token_days, **facts)


@get("/tokens/new", include_in_schema=False, **allows(Scope.TOKENS_WRITE, "page"))
async def new_token(visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """The form, with what the guide asks the supplier to tick."""
    asked = visitor.query.get("partner", "")
    known = await db.read(_partners)
    whom = "partner" if asked or known else "new"
    contact = await db.read(contact_store.by_id, visitor.query.get("contact", "")) if visitor.may(Scope.CONTACTS_READ) else None
    if contact is None or contact.merged_into:
        return await _form(visitor, db, settings, Wish(whom=whom, partner=asked))
    if contact.partner:
        return await _form(visitor, db, settings, Wish(whom="partner", partner=contact.partner))
    card = contact.card
    wish = Wish(whom="new", new_name=card.name, organisation_number=card.organisation_number, contact=contact.id)
    return await _form(visitor, db, settings, wish, chosen=card.name)


@post("/tokens", include_in_schema=False, **allows(Scope.TOKENS_WRITE, "page"))
async def create(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Make it and show it, this once."""
    wish = _wish(form)
    try:
        limits = Limits(end=_end(form, visitor.speech, longest_of(settings)), longest=longest_of(settings))
        form.must_be_sound()
        made = await pressed(
            visitor, form, "token", lambda one: one.id, _create, visitor.caller, wish, limits, _handover(wish, vault, settings)
        )
    except errors.Refusal as refusal:
        return await _form(visitor, db, settings, wish, refusal)
    return await _once(visitor, db, settings, made)


@get("/tokens/{id:str}", include_in_schema=False, **allows(Scope.TOKENS_READ, "page"))
async def token(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One token, without its secret, and the ways to replace or end it."""
    return await _one(visitor, db, id)


@post("/tokens/{id:str}/rotate", include_in_schema=False, **allows(Scope.TOKENS_WRITE, "page"))
async def rotate(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Make its successor and show it, this once; the old one goes on meanwhile."""

    def unit(tx: Tx) -> Created:
        old = actions.shown(tx, id)
        handover = Handover(vault=vault, public_url=settings.public_url) if old.partner and is_safe_url(settings.public_url) else None
        return actions.rotate(tx, visitor.caller, id, overlap=_overlap(form), longest=longest_of(settings), bundle=handover)

    try:
        made = await pressed(visitor, form, f"rotate {id}", lambda one: one.id, unit)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _one(visitor, db, id, refusal, form)
    return await _once(visitor, db, settings, made)


@post("/tokens/{id:str}/revoke", include_in_schema=False, **allows(Scope.TOKENS_WRITE, "page"))
async def revoke(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """End it now. Who used it within a day would notice at once, so then its owner's name is typed first."""
    before = await db.read(actions.shown, id)
    if is_in_use(before) and form.text("confirm").casefold() != owner(before).casefold():
        message = f"Type {owner(before)} to revoke a token that is in use."
        issue = Issue(code="confirmation_missing", message=message, params={"name": owner(before)}, pointer="/confirm", blocks=True)
        return await _one(visitor, db, id, errors.Invalid(issues=[issue]))
    await db.write(actions.revoke, visitor.caller, id)
    return go(f"/tokens/{id}", "token_revoked")


routes = [tokens, new_token, create, token, rotate, revoke]


def owner(token: Token) -> str:
    """Whom a token belongs to, in a word: the partner, or the program of the house by the token's name."""
    return token.partner.name if token.partner else token.name


def is_in_use(token: Token) -> bool:
    """Whether ending a token would be felt: it is good, and was used within a day."""
    is_good = token.state not in ("expired", "revoked")
    return is_good and token.last_used_at is not None and token.last_used_at > now() - RECENTLY


def shown_state(token: Token) -> str:
    """The word for a token's state on pages, where one that nobody has used yet is told apart."""
    return "unused" if token.state == "active" and token.last_used_at is None else token.state


def end_of_day(day: dt.date, speech: Speech, longest: dt.timedelta) -> dt.datetime:
    """The last second of a day where the reader is, but never beyond the longest life a token may have."""
    last = dt.datetime.combine(day, dt.time(23, 59, 59), speech.zone).astimezone(dt.UTC)
    return min(last, now() + longest)


async def _one(visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None, form: Form | None = None) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        found = actions.shown(tx, id)
        before = actions.shown(tx, found.successor_of) if found.successor_of else None
        return {"token": found, "before": before, "successors": store.successors(tx, id)}

    facts = await db.read(read)
    one: Token = facts["token"]
    return await show(
        visitor,
        "token.html",
        here="tokens",
        state_word=shown_state(one),
        owner=owner(one),
        is_in_use=is_in_use(one),
        is_over=one.state in ("expired", "revoked"),
        overlaps=OVERLAPS,
        overlap=form.text("overlap", str(OVERLAPS[3])) if form else str(OVERLAPS[3]),
        hours=form.text("hours") if form else "",
        now=now(),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )


async def _once(visitor: Visitor, db: Database, settings: Settings, made: Created | str) -> Response[Any]:
    """The page that shows a token, once: a second press of the button, or a reload, finds only its name."""
    if isinstance(made, str):
        return go(f"/tokens/{made}", "token_shown_before")
    token = await db.read(actions.shown, made.id)
    claim_until = now() + min(model.CLAIM_LIFETIME, made.expires_at - now())
    return await show(
        visitor,
        "token_created.html",
        here="tokens",
        status=201,
        made=made,
        token=token,
        owner=owner(token),
        claim_until=claim_until,
        endpoint=f"{settings.public_url.rstrip('/')}/api/v1" if settings.public_url else "",
        is_safe=is_safe_url(settings.public_url),
    )


async def _form(
    visitor: Visitor, db: Database, settings: Settings, wish: Wish, refusal: errors.Refusal | None = None, chosen: str = ""
) -> Response[Any]:
    meant = {wish.contact: chosen or wish.new_name} if wish.contact else {}
    for issue in refusal.issues if refusal else ():
        if issue.code == "contact_similar":
            meant[issue.params["contact"]] = issue.params["name"]
    speech, today = visitor.speech, visitor.speech.today()
    longest = longest_of(settings)
    lives = [(str(days), end_of_day(today + dt.timedelta(days=days), speech, longest)) for days in lifetimes(longest)]
    if wish.days not in {days for days, _ in lives} and wish.days != "day":
        wish = msgspec.structs.replace(wish, days=lives[-1][0])
    partner_words = [(scope, MEANINGS.get(scope, "")) for scope in (*GUIDE_SCOPES, Scope.CONTACTS_READ, Scope.CONTACTS_WRITE)]
    house_words = [(scope, MEANINGS.get(scope, "")) for scope in Scope if visitor.caller.may(scope)]
    partners = await db.read(_partners)
    return await show(
        visitor,
        "token_new.html",
        here="tokens",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        wish=wish,
        meant=meant,
        partners=partners,
        partner_options=[(one.id, one.name) for one in partners],
        may_add=visitor.may(Scope.PARTNERS_WRITE),
        lives=lives,
        last_day=today + longest,
        longest=longest.days,
        is_ruled=longest < model.MAX_LIFETIME,
        first_day=today + dt.timedelta(days=1),
        guide=[scope.value for scope in GUIDE_SCOPES],
        partner_scopes=partner_words,
        house_scopes=house_words,
        is_safe=is_safe_url(settings.public_url),
        said_end=next((end for days, end in lives if days == wish.days), None),
    )


def _wish(form: Form) -> Wish:
    whom, contact = form.text("whom", "partner"), form.text("contact")
    ticked = form.many("house_scope" if whom == "house" else "scope")
    return Wish(
        whom=whom,
        partner=form.text("partner"),
        new_name=form.text("new_name"),
        organisation_number=form.text("organisation_number"),
        contact="" if contact == ANOTHER else contact,
        name=form.text("name"),
        preset=form.text("preset", "export"),
        scopes=frozenset(ticked),
        days=form.text("days", "90"),
        until=form.text("until"),
        networks=form.text("networks"),
        may_rotate=form.flag("may_rotate"),
        confirmed=form.flag("confirmed") or contact == ANOTHER,
    )


def _overlap(form: Form) -> dt.timedelta:
    """How long the old one lives on: one of those offered, or as many hours as were typed."""
    chosen = form.text("overlap", str(OVERLAPS[3]))
    if chosen.isdecimal() and int(chosen) in OVERLAPS:
        return dt.timedelta(hours=int(chosen))
    hours = form.whole("hours")
    form.must_be_sound()
    if hours is None or not 0 <= hours <= 24 * model.MAX_OVERLAP_DAYS:
        raise _missing("/hours", "hours_out_of_range", f"Write a number of hours up to {24 * model.MAX_OVERLAP_DAYS}.")
    return dt.timedelta(hours=hours)


def lifetimes(longest: dt.timedelta) -> list[int]:
    """The days offered for a token's life: those a company's own rule leaves, and the rule's own number."""
    return [days for days in LIFETIMES if days < longest.days] + [longest.days]


def _end(form: Form, speech: Speech, longest: dt.timedelta) -> dt.datetime:
    """Until when: the end of the day that is so many days away, or of the day that was typed."""
    days = form.text("days", "90")
    if days.isdecimal() and int(days) in lifetimes(longest):
        return end_of_day(speech.today() + dt.timedelta(days=int(days)), speech, longest)
    day = form.day("until")
    if day is None:
        form.must_be_sound()
        raise _missing("/until", "day_missing", "Choose the day on which the token ends.")
    if not speech.today() < day <= speech.today() + longest:
        message = f"A token ends in the future and at most {longest.days} days from now."
        issue = Issue(code="expiry_out_of_range", message=message, params={"days": str(longest.days)}, pointer="/until", blocks=True)
        raise errors.Invalid(message, issues=[issue])
    return end_of_day(day, speech, longest)


def _scopes(wish: Wish) -> frozenset[Scope]:
    if wish.whom == "house" or wish.preset == "own":
        known = {scope.value for scope in (Scope if wish.whom == "house" else PARTNER_SCOPES)}
        chosen = frozenset(Scope(word) for word in wish.scopes if word in known)
        if not chosen:
            pointer = "/house_scope" if wish.whom == "house" else "/scope"
            raise _missing(pointer, "scope_choose", "Tick at least one permission.")
        return chosen
    return frozenset({Scope.ARTICLES_READ} if wish.preset == "catalogue" else GUIDE_SCOPES)


def _handover(wish: Wish, vault: Vault, settings: Settings) -> Handover | None:
    """A partner gets a bundle wherever one is safe; otherwise the page says why there is none."""
    if wish.whom == "house" or not is_safe_url(settings.public_url):
        return None
    return Handover(vault=vault, public_url=settings.public_url)


def _networks(wish: Wish) -> list[str]:
    """The addresses as they were typed, by line or comma. Raises Invalid, pointing at their field."""
    typed = [word for word in re.split(r"[\s,;]+", wish.networks) if word]
    try:
        return model.read_networks(typed)
    except errors.Invalid as refusal:
        issues = [msgspec.structs.replace(issue, pointer="/networks") for issue in refusal.issues]
        raise errors.Invalid(refusal.detail, issues=issues) from None


def _create(tx: Tx, caller: Caller, wish: Wish, limits: Limits, handover: Handover | None) -> Created:
    scopes, networks = _scopes(wish), _networks(wish)
    if wish.whom == "house":
        if not wish.name:
            raise _missing("/name", "name_missing", "Say which program it is for.")
        return actions.create(tx, caller, name=wish.name, scopes=scopes, expires_at=limits.end, networks=networks, longest=limits.longest)
    if wish.whom == "new":
        return _create_with_partner(tx, caller, wish, scopes, limits, handover)
    if not wish.partner:
        raise _missing("/partner", "partner_missing", "Choose the partner the token is for.")
    partner = actions.partner_key(tx, wish.partner)
    known = partner_store.by_id(tx, wish.partner)
    if caller.may(Scope.PARTNERS_WRITE) and known.shown.may_rotate != wish.may_rotate:
        partner_actions.change(tx, caller, wish.partner, Rules(may_rotate=wish.may_rotate), if_match="*")
    return actions.create(
        tx,
        caller,
        name=wish.name or known.shown.name,
        scopes=scopes,
        expires_at=limits.end,
        partner=partner,
        networks=networks,
        longest=limits.longest,
        bundle=handover,
    )


def _create_with_partner(
    tx: Tx, caller: Caller, wish: Wish, scopes: frozenset[Scope], limits: Limits, handover: Handover | None
) -> Created:
    if not caller.may(Scope.PARTNERS_WRITE):
        raise errors.InsufficientScope
    if not wish.new_name:
        raise _missing("/new_name", "name_missing", "A partner needs a name.")
    made = partner_actions.create_with_token(
        tx,
        caller,
        name=wish.new_name,
        scopes=scopes,
        organisation_number=wish.organisation_number,
        expires_at=limits.end,
        networks=_networks(wish),
        longest=limits.longest,
        handover=handover,
        contact=wish.contact,
        confirmed=wish.confirmed,
    )
    if wish.may_rotate:
        partner_actions.change(tx, caller, made.partner.id, Rules(may_rotate=True), if_match="*")
    return made.token


def _partners(tx: Tx) -> list[Whose]:
    return [Whose(id=one.id, name=one.name, may_rotate=one.may_rotate) for one in partner_store.called(tx, MOST_PARTNERS)]


def _moment_of(place: tuple[Any, ...]) -> tuple[dt.datetime, int] | None:
    try:
        return dt.datetime.fromisoformat(place[0]), place[1]
    except ValueError:
        return None


def _missing(pointer: str, code: str, message: str) -> errors.Invalid:
    return errors.Invalid(message, issues=[Issue(code=code, message=message, pointer=pointer, blocks=True)])
