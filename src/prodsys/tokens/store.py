"""The rows of tokens and of the claim codes they are handed over with."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from prodsys.documents import Party
from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, in_ints
from prodsys.scopes import Scope
from prodsys.tables import claims, company, partners, tokens
from prodsys.tokens.model import EXPIRING_DAYS, Token, TokenPartner, state_of

_SCOPES = frozenset(scope.value for scope in Scope)

_read_scopes = _read_words = msgspec.json.Decoder(list[str]).decode
_read_card = msgspec.json.Decoder(Party).decode


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A token as the rules need it."""

    pk: int
    id: str
    name: str
    partner: int | None
    person: int | None
    scopes: frozenset[Scope]
    created_at: dt.datetime
    expires_at: dt.datetime
    revoked_at: dt.datetime | None
    first_used_at: dt.datetime | None
    successor_of: int | None
    overlap: dt.timedelta
    networks: tuple[str, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A token that stands before the guard, and whose it is."""

    token: Row
    partner_name: str | None


class KnownPartner(msgspec.Struct, frozen=True, kw_only=True):
    """What this room needs to know of a partner."""

    pk: int
    id: str
    name: str
    may_rotate: bool


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A token waiting, sealed, for whoever brings its claim code."""

    pk: int
    token: int
    sealed: str


_row_columns = (
    tokens.c.pk,
    tokens.c.id,
    tokens.c.name,
    tokens.c.partner,
    tokens.c.person,
    tokens.c.scopes,
    tokens.c.created_at,
    tokens.c.expires_at,
    tokens.c.revoked_at,
    tokens.c.first_used_at,
    tokens.c.successor_of,
    tokens.c.overlap_hours,
    tokens.c.networks,
)
_by_digest = hot(
    select(*_row_columns, partners.c.name.label("partner_name"))
    .join_from(tokens, partners, tokens.c.partner == partners.c.pk, isouter=True)
    .where(tokens.c.digest == bindparam("digest"))
)
_by_pk = hot(select(*_row_columns).where(tokens.c.pk == bindparam("key")))
_by_id = hot(select(*_row_columns).where(tokens.c.id == bindparam("id"), tokens.c.person.is_(None)))
_live_successors = hot(select(*_row_columns).where(tokens.c.successor_of == bindparam("key"), tokens.c.revoked_at.is_(None)))
_insert = hot(insert(tokens))
_insert_claim = hot(insert(claims))

_is_live = (tokens.c.pk == bindparam("key"), tokens.c.revoked_at.is_(None))
_touch = hot(update(tokens).where(*_is_live).values(version=tokens.c.version + 1))
_revoke = hot(update(tokens).where(*_is_live).values(revoked_at=bindparam("at"), version=tokens.c.version + 1))
_carry = hot(
    update(tokens)
    .where(tokens.c.person == bindparam("key"), tokens.c.revoked_at.is_(None))
    .values(scopes=bindparam("carried"), version=tokens.c.version + 1)
)
_void = hot(
    update(tokens).where(*_is_live, tokens.c.first_used_at.is_(None)).values(revoked_at=bindparam("at"), version=tokens.c.version + 1)
)
_shorten = hot(
    update(tokens)
    .where(*_is_live, tokens.c.expires_at > bindparam("end"))
    .values(expires_at=bindparam("end"), version=tokens.c.version + 1)
)
_first_use = hot(update(tokens).where(*_is_live, tokens.c.first_used_at.is_(None)).values(first_used_at=bindparam("at")))
# Named with its type: inside a function the column's is not seen.
_moment = bindparam("at", type_=Instant())
_last_use = hot(
    update(tokens)
    .where(tokens.c.pk == bindparam("key"))
    .values(
        last_used_at=_moment,
        last_used_address=bindparam("address"),
        last_used_client=bindparam("client"),
        first_used_at=func.coalesce(tokens.c.first_used_at, _moment),
    )
)
_unclaim = hot(update(claims).where(claims.c.token == bindparam("key"), claims.c.claimed_at.is_(None)).values(sealed=None))

_waiting = hot(
    select(claims.c.pk, claims.c.token, claims.c.sealed).where(
        claims.c.digest == bindparam("digest"),
        claims.c.claimed_at.is_(None),
        claims.c.expires_at > bindparam("at"),
        claims.c.sealed.is_not(None),
    ),
    Sealed,
)
_claim = hot(
    update(claims)
    .where(claims.c.pk == bindparam("key"), claims.c.claimed_at.is_(None))
    .values(claimed_at=bindparam("at"), claimed_from=bindparam("address"), sealed=None)
)
_partners = select(partners.c.pk, partners.c.id, partners.c.name, partners.c.may_rotate)
_partner_by_id = hot(_partners.where(partners.c.id == bindparam("id")), KnownPartner)
_partner_by_pk = hot(_partners.where(partners.c.pk == bindparam("key")), KnownPartner)


def known(tx: Tx, digest: str) -> Known | None:
    """The token with this digest, whatever its state."""
    row = _by_digest.first(tx, {"digest": digest})
    return None if row is None else Known(token=_row(row), partner_name=row.partner_name)


def by_id(tx: Tx, id: str) -> Row | None:
    """A token by its public id; sign-ins are not found."""
    row = _by_id.first(tx, {"id": id})
    return None if row is None else _row(row)


def by_key(tx: Tx, key: int) -> Row | None:
    """A token by its key."""
    row = _by_pk.first(tx, {"key": key})
    return None if row is None else _row(row)


def live_successors(tx: Tx, key: int) -> list[Row]:
    """The unrevoked tokens made to replace this one."""
    return [_row(row) for row in _live_successors.all(tx, {"key": key})]


def put(tx: Tx, values: dict[str, Any], scopes: Iterable[Scope], networks: Iterable[str]) -> int:
    """Insert a token; its key."""
    lists = {"scopes": sorted(scopes), "networks": list(networks)}
    _insert.run(tx, values | {name: msgspec.json.encode(words).decode() for name, words in lists.items()})
    row = _by_digest.first(tx, {"digest": values["digest"]})
    assert row is not None  # noqa: S101 - inserted above, in this transaction
    return int(row.pk)


def put_claim(tx: Tx, *, token: int, digest: str, sealed: str, expires_at: dt.datetime) -> None:
    """Keep a token, sealed, for whoever brings the code."""
    _insert_claim.run(tx, {"token": token, "digest": digest, "sealed": sealed, "expires_at": expires_at})


def waiting(tx: Tx, digest: str, at: dt.datetime) -> Sealed | None:
    """What waits, unclaimed and in time, for the code with this digest."""
    return _waiting.first(tx, {"digest": digest, "at": at})


def take(tx: Tx, claim: int, at: dt.datetime, address: str) -> bool:
    """Mark a code as used; False when somebody was faster."""
    return _claim.run(tx, {"key": claim, "at": at, "address": address}) == 1


def touch(tx: Tx, key: int) -> bool:
    """Hold an unrevoked token until the end of this unit, so that two rotations come one after the other; False when it is revoked."""
    return _touch.run(tx, {"key": key}) == 1


def revoke(tx: Tx, key: int, at: dt.datetime) -> bool:
    """End a token now, and what waits to be claimed for it; False when it had ended so before."""
    _unclaim.run(tx, {"key": key})
    return _revoke.run(tx, {"key": key, "at": at}) == 1


def void(tx: Tx, key: int, at: dt.datetime) -> bool:
    """End a token that was never used; False when it was."""
    if _void.run(tx, {"key": key, "at": at}) == 0:
        return False
    _unclaim.run(tx, {"key": key})
    return True


def shorten(tx: Tx, key: int, end: dt.datetime) -> bool:
    """Let an unrevoked token end at this moment unless it ends earlier anyway."""
    return _shorten.run(tx, {"key": key, "end": end}) == 1


def note_first_use(tx: Tx, key: int, at: dt.datetime) -> bool:
    """Remember when an unrevoked token was first used; False when that is known, or the token was revoked meanwhile."""
    return _first_use.run(tx, {"key": key, "at": at}) == 1


def note_last_use(tx: Tx, uses: Sequence[tuple[int, dt.datetime, str, str]]) -> None:
    """Remember when, from where and by which program tokens were last used: (key, moment, address, program) each."""
    # In one order everywhere, so that two nodes cannot wait for each other.
    _last_use.many(tx, [{"key": key, "at": at, "address": address, "client": client} for key, at, address, client in sorted(uses)])


def listed(tx: Tx, *, limit: int, below: int | None = None, partner: str | None = None) -> list[tuple[int, Token]]:
    """Tokens, newest first, sign-ins left out, each with its key; only those below a key, only one partner's."""
    query = _shown().where(tokens.c.person.is_(None)).order_by(tokens.c.pk.desc()).limit(limit)
    if below is not None:
        query = query.where(tokens.c.pk < below)
    if partner is not None:
        query = query.where(partners.c.id == partner)
    at = now()
    return [(row.pk, _token(row, at)) for row in tx.execute(query)]


View = Literal["live", "expiring", "ended"]
"""live: good at this moment; expiring: of those, the ones that end within 14 days and have no successor; ended: expired or revoked."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many tokens there are in each view."""

    live: int
    expiring: int
    ended: int


def counts(tx: Tx) -> Count:
    """How many tokens stand in each view, sign-ins left out."""
    at = now()
    views: tuple[View, ...] = ("live", "expiring", "ended")
    query = select(*(func.count().filter(_in_view(view, at)) for view in views)).where(tokens.c.person.is_(None))
    return msgspec.convert(dict(zip(views, tx.execute(query).one(), strict=True)), Count)


def by_end(
    tx: Tx, *, view: View, limit: int, after: tuple[dt.datetime, int] | None = None, partner: str = "", house: bool = False, words: str = ""
) -> list[tuple[int, Token]]:
    """Tokens of one view, sign-ins left out, the first to end first, each with its key; of those that have ended, the last first."""
    at = now()
    query = _shown().where(tokens.c.person.is_(None), _in_view(view, at)).limit(limit)
    place = tuple_(tokens.c.expires_at, tokens.c.pk)
    if view == "ended":
        query = query.order_by(tokens.c.expires_at.desc(), tokens.c.pk.desc())
    else:
        query = query.order_by(tokens.c.expires_at, tokens.c.pk)
    if after is not None:
        last = tuple_(literal(after[0], Instant()), literal(after[1]))
        query = query.where(place < last if view == "ended" else place > last)
    if partner:
        query = query.where(partners.c.id == partner)
    if house:
        query = query.where(tokens.c.partner.is_(None))
    if words:
        text = words.strip().casefold()
        named = [
            func.lower(column).contains(text, autoescape=True) for column in (tokens.c.name, partners.c.name, tokens.c.id, tokens.c.prefix)
        ]
        query = query.where(or_(*named))
    return [(row.pk, _token(row, at)) for row in tx.execute(query)]


def successors(tx: Tx, id: str) -> list[Token]:
    """The tokens made to replace this one, newest first."""
    previous = select(tokens.c.pk).where(tokens.c.id == id).scalar_subquery()
    at = now()
    return [_token(row, at) for row in tx.execute(_shown().where(tokens.c.successor_of == previous).order_by(tokens.c.pk.desc()))]


_after = tokens.alias("after")
_is_replaced = exists().where(_after.c.successor_of == tokens.c.pk, _after.c.revoked_at.is_(None))


def _in_view(view: View, at: dt.datetime) -> ColumnElement[bool]:
    live = and_(tokens.c.revoked_at.is_(None), tokens.c.expires_at > at)
    if view == "live":
        return live
    if view == "ended":
        return not_(live)
    return and_(live, tokens.c.expires_at <= at + dt.timedelta(days=EXPIRING_DAYS), not_(_is_replaced))


def shown(tx: Tx, id: str) -> Token | None:
    """One token as an admin sees it."""
    row = tx.execute(_shown().where(tokens.c.id == id, tokens.c.person.is_(None))).first()
    return None if row is None else _token(row, now())


def expiring(tx: Tx, at: dt.datetime) -> list[Token]:
    """The tokens in use that end within 14 days and have no successor, soonest first: both sides are told of them."""
    query = (
        _shown()
        .where(
            tokens.c.person.is_(None),
            tokens.c.revoked_at.is_(None),
            tokens.c.expires_at > at,
            tokens.c.expires_at <= at + dt.timedelta(days=EXPIRING_DAYS),
        )
        .order_by(tokens.c.expires_at, tokens.c.pk)
    )
    return [token for row in tx.execute(query) if (token := _token(row, at)).state == "expiring"]


def partner_named(tx: Tx, id: str) -> KnownPartner | None:
    """A partner by its public id."""
    return _partner_by_id.first(tx, {"id": id})


def partner_of(tx: Tx, key: int) -> KnownPartner | None:
    """A partner by its key."""
    return _partner_by_pk.first(tx, {"key": key})


def our_card(tx: Tx) -> Party | None:
    """Our own company's card, as handed to whoever claims a token; None before `init`."""
    card = tx.execute(select(company.c.card)).scalar()
    return None if card is None else _read_card(card)


def sign_in_named(tx: Tx, id: str) -> int | None:
    """Key of a person's running sign-in by its public id; None for a token proper."""
    return tx.execute(select(tokens.c.pk).where(tokens.c.id == id, tokens.c.person.is_not(None), tokens.c.revoked_at.is_(None))).scalar()


def sign_ins(tx: Tx, person: int) -> list[int]:
    """Keys of a person's running sign-ins."""
    return list(tx.execute(select(tokens.c.pk).where(tokens.c.person == person, tokens.c.revoked_at.is_(None))).scalars())


def carry(tx: Tx, scopes: Mapping[int, frozenset[Scope]]) -> bool:
    """Write what the running sign-ins of these people (by key) carry; whether there were any."""
    running = select(tokens.c.person).where(in_ints(tokens.c.person, "people"), tokens.c.revoked_at.is_(None)).distinct()
    people = list(tx.execute(running, {"people": list(scopes)}).scalars())
    _carry.many(tx, [{"key": key, "carried": msgspec.json.encode(sorted(scopes[key])).decode()} for key in sorted(people)])
    return bool(people)


def forget_unclaimed(tx: Tx, at: dt.datetime) -> int:
    """Drop the sealed tokens whose code is too old; how many."""
    return tx.execute(update(claims).where(claims.c.sealed.is_not(None), claims.c.expires_at <= at).values(sealed=None)).rowcount


def forget_sign_ins(tx: Tx, at: dt.datetime) -> int:
    """Delete the sign-ins that ended before this moment; how many."""
    return tx.execute(delete(tokens).where(tokens.c.person.is_not(None), tokens.c.expires_at < at)).rowcount


@cache
def _shown() -> Select[Any]:
    next_ = tokens.alias("next_one")
    previous = tokens.alias("previous_one")
    used = claims.c.claimed_at.is_not(None)
    claimed = select(claims.c.token, func.max(claims.c.pk).label("pk")).where(used).group_by(claims.c.token).subquery()
    return (
        select(
            *_row_columns,
            tokens.c.created_by,
            tokens.c.last_used_at,
            tokens.c.last_used_address,
            tokens.c.last_used_client,
            tokens.c.prefix,
            partners.c.id.label("partner_id"),
            partners.c.name.label("partner_name"),
            claims.c.claimed_at,
            claims.c.claimed_from,
            previous.c.id.label("previous_id"),
            exists().where(next_.c.successor_of == tokens.c.pk, next_.c.revoked_at.is_(None)).label("is_replaced"),
        )
        .select_from(tokens)
        .outerjoin(partners, tokens.c.partner == partners.c.pk)
        .outerjoin(previous, tokens.c.successor_of == previous.c.pk)
        .outerjoin(claimed, claimed.c.token == tokens.c.pk)
        .outerjoin(claims, claims.c.pk == claimed.c.pk)
    )


def _token(row: Any, at: dt.datetime) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        partner=None if row.partner is None else TokenPartner(id=row.partner_id, name=row.partner_name),
        scopes=_read_scopes(row.scopes),
        networks=_read_words(row.networks),
        state=state_of(expires_at=row.expires_at, revoked_at=row.revoked_at, is_replaced=row.is_replaced, at=at),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        last_used_address=row.last_used_address,
        last_used_client=row.last_used_client,
        claimed_at=row.claimed_at,
        claimed_from=row.claimed_from or "",
        successor_of=row.previous_id,
    )


def _row(row: Any) -> Row:
    return Row(
        pk=row.pk,
        id=row.id,
        name=row.name,
        partner=row.partner,
        person=row.person,
        # A scope of a newer release is no scope here; the token's others stay good.
        scopes=frozenset(Scope(word) for word in _read_scopes(row.scopes) if word in _SCOPES),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        first_used_at=row.first_used_at,
        successor_of=row.successor_of,
        overlap=dt.timedelta(hours=row.overlap_hours),
        networks=tuple(_read_words(row.networks)) if row.networks != "[]" else (),
    )
