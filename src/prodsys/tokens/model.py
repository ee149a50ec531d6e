"""What a token looks like, how long it lives, and the bundle it travels in."""

import base64
import binascii
import datetime as dt
import hashlib
import ipaddress
import re
import secrets
import string
import zlib
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue, Party
from prodsys.kit.granting import must_carry
from prodsys.scopes import PARTNER_SCOPES, Caller, Scope

DEFAULT_LIFETIME = dt.timedelta(days=90)
MAX_LIFETIME = dt.timedelta(days=730)
CLAIM_LIFETIME = dt.timedelta(days=7)
SESSION_LIFETIME = dt.timedelta(hours=12)
OVERLAP = dt.timedelta(days=7)
MAX_OVERLAP_DAYS = 90
MAX_NETWORKS = 20
EXPIRING_DAYS = 14
"""A token is called expiring this many days ahead (product.md, A1)."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(r"pst_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}", re.ASCII)
_BUNDLE = "prodsys1:"
_MAX_BUNDLE = 4096

State = Literal["active", "expiring", "overlapping", "expired", "revoked"]


class Minted(msgspec.Struct, frozen=True):
    """A fresh token, known in full only now, and the digest that is kept of it."""

    token: str
    digest: str

    @property
    def prefix(self) -> str:
        """What may be shown of it for ever, so that people can tell tokens apart: `pst_` and 8 signs."""
        return self.token[:12]


class TokenPartner(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a token belongs to."""

    id: str
    name: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as an admin sees it; its secret was shown once and is not kept."""

    id: str
    name: str
    prefix: Annotated[str, Meta(description="How the token begins; the rest is secret.", examples=["pst_7Hq2Lm9x"])]
    partner: Annotated[TokenPartner | None, Meta(description="Null for a token of the house.")]
    scopes: list[str]
    networks: Annotated[list[str], Meta(description="Addresses and networks it may be used from; empty: from everywhere.")]
    state: Annotated[
        State, Meta(description="expiring: ends within 14 days; overlapping: its successor exists, whose first use lets this one end soon.")
    ]
    created_at: dt.datetime
    created_by: str
    expires_at: dt.datetime
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    last_used_address: str
    last_used_client: Annotated[str, Meta(description="What the program called itself, as prodsys/1.0.")]
    claimed_at: Annotated[dt.datetime | None, Meta(description="When its bundle was exchanged for it.")]
    claimed_from: str
    successor_of: Annotated[str | None, Meta(description="Id of the token this one replaces.")]


class Created(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A new token, shown once. `bundle` is there when one was asked for."""

    id: str
    token: str
    bundle: str | None = None
    scopes: list[str]
    expires_at: dt.datetime


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim code is exchanged for: the token, what it may do, and who issued it."""

    token: str
    scopes: list[str]
    expires_at: dt.datetime
    company: Party | None


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a supplier hands over: where to go, a one-use code instead of the secret, whose it is, and until when (ruling 28)."""

    url: Annotated[str, Meta(min_length=1, max_length=500)]
    claim: Annotated[str, Meta(min_length=1, max_length=100)]
    company: Annotated[str, Meta(max_length=200)]
    expires_at: Annotated[dt.datetime, Meta(tz=True)]


def mint() -> Minted:
    """A new token of about 190 random bits: `pst_` + 8 public + `_` + 32 secret + `_` + CRC32, all base62 (ruling 27)."""
    signs = "".join(secrets.choice(_ALPHABET) for _ in range(40))
    body = f"pst_{signs[:8]}_{signs[8:]}"
    token = f"{body}_{_checksum(body)}"
    return Minted(token, digest(token))


def well_formed(text: str) -> bool:
    """Whether this can be a token at all: a typing error is seen without asking the database."""
    return _TOKEN.fullmatch(text) is not None and text[46:] == _checksum(text[:45])


def digest(text: str) -> str:
    """SHA-256 of a whole token or claim code, in hex: all that is kept of it. Enough, since both are random and long."""
    return hashlib.sha256(text.encode()).hexdigest()


def new_claim() -> str:
    """A claim code of 128 random bits."""
    return secrets.token_urlsafe(16)


def pack(bundle: Bundle) -> str:
    """The one string a buyer pastes."""
    return _BUNDLE + base64.urlsafe_b64encode(msgspec.json.encode(bundle)).decode().rstrip("=")


def unpack(text: str) -> Bundle:
    """Read what a buyer pasted; raises Invalid with what is wrong. Line breaks an e-mail put inside are forgiven, nothing else is."""
    whole = "".join(text.split())
    if not whole.startswith(_BUNDLE):
        raise _bad_bundle("bundle_unknown", "This is not a connection bundle: one begins with prodsys1: and is pasted whole.")
    packed = whole.removeprefix(_BUNDLE)
    if len(packed) > _MAX_BUNDLE or not re.fullmatch(r"[A-Za-z0-9_-]+", packed, re.ASCII):
        raise _bad_bundle("bundle_damaged", "This connection bundle holds signs that do not belong there; copy it again, whole.")
    try:
        document = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(document, type=Bundle)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        raise _bad_bundle("bundle_damaged", "This connection bundle is damaged or cut off; copy it again, whole.") from None


def read_scopes(words: Iterable[str], *, partner: bool) -> frozenset[Scope]:
    """The scopes named on a command line; `*` is every scope of the house. Raises Invalid naming the unknown ones."""
    asked = list(words)
    if "*" in asked and not partner:
        return frozenset(Scope)
    known = {scope.value for scope in (PARTNER_SCOPES if partner else Scope)}
    unknown = [word for word in asked if word not in known]
    if unknown:
        raise errors.Invalid(f"There is no scope {', '.join(unknown)} here. There are: {', '.join(sorted(known))}.")
    return frozenset(map(Scope, asked))


def state_of(*, expires_at: dt.datetime, revoked_at: dt.datetime | None, is_replaced: bool, at: dt.datetime) -> State:
    """Which of its states a token is in at a moment."""
    if revoked_at is not None:
        return "revoked"
    if expires_at <= at:
        return "expired"
    if is_replaced:
        return "overlapping"
    return "expiring" if expires_at <= at + dt.timedelta(days=EXPIRING_DAYS) else "active"


def end_of(asked: dt.datetime | None, at: dt.datetime, longest: dt.timedelta = MAX_LIFETIME) -> dt.datetime:
    """When a token made now shall end: as asked, else in 90 days or what is allowed. Raises Invalid for the past and beyond `longest`."""
    if asked is None:
        return at + min(DEFAULT_LIFETIME, longest)
    if at < asked <= at + longest:
        return asked.astimezone(dt.UTC)
    raise errors.Invalid(
        f"A token ends in the future and at most {longest.days} days from now.",
        issues=[
            Issue(
                code="expiry_out_of_range",
                message=f"{asked.isoformat()} is not between now and {longest.days} days from now.",
                params={"expires_at": asked.isoformat(), "days": str(longest.days)},
                pointer="/expires_at",
                blocks=True,
            )
        ],
    )


def read_networks(words: Iterable[str]) -> list[str]:
    """Addresses and networks as they are kept (`192.0.2.7`, `2001:db8::/32`), none twice. Raises Invalid with every one that is neither."""
    found, issues = [], []
    for at, word in enumerate(words):
        try:
            network = ipaddress.ip_network(word.strip(), strict=False)
        except ValueError:
            message = f"{word[:60]} is no IP address and no network such as 192.0.2.0/24."
            issues.append(
                Issue(code="network_unreadable", message=message, params={"text": word[:60]}, pointer=f"/networks/{at}", blocks=True)
            )
            continue
        found.append(str(network.network_address) if network.num_addresses == 1 else str(network))
    if issues:
        raise errors.Invalid("Not everything is an address.", issues=issues)
    if len(found) > MAX_NETWORKS:
        message = f"A token is tied to at most {MAX_NETWORKS} addresses and networks."
        issue = Issue(code="networks_too_many", message=message, params={"most": str(MAX_NETWORKS)}, pointer="/networks", blocks=True)
        raise errors.Invalid(message, issues=[issue])
    return list(dict.fromkeys(found))


def lies_in(address: str, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of these networks; an IPv4 address written as IPv6 is the IPv4 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    known = getattr(found, "ipv4_mapped", None) or found
    return any(known in ipaddress.ip_network(one) for one in networks)


def must_grant(caller: Caller, scopes: frozenset[Scope], *, partner: bool) -> None:
    """Refuse scopes the caller lacks (ScopeNotYours), or a partner may not carry, or none at all (Invalid); ruling 26."""
    if not scopes:
        raise errors.Invalid("A token carries at least one scope.")
    foreign = sorted(scopes - PARTNER_SCOPES) if partner else []
    if foreign:
        raise errors.Invalid(
            "A partner's token may carry only " + ", ".join(sorted(PARTNER_SCOPES)) + ".",
            issues=[
                Issue(
                    code="scope_not_for_partners",
                    message=f"{scope} is not for partners.",
                    params={"scope": scope.value},
                    pointer="/scopes",
                    blocks=True,
                )
                for scope in foreign
            ],
        )
    must_carry(caller, scopes)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    signs = ""
    for _ in range(6):
        number, place = divmod(number, 62)
        signs = _ALPHABET[place] + signs
    return signs


def _bad_bundle(code: str, message: str) -> errors.Invalid:
    return errors.Invalid(message, issues=[Issue(code=code, message=message, pointer="/bundle", blocks=True)])
