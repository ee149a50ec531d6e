"""One field for everything: an order by its number, an article, a contact, a partner, a log entry by its trace."""

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency

from prodsys.articles import store as articles
from prodsys.articles.model import Known
from prodsys.contacts import store as contacts
from prodsys.contacts.spelling import name_key
from prodsys.kit.db import Database, Tx
from prodsys.logs import store as logs
from prodsys.logs.model import Logged
from prodsys.pages.visitor import Visitor, go, show
from prodsys.partners import store as partners
from prodsys.purchasing import store as purchasing
from prodsys.purchasing.store.lists import Filter
from prodsys.sales import store as sales
from prodsys.scopes import AnyToken, Caller, Scope, allows

_MOST = 10
_PREFIXES = {
    "po": "/orders/",
    "sd": "/drafts/",
    "ar": "/articles/",
    "ct": "/contacts/",
    "pa": "/partners/",
    "lg": "/logs/",
    "tk": "/tokens/",
}
_ID_LENGTH = 29


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in each room; rooms the person may not enter are empty."""

    orders: Sequence[Any] = ()
    drafts: Sequence[Any] = ()
    articles: Sequence[Any] = ()
    contacts: Sequence[Any] = ()
    partners: Sequence[Any] = ()
    logs: Sequence[Any] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


@get("/search", include_in_schema=False, **allows(AnyToken.ANY, "page"))
async def search(visitor: NamedDependency[Visitor], db: NamedDependency[Database]) -> Response[Any]:
    """Look everywhere the person may look; an id leads straight to its page."""
    text = visitor.query.get("q", "").strip()[:200]
    prefix, _, rest = text.partition("_")
    if rest and prefix in _PREFIXES and len(text) == _ID_LENGTH and text.replace("_", "").isalnum():
        return go(_PREFIXES[prefix] + text)
    found = await db.read(_look, visitor.caller, text) if text else Found()
    return await show(visitor, "search.html", text=text, found=found)


def _look(tx: Tx, caller: Caller, text: str) -> Found:
    return Found(
        orders=purchasing.lists.listed(tx, Filter(number=text), None, _MOST) if caller.may(Scope.PURCHASE_ORDERS_READ) else (),
        drafts=[draft for _, draft in sales.lists.page(tx, before=None, limit=_MOST, number=text)]
        if caller.may(Scope.SALES_ORDERS_READ)
        else (),
        articles=_articles(tx, text) if caller.may(Scope.ARTICLES_READ) else (),
        contacts=contacts.page(tx, after=None, limit=_MOST, starts_with=name_key(text)) if caller.may(Scope.CONTACTS_READ) else (),
        partners=_partners(tx, text) if caller.may(Scope.PARTNERS_READ) else (),
        logs=_logs(tx, text) if caller.may(Scope.LOGS_READ) else (),
    )


def _articles(tx: Tx, text: str) -> list[Known]:
    """By the beginning of number or name; the number's first, none twice."""
    found = articles.finding.numbers_beginning(tx, text, ("", 0), _MOST) + articles.finding.names_beginning(tx, text, ("", 0), _MOST)
    return list({article.pk: article for article in found}.values())[:_MOST]


def _partners(tx: Tx, text: str) -> list[Any]:
    wanted = name_key(text)
    return [one for one in partners.named(tx) if name_key(one.name).startswith(wanted)][:_MOST]


def _logs(tx: Tx, text: str) -> list[Logged]:
    """By order number, or by the 32 digits of a trace."""
    is_trace = len(text) == 32 and all(sign in "0123456789abcdef" for sign in text)
    found = logs.page(tx, before=None, limit=_MOST, trace_id=text) if is_trace else logs.page(tx, before=None, limit=_MOST, number=text)
    return [entry for _, entry in found]


routes = [search]
