"""What the command line answers that no room already has a word for."""

import datetime as dt

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting in force; `origin` is default, environment or the file it stands in. A password in it is not shown."""

    name: str
    variable: str
    value: str
    origin: str
    description: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A new instance."""

    company: str
    epoch: str
    admin: str
    home: str


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """A database's schema before and after, and the file of the copy put aside, if there was one."""

    before: str
    after: str
    copy: str | None


class HandedLink(msgspec.Struct, frozen=True, kw_only=True):
    """How a person comes to choose a password: by mail, or by a link to hand over. Without a public address it is only a path."""

    email: str
    link: str
    is_mailed: bool
    trouble: str
    expires_at: dt.datetime
