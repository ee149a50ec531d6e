"""A person who may sign in, and what a password must be."""

import datetime as dt
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.documents import Issue
from prodsys.kit.db import Tx
from prodsys.scopes import Caller, Scope

MIN_PASSWORD = 12
MAX_PASSWORD = 1_000

Email = Annotated[str, Meta(min_length=3, max_length=120)]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person as an admin sees it."""

    id: str
    email: str
    name: str
    scopes: list[str]
    is_active: bool
    created_at: dt.datetime
    signed_in_at: dt.datetime | None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in: a token of the house for a few hours, shown once."""

    token: str
    expires_at: dt.datetime


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """How sign-ins are opened and ended; they are tokens, and this room does not know tokens, so `app` fills this in."""

    open: Callable[[Tx, int, str, frozenset[Scope]], Opened]
    """Unit: (key of the person, e-mail, scopes) -> the token."""
    end: Callable[[Tx, Caller], bool]
    """Unit: end the sign-in the caller came with; False when it is no sign-in."""
    end_all: Callable[[Tx, int], None]
    """Unit: end every sign-in of the person with this key."""


def email_key(email: str) -> str:
    """An e-mail address as it is kept and compared: trimmed and casefolded. Raises Invalid for what cannot be one."""
    key = email.strip().casefold()
    name, at, host = key.rpartition("@")
    if not (name and at and host) or any(sign.isspace() or not sign.isprintable() for sign in key):
        raise _invalid("email_invalid", "This is not an e-mail address.", "/email")
    return key


def check_password(password: str) -> None:
    """Raise Invalid unless it has 12 to 1,000 characters; nothing else is asked of it (NIST SP 800-63B)."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise _invalid("password_length", f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.", "/password")


def must_carry(caller: Caller, scopes: frozenset[Scope]) -> None:
    """Raise ScopeNotYours when the caller lacks one of these: nobody grants, or signs in with, what he does not carry himself."""
    lacking = sorted(scope for scope in scopes if not caller.may(scope))
    if lacking:
        raise errors.ScopeNotYours(
            f"You do not carry {', '.join(lacking)} yourself.",
            issues=[
                Issue(
                    code="scope_not_yours",
                    message=f"You do not carry {scope} yourself.",
                    params={"scope": scope.value},
                    pointer="/scopes",
                    blocks=True,
                )
                for scope in lacking
            ],
        )


def _invalid(code: str, message: str, pointer: str) -> errors.Invalid:
    return errors.Invalid(message, issues=[Issue(code=code, message=message, pointer=pointer, blocks=True)])
