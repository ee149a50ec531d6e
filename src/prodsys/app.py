"""Where everything meets: settings in, a running company out."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec

import prodsys
from prodsys.alerts import actions as alerts
from prodsys.alerts import api as alerts_api
from prodsys.alerts import mail
from prodsys.alerts.model import MAIL_LANE, Ending
from prodsys.articles import api as articles_api
from prodsys.attachments import api as attachments_api
from prodsys.catalogue import actions as catalogue
from prodsys.catalogue import api as catalogue_api
from prodsys.company import api as company_api
from prodsys.company import store as company_store
from prodsys.connections import api as connections_api
from prodsys.connections import events, steering, superoffice_door
from prodsys.connections.events import FlowKind
from prodsys.connections.flows import Flows
from prodsys.connections.reaching import Systems
from prodsys.contacts import actions as contacts
from prodsys.contacts import api as contacts_api
from prodsys.exchange import outbox, timetable
from prodsys.exchange.courier import Courier, Kind
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.journal import log
from prodsys.kit.metrics import Metrics, new_metrics
from prodsys.kit.web import Limiter, Reply, openapi_config, purge, web_app
from prodsys.logs import api as logs_api
from prodsys.modules import api as modules_api
from prodsys.modules.store import Switchboard
from prodsys.pages.door import PageDoor, no_such_page
from prodsys.pages.site import pages
from prodsys.partners import api as partners_api
from prodsys.partners import cards, connecting, reaching, telling
from prodsys.partners import store as partner_store
from prodsys.purchasing import abroad, by_the_clock, carrying, following, mailing, taking_over
from prodsys.purchasing import api as purchasing_api
from prodsys.purchasing.words import WORDS, WordKind
from prodsys.sales import api as sales_api
from prodsys.sales import desk as sales_desk
from prodsys.sales import following as waiting_drafts
from prodsys.sales import handing_over
from prodsys.sales.api import RawOrders
from prodsys.sales.feed import AnswerKind
from prodsys.scopes import Scope, allows, public
from prodsys.settings import Settings
from prodsys.tokens import actions as tokens
from prodsys.tokens import api as tokens_api
from prodsys.tokens.guard import guard_of
from prodsys.upkeep import api as upkeep_api
from prodsys.upkeep import readiness, retention
from prodsys.upkeep.opening import Instance, opened
from prodsys.users import actions as users
from prodsys.users import api as users_api
from prodsys.users.browsers import Browsers
from prodsys.users.letters import Letter, Letters
from prodsys.users.model import Opened, Sessions
from prodsys.users.passwords import Passwords
from prodsys.webhooks import actions as webhooks
from prodsys.webhooks import api as webhooks_api
from prodsys.webhooks import inbox, sending
from prodsys.webhooks.model import Event, Happened

__all__ = ["Household", "Instance", "courier_of", "create_app", "doors", "keep_promises", "opened", "sessions"]

DESCRIPTION = (
    "A company's own instance of ProdSys Exchange. Partners send purchase orders here as drafts; the house's own programs "
    "send orders to partners and answer what arrives. Every refusal is application/problem+json with a stable code."
)


TIDY = dt.timedelta(hours=3)
LOOK_AFTER_SUPPLIERS = dt.timedelta(hours=1)
LOOK_AFTER_TOKENS = dt.timedelta(hours=6)


def create_app(instance: Instance) -> Litestar:
    """The whole of one company as an ASGI app; two of them in one process know nothing of each other."""
    household = Household(instance)
    return doors(lambda: household, log_access=instance.settings.access_log)


class Household:
    """What one company keeps in memory while it serves, and what it does meanwhile."""

    def __init__(self, instance: Instance) -> None:
        settings, db = instance.settings, instance.db
        self.instance = instance
        self.switchboard = Switchboard(db)
        self.guard = guard_of(db, self.switchboard.is_on, limiter=Limiter("token", settings.requests_a_minute, 60))
        self.passwords, self.letters = Passwords(), letters_of(instance)
        self.browsers = Browsers(
            db, idle=dt.timedelta(minutes=settings.session_idle_minutes), lifetime=dt.timedelta(hours=settings.session_hours)
        )
        self.page_door = PageDoor(db, settings, self.browsers)
        self.systems = systems_of(instance)
        metrics = new_metrics()
        self.courier = courier_of(instance, metrics, self.systems)
        self.known: dict[str, object] = {
            "db": db,
            "vault": instance.vault,
            "settings": settings,
            "outbound": instance.outbound,
            "switchboard": self.switchboard,
            "courier": self.courier,
            "metrics": metrics,
            "passwords": self.passwords,
            "browsers": self.browsers,
            "page_door": self.page_door,
            "letters": self.letters,
            "systems": self.systems,
            "flows": flows_of(instance, self.systems),
            "sessions": sessions(),
            "sign_in_attempts": users_api.new_sign_in_attempts(),
            "claim_attempts": tokens_api.new_claim_attempts(),
            "webhook_tests": webhooks_api.new_webhook_tests(),
            "inbox_knocks": inbox.Knocks(),
            "superoffice_knocks": superoffice_door.new_knocks(settings),
        }

    @contextlib.asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """Does what a serving company does besides answering, until the block ends."""
        await self.switchboard.refresh()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.guard.keep_last_use()), group.create_task(self.browsers.keep_last_use())]
            if self.instance.settings.run_courier:
                tasks.append(group.create_task(keep_promises(self.instance, self.courier, self.systems)))
            log.info("started", version=prodsys.__version__, database=self.instance.db.dialect)
            yield
            await self.letters.close()
            for task in tasks:
                task.cancel()
        self.switchboard.close()
        self.guard.close()
        self.browsers.close()
        self.passwords.close()


def doors(household: Callable[[], Household], *, log_access: bool) -> Litestar:
    """Every door, of whichever household stands behind them when somebody knocks: making doors is slow, moving in is not."""

    # Functions, because Litestar copies what guards a route, and a guard has a database behind it.
    async def guard(connection: Any, route: Any) -> None:
        await household().guard(connection, route)

    async def page_guard(connection: Any, route: Any) -> None:
        await household().page_door(connection, route)

    def known(name: str) -> Provide:
        return Provide(lambda: household().known[name], sync_to_thread=False)

    api = Router(
        "/api/v1",
        route_handlers=[
            *company_api.routes,
            *sales_api.routes,
            *sales_desk.routes,
            *purchasing_api.routes,
            *articles_api.routes,
            *contacts_api.routes,
            *partners_api.routes,
            *catalogue_api.routes,
            *tokens_api.routes,
            *users_api.routes,
            *modules_api.routes,
            *logs_api.routes,
            *alerts_api.routes,
            *upkeep_api.routes,
            *attachments_api.routes,
            *webhooks_api.routes,
            *connections_api.routes,
            *superoffice_door.routes,
        ],
    )
    return web_app(
        [api, live, ready, read_metrics, security_txt, *pages(page_guard)],
        openapi=openapi_config("ProdSys Exchange", prodsys.__version__, DESCRIPTION),
        examples=_examples,
        log_access=log_access,
        answers_to={HTTPException: no_such_page},
        guards=[guard],
        plugins=[RawOrders()],
        dependencies={name: known(name) for name in household().known},
        lifespan=[lambda _: household().awake()],
    )


def _examples() -> dict[str, Any]:
    """One request and its answer for each operation, really sent: beside the package in a checkout, inside it in an installed wheel."""
    inside = Path(prodsys.__file__).parent / "openapi"
    folder = inside if inside.is_dir() else Path(prodsys.__file__).parents[2] / "openapi"
    file = folder / "examples.json"
    found: dict[str, Any] = msgspec.json.decode(file.read_bytes()) if file.exists() else {}
    return found


def systems_of(instance: Instance) -> Systems:
    """Every system this company is connected to."""
    return Systems(instance.db, instance.outbound, instance.vault, instance.settings)


def flows_of(instance: Instance, systems: Systems) -> Flows:
    """Who carries documents between our books and those systems; sales and purchasing keep books of their own."""
    return Flows(instance.db, systems, {"orders": handing_over.book(), "purchase_orders": taking_over.book()})


def courier_of(instance: Instance, metrics: Metrics | None = None, systems: Systems | None = None) -> Courier:
    """Who carries what this company has promised, each kind to the room that knows how it ends."""
    kinds: dict[str, Kind] = {"order": carrying.OrderKind(instance.db, _reach(instance), metrics)}
    kinds["answer"] = handing_over.HandingOver(AnswerKind())
    kinds["mail"] = mail.MailKind(instance.settings)
    kinds[mailing.KIND] = mailing.OrderMailKind(instance.settings)
    kinds[sending.KIND] = sending.HookKind(instance.db, instance.outbound, instance.vault)
    kinds[events.FLOW] = FlowKind(instance.db, systems or systems_of(instance))
    kinds |= dict.fromkeys(WORDS, WordKind(instance.db, _reach(instance)))
    return Courier(instance.db, kinds, _owner(), _tell_lane, alone=instance.db.dialect == "sqlite")


async def keep_promises(instance: Instance, courier: Courier, systems: Systems | None = None) -> None:
    """Deliver what is promised and do what stands on the timetable, until cancelled: in a server, in a worker, or for one command."""
    db = instance.db
    tasks = by_the_clock.tasks(db, _reach(instance), answers_every=instance.settings.answers_every_seconds)
    way = _way(instance)
    tasks |= cards.tasks(db, way) | catalogue.tasks(db, way)
    tasks |= steering.tasks(instance.db, flows_of(instance, systems or systems_of(instance)))
    tasks["suppliers"] = partial(_plan_suppliers, instance)
    tasks["tidy"] = partial(_tidy, db)
    tasks["alerts"] = partial(_tell_people, instance)
    tasks["tokens"] = partial(_keep_tokens, instance)
    tasks[retention.TASK] = partial(_drop_what_is_old, instance)
    tasks[inbox.TASK] = partial(_keep_inboxes, instance)
    tasks[waiting_drafts.TASK] = partial(_look_at_drafts, db)
    standing = {
        "tidy": TIDY,
        following.FOLLOW_UP: following.EVERY,
        "suppliers": LOOK_AFTER_SUPPLIERS,
        connecting.CONTACTS: min(cards.LOOK, way.contacts_every),
        "alerts": dt.timedelta(seconds=instance.settings.alerts_every_seconds),
        "tokens": LOOK_AFTER_TOKENS,
        retention.TASK: retention.every(instance.settings),
        inbox.TASK: inbox.EVERY,
        waiting_drafts.TASK: waiting_drafts.EVERY,
    }
    async with asyncio.TaskGroup() as group:
        group.create_task(courier.run())
        group.create_task(timetable.keep(db, tasks, _owner(), alone=db.dialect == "sqlite", standing=standing))


async def _look_at_drafts(db: Database, _: str) -> None:
    await waiting_drafts.look(db)


async def _tidy(db: Database, _: str) -> None:
    """Forget what has served its time: used Idempotency-Keys, claims nobody took, sign-ins that ended."""
    await db.write(purge)
    await db.write(tokens.tidy)
    await db.write(users.tidy)
    await db.write(webhooks.tidy)
    await db.write(contacts.tidy)


async def _plan_suppliers(instance: Instance, _: str) -> None:
    """Ask every connected supplier by the clock, as often as the settings now say."""
    await instance.db.write(connecting.plan, _way(instance).clock)


async def _tell_people(instance: Instance, _: str) -> None:
    await alerts.read_logs(instance.db, has_mail=mail.is_set_up(instance.settings))


async def _keep_inboxes(instance: Instance, _: str) -> None:
    await inbox.keep(instance.db, instance.outbound, instance.vault, instance.settings)


async def _drop_what_is_old(instance: Instance, _: str) -> None:
    await retention.run(instance.db, instance.settings)


async def _keep_tokens(instance: Instance, _: str) -> None:
    async def renew(partner: str) -> None:
        await connecting.renew_token(instance.db, _way(instance), partner)

    await alerts.keep_tokens(instance.db, _held_tokens, renew, _tell_partner_of_ending)


def _tell_partner_of_ending(tx: Tx, ending: Ending, days: int) -> None:
    if ending.is_ours and ending.partner is not None:
        key = f"{ending.expires_at:%Y%m%d%H%M%S}:{days}"
        sending.promise(tx, ending.partner, Event.TOKEN_EXPIRING, Happened(id=ending.id), key=key)


def _held_tokens(tx: Tx) -> list[Ending]:
    return [
        Ending(id=one.id, name=one.name, is_ours=False, expires_at=one.token_expires_at, partner=one.pk)
        for one in partner_store.connected(tx)
        if one.token_expires_at is not None
    ]


def _tell_lane(tx: Tx, turn: LaneTurn) -> None:
    if turn.lane.startswith(sending.LANES):
        sending.tell_lane(tx, turn)
    elif turn.lane.startswith(events.LANES):
        events.tell_lane(tx, turn)
    elif turn.lane == MAIL_LANE:
        alerts.tell_lane(tx, turn)
    else:
        telling.tell_lane(tx, turn)


def _way(instance: Instance) -> reaching.Way:
    return reaching.way(instance.outbound, instance.vault, instance.settings)


def _reach(instance: Instance) -> abroad.Reach:
    return abroad.reach_by(instance.outbound, instance.vault, instance.settings)


@get("/health/live", operation_id="is_live", summary="Whether the process runs", tags=["operation"], **public())
async def live() -> dict[str, str]:
    """Answers without asking anything."""
    return {"status": "live"}


@get(
    "/health/ready",
    operation_id="is_ready",
    summary="Whether requests can be served",
    responses={503: ResponseSpec(data_container=readiness.Readiness, generate_examples=False, description="Not now; why stands in it.")},
    tags=["operation"],
    **public(),
)
async def ready(db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[readiness.Readiness]:
    """Asks the database and the disk: does it answer, is its schema ours, is there room."""
    found = await readiness.look(db, settings)
    return Reply(found, status_code=200 if found.is_ready else 503)


@get(
    "/metrics",
    operation_id="read_metrics",
    summary="Counters for Prometheus",
    media_type="text/plain",
    tags=["operation"],
    **allows(Scope.METRICS_READ),
)
async def read_metrics(metrics: NamedDependency[Metrics], db: NamedDependency[Database]) -> Response[bytes]:
    """In Prometheus' text form; the counters are this process's, the rest is asked of the database now."""
    standing = await db.read(outbox.standing)
    metrics.outbox_waiting.set(standing.waiting)
    metrics.outbox_lag_seconds.set((now() - standing.oldest_due).total_seconds() if standing.oldest_due else 0)
    metrics.lanes_paused.set(standing.lanes_closed)
    return Response(metrics.text(), media_type="text/plain; version=0.0.4")


@get("/.well-known/security.txt", include_in_schema=False, media_type="text/plain", **public())
async def security_txt(settings: NamedDependency[Settings]) -> str:
    """Whom to tell of a weakness (RFC 9116): the operator of this instance."""
    return f"Contact: {settings.security_contact}\nExpires: {now().year + 1}-01-01T00:00:00Z\n"


def sessions() -> Sessions:
    def open_session(tx: Tx, person: int, name: str, scopes: frozenset[Scope]) -> Opened:
        made = tokens.sign_in(tx, person=person, name=name, scopes=scopes)
        return Opened(token=made.token, expires_at=made.expires_at)

    return Sessions(open=open_session, end=tokens.sign_out, end_all=tokens.sign_out_everywhere, carry=tokens.carry)


def letters_of(instance: Instance) -> Letters:
    """Who sends people the links by which they choose a password."""

    async def send(letter: Letter) -> str:
        return await mail.send_at_once(instance.settings, letter.to, letter.title, letter.words)

    return Letters(instance.db, instance.settings.public_url, send if mail.is_set_up(instance.settings) else None, _our_name)


def _our_name(tx: Tx) -> str:
    ours = company_store.card(tx)
    return ours.name if ours else ""


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{new_id('ow')[-6:]}"
