"""The operations about a connection: what it can be told, and that it is there."""

from collections.abc import Mapping
from typing import Any

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._erpsync import Field
from prodsys.connectors.superoffice.asked import Members, NotDone, connection_of, guid_of, settings_of
from prodsys.connectors.superoffice.cards import COUNTRIES
from prodsys.connectors.superoffice.desk import Desk

CONFIG_FIELDS = (
    Field(
        key="COUNTRY", name="Country of new companies", type="List", list=COUNTRIES, rank=1,
        about="Used where a company is made without a country.",
    ),
    Field(key="READONLY", name="Only read", type="Checkbox", default="[I:0]", rank=2, about="Nothing is made or changed at the other end."),
)  # fmt: skip


async def get_config_data(_: Mapping[str, Any], __: Desk) -> Members:
    return wire.result(FieldMetaDataObjects=list(CONFIG_FIELDS))


async def try_config_data(asked: Mapping[str, Any], _: Desk) -> Members:
    settings_of(wire.pairs(asked.get("ConnectionInfo")))
    return wire.result(user="ProdSys Exchange answers, and these settings can be used.")


async def save_connection(asked: Mapping[str, Any], desk: Desk) -> Members:
    guid = guid_of(asked)
    if guid == wire.NO_GUID:
        raise NotDone("A connection needs an id of its own.", code=wire.UNKNOWN_CONNECTION)
    await desk.save(guid, settings_of(wire.pairs(asked.get("ConnectionInfo"))))
    return wire.result()


async def try_connection(asked: Mapping[str, Any], desk: Desk) -> Members:
    await connection_of(asked, desk)
    return wire.result()


async def delete_connection(asked: Mapping[str, Any], desk: Desk) -> Members:
    await desk.forget(guid_of(asked))
    return wire.result()
