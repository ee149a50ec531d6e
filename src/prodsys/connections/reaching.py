"""How a configured system is reached: its secrets unsealed, its pace kept, and what a sign-in gave renewed by one of us at a time."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from prodsys import connectors, errors
from prodsys.connections import store
from prodsys.connections.store.connections import Kept
from prodsys.connections.store.grants import KeptGrant
from prodsys.connectors._base import Connector, Grant, Grants, Later, Misconfigured, Pace, Reach, Secret, Trouble, builtins, read_config
from prodsys.connectors._rest import GrantsHere
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Database
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault, VaultLocked, read_secret, revealed
from prodsys.settings import Settings

RENEWING = dt.timedelta(seconds=60)
_PATIENCE = 40
_A_MOMENT = 0.25

read_form = msgspec.json.Decoder(dict[str, Any]).decode
write_form = msgspec.json.Encoder().encode
_read_grant = msgspec.json.Decoder(Grant, dec_hook=read_secret).decode


class Systems:
    """Every system this company is connected to; one for each app."""

    def __init__(self, db: Database, out: Outbound, vault: Vault, settings: Settings) -> None:
        self.db = db
        self.vault = vault
        self._out = out
        self._settings = settings
        self._paces: dict[int, Pace] = defaultdict(Pace)
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tokens: dict[tuple[int, str], GrantsHere] = {}

    def connect(self, kept: Kept) -> Connector | Misconfigured:
        """The connector of a connection, ready to be asked; nobody is called."""
        kind = connectors.known().get(kept.connector)
        if kind is None:
            return Misconfigured(
                reason="connector_missing", detail=f"The package that brings the connector {kept.connector} is not installed."
            )
        if not kept.config_digest:
            return Misconfigured(reason="not_configured", detail="The connection has not been configured yet.")
        try:
            config = self.config(kept)
        except VaultLocked as locked:
            return Misconfigured(reason="credentials_needed", detail=f"{locked} Enter the credentials again.")
        if config is None:
            return Misconfigured(
                reason="form_changed", detail="The connector asks for other fields now; open the connection and test it again."
            )
        grants: Grants
        if kept.grant is not None:
            grants = KeptGrants(self.db, self.vault, kept.grant, self._turns[kept.grant])
        else:
            grants = self._tokens.setdefault((kept.pk, kept.config_digest), GrantsHere())
        made: Connector = kind(config, self._reach(grants, self._paces[kept.pk]))
        return made

    def trial(self, name: str, config: Any, grant: KeptGrant | None) -> Connector:
        """A connector with a form that is not saved yet."""
        grants: Grants = GrantsHere() if grant is None else KeptGrants(self.db, self.vault, grant.pk, self._turns[grant.pk])
        made: Connector = connectors.known()[name](config, self._reach(grants, Pace()))
        return made

    def config(self, kept: Kept) -> Any | None:
        """A connection's filled form; None when it does not fit the connector any more. Raises VaultLocked."""
        kind = connectors.known()[kept.connector]
        given = read_form(kept.config)
        if kept.secrets is not None:
            given |= read_form(self.vault.unseal(kept.secrets))
        return read_config(kind.Config, given)[0]

    def form_of(self, grant: KeptGrant) -> Any | None:
        """The form somebody signed in with. Raises VaultLocked."""
        return read_config(connectors.known()[grant.connector].Config, read_form(self.vault.unseal(grant.form)))[0]

    def forget(self, connection: int) -> None:
        """Let go of what is kept in memory of a connection whose form has changed."""
        for key in [key for key in self._tokens if key[0] == connection]:
            del self._tokens[key]
        self._paces.pop(connection, None)

    def _reach(self, grants: Grants, pace: Pace) -> Reach:
        return Reach(
            out=self._out,
            grants=grants,
            pace=pace,
            timeout=self._settings.delivery_timeout_seconds,
            public_url=self._settings.public_url.rstrip("/"),
            folders=self._settings.erp_folders,
        )


class KeptGrants:
    """A grant in the database: a new pair is kept before anybody uses it, and one process at a time renews it."""

    def __init__(self, db: Database, vault: Vault, key: int, turn: asyncio.Lock) -> None:
        self._db = db
        self._vault = vault
        self._key = key
        self._turn = turn
        self._known: Grant | None = None

    async def read(self) -> Grant | None:
        """The grant as it is kept, read once for this connector."""
        if self._known is None:
            self._known = self._opened(await self._db.read(store.grants.by_key, self._key))
        return self._known

    async def renew(self, stale: Grant | None, ask: Callable[[Grant | None], Awaitable[Grant | Trouble]]) -> Grant | Trouble:
        """See `_base.Grants.renew`."""
        async with self._turn:
            for _ in range(int(_PATIENCE / _A_MOMENT)):
                kept = self._opened(await self._db.read(store.grants.by_key, self._key))
                if kept is not None and kept != stale:
                    self._known = kept
                    return kept
                if await self._db.write(store.grants.lease, self._key, now() + RENEWING) is not None:
                    return await self._renewed(stale, ask)
                await asyncio.sleep(_A_MOMENT)
        return Later(reason="renewing", detail="Another process is renewing the sign-in at the other system.")

    async def _renewed(self, stale: Grant | None, ask: Callable[[Grant | None], Awaitable[Grant | Trouble]]) -> Grant | Trouble:
        # Between our look and the lease somebody may have kept a newer one.
        kept = self._opened(await self._db.read(store.grants.by_key, self._key))
        brought: Grant | Trouble | None = None
        try:
            brought = kept if kept is not None and kept != stale else await ask(kept)
        finally:
            is_new = isinstance(brought, Grant) and brought != kept
            await self._db.write(store.grants.keep, self._key, self._vault.seal(written_grant(brought)) if is_new else None)  # type: ignore[arg-type]  # a Grant, as `is_new` says
        if isinstance(brought, Grant):
            self._known = brought
        return brought

    def _opened(self, kept: KeptGrant) -> Grant | None:
        return None if kept.sealed is None else _read_grant(self._vault.unseal(kept.sealed))


def connector_of(name: str) -> type[Connector]:
    """A connector by its name. Raises NotFound."""
    found = connectors.known().get(name)
    if found is None:
        raise errors.NotFound(f"There is no connector {name[:60]} here; there are {', '.join(sorted(connectors.known()))}.")
    return found


def written_grant(grant: Grant) -> str:
    """A grant as JSON, for the vault alone."""
    return msgspec.json.encode(grant, enc_hook=revealed).decode()


def apart(config: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A filled form without its secrets, and its secrets."""
    open_fields: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for field in msgspec.structs.fields(type(config)):
        value = getattr(config, field.name)
        if isinstance(value, Secret):
            secrets[field.encode_name] = value.reveal()
        else:
            open_fields[field.encode_name] = msgspec.to_builtins(builtins(value))
    return open_fields, secrets


def masked(config: Mapping[str, Any], secrets: Mapping[str, str], mask: str) -> dict[str, Any]:
    """A filled form as it is shown."""
    return {**config, **{name: mask if value else "" for name, value in secrets.items()}}


def refused(issues: list[Issue], detail: str = "") -> errors.Invalid:
    """What is raised for a form that cannot be saved."""
    return errors.Invalid(detail or "The connection cannot be saved yet.", issues=issues)
