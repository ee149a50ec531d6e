"""A contact, what partners would have changed in it, and what came of merging two of them."""

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prodsys.documents import Address, ContactHow, Issue, MatchedContact, Party, Person, ShortWords

Field = Literal["organisation_number", "vat_number", "gln"]
SharedField = Literal["organisation_number", "vat_number", "gln", "name", "address", "email"]
Member = Literal["name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons"]
IDENTIFIERS: tuple[Field, ...] = ("organisation_number", "vat_number", "gln")
MEMBERS: tuple[Member, ...] = ("name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons")
"""What a card is made of, in the order a person reads it."""
IN_WORDS: dict[Field, str] = {"organisation_number": "organisation number", "vat_number": "VAT number", "gln": "GLN"}


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
    refused: Annotated[int, Meta(description="Rows of our own company, which were left out; the others are counted in `rows`.")] = 0
    issues: Annotated[
        list[Issue], Meta(description="Rows that were left out; and numbers that cannot be right, whose rows were taken.")
    ] = []


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
