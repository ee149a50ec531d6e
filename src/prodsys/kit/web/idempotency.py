"""A request sent twice under one Idempotency-Key is carried out once (draft-ietf-httpapi-idempotency-key-header-07; rulings.md, 13)."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import msgspec
from litestar import Request
from litestar.params import HeaderParameter
from sqlalchemy import Column, Index, Integer, LargeBinary, Table, bindparam, delete, select, update

from prodsys import documents, errors
from prodsys.documents import Issue
from prodsys.kit import clock
from prodsys.kit.db import Code, Database, Instant, Json, Tx, hot, insert_new, metadata
from prodsys.kit.web.replies import Reply

P = ParamSpec("P")
T = TypeVar("T")

WINDOW = timedelta(hours=72)

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A text of your own making, new for each new request: sent again within 72 hours it is answered as before.",
    ),
]

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", Code, primary_key=True, comment="partner or house, method, path, query"),
    Column("key", Code, primary_key=True),
    Column("digest", Code, nullable=False, comment="SHA-256 of the body"),
    Column("status", Integer, nullable=False, comment="0 only inside the transaction that makes the row"),
    Column("headers", Json(dict[str, str]), nullable=False),
    Column("content", LargeBinary, comment="NULL when it held a secret"),
    Column("secret_id", Code, comment="whose secret the answer held"),
    Column("created_at", Instant, nullable=False),
    Index("idempotency_keys_created_at", "created_at"),
)

_this = (idempotency_keys.c.scope == bindparam("at_scope"), idempotency_keys.c.key == bindparam("at_key"))
_kept = hot(select(idempotency_keys).where(*_this))
_forget = hot(delete(idempotency_keys).where(*_this))
_purge = hot(delete(idempotency_keys).where(idempotency_keys.c.created_at < bindparam("before", type_=Instant())))
_keep = hot(
    update(idempotency_keys)
    .where(*_this)
    .values({name: bindparam(name, type_=idempotency_keys.c[name].type) for name in ("status", "headers", "content", "secret_id")})
)


class RequestKey(msgspec.Struct, frozen=True):
    """One request that must not be carried out twice: who asks for what, under which key, with which body."""

    scope: str
    key: str
    digest: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, ready to be sent and, when it is a 2xx without a secret, to be kept."""

    status: int
    content: bytes = b""
    headers: dict[str, str] = {}
    secret_id: str | None = None
    """The id of what the secret in `content` belongs to. Such an answer is never kept: its repeat is 409 `already_done` with this id."""
    is_replayed: bool = False

    def reply(self) -> Reply[Any]:
        """The answer for Litestar; a repeated one says so in `Idempotent-Replayed`."""
        headers = {**self.headers, "Idempotent-Replayed": "true"} if self.is_replayed else self.headers
        return Reply(self.content or None, status_code=self.status, headers=headers)


def answered(value: Any, status: int = 201, headers: Mapping[str, str] | None = None, secret_id: str | None = None) -> Answered:
    """An answer with this document as JSON."""
    return Answered(status=status, content=documents.write(value), headers=dict(headers or {}), secret_id=secret_id)


async def request_key(request: Request[Any, Any, Any], key: str | None) -> RequestKey | None:
    """What `once` needs to know about a request; None when it came without an Idempotency-Key. Raises Invalid for an odd key.

    The address is the path itself, not its template: one key sent to two orders is two requests.
    """
    if key is None:
        return None
    # The draft spells the key as a quoted string, most clients send it bare; both mean the same.
    key = key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key
    if not (key.isascii() and key.isprintable()):
        message = "An Idempotency-Key is up to 255 visible ASCII characters."
        raise errors.Invalid(issues=[Issue(code="invalid", message=message, pointer="/header/Idempotency-Key", blocks=True)])
    scope = request.scope
    caller = scope.get("caller")
    partner = getattr(caller, "partner", None)
    who = "house" if partner is None else str(partner)
    where = f"{who} {scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}"
    return RequestKey(where, key, hashlib.sha256(await request.body()).hexdigest())


async def once(
    db: Database,
    key: RequestKey | None,
    answer: Callable[[T], Answered],
    unit: Callable[Concatenate[Tx, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Answered:
    """Carry out `unit` unless it has been under this key; `answer` says what its value looks like on the wire.

    The answer is kept in the unit's own transaction, and only a 2xx: after a refusal the same key is free again. `answer` runs inside
    that transaction too, so it must be quick and without effect. Whoever sends the same key at the same moment waits for the first.
    Raises IdempotencyKeyReused (same key, other body), AlreadyDone (the first answer held a secret), and what the unit raises.
    """
    if key is None:
        return answer(await db.write(unit, *args, **kwargs))

    def keyed(tx: Tx) -> Answered:
        at = {"at_scope": key.scope, "at_key": key.key}
        known = _claim(tx, key)
        if known is not None:
            return known
        answer_now = answer(unit(tx, *args, **kwargs))
        if not 200 <= answer_now.status < 300:
            _forget.run(tx, at)
            return answer_now
        has_secret = answer_now.secret_id is not None
        kept = {
            "status": answer_now.status,
            "headers": {} if has_secret else answer_now.headers,
            "content": None if has_secret else answer_now.content,
            "secret_id": answer_now.secret_id,
        }
        _keep.run(tx, at | kept)
        return answer_now

    return await db.write(keyed)


def purge(tx: Tx, before: datetime | None = None) -> int:
    """Forget what is older than `before`, 72 hours unless said; how many keys that were."""
    return _purge.run(tx, {"before": before or clock.now() - WINDOW})


def _claim(tx: Tx, key: RequestKey) -> Answered | None:
    """Take the key for us, or find what was answered under it. On PostgreSQL the insert waits for another that is under way."""
    now = clock.now()
    row = {
        "scope": key.scope,
        "key": key.key,
        "digest": key.digest,
        "status": 0,
        "headers": {},
        "created_at": now,
    }
    if insert_new(tx, idempotency_keys, row):
        return None
    at = {"at_scope": key.scope, "at_key": key.key}
    known = _kept.first(tx, at)
    if known is None or known.created_at < now - WINDOW:
        # Past its 72 hours but not purged yet, or given up in this very moment: the key is free.
        _forget.run(tx, at)
        # Somebody else may have taken it in between; then his answer is ours.
        return None if insert_new(tx, idempotency_keys, row) else _claim(tx, key)
    if known.digest != key.digest:
        raise errors.IdempotencyKeyReused
    if known.secret_id is not None:
        issue = Issue(
            code="already_done",
            message=f"The first request made {known.secret_id}; its secret was shown then.",
            params={"id": known.secret_id},
            blocks=True,
        )
        raise errors.AlreadyDone(issue.message, issues=[issue])
    return Answered(status=known.status, content=bytes(known.content), headers=known.headers, is_replayed=True)
