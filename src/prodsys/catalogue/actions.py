"""Read suppliers' catalogues on, say which of our numbers no longer match, and mend them."""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from prodsys import errors
from prodsys.articles import store as articles
from prodsys.articles.model import Wanted
from prodsys.catalogue import model, store
from prodsys.catalogue.model import Fixed, Fixes, Mismatch, Pulled, Reading, Theirs
from prodsys.catalogue.store import Place
from prodsys.connectors.prodsys.words import Articles, CursorGone
from prodsys.documents import Issue, plain
from prodsys.exchange import timetable
from prodsys.kit import outbound
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.logs.model import Entry
from prodsys.logs.store import note_change, tell
from prodsys.modules.store import is_on
from prodsys.partners import store as partners
from prodsys.partners.checking import said
from prodsys.partners.model import Supplier
from prodsys.partners.reaching import Way, speak
from prodsys.scopes import PRODSYS_MODULE, Caller, Scope

CATALOGUE = "catalogue"
"""The kind of task that reads a supplier's catalogue on."""

MOST_PAGES = 2_000
"""Pages of a catalogue read at one go, 500 articles each."""
_MOST_TOLD = 20


async def pull(db: Database, way: Way, id: str, *, actor: str = "timetable", watch: Callable[[int], None] | None = None) -> Pulled:
    """Read a supplier's catalogue on from where we were, page by page, each page and its cursor in one unit (product.md, A17).

    A cursor that is gone means another life of his, or another offer to us: then all of it is read again, and what was not met is
    forgotten at the end. `watch` is told how many articles have come so far. Raises NotFound.
    """
    row = await db.read(partners.by_id, id)
    supplier = row.supplier
    prodsys = speak(way, supplier)
    if isinstance(prodsys, Misconfigured):
        return await db.write(_failed, supplier, prodsys.detail, told=True)
    if not await db.read(is_on, PRODSYS_MODULE) or not supplier.is_active:
        return Pulled(fault=f"Nothing is asked of {supplier.name} while the module or the partner is switched off.")
    if supplier.token_scopes and Scope.ARTICLES_READ not in supplier.token_scopes:
        detail = f"The token {supplier.name} gave us lacks the scope {Scope.ARTICLES_READ}; ask for a token that carries it."
        return await db.write(_failed, supplier, detail, told=True)
    at, so_far, began_again = await db.read(store.place, supplier.pk), Pulled(), False
    for _ in range(MOST_PAGES):
        answer = await prodsys.articles(at.cursor or None)
        match answer:
            case CursorGone() if not began_again and at.cursor:
                after = Place(cursor="", round=at.round + 1, is_whole=at.is_whole)
                moved = await db.write(_begin_again, supplier, at, after)
                began_again = True
            case CursorGone():
                return await db.write(
                    _failed, supplier, f"{supplier.name} does not know any cursor of ours, not even the first.", told=True
                )
            case Articles(items=items, next=cursor):
                listed = [kept for item in items if (kept := model.readable(item)) is not None]
                so_far = _counted(so_far, len(listed), len(items))
                is_end = cursor is None or cursor == at.cursor or not items
                after = Place(cursor=cursor or at.cursor, round=at.round, is_whole=at.is_whole)
                moved = await db.write(_keep, supplier, listed, at, after)
                if moved and is_end:
                    return await db.write(_finish, supplier, after, so_far, actor)
                if watch is not None:
                    watch(so_far.articles)
            case _:
                return await db.write(_failed, supplier, said(answer), told=not isinstance(answer, Later))
        if not moved:
            return msgspec.structs.replace(so_far, fault=f"The catalogue of {supplier.name} is being read already.")
        at = after
    # A catalogue that never ends must not keep us for ever; the rest is read next time.
    return so_far


def tasks(db: Database, way: Way) -> dict[str, Callable[[str], Awaitable[None]]]:
    """What this room does by the clock, by kind of task."""

    async def read_on(partner: str) -> None:
        await pull(db, way, partner)

    return {CATALOGUE: read_on}


def pull_soon(tx: Tx, id: str, every_seconds: int) -> Reading:
    """Let a supplier's catalogue be read on now instead of at its hour. Raises NotFound, PartnerNotReady without a connection."""
    supplier = partners.by_id(tx, id).supplier
    if not supplier.endpoint or supplier.sealed is None:
        raise errors.PartnerNotReady(f"{supplier.name} has no connection yet; paste its connection bundle under Admin > Integrations.")
    timetable.plan(tx, f"{CATALOGUE}:{id}", kind=CATALOGUE, subject=id, every=dt.timedelta(seconds=every_seconds))
    timetable.hurry(tx, f"{CATALOGUE}:{id}")
    return reading(tx, supplier)


def reading(tx: Tx, supplier: Supplier) -> Reading:
    """How far a supplier's catalogue has been read."""
    found = store.readings(tx, supplier.pk)
    return found[0] if found else Reading(partner=supplier.id, partner_name=supplier.name)


def mismatches(tx: Tx, partner: int | None, after: tuple[int, int], limit: int) -> tuple[list[Mismatch], tuple[int, int] | None]:
    """Our numbers that lead nowhere at their suppliers, each with what it may have meant; and where the list goes on."""
    found = store.mismatches(tx, partner, after, limit + 1)
    listed = []
    for one in found[:limit]:
        wanted = Wanted(one.number, one.gtin)
        listed.append(
            Mismatch(
                partner=one.partner,
                partner_name=one.partner_name,
                article=one.article,
                article_number=one.article_number,
                name=one.name,
                number=one.number,
                why=one.why,
                suggestions=model.suggestions(wanted, one.name, store.like(tx, one.partner_pk, wanted, one.name)),
            )
        )
    more = (found[limit - 1].partner_pk, found[limit - 1].article_pk) if len(found) > limit else None
    return listed, more


def fix(tx: Tx, caller: Caller, wish: Fixes) -> Fixed:
    """Set what a supplier calls articles of ours, all or none; logged from → to.

    Raises Invalid with every article we do not have, and every number his catalogue, where it has been read whole, does not offer.
    """
    supplier = partners.supplier_named(tx, wish.partner)
    if supplier is None:
        message = "There is no partner with this id."
        raise errors.Invalid(message, issues=[Issue(code="partner_unknown", message=message, pointer="/partner", blocks=True)])
    ours = articles.finding.by_ids(tx, {one.article for one in wish.fixes})
    wanted = {one.article: plain(one.number) for one in wish.fixes}
    theirs = store.by_numbers(tx, supplier.pk, {number for number in wanted.values() if number})
    is_whole = store.place(tx, supplier.pk).is_whole
    if issues := [issue for at, one in enumerate(wish.fixes) for issue in _faults(at, one, ours, wanted, theirs, is_whole=is_whole)]:
        raise errors.Invalid(issues=issues)
    before = articles.supplier_numbers.numbers_at(tx, supplier.pk, [article.pk for article in ours.values()])
    changed = {one: number for one, number in wanted.items() if before.get(ours[one].pk, "") != number}
    articles.supplier_numbers.put(tx, [(supplier.pk, ours[one].pk, number) for one, number in changed.items()])
    left = store.count_mismatches(tx, supplier.pk) if is_whole else 0
    if changed:
        store.note_mismatches(tx, supplier.pk, left)
        steps = [f"{ours[one].number}: {before.get(ours[one].pk) or 'none'} → {number or 'none'}" for one, number in changed.items()]
        more = f" and {len(steps) - _MOST_TOLD} more" if len(steps) > _MOST_TOLD else ""
        message = f"{caller.name} set what {supplier.name} calls our articles: {'; '.join(steps[:_MOST_TOLD])}{more}."
        tell(tx, Entry(code="catalogue.fixed", message=message, partner=supplier.pk, subject=supplier.id, actor=caller.name))
        for one, number in changed.items():
            numbered = {supplier.id: before.get(ours[one].pk, "")}, {supplier.id: number}
            note_change(tx, caller.name, "article", one, f"{caller.name} set what {supplier.name} calls our article.", *numbered)
    return Fixed(changed=len(changed), unchanged=len(wanted) - len(changed), mismatches=left)


def _faults(
    at: int, one: model.Fix, ours: dict[str, Any], wanted: dict[str, str], theirs: dict[str, bool], *, is_whole: bool
) -> list[Issue]:
    number = plain(one.number)
    if one.article not in ours:
        message = f"There is no article {one.article[:40]}."
        return [Issue(code="article_unknown", message=message, params={"id": one.article}, pointer=f"/fixes/{at}/article", blocks=True)]
    if wanted[one.article] != number:
        message = "This article is given two numbers."
        return [Issue(code="article_twice", message=message, params={"id": one.article}, pointer=f"/fixes/{at}", blocks=True)]
    if not number or not is_whole or theirs.get(number):
        return []
    if outbound.plain(number) != number:
        message = "This number holds characters that cannot be written in an order."
        return [Issue(code="control_character", message=message, pointer=f"/fixes/{at}/number", blocks=True)]
    code, what = ("article_inactive", "no longer sells") if number in theirs else ("article_unknown", "does not know")
    message = f"The supplier {what} {number}; choose another number, or read his catalogue on first."
    return [Issue(code=code, message=message, params={"number": number}, pointer=f"/fixes/{at}/number", blocks=True)]


def _keep(tx: Tx, supplier: Supplier, listed: Sequence[Theirs], before: Place, after: Place) -> bool:
    # First the claim, then the work: two readers of one catalogue must not both keep a page.
    if not store.move(tx, supplier.pk, before, after):
        return False
    store.keep(tx, supplier.pk, listed, after.round)
    return True


def _begin_again(tx: Tx, supplier: Supplier, before: Place, after: Place) -> bool:
    if not store.move(tx, supplier.pk, before, after):
        return False
    message = f"The catalogue of {supplier.name} is read from its beginning: it has begun a new life, or what it offers us has changed."
    tell(tx, Entry(code="catalogue.begun_again", message=message, direction="in", partner=supplier.pk, subject=supplier.id))
    return True


def _finish(tx: Tx, supplier: Supplier, at: Place, so_far: Pulled, actor: str) -> Pulled:
    before = reading(tx, supplier)
    gone = store.sweep(tx, supplier.pk, at.round)
    store.finish(tx, supplier.pk, at.round)
    left = store.count_mismatches(tx, supplier.pk)
    store.note_mismatches(tx, supplier.pk, left)
    if so_far.articles or gone or not before.is_whole:
        unreadable = f" {so_far.unreadable} could not be read." if so_far.unreadable else ""
        message = f"The catalogue of {supplier.name} was read: {so_far.articles} new or changed, {gone} no longer offered.{unreadable}"
        entry = Entry(
            code="catalogue.pulled",
            message=message,
            level="warning" if so_far.unreadable else "info",
            direction="in",
            partner=supplier.pk,
            subject=supplier.id,
            actor=actor,
        )
        tell(tx, entry)
    if left > before.mismatches:
        message = f"{left} of our article numbers at {supplier.name} lead nowhere there; mend them under Articles > Supplier catalogues."
        issue = Issue(code="numbers_mismatch", message=message, params={"count": str(left), "before": str(before.mismatches)})
        entry = Entry(
            code="catalogue.mismatches",
            message=message,
            level="warning",
            direction="in",
            partner=supplier.pk,
            subject=supplier.id,
            actor=actor,
            issues=[issue],
        )
        tell(tx, entry)
    return msgspec.structs.replace(so_far, gone=gone, is_whole=True)


def _failed(tx: Tx, supplier: Supplier, detail: str, *, told: bool) -> Pulled:
    """Keep why a catalogue could not be read on, and tell it once for each cause; what may pass by itself is not told."""
    if store.fail(tx, supplier.pk, detail) and told:
        message = f"The catalogue of {supplier.name} could not be read: {detail}"
        entry = Entry(
            code="catalogue.not_read", message=message, level="warning", direction="out", partner=supplier.pk, subject=supplier.id
        )
        tell(tx, entry)
    return Pulled(fault=detail)


def _counted(so_far: Pulled, kept: int, came: int) -> Pulled:
    return msgspec.structs.replace(so_far, articles=so_far.articles + kept, unreadable=so_far.unreadable + came - kept)
