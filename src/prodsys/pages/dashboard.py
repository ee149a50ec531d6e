"""The first page: what waits for this person, the last days in figures, and the way there for a new instance."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from prodsys.pages.visitor import Visitor, show
from prodsys.scopes import AnyToken, allows


@get("/", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def dashboard(visitor: NamedDependency[Visitor]) -> Response[Any]:
    """What needs doing, most urgent first."""
    return await show(visitor, "dashboard.html", here="dashboard")


routes = [dashboard]
