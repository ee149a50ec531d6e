"""Which state of a resource somebody has seen (RFC 9110, 8.8 and 13.1)."""

import hashlib
from typing import Annotated, TypeVar

from litestar import Response
from litestar.params import HeaderParameter

from prodsys import documents
from prodsys.kit.states import etag, listed
from prodsys.kit.web.replies import Reply

T = TypeVar("T")

IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="The ETag you read; the change is refused if it is stale.")]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match", description="The ETag you have; 304 if it is still current.")]


def etag_of(name: str, value: object) -> str:
    """The strong ETag of a resource without a version of its own, made of what is answered."""
    return etag(name, hashlib.sha256(documents.write(value)).hexdigest()[:16])


def not_modified(if_none_match: str | None, current: str) -> bool:
    """Whether the caller already has the current state, so that 304 is enough."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or current in [tag.removeprefix("W/") for tag in listed(if_none_match)]


def tagged(value: T, current: str, if_none_match: str | None = None) -> Response[T]:
    """The answer to a GET of one resource: the value with its ETag, or 304 without it."""
    if not_modified(if_none_match, current):
        return Response(None, status_code=304, headers={"ETag": current})  # type: ignore[arg-type]  # 304 has no content, whatever T is
    return Reply(value, headers={"ETag": current})
