"""Send the files orders name before the orders themselves, each only once to each supplier."""

import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from prodsys import errors
from prodsys.attachments import actions as files
from prodsys.attachments import store
from prodsys.attachments.store import HOUSE, Kept
from prodsys.documents import Attachment, Issue
from prodsys.kit import outbound
from prodsys.kit.db import Database
from prodsys.kit.outbound import Later, Misconfigured, Problem
from prodsys.purchasing import actions
from prodsys.purchasing.abroad import GONE, STOPS_HEARING, Abroad, Reach, reachable, said
from prodsys.scopes import CONSOLE, Caller

SECONDS = 20.0
"""All files of one batch together; the orders behind them need the rest of the courier's lease."""

Trouble = outbound.Refused | Later | Misconfigured
_NO_TIME = Later(reason="no_time", detail="Its files are many; the rest of them leaves at the next attempt.")


async def fetched(db: Database, reach: Reach, caller: Caller, id: str, sha256: str) -> Kept:
    """A file an order of ours names, or a despatch of it, which is asked of the supplier when it is first wanted and then kept here.

    Raises NotFound where neither names it, PartnerUnreachable, PartnerNotReady, and BadFile for another content than its hash says.
    """
    order = await db.read(actions.shown, id)
    if any(one.sha256 == sha256 for one in order.attachments):
        return await db.read(files.find, caller, sha256)
    named = next((one for despatch in order.despatches for one in despatch.attachments if one.sha256 == sha256), None)
    if named is None or order.partner is None:
        raise errors.NotFound
    known = (await db.read(store.held, HOUSE, [sha256])).get(sha256)
    if known is None:
        await _fetch(db, reach, order.partner.id, named)
        known = (await db.read(store.held, HOUSE, [sha256]))[sha256]
    await db.write(store.use, id, [known.pk])
    return known


async def _fetch(db: Database, reach: Reach, partner: str, file: Attachment) -> None:
    supplier, trouble = await db.read(reachable, partner, STOPS_HEARING)
    if supplier is None or trouble is not None:
        raise errors.PartnerNotReady((trouble or GONE).detail)
    content = await reach(supplier).attachment(file.sha256, file.size)
    if isinstance(content, Later):
        raise errors.PartnerUnreachable(content.detail)
    if not isinstance(content, bytes):
        raise errors.PartnerNotReady(f"{supplier.name} does not hand over {file.name}: {said(content)}")

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    await files.take(db, CONSOLE, file.sha256, pieces())


class _Named(msgspec.Struct, frozen=True):
    attachments: list[Attachment] = []


_named = msgspec.json.Decoder(_Named).decode


async def send_files(db: Database, abroad: Abroad, orders: Sequence[str]) -> dict[int, Trouble]:
    """Send what these orders (JSON each) name and the supplier does not have yet; by place, why an order has to wait or cannot leave."""
    until = time.monotonic() + SECONDS
    troubles: dict[int, Trouble] = {}
    ended: dict[str, Trouble | None] = {}
    for at, order in enumerate(orders):
        # Few orders name files, and reading all of them would cost each of the others.
        for file in _named(order).attachments if '"attachments":[' in order else ():
            if file.sha256 not in ended:
                ended[file.sha256] = _NO_TIME if time.monotonic() > until else await _send(db, abroad, file)
            if (trouble := ended[file.sha256]) is not None:
                troubles[at] = trouble
                break
    return troubles


async def _send(db: Database, abroad: Abroad, file: Attachment) -> Trouble | None:
    there = await abroad.has_attachment(file.sha256)
    if not isinstance(there, bool):
        return there if isinstance(there, Trouble) else None
    if there:
        return None
    ours: Kept | None = (await db.read(store.held, HOUSE, [file.sha256])).get(file.sha256)
    if ours is None:
        message = f"Attachment {file.name} is no longer here, so the order cannot leave with it."
        issue = Issue(code="attachment_missing", message=message, params={"name": file.name, "sha256": file.sha256}, blocks=True)
        return outbound.Refused(problem=Problem(status=422, code="attachment_missing", title=message, issues=(issue,)))
    content = b"".join([chunk async for chunk in files.content(db, ours)])
    trouble: Trouble | None = await abroad.attach(file.sha256, content)
    return trouble
