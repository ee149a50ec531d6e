"""One order, posted by everybody at once, is one draft with one receipt (product.md, A11)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.chaos.killable import Killable, founded, hand_over
from tests.stories.company import ARTICLES, FJORD

CARD = {
    "name": "Nordlys Mekaniske AS",
    "organisation_number": "987654325",
    "email": "innkjop@nordlys.example",
    "address": {"street": "Verkstedveien", "house_number": "1", "postcode": "4020", "city": "Stavanger", "country": "NO"},
}


def an_order(number: str = "PO-1", revision: int = 1, quantity: str = "5") -> dict[str, Any]:
    line = {"line_id": "10", "article_number": "A-100", "quantity": quantity, "unit": "H87", "unit_price": "1.30"}
    return {"number": number, "revision": revision, "date": "2026-11-20", "currency": "NOK", "buyer": CARD, "lines": [line]}


@pytest.fixture
async def supplier(two_databases: tuple[str, str], tmp_path: Path) -> AsyncIterator[Killable]:
    async with founded(FJORD, tmp_path / "fjord", two_databases[0]) as company:
        await company.start()
        await company.call("POST", "/articles/import", content=ARTICLES.encode(), headers={"Content-Type": "text/csv"})
        yield company


@pytest.fixture
async def partner(supplier: Killable) -> AsyncIterator[httpx2.AsyncClient]:
    """The buyer, with the token he was given."""
    handed = await hand_over(supplier, "Nordlys Mekaniske AS", "987654325")
    async with supplier.as_(handed["token"]["token"]) as http:
        yield http


async def test_a_hundred_posts_of_one_order_at_once_make_one_draft_and_one_answer(supplier: Killable, partner: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(partner.post("/purchase-orders", json=an_order()) for _ in range(100)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    receipts = [answer.json() for answer in answers]
    assert len({(one["id"], one["trace_id"]) for one in receipts}) == 1
    assert Counter(one["new"] for one in receipts) == {True: 1, False: 99}
    assert supplier.one("SELECT count(*) FROM sales_orders") == 1
    assert dict(supplier.rows("SELECT code, count(*) FROM log_entries WHERE code LIKE 'order.%' GROUP BY code")) == {
        "order.received": 1,
        "order.repeated": 99,
    }


async def test_the_same_under_one_idempotency_key_is_carried_out_once(supplier: Killable, partner: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "from-the-buyer-1"}

    answers = await asyncio.gather(*(partner.post("/purchase-orders", json=an_order(), headers=key) for _ in range(100)))

    assert {answer.status_code for answer in answers} == {201}
    assert Counter(answer.headers.get("Idempotent-Replayed", "no") for answer in answers) == {"no": 1, "true": 99}
    assert len({answer.content for answer in answers}) == 1
    assert supplier.one("SELECT count(*) FROM sales_orders") == 1


async def test_two_batches_at_once_that_share_orders_make_each_order_once(supplier: Killable, partner: httpx2.AsyncClient) -> None:
    some = [{"order": an_order(f"PO-{number:03}")} for number in range(60)]
    others = [*reversed(some[20:]), {"order": an_order("PO-100")}]

    answers = await asyncio.gather(
        *(partner.post("/purchase-orders/batch", json={"orders": orders}) for orders in (some, others, some, others)),
        *(partner.post("/purchase-orders", json=one["order"]) for one in some[::6]),
    )

    assert {answer.status_code for answer in answers} <= {200, 201}
    items = [one for answer in answers[:4] for one in answer.json()["items"]] + [
        {"status": answer.status_code, "number": answer.json()["number"], "receipt": answer.json()} for answer in answers[4:]
    ]
    firsts = Counter(one["number"] for one in items if one["status"] == 201)
    assert firsts == {f"PO-{number:03}": 1 for number in [*range(60), 100]}
    assert len({(one["number"], one["receipt"]["id"]) for one in items}) == 61
    assert supplier.one("SELECT count(*) FROM sales_orders") == 61


async def test_one_number_with_two_contents_at_once_is_one_draft_and_a_conflict(supplier: Killable, partner: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(partner.post("/purchase-orders", json=an_order(quantity=str(5 + at % 2))) for at in range(40)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19, 409: 20}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"order_conflict"}
    assert supplier.one("SELECT count(*) FROM sales_orders") == 1


async def test_revisions_that_overtake_each_other_leave_the_highest_as_the_newest(supplier: Killable, partner: httpx2.AsyncClient) -> None:
    orders = [an_order("PO-1", revision, str(revision)) for revision in (3, 1, 2, 3, 5, 4, 5, 1)] * 3

    answers = await asyncio.gather(*(partner.post("/purchase-orders", json=order) for order in orders))

    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"revision_superseded"}
    kept = supplier.rows("SELECT revision, is_newest FROM sales_orders ORDER BY pk")
    changes = [revision for revision, _ in kept if revision > 1]
    assert changes == sorted(changes)
    assert len(kept) == len(set(kept))
    assert [revision for revision, is_newest in kept if is_newest] == [5]


async def test_each_order_answered_with_a_receipt_is_there_after_a_kill(supplier: Killable, partner: httpx2.AsyncClient) -> None:
    answered: list[str] = []

    async def post(number: int) -> None:
        answer = await partner.post("/purchase-orders", json=an_order(f"PO-{number}"))
        answered.append(answer.json()["id"])
        if len(answered) == 40:
            supplier.kill()

    await asyncio.gather(*(post(number) for number in range(120)), return_exceptions=True)
    await supplier.start()

    kept = {draft for (draft,) in supplier.rows("SELECT id FROM sales_orders")}
    assert len(answered) >= 40
    assert set(answered) <= kept
