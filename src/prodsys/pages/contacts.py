"""Contacts > Suppliers, Customers, Duplicates: cards, what partners would have changed in them, and two that are one company."""

import asyncio
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.connections.linking import tabs
from prodsys.connections.model import Kind, OurRecord, SystemTab
from prodsys.contacts import actions, lists, spelling, store
from prodsys.contacts.model import ContactForm, Merge, Proposal
from prodsys.contacts.store import Role, Stored
from prodsys.documents import Issue, Party
from prodsys.kit import sheets
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.fields import Form, document
from prodsys.pages.parties import party_of
from prodsys.pages.visitor import Visitor, go, show
from prodsys.scopes import Scope, allows

_ON_A_PAGE = 50
_MOST_PROPOSALS = 50
_BLANK = ContactForm(name=" ")


@get("/suppliers", include_in_schema=False, **allows(Scope.CONTACTS_READ, "page"))
async def suppliers(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Those we buy from, by name."""
    return await _list(visitor, db, "supplier")


@get("/customers", include_in_schema=False, **allows(Scope.CONTACTS_READ, "page"))
async def customers(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Those who buy from us, by name; and what they propose to change."""
    return await _list(visitor, db, "customer")


@get("/contacts/new", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def new_contact(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """An empty card."""
    role = visitor.query.get("role", "customer")
    blank = {**msgspec.structs.asdict(_BLANK), "name": "", "is_supplier": role == "supplier", "is_customer": role != "supplier"}
    return await _form(visitor, blank)


@post("/contacts/new", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def create_contact(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Make a contact; where similar ones exist they are shown first, and made all the same only when that is said."""
    typed = _typed(form)
    try:
        made = await db.write(actions.create, document(typed, ContactForm, form), actor=visitor.name, allow_similar=form.flag("confirm"))
    except errors.Refusal as refusal:
        return await _form(visitor, typed, refusal=refusal)
    return go(f"/contacts/{made.id}", "saved")


@get("/contacts/import", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def import_form(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """Choose a file."""
    return await show(
        visitor, "contacts_import.html", here=_menu_of(visitor.query.get("role", "")), role=visitor.query.get("role", ""), done=None
    )


@post("/contacts/import", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def import_contacts(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Take all rows in, or none with every fault of every row named."""
    role = form.text("role")
    here = _menu_of(role)
    try:
        file = form.file("file")
        if file is None:
            raise errors.BadFile(issues=[Issue(code="file_missing", message="Choose a file first.", pointer="/file", blocks=True)])
        table = await asyncio.to_thread(sheets.read_table, await file.read(), text_columns=lists.CODE_COLUMNS, required=("name",))
        if isinstance(table, sheets.BadFile):
            raise errors.BadFile(table.message, issues=[Issue(code=table.code, message=table.message, blocks=True)])
        rows = await asyncio.to_thread(actions.read_rows, table)
        done = await db.write(actions.import_rows, rows, actor=visitor.name, role=_role(role))
    except errors.Refusal as refusal:
        return await show(visitor, "contacts_import.html", here=here, role=role, done=None, refusal=refusal, status=refusal.status)
    return await show(visitor, "contacts_import.html", here=here, role=role, done=done)


@get("/contacts/{id:str}", include_in_schema=False, **allows(Scope.CONTACTS_READ, "page"))
async def contact(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """One card, with what is like it."""
    found = await db.read(actions.read, id)
    return await _card(visitor, db, found, _members(found))


@post("/contacts/{id:str}", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def change_contact(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Keep what was typed, or show it again with what is wrong."""
    typed = _typed(form)
    try:
        await db.write(actions.replace, id, document(typed, ContactForm, form), if_match=form.text("etag"), actor=visitor.name)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        found = await db.read(actions.read, id)
        return await _card(visitor, db, found, typed, refusal=refusal, etag=form.text("etag"))
    return go(f"/contacts/{id}", "saved")


@post("/contacts/{id:str}/block", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def block_contact(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Refuse this company's orders, or take them again."""
    await db.write(actions.block, id, blocked=form.flag("blocked"), actor=visitor.name)
    return go(f"/contacts/{id}", "contact_blocked" if form.flag("blocked") else "contact_unblocked")


@get("/duplicates", include_in_schema=False, **allows(Scope.CONTACTS_READ, "page"))
async def duplicates(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Groups of contacts that may be one company, the likeliest first."""
    return await show(visitor, "duplicates.html", here="duplicates", groups=await db.read(store.duplicates))


@get("/contacts/{id:str}/merge", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def merge_form(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Two cards side by side, before one takes the other's place."""
    one, other = await db.read(_two, id, visitor.query.get("into", ""))
    return await show(visitor, "merge.html", here="duplicates", one=one, other=other, rows=_rows(other.card, one.card))


@post("/contacts/{id:str}/merge", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def merge(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Let the other take this one's place."""
    into = form.text("into")
    try:
        merged = await db.write(actions.merge, id, Merge(into=into, fill_gaps=form.flag("fill_gaps")), actor=visitor.name)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        one, other = await db.read(_two, id, into)
        return await show(
            visitor,
            "merge.html",
            here="duplicates",
            one=one,
            other=other,
            rows=_rows(other.card, one.card),
            refusal=refusal,
            status=refusal.status,
        )
    return go(f"/contacts/{merged.kept.id}", "contacts_merged")


@post("/proposals/{id:str}/accept", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def accept_proposal(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Take over what a partner proposed."""
    kept = await db.write(actions.accept, id, actor=visitor.name)
    return go(f"/contacts/{kept.id}", "proposal_accepted")


@post("/proposals/{id:str}/decline", include_in_schema=False, **allows(Scope.CONTACTS_WRITE, "page"))
async def decline_proposal(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Keep ours."""
    kept = await db.write(actions.decline, id, actor=visitor.name)
    return go(f"/contacts/{kept.id}", "proposal_declined")


routes = [
    suppliers,
    customers,
    new_contact,
    create_contact,
    import_form,
    import_contacts,
    contact,
    change_contact,
    block_contact,
    duplicates,
    merge_form,
    merge,
    accept_proposal,
    decline_proposal,
]


async def _list(visitor: Visitor, db: Database, role: Role) -> Response[Any]:
    here = _menu_of(role)
    if visitor.query.get("view") == "proposals":
        return await show(visitor, "proposals.html", here=here, role=role, proposals=await db.read(_proposals))
    found, proposals = await db.read(_page, role, visitor)
    more = encode_cursor("contacts", *store.place_of(found[_ON_A_PAGE - 1])) if len(found) > _ON_A_PAGE else None
    return await show(visitor, "contacts.html", here=here, role=role, contacts=found[:_ON_A_PAGE], next=more, proposals=proposals)


def _page(tx: Tx, role: Role, visitor: Visitor) -> tuple[list[Stored], int]:
    found = store.page(
        tx,
        after=visitor.place("contacts", str, str, int),
        limit=_ON_A_PAGE + 1,
        starts_with=spelling.folded(visitor.query["q"]),
        role=role,
        provisional=True if visitor.query["view"] == "provisional" else None,
    )
    return found, len(store.proposals(tx, "", _MOST_PROPOSALS))


def _proposals(tx: Tx) -> list[tuple[Proposal, Stored]]:
    found = store.proposals(tx, "", _MOST_PROPOSALS)
    return [(one, actions.read(tx, one.contact)) for one in found]


def _two(tx: Tx, one: str, other: str) -> tuple[Stored, Stored]:
    return actions.read(tx, one), actions.read(tx, other)


def _rows(ours: Party, theirs: Party) -> list[tuple[str, str, str]]:
    """(pointer, ours, theirs) of every member either side has."""
    rows = [
        (f"/{name}", getattr(ours, name), getattr(theirs, name))
        for name in ("name", "organisation_number", "vat_number", "gln", "email", "phone")
    ]
    rows += [(f"/address/{name}", getattr(ours.address, name), getattr(theirs.address, name)) for name in ours.address.__struct_fields__]
    return [row for row in rows if row[1] or row[2]]


async def _form(visitor: Visitor, card: Any, refusal: errors.Refusal | None = None) -> Response[Any]:
    here = _menu_of("supplier" if card["is_supplier"] else "customer")
    return await show(visitor, "contact_new.html", here=here, card=card, refusal=refusal, status=refusal.status if refusal else 200)


async def _card(
    visitor: Visitor, db: Database, found: Stored, card: Any, *, refusal: errors.Refusal | None = None, etag: str = ""
) -> Response[Any]:
    similar = await db.read(actions.similar, found.id) if found.merged_into is None else []
    systems = await db.read(said_by_systems, visitor, "contacts", found.id)
    return await show(
        visitor,
        "contact.html",
        here=_menu_of("supplier" if found.is_supplier else "customer"),
        contact=found,
        card=card,
        similar=similar,
        systems=systems,
        etag=etag or actions.tag(found),
        refusal=refusal,
        status=refusal.status if refusal else 200,
    )


def said_by_systems(tx: Tx, visitor: Visitor, kind: Kind, ours: str) -> list[SystemTab]:
    """Unit: the ERP tab, what each connected system says of a record of ours (product.md, B4)."""
    return tabs(tx, visitor.caller, OurRecord(kind=kind, ours=ours)) if visitor.caller.may(Scope.CONNECTIONS_READ) else []


def _members(found: Stored) -> dict[str, Any]:
    return {**msgspec.structs.asdict(found.card), "is_supplier": found.is_supplier, "is_customer": found.is_customer}


def _typed(form: Form) -> dict[str, Any]:
    return {**party_of(form), "is_supplier": form.flag("is_supplier"), "is_customer": form.flag("is_customer")}


def _menu_of(role: str) -> str:
    return "suppliers" if role == "supplier" else "customers"


def _role(text: str) -> Role | None:
    return "supplier" if text == "supplier" else "customer" if text == "customer" else None
