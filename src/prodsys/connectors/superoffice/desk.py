"""Who keeps the contacts SuperOffice asks for, and what is said to him and by him."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

from prodsys.connectors._erpsync import Value
from prodsys.documents import Address, Person


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """A contact of ours as SuperOffice sees it: a customer or a supplier, under the key it was asked for."""

    key: str
    name: str
    organisation_number: str = ""
    vat_number: str = ""
    gln: str = ""
    email: str = ""
    phone: str = ""
    address: Address = msgspec.field(default_factory=Address)
    persons: int = 0
    is_blocked: bool = False
    created_at: dt.datetime
    changed_at: dt.datetime


class ContactPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A contact person of one of our contacts, under a key that stays his."""

    key: str
    person: Person
    parent_type: str
    parent_key: str
    changed_at: dt.datetime


Found = Company | ContactPerson


class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not done: a sentence for the user, one for whoever mends it, and a code of the contract's, if one fits."""

    user: str
    tech: str = ""
    code: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was made or changed; `remark` is for the user, where it is not quite what he asked for."""

    found: Found
    remark: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made or changed, read and checked: only the members that were given. An empty `key`: make it."""

    type: str
    key: str
    parent_type: str
    parent_key: str
    values: Mapping[str, Value]


class Desk(Protocol):
    """Who keeps the contacts. Every GUID is one connection SuperOffice has made with us; what it filled in for it is kept with it."""

    async def settings(self, guid: str) -> Mapping[str, str] | None:
        """What was filled in for a connection; None for one that is not known here."""

    async def save(self, guid: str, settings: Mapping[str, str]) -> None:
        """Keep a connection."""

    async def forget(self, guid: str) -> None:
        """Let go of a connection, if it is there."""

    async def get(self, type: str, keys: Sequence[str]) -> Sequence[Found]:
        """Those of these actors that are there."""

    def every(self, type: str) -> AsyncIterator[Sequence[Found]]:
        """All actors of a type, piece by piece."""

    def changed(self, type: str, since: dt.datetime | None) -> AsyncIterator[Sequence[Found]]:
        """Those changed at a moment or after it (None: all), but nothing that something else may still turn out to be older than."""

    async def persons_of(self, parent_type: str, parent_key: str) -> Sequence[Found]:
        """The contact persons of one company."""

    async def create(self, wanted: Wanted, settings: Mapping[str, str]) -> Done | Declined:
        """Make an actor."""

    async def change(self, wanted: Wanted) -> Done | Declined:
        """Change the given members of an actor."""
