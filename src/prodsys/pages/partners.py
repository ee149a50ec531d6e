"""Admin > Integrations > ProdSys to ProdSys: everybody we trade with, and whether all is well."""

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.visitor import Visitor, show
from prodsys.partners import actions, store
from prodsys.partners.model import Partner
from prodsys.scopes import Scope, allows

SHOWN = 50


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether all is well with a partner, in a word, and why not."""

    kind: str
    icon: str
    word: str
    why: str = ""


@get("/partners", include_in_schema=False, **allows(Scope.PARTNERS_READ, "page"))
async def partners(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Everybody we trade with, and whether all is well."""
    place = visitor.place("partners", int)

    def read(tx: Tx) -> dict[str, Any]:
        rows = store.page(tx, after=place[0] if place else 0, limit=SHOWN + 1)
        more = encode_cursor("partners", rows[SHOWN - 1].pk) if len(rows) > SHOWN else None
        found = actions.complete(tx, rows[:SHOWN])
        return {"rows": [(partner, health(visitor, partner)) for partner in found], "next": more}

    return await show(visitor, "partners.html", here="partners", now=now(), **await db.read(read))


routes = [partners]


def health(visitor: Visitor, partner: Partner) -> Health:
    """Whether all is well, worst first."""
    say = visitor.speech.say
    blocking = next((issue for issue in partner.missing if issue.blocks), None)
    if not partner.is_active:
        return Health(kind="idle", icon="off", word=say("Switched off"))
    if blocking is not None:
        return Health(kind="bad", icon="bad", word=say("Not connected"), why=blocking.message)
    if partner.lane is not None and partner.lane.state == "stopped":
        return Health(kind="bad", icon="bad", word=say("Stopped"), why=partner.lane.reason)
    if partner.lane is not None and partner.lane.state == "paused":
        return Health(kind="warn", icon="clock", word=say("Not reached"), why=partner.lane.reason)
    if partner.missing:
        return Health(kind="warn", icon="clock", word=say("Token ends soon"), why=partner.missing[0].message)
    if partner.checklist is not None and not partner.checklist.passed:
        return Health(kind="warn", icon="warn", word=say("Needs a look"))
    if not partner.endpoint:
        return Health(kind="idle", icon="open", word=say("No connection from here"))
    return Health(kind="ok", icon="ok", word=say("Connected"))
