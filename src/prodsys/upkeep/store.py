"""The rows that are dropped when their time has come, and those a person is mentioned in."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, case, delete, func, or_, select, text, update

from prodsys.kit.db import Code, Tx, in_ints, insert_new, metadata
from prodsys.tables import alert_news, contacts, counters, deliveries, log_entries, partners, sales_changes, subscriptions, users

_BODIES = "log_bodies_dropped"
"""The counter that says up to which key of the logs no documents are left, so that nobody looks there again."""

_SERIES = {"purchase_order": "PO", "sales_order": "SO", "despatch": "D"}
_BLOCK = 100_000
"""Series begin at 100,001, and each life of an instance goes on in another block of as many numbers."""


def begin_new_blocks(tx: Tx) -> list[str]:
    """Let every series of numbers go on in another block, at least half a block ahead; the numbers it goes on with, as `PO-200001`.

    What was given after a backup is remembered by partners, and must not be given a second time by who has put that backup back.
    """
    given = {row.name: row.value for row in tx.execute(select(counters).where(counters.c.name.in_(_SERIES)))}
    last = {name: ((given.get(name, 0) + _BLOCK // 2) // _BLOCK + 1) * _BLOCK for name in _SERIES}
    # A series that has not begun here may have begun in the life that was lost.
    last = {name: max(value, 2 * _BLOCK) for name, value in last.items()}
    for name, value in last.items():
        if not insert_new(tx, counters, {"name": name, "value": value}):
            tx.execute(update(counters).where(counters.c.name == name).values(value=value))
    return [f"{_SERIES[name]}-{value + 1}" for name, value in last.items()]


def drop_log_entries(tx: Tx, before: dt.datetime, most: int) -> int:
    """Drop log entries older than this, the oldest first; how many there were.

    The newest one of all stays: SQLite would give its key away again, and who reads the logs by key would miss what comes under it.
    """
    newest = select(func.max(log_entries.c.pk)).scalar_subquery()
    old = select(log_entries.c.pk).where(log_entries.c.at < before).order_by(log_entries.c.at, log_entries.c.pk).limit(most)
    pks = list(tx.execute(old).scalars())
    dropped = delete(log_entries).where(in_ints(log_entries.c.pk, "pks"), log_entries.c.pk < newest)
    return tx.execute(dropped, {"pks": pks}).rowcount if pks else 0


def drop_log_bodies(tx: Tx, before: dt.datetime, most: int) -> int:
    """Drop the documents kept with log entries older than this, the entries stay; how many entries were looked at."""
    mark = tx.execute(select(counters.c.value).where(counters.c.name == _BODIES)).scalar()
    if mark is None:
        insert_new(tx, counters, {"name": _BODIES, "value": 0})
        mark = 0
    old = select(log_entries.c.pk).where(log_entries.c.pk > mark, log_entries.c.at < before).order_by(log_entries.c.pk).limit(most)
    pks = list(tx.execute(old).scalars())
    if not pks:
        return 0
    has_bodies = log_entries.c.request.is_not(None) | log_entries.c.response.is_not(None)
    stripped = update(log_entries).where(in_ints(log_entries.c.pk, "pks"), has_bodies).values(request=None, response=None)
    tx.execute(stripped, {"pks": pks})
    tx.execute(update(counters).where(counters.c.name == _BODIES).values(value=pks[-1]))
    return len(pks)


def drop_delivered(tx: Tx, before: dt.datetime, dead_before: dt.datetime, most: int) -> int:
    """Drop what was sent and answered in deliveries that were settled before this; the rows stay. How many there were.

    What died can be sent again by hand, so it has a time of its own.
    """
    d = deliveries.c
    # Both conditions written out as in the index, so that the databases see that it serves.
    old = select(d.pk).where(d.document.is_not(None), d.settled_at.is_not(None), d.settled_at < before)
    old = old.where((d.state != "dead") | (d.settled_at < dead_before)).order_by(d.settled_at).limit(most)
    pks = list(tx.execute(old).scalars())
    if not pks:
        return 0
    emptied = update(deliveries).where(in_ints(d.pk, "pks"), d.settled_at.is_not(None)).values(document=None, answer=None)
    return tx.execute(emptied, {"pks": pks}).rowcount


def partners_after(tx: Tx, after: int, most: int) -> list[int]:
    """Keys of partners with a feed, behind this one."""
    query = select(partners.c.pk).where(partners.c.pk > after, partners.c.feed_position > 0).order_by(partners.c.pk).limit(most)
    return list(tx.execute(query).scalars())


def drop_changes(tx: Tx, partner: int, before: dt.datetime, most: int) -> int:
    """Drop what a partner's feed told before this, its oldest positions first; how many there were. A gap is never made."""
    c = sales_changes.c
    oldest = select(c.position, case((c.at < before, 1), else_=0).label("is_old")).where(c.partner == partner)
    last = 0
    for row in tx.execute(oldest.order_by(c.position).limit(most)):
        if not row.is_old:
            break
        last = row.position
    return tx.execute(delete(sales_changes).where(c.partner == partner, c.position <= last)).rowcount if last else 0


def free_pages(tx: Tx) -> int:
    """How many pages of a SQLite file hold nothing; PostgreSQL sees to it itself, so there are none."""
    return int(tx.execute(text("PRAGMA freelist_count")).scalar_one()) if tx.dialect.name == "sqlite" else 0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A record in which a person may be mentioned: its table, its key, its public id where it has one, and its texts by column."""

    table: str
    key: dict[str, Any]
    id: str
    texts: dict[str, str]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person's account; `is_last` is whether nobody else may sign in."""

    pk: int
    id: str
    email: str
    name: str
    is_last: bool


_NOT_TEXTS = frozenset({"id", "digest", "sent_digest", "password", "email_key", "token", "sealed", "sha256", "epoch", "trace_id", "dedup"})
_OF_THE_ACCOUNT = frozenset({"users"})


def places(tx: Tx, email: str, words: Sequence[str]) -> list[Place]:
    """Every record with this e-mail, in any case, or one of these words in a text; the account itself and what is on its way left out."""
    found = []
    for table in metadata.sorted_tables:
        columns = [
            column for column in table.c if isinstance(column.type, Code) and column.name not in _NOT_TEXTS and not column.primary_key
        ]
        if not columns or table.name in _OF_THE_ACCOUNT:
            continue
        has_it = [column.icontains(email, autoescape=True) for column in columns]
        has_it += [column.contains(word, autoescape=True) for column in columns for word in words if " " in word]
        has_it += [column == word for column in columns for word in words if " " not in word]
        query = select(table).where(or_(*has_it))
        if table is deliveries:
            query = query.where(deliveries.c.settled_at.is_not(None))
        for row in tx.execute(query).mappings():
            texts = {str(column.name): row[column.name] for column in columns if isinstance(row[column.name], str) and row[column.name]}
            key = {str(column.name): row[column.name] for column in table.primary_key}
            found.append(Place(table=str(table.name), key=key, id=str(row.get("id", "")), texts=texts))
    return found


def rewrite(tx: Tx, place: Place, texts: Mapping[str, str]) -> None:
    """Let texts of a record say something else; where it has a version, that is a new one."""
    table = metadata.tables[place.table]
    values: dict[str, Any] = dict(texts)
    if "version" in table.c and isinstance(table.c.version.type, BigInteger):
        values["version"] = table.c.version + 1
    tx.execute(update(table).where(*(table.c[name] == value for name, value in place.key.items())).values(values))


def account(tx: Tx, email: str) -> Account | None:
    """The account of a person, by casefolded e-mail."""
    row = tx.execute(select(users.c.pk, users.c.id, users.c.email, users.c.name).where(users.c.email == email)).first()
    if row is None:
        return None
    others = tx.execute(select(func.count()).select_from(users).where(users.c.is_active, users.c.pk != row.pk)).scalar_one()
    return Account(pk=row.pk, id=row.id, email=row.email, name=row.name, is_last=others == 0)


def close_account(tx: Tx, pk: int, id: str) -> None:
    """Let an account be nobody's: it cannot be signed in to, and nothing is sent to it."""
    nobody = {
        "email": f"{id.lower()}@erased.invalid",
        "name": "erased",
        "password": "!",
        "is_active": False,
        "version": users.c.version + 1,
    }
    tx.execute(update(users).where(users.c.pk == pk).values(nobody))
    tx.execute(delete(subscriptions).where(subscriptions.c.person == pk))
    tx.execute(delete(alert_news).where(alert_news.c.person == pk))


def forget_key(tx: Tx, email: str) -> None:
    """Let no contact be recognised by this e-mail any more."""
    tx.execute(update(contacts).where(contacts.c.email_key == email).values(email_key=""))
