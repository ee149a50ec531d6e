"""A company's own files, opened: its database, its vault, its way out to others."""

import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import msgspec

import prodsys
from prodsys.kit.db import Database, open_database
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.settings import Settings


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A company with its files open: what a server and a command line both need."""

    settings: Settings
    db: Database
    vault: Vault
    outbound: Outbound


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, serving: bool) -> AsyncIterator[Instance]:
    """Open a company's database and vault. Only a server takes the lock; the command line is a guest in the same file."""
    vault, is_new = _vault(settings)
    outbound = Outbound(
        allowed_networks=[ip_network(text.strip()) for text in settings.allowed_networks.split(",") if text.strip()],
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
        user_agent=f"prodsys/{prodsys.__version__}",
    )
    db = await open_database(settings.url, lock=serving, threads=settings.database_threads)
    try:
        if is_new:
            await _tell_of_lost_key(db, vault)
        yield Instance(settings=settings, db=db, vault=vault, outbound=outbound)
    finally:
        await outbound.close()
        await db.close()


async def _tell_of_lost_key(db: Database, vault: Vault) -> None:
    # Imported here, since it opens half the house and is needed once in a key's life.
    from prodsys.kit.journal import log
    from prodsys.upkeep import backup

    if lost := await db.write(backup.tell_of_lost_key, vault):
        log.error("vault_key_lost", sentence=lost)


def _vault(settings: Settings) -> tuple[Vault, bool]:
    """The vault, and whether its key had to be made just now."""
    home = Path(settings.home)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = Path(settings.vault_key_file) if settings.vault_key_file else home / "vault.key"
    is_new = not file.exists()
    return Vault.create(file), is_new
