"""A small company around some doors, with the real guard before them."""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx2
from cryptography.fernet import Fernet
from litestar import Router, get
from litestar.di import NamedDependency, Provide
from sqlalchemy import insert, select

from prodsys.kit import web
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.metrics import new_metrics
from prodsys.kit.vault import Vault
from prodsys.modules import store as modules
from prodsys.modules.store import Switchboard
from prodsys.scopes import CONSOLE, PRODSYS_MODULE, AnyToken, Caller, Scope, allows, public
from prodsys.settings import Settings
from prodsys.tables import company, log_entries, partners
from prodsys.tokens import actions as tokens
from prodsys.tokens.api import new_claim_attempts
from prodsys.tokens.guard import Guard, guard_of
from prodsys.tokens.model import Created
from prodsys.users.api import new_sign_in_attempts
from prodsys.users.browsers import Browsers
from prodsys.users.letters import Letters
from prodsys.users.model import Opened, Sessions
from prodsys.users.passwords import Passwords

ADDRESS = "203.0.113.7"
PUBLIC_URL = "https://fjord.example"


async def let_in(guard: Guard, token: str, address: str = ADDRESS) -> Caller:
    """Who came through a door that any token opens; raises what the guard raises."""
    scope: dict[str, Any] = {"headers": [(b"authorization", b"Bearer " + token.encode())], "client": (address, 5000)}
    connection: Any = SimpleNamespace(scope=scope)
    door: Any = SimpleNamespace(opt={"door": "any", "scope": AnyToken.ANY, "module": None})
    await guard(connection, door)
    caller: Caller = scope["caller"]
    return caller


class Company:
    """One company's doors, and what stands behind them."""

    def __init__(
        self, app: Any, db: Database, guard: Guard, switchboard: Switchboard, vault: Vault, sessions: Sessions, browsers: Browsers
    ) -> None:
        self.app = app
        self.db = db
        self.guard = guard
        self.switchboard = switchboard
        self.vault = vault
        self.sessions = sessions
        self.browsers = browsers

    def caller(self, token: str | None = None, address: str = ADDRESS) -> httpx2.AsyncClient:
        """Somebody who calls from an address, with a token or without."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app, client=(address, 5000)), base_url="http://test/api/v1", headers=headers
        )

    async def a_token(self, *scopes: Scope, partner: int | None = None, **more: Any) -> Created:
        """A token made at the console; with every scope unless some are named."""
        return await self.db.write(tokens.create, CONSOLE, name="ops", scopes=frozenset(scopes or Scope), partner=partner, **more)

    async def logged(self, code: str) -> list[Any]:
        """The log entries with this code, oldest first."""
        return await self.db.read(
            lambda tx: list(tx.execute(select(log_entries).where(log_entries.c.code == code).order_by(log_entries.c.pk)))
        )


@get("/orders", **allows(Scope.PURCHASE_ORDERS_CREATE, "partner", PRODSYS_MODULE))
async def partners_door(caller: NamedDependency[Caller]) -> str:
    """For partners that may order."""
    return caller.token


@get("/company", **allows(AnyToken.ANY, "any"))
async def anybodys_door(caller: NamedDependency[Caller]) -> str:
    """For every token."""
    return f"{caller.name} from {caller.address}"


@get("/logs", **allows(Scope.LOGS_READ))
async def houses_door() -> str:
    """For the house."""
    return "logs"


@get("/contacts", **allows(Scope.CONTACTS_READ, "any"))
async def contacts_door() -> str:
    """For whoever may read contacts."""
    return "contacts"


@get("/health", **public())
async def public_door() -> str:
    """For everybody."""
    return "alive"


@get("/forgotten")
async def forgotten_door() -> str:
    """Nobody has said who may open this."""
    return "never seen"


DOORS = [partners_door, anybodys_door, houses_door, contacts_door, public_door, forgotten_door]


@asynccontextmanager
async def company_of(
    db: Database,
    routes: Sequence[Any] = (),
    public_url: str = PUBLIC_URL,
    clock: Callable[[], dt.datetime] = now,
    more: Mapping[str, Any] | None = None,
) -> AsyncIterator[Company]:
    """Open a company's doors; `more` are things those routes ask for beside the usual ones, or other ones in their place."""
    vault = Vault([Fernet.generate_key().decode()])
    switchboard, passwords = Switchboard(db), Passwords()
    await db.write(modules.set_on, PRODSYS_MODULE, True, "test")
    await switchboard.refresh()
    sessions = Sessions(open=_open, end=tokens.sign_out, end_all=tokens.sign_out_everywhere, carry=tokens.carry)
    guard, browsers = guard_of(db, switchboard.is_on, clock), Browsers(db, clock=clock)
    things = {
        "db": db,
        "vault": vault,
        "settings": Settings(public_url=public_url),
        "switchboard": switchboard,
        "metrics": new_metrics(),
        "passwords": passwords,
        "sessions": sessions,
        "browsers": browsers,
        "letters": Letters(db, public_url, None, lambda _: "Fjord Lager AS"),
        "claim_attempts": new_claim_attempts(),
        "sign_in_attempts": new_sign_in_attempts(),
    } | dict(more or {})
    kind = (*map(id, routes), *sorted(things))
    house = _EMPTY[kind].pop() if _EMPTY.get(kind) else _House(routes, things)
    house.guard, house.things = guard, things
    try:
        yield Company(house.app, db, guard, switchboard, vault, sessions, browsers)
    finally:
        _EMPTY.setdefault(kind, []).append(house)
        guard.close()
        browsers.close()
        switchboard.close()
        passwords.close()


def a_partner(tx: Tx, name: str = "Nordlys Mekaniske AS", **more: Any) -> int:
    """A partner's key."""
    row = {"id": new_id("pa"), "name": name, "created_at": now(), **more}
    return int(tx.execute(insert(partners).values(row).returning(partners.c.pk)).scalar_one())


def our_card(tx: Tx, name: str = "Fjord Lager AS") -> None:
    """Our own company."""
    tx.execute(insert(company).values(epoch="e1", name=name, card=f'{{"name":"{name}"}}', changed_at=now()))


class _House:
    """Doors that stay where they are when a company moves out: to make them takes longer than most tests."""

    def __init__(self, routes: Sequence[Any], things: Mapping[str, Any]) -> None:
        self.guard: Guard
        self.things = things
        self.app = web.web_app(
            [Router("/api/v1", route_handlers=[*routes, *DOORS])],
            openapi=web.openapi_config("Test", "1"),
            dependencies={name: self._known(name) for name in things},
            guards=[self._let_in],
            log_access=False,
        )
        # An id names them only while they are there.
        self._routes = routes

    def _known(self, name: str) -> Provide:
        return Provide(lambda: self.things[name], sync_to_thread=False)

    async def _let_in(self, connection: Any, route: Any) -> None:
        await self.guard(connection, route)


_EMPTY: dict[tuple[object, ...], list[_House]] = {}


def _open(tx: Tx, person: int, name: str, scopes: frozenset[Scope]) -> Opened:
    created = tokens.sign_in(tx, person=person, name=name, scopes=scopes)
    return Opened(token=created.token, expires_at=created.expires_at)
