"""A page's list to take away: whole, with its filter, in the reader's words."""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any

import anyio.from_thread
import anyio.to_thread
from litestar import Response
from litestar.response import Stream

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.sheets import Cell, write_csv, write_xlsx

MOST_ROWS = 100_000
"""As many as a workbook is made of; CSV takes any number."""

Rows = list[Sequence[Cell]]

_CSV = "text/csv; charset=utf-8"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def taken_away(name: str, form: str, header: Sequence[str], pages: AsyncIterator[Rows]) -> Response[Any]:
    """A list as a file, `csv` or `xlsx`; it is read page by page while it leaves."""
    ending = "xlsx" if form == "xlsx" else "csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}-{now():%Y-%m-%d}.{ending}"', "Cache-Control": "no-store"}
    if ending == "csv":
        return Stream(_as_csv(header, pages), media_type=_CSV, headers=headers)
    content = await anyio.to_thread.run_sync(_as_xlsx, header, pages)
    return Response(content, media_type=_XLSX, headers=headers)


async def _as_csv(header: Sequence[str], pages: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    for piece in write_csv(header, []):
        yield piece
    async for rows in pages:
        for piece in write_csv(None, rows):
            yield piece


def _as_xlsx(header: Sequence[str], pages: AsyncIterator[Rows]) -> bytes:
    def rows() -> Iterator[Sequence[Cell]]:
        count = 0
        while (page := anyio.from_thread.run(partial(anext, pages, None))) is not None:
            count += len(page)
            if count > MOST_ROWS:
                raise errors.ListTooLong
            yield from page

    return write_xlsx(header, rows())
