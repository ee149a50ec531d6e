"""Every list as a table to take away: the same list, whole, as CSV or XLSX."""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, get_origin

import anyio.from_thread
import anyio.to_thread
import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response, Stream
from litestar.routes import HTTPRoute
from msgspec import inspect

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.sheets import Cell, write_csv, write_xlsx
from prodsys.kit.web.cursors import MAX_LIMIT, Page
from prodsys.kit.web.forms import CSV, XLSX, asked_form

LIST_FORMS = (CSV, XLSX)
MOST_ROWS = 100_000

Rows = list[Sequence[Cell]]
Answering = Callable[..., Awaitable[Any]]


class Column(msgspec.Struct, frozen=True):
    """One column: its heading, `seller.name` for a member of a member, and the way to its cell."""

    heading: str
    path: tuple[str, ...]


class _Piecewise(Stream):
    """A stream that keeps the media type it was given; Litestar's own takes its route's."""

    def to_asgi_response(self, *given: Any, **more: Any) -> Any:
        """The stream as Litestar sends it."""
        return super().to_asgi_response(*given, **more | {"media_type": self.media_type})


def offer_files(app: Litestar) -> None:
    """Let every list of an app be taken as a file; a list is a GET that answers a Page."""
    for route in app.routes:
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items():
            if method == "GET" and is_list(handler) and isinstance(route, HTTPRoute):
                handler(_offering(handler.fn, str(handler.operation_id), columns_of(handler.parsed_fn_signature.return_type.raw)))


def is_list(route: HTTPRouteHandler) -> bool:
    """Whether a route answers a list by the page."""
    return "GET" in route.http_methods and get_origin(route.parsed_fn_signature.return_type.raw) is Page


def columns_of(page: Any) -> list[Column]:
    """The columns of a `Page[X]`: the members of X, those of a member that is itself a document beside each other."""
    shape = inspect.type_info(page)
    items = next(field.type for field in shape.fields if field.name == "items")  # type: ignore[attr-defined]
    return _columns(items.item_type, (), (), frozenset())


def _columns(shape: Any, heading: tuple[str, ...], path: tuple[str, ...], seen: frozenset[type]) -> list[Column]:
    shape = shape.type if isinstance(shape, inspect.Metadata) else shape
    kinds = shape.types if isinstance(shape, inspect.UnionType) else [shape]
    documents = [kind for kind in kinds if isinstance(kind, inspect.StructType) and kind.cls not in seen]
    if not documents:
        return [Column(".".join(heading), path)]
    found: dict[str, Column] = {}
    for document in documents:
        for field in document.fields:
            inside = _columns(field.type, (*heading, field.encode_name), (*path, field.name), seen | {document.cls})
            found |= {column.heading: column for column in inside if column.heading not in found}
    return list(found.values())


def cells_of(item: Any, columns: Sequence[Column]) -> list[Cell]:
    """One item of a list as a row."""
    return [_cell(_at(item, column.path)) for column in columns]


def _at(item: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        item = getattr(item, name, None)
    return item


def _cell(value: Any) -> Cell:
    match value:
        case enum.Enum():
            return str(value.value)
        case None | str() | bool() | int() | Decimal() | datetime() | date():
            return value
        case list() | tuple() | set() | frozenset():
            return "; ".join(_words(one) for one in value)
        case _:
            return _words(value)


def _words(value: Any) -> str:
    """A value that shares its cell with others: an issue by its message, another document by what it says."""
    match value:
        case msgspec.Struct() if (message := getattr(value, "message", "")) and isinstance(message, str):
            return message
        case msgspec.Struct():
            return ", ".join(filter(None, (_words(getattr(value, name)) for name in value.__struct_fields__)))
        case dict():
            return ", ".join(f"{key}: {_words(inner)}" for key, inner in value.items())
        case list() | tuple() | set() | frozenset():
            return ", ".join(map(_words, value))
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime() | date():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return str(value.value if isinstance(value, enum.Enum) else value)


def _offering(answer: Answering, name: str, columns: list[Column]) -> Answering:
    async def offering(**asked: Any) -> Any:
        form = asked_form(*LIST_FORMS)
        if form not in LIST_FORMS:
            return await answer(**asked)
        ending = "csv" if form == CSV else "xlsx"
        stem = name.removeprefix("list_").replace("_", "-")
        headers = {"Content-Disposition": f'attachment; filename="{stem}-{now():%Y-%m-%d}.{ending}"', "Vary": "Accept"}
        pages = _pages(answer, asked, columns)
        # What is refused is refused before anything is sent.
        first = await anext(pages)
        if form == CSV:
            return _Piecewise(_as_csv(columns, first, pages), media_type=CSV, headers=headers)
        content = await anyio.to_thread.run_sync(_as_xlsx, columns, first, pages)
        return Response(content, media_type=XLSX, headers=headers)

    # The contract reads an operation's words from its function.
    offering.__doc__, offering.__name__ = answer.__doc__, getattr(answer, "__name__", name)
    return offering


async def _pages(answer: Answering, asked: dict[str, Any], columns: list[Column]) -> AsyncIterator[Rows]:
    """The pages of a list to its end, at least one. Feeds have no end; theirs is the page that leads nowhere new."""
    whole = dict(asked)
    if "limit" in asked:
        whole["limit"] = MAX_LIMIT
    while True:
        page = await answer(**whole)
        yield [cells_of(item, columns) for item in page.items]
        if page.next is None or "after" not in asked or (not page.items and page.next == whole["after"]):
            return
        whole["after"] = page.next


async def _as_csv(columns: list[Column], first: Rows, others: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    for piece in write_csv([column.heading for column in columns], first):
        yield piece
    async for rows in others:
        for piece in write_csv(None, rows):
            yield piece


def _as_xlsx(columns: list[Column], first: Rows, others: AsyncIterator[Rows]) -> bytes:
    """Runs in a thread and asks the loop for each page, so that neither waits for the other's work."""

    def rows() -> Iterator[Sequence[Cell]]:
        count = 0
        page: Rows | None = first
        while page is not None:
            count += len(page)
            if count > MOST_ROWS:
                raise errors.ListTooLong
            yield from page
            page = anyio.from_thread.run(partial(anext, others, None))

    return write_xlsx([column.heading for column in columns], rows())
