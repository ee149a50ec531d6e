"""The rows of people, of their groups, and of the browsers they are signed in with."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, insert, literal_column, or_, select, update

from prodsys.kit.clock import now
from prodsys.kit.db import Instant, Tx, hot, in_ints, in_texts, insert_new
from prodsys.kit.ids import new_id
from prodsys.scopes import Role, Scope
from prodsys.tables import browser_sessions, group_members, one_time_codes, user_groups, users
from prodsys.users.model import NO_PASSWORD, Group, GroupName, Kind, Member, Session, User, is_admin, scopes_of_group

_SCOPES = frozenset(scope.value for scope in Scope)
_MEMBERS_SHOWN = 500
_NO_END: ColumnElement[int] = literal_column("9223372036854775807")

_read_scopes = msgspec.json.Decoder(list[str]).decode


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What signing in needs to know; `scopes` are own ones and those of the groups."""

    pk: int
    id: str
    email: str
    name: str
    password: str
    scopes: frozenset[Scope]
    is_active: bool
    language: str
    signed_in_from: str


class GroupRow(msgspec.Struct, frozen=True, kw_only=True):
    """A group as the rules need it; `carries` is what it gives its members."""

    pk: int
    id: str
    name: str
    role: Role | None
    scopes: frozenset[Scope]
    carries: frozenset[Scope]


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's session, and whose it is."""

    pk: int
    id: str
    expires_at: dt.datetime
    used_at: dt.datetime
    created_at: dt.datetime
    person: int
    user: str
    email: str
    name: str
    scopes: frozenset[Scope]
    language: str
    theme: str
    has_shortcuts: bool
    is_active: bool


class KeptCode(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code that is still good."""

    pk: int
    kind: Kind
    person: int | None


_person_columns = (
    users.c.pk,
    users.c.id,
    users.c.email,
    users.c.name,
    users.c.password,
    users.c.scopes,
    users.c.is_active,
    users.c.language,
    users.c.signed_in_from,
)
_by_email = hot(select(*_person_columns).where(users.c.email == bindparam("email")))
_by_id = hot(select(*_person_columns).where(users.c.id == bindparam("id")))
_by_key = hot(select(*_person_columns).where(users.c.pk == bindparam("key")))
_own_scopes = hot(select(users.c.pk, users.c.scopes).where(in_ints(users.c.pk, "people")))
_their_groups = hot(
    select(group_members.c.person, user_groups.c.id, user_groups.c.name, user_groups.c.role, user_groups.c.scopes)
    .join(user_groups, user_groups.c.pk == group_members.c.user_group)
    .where(in_ints(group_members.c.person, "people"))
)
_others = group_members.alias("others")
_theirs = _others.c.user_group == user_groups.c.pk
_last_shown = (
    select(_others.c.person)
    .where(_theirs)
    .order_by(_others.c.person)
    .offset(literal_column(str(_MEMBERS_SHOWN - 1)))
    .limit(literal_column("1"))
    .scalar_subquery()
)
_first_members = hot(
    select(user_groups.c.pk.label("user_group"), users.c.pk, users.c.id, users.c.email, users.c.name, users.c.is_active)
    .join_from(
        user_groups,
        group_members,
        and_(group_members.c.user_group == user_groups.c.pk, group_members.c.person <= func.coalesce(_last_shown, _NO_END)),
    )
    .join(users, users.c.pk == group_members.c.person)
    .where(in_ints(user_groups.c.pk, "groups"))
)
_member_counts = hot(
    select(user_groups.c.pk, select(func.count()).select_from(_others).where(_theirs).scalar_subquery().label("many")).where(
        in_ints(user_groups.c.pk, "groups")
    )
)
_signed_in = hot(
    update(users)
    .where(users.c.pk == bindparam("key"), users.c.password == bindparam("checked"), users.c.is_active)
    .values(signed_in_at=bindparam("at"), signed_in_from=bindparam("address"))
)
_set_password = hot(update(users).where(users.c.pk == bindparam("key")).values(password=bindparam("hashed"), version=users.c.version + 1))
_by_cookie = hot(
    select(
        browser_sessions.c.pk,
        browser_sessions.c.id,
        browser_sessions.c.expires_at,
        browser_sessions.c.used_at,
        browser_sessions.c.created_at,
        browser_sessions.c.person,
        users.c.id.label("user"),
        users.c.email,
        users.c.name,
        users.c.language,
        users.c.theme,
        users.c.has_shortcuts,
        users.c.is_active,
    )
    .join(users, users.c.pk == browser_sessions.c.person)
    .where(browser_sessions.c.digest == bindparam("digest"))
)
_insert_session = hot(insert(browser_sessions))
_session_use = hot(
    update(browser_sessions)
    .where(browser_sessions.c.pk == bindparam("key"))
    .values(used_at=bindparam("at", type_=Instant()), address=bindparam("address"))
)
_insert_code = hot(insert(one_time_codes))
_kept_code = hot(
    select(one_time_codes.c.pk, one_time_codes.c.kind, one_time_codes.c.person).where(
        one_time_codes.c.digest == bindparam("digest"), one_time_codes.c.expires_at > bindparam("at")
    ),
    KeptCode,
)


def by_email(tx: Tx, email: str) -> Person | None:
    """A person by casefolded e-mail."""
    return _person(tx, _by_email.first(tx, {"email": email}))


def by_id(tx: Tx, id: str) -> Person | None:
    """A person by public id."""
    return _person(tx, _by_id.first(tx, {"id": id}))


def by_key(tx: Tx, key: int) -> Person | None:
    """A person by key."""
    return _person(tx, _by_key.first(tx, {"key": key}))


def carried(tx: Tx, people: Iterable[int]) -> dict[int, frozenset[Scope]]:
    """What each of these people (by key) may do: own scopes and those of the groups."""
    keys = list(people)
    found = {row.pk: _known(row.scopes) for row in _own_scopes.all(tx, {"people": keys})}
    for row in _their_groups.all(tx, {"people": keys}):
        found[row.person] |= scopes_of_group(row.role or None, _known(row.scopes))
    return found


def put(tx: Tx, *, email: str, name: str, password: str, scopes: Iterable[Scope], language: str = "") -> int | None:
    """Insert a person with a hashed password; the key, or None when the e-mail is taken."""
    row = {
        "id": new_id("us"),
        "email": email,
        "name": name,
        "password": password,
        "scopes": _written(scopes),
        "language": language,
        "created_at": now(),
    }
    if not insert_new(tx, users, row):
        return None
    return int(tx.execute(select(users.c.pk).where(users.c.email == email)).scalar_one())


def set_members(tx: Tx, person: int, values: Mapping[str, Any]) -> None:
    """Write some members of a person."""
    tx.execute(update(users).where(users.c.pk == person).values(**values, version=users.c.version + 1))


def written_scopes(scopes: Iterable[Scope]) -> str:
    """Scopes as a row keeps them."""
    return _written(scopes)


def note_sign_in(tx: Tx, key: int, checked: str, at: dt.datetime, address: str) -> bool:
    """Remember a sign-in; False when the password that was checked has been changed meanwhile, or the person is gone."""
    return _signed_in.run(tx, {"key": key, "checked": checked, "at": at, "address": address}) == 1


def set_password(tx: Tx, key: int, hashed: str) -> None:
    """Keep another hashed password."""
    _set_password.run(tx, {"key": key, "hashed": hashed})


def listed(tx: Tx, *, limit: int, after: int | None = None, words: str = "", is_active: bool | None = None) -> list[tuple[int, User]]:
    """People in the order they were made, each with the key; `words` stands in the name or the e-mail."""
    query = select(users).order_by(users.c.pk).limit(limit)
    if after is not None:
        query = query.where(users.c.pk > after)
    if words:
        text = words.strip().casefold()
        query = query.where(or_(users.c.email.contains(text, autoescape=True), func.lower(users.c.name).contains(text, autoescape=True)))
    if is_active is not None:
        query = query.where(users.c.is_active == is_active)
    rows = tx.execute(query).all()
    return [(row.pk, user) for row, user in zip(rows, _users(tx, rows), strict=True)]


def names_of(tx: Tx, emails: Iterable[str]) -> dict[str, str]:
    """What the people with these e-mail addresses are called."""
    wanted = {email.casefold() for email in emails if "@" in email}
    if not wanted:
        return {}
    found = tx.execute(select(users.c.email, users.c.name).where(users.c.email.in_(sorted(wanted)[:500])))
    return {row.email: row.name for row in found}


def shown(tx: Tx, key: int) -> User | None:
    """One person as an admin sees it."""
    found = _users(tx, tx.execute(select(users).where(users.c.pk == key)).all())
    return found[0] if found else None


def keys_of(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """Keys of the people with these public ids, as far as there are such."""
    return {row.id: row.pk for row in tx.execute(select(users.c.id, users.c.pk).where(in_texts(users.c.id, "ids")), {"ids": list(ids)})}


def is_empty(tx: Tx) -> bool:
    """Whether nobody can sign in yet."""
    return not tx.execute(select(exists(select(users.c.pk)))).scalar_one()


def hold_people(tx: Tx) -> None:
    """Hold everybody who may sign in until the end of this unit, so that two admins cannot take away each other at once."""
    tx.execute(select(users.c.pk).where(users.c.is_active).order_by(users.c.pk).with_for_update()).all()


def hold_person(tx: Tx, key: int) -> None:
    """Hold one person until the end of this unit."""
    tx.execute(select(users.c.pk).where(users.c.pk == key).with_for_update()).all()


def has_admin(tx: Tx) -> bool:
    """Whether somebody may sign in who may do everything."""
    people = tx.execute(select(users.c.pk).where(users.c.is_active, users.c.password != NO_PASSWORD)).scalars()
    return any(is_admin(scopes) for scopes in carried(tx, people).values())


def first_who_carries(tx: Tx, scope: Scope) -> int | None:
    """Key of the first person who may sign in and carries this; None while there is nobody."""
    people = list(tx.execute(select(users.c.pk).where(users.c.is_active).order_by(users.c.pk).limit(50)).scalars())
    found = carried(tx, people)
    return next((key for key in people if scope in found[key]), None)


def put_group(tx: Tx, *, name: str, role: Role | None, scopes: Iterable[Scope]) -> str | None:
    """Insert a group; its public id, or None when the name is taken."""
    row = {
        "id": new_id("gr"),
        "name": name,
        "name_key": name.casefold(),
        "role": role or "",
        "scopes": _written(scopes),
        "created_at": now(),
    }
    return str(row["id"]) if insert_new(tx, user_groups, row) else None


def group_rows(tx: Tx, ids: Sequence[str]) -> dict[str, GroupRow]:
    """The groups with these public ids, as far as there are such."""
    found = tx.execute(select(user_groups).where(in_texts(user_groups.c.id, "ids")), {"ids": list(ids)})
    return {row.id: _group_row(row) for row in found}


def group_ids(tx: Tx) -> dict[str, str]:
    """Public ids of all groups by casefolded name."""
    return {row.name_key: row.id for row in tx.execute(select(user_groups.c.name_key, user_groups.c.id))}


def groups_of(tx: Tx, person: int) -> dict[str, GroupRow]:
    """The groups a person is in, by public id."""
    query = select(user_groups).join(group_members, group_members.c.user_group == user_groups.c.pk).where(group_members.c.person == person)
    return {row.id: _group_row(row) for row in tx.execute(query)}


def members_of(tx: Tx, group: int) -> list[int]:
    """Keys of the people in a group."""
    return list(tx.execute(select(group_members.c.person).where(group_members.c.user_group == group)).scalars())


def change_group(tx: Tx, group: int, *, name: str, role: Role | None, scopes: Iterable[Scope]) -> None:
    """Write a group. IntegrityError when the name is another's."""
    values = {"name": name, "name_key": name.casefold(), "role": role or "", "scopes": _written(scopes)}
    tx.execute(update(user_groups).where(user_groups.c.pk == group).values(**values, version=user_groups.c.version + 1))


def is_group_name_taken(tx: Tx, name: str, but: int) -> bool:
    """Whether another group has this name."""
    found = select(user_groups.c.pk).where(user_groups.c.name_key == name.casefold(), user_groups.c.pk != but)
    return tx.execute(found).first() is not None


def delete_group(tx: Tx, group: int) -> None:
    """Delete a group; its members are in it no more."""
    tx.execute(delete(group_members).where(group_members.c.user_group == group))
    tx.execute(delete(user_groups).where(user_groups.c.pk == group))


def join(tx: Tx, pairs: Iterable[tuple[int, int]]) -> None:
    """Put people into groups: (group, person) each; who is in stays in."""
    for group, person in sorted(pairs):
        insert_new(tx, group_members, {"user_group": group, "person": person})


def leave(tx: Tx, pairs: Iterable[tuple[int, int]]) -> None:
    """Take people out of groups: (group, person) each."""
    for group, person in sorted(pairs):
        tx.execute(delete(group_members).where(group_members.c.user_group == group, group_members.c.person == person))


def groups(tx: Tx, *, limit: int, after: str | None = None) -> list[tuple[str, Group]]:
    """Groups by name, each with the key of its name."""
    query = select(user_groups).order_by(user_groups.c.name_key).limit(limit)
    if after is not None:
        query = query.where(user_groups.c.name_key > after)
    rows = tx.execute(query).all()
    return [(row.name_key, group) for row, group in zip(rows, _groups(tx, rows), strict=True)]


def group(tx: Tx, id: str) -> Group | None:
    """One group with its members."""
    found = _groups(tx, tx.execute(select(user_groups).where(user_groups.c.id == id)).all())
    return found[0] if found else None


def put_session(tx: Tx, values: Mapping[str, Any]) -> None:
    """Insert a browser's session."""
    _insert_session.run(tx, values)


def browser(tx: Tx, digest: str) -> Browser | None:
    """The session with this digest of its cookie, whatever its state."""
    row = _by_cookie.first(tx, {"digest": digest})
    if row is None:
        return None
    return Browser(
        pk=row.pk,
        id=row.id,
        expires_at=row.expires_at,
        used_at=row.used_at,
        created_at=row.created_at,
        person=row.person,
        user=row.user,
        email=row.email,
        name=row.name,
        scopes=carried(tx, [row.person])[row.person],
        language=row.language,
        theme=row.theme,
        has_shortcuts=bool(row.has_shortcuts),
        is_active=bool(row.is_active),
    )


def sessions_of(
    tx: Tx, person: int, idle_since: dt.datetime, *, current: str = "", limit: int = 100, below: int | None = None
) -> list[tuple[int, Session]]:
    """The browsers a person is signed in with, newest first, each with its key; `current` is the id of the one that asks."""
    query = (
        select(browser_sessions)
        .where(browser_sessions.c.person == person, browser_sessions.c.expires_at > now(), browser_sessions.c.used_at > idle_since)
        .order_by(browser_sessions.c.pk.desc())
        .limit(limit)
    )
    if below is not None:
        query = query.where(browser_sessions.c.pk < below)
    return [
        (
            row.pk,
            Session(
                id=row.id,
                created_at=row.created_at,
                used_at=row.used_at,
                expires_at=row.expires_at,
                address=row.address,
                browser=row.browser,
                is_current=row.id == current,
            ),
        )
        for row in tx.execute(query)
    ]


def end_session(tx: Tx, id: str, person: int) -> bool:
    """End one browser's session of a person; False when there is none such."""
    return tx.execute(delete(browser_sessions).where(browser_sessions.c.id == id, browser_sessions.c.person == person)).rowcount == 1


def end_session_with(tx: Tx, digest: str) -> bool:
    """End the session with this digest of its cookie."""
    return tx.execute(delete(browser_sessions).where(browser_sessions.c.digest == digest)).rowcount == 1


def end_sessions(tx: Tx, person: int, keep: str = "") -> int:
    """End every browser's session of a person, but for one by id; how many there were."""
    return tx.execute(delete(browser_sessions).where(browser_sessions.c.person == person, browser_sessions.c.id != keep)).rowcount


def note_session_use(tx: Tx, uses: Sequence[tuple[int, dt.datetime, str]]) -> None:
    """Remember when and from where sessions were last used: (key, moment, address) each."""
    # In one order everywhere, so that two nodes cannot wait for each other.
    _session_use.many(tx, [{"key": key, "at": at, "address": address} for key, at, address in sorted(uses)])


def put_code(tx: Tx, *, kind: Kind, person: int | None, digest: str, at: dt.datetime, expires_at: dt.datetime) -> None:
    """Keep a one-time code."""
    _insert_code.run(tx, {"kind": kind, "person": person, "digest": digest, "created_at": at, "expires_at": expires_at})


def kept_code(tx: Tx, digest: str, at: dt.datetime) -> KeptCode | None:
    """The code with this digest, if it is still good."""
    return _kept_code.first(tx, {"digest": digest, "at": at})


def use_code(tx: Tx, code: int) -> bool:
    """Void a code; False when somebody was faster."""
    return tx.execute(delete(one_time_codes).where(one_time_codes.c.pk == code)).rowcount == 1


def void_codes(tx: Tx, *, person: int | None = None, kind: Kind | None = None) -> None:
    """Void the codes of a person, or all of a kind."""
    theirs = [one_time_codes.c.person == person] if person is not None else []
    tx.execute(delete(one_time_codes).where(*theirs, *([one_time_codes.c.kind == kind] if kind else [])))


def has_code_since(tx: Tx, person: int, kind: Kind, since: dt.datetime) -> bool:
    """Whether a person was given such a code after this moment."""
    c = one_time_codes.c
    return tx.execute(select(c.pk).where(c.person == person, c.kind == kind, c.created_at > since).limit(1)).first() is not None


def tidy(tx: Tx, at: dt.datetime) -> None:
    """Forget codes and sessions whose time is over."""
    tx.execute(delete(one_time_codes).where(one_time_codes.c.expires_at <= at))
    tx.execute(delete(browser_sessions).where(browser_sessions.c.expires_at <= at))


def _person(tx: Tx, row: Any) -> Person | None:
    if row is None:
        return None
    return Person(
        pk=row.pk,
        id=row.id,
        email=row.email,
        name=row.name,
        password=row.password,
        scopes=carried(tx, [row.pk])[row.pk],
        is_active=bool(row.is_active),
        language=row.language,
        signed_in_from=row.signed_in_from,
    )


def _users(tx: Tx, rows: Sequence[Any]) -> list[User]:
    people = [row.pk for row in rows]
    carries = {row.pk: _known(row.scopes) for row in rows}
    named: dict[int, list[GroupName]] = {row.pk: [] for row in rows}
    for one in sorted(_their_groups.all(tx, {"people": people}), key=lambda group: group.name.casefold()):
        carries[one.person] |= scopes_of_group(one.role or None, _known(one.scopes))
        named[one.person].append(GroupName(id=one.id, name=one.name, role=one.role or None))
    return [
        User(
            id=row.id,
            email=row.email,
            name=row.name,
            scopes=_read_scopes(row.scopes),
            groups=named[row.pk],
            carries=sorted(carries[row.pk]),
            is_active=bool(row.is_active),
            is_invited=bool(row.is_active) and row.password == NO_PASSWORD,
            language=row.language,
            theme=row.theme,
            has_shortcuts=bool(row.has_shortcuts),
            created_at=row.created_at,
            signed_in_at=row.signed_in_at,
            version=row.version,
        )
        for row in rows
    ]


def _groups(tx: Tx, rows: Sequence[Any]) -> list[Group]:
    members: dict[int, list[Member]] = {row.pk: [] for row in rows}
    for one in sorted(_first_members.all(tx, {"groups": list(members)}), key=lambda member: (member.name, member.pk)):
        members[one.user_group].append(Member(id=one.id, email=one.email, name=one.name, is_active=bool(one.is_active)))
    counts = {row.pk: row.many for row in _member_counts.all(tx, {"groups": list(members)})}
    return [
        Group(
            id=row.id,
            name=row.name,
            role=row.role or None,
            scopes=_read_scopes(row.scopes),
            carries=sorted(_group_row(row).carries),
            members=members[row.pk],
            member_count=counts.get(row.pk, 0),
            version=row.version,
        )
        for row in rows
    ]


def _group_row(row: Any) -> GroupRow:
    scopes = _known(row.scopes)
    role = row.role or None
    return GroupRow(pk=row.pk, id=row.id, name=row.name, role=role, scopes=scopes, carries=scopes_of_group(role, scopes))


def _known(text: str) -> frozenset[Scope]:
    # A scope of a newer release is no scope here; the others stay good.
    return frozenset(Scope(word) for word in _read_scopes(text) if word in _SCOPES)


def _written(scopes: Iterable[Scope]) -> str:
    return msgspec.json.encode(sorted(scopes)).decode()
