"""All pages together, behind their one door."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, cast

from litestar import Request, Router
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, Guard

from prodsys import errors
from prodsys import pages as room
from prodsys.pages import door, still
from prodsys.pages.fields import Form
from prodsys.pages.visitor import Visitor

MAX_FORM = 32 * 1024 * 1024
"""Files are imported by forms: a list of orders, articles or prices."""


def pages(guard: Guard) -> list[ControllerRouterHandler]:
    """The routers of all pages and of the files they are dressed with; the guard puts a `Visitor` into `scope["visitor"]`."""
    behind = Router(
        "/",
        route_handlers=list(_routes()),
        guards=[guard],
        dependencies={
            "visitor": Provide(_visitor, sync_to_thread=False),
            "form": Provide(_form, sync_to_thread=False),
        },
        exception_handlers=cast("Any", door.exception_handlers),
        include_in_schema=False,
        request_class=Request,
        request_max_body_size=MAX_FORM,
    )
    return [behind, *still.routes]


def _routes() -> Iterator[ControllerRouterHandler]:
    """The routes of every file in this room that has some: a new page needs no entry in a list."""
    for file in pkgutil.iter_modules(room.__path__):
        if file.name not in {"site", "still"}:
            yield from getattr(import_module(f"{room.__name__}.{file.name}"), "routes", ())


def _visitor(request: Request[Any, Any, Any]) -> Visitor:
    visitor = cast("dict[str, Any]", request.scope).get("visitor")
    if not isinstance(visitor, Visitor):
        raise errors.SignInNeeded
    return visitor


def _form(request: Request[Any, Any, Any]) -> Form:
    form = cast("dict[str, Any]", request.scope).get("form")
    if not isinstance(form, Form):
        raise errors.Invalid("This page takes a form.")
    return form
