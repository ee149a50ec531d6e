"""What an operation is asked for, read and checked."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from prodsys.codes import is_country
from prodsys.connectors import _erpsync as wire
from prodsys.connectors.superoffice.cards import COUNTRIES, FIELDS, TYPES, countries
from prodsys.connectors.superoffice.desk import Declined, Desk

Members = dict[str, Any]

MOST_AT_ONCE = 2_000
"""Actors that can be asked for by key, or saved, in one call."""


class NotDone(Exception):
    """Raised inside an operation, and answered as its result."""

    def __init__(self, user: str, *, tech: str = "", code: str = "") -> None:
        super().__init__(user)
        self.declined = Declined(user=user, tech=tech or user, code=code)


def guid_of(asked: Mapping[str, Any]) -> str:
    """The id of the connection meant. Raises NotDone."""
    said = wire.word(asked, "ConnectionGuid").strip()
    try:
        return str(uuid.UUID(said))
    except ValueError:
        raise NotDone("This connection is not known here.", tech=f"{said[:60]} is no GUID.", code=wire.UNKNOWN_CONNECTION) from None


async def connection_of(asked: Mapping[str, Any], desk: Desk, *, also_none: bool = False) -> Mapping[str, str]:
    """What was filled in for the connection meant; `also_none` where there need not be one yet. Raises NotDone."""
    guid = guid_of(asked)
    if also_none and guid == wire.NO_GUID:
        return {}
    settings = await desk.settings(guid)
    if settings is None:
        # They then send what was filled in once more, and ask again.
        raise NotDone("This connection is not known here; save it again.", tech=f"No connection {guid}.", code=wire.UNKNOWN_CONNECTION)
    return settings


def settings_of(given: Mapping[str, str]) -> dict[str, str]:
    """What was filled in, as it is kept; fields of another version of the form are left out. Raises NotDone for what cannot be used."""
    by_key = {key.upper(): value for key, value in given.items()}
    country = str(wire.decoded("List", by_key.get("COUNTRY", ""))).strip().upper()
    if country and not is_country(country):
        raise NotDone(f"Choose a country from the list; {country[:20]} is none.", tech="COUNTRY is no ISO 3166-1 code.")
    try:
        is_read_only = wire.decoded("Checkbox", by_key.get("READONLY", ""))
    except ValueError as error:
        raise NotDone("Only read is either ticked or not.", tech=f"READONLY: {error}") from None
    return {"COUNTRY": country, "READONLY": "1" if is_read_only else "0"}


def must_be_writable(settings: Mapping[str, str]) -> None:
    """Raises NotDone where the connection only reads."""
    if settings.get("READONLY") == "1":
        raise NotDone("This connection only reads; nothing is made or changed.", tech="READONLY is ticked for the connection.")


def type_of(asked: Mapping[str, Any], member: str = "ActorType", of: Sequence[str] = TYPES) -> str:
    """The type of actor a member names. Raises NotDone."""
    said = wire.word(asked, member).strip()
    found = next((one for one in of if one.casefold() == said.casefold()), None)
    if found is None:
        raise not_supported(said)
    return found


def not_supported(type: str) -> NotDone:
    """Why nothing can be done with a type."""
    said = f"Actors of the type {type[:40] or '(none)'} are not supported here; there are {', '.join(TYPES)}."
    return NotDone(said, tech=said)


def field_keys(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that are wanted of each actor. Raises NotDone."""
    keys = wire.texts(asked.get("FieldKeys"))
    fields = FIELDS[type_of(asked)]
    if strangers := [key for key in keys if key not in fields]:
        raise NotDone(f"There is no field {strangers[0][:60]}.", code=wire.UNKNOWN_FIELD)
    return keys


def list_of(asked: Mapping[str, Any]) -> Mapping[str, str]:
    """The entries of the list meant. Raises NotDone."""
    name = wire.word(asked, "ListName")
    if name.casefold() != COUNTRIES:
        raise NotDone(f"There is no list {name[:60]}.", tech=f"The only list is {COUNTRIES}.")
    return countries()


def declined(why: Declined, **members: Any) -> Members:
    """What is answered where something is not done."""
    return wire.result("Error", code=why.code, tech=why.tech or why.user, user=why.user, **members)
