"""Partners: connected with a bundle or a token, tested, treated by rules, and reached."""

import datetime as dt
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import insert, select, update

from prodsys import errors
from prodsys.contacts import actions as contacts
from prodsys.contacts.model import ContactForm, Merge
from prodsys.documents import Address, Party, Percent
from prodsys.exchange import outbox
from prodsys.exchange.outbox import LaneTurn
from prodsys.kit.clock import now
from prodsys.kit.outbound import Later, Misconfigured
from prodsys.kit.telemetry import new_trace
from prodsys.kit.vault import Vault
from prodsys.modules import store as modules
from prodsys.partners import actions, api, cards, comparing, connecting, model, store, telling, trials
from prodsys.partners.model import Rules, Supplier
from prodsys.partners.reaching import Way
from prodsys.scopes import CONSOLE, GUIDE_SCOPES, PRODSYS_MODULE, Caller, Scope
from prodsys.settings import Settings
from prodsys.tables import articles, company, lanes, log_entries, partners, supplier_numbers, timetable
from prodsys.tokens import model as tokens
from prodsys.tokens.actions import Handover
from tests.connectors.their_prodsys import LOOPBACK, a_way_out, drop, http, running
from tests.rooms.doors import company_of

pytestmark = pytest.mark.anyio

DAY = dt.timedelta(days=1)
NORDLYS = '{"name":"Nordlys Mekaniske AS","organisation_number":"987654325"}'


@pytest.fixture
async def theirs():
    async with running() as there:
        yield there


@pytest.fixture
async def way():
    async with a_way_out() as out:
        yield Way(out=out, vault=Vault([Fernet.generate_key().decode()]), networks=LOOPBACK, timeout=10)


@pytest.fixture
async def house(db, way):
    """Our doors, and an admin before them."""
    settings = Settings(public_url="https://nordlys.example", allowed_networks="127.0.0.0/8, ::1/128")
    async with company_of(db, api.routes, more={"outbound": way.out, "vault": way.vault, "settings": settings}) as doors:
        await db.write(our_company)
        yield doors.caller((await doors.a_token()).token)


def our_company(tx):
    tx.execute(insert(company).values(epoch="e1", name="Nordlys Mekaniske AS", card=NORDLYS, changed_at=now()))


def a_buyer(tx, name="Nordlys Mekaniske AS", caller=CONSOLE, **more):
    return actions.create_with_token(tx, caller, name=name, scopes=frozenset(GUIDE_SCOPES), **more)


def a_contact(tx, name="Nordlys Mekaniske AS", number="987654325", city="Stavanger"):
    form = ContactForm(name=name, organisation_number=number, address=Address(street="Verkstedveien 1", postcode="4020", city=city))
    return contacts.create(tx, form, actor="test", allow_similar=True)


def an_order(tx, lane, number="PO-1"):
    promise = outbox.Promise(kind="order", lane=lane, chain=number, dedup=number, subject="po_1", document="{}", trace=new_trace())
    return outbox.promise(tx, promise)


def lane_of(tx, lane):
    return tx.execute(select(lanes).where(lanes.c.lane == lane)).one()


def logged(tx, code):
    return list(tx.execute(select(log_entries).where(log_entries.c.code == code).order_by(log_entries.c.pk)))


def a_supplier(**changes):
    given: dict[str, Any] = {
        "pk": 1, "id": "pa_1", "name": "Fjord Lager AS", "contact": None, "endpoint": "https://fjord.example", "trust": "partner",
        "sealed": "x", "token_expires_at": now() + 90 * DAY, "token_scopes": ("PurchaseOrders:Create",), "their_epoch": "",
        "their_cursor": "", "give_up_after_days": 7, "is_active": True, "version": 1,
    }  # fmt: skip
    return Supplier(**given | changes)


# What an arriving order finds


async def test_how_a_buyer_is_treated_is_one_read(db):
    made = await db.write(a_buyer, organisation_number="987 654 325")

    buyer = await db.read(lambda tx: store.buyer(tx, store.by_id(tx, made.partner.id).pk))

    assert (buyer.id, buyer.contact, buyer.identifiers) == (made.partner.id, None, ("987654325",))
    assert (buyer.when_unknown, buyer.price_tolerance, buyer.offers_all, buyer.show_prices) == ("refuse", 0, True, False)


async def test_a_partner_who_is_not_there_is_not_found(db):
    with pytest.raises(errors.NotFound):
        await db.read(store.buyer, 4711)


async def test_a_partner_is_linked_to_one_contact_and_a_contact_to_one_partner(db):
    one = await db.write(a_buyer)
    other = await db.write(a_buyer, name="Sørlys Bygg AS")
    contact = await db.write(a_contact)

    def link(tx, id):
        row = store.by_id(tx, id)
        assert store.lock_contact(tx, row.pk) is None
        store.link_contact(tx, row.pk, contact.pk)

    await db.write(link, one.partner.id)

    assert (await db.read(actions.shown, one.partner.id)).contact == contact.id
    with pytest.raises(errors.StorageUnavailable):
        await db.write(link, other.partner.id)


# A new partner who buys from us


async def test_a_buyer_is_made_with_his_token_and_bundle_in_one_step(db, way):
    handover = Handover(vault=way.vault, public_url="https://fjord.example")

    made = await db.write(a_buyer, handover=handover)

    assert made.token.token.startswith("pst_")
    assert connecting.look(made.token.bundle).host == "fjord.example"
    assert len(await db.read(logged, "partner.added")) == len(await db.read(logged, "token.created")) == 1


async def test_a_buyer_with_a_known_organisation_number_is_linked_to_that_contact(db):
    contact = await db.write(a_contact)

    made = await db.write(a_buyer, organisation_number="987654325")

    assert made.partner.contact == contact.id


async def test_a_number_of_two_contacts_links_neither(db):
    await db.write(a_contact)
    await db.write(a_contact, name="Nordlys Mek. Verksted", city="Oslo")

    with pytest.raises(errors.SimilarExists):
        await db.write(a_buyer, organisation_number="987654325")
    made = await db.write(a_buyer, organisation_number="987654325", confirmed=True)

    assert made.partner.contact is None


@pytest.mark.parametrize("name", ["Nordlys Mekaniske AS", "Nordlys Mekanisk", "NORDLYS MEKANISKE A/S"])
async def test_a_name_near_an_existing_partner_is_refused_with_the_candidates(db, name):
    made = await db.write(a_buyer)

    with pytest.raises(errors.SimilarExists) as refused:
        await db.write(a_buyer, name=name)

    assert [issue.params["partner"] for issue in refused.value.issues] == [made.partner.id]
    assert (await db.write(a_buyer, name=name, confirmed=True)).partner.id != made.partner.id


async def test_a_number_of_an_existing_partner_is_refused_under_any_name(db):
    await db.write(a_buyer, organisation_number="987654325")

    with pytest.raises(errors.SimilarExists):
        await db.write(a_buyer, name="Helt annet navn", organisation_number="987 654 325")


async def test_a_name_near_a_contact_nobody_linked_is_refused(db):
    contact = await db.write(a_contact, number="")

    with pytest.raises(errors.SimilarExists) as refused:
        await db.write(a_buyer)

    assert [issue.params["contact"] for issue in refused.value.issues] == [contact.id]


async def test_nobody_gives_a_buyer_scopes_he_lacks(db):
    caller = Caller(token="tk_1", name="clerk", scopes=frozenset({Scope.PARTNERS_WRITE, Scope.TOKENS_WRITE}))

    with pytest.raises(errors.ScopeNotYours):
        await db.write(a_buyer, caller=caller)

    assert await db.read(lambda tx: tx.execute(select(partners)).all()) == []


# A supplier's bundle


async def test_a_bundle_is_looked_into_before_anybody_is_called(house, theirs):
    answer = await house.post("/partners/bundle/look", json={"bundle": theirs.bundle()})

    assert (answer.json()["company"], answer.json()["host"], answer.json()["is_expired"]) == ("Fjord Lager AS", "127.0.0.1", False)
    assert theirs.asked == []


@pytest.mark.parametrize("url", ["https://[", "nowhere", "https://user@fjord.example", "ftp://fjord.example", "https://2130706433"])
async def test_a_bundle_that_leads_nowhere_is_invalid(house, theirs, url):
    looked = await house.post("/partners/bundle/look", json={"bundle": theirs.bundle(url=url)})
    added = await house.post("/partners", json={"bundle": theirs.bundle(url=url)})

    assert (looked.status_code, added.status_code) == (422, 422)


async def test_a_bundle_becomes_a_supplier_with_his_card_as_contact(db, way, theirs):
    partner = await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle())

    assert (partner.name, partner.endpoint, partner.has_token) == ("Fjord Lager AS", theirs.url, True)
    contact = await db.read(contacts.read, partner.contact)
    assert (contact.card.organisation_number, contact.is_supplier, contact.partner) == ("999999999", True, partner.id)


async def test_the_token_is_sealed_at_rest_and_never_shown(db, way, house, theirs):
    made = await house.post("/partners", json={"bundle": theirs.bundle()})

    def kept(tx):
        return tx.execute(select(partners.c.token)).scalar_one(), [entry.message for entry in tx.execute(select(log_entries))]

    sealed, messages = await db.read(kept)
    assert made.status_code == 201
    assert way.vault.unseal(sealed) == theirs.token
    assert theirs.token not in made.text + sealed + "".join(messages)


async def test_a_supplier_we_have_as_a_contact_is_linked_and_not_made_twice(db, way, theirs):
    known = await db.write(a_contact, name="Fjord Lager", number="999 999 999", city="Bergen")

    partner = await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle())

    assert partner.contact == known.id
    assert (await db.read(contacts.read, known.id)).is_supplier


async def test_a_bundle_of_a_partner_we_have_uses_up_no_code(db, way, theirs):
    await db.write(a_buyer, name="Fjord Lager AS")

    with pytest.raises(errors.SimilarExists):
        await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle())

    assert theirs.asked == []


async def test_a_bundle_works_once(db, way, theirs):
    bundle = theirs.bundle()
    await connecting.add_with_bundle(db, way, CONSOLE, bundle)

    with pytest.raises(errors.ClaimUnknown):
        await connecting.add_with_bundle(db, way, CONSOLE, bundle, confirmed=True)


async def test_a_bundle_that_has_ended_calls_nobody(db, way, theirs):
    with pytest.raises(errors.ClaimUnknown):
        await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle(expires_at=now() - DAY))

    assert theirs.asked == []


async def test_a_bundle_does_not_lead_into_our_own_network_unless_the_operator_opened_it(db, way, theirs):
    shut = Way(out=way.out, vault=way.vault, timeout=10)

    with pytest.raises(errors.Invalid) as refused:
        await connecting.add_with_bundle(db, shut, CONSOLE, theirs.bundle())

    assert refused.value.issues[0].code == "not_https"
    assert theirs.asked == []


@pytest.mark.parametrize(("fault", "refusal"), [
    (drop, errors.PartnerUnreachable),
    (http(200, b"<html>", "text/html"), errors.PartnerNotReady),
    (http(200, b'{"token": ""}'), errors.PartnerNotReady),
])  # fmt: skip
async def test_a_claim_that_comes_to_nothing_leaves_nothing(db, way, theirs, fault, refusal):
    theirs.faults["/claims"] = fault

    with pytest.raises(refusal):
        await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle())

    assert await db.read(lambda tx: tx.execute(select(partners)).all()) == []


async def test_a_repeated_request_does_not_use_up_the_code_again(house, theirs):
    key = {"Idempotency-Key": "add-fjord"}
    body = {"bundle": theirs.bundle()}

    first = await house.post("/partners", json=body, headers=key)
    again = await house.post("/partners", json=body, headers=key)

    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 201, first.json()["id"])
    assert theirs.paths() == ["/claims"]


# An address and a token


async def test_an_address_and_a_token_become_a_supplier(house, theirs):
    made = await house.post("/partners", json={"url": f"{theirs.url}/api/v1/", "token": theirs.token})

    assert (made.json()["name"], made.json()["endpoint"], made.json()["token_scopes"]) == ("Fjord Lager AS", theirs.url, theirs.scopes)


async def test_a_mistyped_token_is_seen_without_a_call(house, theirs):
    made = await house.post("/partners", json={"url": theirs.url, "token": theirs.token[:-1] + "!"})

    assert (made.status_code, made.json()["issues"][0]["code"]) == (422, "token_malformed")
    assert theirs.asked == []


async def test_a_token_they_do_not_know_is_refused_at_once(house, theirs):
    made = await house.post("/partners", json={"url": theirs.url, "token": tokens.mint().token, "name": "Fjord"})

    assert (made.status_code, made.json()["issues"][0]["code"]) == (409, "token_unknown")


async def test_a_partner_who_cannot_be_reached_now_is_kept_under_the_name_given(house, theirs):
    theirs.faults["/company"] = drop

    nameless = await house.post("/partners", json={"url": theirs.url, "token": theirs.token})
    named = await house.post("/partners", json={"url": theirs.url, "token": theirs.token, "name": "Fjord Lager"})

    assert (nameless.status_code, named.status_code) == (502, 201)


async def test_neither_bundle_nor_token_is_invalid(house):
    assert (await house.post("/partners", json={"url": "https://fjord.example"})).json()["issues"][0]["code"] == "bundle_or_token"


async def test_a_new_token_takes_the_place_of_the_old_and_what_waits_is_tried(db, way, house, theirs):
    made = (await house.post("/partners", json={"bundle": theirs.bundle()})).json()
    await db.write(an_order, made["id"])
    await db.write(outbox.lane_failed, made["id"], Misconfigured(reason="token_expired", detail="It expired."))
    theirs.token = tokens.mint().token

    changed = await house.put(f"/partners/{made['id']}/token", json={"token": theirs.token})

    supplier = await db.read(store.supplier_named, made["id"])
    assert changed.status_code == 200
    assert way.vault.unseal(supplier.sealed) == theirs.token
    assert (await db.read(lane_of, made["id"])).probe_at <= now()


async def test_renewing_asks_them_for_the_successor_where_they_allow_it(db, way, theirs):
    partner = await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle())

    renewed = await connecting.renew_token(db, way, partner.id)

    supplier = await db.read(store.supplier_named, renewed.id)
    assert way.vault.unseal(supplier.sealed) == theirs.token
    theirs.may_rotate = False
    with pytest.raises(errors.RotationNotAllowed):
        await connecting.renew_token(db, way, partner.id)


# The test


def answers(checklist):
    return {check.params.get("scope", check.code): check.passed for check in checklist.checks}


@pytest.fixture
async def fjord(db, way, theirs):
    """A supplier of ours, two of whose article numbers we know."""
    await db.write(our_company)
    partner = await connecting.add_with_bundle(db, way, CONSOLE, theirs.bundle())

    def numbers(tx):
        pk = store.by_id(tx, partner.id).pk
        for position, number in enumerate(["A-100", "A-200"], 1):
            article = {"id": f"ar_{number}", "number": f"4{position}", "number_key": "x", "number_reverse": "x"}
            row = article | {"position": position, "changed_at": now()}
            key = tx.execute(insert(articles).values(row).returning(articles.c.pk)).scalar_one()
            tx.execute(insert(supplier_numbers).values(partner=pk, article=key, number=number))

    await db.write(numbers)
    return partner


async def test_a_sound_connection_passes_every_question(db, way, theirs, fjord):
    checklist = await trials.test(db, way, fjord.id)

    assert checklist.passed
    assert answers(checklist) == {
        "reachable": True, "certificate": None, "versions": True, "clocks": True, "token_valid": True, "PurchaseOrders:Create": True,
        "Articles:Read": True, "Contacts:ReadWrite": True, "module_on": True, "company_known": True, "articles_matched": True,
    }  # fmt: skip
    assert (await db.read(actions.shown, fjord.id)).checklist == checklist


async def test_a_passing_test_lets_what_waits_leave(db, way, theirs, fjord):
    await db.write(an_order, fjord.id)
    await db.write(outbox.lane_failed, fjord.id, Misconfigured(reason="module_off", detail="Off."))

    await trials.test(db, way, fjord.id)

    assert (await db.read(lane_of, fjord.id)).probe_at <= now()


@pytest.mark.parametrize(("spoiled", "question", "passed", "can_send"), [
    ({"modules": []}, "module_on", False, False),
    ({"scopes": ["Articles:Read", "Contacts:ReadWrite"]}, "PurchaseOrders:Create", False, False),
    ({"scopes": ["PurchaseOrders:Create"]}, "Articles:Read", False, True),
    ({"expires_at": now() + 3 * DAY}, "token_valid", None, True),
    ({"clock": dt.timedelta(minutes=-11)}, "clocks", None, True),
    ({"contact": {"how": "would_create", "similar": 2}}, "company_known", None, True),
    ({"contact": {"how": "ambiguous", "similar": 2}}, "company_known", False, True),
])  # fmt: skip
async def test_what_is_wrong_over_there_is_said(db, way, theirs, fjord, spoiled, question, passed, can_send):
    for name, value in spoiled.items():
        setattr(theirs, name, value)

    checklist = await trials.test(db, way, fjord.id)

    assert answers(checklist)[question] is passed
    assert checklist.can_send is can_send


async def test_numbers_that_do_not_match_are_named(db, way, theirs, fjord):
    await db.write(lambda tx: tx.execute(update(supplier_numbers).where(supplier_numbers.c.number == "A-200").values(number="A-999")))

    [check] = [check for check in (await trials.test(db, way, fjord.id)).checks if check.code == "articles_matched"]

    assert (check.passed, check.params) == (None, {"matched": "1", "asked": "2"})
    assert "A-999" in check.sentence


@pytest.mark.parametrize(("fault", "question"), [
    (drop, "reachable"),
    (http(200, b"<html>", "text/html"), "reachable"),
    (http(302, b"", "text/html", "Location: /"), "reachable"),
    (http(500, b"{}"), "reachable"),
    (http(401, b'{"code": "token_expired", "title": "This token has expired."}', "application/problem+json"), "token_valid"),
])  # fmt: skip
async def test_who_does_not_answer_well_fails_the_test_and_nothing_leaves(db, way, theirs, fjord, fault, question):
    theirs.faults["/company"] = fault

    checklist = await trials.test(db, way, fjord.id)

    assert answers(checklist)[question] is False
    assert not checklist.can_send


async def test_a_test_learns_how_long_the_token_lasts_and_in_which_life_they_are(db, way, theirs, fjord):
    theirs.expires_at = now().replace(microsecond=0) + 30 * DAY

    await trials.test(db, way, fjord.id)

    supplier = await db.read(store.supplier_named, fjord.id)
    assert (supplier.token_expires_at, supplier.their_epoch) == (theirs.expires_at, "01EPOCH")


async def test_a_lost_vault_key_is_said_and_asks_for_the_token_again(db, way, theirs, fjord):
    other = Way(out=way.out, vault=Vault([Fernet.generate_key().decode()]), networks=LOOPBACK)

    checklist = await trials.test(db, other, fjord.id)

    assert "cannot be opened" in checklist.checks[0].sentence


async def test_cards_stand_side_by_side(db, way, house, theirs):
    made = (await house.post("/partners", json={"bundle": theirs.bundle()})).json()
    theirs.card["email"] = "salg@fjord.example"
    await house.post(f"/partners/{made['id']}/test")

    found = (await house.get(f"/partners/{made['id']}/compare")).json()

    assert [(one["field"], one["recorded"], one["proposed"]) for one in found["differences"]] == [
        ("email", "ordre@fjord.example", "salg@fjord.example")
    ]


# Sending


async def test_a_partner_without_a_connection_is_told_what_to_do(db, way):
    made = await db.write(a_buyer)

    checklist = await trials.test(db, way, made.partner.id)

    assert not checklist.can_send
    assert "paste its connection bundle" in checklist.checks[0].sentence


@pytest.mark.parametrize(("changes", "module_on", "codes"), [
    ({}, True, []),
    ({}, False, [("module_off", True)]),
    ({"is_active": False}, True, [("partner_inactive", True)]),
    ({"endpoint": ""}, True, [("partner_not_connected", True)]),
    ({"token_expires_at": now() - DAY}, True, [("token_expired", True)]),
    ({"token_expires_at": now() + 5 * DAY}, True, [("token_expiring", False)]),
    ({"token_scopes": ("Articles:Read",)}, True, [("scope_missing", True)]),
])  # fmt: skip
def test_why_nothing_can_be_exported_is_said_in_words(changes, module_on, codes):
    issues = model.ready(a_supplier(**changes), module_on, now())

    assert [(issue.code, issue.blocks) for issue in issues] == codes


def test_a_bundles_address_is_the_partners_word_unless_its_network_was_opened():
    networks = model.networks_of("10.0.0.0/8, 127.0.0.0/8")

    trusted = [model.trust_of_bundle(url, networks) for url in ("http://localhost:8072", "https://10.1.2.3", "https://fjord.example", "x")]

    assert trusted == ["admin", "admin", "partner", "partner"]


# Rules


async def test_a_change_needs_the_current_etag_and_is_logged_from_to(db, house):
    made = await db.write(a_buyer)
    path = f"/partners/{made.partner.id}"
    read = await house.get(path)

    blind = await house.patch(path, json={"when_unknown": "hold"})
    seen = {"If-Match": read.headers["ETag"]}
    rules = {"when_unknown": "hold", "price_tolerance": "2.5", "identifiers": ["987 654 325", "x"]}
    done = await house.patch(path, json=rules, headers=seen)
    stale = await house.patch(path, json={"when_unknown": "refuse"}, headers=seen)

    assert (blind.status_code, done.status_code, stale.status_code) == (428, 200, 412)
    assert (done.json()["when_unknown"], done.json()["price_tolerance"], done.json()["identifiers"]) == ("hold", "2.5", ["987654325", "x"])
    [entry] = await db.read(logged, "partner.changed")
    assert "when_unknown: refuse → hold" in entry.message


async def test_a_change_that_changes_nothing_is_not_logged(db):
    made = await db.write(a_buyer)

    rules = Rules(when_unknown="refuse", price_tolerance=Percent("0"))
    same = await db.write(actions.change, CONSOLE, made.partner.id, rules, if_match="*")

    assert same == made.partner
    assert await db.read(logged, "partner.changed") == []


async def test_a_contact_belongs_to_one_partner(db):
    contact = await db.write(a_contact)
    one = await db.write(a_buyer, confirmed=True)
    other = await db.write(a_buyer, name="Sørlys Bygg AS")
    await db.write(actions.change, CONSOLE, one.partner.id, Rules(contact=contact.id), if_match="*")

    with pytest.raises(errors.AlreadyExists):
        await db.write(actions.change, CONSOLE, other.partner.id, Rules(contact=contact.id), if_match="*")
    freed = await db.write(actions.change, CONSOLE, one.partner.id, Rules(contact=None), if_match="*")

    assert freed.contact is None


async def test_partners_are_listed_page_by_page(db, house):
    for name in ("Alfa Stål AS", "Bravo Trelast AS", "Cello Maskin AS"):
        await db.write(a_buyer, name=name)

    first = (await house.get("/partners?limit=2")).json()
    second = (await house.get(f"/partners?limit=2&after={first['next']}")).json()

    assert [one["name"] for one in first["items"] + second["items"]] == ["Alfa Stål AS", "Bravo Trelast AS", "Cello Maskin AS"]
    assert second["next"] is None


async def test_a_new_buyer_over_http_shows_token_and_bundle_once(house):
    key = {"Idempotency-Key": "new-buyer"}
    body = {"name": "Sørlys Bygg AS", "expires_in_days": 30}

    made = await house.post("/partners/with-token", json=body, headers=key)
    again = await house.post("/partners/with-token", json=body, headers=key)

    assert made.json()["token"]["bundle"].startswith("prodsys1:")
    assert (made.status_code, again.status_code, again.json()["code"]) == (201, 409, "already_done")


# Lanes


@pytest.mark.parametrize(("turn", "code", "level", "words"), [
    ({"state": "paused", "code": "connect", "reason": "Nothing answers."}, "lane.paused", "warning", "tried again by itself"),
    ({"state": "stopped", "code": "token_expired", "reason": "It has expired."}, "lane.stopped", "error", "ask Fjord Lager AS for a new"),
    ({"state": "open", "code": "connect", "reason": "", "waiting_since": now()}, "lane.open", "info", "leaves now"),
    ({"state": "paused", "code": "connect", "reason": "It is dark.", "waiting_since": now()}, "lane.waiting", "error", "Nothing is lost"),
])  # fmt: skip
async def test_a_lanes_turn_is_told_in_plain_words(db, turn, code, level, words):
    made = await db.write(a_buyer, name="Fjord Lager AS")

    await db.write(telling.tell_lane, LaneTurn(lane=made.partner.id, **turn))

    [entry] = await db.read(logged, code)
    assert entry.level == level
    assert "Fjord Lager AS" in entry.message
    assert words in entry.message


async def test_a_partners_lane_is_shown_with_him(db, way, theirs, fjord):
    await db.write(an_order, fjord.id)
    await db.write(outbox.lane_failed, fjord.id, Later(reason="connect", detail="Nothing answers at the address."))

    shown = await db.read(actions.shown, fjord.id)

    assert (shown.lane.state, shown.lane.code) == ("paused", "connect")


# Cards


def two(ours: dict[str, Any], theirs: dict[str, Any]) -> comparing.Two:
    return comparing.Two(ours=Party(name="Fjord", **ours), theirs=Party(name="Fjord", **theirs))


@pytest.mark.parametrize(("base", "now_there", "changed"), [
    (({}, {}), ({}, {}), {}),
    (({}, {}), ({"phone": "1"}, {}), {"phone": "ours"}),
    (({}, {}), ({}, {"phone": "1"}), {"phone": "theirs"}),
    (({}, {}), ({"phone": "1"}, {"phone": "1"}), {}),
    (({}, {}), ({"phone": "1"}, {"phone": "2"}), {"phone": "both"}),
    (({"phone": "1"}, {"phone": "2"}), ({"phone": "1"}, {"phone": "2"}), {"phone": "neither"}),
    (({}, {}), ({"email": "A@x.example"}, {"email": "a@x.example"}), {}),
    (({}, {}), ({"organisation_number": "987 654 325"}, {"organisation_number": "NO987654325MVA"}), {}),
])  # fmt: skip
def test_who_changed_a_card_is_told_from_what_both_were(base, now_there, changed):
    assert comparing.changes(two(*base), two(*now_there)) == changed


def test_a_first_comparison_takes_from_them_only_what_we_lack_and_offers_all_we_say():
    them = two({"phone": "1"}, {"phone": "2", "email": "a@x.example"})
    us = two({"phone": "1"}, {"phone": "2", "email": "a@x.example"})

    assert comparing.changes(comparing.first_base("them", them), them) == {"email": "theirs", "phone": "neither"}
    assert comparing.changes(comparing.first_base("us", us), us) == {"email": "neither", "phone": "ours"}


async def test_what_a_partner_may_change_himself_is_a_rule_like_the_others(db, house):
    made = await db.write(a_buyer)
    path = f"/partners/{made.partner.id}"

    done = await house.patch(path, json={"lets_through": ["phone", "persons", "phone"][:2]}, headers={"If-Match": "*"})
    never = await house.patch(path, json={"lets_through": ["vat_number"]}, headers={"If-Match": "*"})

    assert (done.json()["lets_through"], never.status_code) == (["persons", "phone"], 422)
    [entry] = await db.read(logged, "partner.changed")
    assert "lets_through: none → persons, phone" in entry.message


async def test_nobody_is_linked_to_a_contact_that_was_merged(db):
    gone, kept = await db.write(a_contact), await db.write(a_contact, city="Oslo")
    made = await db.write(a_buyer, confirmed=True)
    await db.write(contacts.merge, gone.id, Merge(into=kept.id), actor="test")

    with pytest.raises(errors.Invalid, match=kept.id):
        await db.write(actions.change, CONSOLE, made.partner.id, Rules(contact=gone.id), if_match="*")
    with pytest.raises(errors.StorageUnavailable):
        await db.write(lambda tx: store.link_contact(tx, store.by_id(tx, made.partner.id).pk, gone.pk))


async def test_a_supplier_who_cannot_be_asked_is_told_of_once(db, way, theirs, fjord):
    await db.write(modules.set_on, PRODSYS_MODULE, True, "test")
    theirs.token = tokens.mint().token

    first = await cards.sync_contacts(db, way, fjord.id)
    await cards.sync_contacts(db, way, fjord.id)

    [told] = await db.read(logged, "contact.not_compared")
    assert (first.fault, told.level) == (told.message, "warning")
    assert (await db.read(cards.compare, fjord.id)).fault == first.fault


async def test_a_connected_supplier_is_asked_by_the_clock(db, way, theirs):
    clocked = msgspec.structs.replace(way, clock={"catalogue": 3_600})
    await db.write(modules.set_on, PRODSYS_MODULE, True, "test")

    partner = await connecting.add_with_bundle(db, clocked, CONSOLE, theirs.bundle())

    planned = await db.read(lambda tx: tx.execute(select(timetable.c.name, timetable.c.every_seconds).order_by(timetable.c.name)).all())
    assert [tuple(row) for row in planned] == [(f"catalogue:{partner.id}", 3_600)]
    await cards.tasks(db, clocked)[connecting.CONTACTS]("")
    assert (await db.read(cards.compare, partner.id)).compared_at is not None
