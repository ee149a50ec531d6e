"""What we say to a supplier about an order he has: yes or no to his answer, a cancellation, a few words."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from prodsys import documents, errors
from prodsys.connectors.prodsys.words import Told
from prodsys.documents import Acceptance, Issue, Message
from prodsys.exchange import outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead, Promise
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.states import etag, must_match
from prodsys.kit.telemetry import new_trace
from prodsys.kit.vault import VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier
from prodsys.purchasing import store
from prodsys.purchasing.abroad import GONE, STOPS, Abroad, Reach, ask_soon, reachable
from prodsys.purchasing.actions import kept, shown
from prodsys.purchasing.model.orders import OrderMessage, PurchaseOrder
from prodsys.purchasing.store.orders import Kept
from prodsys.purchasing.store.words import WordEnded
from prodsys.purchasing.terms import net
from prodsys.scopes import Caller

Word = Literal["acceptance", "cancellation", "message"]
WORDS: tuple[Word, ...] = ("acceptance", "cancellation", "message")
"""The kinds of promise a word about an order is."""

_TOGETHER = 10
_SECONDS = 40.0
"""All calls of one turn together; the courier's lease lasts 60 seconds."""
_NOT_THERE = "order_not_there"
_NO_TIME = Later(reason="no_time", detail="Its turn did not come before the time for this delivery was over.")


class AcceptanceWord(msgspec.Struct, frozen=True, kw_only=True):
    """Whether we accept answer n, as it travels."""

    answer: int
    accepts: bool
    reason: str


class CancellationWord(msgspec.Struct, frozen=True, kw_only=True):
    """That we want an order cancelled, as it travels."""

    reason: str


class MessageWord(msgspec.Struct, frozen=True, kw_only=True):
    """A few words, as they travel; the id makes them safe to repeat."""

    id: str
    text: str
    line_id: str
    author: str


def accept(tx: Tx, caller: Caller, id: str, answer: int, if_match: str | None) -> PurchaseOrder:
    """Accept answer n of the supplier, which changes the order: it is agreed now, and he is told.

    The same word again changes nothing. Raises NotFound, IfMatchMissing, Stale, AnswerSuperseded, WrongState.
    """
    return _decide(tx, caller, id, AcceptanceWord(answer=answer, accepts=True, reason=""), if_match)


def dispute(tx: Tx, caller: Caller, id: str, answer: int, reason: str, if_match: str | None) -> PurchaseOrder:
    """Say no to answer n of the supplier, with the reason; he is to answer again. Raises as `accept` does, and Invalid without a reason."""
    if not documents.plain(reason):
        message = "A dispute needs a reason; the supplier reads it."
        raise errors.Invalid(issues=[Issue(code="reason_missing", message=message, pointer="/reason", blocks=True)])
    return _decide(tx, caller, id, AcceptanceWord(answer=answer, accepts=False, reason=documents.plain(reason)), if_match)


def _decide(tx: Tx, caller: Caller, id: str, word: AcceptanceWord, if_match: str | None) -> PurchaseOrder:
    row = kept(tx, id, lock=True)
    becomes = Acceptance.AGREED if word.accepts else Acceptance.DISPUTED
    if row.acceptance == becomes and row.answer == word.answer:
        return shown(tx, id)
    must_match(if_match, etag(row.id, row.version))
    if row.acceptance != Acceptance.CHANGED:
        raise errors.WrongState(f"Order {row.number} is {row.acceptance}; only an answer with changes can be accepted or disputed.")
    if row.answer != word.answer:
        raise errors.AnswerSuperseded(f"The newest answer to order {row.number} is number {row.answer}.")
    promise = _promise(tx, row, "acceptance", msgspec.json.encode(word).decode())
    store.orders.change(tx, row.pk, acceptance=becomes.value, word=promise, stood_at=row.acceptance, reason=word.reason)
    told = "accepts" if word.accepts else f"disputes ({word.reason})"
    _note(tx, row, f"order.{becomes.value}", f"{caller.name} {told} answer {word.answer} to order {row.number}.", caller.name)
    return shown(tx, id)


def cancel(tx: Tx, caller: Caller, id: str, reason: str) -> PurchaseOrder:
    """Cancel an order: at once when it was never sent or never arrived, else by asking the supplier, who may say that it is too late.

    Asking again changes nothing. Raises NotFound, and WrongState for an order rejected or received.
    """
    row = kept(tx, id, lock=True)
    if row.acceptance in (Acceptance.CANCEL_REQUESTED, Acceptance.CANCELLED):
        return shown(tx, id)
    if row.acceptance == Acceptance.REJECTED:
        raise errors.WrongState(f"Order {row.number} was rejected; there is nothing to cancel.")
    if row.fulfilment == "received":
        raise errors.WrongState(f"Order {row.number} has been received; it is too late to cancel it.")
    why = documents.plain(reason)
    if row.sent_at is None or _never_arrived(row):
        store.orders.change(tx, row.pk, acceptance=Acceptance.CANCELLED.value, reason=why, due_date=None, word="", stood_at="")
        message = f"{caller.name} cancelled order {row.number}, which the supplier never had{f': {why}' if why else '.'}"
        _note(tx, row, "order.cancelled", message, caller.name)
        return shown(tx, id)
    promise = _promise(tx, row, "cancellation", msgspec.json.encode(CancellationWord(reason=why)).decode())
    store.orders.change(tx, row.pk, acceptance=Acceptance.CANCEL_REQUESTED.value, word=promise, stood_at=row.acceptance, reason=why)
    message = f"{caller.name} asks to cancel order {row.number}{f': {why}' if why else '.'}"
    _note(tx, row, "order.cancel_requested", message, caller.name)
    return shown(tx, id)


def _never_arrived(row: Kept) -> bool:
    """Refused, or given up: what may have arrived all the same is cancelled there as soon as the feed tells of it."""
    return row.their_id is None and row.delivery in ("not_sent", "failed", "unknown")


def say(tx: Tx, caller: Caller, id: str, text: str, line_id: str = "") -> OrderMessage:
    """Say something to the supplier about an order or one of its lines.

    Raises NotFound, Invalid, WrongState for an order never sent, TooManyMessages.
    """
    row = kept(tx, id, lock=True)
    said = documents.plain(text)
    order = store.orders.read_order(row.document)
    issues = []
    if not said:
        issues.append(Issue(code="text_missing", message="A message needs words.", pointer="/text", blocks=True))
    if line_id and all(line.line_id != line_id for line in order.lines):
        message = f"Order {row.number} has no line {line_id}."
        issues.append(Issue(code="line_unknown", message=message, params={"line": line_id}, pointer="/line_id", blocks=True))
    if issues:
        raise errors.Invalid(issues=issues)
    if row.sent_at is None:
        raise errors.WrongState(f"Order {row.number} has not been sent, so the supplier would not know what is meant.")
    if sum(1 for one in store.messages.of(tx, row.pk) if one.state != "heard") >= documents.MOST_MESSAGES:
        raise errors.TooManyMessages(f"There are {documents.MOST_MESSAGES} messages of ours about order {row.number}; no more are kept.")
    message_kept = Message(id=new_id("ms"), at=now(), author=caller.name[:120], text=said, line_id=line_id)
    store.messages.keep(tx, [(row.pk, message_kept)], "queued")
    where = f", line {line_id}" if line_id else ""
    word = MessageWord(id=message_kept.id, text=said, line_id=line_id, author=message_kept.author)
    _promise(tx, row, "message", msgspec.json.encode(word).decode())
    store.orders.change(tx, row.pk)
    _note(
        tx,
        row,
        "order.message",
        f"{caller.name} said about order {row.number}{where}: {said}",
        caller.name,
    )
    return OrderMessage(id=word.id, at=message_kept.at, author=word.author, text=said, line_id=line_id, state="queued")


def _promise(tx: Tx, row: Kept, kind: Word, document: str) -> str:
    if row.mailed_to:
        raise errors.WrongState(f"Order {row.number} went by e-mail: write to the supplier at {row.mailed_to}, and type in the answer.")
    supplier = partners.suppliers(tx, {row.partner}).get(row.partner) if row.partner is not None else None
    if supplier is None:
        raise errors.PartnerNotReady(f"The supplier of order {row.number} is not connected any more.")
    return _promise_to(tx, supplier, row.id, row.trace_id, kind, document)


def _promise_to(tx: Tx, supplier: Supplier, order: str, trace_id: str, kind: Word, document: str) -> str:
    trace = new_trace()
    if trace_id:
        trace = msgspec.structs.replace(trace, trace_id=trace_id)
    one = Promise(
        kind=kind,
        lane=supplier.lane,
        chain=order,
        dedup=new_id("wd"),
        subject=order,
        document=document,
        trace=trace,
        give_up_after=supplier.give_up_after,
    )
    return outbox.promise(tx, one)[0]


def cancel_there_too(tx: Tx, supplier: Supplier, order: str, trace_id: str, reason: str) -> str:
    """Promise the cancellation of an order we took for one that never arrived; the promise's id."""
    return _promise_to(tx, supplier, order, trace_id, "cancellation", msgspec.json.encode(CancellationWord(reason=reason)).decode())


class WordKind:
    """Our words as the courier carries them: to the order they are about, and what came of them into our books."""

    def __init__(self, db: Database, reach: Reach) -> None:
        self._db = db
        self._reach = reach

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]:
        """Carry words of one kind to one supplier, some at a time; they are about different orders, since one order's words are a chain."""
        supplier, trouble = await self._db.read(reachable, promises[0].lane, STOPS)
        if supplier is None or trouble is not None:
            return [trouble or GONE for _ in promises]
        try:
            abroad = self._reach(supplier)
        except VaultLocked as locked:
            return [Misconfigured(reason="vault_locked", detail=str(locked)) for _ in promises]
        theirs = await self._db.read(store.orders.their_ids, [one.subject for one in promises])
        until = time.monotonic() + _SECONDS
        outcomes: list[Outcome] = []
        for at in range(0, len(promises), _TOGETHER):
            some = promises[at : at + _TOGETHER]
            if time.monotonic() > until:
                outcomes += [_NO_TIME for _ in some]
                continue
            outcomes += await asyncio.gather(*(_carry(abroad, one, theirs.get(one.subject)) for one in some))
        return outcomes

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None:
        """Write down what came of them."""
        settle(tx, ended)


async def _carry(abroad: Abroad, one: Claimed, theirs: str | None) -> Outcome:
    if theirs is None:
        return Refused(code=_NOT_THERE, title="The supplier never had this order.")
    match one.kind:
        case "acceptance":
            told = await abroad.accept(theirs, one.document, one.traceparent)
        case "cancellation":
            told = await abroad.cancel(theirs, one.document, one.traceparent)
        case _:
            told = await abroad.say(theirs, one.document, one.traceparent)
    match told:
        case Told():
            return Placed(id=theirs, new=True, answer=msgspec.json.encode(told))
        case outbound.Refused(problem=problem):
            return Refused(
                code=problem.code or "refused",
                title=problem.detail or problem.title,
                issues=list(problem.issues),
                status=problem.status,
                trace_id=problem.trace_id,
                answer=msgspec.json.encode(problem),
            )
        case trouble:
            return trouble  # type: ignore[no-any-return]  # a reach may be anybody's; ours answers with the outcomes of outbound


_read_told = msgspec.json.Decoder(Told).decode
_read_acceptance = msgspec.json.Decoder(AcceptanceWord).decode
_read_message = msgspec.json.Decoder(MessageWord).decode


def settle(tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
    """Write down what words of ours came to. One that is refused, or never heard, puts the order back where it stood, with the reason."""
    over = [(claimed, outcome) for claimed, outcome in ended if not isinstance(outcome, Later | Misconfigured)]
    orders = store.words.carried(tx, [claimed.subject for claimed, _ in over])
    words, messages, entries, agreed, heard = [], [], [], [], set()
    for claimed, outcome in over:
        row = orders.get(claimed.subject)
        if row is None:
            continue
        if not isinstance(outcome, Dead):
            heard.add(claimed.lane)
        if claimed.kind == "message":
            state = "sent" if isinstance(outcome, Placed) else "failed"
            messages.append((claimed.subject, _read_message(claimed.document).id, state))
        elif row.word == claimed.id:
            words.append(_ended(row, claimed, outcome))
            if isinstance(outcome, Placed) and claimed.kind == "acceptance" and _read_acceptance(claimed.document).accepts:
                agreed.append(row)
        if not isinstance(outcome, Placed):
            entries.append(_failed(row, claimed, outcome))
    store.messages.end(tx, messages)
    store.words.end(tx, words)
    _agree(tx, {row.pk: row.answered for row in agreed})
    if entries:
        tell(tx, *entries)
    for lane in heard:
        ask_soon(tx, lane)


def _agree(tx: Tx, answers: dict[int, str | None]) -> None:
    said = store.orders.documents_of(tx, list(answers))
    store.words.agree(
        tx, {pk: (answer, net(said[pk], store.answers.read_answer(answer) if answer else None)) for pk, answer in answers.items()}
    )


def _ended(row: Any, claimed: Claimed, outcome: Outcome | Dead) -> WordEnded:
    acceptance, agreed, reason, is_over = row.stood_at, row.agreed_revision, row.reason, False
    match outcome:
        case Placed() if claimed.kind == "acceptance":
            acceptance = row.acceptance
            agreed = row.revision if _read_acceptance(claimed.document).accepts else agreed
        case Placed(answer=answer):
            # Whether it was in time, only the feed tells.
            is_over = _read_told(answer).acceptance == Acceptance.CANCELLED
            acceptance = Acceptance.CANCELLED.value if is_over else row.acceptance
        case Refused(code=code) if code == _NOT_THERE and claimed.kind == "cancellation":
            acceptance, is_over = Acceptance.CANCELLED.value, True
        case Refused(title=title):
            reason = title
        case Dead(reason=why):
            reason = why
        case _:
            acceptance = row.acceptance
    if is_over:
        agreed = 0
    return WordEnded(order=row.pk, promise=claimed.id, acceptance=acceptance, agreed_revision=agreed, reason=reason, is_over=is_over)


def _failed(row: Any, claimed: Claimed, outcome: Outcome | Dead) -> Entry:
    what = {"acceptance": "our word on the answer", "cancellation": "our cancellation", "message": "our message"}[claimed.kind]
    match outcome:
        case Refused(code=code) if code == _NOT_THERE:
            code, level = f"order.{claimed.kind}_not_needed", "info"
            message = f"Order {row.number} never reached {row.partner_name}, so {what} was not needed."
        case Refused(title=title):
            code, level = f"order.{claimed.kind}_refused", "warning"
            message = f"{row.partner_name} did not take {what} about order {row.number}: {title}"
        case Dead(reason=reason):
            code, level = f"order.{claimed.kind}_dead", "error"
            message = f"{what[0].upper()}{what[1:]} about order {row.number} did not reach {row.partner_name}: {reason} Say it again."
        case _:
            raise AssertionError("only words that ended are told of")
    return Entry(
        code=code,
        message=message,
        level="info" if level == "info" else "warning" if level == "warning" else "error",
        direction="out",
        partner=row.partner,
        subject=row.id,
        number=row.number,
        trace_id=claimed.traceparent[3:35],
        actor="courier",
        request=claimed.document,
        response=outcome.answer.decode("utf-8", "replace") if isinstance(outcome, Refused) else None,
    )


def _note(tx: Tx, row: Kept, code: str, message: str, actor: str) -> None:
    tell(
        tx,
        Entry(
            code=code,
            message=message,
            partner=row.partner,
            subject=row.id,
            number=row.number,
            trace_id=row.trace_id,
            actor=actor,
        ),
    )
