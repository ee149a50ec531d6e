"""An order by e-mail to a supplier without a connection: the PDF goes out, and the answer is typed in by hand."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from prodsys import documents, errors, papers
from prodsys.alerts import mail
from prodsys.company.store import card as company_card
from prodsys.contacts import store as contacts
from prodsys.documents import Acceptance, Issue, Order, Party
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, signal
from prodsys.kit.outbound import Later, Misconfigured, plain
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.store import is_on
from prodsys.papers.words import Language, say
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier, ready
from prodsys.purchasing import store
from prodsys.purchasing.actions import kept, shown
from prodsys.purchasing.answers import recounted
from prodsys.purchasing.model import writing
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.store.deliveries import Arrived, Failed, Gone
from prodsys.scopes import PRODSYS_MODULE, Caller
from prodsys.settings import Settings

KIND = "order_mail"
"""The kind of promise an order by e-mail is."""
_WITHOUT_NEED = frozenset({"partner_not_connected", "module_off"})
"""What stands against sending over a connection, and not against a letter."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is promised to the post."""

    to: str
    order: Order
    supplier: Party
    language: Language


class AnswerByHand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a supplier has said by letter, mail or telephone."""

    acceptance: Literal["approved", "rejected", "cancelled"]
    their_order_number: Annotated[str, Meta(max_length=80)] = ""
    reason: Annotated[str, Meta(max_length=500, description="Needed with rejected.")] = ""


def letter(order: Order, supplier: Party) -> Letter:
    """The order as it goes by post, in the language of the supplier's country."""
    return Letter(to=supplier.email, order=order, supplier=supplier, language=papers.language_of(supplier.address.country))


def cards(tx: Tx, suppliers: Mapping[int, Supplier]) -> dict[int, Party]:
    """The cards of suppliers by their keys: their contact's, or what they say of themselves, or the name alone."""
    linked = contacts.stored(tx, {one.contact for one in suppliers.values() if one.contact is not None})
    shown = partners.their_cards(tx, [pk for pk, one in suppliers.items() if one.contact not in linked])
    return {
        pk: linked[one.contact].card if one.contact in linked else shown.get(pk) or Party(name=one.name) for pk, one in suppliers.items()
    }


def by_mail(tx: Tx, suppliers: Mapping[int, Supplier]) -> dict[int, Party]:
    """Those to whom orders go by e-mail, by their keys, with their cards: no connection, and a card with an address."""
    unconnected = {pk: one for pk, one in suppliers.items() if not one.endpoint or one.sealed is None}
    return {pk: card for pk, card in cards(tx, unconnected).items() if card.email} if unconnected else {}


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """How orders leave to some suppliers, all by the suppliers' keys."""

    suppliers: dict[int, Supplier]
    cards: dict[int, Party]
    """Those to whom they go by e-mail."""
    issues: dict[int, list[Issue]]
    """What stands against sending, and what soon will."""


def ways(tx: Tx, keys: Collection[int]) -> Ways:
    """How orders leave to these suppliers: over a connection or by e-mail, and what stands against it."""
    suppliers = partners.suppliers(tx, keys)
    module_on, at = is_on(tx, PRODSYS_MODULE), now()
    letters = by_mail(tx, suppliers)
    issues = {pk: ready(supplier, module_on, at) for pk, supplier in suppliers.items()}
    return Ways(suppliers=suppliers, cards=letters, issues=issues | {pk: needed(issues[pk]) for pk in letters})


def needed(issues: Sequence[Issue]) -> list[Issue]:
    """What of the things that stand against sending also stands against a letter."""
    return [issue for issue in issues if issue.code not in _WITHOUT_NEED]


def on_paper(tx: Tx, id: str) -> Letter:
    """An order of ours as it would be sent now. Raises NotFound, WrongState before we have a company card."""
    row = kept(tx, id)
    ours = company_card(tx)
    if ours is None:
        raise errors.WrongState("Our own company card is empty; fill it in under Admin > Company.")
    found = {} if row.partner is None else cards(tx, partners.suppliers(tx, {row.partner}))
    return letter(
        writing.as_document(store.orders.read_order(row.document), row.revision, ours.card), found.get(row.partner or 0) or Party(name="")
    )


async def written(one: Letter) -> papers.Paper:
    """The PDF, made in a thread."""
    return await asyncio.to_thread(papers.order_on_paper, one.order, one.supplier, one.language)


class OrderMailKind:
    """Orders as the courier posts them, and what came of it into our books."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]:
        """Hand the orders, each with its PDF, to the mail server."""
        letters = [_read_letter(one.document) for one in promises]
        mails = []
        for promise, one in zip(promises, letters, strict=True):
            mails.append((promise.id, one.to, _mail(one, await written(one), promise.id, self._settings)))
        return await mail.post(self._settings, mails)

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None:
        """Write down what was posted, and what the mail server did not take."""
        gone = store.deliveries.gone(tx, [claimed.subject for claimed, _ in ended])
        arrived, failed, entries = [], [], []
        mailed: dict[int, str] = {}
        for claimed, outcome in ended:
            order, trace_id, to = gone.get(claimed.subject), claimed.traceparent[3:35], _read_letter(claimed.document).to
            if order is None or isinstance(outcome, Later | Misconfigured):
                continue
            if isinstance(outcome, Placed):
                arrived.append(_posted(order, claimed, trace_id))
                mailed[order.pk] = to
                message = f"Order {order.number} was sent to {order.partner_name} by e-mail to {to}; type in the answer when it comes."
                entries.append(_entry(order, "order.mailed", message, trace_id))
                continue
            why = outcome.title if isinstance(outcome, Refused) else "The mail server could not be reached in time."
            issue = Issue(code="mail_refused", message=f"{why} Correct the e-mail of the supplier's contact, then retry.", blocks=True)
            status: Literal["refused", "dead"] = "refused" if isinstance(outcome, Refused) else "dead"
            failed.append(Failed(order=order.pk, promise=claimed.id, sent_as=trace_id, trace_id=trace_id, issues=[issue], status=status))
            message = f"Order {order.number} could not be mailed to {to}: {why}"
            entries.append(_entry(order, "order.not_mailed", message, trace_id, issues=[issue]))
        store.deliveries.settle(tx, arrived, failed)
        store.deliveries.note_mailed(tx, mailed)
        if entries:
            tell(tx, *entries)
        signal(tx, "exports")


_read_letter = msgspec.json.Decoder(Letter, dec_hook=documents.read_exact).decode


def _posted(order: Gone, claimed: Claimed, trace_id: str) -> Arrived:
    return Arrived(
        order=order.pk,
        promise=claimed.id,
        sent_as=trace_id,
        trace_id=trace_id,
        their_id=None,
        receipt=None,
        validation="clean",
        issues="[]",
        status="sent_by_email",
    )


def _entry(order: Gone, code: str, message: str, trace_id: str, issues: Sequence[Issue] = ()) -> Entry:
    return Entry(
        code=code,
        message=message,
        level="error" if issues else "info",
        direction="out",
        partner=order.partner,
        subject=order.id,
        number=order.number,
        trace_id=trace_id,
        actor="courier",
        issues=list(issues),
    )


def _mail(one: Letter, paper: papers.Paper, promise: str, settings: Settings) -> EmailMessage | None:
    buyer = one.order.buyer
    person = buyer.persons[0] if buyer.persons else None
    told = {"number": one.order.number, "revision": one.order.revision, "buyer": buyer.name, "supplier": one.supplier.name}
    message = mail.blank(one.to, say("mail_subject", one.language, **told), promise, settings)
    if message is None:
        return None
    reply_to = (person.email if person else "") or buyer.email
    if (address := mail.address(buyer.name, reply_to)) is not None:
        message["Reply-To"] = Address(display_name=plain(buyer.name, 100), addr_spec=address.addr_spec)
    message.set_content(say("mail_text", one.language, **told, person=person.name if person else buyer.name))
    message.add_attachment(paper.content, maintype="application", subtype="pdf", filename=paper.name)
    return message


def answer_by_hand(tx: Tx, caller: Caller, id: str, said: AnswerByHand, if_match: str | None) -> PurchaseOrder:
    """Write down what the supplier of an order sent by e-mail has answered; it stands until another answer is typed in.

    Raises NotFound, IfMatchMissing, Stale, Invalid without a reason, WrongState for an order that was not sent by e-mail.
    """
    row = kept(tx, id, lock=True)
    must_match(if_match, etag(row.id, row.version))
    if not row.mailed_to or row.delivery != "received" or row.partner is None:
        raise errors.WrongState(f"Order {row.number} was not sent by e-mail; its supplier answers himself.")
    if row.acceptance == Acceptance.CANCELLED:
        raise errors.WrongState(f"Order {row.number} is cancelled.")
    reason = documents.plain(said.reason)
    if said.acceptance == "rejected" and not reason:
        issue = Issue(code="reason_missing", message="A rejection needs the supplier's reason.", pointer="/reason", blocks=True)
        raise errors.Invalid(issues=[issue])
    stands = said.acceptance == "approved"
    heard = msgspec.structs.replace(
        store.answers.heard(tx, row.pk),
        acceptance=said.acceptance,
        their_order_number=documents.plain(said.their_order_number),
        reason=reason,
        agreed_revision=row.revision if stands else 0,
        answer=row.answer + 1,
        answered_at=now(),
    )
    store.answers.hear(tx, recounted(tx, [heard]))
    why = f": {reason}" if reason else "."
    message = f"{caller.name} wrote down that {row.partner_name} {said.acceptance} order {row.number}{why}"
    entry = Entry(
        code=f"order.{said.acceptance}",
        message=message,
        level="info" if stands else "warning",
        partner=row.partner,
        subject=row.id,
        number=row.number,
        trace_id=row.trace_id,
        actor=caller.name,
    )
    tell(tx, entry)
    signal(tx, "orders")
    return shown(tx, id)
