"""Send the files orders name before the orders themselves, each only once to each supplier."""

import time
from collections.abc import Sequence

import msgspec

from prodsys.attachments import actions as files
from prodsys.attachments import store
from prodsys.attachments.store import HOUSE, Kept
from prodsys.documents import Attachment, Issue
from prodsys.kit import outbound
from prodsys.kit.db import Database
from prodsys.kit.outbound import Later, Misconfigured, Problem
from prodsys.purchasing.abroad import Abroad

SECONDS = 20.0
"""All files of one batch together; the orders behind them need the rest of the courier's lease."""

Trouble = outbound.Refused | Later | Misconfigured
_NO_TIME = Later(reason="no_time", detail="Its files are many; the rest of them leaves at the next attempt.")


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
