"""What must be true of two companies' books when the storm is over, whatever happened in between."""

from tests.chaos.killable import Killable


def everything_arrived_once(supplier: Killable, buyer: Killable, count: int, exports: int) -> dict[str, int]:
    """Fail unless each of so many orders is exactly one draft there, and delivered here; how its export calls them."""
    drafts = supplier.rows("SELECT number, revision, id, trace_id FROM sales_orders")
    orders = buyer.rows("SELECT number, revision, their_id, trace_id FROM purchase_orders")
    assert len(drafts) == count
    assert sorted(drafts) == sorted(orders)
    assert buyer.rows("SELECT number, delivery FROM purchase_orders WHERE delivery <> 'received'") == []
    assert supplier.one("SELECT count(*) FROM sales_lines") == count
    assert buyer.one("SELECT count(*) FROM exports") == exports
    said = dict(buyer.rows("SELECT status, count(*) FROM export_orders GROUP BY status"))
    assert set(said) <= {"received", "repeated"}
    assert sum(said.values()) == count
    assert buyer.rows("SELECT state, count(*) FROM deliveries WHERE kind = 'order' GROUP BY state") == [("done", count)]
    supplier.must_be_sound()
    buyer.must_be_sound()
    return said


def both_logs_agree(supplier: Killable, buyer: Killable) -> None:
    """Fail unless each delivered order was told of once on either side, under the same trace."""
    received = supplier.rows("SELECT number, trace_id FROM log_entries WHERE code = 'order.received'")
    delivered = buyer.rows("SELECT number, trace_id FROM log_entries WHERE code = 'order.delivered'")
    assert len(received) == len(set(received))
    assert sorted(received) == sorted(delivered)
    assert sorted(received) == sorted(supplier.rows("SELECT number, trace_id FROM sales_orders"))


def the_buyer_knows_every_answer(supplier: Killable, buyer: Killable) -> int:
    """Fail unless the buyer has the order number of each approved draft, and no other; how many those are."""
    approved = supplier.rows("SELECT number, order_number FROM sales_orders WHERE acceptance = 'approved'")
    known = buyer.rows("SELECT number, their_order_number FROM purchase_orders WHERE acceptance = 'approved'")
    assert sorted(approved) == sorted(known)
    numbers = [order_number for _, order_number in approved]
    assert len(numbers) == len(set(numbers))
    told = [number for (number,) in buyer.rows("SELECT number FROM log_entries WHERE code = 'order.approved'")]
    assert sorted(told) == sorted(number for number, _ in approved)
    positions = [position for (position,) in supplier.rows("SELECT position FROM sales_changes ORDER BY position")]
    assert positions == list(range(1, len(approved) + 1))
    return len(approved)
