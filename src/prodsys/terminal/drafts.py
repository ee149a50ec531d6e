"""The order drafts partners have sent us, and our answers to them."""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.documents import AnswerLine, Attachment, Despatch, ReasonCode
    from prodsys.kit.db import Tx
    from prodsys.sales.model import Draft
    from prodsys.upkeep.opening import Instance


@click.group()
def draft() -> None:
    """Order drafts: look, approve, answer line by line, reject; take or decline changes; let go what is to be cancelled; despatch."""


@draft.command("list", epilog="Example: prodsys draft list --acceptance open")
@click.option("--acceptance", help="open, approved, rejected …")
@click.option("--validation", type=click.Choice(["clean", "issues", "refused"]))
@click.option("--partner", help="Only this partner's, by id or name.")
@click.option("--number", help="Only this order number, as the buyer spells it.")
@click.option("--all-revisions", is_flag=True, help="Also revisions that do not stand any more.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@say.as_json
def list_drafts(
    acceptance: str | None, validation: str | None, partner: str | None, number: str | None, all_revisions: bool, limit: int
) -> None:
    """Order drafts, newest first; of each order the revision that stands."""
    from prodsys.sales import store

    def page(tx: "Tx") -> Any:
        whose = meant(tx, partner) if partner else None
        return store.lists.page(
            tx,
            before=None,
            limit=limit,
            acceptance=acceptance,
            validation=validation,
            partner=whose,
            number=number,
            newest_only=not all_revisions,
        )

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(page)

    found = [one for _, one in guest.visit(story)]
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "NUMBER", "REV", "FROM", "DATE", "NET", "VALIDATION", "ACCEPTANCE", "OUR NUMBER"),
            [
                (
                    one.id,
                    one.number,
                    one.revision,
                    one.partner_name,
                    one.date,
                    f"{one.net} {one.currency}",
                    one.validation,
                    one.acceptance,
                    one.order_number,
                )
                for one in found
            ],
            "No order has arrived yet.",
        ),
    )


@draft.command(epilog="Example: prodsys draft show PO-1042")
@click.argument("draft", metavar="DRAFT")
@say.as_json
def show(draft: str) -> None:
    """One draft, by id or the buyer's number: every line as sent, with the match beside it."""
    from prodsys.sales import actions, store

    def look(tx: "Tx") -> "tuple[Draft, int]":
        seen = actions.whole(tx, _id(tx, draft))
        head = seen.summary
        standing = store.lists.page(tx, before=None, limit=1, partner=head.partner, number=head.number, newest_only=True)
        return seen, standing[0][1].revision if standing else head.revision

    async def story(instance: "Instance") -> "tuple[Draft, int]":
        return await instance.db.read(look)

    found, standing = guest.visit(story)
    say.answer(found, lambda: _words(found, standing))


@draft.command(epilog="Example: prodsys draft approve sd_…")
@click.argument("drafts", metavar="DRAFT...", nargs=-1, required=True)
@say.as_json
def approve(drafts: tuple[str, ...]) -> None:
    """Approve drafts, by id or the buyer's number: all of them, or none. The buyer hears of it a little later (PRODSYS_UNDO_SECONDS)."""
    from prodsys.sales import actions, answers
    from prodsys.scopes import CONSOLE

    def one(tx: "Tx", name: str, undo: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name))
        return answers.approve(tx, CONSOLE, seen.summary.id, seen.summary.etag, undo=undo)

    _answer(drafts, one, lambda answered: f"{answered.summary.number} is approved as {answered.summary.order_number}.")


@draft.command(epilog="Example: prodsys draft reject sd_… --reason 'We no longer sell this.'")
@click.argument("drafts", metavar="DRAFT...", nargs=-1, required=True)
@click.option("--reason", required=True, help="What the buyer will read.")
@say.as_json
def reject(drafts: tuple[str, ...], reason: str) -> None:
    """Reject drafts, by id or the buyer's number: all of them, or none."""
    from prodsys.sales import actions, answers
    from prodsys.scopes import CONSOLE

    def one(tx: "Tx", name: str, undo: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name))
        return answers.reject(tx, CONSOLE, seen.summary.id, seen.summary.etag, reason, undo=undo)

    _answer(drafts, one, lambda answered: f"{answered.summary.number} is rejected: {answered.reason}")


@draft.command(
    epilog="Examples: prodsys draft answer PO-1042 --deliver 10 40 2026-12-05 --deliver 10 60 2026-12-19 --reason 'Sold out' "
    "· prodsys draft answer PO-1042 --price 20 1.40 --substitute 30 A-310 --because 30 discontinued --refuse 40 --reason 'New list'"
)
@click.argument("draft", metavar="DRAFT")
@click.option(
    "--deliver", type=(str, str, str), multiple=True, metavar="LINE QUANTITY DATE", help="So much on that day; repeat it to split a line."
)
@click.option("--back-order", type=(str, str), multiple=True, metavar="LINE QUANTITY", help="So much later, without a day yet.")
@click.option("--price", type=(str, str), multiple=True, metavar="LINE PRICE", help="Another price for a line; may be repeated.")
@click.option("--substitute", type=(str, str), multiple=True, metavar="LINE ARTICLE", help="Which of our articles is offered instead.")
@click.option("--refuse", metavar="LINE", multiple=True, help="A line not accepted; may be repeated.")
@click.option(
    "--because",
    type=(str, str),
    multiple=True,
    metavar="LINE CODE",
    help="Why, for programs: out_of_stock, discontinued, price, quantity, date or other.",
)
@click.option("--reason", required=True, help="What the buyer will read.")
@say.as_json
def answer(draft: str, reason: str, **changes: Any) -> None:
    """Answer a draft with changes, line by line; other lines are accepted as ordered. The buyer accepts or disputes it."""
    from prodsys.sales import actions, answers
    from prodsys.scopes import CONSOLE

    try:
        lines = _changed_lines(reason[:500], **changes)
    except ValueError as fault:
        raise click.UsageError(f"{fault}.") from None
    if not lines:
        raise click.UsageError("Nothing is changed; `prodsys draft approve` takes the order as it stands.")

    def one(tx: "Tx", name: str, undo: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name))
        return answers.answer(tx, CONSOLE, seen.summary.id, seen.summary.etag, lines, reason, undo=undo)

    _answer([draft], one, lambda answered: f"{answered.summary.number} is answered with changes, as answer {answered.answer}.")


def _changed_lines(
    reason: str,
    *,
    deliver: Sequence[tuple[str, str, str]],
    back_order: Sequence[tuple[str, str]],
    price: Sequence[tuple[str, str]],
    substitute: Sequence[tuple[str, str]],
    refuse: Sequence[str],
    because: Sequence[tuple[str, str]],
) -> "list[AnswerLine]":
    """What was typed, as the lines of an answer. Raises ValueError where a number, day or code cannot be read."""
    from prodsys.documents import AnswerLine, LineAction, PromisedDelivery, Quantity, Substitute, UnitPrice

    promised: dict[str, list[PromisedDelivery]] = {}
    for line, quantity, day in deliver:
        so_much = PromisedDelivery(quantity=Quantity(Quantity.read(quantity)), date=dt.date.fromisoformat(day))
        promised.setdefault(line, []).append(so_much)
    later = {line: Quantity(Quantity.read(quantity)) for line, quantity in back_order}
    prices = {line: UnitPrice(UnitPrice.read(text)) for line, text in price}
    instead = {line: Substitute(article_number=number) for line, number in substitute}
    codes = {line: _code(code) for line, code in because}
    lines = {
        line: AnswerLine(
            line_id=line,
            action=LineAction.CHANGED,
            deliveries=promised.get(line, []),
            unit_price=prices.get(line),
            substitute=instead.get(line),
            back_order=later.get(line),
            reason_code=codes.get(line),
            reason=reason,
        )
        for line in dict.fromkeys([*promised, *later, *prices, *instead])
    }
    refused = [AnswerLine(line_id=line, action=LineAction.REJECTED, reason_code=codes.get(line), reason=reason) for line in refuse]
    if idle := codes.keys() - lines.keys() - set(refuse):
        raise ValueError(f"Line {', '.join(sorted(idle))} has a code but no change")
    return [*lines.values(), *refused]


def _code(word: str) -> "ReasonCode":
    from prodsys.documents import ReasonCode

    if word not in {*ReasonCode}:
        raise ValueError(f"--because: {word} is no code; take one of {', '.join(ReasonCode)}")
    return ReasonCode(word)


@draft.command(epilog="Example: prodsys draft undo PO-1042")
@click.argument("draft", metavar="DRAFT")
@say.as_json
def undo(draft: str) -> None:
    """Take an answer back before the buyer has heard of it; that is possible for PRODSYS_UNDO_SECONDS."""
    from prodsys.sales import actions, answers
    from prodsys.scopes import CONSOLE

    def one(tx: "Tx", name: str, _: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name)).summary
        return answers.take_back(tx, CONSOLE, seen.id, seen.etag)

    _answer([draft], one, lambda back: f"The answer to {back.summary.number} is taken back; it is {back.summary.acceptance}.")


@draft.command(epilog="Example: prodsys draft diff PO-1042")
@click.argument("draft", metavar="DRAFT")
@say.as_json
def diff(draft: str) -> None:
    """What a changed order changes, against the revision before it."""
    from prodsys.sales import revisions

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(lambda tx: revisions.difference(tx, _id(tx, draft)))

    found = guest.visit(story)
    rows = [("order", "changed", one.member, one.before, one.after) for one in found.head]
    rows += [(line.line_id, line.kind, one.member, one.before, one.after) for line in found.lines for one in line.changes]
    say.answer(
        found,
        lambda: [
            f"revision {found.before} → {found.after}",
            *say.table(("LINE", "WAS", "MEMBER", "BEFORE", "AFTER"), rows, "Nothing differs."),
        ],
    )


@draft.command(epilog="Example: prodsys draft apply PO-1042")
@click.argument("draft", metavar="DRAFT")
@say.as_json
def apply(draft: str) -> None:
    """Take a buyer's change of an order that was agreed: the new revision becomes the order, under its old number."""
    from prodsys.sales import actions, revisions
    from prodsys.scopes import CONSOLE

    def one(tx: "Tx", name: str, undo: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name)).summary
        return revisions.apply(tx, CONSOLE, seen.id, seen.etag, undo=undo)

    _answer([draft], one, lambda it: f"{it.summary.number} revision {it.summary.revision} is the order now, as {it.summary.order_number}.")


@draft.command(epilog="Example: prodsys draft keep PO-1042")
@click.argument("draft", metavar="DRAFT")
@say.as_json
def keep(draft: str) -> None:
    """Decline a buyer's change of an order that was agreed: it stays as it was."""
    from prodsys.sales import actions, revisions
    from prodsys.scopes import CONSOLE

    def one(tx: "Tx", name: str, undo: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name)).summary
        return revisions.keep(tx, CONSOLE, seen.id, seen.etag, undo=undo)

    _answer([draft], one, lambda kept: f"{kept.summary.number} stays as it was agreed; revision {kept.summary.revision} is declined.")


@draft.command(epilog="Example: prodsys draft match PO-1042 --line 20 --article A-200")
@click.argument("draft", metavar="DRAFT")
@click.option("--line", required=True, help="The marked line; `draft show` tells its number.")
@click.option("--article", required=True, help="Which of our articles it means, by number or id.")
@say.as_json
def match(draft: str, line: str, article: str) -> None:
    """Say which article a marked line means; it is remembered for this partner, and `prodsys mapping undo` forgets it."""
    from prodsys import errors
    from prodsys.articles import store as articles
    from prodsys.documents import plain
    from prodsys.sales import actions
    from prodsys.scopes import CONSOLE

    def one(tx: "Tx", name: str, _: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name)).summary
        known = articles.finding.by_id(tx, article) or articles.finding.by_numbers(tx, [plain(article)]).get(plain(article))
        if known is None:
            raise errors.NotFound(f"There is no article {article}.")
        return actions.say_which(tx, CONSOLE, seen.id, seen.etag, line, known.id)

    _answer([draft], one, lambda matched: f"Line {line} of {matched.summary.number} means {article}; remembered for this partner.")


@draft.command("picking-list", epilog="Example: prodsys draft picking-list PO-1042 --output shelves.pdf")
@click.argument("draft", metavar="DRAFT")
@click.option("-o", "--output", type=click.File("wb", lazy=True), required=True, help="Where to write it; - is the standard output.")
def picking_list(draft: str, output: Any) -> None:
    """What of an agreed order is still to go, on paper for the warehouse."""
    from prodsys import papers
    from prodsys.sales import picking

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(lambda tx: picking.to_pick(tx, _id(tx, draft)))

    wanted, ours, country = guest.visit(story)
    output.write(papers.picking_list_on_paper(wanted, ours, papers.language_of(country)).content)


@draft.command(epilog="Example: prodsys draft message PO-1042 'The drawing is of 2024; is there a newer one?' --line 10")
@click.argument("draft", metavar="DRAFT")
@click.argument("text")
@click.option("--line", default="", help="The line it is about.")
@say.as_json
def message(draft: str, text: str, line: str) -> None:
    """Say something to the buyer about an order, or one of its lines."""
    from prodsys.documents import plain
    from prodsys.sales import talking
    from prodsys.sales.talking import NewMessage
    from prodsys.scopes import CONSOLE

    if not plain(text) or len(text) > 4000:
        raise click.UsageError("A message has 1 to 4,000 characters.")

    async def story(instance: "Instance") -> Any:
        new = NewMessage(text=text, line_id=line)
        return await instance.db.write(lambda tx: talking.say(tx, CONSOLE, _id(tx, draft), new))

    said = guest.visit(story)
    say.answer(said, lambda: [f"Said to the buyer about {draft}{f', line {line}' if line else ''}."])


@draft.command(epilog="Example: prodsys draft cancellations")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@say.as_json
def cancellations(limit: int) -> None:
    """Orders a buyer wants cancelled and nobody of ours has answered yet."""
    from prodsys.sales import store

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(lambda tx: store.lists.page(tx, before=None, limit=limit, acceptance="cancel_requested"))

    found = [one for _, one in guest.visit(story)]
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "NUMBER", "REV", "FROM", "NET", "FULFILMENT", "OUR NUMBER"),
            [
                (one.id, one.number, one.revision, one.partner_name, f"{one.net} {one.currency}", one.fulfilment, one.order_number)
                for one in found
            ],
            "Nobody wants an order cancelled.",
        ),
    )


@draft.command(epilog="Example: prodsys draft cancellation PO-1042 --accept, or --refuse 'Already packed'")
@click.argument("draft", metavar="DRAFT")
@click.option("--accept", is_flag=True, help="Let the order be cancelled.")
@click.option("--refuse", metavar="REASON", help="Keep the order, with the reason the buyer will read.")
@say.as_json
def cancellation(draft: str, accept: bool, refuse: str | None) -> None:
    """Answer a buyer who wants an order cancelled."""
    from prodsys.sales import actions, cancelling
    from prodsys.scopes import CONSOLE

    if accept == (refuse is not None):
        raise click.UsageError("Say either --accept or --refuse.")

    def one(tx: "Tx", name: str, _: dt.timedelta) -> "Draft":
        seen = actions.whole(tx, _id(tx, name)).summary
        if refuse is None:
            return cancelling.accept(tx, CONSOLE, seen.id, seen.etag)
        return cancelling.refuse(tx, CONSOLE, seen.id, seen.etag, refuse[:500])

    said = "{} is cancelled, as the buyer asked." if refuse is None else "The cancellation of {} was refused; the order stands."
    _answer([draft], one, lambda answered: said.format(answered.summary.number))


@draft.command(epilog="Example: prodsys draft despatch PO-1042 --line 10 40 --carrier Bring --tracking-number 370000000000000000")
@click.argument("draft", metavar="DRAFT")
@click.option("--line", "lines", type=(str, str), multiple=True, required=True, metavar="LINE QUANTITY", help="How much of a line goes.")
@click.option("--number", default="", help="The despatch's number; without it the next of our series.")
@click.option("--carrier", default="")
@click.option("--tracking-number", default="")
@click.option("--last", is_flag=True, help="Nothing more of the order will come.")
@click.option("--attach", type=click.File("rb"), multiple=True, metavar="FILE", help="A delivery note or certificate; may be repeated.")
@say.as_json
def despatch(draft: str, lines: tuple[tuple[str, str], ...], last: bool, attach: tuple[BinaryIO, ...], **more: str) -> None:
    """Tell the buyer that goods of an order are on their way; in part, if you like. A negative quantity takes goods back.

    Safe to repeat with --number: told again with the same content, a despatch is the same one.
    """
    from prodsys.documents import DespatchLine, Exact
    from prodsys.sales import despatching
    from prodsys.sales.despatching import NewDespatch
    from prodsys.scopes import CONSOLE

    try:
        going = [DespatchLine(line_id=line, quantity=Exact.read(quantity)) for line, quantity in lines]
    except ValueError as fault:
        raise click.UsageError(f"--line: {fault}.") from None

    async def story(instance: "Instance") -> Any:
        named = [await _taken(instance, file) for file in attach]
        new = NewDespatch(
            lines=going,
            number=more["number"],
            carrier=more["carrier"],
            tracking_number=more["tracking_number"],
            is_last=last,
            attachments=named,
        )
        return await instance.db.write(lambda tx: despatching.despatch(tx, CONSOLE, _id(tx, draft), new))

    made = guest.visit(story)
    said = "is told to the buyer" if made.new else "was told before; nothing has changed"
    say.answer(made, lambda: [f"Despatch {made.number} of {draft} {said}.", *say.issues(made.issues)])


async def _taken(instance: "Instance", file: BinaryIO) -> "Attachment":
    import hashlib

    from prodsys.attachments import actions
    from prodsys.documents import Attachment
    from prodsys.scopes import CONSOLE

    content = file.read()
    sha256 = hashlib.sha256(content).hexdigest()

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    stored, _ = await actions.take(instance.db, CONSOLE, sha256, pieces())
    return Attachment(name=Path(file.name).name[:200], media_type=stored.media_type, size=stored.size, sha256=sha256)


def _answer(drafts: Sequence[str], one: "Callable[[Tx, str, dt.timedelta], Draft]", said: "Callable[[Draft], str]") -> None:
    async def story(instance: "Instance") -> "list[Draft]":
        undo = dt.timedelta(seconds=instance.settings.undo_seconds)
        return await instance.db.write(lambda tx: [one(tx, name, undo) for name in drafts])

    answered = guest.visit(story)
    say.answer(say.listed(answered), lambda: map(said, answered))


def _id(tx: "Tx", name: str) -> str:
    """A draft's id by what a person calls it. Raises NotFound, and WrongState when several partners use that number."""
    from prodsys import errors
    from prodsys.sales import store

    if name.startswith("sd_"):
        return name
    found = [one for _, one in store.lists.page(tx, before=None, limit=50, number=name) if one.is_newest]
    if not found:
        raise errors.NotFound(f"There is no draft {name}.")
    if len(found) > 1:
        raise errors.WrongState(
            f"More than one partner has sent an order {name}; name the draft by its id: {', '.join(one.id for one in found)}."
        )
    return found[0].id


def _words(found: "Draft", standing: int) -> list[str]:
    head = found.summary
    superseded = f"Superseded by revision {standing}." if standing > head.revision else f"Revision {standing} stands, not this one."
    agreed = "" if found.answered_net is None else f", {found.said_of_net} {found.answered_net}"
    return [
        f"{head.number} revision {head.revision} from {head.partner_name}, {head.date}, {head.net} {head.currency}{agreed}  ({head.id})",
        *([superseded] if standing != head.revision else []),
        f"validation {head.validation} · acceptance {head.acceptance} · fulfilment {head.fulfilment} · trace {head.trace_id}",
        *([f"our order number {head.order_number}"] if head.order_number else []),
        *say.table(
            ("LINE", "THEIR ARTICLE", "DESCRIPTION", "QUANTITY", "UNIT", "PRICE", "NET", "MATCH", "OUR ARTICLE", "NAME", "PRICE DIFFERS"),
            [
                (
                    line.line.line_id,
                    line.line.article_number,
                    line.line.description,
                    line.line.quantity,
                    line.line.unit,
                    line.line.unit_price,
                    line.net,
                    line.how,
                    line.article_number,
                    line.article_name,
                    f"{line.price_difference_percent} %" if line.price_difference_percent else "",
                )
                for line in found.lines
            ],
        ),
        *_answered_words(found),
        *map(_despatch_words, found.despatches),
        *say.messages(found.messages),
        *say.issues(found.issues),
    ]


def _despatch_words(one: "Despatch") -> str:
    by = f"{one.carrier} {one.tracking_number}".strip()
    gone = ", ".join(f"line {line.line_id} {line.quantity}" for line in one.lines)
    return f"despatch {one.number} of {one.date}{f', {by}' if by else ''}: {gone}{'; the last one' if one.is_last else ''}"


def _answered_words(found: "Draft") -> list[str]:
    if found.answered is None or not found.answered.lines:
        return []
    rows = []
    for line in found.answered.lines:
        promised = [f"{one.quantity}{f' on {one.date}' if one.date else ''}" for one in line.deliveries]
        promised += [f"{line.back_order} later"] if line.back_order is not None else []
        instead = line.substitute.article_number if line.substitute is not None else ""
        why = line.reason or line.reason_code or ""
        rows.append((line.line_id, line.action.name.lower(), promised, line.unit_price, instead, why))
    return [f"our answer {found.answer}:", *say.table(("LINE", "ANSWER", "DELIVERED", "PRICE", "INSTEAD", "WHY"), rows)]
