"""Sales > Order drafts > one of them: what is decided about it."""

import datetime as dt
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.kit.db import Database
from prodsys.pages.fields import Form, document
from prodsys.pages.pressing import pressed
from prodsys.pages.review_answer import reason_in_words
from prodsys.pages.review_seen import REASONS, look, shown
from prodsys.pages.visitor import Visitor, go, own_path, show
from prodsys.sales import answers, buyer, cancelling, revisions, taking, talking
from prodsys.sales.buyer import BuyerSettled
from prodsys.sales.talking import NewMessage
from prodsys.scopes import Scope, allows
from prodsys.settings import Settings


@get("/drafts/{order_id:str}", include_in_schema=False, **allows(Scope.SALES_ORDERS_READ, "page"))
async def review(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """An order as it was sent, with what was found and the answer to give."""
    return await shown(visitor, db, settings, order_id)


@get("/drafts/{order_id:str}/reject", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def reject_form(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database], settings: NamedDependency[Settings]
) -> Response[Any]:
    """Why an order is rejected: the question before it is done."""
    seen = await db.read(look, order_id, settings.undo_seconds)
    return await show(visitor, "draft_reject.html", here="drafts", seen=seen, reasons=REASONS, typed=None)


@post("/drafts/{order_id:str}/reject", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def reject(
    order_id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Reject it with the reason the buyer will read."""
    reason = reason_in_words(visitor.speech, form)
    undo = dt.timedelta(seconds=settings.undo_seconds)
    try:
        await db.write(answers.reject, visitor.caller, order_id, form.text("etag"), reason, undo=undo)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        seen = await db.read(look, order_id, settings.undo_seconds)
        return await show(
            visitor,
            "draft_reject.html",
            here="drafts",
            seen=seen,
            reasons=REASONS,
            typed=form,
            refusal=refusal,
            status=refusal.status,
        )
    return go(f"/drafts/{order_id}")


@post("/drafts/{order_id:str}/take", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def take(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Look after it, or give it back."""
    verb = taking.release if form.text("do") == "release" else taking.take
    return await _done(visitor, db, settings, order_id, verb, visitor.caller, order_id, form.text("etag"))


@post("/drafts/{order_id:str}/undo", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def undo(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Take the answer back before it leaves."""
    return await _done(visitor, db, settings, order_id, answers.take_back, visitor.caller, order_id, form.text("etag"), said="taken_back")


@post("/drafts/{order_id:str}/buyer", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def settle_buyer(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Say which card of the buyer is right."""
    wish = document({"use": form.text("use"), "members": form.many("member")}, BuyerSettled)
    return await _done(
        visitor, db, settings, order_id, buyer.settle_buyer, visitor.caller, order_id, form.text("etag"), wish, said="buyer_settled"
    )


@post("/drafts/{order_id:str}/revision", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def decide_revision(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Take a change of an agreed order, or keep what was agreed."""
    verb = revisions.keep if form.text("do") == "keep" else revisions.apply
    undo = dt.timedelta(seconds=settings.undo_seconds)
    return await _done(visitor, db, settings, order_id, verb, visitor.caller, order_id, form.text("etag"), undo=undo)


@post("/drafts/{order_id:str}/cancellation", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def decide_cancellation(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Let it be cancelled, or keep it with a reason."""
    if form.text("do") == "accept":
        return await _done(visitor, db, settings, order_id, cancelling.accept, visitor.caller, order_id, form.text("etag"))
    return await _done(
        visitor, db, settings, order_id, cancelling.refuse, visitor.caller, order_id, form.text("etag"), form.text("reason"),
    )  # fmt: skip


@post("/drafts/{order_id:str}/messages", include_in_schema=False, **allows(Scope.SALES_ORDERS_APPROVE, "page"))
async def say(
    order_id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:  # fmt: skip
    """Say something to the buyer, once however often the button is pressed."""
    back = own_path(form.text("back"), f"/drafts/{order_id}")
    try:
        new = document({"text": form.text("text"), "line_id": form.text("line_id")}, NewMessage)
        await pressed(visitor, form, f"say {order_id}", lambda said: said.id, talking.say, visitor.caller, order_id, new)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await shown(visitor, db, settings, order_id, refusal=refusal)
    return go(f"{back}#messages")


routes = [review, reject_form, reject, take, undo, settle_buyer, decide_revision, decide_cancellation, say]


async def _done(
    visitor: Visitor, db: Database, settings: Settings, order_id: str, verb: Any, *args: Any, said: str = "", **kwargs: Any
) -> Response[Any]:
    """Carry out a verb of one order and show it again, or what stands against it."""
    try:
        await db.write(verb, *args, **kwargs)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await shown(visitor, db, settings, order_id, refusal=refusal)
    return go(f"/drafts/{order_id}", said)
