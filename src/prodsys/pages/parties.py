"""A company's card in a form: its fields are the same wherever a card is written."""

from typing import Any

from prodsys.pages.fields import Form

ADDRESS = ("street", "house_number", "street2", "postcode", "city", "region", "country")
CARD = ("name", "organisation_number", "vat_number", "gln", "email", "phone")
PERSON = ("name", "email", "phone")


def party_of(form: Form) -> dict[str, Any]:
    """The card that was typed, as the members of a Party; rows of persons that were left empty are left out."""
    return {
        **{name: form.text(name) for name in CARD},
        "address": {name: form.text(f"address.{name}") for name in ADDRESS},
        "persons": persons_of(form),
    }


def persons_of(form: Form) -> list[dict[str, str]]:
    """The contact persons that were typed."""
    rows = zip(*(form.many(f"person.{name}") for name in PERSON), strict=False)
    return [dict(zip(PERSON, row, strict=True)) for row in rows if any(row)]
