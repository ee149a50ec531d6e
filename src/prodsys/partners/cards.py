"""Our cards beside a supplier's: what either side changed waits for a person there or here, and what both changed is only shown."""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from prodsys import errors
from prodsys.connectors.prodsys.words import Company, Offered, Record, Same, Stale
from prodsys.contacts import actions as contacts
from prodsys.contacts import store as contact_store
from prodsys.contacts.cards import differences, member_in_words, spoken, with_members
from prodsys.contacts.model import MEMBERS, ContactPatch, Member
from prodsys.documents import Issue, Party
from prodsys.exchange import timetable
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.journal import log
from prodsys.kit.outbound import Later, Misconfigured, Refused
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.modules.store import is_on
from prodsys.partners import checking, comparing, store
from prodsys.partners.comparing import About, Changed, Comparison, Disagreement, Settlement, Synced, SyncState, Two
from prodsys.partners.connecting import CONTACTS
from prodsys.partners.model import Supplier
from prodsys.partners.reaching import Way, speak
from prodsys.partners.store import Cards
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope, widened

LOOK = dt.timedelta(minutes=15)
"""How often it is looked whose cards are to be compared; a supplier who has just been connected is seen at once."""
TOGETHER = 256
"""Suppliers read, and written down, in one unit."""
SIDE_BY_SIDE = 16
"""Suppliers asked at the same time."""

_CLOCK = "timetable"
_SECONDS_AT_A_TIME = 90.0
"""A run ends well before its lease, and goes on under the next."""

Trouble = Later | Misconfigured | Refused


def compare(tx: Tx, id: str) -> Comparison:
    """Our contact's card beside the card his instance showed last, and our own card beside his record of us. Raises NotFound."""
    known = _known(tx, id)
    state, ours = known.state, contact_store.our_card(tx)
    them, us = _of_them(known), _of_us(ours, state)
    return Comparison(
        ours=known.contact,
        theirs=known.theirs,
        differences=differences(them.ours, them.theirs) if them else [],
        our_card=ours,
        their_record=state.record,
        disagreements=sorted(
            [*_disagreements(tx, known, "them", them, state), *_disagreements(tx, known, "us", us, state)],
            key=lambda one: one.changed != "both",
        ),
        compared_at=state.at,
        fault=known.fault,
    )


async def sync_contacts(db: Database, way: Way, id: str, *, actor: str = _CLOCK, offer: bool = False) -> Synced:
    """Compare cards with a supplier in both directions, by ETag (product.md, A4).

    What he changed on his own card becomes a proposed change of our contact; what we changed on ours is offered to him. What both sides
    have changed since they last agreed is a conflict: it is shown, and nothing of it is written anywhere until `settle`. With `offer`
    everything his record of us differs in is offered, whoever changed it; what our card leaves empty never is. Raises NotFound.
    """
    known = await db.read(_known, id)
    may_ask = await db.read(is_on, PRODSYS_MODULE) and known.supplier.is_active
    if not may_ask and not isinstance(speak(way, known.supplier), Misconfigured):
        return Synced(fault=f"Nothing is asked of {known.supplier.name} while the module or the partner is switched off.")
    [found] = await _sync(db, way, [known], actor, offer=offer)
    return found


async def sync_due(db: Database, way: Way) -> bool:
    """Compare cards with every supplier whose turn has come, many side by side; False when time was over before all were asked."""
    if not await db.read(is_on, PRODSYS_MODULE):
        return True
    until, since, after = time.monotonic() + _SECONDS_AT_A_TIME, now() - way.contacts_every, 0
    while time.monotonic() < until:
        due = await db.read(store.due_cards, since, after, TOGETHER)
        if not due:
            return True
        after = due[-1].supplier.pk
        await _sync(db, way, due, _CLOCK)
    return False


async def settle(db: Database, way: Way, caller: Caller, id: str, wish: Settlement) -> Comparison:
    """End a disagreement over some members by saying whose spelling holds; a person's word, logged with what it was.

    About them, `theirs` is written into our contact. About us, `ours` is offered to them. The other two let both sides stand as they are,
    until one of them changes again. Raises NotFound, WrongState when the cards have not been compared yet, PartnerNotReady,
    PartnerUnreachable.
    """
    comparison = await db.write(_settle, caller, id, wish)
    if wish.about == "them" or wish.hold == "theirs":
        return comparison
    found = await sync_contacts(db, way, id, actor=caller.name)
    if found.fault:
        raise errors.PartnerNotReady(found.fault)
    return await db.read(compare, id)


def tasks(db: Database, way: Way) -> dict[str, Callable[[str], Awaitable[None]]]:
    """What this room does by the clock, by kind of task."""

    async def compare_cards(_: str) -> None:
        if not await sync_due(db, way):
            await db.write(timetable.hurry, CONTACTS)

    return {CONTACTS: compare_cards}


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Our card as we would have them keep it, in place of the record we have read."""

    card: Party
    record: Record
    members: list[Member]


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a supplier answered about himself and about us, or why he did not."""

    supplier: Supplier
    company: Company | Same | None = None
    record: Record | Same | None = None
    trouble: Trouble | None = None


class _Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one comparison, and what is to be offered to them."""

    found: Synced
    wish: _Wish | None = None


async def _sync(db: Database, way: Way, known: Sequence[Cards], actor: str, *, offer: bool = False) -> list[Synced]:
    """Ask suppliers side by side, write down what they said in one unit, offer what is to be offered, and write that down in another."""
    asked = await _side_by_side([_ask(way, one) for one in known])
    compared = await _written(db, asked, actor, offer=offer)
    offering = [at for at, (one, done) in enumerate(zip(asked, compared, strict=True)) if done.wish and _may_offer(one.supplier)]
    answers = await _side_by_side([_offer(way, asked[at].supplier, compared[at].wish) for at in offering])
    found = [done.found for done in compared]
    if offering:
        told = [(asked[at].supplier, compared[at], answer) for at, answer in zip(offering, answers, strict=True)]
        for at, done in zip(offering, await db.write(_offered, told, actor), strict=True):
            found[at] = done
    return found


async def _side_by_side(calls: Sequence[Awaitable[Any]]) -> list[Any]:
    waiting = iter(enumerate(calls))
    answers: list[Any] = [None] * len(calls)

    async def some() -> None:
        for at, call in waiting:
            answers[at] = await call

    await asyncio.gather(*(some() for _ in range(min(SIDE_BY_SIDE, len(calls)))))
    return answers


async def _ask(way: Way, known: Cards) -> _Asked:
    """One conditional request, where their instance tells of both cards in it; an older one is asked for its record of us as well."""
    supplier, state = known.supplier, known.state
    prodsys = speak(way, supplier)
    if isinstance(prodsys, Misconfigured):
        return _Asked(supplier=supplier, trouble=prodsys)
    company = await prodsys.company_since(state.company_etag)
    if not isinstance(company, Company | Same):
        return _Asked(supplier=supplier, trouble=company)
    record: Record | Same | Trouble | None = None
    if not _may(supplier, Scope.CONTACTS_READ):
        record = None
    elif isinstance(company, Company) and company.tells_record:
        record = company.record
    elif isinstance(company, Same) and state.company_tells_record:
        record = Same() if state.record_id else None
    else:
        record = await prodsys.record(state.record_id, state.record_etag)
        if record is None and state.record_id:
            record = await prodsys.record()
    if not (record is None or isinstance(record, Record | Same)):
        return _Asked(supplier=supplier, trouble=record)
    return _Asked(supplier=supplier, company=company, record=record)


async def _offer(way: Way, supplier: Supplier, wish: _Wish | None) -> Offered | Stale | Trouble:
    prodsys = speak(way, supplier)
    assert wish is not None  # noqa: S101 - only those with a wish are offered anything
    return prodsys if isinstance(prodsys, Misconfigured) else await prodsys.offer_card(wish.record.id, wish.card, wish.record.etag)


async def _written(db: Database, asked: Sequence[_Asked], actor: str, *, offer: bool) -> list[_Compared]:
    if len(asked) == 1:
        return await db.write(_compared, asked, actor, offer=offer)
    try:
        return await db.write(_compared, asked, actor, offer=offer)
    except Exception:  # noqa: BLE001  # one supplier's answer must not keep the cards of the others from being compared
        log.exception("cards.not_written_together")
    done = []
    for one in asked:
        try:
            done += await db.write(_compared, [one], actor, offer=offer)
        except Exception as fault:  # noqa: BLE001
            done += await db.write(_not_written, one, repr(fault))
    return done


def _may(supplier: Supplier, scope: Scope) -> bool:
    """Whether the token they gave us carries a scope, as far as we know; where we do not, asking tells."""
    carried = frozenset(known for known in Scope if known in supplier.token_scopes)
    return not supplier.token_scopes or scope in widened(carried)


def _may_offer(supplier: Supplier) -> bool:
    return _may(supplier, Scope.CONTACTS_WRITE)


def _known(tx: Tx, id: str) -> Cards:
    key = store.by_id(tx, id).pk
    return store.cards(tx, [key])[key]


def _locked(tx: Tx, id: str) -> Cards:
    key = store.by_id(tx, id).pk
    return store.cards(tx, [key], lock=True)[key]


def _of_them(known: Cards) -> Two | None:
    """The card we keep of them and their own, as they stand now; what theirs does not say is as we have it."""
    return Two(ours=known.contact, theirs=spoken(known.contact, known.theirs)) if known.contact and known.theirs else None


def _of_us(ours: Party | None, state: SyncState) -> Two | None:
    """Our own card and the one they keep of us."""
    return Two(ours=ours, theirs=state.record) if ours and state.record else None


def _disagreements(
    tx: Tx, known: Cards, about: About, two: Two | None, state: SyncState, *, only: Changed | None = None
) -> list[Disagreement]:
    """What differs between two cards, and who changed it when; `only` what these have changed."""
    if two is None:
        return []
    base = (state.them if about == "them" else state.us) or comparing.first_base(about, two)
    found: dict[Member, Changed] = comparing.changes(base, two)
    found = {member: changed for member, changed in found.items() if only in (None, changed)}
    if not found:
        return []
    by = store.changed_by(tx, "company.changed", "") if about == "us" else store.changed_by(tx, "contact.changed", known.contact_id or "")
    return [
        Disagreement(
            about=about,
            member=member,
            ours=member_in_words(two.ours, member),
            theirs=member_in_words(two.theirs, member),
            changed=changed,
            ours_changed_at=by[0] if by and changed in ("ours", "both") else None,
            ours_changed_by=by[1] if by and changed in ("ours", "both") else "",
            theirs_changed_at=state.noticed.get(f"{about}.{member}"),
        )
        for member, changed in found.items()
    ]


def _compared(tx: Tx, asked: Sequence[_Asked], actor: str, *, offer: bool) -> list[_Compared]:
    """Keep what was read, propose here what they changed, and say what is to be offered there; one unit for all of them."""
    known = store.cards(tx, [one.supplier.pk for one in asked], lock=True)
    ours = contact_store.our_card(tx)
    answered = [(one.supplier, one.company) for one in asked if isinstance(one.company, Company)]
    store.keep_cards(tx, [(supplier.pk, company.card, company.epoch) for supplier, company in answered])
    store.keep_tokens_facts(tx, [(one.pk, one.sealed, company.token.expires_at, company.token.scopes) for one, company in answered])
    done: list[_Compared] = []
    states: list[tuple[int, SyncState, str]] = []
    told: list[Entry] = []
    for one in asked:
        before = known[one.supplier.pk]
        if one.trouble is not None:
            state, fault = before.state, _fault(one.supplier, one.trouble)
            if fault[:500] != before.fault and not isinstance(one.trouble, Later):
                told.append(_not_compared(one.supplier, fault))
            compared = _Compared(found=Synced(fault=fault))
        else:
            fault = ""
            compared, state, conflicts = _compare(tx, before, one, ours, actor, offer=offer)
            told += conflicts
        states.append((one.supplier.pk, state, fault))
        done.append(compared)
    store.keep_syncs(tx, states)
    tell(tx, *told)
    return done


def _compare(
    tx: Tx, known: Cards, asked: _Asked, ours: Party | None, actor: str, *, offer: bool
) -> tuple[_Compared, SyncState, list[Entry]]:
    state, company, record = known.state, asked.company, asked.record
    noticed, theirs = dict(state.noticed), known.theirs
    if isinstance(company, Company):
        _notice(noticed, "them", theirs, company.card)
        theirs = company.card
        state = msgspec.structs.replace(state, company_etag=company.etag, company_tells_record=company.tells_record)
    match record:
        case Record():
            _notice(noticed, "us", state.record, record.card)
            state = msgspec.structs.replace(state, record_id=record.id, record_etag=record.etag, record=record.card)
        case None:
            state = msgspec.structs.replace(state, record_id="", record_etag="", record=None, us=None)
        case Same():
            pass
    state = msgspec.structs.replace(state, noticed=noticed, at=now())
    known = msgspec.structs.replace(known, theirs=theirs)
    them, us = _of_them(known), _of_us(ours, state)
    proposed: list[Member] = []
    taken: list[Member] = []
    if them is not None:
        base = state.them or comparing.first_base("them", them)
        proposed = [member for member, changed in comparing.changes(base, them).items() if changed == "theirs"]
        if proposed:
            taken = _propose(tx, known, them, proposed, actor)
        if taken:
            known = msgspec.structs.replace(known, contact=contacts.linked_card(tx, known.supplier.contact or 0))
        state = msgspec.structs.replace(state, them=comparing.settled(base, _of_them(known) or them, theirs=proposed))
    members: list[Member] = []
    if us is not None:
        base = state.us or comparing.first_base("us", us)
        changed = comparing.changes(base, us)
        members = [member for member in changed if (offer or changed[member] == "ours") and member_in_words(us.ours, member)]
        state = msgspec.structs.replace(state, us=comparing.settled(base, us))
    conflicts = [
        *_disagreements(tx, known, "them", _of_them(known), state, only="both"),
        *_disagreements(tx, known, "us", us, state, only="both"),
    ]
    told = _conflicts_told(known, [one for one in conflicts if f"{one.about}.{one.member}" not in state.conflicts], actor)
    state = msgspec.structs.replace(state, conflicts=[f"{one.about}.{one.member}" for one in conflicts])
    found = Synced(proposed=[one for one in proposed if one not in taken], taken=taken, conflicts=conflicts)
    if us is None or not members:
        return _Compared(found=found), state, told
    kept = Record(id=state.record_id, card=us.theirs, etag=state.record_etag)
    return _Compared(found=found, wish=_Wish(card=with_members(us.theirs, us.ours, members), record=kept, members=members)), state, told


def _notice(noticed: dict[str, dt.datetime], about: About, before: Party | None, after: Party) -> None:
    """Note when we saw a member change on their side."""
    if before is not None:
        noticed |= {f"{about}.{difference.field}": now() for difference in differences(before, after)}


def _propose(tx: Tx, known: Cards, them: Two, members: Sequence[Member], actor: str) -> list[Member]:
    """Let what they changed on their own card wait for a person here, or pass where they are let through; what has passed."""
    key = known.supplier.pk
    link, contact = contact_store.link_of(tx, key), contact_store.by_key(tx, known.supplier.contact or 0, lock=True)
    if link is None or contact is None:
        return []
    waiting = contact_store.open_proposal(tx, contact.pk, key)
    card = with_members(contact.card, them.theirs, members)
    if waiting is not None:
        still = [member for member in MEMBERS if comparing.same(member, waiting[1], them.theirs)]
        card = with_members(card, them.theirs, still)
    done = contacts.wish_for(tx, link, contact, card, actor=actor)
    return [member for member in members if member in done.taken]


def _conflicts_told(known: Cards, conflicts: Sequence[Disagreement], actor: str) -> list[Entry]:
    if not conflicts:
        return []
    supplier = known.supplier
    members = ", ".join(f"{one.member} ({'our own card' if one.about == 'us' else 'the contact'})" for one in conflicts)
    entry = Entry(
        code="contact.conflict",
        message=f"{supplier.name} and we have both changed {members}; nothing was written, compare the cards and settle it.",
        level="warning",
        partner=supplier.pk,
        subject=known.contact_id or supplier.id,
        actor=actor,
        issues=[
            Issue(
                code="card_conflict",
                message=f"We say {one.ours or 'nothing'}, they say {one.theirs or 'nothing'}.",
                params={"about": one.about, "member": one.member, "ours": one.ours, "theirs": one.theirs},
                pointer=f"/{one.member}",
            )
            for one in conflicts
        ],
    )
    return [entry]


def _offered(tx: Tx, offers: Sequence[tuple[Supplier, _Compared, Offered | Stale | Trouble]], actor: str) -> list[Synced]:
    """Note that our card was offered; what we offered is ours to have said, and is not offered again unless we change it."""
    known = store.cards(tx, [supplier.pk for supplier, _, _ in offers], lock=True)
    ours = contact_store.our_card(tx)
    states: list[tuple[int, SyncState, str]] = []
    told: list[Entry] = []
    done: list[Synced] = []
    for supplier, compared, answer in offers:
        state, wish = known[supplier.pk].state, compared.wish
        assert wish is not None  # noqa: S101 - it was offered
        fault, offered = "", []
        if isinstance(answer, Stale):
            # Somebody there has just changed it: the next comparison sees what.
            state = msgspec.structs.replace(state, company_etag="", record_etag="")
            said = f"{supplier.name} has changed its record of us meanwhile; compare again."
            done.append(msgspec.structs.replace(compared.found, fault=said))
        elif not isinstance(answer, Offered):
            fault = f"Our card could not be offered to {supplier.name}: {checking.said(answer)}"
            done.append(msgspec.structs.replace(compared.found, fault=fault))
        else:
            offered = wish.members
            if state.us is not None and state.record is not None and ours is not None:
                us = Two(
                    ours=with_members(state.us.ours, wish.card, wish.members),
                    theirs=with_members(state.us.theirs, wish.record.card, wish.members),
                )
                state = msgspec.structs.replace(state, us=us)
            told.append(_offer_told(supplier, wish, answer, actor))
            done.append(msgspec.structs.replace(compared.found, offered=offered))
        states.append((supplier.pk, state, fault))
    store.keep_syncs(tx, states)
    tell(tx, *told)
    return done


def _offer_told(supplier: Supplier, wish: _Wish, answer: Offered, actor: str) -> Entry:
    waits = "it holds there" if answer.state in ("taken", "unchanged") else "a person there decides"
    return Entry(
        code="contact.card_offered",
        message=f"Our own card was offered to {supplier.name} ({', '.join(wish.members)}); {waits}.",
        direction="out",
        partner=supplier.pk,
        subject=supplier.id,
        actor=actor,
    )


def _fault(supplier: Supplier, trouble: Trouble) -> str:
    return f"Cards could not be compared with {supplier.name}: {checking.said(trouble)}"


def _not_compared(supplier: Supplier, fault: str) -> Entry:
    """Told once for each cause."""
    return Entry(code="contact.not_compared", message=fault, level="warning", direction="out", partner=supplier.pk, subject=supplier.id)


def _not_written(tx: Tx, asked: _Asked, cause: str) -> list[_Compared]:
    before = store.cards(tx, [asked.supplier.pk], lock=True)[asked.supplier.pk]
    fault = f"What {asked.supplier.name} answered about the cards could not be kept: {cause}"
    store.keep_syncs(tx, [(asked.supplier.pk, before.state, fault)])
    if fault[:500] != before.fault:
        tell(tx, _not_compared(asked.supplier, fault))
    return [_Compared(found=Synced(fault=fault))]


def _settle(tx: Tx, caller: Caller, id: str, wish: Settlement) -> Comparison:
    known = _locked(tx, id)
    state, supplier = known.state, known.supplier
    two = _of_them(known) if wish.about == "them" else _of_us(contact_store.our_card(tx), state)
    if two is None:
        raise errors.WrongState("These cards have not been compared yet: one of them is missing.")
    base = (state.them if wish.about == "them" else state.us) or comparing.first_base(wish.about, two)
    whose = "our contact" if wish.about == "them" else "our own card"
    what = "; ".join(
        f"{member}: ours {member_in_words(two.ours, member) or 'nothing'}, theirs {member_in_words(two.theirs, member) or 'nothing'}"
        for member in wish.members
    )
    match wish.about, wish.hold:
        case "them", "theirs":
            given: dict[str, Any] = {member: getattr(two.theirs, member) for member in wish.members}
            contacts.patch(tx, known.contact_id or "", ContactPatch(**given), if_match="*", actor=caller.name)
            base = comparing.settled(base, two, ours=wish.members, theirs=wish.members)
            state = msgspec.structs.replace(state, them=base)
        case "them", "ours":
            state = msgspec.structs.replace(state, them=comparing.settled(base, two, ours=wish.members, theirs=wish.members))
        case "us", "theirs":
            state = msgspec.structs.replace(state, us=comparing.settled(base, two, ours=wish.members, theirs=wish.members))
        case _:
            # Theirs counts as seen and ours as new: so the next comparison offers it.
            before = Two(ours=with_members(base.ours, two.theirs, wish.members), theirs=base.theirs)
            state = msgspec.structs.replace(state, us=comparing.settled(before, two, theirs=wish.members))
    settled = {f"{wish.about}.{member}" for member in wish.members}
    state = msgspec.structs.replace(state, conflicts=[one for one in state.conflicts if one not in settled])
    store.keep_syncs(tx, [(supplier.pk, state, known.fault)])
    message = f"{caller.name} settled with {supplier.name} over {whose}: {wish.hold} hold. {what}."
    tell(tx, Entry(code="contact.settled", message=message, partner=supplier.pk, subject=known.contact_id or id, actor=caller.name))
    return compare(tx, id)
