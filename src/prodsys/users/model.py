"""People and groups, what they may do, and what a password must be."""

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from prodsys import errors
from prodsys.documents import Issue, Name
from prodsys.kit.db import Tx
from prodsys.kit.states import etag
from prodsys.scopes import ROLES, Caller, Role, Scope

MIN_PASSWORD = 12
MAX_PASSWORD = 1_000
NO_PASSWORD = "!"  # noqa: S105 - no hash, so nothing fits it
"""Kept for who was invited and has not chosen a password yet."""

SESSION_LIFETIME = dt.timedelta(hours=12)
SESSION_IDLE = dt.timedelta(hours=2)

Email = Annotated[str, Meta(min_length=3, max_length=120)]
Password = Annotated[str, Meta(max_length=MAX_PASSWORD)]
NewPassword = Annotated[str, Meta(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
Scopes = Annotated[list[Scope], Meta(max_length=len(Scope))]
Language = Literal["", "en", "nb", "de", "pl"]
"""Empty: as the browser asks."""
Theme = Literal["system", "light", "dark"]
Kind = Literal["first_admin", "invitation", "reset"]
"""What a one-time code is good for."""

LIFETIMES: Mapping[Kind, dt.timedelta] = {
    "first_admin": dt.timedelta(hours=1),
    "invitation": dt.timedelta(hours=24),
    "reset": dt.timedelta(hours=1),
}
PATHS: Mapping[Kind, str] = {"first_admin": "/first-admin", "invitation": "/invitation", "reset": "/new-password"}
"""The pages where a code is used, as `?code=`."""

FIRST_GROUPS: Mapping[str, Role] = {"Administrators": "admin", "Buyers": "buyer", "Sellers": "seller", "Viewers": "viewer"}
"""What a new instance has, so that the first colleague can be given a role."""


class GroupName(msgspec.Struct, frozen=True, kw_only=True):
    """A group as it is named beside a person."""

    id: str
    name: str
    role: Role | None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person as an admin sees it."""

    id: str
    email: str
    name: str
    scopes: Annotated[list[str], Meta(description="The person's own, beside those of the groups.")]
    groups: list[GroupName]
    carries: Annotated[list[str], Meta(description="What the person may do in all: own scopes and those of the groups.")]
    is_active: bool
    is_invited: Annotated[bool, Meta(description="True until the person has chosen a password.")]
    language: Annotated[Language, Meta(description="Empty: as the browser asks.")]
    theme: Theme
    has_shortcuts: Annotated[bool, Meta(description="Whether single keys do something on pages.")]
    created_at: dt.datetime
    signed_in_at: dt.datetime | None
    version: int


class UserPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What an admin changes of a person; what is left out stays."""

    name: Name | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    scopes: Annotated[list[Scope], Meta(max_length=len(Scope))] | UnsetType = UNSET
    groups: Annotated[list[str], Meta(max_length=200, description="Ids of all groups the person is to be in.")] | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    theme: Theme | UnsetType = UNSET
    has_shortcuts: bool | UnsetType = UNSET


class Preferences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What people choose for themselves; what is left out stays."""

    name: Name | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    theme: Theme | UnsetType = UNSET
    has_shortcuts: bool | UnsetType = UNSET


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person in a group."""

    id: str
    email: str
    name: str
    is_active: bool


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """People who may do the same."""

    id: str
    name: str
    role: Role | None
    scopes: Annotated[list[str], Meta(description="Beside those the role stands for.")]
    carries: Annotated[list[str], Meta(description="What its members may do: the role's scopes and its own.")]
    members: Annotated[list[Member], Meta(description="By name; at most 500 are told.")]
    member_count: int
    version: int


class GroupPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What changes of a group; what is left out stays."""

    name: Name | UnsetType = UNSET
    role: Role | UnsetType | None = UNSET
    scopes: Annotated[list[Scope], Meta(max_length=len(Scope))] | UnsetType = UNSET
    members: Annotated[list[str], Meta(max_length=500, description="Ids of all people who are to be in it.")] | UnsetType = UNSET


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in: a token of the house for a few hours, shown once."""

    token: str
    expires_at: dt.datetime


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """How programs' sign-ins are opened and ended; they are tokens, and this room does not know tokens, so `app` fills this in."""

    open: Callable[[Tx, int, str, frozenset[Scope]], Opened]
    """Unit: (key of the person, e-mail, scopes) -> the token."""
    end: Callable[[Tx, Caller], bool]
    """Unit: end the sign-in the caller came with; False when it is no sign-in."""
    end_all: Callable[[Tx, int], None]
    """Unit: end every sign-in of the person with this key."""
    carry: Callable[[Tx, Mapping[int, frozenset[Scope]]], None]
    """Unit: let the running sign-ins of these people carry these scopes from now on."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A browser in which a person is signed in."""

    id: str
    created_at: dt.datetime
    used_at: dt.datetime
    expires_at: dt.datetime
    address: str
    browser: Annotated[str, Meta(description="As it calls itself, shortly.", examples=["Firefox 131 on Linux"])]
    is_current: Annotated[bool, Meta(description="Whether it is the one that asks.")]


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that has just been signed in. `cookie` is the secret to be kept in it, told only here."""

    id: str
    cookie: str
    csrf: str
    expires_at: dt.datetime


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code, told only here, and who it is for; None is the first admin."""

    code: str
    kind: Kind
    expires_at: dt.datetime
    user: User | None = None


class CodeHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a code is, as the page where it is used says it."""

    kind: Kind
    email: str
    name: str
    language: Language


def tag(user: User) -> str:
    """The ETag of what can be changed of a person."""
    groups = sorted(group.id for group in user.groups)
    return etag(user.id, f"{user.version}.{hashlib.sha256(' '.join([*groups, '|', *user.carries]).encode()).hexdigest()[:16]}")


def group_tag(group: Group) -> str:
    """The ETag of a group and its members."""
    told = msgspec.json.encode([group.carries, group.members])
    return etag(group.id, f"{group.version}.{hashlib.sha256(told).hexdigest()[:16]}")


def email_key(email: str) -> str:
    """An e-mail address as it is kept and compared: trimmed and casefolded. Raises Invalid for what cannot be one."""
    key = email.strip().casefold()
    name, at, host = key.rpartition("@")
    if not (name and at and host) or any(sign.isspace() or not sign.isprintable() for sign in key):
        raise invalid("email_invalid", "This is not an e-mail address.", "/email")
    return key


def check_password(password: str) -> None:
    """Raise Invalid unless it has 12 to 1,000 characters; nothing else is asked of it (NIST SP 800-63B)."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise invalid("password_length", f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.", "/password")


def scopes_of_group(role: Role | None, scopes: frozenset[Scope]) -> frozenset[Scope]:
    """What a group's members carry: what the role stands for today, and the group's own scopes."""
    return scopes | ROLES[role] if role else scopes


def is_admin(scopes: frozenset[Scope]) -> bool:
    """Whether somebody with these scopes may do everything, so that he can give anybody anything."""
    return ROLES["admin"] <= scopes


def digest(secret: str) -> str:
    """A cookie or a code as it is kept: SHA-256, enough for what was drawn at random from 128 bits or more."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_cookie() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def csrf_of(cookie: str) -> str:
    """What each form of a browser's session brings along; made of the cookie, which it does not betray (rulings.md, 30)."""
    return hashlib.blake2b(cookie.encode(), digest_size=18, person=b"prodsys-csrf").hexdigest()


def new_code(kind: Kind) -> str:
    """A code of 128 bits that can be typed for the first admin, one of 256 bits for a link."""
    if kind != "first_admin":
        return secrets.token_urlsafe(32)
    text = secrets.token_hex(16).upper()
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))


def typed(code: str) -> str:
    """A code as it was meant: without what comes along when it is copied or typed."""
    code = code.strip()
    bare = re.sub(r"[\s-]", "", code)
    if re.fullmatch(r"[0-9A-Fa-f]{32}", bare):
        bare = bare.upper()
        return "-".join(bare[place : place + 4] for place in range(0, 32, 4))
    return code


def link_of(public_url: str, kind: Kind, code: str) -> str:
    """The address at which a code is used; without a public address only its path."""
    return f"{public_url.rstrip('/')}{PATHS[kind]}?code={code}"


_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:HeadlessChrome|Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari/"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iOS", "iPhone|iPad"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"),
    ("ChromeOS", "CrOS"),
    ("Linux", "Linux"),
)


def browser_of(user_agent: str) -> str:
    """What a browser calls itself, shortly: `Firefox 131 on Linux`; what nobody knows by its first 40 visible characters."""
    found = next((f"{name} {match[1]}" for name, pattern in _BROWSERS if (match := re.search(pattern, user_agent))), "")
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, user_agent)), "")
    if found:
        return f"{found} on {system}" if system else found
    return "".join(sign for sign in user_agent if sign.isprintable())[:40].strip()


def invalid(code: str, message: str, pointer: str) -> errors.Invalid:
    """A refusal that points at one member."""
    return errors.Invalid(message, issues=[Issue(code=code, message=message, pointer=pointer, blocks=True)])
