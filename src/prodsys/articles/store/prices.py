"""The prices agreed with each partner."""

import datetime as dt
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from prodsys.articles.model import Agreed
from prodsys.articles.store.keeping import Saved, positions
from prodsys.kit.clock import now
from prodsys.kit.db import Tx, hot, in_ints
from prodsys.kit.ids import new_id
from prodsys.tables import agreed_prices, articles, partners

_agreed = hot(
    select(*(agreed_prices.c[field] for field in Agreed.__struct_fields__)).where(
        agreed_prices.c.partner == bindparam("partner"), in_ints(agreed_prices.c.article, "articles")
    ),
    Agreed,
)


def agreed(tx: Tx, partner: int, articles: Collection[int]) -> dict[int, list[Agreed]]:
    """Every price agreed with this partner for these articles, of any date, quantity and currency; `model.expected_price` chooses."""
    found: dict[int, list[Agreed]] = {}
    if articles:
        for price in _agreed.all(tx, {"partner": partner, "articles": articles}):
            found.setdefault(price.article, []).append(price)
    return found


class AgreedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A price agreed, as it is written."""

    partner: int
    article: int
    from_quantity: Decimal
    valid_from: dt.date | None
    valid_to: dt.date | None
    price: Decimal
    price_quantity: Decimal
    currency: str

    @property
    def key(self) -> tuple[Any, ...]:
        """Of two prices with the same key one replaces the other."""
        return self.partner, self.article, self.from_quantity, self.currency, self.valid_from


class AgreedKept(msgspec.Struct, frozen=True, kw_only=True):
    """A price agreed, as it is read."""

    pk: int
    id: str
    partner: str
    article: str
    article_number: str
    article_pk: int
    from_quantity: Decimal
    valid_from: dt.date | None
    valid_to: dt.date | None
    price: Decimal
    price_quantity: Decimal
    currency: str


_PRICE = ("from_quantity", "valid_from", "valid_to", "price", "price_quantity", "currency")
_kept_prices = (
    select(
        agreed_prices.c.pk,
        agreed_prices.c.id,
        partners.c.id.label("partner"),
        articles.c.id.label("article"),
        articles.c.number.label("article_number"),
        agreed_prices.c.article.label("article_pk"),
        *(agreed_prices.c[column] for column in _PRICE),
    )
    .join_from(agreed_prices, partners, partners.c.pk == agreed_prices.c.partner)
    .join(articles, articles.c.pk == agreed_prices.c.article)
    .limit(bindparam("limit"))
)
_every_price = hot(_kept_prices.where(agreed_prices.c.pk > bindparam("after")).order_by(agreed_prices.c.pk), AgreedKept)
_prices_with = hot(
    _kept_prices.where(
        agreed_prices.c.partner == bindparam("with"),
        tuple_(agreed_prices.c.article, agreed_prices.c.pk) > tuple_(bindparam("after_article"), bindparam("after")),
    ).order_by(agreed_prices.c.article, agreed_prices.c.pk),
    AgreedKept,
)
_prices_for = hot(
    _kept_prices.where(
        agreed_prices.c.partner == bindparam("with"), agreed_prices.c.article == bindparam("for"), agreed_prices.c.pk > bindparam("after")
    ).order_by(agreed_prices.c.pk),
    AgreedKept,
)
_price = hot(_kept_prices.where(agreed_prices.c.id == bindparam("id")), AgreedKept)
_same_prices = hot(
    select(agreed_prices.c.pk, agreed_prices.c.partner, agreed_prices.c.article, *(agreed_prices.c[column] for column in _PRICE)).where(
        in_ints(agreed_prices.c.partner, "partners"), in_ints(agreed_prices.c.article, "articles")
    )
)
_new_price = hot(insert(agreed_prices))
_reprice = hot(
    update(agreed_prices)
    .where(agreed_prices.c.pk == bindparam("key"))
    .values(
        {
            column: bindparam(f"new_{column}", type_=agreed_prices.c[column].type)
            for column in ("price", "price_quantity", "valid_to", "changed_at")
        }
    )
)
_drop_price = hot(delete(agreed_prices).where(agreed_prices.c.id == bindparam("id")))


def agree(tx: Tx, rows: Sequence[AgreedRow], *, replace: bool = True) -> Saved:
    """Keep agreed prices; one with the same partner, article, quantity, currency and first day replaces the other, or stays."""
    if not rows:
        return Saved()
    positions(tx, 0)
    given = {"partners": {row.partner for row in rows}, "articles": {row.article for row in rows}}
    known = {_agreed_row(kept).key: kept for kept in _same_prices.all(tx, given)}
    at = now()
    wanted = {row.key: row for row in rows}
    new = [row for key, row in wanted.items() if key not in known]
    changed = [(known[key].pk, row) for key, row in wanted.items() if key in known and _agreed_row(known[key]) != row]
    _new_price.many(tx, [{"id": new_id("ap"), **msgspec.structs.asdict(row), "changed_at": at} for row in new])
    changed = changed if replace else []
    _reprice.many(
        tx,
        [
            {
                "key": pk,
                "new_price": row.price,
                "new_price_quantity": row.price_quantity,
                "new_valid_to": row.valid_to,
                "new_changed_at": at,
            }
            for pk, row in changed
        ],
    )
    return Saved(created=len(new), changed=len(changed), unchanged=len(rows) - len(new) - len(changed))


def _agreed_row(kept: Any) -> AgreedRow:
    return AgreedRow(**{field: getattr(kept, field) for field in AgreedRow.__struct_fields__})


def same_price(kept: AgreedKept, row: AgreedRow) -> bool:
    """Whether this is how the row was kept."""
    return (kept.article_pk, kept.from_quantity, kept.currency, kept.valid_from) == (
        row.article,
        row.from_quantity,
        row.currency,
        row.valid_from,
    )


def after(tx: Tx, partner: int | None, article: int | None, after: tuple[int, int], limit: int) -> list[AgreedKept]:
    """Agreed prices by the page, after (article, pk): of one partner sorted by article, of nobody in particular by age.

    An *article* is only looked for together with a partner.
    """
    given = {"with": partner, "for": article, "after_article": after[0], "after": after[1], "limit": limit}
    if partner is None:
        return _every_price.all(tx, given)
    return (_prices_with if article is None else _prices_for).all(tx, given)


def get(tx: Tx, id: str) -> AgreedKept | None:
    """The agreed price of this public id."""
    return _price.first(tx, {"id": id, "limit": 1})


def drop(tx: Tx, id: str) -> bool:
    """Forget an agreed price; False when there is none."""
    return _drop_price.run(tx, {"id": id}) == 1
