"""Nobody grants, or signs in with, what he does not carry himself."""

from prodsys import errors
from prodsys.documents import Issue
from prodsys.scopes import Caller, Scope


def must_carry(caller: Caller, scopes: frozenset[Scope]) -> None:
    """Raise ScopeNotYours, naming each of these scopes that the caller lacks."""
    lacking = sorted(scope for scope in scopes if not caller.may(scope))
    if lacking:
        raise errors.ScopeNotYours(
            f"You do not carry {', '.join(lacking)} yourself.",
            issues=[
                Issue(
                    code="scope_not_yours",
                    message=f"You do not carry {scope} yourself.",
                    params={"scope": scope.value},
                    pointer="/scopes",
                    blocks=True,
                )
                for scope in lacking
            ],
        )
