"""A partner's ProdSys, as our connector speaks to it."""

import datetime as dt
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from prodsys.connectors.prodsys import batches, instance, words
from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.connectors.prodsys.reading import read_receipt
from prodsys.connectors.prodsys.words import Changes, Claimed, Company, CursorGone, Rotated, Sending, Taken, TheirOrder, Told
from prodsys.documents import Party, ReasonCode, UnitPrice
from prodsys.kit.outbound import Later, Misconfigured, Refused
from prodsys.kit.vault import Secret
from tests.connectors.their_prodsys import TRACEPARENT, TheirProdsys, a_way_out, drop, endless, http, running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def theirs() -> AsyncIterator[TheirProdsys]:
    async with running() as there:
        yield there


@pytest.fixture
async def ours(theirs: TheirProdsys) -> AsyncIterator[Prodsys]:
    async with a_way_out() as out:
        yield Prodsys(out, f"{theirs.url}/api/v1/", Secret(theirs.token), trust="admin", timeout=10)


def an_order(number: str = "PO-1", lines: int = 1, **members: Any) -> Sending:
    line = {"article_number": "A-100", "quantity": "1", "unit": "H87"}
    order = {
        "number": number,
        "date": "2026-11-21",
        "currency": "NOK",
        "buyer": {"name": "Nordlys Mekaniske AS"},
        "lines": [{"line_id": str(at)} | line for at in range(lines)],
    }
    return Sending(document=json.dumps(order | members), traceparent=TRACEPARENT)


async def test_orders_leave_together_and_each_gets_its_own_receipt(ours: Prodsys, theirs: TheirProdsys) -> None:
    sent = await ours.send([an_order("PO-1"), an_order("PO-2"), an_order("PO-3")])

    assert [one.receipt.number for one in sent if isinstance(one, Taken)] == ["PO-1", "PO-2", "PO-3"]
    assert theirs.paths() == ["/purchase-orders/batch"]
    assert all(isinstance(one, Taken) and one.receipt.trace_id == TRACEPARENT[3:35] for one in sent)


async def test_an_order_alone_travels_with_its_trace_and_exactly_as_promised(ours: Prodsys, theirs: TheirProdsys) -> None:
    order = an_order("PO/1 æ")

    [sent] = await ours.send([order])

    assert isinstance(sent, Taken)
    assert theirs.asked[0].body == order.document.encode()
    assert theirs.asked[0].headers["traceparent"] == TRACEPARENT


async def test_a_repeated_order_says_that_it_was_there_before(ours: Prodsys) -> None:
    await ours.send([an_order()])

    [again] = await ours.send([an_order()])

    assert isinstance(again, Taken)
    assert not again.receipt.new


async def test_words_and_members_of_a_newer_version_do_not_disturb_a_receipt(ours: Prodsys) -> None:
    [sent] = await ours.send([an_order()])

    assert isinstance(sent, Taken)
    assert sent.receipt.validation == "sparkling"
    assert read_receipt(sent.answer) == sent.receipt


async def test_a_refused_order_tells_every_issue_and_the_others_go_through(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.poison["PO-2"] = 422

    first, second, third = await ours.send([an_order("PO-1"), an_order("PO-2"), an_order("PO-3")])

    assert isinstance(first, Taken)
    assert isinstance(third, Taken)
    assert isinstance(second, Refused)
    assert [issue.code for issue in second.problem.issues] == ["article_unknown"]


async def test_an_order_that_makes_them_stumble_harms_only_itself(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.poison["PO-2"] = 500

    first, second, third = await ours.send([an_order("PO-1"), an_order("PO-2"), an_order("PO-3")])

    assert isinstance(first, Taken)
    assert isinstance(third, Taken)
    assert isinstance(second, Later)
    assert second.reason == "status_500"


async def test_a_stumble_over_one_order_inside_a_batch_is_for_later(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.poison["PO-2"] = 503

    first, second = await ours.send([an_order("PO-1"), an_order("PO-2")])

    assert isinstance(first, Taken)
    assert isinstance(second, Later)


async def test_a_batch_too_big_for_them_is_sent_one_by_one(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.most_in_a_batch = 2

    sent = await ours.send([an_order(f"PO-{at}") for at in range(4)])

    assert all(isinstance(one, Taken) for one in sent)
    assert theirs.paths() == ["/purchase-orders/batch", *["/purchase-orders"] * 4]


async def test_batches_are_cut_by_lines_and_by_bytes(ours: Prodsys, theirs: TheirProdsys) -> None:
    many_lines = [an_order(f"PO-{at}", lines=8_000) for at in range(3)]
    many_bytes = [an_order(f"PO-{at}", note="x" * 1_500_000) for at in range(3, 6)]

    sent = await ours.send(many_lines + many_bytes)

    assert all(isinstance(one, Taken) for one in sent)
    assert all(len(asked.body) <= batches.MAX_BATCH_BYTES for asked in theirs.asked)
    assert theirs.paths() == ["/purchase-orders/batch", "/purchase-orders/batch", "/purchase-orders"]


async def test_a_lost_reply_leaves_every_order_for_later_and_sending_again_is_safe(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/purchase-orders/batch"] = drop
    lost = await ours.send([an_order("PO-1"), an_order("PO-2")])
    theirs.faults.clear()

    again = await ours.send([an_order("PO-1"), an_order("PO-2")])

    assert [(type(one), one.reason) for one in lost if isinstance(one, Later)] == [(Later, "reset")] * 2
    assert all(isinstance(one, Taken) for one in again)


async def test_a_token_they_do_not_accept_concerns_every_order_and_is_asked_once(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.token = "another"

    sent = await ours.send([an_order(f"PO-{at}", lines=8_000) for at in range(6)])

    assert [one.reason for one in sent if isinstance(one, Misconfigured)] == ["token_unknown"] * 6
    assert len(theirs.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(200, b"<html>Welcome</html>", "text/html"), "not_prodsys"),
        (http(200, b'{"items": []}'), "not_prodsys"),
        (http(200, b'{"items": [{"status": 201}, {"status": 201}]}'), "not_prodsys"),
        (http(200, b'{"items": [{"status": 201, "receipt": {"id": "x", "number": "PO-9", "revision": 1, "new": true}}]}'), "not_prodsys"),
        (http(404, b"nothing here", "text/plain"), "not_prodsys"),
        (http(302, b"", "text/html", "Location: https://elsewhere.example"), "redirected"),
    ],
)
async def test_an_address_that_does_not_answer_as_a_prodsys_waits_for_an_admin(
    ours: Prodsys, theirs: TheirProdsys, answer: bytes, reason: str
) -> None:
    theirs.faults["/purchase-orders/batch"] = answer

    sent = await ours.send([an_order("PO-1"), an_order("PO-2")])

    assert [one.reason for one in sent if isinstance(one, Misconfigured)] == [reason] * 2


async def test_a_receipt_without_what_we_need_is_not_believed(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/purchase-orders"] = http(201, b'{"number": "PO-1", "revision": 1, "new": true}')

    [sent] = await ours.send([an_order()])

    assert isinstance(sent, Misconfigured)
    assert sent.reason == "not_prodsys"


async def test_the_receipt_of_another_order_is_not_believed(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/purchase-orders"] = http(201, b'{"id": "sd_1", "number": "PO-2", "revision": 1, "new": true}')

    [sent] = await ours.send([an_order("PO-1")])

    assert isinstance(sent, Misconfigured)


async def test_a_busy_system_is_not_asked_about_each_order(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/purchase-orders/batch"] = http(503, b"{}", "application/json", "Retry-After: 20")

    sent = await ours.send([an_order("PO-1"), an_order("PO-2")])

    assert [one.retry_after for one in sent if isinstance(one, Later)] == [20.0, 20.0]
    assert len(theirs.asked) == 1


async def test_an_answer_without_end_is_cut_off(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/company"] = endless

    answer = await ours.company()

    assert isinstance(answer, Misconfigured)
    assert answer.reason == "answer_too_large"


async def test_a_refusal_too_long_to_read_is_still_a_refusal(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/purchase-orders"] = http(422, b"{" + b" " * 4_300_000 + b"}", "application/problem+json")

    [sent] = await ours.send([an_order()])

    assert isinstance(sent, Refused)
    assert sent.problem.code == "too_many_issues"


async def test_their_company_card_is_read_although_it_says_more_than_we_know(ours: Prodsys) -> None:
    company = await ours.company()

    assert isinstance(company, Company)
    assert (company.card.name, company.card.address.city, company.version) == ("Fjord Lager AS", "Bergen", "0.2.0")
    assert company.modules == frozenset({"api-access", "prodsys-to-prodsys"})
    assert company.clock is not None


async def test_a_preview_says_what_would_become_of_each_order(ours: Prodsys) -> None:
    reports = await ours.preview([an_order("PO-1").document, an_order("PO-2", lines=2).document])

    assert isinstance(reports, list)
    assert [(report.number, report.would, len(report.lines)) for report in reports] == [("PO-1", "refused", 1), ("PO-2", "refused", 2)]
    assert [issue.code for issue in reports[0].issues] == ["article_unknown"]


async def test_a_preview_that_leaves_an_order_out_is_not_believed(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.faults["/purchase-orders/preview"] = http(200, b'{"items": []}')

    assert isinstance(await ours.preview([an_order().document]), Misconfigured)


async def test_the_feed_is_read_with_words_we_do_not_know_and_a_gone_cursor_is_a_value(ours: Prodsys) -> None:
    page = await ours.changes(None)

    assert isinstance(page, Changes)
    assert [(change.kind, change.acceptance) for change in page.items] == [("order.blessed", "consecrated")]
    assert await ours.changes("gone") == CursorGone()


async def test_one_order_the_catalogue_and_matches_are_asked_for(ours: Prodsys, theirs: TheirProdsys) -> None:
    order = await ours.order("sd_/../1")
    numbers = await ours.match_articles(["A-100", "A-999"])
    contact = await ours.contacts_match(Party(name="Nordlys Mekaniske AS"))

    assert isinstance(order, TheirOrder)
    assert theirs.paths()[0] == "/purchase-orders/sd_%2F..%2F1"
    assert isinstance(numbers, list)
    assert [one.how for one in numbers] == ["article_number", "unknown"]
    assert isinstance(contact, words.ReportContact)
    assert isinstance(await ours.articles(None), words.Articles)


async def test_a_claim_code_is_exchanged_once_and_the_token_renewed(ours: Prodsys, theirs: TheirProdsys) -> None:
    claimed = await ours.claim(Secret("one-use-code"))
    again = await ours.claim(Secret("one-use-code"))
    rotated = await ours.rotate()

    assert isinstance(claimed, Claimed)
    assert claimed.card is not None
    assert claimed.card.organisation_number == "999999999"
    assert isinstance(again, Refused)
    assert isinstance(rotated, Rotated)
    assert rotated.token.reveal() == theirs.token


async def test_no_token_shows_in_what_is_printed(ours: Prodsys, theirs: TheirProdsys) -> None:
    claimed = await ours.claim(Secret("one-use-code"))

    assert theirs.token not in repr(claimed)
    assert theirs.token not in repr(vars(ours))


@pytest.mark.parametrize("typed", ["https://s.example", "https://s.example/", " https://s.example/api/v1/ "])
async def test_an_address_is_taken_as_people_write_it(typed: str) -> None:
    assert instance.base(typed) == "https://s.example"


async def test_an_answer_of_a_newer_version_is_read_as_far_as_we_know_its_words(ours: Prodsys) -> None:
    heard = await ours.changes(None)

    assert isinstance(heard, Changes)
    [change] = heard.items
    assert change.answered is not None
    [line] = change.answered.lines
    assert (line.unit_price, line.reason_code, line.deliveries[0].date) == (UnitPrice("1.50"), ReasonCode.OTHER, dt.date(2026, 12, 1))


async def test_a_despatch_that_cannot_be_read_does_not_hide_what_else_was_said(ours: Prodsys) -> None:
    heard = await ours.changes(None)

    assert isinstance(heard, Changes)
    assert (heard.items[0].despatch, heard.items[0].is_cut, heard.items[0].acceptance) == (None, True, "consecrated")


async def test_our_words_about_an_order_travel_with_its_trace(ours: Prodsys, theirs: TheirProdsys) -> None:
    told = [
        await ours.accept("sd_1", '{"answer":2,"accepts":true,"reason":""}', TRACEPARENT),
        await ours.cancel("sd_1", '{"reason":"Not needed"}', TRACEPARENT),
        await ours.say("sd_1", '{"id":"ms_1","text":"Hello","line_id":"","author":"Kari"}', TRACEPARENT),
    ]

    assert told == [Told(acceptance="agreed", answer=2)] * 3
    assert theirs.paths() == [f"/purchase-orders/sd_1/{word}" for word in ("acceptance", "cancellation", "messages")]
    assert {asked.headers["traceparent"] for asked in theirs.asked} == {TRACEPARENT}


async def test_accepting_an_answer_that_has_been_replaced_is_refused(ours: Prodsys) -> None:
    told = await ours.accept("sd_1", '{"answer":1,"accepts":true,"reason":""}')

    assert isinstance(told, Refused)
    assert told.problem.code == "answer_superseded"


@pytest.mark.parametrize(
    "odd",
    [{"number": "PO\x001"}, {"position": 2**63}, {"revision": 2**40}, {"answer": -1}, {"order_number": "x" * 1_001}],
    ids=lambda odd: next(iter(odd)),
)
async def test_a_feed_that_no_database_could_keep_is_said_to_be_unreadable(
    ours: Prodsys, theirs: TheirProdsys, odd: dict[str, Any]
) -> None:
    theirs.odd_change = odd

    heard = await ours.changes(None)

    assert isinstance(heard, Misconfigured)
    assert "feed of our orders cannot be read" in heard.detail


async def test_an_answer_without_a_zone_leaves_the_states_alone_to_be_read(ours: Prodsys, theirs: TheirProdsys) -> None:
    theirs.odd_change = {"answered": {"answer": 1, "code": "AP", "at": "2026-11-21T10:00:00"}}

    heard = await ours.changes(None)

    assert isinstance(heard, Changes)
    assert (heard.items[0].answered, heard.items[0].is_cut) == (None, True)
