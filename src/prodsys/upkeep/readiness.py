"""Whether requests can be served now, and if not, why."""

import shutil
from pathlib import Path

import msgspec
from sqlalchemy import inspect, text

from prodsys.errors import StorageUnavailable
from prodsys.kit.db import Database, Tx
from prodsys.settings import Settings
from prodsys.upkeep import upgrade

LEAST_ROOM = 100 * 1024 * 1024
"""Bytes the disk must have free; below that the next burst of orders may not be kept."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at; nothing here names a version, an address or a file."""

    is_ready: bool
    database: bool
    schema: bool
    disk: bool


async def look(db: Database, settings: Settings) -> Readiness:
    """Ask the database and the disk."""
    try:
        revision = await db.read(_revision)
    except StorageUnavailable:
        return Readiness(is_ready=False, database=False, schema=False, disk=_has_room(settings))
    schema, disk = revision == upgrade.chain()[-1], _has_room(settings)
    return Readiness(is_ready=schema and disk, database=True, schema=schema, disk=disk)


def _revision(tx: Tx) -> str | None:
    if not inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _has_room(settings: Settings) -> bool:
    home = Path(settings.home)
    return not home.exists() or shutil.disk_usage(home).free >= LEAST_ROOM
