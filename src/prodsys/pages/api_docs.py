"""The API explorer: every operation of the contract, to read and to try with a token of one's own."""

from typing import Any

from litestar import Request, Response, get

from prodsys.pages import paper
from prodsys.scopes import public


@get("/api/docs", include_in_schema=False, **public())
async def explorer(request: Request[Any, Any, Any]) -> Response[Any]:
    """Swagger UI, from here like everything else."""
    return paper.answer(paper.written("api_docs.html", {}), accepts_packed="gzip" in request.headers.get("accept-encoding", ""))


routes = [explorer]
