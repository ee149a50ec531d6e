"""The form of a connection to a sync connector: our fields, and those it says it wants."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import Choice, Secret
from prodsys.connectors._erpsync import Field

PREFIX = "remote_"
"""Before a field of theirs, where it stands in a form beside ours."""

_read_map = msgspec.json.Decoder(dict[str, str]).decode


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form before the remote's own fields are known."""

    name: Annotated[str, Meta(title="Name", description="What the sync connector is called.", examples=["Our old ERP"], max_length=254)]
    url: Annotated[
        Secret,
        Meta(
            title="Connector URL", description="Sealed, because it may hold a secret.", examples=["https://erp.example/ErpConnectorWS.svc"]
        ),
    ]
    timestamps: Annotated[
        Literal["moments", "other"],
        Meta(
            title="Times of change",
            description="Moments (ISO 8601): only what has changed is asked for. Other: everything is read every time.",
        ),
    ] = "other"
    fields: Annotated[
        Secret | None,
        Meta(
            title="The remote's own fields",
            description='As JSON, by their keys: {"COMPANY": "1"}, all of them. Sealed, because passwords are among them.',
        ),
    ] = None


def with_fields(fields: Sequence[Field], lists: Mapping[str, Sequence[Choice]]) -> type[msgspec.Struct]:
    """The form with the remote's own fields beside ours; `lists` are the entries of their lists."""
    members: list[Any] = [("name", _annotation(Config, "name")), ("url", _annotation(Config, "url"))]
    optional: list[Any] = [("timestamps", _annotation(Config, "timestamps"), "other")]
    names: dict[str, str] = {}
    for at, field in enumerate(fields):
        if field.type == "Label":
            continue
        listed = lists.get(field.list, ()) if field.type == "List" else ()
        kind = _type_of(field, listed)
        names[f"field_{at}"] = f"{PREFIX}{field.key}"
        titles = {one.id: one.title for one in listed}
        said = Meta(title=field.name, description=field.about or None, extra_json_schema={"x-titles": titles} if titles else None)
        if field.access == "Mandatory" and not field.default:
            members.append((f"field_{at}", Annotated[kind, said]))
        else:
            default = _default(field)
            optional.append((f"field_{at}", Annotated[kind | None if default is None else kind, said], default))
    return msgspec.defstruct("Config", [*members, *optional], frozen=True, kw_only=True, rename=names)


def _type_of(field: Field, listed: Sequence[Choice]) -> Any:
    match field.type:
        case "Checkbox":
            return bool
        case "Password":
            return Secret
        case "Integer":
            return int
        case "Double":
            return Decimal
        case "List" if listed:
            return Literal[tuple(one.id for one in listed)]
        case _:
            return str


def gathered(given: Mapping[str, Any], kept: Any | None = None) -> dict[str, Any]:
    """A form with the remote's own fields beside ours, as the form that is kept; None empties a field."""
    own = {key.removeprefix(PREFIX): value for key, value in given.items() if key.startswith(PREFIX)}
    rest = {key: value for key, value in given.items() if not key.startswith(PREFIX)}
    if not own:
        return rest
    said = {} if kept is None else filled(kept)
    for key, value in own.items():
        if value is None:
            said.pop(key, None)
        elif not (isinstance(value, str) and value and set(value) == {"•"}):
            said[key] = _as_said(value)
    return rest | {"fields": msgspec.json.encode(said).decode()}


def spread(kept: Any) -> dict[str, Any]:
    """What is kept of the remote's own fields, as it travels."""
    return {f"{PREFIX}{key}": value for key, value in filled(kept).items()}


def filled(config: Any) -> dict[str, str]:
    """What was filled in for the remote's own fields, in either form."""
    kept = getattr(config, "fields", None)
    if isinstance(kept, Secret):
        try:
            return _read_map(kept.reveal())
        except msgspec.DecodeError:
            return {}
    named = {one.encode_name: getattr(config, one.name) for one in msgspec.structs.fields(type(config))}
    return {key.removeprefix(PREFIX): _as_said(value) for key, value in named.items() if key.startswith(PREFIX) and value is not None}


def _as_said(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    return wire.encoded(value) if isinstance(value, bool | int | Decimal | str) else str(value)


def _default(field: Field) -> Any:
    if field.type == "Password":
        return None
    try:
        value = wire.decoded(field.type, field.default) if field.default else None
    except ValueError:
        value = None
    return False if value is None and field.type == "Checkbox" else value


def _annotation(config: type[msgspec.Struct], name: str) -> Any:
    return config.__annotations__[name]
