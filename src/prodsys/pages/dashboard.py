"""The first page: what waits for this person, the last days in figures, and the way there for a new instance."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from prodsys.alerts import store as alerts
from prodsys.alerts.model import Alert, Ending
from prodsys.connections import arrivals
from prodsys.connections.arrivals import Closed
from prodsys.contacts import store as contacts
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.logs import store as logs
from prodsys.logs.model import Logged
from prodsys.modules import store as modules
from prodsys.modules.store import SetUp
from prodsys.pages import waiting
from prodsys.pages.figures import figures
from prodsys.pages.visitor import Visitor, show
from prodsys.purchasing import following
from prodsys.purchasing.model.lists import FollowUpCounts
from prodsys.sales import store as sales
from prodsys.scopes import PRODSYS_MODULE, AnyToken, Caller, Scope, allows

SOON = dt.timedelta(days=14)
"""Tokens that end within these days are told here."""
_EVENTS = 8
_MOST_ALERTS = 10


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may need this person; what he may not see is empty."""

    alerts: Sequence[Alert] = ()
    closed: Sequence[Closed] = ()
    """Connections that take nothing at the moment."""
    drafts: int = 0
    clean: int = 0
    follow: FollowUpCounts | None = None
    endings: Sequence[Ending] = ()
    proposals: int = 0
    events: Sequence[Logged] = ()
    set_up: SetUp | None = None
    is_trading: bool = True


@get("/", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def dashboard(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """What needs doing, most urgent first."""
    found = await db.read(_look, visitor.caller)
    return await show(
        visitor,
        "dashboard.html",
        here="dashboard",
        found=found,
        figures=await figures(db, visitor.caller, now().date()),
        most=waiting.MOST,
    )


def _look(tx: Tx, caller: Caller) -> Waiting:
    at = now()
    sells, buys = caller.may(Scope.SALES_ORDERS_READ), caller.may(Scope.PURCHASE_ORDERS_READ)
    return Waiting(
        alerts=[alert for _, alert in alerts.page(tx, limit=_MOST_ALERTS, below=None, is_open=True)]
        if caller.may(Scope.ALERTS_READ)
        else [],
        closed=list(arrivals.closed(tx, caller).values()) if caller.may(Scope.CONNECTIONS_READ) else [],
        drafts=sales.waiting.count(tx, waiting.MOST + 1) if sells else 0,
        clean=sales.waiting.count(tx, waiting.MOST + 1, only_clean=True) if sells else 0,
        follow=following.counts(tx) if buys else None,
        endings=alerts.ending(tx, at, at + SOON)[:_MOST_ALERTS] if caller.may(Scope.TOKENS_READ) else [],
        proposals=len(contacts.proposals(tx, "", _MOST_ALERTS)) if caller.may(Scope.CONTACTS_WRITE) else 0,
        events=[entry for _, entry in logs.page(tx, before=None, limit=_EVENTS)] if caller.may(Scope.LOGS_READ) else [],
        set_up=modules.set_up(tx) if caller.may(Scope.MODULES_WRITE) else None,
        is_trading=modules.is_on(tx, PRODSYS_MODULE),
    )


routes = [dashboard]
