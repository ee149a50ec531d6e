"""Our contacts as SuperOffice finds, makes and changes them: customers, suppliers, and contact persons under keys that stay theirs."""

import datetime as dt
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connections import store
from prodsys.connections.store.connections import Kept
from prodsys.connectors.superoffice import Config
from prodsys.connectors.superoffice.cards import PERSON, changed_person, company_members
from prodsys.connectors.superoffice.desk import Company, ContactPerson, Declined, Done, Found, Wanted
from prodsys.contacts import actions as contacts
from prodsys.contacts import cards, recognising, spelling
from prodsys.contacts import store as contact_store
from prodsys.contacts.model import ContactForm, ContactPatch
from prodsys.contacts.store import Stored
from prodsys.documents import Address, Issue, Person
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell

SETTLED = dt.timedelta(seconds=10)
"""On PostgreSQL a unit that began earlier may end later; what changed in the last seconds is told the next time."""
MOST_PERSONS = 50

_PIECE = 500
_REMOTES = "superoffice"
_PERSONS = "persons"
_PERSON_KEY = re.compile(r"(?P<contact>ct_[0-9A-Z]{26})\.(?P<number>[1-9]\d{0,8})", re.ASCII)


class Numbered(msgspec.Struct, frozen=True, kw_only=True):
    """A contact person as it was when it was last told of; by this it is known again."""

    number: int
    person: Person


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers a contact's persons have at SuperOffice; a number is never given twice."""

    last: int = 0
    persons: list[Numbered] = []


_read_settings = msgspec.json.Decoder(dict[str, str]).decode
_read_register = msgspec.json.Decoder(Register).decode
_write = msgspec.json.Encoder().encode


class ContactsDesk:
    """A `connectors.superoffice.Desk` for one connection of ours; whatever it changes is noted under the connection's name."""

    def __init__(self, db: Database, kept: Kept, config: Config) -> None:
        self._db = db
        self._kept = kept
        self._config = config

    async def settings(self, guid: str) -> Mapping[str, str] | None:
        """See `Desk.settings`."""
        found = await self._db.read(store.shelf.shelved, self._kept.pk, _REMOTES, [guid])
        if guid not in found:
            return None
        # What an admin here has switched off counts for everything they have set up there.
        return _read_settings(found[guid].document) | ({} if self._config.may_write else {"READONLY": "1"})

    async def save(self, guid: str, settings: Mapping[str, str]) -> None:
        """See `Desk.save`."""
        await self._db.write(_save, self._kept, guid, settings)

    async def forget(self, guid: str) -> None:
        """See `Desk.forget`."""
        await self._db.write(_forget, self._kept, guid)

    async def get(self, type: str, keys: Sequence[str]) -> Sequence[Found]:
        """See `Desk.get`."""
        if type == PERSON:
            return await self._db.write(_persons_by_key, self._kept.pk, keys)
        return await self._db.read(_companies, type, keys)

    async def every(self, type: str) -> AsyncIterator[Sequence[Found]]:
        """See `Desk.every`."""
        async for piece in self._pieces(type, None, None):
            yield piece

    async def changed(self, type: str, since: dt.datetime | None) -> AsyncIterator[Sequence[Found]]:
        """See `Desk.changed`."""
        until = now() - SETTLED if self._db.dialect == "postgresql" else None
        async for piece in self._pieces(type, since, until):
            yield piece

    async def persons_of(self, parent_type: str, parent_key: str) -> Sequence[Found]:
        """See `Desk.persons_of`."""
        return await self._db.write(_persons_of, self._kept.pk, parent_type, parent_key)

    async def create(self, wanted: Wanted, settings: Mapping[str, str]) -> Done | Declined:
        """See `Desk.create`."""
        unit = _create_person if wanted.type == PERSON else _create_company
        return await self._carried_out(unit, wanted, settings.get("COUNTRY", ""))

    async def change(self, wanted: Wanted) -> Done | Declined:
        """See `Desk.change`."""
        return await self._carried_out(_change_person if wanted.type == PERSON else _change_company, wanted)

    async def _carried_out(self, unit: Any, wanted: Wanted, *more: Any) -> Done | Declined:
        outcome: Done | Declined
        try:
            outcome = await self._db.write(unit, self._kept, wanted, *more)
        except errors.Refusal as refusal:
            said = " ".join([refusal.detail or refusal.title(), *(issue.message for issue in refusal.issues)])
            outcome = Declined(user=said, tech=f"{refusal.code}: {said}")
        if isinstance(outcome, Declined):
            await self._db.write(_tell_declined, self._kept, wanted, outcome)
        return outcome

    async def _pieces(self, type: str, since: dt.datetime | None, until: dt.datetime | None) -> AsyncIterator[Sequence[Found]]:
        after = 0
        while True:
            rows = await self._db.read(contact_store.changed_since, since, after, _PIECE)
            fit = [row for row in rows if until is None or row.changed_at <= until]
            if type == PERSON:
                yield await self._db.write(_persons_in, self._kept.pk, [row for row in fit if _type_of(row) and row.card.persons])
            else:
                yield [_company(row) for row in fit if _has_role(row, type)]
            if len(rows) < _PIECE:
                return
            after = rows[-1].pk


def _save(tx: Tx, kept: Kept, guid: str, settings: Mapping[str, str]) -> None:
    before = store.shelf.shelved(tx, kept.pk, _REMOTES, [guid]).get(guid)
    store.shelf.shelve(tx, kept.pk, _REMOTES, {guid: _write(dict(settings)).decode()})
    was = _read_settings(before.document) if before is not None else None
    what = f"{_actor(kept)} {'changed' if before is not None else 'set up'} its connection {guid}."
    note_change(tx, _actor(kept), "connection", kept.id, what, was, dict(settings))


def _forget(tx: Tx, kept: Kept, guid: str) -> None:
    before = store.shelf.shelved(tx, kept.pk, _REMOTES, [guid]).get(guid)
    if before is not None and store.shelf.unshelve(tx, kept.pk, _REMOTES, guid):
        what = f"{_actor(kept)} removed its connection {guid}."
        note_change(tx, _actor(kept), "connection", kept.id, what, _read_settings(before.document), None)


def _companies(tx: Tx, type: str, keys: Sequence[str]) -> list[Found]:
    found = _by_keys(tx, keys)
    return [_company(found[key], key) for key in keys if key in found and _has_role(found[key], type)]


def _persons_by_key(tx: Tx, connection: int, keys: Sequence[str]) -> list[Found]:
    read = {key: match for key in keys if (match := _PERSON_KEY.fullmatch(key))}
    there = _by_keys(tx, {match["contact"] for match in read.values()})
    rows = {row.id: row for row in there.values() if _type_of(row)}
    by_key = {found.key: found for found in _persons_in(tx, connection, list(rows.values()))}
    return [by_key[key] for key in read if key in by_key]


def _persons_of(tx: Tx, connection: int, parent_type: str, parent_key: str) -> list[Found]:
    found = _by_keys(tx, [parent_key]).get(parent_key)
    if found is None or not _has_role(found, parent_type):
        return []
    persons = _persons_in(tx, connection, [found])
    return [msgspec.structs.replace(one, parent_type=parent_type, parent_key=parent_key) for one in persons]


def _persons_in(tx: Tx, connection: int, rows: Sequence[Stored]) -> list[ContactPerson]:
    """The contact persons of these contacts, each under the number it has had since it was first told of."""
    registers = _registers(tx, connection, rows)
    fresh = {row.pk: row for row in rows if _renewed(registers[row.id], row.card.persons) != registers[row.id]}
    if fresh:
        # Two at once would give the same number to two persons.
        contact_store.lock(tx, list(fresh))
        rows = list((contact_store.stored(tx, [row.pk for row in rows])).values())
        registers = _registers(tx, connection, rows)
        renewed = {row.id: _renewed(registers[row.id], row.card.persons) for row in rows}
        _keep(tx, connection, {contact: one for contact, one in renewed.items() if one != registers[contact]})
        registers = renewed
    return [_person(row, one) for row in rows for one in registers[row.id].persons]


def _registers(tx: Tx, connection: int, rows: Sequence[Stored]) -> dict[str, Register]:
    kept = store.shelf.shelved(tx, connection, _PERSONS, [row.id for row in rows])
    return {row.id: _read_register(kept[row.id].document) if row.id in kept else Register() for row in rows}


def _keep(tx: Tx, connection: int, registers: Mapping[str, Register]) -> None:
    store.shelf.shelve(tx, connection, _PERSONS, {contact: _write(register).decode() for contact, register in registers.items()})


def _renewed(register: Register, persons: Sequence[Person]) -> Register:
    """A register of the persons there are now: who is unchanged keeps his number, then who has the same e-mail or name."""
    left = list(register.persons)
    numbers: dict[int, int] = {}
    for alike in (_is_same, _has_same_email, _has_same_name):
        for at, person in enumerate(persons):
            known = next((one for one in left if alike(one.person, person)), None) if at not in numbers else None
            if known is not None:
                numbers[at] = known.number
                left.remove(known)
    last = register.last
    made = []
    for at, person in enumerate(persons):
        if at not in numbers:
            last += 1
        made.append(Numbered(number=numbers.get(at, last), person=person))
    return Register(last=last, persons=made)


def _is_same(one: Person, other: Person) -> bool:
    return one == other


def _has_same_email(one: Person, other: Person) -> bool:
    return bool(one.email) and spelling.email_key(one.email) == spelling.email_key(other.email)


def _has_same_name(one: Person, other: Person) -> bool:
    return spelling.folded(one.name) == spelling.folded(other.name)


def _create_company(tx: Tx, kept: Kept, wanted: Wanted, country: str) -> Done | Declined:
    members = company_members(wanted.values, Address())
    address: Address = members.get("address", Address())
    if not address.country and country:
        members["address"] = msgspec.structs.replace(address, country=country)
    role: dict[str, Any] = {f"is_{wanted.type.lower()}": True}
    form = ContactForm(**members, **role)
    contact_store.lock_creation(tx)
    keys = spelling.keys_of(cards.card_of(form))
    there = {known.pk: known for known in (*contact_store.alike(tx, keys), *contact_store.near(tx, keys))}
    same = [one for one in there.values() if one.card == cards.card_of(form)]
    alike = same or [one for one in there.values() if recognising.is_same_company(keys, one.keys)]
    if len(alike) == 1:
        found = _found(contact_store.by_key(tx, alike[0].pk))
        if same and _has_role(found, wanted.type):
            # Asked for twice, perhaps because our answer was lost.
            return Done(found=_company(found), remark=f"{found.card.name} was here already.")
        if not _has_role(found, wanted.type):
            patch = ContactPatch(**role)
            found = contacts.patch(tx, found.id, patch, if_match="*", actor=_actor(kept))
            remark = f"{found.card.name} was here already and is now a {wanted.type.lower()} too; its card stays as it was."
            return Done(found=_company(found), remark=remark)
    return Done(found=_company(contacts.create(tx, form, actor=_actor(kept))))


def _change_company(tx: Tx, kept: Kept, wanted: Wanted) -> Done | Declined:
    found = _by_keys(tx, [wanted.key], lock=True).get(wanted.key)
    if found is None or not _has_role(found, wanted.type):
        return _not_there(wanted.type)
    patch = ContactPatch(**company_members(wanted.values, found.card.address))
    # What is said again must not look like a change to them, or it would go round for ever.
    if cards.card_of(cards.patched(found.card, patch)) != found.card:
        found = contacts.patch(tx, found.id, patch, if_match="*", actor=_actor(kept))
    return Done(found=_company(found, wanted.key))


def _create_person(tx: Tx, kept: Kept, wanted: Wanted, _: str) -> Done | Declined:
    company = _by_keys(tx, [wanted.parent_key], lock=True).get(wanted.parent_key)
    parent_type = wanted.parent_type.capitalize()
    if company is None or not _has_role(company, parent_type):
        return Declined(user="A person belongs to a customer or supplier that is here.", tech="The parent is not there.")
    person = changed_person(wanted.values, None)
    known = next((one for one in company.card.persons if _has_same_name(one, person) and one.email == person.email), None)
    if known is None:
        if len(company.card.persons) >= MOST_PERSONS:
            return Declined(user=f"{company.card.name} has {MOST_PERSONS} contact persons already.")
        patch = ContactPatch(persons=[*company.card.persons, person])
        company = contacts.patch(tx, company.id, patch, if_match="*", actor=_actor(kept))
    made = next(one for one in _persons_in(tx, kept.pk, [company]) if one.person == (known or person))
    remark = f"{person.name} was here already." if known is not None else ""
    return Done(found=msgspec.structs.replace(made, parent_type=parent_type, parent_key=wanted.parent_key), remark=remark)


def _change_person(tx: Tx, kept: Kept, wanted: Wanted) -> Done | Declined:
    match = _PERSON_KEY.fullmatch(wanted.key)
    company = _by_keys(tx, [match["contact"]], lock=True).get(match["contact"]) if match is not None else None
    if match is None or company is None or _type_of(company) is None:
        return _not_there(PERSON)
    before = next((one for one in _persons_in(tx, kept.pk, [company]) if one.key == wanted.key), None)
    if before is None:
        return _not_there(PERSON)
    person = changed_person(wanted.values, before.person)
    if person == before.person:
        return Done(found=before)
    at = company.card.persons.index(before.person)
    persons = [*company.card.persons[:at], person, *company.card.persons[at + 1 :]]
    company = contacts.patch(tx, company.id, ContactPatch(persons=persons), if_match="*", actor=_actor(kept))
    register = _registers(tx, kept.pk, [company])[company.id]
    number = int(match["number"])
    kept_as = [msgspec.structs.replace(one, person=person) if one.number == number else one for one in register.persons]
    _keep(tx, kept.pk, {company.id: msgspec.structs.replace(register, persons=kept_as)})
    return Done(found=msgspec.structs.replace(before, person=person, changed_at=company.changed_at))


def _by_keys(tx: Tx, keys: Any, *, lock: bool = False) -> dict[str, Stored]:
    """Contacts by the keys they were told under; one that was merged is the one that was kept."""
    rows = contact_store.by_ids(tx, set(keys))
    kept = contact_store.by_ids(tx, {row.merged_into for row in rows.values() if row.merged_into})
    found = {key: kept.get(row.merged_into, row) if row.merged_into else row for key, row in rows.items()}
    if lock and found:
        contact_store.lock(tx, [row.pk for row in found.values()])
        fresh = contact_store.stored(tx, [row.pk for row in found.values()])
        found = {key: fresh[row.pk] for key, row in found.items()}
    return found


def _company(row: Stored, key: str = "") -> Company:
    card = row.card
    return Company(
        key=key or row.id,
        name=card.name,
        organisation_number=card.organisation_number,
        vat_number=card.vat_number,
        gln=card.gln,
        email=card.email,
        phone=card.phone,
        address=card.address,
        persons=len(card.persons),
        is_blocked=row.is_blocked,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def _person(row: Stored, one: Numbered) -> ContactPerson:
    return ContactPerson(
        key=f"{row.id}.{one.number}", person=one.person, parent_type=_type_of(row) or "", parent_key=row.id, changed_at=row.changed_at
    )


def _type_of(row: Stored) -> str | None:
    """As what a contact is told of where nobody says which he means."""
    return "Customer" if row.is_customer else "Supplier" if row.is_supplier else None


def _has_role(row: Stored, type: str) -> bool:
    return {"Customer": row.is_customer, "Supplier": row.is_supplier}.get(type, False)


def _not_there(type: str) -> Declined:
    return Declined(user=f"This {type.lower()} is not here any more.", tech="There is no actor of this type with this key.")


def _found(row: Stored | None) -> Stored:
    if row is None:
        raise errors.NotFound
    return row


def _tell_declined(tx: Tx, kept: Kept, wanted: Wanted, why: Declined) -> None:
    what = "changed" if wanted.key else "made"
    message = f"{_actor(kept)} would have {what} a {wanted.type.lower()}, which was refused: {why.user}"
    issue = Issue(code="superoffice_refused", message=why.tech or why.user, blocks=True)
    tell(
        tx,
        Entry(
            code="superoffice.refused",
            message=message,
            level="warning",
            direction="in",
            subject=kept.id,
            actor=_actor(kept),
            issues=[issue],
        ),
    )


def _actor(kept: Kept) -> str:
    """Under what name changes are noted."""
    return f"SuperOffice ({kept.name})"
