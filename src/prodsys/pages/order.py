"""One purchase order: what was ordered beside what was answered, what has come, and everything that can be done with it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Concatenate, ParamSpec

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from prodsys import errors
from prodsys.attachments.api import saved
from prodsys.documents import Attachment, canonical, rounded
from prodsys.kit.db import Database, Tx
from prodsys.kit.outbound import Outbound
from prodsys.kit.vault import Vault
from prodsys.kit.web import pdf
from prodsys.pages.brought import MOST, taken
from prodsys.pages.fields import Form, document
from prodsys.pages.pressing import pressed
from prodsys.pages.visitor import Visitor, go, show
from prodsys.purchasing import abroad, actions, attaching, choosing, mailing, receiving, replaying, words
from prodsys.purchasing.model import steps
from prodsys.purchasing.model.goods import Goods
from prodsys.purchasing.model.orders import PurchaseOrder
from prodsys.purchasing.terms import ENDED
from prodsys.scopes import Caller, Scope, allows
from prodsys.settings import Settings

P = ParamSpec("P")


@get("/orders/{id:str}", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def order(id: FromPath[str], visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """The order, whole."""
    return await _page(visitor, db, id)


@get("/orders/{id:str}/pdf", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def on_paper(id: FromPath[str], db: NamedDependency[Database]) -> Response[Any]:
    """The order as it is sent by e-mail."""
    return pdf(await mailing.written(await db.read(mailing.on_paper, id)))


@get("/orders/{id:str}/files/{sha256:str}", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_READ, "page"))
async def file(
    id: FromPath[str],
    sha256: FromPath[str],
    visitor: NamedDependency[Visitor],
    db: NamedDependency[Database],
    outbound: NamedDependency[Outbound],
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """A file the order names, or a despatch of it."""
    found = await attaching.fetched(db, abroad.reach_by(outbound, vault, settings), visitor.caller, id, sha256)
    return saved(db, found)


@post("/orders/{id:str}/copy", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def copy(id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form]) -> Response[Any]:
    """A new order that says the same, to be changed before it is exported."""
    made = await pressed(visitor, form, f"copy {id}", _id_of, actions.copy, visitor.caller, id)
    return go(f"/orders/{made if isinstance(made, str) else made.id}/edit", "copied")


@post("/orders/{id:str}/delete", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def delete(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Take an order out of the books, as long as nothing of it was sent."""
    try:
        await db.write(actions.delete, visitor.caller, id, form.text("etag"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal)
    return go("/orders", "order_deleted")


@post("/orders/{id:str}/accept", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def accept(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Agree to the supplier's changes."""
    return await _do(visitor, db, id, "answer_accepted", words.accept, visitor.caller, id, form.whole("answer") or 0, form.text("etag"))


@post("/orders/{id:str}/dispute", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def dispute(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Say no to the supplier's changes, with the reason he reads."""
    given = (form.whole("answer") or 0, form.text("reason"), form.text("etag"))
    return await _do(visitor, db, id, "answer_disputed", words.dispute, visitor.caller, id, *given)


@post("/orders/{id:str}/answer", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def answer_by_hand(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Type in what the supplier of an order sent by e-mail has said."""
    told = {name: form.text(name) for name in ("acceptance", "their_order_number", "reason")}
    try:
        said = document(told, mailing.AnswerByHand, form)
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal)
    return await _do(visitor, db, id, "answer_typed", mailing.answer_by_hand, visitor.caller, id, said, form.text("etag"))


@post("/orders/{id:str}/cancel", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def cancel(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Cancel the order, or ask the supplier to."""
    return await _do(visitor, db, id, "cancel_asked", words.cancel, visitor.caller, id, form.text("reason"))


@post("/orders/{id:str}/receive", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def receive(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Book in what came: a despatch as it was announced, otherwise than announced, or goods without one."""
    try:
        goods = _goods(form)
        await pressed(visitor, form, f"receive {id}", _id_of, receiving.receive, visitor.caller, id, goods)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal, form)
    return go(f"/orders/{id}#goods", "goods_received")


def _goods(form: Form) -> Goods:
    lines: list[dict[str, str]] = []
    for name in form.names():
        if not name.startswith("quantity.") or not form.text(name):
            continue
        line_id = name.removeprefix("quantity.")
        quantity = form.decimal(name, f"/lines/{len(lines)}/quantity")
        lines.append({"line_id": line_id, "quantity": canonical(quantity or Decimal(0)), "note": form.text(f"note.{line_id}")})
    # What is not otherwise than announced needs no word.
    told = {"lines": lines, "despatch": form.text("despatch") or None}
    return document(told, Goods, form)


@post("/orders/{id:str}/say", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def say(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Say something to the supplier about the order or one of its lines."""
    try:
        await pressed(visitor, form, f"say {id}", _id_of, words.say, visitor.caller, id, form.text("text")[:4000], form.text("line_id"))
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal)
    return go(f"/orders/{id}#messages", "said_to_them")


@post("/orders/{id:str}/attach", include_in_schema=False, request_max_body_size=MOST, **allows(Scope.PURCHASE_ORDERS_WRITE, "page"))
async def attach(
    id: FromPath[str], visitor: NamedDependency[Visitor], form: NamedDependency[Form], db: NamedDependency[Database]
) -> Response[Any]:
    """Let the order name one file more, or, by the hash, one less; a sent order becomes the next revision by it."""
    try:
        gone = form.text("drop")
        named = None if gone else await _taken(visitor, db, form)

        def unit(tx: Tx) -> PurchaseOrder:
            content = actions.content_of(tx, id)
            kept = [one for one in content.attachments if one.sha256 != (gone or (named.sha256 if named else ""))]
            changed = msgspec.structs.replace(content, attachments=[*kept, named] if named else kept)
            return actions.change(tx, visitor.caller, id, changed, form.text("etag"))

        await db.write(unit)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal)
    return go(f"/orders/{id}#files", "saved")


async def _taken(visitor: Visitor, db: Database, form: Form) -> Attachment:
    file = form.file("file")
    if file is None:
        raise errors.BadFile("Choose a file first.")
    return await taken(db, visitor.caller, file)


@post("/orders/{id:str}/replay", include_in_schema=False, **allows(Scope.PURCHASE_ORDERS_EXPORT, "page"))
async def replay(
    id: FromPath[str],
    visitor: NamedDependency[Visitor],
    form: NamedDependency[Form],
    db: NamedDependency[Database],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    """Send the order again by today's rules; the supplier has it once, whatever happens."""
    every = settings.answers_every_seconds
    try:
        made = await pressed(visitor, form, f"replay {id}", str, replaying.replay, visitor.caller, id, answers_every=every)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal)
    return go(f"/exports/{made}")


routes = [
    order,
    on_paper,
    file,
    copy,
    delete,
    accept,
    dispute,
    answer_by_hand,
    cancel,
    receive,
    say,
    attach,
    replay,
]


def _id_of(made: Any) -> str:
    return str(made.id)


async def _do(
    visitor: Visitor, db: Database, id: str, said: str, unit: Callable[Concatenate[Tx, P], Any], *args: P.args, **kwargs: P.kwargs
) -> Response[Any]:
    """Do one thing with the order and show it as it is then; a refusal is said on the page."""
    try:
        await db.write(unit, *args, **kwargs)
    except errors.NotFound:
        raise
    except errors.Refusal as refusal:
        return await _page(visitor, db, id, refusal)
    return go(f"/orders/{id}", said)


async def _page(visitor: Visitor, db: Database, id: str, refusal: errors.Refusal | None = None, typed: Form | None = None) -> Response[Any]:
    def read(tx: Tx) -> dict[str, Any]:
        return {"order": actions.shown(tx, id), "against": choosing.against(tx, id)}

    facts = await db.read(read)
    shown: PurchaseOrder = facts["order"]
    return await show(
        visitor,
        "order.html",
        here="orders",
        refusal=refusal,
        status=refusal.status if refusal else 200,
        typed=typed,
        is_sent=shown.sent_at is not None,
        can=_can(visitor.caller, shown, facts["against"]),
        answered={line.line_id: line for line in shown.answered.lines} if shown.answered else {},
        added=[line for line in shown.answered.lines if line.ordered is None] if shown.answered else [],
        answered_net=_answered_net(shown),
        due=_left_to_come(shown),
        **facts,
    )


def _can(caller: Caller, order: PurchaseOrder, against: list[Any]) -> dict[str, bool]:
    """What this person may do with the order as it stands; a page shows no other button."""
    writes, exports = caller.may(Scope.PURCHASE_ORDERS_WRITE), caller.may(Scope.PURCHASE_ORDERS_EXPORT)
    is_over = order.acceptance in ENDED or order.fulfilment == "received"
    is_asked = order.acceptance == "cancel_requested"
    state = "received" if order.delivery == "sent_by_email" else order.delivery
    return {
        "write": writes,
        "export": exports and not against,
        "change": writes and steps.may(state, "change") and not is_over and not is_asked,
        "delete": writes and order.sent_at is None and steps.may(state, "delete"),
        "answer": writes and order.acceptance == "changed",
        "type_answer": writes and order.delivery == "sent_by_email" and order.acceptance != "cancelled",
        "cancel": writes and not is_over and not is_asked,
        "receive": writes and order.sent_at is not None and order.acceptance not in ENDED,
        "say": writes and order.sent_at is not None and order.delivery != "sent_by_email",
        "replay": exports and order.sent_at is not None and order.delivery in ("received", "failed", "unknown") and not is_over,
    }


def _answered_net(order: PurchaseOrder) -> Decimal | None:
    """What the order comes to as the supplier answered it; None while he has not."""
    if order.answered is None:
        return None
    nets = (line.answered.net for line in order.answered.lines if line.answered is not None)
    return sum((net for net in nets if net is not None), sum((rounded(one.amount) for one in order.charges), Decimal(0)))


def _left_to_come(order: PurchaseOrder) -> dict[str, Any]:
    """How much of each line is still to come, as agreed or answered where it was."""
    answered = {line.line_id: line.answered for line in order.answered.lines} if order.answered else {}
    left = {}
    for line in order.lines:
        said = answered.get(line.line_id)
        wanted = said.quantity if said is not None else (None if line.line_id in answered else line.quantity)
        if line.kind == "article" and wanted is not None:
            left[line.line_id] = max(wanted - line.received, 0)
    return left
