"""Who sits behind a browser's cookie.

A session is looked up once and then known by a keyed hash of its cookie, until somebody's session, scopes or name change anywhere; its
ends, idle and absolute, are judged at every use. Last use is collected and written every few seconds.
"""

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable

import msgspec

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import ELSEWHERE, Database
from prodsys.kit.gathering import keep_writing
from prodsys.scopes import Caller
from prodsys.users import actions, model, signing_in, store
from prodsys.users.model import Language, NewSession, Session, Theme
from prodsys.users.store.people import Person

LAST_USE_SECONDS = 10.0

_REMEMBERS = 10_000
_MAX_COOKIE = 100


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A person in front of a page. `caller` carries what the person may do at this moment; `csrf` is what each form brings along."""

    session: str
    caller: Caller
    person: int
    user: str
    name: str
    email: str
    language: Language
    theme: Theme
    has_shortcuts: bool
    csrf: str
    created_at: dt.datetime
    expires_at: dt.datetime


class _Known(msgspec.Struct):
    key: int
    used_at: dt.datetime
    signed_in: SignedIn


class Browsers:
    """Opens browser sessions and knows whose they are. One for each app; its `keep_last_use` runs beside the app."""

    def __init__(
        self,
        db: Database,
        *,
        idle: dt.timedelta = model.SESSION_IDLE,
        lifetime: dt.timedelta = model.SESSION_LIFETIME,
        clock: Callable[[], dt.datetime] = now,
        remembers: int = _REMEMBERS,
    ) -> None:
        self._db = db
        self._idle = idle
        self._lifetime = lifetime
        self._clock = clock
        self._remembers = remembers
        self._secret = secrets.token_bytes(32)
        self._known: dict[bytes, _Known] = {}
        self._life = 0
        self._uses: dict[int, tuple[dt.datetime, str]] = {}
        self._stop_listening = [db.listen(topic, self.forget) for topic in (actions.TOPIC, ELSEWHERE)]

    async def open(self, person: Person, *, address: str, user_agent: str, instead_of: str = "") -> NewSession:
        """Sign a browser in for a person who has just been proven; `instead_of` is the cookie it had. Raises SignInFailed."""
        return await self._db.write(
            signing_in.open_session,
            person,
            address=address,
            user_agent=user_agent,
            lifetime=self._lifetime,
            instead_of=instead_of[:_MAX_COOKIE],
        )

    async def known(self, cookie: str, address: str) -> SignedIn | None:
        """Who sits behind a cookie; None for nobody: it is unknown, signed out, or its time is over."""
        if not 20 <= len(cookie) <= _MAX_COOKIE:
            return None
        hashed = hashlib.blake2b(cookie.encode(), key=self._secret, digest_size=16).digest()
        found = self._known.get(hashed)
        # Another node may have seen the person meanwhile, so rest is judged by what the database says.
        if found is None or self._is_over(found):
            found = await self._look_up(cookie, hashed)
        if found is None or self._is_over(found):
            return None
        found.used_at = self._clock()
        self._uses[found.key] = (found.used_at, address)
        signed_in = found.signed_in
        if signed_in.caller.address != address:
            caller = msgspec.structs.replace(signed_in.caller, address=address)
            signed_in = found.signed_in = msgspec.structs.replace(signed_in, caller=caller)
        return signed_in

    async def sessions_of(self, signed_in: SignedIn) -> list[Session]:
        """The browsers a person is signed in with, this one marked."""
        await self.flush()
        found = await self._db.read(store.sessions.sessions_of, signed_in.person, self._clock() - self._idle, current=signed_in.session)
        return [session for _, session in found]

    async def end(self, cookie: str) -> None:
        """Sign a browser out."""
        await self._db.write(signing_in.sign_out, cookie)

    def forget(self) -> None:
        """Look everybody up again, because something may have changed."""
        self._life += 1
        self._known.clear()

    async def keep_last_use(self, every_seconds: float = LAST_USE_SECONDS) -> None:
        """Write last uses down, now and then, until cancelled; the rest of them when that happens."""
        await keep_writing(every_seconds, self.flush, self.flush)

    async def flush(self) -> None:
        """Write down last uses."""
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._db.write(store.sessions.note_use, [(key, at, address) for key, (at, address) in uses.items()])
        except errors.StorageUnavailable:
            self._uses = uses | self._uses
            raise

    def close(self) -> None:
        """Stop listening to the database."""
        for stop in self._stop_listening:
            stop()

    def _is_over(self, found: _Known) -> bool:
        at = self._clock()
        return found.signed_in.expires_at <= at or found.used_at + self._idle <= at

    async def _look_up(self, cookie: str, hashed: bytes) -> _Known | None:
        life = self._life
        row = await self._db.read(store.sessions.browser, model.digest(cookie))
        if row is None or not row.is_active:
            return None
        caller = Caller(token=row.id, name=row.email, scopes=row.scopes, person=row.person)
        told = {
            "session": row.id,
            "person": row.person,
            "user": row.user,
            "name": row.name,
            "email": row.email,
            "language": row.language,
            "theme": row.theme,
            "has_shortcuts": row.has_shortcuts,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
        }
        signed_in = SignedIn(caller=caller, csrf=model.csrf_of(cookie), **told)  # type: ignore[arg-type]
        # What is not written down yet counts too.
        noted = self._uses.get(row.pk)
        found = _Known(key=row.pk, used_at=max(row.used_at, noted[0]) if noted else row.used_at, signed_in=signed_in)
        if life == self._life:  # otherwise something has changed while we read, perhaps this
            if len(self._known) >= self._remembers:
                del self._known[next(iter(self._known))]
            self._known[hashed] = found
        return found
