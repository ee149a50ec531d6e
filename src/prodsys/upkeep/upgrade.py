"""Brings a database to this version's schema, after putting a copy aside; a newer database is refused in words."""

import re
import sqlite3
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, create_engine, inspect, make_url, text
from sqlalchemy.engine import URL

import prodsys
from prodsys.kit.clock import now


class NewerDatabase(Exception):
    """This database was written by a newer ProdSys; start that version, or restore the copy made before the upgrade."""


class CannotCopy(Exception):
    """No copy could be put aside before the upgrade, so nothing was changed; make room on the disk and start again."""


class NotUpgraded(Exception):
    """This database has the schema of an older ProdSys; `prodsys migrate` brings it up, `prodsys serve` does so by itself."""


def folder() -> Path:
    """Where the migrations are: beside the package in a checkout, inside it in an installed wheel (rulings.md, 9)."""
    inside = Path(prodsys.__file__).parent / "migrations"
    return inside if inside.is_dir() else Path(prodsys.__file__).parents[2] / "migrations"


@cache
def chain() -> tuple[str, ...]:
    """All revisions, oldest first, read from the files' heads: starting up must not cost the import of Alembic (rulings.md, 37)."""
    follows: dict[str | None, str] = {}
    for file in (folder() / "versions").glob("*.py"):
        source = file.read_text(encoding="utf-8")
        revision = re.search(r'^revision = "(\w+)"', source, re.MULTILINE)
        before = re.search(r'^down_revision = (?:"(\w+)"|None)', source, re.MULTILINE)
        if revision and before:
            follows[before.group(1)] = revision.group(1)
    ordered, last = [], None
    while last in follows:
        last = follows[last]
        ordered.append(last)
    return tuple(ordered)


def current(url: str) -> str | None:
    """The revision a database is at; None when it is empty. Never makes a file."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return None
    engine = create_engine(_sync(parsed))
    try:
        with engine.connect() as tx:
            return _revision(tx)
    finally:
        engine.dispose()


def check(url: str) -> None:
    """Go on only with a database of this very version. Raises NewerDatabase, NotUpgraded."""
    revision = current(url)
    if revision == chain()[-1]:
        return
    if revision is not None and revision not in chain():
        raise NewerDatabase(_newer(revision))
    raise NotUpgraded(NotUpgraded.__doc__)


def upgrade(url: str, *, copy: bool = True) -> str | None:
    """Bring a database to this version's schema; the file of the copy that was put aside, if one was needed.

    Raises NewerDatabase, and CannotCopy before anything is changed.
    """
    parsed = make_url(url)
    revision = current(url)
    if revision == chain()[-1]:
        return None
    if revision is not None and revision not in chain():
        raise NewerDatabase(_newer(revision))
    aside = None
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        if revision is None:
            _prepare(path)
        elif copy:
            aside = _copy(path, revision)
    _migrate(parsed)
    return None if aside is None else str(aside)


def _newer(revision: str) -> str:
    return f"{NewerDatabase.__doc__} (Its schema is {revision}, this version knows {chain()[-1]}.)"


def _revision(tx: Connection) -> str | None:
    if not inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _prepare(path: Path) -> None:
    # auto_vacuum can be chosen only while the file is empty and before WAL; afterwards it stays off for ever (rulings.md, 2).
    path.touch(mode=0o600)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
    db.close()


def _copy(path: Path, revision: str) -> Path:
    aside = path.with_name(f"{path.stem}-before-upgrade-from-{revision}-{now():%Y%m%dT%H%M%S}.db")
    aside.touch(mode=0o600)
    source, target = sqlite3.connect(path), sqlite3.connect(aside)
    try:
        source.backup(target)
        if target.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise CannotCopy("The database does not pass its integrity check; restore a backup instead of upgrading it.")
    except sqlite3.Error as fault:
        aside.unlink(missing_ok=True)
        raise CannotCopy(f"{CannotCopy.__doc__} ({fault})") from None
    finally:
        source.close()
        target.close()
    return aside


def _migrate(url: URL) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder()))
    config.attributes["url"] = _sync(url)
    command.upgrade(config, "head")


def _sync(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url
