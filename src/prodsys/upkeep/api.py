"""The doors of Admin > Settings: which numbers are in force, and what is kept of one person."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.kit.web import answers
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings
from prodsys.upkeep import persons, retention
from prodsys.upkeep.persons import Erased, PersonalData


class SettingsInForce(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers this instance keeps to; an operator changes them in its configuration."""

    log_days: Annotated[int, Meta(description="Days a log entry is kept.")]
    log_bodies_days: Annotated[int, Meta(description="Days exchanged documents are kept with log entries; 0: dropped within a minute.")]
    delivery_days: Annotated[int, Meta(description="Days what was sent is kept for an exact resend.")]
    feed_days: Annotated[int, Meta(description="Days buyers can read on in the feed of their orders.")]
    idempotency_hours: Annotated[int, Meta(description="Hours an Idempotency-Key is remembered.")]
    undo_seconds: Annotated[int, Meta(description="Seconds an answer can be taken back.")]
    give_up_after_days: Annotated[int, Meta(description="Days an undeliverable promise is tried.")]
    answers_every_seconds: int
    alerts_every_seconds: int
    contacts_every_seconds: int
    catalogue_every_seconds: int
    token_days: Annotated[int, Meta(description="The longest life of a token.")]
    requests_a_minute: Annotated[int, Meta(description="Per token.")]
    kept_for_ever: Annotated[list[str], Meta(description="What is never dropped.")]


@get("/settings", operation_id="get_settings", summary="The numbers in force", tags=["operation"], **allows(Scope.SETTINGS_READ))
async def get_settings(settings: NamedDependency[Settings]) -> SettingsInForce:
    """How long what is kept, and how often what is done."""
    same = {name: getattr(settings, name) for name in SettingsInForce.__struct_fields__ if hasattr(settings, name)}
    delivery_days = min(retention.LEDGER.days, settings.log_bodies_days)
    return SettingsInForce(
        **same,
        delivery_days=delivery_days,
        feed_days=retention.FEED.days,
        idempotency_hours=72,
        kept_for_ever=["orders", "order drafts", "their numbers and revisions"],
    )


class OnePerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The person meant, by e-mail; upper and lower case are the same."""

    email: Annotated[str, Meta(min_length=5, max_length=120)]


@post(
    "/persons/export",
    status_code=200,
    operation_id="export_person",
    summary="Everything held about a person",
    tags=["operation"],
    **allows(Scope.USERS_WRITE),
)
async def export_person(data: JSONBody[OnePerson], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> PersonalData:
    """Account, cards, documents, messages and logs in which the person is named."""
    return await db.write(persons.export, caller, data.email)


@post(
    "/persons/erase",
    status_code=200,
    operation_id="erase_person",
    summary="Erase a person's name, e-mail and phone",
    responses=answers(errors.NotFound, errors.WrongState, errors.LastAdmin),
    tags=["operation"],
    **allows(Scope.USERS_WRITE),
)
async def erase_person(data: JSONBody[OnePerson], caller: NamedDependency[Caller], db: NamedDependency[Database]) -> Erased:
    """Everywhere, for good; orders stay, without the person. Their digests stay as first taken, so that a repeat is still recognised."""
    return await db.write(persons.erase, caller, data.email)


routes = [get_settings, export_person, erase_person]
