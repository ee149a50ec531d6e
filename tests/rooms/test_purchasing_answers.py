"""The buyer's room after an order has left: answers, changes, cancellations, deliveries and words, and what both companies stand by."""

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import time_machine

from prodsys import documents, errors
from prodsys.connectors.prodsys.words import Told
from prodsys.documents import (
    AnswerCode,
    AnswerLine,
    Despatch,
    DespatchLine,
    Exact,
    LineAction,
    Message,
    OrderAnswer,
    PromisedDelivery,
    Quantity,
    ReasonCode,
    Substitute,
    UnitPrice,
)
from prodsys.exchange import outbox
from prodsys.exchange.courier import Courier
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Problem, Refused
from prodsys.partners import store as partners
from prodsys.purchasing import actions, answers, api, carrying, exporting, following, receiving, store, words
from prodsys.purchasing.model.goods import Goods, GoodsLine
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.model.writing import NewLine
from prodsys.scopes import Scope
from tests.rooms.doors import company_of
from tests.rooms.makers import goes_by_index, plans_of
from tests.rooms.test_purchasing import KARI, Desk, Shelf, _begin_trading, content, to

pytestmark = pytest.mark.anyio

TODAY = dt.date(2026, 11, 21)


class Listener(Shelf):
    """A supplier who hears our words, and answers line by line."""

    def __init__(self, *articles: str) -> None:
        super().__init__(*articles)
        self.heard: list[tuple[str, str, Any]] = []
        self.minds: Refused | None = None
        self.acceptance = ""

    def _hear(self, word: str, id: str, document: str) -> Any:
        if self.trouble:
            return self.trouble
        self.heard.append((word, id, json.loads(document)))
        return self.minds or Told(acceptance=self.acceptance)

    async def accept(self, id: str, word: str, traceparent: str, /) -> Any:
        return self._hear("acceptance", id, word)

    async def cancel(self, id: str, word: str, traceparent: str, /) -> Any:
        return self._hear("cancellation", id, word)

    async def say(self, id: str, word: str, traceparent: str, /) -> Any:
        return self._hear("message", id, word)

    def tells(self, order: PurchaseOrder, kind: str, acceptance: str, **more: Any) -> None:
        """Put something into the feed, by its kind."""
        fulfilment = more.pop("fulfilment", "none")
        self.says(order.number, acceptance, **more)
        self.feed[-1] = msgspec.structs.replace(self.feed[-1], kind=kind, fulfilment=fulfilment)

    def answers(self, order: PurchaseOrder, *lines: AnswerLine, answer: int = 1, **more: Any) -> None:
        """Answer with changes."""
        told = OrderAnswer(answer=answer, code=AnswerCode.CHANGED, at=now(), lines=list(lines))
        self.tells(order, "order.changed", "changed", answer=answer, answered=told, **more)

    def approves(self, order: PurchaseOrder, number: str = "SO-1", answer: int = 1, **more: Any) -> None:
        """Approve as ordered."""
        told = OrderAnswer(answer=answer, code=AnswerCode.ACCEPTED, at=now(), order_number=number)
        self.tells(order, "order.approved", "approved", answer=answer, answered=told, order_number=number, **more)

    def despatches(self, order: PurchaseOrder, name: str, *lines: tuple[str, str], fulfilment: str = "partly", **more: Any) -> None:
        """Send goods."""
        gone = Despatch(
            id=name, number=f"D-{name}", date=TODAY, carrier="Bring", tracking_number="T1",
            lines=[DespatchLine(line_id=line_id, quantity=Exact(quantity)) for line_id, quantity in lines],
        )  # fmt: skip
        self.tells(order, "order.despatched", "approved", despatch=gone, fulfilment=fulfilment, answer=1, **more)


class AnsweringDesk(Desk):
    """A buyer whose courier carries words as well."""

    shelf: Listener

    def __init__(self, db: Database, shelf: Listener) -> None:
        super().__init__(db, shelf)
        kinds: dict[str, Any] = {exporting.KIND: carrying.OrderKind(db, to(shelf))}
        kinds |= dict.fromkeys(words.WORDS, words.WordKind(db, to(shelf)))
        self.courier = Courier(db, kinds, "here", lambda _, turn: self.turns.append(turn), alone=True)

    async def sent(self, *articles: str, **more: Any) -> PurchaseOrder:
        """An order the supplier has."""
        order = await self.order(*articles, **more)
        await self.export(order)
        await self.carry()
        return await self.now(order)

    async def approved(self, *articles: str, **more: Any) -> PurchaseOrder:
        """An order the supplier has approved."""
        order = await self.sent(*articles, **more)
        self.shelf.approves(order)
        await self.pull()
        return await self.now(order)

    async def says(self, verb: Callable[..., PurchaseOrder], order: PurchaseOrder, *args: Any) -> PurchaseOrder:
        """Accept or dispute, having seen the order as it is."""
        return await self.db.write(verb, KARI, order.id, *args, if_match="*")

    async def books(self, order: PurchaseOrder, despatch: str | None, *lines: tuple[str, str]) -> PurchaseOrder:
        """Book goods in."""
        goods = Goods(despatch=despatch, lines=[GoodsLine(line_id=line_id, quantity=Exact(quantity)) for line_id, quantity in lines])
        return await self.db.write(receiving.receive, KARI, order.id, goods)


@pytest.fixture
async def desk(db: Database) -> AnsweringDesk:
    await db.write(_begin_trading)
    return AnsweringDesk(db, Listener("A-100", "A-200"))


def later(line_id: str = "10", day: dt.date = TODAY + dt.timedelta(days=30), quantity: str = "10", **more: Any) -> AnswerLine:
    """A line promised for another day."""
    when = [PromisedDelivery(quantity=Quantity(quantity), date=day)]
    return AnswerLine(line_id=line_id, action=LineAction.CHANGED, deliveries=when, reason_code=ReasonCode.DATE, **more)


async def test_an_answer_stands_line_by_line_beside_what_was_ordered(desk):
    order = await desk.sent("4711", "4712", "4711", requested_date=TODAY)
    cheaper = AnswerLine(
        line_id="20", action=LineAction.CHANGED, unit_price=UnitPrice("2.00"), substitute=Substitute(article_number="A-201", name="Nut")
    )
    desk.shelf.answers(order, later(), cheaper, AnswerLine(line_id="30", action=LineAction.REJECTED, reason="Discontinued"))

    await desk.pull()

    found = (await desk.now(order)).answered
    assert [[(d.member, d.before, d.after) for d in line.differences] for line in found.lines] == [
        [("date", "2026-11-21", "2026-12-21")],
        [("article_number", "A-200", "A-201"), ("unit_price", "2.5", "2")],
        [],
    ]
    assert [line.is_late for line in found.lines] == [True, False, False]
    assert (found.lines[2].answered, found.lines[2].reason, found.waits_for_us) == (None, "Discontinued", True)
    assert found.lines[1].answered.net == Decimal("20.00")


async def test_a_line_split_over_dates_and_back_ordered_is_told_with_its_days(desk):
    order = await desk.sent("4711", requested_date=TODAY)
    split = [PromisedDelivery(quantity=Quantity(4), date=TODAY), PromisedDelivery(quantity=Quantity(3), date=TODAY + dt.timedelta(7))]
    desk.shelf.answers(order, AnswerLine(line_id="10", action=LineAction.CHANGED, deliveries=split, back_order=Quantity(3)))

    await desk.pull()

    [line] = (await desk.now(order)).answered.lines
    assert [(d.member, d.after) for d in line.differences] == [("date", "4 on 2026-11-21, 3 on 2026-11-28"), ("back_order", "3")]
    assert line.answered.quantity == 10


async def test_accepting_agrees_at_once_here_and_tells_the_supplier(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()

    agreed = await desk.says(words.accept, order, 1)
    again = await desk.db.write(words.accept, KARI, order.id, 1, None)
    await desk.carry()

    found = await desk.now(order)
    assert (agreed.acceptance, agreed.is_word_on_its_way, again.etag) == ("agreed", True, agreed.etag)
    assert desk.shelf.heard == [("acceptance", "sd_0", {"answer": 1, "accepts": True, "reason": ""})]
    assert (found.acceptance, found.agreed_revision, found.is_word_on_its_way) == ("agreed", 1, False)


async def test_what_the_supplier_said_before_he_hears_our_word_does_not_undo_it(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()
    await desk.says(words.accept, order, 1)
    said = Message(id="ms_1", at=now(), author="Ola", text="Is that fine?")
    desk.shelf.tells(order, "order.message", "changed", answer=1, said=said)

    await desk.pull()

    found = await desk.now(order)
    assert (found.acceptance, [one.text for one in found.messages]) == ("agreed", ["Is that fine?"])


async def test_a_word_on_an_answer_that_was_replaced_gives_way_to_the_newer_answer(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()
    await desk.says(words.accept, order, 1)
    desk.shelf.minds = Refused(problem=Problem(status=409, code="answer_superseded", title="There is a newer answer."))
    await desk.carry()
    put_back = await desk.now(order)
    desk.shelf.answers(order, later(day=TODAY + dt.timedelta(days=60)), answer=2)
    await desk.pull()

    found = await desk.now(order)
    assert (put_back.acceptance, put_back.reason, put_back.agreed_revision) == ("changed", "There is a newer answer.", 0)
    assert (found.acceptance, found.answer) == ("changed", 2)
    with pytest.raises(errors.AnswerSuperseded):
        await desk.says(words.accept, order, 1)


async def test_a_newer_answer_wins_over_our_word_on_the_older_one(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()
    await desk.says(words.accept, order, 1)
    desk.shelf.answers(order, later(day=TODAY + dt.timedelta(days=60)), answer=2)
    await desk.pull()
    desk.shelf.minds = Refused(problem=Problem(status=409, code="answer_superseded", title="There is a newer answer."))

    await desk.carry()

    found = await desk.now(order)
    assert (found.acceptance, found.answer, found.is_word_on_its_way) == ("changed", 2, False)


async def test_an_older_answer_and_a_repeated_one_change_nothing(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later(), answer=2)
    await desk.pull()
    seen = await desk.now(order)
    supplier = (await desk.db.read(partners.connected))[0]
    desk.shelf.answers(order, later(day=TODAY), answer=1)

    await desk.pull()
    await desk.db.write(answers.apply, supplier, desk.shelf.feed[:1], None)

    found = await desk.now(order)
    assert (found.answer, found.answered) == (2, seen.answered)
    assert len(await desk.log("order.changed")) == 1


async def test_a_feed_read_from_its_beginning_tells_only_what_is_new(desk):
    approved, agreed, cancelled, waiting = await desk.approved(), await desk.sent(), await desk.sent(), await desk.sent()
    desk.shelf.answers(agreed, later())
    desk.shelf.answers(waiting, later())
    await desk.pull()
    await desk.says(words.accept, agreed, 1)
    await desk.db.write(words.cancel, KARI, cancelled.id, "Not needed")
    await desk.carry()
    desk.shelf.tells(agreed, "order.agreed", "agreed", answer=1)
    desk.shelf.tells(cancelled, "order.cancelled", "cancelled")
    desk.shelf.despatches(approved, "one", ("10", "4"))
    await desk.pull()
    orders = [approved, agreed, cancelled, waiting]
    codes = ("order.approved", "order.changed", "order.agreed", "order.cancelled", "order.despatched", "order.open")
    told = {code: len(await desk.log(code)) for code in codes}
    stood = [(one.acceptance, one.fulfilment, one.answer) for one in [await desk.now(order) for order in orders]]

    desk.shelf.cursor_is_gone = True
    desk.shelf.tells(waiting, "order.rejected", "rejected", answer=2, reason="Sold out")
    assert await desk.pull() == ""

    assert {code: len(await desk.log(code)) for code in codes} == told
    assert told == {
        "order.approved": 1, "order.changed": 2, "order.agreed": 1, "order.cancelled": 1, "order.despatched": 1, "order.open": 0,
    }  # fmt: skip
    assert [one.number for one in await desk.log("order.rejected")] == [waiting.number]
    assert [(one.acceptance, one.fulfilment, one.answer) for one in [await desk.now(order) for order in orders[:3]]] == stood[:3]
    assert (await desk.now(waiting)).acceptance == "rejected"
    assert len([word for word, *_ in desk.shelf.heard if word == "cancellation"]) == 1


async def test_an_echo_beside_an_answer_that_has_not_left_yet_is_only_the_echo(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()
    await desk.says(words.accept, order, 1)
    await desk.carry()
    first = OrderAnswer(answer=1, code=AnswerCode.CHANGED, at=now(), lines=[later()])
    desk.shelf.tells(order, "order.agreed", "changed", answer=2, answered=first)

    await desk.pull()

    assert (await desk.now(order)).acceptance == "agreed"


async def test_a_dispute_names_its_reason_and_waits_for_the_next_answer(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()

    await desk.says(words.dispute, order, 1, "Too late for us")
    await desk.carry()
    desk.shelf.tells(order, "order.disputed", "disputed", answer=1, reason="Too late for us")
    desk.shelf.approves(order, answer=2)
    await desk.pull()

    assert desk.shelf.heard[0][2] == {"answer": 1, "accepts": False, "reason": "Too late for us"}
    found = await desk.now(order)
    assert (found.acceptance, found.answer, found.agreed_revision, found.reason) == ("approved", 2, 1, "")


async def test_only_an_answer_with_changes_can_be_accepted(desk):
    order = await desk.approved()

    with pytest.raises(errors.WrongState):
        await desk.says(words.accept, order, 1)
    with pytest.raises(errors.Invalid):
        await desk.says(words.dispute, order, 1, " ")


def less() -> list[AnswerLine]:
    """Four instead of ten, another article at another price, and one line not at all."""
    cheaper = AnswerLine(
        line_id="20", action=LineAction.CHANGED, unit_price=UnitPrice("2.00"), substitute=Substitute(article_number="A-201", name="Nut")
    )
    return [later(quantity="4"), cheaper, AnswerLine(line_id="30", action=LineAction.REJECTED, reason="Discontinued")]


async def test_an_order_whose_changes_are_accepted_shows_what_was_agreed_beside_what_was_ordered(desk):
    order = await desk.sent("4711", "4712", "4711")
    desk.shelf.answers(order, *less())
    await desk.pull()
    before = await desk.now(order)

    await desk.says(words.accept, order, 1)
    await desk.carry()

    found = await desk.now(order)
    assert (before.agreed, before.net, found.net) == (None, Decimal("75.00"), Decimal("75.00"))
    assert (found.agreed.revision, found.agreed.net, found.agreed.answered.answer) == (1, Decimal("30.00"), 1)
    assert [(line.line_id, line.article_number, line.quantity, line.net) for line in found.agreed.lines] == [
        ("10", "A-100", 4, Decimal("10.00")),
        ("20", "A-201", 10, Decimal("20.00")),
    ]
    assert [line.quantity for line in found.lines] == [10, 10, 10]
    [listed] = (await desk.db.read(actions.listed, store.lists.Filter(), None, 10))[0]
    assert (listed.net, listed.agreed_net) == (Decimal("75.00"), Decimal("30.00"))


async def test_what_was_agreed_stays_while_a_later_answer_or_revision_waits(desk):
    order = await desk.sent("4711", "4712", "4711")
    desk.shelf.answers(order, *less())
    await desk.pull()
    await desk.says(words.accept, order, 1)
    await desk.carry()
    desk.shelf.tells(order, "order.agreed", "agreed", answer=1, order_number="SO-1")

    desk.shelf.answers(order, later(quantity="2"), answer=2)
    await desk.pull()
    answered = await desk.now(order)
    line = NewLine(line_id="10", article="4711", quantity=Quantity(3), unit_price=UnitPrice("2.50"))
    await desk.db.write(actions.change, KARI, order.id, content(order, line), answered.etag)
    await desk.export(order)
    await desk.carry()
    waiting = await desk.now(order)
    desk.shelf.approves(order, revision=2)
    await desk.pull()

    assert (answered.acceptance, answered.agreed.net, answered.agreed.answered.answer) == ("changed", Decimal("30.00"), 1)
    assert (waiting.revision, waiting.agreed.revision, waiting.agreed.net) == (2, 1, Decimal("30.00"))
    assert [line.quantity for line in waiting.agreed.lines] == [4, 10]
    found = await desk.now(order)
    [listed] = (await desk.db.read(actions.listed, store.lists.Filter(), None, 10))[0]
    assert (found.agreed, listed.net, listed.agreed_net) == (None, Decimal("7.50"), Decimal("7.50"))


async def test_what_was_agreed_stands_until_the_changed_order_is_answered(desk):
    order = await desk.approved()
    line = NewLine(line_id="10", article="4711", quantity=Quantity(3))
    await desk.db.write(actions.change, KARI, order.id, content(order, line), order.etag)
    await desk.export(order)
    await desk.carry()

    waiting = await desk.now(order)
    desk.shelf.approves(order, revision=2)
    await desk.pull()

    assert (waiting.revision, waiting.acceptance, waiting.agreed_revision, waiting.their_order_number) == (2, "open", 1, "SO-1")
    assert [line.quantity for line in waiting.agreed.lines] == [10]
    found = await desk.now(order)
    assert (found.acceptance, found.agreed_revision, found.agreed) == ("approved", 2, None)


async def test_a_change_that_is_not_taken_leaves_the_order_as_it_was_agreed(desk):
    order = await desk.approved()
    line = NewLine(line_id="10", article="4711", quantity=Quantity(3))
    await desk.db.write(actions.change, KARI, order.id, content(order, line), order.etag)
    await desk.export(order)
    await desk.carry()
    desk.shelf.tells(order, "order.rejected", "rejected", revision=2, reason="The order stays as it was agreed.", answer=1)

    await desk.pull()

    found = await desk.now(order)
    assert (found.revision, found.acceptance, found.answer, found.agreed_revision, found.their_id) == (1, "approved", 1, 1, "sd_0")
    assert ([line.quantity for line in found.lines], found.lines[0].article is not None, found.net) == ([10], True, Decimal("25.00"))
    changed = await desk.db.write(actions.change, KARI, order.id, content(found, line), found.etag)
    assert changed.revision == 3


async def test_an_approval_that_crosses_a_change_is_what_stands_until_the_change_is_answered(desk):
    order = await desk.sent()
    line = NewLine(line_id="10", article="4711", quantity=Quantity(3))
    await desk.db.write(actions.change, KARI, order.id, content(order, line), order.etag)
    await desk.export(order)
    await desk.carry()
    desk.shelf.approves(order, revision=1)
    await desk.pull()
    crossed = await desk.now(order)
    desk.shelf.tells(order, "order.rejected", "rejected", revision=2, reason="Kept", answer=1)
    await desk.pull()

    found = await desk.now(order)
    assert (crossed.acceptance, crossed.agreed_revision) == ("open", 1)
    assert (found.revision, found.acceptance, found.their_order_number) == (1, "approved", "SO-1")


async def test_an_order_that_was_never_sent_is_cancelled_at_once(desk):
    order = await desk.order()

    cancelled = await desk.db.write(words.cancel, KARI, order.id, "Not needed")
    await desk.carry()

    assert (cancelled.acceptance, cancelled.reason, desk.shelf.heard) == ("cancelled", "Not needed", [])
    export = await desk.export(order)
    assert (await desk.result(export)).items[0].issues[0].code == "cancelled"
    with pytest.raises(errors.WrongState):
        await desk.db.write(actions.change, KARI, order.id, content(order, NewLine(article="4711")), "*")


async def test_a_cancellation_follows_the_order_that_is_still_on_its_way(desk):
    order = await desk.order()
    await desk.export(order)
    await desk.db.write(words.cancel, KARI, order.id, "Not needed")
    asked = await desk.now(order)

    await desk.carry()
    desk.shelf.tells(order, "order.cancelled", "cancelled")
    await desk.pull()

    assert asked.acceptance == "cancel_requested"
    assert desk.shelf.heard == [("cancellation", "sd_0", {"reason": "Not needed"})]
    assert (await desk.now(order)).acceptance == "cancelled"


async def test_cancelling_what_the_supplier_refused_needs_nobody(desk):
    order = await desk.order()
    desk.shelf.articles = set()
    await desk.export(order)
    await desk.db.write(words.cancel, KARI, order.id, "")

    await desk.carry()

    assert ((await desk.now(order)).acceptance, desk.shelf.heard) == ("cancelled", [])


async def test_too_late_is_said_with_the_reason_and_the_order_stands(desk):
    order = await desk.approved()
    await desk.db.write(words.cancel, KARI, order.id, "Not needed")
    await desk.db.write(words.cancel, KARI, order.id, "Not needed")
    desk.shelf.acceptance = "approved"
    await desk.carry()
    desk.shelf.tells(order, "order.cancellation_refused", "approved", reason="Too late: 1 line(s) have been despatched.", answer=1)

    await desk.pull()

    found = await desk.now(order)
    assert (found.acceptance, found.agreed_revision, found.is_word_on_its_way) == ("approved", 1, False)
    assert found.reason == "Too late: 1 line(s) have been despatched."
    assert len(desk.shelf.heard) == 1
    assert len(await desk.log("order.cancellation_refused")) == 1


async def test_an_approval_that_crosses_our_cancellation_does_not_undo_it(desk):
    order = await desk.sent()
    await desk.db.write(words.cancel, KARI, order.id, "")
    desk.shelf.approves(order)
    await desk.pull()
    crossed = await desk.now(order)
    desk.shelf.minds = Refused(problem=Problem(status=409, code="wrong_state", title="It cannot be cancelled."))

    await desk.carry()

    found = await desk.now(order)
    assert (crossed.acceptance, crossed.agreed_revision) == ("cancel_requested", 1)
    assert (found.acceptance, found.reason) == ("approved", "It cannot be cancelled.")


async def test_an_order_we_gave_up_is_cancelled_there_too_when_it_turns_out_to_have_arrived(desk):
    order = await desk.order()
    desk.shelf.loses_replies = True
    await desk.export(order)
    await desk.carry()
    with time_machine.travel(now() + dt.timedelta(days=8), tick=False):
        await desk.courier.sweep()
    cancelled = await desk.db.write(words.cancel, KARI, order.id, "Too slow")
    desk.shelf.loses_replies = False
    desk.shelf.tells(order, "order.received", "open")
    await desk.pull()
    asked = await desk.now(order)
    await desk.db.write(_probe)
    await desk.carry()

    assert (cancelled.acceptance, asked.acceptance, asked.delivery) == ("cancelled", "cancel_requested", "received")
    assert desk.shelf.heard == [("cancellation", "sd_0", {"reason": "Too slow"})]


def _probe(tx: Any) -> None:
    outbox.probe_soon(tx, partners.connected(tx)[0].id)


async def test_a_word_that_never_gets_through_puts_the_order_back_aloud(desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()
    await desk.says(words.accept, order, 1)
    desk.shelf.trouble = Later(reason="timeout", detail="No answer came in time.")
    await desk.carry()

    with time_machine.travel(now() + dt.timedelta(days=8), tick=False):
        await desk.courier.sweep()

    found = await desk.now(order)
    assert (found.acceptance, found.is_word_on_its_way) == ("changed", False)
    assert [entry.level for entry in await desk.log("order.acceptance_dead")] == ["error"]
    [dead] = await desk.db.read(store.deliveries.below, None, 10, lane=None, state="dead", subject=None)
    with pytest.raises(errors.WrongState):
        await desk.db.write(carrying.send_again, KARI, dead.id)


async def test_goods_come_in_two_deliveries_and_the_order_closes(desk):
    order = await desk.approved("4711", "4712")
    desk.shelf.despatches(order, "ds_1", ("10", "10"), ("20", "4"))
    await desk.pull()
    told = await desk.now(order)
    first = await desk.books(order, "ds_1")
    desk.shelf.despatches(order, "ds_2", ("20", "6"), fulfilment="shipped")
    await desk.pull()

    last = await desk.books(order, "ds_2")

    assert [(one.carrier, one.tracking_number, one.received_at) for one in told.despatches] == [("Bring", "T1", None)]
    assert [(line.despatched, line.received) for line in first.lines] == [(10, 10), (4, 4)]
    assert (first.fulfilment, last.fulfilment) == ("partly", "received")
    assert last.due_date is None
    with pytest.raises(errors.WrongState):
        await desk.books(order, "ds_2")


async def test_less_than_was_sent_is_taken_down_as_it_came(desk):
    order = await desk.approved()
    desk.shelf.despatches(order, "ds_1", ("10", "10"), fulfilment="shipped")
    await desk.pull()

    found = await desk.books(order, "ds_1", ("10", "9"))

    assert (found.lines[0].received, found.fulfilment) == (9, "received")
    [entry] = await desk.log("order.goods_received")
    assert (entry.level, json.loads(entry.issues)[0]["message"]) == ("warning", "Line 10: 9 came, 10 were despatched.")


async def test_goods_without_a_despatch_close_the_order_when_all_that_was_ordered_is_here(desk):
    order = await desk.approved("4711", "4712")

    first = await desk.books(order, None, ("10", "10"), ("20", "12"))
    back = await desk.db.read(actions.shown, order.id)

    assert (first.fulfilment, back.lines[1].received) == ("received", 12)
    assert json.loads((await desk.log("order.goods_received"))[0].issues)[0]["code"] == "quantity_deviates"


async def test_every_line_that_does_not_fit_what_came_is_named(desk):
    order = await desk.approved()

    with pytest.raises(errors.Invalid) as refused:
        await desk.books(order, None, ("10", "-1"), ("99", "1"), ("10", "1"))
    with pytest.raises(errors.Invalid):
        await desk.books(order, None)
    with pytest.raises(errors.NotFound):
        await desk.books(order, "ds_none")
    with pytest.raises(errors.WrongState):
        await desk.books(await desk.order(), None, ("10", "1"))

    assert [issue.code for issue in refused.value.issues] == ["returned_too_much", "line_unknown", "line_id_duplicate"]


async def test_a_despatch_and_a_message_read_again_change_nothing(desk):
    order = await desk.approved()
    desk.shelf.despatches(order, "ds_1", ("10", "4"))
    desk.shelf.tells(order, "order.message", "approved", answer=1, said=Message(id="ms_1", at=now(), author="Ola", text="On its way"))
    await desk.pull()
    desk.shelf.cursor_is_gone = True

    await desk.pull()

    found = await desk.now(order)
    assert (len(found.despatches), len(found.messages), found.lines[0].despatched) == (1, 1, 4)
    assert len(await desk.log("order.despatched")) == len(await desk.log("order.message")) == 1


async def test_what_we_say_reaches_the_supplier_once_and_stands_in_the_order(desk):
    order = await desk.sent()

    said = await desk.db.write(words.say, KARI, order.id, "Ring the bell", "10")
    queued = (await desk.now(order)).messages
    await desk.carry()

    found = await desk.now(order)
    assert [one.state for one in queued] == ["queued"]
    assert [(one.author, one.line_id, one.state) for one in found.messages] == [("Kari", "10", "sent")]
    assert desk.shelf.heard == [("message", "sd_0", {"id": said.id, "text": "Ring the bell", "line_id": "10", "author": "Kari"})]
    with pytest.raises(errors.Invalid):
        await desk.db.write(words.say, KARI, order.id, "Hello", "99")
    with pytest.raises(errors.WrongState):
        await desk.db.write(words.say, KARI, (await desk.order()).id, "Hello")


async def test_the_history_tells_what_happened_newest_first(desk):
    order = await desk.approved()

    codes = [one.code for one in (await desk.now(order)).history]

    assert codes == ["order.approved", "order.delivered", "order.queued"]


async def test_each_order_to_follow_up_stands_in_its_list(desk):
    quiet = await desk.sent(requested_date=TODAY + dt.timedelta(days=60))
    changed = await desk.sent(requested_date=TODAY)
    desk.shelf.answers(changed, later())
    half = await desk.approved(requested_date=TODAY + dt.timedelta(days=90))
    await desk.books(half, None, ("10", "4"))

    with time_machine.travel(now() + dt.timedelta(days=40), tick=False):
        found = {what: await _follow_up(desk, what) for what in ("not_answered", "changed_waiting_for_me", "promised_late", "overdue")}
        found["partly_received"] = await _follow_up(desk, "partly_received")
        counts = await desk.db.read(following.counts)

    assert found == {
        "not_answered": [quiet.id],
        "changed_waiting_for_me": [changed.id],
        "promised_late": [changed.id],
        "overdue": [changed.id],
        "partly_received": [half.id],
    }
    assert {getattr(counts, what).count for what in found} == {1}


async def _follow_up(desk: Desk, what: Any) -> list[str]:
    first, more = await desk.db.read(following.listed, what, None, 1)
    if more is None:
        return [one.id for one in first]
    rest, _ = await desk.db.read(following.listed, what, more, 10)
    return [one.id for one in [*first, *rest]]


async def test_lists_to_follow_up_go_on_where_the_page_before_ended(desk):
    orders = [await desk.sent(requested_date=TODAY - dt.timedelta(days=day)) for day in (1, 3, 2)]

    with time_machine.travel(now() + dt.timedelta(days=2), tick=False):
        unanswered, overdue = await _follow_up(desk, "not_answered"), await _follow_up(desk, "overdue")

    assert unanswered == [order.id for order in orders]
    assert overdue == [orders[1].id, orders[2].id, orders[0].id]


async def test_what_is_overdue_or_not_answered_is_logged_once(desk):
    order = await desk.sent(requested_date=TODAY)
    await desk.order(requested_date=TODAY)

    with time_machine.travel(now() + dt.timedelta(days=2), tick=False):
        await following.look(desk.db)
        await following.look(desk.db)

    logged = [*await desk.log("order.unanswered"), *await desk.log("order.overdue")]
    assert [(entry.subject, entry.level) for entry in logged] == [(order.id, "warning")] * 2


async def test_the_lists_to_follow_up_are_found_by_their_own_indexes(desk):
    if desk.db.dialect != "sqlite":
        pytest.skip("the plans are SQLite's")
    indexes = {
        "not_answered": "purchase_orders_unanswered",
        "overdue": "purchase_orders_due",
        "promised_late": "purchase_orders_promised_late",
        "partly_received": "purchase_orders_partly_received",
        "changed_waiting_for_me": "purchase_orders_acceptance",
    }
    for what, index in indexes.items():
        plans = await plans_of(desk.db, store.following.listed, what, None, 10, today=TODAY, before=now())
        goes_by_index(plans, "purchase_orders", index)
        assert index in plans[0]


@pytest.fixture
async def door(desk):
    async with company_of(desk.db, api.routes, more={"outbound": None}) as here:
        token = await here.a_token()
        async with here.caller(token.token) as caller:
            yield caller


async def test_an_answer_is_accepted_through_its_door_as_it_was_seen(door, desk):
    order = await desk.sent()
    desk.shelf.answers(order, later())
    await desk.pull()
    where = f"/purchasing/orders/{order.id}"
    seen = await door.get(where)

    blind = await door.post(f"{where}/accept", json={"answer": 1})
    older = await door.post(f"{where}/accept", json={"answer": 2}, headers={"If-Match": seen.headers["ETag"]})
    accepted = await door.post(f"{where}/accept", json={"answer": 1}, headers={"If-Match": seen.headers["ETag"]})
    stale = await door.post(f"{where}/dispute", json={"answer": 1, "reason": "No"}, headers={"If-Match": seen.headers["ETag"]})

    assert seen.json()["answered"]["lines"][0]["differences"][0]["member"] == "date"
    assert [one.status_code for one in (blind, older, accepted, stale)] == [428, 409, 200, 412]
    assert older.json()["code"] == "answer_superseded"
    assert (accepted.json()["acceptance"], accepted.json()["is_word_on_its_way"]) == ("agreed", True)


async def test_goods_and_words_go_through_their_doors_once_by_their_key(door, desk):
    order = await desk.approved()
    where = f"/purchasing/orders/{order.id}"
    goods = {"json": {"lines": [{"line_id": "10", "quantity": "4"}]}, "headers": {"Idempotency-Key": "click-1"}}
    words_said = {"json": {"text": "Hello", "line_id": "10"}, "headers": {"Idempotency-Key": "click-2"}}

    booked = [await door.post(f"{where}/receive", **goods) for _ in range(2)]
    said = [await door.post(f"{where}/messages", **words_said) for _ in range(2)]
    cancelled = await door.post(f"{where}/cancel", json={"reason": "Enough"})

    assert [one.status_code for one in (*booked, *said, cancelled)] == [200, 200, 201, 201, 200]
    assert (booked[1].json()["lines"][0]["received"], len(cancelled.json()["messages"])) == ("4", 1)
    assert cancelled.json()["acceptance"] == "cancel_requested"


async def test_what_is_to_follow_up_is_listed_and_counted_through_its_doors(door, desk):
    order = await desk.approved()
    await desk.books(order, None, ("10", "4"))

    listed = await door.get("/purchasing/follow-up", params={"filter": "partly_received"})
    counted = await door.get("/purchasing/follow-up/counts")
    unknown = await door.get("/purchasing/follow-up", params={"filter": "lost"})

    assert [one["id"] for one in listed.json()["items"]] == [order.id]
    assert counted.json()["partly_received"] == {"count": 1, "is_more": False}
    assert unknown.status_code == 422


async def test_a_partners_token_does_not_see_the_doors_of_an_answered_order(desk):
    order = await desk.sent()
    async with company_of(desk.db, api.routes, more={"outbound": None}) as here:
        token = await here.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=(await desk.db.read(partners.connected))[0].pk)
        async with here.caller(token.token) as caller:
            cancelled = await caller.post(f"/purchasing/orders/{order.id}/cancel", json={})
            listed = await caller.get("/purchasing/follow-up/counts")

    assert [cancelled.status_code, listed.status_code] == [404, 404]


async def test_there_is_an_end_to_what_we_say_about_one_order(desk, monkeypatch):
    monkeypatch.setattr(documents, "MOST_MESSAGES", 2)
    order = await desk.sent()
    for _ in range(2):
        await desk.db.write(words.say, KARI, order.id, "Gate 4.")

    with pytest.raises(errors.TooManyMessages, match="2 messages"):
        await desk.db.write(words.say, KARI, order.id, "Gate 5.")


async def test_what_went_by_email_is_not_looked_for_in_the_suppliers_books(desk):
    over_the_line, by_mail = await desk.sent(), await desk.sent()
    line = NewLine(line_id="10", article="4711", quantity=Quantity(3))
    changed = await desk.db.write(actions.change, KARI, by_mail.id, content(by_mail, line), by_mail.etag)
    supplier = (await desk.db.read(partners.connected))[0]

    def mail(tx: Tx) -> None:
        key = store.orders.keys(tx, [changed.id])[changed.id]
        store.orders.change(tx, key, delivery="received", mailed_to="ordre@fjord.example", their_id=None)

    await desk.db.write(mail)

    sent = await desk.db.read(store.reconciling.sent_behind, supplier.pk, "", dt.datetime(2020, 1, 1, tzinfo=dt.UTC), 100)
    assert [(one.number, one.revision) for one in sent] == [(over_the_line.number, 1)]
