"""Field mapping, list mapping and links of an ERP connection: how one system's words become the other's, tried on a real record."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import documents, errors
from prodsys.connections import applying, code_lists, linking, mappings, model, standing
from prodsys.connections.flows import Flows
from prodsys.connections.model import Connection, MappingShown, NewLink, Preview, PreviewAsked, WholeList
from prodsys.connections.reaching import Systems, connector_of, read_form
from prodsys.connections.store import connections
from prodsys.connections.store.connections import Kept
from prodsys.connectors._base import capabilities
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages import members, records
from prodsys.pages.fields import Form, document
from prodsys.pages.members import KIND_WORDS
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.scopes import Scope, allows

_ON_A_PAGE = 50
_MOST_CONNECTIONS = 200
SIMPLE = ("constant", "path", "default", "join", "lookup", "compute")
"""Kinds of rules a row of the table can say; others are shown as a document."""


@get("/connections/{id:str}/mapping", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def mapping(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """Which kinds go which way, and the rules of the one that is chosen."""
    return await _shown(visitor, db, systems, id, visitor.query["way"])


@post("/connections/{id:str}/mapping", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def save_mapping(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    flows: NamedDependency[Flows],
) -> Response[Any]:
    """Save it as the next version, or only try what was typed on a real record."""
    way = form.text("way")
    kind, _, direction = way.partition(".")
    typed: dict[str, Any] | None = None
    preview: Preview | None = None
    try:
        typed = _typed(form)
        adjustments = document(typed, Adjustments, form)
        if form.text("do") == "try":
            asked = document({"kind": kind, "direction": direction, "record": form.text("record")}, PreviewAsked)
            asked = msgspec.structs.replace(asked, adjustments=adjustments)
            preview = await mappings.preview(systems, flows, visitor.caller, id, asked)
        else:
            await db.write(mappings.save, visitor.caller, id, kind, direction, adjustments)
            return go(f"/connections/{id}/mapping?way={way}", "saved")
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _shown(visitor, db, systems, id, way, typed=typed, refusal=refusal)
    return await _shown(visitor, db, systems, id, way, typed=typed, preview=preview, record=form.text("record"))


@get("/connections/{id:str}/lists", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def lists(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """Every list that can be mapped: payment terms, units, tax codes…; with what can be chosen there, when it is asked."""
    return await _lists(visitor, db, systems, id)


@post("/connections/{id:str}/lists", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def save_list(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
) -> Response[Any]:
    """Replace one list's mapping by what was typed; rows left empty are left out."""
    name = form.text("list")
    rows = zip(form.many("direction"), form.many("source"), form.many("target"), strict=False)
    entries = [{"direction": way, "source": source, "target": target} for way, source, target in rows if source or target]
    try:
        await db.write(code_lists.save, visitor.caller, id, name, document({"entries": entries}, WholeList).entries)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _lists(visitor, db, systems, id, refusal)
    return go(f"/connections/{id}/lists?list={name}", "saved")


@get("/connections/{id:str}/links", include_in_schema=False, **allows(Scope.CONNECTIONS_READ, "page"))
async def links(
    id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Response[Any]:
    """Which record there is which record here; those nobody is sure of wait for a person."""
    return await _links(visitor, db, systems, id)


@post("/connections/{id:str}/links", include_in_schema=False, **allows(Scope.CONNECTIONS_WRITE, "page"))
async def link(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
) -> Response[Any]:
    """Say which is which; without a record there the link is cut, and what waited may be sent again."""
    typed = {"kind": form.text("kind"), "ours": form.text("ours"), "theirs": "" if form.text("do") == "cut" else form.text("theirs")}
    try:
        wanted = document(typed, NewLink)
        if wanted.theirs:
            await db.write(linking.link, visitor.caller, id, wanted.kind, wanted.ours, wanted.theirs)
        else:
            await db.write(linking.unlink, visitor.caller, id, wanted.kind, wanted.ours)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _links(visitor, db, systems, id, refusal)
    return go(f"/connections/{id}/links?kind={wanted.kind}", "saved")


routes = [mapping, save_mapping, lists, save_list, links, link]


def row_of(rule: dict[str, Any]) -> dict[str, str] | None:
    """A rule as a row of the table: its kind, what it is made of, and one more word; None for one that needs the document."""
    step = rule["step"]
    made_of = [_operand(one) for one in (step.get("of") if isinstance(step.get("of"), list) else [step.get("of")]) if one is not None]
    if step["do"] not in SIMPLE or None in made_of or rule.get("each", "lines") != "lines":
        return None
    operands = [one for one in made_of if one is not None]
    match step["do"]:
        case "constant":
            return _row(rule, "constant", [f"={step['value']}"], step.get("type", "text"))
        case "path":
            return _row(rule, "path", [step["path"]], "")
        case "lookup":
            otherwise = _operand(step["otherwise"]) if step.get("otherwise") else ""
            return (
                None
                if step.get("table") or otherwise is None
                else _row(rule, "lookup", [*operands, *([otherwise] if otherwise else [])], step.get("list", ""))
            )
        case "join":
            return _row(rule, "join", operands, step.get("between", " "))
        case "compute":
            decimals = step.get("decimals")
            return _row(rule, "compute", operands, step["by"] if decimals is None else f"{step['by']} {decimals}")
        case _:
            return _row(rule, "default", operands, "")


def rule_of(field: str, do: str, made_of: str, more: str) -> dict[str, Any]:
    """The rule a row says: operands apart by commas, a member of the source by its path, a fixed text behind `=`."""
    of = [_step(one.strip()) for one in made_of.split(",") if one.strip()]
    first = of[0] if of else {"do": "constant", "value": ""}
    match do:
        case "constant":
            step: dict[str, Any] = {"do": "constant", "value": made_of.removeprefix("="), "type": more or "text"}
        case "path":
            step = first
        case "lookup":
            step = {"do": "lookup", "of": first, "list": more} | ({"otherwise": of[1]} if len(of) > 1 else {})
        case "join":
            step = {"do": "join", "of": of, "between": more}
        case "compute":
            by, _, decimals = more.partition(" ")
            step = {"do": "compute", "by": by or "multiply", "of": of} | ({"decimals": int(decimals)} if decimals.isdigit() else {})
        case _:
            step = {"do": "default", "of": of}
    return {"field": field, "step": step}


def _operand(step: Any) -> str | None:
    if not isinstance(step, dict):
        return None
    if step.get("do") == "path":
        return str(step["path"])
    if step.get("do") == "constant" and "," not in step["value"] and step.get("type", "text") == "text":
        return f"={step['value']}"
    if step.get("do") == "own":
        return "own"
    return None


def _step(text: str) -> dict[str, Any]:
    if text == "own":
        return {"do": "own"}
    return {"do": "constant", "value": text[1:]} if text.startswith("=") else {"do": "path", "path": text}


def _row(rule: dict[str, Any], do: str, of: list[str], more: str) -> dict[str, str]:
    return {"field": rule["field"], "do": do, "of": ", ".join(of), "more": more}


def _typed(form: Form) -> dict[str, Any]:
    """Rules of the table and of the document, and settings by field. Raises Invalid for a document that is no JSON."""
    rows = zip(form.many("rule.field"), form.many("rule.do"), form.many("rule.of"), form.many("rule.more", as_typed=True), strict=False)
    rules = [rule_of(field, do, of, more) for field, do, of, more in rows if field]
    if deeper := form.text("deeper"):
        try:
            rules += msgspec.json.decode(deeper, type=list[dict[str, Any]])
        except msgspec.DecodeError as fault:
            raise errors.Invalid(f"The rules written as a document cannot be read: {fault}") from None
    settings = zip(form.many("set.field"), form.many("set.default"), form.many("set.mode"), form.many("set.rank"), strict=False)
    ticked = {name: set(form.many(f"set.{name}")) for name in ("is_mandatory", "keep", "is_shown")}
    fields = [
        {
            "field": field,
            "default": default,
            "mode": mode or "set",
            "rank": int(rank) if rank.isdigit() else 0,
            "is_mandatory": field in ticked["is_mandatory"],
            "update": field not in ticked["keep"],
            "is_shown": field in ticked["is_shown"],
        }
        for field, default, mode, rank in settings
        if field
    ]
    return {"rules": rules, "fields": fields}


async def _shown(
    visitor: Visitor,
    db: Database,
    systems: Systems,
    id: str,
    way: str,
    *,
    typed: dict[str, Any] | None = None,
    preview: Preview | None = None,
    record: str = "",
    refusal: errors.Refusal | None = None,
) -> Response[Any]:
    kind, _, direction = way.partition(".")

    def read(tx: Tx) -> tuple[Connection, Kept, MappingShown | None, list[MappingShown]]:
        kept = standing.allowed(tx, visitor.caller, id)
        found = standing.shown(tx, systems, kept)
        if not direction:
            return found, kept, None, []
        return found, kept, mappings.shown(tx, kept, kind, direction), mappings.versions(tx, visitor.caller, id, kind, direction)

    found, kept, mapping_, versions = await db.read(read)
    ways = [one for one in capabilities(connector_of(found.connector), read_form(kept.config)) if one.is_offered]
    sources, targets = _fields(visitor.speech, kept, kind, direction, preview) if mapping_ else ([], [])
    rules = typed["rules"] if typed is not None else msgspec.to_builtins(mapping_.adjustments.rules) if mapping_ else []
    rows = [(rule, row_of(rule)) for rule in rules]
    settings = typed["fields"] if typed is not None else msgspec.to_builtins(mapping_.adjustments.fields) if mapping_ else []
    return await show(
        visitor, "mapping_fields.html", here="connections", connection=found, ways=ways, way=way, mapping=mapping_, versions=versions,
        rows=[row for _, row in rows if row is not None],
        deeper=_pretty([rule for rule, row in rows if row is None]) if any(row is None for _, row in rows) else "",
        settings=settings, words=KIND_WORDS, record=record, refusal=refusal, status=refusal.status if refusal else 200,
        preview=preview and {"source": _pretty(preview.source), "default": _pretty(preview.default), "target": _pretty(preview.target)},
        preview_issues=preview.issues if preview else [], sources=sources, targets=targets, is_in=direction == "in",
    )  # fmt: skip


def _fields(
    speech: Speech, kept: Kept, kind: str, direction: str, preview: Preview | None
) -> tuple[list[members.Field], list[members.Field]]:
    """What a rule can be made of, and what it can fill; a record that was tried shows what their system has besides."""
    source, target = mappings.members(kept, kind, direction)
    sources = members.offered(speech, source, are_ours=direction == "out")
    if preview is not None and direction == "in" and isinstance(preview.source, dict):
        sources = members.of_record(speech, sources, preview.source)
    return sources, members.offered(speech, target, are_ours=direction == "in")


def _pretty(tree: Any) -> str:
    return msgspec.json.format(documents.write(tree), indent=2).decode()


async def _lists(visitor: Visitor, db: Database, systems: Systems, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    def read(tx: Tx) -> tuple[Connection, Kept, list[model.ListMapping]]:
        kept = standing.allowed(tx, visitor.caller, id)
        return standing.shown(tx, systems, kept), kept, code_lists.all_of(tx, kept)

    found, kept, listed = await db.read(read)
    used = applying.lists_used((connector_of(found.connector), read_form(kept.config)))
    listed = [one for one in listed if one.name in used or one.is_offered or one.entries or one.name == visitor.query["list"]]
    chosen = next((one for one in listed if one.name == visitor.query["list"]), None)
    choices: list[model.ListChoice] = []
    trouble: errors.Refusal | None = None
    if chosen is not None and chosen.is_offered and visitor.query["ask"]:
        try:
            choices = await code_lists.choices(systems, visitor.caller, id, chosen.name)
        except errors.Refusal as fault:
            trouble = fault
    return await show(
        visitor, "mapping_lists.html", here="connections", connection=found, lists=listed, words=members.LISTS, chosen=chosen,
        choices=choices, refusal=refusal or trouble, status=refusal.status if refusal else 200,
    )  # fmt: skip


async def _links(visitor: Visitor, db: Database, systems: Systems, id: str, refusal: errors.Refusal | None = None) -> Response[Any]:
    kind = visitor.query["kind"] if visitor.query["kind"] in KIND_WORDS else "contacts"
    above = (visitor.place("links-page", int) or (0,))[0]

    def read(tx: Tx) -> dict[str, Any]:
        found = standing.shown(tx, systems, standing.allowed(tx, visitor.caller, id))
        state = visitor.query["state"] or None
        listed = linking.links_of(tx, visitor.caller, id, kind=kind, state=state, after=above, limit=_ON_A_PAGE + 1)
        others = connections.page(tx, person=visitor.caller.person, after=0, limit=_MOST_CONNECTIONS)
        ours = records.ours(tx, visitor.caller, kind, [one.ours for _, one in listed])
        return {"connection": found, "listed": listed, "ours": ours, "names": {one.id: one.name for one in others}}

    facts = await db.read(read)
    listed = facts.pop("listed")
    more = encode_cursor("links-page", listed[_ON_A_PAGE - 1][0]) if len(listed) > _ON_A_PAGE else None
    return await show(
        visitor, "links.html", here="connections", links=[one for _, one in listed[:_ON_A_PAGE]], kind=kind, words=KIND_WORDS,
        next=more, refusal=refusal, status=refusal.status if refusal else 200, **facts,
    )  # fmt: skip
