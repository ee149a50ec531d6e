"""One-time codes by which people choose a password: an invitation, a way back in, the first admin's."""

import datetime as dt
from collections.abc import Sequence

import msgspec

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.granting import must_carry
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import CONSOLE, Caller, Scope
from prodsys.users import model, store
from prodsys.users.actions import create, give_password, key_of, person_of, user_of
from prodsys.users.grouping import create_group
from prodsys.users.model import FIRST_GROUPS, LIFETIMES, NO_PASSWORD, Code, CodeHolder, Kind, Sessions, User
from prodsys.users.store.codes import KeptCode
from prodsys.users.store.people import Person

_LETTER_EVERY = dt.timedelta(minutes=2)


def invite(
    tx: Tx,
    caller: Caller,
    *,
    email: str,
    name: str,
    scopes: frozenset[Scope] = frozenset(),
    groups: Sequence[str] = (),
    language: str = "",
) -> Code:
    """Take in a person who chooses the password himself, with the code that lets him, good for 24 hours. Raises as `create`."""
    user = create(tx, caller, email=email, name=name, password=NO_PASSWORD, scopes=scopes, groups=groups, language=language)
    return _new_code(tx, "invitation", key_of(tx, user.id), user)


def new_link(tx: Tx, caller: Caller, id: str) -> Code:
    """A code by which a person chooses a password: the invitation anew, or a reset good for an hour.

    Raises NotFound, WrongState for who may not sign in any more, ScopeNotYours for who may do more than the caller.
    """
    person = person_of(tx, id)
    must_carry(caller, person.scopes)
    if not person.is_active:
        raise errors.WrongState(f"{person.email} may not sign in; activate the account first.")
    kind: Kind = "invitation" if person.password == NO_PASSWORD else "reset"
    message = f"{caller.name} made a link by which {person.email} chooses a password."
    tell(tx, Entry(code="user.link_made", message=message, subject=person.id, actor=caller.name))
    note_change(tx, caller.name, "user", person.id, message)
    return _new_code(tx, kind, person.pk, user_of(tx, person.pk))


def ask_reset(tx: Tx, email: str, address: str) -> Code | None:
    """What a person who forgot the password asks for: a code, good for an hour; None for nobody, and within two minutes of the last.

    Raises Invalid for what is no e-mail address.
    """
    person = store.people.by_email(tx, model.email_key(email))
    if person is None or not person.is_active:
        return None
    store.people.hold_person(tx, person.pk)
    kind: Kind = "invitation" if person.password == NO_PASSWORD else "reset"
    if store.codes.has_since(tx, person.pk, kind, now() - _LETTER_EVERY):
        return None
    message = f"Somebody at {address or 'an unknown address'} asked for a new password of {person.email}."
    tell(tx, Entry(code="user.reset_asked", message=message, subject=person.id))
    return _new_code(tx, kind, person.pk, user_of(tx, person.pk))


def holder_of(tx: Tx, code: str) -> CodeHolder:
    """Whose an invitation or a reset is; looking at it does not use it. Raises CodeUnknown."""
    person = _held(tx, code)[1]
    kind: Kind = "invitation" if person.password == NO_PASSWORD else "reset"
    return msgspec.convert({"kind": kind, "email": person.email, "name": person.name, "language": person.language}, CodeHolder)


def use_code(tx: Tx, code: str, password: str, sessions: Sessions) -> Person:
    """Give a person the password he chose, hashed already; every code and every sign-in he had ends. Raises CodeUnknown."""
    kept, person = _held(tx, code)
    if not store.codes.use(tx, kept.pk):
        raise errors.CodeUnknown
    give_password(tx, person, password, sessions)
    message = f"{person.email} chose a password by {'an invitation' if kept.kind == 'invitation' else 'a link'}."
    tell(tx, Entry(code="user.password_chosen", message=message, subject=person.id, actor=person.email))
    note_change(tx, person.email, "user", person.id, message)
    return person_of(tx, person.id)


def first_admin_code(tx: Tx) -> Code | None:
    """The code by which the first admin takes this instance, good for an hour; None when there is somebody already (rulings.md, 30)."""
    return _new_code(tx, "first_admin", None) if store.people.is_empty(tx) else None


def wants_first_admin(tx: Tx) -> bool:
    """Whether nobody can sign in yet."""
    return store.people.is_empty(tx)


def must_know_first_admin_code(tx: Tx, code: str) -> None:
    """Raise CodeUnknown unless this is a good code for the first admin; looking at it does not use it."""
    _first_admin_code(tx, code)


def first_admin(tx: Tx, code: str, *, email: str, name: str, password: str, language: str = "") -> Person:
    """Make the first admin, whose password is hashed already. Raises CodeUnknown, also once there is somebody, and Invalid."""
    kept = _first_admin_code(tx, code)
    if not store.codes.use(tx, kept.pk):
        raise errors.CodeUnknown
    user = begin(tx, email=email, name=name, password=password, language=language)
    return person_of(tx, user.id)


def begin(tx: Tx, *, email: str, name: str, password: str, language: str = "") -> User:
    """Make the groups a new instance has, and its first person, an admin. Raises as `create`."""
    by_name = store.groups.ids(tx)
    for group, role in FIRST_GROUPS.items():
        if group.casefold() not in by_name:
            by_name[group.casefold()] = create_group(tx, CONSOLE, name=group, role=role).id
    return create(tx, CONSOLE, email=email, name=name, password=password, groups=[by_name["administrators"]], language=language)


def _new_code(tx: Tx, kind: Kind, person: int | None, user: User | None = None) -> Code:
    at = now()
    code = model.new_code(kind)
    store.codes.put(tx, kind=kind, person=person, digest=model.digest(code), at=at, expires_at=at + LIFETIMES[kind])
    return Code(code=code, kind=kind, expires_at=at + LIFETIMES[kind], user=user)


def _held(tx: Tx, code: str) -> tuple[KeptCode, Person]:
    kept = store.codes.kept(tx, model.digest(code.strip()), now())
    person = None if kept is None or kept.person is None else store.people.by_key(tx, kept.person)
    if kept is None or person is None or not person.is_active:
        raise errors.CodeUnknown
    return kept, person


def _first_admin_code(tx: Tx, code: str) -> KeptCode:
    kept = store.codes.kept(tx, model.digest(model.typed(code)), now())
    if kept is None or kept.kind != "first_admin" or not store.people.is_empty(tx):
        raise errors.CodeUnknown
    return kept
