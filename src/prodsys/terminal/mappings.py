"""Which article a partner's own number means, as somebody of ours has taught."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.upkeep.opening import Instance


@click.group()
def mapping() -> None:
    """Learned mappings: which article a partner's own number means, and how to forget it."""


@mapping.command("list", epilog="Example: prodsys mapping list --partner 'Nordlys Mekaniske AS'")
@click.option("--partner", help="Only those of this partner that hold, by id or name; without it all there ever were.")
@click.option("--number", default="", help="Only numbers that begin so; needs --partner.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@say.as_json
def list_mappings(partner: str | None, number: str, limit: int) -> None:
    """What was taught, by whom and when."""
    from prodsys.articles import actions, store
    from prodsys.documents import plain
    from prodsys.partners import store as partners

    if number and not partner:
        raise click.UsageError("A number means something at one partner; say which with --partner.")

    def page(tx: "Tx") -> Any:
        whose = partners.by_id(tx, meant(tx, partner)).pk if partner else None
        return [actions.mapping_shown(one) for one in store.mappings.after(tx, whose, ("", 0), limit, starts_with=plain(number))]

    async def story(instance: "Instance") -> Any:
        names = {one.id: one.name for one in await instance.db.read(partners.named)}
        return await instance.db.read(page), names

    found, names = guest.visit(story)
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("ID", "PARTNER", "THEIR NUMBER", "OUR ARTICLE", "PER UNIT", "TAUGHT BY", "ON", "UNDONE"),
            [
                (
                    one.id,
                    names.get(one.partner, one.partner),
                    one.their_number,
                    one.article_number,
                    f"{one.factor} per {one.unit}" if one.unit else one.factor,
                    one.author,
                    one.created_at,
                    one.undone_at,
                )
                for one in found
            ],
            "Nothing has been taught yet: prodsys draft match says which article a marked line means.",
        ),
    )


@mapping.command(epilog="Example: prodsys mapping undo mp_…")
@click.argument("id")
@say.as_json
def undo(id: str) -> None:
    """Forget what a partner's number was taught to mean; orders that were matched by it stay as they are."""
    from prodsys.articles import actions
    from prodsys.scopes import CONSOLE

    def unit(tx: "Tx") -> Any:
        return actions.mapping_explained(tx, actions.undo(tx, CONSOLE, id))

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit)

    undone = guest.visit(story)
    say.answer(undone, lambda: [f"{undone.their_number} no longer means {undone.article_number}. {undone.effect}".strip()])
