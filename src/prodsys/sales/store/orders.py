"""One order whole, with its lines and the other revisions of it."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import and_, bindparam, func, not_, select, tuple_, update

from prodsys.documents import Acceptance, Issue, Order, Receipt, reader
from prodsys.kit.db import Tx, hot, in_texts, insert_new
from prodsys.sales.examining import ExaminedLine
from prodsys.sales.store.arriving import line_row
from prodsys.tables import articles, contacts, counters, partners, sales_lines, sales_orders

read_order = reader(Order)
read_receipt = reader(Receipt)
read_issues = reader(list[Issue])
_next_number = hot(
    update(counters).where(counters.c.name == bindparam("series")).values(value=counters.c.value + 1).returning(counters.c.value)
)
_whole = (
    select(sales_orders, partners.c.id.label("partner_id"), partners.c.name.label("partner_name"), contacts.c.id.label("contact_id"))
    .join(partners, partners.c.pk == sales_orders.c.partner)
    .join(contacts, contacts.c.pk == sales_orders.c.contact, isouter=True)
)
_s = sales_orders.c
_ENDED = (Acceptance.REJECTED.value, Acceptance.CANCELLED.value)
# What the buyer has not been told can still be taken back.
_stands = and_(_s.acceptance.in_(["approved", "agreed"]), _s.told_answer == _s.answer, _s.told_order_number == _s.order_number)
_IS_AGREED = (_s.order_number.is_not(None), _stands)
_in_turn = (func.length(_s.order_number), _s.order_number)
"""Our numbers in the order in which they were given: SO-999999 before SO-1000000."""


def draft(tx: Tx, order_id: str, *, lock: bool = False) -> Any | None:
    """One order whole, with its partner's id and name."""
    query = _whole.where(sales_orders.c.id == order_id)
    if lock:
        query = query.with_for_update(of=sales_orders)
    return tx.execute(query).first()


def lines(tx: Tx, order: int) -> list[Any]:
    """The lines of an order with what is known of their articles, in the order sent."""
    query = (
        select(
            sales_lines,
            articles.c.id.label("article_id"),
            articles.c.number.label("our_number"),
            articles.c.name.label("our_name"),
            articles.c.unit.label("our_unit"),
        )
        .join(articles, articles.c.pk == sales_lines.c.article, isouter=True)
        .where(sales_lines.c.order == order)
        .order_by(sales_lines.c.position)
    )
    return list(tx.execute(query).all())


def change(tx: Tx, pk: int, version: int, **values: Any) -> bool:
    """Change an order if it still is at this version; False when somebody was faster."""
    changed = update(sales_orders).where(sales_orders.c.pk == pk, sales_orders.c.version == version)
    return tx.execute(changed.values(version=version + 1, **values)).rowcount == 1


def rematch_line(tx: Tx, order: int, position: int, examined: ExaminedLine) -> None:
    """Keep which article a line means after all, and what it was expected to cost."""
    row = line_row(order, position, examined)
    told = {name: row[name] for name in ("article", "how", "expected_price", "expected_price_quantity", "expected_price_from")}
    tx.execute(update(sales_lines).where(sales_lines.c.order == order, sales_lines.c.position == position).values(told))


def standing(tx: Tx, row: Any, *, lock: bool = True) -> Any | None:
    """The revision of the same order that carries its order number and has not ended, if it is another one; locked unless said."""
    query = select(sales_orders).where(
        sales_orders.c.partner == row.partner,
        sales_orders.c.number == row.number,
        sales_orders.c.pk != row.pk,
        sales_orders.c.order_number.is_not(None),
        sales_orders.c.acceptance.not_in([Acceptance.REJECTED.value, Acceptance.CANCELLED.value]),
    )
    return tx.execute(query.with_for_update() if lock else query).first()


def before(tx: Tx, row: Any) -> Any | None:
    """The revision that arrived before this one."""
    query = (
        select(sales_orders)
        .where(sales_orders.c.partner == row.partner, sales_orders.c.number == row.number, sales_orders.c.revision < row.revision)
        .order_by(sales_orders.c.revision.desc())
        .limit(1)
    )
    return tx.execute(query).first()


def own(tx: Tx, partner: int, order_id: str) -> Any | None:
    """A partner's own order, locked, with the partner's id and name; None for anybody else's."""
    row = draft(tx, order_id, lock=True)
    return row if row is not None and row.partner == partner else None


def document(tx: Tx, order: int) -> Order:
    """What an order says, by its key."""
    found: Order = read_order(tx.execute(select(sales_orders.c.document).where(sales_orders.c.pk == order)).scalar_one())
    return found


def agreed_from(tx: Tx, first: str, after: str, limit: int) -> list[Any]:
    """Orders both companies stand by, with everything `draft` says of them, in the order of our numbers: from one on, or from behind one.

    Not in the order in which they arrived: what came first may be agreed last.
    """
    return list(tx.execute(_whole.where(*_IS_AGREED, _from(first, after)).order_by(*_in_turn).limit(limit)))


def first_undecided(tx: Tx, first: str, after: str) -> str:
    """The lowest of our numbers whose order both companies may come to stand by again, or whose answer can still be taken back."""
    undecided = (_s.order_number.is_not(None), _s.acceptance.not_in(_ENDED), not_(_stands), _from(first, after))
    return str(tx.execute(select(_s.order_number).where(*undecided).order_by(*_in_turn).limit(1)).scalar() or "")


def _from(first: str, after: str) -> Any:
    bound = (func.length(after or first), after or first)
    return tuple_(*_in_turn) > tuple_(*bound) if after else tuple_(*_in_turn) >= tuple_(*bound)


def by_order_number(tx: Tx, number: str) -> Any | None:
    """The newest order both companies stand by under one of our order numbers."""
    return tx.execute(_whole.where(*_IS_AGREED, sales_orders.c.order_number == number).order_by(sales_orders.c.pk.desc()).limit(1)).first()


def ids_of(tx: Tx, order_numbers: Collection[str]) -> dict[str, str]:
    """Public ids by order numbers of ours; a number nobody has is left out."""
    query = select(sales_orders.c.order_number, sales_orders.c.id).where(in_texts(sales_orders.c.order_number, "numbers"))
    return {row.order_number: row.id for row in tx.execute(query, {"numbers": list(order_numbers)})} if order_numbers else {}


def next_number(tx: Tx, series: str) -> int:
    """The next number of a series; series begin at 100001 so that every number has six digits."""
    row = _next_number.first(tx, {"series": series})
    if row is None:
        insert_new(tx, counters, {"name": series, "value": 100_000})
        row = _next_number.first(tx, {"series": series})
    assert row is not None  # noqa: S101  # it was made one line above
    return int(row[0])
