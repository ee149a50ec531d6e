"""An app with the manners of our API: what every room's door gets without asking."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler, Scope

from prodsys import documents, errors
from prodsys.documents import Exact
from prodsys.kit.web.doorway import doorway
from prodsys.kit.web.lists_as_files import offer_files
from prodsys.kit.web.openapi import ExactSchema, StructSchema, contract_handlers
from prodsys.kit.web.problem_pages import problem_pages
from prodsys.kit.web.problems import exception_handlers
from prodsys.kit.web.replies import Reply
from prodsys.kit.web.requests import MAX_BODY, JsonRequest
from prodsys.scopes import Caller


def provide_caller(scope: Scope) -> Caller:
    """Who asks, as the guard found out; a route takes it as `caller: NamedDependency[Caller]`. Raises TokenMissing."""
    caller = scope.get("caller")
    if caller is None:
        raise errors.TokenMissing
    return cast("Caller", caller)


def web_app(
    route_handlers: Sequence[ControllerRouterHandler],
    *,
    openapi: OpenAPIConfig,
    log_access: bool = True,
    dependencies: Mapping[str, Provide] | None = None,
    plugins: Sequence[Any] = (),
    examples: Callable[[], Mapping[str, Any]] = dict,
    answers_to: Mapping[type[Exception], Any] | None = None,
    **litestar: Any,
) -> Litestar:
    """A Litestar that refuses, decodes, answers, traces and logs our way; anything Litestar takes may be added.

    `examples` gives, by operation id, a request that was really sent and its answer; the contract shows them. `answers_to` has exception
    handlers of the caller's own, in front of ours.
    Behind it a guard puts the `Caller` into `scope["caller"]`, and `limits.charge` the quota into `scope["quota"]`.
    """
    app = Litestar(
        [*route_handlers, *contract_handlers(), *problem_pages()],
        openapi_config=openapi,
        exception_handlers=cast("Any", {**exception_handlers, **(answers_to or {})}),
        request_class=JsonRequest,
        response_class=Reply,
        request_max_body_size=MAX_BODY,
        type_encoders={Exact: documents.write_exact},
        type_decoders=[(_is_exact, documents.read_exact)],
        dependencies={"caller": Provide(provide_caller, sync_to_thread=False), **(dependencies or {})},
        plugins=[ExactSchema(), StructSchema(), *plugins],
        # Litestar's own logging writes a stack for each 4xx; ours stands in `problems.failed`.
        logging_config=None,
        state=State({"examples": examples}),
        **litestar,
    )
    # Outside of everything, so that an unknown path has its trace, its headers and its line too; a middleware would not see it.
    app.asgi_handler = doorway(app.asgi_handler, log_access=log_access)
    _save_work(app)
    offer_files(app)
    return app


def _save_work(app: Litestar) -> None:
    """Spare each request what Litestar does for apps unlike ours.

    Dependencies are handed out one after the other: ours are values, and a task for each of them was a sixth of a request's cost.
    A guard sees the route itself: it changes nothing, and a copy of the route for each request cost as much as the guarding.
    """
    for route in app.routes:
        for handler, model in getattr(route, "route_handler_map", {}).values():
            model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
            if type(handler) is HTTPRouteHandler:
                handler.__class__ = _Uncopied


class _Uncopied(HTTPRouteHandler):
    __slots__ = ()

    def __copy__(self) -> "_Uncopied":
        return self


def _is_exact(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exact)
