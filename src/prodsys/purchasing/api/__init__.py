"""The doors of the buyer's desk, one file for each thing they are about."""

from prodsys.purchasing.api import answers, deliveries, exports, lists, orders, reconciliation

routes = [
    *lists.routes,
    *orders.routes,
    *answers.routes,
    *exports.routes,
    *deliveries.routes,
    *reconciliation.routes,
]
