"""The doors of Contacts, for the house and for the partner who sees its own card."""

import asyncio
from typing import Annotated, Any

from litestar import Request, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter, RawBody

from prodsys import errors
from prodsys.contacts import actions, lists, numbers, spelling, store
from prodsys.contacts.model import (
    Contact,
    ContactForm,
    ContactMatch,
    ContactPatch,
    Duplicates,
    ImportedContacts,
    Merge,
    Merged,
    Proposal,
    Proposed,
    Similar,
)
from prodsys.contacts.store import Role, Stored
from prodsys.documents import Issue, Party
from prodsys.kit import sheets
from prodsys.kit.db import Database
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    Page,
    Reply,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    once,
    request_key,
    tagged,
)
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows

MAX_FILE = 20 * 1024 * 1024

Name = Annotated[str | None, QueryParameter(max_length=200, description="Only contacts whose name begins like this, whatever its case.")]
OrganisationNumber = Annotated[str | None, QueryParameter(max_length=80, description="Only contacts with this organisation number.")]
OfRole = Annotated[Role | None, QueryParameter(description="Only contacts that are this to us.")]
IsProvisional = Annotated[bool | None, QueryParameter(description="Only contacts nobody has looked at yet, or only others.")]
Confirmed = Annotated[bool, QueryParameter(description="Make it although a similar one exists.")]
DefaultRole = Annotated[Role | None, QueryParameter(description="What rows without a role are to us.")]

_PROPOSED = {202: ResponseSpec(data_container=Proposed, generate_examples=False, description="A partner's wish, for a person to decide")}


@get("/contacts", operation_id="list_contacts", **allows(Scope.CONTACTS_READ, "any"))
async def list_contacts(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    q: Name = None,
    organisation_number: OrganisationNumber = None,
    role: OfRole = None,
    provisional: IsProvisional = None,
) -> Page[Contact]:
    """Contacts by name; a partner sees its own record alone."""
    if caller.partner is not None:
        own = await db.read(actions.read_own, caller.partner)
        return Page(items=[] if own is None else [actions.document(own, house=False)])
    found = await db.read(
        store.page,
        after=None if after is None else _place(after),
        limit=limit + 1,
        starts_with=spelling.folded(q or ""),
        organisation_number=numbers.organisation_key(organisation_number or ""),
        role=role,
        provisional=provisional,
    )
    more = encode_cursor("contacts", *store.place_of(found[limit - 1])) if len(found) > limit else None
    return Page(items=[actions.document(contact, house=True) for contact in found[:limit]], next=more)


@post(
    "/contacts",
    operation_id="create_contact",
    responses=_PROPOSED | answers(errors.SimilarExists, errors.WrongState, errors.ModuleOff),
    **allows(Scope.CONTACTS_WRITE, "any"),
)
async def create_contact(
    request: Request[Any, Any, Any],
    data: JSONBody[ContactForm],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    confirm: Confirmed = False,
    idempotency_key: IdempotencyKey = None,
) -> Response[Contact]:
    """Make a contact; from a partner it is a proposed change of its own record (202)."""
    key = await request_key(request, idempotency_key)
    if caller.partner is not None:
        proposed = await once(db, key, _proposed, actions.propose, data, partner=caller.partner, actor=caller.name)
        return proposed.reply()
    made = await once(db, key, _created, actions.create, data, actor=caller.name, allow_similar=confirm)
    return made.reply()


@get("/contacts/{id:str}", operation_id="get_contact", responses=answers(errors.NotFound), **allows(Scope.CONTACTS_READ, "any"))
async def get_contact(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[Contact]:
    """One contact; a partner's own record alone."""
    if caller.partner is not None:
        own = await db.read(actions.read_own, caller.partner, id)
        if own is None:
            raise errors.NotFound
        return tagged(actions.document(own, house=False), actions.tag(own), if_none_match)
    contact = await db.read(actions.read, id)
    return tagged(actions.document(contact, house=True), actions.tag(contact), if_none_match)


@put(
    "/contacts/{id:str}",
    operation_id="replace_contact",
    responses=_PROPOSED | answers(errors.NotFound, errors.Stale, errors.IfMatchMissing, errors.ModuleOff),
    **allows(Scope.CONTACTS_WRITE, "any"),
)
async def replace_contact(
    id: FromPath[str],
    data: JSONBody[ContactForm],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Contact]:
    """Write a contact's whole card; from a partner it is a proposed change (202); If-Match is optional there."""
    if caller.partner is not None:
        wish = await db.write(actions.propose, data, partner=caller.partner, actor=caller.name, id=id, if_match=if_match)
        return _kept(wish)
    return _written(await db.write(actions.replace, id, data, if_match=if_match, actor=caller.name))


@patch(
    "/contacts/{id:str}",
    operation_id="change_contact",
    responses=_PROPOSED | answers(errors.NotFound, errors.Stale, errors.IfMatchMissing, errors.ModuleOff),
    **allows(Scope.CONTACTS_WRITE, "any"),
)
async def change_contact(
    id: FromPath[str],
    data: JSONBody[ContactPatch],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Contact]:
    """Write some members of a contact's card; from a partner it is a proposed change (202); If-Match is optional there."""
    if caller.partner is not None:
        wish = await db.write(actions.propose, data, partner=caller.partner, actor=caller.name, id=id, if_match=if_match)
        return _kept(wish)
    return _written(await db.write(actions.patch, id, data, if_match=if_match, actor=caller.name))


@post(
    "/contacts/match",
    operation_id="match_contact",
    status_code=200,
    responses=answers(errors.ModuleOff),
    **allows(Scope.CONTACTS_READ, "partner", PRODSYS_MODULE),
)
async def match_contact(data: JSONBody[Party], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> ContactMatch:
    """How a card would be recognised in an order."""
    if caller.partner is None:
        raise errors.NotFound
    return await db.read(actions.match, data, partner=caller.partner)


@get("/contacts/duplicates", operation_id="list_duplicate_contacts", **allows(Scope.CONTACTS_READ))
async def list_duplicates(db: NamedDependency[Database]) -> Page[Duplicates]:
    """Contacts that may be the same company, the likeliest first; at most 100 groups."""
    return Page(items=await db.read(store.duplicates))


@get("/contacts/{id:str}/similar", operation_id="list_similar_contacts", responses=answers(errors.NotFound), **allows(Scope.CONTACTS_READ))
async def list_similar(id: FromPath[str], db: NamedDependency[Database]) -> Page[Similar]:
    """Contacts that may be the same company as this one, the likeliest first; at most 20."""
    return Page(items=await db.read(actions.similar, id))


@post(
    "/contacts/{id:str}/merge",
    operation_id="merge_contact",
    status_code=200,
    responses=answers(errors.NotFound, errors.WrongState, errors.IdempotencyKeyReused),
    **allows(Scope.CONTACTS_WRITE),
)
async def merge_contact(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    data: JSONBody[Merge],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Merged]:
    """Let another contact take this one's place; everything that points here points there from then on."""
    key = await request_key(request, idempotency_key)
    done = await once(db, key, _merged, actions.merge, id, data, actor=caller.name)
    return done.reply()


@post(
    "/contacts/import",
    operation_id="import_contacts",
    status_code=200,
    request_max_body_size=MAX_FILE,
    responses=answers(errors.BadFile, errors.TooLarge),
    media="file",
    **allows(Scope.CONTACTS_WRITE),
)
async def import_contacts(
    request: Request[Any, Any, Any],
    body: RawBody,
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    role: DefaultRole = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[ImportedContacts]:
    """Make or complete contacts from a CSV or XLSX file sent as the body; all rows, or none and every bad one listed."""
    key = await request_key(request, idempotency_key)
    table = await asyncio.to_thread(sheets.read_table, body, text_columns=lists.CODE_COLUMNS, required=("name",))
    if isinstance(table, sheets.BadFile):
        raise errors.BadFile(table.message, issues=[Issue(code=table.code, message=table.message, blocks=True)])
    rows = await asyncio.to_thread(actions.read_rows, table)
    imported = await once(db, key, _imported, actions.import_rows, rows, actor=caller.name, role=role)
    return imported.reply()


@get("/contacts/proposals", operation_id="list_contact_proposals", **allows(Scope.CONTACTS_READ))
async def list_proposals(db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[Proposal]:
    """What partners would have changed in their contacts, undecided, the oldest first."""
    start = "" if after is None else decode_cursor(after, "contact_proposals", str)[0]
    found = await db.read(store.proposals, start, limit + 1)
    more = encode_cursor("contact_proposals", found[limit - 1].id) if len(found) > limit else None
    return Page(items=found[:limit], next=more)


@post(
    "/contacts/proposals/{id:str}/accept",
    operation_id="accept_contact_proposal",
    status_code=200,
    responses=answers(errors.NotFound, errors.WrongState),
    **allows(Scope.CONTACTS_WRITE),
)
async def accept_proposal(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Response[Contact]:
    """Write what a partner proposed into its contact."""
    return _written(await db.write(actions.accept, id, actor=caller.name))


@post(
    "/contacts/proposals/{id:str}/decline",
    operation_id="decline_contact_proposal",
    status_code=200,
    responses=answers(errors.NotFound, errors.WrongState),
    **allows(Scope.CONTACTS_WRITE),
)
async def decline_proposal(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Response[Contact]:
    """Leave the contact as it is."""
    return _written(await db.write(actions.decline, id, actor=caller.name))


@post(
    "/contacts/{id:str}/block",
    operation_id="block_contact",
    status_code=200,
    responses=answers(errors.NotFound),
    **allows(Scope.CONTACTS_WRITE),
)
async def block_contact(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Response[Contact]:
    """Refuse this contact's orders from now on."""
    return _written(await db.write(actions.block, id, blocked=True, actor=caller.name))


@post(
    "/contacts/{id:str}/unblock",
    operation_id="unblock_contact",
    status_code=200,
    responses=answers(errors.NotFound),
    **allows(Scope.CONTACTS_WRITE),
)
async def unblock_contact(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Response[Contact]:
    """Take this contact's orders again."""
    return _written(await db.write(actions.block, id, blocked=False, actor=caller.name))


routes = [
    list_contacts,
    create_contact,
    get_contact,
    replace_contact,
    change_contact,
    match_contact,
    list_duplicates,
    list_similar,
    merge_contact,
    import_contacts,
    list_proposals,
    accept_proposal,
    decline_proposal,
    block_contact,
    unblock_contact,
]


def _place(after: str) -> tuple[str, str, int]:
    name, address, key = decode_cursor(after, "contacts", str, str, int)
    return name, address, key


def _kept(wish: Proposed) -> Response[Any]:
    return Reply(wish, status_code=202)


def _written(contact: Stored) -> Response[Any]:
    return Reply(actions.document(contact, house=True), headers={"ETag": actions.tag(contact)})


def _created(contact: Stored) -> Answered:
    headers = {"Location": f"/api/v1/contacts/{contact.id}", "ETag": actions.tag(contact)}
    return answered(actions.document(contact, house=True), headers=headers)


def _proposed(wish: Proposed) -> Answered:
    return answered(wish, 202)


def _imported(result: ImportedContacts) -> Answered:
    return answered(result, 200)


def _merged(result: Merged) -> Answered:
    return answered(result, 200)
