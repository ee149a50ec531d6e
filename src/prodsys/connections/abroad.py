"""Another system as the far end of a flow: found there, checked against its rules, made or changed, and never twice.

No system we know of can be told that two requests are the same one. So before anything is made there, the link says that we are about to;
a reply that is lost leaves it so, and whoever comes next looks before repeating.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from prodsys import documents
from prodsys.connections import shaping
from prodsys.connections.books import number_of
from prodsys.connections.model import FlowSettings
from prodsys.connectors._base import Connector, Known, Record, Trouble, Written, whole
from prodsys.documents import ArticleCard, ContactCard, Issue, PurchaseRequest
from prodsys.exchange import engine, links, mapping
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.links import Link
from prodsys.exchange.mapping import Adjustments
from prodsys.kit import outbound
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured

AT_ONCE = 8
STUMBLES = 3
ONCE = frozenset({"orders", "purchase_orders", "invoice_drafts", "invoices", "vouchers"})
"""Kinds that are there or not: what is known there is skipped, not brought up to date."""

_write_numbers = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode


class Going(msgspec.Struct, frozen=True, kw_only=True):
    """A document on its way, what names it here, and what a person has filled in for it."""

    ours: str
    document: Any
    given: Mapping[str, str] = {}


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a flow brings documents into a system: its settings, the mapping and lists of its connection, by kind."""

    settings: FlowSettings
    adjustments: Mapping[str, Adjustments]
    look: Callable[[str, str], str | None]
    edition: str = ""
    """What changes when the mapping or the lists do, so that everything is brought up to date once."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one document, for the log: their words as sent and their answer."""

    did: str
    sent: bytes = b""
    said: bytes = b""


class Abroad:
    """A system asked over the network, never inside a transaction: an `engine.TargetAbroad` for documents of one kind."""

    def __init__(self, db: Database, connection: int, connector: Connector, kind: str, manner: Manner) -> None:
        self._db = db
        self._connection = connection
        self._connector = connector
        self._kind = kind
        self._resource = connector.resources[kind]
        self._manner = manner
        self._there: dict[str, str] = {}
        self._articles: dict[str, str] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._stopped: Later | Misconfigured | None = None
        self._stumbles = 0
        self._customers: Abroad | None = None
        self.done: dict[str, Done] = {}

    async def find(self, going: Sequence[Going]) -> list[Outcome | None]:
        """What is there already; what was begun and never answered is looked for."""
        known = await self._db.read(links.of_ours, self._connection, self._kind, [one.ours for one in going])
        outcomes: dict[str, Outcome | None] = {}
        strangers = []
        for one in going:
            link = known.get(one.ours)
            if link is None or link.state == "asked":
                strangers.append(one)
            elif link.state == "unknown":
                outcomes[one.ours] = self._nobody_knows(one)
            else:
                outcomes[one.ours] = self._of_link(one, link)
        found = await self._looked_for(strangers)
        if not isinstance(found, dict):
            outcomes |= {one.ours: _as_outcome(found) for one in strangers}
            return [outcomes[one.ours] for one in going]
        fresh: list[tuple[str, str, str]] = []
        lost: list[str] = []
        for one in strangers:
            records = found.get(one.ours, [])
            asked_before = one.ours in known
            if len(records) > 1:
                outcomes[one.ours] = _refusal("ambiguous_there", f"{len(records)} records there fit {one.ours} equally well.", one)
            elif records:
                outcomes[one.ours] = self._of_record(one, records[0], fresh)
            elif asked_before and self._resource.is_once_only:
                lost.append(one.ours)
                outcomes[one.ours] = self._nobody_knows(one)
            elif not self._manner.settings.create:
                self.done[one.ours] = Done(did="skipped")
                outcomes[one.ours] = Placed(id="", new=False)
            else:
                outcomes[one.ours] = None
        if fresh or lost:
            await self._db.write(self._note_found, fresh, lost)
        return [outcomes[one.ours] for one in going]

    async def match(self, going: Sequence[Going]) -> list[list[Issue]]:
        """What speaks against it: their rules, articles that are not there, customers that cannot be told apart, our own mapping."""
        missing = await self._missing_articles(going)
        if not isinstance(missing, set):
            self._stop(missing)
            return [[] for _ in going]
        issues = []
        for one in going:
            faults = shaping.limit_faults(one.document, self._connector.limits_of(self._kind))
            faults += self._article_faults(one, missing) + self._customer_faults(one)
            try:
                faults += self._words(one, customer="-")[1]
            except (ValueError, TypeError, KeyError) as fault:
                faults.append(_issue("not_writable", f"The document cannot be said in their words: {str(fault)[:300]}."))
            issues.append(faults)
        return issues

    async def create(self, going: Sequence[Going], issues: Sequence[list[Issue]]) -> list[Outcome]:
        """Make or change them there, eight at once; first the customers their orders need."""
        customers = await self._customers_of(going)
        fresh = {one.ours: self._reference(one) for one in going if one.ours not in self._there}
        if fresh:
            await self._db.write(links.ask, self._connection, self._kind, fresh)
        met = await asyncio.gather(*(self._place(one, customers.get(one.ours, "")) for one in going))
        taken = await self._db.write(self._note_placed, list(zip(going, met, strict=True)))
        return [
            _refusal("linked_twice", f"The record {outcome.id} there is linked to another one of ours.", one)
            if one.ours in taken and isinstance(outcome, Placed)
            else outcome
            for one, outcome in zip(going, met, strict=True)
        ]

    def digest(self, one: Going) -> str:
        """What two documents share that say the same, under the same mapping."""
        said = documents.write(one.document) + self._manner.edition.encode()
        return hashlib.sha256(said).hexdigest()

    def _of_link(self, one: Going, link: Link) -> Outcome | None:
        there = link.theirs or ""
        if self._kind in ONCE or not self._manner.settings.update or not self._resource.update:
            self.done[one.ours] = Done(did="skipped")
            return Placed(id=there, new=False)
        if link.digest == self.digest(one):
            self.done[one.ours] = Done(did="unchanged")
            return Placed(id=there, new=False)
        self._there[one.ours] = there
        return None

    def _of_record(self, one: Going, record: Record, fresh: list[tuple[str, str, str]]) -> Outcome | None:
        # Nothing was written yet, so whoever lets updates through later finds it changed.
        fresh.append((one.ours, record.id, ""))
        if self._kind in ONCE or not self._manner.settings.update or not self._resource.update:
            self.done[one.ours] = Done(did="skipped")
            return Placed(id=record.id, new=False)
        self._there[one.ours] = record.id
        return None

    async def _looked_for(self, strangers: Sequence[Going]) -> dict[str, Sequence[Record]] | Trouble:
        """Their records of these, by what names them here: first by what we have made there, then, for contacts, by the chosen key."""
        found: dict[str, Sequence[Record]] = {}
        for by in self._ways():
            wanted = {one.ours: value for one in strangers if not found.get(one.ours) and (value := _key(one, by))}
            if not wanted:
                continue
            records = await self._connector.find_many(self._kind, by, list(wanted.values()))
            if not isinstance(records, Mapping):
                return records
            found |= {ours: records.get(value, []) for ours, value in wanted.items()}
        return found

    def _ways(self) -> list[str]:
        wanted = ["reference", self._manner.settings.customer_key] if self._kind == "contacts" else ["reference"]
        return [way for way in dict.fromkeys(wanted) if way in self._resource.find_by]

    def _nobody_knows(self, one: Going) -> Refused:
        self.done[one.ours] = Done(did="unknown")
        message = (
            f"{one.ours} was sent to {self._connector.title} and the answer was lost; it cannot be looked up there. "
            "Look whether it is there, then link it or let it be sent again."
        )
        return _refusal("unknown_there", message, one)

    async def _missing_articles(self, going: Sequence[Going]) -> set[str] | Trouble:
        resource = self._connector.resources.get("articles")
        if resource is None or "number" not in resource.find_by:
            return set()
        wanted = {number for one in going for number in _article_numbers(one.document)} - self._articles.keys()
        if not wanted:
            return set()
        found = await self._connector.find_many("articles", "number", sorted(wanted))
        if not isinstance(found, Mapping):
            return found
        # Only what is there is remembered: what is missing may have been made by the next chunk.
        self._articles |= {number: records[0].id for number, records in found.items() if records}
        return {number for number in wanted if not found.get(number)}

    def _article_faults(self, one: Going, missing: set[str]) -> list[Issue]:
        return [
            Issue(
                code="article_missing_there",
                message=f"{self._connector.title} has no article {line.article_number}.",
                params={"article_number": line.article_number},
                pointer=f"/lines/{at}/article_number",
                blocks=True,
            )
            for at, line in enumerate(getattr(one.document, "lines", ()))
            if getattr(line, "article_number", "") in missing
        ]

    def _customer_faults(self, one: Going) -> list[Issue]:
        settings = self._manner.settings
        party = _party_of(one.document)
        if party is None or settings.debtor == "default" or "contacts" not in self._connector.resources:
            return []
        if _party_key(party, settings.customer_key) or (settings.debtor == "default_without_key" and settings.default_debtor):
            return []
        message = f"The customer of {one.ours} has no {settings.customer_key.replace('_', ' ')}, by which he would be found there."
        params: dict[str, str] = {"field": settings.customer_key}
        return [
            Issue(code="customer_key_missing", message=message, params=params, pointer=f"/customer/{settings.customer_key}", blocks=True)
        ]

    async def _customers_of(self, going: Sequence[Going]) -> dict[str, str | Outcome]:
        """Their ids of the customers, made or brought up to date where the flow says so, each once; or why there is none."""
        settings = self._manner.settings
        named: dict[str, str | Outcome] = {}
        wanted: dict[str, list[str]] = {}
        cards: dict[str, ContactCard] = {}
        for one in going:
            party = _party_of(one.document)
            if party is None or one.ours in self._there:
                continue
            key = _party_key(party, settings.customer_key)
            if settings.debtor == "default" or (settings.debtor == "default_without_key" and not key):
                named[one.ours] = settings.default_debtor
            elif "contacts" in self._connector.resources:
                ours = party.attributes.get("id") or f"{settings.customer_key}:{key.casefold()}"
                wanted.setdefault(ours, []).append(one.ours)
                cards[ours] = party
        if wanted and self._stopped is None:
            target = self._customers_abroad()
            outcomes = await engine.place_abroad([Going(ours=ours, document=cards[ours]) for ours in wanted], target)
            for ours, outcome in zip(wanted, outcomes, strict=True):
                met = outcome.id if isinstance(outcome, Placed) and outcome.id else outcome
                named |= dict.fromkeys(wanted[ours], met)
        return named

    def _customers_abroad(self) -> "Abroad":
        if self._customers is None:
            settings = msgspec.structs.replace(self._manner.settings, update=self._manner.settings.update_customer, create=True)
            manner = msgspec.structs.replace(self._manner, settings=settings)
            self._customers = Abroad(self._db, self._connection, self._connector, "contacts", manner)
        return self._customers

    async def _place(self, one: Going, customer: str | Outcome) -> Outcome:
        if self._stopped is not None:
            return self._stopped
        if isinstance(customer, Refused):
            return msgspec.structs.replace(customer, title=f"Its customer cannot be taken: {customer.title}")
        if isinstance(customer, Later | Misconfigured):
            return self._stop(customer)
        if isinstance(customer, Placed):
            return _refusal("customer_unknown", "Its customer is not there and may not be made.", one)
        async with self._turns:
            words, faults = self._words(one, customer)
            if faults:
                return _refused(faults)
            if there := self._there.get(one.ours, ""):
                kept = mapping.only_updated(self._adjustments(), words)
                met = await self._connector.change(self._kind, there, kept)
            else:
                objections = await self._connector.rehearse(self._kind, words)
                if isinstance(objections, Later | Misconfigured | outbound.Refused):
                    return self._stop(_as_outcome(objections))
                if blocking := [issue for issue in objections if issue.blocks]:
                    return _refused(blocking)
                met = await self._connector.create(self._kind, words)
            did = "updated" if there else "created"
            if isinstance(met, Written):
                self._stumbles = 0
                self.done[one.ours] = Done(did=did, sent=_write_numbers(words), said=met.said)
                return Placed(id=met.id, new=not there, answer=met.said)
            return self._stop(_as_outcome(met))

    def _stop(self, outcome: Outcome | Trouble) -> Outcome:
        """Whatever is in trouble now will be for the next document too: nobody is asked again before the next attempt.

        But one document may make the other side stumble each time; only when three in a row do, it is the system.
        """
        met = _as_outcome(outcome) if isinstance(outcome, outbound.Refused) else outcome
        if isinstance(met, Later) and met.reason.startswith("status_5"):
            self._stumbles += 1
            if self._stumbles < STUMBLES:
                return met
        if isinstance(met, Later):
            self._stopped = msgspec.structs.replace(met, sent=False)
        elif isinstance(met, Misconfigured):
            self._stopped = met
        return met

    def _words(self, one: Going, customer: str) -> tuple[dict[str, Any], list[Issue]]:
        context = Known(customer=customer, articles=self._articles, config=self._connector.config)
        words = self._connector.words(self._kind, one.document, context)
        made = mapping.adjust(self._adjustments(), whole(one.document), words, self._manner.look, given=one.given)
        return made.target, [issue for issue in made.issues if issue.blocks]

    def _adjustments(self) -> Adjustments:
        return self._manner.adjustments.get(self._kind, _NONE)

    def _reference(self, one: Going) -> str:
        return number_of(one.document) if not isinstance(one.document, ContactCard) else one.document.number or one.document.email

    def _note_found(self, tx: Tx, fresh: Sequence[tuple[str, str, str]], lost: Sequence[str]) -> None:
        if self._kind in ONCE:
            # Found by our own number, it is ours, however it came there.
            links.ask(tx, self._connection, self._kind, {ours: ours for ours, _, _ in fresh})
        links.link(tx, self._connection, self._kind, fresh)
        links.lost(tx, self._connection, self._kind, lost)

    def _note_placed(self, tx: Tx, met: Sequence[tuple[Going, Outcome]]) -> set[str]:
        made = [(one.ours, outcome.id, self.digest(one)) for one, outcome in met if isinstance(outcome, Placed)]
        taken = set(links.link(tx, self._connection, self._kind, made))
        undone = [
            one.ours
            for one, outcome in met
            if isinstance(outcome, Refused | Misconfigured) or (isinstance(outcome, Later) and not outcome.sent)
        ]
        # What Later says may be there stays asked for: whoever comes next looks first.
        links.forget(tx, self._connection, self._kind, undone)
        return taken


_NONE = Adjustments()


def _party_of(document: Any) -> ContactCard | None:
    if isinstance(document, PurchaseRequest):
        return document.supplier
    party = getattr(document, "customer", None)
    return party if isinstance(party, ContactCard) else None


def _party_key(party: ContactCard, key: str) -> str:
    return str(getattr(party, key, "") or "").strip()


def _key(one: Going, by: str) -> str:
    document = one.document
    if by == "reference":
        return document.number if isinstance(document, ContactCard | ArticleCard) else number_of(document)
    return _party_key(document, by) if isinstance(document, ContactCard) else ""


def _article_numbers(document: Any) -> set[str]:
    lines = getattr(document, "lines", ())
    return {line.article_number for line in lines if getattr(line, "article_number", "") and getattr(line, "kind", "article") == "article"}


def _as_outcome(trouble: Trouble | Outcome) -> Outcome:
    if not isinstance(trouble, outbound.Refused):
        return trouble
    problem = trouble.problem
    title = problem.detail or problem.title or f"The other system answered {problem.status}."
    issues = list(problem.issues) or [_issue("refused_there", title)]
    return Refused(code=problem.code or "refused_there", title=title, issues=issues, status=problem.status)


def _refusal(code: str, message: str, one: Going) -> Refused:
    return Refused(code=code, title=message, issues=[Issue(code=code, message=message, params={"number": one.ours}, blocks=True)])


def _refused(issues: Sequence[Issue]) -> Refused:
    return Refused(code=issues[0].code, title=issues[0].message, issues=list(issues))


def _issue(code: str, message: str) -> Issue:
    return Issue(code=code, message=message, blocks=True)
