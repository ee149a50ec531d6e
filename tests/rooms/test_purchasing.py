"""The buyer's room: an order is written, exported, refused, mended, delivered and answered, and nothing of it is lost on the way."""

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import time_machine
from sqlalchemy import select

from prodsys import documents, errors
from prodsys.articles.model import Draft
from prodsys.articles.store.finding import by_numbers
from prodsys.articles.store.keeping import save_many
from prodsys.articles.store.supplier_numbers import put as put_supplier_numbers
from prodsys.company.actions import begin
from prodsys.connectors.prodsys import words
from prodsys.connectors.prodsys.words import Changes, CursorGone, Sending, Taken
from prodsys.documents import Acceptance, Fulfilment, Issue, Party, Quantity, UnitPrice
from prodsys.exchange import outbox, timetable
from prodsys.exchange.courier import Courier
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit import sheets
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured, Outbound, Problem, Refused
from prodsys.modules.store import set_on
from prodsys.partners import store as partners
from prodsys.purchasing import actions, answers, api, carrying, choosing, exporting, importing, previewing, reconciling, store
from prodsys.purchasing.abroad import Reach
from prodsys.purchasing.api.exports import news
from prodsys.purchasing.model import writing
from prodsys.purchasing.model.exports import Export
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.model.writing import ChangedOrder, NewLine, NewOrder
from prodsys.purchasing.store.lists import Filter
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope
from prodsys.tables import deliveries, log_entries
from tests.rooms.doors import company_of

KARI = Caller(token="tk_kari", name="Kari", scopes=frozenset(Scope))
FJORD = "Fjord Lager AS"

pytestmark = pytest.mark.anyio


class Shelf:
    """A supplier's instance in memory: it takes each order and revision once, knows some articles, and can have bad days."""

    def __init__(self, *articles: str) -> None:
        self.articles = set(articles)
        self.drafts: dict[tuple[str, int], words.Receipt] = {}
        self.calls = 0
        self.trouble: Later | Misconfigured | None = None
        self.loses_replies = False
        self.stumbles_over: str | None = None
        self.holds = False
        self.feed: list[words.Change] = []
        self.cursor_is_gone = False

    async def send(self, orders: Sequence[Sending], /) -> list[Any]:
        self.calls += 1
        if self.trouble:
            return [self.trouble for _ in orders]
        answers = [self._receive(json.loads(one.document), one.traceparent) for one in orders]
        return [Later(reason="reset", detail="The connection broke.", sent=True) for _ in orders] if self.loses_replies else answers

    def _receive(self, order: dict[str, Any], traceparent: str) -> Any:
        number, revision = order["number"], order.get("revision", 1)
        if number == self.stumbles_over:
            return Later(reason="status_500", detail="The partner's system answered 500.", sent=True)
        if first := self.drafts.get((number, revision)):
            return _taken(msgspec.structs.replace(first, new=False), order, self.articles)
        unknown = [
            Issue(
                code="article_unknown",
                message="No such article.",
                params={"number": line["article_number"]},
                pointer=f"/lines/{at}/article_number",
                blocks=True,
            )
            for at, line in enumerate(order["lines"])
            if line["article_number"] not in self.articles
        ]
        if unknown and not self.holds:
            return Refused(problem=Problem(status=422, code="order_refused", title="The order cannot be taken.", issues=tuple(unknown)))
        receipt = words.Receipt(
            id=f"sd_{len(self.drafts)}", number=number, revision=revision, new=True, trace_id=traceparent[3:35],
            validation="issues" if unknown else "clean",
        )  # fmt: skip
        self.drafts[number, revision] = receipt
        return _taken(receipt, order, self.articles)

    async def preview(self, orders: Sequence[str], /) -> Any:
        self.calls += 1
        return self.trouble or [_report(json.loads(order), self.articles) for order in orders]

    async def changes(self, after: str | None, /) -> Any:
        if self.trouble:
            return self.trouble
        if self.cursor_is_gone and after is not None:
            self.cursor_is_gone = False
            return CursorGone()
        behind = int(after or 0)
        page = [change for change in self.feed if change.position > behind][:2]
        return Changes(items=page, next=str(page[-1].position) if page else after)

    async def digests(self, orders: Sequence[Any], after: str, through: str | None, since: str, /) -> Any:
        return self.trouble or words.Compared(through=through)

    async def held(self, id: str, /) -> Any:
        raise AssertionError(id)

    async def has_attachment(self, sha256: str, /) -> Any:
        raise AssertionError(sha256)

    async def attach(self, sha256: str, content: bytes, /) -> Any:
        raise AssertionError(sha256)

    def says(self, number: str, acceptance: str, revision: int = 1, **more: Any) -> None:
        """Put something into the feed."""
        draft = self.drafts.get((number, revision))
        theirs = draft.id if draft else "sd_other"
        self.feed.append(
            words.Change(
                position=len(self.feed) + 1, kind=f"order.{acceptance}", at=now(), id=theirs, number=number, revision=revision,
                delivery="received", acceptance=acceptance, fulfilment="none", **more,
            )
        )  # fmt: skip


def _taken(receipt: words.Receipt, order: dict[str, Any], articles: set[str]) -> Taken:
    lines = [
        {"line_id": line["line_id"], "how": "article_number" if line["article_number"] in articles else "unknown"}
        for line in order["lines"]
    ]
    return Taken(receipt=receipt, answer=msgspec.json.encode(msgspec.to_builtins(receipt) | {"lines": lines}))


def _report(order: dict[str, Any], articles: set[str]) -> words.Report:
    hows = ["article_number" if line["article_number"] in articles else "unknown" for line in order["lines"]]
    lines = [words.ReportLine(line_id=line["line_id"], how=how) for line, how in zip(order["lines"], hows, strict=True)]
    would = "refused" if "unknown" in hows else "draft"
    return words.Report(number=order["number"], revision=1, would=would, contact=words.ReportContact(how="linked"), lines=lines)


def to(shelf: Any) -> Reach:
    """The way to a supplier in memory, as far as he has been taught."""
    return lambda _: shelf


class Desk:
    """A buyer with one supplier, and the courier between them."""

    def __init__(self, db: Database, shelf: Shelf) -> None:
        self.db = db
        self.shelf = shelf
        self.turns: list[LaneTurn] = []
        kind = carrying.OrderKind(db, to(shelf))
        self.courier = Courier(db, {exporting.KIND: kind}, "here", lambda _, turn: self.turns.append(turn), alone=True)

    async def order(self, *articles: str, number: str | None = None, **more: Any) -> PurchaseOrder:
        """An order for 10 pieces each of these articles of ours."""
        lines = [NewLine(article=article, quantity=Quantity(10), unit_price=UnitPrice("2.50")) for article in articles or ("4711",)]
        new = NewOrder(**{"number": number, "partner": FJORD, "currency": "NOK", "lines": lines} | more)
        return await self.db.write(actions.create, KARI, new)

    async def export(self, *orders: PurchaseOrder) -> str:
        """Press the button; nothing has left yet."""
        return await self.db.write(exporting.export, KARI, [order.id for order in orders])

    async def carry(self) -> None:
        """Let the courier go until nothing is due."""
        while await self.courier._take():
            await asyncio.gather(*self.courier._under_way)

    async def result(self, export: str) -> Export:
        return (await self.db.read(exporting.export_shown, export))[0]

    async def statuses(self, export: str) -> list[str]:
        return [item.status for item in (await self.result(export)).items]

    async def now(self, order: PurchaseOrder) -> PurchaseOrder:
        return await self.db.read(actions.shown, order.id)

    async def pull(self) -> str:
        return await reconciling.hear(self.db, to(self.shelf), await self.db.read(_partner_id))

    async def log(self, code: str) -> list[Any]:
        return await self.db.read(_logged, code)


def _logged(tx: Tx, code: str) -> list[Any]:
    return list(tx.execute(select(log_entries).where(log_entries.c.code == code)))


def _partner_id(tx: Tx) -> str:
    return partners.connected(tx)[0].id


def _begin_trading(tx: Tx) -> None:
    begin(tx, Party(name="Nordlys Mekaniske AS", organisation_number="987654325"))
    set_on(tx, PRODSYS_MODULE, on=True, actor="test")
    key, _ = partners.put(tx, {"name": FJORD})
    partners.connect(tx, key, endpoint="https://fjord.example", trust="partner", sealed="sealed", expires_at=None, scopes=[])
    save_many(tx, [Draft(number=number, name=f"Bolt {number}", unit="H87") for number in ("4711", "4712", "4713")])
    ours = by_numbers(tx, ["4711", "4712"])
    put_supplier_numbers(tx, [(key, ours["4711"].pk, "A-100"), (key, ours["4712"].pk, "A-200")])


@pytest.fixture
async def desk(db: Database) -> Desk:
    await db.write(_begin_trading)
    return Desk(db, Shelf("A-100", "A-200"))


def content(order: PurchaseOrder, *lines: NewLine) -> ChangedOrder:
    return ChangedOrder(partner=order.partner.id if order.partner else "", date=order.date, currency=order.currency, lines=list(lines))


async def test_a_line_that_names_our_article_carries_the_suppliers_number(desk):
    order = await desk.order("4711")

    line = order.lines[0]
    assert (line.line_id, line.article_number, line.buyer_article_number, line.unit) == ("10", "A-100", "4711", "H87")
    assert (order.number, order.net, order.delivery) == ("PO-100001", Decimal("25.00"), "not_sent")


async def test_a_number_that_stands_in_the_line_wins_over_the_one_on_file(desk):
    order = await desk.order(lines=[NewLine(article="4711", article_number=" A-999 ", quantity=Quantity(1))])

    assert order.lines[0].article_number == "A-999"


async def test_an_unknown_article_and_supplier_are_refused_together(desk):
    with pytest.raises(errors.Invalid) as refused:
        await desk.order("none", partner="Nobody AS")

    assert [issue.code for issue in refused.value.issues] == ["supplier_unknown", "article_unknown"]


async def test_a_number_is_given_once(desk):
    await desk.order(number="PO-7/a")

    with pytest.raises(errors.AlreadyExists):
        await desk.order(number="PO-7/a")


async def test_an_exported_order_arrives_and_both_logs_share_its_trace(desk):
    order = await desk.order()

    export = await desk.export(order)
    assert await desk.statuses(export) == ["queued"]
    await desk.carry()

    found = await desk.now(order)
    assert (found.delivery, found.validation, found.acceptance, found.their_id) == ("received", "clean", "open", "sd_0")
    assert await desk.statuses(export) == ["received"]
    told = (await desk.log("order.delivered"))[0]
    assert told.trace_id == found.trace_id == desk.shelf.drafts[order.number, 1].trace_id
    assert json.loads(told.request)["buyer"]["name"] == "Nordlys Mekaniske AS"


async def test_lines_without_the_suppliers_number_are_all_listed_and_nothing_is_sent(desk):
    order = await desk.order("4713", "4711", "4713")

    export = await desk.export(order)
    await desk.carry()

    item = (await desk.result(export)).items[0]
    assert (item.status, [issue.pointer for issue in item.issues]) == ("refused", ["/lines/0/article_number", "/lines/2/article_number"])
    assert (
        item.issues[0].message == "Line 10 has no supplier article number; fill in the supplier's number of article 4713 and export again."
    )
    assert desk.shelf.calls == 0
    assert (await desk.now(order)).delivery == "not_sent"


async def test_every_article_the_supplier_does_not_know_is_told_in_the_buyers_words(desk):
    desk.shelf.articles = {"A-300"}
    order = await desk.order("4711", "4712")

    export = await desk.export(order)
    await desk.carry()

    found = await desk.now(order)
    assert (found.delivery, found.validation) == ("failed", "refused")
    assert [issue.message for issue in found.issues] == [
        "Line 10: Fjord Lager AS has no article A-100; correct the supplier article number of article 4711 and export again.",
        "Line 20: Fjord Lager AS has no article A-200; correct the supplier article number of article 4712 and export again.",
    ]
    [told] = await desk.log("order.refused")
    assert told.message == " ".join(
        [f"Fjord Lager AS refused order {order.number}: 2 things to mend.", *(issue.message for issue in found.issues)]
    )
    assert await desk.log("article_unknown") == [], "one refusal is one entry"
    assert (await desk.result(export)).items[0].what_to_do == "Mend the 2 points listed, then retry."


async def test_only_what_failed_is_retried_and_a_refused_order_keeps_its_revision(desk):
    desk.shelf.articles = {"A-100"}
    good, bad = await desk.order("4711"), await desk.order("4712")
    export = await desk.export(good, bad)
    await desk.carry()
    found = await desk.now(bad)
    mended = content(found, NewLine(line_id="10", article_number="A-100", unit="H87", quantity=Quantity(1)))
    changed = await desk.db.write(actions.change, KARI, bad.id, mended, found.etag)

    retried = await desk.db.write(exporting.retry, KARI, export)
    await desk.carry()

    assert retried == 1
    assert changed.revision == 1
    assert await desk.statuses(export) == ["received", "received"]
    assert len(desk.shelf.drafts) == 2


async def test_a_stopped_export_takes_back_what_has_not_left_and_sends_it_when_asked_again(desk):
    first, second = await desk.order(), await desk.order("4712")
    export = await desk.export(first)
    await desk.carry()
    both = await desk.export(first, second)

    stopped = await desk.db.write(exporting.stop, KARI, both)
    again = await desk.db.write(exporting.stop, KARI, both)
    await desk.carry()

    found = await desk.now(second)
    assert (stopped, again, len(desk.shelf.drafts)) == (1, 0, 1)
    assert (found.delivery, found.sent_at) == ("not_sent", None)
    assert await desk.statuses(both) == ["refused", "stopped"]
    assert len(await desk.log("export.stopped")) == len(await desk.log("order.taken_back")) == 1
    await desk.db.write(exporting.retry, KARI, both)
    await desk.carry()
    assert (await desk.statuses(both))[1] == "received"
    [arrived] = (await desk.result(export)).items
    assert (arrived.their_id, arrived.their_page) == ("sd_0", "https://fjord.example/drafts/sd_0")


async def test_an_order_that_was_tried_before_its_export_was_stopped_may_have_arrived_and_says_so(desk):
    order = await desk.order()
    export = await desk.export(order)
    desk.shelf.loses_replies = True
    await desk.carry()

    await desk.db.write(exporting.stop, KARI, export)

    found = await desk.now(order)
    assert (found.delivery, found.sent_at is None) == ("unknown", False)
    desk.shelf.loses_replies = False
    await desk.db.write(exporting.retry, KARI, export)
    assert await desk.statuses(export) == ["waiting"]
    assert len(desk.shelf.drafts) == 1


async def test_a_delivered_order_that_is_changed_leaves_as_the_next_revision(desk):
    order = await desk.order()
    await desk.export(order)
    await desk.carry()
    again = await desk.export(order)
    found = await desk.now(order)

    changed = await desk.db.write(
        actions.change, KARI, order.id, content(found, NewLine(line_id="10", article="4711", quantity=Quantity(3))), found.etag
    )
    await desk.export(changed)
    await desk.carry()

    assert (await desk.result(again)).items[0].issues[0].code == "already_received"
    assert (changed.revision, changed.delivery) == (2, "not_sent")
    assert [revision for _, revision in desk.shelf.drafts] == [1, 2]


async def test_a_stale_change_and_one_on_its_way_are_refused(desk):
    order = await desk.order()
    change = content(order, NewLine(article="4711", quantity=Quantity(3)))
    await desk.export(order)

    with pytest.raises(errors.Stale):
        await desk.db.write(actions.change, KARI, order.id, change, order.etag)
    with pytest.raises(errors.WrongState):
        await desk.db.write(actions.change, KARI, order.id, change, "*")


async def test_a_lost_reply_makes_no_second_order(desk):
    order = await desk.order()
    export = await desk.export(order)
    desk.shelf.loses_replies = True
    await desk.carry()
    waiting = await desk.statuses(export)

    desk.shelf.loses_replies = False
    await desk.db.write(_open_lanes)
    await desk.carry()

    assert waiting == ["waiting"]
    assert await desk.statuses(export) == ["repeated"]
    assert (await desk.now(order)).delivery == "received"
    assert len(desk.shelf.drafts) == 1


def _open_lanes(tx: Tx) -> None:
    outbox.probe_soon(tx, _partner_id(tx))


async def test_an_order_that_makes_the_supplier_stumble_harms_only_itself(desk):
    poison, *others = [await desk.order() for _ in range(5)]
    desk.shelf.stumbles_over = poison.number

    export = await desk.export(poison, *others)
    await desk.carry()

    assert await desk.statuses(export) == ["waiting", "received", "received", "received", "received"]


async def test_a_supplier_out_of_reach_pauses_his_lane_and_it_drains_by_itself(desk):
    orders = [await desk.order() for _ in range(3)]
    desk.shelf.trouble = Later(reason="connect", detail="The partner's system cannot be reached.")
    export = await desk.export(*orders)
    await desk.carry()
    paused = await desk.result(export)
    listed, _ = await desk.db.read(actions.listed, Filter(delivery="queued"), None, 10)
    why = (await desk.db.read(actions.shown, orders[0].id)).waits
    leaving = await desk.db.read(store.exports.leaving_in, [order.id for order in orders])

    desk.shelf.trouble = None
    await desk.db.write(_open_lanes)
    await desk.carry()

    assert (paused.counts.waiting, paused.is_settled) == (3, False)
    assert {order.delivery for order in listed} == {"waiting"}
    assert why is not None
    assert (why.code, "cannot be reached" in why.reason, why.tried_again_at is not None) == ("connect", True, True)
    assert leaving == dict.fromkeys([order.id for order in orders], export)
    assert (await desk.db.read(actions.shown, orders[0].id)).waits is None
    assert (await desk.result(export)).counts.received == 3
    assert [turn.state for turn in desk.turns] == ["paused", "open"]


async def test_a_token_the_supplier_refuses_says_who_has_to_mend_it(desk):
    desk.shelf.trouble = Misconfigured(reason="unauthorized", detail="The partner's system does not accept our token.")
    export = await desk.export(await desk.order())
    await desk.carry()

    item = (await desk.result(export)).items[0]

    assert item.status == "waiting"
    assert "get a new one and enter it under Admin > Integrations" in item.what_to_do


async def test_what_died_is_told_aloud_and_can_be_sent_again_exactly_as_it_was(desk):
    order = await desk.order()
    desk.shelf.trouble = Later(reason="dns", detail="The name is not known.")
    export = await desk.export(order)
    await desk.carry()
    with time_machine.travel(now() + dt.timedelta(days=8), tick=False):
        await desk.courier.sweep()
    dead = (await desk.result(export)).items[0]
    failed = await desk.now(order)

    desk.shelf.trouble = None
    await desk.db.write(carrying.send_again, KARI, dead.delivery)
    await desk.carry()

    assert (dead.status, failed.delivery, len(await desk.log("order.dead"))) == ("dead", "failed", 1)
    assert await desk.statuses(export) == ["received"]
    assert (await desk.now(order)).delivery == "received"


async def test_a_dead_delivery_of_an_order_that_was_changed_since_stays_dead(desk):
    order = await desk.order()
    desk.shelf.trouble = Later(reason="dns", detail="The name is not known.")
    export = await desk.export(order)
    await desk.carry()
    with time_machine.travel(now() + dt.timedelta(days=8), tick=False):
        await desk.courier.sweep()
    failed = await desk.now(order)
    changed = await desk.db.write(
        actions.change, KARI, order.id, content(failed, NewLine(article="4711", quantity=Quantity(3))), failed.etag
    )

    dead = (await desk.result(export)).items[0].delivery
    with pytest.raises(errors.WrongState):
        await desk.db.write(carrying.send_again, KARI, dead)

    assert changed.revision == 2  # the first may have arrived although nobody heard


async def test_a_held_order_says_so(desk):
    desk.shelf.holds = True
    order = await desk.order(lines=[NewLine(article_number="A-999", quantity=Quantity(1), unit="H87")])

    export = await desk.export(order)
    await desk.carry()

    assert await desk.statuses(export) == ["held"]
    assert (await desk.now(order)).validation == "issues"


async def test_with_the_module_off_nothing_is_exported_and_what_was_promised_waits(desk):
    promised, later = await desk.order(), await desk.order()
    before = await desk.export(promised)
    await desk.db.write(set_on, PRODSYS_MODULE, on=False, actor="test")

    await desk.carry()
    after = await desk.export(later)

    assert (await desk.statuses(before), desk.shelf.calls) == (["waiting"], 0)
    assert (await desk.result(after)).items[0].issues[0].code == "module_off"


async def test_an_order_is_deleted_only_as_long_as_nothing_was_sent(desk):
    never, sent = await desk.order("4713"), await desk.order()
    await desk.export(never, sent)
    await desk.carry()

    await desk.db.write(actions.delete, KARI, never.id, "*")
    with pytest.raises(errors.WrongState):
        await desk.db.write(actions.delete, KARI, sent.id, "*")

    assert [order.id for order in (await desk.db.read(actions.listed, Filter(), None, 10))[0]] == [sent.id]


async def test_a_copy_says_the_same_under_the_next_number(desk):
    order = await desk.order("4711", "4712")
    await desk.export(order)
    await desk.carry()

    copy = await desk.db.write(actions.copy, KARI, order.id)

    assert copy.lines == order.lines
    assert (copy.number, copy.revision, copy.delivery) == ("PO-100002", 1, "not_sent")


async def test_line_ids_are_never_given_twice(desk):
    order = await desk.order("4711", "4712")
    first = content(order, NewLine(line_id="10", article="4711", quantity=Quantity(1)), NewLine(article="4712", quantity=Quantity(1)))

    changed = await desk.db.write(actions.change, KARI, order.id, first, order.etag)

    assert [line.line_id for line in changed.lines] == ["10", "30"]


async def test_thousands_of_orders_go_on_by_themselves_behind_one_export(desk):
    count = exporting.AT_ONCE + exporting.CHUNK + 7
    line = NewLine(article="4711", quantity=Quantity(1))
    new = [NewOrder(number=f"N-{at}", partner=FJORD, currency="NOK", lines=[line]) for at in range(count)]
    table = _table("number,supplier,currency,article,quantity\n" + "".join(f"{one.number},{FJORD},NOK,4711,1\n" for one in new))
    made = await desk.db.write(importing.import_table, KARI, table)

    export = await desk.db.write(exporting.export, KARI, made.orders)
    first = await desk.db.read(lambda tx: len(tx.execute(select(deliveries.c.pk)).all()))
    tasks = await desk.db.write(timetable.claim, "here")
    await exporting.go_on(desk.db, export)

    assert first == exporting.AT_ONCE
    assert f"export:{export}" in {one.name for one in tasks}
    assert await desk.db.read(lambda tx: len(tx.execute(select(deliveries.c.pk)).all())) == count
    assert (await desk.result(export)).counts.queued == count


def _table(text: str) -> Any:
    return sheets.read_table(text.encode(), text_columns=importing.SHEET_CODES, required=importing.SHEET_REQUIRED)


async def test_a_file_becomes_orders_line_by_line(desk):
    table = _table(
        "number,supplier,date,currency,article,supplier_article_number,quantity,unit,unit_price,price_quantity,note\n"
        f"0042,{FJORD},2026-11-21,NOK,4711,,10,stk,129.50,100,first\n"
        "0042,,,,,A-200,2.5,KGM,,,\n"
    )

    made = await desk.db.write(importing.import_table, KARI, table)

    order = await desk.db.read(actions.shown, made.orders[0])
    assert (order.number, order.partner.name, order.date, order.net) == ("0042", FJORD, dt.date(2026, 11, 21), Decimal("12.95"))
    assert [(line.article_number, line.quantity, line.unit) for line in order.lines] == [
        ("A-100", 10, "stk"),
        ("A-200", Decimal("2.5"), "KGM"),
    ]


async def test_every_bad_row_of_a_file_is_named_and_nothing_is_kept(desk):
    await desk.order(number="OLD-1")
    table = _table(
        "number,supplier,date,currency,article,quantity\n"
        f"OLD-1,{FJORD},,NOK,4711,1\n"
        f"N-1,{FJORD},21.11.2026,NOK,4711,many\n"
        "N-1,Nobody AS,,,9999,0\n"
        "N-4,Nobody AS,,NOK,4711,x\n"
    )
    good_form = _table(f"number,supplier,date,currency,article,quantity\nOLD-1,{FJORD},,NOK,4711,1\nN-2,Nobody AS,,XYZ,9999,1\n")

    with pytest.raises(errors.BadFile) as form:
        await desk.db.write(importing.import_table, KARI, table)
    with pytest.raises(errors.BadFile) as meaning:
        await desk.db.write(importing.import_table, KARI, good_form)

    faults = {"/rows/2/number", "/rows/3/date", "/rows/3/quantity", "/rows/4/supplier", "/rows/4/article", "/rows/4/quantity"}
    faults |= {"/rows/5/supplier", "/rows/5/quantity"}
    assert {issue.pointer for issue in form.value.issues} == faults
    assert [(issue.pointer, issue.code) for issue in meaning.value.issues] == [
        ("/rows/2/number", "already_exists"),
        ("/rows/3/supplier", "supplier_unknown"),
        ("/rows/3/currency", "currency_unknown"),
        ("/rows/3/article", "article_unknown"),
    ]
    assert len((await desk.db.read(actions.listed, Filter(), None, 10))[0]) == 1


async def test_the_good_orders_of_a_file_are_told_from_those_with_a_bad_row(desk):
    table = _table(
        "number,supplier,date,currency,article,quantity\n"
        f"N-1,{FJORD},,NOK,4711,1\n"
        f"N-2,{FJORD},,NOK,4711,2\n"
        f"N-2,{FJORD},,NOK,4711,many\n"
        f"N-3,{FJORD},,NOK,4711,3\n"
        f'N-3,{FJORD},,NOK,4711,"4" and more\n'
    )

    found = await desk.db.read(importing.look, table)
    taken = await desk.db.write(importing.take, KARI, [one.new for one in found.orders])

    assert [one.number for one in found.orders] == ["N-1"]
    assert sorted(found.left_out) == ["N-2", "N-3"]
    assert [issue.params["row"] for issue in found.faults] == ["4", "6"]
    assert len(taken.orders) == 1


async def test_a_list_says_which_orders_can_leave_and_why_the_others_cannot(desk):
    await desk.order(number="GO-1")
    await desk.order(number="NO-1", partner="")

    rows, _ = await desk.db.read(choosing.listed, Filter(), None, 10)
    can_leave = await desk.db.read(choosing.matching, Filter(), 10)

    assert {row.order.number: [issue.code for issue in row.issues] for row in rows} == {
        "GO-1": [],
        "NO-1": ["supplier_missing", "article_missing"],
    }
    assert can_leave == [row.order.id for row in rows if row.order.number == "GO-1"]


@pytest.mark.parametrize("few", [20_000, 1])
async def test_what_can_leave_of_the_numbers_that_begin_alike_is_the_same_whichever_way_it_is_sought(desk, monkeypatch, few):
    monkeypatch.setattr(store.lists, "FEW", few)
    first, other, last = await desk.order(number="GO-1"), await desk.order(number="ELSE-1"), await desk.order(number="GO-2")

    assert await desk.db.read(choosing.matching, Filter(number="GO"), 10) == [last.id, first.id]
    assert await desk.db.read(choosing.matching, Filter(number="GO", delivery="not_sent"), 1) == [last.id]
    assert await desk.db.read(choosing.matching, Filter(number="ELSE"), 10) == [other.id]
    assert await desk.db.read(choosing.matching, Filter(number="GO", delivery="received"), 10) == []


async def test_a_preview_asks_the_supplier_once_and_stores_only_a_log_line(desk):
    desk.shelf.articles = {"A-100"}
    orders = [await desk.order("4711"), await desk.order("4712"), await desk.order("4713")]

    found = await previewing.preview(desk.db, to(desk.shelf), KARI, [order.id for order in orders])

    assert [one.would for one in found] == ["draft", "refused", "refused"]
    assert [issue.code for issue in found[2].issues] == ["article_missing"]
    assert (desk.shelf.calls, desk.shelf.drafts) == (1, {})
    assert (await desk.log("export.previewed"))[0].message == "Kari previewed 3 orders: 1 draft, 2 refused."


async def test_a_preview_of_a_silent_supplier_says_so_instead_of_failing(desk):
    desk.shelf.trouble = Later(reason="timeout", detail="No answer came in time.")
    order = await desk.order()

    found = await previewing.preview(desk.db, to(desk.shelf), KARI, [order.id])

    assert (found[0].would, found[0].problem) == ("unknown", "Fjord Lager AS could not be asked: No answer came in time.")


async def test_the_suppliers_answers_are_heard_page_by_page_in_order(desk):
    orders = [await desk.order() for _ in range(3)]
    await desk.export(*orders)
    await desk.carry()
    for order in orders:
        desk.shelf.says(order.number, "open")
    desk.shelf.says(orders[0].number, "approved", order_number="SO-1")
    desk.shelf.says(orders[1].number, "rejected", reason="Sold out")
    desk.shelf.says("STRANGE", "approved")

    trouble = await desk.pull()

    first, second = await desk.now(orders[0]), await desk.now(orders[1])
    assert trouble == ""
    assert (first.acceptance, first.their_order_number) == (Acceptance.APPROVED, "SO-1")
    assert (second.acceptance, second.reason) == (Acceptance.REJECTED, "Sold out")
    assert len(await desk.log("answer.unknown_order")) == 1


async def test_answers_are_heard_although_the_module_is_off(desk):
    order = await desk.order()
    await desk.export(order)
    await desk.carry()
    await desk.db.write(set_on, PRODSYS_MODULE, on=False, actor="test")
    desk.shelf.says(order.number, "approved", order_number="SO-1")

    await desk.pull()

    assert (await desk.now(order)).their_order_number == "SO-1"


async def test_an_old_answer_never_overwrites_a_newer_one(desk):
    order = await desk.order()
    await desk.export(order)
    await desk.carry()
    desk.shelf.says(order.number, "open")
    desk.shelf.says(order.number, "approved", order_number="SO-1")
    await desk.pull()
    supplier = (await desk.db.read(partners.connected))[0]

    await desk.db.write(answers.apply, supplier, desk.shelf.feed[:1], None)

    assert (await desk.now(order)).acceptance == Acceptance.APPROVED
    assert len(await desk.log("order.approved")) == 1


async def test_an_answer_to_an_earlier_revision_does_not_touch_the_changed_order(desk):
    order = await desk.order()
    await desk.export(order)
    await desk.carry()
    found = await desk.now(order)
    line = NewLine(line_id="10", article="4711", quantity=Quantity(3))
    await desk.db.write(actions.change, KARI, order.id, content(found, line), found.etag)
    desk.shelf.says(order.number, "approved", order_number="SO-1")

    await desk.pull()

    assert (await desk.now(order)).acceptance == Acceptance.OPEN


async def test_a_supplier_who_was_restored_is_read_again_from_the_beginning(desk):
    order = await desk.order()
    await desk.export(order)
    await desk.carry()
    desk.shelf.says(order.number, "open")
    desk.shelf.says(order.number, "open")
    desk.shelf.says(order.number, "rejected", reason="Sold out")
    await desk.pull()
    desk.shelf.feed.clear()
    desk.shelf.says(order.number, "approved", order_number="SO-9")
    desk.shelf.cursor_is_gone = True

    await desk.pull()

    found = await desk.now(order)
    assert (found.acceptance, found.fulfilment, found.reason) == (Acceptance.APPROVED, Fulfilment.NONE, "")
    assert len(await desk.log("feed.begun_again")) == 1


async def test_an_order_heard_of_in_the_feed_is_received_although_its_delivery_died(desk):
    order = await desk.order()
    desk.shelf.loses_replies = True
    await desk.export(order)
    await desk.carry()
    with time_machine.travel(now() + dt.timedelta(days=8), tick=False):
        await desk.courier.sweep()
    desk.shelf.says(order.number, "approved", order_number="SO-1")

    await desk.pull()

    found = await desk.now(order)
    assert (found.delivery, found.acceptance, found.their_id) == ("received", Acceptance.APPROVED, "sd_0")


async def test_the_first_export_to_a_supplier_plans_the_asking_for_answers(desk):
    await desk.export(await desk.order())

    due = await desk.db.write(timetable.claim, "here")

    assert [(task.kind, task.subject, task.every_seconds) for task in due] == [("answers", await desk.db.read(_partner_id), 60)]


async def test_the_news_of_an_export_begin_with_everything_and_end_when_all_have_ended(desk):
    orders = [await desk.order(), await desk.order("4713")]
    export = await desk.export(*orders)
    stream = news(desk.db, export, None)

    first = await anext(stream)
    await desk.carry()
    rest = [message async for message in stream]

    assert [item["status"] for item in json.loads(str(first.data))["items"]] == ["queued", "refused"]
    assert rest[-1].event == "settled"
    assert [item["order"] for item in json.loads(str(rest[-1].data))["items"]] == [orders[0].id]


async def test_lists_go_on_where_the_page_before_ended(desk):
    orders = [await desk.order(number=f"{letter}-{at}") for letter in "AB" for at in range(3)]

    by_age, more = await desk.db.read(actions.listed, Filter(), None, 4)
    rest, end = await desk.db.read(actions.listed, Filter(), more, 4)
    by_number, _ = await desk.db.read(actions.listed, Filter(number="B-"), ("B-0",), 4)
    by_day, place = await desk.db.read(actions.listed, Filter(from_date=orders[0].date), None, 5)
    last, _ = await desk.db.read(actions.listed, Filter(from_date=orders[0].date), place, 5)

    assert [one.id for one in [*by_age, *rest]] == [one.id for one in reversed(orders)]
    assert end is None
    assert [one.number for one in by_number] == ["B-1", "B-2"]
    assert [one.id for one in [*by_day, *last]] == [one.id for one in reversed(orders)]


async def test_a_list_tells_what_it_comes_to(desk):
    await desk.order("4711", "4712")
    await desk.order()

    found = await desk.db.read(actions.totals, Filter(partner=await desk.db.read(_partner_id)))

    assert (found.count, found.is_more, found.net) == (2, False, {"NOK": Decimal("75.00")})


async def test_troubled_deliveries_are_found_without_reading_the_others(desk):
    desk.shelf.articles = {"A-100"}
    good, bad = await desk.order(), await desk.order("4712")
    await desk.export(good, bad)
    await desk.carry()

    refused = await desk.db.read(store.deliveries.below, None, 10, lane=None, state="refused", subject=None)
    of_good = await desk.db.read(store.deliveries.below, None, 10, lane=None, state=None, subject=good.id)

    assert [row.subject for row in refused] == [bad.id]
    assert [row.state for row in of_good] == ["done"]


async def test_an_empty_export_and_one_of_unknown_orders_are_refused(desk):
    order = await desk.order()

    with pytest.raises(errors.Invalid):
        await desk.db.write(exporting.export, KARI, [])
    with pytest.raises(errors.Invalid) as unknown:
        await desk.db.write(exporting.export, KARI, [order.id, "po_none"])

    assert [issue.pointer for issue in unknown.value.issues] == ["/orders/1"]


def test_the_document_that_leaves_carries_the_card_and_revision_of_the_day():
    order = documents.Order(
        number="1", date=dt.date(2026, 11, 21), currency="NOK", buyer=Party(name="Old"), lines=[documents.OrderLine(line_id="10")]
    )

    sent = writing.as_document(order, 3, Party(name="New"))

    assert (sent.revision, sent.buyer.name, sent.lines) == (3, "New", order.lines)


@pytest.fixture
async def door(desk):
    """Somebody of the house before the room's doors; whatever leaves stays on this machine."""
    out = Outbound()
    async with company_of(desk.db, api.routes, more={"outbound": out}) as here:
        token = await here.a_token()
        async with here.caller(token.token) as caller:
            yield caller
    await out.close()


async def test_an_order_is_written_read_changed_and_deleted_through_its_door(door):
    line = {"article": "4711", "quantity": "12.5", "unit_price": "1.10"}
    made = await door.post("/purchasing/orders", json={"partner": FJORD, "currency": "nok", "lines": [line]})
    where = made.headers["Location"].removeprefix("/api/v1")
    seen = await door.get(where)
    same = await door.get(where, headers={"If-None-Match": seen.headers["ETag"]})
    mended = {"partner": FJORD, "currency": "NOK", "lines": [line | {"line_id": "10", "quantity": "13"}]}
    blind = await door.put(where, json=mended)
    changed = await door.put(where, json=mended, headers={"If-Match": seen.headers["ETag"]})
    stale = await door.delete(where, headers={"If-Match": seen.headers["ETag"]})
    gone = await door.delete(where, headers={"If-Match": changed.headers["ETag"]})

    assert (made.status_code, made.json()["net"], made.json()["currency"]) == (201, "13.75", "NOK")
    assert [answer.status_code for answer in (seen, same, blind, changed, stale, gone)] == [200, 304, 428, 200, 412, 204]
    assert changed.json()["lines"][0]["quantity"] == "13"
    assert (await door.get(where)).json()["code"] == "not_found"


async def test_an_export_is_accepted_with_an_address_of_its_own_and_repeated_by_its_key(door, desk):
    order = await desk.order()
    asked = {"json": {"orders": [order.id]}, "headers": {"Idempotency-Key": "click-1"}}

    first = await door.post("/exports", **asked)
    second = await door.post("/exports", **asked)
    shown = await door.get(first.headers["Location"].removeprefix("/api/v1"))

    assert (first.status_code, second.json()["id"]) == (202, first.json()["id"])
    assert [(item["order"], item["status"]) for item in shown.json()["items"]] == [(order.id, "queued")]
    assert len((await door.get("/exports")).json()["items"]) == 1
    assert (await door.get("/deliveries", params={"subject": order.id})).json()["items"][0]["state"] == "ready"


async def test_whoever_follows_an_export_sees_how_it_ended_also_after_a_reload(door, desk):
    desk.shelf.articles = {"A-100"}
    export = await desk.export(await desk.order(), await desk.order("4712"))
    await desk.carry()

    whole = await door.get(f"/exports/{export}/events")
    again = await door.get(f"/exports/{export}/events", headers={"Last-Event-ID": "1763683200000000"})

    for told in (whole, again):
        assert told.headers["Content-Type"].startswith("text/event-stream")
        assert "event: settled" in told.text
        assert told.text.count('"status":"refused"') == 1
    assert (await door.get("/exports/ex_none/events")).status_code == 404


async def test_a_file_comes_in_through_its_door_or_is_refused_row_by_row(door):
    good = await door.post(
        "/purchasing/orders/import", content=f"number,supplier,currency,article,quantity\nN-1,{FJORD},NOK,4711,1\n".encode()
    )
    bad = await door.post("/purchasing/orders/import", content=b"number,supplier,currency,article,quantity\nN-2,Nobody AS,NOK,4711,x\n")
    web_page = await door.post("/purchasing/orders/import", content=b"<html>")

    assert (good.status_code, good.json()["line_count"]) == (201, 1)
    assert (bad.status_code, bad.json()["code"], bad.json()["issues"][0]["pointer"]) == (422, "bad_file", "/rows/2/quantity")
    assert web_page.status_code == 422


async def test_a_list_is_read_page_by_page_and_refuses_a_cursor_of_another_list(door, desk):
    for number in ("A-1", "A-2", "B-1"):
        await desk.order(number=number)

    first = await door.get("/purchasing/orders", params={"limit": 2})
    rest = await door.get("/purchasing/orders", params={"limit": 2, "after": first.json()["next"]})
    by_number = await door.get("/purchasing/orders", params={"number": "A-", "limit": 1})
    mixed = await door.get("/purchasing/orders", params={"number": "A-", "after": first.json()["next"]})
    sums = await door.get("/purchasing/orders/totals", params={"number": "A-"})

    assert [order["number"] for order in [*first.json()["items"], *rest.json()["items"]]] == ["B-1", "A-2", "A-1"]
    assert [order["number"] for order in by_number.json()["items"]] == ["A-1"]
    assert mixed.status_code == 422
    assert sums.json() == {"count": 2, "is_more": False, "net": {"NOK": "50.00"}}


async def test_a_partners_token_does_not_see_these_doors(desk):
    async with company_of(desk.db, api.routes, more={"outbound": None}) as here:
        token = await here.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=(await desk.db.read(partners.connected))[0].pk)
        async with here.caller(token.token) as caller:
            answers = [await caller.get("/purchasing/orders"), await caller.get("/exports"), await caller.get("/deliveries")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
