"""A copy of everything in one file while work goes on, and the way back from it."""

import asyncio
import contextlib
import datetime as dt
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import inspect, make_url

from prodsys.company import actions as company
from prodsys.exchange import outbox, timetable
from prodsys.kit.clock import instant, micros, now
from prodsys.kit.db import Database, Tx, open_database, server_lock
from prodsys.kit.vault import BadKeyFile, Vault, VaultLocked
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.partners.checking import Check, checklist
from prodsys.purchasing import reconciling
from prodsys.settings import Settings
from prodsys.upkeep import store, upgrade
from prodsys.webhooks import store as hooks

MADE = "backup.made"
"""The log's word for a backup; `doctor` asks when the last one was."""

Key = Literal["restored", "kept", "missing"]
KEY_WORDS: dict[Key, str] = {
    "restored": "The vault's key was taken from the backup.",
    "kept": "The vault's key is the one that was here.",
    "missing": "There is no vault's key here, so the tokens of suppliers and the secrets of webhooks cannot be opened. "
    "Put the key file back before the server starts, or restore once more with --with-key; "
    "otherwise the server makes a new key, and those tokens have to be entered again.",
}

_INCREMENTAL = 2
# The same file is a database and a backup: one table more says when it was made and holds the wrapped key.
_NOTE = "CREATE TABLE prodsys_backup (made_at TEXT NOT NULL, wrapped_key BLOB)"


class CannotBackUp(Exception):
    """No backup was made."""


class CannotRestore(Exception):
    """Nothing was restored; the database is as it was."""


class NotReadable(Exception):
    """The database that would be replaced cannot be read; it can still be replaced, and is kept beside."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made; `size` in bytes."""

    file: str
    size: int
    made_at: dt.datetime
    has_key: bool


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """A partner whose token the vault cannot open."""

    id: str
    name: str


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore came to; `replaced` is where the database before it is kept."""

    made_at: dt.datetime
    epoch: str
    replaced: str | None
    key: Key
    credentials_needed: list[Locked]
    numbers: Annotated[list[str], Meta(description="Where each series of numbers goes on; empty where they are kept.")] = []


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """What the database that is replaced holds and the backup does not: how many of a kind, of which time."""

    what: str
    count: int
    earliest: dt.datetime
    latest: dt.datetime


class NewLife(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance begins with after its database was put back."""

    epoch: str
    numbers: list[str]
    credentials_needed: list[Locked]


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    made_at: dt.datetime
    wrapped_key: bytes | None


async def backup(db: Database, vault: Vault, target: Path, *, passphrase: str | None = None) -> Backup:
    """Copy the database to a new file, readable by its owner only, while work goes on; with a passphrase the vault's key goes along.

    The file is a whole SQLite database that passed its integrity check, or it is not there. Raises CannotBackUp (also on PostgreSQL and for
    a file that exists), WeakPassphrase, StorageUnavailable.
    """
    if db.dialect == "postgresql":
        raise CannotBackUp(
            "A PostgreSQL database is backed up by its own means: pg_dump --format=custom --file=FILE DATABASE. Keep the vault's key too."
        )
    target = _new(target)
    wrapped = None if passphrase is None else await asyncio.to_thread(vault.wrap_key, passphrase)
    at = now()
    half_way = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        await db.backup(half_way)
        await asyncio.to_thread(_note_down, half_way, _Note(made_at=at, wrapped_key=wrapped))
        size = half_way.stat().st_size
        _publish(half_way, target)
    except OSError as fault:
        raise CannotBackUp(f"{target} cannot be written: {fault.strerror or fault}.") from None
    finally:
        half_way.unlink(missing_ok=True)
        half_way.with_name(f"{half_way.name}.part").unlink(missing_ok=True)
    await db.write(tell, Entry(code=MADE, message=f"A backup was made: {target.name}, {size} bytes.", actor="console"))
    return Backup(file=str(target), size=size, made_at=at, has_key=wrapped is not None)


async def restore(file: Path, settings: Settings, *, passphrase: str | None = None, keep_numbers: bool = False) -> Restored:
    """Put a backup in the place of the instance's database, under a new epoch; the one before is kept beside, never deleted.

    An older schema is brought up to this version's. What was being delivered is taken up again: an order's own number makes that safe.
    Series of numbers go on in another block, because partners remember those given since; `keep_numbers` is for a copy nothing was done
    after, as when an instance moves to another machine.
    With a passphrase the vault's key comes from the backup too; partners whose token no key here opens are listed and marked.
    Raises DatabaseInUse while a server runs, CannotRestore, NewerDatabase, WrongPassphrase, BadKeyFile; then nothing has changed.
    """
    path = _database_of(settings)
    with server_lock(path):
        staged = path.with_name(f".{path.name}.restoring-{secrets.token_hex(6)}")
        try:
            note = await asyncio.to_thread(_stage, file, staged)
            vault = _key_in(note, passphrase)
            await asyncio.to_thread(upgrade.upgrade, f"sqlite:///{staged}", copy=False)
            key_file = Path(settings.vault_key_file) if settings.vault_key_file else path.parent / "vault.key"
            opening = vault or _key_here(key_file)
            life = await _begin_anew(staged, opening, note, settings.answers_every_seconds, keep_numbers=keep_numbers)
            if vault is not None:
                _put_key(vault, key_file)
            replaced = _swap(staged, path)
        except OSError as fault:
            raise CannotRestore(f"{CannotRestore.__doc__} ({fault})") from None
        finally:
            for left in path.parent.glob(f"{staged.name}*"):
                left.unlink()
    key: Key = "restored" if vault else "kept" if opening else "missing"
    return Restored(
        made_at=note.made_at,
        epoch=life.epoch,
        replaced=None if replaced is None else str(replaced),
        key=key,
        credentials_needed=life.credentials_needed,
        numbers=life.numbers,
    )


def dropped(file: Path, settings: Settings) -> list[Dropped]:
    """What would not be there any more once this backup is restored, since it came after it; nothing where there is no database yet.

    Raises DatabaseInUse while a server runs, CannotRestore where the backup cannot be read, NotReadable where what is here cannot be.
    """
    path = _database_of(settings)
    if not path.exists():
        return []
    with server_lock(path):
        made_at = _made_at(file)
        try:
            with _connected(path) as here:
                there = {row[0] for row in here.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
                found = [(what, _since(here, table, column, made_at)) for what, table, column in _TOLD_OF if table in there]
        except sqlite3.DatabaseError as fault:
            raise NotReadable(f"The database that is here cannot be read ({fault}), so nobody can say what it holds.") from None
    return [
        Dropped(what=what, count=count, earliest=instant(earliest), latest=instant(latest))
        for what, (count, earliest, latest) in found
        if count
    ]


_TOLD_OF = (
    ("purchase orders", "purchase_orders", "created_at"),
    ("answers of suppliers", "purchase_orders", "answered_at"),
    ("orders of customers", "sales_orders", "received_at"),
    ("answers to customers", "sales_orders", "answered_at"),
    ("log entries", "log_entries", "at"),
)


def _since(here: sqlite3.Connection, table: str, column: str, at: dt.datetime) -> tuple[int, int, int]:
    # That a backup was made is noted when it has been.
    but = f" AND code <> '{MADE}'" if table == "log_entries" else ""
    asked = f"SELECT count(*), min({column}), max({column}) FROM {table} WHERE {column} > ?{but}"  # noqa: S608  # our own names, above
    count, earliest, latest = here.execute(asked, (micros(at),)).fetchone()
    return count, earliest or 0, latest or 0


def _made_at(file: Path) -> dt.datetime:
    try:
        # As it is: nothing is written into a backup or beside it, and it may lie where nothing can be.
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)) as copy:
            has_note = copy.execute("SELECT 1 FROM sqlite_schema WHERE name = 'prodsys_backup'").fetchone() is not None
            return _read_note(copy, file, has_note=has_note).made_at
    except sqlite3.DatabaseError as fault:
        raise CannotRestore(f"{file} is damaged or not a database ({fault}); nothing was changed.") from None


def _new(target: Path) -> Path:
    target = target.absolute()
    if target.exists():
        raise CannotBackUp(f"{target} exists; a backup never overwrites a file. Take another name.")
    if not target.parent.is_dir():
        raise CannotBackUp(f"There is no folder {target.parent}.")
    return target


def _database_of(settings: Settings) -> Path:
    url = make_url(settings.url)
    if url.get_backend_name() != "sqlite":
        raise CannotRestore(
            "A PostgreSQL database is restored by its own means: pg_restore --clean --dbname=DATABASE FILE. Then say so: prodsys restored."
        )
    path = Path(url.database or "").absolute()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _note_down(file: Path, note: _Note) -> None:
    with _connected(file) as copy:
        copy.execute("DROP TABLE IF EXISTS prodsys_backup")
        copy.execute(_NOTE)
        copy.execute("INSERT INTO prodsys_backup VALUES (?, ?)", (note.made_at.isoformat(), note.wrapped_key))


def _publish(half_way: Path, target: Path) -> None:
    """Give the finished file its name, unless somebody has made one of that name meanwhile."""
    try:
        os.link(half_way, target)
    except FileExistsError:
        raise CannotBackUp(f"{target} exists; a backup never overwrites a file. Take another name.") from None
    except OSError:  # a file system without links, as of a memory stick
        half_way.rename(target)
    _sync(target.parent)


def _stage(file: Path, staged: Path) -> _Note:
    """Copy the backup beside the database and look at it there. Raises CannotRestore, NewerDatabase."""
    staged.touch(mode=0o600)
    shutil.copyfile(file, staged)
    try:
        with _connected(staged) as copy:
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise CannotRestore(f"{file} is damaged ({verdict.splitlines()[0]}); nothing was changed. Take another backup.")
            tables = {row[0] for row in copy.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if not {"alembic_version", "company"} <= tables:
                raise CannotRestore(f"{file} is not a database of ProdSys; nothing was changed.")
            revision = copy.execute("SELECT version_num FROM alembic_version").fetchone()
            if revision and revision[0] not in upgrade.chain():
                raise upgrade.NewerDatabase(
                    f"{file} was made by a newer ProdSys (its schema is {revision[0]}); restore it with that version."
                )
            note = _read_note(copy, file, has_note="prodsys_backup" in tables)
            copy.execute("DROP TABLE IF EXISTS prodsys_backup")
    except sqlite3.DatabaseError as fault:
        raise CannotRestore(f"{file} is damaged or not a database ({fault}); nothing was changed.") from None
    with _connected(staged) as copy:
        if copy.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
            # It can be chosen only while a file is empty, or by writing the whole file anew (rulings.md, 2).
            copy.execute("PRAGMA auto_vacuum = INCREMENTAL")
            copy.execute("VACUUM")
    return note


def _read_note(copy: sqlite3.Connection, file: Path, *, has_note: bool) -> _Note:
    """When it was made; a database copied by other means says it by the file's time."""
    if not has_note:
        return _Note(made_at=dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC), wrapped_key=None)
    made_at, wrapped = copy.execute("SELECT made_at, wrapped_key FROM prodsys_backup").fetchone()
    return _Note(made_at=dt.datetime.fromisoformat(made_at), wrapped_key=wrapped)


def _key_in(note: _Note, passphrase: str | None) -> Vault | None:
    if passphrase is None:
        return None
    if note.wrapped_key is None:
        raise CannotRestore("This backup holds no key, so there is nothing to open with a passphrase; restore it without one.")
    return Vault.unwrap(note.wrapped_key, passphrase)


def _key_here(file: Path) -> Vault | None:
    try:
        return Vault.open(file)
    except (FileNotFoundError, BadKeyFile):
        return None


async def _begin_anew(staged: Path, vault: Vault | None, note: _Note, answers_every: int, *, keep_numbers: bool) -> NewLife:
    """Begin a new life in the staged copy, so that cursors of the one before answer 410 (rulings.md, 8)."""
    db = await open_database(f"sqlite:///{staged}", lock=False)
    what = f"The backup of {note.made_at:%Y-%m-%d %H:%M} UTC"
    try:
        return await db.write(begin_anew, vault, what, answers_every=answers_every, keep_numbers=keep_numbers)
    finally:
        await db.close()


def begin_anew(tx: Tx, vault: Vault | None, what: str, *, answers_every: int, keep_numbers: bool = False) -> NewLife:
    """Begin a new life after the database was put back, by `restore` or by its own means; `what` was, for the logs."""
    outbox.reclaim(tx, everything=True)
    timetable.free_all(tx)
    reconciling.ask_all(tx, f"{what} was restored here.", answers_every=answers_every)
    locked = _locked(tx, vault)
    numbers = [] if keep_numbers else store.begin_new_blocks(tx)
    on = f" Numbers go on with {', '.join(numbers)}." if numbers else ""
    tell(tx, Entry(code="backup.restored", message=f"{what} was restored.{on}", level="warning", actor="console"))
    return NewLife(epoch=company.renew_epoch(tx), numbers=numbers, credentials_needed=locked)


def tell_of_lost_key(tx: Tx, vault: Vault) -> str:
    """Say what the key that was made just now cannot open; the sentence, empty where nothing was sealed before."""
    if not inspect(tx).has_table("partners"):
        return ""
    locked = _locked(tx, vault)
    if not locked and not hooks.has_any(tx):
        return ""
    names = ", ".join(one.name for one in locked[:10]) + (" …" if len(locked) > 10 else "")
    message = (
        "The vault's key was not where it should be, so a new one was made. What was sealed with the old one stays shut: "
        f"tokens of {names or 'nobody'}, secrets of webhooks, bundles nobody has claimed. Stop the server and put the old key file back; "
        "if it is lost, enter the tokens again and rotate the webhooks' secrets."
    )
    tell(tx, Entry(code="vault.key_lost", message=message, level="error", actor="console"))
    return message


def _locked(tx: Tx, vault: Vault | None) -> list[Locked]:
    """The suppliers whose tokens this vault cannot open, each marked and told of."""
    locked = [supplier for supplier in partners.connected(tx) if not _opens(vault, supplier.sealed)]
    for supplier in locked:
        message = f"The token {supplier.name} gave us cannot be opened with the key that is here; enter it again."
        check = Check(code="credentials_needed", passed=False, sentence=message, needed=True)
        partners.keep_checklist(tx, supplier.pk, checklist(now(), [check]))
        tell(
            tx,
            Entry(
                code="partner.credentials_needed", message=message, level="error", partner=supplier.pk, subject=supplier.id, actor="console"
            ),
        )
    return [Locked(id=supplier.id, name=supplier.name) for supplier in locked]


def _opens(vault: Vault | None, sealed: str | None) -> bool:
    try:
        return vault is not None and sealed is not None and bool(vault.unseal(sealed))
    except VaultLocked:
        return False


def _put_key(vault: Vault, file: Path) -> None:
    """Write the restored key where the server looks for it; another key that was there is kept beside."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    vault.save(fresh)
    if file.exists():
        if file.read_bytes().split() == fresh.read_bytes().split():
            fresh.unlink()
            return
        file.rename(_beside(file))
    fresh.rename(file)


def _swap(staged: Path, path: Path) -> Path | None:
    """Put the staged file in the database's place, which is never empty meanwhile; where the one before is kept, if there was one."""
    with staged.open("rb") as written:
        os.fsync(written.fileno())
    replaced = None
    if path.exists():
        replaced = _beside(path)
        with contextlib.suppress(sqlite3.DatabaseError), _connected(path) as before:
            before.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # What could not be written into it, because it is damaged, goes along with it; a new database must never meet an old log.
        for ending in ("-wal", "-shm"):
            log = path.with_name(path.name + ending)
            if log.exists():
                log.rename(replaced.with_name(replaced.name + ending))
        try:
            os.link(path, replaced)
        except OSError:
            path.rename(replaced)
    staged.replace(path)
    _sync(path.parent)
    return replaced


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}-replaced-{now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}{file.suffix}")


@contextlib.contextmanager
def _connected(file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
