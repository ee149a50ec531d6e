"""Whatever a partner sends, he reads what is wrong with it and where; nothing of it is kept and nothing breaks."""

import datetime as dt
import gzip
import json
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from shutil import copyfile
from typing import Any

import httpx2
import msgspec
import pytest
from sqlalchemy import func, select, update

from prodsys import tables
from prodsys.kit.db import metadata
from prodsys.scopes import Scope
from tests import postgres
from tests.stories.company import FJORD, NORDLYS, Company, running

LINE: dict[str, Any] = {"line_id": "10", "article_number": "A-100", "quantity": "12", "unit": "H87", "unit_price": "1.30"}
ORDER: dict[str, Any] = {
    "number": "PO-1042",
    "date": "2026-11-21",
    "currency": "NOK",
    "buyer": msgspec.to_builtins(NORDLYS),
    "lines": [LINE],
}
NBSP = "\N{NO-BREAK SPACE}"


class Desk:
    """A supplier's order desk, and the buyer before it."""

    def __init__(self, fjord: Company, partner: str, token: str) -> None:
        self.fjord = fjord
        self.partner = partner
        self.token = token
        self.buyer = fjord.as_(token)

    async def send(self, order: Any, **headers: str) -> httpx2.Response:
        """Send something that may be an order; text and bytes go as they are."""
        body = order if isinstance(order, bytes) else json.dumps(order).encode()
        return await self.buyer.post("/purchase-orders", content=body, headers={"Content-Type": "application/json", **headers})

    async def kept(self) -> dict[str, int]:
        """How many rows every table holds."""
        return await self.fjord.db.read(
            lambda tx: {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in _TABLES}
        )


# The clock of the house writes these by itself while nobody does anything.
_BY_ITSELF = {"tokens", "log_readers", "timetable", "alert_causes", "alert_marks"}
_TABLES = [table for name, table in metadata.tables.items() if name not in _BY_ITSELF]
_ONLY_LOG = {"log_entries"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def one_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a database that the cases of this page share: none of them leaves a trace."""
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("desk") / "prodsys.db"
        copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
    else:
        cluster: postgres.Cluster = request.getfixturevalue("cluster")
        with ExitStack() as stack:
            yield stack.enter_context(cluster.copy_of("template_prodsys"))


@pytest.fixture(scope="module")
async def desk(one_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A supplier with articles, and a buyer whose first order made him a contact."""
    async with running(FJORD, one_database, tmp_path_factory.mktemp("home")) as fjord:
        await fjord.import_articles()
        handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
        desk = Desk(fjord, handed["partner"]["id"], handed["token"]["token"])
        assert (await desk.send(ORDER | {"number": "PO-1"})).status_code == 201
        try:
            yield desk
        finally:
            await desk.buyer.aclose()


def order(**changes: Any) -> dict[str, Any]:
    return ORDER | changes


def line(**changes: Any) -> dict[str, Any]:
    return ORDER | {"lines": [LINE | changes]}


def texts(count: int) -> dict[str, Any]:
    return ORDER | {"lines": [{"line_id": str(at), "kind": "text", "description": "x"} for at in range(count)]}


NOT_JSON: dict[str, Any] = {
    "nothing": b"",
    "half a document": b'{"number": "PO-1042"',
    "no JSON": b"number=PO-1042",
    "NaN, which is no JSON": json.dumps(ORDER).replace('"1.30"', "NaN").encode(),
    "a hundred thousand brackets": b"[" * 100_000,
    "33 levels": b'{"a":' * 33 + b"1" + b"}" * 33,
    "UTF-16": json.dumps(ORDER).encode("utf-16"),
    "Latin-1": json.dumps(order(note="Grünerløkka"), ensure_ascii=False).encode("latin-1"),
    "two documents": json.dumps(ORDER).encode() * 2,
}

MISSHAPEN: dict[str, tuple[Any, str, str]] = {
    "a list": ([], "invalid", ""),
    "null": (None, "invalid", ""),
    "a text": ("PO-1042", "invalid", ""),
    "a number where text belongs": (order(number=1042), "invalid", "/number"),
    "a number where a decimal belongs": (line(quantity=12), "invalid", "/lines/0/quantity"),
    "a float where a decimal belongs": (line(unit_price=1.3), "invalid", "/lines/0/unit_price"),
    "an object where lines belong": (order(lines={}), "invalid", "/lines"),
    "null for a line": (order(lines=[None]), "invalid", "/lines/0"),
    "a member nobody knows": (order(colour="red"), "member_unknown", "/colour"),
    "a member nobody knows in a line": (line(colour="red"), "member_unknown", "/lines/0/colour"),
    "a member nobody knows in an address": (
        order(buyer={"name": "N", "address": {"floor": "3"}}),
        "member_unknown",
        "/buyer/address/floor",
    ),
    "a member with a stroke": (order(**{"a/b": 1}), "member_unknown", "/a~1b"),
    "no number": ({name: said for name, said in ORDER.items() if name != "number"}, "member_missing", "/number"),
    "no line id": (order(lines=[{"article_number": "A-100"}]), "member_missing", "/lines/0/line_id"),
    "no lines": (order(lines=[]), "invalid", "/lines"),
    "10,001 lines": (texts(10_001), "invalid", "/lines"),
    "51 contact persons": (order(buyer={"name": "N", "persons": [{"name": "K"}] * 51}), "invalid", "/buyer/persons"),
    "a number of 81 characters": (order(number="9" * 81), "invalid", "/number"),
    "a description of 501 characters": (line(description="x" * 501), "invalid", "/lines/0/description"),
    "the thirtieth of February": (order(date="2026-02-30"), "invalid", "/date"),
    "a date as Germans write it": (order(date="21.11.2026"), "invalid", "/date"),
    "a currency of two letters": (order(currency="NO"), "invalid", "/currency"),
    "a discount of 101 per cent": (line(discount_percent="101"), "invalid", "/lines/0/discount_percent"),
    "a negative price": (line(unit_price="-1"), "invalid", "/lines/0/unit_price"),
    "a price per nothing": (line(price_quantity="0"), "invalid", "/lines/0/price_quantity"),
    **{f"revision {wrong}": (order(revision=wrong), "invalid", "/revision") for wrong in (0, -1, 2**31, 10**30, "1", 1.5, True)},
    **{
        f"quantity {wrong[:15]!r}": (line(quantity=wrong), "invalid", "/lines/0/quantity")
        for wrong in (
            "-1",
            "0",
            "0.00",
            "NaN",
            "Infinity",
            "1e3",
            "1" * 40,
            "0." + "1" * 40,
            "1_000",
            "１２",
            " 12",
            "12.",
            ".5",
            "1,5",
            "+1",
            "",
        )
    },
    **{
        f"the hidden character {ord(hidden):04X}": (order(note=f"a{hidden}b"), "hidden_character", "/note")
        for hidden in "\x00\x07\x1b\x7f\x85\u200f\u202e\u2066\ud800\udfff"
    },
    "a hidden character in the number": (order(number="PO\x00"), "hidden_character", "/number"),
    "a hidden character in a line": (line(article_number="A\u202e-100"), "hidden_character", "/lines/0/article_number"),
}

MEANINGLESS: dict[str, tuple[Any, str, str]] = {
    "a blank number": (order(number="  "), "order_number_missing", "/number"),
    "a blank line id": (line(line_id=" "), "line_id_missing", "/lines/0/line_id"),
    "one line id twice": (order(lines=[LINE, LINE]), "line_id_duplicate", "/lines/1/line_id"),
    "one line id twice but for blanks": (order(lines=[LINE, LINE | {"line_id": f" 10{NBSP}"}]), "line_id_duplicate", "/lines/1/line_id"),
    "a currency nobody has": (order(currency="ABC"), "currency_unknown", "/currency"),
    "a currency in small letters": (order(currency="nok"), "currency_unknown", "/currency"),
    "a unit nobody has": (line(unit="flaks"), "unit_unknown", "/lines/0/unit"),
    "no unit": (line(unit=""), "unit_missing", "/lines/0/unit"),
    "no quantity": (line(quantity=None), "quantity_missing", "/lines/0/quantity"),
    "no article": (line(article_number=" "), "article_missing", "/lines/0/article_number"),
    "an article nobody has": (line(article_number="A-999"), "article_unknown", "/lines/0/article_number"),
    "an article in small letters": (line(article_number="a-100"), "article_unknown", "/lines/0/article_number"),
    "an article with a leading zero too many": (line(article_number="0A-100"), "article_unknown", "/lines/0/article_number"),
    "an article in wide letters": (line(article_number="Ａ-100"), "article_unknown", "/lines/0/article_number"),
    "an article with a blank inside": (line(article_number="A -100"), "article_unknown", "/lines/0/article_number"),
    "a retired article": (line(article_number="A-900"), "article_inactive", "/lines/0/article_number"),
    "another article's GTIN": (line(article_number="A-200", gtin="7038010000010"), "gtin_mismatch", "/lines/0/gtin"),
    "an amount beyond counting": (line(quantity="9" * 12, unit_price="9" * 12), "amount_too_large", "/lines/0/unit_price"),
    "a buyer that is somebody else": (
        order(buyer={"name": "Havn Bygg AS", "organisation_number": "974760673"}),
        "buyer_mismatch",
        "/buyer/organisation_number",
    ),
    "a buyer with somebody else's VAT number": (
        order(buyer={"name": "Nordlys Mekaniske AS", "vat_number": "NO974760673MVA"}),
        "buyer_mismatch",
        "/buyer/vat_number",
    ),
    "a buyer that is ourselves": (order(buyer=msgspec.to_builtins(FJORD)), "buyer_is_us", "/buyer"),
}


@pytest.mark.parametrize("name", NOT_JSON)
async def test_what_is_no_json_is_refused_and_leaves_nothing(desk: Desk, name: str) -> None:
    before = await desk.kept()

    answer = await desk.send(NOT_JSON[name])

    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
    assert await desk.kept() == before


@pytest.mark.parametrize("name", MISSHAPEN)
async def test_what_is_no_order_is_refused_with_the_place_and_leaves_nothing(desk: Desk, name: str) -> None:
    sent, code, pointer = MISSHAPEN[name]
    before = await desk.kept()

    answer = await desk.send(sent)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid")
    assert [(issue["code"], issue["pointer"]) for issue in problem["issues"]] == [(code, pointer)]
    assert problem["detail"] == problem["issues"][0]["message"]
    assert await desk.kept() == before


@pytest.mark.parametrize("name", MEANINGLESS)
async def test_an_order_that_cannot_be_meant_is_refused_with_the_place_and_leaves_only_its_log(desk: Desk, name: str) -> None:
    sent, code, pointer = MEANINGLESS[name]
    before = await desk.kept()

    answer = await desk.send(sent)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "order_refused")
    assert (code, pointer) in [(issue["code"], issue["pointer"]) for issue in problem["issues"] if issue.get("blocks")]
    assert {name for name, count in (await desk.kept()).items() if count != before[name]} == _ONLY_LOG
    [entry] = await desk.fjord.logged(trace_id=problem["trace_id"])
    assert (entry["code"], entry["partner"]) == ("order.refused", desk.partner)


@pytest.mark.parametrize("name", MEANINGLESS)
async def test_a_dry_run_says_the_same_and_leaves_only_its_log(desk: Desk, name: str) -> None:
    sent, code, pointer = MEANINGLESS[name]
    before = await desk.kept()

    answer = await desk.buyer.post("/purchase-orders/preview", json={"orders": [sent]})

    [report] = answer.json()["items"]
    assert report["would"] == "refused"
    assert (code, pointer) in [(issue["code"], issue["pointer"]) for issue in report["issues"]]
    assert {name for name, count in (await desk.kept()).items() if count != before[name]} <= _ONLY_LOG


async def test_in_a_batch_one_misshapen_order_is_refused_alone(desk: Desk) -> None:
    good = order(number="PO-batch")

    answer = await desk.buyer.post(
        "/purchase-orders/batch", json={"orders": [{"order": line(quantity="NaN")}, {"order": good}, {"order": 1}]}
    )

    assert [item["status"] for item in answer.json()["items"]] == [422, 201, 422]
    assert answer.json()["items"][0]["problem"]["issues"][0]["pointer"] == "/lines/0/quantity"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "application/xml"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
async def test_a_body_of_another_kind_is_refused(desk: Desk, headers: dict[str, str], status: int) -> None:
    body = gzip.compress(json.dumps(ORDER).encode()) if "Content-Encoding" in headers else json.dumps(ORDER).encode()

    answer = await desk.send(body, **headers)

    assert (answer.status_code, answer.json()["code"]) == (status, "unsupported_media_type")


async def test_a_body_beyond_8_mib_is_refused_announced_or_not(desk: Desk) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    announced = await desk.send(b" " * (8 * 1024 * 1024 + 1))
    chunked = await desk.buyer.post("/purchase-orders", content=pieces(), headers={"Content-Type": "application/json"})

    assert {(one.status_code, one.json()["code"]) for one in (announced, chunked)} == {(413, "too_large")}


async def test_ten_thousand_lines_are_an_order(desk: Desk) -> None:
    answer = await desk.send(texts(10_000) | {"number": "PO-long"})

    assert answer.status_code == 201


async def test_an_article_number_is_equal_when_trimmed_and_composed_and_in_nothing_else(desk: Desk) -> None:
    await desk.fjord.call("POST", "/articles", json={"number": "Å-0012", "name": "Ring", "unit": "H87"})
    decomposed = unicodedata.normalize("NFD", "Å-0012")
    spelled = [f"  {decomposed}{NBSP}", "å-0012", "Å-12", "A-0012", "Å-0012\u200b"]

    answer = await desk.buyer.post("/articles/match", json={"numbers": spelled})

    assert [item["how"] for item in answer.json()["items"]] == ["article_number", "unknown", "unknown", "unknown", "unknown"]
    assert answer.json()["items"][1]["suggestions"][0]["article_number"] == "Å-0012"


async def test_an_order_number_is_equal_when_trimmed_and_composed_and_in_nothing_else(desk: Desk) -> None:
    first = await desk.send(order(number="Ås-7"))

    same = await desk.send(order(number=" " + unicodedata.normalize("NFD", "Ås-7")))
    other = await desk.send(order(number="ås-7"))

    assert (same.status_code, same.json()["id"], same.json()["new"]) == (200, first.json()["id"], False)
    assert (other.status_code, other.json()["new"]) == (201, True)


@pytest.mark.parametrize("number", ["PO/2026/7", "a b  c", "changes", "preview", "..", "%2F", "a?b#c&d=e", "x" * 80, "№ 5 – 東京 🚀"])
async def test_an_order_number_may_be_any_text_and_is_found_again(desk: Desk, number: str) -> None:
    sent = await desk.send(order(number=number))

    found = (await desk.buyer.get("/purchase-orders", params={"number": number, "revision": 1})).json()["items"]
    one = await desk.buyer.get(sent.headers["location"].removeprefix("/api/v1"))

    assert sent.status_code == 201
    assert [(row["id"], row["number"]) for row in found] == [(sent.json()["id"], number)]
    assert one.json()["number"] == number


async def test_an_order_number_used_again_for_another_order_is_a_conflict(desk: Desk) -> None:
    await desk.send(order(number="PO-again"))
    before = await desk.kept()

    answer = await desk.send(line(quantity="13") | {"number": "PO-again"})

    assert (answer.status_code, answer.json()["code"], answer.json()["issues"][0]["pointer"]) == (409, "order_conflict", "/number")
    assert {name for name, count in (await desk.kept()).items() if count != before[name]} == _ONLY_LOG


async def test_a_revision_lower_than_the_newest_is_superseded_unless_it_was_seen(desk: Desk) -> None:
    seen = await desk.send(order(number="PO-rev", revision=2))
    await desk.send(line(quantity="13") | {"number": "PO-rev", "revision": 5})

    late = await desk.send(order(number="PO-rev", revision=4))
    again = await desk.send(order(number="PO-rev", revision=2))

    assert (late.status_code, late.json()["code"]) == (409, "revision_superseded")
    assert (again.status_code, again.json()["id"]) == (200, seen.json()["id"])


async def test_a_buyer_without_a_name_becomes_no_contact(desk: Desk) -> None:
    handed = await desk.fjord.hand_over("Namnlaus AS", "974760673")
    before = await desk.kept()

    async with desk.fjord.as_(handed["token"]["token"]) as buyer:
        answer = await buyer.post("/purchase-orders", json=order(buyer={"name": "  "}))

    assert answer.status_code == 422
    assert "/buyer/name" in [issue["pointer"] for issue in answer.json()["issues"]]
    assert (await desk.kept())["contacts"] == before["contacts"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "token_missing"),
        ("Basic b3BzOm9wcw==", "token_missing"),
        ("Bearer", "token_missing"),
        ("Bearer x", "token_unknown"),
        ("Bearer pst_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_000000", "token_unknown"),
        ("Bearer " + "x" * 7_000, "token_unknown"),
        ("Bearer \xff\xfe", "token_unknown"),
    ],
)
async def test_a_token_that_is_none_opens_nothing(desk: Desk, header: str, code: str) -> None:
    async with httpx2.AsyncClient(base_url=f"{desk.fjord.url}/api/v1") as stranger:
        answer = await stranger.get("/company", headers={b"authorization": header.encode("latin-1")})

    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert ('error="invalid_token"' in answer.headers["www-authenticate"]) == (code == "token_unknown")


async def test_a_token_that_has_ended_or_is_anothers_opens_nothing_and_says_why(desk: Desk) -> None:
    async def a_token() -> dict[str, Any]:
        asked = {"name": "spare", "partner": desk.partner, "scopes": [Scope.PURCHASE_ORDERS_CREATE]}
        made: dict[str, Any] = await desk.fjord.call("POST", "/tokens", json=asked)
        return made

    expired, revoked = await a_token(), await a_token()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    await desk.fjord.db.write(
        lambda tx: tx.execute(update(tables.tokens).where(tables.tokens.c.id == expired["id"]).values(expires_at=past))
    )
    await desk.fjord.call("POST", f"/tokens/{revoked['id']}/revoke")

    found = []
    for token in (expired["token"], revoked["token"]):
        async with desk.fjord.as_(token) as buyer:
            answer = await buyer.post("/purchase-orders", json=order(number="PO-ended"))
            found.append((answer.status_code, answer.json()["code"]))

    assert found == [(401, "token_expired"), (401, "token_revoked")]


async def test_a_token_without_the_scope_sends_no_order(desk: Desk) -> None:
    reader = {"name": "reader", "partner": desk.partner, "scopes": [Scope.ARTICLES_READ]}
    made = await desk.fjord.call("POST", "/tokens", json=reader)

    async with desk.fjord.as_(made["token"]) as buyer:
        answer = await buyer.post("/purchase-orders", json=ORDER)

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("module", ["prodsys-to-prodsys", "api-access"])
async def test_with_the_module_off_no_order_is_taken(desk: Desk, module: str) -> None:
    await desk.fjord.call("PUT", f"/modules/{module}", json={"is_on": False})

    answer = await desk.send(order(number="PO-off"))

    await desk.fjord.call("PUT", f"/modules/{module}", json={"is_on": True})
    assert (answer.status_code, answer.json()["code"], answer.json()["issues"][0]["params"]) == (403, "module_off", {"module": module})


async def test_nothing_of_all_this_was_a_fault_of_ours(desk: Desk) -> None:
    # The last on this page: a 500 anywhere above would have said so in its own assertion, and the company still serves.
    answer = await desk.send(order(number="PO-last"))

    assert answer.status_code == 201


async def test_an_order_of_more_than_twelve_digits_is_refused_with_words(fjord: Company) -> None:
    line = {"line_id": "10", "article_number": "X", "quantity": "999999999999", "unit": "H87", "unit_price": "999999999999"}
    many = [{"line_id": str(at), "article_number": "X", "quantity": "1", "unit": "H87", "unit_price": "500000000000"} for at in range(2)]

    one = await fjord.http.post("/purchasing/orders", json={"currency": "NOK", "lines": [line]})
    sum_of_two = await fjord.http.post("/purchasing/orders", json={"currency": "NOK", "lines": many})

    assert (one.status_code, one.json()["issues"][0]["pointer"]) == (422, "/lines/0/unit_price")
    assert (sum_of_two.status_code, sum_of_two.json()["issues"][0]["code"]) == (422, "amount_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/logs?since=2026-01-01T00:00:00",
        "/logs?until=0001-01-01T00:00:00%2B14:00",
        "/changes-log?since=9999-12-31T23:59:59-14:00",
        "/purchasing/orders?from_date=0001-01-01&to_date=9999-12-31",
    ],
)
async def test_odd_moments_are_no_fault_of_ours(fjord: Company, path: str) -> None:
    assert (await fjord.http.get(path)).status_code in (200, 422)
