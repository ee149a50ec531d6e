"""Scopes as a row keeps them, and what the groups of people give them."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import select

from prodsys.kit.db import hot, in_ints
from prodsys.scopes import Scope
from prodsys.tables import group_members, user_groups

_SCOPES = frozenset(scope.value for scope in Scope)

read_scopes = msgspec.json.Decoder(list[str]).decode

groups_of_people = hot(
    select(group_members.c.person, user_groups.c.id, user_groups.c.name, user_groups.c.role, user_groups.c.scopes)
    .join(user_groups, user_groups.c.pk == group_members.c.user_group)
    .where(in_ints(group_members.c.person, "people"))
)


def known(text: str) -> frozenset[Scope]:
    """Scopes as a row keeps them, as far as there are such."""
    # A scope of a newer release is no scope here; the others stay good.
    return frozenset(Scope(word) for word in read_scopes(text) if word in _SCOPES)


def written(scopes: Iterable[Scope]) -> str:
    """Scopes as a row keeps them."""
    return msgspec.json.encode(sorted(scopes)).decode()
