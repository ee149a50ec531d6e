"""The doors where addresses to be told at once are kept, and the one inbound door for what suppliers tell us."""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.outbound import Outbound
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
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, allows, signed
from prodsys.webhooks import actions, inbox, model, store
from prodsys.webhooks.inbox import Knocks
from prodsys.webhooks.model import NewWebhook, Tested, Webhook, WebhookWithSecret

_DOOR = allows(Scope.PURCHASE_ORDERS_CREATE, "any", PRODSYS_MODULE)

MessageId = Annotated[str, HeaderParameter(name="webhook-id", max_length=255, description="The same for each attempt to send a message.")]
MessageTimestamp = Annotated[str, HeaderParameter(name="webhook-timestamp", max_length=12, description="Of the attempt, Unix seconds.")]
MessageSignature = Annotated[
    str, HeaderParameter(name="webhook-signature", max_length=2000, description="One or several `v1,<base64>`, separated by blanks.")
]


@get("/webhooks", operation_id="list_webhooks", tags=["webhooks"], **_DOOR)
async def list_webhooks(
    caller: NamedDependency[Caller], db: NamedDependency[Database], limit: Limit = 50, after: After = None
) -> Page[Webhook]:
    """All webhooks of the caller, be it a partner or the house, without their secrets."""
    above = 0 if after is None else decode_cursor(after, "webhooks", int)[0]
    found = await db.read(store.page, caller.partner, after=above, limit=limit + 1)
    more = encode_cursor("webhooks", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[webhook for _, webhook in found[:limit]], next=more)


@post("/webhooks", operation_id="create_webhook", tags=["webhooks"], responses=answers(errors.AlreadyDone, errors.WrongState), **_DOOR)
async def create_webhook(
    request: Request[Any, Any, Any],
    data: JSONBody[NewWebhook],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    idempotency_key: IdempotencyKey = None,
) -> Response[WebhookWithSecret]:
    """Register an address that is told at once, signed by Standard Webhooks 1.0.0; the secret is in this answer and nowhere else.

    Partners may listen for order.answered, order.despatched, order.cancelled, order.message and token.expiring, the house's own programs
    for draft.received, order.approved, order.changed and order.received. A message says only where to look, and may come late, twice or
    in another order: read the change feed when one arrives. Whatever is answered but 2xx is tried again for five days; 410 ends it.
    Registering an address again gives it a new secret; for a day the old one signs too.
    """
    await actions.must_be_callable(outbound, caller, data)
    key = await request_key(request, idempotency_key)
    made = await once(db, key, _shown_once, actions.register, caller, data, vault)
    return made.reply()


@get("/webhooks/{id:str}", operation_id="get_webhook", tags=["webhooks"], responses=answers(errors.NotFound), **_DOOR)
async def get_webhook(
    id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[Webhook]:
    """Whether a webhook is enabled, and since when nothing gets through; without its secret."""
    webhook = await db.read(store.one, caller.partner, id)
    return tagged(webhook, etag_of(webhook.id, webhook), if_none_match)


@delete("/webhooks/{id:str}", operation_id="delete_webhook", tags=["webhooks"], responses=answers(errors.NotFound), **_DOOR)
async def delete_webhook(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> None:
    """Call this address no more; what waits for it is taken back."""
    await db.write(actions.remove, caller, id)


@post(
    "/webhooks/{id:str}/test",
    operation_id="test_webhook",
    status_code=200,
    tags=["webhooks"],
    responses=answers(errors.NotFound, errors.TooManyRequests),
    **_DOOR,
)
async def test_webhook(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    webhook_tests: NamedDependency[Limiter],
) -> Tested:
    """Send a message of type webhook.test now and say what it met; one that gets through enables a disabled webhook again."""
    charge(request.scope, webhook_tests, caller.token)
    return await actions.test(db, outbound, vault, caller, id)


@post(
    "/webhooks/{id:str}/rotate",
    operation_id="rotate_webhook",
    tags=["webhooks"],
    responses=answers(errors.NotFound, errors.AlreadyDone),
    **_DOOR,
)
async def rotate_webhook(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    idempotency_key: IdempotencyKey = None,
) -> Response[WebhookWithSecret]:
    """Give a webhook a new secret; for 24 hours each message bears both signatures."""
    key = await request_key(request, idempotency_key)
    made = await once(db, key, _shown_once, actions.rotate, caller, id, vault)
    return made.reply()


@post(
    "/inbox/{id:str}",
    operation_id="receive_push",
    status_code=204,
    tags=["webhooks"],
    request_max_body_size=model.MAX_BODY,
    responses=answers(
        errors.NotFound, errors.SignatureInvalid, errors.TooLarge, errors.UnsupportedMediaType, errors.Invalid, errors.TooManyRequests
    ),
    **signed(),
)
async def receive_push(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    db: NamedDependency[Database],
    vault: NamedDependency[Vault],
    inbox_knocks: NamedDependency[Knocks],
    webhook_id: MessageId,
    webhook_timestamp: MessageTimestamp,
    webhook_signature: MessageSignature,
) -> None:
    """Be told by a supplier that something happened to our orders.

    Signed by Standard Webhooks 1.0.0 with the secret he gave us for this address. We then pull his change feed; the body itself is not
    believed, and a message that comes twice changes nothing.
    """
    address = request.client.host if request.client else ""
    inbox_knocks.must_not_be_throttled(address)
    known = await db.read(store.inbox, id)
    if known is None:
        await inbox_knocks.count(db, address)
        raise errors.NotFound
    body = await request.body()
    if not inbox.is_genuine(vault, known, id=webhook_id, timestamp=webhook_timestamp, signature=webhook_signature, body=body):
        await inbox_knocks.count(db, address)
        raise errors.SignatureInvalid
    await db.write(inbox.hear, known, webhook_id)


routes = [list_webhooks, create_webhook, get_webhook, delete_webhook, test_webhook, rotate_webhook, receive_push]


def new_webhook_tests() -> Limiter:
    """How often one token may have an address called for a test: ten times a minute; one for each app."""
    return Limiter("webhook-tests", quota=10, window=60)


def _shown_once(made: WebhookWithSecret) -> Answered:
    return answered(made, headers={"Location": f"/api/v1/webhooks/{made.webhook.id}"}, secret_id=made.webhook.id)
