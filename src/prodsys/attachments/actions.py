"""Take files piece by piece, hand them out to those who may have them, and let orders name them."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence

import msgspec

from prodsys import errors
from prodsys.attachments import model, store
from prodsys.attachments.model import CHUNK, MOST_BYTES, MOST_UNUSED_BYTES, Inspector
from prodsys.attachments.store import HOUSE, Kept
from prodsys.documents import Attachment, Issue
from prodsys.kit.db import Database, Tx
from prodsys.scopes import Caller, Scope


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is here; the media type is what its content shows, `size` in bytes."""

    sha256: str
    size: int
    media_type: str


def holder_of(caller: Caller) -> int:
    """Who shows that he has a file: a partner, or the house."""
    return HOUSE if caller.partner is None else caller.partner


async def take(db: Database, caller: Caller, sha256: str, pieces: AsyncIterator[bytes]) -> tuple[Stored, bool]:
    """Keep a file of at most 20 MB, chunk by chunk, so that neither memory nor other writers suffer; and whether it is new here.

    Whoever sends it has shown that he has it, and may from now on name it. Raises TooLarge, and BadFile for a content that is not of the
    hash, or of no kind that is taken; then nothing is kept; TooManyRequests for a partner who fills our disk with what no order names.
    """
    if caller.partner is not None and await db.read(store.unused_bytes, caller.partner) > MOST_UNUSED_BYTES:
        message = "Much of what you have sent is named by no order; name it, or wait until it is dropped."
        raise errors.TooManyRequests(message, headers={"Retry-After": "3600"})
    known = await db.read(store.held, holder_of(caller), [sha256])
    if known:
        async for _ in pieces:
            pass  # he has sent it before; what is being sent now is not needed
        file = known[sha256]
        return Stored(sha256=sha256, size=file.size, media_type=file.media_type), False
    pk = await db.write(store.begin)
    inspector, position, waiting = Inspector(), 0, bytearray()
    try:
        async for piece in pieces:
            waiting += piece
            if inspector.size + len(waiting) > MOST_BYTES:
                raise errors.TooLarge(f"An attachment has at most {MOST_BYTES} bytes.")
            while len(waiting) >= CHUNK:
                content = bytes(waiting[:CHUNK])
                del waiting[:CHUNK]
                inspector.read(content)
                await db.write(store.add, pk, position, content)
                position += 1
        if waiting:
            inspector.read(bytes(waiting))
            await db.write(store.add, pk, position, bytes(waiting))
        media_type = _must_be_taken(inspector, sha256)
    except BaseException:
        await db.write(store.drop, [pk])
        raise
    is_new = await db.write(store.finish, pk, sha256, inspector.size, media_type, holder_of(caller))
    return Stored(sha256=sha256, size=inspector.size, media_type=media_type), is_new


def _must_be_taken(inspector: Inspector, sha256: str) -> str:
    if inspector.sha256 != sha256:
        message = f"The content's SHA-256 is {inspector.sha256}, not the one it was sent under; send it again."
        raise errors.BadFile(
            message, issues=[Issue(code="hash_mismatch", message=message, params={"sha256": inspector.sha256}, blocks=True)]
        )
    media_type = inspector.media_type
    if media_type is None:
        kinds = ", ".join(sorted(set(model.ENDINGS.values())))
        message = f"This is not a file of a kind that is taken: {kinds}; office files without macros, texts in UTF-8."
        raise errors.BadFile(message, issues=[Issue(code="kind_not_taken", message=message, params={"kinds": kinds}, blocks=True)])
    return media_type


def find(tx: Tx, caller: Caller, sha256: str) -> Kept:
    """A file for whoever may have it: a partner those he has sent or was handed, the house by the orders that name it.

    A file no order names is for who may write orders. Raises NotFound, and InsufficientScope naming what is missing.
    """
    if caller.partner is not None:
        _must_carry(caller, [Scope.PURCHASE_ORDERS_CREATE])
        found = store.held(tx, caller.partner, [sha256]).get(sha256)
    else:
        found = store.kept(tx, sha256)
    if found is None:
        raise errors.NotFound
    if caller.partner is None:
        rooms = [_READS[kind] for kind in store.used_by(tx, found.pk) if kind in _READS]
        _must_carry(caller, rooms or [Scope.PURCHASE_ORDERS_WRITE, Scope.PURCHASE_ORDERS_CREATE])
    return found


_READS = {"po_": Scope.PURCHASE_ORDERS_READ, "sd_": Scope.SALES_ORDERS_READ}
"""What somebody of the house carries who may read the orders whose ids begin so."""


def _must_carry(caller: Caller, any_of: Sequence[Scope]) -> None:
    if any(caller.may(scope) for scope in any_of):
        return
    granted = " ".join(sorted(caller.scopes))
    message = f"This file asks for the scope {' or '.join(any_of)}; the token carries {granted or 'none'}."
    issue = Issue(code="insufficient_scope", message=message, params={"required": any_of[0].value, "granted": granted}, blocks=True)
    raise errors.InsufficientScope(message, issues=[issue])


async def content(db: Database, file: Kept) -> AsyncIterator[bytes]:
    """The bytes of a file, chunk by chunk."""
    position = 0
    while (chunk := await db.read(store.chunk, file.pk, position)) is not None:
        yield chunk
        position += 1


def missing(held: Mapping[str, Kept], named: Sequence[Attachment]) -> list[Issue]:
    """An issue for each file an order names and its sender has not sent."""
    return [
        Issue(
            code="attachment_missing",
            message=f"Attachment {one.name} is not here; send its content first, under its SHA-256.",
            params={"name": one.name, "sha256": one.sha256},
            pointer=f"/attachments/{at}",
            blocks=True,
        )
        for at, one in enumerate(named)
        if one.sha256 not in held
    ]


def held(tx: Tx, holder: int, hashes: Collection[str]) -> dict[str, Kept]:
    """The files of these hashes that this partner (or the house, 0) has sent."""
    return store.held(tx, holder, hashes)


def hand_over(tx: Tx, partner: int, handed: Iterable[Kept]) -> None:
    """From now on this partner may have these files as if he had sent them himself."""
    for file in handed:
        store.hold(tx, file.pk, partner)


def use(tx: Tx, order: str, files: Mapping[str, Kept], named: Sequence[Attachment]) -> None:
    """From now on this order names these files, and they stay."""
    store.use(tx, order, [files[one.sha256].pk for one in named if one.sha256 in files])
