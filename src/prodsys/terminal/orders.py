"""Purchase orders and their export to suppliers."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.exchange.outbox import Waiting
    from prodsys.kit.db import Tx
    from prodsys.purchasing.model.exports import Export, ExportedOrder, Previewed
    from prodsys.purchasing.model.orders import PurchaseOrder
    from prodsys.purchasing.model.writing import ChangedOrder
    from prodsys.upkeep.opening import Instance

LOOK_SECONDS = 0.5
"""How often a watched export is looked at."""
FAILED = ("refused", "dead")
UNDER_WAY = ("queued", "sending", "waiting")


@click.group()
def order() -> None:
    """Purchase orders: bring them in from a file, see and mend them, answer what the supplier says, book in what comes."""


@order.command("import", epilog="Example: prodsys order import orders.xlsx")
@click.argument("file", type=click.File("rb"))
@say.as_json
def import_orders(file: Any) -> None:
    """Write down the orders of a CSV or XLSX FILE, one row a line: all of them, or none with every bad row named.

    Columns: number, supplier, currency, quantity, and article or supplier_article_number; also date, description, unit,
    unit_price, price_quantity, discount_percent, requested_date and note. Others may stand there and are passed over.
    """
    from prodsys.kit import sheets
    from prodsys.purchasing import importing
    from prodsys.scopes import CONSOLE

    content = file.read()

    async def story(instance: "Instance") -> Any:
        table = await asyncio.to_thread(sheets.read_table, content, text_columns=importing.SHEET_CODES, required=importing.SHEET_REQUIRED)
        return await instance.db.write(importing.import_table, CONSOLE, table)

    made = guest.visit(story)
    say.answer(
        made,
        lambda: [
            f"{len(made.orders)} orders with {made.line_count} lines: {', '.join(made.orders[:10])}{' …' if len(made.orders) > 10 else ''}"
        ],
    )


@order.command("list", epilog="Example: prodsys order list --delivery not_sent")
@click.option("--delivery", type=click.Choice(["not_sent", "queued", "received", "failed", "unknown"]), help="How far they have travelled.")
@click.option("--acceptance", help="What the two companies have agreed: open, approved, rejected …")
@click.option("--partner", help="Only to this supplier, by id or name.")
@click.option("--number", help="Only numbers that begin so.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@say.as_json
def list_orders(delivery: str | None, acceptance: str | None, partner: str | None, number: str | None, limit: int) -> None:
    """Purchase orders, newest first."""
    from prodsys.purchasing import actions
    from prodsys.purchasing.store.lists import Filter

    def page(tx: "Tx") -> Any:
        whose = meant(tx, partner) if partner else None
        wanted = Filter(delivery=delivery, acceptance=acceptance, partner=whose, number=number)
        return actions.listed(tx, wanted, None, limit)[0]

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(page)

    found = guest.visit(story)
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("NUMBER", "REV", "SUPPLIER", "DATE", "NET", "DELIVERY", "VALIDATION", "ACCEPTANCE", "THEIR NUMBER", "ID"),
            [
                (
                    one.number,
                    one.revision,
                    one.partner.name if one.partner else "",
                    one.date,
                    f"{one.net} {one.currency}" if one.agreed_net in (None, one.net) else f"{one.agreed_net} {one.currency} agreed",
                    one.delivery,
                    one.validation,
                    one.acceptance,
                    one.their_order_number,
                    one.id,
                )
                for one in found
            ],
        ),
    )


@order.command(epilog="Example: prodsys order show PO-1042")
@click.argument("order", metavar="ORDER")
@say.as_json
def show(order: str) -> None:
    """One order, by number or id: what it says, where it is, what the supplier said."""
    from prodsys.purchasing import actions

    def look(tx: "Tx") -> "tuple[PurchaseOrder, Waiting | None]":
        found = actions.shown(tx, _ids(tx, [order])[0])
        return found, actions.why_waiting(tx, found.id) if found.delivery == "waiting" else None

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(look)

    found, waits = guest.visit(story)
    _tell_order(found, waits)


@order.command(epilog="Example: prodsys order pdf PO-1042 --output order.pdf")
@click.argument("order", metavar="ORDER")
@click.option("-o", "--output", type=click.File("wb", lazy=True), required=True, help="Where to write it; - is the standard output.")
def pdf(order: str, output: Any) -> None:
    """One order, by number or id, on paper as the supplier gets it."""
    from prodsys.purchasing import mailing

    async def story(instance: "Instance") -> Any:
        return await mailing.written(await instance.db.read(lambda tx: mailing.on_paper(tx, _ids(tx, [order])[0])))

    output.write(guest.visit(story).content)


def _why(waits: "Waiting") -> str:
    again = f" It is tried again at {waits.probe_at:%Y-%m-%d %H:%M:%S} UTC." if waits.probe_at else ""
    return f"waits since {waits.since:%Y-%m-%d %H:%M} UTC: {waits.reason}{again} It leaves by itself once it can."


def _tell_order(found: "PurchaseOrder", waits: "Waiting | None" = None) -> None:
    def words() -> list[str]:
        to = f" to {found.partner.name}" if found.partner else ""
        agreed = "" if found.agreed is None or found.agreed.net == found.net else f", agreed {found.agreed.net}"
        return [
            f"{found.number} revision {found.revision}{to}, {found.date}, {found.net} {found.currency}{agreed}  ({found.id})",
            f"delivery {found.delivery} · validation {found.validation} · acceptance {found.acceptance} · fulfilment {found.fulfilment}",
            *([_why(waits)] if waits else []),
            *([f"their order number {found.their_order_number}"] if found.their_order_number else []),
            *([f"reason: {found.reason}"] if found.reason else []),
            *_agreed_words(found),
            *([f"due {found.due_date}"] if found.due_date else []),
            *(["our last word has not reached the supplier yet"] if found.is_word_on_its_way else []),
            *([f"trace {found.trace_id}"] if found.trace_id else []),
            *say.table(
                ("LINE", "SUPPLIER NUMBER", "OURS", "DESCRIPTION", "QUANTITY", "UNIT", "PRICE", "PER", "NET", "SENT", "HERE"),
                [
                    (
                        line.line_id,
                        line.article_number,
                        line.buyer_article_number,
                        line.description,
                        line.quantity,
                        line.unit,
                        line.unit_price,
                        line.price_quantity,
                        line.net,
                        line.despatched or "",
                        line.received or "",
                    )
                    for line in found.lines
                ],
            ),
            *_answered_words(found),
            *[
                f"despatch {one.number} ({one.id}) of {one.date}{', booked in' if one.received_at else ', not booked in'}"
                for one in found.despatches
            ],
            *say.messages(found.messages),
            *say.issues(found.issues),
        ]

    say.answer(found, words)


def _agreed_words(found: "PurchaseOrder") -> list[str]:
    if found.agreed is None:
        return []
    by = f" by answer {found.agreed.answered.answer}" if found.agreed.answered else ""
    return [f"agreed as in revision {found.agreed_revision}{by}: {found.agreed.net} {found.currency}"]


def _answered_words(found: "PurchaseOrder") -> list[str]:
    if found.answered is None or found.answered.code != "CA":
        return []
    rows = []
    for line in found.answered.lines:
        why = line.reason or (line.reason_code or "")
        if line.answered is None:
            rows.append((line.line_id, "not accepted", "", "", why))
        rows += [(line.line_id, one.member, one.before, one.after, why) for one in line.differences]
    return [f"answer {found.answer} differs:", *say.table(("LINE", "WHAT", "ORDERED", "ANSWERED", "WHY"), rows, none="in nothing")]


@order.command(epilog="Example: prodsys order change PO-1044 --line 20 --supplier-article-number A-200 --unit-price 39.90")
@click.argument("order", metavar="ORDER")
@click.option("--line", required=True, help="The line to mend; `order show` tells its number.")
@click.option("--supplier-article-number", help="Its number in the supplier's system.")
@click.option("--quantity")
@click.option("--unit")
@click.option("--unit-price")
@click.option("--remove", is_flag=True, help="Take the line out.")
@say.as_json
def change(
    order: str, line: str, supplier_article_number: str | None, quantity: str | None, unit: str | None, unit_price: str | None, remove: bool
) -> None:
    """Mend a line of an order, then export it again; what the supplier has already becomes the next revision."""
    from prodsys.documents import Quantity, UnitPrice
    from prodsys.purchasing import actions
    from prodsys.scopes import CONSOLE

    try:
        mended: dict[str, Any] = {
            "article_number": supplier_article_number,
            "quantity": None if quantity is None else Quantity(Quantity.read(quantity)),
            "unit": unit,
            "unit_price": None if unit_price is None else UnitPrice(UnitPrice.read(unit_price)),
        }
    except ValueError as fault:
        raise click.UsageError(f"{fault}.") from None
    mended = {member: value for member, value in mended.items() if value is not None}
    if remove == bool(mended):
        raise click.UsageError("Say what the line shall be, or --remove.")

    def unit_of_work(tx: "Tx") -> Any:
        seen = actions.shown(tx, _ids(tx, [order])[0])
        return actions.change(tx, CONSOLE, seen.id, _mended(seen, line, mended), seen.etag)

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit_of_work)

    _tell_order(guest.visit(story))


def _mended(seen: "PurchaseOrder", line_id: str, mended: "Mapping[str, Any]") -> "ChangedOrder":
    """What an order says, with one line mended, or left out when nothing is said of it. Raises NotFound."""
    from prodsys import errors
    from prodsys.purchasing.model.writing import ChangedOrder, NewLine

    if line_id not in {line.line_id for line in seen.lines}:
        raise errors.NotFound(f"Order {seen.number} has no line {line_id}; it has {', '.join(line.line_id for line in seen.lines)}.")
    lines = []
    for line in seen.lines:
        members = {member: getattr(line, member) for member in NewLine.__struct_fields__} | {"article": line.article or ""}
        if line.line_id != line_id:
            lines.append(NewLine(**members))
        elif mended:
            # Another number is another article of theirs; the one of ours it was does not say which.
            other = {"article": "", "gtin": ""} if "article_number" in mended else {}
            lines.append(NewLine(**members | other | dict(mended)))
    same = {member: getattr(seen, member) for member in ChangedOrder.__struct_fields__ if member not in ("partner", "lines")}
    return ChangedOrder(**same, partner=seen.partner.id if seen.partner else "", lines=lines)


@order.command(epilog="Example: prodsys order accept PO-1042 --answer 1")
@click.argument("order", metavar="ORDER")
@click.option("--answer", type=click.IntRange(1), required=True, help="The number of the answer you have seen; `order show` tells it.")
@say.as_json
def accept(order: str, answer: int) -> None:
    """Accept the supplier's changes to an order: it is agreed then, and he is told."""
    from prodsys.purchasing import words
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(lambda tx: words.accept(tx, CONSOLE, _ids(tx, [order])[0], answer, "*"))

    _tell_order(guest.visit(story))


@order.command(epilog='Example: prodsys order dispute PO-1042 --answer 1 --reason "We need it in May"')
@click.argument("order", metavar="ORDER")
@click.option("--answer", type=click.IntRange(1), required=True, help="The number of the answer you have seen; `order show` tells it.")
@click.option("--reason", required=True, help="Why, in words the supplier will read.")
@say.as_json
def dispute(order: str, answer: int, reason: str) -> None:
    """Say no to the supplier's changes to an order; he is to answer again."""
    from prodsys.purchasing import words
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(lambda tx: words.dispute(tx, CONSOLE, _ids(tx, [order])[0], answer, reason[:500], "*"))

    _tell_order(guest.visit(story))


@order.command(epilog='Example: prodsys order cancel PO-1042 --reason "Not needed any more"')
@click.argument("order", metavar="ORDER")
@click.option("--reason", default="", help="Why, in words the supplier will read.")
@say.as_json
def cancel(order: str, reason: str) -> None:
    """Cancel an order: at once when the supplier never had it, else he is asked, and may say that it is too late."""
    from prodsys.purchasing import words
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(lambda tx: words.cancel(tx, CONSOLE, _ids(tx, [order])[0], reason[:500]))

    _tell_order(guest.visit(story))


@order.command(epilog="Example: prodsys order message PO-1042 'Please deliver to the gate in Kaiveien.' --line 10")
@click.argument("order", metavar="ORDER")
@click.argument("text")
@click.option("--line", default="", help="The line it is about.")
@say.as_json
def message(order: str, text: str, line: str) -> None:
    """Say something to the supplier about an order, or one of its lines."""
    from prodsys.documents import plain
    from prodsys.purchasing import words
    from prodsys.scopes import CONSOLE

    if not plain(text) or len(text) > 4000:
        raise click.UsageError("A message has 1 to 4,000 characters.")

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(lambda tx: words.say(tx, CONSOLE, _ids(tx, [order])[0], text, line))

    said = guest.visit(story)
    say.answer(said, lambda: [f"Said to the supplier about {order}{f', line {line}' if line else ''}; it leaves with the next delivery."])


@order.command(epilog="Example: prodsys order remind PO-1042")
@click.argument("order", metavar="ORDER")
@say.as_json
def remind(order: str) -> None:
    """Ask the supplier for an answer that is due, or for goods that are overdue; at most once a day."""
    from prodsys.purchasing import reminding
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(lambda tx: reminding.remind(tx, CONSOLE, _ids(tx, [order])[0]))

    said = guest.visit(story)
    say.answer(said, lambda: [f"The supplier is asked: {said.text}"])


@order.command(
    epilog="Examples: prodsys order receive PO-1042 --despatch D-1007 · prodsys order receive PO-1042 --line 10 40 --line 20 3.5"
)
@click.argument("order", metavar="ORDER")
@click.option("--despatch", help="What came, by the despatch's number or id; then only lines that differ need be named.")
@click.option("--line", "lines", type=(str, str), multiple=True, metavar="LINE QUANTITY", help="How much of a line came; may be repeated.")
@say.as_json
def receive(order: str, despatch: str | None, lines: tuple[tuple[str, str], ...]) -> None:
    """Book in what came of an order; it closes when all of it is here. A quantity below zero was sent back, or booked in wrongly."""
    from prodsys.documents import Exact
    from prodsys.purchasing import receiving
    from prodsys.purchasing.model.goods import Goods, GoodsLine
    from prodsys.scopes import CONSOLE

    try:
        came = [GoodsLine(line_id=line_id, quantity=Exact.read(quantity)) for line_id, quantity in lines]
    except ValueError as fault:
        raise click.UsageError(f"--line: {fault}.") from None

    def unit(tx: "Tx") -> Any:
        from prodsys.purchasing import actions

        meant_order = actions.shown(tx, _ids(tx, [order])[0])
        by_number = {one.number: one.id for one in meant_order.despatches}
        return receiving.receive(tx, CONSOLE, meant_order.id, Goods(despatch=by_number.get(despatch or "", despatch), lines=came))

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit)

    booked = guest.visit(story)
    _tell_order(booked)
    if booked.acceptance == "changed":
        say.note(
            f"The goods are booked in, but order {booked.number} is not agreed yet: answer {booked.answer} differs. "
            "Next: prodsys order accept, or prodsys order dispute."
        )


@click.command(epilog="Examples: prodsys export PO-1042 PO-1043 --watch · prodsys export PO-1042 --dry-run")
@click.argument("orders", metavar="ORDER...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only ask the suppliers what would become of the orders; nothing is stored.")
@click.option("--watch", is_flag=True, help="Stay until every order has ended; where no server runs, deliver meanwhile.")
@say.as_json
def export(orders: tuple[str, ...], dry_run: bool, watch: bool) -> None:
    """Export orders, by number or id, to their suppliers; what is not ready is refused with every reason.

    The running server delivers them. Where none runs they leave when one is started, or at once with --watch, which only watches those
    that are on their way already.
    """
    if dry_run and watch:
        raise click.UsageError("--dry-run sends nothing, so there is nothing to watch.")
    if dry_run:
        _foretell(guest.visit(lambda instance: _previewed(instance, orders)))
        return
    if not watch:
        _tell_export(guest.visit(lambda instance: _promised(instance, orders)))
        return
    _tell_export(asyncio.run(_watched(orders)))


async def _previewed(instance: "Instance", orders: Sequence[str]) -> "list[Previewed]":
    from prodsys.purchasing import abroad, previewing
    from prodsys.scopes import CONSOLE

    ids = await instance.db.read(_ids, orders)
    return await previewing.preview(instance.db, abroad.reach_by(instance.outbound, instance.vault, instance.settings), CONSOLE, ids)


def _foretell(found: "Sequence[Previewed]") -> None:
    def words() -> list[str]:
        lines = []
        for one in found:
            to = f" to {one.partner.name}" if one.partner else ""
            lines.append(f"{one.number}{to}: would be {_WOULD.get(one.would, one.would)}{f'. {one.problem}' if one.problem else ''}")
            lines += say.issues(one.issues)
        return lines

    say.answer(say.listed(found), words)
    if any(one.would == "unknown" for one in found):
        say.end(say.UNREACHABLE)
    if any(one.would == "refused" for one in found):
        say.end(say.REFUSED)


_WOULD = {
    "draft": "an order draft there",
    "held": "held there until somebody says which article is meant",
    "unknown": "told only by the supplier",
}


async def _promised(instance: "Instance", orders: Sequence[str]) -> "Export":
    from prodsys.purchasing import exporting
    from prodsys.scopes import CONSOLE

    every = instance.settings.answers_every_seconds

    def unit(tx: "Tx") -> "Export":
        return exporting.export_shown(tx, exporting.export(tx, CONSOLE, _ids(tx, orders), answers_every=every))[0]

    return await instance.db.write(unit)


async def _watched(orders: Sequence[str]) -> "Export":
    """Promise, then look until every order has ended; where no server holds the lock we deliver ourselves meanwhile."""
    from prodsys import app
    from prodsys.kit.db import DatabaseInUse
    from prodsys.purchasing import exporting, store

    known = guest.ready()
    async with contextlib.AsyncExitStack() as opened:
        try:
            instance = await opened.enter_async_context(app.opened(known, serving=True))
            # On PostgreSQL there is no lock; several couriers on one database are as they should be.
            await opened.enter_async_context(_meanwhile(app.keep_promises(instance, app.courier_of(instance))))
        except DatabaseInUse:
            instance = await opened.enter_async_context(app.opened(known, serving=False))
        ids = await instance.db.read(_ids, orders)
        leaving = await instance.db.read(store.exports.leaving_in, ids)
        fresh = [one for one in ids if one not in leaving]
        made = await _promised(instance, fresh) if fresh else None
        told: dict[str, str] = {}
        while True:
            shown = None if made is None else (await instance.db.read(exporting.export_shown, made.id))[0]
            watched = await instance.db.read(_leaving_items, leaving)
            _tell_news([*watched, *(shown.items if shown else [])], told)
            if (shown is None or shown.is_settled) and not any(one.status in UNDER_WAY for one in watched):
                return shown if shown and not watched else await instance.db.read(_together, shown, watched, leaving)
            await asyncio.sleep(LOOK_SECONDS)


def _leaving_items(tx: "Tx", leaving: "Mapping[str, str]") -> "list[ExportedOrder]":
    """How orders that were on their way already stand in the exports they left with."""
    from prodsys.purchasing import exporting

    found = []
    for export_id in dict.fromkeys(leaving.values()):
        after: int | None = -1
        while after is not None:
            shown, after = exporting.export_shown(tx, export_id, after)
            found += [one for one in shown.items if leaving.get(one.order) == export_id]
    return found


def _together(tx: "Tx", made: "Export | None", watched: "Sequence[ExportedOrder]", leaving: "Mapping[str, str]") -> "Export":
    """One answer for orders of several exports: the newest export, with all that was watched."""
    import msgspec

    from prodsys.purchasing import exporting
    from prodsys.purchasing.model.exports import Counts

    items = [*(made.items if made else []), *watched]
    counts = Counts(**{str(word): count for word, count in collections.Counter(one.status for one in items).items()})
    last = made or exporting.export_shown(tx, max(leaving.values()))[0]
    return msgspec.structs.replace(last, items=items, counts=counts, size=len(items), is_settled=True, next=None)


@contextlib.asynccontextmanager
async def _meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _tell_news(items: "Sequence[ExportedOrder]", told: dict[str, str]) -> None:
    """On stderr, so that the answer stays one."""
    for one in items:
        if told.get(one.order) != one.status:
            told[one.order] = one.status
            say.note(f"{one.number}: {one.status}")


def _tell_export(made: "Export") -> None:
    def words() -> list[str]:
        lines = [f"{made.id}: {_counted(made)}"]
        for one in made.items:
            lines.append(f"{one.number}  {one.status}  trace {one.trace_id}{f'  {one.what_to_do}' if one.what_to_do else ''}")
            lines += say.issues(one.issues)
        if not made.is_settled:
            lines.append("The running server delivers them; where none runs, prodsys serve or prodsys export --watch does.")
        return lines

    say.answer(made, words)
    if any(one.status in FAILED for one in made.items):
        say.end(say.REFUSED)


def _counted(made: "Export") -> str:
    counts = made.counts
    return ", ".join(f"{count} {word}" for word in counts.__struct_fields__ if (count := getattr(counts, word))) or "nothing"


def _ids(tx: "Tx", orders: Sequence[str]) -> list[str]:
    """Orders by what a person calls them: number or id. Raises NotFound naming those there are not."""
    from prodsys import errors
    from prodsys.documents import plain
    from prodsys.purchasing import store

    words = [plain(word) for word in orders]
    by_number = store.orders.ids(tx, words)
    by_id = store.orders.keys(tx, [word for word in words if word not in by_number])
    unknown = [word for word in words if word not in by_number and word not in by_id]
    if unknown:
        raise errors.NotFound(f"There is no order {', '.join(unknown)}.")
    return [by_number.get(word, word) for word in words]
