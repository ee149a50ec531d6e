"""The words of SuperOffice's ERP Sync connector interface (ErpConnectorWS, SOAP 1.1), as both of its ends read and write them.

No WSDL of the real service is public, so of the two namespaces its members may stand in neither is sure: names are read whatever
their namespace, and an answer is written in the namespaces of its question.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec
from lxml import etree

SERVICE = "http://www.superoffice.net/EIS/Connector/1.0"
"""The namespace of the operations, and most likely of their members too."""
CONTRACT = "http://schemas.datacontract.org/2004/07/SuperOffice.ErpSync"
"""The namespace members have where the service's author gave them none."""
ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MAX_BODY = 4 * 1024 * 1024
"""Bytes of an envelope (rulings.md, 32)."""
NO_GUID = "00000000-0000-0000-0000-000000000000"
"""Stands for a connection that is only being set up."""

UNKNOWN_CONNECTION = "UNKNOWN_CONNECTION_ID"
UNKNOWN_FIELD = "UNKOWN_FIELDKEY"
UNKNOWN_LIST_ITEM = "UNKOWN_LISTITEM_ID"

FieldType = Literal["Checkbox", "Text", "Password", "Integer", "Double", "List", "Datetime", "Label"]
Access = Literal["Normal", "Mandatory", "ReadOnly"]
State = Literal["Ok", "OkWithInfo", "Warning", "Error"]
Value = str | bool | int | Decimal | dt.datetime | None

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_MOST_TAGS = 200_000
_MOST_DEPTH = 32
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENCODED = re.compile(r"\[(?P<mark>[A-Z]{1,2}):(?P<said>.*)\]", re.DOTALL)
_MOMENTS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y")


class Unreadable(ValueError):
    """This is not an envelope of SOAP 1.1 as may be read here."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.__doc__)


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """ErpActorWS: a customer, supplier or person; `changed` is any text that can be compared among actors."""

    type: str
    key: str = ""
    changed: str = ""
    values: Mapping[str, str] = {}
    parent_type: str = ""
    parent_key: str = ""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """FieldMetadataInfoWS: a field of a form or of an actor. `longest` 0: no limit."""

    key: str
    name: str
    type: FieldType = "Text"
    about: str = ""
    list: str = ""
    default: str = ""
    longest: int = 0
    access: Access = "Normal"
    rank: int = 0


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """SearchRestrictionInfoWS: what a field has to be like."""

    key: str
    operator: str
    values: tuple[str, ...]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an envelope says: the name of its one element, that element's namespace and its members', and the members themselves.

    A member is None, a text, a dict of members, or a list of texts or of dicts; `KeyValue` pairs are a dict of texts.
    """

    name: str
    namespace: str
    members_in: str
    members: Mapping[str, Any]


def read(body: bytes) -> Said:
    """Read an envelope. Raises Unreadable for anything else, a DTD or a huge tree among it."""
    root = _parsed(body)
    if _local(root) != "Envelope" or etree.QName(root).namespace != SOAP:
        raise Unreadable
    inner = next((one for one in _children(root) if _local(one) == "Body"), None)
    found = _children(inner) if inner is not None else []
    if len(found) != 1:
        raise Unreadable
    wrapper = found[0]
    inside = _children(wrapper)
    # `request` and `…Result` stand in the operation's namespace, what they hold in that of the members.
    held = _children(inside[0]) if inside else []
    members = _read(wrapper)
    return Said(
        name=_local(wrapper),
        namespace=etree.QName(wrapper).namespace or "",
        members_in=(etree.QName(held[0]).namespace or "") if held else "",
        members=members if isinstance(members, dict) else {},
    )


def written(name: str, inside: str, members: Mapping[str, Any], *, namespace: str = SERVICE, members_in: str = SERVICE) -> bytes:
    """An envelope with one element that holds one other (`request`, `…Result`; empty: none), and that these members in their order."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP, "a": ARRAYS, "i": "http://www.w3.org/2001/XMLSchema-instance"})
    named: Any = {None: namespace} if namespace else {}
    wrapper = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP}}}Body"), _named(namespace, name), nsmap=named)
    if inside:
        holder = etree.SubElement(wrapper, _named(namespace, inside))
        for member, value in members.items():
            _put(holder, members_in, member, value)
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


def fault(code: Literal["Client", "Server"], sentence: str) -> bytes:
    """An envelope that says nothing was done, and why."""
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
    told = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP}}}Body"), f"{{{SOAP}}}Fault")
    etree.SubElement(told, "faultcode").text = f"s:{code}"
    etree.SubElement(told, "faultstring").text = _clean(sentence)
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


def request(*, guid: str | None = None, **members: Any) -> dict[str, Any]:
    """The members of a request in the order they have to come in: the base's first, then the others by their alphabet."""
    own = {name: members[name] for name in sorted(members)}
    return own if guid is None else {"ConnectionGuid": guid} | own


def result(  # the order is that of the contract: base members first, each level by its alphabet
    state: State = "Ok", *, code: str = "", tech: str = "", user: str = "", **members: Any
) -> dict[str, Any]:
    """The members of a result in the order they have to come in."""
    base = {"ErrorCode": code, "IsOk": state != "Error", "State": state, "TechExplanation": tech, "UserExplanation": user}
    return base | {name: members[name] for name in sorted(members)}


def encoded(value: Value) -> str:
    """A value as it travels, the same in every country: `[I:1]`, `[F:1.5]`, `[DT:12/31/2013 23:59:59.0000000]`; texts as they are."""
    match value:
        case None:
            return ""
        case bool():
            return f"[I:{int(value)}]"
        case int():
            return f"[I:{value}]"
        case Decimal():
            return f"[F:{value:f}]"
        case dt.datetime():
            return f"[DT:{value.astimezone(dt.UTC):%m/%d/%Y %H:%M:%S.%f}0]"
        case _:
            return value


def decoded(kind: FieldType, said: str) -> Value:
    """A value that came, by its field's type; bare values are understood too. None for nothing. Raises ValueError."""
    found = _ENCODED.fullmatch(said.strip())
    mark, bare = (found["mark"], found["said"]) if found else ("", said.strip())
    if kind in ("Text", "Password", "Label", "List"):
        # A text may look like anything; only a list's key may have been wrapped up as a number.
        return bare if kind == "List" and mark == "I" else said
    if not bare:
        return None
    match kind:
        case "Checkbox":
            if bare.casefold() in ("1", "true", "0", "false"):
                return bare.casefold() in ("1", "true")
        case "Integer":
            if re.fullmatch(r"[+-]?\d{1,18}", bare, re.ASCII):
                return int(bare)
        case "Double":
            number = _number(bare)
            if number is not None:
                return number
        case _:
            return _moment(bare)
    raise ValueError(f"{said[:60]} is no value of a field of the type {kind}.")


def texts(member: Any) -> tuple[str, ...]:
    """A member that is a list of texts; an empty one has no children to tell that by."""
    return tuple(one or "" for one in member if one is None or isinstance(one, str)) if isinstance(member, list) else ()


def pairs(member: Any) -> dict[str, str]:
    """A member that is a dictionary of texts."""
    if not isinstance(member, dict):
        return {}
    return {name: value or "" for name, value in member.items() if value is None or isinstance(value, str)}


def word(members: Mapping[str, Any], name: str) -> str:
    """A member that is a text; empty where there is none."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def structs(member: Any) -> list[Mapping[str, Any]]:
    """A member that is a list of structures."""
    return [one for one in member if isinstance(one, dict)] if isinstance(member, list) else []


def actor(members: Any) -> Actor | None:
    """An actor; None where none was sent."""
    if not isinstance(members, dict):
        return None
    return Actor(
        type=word(members, "ActorType"),
        key=word(members, "ErpKey"),
        changed=word(members, "LastModified"),
        values=pairs(members.get("FieldValues")),
        parent_type=word(members, "ParentActorType"),
        parent_key=word(members, "ParentErpKey"),
    )


def actors(member: Any) -> list[Actor]:
    """A list of actors."""
    return [found for one in structs(member) if (found := actor(one)) is not None]


def fields(member: Any) -> list[Field]:
    """A list of fields, in the order of their rank. Raises ValueError (msgspec.ValidationError is one) for types nobody knows."""
    listed = [
        msgspec.convert(
            {
                "key": word(one, "FieldKey"),
                "name": word(one, "DisplayName") or word(one, "FieldKey"),
                "type": word(one, "FieldType") or "Text",
                "about": word(one, "DisplayDescription"),
                "list": word(one, "ListName"),
                "default": word(one, "DefaultValue"),
                "longest": _whole(word(one, "MaxLength")),
                "access": word(one, "Access") or "Normal",
                "rank": _whole(word(one, "Rank")),
            },
            Field,
        )
        for one in structs(member)
    ]
    return sorted(listed, key=lambda one: one.rank)


def restrictions(member: Any) -> list[Restriction]:
    """A list of restrictions."""
    return [
        Restriction(key=word(one, "FieldKey"), operator=word(one, "Operator").strip().casefold(), values=texts(one.get("Values")))
        for one in structs(member)
    ]


def _parsed(body: bytes) -> Any:
    if len(body) > MAX_BODY:
        raise Unreadable("The envelope is larger than 4 MiB.")
    # Each tag has one of these in every encoding that may be read here, so this bounds the tree before there is one.
    if body.count(b"<") > _MOST_TAGS:
        raise Unreadable("The envelope has too many elements.")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        raise Unreadable("This is not well-formed XML.") from None
    document = root.getroottree().docinfo
    if document.internalDTD is not None or document.externalDTD is not None or document.doctype:
        raise Unreadable("A document type is refused.")
    if (document.encoding or "utf-8").lower() not in ("utf-8", "utf-16", "utf-16le", "utf-16be", "us-ascii"):
        raise Unreadable("An envelope is written in UTF-8 or UTF-16.")
    return root


def _children(element: Any) -> list[Any]:
    # Comments and processing instructions have no name.
    return [one for one in element if isinstance(one.tag, str)]


def _local(element: Any) -> str:
    return etree.QName(element).localname


def _read(element: Any, depth: int = 0) -> Any:
    if depth > _MOST_DEPTH:
        raise Unreadable("The envelope is nested too deep.")
    children = _children(element)
    if not children:
        if element.get(_NIL, "").strip() in ("true", "1"):
            return None
        return "".join(element.itertext())
    names = {_local(one) for one in children}
    if names == {"KeyValueOfstringstring"}:
        return dict(_pair(one) for one in children)
    if len(names) == 1 and (next(iter(names)) == "string" or next(iter(names)).endswith("WS")):
        return [_read(one, depth + 1) for one in children]
    return {_local(one): _read(one, depth + 1) for one in children}


def _pair(element: Any) -> tuple[str, Any]:
    inside = {_local(one): one for one in _children(element)}
    key = "".join(inside["Key"].itertext()) if "Key" in inside else ""
    return key, _read(inside["Value"], _MOST_DEPTH) if "Value" in inside else None


def _put(parent: Any, namespace: str, name: str, value: Any) -> None:
    element = etree.SubElement(parent, _named(namespace, name))
    match value:
        case None:
            element.set(_NIL, "true")
        case bool():
            element.text = "true" if value else "false"
        case int():
            element.text = str(value)
        case str():
            element.text = _clean(value)
        case Actor() | Field() | Restriction():
            _put_all(element, namespace, _members(value))
        case Mapping():
            for key, said in value.items():
                pair = etree.SubElement(element, _named(ARRAYS, "KeyValueOfstringstring"))
                _put(pair, ARRAYS, "Key", key)
                _put(pair, ARRAYS, "Value", said)
        case _:
            _put_list(element, namespace, value)


def _put_all(parent: Any, namespace: str, members: Mapping[str, Any]) -> None:
    for name, value in members.items():
        _put(parent, namespace, name, value)


def _put_list(parent: Any, namespace: str, values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, str):
            _put(parent, ARRAYS, "string", value)
        else:
            _put(parent, namespace, _TYPES[type(value)], value)


_TYPES: Mapping[type, str] = {Actor: "ErpActorWS", Field: "FieldMetadataInfoWS", Restriction: "SearchRestrictionInfoWS"}


def _members(value: Actor | Field | Restriction) -> dict[str, Any]:
    """The members of a structure by their alphabet, as the reader at the other end wants them."""
    match value:
        case Actor():
            return {
                "ActorType": value.type,
                "ErpKey": value.key,
                "FieldValues": value.values,
                "LastModified": value.changed,
                "ParentActorType": value.parent_type,
                "ParentErpKey": value.parent_key,
            }
        case Field():
            return {
                "Access": value.access,
                "DefaultValue": value.default,
                "DisplayDescription": value.about,
                "DisplayName": value.name,
                "FieldKey": value.key,
                "FieldType": value.type,
                "ListName": value.list,
                "MaxLength": value.longest,
                "Rank": value.rank,
            }
        case Restriction():
            return {"FieldKey": value.key, "Operator": value.operator, "Values": list(value.values)}


def _named(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}" if namespace else name


def _clean(said: str) -> str:
    return _NO_XML.sub(" ", said)


def _whole(said: str) -> int:
    return int(said) if re.fullmatch(r"-?\d{1,9}", said.strip(), re.ASCII) else 0


def _number(said: str) -> Decimal | None:
    try:
        number = Decimal(said)
    except InvalidOperation:
        return None
    return number if re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,12})?([eE][+-]?\d{1,2})?", said, re.ASCII) and number.is_finite() else None


def _moment(said: str) -> dt.datetime:
    # Their fractions have seven digits, one more than can be told here.
    whole, _, fraction = said.partition(".")
    for form in _MOMENTS:
        try:
            read_as = dt.datetime.strptime(f"{whole} +0000", f"{form} %z")
        except ValueError:
            continue
        micros = int(f"{fraction:0<6}"[:6]) if fraction.isdecimal() else 0
        return read_as.replace(microsecond=micros)
    try:
        found = dt.datetime.fromisoformat(said)
    except ValueError:
        raise ValueError(f"{said[:60]} is no moment.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
