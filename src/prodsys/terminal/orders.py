"""Purchase orders, as their buyer writes, mends and answers them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.purchasing.model.orders import OrderWait, PurchaseOrder
    from prodsys.purchasing.model.writing import ChangedOrder
    from prodsys.upkeep.opening import Instance

DAY = click.DateTime(["%Y-%m-%d"])


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

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(lambda tx: actions.shown(tx, ids_of(tx, [order])[0]))

    _tell_order(guest.visit(story))


@order.command(epilog="Example: prodsys order pdf PO-1042 --output order.pdf")
@click.argument("order", metavar="ORDER")
@click.option("-o", "--output", type=click.File("wb", lazy=True), required=True, help="Where to write it; - is the standard output.")
def pdf(order: str, output: Any) -> None:
    """One order, by number or id, on paper as the supplier gets it."""
    from prodsys.purchasing import mailing

    async def story(instance: "Instance") -> Any:
        return await mailing.written(await instance.db.read(lambda tx: mailing.on_paper(tx, ids_of(tx, [order])[0])))

    output.write(guest.visit(story).content)


def _why(waits: "OrderWait") -> str:
    again = f" It is tried again at {waits.tried_again_at:%Y-%m-%d %H:%M:%S} UTC." if waits.tried_again_at else ""
    return f"waits since {waits.since:%Y-%m-%d %H:%M} UTC: {waits.reason}{again} It leaves by itself once it can."


def _tell_order(found: "PurchaseOrder") -> None:
    def words() -> list[str]:
        to = f" to {found.partner.name}" if found.partner else ""
        agreed = "" if found.agreed is None or found.agreed.net == found.net else f", agreed {found.agreed.net}"
        return [
            f"{found.number} revision {found.revision}{to}, {found.date}, {found.net} {found.currency}{agreed}  ({found.id})",
            f"delivery {found.delivery} · validation {found.validation} · acceptance {found.acceptance} · fulfilment {found.fulfilment}",
            *([_why(found.waits)] if found.waits else []),
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


@order.command(
    epilog="Examples: prodsys order change PO-1044 --line 20 --supplier-article-number A-200 --unit-price 39.90"
    " · prodsys order change PO-1044 --add --article 4711 --quantity 4 · prodsys order change PO-1044 --requested-date 2027-01-08"
)
@click.argument("order", metavar="ORDER")
@click.option("--line", default="", help="The line to mend; `order show` tells its number. With --add, the number the new line gets.")
@click.option("--add", is_flag=True, help="Add a line.")
@click.option("--remove", is_flag=True, help="Take the line out.")
@click.option("--article", help="Our number of it; the supplier's number, unit and description are filled in.")
@click.option("--supplier-article-number", help="Its number in the supplier's system.")
@click.option("--description")
@click.option("--quantity")
@click.option("--unit")
@click.option("--unit-price")
@click.option("--requested-date", type=DAY, help="When we want the line; without --line and --add, the order: 2027-01-08.")
@click.option("--date", "dated", type=DAY, help="The date of the order itself.")
@say.as_json
def change(
    order: str, line: str, add: bool, remove: bool, quantity: str | None, unit_price: str | None, requested_date: Any, dated: Any,
    article: str | None, supplier_article_number: str | None, description: str | None, unit: str | None,
) -> None:  # fmt: skip
    """Mend or add a line of an order, or change its dates, then export it again; what the supplier has becomes the next revision."""
    from prodsys.documents import Quantity, UnitPrice
    from prodsys.purchasing import actions
    from prodsys.scopes import CONSOLE

    try:
        said: dict[str, Any] = {
            "article": article,
            "article_number": supplier_article_number,
            "description": description,
            "quantity": None if quantity is None else Quantity(Quantity.read(quantity)),
            "unit": unit,
            "unit_price": None if unit_price is None else UnitPrice(UnitPrice.read(unit_price)),
        }
    except ValueError as fault:
        raise click.UsageError(f"{fault}.") from None
    is_of_a_line = bool(line) or add
    head = {"date": dated and dated.date(), "requested_date": None if is_of_a_line else requested_date and requested_date.date()}
    said |= {"requested_date": requested_date.date()} if is_of_a_line and requested_date else {}
    mended, head = ({member: value for member, value in one.items() if value is not None} for one in (said, head))
    if (remove and (add or mended or not line)) or (mended and not is_of_a_line) or (is_of_a_line and not (mended or remove)):
        raise click.UsageError("Name the line with --line and what it shall be, or --remove it; or --add one.")
    if not is_of_a_line and not head:
        raise click.UsageError("Say what shall change: --line, --add, --requested-date or --date.")

    def unit_of_work(tx: "Tx") -> Any:
        seen = actions.shown(tx, ids_of(tx, [order])[0])
        return actions.change(tx, CONSOLE, seen.id, _mended(seen, line, mended, head, add=add), seen.etag)

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit_of_work)

    _tell_order(guest.visit(story))


def _mended(seen: "PurchaseOrder", line_id: str, mended: "Mapping[str, Any]", head: "Mapping[str, Any]", *, add: bool) -> "ChangedOrder":
    """What an order says, with one line added, or mended, or left out when nothing is said of it. Raises NotFound."""
    from prodsys import errors
    from prodsys.purchasing.model.writing import ChangedOrder, NewLine

    there = [line.line_id for line in seen.lines]
    if add and line_id in there:
        raise errors.AlreadyExists(f"Order {seen.number} has a line {line_id} already; mend it without --add, or leave --line out.")
    if line_id and not add and line_id not in there:
        raise errors.NotFound(f"Order {seen.number} has no line {line_id}; it has {', '.join(there)}. To make one: --add.")
    lines = []
    for line in seen.lines:
        members = {member: getattr(line, member) for member in NewLine.__struct_fields__} | {"article": line.article or ""}
        if line.line_id != line_id:
            lines.append(NewLine(**members))
        elif mended:
            # Another number is another article: what the line said of the one before does not hold for it.
            theirs = {"article": "", "gtin": ""} if "article_number" in mended else {}
            ours = (
                dict.fromkeys(("article_number", "buyer_article_number", "gtin", "description", "unit"), "") if "article" in mended else {}
            )
            lines.append(NewLine(**members | theirs | ours | dict(mended)))
    if add:
        lines.append(NewLine(line_id=line_id, **mended))
    same = {member: getattr(seen, member) for member in ChangedOrder.__struct_fields__ if member not in ("partner", "lines")}
    return ChangedOrder(**same | dict(head), partner=seen.partner.id if seen.partner else "", lines=lines)


@order.command(epilog="Example: prodsys order accept PO-1042 --answer 1")
@click.argument("order", metavar="ORDER")
@click.option("--answer", type=click.IntRange(1), required=True, help="The number of the answer you have seen; `order show` tells it.")
@say.as_json
def accept(order: str, answer: int) -> None:
    """Accept the supplier's changes to an order: it is agreed then, and he is told."""
    from prodsys.purchasing import words
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(lambda tx: words.accept(tx, CONSOLE, ids_of(tx, [order])[0], answer, "*"))

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
        return await instance.db.write(lambda tx: words.dispute(tx, CONSOLE, ids_of(tx, [order])[0], answer, reason[:500], "*"))

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
        return await instance.db.write(lambda tx: words.cancel(tx, CONSOLE, ids_of(tx, [order])[0], reason[:500]))

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
        return await instance.db.write(lambda tx: words.say(tx, CONSOLE, ids_of(tx, [order])[0], text, line))

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
        return await instance.db.write(lambda tx: reminding.remind(tx, CONSOLE, ids_of(tx, [order])[0]))

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

        meant_order = actions.shown(tx, ids_of(tx, [order])[0])
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


def ids_of(tx: "Tx", orders: Sequence[str]) -> list[str]:
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
