"""How a sync connector is called: the operations of ErpConnectorWS, as SuperOffice asks for them."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from prodsys.connectors import _erpsync as wire
from prodsys.connectors._base import Check, Choice, Later, Misconfigured, Problem, Refused, Trouble
from prodsys.connectors._erpsync import Field
from prodsys.connectors._rest import Answer, Request, RestConnector
from prodsys.connectors.remote_sync.form import filled
from prodsys.kit import outbound
from prodsys.kit.outbound import Answered

_ABOUT_SETTINGS = frozenset({"WSTestConfigData", "WSSaveConnection", "WSTestConnection"})


class ErpConnectorWS(RestConnector):
    """The interface of a sync connector, at the address of the form."""

    address_field = "url"

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

    async def described(self) -> list[Field] | Trouble:
        """The remote's own fields, asked now."""
        found = await self.call("WSGetConfigData", own=False)
        if not isinstance(found, dict):
            return found
        try:
            return wire.fields(found.get("FieldMetaDataObjects"))
        except ValueError:
            return Misconfigured(reason="unreadable", detail="The remote connector describes fields of a kind nobody knows.")

    async def entries(self, name: str) -> list[Choice] | Trouble:
        """The entries of a list of theirs, before there is a connection."""
        found = await self.call("WSGetList", own=False, ConnectionGuid=wire.NO_GUID, ListName=name)
        if not isinstance(found, dict):
            return found
        return [Choice(id=key, title=outbound.plain(title, 200)) for key, title in wire.pairs(found.get("ListItems")).items()]


def _in_english(said: str) -> str:
    """The English part of a text that comes in several languages (`US:"…";NO:"…"`)."""
    if not said.startswith(('US:"', 'NO:"', 'GE:"')):
        return said
    _, found, rest = said.partition('US:"')
    return rest.partition('"')[0] if found else said
