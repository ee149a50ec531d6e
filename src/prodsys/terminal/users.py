"""The people who may sign in."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.upkeep.opening import Instance


@click.group()
def user() -> None:
    """Take in people, and give them another password."""


@user.command(epilog="Example: prodsys user create kari@fjord.example --name 'Kari Nordmann' --scope SalesOrders:Read --password-stdin")
@click.argument("email")
@click.option("--name", default="", help="As colleagues know the person; without it the e-mail's first half.")
@click.option("--scope", "words", multiple=True, default=("*",), show_default=True, help="Repeat for each; * is every one.")
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input instead of asking for it.")
@say.as_json
def create(email: str, name: str, words: tuple[str, ...], password_stdin: bool) -> None:
    """Take in a person."""
    from prodsys.scopes import CONSOLE
    from prodsys.tokens.model import read_scopes
    from prodsys.users import actions, passwords

    known = guest.ready()
    scopes = read_scopes(words, partner=False)
    hashed = passwords.hashed(say.secret("password", from_stdin=password_stdin, twice=True))

    async def story(instance: "Instance") -> Any:
        called = name or email.partition("@")[0]
        return await instance.db.write(actions.create, CONSOLE, email=email, name=called, password=hashed, scopes=scopes)

    made = guest.visit(story, settings=known)
    say.answer(made, lambda: [f"{made.email} may sign in, with {', '.join(made.scopes)}."])


@user.command(epilog="Example: prodsys user reset kari@fjord.example")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input instead of asking for it.")
@say.as_json
def reset(email: str, password_stdin: bool) -> None:
    """Give a person another password; every sign-in made with the old one ends."""
    from prodsys import app, errors
    from prodsys.scopes import CONSOLE
    from prodsys.users import actions, model, passwords, store

    known = guest.ready()
    hashed = passwords.hashed(say.secret("password", from_stdin=password_stdin, twice=True))

    def change(tx: "Tx") -> str:
        person = store.by_email(tx, model.email_key(email))
        if person is None:
            raise errors.NotFound(f"There is no user {email}.")
        actions.set_password(tx, CONSOLE, person.id, hashed, app.sessions())
        return person.email

    async def story(instance: "Instance") -> str:
        return await instance.db.write(change)

    changed = guest.visit(story, settings=known)
    say.answer({"email": changed}, lambda: [f"{changed} has a new password, and every sign-in has ended."])
