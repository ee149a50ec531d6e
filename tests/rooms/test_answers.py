"""The supplier's answer and what follows from it: changes agreed or disputed, revisions, cancellations, despatches, words, rules."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from prodsys import errors
from prodsys.documents import (
    AnswerLine,
    Change,
    DespatchLine,
    Exact,
    LineAction,
    Percent,
    PromisedDelivery,
    Quantity,
    Substitute,
    UnitPrice,
    write,
)
from prodsys.exchange.courier import Courier
from prodsys.kit.db import Database
from prodsys.papers import picking_list_on_paper
from prodsys.partners.model import AutoConfirm
from prodsys.sales import actions as sales
from prodsys.sales import answers, cancelling, despatching, picking, revisions, store, talking
from prodsys.sales.answers import BuyersWord
from prodsys.sales.despatching import NewDespatch, TellsDespatch
from prodsys.sales.feed import AnswerKind
from prodsys.sales.model import Draft
from prodsys.sales.store.views import Wish
from prodsys.sales.talking import NewMessage, TheirMessage
from tests.rooms.makers import DESK, Supplier, a_caller, a_line, a_partner, a_supplier, an_order, logged, turned

AT_ONCE = dt.timedelta(0)
LATER = dt.timedelta(seconds=10)
TWO_LINES = [a_line("10", "A-100"), a_line("20", "A-200", quantity="5")]


@pytest.fixture
async def supplier(db: Database) -> Supplier:
    return await a_supplier(db)


def change(line_id: str = "20", **what: Any) -> AnswerLine:
    """A line that is answered with changes, by default with less."""
    usual: dict[str, Any] = {"reason": "As far as the stock goes.", "deliveries": [PromisedDelivery(quantity=Quantity(3))]}
    return AnswerLine(line_id=line_id, action=LineAction.CHANGED, **(usual | what))


async def shown(supplier: Supplier, order_id: str) -> Draft:
    return await supplier.db.read(sales.whole, order_id)


async def do(supplier: Supplier, verb: Any, order_id: str, *more: Any, **named: Any) -> Any:
    """Somebody at the order desk does this with the order as it stands."""
    draft = await shown(supplier, order_id)
    return await supplier.db.write(verb, DESK, order_id, draft.summary.etag, *more, **named)


async def hear(supplier: Supplier, order_id: str, answer: int, accepts: bool, reason: str = "") -> Any:
    word = BuyersWord(answer=answer, accepts=accepts, reason=reason)
    return await supplier.db.write(answers.hear, a_caller(supplier.partner), order_id, word)


async def told(supplier: Supplier) -> list[Change]:
    """What the buyer reads in the feed once everything has left."""
    for _ in range(4):  # news of one order leave one after the other
        await turned(Courier(supplier.db, {"answer": AnswerKind()}, "test", lambda *_: None, alone=True))
    return await supplier.db.read(store.told.changes, supplier.partner, 0, 100)


async def a_changed_order(supplier: Supplier) -> str:
    order_id = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.answer, order_id, [change()], "", undo=AT_ONCE)
    return order_id


async def test_an_answer_with_changes_carries_every_line_and_is_not_yet_agreed(supplier):
    order_id = await a_changed_order(supplier)

    draft, [news] = await shown(supplier, order_id), await told(supplier)
    assert (draft.summary.acceptance, draft.summary.order_number) == ("changed", None)
    assert news.answered is not None
    assert (news.kind, news.answered.code, news.answered.answer) == ("order.changed", "CA", 1)
    assert [(line.line_id, line.action) for line in news.answered.lines] == [("10", "5"), ("20", "3")]


async def test_a_changed_order_is_agreed_only_when_the_buyer_accepts_and_gets_its_number_then(supplier):
    order_id = await a_changed_order(supplier)

    await hear(supplier, order_id, 1, accepts=True)

    assert ((await shown(supplier, order_id)).summary.acceptance, (await shown(supplier, order_id)).summary.order_number) == (
        "agreed",
        "SO-100001",
    )
    assert [news.kind for news in await told(supplier)] == ["order.changed", "order.agreed"]


async def test_a_dispute_reopens_the_order_and_the_next_answer_is_number_two(supplier):
    order_id = await a_changed_order(supplier)
    await hear(supplier, order_id, 1, accepts=False, reason="We need all five.")

    await do(supplier, answers.approve, order_id, undo=AT_ONCE)

    draft = await shown(supplier, order_id)
    assert draft.answered is not None
    assert (draft.summary.acceptance, draft.answer, draft.answered.code) == ("approved", 2, "AP")


async def test_the_same_word_twice_changes_nothing_and_an_older_answer_cannot_be_accepted_any_more(supplier):
    order_id = await a_changed_order(supplier)
    await hear(supplier, order_id, 1, accepts=True)

    again = await hear(supplier, order_id, 1, accepts=True)

    assert again.acceptance == "agreed"
    await do(supplier, answers.answer, order_id, [change("10")], "", undo=AT_ONCE)
    with pytest.raises(errors.AnswerSuperseded):
        await hear(supplier, order_id, 1, accepts=False)


async def test_the_seller_can_answer_again_after_approval(supplier):
    order_id = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)

    late = change(deliveries=[PromisedDelivery(quantity=Quantity(5), date=dt.date(2027, 1, 15))], reason="The ship is late.")
    await do(supplier, answers.answer, order_id, [late], "", undo=AT_ONCE)

    draft = await shown(supplier, order_id)
    assert (draft.summary.acceptance, draft.summary.order_number, draft.answer) == ("changed", "SO-100001", 2)


async def test_everything_wrong_with_an_answer_is_said_at_once(supplier):
    order_id = await supplier.a_draft(an_order(lines=TWO_LINES))
    wrong = [
        AnswerLine(line_id="10", action=LineAction.CHANGED, reason="?"),
        AnswerLine(line_id="20", action=LineAction.REJECTED),
        AnswerLine(line_id="99", action=LineAction.ACCEPTED),
        AnswerLine(line_id="10", action=LineAction.ACCEPTED, unit_price=UnitPrice(1)),
        AnswerLine(line_id="20", action=LineAction.CHANGED, substitute=Substitute(article_number="A-NONE"), reason="Gone."),
    ]

    with pytest.raises(errors.Invalid) as refused:
        await do(supplier, answers.answer, order_id, wrong, "", undo=AT_ONCE)

    assert {(issue.code, issue.pointer) for issue in refused.value.issues} == {
        ("change_missing", "/lines/0/action"),
        ("reason_missing", "/lines/1/reason_code"),
        ("line_unknown", "/lines/2/line_id"),
        ("line_answered_twice", "/lines/3/line_id"),
        ("accepted_yet_changed", "/lines/3/action"),
        ("line_answered_twice", "/lines/4/line_id"),
        ("article_unknown", "/lines/4/substitute/article_number"),
    }
    assert (await shown(supplier, order_id)).summary.acceptance == "open"


async def test_a_marked_line_is_answered_only_by_a_substitute_or_a_no(db):
    supplier = await a_supplier(db, when_unknown="hold")
    order_id = await supplier.a_draft(an_order(lines=[a_line("10", "A-100"), a_line("20", "A-999")]))

    with pytest.raises(errors.Invalid) as refused:
        await do(supplier, answers.answer, order_id, [], "", undo=AT_ONCE)
    instead = AnswerLine(
        line_id="20",
        action=LineAction.CHANGED,
        substitute=Substitute(article_number="A-200"),
        reason="The new number.",
        unit_price=UnitPrice(120),
    )
    await do(supplier, answers.answer, order_id, [instead], "", undo=AT_ONCE)

    assert [issue.code for issue in refused.value.issues] == ["line_unresolved"]
    assert (await shown(supplier, order_id)).summary.acceptance == "changed"


async def test_an_answer_taken_back_leaves_the_order_as_it_was(supplier):
    order_id = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.answer, order_id, [change()], "", undo=LATER)

    await do(supplier, answers.take_back, order_id)

    assert (await shown(supplier, order_id)).summary.acceptance == "open"
    assert await told(supplier) == []


async def test_a_revision_shows_what_it_adds_removes_and_changes(supplier):
    await supplier.a_draft(an_order(lines=TWO_LINES))
    new = [a_line("20", "A-200", quantity="7"), a_line("30", "A-300")]
    second = await supplier.a_draft(an_order(lines=new, revision=2, buyer_reference="Project 77"))

    found = await supplier.db.read(revisions.difference, second)

    assert (found.before, found.after) == (1, 2)
    assert [(member.member, member.before, member.after) for member in found.head] == [("buyer_reference", None, "Project 77")]
    assert {(line.line_id, line.kind) for line in found.lines} == {("10", "removed"), ("20", "changed"), ("30", "added")}
    [changed] = [line for line in found.lines if line.kind == "changed"]
    assert [(member.member, member.before, member.after) for member in changed.changes] == [("quantity", "5", "7")]


async def test_a_change_that_is_applied_takes_over_the_order_number(supplier):
    first = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.approve, first, undo=AT_ONCE)
    second = await supplier.a_draft(an_order(lines=TWO_LINES, revision=2, note="In one box, please."))

    await do(supplier, revisions.apply, second, undo=AT_ONCE)

    assert (await shown(supplier, second)).summary.order_number == "SO-100001"
    assert ((await shown(supplier, first)).summary.order_number, (await shown(supplier, first)).summary.is_newest) == (None, False)


async def test_a_change_that_is_declined_leaves_the_agreed_revision_standing(supplier):
    first = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.approve, first, undo=AT_ONCE)
    second = await supplier.a_draft(an_order(lines=TWO_LINES, revision=2, note="In one box, please."))

    await do(supplier, revisions.keep, second, undo=AT_ONCE)

    assert ((await shown(supplier, second)).summary.acceptance, (await shown(supplier, second)).reason) == ("rejected", revisions.KEPT)
    assert ((await shown(supplier, first)).summary.is_newest, (await shown(supplier, first)).summary.order_number) == (True, "SO-100001")
    assert [news.kind for news in await told(supplier)] == ["order.approved", "order.rejected"]


async def test_a_change_is_too_late_once_goods_have_gone(supplier):
    first = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.approve, first, undo=AT_ONCE)
    await despatch(supplier, first, ("10", "1"))
    second = await supplier.a_draft(an_order(lines=TWO_LINES, revision=2, note="In one box, please."))

    with pytest.raises(errors.WrongState, match="despatched already"):
        await do(supplier, revisions.apply, second, undo=AT_ONCE)


async def despatch(supplier: Supplier, order_id: str, *lines: tuple[str, str], **more: Any) -> TellsDespatch:
    new = NewDespatch(lines=[DespatchLine(line_id=line_id, quantity=Exact(quantity)) for line_id, quantity in lines], **more)
    made: TellsDespatch = await supplier.db.write(despatching.despatch, DESK, order_id, new)
    return made


async def test_a_cancellation_is_asked_for_and_decided_by_a_person(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "The project was stopped.")

    await do(supplier, cancelling.accept, order_id)

    assert (await shown(supplier, order_id)).summary.acceptance == "cancelled"
    assert [news.kind for news in await told(supplier)] == ["order.approved", "order.cancel_requested", "order.cancelled"]


async def test_a_refused_cancellation_leaves_the_order_as_it_stood_with_the_reason(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "")

    await do(supplier, cancelling.refuse, order_id, "It has been cut to length.")

    last = (await told(supplier))[-1]
    assert (last.kind, last.acceptance, last.reason) == ("order.cancellation_refused", "approved", "It has been cut to length.")


async def test_what_has_been_despatched_is_too_late_to_cancel_and_the_buyer_is_told_why(supplier):
    order_id = await supplier.a_draft(an_order(lines=TWO_LINES))
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await despatch(supplier, order_id, ("10", "2"))

    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "Changed our minds.")

    last = (await told(supplier))[-1]
    assert (last.kind, last.acceptance) == ("order.cancellation_refused", "approved")
    assert last.reason == "Too late: 1 line(s) of the order have been despatched."


async def test_nothing_is_despatched_while_a_cancellation_waits_for_its_answer(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await supplier.db.write(cancelling.ask, a_caller(supplier.partner), order_id, "")

    with pytest.raises(errors.WrongState):
        await despatch(supplier, order_id, ("10", "1"))


async def test_an_order_is_shipped_when_all_that_was_promised_has_gone(supplier):
    order_id = await a_changed_order(supplier)
    await hear(supplier, order_id, 1, accepts=True)

    first = await despatch(supplier, order_id, ("10", "2"), tracking_number="370712345")
    partly = (await shown(supplier, order_id)).summary.fulfilment
    await despatch(supplier, order_id, ("20", "3"))

    assert (partly, (await shown(supplier, order_id)).summary.fulfilment) == ("partly", "shipped")
    sent = [news.despatch for news in await told(supplier) if news.despatch]
    assert (sent[0].id, sent[0].tracking_number) == (first.id, "370712345")
    assert len(sent) == 2


async def test_a_return_is_a_negative_quantity_and_no_more_comes_back_than_has_gone(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await despatch(supplier, order_id, ("10", "2"))

    await despatch(supplier, order_id, ("10", "-1"))
    with pytest.raises(errors.Invalid) as refused:
        await despatch(supplier, order_id, ("10", "-5"))

    assert (await shown(supplier, order_id)).summary.fulfilment == "partly"
    assert [issue.code for issue in refused.value.issues] == ["returned_too_much"]


async def test_a_despatch_told_again_by_its_number_is_the_same_and_with_other_content_refused(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    first = await despatch(supplier, order_id, ("10", "1"), number="D-1")

    again = await despatch(supplier, order_id, ("10", "1.0"), number=" D-1", date=first.date)
    with pytest.raises(errors.AlreadyExists, match="told before with other content") as refused:
        await despatch(supplier, order_id, ("10", "2"), number="D-1")

    assert (first.new, again.new, again.id) == (True, False, first.id)
    assert [issue.pointer for issue in refused.value.issues] == ["/number"]
    assert [one.number for one in (await shown(supplier, order_id)).despatches] == ["D-1"]
    assert [news.kind for news in await told(supplier)].count("order.despatched") == 1


async def test_our_series_passes_over_a_number_somebody_gave_by_hand(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await despatch(supplier, order_id, ("10", "1"), number="D-100001")

    made = await despatch(supplier, order_id, ("10", "1"))

    assert (made.number, made.new) == ("D-100002", True)


async def test_more_than_was_ordered_may_go_and_is_said(supplier):
    order_id = await supplier.a_draft()
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)

    first = await despatch(supplier, order_id, ("10", "112"))
    second = await despatch(supplier, order_id, ("10", "-1"))
    third = await despatch(supplier, order_id, ("10", "3"))

    assert [issue.message for issue in first.issues] == ["Line 10: 112 is 110 more than was ordered."]
    assert second.issues == []
    assert [issue.message for issue in third.issues] == ["Line 10: 3 is 3 more than was still to go."]


async def test_a_picking_list_names_what_was_promised_and_has_not_gone(supplier):
    order = an_order("PO-1", lines=[a_line("10", quantity="12"), a_line("20", quantity="5"), a_line("30", quantity="7")])
    order_id = await supplier.a_draft(order)
    later = AnswerLine(
        line_id="10",
        action=LineAction.CHANGED,
        deliveries=[PromisedDelivery(quantity=Quantity("8"), date=dt.date(2030, 1, 5))],
        substitute=Substitute(article_number="A-200"),
        unit_price=UnitPrice("10"),
        reason="Sold out",
    )
    refused = AnswerLine(line_id="20", action=LineAction.REJECTED, reason="Sold out")
    await do(supplier, answers.approve, order_id, undo=AT_ONCE)
    await do(supplier, answers.answer, order_id, [later, refused], "", undo=AT_ONCE)
    await despatch(supplier, order_id, ("10", "3"), ("30", "7"))

    wanted, ours, _ = await supplier.db.read(picking.to_pick, order_id)
    paper = picking_list_on_paper(wanted, ours, "nb")

    draft = await shown(supplier, order_id)
    assert draft.answered_net == Decimal(8) * 10 + 7 * Decimal("129.50")
    [pick] = wanted.lines
    assert (pick.line_id, pick.article_number, pick.name, pick.quantity, pick.date) == ("10", "A-200", "Bolt A-200", 5, dt.date(2030, 1, 5))
    assert paper.content.startswith(b"%PDF")
    await despatch(supplier, order_id, ("10", "5"))
    with pytest.raises(errors.WrongState, match="has been despatched"):
        await supplier.db.read(picking.to_pick, order_id)


async def test_words_are_heard_once_however_often_they_arrive(supplier):
    order_id = await supplier.a_draft()
    said = TheirMessage(id="ms_01KANQ0000000000000000000A", text="Is zinc all right?", author="Kari", line_id="10")

    first = await supplier.db.write(talking.hear, a_caller(supplier.partner), order_id, said)
    again = await supplier.db.write(talking.hear, a_caller(supplier.partner), order_id, said)

    assert (first[1], again[1]) == (True, False)
    assert [message.text for message in (await shown(supplier, order_id)).messages] == ["Is zinc all right?"]


async def test_somebody_elses_order_can_be_neither_accepted_nor_cancelled_nor_talked_about(supplier):
    order_id = await supplier.a_draft()
    other = a_caller(await supplier.db.write(a_partner, "Other"))

    for unit, more in ((answers.hear, BuyersWord(answer=1, accepts=True)), (cancelling.ask, "")):
        with pytest.raises(errors.NotFound):
            await supplier.db.write(unit, other, order_id, more)


@pytest.mark.parametrize(
    ("rule", "passes"),
    [
        ({}, True),
        ({"is_on": False}, False),
        ({"value_ceiling": UnitPrice(258), "currency": "NOK"}, False),
        ({"value_ceiling": UnitPrice(259), "currency": "NOK"}, True),
        ({"value_ceiling": UnitPrice(259), "currency": "EUR"}, False),
        ({"quantity_ceiling": Quantity(1)}, False),
        ({"quantity_ceiling": Quantity(2)}, True),
    ],
)
async def test_an_order_within_the_limits_is_approved_by_rule_and_the_rule_is_named(db, rule, passes):
    limits = AutoConfirm(**({"is_on": True, "only_linked_contact": False} | rule))
    supplier = await a_supplier(db, auto_confirm=write(limits).decode())
    await supplier.a_draft(an_order("PO-0"))

    order_id = await supplier.a_draft(an_order("PO-1"))

    assert ((await shown(supplier, order_id)).summary.acceptance == "approved") is passes
    if passes:
        assert "passes the rule for Nordlys" in (await logged(supplier.db, "order.approved_by_rule"))[-1].message


async def test_a_price_beyond_the_rule_waits_for_a_person_and_the_log_says_why(db):
    limits = AutoConfirm(is_on=True, only_clean=False, price_tolerance=Percent(5), only_linked_contact=False)
    supplier = await a_supplier(db, auto_confirm=write(limits).decode())
    await supplier.a_draft(an_order("PO-0"))

    within = await supplier.a_draft(an_order("PO-1", lines=[a_line(unit_price="125")]))
    beyond = await supplier.a_draft(an_order("PO-2", lines=[a_line(unit_price="100")]))

    assert [(await shown(supplier, one)).summary.acceptance for one in (within, beyond)] == ["approved", "open"]
    assert "remark(s)" in (await logged(supplier.db, "order.left_for_a_person"))[-1].message


async def test_the_quantities_still_to_come_follow_the_newest_answer():
    order = an_order(lines=TWO_LINES)
    split = change(deliveries=[PromisedDelivery(quantity=Quantity(1)), PromisedDelivery(quantity=Quantity(1))], back_order=Quantity(2))
    no = AnswerLine(line_id="10", action=LineAction.REJECTED, reason="Gone.")

    assert despatching.promised(order, [no, split]) == {"10": Decimal(0), "20": Decimal(4)}


async def test_there_is_an_end_to_what_is_said_about_one_order(supplier, monkeypatch):
    monkeypatch.setattr(talking, "MOST_MESSAGES", 2)
    order_id = await supplier.a_draft()
    first = TheirMessage(id="ms_01KANQ0000000000000000000A", text="Gate 4.")
    for said in (first, TheirMessage(id="ms_01KANQ0000000000000000000B", text="Gate 5.")):
        await supplier.db.write(talking.hear, a_caller(supplier.partner), order_id, said)
    for _ in range(2):
        await supplier.db.write(talking.say, DESK, order_id, NewMessage(text="Soon."))

    with pytest.raises(errors.TooManyMessages, match="2 messages"):
        await supplier.db.write(
            talking.hear, a_caller(supplier.partner), order_id, TheirMessage(id="ms_01KANQ0000000000000000000C", text="Gate 6.")
        )
    with pytest.raises(errors.TooManyMessages):
        await supplier.db.write(talking.say, DESK, order_id, NewMessage(text="Soon."))
    _, is_new = await supplier.db.write(talking.hear, a_caller(supplier.partner), order_id, first)
    assert not is_new


@pytest.mark.parametrize("few", [1_000, 1])
async def test_an_order_is_found_by_number_article_and_buyer_before_and_after_it_is_answered(supplier, monkeypatch, few):
    monkeypatch.setattr(store.views, "FEW", few)
    answered = await supplier.a_draft(an_order("FIND-1", lines=TWO_LINES))
    await do(supplier, answers.approve, answered, undo=AT_ONCE)
    waiting = await supplier.a_draft(an_order("FIND-2", lines=TWO_LINES))

    async def found(words: str, tab: store.views.Tab) -> list[str]:
        wish = Wish(tab=tab, words=words)
        return [draft.id for _, draft in await supplier.db.read(store.lists.inbox, wish, after=None, limit=10)]

    for words in ("find", "A-200", (await shown(supplier, waiting)).summary.partner_name.lower()[2:]):
        assert (await found(words, "open"), await found(words, "answered")) == ([waiting], [answered]), words
        approved = await supplier.db.read(store.lists.approved, before=None, limit=10, words=words)
        assert [draft.id for _, draft in approved] == [answered], words
    assert await found("nothing", "open") == await found("nothing", "answered") == []
    assert await supplier.db.read(store.lists.inbox_counts, 10, DESK.name) == {"open": 1, "attention": 0, "clean": 1, "price": 0, "mine": 0}
