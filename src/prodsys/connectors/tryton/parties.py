"""Parties of Tryton: between its words and ours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prodsys.connectors._base import Known, Limit, Lookup, Resource, text
from prodsys.connectors._words import spelled
from prodsys.connectors.tryton.words import PLACE, Theirs, changed, dotted, equal, read_address, read_place, write_place
from prodsys.documents import ContactCard, Person

ASKED = ("code", "name", "active", "customer_payment_term", *dotted("addresses", *PLACE), *dotted("identifiers", "type", "code"),
         *dotted("contact_mechanisms", "type", "value", "name"))  # fmt: skip
ROWS: Mapping[str, Callable[[Theirs], Any]] = {
    "addresses": lambda row: bool(row.get("delivery")),
    "contact_mechanisms": lambda row: (row.get("type"), row.get("name") or None),
    "identifiers": lambda row: row.get("type"),
}
"""The rows of a party, and by what two of them are the same one."""
_ORGANISATION = {"NO": "no_orgnr", "SE": "se_orgnr", "FI": "fi_ytunnus", "FR": "fr_siren", "BE": "be_businessid",
                 "DE": "de_handelsregisternummer", "PL": "pl_regon", "EE": "ee_registrikood"}  # fmt: skip
_PARTY = spelled(ContactCard, number="code", name="name", is_active="active", payment_terms="customer_payment_term")


def read_party(theirs: Theirs) -> ContactCard:
    """A party in our words; without a role where it has bought and sold nothing, a customer where that was not looked up.

    Tryton does not tell a person from a company; ways to reach somebody by name are its contact persons.
    """
    places, identifiers = theirs.get("addresses") or [], theirs.get("identifiers") or []
    invoiced = sorted(places, key=lambda place: not place.get("invoice"))
    delivered = [place for place in places if place.get("delivery") and place is not invoiced[0]]
    ways = [way for way in theirs.get("contact_mechanisms") or [] if way.get("value")]
    names = dict.fromkeys(text(way["name"], 200) for way in ways if way.get("name"))
    return ContactCard(
        **_PARTY.read(theirs), is_customer=theirs.get("is_customer", True), is_supplier=theirs.get("is_supplier", False),
        organisation_number=text(next((one["code"] for one in identifiers if one.get("type") in _ORGANISATION.values()), ""), 80),
        vat_number=text(next((one["code"] for one in identifiers if str(one.get("type")).endswith("_vat")), ""), 80),
        email=_way(ways, "email", "", 120), phone=_way(ways, "phone", "", 80) or _way(ways, "mobile", "", 80),
        address=read_address(invoiced[0] if invoiced else None), deliver_to=read_place(delivered[0]) if delivered else None,
        persons=[Person(name=name, email=_way(ways, "email", name, 120), phone=_way(ways, "phone", name, 80)) for name in names][:50],
    )  # fmt: skip


def write_party(ours: ContactCard, _known: Known) -> dict[str, Any]:
    """A party in their words, its rows without the commands that make or change them."""
    country = ours.address.country
    places = [write_place(ours.address, "") | {"invoice": True}]
    if ours.deliver_to is not None:
        places.append(write_place(ours.deliver_to.address, ours.deliver_to.name) | {"delivery": True})
    ways = [(kind, value, "") for kind, value in (("email", ours.email), ("phone", ours.phone))]
    ways += [(kind, value, one.name) for one in ours.persons for kind, value in (("email", one.email), ("phone", one.phone))]
    identifiers = [(f"{country.lower()}_vat" if country else None, ours.vat_number), (_ORGANISATION.get(country), ours.organisation_number)]
    return _PARTY.write(ours) | {
        "addresses": places,
        "contact_mechanisms": [{"type": kind, "value": value, "name": name or None} for kind, value, name in ways if value],
        "identifiers": [{"type": kind, "code": code} for kind, code in identifiers if code and kind],
    }


def _way(ways: Sequence[Theirs], kind: str, name: str, longest: int) -> str:
    return next((text(way["value"], longest) for way in ways if way.get("type") == kind and text(way.get("name"), 200) == name), "")


PARTIES = Resource(
    path="party.party", number="code", read=read_party, write=write_party, update="patch", changed="write_date",
    since=changed("", "addresses.", "contact_mechanisms.", "identifiers."),
    find_by={"reference": equal("code"), "number": equal("code"), "name": equal("name"),
             "email": Lookup(lambda value: {"contact_mechanisms.value ilike": value}, "contact_mechanisms.value"),
             "organisation_number": equal("identifiers.code"), "vat_number": equal("identifiers.code")},
    limits=(Limit(field="organisation_number", says="Tryton checks it by the rules of the country, VAT numbers as well."),),
    provenance={"code, name, addresses, ways of contact, identifiers, payment term": "documented"},
)  # fmt: skip
