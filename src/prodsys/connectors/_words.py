"""The pieces that nearly every system's documents are made of, read and written once: places, people, prices, rules."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, get_args

import msgspec

from prodsys.codes import streets
from prodsys.connectors._base import Limit, Resource, at, day, exact, text
from prodsys.documents import Address, ContactCard, DeliveryPlace, Exact, Person, TradeLine

GTIN_LENGTHS = (8, 12, 13, 14)


class Alike(msgspec.Struct, frozen=True):
    """Members that say the same in a document of ours and in theirs, under names of their own; made by `spelled`."""

    members: tuple[tuple[str, str, Callable[[Any], Any]], ...]
    """Our name, theirs (`customer.id`), and how theirs is read: a text, a number, a date, a yes or no."""

    def read(self, theirs: Mapping[str, Any]) -> dict[str, Any]:
        """These members as our document takes them; what they do not say is left to its defaults. Raises ValueError for odd values."""
        found: dict[str, Any] = {}
        for ours, name, read in self.members:
            value = read(at(theirs, name) if "." in name else theirs.get(name))
            if value is not None:
                found[ours] = value
        return found

    def write(self, ours: Any, *, time: str = "") -> dict[str, Any]:
        """These members in their words; what is empty is not said at all. `time` follows each date (`T00:00:00Z`)."""
        words: dict[str, Any] = {}
        for member, name, _ in self.members:
            value = getattr(ours, member)
            if value is None or value == "":
                continue
            *outer, last = name.split(".")
            inner = words
            for one in outer:
                inner = inner.setdefault(one, {})
            inner[last] = Decimal(value) if isinstance(value, Exact) else f"{value}{time}" if isinstance(value, dt.date) else value
        return words


class Where(msgspec.Struct, frozen=True):
    """Where an address stands in their words, street and house number in one line."""

    line: str
    rest: Alike
    name: str = ""
    """Who or what is there, for places goods are sent to."""

    def read(self, theirs: Mapping[str, Any]) -> Address:
        """The address, its line taken apart as its country writes them."""
        there = Address(**self.rest.read(theirs))
        country = there.country.upper()
        street, number = streets.split(text(at(theirs, self.line)), country)
        return msgspec.structs.replace(there, street=street, house_number=number, country=country)

    def read_place(self, theirs: Mapping[str, Any]) -> DeliveryPlace | None:
        """The place goods go to; None where they say nothing of it."""
        return place(at(theirs, self.name), self.read(theirs))

    def write(self, ours: Address | DeliveryPlace | None) -> dict[str, Any]:
        """An address, or a place with its name, in their words; nothing for None."""
        if ours is None:
            return {}
        there = ours.address if isinstance(ours, DeliveryPlace) else ours
        words = self.rest.write(there)
        for name, said in ((self.name, ours.name if isinstance(ours, DeliveryPlace) else ""), (self.line, street(there))):
            if said:
                words[name] = said
        return words


def spelled(document: type[msgspec.Struct], /, **names: str) -> Alike:
    """How they spell members of a document of ours; texts are cut to what the document holds."""
    kinds = {field.name: (field.type, field.required) for field in msgspec.structs.fields(document)}
    return Alike(tuple((ours, name, _reader(*kinds[ours])) for ours, name in names.items()))


def where(line: str, name: str = "", **rest: str) -> Where:
    """Where an address stands: the member of its line, of its name, and of whatever else it has (`postcode="ZipCode"`)."""
    return Where(line, spelled(Address, **rest), name)


def _reader(kind: Any, is_required: bool) -> Callable[[Any], Any]:
    parts = [kind, *get_args(kind), *(part for one in get_args(kind) for part in get_args(one))]
    longest = next((one.max_length for one in parts if isinstance(one, msgspec.Meta) and one.max_length), 500)
    if number := next((one for one in parts if isinstance(one, type) and issubclass(one, Exact)), None):
        return partial(exact, number)
    if dt.date in parts:
        return on if is_required else day
    if bool in parts:
        return lambda said: said if isinstance(said, bool) else None
    return partial(_words, longest=longest, instead="?" if is_required else "")


def _words(said: Any, longest: int, instead: str) -> str:
    if isinstance(said, dict | list):
        raise ValueError("There is more than a text where one was expected")
    return text(said, longest) or instead


def on(value: Any) -> dt.date:
    """A date of theirs that our document has to have; 1970-01-01 where they do not say it."""
    return day(value) or dt.date(1970, 1, 1)


def street(ours: Address) -> str | None:
    """Street and house number in one line, as it is written in that country; None where there is neither."""
    return streets.join(ours.street, ours.house_number, ours.country) or None


def place(name: Any, there: Address) -> DeliveryPlace | None:
    """Where goods go; None where they say nothing of it."""
    made = DeliveryPlace(name=text(name), address=there)
    return made if made != DeliveryPlace() else None


def party(
    number: Any, name: Any, email: Any = "", *, phone: Any = "", there: Address | None = None, is_supplier: bool = False
) -> ContactCard:
    """As much of a customer or supplier as stands in a document's head; one has to be called something."""
    return ContactCard(
        number=text(number, 80), name=text(name, 200) or text(number, 80) or "?", email=text(email, 120), phone=text(phone, 80),
        address=there or Address(), is_customer=not is_supplier, is_supplier=is_supplier,
    )  # fmt: skip


def persons(name: Any, email: Any = "", phone: Any = "") -> list[Person]:
    """The contact person, in a list of one, or of none."""
    return [Person(name=text(name, 200), email=text(email, 120), phone=text(phone, 80))] if text(name, 200) else []


def contact_person(ours: ContactCard) -> Person:
    """A company's first contact person; a nameless one where it has none, or is a person itself."""
    return ours.persons[0] if ours.persons and ours.kind == "company" else Person(name="")


def gtin(codes: Iterable[Any]) -> str:
    """The first of their codes that is a GTIN; empty where none is."""
    return next((code for one in codes if (code := text(one)).isdigit() and len(code) in GTIN_LENGTHS), "")


def left_after(*discounts: Decimal) -> Decimal:
    """The part of a price that is left after discounts in percent, each taken off what the one before left: 10 and 5 leave 0.855."""
    left = Decimal(1)
    for discount in discounts:
        left *= (100 - discount) / Decimal(100)
    return left


def unit_price(line: TradeLine, *discounts: Decimal, tax: Decimal = Decimal(1)) -> Decimal | None:
    """The price of one unit, less the discounts, times `tax`, at most four decimals; None where the row says none."""
    if line.unit_price is None:
        return None
    return (line.unit_price / line.price_quantity * left_after(*discounts) * tax).quantize(Decimal("0.0001"))


def as_counted(line: TradeLine, *, includes_tax: bool, counted_with_tax: bool = False) -> Decimal:
    """What a price of ours is multiplied by to be one of theirs, who count it with tax or without.

    Raises ValueError where the row does not say the tax that would have to be put in or taken out: it is never guessed.
    """
    if includes_tax == counted_with_tax or not line.unit_price:
        return Decimal(1)
    if line.tax_percent is None:
        raise ValueError(f"Row {line.line_id} does not say its VAT, without which its price cannot be said as they count")
    part = 1 + line.tax_percent / Decimal(100)
    return part if counted_with_tax else 1 / part


def texts_of(lines: Sequence[TradeLine]) -> list[str]:
    """What the rows say that are texts only, for systems whose rows are articles."""
    return [said for line in lines if line.kind == "text" and (said := line.description or line.note)]


def rules(*more: Limit, needed: Sequence[str] = (), longest: Mapping[str, int] | None = None) -> tuple[Limit, ...]:
    """The rules of a kind of document: fields that have to be filled, how long they may be, and whatever else there is."""
    lengths = longest or {}
    named = dict.fromkeys([*needed, *lengths])
    return (*(Limit(field=name, longest=lengths.get(name), is_required=name in needed) for name in named), *more)


def closed(reason: str, out: str = "") -> Resource:
    """A kind of document that is not offered: why it cannot come in, and, where the reason is another one, why it cannot go out."""
    return Resource(no={"in": reason, "out": out or reason})
