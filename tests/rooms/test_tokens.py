"""A token's life: made, handed over, claimed once, renewed without a gap, ended."""

import asyncio
import base64
import datetime as dt

import msgspec
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from prodsys import errors
from prodsys.kit.clock import now
from prodsys.scopes import CONSOLE, GUIDE_SCOPES, Caller, Scope
from prodsys.tables import claims, log_entries, partners
from prodsys.tables import tokens as rows
from prodsys.tokens import actions, api, model, store
from prodsys.tokens.actions import Handover
from prodsys.tokens.model import Bundle
from tests.rooms.doors import PUBLIC_URL, a_partner, company_of, let_in, our_card

pytestmark = pytest.mark.anyio

TIMELESS = b'{"url":"https://fjord.example","claim":"x","company":"x","expires_at":"2026-12-01T00:00:00"}'
ORDERS = Scope.PURCHASE_ORDERS_CREATE


@pytest.fixture
async def company(db):
    async with company_of(db, api.routes) as company:
        await db.write(our_card)
        yield company


@pytest.fixture
async def admin(company):
    return company.caller((await company.a_token()).token)


@pytest.fixture
async def partner(company):
    return await company.db.write(a_partner)


async def partner_id(company, key):
    return await company.db.read(lambda tx: tx.execute(select(partners.c.id).where(partners.c.pk == key)).scalar_one())


async def a_bundle(company, partner, **more):
    handover = Handover(vault=company.vault, public_url=PUBLIC_URL)
    created = await company.a_token(*GUIDE_SCOPES, partner=partner, bundle=handover, **more)
    return created, model.unpack(created.bundle)


async def opens(company, token, path="/company"):
    return (await company.caller(token).get(path)).status_code == 200


def test_a_token_tells_its_own_typing_errors():
    token = model.mint().token

    wrong = [token[:place] + ("a" if token[place] != "a" else "b") + token[place + 1 :] for place in range(len(token))]

    assert model.well_formed(token)
    assert not any(map(model.well_formed, [*wrong, token[:-1], token + "0", token + "\n", ""]))


def test_tokens_never_repeat_and_are_kept_as_a_digest():
    minted = [model.mint() for _ in range(1000)]

    assert len({each.token for each in minted}) == 1000
    assert minted[0].digest == model.digest(minted[0].token) != minted[0].token


@given(st.text(max_size=80), st.text(min_size=1, max_size=80))
def test_a_bundle_survives_its_way_through_an_e_mail(name, url):
    bundle = Bundle(url=url, claim=model.new_claim(), company=name, expires_at=dt.datetime(2026, 12, 1, tzinfo=dt.UTC))

    packed = model.pack(bundle)
    folded = "\r\n".join(packed[place : place + 60] for place in range(0, len(packed), 60))

    assert model.unpack(f"  {folded}\n") == bundle


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bundle_unknown"),
        ("pst_00000000_", "bundle_unknown"),
        ("prodsys2:e30", "bundle_unknown"),
        ("prodsys1:", "bundle_damaged"),
        ("prodsys1:e30", "bundle_damaged"),
        ("prodsys1:e", "bundle_damaged"),
        ("prodsys1:" + "A" * 5000, "bundle_damaged"),
        ("prodsys1:<b>", "bundle_damaged"),
        (
            "prodsys1:" + base64.urlsafe_b64encode(TIMELESS).decode().strip("="),
            "bundle_damaged",
        ),
    ],
)
def test_what_is_no_bundle_is_refused_in_words(text, code):
    with pytest.raises(errors.Invalid) as refusal:
        model.unpack(text)

    assert refusal.value.issues[0].code == code
    assert refusal.value.detail.endswith(".")


async def test_a_token_is_shown_once_and_only_its_digest_is_kept(company, admin, partner):
    body = {"name": "Nordlys", "scopes": list(GUIDE_SCOPES), "partner": await partner_id(company, partner)}

    answer = await admin.post("/tokens", json=body)
    made = answer.json()
    shown = (await admin.get(f"/tokens/{made['id']}")).json()
    kept = await company.db.read(lambda tx: tx.execute(select(rows).where(rows.c.id == made["id"])).one())

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/tokens/{made['id']}"
    assert "bundle" not in made
    assert made["token"] not in msgspec.json.encode(shown).decode() + str(tuple(kept))
    assert (shown["partner"]["name"], shown["state"], shown["scopes"]) == ("Nordlys Mekaniske AS", "active", sorted(GUIDE_SCOPES))
    assert await opens(company, made["token"])


async def test_a_token_lives_for_90_days_unless_said_and_never_beyond_two_years(company, admin):
    plain = (await admin.post("/tokens", json={"name": "a", "scopes": ["Logs:Read"]})).json()
    short = (await admin.post("/tokens", json={"name": "a", "scopes": ["Logs:Read"], "expires_in_days": 1})).json()
    ages = (now() + dt.timedelta(days=731)).isoformat()
    long = await admin.post("/tokens", json={"name": "a", "scopes": ["Logs:Read"], "expires_at": ages})
    both = await admin.post("/tokens", json={"name": "a", "scopes": ["Logs:Read"], "expires_at": ages, "expires_in_days": 1})

    days = [(dt.datetime.fromisoformat(made["expires_at"]) - now()).total_seconds() / 86400 for made in (plain, short)]
    assert days == pytest.approx([90, 1], abs=0.01)
    assert (long.status_code, long.json()["issues"][0]["code"]) == (422, "expiry_out_of_range")
    assert both.json()["issues"][0]["code"] == "expiry_twice"


async def test_a_partner_may_carry_only_the_scopes_for_partners(company, admin, partner):
    body = {"name": "x", "scopes": ["PurchaseOrders:Create", "Logs:Read"], "partner": await partner_id(company, partner)}

    answer = await admin.post("/tokens", json=body)

    assert (answer.status_code, answer.json()["issues"][0]["params"]) == (422, {"scope": "Logs:Read"})


async def test_nobody_grants_a_scope_he_lacks(company):
    clerk = company.caller((await company.a_token(Scope.TOKENS_WRITE, Scope.LOGS_READ)).token)
    strong = await company.a_token()

    more = await clerk.post("/tokens", json={"name": "x", "scopes": ["Logs:Read", "Users:Write"]})
    rotated = await clerk.post(f"/tokens/{strong.id}/rotate", json={})

    assert (more.status_code, more.json()["code"]) == (403, "scope_not_yours")
    assert (rotated.status_code, rotated.json()["code"]) == (403, "scope_not_yours")


async def test_an_unknown_partner_is_refused(admin):
    answer = await admin.post("/tokens", json={"name": "x", "scopes": ["Articles:Read"], "partner": "pa_nobody"})

    assert (answer.status_code, answer.json()["issues"][0]["pointer"]) == (422, "/partner")


async def test_a_repeat_under_one_key_makes_no_second_token_and_shows_no_secret(admin):
    body = {"name": "x", "scopes": ["Articles:Read"]}
    first = await admin.post("/tokens", json=body, headers={"Idempotency-Key": "one"})
    second = await admin.post("/tokens", json=body, headers={"Idempotency-Key": "one"})

    assert (second.status_code, second.json()["code"]) == (409, "already_done")
    assert second.json()["issues"][0]["params"] == {"id": first.json()["id"]}
    assert len((await admin.get("/tokens")).json()["items"]) == 2


async def test_tokens_are_listed_newest_first_by_the_page(company, admin, partner):
    made = [(await company.a_token(ORDERS, partner=partner)).id for _ in range(5)]

    first = (await admin.get("/tokens", params={"limit": 3})).json()
    rest = (await admin.get("/tokens", params={"limit": 3, "after": first["next"]})).json()
    theirs = (await admin.get("/tokens", params={"partner": await partner_id(company, partner)})).json()

    assert [token["id"] for token in first["items"] + rest["items"]][:5] == made[::-1]
    assert rest["next"] is None
    assert [token["id"] for token in theirs["items"]] == made[::-1]


async def test_a_bundle_holds_a_claim_code_and_no_secret(company, admin, partner):
    body = {"name": "x", "scopes": list(GUIDE_SCOPES), "partner": await partner_id(company, partner), "bundle": True}

    made = (await admin.post("/tokens", json=body)).json()
    bundle = model.unpack(made["bundle"])

    assert (bundle.url, bundle.company) == (PUBLIC_URL, "Fjord Lager AS")
    assert bundle.expires_at - now() < dt.timedelta(days=7)
    assert made["token"][4:] not in base64.urlsafe_b64decode(made["bundle"][9:] + "==").decode()


@pytest.mark.parametrize(
    ("url", "status"), [("", 422), ("http://fjord.example", 422), ("http://127.0.0.1:8072", 201), ("https://fjord.example", 201)]
)
async def test_a_bundle_is_refused_while_the_public_address_is_not_https(db, url, status):
    async with company_of(db, api.routes, public_url=url) as company:
        admin = company.caller((await company.a_token()).token)

        answer = await admin.post("/tokens", json={"name": "x", "scopes": ["Articles:Read"], "bundle": True})
        made = (await admin.get("/tokens")).json()["items"]

        assert answer.status_code == status
        assert len(made) == (2 if status == 201 else 1)


async def test_a_claim_code_is_exchanged_for_the_token_once(company, admin, partner):
    created, bundle = await a_bundle(company, partner)
    buyer = company.caller(address="198.51.100.9")

    answer = await buyer.post("/claims", json={"claim": bundle.claim})
    again = await buyer.post("/claims", json={"claim": bundle.claim})
    shown = (await admin.get(f"/tokens/{created.id}")).json()
    sealed = await company.db.read(lambda tx: tx.execute(select(claims.c.sealed)).scalar_one())

    assert answer.status_code == 201
    assert answer.json() | {"expires_at": None} == {
        "token": created.token,
        "scopes": sorted(GUIDE_SCOPES),
        "expires_at": None,
        "company": {"name": "Fjord Lager AS", "address": {}},
    }
    assert (again.status_code, again.json()["code"]) == (422, "claim_unknown")
    assert (shown["claimed_from"], shown["claimed_at"] is not None, sealed) == ("198.51.100.9", True, None)
    assert [line.message for line in await company.logged("token.claimed")] == ["The token ops was claimed from 198.51.100.9."]
    assert await opens(company, answer.json()["token"])


async def test_of_fifty_who_claim_at_once_one_wins(company, partner):
    created, bundle = await a_bundle(company, partner)

    tries = [company.db.write(actions.claim, bundle.claim, f"198.51.100.{place}", company.vault) for place in range(50)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert [outcome.token for outcome in outcomes if isinstance(outcome, model.Claimed)] == [created.token]
    assert sum(isinstance(outcome, errors.ClaimUnknown) for outcome in outcomes) == 49
    assert len(await company.logged("token.claimed")) == 1


async def test_a_claim_code_is_good_for_seven_days(company, partner):
    _, bundle = await a_bundle(company, partner)

    with time_machine.travel(now() + dt.timedelta(days=7, seconds=1), tick=False), pytest.raises(errors.ClaimUnknown):
        await company.db.write(actions.claim, bundle.claim, "", company.vault)


async def test_the_code_of_a_revoked_token_is_worth_nothing(company, partner):
    created, bundle = await a_bundle(company, partner)

    await company.db.write(actions.revoke, CONSOLE, created.id)

    with pytest.raises(errors.ClaimUnknown):
        await company.db.write(actions.claim, bundle.claim, "", company.vault)


async def test_guessing_claim_codes_is_slowed_down_for_one_address_only(company, partner):
    _, bundle = await a_bundle(company, partner)
    guesser = company.caller(address="198.51.100.1")

    answers = [await guesser.post("/claims", json={"claim": f"guess-{place}"}) for place in range(12)]
    honest = await company.caller(address="198.51.100.2").post("/claims", json={"claim": bundle.claim})

    assert {answer.status_code for answer in answers[:10]} == {422}
    assert answers[11].status_code == 429
    assert int(answers[11].headers["retry-after"]) <= 60
    assert honest.status_code == 201


async def test_a_sealed_token_nobody_claimed_is_forgotten(company, partner):
    await a_bundle(company, partner)

    with time_machine.travel(now() + dt.timedelta(days=8), tick=False):
        await company.db.write(actions.tidy)

    assert await company.db.read(lambda tx: tx.execute(select(claims.c.sealed)).scalar_one()) is None


async def test_a_rotated_token_stays_good_until_the_new_one_has_been_in_use_for_a_week(company, admin, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)

    new = (await admin.post(f"/tokens/{old.id}/rotate", json={})).json()
    waiting = (await admin.get(f"/tokens/{old.id}")).json()
    assert await opens(company, old.token)
    assert await opens(company, new["token"])
    counting = (await admin.get(f"/tokens/{old.id}")).json()

    assert (waiting["state"], waiting["expires_at"]) == ("overlapping", msgspec.to_builtins(old.expires_at))
    left = dt.datetime.fromisoformat(counting["expires_at"]) - now()
    assert dt.timedelta(days=6, hours=23) < left <= dt.timedelta(days=7)
    assert new["scopes"] == sorted(GUIDE_SCOPES)
    assert len(await company.logged("token.replaced")) == 1
    assert await opens(company, old.token)


async def test_the_first_use_counts_once_even_when_fifty_come_at_once(company, admin, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)
    new = (await admin.post(f"/tokens/{old.id}/rotate", json={})).json()
    caller = company.caller(new["token"])

    answers = await asyncio.gather(*(caller.get("/company") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await company.logged("token.replaced")) == 1


async def test_a_successor_travels_as_a_bundle_too(company, admin, partner):
    old, unclaimed = await a_bundle(company, partner)

    new = (await admin.post(f"/tokens/{old.id}/rotate", json={"bundle": True, "overlap_days": 0})).json()
    claimed = await company.caller().post("/claims", json={"claim": model.unpack(new["bundle"]).claim})
    used = [await opens(company, token) for token in (claimed.json()["token"], old.token)]

    assert claimed.json()["token"] == new["token"]
    assert used == [True, False]
    assert (await company.caller().post("/claims", json={"claim": unclaimed.claim})).status_code == 422


async def test_rotating_again_voids_the_successor_nobody_used(company, admin, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)

    lost = (await admin.post(f"/tokens/{old.id}/rotate", json={})).json()
    new = (await admin.post(f"/tokens/{old.id}/rotate", json={})).json()
    states = {token["id"]: token["state"] for token in (await admin.get("/tokens")).json()["items"]}

    assert (states[lost["id"]], states[new["id"]], states[old.id]) == ("revoked", "active", "overlapping")
    assert [await opens(company, token) for token in (lost["token"], new["token"], old.token)] == [False, True, True]


async def test_the_old_token_may_outlive_the_new_ones_first_use_by_hours(company, admin, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)

    new = (await admin.post(f"/tokens/{old.id}/rotate", json={"overlap_hours": 1})).json()
    await opens(company, new["token"])

    left = dt.datetime.fromisoformat((await admin.get(f"/tokens/{old.id}")).json()["expires_at"]) - now()
    assert dt.timedelta(minutes=59) < left <= dt.timedelta(hours=1)
    twice = await admin.post(f"/tokens/{new['id']}/rotate", json={"overlap_hours": 1, "overlap_days": 1})
    assert (twice.status_code, twice.json()["issues"][0]["code"]) == (422, "overlap_twice")


async def test_tokens_are_told_apart_by_how_they_begin(company, admin):
    made = [await company.a_token(ORDERS) for _ in range(2)]

    listed = {token["id"]: token["prefix"] for token in (await admin.get("/tokens")).json()["items"]}

    assert [listed[one.id] for one in made] == [one.token[:12] for one in made]


async def test_a_token_tied_to_networks_opens_only_from_there_and_so_does_its_successor(company, admin, partner):
    whose = await partner_id(company, partner)
    asked = {"name": "x", "scopes": ["Articles:Read"], "partner": whose}

    near = (await admin.post("/tokens", json=asked | {"networks": ["203.0.113.0/24", "2001:db8::/32"]})).json()
    far = (await admin.post("/tokens", json=asked | {"networks": ["198.51.100.7"]})).json()
    next_one = (await admin.post(f"/tokens/{far['id']}/rotate", json={})).json()

    refused = await company.caller(far["token"]).get("/company")
    assert await opens(company, near["token"])
    assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
    assert "198.51.100" not in refused.text
    assert not await opens(company, next_one["token"])
    assert (await admin.get(f"/tokens/{next_one['id']}")).json()["networks"] == ["198.51.100.7"]
    assert len(await company.logged("token.refused.address_not_allowed")) == 2


async def test_a_network_that_is_none_is_named_with_its_place(admin):
    answer = await admin.post("/tokens", json={"name": "x", "scopes": ["Articles:Read"], "networks": ["192.0.2.1", "our office"]})

    assert answer.status_code == 422
    assert [(one["code"], one["pointer"]) for one in answer.json()["issues"]] == [("network_unreadable", "/networks/1")]


def test_an_ipv4_address_that_came_over_ipv6_lies_in_its_ipv4_network():
    assert model.lies_in("::ffff:192.0.2.4", ["192.0.2.0/24"])
    assert not model.lies_in("203.0.113.4", ["192.0.2.0/24", "2001:db8::/32"])
    assert not model.lies_in("", ["0.0.0.0/0"])


async def test_no_token_outlives_what_this_company_allows(company, partner):
    longest = dt.timedelta(days=30)

    short = await company.db.write(actions.create, CONSOLE, name="x", scopes=frozenset({ORDERS}), longest=longest)
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)
    new = await company.db.write(actions.rotate, CONSOLE, old.id, longest=longest)

    assert short.expires_at - now() <= longest
    assert new.expires_at - now() <= longest
    with pytest.raises(errors.Invalid):
        await company.db.write(
            actions.create, CONSOLE, name="x", scopes=frozenset({ORDERS}), expires_at=now() + dt.timedelta(days=31), longest=longest
        )


async def test_a_token_whose_successor_is_in_use_is_not_rotated_again(company, admin, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)
    new = (await admin.post(f"/tokens/{old.id}/rotate", json={})).json()
    await opens(company, new["token"])

    answer = await admin.post(f"/tokens/{old.id}/rotate", json={})

    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert new["id"] in answer.json()["detail"]


async def test_many_rotations_at_once_leave_one_successor(company, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)

    await asyncio.gather(*(company.db.write(actions.rotate, CONSOLE, old.id) for _ in range(20)))
    shown = [token for _, token in await company.db.read(store.listed, limit=100)]

    assert sorted(token.state for token in shown) == ["active", "overlapping", *["revoked"] * 19]


async def test_a_partner_renews_its_own_token_where_the_supplier_allows(company):
    allowed = await company.db.write(a_partner, may_rotate=True)
    old = await company.a_token(*GUIDE_SCOPES, partner=allowed)

    answer = await company.caller(old.token).post("/token/rotate")

    assert answer.status_code == 201
    assert [await opens(company, answer.json()["token"]), await opens(company, old.token)] == [True, True]


async def test_a_partner_does_not_renew_its_token_where_the_supplier_does_not_allow(company, partner):
    old = await company.a_token(*GUIDE_SCOPES, partner=partner)

    answer = await company.caller(old.token).post("/token/rotate")
    of_the_house = await company.caller((await company.a_token()).token).post("/token/rotate")

    assert (answer.status_code, answer.json()["code"]) == (403, "rotation_not_allowed")
    assert of_the_house.status_code == 404


async def test_a_stolen_token_and_what_the_thief_made_with_it_end_together(company, admin):
    allowed = await company.db.write(a_partner, may_rotate=True)
    stolen = await company.a_token(*GUIDE_SCOPES, partner=allowed)
    made = (await company.caller(stolen.token).post("/token/rotate")).json()

    answer = await admin.post(f"/tokens/{stolen.id}/revoke")
    repeat = await admin.post(f"/tokens/{stolen.id}/revoke")

    assert (answer.status_code, answer.json()["state"], repeat.json() == answer.json()) == (200, "revoked", True)
    assert [await opens(company, token) for token in (stolen.token, made["token"])] == [False, False]
    assert len(await company.logged("token.revoked")) == 2


async def test_a_revoked_token_is_not_rotated(company, admin):
    token = await company.a_token()
    await admin.post(f"/tokens/{token.id}/revoke")

    answer = await admin.post(f"/tokens/{token.id}/rotate", json={})

    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


async def test_every_step_of_a_token_is_logged_without_its_secret(company, admin, partner):
    created, bundle = await a_bundle(company, partner)
    await company.caller().post("/claims", json={"claim": bundle.claim})
    await admin.post(f"/tokens/{created.id}/rotate", json={})
    await admin.post(f"/tokens/{created.id}/revoke")

    lines = await company.db.read(
        lambda tx: list(tx.execute(select(log_entries).where(log_entries.c.partner == partner).order_by(log_entries.c.pk)))
    )

    assert [line.code for line in lines] == ["token.created", "token.claimed", "token.rotated", "token.revoked", "token.revoked"]
    assert not any(secret in str(tuple(line)) for line in lines for secret in (created.token, created.token[13:], bundle.claim))
    assert all(line.trace_id for line in lines[1:])


async def test_tokens_that_end_soon_are_named_until_they_have_a_successor(company, partner):
    soon = await company.a_token(ORDERS, partner=partner, expires_at=now() + dt.timedelta(days=13))
    await company.a_token(ORDERS, partner=partner, expires_at=now() + dt.timedelta(days=15))

    before = [token.id for token in await company.db.read(store.expiring, now())]
    await company.db.write(actions.rotate, CONSOLE, soon.id)
    after = [token.id for token in await company.db.read(store.expiring, now())]

    assert before == [soon.id]
    assert soon.id not in after


async def test_one_token_is_read_again_only_when_it_changed(company, admin):
    token = await company.a_token()
    first = await admin.get(f"/tokens/{token.id}")

    same = await admin.get(f"/tokens/{token.id}", headers={"If-None-Match": first.headers["etag"]})
    await admin.post(f"/tokens/{token.id}/revoke")
    other = await admin.get(f"/tokens/{token.id}", headers={"If-None-Match": first.headers["etag"]})

    assert (same.status_code, other.status_code) == (304, 200)


async def test_a_scope_of_a_newer_release_does_no_harm(company):
    token = await company.a_token(Scope.LOGS_READ)
    newer = update(rows).where(rows.c.id == token.id).values(scopes='["Logs:Read","Moon:Land"]')
    await company.db.write(lambda tx: tx.execute(newer).rowcount)

    caller = await let_in(company.guard, token.token)

    assert caller.scopes == {Scope.LOGS_READ}


def test_the_star_is_every_scope_of_the_house_and_none_for_partners():
    assert model.read_scopes(["*"], partner=False) == frozenset(Scope)
    with pytest.raises(errors.Invalid, match=r"\*"):
        model.read_scopes(["*"], partner=True)
    with pytest.raises(errors.Invalid, match="Logs:Raed"):
        model.read_scopes(["Logs:Raed"], partner=False)


def test_a_caller_with_read_write_may_grant_read():
    caller = Caller(token="tk_x", name="x", scopes=frozenset({Scope.CONTACTS_READ_WRITE}))

    model.must_grant(caller, frozenset({Scope.CONTACTS_READ}), partner=True)
