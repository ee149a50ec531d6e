"""The hours that come twice or never, the 29th of February and the turn of the year: nothing is early, late, lost or done twice."""

import datetime as dt
import os
import time
from collections.abc import Iterator

import msgspec
import pytest
import time_machine

from prodsys import errors
from prodsys.documents import Order, read_exact
from prodsys.exchange import outbox, timetable
from prodsys.exchange.courier import Courier
from prodsys.kit.db import Database
from prodsys.kit.web.requests import read_document
from prodsys.logs.store import page as log_page
from prodsys.purchasing import following
from prodsys.sales import actions as sales
from prodsys.sales import answers, store
from prodsys.sales.feed import AnswerKind
from prodsys.scopes import CONSOLE, Scope
from prodsys.tokens import actions as tokens
from prodsys.tokens.guard import Guard
from tests.rooms.doors import let_in
from tests.rooms.makers import DESK, a_line, a_supplier, an_order, logged, turned, wire_order
from tests.rooms.test_purchasing import _begin_trading
from tests.rooms.test_purchasing_answers import AnsweringDesk, Listener, later

UTC = dt.UTC
TURNS = {
    "summer begins": dt.datetime(2027, 3, 28, 1, tzinfo=UTC),
    "summer ends": dt.datetime(2027, 10, 31, 1, tzinfo=UTC),
    "leap day begins": dt.datetime(2028, 2, 28, 23, tzinfo=UTC),
    "leap day ends": dt.datetime(2028, 2, 29, 23, tzinfo=UTC),
    "new year": dt.datetime(2026, 12, 31, 23, tzinfo=UTC),
}
"""Moments at which a wall clock in Oslo jumps, or turns to a day that is not always there."""
UNDO = dt.timedelta(seconds=10)
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def oslo() -> Iterator[None]:
    """The machine stands in Norway."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Oslo"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(params=list(TURNS.values()), ids=list(TURNS))
def turn(request: pytest.FixtureRequest) -> dt.datetime:
    moment: dt.datetime = request.param
    return moment


@pytest.fixture
def clock(turn: dt.datetime) -> Iterator[time_machine.Traveller]:
    """A clock that stands three minutes before the turn."""
    with time_machine.travel(turn - dt.timedelta(minutes=3), tick=False) as traveller:
        yield traveller


async def test_what_runs_each_minute_runs_each_minute_across_the_turn(db: Database, clock: time_machine.Traveller) -> None:
    await db.write(timetable.plan, "answers:pa_1", kind="answers", subject="pa_1", every=dt.timedelta(minutes=1))

    runs = 0
    for _ in range(6 * 12):
        for task in await db.write(timetable.claim, "here"):
            runs += 1
            await db.write(timetable.done, task, "here")
        clock.shift(5)

    assert runs == 6


async def test_an_answer_can_be_taken_back_for_ten_seconds_and_leaves_then(db: Database, clock: time_machine.Traveller) -> None:
    supplier = await a_supplier(db)
    order_id = await supplier.a_draft(an_order())
    clock.shift(175)
    draft = await db.read(sales.whole, order_id)
    await db.write(answers.approve, DESK, order_id, draft.summary.etag, undo=UNDO)
    courier = Courier(db, {"answer": AnswerKind()}, "test", lambda *_: None, alone=True)

    clock.shift(9)
    await turned(courier)
    early = await db.read(store.told.changes, supplier.partner, 0, 10)
    clock.shift(1)
    await turned(courier)

    assert early == []
    assert [change.kind for change in await db.read(store.told.changes, supplier.partner, 0, 10)] == ["order.approved"]


async def test_a_token_ends_after_as_many_days_as_were_said_to_the_second(
    db: Database, clock: time_machine.Traveller, turn: dt.datetime
) -> None:
    ends = turn + 30 * DAY
    made = await db.write(tokens.create, CONSOLE, name="ops", scopes=frozenset({Scope.LOGS_READ}), expires_at=ends)
    guard = Guard(db, lambda _: True)

    clock.move_to(ends - dt.timedelta(seconds=1))
    last = await let_in(guard, made.token)
    clock.shift(1)

    assert last.token == made.id
    with pytest.raises(errors.TokenExpired):
        await let_in(guard, made.token)


async def test_an_order_that_cannot_be_delivered_dies_after_seven_days_and_not_before(
    db: Database, clock: time_machine.Traveller, turn: dt.datetime
) -> None:
    await db.write(_begin_trading)
    desk = AnsweringDesk(db, Listener("A-100"))
    await desk.export(await desk.order())

    clock.move_to(turn - dt.timedelta(minutes=3) + 7 * DAY - dt.timedelta(seconds=1))
    alive = await db.write(outbox.overdue)
    clock.shift(1)

    assert alive == []
    assert len(await db.write(outbox.overdue)) == 1


async def test_who_has_not_answered_is_followed_up_after_24_hours_and_what_is_due_a_day_after_its_day(
    db: Database, clock: time_machine.Traveller, turn: dt.datetime
) -> None:
    await db.write(_begin_trading)
    desk = AnsweringDesk(db, Listener("A-100"))
    due = (turn + 2 * DAY).date()
    open_one, promised = await desk.sent(), await desk.sent()
    desk.shelf.answers(promised, later(day=due))
    await desk.pull()

    async def codes() -> list[str]:
        await following.look(db)
        found = await db.read(log_page, before=None, limit=100)
        return sorted(entry.code for _, entry in found if entry.code in ("order.unanswered", "order.overdue"))

    clock.shift(DAY.total_seconds() - 1)
    at_first = await codes()
    clock.shift(1)
    after_a_day = await codes()
    clock.move_to(dt.datetime.combine(due, dt.time(23, 59, 59), UTC))
    on_its_day = await codes()
    clock.shift(1)
    a_day_after = await codes()
    clock.shift(3600)

    assert open_one.number != promised.number
    assert (at_first, after_a_day, on_its_day) == ([], ["order.unanswered"], ["order.unanswered"])
    assert a_day_after == await codes() == ["order.overdue", "order.unanswered"]


async def test_a_day_is_past_when_it_is_over_and_not_before(db: Database, clock: time_machine.Traveller, turn: dt.datetime) -> None:
    supplier = await a_supplier(db)
    today = (turn - dt.timedelta(minutes=3)).date()

    for number, day in (("PO-1", today - DAY), ("PO-2", today), ("PO-3", today + DAY)):
        order = an_order(number, requested_date=day, lines=[a_line("10", "A-100", requested_date=day)])
        await supplier.a_draft(order)

    drafts = {draft.number: draft.issue_count > 0 for _, draft in await db.read(store.lists.page, before=None, limit=10)}
    assert drafts == {"PO-1": True, "PO-2": False, "PO-3": False}
    assert len(await logged(db, "order.received")) == 3


@pytest.mark.parametrize(("day", "is_one"), [("2028-02-29", True), ("2027-02-29", False), ("2100-02-29", False), ("2028-02-30", False)])
def test_the_29th_of_february_is_a_day_in_a_leap_year(day: str, is_one: bool) -> None:
    body = msgspec.json.encode(wire_order(requested_date=day))
    read = msgspec.json.Decoder(Order, dec_hook=read_exact)

    if is_one:
        assert read_document(body, read).requested_date == dt.date(2028, 2, 29)
    else:
        with pytest.raises(errors.Invalid):
            read_document(body, read)
