"""Questions in the words of OData."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from prodsys.connectors._base import Lookup


def odata_equal(member: str) -> Lookup:
    """Look a record up by an OData filter; quotes in the value are doubled, so that it stays a value."""

    def query(value: str) -> Mapping[str, str]:
        quoted = value.replace("'", "''")
        return {"$filter": f"{member} eq '{quoted}'"}

    return Lookup(query, member)


def odata_by(**members: str) -> Mapping[str, Lookup]:
    """How records are looked up by OData: our word for each, and the member of theirs it equals."""
    return {by: odata_equal(member) for by, member in members.items()}


def odata_since(member: str) -> Callable[[dt.datetime], Mapping[str, str]]:
    """What has changed since a moment, as an OData filter."""
    return lambda moment: {"$filter": f"{member} ge {moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"}


def odata_filters(parts: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Several OData filters as one."""
    filters = [part["$filter"] for part in parts if "$filter" in part]
    return {"$filter": " and ".join(filters)} if filters else {}
