"""How a street and a house number are written in one line, and taken apart again, by country."""

import re

_NUMBER_FIRST = frozenset({"GB", "IE", "FR", "LU", "US", "CA", "AU", "NZ", "MT"})

_ONE = r"\d{1,5}\s?[a-zA-Z]?(?![^\W\d_])"
_ADDITIONS = {
    # 12B, 114 A, 12 H0201 (the flat as the land register writes it)
    "NO": r"(?:[-/]\s?\d{1,4}\s?[a-zA-Z]?)?(?:[,\s]+[HULK]\d{4})?",
    # 5a, 3-5, 12/14, 7 1/2
    "DE": r"(?:\s?[-–/+]\s?\d{1,4}\s?[a-zA-Z]?)*(?:\s1/2)?",
    # 10/12, 10/12 m. 5, 27 lok. 3
    "PL": r"(?:\s?[-/]\s?\d{1,4}\s?[a-zA-Z]?)*(?:[,\s]+(?:m|lok|lokal|mieszk)\.?\s?\d{1,4}\s?[a-zA-Z]?)?",
    # 123-2, 12-hs, 12 bis, 5 II, 50 A-3
    "NL": r"(?:\s?[-/]\s?(?:\d{1,4}\s?[a-zA-Z]?|hs|huis|bis|[IVX]{1,4}|[a-zA-Z]))*(?:\s(?:hs|huis|bis|ter|zw|rd|[IVX]{1,4}))?",
}
_ANY = r"(?:\s?[-–/]\s?\d{1,4}\s?[a-zA-Z]?)*"
_LAST = {
    country: re.compile(rf"(?P<street>.*?[^\W\d_].*?)[,\s]+(?:(?:nr|no|nº)\.?\s?)?(?P<number>{_ONE}{more})", re.IGNORECASE)
    for country, more in (_ADDITIONS | {"": _ANY}).items()
}
_FIRST = re.compile(r"(?P<number>\d{1,5}[a-zA-Z]?(?:\s?[-/]\s?\d{1,4}[a-zA-Z]?)?)[,\s]+(?P<street>.*[^\W\d_].*)")
_BOX = re.compile(r"\s*(postboks|pb\.?|postfach|skrytka pocztowa|skr\. ?poczt\.?|postbus|p\.? ?o\.? box)\b", re.IGNORECASE)


def split(line: str, country: str = "") -> tuple[str, str]:
    """Street and house number of one line; the number is empty where the line has none, and a post-office box is never taken apart."""
    line = " ".join(line.split())
    if not line or len(line) > 300 or _BOX.match(line):
        return line, ""
    country = country.upper()
    found = _FIRST.fullmatch(line) if country in _NUMBER_FIRST else _LAST.get(country, _LAST[""]).fullmatch(line)
    if found is None:
        return line, ""
    return found["street"].rstrip(" ,"), found["number"].strip()


def join(street: str, house_number: str, country: str = "") -> str:
    """Both in one line, as it is written in that country."""
    parts = (house_number, street) if country.upper() in _NUMBER_FIRST else (street, house_number)
    return " ".join(part.strip() for part in parts if part.strip())
