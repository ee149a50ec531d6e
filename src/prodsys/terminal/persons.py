"""What is kept of one person: taken out whole, or erased."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.upkeep.opening import Instance


@click.group()
def person() -> None:
    """A person's data, wherever they are kept."""


@person.command(epilog="Example: prodsys person export kari@nordlys.example --json")
@click.argument("email")
@say.as_json
def export(email: str) -> None:
    """Everything held about a person, by e-mail."""
    from prodsys.scopes import CONSOLE
    from prodsys.upkeep import persons

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(persons.export, CONSOLE, email)

    found = guest.visit(story)
    say.answer(
        found,
        lambda: [
            f"{found.email}: {', '.join(found.names) or 'no name'}, {'an account' if found.user else 'no account'}.",
            *(f"{one.kind} {one.id} {one.part}: {' · '.join(one.said)}" for one in found.mentions),
        ],
    )


@person.command(epilog="Example: prodsys person erase kari@nordlys.example --yes")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask; it cannot be undone.")
@say.as_json
def erase(email: str, yes: bool) -> None:
    """Erase a person's name, e-mail and phone everywhere; orders stay, without the person. It cannot be undone."""
    from prodsys.scopes import CONSOLE
    from prodsys.upkeep import persons

    if not yes:
        click.confirm(f"Erase {email} everywhere, for good?", abort=True, err=True)

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(persons.erase, CONSOLE, email)

    done = guest.visit(story)
    say.answer(done, lambda: [f"Erased in {done.records} records{', and the account is closed' if done.had_account else ''}."])
