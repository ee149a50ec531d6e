"""What each view of the orders holds, and which index finds it soonest."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Select, false, func, or_, select, text

from prodsys.kit.db import Tx, in_ints
from prodsys.tables import ANY_ACCEPTANCE, ANY_PARTNER, ANY_VALIDATION, TO_SHIP, WAITING, articles, partners, sales_lines, sales_orders

WAITING_WORDS = ("open", "disputed", "cancel_requested")
"""Acceptances in which an order waits for our word."""
is_waiting = text(" AND ".join(f"sales_orders.{term}" for term in WAITING.split(" AND ")))
is_to_ship = text(" AND ".join(f"sales_orders.{term}" for term in TO_SHIP.split(" AND ")))
by_acceptance, by_validation, by_partner = (text(f"sales_orders.{term}") for term in (ANY_ACCEPTANCE, ANY_VALIDATION, ANY_PARTNER))
_has_something = text("sales_orders.verdict <> 'clean'")
FEW = 1_000
"""Orders that are read through faster than their list is sought in another way."""


def key_of(partner: str) -> Any:
    """The key of the partner with this public id."""
    return select(partners.c.pk).where(partners.c.id == partner).scalar_subquery()


def partners_own(tx: Tx, partner: str) -> list[Any]:
    """A partner's among all there are of a view: his own are walked while they are few, and the view when they are many."""
    his = [by_partner, sales_orders.c.partner == key_of(partner)]
    return his if are_few(tx, *his) else [sales_orders.c.partner + 0 == key_of(partner)]


def are_few(tx: Tx, *those: Any) -> bool:
    """Whether so few rows fulfil this that reading them all is the shortest way."""
    some = select(sales_orders.c.pk).where(*those).limit(FEW).subquery()
    return int(tx.execute(select(func.count()).select_from(some)).scalar_one()) < FEW


def of_verdict(tx: Tx, verdict: str, partner: str | None) -> list[Any]:
    """What waits with this verdict, of one partner or of all: what there is less of is walked."""
    those = [is_waiting, sales_orders.c.verdict == verdict]
    if partner is None:
        return those
    if are_few(tx, *those):
        return [*those, sales_orders.c.partner + 0 == key_of(partner)]
    # Behind `coalesce` SQLite does not see the verdict's index.
    return [is_waiting, func.coalesce(sales_orders.c.verdict, "") == verdict, sales_orders.c.partner == key_of(partner)]


Tab = Literal["open", "attention", "clean", "price", "mine", "answered"]
"""A view of the inbox."""
Sort = Literal["age", "value", "wanted"]
"""What the inbox can be sorted by: who waits longest, what is worth most, what is wanted first."""
_SOUGHT = 2_000
"""An article is looked for in so many of the newest orders of a view."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which drafts are asked for. `partner` by id; `until`: wanted by then; `me`: who asks, for those he has taken."""

    tab: Tab = "open"
    sort: Sort = "age"
    partner: str | None = None
    until: dt.date | None = None
    words: str = ""
    me: str = ""


def in_view(tab: Tab, me: Any) -> tuple[Any, ...]:
    """What is true of every order in a view of what waits; `me`: who asks."""
    match tab:
        case "attention":
            return (is_waiting, _has_something)
        case "clean" | "price":
            return (is_waiting, sales_orders.c.verdict == tab)
        case "mine":
            return (is_waiting, text("sales_orders.taken_by <> ''"), sales_orders.c.taken_by == me)
        case _:
            return (is_waiting,)


def of_tab(tx: Tx, query: Select[Any], wish: Wish) -> Select[Any]:
    """What a view of the inbox holds."""
    match wish.tab:
        case "answered":
            return query.where(sales_orders.c.answered_at.is_not(None), sales_orders.c.acceptance.not_in(WAITING_WORDS))
        case "clean" | "price":
            return query.where(*of_verdict(tx, wish.tab, wish.partner))
        case _:
            return query.where(*in_view(wish.tab, wish.me))


def has_words(tx: Tx, wish: Wish) -> ColumnElement[bool]:
    """Orders whose number begins with the words, whose buyer is called so, or in which an article has this number."""
    words = wish.words.casefold()
    named = [pk for pk, name in tx.execute(select(partners.c.pk, partners.c.name).limit(5_000)) if words in name.casefold()]
    # People type numbers as they read them, and most are in capitals.
    numbered = {pk for start in {wish.words, wish.words.upper()} for pk in tx.execute(_numbered(start)).scalars()}
    found = numbered | set(tx.execute(_of_article(tx, wish)).scalars())
    # A way that leads nowhere is left out: with it, SQLite would walk the whole view for the other.
    ways = [in_ints(sales_orders.c.pk, "found").params(found=sorted(found)[-_SOUGHT:])] if found else []
    return or_(false(), *ways, *_of_partners(tx, wish, named[:200]))


def _of_article(tx: Tx, wish: Wish) -> Select[Any]:
    if wish.tab == "answered":
        # In the order of their answers and of nothing else: for more, SQLite would look at every order there is.
        newest_first = [sales_orders.c.answered_at.desc(), sales_orders.c.pk.desc()]
        newest = select(sales_orders.c.pk).where(sales_orders.c.answered_at.is_not(None)).order_by(*newest_first).limit(_SOUGHT).subquery()
    else:
        newest = of_tab(tx, select(sales_orders.c.pk), wish).order_by(sales_orders.c.pk.desc()).limit(_SOUGHT).subquery()
    ours = select(articles.c.pk).where(articles.c.number == wish.words)
    return (
        select(sales_lines.c.order)
        .join(newest, newest.c.pk == sales_lines.c.order)
        .where(or_(sales_lines.c.article_number == wish.words, sales_lines.c.article.in_(ours)))
    )


def _of_partners(tx: Tx, wish: Wish, keys: Sequence[int]) -> list[ColumnElement[bool]]:
    """The orders of these partners: walked while they are few, and the view when they are many."""
    if not keys:
        return []
    theirs = in_ints(sales_orders.c.partner, "named").params(named=keys)
    if are_few(tx, by_partner if wish.tab == "answered" else is_waiting, theirs):
        return [theirs]
    return [in_ints(sales_orders.c.partner + 0, "named").params(named=keys)]


def _numbered(start: str) -> Select[Any]:
    column = sales_orders.c.number
    return select(sales_orders.c.pk).where(column >= start, column < start + "\U0010ffff").order_by(column).limit(_SOUGHT)
