"""Flows of an ERP connection: what goes where, when and how, how each run went, and what was refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import reduce
from operator import or_
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage

from prodsys import errors
from prodsys.connections import arrivals, model, standing, steering, store
from prodsys.connections.applying import ANYTHING, Applying, applying
from prodsys.connections.flows import MOST_TOLD
from prodsys.connections.model import ChangedFlow, Flow, FlowSettings, NewFlow
from prodsys.connections.reaching import Systems, connector_of, read_form
from prodsys.connections.store.flows import KeptFlow
from prodsys.connectors import known
from prodsys.connectors._base import Capability, capabilities
from prodsys.kit.clock import now
from prodsys.kit.db import LEAVING, Database, Tx
from prodsys.kit.states import etag
from prodsys.kit.web import encode_cursor
from prodsys.logs import store as logs
from prodsys.logs.model import Logged
from prodsys.pages import records
from prodsys.pages.fields import Form, document
from prodsys.pages.live import FOLLOWED
from prodsys.pages.members import KIND_WORDS
from prodsys.pages.visitor import Visitor, go, part_text, show
from prodsys.scopes import Scope, allows
from prodsys.users import store as users

_ON_A_PAGE = 50
_RUNS = 25
_LOOK_EVERY = 0.5
_CARRIED = ("flow.created", "flow.updated")
_TEXTS = (
    "condition", "customer_key", "debtor", "default_debtor", "makes", "employee_number", "branch", "warehouse", "charge_article", "stock",
    "currency", "role",
)  # fmt: skip


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
                was = await db.read(lambda tx: steering.flow_allowed(tx, visitor.caller, id)[0].settings)
                typed = {**_timed(form), "settings": msgspec.structs.asdict(was) | _settings(form), "is_on": form.flag("is_on")}
                await db.write(steering.change_flow, visitor.caller, id, document(typed, ChangedFlow, form), form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _whole(visitor, db, id, refusal)
    return go(f"/flows/{id}", said)


@get("/runs/{id:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def run(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One run: what came of each record, with our own beside it, and what it did not take over with all the reasons."""
    above = (visitor.place("records-page", int) or (0,))[0]
    before = (visitor.place("carried-page", int) or (None,))[0]

    def read(tx: Tx) -> dict[str, Any]:
        found = steering.run_allowed(tx, visitor.caller, id)[1]
        kept = steering.flow_shown(tx, steering.flow_allowed(tx, visitor.caller, found.flow)[0])
        refused = steering.records_of(tx, visitor.caller, id, after=above, limit=_ON_A_PAGE + 1)
        told = logs.page(tx, before=before, limit=_ON_A_PAGE + 1, trace_id=found.trace_id) if found.trace_id else []
        carried = [entry for _, entry in told[:_ON_A_PAGE] if entry.code in _CARRIED]
        ours = records.ours(
            tx, visitor.caller, kept.kind, [one.number for _, one in refused] + [name for entry in carried for name in _names(entry)]
        )
        return {
            "run": found,
            "flow": kept,
            "records": [one for _, one in refused[:_ON_A_PAGE]],
            "next": encode_cursor("records-page", refused[_ON_A_PAGE - 1][0]) if len(refused) > _ON_A_PAGE else None,
            "carried": carried,
            "next_carried": encode_cursor("carried-page", told[_ON_A_PAGE - 1][0]) if len(told) > _ON_A_PAGE else None,
            "ours": ours,
            "told_before": steering.told_before(tx, visitor.caller, id),
        }

    facts = await db.read(read)
    found: model.Run = facts["run"]
    return await show(
        visitor, "run.html", here="connections", words=KIND_WORDS, names_of=_names, most=MOST_TOLD,
        is_cut=max(found.created, found.updated) > MOST_TOLD, **facts,
    )  # fmt: skip


routes = [flows, new_flow, create_flow, flow, flow_events, change_flow, run]


def _names(entry: Logged) -> list[str]:
    """What may name our record in what a flow told of one: its own id, or its number."""
    return [entry.subject, entry.number] if entry.subject.startswith("ct_") else [entry.number]


def _listed(tx: Tx, visitor: Visitor, above: int) -> tuple[list[Any], list[Flow]]:
    found = store.flows.every(tx, person=visitor.caller.person, after=above, limit=_ON_A_PAGE + 1)
    return found, steering.flows_shown(tx, found[:_ON_A_PAGE])


def _timed(form: Form) -> dict[str, Any]:
    unit = {"minutes": 60, "hours": 3600, "days": 86_400}.get(form.text("unit"), 60)
    return {"trigger": form.text("trigger", "hand"), "every_seconds": (form.whole("every", "/every_seconds") or 0) * unit}


def _settings(form: Form) -> dict[str, Any]:
    """What the form says of how it goes; of a field the page did not draw it says nothing."""
    typed: dict[str, Any] = {}
    if "where" in form:
        pairs = (line.partition("=") for line in form.text("where").splitlines() if "=" in line)
        typed["where"] = {key.strip(): value.strip() for key, _, value in pairs}
    typed |= {name: form.text(name) for name in _TEXTS if name in form}
    typed |= {name: form.flag(name) for name in ("create", "update", "update_customer", "as_draft") if f"has.{name}" in form}
    if "from_date" in form:
        typed["from_date"] = form.day("from_date", "/settings/from_date")
    if "amount" in form:
        typed["amount"] = form.whole("amount", "/settings/amount") or 0
    if "manage_stock" in form:
        typed["manage_stock"] = {"yes": True, "no": False}.get(form.text("manage_stock"))
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
    def read(tx: Tx) -> tuple[model.Connection, model.End, list[store.connections.Kept]]:
        kept = standing.allowed(tx, visitor.caller, id)
        others = store.connections.page(tx, person=visitor.caller.person, after=0, limit=_ON_A_PAGE)
        return standing.shown(tx, systems, kept), _end(kept), [one for one in others if one.id != id]

    found, here, there = await db.read(read)
    ways = [one for one in capabilities(*here) if one.is_offered]
    chosen: Capability | None = next((one for one in ways if f"{one.kind}.{one.direction}" == way), None)
    others = [one for one in there if chosen is not None and _answers(one, chosen)]
    settings = FlowSettings() if typed is None else {**msgspec.structs.asdict(FlowSettings()), **typed["settings"]}
    applies = None
    if chosen is not None:
        # Which end it leads to is chosen in the same form: whatever means something at one of them is asked for.
        ends = [None, *map(_end, others)]
        applies = reduce(or_, [applying(chosen.kind, chosen.direction, here, end) for end in ends])
    return await show(
        visitor, "flow_new.html", here="connections", connection=found, ways=ways, way=chosen, settings=settings, applies=applies,
        others=[(one.id, one.name) for one in others], typed={"trigger": "hand", "every_seconds": 0, "other": "", **(typed or {})},
        words=KIND_WORDS, refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip


def _end(kept: store.connections.Kept) -> model.End:
    return connector_of(kept.connector), read_form(kept.config)


def _answers(other: store.connections.Kept, way: Capability) -> bool:
    """Whether a connection can be the far end of what goes this way."""
    if other.connector not in known():
        return False
    return model.cannot(connector_of(other.connector), way.kind, "out" if way.direction == "in" else "in", read_form(other.config)) is None


def _applies(tx: Tx, flow: KeptFlow, connection: store.connections.Kept) -> Applying:
    other = None if flow.other is None else store.connections.by_key(tx, flow.other)
    if any(one is not None and one.connector not in known() for one in (connection, other)):
        return ANYTHING
    return applying(flow.kind, flow.direction, _end(connection), None if other is None else _end(other))


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
        "applies": _applies(tx, kept, connection),
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
