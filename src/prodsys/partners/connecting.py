"""Connect with a supplier, by the bundle or the token he has handed over, and renew the token in time."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connectors.prodsys.instance import Prodsys, base
from prodsys.connectors.prodsys.words import Claimed, Company, Rotated
from prodsys.contacts import actions as contacts
from prodsys.contacts import store as contact_store
from prodsys.contacts.findings import evidence_issues
from prodsys.contacts.model import ContactForm, ContactPatch
from prodsys.contacts.recognising import BelongsToOther, Found, Several, Unknown, climb, evidence
from prodsys.contacts.spelling import keys_of
from prodsys.documents import Issue, Party
from prodsys.exchange import outbox, timetable
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Forbidden, Later, Misconfigured, Refused, Trust
from prodsys.kit.vault import Secret
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.partners import model, store
from prodsys.partners.actions import must_be_new, shown
from prodsys.partners.model import Look, Partner, Supplier
from prodsys.partners.reaching import Way, as_refusal, speak
from prodsys.partners.store import Row
from prodsys.scopes import Caller
from prodsys.tokens import model as token_model
from prodsys.tokens.model import Bundle
from prodsys.webhooks import inbox

CONTACTS = "contacts"
"""The task that compares cards with suppliers."""


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
    await db.read(must_be_new, name or read.company, (), base(read.url), confirmed=confirmed)
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
        raise as_refusal(rotated)
    assert supplier.sealed is not None  # noqa: S101 - or there would have been nothing to speak with
    sealed = way.vault.seal(rotated.token.reveal())
    return await db.write(_renew, supplier, sealed, rotated.expires_at, rotated.scopes)


def plan(tx: Tx, clock: Mapping[str, int]) -> None:
    """Put what is asked of every connected supplier on the timetable."""
    for supplier in store.connected(tx):
        _plan(tx, supplier.id, clock)


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
        raise as_refusal(claimed)
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
        raise as_refusal(company)
    return _Offer(endpoint=endpoint, trust="admin", sealed=sealed, expires_at=None, scopes=(), card=None, said_name="", clock=way.clock)


def _add_supplier(tx: Tx, caller: Caller, offer: _Offer, name: str, *, confirmed: bool) -> Partner:
    contact_store.lock_creation(tx)
    name = name or (offer.card.name if offer.card else "") or offer.said_name
    must_be_new(tx, name, (), offer.endpoint, confirmed=confirmed)
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
