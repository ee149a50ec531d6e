"""Recognise whose card it is, make and change contacts, and decide what partners propose."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import msgspec

from prodsys import errors
from prodsys.contacts import cards, findings, lists, recognising, spelling, store
from prodsys.contacts.model import (
    Contact,
    ContactForm,
    ContactMatch,
    ContactPatch,
    Evidence,
    ImportedContacts,
    Keys,
    Known,
    Merge,
    Merged,
    Proposed,
    Recognised,
    Similar,
)
from prodsys.contacts.store import Link, New, Rewritten, Role, Stored
from prodsys.documents import Issue, Party, plain
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.sheets import Table
from prodsys.kit.sheets.faults import at_row, row_fault, row_of
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.scopes import PRODSYS_MODULE


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A list of contacts, read: its rows, what makes it unfit, and what is only worth a look."""

    listed: list[lists.Listed]
    faults: list[Issue]
    issues: list[Issue]


AT = "/buyer"
"""Where the card stands in an order, as a JSON pointer."""


def recognise(
    tx: Tx,
    buyer: Party,
    *,
    partner: int,
    linked: int | None,
    extra_identifiers: Sequence[str] = (),
    us: Party | None,
    at: str = AT,
) -> Recognised:
    """Find out who a document's buyer is to us; nothing is stored (product.md, A4; rulings.md, 25).

    `linked` is the contact of the partner whose token it came with: then one indexed read decides, and the card only confirms.
    `extra_identifiers` are the other numbers listed for this partner. Pointers start with `at`, where the card stands. In a batch,
    one call for each distinct card is enough: they all come from one partner.
    """
    wanted = spelling.keys_of(buyer)
    issues = findings.number_issues(buyer, at)
    if not plain(buyer.name):
        message = "The buyer has no name; send your own card."
        issues.append(Issue(code="buyer_name_missing", message=message, pointer=f"{at}/name", blocks=True))
    is_us = us is not None and recognising.shares_identifier(wanted, spelling.keys_of(us))
    if is_us:
        issues.append(findings.is_us_issue(at))
    known = None if linked is None else store.linked(tx, linked)
    if known is not None:
        if not is_us:
            issues += _compared(buyer, wanted, known, extra_identifiers, at, tell=True)
        return Recognised(contact=known.pk, how="partner_link", issues=issues)
    if is_us:
        return Recognised(contact=None, how="none", issues=issues)
    return _climbed(tx, buyer, wanted, partner, extra_identifiers, issues, at)


def linked_card(tx: Tx, contact: int) -> Party | None:
    """The card of a partner's contact."""
    known = store.linked(tx, contact)
    return None if known is None else known.card


def create_provisional(tx: Tx, buyer: Party, *, partner: int, actor: str, trace_id: str = "", evidence: Sequence[Evidence] = ()) -> int:
    """Make a contact from a document's card, to be looked at by a person; its key, for the caller to link to the partner in this unit.

    Never twice for one partner: the partner is locked, and if somebody linked it meanwhile that contact is the answer. Raises
    StorageUnavailable when the same company was made for somebody else in this very moment: sent again, the document is recognised.
    """
    link = store.lock_link(tx, partner)
    if link is not None and link.contact is not None:
        return link.contact
    store.lock_creation(tx)
    wanted = spelling.keys_of(buyer)
    if not isinstance(recognising.climb(wanted, store.alike(tx, wanted), partner), recognising.Unknown):
        raise errors.StorageUnavailable("This company has just been made a contact; send the document again.")
    [made] = store.create(tx, New(card=cards.card_of(buyer), is_customer=True, is_provisional=True), actor=actor)
    tell(
        tx,
        Entry(
            code="contact.created",
            message=f"{buyer.name} was not known and is now a provisional contact; look at it and complete it.",
            level="warning",
            direction="in",
            partner=partner,
            subject=made,
            actor=actor,
            trace_id=trace_id,
            issues=findings.evidence_issues(evidence),
        ),
    )
    note_change(tx, actor, "contact", made, f"{buyer.name} is now a provisional contact.", after=_noted(_found(store.by_id(tx, made))))
    return _key(tx, made)


def match(tx: Tx, card: Party, *, partner: int) -> ContactMatch:
    """How this card would be recognised in an order of this partner, told as to a partner: counts, no names of others."""
    link = _link(tx, partner)
    us = store.our_card(tx)
    recognised = recognise(tx, card, partner=partner, linked=link.contact, extra_identifiers=link.identifiers, us=us, at="")
    matched = recognising.matched(recognised)
    return ContactMatch(how=matched.how, similar=matched.similar, issues=recognised.issues)


def create(tx: Tx, form: ContactForm, *, actor: str, allow_similar: bool = False) -> Stored:
    """Make a contact by hand. Raises SimilarExists, naming them, when others share an identifier or name and address."""
    store.lock_creation(tx)
    card = cards.card_of(form)
    _must_have_name(card)
    wanted = spelling.keys_of(card)
    if not allow_similar and (others := [known for known in store.alike(tx, wanted) if recognising.is_same_company(wanted, known.keys)]):
        raise errors.SimilarExists(issues=findings.evidence_issues(recognising.evidence(wanted, others, None), blocks=True))
    [made] = store.create(tx, New(card=card, is_supplier=form.is_supplier, is_customer=form.is_customer), actor=actor)
    tell(tx, Entry(code="contact.created", message=f"{actor} made the contact {card.name}.", subject=made, actor=actor))
    contact = _found(store.by_id(tx, made))
    note_change(tx, actor, "contact", made, f"{actor} made the contact {card.name}.", after=_noted(contact))
    return contact


def similar(tx: Tx, id: str) -> list[Similar]:
    """Contacts that may be the same company as this one, the likeliest first, at most 20. Raises NotFound."""
    contact = _found(store.by_id(tx, id))
    wanted = spelling.keys_of(contact.card)
    around = {known.pk: known for known in (*store.alike(tx, wanted), *store.near(tx, wanted)) if known.pk != contact.pk}
    scored = [(recognising.likeness(wanted, known.keys), known) for known in around.values()]
    best = sorted((one for one in scored if one[0] >= recognising.NEAR), key=lambda one: (-one[0], one[1].pk))[:20]
    whole = store.stored(tx, [known.pk for _, known in best])
    return [
        Similar(score=score, evidence=recognising.shared(wanted, known.keys), contact=document(whole[known.pk], house=True))
        for score, known in best
    ]


def merge(tx: Tx, id: str, wish: Merge, *, actor: str) -> Merged:
    """Let one contact take another's place: everything that pointed to the other points to it now, in this unit (product.md, A4).

    The merged contact stays readable and says where it went; nothing finds it any more. What was blocked stays blocked. Raises NotFound,
    Invalid for a contact with itself, WrongState when one was merged before or both are linked to partners, saying which.
    """
    store.lock_creation(tx)
    merged, kept = _found(store.by_id(tx, id)), store.by_id(tx, wish.into)
    if kept is None:
        message = "There is no contact with this id."
        raise errors.Invalid(message, issues=[Issue(code="contact_unknown", message=message, pointer="/into", blocks=True)])
    if kept.pk == merged.pk:
        message = "A contact cannot be merged into itself."
        raise errors.Invalid(message, issues=[Issue(code="same_contact", message=message, pointer="/into", blocks=True)])
    store.lock(tx, (merged.pk, kept.pk))
    merged, kept = _in_use(_found(store.by_id(tx, id))), _in_use(_found(store.by_id(tx, wish.into)))
    if merged.partner and kept.partner:
        message = (
            f"{merged.card.name} is linked to the partner {merged.partner} and {kept.card.name} to the partner {kept.partner}; "
            "two partners cannot share a contact. Unlink one of them first."
        )
        params = {"contact": merged.id, "partner": merged.partner, "into": kept.id, "other_partner": kept.partner}
        raise errors.WrongState(message, issues=[Issue(code="contact_linked_twice", message=message, params=params, blocks=True)])
    card = cards.without_gaps(kept.card, merged.card) if wish.fill_gaps else kept.card
    moved = store.merge(tx, merged, kept, card, actor=actor)
    filled = [difference.field for difference in cards.differences(kept.card, card)]
    taken = f" Taken over: {', '.join(filled)}." if filled else ""
    blocked = " It is blocked, as the other was." if merged.is_blocked and not kept.is_blocked else ""
    message = f"{actor} merged the contact {merged.card.name} ({merged.id}) into {kept.card.name} ({kept.id}).{taken}{blocked}"
    issue = Issue(
        code="contact_merged",
        message="What pointed to the merged contact now points to the kept one.",
        params={"merged": merged.id, "into": kept.id} | {column: str(count) for column, count in moved.items()},
    )
    # One entry for each, so that either contact's history tells of it.
    told = Entry(code="contact.merged", message=message, subject=kept.id, actor=actor, issues=[issue])
    tell(tx, told, msgspec.structs.replace(told, subject=merged.id))
    now_kept = _found(store.by_id(tx, kept.id))
    note_change(tx, actor, "contact", merged.id, message, _noted(merged), _noted(_found(store.by_id(tx, merged.id))))
    note_change(tx, actor, "contact", kept.id, message, _noted(kept), _noted(now_kept))
    return Merged(merged=merged.id, kept=document(now_kept, house=True), moved=moved, filled=filled)


def tidy(tx: Tx) -> None:
    """Move what was stored for a merged contact in the moment of its merge."""
    late = store.follow_merges(tx, now() - dt.timedelta(days=1))
    if late:
        tell(tx, Entry(code="contact.merge_followed", message=f"{late} records that were on their way followed a merged contact."))


def replace(tx: Tx, id: str, form: ContactForm, *, if_match: str | None, actor: str) -> Stored:
    """Write a contact's whole card. Raises NotFound, IfMatchMissing, Stale with the current ETag, WrongState once it was merged."""
    contact = _in_use(_found(store.by_id(tx, id, lock=True)))
    must_match(if_match, tag(contact))
    return _changed(tx, contact, cards.card_of(form), form.is_supplier, form.is_customer, actor)


def patch(tx: Tx, id: str, given: ContactPatch, *, if_match: str | None, actor: str) -> Stored:
    """Write some members of a contact's card. Raises like `replace`."""
    contact = _in_use(_found(store.by_id(tx, id, lock=True)))
    must_match(if_match, tag(contact))
    is_supplier = contact.is_supplier if given.is_supplier is msgspec.UNSET else given.is_supplier
    is_customer = contact.is_customer if given.is_customer is msgspec.UNSET else given.is_customer
    return _changed(tx, contact, cards.card_of(cards.patched(contact.card, given)), is_supplier, is_customer, actor)


def block(tx: Tx, id: str, *, blocked: bool, actor: str) -> Stored:
    """Refuse this contact's orders from now on, or take them again. To block twice is to block."""
    contact = _in_use(_found(store.by_id(tx, id, lock=True)))
    if not store.block(tx, contact.pk, blocked=blocked):
        return contact
    code, done = ("contact.blocked", "blocked") if blocked else ("contact.unblocked", "unblocked")
    tell(tx, Entry(code=code, message=f"{actor} {done} the contact {contact.card.name}.", subject=id, actor=actor))
    before, after = {"is_blocked": not blocked}, {"is_blocked": blocked}
    note_change(tx, actor, "contact", id, f"{actor} {done} the contact {contact.card.name}.", before, after)
    return _found(store.by_id(tx, id))


def read(tx: Tx, id: str) -> Stored:
    """One contact. Raises NotFound."""
    return _found(store.by_id(tx, id))


def read_own(tx: Tx, partner: int, id: str | None = None) -> Stored | None:
    """The contact a partner is linked to, if any; with `id`, raises NotFound unless it is that one (rulings.md, 25)."""
    link = _link(tx, partner)
    contact = None if link.contact is None else store.by_key(tx, link.contact)
    if id is not None and (contact is None or contact.id != id):
        raise errors.NotFound
    return contact


def propose(
    tx: Tx, wish: ContactForm | ContactPatch, *, partner: int, actor: str, id: str | None = None, if_match: str | None = None
) -> Proposed:
    """Keep what a partner would have changed in its own contact, for a person to decide (rulings.md, 25).

    What a whole card leaves empty stays as it is; a patch may empty a member, and builds on what the partner proposed last. Members the
    partner is let through with are changed at once. Raises ModuleOff, NotFound for a contact that is not its own, WrongState while it
    has none, Stale when *if_match* is given and another, Invalid for what a partner cannot propose.
    """
    # The guard cannot ask this: the same doors stay open to the house when the module is off.
    if not store.is_module_on(tx, PRODSYS_MODULE):
        raise errors.ModuleOff
    link = _link(tx, partner)
    contact = None if link.contact is None else store.by_key(tx, link.contact, lock=True)
    if id is not None and (contact is None or contact.id != id):
        raise errors.NotFound
    if contact is None:
        raise errors.WrongState("You have no contact record here yet; one is made from your first order, or by the supplier.")
    if if_match is not None:
        must_match(if_match, tag(contact))
    if wish.is_supplier not in (False, msgspec.UNSET) or wish.is_customer not in (False, msgspec.UNSET):
        message = "What you are to us is ours to say; leave out is_supplier and is_customer."
        raise errors.Invalid(issues=[Issue(code="not_yours", message=message, blocks=True)])
    match wish:
        case ContactForm():
            card = cards.spoken(contact.card, cards.card_of(wish))
        case ContactPatch():
            before = store.open_proposal(tx, contact.pk, partner)
            card = cards.card_of(cards.patched(before[1] if before else contact.card, wish))
    return wish_for(tx, link, contact, card, actor=actor)


def wish_for(tx: Tx, link: Link, contact: Stored, card: Party, *, actor: str) -> Proposed:
    """Let a partner's own contact become this card: at once where the partner is let through, otherwise when a person says so.

    The e-mail of record, the VAT and organisation number are never let through. Raises Invalid for a card without a name.
    """
    _must_have_name(card)
    before = store.open_proposal(tx, contact.pk, link.partner)
    if before is not None and before[1] == card:
        return Proposed(contact=contact.id, state="open", proposal=before[0])
    taken = [difference.field for difference in cards.differences(contact.card, card) if difference.field in link.lets_through]
    if taken:
        contact = _let_through(tx, link, contact, cards.with_members(contact.card, card, taken), taken, actor)
    if card == contact.card:
        store.withdraw(tx, contact.pk, link.partner)
        return Proposed(contact=contact.id, state="taken" if taken else "unchanged", taken=taken)
    proposal = store.propose(tx, contact.pk, link.partner, card)
    fields = ", ".join(difference.field for difference in cards.differences(contact.card, card)) or "spelling"
    message = f"{link.name} proposes a change of its contact ({fields}); accept or decline it."
    tell(tx, Entry(code="contact.change_proposed", message=message, direction="in", partner=link.partner, subject=contact.id, actor=actor))
    return Proposed(contact=contact.id, state="open", proposal=proposal, taken=taken)


def accept(tx: Tx, proposal: str, *, actor: str) -> Stored:
    """Write what a partner proposed into its contact. Raises NotFound (also when it was replaced by a newer one), WrongState."""
    contact, partner, card = _decided(tx, proposal, "accepted", actor)
    message = f"{actor} accepted the change {contact.card.name} had proposed."
    tell(tx, Entry(code="contact.change_accepted", message=message, partner=partner, subject=contact.id, actor=actor))
    return _changed(tx, contact, card, contact.is_supplier, contact.is_customer, actor)


def decline(tx: Tx, proposal: str, *, actor: str) -> Stored:
    """Leave a contact as it is although its partner would have it changed. Raises like `accept`."""
    contact, partner, _ = _decided(tx, proposal, "declined", actor)
    message = f"{actor} declined the change {contact.card.name} had proposed."
    tell(tx, Entry(code="contact.change_declined", message=message, partner=partner, subject=contact.id, actor=actor))
    return contact


def read_rows(table: Table) -> Rows:
    """What a list says, as far as that can be told without the database: for a thread of its own, so that nobody waits meanwhile."""
    listed, faults = lists.listed_contacts(table)
    return Rows(
        listed=listed,
        faults=faults,
        issues=[issue for one in listed for issue in findings.number_issues(one.card, at_row(one.row))],
    )


def import_rows(tx: Tx, rows: Rows, *, actor: str, role: Role | None = None) -> ImportedContacts:
    """Make or complete contacts from a list that was read: all rows, or, with every fault of every row named, none.

    A row is a contact we have if an identifier, or name and address, says so; its empty cells leave the contact as it is. `role` holds
    for rows without one. A row of our own company is left out, and said. Raises BadFile.
    """
    listed, faults = rows.listed, list(rows.faults)
    store.lock_creation(tx)
    places = lists.Places(store.matching(tx, [one.keys for one in listed]))
    found = store.stored(tx, {known.pk for known in places.contacts})
    new: list[New] = []
    rewritten: list[Rewritten] = []
    first_row: dict[int, int] = {}
    unchanged = 0
    ourselves = _our_rows(tx, listed)
    listed = [one for one in listed if one.row not in ourselves]
    for one in listed:
        hits = places.of(one.keys)
        if len(hits) > 1:
            message = f"{len(hits)} contacts fit this row equally well."
            faults.append(row_fault(one.row, "", "contact_ambiguous", message, count=str(len(hits))))
            continue
        is_supplier = one.is_supplier or (not one.is_customer and role == "supplier")
        is_customer = one.is_customer or (not one.is_supplier and role == "customer")
        if not hits:
            new.append(New(card=one.card, keys=one.keys, is_supplier=is_supplier, is_customer=is_customer))
            continue
        contact = found[hits[0].pk]
        if (before := first_row.setdefault(contact.pk, one.row)) != one.row:
            faults.append(row_fault(one.row, "", "row_twice", f"Row {before} is the same contact.", other=str(before)))
            continue
        card = cards.completed(contact.card, one.card)
        same = card == contact.card and is_supplier <= contact.is_supplier and is_customer <= contact.is_customer
        unchanged += same
        if not same:
            rewritten.append(
                Rewritten(
                    pk=contact.pk,
                    card=card,
                    is_supplier=is_supplier or contact.is_supplier,
                    is_customer=is_customer or contact.is_customer,
                )
            )
    if faults:
        raise errors.BadFile(issues=sorted(faults, key=row_of))
    store.create(tx, *new, actor=actor)
    store.rewrite(tx, rewritten)
    result = ImportedContacts(
        rows=len(listed),
        created=len(new),
        changed=len(rewritten),
        unchanged=unchanged,
        refused=len(ourselves),
        issues=[*ourselves.values(), *(issue for issue in rows.issues if row_of(issue) not in ourselves)],
    )
    left_out = ", our own company was left out" if ourselves else ""
    message = f"{actor} imported {result.rows} contacts: {result.created} new, {result.changed} changed{left_out}."
    tell(tx, Entry(code="contacts.imported", message=message, actor=actor))
    if new or rewritten:
        note_change(tx, actor, "contact", "import", message)
    return result


def _our_rows(tx: Tx, listed: Sequence[lists.Listed]) -> dict[int, Issue]:
    """The rows that are our own company, which is nobody's contact here."""
    card = store.our_card(tx)
    if card is None:
        return {}
    us = spelling.keys_of(card)
    found = {}
    for one in listed:
        if recognising.shares_identifier(one.keys, us):
            message = f"{one.card.name} is our own company; it is left out of our contacts."
            fault = row_fault(one.row, "", "contact_is_us", message, name=one.card.name)
            found[one.row] = msgspec.structs.replace(fault, blocks=False)
    return found


def tag(contact: Stored) -> str:
    """The ETag of a contact's state."""
    return etag(contact.id, contact.version)


def document(contact: Stored, *, house: bool) -> Contact:
    """The contact as its reader may see it."""
    return store.as_document(contact, house=house)


def _climbed(
    tx: Tx, buyer: Party, wanted: Keys, partner: int, extra_identifiers: Sequence[str], issues: list[Issue], at: str
) -> Recognised:
    """Below the link: who it may be goes to the supplier as evidence, to the partner only how many there are."""
    alike = store.alike(tx, wanted)
    match recognising.climb(wanted, alike, partner):
        case recognising.Found(how, known):
            issues += _compared(buyer, wanted, known, extra_identifiers, at, tell=False)
            return Recognised(contact=known.pk, how=how, issues=issues, evidence=recognising.evidence(wanted, [known], partner))
        case recognising.Several(_, contacts):
            issues.append(findings.ambiguous_issue(len(contacts), at))
            seen = recognising.evidence(wanted, contacts, partner)
            return Recognised(contact=None, how="ambiguous", similar=len(contacts), issues=issues, evidence=seen)
        case recognising.BelongsToOther(_, contacts):
            issues.append(findings.belongs_to_other_issue(at))
            seen = recognising.evidence(wanted, contacts, partner)
            return Recognised(contact=None, how="none", similar=len(contacts), issues=issues, evidence=seen)
        case recognising.Unknown():
            around = {known.pk: known for known in (*alike, *store.near(tx, wanted))}
            seen = tuple(one for one in recognising.evidence(wanted, around.values(), partner) if one.score >= recognising.NEAR)
            issues.append(findings.created_issue(len(seen), at))
            if incomplete := findings.incomplete_issue(buyer, wanted, at):
                issues.append(incomplete)
            return Recognised(contact=None, how="created", would_create=True, similar=len(seen), issues=issues, evidence=seen)


def _compared(buyer: Party, wanted: Keys, known: Known, extra_identifiers: Sequence[str], at: str, *, tell: bool) -> list[Issue]:
    """What a person should know about the card and the contact it belongs to. `tell`: the contact is the partner's own record."""
    issues = findings.mismatch_issues(buyer, wanted, known, extra_identifiers, at, tell=tell)
    issues += findings.difference_issues(buyer, wanted, known, at, tell=tell)
    if known.is_blocked:
        issues.append(findings.blocked_issue(at))
    return issues


def _changed(tx: Tx, contact: Stored, card: Party, is_supplier: bool, is_customer: bool, actor: str) -> Stored:
    _must_have_name(card)
    if not store.change(tx, contact.pk, contact.version, card, is_supplier=is_supplier, is_customer=is_customer):
        raise errors.Stale
    fields = ", ".join(difference.field for difference in cards.differences(contact.card, card)) or "what it is to us"
    message = f"{actor} changed the contact {card.name} ({fields})."
    tell(tx, Entry(code="contact.changed", message=message, subject=contact.id, actor=actor))
    changed = _found(store.by_id(tx, contact.id))
    note_change(tx, actor, "contact", contact.id, message, _noted(contact), _noted(changed))
    return changed


def _let_through(tx: Tx, link: Link, contact: Stored, card: Party, members: Sequence[str], actor: str) -> Stored:
    roles = {"is_supplier": contact.is_supplier, "is_customer": contact.is_customer, "is_provisional": contact.is_provisional}
    if not store.change(tx, contact.pk, contact.version, card, **roles):
        raise errors.Stale
    message = f"{link.name} changed its contact ({', '.join(members)}), as it is let through."
    tell(
        tx,
        Entry(
            code="contact.change_let_through",
            message=message,
            direction="in",
            partner=link.partner,
            subject=contact.id,
            actor=actor,
            issues=[
                Issue(
                    code="contact_changed",
                    message=f"{difference.field}: {difference.recorded or 'nothing'} → {difference.proposed or 'nothing'}",
                    params={"field": difference.field, "from": difference.recorded, "to": difference.proposed},
                    pointer=f"/{difference.field}",
                )
                for difference in cards.differences(contact.card, card)
            ],
        ),
    )
    changed = _found(store.by_id(tx, contact.id))
    note_change(tx, actor, "contact", contact.id, message, _noted(contact), _noted(changed))
    return changed


def _noted(contact: Stored) -> Contact:
    """The contact as the log of changes keeps it."""
    return document(contact, house=True)


def _in_use(contact: Stored) -> Stored:
    if contact.merged_into is not None:
        raise errors.WrongState(f"This contact was merged into {contact.merged_into}; use that one.")
    return contact


def _decided(tx: Tx, proposal: str, state: Literal["accepted", "declined"], actor: str) -> tuple[Stored, int, Party]:
    found = store.proposal(tx, proposal)
    if found is None:
        raise errors.NotFound("This proposal is not there; the partner may have replaced it by a newer one.")
    contact, partner, card = found
    if not store.decide(tx, proposal, state, actor):
        raise errors.WrongState("This proposal has been decided already.")
    return _in_use(_found(store.by_key(tx, contact, lock=True))), partner, card


def _link(tx: Tx, partner: int) -> Link:
    link = store.link_of(tx, partner)
    if link is None:
        raise errors.NotFound("There is no such partner.")
    return link


def _found(contact: Stored | None) -> Stored:
    if contact is None:
        raise errors.NotFound("There is no contact with this id; GET /contacts?q=… finds one by its name.")
    return contact


def _key(tx: Tx, id: str) -> int:
    key = store.key_of(tx, id)
    if key is None:
        raise errors.NotFound(f"There is no contact {id[:40]}; GET /contacts?q=… finds one by its name.")
    return key


def _must_have_name(card: Party) -> None:
    if not card.name:
        issue = Issue(code="name_missing", message="A contact needs a name.", pointer="/name", blocks=True)
        raise errors.Invalid(issues=[issue])
