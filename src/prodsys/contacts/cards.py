"""What differs between two cards, and one completed from the other."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from prodsys.contacts.model import MEMBERS, CardDifference, ContactPatch, Member
from prodsys.contacts.spelling import folded, persons_of
from prodsys.documents import Address, Party, Person, plain

_PARTS = (("street", "house_number", "street2"), ("postcode", "city", "region"), ("country",))
"""What of an address is said together."""


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


def spoken(ours: Party, theirs: Party, *, all_persons: bool = True) -> Party:
    """Their card, with what it does not say as we have it: silence is no difference, and nothing of ours is emptied by it.

    Of an address the street, the place and the country are said each for itself. `all_persons`: whoever it does not name is gone, if it
    names anybody; an order names only who wrote it.
    """
    given: dict[str, Any] = {field: getattr(ours, field) for field in Party.__struct_fields__ if not getattr(theirs, field)}
    given["address"] = _spoken_address(ours.address, theirs.address)
    if theirs.persons and not all_persons:
        given["persons"] = _spoken_persons(ours.persons, theirs.persons)
    return msgspec.structs.replace(theirs, **given)


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


def _spoken_address(ours: Address, theirs: Address) -> Address:
    given: dict[str, str] = {}
    for part in _PARTS:
        said = {field: value for field in part if (value := getattr(theirs, field))}
        # A street said anew comes without the house number of the old one.
        if all(value == getattr(ours, field) for field, value in said.items()):
            given |= {field: getattr(ours, field) for field in part}
    return msgspec.structs.replace(theirs, **given)


def _spoken_persons(ours: Sequence[Person], theirs: Sequence[Person]) -> list[Person]:
    named = {folded(person.name): person for person in theirs}
    kept = [_spoken_person(person, named.pop(folded(person.name), person)) for person in ours]
    return [*kept, *named.values()][:50]


def _spoken_person(ours: Person, theirs: Person) -> Person:
    return msgspec.structs.replace(theirs, email=theirs.email or ours.email, phone=theirs.phone or ours.phone)


def _people(persons: Iterable[Person]) -> str:
    return "; ".join(" ".join(filter(None, (person.name, person.email, person.phone))) for person in persons)
