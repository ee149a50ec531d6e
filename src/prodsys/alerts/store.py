"""The rows of subscriptions, of causes of trouble, and of how far the logs have been read."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, delete, exists, func, insert, or_, select, update

from prodsys.alerts.model import MOST_IN_A_MAIL, READ_AT_ONCE, Alert, Cause, Ending, News, Pace, Seen, Subject, Subscription
from prodsys.documents import Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new
from prodsys.kit.ids import new_id
from prodsys.scopes import Caller, Scope
from prodsys.tables import alert_causes, alert_marks, alert_news, alert_said, company, log_entries, log_readers, partners, tokens, users
from prodsys.tables import subscriptions as subscriptions_
from prodsys.users.store import people

READER = "alerts"

_read_issues = msgspec.json.Decoder(list[Issue]).decode
_read_missing = msgspec.json.Decoder(list[tuple[int, int]]).decode
_read_news = msgspec.json.Decoder(News).decode
_write = msgspec.json.Encoder().encode


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """How far the logs have been read; `turn` tells two readers apart."""

    read_to: int
    missing: list[tuple[int, int]]
    turn: int
    has_defaults: bool


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A person who wants to hear of a subject."""

    person: int
    user: str
    email: str
    scopes: frozenset[Scope]
    subject: Subject
    pace: Pace
    hour: int


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """News that waited for a person's digest; `count` is how many there were in all."""

    person: int
    user: str
    email: str
    is_active: bool
    news: list[News]
    count: int
    last: int


_seen_columns = (
    log_entries.c.pk,
    log_entries.c.id,
    log_entries.c.at,
    log_entries.c.level,
    log_entries.c.code,
    log_entries.c.message,
    log_entries.c.direction,
    log_entries.c.partner,
    log_entries.c.subject,
    log_entries.c.number,
    log_entries.c.trace_id,
    log_entries.c.issues,
)
_person_columns = (users.c.pk, users.c.id, users.c.email, users.c.is_active)
_cause_columns = [alert_causes.c[name] for name in Cause.__struct_fields__]
_put_mark = hot(insert(alert_marks))


def begin(tx: Tx, at: dt.datetime) -> None:
    """Begin to read the logs at this moment, unless that was done before: what happened earlier is no news."""
    earlier = tx.execute(select(func.max(log_entries.c.pk)).where(log_entries.c.at < at)).scalar()
    insert_new(tx, log_readers, {"name": READER, "read_to": earlier or 0, "missing": "[]", "turn": 0})


def reader(tx: Tx) -> Reader | None:
    """How far we have read; None before `begin`."""
    row = tx.execute(select(log_readers).where(log_readers.c.name == READER)).first()
    if row is None:
        return None
    return Reader(read_to=row.read_to, missing=_read_missing(row.missing), turn=row.turn, has_defaults=bool(row.has_defaults))


def unread(tx: Tx, at: Reader) -> list[Seen]:
    """The entries behind that point and those that were missing before it, oldest first, at most 2,000; one statement, one view."""
    new = log_entries.c.pk > at.read_to
    query = select(*_seen_columns).order_by(log_entries.c.pk).limit(READ_AT_ONCE)
    if not at.missing:
        return [_seen(row) for row in tx.execute(query.where(new))]
    rows = tx.execute(query.where(or_(new, in_ints(log_entries.c.pk, "missing"))), {"missing": [key for key, _ in at.missing]})
    return [_seen(row) for row in rows]


def newest(tx: Tx) -> int:
    """The key of the newest entry; 0 when there is none."""
    return int(tx.execute(select(func.coalesce(func.max(log_entries.c.pk), 0))).scalar_one())


def advance(tx: Tx, before: Reader, read_to: int, missing: Sequence[tuple[int, int]]) -> bool:
    """Remember how far we have read; False when another reader was faster."""
    moved = (
        update(log_readers)
        .where(log_readers.c.name == READER, log_readers.c.turn == before.turn)
        .values(read_to=read_to, missing=_write(missing).decode(), turn=before.turn + 1)
    )
    return tx.execute(moved).rowcount == 1


def has_due(tx: Tx, at: dt.datetime) -> bool:
    """Whether a digest, or a cause people were not told of yet, is due."""
    digest = select(alert_news.c.pk).where(alert_news.c.due_at <= at).limit(1)
    cause = select(alert_causes.c.pk).where(alert_causes.c.tell_at <= at).limit(1)
    return tx.execute(digest).first() is not None or tx.execute(cause).first() is not None


def listeners(tx: Tx) -> list[Listener]:
    """Everybody who wants to hear of something and may still sign in."""
    query = (
        select(*_person_columns, subscriptions_.c.subject, subscriptions_.c.pace, subscriptions_.c.hour)
        .join_from(subscriptions_, users, users.c.pk == subscriptions_.c.person)
        .where(users.c.is_active)
        .order_by(users.c.pk)
    )
    rows = tx.execute(query).all()
    carried = people.carried(tx, {row.pk for row in rows})
    return [
        Listener(
            person=row.pk,
            user=row.id,
            email=row.email,
            scopes=carried[row.pk],
            subject=Subject(row.subject),
            pace=row.pace,
            hour=row.hour,
        )
        for row in rows
    ]


def put_news(tx: Tx, rows: Iterable[tuple[int, News, dt.datetime]]) -> None:
    """Keep news (person, what, when due) for digests."""
    values = [{"person": person, "news": _write(news).decode(), "due_at": due} for person, news, due in rows]
    if values:
        tx.execute(insert(alert_news), values)


def take_due(tx: Tx, at: dt.datetime) -> list[Waiting]:
    """The digests that are due, taken out: for each person as many news as a mail holds, and how many there were."""
    due = (
        select(alert_news.c.person, func.count().label("many"), func.max(alert_news.c.pk).label("last"))
        .where(alert_news.c.due_at <= at)
        .group_by(alert_news.c.person)
        .order_by(alert_news.c.person)
    )
    found = []
    # One statement for each person who gets a mail, not for each of the news.
    for one in tx.execute(due).all():
        person = tx.execute(select(*_person_columns).where(users.c.pk == one.person)).one()
        theirs = (alert_news.c.person == one.person, alert_news.c.due_at <= at, alert_news.c.pk <= one.last)
        news = tx.execute(select(alert_news.c.news).where(*theirs).order_by(alert_news.c.pk).limit(MOST_IN_A_MAIL)).scalars()
        found.append(
            Waiting(
                person=person.pk,
                user=person.id,
                email=person.email,
                is_active=bool(person.is_active),
                news=[_read_news(text) for text in news],
                count=one.many,
                last=one.last,
            )
        )
        tx.execute(delete(alert_news).where(*theirs))
    return found


def causes(tx: Tx, *, keys: Collection[str], marks: Collection[str], at: dt.datetime) -> tuple[dict[str, Cause], dict[str, set[str]]]:
    """The causes with these keys, those these marks suffer from, and those due to be told, by key; and which marks stand by each."""
    marked = select(alert_marks.c.cause).where(in_texts(alert_marks.c.mark, "marks"))
    query = (
        select(*_cause_columns)
        .where(or_(in_texts(alert_causes.c.key, "keys"), alert_causes.c.pk.in_(marked), alert_causes.c.tell_at <= at))
        .order_by(alert_causes.c.pk)
        .with_for_update()
    )
    known = {cause.key: cause for cause in map(_cause, tx.execute(query, {"keys": list(keys), "marks": list(marks)}))}
    standing: dict[str, set[str]] = {key: set() for key in known}
    by_pk = {cause.pk: key for key, cause in known.items()}
    if by_pk and marks:
        which = select(alert_marks).where(in_ints(alert_marks.c.cause, "causes"), in_texts(alert_marks.c.mark, "marks"))
        for row in tx.execute(which, {"causes": list(by_pk), "marks": list(marks)}):
            standing[by_pk[row.cause]].add(row.mark)
    return known, standing


def keep_cause(tx: Tx, cause: Cause) -> int:
    """Write down a cause; its key in the table."""
    values = {name: getattr(cause, name) for name in Cause.__struct_fields__ if name != "pk"}
    if cause.pk:
        tx.execute(update(alert_causes).where(alert_causes.c.pk == cause.pk).values(**values))
        return cause.pk
    return int(tx.execute(insert(alert_causes).values(**values).returning(alert_causes.c.pk)).scalar_one())


def put_marks(tx: Tx, rows: Sequence[tuple[int, str]]) -> None:
    """Note what suffers from which cause."""
    _put_mark.many(tx, [{"cause": cause, "mark": mark} for cause, mark in rows])


def drop_marks(tx: Tx, cause: int, marks: Collection[str] | None = None) -> None:
    """What does not suffer from a cause any more; without `marks` nothing does."""
    gone = delete(alert_marks).where(alert_marks.c.cause == cause)
    if marks is None:
        tx.execute(gone)
    else:
        tx.execute(gone.where(in_texts(alert_marks.c.mark, "marks")), {"marks": list(marks)})


def open_of(tx: Tx, family: str) -> list[Cause]:
    """The open causes of a family."""
    query = select(*_cause_columns).where(alert_causes.c.is_open, alert_causes.c.family == family).with_for_update()
    return [_cause(row) for row in tx.execute(query)]


def one_open(tx: Tx, id: str) -> Cause | None:
    """An open cause by its public id, held until the end of this unit."""
    row = tx.execute(select(*_cause_columns).where(alert_causes.c.id == id, alert_causes.c.is_open).with_for_update()).first()
    return None if row is None else _cause(row)


def quiet(tx: Tx, before: dt.datetime, families: Collection[str]) -> list[Cause]:
    """The open causes outside these families that were not seen since."""
    query = select(*_cause_columns).where(
        alert_causes.c.is_open, alert_causes.c.last_at < before, alert_causes.c.family.not_in(list(families))
    )
    return [_cause(row) for row in tx.execute(query.with_for_update())]


def forget(tx: Tx, before: dt.datetime) -> None:
    """Delete the causes that were over before this moment, and what was said twice as long ago as a token lives at most."""
    old = (~alert_causes.c.is_open, alert_causes.c.closed_at < before, alert_causes.c.tell_at.is_(None))
    tx.execute(delete(alert_marks).where(alert_marks.c.cause.in_(select(alert_causes.c.pk).where(*old))))
    tx.execute(delete(alert_causes).where(*old))
    tx.execute(delete(alert_said).where(alert_said.c.at < before - dt.timedelta(days=1_500)))


def page(tx: Tx, *, limit: int, below: int | None, is_open: bool) -> list[tuple[int, Alert]]:
    """Causes, newest first, each with its key."""
    query = (
        select(alert_causes, partners.c.id.label("partner_id"))
        .outerjoin(partners, partners.c.pk == alert_causes.c.partner)
        .where(alert_causes.c.is_open == is_open)
    )
    if below is not None:
        query = query.where(alert_causes.c.pk < below)
    return [(row.pk, _alert(row)) for row in tx.execute(query.order_by(alert_causes.c.pk.desc()).limit(limit))]


def alert(tx: Tx, id: str) -> Alert | None:
    """One cause as it is shown."""
    query = select(alert_causes, partners.c.id.label("partner_id")).outerjoin(partners, partners.c.pk == alert_causes.c.partner)
    row = tx.execute(query.where(alert_causes.c.id == id)).first()
    return None if row is None else _alert(row)


def say_once(tx: Tx, key: str) -> bool:
    """Whether this is said for the first time; from now on it is not."""
    return insert_new(tx, alert_said, {"key": key, "at": now()})


def said_at(tx: Tx, key: str) -> dt.datetime:
    """When this was said first: now, if never before."""
    insert_new(tx, alert_said, {"key": key, "at": now()})
    at: dt.datetime = tx.execute(select(alert_said.c.at).where(alert_said.c.key == key)).scalar_one()
    return at


def ending(tx: Tx, at: dt.datetime, until: dt.datetime) -> list[Ending]:
    """The tokens we issued that end between these moments and have no successor, soonest first."""
    successor = tokens.alias("successor")
    query = (
        select(
            tokens.c.id, tokens.c.name, tokens.c.expires_at, tokens.c.created_at, tokens.c.partner, partners.c.name.label("partner_name")
        )
        .outerjoin(partners, partners.c.pk == tokens.c.partner)
        .where(
            tokens.c.person.is_(None),
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > at,
            tokens.c.expires_at <= until,
            ~exists().where(successor.c.successor_of == tokens.c.pk, successor.c.revoked_at.is_(None)),
        )
        .order_by(tokens.c.expires_at, tokens.c.pk)
    )
    return [
        Ending(
            id=row.id,
            name=row.name if row.partner_name in (None, row.name) else f"{row.name} for {row.partner_name}",
            is_ours=True,
            expires_at=row.expires_at,
            created_at=row.created_at,
            partner=row.partner,
        )
        for row in tx.execute(query)
    ]


def put_subscription(tx: Tx, person: int, subject: Subject, pace: Pace, hour: int) -> bool:
    """Subscribe a person, or change how soon he hears; True when it is new."""
    row = {"id": new_id("su"), "person": person, "subject": subject.value, "pace": pace, "hour": hour, "created_at": now()}
    if insert_new(tx, subscriptions_, row):
        return True
    mine = (subscriptions_.c.person == person, subscriptions_.c.subject == subject.value)
    tx.execute(update(subscriptions_).where(*mine).values(pace=pace, hour=hour))
    return False


def subscriptions(tx: Tx, *, limit: int, after: int = 0, person: int | None = None) -> list[tuple[int, Subscription]]:
    """Subscriptions in the order they were made, each with its key; only one person's, or everybody's."""
    query = _shown().where(subscriptions_.c.pk > after).order_by(subscriptions_.c.pk).limit(limit)
    if person is not None:
        query = query.where(subscriptions_.c.person == person)
    return [(row.pk, _subscription(row)) for row in tx.execute(query)]


def subscription(tx: Tx, person: int, subject: Subject) -> Subscription:
    """A person's subscription to a subject."""
    return _subscription(tx.execute(_shown().where(subscriptions_.c.person == person, subscriptions_.c.subject == subject.value)).one())


def drop_subscription(tx: Tx, id: str, person: int | None) -> bool:
    """End a subscription; with `person` only if it is his. False when there is none."""
    mine = [subscriptions_.c.id == id, *([subscriptions_.c.person == person] if person is not None else [])]
    return tx.execute(delete(subscriptions_).where(*mine)).rowcount == 1


def person_of(tx: Tx, caller: Caller) -> tuple[int, str] | None:
    """Key and e-mail of the person who signed in; None for a token proper."""
    if caller.person is None:
        return None
    found = tx.execute(select(users.c.pk, users.c.email).where(users.c.pk == caller.person)).first()
    return None if found is None else (found.pk, found.email)


def person_named(tx: Tx, id: str) -> tuple[int, frozenset[Scope]] | None:
    """Key and scopes of a person by public id."""
    key = people.keys_of(tx, [id]).get(id)
    return None if key is None else (key, scopes_of(tx, key))


def scopes_of(tx: Tx, person: int) -> frozenset[Scope]:
    """What a person carries, by himself and by his groups."""
    return people.carried(tx, [person])[person]


def first_admin(tx: Tx) -> int | None:
    """The first person who may write users; None while there is nobody."""
    return people.first_who_carries(tx, Scope.USERS_WRITE)


def note_defaults(tx: Tx) -> None:
    """Remember that the first admin has been given what he hears of unless he says otherwise."""
    tx.execute(update(log_readers).where(log_readers.c.name == READER).values(has_defaults=True))


def our_name(tx: Tx) -> str:
    """Our own company, as a mail's title begins."""
    return tx.execute(select(company.c.name)).scalar() or "ProdSys"


def _shown() -> Select[Any]:
    return select(subscriptions_, users.c.id.label("user_id"), users.c.email).join(users, users.c.pk == subscriptions_.c.person)


def _subscription(row: Any) -> Subscription:
    return Subscription(
        id=row.id,
        user=row.user_id,
        email=row.email,
        subject=Subject(row.subject),
        pace=row.pace,
        hour=row.hour,
        created_at=row.created_at,
    )


def _seen(row: Any) -> Seen:
    same = {name: getattr(row, name) for name in Seen.__struct_fields__ if name != "issues"}
    return Seen(**same, issues=_read_issues(row.issues) if row.issues else [])


def _cause(row: Any) -> Cause:
    return Cause(**{name: getattr(row, name) for name in Cause.__struct_fields__})


def _alert(row: Any) -> Alert:
    return Alert(**{name: getattr(row, name) for name in Alert.__struct_fields__ if name != "partner"}, partner=row.partner_id)
