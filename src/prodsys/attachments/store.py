"""The rows of attachments: their bytes in chunks, who has shown that he has them, and which orders name them."""

import datetime as dt
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new, insert_or_ignore, savepoint
from prodsys.kit.ids import new_id
from prodsys.tables import attachment_chunks, attachment_holders, attachment_uses, attachments

HOUSE = 0
"""Stands for ourselves where a holder is meant."""
_UNFINISHED = "uploading:"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is here; `size` in bytes."""

    pk: int
    sha256: str
    size: int
    media_type: str


_a = attachments.c
_kept = hot(select(_a.pk, _a.sha256, _a.size, _a.media_type).where(_a.sha256 == bindparam("sha256")), Kept)
_held = hot(
    select(_a.pk, _a.sha256, _a.size, _a.media_type)
    .join(attachment_holders, attachment_holders.c.attachment == _a.pk)
    .where(attachment_holders.c.partner == bindparam("whose"), in_texts(_a.sha256, "hashes")),
    Kept,
)
_chunk = hot(
    select(attachment_chunks.c.content).where(
        attachment_chunks.c.attachment == bindparam("of"), attachment_chunks.c.position == bindparam("at_position")
    )
)
_use = hot(insert_or_ignore(attachment_uses))


def begin(tx: Tx) -> int:
    """Begin to keep a file that is still being sent; its key."""
    row = {"sha256": _UNFINISHED + new_id("at"), "size": 0, "media_type": "", "created_at": now()}
    return int(tx.execute(insert(attachments).values(row).returning(_a.pk)).scalar_one())


def add(tx: Tx, pk: int, position: int, content: bytes) -> None:
    """Keep the next chunk of a file."""
    tx.execute(insert(attachment_chunks).values(attachment=pk, position=position, content=content))


def drop(tx: Tx, pks: Collection[int]) -> None:
    """Drop files with their bytes."""
    for table, column in (
        (attachment_chunks, attachment_chunks.c.attachment),
        (attachment_holders, attachment_holders.c.attachment),
        (attachment_uses, attachment_uses.c.attachment),
        (attachments, attachments.c.pk),
    ):
        tx.execute(delete(table).where(in_ints(column, "pks")), {"pks": list(pks)})


def finish(tx: Tx, pk: int, sha256: str, size: int, media_type: str, holder: int) -> bool:
    """Let a file that has been sent whole be there under its hash, and note who has it; False when he had sent it before.

    That somebody else has the same file is nobody's business, so it makes no difference to the answer.
    """
    before = _kept.first(tx, {"sha256": sha256})
    if before is None:
        try:
            with savepoint(tx):
                tx.execute(update(attachments).where(_a.pk == pk).values(sha256=sha256, size=size, media_type=media_type))
        except IntegrityError:
            before = _kept.first(tx, {"sha256": sha256})  # another transaction was a moment faster with the same file
    if before is not None:
        drop(tx, [pk])
    return hold(tx, pk if before is None else before.pk, holder)


def hold(tx: Tx, pk: int, holder: int) -> bool:
    """This partner, or the house, has a file; False when that was known."""
    return insert_new(tx, attachment_holders, {"attachment": pk, "partner": holder, "at": now()})


def unused_bytes(tx: Tx, holder: int) -> int:
    """How much this partner has sent that no order names."""
    named = exists().where(attachment_uses.c.attachment == _a.pk)
    held = attachments.join(attachment_holders, attachment_holders.c.attachment == _a.pk)
    size = select(func.coalesce(func.sum(_a.size), 0)).select_from(held).where(attachment_holders.c.partner == holder, ~named)
    return int(tx.execute(size).scalar_one())


def kept(tx: Tx, sha256: str) -> Kept | None:
    """The file of this hash."""
    return _kept.first(tx, {"sha256": sha256})


def held(tx: Tx, holder: int, hashes: Collection[str]) -> dict[str, Kept]:
    """The files of these hashes that this partner (or the house) has shown to have."""
    return {row.sha256: row for row in _held.all(tx, {"whose": holder, "hashes": hashes})} if hashes else {}


def chunk(tx: Tx, pk: int, position: int) -> bytes | None:
    """A chunk of a file; None behind the last one."""
    row = _chunk.first(tx, {"of": pk, "at_position": position})
    return None if row is None else bytes(row.content)


def use(tx: Tx, order: str, pks: Sequence[int]) -> None:
    """An order, ours or theirs, names these files; they stay as long as the order."""
    _use.many(tx, [{"attachment": pk, "order": order} for pk in pks])


def used_by(tx: Tx, pk: int) -> list[str]:
    """How the ids of the orders that name a file begin, `po_` or `sd_`."""
    kinds = select(func.substr(attachment_uses.c.order, 1, 3)).where(attachment_uses.c.attachment == pk).distinct()
    return sorted(tx.execute(kinds).scalars())


def forget_uses(tx: Tx, order: str) -> None:
    """An order that is no more names no files."""
    tx.execute(delete(attachment_uses).where(attachment_uses.c.order == order))


def drop_unused(tx: Tx, before: dt.datetime, most: int) -> int:
    """Drop files older than this that no order names; how many there were."""
    named = exists().where(attachment_uses.c.attachment == _a.pk)
    old = select(_a.pk).where(_a.created_at < before, ~named).order_by(_a.created_at, _a.pk).limit(most).with_for_update(skip_locked=True)
    pks = list(tx.execute(old).scalars())
    if pks:
        drop(tx, pks)
    return len(pks)
