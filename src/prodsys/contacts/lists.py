"""Contacts as somebody lists them in a file."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from prodsys.codes import is_country
from prodsys.contacts.model import IDENTIFIERS, Keys, Known
from prodsys.contacts.numbers import has_country
from prodsys.contacts.recognising import by_name_and_address, shares_identifier
from prodsys.contacts.spelling import keys_of
from prodsys.documents import Address, Issue, Party
from prodsys.kit.sheets import Table
from prodsys.kit.sheets.faults import row_fault, unreadable

CODE_COLUMNS = ("organisation_number", "vat_number", "gln", "phone", "house_number", "postcode", "country")
"""Columns of a list of contacts that hold codes: a number cell of a workbook there may have lost its zeros."""

_LONGEST = {"name": 200, "street": 500, "street2": 500, "city": 120, "region": 120, "email": 120}
_ROLES = {
    "": (False, False),
    "supplier": (True, False), "leverandør": (True, False), "lieferant": (True, False), "dostawca": (True, False),
    "customer": (False, True), "kunde": (False, True), "klient": (False, True), "odbiorca": (False, True),
    "both": (True, True), "begge": (True, True), "beides": (True, True), "oba": (True, True),
}  # fmt: skip


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a list of contacts."""

    row: int
    card: Party
    keys: Keys
    is_supplier: bool
    is_customer: bool


class Places:
    """Contacts by everything a row of a list may name them by."""

    def __init__(self, contacts: Sequence[Known]) -> None:
        self.contacts = contacts
        self._by: dict[tuple[str, ...], list[Known]] = {}
        for known in contacts:
            for place in _places(known.keys):
                self._by.setdefault(place, []).append(known)

    def of(self, wanted: Keys) -> list[Known]:
        """The contacts that are this company: by identifiers, or else by name and address."""
        around = {known.pk: known for place in _places(wanted) for known in self._by.get(place, ())}.values()
        by_number = [known for known in around if shares_identifier(wanted, known.keys)]
        return by_number or [known for known in around if by_name_and_address(wanted, known.keys)]


def listed_contacts(table: Table) -> tuple[list[Listed], list[Issue]]:
    """The contacts a list names, and every fault of every row. What can only be known from the database is checked later.

    Columns: name, organisation_number, vat_number, gln, email, phone, street, house_number, street2, postcode, city, region, country,
    role (supplier, customer or both).
    """
    faults = [unreadable(bad) for bad in table.bad]
    listed: list[Listed] = []
    first: dict[tuple[str, ...], int] = {}
    for row in table.rows:
        cells = {column: " ".join(text.split()) for column, text in row.cells.items()}
        cells["country"] = cells.get("country", "").upper()
        found = list(_cell_faults(row.number, cells))
        flat: dict[str, Any] = {field: cells.get(field, "") for field in ("name", *IDENTIFIERS, "email", "phone")}
        card = Party(**flat, address=Address(**{field: cells.get(field, "") for field in Address.__struct_fields__}))
        keys = keys_of(card)
        for place in () if found else _places(keys):
            if (before := first.setdefault(place, row.number)) != row.number:
                found.append(row_fault(row.number, "", "row_twice", f"Row {before} is the same contact.", other=str(before)))
                break
        faults += found
        if not found:
            is_supplier, is_customer = _ROLES[cells.get("role", "").casefold()]
            listed.append(Listed(row=row.number, card=card, keys=keys, is_supplier=is_supplier, is_customer=is_customer))
    return listed, faults


def _cell_faults(row: int, cells: dict[str, str]) -> Iterable[Issue]:
    if not cells.get("name"):
        yield row_fault(row, "name", "name_missing", "A contact needs a name.")
    for column in (*CODE_COLUMNS, *_LONGEST):
        longest = _LONGEST.get(column, 80)
        if len(cells.get(column, "")) > longest:
            yield row_fault(row, column, "text_too_long", f"This text has at most {longest} characters.", longest=str(longest))
    country = cells["country"]
    if country and not is_country(country):
        message = f'The country "{country[:40]}" is not known. Write an ISO 3166-1 code of two letters, such as NO.'
        yield row_fault(row, "country", "country_unknown", message, country=country[:40])
    role = cells.get("role", "")
    if role.casefold() not in _ROLES:
        yield row_fault(
            row, "role", "role_unknown", f'The role "{role[:40]}" is not known. Write supplier, customer or both.', role=role[:40]
        )


def _places(keys: Keys) -> list[tuple[str, ...]]:
    """Everything a card can be found by, for looking up many at once."""
    places: list[tuple[str, ...]] = [(field, value) for field in IDENTIFIERS if (value := getattr(keys, field))]
    if has_country(keys.vat_number):
        places.append(("vat_number", keys.vat_number[2:]))
    if keys.name and keys.address:
        places.append(("name", keys.name, keys.address))
    return places
