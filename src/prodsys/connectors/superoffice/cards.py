"""Our contacts as SuperOffice's actors: their fields, and the way between its values and our members."""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from prodsys.codes import is_country, streets
from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import text
from prodsys.connectors._erpsync import Actor, Field, Value
from prodsys.connectors.superoffice.desk import Company, ContactPerson, Found
from prodsys.documents import Address, Person

COMPANIES = ("Customer", "Supplier")
TYPES = (*COMPANIES, "Person")
PERSON = "Person"
COUNTRIES = "countries"
_COMPANY = (
    Field(key="NAME", name="Name", longest=200, access="Mandatory"),
    Field(key="ORGNO", name="Organisation number", longest=80),
    Field(key="VATNO", name="VAT number", longest=80),
    Field(key="GLN", name="GLN", longest=80),
    Field(key="EMAIL", name="E-mail", longest=120),
    Field(key="PHONE", name="Telephone", longest=80),
    Field(key="STREETAD1", name="Street and number", longest=254),
    Field(key="STREETAD2", name="Street, second line", longest=254),
    Field(key="STREETZIP", name="Postcode", longest=80),
    Field(key="STREETCITY", name="City", longest=120),
    Field(key="STREETSTATE", name="State or region", longest=120),
    Field(key="COUNTRY", name="Country", type="List", list=COUNTRIES),
    Field(key="BLOCKED", name="Blocked", type="Checkbox", access="ReadOnly", about="Orders of this company are refused."),
    Field(key="PERSONS", name="Number of contact persons", type="Integer", access="ReadOnly"),
    Field(key="CREATED", name="Known since", type="Datetime", access="ReadOnly"),
    Field(key="CHANGED", name="Last changed", type="Datetime", access="ReadOnly"),
)
_PERSON = (
    Field(key="FIRSTNAME", name="First name", longest=100),
    Field(key="LASTNAME", name="Last name", longest=99, access="Mandatory"),
    Field(key="EMAIL", name="E-mail", longest=120),
    Field(key="PHONE_DIRECT", name="Direct telephone", longest=80),
)


def _ranked(fields: Sequence[Field]) -> dict[str, Field]:
    return {field.key: msgspec.structs.replace(field, rank=rank) for rank, field in enumerate(fields, 1)}


FIELDS: Mapping[str, Mapping[str, Field]] = {"Customer": _ranked(_COMPANY), "Supplier": _ranked(_COMPANY), PERSON: _ranked(_PERSON)}
"""The fields of each type of actor, by key; SuperOffice maps those with its own names by itself."""


def company_values(company: Company) -> dict[str, Value]:
    """What a company's fields hold."""
    address = company.address
    return {
        "NAME": company.name,
        "ORGNO": company.organisation_number,
        "VATNO": company.vat_number,
        "GLN": company.gln,
        "EMAIL": company.email,
        "PHONE": company.phone,
        "STREETAD1": streets.join(address.street, address.house_number, address.country),
        "STREETAD2": address.street2,
        "STREETZIP": address.postcode,
        "STREETCITY": address.city,
        "STREETSTATE": address.region,
        "COUNTRY": address.country,
        "BLOCKED": company.is_blocked,
        "PERSONS": company.persons,
        "CREATED": company.created_at,
        "CHANGED": company.changed_at,
    }


def person_values(person: Person) -> dict[str, Value]:
    """What a contact person's fields hold; the last word of a name is the last name."""
    first, _, last = person.name.rpartition(" ")
    return {"FIRSTNAME": first, "LASTNAME": last, "EMAIL": person.email, "PHONE_DIRECT": person.phone}


_MEMBERS = {
    "NAME": "name", "ORGNO": "organisation_number", "VATNO": "vat_number", "GLN": "gln", "EMAIL": "email", "PHONE": "phone",
}  # fmt: skip
_IN_ADDRESS = {"STREETAD2": "street2", "STREETZIP": "postcode", "STREETCITY": "city", "STREETSTATE": "region", "COUNTRY": "country"}


def company_members(values: Mapping[str, Value], address: Address) -> dict[str, Any]:
    """The members of our card that given fields change; *address* is what it was, so that a part of it can be given alone."""
    members: dict[str, Any] = {member: text(values[key], 200) for key, member in _MEMBERS.items() if key in values}
    parts: dict[str, Any] = {member: text(values[key]) for key, member in _IN_ADDRESS.items() if key in values}
    if "STREETAD1" in values:
        country = parts.get("country", address.country)
        line = text(values["STREETAD1"])
        if line != streets.join(address.street, address.house_number, country):
            parts["street"], parts["house_number"] = streets.split(line, country)
    return members | ({"address": msgspec.structs.replace(address, **parts)} if parts else {})


def changed_person(values: Mapping[str, Value], person: Person | None) -> Person:
    """A contact person with the given fields changed."""
    now_held = person_values(person) if person is not None else {}
    held = {key: text(value) for key, value in {**now_held, **values}.items()}
    name = f"{held.get('FIRSTNAME', '')} {held.get('LASTNAME', '')}".strip()
    return Person(name=name, email=held.get("EMAIL", ""), phone=held.get("PHONE_DIRECT", ""))


def company_actor(type: str, company: Company, keys: Sequence[str] = ()) -> Actor:
    """A company as it travels, with these fields (none: all)."""
    return Actor(type=type, key=company.key, changed=stamp(company.changed_at), values=_encoded(company_values(company), keys))


def person_actor(found: ContactPerson, keys: Sequence[str] = ()) -> Actor:
    """A contact person as it travels, with these fields (none: all)."""
    return Actor(
        type=PERSON,
        key=found.key,
        changed=stamp(found.changed_at),
        values=_encoded(person_values(found.person), keys),
        parent_type=found.parent_type,
        parent_key=found.parent_key,
    )


def stamp(changed_at: dt.datetime) -> str:
    """When something changed, as a text that sorts as the moments do."""
    return f"{changed_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _encoded(values: Mapping[str, Value], keys: Sequence[str]) -> dict[str, str]:
    return {key: wire.encoded(value) for key, value in values.items() if not keys or key in keys}


@cache
def countries() -> Mapping[str, str]:
    """Every country by its code, in English."""
    from babel import Locale

    names = Locale("en").territories
    return {code: name for code, name in sorted(names.items(), key=lambda one: one[1]) if is_country(code)}


def actor_of(type: str, found: Found, keys: Sequence[str]) -> Actor:
    """A company or a person as the actor that is asked for, with these fields or all."""
    return company_actor(type, found, keys) if isinstance(found, Company) else person_actor(found, keys)


def actors_of(type: str, found: Sequence[Found], keys: Sequence[str]) -> list[Actor]:
    """Several of them."""
    return [actor_of(type, one, keys) for one in found]


def values_of(found: Found) -> dict[str, Value]:
    """What an actor's fields hold."""
    return company_values(found) if isinstance(found, Company) else person_values(found.person)
