"""Passwords hashed in no time: that it takes long is asked where people sign in, and everywhere else it only keeps tests waiting."""

from argon2 import PasswordHasher

_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def hashed(password: str) -> str:
    """A password as it is kept; whoever signs in with it is checked at the same cheap rate."""
    return _CHEAP.hash(password)
