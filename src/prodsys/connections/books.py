"""Our own books as one end of a flow: what can be read out of them, and how what comes in finds its place."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from prodsys import documents
from prodsys.articles import model as article_model
from prodsys.articles import store as articles
from prodsys.articles.model import Draft, Known
from prodsys.connections import store
from prodsys.connectors._base import KINDS
from prodsys.contacts import lists, spelling
from prodsys.contacts import store as contacts
from prodsys.contacts.cards import completed
from prodsys.contacts.recognising import shares_identifier
from prodsys.contacts.store import New, Rewritten, Stored
from prodsys.documents import ArticleCard, ContactCard, Issue, Party, Quantity, Stock, UnitPrice, read_exact
from prodsys.exchange import engine
from prodsys.exchange.engine import Outcome, Placed
from prodsys.kit.clock import instant, micros, now
from prodsys.kit.db import Tx

OVERLAP = dt.timedelta(minutes=1)


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """A document on its way into our books. `ours` is what names it here, if it has been here before."""

    document: Any
    ours: str | None = None


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a flow lets its documents in."""

    connection: int
    actor: str
    create: bool = True
    update: bool = True
    kept: frozenset[str] = frozenset()
    """Members that are filled when a record is made and never overwritten afterwards."""


class Leaving(msgspec.Struct, frozen=True, kw_only=True):
    """A document of ours that may leave, and what names it here."""

    ours: str
    document: Any


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of our books: where the next begins, and where the next reading begins once all of it has been read."""

    leaving: list[Leaving]
    position: str
    is_last: bool


Read = Callable[[Tx, str, int], Stretch]
One = Callable[[Tx, str], Any]
Place = Callable[[Tx, Manner, Sequence[Coming]], list[Outcome]]


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What our books can do with one kind of document; what they cannot is None."""

    read: Read | None = None
    one: One | None = None
    place: Place | None = None


def our_books(more: Mapping[str, Book]) -> dict[str, Book]:
    """Our books by kind: contacts and articles, the shelf for everything else, and what upper rooms bring."""
    own = {kind: Book(read=partial(_read_shelf, kind), one=partial(_one_shelved, kind), place=partial(_shelve, kind)) for kind in KINDS}
    own["contacts"] = Book(read=_read_contacts, one=_one_contact, place=_place_contacts)
    own["articles"] = Book(read=_read_articles, one=_one_article, place=_place_articles)
    for kind, book in more.items():
        own[kind] = Book(read=book.read or own[kind].read, one=book.one or own[kind].one, place=book.place or own[kind].place)
    return own


def number_of(document: Any) -> str:
    """What names a document where nothing else does: its number, its article and place for stock."""
    if isinstance(document, Stock):
        return document.article_number + (f"@{document.location}" if document.location else "")
    return str(document.number)


def _read_contacts(tx: Tx, position: str, limit: int) -> Stretch:
    since, _, after = position.partition(":")
    began = now()
    rows = contacts.changed_since(tx, instant(int(since)) if since else None, int(after or 0), limit)
    is_last = len(rows) < limit
    onwards = f"{micros(began - OVERLAP)}:0" if is_last else f"{since}:{rows[-1].pk}"
    return Stretch(leaving=[Leaving(ours=row.id, document=contact_card(row)) for row in rows], position=onwards, is_last=is_last)


def _one_contact(tx: Tx, ours: str) -> ContactCard | None:
    row = contacts.by_id(tx, ours)
    return None if row is None else contact_card(row)


def contact_card(contact: Stored) -> ContactCard:
    """A contact of ours as other systems are told of it."""
    card = contact.card
    return ContactCard(
        name=card.name,
        is_customer=contact.is_customer,
        is_supplier=contact.is_supplier,
        is_active=not contact.is_blocked,
        organisation_number=card.organisation_number,
        vat_number=card.vat_number,
        gln=card.gln,
        email=card.email,
        phone=card.phone,
        address=card.address,
        persons=list(card.persons),
    )


def party_of(card: ContactCard) -> Party:
    """What of a card of theirs our contact keeps."""
    names = ("name", "organisation_number", "vat_number", "gln", "email", "phone", "address", "persons")
    return Party(**{name: getattr(card, name) for name in names})


def _place_contacts(tx: Tx, manner: Manner, coming: Sequence[Coming]) -> list[Outcome]:
    contacts.lock_creation(tx)
    cards = [party_of(one.document) for one in coming]
    keys = [spelling.keys_of(card) for card in cards]
    linked = contacts.by_ids(tx, [one.ours for one in coming if one.ours])
    linked |= contacts.by_ids(tx, [row.merged_into for row in linked.values() if row.merged_into])
    places = lists.Places(contacts.matching(tx, keys))
    by_email: dict[str, set[int]] = {}
    for known in contacts.by_emails(tx, [one.email for one in keys]):
        by_email.setdefault(known.keys.email, set()).add(known.pk)
    stored = contacts.stored(tx, {known.pk for known in places.contacts} | {pk for pks in by_email.values() for pk in pks})
    outcomes: list[Outcome] = []
    new: list[tuple[int, New]] = []
    rewritten: dict[int, Rewritten] = {}
    fresh: dict[str, int] = {}
    our_card = contacts.our_card(tx)
    us = None if our_card is None else spelling.keys_of(our_card)
    said_before = store.shelf.shelved(tx, manner.connection, "contacts", [contact.id for contact in linked.values()])
    for at, (one, card, key) in enumerate(zip(coming, cards, keys, strict=True)):
        contact = linked.get(one.ours or "")
        if contact is not None and contact.merged_into:
            contact = linked.get(contact.merged_into, contact)
        if contact is None and us is not None and shares_identifier(key, us):
            outcomes.append(refusal("contact_is_us", f"{card.name} is our own company; it is left out of our contacts.", name=card.name))
            continue
        if contact is None:
            hits = {known.pk for known in places.of(key)} or by_email.get(key.email, set())
            if len(hits) > 1:
                message = f"{len(hits)} contacts of ours fit {card.name} equally well; merge them, or link the right one."
                outcomes.append(refusal("contact_ambiguous", message, count=str(len(hits))))
                continue
            contact = stored[hits.pop()] if hits else None
        document: ContactCard = one.document
        if contact is None and not manner.create:
            outcomes.append(Placed(id="", new=False))
        elif contact is None and key.email and key.email in fresh:
            # Two records of theirs for one new contact of ours: the first makes it, the other waits for the next run.
            outcomes.append(refusal("contact_twice", f"{card.name} comes twice with the same e-mail address."))
        elif contact is None:
            fresh[key.email] = at
            # Whom they say nothing of comes as a customer.
            is_customer = document.is_customer or not document.is_supplier
            new.append((at, New(card=card, keys=key, is_customer=is_customer, is_supplier=document.is_supplier)))
            outcomes.append(Placed(id="", new=True))
        else:
            if manner.update:
                given = completed(contact.card, _without(card, contact.card, manner.kept))
                rewritten |= _rewritten(contact, given, document, said_before.get(contact.id))
            outcomes.append(Placed(id=contact.id, new=False))
    for (at, _), made in zip(new, contacts.create(tx, *(one for _, one in new), actor=manner.actor), strict=True):
        outcomes[at] = Placed(id=made, new=True)
    contacts.rewrite(tx, list(rewritten.values()))
    _keep_whole(tx, manner, "contacts", coming, outcomes)
    return outcomes


class _Roles(msgspec.Struct, frozen=True, kw_only=True):
    """What a card that was kept says of its role, with the defaults of the card."""

    is_customer: bool = True
    is_supplier: bool = False


_NO_ROLE = _Roles(is_customer=False)
_read_roles = msgspec.json.Decoder(_Roles).decode


def _rewritten(contact: Stored, given: Party, said: ContactCard, before: store.shelf.Shelved | None) -> dict[int, Rewritten]:
    """What of a contact changes. A role is given when they begin to say it; what somebody has given or taken away here since stays so."""
    was = _read_roles(before.document) if before is not None else _NO_ROLE
    is_supplier = contact.is_supplier or (said.is_supplier and not was.is_supplier)
    is_customer = contact.is_customer or (said.is_customer and not was.is_customer)
    if (given, is_supplier, is_customer) == (contact.card, contact.is_supplier, contact.is_customer):
        return {}
    return {contact.pk: Rewritten(pk=contact.pk, card=given, is_supplier=is_supplier, is_customer=is_customer)}


def _without(card: Party, now_kept: Party, kept: frozenset[str]) -> Party:
    values = {name: getattr(now_kept, name) for name in kept if name in Party.__struct_fields__}
    return msgspec.structs.replace(card, **values)


def _read_articles(tx: Tx, position: str, limit: int) -> Stretch:
    rows = articles.feed.changed_since(tx, int(position or 0), limit)
    onwards = str(rows[-1].position) if rows else position or "0"
    return Stretch(
        leaving=[Leaving(ours=row.number, document=article_card(row)) for row in rows], position=onwards, is_last=len(rows) < limit
    )


def _one_article(tx: Tx, ours: str) -> ArticleCard | None:
    row = articles.finding.by_numbers(tx, [ours]).get(ours)
    return None if row is None else article_card(row)


def article_card(article: Known) -> ArticleCard:
    """An article of ours as other systems are told of it."""
    return ArticleCard(
        number=article.number,
        name=article.name,
        unit=article.unit,
        gtin=article.gtin,
        price=None if article.price is None else UnitPrice(article.price),
        price_quantity=Quantity(article.price_quantity),
        currency=article.currency,
        is_active=article.is_active,
    )


_OURS = {"name": "name", "unit": "unit", "gtin": "gtin", "price": "price", "price_quantity": "price_quantity", "currency": "currency",
         "is_active": "is_active"}  # fmt: skip


def _place_articles(tx: Tx, manner: Manner, coming: Sequence[Coming]) -> list[Outcome]:
    known = articles.finding.by_numbers(tx, [one.ours or documents.plain(one.document.number) for one in coming])
    given = frozenset(member for member, ours in _OURS.items() if ours not in manner.kept)
    outcomes: list[Outcome] = []
    drafts: dict[str, Draft] = {}
    for one in coming:
        card: ArticleCard = one.document
        kept = known.get(one.ours or documents.plain(card.number))
        draft, issues = article_model.tidied(_draft(card, kept))
        if not draft.name and kept is None:
            issues.append(Issue(code="name_missing", message="An article needs a name.", pointer="/name", blocks=True))
        if issues:
            outcomes.append(engine.Refused(code="article_refused", title="The article cannot be kept as it is.", issues=issues))
        elif kept is None and not manner.create:
            outcomes.append(Placed(id="", new=False))
        else:
            if kept is None or manner.update:
                drafts[draft.number] = draft
            outcomes.append(Placed(id=draft.number, new=kept is None))
    # What a card leaves out is not taken away from an article we have.
    articles.keeping.save_many(tx, list(drafts.values()), given)
    _keep_whole(tx, manner, "articles", coming, outcomes)
    return outcomes


def _draft(card: ArticleCard, kept: Known | None) -> Draft:
    was = articles.keeping.as_draft(kept) if kept is not None else Draft(number=card.number)
    return msgspec.structs.replace(
        was,
        number=kept.number if kept is not None else card.number,
        name=card.name or was.name,
        unit=card.unit or was.unit,
        gtin=card.gtin or was.gtin,
        price=Decimal(card.price) if card.price is not None else was.price,
        price_quantity=Decimal(card.price_quantity) if card.price is not None else was.price_quantity,
        currency=card.currency or was.currency,
        is_active=card.is_active,
    )


def _keep_whole(tx: Tx, manner: Manner, kind: str, coming: Sequence[Coming], outcomes: Sequence[Outcome]) -> None:
    """Put whole cards on the shelf too: what the other system says beyond our own members is shown on its tab, and may go on elsewhere."""
    whole = {
        outcome.id: documents.write(one.document).decode()
        for one, outcome in zip(coming, outcomes, strict=True)
        if isinstance(outcome, Placed) and outcome.id
    }
    store.shelf.shelve(tx, manner.connection, kind, whole)


def _read_shelf(kind: str, tx: Tx, position: str, limit: int) -> Stretch:
    rows = store.shelf.from_shelf(tx, kind, int(position or 0), limit)
    read = msgspec.json.Decoder(KINDS[kind], dec_hook=read_exact).decode
    onwards = str(rows[-1].position) if rows else position or "0"
    leaving = [Leaving(ours=row.number, document=read(row.document)) for row in rows]
    return Stretch(leaving=leaving, position=onwards, is_last=len(rows) < limit)


def _one_shelved(kind: str, tx: Tx, ours: str) -> Any:
    found = store.shelf.on_shelves(tx, kind, ours)
    return msgspec.json.decode(found[0].document, type=KINDS[kind], dec_hook=read_exact) if found else None


def _shelve(kind: str, tx: Tx, manner: Manner, coming: Sequence[Coming]) -> list[Outcome]:
    numbers = [number_of(one.document) for one in coming]
    there = store.shelf.shelved(tx, manner.connection, kind, numbers)
    outcomes: list[Outcome] = []
    whole: dict[str, str] = {}
    for one, number in zip(coming, numbers, strict=True):
        if (number not in there and not manner.create) or (number in there and not manner.update):
            outcomes.append(Placed(id=number if number in there else "", new=False))
            continue
        outcomes.append(Placed(id=number, new=number not in there and number not in whole))
        whole[number] = documents.write(one.document).decode()
    store.shelf.shelve(tx, manner.connection, kind, whole)
    return outcomes


def refusal(code: str, message: str, **params: str) -> engine.Refused:
    """A refusal for one reason."""
    return engine.Refused(code=code, title=message, issues=[Issue(code=code, message=message, params=params, blocks=True)])
