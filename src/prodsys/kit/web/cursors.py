"""Lists by the page: where the next one begins, said so that nobody builds on its form."""

import base64
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.web.texts import is_hidden

T = TypeVar("T")

MAX_LIMIT = 500
_MAX_CURSOR = 2_000
_MAX_INT = 2**63 - 1

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many at most; 50 unless said, never more than 500.")]
After = Annotated[str | None, QueryParameter(description="The `next` of the page before; without it the list begins.")]


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Some of a list, and where it goes on."""

    items: list[T]
    next: Annotated[str | None, msgspec.Meta(description="Ask again with this as `after`; null at the end.")] = None


def encode_cursor(kind: str, *values: str | int) -> str:
    """A cursor of one kind of list, made of the values its last row is sorted by. ASCII, fit for a query as it is."""
    return base64.urlsafe_b64encode(msgspec.json.encode((kind, *values))).rstrip(b"=").decode()


def decode_cursor(text: str, kind: str, *shape: type) -> tuple[Any, ...]:
    """The values of a cursor made by `encode_cursor` for the same kind. Raises Invalid for anything else.

    `shape` names their types, `decode_cursor(after, "logs", int, str)`: a cursor of another shape is refused, since anybody can make one.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        read = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=tuple[str | int, ...])
    except (ValueError, RecursionError):
        raise _garbage() from None
    values = read[1:]
    if len(text) > _MAX_CURSOR or not read or read[0] != kind or not all(map(_is_sound, values)):
        raise _garbage()
    if shape and tuple(map(type, values)) != shape:
        raise _garbage()
    return values


def _is_sound(value: str | int) -> bool:
    return -_MAX_INT <= value <= _MAX_INT if isinstance(value, int) else not is_hidden(value)


def _garbage() -> errors.Invalid:
    message = "This is not a cursor of this list; begin again without `after`."
    return errors.Invalid(issues=[Issue(code="cursor_invalid", message=message, pointer="/query/after", blocks=True)])
