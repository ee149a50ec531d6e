"""A partner's answers, read so leniently that two instances may upgrade apart.

Members and words we do not know are passed over; only what we cannot do without makes an answer unreadable.
"""

import datetime as dt
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prodsys import documents
from prodsys.connectors.prodsys.words import Change, MatchedNumber, Receipt, Record, Report, TheirToken, Trouble
from prodsys.documents import (
    Address,
    AnswerLine,
    Attachment,
    Despatch,
    DespatchLine,
    Message,
    OrderAnswer,
    Party,
    Person,
    PromisedDelivery,
    ReasonCode,
    Substitute,
)
from prodsys.kit import outbound
from prodsys.kit.outbound import Answered, Fine, Misconfigured, Problem, Refused

T = TypeVar("T")
_OF_THE_TOKEN = frozenset({"token_missing", "token_unknown", "token_expired", "token_revoked"})


def read_receipt(answer: bytes | str) -> Receipt | None:
    """Read a Receipt of any version; None when it lacks what we need."""
    return decoded(answer, _receipt)


class _WireAddress(msgspec.Struct, frozen=True, kw_only=True):
    street: str = ""
    house_number: str = ""
    street2: str = ""
    postcode: str = ""
    city: str = ""
    region: str = ""
    country: str = ""


class _WirePerson(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    email: str = ""
    phone: str = ""


class _WireParty(msgspec.Struct, frozen=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1)]
    organisation_number: str = ""
    vat_number: str = ""
    gln: str = ""
    email: str = ""
    phone: str = ""
    address: _WireAddress = _WireAddress()
    persons: list[_WirePerson] = []


class WireOwnRecord(_WireParty, frozen=True, kw_only=True):
    """The card they keep of us, told beside their own."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    etag: str = ""


class WireCompany(_WireParty, frozen=True, kw_only=True):
    """Who they are."""

    contact: WireOwnRecord | UnsetType | None = UNSET
    token: TheirToken = TheirToken()
    version: str = ""
    epoch: str = ""
    document_versions: list[Any] = []
    modules: Any = None


class WireRecord(_WireParty, frozen=True, kw_only=True):
    """The card they keep of us."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]


class Records(msgspec.Struct, frozen=True):
    """A page of contacts."""

    items: list[WireRecord]


class WireClaimed(msgspec.Struct, frozen=True, kw_only=True):
    """A token, given for a code or for its predecessor."""

    token: Annotated[str, Meta(min_length=1, max_length=500)]
    scopes: list[str]
    expires_at: Annotated[dt.datetime, Meta(tz=True)]
    company: _WireParty | None = None


class WireWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """An address of ours they call."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    is_enabled: bool = True


class WireRegistered(msgspec.Struct, frozen=True, kw_only=True):
    """An address of ours they are going to call, and what they sign by."""

    webhook: WireWebhook
    secret: Annotated[str, Meta(min_length=1, max_length=500)]


# What goes into our books as it is: without the character no database takes, and no longer than anything of ours is.
_Text = Annotated[str, Meta(max_length=1_000, pattern=r"^[^\x00]*\Z")]
_Count = Annotated[int, Meta(ge=0, le=2_147_483_647)]


class _WireChange(msgspec.Struct, frozen=True, kw_only=True):
    position: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    kind: _Text
    id: _Text
    number: _Text
    revision: _Count
    at: dt.datetime | None = None
    delivery: _Text = ""
    validation: _Text = ""
    acceptance: _Text = ""
    fulfilment: _Text = ""
    order_number: _Text | None = None
    reason: str | None = None
    answer: _Count = 0
    answered: msgspec.Raw = msgspec.Raw(b"null")
    despatch: msgspec.Raw = msgspec.Raw(b"null")
    said: msgspec.Raw = msgspec.Raw(b"null")


class WireChanges(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the feed."""

    items: list[_WireChange]
    next: _Text | None = None


class WireHeld(msgspec.Struct, frozen=True, kw_only=True):
    """An order with all that came of it."""

    order: msgspec.Raw = msgspec.Raw(b"null")
    received_at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    answered: msgspec.Raw = msgspec.Raw(b"null")
    despatches: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []


class RawItems(msgspec.Struct, frozen=True):
    """A list whose members are read one by one."""

    items: list[msgspec.Raw]


class MatchedNumbers(msgspec.Struct, frozen=True):
    """What article numbers mean to them."""

    items: list[MatchedNumber]


_receipt = msgspec.json.Decoder(Receipt)
_wire_report = msgspec.json.Decoder(Report)
_document = msgspec.json.Decoder(dict[str, Any])


def judged(outcome: outbound.Outcome) -> Fine | Trouble:
    """What a call's outcome means here; a token that is not accepted says why in their words."""
    if isinstance(outcome, Answered) and outcome.status in (409, 422) and not outcome.content:
        title = "The partner refuses this for more reasons than can be read; send a part of it to see them."
        return Refused(problem=Problem(status=outcome.status, code="too_many_issues", title=title))
    verdict = outbound.judge(outcome)
    if isinstance(verdict, Misconfigured) and verdict.problem is not None and verdict.problem.code in _OF_THE_TOKEN:
        said = verdict.problem.detail or verdict.problem.title or verdict.detail
        return Misconfigured(reason=verdict.problem.code, detail=said, problem=verdict.problem)
    return verdict


def read_report(raw: msgspec.Raw) -> Report | None:
    """What would happen to an order; None when it lacks what we need."""
    bare = decoded(_without_issues(raw), _wire_report)
    if bare is None:
        return None
    problem = outbound.read_problem(Answered(status=200, content=bytes(raw)))
    return msgspec.structs.replace(bare, issues=list(problem.issues) if problem else [])


def _without_issues(raw: msgspec.Raw) -> bytes:
    """The report without its issues, which are read leniently, one by one."""
    try:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return b"null"
    members.pop("issues", None)
    return msgspec.json.encode(members)


def read_change(wire: _WireChange) -> Change:
    """One thing that happened to an order, as far as we know its words."""
    parts: dict[str, Any] = {"answered": known_part(wire.answered, OrderAnswer), "despatch": known_part(wire.despatch, Despatch)}
    parts["said"] = known_part(wire.said, Message)
    same = {field: getattr(wire, field) for field in wire.__struct_fields__ if field not in parts}
    is_cut = any(parts[name] is None and bytes(getattr(wire, name)).strip() != b"null" for name in parts)
    reason = None if wire.reason is None else outbound.plain(wire.reason)
    return Change(**(same | {"reason": reason}), **parts, is_cut=is_cut)


def known_part(raw: msgspec.Raw, kind: type[T]) -> T | None:
    """What a change came with, in our words: members we do not know are passed over, texts are harmless; None when we cannot use it."""
    told = decoded(bytes(raw), _document)
    if told is None:
        return None
    try:
        part = msgspec.convert(_as_known(told, kind), kind, dec_hook=documents.read_exact)
    except (msgspec.MsgspecError, RecursionError):
        return None
    # A moment without a zone could be any, and no count of answers is that high.
    at = getattr(part, "at", None)
    is_odd = (at is not None and at.tzinfo is None) or getattr(part, "answer", 0) > 2_147_483_647
    return None if is_odd else part


_REASONS = frozenset(ReasonCode)
_INSIDE: Mapping[str, type[Any]] = {"deliveries": PromisedDelivery, "substitute": Substitute, "attachments": Attachment}
_LINES: Mapping[type[Any], type[Any]] = {OrderAnswer: AnswerLine, Despatch: DespatchLine}


def _as_known(told: Any, kind: type[Any]) -> Any:
    if isinstance(told, list):
        return [_as_known(one, kind) for one in told]
    if not isinstance(told, dict):
        return told
    known: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        if name not in told:
            continue
        value, within = told[name], _LINES.get(kind) if name == "lines" else _INSIDE.get(name)
        if within is not None:
            value = _as_known(value, within)
        elif isinstance(value, str):
            value = "\n".join(outbound.plain(line) for line in value.splitlines()[:200])[:4000]
        known[name] = value
    if "reason_code" in known and known["reason_code"] not in _REASONS:
        known["reason_code"] = ReasonCode.OTHER.value if known["reason_code"] else None
    return known


def decoded(content: bytes | str, decoder: msgspec.json.Decoder[T]) -> T | None:
    """An answer as the decoder reads it; None when it cannot."""
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def read_party(theirs: _WireParty) -> Party:
    """Their card in our words, each text harmless and short enough to keep."""
    address, plain = theirs.address, outbound.plain
    return Party(
        name=plain(theirs.name, 200) or "?",
        organisation_number=plain(theirs.organisation_number, 80),
        vat_number=plain(theirs.vat_number, 80),
        gln=plain(theirs.gln, 80),
        email=plain(theirs.email, 120),
        phone=plain(theirs.phone, 80),
        address=Address(
            street=plain(address.street, 500),
            house_number=plain(address.house_number, 80),
            street2=plain(address.street2, 500),
            postcode=plain(address.postcode, 80),
            city=plain(address.city, 120),
            region=plain(address.region, 120),
            country=plain(address.country, 2),
        ),
        persons=[
            Person(name=name, email=plain(person.email, 120), phone=plain(person.phone, 80))
            for person in theirs.persons[:50]
            if (name := plain(person.name, 200))
        ],
    )


def modules_on(modules: Any) -> frozenset[str] | None:
    """The extensions they name as switched on; None when they do not say."""
    if not isinstance(modules, list):
        return None
    return frozenset(outbound.plain(name, 100) for name in modules[:100] if isinstance(name, str))


def own_record(theirs: WireOwnRecord) -> Record:
    """The card they keep of us, as it came with their own."""
    return Record(id=outbound.plain(theirs.id, 100), card=read_party(theirs), etag=_strong(theirs.etag))


def etag_of(answer: Answered) -> str:
    """The strong ETag of an answer; empty where there is none we could send back."""
    return _strong(answer.headers.get("etag", "").strip())


def _strong(etag: str) -> str:
    return etag if len(etag) <= 200 and etag.isascii() and etag.isprintable() and etag.startswith('"') else ""


def clock_of(answer: Answered) -> dt.datetime | None:
    """The time an answer bears; None where it bears none."""
    try:
        said = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return said if said.tzinfo is not None else None


def not_prodsys(detail: str) -> Misconfigured:
    """What is said of an address that answers otherwise than a ProdSys does."""
    return Misconfigured(reason="not_prodsys", detail=f"The address does not answer as a ProdSys system does: {detail}")
