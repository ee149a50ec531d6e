"""The operations that find: types and fields, actors by key, words, parent and time of change, and the entries of lists."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._erpsync import Actor, Value
from prodsys.connectors._erpsync_search import matches
from prodsys.connectors.superoffice.asked import MOST_AT_ONCE, Members, NotDone, connection_of, field_keys, list_of, not_supported, type_of
from prodsys.connectors.superoffice.cards import COMPANIES, FIELDS, PERSON, TYPES, actor_of, actors_of, values_of
from prodsys.connectors.superoffice.desk import Desk, Found

MOST_FOUND = 1_000
"""Actors a search answers at most; it says so when there were more."""
MOST_LOOKED_AT = 100_000

_PARENT = frozenset({"parenterpkey", "parentactortype"})

_SEARCHED = {"Customer": ("NAME", "ORGNO", "VATNO", "EMAIL"), "Supplier": ("NAME", "ORGNO", "VATNO", "EMAIL"), PERSON: ("EMAIL",)}
_BLANKS = re.compile(r"\s+")


async def get_supported_actor_types(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    return wire.result(Items=list(TYPES))


async def get_supported_actor_type_fields(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    return wire.result(FieldMetaDataObjects=list(FIELDS[type_of(asked)].values()))


async def get_searchable_fields(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    return wire.result(Items=list(FIELDS[type_of(asked)]))


async def get_actors(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    type_, keys = type_of(asked), field_keys(asked)
    wanted = [key for key in dict.fromkeys(wire.texts(asked.get("ErpKeys"))) if key]
    if len(wanted) > MOST_AT_ONCE:
        raise NotDone(f"At most {MOST_AT_ONCE} can be asked for at once.")
    return wire.result(Actors=actors_of(type_, await desk.get(type_, wanted), keys))


async def search_actors(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    type_, keys = type_of(asked), field_keys(asked)
    said = wire.word(asked, "SearchText").strip("% ")
    return await _searched(desk.every(type_), type_, keys, lambda values: _is_like(type_, values, said))


async def search_actor_by_parent(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    type_, keys = type_of(asked), field_keys(asked)
    if type_ != PERSON:
        raise NotDone("Only persons belong to a company.", tech=f"{type_} has no parent.")
    parent = type_of(asked, "ParentActorType", COMPANIES)
    said = wire.word(asked, "SearchText").strip("% ")
    found = await desk.persons_of(parent, wire.word(asked, "ParentActorErpKey"))
    return await _searched(_once(found), type_, keys, lambda values: _is_like(type_, values, said))


async def search_actors_advanced(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    type_, keys = type_of(asked), field_keys(asked)
    listed = wire.restrictions(asked.get("Restrictions"))
    parents = {one.key.casefold(): one.values[0] for one in listed if one.key.casefold() in _PARENT and one.values}
    fields = FIELDS[type_]
    own = [one for one in listed if one.key.casefold() not in _PARENT]
    if strangers := [one.key for one in own if one.key not in fields]:
        raise NotDone(f"There is no field {strangers[0][:60]}.", code=wire.UNKNOWN_FIELD)
    try:
        # Tried once on nothing, so that a wrong operator is told even where nothing is found.
        for one in own:
            matches(fields[one.key].type, None, one)
    except ValueError as error:
        raise NotDone("This search cannot be carried out.", tech=str(error)) from None
    if parents:
        if type_ != PERSON:
            return wire.result(Actors=[])
        parent = next((one for one in COMPANIES if one.casefold() == parents.get("parentactortype", "Customer").casefold()), None)
        if parent is None:
            raise not_supported(parents["parentactortype"])
        pieces = _once(await desk.persons_of(parent, parents.get("parenterpkey", "")))
    else:
        pieces = desk.every(type_)
    return await _searched(pieces, type_, keys, lambda values: all(matches(fields[one.key].type, values[one.key], one) for one in own))


async def get_actors_by_timestamp(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    type_, keys = type_of(asked), field_keys(asked)
    said = wire.word(asked, "UpdatedOnOrAfter").strip()
    try:
        moment = wire.decoded("Datetime", said)
    except ValueError:
        raise NotDone("The time of the last synchronization cannot be read.", tech=f"{said[:60]} was not told by us.") from None
    found: list[Actor] = []
    async for piece in desk.changed(type_, moment if isinstance(moment, dt.datetime) else None):
        found += actors_of(type_, piece, keys)
    return wire.result(Actors=sorted(found, key=lambda one: one.changed))


async def get_list(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk, also_none=True)
    return wire.result(ListItems=dict(list_of(asked)))


async def get_list_items(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk, also_none=True)
    listed, keys = list_of(asked), [str(wire.decoded("List", key)) for key in wire.texts(asked.get("ListItemKeys"))]
    unknown = [key for key in keys if key not in listed]
    items = {key: listed[key] for key in keys if key in listed}
    if not unknown:
        return wire.result(ListItems=items)
    user = f"{', '.join(unknown[:5])[:200]} is not in the list."
    return wire.result("Warning" if items else "Error", code=wire.UNKNOWN_LIST_ITEM, user=user, tech=user, ListItems=items)


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
