"""What differs between two cards, and one completed from the other."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from prodsys.contacts.model import MEMBERS, CardDifference, ContactPatch, Member
from prodsys.contacts.spelling import folded, persons_of
from prodsys.documents import Address, Party, Person, plain


def in_one_line(address: Address) -> str:
    """An address as a person reads it in a sentence."""
    street = f"{address.street} {address.house_number}".strip()
    place = f"{address.postcode} {address.city}".strip()
    return ", ".join(part for part in (street, address.street2, place, address.region, address.country) if part)


def without_gaps(kept: Party, other: Party) -> Party:
    """The kept card, with what it leaves empty and the persons it does not name taken from the other one."""
    given: dict[str, Any] = {field: getattr(other, field) for field in MEMBERS if not getattr(kept, field) and getattr(other, field)}
    if not in_one_line(kept.address):
        given["address"] = other.address
    named = persons_of(kept)
    given["persons"] = [*kept.persons, *(one for one in other.persons if folded(one.name) not in named)][:50]
    return msgspec.structs.replace(kept, **given)


def member_in_words(card: Party, member: Member) -> str:
    """One member of a card as a person reads it."""
    match member:
        case "address":
            return in_one_line(card.address)
        case "persons":
            return _people(card.persons)
        case _:
            return str(getattr(card, member))


def with_members(card: Party, other: Party, members: Collection[str]) -> Party:
    """The card, with these members as the other one has them."""
    given: dict[str, Any] = {member: getattr(other, member) for member in members}
    return msgspec.structs.replace(card, **given)


def differences(recorded: Party, proposed: Party) -> list[CardDifference]:
    """What a person sees before accepting a proposed card, member by member, spelling included."""
    pairs = [(member, member_in_words(recorded, member), member_in_words(proposed, member)) for member in MEMBERS]
    return [CardDifference(field=field, recorded=ours, proposed=theirs) for field, ours, theirs in pairs if ours != theirs]


def patched(card: Party, patch: ContactPatch) -> Party:
    """The card with the members given in the patch."""
    given: dict[str, Any] = {field: value for field in Party.__struct_fields__ if (value := getattr(patch, field)) is not UNSET}
    return msgspec.structs.replace(card, **given)


def card_of(form: Party) -> Party:
    """The card alone, trimmed and without what the form adds to it."""
    values: dict[str, Any] = {field: getattr(form, field) for field in Party.__struct_fields__}
    trimmed: dict[str, Any] = {field: plain(value) if isinstance(value, str) else value for field, value in values.items()}
    return Party(**trimmed)


def completed(card: Party, listed: Party) -> Party:
    """The card with what a list says; what the list leaves empty stays. A list knows no contact persons."""
    given: dict[str, Any] = {field: value for field in Party.__struct_fields__ if field != "address" and (value := getattr(listed, field))}
    members = {field: value for field in Address.__struct_fields__ if (value := getattr(listed.address, field))}
    return msgspec.structs.replace(card, address=msgspec.structs.replace(card.address, **members), **given)


def _people(persons: Iterable[Person]) -> str:
    return "; ".join(" ".join(filter(None, (person.name, person.email, person.phone))) for person in persons)
