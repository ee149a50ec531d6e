"""The integration log, as it stands in both companies under one trace id."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say
from prodsys.terminal.partners import meant

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.logs.model import Changed, Logged
    from prodsys.upkeep.opening import Instance

FOLLOW_SECONDS = 1.0
PAGE = 200
_TRACE = re.compile(r"[0-9a-f]{32}")


@click.group()
def logs() -> None:
    """What happened, with whom, and what to do about it."""


@logs.command(epilog="Examples: prodsys logs tail --follow · prodsys logs tail --trace 4bf92f3577b34da6a3ce929d0e0e4736")
@click.option("-n", "--lines", type=click.IntRange(1, 500), default=20, show_default=True, help="How many of the newest.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until Ctrl-C; with --json one entry a line.")
@click.option("--trace", help="Only this trace id; it is the same at both companies.")
@click.option("--level", type=click.Choice(["info", "warning", "error"]))
@click.option("--code", help="Only this word, as order.received.")
@click.option("--partner", help="Only this partner's, by id or name.")
@click.option("--number", help="Only this order number, as the buyer spells it.")
@say.as_json
def tail(lines: int, follow: bool, trace: str | None, level: str | None, code: str | None, partner: str | None, number: str | None) -> None:
    """The newest entries, oldest of them first."""
    from prodsys.logs import store

    def newest(tx: "Tx", limit: int) -> "list[tuple[int, Logged]]":
        whose = meant(tx, partner) if partner else None
        return store.page(tx, before=None, limit=limit, trace_id=trace, level=level, code=code, partner=whose, number=number)

    async def story(instance: "Instance") -> None:
        found = await instance.db.read(newest, lines)
        seen = found[0][0] if found else 0
        _show([one for _, one in reversed(found)], follow=follow)
        while follow:
            await asyncio.sleep(FOLLOW_SECONDS)
            fresh = [row for row in await instance.db.read(newest, PAGE) if row[0] > seen]
            seen = fresh[0][0] if fresh else seen
            _show([one for _, one in reversed(fresh)], follow=True)

    try:
        guest.visit(story)
    except KeyboardInterrupt:
        return


@logs.command(epilog="Example: prodsys logs show lg_…")
@click.argument("entry", metavar="ENTRY|TRACE")
@say.as_json
def show(entry: str) -> None:
    """One entry with the documents that were exchanged; or, by trace id, everything that belongs together."""
    from prodsys import errors
    from prodsys.logs import store

    async def story(instance: "Instance") -> Any:
        if _TRACE.fullmatch(entry):
            return [one for _, one in reversed(await instance.db.read(store.page, before=None, limit=500, trace_id=entry))]
        return await instance.db.read(store.one, entry)

    found = guest.visit(story)
    if not found:
        raise errors.NotFound(f"There is no log entry {entry}.")
    if isinstance(found, list):
        say.answer(say.listed(found), lambda: _lines(found))
        return
    bodies = [f"{name}:\n{text}" for name, text in (("request", found.request), ("response", found.response)) if text]
    say.answer(found, lambda: [*_lines([found]), f"subject {found.subject or '-'} · by {found.actor or '-'}", *bodies])


@logs.command(epilog="Example: prodsys logs replay lg_…")
@click.argument("entry", metavar="ENTRY|TRACE")
@say.as_json
def replay(entry: str) -> None:
    """Send the order an entry, or a trace id, is about again by today's rules; under its own number and revision it is there only once."""
    from prodsys.logs import store
    from prodsys.purchasing import exporting, replaying
    from prodsys.scopes import CONSOLE

    def unit(tx: "Tx", answers_every: int) -> Any:
        meant_entry = entry
        if _TRACE.fullmatch(entry):
            found = [one for _, one in store.page(tx, before=None, limit=500, trace_id=entry)]
            meant_entry = next((one.id for one in found if one.subject.startswith("po_")), found[0].id if found else entry)
        return exporting.export_shown(tx, replaying.replay_entry(tx, CONSOLE, meant_entry, answers_every=answers_every))[0]

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit, instance.settings.answers_every_seconds)

    made = guest.visit(story)
    say.answer(made, lambda: [f"Order {made.items[0].number} is sent again; the export is {made.id}."])


@logs.command(epilog="Example: prodsys logs changes --kind token")
@click.option("-n", "--lines", type=click.IntRange(1, 500), default=20, show_default=True, help="How many of the newest.")
@click.option("--kind", help="Only changes of such things: token, partner, user, module, contact, mapping …")
@click.option("--subject", help="Only changes of this one, by id.")
@click.option("--actor", help="Only changes made by this person or token.")
@say.as_json
def changes(lines: int, kind: str | None, subject: str | None, actor: str | None) -> None:
    """Who changed what from what to what, newest first."""
    from prodsys.logs import store

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(store.changes_page, before=None, limit=lines, kind=kind, subject=subject, actor=actor)

    found = [one for _, one in guest.visit(story)]
    say.answer(say.listed(found), lambda: _changed(found))


def _changed(found: "Sequence[Changed]") -> Iterator[str]:
    for one in found:
        yield f"{one.at:%Y-%m-%d %H:%M:%S}  {one.kind:<12}  {one.subject}  {one.what}"
        if one.before is not None and one.after is not None:
            for name, value in one.after.items():
                yield f"    {name}: {one.before.get(name)} → {value}"


def _show(found: "Sequence[Logged]", *, follow: bool) -> None:
    if not follow:
        say.answer(say.listed(found), lambda: list(_lines(found)) or ["No entry is like that."])
        return
    for one in found:
        say.answer(one, lambda one=one: _lines([one]))  # type: ignore[misc]


def _lines(found: "Sequence[Logged]") -> Iterator[str]:
    for one in found:
        level = "" if one.level == "info" else f"{one.level}  "
        ids = f"[{one.trace_id or '-'}]  {one.id}"
        yield f"{one.at:%Y-%m-%d %H:%M:%S}  {_ARROWS[one.direction]}  {one.code:<24}  {level}{one.message}  {ids}"
        yield from say.issues(one.issues)


_ARROWS = {"in": "←", "out": "→", "here": "·"}
