"""All 17 operations of ErpConnectorWS, which SuperOffice calls; who stands behind the `Desk` keeps the contacts."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from prodsys.connectors import _erpsync as wire
from prodsys.connectors.superoffice import changing, connecting, searching
from prodsys.connectors.superoffice.asked import Members, NotDone, declined
from prodsys.connectors.superoffice.desk import Desk

Operation = Callable[[Mapping[str, Any], Desk], Awaitable[Members]]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered; `members_in` is the namespace the caller's members stood in, empty where he sent none."""

    content: bytes
    operation: str
    status: int = 200
    members_in: str = ""


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
    except NotDone as error:
        members = declined(error.declined)
    namespace = asked.members_in or members_in
    content = wire.written(
        f"{asked.name}Response", f"{asked.name}Result", members, namespace=asked.namespace or wire.SERVICE, members_in=namespace
    )
    return Answer(content=content, operation=asked.name, members_in=asked.members_in)


OPERATIONS: Mapping[str, Operation] = {
    "WSGetConfigData": connecting.get_config_data,
    "WSTestConfigData": connecting.try_config_data,
    "WSSaveConnection": connecting.save_connection,
    "WSTestConnection": connecting.try_connection,
    "WSDeleteConnection": connecting.delete_connection,
    "WSGetSupportedActorTypes": searching.get_supported_actor_types,
    "WSGetSupportedActorTypeFields": searching.get_supported_actor_type_fields,
    "WSGetSearchableFields": searching.get_searchable_fields,
    "WSGetActors": searching.get_actors,
    "WSSearchActors": searching.search_actors,
    "WSSearchActorByParent": searching.search_actor_by_parent,
    "WSSearchActorsAdvanced": searching.search_actors_advanced,
    "WSCreateActor": changing.create_actor,
    "WSSaveActors": changing.save_actors,
    "WSGetList": searching.get_list,
    "WSGetListItems": searching.get_list_items,
    "WSGetActorsByTimestamp": searching.get_actors_by_timestamp,
}
"""Every operation of the interface."""
