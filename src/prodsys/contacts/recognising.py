"""Whether two cards are the same company, and how like each other they are."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

import msgspec
from rapidfuzz import fuzz

from prodsys.contacts.model import IDENTIFIERS, Evidence, Field, Keys, Known, Recognised, SharedField, SharedValue
from prodsys.contacts.numbers import has_country
from prodsys.documents import ContactHow, MatchedContact

NEAR = 85
"""From this likeness of names (0-100) on, two companies are called similar. It is shown to people and decides nothing."""


class Found(msgspec.Struct, frozen=True):
    """Exactly one contact stands on this rung."""

    how: ContactHow
    contact: Known


class Several(msgspec.Struct, frozen=True):
    """More than one contact stands on this rung: a person decides."""

    how: ContactHow
    contacts: tuple[Known, ...]


class BelongsToOther(msgspec.Struct, frozen=True):
    """A contact on this rung is another partner's (rulings.md, 25)."""

    how: ContactHow
    contacts: tuple[Known, ...]


class Unknown(msgspec.Struct, frozen=True):
    """Nobody stands on any rung."""


Rung = Found | Several | BelongsToOther | Unknown


def contradictions(wanted: Keys, known: Keys) -> list[Field]:
    """The identifiers both sides give and give differently."""
    return [field for field in IDENTIFIERS if getattr(wanted, field) and getattr(known, field) and not _same(field, wanted, known)]


def shares_identifier(wanted: Keys, known: Keys) -> bool:
    """Whether one identifier is given by both sides and the same."""
    return any(getattr(wanted, field) and _same(field, wanted, known) for field in IDENTIFIERS)


def climb(wanted: Keys, contacts: Sequence[Known], partner: int | None) -> Rung:
    """The ladder below the partner's link: identifiers, then name and address (persons decide between two), then e-mail.

    The first rung anybody stands on decides. Below the identifiers nobody counts whose identifiers contradict the card's.
    """
    for how, stands in _LADDER:
        hits = tuple(known for known in contacts if stands(wanted, known.keys))
        if not hits:
            continue
        if any(known.partner not in (None, partner) for known in hits):
            return BelongsToOther(how, hits)
        if len(hits) > 1 and how == "name_and_address":
            hits = tuple(known for known in hits if known.keys.persons & wanted.persons) or hits
        return Found(how, hits[0]) if len(hits) == 1 else Several(how, hits)
    return Unknown()


def is_same_company(wanted: Keys, known: Keys) -> bool:
    """Whether two cards share an identifier, or name and address without contradicting identifiers."""
    return shares_identifier(wanted, known) or by_name_and_address(wanted, known)


def likeness(wanted: Keys, known: Keys) -> int:
    """How like each other two cards are, 0 to 100: for people to read, never to decide by."""
    if shares_identifier(wanted, known):
        return 100
    score = fuzz.token_sort_ratio(wanted.name, known.name)
    if wanted.email and wanted.email == known.email:
        score = max(score, 90.0)
    if contradictions(wanted, known):
        score = min(score, 90.0)
    return round(score)


def evidence(wanted: Keys, contacts: Iterable[Known], partner: int | None) -> tuple[Evidence, ...]:
    """Contacts with what speaks for them, the likeliest first."""
    seen = (
        Evidence(
            contact=known.id,
            name=known.card.name,
            score=likeness(wanted, known.keys),
            is_other_partners=known.partner not in (None, partner),
        )
        for known in contacts
    )
    return tuple(sorted(seen, key=lambda one: (-one.score, one.contact)))


def matched(recognised: Recognised) -> MatchedContact:
    """Who the buyer is to us, as a partner reads it in a dry run."""
    how: Literal["linked", "matched", "would_create", "ambiguous"]
    match recognised.how:
        case "partner_link":
            how = "linked"
        case "identifier" | "name_and_address" | "email":
            how = "matched"
        case "created":
            how = "would_create"
        case "ambiguous" | "none":
            how = "ambiguous"
    return MatchedContact(how=how, similar=recognised.similar)


def shared(one: Keys, other: Keys) -> list[SharedValue]:
    """What two contacts have in common."""
    pairs: list[tuple[SharedField, str]] = [(field, getattr(one, field)) for field in IDENTIFIERS if _same(field, one, other)]
    pairs += [(field, getattr(one, field)) for field in ("name", "address", "email") if getattr(one, field) == getattr(other, field)]
    return [SharedValue(field=field, value=value) for field, value in pairs if value]


def duplicate_score(fields: Collection[str], *, contradict: bool) -> int:
    """How likely contacts that share these fields are one company. Different organisation numbers nearly rule it out."""
    if contradict:
        return 20
    best = max(_WEIGHTS[field] for field in fields)
    if {"name", "address"} <= set(fields):
        best = max(best, _NAME_AND_ADDRESS)
    return min(100, best + 5 * (len(fields) - 1))


def _same(field: Field, wanted: Keys, known: Keys) -> bool:
    mine, theirs = getattr(wanted, field), getattr(known, field)
    if field != "vat_number" or mine == theirs:
        return bool(mine == theirs)
    # One side may have left the country out.
    return (has_country(mine) and mine[2:] == theirs) or (has_country(theirs) and theirs[2:] == mine)


def by_name_and_address(wanted: Keys, known: Keys) -> bool:
    """Whether name and address are given by both sides and the same, and no identifier contradicts."""
    same = bool(wanted.name and wanted.address) and wanted.name == known.name and wanted.address == known.address
    return same and not contradictions(wanted, known)


def _by_email(wanted: Keys, known: Keys) -> bool:
    return bool(wanted.email) and wanted.email == known.email and not contradictions(wanted, known)


_LADDER: tuple[tuple[ContactHow, Callable[[Keys, Keys], bool]], ...] = (
    ("identifier", shares_identifier),
    ("name_and_address", by_name_and_address),
    ("email", _by_email),
)
_WEIGHTS = {"organisation_number": 95, "vat_number": 95, "gln": 90, "name": 60, "email": 50, "address": 30}
_NAME_AND_ADDRESS = 85
