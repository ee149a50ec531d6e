"""The operations that make and change actors."""

from collections.abc import Mapping
from typing import Any

import msgspec

from prodsys.codes import is_country
from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import text
from prodsys.connectors._erpsync import Actor, Value
from prodsys.connectors.superoffice.asked import MOST_AT_ONCE, Members, NotDone, connection_of, declined, must_be_writable, not_supported
from prodsys.connectors.superoffice.cards import COUNTRIES, FIELDS, TYPES, actor_of
from prodsys.connectors.superoffice.desk import Declined, Desk, Done, Wanted


async def create_actor(asked: Mapping[str, Any], desk: Desk) -> Members:
    settings = await connection_of(asked, desk)
    must_be_writable(settings)
    sent = wire.actor(asked.get("Actor"))
    if sent is None:
        raise NotDone("There is nothing to be made.", tech="Actor is missing.")
    done = _checked(msgspec.structs.replace(sent, key=""))
    if isinstance(done, Wanted):
        made = await desk.create(done, settings)
        if isinstance(made, Done):
            state: wire.State = "OkWithInfo" if made.remark else "Ok"
            return wire.result(state, user=made.remark, Actor=actor_of(done.type, made.found, ()))
        done = made
    return declined(done)


async def save_actors(asked: Mapping[str, Any], desk: Desk) -> Members:
    settings = await connection_of(asked, desk)
    must_be_writable(settings)
    sent = wire.actors(asked.get("Actors"))
    if len(sent) > MOST_AT_ONCE:
        raise NotDone(f"At most {MOST_AT_ONCE} can be saved at once.")
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


def _checked(sent: Actor) -> Wanted | Declined:
    """An actor as it was sent, its values read by their fields' types, or why it cannot be taken."""
    type_ = next((one for one in TYPES if one.casefold() == sent.type.strip().casefold()), None)
    if type_ is None:
        return not_supported(sent.type).declined
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
