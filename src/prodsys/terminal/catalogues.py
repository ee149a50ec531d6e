"""What suppliers offer us, and which of our numbers lead nowhere there."""

import sys
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.upkeep.opening import Instance


@click.group()
def catalogue() -> None:
    """Suppliers' catalogues: read them on, and see which of our numbers no longer match."""


@catalogue.command(epilog="Example: prodsys catalogue pull 'Fjord Lager AS'")
@click.argument("partner", metavar="PARTNER")
@say.as_json
def pull(partner: str) -> None:
    """Read the catalogue of a supplier, by id or name, on from where it was read last."""
    from prodsys.catalogue import actions
    from prodsys.partners import reaching
    from prodsys.scopes import CONSOLE

    shows = sys.stderr.isatty() and not say.wants_json()

    def watch(count: int) -> None:
        if shows:
            click.echo(f"\r{count:,} articles", nl=False, err=True)

    async def story(instance: "Instance") -> Any:
        way = reaching.way(instance.outbound, instance.vault, instance.settings)
        return await actions.pull(instance.db, way, await instance.db.read(meant, partner), actor=CONSOLE.name, watch=watch)

    came = guest.visit(story)
    if shows:
        click.echo(err=True)
    left_out = f", {came.unreadable} could not be read" if came.unreadable else ""
    say.answer(came, lambda: [came.fault or f"{came.articles} new or changed, {came.gone} no longer offered{left_out}."])
    if came.fault:
        say.end(say.REFUSED)


@catalogue.command(epilog="Example: prodsys catalogue mismatches --partner 'Fjord Lager AS'")
@click.option("--partner", default="", help="Only this supplier, by id or name.")
@say.as_json
def mismatches(partner: str) -> None:
    """Our articles whose number at a supplier leads nowhere there, and what may be meant."""
    from prodsys.catalogue import actions
    from prodsys.kit.db import Tx
    from prodsys.partners import store as partners

    def every(tx: Tx) -> Any:
        key = partners.by_id(tx, meant(tx, partner)).pk if partner else None
        found: list[Any] = []
        after: tuple[int, int] | None = (0, 0)
        while after is not None:
            some, after = actions.mismatches(tx, key, after, 100)
            found += some
        return found

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(every)

    found = guest.visit(story)
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("SUPPLIER", "OUR NUMBER", "NAME", "THEIR NUMBER", "WHY", "MAY BE"),
            [
                (
                    one.partner_name,
                    one.article_number,
                    one.name,
                    one.number,
                    one.why,
                    [f"{it.number} ({it.score})" for it in one.suggestions],
                )
                for one in found
            ],
            "Every number leads somewhere, in the catalogues that have been read.",
        ),
    )
