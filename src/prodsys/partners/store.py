"""The rows of partners."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, and_, bindparam, exists, func, insert, or_, select, update

from prodsys import documents, errors
from prodsys.documents import Party, Percent, reader
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints, insert_or_update
from prodsys.kit.ids import new_id
from prodsys.kit.outbound import Trust
from prodsys.partners.checking import MOST_NUMBERS, Checklist
from prodsys.partners.comparing import SyncState
from prodsys.partners.model import AutoConfirm, Buyer, Named, Partner, Supplier
from prodsys.tables import catalogue_pulls, contact_syncs, contacts, log_entries, partners, supplier_articles, supplier_numbers

_p = partners.c
_read_checklist = msgspec.json.Decoder(Checklist).decode
_read_card = msgspec.json.Decoder(Party).decode
_read_state = msgspec.json.Decoder(SyncState).decode
_read_scopes = msgspec.json.Decoder(tuple[str, ...]).decode


class Cards(msgspec.Struct, frozen=True, kw_only=True):
    """A supplier, the contact we keep of him, the card he showed last, and what we remember of comparing."""

    supplier: Supplier
    contact_id: str | None
    contact: Party | None
    theirs: Party | None
    state: SyncState
    fault: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A partner as an admin sees it, with what only this room needs: its keys, and its version for the ETag."""

    pk: int
    version: int
    shown: Partner
    supplier: Supplier
    contact: int | None


_read_rule = reader(AutoConfirm)


def _buyer_row(**row: Any) -> Buyer:
    row["identifiers"] = tuple(row["identifiers"].split()) if row["identifiers"] else ()
    row["offers_all"] = row.pop("offers") == "all"
    row["show_prices"] = bool(row["show_prices"])
    row["is_active"] = bool(row["is_active"])
    row["auto_confirm"] = _read_rule(row["auto_confirm"]) if row["auto_confirm"] else None
    return Buyer(**row)


_buyer = hot(
    select(
        _p.pk, _p.id, _p.name, _p.contact, _p.identifiers, _p.when_unknown, _p.price_tolerance, _p.offers, _p.show_prices, _p.is_active,
        _p.auto_confirm,
    ).where(_p.pk == bindparam("partner")),
    _buyer_row,
)  # fmt: skip
_supplier_columns = (
    _p.pk,
    _p.id,
    _p.name,
    _p.contact,
    _p.endpoint,
    _p.trust,
    _p.token.label("sealed"),
    _p.token_expires_at,
    _p.token_scopes,
    _p.their_epoch,
    _p.their_cursor,
    _p.give_up_after_days,
    _p.is_active,
    _p.version,
)
_suppliers = hot(select(*_supplier_columns).where(in_ints(_p.pk, "partners")))
_supplier_named = hot(select(*_supplier_columns).where(_p.id == bindparam("id")))
_other = partners.alias("other")
_link = hot(
    update(partners)
    .where(
        _p.pk == bindparam("partner"),
        _p.contact.is_(None) | (_p.contact == bindparam("linked")),
        ~exists().where(_other.c.contact == bindparam("linked"), _other.c.pk != bindparam("partner")),
    )
    .values(contact=bindparam("linked"), version=_p.version + 1)
)
_cards_of = (
    select(
        *_supplier_columns,
        contacts.c.id.label("contact_id"),
        contacts.c.card.label("contact_card"),
        _p.their_card,
        contact_syncs.c.state,
        contact_syncs.c.fault,
    )
    .outerjoin(contacts, contacts.c.pk == _p.contact)
    .outerjoin(contact_syncs, contact_syncs.c.partner == _p.pk)
)
_cards = hot(_cards_of.where(in_ints(_p.pk, "partners")))
_their_cards = hot(select(_p.pk, _p.their_card).where(in_ints(_p.pk, "partners"), _p.their_card.is_not(None)))
_lock = hot(select(_p.pk).where(in_ints(_p.pk, "partners")).order_by(_p.pk).with_for_update())
_keep_sync = hot(insert_or_update(contact_syncs, "partner", only=("state", "at", "fault")))
_keep_card = hot(update(partners).where(_p.pk == bindparam("partner")).values(their_card=bindparam("card"), their_epoch=bindparam("epoch")))
_keep_token_facts = hot(
    update(partners)
    .where(_p.pk == bindparam("partner"), _p.token == bindparam("sealed"))
    .values(token_expires_at=bindparam("expires_at"), token_scopes=bindparam("scopes"))
)
_keep_cursor = hot(
    update(partners).where(_p.pk == bindparam("partner")).values(their_cursor=bindparam("cursor"), their_epoch=bindparam("epoch"))
)


def buyer(tx: Tx, partner: int) -> Buyer:
    """How we treat a partner who buys from us: one indexed read, on the path of every order. Raises NotFound."""
    found = _buyer.first(tx, {"partner": partner})
    if found is None:
        raise errors.NotFound
    return found


def lock_contact(tx: Tx, partner: int) -> int | None:
    """The contact a partner is linked to, and nobody else links or unlinks him until we are done."""
    return tx.execute(select(_p.contact).where(_p.pk == partner).with_for_update()).scalar()


def link_contact(tx: Tx, partner: int, contact: int) -> None:
    """Link a partner to his contact. Raises StorageUnavailable when either was linked elsewhere, or the contact merged, in this moment.

    Sent again, it is seen.
    """
    c = contacts.c
    # A merge holds the contact until it has moved everything that points there; nothing may come to point there behind it.
    free = select(c.pk).where(c.pk == contact, c.merged_into.is_(None)).with_for_update(read=True, key_share=True)
    if tx.execute(free).first() is None or _link.run(tx, {"partner": partner, "linked": contact}) == 0:
        raise errors.StorageUnavailable("This contact or partner has just been linked elsewhere; try again.")


def supplier(tx: Tx, partner: int) -> Supplier:
    """How we reach a partner who sells to us. Raises NotFound."""
    found = suppliers(tx, [partner])
    if not found:
        raise errors.NotFound
    return found[partner]


def suppliers(tx: Tx, partners: Collection[int]) -> dict[int, Supplier]:
    """The same for many at once; those that are not there are left out."""
    return {row.pk: _supplier(row) for row in _suppliers.all(tx, {"partners": partners})} if partners else {}


def supplier_named(tx: Tx, id: str) -> Supplier | None:
    """How we reach a partner, by his public id; it is also the name of his lane."""
    row = _supplier_named.first(tx, {"id": id})
    return None if row is None else _supplier(row)


def keep_cursor(tx: Tx, partner: int, cursor: str, epoch: str) -> None:
    """Remember how far we have read his feed, and in which life of his instance. No new version: people did not change anything."""
    _keep_cursor.run(tx, {"partner": partner, "cursor": cursor, "epoch": epoch})


def by_id(tx: Tx, id: str, *, lock: bool = False) -> Row:
    """One partner by his public id; with `lock` nobody else changes him until we are done. Raises NotFound."""
    if lock:
        tx.execute(select(_p.pk).where(_p.id == id).with_for_update())
    row = tx.execute(_whole().where(_p.id == id)).first()
    if row is None:
        raise errors.NotFound
    return _row(row)


def page(tx: Tx, *, after: int, limit: int) -> list[Row]:
    """Partners in the order they were made, from behind a key."""
    return [_row(row) for row in tx.execute(_whole().where(_p.pk > after).order_by(_p.pk).limit(limit))]


class Called(msgspec.Struct, frozen=True, kw_only=True):
    """A partner by what a list shows of him."""

    id: str
    name: str
    may_rotate: bool


_called = hot(select(_p.id, _p.name, _p.may_rotate).where(_p.pk > 0).order_by(_p.pk).limit(bindparam("most")), Called)


def called(tx: Tx, most: int) -> list[Called]:
    """The first so many partners, by name: those of a page, of which the rest would be read in vain."""
    return sorted(_called.all(tx, {"most": most}), key=lambda one: one.name.casefold())


def connected(tx: Tx) -> list[Supplier]:
    """Every active partner we have a token of, in the order they were made."""
    query = select(*_supplier_columns).where(_p.is_active, _p.endpoint != "", _p.token.is_not(None)).order_by(_p.pk)
    return [_supplier(row) for row in tx.execute(query)]


def named(tx: Tx) -> list[Named]:
    """Every partner by what he is known by; only for the rare moment when another is added."""
    query = select(
        _p.id, _p.name, _p.endpoint, _p.identifiers, contacts.c.organisation_number, contacts.c.vat_number, contacts.c.gln
    ).outerjoin(contacts, contacts.c.pk == _p.contact)
    return [
        Named(
            id=row.id,
            name=row.name,
            endpoint=row.endpoint,
            numbers=frozenset({*row.identifiers.split(), row.organisation_number, row.vat_number, row.gln}) - {"", None},
        )
        for row in tx.execute(query)
    ]


def names(tx: Tx, limit: int = 500) -> list[tuple[str, str, bool]]:
    """(id, name, whether we have a connection) of the active partners to choose from, the connected ones first."""
    is_connected = and_(_p.endpoint != "", _p.token.is_not(None))
    query = select(_p.id, _p.name, is_connected.label("is_connected")).where(_p.is_active).order_by(is_connected.desc(), _p.name)
    return [(row.id, row.name, bool(row.is_connected)) for row in tx.execute(query.limit(limit))]


def put(tx: Tx, values: dict[str, Any]) -> tuple[int, str]:
    """Make a partner; his key and public id."""
    public_id = new_id("pa")
    key = tx.execute(insert(partners).values(values | {"id": public_id, "created_at": now()}).returning(_p.pk)).scalar_one()
    return int(key), public_id


def change(tx: Tx, partner: int, values: dict[str, Any]) -> None:
    """Write what people see of a partner: it makes a new version."""
    tx.execute(update(partners).where(_p.pk == partner).values(values | {"version": _p.version + 1}))


def connect(
    tx: Tx,
    partner: int,
    *,
    endpoint: str,
    trust: Trust,
    sealed: str,
    expires_at: dt.datetime | None,
    scopes: Iterable[str],
) -> None:
    """Write how a partner is reached from now on; what an earlier test found is forgotten."""
    values = {
        "endpoint": endpoint,
        "trust": trust,
        "token": sealed,
        "token_expires_at": expires_at,
        "token_scopes": _scopes(scopes),
        "checklist": None,
        "tested_at": None,
    }
    change(tx, partner, values)


def renew(tx: Tx, partner: int, before: str, *, sealed: str, expires_at: dt.datetime, scopes: Iterable[str]) -> bool:
    """Put a token's successor in its place; False when it is no longer the one that was renewed."""
    values = {"token": sealed, "token_expires_at": expires_at, "token_scopes": _scopes(scopes), "version": _p.version + 1}
    return tx.execute(update(partners).where(_p.pk == partner, _p.token == before).values(values)).rowcount == 1


def keep_card(tx: Tx, partner: int, card: Party, epoch: str) -> None:
    """Remember the card their instance shows, and which life of it that was."""
    keep_cards(tx, [(partner, card, epoch)])


def keep_cards(tx: Tx, shown: Iterable[tuple[int, Party, str]]) -> None:
    """The same for many partners: key, card and life each."""
    _keep_card.many(tx, [{"partner": key, "card": documents.write(card).decode(), "epoch": epoch} for key, card, epoch in shown])


def keep_checklist(tx: Tx, partner: int, found: Checklist) -> None:
    """Remember what a test found."""
    tx.execute(update(partners).where(_p.pk == partner).values(checklist=msgspec.json.encode(found).decode(), tested_at=found.at))


def keep_token_facts(tx: Tx, partner: int, sealed: str | None, expires_at: dt.datetime | None, scopes: Iterable[str]) -> None:
    """Write what they say of the token they gave us, unless it has been replaced meanwhile."""
    keep_tokens_facts(tx, [(partner, sealed, expires_at, scopes)])


def keep_tokens_facts(tx: Tx, said: Iterable[tuple[int, str | None, dt.datetime | None, Iterable[str]]]) -> None:
    """The same for many partners: key, the token as it was, its end and its scopes each."""
    rows = [{"partner": key, "sealed": sealed, "expires_at": ends, "scopes": _scopes(scopes)} for key, sealed, ends, scopes in said]
    _keep_token_facts.many(tx, rows)


def their_cards(tx: Tx, partners: Collection[int]) -> dict[int, Party]:
    """The cards their instances showed last, by the partners' keys; without those who have shown none."""
    rows = _their_cards.all(tx, {"partners": partners})
    return {row.pk: _read_card(row.their_card) for row in rows}


def partner_of_contact(tx: Tx, contact: int) -> str | None:
    """The public id of the partner a contact is linked to."""
    return tx.execute(select(_p.id).where(_p.contact == contact)).scalar()


def contacts_with_number(tx: Tx, key: str) -> list[tuple[int, str, str, str | None]]:
    """The contacts with an organisation number, VAT number or GLN: key, public id, name and partner's id each."""
    c = contacts.c
    query = (
        select(c.pk, c.id, c.name, _p.id.label("partner"))
        .outerjoin(partners, _p.contact == c.pk)
        .where((c.organisation_number == key) | (c.vat_number == key) | (c.gln == key), c.merged_into.is_(None))
        .order_by(c.pk)
    )
    return [(row.pk, row.id, row.name, row.partner) for row in tx.execute(query)]


def cards(tx: Tx, partners: Collection[int], *, lock: bool = False) -> dict[int, Cards]:
    """The cards that are compared with these partners; with `lock` nobody else changes them until we are done."""
    if lock:
        _lock.all(tx, {"partners": partners})
    return {row.pk: _cards_in(row) for row in _cards.all(tx, {"partners": partners})}


def due_cards(tx: Tx, since: dt.datetime, after: int, limit: int) -> list[Cards]:
    """The same of connected partners, from behind a key, whose cards have not been compared since then."""
    s = contact_syncs.c
    is_due = or_(s.at.is_(None), s.at < since)
    query = _cards_of.where(_p.pk > after, _p.is_active, _p.endpoint != "", _p.token.is_not(None), is_due).order_by(_p.pk).limit(limit)
    return [_cards_in(row) for row in tx.execute(query)]


def keep_syncs(tx: Tx, compared: Iterable[tuple[int, SyncState, str]]) -> None:
    """Remember how comparing cards stands: partner, what we know, and why it failed, if it did."""
    at, write = now(), msgspec.json.encode
    _keep_sync.many(
        tx, [{"partner": key, "state": write(state).decode(), "at": at, "fault": fault[:500]} for key, state, fault in compared]
    )


def changed_by(tx: Tx, code: str, subject: str) -> tuple[dt.datetime, str] | None:
    """When the logs last told of this, about this, and who did it."""
    e = log_entries.c
    row = tx.execute(select(e.at, e.actor).where(e.code == code, e.subject == subject).order_by(e.pk.desc()).limit(1)).first()
    return None if row is None else (row.at, row.actor)


def numbers_not_in_catalogue(tx: Tx, supplier: int, since: dt.datetime) -> tuple[int, Sequence[str]] | None:
    """How many of our article numbers at a supplier there are, and those his catalogue does not offer, at most 1,000.

    None when his catalogue has not been read to its end since then.
    """
    p = catalogue_pulls.c
    if tx.execute(select(p.partner).where(p.partner == supplier, p.whole_at.is_not(None), p.pulled_at >= since)).first() is None:
        return None
    s, theirs = supplier_numbers.c, supplier_articles.c
    mine = (s.partner == supplier, s.number != "")
    count = tx.execute(select(func.count(s.number.distinct())).where(*mine)).scalar_one()
    known = and_(theirs.partner == supplier, theirs.number == s.number, theirs.is_active)
    missing = select(s.number).distinct().where(*mine, ~exists().where(known)).order_by(s.number).limit(MOST_NUMBERS)
    return count, tx.execute(missing).scalars().all()


def numbers_at(tx: Tx, supplier: int) -> Sequence[str]:
    """The article numbers we would order by at a supplier, at most 1,000."""
    s = supplier_numbers.c
    query = select(s.number).distinct().where(s.partner == supplier, s.number != "").order_by(s.number).limit(MOST_NUMBERS)
    return tx.execute(query).scalars().all()


def _whole() -> Select[Any]:
    sealed = _p.token.label("sealed")
    return select(partners, sealed, contacts.c.id.label("contact_id")).outerjoin(contacts, contacts.c.pk == _p.contact)


def _scopes(words: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(words)).decode()


def _supplier(row: Any) -> Supplier:
    return Supplier(
        pk=row.pk,
        id=row.id,
        name=row.name,
        contact=row.contact,
        endpoint=row.endpoint,
        trust=row.trust,
        sealed=row.sealed,
        token_expires_at=row.token_expires_at,
        token_scopes=_read_scopes(row.token_scopes) if row.token_scopes else (),
        their_epoch=row.their_epoch,
        their_cursor=row.their_cursor,
        give_up_after_days=row.give_up_after_days,
        is_active=bool(row.is_active),
        version=row.version,
    )


def _cards_in(row: Any) -> Cards:
    return Cards(
        supplier=_supplier(row),
        contact_id=row.contact_id,
        contact=None if row.contact_card is None else _read_card(row.contact_card),
        theirs=None if row.their_card is None else _read_card(row.their_card),
        state=SyncState() if row.state is None else _read_state(row.state),
        fault=row.fault or "",
    )


def _row(row: Any) -> Row:
    supplier = _supplier(row)
    shown = Partner(
        id=row.id,
        name=row.name,
        contact=row.contact_id,
        is_active=supplier.is_active,
        identifiers=row.identifiers.split(),
        when_unknown=row.when_unknown,
        price_tolerance=Percent(row.price_tolerance),
        offers=row.offers,
        show_prices=bool(row.show_prices),
        may_rotate=bool(row.may_rotate),
        lets_through=row.lets_through.split(),
        auto_confirm=_read_rule(row.auto_confirm) if row.auto_confirm else None,
        endpoint=row.endpoint,
        has_token=row.token is not None,
        token_expires_at=row.token_expires_at,
        token_scopes=list(supplier.token_scopes),
        give_up_after_days=row.give_up_after_days,
        lane=None,
        checklist=None if row.checklist is None else _read_checklist(row.checklist),
        missing=[],
        created_at=row.created_at,
    )
    return Row(pk=row.pk, version=row.version, shown=shown, supplier=supplier, contact=row.contact)
