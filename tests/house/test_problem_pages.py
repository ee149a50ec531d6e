"""Whoever follows the `type` of a problem finds out what it means and what to do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from prodsys import app, errors
from prodsys.kit.web.problems import problem_of
from prodsys.settings import Settings

REFUSALS: list[type[errors.Refusal]] = [errors.Refusal, *errors.every_refusal()]


@pytest.fixture(scope="module")
async def stranger(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a token."""
    home: Path = tmp_path_factory.mktemp("home")
    async with app.opened(Settings(home=str(home)), serving=False) as instance:
        opened: Any = app.create_app(instance)
        transport = httpx2.ASGITransport(app=opened)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)
async def test_every_refusal_has_a_page_where_its_type_points(stranger: httpx2.AsyncClient, refusal: type[errors.Refusal]) -> None:
    page = problem_of(refusal()).type

    told = (await stranger.get(page)).json()
    shown = await stranger.get(page, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})

    assert (told["type"], told["code"], told["status"], told["title"]) == (page, refusal.code, refusal.status, refusal.title())
    assert told["what_to_do"].endswith(".")
    assert told["may_be_repeated"] == (refusal.status in (429, 500, 502, 503))
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in shown.text
    assert f"<code>{refusal.code}</code>" in shown.text


async def test_what_to_do_begins_with_what_the_refusal_asks_for(stranger: httpx2.AsyncClient) -> None:
    told = (await stranger.get("/problems/token_expired")).json()

    assert told["what_to_do"].startswith("Ask the company that issued it to rotate it. ")


async def test_all_of_them_are_listed_and_a_word_of_nobody_is_not_found(stranger: httpx2.AsyncClient) -> None:
    listed = (await stranger.get("/problems")).json()["items"]
    unknown = await stranger.get("/problems/out_of_coffee")

    assert [one["code"] for one in listed] == [refusal.code for refusal in REFUSALS]
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
