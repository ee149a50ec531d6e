"""How many requests a token or an address may make, told in `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers-11)."""

import math
import time
from typing import Any

import msgspec

from prodsys import errors

_MAX_KEYS = 10_000


class Quota(msgspec.Struct, frozen=True):
    """What is left to somebody after one request."""

    is_open: bool
    """False: this request was one too many."""
    remaining: int
    wait: int
    """Whole seconds until the next request is taken (`is_open` False), or until everything is free again."""
    policy: bytes
    """The value of `RateLimit-Policy`."""
    name: str

    def header(self) -> bytes:
        """The value of `RateLimit`."""
        return f'"{self.name}";r={self.remaining};t={self.wait}'.encode()


class Limiter:
    """A bucket for each key: `quota` requests at once, filled again over `window` seconds. It remembers 10,000 keys and forgets the idlest.

    In memory: each process counts for itself, and a restart forgives.
    """

    def __init__(self, name: str, quota: int, window: int, max_keys: int = _MAX_KEYS) -> None:
        self.name = name
        self.quota = quota
        self.policy = f'"{name}";q={quota};w={window}'.encode()
        self._rate = quota / window
        self._max_keys = max_keys
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, key: str, now: float | None = None) -> int:
        """Whole seconds until the next request of this key would be taken, which is not counted; 0 at once."""
        now = time.monotonic() if now is None else now
        left, since = self._buckets.get(key, (float(self.quota), now))
        return max(0, math.ceil((1 - left) / self._rate - (now - since)))

    def take(self, key: str, now: float | None = None) -> Quota:
        """Count one request of this key; `now` is in seconds of a clock that never goes back."""
        now = time.monotonic() if now is None else now
        buckets = self._buckets
        # Taken out and put in again, so that the idlest key stands first.
        left, since = buckets.pop(key, (float(self.quota), now))
        left = min(float(self.quota), left + (now - since) * self._rate)
        is_open = left >= 1
        left -= is_open
        buckets[key] = (left, now)
        if len(buckets) > self._max_keys:
            del buckets[next(iter(buckets))]
        missing = self.quota - left if is_open else 1 - left
        return Quota(is_open, int(left), math.ceil(missing / self._rate), self.policy, self.name)


def charge(scope: Any, limiter: Limiter, key: str) -> None:
    """Count this request; its answer then carries the quota. Raises TooManyRequests with Retry-After when it is one too many."""
    quota = scope["quota"] = limiter.take(key)
    if not quota.is_open:
        raise errors.TooManyRequests(headers={"Retry-After": str(quota.wait)})
