"""The people who may sign in."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.kit.db import Tx
    from prodsys.scopes import Role
    from prodsys.settings import Settings
    from prodsys.terminal.answers import HandedLink
    from prodsys.upkeep.opening import Instance
    from prodsys.users.model import Code, User

ROLES = click.Choice(["admin", "buyer", "seller", "viewer"])


@click.group()
def user() -> None:
    """Take in people, say what they may do, and let them choose a password."""


@user.command(epilog="Example: prodsys user create kari@fjord.example --name 'Kari Nordmann' --role seller --password-stdin")
@click.argument("email")
@click.option("--name", default="", help="As colleagues know the person; without it the e-mail's first half.")
@click.option("--role", "roles", multiple=True, type=ROLES, help="Repeat for each.")
@click.option("--scope", "words", multiple=True, help="Beside those of the roles; * is every one, and what is given without a role.")
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input instead of asking for it.")
@say.as_json
def create(email: str, name: str, roles: "tuple[Role, ...]", words: tuple[str, ...], password_stdin: bool) -> None:
    """Take in a person, with a password you hand over."""
    from prodsys.scopes import CONSOLE
    from prodsys.tokens.model import read_scopes
    from prodsys.users import actions, grouping, passwords

    known = guest.ready()
    scopes = read_scopes(words or (() if roles else ("*",)), partner=False)
    hashed = passwords.hashed(say.secret("password", from_stdin=password_stdin, twice=True))

    def take_in(tx: "Tx") -> "User":
        groups = grouping.groups_by_role(tx, roles)
        called = name or email.partition("@")[0]
        return actions.create(tx, CONSOLE, email=email, name=called, password=hashed, scopes=scopes, groups=groups)

    made = guest.visit(lambda instance: instance.db.write(take_in), settings=known)
    say.answer(made, lambda: [f"{made.email} may sign in, with {', '.join(made.carries) or 'no scope'}."])


@user.command(epilog="Example: prodsys user invite kari@fjord.example --name 'Kari Nordmann' --role seller")
@click.argument("email")
@click.option("--name", default="", help="As colleagues know the person; without it the e-mail's first half.")
@click.option("--role", "roles", multiple=True, type=ROLES, help="Repeat for each.")
@click.option("--scope", "words", multiple=True, help="Beside those of the roles; * is every one.")
@click.option("--language", type=click.Choice(["en", "nb", "de", "pl"]), default=None, help="Of the mail, and of the pages.")
@say.as_json
def invite(email: str, name: str, roles: "tuple[Role, ...]", words: tuple[str, ...], language: str | None) -> None:
    """Take in a person, who chooses the password by a link; it is mailed, or printed here when no mail server is set."""
    from prodsys.scopes import CONSOLE
    from prodsys.tokens.model import read_scopes
    from prodsys.users import grouping, inviting

    if not roles and not words:
        raise click.UsageError("Say what the person may do: --role buyer, --role seller, --role viewer or --role admin.")
    known = guest.ready()
    scopes = read_scopes(words, partner=False) if words else frozenset()

    def take_in(tx: "Tx") -> "Code":
        groups = grouping.groups_by_role(tx, roles)
        called = name or email.partition("@")[0]
        return inviting.invite(tx, CONSOLE, email=email, name=called, scopes=scopes, groups=groups, language=language or "")

    _hand_over(known, take_in)


@user.command(epilog="Examples: prodsys user reset kari@fjord.example · prodsys user reset kari@fjord.example --link")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Take the password from standard input instead of asking for it.")
@click.option("--link", "by_link", is_flag=True, help="Let the person choose it: mail a link, or print it when no mail server is set.")
@say.as_json
def reset(email: str, password_stdin: bool, by_link: bool) -> None:
    """Give a person another password; every sign-in made with the old one ends."""
    from prodsys import app
    from prodsys.scopes import CONSOLE
    from prodsys.users import actions, inviting, passwords

    if by_link and password_stdin:
        raise click.UsageError("Either --link or --password-stdin.")
    known = guest.ready()
    if by_link:
        _hand_over(known, lambda tx: inviting.new_link(tx, CONSOLE, _named(tx, email)))
        return
    hashed = passwords.hashed(say.secret("password", from_stdin=password_stdin, twice=True))

    def change(tx: "Tx") -> str:
        person = _named(tx, email)
        actions.set_password(tx, CONSOLE, person, hashed, app.sessions())
        return actions.one(tx, person).email

    changed = guest.visit(lambda instance: instance.db.write(change), settings=known)
    say.answer({"email": changed}, lambda: [f"{changed} has a new password, and every sign-in has ended."])


@user.command(epilog="Examples: prodsys user change kari@fjord.example --role admin · prodsys user change kari@fjord.example --inactive")
@click.argument("email")
@click.option("--name", default=None, help="As colleagues know the person.")
@click.option("--role", "roles", multiple=True, type=ROLES, help="Repeat for each; what is not named is taken away.")
@click.option("--scope", "words", multiple=True, help="Own scopes beside those of the roles; * is every one, '' none.")
@click.option("--active/--inactive", "is_active", default=None, help="Whether the person may sign in; who may not is signed out.")
@say.as_json
def change(email: str, name: str | None, roles: "tuple[Role, ...]", words: tuple[str, ...], is_active: bool | None) -> None:
    """Say anew what a person may do, and whether he may sign in."""
    from msgspec import UNSET

    from prodsys import app
    from prodsys.scopes import CONSOLE
    from prodsys.tokens.model import read_scopes
    from prodsys.users import actions, grouping
    from prodsys.users.model import UserPatch

    known = guest.ready()
    scopes = sorted(read_scopes(words, partner=False)) if any(words) else []

    def alter(tx: "Tx") -> "User":
        patch = UserPatch(
            name=name or UNSET,
            is_active=UNSET if is_active is None else is_active,
            scopes=scopes if words else UNSET,
            groups=grouping.groups_by_role(tx, roles) if roles else UNSET,
        )
        return actions.change(tx, CONSOLE, _named(tx, email), patch, app.sessions(), if_match="*")

    changed = guest.visit(lambda instance: instance.db.write(alter), settings=known)
    say.answer(changed, lambda: _rows([changed]))


@user.command("list", epilog="Example: prodsys user list --json")
@say.as_json
def list_() -> None:
    """Everybody who may, or might, sign in."""
    from prodsys.users import store

    def all_of(tx: "Tx") -> "list[User]":
        found: list[tuple[int, User]] = []
        while page := store.people.listed(tx, limit=500, after=found[-1][0] if found else None):
            found += page
        return [one for _, one in found]

    async def story(instance: "Instance") -> "list[User]":
        return await instance.db.read(all_of)

    people = guest.visit(story)
    say.answer(say.listed(people), lambda: _rows(people))


def _rows(people: "Sequence[User]") -> list[str]:
    return say.table(
        ["E-mail", "Name", "Groups", "State", "Last sign-in"],
        [
            [
                one.email,
                one.name,
                ", ".join(group.name for group in one.groups) or f"{len(one.scopes)} scopes of his own",
                "invited" if one.is_invited else "active" if one.is_active else "closed",
                f"{one.signed_in_at:%Y-%m-%d %H:%M}" if one.signed_in_at else "never",
            ]
            for one in people
        ],
    )


def _named(tx: "Tx", email: str) -> str:
    from prodsys import errors
    from prodsys.users import model, store

    person = store.people.by_email(tx, model.email_key(email))
    if person is None:
        raise errors.NotFound(f"There is no user {email}.")
    return person.id


def _hand_over(known: "Settings", make: "Callable[[Tx], Code]") -> None:
    from prodsys import app
    from prodsys.terminal.answers import HandedLink

    async def story(instance: "Instance") -> "HandedLink":
        code = await instance.db.write(make)
        sent = await app.letters_of(instance).hand_over(code)
        email = code.user.email if code.user else ""
        return HandedLink(email=email, link=sent.link, is_mailed=sent.is_mailed, trouble=sent.trouble, expires_at=code.expires_at)

    handed: Any = guest.visit(story, settings=known)

    def told() -> list[str]:
        until = f"{handed.expires_at:%Y-%m-%d %H:%M} UTC"
        if handed.is_mailed:
            return [f"A link to choose a password was mailed to {handed.email}; it is good once, until {until}."]
        why = [f"It could not be mailed: {handed.trouble}"] if handed.trouble else []
        return [*why, f"Hand this link to {handed.email}; it is good once, until {until}:", handed.link]

    say.answer(handed, told)
