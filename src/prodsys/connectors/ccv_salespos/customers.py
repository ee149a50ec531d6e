"""Users of the shop, who are its customers: between its words and ours."""

import re
from collections.abc import Mapping
from typing import Any

from prodsys import documents
from prodsys.codes import streets
from prodsys.connectors._base import Known, text
from prodsys.documents import ContactCard, DeliveryPlace

Theirs = Mapping[str, Any]
"""Their words are read by name: hundreds of members, all optional, of which we use a few."""
_HOUSE = re.compile(r"(\d{1,9})\s*(.{0,20})")


def read_user(theirs: Theirs) -> ContactCard:
    """A customer; one with a company name is a company with its contact person, every other one a person."""
    return contact(theirs.get("userinfo"), is_active=theirs.get("status") is not False)


def write_user(ours: ContactCard, known: Known) -> Theirs:  # noqa: ARG001
    """A customer with an account in the shop; its password is made up when it is sent, and kept by nobody."""
    return {"username": ours.email or ours.number or None, "status": ours.is_active, "userinfo": info_of(ours, ours.deliver_to, "")}


def contact(info: Theirs | None, *, is_active: bool = True) -> ContactCard:
    """A customer as users and orders hold one."""
    info = info or {}
    bill = info.get("billingaddress") or {}
    person = text(" ".join(bill[part] for part in ("first_name", "last_name") if bill.get(part)) or bill.get("full_name"), 200)
    company, email = text(bill.get("company"), 200), text(info.get("email"), 120)
    return ContactCard(
        number=text(info.get("reference"), 80), kind="company" if company else "person", name=company or person or email or "?",
        is_active=is_active, organisation_number=text(info.get("kvk"), 80), vat_number=text(info.get("btw"), 80), email=email,
        phone=text(bill.get("telephone") or bill.get("mobile"), 80), address=_address(bill),
        deliver_to=delivery(info.get("deliveryaddress")), persons=[documents.Person(name=person)] if company and person else [],
    )  # fmt: skip


def info_of(ours: ContactCard, there: DeliveryPlace | None, comment: str) -> Theirs:
    """A customer as users and orders hold one; the comment is for the merchant."""
    is_company = ours.kind == "company"
    person = ours.persons[0].name if ours.persons else "" if is_company else ours.name
    first, _, last = person.rpartition(" ")
    bill = {**_place(ours.address), "company": ours.name if is_company else None, "first_name": first or None, "last_name": last or None,
            "telephone": ours.phone or None, "comment": comment or None}  # fmt: skip
    delivery = None
    if there is not None:
        delivery = {**_place(there.address), "company": there.name if is_company else None, "full_name": person or there.name}
    return {"billingaddress": bill, "deliveryaddress": delivery, "email": ours.email or None, "reference": ours.number or None,
            "customertype": "b2b" if is_company else "b2c", "btw": ours.vat_number or None,
            "kvk": ours.organisation_number or None}  # fmt: skip


def _place(ours: documents.Address) -> Theirs:
    place: dict[str, Any] = {"zipcode": ours.postcode or None, "city": ours.city or None, "province": ours.region or None,
                             "country_code": ours.country or None}  # fmt: skip
    house = _HOUSE.fullmatch(ours.house_number)
    if house and not ours.street2:
        return place | {"street": ours.street, "housenumber": int(house[1]), "housenumber_suffix": house[2] or None}
    line = streets.join(ours.street, ours.house_number, ours.country)
    return place | {"address_line_1": line or None, "address_line_2": ours.street2 or None}


def _address(theirs: Theirs) -> documents.Address:
    country, street = text(theirs.get("country_code"))[:2].upper(), text(theirs.get("street"))
    number = f"{theirs.get('housenumber') or ''}{theirs.get('housenumber_suffix') or ''}"
    if not street:
        street, number = streets.split(text(theirs.get("address_line_1")), country)
    return documents.Address(street=street, house_number=text(number, 80), street2=text(theirs.get("address_line_2")), country=country,
                             postcode=text(theirs.get("zipcode"), 80), city=text(theirs.get("city"), 120),
                             region=text(theirs.get("province"), 120))  # fmt: skip


def delivery(theirs: Theirs | None) -> DeliveryPlace | None:
    """Where goods go; None where they say nothing of it."""
    theirs = theirs or {}
    place = DeliveryPlace(name=text(theirs.get("company") or theirs.get("full_name")), address=_address(theirs))
    return None if place == DeliveryPlace() else place
