"""Create, hand over, claim, rotate and revoke a token."""

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, signal
from prodsys.kit.ids import new_id
from prodsys.kit.vault import Vault, VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller, Scope
from prodsys.settings import is_safe_url
from prodsys.tokens import model, store
from prodsys.tokens.model import Bundle, Claimed, Created, Minted, Token
from prodsys.tokens.store import Row

TOPIC = "tokens"
"""Signalled by whatever ends a token, so that the guard forgets what it knew."""


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to hand a token over as a bundle: where it waits, sealed, and the address the buyer will call."""

    vault: Vault
    public_url: str


def create(
    tx: Tx,
    caller: Caller,
    *,
    name: str,
    scopes: frozenset[Scope],
    expires_at: dt.datetime | None = None,
    partner: int | None = None,
    networks: Sequence[str] = (),
    longest: dt.timedelta = model.MAX_LIFETIME,
    bundle: Handover | None = None,
) -> Created:
    """Make a token for a partner (by key) or, without one, for the house; with `bundle` also the one string that hands it over.

    Without `expires_at` it ends in 90 days, or after `longest` where this company allows less. With `networks` it is good only from these
    addresses. Raises ScopeNotYours, and Invalid for scopes a partner may not carry, an end beyond `longest`, a network that is none, or a
    bundle while the public address is not https (product.md, E1).
    """
    model.must_grant(caller, scopes, partner=partner is not None)
    at = now()
    end, tied = model.end_of(expires_at, at, longest), model.read_networks(networks)
    created = _put(tx, caller, model.mint(), name=name, scopes=scopes, networks=tied, at=at, end=end, partner=partner, bundle=bundle)
    tell(
        tx,
        Entry(
            code="token.created",
            message=f"{caller.name} created the token {name} with {', '.join(sorted(scopes))}, good until {created.expires_at:%Y-%m-%d}.",
            partner=partner,
            subject=created.id,
            actor=caller.name,
        ),
    )
    note_change(tx, caller.name, "token", created.id, f"{caller.name} created the token {name}.", after=shown(tx, created.id))
    return created


def claim(tx: Tx, code: str, address: str, vault: Vault) -> Claimed:
    """Exchange a claim code for its token, once; the supplier's log says when and from where.

    Raises ClaimUnknown, always with the same words, for a code that is unknown, used or too old, or whose token has ended.
    """
    at = now()
    sealed = store.waiting(tx, model.digest(code), at)
    if sealed is None:
        raise errors.ClaimUnknown
    token = store.by_key(tx, sealed.token)
    if token is None or token.revoked_at is not None or token.expires_at <= at or not store.take(tx, sealed.pk, at, address):
        raise errors.ClaimUnknown
    try:
        secret = vault.unseal(sealed.sealed)
    except VaultLocked:
        raise errors.ClaimUnknown("The vault's key has changed since this bundle was made; ask the supplier for a new one.") from None
    tell(
        tx,
        Entry(
            code="token.claimed",
            message=f"The token {token.name} was claimed from {address or 'an unknown address'}.",
            direction="in",
            partner=token.partner,
            subject=token.id,
        ),
    )
    return Claimed(
        token=secret,
        scopes=sorted(token.scopes),
        expires_at=token.expires_at,
        company=store.our_card(tx),
    )


def rotate(
    tx: Tx,
    caller: Caller,
    id: str,
    *,
    expires_at: dt.datetime | None = None,
    overlap: dt.timedelta = model.OVERLAP,
    longest: dt.timedelta = model.MAX_LIFETIME,
    bundle: Handover | None = None,
) -> Created:
    """Make the successor of a token, with the same scopes and networks and, unless said, the same lifetime, but never beyond `longest`.

    Both are good until `overlap`, in whole hours, after the successor's first use. Repeating it voids a successor nobody used (ruling 23).
    Raises NotFound, WrongState for a token that was revoked or whose successor is in use, ScopeNotYours.
    """
    token = _visible(tx, id)
    model.must_grant(caller, token.scopes, partner=token.partner is not None)
    return _succeed(tx, caller, token, expires_at=expires_at, overlap=overlap, longest=longest, bundle=bundle)


def rotate_own(tx: Tx, caller: Caller, *, longest: dt.timedelta = model.MAX_LIFETIME) -> Created:
    """The successor of the very token a partner called with. Raises RotationNotAllowed unless this partner may."""
    token = _visible(tx, caller.token)
    partner = None if token.partner is None else store.partner_of(tx, token.partner)
    if partner is None or not partner.may_rotate:
        raise errors.RotationNotAllowed
    return _succeed(tx, caller, token, expires_at=None, overlap=model.OVERLAP, longest=longest, bundle=None)


def revoke(tx: Tx, caller: Caller, id: str) -> Token:
    """End a token now, together with successors nobody has used yet: whoever stole it might have made them.

    Revoking again changes nothing. Raises NotFound.
    """
    at = now()
    ending = [_visible(tx, id)]
    while ending:
        token = ending.pop()
        ending += [successor for successor in store.live_successors(tx, token.pk) if successor.first_used_at is None]
        before = store.shown(tx, token.id)
        if not store.revoke(tx, token.pk, at):
            continue
        note_change(tx, caller.name, "token", token.id, f"{caller.name} revoked the token {token.name}.", before, store.shown(tx, token.id))
        tell(
            tx,
            Entry(
                code="token.revoked",
                message=f"{caller.name} revoked the token {token.name}.",
                partner=token.partner,
                subject=token.id,
                actor=caller.name,
            ),
        )
    signal(tx, TOPIC)
    return shown(tx, id)


def shown(tx: Tx, id: str) -> Token:
    """One token as an admin sees it. Raises NotFound."""
    token = store.shown(tx, id)
    if token is None:
        raise errors.NotFound
    return token


def partner_key(tx: Tx, id: str) -> int:
    """Key of a partner by its public id. Raises Invalid."""
    partner = store.partner_named(tx, id)
    if partner is None:
        message = f"There is no partner {id}."
        issue = Issue(code="partner_unknown", message=message, params={"id": id}, pointer="/partner", blocks=True)
        raise errors.Invalid(message, issues=[issue])
    return partner.pk


def note_first_use(tx: Tx, key: int) -> bool:
    """The first use of a successor: from now on its predecessor's days are counted. False when it was revoked meanwhile (ruling 23)."""
    at = now()
    token = store.by_key(tx, key)
    if token is None or token.revoked_at is not None:
        return False
    if not store.note_first_use(tx, key, at):
        # Another request was first; or a rotation has just voided it.
        again = store.by_key(tx, key)
        return again is not None and again.revoked_at is None
    if token.successor_of is None:
        return True
    end = at + token.overlap
    if store.shorten(tx, token.successor_of, end):
        tell(
            tx,
            Entry(
                code="token.replaced",
                message=f"The successor of the token {token.name} is in use; the old one ends {end:%Y-%m-%d %H:%M} UTC.",
                partner=token.partner,
                subject=token.id,
            ),
        )
    signal(tx, TOPIC)
    return True


def sign_in(tx: Tx, *, person: int, name: str, scopes: frozenset[Scope]) -> Created:
    """A token of the house for a person who has just proven a password; it ends in 12 hours and stands in no list."""
    at = now()
    caller = Caller(token="", name=name, scopes=scopes)
    end = at + model.SESSION_LIFETIME
    return _put(tx, caller, model.mint(), name=name, scopes=scopes, at=at, end=end, person=person)


def sign_out(tx: Tx, caller: Caller) -> bool:
    """End the sign-in the caller came with; False when it is a token proper, which is revoked instead."""
    key = store.sign_in_named(tx, caller.token)
    if key is None:
        return False
    store.revoke(tx, key, now())
    signal(tx, TOPIC)
    return True


def sign_out_everywhere(tx: Tx, person: int) -> None:
    """End every sign-in of a person: a new password, fewer scopes, or the person has left."""
    at = now()
    for key in store.sign_ins(tx, person):
        store.revoke(tx, key, at)
    signal(tx, TOPIC)


def carry(tx: Tx, scopes: Mapping[int, frozenset[Scope]]) -> None:
    """Let the running sign-ins of these people (by key) carry these scopes from now on."""
    if store.carry(tx, scopes):
        signal(tx, TOPIC)


def tidy(tx: Tx) -> None:
    """Forget sealed tokens nobody claimed in time, and sign-ins that ended a day ago. Meant to run every few hours."""
    at = now()
    store.forget_unclaimed(tx, at)
    store.forget_sign_ins(tx, at - dt.timedelta(days=1))


def _visible(tx: Tx, id: str) -> Row:
    token = store.by_id(tx, id)
    if token is None:
        raise errors.NotFound
    return token


def _succeed(
    tx: Tx,
    caller: Caller,
    token: Row,
    *,
    expires_at: dt.datetime | None,
    overlap: dt.timedelta,
    longest: dt.timedelta,
    bundle: Handover | None,
) -> Created:
    if not store.touch(tx, token.pk):
        raise errors.WrongState("The token was revoked; create a new one.")
    at = now()
    for successor in store.live_successors(tx, token.pk):
        if not store.void(tx, successor.pk, at):
            raise errors.WrongState(f"The token's successor {successor.id} is in use already; rotate that one.")
    lifetime = min(token.expires_at - token.created_at, longest)
    created = _put(
        tx,
        caller,
        model.mint(),
        name=token.name,
        scopes=token.scopes,
        networks=token.networks,
        at=at,
        end=at + lifetime if expires_at is None else model.end_of(expires_at, at, longest),
        partner=token.partner,
        successor_of=token.pk,
        overlap=overlap,
        bundle=bundle,
    )
    tell(
        tx,
        Entry(
            code="token.rotated",
            message=f"{caller.name} rotated the token {token.name}; the old one ends {_long(overlap)} after the first use of the new.",
            partner=token.partner,
            subject=created.id,
            actor=caller.name,
        ),
    )
    note_change(tx, caller.name, "token", created.id, f"{caller.name} rotated the token {token.name}.", after=shown(tx, created.id))
    signal(tx, TOPIC)
    return created


def _long(span: dt.timedelta) -> str:
    hours = span // dt.timedelta(hours=1)
    return f"{hours // 24} days" if hours % 24 == 0 else f"{hours} hours"


def _put(
    tx: Tx,
    caller: Caller,
    minted: Minted,
    *,
    name: str,
    scopes: frozenset[Scope],
    at: dt.datetime,
    end: dt.datetime,
    networks: Sequence[str] = (),
    partner: int | None = None,
    person: int | None = None,
    successor_of: int | None = None,
    overlap: dt.timedelta = model.OVERLAP,
    bundle: Handover | None = None,
) -> Created:
    public_id = new_id("tk")
    key = store.put(
        tx,
        {
            "id": public_id,
            "name": name,
            "partner": partner,
            "person": person,
            "digest": minted.digest,
            "prefix": minted.prefix,
            "expires_at": end,
            "created_at": at,
            "created_by": caller.name,
            "successor_of": successor_of,
            "overlap_hours": overlap // dt.timedelta(hours=1),
        },
        scopes,
        networks,
    )
    packed = None if bundle is None else _bundle(tx, bundle, key, minted.token, min(at + model.CLAIM_LIFETIME, end))
    return Created(id=public_id, token=minted.token, bundle=packed, scopes=sorted(scopes), expires_at=end)


def _bundle(tx: Tx, handover: Handover, token: int, secret: str, end: dt.datetime) -> str:
    if not is_safe_url(handover.public_url):
        message = "A connection bundle needs a public address with https, so that no token travels in the clear: set PRODSYS_PUBLIC_URL."
        raise errors.Invalid(message, issues=[Issue(code="public_url_not_https", message=message, pointer="/bundle", blocks=True)])
    card = store.our_card(tx)
    code = model.new_claim()
    store.put_claim(tx, token=token, digest=model.digest(code), sealed=handover.vault.seal(secret), expires_at=end)
    return model.pack(Bundle(url=handover.public_url, claim=code, company=card.name if card else "", expires_at=end))
