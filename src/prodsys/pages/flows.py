"""Flows of an ERP connection: what goes where, when and how, how each run went, and what was refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from prodsys import errors
from prodsys.connections import arrivals, model, standing, steering, store
from prodsys.connections.model import ChangedFlow, Flow, FlowSettings, NewFlow
from prodsys.connections.reaching import Systems, connector_of
from prodsys.connectors._base import Capability
from prodsys.kit.clock import now
from prodsys.kit.db import LEAVING, Database, Tx
from prodsys.kit.states import etag
from prodsys.kit.web import encode_cursor
from prodsys.pages.connectors import KIND_WORDS
from prodsys.pages.fields import Form, document
from prodsys.pages.live import FOLLOWED
from prodsys.pages.visitor import Visitor, go, part_text, show
from prodsys.scopes import Scope, allows
from prodsys.users import store as users

_ON_A_PAGE = 50
_RUNS = 25
_LOOK_EVERY = 0.5
_TEXTS = ("condition", "customer_key", "debtor", "default_debtor", "makes", "employee_number", "branch", "warehouse", "charge_article")


@get("/flows", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def flows(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """All flows of the connections this person may use, each with its newest run."""
    above = (visitor.place("flows-page", int) or (0,))[0]
    found, shown = await db.read(_listed, visitor, above)
    more = encode_cursor("flows-page", found[_ON_A_PAGE - 1].pk) if len(found) > _ON_A_PAGE else None
    return await show(visitor, "flows.html", here="connections", flows=shown, next=more, words=KIND_WORDS)


@get("/connections/{id:str}/flows/new", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def new_flow(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """First what goes which way; then when and how."""
    return await _new(visitor, db, systems, id, visitor.query["way"])


@post("/connections/{id:str}/flows/new", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def create_flow(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
) -> Response[Any]:
    """Set it up, or say everything that speaks against it."""
    kind, _, direction = form.text("way").partition(".")
    typed = {
        "kind": kind,
        "direction": direction,
        "other": form.text("other") or None,
        "is_on": True,
        **_timed(form),
        "settings": _settings(form),
    }
    try:
        made = await db.write(steering.create_flow, visitor.caller, id, document(typed, NewFlow, form))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _new(visitor, db, systems, id, form.text("way"), typed, refusal)
    return go(f"/flows/{made.id}", "saved")


@get("/flows/{id:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def flow(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One flow with its runs."""
    return await _whole(visitor, db, id)


@get("/flows/{id:str}/events", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def flow_events(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> ServerSentEvent:
    """How its run goes, as it goes, until it has ended."""
    await db.read(_seen, visitor, id, None)  # a 404 must come before the stream begins
    return ServerSentEvent(_news(visitor, db, id))


@post("/flows/{id:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def change_flow(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Save how it goes; or run it now, let it begin again, remove it."""
    said = "saved"
    try:
        match form.text("do"):
            case "run":
                await db.write(steering.run_now, visitor.caller, id)
                said = "flow_runs"
            case "restart":
                await db.write(steering.begin_again, visitor.caller, id)
                said = "flow_restarted"
            case "remove":
                kept = await db.read(lambda tx: steering.flow_shown(tx, steering.flow_allowed(tx, visitor.caller, id)[0]))
                await db.write(steering.remove_flow, visitor.caller, id, form.text("etag"))
                return go(f"/connections/{kept.connection}", "flow_removed")
            case _:
                typed = {**_timed(form), "settings": _settings(form), "is_on": form.flag("is_on")}
                await db.write(steering.change_flow, visitor.caller, id, document(typed, ChangedFlow, form), form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _whole(visitor, db, id, refusal)
    return go(f"/flows/{id}", said)


@get("/runs/{id:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def run(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One run: its counts, and what it did not take over with all the reasons."""
    above = (visitor.place("records-page", int) or (0,))[0]

    def read(tx: Tx) -> tuple[model.Run, Flow, list[tuple[int, model.RunRecord]]]:
        found = steering.run_allowed(tx, visitor.caller, id)[1]
        kept = steering.flow_shown(tx, steering.flow_allowed(tx, visitor.caller, found.flow)[0])
        return found, kept, steering.records_of(tx, visitor.caller, id, after=above, limit=_ON_A_PAGE + 1)

    found, kept, records = await db.read(read)
    more = encode_cursor("records-page", records[_ON_A_PAGE - 1][0]) if len(records) > _ON_A_PAGE else None
    return await show(
        visitor, "run.html", here="connections", run=found, flow=kept, records=[one for _, one in records[:_ON_A_PAGE]], next=more,
        words=KIND_WORDS,
    )  # fmt: skip


routes = [flows, new_flow, create_flow, flow, flow_events, change_flow, run]


def _listed(tx: Tx, visitor: Visitor, above: int) -> tuple[list[Any], list[Flow]]:
    found = store.flows.every(tx, person=visitor.caller.person, after=above, limit=_ON_A_PAGE + 1)
    return found, steering.flows_shown(tx, found[:_ON_A_PAGE])


def _timed(form: Form) -> dict[str, Any]:
    unit = {"minutes": 60, "hours": 3600, "days": 86_400}.get(form.text("unit"), 60)
    return {"trigger": form.text("trigger", "hand"), "every_seconds": (form.whole("every", "/every_seconds") or 0) * unit}


def _settings(form: Form) -> dict[str, Any]:
    """What the form says of how it goes; a field the page did not draw keeps its default."""
    pairs = (line.partition("=") for line in form.text("where").splitlines() if "=" in line)
    typed: dict[str, Any] = {"where": {key.strip(): value.strip() for key, _, value in pairs}}
    typed |= {name: form.text(name) for name in _TEXTS if name in form}
    typed |= {name: form.text(name) for name in ("stock", "currency") if name in form}
    typed |= {name: form.flag(name) for name in ("create", "update", "update_customer", "as_draft") if f"has.{name}" in form}
    if (day := form.day("from_date", "/settings/from_date")) is not None:
        typed["from_date"] = day
    if (amount := form.whole("amount", "/settings/amount")) is not None:
        typed["amount"] = amount
    if form.text("manage_stock"):
        typed["manage_stock"] = form.text("manage_stock") == "yes"
    return typed


async def _new(
    visitor: Visitor,
    db: Database,
    systems: Systems,
    id: str,
    way: str,
    typed: dict[str, Any] | None = None,
    refusal: errors.Refusal | None = None,
) -> Response[Any]:
    def read(tx: Tx) -> tuple[model.Connection, list[model.Connection]]:
        found = standing.shown(tx, systems, standing.allowed(tx, visitor.caller, id))
        others = [
            standing.shown(tx, systems, kept)
            for kept in store.connections.page(tx, person=visitor.caller.person, after=0, limit=_ON_A_PAGE)
        ]
        return found, [one for one in others if one.id != id]

    found, others = await db.read(read)
    ways = [one for one in model.shown(found.connector, connector_of(found.connector)).capabilities if one.is_offered]
    chosen: Capability | None = next((one for one in ways if f"{one.kind}.{one.direction}" == way), None)
    settings = FlowSettings() if typed is None else {**msgspec.structs.asdict(FlowSettings()), **typed["settings"]}
    return await show(
        visitor, "flow_new.html", here="connections", connection=found, ways=ways, way=chosen, settings=settings,
        others=[(one.id, one.name) for one in others], typed={"trigger": "hand", "every_seconds": 0, "other": "", **(typed or {})},
        words=KIND_WORDS, refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip


def _seen(tx: Tx, visitor: Visitor, id: str, before: int | None) -> dict[str, Any]:
    kept, connection = steering.flow_allowed(tx, visitor.caller, id)
    found = steering.flow_shown(tx, kept)
    runs = steering.runs_of(tx, visitor.caller, id, before=before, limit=_RUNS + 1)
    return {
        "flow": found,
        "is_active": connection.is_active,
        "closed": arrivals.closed(tx, visitor.caller).get(connection.id) if kept.direction == "out" else None,
        "now": now(),
        "is_going": steering.is_going(tx, found),
        "runs": [one for _, one in runs[:_RUNS]],
        "next": encode_cursor("runs-page", runs[_RUNS - 1][0]) if len(runs) > _RUNS else None,
        "names": users.people.names_of(tx, [one.actor for _, one in runs]),
        "words": KIND_WORDS,
    }


async def _whole(visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    before = (visitor.place("runs-page", int) or (None,))[0]
    facts = await db.read(_seen, visitor, id, before)
    found: Flow = facts["flow"]
    return await show(
        visitor, "flow.html", here="connections", settings=found.settings, etag=etag(found.id, found.version), refusal=refusal,
        status=refusal.status if refusal else 200, **facts,
    )  # fmt: skip


async def _news(visitor: Visitor, db: Database, id: str) -> AsyncIterator[ServerSentEventMessage]:
    leaving = asyncio.Event()
    unlisten = db.listen(LEAVING, leaving.set)
    end, told, is_going = now() + FOLLOWED, "", True
    try:
        while is_going and now() < end and not leaving.is_set():
            facts = await db.read(_seen, visitor, id, None)
            is_going = facts["is_going"]
            html = " ".join(part_text(visitor, "flow_news.html", **facts).split("\n"))
            if html != told:
                told = html
                yield ServerSentEventMessage(data=html)
            if is_going:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await leaving.wait()
        yield ServerSentEventMessage(data="", event="ended")
    finally:
        unlisten()
