"""Which extensions are on: the rows, and a copy in memory that stays fresh."""

import asyncio
import datetime as dt

import msgspec
from sqlalchemy import bindparam, exists, select

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import ELSEWHERE, Database, Tx, hot, insert_or_update, signal
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.modules import model
from prodsys.modules.model import MODULES, Readiness
from prodsys.tables import articles, company, contacts, modules, tokens

TOPIC = "modules"
_AGAIN_SECONDS = 1.0


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one extension is on, and who said so when."""

    name: str
    is_on: bool
    changed_at: dt.datetime | None = None
    changed_by: str = ""


_columns = (modules.c.name, modules.c.is_on, modules.c.changed_at, modules.c.changed_by)
_all = hot(select(*_columns), Switch)
_one = hot(select(*_columns).where(modules.c.name == bindparam("name")), Switch)
_set = hot(insert_or_update(modules, "name", only=("is_on", "changed_at", "changed_by")))


def is_on(tx: Tx, name: str) -> bool:
    """Whether an extension is on, as this unit sees it. Raises NotFound for a name there is not."""
    kind = model.known(name)
    found = _one.first(tx, {"name": name})
    return kind.is_on_at_first if found is None else bool(found.is_on)


def switches(tx: Tx) -> dict[str, Switch]:
    """Every extension; those nobody has touched are as delivered."""
    touched = {switch.name: switch for switch in _all.all(tx)}
    return {name: touched.get(name) or Switch(name=name, is_on=kind.is_on_at_first) for name, kind in MODULES.items()}


def set_on(tx: Tx, name: str, on: bool, actor: str) -> bool:
    """Switch an extension on or off and log it; False when it was so already. Raises NotFound."""
    kind = model.known(name)
    if is_on(tx, name) == on:
        return False
    _set.run(tx, {"name": name, "is_on": on, "changed_at": now(), "changed_by": actor})
    word = "on" if on else "off"
    tell(tx, Entry(code=f"module.{word}", message=f"{actor} switched the module {kind.title} {word}.", subject=name, actor=actor))
    note_change(tx, actor, "module", name, f"{actor} switched the module {kind.title} {word}.", {"is_on": not on}, {"is_on": on})
    signal(tx, TOPIC)
    return True


def readiness(tx: Tx) -> Readiness:
    """What this instance has so far, as far as partners need it."""
    good = (tokens.c.partner.is_not(None), tokens.c.revoked_at.is_(None), tokens.c.expires_at > now())
    row = tx.execute(
        select(
            exists(select(company.c.pk)).label("has_card"),
            exists(select(articles.c.pk).where(articles.c.is_active)).label("has_articles"),
            exists(select(contacts.c.pk)).label("has_contacts"),
            exists(select(tokens.c.pk).where(*good)).label("has_partner_token"),
        )
    ).one()
    return Readiness(
        has_card=bool(row.has_card),
        has_articles=bool(row.has_articles),
        has_contacts=bool(row.has_contacts),
        has_partner_token=bool(row.has_partner_token),
    )


class Switchboard:
    """The switches in memory, for whoever must know at every request; fresh after each commit here, a second later after one elsewhere."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._on = {name: kind.is_on_at_first for name, kind in MODULES.items()}
        self._order = asyncio.Lock()
        self._refreshing: set[asyncio.Task[None]] = set()
        self._stop_listening = [db.listen(topic, self._refresh_soon) for topic in (TOPIC, ELSEWHERE)]

    def is_on(self, name: str) -> bool:
        """Whether an extension is on; False for one there is not."""
        return self._on.get(name, False)

    async def refresh(self) -> None:
        """Read the switches; awaited once before the first request, and whenever the answer must already be true."""
        async with self._order:  # so that an older reading never comes last
            found = await self._db.read(switches)
            self._on = {name: switch.is_on for name, switch in found.items()}

    def close(self) -> None:
        """Stop listening to the database."""
        for stop in self._stop_listening:
            stop()
        for task in self._refreshing:
            task.cancel()

    def _refresh_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self._refresh_surely(), name="prodsys.modules.refresh")
        self._refreshing.add(task)
        task.add_done_callback(self._refreshing.discard)

    async def _refresh_surely(self) -> None:
        while True:
            try:
                return await self.refresh()
            except errors.StorageUnavailable:
                await asyncio.sleep(_AGAIN_SECONDS)
