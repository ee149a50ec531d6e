"""People who sign in with a password."""

import asyncio
import datetime as dt

import pytest
import time_machine
from argon2 import PasswordHasher

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.scopes import CONSOLE, Caller, Scope
from prodsys.tokens import actions as tokens
from prodsys.tokens import api as token_doors
from prodsys.tokens.model import digest
from prodsys.tokens.store import known
from prodsys.users import actions, api, model, passwords, store
from tests.rooms.doors import company_of

pytestmark = pytest.mark.anyio

EMAIL = "kari@fjord.example"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def hashed():
    return passwords.hashed(PASSWORD)


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
    person = await company.db.read(store.by_email, EMAIL)
    await company.db.write(store.set_password, person.pk, "changed meanwhile")

    with pytest.raises(errors.SignInFailed):
        await company.db.write(actions.sign_in, person, "", company.sessions)


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
