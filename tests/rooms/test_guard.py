"""Who may open which door, and what a refusal costs the one who is refused."""

import asyncio
import datetime as dt
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.kit.db import ELSEWHERE
from prodsys.kit.web import Limiter
from prodsys.modules import store as modules
from prodsys.scopes import CONSOLE, PRODSYS_MODULE, Scope
from prodsys.tables import tokens as rows
from prodsys.tokens import actions
from prodsys.tokens.guard import Guard
from prodsys.tokens.model import mint
from tests.rooms.doors import ADDRESS, a_partner, company_of, houses_door, let_in, partners_door

pytestmark = pytest.mark.anyio

ORDERS = Scope.PURCHASE_ORDERS_CREATE


@pytest.fixture
async def company(db):
    async with company_of(db) as company:
        yield company


async def row_of(company, id):
    return await company.db.read(lambda tx: tx.execute(select(rows).where(rows.c.id == id)).one())


async def test_a_partner_with_the_scope_gets_in_and_hears_when_its_token_ends(company):
    partner = await company.db.write(a_partner)
    token = await company.a_token(ORDERS, partner=partner)

    answer = await company.caller(token.token).get("/orders")

    assert (answer.status_code, answer.text) == (200, token.id)
    assert answer.headers["token-expires"] == token.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z")


async def test_without_a_token_the_challenge_is_bare(company):
    answer = await company.caller().get("/orders")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="prodsys"'


async def test_a_token_is_taken_from_no_other_place_than_the_authorization_header(company):
    token = (await company.a_token()).token

    by_query = await company.caller().get("/logs", params={"access_token": token})
    by_cookie = await company.caller().get("/logs", headers={"Cookie": f"token={token}"})
    by_password = await company.caller().get("/logs", headers={"Authorization": f"Basic {token}"})

    assert [answer.json()["code"] for answer in (by_query, by_cookie, by_password)] == ["token_missing"] * 3


@pytest.mark.parametrize("token", ["x", "pst_", "pst_00000000_00000000000000000000000000000000_000000", "pst_Ø"])
async def test_what_is_no_token_of_ours_is_unknown(company, token):
    answer = await company.caller().get("/logs", headers=[(b"authorization", b"bearer " + token.encode())])

    assert (answer.status_code, answer.json()["code"]) == (401, "token_unknown")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_two_authorization_headers_are_refused(company):
    token = (await company.a_token()).token.encode()

    answer = await company.caller().get("/logs", headers=[(b"authorization", b"Bearer " + token), (b"authorization", b"Bearer " + token)])

    assert answer.json()["code"] == "token_unknown"


async def test_a_missing_scope_is_named_with_those_granted(company):
    partner = await company.db.write(a_partner)
    token = await company.a_token(Scope.ARTICLES_READ, partner=partner)

    answer = await company.caller(token.token).get("/orders")

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert answer.json()["issues"][0]["params"] == {"required": "PurchaseOrders:Create", "granted": "Articles:Read"}
    assert answer.headers["www-authenticate"] == 'Bearer realm="prodsys", error="insufficient_scope", scope="PurchaseOrders:Create"'


async def test_read_write_implies_read(company):
    partner = await company.db.write(a_partner)
    token = await company.a_token(Scope.CONTACTS_READ_WRITE, partner=partner)

    answer = await company.caller(token.token).get("/contacts")

    assert answer.status_code == 200


async def test_a_partner_does_not_learn_that_a_door_of_the_house_exists(company):
    partner = await company.db.write(a_partner)
    token = await company.a_token(ORDERS, partner=partner)

    answer = await company.caller(token.token).get("/logs")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_house_is_no_partner(company):
    token = await company.a_token()

    orders = await company.caller(token.token).get("/orders")
    card = await company.caller(token.token).get("/company")

    assert (orders.status_code, card.text) == (404, f"ops from {ADDRESS}")


async def test_a_route_that_declares_nothing_stays_shut(company):
    token = await company.a_token()

    answer = await company.caller(token.token).get("/forgotten")

    assert answer.status_code == 500
    assert "never seen" not in answer.text


async def test_a_public_door_asks_nothing(company):
    answer = await company.caller("pst_nonsense").get("/health")

    assert answer.text == "alive"


async def test_a_module_that_is_off_shuts_its_doors_at_once(company):
    partner = await company.db.write(a_partner)
    caller = company.caller((await company.a_token(ORDERS, partner=partner)).token)
    assert (await caller.get("/orders")).status_code == 200

    await company.db.write(modules.set_on, PRODSYS_MODULE, False, "admin")
    await company.switchboard.refresh()
    answer = await caller.get("/orders")

    assert (answer.status_code, answer.json()["code"]) == (403, "module_off")
    assert answer.json()["issues"][0]["params"] == {"module": PRODSYS_MODULE}


async def test_api_access_off_keeps_partners_out_and_the_house_in(company):
    partner = await company.db.write(a_partner)
    token, ours = await company.a_token(ORDERS, partner=partner), await company.a_token()

    await company.db.write(modules.set_on, "api-access", False, "admin")
    await company.switchboard.refresh()
    theirs = await company.caller(token.token).get("/company")

    assert theirs.json()["code"] == "module_off"
    assert (await company.caller(ours.token).get("/company")).status_code == 200


async def test_expiry_is_judged_at_every_use(db):
    clock = SimpleNamespace(at=now())
    async with company_of(db, clock=lambda: clock.at) as company:
        token = await company.a_token()
        caller = company.caller(token.token)
        before = await caller.get("/logs")

        clock.at = token.expires_at
        after = await caller.get("/logs")

        assert (before.status_code, after.status_code, after.json()["code"]) == (200, 401, "token_expired")
        assert "token-expires" in after.headers


async def test_a_revoked_token_is_refused_from_the_next_request_on(company):
    token = await company.a_token()
    caller = company.caller(token.token)
    assert (await caller.get("/logs")).status_code == 200

    await company.db.write(actions.revoke, CONSOLE, token.id)
    answer = await caller.get("/logs")

    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")


async def test_a_token_revoked_by_another_process_is_refused_as_soon_as_that_is_heard(company):
    token = await company.a_token()
    caller = company.caller(token.token)
    assert (await caller.get("/logs")).status_code == 200

    elsewhere = update(rows).where(rows.c.id == token.id).values(revoked_at=now())
    await company.db.write(lambda tx: tx.execute(elsewhere).rowcount)
    company.db.tell([ELSEWHERE])
    await asyncio.sleep(0)

    assert (await caller.get("/logs")).json()["code"] == "token_revoked"


async def test_a_token_that_asks_too_often_waits_and_others_do_not(company):
    guard = Guard(company.db, company.switchboard.is_on, limiter=Limiter("token", quota=2, window=60))
    made = [await company.a_token() for _ in range(2)]

    async def asks(token):
        scope = {"headers": [(b"authorization", f"Bearer {token.token}".encode())], "client": (ADDRESS, 1), "method": "GET"}
        connection: Any = SimpleNamespace(scope=scope)
        await guard(connection, houses_door)

    await asks(made[0])
    await asks(made[0])

    with pytest.raises(errors.TooManyRequests):
        await asks(made[0])
    await asks(made[1])


async def test_a_token_revoked_while_it_is_looked_up_is_not_remembered(company):
    token = await company.a_token()

    await asyncio.gather(let_in(company.guard, token.token), company.db.write(actions.revoke, CONSOLE, token.id), return_exceptions=True)

    with pytest.raises(errors.TokenRevoked):
        await let_in(company.guard, token.token)


async def test_last_use_is_remembered_with_its_address(company):
    token = await company.a_token()
    await company.caller(token.token, "198.51.100.1").get("/logs")
    await company.caller(token.token, "198.51.100.2").get("/logs")

    unwritten = await row_of(company, token.id)
    await company.guard.flush()
    written = await row_of(company, token.id)

    assert unwritten.last_used_at is None
    assert written.last_used_address == "198.51.100.2"
    assert now() - written.last_used_at < dt.timedelta(minutes=1)


async def test_last_use_is_written_when_the_house_closes(company):
    token = await company.a_token()
    beside = asyncio.create_task(company.guard.keep_last_use())
    await company.caller(token.token).get("/logs")

    beside.cancel()
    await asyncio.wait([beside])

    assert (await row_of(company, token.id)).last_used_address == ADDRESS


async def test_strangers_become_one_line_a_minute(db):
    clock = SimpleNamespace(at=now())
    async with company_of(db, clock=lambda: clock.at) as company:
        for _ in range(5):
            await company.caller(None, "198.51.100.1").get("/logs")
        await company.caller("pst_x", "198.51.100.2").get("/logs")
        await company.guard.flush()
        within = await company.logged("token.strangers")

        clock.at += dt.timedelta(minutes=1)
        await company.guard.flush()
        lines = await company.logged("token.strangers")

        assert within == []
        assert [line.message.split(": ")[0].split(" from")[0] for line in lines] == ["6 requests came without a valid token"]
        assert "198.51.100.1 token_missing 5×, 198.51.100.2 token_unknown 1×" in lines[0].message


async def test_a_refusal_of_a_known_token_is_logged_at_once_but_once_a_minute(company):
    partner = await company.db.write(a_partner)
    token = await company.a_token(Scope.ARTICLES_READ, partner=partner)
    caller = company.caller(token.token)

    trace = "0af7651916cd43dd8448eb211c80319c"
    for _ in range(3):
        await caller.get("/orders", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})

    (line,) = await company.logged("token.refused.insufficient_scope")
    assert (line.partner, line.subject, line.trace_id) == (partner, token.id, trace)


async def test_more_tokens_than_the_guard_remembers_are_all_let_in(company):
    forgetful = Guard(company.db, company.switchboard.is_on, remembers=2)
    made = [await company.a_token() for _ in range(4)]

    callers = [await let_in(forgetful, token.token) for token in made * 2]

    assert [caller.token for caller in callers] == [token.id for token in made * 2]


async def test_what_a_check_of_a_known_token_costs(company):
    partner = await company.db.write(a_partner)
    token = await company.a_token(ORDERS, partner=partner)
    headers = [(b"host", b"test"), (b"accept", b"*/*"), (b"authorization", b"Bearer " + token.token.encode())]
    connection = SimpleNamespace(scope={"headers": headers, "client": (ADDRESS, 5000), "method": "GET"})
    await company.guard(connection, partners_door)

    started, times = time.perf_counter(), 20_000
    for _ in range(times):
        await company.guard(connection, partners_door)

    sys.stdout.write(f"\na warm check: {(time.perf_counter() - started) / times * 1e6:.2f} µs\n")
    assert connection.scope["caller"].token == token.id


async def test_who_guesses_tokens_is_slowed_down_and_troubles_the_database_no_more(company):
    good, later = await company.a_token(Scope.LOGS_READ), await company.a_token(Scope.LOGS_READ)
    guesses = [mint().token for _ in range(62)]
    guesser = "198.51.100.7"
    await company.caller(good.token, guesser).get("/logs")

    answers = [await company.caller(guess, guesser).get("/logs") for guess in guesses]

    assert [answer.status_code for answer in answers] == [401] * 60 + [429] * 2
    assert (answers[-1].json()["code"], int(answers[-1].headers["retry-after"]) >= 1) == ("too_many_requests", True)
    assert (await company.caller(good.token, guesser).get("/logs")).status_code == 200
    assert (await company.caller(later.token, guesser).get("/logs")).status_code == 429
    assert (await company.caller(later.token, "198.51.100.8").get("/logs")).status_code == 200
