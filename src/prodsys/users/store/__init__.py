"""Every statement about people, one file for each thing that is kept of them."""

from prodsys.users.store import codes, groups, people, sessions

__all__ = ["codes", "groups", "people", "sessions"]
