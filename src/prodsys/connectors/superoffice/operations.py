"""All 17 operations of ErpConnectorWS, which SuperOffice calls; who stands behind the `Desk` keeps the contacts."""

import datetime as dt
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from prodsys.codes import is_country
from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import text
from prodsys.connectors._erpsync import Actor, Field, Value
from prodsys.connectors._erpsync_search import matches
from prodsys.connectors.superoffice.cards import (
    COMPANIES,
    COUNTRIES,
    FIELDS,
    PERSON,
    TYPES,
    actor_of,
    actors_of,
    countries,
    values_of,
)
from prodsys.connectors.superoffice.desk import Declined, Desk, Done, Found, Wanted

MOST_FOUND = 1_000
"""Actors a search answers at most; it says so when there were more."""
MOST_LOOKED_AT = 100_000
MOST_AT_ONCE = 2_000
"""Actors that can be asked for by key, or saved, in one call."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered; `members_in` is the namespace the caller's members stood in, empty where he sent none."""

    content: bytes
    operation: str
    status: int = 200
    members_in: str = ""


CONFIG_FIELDS = (
    Field(
        key="COUNTRY", name="Country of new companies", type="List", list=COUNTRIES, rank=1,
        about="Used where a company is made without a country.",
    ),
    Field(key="READONLY", name="Only read", type="Checkbox", default="[I:0]", rank=2, about="Nothing is made or changed at the other end."),
)  # fmt: skip


class _Error(Exception):
    """Raised inside an operation, and answered as its result."""

    def __init__(self, user: str, *, tech: str = "", code: str = "") -> None:
        super().__init__(user)
        self.declined = Declined(user=user, tech=tech or user, code=code)


Members = dict[str, Any]
Operation = Callable[[Mapping[str, Any], Desk], Awaitable[Members]]


async def answer(body: bytes, desk: Desk, *, members_in: str = wire.SERVICE) -> Answer:
    """Carry out what an envelope asks for and write the answer; `members_in` where the question does not show it. Raises Unreadable.

    What cannot be done is answered as a result that says so, as the contract wants it, and not as a fault.
    """
    asked = wire.read(body)
    operation = OPERATIONS.get(asked.name)
    if operation is None:
        sentence = f"There is no operation {asked.name[:60]} here."
        return Answer(content=wire.fault("Client", sentence), operation="", status=500, members_in=asked.members_in)
    held = asked.members.get("request")
    try:
        members = await operation(held if isinstance(held, dict) else {}, desk)
    except _Error as error:
        members = _declined(error.declined)
    namespace = asked.members_in or members_in
    content = wire.written(
        f"{asked.name}Response", f"{asked.name}Result", members, namespace=asked.namespace or wire.SERVICE, members_in=namespace
    )
    return Answer(content=content, operation=asked.name, members_in=asked.members_in)


def _declined(why: Declined, **members: Any) -> Members:
    return wire.result("Error", code=why.code, tech=why.tech or why.user, user=why.user, **members)


async def _get_config_data(_: Mapping[str, Any], __: Desk) -> Members:
    return wire.result(FieldMetaDataObjects=list(CONFIG_FIELDS))


async def _test_config_data(asked: Mapping[str, Any], _: Desk) -> Members:
    _settings(wire.pairs(asked.get("ConnectionInfo")))
    return wire.result(user="ProdSys Exchange answers, and these settings can be used.")


async def _save_connection(asked: Mapping[str, Any], desk: Desk) -> Members:
    guid = _guid(asked)
    if guid == wire.NO_GUID:
        raise _Error("A connection needs an id of its own.", code=wire.UNKNOWN_CONNECTION)
    await desk.save(guid, _settings(wire.pairs(asked.get("ConnectionInfo"))))
    return wire.result()


async def _test_connection(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    return wire.result()


async def _delete_connection(asked: Mapping[str, Any], desk: Desk) -> Members:
    await desk.forget(_guid(asked))
    return wire.result()


async def _get_supported_actor_types(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    return wire.result(Items=list(TYPES))


async def _get_supported_actor_type_fields(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    return wire.result(FieldMetaDataObjects=list(FIELDS[_type(asked)].values()))


async def _get_searchable_fields(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    return wire.result(Items=list(FIELDS[_type(asked)]))


async def _get_actors(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    type_, keys = _type(asked), _field_keys(asked)
    wanted = [key for key in dict.fromkeys(wire.texts(asked.get("ErpKeys"))) if key]
    if len(wanted) > MOST_AT_ONCE:
        raise _Error(f"At most {MOST_AT_ONCE} can be asked for at once.")
    return wire.result(Actors=actors_of(type_, await desk.get(type_, wanted), keys))


async def _search_actors(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    type_, keys = _type(asked), _field_keys(asked)
    said = wire.word(asked, "SearchText").strip("% ")
    return await _searched(desk.every(type_), type_, keys, lambda values: _is_like(type_, values, said))


async def _search_actor_by_parent(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    type_, keys = _type(asked), _field_keys(asked)
    if type_ != PERSON:
        raise _Error("Only persons belong to a company.", tech=f"{type_} has no parent.")
    parent = _type(asked, "ParentActorType", COMPANIES)
    said = wire.word(asked, "SearchText").strip("% ")
    found = await desk.persons_of(parent, wire.word(asked, "ParentActorErpKey"))
    return await _searched(_once(found), type_, keys, lambda values: _is_like(type_, values, said))


async def _search_actors_advanced(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    type_, keys = _type(asked), _field_keys(asked)
    listed = wire.restrictions(asked.get("Restrictions"))
    parents = {one.key.casefold(): one.values[0] for one in listed if one.key.casefold() in _PARENT and one.values}
    fields = FIELDS[type_]
    own = [one for one in listed if one.key.casefold() not in _PARENT]
    if strangers := [one.key for one in own if one.key not in fields]:
        raise _Error(f"There is no field {strangers[0][:60]}.", code=wire.UNKNOWN_FIELD)
    try:
        # Tried once on nothing, so that a wrong operator is told even where nothing is found.
        for one in own:
            matches(fields[one.key].type, None, one)
    except ValueError as error:
        raise _Error("This search cannot be carried out.", tech=str(error)) from None
    if parents:
        if type_ != PERSON:
            return wire.result(Actors=[])
        parent = next((one for one in COMPANIES if one.casefold() == parents.get("parentactortype", "Customer").casefold()), None)
        if parent is None:
            raise _not_supported(parents["parentactortype"])
        pieces = _once(await desk.persons_of(parent, parents.get("parenterpkey", "")))
    else:
        pieces = desk.every(type_)
    return await _searched(pieces, type_, keys, lambda values: all(matches(fields[one.key].type, values[one.key], one) for one in own))


_PARENT = frozenset({"parenterpkey", "parentactortype"})


async def _create_actor(asked: Mapping[str, Any], desk: Desk) -> Members:
    settings = await _connection(asked, desk)
    _must_be_writable(settings)
    sent = wire.actor(asked.get("Actor"))
    if sent is None:
        raise _Error("There is nothing to be made.", tech="Actor is missing.")
    done = _checked(msgspec.structs.replace(sent, key=""))
    if isinstance(done, Wanted):
        made = await desk.create(done, settings)
        if isinstance(made, Done):
            state: wire.State = "OkWithInfo" if made.remark else "Ok"
            return wire.result(state, user=made.remark, Actor=actor_of(done.type, made.found, ()))
        done = made
    return _declined(done)


async def _save_actors(asked: Mapping[str, Any], desk: Desk) -> Members:
    settings = await _connection(asked, desk)
    _must_be_writable(settings)
    sent = wire.actors(asked.get("Actors"))
    if len(sent) > MOST_AT_ONCE:
        raise _Error(f"At most {MOST_AT_ONCE} can be saved at once.")
    saved: list[Actor] = []
    refused: list[Declined] = []
    for one in sent:
        wanted = _checked(one) if one.key else Declined(user="Something without a key cannot be saved.", tech="ErpKey is empty.")
        outcome = await desk.change(wanted) if isinstance(wanted, Wanted) else wanted
        if isinstance(outcome, Done) and isinstance(wanted, Wanted):
            saved.append(actor_of(wanted.type, outcome.found, ()))
        elif isinstance(outcome, Declined):
            refused.append(msgspec.structs.replace(outcome, tech=f"{one.key[:80]}: {outcome.tech or outcome.user}"))
    if not refused:
        return wire.result(Actors=saved)
    user = " ".join(dict.fromkeys(one.user for one in refused[:20]))
    tech = "\n".join(one.tech for one in refused[:200])
    return wire.result("Warning" if saved else "Error", code=refused[0].code, user=user, tech=tech, Actors=saved)


async def _get_list(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk, also_none=True)
    return wire.result(ListItems=dict(_list(asked)))


async def _get_list_items(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk, also_none=True)
    listed, keys = _list(asked), [str(wire.decoded("List", key)) for key in wire.texts(asked.get("ListItemKeys"))]
    unknown = [key for key in keys if key not in listed]
    items = {key: listed[key] for key in keys if key in listed}
    if not unknown:
        return wire.result(ListItems=items)
    user = f"{', '.join(unknown[:5])[:200]} is not in the list."
    return wire.result("Warning" if items else "Error", code=wire.UNKNOWN_LIST_ITEM, user=user, tech=user, ListItems=items)


async def _get_actors_by_timestamp(asked: Mapping[str, Any], desk: Desk) -> Members:
    await _connection(asked, desk)
    type_, keys = _type(asked), _field_keys(asked)
    said = wire.word(asked, "UpdatedOnOrAfter").strip()
    try:
        moment = wire.decoded("Datetime", said)
    except ValueError:
        raise _Error("The time of the last synchronization cannot be read.", tech=f"{said[:60]} was not told by us.") from None
    found: list[Actor] = []
    async for piece in desk.changed(type_, moment if isinstance(moment, dt.datetime) else None):
        found += actors_of(type_, piece, keys)
    return wire.result(Actors=sorted(found, key=lambda one: one.changed))


OPERATIONS: Mapping[str, Operation] = {
    "WSGetConfigData": _get_config_data,
    "WSTestConfigData": _test_config_data,
    "WSSaveConnection": _save_connection,
    "WSTestConnection": _test_connection,
    "WSDeleteConnection": _delete_connection,
    "WSGetSupportedActorTypes": _get_supported_actor_types,
    "WSGetSupportedActorTypeFields": _get_supported_actor_type_fields,
    "WSGetSearchableFields": _get_searchable_fields,
    "WSGetActors": _get_actors,
    "WSSearchActors": _search_actors,
    "WSSearchActorByParent": _search_actor_by_parent,
    "WSSearchActorsAdvanced": _search_actors_advanced,
    "WSCreateActor": _create_actor,
    "WSSaveActors": _save_actors,
    "WSGetList": _get_list,
    "WSGetListItems": _get_list_items,
    "WSGetActorsByTimestamp": _get_actors_by_timestamp,
}
"""Every operation of the interface."""


def _guid(asked: Mapping[str, Any]) -> str:
    said = wire.word(asked, "ConnectionGuid").strip()
    try:
        return str(uuid.UUID(said))
    except ValueError:
        raise _Error("This connection is not known here.", tech=f"{said[:60]} is no GUID.", code=wire.UNKNOWN_CONNECTION) from None


async def _connection(asked: Mapping[str, Any], desk: Desk, *, also_none: bool = False) -> Mapping[str, str]:
    guid = _guid(asked)
    if also_none and guid == wire.NO_GUID:
        return {}
    settings = await desk.settings(guid)
    if settings is None:
        # They then send what was filled in once more, and ask again.
        raise _Error("This connection is not known here; save it again.", tech=f"No connection {guid}.", code=wire.UNKNOWN_CONNECTION)
    return settings


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    """What was filled in, as it is kept; fields of another version of the form are left out. Raises _Error for what cannot be used."""
    by_key = {key.upper(): value for key, value in given.items()}
    country = str(wire.decoded("List", by_key.get("COUNTRY", ""))).strip().upper()
    if country and not is_country(country):
        raise _Error(f"Choose a country from the list; {country[:20]} is none.", tech="COUNTRY is no ISO 3166-1 code.")
    try:
        is_read_only = wire.decoded("Checkbox", by_key.get("READONLY", ""))
    except ValueError as error:
        raise _Error("Only read is either ticked or not.", tech=f"READONLY: {error}") from None
    return {"COUNTRY": country, "READONLY": "1" if is_read_only else "0"}


def _must_be_writable(settings: Mapping[str, str]) -> None:
    if settings.get("READONLY") == "1":
        raise _Error("This connection only reads; nothing is made or changed.", tech="READONLY is ticked for the connection.")


def _type(asked: Mapping[str, Any], member: str = "ActorType", of: Sequence[str] = TYPES) -> str:
    said = wire.word(asked, member).strip()
    found = next((one for one in of if one.casefold() == said.casefold()), None)
    if found is None:
        raise _not_supported(said)
    return found


def _not_supported(type: str) -> _Error:
    said = f"Actors of the type {type[:40] or '(none)'} are not supported here; there are {', '.join(TYPES)}."
    return _Error(said, tech=said)


def _field_keys(asked: Mapping[str, Any]) -> tuple[str, ...]:
    keys = wire.texts(asked.get("FieldKeys"))
    fields = FIELDS[_type(asked)]
    if strangers := [key for key in keys if key not in fields]:
        raise _Error(f"There is no field {strangers[0][:60]}.", code=wire.UNKNOWN_FIELD)
    return keys


def _list(asked: Mapping[str, Any]) -> Mapping[str, str]:
    name = wire.word(asked, "ListName")
    if name.casefold() != COUNTRIES:
        raise _Error(f"There is no list {name[:60]}.", tech=f"The only list is {COUNTRIES}.")
    return countries()


def _checked(sent: Actor) -> Wanted | Declined:
    """An actor as it was sent, its values read by their fields' types, or why it cannot be taken."""
    type_ = next((one for one in TYPES if one.casefold() == sent.type.strip().casefold()), None)
    if type_ is None:
        return _not_supported(sent.type).declined
    fields, values = FIELDS[type_], dict[str, Value]()
    for key, said in sent.values.items():
        field = fields.get(key)
        if field is None:
            return Declined(user=f"There is no field {key[:60]}.", code=wire.UNKNOWN_FIELD)
        if field.access == "ReadOnly":
            # What is told of it may come back with the rest; it follows from other things.
            continue
        if field.longest and len(text(said, 1_000_000)) > field.longest:
            return Declined(user=f"{field.name} is longer than {field.longest} characters.", tech=key)
        value = str(wire.decoded("List", said)).strip().upper() if field.type == "List" else text(said, 1_000)
        if field.list == COUNTRIES and value and not is_country(value):
            return Declined(user=f"{value[:20]} is no country of the list.", tech=key, code=wire.UNKNOWN_LIST_ITEM)
        values[key] = value
    must = [field for field in fields.values() if field.access == "Mandatory" and (field.key in values or not sent.key)]
    missing = [field.name for field in must if not values.get(field.key)]
    if missing:
        return Declined(user=f"{missing[0]} is missing.", tech=f"{type_} without {missing[0]}.")
    return Wanted(type=type_, key=sent.key, parent_type=sent.parent_type, parent_key=sent.parent_key, values=values)


_SEARCHED = {"Customer": ("NAME", "ORGNO", "VATNO", "EMAIL"), "Supplier": ("NAME", "ORGNO", "VATNO", "EMAIL"), PERSON: ("EMAIL",)}
_BLANKS = re.compile(r"\s+")


def _is_like(type: str, values: Mapping[str, Value], said: str) -> bool:
    """Whether every word that was typed stands somewhere in what names an actor."""
    held = [str(values[key] or "").casefold() for key in _SEARCHED[type]]
    if type == PERSON:
        held.append(f"{values['FIRSTNAME']} {values['LASTNAME']}".casefold())
    return all(any(word in one for one in held) for word in _BLANKS.split(said.casefold()) if word)


async def _once(found: Sequence[Found]) -> AsyncIterator[Sequence[Found]]:
    yield found


async def _searched(
    pieces: AsyncIterator[Sequence[Found]], type: str, keys: Sequence[str], fits: Callable[[Mapping[str, Value]], bool]
) -> Members:
    found: list[Actor] = []
    looked_at = 0
    async for piece in pieces:
        looked_at += len(piece)
        found += [actor_of(type, one, keys) for one in piece if fits(values_of(one))]
        if len(found) > MOST_FOUND:
            remark = f"There are more than {MOST_FOUND}; search for something narrower."
            return wire.result("OkWithInfo", user=remark, Actors=found[:MOST_FOUND])
        if looked_at >= MOST_LOOKED_AT:
            remark = f"Only the first {looked_at} were looked at; search for something narrower."
            return wire.result("OkWithInfo", user=remark, Actors=found)
    return wire.result(Actors=found)
