"""Told at once: an answer reaches the buyer by a signed message, although he asks by himself only once an hour."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select, update

from prodsys.exchange import timetable
from prodsys.kit.clock import now
from prodsys.tables import deliveries, inbox_registrations, webhooks
from prodsys.tables import timetable as tasks
from prodsys.webhooks import model
from tests.stories.company import NORDLYS, Company, running
from tests.stories.test_an_order_arrives import an_order, export


@pytest.fixture
async def nordlys(two_databases: tuple[str, str], tmp_path: Path) -> AsyncIterator[Company]:
    """A buyer who asks his suppliers once an hour."""
    async with running(NORDLYS, two_databases[1], tmp_path / "nordlys", answers_every_seconds=3600) as company:
        yield company


@pytest.fixture
async def reachable(fjord: Company, nordlys: Company, connected: str) -> str:
    """The buyer has pasted the bundle, and his instance has registered its inbox by itself; the supplier's id at the buyer."""

    async def registered() -> Any:
        return await nordlys.logged(code="inbox.registered")

    await nordlys.in_time(registered)
    return connected


async def sent(nordlys: Company, supplier: str) -> dict[str, Any]:
    """An order the supplier has, and the pull that comes with the first export is over."""
    order = await an_order(nordlys, supplier)
    await export(nordlys, order)

    async def rests() -> Any:
        row = await one(nordlys, select(tasks).where(tasks.c.name == f"answers:{supplier}"))
        return row is not None and row.lease_until is None and row.run_at > now()

    await nordlys.in_time(rests)
    return order


async def approve(fjord: Company) -> None:
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])


def learned(nordlys: Company, order: dict[str, Any], acceptance: str = "approved") -> Callable[[], Any]:
    async def ask() -> Any:
        now = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
        return now if now["acceptance"] == acceptance else None

    return ask


async def one(company: Company, query: Any) -> Any:
    return await company.db.read(lambda tx: tx.execute(query).first())


async def hooks(fjord: Company) -> list[Any]:
    query = select(deliveries).where(deliveries.c.kind == "hook").order_by(deliveries.c.pk)
    return await fjord.db.read(lambda tx: list(tx.execute(query)))


async def knock(nordlys: Company, id: str, stamp: str, signature: str, body: bytes, inbox: str | None = None) -> httpx2.Response:
    """Whoever has such a message sends it to the buyer's inbox."""
    row = await one(nordlys, select(inbox_registrations))
    headers = {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature, "content-type": "application/json"}
    async with nordlys.as_(None) as anybody:
        return await anybody.post(f"/inbox/{inbox or row.id}", content=body, headers=headers)


async def secret_of(nordlys: Company) -> str:
    row = await one(nordlys, select(inbox_registrations))
    return nordlys.instance.vault.unseal(row.sealed)


async def test_the_buyer_learns_an_answer_at_once_although_he_asks_only_once_an_hour(
    fjord: Company, nordlys: Company, reachable: str
) -> None:
    order = await sent(nordlys, reachable)

    await approve(fjord)

    # One second to undo it, then less than five.
    now = await nordlys.in_time(learned(nordlys, order), 6)
    assert now["their_order_number"] == "SO-100001"
    assert [hook.state for hook in await hooks(fjord)] == ["done"]


async def test_told_and_asked_both_ways_at_once_an_answer_is_applied_once(fjord: Company, nordlys: Company, reachable: str) -> None:
    order = await sent(nordlys, reachable)
    await approve(fjord)
    await nordlys.in_time(learned(nordlys, order))

    for _ in range(3):
        await nordlys.call("POST", f"/purchasing/orders/{order['id']}/refresh")
        await nordlys.db.write(timetable.hurry, f"answers:{reachable}")

    assert len(await nordlys.logged(code="order.approved")) == 1


async def test_a_message_that_comes_again_changes_nothing(fjord: Company, nordlys: Company, reachable: str) -> None:
    await sent(nordlys, reachable)
    body = b'{"type":"order.answered"}'
    stamp = str(int(now().timestamp()))
    signature = model.sign(await secret_of(nordlys), "ms_1", int(stamp), body)
    pull = select(tasks.c.run_at).where(tasks.c.name == f"answers:{reachable}")

    first = await knock(nordlys, "ms_1", stamp, signature, body)

    async def rests() -> Any:
        return (await one(nordlys, pull)).run_at > now()

    await nordlys.in_time(rests)
    before = await one(nordlys, pull)
    again = await knock(nordlys, "ms_1", stamp, signature, body)
    assert (first.status_code, again.status_code) == (204, 204)
    assert await one(nordlys, pull) == before


async def test_whoever_cannot_sign_wakes_nobody_and_learns_nothing(fjord: Company, nordlys: Company, reachable: str) -> None:
    await sent(nordlys, reachable)
    secret, body = await secret_of(nordlys), b"{}"
    stamp, old = int(now().timestamp()), int(now().timestamp()) - 301
    pull = select(tasks.c.run_at).where(tasks.c.name == f"answers:{reachable}")
    before = await one(nordlys, pull)

    refused = [
        await knock(nordlys, "ms_1", str(stamp), model.sign(model.new_secret(), "ms_1", stamp, body), body),
        await knock(nordlys, "ms_1", str(stamp), model.sign(secret, "ms_1", stamp, body), b'{"more":1}'),
        await knock(nordlys, "ms_2", str(stamp), model.sign(secret, "ms_1", stamp, body), body),
        await knock(nordlys, "ms_1", str(old), model.sign(secret, "ms_1", old, body), body),
        await knock(nordlys, "ms_1", "yesterday", "v1,AAAA", body),
    ]
    strange = await knock(nordlys, "ms_1", str(stamp), model.sign(secret, "ms_1", stamp, body), body, "wh_00000000000000000000000000")
    large = await knock(nordlys, "ms_1", str(stamp), "v1,AAAA", b" " * 65_537)

    assert {(one.status_code, one.json()["code"]) for one in refused} == {(401, "signature_invalid")}
    assert len({one.json()["detail"] for one in refused}) == 1
    assert (strange.status_code, strange.json()["code"]) == (404, "not_found")
    assert large.status_code == 413
    assert await one(nordlys, pull) == before
    assert await nordlys.logged(code="inbox.strangers")


async def test_who_keeps_knocking_without_a_signature_is_made_to_wait(fjord: Company, nordlys: Company, reachable: str) -> None:
    answers = [await knock(nordlys, "ms_1", "1", "v1,AAAA", b"{}") for _ in range(35)]

    assert {one.status_code for one in answers[:30]} == {401}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_after_a_rotation_messages_still_get_in_with_the_secret_the_buyer_knows(
    fjord: Company, nordlys: Company, reachable: str
) -> None:
    order = await sent(nordlys, reachable)
    row = await one(nordlys, select(inbox_registrations))
    handed = await one(fjord, select(webhooks).where(webhooks.c.id == row.their_id))
    token = await fjord.call("POST", "/tokens", json={"name": "x", "partner": await partner_of(fjord), "scopes": ["PurchaseOrders:Create"]})
    async with fjord.as_(token["token"]) as partner:
        rotated = await partner.post(f"/webhooks/{handed.id}/rotate")

    await approve(fjord)

    await nordlys.in_time(learned(nordlys, order), 6)
    assert rotated.json()["secret"] != await secret_of(nordlys)
    assert [hook.state for hook in await hooks(fjord)] == ["done"]


async def test_an_inbox_the_supplier_has_forgotten_is_registered_again(fjord: Company, nordlys: Company, reachable: str) -> None:
    await fjord.db.write(lambda tx: tx.execute(webhooks.delete()))
    await nordlys.db.write(lambda tx: tx.execute(update(inbox_registrations).values(next_at=now())))
    order = await sent(nordlys, reachable)

    await nordlys.db.write(timetable.hurry, "inboxes")

    async def twice() -> Any:
        return len(await nordlys.logged(code="inbox.registered")) == 2

    await nordlys.in_time(twice)
    await approve(fjord)
    await nordlys.in_time(learned(nordlys, order), 6)


async def partner_of(fjord: Company) -> str:
    [partner] = (await fjord.call("GET", "/partners"))["items"]
    return str(partner["id"])
