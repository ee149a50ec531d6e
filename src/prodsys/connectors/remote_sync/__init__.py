"""Any system with a sync connector for SuperOffice's ERP Sync: we call it as SuperOffice would, and its own fields make the form."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import (
    Check,
    Choice,
    Later,
    Limit,
    Lookup,
    Reach,
    Record,
    Records,
    Refused,
    Resource,
    Tested,
    Trouble,
    Written,
)
from prodsys.connectors._erpsync import Actor, Restriction
from prodsys.connectors._rest import same
from prodsys.connectors.remote_sync.calls import ErpConnectorWS
from prodsys.connectors.remote_sync.cards import RemoteActor, read_actor, record_of, write_actor
from prodsys.connectors.remote_sync.form import PREFIX, Config, gathered, spread, with_fields


def _by(key: str) -> Lookup:
    return Lookup(lambda value: {key: value}, f"values.{key}")


class RemoteSync(ErpConnectorWS):
    """A sync connector at the other end of a Connector URL."""

    title = "Remote sync connector"
    summary = "Any system with a connector for SuperOffice's ERP Sync, called as SuperOffice calls it."
    Config: ClassVar[type[msgspec.Struct]] = Config
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

    async def test(self) -> Tested:
        """Are the remote's own fields filled in, and what does it say of them."""
        found = await self.described()
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

    async def _fields_of(self, type_: str) -> frozenset[str] | Trouble:
        if type_ not in self._fields:
            found = await self.call("WSGetSupportedActorTypeFields", ActorType=type_)
            if not isinstance(found, dict):
                return found
            self._fields[type_] = frozenset(wire.word(one, "FieldKey") for one in wire.structs(found.get("FieldMetaDataObjects")))
        return self._fields[type_]

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
        return [record_of(one, of.get(one.key, [])) for one in found]

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
                    found.setdefault(one.key, record_of(one, []))
        return list(found.values())

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
                return record_of(found[0], persons) if isinstance(persons, list) else persons
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
        return gathered(given, kept)

    @classmethod
    def spread(cls, kept: Any) -> dict[str, Any]:
        return spread(kept)

    async def with_own_form(self) -> "type[RemoteSync] | Trouble":
        """This connector with a form of the remote's own fields."""
        found = await self.described()
        if not isinstance(found, list):
            return found
        lists: dict[str, list[Choice]] = {}
        for name in dict.fromkeys(field.list for field in found if field.type == "List"):
            listed = await self.entries(name)
            if not isinstance(listed, list):
                return listed
            lists[name] = listed
        return type("Described", (type(self),), {"Config": with_fields(found, lists), "title": self.config.name or self.title})


CONNECTOR = RemoteSync
