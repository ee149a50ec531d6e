"""What makes two cards the same company, and what to say when they are not quite."""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from rapidfuzz import fuzz
from stdnum import ean
from stdnum.dk import cvr
from stdnum.eu import vat as eu_vat
from stdnum.fi import ytunnus
from stdnum.no import mva, orgnr
from stdnum.pl import nip, regon
from stdnum.se import orgnr as se_orgnr

from prodsys.codes import is_country
from prodsys.documents import Address, ContactHow, Issue, MatchedContact, Party, Person, ShortWords, plain
from prodsys.kit.sheets import Table

NEAR = 85
"""From this likeness of names (0-100) on, two companies are called similar. It is shown to people and decides nothing."""

_ONE_WORD_FORMS = frozenset(
    (
        *("as", "asa", "ans", "da", "enk", "nuf", "ba", "sa", "sf", "ks", "iks", "aksjeselskap", "allmennaksjeselskap"),  # Norway
        *("aps", "ivs", "is", "ps", "amba", "fmba", "aktieselskab"),  # Denmark
        *("ab", "hb", "kb", "publ", "aktiebolag", "handelsbolag", "kommanditbolag"),  # Sweden
        *("oy", "oyj", "ky", "osakeyhtiö"),  # Finland
        *("gmbh", "mbh", "gesmbh", "ag", "kg", "kgaa", "ug", "ohg", "gbr", "ek", "eg", "ev", "haftungsbeschränkt"),  # Germany, Austria
        *("spzoo", "sj", "spj", "spk", "spp", "spka", "psa"),  # Poland
        *("ltd", "limited", "llc", "llp", "plc", "inc", "incorporated", "corp", "corporation", "co"),
        *("bv", "nv", "vof", "bvba", "sarl", "sas", "sasu"),  # the Netherlands, Belgium, France
        *("srl", "spa", "sl", "slu", "lda", "se", "ood", "eood", "doo", "zrt", "kft", "sro"),
    )
)
_MANY_WORD_FORMS = (
    ("spółka", "z", "ograniczoną", "odpowiedzialnością"),
    ("sp", "z", "o", "o"),
    ("sp", "z", "oo"),
    ("spółka", "akcyjna"),
    ("spółka", "jawna"),
    ("sp", "j"),
    ("sp", "k"),
    ("s", "r", "o"),
)
_FORMS_IN_FRONT = frozenset({"as", "asa", "ab", "oy", "aktieselskabet", "aktieselskapet", "firma"})
_INITIALS = re.compile(r"(?<!\w)(?:\w[./])+\w?(?!\w)")
_APOSTROPHE = re.compile("['’`´]")
_NOT_A_WORD = re.compile(r"[\W_]+")

_STREET_PARTS = re.compile(r"[^\W\d_]+\.?|\d+")
_STREET_ENDS = (
    (re.compile(r"(.*?)(?:veien|vegen|vejen|vägen|vei|veg|vej|väg|vn)"), "vei"),
    (re.compile(r"(.*?)(?:gaten|gatan|gaden|gata|gate|gade|gt)"), "gate"),
    (re.compile(r"(.*?)(?:strasse|str)"), "str"),
    (re.compile(r"(.*?)(?:plassen|plass)"), "plass"),
)
_STREET_WORDS = {"street": "street", "st": "street", "road": "road", "rd": "road", "avenue": "avenue", "ave": "avenue"}
_STREET_FRONTS = {"al": "al", "aleja": "al", "aleje": "al", "pl": "pl", "plac": "pl", "os": "os", "osiedle": "os"}
_POSTCODE_COUNTRY = re.compile(r"^[a-z]{1,3}[-\s]+(?=\d)")

_NOT_IN_A_NUMBER = re.compile(r"[\W_]+")
_WITH_COUNTRY = re.compile(r"([A-Z]{2})(\d{7,})(?:MVA)?")
_WITH_MVA = re.compile(r"(\d{9})MVA")
_NORWEGIAN_VAT = re.compile(r"(?:NO)?(\d{9})MVA|NO(\d{9})")
_PEPPOL_SCHEME = re.compile(r"^\s*\d{4}:")

Field = Literal["organisation_number", "vat_number", "gln"]
SharedField = Literal["organisation_number", "vat_number", "gln", "name", "address", "email"]
Member = Literal["name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons"]
IDENTIFIERS: tuple[Field, ...] = ("organisation_number", "vat_number", "gln")
MEMBERS: tuple[Member, ...] = ("name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons")
"""What a card is made of, in the order a person reads it."""
_IN_WORDS: dict[Field, str] = {"organisation_number": "organisation number", "vat_number": "VAT number", "gln": "GLN"}


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contact as its reader may see it: a partner sees its own card, the house also what it is to us."""

    id: Annotated[str, Meta(examples=["ct_01KANQ0000000000000000000A"])]
    name: str
    organisation_number: str = ""
    vat_number: str = ""
    gln: str = ""
    email: str = ""
    phone: str = ""
    address: Address = msgspec.field(default_factory=Address)
    persons: list[Person] = []
    is_supplier: Annotated[bool | None, Meta(description="Only told to the house.")] = None
    is_customer: Annotated[bool | None, Meta(description="Only told to the house.")] = None
    is_blocked: Annotated[bool | None, Meta(description="Orders of a blocked contact are refused. Only told to the house.")] = None
    is_provisional: Annotated[bool | None, Meta(description="Made from an order, not yet looked at. Only told to the house.")] = None
    partner: Annotated[str | None, Meta(description="The partner this contact is linked to. Only told to the house.")] = None
    merged_into: Annotated[str | None, Meta(description="The contact that was kept in its place. Only told to the house.")] = None
    created_at: dt.datetime | None = None
    changed_at: dt.datetime | None = None


class ContactForm(Party, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A contact's card, and what the company is to us; a partner gives the card alone."""

    is_supplier: bool = False
    is_customer: bool = False


class ContactPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members of a contact's card to change: each one given replaces the whole member, the others stay."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    organisation_number: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    vat_number: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    gln: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    email: ShortWords | UnsetType = UNSET
    phone: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    address: Address | UnsetType = UNSET
    persons: Annotated[list[Person], Meta(max_length=50)] | UnsetType = UNSET
    is_supplier: bool | UnsetType = UNSET
    is_customer: bool | UnsetType = UNSET


class ContactMatch(MatchedContact, frozen=True, kw_only=True):
    """How a card would be recognised if it came in an order now; of other contacts only how many are similar is told."""

    issues: list[Issue]


class CardDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One member of a card that two sides spell differently, as a person reads it."""

    field: str
    recorded: str
    proposed: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A change a partner asks for in its own contact; a person accepts or declines it."""

    id: str
    contact: Annotated[str, Meta(description="Public id of the contact.")]
    partner: Annotated[str, Meta(description="Name of the partner who asks.")]
    card: Party
    differences: list[CardDifference]
    created_at: dt.datetime


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a partner's wish to change its contact."""

    contact: str
    state: Annotated[
        Literal["open", "taken", "unchanged"],
        Meta(description="`open`: a person will decide. `taken`: it holds from now on. `unchanged`: it is like that already."),
    ]
    proposal: str | None = None
    taken: Annotated[list[str], Meta(description="Members you may change yourself here, and that were changed.")] = []


class SharedValue(msgspec.Struct, frozen=True, kw_only=True):
    """Something several contacts have in common."""

    field: SharedField
    value: str


class Duplicates(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts that may be the same company, and why we think so."""

    score: Annotated[int, Meta(description="0 to 100: how likely they are the same.")]
    evidence: list[SharedValue]
    contacts: list[Contact]


class Similar(msgspec.Struct, frozen=True, kw_only=True):
    """A contact that may be the same company as another, and why we think so."""

    score: Annotated[int, Meta(description="0 to 100: how like each other the cards are.")]
    evidence: list[SharedValue]
    contact: Contact


class Merge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which contact is kept. Its card stays as it is unless gaps are to be filled from the other."""

    into: Annotated[str, Meta(max_length=40, description="Public id of the contact to keep.")]
    fill_gaps: Annotated[bool, Meta(description="Take over what the kept card leaves empty, and persons it does not name.")] = False


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What a merge came to."""

    merged: Annotated[str, Meta(description="Public id of the contact that is no longer used.")]
    kept: Contact
    moved: Annotated[dict[str, int], Meta(description="How many records now point to the kept contact, by what they are.")]
    filled: Annotated[list[str], Meta(description="Members the kept card took over.")]


class ImportedContacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of contacts came to."""

    rows: int
    created: int
    changed: int
    unchanged: int
    issues: Annotated[list[Issue], Meta(description="Numbers that cannot be right; their rows were taken.")] = []


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """A card reduced to what is compared; an empty text is unknown and equals nothing."""

    name: str
    address: str = ""
    organisation_number: str = ""
    vat_number: str = ""
    gln: str = ""
    email: str = ""
    persons: frozenset[str] = frozenset()


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A contact we have, as the ladder looks at it."""

    pk: int
    id: str
    card: Party
    keys: Keys
    partner: int | None = None
    is_blocked: bool = False


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


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One contact that was looked at, for the supplier's eyes only."""

    contact: str
    name: str
    score: int
    is_other_partners: bool = False


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """Who the buyer of a document is to us. `issues` may be shown to the partner, `evidence` never (rulings.md, 25)."""

    contact: int | None
    how: ContactHow
    would_create: bool = False
    similar: int = 0
    issues: list[Issue] = []
    evidence: tuple[Evidence, ...] = ()


def folded(text: str) -> str:
    """A text as searches see it: no case, no punctuation, one blank between words."""
    return " ".join(_words(text))


@lru_cache(maxsize=8192)
def name_key(name: str) -> str:
    """A company's name without case, punctuation and legal form; a name that is nothing else keeps its form.

    Empty only for a blank name.
    """
    words = _words(name)
    while len(words) > 1 and (form := _form_at_the_end(words)):
        words = words[: -form if form < len(words) else -form + 1]
    while len(words) > 1 and words[0] in _FORMS_IN_FRONT:
        words = words[1:]
    return " ".join(words) or unicodedata.normalize("NFKC", name).casefold().strip()


def address_key(address: Address) -> str:
    """Street, house number and postcode as they are compared; empty unless there is a street and a postcode or city."""
    return _address_key(address.street, address.house_number, address.postcode, address.city)


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
    if not key or _has_country(key) or not is_country(country):
        return key
    return f"{'EL' if country == 'GR' else country}{key}"


@lru_cache(maxsize=8192)
def gln_key(number: str) -> str:
    """A GLN as it is compared: capitals and digits, without a Peppol scheme in front (`0088:`)."""
    return _number(_PEPPOL_SCHEME.sub("", number))


def email_key(email: str) -> str:
    """An e-mail address as it is compared."""
    return unicodedata.normalize("NFC", email).strip().casefold()


def keys_of(card: Party) -> Keys:
    """Everything a card is recognised by. Where the VAT number holds the organisation number (NO, DK, SE, FI), it is known too."""
    vat_number = vat_key(card.vat_number, card.address.country) if card.vat_number else ""
    return Keys(
        name=name_key(card.name),
        address=address_key(card.address),
        organisation_number=organisation_key(card.organisation_number) or _organisation_in(vat_number),
        vat_number=vat_number,
        gln=gln_key(card.gln) if card.gln else "",
        email=email_key(card.email) if card.email else "",
        persons=persons_of(card),
    )


def persons_of(card: Party) -> frozenset[str]:
    """The names of the card's contact persons as they are compared."""
    return frozenset(folded(person.name) for person in card.persons) if card.persons else frozenset()


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
    return shares_identifier(wanted, known) or _by_name_and_address(wanted, known)


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


def evidence_issues(seen: Iterable[Evidence], *, blocks: bool = False) -> list[Issue]:
    """The same for a log or an answer that only the house reads."""
    return [
        Issue(
            code="contact_similar",
            message=f"{one.name} ({one.contact}) is {one.score} % like it{_OF_OTHER if one.is_other_partners else ''}.",
            params={"contact": one.contact, "name": one.name, "score": str(one.score)},
            blocks=blocks,
        )
        for one in seen
    ]


def matched(recognised: Recognised) -> MatchedContact:
    """The same as a partner reads it in a dry run."""
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
        params = {"field": _IN_WORDS[place], "sent": getattr(card, place)}
        if tell:
            params["recorded"] = getattr(known.card, place) or getattr(known.keys, field)
        issues.setdefault(
            place,
            Issue(
                code="buyer_mismatch",
                message=f"The buyer's {_IN_WORDS[place]} {params['sent']} is not the one the supplier has for you; "
                "send the right one, or ask the supplier to list this one for you.",
                params=params,
                pointer=f"{at}/{place}",
                blocks=True,
            ),
        )
    return list(issues.values())


def listed(identifier: str, allowed: Collection[str]) -> bool:
    """Whether an identifier, as `keys_of` spells it, is one of these, however they are spelled."""
    return any(identifier == key(number) for number in allowed for key in (organisation_key, vat_key, gln_key))


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


def in_one_line(address: Address) -> str:
    """An address as a person reads it in a sentence."""
    street = f"{address.street} {address.house_number}".strip()
    place = f"{address.postcode} {address.city}".strip()
    return ", ".join(part for part in (street, address.street2, place, address.region, address.country) if part)


def without_gaps(kept: Party, other: Party) -> Party:
    """The kept card, with what it leaves empty and the persons it does not name taken from the other one."""
    given: dict[str, Any] = {field: getattr(other, field) for field in MEMBERS if not getattr(kept, field) and getattr(other, field)}
    if not in_one_line(kept.address):
        given["address"] = other.address
    named = persons_of(kept)
    given["persons"] = [*kept.persons, *(one for one in other.persons if folded(one.name) not in named)][:50]
    return msgspec.structs.replace(kept, **given)


def member_in_words(card: Party, member: Member) -> str:
    """One member of a card as a person reads it."""
    match member:
        case "address":
            return in_one_line(card.address)
        case "persons":
            return _people(card.persons)
        case _:
            return str(getattr(card, member))


def with_members(card: Party, other: Party, members: Collection[str]) -> Party:
    """The card, with these members as the other one has them."""
    given: dict[str, Any] = {member: getattr(other, member) for member in members}
    return msgspec.structs.replace(card, **given)


def shared(one: Keys, other: Keys) -> list[SharedValue]:
    """What two contacts have in common."""
    pairs: list[tuple[SharedField, str]] = [(field, getattr(one, field)) for field in IDENTIFIERS if _same(field, one, other)]
    pairs += [(field, getattr(one, field)) for field in ("name", "address", "email") if getattr(one, field) == getattr(other, field)]
    return [SharedValue(field=field, value=value) for field, value in pairs if value]


def differences(recorded: Party, proposed: Party) -> list[CardDifference]:
    """What a person sees before accepting a proposed card, member by member, spelling included."""
    pairs = [(member, member_in_words(recorded, member), member_in_words(proposed, member)) for member in MEMBERS]
    return [CardDifference(field=field, recorded=ours, proposed=theirs) for field, ours, theirs in pairs if ours != theirs]


def patched(card: Party, patch: ContactPatch) -> Party:
    """The card with the members given in the patch."""
    given: dict[str, Any] = {field: value for field in Party.__struct_fields__ if (value := getattr(patch, field)) is not UNSET}
    return msgspec.structs.replace(card, **given)


def card_of(form: Party) -> Party:
    """The card alone, trimmed and without what the form adds to it."""
    values: dict[str, Any] = {field: getattr(form, field) for field in Party.__struct_fields__}
    trimmed: dict[str, Any] = {field: plain(value) if isinstance(value, str) else value for field, value in values.items()}
    return Party(**trimmed)


def completed(card: Party, listed: Party) -> Party:
    """The card with what a list says; what the list leaves empty stays. A list knows no contact persons."""
    given: dict[str, Any] = {field: value for field in Party.__struct_fields__ if field != "address" and (value := getattr(listed, field))}
    members = {field: value for field in Address.__struct_fields__ if (value := getattr(listed.address, field))}
    return msgspec.structs.replace(card, address=msgspec.structs.replace(card.address, **members), **given)


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
        return by_number or [known for known in around if _by_name_and_address(wanted, known.keys)]


def listed_contacts(table: Table) -> tuple[list[Listed], list[Issue]]:
    """The contacts a list names, and every fault of every row. What can only be known from the database is checked later.

    Columns: name, organisation_number, vat_number, gln, email, phone, street, house_number, street2, postcode, city, region, country,
    role (supplier, customer or both).
    """
    faults = [row_fault(bad.number, bad.column, bad.code, bad.message.replace("{", "{{").replace("}", "}}")) for bad in table.bad]
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
                found.append(row_fault(row.number, "", "row_twice", "Row {other} is the same contact.", other=str(before)))
                break
        faults += found
        if not found:
            is_supplier, is_customer = _ROLES[cells.get("role", "").casefold()]
            listed.append(Listed(row=row.number, card=card, keys=keys, is_supplier=is_supplier, is_customer=is_customer))
    return listed, faults


def at_row(row: int, column: str = "") -> str:
    """Where a fault of a list stands, as a JSON pointer: the row as a spreadsheet program counts it, then the column's name."""
    return f"/rows/{row}/{column}" if column else f"/rows/{row}"


def row_fault(row: int, column: str, code: str, message: str, **params: str) -> Issue:
    """A fault of one cell or row of a list; `message` names its parameters in braces."""
    params = {"row": str(row), "column": column} | params
    return Issue(code=code, message=message.format(**params), params=params, pointer=at_row(row, column), blocks=True)


def row_of(fault: Issue) -> int:
    """The row a fault stands in."""
    return int(fault.params["row"])


def duplicate_score(fields: Collection[str], *, contradict: bool) -> int:
    """How likely contacts that share these fields are one company. Different organisation numbers nearly rule it out."""
    if contradict:
        return 20
    best = max(_WEIGHTS[field] for field in fields)
    if {"name", "address"} <= set(fields):
        best = max(best, _NAME_AND_ADDRESS)
    return min(100, best + 5 * (len(fields) - 1))


def _cell_faults(row: int, cells: dict[str, str]) -> Iterable[Issue]:
    if not cells.get("name"):
        yield row_fault(row, "name", "name_missing", "A contact needs a name.")
    for column in (*CODE_COLUMNS, *_LONGEST):
        longest = _LONGEST.get(column, 80)
        if len(cells.get(column, "")) > longest:
            yield row_fault(row, column, "text_too_long", "This text has at most {longest} characters.", longest=str(longest))
    country = cells["country"]
    if country and not is_country(country):
        message = 'The country "{country}" is not known. Write an ISO 3166-1 code of two letters, such as NO.'
        yield row_fault(row, "country", "country_unknown", message, country=country[:40])
    role = cells.get("role", "")
    if role.casefold() not in _ROLES:
        yield row_fault(row, "role", "role_unknown", 'The role "{role}" is not known. Write supplier, customer or both.', role=role[:40])


def _places(keys: Keys) -> list[tuple[str, ...]]:
    """Everything a card can be found by, for looking up many at once."""
    places: list[tuple[str, ...]] = [(field, value) for field in IDENTIFIERS if (value := getattr(keys, field))]
    if _has_country(keys.vat_number):
        places.append(("vat_number", keys.vat_number[2:]))
    if keys.name and keys.address:
        places.append(("name", keys.name, keys.address))
    return places


def _words(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _APOSTROPHE.sub("", text)
    text = _INITIALS.sub(lambda found: found[0].replace(".", "").replace("/", ""), text)
    return _NOT_A_WORD.sub(" ", text).split()


def _form_at_the_end(words: list[str]) -> int:
    """How many words at the end are a legal form."""
    for form in _MANY_WORD_FORMS:
        if len(form) <= len(words) and tuple(words[-len(form) :]) == form:
            return len(form)
    return 1 if words[-1] in _ONE_WORD_FORMS else 0


@lru_cache(maxsize=8192)
def _address_key(street: str, house_number: str, postcode: str, city: str) -> str:
    parts = _street_parts(street)
    number = _street_parts(house_number)
    # Some write the number into the street and repeat it in its own field.
    if number and parts[-len(number) :] != number:
        parts += number
    place = _NOT_A_WORD.sub("", _POSTCODE_COUNTRY.sub("", unicodedata.normalize("NFKC", postcode).casefold().strip())) or folded(city)
    if not parts or not place:
        return ""
    joined = parts[0]
    for before, part in pairwise(parts):
        joined += f"-{part}" if before.isdecimal() and part.isdecimal() else part
    return f"{joined}|{place}"


def _street_parts(text: str) -> list[str]:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    parts = _STREET_PARTS.findall(text)
    if len(parts) > 1 and parts[0].rstrip(".") in ("ul", "ulica"):
        parts = parts[1:]
    return [_street_part(part, is_first=place == 0) for place, part in enumerate(parts)]


def _street_part(part: str, *, is_first: bool) -> str:
    word = part.rstrip(".")
    if is_first and word in _STREET_FRONTS:
        return _STREET_FRONTS[word]
    if not is_first and word in _STREET_WORDS:
        return _STREET_WORDS[word]
    if word != part and len(word) > 3 and word[-1] in "vg":
        return f"{word[:-1]}{'vei' if word[-1] == 'v' else 'gate'}"
    for ending, spelled in _STREET_ENDS:
        if found := ending.fullmatch(word):
            return f"{found[1]}{spelled}"
    return word


def _number(text: str) -> str:
    return _NOT_IN_A_NUMBER.sub("", unicodedata.normalize("NFKC", text)).upper()


def _has_country(key: str) -> bool:
    return key[:2].isalpha() and (key[:2] in ("EL", "XI") or is_country(key[:2])) and any(sign.isdecimal() for sign in key[2:])


def _organisation_in(vat_number: str) -> str:
    country, number = vat_number[:2], vat_number[2:]
    if (country == "NO" and len(number) == 9) or (country in ("DK", "FI") and len(number) == 8):
        return number
    if country == "SE" and len(number) == 12:
        return number[:10]
    return ""


def _same(field: Field, wanted: Keys, known: Keys) -> bool:
    mine, theirs = getattr(wanted, field), getattr(known, field)
    if field != "vat_number" or mine == theirs:
        return bool(mine == theirs)
    # One side may have left the country out.
    return (_has_country(mine) and mine[2:] == theirs) or (_has_country(theirs) and theirs[2:] == mine)


def _by_name_and_address(wanted: Keys, known: Keys) -> bool:
    same = bool(wanted.name and wanted.address) and wanted.name == known.name and wanted.address == known.address
    return same and not contradictions(wanted, known)


def _by_email(wanted: Keys, known: Keys) -> bool:
    return bool(wanted.email) and wanted.email == known.email and not contradictions(wanted, known)


_LADDER: tuple[tuple[ContactHow, Callable[[Keys, Keys], bool]], ...] = (
    ("identifier", shares_identifier),
    ("name_and_address", _by_name_and_address),
    ("email", _by_email),
)
_OF_OTHER = " and belongs to another partner"
_WEIGHTS = {"organisation_number": 95, "vat_number": 95, "gln": 90, "name": 60, "email": 50, "address": 30}
_NAME_AND_ADDRESS = 85


def _wrong_number(field: Field, number: str, at: str) -> Issue:
    return Issue(
        code=f"{field}_invalid",
        message=f"The {_IN_WORDS[field]} {number} has wrong check digits or length; correct it on your card.",
        params={"number": number},
        pointer=f"{at}/{field}",
    )


def _names(persons: Iterable[Person]) -> str:
    return ", ".join(person.name for person in persons)


def _people(persons: Iterable[Person]) -> str:
    return "; ".join(" ".join(filter(None, (person.name, person.email, person.phone))) for person in persons)
