"""Read the logs, and tell those who want to hear: news as they like it, trouble once."""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from prodsys import errors
from prodsys.alerts import model, store
from prodsys.alerts.model import Alert, Cause, Ending, Mail, News, Pace, Seen, Subject, Subscription
from prodsys.alerts.store import Reader
from prodsys.documents import Issue
from prodsys.exchange import outbox
from prodsys.exchange.outbox import LaneTurn, Promise
from prodsys.kit.clock import micros, now
from prodsys.kit.db import Database, Tx
from prodsys.kit.ids import new_id
from prodsys.kit.telemetry import Trace, new_trace
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import Caller, Scope

_GIVE_UP_AFTER = dt.timedelta(days=3)
_BEGIN_BEFORE = dt.timedelta(minutes=1)
"""What happened this long before the logs are read for the first time is no news."""
_QUIET_DAYS = dt.timedelta(days=14)
_ENDS_BY_ITSELF = ("lane", "token", "credentials")
"""Families whose end is always told; any other cause counts as over when it was not seen for 14 days."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in the logs since last time."""

    reader: Reader
    seen: list[Seen]
    read_to: int
    missing: list[tuple[int, int]]
    has_due: bool
    wants_defaults: bool
    is_all: bool


async def read_logs(db: Database, *, has_mail: bool) -> None:
    """Tell people what has happened since last time. Without a mail server only the open causes are kept (GET /alerts)."""
    while True:
        looked = await db.read(look)
        if looked is None:
            await db.write(store.begin, now() - _BEGIN_BEFORE)
            continue
        is_same = not looked.seen and looked.missing == looked.reader.missing
        if is_same and not looked.has_due and not looked.wants_defaults:
            return
        await db.write(pass_on, looked, has_mail=has_mail)
        if looked.is_all:
            return


def look(tx: Tx) -> Looked | None:
    """Read what nobody was told of yet; None before `store.begin`."""
    reader = store.reader(tx)
    if reader is None:
        return None
    at = now()
    if store.newest(tx) < reader.read_to:
        # The log was emptied, and SQLite counts its keys from the beginning again.
        reader = msgspec.structs.replace(reader, read_to=0, missing=[])
    found = store.unread(tx, reader)
    keys = [one.pk for one in found]
    return Looked(
        reader=reader,
        seen=[one for one in found if model.matters(one)],
        read_to=max([reader.read_to, *keys]),
        missing=model.missing_after(reader.missing, reader.read_to, keys, micros(at)),
        has_due=store.has_due(tx, at),
        wants_defaults=not reader.has_defaults and store.first_admin(tx) is not None,
        is_all=len(found) < model.READ_AT_ONCE,
    )


def pass_on(tx: Tx, looked: Looked, *, has_mail: bool) -> None:
    """Promise the mails that follow from what was read, in the same unit that remembers having read it."""
    if not store.advance(tx, looked.reader, looked.read_to, looked.missing):
        return
    at = now()
    if looked.wants_defaults:
        _give_defaults(tx)
    news = [model.news_of(seen, subject) for seen in looked.seen if (subject := model.subject_of(seen)) and subject != Subject.TROUBLE]
    news += weigh(tx, looked.seen, at)
    mails = [*_at_once(tx, news, at), *_digests(tx, at)]
    if mails and has_mail:
        outbox.promise(tx, *[_promise_of(mail) for mail in mails])


def weigh(tx: Tx, seen: Sequence[Seen], at: dt.datetime) -> list[News]:
    """Bring the causes of trouble up to date with what was read; what people are to hear of them now."""
    concerning = [one for one in seen if model.is_trouble(one) or model.ended_by(one)]
    known, standing = store.causes(
        tx,
        keys={model.cause_key(one) for one in concerning if model.is_trouble(one)},
        marks={model.mark_of(one) for one in concerning},
        at=at,
    )
    before, stood = dict(known), {key: set(marks) for key, marks in standing.items()}
    for one in concerning:
        mark = model.mark_of(one)
        for family in model.ended_by(one):
            _end(known, standing, family, one, mark)
        if not model.is_trouble(one):
            continue
        key = model.cause_key(one)
        if model.is_alone(model.family_of(one)):
            _end(known, standing, model.family_of(one), one, mark, but=key)
        cause = model.seen_again(known.get(key), one, new_id("ca"))
        marks = standing.setdefault(key, set())
        known[key] = msgspec.structs.replace(cause, affected=cause.affected + (mark not in marks))
        marks.add(mark)
    news = []
    for key, cause in known.items():
        told, said = model.telling(cause, at)
        if said is not None:
            news.append(said)
        if told == before.get(key):
            continue
        pk = store.keep_cause(tx, told)
        gone, come = stood.get(key, set()) - standing[key], standing[key] - stood.get(key, set())
        if not told.is_open:
            store.drop_marks(tx, pk)
            continue
        if gone:
            store.drop_marks(tx, pk, gone)
        store.put_marks(tx, [(pk, mark) for mark in sorted(come)])
    return news


def _end(known: dict[str, Cause], standing: dict[str, set[str]], family: str, seen: Seen, mark: str, but: str = "") -> None:
    for key, cause in known.items():
        is_meant = cause.is_open and cause.family == family and cause.partner == seen.partner and key != but
        if not is_meant or mark not in standing[key]:
            continue
        standing[key].discard(mark)
        left = cause.affected - 1
        known[key] = model.over(cause, seen.at) if left <= 0 else msgspec.structs.replace(cause, affected=left)


def _at_once(tx: Tx, news: Sequence[News], at: dt.datetime) -> list[Mail]:
    if not news:
        return []
    mails: dict[int, tuple[store.Listener, list[News]]] = {}
    later = []
    for listener in store.listeners(tx):
        theirs = [one for one in news if one.subject == listener.subject and _may_be_told(listener, one)]
        if not theirs:
            continue
        if listener.pace == "at_once":
            mails.setdefault(listener.person, (listener, []))[1].extend(theirs)
        else:
            due = model.due(listener.pace, listener.hour, at)
            later += [(listener.person, one, due) for one in theirs]
    store.put_news(tx, later)
    name = store.our_name(tx)
    return [_mail(name, one.user, one.email, sorted(theirs, key=_when), len(theirs)) for one, theirs in mails.values()]


def _may_be_told(listener: store.Listener, news: News) -> bool:
    # That the mail server does not answer cannot be told by mail; that somebody's address is wrong, not to him.
    return news.about not in (model.MAIL_LANE, listener.user) and model.may_hear(listener.scopes, news)


def _when(news: News) -> dt.datetime:
    return news.at


def _digests(tx: Tx, at: dt.datetime) -> list[Mail]:
    waiting = store.take_due(tx, at)
    name = store.our_name(tx) if waiting else ""
    return [_mail(name, one.user, one.email, one.news, one.count) for one in waiting if one.is_active]


def _mail(company: str, user: str, email: str, news: Sequence[News], count: int) -> Mail:
    shown = list(news[: model.MOST_IN_A_MAIL])
    return Mail(to=email, person=user, title=model.title_of(company, news), news=shown, more=count - len(shown))


def _promise_of(mail: Mail) -> Promise:
    trace_id = mail.news[0].trace_id if len(mail.news) == 1 else ""
    return Promise(
        kind="mail",
        lane=model.MAIL_LANE,
        chain=f"mail:{mail.person}",
        dedup=f"mail:{mail.person}:{mail.news[0].id}:{mail.news[-1].id}:{len(mail.news) + mail.more}",
        subject=mail.person,
        document=msgspec.json.encode(mail).decode(),
        trace=Trace(trace_id, trace_id[:16]) if len(trace_id) == 32 else new_trace(),
        give_up_after=_GIVE_UP_AFTER,
    )


def _give_defaults(tx: Tx) -> None:
    admin = store.first_admin(tx)
    if admin is not None and not store.subscriptions(tx, limit=1, person=admin):
        store.put_subscription(tx, admin, Subject.TROUBLE, "at_once", 6)
    store.note_defaults(tx)


def _nobody_else(tx: Tx, ending: Ending, days: int) -> None:
    """Who is told beside the logs, where nobody says otherwise."""


async def keep_tokens(
    db: Database,
    held: Callable[[Tx], list[Ending]],
    renew: Callable[[str], Awaitable[None]],
    also: Callable[[Tx, Ending, int], None] = _nobody_else,
) -> None:
    """Renew what partners gave us where they allow it, then tell of every token that ends at 30, 14, 7 and 1 days (product.md, A18).

    `held` (a unit) lists the tokens partners gave us, named by the partner; `renew` renews one by partner id and raises a Refusal where
    that cannot be. Sending goes on meanwhile; `also` (in the same unit) tells somebody else of each. Meant to run a few times a day.
    """
    for partner in await db.write(_to_renew, held):
        try:
            await renew(partner)
        except errors.Refusal:
            continue  # people are told of it in time, and it is tried again
    await db.write(tell_of_endings, held, also)


def _to_renew(tx: Tx, held: Callable[[Tx], list[Ending]]) -> list[str]:
    return [one.id for one in _aging(tx, held, now())]


def _aging(tx: Tx, held: Callable[[Tx], list[Ending]], at: dt.datetime) -> list[Ending]:
    """What partners gave us and is past half of its life; how long it lives is known only from the day we saw it first."""
    return [one for one in held(tx) if model.is_to_renew(one, store.said_at(tx, f"held:{one.id}:{micros(one.expires_at)}"), at)]


def tell_of_endings(tx: Tx, held: Callable[[Tx], list[Ending]], also: Callable[[Tx, Ending, int], None] = _nobody_else) -> None:
    """Log each token that ends, once at each of 30, 14, 7 and 1 days; close what was rotated, and what is quiet."""
    at = now()
    # What can still renew itself is no news yet.
    found = [*store.ending(tx, at, at + dt.timedelta(days=max(model.AHEAD))), *_aging(tx, held, at)]
    entries = []
    for one in found:
        days = model.threshold(one, at)
        if days is None or not store.say_once(tx, f"token.expiring:{one.id}:{micros(one.expires_at)}:{days}"):
            continue
        entries.append(_expiring(one, days))
        also(tx, one, days)
    if entries:
        tell(tx, *entries)
    still = {one.id for one in found if model.threshold(one, at) is not None}
    for cause in store.open_of(tx, "token"):
        if cause.about not in still:
            _close(tx, cause, at)
    for cause in store.quiet(tx, at - _QUIET_DAYS, _ENDS_BY_ITSELF):
        _close(tx, cause, at)
    store.forget(tx, at - dt.timedelta(days=90))


def _expiring(one: Ending, days: int) -> Entry:
    message = model.expiry_words(one, days)
    params = {"name": one.name, "days": str(days), "expires_at": one.expires_at.isoformat()}
    return Entry(
        code="token.expiring",
        message=message,
        level="warning",
        partner=one.partner,
        subject=one.id,
        actor="timetable",
        issues=[Issue(code="token_expiring" if one.is_ours else "their_token_expiring", message=message, params=params)],
    )


def _close(tx: Tx, cause: Cause, at: dt.datetime) -> None:
    # Silently: somebody knows, or it has long been still.
    store.keep_cause(tx, msgspec.structs.replace(model.over(cause, at), told_open=False, tell_at=None))
    store.drop_marks(tx, cause.pk)


def dismiss(tx: Tx, caller: Caller, id: str) -> Alert:
    """Count a cause as over: somebody has seen to it. It is told again when it comes again. Raises NotFound."""
    cause = store.one_open(tx, id)
    if cause is not None:
        _close(tx, cause, now())
        message = f"{caller.name} dismissed an alert: {cause.sentence}"
        tell(tx, Entry(code="alert.dismissed", message=message, partner=cause.partner, subject=cause.id, actor=caller.name))
    shown = store.alert(tx, id)
    if shown is None:
        raise errors.NotFound
    return shown


def subscribe(tx: Tx, caller: Caller, *, subject: Subject, pace: Pace, hour: int = 6, user: str | None = None) -> Subscription:
    """Let a person hear of a subject, or change how soon; without `user` the caller himself.

    Raises NotFound, InsufficientScope for another's without Users:Write, Invalid when the person may not read such things.
    """
    person = _meant(tx, caller, user)
    if not model.may_subscribe(store.scopes_of(tx, person), subject):
        message = "This person may not read what this would tell of; give the scope first."
        raise errors.Invalid(message, issues=[Issue(code="subject_not_readable", message=message, pointer="/subject", blocks=True)])
    store.put_subscription(tx, person, subject, pace, hour)
    shown = store.subscription(tx, person, subject)
    message = f"{shown.email} hears of {subject.value.replace('_', ' ')}: {pace.replace('_', ' ')}."
    tell(tx, Entry(code="subscription.set", message=message, subject=shown.user, actor=caller.name))
    note_change(tx, caller.name, "subscription", shown.id, message, after=shown)
    return shown


def unsubscribe(tx: Tx, caller: Caller, id: str) -> None:
    """End a subscription of one's own; with Users:Write anybody's. Raises NotFound."""
    me = store.person_of(tx, caller)
    if not caller.may(Scope.USERS_WRITE) and me is None:
        raise errors.NotFound
    if not store.drop_subscription(tx, id, None if caller.may(Scope.USERS_WRITE) or me is None else me[0]):
        raise errors.NotFound
    tell(tx, Entry(code="subscription.ended", message=f"{caller.name} ended a subscription.", subject=id, actor=caller.name))
    note_change(tx, caller.name, "subscription", id, f"{caller.name} ended a subscription.")


def listed(tx: Tx, caller: Caller, *, user: str | None, limit: int, after: int) -> list[tuple[int, Subscription]]:
    """One's own subscriptions; with Users:Write those of another, or with `all` everybody's. Raises NotFound, InsufficientScope."""
    if user == "all" or (user is None and store.person_of(tx, caller) is None):
        if not caller.may(Scope.USERS_WRITE):
            raise errors.InsufficientScope("Everybody's subscriptions are for those who carry Users:Write.")
        return store.subscriptions(tx, limit=limit, after=after)
    return store.subscriptions(tx, limit=limit, after=after, person=_meant(tx, caller, user))


def own_address(tx: Tx, caller: Caller) -> str | None:
    """The caller's own e-mail; None when it is no person who calls."""
    me = store.person_of(tx, caller)
    return None if me is None else me[1]


def _meant(tx: Tx, caller: Caller, user: str | None) -> int:
    me = store.person_of(tx, caller)
    if user is None:
        if me is None:
            issue = Issue(code="user_missing", message="This token belongs to no person; name the user.", pointer="/user", blocks=True)
            raise errors.Invalid(issue.message, issues=[issue])
        return me[0]
    named = store.person_named(tx, user)
    if named is not None and me is not None and named[0] == me[0]:
        return me[0]
    if not caller.may(Scope.USERS_WRITE):
        raise errors.InsufficientScope("Somebody else's subscriptions are for those who carry Users:Write.")
    if named is None:
        raise errors.NotFound(f"There is no user {user[:40]}.")
    return named[0]


def tell_lane(tx: Tx, turn: LaneTurn) -> None:
    """Log in plain words that mail waits, or leaves again."""
    issues: Iterable[Issue] = [Issue(code=turn.code, message=turn.reason)] if turn.code else []
    match turn.state:
        case "open":
            code, level, message = "lane.open", "info", "E-mail leaves again; what waited leaves now."
        case "stopped":
            code, level, message = "lane.stopped", "error", f"E-mail has stopped. {turn.reason}"
        case _ if turn.waiting_since is not None:
            code, level = "lane.waiting", "error"
            message = f"No e-mail has left since {turn.waiting_since:%Y-%m-%d %H:%M} UTC. {turn.reason}"
        case _:
            code, level, message = (
                "lane.paused",
                "warning",
                f"The mail server cannot be reached. {turn.reason} It is tried again by itself.",
            )
    entry = Entry(code=code, message=message, direction="out", subject=turn.lane, actor="courier", issues=list(issues))
    tell(tx, msgspec.structs.replace(entry, level=level))
