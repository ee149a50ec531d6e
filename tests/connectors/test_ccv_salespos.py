"""What is odd about CCV: both sides sign, clocks must agree, breakdowns are refusals, and little can be searched for."""

import datetime as dt
import json
import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prodsys.connectors._base import Later, Misconfigured, Records, Refused, Secret, Written
from prodsys.connectors._rest import Request
from prodsys.connectors.ccv_salespos import signature
from prodsys.documents import Exact, OrderStatus, Stock, UnitPrice
from prodsys.kit.clock import now
from tests.connectors.loopback import Fault, reaching, serving
from tests.connectors.sim_ccv_salespos import ROOT, CcvSalesPosSim
from tests.connectors.test_promises import Bench


@pytest.fixture
async def shop() -> AsyncIterator[Bench]:
    """A shop on loopback."""
    async with serving(CcvSalesPosSim()) as simulator, reaching(simulator) as reach:
        yield Bench(simulator=simulator, reach=reach)


async def read(shop: Bench, kind: str, **more: Any) -> list[Any]:
    """Every record of a kind, and the trouble that ended the reading."""
    found: list[Any] = []
    async for page in shop.connect().pages(kind, **more):
        found += page.records if isinstance(page, Records) else [page]
    return found


def test_a_call_is_signed_over_key_method_address_body_and_moment():
    request = Request(method="GET", url="", uri="/api/rest/v1/orders/?start=0&size=25", content=b"")

    made = signature("demo", Secret("demo"), request, b"", "2022-11-26T00:45:54Z")

    assert made.startswith("fc7ebd4b86d86b44")
    assert made.endswith("4f6fced3edcf2")


async def test_an_answer_signed_with_another_secret_is_not_believed(shop):
    shop.simulator.secret = "somebody-elses"

    tested = await shop.connect().test()
    [trouble] = await read(shop, "articles")

    assert not tested.is_fine
    assert [check.field for check in tested.checks] == ["secret_key"]
    assert isinstance(trouble, Misconfigured)
    assert trouble.reason == "signature_invalid"


async def test_an_answer_to_a_write_that_cannot_be_believed_may_be_true_and_is_looked_for(shop):
    shop.simulator.secret = "somebody-elses"

    outcome = await shop.create(shop.connect(), "orders")
    shop.simulator.secret = "a-secret-key-of-the-shop"

    assert isinstance(outcome, Later)
    assert outcome.sent
    assert len(await shop.found(shop.connect(), "orders")) == 1


async def test_an_answer_of_six_minutes_ago_is_not_taken_again(shop):
    shop.simulator.answer_date = f"{now() - dt.timedelta(minutes=6):%Y-%m-%dT%H:%M:%SZ}"

    [trouble] = await read(shop, "articles")

    assert isinstance(trouble, Misconfigured)


async def test_clocks_that_are_six_minutes_apart_are_said_to_be_and_no_key_is_blamed(shop):
    shop.simulator.skew = dt.timedelta(minutes=6, seconds=30)

    tested = await shop.connect().test()

    assert not tested.is_fine
    assert [check.field for check in tested.checks] == [""]
    assert "6 minutes apart" in tested.checks[0].message


@pytest.mark.parametrize(
    ("code", "kind"),
    [("500.22", Refused), ("500.40", Refused), ("501.10", Refused), ("500.90", Misconfigured), ("500.20", Later), ("429.11", Later),
     ("", Later)],
)  # fmt: skip
async def test_a_breakdown_that_is_a_refusal_is_not_tried_again(shop, code, kind):
    body = {"status": 500, "code": code, "developermessage": "No"}
    shop.simulator.stumble(Fault(stumble="status", method="POST", status=500, body=body))

    outcome = await shop.create(shop.connect(), "orders")

    assert isinstance(outcome, kind)


async def test_what_broke_down_behind_the_write_may_have_been_written(shop):
    body = {"status": 500, "code": "500.20", "developermessage": "The answer does not fit its schema"}
    shop.simulator.stumble(Fault(stumble="status", method="POST", status=500, body=body))

    outcome = await shop.create(shop.connect(), "orders")

    assert isinstance(outcome, Later)
    assert outcome.sent


async def test_an_order_comes_with_every_row_however_many_sets_they_are_in(shop):
    shop.simulator.size = 2
    shop.simulator.sell("1043", {"status": 1, "paid": True}, count=5)

    found = await read(shop, "orders")
    documents = [shop.connect().document("orders", record) for record in found]

    assert {document.number: len(document.lines) for document in documents} == {"1042": 1, "1043": 5}


async def test_only_paid_orders_are_asked_for_where_a_flow_wants_those(shop):
    shop.simulator.sell("1043", {"status": 4, "paid": False})

    found = await read(shop, "orders", where={"is_paid": "true"})

    assert [record.theirs["ordernumber_full"] for record in found] == ["1042"]


async def test_orders_made_before_the_last_reading_are_read_again_for_the_shop_cannot_say_what_changed(shop):
    last = now()
    shop.simulator.sell("1041", {"status": 5, "paid": True, "create_date": f"{last - dt.timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}"})
    shop.simulator.sell("1040", {"status": 5, "paid": True, "create_date": f"{last - dt.timedelta(days=15):%Y-%m-%dT%H:%M:%SZ}"})

    found = await read(shop, "order_status", since=last)

    assert {record.theirs["ordernumber_full"] for record in found} == {"1041", "1042"}


async def test_an_order_of_the_shops_own_under_our_number_is_not_taken_for_ours(shop):
    found = await shop.connect().find("orders", "reference", "1042")

    assert found == []


async def test_customers_are_found_by_address_on_whatever_page_they_are_and_two_of_them_are_both_found(shop):
    shop.simulator.size = 1
    shop.simulator.add("users", {"username": "x", "userinfo": {"email": "Post@Haven.example"}})
    shop.simulator.add("users", {"username": "y", "userinfo": {"email": "post@haven.example"}})

    found = await shop.connect().find_many("contacts", "email", ["post@haven.example", "inkoop@nordlys.example", "nobody@x.example"])

    assert {value: len(records) for value, records in found.items()} == {
        "post@haven.example": 2, "inkoop@nordlys.example": 1, "nobody@x.example": 0,
    }  # fmt: skip


async def test_a_customer_gets_a_password_nobody_knows_and_no_log_ever_sees(shop):
    connector = shop.connect()
    words = connector.words("contacts", shop.simulator.examples["contacts"], shop.context(connector, "contacts"))

    made = await connector.create("contacts", words)

    assert isinstance(made, Written)
    assert "password" not in words
    assert len(shop.simulator.asked[-1].json["password"]) >= 24


async def test_stock_is_set_on_the_product_and_saying_the_same_again_is_fine(shop):
    connector = shop.connect()
    document = Stock(article_number="A-100", on_hand=Exact("50"), available=Exact("44"), is_managed=True)
    [record] = await connector.find("stock", "reference", "A-100")
    words = connector.words("stock", document, shop.context(connector, "stock"))

    changed = await connector.change("stock", record.id, words)
    again = await connector.change("stock", record.id, words)

    assert isinstance(changed, Written)
    assert isinstance(again, Written)
    assert shop.simulator.rows["products"][int(record.id)]["stock"] == 44
    assert "productnumber" not in shop.simulator.asked[-1].json


async def test_stock_of_a_product_that_is_not_there_is_refused_and_nothing_is_made(shop):
    outcome = await shop.connect().create("stock", {"productnumber": "Z-9", "stock": 1})

    assert isinstance(outcome, Refused)
    assert shop.simulator.asked == []


async def test_what_was_shipped_here_is_told_to_the_shop_with_its_tracking_number(shop):
    connector = shop.connect()
    [record] = await connector.find("order_status", "reference", "1042")
    status = OrderStatus(number="1042", status="shipped", tracking_number="3SABC", carrier="PostNL")

    told = await connector.change("order_status", record.id, connector.words("order_status", status, shop.context(connector, "orders")))

    assert isinstance(told, Written)
    kept = shop.simulator.rows["orders"][int(record.id)]
    assert (kept["status"], kept["track_and_trace_code"], kept["track_and_trace_carrier"]) == (5, "3SABC", "PostNL")


async def test_whether_a_price_includes_vat_is_as_the_shop_counts(shop):
    with_tax, without = shop.connect(), shop.connect(prices_include_tax=False)
    record = await with_tax.get("articles", shop.simulator.articles["A-100"])

    said = [(one.document("articles", record).price, one.document("articles", record).price_with_tax) for one in (with_tax, without)]
    example = shop.simulator.examples["articles"]

    assert said == [(None, UnitPrice("1.57")), (UnitPrice("1.57"), None)]
    assert without.words("articles", example, shop.context(without, "articles")).get("price") is None


@pytest.mark.parametrize(("kind", "model"), [("orders", "Orders"), ("articles", "Products"), ("contacts", "Users")])
async def test_what_we_send_has_members_the_vendor_documents(shop, kind, model):
    vendors = os.environ.get("PRODSYS_VENDORS")
    if not vendors:
        pytest.skip("PRODSYS_VENDORS does not say where the vendors' documents are.")
    models = models_of(vendors)

    await shop.create(shop.connect(), kind)

    sent = next(asked for asked in reversed(shop.simulator.asked) if asked.method == "POST")
    assert sent.path.startswith(ROOT)
    assert _unknown(models, f"Internal.Resource.{model}.Post.Post", sent.json) == []


def models_of(vendors: str) -> Any:
    """What the vendor documents of each thing that is sent."""
    return json.loads(Path(vendors, "others", "ccvshop", "models.json").read_text())["models"]


def _unknown(models: Any, name: str, said: Any) -> list[str]:
    unknown = []
    for member, value in said.items():
        if member not in models[name]:
            unknown.append(f"{name}.{member}")
            continue
        kind = models[name][member]["type"].removesuffix("|null").removesuffix("[]")
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                unknown += _unknown(models, kind, part)
            elif kind == "int":
                assert isinstance(part, int), member
            elif kind == "float":
                assert isinstance(part, int | Decimal), member
    return unknown
