"""How Tryton says things: its JSON's wrapping, the fields that are asked for, and its search terms."""

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from prodsys.codes import streets
from prodsys.connectors._base import Lookup, text
from prodsys.connectors._words import place
from prodsys.documents import Address, DeliveryPlace

Theirs = Mapping[str, Any]


def plain(theirs: Any) -> Any:
    """What they said without its wrapping: numbers, dates and moments as such, and `party.` beside `party` in its place."""
    if isinstance(theirs, list):
        return [plain(one) for one in theirs]
    if not isinstance(theirs, dict):
        return theirs
    kind = theirs.get("__class__")
    if kind == "Decimal":
        return Decimal(theirs["decimal"])
    if kind in ("date", "datetime"):
        said = {part: int(theirs[part]) for part in _MOMENT if part in theirs}
        return dt.date(**said) if kind == "date" else dt.datetime(**said, tzinfo=dt.UTC)
    # A default names its record beside its id (`party.` is {"rec_name": …} there); the id is what counts then.
    told = [name for name in sorted(theirs) if not (name.endswith(".") and isinstance(theirs[name], dict) and "id" not in theirs[name])]
    return {name.rstrip("."): plain(theirs[name]) for name in told}


def wrapped(ours: Any) -> Any:
    """What we say in the wrapping their JSON needs."""
    if isinstance(ours, Mapping):
        return {name: wrapped(value) for name, value in ours.items()}
    if isinstance(ours, list | tuple):
        return [wrapped(one) for one in ours]
    if isinstance(ours, Decimal):
        return {"__class__": "Decimal", "decimal": str(ours)}
    if isinstance(ours, dt.datetime):
        said = ours.astimezone(dt.UTC)
        return {"__class__": "datetime"} | {part: getattr(said, part) for part in _MOMENT}
    return {"__class__": "date", "year": ours.year, "month": ours.month, "day": ours.day} if isinstance(ours, dt.date) else ours


_MOMENT = ("year", "month", "day", "hour", "minute", "second", "microsecond")


def dotted(prefix: str, *names: str) -> tuple[str, ...]:
    """Fields of what a record belongs to, or of its rows, as they are asked for."""
    return tuple(f"{prefix}.{name}" for name in names)


PLACE = ("street", "postal_code", "city", "country.code", "party_name", "invoice", "delivery")
"""What is asked of an address."""


def read_address(theirs: Theirs | None) -> Address:
    """An address; what stands below its first line is our second street."""
    said = theirs or {}
    country = text((said.get("country") or {}).get("code"))[:2]
    first, _, more = str(said.get("street") or "").partition("\n")
    street, number = streets.split(text(first), country)
    return Address(street=street, house_number=number, street2=text(more), postcode=text(said.get("postal_code"), 80),
                   city=text(said.get("city"), 120), country=country)  # fmt: skip


def read_place(theirs: Theirs | None) -> DeliveryPlace | None:
    """Where goods go; None where nothing is said of it."""
    return place((theirs or {}).get("party_name"), read_address(theirs))


def write_place(ours: Address, name: str) -> dict[str, Any]:
    """An address; its country as a code, which is looked up when it is sent."""
    line = streets.join(ours.street, ours.house_number, ours.country)
    said = {"street": "\n".join(part for part in (line, ours.street2) if part), "postal_code": ours.postcode, "city": ours.city,
            "country": ours.country, "party_name": name}  # fmt: skip
    return {member: value for member, value in said.items() if value}


def unit_of(theirs: Theirs | None) -> str:
    """A unit of measure; their "u" is nobody else's word for a piece."""
    symbol = (theirs or {}).get("symbol")
    return "H87" if symbol == "u" else text(symbol, 20)


def equal(member: str) -> Lookup:
    """Look a record up by a member."""
    return Lookup(lambda value: {f"{member} =": value}, member)


def changed(*parts: str) -> Callable[[dt.datetime], Mapping[str, str]]:
    """What has changed since, a record itself (empty) or one of its rows (`lines.`)."""
    return lambda moment: {f"{part}{name} >=": moment.isoformat() for part in parts for name in ("create_date", "write_date")}


def domain(query: Mapping[str, str]) -> list[Any]:
    """Their search terms of a query such as `{"code =": "1001"}`; of what has changed, any part suffices."""
    terms = [(*said.split(" "), value) for said, value in query.items()]
    dates = [[name, operator, dt.datetime.fromisoformat(value)] for name, operator, value in terms if name.endswith("_date")]
    others = [[name, operator, value] for name, operator, value in terms if not name.endswith("_date")]
    return [*others, ["OR", *dates]] if dates else others


def standing_at(theirs: Any, path: str) -> list[Any]:
    """What stands at a path, in every row on the way."""
    if isinstance(theirs, list):
        return [value for one in theirs for value in standing_at(one, path)]
    name, _, rest = path.partition(".")
    value = theirs.get(name) if isinstance(theirs, Mapping) else None
    return standing_at(value, rest) if rest else [value]
