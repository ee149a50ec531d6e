"""What a sign-in at another system gave, sealed."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, insert, literal, select, update

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.ids import new_id
from prodsys.tables import connections, grants


class KeptGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in at another system, under way or done."""

    pk: int
    id: str
    connector: str
    form: str
    config_digest: str
    sealed: str | None
    lease_until: dt.datetime | None
    expires_at: dt.datetime
    version: int


_grant_columns = [grants.c[name] for name in KeptGrant.__struct_fields__]


def put(tx: Tx, values: Mapping[str, Any]) -> str:
    """Begin a sign-in; its id."""
    made = new_id("gt")
    tx.execute(insert(grants).values(id=made, created_at=now(), **values))
    return made


def grant(tx: Tx, id: str) -> KeptGrant:
    """A sign-in by its id. Raises NotFound."""
    return _grant(tx, grants.c.id == id)


def newest(tx: Tx, connector: str, by: str) -> str:
    """The newest sign-in at a system that somebody has brought to its end and that no connection has yet; empty when there is none."""
    used = select(connections.c.pk).where(connections.c.grant == grants.c.pk).exists()
    query = (
        select(grants.c.id)
        .where(grants.c.connector == connector, grants.c.created_by == by, grants.c.sealed.is_not(None), ~used)
        .order_by(grants.c.pk.desc())
        .limit(1)
    )
    return tx.execute(query).scalar_one_or_none() or ""


def by_state(tx: Tx, state: str) -> KeptGrant:
    """A sign-in that is under way. Raises NotFound."""
    return _grant(tx, (grants.c.state == state) & (grants.c.expires_at > now()))


def by_key(tx: Tx, pk: int) -> KeptGrant:
    """A sign-in by its key. Raises NotFound."""
    return _grant(tx, grants.c.pk == pk)


def _grant(tx: Tx, where: Any) -> KeptGrant:
    row = tx.execute(select(*_grant_columns).where(where)).first()
    if row is None:
        raise errors.NotFound("There is no such sign-in; it may have taken too long. Begin it again.")
    return KeptGrant(**{name: getattr(row, name) for name in KeptGrant.__struct_fields__})


def lease(tx: Tx, pk: int, until: dt.datetime) -> KeptGrant | None:
    """Take the right to renew a grant for a while; None while somebody else has it."""
    free = (grants.c.lease_until.is_(None)) | (grants.c.lease_until < literal(now(), type_=grants.c.lease_until.type))
    taken = tx.execute(update(grants).where(grants.c.pk == pk, free).values(lease_until=until)).rowcount
    return by_key(tx, pk) if taken else None


def keep(tx: Tx, pk: int, sealed: str | None, *, end_sign_in: bool = False) -> None:
    """Keep a grant (None: as it was) and let go of the right to renew it."""
    values: dict[str, Any] = {"lease_until": None}
    if sealed is not None:
        values |= {"sealed": sealed, "version": grants.c.version + 1}
    if end_sign_in:
        values["state"] = grants.c.id
    tx.execute(update(grants).where(grants.c.pk == pk).values(values))


def drop_sign_ins(tx: Tx) -> int:
    """Forget sign-ins at other systems that nobody ended."""
    unused = grants.c.pk.not_in(select(connections.c.grant).where(connections.c.grant.is_not(None)))
    return tx.execute(delete(grants).where(grants.c.expires_at < now(), grants.c.sealed.is_(None), unused)).rowcount
