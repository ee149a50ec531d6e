"""Take in a person, set a password, sign in."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller, Scope
from prodsys.users import model, store
from prodsys.users.model import Opened, Sessions, User
from prodsys.users.store import Person

_MAX_WAITING = 64

_hasher = PasswordHasher()
# What an unknown e-mail is checked against, so that it takes as long as a known one. Nobody knows its password, and none would do.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Passwords:
    """Hashes and checks passwords beside the event loop: two at a time, one at a time for each e-mail (house.md, 8). One for each app."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="prodsys-argon2", initializer=_step_back)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Hash with argon2id at its library's defaults."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, hashed, password)

    async def check(self, email: str, password: str, person: Person | None) -> bool:
        """Whether the password is this person's; it takes as long for nobody. Raises TooManyRequests while too many wait."""
        if self._waiting >= _MAX_WAITING:
            raise errors.TooManyRequests(headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._turn(email):
                against = person.password if person else _NOBODY
                return await asyncio.get_running_loop().run_in_executor(self._threads, _fits, against, password) and person is not None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _turn(self, email: str) -> AsyncIterator[None]:
        lock, waiting = self._turns.get(email) or (asyncio.Lock(), 0)
        self._turns[email] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(email)
            if waiting > 1:
                self._turns[email] = (lock, waiting - 1)


def _step_back() -> None:
    """Let a thread that hashes yield to everything else: eight sign-ins at once must not be felt by the orders."""
    if sys.platform == "linux":  # elsewhere the whole process would be slowed
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def hashed(password: str) -> str:
    """A password as it is kept, argon2id; takes about 150 ms. Raises Invalid for one that is too short."""
    model.check_password(password)
    return _hasher.hash(password)


def create(tx: Tx, caller: Caller, *, email: str, name: str, password: str, scopes: frozenset[Scope]) -> User:
    """Take in a person; `password` is hashed already. Raises AlreadyExists, Invalid, ScopeNotYours."""
    model.must_carry(caller, scopes)
    key = model.email_key(email)
    user = store.put(tx, email=key, name=name, password=password, scopes=scopes)
    if user is None:
        raise errors.AlreadyExists(f"There is a user {key} already.")
    tell(tx, Entry(code="user.created", message=f"{caller.name} took in {key}.", subject=user.id, actor=caller.name))
    note_change(tx, caller.name, "user", user.id, f"{caller.name} took in {key}.", after=user)
    return user


def set_password(tx: Tx, caller: Caller, id: str, password: str, sessions: Sessions) -> None:
    """Give a person another password, hashed already, and end all sign-ins made with the old one. Raises NotFound, ScopeNotYours."""
    person = store.by_id(tx, id)
    if person is None:
        raise errors.NotFound
    # Otherwise whoever may write users could sign in as somebody who may do more.
    model.must_carry(caller, person.scopes)
    store.set_password(tx, person.pk, password)
    sessions.end_all(tx, person.pk)
    note_change(tx, caller.name, "user", person.id, f"{caller.name} set a new password for {person.email}.")
    tell(
        tx,
        Entry(
            code="user.password_set",
            message=f"{caller.name} set a new password for {person.email}.",
            subject=person.id,
            actor=caller.name,
        ),
    )


def sign_in(tx: Tx, person: Person, address: str, sessions: Sessions) -> Opened:
    """Open a session for a person whose password has just been checked. Raises SignInFailed when that has changed meanwhile."""
    if not store.note_sign_in(tx, person.pk, person.password, now()):
        raise errors.SignInFailed
    tell(
        tx,
        Entry(
            code="user.signed_in",
            message=f"{person.email} signed in from {address or 'an unknown address'}.",
            subject=person.id,
            actor=person.email,
        ),
    )
    return sessions.open(tx, person.pk, person.email, person.scopes)


def _fits(against: str, password: str) -> bool:
    try:
        return _hasher.verify(against, password)
    except (VerificationError, InvalidHashError):
        return False
