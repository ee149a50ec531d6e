"""What is kept of one person: told whole to who asks for it, and erased where the law says so."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from prodsys import errors
from prodsys.contacts.spelling import email_key
from prodsys.kit.db import Tx
from prodsys.kit.granting import must_carry
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.scopes import Caller
from prodsys.tokens.actions import sign_out_everywhere
from prodsys.upkeep import store
from prodsys.upkeep.store import Place
from prodsys.users import store as users
from prodsys.users.actions import close_account

ERASED = "erased"
_PERSON = frozenset({"name", "email", "phone"})
_LEAST_PHONE = 6
"""Shorter ones could be anything."""


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """One place a person is mentioned in: `kind` is the kind of record, `id` its id, `said` what is said there of the person."""

    kind: str
    id: str
    part: str
    said: list[str]


class PersonalData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything held about a person."""

    email: str
    names: Annotated[list[str], Meta(description="Names found together with the e-mail.")]
    phones: list[str]
    user: Annotated[dict[str, str] | None, Meta(description="The person's own account here, if there is one.")]
    mentions: list[Mention]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """How many records were changed, and whether an account was closed."""

    records: int
    had_account: bool


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is recognised by."""

    email: str
    names: frozenset[str]
    phones: frozenset[str]

    def words(self) -> list[str]:
        """Texts that mean this person wherever they stand; a single word such as Kari does not."""
        return [*(name for name in self.names if " " in name), *(phone for phone in self.phones if len(phone) >= _LEAST_PHONE)]


def export(tx: Tx, caller: Caller, email: str) -> PersonalData:
    """Everything held about the person with this e-mail: account, cards, documents, messages and logs. That it was asked for is logged."""
    known, places = _look(tx, email)
    user = store.account(tx, known.email)
    tell(tx, Entry(code="person.exported", message=f"{caller.name} took out what is kept of one person.", actor=caller.name))
    return PersonalData(
        email=known.email,
        names=sorted(known.names),
        phones=sorted(known.phones),
        user=None if user is None else {"id": user.id, "email": user.email, "name": user.name},
        mentions=[
            Mention(kind=place.table, id=place.id, part=part, said=said)
            for place in places
            for part, text in place.texts.items()
            if (said := list(_said(text, known)))
        ],
    )


def erase(tx: Tx, caller: Caller, email: str) -> Erased:
    """Put `erased` in the place of a person's name, and leave out e-mail and phone: in cards, documents, messages, logs and the account.

    Orders stay, with their numbers, lines and amounts. Their digests stay as first taken, of the document with the person in it: they are
    what a repeat of the order is recognised by. What is being delivered at this moment is left alone; its bytes go by themselves within
    14 days, and used Idempotency-Keys within 72 hours. Backups made before still hold the person. The log says that somebody was erased,
    not who. Raises NotFound when nothing is held, WrongState for the caller's own account when it is the last, LastAdmin for the last
    one who may do everything, ScopeNotYours for the account of somebody who may do more.
    """
    known, places = _look(tx, email)
    user = store.account(tx, known.email)
    if not places and user is None:
        raise errors.NotFound("Nothing is kept of a person with this e-mail.")
    if user is not None and (person := users.people.by_email(tx, known.email)) is not None:
        # Otherwise whoever may write users could shut out somebody who may do more.
        must_carry(caller, person.scopes)
    if user is not None and caller.name in (user.name, user.email) and user.is_last:
        raise errors.WrongState("This is the only account left that may sign in; take in another person first.")
    changed = 0
    for place in places:
        fresh = {part: _without(text, known, place) for part, text in place.texts.items()}
        fresh = {part: text for part, text in fresh.items() if text != place.texts[part]}
        if fresh:
            store.rewrite(tx, place, fresh)
            changed += 1
    if user is not None:
        sign_out_everywhere(tx, user.pk)
        close_account(tx, user.pk)
        store.close_account(tx, user.pk, user.id)
    store.forget_key(tx, known.email)
    actor = ERASED if caller.name in known.names else caller.name
    tell(
        tx, Entry(code="person.erased", message=f"The data of one person were erased, in {changed} records.", level="warning", actor=actor)
    )
    return Erased(records=changed, had_account=user is not None)


def _look(tx: Tx, email: str) -> tuple[_Known, list[Place]]:
    wanted = email_key(email)
    if "@" not in wanted or len(wanted) < 5:
        raise errors.Invalid("A person is named by the whole e-mail address.")
    found = store.places(tx, wanted, [])
    names, phones = set(), set()
    for place in found:
        for text in place.texts.values():
            for person in _persons(text):
                if email_key(person.get("email", "")) == wanted:
                    names.add(person.get("name", ""))
                    phones.add(person.get("phone", ""))
    user = store.account(tx, wanted)
    known = _Known(
        email=wanted,
        names=frozenset({*names, user.name if user else ""} - {"", ERASED}),
        phones=frozenset(phones - {""}),
    )
    return known, store.places(tx, wanted, [*known.words(), *known.names])


def _persons(text: str) -> Iterator[Mapping[str, str]]:
    yield from _persons_in(_document(text))


def _persons_in(value: Any) -> Iterator[Mapping[str, str]]:
    if isinstance(value, dict):
        if value.get("email") and _PERSON.issuperset(value):
            yield {key: inner for key, inner in value.items() if isinstance(inner, str)}
        for inner in value.values():
            yield from _persons_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _persons_in(inner)


def _document(text: str) -> Any:
    """The document a text holds; None for a text that is none, as a sentence or a document that was cut."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _said(text: str, known: _Known) -> Iterator[str]:
    """The parts of a text that are about the person: whole persons of a document, sentences otherwise."""
    document = _document(text)
    if document is None:
        if _hide(text, known) != text or text in known.names:
            yield text[:1000]
        return
    yield from _said_in(document, known)


def _said_in(value: Any, known: _Known) -> Iterator[str]:
    if isinstance(value, dict):
        if _PERSON.issuperset(value) and _is_about(value, known):
            yield msgspec.json.encode(value).decode()
            return
        for inner in value.values():
            yield from _said_in(inner, known)
    elif isinstance(value, list):
        for inner in value:
            yield from _said_in(inner, known)
    elif isinstance(value, str) and (_hide(value, known) != value or (" " in value and value in known.names)):
        yield value[:1000]


def _is_about(person: Mapping[str, Any], known: _Known) -> bool:
    return email_key(str(person.get("email", ""))) == known.email or person.get("name") in known.names


def _without(text: str, known: _Known, place: Place) -> str:
    document = _document(text)
    if document is None:
        # A single name, as Kari, means this person only where the record says that it is his doing.
        mine = {name for name in known.names if name in place.texts.values()}
        return _hide(text, known, mine)
    fresh = _document_without(document, known)
    return text if fresh == document else msgspec.json.encode(fresh).decode()


def _document_without(value: Any, known: _Known) -> Any:
    if isinstance(value, dict):
        if _PERSON.issuperset(value) and "name" in value and _is_about(value, known):
            return {"name": ERASED}
        return {
            key: "" if key == "email" and isinstance(inner, str) and email_key(inner) == known.email else _document_without(inner, known)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_document_without(inner, known) for inner in value]
    return _hide(value, known) if isinstance(value, str) else value


def _hide(text: str, known: _Known, single: Sequence[str] | set[str] = ()) -> str:
    hidden = re.sub(re.escape(known.email), ERASED, text, flags=re.IGNORECASE)
    for word in known.words():
        hidden = hidden.replace(word, ERASED)
    for name in single:
        hidden = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", ERASED, hidden)
    return hidden
