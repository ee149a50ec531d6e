"""What an admin fills in to connect a Tryton database, and how we work in it: as one of its users, by password."""

import base64
import datetime as dt
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from prodsys.connectors._base import Grant, Reach, Secret, Trouble, at
from prodsys.connectors._rest import Answer, Granted, RestConnector
from prodsys.kit.clock import now
from prodsys.kit.outbound import Misconfigured, Refused

SESSION = dt.timedelta(days=30)
"""How long a session lasts there unless it is used; one that ended earlier is begun anew at the first 401."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The form an admin fills in."""

    base_url: Annotated[str, Meta(title="Address of the server", min_length=1, examples=["https://tryton.example:8000"])]
    database: Annotated[str, Meta(title="Database", min_length=1, examples=["production"])]
    user: Annotated[str, Meta(title="User", description="A user of its own, with the rights this connection needs.", min_length=1)]
    password: Annotated[Secret, Meta(title="Password")]
    company: Annotated[str, Meta(title="Company", description="Its name in Tryton; may be left out where the user has only one.")] = ""


class Session(Granted):
    """A session that is begun with user and password and goes on until it is not used for a month, or somebody ends it there."""

    scheme = "Session"
    renew_before = dt.timedelta()
    fields = ("user", "password")

    def __init__(self, config: Config, reach: Reach) -> None:
        super().__init__(reach)
        self._config = config
        self._door = RestConnector(config, reach)

    async def ask(self, current: Grant | None) -> Grant | Trouble:
        user, password = self._config.user, self._config.password.reveal()
        body = {"id": 0, "method": "common.db.login", "params": [user, {"password": password}, "en"]}
        answer = await self._door.ask("POST", f"/{quote(self._config.database, safe='')}/", body=body, is_write=False)
        if isinstance(answer, Refused) and answer.problem.status == 404:
            return Misconfigured(reason="no_database", detail=f"There is no database {self._config.database} at this address.")
        if not isinstance(answer, Answer):
            return answer
        session = at(answer.body, "result")
        if not isinstance(session, list) or len(session) < 2:
            return Misconfigured(
                reason="unauthorized", detail="Tryton asks this user for more than a password; use one that needs no more."
            )
        token = base64.b64encode(f"{user}:{session[0]}:{session[1]}".encode()).decode("ascii")
        return Grant(access_token=Secret(token), expires_at=now() + SESSION)
