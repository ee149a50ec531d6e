"""The doors of people, one file for each thing they are about."""

from prodsys.users.api import account, groups, people, sessions
from prodsys.users.api.sessions import new_sign_in_attempts

__all__ = ["new_sign_in_attempts", "routes"]

routes = [*people.routes, *groups.routes, *account.routes, *sessions.routes]
