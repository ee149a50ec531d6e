"""Any system with a sync connector for SuperOffice's ERP Sync: we call it as SuperOffice would, and its own fields make the form."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from prodsys.codes import streets
from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import (
    Check,
    Choice,
    Known,
    Later,
    Limit,
    Lookup,
    Misconfigured,
    Problem,
    Reach,
    Record,
    Records,
    Refused,
    Resource,
    Secret,
    Tested,
    Trouble,
    Written,
    moment,
    text,
)
from prodsys.connectors._erpsync import Actor, Field, Restriction
from prodsys.connectors._rest import Answer, Request, RestConnector, same
from prodsys.documents import Address, ContactCard, Person
from prodsys.kit import outbound
from prodsys.kit.outbound import Answered

PREFIX = "remote_"
"""Before a field of theirs, where it stands in a form beside ours."""

_ABOUT_SETTINGS = frozenset({"WSTestConfigData", "WSSaveConnection", "WSTestConnection"})

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


class RemoteActor(msgspec.Struct, frozen=True, kw_only=True):
    """An actor of theirs, the contact persons of a company beside it."""

    type: str = "Customer"
    key: str = ""
    changed: str = ""
    values: dict[str, str] = {}
    persons: list[dict[str, str]] = []


_FIELDS = {
    "NAME": "name", "NUMBER2": "number", "ORGNO": "organisation_number", "VATNO": "vat_number", "GLN": "gln", "EMAIL": "email",
    "PHONE": "phone",
}  # fmt: skip
_IN_ADDRESS = {"STREETAD2": "street2", "STREETZIP": "postcode", "STREETCITY": "city", "STREETSTATE": "region", "COUNTRY": "country"}
_LONGEST = {"name": 200, "email": 120}


def read_actor(theirs: RemoteActor) -> ContactCard:
    """A company of theirs, by the keys SuperOffice maps by itself."""
    held = theirs.values
    parts = {member: text(held.get(key, ""), 120 if member in ("city", "region") else 80) for key, member in _IN_ADDRESS.items()}
    country = parts["country"].upper() if len(parts["country"]) == 2 else ""
    street, number = streets.split(text(held.get("STREETAD1", "")), country)
    members: dict[str, Any] = {member: text(held.get(key, ""), _LONGEST.get(member, 80)) for key, member in _FIELDS.items()}
    return ContactCard(
        **members,
        is_customer=theirs.type == "Customer",
        is_supplier=theirs.type == "Supplier",
        address=Address(**parts | {"street": street, "house_number": number[:80], "country": country}),
        persons=[person for one in theirs.persons[:50] if (person := read_person(one)).name],
    )


def read_person(values: Mapping[str, str]) -> Person:
    """A contact person of theirs."""
    named = " ".join(part for key in ("FIRSTNAME", "MIDDLENAME", "LASTNAME") if (part := values.get(key, "").strip()))
    phone = values.get("PHONE_DIRECT") or values.get("PHONE_MOBILE") or ""
    return Person(name=text(named, 200), email=text(values.get("EMAIL", ""), 120), phone=text(phone, 80))


def write_actor(card: ContactCard, _: Known) -> dict[str, Any]:
    """A card as the fields of a company of theirs; what is empty is not said."""
    address = card.address
    values = {key: getattr(card, member) for key, member in _FIELDS.items()}
    values |= {key: getattr(address, member) for key, member in _IN_ADDRESS.items()}
    values["STREETAD1"] = streets.join(address.street, address.house_number, address.country)
    said = {key: value for key, value in values.items() if value}
    return {"type": "Supplier" if card.is_supplier and not card.is_customer else "Customer", "values": said}


def _by(key: str) -> Lookup:
    return Lookup(lambda value: {key: value}, f"values.{key}")


class RemoteSync(RestConnector):
    """A sync connector at the other end of a Connector URL."""

    title = "Remote sync connector"
    summary = "Any system with a connector for SuperOffice's ERP Sync, called as SuperOffice calls it."
    Config: ClassVar[type[msgspec.Struct]] = Config
    address_field = "url"
    lists: ClassVar[Mapping[str, str]] = {}
    prerequisites = ("The Connector URL of a service that speaks ErpConnectorWS (SOAP 1.1), reachable from here.",)
    remarks = (
        "ERP Sync carries customers, suppliers and persons; articles and orders do not travel by it.",
        "Contact persons are read with their company; they are not written.",
        "A contact that is both customer and supplier is made there as a customer.",
    )
    resources: ClassVar[Mapping[str, Resource]] = {
        "contacts": Resource(
            wire=RemoteActor,
            key="key",
            number="values.NUMBER2",
            read=read_actor,
            write=write_actor,
            find_by={
                "reference": _by("NUMBER2"),
                "number": _by("NUMBER2"),
                "email": _by("EMAIL"),
                "organisation_number": _by("ORGNO"),
                "vat_number": _by("VATNO"),
                "name": _by("NAME"),
            },
            since=lambda since: {"UpdatedOnOrAfter": f"{since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"},
            changed="changed",
            update="patch",
            limits=(Limit(field="name", longest=254, is_required=True),),
            provenance={
                "operations, members, field keys": "documented",
                "namespaces, NUMBER2 as our number, an empty time for everything": "assumed",
            },
            notes={"in": "Only what has changed is asked for where their times of change are moments; say so in the form."},
        )
    }

    def __init__(self, config: Any, reach: Reach) -> None:
        super().__init__(config, reach)
        self._types: tuple[str, ...] = ()
        self._fields: dict[str, frozenset[str]] = {}
        self._listed: dict[str, list[Choice]] = {}

    @property
    def base_url(self) -> str:
        """The Connector URL."""
        return str(self.config.url.reveal())

    @property
    def settings(self) -> dict[str, str]:
        """What was filled in for the remote's own fields."""
        return filled(self.config)

    @property
    def guid(self) -> str:
        """What our connection is called there: the same as long as the form is the same, so that nothing has to be kept."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, msgspec.json.encode([self.base_url, self.settings], order="sorted").decode()))

    async def call(self, operation: str, *, is_write: bool = False, own: bool = True, **members: Any) -> dict[str, Any] | Trouble:
        """One operation, its result's members. A connection they do not know is saved there, and they are asked once more."""
        result = await self._call(operation, is_write=is_write, own=own, **members)
        if isinstance(result, Refused) and result.problem.code == wire.UNKNOWN_CONNECTION and own and operation != "WSSaveConnection":
            saved = await self._call("WSSaveConnection", own=True, ConnectionInfo=self.settings)
            return saved if not isinstance(saved, dict) else await self._call(operation, is_write=is_write, own=own, **members)
        return result

    async def _call(self, operation: str, *, is_write: bool = False, own: bool, **members: Any) -> dict[str, Any] | Trouble:
        asked = wire.request(guid=self.guid if own else None, **members)
        content = wire.written(operation, "request" if asked else "", asked)
        headers = {
            "content-type": "text/xml; charset=utf-8",
            "accept": "text/xml",
            "soapaction": f'"{wire.SERVICE}/IErpConnectorWS/{operation}"',
        }
        answer = await self.ask("POST", "", content=content, headers=headers, is_write=is_write)
        if not isinstance(answer, Answer):
            return answer
        result = answer.body.get(f"{operation}Result") if isinstance(answer.body, dict) else None
        if not isinstance(result, dict):
            detail = "The other side did not answer as a sync connector does."
            return Later(reason="unreadable", detail=detail, sent=True) if is_write else Misconfigured(reason="unreadable", detail=detail)
        if wire.word(result, "IsOk").strip().lower() in ("false", "0"):
            problem = self._declined(result)
            if operation in _ABOUT_SETTINGS and problem.code != wire.UNKNOWN_CONNECTION:
                return Misconfigured(reason="settings_refused", detail=problem.title, problem=problem)
            return Refused(problem=problem)
        return result

    def blame(self, trouble: Trouble) -> Check:
        if isinstance(trouble, Misconfigured) and trouble.reason == "settings_refused":
            return Check(field="fields" if hasattr(self.config, "fields") else "", message=trouble.detail)
        return super().blame(trouble)

    def _declined(self, result: Mapping[str, Any]) -> Problem:
        user, tech = (outbound.plain(_in_english(wire.word(result, name)), 1000) for name in ("UserExplanation", "TechExplanation"))
        code = outbound.plain(wire.word(result, "ErrorCode"), 100)
        return Problem(status=422, code=code, title=user or tech or "The other system says no.", detail=user or tech)

    def _judge(self, request: Request, answer: Answered) -> Answer | Trouble:
        """Their XML is handed on as JSON, so that everything else is judged as everywhere."""
        try:
            said = wire.read(answer.content)
        except wire.Unreadable:
            return super()._judge(request, answer)
        if said.name == "Fault":
            told = outbound.plain(wire.word(said.members, "faultstring") or "They answered with a fault.", 1000)
            if "Client" in wire.word(said.members, "faultcode"):
                return Refused(problem=Problem(status=answer.status, title=told))
            return Later(reason="fault", detail=f"The other system could not answer: {told}", sent=request.is_write)
        content = msgspec.json.encode(said.members)
        return super()._judge(request, Answered(status=answer.status, headers=answer.headers, content=content))

    async def test(self) -> Tested:
        """Are the remote's own fields filled in, and what does it say of them."""
        found = await described_fields(self)
        if not isinstance(found, list):
            return Tested(is_fine=False, checks=[self.blame(found)])
        given = self.settings
        known = {one.key for one in found}
        faults = [(one.key, f"{one.name} is missing.") for one in found if one.access == "Mandatory" and not given.get(one.key)]
        faults += [(key, f"The remote connector has no field {key[:60]}.") for key in given if key not in known]
        if faults:
            return Tested(is_fine=False, checks=[Check(field=f"{PREFIX}{key}", message=message) for key, message in faults])
        tried = await self.call("WSTestConfigData", own=False, ConnectionInfo=given)
        if not isinstance(tried, dict):
            return Tested(is_fine=False, checks=[self.blame(tried)])
        saved = await self.call("WSSaveConnection", ConnectionInfo=given)
        if isinstance(saved, dict):
            saved = await self.call("WSTestConnection")
        if not isinstance(saved, dict):
            return Tested(is_fine=False, checks=[self.blame(saved)])
        types = await self.types()
        if not isinstance(types, tuple):
            return Tested(is_fine=False, checks=[self.blame(types)])
        for type_ in types:
            fields = await self._fields_of(type_)
            if not isinstance(fields, frozenset):
                return Tested(is_fine=False, checks=[self.blame(fields)])
        return Tested(is_fine=True, checks=[Check(is_fine=True, message=f"{self.config.name} answers, and knows {', '.join(types)}.")])

    async def types(self) -> tuple[str, ...] | Trouble:
        """The types of actors they have, of those that are companies or persons."""
        if not self._types:
            found = await self.call("WSGetSupportedActorTypes")
            if not isinstance(found, dict):
                return found
            said = {one.casefold() for one in wire.texts(found.get("Items"))}
            self._types = tuple(one for one in ("Customer", "Supplier", "Person") if one.casefold() in said)
        return self._types

    async def pages(
        self, kind: str, *, since: dt.datetime | None = None, where: Mapping[str, str] | None = None
    ) -> AsyncIterator[Records | Trouble]:
        types = await self.types()
        if not isinstance(types, tuple):
            yield types
            return
        # Any text may be a time of change, so ours is sent only to who is known to understand it.
        after = f"{since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z" if since is not None and self.config.timestamps == "moments" else ""
        persons: list[Actor] = []
        if "Person" in types:
            read = await self._changed("Person", after)
            if not isinstance(read, list):
                yield read
                return
            persons = read
        companies = [one for one in types if one != "Person"]
        for type_ in companies:
            found = await self._changed(type_, after)
            if not isinstance(found, list):
                yield found
                return
            listed = await self._with_persons(type_, found, persons, whole=not after)
            if not isinstance(listed, list):
                yield listed
                return
            yield Records(records=listed, is_last=type_ == companies[-1])

    async def _changed(self, type_: str, after: str) -> list[Actor] | Trouble:
        found = await self.call("WSGetActorsByTimestamp", ActorType=type_, FieldKeys=[], UpdatedOnOrAfter=after)
        return wire.actors(found.get("Actors")) if isinstance(found, dict) else found

    async def _with_persons(self, type_: str, found: list[Actor], persons: Sequence[Actor], *, whole: bool) -> list[Record] | Trouble:
        """Companies with their contact persons: of those that changed, and of those whose persons did, all persons are asked for."""
        of: dict[str, list[Actor]] = {}
        for one in persons:
            if one.parent_type.casefold() in ("", type_.casefold()):
                of.setdefault(one.parent_key, []).append(one)
        if not whole:
            there = {one.key for one in found}
            if missing := [key for key in of if key and key not in there]:
                more = await self._by_keys(type_, missing)
                if not isinstance(more, list):
                    return more
                found = [*found, *more]
            for one in found:
                read = await self._persons_of(type_, one.key)
                if not isinstance(read, list):
                    return read
                of[one.key] = read
        return [_record(one, of.get(one.key, [])) for one in found]

    async def _persons_of(self, type_: str, key: str) -> list[Actor] | Trouble:
        if "Person" not in self._types:
            return []
        found = await self.call(
            "WSSearchActorByParent", ActorType="Person", FieldKeys=[], ParentActorErpKey=key, ParentActorType=type_, SearchText=""
        )
        return wire.actors(found.get("Actors")) if isinstance(found, dict) else found

    async def _by_keys(self, type_: str, keys: Sequence[str]) -> list[Actor] | Trouble:
        found = await self.call("WSGetActors", ActorType=type_, ErpKeys=list(keys), FieldKeys=[])
        return wire.actors(found.get("Actors")) if isinstance(found, dict) else found

    async def find(self, kind: str, by: str, value: str) -> Sequence[Record] | Trouble:
        types = await self.types()
        if not isinstance(types, tuple):
            return types
        if not value:
            return []
        key = next(iter(self.resources[kind].find_by[by].query(value)))
        found: dict[str, Record] = {}
        for type_ in types:
            fields = await self._fields_of(type_)
            if not isinstance(fields, frozenset):
                return fields
            # A field they have not cannot tell anybody apart.
            if type_ == "Person" or key not in fields:
                continue
            wanted = [Restriction(key=key, operator="=", values=(value,))]
            answered = await self.call("WSSearchActorsAdvanced", ActorType=type_, FieldKeys=[], Restrictions=wanted)
            if not isinstance(answered, dict):
                return answered
            for one in wire.actors(answered.get("Actors")):
                if same(one.values.get(key), value, by):
                    found.setdefault(one.key, _record(one, []))
        return list(found.values())

    async def _fields_of(self, type_: str) -> frozenset[str] | Trouble:
        if type_ not in self._fields:
            found = await self.call("WSGetSupportedActorTypeFields", ActorType=type_)
            if not isinstance(found, dict):
                return found
            self._fields[type_] = frozenset(wire.word(one, "FieldKey") for one in wire.structs(found.get("FieldMetaDataObjects")))
        return self._fields[type_]

    async def get(self, kind: str, id: str) -> Record | Trouble | None:
        types = await self.types()
        if not isinstance(types, tuple):
            return types
        for type_ in (one for one in types if one != "Person"):
            found = await self._by_keys(type_, [id])
            if not isinstance(found, list):
                return found
            if found:
                persons = await self._persons_of(type_, id)
                return _record(found[0], persons) if isinstance(persons, list) else persons
        return None

    async def create(self, kind: str, words: Any) -> Written | Trouble:
        sent = await self._fitting(words)
        if not isinstance(sent, Actor):
            return sent
        made = await self.call("WSCreateActor", is_write=True, Actor=sent)
        if not isinstance(made, dict):
            return made
        found = wire.actor(made.get("Actor"))
        if found is None or not found.key:
            return Later(reason="no_id", detail="The other system took it but did not say under which key.", sent=True)
        return Written(id=found.key, number=found.values.get("NUMBER2", ""), said=msgspec.json.encode(made))

    async def change(self, kind: str, id: str, words: Mapping[str, Any]) -> Written | Trouble:
        sent = await self._fitting(words)
        if not isinstance(sent, Actor):
            return sent
        saved = await self.call("WSSaveActors", is_write=True, Actors=[msgspec.structs.replace(sent, key=id)])
        if not isinstance(saved, dict):
            return saved
        if all(one.key != id for one in wire.actors(saved.get("Actors"))):
            return Refused(problem=self._declined(saved))
        return Written(id=id, said=msgspec.json.encode(saved))

    async def _fitting(self, words: Mapping[str, Any]) -> Actor | Trouble:
        """Our words as an actor with the fields they have, and no other."""
        type_ = str(words.get("type") or "Customer")
        fields = await self._fields_of(type_)
        if not isinstance(fields, frozenset):
            return fields
        values: Mapping[str, Any] = words.get("values") or {}
        return Actor(type=type_, values={key: wire.encoded(value) for key, value in values.items() if key in fields})

    @classmethod
    def gathered(cls, given: Mapping[str, Any], kept: Any | None = None) -> dict[str, Any]:
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

    @classmethod
    def spread(cls, kept: Any) -> dict[str, Any]:
        """What is kept of the remote's own fields, as it travels."""
        return {f"{PREFIX}{key}": value for key, value in filled(kept).items()}

    async def with_own_form(self) -> "type[RemoteSync] | Trouble":
        """This connector with a form of the remote's own fields."""
        found = await described_fields(self)
        if not isinstance(found, list):
            return found
        members: list[Any] = [("name", _annotation(Config, "name")), ("url", _annotation(Config, "url"))]
        optional: list[Any] = [("timestamps", _annotation(Config, "timestamps"), "other")]
        names: dict[str, str] = {}
        for at, field in enumerate(found):
            if field.type == "Label":
                continue
            kind = await self._type_of(field)
            if isinstance(kind, Later | Misconfigured | Refused):
                return kind
            names[f"field_{at}"] = f"{PREFIX}{field.key}"
            titles = {one.id: one.title for one in self._listed.get(field.list, ())} if field.type == "List" else {}
            said = Meta(title=field.name, description=field.about or None, extra_json_schema={"x-titles": titles} if titles else None)
            if field.access == "Mandatory" and not field.default:
                members.append((f"field_{at}", Annotated[kind, said]))
            else:
                default = _default(field)
                optional.append((f"field_{at}", Annotated[kind | None if default is None else kind, said], default))
        made = msgspec.defstruct("Config", [*members, *optional], frozen=True, kw_only=True, rename=names)
        return type("Described", (type(self),), {"Config": made, "title": self.config.name or self.title})

    async def _type_of(self, field: Field) -> Any:
        match field.type:
            case "Checkbox":
                return bool
            case "Password":
                return Secret
            case "Integer":
                return int
            case "Double":
                return Decimal
            case "List":
                listed = await self.entries(field.list)
                if not isinstance(listed, list):
                    return listed
                self._listed[field.list] = listed
                return Literal[tuple(one.id for one in listed)] if listed else str
            case _:
                return str

    async def entries(self, name: str) -> list[Choice] | Trouble:
        """The entries of a list of theirs, before there is a connection."""
        found = await self.call("WSGetList", own=False, ConnectionGuid=wire.NO_GUID, ListName=name)
        if not isinstance(found, dict):
            return found
        return [Choice(id=key, title=outbound.plain(title, 200)) for key, title in wire.pairs(found.get("ListItems")).items()]


async def described_fields(connector: RemoteSync) -> list[Field] | Trouble:
    """The remote's own fields, asked now."""
    found = await connector.call("WSGetConfigData", own=False)
    if not isinstance(found, dict):
        return found
    try:
        return wire.fields(found.get("FieldMetaDataObjects"))
    except ValueError:
        return Misconfigured(reason="unreadable", detail="The remote connector describes fields of a kind nobody knows.")


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


def _record(actor: Actor, persons: Sequence[Actor]) -> Record:
    theirs = RemoteActor(
        type=actor.type,
        key=actor.key,
        changed=actor.changed,
        values=dict(actor.values),
        persons=[dict(one.values) for one in persons],
    )
    changed_at = moment(actor.changed) if "-" in actor.changed else None
    return Record(id=actor.key, number=actor.values.get("NUMBER2", ""), theirs=msgspec.to_builtins(theirs), changed_at=changed_at)


def _in_english(said: str) -> str:
    """The English part of a text that comes in several languages (`US:"…";NO:"…"`)."""
    if not said.startswith(('US:"', 'NO:"', 'GE:"')):
        return said
    _, found, rest = said.partition('US:"')
    return rest.partition('"')[0] if found else said


CONNECTOR = RemoteSync
