"""An order draft whole, and the one thing that can be said of it before it is answered: which article a marked line means."""

from typing import Any

import msgspec

from prodsys import errors
from prodsys.articles import actions as article_actions
from prodsys.articles import store as articles
from prodsys.articles.model import Found, Wanted
from prodsys.company import store as company
from prodsys.documents import Exact, Order, OrderLine, Party, Quantity, UnitPrice, plain
from prodsys.kit.clock import now
from prodsys.kit.db import Tx
from prodsys.kit.states import etag, must_match
from prodsys.logs.model import Entry
from prodsys.logs.store import tell
from prodsys.partners import store as partners
from prodsys.sales import examining, feed, model, store, terms
from prodsys.sales.model import Draft, DraftLine, PartnerOrder
from prodsys.scopes import Caller

SUGGESTED_LINES = 20
"""For how many unknown lines suggestions are looked up (rulings.md, 18)."""


def say_which(
    tx: Tx, caller: Caller, order_id: str, if_match: str | None, line_id: str, article_id: str, *, remember: bool = True
) -> Draft:
    """Say which article a marked line means. The answer is remembered for this partner unless it is for this once (product.md, A9).

    The line is looked at again, so that its price and unit are compared like any other's before somebody approves it.
    """
    row = store.orders.draft(tx, order_id, lock=True)
    if row is None:
        raise errors.NotFound
    must_match(if_match, etag(row.id, row.version))
    terms.must("match", row.acceptance, row.number)
    line = next((line for line in store.orders.lines(tx, row.pk) if line.line_id == line_id), None)
    if line is None or line.how == "text":
        raise errors.NotFound(f"Order {row.number} has no article line {line_id}.")
    article = articles.finding.by_id(tx, article_id)
    if article is None or not article.is_active:
        raise errors.NotFound("There is no active article with this id.")
    their_number = plain(line.article_number)
    if their_number and remember:
        article_actions.learn(tx, caller, partner=row.partner, their_number=their_number, article=article.pk)
    examined, said = examining.examine_line(
        store.orders.read_order(row.document),
        line.position,
        Found("learned" if remember else "by_hand", article),
        articles.prices.agreed(tx, row.partner, {article.pk}),
        holds=True,
        tolerance=partners.buyer(tx, row.partner).price_tolerance,
        today=now().date(),
    )
    store.orders.rematch_line(tx, row.pk, line.position, examined)
    pointer = f"/lines/{line.position}/"
    issues = [issue for issue in store.orders.read_issues(row.issues) if not (issue.pointer or "").startswith(pointer)] + said
    hows = [line.how for line in store.orders.lines(tx, row.pk)]
    store.orders.change(tx, row.pk, row.version, **store.arriving.judged(issues, hows, row.revision))
    _log(
        tx,
        caller,
        row,
        "order.line_matched",
        f"Line {line_id} of order {row.number} means article {article.number}; "
        + ("remembered for this partner." if remember else "this once."),
    )
    return whole(tx, order_id)


def whole(tx: Tx, order_id: str) -> Draft:
    """A draft with everything beside it; raises NotFound."""
    row = store.orders.draft(tx, order_id)
    if row is None:
        raise errors.NotFound
    order = store.orders.read_order(row.document)
    lines = [_line(sent, kept) for sent, kept in zip(order.lines, store.orders.lines(tx, row.pk), strict=True)]
    answered = store.answers.answered(tx, row.pk, row.answer) if row.answer else None
    net = terms.answered_net(order, answered.lines) if answered is not None and answered.lines else order.net
    return Draft(
        summary=store.lists.summary(row),
        order=order,
        lines=lines,
        issues=store.orders.read_issues(row.issues),
        contact=None if row.contact is None else row.contact_id,
        contact_how=row.contact_how,
        answer=row.answer,
        answered_at=row.answered_at,
        answered_by=row.answered_by,
        reason=row.reason,
        answered=answered,
        answered_net=None if net == order.net else Exact(net),
        despatches=store.despatches.of_order(tx, row.pk),
        messages=store.messages.of_order(tx, row.pk),
    )


def sent_by(
    tx: Tx,
    partner: int,
    *,
    order_id: str | None = None,
    number: str | None = None,
    revision: int | None = None,
    acceptance: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[tuple[int, PartnerOrder]]:
    """A partner's own orders, newest first, as far as they were told: an answer that can still be taken back is nobody else's business."""
    return store.told.of_partner(
        tx, partner, order_id=order_id, number=number, revision=revision, acceptance=acceptance, before=before, limit=limit
    )


def on_paper(tx: Tx, order_id: str) -> tuple[Order, Party]:
    """An order as the buyer sent it, and our card as his supplier. Raises NotFound."""
    row, ours = store.orders.draft(tx, order_id), company.card(tx)
    if row is None:
        raise errors.NotFound
    return store.orders.read_order(row.document), Party(name="") if ours is None else ours.card


def sent(tx: Tx, partner: int, order_id: str) -> PartnerOrder | None:
    """A partner's own order with the answer, the despatches and what was said; None for anybody else's."""
    rows = sent_by(tx, partner, order_id=order_id)
    if not rows:
        return None
    [(pk, order)] = rows
    despatches, messages = store.despatches.of_order(tx, pk), store.messages.of_order(tx, pk)
    untold = feed.untold(tx, [one.id for one in despatches] + [one.id for one in messages])
    return msgspec.structs.replace(
        order,
        answered=store.answers.answered(tx, pk, order.answer) if order.answer else None,
        despatches=[one for one in despatches if one.id not in untold],
        messages=[one for one in messages if one.id not in untold],
        order=store.orders.document(tx, pk),
    )


def suggestions(tx: Tx, order_id: str) -> dict[str, list[Any]]:
    """For each marked line, by its id, up to three articles that may be meant."""
    row = store.orders.draft(tx, order_id)
    if row is None:
        raise errors.NotFound
    buyer = partners.buyer(tx, row.partner)
    order = store.orders.read_order(row.document)
    marked = [line.position for line in store.orders.lines(tx, row.pk) if line.how in model.UNRESOLVED][:SUGGESTED_LINES]
    found = {}
    for at in marked:
        line = order.lines[at]
        wanted = Wanted(plain(line.article_number), plain(line.gtin))
        found[line.line_id] = articles.suggesting.suggest(tx, wanted, line.description, partner=buyer.pk, offers_all=buyer.offers_all)
    return found


def _log(tx: Tx, caller: Caller, row: Any, code: str, message: str) -> None:
    tell(
        tx,
        Entry(code=code, message=message, partner=row.partner, subject=row.id, number=row.number, trace_id=row.trace_id, actor=caller.name),
    )


def _line(sent: OrderLine, kept: Any) -> DraftLine:
    expected = None
    if kept.expected_price is not None:
        expected = examining.Expected(
            price=kept.expected_price, price_quantity=kept.expected_price_quantity, origin=kept.expected_price_from
        )
    difference, percent = (None, None) if expected is None or sent.unit_price is None else examining.price_difference(sent, expected)
    return DraftLine(
        line=sent,
        how=kept.how,
        net=kept.net,
        article=kept.article_id,
        article_number=kept.our_number or "",
        article_name=kept.our_name or "",
        article_unit=kept.our_unit or "",
        expected_price=None if expected is None else UnitPrice(expected.price),
        expected_price_quantity=None if expected is None else Quantity(expected.price_quantity),
        expected_price_from=None if expected is None else expected.origin,
        price_difference=None if difference is None else Exact(difference),
        price_difference_percent=None if percent is None else Exact(percent),
        despatched=Exact(kept.despatched) if kept.despatched else None,
    )
