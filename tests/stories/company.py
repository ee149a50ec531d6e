"""A whole company for a story: its own database, its own server on a real port, and somebody of the house who calls it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from prodsys import app as prodsys_app
from prodsys import errors
from prodsys.app import Household
from prodsys.company import actions as company
from prodsys.documents import Address, Party, Person
from prodsys.modules import store as modules
from prodsys.scopes import CONSOLE, GUIDE_SCOPES, PRODSYS_MODULE, Scope
from prodsys.settings import Settings
from prodsys.tokens import actions as tokens
from tests.ports import a_free_port

FJORD = Party(
    name="Fjord Lager AS",
    organisation_number="999999999",
    email="ordre@fjord.example",
    address=Address(street="Kaigata", house_number="3", postcode="5003", city="Bergen", country="NO"),
    persons=[Person(name="Ola Fjord", email="ola@fjord.example")],
)
NORDLYS = Party(
    name="Nordlys Mekaniske AS",
    organisation_number="987654325",
    email="innkjop@nordlys.example",
    address=Address(street="Verkstedveien", house_number="1", postcode="4020", city="Stavanger", country="NO"),
    persons=[Person(name="Kari Nordmann", email="kari@nordlys.example", phone="+47 51 00 00 00")],
)
ARTICLES = """number,name,unit,price,currency,gtin,active
A-100,Bolt M8x40,H87,1.30,NOK,7038010000010,yes
A-200,Nut M8,H87,0.45,NOK,,yes
A-300,Washer M8,H87,0.20,NOK,,yes
A-900,Old bracket,H87,12.00,NOK,,no
"""


_TRUSTED = ssl.create_default_context()
"""One for all callers, since each would read the system's authorities anew."""


class Company:
    """One company with its doors open."""

    def __init__(self, instance: prodsys_app.Instance, url: str, token: str) -> None:
        self.instance = instance
        self.db = instance.db
        self.url = url
        self.token = token
        self.http = self.as_(token)

    def as_(self, token: str | None) -> httpx2.AsyncClient:
        """Somebody else who calls this company."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=30, verify=_TRUSTED)

    async def call(self, method: str, path: str, *, etag: str | None = None, expect: int | None = None, **more: Any) -> Any:
        """Somebody of the house calls; the answer's JSON. Fails the test on a status it did not expect."""
        headers = {"If-Match": etag} if etag else {}
        answer = await self.http.request(method, path, headers=headers, **more)
        wanted = [expect] if expect else [200, 201, 202, 204]
        assert answer.status_code in wanted, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def logged(self, **filters: str) -> list[dict[str, Any]]:
        """What the integration logs say, newest first."""
        found = await self.call("GET", "/logs", params=filters)
        return list(found["items"])

    async def import_articles(self, table: str = ARTICLES) -> None:
        """The catalogue, as the admin imports it."""
        answer = await self.http.post("/articles/import", content=table.encode(), headers={"Content-Type": "text/csv"})
        assert answer.status_code in (200, 201), answer.text

    async def hand_over(self, name: str, organisation_number: str, *scopes: Scope) -> dict[str, Any]:
        """A token and a bundle for a new partner, as the admin gets them to see once."""
        made: dict[str, Any] = await self.call(
            "POST",
            "/partners/with-token",
            json={
                "name": name,
                "organisation_number": organisation_number,
                "scopes": [scope.value for scope in scopes or GUIDE_SCOPES],
            },
        )
        return made

    async def in_time(self, question: Any, seconds: float = 15.0) -> Any:
        """Ask until the answer is not empty; fails when it stays empty."""
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            answer = await question()
            if answer:
                return answer
            await asyncio.sleep(0.05)
        raise AssertionError("It did not happen in time.")


@contextlib.asynccontextmanager
async def running(card: Party, database_url: str, home: Path, *, port: int | None = None, **settings: Any) -> AsyncIterator[Company]:
    """A company that serves on a port of this machine, any that is free unless it is said, until the block ends."""
    port = port or a_free_port()
    url = f"http://127.0.0.1:{port}"
    usual: dict[str, Any] = {
        "home": str(home),
        "database_url": database_url,
        "public_url": url,
        "allowed_networks": "127.0.0.0/8",
        "access_log": False,
        "answers_every_seconds": 1,
        "undo_seconds": 1,
    }
    chosen = Settings(**usual | settings)
    async with prodsys_app.opened(chosen, serving=True) as instance:
        token = await instance.db.write(_settle, card)
        house = _house(instance)
        server = uvicorn.Server(uvicorn.Config(house.doors, port=port, log_level="warning", lifespan="on"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            if serving.done():
                await serving
                raise AssertionError("The server ended before it began.")
            await asyncio.sleep(0.01)
        here = Company(instance, url, token)
        try:
            yield here
        finally:
            await here.http.aclose()
            server.should_exit = True
            await serving
            _EMPTY.append(house)


class House:
    """Doors that stay where they are when a company moves out."""

    def __init__(self, first: Household) -> None:
        self.household = first
        self.doors = prodsys_app.doors(lambda: self.household, log_access=first.instance.settings.access_log)


_EMPTY: list[House] = []


def _house(instance: prodsys_app.Instance) -> House:
    """One that is empty where there is one: making its doors takes half a second, moving in nothing."""
    household = Household(instance)
    for index, house in enumerate(_EMPTY):
        if house.household.instance.settings.access_log == instance.settings.access_log:
            house.household = household
            return _EMPTY.pop(index)
    return House(household)


def _settle(tx: Any, card: Party) -> str:
    with contextlib.suppress(errors.AlreadyExists):
        company.begin(tx, card)
    modules.set_on(tx, PRODSYS_MODULE, True, "console")
    return tokens.create(tx, CONSOLE, name="ops", scopes=frozenset(Scope), expires_at=None, partner=None).token
