"""The doors of Admin > Integrations > ProdSys to ProdSys."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue, Name
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Secret, Vault
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfMatch,
    Limit,
    Page,
    Reply,
    RequestKey,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    once,
    request_key,
)
from prodsys.partners import actions, cards, connecting, reaching, store, trials
from prodsys.partners.actions import NewPartner
from prodsys.partners.checking import Checklist
from prodsys.partners.comparing import Comparison, Settlement, Synced
from prodsys.partners.model import Look, Partner, Rules
from prodsys.scopes import GUIDE_SCOPES, PARTNER_SCOPES, Caller, Scope, allows
from prodsys.settings import Settings
from prodsys.tokens.actions import Handover
from prodsys.tokens.model import MAX_NETWORKS

BundleText = Annotated[str, Meta(max_length=5_000, description="The connection bundle, `prodsys1:…`, as the supplier handed it over.")]
Url = Annotated[str, Meta(max_length=500, description="Address of the partner's instance.", examples=["https://orders.fjord.example"])]
TokenText = Annotated[str, Meta(max_length=200, description="The token the partner gave us, `pst_…`.")]
OfferAll = Annotated[bool, QueryParameter(description="Offer them our own card wherever their record of us differs, whoever changed it.")]
Confirmed = Annotated[bool, Meta(description="Another company is meant than the similar ones there are.")]


class BundleToRead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle somebody wants to look into before anybody is called."""

    bundle: BundleText


class Introduction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partner to sell to us: his bundle, or his address with the token he gave us."""

    bundle: BundleText = ""
    url: Url = ""
    token: TokenText = ""
    name: Annotated[str, Meta(max_length=200, description="What we call him; as he calls himself unless said.")] = ""
    confirmed: Confirmed = False


class NewConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a partner is reached from now on: a bundle, or a token, with a new address if it has changed."""

    bundle: BundleText = ""
    url: Url = ""
    token: TokenText = ""


class NewByMail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A supplier who has no ProdSys: the contact, by id, whose e-mail gets our orders."""

    contact: Annotated[str, Meta(max_length=40)]


class NewBuyer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A partner who will buy from us, and the token he gets. Without an end it is good for 90 days."""

    name: Name
    organisation_number: Annotated[str, Meta(max_length=80)] = ""
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(PARTNER_SCOPES))] = msgspec.field(
        default_factory=lambda: list(GUIDE_SCOPES)
    )
    expires_at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    expires_in_days: Annotated[int, Meta(ge=1, le=730)] | None = None
    bundle: Annotated[bool, Meta(description="Also make a connection bundle, valid for 7 days and one use.")] = True
    networks: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=60)]],
        Meta(max_length=MAX_NETWORKS, description="The token is good only from these addresses and networks; empty: from everywhere."),
    ] = []
    confirmed: Confirmed = False


@get("/partners", operation_id="list_partners", summary="Whom we trade with", tags=["partners"], **allows(Scope.PARTNERS_READ))
async def list_partners(db: NamedDependency[Database], limit: Limit = 50, after: After = None) -> Page[Partner]:
    """Every partner, in the order they were added, and what stands in the way of sending to him."""
    last = 0 if after is None else decode_cursor(after, "partners", int)[0]

    def read(tx: Tx) -> Page[Partner]:
        rows = store.page(tx, after=last, limit=limit + 1)
        more = encode_cursor("partners", rows[limit - 1].pk) if len(rows) > limit else None
        return Page(items=actions.complete(tx, rows[:limit]), next=more)

    return await db.read(read)


@post(
    "/partners",
    operation_id="add_partner",
    summary="Connect with a supplier",
    responses=answers(
        errors.SimilarExists,
        errors.ClaimUnknown,
        errors.PartnerUnreachable,
        errors.PartnerNotReady,
        errors.IdempotencyKeyReused,
    ),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def add_partner(
    request: Request[Any, Any, Any],
    data: JSONBody[Introduction],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Partner]:
    """By his connection bundle, or by his address and the token he gave us; his instance is called at once."""
    _must_say_how(data.bundle, data.token)
    key = await request_key(request, idempotency_key)
    way = reaching.way(outbound, vault, settings)

    async def add() -> Callable[[Tx], Partner]:
        if data.bundle:
            return await connecting.adding_with_bundle(db, way, caller, data.bundle, name=data.name.strip(), confirmed=data.confirmed)
        token = Secret(data.token)
        return await connecting.adding_with_token(way, caller, data.url, token, name=data.name.strip(), confirmed=data.confirmed)

    made = await _once_after_a_call(db, key, _added, add)
    return made.reply()


@post(
    "/partners/bundle/look",
    operation_id="look_into_bundle",
    summary="Read a bundle, calling nobody",
    status_code=200,
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def look_into_bundle(data: JSONBody[BundleToRead]) -> Look:
    """Which company it says it is from, and where it would lead: to be looked at before anybody is called."""
    return connecting.look(data.bundle)


@post(
    "/partners/without-connection",
    operation_id="add_partner_without_connection",
    summary="Send orders to a contact by e-mail",
    responses=answers(errors.AlreadyExists),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def add_partner_without_connection(
    request: Request[Any, Any, Any],
    data: JSONBody[NewByMail],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Partner]:
    """A supplier without ProdSys: exported orders go to its contact's e-mail as PDF, and its answers are typed in."""
    key = await request_key(request, idempotency_key)
    return (await once(db, key, _added, actions.create_without_connection, caller, data.contact)).reply()


@post(
    "/partners/with-token",
    operation_id="add_partner_with_token",
    summary="Let a new partner buy from us",
    responses=answers(errors.SimilarExists, errors.ScopeNotYours, errors.AlreadyDone, errors.IdempotencyKeyReused),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def add_partner_with_token(
    request: Request[Any, Any, Any],
    data: JSONBody[NewBuyer],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[NewPartner]:
    """The partner and his token in one step; token and bundle are in this answer and nowhere else."""
    # A token is made here, so its scope is asked for too; a route declares one scope only.
    if not caller.may(Scope.TOKENS_WRITE):
        issue = Issue(code="scope_missing", message="This also makes a token.", params={"required": Scope.TOKENS_WRITE.value}, blocks=True)
        raise errors.InsufficientScope(f"This also makes a token: it needs {Scope.TOKENS_WRITE} too.", issues=[issue])
    key = await request_key(request, idempotency_key)
    made = await once(
        db,
        key,
        _shown_once,
        actions.create_with_token,
        caller,
        name=data.name,
        scopes=frozenset(data.scopes),
        organisation_number=data.organisation_number,
        expires_at=data.expires_at if data.expires_in_days is None else now() + dt.timedelta(days=data.expires_in_days),
        networks=data.networks,
        longest=dt.timedelta(days=settings.token_days),
        handover=Handover(vault=vault, public_url=settings.public_url) if data.bundle else None,
        confirmed=data.confirmed,
    )
    return made.reply()


@get(
    "/partners/{id:str}",
    operation_id="get_partner",
    summary="One partner",
    responses=answers(errors.NotFound),
    tags=["partners"],
    **allows(Scope.PARTNERS_READ),
)
async def get_partner(id: FromPath[str], db: NamedDependency[Database]) -> Response[Partner]:
    """His rules, how he is reached, what the last test found, and how his lane stands."""
    return await db.read(_tagged, id)


@patch(
    "/partners/{id:str}",
    operation_id="change_partner",
    summary="Change a partner's rules",
    responses=answers(errors.NotFound, errors.AlreadyExists, errors.IfMatchMissing, errors.Stale),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def change_partner(
    id: FromPath[str],
    data: JSONBody[Rules],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    if_match: IfMatch = None,
) -> Response[Partner]:
    """Only what is given changes; every change is logged from → to."""

    def change(tx: Tx) -> Response[Partner]:
        actions.change(tx, caller, id, data, if_match=if_match)
        return _tagged(tx, id)

    return await db.write(change)


@post(
    "/partners/{id:str}/test",
    operation_id="test_partner",
    summary="Test a partner's connection",
    status_code=200,
    responses=answers(errors.NotFound),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def test_partner(
    id: FromPath[str],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Checklist:
    """Ask his instance everything that must be true to trade, one answer each; what waits for him is tried again."""
    return await trials.test(db, reaching.way(outbound, vault, settings), id)


@put(
    "/partners/{id:str}/token",
    operation_id="set_partner_token",
    summary="Enter a partner's new token",
    responses=answers(errors.NotFound, errors.ClaimUnknown, errors.PartnerUnreachable, errors.PartnerNotReady),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def set_partner_token(
    id: FromPath[str],
    data: JSONBody[NewConnection],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Partner:
    """By a bundle or as it is; the old one is forgotten and what waits leaves with the new one."""
    _must_say_how(data.bundle, data.token)
    way = reaching.way(outbound, vault, settings)
    token = Secret(data.token) if data.token else None
    return await connecting.set_token(db, way, caller, id, bundle=data.bundle, url=data.url, token=token)


@post(
    "/partners/{id:str}/renew",
    operation_id="renew_partner_token",
    summary="Renew a partner's token",
    status_code=200,
    responses=answers(errors.NotFound, errors.RotationNotAllowed, errors.PartnerUnreachable, errors.PartnerNotReady),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def renew_partner_token(
    id: FromPath[str],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Partner:
    """Ask him for the successor of the token he gave us, where he allows it; sending goes on meanwhile."""
    return await connecting.renew_token(db, reaching.way(outbound, vault, settings), id)


@get(
    "/partners/{id:str}/compare",
    operation_id="compare_partner_cards",
    summary="Our contact beside their card",
    responses=answers(errors.NotFound),
    tags=["partners"],
    **allows(Scope.PARTNERS_READ),
)
async def compare_partner_cards(id: FromPath[str], db: NamedDependency[Database]) -> Comparison:
    """What we have noted of him beside what his instance says, member by member."""
    return await db.read(cards.compare, id)


@post(
    "/partners/{id:str}/sync",
    operation_id="sync_partner_cards",
    summary="Compare cards with a partner now",
    status_code=200,
    responses=answers(errors.NotFound),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def sync_partner_cards(
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    offer: OfferAll = False,
) -> Synced:
    """As happens by itself once a day: what they changed is proposed here, what we changed is offered there, conflicts are only shown."""
    return await cards.sync_contacts(db, reaching.way(outbound, vault, settings), id, actor=caller.name, offer=offer)


@post(
    "/partners/{id:str}/settle",
    operation_id="settle_partner_cards",
    summary="Say whose spelling holds",
    status_code=200,
    responses=answers(errors.NotFound, errors.WrongState, errors.PartnerNotReady),
    tags=["partners"],
    **allows(Scope.PARTNERS_WRITE),
)
async def settle_partner_cards(
    id: FromPath[str],
    data: JSONBody[Settlement],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Comparison:
    """Theirs is written into our contact; ours of our own card is offered to them; otherwise both sides stand as they are."""
    return await cards.settle(db, reaching.way(outbound, vault, settings), caller, id, data)


routes = [
    list_partners,
    add_partner,
    look_into_bundle,
    add_partner_with_token,
    add_partner_without_connection,
    get_partner,
    change_partner,
    test_partner,
    set_partner_token,
    renew_partner_token,
    compare_partner_cards,
    sync_partner_cards,
    settle_partner_cards,
]


class _NotYet(Exception):
    """Nothing was answered under this key so far; raised to undo the look."""


async def _once_after_a_call(
    db: Database, key: RequestKey | None, answer: Callable[[Partner], Answered], prepare: Callable[[], Awaitable[Callable[[Tx], Partner]]]
) -> Answered:
    """As `once`, for what needs a call to somebody else first: a repeat must not make that call again, a claim code is good only once."""

    def look(_: Tx) -> Partner:
        raise _NotYet

    if key is not None:
        try:
            return await once(db, key, answer, look)
        except _NotYet:
            pass
    return await once(db, key, answer, await prepare())


def _must_say_how(bundle: str, token: str) -> None:
    if bool(bundle.strip()) == bool(token.strip()):
        message = "Give either a bundle, or a token with the address it belongs to."
        raise errors.Invalid(message, issues=[Issue(code="bundle_or_token", message=message, pointer="/bundle", blocks=True)])


def _tagged(tx: Tx, id: str) -> Response[Partner]:
    row = store.by_id(tx, id)
    # No 304 here: how his lane stands changes without a new version.
    return Reply(actions.complete(tx, [row])[0], headers={"ETag": actions.tag(row)})


def _added(partner: Partner) -> Answered:
    return answered(partner, headers={"Location": f"/api/v1/partners/{partner.id}"})


def _shown_once(made: NewPartner) -> Answered:
    return answered(made, headers={"Location": f"/api/v1/partners/{made.partner.id}"}, secret_id=made.partner.id)
