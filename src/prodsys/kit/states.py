"""Which state of a resource somebody has seen, as one quoted word (RFC 9110, 8.8)."""

from prodsys import errors


def etag(name: str, version: int | str) -> str:
    """The strong ETag of one state: an id (or a kind, for lists) and its version, in quotes."""
    return f'"{name}.{version}"'


def must_match(if_match: str | None, current: str) -> None:
    """Go on only when the caller has seen the current state. Raises IfMatchMissing (428), Stale (412) with the current ETag."""
    if if_match is None:
        raise errors.IfMatchMissing
    # Strong comparison: a weak tag (`W/"…"`) never matches.
    if if_match.strip() != "*" and current not in listed(if_match):
        raise errors.Stale(headers={"ETag": current})


def listed(tags: str) -> list[str]:
    """The tags of an `If-Match` or `If-None-Match` header."""
    return [tag.strip() for tag in tags.split(",")]
