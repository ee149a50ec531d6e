"""The doors of Admin > API access > Tokens, and those through which a partner claims and renews its token."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue, Name
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.vault import Vault
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    IfNoneMatch,
    Limit,
    Limiter,
    Page,
    answered,
    answers,
    charge,
    decode_cursor,
    encode_cursor,
    etag_of,
    once,
    request_key,
    tagged,
)
from prodsys.scopes import AnyToken, Caller, Scope, allows, public
from prodsys.settings import Settings
from prodsys.tokens import actions, model, store
from prodsys.tokens.actions import Handover
from prodsys.tokens.model import Claimed, Created, Token

Days = Annotated[int, Meta(ge=1, le=730)]
Moment = Annotated[dt.datetime, Meta(tz=True)]


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to be made. Without an end it is good for 90 days; at most two years."""

    name: Name
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    expires_in_days: Days | None = None
    expires_at: Moment | None = None
    partner: Annotated[str | None, Meta(description="Whom it is for; null for the house.", examples=["pa_01KANQ0000000000000000000A"])] = (
        None
    )
    networks: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=60)]],
        Meta(
            max_length=model.MAX_NETWORKS,
            description="Good only from these addresses and networks; empty: from everywhere.",
            examples=[["192.0.2.0/24"]],
        ),
    ] = []
    bundle: Annotated[bool, Meta(description="Also make a connection bundle, valid for 7 days and one use.")] = False


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a token is to be replaced."""

    expires_in_days: Days | None = None
    expires_at: Moment | None = None
    overlap_days: (
        Annotated[
            int,
            Meta(ge=0, le=model.MAX_OVERLAP_DAYS, description="How long the old one outlives the new one's first use: 7 days unless said."),
        ]
        | None
    ) = None
    overlap_hours: (
        Annotated[int, Meta(ge=0, le=24 * model.MAX_OVERLAP_DAYS, description="The same in hours; say one of the two.")] | None
    ) = None
    bundle: bool = False


class ClaimCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one-use code of a connection bundle."""

    claim: Annotated[str, Meta(min_length=1, max_length=100)]


@get("/tokens", operation_id="list_tokens", **allows(Scope.TOKENS_READ))
async def list_tokens(
    db: NamedDependency[Database],
    limit: Limit = 50,
    after: After = None,
    partner: Annotated[str | None, QueryParameter(description="Only the tokens of this partner.")] = None,
) -> Page[Token]:
    """All tokens, newest first; their secrets are not among them."""
    below = None if after is None else decode_cursor(after, "tokens", int)[0]
    found = await db.read(store.listed, limit=limit + 1, below=below, partner=partner)
    more = encode_cursor("tokens", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[token for _, token in found[:limit]], next=more)


@post("/tokens", operation_id="create_token", responses=answers(errors.ScopeNotYours, errors.AlreadyDone), **allows(Scope.TOKENS_WRITE))
async def create_token(
    request: Request[Any, Any, Any],
    data: JSONBody[NewToken],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Created]:
    """Make a token; its secret is in this answer and nowhere else."""
    key = await request_key(request, idempotency_key)
    made = await once(db, key, _shown_once, _create, caller, data, longest_of(settings), _handover(data.bundle, vault, settings))
    return made.reply()


@get("/tokens/{id:str}", operation_id="get_token", responses=answers(errors.NotFound), **allows(Scope.TOKENS_READ))
async def get_token(id: FromPath[str], db: NamedDependency[Database], if_none_match: IfNoneMatch = None) -> Response[Token]:
    """One token, without its secret."""
    token = await db.read(actions.shown, id)
    # Its state changes with the time, so the tag is made of what is answered.
    return tagged(token, etag_of(token.id, token), if_none_match)


@post(
    "/tokens/{id:str}/rotate",
    operation_id="rotate_token",
    responses=answers(errors.NotFound, errors.WrongState, errors.AlreadyDone, errors.ScopeNotYours),
    **allows(Scope.TOKENS_WRITE),
)
async def rotate_token(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    data: JSONBody[Rotation],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Created]:
    """Make a token's successor; both are good until some days or hours after the successor's first use."""
    key = await request_key(request, idempotency_key)
    made = await once(
        db,
        key,
        _shown_once,
        actions.rotate,
        caller,
        id,
        expires_at=_end(data.expires_in_days, data.expires_at),
        overlap=_overlap(data.overlap_days, data.overlap_hours),
        longest=longest_of(settings),
        bundle=_handover(data.bundle, vault, settings),
    )
    return made.reply()


@post(
    "/tokens/{id:str}/revoke",
    operation_id="revoke_token",
    status_code=200,
    responses=answers(errors.NotFound),
    **allows(Scope.TOKENS_WRITE),
)
async def revoke_token(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Token:
    """End a token now, with successors nobody has used yet; a repeat changes nothing."""
    return await db.write(actions.revoke, caller, id)


@post("/claims", operation_id="claim_token", responses=answers(errors.ClaimUnknown, errors.TooManyRequests), **public())
async def claim_token(
    request: Request[Any, Any, Any],
    data: JSONBody[ClaimCode],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    claim_attempts: NamedDependency[Limiter],
) -> Claimed:
    """Exchange the code of a connection bundle for its token, once."""
    address = request.client.host if request.client else ""
    charge(request.scope, claim_attempts, address)
    return await db.write(actions.claim, data.claim, address, vault)


@post(
    "/token/rotate",
    operation_id="rotate_own_token",
    responses=answers(errors.RotationNotAllowed, errors.WrongState, errors.AlreadyDone),
    **allows(AnyToken.ANY, "partner"),
)
async def rotate_own_token(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    idempotency_key: IdempotencyKey = None,
) -> Response[Created]:
    """Renew the token this request came with, if its issuer allows; a repeat voids a new one that was never used."""
    key = await request_key(request, idempotency_key)
    made = await once(db, key, _shown_once, actions.rotate_own, caller, longest=longest_of(settings))
    return made.reply()


routes = [list_tokens, create_token, get_token, rotate_token, revoke_token, claim_token, rotate_own_token]


def new_claim_attempts() -> Limiter:
    """How often one address may try a claim code: ten times a minute; one for each app."""
    return Limiter("claims", quota=10, window=60)


def longest_of(settings: Settings) -> dt.timedelta:
    """The longest life this company gives a token."""
    return dt.timedelta(days=settings.token_days)


def _overlap(days: int | None, hours: int | None) -> dt.timedelta:
    if days is None:
        return model.OVERLAP if hours is None else dt.timedelta(hours=hours)
    if hours is not None:
        message = "Say either overlap_days or overlap_hours, not both."
        raise errors.Invalid(message, issues=[Issue(code="overlap_twice", message=message, pointer="/overlap_hours", blocks=True)])
    return dt.timedelta(days=days)


def _create(tx: Tx, caller: Caller, asked: NewToken, longest: dt.timedelta, handover: Handover | None) -> Created:
    return actions.create(
        tx,
        caller,
        name=asked.name,
        scopes=frozenset(asked.scopes),
        expires_at=_end(asked.expires_in_days, asked.expires_at),
        partner=None if asked.partner is None else actions.partner_key(tx, asked.partner),
        networks=asked.networks,
        longest=longest,
        bundle=handover,
    )


def _shown_once(created: Created) -> Answered:
    return answered(created, headers={"Location": f"/api/v1/tokens/{created.id}"}, secret_id=created.id)


def _handover(wanted: bool, vault: Vault, settings: Settings) -> Handover | None:
    return Handover(vault=vault, public_url=settings.public_url) if wanted else None


def _end(days: int | None, moment: dt.datetime | None) -> dt.datetime | None:
    if days is None:
        return moment
    if moment is not None:
        message = "Say either expires_in_days or expires_at, not both."
        raise errors.Invalid(message, issues=[Issue(code="expiry_twice", message=message, pointer="/expires_in_days", blocks=True)])
    return now() + dt.timedelta(days=days)
