"""The code lists trade agrees on: currencies, countries and units of measure.

Currencies are ISO 4217, countries ISO 3166-1 alpha-2, units UN/ECE Recommendation 20 with 21 (packages), as Peppol publishes them.
"""

from functools import cache, lru_cache
from importlib.resources import files

_LOCAL_UNITS = {
    "stk": "H87", "stk.": "H87", "stück": "H87", "st": "H87", "st.": "H87", "szt": "H87", "szt.": "H87", "sztuka": "H87",
    "pcs": "H87", "pc": "H87", "pce": "H87", "piece": "H87", "pieces": "H87", "each": "EA",
    "kg": "KGM", "g": "GRM", "t": "TNE", "tonn": "TNE",
    "m": "MTR", "meter": "MTR", "mb": "MTR", "cm": "CMT", "mm": "MMT", "m2": "MTK", "m²": "MTK", "m3": "MTQ", "m³": "MTQ",
    "l": "LTR", "liter": "LTR", "litr": "LTR", "ml": "MLT",
    "par": "PR", "paar": "PR", "para": "PR", "pair": "PR",
    "sett": "SET", "set": "SET", "zestaw": "SET",
    "time": "HUR", "timer": "HUR", "std": "HUR", "stunde": "HUR", "godz": "HUR", "h": "HUR", "hour": "HUR",
    "dag": "DAY", "tag": "DAY", "dzień": "DAY", "day": "DAY",
    "eske": "XBX", "karton": "XCT", "kartong": "XCT", "box": "XBX", "pall": "XPX", "palette": "XPX", "paleta": "XPX",
}  # fmt: skip
"""What people write instead of a code. A word that means different things in different places is left out: an unknown
unit is an issue for a person, never a guess."""


@cache
def _listed(name: str) -> frozenset[str]:
    return frozenset(files(__name__).joinpath(f"{name}.txt").read_text(encoding="ascii").split())


def is_currency(code: str) -> bool:
    """Whether this is a currency of ISO 4217, in capitals."""
    return code in _listed("currencies")


def is_country(code: str) -> bool:
    """Whether this is a country of ISO 3166-1 alpha-2, in capitals."""
    return code in _listed("countries")


@lru_cache(maxsize=4096)  # bounded: the words come from partners
def unit_code(word: str) -> str | None:
    """The UN/ECE Rec 20 code this word stands for, or None when nobody can be sure.

    Codes are taken as they are; a local word (stk, Stück, szt) is understood whatever its case.
    """
    if word in _listed("units"):
        return word
    return _LOCAL_UNITS.get(word.casefold())
