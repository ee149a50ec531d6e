"""Every door says who may open it, and opens for nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copyfile
from typing import Any, NamedTuple

import httpx2
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from prodsys import app as prodsys_app
from prodsys.scopes import CONSOLE, PARTNER_SCOPES, AnyToken, Scope
from prodsys.tokens import actions as tokens
from tests.stories.company import FJORD, Company, running

NOWHERE = "xx_00000000000000000000000000"

WHOLE = {
    "list_modules": "the handful this version has",
    "list_supplier_numbers": "of one article, one per supplier, at most 500 are taken in",
    "list_duplicate_contacts": "the hundred likeliest groups",
    "list_catalogue_readings": "one per supplier that is read from",
    "list_choices": "one of the other system's own lists, as long as it is there",
    "list_connectors": "the handful this version and the installed packages have",
    "list_field_mapping_versions": "of one mapping, the newest 500",
    "list_flows_of_connection": "a few for each kind of document",
    "list_list_mappings": "one per list that can be mapped",
    "list_systems_of_record": "one per connection that knows the record",
}
"""Lists that are answered whole, and why they cannot grow."""

SAFE_TO_REPEAT = {
    "receive_purchase_orders": "number and revision are each order's own key",
    "forget_password": "within two minutes of the last letter no other is sent",
    "claim_token": "a claim code is good once",
    "sign_in": "a second sign-in takes nothing from the first",
    "resend_delivery": "a delivery is sent again only while it is dead",
    "ask_for_cancellation": "asking again changes nothing",
    "say_about_purchase_order": "a message carries an id of the buyer's own making",
    "authorize_connection": "a sign-in nobody ends is nothing but a row that is tidied away",
    "bring_in_records": "what is there already is recognised",
    "retry_record": "a record is taken over once",
    "run_flow": "what is there already is recognised",
    "pull_catalogue": "reading on from where one was takes nothing twice",
}
"""POSTs that make or send something and need no Idempotency-Key, and why."""

ASKS_FOR: dict[str, dict[str, Any]] = {
    "list_follow_up": {"filter": "overdue"},
    "list_links": {"kind": "contacts"},
    "list_systems_of_record": {"kind": "contacts", "ours": NOWHERE},
}
"""Lists that must be told which one is meant."""

SHORTER = {"list_catalogue_mismatches": 100}
"""Lists of which fewer are answered at once: each row brings suggestions that are looked up for it alone."""

LIVING = {
    "get_flow": "its newest run changes without a new version, so there is no 304",
    "get_partner": "how his lane stands changes without a new version, so there is no 304",
}


class Door(NamedTuple):
    """A method at an address, and what its route says of itself."""

    method: str
    path: str
    route: HTTPRouteHandler

    @property
    def name(self) -> str:
        return str(self.route.operation_id)

    @property
    def opt(self) -> dict[str, Any]:
        return self.route.opt

    @property
    def address(self) -> str:
        """The address with every id filled in by one that exists nowhere."""
        return self.path.replace("/api/v1", "", 1).replace("{", "\0").split("\0")[0] + (
            "" if "{" not in self.path else NOWHERE + self.path.partition("}")[2]
        )


@pytest.fixture
async def fjord(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """A company that serves."""
    copyfile(sqlite_template, tmp_path / "prodsys.db")
    async with running(FJORD, f"sqlite:///{tmp_path}/prodsys.db", tmp_path / "home") as company:
        yield company


@pytest.fixture
async def doors(fjord: Company) -> list[Door]:
    """Every door of the whole app."""
    return doors_of(prodsys_app.create_app(fjord.instance))


def doors_of(app: Litestar) -> list[Door]:
    return [
        Door(str(method), route.path_format, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]


async def token_of(company: Company, *scopes: Scope, partner: int | None = None) -> str:
    """A token that carries these scopes and no other."""
    made = await company.db.write(tokens.create, CONSOLE, name="guest", scopes=frozenset(scopes), expires_at=None, partner=partner)
    return made.token


async def knock(caller: httpx2.AsyncClient, door: Door) -> httpx2.Response:
    return await caller.request(door.method, door.address, json={} if door.method in {"POST", "PUT", "PATCH"} else None)


async def test_every_door_declares_who_may_open_it_with_which_scope(doors: list[Door]) -> None:
    assert len(doors) > 80
    for door in doors:
        assert door.opt.get("door") in {"partner", "house", "any", "page", "public", "signed"}, door.path
        assert (door.opt["scope"] is None) == (door.opt["door"] in {"public", "signed"}), door.path
        if door.opt["door"] in {"partner", "any"}:
            assert door.opt["scope"] in PARTNER_SCOPES | {AnyToken.ANY}, door.path


async def test_the_contract_shows_each_door_the_scope_its_guard_asks_for(doors: list[Door]) -> None:
    for door in doors:
        scope = door.opt["scope"]
        shown = [{}] if scope is None else [{"token": [scope.value] if isinstance(scope, Scope) else []}]
        assert door.route.security == shown or not door.route.resolve_include_in_schema(), door.path


async def test_without_a_token_every_door_but_the_public_ones_stays_shut_with_a_bare_challenge(fjord: Company, doors: list[Door]) -> None:
    async with fjord.as_(None) as stranger:
        for door in shut(doors):
            answer = await knock(stranger, door)

            told = (answer.status_code, answer.json()["code"], answer.headers["www-authenticate"])
            assert told == (401, "token_missing", 'Bearer realm="prodsys"'), door.path


async def test_a_partners_token_finds_nothing_behind_a_door_of_the_house(fjord: Company, doors: list[Door]) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")

    async with fjord.as_(handed["token"]["token"]) as partner:
        for door in shut(doors, "house"):
            answer = await knock(partner, door)

            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), door.path


async def test_a_token_of_the_house_finds_nothing_behind_a_door_for_partners(fjord: Company, doors: list[Door]) -> None:
    for door in shut(doors, "partner"):
        answer = await knock(fjord.http, door)

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), door.path


async def test_a_token_without_the_scope_is_told_which_one_is_missing_and_which_it_has(fjord: Company, doors: list[Door]) -> None:
    partner = await fjord.hand_over("Nordlys Mekaniske AS", "987654325", Scope.ARTICLES_READ)
    other = await fjord.hand_over("Havn Bygg AS", "974760673", Scope.CONTACTS_READ)
    house = await token_of(fjord, Scope.METRICS_READ)
    logs = await token_of(fjord, Scope.LOGS_READ)

    for door in shut(doors):
        scope = door.opt["scope"]
        if scope is AnyToken.ANY:
            continue
        if door.opt["door"] == "house":
            token, granted = (logs, "Logs:Read") if scope is Scope.METRICS_READ else (house, "Metrics:Read")
        else:
            token, granted = (
                (other["token"]["token"], "Contacts:Read") if scope is Scope.ARTICLES_READ else (partner["token"]["token"], "Articles:Read")
            )
        async with fjord.as_(token) as caller:
            answer = await knock(caller, door)

        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (403, "insufficient_scope"), door.path
        assert problem["issues"][0]["params"] == {"required": scope.value, "granted": granted}, door.path
        assert f'error="insufficient_scope", scope="{scope.value}"' in answer.headers["www-authenticate"]


async def test_a_cookie_opens_no_door(fjord: Company, doors: list[Door]) -> None:
    async with fjord.as_(None) as stranger:
        for name in ("prodsys-session", "__Host-prodsys-fjord", "Authorization", "token"):
            answer = await stranger.get("/company", headers={"Cookie": f"{name}={fjord.token}"})

            assert answer.status_code == 401
    async with fjord.as_(fjord.token) as caller:
        with_cookie = await caller.get("/company", headers={"Cookie": "prodsys-session=x"})

    assert with_cookie.status_code == 200
    assert "set-cookie" not in with_cookie.headers


async def test_a_token_in_the_address_or_the_body_opens_no_door(fjord: Company) -> None:
    async with fjord.as_(None) as stranger:
        in_query = await stranger.get("/company", params={"access_token": fjord.token})
        in_body = await stranger.post("/articles", data={"access_token": fjord.token})

    assert (in_query.status_code, in_body.status_code) == (401, 401)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_health_answers_everybody_and_head_without_a_body(fjord: Company, path: str) -> None:
    async with httpx2.AsyncClient(base_url=fjord.url) as anybody:
        got, head = await anybody.get(path), await anybody.head(path)

    assert got.status_code == head.status_code
    assert got.status_code in {200, 503}
    assert head.content == b""


async def test_every_post_that_makes_or_sends_something_can_be_repeated_safely(doors: list[Door]) -> None:
    makes = [door for door in doors if door.method == "POST" and door.route.status_code in {201, 202} and door.path.startswith("/api")]
    plain = {door.name for door in makes if "idempotency_key" not in door.route.parsed_fn_signature.parameters}

    assert len(makes) > 10
    assert plain <= set(SAFE_TO_REPEAT)


async def test_every_single_resource_has_a_state_that_can_be_named(doors: list[Door]) -> None:
    singles = [door for door in doors if door.method == "GET" and door.path.startswith("/api/v1") and door.path.endswith("}")]
    without = {door.name for door in singles if "if_none_match" not in door.route.parsed_fn_signature.parameters}

    assert len(singles) > 5
    assert without == set(LIVING)


async def test_every_list_is_answered_as_a_page_of_at_most_500(fjord: Company, doors: list[Door]) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    listed = [door for door in shut(doors) if door.method == "GET" and door.name.startswith("list_")]

    assert len(listed) > 15
    async with fjord.as_(handed["token"]["token"]) as partner:
        for door in listed:
            caller = partner if door.opt["door"] == "partner" else fjord.http
            asked = ASKS_FOR.get(door.name, {})
            answer = await caller.get(door.address, params=asked if door.name in WHOLE else asked | {"limit": SHORTER.get(door.name, 500)})
            if "{" in door.path:
                assert answer.status_code == 404, door.name
                continue
            assert answer.json().keys() == {"items", "next"}, door.name
            if door.name in WHOLE:
                assert answer.json()["next"] is None
                continue
            refused = [await caller.get(door.address, params=asked | {"limit": limit}) for limit in ("0", "501", "-1", "ten", "1.5")]
            odd = await caller.get(door.address, params=asked | {"after": "bm90IG91cnM"})
            assert {one.status_code for one in [*refused, odd]} == {422}, door.name
            assert {one.json()["issues"][0]["pointer"] for one in refused} == {"/query/limit"}, door.name
            assert odd.json()["issues"][0]["code"] == "cursor_invalid", door.name


async def test_a_cursor_of_one_list_is_refused_by_another(fjord: Company) -> None:
    for name in ("a", "b"):
        await fjord.call("POST", "/contacts", json={"name": f"{name} AS"})
    of_contacts = (await fjord.call("GET", "/contacts", params={"limit": 1}))["next"]

    answer = await fjord.http.get("/logs", params={"after": of_contacts})

    assert (answer.status_code, answer.json()["issues"][0]["code"]) == (422, "cursor_invalid")


async def test_an_address_answers_other_methods_with_those_it_has(fjord: Company) -> None:
    answers = [await fjord.http.request(method, "/company") for method in ("DELETE", "PATCH", "OPTIONS")]

    assert {(one.status_code, one.json()["code"], one.headers["allow"]) for one in answers} == {
        (405, "method_not_allowed", "GET, HEAD, PUT")
    }


def shut(doors: list[Door], *kinds: str) -> list[Door]:
    """The doors below /api/v1 that ask for a token; of these kinds, if any are named."""
    wanted = kinds or ("partner", "house", "any")
    return [door for door in doors if door.path.startswith("/api/v1") and door.opt["door"] in wanted]
