"""Every statement about purchase orders, one file for each thing that is kept of them."""

from prodsys.purchasing.store import (
    answers,
    deliveries,
    exports,
    following,
    goods,
    lists,
    messages,
    named,
    orders,
    reconciling,
    revisions,
    words,
)

__all__ = [
    "answers",
    "deliveries",
    "exports",
    "following",
    "goods",
    "lists",
    "messages",
    "named",
    "orders",
    "reconciling",
    "revisions",
    "words",
]
