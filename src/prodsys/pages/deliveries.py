"""Admin > Logs > Deliveries: what was promised to others, what waits and why, and what was given up."""

import datetime as dt
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.connections import events
from prodsys.connections import store as connections
from prodsys.exchange import outbox
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages import mending
from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.words import N_
from prodsys.partners import store as partner_store
from prodsys.purchasing import carrying, store
from prodsys.scopes import Scope, allows

SHOWN = 50
MOST_PARTNERS = 500
MOST_WAITING = 1_000

KINDS = {
    "order": N_("Order"),
    "order_mail": N_("Order by e-mail"),
    "answer": N_("Answer"),
    "acceptance": N_("Acceptance"),
    "cancellation": N_("Cancellation"),
    "message": N_("Message"),
    "attachment": N_("Attachment"),
    "mail": N_("E-mail"),
    "hook": N_("Webhook"),
    "flow": N_("To an ERP"),
}
"""What is delivered, in a word."""


@get("/deliveries", include_in_schema=False, **allows(Scope.LOGS_READ, "page"))
async def deliveries(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The ledger, newest first; or what waits, lane by lane; or what was refused or given up."""
    return await _page(visitor, db)


@post("/deliveries/{id:str}/resend", include_in_schema=False, **allows(Scope.DELIVERIES_WRITE, "page"))
async def resend(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Send what was given up once more, exactly as it was."""
    try:
        await db.write(carrying.send_again, visitor.caller, id)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, refusal)
    return go("/deliveries", "sent_again")


@post("/deliveries/try", include_in_schema=False, **allows(Scope.DELIVERIES_WRITE, "page"))
async def try_now(form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Let a lane that waits be tried at once."""
    await db.write(outbox.probe_soon, form.text("lane"))
    return go("/deliveries?view=waiting", "tried")


routes = [deliveries, resend, try_now]


async def _page(visitor: Visitor, db: Database, refusal: errors.Refusal | None = None) -> Response[Any]:
    asked = visitor.query.get("view", "")
    view = asked if asked in ("waiting", "refused", "dead") else ""
    lane = visitor.query.get("lane")
    order = visitor.query.get("order")

    def read(tx: Tx) -> dict[str, Any]:
        if view == "waiting":
            place = visitor.place("deliveries-waiting", str, str, int)
            rows = store.deliveries.waiting(tx, _moment_of(place), SHOWN + 1, lane=lane)
            last = rows[SHOWN - 1] if len(rows) > SHOWN else None
            more = encode_cursor("deliveries-waiting", last.lane, last.run_at.isoformat(), last.pk) if last else None
        else:
            place = visitor.place("deliveries", int)
            state: Any = view or None
            rows = store.deliveries.below(tx, place[0] if place else None, SHOWN + 1, lane=lane, state=state, subject=order)
            more = encode_cursor("deliveries", rows[SHOWN - 1].pk) if len(rows) > SHOWN else None
        systems = connections.connections.page(tx, person=visitor.caller.person, after=0, limit=MOST_PARTNERS)
        return {
            "rows": [carrying.delivery_entry(row) for row in rows[:SHOWN]],
            "next": more,
            "names": {one.id: one.name for one in partner_store.called(tx, MOST_PARTNERS)},
            "systems": {events.lane_of(one.id): one for one in systems},
            "lanes": outbox.closed_or_waiting(tx, most=MOST_WAITING),
        }

    facts = await db.read(read)
    return await show(
        visitor,
        "deliveries.html",
        here="deliveries",
        view=view,
        lane=lane,
        order=order,
        kinds=KINDS,
        page_of=mending.page_of,
        most=MOST_WAITING,
        now=now(),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        closed={one.lane: one for one in facts["lanes"] if one.state != "open"},
        **facts,
    )


def _moment_of(place: tuple[Any, ...] | None) -> tuple[str, dt.datetime, int] | None:
    if place is None:
        return None
    try:
        return place[0], dt.datetime.fromisoformat(place[1]), place[2]
    except ValueError:
        return None
