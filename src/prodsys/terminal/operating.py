"""What an operator looks after: modules, settings, health, the contract."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from prodsys.terminal import guest, say

if TYPE_CHECKING:
    from prodsys.terminal.answers import Setting
    from prodsys.upkeep.opening import Instance


@click.group()
def module() -> None:
    """Extensions, on or off."""


@module.command(epilog="Example: prodsys module on prodsys-to-prodsys")
@click.argument("name")
@say.as_json
def on(name: str) -> None:
    """Switch an extension on; the answer lists what it still lacks."""
    _switch(name, on=True)


@module.command(epilog="Example: prodsys module off prodsys-to-prodsys")
@click.argument("name")
@say.as_json
def off(name: str) -> None:
    """Switch an extension off: partners' orders are refused, ours wait, nothing is lost."""
    _switch(name, on=False)


@module.command("list", epilog="Example: prodsys module list")
@say.as_json
def list_modules() -> None:
    """Every extension."""
    from prodsys.modules import api

    async def story(instance: "Instance") -> Any:
        return await instance.db.read(api.shown, instance.settings.public_url)

    found = guest.visit(story)
    rows = [(one.name, "on" if one.is_on else "off", one.changed_by, [issue.code for issue in one.missing]) for one in found]
    say.answer(say.listed(found), lambda: say.table(("NAME", "IS", "SWITCHED BY", "STILL MISSING"), rows))


def _switch(name: str, *, on: bool) -> None:
    from prodsys.kit.db import Tx
    from prodsys.modules import api, store
    from prodsys.scopes import CONSOLE

    def unit(tx: Tx, public_url: str) -> Any:
        store.set_on(tx, name, on, CONSOLE.name)
        return next(one for one in api.shown(tx, public_url) if one.name == name)

    async def story(instance: "Instance") -> Any:
        return await instance.db.write(unit, instance.settings.public_url)

    switched = guest.visit(story)
    missing = say.issues(switched.missing) if switched.is_on else []
    say.answer(switched, lambda: [f"{switched.title} is {'on' if switched.is_on else 'off'}.", *missing])


@click.command(epilog="Example: prodsys doctor --json")
@say.as_json
def doctor() -> None:
    """Look at everything an operator should know of; each line says what to do. Exit code 1 when something has to be mended now."""
    import asyncio

    from prodsys import settings
    from prodsys.kit.journal import configure
    from prodsys.upkeep import doctor as rounds

    known = settings.load()
    configure("error", json=False)
    found = asyncio.run(rounds.examine(known))
    marks = {"ok": "✓", "warn": "!", "fail": "✗"}
    say.answer(
        say.listed(found),
        lambda: [f"{marks[one.verdict]} {one.sentence}{f'  → {one.what_to_do}' if one.what_to_do else ''}" for one in found],
    )
    if any(one.verdict == "fail" for one in found):
        say.end(say.REFUSED)


@click.group()
def config() -> None:
    """Settings: PRODSYS_* in the environment over the file PRODSYS_CONFIG names over the defaults."""


@config.command("show", epilog="Example: prodsys config show --json")
@say.as_json
def show_config() -> None:
    """Every setting, its value and where it comes from."""
    found = _in_force()
    rows = [(one.variable, one.value, one.origin, one.description) for one in found]
    say.answer(say.listed(found), lambda: say.table(("SETTING", "VALUE", "FROM", ""), rows))


@config.command(epilog="Example: prodsys config check && systemctl restart prodsys")
@say.as_json
def check() -> None:
    """Whether the settings can be used; exit code 2 with the reason when not."""
    from prodsys import settings

    known = settings.load()
    say.answer({"usable": True, "home": known.home}, lambda: ["The settings can be used."])


@click.command(epilog="Examples: prodsys openapi > contract.json · prodsys openapi --check")
@click.option("--write", is_flag=True, help="Write it to openapi/prodsys.json of this checkout.")
@click.option("--check", is_flag=True, help="Compare it with openapi/prodsys.json; exit code 1 when they differ.")
@click.option("--version", type=click.Choice(["3.1", "3.0"]), default="3.1", show_default=True, help="3.0 for generators that know no 3.1.")
def openapi(write: bool, check: bool, version: str) -> None:
    """The contract of the API as an OpenAPI document, on standard output."""
    import msgspec

    if write or check:
        if version != "3.1":
            raise click.UsageError("The committed contract is 3.1.")
        _commit(msgspec.json.format(_contract(version), indent=2) + b"\n", write=write)
        return
    click.echo(msgspec.json.format(_contract(version), indent=2).decode())


def _contract(version: str) -> bytes:
    """The contract of an app with no company in it: what stands in it does not depend on anybody's data."""
    import asyncio
    from tempfile import TemporaryDirectory

    from prodsys import app
    from prodsys.kit.web import write_openapi
    from prodsys.settings import Settings

    async def story(home: str) -> bytes:
        async with app.opened(Settings(home=home), serving=False) as instance:
            return write_openapi(app.create_app(instance), version)

    with TemporaryDirectory() as home:
        return asyncio.run(story(home))


def _commit(contract: bytes, *, write: bool) -> None:
    import prodsys

    file = Path(prodsys.__file__).parents[2] / "openapi" / "prodsys.json"
    before = file.read_bytes() if file.exists() else b""
    if write:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(contract)
        click.echo(f"openapi/prodsys.json {'is as it was' if contract == before else 'is written'}.")
    elif contract != before:
        say.note("openapi/prodsys.json is not the contract of this code. Run: prodsys openapi --write")
        say.end(say.REFUSED)
    else:
        click.echo("openapi/prodsys.json is the contract of this code.")


def _in_force() -> "list[Setting]":
    import os
    from typing import get_args

    import msgspec
    from sqlalchemy import make_url

    from prodsys import settings
    from prodsys.terminal.answers import Setting

    known = settings.load()
    file = os.environ.get("PRODSYS_CONFIG")
    in_file = msgspec.toml.decode(Path(file).read_bytes()) if file else {}
    found = []
    for field in msgspec.structs.fields(settings.Settings):
        variable = f"PRODSYS_{field.name.upper()}"
        origin = "environment" if variable in os.environ else file if file and field.name in in_file else "default"
        value = str(getattr(known, field.name))
        if field.name == "database_url" and value:
            value = make_url(value).render_as_string(hide_password=True)
        elif field.name.endswith("password") and value:
            value = "***"
        told = [meta.description for meta in get_args(field.type) if isinstance(meta, msgspec.Meta) and meta.description]
        found.append(Setting(name=field.name, variable=variable, value=value, origin=origin, description=" ".join(told)))
    return found
