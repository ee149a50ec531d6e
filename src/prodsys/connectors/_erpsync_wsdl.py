"""SuperOffice's ERP Sync interface described in WSDL 1.1, for programs that make their client from a description."""

from collections.abc import Mapping

from lxml import etree

from prodsys.connectors._erpsync import ARRAYS, SERVICE

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
_XS = "http://www.w3.org/2001/XMLSchema"

_TEXTS, _PAIRS, _TEXT = "a:ArrayOfstring", "a:ArrayOfKeyValueOfstringstring", "xs:string"
_ENUMS: Mapping[str, tuple[str, ...]] = {
    "ResponseStateWS": ("Ok", "OkWithInfo", "Warning", "Error"),
    "FieldMetadataTypeInfoWS": ("Checkbox", "Text", "Password", "Integer", "Double", "List", "Datetime", "Label"),
    "FieldAccessInfoWS": ("Normal", "Mandatory", "ReadOnly"),
}
_STRUCTS: Mapping[str, Mapping[str, str]] = {
    "ErpActorWS": {
        "ActorType": _TEXT, "ErpKey": _TEXT, "FieldValues": _PAIRS, "LastModified": _TEXT, "ParentActorType": _TEXT, "ParentErpKey": _TEXT,
    },
    "FieldMetadataInfoWS": {
        "Access": "t:FieldAccessInfoWS", "DefaultValue": _TEXT, "DisplayDescription": _TEXT, "DisplayName": _TEXT, "FieldKey": _TEXT,
        "FieldType": "t:FieldMetadataTypeInfoWS", "ListName": _TEXT, "MaxLength": "xs:int", "Rank": "xs:int",
    },
    "SearchRestrictionInfoWS": {"FieldKey": _TEXT, "Operator": _TEXT, "Values": _TEXTS},
}  # fmt: skip
_RESULT = {
    "ErrorCode": _TEXT, "IsOk": "xs:boolean", "State": "t:ResponseStateWS", "TechExplanation": _TEXT, "UserExplanation": _TEXT,
}  # fmt: skip
_GUID, _TYPE, _KEYS = {"ConnectionGuid": _TEXT}, {"ActorType": _TEXT}, {"FieldKeys": _TEXTS}
_FIELDS, _ACTORS, _LIST = {"FieldMetaDataObjects": "t:ArrayOfFieldMetadataInfoWS"}, {"Actors": "t:ArrayOfErpActorWS"}, {"ListItems": _PAIRS}
_OPERATIONS: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "WSGetConfigData": ({}, _FIELDS),
    "WSTestConfigData": ({"ConnectionInfo": _PAIRS}, {}),
    "WSSaveConnection": (_GUID | {"ConnectionInfo": _PAIRS}, {}),
    "WSTestConnection": (_GUID, {}),
    "WSDeleteConnection": (_GUID, {}),
    "WSGetSupportedActorTypes": (_GUID, {"Items": _TEXTS}),
    "WSGetSupportedActorTypeFields": (_GUID | _TYPE, _FIELDS),
    "WSGetSearchableFields": (_GUID | _TYPE, {"Items": _TEXTS}),
    "WSGetActors": (_GUID | _TYPE | {"ErpKeys": _TEXTS} | _KEYS, _ACTORS),
    "WSSearchActors": (_GUID | _TYPE | _KEYS | {"SearchText": _TEXT}, _ACTORS),
    "WSSearchActorByParent": (
        _GUID | _TYPE | _KEYS | {"ParentActorErpKey": _TEXT, "ParentActorType": _TEXT, "SearchText": _TEXT}, _ACTORS,
    ),
    "WSSearchActorsAdvanced": (_GUID | _TYPE | _KEYS | {"Restrictions": "t:ArrayOfSearchRestrictionInfoWS"}, _ACTORS),
    "WSCreateActor": (_GUID | {"Actor": "t:ErpActorWS"}, {"Actor": "t:ErpActorWS"}),
    "WSSaveActors": (_GUID | _ACTORS, _ACTORS),
    "WSGetList": (_GUID | {"ListName": _TEXT}, _LIST),
    "WSGetListItems": (_GUID | {"ListItemKeys": _TEXTS, "ListName": _TEXT}, _LIST),
    "WSGetActorsByTimestamp": (_GUID | _TYPE | _KEYS | {"UpdatedOnOrAfter": _TEXT}, _ACTORS),
}  # fmt: skip
"""The members of each operation's request and, beyond those of every result, of its result."""


def wsdl(address: str) -> bytes:
    """The description of the service at this address."""
    root = etree.Element(
        f"{{{_WSDL}}}definitions",
        nsmap={"t": SERVICE, "a": ARRAYS, "w": _WSDL, "soap": _SOAP, "xs": _XS},
        name="ErpConnectorWS",
        targetNamespace=SERVICE,
    )
    types = etree.SubElement(root, f"{{{_WSDL}}}types")
    _arrays(types)
    _members(types)
    for name in _OPERATIONS:
        for suffix in ("", "Response"):
            message = etree.SubElement(root, f"{{{_WSDL}}}message", name=f"{name}{suffix}Message")
            etree.SubElement(message, f"{{{_WSDL}}}part", name="parameters", element=f"t:{name}{suffix}")
    port = etree.SubElement(root, f"{{{_WSDL}}}portType", name="IErpConnectorWS")
    for name in _OPERATIONS:
        operation = etree.SubElement(port, f"{{{_WSDL}}}operation", name=name)
        etree.SubElement(operation, f"{{{_WSDL}}}input", message=f"t:{name}Message")
        etree.SubElement(operation, f"{{{_WSDL}}}output", message=f"t:{name}ResponseMessage")
    binding = etree.SubElement(root, f"{{{_WSDL}}}binding", name="BasicHttpBinding_IErpConnectorWS", type="t:IErpConnectorWS")
    etree.SubElement(binding, f"{{{_SOAP}}}binding", transport="http://schemas.xmlsoap.org/soap/http")
    for name in _OPERATIONS:
        operation = etree.SubElement(binding, f"{{{_WSDL}}}operation", name=name)
        etree.SubElement(operation, f"{{{_SOAP}}}operation", soapAction=soap_action(name), style="document")
        for way in ("input", "output"):
            etree.SubElement(etree.SubElement(operation, f"{{{_WSDL}}}{way}"), f"{{{_SOAP}}}body", use="literal")
    service = etree.SubElement(root, f"{{{_WSDL}}}service", name="ErpConnectorWS")
    door = etree.SubElement(service, f"{{{_WSDL}}}port", name="BasicHttpBinding_IErpConnectorWS", binding=f"t:{binding.get('name')}")
    etree.SubElement(door, f"{{{_SOAP}}}address", location=address)
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def soap_action(operation: str) -> str:
    """What names an operation in the header SOAPAction."""
    return f"{SERVICE}/IErpConnectorWS/{operation}"


def _arrays(types: etree._Element) -> None:
    schema = _schema(types, ARRAYS)
    _sequence(schema, "ArrayOfstring", {"string": _TEXT}, many=True)
    _sequence(schema, "ArrayOfKeyValueOfstringstring", {"KeyValueOfstringstring": "a:KeyValueOfstringstring"}, many=True)
    _sequence(schema, "KeyValueOfstringstring", {"Key": _TEXT, "Value": _TEXT})


def _members(types: etree._Element) -> None:
    schema = _schema(types, SERVICE)
    etree.SubElement(schema, f"{{{_XS}}}import", namespace=ARRAYS)
    for name, values in _ENUMS.items():
        restriction = etree.SubElement(etree.SubElement(schema, f"{{{_XS}}}simpleType", name=name), f"{{{_XS}}}restriction", base=_TEXT)
        for value in values:
            etree.SubElement(restriction, f"{{{_XS}}}enumeration", value=value)
    for name, members in _STRUCTS.items():
        _sequence(schema, name, members)
        _sequence(schema, f"ArrayOf{name}", {name: f"t:{name}"}, many=True)
    for name, (asked, answered) in _OPERATIONS.items():
        _sequence(schema, f"{name}RequestWS", asked)
        _sequence(schema, f"{name}ResultWS", _RESULT | dict(answered))
        _wrapper(schema, name, {"request": f"t:{name}RequestWS"} if asked else {})
        _wrapper(schema, f"{name}Response", {f"{name}Result": f"t:{name}ResultWS"})


def _schema(types: etree._Element, namespace: str) -> etree._Element:
    return etree.SubElement(types, f"{{{_XS}}}schema", elementFormDefault="qualified", targetNamespace=namespace)


def _wrapper(schema: etree._Element, name: str, members: Mapping[str, str]) -> None:
    _fill(etree.SubElement(etree.SubElement(schema, f"{{{_XS}}}element", name=name), f"{{{_XS}}}complexType"), members)


def _sequence(schema: etree._Element, name: str, members: Mapping[str, str], *, many: bool = False) -> None:
    _fill(etree.SubElement(schema, f"{{{_XS}}}complexType", name=name), members, many=many)


def _fill(kind: etree._Element, members: Mapping[str, str], *, many: bool = False) -> None:
    sequence = etree.SubElement(kind, f"{{{_XS}}}sequence")
    for name, type_ in members.items():
        element = etree.SubElement(sequence, f"{{{_XS}}}element", name=name, type=type_, minOccurs="0")
        if many:
            element.set("maxOccurs", "unbounded")
        if type_ not in ("xs:int", "xs:boolean") and type_.removeprefix("t:") not in _ENUMS:
            element.set("nillable", "true")
