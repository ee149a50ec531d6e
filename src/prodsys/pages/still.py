"""The files pages are dressed with: style, icons and scripts, kept by browsers under an address that changes with their content."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from prodsys import errors
from prodsys.scopes import public

FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".html": "text/html; charset=utf-8",
}
_FOR_EVER = "public, max-age=31536000, immutable"


class Still(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it leaves: its bytes, the same packed, and the fingerprint that stands in its address."""

    media_type: str
    content: bytes
    packed: bytes
    fingerprint: str


@lru_cache(64)
def still(name: str) -> Still | None:
    """A file of the folder by its name there; None for anything that is not one of them."""
    file = FOLDER / name
    if name not in _names() or file.suffix not in _TYPES:
        return None
    content = file.read_bytes()
    return Still(
        media_type=_TYPES[file.suffix],
        content=content,
        packed=gzip.compress(content, 9, mtime=0),
        fingerprint=hashlib.sha256(content).hexdigest()[:12],
    )


def address_of(name: str) -> str:
    """Where a page finds a file: `/static/prodsys.css?v=…`."""
    found = still(name)
    if found is None:
        raise LookupError(name)
    return f"/static/{name}?v={found.fingerprint}"


@get("/static/{name:path}", include_in_schema=False, **public())
async def read_still(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """One file, packed where the browser can unpack it."""
    found = still(name.lstrip("/"))
    if found is None:
        raise errors.NotFound
    headers = {
        "Cache-Control": _FOR_EVER if request.query_params.get("v") == found.fingerprint else "public, max-age=300",
        "ETag": f'"{found.fingerprint}"',
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        if found.media_type == "image/svg+xml"
        else "default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(b"", status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.packed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)


@lru_cache(1)
def _names() -> frozenset[str]:
    return frozenset(file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*") if file.is_file())


routes = [read_still]
