"""The rows of people."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import bindparam, exists, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, insert_new
from prodsys.kit.ids import new_id
from prodsys.scopes import Scope
from prodsys.tables import users
from prodsys.users.model import User

_SCOPES = frozenset(scope.value for scope in Scope)

_read_scopes = msgspec.json.Decoder(list[str]).decode


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What signing in needs to know."""

    pk: int
    id: str
    email: str
    name: str
    password: str
    scopes: frozenset[Scope]
    is_active: bool


_person_columns = (users.c.pk, users.c.id, users.c.email, users.c.name, users.c.password, users.c.scopes, users.c.is_active)
_by_email = hot(select(*_person_columns).where(users.c.email == bindparam("email")))
_by_id = hot(select(*_person_columns).where(users.c.id == bindparam("id")))
_shown = select(
    users.c.pk, users.c.id, users.c.email, users.c.name, users.c.scopes, users.c.is_active, users.c.created_at, users.c.signed_in_at
)
_signed_in = hot(
    update(users)
    .where(users.c.pk == bindparam("key"), users.c.password == bindparam("checked"), users.c.is_active)
    .values(signed_in_at=bindparam("at"))
)
_set_password = hot(update(users).where(users.c.pk == bindparam("key")).values(password=bindparam("hashed"), version=users.c.version + 1))


def by_email(tx: Tx, email: str) -> Person | None:
    """A person by casefolded e-mail."""
    return _person(_by_email.first(tx, {"email": email}))


def by_id(tx: Tx, id: str) -> Person | None:
    """A person by public id."""
    return _person(_by_id.first(tx, {"id": id}))


def put(tx: Tx, *, email: str, name: str, password: str, scopes: Iterable[Scope]) -> User | None:
    """Insert a person with a hashed password; None when the e-mail is taken."""
    row = {
        "id": new_id("us"),
        "email": email,
        "name": name,
        "password": password,
        "scopes": msgspec.json.encode(sorted(scopes)).decode(),
        "created_at": now(),
    }
    if not insert_new(tx, users, row):
        return None
    return _user(tx.execute(_shown.where(users.c.email == email)).one())


def note_sign_in(tx: Tx, key: int, checked: str, at: dt.datetime) -> bool:
    """Remember a sign-in; False when the password that was checked has been changed meanwhile, or the person is gone."""
    return _signed_in.run(tx, {"key": key, "checked": checked, "at": at}) == 1


def set_password(tx: Tx, key: int, hashed: str) -> None:
    """Keep another hashed password."""
    _set_password.run(tx, {"key": key, "hashed": hashed})


def listed(tx: Tx, *, limit: int, after: int | None = None) -> list[tuple[int, User]]:
    """People in the order they were made, each with the key."""
    query = _shown.order_by(users.c.pk).limit(limit)
    if after is not None:
        query = query.where(users.c.pk > after)
    return [(row.pk, _user(row)) for row in tx.execute(query)]


def is_empty(tx: Tx) -> bool:
    """Whether nobody can sign in yet."""
    return not tx.execute(select(exists(select(users.c.pk)))).scalar_one()


def _person(row: Any) -> Person | None:
    if row is None:
        return None
    scopes = frozenset(Scope(word) for word in _read_scopes(row.scopes) if word in _SCOPES)
    return Person(pk=row.pk, id=row.id, email=row.email, name=row.name, password=row.password, scopes=scopes, is_active=bool(row.is_active))


def _user(row: Any) -> User:
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        scopes=_read_scopes(row.scopes),
        is_active=bool(row.is_active),
        created_at=row.created_at,
        signed_in_at=row.signed_in_at,
    )
