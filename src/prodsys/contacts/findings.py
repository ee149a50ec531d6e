"""What a company is told about the card in its document."""

from collections.abc import Collection, Iterable

from prodsys.contacts.cards import in_one_line
from prodsys.contacts.model import IDENTIFIERS, IN_WORDS, Evidence, Field, Keys, Known
from prodsys.contacts.numbers import is_gln, is_organisation_number, is_vat_number, listed
from prodsys.contacts.recognising import contradictions
from prodsys.documents import Issue, Party, Person


def evidence_issues(seen: Iterable[Evidence], *, blocks: bool = False) -> list[Issue]:
    """Contacts that were looked at, for a log or an answer that only the house reads."""
    return [
        Issue(
            code="contact_similar",
            message=f"{one.name} ({one.contact}) is {one.score} % like it{_OF_OTHER if one.is_other_partners else ''}.",
            params={"contact": one.contact, "name": one.name, "score": str(one.score)},
            blocks=blocks,
        )
        for one in seen
    ]


def number_issues(card: Party, at: str) -> list[Issue]:
    """Numbers on a card that cannot be right; none of them stops the document. `at` is the pointer to the card."""
    country = card.address.country
    issues = []
    if card.organisation_number and is_organisation_number(card.organisation_number, country) is False:
        issues.append(_wrong_number("organisation_number", card.organisation_number, at))
    if card.vat_number and is_vat_number(card.vat_number, country) is False:
        issues.append(_wrong_number("vat_number", card.vat_number, at))
    if card.gln and not is_gln(card.gln):
        issues.append(_wrong_number("gln", card.gln, at))
    return issues


def mismatch_issues(card: Party, wanted: Keys, known: Known, allowed: Collection[str], at: str, *, tell: bool) -> list[Issue]:
    """The identifiers that contradict the contact's and are not among the `allowed` ones. `tell`: the record is the caller's own."""
    fields = contradictions(wanted, known.keys)
    if not fields:
        return []
    issues: dict[str, Issue] = {}
    for field in fields:
        if listed(getattr(wanted, field), allowed):
            continue
        # An organisation number that was read out of the VAT number is pointed to where it stands.
        place: Field = field if getattr(card, field) else "vat_number"
        params = {"field": IN_WORDS[place], "sent": getattr(card, place)}
        if tell:
            params["recorded"] = getattr(known.card, place) or getattr(known.keys, field)
        issues.setdefault(
            place,
            Issue(
                code="buyer_mismatch",
                message=f"The buyer's {IN_WORDS[place]} {params['sent']} is not the one the supplier has for you; "
                "send the right one, or ask the supplier to list this one for you.",
                params=params,
                pointer=f"{at}/{place}",
                blocks=True,
            ),
        )
    return list(issues.values())


def difference_issues(card: Party, wanted: Keys, known: Known, at: str, *, tell: bool) -> list[Issue]:
    """Name, address and persons that are not as we know them; shown, never applied. `tell`: the record is the caller's own."""
    differing = [("name", card.name, known.card.name)] if wanted.name != known.keys.name else []
    if wanted.address and known.keys.address and wanted.address != known.keys.address:
        differing.append(("address", in_one_line(card.address), in_one_line(known.card.address)))
    if known.keys.persons and not wanted.persons <= known.keys.persons:
        differing.append(("persons", _names(card.persons), _names(known.card.persons)))
    return [
        Issue(
            code="contact_differs",
            message=f"The buyer's {field} in this document differs from the supplier's record; the record stays as it is.",
            params={"field": field, "sent": sent} | ({"recorded": recorded} if tell else {}),
            pointer=f"{at}/{field}",
        )
        for field, sent, recorded in differing
    ]


def incomplete_issue(card: Party, wanted: Keys, at: str) -> Issue | None:
    """What a contact made from this card would lack, if anything."""
    missing = [] if any(getattr(wanted, field) for field in IDENTIFIERS) else ["organisation_number"]
    missing += [f"address.{member}" for member in ("street", "postcode", "city", "country") if not getattr(card.address, member)]
    missing += [] if card.email else ["email"]
    if not missing:
        return None
    return Issue(
        code="contact_incomplete",
        message=f"The buyer's card lacks {', '.join(missing)}; the new contact will have to be completed.",
        params={"missing": ", ".join(missing)},
        pointer=at,
    )


def is_us_issue(at: str) -> Issue:
    """The document says that we are buying from ourselves."""
    return Issue(
        code="buyer_is_us", message="The buyer in this document is the supplier's own company; send your own card.", pointer=at, blocks=True
    )


def blocked_issue(at: str) -> Issue:
    """The seller has blocked this contact."""
    message = "The supplier takes no orders from this company at present; ask the supplier."
    return Issue(code="contact_blocked", message=message, pointer=at, blocks=True)


def ambiguous_issue(count: int, at: str) -> Issue:
    """Several contacts stand on one rung."""
    return Issue(
        code="contact_ambiguous",
        message=f"{count} of the supplier's contacts fit this buyer equally well; the supplier must choose one for you first.",
        params={"count": str(count)},
        pointer=at,
        blocks=True,
    )


def belongs_to_other_issue(at: str) -> Issue:
    """The card is that of another partner's contact; whose, only the supplier is told."""
    return Issue(
        code="contact_belongs_to_other",
        message="This buyer is already known to the supplier through another connection; ask the supplier which one to use.",
        pointer=at,
        blocks=True,
    )


def created_issue(similar: int, at: str) -> Issue:
    """The buyer is new here."""
    few = {0: "none is similar", 1: "1 existing contact is similar"}.get(similar, f"{similar} existing contacts are similar")
    return Issue(
        code="contact_created",
        message=f"The supplier did not know this buyer, so a provisional contact is made; {few}.",
        params={"similar": str(similar)},
        pointer=at,
    )


_OF_OTHER = " and belongs to another partner"


def _wrong_number(field: Field, number: str, at: str) -> Issue:
    return Issue(
        code=f"{field}_invalid",
        message=f"The {IN_WORDS[field]} {number} has wrong check digits or length; correct it on your card.",
        params={"number": number},
        pointer=f"{at}/{field}",
    )


def _names(persons: Iterable[Person]) -> str:
    return ", ".join(person.name for person in persons)
