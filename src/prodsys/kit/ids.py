"""Names for things that never collide and sort by when they were made."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """A new public id, e.g. ``po_01JD3ZK5T8…``: the kind of thing, an underscore, a ULID of 26 characters (rulings.md, 5)."""
    return f"{prefix}_{ULID()}"
