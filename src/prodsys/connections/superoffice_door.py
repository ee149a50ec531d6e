"""The door SuperOffice's ERP Sync calls: the secret in its address says which connection it is, and nothing else is believed."""

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.connections import store
from prodsys.connections.reaching import Systems
from prodsys.connections.store.connections import Kept
from prodsys.kit.db import Database, Tx
from prodsys.kit.vault import VaultLocked
from prodsys.kit.web import Limiter, charge
from prodsys.logs.strangers import Strangers
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on
from prodsys.scopes import signed
from prodsys.settings import Settings

if TYPE_CHECKING:
    from prodsys.connectors.superoffice import Config

CONNECTOR = "superoffice"
PATH = "/superoffice/{secret:str}/ErpConnectorWS.svc"
"""The access log writes this, never the secret (rulings.md, 28)."""
XML = "text/xml"
MAX_BODY = 4 * 2**20
"""Bytes of one call."""

_GUESSES = 30
"""Wrong secrets an address may try in a minute."""


class Knocks:
    """Who calls, by connection, and who tries a wrong address. One for each app."""

    def __init__(self, calls_a_minute: int) -> None:
        self.calls = Limiter("superoffice", quota=calls_a_minute, window=60)
        self.namespaces: dict[int, str] = {}
        """In which namespace a connection's members were last seen."""
        self._guesses = Limiter("superoffice-guesses", quota=_GUESSES, window=60)
        self._strangers = Strangers("superoffice.strangers", "calls came to SuperOffice's door with a secret nobody here has")

    def must_not_be_throttled(self, address: str) -> None:
        """Raises TooManyRequests for an address that has tried too many."""
        if wait := self._guesses.wait(address):
            raise errors.TooManyRequests(headers={"Retry-After": str(wait)})

    async def count(self, db: Database, address: str) -> None:
        """Count a wrong address."""
        self._guesses.take(address)
        await self._strangers.count(db, address)


def new_knocks(settings: Settings) -> Knocks:
    """As many calls a minute as a token has."""
    return Knocks(settings.requests_a_minute)


@post(PATH, operation_id="answer_superoffice", status_code=200, request_max_body_size=MAX_BODY, include_in_schema=False, **signed())
async def answer_superoffice(
    request: Request[Any, Any, Any],
    secret: FromPath[str],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    superoffice_knocks: NamedDependency[Knocks],
) -> Response[bytes]:
    """Answer one operation of ErpConnectorWS (SOAP 1.1). Refused are a DTD, more than 4 MiB, and another content type than text/xml."""
    # lxml comes with these: megabytes for a company that may have no SuperOffice (rulings.md, 37).
    from prodsys.connections.superoffice_desk import ContactsDesk
    from prodsys.connectors import _erpsync as wire
    from prodsys.connectors._erpsync import Unreadable
    from prodsys.connectors.superoffice.operations import answer

    kept, config, is_open = await _caller(request, secret, db, systems, superoffice_knocks)
    if not is_open:
        sentence = "The connection is not active in ProdSys Exchange, or its module ERP connections is switched off; ask its admin."
        return Response(wire.fault("Server", sentence), status_code=500, media_type=XML)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != XML:
        raise errors.UnsupportedMediaType("SOAP 1.1 is sent as text/xml.")
    body = await request.body()
    learnt = superoffice_knocks.namespaces.get(kept.pk, config.namespace)
    if config.members_namespace != "as they ask":
        learnt = config.namespace
    try:
        answered = await answer(body, ContactsDesk(db, kept, config), members_in=learnt)
    except Unreadable as unreadable:
        return Response(wire.fault("Client", str(unreadable)), status_code=400, media_type=XML)
    if answered.members_in:
        superoffice_knocks.namespaces[kept.pk] = answered.members_in
    return Response(answered.content, status_code=answered.status, media_type=XML)


@get(PATH, operation_id="describe_to_superoffice", include_in_schema=False, **signed())
async def describe_to_superoffice(
    request: Request[Any, Any, Any],
    secret: FromPath[str],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    settings: NamedDependency[Settings],
    superoffice_knocks: NamedDependency[Knocks],
) -> Response[bytes]:
    """The description of the service (WSDL 1.1) for who asks for `?wsdl`."""
    from prodsys.connectors._erpsync_wsdl import wsdl

    await _caller(request, secret, db, systems, superoffice_knocks)
    base = settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    return Response(wsdl(f"{base}/api/v1/superoffice/{secret}/ErpConnectorWS.svc"), media_type=XML)


routes = [answer_superoffice, describe_to_superoffice]


async def _caller(
    request: Request[Any, Any, Any], secret: str, db: Database, systems: Systems, knocks: Knocks
) -> tuple[Kept, "Config", bool]:
    """Whose secret this is, and whether it may be answered now. Raises NotFound, TooManyRequests."""
    address = request.client.host if request.client else ""
    knocks.must_not_be_throttled(address)
    listed, module_is_on = await db.read(_connections)
    found: tuple[Kept, Config] | None = None
    given = _digest(secret)
    for kept in listed:
        config = _config(systems, kept)
        # Every one is compared, so that the time it takes tells nothing.
        if hmac.compare_digest(_digest(config.secret.reveal() if config is not None else ""), given) and config is not None:
            found = (kept, config)
    if found is None:
        await knocks.count(db, address)
        raise errors.NotFound
    charge(request.scope, knocks.calls, found[0].id)
    return *found, found[0].is_active and module_is_on


def _connections(tx: Tx) -> tuple[list[Kept], bool]:
    return store.connections.of_connector(tx, CONNECTOR), is_on(tx, ERP_MODULE)


def _config(systems: Systems, kept: Kept) -> "Config | None":
    from prodsys.connectors.superoffice import Config

    if not kept.config_digest:
        return None
    try:
        config = systems.config(kept)
    except VaultLocked:
        return None
    return config if isinstance(config, Config) else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
