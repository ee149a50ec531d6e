"""Connect with a partner, find out whether he can be traded with, and speak to him."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import UNSET
from rapidfuzz import fuzz

from prodsys import documents, errors
from prodsys.connectors.prodsys.instance import Prodsys, base
from prodsys.connectors.prodsys.words import Claimed, Company, MatchedNumber, Rotated
from prodsys.contacts import actions as contacts
from prodsys.contacts import store as contact_store
from prodsys.contacts.findings import evidence_issues
from prodsys.contacts.model import ContactForm, ContactPatch
from prodsys.contacts.numbers import organisation_key
from prodsys.contacts.recognising import NEAR, BelongsToOther, Found, Several, Unknown, climb, evidence, likeness
from prodsys.contacts.spelling import keys_of, name_key
from prodsys.documents import Issue, Party
from prodsys.exchange import outbox, timetable
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Forbidden, Later, Misconfigured, Network, Outbound, Refused, Trust
from prodsys.kit.states import etag, must_match
from prodsys.kit.vault import Secret, Vault, VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.modules.store import is_on
from prodsys.partners import model, store
from prodsys.partners.model import (
    AutoConfirm,
    Check,
    Checklist,
    Lane,
    Look,
    Partner,
    Rules,
    Supplier,
)
from prodsys.partners.store import Row
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, widened
from prodsys.settings import Settings
from prodsys.tokens import actions as tokens
from prodsys.tokens import model as token_model
from prodsys.tokens.actions import Handover
from prodsys.tokens.model import MAX_LIFETIME, Bundle, Created
from prodsys.webhooks import inbox

CONTACTS = "contacts"
"""The task that compares cards with suppliers."""
CATALOGUE_IS_FRESH = dt.timedelta(hours=3)
_FORGOTTEN = VaultLocked.__doc__ or ""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to speak to a partner: the one way out, the vault with his token, and the networks an operator has opened."""

    out: Outbound
    vault: Vault
    networks: tuple[Network, ...] = ()
    timeout: float = 30.0
    contacts_every: dt.timedelta = dt.timedelta(days=1)
    """How often cards are compared with each supplier."""
    clock: Mapping[str, int] = {}
    """What is asked of every connected supplier by the clock: kind of task, and seconds between."""


class NewPartner(msgspec.Struct, frozen=True, kw_only=True):
    """A buyer made together with the token we give him; both the token and the bundle are shown once."""

    partner: Partner
    token: Created


def way(out: Outbound, vault: Vault, settings: Settings) -> Way:
    """The way to partners with these settings."""
    return Way(
        out=out,
        vault=vault,
        networks=model.networks_of(settings.allowed_networks),
        timeout=settings.delivery_timeout_seconds,
        contacts_every=dt.timedelta(seconds=settings.contacts_every_seconds),
        clock={"catalogue": settings.catalogue_every_seconds},
    )


def speak(way: Way, supplier: Supplier) -> Prodsys | Misconfigured:
    """A partner's instance, ready to be called with the token he gave us; or why it cannot be."""
    if not supplier.endpoint or supplier.sealed is None:
        return Misconfigured(reason="partner_not_connected", detail=f"{supplier.name} has no connection yet; paste its connection bundle.")
    try:
        token = Secret(way.vault.unseal(supplier.sealed))
    except VaultLocked:
        return Misconfigured(reason="credentials_needed", detail=f"The token of {supplier.name} cannot be opened: {_FORGOTTEN}")
    return Prodsys(way.out, supplier.endpoint, token, trust=supplier.trust, timeout=way.timeout)


def look(bundle: str) -> Look:
    """Read a bundle without calling anybody. Raises Invalid with what is wrong with it."""
    read = token_model.unpack(bundle)
    if not model.host_of(read.url):
        message = "This connection bundle leads to no address; ask the supplier for a new one."
        raise errors.Invalid(message, issues=[Issue(code="bad_address", message=message, pointer="/bundle", blocks=True)])
    return Look(
        company=outbound.plain(read.company, 200),
        url=outbound.plain(read.url, 500),
        host=model.host_of(read.url),
        expires_at=read.expires_at,
        is_expired=read.expires_at <= now(),
    )


async def add_with_bundle(db: Database, way: Way, caller: Caller, bundle: str, *, name: str = "", confirmed: bool = False) -> Partner:
    """Exchange a supplier's bundle for his token and keep both, with his card as a contact of ours.

    Everything we can object to is looked at before the code is used up. Raises Invalid, SimilarExists unless `confirmed`, ClaimUnknown,
    PartnerUnreachable, PartnerNotReady.
    """
    return await db.write(await adding_with_bundle(db, way, caller, bundle, name=name, confirmed=confirmed))


async def add_with_token(
    db: Database, way: Way, caller: Caller, url: str, token: Secret, *, name: str = "", confirmed: bool = False
) -> Partner:
    """Keep an address and a token typed by an admin. His name and card are asked for there; who cannot be reached must be named.

    Raises Invalid, SimilarExists unless `confirmed`, PartnerUnreachable and PartnerNotReady when no name was given either.
    """
    return await db.write(await adding_with_token(way, caller, url, token, name=name, confirmed=confirmed))


async def adding_with_bundle(db: Database, way: Way, caller: Caller, bundle: str, *, name: str, confirmed: bool) -> Callable[[Tx], Partner]:
    """The call of `add_with_bundle`, and the unit that keeps what it brought."""
    read, trust = await _openable(way, bundle)
    await db.read(_must_be_new, name or read.company, (), base(read.url), confirmed=confirmed)
    offer = _offer(way, read, trust, await _claim(way, read, trust))
    # The code is used up: what we might object to now must not cost the supplier a new bundle.
    return partial(_add_supplier, caller=caller, offer=offer, name=name, confirmed=True)


async def adding_with_token(way: Way, caller: Caller, url: str, token: Secret, *, name: str, confirmed: bool) -> Callable[[Tx], Partner]:
    """The call of `add_with_token`, and the unit that keeps what it brought."""
    offer = await _typed(way, url, token, needs_card=not name)
    return partial(_add_supplier, caller=caller, offer=offer, name=name, confirmed=confirmed)


async def set_token(
    db: Database, way: Way, caller: Caller, id: str, *, bundle: str = "", url: str = "", token: Secret | None = None
) -> Partner:
    """Reach a partner by another address or token from now on; what waits for him is tried at once.

    Raises NotFound, and for a bundle or token what `add_with_bundle` and `add_with_token` raise.
    """
    known = await db.read(store.by_id, id)
    if bundle:
        read, trust = await _openable(way, bundle)
        offer = _offer(way, read, trust, await _claim(way, read, trust))
    elif token is not None:
        offer = await _typed(way, url or known.supplier.endpoint, token, needs_card=False)
    else:
        raise errors.Invalid("Give either a bundle, or a token with the address it belongs to.")
    return await db.write(_connect, caller, id, offer)


def create_with_token(
    tx: Tx,
    caller: Caller,
    *,
    name: str,
    scopes: frozenset[Scope],
    organisation_number: str = "",
    expires_at: dt.datetime | None = None,
    networks: Sequence[str] = (),
    longest: dt.timedelta = MAX_LIFETIME,
    handover: Handover | None = None,
    confirmed: bool = False,
) -> NewPartner:
    """Make a buyer and the token we give him, in one unit; with `handover` also the bundle that carries it.

    His contact is linked when the organisation number is that of exactly one contact nobody is linked to; otherwise his first order
    finds or makes it. Raises SimilarExists, naming the candidates, unless `confirmed`; and what `tokens.actions.create` raises.
    """
    name, number = name.strip(), model.identifier(organisation_number)
    if not name:
        message = "A partner needs a name."
        raise errors.Invalid(message, issues=[Issue(code="name_missing", message=message, pointer="/name", blocks=True)])
    contact_store.lock_creation(tx)
    free = [pk for pk, _, _, partner in store.contacts_with_number(tx, organisation_key(number)) if partner is None] if number else []
    contact = free[0] if len(free) == 1 else None
    if not confirmed:
        _must_be_new(tx, name, (number,) if number else (), "", confirmed=False)
        if contact is None:
            _must_not_be_a_contact(tx, name)
    key, public_id = store.put(tx, {"name": name, "contact": contact, "identifiers": number})
    tell(
        tx,
        Entry(
            code="partner.added",
            message=f"{caller.name} added the partner {name}, who may send us orders.",
            partner=key,
            subject=public_id,
            actor=caller.name,
        ),
    )
    facts = {"name": name, "organisation_number": number}
    note_change(tx, caller.name, "partner", public_id, f"{caller.name} added the partner {name}.", after=facts)
    created = tokens.create(
        tx, caller, name=name, scopes=scopes, expires_at=expires_at, partner=key, networks=networks, longest=longest, bundle=handover
    )
    return NewPartner(partner=shown(tx, public_id), token=created)


def create_without_connection(tx: Tx, caller: Caller, contact: str) -> Partner:
    """Make a supplier of a contact that has no ProdSys: our orders go to its e-mail as PDF (product.md, A6).

    Raises AlreadyExists for a contact that is a partner already, Invalid for one that does not exist or has no e-mail.
    """
    contact_store.lock_creation(tx)
    found = contact_store.by_id(tx, contact, lock=True)
    if found is None or found.merged_into is not None:
        message = f"There is no contact {contact[:40]}."
        raise errors.Invalid(message, issues=[Issue(code="contact_unknown", message=message, pointer="/contact", blocks=True)])
    if found.partner is not None:
        raise errors.AlreadyExists(f"This contact is the partner {found.partner} already.")
    if not found.card.email:
        message = f"{found.card.name} has no e-mail; orders could not be sent to it."
        raise errors.Invalid(message, issues=[Issue(code="email_missing", message=message, pointer="/contact", blocks=True)])
    name = found.card.name
    key, public_id = store.put(tx, {"name": name, "contact": found.pk})
    text = f"{caller.name} added the partner {name}, who gets our orders by e-mail."
    tell(tx, Entry(code="partner.added", message=text, partner=key, subject=public_id, actor=caller.name))
    note_change(tx, caller.name, "partner", public_id, text, after={"name": name, "contact": contact})
    return shown(tx, public_id)


def change(tx: Tx, caller: Caller, id: str, rules: Rules, *, if_match: str | None) -> Partner:
    """Change how a partner is treated, and log every member from → to (product.md, A20).

    Raises NotFound, IfMatchMissing, Stale with the current ETag, AlreadyExists for a contact that is another partner's, Invalid.
    """
    row = store.by_id(tx, id, lock=True)
    must_match(if_match, tag(row))
    before = row.shown
    given = {name: value for name in Rules.__struct_fields__ if (value := getattr(rules, name)) is not UNSET}
    if "identifiers" in given:
        given["identifiers"] = list(model.tidied(given["identifiers"]))
    if "lets_through" in given:
        given["lets_through"] = sorted(set(given["lets_through"]))
    changed = {name: value for name, value in given.items() if value != getattr(before, name)}
    if not changed:
        return shown(tx, id)
    values: dict[str, Any] = dict(changed)
    if "contact" in changed:
        values["contact"] = _contact_to_link(tx, row, changed["contact"])
    for listed in ("identifiers", "lets_through"):
        if listed in changed:
            values[listed] = " ".join(changed[listed])
    if changed.get("auto_confirm") is not None:
        values["auto_confirm"] = documents.write(changed["auto_confirm"]).decode()
    store.change(tx, row.pk, values)
    steps = "; ".join(f"{name}: {_told(getattr(before, name))} → {_told(value)}" for name, value in changed.items())
    tell(
        tx,
        Entry(
            code="partner.changed",
            message=f"{caller.name} changed {before.name}: {steps}.",
            partner=row.pk,
            subject=id,
            actor=caller.name,
        ),
    )
    was = {name: getattr(before, name) for name in changed}
    note_change(tx, caller.name, "partner", id, f"{caller.name} changed {before.name}.", was, changed)
    if changed.get("is_active"):
        outbox.probe_soon(tx, id)
    return shown(tx, id)


Watch = Callable[[list[Check]], None]


async def test(db: Database, way: Way, id: str, *, watch: Watch | None = None) -> Checklist:  # noqa: PT028 - a connection's test, no pytest's
    """Ask a partner's instance everything that must be true to trade with it, and keep the answers (product.md, A2).

    `watch` hears the answers so far, each time there are more. When nothing needed for sending is missing, what waits for him is tried at
    once. Raises NotFound.
    """
    row = await db.read(store.by_id, id)
    supplier = row.supplier
    at = now()
    prodsys = speak(way, supplier)
    if isinstance(prodsys, Misconfigured):
        checks = [Check(code="reachable", passed=False, sentence=prodsys.detail, needed=True)]
        return await db.write(_keep_test, supplier, model.checklist(at, checks), None)
    company = await prodsys.company()
    if not isinstance(company, Company):
        return await db.write(_keep_test, supplier, model.checklist(at, model.check_unreached(company)), None)
    checks = model.check_company(company, supplier.endpoint, now())
    if watch is not None:
        watch(list(checks))
    ours, numbers = await db.read(_asked_about, supplier.pk)
    carried = widened(frozenset(scope for scope in Scope if scope in company.token.scopes))
    if Scope.CONTACTS_READ in carried:
        checks.append(model.check_known(await prodsys.contacts_match(ours) if ours else None))
        if watch is not None:
            watch(list(checks))
    if Scope.ARTICLES_READ in carried:
        checks.append(await _articles_checked(db, prodsys, supplier, numbers))
    return await db.write(_keep_test, supplier, model.checklist(at, checks), company)


async def _articles_checked(db: Database, prodsys: Prodsys, supplier: Supplier, numbers: Sequence[str]) -> Check:
    """How many of our numbers match: by the catalogue we have read, where that is fresh, so that only the doubtful ones are asked about."""
    read = await db.read(store.numbers_not_in_catalogue, supplier.pk, now() - CATALOGUE_IS_FRESH)
    if read is None:
        return model.check_articles(numbers, await prodsys.match_articles(numbers) if numbers else None)
    count, missing = read
    answer: list[MatchedNumber] | Later | Misconfigured | Refused | None = [] if count else None
    if missing:
        # He may have been taught what such a number means, which no catalogue tells.
        answer = await prodsys.match_articles(missing)
    return model.check_articles(missing, answer, known=count - len(missing))


async def renew_token(db: Database, way: Way, id: str) -> Partner:
    """Replace the token a partner gave us by its successor, where he allows it; sending goes on meanwhile (rulings.md, 23).

    A lost answer costs nothing: asking again voids the successor nobody has used. Raises NotFound, RotationNotAllowed,
    PartnerUnreachable, PartnerNotReady.
    """
    supplier = (await db.read(store.by_id, id)).supplier
    prodsys = speak(way, supplier)
    rotated = prodsys if isinstance(prodsys, Misconfigured) else await prodsys.rotate()
    if isinstance(rotated, Refused):
        raise errors.RotationNotAllowed(rotated.problem.detail or rotated.problem.title)
    if not isinstance(rotated, Rotated):
        raise _refusal(rotated)
    assert supplier.sealed is not None  # noqa: S101 - or there would have been nothing to speak with
    sealed = way.vault.seal(rotated.token.reveal())
    return await db.write(_renew, supplier, sealed, rotated.expires_at, rotated.scopes)


def shown(tx: Tx, id: str) -> Partner:
    """One partner as an admin sees him. Raises NotFound."""
    return complete(tx, [store.by_id(tx, id)])[0]


def complete(tx: Tx, rows: Sequence[Row]) -> list[Partner]:
    """Partners with how their lanes stand and what is missing for sending."""
    lanes = outbox.lane_states(tx, [row.supplier.lane for row in rows]) if rows else {}
    module_on, at = is_on(tx, PRODSYS_MODULE), now()
    return [
        msgspec.structs.replace(
            row.shown,
            lane=_lane(lanes.get(row.supplier.lane)),
            missing=model.ready(row.supplier, module_on, at) if row.supplier.endpoint else [],
        )
        for row in rows
    ]


def plan(tx: Tx, clock: Mapping[str, int]) -> None:
    """Put what is asked of every connected supplier on the timetable."""
    for supplier in store.connected(tx):
        _plan(tx, supplier.id, clock)


def tag(row: Row) -> str:
    """The ETag of what people may change of a partner; how his lane stands is not part of it."""
    return etag(row.shown.id, row.version)


def tell_lane(tx: Tx, turn: LaneTurn) -> None:
    """Log in plain words that what goes to a partner waits, or flows again, and what to do about it."""
    supplier = store.supplier_named(tx, turn.lane)
    name = supplier.name if supplier else turn.lane
    level, code, message = _turn_in_words(turn, name)
    tell(
        tx,
        Entry(
            code=code,
            message=message,
            level=level,
            direction="out",
            partner=supplier.pk if supplier else None,
            subject=turn.lane,
            actor="courier",
            issues=[Issue(code=turn.code, message=turn.reason, params={"partner": name})] if turn.code else [],
        ),
    )


class _Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a partner's side when we connect: where, with what, and who they say they are."""

    endpoint: str
    trust: Trust
    sealed: str
    expires_at: dt.datetime | None
    scopes: tuple[str, ...]
    card: Party | None
    said_name: str
    clock: Mapping[str, int]
    epoch: str = ""


_ADVICE = {
    "unauthorized": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_missing": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_unknown": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_expired": "ask {name} for a new token and enter it under Admin > Integrations",
    "token_revoked": "ask {name} for a new token and enter it under Admin > Integrations",
    "insufficient_scope": "ask {name} for a token that carries this scope and enter it under Admin > Integrations",
    "module_off": "the module ProdSys to ProdSys has to be switched on; we look again every 5 minutes",
    "credentials_needed": "enter the token again under Admin > Integrations",
    "partner_not_connected": "paste the connection bundle of {name} under Admin > Integrations",
    "not_prodsys": "correct the address under Admin > Integrations",
    "redirected": "correct the address under Admin > Integrations",
    "bad_address": "correct the address under Admin > Integrations",
    "not_https": "correct the address under Admin > Integrations",
    "port_not_allowed": "correct the address under Admin > Integrations",
    "private_address": "correct the address, or let the operator open its network with PRODSYS_ALLOWED_NETWORKS",
}


def _turn_in_words(turn: LaneTurn, name: str) -> tuple[Literal["info", "warning", "error"], str, str]:
    if turn.state == "open":
        since = f" since {turn.waiting_since:%Y-%m-%d %H:%M} UTC" if turn.waiting_since else ""
        return "info", "lane.open", f"{name} is reached again; what waited{since} leaves now."
    if turn.waiting_since is not None:
        # Told once, after half an hour; the turn itself was told when it came.
        since = f"{turn.waiting_since:%Y-%m-%d %H:%M} UTC"
        words = f"Nothing has reached {name} since {since}. {turn.reason} Nothing is lost, but {_advice(turn, name)}."
        return "error", "lane.waiting", words
    if turn.state == "stopped":
        return "error", "lane.stopped", f"Sending to {name} has stopped. {turn.reason} To go on, {_advice(turn, name)}."
    return "warning", "lane.paused", f"{name} cannot be reached. {turn.reason} What is promised waits and is tried again by itself."


def _advice(turn: LaneTurn, name: str) -> str:
    otherwise = "test the connection under Admin > Integrations" if turn.state == "stopped" else "ask {name} whether their system runs"
    return _ADVICE.get(turn.code, otherwise).format(name=name)


async def _openable(way: Way, bundle: str) -> tuple[Bundle, Trust]:
    """A bundle that is worth calling for, and whose word its address is."""
    read = token_model.unpack(bundle)
    if read.expires_at <= now():
        raise errors.ClaimUnknown(f"This bundle ended on {read.expires_at:%Y-%m-%d}; ask the supplier for a new one.")
    trust = model.trust_of_bundle(read.url, way.networks)
    await _must_be_callable(way, read.url, trust, "/bundle")
    return read, trust


async def _must_be_callable(way: Way, url: str, trust: Trust, pointer: str) -> None:
    fault = await way.out.check(url, trust)
    if isinstance(fault, Forbidden):
        raise errors.Invalid(fault.detail, issues=[Issue(code=fault.reason, message=fault.detail, pointer=pointer, blocks=True)])
    if fault is not None:
        raise errors.PartnerUnreachable(fault.detail)


async def _claim(way: Way, read: Bundle, trust: Trust) -> Claimed:
    claimed = await Prodsys(way.out, read.url, None, trust=trust, timeout=way.timeout).claim(Secret(read.claim))
    if isinstance(claimed, Refused) and claimed.problem.code == errors.ClaimUnknown.code:
        raise errors.ClaimUnknown(claimed.problem.detail)
    if not isinstance(claimed, Claimed):
        raise _refusal(claimed)
    return claimed


def _offer(way: Way, read: Bundle, trust: Trust, claimed: Claimed) -> _Offer:
    return _Offer(
        endpoint=base(read.url),
        trust=trust,
        sealed=way.vault.seal(claimed.token.reveal()),
        expires_at=claimed.expires_at,
        scopes=tuple(claimed.scopes),
        card=claimed.card,
        said_name=outbound.plain(read.company, 200),
        clock=way.clock,
    )


async def _typed(way: Way, url: str, token: Secret, *, needs_card: bool) -> _Offer:
    endpoint = base(url)
    text = Secret(token.reveal().strip())
    if not token_model.well_formed(text.reveal()):
        message = "This is not a token: one begins with pst_ and is pasted whole. Copy it again."
        raise errors.Invalid(message, issues=[Issue(code="token_malformed", message=message, pointer="/token", blocks=True)])
    await _must_be_callable(way, endpoint, "admin", "/url")
    company = await Prodsys(way.out, endpoint, text, trust="admin", timeout=way.timeout).company()
    sealed = way.vault.seal(text.reveal())
    if isinstance(company, Company):
        return _Offer(
            endpoint=endpoint,
            trust="admin",
            sealed=sealed,
            expires_at=company.token.expires_at,
            scopes=tuple(company.token.scopes),
            card=company.card,
            said_name=company.card.name,
            clock=way.clock,
            epoch=company.epoch,
        )
    # What may pass by itself, or be mended over there, is no reason not to note the address; a wrong token is.
    may_pass = isinstance(company, Later) or (isinstance(company, Misconfigured) and company.reason in ("module_off", "insufficient_scope"))
    if needs_card or not may_pass:
        raise _refusal(company)
    return _Offer(endpoint=endpoint, trust="admin", sealed=sealed, expires_at=None, scopes=(), card=None, said_name="", clock=way.clock)


def _refusal(trouble: Later | Misconfigured | Refused) -> errors.Refusal:
    """What a caller of ours hears when a partner could not be asked."""
    if isinstance(trouble, Later):
        return errors.PartnerUnreachable(trouble.detail)
    code = trouble.reason if isinstance(trouble, Misconfigured) else trouble.problem.code or "refused"
    message = model.said(trouble)
    return errors.PartnerNotReady(message, issues=[Issue(code=code, message=message, blocks=True)])


def _must_be_new(tx: Tx, name: str, numbers: Sequence[str], endpoint: str, *, confirmed: bool) -> None:
    """Raise SimilarExists with every partner of nearly this name, this number or this address, unless somebody has said it is another."""
    if confirmed:
        return
    wanted, keys = name_key(name), {organisation_key(number) for number in numbers}
    issues = []
    for known in store.named(tx):
        score = 100 if endpoint and known.endpoint == endpoint else round(fuzz.token_sort_ratio(wanted, name_key(known.name)))
        if keys & {organisation_key(number) for number in known.numbers}:
            score = 100
        if score >= NEAR:
            message = f"The partner {known.name} ({known.id}) is {score} % like it; name that one, or confirm that another is meant."
            params = {"partner": known.id, "name": known.name, "score": str(score)}
            issues.append(Issue(code="partner_similar", message=message, params=params, blocks=True))
    if issues:
        raise errors.SimilarExists(issues=issues)


def _must_not_be_a_contact(tx: Tx, name: str) -> None:
    wanted = keys_of(Party(name=name))
    near = [known for known in contact_store.near(tx, wanted) if likeness(wanted, known.keys) >= NEAR]
    if near:
        raise errors.SimilarExists(issues=evidence_issues(evidence(wanted, near, None), blocks=True))


def _add_supplier(tx: Tx, caller: Caller, offer: _Offer, name: str, *, confirmed: bool) -> Partner:
    contact_store.lock_creation(tx)
    name = name or (offer.card.name if offer.card else "") or offer.said_name
    _must_be_new(tx, name, (), offer.endpoint, confirmed=confirmed)
    key, public_id = store.put(tx, {"name": name})
    tell(
        tx,
        Entry(
            code="partner.added",
            message=f"{caller.name} added the partner {name} at {model.host_of(offer.endpoint)}.",
            partner=key,
            subject=public_id,
            actor=caller.name,
        ),
    )
    note_change(tx, caller.name, "partner", public_id, f"{caller.name} added the partner {name}.", after={"name": name})
    return _connect(tx, caller, public_id, offer)


def _connect(tx: Tx, caller: Caller, id: str, offer: _Offer) -> Partner:
    row = store.by_id(tx, id, lock=True)
    before = _connection(store.supplier(tx, row.pk))
    store.connect(
        tx,
        row.pk,
        endpoint=offer.endpoint,
        trust=offer.trust,
        sealed=offer.sealed,
        expires_at=offer.expires_at,
        scopes=offer.scopes,
    )
    if offer.card is not None:
        store.keep_card(tx, row.pk, offer.card, offer.epoch)
        if row.contact is None:
            _link_supplier(tx, caller, row, offer.card)
    end = f", good until {offer.expires_at:%Y-%m-%d}" if offer.expires_at else ""
    tell(
        tx,
        Entry(
            code="partner.connected",
            message=f"{caller.name} connected {row.shown.name} at {model.host_of(offer.endpoint)} with a new token{end}.",
            partner=row.pk,
            subject=id,
            actor=caller.name,
        ),
    )
    text = f"{caller.name} connected {row.shown.name} with a new token."
    note_change(tx, caller.name, "partner", id, text, before, _connection(store.supplier(tx, row.pk)) | {"is_token_new": True})
    outbox.probe_soon(tx, id)
    _plan(tx, id, offer.clock)
    timetable.hurry(tx, CONTACTS)
    inbox.look_soon(tx)
    return shown(tx, id)


def _connection(supplier: Supplier) -> dict[str, Any]:
    """How a partner is reached, without the secret, for the log of changes."""
    return {
        "endpoint": supplier.endpoint,
        "token_expires_at": supplier.token_expires_at,
        "token_scopes": sorted(supplier.token_scopes),
        "is_token_new": False,
    }


def _plan(tx: Tx, id: str, clock: Mapping[str, int]) -> None:
    for kind, seconds in clock.items():
        timetable.plan(tx, f"{kind}:{id}", kind=kind, subject=id, every=dt.timedelta(seconds=seconds))


def _link_supplier(tx: Tx, caller: Caller, row: Row, card: Party) -> None:
    """Link a supplier to the contact his card belongs to, or make one; where that is not plain, a person links it."""
    contact_store.lock_creation(tx)
    wanted = keys_of(card)
    match climb(wanted, contact_store.alike(tx, wanted), row.pk):
        case Found(contact=known):
            contacts.patch(tx, known.id, ContactPatch(is_supplier=True), if_match="*", actor=caller.name)
            store.link_contact(tx, row.pk, known.pk)
        case Unknown():
            members = {name: getattr(card, name) for name in Party.__struct_fields__}
            made = contacts.create(tx, ContactForm(**members, is_supplier=True), actor=caller.name, allow_similar=True)
            store.link_contact(tx, row.pk, made.pk)
        case Several(contacts=hits) | BelongsToOther(contacts=hits):
            tell(
                tx,
                Entry(
                    code="partner.contact_unclear",
                    message=f"{row.shown.name} is not linked to a contact: its card fits {len(hits)}, or another partner's; choose one.",
                    level="warning",
                    partner=row.pk,
                    subject=row.shown.id,
                    actor=caller.name,
                    issues=evidence_issues(evidence(wanted, hits, row.pk)),
                ),
            )


def _asked_about(tx: Tx, supplier: int) -> tuple[Party | None, Sequence[str]]:
    return contact_store.our_card(tx), store.numbers_at(tx, supplier)


def _keep_test(tx: Tx, supplier: Supplier, found: Checklist, company: Company | None) -> Checklist:
    store.keep_checklist(tx, supplier.pk, found)
    if company is not None:
        store.keep_card(tx, supplier.pk, company.card, company.epoch)
        store.keep_token_facts(tx, supplier.pk, supplier.sealed, company.token.expires_at, company.token.scopes)
    failed = [check for check in found.checks if check.passed is False]
    message = f"The connection to {supplier.name} was tested: " + (" ".join(check.sentence for check in failed) or "all is well.")
    tell(
        tx,
        Entry(
            code="partner.tested",
            message=message,
            level="info" if found.passed else "warning",
            direction="out",
            partner=supplier.pk,
            subject=supplier.id,
            issues=[Issue(code=check.code, message=check.sentence, params=check.params, blocks=check.needed) for check in failed],
        ),
    )
    if found.can_send:
        outbox.probe_soon(tx, supplier.id)
    return found


def _renew(tx: Tx, supplier: Supplier, sealed: str, expires_at: dt.datetime, scopes: Sequence[str]) -> Partner:
    assert supplier.sealed is not None  # noqa: S101 - it was what we renewed
    if not store.renew(tx, supplier.pk, supplier.sealed, sealed=sealed, expires_at=expires_at, scopes=scopes):
        raise errors.WrongState("The token was replaced while it was being renewed; the newer one stays.")
    tell(
        tx,
        Entry(
            code="partner.token_renewed",
            message=f"The token {supplier.name} gave us was renewed and is good until {expires_at:%Y-%m-%d}.",
            direction="out",
            partner=supplier.pk,
            subject=supplier.id,
        ),
    )
    was, became = {"token_expires_at": supplier.token_expires_at}, {"token_expires_at": expires_at}
    note_change(tx, "timetable", "partner", supplier.id, f"The token {supplier.name} gave us was renewed.", was, became)
    return shown(tx, supplier.id)


def _contact_to_link(tx: Tx, row: Row, id: str | None) -> int | None:
    if id is None:
        return None
    found = contact_store.by_id(tx, id, lock=True)
    contact = None if found is None else found.pk
    if found is None or contact is None or found.merged_into is not None:
        gone = f" It was merged into {found.merged_into}." if found else ""
        message = f"There is no contact {id[:40]}.{gone}"
        raise errors.Invalid(message, issues=[Issue(code="contact_unknown", message=message, pointer="/contact", blocks=True)])
    other = store.partner_of_contact(tx, contact)
    if other not in (None, row.shown.id):
        raise errors.AlreadyExists(f"This contact is linked to the partner {other}; a contact belongs to one partner only.")
    return contact


def _lane(turn: LaneTurn | None) -> Lane | None:
    return None if turn is None else Lane(state=turn.state, code=turn.code, reason=turn.reason, waiting_since=turn.waiting_since)


def _told(value: object) -> str:
    match value:
        case AutoConfirm():
            return documents.write(value).decode()
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case None | "":
            return "none"
        case _:
            return str(value)
