"""Write purchase orders down, change them, show them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from prodsys import documents, errors
from prodsys.articles.store.supplier_numbers import numbers_at
from prodsys.attachments import actions as files
from prodsys.attachments.store import HOUSE, forget_uses
from prodsys.company.store import card as company_card
from prodsys.documents import Acceptance, Fulfilment, Issue, Party, Validation
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, signal
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import page as log_page
from prodsys.logs.store import tell
from prodsys.purchasing import store, terms
from prodsys.purchasing.model import readiness, steps, writing
from prodsys.purchasing.model.goods import PurchaseDespatch
from prodsys.purchasing.model.lists import PurchaseSummary, Totals
from prodsys.purchasing.model.orders import (
    AgreedOrder,
    Happened,
    OrderMessage,
    OrderPartner,
    OrderWait,
    PurchaseLine,
    PurchaseOrder,
    Travelled,
)
from prodsys.purchasing.model.writing import ChangedOrder, NewLine, NewOrder
from prodsys.purchasing.store.exports import ItemRow
from prodsys.purchasing.store.goods import Shipment
from prodsys.purchasing.store.lists import Filter
from prodsys.purchasing.store.orders import Kept, Written
from prodsys.scopes import Caller

_MOST_HISTORY = 100
NO_CARD = Party(name="?")


def create(tx: Tx, caller: Caller, new: NewOrder) -> PurchaseOrder:
    """Write an order down. Raises Invalid with every fault, AlreadyExists when its number is taken."""
    number = documents.plain(new.number) if new.number else store.orders.next_number(tx)
    made = store.orders.write_down(tx, [_written(tx, number, 1, new.content())], caller.name)
    if not made:
        raise errors.AlreadyExists(f"There is an order {number} already; give this one another number.")
    _name_files(tx, made[0], new.attachments)
    signal(tx, "orders")
    return shown(tx, made[0])


def _name_files(tx: Tx, order: str, named: Sequence[documents.Attachment]) -> None:
    if named:
        files.use(tx, order, files.held(tx, HOUSE, {one.sha256 for one in named}), named)


def change(tx: Tx, caller: Caller, id: str, changed: ChangedOrder, if_match: str | None) -> PurchaseOrder:
    """Let an order say something else; a delivered one becomes the next revision, to be exported again (ruling 14).

    Raises IfMatchMissing, Stale, NotFound, Invalid, and WrongState while it is on its way.
    """
    row = kept(tx, id, lock=True)
    must_match(if_match, etag(row.id, row.version))
    steps.must(row.delivery, "change", row.number)
    steps.must_live(row.acceptance, row.fulfilment, row.number)
    before = store.orders.read_order(row.document)
    revision = steps.next_revision(row.newest_revision, row.delivery, row.validation, store.orders.read_issues(row.issues))
    one = _written(tx, row.number, revision, changed, taken=[line.line_id for line in before.lines])
    if revision != row.revision:
        store.revisions.keep(tx, row.pk)
    if not store.orders.rewrite(tx, row.pk, row.version, one):
        raise errors.Stale
    _name_files(tx, id, changed.attachments)
    tell(
        tx,
        Entry(
            code="order.changed",
            message=f"{caller.name} changed order {row.number}; it is revision {revision} now.",
            partner=one.partner,
            subject=row.id,
            number=row.number,
            actor=caller.name,
        ),
    )
    return shown(tx, id)


def copy(tx: Tx, caller: Caller, id: str) -> PurchaseOrder:
    """Write down a new order that says the same under the next number, dated today."""
    content = msgspec.structs.replace(content_of(tx, id), date=None)
    made = store.orders.write_down(tx, [_written(tx, store.orders.next_number(tx), 1, content)], caller.name)
    _name_files(tx, made[0], content.attachments)
    return shown(tx, made[0])


def content_of(tx: Tx, id: str) -> ChangedOrder:
    """What an order says, as somebody would write it down once more. Raises NotFound."""
    row = kept(tx, id)
    order = store.orders.read_order(row.document)
    ours = store.orders.line_articles(tx, row.pk)
    lines = [
        NewLine(
            **{field: getattr(line, field) for field in NewLine.__struct_fields__ if field != "article"}, article=ours.get(line.line_id, "")
        )
        for line in order.lines
    ]
    same = {field: getattr(order, field) for field in ChangedOrder.__struct_fields__ if field not in ("partner", "lines")}
    return ChangedOrder(**same, partner=row.partner_id or "", lines=lines)


def delete(tx: Tx, caller: Caller, id: str, if_match: str | None) -> None:
    """Take an order out of the books, as long as nothing of it was ever sent. Raises WrongState otherwise, IfMatchMissing, Stale."""
    row = kept(tx, id, lock=True)
    must_match(if_match, etag(row.id, row.version))
    if row.sent_at is not None:
        raise errors.WrongState(f"Order {row.number} has been sent; it stays in the books.")
    steps.must(row.delivery, "delete", row.number)
    store.orders.forget(tx, row.pk)
    forget_uses(tx, row.id)
    message = f"{caller.name} deleted order {row.number}, which was never sent."
    tell(tx, Entry(code="order.deleted", message=message, partner=row.partner, subject=row.id, number=row.number, actor=caller.name))


class Known:
    """What many orders need to know of our articles and suppliers, asked once for all of them."""

    def __init__(self, tx: Tx, contents: Sequence[ChangedOrder]) -> None:
        self.articles = store.named.articles_named(
            tx, {documents.plain(line.article) for one in contents for line in one.lines if line.article}
        )
        self.suppliers = store.named.suppliers_named(tx, {documents.plain(one.partner) for one in contents if one.partner})
        pks = {article.pk for article in self.articles.values()}
        keys = {found[0][0] for found in self.suppliers.values() if len(found) == 1}
        self.numbers = {key: numbers_at(tx, key, pks) for key in keys}
        self.files = files.held(tx, HOUSE, {file.sha256 for one in contents for file in one.attachments})
        ours = company_card(tx)
        self.card = ours.card if ours else NO_CARD
        self.today = now().date()


def _written(tx: Tx, number: str, revision: int, content: ChangedOrder, taken: Sequence[str] = ()) -> Written:
    one, issues = write(Known(tx, [content]), number, revision, content, taken)
    if issues:
        raise errors.Invalid(issues=issues)
    return one


def write(known: Known, number: str, revision: int, content: ChangedOrder, taken: Sequence[str] = ()) -> tuple[Written, list[Issue]]:
    word = documents.plain(content.partner)
    found = known.suppliers.get(word, [])
    issues = []
    if word and not found:
        message = f"There is no supplier {word}; name one by id, exact name or organisation number."
        issues.append(Issue(code="supplier_unknown", message=message, params={"supplier": word}, pointer="/partner", blocks=True))
    if len(found) > 1:
        message = f"More than one supplier is called {word}; name the one you mean by its id: {', '.join(name for _, name in found)}."
        issues.append(Issue(code="supplier_ambiguous", message=message, params={"supplier": word}, pointer="/partner", blocks=True))
    partner = found[0][0] if found else None
    lines, faults = writing.written_lines(content.lines, known.articles, known.numbers.get(partner, {}) if partner else {}, taken)
    order = writing.written(number, revision, content, lines, known.card, known.today)
    notes = readiness.local_issues(order)
    currency = [issue for issue in notes if issue.code == "currency_unknown"]
    return (
        Written(
            partner=partner,
            order=order,
            lines=lines,
            issues=notes,
            validation=Validation.ISSUES if notes else Validation.CLEAN,
            due_date=terms.due_date(order, None, {}),
        ),
        [
            *issues,
            *currency,
            *faults,
            *readiness.too_large(order),
            *documents.control_characters(order),
            *files.missing(known.files, content.attachments),
        ],
    )


def kept(tx: Tx, id: str, *, lock: bool = False) -> Kept:
    row = store.orders.get(tx, id, lock=lock)
    if row is None:
        raise errors.NotFound(f"There is no purchase order with the id {id[:40]}; GET /purchasing/orders?number=… finds one by its number.")
    return row


def shown(tx: Tx, id: str) -> PurchaseOrder:
    """One order, whole. Raises NotFound."""
    row = kept(tx, id)
    order = store.orders.read_order(row.document)
    ours = store.orders.line_articles(tx, row.pk)
    shipments = store.goods.shipments(tx, [row.pk]).get(row.pk, [])
    here = store.goods.received(tx, [row.pk]).get(row.pk, {})
    gone = _despatched(shipments)
    answer = store.answers.read_answer(row.answered) if row.answered else None
    delivery = _travelled(tx, row)
    return PurchaseOrder(
        id=row.id,
        number=row.number,
        revision=row.revision,
        partner=partner_of(row),
        date=row.date,
        currency=row.currency,
        net=documents.Exact(row.net),
        deliver_to=order.deliver_to,
        requested_date=order.requested_date,
        buyer_reference=order.buyer_reference,
        quote_reference=order.quote_reference,
        payment_terms=order.payment_terms,
        delivery_terms=order.delivery_terms,
        delivery_place=order.delivery_place,
        note=order.note,
        charges=order.charges,
        attachments=order.attachments,
        lines=[_line(line, ours.get(line.line_id), gone, here) for line in order.lines],
        delivery=delivery,
        waits=_why_waiting(tx, row.id) if delivery == "waiting" else None,
        validation=Validation(row.validation),
        acceptance=Acceptance(row.acceptance),
        fulfilment=Fulfilment(row.fulfilment),
        issues=store.orders.read_issues(row.issues),
        answer=row.answer,
        answered=None if answer is None else terms.beside(order, answer, row.acceptance),
        agreed_revision=row.agreed_revision,
        agreed=_agreed(tx, row, gone, here),
        is_word_on_its_way=bool(row.word),
        due_date=row.due_date,
        despatches=[_shipped(one) for one in shipments],
        messages=[_message(one) for one in store.messages.of(tx, row.pk)],
        history=_history(tx, row.id),
        their_id=row.their_id,
        their_order_number=row.their_order_number,
        reason=row.reason,
        trace_id=row.trace_id,
        created_at=row.created_at,
        created_by=row.created_by,
        changed_at=row.changed_at,
        sent_at=row.sent_at,
        etag=etag(row.id, row.version),
    )


def _line(line: documents.OrderLine, article: str | None, gone: Mapping[str, Decimal], here: Mapping[str, Decimal]) -> PurchaseLine:
    own = ("article", "net", "despatched", "received")
    same = {field: getattr(line, field) for field in PurchaseLine.__struct_fields__ if field not in own}
    return PurchaseLine(
        **same,
        article=article,
        net=None if line.net is None else documents.Exact(line.net),
        despatched=documents.Exact(gone.get(line.line_id, 0)),
        received=documents.Exact(here.get(line.line_id, 0)),
    )


def _despatched(shipments: Sequence[Shipment]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for one in shipments:
        for line in one.document.lines:
            sums[line.line_id] = sums.get(line.line_id, Decimal(0)) + line.quantity
    return sums


def _shipped(one: Shipment) -> PurchaseDespatch:
    same = {field: getattr(one.document, field) for field in PurchaseDespatch.__struct_fields__ if field not in ("heard_at", "received_at")}
    return PurchaseDespatch(**same, heard_at=one.heard_at, received_at=one.received_at)


def _message(row: Any) -> OrderMessage:
    return OrderMessage(**{field: getattr(row, field) for field in OrderMessage.__struct_fields__})


def _agreed(tx: Tx, row: Kept, gone: Mapping[str, Decimal], here: Mapping[str, Decimal]) -> AgreedOrder | None:
    is_present = row.agreed_revision == row.revision
    if not row.agreed_revision or (is_present and row.agreed_answered is None):
        return None
    document = row.document
    if not is_present:
        earlier = store.revisions.get(tx, row.pk, row.agreed_revision)
        if earlier is None:
            return None
        document = earlier.document
    order = store.orders.read_order(document)
    answered = (
        None if row.agreed_answered is None else terms.beside(order, store.answers.read_answer(row.agreed_answered), Acceptance.AGREED)
    )
    taken = {} if answered is None else {line.line_id: line for line in answered.lines}
    lines = [
        _as_agreed(_line(line, None, gone, here), taken.get(line.line_id))
        for line in order.lines
        if line.line_id not in taken or taken[line.line_id].answered is not None
    ]
    net = order.net if row.agreed_net is None else row.agreed_net
    return AgreedOrder(revision=row.agreed_revision, date=order.date, net=documents.Exact(net), lines=lines, answered=answered)


def _as_agreed(line: PurchaseLine, taken: terms.AnsweredLine | None) -> PurchaseLine:
    if taken is None or taken.answered is None:
        return line
    said = taken.answered
    return msgspec.structs.replace(
        line,
        article_number=said.article_number,
        description=said.description,
        quantity=None if said.quantity is None else documents.Quantity(said.quantity),
        unit=said.unit,
        unit_price=said.unit_price,
        net=said.net,
    )


def _history(tx: Tx, id: str) -> list[Happened]:
    return [
        Happened(at=one.at, code=one.code, message=one.message, level=one.level, actor=one.actor, trace_id=one.trace_id)
        for _, one in log_page(tx, before=None, limit=_MOST_HISTORY, subject=id)
    ]


def partner_of(row: Kept | ItemRow) -> OrderPartner | None:
    return OrderPartner(id=row.partner_id, name=row.partner_name or "") if row.partner_id else None


def _travelled(tx: Tx, row: Kept) -> Travelled:
    if row.delivery == "received" and row.mailed_to:
        return "sent_by_email"
    if row.delivery != "queued":
        return row.delivery  # type: ignore[return-value]  # the column holds nothing else
    if store.deliveries.is_leaving(tx, row.id):
        return "sending"
    return "waiting" if _waiting(tx, [row.id]) else "queued"


def _waiting(tx: Tx, orders: Sequence[str]) -> set[str]:
    """Those of these orders whose way is closed at the moment: to their supplier, or to the mail server."""
    lanes = store.deliveries.lanes_waited_in(tx, orders)
    closed = closed_lanes(tx, list(lanes.values()))
    return {order for order, lane in lanes.items() if lane in closed}


def _why_waiting(tx: Tx, id: str) -> OrderWait | None:
    lane = store.deliveries.lanes_waited_in(tx, [id]).get(id)
    for one in outbox.closed_or_waiting(tx, most=1, among=lane) if lane is not None else ():
        if one.lane == lane and one.state != "open":
            return OrderWait(code=one.code, reason=one.reason, since=one.since, tried_again_at=one.probe_at)
    return None


def closed_lanes(tx: Tx, names: Sequence[str | None]) -> dict[str, outbox.LaneTurn]:
    lanes = outbox.lane_states(tx, sorted({name for name in names if name}))
    return {name: lane for name, lane in lanes.items() if lane.state != "open"}


def listed(tx: Tx, wanted: Filter, after: tuple[Any, ...] | None, limit: int) -> tuple[list[PurchaseSummary], tuple[str | int, ...] | None]:
    """A page of orders, and where the next one begins."""
    rows = store.lists.listed(tx, wanted, after, limit + 1)
    more = store.lists.place(wanted, rows[limit - 1]) if len(rows) > limit else None
    return summaries(tx, rows[:limit]), more


def summaries(tx: Tx, rows: Sequence[Kept]) -> list[PurchaseSummary]:
    """Orders as rows of a list."""
    waiting = _waiting(tx, [row.id for row in rows if row.delivery == "queued"])
    return [_summary(row, row.id in waiting) for row in rows]


def _summary(row: Kept, is_waiting: bool) -> PurchaseSummary:
    delivery: Any = "waiting" if is_waiting else row.delivery
    if delivery == "received" and row.mailed_to:
        delivery = "sent_by_email"
    return PurchaseSummary(
        id=row.id,
        number=row.number,
        revision=row.revision,
        partner=partner_of(row),
        date=row.date,
        currency=row.currency,
        net=documents.Exact(row.net),
        delivery=delivery,
        validation=Validation(row.validation),
        acceptance=Acceptance(row.acceptance),
        fulfilment=Fulfilment(row.fulfilment),
        answer=row.answer,
        agreed_revision=row.agreed_revision,
        agreed_net=None if row.agreed_net is None else documents.Exact(row.agreed_net),
        due_date=row.due_date,
        issue_count=len(store.orders.read_issues(row.issues)),
        their_order_number=row.their_order_number,
        reason=row.reason,
        trace_id=row.trace_id,
        changed_at=row.changed_at,
        etag=etag(row.id, row.version),
    )


def totals(tx: Tx, wanted: Filter) -> Totals:
    """How much a list holds, up to a thousand orders."""
    count, net = store.lists.totals(tx, wanted)
    return Totals(
        count=min(count, store.lists.MOST_COUNTED),
        is_more=count > store.lists.MOST_COUNTED,
        net={currency: documents.Exact(amount) for currency, amount in sorted(net.items())},
    )
