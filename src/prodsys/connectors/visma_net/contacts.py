"""Customers of Visma.net: between its words and ours."""

from typing import Any

from prodsys.connectors._base import Known, Limit, Lookup, Resource, at, by_reading
from prodsys.connectors._words import contact_person, persons, place, rules, spelled
from prodsys.connectors.visma_net.form import Config
from prodsys.connectors.visma_net.interface import Theirs, read_address, recent_v1, since_v1, wrapped, write_address
from prodsys.documents import ContactCard

_BOTH_WAYS = {"name": "name", "organisation_number": "corporateId", "vat_number": "vatRegistrationId", "gln": "gln",
              "email": "mainContact.email", "phone": "mainContact.phone1", "currency": "currencyId"}  # fmt: skip
_READ = spelled(ContactCard, **_BOTH_WAYS, number="number", payment_terms="creditTerms.id", customer_class="customerClass.id")
_WRITTEN = spelled(ContactCard, **_BOTH_WAYS, number="accountReference", payment_terms="creditTermsId", note="note")


def read_customer(theirs: Theirs) -> ContactCard:
    """A customer in our words. Who is to be asked for there (attention) is its contact person."""
    there, main = theirs.get("deliveryAddress"), theirs.get("mainAddress")
    elsewhere = place(at(theirs, "deliveryContact.name"), read_address(there)) if there is not None and there != main else None
    return ContactCard(**_READ.read(theirs), is_active=theirs.get("status") != "Inactive", address=read_address(main),
                       deliver_to=elsewhere, persons=persons(at(theirs, "mainContact.attention")))  # fmt: skip


def write_customer(ours: ContactCard, known: Known) -> dict[str, Any]:
    """A customer in their words; our number is kept as their account reference. A person may have a customer class of its own."""
    config: Config = known.config
    words, there = _WRITTEN.write(ours), ours.deliver_to
    of_persons = config.private_class if ours.kind == "person" else ""
    return wrapped(words | {
        "overrideWithClassValues": True, "status": "Active" if ours.is_active else "Inactive",
        "customerClassId": ours.customer_class or of_persons or config.customer_class, "mainAddress": write_address(ours.address),
        "mainContact": {"name": ours.name, "attention": contact_person(ours).name, **words.get("mainContact", {})},
        "deliveryAddress": write_address(there.address) if there else None,
        "deliveryContact": {"name": there.name} if there else None,
    })  # fmt: skip


CONTACTS = Resource(
    path="/v1/customer", key="number", number="number", read=read_customer, write=write_customer, update="put",
    find_by={"email": Lookup(lambda value: {"email": value}, "mainContact.email"), "number": Lookup(lambda _: {}, "number"),
             "name": Lookup(lambda value: {"name": value}, "name"),
             "organisation_number": Lookup(lambda value: {"corporateId": value}, "corporateId"),
             "reference": by_reading("accountReference", recent_v1)},
    since=since_v1, changed="lastModifiedDateTime",
    limits=rules(Limit(field="address.street", says="Mandatory, with the postcode, for most customer classes."),
                 needed=("name", "address.country")),
    provenance={"number, name, addresses, contact, class, terms": "documented", "look-up by e-mail": "client code",
                "our number as account reference": "assumed", "clock of changes (taken as UTC)": "assumed"},
)  # fmt: skip
