"""How passwords are hashed and checked: beside the event loop, and as dear for nobody as for anybody."""

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
from prodsys.users import model
from prodsys.users.model import NO_PASSWORD
from prodsys.users.store.people import Person

_MAX_WAITING = 64

_hasher = PasswordHasher()
# What an unknown e-mail is checked against, so that it takes as long as a known one. Nobody knows its password, and none would do.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class Passwords:
    """Hashes and checks passwords beside the event loop: two at a time, one at a time for each e-mail (house.md, 8). One for each app."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="prodsys-argon2", initializer=_step_back)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Hash with argon2id at its library's defaults. Raises Invalid for one that is too short."""
        model.check_password(password)
        return await asyncio.get_running_loop().run_in_executor(self._threads, hashed, password)

    async def check(self, email: str, password: str, person: Person | None) -> bool:
        """Whether the password is this person's; it takes as long for nobody. Raises TooManyRequests while too many wait."""
        if self._waiting >= _MAX_WAITING:
            raise errors.TooManyRequests(headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._turn(email):
                # Who was invited has no password yet, and that too must not be heard from the time it takes.
                has_one = person is not None and person.password.startswith("$")
                against = person.password if person is not None and has_one else NOBODY
                return await asyncio.get_running_loop().run_in_executor(self._threads, fits, against, password) and has_one
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


def hashed(password: str) -> str:
    """A password as it is kept, argon2id; takes about 150 ms. Raises Invalid for one that is too short."""
    model.check_password(password)
    return _hasher.hash(password)


def fits(against: str, password: str) -> bool:
    """Whether a password is the one that was hashed."""
    try:
        return against != NO_PASSWORD and _hasher.verify(against, password)
    except (VerificationError, InvalidHashError):
        return False


def _step_back() -> None:
    """Let a thread that hashes yield to everything else: eight sign-ins at once must not be felt by the orders."""
    if sys.platform == "linux":  # elsewhere the whole process would be slowed
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
