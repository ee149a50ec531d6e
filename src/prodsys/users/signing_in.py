"""The one way in for people, by a page or by a program: e-mail and password, slowed down for who guesses."""

from typing import Any

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.journal import log
from prodsys.kit.web import Limiter, charge
from prodsys.users import model, store
from prodsys.users.passwords import Passwords
from prodsys.users.store import Person


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
    person = await db.read(store.by_email, key)
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
    known = await db.read(store.by_key, person)
    if known is None:
        raise errors.SignInFailed
    return await prove(db, passwords, attempts, email=known.email, password=password, address=address, scope=scope)
