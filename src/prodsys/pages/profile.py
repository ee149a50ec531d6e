"""What each person sets for himself: name, language, theme, password, browsers that stay signed in, and what to hear of."""

import contextlib
import datetime as dt
from typing import Any, get_args

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.alerts import actions as alerts
from prodsys.alerts import model as alert_model
from prodsys.alerts.mail import is_set_up
from prodsys.alerts.model import Pace, Subject, Subscription
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.pages import sign_in
from prodsys.pages.door import PageDoor
from prodsys.pages.fields import Form, document
from prodsys.pages.speech import LANGUAGES, Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.words import N_
from prodsys.scopes import AnyToken, Caller, allows
from prodsys.settings import Settings
from prodsys.users import actions, model, signing_in, store
from prodsys.users.browsers import Browsers
from prodsys.users.model import Preferences, Sessions
from prodsys.users.passwords import Passwords
from prodsys.users.signing_in import Attempts

SUBJECTS: dict[Subject, str] = {
    Subject.NEW_DRAFT: N_("A new order draft"),
    Subject.ANSWER: N_("An answer to an order"),
    Subject.CHANGE: N_("A change of an order"),
    Subject.CANCELLATION: N_("A cancellation"),
    Subject.DESPATCH: N_("Goods are on their way"),
    Subject.OVERDUE: N_("Something is overdue"),
    Subject.TROUBLE: N_("Trouble with partners, tokens or mail"),
}
PACES: dict[str, str] = {"": N_("Not at all"), "at_once": N_("At once"), "hourly": N_("Once an hour"), "daily": N_("Once a day")}


@get("/profile", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def profile(
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    browsers: NamedDependency[Browsers],
) -> Response[Any]:
    """Everything a person sets for himself, on one page."""
    return await _page(visitor, db, settings, browsers)


@post("/profile", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def change(
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    browsers: NamedDependency[Browsers],
) -> Response[Any]:
    """Keep name, language, theme, and whether single keys do something."""
    typed = {
        "name": form.text("name"),
        "language": form.text("language") if form.text("language") in LANGUAGES else "",
        "theme": form.text("theme", "system"),
        "has_shortcuts": form.flag("has_shortcuts"),
    }
    try:
        await db.write(actions.set_preferences, visitor.caller.person, document(typed, Preferences, form))
    except errors.Refusal as refusal:
        return await _page(visitor, db, settings, browsers, refusal)
    return go("/profile", "saved")


@post("/profile/password", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def change_password(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
    browsers: NamedDependency[Browsers],
    passwords: NamedDependency[Passwords],
    sessions: NamedDependency[Sessions],
    sign_in_attempts: NamedDependency[Attempts],
    page_door: NamedDependency[PageDoor],
) -> Response[Any]:
    """Give oneself another password; every sign-in ends but the one that is begun with it here."""
    caller = visitor.caller
    if caller.person is None:
        raise errors.NotFound
    try:
        known = await signing_in.prove_again(
            db,
            passwords,
            sign_in_attempts,
            person=caller.person,
            password=form.secret("current"),
            address=caller.address,
            scope=request.scope,
        )
        hashed = await passwords.hash(form.secret("password"))
        person = await db.write(actions.change_own_password, known, hashed, sessions)
    except errors.SignInFailed:
        refusal = model.invalid("password_wrong", "This is not your present password.", "/current")
        return await _page(visitor, db, settings, browsers, refusal)
    except errors.Refusal as refusal:
        return await _page(visitor, db, settings, browsers, refusal)
    return await sign_in.opened(request, page_door, browsers, person, "/profile?said=password_changed")


@post("/profile/sessions/{id:str}/end", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def end_session(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Sign oneself out of one browser; that it has ended meanwhile is no fault."""
    with contextlib.suppress(errors.NotFound):
        await db.write(signing_in.end_session, visitor.caller.person or 0, id)
    return go("/profile", "session_ended")


@post("/profile/sessions/end", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def end_sessions(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Sign oneself out of every other browser."""
    await db.write(signing_in.end_other_sessions, visitor.caller.person or 0, visitor.session)
    return go("/profile", "session_ended")


@post("/profile/subscriptions", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def subscribe(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Choose what to hear of by e-mail, and how soon."""
    wanted = {subject: form.text(subject.value) for subject in Subject if subject.value in form}
    await db.write(_subscribe, visitor.caller, wanted, _as_utc(form.text("hour"), visitor.speech))
    return go("/profile", "saved")


routes = [profile, change, change_password, end_session, end_sessions, subscribe]


async def _page(
    visitor: Visitor, db: Database, settings: Settings, browsers: Browsers, refusal: errors.Refusal | None = None
) -> Response[Any]:
    await browsers.flush()
    rest = now() - dt.timedelta(minutes=settings.session_idle_minutes)
    person = visitor.caller.person

    def read(tx: Tx) -> dict[str, Any]:
        mine = {one.subject: one for one in _mine(tx, visitor.caller)}
        return {
            "user": actions.me(tx, person),
            "sessions": [one for _, one in store.sessions.sessions_of(tx, person or 0, rest, current=visitor.session)],
            "subscriptions": mine,
        }

    facts = await db.read(read)
    hours = [one.hour for one in facts["subscriptions"].values() if one.pace == "daily"]
    return await show(
        visitor,
        "profile.html",
        here="profile",
        subjects=[(one, words) for one, words in SUBJECTS.items() if alert_model.may_subscribe(visitor.caller.scopes, one)],
        pace_options=[(pace, visitor.speech.say(words)) for pace, words in PACES.items()],
        hour_options=[(hour, f"{hour:02}:00") for hour in range(24)],
        hour=_as_local(hours[0] if hours else 6, visitor.speech),
        has_mail=is_set_up(settings),
        refusal=refusal,
        status=refusal.status if refusal else 200,
        **facts,
    )


def _mine(tx: Tx, caller: Caller) -> list[Subscription]:
    return [one for _, one in alerts.listed(tx, caller, user=None, limit=100, after=0)]


def _subscribe(tx: Tx, caller: Caller, wanted: dict[Subject, str], hour: int) -> None:
    before = {one.subject: one for one in _mine(tx, caller)}
    for subject, pace in wanted.items():
        known = before.get(subject)
        if pace in get_args(Pace):
            if known is None or known.pace != pace or (pace == "daily" and known.hour != hour):
                alerts.subscribe(tx, caller, subject=subject, pace=pace, hour=hour)  # type: ignore[arg-type]  # one of its words
        elif known is not None:
            alerts.unsubscribe(tx, caller, known.id)


def _as_utc(hour: str, speech: Speech) -> int:
    """The hour of the day in UTC, of one in the reader's zone as it is today."""
    local = int(hour) if hour.isdecimal() and int(hour) < 24 else 7
    return dt.datetime.combine(speech.today(), dt.time(local), speech.zone).astimezone(dt.UTC).hour


def _as_local(hour: int, speech: Speech) -> int:
    return now().replace(hour=hour, minute=0).astimezone(speech.zone).hour
