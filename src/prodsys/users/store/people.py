"""The rows of people."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, exists, func, or_, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new
from prodsys.kit.ids import new_id
from prodsys.scopes import Scope
from prodsys.tables import users
from prodsys.users.model import NO_PASSWORD, GroupName, User, is_admin, scopes_of_group
from prodsys.users.store.scopes import groups_of_people, known, read_scopes, written


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What signing in needs to know; `scopes` are own ones and those of the groups."""

    pk: int
    id: str
    email: str
    name: str
    password: str
    scopes: frozenset[Scope]
    is_active: bool
    language: str
    signed_in_from: str


_person_columns = (
    users.c.pk,
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.password,
    users.c.scopes,
    users.c.is_active,
    users.c.language,
    users.c.signed_in_from,
)
_by_email = hot(select(*_person_columns).where(users.c.email == bindparam("email")))
_by_id = hot(select(*_person_columns).where(users.c.id == bindparam("id")))
_by_key = hot(select(*_person_columns).where(users.c.pk == bindparam("key")))
_own_scopes = hot(select(users.c.pk, users.c.scopes).where(in_ints(users.c.pk, "people")))

_signed_in = hot(
    update(users)
    .where(users.c.pk == bindparam("key"), users.c.password == bindparam("checked"), users.c.is_active)
    .values(signed_in_at=bindparam("at"), signed_in_from=bindparam("address"))
)
_set_password = hot(update(users).where(users.c.pk == bindparam("key")).values(password=bindparam("hashed"), version=users.c.version + 1))


def by_email(tx: Tx, email: str) -> Person | None:
    """A person by casefolded e-mail."""
    return _person(tx, _by_email.first(tx, {"email": email}))


def by_id(tx: Tx, id: str) -> Person | None:
    """A person by public id."""
    return _person(tx, _by_id.first(tx, {"id": id}))


def by_key(tx: Tx, key: int) -> Person | None:
    """A person by key."""
    return _person(tx, _by_key.first(tx, {"key": key}))


def carried(tx: Tx, people: Iterable[int]) -> dict[int, frozenset[Scope]]:
    """What each of these people (by key) may do: own scopes and those of the groups."""
    keys = list(people)
    found = {row.pk: known(row.scopes) for row in _own_scopes.all(tx, {"people": keys})}
    for row in groups_of_people.all(tx, {"people": keys}):
        found[row.person] |= scopes_of_group(row.role or None, known(row.scopes))
    return found


def put(tx: Tx, *, email: str, name: str, password: str, scopes: Iterable[Scope], language: str = "") -> int | None:
    """Insert a person with a hashed password; the key, or None when the e-mail is taken."""
    row = {
        "id": new_id("us"),
        "email": email,
        "name": name,
        "password": password,
        "scopes": written(scopes),
        "language": language,
        "created_at": now(),
    }
    if not insert_new(tx, users, row):
        return None
    return int(tx.execute(select(users.c.pk).where(users.c.email == email)).scalar_one())


def set_members(tx: Tx, person: int, values: Mapping[str, Any]) -> None:
    """Write some members of a person."""
    tx.execute(update(users).where(users.c.pk == person).values(**values, version=users.c.version + 1))


def note_sign_in(tx: Tx, key: int, checked: str, at: dt.datetime, address: str) -> bool:
    """Remember a sign-in; False when the password that was checked has been changed meanwhile, or the person is gone."""
    return _signed_in.run(tx, {"key": key, "checked": checked, "at": at, "address": address}) == 1


def set_password(tx: Tx, key: int, hashed: str) -> None:
    """Keep another hashed password."""
    _set_password.run(tx, {"key": key, "hashed": hashed})


def listed(tx: Tx, *, limit: int, after: int | None = None, words: str = "", is_active: bool | None = None) -> list[tuple[int, User]]:
    """People in the order they were made, each with the key; `words` stands in the name or the e-mail."""
    query = select(users).order_by(users.c.pk).limit(limit)
    if after is not None:
        query = query.where(users.c.pk > after)
    if words:
        text = words.strip().casefold()
        query = query.where(or_(users.c.email.contains(text, autoescape=True), func.lower(users.c.name).contains(text, autoescape=True)))
    if is_active is not None:
        query = query.where(users.c.is_active == is_active)
    rows = tx.execute(query).all()
    return [(row.pk, user) for row, user in zip(rows, _users(tx, rows), strict=True)]


def names_of(tx: Tx, emails: Iterable[str]) -> dict[str, str]:
    """What the people with these e-mail addresses are called."""
    wanted = {email.casefold() for email in emails if "@" in email}
    if not wanted:
        return {}
    found = tx.execute(select(users.c.email, users.c.name).where(users.c.email.in_(sorted(wanted)[:500])))
    return {row.email: row.name for row in found}


def shown(tx: Tx, key: int) -> User | None:
    """One person as an admin sees it."""
    found = _users(tx, tx.execute(select(users).where(users.c.pk == key)).all())
    return found[0] if found else None


def keys_of(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """Keys of the people with these public ids, as far as there are such."""
    return {row.id: row.pk for row in tx.execute(select(users.c.id, users.c.pk).where(in_texts(users.c.id, "ids")), {"ids": list(ids)})}


def is_empty(tx: Tx) -> bool:
    """Whether nobody can sign in yet."""
    return not tx.execute(select(exists(select(users.c.pk)))).scalar_one()


def hold_people(tx: Tx) -> None:
    """Hold everybody who may sign in until the end of this unit, so that two admins cannot take away each other at once."""
    tx.execute(select(users.c.pk).where(users.c.is_active).order_by(users.c.pk).with_for_update()).all()


def hold_person(tx: Tx, key: int) -> None:
    """Hold one person until the end of this unit."""
    tx.execute(select(users.c.pk).where(users.c.pk == key).with_for_update()).all()


def has_admin(tx: Tx) -> bool:
    """Whether somebody may sign in who may do everything."""
    people = tx.execute(select(users.c.pk).where(users.c.is_active, users.c.password != NO_PASSWORD)).scalars()
    return any(is_admin(scopes) for scopes in carried(tx, people).values())


def first_who_carries(tx: Tx, scope: Scope) -> int | None:
    """Key of the first person who may sign in and carries this; None while there is nobody."""
    people = list(tx.execute(select(users.c.pk).where(users.c.is_active).order_by(users.c.pk).limit(50)).scalars())
    found = carried(tx, people)
    return next((key for key in people if scope in found[key]), None)


def _person(tx: Tx, row: Any) -> Person | None:
    if row is None:
        return None
    return Person(
        pk=row.pk,
        id=row.id,
        email=row.email,
        name=row.name,
        password=row.password,
        scopes=carried(tx, [row.pk])[row.pk],
        is_active=bool(row.is_active),
        language=row.language,
        signed_in_from=row.signed_in_from,
    )


def _users(tx: Tx, rows: Sequence[Any]) -> list[User]:
    people = [row.pk for row in rows]
    carries = {row.pk: known(row.scopes) for row in rows}
    named: dict[int, list[GroupName]] = {row.pk: [] for row in rows}
    for one in sorted(groups_of_people.all(tx, {"people": people}), key=lambda group: group.name.casefold()):
        carries[one.person] |= scopes_of_group(one.role or None, known(one.scopes))
        named[one.person].append(GroupName(id=one.id, name=one.name, role=one.role or None))
    return [
        User(
            id=row.id,
            email=row.email,
            name=row.name,
            scopes=read_scopes(row.scopes),
            groups=named[row.pk],
            carries=sorted(carries[row.pk]),
            is_active=bool(row.is_active),
            is_invited=bool(row.is_active) and row.password == NO_PASSWORD,
            language=row.language,
            theme=row.theme,
            has_shortcuts=bool(row.has_shortcuts),
            created_at=row.created_at,
            signed_in_at=row.signed_in_at,
            version=row.version,
        )
        for row in rows
    ]
