"""Carry promised orders to their suppliers, and write down how each ended."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connectors.prodsys.words import Sending, Taken
from prodsys.documents import Issue, Order, Validation
from prodsys.exchange import engine, outbox
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.exchange.outbox import Claimed, Dead
from prodsys.kit import outbound
from prodsys.kit.db import Database, Tx, signal
from prodsys.kit.metrics import Metrics
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import parse_traceparent
from prodsys.kit.vault import VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.purchasing import attaching, mailing, store
from prodsys.purchasing.abroad import GONE, STOPS, Abroad, Reach, reachable
from prodsys.purchasing.exporting import KIND, TOPIC
from prodsys.purchasing.model.deliveries import DeliveryEntry
from prodsys.purchasing.model.exports import receipt_status
from prodsys.purchasing.model.refusals import in_our_words
from prodsys.purchasing.store.deliveries import Arrived, Failed, Gone
from prodsys.scopes import Caller

MOST_SAID = 3
"""Reasons of a refused order that stand in the log's sentence; all of them stand beside it."""


def send_again(tx: Tx, caller: Caller, delivery: str) -> DeliveryEntry:
    """Send what died once more, exactly as it was. Raises NotFound, WrongState with the reason."""
    row = store.deliveries.get(tx, delivery)
    if row is None:
        raise errors.NotFound(f"There is no delivery {delivery[:40]}; GET /deliveries lists them.")
    if row.state != "dead":
        raise errors.WrongState("Only a delivery that died can be sent again as it was; export a refused order anew when it is mended.")
    if row.kind in ("acceptance", "cancellation"):
        raise errors.WrongState("The order stands where it stood before this word; say it again at the order.")
    if not row.has_document:
        raise errors.WrongState("What was sent has been purged, so it cannot be sent again as it was; export the order anew.")
    trace = parse_traceparent(row.traceparent)
    if row.kind in (KIND, mailing.KIND) and not store.deliveries.requeue(tx, row.subject, row.id, trace.trace_id if trace else ""):
        raise errors.WrongState("The order has been changed or exported since; export it anew instead.")
    if not outbox.send_again(tx, row.id):
        raise errors.WrongState("Somebody else has just sent it again.")
    outbox.probe_soon(tx, row.lane)
    trace_id = trace.trace_id if trace else ""
    message = f"{caller.name} sent a delivery again that had died."
    entry = Entry(code="delivery.sent_again", message=message, direction="out", subject=row.subject, actor=caller.name, trace_id=trace_id)
    tell(tx, entry)
    signal(tx, TOPIC)
    again = store.deliveries.get(tx, delivery)
    return delivery_entry(again or row)


def delivery_entry(row: store.deliveries.DeliveryRow) -> DeliveryEntry:
    """A row of the ledger as it is shown."""
    trace = parse_traceparent(row.traceparent)
    same = {field: getattr(row, field) for field in DeliveryEntry.__struct_fields__ if field not in ("trace_id", "may_resend")}
    return DeliveryEntry(**same, trace_id=trace.trace_id if trace else "", may_resend=row.state == "dead" and row.has_document)


class OrderDesk:
    """A supplier's order desk as a target of the engine. What he has already is found by sending it again, and matching is his to do."""

    def __init__(self, abroad: Abroad) -> None:
        self.abroad = abroad

    async def find(self, documents: Sequence[Sending], /) -> list[Outcome | None]:
        """Nothing is known before he is asked: to ask is to send (ruling 14)."""
        return [None for _ in documents]

    async def match(self, documents: Sequence[Sending], /) -> list[list[Issue]]:
        """The lines are matched over there."""
        return [[] for _ in documents]

    async def create(self, documents: Sequence[Sending], issues: Sequence[list[Issue]], /) -> list[Outcome]:
        """Send the orders together."""
        return [outcome_of(sent) for sent in await self.abroad.send(documents)]


def outcome_of(sent: Taken | outbound.Refused | Later | Misconfigured) -> Outcome:
    match sent:
        case Taken(receipt=receipt, answer=answer):
            return Placed(id=receipt.id, new=receipt.new, answer=answer)
        case outbound.Refused(problem=problem):
            return Refused(
                code=problem.code or "order_refused",
                title=problem.detail or problem.title,
                issues=list(problem.issues),
                status=problem.status,
                trace_id=problem.trace_id,
                answer=msgspec.json.encode(problem),
            )
        case Later() | Misconfigured():
            return sent


class OrderKind:
    """Orders as the courier carries them: to the supplier's desk, and what came of it into our books."""

    def __init__(self, db: Database, reach: Reach, metrics: Metrics | None = None) -> None:
        self._db = db
        self._reach = reach
        self._metrics = metrics

    async def deliver(self, promises: Sequence[Claimed], /) -> list[Outcome]:
        """Carry the orders of one lane to its supplier, together."""
        lane = promises[0].lane
        supplier, trouble = await self._db.read(reachable, lane, STOPS)
        if supplier is None or trouble is not None:
            return [trouble or GONE for _ in promises]
        try:
            desk = OrderDesk(self._reach(supplier))
        except VaultLocked as locked:
            return [Misconfigured(reason="vault_locked", detail=str(locked)) for _ in promises]
        held_up = await attaching.send_files(self._db, desk.abroad, [one.document for one in promises])
        ready = [one for at, one in enumerate(promises) if at not in held_up]
        sendings = [Sending(document=one.document, traceparent=one.traceparent) for one in ready]
        began = perf_counter()
        placed = iter(await engine.place_abroad(sendings, desk) if ready else [])
        outcomes = [outcome_of(held_up[at]) if at in held_up else next(placed) for at in range(len(promises))]
        if self._metrics is not None:
            self._metrics.partner_request_seconds.labels(partner=lane).observe(perf_counter() - began)
            for outcome in outcomes:
                self._metrics.exports_total.labels(partner=lane, result=_result(outcome)).inc()
        return outcomes

    def settle(self, tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]], /) -> None:
        """Write down what came of it."""
        settle(tx, ended)


def _result(outcome: Outcome) -> str:
    match outcome:
        case Placed():
            return "received" if outcome.new else "repeated"
        case Refused():
            return "refused"
        case _:
            return "waiting"


class _SeenLine(msgspec.Struct, frozen=True):
    line_id: str = ""
    how: str = ""


class _SeenReceipt(msgspec.Struct, frozen=True):
    """A Receipt as far as we act on it; lenient, because its writer may be newer than we are."""

    validation: str = Validation.CLEAN.value
    trace_id: str = ""
    lines: list[_SeenLine] = []
    issues: list[Issue] = []


_read_receipt = msgspec.json.Decoder(_SeenReceipt).decode
_write_issues = msgspec.json.Encoder().encode


def settle(tx: Tx, ended: Sequence[tuple[Claimed, Outcome | Dead]]) -> None:
    """Write down how deliveries of orders ended: in the order, in its export and in the log, for the whole batch at once.

    One that waits needs no writing: its status is told from its lane.
    """
    gone = store.deliveries.gone(tx, [claimed.subject for claimed, outcome in ended if not isinstance(outcome, Later | Misconfigured)])
    arrived: list[Arrived] = []
    failed: list[Failed] = []
    entries: list[Entry] = []
    for claimed, outcome in ended:
        order = gone.get(claimed.subject)
        if order is None:
            continue
        trace_id = claimed.traceparent[3:35]
        match outcome:
            case Placed():
                one, entry = _arrived(order, claimed, outcome, trace_id)
                arrived.append(one)
                entries.append(entry)
            case Refused():
                sent = _document(claimed.document)
                issues = in_our_words(outcome, sent, order.partner_name or "The supplier")
                failed.append(
                    Failed(order=order.pk, promise=claimed.id, sent_as=trace_id, trace_id=trace_id, issues=issues, status="refused")
                )
                entries.append(_refusal_entry(order, claimed, outcome, issues, trace_id))
            case Dead(reason=reason):
                what = "Check the supplier's address and token, then send it again."
                issue = Issue(code="delivery_dead", message=f"{reason} {what}", blocks=True)
                failed.append(
                    Failed(order=order.pk, promise=claimed.id, sent_as=trace_id, trace_id=trace_id, issues=[issue], status="dead")
                )
                message = f"Order {order.number} did not reach {order.partner_name}: {issue.message}"
                entries.append(_entry(order, "order.dead", message, trace_id, level="error", issues=[issue], request=claimed.document))
            case Later() | Misconfigured():
                pass
    store.deliveries.settle(tx, arrived, failed)
    if entries:
        tell(tx, *entries)
    signal(tx, TOPIC)


def _arrived(order: Gone, claimed: Claimed, placed: Placed, sent_as: str) -> tuple[Arrived, Entry]:
    answer = placed.answer.decode("utf-8", "replace")
    try:
        seen = _read_receipt(answer) if answer else _SeenReceipt()
    except msgspec.MsgspecError:
        seen = _SeenReceipt()
    status = receipt_status(is_new=placed.new, hows={line.how for line in seen.lines})
    validation = seen.validation if seen.validation in (Validation.CLEAN, Validation.ISSUES) else Validation.ISSUES.value
    trace_id = seen.trace_id if len(seen.trace_id) == 32 else sent_as
    issues = _write_issues(seen.issues).decode() if seen.issues else "[]"
    one = Arrived(
        order=order.pk,
        promise=claimed.id,
        sent_as=sent_as,
        trace_id=trace_id,
        their_id=placed.id,
        receipt=answer or None,
        validation=validation,
        issues=issues,
        status=status,
    )
    what = {"held": "has it and holds it, because some lines are unclear there", "repeated": "had it already"}.get(status, "has it")
    message = f"Order {order.number} was delivered: {order.partner_name} {what}."
    level = "warning" if status == "held" else "info"
    entry = _entry(order, "order.delivered", message, trace_id, level=level, issues=seen.issues, request=claimed.document, response=answer)
    return one, entry


def _refusal_entry(order: Gone, claimed: Claimed, refused: Refused, issues: Sequence[Issue], trace_id: str) -> Entry:
    """One entry for one refusal, with its first reasons in the sentence."""
    to_mend = [issue for issue in issues if issue.blocks] or list(issues)
    counted = f"{len(to_mend)} thing{'s' if len(to_mend) != 1 else ''} to mend."
    more = [f"And {len(to_mend) - MOST_SAID} more."] if len(to_mend) > MOST_SAID else []
    return _entry(
        order,
        "order.refused",
        " ".join([f"{order.partner_name} refused order {order.number}: {counted}", *(one.message for one in to_mend[:MOST_SAID]), *more]),
        trace_id,
        level="error",
        issues=issues,
        request=claimed.document,
        response=refused.answer.decode("utf-8", "replace"),
    )


def _entry(
    order: Gone,
    code: str,
    message: str,
    trace_id: str,
    *,
    level: Any = "info",
    issues: Sequence[Issue] = (),
    request: str | None = None,
    response: str | None = None,
) -> Entry:
    return Entry(
        code=code,
        message=message,
        level=level,
        direction="out",
        partner=order.partner,
        subject=order.id,
        number=order.number,
        trace_id=trace_id,
        actor="courier",
        issues=list(issues),
        request=request,
        response=response,
    )


def _document(text: str) -> Order | None:
    try:
        order: Order = store.orders.read_order(text)
    except msgspec.MsgspecError:
        return None
    return order
