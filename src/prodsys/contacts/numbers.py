"""Organisation, VAT and location numbers: how they are compared, and whether they can be right."""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

from stdnum import ean
from stdnum.dk import cvr
from stdnum.eu import vat as eu_vat
from stdnum.fi import ytunnus
from stdnum.no import mva, orgnr
from stdnum.pl import nip, regon
from stdnum.se import orgnr as se_orgnr

from prodsys.codes import is_country

_NOT_IN_A_NUMBER = re.compile(r"[\W_]+")
_WITH_COUNTRY = re.compile(r"([A-Z]{2})(\d{7,})(?:MVA)?")
_WITH_MVA = re.compile(r"(\d{9})MVA")
_NORWEGIAN_VAT = re.compile(r"(?:NO)?(\d{9})MVA|NO(\d{9})")
_PEPPOL_SCHEME = re.compile(r"^\s*\d{4}:")


@lru_cache(maxsize=8192)
def organisation_key(number: str) -> str:
    """An organisation number as it is compared: capitals and digits, without country and MVA, whatever it was written with."""
    key = _number(number)
    if (found := _WITH_COUNTRY.fullmatch(key)) and is_country(found[1]):
        return found[2]
    if found := _WITH_MVA.fullmatch(key):
        return found[1]
    return key


@lru_cache(maxsize=8192)
def vat_key(number: str, country: str = "") -> str:
    """A VAT number as it is compared: country first (that of the address if the number has none), then capitals and digits, no MVA."""
    key = _number(number)
    if found := _NORWEGIAN_VAT.fullmatch(key):
        return f"NO{found[1] or found[2]}"
    if not key or has_country(key) or not is_country(country):
        return key
    return f"{'EL' if country == 'GR' else country}{key}"


@lru_cache(maxsize=8192)
def gln_key(number: str) -> str:
    """A GLN as it is compared: capitals and digits, without a Peppol scheme in front (`0088:`)."""
    return _number(_PEPPOL_SCHEME.sub("", number))


@lru_cache(maxsize=8192)
def is_organisation_number(number: str, country: str) -> bool | None:
    """Whether the check digits fit, None where the country has none or is unknown to us."""
    key = organisation_key(number)
    match country:
        case "NO":
            return bool(orgnr.is_valid(key))
        case "DK":
            return bool(cvr.is_valid(key))
        case "SE":
            return bool(se_orgnr.is_valid(key))
        case "FI":
            return bool(ytunnus.is_valid(key))
        case "PL":
            # A company may give its NIP, its REGON or its KRS number; only the KRS has no check digit: it is padded with zeros.
            return bool(nip.is_valid(key) or regon.is_valid(key) or (len(key) == 10 and key.isdecimal() and key.startswith("00")))
        case _:
            return None


@lru_cache(maxsize=8192)
def is_vat_number(number: str, country: str) -> bool | None:
    """Whether this can be a VAT number of its country (NO and the European Union), None where nobody can say."""
    key = vat_key(number, country)
    match key[:2]:
        case "NO":
            return bool(mva.is_valid(f"{key[2:]}MVA"))
        case "CH" | "GB" | "US":
            return None
        case prefix if prefix == "EL" or prefix.casefold() in eu_vat.MEMBER_STATES:
            return bool(eu_vat.is_valid(key))
        case _:
            return None


@lru_cache(maxsize=8192)
def is_gln(number: str) -> bool:
    """Whether this is a Global Location Number: 13 digits with a right check digit."""
    key = gln_key(number)
    return len(key) == 13 and bool(ean.is_valid(key))


def listed(identifier: str, allowed: Collection[str]) -> bool:
    """Whether an identifier, as `keys_of` spells it, is one of these, however they are spelled."""
    return any(identifier == key(number) for number in allowed for key in (organisation_key, vat_key, gln_key))


def _number(text: str) -> str:
    return _NOT_IN_A_NUMBER.sub("", unicodedata.normalize("NFKC", text)).upper()


def has_country(key: str) -> bool:
    """Whether a VAT number, as `vat_key` spells it, begins with its country."""
    return key[:2].isalpha() and (key[:2] in ("EL", "XI") or is_country(key[:2])) and any(sign.isdecimal() for sign in key[2:])


def organisation_in(vat_number: str) -> str:
    """The organisation number that a VAT number of NO, DK, SE or FI holds; empty for any other."""
    country, number = vat_number[:2], vat_number[2:]
    if (country == "NO" and len(number) == 9) or (country in ("DK", "FI") and len(number) == 8):
        return number
    if country == "SE" and len(number) == 12:
        return number[:10]
    return ""
