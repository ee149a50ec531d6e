"""The doors through which files come and go, for partners and for the house."""

from typing import Annotated, Any

from litestar import Request, Response, get, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Meta

from prodsys import errors
from prodsys.attachments import actions
from prodsys.attachments.actions import Stored
from prodsys.attachments.model import ENDINGS, MOST_BYTES
from prodsys.attachments.store import Kept
from prodsys.documents import Issue
from prodsys.kit.db import Database
from prodsys.kit.web import IfNoneMatch, Reply, answers
from prodsys.scopes import PRODSYS_MODULE, AnyToken, Caller, Scope, allows

_HEX = frozenset("0123456789abcdef")
Hash = Annotated[str, Meta(description="SHA-256 of the content, in small hexadecimal digits.")]


@put(
    "/attachments/{sha256:str}",
    operation_id="put_attachment",
    summary="Send a file an order will name",
    description="The body is the file itself, at most 20 MB: PDF, PNG, JPEG, TIFF, DWG, DXF, STEP, XLSX, DOCX or text. Safe to repeat.",
    request_max_body_size=MOST_BYTES,
    responses={201: ResponseSpec(data_container=Stored, generate_examples=False, description="New here")}
    | answers(errors.BadFile, errors.TooLarge),
    media="bytes",
    tags=["attachments"],
    **allows(Scope.PURCHASE_ORDERS_CREATE, "any", PRODSYS_MODULE),
)
async def put_attachment(
    request: Request[Any, Any, Any], sha256: FromPath[Hash], caller: NamedDependency[Caller], db: NamedDependency[Database]
) -> Response[Stored]:
    _must_be_a_hash(sha256)
    stored, is_new = await actions.take(db, caller, sha256, request.stream())
    return Reply(stored, status_code=201 if is_new else 200)


@get(
    "/attachments/{sha256:str}",
    operation_id="read_attachment",
    summary="A file",
    description="For the partner who sent it or is told of it in a despatch, and for who may read the orders of the house that name it.",
    media_type="application/octet-stream",
    tags=["attachments"],
    responses=answers(errors.InsufficientScope),
    **allows(AnyToken.ANY, "any"),
)
async def read_attachment(
    sha256: FromPath[Hash], caller: NamedDependency[Caller], db: NamedDependency[Database], if_none_match: IfNoneMatch = None
) -> Response[Any]:
    file = await db.read(actions.find, caller, sha256)
    return saved(db, file, if_none_match)


def saved(db: Database, file: Kept, if_none_match: str | None = None) -> Response[Any]:
    """A file as an answer. Whatever a browser thinks it is, it is to be saved and never shown under our name."""
    etag = f'"{file.sha256}"'
    if if_none_match is not None and etag in if_none_match:
        return Response(b"", status_code=304, headers={"ETag": etag})
    headers = {
        "ETag": etag,
        "Content-Length": str(file.size),
        "Content-Disposition": f'attachment; filename="{file.sha256[:16]}.{ENDINGS[file.media_type]}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Stream(actions.content(db, file), media_type="application/octet-stream", headers=headers)


def _must_be_a_hash(sha256: str) -> None:
    if len(sha256) != 64 or not _HEX.issuperset(sha256):
        message = "An attachment is named by its SHA-256: 64 small hexadecimal digits."
        raise errors.Invalid(issues=[Issue(code="hash_invalid", message=message, pointer="/path/sha256", blocks=True)])


routes = [put_attachment, read_attachment]
