"""A company of theirs as a contact card, and a card as a company of theirs."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prodsys.codes import streets
from prodsys.connectors._base import Known, Record, moment, text
from prodsys.connectors._erpsync import Actor
from prodsys.documents import Address, ContactCard, Person


class RemoteActor(msgspec.Struct, frozen=True, kw_only=True):
    """An actor of theirs, the contact persons of a company beside it."""

    type: str = "Customer"
    key: str = ""
    changed: str = ""
    values: dict[str, str] = {}
    persons: list[dict[str, str]] = []


_FIELDS = {
    "NAME": "name", "NUMBER2": "number", "ORGNO": "organisation_number", "VATNO": "vat_number", "GLN": "gln", "EMAIL": "email",
    "PHONE": "phone",
}  # fmt: skip


_IN_ADDRESS = {"STREETAD2": "street2", "STREETZIP": "postcode", "STREETCITY": "city", "STREETSTATE": "region", "COUNTRY": "country"}


_LONGEST = {"name": 200, "email": 120}


def read_actor(theirs: RemoteActor) -> ContactCard:
    """A company of theirs, by the keys SuperOffice maps by itself."""
    held = theirs.values
    parts = {member: text(held.get(key, ""), 120 if member in ("city", "region") else 80) for key, member in _IN_ADDRESS.items()}
    country = parts["country"].upper() if len(parts["country"]) == 2 else ""
    street, number = streets.split(text(held.get("STREETAD1", "")), country)
    members: dict[str, Any] = {member: text(held.get(key, ""), _LONGEST.get(member, 80)) for key, member in _FIELDS.items()}
    return ContactCard(
        **members,
        is_customer=theirs.type == "Customer",
        is_supplier=theirs.type == "Supplier",
        address=Address(**parts | {"street": street, "house_number": number[:80], "country": country}),
        persons=[person for one in theirs.persons[:50] if (person := read_person(one)).name],
    )


def read_person(values: Mapping[str, str]) -> Person:
    """A contact person of theirs."""
    named = " ".join(part for key in ("FIRSTNAME", "MIDDLENAME", "LASTNAME") if (part := values.get(key, "").strip()))
    phone = values.get("PHONE_DIRECT") or values.get("PHONE_MOBILE") or ""
    return Person(name=text(named, 200), email=text(values.get("EMAIL", ""), 120), phone=text(phone, 80))


def write_actor(card: ContactCard, _: Known) -> dict[str, Any]:
    """A card as the fields of a company of theirs; what is empty is not said."""
    address = card.address
    values = {key: getattr(card, member) for key, member in _FIELDS.items()}
    values |= {key: getattr(address, member) for key, member in _IN_ADDRESS.items()}
    values["STREETAD1"] = streets.join(address.street, address.house_number, address.country)
    said = {key: value for key, value in values.items() if value}
    return {"type": "Supplier" if card.is_supplier and not card.is_customer else "Customer", "values": said}


def record_of(actor: Actor, persons: Sequence[Actor]) -> Record:
    theirs = RemoteActor(
        type=actor.type,
        key=actor.key,
        changed=actor.changed,
        values=dict(actor.values),
        persons=[dict(one.values) for one in persons],
    )
    changed_at = moment(actor.changed) if "-" in actor.changed else None
    return Record(id=actor.key, number=actor.values.get("NUMBER2", ""), theirs=msgspec.to_builtins(theirs), changed_at=changed_at)
