"""Calls by nobody we know, counted and told of once a minute, because whoever makes them up could fill the log."""

import contextlib
import datetime as dt
from collections import Counter

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Database
from prodsys.logs.model import Entry
from prodsys.logs.store import tell

_MOST_ADDRESSES = 1_000
_A_MINUTE = dt.timedelta(minutes=1)


class Strangers:
    """Who came to one door without what opens it; `what` is said of how many: "calls came to … with a secret nobody here has"."""

    def __init__(self, code: str, what: str) -> None:
        self._code = code
        self._what = what
        self._counted: Counter[str] = Counter()
        self._told: dt.datetime | None = None

    async def count(self, db: Database, address: str) -> None:
        """Count one more; each minute one line of the log tells how many there were."""
        # An address is cheap: nobody fills our memory with those he has made up.
        self._counted[address if address in self._counted or len(self._counted) < _MOST_ADDRESSES else "others"] += 1
        at = now()
        if self._told is not None and at - self._told < _A_MINUTE:
            return
        counted, self._counted, self._told = self._counted, Counter(), at
        named = ", ".join(f"{one or 'unknown'} {times}×" for one, times in counted.most_common(10))
        with contextlib.suppress(errors.StorageUnavailable):
            message = f"{counted.total()} {self._what}: {named}."
            await db.write(tell, Entry(code=self._code, message=message, level="warning", direction="in"))
