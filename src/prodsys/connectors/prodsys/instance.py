"""A partner's ProdSys as we call it: one method for each thing it can be asked or told.

Nothing here raises for what the network or the other side does; every call ends as a value.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET

from prodsys import documents
from prodsys.connectors.prodsys.batches import Batch, Parcel, answer_about, concerning_all, in_batches, is_about, taken_from
from prodsys.connectors.prodsys.reading import (
    MatchedNumbers,
    RawItems,
    Records,
    T,
    WireChanges,
    WireClaimed,
    WireCompany,
    WireHeld,
    WireOwnRecord,
    WireRecord,
    WireRegistered,
    WireWebhook,
    clock_of,
    decoded,
    etag_of,
    judged,
    known_part,
    modules_on,
    not_prodsys,
    own_record,
    read_change,
    read_party,
    read_report,
)
from prodsys.connectors.prodsys.words import (
    Articles,
    Changes,
    Claimed,
    Company,
    Compared,
    CursorGone,
    Held,
    MatchedNumber,
    Offered,
    Record,
    Registered,
    Report,
    ReportContact,
    Rotated,
    Same,
    Sending,
    Sent,
    Stale,
    TheirOrder,
    Told,
    Trouble,
)
from prodsys.documents import Despatch, Message, Order, OrderAnswer, Party
from prodsys.kit import outbound
from prodsys.kit.outbound import MAX_ANSWER, Answered, Call, Fine, Later, Misconfigured, Outbound, Refused, Trust
from prodsys.kit.vault import Secret

SECONDS_TO_SEND = 45.0
"""All calls of one `send` together; the courier's lease lasts 60 seconds."""


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
        return not_prodsys("It answers that nothing has changed, though we named nothing.") if isinstance(company, Same) else company

    async def company_since(self, etag: str) -> Company | Same | Trouble:
        """The same, unless it is as it was when it bore this ETag."""
        verdict = await self._ask("GET", "/company", headers={"if-none-match": etag} if etag else {})
        if not isinstance(verdict, Fine):
            return verdict
        if verdict.answer.status == 304:
            return Same()
        read = decoded(verdict.answer.content, _company)
        if read is None:
            return not_prodsys("It does not say which company it belongs to.")
        return Company(
            card=read_party(read),
            token=read.token,
            version=outbound.plain(read.version, 100),
            epoch=outbound.plain(read.epoch, 100),
            document_versions=[outbound.plain(str(version), 40) for version in read.document_versions[:50]],
            modules=modules_on(read.modules),
            clock=clock_of(verdict.answer),
            etag=etag_of(verdict.answer),
            tells_record=read.contact is not UNSET,
            record=own_record(read.contact) if isinstance(read.contact, WireOwnRecord) else None,
        )

    async def send(self, orders: Sequence[Sending]) -> list[Sent]:
        """Send orders and say of each, in their order, what became of it.

        They travel together. Where a whole batch is refused or makes the other side stumble, each goes alone, so that the one at fault
        harms only itself. What could not be tried in 45 seconds, or stands behind a trouble that concerns all, is for later.
        """
        until = time.monotonic() + SECONDS_TO_SEND
        ended: dict[int, Sent] = {}
        waiting = deque(in_batches(orders))
        trouble: Later | Misconfigured | None = None
        while waiting and trouble is None:
            group = waiting.popleft()
            if len(group) == 1:
                only = ended[group[0].at] = await self._send_alone(group[0], until)
                trouble = concerning_all(only)
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
        for group in in_batches([Sending(document=order, traceparent="") for order in orders]):
            verdict = await self._ask("POST", "/purchase-orders/preview", b'{"orders":[' + b",".join(one.document for one in group) + b"]}")
            if not isinstance(verdict, Fine):
                return verdict
            listed = decoded(verdict.answer.content, _raw_items)
            some = [report for raw in listed.items if (report := read_report(raw))] if listed else []
            if len(some) != len(group) or not all(map(is_about, some, group)):
                return not_prodsys("Its preview does not say what would become of every order.")
            reports += some
        return reports

    async def changes(self, after: str | None) -> Changes | CursorGone | Trouble:
        """What has happened to our orders there since this cursor; None begins with the oldest."""
        verdict = await self._ask("GET", "/purchase-orders/changes", query={"limit": "500"} | ({"after": after} if after else {}))
        if isinstance(verdict, Refused) and (verdict.problem.status == 410 or verdict.problem.code == "cursor_gone"):
            return CursorGone()
        read = self._document(verdict, _wire_changes, "Its feed of our orders cannot be read.")
        return Changes(items=[read_change(one) for one in read.items], next=read.next) if isinstance(read, WireChanges) else read

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

    async def attachment(self, sha256: str, size: int) -> bytes | Trouble:
        """A file of theirs that a despatch to us names; as many bytes as it is said to have."""
        headers = {"accept": "application/octet-stream"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.reveal()}"
        most = max(size, MAX_ANSWER)
        url = f"{self._base}/api/v1/attachments/{sha256}"
        answer = await self._out.send(Call(method="GET", url=url, headers=headers, trust=self._trust, timeout=self._timeout, most=most))
        if isinstance(answer, Answered) and answer.status == 200:
            return answer.content
        verdict = judged(answer)
        return verdict if not isinstance(verdict, Fine) else not_prodsys("It does not answer with the file.")

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
            return their if not isinstance(their, TheirOrder) else not_prodsys("It does not answer about our order.")
        parts = decoded(verdict.answer.content, _held) or WireHeld()
        despatches = [known_part(raw, Despatch) for raw in parts.despatches]
        messages = [known_part(raw, Message) for raw in parts.messages]
        return Held(
            order=decoded(bytes(parts.order), _our_order),
            their=their,
            received_at=parts.received_at,
            answered=known_part(parts.answered, OrderAnswer),
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
        return read.items if isinstance(read, MatchedNumbers) else read

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
            if not isinstance(listed, Records):
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
        if not isinstance(read, WireRecord):
            return read
        return Record(
            id=outbound.plain(read.id, 100), card=read_party(read), etag=etag_of(verdict.answer) if isinstance(verdict, Fine) else ""
        )

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
        if not isinstance(read, WireClaimed):
            return read
        card = None if read.company is None else read_party(read.company)
        return Claimed(token=Secret(read.token), scopes=read.scopes, expires_at=read.expires_at, card=card)

    async def rotate(self) -> Rotated | Trouble:
        """Ask for the successor of the token we call with; repeating it voids a successor that was never used (rulings.md, 23)."""
        verdict = await self._ask("POST", "/token/rotate")
        read = self._document(verdict, _claimed, "It does not answer with a new token.")
        if not isinstance(read, WireClaimed):
            return read
        return Rotated(token=Secret(read.token), scopes=read.scopes, expires_at=read.expires_at)

    async def register_webhook(self, url: str, events: Sequence[str]) -> Registered | Trouble:
        """Ask to be told of these events at this address; asked again it gives a new secret."""
        verdict = await self._ask("POST", "/webhooks", msgspec.json.encode({"url": url, "events": list(events)}))
        read = self._document(verdict, _wire_registered, "It does not answer a registration with a secret.")
        return Registered(id=read.webhook.id, secret=Secret(read.secret)) if isinstance(read, WireRegistered) else read

    async def webhook_is_enabled(self, id: str) -> bool | Trouble:
        """Whether they still call the address we registered; False also when they do not know of it."""
        verdict = await self._ask("GET", f"/webhooks/{quote(id, safe='')}")
        if isinstance(verdict, Refused) and verdict.problem.status == 404:
            return False
        read = self._document(verdict, _webhook, "Its answer about our registration cannot be read.")
        return read.is_enabled if isinstance(read, WireWebhook) else read

    async def remove_webhook(self, id: str) -> Trouble | None:
        """Ask not to be told at a registered address any more."""
        verdict = await self._ask("DELETE", f"/webhooks/{quote(id, safe='')}")
        return None if isinstance(verdict, Fine) else verdict

    async def _tell(self, path: str, word: str, traceparent: str) -> Told | Trouble:
        verdict = await self._ask("POST", path, word.encode(), {"traceparent": traceparent} if traceparent else {})
        return self._document(verdict, _told, "Its answer to our word about an order cannot be read.")

    async def _send_together(self, group: Sequence[Parcel], until: float) -> list[Sent] | Later | Misconfigured | None:
        """One call for many orders; None when each of them has to be asked about alone."""
        orders = b",".join(b'{"traceparent":%b,"order":%b}' % (one.traceparent, one.document) for one in group)
        verdict = await self._ask("POST", "/purchase-orders/batch", b'{"orders":[' + orders + b"]}", until=until)
        if isinstance(verdict, Fine):
            listed = decoded(verdict.answer.content, _batch)
            if listed is None or len(listed.items) != len(group):
                return not_prodsys("It does not answer every order of a batch.")
            return [answer_about(one, answer) for one, answer in zip(group, listed.items, strict=True)]
        if isinstance(verdict, Refused) or (isinstance(verdict, Misconfigured) and verdict.reason == "answer_too_large"):
            return None
        if isinstance(verdict, Later) and concerning_all(verdict) is None:
            return None
        return verdict

    async def _send_alone(self, one: Parcel, until: float) -> Sent:
        traceparent = msgspec.json.decode(one.traceparent, type=str)
        verdict = await self._ask("POST", "/purchase-orders", one.document, {"traceparent": traceparent}, until=until)
        return taken_from(one, verdict.answer.content) if isinstance(verdict, Fine) else verdict

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
        return judged(await self._out.send(Call(method=method, url=url, headers=sent, content=content, trust=self._trust, timeout=timeout)))

    def _document(self, verdict: Fine | Trouble, decoder: msgspec.json.Decoder[T], otherwise: str) -> T | Trouble:
        if not isinstance(verdict, Fine):
            return verdict
        read = decoded(verdict.answer.content, decoder)
        return not_prodsys(otherwise) if read is None else read


def base(endpoint: str) -> str:
    """The address of an instance as people write it, without what we append: `https://s.example/api/v1/` is `https://s.example`."""
    return endpoint.strip().rstrip("/").removesuffix("/api/v1").rstrip("/")


_company = msgspec.json.Decoder(WireCompany)
_claimed = msgspec.json.Decoder(WireClaimed)
_raw_items = msgspec.json.Decoder(RawItems)
_batch = msgspec.json.Decoder(Batch)
_wire_changes = msgspec.json.Decoder(WireChanges)
_told = msgspec.json.Decoder(Told)
_webhook = msgspec.json.Decoder(WireWebhook)
_wire_registered = msgspec.json.Decoder(WireRegistered)
_articles = msgspec.json.Decoder(Articles)
_record = msgspec.json.Decoder(WireRecord)
_records = msgspec.json.Decoder(Records)
_offered = msgspec.json.Decoder(Offered)
_matched_numbers = msgspec.json.Decoder(MatchedNumbers)
_contact = msgspec.json.Decoder(ReportContact)
_order = msgspec.json.Decoder(TheirOrder)
_our_order = msgspec.json.Decoder(Order, dec_hook=documents.read_exact)
_held = msgspec.json.Decoder(WireHeld)
_compared = msgspec.json.Decoder(Compared)

_NO_TIME = Later(reason="no_time", detail="Its turn did not come before the time for this delivery was over.")
