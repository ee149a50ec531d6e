"""Sales > Order drafts: what waits for an answer, sifted and sorted, and many of them approved together."""

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast, get_args

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.downloads import Rows, taken_away
from prodsys.pages.fields import Form
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.waiting import MOST
from prodsys.pages.words import N_, of_language
from prodsys.sales import answers, store
from prodsys.sales.answers import Answered, DraftToApprove
from prodsys.sales.model import DraftSummary
from prodsys.sales.store.twins import Twin
from prodsys.sales.store.views import Sort, Tab, Wish
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings
from prodsys.users import store as users

SHOWN = 50
TOGETHER = 200
"""So many drafts are approved at once at most: as many as a person can have looked at in a list."""

TWIN_WITHIN = dt.timedelta(days=2)
_LATE = 86_400.0
_UNTIL = {"late": 0, "7": 7, "14": 14, "30": 30}
_COLUMNS = (
    N_("Order"),
    N_("Revision"),
    N_("Buyer"),
    N_("What we found"),
    N_("Currency"),
    N_("Amount"),
    N_("Lines"),
    N_("Wanted"),
    N_("Received"),
    N_("Validation"),
    N_("Acceptance"),
    N_("Our order"),
    N_("Taken by"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as the list shows it. `seconds_left`: for so long its answer can still be taken back."""

    draft: DraftSummary
    twin: Twin | None
    taken_by: str
    waited: float
    """Seconds since it came."""
    seconds_left: int = 0

    @property
    def is_late(self) -> bool:
        """Whether the buyer has waited longer than is good."""
        return self.waited >= _LATE

    @property
    def may_be_picked(self) -> bool:
        """Whether it can be approved without being opened."""
        return self.twin is None and answers.is_harmless(self.draft)


@get("/drafts", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def inbox(visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """Order drafts of one view, with boxes for those in which nothing differs."""
    wish = wish_of(visitor.query, visitor)
    place = _place_of(visitor, wish)

    def read(tx: Tx) -> dict[str, Any]:
        found = store.lists.inbox(tx, wish, after=place, limit=SHOWN + 1)
        shown = found[:SHOWN]
        return {
            "rows": _rows(tx, [draft for _, draft in shown], settings.undo_seconds),
            "next": encode_cursor(_kind(wish), *shown[-1][0]) if len(found) > SHOWN else None,
            "counts": store.lists.inbox_counts(tx, MOST + 1, visitor.caller.name),
            "buyers": store.lists.buyers(tx),
        }

    facts = await db.read(read)
    return await show(
        visitor,
        "drafts.html",
        here="drafts",
        wish=wish,
        until=visitor.query.get("until", ""),
        is_filtered=bool(wish.partner or wish.until or wish.words),
        can_approve=visitor.may(Scope.SALES_ORDERS_APPROVE),
        choosable=sum(row.may_be_picked for row in facts["rows"]),
        undo_seconds=settings.undo_seconds,
        most=MOST,
        **facts,
    )


@get("/drafts/download", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def download(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The same list, whole, as a file."""
    speech = visitor.speech
    pages = _pages(db, wish_of(visitor.query, visitor), speech)
    return await taken_away("order-drafts", visitor.query.get("as", "csv"), [speech.say(name) for name in _COLUMNS], pages)


@get("/drafts/approve", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def by_price(visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]) -> Response[Any]:
    """Every draft whose only difference is a price within so many percent, to be looked through before any of it leaves."""
    within = _percent_of(visitor.speech, visitor.query.get("within", ""))
    return await _listed(visitor, db, settings, within=within if within is not None else Decimal(2), ids=None)


@post("/drafts/approve", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def approve_together(
    visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Approve those that were ticked, or list them first. Whatever has something to look at is never among them."""
    ticked = [one.partition(" ") for one in form.many("draft")]
    picked = [DraftToApprove(id=draft, etag=etag) for draft, _, etag in ticked if etag][:TOGETHER]
    within = _percent_of(visitor.speech, form.text("within"))
    if not picked:
        return go("/drafts", "no_draft_selected")
    if form.text("do") == "list":
        return await _listed(visitor, db, settings, within=within, ids=[one.id for one in picked])
    done = await db.write(
        answers.approve_harmless, visitor.caller, picked, price_within=within, undo=dt.timedelta(seconds=settings.undo_seconds)
    )
    left = [one for one in done if one.status != 200]
    if not left:
        return go("/drafts?tab=answered", "drafts_approved")
    return await _listed(visitor, db, settings, within=within, ids=[one.id for one in left], done=done, status=409)


@post("/drafts/undo", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def undo_from_list(visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]) -> Response[Any]:
    """Take an answer back that has just been given."""
    await db.write(answers.take_back, visitor.caller, form.text("draft"), form.text("etag"))
    return go("/drafts", "taken_back")


routes = [inbox, download, by_price, approve_together, undo_from_list]


def wish_of(query: Mapping[str, str], visitor: Visitor) -> Wish:
    """What an address asks for; a word nobody wrote is no filter."""
    until = _UNTIL.get(query.get("until", ""))
    tab, sort = query.get("tab", ""), query.get("sort", "")
    return Wish(
        tab=cast("Tab", tab) if tab in get_args(Tab) else "open",
        sort=cast("Sort", sort) if sort in get_args(Sort) else "age",
        partner=query.get("partner"),
        until=None if until is None else visitor.speech.today() + dt.timedelta(days=until - (until == 0)),
        words=query.get("q", "").strip()[:80],
        me=visitor.caller.name,
    )


async def _listed(
    visitor: Visitor,
    db: Database,
    settings: Settings,
    *,
    within: Decimal | None,
    ids: Sequence[str] | None,
    done: Sequence[Answered] = (),
    status: int = 200,
) -> Response[Any]:
    """The page that lists exactly what will be approved; after a try, what was not."""

    def read(tx: Tx) -> list[Row]:
        if ids is not None:
            known = store.lists.by_ids(tx, ids)
            drafts = [known[one] for one in ids if one in known]
        else:
            drafts = store.lists.only_prices_within(tx, within or Decimal(0), limit=TOGETHER)
        return _rows(tx, drafts, settings.undo_seconds)

    rows = await db.read(read)
    return await show(
        visitor,
        "drafts_together.html",
        here="drafts",
        status=status,
        rows=rows,
        within=within,
        is_price=ids is None or within is not None,
        sums=_sums(row.draft for row in rows if answers.is_harmless(row.draft, within)),
        done=done,
        why={one.id: one for one in done if one.status != 200},
        approved=sum(one.status == 200 for one in done),
        harmless={row.draft.id for row in rows if answers.is_harmless(row.draft, within) and row.twin is None},
        undo_seconds=settings.undo_seconds,
    )


def _rows(tx: Tx, drafts: Sequence[DraftSummary], undo_seconds: int) -> list[Row]:
    waiting = [draft.id for draft in drafts if draft.acceptance == "open"]
    twins = store.twins.of_orders(tx, waiting, TWIN_WITHIN)
    names = users.people.names_of(tx, {draft.taken_by for draft in drafts})
    return [
        Row(
            draft=draft,
            twin=twins.get(draft.id),
            taken_by=names.get(draft.taken_by, draft.taken_by),
            waited=(now() - draft.received_at).total_seconds(),
            seconds_left=seconds_left(draft.answered_at, undo_seconds) if draft.acceptance in ("approved", "rejected", "changed") else 0,
        )
        for draft in drafts
    ]


def seconds_left(answered_at: dt.datetime | None, undo_seconds: int) -> int:
    """For how many more seconds an answer can be taken back."""
    if answered_at is None:
        return 0
    return max(0, undo_seconds - int((now() - answered_at).total_seconds()))


def _sums(drafts: Any) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for draft in drafts:
        sums[draft.currency] = sums.get(draft.currency, Decimal(0)) + draft.net
    return sums


def _percent_of(speech: Speech, text: str) -> Decimal | None:
    if not text:
        return None
    try:
        percent = speech.read_decimal(text)
    except (ValueError, InvalidOperation):
        return None
    return percent if 0 <= percent <= 1_000 else None


def _kind(wish: Wish) -> str:
    return f"inbox-{'answered' if wish.tab == 'answered' else wish.sort}"


def _place_of(visitor: Visitor, wish: Wish) -> tuple[int | str, int] | None:
    is_day = wish.sort == "wanted" and wish.tab != "answered"
    return cast("tuple[int | str, int] | None", visitor.place(_kind(wish), str if is_day else int, int))


async def _pages(db: Database, wish: Wish, speech: Speech) -> AsyncIterator[Rows]:
    place: tuple[int | str, int] | None = None
    while True:
        found = await db.read(store.lists.inbox, wish, after=place, limit=500)
        yield [_cells(draft, speech) for _, draft in found]
        if len(found) < 500:
            return
        place = found[-1][0]


def _cells(draft: DraftSummary, speech: Speech) -> Sequence[Any]:
    return [
        draft.number,
        draft.revision,
        draft.partner_name,
        ", ".join(f"{finding.code} {finding.count}" for finding in draft.findings),
        draft.currency,
        draft.net,
        draft.line_count,
        draft.wanted,
        draft.received_at,
        of_language(speech, "validation", draft.validation),
        of_language(speech, "acceptance", draft.acceptance),
        draft.order_number or "",
        draft.taken_by,
    ]
