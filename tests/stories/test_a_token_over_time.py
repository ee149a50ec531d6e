"""A token is renewed while orders flow over it, and not one of them fails."""

import asyncio
from typing import Any

from tests.stories.company import Company
from tests.stories.test_an_order_arrives import an_order

ORDERS = 60
ROTATIONS = 3


async def let_renew(supplier: Company) -> None:
    """The supplier lets his only partner renew his token by himself."""
    [partner] = (await supplier.call("GET", "/partners"))["items"]
    answer = await supplier.http.get(f"/partners/{partner['id']}")
    await supplier.call("PATCH", f"/partners/{partner['id']}", json={"may_rotate": True}, etag=answer.headers["etag"])


async def everything(company: Company, path: str) -> list[dict[str, Any]]:
    """All pages of a list."""
    found, after = [], None
    while True:
        page = await company.call("GET", path, params={"limit": "50"} | ({"after": after} if after else {}))
        found += page["items"]
        if (after := page["next"]) is None:
            return found


async def test_a_token_rotated_under_load_fails_no_order(fjord: Company, nordlys: Company, connected: str) -> None:
    await let_renew(fjord)
    made = [await an_order(nordlys, connected) for _ in range(ORDERS)]
    begun: list[dict[str, Any]] = []
    tokens: list[str] = []

    async def press_export() -> None:
        for at in range(0, ORDERS, 3):
            begun.append(await nordlys.call("POST", "/exports", json={"orders": [one["id"] for one in made[at : at + 3]]}))
            await asyncio.sleep(0.05)

    async def renew() -> None:
        for _ in range(ROTATIONS):
            await asyncio.sleep(0.3)
            tokens.append((await nordlys.call("POST", f"/partners/{connected}/renew"))["token_expires_at"])

    await asyncio.gather(press_export(), renew())

    async def all_there() -> Any:
        found = [await nordlys.call("GET", f"/exports/{one['id']}") for one in begun]
        return found if all(one["is_settled"] for one in found) else None

    ended = await nordlys.in_time(all_there, 60)
    assert {item["status"] for one in ended for item in one["items"]} == {"received"}
    assert (await nordlys.call("GET", "/purchasing/orders/totals"))["count"] == ORDERS
    assert len(await everything(fjord, "/sales/drafts")) == ORDERS
    assert len(tokens) == ROTATIONS
    assert await nordlys.logged(level="error") == []
    assert not [entry for entry in await nordlys.logged() if entry["code"].startswith("lane.")]
