"""How Visma.net is asked and told: ERP v1 with its wrapping and paging, Sales Order v3 flat, and how changes are asked for in each."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from prodsys.connectors._base import at
from prodsys.connectors._rest import Answer, Numbered, Page
from prodsys.connectors._words import where
from prodsys.documents import Address
from prodsys.kit.clock import now

Theirs = Mapping[str, Any]

LOOK_BACK = dt.timedelta(days=30)
"""How far back what we made is looked for where the interface cannot be asked for our number."""
_BARE = ("operation", "overrideWithClassValues")
_PLACE = where("addressLine1", street2="addressLine2", postcode="postalCode", city="city", country="country.id")


def wrapped(words: Theirs) -> dict[str, Any]:
    """Words as v1 takes them, each member in a wrapping of its own; lists and a few switches are bare.

    What is empty is not said, because an empty value would clear theirs.
    """
    return {name: _wrapped(name, said) for name, said in words.items() if said not in (None, "", {})}


def _wrapped(name: str, said: Any) -> Any:
    if name in _BARE:
        return said
    if isinstance(said, list):
        return [wrapped(one) for one in said]
    return {"value": wrapped(said) if isinstance(said, Mapping) else said}


def read_address(theirs: Theirs | None) -> Address:
    """An address of v1."""
    return _PLACE.read(theirs or {})


def write_address(ours: Address) -> dict[str, Any]:
    """An address for v1, which takes the country's code where it gives a country."""
    words = _PLACE.write(ours)
    words.pop("country", None)
    return words | ({"countryId": ours.country} if ours.country else {})


class Pages(Numbered):
    """Pages of v1: a size that is too large is lowered in silence, so what each record says of the whole counts."""

    def __init__(self, more: Mapping[str, str]) -> None:
        super().__init__("pageNumber", "pageSize", of=500)
        self.more = more

    def first(self) -> Mapping[str, str]:
        return {**super().first(), **self.more}

    def page(self, answer: Answer, asked: Mapping[str, str]) -> Page:
        rows = answer.body.get("records") if isinstance(answer.body, dict) else answer.body
        if not isinstance(rows, list):
            raise ValueError("There is no list where one was expected")
        here = int(asked.get(self.number, self.begin))
        told = at(rows[0], "metadata") if rows else None
        size = min(self.of, int(at(told, "maxPageSize") or self.of))
        total = at(told, "totalCount") if told else at(answer.body, "totalCount")
        is_last = here * size >= int(total) if total is not None else len(rows) < size
        return Page(rows=rows, query=None if is_last or not rows else {self.number: str(here + 1)})


def since_v1(moment: dt.datetime) -> Mapping[str, str]:
    """What has changed since, in v1, whose clock is taken as UTC."""
    return {"lastModifiedDateTime": f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}", "lastModifiedDateTimeCondition": ">="}


def since_v3(moment: dt.datetime) -> Mapping[str, str]:
    """What has changed since, in v3."""
    return {"modifiedSince": f"{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}


def recent_v1() -> Mapping[str, str]:
    """What was made lately, in v1."""
    return {"createdDateTime": f"{now() - LOOK_BACK:%Y-%m-%d %H:%M:%S}", "createdDateTimeCondition": ">="}


def changed_recently_v1() -> Mapping[str, str]:
    """What has changed lately, in v1."""
    return since_v1(now() - LOOK_BACK)


def recent_v3() -> Mapping[str, str]:
    """What has changed lately, in v3."""
    return since_v3(now() - LOOK_BACK)
