"""SuperOffice CRM for tests: zeep, a SOAP client that is none of ours, plays its administrator and its users."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zeep
from zeep.helpers import serialize_object

from prodsys.connectors import _erpsync as wire
from tests.stories.company import Company

SECRET = "a-Secret_that-nobody_guesses-0123456789"
RECONSTRUCTED = "others/superoffice/ErpConnectorWS.reconstructed.wsdl"

Pairs = Mapping[str, str]


class SuperOffice:
    """A SuperOffice that knows our Connector URL, and the one ERP connection it has made with it."""

    def __init__(self, url: str, wsdl: str | None = None) -> None:
        self.url = url
        self.guid = str(uuid.uuid4())
        client = zeep.Client(wsdl or f"{url}?wsdl")
        namespace = wire.SERVICE
        binding = next(iter(client.wsdl.bindings))
        assert binding == f"{{{namespace}}}BasicHttpBinding_IErpConnectorWS"
        self.operations = sorted(client.wsdl.bindings[binding].all())
        self._service = client.create_service(binding, url)

    async def call(self, operation: str, **members: Any) -> Any:
        """One operation; its result."""
        asked = {name: _shaped(name, value) for name, value in members.items()}
        function = getattr(self._service, operation)
        answered = await asyncio.to_thread(function, **({"request": asked} if asked else {}))
        return _plain(serialize_object(answered, dict))

    async def ask(self, operation: str, **members: Any) -> Any:
        """One operation of its connection that has to succeed."""
        result = await self.call(operation, ConnectionGuid=self.guid, **members)
        assert result["IsOk"], result
        return result

    async def set_up(self, **settings: str) -> None:
        """Save the connection under its GUID."""
        await self.ask("WSSaveConnection", ConnectionInfo=settings)

    async def search(self, type: str, text: str, keys: Sequence[str] = ("NAME",)) -> list[dict[str, Any]]:
        found = await self.ask("WSSearchActors", ActorType=type, SearchText=text, FieldKeys=list(keys))
        return list(found["Actors"] or [])

    async def advanced(self, type: str, *restrictions: tuple[str, str, Sequence[str]]) -> list[str]:
        """The names that fit all of these."""
        wanted = [{"FieldKey": key, "Operator": operator, "Values": list(values)} for key, operator, values in restrictions]
        found = await self.ask("WSSearchActorsAdvanced", ActorType=type, Restrictions=wanted)
        names = ("FIRSTNAME", "LASTNAME") if type == "Person" else ("NAME",)
        return sorted(" ".join(one["FieldValues"][name] for name in names) for one in found["Actors"] or [])


async def of(company: Company, secret: str = SECRET, *, wsdl: str | None = None) -> SuperOffice:
    """A SuperOffice whose administrator has entered the Connector URL."""
    return await asyncio.to_thread(SuperOffice, connector_url(company, secret), wsdl)


def connector_url(company: Company, secret: str = SECRET) -> str:
    return f"{company.url}/api/v1/superoffice/{secret}/ErpConnectorWS.svc"


def reconstructed_wsdl() -> str | None:
    """The description that was put together from SuperOffice's reference pages, where there is one."""
    folder = os.environ.get("PRODSYS_VENDORS")
    file = Path(folder) / RECONSTRUCTED if folder else None
    return str(file) if file is not None and file.exists() else None


async def let_in(company: Company, secret: str = SECRET, name: str = "CRM", **config: Any) -> dict[str, Any]:
    """A connection with SuperOffice that our admin has tested, saved and activated."""
    wanted = {"name": name, "connector": "superoffice", "config": {"secret": secret, **config}}
    made = await company.call("POST", "/connections", json=wanted)
    active: dict[str, Any] = await company.call("POST", f"/connections/{made['id']}/activate")
    return active


@contextlib.asynccontextmanager
async def connected(company: Company, **config: Any) -> AsyncIterator[SuperOffice]:
    """SuperOffice with a connection that is set up at both ends."""
    await let_in(company, **config)
    crm = await of(company)
    await crm.set_up()
    yield crm


_LISTS = {"ErpKeys", "FieldKeys", "ListItemKeys", "Values"}


def _shaped(name: str, value: Any) -> Any:
    """A value in the shape zeep wants it."""
    if name in ("ConnectionInfo", "FieldValues"):
        return {"KeyValueOfstringstring": [{"Key": key, "Value": said} for key, said in value.items()]}
    if name in _LISTS:
        return {"string": list(value)}
    if name == "Restrictions":
        return {"SearchRestrictionInfoWS": [{part: _shaped(part, said) for part, said in one.items()} for one in value]}
    if name == "Actors":
        return {"ErpActorWS": [_shaped("Actor", one) for one in value]}
    return {part: _shaped(part, said) for part, said in value.items()} if name == "Actor" else value


def _plain(value: Any) -> Any:
    """What zeep read, without the wrappers of arrays."""
    if not isinstance(value, dict):
        return [_plain(one) for one in value] if isinstance(value, list) else value
    if value.keys() == {"KeyValueOfstringstring"}:
        return {pair["Key"]: pair["Value"] for pair in value["KeyValueOfstringstring"] or []}
    if len(value) == 1 and (name := next(iter(value))) in ("string", "ErpActorWS", "FieldMetadataInfoWS"):
        return [_plain(one) for one in value[name] or []]
    return {name: _plain(one) for name, one in value.items()}
