"""Two cards of one company, as we keep it and as they do, and who has changed what since they were last compared."""

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys.contacts.cards import member_in_words, with_members
from prodsys.contacts.model import MEMBERS, CardDifference, Member
from prodsys.contacts.numbers import gln_key, organisation_key, vat_key
from prodsys.contacts.spelling import email_key
from prodsys.documents import Party

About = Literal["them", "us"]
Changed = Literal["ours", "theirs", "both", "neither"]


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a card that two companies keep differently, and who changed it since they were last compared."""

    about: Annotated[About, Meta(description="`them`: our contact of the partner and its own card. `us`: our card and its record of us.")]
    member: Member
    ours: str
    theirs: str
    changed: Annotated[Changed, Meta(description="`both` is a conflict: nothing is written until a person has settled it.")]
    ours_changed_at: dt.datetime | None = None
    ours_changed_by: str = ""
    theirs_changed_at: Annotated[dt.datetime | None, Meta(description="When we noticed.")] = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Our contact's card beside the card their instance shows, and our own card beside the record they keep of us."""

    ours: Party | None
    theirs: Party | None
    differences: list[CardDifference]
    our_card: Party | None = None
    their_record: Annotated[Party | None, Meta(description="What they have noted of us, as last read.")] = None
    disagreements: Annotated[list[Disagreement], Meta(description="Everything that differs, conflicts first.")] = []
    compared_at: dt.datetime | None = None
    fault: Annotated[str, Meta(description="Why the last comparison could not be made; empty when it could.")] = ""


class Synced(msgspec.Struct, frozen=True, kw_only=True):
    """What comparing cards with a partner came to."""

    proposed: Annotated[list[Member], Meta(description="Changed there, and now waiting for a person here.")] = []
    taken: Annotated[list[Member], Meta(description="Changed there, and let through.")] = []
    offered: Annotated[list[Member], Meta(description="Changed by us on our own card, and offered to them.")] = []
    conflicts: Annotated[list[Disagreement], Meta(description="Changed on both sides; nothing was written.")] = []
    fault: Annotated[str, Meta(description="Why it could not be done, or not wholly.")] = ""


class Settlement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose spelling of some members holds. About us, `ours` offers them our card; nothing of our own card is taken from others."""

    about: About
    members: Annotated[list[Member], Meta(min_length=1, max_length=8)]
    hold: Literal["ours", "theirs"]


class Two(msgspec.Struct, frozen=True, kw_only=True):
    """A card as two companies keep it."""

    ours: Party
    theirs: Party


class SyncState(msgspec.Struct, frozen=True, kw_only=True):
    """What we remember of the last comparison: which states were read, and the cards up to which everything is settled."""

    company_etag: str = ""
    company_tells_record: bool = False
    """Whether that ETag covers their record of us as well."""
    record_id: str = ""
    record_etag: str = ""
    record: Party | None = None
    them: Two | None = None
    us: Two | None = None
    noticed: dict[str, dt.datetime] = {}
    """When we saw a member change on their side, under `about.member`."""
    conflicts: list[str] = []
    at: dt.datetime | None = None


def same(member: Member, one: Party, other: Party) -> bool:
    """Whether two cards say the same in one member; codes and e-mail are compared without their dress."""
    match member:
        case "organisation_number":
            return organisation_key(one.organisation_number) == organisation_key(other.organisation_number)
        case "vat_number":
            keys = [vat_key(card.vat_number, card.address.country) if card.vat_number else "" for card in (one, other)]
            return keys[0] == keys[1]
        case "gln":
            return gln_key(one.gln) == gln_key(other.gln)
        case "email":
            return email_key(one.email) == email_key(other.email)
        case _:
            return member_in_words(one, member) == member_in_words(other, member)


def changes(base: Two, now: Two) -> dict[Member, Changed]:
    """The members two companies keep differently, and who changed them since the base."""
    found: dict[Member, Changed] = {}
    for member in MEMBERS:
        if same(member, now.ours, now.theirs):
            continue
        by_us, by_them = not same(member, base.ours, now.ours), not same(member, base.theirs, now.theirs)
        found[member] = "both" if by_us and by_them else "ours" if by_us else "theirs" if by_them else "neither"
    return found


def first_base(about: About, now: Two) -> Two:
    """What two cards count as having been when they are compared for the first time.

    About them: what we lack is theirs to tell, and what differs is only shown. About us: what differs is ours to offer, if we say anything.
    """
    if about == "them":
        lacking = [member for member in MEMBERS if not member_in_words(now.ours, member)]
        return Two(ours=now.ours, theirs=with_members(now.theirs, now.ours, lacking))
    told = [member for member in MEMBERS if member_in_words(now.ours, member)]
    return Two(ours=with_members(now.ours, now.theirs, told), theirs=now.theirs)


def settled(base: Two, now: Two, *, ours: Iterable[Member] = (), theirs: Iterable[Member] = ()) -> Two:
    """The base moved on: by what is the same on both sides, and by these members of ours and theirs."""
    agreed = [member for member in MEMBERS if same(member, now.ours, now.theirs)]
    return Two(
        ours=with_members(base.ours, now.ours, [*agreed, *ours]),
        theirs=with_members(base.theirs, now.theirs, [*agreed, *theirs]),
    )
