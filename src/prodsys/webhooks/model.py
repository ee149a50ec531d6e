"""Who wants to be told of what, under which address, and how such a message is signed (Standard Webhooks 1.0.0)."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.kit.outbound import Trust

OVERLAP = dt.timedelta(hours=24)
"""How long a secret that was replaced still signs, beside its successor."""
LASTING = dt.timedelta(days=5)
"""How long nothing may get through before a webhook is disabled."""
TOLERANCE = dt.timedelta(minutes=5)
"""How far a message's timestamp may lie from our clock (rulings.md, 21)."""
REMEMBERED = dt.timedelta(hours=72)
"""How long the id of a message we took is known (rulings.md, 21)."""
MAX_WEBHOOKS = 20
"""Of one partner, and of the house."""
MAX_BODY = 64 * 1024

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_MAX_SIGNATURES = 10
_ID = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)


class Event(StrEnum):
    """What can be told."""

    ORDER_ANSWERED = "order.answered"
    ORDER_DESPATCHED = "order.despatched"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_MESSAGE = "order.message"
    TOKEN_EXPIRING = "token.expiring"  # noqa: S105 - the name of an event
    DRAFT_RECEIVED = "draft.received"
    ORDER_APPROVED = "order.approved"
    ORDER_CHANGED = "order.changed"
    ORDER_RECEIVED = "order.received"


PARTNER_EVENTS = frozenset({Event.ORDER_ANSWERED, Event.ORDER_DESPATCHED, Event.ORDER_CANCELLED, Event.ORDER_MESSAGE, Event.TOKEN_EXPIRING})
HOUSE_EVENTS = frozenset({Event.DRAFT_RECEIVED, Event.ORDER_APPROVED, Event.ORDER_CHANGED, Event.ORDER_RECEIVED})

TO_PARTNER = {
    "order.despatched": Event.ORDER_DESPATCHED,
    "order.cancelled": Event.ORDER_CANCELLED,
    "order.cancel_requested": Event.ORDER_CANCELLED,
    "order.cancellation_refused": Event.ORDER_CANCELLED,
    "order.message": Event.ORDER_MESSAGE,
}
"""The event a change of the feed is told as; any other is an answer."""
TO_HOUSE = {
    "order.approved": Event.ORDER_APPROVED,
    "order.changed": Event.ORDER_CHANGED,
    "order.goods_received": Event.ORDER_RECEIVED,
}
"""The event that a change of a feed, or an entry in the logs, is to the house's own programs."""


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says: enough to know where to look, never the documents themselves."""

    id: Annotated[str, Meta(description="Public id of what it is about.")]
    number: str = ""
    position: Annotated[int, Meta(description="Where the partner's change feed tells all of it; 0 outside the feed.")] = 0
    epoch: Annotated[str, Meta(description="The life of this instance the position belongs to.")] = ""


_SILENT = frozenset({"dns", "private_address"})
NOT_CALLABLE = "address_not_callable"
_NOT_CALLABLE = "The address cannot be called from here: its name is not known, or it does not lead to a public address."


def told_to(partner: int | None, reason: str, detail: str) -> tuple[str, str]:
    """Why an address is not called, as code and sentence; a partner does not learn from us what names mean inside our network."""
    return (NOT_CALLABLE, _NOT_CALLABLE) if partner is not None and reason in _SILENT else (reason, detail)


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is signed and sent; its id, the timestamp of the attempt and the signature travel in the headers."""

    type: str
    timestamp: Annotated[dt.datetime, Meta(description="When it happened.")]
    data: Happened


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that is to be called."""

    url: Annotated[str, Meta(min_length=1, max_length=2000, description="https on port 443 or 8443, publicly reachable.")]
    events: Annotated[list[Event], Meta(min_length=1, max_length=len(Event))]


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """An address that is called; its secret is shown only when it is made."""

    id: str
    url: str
    events: list[Event]
    is_enabled: Annotated[bool, Meta(description="False after lasting failure; a test that gets through enables it again.")]
    created_at: dt.datetime
    last_delivered_at: Annotated[dt.datetime | None, Meta(description="To the minute.")]
    failing_since: dt.datetime | None
    failures: Annotated[int, Meta(description="Attempts in a row that did not get through.")]
    last_error: str
    disabled_at: dt.datetime | None
    both_sign_until: Annotated[dt.datetime | None, Meta(description="Until then the secret before the last rotation signs too.")]


class WebhookWithSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook just made or rotated, with what its messages are signed by; shown once."""

    webhook: Webhook
    secret: Annotated[str, Meta(description="whsec_ and base64, as Standard Webhooks 1.0.0 spells it.")]


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a test message met."""

    delivered: bool
    status: Annotated[int | None, Meta(description="Null when no answer came.")]
    sentence: str
    webhook: Webhook


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What sending needs to know of a webhook; the secrets stay sealed."""

    pk: int
    id: str
    partner: int | None
    partner_name: str
    url: str
    sealed: str
    sealed_before: str | None
    before_until: dt.datetime | None
    is_enabled: bool
    failing_since: dt.datetime | None


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """Where a supplier's messages come in: our registration at him. Without `sealed` he has not answered it yet."""

    pk: int
    id: str
    partner: int
    partner_id: str
    sealed: str | None


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A supplier whose registration is to be made, looked after or renewed."""

    partner: int
    partner_id: str
    name: str
    endpoint: str
    trust: Trust
    sealed_token: str
    inbox: str | None = None
    base: str = ""
    at_endpoint: str = ""
    their_id: str = ""
    registered_at: dt.datetime | None = None
    fault: str = ""


def new_secret() -> str:
    """A secret of 256 bits as Standard Webhooks spells it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message: `v1,` and the base64 of HMAC-SHA256 over id.timestamp.body. Raises ValueError for what is no secret."""
    signed = hmac.digest(_key(secret), f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def is_genuine(secret: str, *, id: str, timestamp: str, signature: str, body: bytes, at: dt.datetime) -> bool:
    """Whether a message was signed with this secret within five minutes of `at`; one good signature among ten is enough."""
    if not _ID.fullmatch(id) or not _TIMESTAMP.fullmatch(timestamp):
        return False
    if abs(int(timestamp) - at.timestamp()) > TOLERANCE.total_seconds():
        return False
    try:
        wanted = sign(secret, id, int(timestamp), body).encode()
    except ValueError:
        return False
    given = signature.encode("utf-8", "replace").split(b" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]
    # All of them are compared, so that the time says nothing.
    return sum([hmac.compare_digest(wanted, one) for one in given]) > 0


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as fault:
        raise ValueError("This is not a secret of a webhook.") from fault
    if not secret.startswith(_PREFIX) or not key:
        raise ValueError("This is not a secret of a webhook.")
    return key


def not_tellable(events: Sequence[Event], *, is_house: bool) -> list[tuple[int, Event]]:
    """The wished events, with their places, that are told to the other kind of caller only."""
    told = HOUSE_EVENTS if is_house else PARTNER_EVENTS
    return [(at, event) for at, event in enumerate(events) if event not in told]


def lane_of(webhook: str) -> str:
    """The outbox lane of everything that goes to a webhook; also its chain, so that messages keep their order."""
    return f"hook:{webhook}"
