"""Who hears of what happened, how often, and what the mail looks like."""

import datetime as dt
import ssl
from typing import Any

import msgspec
import pytest
import time_machine
import trustme
from sqlalchemy import func, insert, select, update

from prodsys import errors
from prodsys.alerts import actions, api, mail, model, store
from prodsys.alerts.mail import MailKind
from prodsys.alerts.model import Ending, Mail, News, Subject
from prodsys.documents import Issue
from prodsys.exchange import outbox
from prodsys.exchange.engine import Placed, Refused
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit.clock import now
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.scopes import CONSOLE, Scope
from prodsys.tables import alert_causes, deliveries, log_entries
from prodsys.tables import users as people
from prodsys.tokens import actions as tokens
from prodsys.users import actions as users
from tests.rooms.doors import a_partner, company_of, our_card
from tests.rooms.mailbox import PASSWORD, USER, mail_server, words

pytestmark = pytest.mark.anyio

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
async def kari(db, clock):
    """The first admin, of a company that has just begun."""
    await db.write(our_card)
    return await person(db, "kari@fjord.example")


@pytest.fixture
def box():
    with mail_server() as box:
        yield box


async def person(db, email, *scopes):
    return await db.write(users.create, CONSOLE, email=email, name="x", password="-", scopes=frozenset(scopes or Scope))


async def subscribe(db, user, subject, pace="at_once", hour=6):
    return await db.write(actions.subscribe, CONSOLE, subject=Subject(subject), pace=pace, hour=hour, user=user.id)


async def happens(db, *entries):
    await db.write(tell, *entries)


async def read(db, *, has_mail=True):
    await actions.read_logs(db, has_mail=has_mail)


async def promised(db) -> list[Mail]:
    """The mails promised so far, oldest first."""
    query = select(deliveries.c.document).where(deliveries.c.kind == "mail").order_by(deliveries.c.pk)
    return [msgspec.json.decode(text, type=Mail) for text in await db.read(lambda tx: list(tx.execute(query).scalars()))]


async def told(db) -> list[list[str]]:
    return [[one.sentence for one in each.news] for each in await promised(db)]


async def alerts(db, *, is_open=True):
    return [one for _, one in await db.read(store.page, limit=50, below=None, is_open=is_open)]


def arrived(number="PO-1", **more: Any) -> Entry:
    message = f"Order {number} arrived as a draft."
    entry: dict[str, Any] = {"code": "order.received", "message": message, "direction": "in", "subject": f"sd_{number}", "number": number}
    return Entry(**entry | more)


def refused(number="PO-1", article="A-999", **more: Any) -> Entry:
    issue = Issue(code="article_unknown", message=f"Article {article} is not known.", params={"number": article}, blocks=True)
    message = f"Fjord refused order {number}: 1 thing to mend."
    entry: dict[str, Any] = {"code": "order.refused", "level": "error", "message": message, "direction": "out", "subject": f"po_{number}"}
    return Entry(**entry | {"number": number, "issues": [issue]} | more)


def lane(state: str, lane="pa_1", why="timeout") -> Entry:
    level: Any = "info" if state == "open" else "error"
    issues = [Issue(code=why, message="They do not answer.")]
    return Entry(code=f"lane.{state}", level=level, message=f"Sending to Fjord: {state}.", direction="out", subject=lane, issues=issues)


async def test_whoever_wants_to_know_of_new_drafts_gets_a_mail_that_links_to_the_draft(db, kari):
    await subscribe(db, kari, "new_draft")
    await read(db)
    await happens(db, arrived("PO-1"))

    await read(db)

    [only] = await promised(db)
    assert (only.to, only.title) == ("kari@fjord.example", "Fjord Lager AS: Order PO-1 arrived as a draft.")
    assert [(one.path, one.remedy[:16]) for one in only.news] == [("/drafts/sd_PO-1", "Review the draft")]


async def test_what_is_told_is_not_told_again_and_what_happened_before_the_beginning_never(db, kari, clock):
    await subscribe(db, kari, "new_draft")
    await happens(db, arrived("PO-0"))
    clock.shift(10 * MINUTE)
    await happens(db, arrived("PO-1"))

    for _ in range(3):
        await read(db)

    assert await told(db) == [["Order PO-1 arrived as a draft."]]


async def test_many_things_at_once_are_one_mail(db, kari):
    await subscribe(db, kari, "new_draft")
    await read(db)
    await happens(db, *[arrived(f"PO-{at}") for at in range(150)])

    await read(db)

    [only] = await promised(db)
    assert (only.title, len(only.news), only.more) == ("Fjord Lager AS: 150 new drafts", 100, 50)


async def test_a_log_longer_than_one_look_is_read_to_its_end(db, kari, monkeypatch):
    monkeypatch.setattr(store, "READ_AT_ONCE", 10)
    monkeypatch.setattr(model, "READ_AT_ONCE", 10)
    await subscribe(db, kari, "new_draft")
    await read(db)
    await happens(db, *[arrived(f"PO-{at}") for at in range(25)])

    await read(db)

    assert [len(each) for each in await told(db)] == [10, 10, 5]


async def test_an_entry_committed_later_than_its_successors_is_told_too_and_once(db, kari):
    await subscribe(db, kari, "new_draft")
    await read(db)
    await happens(db, arrived("PO-1"), arrived("PO-2"), arrived("PO-3"))
    # As PostgreSQL lets it happen: the key was taken, the transaction is still under way.
    late = await db.write(_take_out, "PO-2")
    await read(db)

    await db.write(lambda tx: tx.execute(insert(log_entries).values(late)))
    for _ in range(3):
        await read(db)

    assert await told(db) == [["Order PO-1 arrived as a draft.", "Order PO-3 arrived as a draft."], ["Order PO-2 arrived as a draft."]]


def _take_out(tx, number):
    row = tx.execute(select(log_entries).where(log_entries.c.number == number)).mappings().one()
    tx.execute(log_entries.delete().where(log_entries.c.number == number))
    return dict(row)


async def test_what_was_rolled_back_is_waited_for_no_longer_than_a_quarter_of_an_hour(db, kari, clock):
    await read(db)
    await happens(db, arrived("PO-1"), arrived("PO-2"), arrived("PO-3"))
    await db.write(_take_out, "PO-2")
    await read(db)
    waits = (await db.read(store.reader)).missing

    clock.shift(16 * MINUTE)
    await read(db)

    assert (len(waits), (await db.read(store.reader)).missing) == (1, [])


async def test_two_readers_at_once_tell_nothing_twice(db, kari):
    await subscribe(db, kari, "new_draft")
    await read(db)
    await happens(db, arrived("PO-1"))
    both = [await db.read(actions.look), await db.read(actions.look)]

    for looked in both:
        await db.write(actions.pass_on, looked, has_mail=True)

    assert await told(db) == [["Order PO-1 arrived as a draft."]]


async def test_a_log_that_was_emptied_is_read_from_its_new_beginning(db, kari):
    await subscribe(db, kari, "new_draft")
    await happens(db, *[arrived(f"PO-{at}") for at in range(9)])
    await read(db)
    await db.write(lambda tx: tx.execute(log_entries.delete()))
    await read(db)

    await happens(db, arrived("PO-10"))
    await read(db)

    assert (await told(db))[1:] == [["Order PO-10 arrived as a draft."]]


@pytest.mark.parametrize(
    ("entry", "subject"),
    [
        (Entry(code="order.approved", message="x", direction="in"), "answer"),
        (Entry(code="order.rejected", message="x", direction="in", level="warning"), "answer"),
        (Entry(code="order.changed", message="x", direction="in"), "change"),
        (Entry(code="order.cancel_requested", message="x", direction="in"), "cancellation"),
        (Entry(code="order.despatched", message="x", direction="in"), "despatch"),
        (Entry(code="order.overdue", message="x"), "overdue"),
        (Entry(code="flow.stumbled", message="x", level="error"), "trouble"),
        (Entry(code="order.approved", message="x"), None),
        (Entry(code="order.changed", message="x"), None),
        (Entry(code="article_unknown", message="x", level="error"), None),
        (Entry(code="user.signed_in", message="x"), None),
    ],
)
def test_what_others_do_is_news_and_what_we_did_ourselves_is_not(entry, subject):
    seen = model.Seen(
        pk=1, id="lg_1", at=START, level=entry.level, code=entry.code, message="x", direction=entry.direction, issues=entry.issues
    )

    assert model.subject_of(seen) == subject


async def test_the_first_admin_hears_of_trouble_at_once_unless_he_says_otherwise(db, kari):
    await read(db)
    [(_, first)] = await db.read(actions.listed, CONSOLE, user="all", limit=10, after=0)
    await db.write(actions.unsubscribe, CONSOLE, first.id)
    await read(db)

    assert (first.email, first.subject, first.pace) == ("kari@fjord.example", "trouble", "at_once")
    assert await db.read(actions.listed, CONSOLE, user="all", limit=10, after=0) == []


async def test_trouble_names_the_problem_and_the_remedy_and_leads_to_the_order(db, kari):
    await read(db)
    await happens(db, refused("PO-1"), Entry(code="article_unknown", level="error", message="A detail of the same."))

    await read(db)

    [[news]] = [one.news for one in await promised(db)]
    assert news.sentence == "Fjord refused order PO-1: 1 thing to mend. Article A-999 is not known."
    assert (news.remedy, news.path) == ("Mend the order and export it again.", "/orders/po_PO-1")


async def test_the_same_trouble_of_three_hundred_orders_is_told_once(db, kari):
    await read(db)
    for number in range(3):
        await happens(db, *[refused(f"PO-{number}-{at}") for at in range(100)])
        await read(db)

    [cause] = await alerts(db)
    assert len(await promised(db)) == 1
    assert (cause.times, cause.affected, cause.code) == (300, 300, "order.refused")


async def test_another_article_or_another_partner_is_another_cause(db, kari):
    first, second = await db.write(a_partner), await db.write(a_partner, "Other AS")
    await read(db)
    await happens(
        db,
        refused("PO-1", partner=first),
        refused("PO-2", "A-777", partner=first),
        refused("PO-3", partner=second),
        refused("PO-4", partner=first),
    )

    await read(db)

    assert sorted(one.affected for one in await alerts(db)) == [1, 1, 2]


async def test_a_refused_order_is_over_when_it_and_its_likes_have_arrived(db, kari):
    await read(db)
    await happens(db, refused("PO-1"), refused("PO-2"))
    await read(db)
    await happens(db, Entry(code="order.delivered", message="x", number="PO-1"))
    await read(db)
    [half] = await alerts(db)
    await happens(db, Entry(code="order.delivered", message="x", number="PO-2"))

    await read(db)

    assert half.affected == 1
    assert [(one.is_open, one.affected) for one in await alerts(db, is_open=False)] == [(False, 0)]
    assert len(await promised(db)) == 1


async def test_an_order_missing_here_leads_to_its_partner_and_is_over_when_it_is_written_down_again(db, kari):
    missing = Entry(
        code="reconcile.not_here", level="error", message="Fjord has order PO-1, which is not here.", subject="pa_1", number="PO-1"
    )
    await happens(db, missing)
    await read(db)
    [one] = await alerts(db)

    await happens(db, Entry(code="reconcile.recovered", level="warning", message="x", subject="po_1", number="PO-1"))
    await read(db)

    assert (one.path, "prodsys partner take-over" in one.remedy) == ("/partners/pa_1", True)
    assert await alerts(db) == []


async def test_a_stopped_lane_is_told_once_and_its_end_too(db, kari, clock):
    await read(db)
    await happens(db, lane("stopped"))
    await read(db)
    clock.shift(90 * MINUTE)
    await happens(db, lane("open"))

    await read(db)

    assert await told(db) == [["Sending to Fjord: stopped."], ["This is over: Sending to Fjord: stopped."]]
    assert await alerts(db) == []


async def test_on_again_off_again_is_one_mail_an_hour_with_a_count(db, kari, clock):
    await read(db)
    for _ in range(50):
        await happens(db, lane("stopped"))
        await read(db)
        clock.shift(MINUTE)
        await happens(db, lane("open"))
        await read(db)
        clock.shift(MINUTE)

    assert [len(each) for each in await told(db)] == [1, 1]
    [again] = (await told(db))[1]
    assert again.startswith("This is over: ")
    assert "times since 2026-11-21 10:00 UTC." in again


async def test_a_lane_that_is_still_closed_after_flapping_needs_no_second_mail(db, kari, clock):
    await read(db)
    for state in ("stopped", "open", "stopped"):
        await happens(db, lane(state))
        await read(db)
        clock.shift(MINUTE)
    clock.shift(90 * MINUTE)

    await read(db)

    [cause] = await alerts(db)
    assert (len(await promised(db)), cause.times) == (1, 2)


async def test_a_lane_that_stops_for_another_reason_has_another_cause_and_one_only(db, kari):
    await read(db)
    await happens(db, lane("waiting", why="timeout"))
    await read(db)
    await happens(db, lane("stopped", why="token_expired"))

    await read(db)

    assert len(await promised(db)) == 2
    assert [one.code for one in await alerts(db)] == ["lane.stopped"]


async def test_a_digest_comes_on_the_hour_with_everything(db, kari, clock):
    await subscribe(db, kari, "new_draft", "hourly")
    await read(db)
    for number in ("PO-1", "PO-2"):
        await happens(db, arrived(number))
        await read(db)
        clock.shift(5 * MINUTE)
    before = await told(db)
    clock.move_to(START + 61 * MINUTE)

    await read(db)
    await read(db)

    assert before == []
    assert await told(db) == [["Order PO-1 arrived as a draft.", "Order PO-2 arrived as a draft."]]


@pytest.mark.parametrize(
    ("pace", "hour", "due"),
    [
        ("at_once", 6, START),
        ("hourly", 6, START.replace(hour=11)),
        ("daily", 10, START + DAY),
        ("daily", 11, START.replace(hour=11)),
        ("daily", 6, START.replace(hour=6) + DAY),
    ],
)
def test_a_digest_is_due_at_the_next_such_hour(pace, hour, due):
    assert model.due(pace, hour, START) == due


async def test_nobody_is_told_of_what_he_may_not_read(db, kari):
    buyer = await person(db, "buyer@fjord.example", Scope.PURCHASE_ORDERS_READ)
    with pytest.raises(errors.Invalid):
        await subscribe(db, buyer, "new_draft")
    await subscribe(db, buyer, "cancellation")
    await read(db)
    cancelled: dict[str, Any] = {"code": "order.cancelled", "direction": "in"}
    await happens(db, Entry(message="Sold.", subject="sd_1", **cancelled), Entry(message="Bought.", subject="po_1", **cancelled))

    await read(db)

    assert [[one.to, *(news.sentence for news in one.news)] for one in await promised(db)] == [["buyer@fjord.example", "Bought."]]


async def test_who_may_not_sign_in_any_more_gets_no_mail(db, kari):
    await subscribe(db, kari, "new_draft")
    await subscribe(db, kari, "answer", "hourly")
    await read(db)
    await db.write(lambda tx: tx.execute(update(people).values(is_active=False)))
    await happens(db, arrived())

    await read(db)

    assert await promised(db) == []


async def test_without_a_mail_server_the_open_causes_are_still_listed(db, kari):
    await read(db, has_mail=False)
    await happens(db, lane("stopped"))

    await read(db, has_mail=False)

    assert await promised(db) == []
    assert [one.sentence for one in await alerts(db)] == ["Sending to Fjord: stopped."]


async def test_that_mail_does_not_leave_is_not_told_by_mail(db, kari):
    await read(db)
    await db.write(actions.tell_lane, LaneTurn(lane="mail", state="stopped", code="mail_sign_in", reason="Correct PRODSYS_SMTP_USER."))
    await happens(db, Entry(code="mail.refused", level="error", message="No such box.", subject=kari.id))

    await read(db)

    assert await promised(db) == []
    assert {one.sentence for one in await alerts(db)} == {"E-mail has stopped. Correct PRODSYS_SMTP_USER.", "No such box."}


async def test_a_dismissed_cause_is_over_until_it_comes_again(db, kari, clock):
    await read(db)
    await happens(db, lane("stopped"))
    await read(db)
    [cause] = await alerts(db)

    dismissed = await db.write(actions.dismiss, CONSOLE, cause.id)
    clock.shift(2 * DAY)
    await happens(db, lane("stopped"))
    await read(db)

    assert not dismissed.is_open
    assert [(one.times, one.since) for one in await alerts(db)] == [(1, START + 2 * DAY)]
    assert len(await promised(db)) == 2


def nothing_held(tx):
    return []


async def renew_nothing(partner):
    raise errors.RotationNotAllowed


async def expiring(db):
    query = select(log_entries.c.message).where(log_entries.c.code == "token.expiring").order_by(log_entries.c.pk)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def test_a_token_that_ends_is_told_of_thirty_fourteen_seven_and_one_days_ahead_once_each(db, kari, clock):
    for name in ("ops", "shop"):
        await db.write(tokens.create, CONSOLE, name=name, scopes=frozenset({Scope.LOGS_READ}))
    await read(db)
    when = []
    for hours in range(0, 91 * 24, 6):
        clock.move_to(START + dt.timedelta(hours=hours))
        before = len(await promised(db))
        await actions.keep_tokens(db, nothing_held, renew_nothing)
        await read(db)
        if len(await promised(db)) > before:
            when.append(90 - hours // 24)

    assert when == [30, 14, 7, 1]
    assert [len(each) for each in await told(db)] == [2, 2, 2, 2]
    assert (await told(db))[1][0] == "The token ops we issued ends in 14 days or less, on 2027-02-19 10:00 UTC."


async def test_a_rotated_token_is_no_trouble_any_more(db, kari, clock):
    made = await db.write(tokens.create, CONSOLE, name="ops", scopes=frozenset({Scope.LOGS_READ}), expires_at=START + 20 * DAY)
    clock.shift(7 * DAY)
    await actions.keep_tokens(db, nothing_held, renew_nothing)
    await read(db)
    before = await alerts(db)
    await db.write(tokens.rotate, CONSOLE, made.id)

    await actions.keep_tokens(db, nothing_held, renew_nothing)

    assert [one.path for one in before] == [f"/tokens/{made.id}"]
    assert await alerts(db) == []


async def test_a_token_made_for_five_days_is_told_of_on_its_last_only(db, kari, clock):
    await db.write(tokens.create, CONSOLE, name="ops", scopes=frozenset({Scope.LOGS_READ}), expires_at=START + 5 * DAY)

    days = []
    for day in range(5):
        clock.move_to(START + day * DAY)
        await actions.keep_tokens(db, nothing_held, renew_nothing)
        days.append(len(await expiring(db)))

    assert days == [0, 0, 0, 0, 1]


async def test_the_token_a_supplier_gave_us_renews_itself_past_half_of_its_life(db, kari, clock):
    end = START + 20 * DAY
    renewed = []

    def held(tx):
        return [Ending(id="pa_1", name="Fjord", is_ours=False, expires_at=end)]

    async def renew(partner):
        nonlocal end
        renewed.append((partner, (now() - START).days))
        end = now() + 20 * DAY

    for day in range(40):
        clock.move_to(START + day * DAY)
        await actions.keep_tokens(db, held, renew)

    assert renewed == [("pa_1", 10), ("pa_1", 20), ("pa_1", 30)]
    assert await expiring(db) == []


async def test_where_the_supplier_does_not_allow_renewing_we_are_told_to_ask_for_a_bundle(db, kari, clock):
    end = START + 60 * DAY

    def held(tx):
        return [Ending(id="pa_1", name="Fjord", is_ours=False, expires_at=end)]

    await read(db)
    for day in range(60):
        clock.move_to(START + day * DAY)
        await actions.keep_tokens(db, held, renew_nothing)
        await read(db)

    mails = await promised(db)
    assert [one.news[0].sentence.split(",")[0] for one in mails] == [
        f"The token Fjord gave us ends {left}" for left in ("in 30 days or less", "in 14 days or less", "in 7 days or less", "within a day")
    ]
    assert "Ask them for a new connection bundle" in mails[0].news[0].remedy
    assert len(await alerts(db)) == 1


def a_mail(to="kari@fjord.example", **more: Any) -> Mail:
    news = News(
        id="lg_1",
        subject=Subject.TROUBLE,
        at=START,
        sentence="Fjord refused order PO-1.",
        remedy="Mend the order.",
        path="/orders/po_1",
    )
    return Mail(**{"to": to, "person": "us_1", "title": "Nordlys: Fjord refused order PO-1.", "news": [news]} | more)


async def send(box, *mails, **settings):
    return await mail.send(box.settings(**settings), [(f"dl_{at}", one) for at, one in enumerate(mails)])


async def test_a_mail_says_what_is_wrong_what_to_do_and_where(box):
    outcomes = await send(box, a_mail())

    [got] = box.to("kari@fjord.example")
    assert outcomes == [Placed(id="dl_0", new=True)]
    assert (got["From"], got["Subject"]) == ("ProdSys <prodsys@fjord.example>", "Nordlys: Fjord refused order PO-1.")
    assert (got["Message-ID"], got["Auto-Submitted"]) == ("<dl_0@fjord.example>", "auto-generated")
    for part in ("Fjord refused order PO-1.", "What to do: Mend the order.", "https://fjord.example/orders/po_1"):
        assert part in words(got)


async def test_a_mail_sent_twice_is_the_same_mail(box):
    await send(box, a_mail())
    await send(box, a_mail())

    assert [got["Message-ID"] for got in box.mails] == ["<dl_0@fjord.example>"] * 2


async def test_foreign_words_are_words_and_neither_headers_nor_markup(box):
    evil = 'Order "x"\r\nBcc: everybody@fjord.example\r\n\r\n<script>alert(1)</script> \u202egnp'
    news = News(id="lg_1", subject=Subject.TROUBLE, at=START, sentence=evil, path='/logs/"><img>')

    [outcome] = await send(box, a_mail(title=evil, news=[news]))

    [got] = box.mails
    html = got.get_body(("html",)).get_content()
    assert isinstance(outcome, Placed)
    assert (got["Bcc"], box.recipients) == (None, [["kari@fjord.example"]])
    assert "\n" not in got["Subject"]
    assert ("<script>" in html, "<img>" in html, "\u202e" in words(got)) == (False, False, False)


async def test_letters_of_every_country_arrive_whole(box):
    await send(
        box, a_mail(title="Łódź: Størrelse ß", news=[News(id="x", subject=Subject.ANSWER, at=START, sentence="Zażółć gęślą jaźń, Ærlig.")])
    )

    [got] = box.mails
    assert got["Subject"] == "Łódź: Størrelse ß"
    assert "Zażółć gęślą jaźń, Ærlig." in words(got)


@pytest.mark.parametrize("address", ["a@x.example,b@x.example", "a@x.example>\r\nRCPT TO:<b@x.example", "kari", "a b@x.example", ""])
async def test_an_address_that_is_none_reaches_nobody_and_stops_nobody_else(box, address):
    bad, good = await send(box, a_mail(address), a_mail())

    assert isinstance(bad, Refused)
    assert isinstance(good, Placed)
    assert box.recipients == [["kari@fjord.example"]]


@pytest.mark.parametrize(("said", "kind"), [("550 No such box", Refused), ("450 Greylisted", Later), ("552 Full", Refused)])
async def test_one_recipient_who_is_not_taken_does_not_hold_up_the_others(box, said, kind):
    box.says_to = {"ola@fjord.example": said}

    first, second = await send(box, a_mail("ola@fjord.example"), a_mail())

    assert isinstance(first, kind)
    assert isinstance(second, Placed)


@pytest.mark.parametrize(("said", "kind"), [("554 Spam", Refused), ("451 Try later", Later)])
async def test_what_the_server_says_to_a_mail_decides_whether_it_is_tried_again(box, said, kind):
    box.says_at_end = said

    [outcome] = await send(box, a_mail())

    assert isinstance(outcome, kind)


async def test_a_sender_the_server_does_not_take_is_for_the_operator_to_mend(box):
    box.says_to_sender = "550 Who are you"

    [outcome] = await send(box, a_mail())

    assert isinstance(outcome, Misconfigured)
    assert "PRODSYS_MAIL_FROM" in outcome.detail


async def test_a_server_that_is_away_lets_mail_wait():
    with mail_server() as gone:
        pass

    outcomes = await send(gone, a_mail(), a_mail("ola@fjord.example"))

    assert [type(one) for one in outcomes] == [Later, Later]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_a_password_is_asked_for_and_given(tmp_path):
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with mail_server(asks_for_password=True) as box:
        outcomes = [
            *await send(box, a_mail(), smtp_user=USER, smtp_password=PASSWORD),
            *await send(box, a_mail(), smtp_user=USER, smtp_password_file=str(file)),
            *await send(box, a_mail(), smtp_user=USER, smtp_password="another"),
            *await send(box, a_mail()),
            *await send(box, a_mail(), smtp_user=USER, smtp_password_file=str(tmp_path / "none")),
        ]

    assert [type(one) for one in outcomes] == [Placed, Placed, Misconfigured, Misconfigured, Misconfigured]
    assert PASSWORD not in repr(outcomes)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def certificate(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_mail_leaves_over_tls_with_the_server_verified(authority, certificate, tmp_path):
    ours = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ours))
    with mail_server(tls_context=certificate, require_starttls=True) as box:
        known = await send(box, a_mail(), smtp_tls="starttls", ca_file=str(ours))
        stranger = await send(box, a_mail(), smtp_tls="starttls")
    with mail_server(ssl_context=None) as plain:
        without = await send(plain, a_mail(), smtp_tls="starttls")

    assert [type(one) for one in (*known, *stranger, *without)] == [Placed, Later, Misconfigured]
    assert (len(box.mails), plain.mails) == (1, [])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"smtp_host": ""}, "mail_not_set_up"),
        ({"smtp_host": "mail.fjord.example", "smtp_tls": "none"}, "mail_not_safe"),
        ({"mail_from": ""}, "mail_from_missing"),
        ({"mail_from": "not an address"}, "mail_from_missing"),
        ({"mail_from": "a@x.example\r\nBcc: b@x.example"}, "mail_from_missing"),
    ],
)
async def test_settings_that_cannot_do_are_said_before_anything_is_sent(box, settings, reason):
    [outcome] = await send(box, a_mail(), **settings)

    assert isinstance(outcome, Misconfigured)
    assert outcome.reason == reason
    assert box.mails == []


@pytest.fixture
async def company(db, kari, box):
    async with company_of(db, api.routes, more={"settings": box.settings()}) as company:
        yield company


async def signed_in(company, user, *scopes):
    made = await company.db.write(_signed_in, user, frozenset(scopes or Scope))
    return company.caller(made.token)


def _signed_in(tx, user, scopes):
    named = store.person_named(tx, user.id)
    assert named is not None
    return tokens.sign_in(tx, person=named[0], name=user.email, scopes=scopes)


async def test_a_person_sets_changes_and_ends_what_he_hears_of(company, kari):
    caller = await signed_in(company, kari)

    first = await caller.post("/subscriptions", json={"subject": "answer"})
    again = await caller.post("/subscriptions", json={"subject": "answer", "pace": "daily", "hour": 7})
    listed = (await caller.get("/subscriptions")).json()["items"]
    ended = await caller.delete(f"/subscriptions/{first.json()['id']}")

    assert (first.status_code, again.status_code, ended.status_code) == (201, 201, 204)
    assert [(one["subject"], one["pace"], one["hour"], one["user"]) for one in listed] == [("answer", "daily", 7, kari.id)]
    assert (await caller.get("/subscriptions")).json()["items"] == []


async def test_somebody_elses_subscriptions_are_for_those_who_carry_users_write(company, kari):
    ola = await person(company.db, "ola@fjord.example", Scope.SALES_ORDERS_READ)
    caller = await signed_in(company, ola, Scope.SALES_ORDERS_READ)
    theirs = await subscribe(company.db, kari, "answer")

    answers = [
        await caller.post("/subscriptions", json={"subject": "answer", "user": kari.id}),
        await caller.get("/subscriptions", params={"user": "all"}),
        await caller.get("/subscriptions", params={"user": kari.id}),
        await caller.delete(f"/subscriptions/{theirs.id}"),
    ]

    assert [one.status_code for one in answers] == [403, 403, 403, 404]


async def test_a_test_mail_says_what_the_server_said(company, kari, box):
    caller = await signed_in(company, kari)

    own = await caller.post("/alerts/test-mail", json={})
    box.says_to = {"ola@fjord.example": "550 No such box"}
    other = await caller.post("/alerts/test-mail", json={"to": "ola@fjord.example"})

    assert own.json() == {"to": "kari@fjord.example", "server": f"127.0.0.1:{box.port}"}
    assert [got["Subject"] for got in box.to("kari@fjord.example")] == ["Fjord Lager AS: test mail"]
    assert (other.status_code, other.json()["code"], "No such box" in other.json()["detail"]) == (409, "mail_not_taken", True)


async def test_open_causes_are_listed_page_by_page_and_dismissed(company, kari):
    caller = await signed_in(company, kari)
    await read(company.db)
    await happens(company.db, *[lane("stopped", lane=f"pa_{at}") for at in range(3)])
    await read(company.db)

    first = (await caller.get("/alerts", params={"limit": 2})).json()
    second = (await caller.get("/alerts", params={"limit": 2, "after": first["next"]})).json()
    dismissed = await caller.post(f"/alerts/{second['items'][0]['id']}/dismiss")

    assert [len(each["items"]) for each in (first, second)] == [2, 1]
    assert (dismissed.status_code, dismissed.json()["is_open"]) == (200, False)
    assert len((await caller.get("/alerts")).json()["items"]) == 2
    assert (await caller.post("/alerts/ca_none/dismiss")).status_code == 404


async def test_the_courier_carries_a_promised_mail_and_logs_one_that_was_refused(db, kari, box):
    await subscribe(db, kari, "new_draft")
    await read(db)
    await happens(db, arrived())
    await read(db)
    kind = MailKind(box.settings())
    box.says_to = {"kari@fjord.example": "550 No such box"}
    [batch] = await db.write(outbox.claim, "me", busy={})

    outcomes = await kind.deliver(batch.claimed)
    await db.write(kind.settle, list(zip(batch.claimed, outcomes, strict=True)))

    query = select(log_entries.c.message, log_entries.c.subject).where(log_entries.c.code == "mail.refused")
    [entry] = await db.read(lambda tx: list(tx.execute(query)))
    assert entry.message == "A mail to kari@fjord.example was not delivered: The mail server said 550 No such box"
    assert entry.subject == kari.id
    assert await db.read(lambda tx: tx.execute(select(func.count()).select_from(alert_causes)).scalar_one()) == 0
