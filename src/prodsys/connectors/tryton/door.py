"""How a Tryton database is asked: methods of its models, in its wrapping, for the company we work for."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from prodsys.connectors._base import Check, Reach, Trouble, at, text
from prodsys.connectors._rest import Answer, Auth, RestConnector
from prodsys.connectors.tryton.session import Config, Session
from prodsys.connectors.tryton.words import plain, wrapped
from prodsys.kit.outbound import Answered, Later, Misconfigured, Problem, Refused


class Door(RestConnector):
    """One company in a Tryton database, as one of its users."""

    Config = Config

    def __init__(self, config: Any, reach: Reach) -> None:
        super().__init__(config, reach)
        self._company: Mapping[str, Any] | None = None
        self._known: dict[str, Mapping[str, int]] = {}
        self._turns = asyncio.Semaphore(self.at_once)

    def auth(self) -> Auth:
        return Session(self.config, self.reach)

    def trouble_in(self, answer: Answered, body: Any) -> Trouble | None:
        error = body.get("error") if isinstance(body, dict) and answer.status == 200 else None
        if not isinstance(error, list) or not error:
            return None
        kind, said = str(error[0]), error[1] if len(error) > 1 and isinstance(error[1], list) else []
        if kind == "ConcurrencyException":
            return Later(reason="concurrency", detail="Somebody changed the record in Tryton at the same moment.")
        if kind == "LoginException":
            return Misconfigured(
                reason="unauthorized", detail="Tryton asks this user for more than a password; use one that needs no more."
            )
        words = [text(one, 1000) for one in (said[1:3] if kind == "UserWarning" else said[:2]) if one]
        if kind in ("UserError", "UserWarning") and words:
            return Refused(problem=Problem(status=422, code=kind, title=words[0], detail=" ".join(words) if len(words) > 1 else ""))
        # The whole transaction is undone there when its code stumbles, so nothing has happened.
        return Refused(problem=Problem(status=500, code="stumbled", title=f"Tryton stumbled over this: {text(kind, 300)}"))

    def blame(self, trouble: Trouble) -> Check:
        if isinstance(trouble, Misconfigured) and trouble.reason in ("no_database", "no_company"):
            return Check(field=trouble.reason.removeprefix("no_"), message=trouble.detail)
        return super().blame(trouble)

    async def _working(self) -> Mapping[str, Any] | Trouble:
        """The company we work for: id, name, currency."""
        if self._company is None:
            answer = await self._call("company.company.search_read", [], 0, None, None, ["party.name", "currency.code"])
            if not isinstance(answer, Answer):
                return answer
            named = [row for row in answer.body if self.config.company in ("", row["party"]["name"])]
            if len(named) != 1:
                names = ", ".join(text(row["party"]["name"], 80) for row in answer.body)
                detail = f"This user works for {names or 'no company'} in Tryton; name one of them." if not named or names else ""
                return Misconfigured(reason="no_company", detail=detail)
            self._company = {"id": named[0]["id"], "name": named[0]["party"]["name"], "currency": named[0]["currency"]["code"]}
        return self._company

    async def _codes(self, model: str) -> Mapping[str, int] | Trouble:
        """Their ids of countries or currencies by code, read once."""
        if model not in self._known:
            answer = await self._asked(f"{model}.search_read", [], 0, None, None, ["code"])
            if not isinstance(answer, Answer):
                return answer
            self._known[model] = {row["code"]: row["id"] for row in answer.body}
        return self._known[model]

    async def _by_code(self, model: str, codes: Collection[str]) -> Mapping[str, int] | Trouble:
        """Their ids of records by code; refused where one is not there."""
        answer = await self._asked(f"{model}.search_read", [["code", "in", sorted(codes)]], 0, None, None, ["code"])
        if not isinstance(answer, Answer):
            return answer
        found = {row["code"]: row["id"] for row in answer.body}
        if missing := sorted(set(codes) - found.keys()):
            what = model.rpartition(".")[2]
            return Refused(problem=Problem(status=422, code="not_there", title=f"Tryton has no {what} {', '.join(missing)}."))
        return found

    async def _asked(self, method: str, *arguments: Any, is_write: bool = False, **context: Any) -> Answer | Trouble:
        company = await self._working()
        if not isinstance(company, Mapping):
            return company
        return await self._call(method, *arguments, is_write=is_write, company=company["id"], **context)

    async def _call(self, method: str, *arguments: Any, is_write: bool = False, **context: Any) -> Answer | Trouble:
        """One method of a model, in their wrapping; the answer's body is its result without it."""
        body = {"id": 0, "method": f"model.{method}", "params": wrapped([*arguments, context])}
        answer = await self.ask("POST", f"/{quote(self.config.database, safe='')}/", body=body, is_write=is_write)
        if isinstance(answer, Answer):
            return msgspec.structs.replace(answer, body=plain(at(answer.body, "result")))
        return msgspec.structs.replace(answer, sent=False) if isinstance(answer, Later) and not is_write else answer
