"""Every operation of the contract, really asked once, by two companies that trade; `python -m tests.house.examples` writes it down."""

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from sqlalchemy import select, update

from prodsys import app, tables
from prodsys.alerts import actions as alerts
from prodsys.kit.clock import now
from prodsys.kit.web import write_openapi
from prodsys.scopes import CONSOLE
from prodsys.upkeep import upgrade
from prodsys.users import inviting, signing_in
from prodsys.users.store import people
from prodsys.webhooks import model as webhooks
from tests.house.examples_of_connections import connections
from tests.rooms.mailbox import mail_server
from tests.stories.company import FJORD, NORDLYS, Company, running

FILE = Path(__file__).parents[2] / "openapi" / "examples.json"

_HEADERS_SHOWN = ("content-type", "location", "etag")
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_CURSOR = "WyJvcmRlcnMiLDQyXQ"
_BOLT = {"number": "A-400", "name": "Bolt M10x50", "unit": "H87", "price": "2.10", "currency": "NOK", "gtin": "7038010000027"}
_CSV = "text/csv"


class Recorder:
    """Who asks, and remembers the first answer of every operation."""

    def __init__(self, contract: dict[str, Any]) -> None:
        self.kept: dict[str, Any] = {}
        self.http = httpx2.AsyncClient(timeout=30)
        self.operations = {
            (method.upper(), path): operation["operationId"]
            for path, methods in contract["paths"].items()
            for method, operation in methods.items()
        }

    async def ask(
        self,
        company: Company,
        method: str,
        template: str,
        *,
        token: str | None = "",
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
        **path: str,
    ) -> httpx2.Response:
        """Send a request and keep it; the house asks unless a token says otherwise (None: nobody)."""
        known = template if template.startswith(("/health", "/metrics")) else f"/api/v1{template}"
        operation = self.operations[method, known]
        bearer = company.token if token == "" else token
        sent = dict(headers or {})
        content = None
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        allowed = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        address = company.url + known.format(**path)
        answer = await self.http.request(method, address, params=query, headers=allowed | sent, content=content)
        assert answer.status_code < 300, f"{operation}: {answer.status_code} {answer.text}"
        asked = {"method": method, "path": path, "query": query, "headers": headers, "body": body}
        shown = {name: answer.headers[name] for name in _HEADERS_SHOWN if name in answer.headers}
        is_json = shown.get("content-type") == "application/json"
        told = {"status": answer.status_code, "headers": shown, "body": answer.json() if is_json else answer.text or None}
        if operation not in self.kept:
            self.kept[operation] = {
                "request": {name: value for name, value in asked.items() if value not in (None, {})},
                "answer": {name: value for name, value in told.items() if value is not None},
            }
        return answer

    async def read(self, *args: Any, **more: Any) -> Any:
        """The document of the answer."""
        return (await self.ask(*args, **more)).json()


class Spelling:
    """What differs each time, spelled the same each time: ids, moments, secrets, addresses."""

    def __init__(self, fjord: Company, nordlys: Company) -> None:
        self._known: dict[str, str] = {fjord.url: "https://fjord.example", nordlys.url: "https://nordlys.example"}
        self._hosts = re.compile(r"http://127\.0\.0\.1:\d+")
        self._began = now()

    def of(self, value: Any, name: str = "") -> Any:
        """A document with everything in it that is not the same each time put in a stable way."""
        match value:
            case dict():
                return {key: self.of(inner, key) for key, inner in value.items()}
            case list():
                return [self.of(inner) for inner in value]
            case str() if name in ("next", "after") and value.startswith(_CURSOR[:2]):
                return _CURSOR
            case str() if name == "claimed_from" and value:
                return "203.0.113.7"
            case str() if name == "host":
                return "fjord.example"
            case str() if name == "webhook-timestamp":
                return "1795255200"
            case str() if name == "claim":
                return "Zm9yIG9uZSB1c2Ugb24"
            case str():
                return self._text(value)
            case int() if name == "milliseconds":
                return 12
            case _:
                return value

    def _text(self, text: str) -> str:
        text = self._hosts.sub(lambda url: self._known.get(url[0], "https://elsewhere.example"), text)
        text = re.sub(r"127\.0\.0\.1(:|%3A)\d+", "fjord.example", text)
        text = text.replace('"127.0.0.1"', '"203.0.113.7"')
        text = re.sub(r"\bstate=[\w-]{43}", "state=t1esTheSignInsEndToItsBeginning0000000000000", text)
        text = re.sub(r"prodsys1:[\w-]+", "prodsys1:eyJ1cmwiOiJodHRwczovL2Zqb3JkLmV4YW1wbGUifQ", text)
        text = re.sub(r"pst_\w{8}_\w{32}_\w{6}", "pst_aShownIt_onceOnlyThisOneOpensNothingAtAll0_000000", text)
        text = re.sub(r"whsec_[\w+/=]+", "whsec_c2hvd24gb25jZSwgc2lnbnMgbm90aGluZyBhdCBhbGw=", text)
        text = re.sub(r"\bv1,[\w+/=]+", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", text)
        text = re.sub(r"\b([a-z]{2}_)?0[0-9A-HJKMNP-TV-Z]{25}\b", self._id, text)
        text = re.sub(r"\b[0-9a-f]{64}\b", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", text)
        text = re.sub(r"\b[0-9a-f]{32}\b", self._trace, text)
        text = re.sub(r"\.[0-9a-f]{16}\"", '.5d41402abc4b2a76"', text)
        text = re.sub(r"\b[0-9a-f]{16}\b", "00f067aa0ba902b7", text)
        text = _SECONDS.sub(self._moment, text)
        text = re.sub(r"\b20\d\d-\d\d-\d\d\b", self._day, text)
        return re.sub(r"\b1[78]\d{14}\b", "1795255200000000", text)

    def _day(self, found: re.Match[str]) -> str:
        return "2026-11-21" if found[0] <= (self._began + dt.timedelta(days=1)).date().isoformat() else "2027-02-19"

    def _id(self, found: re.Match[str]) -> str:
        prefix = found[1] or ""
        count = sum(known.startswith(prefix) for known in self._known)
        return self._known.setdefault(found[0], f"{prefix}01KANQ{count:020d}")

    def _trace(self, found: re.Match[str]) -> str:
        return self._known.setdefault(found[0], f"4bf92f3577b34da6a3ce929d{len(self._known):08x}")

    def _moment(self, found: re.Match[str]) -> str:
        days = (msgspec.convert(found[0], type(self._began)) - self._began).total_seconds() / 86_400
        return "2026-11-21T10:15:00Z" if days < 1 else "2027-02-19T10:15:00Z"


@contextlib.asynccontextmanager
async def _mailing(home: Path) -> AsyncIterator[Company]:
    """The supplier, with a mail server."""
    with mail_server() as box:
        async with running(FJORD, f"sqlite:///{home}/fjord/prodsys.db", home / "fjord", **box.knobs()) as fjord:
            yield fjord


async def collected(home: Path) -> dict[str, Any]:
    """Every operation's request and answer, spelled the same each time, by operation id."""
    for name in ("fjord", "nordlys"):
        (home / name).mkdir()
        upgrade.upgrade(f"sqlite:///{home / name / 'prodsys.db'}")
    async with (
        contextlib.AsyncExitStack() as stack,
        _mailing(home) as fjord,
        running(NORDLYS, f"sqlite:///{home}/nordlys/prodsys.db", home / "nordlys", undo_seconds=3600) as nordlys,
    ):
        contract = msgspec.json.decode(write_openapi(app.create_app(fjord.instance)))
        recorder = Recorder(contract)
        stack.push_async_callback(recorder.http.aclose)
        await _our_own_house(recorder, fjord)
        token, partner = await _connect(recorder, fjord, nordlys)
        await _push(recorder, fjord, nordlys, token)
        await _catalogue(recorder, fjord, token)
        await _their_catalogue(recorder, nordlys, partner)
        await _contacts(recorder, fjord, nordlys, token)
        await _buy(recorder, fjord, nordlys, partner)
        await _send_a_file(recorder, fjord, token)
        await _order_directly(recorder, fjord, token)
        await _wishes(recorder, fjord, token)
        await _sell(recorder, fjord)
        await _go_on(recorder, fjord, token)
        await _agree(recorder, fjord, nordlys, partner)
        await _compare_books(recorder, fjord, nordlys, partner, token)
        await _by_mail(recorder, fjord)
        await connections(recorder, fjord)
        await _look_after_it(recorder, fjord, nordlys, partner)
        await _leave_alone(recorder, nordlys)
        spelling = Spelling(fjord, nordlys)
        missing = sorted(set(recorder.operations.values()) - set(recorder.kept))
        assert not missing, f"No example of {', '.join(missing)}."
        return {name: spelling.of(kept) for name, kept in sorted(recorder.kept.items())}


@contextlib.asynccontextmanager
async def _a_mail_server() -> AsyncIterator[int]:
    """The port of a mail server that takes every mail and keeps none."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        in_mail = False
        while said := await reader.readline():
            word = said.strip().upper()
            if in_mail and word != b".":
                continue
            in_mail = word == b"DATA"
            writer.write(b"354 go on\r\n" if in_mail else b"221 bye\r\n" if word == b"QUIT" else b"250 yes\r\n")
            if word == b"QUIT":
                break
        writer.close()

    async with await asyncio.start_server(converse, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _our_own_house(r: Recorder, fjord: Company) -> None:
    await r.ask(fjord, "GET", "/health/live", token=None)
    await r.ask(fjord, "GET", "/health/ready", token=None)
    company = await r.ask(fjord, "GET", "/company")
    card = msgspec.to_builtins(FJORD) | {"phone": "+47 55 00 00 00"}
    await r.ask(fjord, "PUT", "/company", headers={"If-Match": company.headers["etag"]}, body=card)
    await r.ask(fjord, "GET", "/modules")
    await r.ask(fjord, "PUT", "/modules/{name}", name="prodsys-to-prodsys", body={"is_on": True})
    person = {"email": "ola@fjord.example", "name": "Ola Fjord", "password": "a long and easy sentence", "scopes": ["SalesOrders:Read"]}
    ola = await r.read(fjord, "POST", "/users", body=person)
    listens = await r.read(fjord, "POST", "/subscriptions", body={"subject": "new_draft", "pace": "daily", "hour": 6, "user": ola["id"]})
    await r.ask(fjord, "GET", "/subscriptions", query={"user": ola["id"]})
    await r.ask(fjord, "DELETE", "/subscriptions/{id}", id=listens["id"])
    await r.ask(fjord, "POST", "/alerts/test-mail", body={"to": ola["email"]})
    await r.ask(fjord, "GET", "/users", query={"limit": 10})
    await _people(r, fjord, ola)
    signed_in = await r.read(fjord, "POST", "/sessions", token=None, body={name: person[name] for name in ("email", "password")})
    await _own_account(r, fjord, person, signed_in["token"])
    signed_in = await r.read(
        fjord, "POST", "/sessions", token=None, body={"email": person["email"], "password": str(person["password"]) + "!"}
    )
    await r.ask(fjord, "DELETE", "/sessions/current", token=signed_in["token"])


async def _people(r: Recorder, fjord: Company, ola: dict[str, Any]) -> None:
    read = await r.ask(fjord, "GET", "/users/{id}", id=ola["id"])
    patch = {"name": "Ola F. Fjord", "language": "nb"}
    await r.ask(fjord, "PATCH", "/users/{id}", id=ola["id"], headers={"If-Match": read.headers["etag"]}, body=patch)
    desk = await r.read(fjord, "POST", "/groups", body={"name": "Order desk", "role": "seller"})
    await r.ask(fjord, "GET", "/groups")
    read = await r.ask(fjord, "GET", "/groups/{id}", id=desk["id"])
    await r.ask(fjord, "PATCH", "/groups/{id}", id=desk["id"], headers={"If-Match": read.headers["etag"]}, body={"scopes": ["Tokens:Read"]})
    await r.ask(fjord, "PUT", "/groups/{id}/members/{user}", id=desk["id"], user=ola["id"])
    await r.ask(fjord, "DELETE", "/groups/{id}/members/{user}", id=desk["id"], user=ola["id"])
    invited = {"email": "kari@fjord.example", "name": "Kari Fjord", "groups": [desk["id"]], "language": "nb"}
    kari = (await r.read(fjord, "POST", "/users/invitations", body=invited))["user"]
    await r.ask(fjord, "POST", "/users/{id}/link", id=kari["id"])
    await r.ask(fjord, "POST", "/passwords/forgotten", token=None, body={"email": "nobody@fjord.example"})
    code = await fjord.db.write(inviting.new_link, CONSOLE, kari["id"])
    await r.ask(fjord, "POST", "/passwords", token=None, body={"code": code.code, "password": "a long and easy sentence"})
    await r.ask(fjord, "DELETE", "/groups/{id}", id=desk["id"])


async def _own_account(r: Recorder, fjord: Company, person: dict[str, Any], token: str) -> None:
    await r.ask(fjord, "GET", "/me", token=token)
    await r.ask(fjord, "PATCH", "/me", token=token, body={"language": "nb", "theme": "dark"})
    known = await fjord.db.read(people.by_email, str(person["email"]))
    assert known is not None
    browser = await fjord.db.write(signing_in.open_session, known, address="203.0.113.7", user_agent="Firefox/131.0 Linux")
    await r.ask(fjord, "GET", "/sessions", token=token)
    await r.ask(fjord, "DELETE", "/sessions/{id}", token=token, id=browser.id)
    changed = {"current": person["password"], "password": str(person["password"]) + "!"}
    await r.ask(fjord, "PUT", "/me/password", token=token, body=changed)


async def _connect(r: Recorder, fjord: Company, nordlys: Company) -> tuple[str, str]:
    """The partner's token at the supplier, and the supplier's id at the buyer."""
    buyer = {"name": "Nordlys Mekaniske AS", "organisation_number": "987654325", "expires_in_days": 90}
    handed = await r.read(fjord, "POST", "/partners/with-token", headers={"Idempotency-Key": "nordlys-1"}, body=buyer)
    theirs = handed["partner"]["id"]
    bundle = handed["token"]["bundle"]
    await r.ask(nordlys, "POST", "/partners/bundle/look", body={"bundle": bundle})
    added = await r.read(nordlys, "POST", "/partners", body={"bundle": bundle})
    partner = added["id"]
    await r.ask(nordlys, "POST", "/partners/{id}/sync", id=partner)
    await r.ask(nordlys, "POST", "/partners/{id}/test", id=partner)
    await r.ask(nordlys, "GET", "/partners/{id}/compare", id=partner)
    settled = {"about": "them", "members": ["phone"], "hold": "theirs"}
    await r.ask(nordlys, "POST", "/partners/{id}/settle", id=partner, body=settled)
    await r.ask(nordlys, "GET", "/partners", query={"limit": 10})
    asked = await r.ask(fjord, "GET", "/partners/{id}", id=theirs)
    rules = {"may_rotate": True, "when_unknown": "hold", "price_tolerance": "2.5"}
    await r.ask(fjord, "PATCH", "/partners/{id}", id=theirs, headers={"If-Match": asked.headers["etag"]}, body=rules)
    wanted = {"name": "Nordlys", "partner": theirs, "scopes": handed["token"]["scopes"], "expires_in_days": 90}
    token = (await r.read(fjord, "POST", "/tokens", body=wanted))["token"]
    await r.ask(nordlys, "PUT", "/partners/{id}/token", id=partner, body={"url": fjord.url, "token": token})
    await r.ask(nordlys, "POST", "/partners/{id}/renew", id=partner)
    await r.ask(fjord, "GET", "/tokens", query={"partner": theirs, "limit": 10})
    spare = await r.read(fjord, "POST", "/tokens", body=wanted | {"name": "Spare", "bundle": True})
    packed = spare["bundle"].removeprefix("prodsys1:")
    claim = json.loads(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))["claim"]
    await r.ask(fjord, "POST", "/claims", token=None, body={"claim": claim})
    await r.ask(fjord, "GET", "/tokens/{id}", id=spare["id"])
    await r.ask(fjord, "POST", "/tokens/{id}/rotate", id=spare["id"], body={"overlap_days": 7})
    await r.ask(fjord, "POST", "/tokens/{id}/revoke", id=spare["id"])
    direct = await r.read(fjord, "POST", "/tokens", body=wanted | {"name": "By hand"})
    await r.ask(fjord, "POST", "/token/rotate", token=direct["token"])
    return str(direct["token"]), str(partner)


async def _push(r: Recorder, fjord: Company, nordlys: Company, token: str) -> None:
    """The buyer's inbox, which his instance has registered by itself, is registered once more by hand, tested, and knocked at."""

    async def registered() -> Any:
        ours = select(tables.inbox_registrations).where(tables.inbox_registrations.c.sealed.is_not(None))
        return await nordlys.db.read(lambda tx: tx.execute(ours).first())

    inbox = await nordlys.in_time(registered)
    wanted = {"url": f"{nordlys.url}/api/v1/inbox/{inbox.id}", "events": ["order.answered", "order.despatched", "order.cancelled"]}
    made = await r.read(fjord, "POST", "/webhooks", token=token, headers={"Idempotency-Key": "inbox-1"}, body=wanted)
    id = made["webhook"]["id"]  # noqa: A001 - the word of the address
    await r.ask(fjord, "POST", "/webhooks/{id}/test", token=token, id=id)
    await r.ask(fjord, "GET", "/webhooks", token=token)
    await r.ask(fjord, "GET", "/webhooks/{id}", token=token, id=id)
    await r.ask(fjord, "POST", "/webhooks/{id}/rotate", token=token, id=id)
    await r.ask(fjord, "DELETE", "/webhooks/{id}", token=token, id=id)
    body = {
        "type": "order.answered",
        "timestamp": f"{now():%Y-%m-%dT%H:%M:%SZ}",
        "data": {"id": "sd_01KANQ0000000000000000000A", "number": "PO-1042", "position": 1, "epoch": "01KANQ0000000000000000000B"},
    }
    stamp = int(now().timestamp())
    signature = webhooks.sign(nordlys.instance.vault.unseal(inbox.sealed), "dl_1", stamp, json.dumps(body).encode())
    signed = {"webhook-id": "dl_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}
    await r.ask(nordlys, "POST", "/inbox/{id}", token=None, id=inbox.id, headers=signed, body=body)


async def _catalogue(r: Recorder, fjord: Company, token: str) -> None:
    [partner] = (await r.read(fjord, "GET", "/partners"))["items"]
    made = await r.ask(fjord, "POST", "/articles", headers={"Idempotency-Key": "a-400"}, body=_BOLT)
    table = "number,name,unit,price,currency\nA-100,Bolt M8x40,H87,1.30,NOK\nA-200,Nut M8,H87,0.45,NOK\n"
    await r.ask(fjord, "POST", "/articles/import", headers={"Content-Type": _CSV}, body=table)
    bolt = made.json()["id"]
    await r.ask(fjord, "GET", "/articles/{id}", id=bolt)
    lead = _BOLT | {"lead_time_days": 5}
    await r.ask(fjord, "PUT", "/articles/{id}", id=bolt, headers={"If-Match": made.headers["etag"]}, body=lead)
    await r.ask(fjord, "GET", "/articles", token=token, query={"limit": 2})
    await r.ask(fjord, "POST", "/articles/match", token=token, body={"numbers": ["A-100", "a-100", "B-7"]})
    numbers = {"numbers": [{"supplier": partner["id"], "number": "4711"}]}
    await r.ask(fjord, "PUT", "/articles/{id}/supplier-numbers", id=bolt, body=numbers)
    await r.ask(fjord, "GET", "/articles/{id}/supplier-numbers", id=bolt)
    await r.ask(fjord, "PUT", "/partners/{id}/articles", id=partner["id"], body={"numbers": ["A-100", "A-200"]})
    price = {"partner": partner["id"], "article_number": "A-100", "price": "1.25", "currency": "NOK", "from_quantity": "1000"}
    agreed = await r.read(fjord, "POST", "/agreed-prices", body=price)
    await r.ask(fjord, "GET", "/agreed-prices", query={"partner": partner["id"]})
    await r.ask(fjord, "DELETE", "/agreed-prices/{id}", id=agreed["id"])
    rows = f"partner,article_number,price,currency,from_quantity\n{partner['id']},A-100,1.30,NOK,1\n"
    await r.ask(fjord, "POST", "/agreed-prices/import", headers={"Content-Type": _CSV}, body=rows)


async def _their_catalogue(r: Recorder, nordlys: Company, partner: str) -> None:
    ours = await nordlys.call("POST", "/articles", json={"number": "4711", "name": "Bolt M8x40", "unit": "H87"})
    await nordlys.call("PUT", f"/articles/{ours['id']}/supplier-numbers", json={"numbers": [{"supplier": partner, "number": "A-10"}]})
    await r.ask(nordlys, "POST", "/catalogue/pull", body={"partner": partner})

    async def was_read() -> Any:
        return (await nordlys.call("GET", "/catalogue", params={"partner": partner}))["items"]

    await nordlys.in_time(was_read)
    await r.ask(nordlys, "GET", "/catalogue", query={"partner": partner, "limit": 10})
    await r.ask(nordlys, "GET", "/catalogue/readings")
    await r.ask(nordlys, "GET", "/catalogue/mismatches", query={"partner": partner})
    fix = {"partner": partner, "fixes": [{"article": ours["id"], "number": "A-100"}]}
    await r.ask(nordlys, "POST", "/catalogue/fix", headers={"Idempotency-Key": "fix-1"}, body=fix)


async def _contacts(r: Recorder, fjord: Company, nordlys: Company, token: str) -> None:
    card = {"name": "Havn Bygg AS", "organisation_number": "974760673", "email": "post@havn.example", "is_customer": True}
    made = await r.ask(nordlys, "POST", "/contacts", headers={"Idempotency-Key": "havn"}, body=card)
    contact = made.json()["id"]
    await r.ask(nordlys, "GET", "/contacts/{id}", id=contact)
    put = await r.ask(
        nordlys, "PUT", "/contacts/{id}", id=contact, headers={"If-Match": made.headers["etag"]}, body=card | {"phone": "+47 1"}
    )
    await r.ask(
        nordlys, "PATCH", "/contacts/{id}", id=contact, headers={"If-Match": put.headers["etag"]}, body={"phone": "+47 51 00 00 01"}
    )
    await r.ask(nordlys, "GET", "/contacts", query={"q": "hav", "limit": 10})
    await r.ask(nordlys, "POST", "/contacts/{id}/block", id=contact)
    await r.ask(nordlys, "POST", "/contacts/{id}/unblock", id=contact)
    rows = "name,organisation_number,email\nHavn Bygg Avd. Nord AS,,nord@havn.example\n"
    await r.ask(nordlys, "POST", "/contacts/import", query={"role": "customer"}, headers={"Content-Type": _CSV}, body=rows)
    await r.ask(nordlys, "GET", "/contacts/duplicates")
    [branch] = (await r.read(nordlys, "GET", "/contacts", query={"q": "havn bygg avd"}))["items"]
    await r.ask(nordlys, "GET", "/contacts/{id}/similar", id=contact)
    await r.ask(nordlys, "POST", "/contacts/{id}/merge", id=branch["id"], body={"into": contact, "fill_gaps": True})
    await r.ask(fjord, "POST", "/contacts/match", token=token, body=msgspec.to_builtins(NORDLYS))


async def _wishes(r: Recorder, fjord: Company, token: str) -> None:
    """What a partner would have changed in its own record, which its first order has made."""
    wish = {"name": "Nordlys Mekaniske AS", "organisation_number": "987654325", "phone": "+47 51 00 00 02"}
    for phone in ("+47 51 00 00 02", "+47 51 00 00 03"):
        await r.ask(fjord, "POST", "/contacts", token=token, body=wish | {"phone": phone})
        [proposal] = (await r.read(fjord, "GET", "/contacts/proposals"))["items"]
        what = "accept" if phone.endswith("02") else "decline"
        await r.ask(fjord, "POST", f"/contacts/proposals/{{id}}/{what}", id=proposal["id"])


async def _buy(r: Recorder, fjord: Company, nordlys: Company, partner: str) -> None:
    line = {"article_number": "A-100", "description": "Bolt M8x40", "quantity": "1200", "unit": "H87", "unit_price": "1.30"}
    order = {"partner": partner, "date": "2026-11-21", "currency": "NOK", "buyer_reference": "Prosjekt 77", "lines": [line]}
    made = await r.ask(nordlys, "POST", "/purchasing/orders", headers={"Idempotency-Key": "prosjekt-77"}, body=order)
    written_down = made.json()["id"]
    await r.ask(nordlys, "GET", "/purchasing/orders/{id}", id=written_down)
    kept = {"line_id": made.json()["lines"][0]["line_id"], **line}
    more = order | {"note": "Please call before delivery."} | {"lines": [kept]}
    await r.ask(nordlys, "PUT", "/purchasing/orders/{id}", id=written_down, headers={"If-Match": made.headers["etag"]}, body=more)
    copy = await r.ask(nordlys, "POST", "/purchasing/orders/{id}/copy", id=written_down)
    await r.ask(nordlys, "DELETE", "/purchasing/orders/{id}", id=copy.json()["id"], headers={"If-Match": copy.headers["etag"]})
    head = "number,supplier,date,currency,supplier_article_number,quantity,unit,unit_price"
    rows = f"{head}\nPO-7001,{partner},2026-11-21,NOK,A-200,50,H87,0.45\n"
    await r.ask(nordlys, "POST", "/purchasing/orders/import", headers={"Content-Type": _CSV}, body=rows)
    await r.ask(nordlys, "GET", "/purchasing/orders", query={"delivery": "not_sent", "limit": 10})
    await r.ask(nordlys, "GET", "/purchasing/orders/totals", query={"delivery": "not_sent"})
    await r.ask(nordlys, "POST", "/exports/preview", body={"orders": [written_down]})
    export = await r.read(nordlys, "POST", "/exports", headers={"Idempotency-Key": "export-1"}, body={"orders": [written_down]})

    async def ended() -> Any:
        return (await nordlys.call("GET", f"/exports/{export['id']}"))["is_settled"]

    await nordlys.in_time(ended)
    await r.ask(nordlys, "GET", "/exports/{id}/events", id=export["id"])
    await r.ask(nordlys, "GET", "/exports/{id}", id=export["id"])
    await r.ask(nordlys, "POST", "/exports/{id}/stop", id=export["id"])
    await r.ask(nordlys, "GET", "/exports", query={"limit": 10})
    await r.ask(nordlys, "POST", "/purchasing/orders/{id}/refresh", id=written_down)


async def _send_a_file(r: Recorder, fjord: Company, token: str) -> None:
    content = "test"
    name = hashlib.sha256(content.encode()).hexdigest()
    kind = {"Content-Type": "application/octet-stream"}
    await r.ask(fjord, "PUT", "/attachments/{sha256}", token=token, sha256=name, headers=kind, body=content)
    await r.ask(fjord, "GET", "/attachments/{sha256}", token=token, sha256=name)


async def _order_directly(r: Recorder, fjord: Company, token: str) -> None:
    line = {"line_id": "10", "article_number": "A-100", "quantity": "1200", "unit": "H87", "unit_price": "129.50", "price_quantity": "100"}
    order = {
        "number": "PO-1042",
        "revision": 1,
        "date": "2026-11-21",
        "currency": "NOK",
        "buyer": msgspec.to_builtins(NORDLYS),
        "lines": [line],
    }
    receipt = await r.read(fjord, "POST", "/purchase-orders", token=token, body=order)
    unknown = order | {"number": "PO-1043", "lines": [line | {"article_number": "B-7", "unit_price": "2.00", "price_quantity": "1"}]}
    await r.ask(fjord, "POST", "/purchase-orders/preview", token=token, body={"orders": [unknown]})
    many = [{"order": order, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, {"order": unknown}]
    await r.ask(fjord, "POST", "/purchase-orders/batch", token=token, body={"orders": many})
    await r.ask(fjord, "GET", "/purchase-orders", token=token, query={"number": "PO-1042", "revision": 1})
    await r.ask(fjord, "GET", "/purchase-orders/{order_id}", token=token, order_id=receipt["id"])
    await r.ask(fjord, "GET", "/purchase-orders/changes", token=token, query={"limit": 1})


async def _sell(r: Recorder, fjord: Company) -> None:
    drafts = await r.read(fjord, "GET", "/sales/drafts", query={"limit": 10})
    by_number = {draft["number"]: draft for draft in drafts["items"]}
    clean, held = by_number["PO-1042"], by_number["PO-1043"]
    [exported] = [draft for number, draft in by_number.items() if number not in ("PO-1042", "PO-1043")]
    await r.ask(fjord, "GET", "/sales/drafts/{order_id}", order_id=clean["id"])
    await r.ask(fjord, "GET", "/sales/drafts/{order_id}/suggestions", order_id=held["id"])
    [nut] = (await r.read(fjord, "GET", "/articles", query={"number": "A-200"}))["items"]
    meant = {"line_id": "10", "article": nut["id"]}
    matched = await r.ask(
        fjord, "POST", "/sales/drafts/{order_id}/match", order_id=held["id"], headers={"If-Match": held["etag"]}, body=meant
    )
    settled = await r.ask(
        fjord,
        "POST",
        "/sales/drafts/{order_id}/buyer",
        order_id=held["id"],
        headers={"If-Match": matched.headers["etag"]},
        body={"use": "ours"},
    )
    taken = await r.ask(fjord, "POST", "/sales/drafts/{order_id}/take", order_id=held["id"], headers={"If-Match": settled.headers["etag"]})
    matched = await r.ask(
        fjord, "POST", "/sales/drafts/{order_id}/release", order_id=held["id"], headers={"If-Match": taken.headers["etag"]}
    )
    [mapping] = (await r.read(fjord, "GET", "/mappings"))["items"]
    await r.ask(fjord, "GET", "/mappings/{id}", id=mapping["id"])
    await r.ask(fjord, "POST", "/mappings/{id}/undo", id=mapping["id"])
    approved = await r.ask(fjord, "POST", "/sales/drafts/{order_id}/approve", order_id=clean["id"], headers={"If-Match": clean["etag"]})
    await r.ask(fjord, "POST", "/sales/drafts/{order_id}/undo", order_id=clean["id"], headers={"If-Match": approved.headers["etag"]})
    reason = {"reason": "Sold out until May."}
    await r.ask(
        fjord,
        "POST",
        "/sales/drafts/{order_id}/reject",
        order_id=held["id"],
        headers={"If-Match": matched.headers["etag"]},
        body=reason,
    )
    await r.ask(fjord, "POST", "/sales/drafts/approve", body={"drafts": [{"id": exported["id"], "etag": exported["etag"]}]})
    await r.ask(fjord, "GET", "/sales/orders", query={"limit": 10})


async def _go_on(r: Recorder, fjord: Company, token: str) -> None:
    """What may still happen to an order: another answer, a change, a cancellation, a word, a despatch."""
    line = {"line_id": "10", "article_number": "A-100", "quantity": "12", "unit": "H87", "unit_price": "1.30"}

    async def sent(number: str, revision: int = 1, quantity: str = "12") -> dict[str, Any]:
        buyer, lines = msgspec.to_builtins(NORDLYS), [line | {"quantity": quantity}]
        order = {"number": number, "revision": revision, "date": "2026-11-21", "currency": "NOK", "buyer": buyer, "lines": lines}
        receipt = await r.read(fjord, "POST", "/purchase-orders", token=token, body=order)
        draft: dict[str, Any] = (await r.read(fjord, "GET", "/sales/drafts/{order_id}", order_id=receipt["id"]))["summary"]
        return draft

    async def act(draft: dict[str, Any], what: str, body: Any = None) -> Any:
        current = (await r.read(fjord, "GET", "/sales/drafts/{order_id}", order_id=draft["id"]))["summary"]["etag"]
        path = f"/sales/drafts/{{order_id}}/{what}"
        return await r.read(fjord, "POST", path, order_id=draft["id"], headers={"If-Match": current}, body=body)

    async def has_left(draft: dict[str, Any]) -> Any:
        async def answered() -> Any:
            return (await r.read(fjord, "GET", "/purchase-orders/{order_id}", token=token, order_id=draft["id"]))["answer"]

        return await fjord.in_time(answered)

    changed = await sent("PO-2001")
    less = {"line_id": "10", "action": "3", "deliveries": [{"quantity": "10", "date": "2036-12-05"}], "reason_code": "out_of_stock"}
    await act(changed, "answer", {"lines": [less], "reason": "The rest is sold out."})
    word = {"answer": await has_left(changed), "accepts": True}
    await r.ask(fjord, "POST", "/purchase-orders/{order_id}/acceptance", token=token, order_id=changed["id"], body=word)
    said = {"id": "ms_01KANQ0000000000000000000A", "text": "Please pack them in one box.", "author": "Kari Nordmann"}
    await r.ask(fjord, "POST", "/purchase-orders/{order_id}/messages", token=token, order_id=changed["id"], body=said)
    await r.ask(fjord, "POST", "/sales/drafts/{order_id}/messages", order_id=changed["id"], body={"text": "We will."})

    for number, what, reason in (("PO-2002", "accept", None), ("PO-2003", "refuse", {"reason": "It is packed already."})):
        draft = await sent(number)
        why = {"reason": "Ordered twice."}
        await r.ask(fjord, "POST", "/purchase-orders/{order_id}/cancellation", token=token, order_id=draft["id"], body=why)
        await r.ask(fjord, "GET", "/sales/cancellations")
        await act(draft, f"cancellation/{what}", reason)

    for number, what in (("PO-2004", "apply"), ("PO-2005", "keep")):
        first = await sent(number)
        await act(first, "approve")
        await has_left(first)
        second = await sent(number, 2, "20")
        await r.ask(fjord, "GET", "/sales/drafts/{order_id}/diff", order_id=second["id"])
        await act(second, what)

    shipped = await sent("PO-2006")
    await act(shipped, "approve")
    await has_left(shipped)
    await r.ask(fjord, "GET", "/sales/orders/{order_id}/picking-list", order_id=shipped["id"])
    parcel = {"lines": [{"line_id": "10", "quantity": "12"}], "carrier": "Posten", "tracking_number": "370722150008"}
    await r.ask(fjord, "POST", "/sales/orders/{order_id}/despatches", order_id=shipped["id"], body=parcel)
    await r.ask(fjord, "GET", "/sales/orders/{order_id}/despatches", order_id=shipped["id"])


async def _agree(r: Recorder, fjord: Company, nordlys: Company, partner: str) -> None:
    """What the buyer does once the supplier has answered: agree, object, cancel, say something, book goods in, send once more."""
    line = {"line_id": "10", "article_number": "A-100", "quantity": "12", "unit": "H87", "unit_price": "1.30"}
    bought = {"partner": partner, "date": "2026-11-21", "currency": "NOK", "lines": [line]}

    async def sent() -> dict[str, Any]:
        order: dict[str, Any] = await nordlys.call("POST", "/purchasing/orders", json=bought)
        return order

    async def once(order: dict[str, Any], **members: Any) -> dict[str, Any]:
        async def is_so() -> Any:
            found = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
            return found if all(found[member] == value for member, value in members.items()) else None

        found: dict[str, Any] = await nordlys.in_time(is_so, 30)
        return found

    async def act(order: dict[str, Any], what: str, body: Any = None, etag: str | None = None) -> Any:
        headers = {"If-Match": etag} if etag else None
        return await r.read(nordlys, "POST", f"/purchasing/orders/{{id}}/{what}", id=order["id"], headers=headers, body=body)

    agreed, disputed, cancelled, waiting = [await sent() for _ in range(4)]
    everything = [order["id"] for order in (agreed, disputed, cancelled, waiting)]
    await nordlys.call("POST", "/exports", json={"orders": everything})
    for order in (agreed, disputed, cancelled, waiting):
        await once(order, delivery="received")
    drafts = {draft["number"]: draft for draft in (await fjord.call("GET", "/sales/drafts"))["items"]}
    later = {"line_id": "10", "action": "3", "deliveries": [{"quantity": "12", "date": "2036-12-05"}], "reason_code": "out_of_stock"}
    for order in (agreed, disputed):
        draft = drafts[order["number"]]
        await fjord.call("POST", f"/sales/drafts/{draft['id']}/answer", json={"lines": [later]}, etag=draft["etag"])
    of_one, of_other = [await once(order, acceptance="changed") for order in (agreed, disputed)]
    await r.ask(nordlys, "GET", "/purchasing/follow-up", query={"filter": "changed_waiting_for_me", "limit": 1})
    await r.ask(nordlys, "GET", "/purchasing/follow-up/counts")
    await act(agreed, "accept", {"answer": 1}, of_one["etag"])
    await act(disputed, "dispute", {"answer": 1, "reason": "We need them before Christmas."}, of_other["etag"])
    await act(cancelled, "cancel", {"reason": "The project has stopped."})
    await act(agreed, "messages", {"text": "Gate 4, please.", "line_id": "10"})
    await act(waiting, "remind")
    await once(agreed, acceptance="agreed", is_word_on_its_way=False)

    content = b"Delivery note D-100002\n"
    sha256 = hashlib.sha256(content).hexdigest()
    note = {"name": "note.txt", "media_type": "text/plain", "size": len(content), "sha256": sha256}
    await fjord.http.put(f"/attachments/{sha256}", content=content)
    parcel = {
        "lines": [{"line_id": "10", "quantity": "12"}],
        "carrier": "Posten",
        "tracking_number": "370722150009",
        "attachments": [note],
    }
    await fjord.call("POST", f"/sales/orders/{drafts[agreed['number']]['id']}/despatches", json=parcel)
    [despatch] = (await once(agreed, fulfilment="shipped"))["despatches"]
    await r.ask(nordlys, "GET", "/purchasing/orders/{id}/attachments/{sha256}", id=agreed["id"], sha256=sha256)
    short = {"despatch": despatch["id"], "lines": [{"line_id": "10", "quantity": "11", "note": "One was bent."}]}
    await act(agreed, "receive", short)

    await act(waiting, "replay")
    await once(waiting, delivery="received")
    [entry, *_] = (await nordlys.call("GET", "/logs", params={"code": "order.replayed"}))["items"]
    await r.ask(nordlys, "POST", "/logs/{id}/replay", id=entry["id"])
    await once(waiting, delivery="received")


async def _compare_books(r: Recorder, fjord: Company, nordlys: Company, partner: str, token: str) -> None:
    """Both companies look whether they have the same orders."""
    known = [{"number": "PO-1042", "revision": 1, "answer": 1}, {"number": "PO-1044", "revision": 1}]
    await r.ask(fjord, "POST", "/purchase-orders/digests", token=token, body={"orders": known, "after": "PO-1041", "through": "PO-1044"})
    await r.ask(nordlys, "POST", "/partners/{id}/reconcile", id=partner)

    async def ended() -> Any:
        return not (await nordlys.call("GET", f"/partners/{partner}/reconciliation"))["is_due"]

    await nordlys.in_time(ended)
    await r.ask(nordlys, "GET", "/partners/{id}/reconciliation", id=partner)
    await r.ask(nordlys, "POST", "/partners/{id}/reconciliation/take-over", id=partner, body={"orders": []})
    await r.ask(nordlys, "GET", "/settings")


async def _by_mail(r: Recorder, fjord: Company) -> None:
    """An order to a supplier without ProdSys, and its answer typed in."""
    card = {"name": "Havnegata Stål AS", "email": "ordre@stal.example", "is_supplier": True}
    contact = await fjord.call("POST", "/contacts", json=card)
    partner = await r.read(fjord, "POST", "/partners/without-connection", body={"contact": contact["id"]})
    line = {"article_number": "S-7", "quantity": "4", "unit": "MTR", "unit_price": "88"}
    bought = {"partner": partner["id"], "date": "2026-11-21", "currency": "NOK", "lines": [line]}
    order = await fjord.call("POST", "/purchasing/orders", json=bought)
    await fjord.call("POST", "/exports", json={"orders": [order["id"]]})

    async def has_left() -> Any:
        found = await fjord.call("GET", f"/purchasing/orders/{order['id']}")
        return found if found["delivery"] == "sent_by_email" else None

    mailed = await fjord.in_time(has_left)
    said = {"acceptance": "approved", "their_order_number": "2026-118"}
    way = "/purchasing/orders/{id}/answer-by-hand"
    await r.ask(fjord, "POST", way, id=order["id"], headers={"If-Match": mailed["etag"]}, body=said)


async def _look_after_it(r: Recorder, fjord: Company, nordlys: Company, partner: str) -> None:
    """A delivery that dies because the supplier has shut his door, and is sent again once it is open."""
    await r.ask(fjord, "PUT", "/modules/{name}", name="prodsys-to-prodsys", body={"is_on": False})
    line = {"article_number": "A-100", "quantity": "10", "unit": "H87", "unit_price": "1.30"}
    order = {"partner": partner, "date": "2026-11-21", "currency": "NOK", "lines": [line]}
    orders = [(await nordlys.call("POST", "/purchasing/orders", json=order))["id"] for _ in range(2)]
    export = await nordlys.call("POST", "/exports", json={"orders": orders})

    async def are_waiting() -> Any:
        return all(item["status"] == "waiting" for item in (await nordlys.call("GET", f"/exports/{export['id']}"))["items"])

    await nordlys.in_time(are_waiting)
    waiting = tables.deliveries.c.state == "ready"
    await nordlys.db.write(lambda tx: tx.execute(update(tables.deliveries).where(waiting).values(deadline=now())))
    await app.courier_of(nordlys.instance).sweep()
    await alerts.read_logs(nordlys.db, has_mail=True)
    [alert, *_] = (await r.read(nordlys, "GET", "/alerts", query={"is_open": True, "limit": 10}))["items"]
    await r.ask(nordlys, "POST", "/alerts/{id}/dismiss", id=alert["id"])
    dead = await r.read(nordlys, "GET", "/deliveries", query={"state": "dead"})
    await alerts.read_logs(nordlys.db, has_mail=False)
    trouble = await r.read(nordlys, "GET", "/alerts")
    await r.ask(nordlys, "POST", "/alerts/{id}/dismiss", id=trouble["items"][0]["id"])
    await r.ask(fjord, "PUT", "/modules/{name}", name="prodsys-to-prodsys", body={"is_on": True})
    await r.ask(nordlys, "POST", "/deliveries/{id}/resend", id=dead["items"][0]["id"])
    await r.ask(nordlys, "POST", "/exports/{id}/retry", id=export["id"])
    await r.ask(fjord, "GET", "/changes-log", query={"kind": "module", "limit": 1})
    entries = await r.read(fjord, "GET", "/logs", query={"code": "order.received", "number": "PO-1042"})
    await r.ask(fjord, "GET", "/logs/{entry_id}", entry_id=entries["items"][0]["id"])
    await r.ask(fjord, "GET", "/metrics")
    await r.ask(fjord, "POST", "/alerts/test-mail", body={"to": "ola@fjord.example"})


async def _leave_alone(r: Recorder, nordlys: Company) -> None:
    """A person asks what is kept of her, and to be forgotten."""
    siri = {"name": "Siri Havn", "email": "siri@havn.example", "phone": "+47 51 00 00 04"}
    await nordlys.call("POST", "/contacts", json={"name": "Havnegata Rør AS", "persons": [siri]})
    await r.ask(nordlys, "POST", "/persons/export", body={"email": siri["email"]})
    await r.ask(nordlys, "POST", "/persons/erase", body={"email": siri["email"]})


def written(examples: dict[str, Any]) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(examples, order="sorted"), indent=2) + b"\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        fresh = written(asyncio.run(collected(Path(home))))
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(fresh)
    sys.stdout.write(f"{FILE.name} is written.\n")
