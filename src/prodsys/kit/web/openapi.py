"""The contract as a document: OpenAPI 3.1 generated from the routes, and the same as 3.0.3 for generators that know no 3.1."""

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, get_origin

import msgspec
from litestar import Litestar, Request, Router, get
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import Components, Schema, SecurityScheme
from litestar.openapi.spec.enums import OpenAPIType
from litestar.plugins import OpenAPISchemaPlugin
from litestar.response import Response
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from prodsys import documents, errors, scopes
from prodsys.documents import Exact
from prodsys.kit.web.forms import CSV, JSON, PDF, XLSX
from prodsys.kit.web.lists_as_files import LIST_FORMS, is_list
from prodsys.kit.web.openapi30 import as_openapi_30
from prodsys.kit.web.problems import MEDIA_TYPE, Problem, problem_of

_METHODS = {"get", "put", "post", "patch", "delete"}
_GENERIC = re.compile(r"^Page_(?:[\w.]*\.)?(\w+?)_?$")
_FIRST_WORDS = re.compile(r"(?:; |, |: )")
_FILES = (CSV, XLSX)

_BEHIND_A_TOKEN: tuple[type[errors.Refusal], ...] = (
    errors.TokenMissing,
    errors.TokenUnknown,
    errors.TokenExpired,
    errors.TokenRevoked,
    errors.AddressNotAllowed,
    errors.TooManyRequests,
)
_WITH_A_DOCUMENT: tuple[type[errors.Refusal], ...] = (errors.NotJson, errors.TooLarge, errors.UnsupportedMediaType, errors.Invalid)
_WITHOUT_A_TOKEN = {"public", "signed"}
_WITH_A_FILE: tuple[type[errors.Refusal], ...] = (errors.BadFile, errors.TooLarge, errors.UnsupportedMediaType)

_HEADERS = {
    "Content-Disposition": "What to call the file; not with JSON.",
    "ETag": "The state answered, for If-Match and If-None-Match.",
    "Location": "The address of what was made.",
    "RateLimit": "What is left to this token (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit-Policy": "How many requests a token may make in how many seconds.",
    "Retry-After": "Seconds to wait.",
    "Token-Expires": "When the token ends, RFC 3339.",
    "WWW-Authenticate": "The challenge of RFC 6750.",
}


class ExactSchema(OpenAPISchemaPlugin):
    """Our decimals as what they are on the wire: text of a certain form."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """True for `documents.Exact` and its kinds."""
        return not field_definition.is_union and field_definition.is_subclass_of(Exact)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """The text's form and an example."""
        kind: type[Exact] = field_definition.annotation
        example = re.findall(r'"([^"]+)"', kind.rule)[:1] or ["1"]
        said = getattr(field_definition.kwarg_definition, "description", None) or f"{kind.rule[0].upper()}{kind.rule[1:]}."
        return Schema(type=OpenAPIType.STRING, pattern=kind.pattern, examples=example, description=said)


class StructSchema(StructSchemaPlugin):
    """Our documents as they are checked: with their docstring, and other members forbidden; Litestar leaves both out."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        """The document's component."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        kind = get_origin(field_definition.annotation) or field_definition.annotation
        if kind.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        schema.description = schema.description or cleandoc(kind.__doc__ or "").partition("\n\n")[0] or None
        return schema


def openapi_config(title: str, version: str, description: str = "") -> OpenAPIConfig:
    """What Litestar needs to know to write our contract."""
    scheme = SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="pst_…",
        description="A token of the company you talk to; with each operation stands the scope it must carry.",
    )
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description or None,
        use_handler_docstrings=True,
        components=Components(security_schemes={"token": scheme}),
        # Not /api/docs: there stands our own explorer, because those Litestar knows load their scripts from elsewhere.
        openapi_router=Router("/api/contract", route_handlers=[], include_in_schema=False, opt=scopes.public()["opt"]),
    )


def answers(*refusals: type[errors.Refusal]) -> dict[int, ResponseSpec]:
    """What an operation may refuse beside the standard ones: `@post(…, responses=answers(errors.OrderConflict, errors.OrderRefused))`."""
    by_status: dict[int, list[type[errors.Refusal]]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    return {
        status: ResponseSpec(data_container=Problem, generate_examples=False, description=_told(told), media_type=MEDIA_TYPE)
        for status, told in by_status.items()
    }


def write_openapi(app: Litestar, version: str = "3.1") -> bytes:
    """The contract of an app as JSON, the same bytes each time; `version` is 3.1 or 3.0."""
    contract = _contract(app)
    return msgspec.json.encode(as_openapi_30(contract) if version == "3.0" else contract, order="sorted")


def contract_handlers() -> list[HTTPRouteHandler]:
    """The routes that serve the contract; written at the first request and kept."""
    written: dict[str, bytes] = {}

    def serve(app: Litestar, version: str) -> Response[bytes]:
        if version not in written:
            written[version] = write_openapi(app, version)
        return Response(written[version], media_type="application/json", headers={"Cache-Control": "public, max-age=300"})

    @get("/api/openapi.json", include_in_schema=False, sync_to_thread=False, **scopes.public())
    def read_contract(request: Request[Any, Any, Any]) -> Response[bytes]:
        return serve(request.app, "3.1")

    @get("/api/openapi-3.0.json", include_in_schema=False, sync_to_thread=False, **scopes.public())
    def read_contract_30(request: Request[Any, Any, Any]) -> Response[bytes]:
        return serve(request.app, "3.0")

    return [read_contract, read_contract_30]


def _contract(app: Litestar) -> dict[str, Any]:
    # Through JSON and back: what stands as a default (our decimals among them) becomes plain.
    contract: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema(), enc_hook=documents.write_exact))
    routes = {
        route.operation_id: route for at in app.routes if isinstance(at, HTTPRoute) for route in at.route_handlers if route.operation_id
    }
    shown = app.state.get("examples", dict)()
    for path, operations in contract.get("paths", {}).items():
        for method, operation in operations.items():
            if method in _METHODS and (route := routes.get(operation["operationId"])) is not None:
                _tidy(operation, path)
                _add_body(operation, route)
                example = shown.get(operation["operationId"])
                _add_answers(operation, route, example, has_state=path.endswith("}") or (method != "get" and "{" in path))
                _add_refusals(operation, route)
                _show(operation, example)
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    components = contract.setdefault("components", {})
    known = components.setdefault("schemas", {})
    for name, schema in schemas.items():
        known.setdefault(name, schema)
    components["headers"] = {name: {"description": told, "schema": {"type": "string"}} for name, told in _HEADERS.items()}
    every: list[type[errors.Refusal]] = [errors.Refusal, *errors.every_refusal()]
    components["examples"] = {kind.code: _shown_problem(kind) for kind in every}
    contract["x-problems"] = {kind.code: {"status": kind.status, "title": kind.title()} for kind in every}
    _share_problems(contract)
    return _with_readable_names(contract)


def _tidy(operation: dict[str, Any], path: str) -> None:
    """Take out what Litestar says without need, and say the summary in words."""
    if not operation.get("deprecated"):
        operation.pop("deprecated", None)
    if " " not in operation.get("summary", "") and operation.get("description"):
        operation["summary"] = _FIRST_WORDS.split(operation["description"].partition("\n")[0].rstrip("."))[0]
    operation.setdefault("tags", [path.removeprefix("/api/v1").split("/")[1].replace("-", " ")])
    for parameter in operation.get("parameters", ()):
        for word in ("allowEmptyValue", "allowReserved", "deprecated"):
            if not parameter.get(word):
                parameter.pop(word, None)
        schema = parameter["schema"]
        # A parameter that is not sent is absent; nobody can send null in an address or a header.
        kinds = [kind for kind in schema.get("oneOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["oneOf"]
            parameter["schema"] = schema = kinds[0] | schema
        if isinstance(schema.get("type"), list):
            schema["type"] = next(kind for kind in schema["type"] if kind != "null")
        if "enum" in schema:
            schema["enum"] = [word for word in schema["enum"] if word is not None]
        schema.pop("description", None)
        for bound in ("minimum", "maximum"):
            if bound in schema:
                schema[bound] = int(schema[bound])


def _add_body(operation: dict[str, Any], route: HTTPRouteHandler) -> None:
    """A route that reads a sheet by itself says so by `media="file"`, one that takes any bytes by `media="bytes"`.

    A signed one reads a message, whose bytes are what is signed.
    """
    if route.opt.get("door") == "signed":
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    if route.opt.get("media") == "file":
        schema = {"type": "string", "format": "binary"}
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": dict(schema)} for kind in _FILES}}
    if route.opt.get("media") == "bytes":
        schema = {"type": "string", "format": "binary"}
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": schema}}}


def _add_answers(operation: dict[str, Any], route: HTTPRouteHandler, example: dict[str, Any] | None, *, has_state: bool) -> None:
    """What every good answer carries beside its document; where it was really asked, its own headers are those that came."""
    takes = {parameter["name"] for parameter in operation.get("parameters", ())}
    answered: dict[str, Any] = operation["responses"]
    for status, told in answered.items():
        if status >= "300":
            continue
        names = set() if route.opt.get("door") in _WITHOUT_A_TOKEN else {"Token-Expires", "RateLimit", "RateLimit-Policy"}
        if example is not None and str(example["answer"]["status"]) == status:
            came = {name.lower() for name in example["answer"].get("headers", {})}
            names |= {name for name in ("ETag", "Location") if name.lower() in came}
        elif (has_state or takes & {"If-Match", "If-None-Match"}) and status == "200":
            names.add("ETag")
        told["headers"] = {**told.get("headers", {}), **{name: {"$ref": f"#/components/headers/{name}"} for name in sorted(names)}}
        if status == "200":
            _add_forms(told, (*(LIST_FORMS if is_list(route) else ()), *([PDF] if route.opt.get("paper") else [])))
        if not told["headers"]:
            del told["headers"]
    if "If-None-Match" in takes:
        answered["304"] = {"description": "It is as you have it.", "headers": {"ETag": {"$ref": "#/components/headers/ETag"}}}


def _add_forms(told: dict[str, Any], forms: tuple[str, ...]) -> None:
    """The files an answer can be taken as by `Accept`: a list whole, with its filter, from `after` on if that is said."""
    if not forms:
        return
    binary = {"type": "string", "format": "binary"}
    told["content"] |= {kind: {"schema": {"type": "string"} if kind == CSV else dict(binary)} for kind in forms}
    told["headers"]["Content-Disposition"] = {"$ref": "#/components/headers/Content-Disposition"}


def _add_refusals(operation: dict[str, Any], route: HTTPRouteHandler) -> None:
    responses: dict[str, Any] = operation["responses"]
    declared = {str(status) for status in route.responses or {}}
    # Litestar's own guess of a 400 is not what we answer.
    for status in [status for status, told in responses.items() if status >= "400" and status not in declared]:
        del responses[status]
    for kind in _standing(operation, route):
        told = responses.setdefault(str(kind.status), {"description": "", "content": {MEDIA_TYPE: {"schema": _PROBLEM}}})
        if MEDIA_TYPE in told["content"] and f"`{kind.code}`" not in told["description"]:
            told["description"] = f"{told['description']}\n\n{_told([kind])}".strip()
    for status, told in responses.items():
        if MEDIA_TYPE not in told.get("content", {}):
            continue
        codes = re.findall(r"^`(\w+)`", told["description"], re.MULTILINE)
        told["content"][MEDIA_TYPE] = {
            "schema": _PROBLEM,
            "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
        }
        names = [name for name, statuses in _REFUSED_WITH.items() if status in statuses]
        told.pop("headers", None)
        if names:
            told["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _standing(operation: dict[str, Any], route: HTTPRouteHandler) -> list[type[errors.Refusal]]:
    """The refusals that follow from how a route is declared: its door, scope, extension, body and parameters."""
    asked, parameters = route.opt, operation.get("parameters", ())
    takes = {parameter["name"] for parameter in parameters}
    door = asked.get("door", "public")
    standing: list[type[errors.Refusal]] = [errors.InternalFault]
    if door not in _WITHOUT_A_TOKEN:
        standing += _BEHIND_A_TOKEN
        if asked.get("scope") is not scopes.AnyToken.ANY:
            standing.append(errors.InsufficientScope)
    # A partner's token opens no door of the house, and the other way round.
    if door in {"partner", "house"} or any(parameter["in"] == "path" for parameter in parameters):
        standing.append(errors.NotFound)
    if is_list(route):
        standing.append(errors.ListTooLong)
    if asked.get("module") or door in {"partner", "any"}:
        standing.append(errors.ModuleOff)
    if "requestBody" in operation and door != "signed":
        standing += _WITH_A_FILE if asked.get("media") in ("file", "bytes") else _WITH_A_DOCUMENT
    if "Idempotency-Key" in takes:
        standing += [errors.Invalid, errors.IdempotencyKeyReused]
    if any(parameter["in"] == "query" for parameter in parameters):
        standing.append(errors.Invalid)
    if "If-Match" in takes:
        standing += [errors.IfMatchMissing, errors.Stale]
    if door != "public" or "db" in route.parsed_fn_signature.parameters:
        standing.append(errors.StorageUnavailable)
    return standing


_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_REFUSED_WITH = {"WWW-Authenticate": {"401", "403"}, "Retry-After": {"429", "502", "503"}, "ETag": {"412"}}


def _shown_problem(kind: type[errors.Refusal]) -> dict[str, Any]:
    problem = msgspec.to_builtins(problem_of(kind()))
    return {"summary": kind.title(), "value": problem | {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}}


def _show(operation: dict[str, Any], example: dict[str, Any] | None) -> None:
    """Put a request that was really sent, and its answer, beside what they are examples of."""
    if example is None:
        return
    asked, told = example["request"], example["answer"]
    sent = {**asked.get("path", {}), **asked.get("query", {}), **asked.get("headers", {})}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in sent:
            parameter["example"] = sent[parameter["name"]]
    if "body" in asked:
        content = operation["requestBody"]["content"]
        content[next(iter(content))]["examples"] = {"sent": {"value": asked["body"]}}
    answer = operation["responses"].get(str(told["status"]), {})
    for name, kind in answer.get("content", {}).items():
        if name == JSON or len(answer["content"]) == 1:
            kind["examples"] = {"answered": {"value": told["body"]}}


def _told(refusals: list[type[errors.Refusal]]) -> str:
    return "\n\n".join(f"`{refusal.code}`: {refusal.title()}" for refusal in refusals)


def _share_problems(contract: dict[str, Any]) -> None:
    """A refusal that stands alone with its status is written once and referred to."""
    shared = contract["components"].setdefault("responses", {})
    for operations in contract["paths"].values():
        for operation in operations.values():
            for status, told in operation["responses"].items():
                codes = list(told.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}))
                name = "unauthorized" if len(codes) > 1 and status == "401" else codes[0] if len(codes) == 1 else ""
                if name and shared.setdefault(name, told) == told:
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}


def _with_readable_names(contract: dict[str, Any]) -> dict[str, Any]:
    """`Page_prodsys.documents.Article_` becomes `Page_Article`. Two documents of one name would show their rooms; no two have one."""
    schemas: dict[str, Any] = contract["components"]["schemas"]
    names = {name: f"Page_{read[1]}" for name in schemas if (read := _GENERIC.match(name))}
    if not names:
        return contract
    for old, new in names.items():
        schemas[new] = schemas.pop(old) | {"title": new}
    at = "#/components/schemas/"
    renamed: dict[str, Any] = _rename(contract, {f"{at}{old}": f"{at}{new}" for old, new in names.items()})
    return renamed


def _rename(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {
                key: names.get(inner, inner) if key == "$ref" and isinstance(inner, str) else _rename(inner, names)
                for key, inner in value.items()
            }
        case list():
            return [_rename(inner, names) for inner in value]
        case _:
            return value
