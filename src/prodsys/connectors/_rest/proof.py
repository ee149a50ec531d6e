"""How we prove to a system who we are: by password, key, signature or a token that is renewed."""

import asyncio
import base64
import datetime as dt
import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from prodsys.connectors._base import Grant, Reach, Secret, Trouble
from prodsys.connectors._rest.answers import Request, not_answered, read_body
from prodsys.kit import outbound
from prodsys.kit.clock import now
from prodsys.kit.outbound import Answered, Call, Later, Misconfigured

RENEW_BEFORE = dt.timedelta(seconds=60)
"""A token is renewed when it has less than this left, or less than half of a shorter life."""


class Auth:
    """How we prove who we are; this one does not. `fields` are those of the form that are at fault when we are not believed."""

    fields: tuple[str, ...] = ()

    async def headers(self, request: Request) -> Mapping[str, str] | Trouble:
        """The headers that prove it, for one call."""
        return {}

    async def turned_away(self) -> bool:
        """A 401 came; whether it is worth trying once more."""
        return False

    def doubts(self, request: Request, answer: Answered) -> Misconfigured | Later | None:
        """Why an answer cannot be believed; None when it can, or when answers prove nothing."""
        return None


class Basic(Auth):
    """A user name and a password (RFC 7617)."""

    def __init__(self, user: str, password: Secret, *, fields: tuple[str, ...] = ("user", "password")) -> None:
        self._user, self._password, self.fields = user, password, fields

    async def headers(self, request: Request) -> Mapping[str, str] | Trouble:
        return {"authorization": basic(self._user, self._password)}


class ApiKey(Auth):
    """A key in a header."""

    def __init__(self, key: Secret, header: str = "authorization", prefix: str = "", *, fields: tuple[str, ...] = ("api_key",)) -> None:
        self._key, self._header, self._prefix, self.fields = key, header, prefix, fields

    async def headers(self, request: Request) -> Mapping[str, str] | Trouble:
        return {self._header: f"{self._prefix}{self._key.reveal()}"}


class Signed(Auth):
    """Each request is signed anew; `sign(request, moment)` gives its headers, `is_genuine` says whether an answer's signature holds."""

    def __init__(
        self,
        sign: Callable[[Request, dt.datetime], Mapping[str, str]],
        is_genuine: Callable[[Request, Answered], bool] | None = None,
        *,
        fields: tuple[str, ...],
    ) -> None:
        self._sign, self._is_genuine, self.fields = sign, is_genuine, fields

    async def headers(self, request: Request) -> Mapping[str, str] | Trouble:
        return self._sign(request, now())

    def doubts(self, request: Request, answer: Answered) -> Misconfigured | Later | None:
        if self._is_genuine is None or answer.status >= 300 or self._is_genuine(request, answer):
            return None
        return Misconfigured(reason="signature_invalid", detail="The other side's answer is not signed with the secret we share.")


class Granted(Auth, ABC):
    """Something they grant us for a time, renewed by one of us at a time and kept before it is used (`Reach.grants`)."""

    scheme: ClassVar[str] = "Bearer"
    renew_before: ClassVar[dt.timedelta] = RENEW_BEFORE
    """It is renewed when it has less than this left."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._used: Grant | None = None

    @abstractmethod
    async def ask(self, current: Grant | None) -> Grant | Trouble:
        """Ask them for it, in exchange for the present one where they want that."""

    async def headers(self, request: Request) -> Mapping[str, str] | Trouble:
        grant = await self._reach.grants.read()
        if grant is None or grant.expires_at - now() < self.renew_before:
            renewed = await self._reach.grants.renew(grant, self.ask)
            if not isinstance(renewed, Grant):
                return renewed
            grant = renewed
        self._used = grant
        return {"authorization": f"{self.scheme} {grant.access_token.reveal()}"}

    async def turned_away(self) -> bool:
        used = self._used
        renewed = await self._reach.grants.renew(used, self.ask)
        return isinstance(renewed, Grant) and renewed != used


class OAuth(Granted):
    """A bearer token.

    `credentials` says where id and secret travel: in the body, or as HTTP Basic. With `sign_in`, the address where a person signs in, the
    first grant comes from him, `more` is asked for there, and refresh tokens may be good once only; without, the token is asked for by id
    and secret alone.
    """

    def __init__(
        self,
        reach: Reach,
        token_url: str,
        client_id: str,
        client_secret: Secret,
        *,
        scope: str = "",
        more: Mapping[str, str] | None = None,
        credentials: Literal["body", "basic"] = "body",
        sign_in: str = "",
        fields: tuple[str, ...] = ("client_id", "client_secret"),
    ) -> None:
        super().__init__(reach)
        self._token_url, self._client_id, self._client_secret = token_url, client_id, client_secret
        self._scope, self._more, self._credentials, self._sign_in = scope, dict(more or {}), credentials, sign_in
        self._redirect_uri = f"{reach.public_url}/api/v1/connections/authorized"
        self.fields = fields

    def sign_in_url(self, state: str) -> str:
        """Where a person signs in, and comes back to us with a code."""
        asked = {"response_type": "code", "client_id": self._client_id, "redirect_uri": self._redirect_uri, "scope": self._scope,
                 "state": state}  # fmt: skip
        return f"{self._sign_in}?{urlencode({name: said for name, said in (asked | self._more).items() if said})}"

    async def exchanged(self, code: str) -> Grant | Trouble:
        """The first grant, for the code a person's sign-in ended with."""
        return await self._grant({"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri})

    async def ask(self, current: Grant | None) -> Grant | Trouble:
        if not self._sign_in:
            scope = {"scope": self._scope} if self._scope else {}
            return await self._grant({"grant_type": "client_credentials"} | scope | self._more)
        if current is None or current.refresh_token is None:
            return Misconfigured(reason="not_authorized", detail="Nobody has signed in at the other system for this connection yet.")
        return await self._grant({"grant_type": "refresh_token", "refresh_token": current.refresh_token.reveal()}, current)

    async def _grant(self, form: dict[str, str], current: Grant | None = None) -> Grant | Trouble:
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self._credentials == "basic":
            headers["authorization"] = basic(self._client_id, self._client_secret)
        else:
            form = form | {"client_id": self._client_id, "client_secret": self._client_secret.reveal()}
        call = Call(method="POST", url=self._token_url, headers=headers, content=urlencode(form).encode(), trust="admin",
                    timeout=self._reach.timeout)  # fmt: skip
        outcome = await self._reach.out.send(call)
        if not isinstance(outcome, Answered):
            return not_answered(outcome)
        if outcome.status in (408, 425, 429) or outcome.status >= 500:
            return Later(
                reason=f"status_{outcome.status}",
                detail=f"The sign-in answered {outcome.status}.",
                retry_after=outbound.retry_after(outcome),
            )
        told = read_body(outcome.content)
        token = told.get("access_token") if isinstance(told, dict) else None
        if outcome.status >= 300 or not isinstance(token, str) or not token:
            why = outbound.plain(str(told.get("error", "")), 100) if isinstance(told, dict) else ""
            more = outbound.plain(str(told.get("error_description", "")), 300) if isinstance(told, dict) else ""
            detail = f"The sign-in did not give us a token: {' - '.join(part for part in (why, more) if part) or outcome.status}."
            return Misconfigured(reason=why if re.fullmatch(r"[a-z_]{1,60}", why) else "not_authorized", detail=detail)
        try:
            seconds = float(told.get("expires_in") or 3600)
        except (TypeError, ValueError):
            seconds = 3600.0
        # A token that lives shorter than our margin must still be used once.
        life = dt.timedelta(seconds=max(seconds, 0.0)) + (RENEW_BEFORE / 2 if seconds < RENEW_BEFORE.total_seconds() else dt.timedelta())
        refresh = told.get("refresh_token")
        kept = Secret(refresh) if isinstance(refresh, str) and refresh else (current.refresh_token if current else None)
        return Grant(access_token=Secret(token), expires_at=now() + life, refresh_token=kept)


class GrantsHere:
    """A grant kept in memory: for a test of a connection that is not saved yet."""

    def __init__(self, grant: Grant | None = None) -> None:
        self.grant = grant
        self._turn = asyncio.Lock()

    async def read(self) -> Grant | None:
        """The grant as it is kept now."""
        return self.grant

    async def renew(self, stale: Grant | None, ask: Callable[[Grant | None], Any]) -> Grant | Trouble:
        """See `Grants.renew`."""
        async with self._turn:
            if self.grant is not None and self.grant != stale:
                return self.grant
            brought: Grant | Trouble = await ask(self.grant)
            if isinstance(brought, Grant):
                self.grant = brought
            return brought


def basic(user: str, password: Secret) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode("ascii")


def new_state() -> str:
    """An unguessable text that ties a sign-in's end to its beginning."""
    return secrets.token_urlsafe(32)


def state_digest(state: str) -> str:
    """What is kept of a state."""
    return hashlib.sha256(state.encode()).hexdigest()
