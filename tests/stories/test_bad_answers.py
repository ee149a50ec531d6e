"""However badly a partner's system answers, the buyer keeps his order, reads why it waits, and it leaves once that is mended."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trustme

from tests.connectors.their_prodsys import TheirProdsys, drop, endless, http
from tests.connectors.their_prodsys import running as their_instance
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import an_order

Fault = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]

STOPPED: dict[str, tuple[Fault, str]] = {
    "a redirect": (http(302, b"", "text/html", "Location: https://elsewhere.example/"), "redirected"),
    "a page for people": (http(200, b"<h1>Welcome</h1>", "text/html"), "not_prodsys"),
    "a page that calls itself JSON": (http(200, b"<h1>Welcome</h1>"), "not_prodsys"),
    "a page that is not there": (http(404, b"<h1>Not here</h1>", "text/html"), "not_prodsys"),
    "an answer without end": (endless, "answer_too_large"),
    "a compressed answer": (http(200, b"\x1f\x8b", "application/json", "Content-Encoding: gzip"), "answer_encoded"),
    "a refused token": (http(401, b"{}", "application/problem+json"), "unauthorized"),
}
PAUSED: dict[str, tuple[Fault, str]] = {
    "hanging up": (drop, "reset"),
    "an overloaded proxy": (http(503, b"<h1>Busy</h1>", "text/html"), "status_503"),
    "a fault of theirs": (http(500, b"{", "application/json"), "status_500"),
    "words that are not HTTP": (b"220 mail.fjord.example ESMTP\r\n\r\n", "protocol"),
}


@pytest.fixture
async def theirs() -> AsyncIterator[TheirProdsys]:
    """The supplier's instance, which does as it is told."""
    async with their_instance() as there:
        yield there


@pytest.fixture
async def supplier(nordlys: Company, theirs: TheirProdsys) -> str:
    """Its id at the buyer."""
    made = await nordlys.call("POST", "/partners", json={"url": theirs.url, "token": theirs.token})
    return str(made["id"])


async def _exported(nordlys: Company, supplier: str) -> str:
    order = await an_order(nordlys, supplier)
    return str((await nordlys.call("POST", "/exports", json={"orders": [order["id"]]}))["id"])


async def _lane(nordlys: Company, supplier: str, *states: str) -> dict[str, Any]:
    async def reached() -> Any:
        lane = (await nordlys.call("GET", f"/partners/{supplier}"))["lane"]
        return lane if lane and lane["state"] in states else None

    found: dict[str, Any] = await nordlys.in_time(reached)
    return found


@pytest.mark.parametrize("name", STOPPED)
async def test_an_answer_only_people_can_mend_stops_the_lane_and_the_order_waits(
    nordlys: Company, theirs: TheirProdsys, supplier: str, name: str
) -> None:
    fault, code = STOPPED[name]
    theirs.faults = dict.fromkeys(("/purchase-orders", "/purchase-orders/batch"), fault)

    export = await _exported(nordlys, supplier)

    lane = await _lane(nordlys, supplier, "stopped")
    [item] = (await nordlys.call("GET", f"/exports/{export}"))["items"]
    assert (lane["code"], item["status"]) == (code, "waiting")
    assert item["what_to_do"]


@pytest.mark.parametrize("name", PAUSED)
async def test_an_answer_that_is_nobodys_fault_pauses_the_lane_and_the_order_waits(
    nordlys: Company, theirs: TheirProdsys, supplier: str, name: str
) -> None:
    fault, code = PAUSED[name]
    theirs.faults = dict.fromkeys(("/purchase-orders", "/purchase-orders/batch"), fault)

    export = await _exported(nordlys, supplier)

    lane = await _lane(nordlys, supplier, "paused")
    [item] = (await nordlys.call("GET", f"/exports/{export}"))["items"]
    assert (lane["code"], item["status"]) == (code, "waiting")


async def test_what_waited_leaves_once_the_partner_answers_as_he_should(nordlys: Company, theirs: TheirProdsys, supplier: str) -> None:
    theirs.faults = dict.fromkeys(("/purchase-orders", "/purchase-orders/batch"), STOPPED["a redirect"][0])
    export = await _exported(nordlys, supplier)
    await _lane(nordlys, supplier, "stopped")
    theirs.faults = {}

    await nordlys.call("POST", f"/partners/{supplier}/test")

    async def arrived() -> Any:
        [item] = (await nordlys.call("GET", f"/exports/{export}"))["items"]
        return item if item["status"] == "received" else None

    assert await nordlys.in_time(arrived)
    assert len(theirs.books) == 1


async def test_clocks_that_differ_are_told_by_the_test(nordlys: Company, theirs: TheirProdsys, supplier: str) -> None:
    theirs.clock = dt.timedelta(minutes=-11)

    checklist = await nordlys.call("POST", f"/partners/{supplier}/test")

    [clocks] = [check for check in checklist["checks"] if check["code"] == "clocks"]
    assert clocks["passed"] is not True
    assert "11" in clocks["sentence"] + str(clocks.get("params"))


async def test_a_certificate_nobody_vouches_for_is_never_trusted(nordlys: Company, theirs: TheirProdsys) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    met: list[bytes] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    answer = await nordlys.http.post("/partners", json={"url": f"https://localhost:{port}", "token": theirs.token})

    server.close()
    await server.wait_closed()
    assert (answer.status_code, answer.json()["code"]) == (502, "partner_unreachable")
    assert "certificate" in answer.json()["detail"]
    assert b"".join(met) == b""


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://[::ffff:10.0.0.1]",
        "https://[fd00::1]",
        "http://0.0.0.0",
        "http://2130706433",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//127.0.0.1",
        "https://user:secret@127.0.0.1",
        "not an address",
    ],
)
async def test_an_address_that_may_not_be_called_is_refused_and_no_partner_is_made(
    nordlys: Company, theirs: TheirProdsys, url: str
) -> None:
    answer = await nordlys.http.post("/partners", json={"url": url, "token": theirs.token})

    assert answer.status_code in {409, 422, 502}, answer.text
    assert answer.json()["code"] in {"partner_not_ready", "invalid"}, answer.text
    assert (await nordlys.call("GET", "/partners"))["items"] == []


@pytest.mark.parametrize("url", ["https://10.0.0.1", "https://192.168.1.1:8443", "https://93.184.215.14:22", "https://[::1]"])
async def test_an_address_a_partner_gives_in_a_bundle_must_be_public(nordlys: Company, theirs: TheirProdsys, url: str) -> None:
    answer = await nordlys.http.post("/partners", json={"bundle": theirs.bundle(url=url)})

    assert answer.status_code in {409, 422}, answer.text
    assert answer.json()["code"] in {"partner_not_ready", "invalid"}, answer.text
    assert (await nordlys.call("GET", "/partners"))["items"] == []
