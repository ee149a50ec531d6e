"""Files that a person brings with a form, kept before the document that names them."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

from prodsys.attachments import actions
from prodsys.attachments.model import MOST_BYTES
from prodsys.documents import Attachment
from prodsys.kit.db import Database
from prodsys.scopes import Caller

MOST = MOST_BYTES + 1_000_000
"""Bytes of a form that brings files: as many as one file may have, and the fields around it."""


async def taken(db: Database, caller: Caller, file: Any) -> Attachment:
    """Keep a file and name it as a document does. Raises BadFile for a kind that is not taken, TooLarge."""
    content: bytes = await file.read()
    sha256 = hashlib.sha256(content).hexdigest()
    stored, _ = await actions.take(db, caller, sha256, _whole(content))
    return Attachment(name=file.filename[:200], media_type=stored.media_type, size=stored.size, sha256=sha256)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
