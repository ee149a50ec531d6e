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
from litestar.typing import FieldDefinition

from prodsys import documents, errors, scopes
from prodsys.documents import Exact
from prodsys.kit.web.openapi30 import as_openapi_30
from prodsys.kit.web.problems import MEDIA_TYPE, Problem

_METHODS = {"get", "put", "post", "patch", "delete"}
_GENERIC = re.compile(r"^Page_(?:[\w.]*\.)?(\w+?)_?$")

_ALWAYS: tuple[type[errors.Refusal], ...] = (errors.InternalFault, errors.StorageUnavailable)
_BEHIND_A_TOKEN: tuple[type[errors.Refusal], ...] = (
    errors.TokenMissing,
    errors.TokenUnknown,
    errors.TokenExpired,
    errors.TokenRevoked,
    errors.InsufficientScope,
    errors.TooManyRequests,
)
_WITH_A_BODY: tuple[type[errors.Refusal], ...] = (errors.NotJson, errors.TooLarge, errors.UnsupportedMediaType, errors.Invalid)


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
    """What Litestar needs to know to write our contract. The explorer's own address, /api/docs, stands without one for now."""
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
        # Later note: an explorer needs its script vendored, those Litestar knows load theirs from elsewhere.
        openapi_router=Router("/api/docs", route_handlers=[], include_in_schema=False, opt=scopes.public()["opt"]),
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
    for path in contract.get("paths", {}).values():
        for method, operation in path.items():
            if method in _METHODS:
                _tidy(operation)
                _add_refusals(operation)
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    known = contract.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in schemas.items():
        known.setdefault(name, schema)
    contract["x-problems"] = {kind.code: {"status": kind.status, "title": kind.title()} for kind in errors.every_refusal()}
    return _with_readable_names(contract)


def _tidy(operation: dict[str, Any]) -> None:
    """Take out what Litestar says without need, and say the summary in words."""
    if not operation.get("deprecated"):
        operation.pop("deprecated", None)
    if " " not in operation.get("summary", "") and operation.get("description"):
        operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
    for parameter in operation.get("parameters", ()):
        for word in ("allowEmptyValue", "allowReserved", "deprecated"):
            if not parameter.get(word):
                parameter.pop(word, None)
        schema = parameter["schema"]
        # A parameter that is not sent is absent; nobody can send null in an address or a header.
        kinds = [kind for kind in schema.get("oneOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["oneOf"]
            parameter["schema"] = kinds[0] | schema
        parameter["schema"].pop("description", None)
        for bound in ("minimum", "maximum"):
            if bound in parameter["schema"]:
                parameter["schema"][bound] = int(parameter["schema"][bound])


def _add_refusals(operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    # Litestar's own guess of a 400 is not what we answer.
    for status in [status for status, told in responses.items() if status >= "400" and MEDIA_TYPE not in told.get("content", {})]:
        del responses[status]
    standard = list(_ALWAYS)
    if any(operation.get("security", [{}])):
        standard += _BEHIND_A_TOKEN
    if "requestBody" in operation:
        standard += _WITH_A_BODY
    elif operation.get("parameters"):
        standard.append(errors.Invalid)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        standard.append(errors.NotFound)
    for kind in standard:
        told = responses.setdefault(str(kind.status), {"description": "", "content": _PROBLEM_CONTENT})
        if f"`{kind.code}`" not in told["description"]:
            told["description"] = f"{told['description']}\n\n{_told([kind])}".strip()
        if kind is errors.TooManyRequests:
            told["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _told(refusals: list[type[errors.Refusal]]) -> str:
    return "\n\n".join(f"`{refusal.code}`: {refusal.title()}" for refusal in refusals)


def _with_readable_names(contract: dict[str, Any]) -> dict[str, Any]:
    """`Page_prodsys.documents.Article_` becomes `Page_Article`."""
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
            return {key: names.get(inner, inner) if key == "$ref" else _rename(inner, names) for key, inner in value.items()}
        case list():
            return [_rename(inner, names) for inner in value]
        case _:
            return value
