"""The doors of Admin > Integrations > ERP connections: connectors, connections, their mappings and lists, flows and runs."""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from prodsys import errors
from prodsys.connections import actions, code_lists, linking, mappings, model, signing_in, standing, steering, store, trials
from prodsys.connections.flows import Flows
from prodsys.connections.model import (
    Authorization,
    Authorize,
    ChangedConnection,
    ChangedFlow,
    Configuration,
    Connection,
    ConnectorShown,
    Filled,
    Flow,
    Imports,
    Kind,
    LinkShown,
    ListChoice,
    ListMapping,
    MappingShown,
    NewErpConnection,
    NewFlow,
    NewLink,
    OurRecord,
    Preview,
    PreviewAsked,
    Run,
    RunRecord,
    SystemTab,
    TestResult,
    ToDescribe,
    ToTest,
    WholeList,
)
from prodsys.connections.reaching import Systems, connector_of
from prodsys.exchange.mapping import Adjustments
from prodsys.kit.db import Database
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Limit,
    Page,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    etag,
    etag_of,
    once,
    request_key,
    tagged,
)
from prodsys.scopes import Caller, Scope, allows, public

_READ, _WRITE = allows(Scope.CONNECTIONS_READ), allows(Scope.CONNECTIONS_WRITE)
_TAGS = ["connections"]

KindAsked = Annotated[Kind, QueryParameter(description="Which kind of document.")]
Number = Annotated[int | None, QueryParameter(ge=1, description="An earlier version of it.")]


@get("/connectors", operation_id="list_connectors", tags=_TAGS, **_READ)
async def list_connectors() -> Page[ConnectorShown]:
    """Every system we can connect to: its form, what it can do and what not, with the reason and how sure we are."""
    return Page(items=actions.listed_connectors(), next=None)


@get("/connectors/{name:str}", operation_id="get_connector", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def get_connector(name: FromPath[str], if_none_match: IfNoneMatch = None) -> Response[ConnectorShown]:
    """One system we can connect to."""
    found = model.shown(name, connector_of(name))
    return tagged(found, etag_of(name, found), if_none_match)


@post(
    "/connectors/{name:str}/form", operation_id="describe_connector", status_code=200, tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid, errors.PartnerUnreachable, errors.PartnerNotReady), **_WRITE,
)  # fmt: skip
async def describe_connector(name: FromPath[str], data: JSONBody[ToDescribe], systems: NamedDependency[Systems]) -> ConnectorShown:
    """A connector with the form its system describes itself: a remote sync connector, by name and URL, tells its own fields."""
    return await trials.described(systems, name, data.config)


@get("/connections", operation_id="list_connections", tags=_TAGS, **_READ)
async def list_connections(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    limit: Limit = 50,
    after: After = None,
) -> Page[Connection]:
    """The connections the caller may use, in the order they were made."""
    above = 0 if after is None else decode_cursor(after, "connections", int)[0]
    found = await db.read(store.connections.page, person=caller.person, after=above, limit=limit + 1)
    shown = await db.read(lambda tx: [standing.shown(tx, systems, kept) for kept in found[:limit]])
    return Page(items=shown, next=encode_cursor("connections", found[limit - 1].pk) if len(found) > limit else None)


@post("/connections", operation_id="create_connection", tags=_TAGS, responses=answers(errors.AlreadyExists, errors.Invalid), **_WRITE)
async def create_connection(
    request: Request[Any, Any, Any],
    data: JSONBody[NewErpConnection],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    idempotency_key: IdempotencyKey = None,
) -> Response[Connection]:
    """Add a connection. With `config` it is tested and saved only when the test passes; the refusal names every field at fault."""
    key = await request_key(request, idempotency_key)
    passed = await trials.passed_for(systems, data)
    made = await once(db, key, _made_connection, actions.create, systems, caller, data, passed)
    return made.reply()


@post("/connections/test", operation_id="test_configuration", status_code=200, tags=_TAGS, responses=answers(errors.NotFound), **_WRITE)
async def test_configuration(data: JSONBody[ToTest], caller: NamedDependency[Caller], systems: NamedDependency[Systems]) -> TestResult:
    """Try a filled form out, with the reason per field and in words what is missing before it can be saved; nothing is kept."""
    return await trials.test(systems, caller, data)


@post(
    "/connections/authorizations", operation_id="authorize_connection", tags=_TAGS,
    responses=answers(errors.Invalid, errors.WrongState), **_WRITE,
)  # fmt: skip
async def authorize_connection(
    data: JSONBody[Authorize], caller: NamedDependency[Caller], systems: NamedDependency[Systems]
) -> Authorization:
    """Begin a sign-in at the other system: open `url` in a browser, within 30 minutes."""
    return await signing_in.authorize(systems, caller, data)


@get("/connections/authorizations/{id:str}", operation_id="get_authorization", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def get_authorization(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[Authorization]:
    """Whether somebody has signed in."""
    found = await db.read(signing_in.authorization, id)
    return tagged(found, etag_of(id, found), if_none_match)


@get("/connections/authorized", operation_id="end_authorization", include_in_schema=False, **public())
async def end_authorization(
    systems: NamedDependency[Systems],
    tie: Annotated[str, QueryParameter(name="state", max_length=200)] = "",
    code: Annotated[str, QueryParameter(max_length=4000)] = "",
    error: Annotated[str, QueryParameter(max_length=200)] = "",
) -> Redirect:
    """Where the other system sends the browser back to; `state` proves that it is our sign-in."""
    if error or not code:
        return Redirect("/connections?signed_in=no")
    return Redirect(f"/connections?grant={await signing_in.authorized(systems, code, tie)}")


@get("/connections/records", operation_id="list_systems_of_record", tags=_TAGS, **_READ)
async def list_systems_of_record(
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    kind: KindAsked,
    ours: Annotated[str, QueryParameter(max_length=200, description="What names it here.")],
) -> Page[SystemTab]:
    """The ERP tab of a record of ours (a contact by its id, an article by its number): what each system says of it, by priority."""
    return Page(items=await db.read(linking.tabs, caller, OurRecord(kind=kind, ours=ours)), next=None)


@get("/connections/{id:str}", operation_id="get_connection", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def get_connection(
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    if_none_match: IfNoneMatch = None,
) -> Response[Connection]:
    """One connection, its secrets masked, with what stands against activating it."""
    found = await db.read(lambda tx: standing.shown(tx, systems, standing.allowed(tx, caller, id)))
    return tagged(found, etag(found.id, found.version), if_none_match)


@patch(
    "/connections/{id:str}", operation_id="change_connection", tags=_TAGS,
    responses=answers(errors.NotFound, errors.AlreadyExists, errors.IfMatchMissing, errors.Stale), **_WRITE,
)  # fmt: skip
async def change_connection(
    id: FromPath[str],
    data: JSONBody[ChangedConnection],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    systems: NamedDependency[Systems],
    if_match: IfMatch = None,
) -> Response[Connection]:
    """Change name, description, scope or priority; that can always be saved, tested or not."""
    made = await db.write(actions.change, systems, caller, id, data, if_match)
    return tagged(made, etag(made.id, made.version))


@put(
    "/connections/{id:str}/config", operation_id="configure_connection", tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid, errors.IfMatchMissing, errors.Stale), **_WRITE,
)  # fmt: skip
async def configure_connection(
    id: FromPath[str],
    data: JSONBody[Configuration],
    caller: NamedDependency[Caller],
    systems: NamedDependency[Systems],
    if_match: IfMatch = None,
) -> Response[Connection]:
    """Test a filled form and save it when the test passes; secrets left out or masked stay as they are."""
    made = await actions.configure(systems, caller, id, data, if_match)
    return tagged(made, etag(made.id, made.version))


@delete(
    "/connections/{id:str}", operation_id="remove_connection", tags=_TAGS,
    responses=answers(errors.NotFound, errors.IfMatchMissing, errors.Stale), **_WRITE,
)  # fmt: skip
async def remove_connection(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> None:
    """Forget a connection with its mappings, flows and links; nothing in either system changes."""
    await db.write(actions.remove, caller, id, if_match)


@post(
    "/connections/{id:str}/test", operation_id="test_connection", status_code=200, tags=_TAGS, responses=answers(errors.NotFound), **_WRITE
)
async def test_connection(id: FromPath[str], caller: NamedDependency[Caller], systems: NamedDependency[Systems]) -> Connection:
    """Test a connection as it is, now; what was found stays with it."""
    return await trials.test_again(systems, caller, id)


@post(
    "/connections/{id:str}/activate", operation_id="activate_connection", status_code=200, tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid), **_WRITE,
)  # fmt: skip
async def activate_connection(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Connection:
    """Let its flows run; refused with every reason while it is not tested or a mandatory field has no source."""
    return await db.write(actions.switch, systems, caller, id, on=True)


@post(
    "/connections/{id:str}/deactivate",
    operation_id="deactivate_connection",
    status_code=200,
    tags=_TAGS,
    responses=answers(errors.NotFound),
    **_WRITE,
)
async def deactivate_connection(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], systems: NamedDependency[Systems]
) -> Connection:
    """Let it rest: nothing runs, what is promised waits."""
    return await db.write(actions.switch, systems, caller, id, on=False)


@get(
    "/connections/{id:str}/mapping/{kind:str}/{direction:str}",
    operation_id="get_field_mapping",
    tags=_TAGS,
    responses=answers(errors.NotFound),
    **_READ,
)
async def get_field_mapping(
    id: FromPath[str],
    kind: FromPath[str],
    direction: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    number: Number = None,
    if_none_match: IfNoneMatch = None,
) -> Response[MappingShown]:
    """The mapping that holds, or an earlier version of it, and the fields of its target."""
    found = await db.read(lambda tx: mappings.shown(tx, standing.allowed(tx, caller, id), kind, direction, number))
    return tagged(found, etag_of(f"{id}.{kind}.{direction}", found), if_none_match)


@put(
    "/connections/{id:str}/mapping/{kind:str}/{direction:str}", operation_id="set_field_mapping", tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid), **_WRITE,
)  # fmt: skip
async def set_field_mapping(
    id: FromPath[str],
    kind: FromPath[str],
    direction: FromPath[str],
    data: JSONBody[Adjustments],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
) -> MappingShown:
    """Save a mapping as the next version; every fault is said at once."""
    return await db.write(mappings.save, caller, id, kind, direction, data)


@get(
    "/connections/{id:str}/mapping/{kind:str}/{direction:str}/versions", operation_id="list_field_mapping_versions", tags=_TAGS,
    responses=answers(errors.NotFound), **_READ,
)  # fmt: skip
async def list_field_mapping_versions(
    id: FromPath[str], kind: FromPath[str], direction: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Page[MappingShown]:
    """Every version of a mapping, newest first."""
    return Page(items=await db.read(mappings.versions, caller, id, kind, direction), next=None)


@post(
    "/connections/{id:str}/preview", operation_id="preview_mapping", status_code=200, tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid, errors.PartnerUnreachable, errors.PartnerNotReady), **_READ,
)  # fmt: skip
async def preview_mapping(
    id: FromPath[str],
    data: JSONBody[PreviewAsked],
    caller: NamedDependency[Caller],
    systems: NamedDependency[Systems],
    flows: NamedDependency[Flows],
) -> Preview:
    """What a mapping, saved or not, makes of a real record; nothing is sent or kept."""
    return await mappings.preview(systems, flows, caller, id, data)


@get("/connections/{id:str}/lists", operation_id="list_list_mappings", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def list_list_mappings(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Page[ListMapping]:
    """Every list that can be mapped, with what is mapped."""
    return Page(items=await db.read(lambda tx: code_lists.all_of(tx, standing.allowed(tx, caller, id))), next=None)


@put(
    "/connections/{id:str}/lists/{name:str}",
    operation_id="set_list_mapping",
    tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid),
    **_WRITE,
)
async def set_list_mapping(
    id: FromPath[str], name: FromPath[str], data: JSONBody[WholeList], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> ListMapping:
    """Replace a list mapping."""
    return await db.write(code_lists.save, caller, id, name, data.entries)


@get(
    "/connections/{id:str}/lists/{name:str}/choices", operation_id="list_choices", tags=_TAGS,
    responses=answers(errors.NotFound, errors.PartnerUnreachable, errors.PartnerNotReady), **_READ,
)  # fmt: skip
async def list_choices(
    id: FromPath[str], name: FromPath[str], caller: NamedDependency[Caller], systems: NamedDependency[Systems]
) -> Page[ListChoice]:
    """What can be chosen in one of their lists, asked now."""
    return Page(items=await code_lists.choices(systems, caller, id, name), next=None)


@get("/connections/{id:str}/links", operation_id="list_links", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def list_links(
    id: FromPath[str],
    kind: KindAsked,
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    stands: Annotated[str | None, QueryParameter(name="state", description="asked, linked or unknown.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> Page[LinkShown]:
    """Which record there is which record here; `unknown` waits for somebody to look."""
    above = 0 if after is None else decode_cursor(after, "links", int)[0]
    found = await db.read(linking.links_of, caller, id, kind=kind, state=stands, after=above, limit=limit + 1)
    return Page(items=[one for _, one in found[:limit]], next=encode_cursor("links", found[limit - 1][0]) if len(found) > limit else None)


@post(
    "/connections/{id:str}/links", operation_id="link_records", status_code=200, tags=_TAGS,
    responses=answers(errors.NotFound, errors.AlreadyExists), **_WRITE,
)  # fmt: skip
async def link_records(
    id: FromPath[str], data: JSONBody[NewLink], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> NewLink:
    """Say which record there is which record here; with empty `theirs` the link is cut, and what waited may be sent again."""
    if data.theirs:
        await db.write(linking.link, caller, id, data.kind, data.ours, data.theirs)
    else:
        await db.write(linking.unlink, caller, id, data.kind, data.ours)
    return data


@post(
    "/connections/{id:str}/import", operation_id="bring_in_records", status_code=202, tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid, errors.WrongState), **_WRITE,
)  # fmt: skip
async def bring_in_records(
    id: FromPath[str], data: JSONBody[Imports], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> list[Flow]:
    """Bring what is there in, now; asking again takes nothing twice. Try one with `preview` first."""
    return await db.write(steering.import_soon, caller, id, data.kinds)


@get("/connections/{id:str}/flows", operation_id="list_flows_of_connection", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def list_flows_of_connection(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Page[Flow]:
    """The flows of a connection."""
    return Page(items=await db.read(steering.flows_of, caller, id), next=None)


@post("/connections/{id:str}/flows", operation_id="create_flow", tags=_TAGS, responses=answers(errors.NotFound, errors.Invalid), **_WRITE)
async def create_flow(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    data: JSONBody[NewFlow],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Flow]:
    """Set up a flow: what goes where, when, and how."""
    key = await request_key(request, idempotency_key)
    made = await once(db, key, _made_flow, steering.create_flow, caller, id, data)
    return made.reply()


@get("/flows", operation_id="list_flows", tags=_TAGS, **_READ)
async def list_flows(caller: NamedDependency[Caller], db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[Flow]:
    """Every flow of the connections the caller may use, each with its newest run."""
    above = 0 if after is None else decode_cursor(after, "flows", int)[0]
    found = await db.read(store.flows.every, person=caller.person, after=above, limit=limit + 1)
    shown = await db.read(steering.flows_shown, found[:limit])
    return Page(items=shown, next=encode_cursor("flows", found[limit - 1].pk) if len(found) > limit else None)


@get("/flows/{id:str}", operation_id="get_flow", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def get_flow(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Response[Flow]:
    """One flow, with its newest run."""
    found = await db.read(lambda tx: steering.flow_shown(tx, steering.flow_allowed(tx, caller, id)[0]))
    return tagged(found, etag(found.id, found.version))


@patch(
    "/flows/{id:str}", operation_id="change_flow", tags=_TAGS,
    responses=answers(errors.NotFound, errors.Invalid, errors.IfMatchMissing, errors.Stale), **_WRITE,
)  # fmt: skip
async def change_flow(
    id: FromPath[str], data: JSONBody[ChangedFlow], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None
) -> Response[Flow]:
    """Change when or how a flow goes, or switch it on or off."""
    made = await db.write(steering.change_flow, caller, id, data, if_match)
    return tagged(made, etag(made.id, made.version))


@delete(
    "/flows/{id:str}",
    operation_id="remove_flow",
    tags=_TAGS,
    responses=answers(errors.NotFound, errors.IfMatchMissing, errors.Stale),
    **_WRITE,
)
async def remove_flow(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_match: IfMatch = None) -> None:
    """Forget a flow and its history; what it linked stays linked."""
    await db.write(steering.remove_flow, caller, id, if_match)


@post(
    "/flows/{id:str}/runs",
    operation_id="run_flow",
    status_code=202,
    tags=_TAGS,
    responses=answers(errors.NotFound, errors.WrongState),
    **_WRITE,
)
async def run_flow(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Flow:
    """Run a flow now; its newest run tells how it goes. Asking while it runs lets it run once more.

    A flow that goes at once, by event, sends what has not left: what was agreed before there was a flow, was refused, or waits.
    """
    return await db.write(steering.run_now, caller, id)


@post("/flows/{id:str}/restart", operation_id="restart_flow", status_code=200, tags=_TAGS, responses=answers(errors.NotFound), **_WRITE)
async def restart_flow(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Flow:
    """Let a flow read everything from the beginning the next time; what has not changed is left as it is."""
    return await db.write(steering.begin_again, caller, id)


@get("/flows/{id:str}/runs", operation_id="list_runs", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def list_runs(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], limit: Limit = 50, after: After = None
) -> Page[Run]:
    """The runs of a flow, newest first."""
    before = None if after is None else decode_cursor(after, "runs", int)[0]
    found = await db.read(steering.runs_of, caller, id, before=before, limit=limit + 1)
    return Page(items=[run for _, run in found[:limit]], next=encode_cursor("runs", found[limit - 1][0]) if len(found) > limit else None)


@get("/runs/{id:str}", operation_id="get_run", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def get_run(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[Run]:
    """One run and its counts."""
    found = (await db.read(steering.run_allowed, caller, id))[1]
    return tagged(found, etag_of(id, found), if_none_match)


@get("/runs/{id:str}/records", operation_id="list_run_records", tags=_TAGS, responses=answers(errors.NotFound), **_READ)
async def list_run_records(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], limit: Limit = 50, after: After = None
) -> Page[RunRecord]:
    """What a run did not take over, with all the reasons."""
    above = 0 if after is None else decode_cursor(after, "run_records", int)[0]
    found = await db.read(steering.records_of, caller, id, after=above, limit=limit + 1)
    more = encode_cursor("run_records", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[one for _, one in found[:limit]], next=more)


@post(
    "/runs/records/{id:str}/retry", operation_id="retry_record", status_code=200, tags=_TAGS,
    responses=answers(errors.NotFound, errors.WrongState, errors.Invalid, errors.PartnerUnreachable), **_WRITE,
)  # fmt: skip
async def retry_record(
    id: FromPath[str],
    data: JSONBody[Filled],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    flows: NamedDependency[Flows],
) -> RunRecord:
    """Take a refused record over once more, with what a person has filled in for fields that ask for it."""
    return await steering.retry(db, flows, caller, id, data.given)


routes = [
    list_connectors, get_connector, describe_connector,
    list_connections, create_connection, test_configuration, authorize_connection, get_authorization,
    end_authorization, list_systems_of_record, get_connection, change_connection, configure_connection, remove_connection, test_connection,
    activate_connection, deactivate_connection, get_field_mapping, set_field_mapping, list_field_mapping_versions, preview_mapping,
    list_list_mappings, set_list_mapping, list_choices, list_links, link_records, bring_in_records, list_flows_of_connection,
    create_flow, list_flows, get_flow, change_flow, remove_flow, run_flow, restart_flow, list_runs, get_run, list_run_records, retry_record,
]  # fmt: skip


def _made_connection(made: Connection) -> Answered:
    return answered(made, headers={"Location": f"/api/v1/connections/{made.id}", "ETag": etag(made.id, made.version)})


def _made_flow(made: Flow) -> Answered:
    return answered(made, headers={"Location": f"/api/v1/flows/{made.id}", "ETag": etag(made.id, made.version)})
