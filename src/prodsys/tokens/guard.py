"""The one guard of the house: who stands before a door, and whether it opens.

A token is looked up once and then known by a keyed hash of it, until something ends a token anywhere; its expiry is judged at every use.
Last use is collected and written every few seconds. Refusals without a valid token become one line a minute (rulings.md, 26 and 31).
"""

import contextlib
import datetime as dt
import hashlib
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import ELSEWHERE, Database, Tx
from prodsys.kit.gathering import keep_writing
from prodsys.kit.journal import log
from prodsys.kit.telemetry import redact
from prodsys.kit.web import Limiter, charge
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.scopes import AnyToken, Caller, Scope, widened
from prodsys.tokens import actions, model, store
from prodsys.tokens.store import Known

API_MODULE = "api-access"
"""The extension that lets partners' tokens in at all."""

LAST_USE_SECONDS = 10.0

_REMEMBERS = 10_000
_MAX_ADDRESSES = 1_000
_TOLD_ADDRESSES = 10
_GUESSES = 60
"""Unknown tokens of the right form that an address may show in a minute."""
_MINUTE = dt.timedelta(minutes=1)


class Verified(msgspec.Struct):
    """A token that was found good; `caller` is kept for the address it last came from."""

    key: int
    caller: Caller
    scopes: frozenset[Scope]
    networks: tuple[str, ...]
    expires_at: dt.datetime
    is_revoked: bool


class Guard:
    """Opens a door or raises why not. One for each app, in Litestar's `guards`; its `keep_last_use` runs beside the app."""

    def __init__(
        self,
        db: Database,
        module_is_on: Callable[[str], bool],
        clock: Callable[[], dt.datetime] = now,
        limiter: Limiter | None = None,
        remembers: int = _REMEMBERS,
    ) -> None:
        self._db = db
        self._module_is_on = module_is_on
        self._clock = clock
        self._limiter = limiter
        self._remembers = remembers
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, Verified] = {}
        self._life = 0
        self._uses: dict[int, tuple[dt.datetime, str, bytes]] = {}
        self._strangers: dict[tuple[str, str], int] = {}
        self._others = 0
        self._guesses = Limiter("unknown-tokens", quota=_GUESSES, window=60)
        self._strangers_since: dt.datetime | None = None
        self._told: dict[tuple[str, str], dt.datetime] = {}
        self._stop_listening = [db.listen(topic, self.forget) for topic in (actions.TOPIC, ELSEWHERE)]

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
        """Let the connection pass, with a `Caller` in `scope["caller"]`; a route that declares nothing stays shut."""
        asked = route.opt
        door = asked.get("door")
        # A page has a guard of its own on its router: a cookie opens no door of the API, a token no page.
        if door in ("public", "signed", "page"):
            return
        scope = cast("dict[str, Any]", connection.scope)
        if door is None:
            if scope.get("method") == "OPTIONS":
                raise errors.MethodNotAllowed
            log.error("route_without_scope", route=scope.get("path_template", ""))
            raise errors.InternalFault
        client = scope.get("client")
        address = client[0] if client else ""
        try:
            token, client_name = _bearer(scope["headers"])
            verified = self._remembered(token) or await self._look_up(token, address)
        except (errors.TokenMissing, errors.TokenUnknown) as unknown:
            self._count_stranger(address, unknown.code)
            raise
        caller = verified.caller
        if caller.address != address:
            caller = verified.caller = msgspec.structs.replace(caller, address=address)
        # Before any refusal, because each answer to a token says when the token ends.
        scope["caller"] = caller
        at = self._clock()
        refusal = self._ended(verified, at) or _from_elsewhere(verified, address)
        if refusal is None:
            self._uses[verified.key] = (at, address, client_name)
            if self._limiter is not None:
                charge(scope, self._limiter, caller.token)
            refusal = self._against(verified, asked)
        if refusal is not None:
            await self._tell(verified, refusal, at)
            raise refusal

    def forget(self) -> None:
        """Look every token up again, because one of them may have ended."""
        self._life += 1
        self._known.clear()

    async def keep_last_use(self, every_seconds: float = LAST_USE_SECONDS) -> None:
        """Write last uses and refusals down, now and then, until cancelled; the rest of them when that happens."""
        await keep_writing(every_seconds, self.flush, partial(self.flush, everything=True))

    async def flush(self, *, everything: bool = False) -> None:
        """Write down last uses, and the refusals of a minute that is over (`everything`: of the running one too)."""
        at = self._clock()
        uses, self._uses = self._uses, {}
        over = self._strangers_since is not None and (everything or at - self._strangers_since >= _MINUTE)
        entry = self._told_strangers() if over else None
        self._told = {key: since for key, since in self._told.items() if at - since < _MINUTE}
        if not uses and entry is None:
            return
        try:
            await self._db.write(_note, [(key, *use[:2], _program(use[2])) for key, use in uses.items()], entry)
        except errors.StorageUnavailable:
            self._uses = uses | self._uses
            raise

    def close(self) -> None:
        """Stop listening to the database."""
        for stop in self._stop_listening:
            stop()

    def _remembered(self, token: str) -> Verified | None:
        return self._known.get(self._hashed(token))

    def _hashed(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(), key=self._secret, digest_size=16).digest()

    async def _look_up(self, token: str, address: str) -> Verified:
        if not model.well_formed(token):
            raise errors.TokenUnknown("It has not the form of a token of ProdSys; was it copied whole?")
        # Who guesses tokens must not have us read the database for each of them; tokens that were good lately are not asked about.
        if wait := self._guesses.wait(address):
            raise errors.TooManyRequests("Too many unknown tokens came from this address.", headers={"Retry-After": str(wait)})
        life = self._life
        known = await self._db.read(store.known, model.digest(token))
        if known is None:
            self._guesses.take(address)
            raise errors.TokenUnknown
        verified = _verified(known)
        if known.token.successor_of is not None and known.token.first_used_at is None and self._ended(verified, self._clock()) is None:
            # Its predecessor's last days begin now, so this is not left to the next flush.
            verified.is_revoked = not await self._db.write(actions.note_first_use, known.token.pk)
        if life == self._life:  # otherwise a token has ended while we read, perhaps this one
            if len(self._known) >= self._remembers:
                del self._known[next(iter(self._known))]
            self._known[self._hashed(token)] = verified
        return verified

    def _ended(self, verified: Verified, at: dt.datetime) -> errors.Refusal | None:
        if verified.is_revoked:
            return errors.TokenRevoked()
        if verified.expires_at <= at:
            return errors.TokenExpired(f"It ended {verified.caller.expires_at}.")
        return None

    def _against(self, verified: Verified, asked: dict[str, Any]) -> errors.Refusal | None:
        is_house = verified.caller.partner is None
        if not is_house and not self._module_is_on(API_MODULE):
            return _module_off(API_MODULE)
        door = asked["door"]
        if door != "any" and (door == "house") != is_house:
            return errors.NotFound()
        scope, module = asked["scope"], asked["module"]
        if scope is not AnyToken.ANY and scope not in verified.scopes:
            return _insufficient(scope, verified)
        # Behind a door for both, an extension concerns partners only: the house reads its own catalogue whatever is switched on.
        concerned = module is not None and not (door == "any" and is_house)
        if concerned and not self._module_is_on(module):
            return _module_off(module)
        return None

    async def _tell(self, verified: Verified, refusal: errors.Refusal, at: dt.datetime) -> None:
        """Log a refusal at once, since the holder is known, but each kind only once a minute."""
        caller = verified.caller
        key = (caller.token, refusal.code)
        since = self._told.get(key)
        if since is not None and at - since < _MINUTE:
            return
        self._told[key] = at
        entry = Entry(
            code=f"token.refused.{refusal.code}",
            message=f"A request with the token {caller.name} was refused. {refusal.title()} {refusal.detail}".rstrip(),
            level="warning",
            direction="in",
            partner=caller.partner,
            subject=caller.token,
            actor=caller.name,
            issues=list(refusal.issues),
        )
        with contextlib.suppress(errors.StorageUnavailable):
            await self._db.write(tell, entry)

    def _count_stranger(self, address: str, code: str) -> None:
        if self._strangers_since is None:
            self._strangers_since = self._clock()
        key = (address, code)
        if key in self._strangers or len(self._strangers) < _MAX_ADDRESSES:
            self._strangers[key] = self._strangers.get(key, 0) + 1
        else:
            self._others += 1

    def _told_strangers(self) -> Entry:
        counts, others, since = self._strangers, self._others, self._strangers_since
        self._strangers, self._others, self._strangers_since = {}, 0, None
        most = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))
        named = [f"{address or 'unknown'} {code} {count}×" for (address, code), count in most[:_TOLD_ADDRESSES]]
        total = sum(counts.values()) + others
        more = ", …" if others or len(most) > _TOLD_ADDRESSES else ""
        return Entry(
            code="token.strangers",
            message=f"{total} requests came without a valid token from {since:%H:%M} on: {', '.join(named)}{more}.",
            level="warning",
            direction="in",
        )


def guard_of(
    db: Database,
    module_is_on: Callable[[str], bool],
    clock: Callable[[], dt.datetime] = now,
    limiter: Limiter | None = None,
) -> Guard:
    """The guard of one app; `module_is_on` comes from the modules' switchboard, `limiter` counts the requests of each token."""
    return Guard(db, module_is_on, clock, limiter)


def _bearer(headers: list[tuple[bytes, bytes]]) -> tuple[str, bytes]:
    """The token of the one Authorization header, and what its program is called. Raises TokenMissing, TokenUnknown for two of them."""
    found: bytes | None = None
    program = b""
    for name, value in headers:
        if name == b"authorization":
            if found is not None:
                raise errors.TokenUnknown("There are two Authorization headers; send one.")
            found = value
        elif name == b"user-agent":
            program = value
    if found is None or found[:7].lower() != b"bearer ":
        raise errors.TokenMissing
    return found[7:].strip().decode("latin-1"), program


def _program(name: bytes) -> str:
    return redact("".join(sign for sign in name[:200].decode("ascii", "replace") if sign.isprintable()))[:60].strip()


def _from_elsewhere(verified: Verified, address: str) -> errors.Refusal | None:
    if not verified.networks or model.lies_in(address, verified.networks):
        return None
    # Where it may be used from is not said: whoever holds a stolen token need not know.
    message = f"This request came from {address or 'an unknown address'}, from where this token may not be used."
    issue = Issue(code="address_not_allowed", message=message, params={"address": address}, blocks=True)
    return errors.AddressNotAllowed(f"This request came from {address or 'an unknown address'}.", issues=[issue])


def _verified(known: Known) -> Verified:
    token = known.token
    ends = token.expires_at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Verified(
        key=token.pk,
        caller=Caller(token=token.id, name=token.name, scopes=token.scopes, partner=token.partner, person=token.person, expires_at=ends),
        scopes=widened(token.scopes),
        networks=token.networks,
        expires_at=token.expires_at,
        is_revoked=token.revoked_at is not None,
    )


def _insufficient(scope: Scope, verified: Verified) -> errors.InsufficientScope:
    granted = " ".join(sorted(verified.caller.scopes))
    message = f"This door asks for the scope {scope}; the token carries {granted or 'none'}."
    issue = Issue(code="insufficient_scope", message=message, params={"required": scope.value, "granted": granted}, blocks=True)
    return errors.InsufficientScope(message, issues=[issue])


def _module_off(module: str) -> errors.ModuleOff:
    message = f"The module {module} is switched off here."
    return errors.ModuleOff(message, issues=[Issue(code="module_off", message=message, params={"module": module}, blocks=True)])


def _note(tx: Tx, uses: list[tuple[int, dt.datetime, str, str]], entry: Entry | None) -> None:
    store.note_last_use(tx, uses)
    if entry is not None:
        tell(tx, entry)
