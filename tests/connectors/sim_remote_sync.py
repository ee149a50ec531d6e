"""A sync connector somebody wrote for SuperOffice, in front of an ERP of theirs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import Known
from prodsys.connectors._erpsync import Actor, Field
from prodsys.documents import Address, ContactCard
from prodsys.kit.clock import now
from tests.connectors.loopback import Asked, Reply, Simulator

FORM = [
    Field(key="COMPANY", name="Company", type="List", list="companies", access="Mandatory", rank=1),
    Field(key="PASSWORD", name="Password", type="Password", access="Mandatory", rank=2),
    Field(key="DAYS", name="Days to look back", type="Integer", default="[I:30]", rank=3),
    Field(key="HEAD", name="These are read every night.", type="Label", rank=4),
]
COMPANIES = {"1": "Oslo", "2": "Bergen"}
PASSWORD = "open-sesame"
_COMPANY = ("NAME", "NUMBER2", "ORGNO", "VATNO", "EMAIL", "PHONE", "STREETAD1", "STREETZIP", "STREETCITY", "COUNTRY")
_PERSON = ("FIRSTNAME", "LASTNAME", "EMAIL")
FIELDS = {
    type_: [Field(key=key, name=key.title(), rank=rank) for rank, key in enumerate(keys, 1)]
    for type_, keys in {"Customer": _COMPANY, "Supplier": _COMPANY, "Person": _PERSON}.items()
}

Members = Mapping[str, Any]


class RemoteSyncSim(Simulator):
    """It has no namespace of its own, knows a connection once it was saved, and declines what it does not know."""

    name = "remote_sync"
    examples: ClassVar[Mapping[str, Any]] = {
        "contacts": ContactCard(
            number="C-7",
            name="Havn Bygg AS",
            organisation_number="974760673",
            vat_number="NO974760673MVA",
            email="post@havn.example",
            phone="+47 55 00 00 00",
            address=Address(street="Kaiveien", house_number="7B", postcode="5003", city="Bergen", country="NO"),
        )
    }
    recordings: ClassVar[Mapping[str, list[dict[str, Any]]]] = {
        "contacts": [
            {
                "type": "Customer",
                "key": "erp831",
                "changed": "103423595",
                "values": {
                    "NAME": "Orkdal Senter AS",
                    "NUMBER1": "4343321",
                    "STDTERMS": "60",
                    "SUPPLIERLIMIT": "x2",
                    "ADDRESS1": "Oveien 544",
                },
            }
        ]
    }

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, dict[str, str]] = {}
        self.rows: list[Actor] = []
        self.namespace = wire.SERVICE

    def config(self) -> dict[str, Any]:
        return {"name": "Old ERP", "url": f"{self.url}/ErpConnectorWS.svc", "timestamps": "moments", "fields": self._filled(PASSWORD)}

    def wrong(self) -> dict[str, Any]:
        return {"fields": self._filled("open-barley")}

    def held(self, kind: str) -> int:
        return len([row for row in self.rows if row.type != "Person"])

    def known(self, kind: str) -> Known:
        return Known()

    def put(self, **members: Any) -> Actor:
        """A record somebody typed in there."""
        row = Actor(key=f"erp{len(self.rows) + 1}", changed=f"{now():%Y-%m-%dT%H:%M:%S.%f}Z", **members)
        self.rows.append(row)
        return row

    async def answer(self, asked: Asked) -> Reply:
        said = wire.read(asked.body)
        assert asked.headers["soapaction"].strip('"').endswith(f"/{said.name}")
        result = self._result(said.name, said.members.get("request") or {})
        content = wire.written(f"{said.name}Response", f"{said.name}Result", result, members_in=self.namespace)
        return Reply(raw=content, headers={"content-type": "text/xml; charset=utf-8"})

    def _result(self, operation: str, asked: Members) -> Members:
        match operation:
            case "WSGetConfigData":
                return wire.result(FieldMetaDataObjects=FORM)
            case "WSGetList":
                assert asked["ConnectionGuid"] == wire.NO_GUID
                return wire.result(ListItems=COMPANIES)
            case "WSTestConfigData":
                return self._judged(wire.pairs(asked.get("ConnectionInfo")))
            case "WSSaveConnection":
                given = wire.pairs(asked.get("ConnectionInfo"))
                judged = self._judged(given)
                if judged["IsOk"]:
                    self.saved[asked["ConnectionGuid"]] = given
                return judged
            case _:
                pass
        if asked.get("ConnectionGuid") not in self.saved:
            return wire.result("Error", code=wire.UNKNOWN_CONNECTION, user='US:"No such connection";NO:"Finnes ikke"')
        return self._of_connection(operation, asked, wire.word(asked, "ActorType"))

    def _of_connection(self, operation: str, asked: Members, type_: str) -> Members:
        rows = [row for row in self.rows if row.type == type_]
        match operation:
            case "WSTestConnection":
                return wire.result()
            case "WSGetSupportedActorTypes":
                return wire.result(Items=list(FIELDS))
            case "WSGetSupportedActorTypeFields":
                return wire.result(FieldMetaDataObjects=FIELDS[type_])
            case "WSGetActors":
                return _found([row for row in rows if row.key in wire.texts(asked.get("ErpKeys"))])
            case "WSGetActorsByTimestamp":
                return _found([row for row in rows if row.changed >= wire.word(asked, "UpdatedOnOrAfter")])
            case "WSSearchActorByParent":
                return _found([row for row in rows if row.parent_key == asked["ParentActorErpKey"]])
            case "WSSearchActorsAdvanced":
                [wanted] = wire.restrictions(asked["Restrictions"])
                return _found([row for row in rows if row.values.get(wanted.key, "").casefold() == wanted.values[0].casefold()])
            case "WSCreateActor":
                sent = wire.actor(asked["Actor"])
                assert sent is not None
                made = self.put(type=sent.type, values=sent.values)
                return wire.result(Actor=made)
            case "WSSaveActors":
                [sent] = wire.actors(asked["Actors"])
                self.rows = [
                    msgspec.structs.replace(row, values={**row.values, **sent.values}) if row.key == sent.key else row for row in self.rows
                ]
                return _found([row for row in self.rows if row.key == sent.key])
            case _:
                raise AssertionError(operation)

    def _judged(self, given: Members) -> Members:
        if given.get("COMPANY") in COMPANIES and given.get("PASSWORD") == PASSWORD:
            return wire.result()
        return wire.result("Error", user='US:"Wrong company or password";NO:"Feil firma eller passord"', tech="401")

    def _filled(self, password: str) -> str:
        return msgspec.json.encode({"COMPANY": "1", "PASSWORD": password}).decode()


def _found(rows: Sequence[Actor]) -> Members:
    return wire.result(Actors=rows)


SIMULATOR = RemoteSyncSim
