"""Every statement about the orders we are asked to deliver, one file for each thing that is kept of them."""

from prodsys.sales.store import answers, arriving, despatches, lists, messages, orders, reconciling, told, twins, views, waiting

__all__ = ["answers", "arriving", "despatches", "lists", "messages", "orders", "reconciling", "told", "twins", "views", "waiting"]
