"""Who is told at once, how it is signed, and what becomes of an address that does not answer."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec
import pytest
import time_machine
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from prodsys.exchange import outbox
from prodsys.exchange.courier import Courier
from prodsys.exchange.outbox import Dead
from prodsys.kit.clock import now
from prodsys.kit.outbound import Later, Outbound
from prodsys.kit.telemetry import new_trace
from prodsys.kit.vault import Vault
from prodsys.logs.model import Entry
from prodsys.scopes import CONSOLE, Scope
from prodsys.settings import Settings
from prodsys.tables import deliveries, log_entries, tokens, webhooks
from prodsys.tokens import actions as token_actions
from prodsys.webhooks import actions, api, inbox, model, sending, store
from prodsys.webhooks.model import Event, Happened, NewWebhook
from tests.rooms.doors import a_partner, company_of, our_card
from tests.rooms.makers import a_caller, turned

pytestmark = pytest.mark.anyio

START = dt.datetime(2026, 11, 21, 10, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


class Listener:
    """A server of somebody's that answers with the statuses it is told to, 204 when none is left."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[int] = []
        self.usual = 204
        self.heard: list[tuple[dict[str, str], bytes]] = []

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in head if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.heard.append((headers, body))
        status = self.statuses.pop(0) if self.statuses else self.usual
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    here = Listener()
    server = await asyncio.start_server(here.meet, "127.0.0.1", 0)
    here.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
    async with server:
        yield here


@pytest.fixture
async def listener():
    async with listening() as here:
        yield here


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
async def out():
    way = Outbound(allowed_networks=[ip_network("127.0.0.0/8")])
    yield way
    await way.close()


@pytest.fixture
def vault():
    return Vault([Fernet.generate_key().decode()])


@pytest.fixture
async def partner(db):
    """A buyer with a token."""

    def made(tx):
        our_card(tx)
        key = a_partner(tx)
        token_actions.create(tx, CONSOLE, name="x", scopes=frozenset({Scope.PURCHASE_ORDERS_CREATE}), expires_at=None, partner=key)
        return key

    return await db.write(made)


@pytest.fixture
def courier(db, out, vault):
    return Courier(db, {"hook": sending.HookKind(db, out, vault)}, "a", sending.tell_lane, alone=True)


async def register(db, vault, partner, url, *events):
    wanted = NewWebhook(url=url, events=list(events or (Event.ORDER_ANSWERED,)))
    caller = CONSOLE if partner is None else a_caller(partner)
    return await db.write(actions.register, caller, wanted, vault)


async def publish(db, partner, position=1, kind="order.approved"):
    await db.write(sending.promise_change, partner, kind, id="sd_1", number="PO-1", position=position, trace=new_trace())


async def carry(courier, clock=None, turns=20, step=dt.timedelta(minutes=7)):
    """Let the courier work until nothing is due, or so many turns with time passing in between."""
    for _ in range(turns):
        if not await turned(courier):
            if clock is None:
                return
            clock.shift(step)


async def states(db):
    query = select(deliveries.c.state).where(deliveries.c.kind == "hook").order_by(deliveries.c.pk)
    return await db.read(lambda tx: list(tx.execute(query).scalars()))


async def logged(db, code):
    query = select(log_entries).where(log_entries.c.code == code).order_by(log_entries.c.pk)
    return await db.read(lambda tx: list(tx.execute(query)))


async def shown(db, made, partner):
    return await db.read(store.one, partner, made.webhook.id)


def genuine(secret, headers, body):
    return model.is_genuine(
        secret,
        id=headers["webhook-id"],
        timestamp=headers["webhook-timestamp"],
        signature=headers["webhook-signature"],
        body=body,
        at=now(),
    )


def test_a_signature_is_what_the_standard_says_it_is():
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'

    signed = model.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("id", "timestamp", "signature"),
    [
        ("msg_1", "1614265330", ""),
        ("msg_1", "1614265330", "v1,"),
        ("msg_1", "1614265330", "v1a,g0hM9SsE"),
        ("msg_1", "1614265330", "v1,\udcff"),
        ("msg 1", "1614265330", "v1,AAAA"),
        ("", "1614265330", "v1,AAAA"),
        ("msg_1", "-1", "v1,AAAA"),
        ("msg_1", "1" * 400, "v1,AAAA"),
        ("msg_1", "١٦١٤٢٦٥٣٣٠", "v1,AAAA"),
    ],
)
def test_what_is_not_signed_is_not_genuine_whatever_it_looks_like(id, timestamp, signature):
    at = dt.datetime.fromtimestamp(1614265330, dt.UTC)

    assert not model.is_genuine(model.new_secret(), id=id, timestamp=timestamp, signature=signature, body=b"{}", at=at)


@pytest.mark.parametrize(("seconds", "is_taken"), [(-300, True), (300, True), (-301, False), (301, False)])
def test_a_message_is_good_for_five_minutes_either_way(seconds, is_taken):
    secret, at = model.new_secret(), dt.datetime.fromtimestamp(1614265330, dt.UTC)
    stamp = 1614265330 + seconds

    signed = model.sign(secret, "msg_1", stamp, b"{}")

    assert model.is_genuine(secret, id="msg_1", timestamp=str(stamp), signature=f"v1,AAAA {signed}", body=b"{}", at=at) is is_taken


async def test_a_partner_is_told_that_something_happened_and_where_to_look_but_not_what(db, partner, listener, vault, courier):
    made = await register(db, vault, partner, listener.url)

    await publish(db, partner)
    await carry(courier)

    [(headers, body)] = listener.heard
    told = msgspec.json.decode(body)
    assert (told["type"], told["data"]) == ("order.answered", {"id": "sd_1", "number": "PO-1", "position": 1, "epoch": "e1"})
    assert genuine(made.secret, headers, body)
    assert (await shown(db, made, partner)).last_delivered_at is not None


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("order.approved", "order.answered"),
        ("order.rejected", "order.answered"),
        ("order.agreed", "order.answered"),
        ("order.cancellation_refused", "order.cancelled"),
        ("order.despatched", "order.despatched"),
        ("order.message", "order.message"),
    ],
)
async def test_each_kind_of_change_is_told_under_the_event_it_belongs_to(db, partner, listener, vault, courier, kind, event):
    await register(db, vault, partner, listener.url, *model.PARTNER_EVENTS)

    await publish(db, partner, kind=kind)
    await carry(courier)

    assert [msgspec.json.decode(body)["type"] for _, body in listener.heard] == [event]


async def test_nobody_is_told_what_he_does_not_listen_for_nor_what_concerns_another(db, partner, listener, vault, courier):
    other = await db.write(a_partner, "Havn Bygg AS")
    await register(db, vault, partner, listener.url, Event.ORDER_DESPATCHED)

    await publish(db, partner, kind="order.approved")
    await publish(db, other, kind="order.despatched")
    await carry(courier)

    assert listener.heard == []


async def test_a_partner_whose_tokens_have_all_been_revoked_is_told_nothing_more(db, partner, listener, vault, courier):
    await register(db, vault, partner, listener.url)
    await db.write(lambda tx: tx.execute(update(tokens).values(revoked_at=now())))

    await publish(db, partner)

    assert await states(db) == []


async def test_the_house_hears_of_its_own_events_only(db, partner, listener, vault, courier):
    await register(db, vault, None, listener.url, Event.ORDER_APPROVED, Event.ORDER_RECEIVED, Event.DRAFT_RECEIVED)

    await publish(db, partner)
    await db.write(sending.promise, None, Event.DRAFT_RECEIVED, Happened(id="sd_2", number="PO-2"))
    await db.write(sending.promise_logged, Entry(code="order.goods_received", message="x", subject="po_1", number="PO-3"))
    await carry(courier)

    told = [msgspec.json.decode(body) for _, body in listener.heard]
    assert [(one["type"], one["data"]["number"]) for one in told] == [
        ("order.approved", "PO-1"), ("draft.received", "PO-2"), ("order.received", "PO-3"),
    ]  # fmt: skip


async def test_promising_the_same_change_twice_tells_it_once(db, partner, listener, vault, courier):
    await register(db, vault, partner, listener.url)

    await publish(db, partner)
    await publish(db, partner)
    await carry(courier)

    assert len(listener.heard) == 1


async def test_messages_keep_their_order_and_bear_the_same_id_when_they_are_sent_again(db, partner, listener, vault, courier, clock):
    await register(db, vault, partner, listener.url)
    listener.statuses = [500, 404]
    for position in (1, 2, 3):
        await publish(db, partner, position)

    await carry(courier, clock)

    heard = [(headers["webhook-id"], msgspec.json.decode(body)["data"]["position"]) for headers, body in listener.heard]
    assert [position for _, position in heard] == [1, 1, 1, 2, 3]
    assert len({message for message, _ in heard}) == 3


async def test_a_message_that_is_not_liked_is_passed_over_in_the_end_and_those_behind_it_get_through(
    db, partner, listener, vault, courier, clock
):
    made = await register(db, vault, partner, listener.url)
    listener.statuses = [422] * 10
    await publish(db, partner, 1)
    await publish(db, partner, 2)

    await carry(courier, clock, turns=40)

    assert await states(db) == ["refused", "done"]
    assert len(await logged(db, "webhook.passed_over")) == 1
    assert (await shown(db, made, partner)).is_enabled


async def test_an_address_that_is_gone_is_disabled_at_once_and_aloud(db, partner, listener, vault, courier):
    made = await register(db, vault, partner, listener.url)
    listener.statuses = [410]
    await publish(db, partner, 1)
    await publish(db, partner, 2)

    await carry(courier)

    assert (len(listener.heard), await states(db)) == (1, ["refused", "done"])
    webhook = await shown(db, made, partner)
    assert (webhook.is_enabled, "410" in webhook.last_error) == (False, True)
    [entry] = await logged(db, "webhook.disabled")
    assert (entry.level, entry.partner, entry.subject) == ("error", partner, webhook.id)
    assert "/hooks" not in entry.message


async def test_after_five_days_of_failure_it_is_disabled_aloud_and_told_nothing_more(db, partner, listener, vault, courier, clock):
    made = await register(db, vault, partner, listener.url)
    listener.usual = 503
    await publish(db, partner, 1)

    await carry(courier, clock, turns=80, step=dt.timedelta(hours=4))
    await courier.sweep()
    await publish(db, partner, 2)

    webhook = await shown(db, made, partner)
    assert (webhook.is_enabled, webhook.failures > 5) == (False, True)
    assert len(await logged(db, "webhook.disabled")) == 1
    assert "ready" not in await states(db)
    assert len(await states(db)) == 1


async def test_failure_that_does_not_last_is_forgotten(db, partner, listener, vault, courier, clock):
    made = await register(db, vault, partner, listener.url)
    for position in range(1, 8):
        listener.statuses = [500]
        await publish(db, partner, position)
        await carry(courier, clock, turns=5)
        clock.shift(DAY)

    webhook = await shown(db, made, partner)
    assert (webhook.is_enabled, webhook.failing_since, webhook.failures) == (True, None, 0)


async def test_what_became_too_old_while_we_ourselves_were_away_disables_nothing(db, partner, listener, vault, courier, clock):
    made = await register(db, vault, partner, listener.url)
    await publish(db, partner)
    clock.shift(6 * DAY)

    await courier.sweep()

    assert (await shown(db, made, partner)).is_enabled
    assert len(await logged(db, "webhook.passed_over")) == 1


async def test_for_a_day_after_a_rotation_both_secrets_are_good_and_then_only_the_new_one(db, partner, listener, vault, courier, clock):
    made = await register(db, vault, partner, listener.url)
    rotated = await db.write(actions.rotate, a_caller(partner), made.webhook.id, vault)

    await publish(db, partner, 1)
    await carry(courier)
    during = [genuine(one.secret, *listener.heard[0]) for one in (made, rotated)]
    clock.shift(DAY)
    await publish(db, partner, 2)
    await carry(courier)

    after = [genuine(one.secret, *listener.heard[1]) for one in (made, rotated)]
    assert (during, after) == ([True, True], [False, True])


async def test_registering_an_address_again_gives_a_new_secret_and_a_new_start(db, partner, listener, vault, courier):
    made = await register(db, vault, partner, listener.url)
    await db.write(lambda tx: tx.execute(update(webhooks).values(is_enabled=False, disabled_at=now())))

    again = await register(db, vault, partner, listener.url, Event.ORDER_DESPATCHED)

    assert (again.webhook.id, again.webhook.is_enabled) == (made.webhook.id, True)
    assert again.webhook.events == [Event.ORDER_DESPATCHED]
    assert again.secret != made.secret


async def test_a_test_says_what_it_met_and_enables_what_gets_through_again(db, partner, listener, vault, out):
    made = await register(db, vault, partner, listener.url)
    await db.write(lambda tx: tx.execute(update(webhooks).values(is_enabled=False, disabled_at=now())))
    listener.statuses = [500]

    failed = await actions.test(db, out, vault, a_caller(partner), made.webhook.id)
    passed = await actions.test(db, out, vault, a_caller(partner), made.webhook.id)

    assert (failed.delivered, failed.status, failed.webhook.is_enabled) == (False, 500, False)
    assert (passed.delivered, passed.status, passed.webhook.is_enabled) == (True, 204, True)
    assert msgspec.json.decode(listener.heard[0][1])["type"] == "webhook.test"


async def test_a_removed_webhook_is_called_no_more(db, partner, listener, vault, courier):
    made = await register(db, vault, partner, listener.url)
    await publish(db, partner)

    await db.write(actions.remove, a_caller(partner), made.webhook.id)
    await carry(courier)

    assert (listener.heard, await states(db)) == ([], ["done"])


async def test_a_network_that_is_shut_again_is_not_called(db, partner, listener, vault):
    made = await register(db, vault, partner, listener.url)
    strict = Outbound()

    tested = await actions.test(db, strict, vault, a_caller(partner), made.webhook.id)

    await strict.close()
    assert (tested.delivered, tested.status, listener.heard) == (False, None, [])


async def test_a_waiting_lane_is_told_once_and_death_by_deadline_disables(db, partner, listener, vault, courier, clock):
    made = await register(db, vault, partner, listener.url)
    listener.usual = 500
    await publish(db, partner)
    await carry(courier, clock, turns=4)
    clock.shift(DAY)
    await courier.sweep()
    await courier.sweep()

    [target] = (await db.read(store.targets, [made.webhook.id])).values()
    claimed = await db.read(lambda tx: tx.execute(select(deliveries)).first())
    ending = outbox.Claimed(
        pk=claimed.pk, id=claimed.id, kind="hook", lane=claimed.lane, chain=claimed.chain, subject=target.id, document=claimed.document,
        traceparent=claimed.traceparent, attempt=9,
    )  # fmt: skip
    await db.write(lambda tx: courier._kinds["hook"].settle(tx, [(ending, Dead(reason="late"))]))

    assert len(await logged(db, "webhook.waiting")) == 1
    assert not (await shown(db, made, partner)).is_enabled


@pytest.fixture
async def doors(db, out):
    more = {"outbound": out, "webhook_tests": api.new_webhook_tests()}
    await db.write(our_card)
    async with company_of(db, api.routes[:-1], more=more) as company:
        yield company


async def test_a_partner_keeps_its_own_webhooks_and_sees_nobody_elses(doors, db, listener):
    nordlys, havn = await db.write(a_partner, "Nordlys"), await db.write(a_partner, "Havn")
    tokens = [await doors.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=key) for key in (nordlys, havn)]
    async with doors.caller(tokens[0].token) as mine, doors.caller(tokens[1].token) as other:
        made = await mine.post("/webhooks", json={"url": listener.url, "events": ["order.answered"]})
        path = f"/webhooks/{made.json()['webhook']['id']}"
        mine_says = [await mine.get(path), await mine.post(f"{path}/test"), await mine.get("/webhooks")]
        other_says = [await other.get(path), await other.delete(path), await other.post(f"{path}/rotate"), await other.post(f"{path}/test")]
        theirs = await other.get("/webhooks")
        removed = [await mine.delete(path), await mine.get(path)]

    assert (made.status_code, made.headers["location"]) == (201, f"/api/v1{path}")
    assert made.json()["secret"].startswith("whsec_")
    assert [one.status_code for one in mine_says] == [200, 200, 200]
    assert "secret" not in mine_says[0].text
    assert {one.status_code for one in other_says} == {404}
    assert theirs.json() == {"items": [], "next": None}
    assert [one.status_code for one in removed] == [204, 404]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://192.168.1.7/hooks", "not_https"),
        ("https://192.168.1.7/hooks", "address_not_callable"),
        ("https://169.254.169.254/latest", "address_not_callable"),
        ("https://[::1]/", "address_not_callable"),
        ("https://user:secret@nordlys.example/", "bad_address"),
        ("https://203.0.113.7:22/", "port_not_allowed"),
        ("file:///etc/passwd", "not_https"),
        ("nonsense", "not_https"),
    ],
)
async def test_an_address_that_may_not_be_called_is_refused_with_the_reason(doors, db, url, code):
    token = await doors.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=await db.write(a_partner))
    async with doors.caller(token.token) as partner:
        answer = await partner.post("/webhooks", json={"url": url, "events": ["order.answered"]})

    assert (answer.status_code, answer.json()["issues"][0]["code"]) == (422, code)


async def test_partners_and_the_house_listen_for_different_events(doors, db, listener):
    token = await doors.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=await db.write(a_partner))
    house = await doors.a_token()
    async with doors.caller(token.token) as partner, doors.caller(house.token) as ours:
        refused = [
            await partner.post("/webhooks", json={"url": listener.url, "events": ["order.answered", "draft.received"]}),
            await ours.post("/webhooks", json={"url": listener.url, "events": ["order.answered"]}),
        ]
        taken = await ours.post("/webhooks", json={"url": listener.url, "events": ["draft.received", "order.received"]})

    assert [(one.status_code, one.json()["issues"][0]["pointer"]) for one in refused] == [(422, "/events/1"), (422, "/events/0")]
    assert taken.status_code == 201


async def test_there_is_an_end_to_how_many_addresses_one_partner_may_name(doors, db, listener):
    token = await doors.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=await db.write(a_partner))
    async with doors.caller(token.token) as partner:
        answers = [
            await partner.post("/webhooks", json={"url": f"{listener.url}/{at}", "events": ["order.answered"]})
            for at in range(model.MAX_WEBHOOKS + 1)
        ]

    assert [one.status_code for one in answers] == [201] * model.MAX_WEBHOOKS + [409]


async def test_a_supplier_at_whom_we_cannot_register_is_told_of_once_and_tried_again(db, out, vault, clock):
    sealed = vault.seal("pst_x")
    scopes = '["PurchaseOrders:Create"]'
    partner = {"endpoint": "http://127.0.0.1:1", "trust": "admin", "token": sealed, "token_scopes": scopes}
    await db.write(lambda tx: (a_partner(tx, "Fjord", **partner), a_partner(tx, "Havn")))
    settings = Settings(public_url="https://nordlys.example")

    for _ in range(3):
        await inbox.keep(db, out, vault, settings)
        clock.shift(dt.timedelta(minutes=20))

    [entry] = await logged(db, "inbox.not_registered")
    assert (entry.level, "go on asking by the clock" in entry.message) == ("warning", True)
    assert [one.name for one in await db.read(store.due, "https://nordlys.example", 10)] == ["Fjord"]


async def test_without_a_public_address_nothing_is_registered(db, out, vault):
    await db.write(lambda tx: a_partner(tx, endpoint="http://127.0.0.1:1", trust="admin", token=vault.seal("pst_x"), token_scopes=""))

    await inbox.keep(db, out, vault, Settings(public_url=""))

    assert await logged(db, "inbox.not_registered") == []


async def test_a_partner_does_not_learn_from_us_what_a_name_means_in_our_network(db, vault):
    async def resolve(host: str, _: int) -> list[Any]:
        return [ip_address("10.0.0.7")] if host.startswith("inside") else []

    out = Outbound(allowed_networks=[], resolve=resolve)
    await db.write(our_card)
    partner = await db.write(a_partner)
    async with company_of(db, api.routes[:-1], more={"outbound": out, "webhook_tests": api.new_webhook_tests(), "vault": vault}) as doors:
        token, ours = await doors.a_token(Scope.PURCHASE_ORDERS_CREATE, partner=partner), await doors.a_token()
        hosts = ("inside.example", "nowhere.example")
        wanted = [{"url": f"https://{host}/", "events": ["order.answered"]} for host in hosts]
        async with doors.caller(token.token) as theirs, doors.caller(ours.token) as house:
            to_partner = [await theirs.post("/webhooks", json=one) for one in wanted]
            to_house = [await house.post("/webhooks", json=one | {"events": ["draft.received"]}) for one in wanted]
            sealed, events = vault.seal(model.new_secret()), [Event.ORDER_ANSWERED]
            made = [
                (await db.write(store.put, partner=partner, url=one["url"], events=events, sealed=sealed, actor="x"))[0] for one in wanted
            ]
            tested = [await theirs.post(f"/webhooks/{hook}/test") for hook in made]
        nobody: Any = None
        for hook in made:
            target = (await db.read(store.targets, [hook]))[hook]
            reason = "private_address" if "inside" in target.url else "dns"
            await db.write(lambda tx, t=target, r=reason: sending._settle(tx, t, nobody, Later(reason=r, detail=f"It is {r}.")))
        shown = [await db.read(store.one, partner, hook) for hook in made]
    await out.close()

    assert [one.json()["issues"][0]["code"] for one in to_partner] == ["address_not_callable"] * 2
    assert len({one.json()["issues"][0]["message"] for one in to_partner}) == 1
    assert [one.json()["issues"][0]["code"] for one in to_house] == ["private_address", "dns"]
    assert len({one.last_error for one in shown}) == 1
    assert {one.status_code for one in tested} == {200}
    assert len({one.json()["sentence"] for one in tested}) == 1
