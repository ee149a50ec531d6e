"""What in the logs is news for people, what is trouble, and how each is said."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from prodsys.documents import Issue
from prodsys.kit.outbound import plain
from prodsys.logs.model import Direction, Level
from prodsys.scopes import Scope, widened

QUIET = dt.timedelta(hours=1)
"""A cause is told of at most once in this time, however often it comes and goes (product.md, C9)."""
AHEAD = (30, 14, 7, 1)
"""Days before its end at which people are told of a token (pains.md, 22)."""
RENEW_AHEAD = dt.timedelta(days=30)
MOST_IN_A_MAIL = 100
MOST_REASONS = 3
MAIL_LANE = "mail"
READ_AT_ONCE = 2_000
WAIT_FOR_MISSING = dt.timedelta(minutes=15)
MOST_MISSING = 10_000


class Subject(StrEnum):
    """What a person can subscribe to."""

    NEW_DRAFT = "new_draft"
    ANSWER = "answer"
    CHANGE = "change"
    CANCELLATION = "cancellation"
    DESPATCH = "despatch"
    OVERDUE = "overdue"
    TROUBLE = "trouble"


Pace = Literal["at_once", "hourly", "daily"]
"""at_once: a mail within seconds; hourly and daily: one mail with everything, on the hour."""

Hour = Annotated[int, Meta(ge=0, le=23, description="Hour of a daily digest, UTC.")]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody hears of by e-mail, and how soon."""

    id: str
    user: str
    email: str
    subject: Subject
    pace: Pace
    hour: Hour
    created_at: dt.datetime


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One cause of trouble: what is wrong, what to do, since when and how often."""

    id: str
    code: Annotated[str, Meta(description="The log's word for it.", examples=["lane.stopped"])]
    sentence: str
    remedy: str
    path: Annotated[str, Meta(description="The page where it is mended.")]
    partner: str | None
    is_open: bool
    since: dt.datetime
    last_at: dt.datetime
    closed_at: dt.datetime | None
    times: Annotated[int, Meta(description="How often it was seen since then.")]
    affected: Annotated[int, Meta(description="How many orders, lanes or tokens suffer from it now.")]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A log entry as far as it can be news."""

    pk: int
    id: str
    at: dt.datetime
    level: Level
    code: str
    message: str
    direction: Direction
    partner: int | None = None
    subject: str = ""
    number: str = ""
    trace_id: str = ""
    issues: list[Issue] = []


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a person is told: a sentence, what to do, and the page where he does it."""

    id: str
    subject: Subject
    at: dt.datetime
    sentence: str
    remedy: str = ""
    path: str = ""
    trace_id: str = ""
    about: str = ""


class Mail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail as it is promised; how it looks is decided when it leaves."""

    to: str
    person: str
    title: str
    news: list[News]
    more: int = 0
    """How many further news there were than a mail holds."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A cause of trouble as it is kept, and what people were told of it."""

    pk: int = 0
    id: str
    key: str
    family: str
    partner: int | None
    code: str
    sentence: str
    remedy: str
    path: str
    about: str
    is_open: bool
    since: dt.datetime
    last_at: dt.datetime
    closed_at: dt.datetime | None = None
    times: int
    affected: int = 0
    told_open: bool = False
    told_at: dt.datetime | None = None
    tell_at: dt.datetime | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A token that ends: one we issued (`is_ours`), or one a partner gave us, named by the partner."""

    id: str
    name: str
    is_ours: bool
    expires_at: dt.datetime
    partner: int | None = None
    created_at: dt.datetime | None = None


_SUBJECTS = {
    "order.received": Subject.NEW_DRAFT,
    "order.approved": Subject.ANSWER,
    "order.rejected": Subject.ANSWER,
    "order.answered": Subject.ANSWER,
    "order.agreed": Subject.ANSWER,
    "order.accepted": Subject.ANSWER,
    "order.disputed": Subject.ANSWER,
    "order.message": Subject.ANSWER,
    "order.revised": Subject.CHANGE,
    "order.changed": Subject.CHANGE,
    "order.change_proposed": Subject.CHANGE,
    "order.cancel_requested": Subject.CANCELLATION,
    "order.cancelled": Subject.CANCELLATION,
    "order.cancellation_accepted": Subject.CANCELLATION,
    "order.cancellation_refused": Subject.CANCELLATION,
    "order.despatched": Subject.DESPATCH,
    "order.shipped": Subject.DESPATCH,
    "order.overdue": Subject.OVERDUE,
    "order.unanswered": Subject.OVERDUE,
    "order.promised_late": Subject.OVERDUE,
    "order.not_accepted": Subject.OVERDUE,
}
"""The subject each log code belongs to."""

_TROUBLE = {"lane.waiting", "lane.stopped", "order.refused", "order.dead", "token.expiring", "partner.contact_unclear"}
"""Codes that are trouble at whatever level; any other of level error is trouble too."""

_FAMILIES = {
    "lane.waiting": "lane",
    "lane.stopped": "lane",
    "order.refused": "order",
    "order.dead": "order",
    "token.expiring": "token",
    "partner.credentials_needed": "credentials",
    "mail.refused": "mail",
    "mail.dead": "mail",
}

_ENDS = {
    "lane.open": ("lane",),
    "order.delivered": ("order",),
    "order.received": ("order",),
    "order.repeated": ("order",),
    "order.deleted": ("order",),
    "token.rotated": ("token",),
    "token.revoked": ("token",),
    "token.replaced": ("token",),
    "partner.token_renewed": ("token", "credentials"),
    "partner.connected": ("token", "credentials"),
    "reconcile.recovered": ("reconcile.not_here",),
}
"""What each log code ends: troubles of these families with the same mark."""

_ONE_AT_A_TIME = {"lane", "token"}
"""Families in which a thing has one cause at a time: the newest."""

TOLD_WHEN_OVER = {"lane"}
"""Families whose end is news as well."""

_REMEDIES = {
    "order.received": "Review the draft: approve it, change it, or reject it with a reason.",
    "order.rejected": "Mend the order, or take it elsewhere.",
    "order.changed": "Accept the change, or dispute it.",
    "order.disputed": "Answer again.",
    "order.cancel_requested": "Accept the cancellation, or refuse it with a reason.",
    "order.overdue": "Ask the other side, or change what was promised.",
    "order.unanswered": "Ask the other side, or answer it.",
    "order.dead": "Check the partner's address and token, then send it again.",
    "lane.waiting": "Nothing is lost. Ask them whether their system runs; Admin > Integrations tests the connection.",
    "lane.stopped": "Nothing is lost. Admin > Integrations tests the connection and says what is missing.",
    "partner.credentials_needed": "Enter the token again under Admin > Integrations.",
    "partner.contact_unclear": "Choose the contact under Admin > Integrations.",
    "reconcile.not_here": "Admin > Integrations has it written down again; at a terminal: prodsys partner take-over.",
    "mail.refused": "Correct the person's e-mail address under Admin > Users.",
    "mail.dead": "See that the mail server can be reached; POST /alerts/test-mail or `prodsys mail test` tries it.",
}
_REFUSED_BY_US = "Nothing of it was stored. Tell the buyer, or mend what the reasons name, then he sends it again."
_REFUSED_BY_THEM = "Mend the order and export it again."
_ROTATE = "Rotate it under Admin > API access > Tokens; both tokens are good meanwhile, so nothing stops."
_ASK_FOR_A_BUNDLE = "Ask them for a new connection bundle and paste it under Admin > Integrations; nothing stops meanwhile."
_OTHERWISE = "Read the entry in the integration logs; it holds what was exchanged."

_PAGES = {"sd": "/drafts/", "po": "/orders/", "tk": "/tokens/", "pa": "/partners/", "ct": "/contacts/"}
_NEEDS = {"sd": {Scope.SALES_ORDERS_READ}, "po": {Scope.PURCHASE_ORDERS_READ}}
_MAY = {
    Subject.NEW_DRAFT: {Scope.SALES_ORDERS_READ},
    Subject.ANSWER: {Scope.PURCHASE_ORDERS_READ, Scope.SALES_ORDERS_READ},
    Subject.CHANGE: {Scope.PURCHASE_ORDERS_READ, Scope.SALES_ORDERS_READ},
    Subject.CANCELLATION: {Scope.PURCHASE_ORDERS_READ, Scope.SALES_ORDERS_READ},
    Subject.DESPATCH: {Scope.PURCHASE_ORDERS_READ, Scope.SALES_ORDERS_READ},
    Subject.OVERDUE: {Scope.PURCHASE_ORDERS_READ, Scope.SALES_ORDERS_READ},
    Subject.TROUBLE: {Scope.LOGS_READ},
}


def subject_of(seen: Seen) -> Subject | None:
    """What an entry is news of; None for what we did ourselves, for details of another entry, and for what went well."""
    if is_trouble(seen):
        return Subject.TROUBLE
    subject = _SUBJECTS.get(seen.code)
    # What somebody of the house did is known to the house; what came in, and what the clock found, is not.
    return subject if subject == Subject.OVERDUE or seen.direction == "in" else None


def is_trouble(seen: Seen) -> bool:
    """Whether an entry tells of something that must be mended. A code without a room (`article_unknown`) is a detail of another entry."""
    return seen.code in _TROUBLE or (seen.level == "error" and "." in seen.code)


def matters(seen: Seen) -> bool:
    """Whether an entry is news, trouble, or the end of one."""
    return seen.code in _ENDS or subject_of(seen) is not None


def family_of(seen: Seen) -> str:
    """What kind of trouble this is, which decides what ends it."""
    return _FAMILIES.get(seen.code, seen.code)


def ended_by(seen: Seen) -> tuple[str, ...]:
    """The families of trouble this entry ends for its mark."""
    return _ENDS.get(seen.code, ())


def is_alone(family: str) -> bool:
    """Whether a thing can suffer from only one cause of this family, so that a new one takes the old one's place."""
    return family in _ONE_AT_A_TIME


def mark_of(seen: Seen) -> str:
    """What suffers, or is well again: an order by its number, everything else by its id."""
    return seen.number or seen.subject


def cause_key(seen: Seen) -> str:
    """What this trouble shares with every other of the same cause: the code, whose business it is, and why; for lanes and tokens which."""
    family = family_of(seen)
    blocking = [issue for issue in seen.issues if issue.blocks] or seen.issues
    # Of a lane only the kind of reason counts; elsewhere its values belong to it: another unknown article is another cause.
    is_lane = family == "lane"
    why = sorted({(issue.code,) if is_lane else (issue.code, *sorted(issue.params.items())) for issue in blocking}, key=repr)
    which = seen.subject if is_alone(family) or not why else ""
    word = family if is_lane else seen.code
    return f"{word}:{hashlib.sha256(msgspec.json.encode([seen.partner, which, why])).hexdigest()[:32]}"


def sentence_of(seen: Seen) -> str:
    """The entry's sentence, with the first reasons when it only counts them; foreign text made harmless."""
    only_counts = seen.code == "order.refused" and not any(issue.message in seen.message for issue in seen.issues)
    reasons = [issue.message for issue in seen.issues[:MOST_REASONS]] if only_counts else []
    more = len(seen.issues) - len(reasons)
    told = " ".join([seen.message, *reasons, *([f"And {more} more."] if reasons and more else [])])
    return plain(told, 1_000)


def remedy_of(seen: Seen) -> str:
    """What to do about it; empty when there is nothing to do."""
    if seen.code == "order.refused":
        return _REFUSED_BY_US if seen.direction == "in" else _REFUSED_BY_THEM
    if seen.code == "token.expiring":
        return _ROTATE if seen.subject.startswith("tk_") else _ASK_FOR_A_BUNDLE
    if seen.code.startswith("lane.") and seen.subject == MAIL_LANE:
        return _REMEDIES["mail.dead"]
    return _REMEDIES.get(seen.code) or (_OTHERWISE if is_trouble(seen) else "")


def path_of(seen: Seen) -> str:
    """The page of what it is about, or of the entry itself."""
    prefix, _, rest = seen.subject.partition("_")
    return _PAGES[prefix] + seen.subject if rest and prefix in _PAGES else f"/logs/{seen.id}"


def news_of(seen: Seen, subject: Subject) -> News:
    """What a person is told of an entry."""
    return News(
        id=seen.id,
        subject=subject,
        at=seen.at,
        sentence=sentence_of(seen),
        remedy=remedy_of(seen),
        path=path_of(seen),
        trace_id=seen.trace_id,
        about=seen.subject,
    )


def seen_again(cause: Cause | None, seen: Seen, new_id: str) -> Cause:
    """The cause after this trouble: a new one, one more time of an open one, or one that has come back."""
    story: dict[str, Any] = {
        "code": seen.code,
        "sentence": sentence_of(seen),
        "remedy": remedy_of(seen),
        "path": path_of(seen),
        "about": seen.subject,
        "is_open": True,
        "last_at": seen.at,
        "closed_at": None,
    }
    if cause is None:
        return Cause(id=new_id, key=cause_key(seen), family=family_of(seen), partner=seen.partner, since=seen.at, times=1, **story)
    # What comes and goes within the hour is one story, counted from its beginning.
    is_flapping = cause.is_open or cause.told_open or (cause.told_at is not None and cause.told_at > seen.at - QUIET)
    since, times = (cause.since, cause.times + 1) if is_flapping else (seen.at, 1)
    return msgspec.structs.replace(cause, since=since, times=times, **story)


def over(cause: Cause, at: dt.datetime) -> Cause:
    """The cause once nothing suffers from it any more."""
    return msgspec.structs.replace(cause, is_open=False, closed_at=at, last_at=at, affected=0)


def telling(cause: Cause, at: dt.datetime) -> tuple[Cause, News | None]:
    """What people are to hear of a cause now, and the cause once they have: each turn once, at most one in an hour."""
    if cause.is_open == cause.told_open:
        return msgspec.structs.replace(cause, tell_at=None), None
    if not cause.is_open and cause.family not in TOLD_WHEN_OVER:
        return msgspec.structs.replace(cause, told_open=False, tell_at=None), None
    if cause.told_at is not None and cause.told_at > at - QUIET:
        return msgspec.structs.replace(cause, tell_at=cause.told_at + QUIET), None
    told = msgspec.structs.replace(cause, told_open=cause.is_open, told_at=at, tell_at=None)
    since = f"{cause.since:%Y-%m-%d %H:%M} UTC"
    often = f" It has happened {cause.times} times since {since}." if cause.times > 1 else ""
    sentence = f"{cause.sentence}{often}" if cause.is_open else f"This is over: {cause.sentence}{often}"
    news = News(
        id=f"{cause.id}@{int(at.timestamp() * 1e6)}",
        subject=Subject.TROUBLE,
        at=cause.last_at,
        sentence=sentence,
        remedy=cause.remedy if cause.is_open else "",
        path=cause.path,
        about=cause.about,
    )
    return told, news


def may_subscribe(scopes: frozenset[Scope], subject: Subject) -> bool:
    """Whether somebody with these scopes may hear of a subject at all: of what he may read, and nothing else."""
    return not _MAY[subject].isdisjoint(widened(scopes))


def may_hear(scopes: frozenset[Scope], news: News) -> bool:
    """Whether somebody with these scopes may be told this: sales of sales, purchasing of purchasing, trouble whoever reads the logs."""
    carried = widened(scopes)
    needed = _MAY[news.subject] if news.subject == Subject.TROUBLE else _NEEDS.get(news.about.partition("_")[0], _MAY[news.subject])
    return not needed.isdisjoint(carried)


def due(pace: Pace, hour: int, at: dt.datetime) -> dt.datetime:
    """When news of this moment are told: now, with the next full hour, or at the next such hour of the day (UTC)."""
    match pace:
        case "at_once":
            return at
        case "hourly":
            return at.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
        case "daily":
            today = at.replace(hour=hour, minute=0, second=0, microsecond=0)
            return today if today > at else today + dt.timedelta(days=1)


_NAMES = {
    Subject.NEW_DRAFT: ("new draft", "new drafts"),
    Subject.ANSWER: ("answer", "answers"),
    Subject.CHANGE: ("change", "changes"),
    Subject.CANCELLATION: ("cancellation", "cancellations"),
    Subject.DESPATCH: ("despatch", "despatches"),
    Subject.OVERDUE: ("overdue", "overdue"),
    Subject.TROUBLE: ("trouble", "troubles"),
}


def title_of(company: str, news: Sequence[News]) -> str:
    """The subject line: the sentence of a single news, or how many there are of what. One line, without control characters."""
    if len(news) == 1:
        return plain(f"{company}: {news[0].sentence}", 160)
    counts = [(subject, sum(1 for one in news if one.subject == subject)) for subject in Subject]
    told = ", ".join(f"{count} {_NAMES[subject][count > 1]}" for subject, count in counts if count)
    return plain(f"{company}: {told}", 160)


def threshold(ending: Ending, at: dt.datetime) -> int | None:
    """Which of 30, 14, 7 and 1 days ahead we are at; None while there is more time, and for a token that was made to live shorter."""
    left = ending.expires_at - at
    if left <= dt.timedelta(0):
        return None
    reached = [days for days in AHEAD if left <= dt.timedelta(days=days)]
    if not reached:
        return None
    days = min(reached)
    if ending.created_at is not None and ending.expires_at - ending.created_at <= dt.timedelta(days=days):
        return None
    return days


def is_to_renew(ending: Ending, known_since: dt.datetime, at: dt.datetime) -> bool:
    """Whether a token a partner gave us is past half of its life as we know it, and within 30 days of its end (pains.md, 22)."""
    left = ending.expires_at - at
    return dt.timedelta(0) < left <= min(RENEW_AHEAD, (ending.expires_at - known_since) / 2)


def expiry_words(ending: Ending, days: int) -> str:
    """What is said of a token that ends."""
    end = f"{ending.expires_at:%Y-%m-%d %H:%M} UTC"
    left = f"in {days} days or less" if days > 1 else "within a day"
    if ending.is_ours:
        return f"The token {ending.name} we issued ends {left}, on {end}."
    return f"The token {ending.name} gave us ends {left}, on {end}, and was not renewed by itself."


def missing_after(before: Iterable[tuple[int, int]], read_to: int, seen: Sequence[int], at: int) -> list[tuple[int, int]]:
    """Keys below the newest seen that nobody has seen: their transactions may still be under way (rulings.md, 8).

    `before` are those known to be missing, with the moment (µs) each was missed first; after 15 minutes, or beyond 10,000, the oldest
    are given up: they were rolled back.
    """
    there = set(seen)
    still = [(key, since) for key, since in before if key not in there and since > at - int(WAIT_FOR_MISSING.total_seconds() * 1e6)]
    newest = max(there, default=read_to)
    begin = max(read_to + 1, newest - MOST_MISSING)
    return (still + [(key, at) for key in range(begin, newest) if key not in there])[-MOST_MISSING:]
