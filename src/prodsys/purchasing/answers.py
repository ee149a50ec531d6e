"""Hear what suppliers say about our orders, and let the newest of it stand."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec

from prodsys import documents, errors
from prodsys.connectors.prodsys.words import Change as TheirChange
from prodsys.connectors.prodsys.words import Changes, CursorGone
from prodsys.documents import Acceptance, Delivery, Despatch, Fulfilment, Message, Order
from prodsys.kit.db import Database, Tx, signal
from prodsys.kit.vault import VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.partners.model import Supplier
from prodsys.purchasing import store
from prodsys.purchasing.abroad import GONE, STOPS_HEARING, Reach, ask_soon, reachable
from prodsys.purchasing.abroad import said as said_of
from prodsys.purchasing.actions import kept, shown
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.model.writing import WrittenLine
from prodsys.purchasing.store.answers import Heard
from prodsys.purchasing.store.revisions import RevisionHeard
from prodsys.purchasing.terms import ENDED, STANDS, due_date, is_all_here, is_promised_late, net
from prodsys.purchasing.words import cancel_there_too
from prodsys.webhooks.sending import promise_logged

MOST_PAGES = 200
"""Pages of a supplier's feed read at one go, 500 changes each."""


async def pull_answers(db: Database, reach: Reach, partner: str) -> str:
    """Hear from a supplier (by id) everything he has said since last time; returns why not, or an empty text.

    Each page is applied in one unit together with the new cursor. A cursor that is gone means he has begun a new life: then the books are
    to be compared, and the feed is read from its beginning after that (ruling 8; `reconciling.hear` does both).
    """
    supplier, trouble = await db.read(reachable, partner, STOPS_HEARING)
    if supplier is None or trouble is not None:
        return (trouble or GONE).detail
    try:
        abroad = reach(supplier)
    except VaultLocked as locked:
        return str(locked)
    cursor, why_not = supplier.their_cursor or None, ""
    read_again: Mapping[str, ReadAgain] = {}
    # A feed that never ends must not keep us for ever; the rest is read next time.
    for _ in range(MOST_PAGES):
        answer = await abroad.changes(cursor)
        match answer:
            case CursorGone() if cursor is not None:
                await db.write(_begin_again, supplier)
                break
            case Changes(items=changes, next=after):
                read_again = await db.write(apply, supplier, changes, after, read_again)
                if after is None or after == cursor or not changes:
                    break
                cursor = after
            case CursorGone():
                why_not = f"{supplier.name} does not know any cursor of ours, not even the first."
                break
            case _:
                why_not = said_of(answer)
                break
    if read_again:
        await db.write(_tell_what_is_new, supplier, read_again)
    return why_not


def _begin_again(tx: Tx, supplier: Supplier) -> None:
    store.reconciling.ask(tx, supplier.pk, f"The feed of {supplier.name} has begun a new life, or gone on without us.")
    ask_soon(tx, supplier.id)
    message = f"The feed of {supplier.name} has begun a new life, as after a restore; all of it is read again and compared."
    tell(tx, Entry(code="feed.begun_again", message=message, level="warning", direction="in", partner=supplier.pk, actor="timetable"))


class ReadAgain(msgspec.Struct, frozen=True, kw_only=True):
    """An order of which we knew something when its changes came from the beginning once more."""

    known: Heard
    last: TheirChange


def apply(
    tx: Tx,
    supplier: Supplier,
    changes: Sequence[TheirChange],
    cursor: str | None,
    read_again: Mapping[str, ReadAgain] = {},
) -> dict[str, ReadAgain]:
    """Apply a page of a supplier's feed in its order, and remember how far we have read. A page read before changes nothing.

    Where a feed is read from its beginning, old changes lead an order through states that have been told before. Such orders, with those
    of the pages before, are returned instead of being told of: what is new of them is known when the feed has ended.
    """
    before = store.answers.heard_of(tx, supplier.pk, {change.number for change in changes})
    known = dict(before)
    again = dict(read_again)
    page = _Page()
    lost_here: frozenset[str] | None = None
    for change in changes:
        order = known.get(change.number)
        if order is None or change.revision > order.newest_revision:
            lost_here = store.reconciling.lost_here(tx, supplier.pk) if lost_here is None else lost_here
            if change.number not in lost_here:
                page.entries.append(_strange(supplier, change))
            continue
        if change.position <= order.change_seen:
            continue
        page.bring(order, change)
        if change.number in again or (order is before[change.number] and _was_heard_before(order)):
            first = again[change.number].known if change.number in again else order
            last = again[change.number].last if change.number in again and change.kind in _BESIDE else change
            again[change.number] = ReadAgain(known=first, last=last)
        after = _answered(tx, order, change)
        if after.acceptance == Acceptance.REJECTED and 0 < after.agreed_revision != after.revision:
            after = _turn_to(tx, after, after.agreed_revision)
        elif order.acceptance == Acceptance.CANCELLED and after.acceptance not in ENDED:
            word = cancel_there_too(tx, supplier, order.id, order.trace_id, order.reason)
            asked = {"acceptance": Acceptance.CANCEL_REQUESTED.value, "word": word, "stood_at": after.acceptance}
            after = msgspec.structs.replace(after, **asked)
        known[change.number] = after
        if change.number not in again and (entry := _told(supplier, order, after, change)) is not None:
            page.entries.append(entry)
    page.keep(tx, supplier)
    moved = [after for number, after in known.items() if after != before[number]]
    store.answers.hear(tx, recounted(tx, moved))
    if cursor is not None and cursor != supplier.their_cursor:
        partners.keep_cursor(tx, supplier.pk, cursor, supplier.their_epoch)
    if page.entries:
        tell(tx, *page.entries)
        promise_logged(tx, *page.entries)
        signal(tx, "orders")
    return again


def _was_heard_before(order: Heard) -> bool:
    """Whether something was known of an order of whose supplier's feed nothing counts as read."""
    has_ended = order.acceptance in (Acceptance.REJECTED, Acceptance.CANCELLED)
    return not order.change_seen and (order.answered is not None or order.agreed_revision > 0 or has_ended)


def _tell_what_is_new(tx: Tx, supplier: Supplier, read_again: Mapping[str, ReadAgain]) -> None:
    now_known = store.answers.heard_of(tx, supplier.pk, set(read_again))
    entries = []
    for number, one in read_again.items():
        after = now_known.get(number)
        if after is None or _stand(one.known) == _stand(after):
            continue
        if (entry := _told(supplier, one.known, after, one.last)) is not None:
            entries.append(entry)
    if entries:
        tell(tx, *entries)
        promise_logged(tx, *entries)


def _stand(order: Heard) -> tuple[Any, ...]:
    """How an order stands, in what a person is told of; the answer itself, since answers are counted anew after a restore."""
    answered = store.answers.read_answer(order.answered) if order.answered else None
    return (order.revision, order.acceptance, order.fulfilment, order.their_order_number, order.reason, answered)


class _Page:
    """What a page of the feed brings beside states: despatches, messages, and what is to be logged."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._despatches: list[tuple[Heard, Despatch, TheirChange]] = []
        self._messages: list[tuple[Heard, Message, TheirChange]] = []

    def bring(self, order: Heard, change: TheirChange) -> None:
        """Note what a change comes with; a despatch or message belongs to the order, whichever revision it is told of."""
        if change.despatch is not None:
            self._despatches.append((order, change.despatch, change))
        if change.said is not None:
            self._messages.append((order, change.said, change))

    def keep(self, tx: Tx, supplier: Supplier) -> None:
        """Keep it; only what is new is logged."""
        fresh = store.goods.keep_despatches(tx, [(order.pk, one) for order, one, _ in self._despatches])
        for order, one, change in self._despatches:
            if (order.pk, one.id) in fresh:
                how = f" with {one.carrier}" if one.carrier else ""
                track = f", tracking number {one.tracking_number}" if one.tracking_number else ""
                message = f"{supplier.name} despatched {len(one.lines)} lines of order {order.number}{how}{track}."
                self.entries.append(_entry(supplier, order, "order.despatched", message, change))
        fresh = store.messages.keep(tx, [(order.pk, one) for order, one, _ in self._messages], "heard")
        for order, said, change in self._messages:
            if (order.pk, said.id) in fresh:
                line = f", line {said.line_id}" if said.line_id else ""
                message = f"{said.author or supplier.name} says about order {order.number}{line}: {said.text}"
                self.entries.append(_entry(supplier, order, "order.message", message, change))


def _answered(tx: Tx, order: Heard, change: TheirChange) -> Heard:
    """The order after a change to its present revision, or to another one."""
    if change.revision == order.revision:
        return note_answer(order, change)
    acceptance = _named(change)
    stands = acceptance in STANDS and change.kind not in _BESIDE
    if stands and (change.revision > order.revision or order.acceptance in ENDED):
        return note_answer(_turn_to(tx, order, change.revision), change)
    is_cancelled_here = order.acceptance in (Acceptance.CANCEL_REQUESTED, Acceptance.CANCELLED)
    if change.kind in _OF_CANCELLING and is_cancelled_here and order.delivery in ("not_sent", "failed", "unknown"):
        # He was asked about the revision he has; what we have written since then never reached him.
        return note_answer(_turn_to(tx, order, change.revision), change)
    heard = RevisionHeard(
        order=order.pk,
        revision=change.revision,
        acceptance=None if change.kind in _BESIDE else acceptance,
        their_id=change.id,
        answer=None if change.answered is None else change.answered.answer,
        answered=None if change.answered is None else documents.write(change.answered).decode(),
        answered_at=None if change.answered is None else change.answered.at,
    )
    store.revisions.note(tx, [heard])
    # While the newer revision waits for its answer, what was agreed before stands.
    if stands and change.revision > order.agreed_revision:
        order = msgspec.structs.replace(order, agreed_revision=change.revision)
    if acceptance in ENDED and change.revision == order.agreed_revision and change.kind not in _BESIDE:
        order = msgspec.structs.replace(order, agreed_revision=0)
    if stands and change.order_number:
        order = msgspec.structs.replace(order, their_order_number=change.order_number)
    return msgspec.structs.replace(order, change_seen=change.position, fulfilment=_fulfilment(order, change))


_BESIDE = frozenset({"order.message", "order.despatched"})
"""What happens beside the agreement and does not change it."""
_NAMED: Mapping[str, str] = {f"order.{word}": word.value for word in Acceptance} | {"order.received": Acceptance.OPEN.value}
_OF_CANCELLING = frozenset({"order.cancel_requested", "order.cancelled", "order.cancellation_refused"})


def _named(change: TheirChange) -> str:
    """What a change says happened; the state beside it may be that of an answer which has not left yet."""
    return _NAMED.get(change.kind, change.acceptance)


def note_answer(order: Heard, change: TheirChange) -> Heard:
    """The order after one thing that happened to it there; itself when that is old, or about another revision.

    The newest answer wins. Where a word of ours is on its way, he does not know it yet: what he said before does not undo it.
    """
    if change.position <= order.change_seen or change.revision != order.revision:
        return order
    # Heard of in the feed although its delivery seemed lost: he has it.
    was_lost = order.delivery in ("failed", "unknown") and change.delivery == Delivery.RECEIVED
    order = msgspec.structs.replace(
        order,
        change_seen=change.position,
        delivery=Delivery.RECEIVED.value if was_lost else order.delivery,
        fulfilment=_fulfilment(order, change),
        their_id=change.id,
    )
    spoken_of = change.answered.answer if change.answered is not None else change.answer
    if change.kind in _BESIDE or spoken_of < order.answer:
        return order
    answer = {}
    is_newer = change.answered is not None and change.answered.answer > order.answer
    if change.answered is not None and is_newer:
        told = change.answered
        answer = {"answer": told.answer, "answered": documents.write(told).decode(), "answered_at": told.at}
    acceptance = _named(change)
    acceptance = acceptance if acceptance in set(Acceptance) else order.acceptance
    stands = _standing(order, change, acceptance, is_newer=is_newer)
    agreed = order.agreed_revision
    if acceptance in STANDS:
        agreed = order.revision
    elif acceptance == Acceptance.CANCELLED or (acceptance == Acceptance.REJECTED and agreed == order.revision):
        agreed = 0
    return msgspec.structs.replace(
        order,
        their_order_number=change.order_number or ("" if acceptance == Acceptance.OPEN and not agreed else order.their_order_number),
        reason=change.reason or "" if "acceptance" in stands else order.reason,
        agreed_revision=agreed,
        **stands,
        **answer,
    )


def _standing(order: Heard, change: TheirChange, acceptance: str, *, is_newer: bool) -> dict[str, str]:
    """Where the order stands after a change, with our own word taken into account while it is on its way."""
    if order.acceptance == Acceptance.CANCEL_REQUESTED:
        knows = change.kind in _OF_CANCELLING or acceptance in ENDED
        if not knows:
            return {"stood_at": acceptance} if order.word else {}
        return {"acceptance": acceptance, "word": "", "stood_at": ""}
    if not order.word:
        return {"acceptance": acceptance}
    if acceptance == order.stood_at and not is_newer:
        return {}
    return {"acceptance": acceptance, "word": "", "stood_at": ""}


_HOW_FAR: Mapping[str, int] = {word.value: at for at, word in enumerate(Fulfilment)}


def _fulfilment(order: Heard, change: TheirChange) -> str:
    theirs = change.fulfilment if change.fulfilment in set(Fulfilment) else order.fulfilment
    if change.kind == "order.despatched":
        return theirs
    # He does not know what we have booked in, nor is it said of one revision what has been despatched of another.
    return max(order.fulfilment, theirs, key=_HOW_FAR.__getitem__)


def recounted(tx: Tx, orders: Sequence[Heard]) -> list[Heard]:
    """Orders with what follows from their lines: when the next of them is due, whether it is promised late, what is partly or all here."""
    pks = [order.pk for order in orders]
    said, here, shipped = store.orders.documents_of(tx, pks), store.goods.received(tx, pks), store.goods.shipments(tx, pks)
    earlier = store.revisions.of(tx, [order.pk for order in orders if order.agreed_revision not in (0, order.revision)])
    return [
        _recounted(
            _agreed(order, said[order.pk], earlier.get((order.pk, order.agreed_revision))),
            said[order.pk],
            here.get(order.pk, {}),
            [one.document for one in shipped.get(order.pk, []) if one.received_at is None],
        )
        for order in orders
    ]


def _recounted(order: Heard, document: Order, received: Mapping[str, Decimal], unbooked: Sequence[Despatch]) -> Heard:
    answer = store.answers.read_answer(order.answered) if order.answered else None
    taken = answer if order.acceptance not in (Acceptance.DISPUTED, Acceptance.OPEN) else None
    is_shipped = order.fulfilment in (Fulfilment.SHIPPED, Fulfilment.RECEIVED)
    is_here = is_all_here(document, taken, received, unbooked, is_shipped=is_shipped)
    is_over = is_here or order.acceptance in ENDED
    return msgspec.structs.replace(
        order,
        fulfilment=Fulfilment.RECEIVED.value if is_here else order.fulfilment,
        due_date=None if is_over else due_date(document, taken, received),
        is_promised_late=not is_over and is_promised_late(document, taken),
        is_partly_received=not is_over and any(quantity > 0 for quantity in received.values()),
    )


def _agreed(order: Heard, present: Order, earlier: Any) -> Heard:
    """The order with what is agreed of it, as ordered or by the answer that was accepted.

    While a later answer or revision waits, what was agreed before stays.
    """
    if not order.agreed_revision:
        return msgspec.structs.replace(order, agreed_answered=None, agreed_net=None)
    if order.agreed_revision == order.revision:
        acceptance, document, answered = order.acceptance, present, order.answered
    elif earlier is not None:
        acceptance, document, answered = earlier.acceptance, store.orders.read_order(earlier.document), earlier.answered
    else:
        return order
    if acceptance not in STANDS:
        return order
    # Approved is approved as ordered.
    taken = answered if acceptance == Acceptance.AGREED else None
    return msgspec.structs.replace(
        order, agreed_answered=taken, agreed_net=net(document, store.answers.read_answer(taken) if taken else None)
    )


def _turn_to(tx: Tx, order: Heard, revision: int) -> Heard:
    """The order with another of its revisions as the present one: a change that was refused leaves what was agreed before it."""
    row = store.revisions.get(tx, order.pk, revision)
    if row is None:
        return order
    store.answers.hear(tx, [order])
    store.revisions.keep(tx, order.pk)
    document = store.orders.read_order(row.document)
    ours = store.named.articles_named(tx, {line.buyer_article_number for line in document.lines if line.buyer_article_number})
    lines = [
        WrittenLine(line=line, article=ours[line.buyer_article_number].pk if line.buyer_article_number in ours else None)
        for line in document.lines
    ]
    store.orders.turn_to(tx, order.pk, lines, document)
    return msgspec.structs.replace(
        order,
        revision=revision,
        delivery=Delivery.RECEIVED.value,
        acceptance=row.acceptance,
        their_id=row.their_id,
        answer=row.answer,
        answered=row.answered,
        answered_at=row.answered_at,
        word="",
        stood_at="",
    )


def _told(supplier: Supplier, before: Heard, after: Heard, change: TheirChange) -> Entry | None:
    if change.kind in _BESIDE:
        return None
    if change.kind == "order.cancellation_refused":
        message = f"{supplier.name} did not cancel order {after.number}: {change.reason or 'no reason given'}"
        return _entry(supplier, after, "order.cancellation_refused", message, change, level="warning")
    if (before.revision, before.acceptance, before.fulfilment, before.their_order_number, before.reason, before.answer) == (
        after.revision, after.acceptance, after.fulfilment, after.their_order_number, after.reason, after.answer,
    ):  # fmt: skip
        return None
    if after.revision != before.revision:
        message = f"{supplier.name} does not take revision {before.revision} of order {after.number}: {change.reason or 'no reason given'}"
        message = f"{message} It stands as agreed in revision {after.revision}."
        return _entry(supplier, after, "order.rejected", message, change, level="warning")
    match after.acceptance:
        case "approved":
            number = f" as their order {after.their_order_number}" if after.their_order_number else ""
            message, level = f"{supplier.name} approved order {after.number}{number}.", "info"
        case "rejected":
            message, level = f"{supplier.name} rejected order {after.number}: {after.reason or 'no reason given'}", "warning"
        case "changed":
            message, level = f"{supplier.name} answered order {after.number} with changes, as answer {after.answer}.", "warning"
        case "agreed":
            message, level = f"{supplier.name} knows that we accept answer {after.answer} to order {after.number}.", "info"
        case "disputed":
            message, level = f"{supplier.name} knows that we dispute answer {after.answer} to order {after.number}.", "info"
        case "cancelled":
            message, level = f"{supplier.name} cancelled order {after.number}, as we asked.", "info"
        case word:
            message, level = f"{supplier.name}: order {after.number} is {word}, {after.fulfilment} of it moved.", "info"
    return _entry(supplier, after, f"order.{after.acceptance}", message, change, level="warning" if level == "warning" else "info")


def _entry(
    supplier: Supplier, order: Heard, code: str, message: str, change: TheirChange, *, level: Literal["info", "warning"] = "info"
) -> Entry:
    return Entry(
        code=code,
        message=message,
        level=level,
        direction="in",
        partner=supplier.pk,
        subject=order.id,
        number=order.number,
        trace_id=order.trace_id,
        actor=supplier.name,
        response=documents.write(change).decode(),
    )


def _strange(supplier: Supplier, change: TheirChange) -> Entry:
    return Entry(
        code="answer.unknown_order",
        message=f"{supplier.name} tells of order {change.number} revision {change.revision}, which we never sent them; it is passed over.",
        level="warning",
        direction="in",
        partner=supplier.pk,
        number=change.number,
        actor=supplier.name,
        response=documents.write(change).decode(),
    )


async def refresh(db: Database, reach: Reach, id: str) -> PurchaseOrder:
    """Ask the order's supplier for answers now. Raises NotFound, WrongState for an order never sent, PartnerUnreachable with the reason."""
    row = await db.read(kept, id)
    if row.partner_id is None or row.sent_at is None:
        raise errors.WrongState(f"Order {row.number} has not been sent to anybody, so there is nothing to hear.")
    trouble = await pull_answers(db, reach, row.partner_id)
    if trouble:
        raise errors.PartnerUnreachable(trouble)
    return await db.read(shown, id)
