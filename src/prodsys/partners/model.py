"""What a partner is to us as buyer and as supplier, and what still stands in the way of sending to him."""

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prodsys.connectors.prodsys.words import Company, MatchedNumber, ReportContact
from prodsys.contacts.cards import member_in_words, with_members
from prodsys.contacts.model import MEMBERS, CardDifference, Member
from prodsys.contacts.numbers import gln_key, organisation_key, vat_key
from prodsys.contacts.spelling import email_key
from prodsys.documents import Issue, Name, Party, Percent, Quantity, UnitPrice, plain
from prodsys.kit.outbound import Forbidden, Later, Misconfigured, Network, Refused, Trust, read_address
from prodsys.scopes import GUIDE_SCOPES, PRODSYS_MODULE, Scope, widened

SOON = dt.timedelta(days=14)
"""A token that ends within this time is told of (product.md, A18)."""
CLOCKS_AGREE = dt.timedelta(minutes=5)
DOCUMENT_VERSION = "1"
MOST_NUMBERS = 1_000

WhenUnknown = Literal["refuse", "hold"]
LetThrough = Literal["phone", "persons"]
"""What a partner may change in its own contact without being asked about: never e-mail, VAT or organisation number (product.md, A4)."""
About = Literal["them", "us"]
Changed = Literal["ours", "theirs", "both", "neither"]
Offers = Literal["all", "chosen"]
Identifier = Annotated[str, Meta(min_length=1, max_length=80, description="Organisation number, VAT number or GLN.")]
Days = Annotated[int, Meta(ge=1, le=90)]

_SCOPES = frozenset(scope.value for scope in Scope)
_BLANKS = re.compile(r"\s+")


class AutoConfirm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Within which limits an order is approved without a person (product.md, A14). Everything outside them waits for one."""

    is_on: bool
    only_clean: Annotated[bool, Meta(description="Nothing at all may be remarked; otherwise prices may differ within the tolerance.")] = (
        True
    )
    price_tolerance: Annotated[Percent, Meta(description="How far a price may differ where not only clean orders pass.")] = Percent(0)
    value_ceiling: Annotated[UnitPrice | None, Meta(description="Most an order may come to; null: no ceiling.")] = None
    currency: Annotated[str, Meta(max_length=3, description="Currency of the ceiling.")] = ""
    quantity_ceiling: Annotated[Quantity | None, Meta(description="Most one line may ask for; null: no ceiling.")] = None
    only_linked_contact: bool = True


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """How we, as supplier, treat a partner."""

    pk: int
    id: str
    name: str
    contact: int | None
    identifiers: tuple[str, ...]
    """Numbers he may appear under beside those on his contact's card."""
    when_unknown: WhenUnknown
    price_tolerance: Decimal
    """Percent."""
    offers_all: bool
    show_prices: bool
    is_active: bool
    auto_confirm: AutoConfirm | None = None


class Supplier(msgspec.Struct, frozen=True, kw_only=True):
    """How we, as buyer, reach a partner. The token stays sealed."""

    pk: int
    id: str
    name: str
    contact: int | None
    endpoint: str
    trust: Trust
    sealed: str | None
    token_expires_at: dt.datetime | None
    token_scopes: tuple[str, ...]
    their_epoch: str
    their_cursor: str
    give_up_after_days: int
    is_active: bool
    version: int

    @property
    def lane(self) -> str:
        """The outbox lane of everything that goes to him."""
        return self.id

    @property
    def give_up_after(self) -> dt.timedelta:
        """How long an undeliverable promise to him is tried."""
        return dt.timedelta(days=self.give_up_after_days)


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question of the test."""

    code: Annotated[str, Meta(description="Stable word for programs.", examples=["token_valid"])]
    passed: Annotated[bool | None, Meta(description="Null: worth a look, or it could not be asked.")]
    sentence: Annotated[str, Meta(description="What is true, and what to do about it.")]
    params: dict[str, str] = {}
    needed: Annotated[bool, Meta(description="True when nothing can be sent unless it passes.")] = False


class Checklist(msgspec.Struct, frozen=True, kw_only=True):
    """What the last live test of a partner found."""

    at: dt.datetime
    passed: Annotated[bool, Meta(description="No question was answered no.")]
    can_send: Annotated[bool, Meta(description="Nothing that is needed for sending is missing.")]
    checks: list[Check]


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """How what we send to a partner gets through."""

    state: Annotated[str, Meta(description="open; paused: tried again by itself; stopped: until somebody mends it.")]
    code: str
    reason: str
    waiting_since: dt.datetime | None


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """A partner as an admin sees it; his token is never shown."""

    id: str
    name: str
    contact: Annotated[str | None, Meta(description="Id of his contact here.")]
    is_active: bool
    identifiers: list[str]
    when_unknown: WhenUnknown
    price_tolerance: Annotated[Percent, Meta(description="Percent by which an ordered price may differ unremarked.")]
    offers: Offers
    show_prices: bool
    may_rotate: Annotated[bool, Meta(description="Whether he may renew the token we gave him by himself.")]
    auto_confirm: Annotated[AutoConfirm | None, Meta(description="Null: a person answers every order.")]
    lets_through: Annotated[list[LetThrough], Meta(description="What he may change in his contact without being asked about.")]
    endpoint: Annotated[str, Meta(description="The address of his instance; empty while he is only our buyer.")]
    has_token: bool
    token_expires_at: dt.datetime | None
    token_scopes: list[str]
    give_up_after_days: int
    lane: Lane | None
    checklist: Checklist | None
    missing: Annotated[list[Issue], Meta(description="Why nothing can be exported to him now, and what will soon stop it.")]
    created_at: dt.datetime


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a partner; what is left out stays."""

    name: Name | UnsetType = UNSET
    contact: Annotated[str | UnsetType | None, Meta(description="Id of his contact here; null unlinks it.")] = UNSET
    is_active: bool | UnsetType = UNSET
    identifiers: Annotated[list[Identifier], Meta(max_length=50)] | UnsetType = UNSET
    when_unknown: WhenUnknown | UnsetType = UNSET
    price_tolerance: Percent | UnsetType = UNSET
    offers: Offers | UnsetType = UNSET
    show_prices: bool | UnsetType = UNSET
    may_rotate: bool | UnsetType = UNSET
    auto_confirm: AutoConfirm | UnsetType | None = UNSET
    lets_through: Annotated[list[LetThrough], Meta(max_length=2)] | UnsetType = UNSET
    give_up_after_days: Days | UnsetType = UNSET


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says, before anybody is called: whom it leads to, and who says so."""

    company: str
    url: str
    host: str
    expires_at: dt.datetime
    is_expired: bool


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


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A partner by what he is known by: for finding out whether he is there already."""

    id: str
    name: str
    endpoint: str
    numbers: frozenset[str]


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


def ready(supplier: Supplier, module_on: bool, now: dt.datetime) -> list[Issue]:
    """Why nothing can be exported to a supplier (issues that block), and what will soon stop it (the others)."""
    name, found = supplier.name, []
    if not module_on:
        message = "The module ProdSys to ProdSys is switched off here; switch it on under Admin > Extensions."
        found.append(_issue("module_off", message, module=PRODSYS_MODULE))
    if not supplier.is_active:
        message = f"{name} is switched off as a partner; switch it on under Admin > Integrations."
        found.append(_issue("partner_inactive", message, partner=name))
    if not supplier.endpoint or supplier.sealed is None:
        message = f"{name} has no connection yet; paste its connection bundle under Admin > Integrations."
        return [*found, _issue("partner_not_connected", message, partner=name)]
    if supplier.token_scopes and Scope.PURCHASE_ORDERS_CREATE not in supplier.token_scopes:
        scope = Scope.PURCHASE_ORDERS_CREATE.value
        message = f"The token {name} gave us lacks the scope {scope}; ask {name} for a token that carries it."
        found.append(_issue("scope_missing", message, partner=name, scope=scope))
    end = supplier.token_expires_at
    if end is not None and end <= now:
        message = f"The token {name} gave us expired on {end:%Y-%m-%d}; ask {name} for a new one."
        found.append(_issue("token_expired", message, partner=name, date=f"{end:%Y-%m-%d}"))
    elif end is not None and end <= now + SOON:
        message = f"The token {name} gave us expires on {end:%Y-%m-%d}; renew it, or ask {name} for a new one before then."
        found.append(_issue("token_expiring", message, blocks=False, partner=name, date=f"{end:%Y-%m-%d}"))
    return found


def trust_of_bundle(url: str, networks: Sequence[Network]) -> Trust:
    """Whose word a bundle's address is: the partner's, unless the operator has opened the network its host lies in (rulings.md, 29)."""
    host = host_of(url)
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return "partner"
    return "admin" if any(address in network for network in networks) else "partner"


def host_of(url: str) -> str:
    """The host an address leads to; empty when it leads nowhere."""
    read = read_address(url, "admin")
    return "" if isinstance(read, Forbidden) else read.host


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of the setting `allowed_networks`; raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def identifier(text: str) -> str:
    """A number as it is kept beside others: NFC, without blanks."""
    return _BLANKS.sub("", plain(text))


def tidied(identifiers: Iterable[str]) -> tuple[str, ...]:
    """Numbers without blanks, each once, in the order given."""
    return tuple(dict.fromkeys(kept for one in identifiers if (kept := identifier(one))))


def checklist(at: dt.datetime, checks: list[Check]) -> Checklist:
    """What a test comes to."""
    return Checklist(
        at=at,
        passed=all(check.passed is not False for check in checks),
        can_send=not any(check.needed and check.passed is False for check in checks),
        checks=checks,
    )


def check_unreached(trouble: Later | Misconfigured | Refused) -> list[Check]:
    """The first questions of a test whose first call brought no answer."""
    if isinstance(trouble, Refused):
        said = trouble.problem.detail or trouble.problem.title or f"status {trouble.problem.status}"
        return [_no("reachable", f"Their system refuses to say who it is: {said}", needed=True)]
    if trouble.reason == "certificate":
        return [_no("certificate", f"{trouble.detail} Ask them to renew it.", needed=True)]
    if isinstance(trouble, Later):
        return [_no("reachable", f"Their system cannot be reached: {trouble.detail}", needed=True)]
    if trouble.problem is None:
        return [_no("reachable", f"{trouble.detail} Correct the address.", needed=True)]
    reached = Check(code="reachable", passed=True, sentence="Their system answers.", needed=True)
    if trouble.reason == "module_off":
        return [reached, _no("module_on", f"{trouble.detail} Ask them to switch it on.", needed=True)]
    return [reached, _no("token_valid", f"{trouble.detail} Ask them for a new token.", needed=True)]


def check_company(company: Company, endpoint: str, at: dt.datetime) -> list[Check]:
    """What can be said from their company card alone."""
    checks = [
        Check(code="reachable", passed=True, sentence=f"{company.card.name} answers.", needed=True),
        Check(code="certificate", passed=True, sentence="The connection is encrypted and their certificate is valid.")
        if endpoint.startswith("https:")
        else _open("certificate", "The connection is not encrypted; that is only for machines in your own network."),
        _versions(company),
        _clocks(company, at),
        _token(company, at),
    ]
    carried = widened(frozenset(Scope(word) for word in company.token.scopes if word in _SCOPES))
    for scope in GUIDE_SCOPES:
        has = scope in carried
        sentence = f"The token carries {scope}." if has else f"The token lacks {scope}; ask them for a token that carries it."
        is_needed = scope is Scope.PURCHASE_ORDERS_CREATE
        checks.append(Check(code="scope", passed=has, sentence=sentence, params={"scope": scope.value}, needed=is_needed))
    if company.modules is None:
        return [*checks, _open("module_on", "Their system does not say whether its module ProdSys to ProdSys is on.")]
    if PRODSYS_MODULE in company.modules:
        return [*checks, Check(code="module_on", passed=True, sentence="Their module ProdSys to ProdSys is switched on.", needed=True)]
    return [*checks, _no("module_on", "Their module ProdSys to ProdSys is switched off; ask them to switch it on.", needed=True)]


def check_known(answer: ReportContact | Later | Misconfigured | Refused | None) -> Check:
    """Whether they know our company; None when we have no card to show."""
    match answer:
        case None:
            return _open("company_known", "Our own company card is empty, so they cannot know us by it; fill it in under Admin > Company.")
        case ReportContact(how="linked" | "matched"):
            return Check(code="company_known", passed=True, sentence="Our company is known there.")
        case ReportContact(how="would_create", similar=similar):
            advice = (
                f"but {similar} of theirs are similar, so ask them to link the right one to our token"
                if similar
                else "nothing is to be done"
            )
            sentence = "They know us by our token, but keep no contact of us yet. Our first order makes one there by itself;"
            return _open("company_known", f"{sentence} {advice}.")
        case ReportContact():
            return _no("company_known", "Several of their contacts could be us; ask them to link the right one to our token.")
        case _:
            return _open("company_known", f"Whether our company is known there could not be asked: {said(answer)}")


def check_articles(
    numbers: Sequence[str], answer: Sequence[MatchedNumber] | Later | Misconfigured | Refused | None, known: int = 0
) -> Check:
    """How many of the article numbers we would order by mean something to them; None when we have none.

    `known` more than these numbers stand in the catalogue of theirs that we have read.
    """
    if answer is None:
        return _open("articles_matched", "None of our articles has a number at this supplier yet; enter the supplier article numbers.")
    if isinstance(answer, Later | Misconfigured | Refused):
        return _open("articles_matched", f"Whether our supplier article numbers match could not be asked: {said(answer)}")
    good = {one.number for one in answer if one.how in ("article_number", "learned", "gtin", "matched")}
    unknown = [number for number in numbers if number not in good]
    params = {"matched": str(known + len(numbers) - len(unknown)), "asked": str(known + len(numbers))}
    if not unknown:
        sentence = f"All {params['asked']} of our supplier article numbers match."
        return Check(code="articles_matched", passed=True, sentence=sentence, params=params)
    some = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
    sentence = f"{params['matched']} of {params['asked']} supplier article numbers match; correct these: {some}"
    return Check(code="articles_matched", passed=None if good or known else False, sentence=sentence, params=params)


def said(trouble: Later | Misconfigured | Refused) -> str:
    """A trouble in one sentence."""
    return trouble.problem.detail or trouble.problem.title if isinstance(trouble, Refused) else trouble.detail


def _versions(company: Company) -> Check:
    known = ", ".join(company.document_versions)
    params = {"version": company.version, "document_versions": known}
    if not company.document_versions:
        return Check(code="versions", passed=None, sentence="Their system does not say which document versions it speaks.", params=params)
    # A newer instance may name its versions "1" or "1.3"; the first figure is what has to agree.
    if any(version.partition(".")[0].lstrip("v") == DOCUMENT_VERSION for version in company.document_versions):
        sentence = f"Their version {company.version or 'is not told, but it'} speaks our documents."
        return Check(code="versions", passed=True, sentence=sentence, params=params, needed=True)
    sentence = f"Their version speaks documents of version {known}, ours of version {DOCUMENT_VERSION}; one side has to upgrade."
    return Check(code="versions", passed=False, sentence=sentence, params=params, needed=True)


def _clocks(company: Company, at: dt.datetime) -> Check:
    if company.clock is None:
        return _open("clocks", "Their system does not tell its time.")
    apart = abs(company.clock - at)
    if apart <= CLOCKS_AGREE:
        return Check(code="clocks", passed=True, sentence="Their clock and ours agree.")
    minutes = str(int(apart.total_seconds() // 60))
    sentence = f"Their clock and ours are {minutes} minutes apart; set the wrong one right, or times and expiries will mislead."
    return Check(code="clocks", passed=None, sentence=sentence, params={"minutes": minutes})


def _token(company: Company, at: dt.datetime) -> Check:
    end = company.token.expires_at
    if end is None:
        return Check(code="token_valid", passed=True, sentence="The token is accepted; when it ends is not told.", needed=True)
    params = {"date": f"{end:%Y-%m-%d}"}
    if end <= at:
        sentence = f"The token expired on {end:%Y-%m-%d}; ask them for a new one."
        return Check(code="token_valid", passed=False, sentence=sentence, params=params, needed=True)
    if end <= at + SOON:
        sentence = f"The token is valid until {end:%Y-%m-%d}; renew it, or ask them for a new one before then."
        return Check(code="token_valid", passed=None, sentence=sentence, params=params, needed=True)
    return Check(code="token_valid", passed=True, sentence=f"The token is valid until {end:%Y-%m-%d}.", params=params, needed=True)


def _no(code: str, sentence: str, *, needed: bool = False) -> Check:
    return Check(code=code, passed=False, sentence=sentence, needed=needed)


def _open(code: str, sentence: str) -> Check:
    return Check(code=code, passed=None, sentence=sentence)


def _issue(code: str, message: str, *, blocks: bool = True, **params: str) -> Issue:
    return Issue(code=code, message=message, params=params, blocks=blocks)
