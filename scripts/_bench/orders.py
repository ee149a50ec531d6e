"""What is traded in the benchmark: a catalogue of numbered articles, and orders for them."""

import random
from typing import Any

BUYER = {"name": "Nordlys Mekaniske AS", "organisation_number": "987654325"}

_KINDS = ("Bolt", "Nut", "Washer", "Bearing", "Valve", "Gasket", "Cable", "Switch", "Hinge", "Filter", "Clamp", "Sensor")
_MAKES = ("zinc plated", "stainless A2", "stainless A4", "brass", "nylon", "black oxide", "galvanised")


def article_number(at: int) -> str:
    """The number of the article at this place in the catalogue, counted from 0."""
    return f"A-{at:07d}"


def article_name(at: int) -> str:
    """What it is called."""
    return f"{_KINDS[at % 12]} M{at % 37 + 3}x{at % 211 + 5} {_MAKES[at % 7]}"


def article_price(at: int) -> str:
    """What one hundred of it cost."""
    return f"{at % 900 + 10}.5"


def order(number: str, lines: int, catalogue: int, chance: random.Random) -> dict[str, Any]:
    """A purchase order as api.md shows one, of articles drawn from a catalogue of this size, at the supplier's prices."""
    drawn = [chance.randrange(catalogue) for _ in range(lines)]
    return {
        "number": number,
        "revision": 1,
        "date": "2026-11-21",
        "currency": "NOK",
        "buyer": BUYER
        | {
            "email": "innkjop@nordlys.example",
            "address": {"street": "Verkstedveien", "house_number": "1", "postcode": "4020", "city": "Stavanger", "country": "NO"},
            "persons": [{"name": "Kari Nordmann", "email": "kari@nordlys.example", "phone": "+47 51 00 00 00"}],
        },
        "deliver_to": {
            "name": "Lager 2",
            "address": {"street": "Kaiveien", "house_number": "7", "postcode": "4005", "city": "Stavanger", "country": "NO"},
        },
        "requested_date": "2026-12-05",
        "buyer_reference": "Prosjekt 77",
        "payment_terms": "30",
        "delivery_terms": "DAP",
        "lines": [
            {
                "line_id": str(10 * place),
                "article_number": article_number(at),
                "buyer_article_number": str(4711 + place),
                "description": article_name(at),
                "quantity": str(100 * chance.randint(1, 50)),
                "unit": "H87",
                "unit_price": article_price(at),
                "price_quantity": "100",
            }
            for place, at in enumerate(drawn, 1)
        ],
    }
