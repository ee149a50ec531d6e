"""Admin > Integrations > ERP connections: connect a system, test it, say who may use it, and switch it on."""

import re
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.connections import actions, arrivals, model, signing_in, standing, steering, store, trials
from prodsys.connections.model import Authorize, ChangedConnection, Configuration, Connection, ConnectorShown, NewErpConnection, ToTest
from prodsys.connections.reaching import Systems, connector_of
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.states import etag
from prodsys.kit.web import encode_cursor
from prodsys.modules.model import ERP_MODULE
from prodsys.modules.store import is_on
from prodsys.pages.fields import Form, document
from prodsys.pages.members import KIND_WORDS
from prodsys.pages.visitor import Visitor, go, part, show
from prodsys.scopes import Scope, allows
from prodsys.users import store as users

_ON_A_PAGE = 50
_MOST_PEOPLE = 500


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a group that may be chosen for a connection."""

    id: str
    name: str
    is_group: bool


class ConfigField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a connector's form, as a page draws it."""

    name: str
    title: str
    description: str
    kind: str
    """text, secret, number, yes_no, choice or lines."""
    is_required: bool
    choices: list[tuple[str, str]]
    example: str
    default: Any


class OwnFields(msgspec.Struct, frozen=True, kw_only=True):
    """The fields a system has of its own, as it told them just now, and what is kept of them."""

    fields: list[ConfigField]
    kept: dict[str, Any]
    """As they are drawn; of a secret only whether there is one."""


@get("/connections", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def connections(visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]) -> Response[Any]:
    """Those this person may use, with how each stands."""
    above = (visitor.place("connections-page", int) or (0,))[0]
    found = await db.read(lambda tx: _page(tx, systems, visitor, above))
    more = encode_cursor("connections-page", found[_ON_A_PAGE - 1][0]) if len(found) > _ON_A_PAGE else None
    return await show(
        visitor, "connections.html", here="connections", connections=[one for _, one in found[:_ON_A_PAGE]], next=more,
        signed_in="grant" in visitor.query, is_off=await db.read(_is_off), closed=await db.read(arrivals.closed, visitor.caller),
    )  # fmt: skip


@get("/connections/new", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def new_connection(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """First which system; then its name here and who may use it."""
    name = visitor.query["connector"]
    offered = [one for one in actions.listed_connectors() if not one.is_partner]
    if name not in {one.name for one in offered}:
        return await show(visitor, "connection_which.html", here="connections", connectors=offered, is_off=await db.read(_is_off))
    return await _form(visitor, db, name, {"name": connector_of(name).title, "description": "", "scope": "everyone", "members": []})


@post("/connections/new", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def create_connection(
    visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """Note the connection down; its fields and the test come next."""
    typed = {"connector": form.text("connector"), **_named(form)}
    try:
        wanted = document(typed, NewErpConnection, form)
        made = await db.write(actions.create, systems, visitor.caller, wanted, await trials.passed_for(systems, wanted))
    except errors.Refusal as refusal:
        return await _form(visitor, db, form.text("connector"), typed, refusal)
    return go(f"/connections/{made.id}/fields")


@get("/connections/{id:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def connection(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """How it stands, what is missing, its flows."""
    return await _whole(visitor, db, systems, id)


@post("/connections/{id:str}", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def change_connection(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
) -> Response[Any]:
    """Name, description, scope and priority, which can always be saved; or test now, activate, let rest, remove."""
    said = "saved"
    try:
        match form.text("do"):
            case "test":
                tested = await trials.test_again(systems, visitor.caller, id)
                said = "test_passed" if tested.tested and tested.tested.is_fine else "test_failed"
            case "activate" | "rest" as wanted:
                await db.write(actions.switch, systems, visitor.caller, id, on=wanted == "activate")
                flows = await db.read(steering.flows_of, visitor.caller, id)
                said = ("connection_on" if flows else "connection_on_empty") if wanted == "activate" else "connection_off"
            case "remove":
                await db.write(actions.remove, visitor.caller, id, form.text("etag"))
                return go("/connections", "connection_removed")
            case "bring_in":
                wanted_kinds = document({"kinds": form.many("kinds")}, model.Imports)
                await db.write(steering.import_soon, visitor.caller, id, wanted_kinds.kinds)
                said = "import_begun"
            case _:
                changed = {**_named(form), "priority": form.whole("priority") or 0}
                await db.write(actions.change, systems, visitor.caller, id, document(changed, ChangedConnection, form), form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        is_refused = form.text("do") == "activate" and isinstance(refusal, errors.Invalid)
        return await _whole(visitor, db, systems, id, refusal, is_refused=is_refused)
    return go(f"/connections/{id}", said)


@get("/connections/{id:str}/fields", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def config_form(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """The form of the system; secrets that are kept are not shown again."""
    found = await db.read(lambda tx: standing.shown(tx, systems, standing.allowed(tx, visitor.caller, id)))
    return await _fields(visitor, found, found.config)


@post("/connections/{id:str}/fields", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def configure(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
) -> Response[Any]:
    """Test what was typed, or test and save it; or begin a sign-in at the other system. Every field at fault is named."""
    kept = await db.read(standing.allowed, visitor.caller, id)
    found = await db.read(lambda tx: standing.shown(tx, systems, kept))
    fields = config_fields(model.shown(found.connector, connector_of(found.connector)))
    grant = form.text("grant") or await db.read(store.grants.newest, found.connector, visitor.caller.name)
    result: model.TestResult | None = None
    typed: dict[str, Any] = {}
    own: OwnFields | None = None
    # Who has seen none of a system's own fields yet is shown them first; a connection that is there keeps what it has.
    asks = trials.describes_itself(found.connector) and (form.flag("own") or form.text("do") == "ask" or not kept.config_digest)
    try:
        typed = _config(form, fields)
        if asks:
            own = _own(await trials.described(systems, found.connector, typed, kept), fields, trials.own_values(systems, kept))
            typed |= _config(form, own.fields, is_own=True) if form.flag("own") else {}
        if own is not None and (form.text("do") == "ask" or not form.flag("own")):
            if visitor.is_part:
                return part(visitor, "connection_own.html", own=own, typed=typed, refusal=None)
            return await _fields(visitor, found, typed, own=own)
        match form.text("do"):
            case "sign_in":
                begun = await signing_in.authorize(
                    systems, visitor.caller, Authorize(connector=found.connector, config=typed, connection=id)
                )
                return await show(visitor, "connection_sign_in.html", here="connections", connection=found, url=begun.url)
            case "test":
                asked = ToTest(connector=found.connector, config=typed, connection=id, grant=grant or None)
                result = await trials.test(systems, visitor.caller, asked)
            case _:
                await actions.configure(systems, visitor.caller, id, Configuration(config=typed, grant=grant or None), form.text("etag"))
                return _gone(visitor, f"/connections/{id}?said=test_passed")
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        if visitor.is_part:
            return part(visitor, "_connection_test.html", fields=fields, result=None, refusal=refusal, status=200)
        return await _fields(visitor, found, typed, own=own, refusal=refusal)
    if visitor.is_part:
        return part(visitor, "_connection_test.html", fields=fields, result=result)
    return await _fields(visitor, found, typed, own=own, result=result)


routes = [connections, new_connection, create_connection, connection, change_connection, config_form, configure]


def config_fields(connector: ConnectorShown) -> list[ConfigField]:
    """The fields of a connector's form, in its order, from the JSON Schema it is described by."""
    required = set(connector.form.get("required", ()))
    return [_field(name, one, name in required) for name, one in connector.form.get("properties", {}).items()]


def _field(name: str, schema: dict[str, Any], is_required: bool) -> ConfigField:
    titles = schema.get("x-titles", {})
    choices = [(str(one), str(titles.get(str(one), one))) for one in schema.get("enum", ())]
    kinds = {one.get("type") for one in schema.get("anyOf", ())} | {schema.get("type")}
    kind = "text"
    if schema.get("writeOnly"):
        kind = "secret"
    elif choices:
        kind = "choice"
    elif "boolean" in kinds:
        kind = "yes_no"
    elif kinds & {"integer", "number"}:
        kind = "number"
    elif kinds & {"array", "object"}:
        kind = "lines"
    examples = schema.get("examples") or [""]
    return ConfigField(
        name=name,
        title=schema.get("title", name),
        description=schema.get("description", ""),
        kind=kind,
        is_required=is_required,
        choices=choices,
        example=str(examples[0]),
        default=schema.get("default", ""),
    )


def _own(described: ConnectorShown, ours: list[ConfigField], kept: dict[str, Any]) -> OwnFields:
    """Of a form a system described, the fields that are its own."""
    known = {field.name for field in ours}
    own = [field for field in config_fields(described) if field.name not in known]
    return OwnFields(fields=own, kept={field.name: _drawn(field, kept[field.name]) for field in own if kept.get(field.name)})


def _drawn(field: ConfigField, said: str) -> Any:
    """A value as it travels (`[I:30]`), as a field shows it; a secret is not shown."""
    bare = found[1] if (found := re.fullmatch(r"\[[A-Z]+:(.*)\]", said)) else said
    match field.kind:
        case "secret":
            return True
        case "yes_no":
            return bare.casefold() in ("1", "true")
        case "number" | "choice":
            return bare
        case _:
            return said


def _config(form: Form, fields: list[ConfigField], *, is_own: bool = False) -> dict[str, Any]:
    """What was typed, member by member; a secret that was left empty stays as it is kept. `is_own`: what is emptied is told as None."""
    typed: dict[str, Any] = {}
    for field in fields:
        value = form.secret(f"config.{field.name}") if field.kind == "secret" else form.text(f"config.{field.name}")
        match field.kind:
            case "yes_no":
                typed[field.name] = bool(value)
            case "number":
                number = form.decimal(f"config.{field.name}", f"/config/{field.name}")
                if number is not None:
                    typed[field.name] = int(number) if number == number.to_integral_value() else float(number)
                elif is_own:
                    typed[field.name] = None
            case "lines":
                if value:
                    typed[field.name] = _lines(value)
            case _:
                if value or not (field.is_required or field.kind == "secret"):
                    typed[field.name] = value or (None if is_own else "")
    form.must_be_sound()
    return typed


def _lines(text: str) -> Any:
    """A list or a table, one entry a line, a table's as name = value; or JSON as it stands."""
    if text.startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    rows = [line.strip() for line in text.splitlines() if line.strip()]
    if all("=" in row for row in rows):
        return {key.strip(): value.strip() for key, _, value in (row.partition("=") for row in rows)}
    return rows


def _named(form: Form) -> dict[str, Any]:
    return {
        "name": form.text("name"),
        "description": form.text("description"),
        "scope": form.text("scope", "everyone"),
        "members": form.many("members"),
    }


def _page(tx: Tx, systems: Systems, visitor: Visitor, above: int) -> list[tuple[int, Connection]]:
    found = store.connections.page(tx, person=visitor.caller.person, after=above, limit=_ON_A_PAGE + 1)
    return [(kept.pk, standing.shown(tx, systems, kept)) for kept in found]


def choices(tx: Tx) -> list[Choice]:
    """Unit: groups first, then people."""
    groups = [Choice(id=one.id, name=one.name, is_group=True) for _, one in users.groups.listed(tx, limit=_MOST_PEOPLE, after=None)]
    people = [Choice(id=one.id, name=f"{one.name} ({one.email})", is_group=False) for _, one in users.people.listed(tx, limit=_MOST_PEOPLE)]
    return groups + people


def _gone(visitor: Visitor, to: str) -> Response[Any]:
    """On, for a script too: it is told where."""
    return Response(b"", headers={"HX-Redirect": to}) if visitor.is_part else go(to)


async def _form(visitor: Visitor, db: Database, name: str, typed: dict[str, Any], refusal: errors.Refusal | None = None) -> Response[Any]:
    return await show(
        visitor, "connection_new.html", here="connections", connector=model.shown(name, connector_of(name)), typed=typed,
        is_off=await db.read(_is_off), choices=await db.read(choices), refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip


async def _fields(
    visitor: Visitor,
    found: Connection,
    typed: dict[str, Any],
    *,
    own: OwnFields | None = None,
    refusal: errors.Refusal | None = None,
    result: model.TestResult | None = None,
) -> Response[Any]:
    connector = model.shown(found.connector, connector_of(found.connector))
    return await show(
        visitor, "connection_fields.html", here="connections", connection=found, connector=connector, fields=config_fields(connector),
        describes=trials.describes_itself(found.connector), own=own,
        typed=typed, etag=etag(found.id, found.version), result=result, refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip


def _is_off(tx: Tx) -> bool:
    return not is_on(tx, ERP_MODULE)


async def _whole(
    visitor: Visitor, db: Database, systems: Systems, id: str, refusal: errors.Refusal | None = None, *, is_refused: bool = False
) -> Response[Any]:
    def read(tx: Tx) -> tuple[Connection, list[model.Flow], list[Choice]]:
        return standing.shown(tx, systems, standing.allowed(tx, visitor.caller, id)), steering.flows_of(tx, visitor.caller, id), choices(tx)

    found, flows, people = await db.read(read)
    closed = await db.read(arrivals.closed, visitor.caller)
    connector = model.shown(found.connector, connector_of(found.connector))
    comes = [one.kind for one in connector.capabilities if one.direction == "in" and one.is_offered]
    return await show(
        visitor, "connection.html", here="connections", connection=found, connector=connector, flows=flows, choices=people, comes=comes,
        closed=closed.get(found.id), now=now(), is_off=await db.read(_is_off), is_refused=is_refused,
        words=KIND_WORDS, etag=etag(found.id, found.version), refusal=refusal, status=refusal.status if refusal else 200,
    )  # fmt: skip
