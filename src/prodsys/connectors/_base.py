"""What a connector is made of: its form, its words, and what it can do, from which everything else is derived.

Nothing here raises for what the network or the other side does: every call ends as a value, and `Trouble` says whose move is next
(rulings.md, 20): nobody's (Later), the admin's (Misconfigured), or nobody can, the document is not taken (Refused).
"""

import asyncio
import contextlib
import datetime as dt
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import msgspec

from prodsys import documents
from prodsys.documents import (
    ArticleCard,
    ContactCard,
    Exact,
    Invoice,
    InvoiceDraft,
    Issue,
    OrderStatus,
    PurchaseRequest,
    SalesOrder,
    Stock,
    Voucher,
)
from prodsys.kit.outbound import Later, Misconfigured, Outbound, Problem, Refused
from prodsys.kit.vault import Secret, read_secret

__all__ = ["KINDS", "Direction", "Later", "Misconfigured", "Outbound", "Problem", "Refused", "Secret", "Trouble"]

E = TypeVar("E", bound=Exact)

Direction = Literal["in", "out"]
"""`in` brings their documents to us, `out` takes ours to them."""

Provenance = Literal["documented", "client code", "assumed"]
"""How sure we are of a group of fields: the vendor's own documents, code that was seen to work, or a guess an admin should check."""

KINDS: Mapping[str, type[Any]] = {
    "contacts": ContactCard,
    "articles": ArticleCard,
    "stock": Stock,
    "orders": SalesOrder,
    "order_status": OrderStatus,
    "purchase_orders": PurchaseRequest,
    "invoice_drafts": InvoiceDraft,
    "invoices": Invoice,
    "vouchers": Voucher,
}
"""Every kind of document that flows, by the word it has in addresses."""

Trouble = Later | Misconfigured | Refused
"""Why a call brought nothing we can use."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of their system, said before anything is sent (product.md, C8). `field` is one of *our* document, `lines[].x` for rows."""

    field: str
    longest: int | None = None
    is_required: bool = False
    digits_only: bool = False
    decimals: int | None = None
    one_of: tuple[str, ...] = ()
    says: str = ""
    """What is more than the members above, in words; checked only by the person who reads it."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked up in their system before a document is written in their words."""

    customer: str = ""
    """Their id of the document's customer or supplier."""
    articles: Mapping[str, str] = {}
    """Their ids of the articles, by number."""
    config: Any = None
    """The connection's Config."""
    theirs: Mapping[str, Any] | None = None
    """What they have now, when the document is an update."""


class Lookup(msgspec.Struct, frozen=True):
    """How a record is looked up: their query for a value, and the member that must then equal it (`customer.email`; empty: believed).

    With `by_reading` they cannot be asked for a value: the list `query("")` names is read whole, and compared. With `begins`, the member
    is a text of theirs that our value and a colon begin (`V-7: screws`).
    """

    query: Callable[[str], Mapping[str, str]]
    member: str = ""
    by_reading: bool = False
    begins: bool = False


def by_reading(member: str, query: Callable[[], Mapping[str, str]] = dict, *, begins: bool = False) -> Lookup:
    """A look-up in systems that cannot be asked for a value: a whole list is read for it."""
    return Lookup(lambda _: query(), member, by_reading=True, begins=begins)


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of document in their system: where it is, in which words, and the two pure functions between their words and ours.

    Without `read` it cannot come in, without `write` it cannot go out; `no` then says why, in a sentence for an admin.
    """

    path: str = ""
    wire: Any = None
    """Their words, a Struct that allows unknown members."""
    key: str = "id"
    """Member of their words that identifies a record there."""
    number: str = ""
    """Member of their words that equals our document's `number` (or `article_number`), if there is one."""
    read: Callable[[Any], Any] | None = None
    """Their words → ours."""
    write: Callable[[Any, Known], Any] | None = None
    """Ours → their words; may return a Struct or builtins."""
    find_by: Mapping[str, Lookup] = {}
    """How a record is looked up, by our word (email, number, organisation_number, gtin…). `reference` finds what we have made there."""
    since: Callable[[dt.datetime], Mapping[str, str]] | None = None
    """Their query for what has changed since a moment; None where all of it has to be read every time."""
    changed: str = ""
    """Member of their words with the moment of the last change."""
    among: Mapping[str, str] = {}
    """Their query for this kind, where a list of theirs holds several."""
    where: Mapping[str, Callable[[str], Mapping[str, str]]] = {}
    """Filters an admin may set in a flow (status, is_paid…), each as their query; others are applied by us after reading."""
    update: Literal["put", "patch", ""] = ""
    """How a record is changed: whole, in part, or not at all."""
    is_once_only: bool = False
    """A create cannot be looked up afterwards: after a lost reply a person has to look, it is never repeated."""
    drafts: str = ""
    """What a draft is called there; empty: the system has none, and everything is final at once."""
    makes: tuple[str, ...] = ("order",)
    """For orders: which of order, sales_invoice, invoice the system can make of one."""
    limits: tuple[Limit, ...] = ()
    provenance: Mapping[str, Provenance] = {}
    """How sure we are, by group of fields: {"id, name, address": "documented"}."""
    no: Mapping[Direction, str] = {}
    """Why a direction is not offered."""
    lacks: tuple[str, ...] = ()
    """Members of our document their words never say, of those our books insist on: `currency` of an article."""
    note: str = ""
    """What an admin should know about this kind, whichever way it goes."""
    notes: Mapping[Direction, str] = {}
    """What he should know of one direction only."""


class Capability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one kind of document can go one way, and how well that is known."""

    kind: str
    direction: Direction
    is_offered: bool
    reason: str = ""
    drafts: str = ""
    by_changes: bool = False
    makes: tuple[str, ...] = ()
    provenance: Mapping[str, Provenance] = {}
    limits: tuple[Limit, ...] = ()
    note: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One of their records: `id` as they know it, in their words (builtins), and when it was changed, if they say."""

    id: str
    theirs: Mapping[str, Any]
    number: str = ""
    changed_at: dt.datetime | None = None


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """A page of their records. `read_at` is their clock when it was read, for the cursor, if they say."""

    records: Sequence[Record]
    read_at: dt.datetime | None = None
    is_last: bool = False


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """They have it, under their `id`. `said` is their answer as bytes, for the log; `id` is empty where they do not tell it."""

    id: str
    said: bytes = b""
    number: str = ""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of one of their lists: payment terms, VAT codes, units…"""

    id: str
    title: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a test; `field` names the member of the form it is about, empty for the connection as a whole."""

    field: str = ""
    is_fine: bool = False
    message: str


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """What a test of a connection found."""

    is_fine: bool
    checks: Sequence[Check]


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What an authorization gave us; the refresh token may be good only once."""

    access_token: Secret
    expires_at: dt.datetime
    refresh_token: Secret | None = None


class Grants(Protocol):
    """Where a connection's grant is kept. A new pair is stored before it is used, and only one of us renews at a time."""

    async def read(self) -> Grant | None:
        """The grant as it is kept now."""

    async def renew(self, stale: Grant | None, ask: "Callable[[Grant | None], Any]") -> "Grant | Trouble":
        """Renew it once, whoever asks: where somebody has replaced *stale* meanwhile, that newer one is given back instead.

        `await ask(current)` brings the new Grant or Trouble; what it brings is kept before it is returned.
        """


class Pace:
    """How fast one connection may call: a bucket of tokens, and a pause when the other side asked for one. One per connection."""

    def __init__(self, calls: int = 0, seconds: float = 60.0) -> None:
        self._most = calls
        self._per_second = calls / seconds if calls else 0.0
        self._left = float(calls)
        self._at = time.monotonic()
        self._not_before = 0.0

    def limit(self, calls: int, seconds: float) -> None:
        """Hold this connection to so many calls in so many seconds; saying it again changes nothing."""
        if (calls, calls / seconds) != (self._most, self._per_second):
            self._most, self._per_second, self._left = calls, calls / seconds, float(calls)

    def pause(self, seconds: float) -> None:
        """Call nobody for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def wait(self) -> float:
        """Take a turn: the seconds to wait before it."""
        at = time.monotonic()
        if self._per_second:
            self._left = min(self._most, self._left + (at - self._at) * self._per_second) - 1
        self._at = at
        in_debt = -self._left / self._per_second if self._per_second and self._left < 0 else 0.0
        return max(in_debt, self._not_before - at, 0.0)


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a connector may use of the house. `public_url` is where the other side can reach us."""

    out: Outbound
    grants: Grants
    pace: Pace = msgspec.field(default_factory=Pace)
    timeout: float = 30.0
    public_url: str = ""
    folders: str = ""
    """Folders (comma-separated) a connector may read and write files in."""


class Connector(ABC):
    """One connection to a system; making one calls nobody. Subclasses are found by name in `prodsys.connectors.known`."""

    title: ClassVar[str]
    summary: ClassVar[str] = ""
    """What the system is, in a sentence."""
    Config: ClassVar[type[msgspec.Struct]]
    resources: ClassVar[Mapping[str, Resource]] = {}
    prerequisites: ClassVar[tuple[str, ...]] = ()
    """What has to be there before connecting: a package, an edition, an app in the vendor's portal."""
    remarks: ClassVar[tuple[str, ...]] = ()
    """What the system's interface cannot do that people may expect, each a sentence."""
    lists: ClassVar[Mapping[str, str]] = {}
    """Their lists that can be mapped, by our word: {"payment_terms": "Terms of payment"}."""
    calls_us: ClassVar[bool] = False
    """The other system calls us (a server of ours answers it); flows have nothing to do then."""
    is_partner: ClassVar[bool] = False
    """It is configured under partners, not under ERP connections."""
    authorizes: ClassVar[bool] = False
    """Somebody has to sign in at the system once, in a browser, before the test can pass."""

    def __init__(self, config: Any, reach: Reach) -> None:
        self.config = config
        self.reach = reach

    async def with_own_form(self) -> "type[Connector] | Trouble":
        """A hook: this connector with the form the system itself describes, where each system has fields of its own."""
        return type(self)

    @abstractmethod
    async def test(self) -> Tested:
        """Try the connection out, and say of each field of the form that is at fault why."""

    @classmethod
    def gathered(cls, given: Mapping[str, Any], kept: Any | None = None) -> Mapping[str, Any]:  # noqa: ARG003  # for a hook
        """A hook: a form as `with_own_form` shows it, as the members of `Config`; what is left out of it stays as it is in *kept*."""
        return given

    @classmethod
    def spread(cls, kept: Any) -> dict[str, Any]:  # noqa: ARG003  # for a hook
        """A hook, the other way round: what a kept form says in the fields that `with_own_form` shows beside those of `Config`."""
        return {}

    @classmethod
    def offered(cls, config: Mapping[str, Any]) -> Mapping[str, Resource]:  # noqa: ARG003  # for those described in their form
        """What a connection with this form has; systems that are described in their form override it."""
        return cls.resources

    @classmethod
    def members(cls, kind: str, config: Mapping[str, Any]) -> Mapping[str, str] | None:  # noqa: ARG003  # for a hook
        """A hook: our members of a kind and theirs, where the form says so; None where the connector's own words do."""
        return None

    def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        """Their records of a kind, page by page, oldest change first where they can; ends behind the last page or a Trouble.

        With `since` only what may have changed since then; a page is given as soon as it is read, nothing is collected.
        """
        raise NotImplementedError

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        """Their records with this value (`by` is one of `Resource.find_by`); compared exactly, an empty value finds nothing."""
        raise NotImplementedError

    async def find_many(self, kind: str, by: str, values: Sequence[str]) -> Mapping[str, Sequence[Record]] | Trouble:
        """The same for many values at once; systems that can be asked for a list override this, others are asked 8 at a time."""
        turns = asyncio.Semaphore(8)

        async def one(value: str) -> tuple[str, Sequence[Record] | Trouble]:
            async with turns:
                return value, await self.find(kind, by, value)

        found: dict[str, Sequence[Record]] = {}
        for value, records in await asyncio.gather(*(one(value) for value in dict.fromkeys(values))):
            if isinstance(records, Later | Misconfigured | Refused):
                return records
            found[value] = records
        return found

    def limits_of(self, kind: str) -> Sequence[Limit]:
        """The rules of a kind, those that depend on the form included."""
        return self.resources[kind].limits

    async def rehearse(self, kind: str, words: Any) -> Sequence[Issue] | Trouble:
        """What they would object to if these words were sent now, for systems that can be asked (Asperion's validateOnly)."""
        return []

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        """One record by their id; None when it is not there."""
        raise NotImplementedError

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        """Make a record of these words of theirs. `Later(sent=True)` means it may have been made: look before repeating."""
        raise NotImplementedError

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        """Change members of a record of theirs."""
        raise NotImplementedError

    async def choices(self, name: str) -> Sequence[Choice] | Trouble:
        """The entries of one of their lists."""
        return []

    async def delete(self, kind: str, id: str) -> Trouble | None:
        """Take a record away again; for tests of a connection, and where the system allows it."""
        raise NotImplementedError

    def authorize_url(self, state: str) -> str:
        """Where somebody signs in at the system, in a browser; empty for systems without that."""
        return ""

    async def authorized(self, code: str) -> Grant | Trouble:
        """Exchange the code an authorization ended with."""
        raise NotImplementedError

    def document(self, kind: str, record: Record) -> Any:
        """A record in our words, before any mapping. Raises ValueError (msgspec.ValidationError is one) for what cannot be read."""
        resource = self.resources[kind]
        if resource.read is None:
            raise NotImplementedError(kind)
        theirs = record.theirs if resource.wire is None else convert(record.theirs, resource.wire)
        return resource.read(theirs)

    def words(self, kind: str, document: Any, known: Known) -> dict[str, Any]:
        """A document in their words, as builtins (numbers stay Decimal), before any mapping. What is None there is not said at all."""
        resource = self.resources[kind]
        if resource.write is None:
            raise NotImplementedError(kind)
        said: dict[str, Any] = _said(builtins(resource.write(document, known)))
        return said


def capabilities(connector: type[Connector], config: Mapping[str, Any] | None = None) -> list[Capability]:
    """What a connector (with a form: this one connection) can do: every kind, both ways, with the reason where it cannot."""
    listed = []
    resources = connector.resources if config is None else connector.offered(config)
    for kind in KINDS:
        resource = resources.get(kind, Resource())
        for direction in ("in", "out"):
            offered = (resource.read if direction == "in" else resource.write) is not None
            way: Direction = "in" if direction == "in" else "out"
            reason = "" if offered else resource.no.get(way) or f"{connector.title} does not offer this through its interface."
            listed.append(
                Capability(
                    kind=kind,
                    direction=way,
                    is_offered=offered,
                    reason=reason,
                    drafts=resource.drafts if offered and way == "out" else "",
                    by_changes=offered and way == "in" and resource.since is not None,
                    makes=resource.makes if offered and way == "out" and kind == "orders" else (),
                    provenance=resource.provenance if offered else {},
                    limits=resource.limits if offered and way == "out" else (),
                    note=" ".join(filter(None, (resource.note, resource.notes.get(way, "")))) if offered else "",
                )
            )
    return listed


@lru_cache(maxsize=256)  # bounded: forms that systems describe themselves are made anew each time
def form(config: type[msgspec.Struct]) -> dict[str, Any]:
    """The form an admin fills in, as JSON Schema: titles, descriptions, what is secret (`writeOnly`), defaults, examples, in order."""
    schema = msgspec.json.schema(config, schema_hook=_schema_of_secret)
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schema["$defs"][name] if name else schema
    for order, field in enumerate(found.get("properties", {}).values()):
        field["x-order"] = order
        # An optional field is one that may be left empty, not one of two kinds.
        if len(kinds := [one for one in field.get("anyOf", ()) if one != {"type": "null"}]) == 1:
            del field["anyOf"]
            field.pop("default", None)
            field.update(kinds[0])
    shown: dict[str, Any] = {part: found[part] for part in ("type", "properties", "required") if part in found}
    if len(schema.get("$defs", {})) > 1:
        shown["$defs"] = {other: one for other, one in schema["$defs"].items() if other != name}
    return shown


def _schema_of_secret(kind: type) -> dict[str, Any]:
    if kind is Secret:
        return {"type": "string", "format": "password", "writeOnly": True}
    raise NotImplementedError(kind)


def read_config(config: type[msgspec.Struct], given: Mapping[str, Any], kept: Any = None) -> tuple[Any | None, list[Issue]]:
    """What an admin filled in as the connector's Config, or every fault, each with its field.

    A secret left out, or given as the mask it is shown as, stays as it was in *kept*.
    """
    filled: dict[str, Any] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(config)}
    unknown = sorted(given.keys() - fields.keys())
    issues = [_fault("field_unknown", f"This connector has no field {name[:60]}.", name) for name in unknown]
    for name, field in fields.items():
        value = given.get(name)
        title = title_of(config, name)
        is_secret = _is_secret(field.type)
        if (name not in given or (is_secret and isinstance(value, str) and set(value) == {"•"})) and kept is not None:
            if is_secret or name not in given:
                filled[name] = getattr(kept, field.name)
            continue
        if name not in given or value is None or (isinstance(value, str) and not value.strip()):
            if field.required:
                issues.append(_fault("field_missing", f"{title} is missing.", name, title=title))
            continue
        if isinstance(value, str):
            value = value.strip()
            if getattr(field.type, "__origin__", None) in (dict, list):
                # A form of plain fields sends a table as JSON.
                with contextlib.suppress(msgspec.DecodeError):
                    value = msgspec.json.decode(value)
        try:
            filled[name] = msgspec.convert(value, field.type, strict=False, dec_hook=read_secret)
        except (msgspec.ValidationError, ValueError) as fault:
            issues.append(_fault("field_invalid", f"{title} cannot be used: {str(fault).partition(' - at')[0]}.", name, title=title))
    if issues:
        return None, issues
    try:
        return config(**{fields[name].name: value for name, value in filled.items()}), []
    except (TypeError, ValueError) as fault:
        return None, [_fault("config_invalid", f"The configuration cannot be used: {fault}.", "")]


def title_of(config: type[msgspec.Struct], name: str) -> str:
    """What a field of the form is called."""
    title: str = form(config).get("properties", {}).get(name, {}).get("title", name)
    return title


def _is_secret(kind: Any) -> bool:
    return kind is Secret or any(_is_secret(part) for part in getattr(kind, "__args__", ()))


def _fault(code: str, message: str, field: str, **more: str) -> Issue:
    return Issue(
        code=code, message=message, params={"field": field} | more, pointer=f"/config/{field}" if field else "/config", blocks=True
    )


def builtins(words: Any) -> Any:
    """A Struct of theirs or ours as dicts, lists and texts; Decimals, dates and moments stay what they are."""
    return msgspec.to_builtins(words, builtin_types=(Decimal, dt.date, dt.datetime), enc_hook=_as_decimal, str_keys=True)


def whole(document: Any) -> Any:
    """One of our documents as dicts, lists and texts with every member, those at their defaults included; numbers stay Decimal."""
    if isinstance(document, msgspec.Struct):
        return {name: whole(getattr(document, name)) for name in document.__struct_fields__}
    if isinstance(document, list):
        return [whole(one) for one in document]
    return Decimal(document) if isinstance(document, Exact) else document


def convert(theirs: Any, wire: Any) -> Any:
    """Builtins in a Struct of their words; raises msgspec.ValidationError."""
    return msgspec.convert(theirs, wire, strict=False, builtin_types=(Decimal, dt.date, dt.datetime))


def _said(words: Any) -> Any:
    if isinstance(words, dict):
        return {name: _said(value) for name, value in words.items() if value is not None}
    return [_said(one) for one in words] if isinstance(words, list) else words


def _as_decimal(value: Any) -> Any:
    if isinstance(value, Exact):
        return Decimal(value)
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value))


def exact(kind: type[E], value: Any) -> E | None:
    """A number of theirs as one of ours, rounded half up to six decimals; None for what is missing or no number."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
        if not number.is_finite():
            return None
        text = documents.canonical(number if number.as_tuple().exponent >= -6 else number.quantize(Decimal("0.000001"), "ROUND_HALF_UP"))  # type: ignore[operator]  # finite, so an int
        return kind.read(text)  # type: ignore[return-value]  # `read` answers its own class
    except (InvalidOperation, ValueError):
        return None


def text(value: Any, longest: int = 500) -> str:
    """A text of theirs fit for our documents: trimmed, NFC, no control characters, cut."""
    from prodsys.kit.outbound import plain

    return plain(documents.plain(str(value)), longest) if value is not None else ""


def day(value: Any) -> dt.date | None:
    """A date of theirs: a date, a moment, or ISO text with or without a time."""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def moment(value: Any) -> dt.datetime | None:
    """A moment of theirs in UTC; one without a zone is taken as UTC."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    try:
        read = dt.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)


def at(theirs: Any, path: str) -> Any:
    """A member of their words by its path (`customer.id`); None where there is none."""
    for name in path.split("."):
        if not isinstance(theirs, Mapping):
            return None
        theirs = theirs.get(name)
    return theirs
