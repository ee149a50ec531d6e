"""The rows of one-time codes, by which people choose a password."""

import datetime as dt

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from prodsys.kit.db import Tx, hot
from prodsys.tables import one_time_codes
from prodsys.users.model import Kind


class KeptCode(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code that is still good."""

    pk: int
    kind: Kind
    person: int | None


_insert_code = hot(insert(one_time_codes))
_kept_code = hot(
    select(one_time_codes.c.pk, one_time_codes.c.kind, one_time_codes.c.person).where(
        one_time_codes.c.digest == bindparam("digest"), one_time_codes.c.expires_at > bindparam("at")
    ),
    KeptCode,
)


def put(tx: Tx, *, kind: Kind, person: int | None, digest: str, at: dt.datetime, expires_at: dt.datetime) -> None:
    """Keep a one-time code."""
    _insert_code.run(tx, {"kind": kind, "person": person, "digest": digest, "created_at": at, "expires_at": expires_at})


def kept(tx: Tx, digest: str, at: dt.datetime) -> KeptCode | None:
    """The code with this digest, if it is still good."""
    return _kept_code.first(tx, {"digest": digest, "at": at})


def use(tx: Tx, code: int) -> bool:
    """Void a code; False when somebody was faster."""
    return tx.execute(delete(one_time_codes).where(one_time_codes.c.pk == code)).rowcount == 1


def void(tx: Tx, *, person: int | None = None, kind: Kind | None = None) -> None:
    """Void the codes of a person, or all of a kind."""
    theirs = [one_time_codes.c.person == person] if person is not None else []
    tx.execute(delete(one_time_codes).where(*theirs, *([one_time_codes.c.kind == kind] if kind else [])))


def has_since(tx: Tx, person: int, kind: Kind, since: dt.datetime) -> bool:
    """Whether a person was given such a code after this moment."""
    c = one_time_codes.c
    return tx.execute(select(c.pk).where(c.person == person, c.kind == kind, c.created_at > since).limit(1)).first() is not None


def tidy(tx: Tx, at: dt.datetime) -> None:
    """Forget codes whose time is over."""
    tx.execute(delete(one_time_codes).where(one_time_codes.c.expires_at <= at))
