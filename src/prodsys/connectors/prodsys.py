"""A partner's ProdSys, spoken to as our own words.

Two instances upgrade apart, so answers are read leniently: members and words we do not know are passed over, and only what we cannot do
without makes an answer unreadable. Nothing here raises for what the network or the other side does; every call ends as a value.
"""

import datetime as dt
import time
from collections import deque
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prodsys import documents
from prodsys.connectors._base import KINDS, Check, Connector, Resource, Tested
from prodsys.documents import (
    Address,
    AnswerLine,
    Despatch,
    DespatchLine,
    Issue,
    Message,
    Order,
    OrderAnswer,
    Party,
    Person,
    PromisedDelivery,
    ReasonCode,
    Substitute,
)
from prodsys.kit import outbound
from prodsys.kit.outbound import Answered, Call, Fine, Later, Misconfigured, Outbound, Problem, Refused, Trust
from prodsys.kit.vault import Secret

T = TypeVar("T")

MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_BATCH_ORDERS = 500
SECONDS_TO_SEND = 45.0
"""All calls of one `send` together; the courier's lease lasts 60 seconds."""

_NOT_NOW = frozenset({"status_408", "status_425", "status_429", "status_503"})
_OF_THE_TOKEN = frozenset({"token_missing", "token_unknown", "token_expired", "token_revoked"})

Trouble = Later | Misconfigured | Refused
"""Why a call brought no answer we can use."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """An order to be sent: its JSON exactly as it was promised, and the trace it belongs to."""

    document: str
    traceparent: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Their word that they have an order; the states are texts, because their version may know words ours does not."""

    id: Annotated[str, Meta(min_length=1, max_length=100)]
    number: str
    revision: int
    new: bool
    delivery: str = "received"
    validation: str = "clean"
    acceptance: str = "open"
    fulfilment: str = "none"
    epoch: str = ""
    received_at: dt.datetime | None = None
    trace_id: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """They have the order. `answer` is their Receipt as they wrote it, `receipt` what we read in it."""

    receipt: Receipt
    answer: bytes


Sent = Taken | Refused | Later | Misconfigured
"""What became of one order."""


class TheirToken(msgspec.Struct, frozen=True, kw_only=True):
    """What they say of the token we called with."""

    scopes: list[str] = []
    expires_at: dt.datetime | None = None


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """Who they are, what they speak, and what our token is worth there. `clock` is the time their answer bore, if any."""

    card: Party
    token: TheirToken
    version: str = ""
    epoch: str = ""
    document_versions: list[str] = []
    modules: frozenset[str] | None = None
    """Their extensions that are switched on; None when they do not say."""
    clock: dt.datetime | None = None
    etag: str = ""
    tells_record: bool = False
    """Whether its answer, and so its ETag, covers the card they keep of us; older ones are asked for it."""
    record: "Record | None" = None


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle's code was exchanged for."""

    token: Secret
    scopes: list[str]
    expires_at: dt.datetime
    card: Party | None


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """The successor of the token we called with."""

    token: Secret
    scopes: list[str]
    expires_at: dt.datetime


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """Our address as they will call it, and what they sign by."""

    id: str
    secret: Secret


class ReportSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """An article a person may have meant."""

    article_number: str
    name: str = ""
    score: int = 0


class ReportLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line against their live catalogue; numbers stay texts."""

    line_id: str
    how: str
    article_number: str = ""
    name: str = ""
    unit: str = ""
    expected_price: str | None = None
    expected_price_from: str | None = None
    price_difference: str | None = None
    price_difference_percent: str | None = None
    lead_time_days: int | None = None
    minimum: str | None = None
    multiple: str | None = None
    suggestions: list[ReportSuggestion] = []


class ReportContact(msgspec.Struct, frozen=True, kw_only=True):
    """How they would know us."""

    how: str
    similar: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen to an order if it were sent now: documents.MatchReport as read from another version."""

    number: str
    revision: int
    would: str
    contact: ReportContact
    lines: list[ReportLine]
    issues: list[Issue] = []


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one of our orders there: documents.Change as read from another version."""

    position: int
    kind: str
    id: str
    number: str
    revision: int
    at: dt.datetime | None = None
    delivery: str = ""
    validation: str = ""
    acceptance: str = ""
    fulfilment: str = ""
    order_number: str | None = None
    reason: str | None = None
    answer: int = 0
    answered: OrderAnswer | None = None
    despatch: Despatch | None = None
    said: Message | None = None
    is_cut: bool = False
    """Whether it came with an answer, despatch or message that we cannot read, so that only its states are known."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the feed of our orders; `next` is where to go on, also when nothing new has happened."""

    items: list[Change]
    next: str | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """They have heard a word of ours about an order. `acceptance` is how it stands there now, empty where they do not say."""

    acceptance: str = ""
    answer: int = 0


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """An article they offer us; a retired one is its number alone."""

    number: str
    is_active: bool
    id: str = ""
    name: str = ""
    unit: str = ""
    gtin: str = ""
    price: str | None = None
    price_quantity: str = "1"
    currency: str = ""
    lead_time_days: int | None = None
    minimum: str | None = None
    multiple: str | None = None


class Articles(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the change feed of their catalogue."""

    items: list[Article]
    next: str | None = None


class MatchedNumber(msgspec.Struct, frozen=True, kw_only=True):
    """What one article number means to them."""

    number: str
    how: str


class TheirOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as it stands there."""

    id: str
    number: str
    revision: int
    delivery: str = ""
    validation: str = ""
    acceptance: str = ""
    fulfilment: str = ""
    trace_id: str = ""
    answer: int = 0
    order_number: str | None = None
    reason: str | None = None


class OrderThere(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as comparing finds it there."""

    id: Annotated[str, Meta(min_length=1, max_length=100)] = ""
    number: str
    revision: int
    digest: str = ""
    answer: int = 0


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How a stretch of our orders stands against theirs; `through` is how far they compared, None to the end."""

    missing: list[OrderThere] = []
    differs: list[OrderThere] = []
    behind: list[OrderThere] = []
    others: list[OrderThere] = []
    through: str | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One of our orders as they hold it, with all that came of it; `order` is None where they do not say what we can read."""

    order: Order | None
    their: TheirOrder
    received_at: dt.datetime | None = None
    answered: OrderAnswer | None = None
    despatches: list[Despatch] = []
    messages: list[Message] = []


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The card they keep of us, and the ETag of its state."""

    id: str
    card: Party
    etag: str


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a card we offered: `open` waits for a person there, `taken` holds, `unchanged` was so already."""

    state: str = "open"
    taken: list[str] = []


class Same(msgspec.Struct, frozen=True):
    """Nothing has changed since the ETag we named."""


class Stale(msgspec.Struct, frozen=True):
    """It has changed since the ETag we named; read it again."""


class CursorGone(msgspec.Struct, frozen=True):
    """The cursor belongs to another life of theirs, or what it points to has been purged: list again and reconcile (rulings.md, 8)."""


class Prodsys:
    """One partner's instance, reached with the token he gave us; making one calls nobody.

    `trust` says who gave the address (rulings.md, 29), `timeout` is seconds for one call. Without a token only `claim` can succeed.
    """

    def __init__(self, out: Outbound, endpoint: str, token: Secret | None, *, trust: Trust, timeout: float = 30.0) -> None:
        self._out = out
        self._base = base(endpoint)
        self._token = token
        self._trust = trust
        self._timeout = timeout

    async def company(self) -> Company | Trouble:
        """Who they are, and what our token is worth there."""
        company = await self.company_since("")
        return _not_prodsys("It answers that nothing has changed, though we named nothing.") if isinstance(company, Same) else company

    async def company_since(self, etag: str) -> Company | Same | Trouble:
        """The same, unless it is as it was when it bore this ETag."""
        verdict = await self._ask("GET", "/company", headers={"if-none-match": etag} if etag else {})
        if not isinstance(verdict, Fine):
            return verdict
        if verdict.answer.status == 304:
            return Same()
        read = _read(verdict.answer.content, _company)
        if read is None:
            return _not_prodsys("It does not say which company it belongs to.")
        return Company(
            card=_party(read),
            token=read.token,
            version=outbound.plain(read.version, 100),
            epoch=outbound.plain(read.epoch, 100),
            document_versions=[outbound.plain(str(version), 40) for version in read.document_versions[:50]],
            modules=_modules_on(read.modules),
            clock=_clock(verdict.answer),
            etag=_etag(verdict.answer),
            tells_record=read.contact is not UNSET,
            record=_own_record(read.contact) if isinstance(read.contact, _WireOwnRecord) else None,
        )

    async def send(self, orders: Sequence[Sending]) -> list[Sent]:
        """Send orders and say of each, in their order, what became of it.

        They travel together. Where a whole batch is refused or makes the other side stumble, each goes alone, so that the one at fault
        harms only itself. What could not be tried in 45 seconds, or stands behind a trouble that concerns all, is for later.
        """
        until = time.monotonic() + SECONDS_TO_SEND
        ended: dict[int, Sent] = {}
        waiting = deque(_groups(orders))
        trouble: Later | Misconfigured | None = None
        while waiting and trouble is None:
            group = waiting.popleft()
            if len(group) == 1:
                only = ended[group[0].at] = await self._send_alone(group[0], until)
                trouble = _concerning_all(only)
                continue
            answer = await self._send_together(group, until)
            if answer is None:
                waiting.extendleft([one] for one in reversed(group))
            elif isinstance(answer, list):
                ended.update(zip((one.at for one in group), answer, strict=True))
            else:
                trouble = answer
        not_tried = trouble or _NO_TIME
        return [ended.get(at, not_tried) for at in range(len(orders))]

    async def preview(self, orders: Sequence[str]) -> list[Report] | Trouble:
        """What would happen to these orders (JSON each) if they were sent now; nothing is stored there but a log line (rulings.md, 16)."""
        reports: list[Report] = []
        for group in _groups([Sending(document=order, traceparent="") for order in orders]):
            verdict = await self._ask("POST", "/purchase-orders/preview", b'{"orders":[' + b",".join(one.document for one in group) + b"]}")
            if not isinstance(verdict, Fine):
                return verdict
            listed = _read(verdict.answer.content, _raw_items)
            some = [report for raw in listed.items if (report := _report(raw))] if listed else []
            if len(some) != len(group) or not all(map(_is_about, some, group)):
                return _not_prodsys("Its preview does not say what would become of every order.")
            reports += some
        return reports

    async def changes(self, after: str | None) -> Changes | CursorGone | Trouble:
        """What has happened to our orders there since this cursor; None begins with the oldest."""
        verdict = await self._ask("GET", "/purchase-orders/changes", query={"limit": "500"} | ({"after": after} if after else {}))
        if isinstance(verdict, Refused) and (verdict.problem.status == 410 or verdict.problem.code == "cursor_gone"):
            return CursorGone()
        read = self._document(verdict, _wire_changes, "Its feed of our orders cannot be read.")
        return Changes(items=[_change(one) for one in read.items], next=read.next) if isinstance(read, _WireChanges) else read

    async def order(self, id: str) -> TheirOrder | Trouble:
        """One of our orders as it stands there, by the id of its Receipt."""
        verdict = await self._ask("GET", f"/purchase-orders/{quote(id, safe='')}")
        return self._document(verdict, _order, "Its answer about our order cannot be read.")

    async def has_attachment(self, sha256: str) -> bool | Trouble:
        """Whether they have a file we sent them, by its SHA-256."""
        verdict = await self._ask("GET", f"/attachments/{sha256}", headers={"if-none-match": f'"{sha256}"'})
        if isinstance(verdict, Refused) and verdict.problem.status == 404:
            return False
        return verdict if not isinstance(verdict, Fine) else verdict.answer.status == 304

    async def attach(self, sha256: str, content: bytes) -> Trouble | None:
        """Send them a file an order is going to name."""
        headers = {"content-type": "application/octet-stream"}
        verdict = await self._ask("PUT", f"/attachments/{sha256}", content, headers)
        return None if isinstance(verdict, Fine) else verdict

    async def held(self, id: str) -> Held | Trouble:
        """One of our orders with all they hold of it, by the id of its Receipt."""
        verdict = await self._ask("GET", f"/purchase-orders/{quote(id, safe='')}")
        their = self._document(verdict, _order, "Its answer about our order cannot be read.")
        if not isinstance(their, TheirOrder) or not isinstance(verdict, Fine):
            return their if not isinstance(their, TheirOrder) else _not_prodsys("It does not answer about our order.")
        parts = _read(verdict.answer.content, _held) or _WireHeld()
        despatches = [_known_part(raw, Despatch) for raw in parts.despatches]
        messages = [_known_part(raw, Message) for raw in parts.messages]
        return Held(
            order=_read(bytes(parts.order), _our_order),
            their=their,
            received_at=parts.received_at,
            answered=_known_part(parts.answered, OrderAnswer),
            despatches=[one for one in despatches if one is not None],
            messages=[one for one in messages if one is not None],
        )

    async def digests(self, orders: Sequence[Mapping[str, Any]], after: str, through: str | None, since: str) -> Compared | Trouble:
        """Compare a stretch of our orders ({number, revision, digest, answer} each, sorted by number) with what they hold since then."""
        asked = msgspec.json.encode({"orders": list(orders), "after": after, "through": through, "since": since})
        verdict = await self._ask("POST", "/purchase-orders/digests", asked)
        return self._document(verdict, _compared, "Its comparison of our orders cannot be read.")

    async def accept(self, id: str, word: str, traceparent: str = "") -> Told | Trouble:
        """Accept or dispute an answer to one of our orders; `word` is {answer, accepts, reason} as JSON."""
        return await self._tell(f"/purchase-orders/{quote(id, safe='')}/acceptance", word, traceparent)

    async def cancel(self, id: str, word: str, traceparent: str = "") -> Told | Trouble:
        """Ask them to cancel one of our orders; `word` is {reason} as JSON."""
        return await self._tell(f"/purchase-orders/{quote(id, safe='')}/cancellation", word, traceparent)

    async def say(self, id: str, word: str, traceparent: str = "") -> Told | Trouble:
        """Say something about one of our orders; `word` is {id, text, line_id, author} as JSON, and its id makes it safe to repeat."""
        return await self._tell(f"/purchase-orders/{quote(id, safe='')}/messages", word, traceparent)

    async def articles(self, after: str | None) -> Articles | CursorGone | Trouble:
        """What has changed in the catalogue offered to us since this cursor; None begins with all of it."""
        verdict = await self._ask("GET", "/articles", query={"limit": "500"} | ({"after": after} if after else {}))
        if isinstance(verdict, Refused) and (verdict.problem.status == 410 or verdict.problem.code == "cursor_gone"):
            return CursorGone()
        return self._document(verdict, _articles, "Its list of articles cannot be read.")

    async def match_articles(self, numbers: Sequence[str]) -> list[MatchedNumber] | Trouble:
        """What up to 1,000 article numbers mean to them, one answer each."""
        verdict = await self._ask("POST", "/articles/match", msgspec.json.encode({"numbers": list(numbers)}))
        read = self._document(verdict, _matched_numbers, "Its answer about article numbers cannot be read.")
        return read.items if isinstance(read, _MatchedNumbers) else read

    async def contacts_match(self, card: Party) -> ReportContact | Trouble:
        """How they would know the company on this card."""
        verdict = await self._ask("POST", "/contacts/match", documents.write(card))
        return self._document(verdict, _contact, "Its answer about our card cannot be read.")

    async def record(self, id: str = "", etag: str = "") -> Record | Same | Trouble | None:
        """The card they keep of us, unless it is as it was when it bore this ETag; None while they have none."""
        known = id
        if not known:
            verdict = await self._ask("GET", "/contacts", query={"limit": "1"})
            listed = self._document(verdict, _records, "Its list of contacts cannot be read.")
            if not isinstance(listed, _Records):
                return listed
            if not listed.items:
                return None
            known = listed.items[0].id
        since = {"if-none-match": etag} if id and etag else {}
        verdict = await self._ask("GET", f"/contacts/{quote(known, safe='')}", headers=since)
        if isinstance(verdict, Fine) and verdict.answer.status == 304:
            return Same()
        if isinstance(verdict, Refused) and verdict.problem.status == 404:
            return None
        read = self._document(verdict, _record, "Its contact cannot be read.")
        if not isinstance(read, _WireRecord):
            return read
        return Record(id=outbound.plain(read.id, 100), card=_party(read), etag=_etag(verdict.answer) if isinstance(verdict, Fine) else "")

    async def offer_card(self, id: str, card: Party, etag: str) -> Offered | Stale | Trouble:
        """Ask them to keep this card of us in place of the one we have read with this ETag."""
        path = f"/contacts/{quote(id, safe='')}"
        verdict = await self._ask("PUT", path, documents.write(card), {"if-match": etag} if etag else {})
        if isinstance(verdict, Refused) and verdict.problem.status == 412:
            return Stale()
        return self._document(verdict, _offered, "Its answer about our card cannot be read.")

    async def claim(self, code: Secret) -> Claimed | Trouble:
        """Exchange a bundle's code for the token, once; a lost answer costs the supplier a new bundle."""
        verdict = await self._ask("POST", "/claims", msgspec.json.encode({"claim": code.reveal()}))
        read = self._document(verdict, _claimed, "It does not answer a claim code with a token.")
        if not isinstance(read, _WireClaimed):
            return read
        card = None if read.company is None else _party(read.company)
        return Claimed(token=Secret(read.token), scopes=read.scopes, expires_at=read.expires_at, card=card)

    async def rotate(self) -> Rotated | Trouble:
        """Ask for the successor of the token we call with; repeating it voids a successor that was never used (rulings.md, 23)."""
        verdict = await self._ask("POST", "/token/rotate")
        read = self._document(verdict, _claimed, "It does not answer with a new token.")
        if not isinstance(read, _WireClaimed):
            return read
        return Rotated(token=Secret(read.token), scopes=read.scopes, expires_at=read.expires_at)

    async def register_webhook(self, url: str, events: Sequence[str]) -> Registered | Trouble:
        """Ask to be told of these events at this address; asked again it gives a new secret."""
        verdict = await self._ask("POST", "/webhooks", msgspec.json.encode({"url": url, "events": list(events)}))
        read = self._document(verdict, _wire_registered, "It does not answer a registration with a secret.")
        return Registered(id=read.webhook.id, secret=Secret(read.secret)) if isinstance(read, _WireRegistered) else read

    async def webhook_is_enabled(self, id: str) -> bool | Trouble:
        """Whether they still call the address we registered; False also when they do not know of it."""
        verdict = await self._ask("GET", f"/webhooks/{quote(id, safe='')}")
        if isinstance(verdict, Refused) and verdict.problem.status == 404:
            return False
        read = self._document(verdict, _webhook, "Its answer about our registration cannot be read.")
        return read.is_enabled if isinstance(read, _WireWebhook) else read

    async def remove_webhook(self, id: str) -> Trouble | None:
        """Ask not to be told at a registered address any more."""
        verdict = await self._ask("DELETE", f"/webhooks/{quote(id, safe='')}")
        return None if isinstance(verdict, Fine) else verdict

    async def _tell(self, path: str, word: str, traceparent: str) -> Told | Trouble:
        verdict = await self._ask("POST", path, word.encode(), {"traceparent": traceparent} if traceparent else {})
        return self._document(verdict, _told, "Its answer to our word about an order cannot be read.")

    async def _send_together(self, group: "Sequence[_Parcel]", until: float) -> list[Sent] | Later | Misconfigured | None:
        """One call for many orders; None when each of them has to be asked about alone."""
        orders = b",".join(b'{"traceparent":%b,"order":%b}' % (one.traceparent, one.document) for one in group)
        verdict = await self._ask("POST", "/purchase-orders/batch", b'{"orders":[' + orders + b"]}", until=until)
        if isinstance(verdict, Fine):
            listed = _read(verdict.answer.content, _batch)
            if listed is None or len(listed.items) != len(group):
                return _not_prodsys("It does not answer every order of a batch.")
            return [_answer_about(one, answer) for one, answer in zip(group, listed.items, strict=True)]
        if isinstance(verdict, Refused) or (isinstance(verdict, Misconfigured) and verdict.reason == "answer_too_large"):
            return None
        if isinstance(verdict, Later) and _concerning_all(verdict) is None:
            return None
        return verdict

    async def _send_alone(self, one: "_Parcel", until: float) -> Sent:
        traceparent = msgspec.json.decode(one.traceparent, type=str)
        verdict = await self._ask("POST", "/purchase-orders", one.document, {"traceparent": traceparent}, until=until)
        return _taken(one, verdict.answer.content) if isinstance(verdict, Fine) else verdict

    async def _ask(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        until: float | None = None,
    ) -> Fine | Trouble:
        timeout = self._timeout if until is None else min(self._timeout, until - time.monotonic())
        if timeout < 1:
            return _NO_TIME
        sent = {"accept": "application/json"} | dict(headers or {})
        if content is not None:
            sent.setdefault("content-type", "application/json")
        if self._token is not None:
            sent["authorization"] = f"Bearer {self._token.reveal()}"
        url = f"{self._base}/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        call = Call(method=method, url=url, headers=sent, content=content, trust=self._trust, timeout=timeout)
        return _judged(await self._out.send(call))

    def _document(self, verdict: Fine | Trouble, decoder: "msgspec.json.Decoder[T]", otherwise: str) -> T | Trouble:
        if not isinstance(verdict, Fine):
            return verdict
        read = _read(verdict.answer.content, decoder)
        return _not_prodsys(otherwise) if read is None else read


def base(endpoint: str) -> str:
    """The address of an instance as people write it, without what we append: `https://s.example/api/v1/` is `https://s.example`."""
    return endpoint.strip().rstrip("/").removesuffix("/api/v1").rstrip("/")


def read_receipt(answer: bytes | str) -> Receipt | None:
    """Read a Receipt of any version; None when it lacks what we need."""
    return _read(answer, _receipt)


class _Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """An order on its way: its place among those asked about, and its bytes. `number` is compared as documents.plain makes it."""

    at: int
    document: bytes
    traceparent: bytes
    number: str
    revision: int
    line_count: int


class _Glance(msgspec.Struct, frozen=True):
    number: str
    revision: int = 1
    lines: list[msgspec.Raw] = []


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


class _WireOwnRecord(_WireParty, frozen=True, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    etag: str = ""


class _WireCompany(_WireParty, frozen=True, kw_only=True):
    contact: _WireOwnRecord | UnsetType | None = UNSET
    token: TheirToken = TheirToken()
    version: str = ""
    epoch: str = ""
    document_versions: list[Any] = []
    modules: Any = None


class _WireRecord(_WireParty, frozen=True, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=100)]


class _Records(msgspec.Struct, frozen=True):
    items: list[_WireRecord]


class _WireClaimed(msgspec.Struct, frozen=True, kw_only=True):
    token: Annotated[str, Meta(min_length=1, max_length=500)]
    scopes: list[str]
    expires_at: Annotated[dt.datetime, Meta(tz=True)]
    company: _WireParty | None = None


class _WireWebhook(msgspec.Struct, frozen=True, kw_only=True):
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    is_enabled: bool = True


class _WireRegistered(msgspec.Struct, frozen=True, kw_only=True):
    webhook: _WireWebhook
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


class _WireChanges(msgspec.Struct, frozen=True, kw_only=True):
    items: list[_WireChange]
    next: _Text | None = None


class _WireHeld(msgspec.Struct, frozen=True, kw_only=True):
    order: msgspec.Raw = msgspec.Raw(b"null")
    received_at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    answered: msgspec.Raw = msgspec.Raw(b"null")
    despatches: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []


class _Items(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


class _BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    receipt: msgspec.Raw = msgspec.Raw(b"null")
    problem: msgspec.Raw = msgspec.Raw(b"null")


class _Batch(msgspec.Struct, frozen=True):
    items: list[_BatchAnswer]


class _MatchedNumbers(msgspec.Struct, frozen=True):
    items: list[MatchedNumber]


_glance = msgspec.json.Decoder(_Glance)
_receipt = msgspec.json.Decoder(Receipt)
_company = msgspec.json.Decoder(_WireCompany)
_claimed = msgspec.json.Decoder(_WireClaimed)
_raw_items = msgspec.json.Decoder(_Items)
_wire_report = msgspec.json.Decoder(Report)
_batch = msgspec.json.Decoder(_Batch)
_wire_changes = msgspec.json.Decoder(_WireChanges)
_told = msgspec.json.Decoder(Told)
_webhook = msgspec.json.Decoder(_WireWebhook)
_wire_registered = msgspec.json.Decoder(_WireRegistered)
_document = msgspec.json.Decoder(dict[str, Any])
_articles = msgspec.json.Decoder(Articles)
_record = msgspec.json.Decoder(_WireRecord)
_records = msgspec.json.Decoder(_Records)
_offered = msgspec.json.Decoder(Offered)
_matched_numbers = msgspec.json.Decoder(_MatchedNumbers)
_contact = msgspec.json.Decoder(ReportContact)
_order = msgspec.json.Decoder(TheirOrder)
_our_order = msgspec.json.Decoder(Order, dec_hook=documents.read_exact)
_held = msgspec.json.Decoder(_WireHeld)
_compared = msgspec.json.Decoder(Compared)

_NO_TIME = Later(reason="no_time", detail="Its turn did not come before the time for this delivery was over.")


def _judged(outcome: outbound.Outcome) -> Fine | Trouble:
    """What a call's outcome means here; a token that is not accepted says why in their words."""
    if isinstance(outcome, Answered) and outcome.status in (409, 422) and not outcome.content:
        title = "The partner refuses this for more reasons than can be read; send a part of it to see them."
        return Refused(problem=Problem(status=outcome.status, code="too_many_issues", title=title))
    verdict = outbound.judge(outcome)
    if isinstance(verdict, Misconfigured) and verdict.problem is not None and verdict.problem.code in _OF_THE_TOKEN:
        said = verdict.problem.detail or verdict.problem.title or verdict.detail
        return Misconfigured(reason=verdict.problem.code, detail=said, problem=verdict.problem)
    return verdict


def _groups(orders: Sequence[Sending]) -> list[list[_Parcel]]:
    """Orders in batches the other side takes: at most 500, 4 MiB and 20,000 lines together."""
    groups: list[list[_Parcel]] = []
    size = lines = 0
    for at, order in enumerate(orders):
        one = _parcel(at, order)
        cost = len(one.document) + len(one.traceparent) + 32
        is_full = size + cost > MAX_BATCH_BYTES or lines + one.line_count > documents.MAX_BATCH_LINES
        if not groups or is_full or len(groups[-1]) == MAX_BATCH_ORDERS:
            groups.append([])
            size = lines = 0
        groups[-1].append(one)
        size += cost
        lines += one.line_count
    return groups


def _parcel(at: int, order: Sending) -> _Parcel:
    glance = _glance.decode(order.document)
    return _Parcel(
        at=at,
        document=order.document.encode(),
        traceparent=msgspec.json.encode(order.traceparent),
        number=documents.plain(glance.number),
        revision=glance.revision,
        line_count=len(glance.lines),
    )


def _concerning_all(sent: Sent) -> Later | Misconfigured | None:
    """The trouble, if it is not this one order's: then the others need not be tried now (rulings.md, 20)."""
    if isinstance(sent, Misconfigured):
        return sent
    if isinstance(sent, Later) and (sent.reason in _NOT_NOW or not sent.reason.startswith("status_")):
        return sent
    return None


def _answer_about(one: _Parcel, answer: _BatchAnswer) -> Sent:
    if 200 <= answer.status < 300:
        return _taken(one, bytes(answer.receipt))
    # One order's answer in a batch is what the same order alone would have been answered.
    verdict = _judged(Answered(status=answer.status, headers={"content-type": "application/problem+json"}, content=bytes(answer.problem)))
    if isinstance(verdict, Fine):
        return _not_prodsys("It answers an order of a batch with neither a receipt nor a problem.")
    return verdict


def _taken(one: _Parcel, answer: bytes) -> Taken | Misconfigured:
    receipt = read_receipt(answer)
    if receipt is None:
        return _not_prodsys("It takes an order without a receipt that can be read.")
    if not _is_about(receipt, one):
        return _not_prodsys("It answers an order with the receipt of another.")
    return Taken(receipt=receipt, answer=answer)


def _is_about(said: Receipt | Report, one: _Parcel) -> bool:
    return documents.plain(said.number) == one.number and said.revision == one.revision


def _report(raw: msgspec.Raw) -> Report | None:
    bare = _read(_without_issues(raw), _wire_report)
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


def _change(wire: _WireChange) -> Change:
    parts: dict[str, Any] = {"answered": _known_part(wire.answered, OrderAnswer), "despatch": _known_part(wire.despatch, Despatch)}
    parts["said"] = _known_part(wire.said, Message)
    same = {field: getattr(wire, field) for field in wire.__struct_fields__ if field not in parts}
    is_cut = any(parts[name] is None and bytes(getattr(wire, name)).strip() != b"null" for name in parts)
    reason = None if wire.reason is None else outbound.plain(wire.reason)
    return Change(**(same | {"reason": reason}), **parts, is_cut=is_cut)


def _known_part(raw: msgspec.Raw, kind: type[T]) -> T | None:
    """What a change came with, in our words: members we do not know are passed over, texts are harmless; None when we cannot use it."""
    told = _read(bytes(raw), _document)
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
_INSIDE: Mapping[str, type[Any]] = {"deliveries": PromisedDelivery, "substitute": Substitute}
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


def _read(content: bytes | str, decoder: "msgspec.json.Decoder[T]") -> T | None:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def _party(theirs: _WireParty) -> Party:
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


def _modules_on(modules: Any) -> frozenset[str] | None:
    if not isinstance(modules, list):
        return None
    return frozenset(outbound.plain(name, 100) for name in modules[:100] if isinstance(name, str))


def _own_record(theirs: _WireOwnRecord) -> Record:
    return Record(id=outbound.plain(theirs.id, 100), card=_party(theirs), etag=_strong(theirs.etag))


def _etag(answer: Answered) -> str:
    """The strong ETag of an answer; empty where there is none we could send back."""
    return _strong(answer.headers.get("etag", "").strip())


def _strong(etag: str) -> str:
    return etag if len(etag) <= 200 and etag.isascii() and etag.isprintable() and etag.startswith('"') else ""


def _clock(answer: Answered) -> dt.datetime | None:
    try:
        said = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    return said if said.tzinfo is not None else None


def _not_prodsys(detail: str) -> Misconfigured:
    return Misconfigured(reason="not_prodsys", detail=f"The address does not answer as a ProdSys system does: {detail}")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing: a partner's address and token are kept under partners."""


_PARTNERS = "Partners exchange {} by themselves; there is no flow to set up."
_ELSEWHERE = dict.fromkeys(KINDS, "Partners do not exchange this.") | {
    "purchase_orders": _PARTNERS.format("purchase orders"),
    "orders": _PARTNERS.format("orders"),
    "order_status": _PARTNERS.format("answers and despatches"),
    "articles": _PARTNERS.format("catalogues"),
    "contacts": _PARTNERS.format("cards"),
}


class Partner(Connector):
    """A partner's ProdSys as one more system in the table; what is exchanged with it is set up under partners."""

    title = "ProdSys"
    summary = "A partner's own instance: orders, answers, despatches, catalogue and contacts, in both directions."
    Config = Settings
    is_partner = True
    remarks = ("It is connected under Admin > Integrations > ProdSys to ProdSys, with the bundle the partner hands over.",)
    resources: ClassVar[Mapping[str, Resource]] = {kind: Resource(no={"in": _ELSEWHERE[kind], "out": _ELSEWHERE[kind]}) for kind in KINDS}

    async def test(self) -> Tested:
        """Nothing to test here: partners have their own checklist."""
        return Tested(is_fine=False, checks=[Check(message="A partner is tested under Admin > Integrations > ProdSys to ProdSys.")])


CONNECTOR = Partner
