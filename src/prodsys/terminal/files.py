"""Files in and out: articles, contacts, backups."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.upkeep.backup import Locked
    from prodsys.upkeep.opening import Instance


@click.group()
def articles() -> None:
    """What we buy and sell."""


@articles.command("import", epilog="Example: prodsys articles import articles.csv   (header: number,name,unit,price,currency,gtin,active)")
@click.argument("file", type=click.File("rb"))
@click.option("--take-good", is_flag=True, help="Leave bad rows out instead of refusing the file.")
@say.as_json
def import_articles(file: Any, take_good: bool) -> None:
    """Create and change articles from a CSV or XLSX FILE; every bad row is named.

    Columns: number, name, unit, price, currency, gtin, active; also price_quantity, lead_time_days, minimum, multiple,
    and supplier with supplier_article_number. Others may stand there and are passed over.
    """
    from prodsys.articles import actions
    from prodsys.scopes import CONSOLE

    content = file.read()

    async def story(instance: "Instance") -> Any:
        return await actions.import_articles(instance.db, CONSOLE, content, take_good=take_good)

    _tell_imported("articles", guest.visit(story))


@articles.command("prices", epilog="Example: prodsys articles prices agreed.csv   (header: partner,article_number,price,currency)")
@click.argument("file", type=click.File("rb"))
@click.option("--take-good", is_flag=True, help="Leave bad rows out instead of refusing the file.")
@say.as_json
def import_prices(file: Any, take_good: bool) -> None:
    """Agree prices with partners from a CSV or XLSX FILE; they go before the list price.

    Columns: partner (id or name), article_number, price, currency; also from_quantity, valid_from, valid_to, price_quantity.
    """
    from prodsys.articles import actions
    from prodsys.scopes import CONSOLE

    content = file.read()

    async def story(instance: "Instance") -> Any:
        return await actions.import_agreed_prices(instance.db, CONSOLE, content, take_good=take_good)

    _tell_imported("agreed prices", guest.visit(story))


@click.group()
def contacts() -> None:
    """Suppliers and customers."""


@contacts.command("import", epilog="Example: prodsys contacts import contacts.csv --role customer")
@click.argument("file", type=click.File("rb"))
@click.option("--role", type=click.Choice(["supplier", "customer"]), help="What rows are to us that do not say so themselves.")
@say.as_json
def import_contacts(file: Any, role: Any) -> None:
    """Make and complete contacts from a CSV or XLSX FILE: all rows, or none with every bad row named."""
    from prodsys import errors
    from prodsys.contacts import actions, lists
    from prodsys.documents import Issue
    from prodsys.kit import sheets
    from prodsys.scopes import CONSOLE

    content = file.read()

    async def story(instance: "Instance") -> Any:
        table = await asyncio.to_thread(sheets.read_table, content, text_columns=lists.CODE_COLUMNS, required=("name",))
        if isinstance(table, sheets.BadFile):
            raise errors.BadFile(table.message, issues=[Issue(code=table.code, message=table.message, blocks=True)])
        return await instance.db.write(actions.import_rows, actions.read_rows(table), actor=CONSOLE.name, role=role)

    _tell_imported("contacts", guest.visit(story))


@contacts.command(epilog="Example: prodsys contacts duplicates")
@say.as_json
def duplicates() -> None:
    """Contacts that may be the same company, the likeliest first, and what speaks for it."""
    from prodsys.contacts import store

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(store.duplicates)

    found = guest.visit(story)
    say.answer(
        say.listed(found),
        lambda: say.table(
            ("SCORE", "SHARED", "ID", "NAME", "PARTNER"),
            [
                (group.score, [one.field for one in group.evidence], contact.id, contact.name, contact.partner)
                for group in found
                for contact in group.contacts
            ],
            "No two contacts share a number, a name or an e-mail address.",
        ),
    )


@contacts.command(epilog="Example: prodsys contacts merge ct_01KANQ… ct_01KANR… --fill-gaps")
@click.argument("contact", metavar="CONTACT")
@click.argument("into", metavar="INTO")
@click.option("--fill-gaps", is_flag=True, help="Take over what the kept card leaves empty.")
@say.as_json
def merge(contact: str, into: str, fill_gaps: bool) -> None:
    """Let INTO take the place of CONTACT: orders, proposals and the partner's link go there; there is no undo."""
    from prodsys.contacts import actions
    from prodsys.contacts.model import Merge
    from prodsys.scopes import CONSOLE

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(actions.merge, contact, Merge(into=into, fill_gaps=fill_gaps), actor=CONSOLE.name)

    done = guest.visit(story)

    def words() -> list[str]:
        moved = ", ".join(f"{count} of {column.partition('.')[0].replace('_', ' ')}" for column, count in done.moved.items()) or "nothing"
        taken = f" Taken over: {', '.join(done.filled)}." if done.filled else ""
        return [f"{done.kept.name} ({done.kept.id}) is kept; moved: {moved}.{taken}"]

    say.answer(done, words)


def _tell_imported(what: str, came: Any) -> None:
    left_out = f", {came.refused} {'row' if came.refused == 1 else 'rows'} left out" if getattr(came, "refused", 0) else ""
    say.answer(
        came,
        lambda: [f"{came.created} new {what}, {came.changed} changed, {came.unchanged} as before{left_out}.", *say.issues(came.issues)],
    )


@click.command(
    epilog="Examples: prodsys backup /backups/fjord-2026-11-21.db · prodsys backup FILE --with-key --passphrase-stdin < passphrase"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-key", is_flag=True, help="Put the vault's key in the file too, under a passphrase.")
@click.option("--passphrase-stdin", is_flag=True, help="Take the passphrase from standard input instead of asking for it.")
@say.as_json
def backup(file: Path, with_key: bool, passphrase_stdin: bool) -> None:
    """Copy the database to FILE while work goes on, checked and in one piece; an existing FILE is never overwritten."""
    from prodsys.upkeep import backup as backups

    known = guest.ready()
    passphrase = say.secret("passphrase", from_stdin=passphrase_stdin, twice=True) if with_key or passphrase_stdin else None

    async def story(instance: "Instance") -> Any:
        return await backups.backup(instance.db, instance.vault, file, passphrase=passphrase)

    made = guest.visit(story, settings=known)
    key = (
        "The vault's key is in it, under the passphrase." if made.has_key else "The vault's key is not in it; keep a copy of it elsewhere."
    )
    say.answer(made, lambda: [f"{made.file}, {made.size:,} bytes, checked.", key])


@click.command(epilog="Example: prodsys restore /backups/fjord-2026-11-21.db --with-key")
@click.argument("file", type=click.Path(exists=True, path_type=Path, dir_okay=False))
@click.option("--with-key", is_flag=True, help="Take the vault's key from the file too; its passphrase is asked for.")
@click.option("--passphrase-stdin", is_flag=True, help="Take the passphrase from standard input instead of asking for it.")
@click.option("--keep-numbers", is_flag=True, help="Nothing was done after the backup, as in a move: orders go on with the next number.")
@click.option("--yes", is_flag=True, help="Do not ask, whatever came after the backup.")
@say.as_json
def restore(file: Path, with_key: bool, passphrase_stdin: bool, keep_numbers: bool, yes: bool) -> None:
    """Put a backup in the database's place, once you have seen what came after it. The server must be stopped.

    The database replaced is kept beside.
    """
    from prodsys import settings
    from prodsys.kit.journal import configure
    from prodsys.upkeep import backup as backups

    known = settings.load()
    configure("warning", json=False)
    passphrase = say.secret("passphrase", from_stdin=passphrase_stdin) if with_key or passphrase_stdin else None
    try:
        gone = backups.dropped(file, known)
    except backups.NotReadable as fault:
        gone = []
        say.note(f"{fault} It is kept beside.")
    for one in gone:
        say.note(f"Not in the backup: {one.count} {one.what}, {one.earliest:%Y-%m-%d %H:%M} to {one.latest:%Y-%m-%d %H:%M} UTC.")
    if gone:
        say.must_agree("Put the backup in the database's place?", yes=yes)
    came = asyncio.run(backups.restore(file, known, passphrase=passphrase, keep_numbers=keep_numbers))

    def words() -> list[str]:
        lines = [f"The database is as it was on {came.made_at:%Y-%m-%d %H:%M} UTC, under a new epoch; partners read and compare anew."]
        if came.replaced:
            lines.append(f"The one before is kept as {came.replaced}.")
        return [*lines, backups.KEY_WORDS[came.key], *_new_life(came.numbers, came.credentials_needed)]

    say.answer(came, words)


@click.command(epilog="Example: pg_restore --clean --dbname=prodsys fjord.dump && prodsys restored")
@say.as_json
def restored() -> None:
    """Say that the database was put back by its own means, as with pg_restore, before serving again: begin a new life in it."""
    from prodsys.upkeep import backup as backups

    async def story(instance: "Instance") -> Any:
        every = instance.settings.answers_every_seconds
        return await instance.db.write(backups.begin_anew, instance.vault, "An older state of the database", answers_every=every)

    life = guest.visit(story)
    say.answer(
        life,
        lambda: ["A new epoch has begun; partners read and compare anew.", *_new_life(life.numbers, life.credentials_needed)],
    )


def _new_life(numbers: list[str], locked: "list[Locked]") -> list[str]:
    return [
        *([f"Partners remember the numbers given since, so numbers go on with {', '.join(numbers)}."] if numbers else []),
        *(f"  ! {one.name} ({one.id}): the token cannot be opened; enter it again with a new bundle." for one in locked),
        "Tokens and people ended since that day are good again: look through prodsys token list before serving.",
    ]
