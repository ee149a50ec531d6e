"""What a buyer may read of his orders at the supplier: what he has been told, no more and no less."""

import datetime as dt
from collections.abc import Iterator

import pytest
import time_machine

from prodsys import errors
from prodsys.documents import Change, DespatchLine, Exact
from prodsys.exchange.courier import Courier
from prodsys.kit.db import Database
from prodsys.sales import actions as sales
from prodsys.sales import answers, cancelling, despatching, reconciling, revisions, store, talking
from prodsys.sales.despatching import NewDespatch
from prodsys.sales.feed import AnswerKind
from prodsys.sales.model import PartnerOrder
from prodsys.sales.reconciling import OrdersToCompare
from prodsys.sales.talking import NewMessage
from tests.rooms.makers import DESK, Supplier, a_caller, a_line, a_supplier, an_order, turned

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
UNDO = dt.timedelta(seconds=10)
AT_ONCE = dt.timedelta(0)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
async def supplier(db: Database, clock: time_machine.Traveller) -> Supplier:
    return await a_supplier(db)


async def do(supplier, verb, order_id, *more, **named):
    draft = await supplier.db.read(sales.whole, order_id)
    return await supplier.db.write(verb, DESK, order_id, draft.summary.etag, *more, **named)


async def told(supplier) -> list[Change]:
    """The feed after everything that may leave has left."""
    for _ in range(5):
        await turned(Courier(supplier.db, {"answer": AnswerKind()}, "test", lambda *_: None, alone=True))
    changes: list[Change] = await supplier.db.read(store.told.changes, supplier.partner, 0, 100)
    return changes


async def read(supplier, order_id: str) -> PartnerOrder:
    order: PartnerOrder | None = await supplier.db.read(sales.sent, supplier.partner, order_id)
    assert order is not None
    [(_, listed)] = await supplier.db.read(sales.sent_by, supplier.partner, order_id=order_id)
    assert (listed.acceptance, listed.answer, listed.order_number, listed.reason) == (
        order.acceptance,
        order.answer,
        order.order_number,
        order.reason,
    )
    return order


async def numbers(supplier) -> dict[int, tuple[int, str | None]]:
    """By revision, the answer and the order number a buyer learns by comparing."""
    found = await supplier.db.read(reconciling.compare, a_caller(supplier.partner), OrdersToCompare(orders=[]))
    return {one.revision: (one.answer, one.order_number) for one in found.others}


async def listed_as(supplier, acceptance: str) -> list[int]:
    return [order.revision for _, order in await supplier.db.read(sales.sent_by, supplier.partner, acceptance=acceptance)]


async def despatch(supplier, order_id: str) -> None:
    lines = [DespatchLine(line_id="10", quantity=Exact(1))]
    await supplier.db.write(despatching.despatch, DESK, order_id, NewDespatch(lines=lines))


async def test_an_answer_that_can_be_taken_back_shows_nowhere(supplier, clock):
    order_id = await supplier.a_draft()
    await do(supplier, answers.reject, order_id, "Sold out.", undo=UNDO)

    before = await read(supplier, order_id)

    assert (before.acceptance, before.answer, before.answered, before.reason) == ("open", 0, None, None)
    assert await numbers(supplier) == {1: (0, None)}
    assert (await listed_as(supplier, "open"), await listed_as(supplier, "rejected")) == ([1], [])
    clock.shift(10)
    await told(supplier)
    after = await read(supplier, order_id)
    assert (after.acceptance, after.answer, after.reason) == ("rejected", 1, "Sold out.")
    assert after.answered is not None
    assert (await listed_as(supplier, "open"), await listed_as(supplier, "rejected")) == ([], [1])


async def test_the_agreed_revision_keeps_its_number_until_the_next_one_is_told_to_have_it(supplier, clock):
    first = await supplier.a_draft()
    await do(supplier, answers.approve, first, undo=AT_ONCE)
    await told(supplier)
    second = await supplier.a_draft(an_order(revision=2, note="In one box, please."))
    await do(supplier, revisions.apply, second, undo=UNDO)

    before = await read(supplier, first), await read(supplier, second)

    assert [order.order_number for order in before] == ["SO-100001", None]
    assert await numbers(supplier) == {1: (1, "SO-100001"), 2: (0, None)}
    clock.shift(10)
    await told(supplier)
    assert [(await read(supplier, one)).order_number for one in (first, second)] == [None, "SO-100001"]
    assert await numbers(supplier) == {1: (1, None), 2: (1, "SO-100001")}


async def test_a_number_is_not_lost_when_the_answer_that_moves_it_is_taken_back(supplier, clock):
    first = await supplier.a_draft()
    await do(supplier, answers.approve, first, undo=AT_ONCE)
    second = await supplier.a_draft(an_order(revision=2, note="In one box, please."))
    await do(supplier, revisions.apply, second, undo=UNDO)

    await do(supplier, answers.take_back, second)

    clock.shift(60)
    assert [(news.kind, news.revision) for news in await told(supplier)] == [("order.approved", 1)]
    assert [(await read(supplier, one)).order_number for one in (first, second)] == ["SO-100001", None]


async def test_goods_and_words_that_wait_behind_an_answer_show_after_it(supplier, clock):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=UNDO)
    await despatch(supplier, order_id)
    await supplier.db.write(talking.say, DESK, order_id, NewMessage(text="It has left."))

    before = await read(supplier, order_id)

    assert (before.acceptance, before.fulfilment, before.despatches, before.messages) == ("open", "none", [], [])
    clock.shift(10)
    await told(supplier)
    after = await read(supplier, order_id)
    assert (after.acceptance, after.fulfilment, len(after.despatches), len(after.messages)) == ("approved", "partly", 1, 1)


async def test_each_change_carries_the_states_of_its_own_moment(supplier, clock):
    order_id = await supplier.a_draft(an_order(lines=[a_line("10", "A-100", quantity="1")]))
    await do(supplier, answers.approve, order_id, undo=UNDO)
    await supplier.db.write(talking.say, DESK, order_id, NewMessage(text="Soon."))
    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "The project was stopped.")
    await do(supplier, cancelling.refuse, order_id, "It is packed.")
    await despatch(supplier, order_id)

    clock.shift(10)
    changes = await told(supplier)

    assert [(one.kind, one.acceptance, one.fulfilment, one.answer, one.order_number, one.reason) for one in changes] == [
        ("order.approved", "approved", "none", 1, "SO-100001", None),
        ("order.message", "approved", "none", 1, "SO-100001", None),
        ("order.cancel_requested", "cancel_requested", "none", 1, "SO-100001", "The project was stopped."),
        ("order.cancellation_refused", "approved", "none", 1, "SO-100001", "It is packed."),
        ("order.despatched", "approved", "shipped", 1, "SO-100001", "It is packed."),
    ]


async def test_an_answer_on_which_a_cancellation_was_refused_stands(supplier, clock):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=UNDO)
    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "")
    await do(supplier, cancelling.refuse, order_id, "It is packed.")

    with pytest.raises(errors.WrongState, match="cannot be taken back any more"):
        await do(supplier, answers.take_back, order_id)


async def test_of_two_answers_that_have_not_left_both_can_be_taken_back(supplier, clock):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=UNDO)
    await do(supplier, answers.answer, order_id, [], "", undo=UNDO)

    await do(supplier, answers.take_back, order_id)
    draft = await do(supplier, answers.take_back, order_id)

    assert (draft.summary.acceptance, draft.summary.order_number, draft.answer) == ("open", None, 0)
    clock.shift(60)
    assert await told(supplier) == []


async def test_who_asks_for_a_cancellation_learns_nothing_of_an_answer_to_come(supplier, clock):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=UNDO)

    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "")

    order = await read(supplier, order_id)
    assert (order.acceptance, order.answer, order.order_number) == ("cancel_requested", 0, None)
