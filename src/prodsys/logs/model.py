"""What a log entry says: what happened, to what, with whom, and what to do about it."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from prodsys.documents import Issue

Level = Literal["info", "warning", "error"]
Direction = Literal["in", "out", "here"]

MAX_BODY = 65_536


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened. `trace_id` is the same at both companies."""

    code: Annotated[str, Meta(description="Stable word, room first.", examples=["order.received"])]
    message: str
    level: Level = "info"
    direction: Direction = "here"
    partner: int | None = None
    subject: Annotated[str, Meta(description="Public id of what it is about.")] = ""
    number: Annotated[str, Meta(description="The order's number, as the buyer spells it.")] = ""
    trace_id: str = ""
    actor: Annotated[str, Meta(description="Token, person or part of the house that did it.")] = ""
    issues: list[Issue] = []
    request: str | None = None
    response: str | None = None


_LIGHT = frozenset({"price_differs", "contact_differs", "contact_created", "lead_time_short", "requested_date_passed"})
"""What a person may look at, but which is hardly ever why something waits."""


def weightiest(issues: Sequence[Issue]) -> Issue | None:
    """The reason that weighs most: the first that blocks, else the first that is no mere difference, else the first."""
    return (
        next((issue for issue in issues if issue.blocks), None)
        or next((issue for issue in issues if issue.code not in _LIGHT), None)
        or next(iter(issues), None)
    )


class Logged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as it is read: without the exchanged documents in lists, with them alone."""

    id: str
    at: dt.datetime
    level: Level
    code: str
    message: str
    direction: Direction
    trace_id: str
    partner: str | None = None
    subject: str = ""
    number: str = ""
    actor: str = ""
    issues: list[Issue] = []
    request: str | None = None
    response: str | None = None


ChangedKind = Literal[
    "token",
    "partner",
    "connection",
    "module",
    "user",
    "contact",
    "article",
    "mapping",
    "agreed_price",
    "company",
    "subscription",
    "webhook",
    "setting",
    "group",
]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A change of something people have set: who, when, from what, to what. Never itself changed, never purged (product.md, A20)."""

    id: str
    at: dt.datetime
    actor: Annotated[str, Meta(description="Token, person or part of the house that did it.")]
    kind: ChangedKind
    subject: Annotated[str, Meta(description="Public id of what was changed.")]
    what: Annotated[str, Meta(description="The change in a sentence.")]
    before: Annotated[dict[str, Any] | None, Meta(description="The members that differ, as they were; null for what is new.")]
    after: Annotated[dict[str, Any] | None, Meta(description="The same members, as they became; null for what is gone.")]
