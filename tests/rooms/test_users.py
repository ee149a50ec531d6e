"""People who sign in with a password."""

import asyncio
import datetime as dt
import re
from typing import Any

import pytest
import time_machine
from argon2 import PasswordHasher
from sqlalchemy import delete, select

from prodsys import errors
from prodsys.alerts import mail
from prodsys.kit.clock import now
from prodsys.kit.db import ELSEWHERE
from prodsys.scopes import CONSOLE, ROLES, Caller, Scope
from prodsys.tables import browser_sessions, one_time_codes
from prodsys.tokens import actions as tokens
from prodsys.tokens import api as token_doors
from prodsys.tokens.model import digest
from prodsys.tokens.store import known
from prodsys.users import actions, api, grouping, inviting, model, passwords, signing_in, store
from prodsys.users.browsers import Browsers
from prodsys.users.letters import Letters
from tests import passwords as cheap
from tests.rooms.doors import company_of
from tests.rooms.mailbox import mail_server

pytestmark = pytest.mark.anyio

EMAIL = "kari@fjord.example"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def hashed():
    return cheap.hashed(PASSWORD)


@pytest.fixture
async def company(db):
    async with company_of(db, [*api.routes, *token_doors.routes]) as company:
        yield company


@pytest.fixture
async def admin(company):
    return company.caller((await company.a_token()).token)


@pytest.fixture
async def kari(company, hashed):
    scopes = frozenset({Scope.LOGS_READ, Scope.USERS_WRITE, Scope.TOKENS_READ})
    return await company.db.write(actions.create, CONSOLE, email=EMAIL, name="Kari", password=hashed, scopes=scopes)


async def sign_in(company, email=EMAIL, password=PASSWORD, address="198.51.100.1"):
    return await company.caller(address=address).post("/sessions", json={"email": email, "password": password})


async def test_a_person_signs_in_and_may_do_what_he_carries(company, kari):
    answer = await sign_in(company)
    signed_in = company.caller(answer.json()["token"])

    assert answer.status_code == 201
    assert dt.datetime.fromisoformat(answer.json()["expires_at"]) - now() <= dt.timedelta(hours=12)
    assert (await signed_in.get("/company")).text == f"{EMAIL} from 203.0.113.7"
    assert [(await signed_in.get(path)).status_code for path in ("/logs", "/users")] == [200, 403]


async def test_upper_and_lower_case_of_an_e_mail_are_the_same(company, kari):
    answer = await sign_in(company, email=" KARI@Fjord.Example ")

    assert answer.status_code == 201


async def test_a_wrong_password_and_an_unknown_e_mail_are_answered_alike(company, kari):
    wrong = await sign_in(company, password="wrong horse battery")
    unknown = await sign_in(company, email="nobody@fjord.example")

    assert [answer.status_code for answer in (wrong, unknown)] == [401, 401]
    assert wrong.json() | {"trace_id": ""} == unknown.json() | {"trace_id": ""}


async def test_nobody_is_checked_against_a_password_as_dear_as_anybodys():
    assert not PasswordHasher().check_needs_rehash(passwords.NOBODY)
    assert not passwords.fits(passwords.NOBODY, "")


async def test_signing_out_ends_this_sign_in_alone(company, kari):
    one, other = [company.caller((await sign_in(company)).json()["token"]) for _ in range(2)]

    answer = await one.delete("/sessions/current")

    assert answer.status_code == 204
    assert [(await caller.get("/company")).status_code for caller in (one, other)] == [401, 200]


async def test_a_token_proper_is_no_sign_in(company, admin):
    answer = await admin.delete("/sessions/current")

    assert answer.status_code == 404
    assert (await admin.get("/company")).status_code == 200


async def test_sign_ins_stand_in_no_list_of_tokens(company, kari):
    signed_in = company.caller((await sign_in(company)).json()["token"])

    assert (await signed_in.get("/tokens")).json()["items"] == []


async def test_a_sign_in_ends_after_twelve_hours_and_is_forgotten_a_day_later(company, kari):
    token = (await sign_in(company)).json()["token"]

    with time_machine.travel(now() + dt.timedelta(hours=12), tick=False):
        answer = await company.caller(token).get("/company")
    with time_machine.travel(now() + dt.timedelta(days=2), tick=False):
        await company.db.write(tokens.tidy)

    assert answer.json()["code"] == "token_expired"
    assert await company.db.read(known, digest(token)) is None


async def test_a_new_password_ends_every_sign_in(company, kari):
    signed_in = company.caller((await sign_in(company)).json()["token"])

    fresh = passwords.hashed("another long password")
    await company.db.write(actions.set_password, CONSOLE, kari.id, fresh, company.sessions)

    assert (await signed_in.get("/company")).status_code == 401
    assert [(await sign_in(company, password=password)).status_code for password in (PASSWORD, "another long password")] == [401, 201]


async def test_nobody_sets_the_password_of_somebody_who_may_do_more(company, kari, hashed):
    weak = Caller(token="tk_x", name="weak", scopes=frozenset({Scope.USERS_WRITE}))

    with pytest.raises(errors.ScopeNotYours):
        await company.db.write(actions.set_password, weak, kari.id, hashed, company.sessions)


async def test_a_password_changed_while_it_is_checked_does_not_let_in(company, kari):
    person = await company.db.read(store.people.by_email, EMAIL)
    await company.db.write(store.people.set_password, person.pk, "changed meanwhile")

    with pytest.raises(errors.SignInFailed):
        await company.db.write(signing_in.sign_in, person, "", company.sessions)


async def test_guessing_slows_the_guesser_and_nobody_else(company, kari):
    guesses = [await sign_in(company, password=f"guess number {place}") for place in range(6)]
    owner = await sign_in(company, address="198.51.100.2")

    assert [answer.status_code for answer in guesses] == [401] * 5 + [429]
    assert int(guesses[-1].headers["retry-after"]) <= 6
    assert owner.status_code == 201


async def test_many_sign_ins_of_one_person_are_checked_one_after_the_other(company, kari):
    addresses = [f"198.51.100.{place}" for place in range(6)]

    answers = await asyncio.gather(*(sign_in(company, address=address) for address in addresses))

    assert [answer.status_code for answer in answers] == [201] * 6


async def test_an_admin_takes_in_a_person(company, admin):
    body = {"email": "Ola@Fjord.example", "name": "Ola", "password": PASSWORD, "scopes": ["Logs:Read"]}

    answer = await admin.post("/users", json=body)
    repeat = await admin.post("/users", json=body)
    listed = (await admin.get("/users")).json()["items"]

    assert (answer.status_code, answer.json()["email"]) == (201, "ola@fjord.example")
    assert (repeat.status_code, repeat.json()["code"]) == (409, "already_exists")
    assert listed == [answer.json()]
    assert PASSWORD not in answer.text
    assert [line.subject for line in await company.logged("user.created")] == [answer.json()["id"]]


async def test_nobody_takes_in_somebody_who_may_do_more(company):
    clerk = company.caller((await company.a_token(Scope.USERS_WRITE)).token)

    answer = await clerk.post("/users", json={"email": EMAIL, "name": "x", "password": PASSWORD, "scopes": ["Tokens:Write"]})

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_yours")


@pytest.mark.parametrize("email", ["kari", "@fjord.example", "kari@", "ka ri@fjord.example", "kari@fjord.example\nBcc: x@x"])
def test_what_is_no_e_mail_is_refused(email):
    with pytest.raises(errors.Invalid):
        model.email_key(email)


async def test_a_short_password_is_refused(company, admin):
    answer = await admin.post("/users", json={"email": EMAIL, "name": "x", "password": "elevenchars", "scopes": []})

    assert answer.status_code == 422
    with pytest.raises(errors.Invalid):
        passwords.hashed("elevenchars")


async def test_people_are_listed_by_the_page(company, admin, hashed):
    for place in range(3):
        await company.db.write(actions.create, CONSOLE, email=f"p{place}@x.example", name="P", password=hashed, scopes=frozenset())

    first = (await admin.get("/users", params={"limit": 2})).json()
    rest = (await admin.get("/users", params={"limit": 2, "after": first["next"]})).json()

    assert [user["email"] for user in first["items"] + rest["items"]] == ["p0@x.example", "p1@x.example", "p2@x.example"]
    assert rest["next"] is None


# Roles and groups


async def a_person(company, email, *, password="!", scopes=frozenset(), groups=()):
    return await company.db.write(
        actions.create, CONSOLE, email=email, name=email.partition("@")[0], password=password, scopes=scopes, groups=groups
    )


async def a_group(company, name="Desk", **more):
    return await company.db.write(grouping.create_group, CONSOLE, name=name, **more)


async def test_a_new_instance_begins_with_a_group_for_each_role_and_its_first_person_is_an_admin(db, hashed):
    first = await db.write(inviting.begin, email=EMAIL, name="Kari", password=hashed)

    groups = [group for _, group in await db.read(store.groups.listed, limit=10)]

    assert {group.role for group in groups} == set(ROLES)
    assert first.carries == sorted(Scope)
    assert first.scopes == []


def test_a_viewer_reads_and_nothing_else_and_sees_neither_tokens_nor_users():
    assert {scope.partition(":")[2] for scope in ROLES["viewer"]} == {"Read"}
    assert ROLES["viewer"].isdisjoint({Scope.TOKENS_READ, Scope.USERS_READ})


async def test_a_person_carries_his_own_scopes_and_those_of_all_his_groups(company, hashed):
    sellers = await a_group(company, "Sellers", role="seller")
    loggers = await a_group(company, "Loggers", scopes=frozenset({Scope.METRICS_READ}))

    kari = await a_person(company, EMAIL, scopes=frozenset({Scope.USERS_READ}), groups=[sellers.id, loggers.id])

    assert set(kari.carries) == ROLES["seller"] | {Scope.METRICS_READ, Scope.USERS_READ}
    assert [group.name for group in kari.groups] == ["Loggers", "Sellers"]


async def test_a_program_signed_in_carries_at_once_what_his_groups_now_give(company, admin, hashed):
    kari = await a_person(company, EMAIL, password=hashed)
    signed_in = company.caller((await sign_in(company)).json()["token"])
    before = (await signed_in.get("/logs")).status_code

    group = (await admin.post("/groups", json={"name": "Readers", "scopes": ["Logs:Read"], "members": [kari.id]})).json()
    within = (await signed_in.get("/logs")).status_code
    await admin.delete(f"/groups/{group['id']}")

    assert (before, within, (await signed_in.get("/logs")).status_code) == (403, 200, 403)


async def test_groups_are_made_listed_changed_and_deleted(company, admin):
    ola = await a_person(company, "ola@fjord.example")
    made = await admin.post("/groups", json={"name": "Desk", "role": "seller"})
    address = f"/groups/{made.json()['id']}"

    got = await admin.get(address)
    changed = await admin.patch(
        address,
        json={"name": "Order desk", "role": None, "scopes": ["Logs:Read"], "members": [ola.id]},
        headers={"If-Match": got.headers["etag"]},
    )
    stale = await admin.patch(address, json={"name": "x"}, headers={"If-Match": got.headers["etag"]})
    listed = (await admin.get("/groups")).json()["items"]

    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1{address}")
    assert (changed.json()["name"], changed.json()["role"], changed.json()["carries"]) == ("Order desk", None, ["Logs:Read"])
    assert [member["email"] for member in changed.json()["members"]] == ["ola@fjord.example"]
    assert (stale.status_code, listed) == (412, [changed.json()])
    assert [(await admin.delete(address)).status_code, (await admin.get(address)).status_code] == [204, 404]


async def test_a_member_is_put_in_and_taken_out_and_a_repeat_changes_nothing(company, admin):
    ola, group = await a_person(company, "ola@fjord.example"), await a_group(company)
    address = f"/groups/{group.id}/members/{ola.id}"

    put = [await admin.put(address) for _ in range(2)]
    taken = [await admin.delete(address) for _ in range(2)]

    assert [answer.json()["member_count"] for answer in put] == [1, 1]
    assert [answer.status_code for answer in taken] == [204, 204]
    assert (await admin.get(f"/users/{ola.id}")).json()["groups"] == []
    assert len(await company.logged("group.changed")) == 2


async def test_a_group_of_unknown_people_or_with_a_name_in_use_is_refused(company, admin):
    await a_group(company, "Desk")

    unknown = await admin.post("/groups", json={"name": "Other", "members": ["us_nobody"]})
    taken = await admin.post("/groups", json={"name": "DESK"})

    assert (unknown.status_code, unknown.json()["issues"][0]["code"]) == (422, "user_unknown")
    assert (taken.status_code, taken.json()["code"]) == (409, "already_exists")


async def test_nobody_gives_takes_or_deletes_by_a_group_what_he_does_not_carry(company):
    clerk = company.caller((await company.a_token(Scope.USERS_WRITE, Scope.USERS_READ)).token)
    boss, ola = await a_group(company, "Boss", role="admin"), await a_person(company, "ola@fjord.example")
    etag = (await clerk.get(f"/groups/{boss.id}")).headers["etag"]

    refused = [
        await clerk.post("/groups", json={"name": "Mine", "role": "buyer"}),
        await clerk.put(f"/groups/{boss.id}/members/{ola.id}"),
        await clerk.delete(f"/groups/{boss.id}/members/{ola.id}"),
        await clerk.patch(f"/groups/{boss.id}", json={"name": "x"}, headers={"If-Match": etag}),
        await clerk.delete(f"/groups/{boss.id}"),
        await clerk.post("/users", json={"email": EMAIL, "name": "x", "password": PASSWORD, "groups": [boss.id]}),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "scope_not_yours")}


# Changing people


async def patched(caller, id, **members):
    etag = (await caller.get(f"/users/{id}")).headers["etag"]
    return await caller.patch(f"/users/{id}", json=members, headers={"If-Match": etag})


async def test_an_admin_changes_a_person_and_the_change_says_from_what_to_what(company, admin, kari):
    group = await a_group(company, "Buyers", role="buyer")

    answer = await patched(admin, kari.id, name="Kari N.", groups=[group.id], scopes=[], language="nb", theme="dark", has_shortcuts=False)

    told = answer.json()
    assert (told["name"], told["language"], told["theme"], told["has_shortcuts"]) == ("Kari N.", "nb", "dark", False)
    assert set(told["carries"]) == ROLES["buyer"]
    assert (await patched(admin, kari.id, name="Kari N.")).headers["etag"] == answer.headers["etag"]
    assert len(await company.logged("user.changed")) == 1


async def test_a_change_needs_the_state_it_was_made_from(company, admin, kari):
    missing = await admin.patch(f"/users/{kari.id}", json={"name": "x"})
    stale = await admin.patch(f"/users/{kari.id}", json={"name": "x"}, headers={"If-Match": '"old"'})

    assert (missing.status_code, stale.status_code) == (428, 412)


async def test_who_is_closed_is_signed_out_of_everything_and_stays_out(company, admin, kari):
    program = company.caller((await sign_in(company)).json()["token"])
    browser = await in_a_browser(company)

    await patched(admin, kari.id, is_active=False)

    assert (await program.get("/company")).status_code == 401
    assert await company.browsers.known(browser.cookie, "") is None
    assert (await sign_in(company)).json()["code"] == "sign_in_failed"


async def test_nobody_changes_somebody_who_may_do_more(company, kari):
    clerk = company.caller((await company.a_token(Scope.USERS_WRITE, Scope.USERS_READ)).token)

    answer = await patched(clerk, kari.id, is_active=False)

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_not_yours")


async def test_the_last_admin_cannot_be_closed_demoted_or_taken_out(company, admin, hashed):
    first = await company.db.write(inviting.begin, email=EMAIL, name="Kari", password=hashed)
    await a_person(company, "invited@fjord.example", groups=[first.groups[0].id])
    group = first.groups[0].id
    etag = (await admin.get(f"/groups/{group}")).headers["etag"]

    refused = [
        await patched(admin, first.id, is_active=False),
        await patched(admin, first.id, groups=[]),
        await admin.delete(f"/groups/{group}/members/{first.id}"),
        await admin.patch(f"/groups/{group}", json={"role": "viewer"}, headers={"If-Match": etag}),
        await admin.patch(f"/groups/{group}", json={"members": []}, headers={"If-Match": etag}),
        await admin.delete(f"/groups/{group}"),
    ]
    await a_person(company, "ola@fjord.example", password=hashed, groups=[group])

    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "last_admin")] * 6
    assert (await patched(admin, first.id, is_active=False)).status_code == 200


async def test_two_admins_who_take_away_each_other_leave_one(company, hashed):
    first = await company.db.write(inviting.begin, email=EMAIL, name="Kari", password=hashed)
    other = await a_person(company, "ola@fjord.example", password=hashed, groups=[first.groups[0].id])

    ended = await asyncio.gather(
        *(
            company.db.write(actions.change, CONSOLE, one.id, model.UserPatch(is_active=False), company.sessions, if_match="*")
            for one in (first, other)
        ),
        return_exceptions=True,
    )

    assert [type(one) for one in ended if isinstance(one, Exception)] == [errors.LastAdmin]


async def test_people_are_found_by_a_part_of_name_or_e_mail(company, admin, kari):
    await a_person(company, "ola@fjord.example")

    found = (await admin.get("/users", params={"q": "KAR"})).json()["items"]

    assert [user["email"] for user in found] == [EMAIL]


# One's own account


async def test_people_choose_name_language_theme_and_keys_for_themselves(company, kari):
    me = company.caller((await sign_in(company)).json()["token"])

    answer = await me.patch("/me", json={"language": "pl", "theme": "light", "has_shortcuts": False})
    more = await me.patch("/me", json={"scopes": ["Tokens:Write"]})

    assert (answer.status_code, answer.json()["language"]) == (200, "pl")
    assert (await me.get("/me")).json() == answer.json()
    assert more.status_code == 422


async def test_a_token_proper_is_nobody(company, admin):
    answers = [await admin.get("/me"), await admin.patch("/me", json={}), await admin.delete("/sessions/se_x")]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert (await admin.get("/sessions")).json()["items"] == []


async def test_another_password_asks_for_the_old_one_and_ends_every_sign_in(company, kari):
    me = company.caller((await sign_in(company)).json()["token"])
    browser = await in_a_browser(company)

    wrong = await me.put("/me/password", json={"current": "not my password", "password": "another long password"})
    right = await me.put("/me/password", json={"current": PASSWORD, "password": "another long password"})

    assert (wrong.status_code, wrong.json()["code"]) == (401, "sign_in_failed")
    assert right.status_code == 204
    assert (await me.get("/me")).status_code == 401
    assert await company.browsers.known(browser.cookie, "") is None
    assert (await sign_in(company, password="another long password")).status_code == 201


# Browsers

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"


async def in_a_browser(company, address="198.51.100.1", **more):
    person = await company.db.read(store.people.by_email, EMAIL)
    return await company.browsers.open(person, address=address, user_agent=FIREFOX, **more)


async def test_a_cookie_tells_who_sits_there_and_what_he_may_do(company, kari):
    opened = await in_a_browser(company)

    known = await company.browsers.known(opened.cookie, "203.0.113.9")

    assert (known.email, known.name, known.session, known.csrf) == (EMAIL, "Kari", opened.id, opened.csrf)
    assert known.caller.scopes == {Scope.LOGS_READ, Scope.USERS_WRITE, Scope.TOKENS_READ}
    assert (known.caller.token, known.caller.address, known.caller.is_house) == (opened.id, "203.0.113.9", True)


async def test_neither_cookie_nor_csrf_is_kept(company, kari):
    opened = await in_a_browser(company)

    kept = await company.db.read(lambda tx: str(tx.execute(select(browser_sessions)).all()))

    assert opened.cookie not in kept
    assert opened.csrf not in kept
    assert opened.csrf not in opened.cookie


@pytest.mark.parametrize("cookie", ["", "x", "x" * 43, "å" * 43, "x" * 10_000])
async def test_an_unknown_cookie_is_nobodys(company, kari, cookie):
    assert await company.browsers.known(cookie, "") is None


async def test_signing_in_anew_ends_what_the_browser_had(company, kari):
    first = await in_a_browser(company)
    await company.browsers.known(first.cookie, "")

    second = await in_a_browser(company, instead_of=first.cookie)

    assert second.cookie != first.cookie
    assert await company.browsers.known(first.cookie, "") is None
    assert await company.browsers.known(second.cookie, "") is not None


async def test_a_browser_at_rest_for_two_hours_is_signed_out_and_one_in_use_after_twelve(company, kari):
    resting, used = await in_a_browser(company), await in_a_browser(company)
    begin = now()

    async def is_known(opened, **later):
        with time_machine.travel(begin + dt.timedelta(**later), tick=False):
            return await company.browsers.known(opened.cookie, "") is not None

    in_use = [await is_known(used, hours=hour, minutes=30) for hour in range(12)]

    assert in_use == [True] * 12
    assert not await is_known(resting, hours=2, minutes=1)
    assert not await is_known(used, hours=12, minutes=1)


async def test_use_on_another_node_keeps_a_browser_signed_in(company, kari):
    opened, other = await in_a_browser(company), Browsers(company.db)
    begin = now()
    await company.browsers.known(opened.cookie, "")

    with time_machine.travel(begin + dt.timedelta(minutes=100), tick=False):
        await other.known(opened.cookie, "")
        await other.flush()
    other.close()

    with time_machine.travel(begin + dt.timedelta(minutes=150), tick=False):
        assert await company.browsers.known(opened.cookie, "") is not None


async def test_being_seen_writes_nothing_until_the_flush(company, kari):
    opened = await in_a_browser(company)
    await company.browsers.known(opened.cookie, "")
    topics = []
    stop = company.db.listen(actions.TOPIC, lambda: topics.append(1))

    with time_machine.travel(now() + dt.timedelta(minutes=5), tick=False):
        for _ in range(3):
            await company.browsers.known(opened.cookie, "203.0.113.9")
        [before] = await company.browsers.sessions_of(await company.browsers.known(opened.cookie, "203.0.113.9"))
    stop()

    assert topics == []
    assert (before.address, before.browser, before.is_current) == ("203.0.113.9", "Firefox 131 on Linux", True)
    assert before.used_at - before.created_at >= dt.timedelta(minutes=4)


async def test_what_ends_a_session_in_another_process_counts_here_too(company, kari):
    opened = await in_a_browser(company)
    await company.browsers.known(opened.cookie, "")

    await company.db.write(lambda tx: tx.execute(delete(browser_sessions)).rowcount)
    company.db.tell([ELSEWHERE])
    await asyncio.sleep(0)

    assert await company.browsers.known(opened.cookie, "") is None


async def test_what_a_group_gives_counts_at_once_for_who_is_signed_in(company, admin, kari):
    opened = await in_a_browser(company)
    before = await company.browsers.known(opened.cookie, "")

    await a_group(company, "Buyers", role="buyer", members=[kari.id], sessions=company.sessions)
    after = await company.browsers.known(opened.cookie, "")

    assert not before.caller.may(Scope.PURCHASE_ORDERS_EXPORT)
    assert after.caller.may(Scope.PURCHASE_ORDERS_EXPORT)


async def test_people_see_and_end_their_other_browsers_and_nobody_elses(company, kari, hashed):
    await a_person(company, "ola@fjord.example", password=hashed)
    one, other, third = [await in_a_browser(company) for _ in range(3)]
    me = await company.browsers.known(one.cookie, "")
    ola = company.caller((await sign_in(company, email="ola@fjord.example")).json()["token"])
    program = company.caller((await sign_in(company)).json()["token"])

    foreign = await ola.delete(f"/sessions/{other.id}")
    own = await program.delete(f"/sessions/{other.id}")
    listed = [session["id"] for session in (await program.get("/sessions")).json()["items"]]
    ended = await company.db.write(signing_in.end_other_sessions, me.person, me.session)

    assert (foreign.status_code, own.status_code) == (404, 204)
    assert listed == [third.id, one.id]
    assert ended == 1
    assert [await company.browsers.known(each.cookie, "") is not None for each in (one, other, third)] == [True, False, False]


async def test_signing_out_ends_the_session_and_a_repeat_changes_nothing(company, kari):
    opened = await in_a_browser(company)

    await company.browsers.end(opened.cookie)
    await company.browsers.end(opened.cookie)

    assert await company.browsers.known(opened.cookie, "") is None
    assert len(await company.logged("user.signed_out")) == 1


async def test_sessions_and_codes_whose_time_is_over_are_forgotten(company, kari):
    await in_a_browser(company)
    await company.db.write(inviting.new_link, CONSOLE, kari.id)

    with time_machine.travel(now() + dt.timedelta(hours=13), tick=False):
        await company.db.write(actions.tidy)

    left = [await company.db.read(lambda tx, table=table: tx.execute(select(table)).all()) for table in (browser_sessions, one_time_codes)]
    assert left == [[], []]


@pytest.mark.parametrize(
    ("says", "shown"),
    [
        (FIREFOX, "Firefox 131 on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
            "Chrome 130 on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0", "Edge 130 on Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
            "Safari 18 on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1",
            "Safari 18 on iOS",
        ),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36", "Chrome 130 on Android"),
        ("curl/8.10\r\nX: y" + "z" * 100, "curl/8.10X: y" + "z" * 27),
        ("", ""),
    ],
)
def test_a_browser_is_named_shortly(says, shown):
    assert model.browser_of(says) == shown


# Guessing


async def test_many_addresses_that_guess_one_account_do_not_keep_out_who_signed_in_from_his_own(company, kari):
    await sign_in(company, address="203.0.113.50")
    guesses = [await sign_in(company, password="a wrong guess here", address=f"198.51.100.{place}") for place in range(30)]

    owner = await sign_in(company, address="203.0.113.50")

    assert [answer.status_code for answer in guesses][-2:] == [429, 429]
    assert owner.status_code == 201


async def test_one_address_that_guesses_many_accounts_waits():
    attempts = signing_in.Attempts()
    scope: dict[str, Any] = {}
    for place in range(60):
        attempts.password(scope, "198.51.100.9", f"p{place}@x.example", None)

    with pytest.raises(errors.TooManyRequests):
        attempts.password(scope, "198.51.100.9", "another@x.example", None)
    attempts.password(scope, "198.51.100.10", "another@x.example", None)


async def test_a_closed_and_an_invited_account_are_answered_like_an_unknown_one(company, kari):
    await a_person(company, "invited@fjord.example")
    person = await company.db.read(store.people.by_email, EMAIL)
    await company.db.write(store.people.set_members, person.pk, {"is_active": False})

    answers = [await sign_in(company, email=email) for email in (EMAIL, "invited@fjord.example", "nobody@fjord.example")]

    assert len({(answer.status_code, str(answer.json() | {"trace_id": ""})) for answer in answers}) == 1


# Links


@pytest.fixture
def box():
    with mail_server() as box:
        yield box


@pytest.fixture
async def mailing(db, box):
    settings = box.settings()

    async def send(letter):
        return await mail.send_at_once(settings, letter.to, letter.title, letter.words)

    letters = Letters(db, settings.public_url, send, lambda _: "Fjord Lager AS")
    async with company_of(db, [*api.routes], more={"settings": settings, "letters": letters}) as company:
        setattr(company, "letters", letters)  # noqa: B010  the tests of letters wait for what is under way
        yield company


def code_in(text):
    return re.findall(r"\?code=([\w-]+)", text)[0]


async def test_an_invitation_is_mailed_in_the_persons_language_and_lets_him_choose_a_password_once(mailing, box):
    admin = mailing.caller((await mailing.a_token()).token)
    group = await a_group(mailing, "Sellers", role="seller")

    made = await admin.post("/users/invitations", json={"email": EMAIL, "name": "Kari", "groups": [group.id], "language": "nb"})
    [letter] = box.to(EMAIL)
    code = code_in(letter.get_content())
    chosen = [await mailing.caller().post("/passwords", json={"code": code, "password": PASSWORD}) for _ in range(2)]

    assert (made.status_code, made.json()["is_mailed"], made.json()["link"]) == (201, True, None)
    assert code not in made.text
    assert letter["Subject"] == "Din konto hos Fjord Lager AS"
    assert "https://fjord.example/invitation?code=" in letter.get_content()
    assert [answer.status_code for answer in chosen] == [204, 422]
    assert chosen[1].json()["code"] == "code_unknown"
    assert (await sign_in(mailing)).status_code == 201


async def test_without_a_mail_server_the_link_is_shown_once_to_who_invites(company, admin):
    body = {"email": EMAIL, "name": "Kari"}

    made = await admin.post("/users/invitations", json=body, headers={"Idempotency-Key": "kari"})
    repeat = await admin.post("/users/invitations", json=body, headers={"Idempotency-Key": "kari"})

    assert made.json()["link"].startswith("https://fjord.example/invitation?code=")
    assert (repeat.status_code, repeat.json()["code"]) == (409, "already_done")


async def test_a_mail_the_server_does_not_take_leaves_the_link_to_hand_over_and_says_why(mailing, box):
    admin = mailing.caller((await mailing.a_token()).token)
    box.says_to[EMAIL] = "550 no such box"

    made = (await admin.post("/users/invitations", json={"email": EMAIL, "name": "Kari"})).json()

    assert (made["is_mailed"], "550" in made["trouble"]) == (False, True)
    assert code_in(made["link"])
    assert len(await mailing.logged("user.letter_lost")) == 1


async def test_who_forgot_the_password_gets_a_link_and_nobody_learns_whether_there_is_such_a_person(mailing, box, hashed):
    kari = await a_person(mailing, EMAIL, password=hashed)
    browser = await in_a_browser(mailing)
    answers = [
        await mailing.caller().post("/passwords/forgotten", json={"email": email}) for email in (EMAIL, "nobody@fjord.example", EMAIL)
    ]
    await mailing.letters.settle()
    [letter] = box.mails

    chosen = await mailing.caller().post("/passwords", json={"code": code_in(letter.get_content()), "password": "another long password"})

    assert [(answer.status_code, answer.text) for answer in answers] == [(204, "")] * 3
    assert chosen.status_code == 204
    assert await mailing.browsers.known(browser.cookie, "") is None
    assert (await sign_in(mailing, password="another long password")).status_code == 201
    assert [line.subject for line in await mailing.logged("user.reset_asked")] == [kari.id]


async def test_an_address_that_asks_for_link_after_link_waits(mailing):
    answers = [await mailing.caller().post("/passwords/forgotten", json={"email": f"p{place}@x.example"}) for place in range(6)]

    assert [answer.status_code for answer in answers] == [204] * 5 + [429]


async def test_a_code_is_kept_as_a_digest_and_ends_with_its_time(company, kari):
    code = await company.db.write(inviting.new_link, CONSOLE, kari.id)
    kept = await company.db.read(lambda tx: str(tx.execute(select(one_time_codes)).all()))

    with time_machine.travel(now() + dt.timedelta(hours=1, seconds=1), tick=False), pytest.raises(errors.CodeUnknown):
        await company.db.read(inviting.holder_of, code.code)

    assert code.code not in kept
    assert (await company.db.read(inviting.holder_of, code.code)).email == EMAIL


async def test_any_new_password_voids_every_link_made_before(company, kari):
    codes = [await company.db.write(inviting.new_link, CONSOLE, kari.id) for _ in range(2)]

    await company.db.write(inviting.use_code, codes[0].code, "hashed", company.sessions)

    with pytest.raises(errors.CodeUnknown):
        await company.db.write(inviting.use_code, codes[1].code, "hashed", company.sessions)


async def test_guessing_codes_is_slowed_down(company):
    answers = [await company.caller().post("/passwords", json={"code": f"guess{place}", "password": PASSWORD}) for place in range(11)]

    assert [answer.status_code for answer in answers] == [422] * 10 + [429]


async def test_a_link_for_somebody_who_may_do_more_or_not_sign_in_is_refused(company, admin, kari):
    clerk = company.caller((await company.a_token(Scope.USERS_WRITE)).token)

    more = await clerk.post(f"/users/{kari.id}/link")
    await patched(admin, kari.id, is_active=False)
    closed = await admin.post(f"/users/{kari.id}/link")

    assert (more.json()["code"], closed.json()["code"]) == ("scope_not_yours", "wrong_state")


# The first admin


async def test_the_code_printed_at_the_start_makes_the_first_admin_once(db, hashed):
    code = await db.write(inviting.first_admin_code)

    first = await db.write(inviting.first_admin, code.code.lower().replace("-", " "), email=EMAIL, name="Kari", password=hashed)

    assert len(code.code.replace("-", "")) * 4 == 128
    assert model.is_admin(first.scopes)
    assert await db.write(inviting.first_admin_code) is None
    with pytest.raises(errors.CodeUnknown):
        await db.write(inviting.first_admin, code.code, email="ola@fjord.example", name="Ola", password=hashed)


async def test_once_there_is_somebody_the_first_admins_code_is_void(db, hashed):
    code = await db.write(inviting.first_admin_code)
    await db.write(actions.create, CONSOLE, email=EMAIL, name="Kari", password=hashed)

    with pytest.raises(errors.CodeUnknown):
        await db.read(inviting.must_know_first_admin_code, code.code)


async def test_the_first_admins_code_ends_after_an_hour_and_is_no_link(db, hashed):
    code = await db.write(inviting.first_admin_code)

    with pytest.raises(errors.CodeUnknown):
        await db.read(inviting.holder_of, code.code)
    with time_machine.travel(now() + dt.timedelta(hours=1, seconds=1), tick=False), pytest.raises(errors.CodeUnknown):
        await db.write(inviting.first_admin, code.code, email=EMAIL, name="Kari", password=hashed)
