"""The doors of Admin > Alerts, and of what each person hears of."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from prodsys import errors
from prodsys.alerts import actions, mail, store
from prodsys.alerts.model import Alert, Hour, Pace, Subject, Subscription
from prodsys.documents import Issue
from prodsys.exchange.engine import Outcome, Placed, Refused
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Misconfigured
from prodsys.kit.web import (
    After,
    Answered,
    IdempotencyKey,
    Limit,
    Page,
    answered,
    answers,
    decode_cursor,
    encode_cursor,
    once,
    request_key,
)
from prodsys.scopes import AnyToken, Caller, Scope, allows
from prodsys.settings import Settings

IsOpen = Annotated[bool, QueryParameter(description="False for those that are over.")]


class NewSubscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to hear of by e-mail, and how soon; asked for again it changes how soon."""

    subject: Subject
    pace: Pace = "at_once"
    hour: Hour = 6
    user: Annotated[str, Meta(max_length=80, description="Whose; without it the caller's own.")] | None = None


class TestMail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a test mail goes; without an address to the caller himself."""

    to: Annotated[str, Meta(min_length=3, max_length=120)] | None = None


class TestMailSent(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server has taken the test mail."""

    to: str
    server: str


@get(
    "/alerts",
    operation_id="list_alerts",
    summary="Causes of trouble",
    description="Each cause once, however often it was seen: since when, how often, what to do. Newest first.",
    tags=["alerts"],
    **allows(Scope.ALERTS_READ),
)
async def list_alerts(db: NamedDependency[Database], limit: Limit = 50, after: After = None, is_open: IsOpen = True) -> Page[Alert]:
    below = None if after is None else decode_cursor(after, "alerts", int)[0]
    found = await db.read(store.page, limit=limit + 1, below=below, is_open=is_open)
    more = encode_cursor("alerts", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[alert for _, alert in found[:limit]], next=more)


@post(
    "/alerts/{id:str}/dismiss",
    operation_id="dismiss_alert",
    summary="Count a cause as over",
    status_code=200,
    responses=answers(errors.NotFound),
    tags=["alerts"],
    **allows(Scope.ALERTS_WRITE),
)
async def dismiss_alert(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Alert:
    """Somebody has seen to it; it is told again when it comes again. A repeat changes nothing."""
    return await db.write(actions.dismiss, caller, id)


@post(
    "/alerts/test-mail",
    operation_id="send_test_mail",
    summary="Send a test mail now",
    status_code=200,
    responses=answers(errors.MailNotReady, errors.MailNotTaken),
    tags=["alerts"],
    **allows(Scope.ALERTS_WRITE),
)
async def send_test_mail(
    data: JSONBody[TestMail], caller: NamedDependency[Caller], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> TestMailSent:
    """The answer says what the mail server said."""
    to, company = await db.read(_addressed, caller, data.to)
    must_be_taken(await mail.send_test(settings, company, to))
    return TestMailSent(to=to, server=f"{settings.smtp_host}:{settings.smtp_port}")


@get(
    "/subscriptions",
    operation_id="list_subscriptions",
    summary="What people hear of",
    responses=answers(errors.NotFound),
    tags=["alerts"],
    **allows(AnyToken.ANY, "house"),
)
async def list_subscriptions(
    db: NamedDependency[Database],
    caller: NamedDependency[Caller],
    limit: Limit = 50,
    after: After = None,
    user: Annotated[str | None, QueryParameter(description="A user's id, or `all`; for those who carry Users:Write.")] = None,
) -> Page[Subscription]:
    """One's own; a token that belongs to no person sees everybody's, if it carries Users:Write."""
    above = 0 if after is None else decode_cursor(after, "subscriptions", int)[0]
    found = await db.read(actions.listed, caller, user=user, limit=limit + 1, after=above)
    more = encode_cursor("subscriptions", found[limit - 1][0]) if len(found) > limit else None
    return Page(items=[one for _, one in found[:limit]], next=more)


@post(
    "/subscriptions",
    operation_id="subscribe",
    summary="Hear of something by e-mail",
    responses=answers(errors.NotFound),
    tags=["alerts"],
    **allows(AnyToken.ANY, "house"),
)
async def subscribe(
    request: Request[Any, Any, Any],
    data: JSONBody[NewSubscription],
    caller: NamedDependency[Caller],
    db: NamedDependency[Database],
    idempotency_key: IdempotencyKey = None,
) -> Response[Subscription]:
    """At once or in a digest; a person hears only of what he may read."""
    key = await request_key(request, idempotency_key)
    made = await once(db, key, _subscribed, actions.subscribe, caller, subject=data.subject, pace=data.pace, hour=data.hour, user=data.user)
    return made.reply()


@delete(
    "/subscriptions/{id:str}",
    operation_id="unsubscribe",
    summary="Hear of it no more",
    responses=answers(errors.NotFound),
    tags=["alerts"],
    **allows(AnyToken.ANY, "house"),
)
async def unsubscribe(id: FromPath[str], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> None:
    """One's own; with Users:Write anybody's."""
    await db.write(actions.unsubscribe, caller, id)


routes = [list_alerts, dismiss_alert, send_test_mail, list_subscriptions, subscribe, unsubscribe]


def must_be_taken(outcome: Outcome) -> None:
    """Go on only when the mail server has taken a mail. Raises MailNotReady, MailNotTaken, each with what was said."""
    match outcome:
        case Placed():
            return
        case Refused():
            raise errors.MailNotTaken(outcome.title)
        case Misconfigured():
            raise errors.MailNotReady(outcome.detail)
        case _:
            raise errors.MailNotTaken(outcome.detail)


def _addressed(tx: Tx, caller: Caller, to: str | None) -> tuple[str, str]:
    address = to or actions.own_address(tx, caller)
    if address is None:
        message = "This token belongs to no person; say where the mail goes."
        raise errors.Invalid(message, issues=[Issue(code="address_missing", message=message, pointer="/to", blocks=True)])
    return address, store.our_name(tx)


def _subscribed(made: Subscription) -> Answered:
    return answered(made)
