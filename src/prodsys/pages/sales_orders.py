"""Sales > Sales orders: what was agreed, and the goods that go out for it."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import documents, errors
from prodsys.connections import arrivals
from prodsys.documents import Attachment, Issue
from prodsys.kit.clock import now
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import encode_cursor
from prodsys.pages.brought import MOST, taken
from prodsys.pages.downloads import Rows, taken_away
from prodsys.pages.fields import Form, document
from prodsys.pages.pressing import pressed
from prodsys.pages.review_seen import STEPS, Seen, look
from prodsys.pages.speech import Speech
from prodsys.pages.visitor import Visitor, go, show
from prodsys.pages.words import N_, of_language
from prodsys.sales import despatching, store, terms
from prodsys.sales.despatching import NewDespatch
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings

SHOWN = 50

_COLUMNS = (
    N_("Our order"),
    N_("Their order"),
    N_("Revision"),
    N_("Buyer"),
    N_("Currency"),
    N_("Amount"),
    N_("Wanted"),
    N_("Acceptance"),
    N_("Fulfilment"),
    N_("Received"),
)


class ToGo(msgspec.Struct, frozen=True, kw_only=True):
    """A line and how much of it is still to go: what was promised, what has gone."""

    at: int
    line_id: str
    number: str
    name: str
    unit: str
    ordered: Decimal
    due: Decimal
    gone: Decimal

    @property
    def left(self) -> Decimal:
        """How much is to go; nothing when more has gone than was promised."""
        return max(self.due - self.gone, Decimal(0))

    @property
    def over(self) -> Decimal:
        """How much more has gone than was promised."""
        return max(self.gone - self.due, Decimal(0))


@get("/sales-orders", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def sales_orders(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Orders with a number of ours, newest first; to begin with those that are to be despatched."""
    to_ship, words, partner = _wish(visitor)
    place = visitor.place("approved", int)

    def read(tx: Tx) -> dict[str, Any]:
        before = None if place is None else place[0]
        found = store.lists.approved(tx, before=before, limit=SHOWN + 1, partner=partner, to_ship=to_ship, words=words)
        shown = found[:SHOWN]
        return {
            "rows": [order for _, order in shown],
            "next": encode_cursor("approved", shown[-1][0]) if len(found) > SHOWN else None,
            "buyers": store.lists.buyers(tx),
        }

    facts = await db.read(read)
    return await show(
        visitor,
        "sales_orders.html",
        here="sales-orders",
        to_ship=to_ship,
        words=words,
        partner=partner,
        is_filtered=bool(words or partner),
        **facts,
    )


@get("/sales-orders/download", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def download(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The same list, whole, as a file."""
    speech = visitor.speech
    to_ship, words, partner = _wish(visitor)
    pages = _pages(db, speech, to_ship=to_ship, words=words, partner=partner)
    return await taken_away("sales-orders", visitor.query.get("as", "csv"), [speech.say(name) for name in _COLUMNS], pages)


@get("/sales-orders/{order_id:str}", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def sales_order(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """One order: what was agreed, what has gone, what is to go."""
    return await _shown(visitor, db, settings, order_id)


@post(
    "/sales-orders/{order_id:str}/despatches",
    include_in_schema=False,
    request_max_body_size=MOST,
    **allows(Scope.SALES_ORDERS_APPROVE, "page"),
)
async def despatch(
    order_id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Tell the buyer that goods are on their way; once, however often the button is pressed."""
    brought: list[Attachment] = []
    try:
        brought = _named(form)
        brought += [await taken(db, visitor.caller, file) for file in form.files("files")]
        seen = await db.read(look, order_id, settings.undo_seconds)
        new = _despatch(form, lines_to_go(seen), brought)
        made = await pressed(
            visitor, form, f"despatch {order_id}", lambda told: told.id, despatching.despatch, visitor.caller, order_id, new
        )
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _shown(visitor, db, settings, order_id, form=form, brought=brought, refusal=refusal)
    is_new = isinstance(made, str) or made.new
    return go(f"/sales-orders/{order_id}", "despatched" if is_new else "despatched_before")


routes = [sales_orders, download, sales_order, despatch]


def lines_to_go(seen: Seen) -> list[ToGo]:
    """Every article line with what was promised of it, by the newest answer where it says, and what has gone."""
    due = despatching.promised(seen.draft.order, seen.draft.answered.lines if seen.draft.answered else [])
    return [
        ToGo(
            at=at,
            line_id=line.line.line_id,
            number=line.article_number or line.line.article_number,
            name=line.article_name or line.line.description,
            unit=line.line.unit,
            ordered=line.line.quantity or Decimal(0),
            due=due.get(line.line.line_id, Decimal(0)),
            gone=line.despatched or Decimal(0),
        )
        for at, line in enumerate(seen.draft.lines)
        if line.line.kind == "article"
    ]


async def _shown(
    visitor: Visitor,
    db: Database,
    settings: Settings,
    order_id: str,
    *,
    form: Form | None = None,
    brought: Sequence[Attachment] = (),
    refusal: errors.Refusal | None = None,
) -> Response[Any]:
    seen = await db.read(look, order_id, settings.undo_seconds)
    summary = seen.draft.summary
    if summary.order_number is None:
        return go(f"/drafts/{order_id}")
    to_go = lines_to_go(seen)
    can_despatch = visitor.may(Scope.SALES_ORDERS_APPROVE) and summary.acceptance in terms.STEPS["despatch"]
    return await show(
        visitor,
        "sales_order.html",
        here="sales-orders",
        status=refusal.status if refusal else 200,
        refusal=refusal,
        form=form,
        brought=[(one, documents.write(one).decode()) for one in brought],
        seen=seen,
        arrivals=await db.read(arrivals.arrivals, visitor.caller, "orders", summary.order_number),
        number=summary.order_number,
        now=now(),
        draft=seen.draft,
        order=seen.draft.order,
        summary=summary,
        to_go=to_go,
        by_id={line.line_id: line for line in to_go},
        is_all_gone=all(not line.left for line in to_go) or summary.fulfilment == "shipped",
        can_despatch=can_despatch,
        can_decide=visitor.may(Scope.SALES_ORDERS_APPROVE),
        can_answer_again=visitor.may(Scope.SALES_ORDERS_APPROVE) and seen.may("answer"),
        steps=STEPS,
    )


def _named(form: Form) -> list[Attachment]:
    """The files that were taken when the form was sent before, and refused for something else. Raises Invalid."""
    try:
        return [_read_attachment(one) for one in form.many("held")]
    except msgspec.DecodeError:
        raise errors.Invalid("A file that was brought before cannot be read; choose it again.") from None


_read_attachment = msgspec.json.Decoder(Attachment).decode


def _despatch(form: Form, lines: list[ToGo], brought: Sequence[Attachment]) -> NewDespatch:
    told = []
    for line in lines:
        quantity = form.decimal(f"quantity-{line.at}", f"/quantity-{line.at}")
        if quantity:
            told.append({"line_id": line.line_id, "quantity": format(quantity, "f"), "note": form.text(f"note-{line.at}")})
    form.must_be_sound()
    if not told:
        message = "Say how much of at least one line goes."
        raise errors.Invalid(message, issues=[Issue(code="nothing_despatched", message=message, pointer="/lines", blocks=True)])
    given: dict[str, Any] = {
        "lines": told,
        "number": form.text("number"),
        "date": form.day("date"),
        "carrier": form.text("carrier"),
        "tracking_number": form.text("tracking_number"),
        "expected_date": form.day("expected_date"),
        "is_last": form.flag("is_last"),
        # The same file twice is one file.
        "attachments": [msgspec.structs.asdict(one) for one in {one.sha256: one for one in brought}.values()],
    }
    return document(given, NewDespatch, form)


def _wish(visitor: Visitor) -> tuple[bool, str, str | None]:
    query = visitor.query
    return query.get("tab") != "all", query.get("q", "").strip()[:80], query.get("partner")


async def _pages(db: Database, speech: Speech, **wish: Any) -> AsyncIterator[Rows]:
    before: int | None = None
    while True:
        found = await db.read(store.lists.approved, before=before, limit=500, **wish)
        yield [
            [
                order.order_number or "",
                order.number,
                order.revision,
                order.partner_name,
                order.currency,
                order.net,
                order.wanted,
                of_language(speech, "acceptance", order.acceptance),
                of_language(speech, "fulfilment", order.fulfilment),
                order.received_at,
            ]
            for _, order in found
        ]
        if len(found) < 500:
            return
        before = found[-1][0]
