"""A buyer and a supplier with real books in one process, everything either of them may do, and what has to be so in the end."""

import asyncio
import contextlib
import datetime as dt
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import copy_context
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import time_machine
from sqlalchemy import select

from prodsys import errors
from prodsys.company import actions as company
from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.documents import (
    Acceptance,
    AnswerLine,
    Change,
    DespatchLine,
    Exact,
    LineAction,
    PromisedDelivery,
    Quantity,
    ReasonCode,
    Substitute,
    UnitPrice,
)
from prodsys.documents import write as written
from prodsys.exchange import outbox
from prodsys.exchange.courier import Courier
from prodsys.kit.db import Database, Tx, open_database
from prodsys.kit.vault import Secret
from prodsys.modules.store import set_on
from prodsys.partners import store as partners
from prodsys.purchasing import actions, carrying, exporting, receiving, reconciling, words
from prodsys.purchasing.model.goods import Goods, GoodsLine
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.model.writing import ChangedOrder, NewLine, NewOrder
from prodsys.purchasing.terms import ENDED, STANDS, net
from prodsys.sales import actions as sales
from prodsys.sales import answers, cancelling, despatching, revisions, talking, terms
from prodsys.sales import api as sales_api
from prodsys.sales import store as sales_store
from prodsys.sales.despatching import NewDespatch
from prodsys.sales.feed import AnswerKind
from prodsys.sales.model import Draft
from prodsys.sales.talking import NewMessage
from prodsys.scopes import GUIDE_SCOPES, PRODSYS_MODULE, Caller, Scope
from prodsys.tables import deliveries, lanes, purchase_orders, sales_changes, sales_lines, sales_orders
from prodsys.tables import partners as partners_table
from tests.chaos.loose_line import TURN, LooseLine
from tests.rooms.doors import company_of
from tests.rooms.makers import a_company, some_articles
from tests.stories.company import NORDLYS

BEGIN = dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC)
KARI = Caller(token="tk_kari", name="Kari", scopes=frozenset(Scope))
OLA = Caller(token="tk_ola", name="Ola", scopes=frozenset(Scope))
UNDO = dt.timedelta(seconds=10)
MOST_ORDERS = 3
ARTICLES = ("A-100", "A-200", "A-300")

SELLERS_MOVES: dict[str, set[str]] = {
    "open": {"approved", "changed", "rejected", "cancel_requested"},
    "approved": {"changed", "cancel_requested", "open", "disputed", "agreed"},
    "changed": {"agreed", "disputed", "approved", "cancel_requested", "open"},
    "agreed": {"approved", "changed", "cancel_requested"},
    "disputed": {"approved", "changed", "rejected", "cancel_requested"},
    "rejected": {"cancelled", "open", "disputed"},
    "cancel_requested": {"cancelled", "open", "approved", "changed", "agreed", "disputed"},
    "cancelled": set(),
}
"""From where to where an order may go at the supplier's in one step; back to what stood before by taking an answer back."""

OWN_WORDS = ("agreed", "disputed", "cancel_requested")
"""What an order is by its buyer's word, before the feed has echoed it."""

STEPS = dict(terms.STEPS) | {"undo": frozenset(terms.SAID.values())}

Step = tuple[str, int]
"""What somebody does, or what befalls the line, and a number that decides the rest."""


class Trade:
    """Two companies and the line between them. Everything that happens is a step, and the same steps end in the same books."""

    def __init__(self, urls: tuple[str, str], clock: Any) -> None:
        self._urls = urls
        self.clock = clock
        self.line = LooseLine()
        self.done: Counter[str] = Counter()
        self._turns = 0
        self._under_way: dict[int, list[asyncio.Task[Any]]] = {}
        self._before: dict[str, str] = {}
        self._told: dict[str, int] = {}
        self._numbered: set[str] = set()
        self._open = contextlib.AsyncExitStack()
        self.db: Database
        self.theirs: Database
        self._token = ""
        self._supplier = ""
        self._partner = 0

    async def begin(self) -> None:
        """Open both companies for the first time, and let them know of each other."""
        self.db = await open_database(self._urls[0], threads=4)
        await self.db.write(self._begin_buying)
        await self._open_supplier()
        self._make_couriers()

    async def end(self) -> None:
        """Close both companies."""
        await self._drop_turns()
        await self._open.aclose()
        await self.theirs.close()
        await self.db.close()

    def _begin_buying(self, tx: Tx) -> None:
        company.begin(tx, NORDLYS)
        set_on(tx, PRODSYS_MODULE, on=True, actor="test")
        key, self._supplier = partners.put(tx, {"name": "Fjord"})
        partners.connect(tx, key, endpoint="https://fjord.example", trust="partner", sealed="sealed", expires_at=None, scopes=[])

    def _begin_selling(self, tx: Tx) -> None:
        a_company(tx)
        self._partner, _ = partners.put(tx, {"name": "Nordlys", "when_unknown": "hold"})
        some_articles(tx, *ARTICLES)

    async def _open_supplier(self) -> None:
        self.theirs = await open_database(self._urls[1], threads=4)
        if not self._token:
            await self.theirs.write(self._begin_selling)
        self._open = contextlib.AsyncExitStack()
        doors = await self._open.enter_async_context(company_of(self.theirs, sales_api.routes))
        if not self._token:
            self._token = (await doors.a_token(*GUIDE_SCOPES, partner=self._partner, expires_at=None)).token
        self.line.door = doors.app

    def _make_couriers(self) -> None:
        kinds: dict[str, Any] = {exporting.KIND: carrying.OrderKind(self.db, self._reach)}
        kinds |= dict.fromkeys(words.WORDS, words.WordKind(self.db, self._reach))
        # As where several processes carry, because their leases run out like those of the others.
        self._buyers = Courier(self.db, kinds, f"b{self._turns}", lambda *_: None, alone=False)
        self._sellers = Courier(self.theirs, {"answer": AnswerKind()}, f"s{self._turns}", lambda *_: None, alone=False)

    def _reach(self, _: Any) -> Prodsys:
        return Prodsys(self.line, "https://fjord.example", Secret(self._token), trust="partner")  # type: ignore[arg-type]  # stands for the way out

    async def take(self, step: Step) -> None:
        """Let one step happen, and see that it was a lawful one. What a room refuses is an answer like any other."""
        verb, pick = step
        self.clock.shift(0.001)
        try:
            came_to = await getattr(self, verb)(random.Random(pick))
        except errors.Refusal as refusal:
            if refusal.status >= 500:
                raise
            came_to = False
        self.done[verb if came_to is not False else f"{verb} (refused)"] += 1
        assert all(status < 500 for _, status in self.line.answers), self.line.answers
        self.line.answers.clear()
        await self._must_be_lawful()

    async def _must_be_lawful(self) -> None:
        rows = await self.theirs.read(_all, sales_orders)
        for row in rows:
            was = self._before.get(row.id, row.acceptance)
            is_over = row.acceptance == "cancelled" and not row.is_newest  # with the newest revision the older ones are cancelled
            assert was == row.acceptance or is_over or row.acceptance in SELLERS_MOVES[was], f"{was} became {row.acceptance}"
        self._before = {row.id: row.acceptance for row in rows}
        await self._must_have_been_told()

    async def _must_have_been_told(self) -> None:
        """What the buyer reads of his orders there is what the feed has told him and his own words, and nothing told is taken away."""
        heard = await self.theirs.read(_heard, self._partner)
        numbered: set[str] = set()
        for _, order in await self.theirs.read(sales.sent_by, self._partner, limit=1000):
            last = heard.get(order.id)
            acceptance, fulfilment = ("open", "none") if last is None else (last.acceptance, last.fulfilment)
            assert order.acceptance in (acceptance, *OWN_WORDS), f"{order.acceptance}, but {acceptance} was told"
            assert order.fulfilment == fulfilment
            assert order.answer == (last.answer if last is not None else 0)
            assert order.order_number == (last.order_number if last is not None else None)
            assert order.answer >= self._told.get(order.id, 0), "an answer that was told is gone"
            self._told[order.id] = order.answer
            if order.order_number is not None:
                numbered.add(order.number)
        for number in self._numbered - numbered:
            raise AssertionError(f"The buyer has read of an order number of {number}, and now there is none")
        self._numbered = numbered
        by_number = {order.number for order in await self.theirs.read(_digests, self._partner) if order.order_number is not None}
        assert by_number == numbered

    # What the buyer does.

    async def _ours(self, dice: random.Random, *states: str) -> PurchaseOrder | None:
        """An order, more likely one of which acceptance or delivery is in one of these states."""
        rows = await self.db.read(_all, purchase_orders)
        fit = [row for row in rows if row.acceptance in states or row.delivery in states]
        some = fit if fit and dice.random() < 0.9 else rows
        return await self.db.read(actions.shown, dice.choice(some).id) if some else None

    async def write(self, dice: random.Random) -> Any:
        if sum(1 for row in await self.db.read(_all, purchase_orders) if row.acceptance not in ENDED) >= MOST_ORDERS:
            return False
        order = await self.db.write(actions.create, KARI, NewOrder(partner="Fjord", currency="NOK", lines=_lines(dice)))
        if dice.random() < 0.8:
            await self.db.write(exporting.export, KARI, [order.id])
        return True

    async def change(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "received")) is None:
            return False
        changed = ChangedOrder(partner="Fjord", currency="NOK", lines=_lines(dice, [line.line_id for line in order.lines]))
        await self.db.write(actions.change, KARI, order.id, changed, order.etag)
        if dice.random() < 0.7:
            await self.db.write(exporting.export, KARI, [order.id])
        return True

    async def export(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "not_sent", "failed")) is None:
            return False
        return await self.db.write(exporting.export, KARI, [order.id])

    async def accept(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "changed")) is None:
            return False
        return await self.db.write(words.accept, KARI, order.id, order.answer, order.etag)

    async def dispute(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "changed")) is None:
            return False
        return await self.db.write(words.dispute, KARI, order.id, order.answer, "Not for us.", order.etag)

    async def cancel(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "received", "queued")) is None:
            return False
        return await self.db.write(words.cancel, KARI, order.id, "Not needed.")

    async def say(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "received")) is None:
            return False
        return await self.db.write(words.say, KARI, order.id, "Gate 4.", dice.choice(["", order.lines[0].line_id]))

    async def book_in(self, dice: random.Random) -> Any:
        if (order := await self._ours(dice, "approved", "agreed")) is None:
            return False
        waiting = [one.id for one in order.despatches if one.received_at is None]
        some = [GoodsLine(line_id=order.lines[0].line_id, quantity=Exact(dice.choice([1, 2, 5])))]
        as_sent = Goods(despatch=waiting[0], lines=[] if dice.random() < 0.7 else some) if waiting else None
        return await self.db.write(receiving.receive, KARI, order.id, as_sent or Goods(lines=some))

    async def send_again(self, dice: random.Random) -> Any:
        dead = [row.id for row in await self.db.read(_all, deliveries) if row.state == "dead"]
        return False if not dead else await self.db.write(carrying.send_again, KARI, dice.choice(dead))

    # What the seller does.

    async def _theirs(self, dice: random.Random, step: str = "") -> Draft | None:
        """An order there, more likely the newest revision of one that is in a state for this step."""
        rows = await self.theirs.read(_all, sales_orders)
        fit = [row for row in rows if row.is_newest and (not step or row.acceptance in STEPS[step])]
        some = fit if fit and dice.random() < 0.9 else rows
        return await self.theirs.read(sales.whole, dice.choice(some).id) if some else None

    async def _desk(self, dice: random.Random, step: str, verb: Callable[..., Any], *more: Any, **named: Any) -> Any:
        if (draft := await self._theirs(dice, step)) is None:
            return False
        return await self.theirs.write(verb, OLA, draft.summary.id, draft.summary.etag, *more, **named)

    async def approve(self, dice: random.Random) -> Any:
        return await self._desk(dice, "approve", answers.approve, undo=UNDO)

    async def reject(self, dice: random.Random) -> Any:
        return await self._desk(dice, "reject", answers.reject, "Not today.", undo=UNDO)

    async def answer(self, dice: random.Random) -> Any:
        if (draft := await self._theirs(dice, "answer")) is None:
            return False
        said = [_answer(dice, line.line_id) for line in draft.order.lines]
        return await self.theirs.write(answers.answer, OLA, draft.summary.id, draft.summary.etag, said, "", undo=UNDO)

    async def take_back(self, dice: random.Random) -> Any:
        return await self._desk(dice, "undo", answers.take_back)

    async def apply(self, dice: random.Random) -> Any:
        return await self._desk(dice, "approve", revisions.apply, undo=UNDO)

    async def keep(self, dice: random.Random) -> Any:
        return await self._desk(dice, "reject", revisions.keep, undo=UNDO)

    async def let_cancel(self, dice: random.Random) -> Any:
        return await self._desk(dice, "decide_cancellation", cancelling.accept)

    async def refuse_cancel(self, dice: random.Random) -> Any:
        return await self._desk(dice, "decide_cancellation", cancelling.refuse, "It is packed.")

    async def despatch(self, dice: random.Random) -> Any:
        if (draft := await self._theirs(dice, "despatch")) is None:
            return False
        sent = [
            DespatchLine(line_id=line.line_id, quantity=Exact(dice.choice([1, 2, 5, line.quantity or 1, -1]))) for line in draft.order.lines
        ]
        some = sent if dice.random() < 0.6 else sent[:1]
        return await self.theirs.write(despatching.despatch, OLA, draft.summary.id, NewDespatch(lines=some, is_last=dice.random() < 0.2))

    async def tell(self, dice: random.Random) -> Any:
        if (draft := await self._theirs(dice)) is None:
            return False
        return await self.theirs.write(talking.say, OLA, draft.summary.id, NewMessage(text="Soon."))

    # What happens by itself, and what befalls the line and the machines.

    async def carry(self, _: random.Random) -> Any:
        return await self._turn(self._buyers._take, self._buyers)

    async def publish(self, _: random.Random) -> Any:
        took = await self._sellers._take()
        await asyncio.gather(*self._sellers._under_way)
        return took

    async def pull(self, _: random.Random) -> Any:
        return await self._turn(partial(reconciling.hear, self.db, self._reach, self._supplier))

    async def sweep(self, _: random.Random) -> Any:
        await self._buyers.sweep()
        await self._sellers.sweep()

    async def wait(self, dice: random.Random) -> Any:
        self.clock.shift(dice.choice([3.0, 11.0, 30.0, 65.0, 400.0]))

    async def give_up(self, _: random.Random) -> Any:
        """A week and a day go by: what could not be delivered is dead."""
        self.clock.shift(8 * 86_400.0)
        await self._buyers.sweep()

    async def hurry(self, dice: random.Random) -> Any:
        """Everything travels that can."""
        for _ in range(3):
            for verb in (self.carry, self.publish, self.pull):
                await verb(dice)
            self.clock.shift(11.0)

    async def lose_request(self, _: random.Random) -> Any:
        self.line.fates.append("lose_request")

    async def lose_reply(self, _: random.Random) -> Any:
        self.line.fates.append("lose_reply")

    async def double(self, _: random.Random) -> Any:
        self.line.fates.append("double")

    async def come_late(self, _: random.Random) -> Any:
        self.line.fates.append("come_late")

    async def busy(self, _: random.Random) -> Any:
        self.line.fates.append("busy")

    async def slow_request(self, _: random.Random) -> Any:
        self.line.fates.append("slow_request")

    async def slow_reply(self, _: random.Random) -> Any:
        self.line.fates.append("slow_reply")

    async def die(self, _: random.Random) -> Any:
        """The buyer's process ends at the moment in which the supplier has done what was asked."""
        self.line.fates.append("die")
        await self.carry(_)
        await self.restart_buyer(_)

    async def arrive(self, _: random.Random) -> Any:
        await self.line.deliver_late()

    async def let_go(self, _: random.Random) -> Any:
        turn = self.line.let_go()
        if turn is not None:
            await self._calm(turn)

    async def restart_buyer(self, _: random.Random) -> Any:
        await self._drop_turns()
        self.line.fates.clear()
        await self.db.close()
        self.db = await open_database(self._urls[0], threads=4)
        await self._start_again(self.db)

    async def restart_seller(self, _: random.Random) -> Any:
        await self.theirs.write(outbox.claim, "the dead", busy={})
        await self._drop_turns()
        await self._open.aclose()
        await self.theirs.close()
        await self._open_supplier()
        await self._start_again(self.theirs)

    async def _start_again(self, db: Database) -> None:
        if db.dialect == "sqlite":
            await db.write(outbox.reclaim, everything=True)
        self._turns += 1
        self._make_couriers()

    async def _turn(self, begin: Callable[[], Any], courier: Courier | None = None) -> Any:
        """Begin something that uses the line, and let it go on until it has ended or hangs."""
        self._turns += 1
        turn = self._turns
        context = copy_context()
        context.run(TURN.set, turn)
        first = asyncio.get_running_loop().create_task(begin(), context=context)
        self._under_way[turn] = [first]
        if courier is not None:
            before = set(courier._under_way)
            took = await first
            self._under_way[turn] = list(courier._under_way - before)
            await self._calm(turn)
            return took
        await self._calm(turn)
        return True

    async def _calm(self, turn: int) -> None:
        tasks = self._under_way.get(turn, [])
        while pending := [task for task in tasks if not task.done()]:
            for _ in range(3):
                await asyncio.sleep(0)
            if self.line.hangs(turn):
                return
            await asyncio.wait(pending, timeout=0.001)
        for task in self._under_way.pop(turn, []):
            if not task.cancelled():
                task.result()

    async def _drop_turns(self) -> None:
        self.line.forget()
        for task in (dropped := [task for tasks in self._under_way.values() for task in tasks]):
            task.cancel()
        await asyncio.gather(*dropped, return_exceptions=True)
        self._under_way.clear()

    # The end: everything is delivered, and both books say the same.

    async def come_to_rest(self) -> None:
        """Let everything travel, and look into both books."""
        dice = random.Random(0)
        self.line.fates.clear()
        while not self.line.is_quiet:
            await self.arrive(dice)
            await self.let_go(dice)
        await self._travel(dice)
        for row in await self.db.read(_all, purchase_orders):
            if row.delivery in ("not_sent", "failed", "unknown"):
                with contextlib.suppress(errors.Refusal):
                    await self.db.write(exporting.export, KARI, [row.id])
        await self._travel(dice)
        await self._must_be_lawful()
        await self.must_agree()

    async def _travel(self, dice: random.Random) -> None:
        for _ in range(40):
            self.clock.shift(600.0)
            await self.sweep(dice)
            moved = [await self.publish(dice), await self.carry(dice)]
            await self.pull(dice)
            if not any(moved) and not await self.db.read(_open_deliveries) and not await self.theirs.read(_open_deliveries):
                return
        raise AssertionError("It never comes to rest.")

    async def must_agree(self) -> None:
        """Fail with every difference between the two books."""
        ours = await self.db.read(_books_of_the_buyer)
        theirs = await self.theirs.read(_books_of_the_supplier, self._partner)
        faults = [*_sound(theirs)]
        for number, order in ours.items():
            faults += [f"{number}: {fault}" for fault in _differences(order, theirs["orders"].get(number, []))]
        for db, whose in ((self.db, "buyer"), (self.theirs, "supplier")):
            faults += [f"{whose}: {row}" for row in await db.read(_open_deliveries)]
            faults += [f"{whose}'s lane {row.lane} is {row.state}" for row in await db.read(_all, lanes) if row.state != "open"]
        assert not faults, "\n".join(faults)


def _lines(dice: random.Random, known: Sequence[str] = ()) -> list[NewLine]:
    ids = [line_id for line_id in known if dice.random() < 0.8] or list(known[:1])
    lines = [_line(dice, line_id) for line_id in ids]
    return lines + [_line(dice) for _ in range(dice.choice([0, 0, 1] if lines else [1, 2]))]


def _line(dice: random.Random, line_id: str = "") -> NewLine:
    article = dice.choice([*ARTICLES, *ARTICLES, "X-1"])
    quantity = Quantity(dice.choice([1, 2, 5, 10]))
    return NewLine(
        line_id=line_id, article_number=article, description="Bolt", quantity=quantity, unit="H87", unit_price=UnitPrice("129.50")
    )


def _answer(dice: random.Random, line_id: str) -> AnswerLine:
    quantity, day = Quantity(dice.choice([1, 2, 5])), dt.date(2026, 12, dice.randint(1, 28))
    changed = partial(AnswerLine, line_id=line_id, action=LineAction.CHANGED, reason_code=ReasonCode.OTHER)
    return dice.choice(
        [
            AnswerLine(line_id=line_id, action=LineAction.ACCEPTED),
            AnswerLine(line_id=line_id, action=LineAction.REJECTED, reason_code=ReasonCode.OUT_OF_STOCK),
            changed(deliveries=[PromisedDelivery(quantity=quantity, date=day)]),
            changed(
                deliveries=[PromisedDelivery(quantity=quantity, date=day), PromisedDelivery(quantity=quantity)], back_order=Quantity(1)
            ),
            changed(unit_price=UnitPrice("130.00")),
            changed(substitute=Substitute(article_number="A-300")),
        ]
    )


def _all(tx: Tx, table: Any) -> list[Any]:
    return list(tx.execute(select(table).order_by(next(iter(table.primary_key)))).all())


def _heard(tx: Tx, partner: int) -> dict[str, Change]:
    """What the feed said last of each order. One revision has the order number at a time, and when that ends the order has ended."""
    last: dict[str, Change] = {}
    for change in sales_store.told.changes(tx, partner, 0, 10_000):
        last[change.id] = change
        for one in list(last.values()):
            if one.number != change.number or one.id == change.id or one.order_number is None or one.acceptance in ENDED:
                continue
            if change.kind == "order.cancelled":
                last[one.id] = msgspec.structs.replace(one, acceptance=Acceptance.CANCELLED)
            elif change.kind in ("order.approved", "order.agreed"):
                last[one.id] = msgspec.structs.replace(one, order_number=None)
    return last


def _digests(tx: Tx, partner: int) -> list[sales_store.reconciling.Digest]:
    return sales_store.reconciling.digests_between(tx, partner, "", None, BEGIN - dt.timedelta(days=1), 1000)


def _open_deliveries(tx: Tx) -> list[Any]:
    open_ones = deliveries.c.state.in_(["ready", "leased"])
    return [
        tuple(row)
        for row in tx.execute(select(deliveries.c.id, deliveries.c.kind, deliveries.c.state, deliveries.c.last_error).where(open_ones))
    ]


def _books_of_the_buyer(tx: Tx) -> dict[str, tuple[Any, PurchaseOrder]]:
    return {row.number: (row, actions.shown(tx, row.id)) for row in _all(tx, purchase_orders)}


def _books_of_the_supplier(tx: Tx, partner: int) -> dict[str, Any]:
    orders = defaultdict(list)
    gone: dict[int, dict[str, Decimal]] = defaultdict(dict)
    for line in tx.execute(select(sales_lines.c.order, sales_lines.c.line_id, sales_lines.c.despatched)):
        gone[line.order][line.line_id] = line.despatched
    for row in _all(tx, sales_orders):
        orders[row.number].append((row, sales.whole(tx, row.id), gone[row.pk]))
    feed = list(tx.execute(select(sales_changes).order_by(sales_changes.c.position)).all())
    told = tx.execute(select(partners_table.c.feed_position).where(partners_table.c.pk == partner)).scalar_one()
    return {"orders": orders, "feed": feed, "position": told, "changes": sales_store.told.changes(tx, partner, 0, 10_000)}


def _sound(theirs: Any) -> list[str]:
    faults = []
    positions = [row.position for row in theirs["feed"]]
    if positions != list(range(1, theirs["position"] + 1)):
        faults.append(f"the feed has gaps: {positions}, and stands at {theirs['position']}")
    over = set()
    for change in theirs["changes"]:
        if (change.number, change.revision) in over and change.acceptance != "cancelled":
            faults.append(f"{change.number} came back from being cancelled at position {change.position}")
        if change.kind == "order.cancelled":
            over.add((change.number, change.revision))
        if (named := change.kind.removeprefix("order.")) in set(Acceptance) and change.acceptance != named:
            faults.append(f"{change.kind} of {change.number} says it is {change.acceptance}")
    for number, rows in theirs["orders"].items():
        revisions_there = [row.revision for row, _, _ in rows]
        if len(set(revisions_there)) != len(revisions_there):
            faults.append(f"{number} is there twice: {revisions_there}")
        newest = [row.revision for row, _, _ in rows if row.is_newest]
        if len(newest) != 1:
            faults.append(f"{number}: newest are {newest} of {revisions_there}")
        numbered = [row.order_number for row, _, _ in rows if row.order_number is not None and row.acceptance not in ENDED]
        if len(numbered) > 1:
            faults.append(f"{number} has {numbered}")
    taken = [row.order_number for rows in theirs["orders"].values() for row, _, _ in rows if row.order_number is not None]
    if len(set(taken)) != len(taken):
        faults.append(f"an order number was given twice: {taken}")
    return faults


def _differences(ours: tuple[Any, PurchaseOrder], theirs: list[Any]) -> list[str]:
    row, order = ours
    if not theirs:
        return [] if row.delivery != "received" and row.agreed_revision == 0 else [f"{row.delivery} here, never arrived there"]
    newest = [(their, whole, gone) for their, whole, gone in theirs if their.is_newest]
    if len(newest) != 1:
        return []
    [(their, whole, _)] = newest
    faults = []

    def same(what: str, here: Any, there: Any) -> None:
        if here != there:
            faults.append(f"{what}: {here!r} here, {there!r} there")

    stands = [one.revision for one, _, _ in theirs if one.order_number is not None and one.acceptance not in ("rejected", "cancelled")]
    same("the agreed revision", row.agreed_revision, max(stands, default=0))
    # One that failed may have arrived all the same.
    said = {one.id for one in order.messages if one.state != "failed"}
    heard = {one.id for _, their_order, _ in theirs for one in their_order.messages}
    same("messages", said - heard, heard - {one.id for one in order.messages})
    same("despatches", sorted(one.id for one in order.despatches), sorted(one.id for _, w, _ in theirs for one in w.despatches))
    if row.delivery != "received" and order.issues and any(issue.blocks for issue in order.issues):
        return faults  # this revision was refused, and waits for somebody here
    same("delivery", row.delivery, "received")
    same("the revision", row.revision, their.revision)
    same("the id", row.their_id, their.id)
    same("acceptance", row.acceptance, their.acceptance)
    same("the answer", row.answer, their.answer)
    for one, standing, _ in theirs:
        if one.revision == row.agreed_revision and one.acceptance in STANDS:
            taken = standing.answered if one.acceptance == "agreed" else None
            same("what it comes to", row.agreed_net, net(standing.order, taken))
    if not row.agreed_revision:
        same("what it comes to", row.agreed_net, None)
    numbers = {one.revision: one.order_number for one, _, _ in theirs if one.order_number}
    if row.agreed_revision:
        same("the order number", row.their_order_number, numbers.get(row.agreed_revision))
    elif row.their_order_number and row.their_order_number not in numbers.values():
        same("the order number", row.their_order_number, numbers)
    same("what was sent", row.sent_digest, their.digest)
    same("a word", (row.word, row.stood_at), ("", ""))
    if row.answered is not None or whole.answered is not None:
        same("what was answered", row.answered, None if whole.answered is None else written(whole.answered).decode())
    if order.fulfilment != "received" or not any(line.received for line in order.lines):
        same("fulfilment", order.fulfilment, max((one.fulfilment for one, _, _ in theirs), key=["none", "partly", "shipped"].index))
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for _, _, gone in theirs:
        for line_id, quantity in gone.items():
            sums[line_id] += quantity
    same("despatched", {line.line_id: line.despatched for line in order.lines}, {line.line_id: sums[line.line_id] for line in order.lines})
    return faults


@contextlib.asynccontextmanager
async def trading(urls: tuple[str, str]) -> AsyncIterator[Trade]:
    """Two companies that trade until the block ends, on a clock of their own."""
    with time_machine.travel(BEGIN, tick=False) as clock:
        trade = Trade(urls, clock)
        await trade.begin()
        try:
            yield trade
        finally:
            await trade.end()


VERBS: dict[str, int] = {
    "wait": 8, "hurry": 14, "carry": 12, "publish": 12, "pull": 12, "sweep": 2, "give_up": 1, "write": 12, "change": 12,
    "export": 12, "accept": 10, "dispute": 6, "cancel": 4, "say": 4, "book_in": 6, "send_again": 2, "approve": 12, "reject": 4,
    "answer": 14, "take_back": 6, "apply": 6, "keep": 4, "let_cancel": 4, "refuse_cancel": 4, "despatch": 8, "tell": 4,
    "lose_request": 2, "lose_reply": 4, "double": 4, "come_late": 4, "busy": 2, "slow_request": 2, "slow_reply": 4, "die": 2,
    "arrive": 4, "let_go": 4, "restart_buyer": 2, "restart_seller": 2,
}  # fmt: skip
"""What may happen, and how often."""


async def play(urls: tuple[str, str], steps: Sequence[Step]) -> Counter[str]:
    """Let these steps happen to two fresh companies, and let them come to rest; fails when their books do not agree then."""
    async with trading(urls) as trade:
        for step in steps:
            await trade.take(step)
        await trade.come_to_rest()
        return trade.done
