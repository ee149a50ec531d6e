"""Admin > Settings: the numbers this instance keeps to and where they come from, mail, webhooks, and what runs here."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

import prodsys
from prodsys import errors
from prodsys.alerts import actions as alerts
from prodsys.alerts import mail
from prodsys.alerts import store as alert_store
from prodsys.alerts.api import must_be_taken
from prodsys.company import store as company
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import Limiter, charge
from prodsys.pages.fields import Form, document
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.words import N_
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings
from prodsys.upkeep import retention
from prodsys.webhooks import actions as webhooks
from prodsys.webhooks import store as webhook_store
from prodsys.webhooks.model import HOUSE_EVENTS, MAX_WEBHOOKS, NewWebhook, WebhookWithSecret

GROUPS: Sequence[tuple[str, Sequence[str]]] = (
    (N_("What is kept how long"), ("log_days", "log_bodies_days")),
    (
        N_("Orders and answers"),
        (
            "undo_seconds",
            "give_up_after_days",
            "answers_every_seconds",
            "catalogue_every_seconds",
            "contacts_every_seconds",
            "alerts_every_seconds",
        ),
    ),
    (N_("Signing in"), ("session_idle_minutes", "session_hours", "token_days", "requests_a_minute")),
    (N_("Mail"), ("smtp_host", "smtp_port", "smtp_user", "smtp_password", "smtp_password_file", "smtp_tls", "mail_from")),
    (
        N_("This instance"),
        ("public_url", "home", "database_url", "time_zone", "trusted_proxies", "allowed_networks", "ca_file", "vault_key_file"),
    ),
)
"""Every setting under a heading; what stands in none of them comes last, so that a new one is not forgotten."""

EVENTS: dict[str, str] = {
    "draft.received": N_("An order draft has arrived"),
    "order.approved": N_("A supplier has approved our order"),
    "order.changed": N_("A supplier has answered our order with changes"),
    "order.received": N_("Goods were booked in"),
}

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")


class Knob(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: how it is spelled, what it is, where that comes from, and what it means."""

    variable: str
    value: str
    origin: str
    """environment, file, set or default."""
    meaning: str


@get("/settings", include_in_schema=False, **allows(Scope.SETTINGS_READ, "page"))
async def settings_shown(
    visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Every setting with its origin, and what can be tried and registered from here."""
    return await _page(visitor, db, settings)


@post("/settings/test-mail", include_in_schema=False, **allows(Scope.ALERTS_WRITE, "page"))
async def test_mail(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Send one mail now, and say what the mail server said."""

    def addressed(tx: Tx) -> tuple[str | None, str]:
        return form.text("to") or alerts.own_address(tx, visitor.caller), alert_store.our_name(tx)

    to, ours = await db.read(addressed)
    try:
        must_be_taken(await mail.send_test(settings, ours, to or visitor.email))
    except errors.Refusal as refusal:
        return await _page(visitor, db, settings, mail_refusal=refusal)
    return go("/settings", "mail_sent")


@post("/settings/webhooks", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_CREATE, "page"))
async def add_webhook(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
) -> Response[Any]:
    """Register an address of ours; what signs its messages is shown once."""
    try:
        wanted = document({"url": form.text("url"), "events": form.many("event")}, NewWebhook, form)
        await webhooks.must_be_callable(outbound, visitor.caller, wanted)
        made = await pressed(visitor, form, "webhook", _id_of, webhooks.register, visitor.caller, wanted, vault)
    except errors.Refusal as refusal:
        return await _page(visitor, db, settings, refusal=refusal, url=form.text("url"), chosen=form.many("event"))
    return await _shown_once(visitor, made)


@post("/settings/webhooks/{id:str}/rotate", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_CREATE, "page"))
async def rotate_webhook(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], vault: NamedDependency[Vault]
) -> Response[Any]:
    """A new secret; for a day the old one signs too."""
    made = await pressed(visitor, form, f"hook {id}", _id_of, webhooks.rotate, visitor.caller, id, vault)
    return await _shown_once(visitor, made)


@post("/settings/webhooks/{id:str}/test", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_CREATE, "page"))
async def test_webhook(
    request: Request[Any, Any, Any],
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    webhook_tests: NamedDependency[Limiter],
) -> Response[Any]:
    """Send a test message now and say what it met."""
    charge(request.scope, webhook_tests, visitor.caller.token)
    tested = await webhooks.test(db, outbound, vault, visitor.caller, id)
    return await _page(visitor, db, settings, tested=tested)


@post("/settings/webhooks/{id:str}/remove", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_CREATE, "page"))
async def remove_webhook(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Call it no more."""
    await db.write(webhooks.remove, visitor.caller, id)
    return go("/settings", "webhook_removed")


routes = [settings_shown, test_mail, add_webhook, rotate_webhook, test_webhook, remove_webhook]


async def _page(
    visitor: Visitor,
    db: Database,
    settings: Settings,
    *,
    refusal: errors.Refusal | None = None,
    mail_refusal: errors.Refusal | None = None,
    tested: Any = None,
    url: str = "",
    chosen: Sequence[str] = (),
) -> Response[Any]:
    may_hook = visitor.may(Scope.PURCHASE_ORDERS_CREATE)

    def read(tx: Tx) -> dict[str, Any]:
        return {
            "company": company.card(tx),
            "hooks": [hook for _, hook in webhook_store.page(tx, None, after=0, limit=MAX_WEBHOOKS)] if may_hook else [],
        }

    found = knobs_of(settings)
    named = {name for _, names in GROUPS for name in names}
    rest = [name for name in found if name not in named]
    stopped = refusal or mail_refusal
    return await show(
        visitor,
        "settings.html",
        here="settings",
        groups=[(title, [found[name] for name in names if name in found]) for title, names in (*GROUPS, (N_("Everything else"), rest))],
        ledger_days=min(retention.LEDGER.days, settings.log_bodies_days),
        feed_days=retention.FEED.days,
        mail_trouble=mail.trouble(settings),
        settings=settings,
        version=prodsys.__version__,
        dialect=db.dialect,
        may_hook=may_hook,
        events=[(event.value, EVENTS[event.value]) for event in sorted(HOUSE_EVENTS)],
        refusal=refusal,
        mail_refusal=mail_refusal,
        tested=tested,
        url=url,
        chosen=chosen,
        status=stopped.status if stopped else 200,
        **await db.read(read),
    )


def knobs_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> dict[str, Knob]:
    """Every setting by name, secrets masked. Those an instance was started with in another way than by environment or file are `set`."""
    file = environment.get("PRODSYS_CONFIG", "")
    try:
        in_file = set(msgspec.toml.decode(Path(file).read_bytes())) if file else set()
    except (OSError, msgspec.DecodeError):
        in_file = set()
    defaults = Settings()
    found = {}
    for field in msgspec.structs.fields(Settings):
        name, value = field.name, getattr(settings, field.name)
        variable = f"PRODSYS_{name.upper()}"
        if variable in environment:
            origin = "environment"
        elif name in in_file:
            origin = "file"
        else:
            origin = "default" if value == getattr(defaults, name) else "set"
        found[name] = Knob(variable=variable, value=_shown(name, value), origin=origin, meaning=_meaning(field.type))
    return found


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if text and name.endswith(("password", "secret")):
        return "••••••••"
    return _PASSWORD.sub(r"\1••••@", text)


def _meaning(kind: Any) -> str:
    for note in getattr(kind, "__metadata__", ()):
        if isinstance(note, msgspec.Meta) and note.description:
            return note.description
    return ""


async def _shown_once(visitor: Visitor, made: WebhookWithSecret | str) -> Response[Any]:
    if isinstance(made, str):
        return go("/settings", "secret_shown_before")
    return await show(visitor, "webhook_secret.html", here="settings", status=201, hook=made.webhook, secret=made.secret)


def _id_of(made: WebhookWithSecret) -> str:
    return made.webhook.id
