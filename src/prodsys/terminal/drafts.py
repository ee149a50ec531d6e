"""The order drafts partners have sent us, and our answers to them."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.app import Instance
    from prodsys.kit.db import Tx
    from prodsys.sales.model import Draft


@click.group()
def draft() -> None:
    """Order drafts: look, approve, reject."""


@draft.command("list", epilog="Example: prodsys draft list --acceptance open")
@click.option("--acceptance", help="open, approved, rejected …")
@click.option("--validation", type=click.Choice(["clean", "issues", "refused"]))
@click.option("--partner", help="Only this partner's, by id or name.")
@click.option("--number", help="Only this order number, as the buyer spells it.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@say.as_json
def list_drafts(acceptance: str | None, validation: str | None, partner: str | None, number: str | None, limit: int) -> None:
    """Order drafts, newest first."""
    from prodsys.sales import store

    def page(tx: "Tx") -> Any:
        whose = meant(tx, partner) if partner else None
        return store.page(tx, before=None, limit=limit, acceptance=acceptance, validation=validation, partner=whose, number=number)

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
    from prodsys.sales import actions

    async def story(instance: "Instance") -> "Draft":
        return await instance.db.read(lambda tx: actions.whole(tx, _id(tx, draft)))

    found = guest.visit(story)
    say.answer(found, lambda: _words(found))


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
    found = [one for _, one in store.page(tx, before=None, limit=50, number=name) if one.is_newest]
    if not found:
        raise errors.NotFound(f"There is no draft {name}.")
    if len(found) > 1:
        raise errors.WrongState(
            f"More than one partner has sent an order {name}; name the draft by its id: {', '.join(one.id for one in found)}."
        )
    return found[0].id


def _words(found: "Draft") -> list[str]:
    head = found.summary
    return [
        f"{head.number} revision {head.revision} from {head.partner_name}, {head.date}, {head.net} {head.currency}  ({head.id})",
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
        *say.issues(found.issues),
    ]
