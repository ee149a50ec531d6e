"""What is gathered in memory is written down now and then, and the rest of it at the end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from prodsys import errors

Write = Callable[[], Awaitable[None]]


async def keep_writing(every_seconds: float, write: Write, write_the_rest: Write) -> None:
    """Write until cancelled, and the rest when that happens; while nothing can be stored it is gathered on."""
    try:
        while True:
            await asyncio.sleep(every_seconds)
            with contextlib.suppress(errors.StorageUnavailable):
                await write()
    finally:
        with contextlib.suppress(errors.StorageUnavailable):
            await write_the_rest()
