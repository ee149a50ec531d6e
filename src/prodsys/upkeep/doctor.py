"""Everything an operator should know of an instance, each with what to do about it."""

import datetime as dt
import os
import shutil
import stat
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import make_url, text

from prodsys import errors
from prodsys.company import store as company
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, open_database
from prodsys.kit.vault import Vault, VaultLocked
from prodsys.logs import store as logs
from prodsys.modules import api as modules
from prodsys.partners import actions as partners
from prodsys.partners import store as partner_store
from prodsys.purchasing import store as purchasing
from prodsys.scopes import PRODSYS_MODULE
from prodsys.settings import Settings, is_safe_url
from prodsys.tokens import store as tokens
from prodsys.upkeep import backup, upgrade
from prodsys.upkeep.readiness import LEAST_ROOM

SOON = dt.timedelta(days=30)
"""A token that ends within this time is told of."""
BACKUP_IS_OLD = dt.timedelta(days=7)
CLOCK_SLIP = dt.timedelta(minutes=5)
MOST = 500

Verdict = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: what is true, and, unless all is well, what to do about it."""

    code: str
    verdict: Verdict
    sentence: str
    what_to_do: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at files, database and connections without changing anything; what cannot be looked at is a finding itself."""
    found = [*_home(settings), _public_url(settings), _proxies(settings)]
    schema = _schema(settings)
    found.append(schema)
    if schema.verdict == "fail":
        return found
    try:
        db = await open_database(settings.url, lock=False)
    except errors.StorageUnavailable as fault:
        return [
            *found,
            _fail("database", f"The database cannot be opened ({fault.__cause__ or fault}).", "See that it is there and readable."),
        ]
    try:
        if db.dialect == "sqlite":
            found.append(await _quick_check(db))
        found += await db.read(_contents, settings)
    except errors.StorageUnavailable as fault:
        found.append(
            _fail("database", f"The database cannot be read ({fault.__cause__ or fault}).", "Restore a backup: prodsys restore FILE.")
        )
    finally:
        await db.close()
    return found


def _home(settings: Settings) -> list[Finding]:
    home = Path(settings.home).absolute()
    if not home.is_dir():
        return [_fail("home", f"There is no folder {home}.", "Run prodsys init, or set PRODSYS_HOME.")]
    found = [_private("home", home), _key(settings, home)]
    url = make_url(settings.url)
    if url.get_backend_name() == "sqlite" and (file := Path(url.database or "")).exists():
        found.append(_private("database_file", file))
    free = shutil.disk_usage(home).free
    if free < LEAST_ROOM:
        found.append(
            _fail("disk", f"The disk of {home} has {free // 2**20} MiB left.", "Make room: below 100 MiB the instance counts as not ready.")
        )
    else:
        found.append(_ok("disk", f"The disk has {free / 2**30:.1f} GiB left."))
    return found


def _private(code: str, path: Path) -> Finding:
    mode = path.stat()
    if mode.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return _warn(code, f"{path} may be read by others ({stat.filemode(mode.st_mode)}).", f"chmod go= {path}")
    if not os.access(path, os.R_OK | os.W_OK):
        return _fail(code, f"{path} cannot be written by this user.", "Run as the user who owns it.")
    return _ok(code, f"{path} belongs to us alone.")


def _key(settings: Settings, home: Path) -> Finding:
    file = Path(settings.vault_key_file) if settings.vault_key_file else home / "vault.key"
    try:
        Vault.open(file)
    except OSError as fault:
        return _fail(
            "vault_key", f"The vault's key {file} cannot be read ({fault.strerror}).", "Put it back, or restore a backup made --with-key."
        )
    except VaultLocked as fault:
        return _fail("vault_key", f"{file}: {fault}", "Put it back, or restore a backup made --with-key.")
    # A systemd credential belongs to root and is handed to us alone.
    if not settings.vault_key_file and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return _fail("vault_key", f"The vault's key {file} may be read by others.", f"chmod 600 {file}")
    return _ok("vault_key", "The vault's key is here.")


def _public_url(settings: Settings) -> Finding:
    if not settings.public_url:
        return _warn("public_url", "Partners have no address to reach us under.", "Set PRODSYS_PUBLIC_URL, with https.")
    if not is_safe_url(settings.public_url):
        return _fail(
            "public_url", f"{settings.public_url} is not https, so no bundle can be made.", "Put a proxy with a certificate before us."
        )
    if settings.public_url.startswith("http:"):
        return _warn(
            "public_url", f"{settings.public_url} is for this machine only.", "Set PRODSYS_PUBLIC_URL, with https, for real partners."
        )
    return _ok("public_url", f"Partners reach us under {settings.public_url}.")


def _proxies(settings: Settings) -> Finding:
    if settings.trusted_proxies:
        return _ok("trusted_proxies", f"The addresses told by {settings.trusted_proxies} are believed.")
    return _ok("trusted_proxies", "No proxy is believed; behind one, set PRODSYS_TRUSTED_PROXIES, or every caller seems to be the proxy.")


def _schema(settings: Settings) -> Finding:
    try:
        revision = upgrade.current(settings.url)
    except Exception as fault:  # noqa: BLE001 - whatever a driver says is what the operator must see
        return _fail(
            "schema",
            f"The database cannot be asked ({str(getattr(fault, 'orig', fault)).splitlines()[0]}).",
            "See that it is there and whole.",
        )
    if revision is None:
        return _fail("schema", "There is no instance yet.", "Run prodsys init.")
    if revision not in upgrade.chain():
        return _fail(
            "schema", "The database was written by a newer ProdSys.", "Start that version, or restore a backup made before the upgrade."
        )
    if revision != upgrade.chain()[-1]:
        return _fail(
            "schema", f"The schema is at {revision}, this version needs {upgrade.chain()[-1]}.", "Run prodsys migrate, or start the server."
        )
    return _ok("schema", f"The schema is at {revision}.")


async def _quick_check(db: Database) -> Finding:
    verdict = await db.read(_quick_check_in)
    if verdict == "ok":
        return _ok("integrity", "The database is whole.")
    return _fail("integrity", f"The database is damaged: {verdict}.", "Stop the server and restore a backup: prodsys restore FILE.")


def _quick_check_in(tx: Tx) -> str:
    return str(tx.execute(text("PRAGMA quick_check(1)")).scalar()).replace("\n", " ")


def _contents(tx: Tx, settings: Settings) -> list[Finding]:
    found = [_company(tx), _clock(tx), *_modules(tx, settings), *_our_tokens(tx), *_partners(tx), _dead(tx)]
    return [*found, _last_backup(tx)] if tx.dialect.name == "sqlite" else found


def _company(tx: Tx) -> Finding:
    ours = company.card(tx)
    if ours is None:
        return _fail("company", "Our company has no card.", "Run prodsys init.")
    return _ok("company", f"This is the instance of {ours.name}.")


def _clock(tx: Tx) -> Finding:
    newest = logs.page(tx, before=None, limit=1)
    at = now()
    if newest and newest[0][1].at > at + CLOCK_SLIP:
        return _fail(
            "clock", f"The log's newest entry is of {newest[0][1].at:%Y-%m-%d %H:%M}, later than now.", "Set this machine's clock (NTP)."
        )
    return _ok("clock", f"It is {at:%Y-%m-%d %H:%M} UTC here.")


def _modules(tx: Tx, settings: Settings) -> list[Finding]:
    found = []
    for module in modules.shown(tx, settings.public_url):
        if module.is_on:
            missing = [issue.message for issue in module.missing]
            found.append(
                _warn(f"module.{module.name}", f"{module.title} is on, but something is missing.", " ".join(missing))
                if missing
                else _ok(f"module.{module.name}", f"{module.title} is on.")
            )
        elif module.name == PRODSYS_MODULE:
            found.append(
                _warn(f"module.{module.name}", f"{module.title} is off: orders neither come nor go.", f"prodsys module on {module.name}")
            )
    return found


def _our_tokens(tx: Tx) -> list[Finding]:
    at = now()
    found = []
    for _, token in tokens.listed(tx, limit=MOST):
        if token.state in ("active", "expiring") and token.expires_at <= at + SOON:
            whose = token.partner.name if token.partner else "the house"
            sentence = f"The token {token.name} of {whose} ends on {token.expires_at:%Y-%m-%d}."
            found.append(_warn(f"token.{token.id}", sentence, f"prodsys token rotate {token.id}"))
    return found


def _partners(tx: Tx) -> list[Finding]:
    at = now()
    found = []
    for partner in partners.complete(tx, partner_store.page(tx, after=0, limit=MOST)):
        if not partner.endpoint or not partner.is_active:
            continue
        end = partner.token_expires_at
        if end is not None and end <= at:
            found.append(
                _fail(f"partner.{partner.id}", f"The token {partner.name} gave us ended on {end:%Y-%m-%d}.", "Ask for a new bundle.")
            )
        elif end is not None and end <= at + SOON:
            found.append(
                _warn(f"partner.{partner.id}", f"The token {partner.name} gave us ends on {end:%Y-%m-%d}.", "Ask for a new bundle.")
            )
        if partner.lane is not None and partner.lane.state != "open":
            verdict = _fail if partner.lane.state == "stopped" else _warn
            state, since = partner.lane.state, f"{partner.lane.waiting_since:%Y-%m-%d %H:%M}"
            sentence = f"What goes to {partner.name} is {state} since {since}: {partner.lane.reason}"
            found.append(verdict(f"lane.{partner.id}", sentence, f"prodsys partner test {partner.id}"))
    return found


def _dead(tx: Tx) -> Finding:
    dead = purchasing.deliveries.below(tx, None, MOST, lane=None, state="dead", subject=None)
    if not dead:
        return _ok("deliveries", "No delivery has died.")
    count = f"{len(dead)} deliveries" if len(dead) < MOST else f"{MOST} or more deliveries"
    return _warn(
        "deliveries",
        f"{count} died undelivered, the newest {dead[0].id}.",
        "Look at prodsys logs tail --level error; send them again or export anew.",
    )


def _last_backup(tx: Tx) -> Finding:
    newest = logs.page(tx, before=None, limit=1, code=backup.MADE)
    if not newest:
        return _warn("backup", "No backup by prodsys backup is on record.", "prodsys backup FILE --with-key, every day.")
    at = newest[0][1].at
    if at < now() - BACKUP_IS_OLD:
        return _warn("backup", f"The last backup was made on {at:%Y-%m-%d}.", "prodsys backup FILE --with-key, every day.")
    return _ok("backup", f"The last backup was made on {at:%Y-%m-%d %H:%M} UTC.")


def _ok(code: str, sentence: str) -> Finding:
    return Finding(code=code, verdict="ok", sentence=sentence)


def _warn(code: str, sentence: str, what_to_do: str) -> Finding:
    return Finding(code=code, verdict="warn", sentence=sentence, what_to_do=what_to_do)


def _fail(code: str, sentence: str, what_to_do: str) -> Finding:
    return Finding(code=code, verdict="fail", sentence=sentence, what_to_do=what_to_do)
