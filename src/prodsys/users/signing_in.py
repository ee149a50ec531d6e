"""How people sign in and out, by a page or by a program: e-mail and password, slowed down for who guesses."""

import datetime as dt
from typing import Any

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx, signal
from prodsys.kit.ids import new_id
from prodsys.kit.journal import log
from prodsys.kit.web import Limiter, charge
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.users import model, store
from prodsys.users.actions import TOPIC, me
from prodsys.users.model import NewSession, Opened, Sessions
from prodsys.users.passwords import Passwords
from prodsys.users.store.people import Person


class Attempts:
    """How often somebody may try. Each bucket fills again by itself, so nobody is ever locked out (rulings.md, 30). One for each app.

    One address may try one e-mail five times at once, then every six seconds; all e-mails together sixty times, then every second.
    One e-mail may be tried from everywhere together twenty times, then every six seconds; the address the person last signed in from is
    left out of that, so that who guesses from a thousand addresses does not keep the person out.
    """

    def __init__(self) -> None:
        self._of_both = Limiter("sign-in", quota=5, window=30)
        self._of_address = Limiter("sign-in-address", quota=60, window=60)
        self._of_account = Limiter("sign-in-account", quota=20, window=120)
        self._of_code = Limiter("code", quota=10, window=60)
        self._of_letter = Limiter("letter", quota=5, window=300)

    def password(self, scope: Any, address: str, email: str, person: Person | None) -> None:
        """Count a try with a password. Raises TooManyRequests."""
        # First, so that one address alone cannot use up what the account has from everywhere.
        charge(scope, self._of_both, f"{address} {email}")
        told = scope["quota"]
        charge(scope, self._of_address, address)
        if person is None or not address or person.signed_in_from != address:
            charge(scope, self._of_account, email)
        scope["quota"] = told

    def code(self, scope: Any, address: str) -> None:
        """Count a try with a one-time code: ten at once, then every six seconds. Raises TooManyRequests."""
        charge(scope, self._of_code, address)

    def letter(self, scope: Any, address: str) -> None:
        """Count the wish for a link by mail: five at once, then one a minute. Raises TooManyRequests."""
        charge(scope, self._of_letter, address)


async def prove(
    db: Database, passwords: Passwords, attempts: Attempts, *, email: str, password: str, address: str, scope: Any = None
) -> Person:
    """The person whose e-mail and password these are.

    `scope` is the request's own, to tell what is left in `RateLimit`. Raises SignInFailed, in the same words and after the same time for
    an unknown e-mail, a wrong password and an account that is closed; TooManyRequests with Retry-After; Invalid for what is no e-mail.
    """
    key = model.email_key(email)
    person = await db.read(store.people.by_email, key)
    attempts.password({} if scope is None else scope, address, key, person)
    fits = await passwords.check(key, password, person)
    if not fits or person is None or not person.is_active:
        log.warning("sign_in_failed", address=address)
        raise errors.SignInFailed
    return person


async def prove_again(
    db: Database, passwords: Passwords, attempts: Attempts, *, person: int, password: str, address: str, scope: Any = None
) -> Person:
    """The signed-in person (by key) once more, before something grave. Raises SignInFailed, TooManyRequests."""
    known = await db.read(store.people.by_key, person)
    if known is None:
        raise errors.SignInFailed
    return await prove(db, passwords, attempts, email=known.email, password=password, address=address, scope=scope)


def sign_in(tx: Tx, person: Person, address: str, sessions: Sessions) -> Opened:
    """Open a token of the house for a person whose password has just been checked. Raises SignInFailed when that has changed meanwhile."""
    _note_sign_in(tx, person, address, "")
    return sessions.open(tx, person.pk, person.email, person.scopes)


def open_session(
    tx: Tx, person: Person, *, address: str, user_agent: str, lifetime: dt.timedelta = model.SESSION_LIFETIME, instead_of: str = ""
) -> NewSession:
    """Sign a browser in for a person whose password has just been checked; the session of the cookie it had, if any, ends.

    Raises SignInFailed when the password has changed meanwhile, or the person may not sign in any more.
    """
    browser = model.browser_of(user_agent)
    _note_sign_in(tx, person, address, browser)
    if instead_of:
        store.sessions.end_with(tx, model.digest(instead_of))
    at = now()
    session, cookie = new_id("se"), model.new_cookie()
    row = {"id": session, "person": person.pk, "digest": model.digest(cookie), "created_at": at, "used_at": at}
    store.sessions.put(tx, row | {"expires_at": at + lifetime, "address": address, "browser": browser})
    signal(tx, TOPIC)
    return NewSession(id=session, cookie=cookie, csrf=model.csrf_of(cookie), expires_at=at + lifetime)


def sign_out(tx: Tx, cookie: str) -> None:
    """End the session of a browser; an ended one stays so."""
    ended = store.sessions.browser(tx, model.digest(cookie))
    if ended is None:
        return
    store.sessions.end(tx, ended.id, ended.person)
    tell(tx, Entry(code="user.signed_out", message=f"{ended.email} signed out.", subject=ended.user, actor=ended.email))
    signal(tx, TOPIC)


def end_session(tx: Tx, person: int, id: str) -> None:
    """End one of a person's browser sessions. Raises NotFound."""
    if not store.sessions.end(tx, id, person):
        raise errors.NotFound
    _tell_end(tx, person, "another browser")


def end_other_sessions(tx: Tx, person: int, keep: str) -> int:
    """End all browser sessions of a person but the one with this id; how many there were."""
    ended = store.sessions.end_all(tx, person, keep)
    if ended:
        _tell_end(tx, person, f"{ended} other browser{'s' if ended > 1 else ''}")
    return ended


def _note_sign_in(tx: Tx, person: Person, address: str, browser: str) -> None:
    if not store.people.note_sign_in(tx, person.pk, person.password, now(), address):
        raise errors.SignInFailed
    where = f" with {browser}" if browser else ""
    message = f"{person.email} signed in from {address or 'an unknown address'}{where}."
    tell(tx, Entry(code="user.signed_in", message=message, subject=person.id, actor=person.email))


def _tell_end(tx: Tx, person: int, what: str) -> None:
    who = me(tx, person)
    tell(tx, Entry(code="user.signed_out", message=f"{who.email} signed out of {what}.", subject=who.id, actor=who.email))
    signal(tx, TOPIC)
