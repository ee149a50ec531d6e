"""Counters an operator watches from outside, in Prometheus' form."""

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """What Prometheus may read at `/metrics`; one per app, so that two companies in one process do not add up."""

    registry: CollectorRegistry
    exports_total: Counter
    orders_received_total: Counter
    partner_request_seconds: Histogram
    outbox_waiting: Gauge
    outbox_lag_seconds: Gauge
    lanes_paused: Gauge
    partner_ids: dict[int, str]
    """Partners by key, for the label, as far as they have been met."""

    def text(self) -> bytes:
        """The exposition format, for `text/plain; version=0.0.4`."""
        return generate_latest(self.registry)


def new_metrics() -> Metrics:
    """Counters at zero. Label `partner` is the partner's id, `result` one of the words of ruling 17."""
    registry = CollectorRegistry()
    return Metrics(
        registry=registry,
        exports_total=Counter("prodsys_exports", "Orders that left for a partner.", ["partner", "result"], registry=registry),
        orders_received_total=Counter("prodsys_orders_received", "Orders partners sent us.", ["partner", "result"], registry=registry),
        partner_request_seconds=Histogram(
            "prodsys_partner_request_seconds", "Time until a partner answered.", ["partner"], registry=registry
        ),
        outbox_waiting=Gauge("prodsys_outbox_waiting", "Deliveries promised and not yet made.", registry=registry),
        outbox_lag_seconds=Gauge("prodsys_outbox_lag_seconds", "Age of the oldest delivery that is due.", registry=registry),
        lanes_paused=Gauge("prodsys_lanes_paused", "Lanes waiting for a partner or an admin.", registry=registry),
        partner_ids={},
    )
