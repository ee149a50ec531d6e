"""What this instance says about itself."""

import datetime as dt
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys.documents import Address, Party, Person
from prodsys.scopes import Scope

DOCUMENT_VERSIONS = ("1",)
"""Versions of the documents this program speaks."""


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """Our company as it is kept. `epoch` names this life of the instance: a restore begins a new one (rulings.md, 8)."""

    name: str
    card: Party
    epoch: str
    version: int
    changed_at: dt.datetime


class AskingPartner(msgspec.Struct, frozen=True, kw_only=True):
    """The partner a token belongs to, as we call it."""

    id: str
    name: str


class AskingToken(msgspec.Struct, frozen=True, kw_only=True):
    """The token that asks: what it may, until when, and whose it is (null for the house)."""

    scopes: list[Scope]
    expires_at: str | None
    partner: AskingPartner | None


class RecordOfYou(Party, frozen=True, kw_only=True):
    """The card we keep of the partner who asks; `etag` names its state, for writing it through `/contacts/{id}`."""

    id: str
    etag: str


class CompanyCard(msgspec.Struct, frozen=True, kw_only=True):
    """Our company to whoever asks: the card, the program, and what it makes of the token it was asked with."""

    document_versions: Annotated[list[str], Meta(description="Document versions spoken here.", examples=[["1"]])]
    name: str
    organisation_number: str
    vat_number: str
    gln: str
    email: str
    phone: str
    address: Address
    persons: list[Person]
    version: Annotated[str, Meta(description="Of the program.")]
    modules: Annotated[list[str], Meta(description="Extensions that are switched on.", examples=[["prodsys-to-prodsys"]])]
    epoch: Annotated[str, Meta(description="This life of the instance; another one voids cursors: list again and reconcile.")]
    token: AskingToken
    contact: Annotated[
        RecordOfYou | None,
        Meta(
            description="The card we keep of you, where your token may read it. One conditional request tells whether either has changed."
        ),
    ]
