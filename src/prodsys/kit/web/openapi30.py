"""OpenAPI 3.1 said in the words of 3.0.3, for generators that know no other."""

from copy import deepcopy
from typing import Any

_SINGLE = ("items", "not", "additionalProperties")
_MANY = ("allOf", "anyOf", "oneOf")
_UNKNOWN = (
    "$schema",
    "$id",
    "$defs",
    "contentMediaType",
    "contentEncoding",
    "contentSchema",
    "prefixItems",
    "propertyNames",
    "patternProperties",
    "unevaluatedProperties",
    "dependentRequired",
    "if",
    "then",
    "else",
)


def as_openapi_30(contract: dict[str, Any]) -> dict[str, Any]:
    """The same contract as OpenAPI 3.0.3. What 3.0.3 cannot say is left out; nothing is said otherwise."""
    old = deepcopy(contract)
    old["openapi"] = "3.0.3"
    for member in ("webhooks", "jsonSchemaDialect"):
        old.pop(member, None)
    old.get("info", {}).pop("summary", None)
    old.get("info", {}).get("license", {}).pop("identifier", None)
    schemas = old.get("components", {}).get("schemas", {})
    for name, schema in schemas.items():
        schemas[name] = _schema(schema)
    _positions(old.get("paths", {}))
    return old


def _positions(value: Any) -> None:
    """Find every place a schema or a security requirement stands at, and say it in the old words."""
    if isinstance(value, list):
        for inner in value:
            _positions(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in {"examples", "example"}:
                continue  # what was really sent may hold members of these names
            if name == "schema":
                value[name] = _schema(inner)
            elif name == "security":
                # Scopes beside a bearer scheme are new in 3.1.
                value[name] = [{key: [] for key in requirement} for requirement in inner]
            else:
                _positions(inner)


def _schema(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        # In 3.0 nothing may stand beside a reference.
        beside = {name: inner for name, inner in schema.items() if name in {"description", "default", "deprecated"}}
        return {"allOf": [{"$ref": schema["$ref"]}], **beside} if beside else {"$ref": schema["$ref"]}
    said = {name: inner for name, inner in schema.items() if name not in _UNKNOWN}
    if said.get("required") == []:
        del said["required"]
    if "prefixItems" in schema:
        said.setdefault("items", {})
    if "properties" in said:
        said["properties"] = {name: _schema(inner) for name, inner in said["properties"].items()}
    for name in _SINGLE:
        if name in said:
            said[name] = _schema(said[name])
    for name in _MANY:
        if name in said:
            said[name] = [_schema(inner) for inner in said[name] if inner != {"type": "null"}]
            if len(said[name]) < len(schema[name]):
                said["nullable"] = True
    _exact_words(said)
    return _unwrapped(said)


def _exact_words(said: dict[str, Any]) -> None:
    if isinstance(said.get("type"), list):
        kinds = [kind for kind in said["type"] if kind != "null"]
        if len(kinds) < len(said["type"]):
            said["nullable"] = True
        if len(kinds) == 1:
            said["type"] = kinds[0]
        else:
            del said["type"]
            said["anyOf"] = [{"type": kind, **({"items": {}} if kind == "array" else {})} for kind in kinds]
    if "const" in said:
        said["enum"] = [said.pop("const")]
    examples = said.pop("examples", None)
    if isinstance(examples, list) and examples:
        said["example"] = examples[0]
    for bound, name in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(said.get(name), int | float) and not isinstance(said[name], bool):
            said[bound], said[name] = said[name], True


def _unwrapped(said: dict[str, Any]) -> dict[str, Any]:
    """`oneOf` with one branch left, once null is out, is that branch."""
    branches = said.get("oneOf") or said.get("anyOf")
    if not said.get("nullable") or not branches or len(branches) != 1:
        return said
    beside = {name: inner for name, inner in said.items() if name not in {"oneOf", "anyOf"}}
    only = branches[0]
    return {"allOf": [only], **beside} if "$ref" in only else {**only, **beside}
