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
from prodsys.tables import articles, company, contacts, modules, partners, purchase_orders, sales_orders, tokens, users

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
            exists(select(partners.c.pk).where(partners.c.is_active, partners.c.endpoint != "")).label("has_supplier"),
        )
    ).one()
    return Readiness(
        has_card=bool(row.has_card),
        has_articles=bool(row.has_articles),
        has_contacts=bool(row.has_contacts),
        has_partner_token=bool(row.has_partner_token),
        has_supplier=bool(row.has_supplier),
    )


class SetUp(msgspec.Struct, frozen=True, kw_only=True):
    """How far the guide's steps have come, each by whether its trace is in the books."""

    has_address: bool
    has_articles: bool
    has_token: bool
    token_taken: bool
    """Whether a partner has used a token of ours."""
    has_supplier: bool
    """Whether we are connected to a partner we can order from."""
    supplier_linked: bool
    """Whether such a partner is one of our contacts."""
    has_order: bool
    has_sent: bool
    has_draft: bool
    has_approved: bool
    has_colleague: bool


_set_up = hot(
    select(
        exists(select(company.c.pk).where(company.c.card.contains('"city"'))).label("has_address"),
        exists(select(articles.c.pk).where(articles.c.is_active)).label("has_articles"),
        exists(select(tokens.c.pk).where(tokens.c.partner.is_not(None), tokens.c.revoked_at.is_(None))).label("has_token"),
        exists(select(tokens.c.pk).where(tokens.c.partner.is_not(None), tokens.c.last_used_at.is_not(None))).label("token_taken"),
        exists(select(partners.c.pk).where(partners.c.token.is_not(None))).label("has_supplier"),
        exists(select(partners.c.pk).where(partners.c.token.is_not(None), partners.c.contact.is_not(None))).label("supplier_linked"),
        exists(select(purchase_orders.c.pk)).label("has_order"),
        exists(select(purchase_orders.c.pk).where(purchase_orders.c.delivery == "received")).label("has_sent"),
        exists(select(sales_orders.c.pk)).label("has_draft"),
        exists(select(sales_orders.c.pk).where(sales_orders.c.order_number.is_not(None))).label("has_approved"),
        exists(select(users.c.pk).where(users.c.pk > select(users.c.pk).order_by(users.c.pk).limit(1).scalar_subquery())).label(
            "has_colleague"
        ),
    )
)


def set_up(tx: Tx) -> SetUp:
    """How far a new instance has come; a handful of looks into indexes."""
    row = _set_up.first(tx, {})
    return SetUp(**{name: bool(getattr(row, name)) for name in SetUp.__struct_fields__})


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
