"""Orders leave for their suppliers, are watched on their way, and taken back."""

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.orders import ids_of

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.purchasing.model.exports import Export, ExportedOrder, Previewed
    from prodsys.upkeep.opening import Instance

LOOK_SECONDS = 0.5
"""How often a watched export is looked at."""
FAILED = ("refused", "dead")
UNDER_WAY = ("queued", "sending", "waiting")


@click.command(
    epilog="Examples: prodsys export PO-1042 PO-1043 --watch · prodsys export PO-1042 --dry-run · prodsys export --stop ex_01KANQ…"
)
@click.argument("orders", metavar="ORDER...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only ask the suppliers what would become of the orders; nothing is stored.")
@click.option("--stop", metavar="EXPORT", help="Take back what has not left yet of an export; `export` tells its id.")
@click.option("--watch", is_flag=True, help="Stay until every order has ended; where no server runs, deliver meanwhile.")
@say.as_json
def export(orders: tuple[str, ...], dry_run: bool, watch: bool, stop: str | None) -> None:
    """Export orders, by number or id, to their suppliers; what is not ready is refused with every reason.

    The running server delivers them. Where none runs they leave when one is started, or at once with --watch, which only watches those
    that are on their way already.
    """
    if stop is not None:
        if orders or dry_run or watch:
            raise click.UsageError("--stop takes one export back and nothing else.")
        _stop(stop)
        return
    if not orders:
        raise click.UsageError("Say which orders, by number or id.")
    if dry_run and watch:
        raise click.UsageError("--dry-run sends nothing, so there is nothing to watch.")
    if dry_run:
        _foretell(guest.visit(lambda instance: _previewed(instance, orders)))
        return
    if not watch:
        _tell_export(guest.visit(lambda instance: _promised(instance, orders)))
        return
    _tell_export(asyncio.run(_watched(orders)))


def _stop(export_id: str) -> None:
    from prodsys.purchasing import exporting
    from prodsys.scopes import CONSOLE

    def unit(tx: "Tx") -> "tuple[int, Export]":
        return exporting.stop(tx, CONSOLE, export_id), exporting.export_shown(tx, export_id)[0]

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit)

    count, made = guest.visit(story)
    say.note(f"{count} of {made.size} orders did not leave. What had left, or is under way at this moment, arrives.")
    say.answer(made, lambda: _export_words(made))


async def _previewed(instance: "Instance", orders: Sequence[str]) -> "list[Previewed]":
    from prodsys.purchasing import abroad, previewing
    from prodsys.scopes import CONSOLE

    ids = await instance.db.read(ids_of, orders)
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
        return exporting.export_shown(tx, exporting.export(tx, CONSOLE, ids_of(tx, orders), answers_every=every))[0]

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
        ids = await instance.db.read(ids_of, orders)
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


def _export_words(made: "Export") -> list[str]:
    lines = [f"{made.id}: {_counted(made)}"]
    for one in made.items:
        lines.append(f"{one.number}  {one.status}  trace {one.trace_id}{f'  {one.what_to_do}' if one.what_to_do else ''}")
        lines += say.issues(one.issues)
    if not made.is_settled:
        lines.append("The running server delivers them; where none runs, prodsys serve or prodsys export --watch does.")
    return lines


def _tell_export(made: "Export") -> None:
    say.answer(made, lambda: _export_words(made))
    if any(one.status in FAILED for one in made.items):
        say.end(say.REFUSED)


def _counted(made: "Export") -> str:
    counts = made.counts
    return ", ".join(f"{count} {word}" for word in counts.__struct_fields__ if (count := getattr(counts, word))) or "nothing"
