"""The contacts, and what partners would have changed in theirs."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Column, ColumnElement, and_, bindparam, delete, func, insert, or_, select, tuple_, update

from prodsys import documents
from prodsys.contacts.cards import differences
from prodsys.contacts.model import Contact, Duplicates, Keys, Known, Proposal, SharedField, SharedValue
from prodsys.contacts.recognising import duplicate_score
from prodsys.contacts.spelling import keys_of, persons_of
from prodsys.documents import Party
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, in_texts, insert_new
from prodsys.kit.ids import new_id
from prodsys.tables import company, contact_merges, contact_proposals, contacts, counters, modules, partners

Role = Literal["supplier", "customer"]

_NEAR_AT_MOST = 200
_GROUPS_AT_MOST = 100
_GROUP_AT_MOST = 20
_END = "\U0010ffff"

_c = contacts.c
_read_card = msgspec.json.Decoder(Party).decode
_compared = (_c.pk, _c.id, _c.card, _c.is_blocked, _c.name_key, _c.address_key, _c.organisation_number, _c.vat_number, _c.gln, _c.email_key)
_with_partner = select(*_compared, partners.c.pk.label("partner")).outerjoin(partners, partners.c.contact == _c.pk)
_in_force = _c.merged_into.is_(None)

_linked = hot(select(*_compared).where(_c.pk == bindparam("contact")))
# A NULL equals nothing, so an identifier that is not given finds nobody.
_exact = hot(
    _with_partner.where(
        _in_force,
        or_(
            _c.organisation_number == bindparam("organisation_number"),
            in_texts(_c.vat_number, "vat_numbers"),
            _c.gln == bindparam("gln"),
            _c.email_key == bindparam("email"),
            and_(_c.name_key == bindparam("name"), _c.address_key == bindparam("address")),
        ),
    )
)
_near = hot(
    _with_partner.where(_in_force, _c.name_key >= bindparam("from_name"), _c.name_key < bindparam("to_name"))
    .order_by(_c.name_key, _c.address_key, _c.pk)
    .limit(_NEAR_AT_MOST)
)
_SHARED: tuple[tuple[SharedField, ColumnElement[str]], ...] = (
    ("organisation_number", _c.organisation_number),
    ("vat_number", _c.vat_number),
    ("gln", _c.gln),
    ("name", _c.name_key),
    ("email", _c.email_key),
)
_insert = hot(insert(contacts))
_rewritten = (
    *("name", "card", "organisation_number", "vat_number", "gln", "email_key", "name_key", "address_key"),
    *("changed_at", "is_supplier", "is_customer"),
)
_rewrite = hot(
    update(contacts)
    .where(_c.pk == bindparam("at_pk"))
    .values({name: bindparam(name, type_=_c[name].type) for name in _rewritten} | {"version": _c.version + 1})
)
_link_of = select(partners.c.pk, partners.c.name, partners.c.contact, partners.c.identifiers, partners.c.lets_through)
_partner = hot(_link_of.where(partners.c.pk == bindparam("partner")))
_company = hot(select(company.c.card).limit(1))

_kept = contacts.alias("kept")
_into = select(_kept.c.id).where(_kept.c.pk == _c.merged_into).scalar_subquery().label("into_id")
_whole = select(contacts, partners.c.id.label("partner_id"), _into).outerjoin(partners, partners.c.contact == _c.pk)


def references() -> list[Column[Any]]:
    """Every column of any table that points to a contact, that of earlier merges included; a table made later is found by itself."""
    tables = contacts.metadata.sorted_tables
    return [column for table in tables for column in table.c if any(key.column is _c.pk for key in column.foreign_keys)]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A contact as it is kept."""

    pk: int
    id: str
    card: Party
    is_supplier: bool
    is_customer: bool
    is_blocked: bool
    is_provisional: bool
    partner: str | None
    merged_into: str | None
    created_at: dt.datetime
    changed_at: dt.datetime
    version: int


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner is tied to: its contact, if any, and the other identifiers listed for it."""

    partner: int
    name: str
    contact: int | None
    identifiers: tuple[str, ...]
    lets_through: frozenset[str]
    """Members of its contact it may change without being asked about."""


class New(msgspec.Struct, frozen=True, kw_only=True):
    """A contact to be made."""

    card: Party
    is_supplier: bool = False
    is_customer: bool = False
    is_provisional: bool = False
    keys: Keys | None = None
    """What the card is recognised by, where that is known already."""


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """A contact's new card and roles."""

    pk: int
    card: Party
    is_supplier: bool
    is_customer: bool


def linked(tx: Tx, contact: int) -> Known | None:
    """The contact a partner is linked to: one indexed read, on the path of every order."""
    row = _linked.first(tx, {"contact": contact})
    return None if row is None else _known(row, None)


def alike(tx: Tx, wanted: Keys) -> list[Known]:
    """Every contact on some rung of the ladder for this card."""
    rows = _exact.all(
        tx,
        {
            "organisation_number": wanted.organisation_number or None,
            "vat_numbers": _vat_spellings(wanted.vat_number),
            "gln": wanted.gln or None,
            "email": wanted.email or None,
            "name": wanted.name if wanted.address else None,
            "address": wanted.address or None,
        },
    )
    return [_known(row, row.partner) for row in rows]


def near(tx: Tx, wanted: Keys) -> list[Known]:
    """Contacts whose names begin like this one, at most 200, for a person to choose from."""
    start = wanted.name[:5]
    if not start:
        return []
    return [_known(row, row.partner) for row in _near.all(tx, {"from_name": start, "to_name": start + _END})]


def link_of(tx: Tx, partner: int) -> Link | None:
    """What a partner is tied to; None for a partner that is not there."""
    row = _partner.first(tx, {"partner": partner})
    return None if row is None else _link(row)


def lock_link(tx: Tx, partner: int) -> Link | None:
    """The same, and nobody else links or unlinks this partner until we are done."""
    row = tx.execute(_link_of.where(partners.c.pk == partner).with_for_update()).first()
    return None if row is None else _link(row)


def lock_creation(tx: Tx) -> None:
    """Let nobody else make a contact until we are done: two at once could both find that there is none."""
    insert_new(tx, counters, {"name": "contacts"})
    tx.execute(update(counters).where(counters.c.name == "contacts").values(value=counters.c.value + 1))


def our_card(tx: Tx) -> Party | None:
    """Our own company's card."""
    row = _company.first(tx)
    return None if row is None else _read_card(row.card)


def is_module_on(tx: Tx, name: str) -> bool:
    """Whether an extension is switched on here."""
    return bool(tx.execute(select(modules.c.is_on).where(modules.c.name == name)).scalar())


def create(tx: Tx, *new: New, actor: str) -> list[str]:
    """Make contacts; returns their public ids in the same order."""
    at = now()
    ids = [new_id("ct") for _ in new]
    _insert.many(
        tx,
        [
            {
                "id": made,
                **_columns(one.card, at, one.keys),
                "is_supplier": one.is_supplier,
                "is_customer": one.is_customer,
                "is_provisional": one.is_provisional,
                "created_at": at,
                "created_by": actor,
            }
            for made, one in zip(ids, new, strict=True)
        ],
    )
    return ids


def key_of(tx: Tx, id: str) -> int | None:
    """The key of a contact by its public id."""
    return tx.execute(select(_c.pk).where(_c.id == id)).scalar()


def by_id(tx: Tx, id: str, *, lock: bool = False) -> Stored | None:
    """One contact by its public id."""
    return _one(tx, _c.id == id, lock=lock)


def by_key(tx: Tx, contact: int, *, lock: bool = False) -> Stored | None:
    """One contact by its key."""
    return _one(tx, _c.pk == contact, lock=lock)


def change(tx: Tx, contact: int, version: int, card: Party, *, is_supplier: bool, is_customer: bool, is_provisional: bool = False) -> bool:
    """Write a contact's card if it is still in this version. A person has then looked at it, unless *is_provisional* says otherwise."""
    values = _columns(card, now()) | {"is_supplier": is_supplier, "is_customer": is_customer, "is_provisional": is_provisional}
    return tx.execute(update(contacts).where(_c.pk == contact, _c.version == version).values(**values, version=version + 1)).rowcount == 1


def rewrite(tx: Tx, rewritten: Sequence[Rewritten]) -> None:
    """Write many contacts' cards and roles at once."""
    at = now()
    _rewrite.many(
        tx,
        [{"at_pk": one.pk, **_columns(one.card, at), "is_supplier": one.is_supplier, "is_customer": one.is_customer} for one in rewritten],
    )


def lock(tx: Tx, keys: Iterable[int]) -> None:
    """Let nobody change these contacts, or make anything point to them, until we are done."""
    tx.execute(select(_c.pk).where(in_ints(_c.pk, "pks")).order_by(_c.pk).with_for_update(), {"pks": sorted(keys)}).all()


def merge(tx: Tx, merged: Stored, kept: Stored, card: Party, *, actor: str) -> dict[str, int]:
    """Let everything that points to one contact point to the other, which gets this card and both roles; how many rows, by column.

    The merged row stays, with what it was and where it went. What the rows were is kept, so that it can be undone by hand.
    """
    at = now()
    moved: dict[str, list[Any]] = {}
    for column in references():
        table = column.table
        more = {"version": table.c.version + 1} if "version" in table.c and column is not _c.merged_into else {}
        statement = update(table).where(column == merged.pk).values({column.name: kept.pk} | more)
        rows = tx.execute(statement.returning(*table.primary_key.columns)).all()
        if rows:
            moved[f"{table.name}.{column.name}"] = [row[0] if len(row) == 1 else list(row) for row in rows]
    tx.execute(update(contacts).where(_c.pk == merged.pk).values(merged_into=kept.pk, version=_c.version + 1, changed_at=at))
    values = _columns(card, at) | {
        "is_supplier": kept.is_supplier or merged.is_supplier,
        "is_customer": kept.is_customer or merged.is_customer,
        "is_blocked": kept.is_blocked or merged.is_blocked,
        "is_provisional": kept.is_provisional and merged.is_provisional,
    }
    tx.execute(update(contacts).where(_c.pk == kept.pk).values(**values, version=_c.version + 1))
    row = {
        "id": new_id("cm"),
        "merged": merged.id,
        "kept": kept.id,
        "merged_card": documents.write(merged.card).decode(),
        "kept_card": documents.write(kept.card).decode(),
        "moved": msgspec.json.encode(moved).decode(),
        "at": at,
        "actor": actor,
    }
    tx.execute(insert(contact_merges).values(row))
    return {column: len(rows) for column, rows in moved.items()}


def follow_merges(tx: Tx, since: dt.datetime) -> int:
    """Move what came to point to a contact while it was being merged, in merges since then; how many rows that were.

    On PostgreSQL an order that had read its contact before the merge may be stored after it.
    """
    merges = contact_merges.c
    gone = [row.merged for row in tx.execute(select(merges.merged).where(merges.at >= since))]
    rows = tx.execute(select(_c.pk).where(in_texts(_c.id, "ids")), {"ids": gone}).scalars().all() if gone else []
    late = 0
    for column in references():
        if column is not _c.merged_into and rows:
            target = select(_kept.c.merged_into).where(_kept.c.pk == column).scalar_subquery()
            late += tx.execute(update(column.table).where(in_ints(column, "gone")).values({column.name: target}), {"gone": rows}).rowcount
    return late


def block(tx: Tx, contact: int, *, blocked: bool) -> bool:
    """Block or unblock; False when it was so already."""
    statement = update(contacts).where(_c.pk == contact, _c.is_blocked != blocked)
    return tx.execute(statement.values(is_blocked=blocked, version=_c.version + 1, changed_at=now())).rowcount == 1


def page(
    tx: Tx,
    *,
    after: tuple[str, str, int] | None,
    limit: int,
    starts_with: str = "",
    organisation_number: str = "",
    role: Role | None = None,
    provisional: bool | None = None,
) -> list[Stored]:
    """Contacts by name, from behind a place in that order. `starts_with` is a folded beginning of the name."""
    statement = _whole.where(_in_force).order_by(_c.name_key, _c.address_key, _c.pk).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(_c.name_key, _c.address_key, _c.pk) > tuple_(*after))
    if starts_with:
        statement = statement.where(_c.name_key >= starts_with, _c.name_key < starts_with + _END)
    if organisation_number:
        statement = statement.where(_c.organisation_number == organisation_number)
    if role is not None:
        statement = statement.where(_c.is_supplier if role == "supplier" else _c.is_customer)
    if provisional is not None:
        statement = statement.where(_c.is_provisional == provisional)
    return [_stored(row) for row in tx.execute(statement)]


def duplicates(tx: Tx) -> list[Duplicates]:
    """Contacts that share an identifier, a name or an e-mail address, the likeliest first; at most 100 groups of at most 20."""
    shared: dict[tuple[int, ...], list[SharedValue]] = {}
    for field, column in _SHARED:
        for value, members in _sharing(tx, column):
            shared.setdefault(members, []).append(SharedValue(field=field, value=value))
    every = sorted({member for members in shared for member in members})
    found = {row.pk: row for row in tx.execute(_whole.where(in_ints(_c.pk, "pks")), {"pks": every})}
    groups = []
    for members, some in shared.items():
        evidence = [*some, *_same_address([found[member].address_key for member in members])]
        contradict = len({found[member].organisation_number for member in members} - {""}) > 1
        groups.append(
            Duplicates(
                score=duplicate_score([one.field for one in evidence], contradict=contradict),
                evidence=evidence,
                contacts=[as_document(_stored(found[member])) for member in members],
            )
        )
    return sorted(groups, key=lambda group: -group.score)[:_GROUPS_AT_MOST]


def matching(tx: Tx, keys: Iterable[Keys]) -> list[Known]:
    """Every contact that one of these cards might be, for a whole file at once."""
    wanted = list(keys)
    found: dict[int, Known] = {}
    for column, values in (
        (_c.organisation_number, {one.organisation_number for one in wanted}),
        (_c.vat_number, {spelling for one in wanted for spelling in _vat_spellings(one.vat_number)}),
        (_c.gln, {one.gln for one in wanted}),
        (_c.name_key, {one.name for one in wanted if one.address}),
    ):
        statement = _with_partner.where(_in_force, in_texts(column, "listed"))
        found |= {row.pk: _known(row, row.partner) for row in tx.execute(statement, {"listed": sorted(values - {""})})}
    return list(found.values())


def stored(tx: Tx, keys: Iterable[int]) -> dict[int, Stored]:
    """Many contacts by their keys."""
    rows = tx.execute(_whole.where(in_ints(_c.pk, "pks")), {"pks": list(keys)})
    return {row.pk: _stored(row) for row in rows}


def open_proposal(tx: Tx, contact: int, partner: int) -> tuple[str, Party] | None:
    """What this partner asks for in this contact and nobody has decided."""
    p = contact_proposals.c
    row = tx.execute(select(p.id, p.card).where(p.contact == contact, p.partner == partner, p.state == "open")).first()
    return None if row is None else (row.id, _read_card(row.card))


def propose(tx: Tx, contact: int, partner: int, card: Party) -> str:
    """Keep a partner's wish. It takes the place of its last undecided one under a new id, so that nobody accepts what he has not read."""
    withdraw(tx, contact, partner)
    made = new_id("cp")
    values = {"id": made, "contact": contact, "partner": partner, "card": documents.write(card).decode(), "created_at": now()}
    tx.execute(insert(contact_proposals).values(values))
    return made


def withdraw(tx: Tx, contact: int, partner: int) -> None:
    """Forget what this partner asks for in this contact, unless it has been decided."""
    p = contact_proposals.c
    tx.execute(delete(contact_proposals).where(p.contact == contact, p.partner == partner, p.state == "open"))


def decide(tx: Tx, proposal: str, state: Literal["accepted", "declined"], actor: str) -> bool:
    """Close an open proposal; False when it is not open."""
    p = contact_proposals.c
    statement = update(contact_proposals).where(p.id == proposal, p.state == "open")
    return tx.execute(statement.values(state=state, decided_at=now(), decided_by=actor)).rowcount == 1


def proposal(tx: Tx, id: str) -> tuple[int, int, Party] | None:
    """Contact, partner and card of a proposal."""
    p = contact_proposals.c
    row = tx.execute(select(p.contact, p.partner, p.card).where(p.id == id)).first()
    return None if row is None else (row.contact, row.partner, _read_card(row.card))


def proposals(tx: Tx, after: str, limit: int) -> list[Proposal]:
    """Undecided proposals, the oldest first, from behind an id."""
    p = contact_proposals.c
    statement = (
        select(p.id, p.card, p.created_at, _c.id.label("contact_id"), _c.card.label("recorded"), partners.c.name.label("partner_name"))
        .join(contacts, _c.pk == p.contact)
        .join(partners, partners.c.pk == p.partner)
        .where(p.state == "open", p.id > after)
        .order_by(p.id)
        .limit(limit)
    )
    found = []
    for row in tx.execute(statement):
        card = _read_card(row.card)
        found.append(
            Proposal(
                id=row.id,
                contact=row.contact_id,
                partner=row.partner_name,
                card=card,
                differences=differences(_read_card(row.recorded), card),
                created_at=row.created_at,
            )
        )
    return found


def place_of(contact: Stored) -> tuple[str, str, int]:
    """Where a contact stands in the order of `page`."""
    keys = keys_of(contact.card)
    return keys.name, keys.address, contact.pk


def as_document(contact: Stored, *, house: bool = True) -> Contact:
    """A contact as the house reads it, or as the partner it belongs to does."""
    card = Contact(id=contact.id, **{field: getattr(contact.card, field) for field in Party.__struct_fields__})
    if not house:
        return card
    return msgspec.structs.replace(
        card,
        is_supplier=contact.is_supplier,
        is_customer=contact.is_customer,
        is_blocked=contact.is_blocked,
        is_provisional=contact.is_provisional,
        partner=contact.partner,
        merged_into=contact.merged_into,
        created_at=contact.created_at,
        changed_at=contact.changed_at,
    )


def _columns(card: Party, at: dt.datetime, keys: Keys | None = None) -> dict[str, Any]:
    keys = keys or keys_of(card)
    return {
        "name": card.name,
        "card": documents.write(card).decode(),
        "organisation_number": keys.organisation_number,
        "vat_number": keys.vat_number,
        "gln": keys.gln,
        "email_key": keys.email,
        "name_key": keys.name,
        "address_key": keys.address,
        "changed_at": at,
    }


def _one(tx: Tx, where: ColumnElement[bool], *, lock: bool) -> Stored | None:
    if lock:
        tx.execute(select(_c.pk).where(where).with_for_update())
    row = tx.execute(_whole.where(where)).first()
    return None if row is None else _stored(row)


def _sharing(tx: Tx, column: ColumnElement[str]) -> list[tuple[str, tuple[int, ...]]]:
    """Each value of a column that several contacts share, and which."""
    several = (
        select(column.label("value"))
        .where(column != "", _in_force)
        .group_by(column)
        .having(func.count() > 1)
        .order_by(column)
        .limit(_GROUPS_AT_MOST)
        .subquery()
    )
    sharing = select(several.c.value, _c.pk).join(contacts, column == several.c.value).where(_in_force)
    rows = tx.execute(sharing.order_by(several.c.value, _c.pk))
    groups: dict[str, list[int]] = {}
    for value, pk in rows:
        groups.setdefault(value, []).append(pk)
    return [(value, tuple(members[:_GROUP_AT_MOST])) for value, members in groups.items()]


def _same_address(keys: Sequence[str]) -> list[SharedValue]:
    """The address, where all of these contacts have the same one."""
    return [SharedValue(field="address", value=keys[0])] if keys[0] and len(set(keys)) == 1 else []


def _vat_spellings(vat_number: str) -> list[str]:
    """The ways a VAT number may be kept: with its country, and without where the address did not tell it."""
    return [vat_number, vat_number[2:]] if vat_number[:2].isalpha() else [vat_number] if vat_number else []


def _known(row: Any, partner: int | None) -> Known:
    card = _read_card(row.card)
    return Known(
        pk=row.pk,
        id=row.id,
        card=card,
        keys=Keys(
            name=row.name_key,
            address=row.address_key,
            organisation_number=row.organisation_number,
            vat_number=row.vat_number,
            gln=row.gln,
            email=row.email_key,
            persons=persons_of(card),
        ),
        partner=partner,
        is_blocked=bool(row.is_blocked),
    )


def _stored(row: Any) -> Stored:
    return Stored(
        pk=row.pk,
        id=row.id,
        card=_read_card(row.card),
        is_supplier=row.is_supplier,
        is_customer=row.is_customer,
        is_blocked=row.is_blocked,
        is_provisional=row.is_provisional,
        partner=row.partner_id,
        merged_into=row.into_id,
        created_at=row.created_at,
        changed_at=row.changed_at,
        version=row.version,
    )


def _link(row: Any) -> Link:
    return Link(
        partner=row.pk,
        name=row.name,
        contact=row.contact,
        identifiers=tuple(row.identifiers.split()),
        lets_through=frozenset(row.lets_through.split()),
    )


def by_ids(tx: Tx, ids: Iterable[str]) -> dict[str, Stored]:
    """Many contacts by their public ids."""
    return {row.id: _stored(row) for row in tx.execute(_whole.where(in_texts(_c.id, "ids")), {"ids": list(ids)})}


def by_emails(tx: Tx, emails: Iterable[str]) -> list[Known]:
    """Every contact in force with one of these e-mail addresses, as `model.email_key` makes them."""
    statement = _with_partner.where(_in_force, in_texts(_c.email_key, "emails"))
    return [_known(row, row.partner) for row in tx.execute(statement, {"emails": sorted(set(emails) - {""})})]


def changed_since(tx: Tx, since: dt.datetime | None, after: int, limit: int) -> list[Stored]:
    """Contacts in force that were changed since a moment, in the order of their keys."""
    query = _whole.where(_in_force, _c.pk > after).order_by(_c.pk).limit(limit)
    if since is not None:
        query = query.where(_c.changed_at >= since)
    return [_stored(row) for row in tx.execute(query)]
