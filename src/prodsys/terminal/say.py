"""How the command line answers: words and tables for a person, JSON for a program, refusals on stderr."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import rich_click as click
from click import Context, Parameter, get_current_context
from click.termui import prompt

F = TypeVar("F", bound=Callable[..., Any])

DONE, REFUSED, MISUSED, UNREACHABLE = 0, 1, 2, 3
_JSON = "prodsys.json"


def as_json(command: F) -> F:
    """Give a verb the option `--json`."""
    option = click.option("--json", is_flag=True, expose_value=False, callback=_note_json, help="Answer with one line of JSON.")
    return option(command)


def wants_json() -> bool:
    """Whether a program reads the answer."""
    return bool(get_current_context().meta.get(_JSON))


def answer(told: Any, words: Callable[[], Iterable[str]]) -> None:
    """Print what came of a verb: the whole of it as JSON, or the words for a person."""
    if wants_json():
        click.echo(written(told))
    else:
        for line in words():
            click.echo(line)


def written(told: Any) -> str:
    """A value as one line of JSON."""
    import msgspec

    from prodsys import documents

    return msgspec.json.encode(told, enc_hook=documents.write_exact).decode()


def note(line: str) -> None:
    """Tell a person something beside the answer."""
    click.echo(line, err=True)


def end(code: int) -> NoReturn:
    """Leave with this exit code, after the answer has been given."""
    get_current_context().exit(code)


def table(head: Sequence[str], rows: Iterable[Sequence[object]], none: str = "There are none.") -> list[str]:
    """Rows in columns as wide as they need to be."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return [none]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in [list(head), *cells]]


def listed(items: Sequence[Any]) -> dict[str, Any]:
    """A list in the form the API gives it; `next` is null, since a command has no cursor."""
    return {"items": items, "next": None}


def issues(found: Iterable[Any]) -> list[str]:
    """Issues, one line each."""
    return [
        f"  {'✗' if issue.blocks else '!'} {_with_values(issue)}{f'  ({issue.code} at {issue.pointer})' if issue.pointer else ''}"
        for issue in found
    ]


def messages(said: Iterable[Any]) -> list[str]:
    """What two companies said to each other about an order, one line each."""
    return [
        f"{one.at:%Y-%m-%d %H:%M} {one.author}{f' on line {one.line_id}' if one.line_id else ''}: {' '.join(one.text.split())}"
        for one in said
    ]


def secret(what: str, *, from_stdin: bool, twice: bool = False) -> str:
    """A secret from standard input, or typed by the person who watches; it is never an argument, which others can read."""
    if from_stdin:
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise click.UsageError(f"Standard input holds no {what}.")
        return line
    if not sys.stdin.isatty():
        raise click.UsageError(f"Nobody is here to type the {what}; give it on standard input with --{what}-stdin.")
    typed: str = prompt(what.capitalize(), hide_input=True, confirmation_prompt=twice, err=True)
    return typed


def must_agree(question: str, *, yes: bool) -> None:
    """Ask before something is done that cannot be undone; `yes` is the answer given beforehand. Raises click.Abort, click.UsageError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is here to be asked; if this is what you want, type it again with --yes.")
    click.confirm(question, abort=True, err=True)


def refused(fault: Exception) -> int | None:
    """Print why a verb was refused, and the exit code that says so; None for a fault of ours, which is to be seen whole."""
    from prodsys import errors

    if isinstance(fault, errors.Refusal):
        _tell_refusal(fault)
        return UNREACHABLE if isinstance(fault, errors.PartnerUnreachable | errors.StorageUnavailable) else REFUSED
    code = _code_of(fault)
    if code is not None:
        note(_sentence(fault))
    return code


def _code_of(fault: Exception) -> int | None:
    import sqlalchemy.exc

    from prodsys.kit.db import DatabaseInUse
    from prodsys.kit.vault import VaultLocked, WeakPassphrase
    from prodsys.settings import SettingsFault
    from prodsys.terminal.guest import NoInstance
    from prodsys.upkeep import backup, upgrade

    match fault:
        case SettingsFault():
            return MISUSED
        case DatabaseInUse() | NoInstance() | VaultLocked() | WeakPassphrase() | backup.CannotBackUp() | backup.CannotRestore():
            return REFUSED
        case upgrade.NewerDatabase() | upgrade.CannotCopy() | upgrade.NotUpgraded():
            return REFUSED
        case PermissionError():
            return REFUSED
        case OSError() if fault.filename is not None:  # a folder that cannot be made, a disk that may only be read
            return REFUSED
        case sqlalchemy.exc.DBAPIError() if _is_out_of_order(fault):
            return UNREACHABLE
        case _:
            return None


def _is_out_of_order(fault: Any) -> bool:
    """Whether the database itself is away or damaged; any other fault of a statement is ours."""
    import sqlalchemy.exc

    return isinstance(fault, sqlalchemy.exc.OperationalError) or type(fault) is sqlalchemy.exc.DatabaseError


def _sentence(fault: Exception) -> str:
    if isinstance(fault, PermissionError):
        return f"{fault.filename}: {fault.strerror}. Run this as the user whose instance it is."
    if isinstance(fault, OSError) and fault.filename is not None:
        return f"{fault.filename}: {fault.strerror}. PRODSYS_HOME names the folder of the instance; it must be there and writable."
    orig = getattr(fault, "orig", None)
    if orig is not None:
        return f"The database cannot be used: {str(orig).splitlines()[0]}. `prodsys doctor` looks closer."
    return str(fault) or (type(fault).__doc__ or "").strip()


def _tell_refusal(refusal: Any) -> None:
    if wants_json():
        problem = {"code": refusal.code, "title": refusal.title(), "detail": refusal.detail, "issues": refusal.issues}
        note(written(problem))
        return
    said = refusal.detail or refusal.title()
    if said not in (issue.message for issue in refusal.issues):
        note(said)
    for line in issues(refusal.issues):
        note(line)


def _with_values(issue: Any) -> str:
    # Faults of rows keep their values apart from the sentence, so that it can be said in any language.
    text: str = issue.message
    for name, value in issue.params.items():
        text = text.replace("{" + name + "}", value)
    return f"row {issue.params['row']}: {text}" if "row" in issue.params else text


def _cell(value: object) -> str:
    import datetime as dt

    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case dt.datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(_cell, value)) or "-"
        case _:
            return " ".join(str(value).split())


def _note_json(context: Context, _: Parameter, wanted: bool) -> None:
    if wanted:
        context.meta[_JSON] = True
