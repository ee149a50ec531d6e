"""Our own records that a flow carried: what each is called and where its page is."""

from collections.abc import Collection
from typing import NamedTuple

from prodsys.articles import store as articles
from prodsys.contacts import store as contacts
from prodsys.kit.db import Tx
from prodsys.purchasing import store as purchasing
from prodsys.sales import store as sales
from prodsys.scopes import Caller, Scope


class OurRecord(NamedTuple):
    """What a record of ours is called, and its page."""

    name: str
    href: str


def ours(tx: Tx, caller: Caller, kind: str, named: Collection[str]) -> dict[str, OurRecord]:
    """The records of ours among these, by what names them in a flow; those that are not here, or not for the caller, are left out."""
    wanted = {one for one in named if one}
    found: dict[str, OurRecord] = {}
    if kind == "contacts" and caller.may(Scope.CONTACTS_READ):
        found = {known: OurRecord(one.card.name, f"/contacts/{known}") for known, one in contacts.by_ids(tx, wanted).items()}
    elif kind in ("articles", "stock") and caller.may(Scope.ARTICLES_READ):
        # Stock is named by its article and its place.
        numbers = {one: one.partition("@")[0] if kind == "stock" else one for one in wanted}
        articles_here = articles.finding.by_numbers(tx, set(numbers.values()))
        found = {
            one: OurRecord(f"{one} {articles_here[number].name}".rstrip(), f"/articles/{articles_here[number].id}")
            for one, number in numbers.items()
            if number in articles_here
        }
    elif kind == "purchase_orders" and caller.may(Scope.PURCHASE_ORDERS_READ):
        found = {number: OurRecord(number, f"/orders/{order}") for number, order in purchasing.orders.ids(tx, wanted).items()}
    elif kind in ("orders", "order_status"):
        if caller.may(Scope.SALES_ORDERS_READ):
            agreed = sales.orders.ids_of(tx, wanted)
            found = {number: OurRecord(number, f"/sales-orders/{order}") for number, order in agreed.items()}
        if kind == "order_status" and caller.may(Scope.PURCHASE_ORDERS_READ):
            placed = purchasing.orders.ids(tx, wanted - found.keys())
            found |= {number: OurRecord(number, f"/orders/{order}") for number, order in placed.items()}
    return found
