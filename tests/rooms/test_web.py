"""What a caller of the HTTP API can rely on, whichever room answers."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import httpx2
import msgspec
import pytest
import structlog
import uvicorn
from litestar import Litestar, Request, Response, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, RawBody
from litestar.response import Stream
from litestar.types import Scope
from msgspec import Meta
from sqlalchemy import select

from prodsys import errors, scopes
from prodsys.documents import Article, Issue, Order, Quantity, UnitPrice
from prodsys.kit import clock, web
from prodsys.kit.db import Database, Tx
from prodsys.kit.web import idempotency, openapi30, texts
from prodsys.kit.web.wire import WholeAnswers
from prodsys.scopes import Caller
from prodsys.scopes import Scope as Permission

pytestmark = pytest.mark.anyio

LINE = {"line_id": "10", "article_number": "A-100", "quantity": "1200", "unit": "H87", "unit_price": "129.50"}
ORDER = {
    "number": "PO-1042",
    "revision": 1,
    "date": "2026-11-21",
    "currency": "NOK",
    "buyer": {"name": "Nordlys Mekaniske AS"},
    "lines": [LINE],
}


json_of = msgspec.json.encode


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A small document."""

    text: str
    count: Annotated[int, Meta(le=9)] = 1


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was carried out."""

    times: int


@post("/api/v1/orders", operation_id="take_order", **scopes.allows(Permission.PURCHASE_ORDERS_CREATE, "partner"))
async def take_order(data: JSONBody[Order]) -> Order:
    """Take an order."""
    return data


@post("/api/v1/notes", operation_id="take_note", status_code=200, responses=web.answers(errors.OrderConflict), **scopes.public())
async def take_note(data: JSONBody[Note]) -> web.Reply[Note]:
    """Take a note."""
    return web.Reply(data, status_code=200)


@get("/api/v1/articles", operation_id="list_articles", **scopes.allows(Permission.ARTICLES_READ, "partner"))
async def list_articles(limit: web.Limit = 50, after: web.After = None) -> web.Page[Article]:
    """List articles."""
    start = web.decode_cursor(after, "articles", int)[0] if after else 0
    article = Article(id=f"ar_{start}", number="A-100", is_active=True, price=UnitPrice("129.50"))
    return web.Page(items=[article], next=web.encode_cursor("articles", start + limit))


@get("/api/v1/articles/{id:str}", operation_id="read_article", **scopes.allows(Permission.ARTICLES_READ, "partner"))
async def read_article(id: FromPath[str], if_none_match: web.IfNoneMatch = None) -> Response[Article]:
    """Read an article."""
    return web.tagged(Article(id=id, number="A-100", is_active=True), web.etag(id, 3), if_none_match)


@put("/api/v1/articles/{id:str}", operation_id="change_article", **scopes.allows(Permission.ARTICLES_WRITE))
async def change_article(id: FromPath[str], data: JSONBody[Note], if_match: web.IfMatch = None) -> Note:
    """Change an article."""
    web.must_match(if_match, web.etag(id, 3))
    return data


@get("/api/v1/refusals/{code:str}", operation_id="be_refused", **scopes.public())
async def be_refused(code: FromPath[str]) -> None:
    """Be refused."""
    refusal = next(kind for kind in errors.every_refusal() if kind.code == code)
    required = Issue(code=code, message="The scope is missing.", params={"required": "Articles:Read"})
    raise refusal("This time.", issues=[required])


@get("/api/v1/fault", operation_id="fail", **scopes.public())
async def fail(day: FromQuery[int]) -> None:
    """Fail."""
    raise RuntimeError(f"the secret plan of day {day}")


@get("/api/v1/me", operation_id="read_me", **scopes.allows(scopes.AnyToken.ANY, "any"))
async def read_me(caller: NamedDependency[Caller]) -> Counted:
    """Who am I."""
    return Counted(times=caller.partner or 0)


@put("/api/v1/files", operation_id="put_file", **scopes.public())
async def put_file(body: RawBody) -> Counted:
    """Take a file."""
    return Counted(times=len(body))


ROUTES = [take_order, take_note, list_articles, read_article, change_article, be_refused, fail, read_me, put_file]


def app_of(routes: Any = ROUTES, **options: Any) -> Litestar:
    return web.web_app(routes, openapi=web.openapi_config("Test", "1"), **options)


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app_of()) as client:
        yield client


async def sent(client: httpx2.AsyncClient, content: bytes, path: str = "/api/v1/orders", **headers: str) -> httpx2.Response:
    return await client.post(path, content=content, headers={"content-type": "application/json", **headers})


async def test_a_document_in_the_right_form_comes_back_digit_for_digit(client):
    answer = await client.post("/api/v1/orders", json=ORDER)

    assert answer.status_code == 201
    assert answer.json()["lines"][0]["unit_price"] == "129.50"


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"number":' + b"[" * 33 + b"]" * 33 + b"}",
        b"{",
        b'{"number": NaN}',
        b"",
        b'{"number": "\xff"}',
        b'{"number": "a\x00"}',
        b'{"number": "\\x"}',
        json_of(ORDER) + b" {}",
        b"\xef\xbb\xbf{}",
    ],
)
async def test_what_is_not_json_or_is_too_deep_is_400(client, content):
    answer = await sent(client, content)

    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 200),
        ({"content-type": "application/json", "content-encoding": "identity"}, 200),
    ],
)
async def test_only_uncompressed_json_is_taken(client, headers, status):
    answer = await client.post("/api/v1/notes", content=b'{"text": "a"}', headers=headers)

    assert answer.status_code == status


async def test_a_file_may_be_of_any_type_but_not_compressed(client):
    taken = await client.put("/api/v1/files", content=b"%PDF", headers={"content-type": "application/pdf"})
    refused = await client.put("/api/v1/files", content=b"%PDF", headers={"content-encoding": "br"})

    assert taken.json() == {"times": 4}
    assert refused.status_code == 415


@pytest.mark.parametrize(
    ("line", "where", "code"),
    [
        ({"quantity": 5}, "/lines/0/quantity", "invalid"),
        ({"quantity": "NaN"}, "/lines/0/quantity", "invalid"),
        ({"quantity": "0"}, "/lines/0/quantity", "invalid"),
        ({"unit_price": "1e3"}, "/lines/0/unit_price", "invalid"),
        ({"colour/x": "red"}, "/lines/0/colour~1x", "member_unknown"),
    ],
)
async def test_a_wrong_member_is_422_and_pointed_to(client, line, where, code):
    order = ORDER | {"lines": [LINE | line]}

    answer = await client.post("/api/v1/orders", json=order)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [(issue["pointer"], issue["code"]) for issue in answer.json()["issues"]] == [(where, code)]


async def test_a_missing_member_is_named(client):
    answer = await client.post("/api/v1/notes", json={})

    assert answer.json()["issues"] == [
        {"code": "member_missing", "message": "The member text is missing.", "params": {"name": "text"}, "pointer": "/text", "blocks": True}
    ]


async def test_a_number_sent_as_text_is_no_number(client):
    assert (await client.post("/api/v1/notes", json={"text": "a", "count": "1"})).status_code == 422


@pytest.mark.parametrize(
    "text",
    [b"a\\u0000", b"a\\b", b"a\\u001B", b"a\x7f", b"a\\u0085", b"a\xc2\x85", b"a\\u202e", b"a\xe2\x80\xae", b"a\xe2\x81\xa6", b"a\xd8\x9c",
     b"a\\ud800", b"\\udc00a", b"a\\uD800\\u0041"],
)  # fmt: skip
async def test_hidden_characters_are_refused_and_pointed_to(client, text):
    answer = await sent(client, b'{"text": "' + text + b'"}', "/api/v1/notes")

    assert (answer.status_code, answer.json()["issues"][0]["pointer"]) == (422, "/text")


@pytest.mark.parametrize("text", ["Größe\tæøå\r\nłódź", "C:\\bolts\\u0000", "😀", "日本語", "a\u00a0b", "a\u2013b"])
async def test_other_characters_pass_escaped_or_not(client, text):
    bodies = [json.dumps({"text": text}, ensure_ascii=is_escaped).encode() for is_escaped in (True, False)]

    answers = [await sent(client, body, "/api/v1/notes") for body in bodies]

    assert [answer.json()["text"] for answer in answers] == [text, text]


@pytest.mark.parametrize("depth", [32, 33])
async def test_32_levels_are_deep_enough(depth):
    body = b'{"[[": ' + b"[" * (depth - 1) + b'"]\\"{"' + b"]" * (depth - 1) + b"}"

    assert texts.is_too_deep(body) == (depth > 32)


async def test_every_hidden_character_is_told_at_once():
    body = b'{"a": ["x\\u0000", "y", {"b/c": "\\u202e"}], "\\u0007": 1}'

    assert [issue.pointer for issue in texts.hidden_in(body)] == ["/a/0", "/a/2/b~1c", ""]


async def test_a_body_over_8_mib_is_413_whether_announced_or_not(client):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    announced = await sent(client, b" " * 9 * 1024 * 1024)
    chunked = await client.post("/api/v1/orders", content=pieces(), headers={"content-type": "application/json"})

    assert [announced.status_code, chunked.status_code] == [413, 413]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/api/v1/articles?limit=501", "/query/limit"),
        ("/api/v1/articles?limit=x", "/query/limit"),
        ("/api/v1/articles?after=garbage", "/query/after"),
        (f"/api/v1/articles?after={web.encode_cursor('logs', 1)}", "/query/after"),
        (f"/api/v1/articles?after={web.encode_cursor('articles', 'a')}", "/query/after"),
        ("/api/v1/articles?after=a%00", "/query/after"),
        ("/api/v1/fault", "/query/day"),
    ],
)
async def test_a_wrong_query_is_422_and_pointed_to(client, path, where):
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["issues"][0]["pointer"]) == (422, where)


async def test_a_list_goes_on_where_its_cursor_says(client):
    first = (await client.get("/api/v1/articles?limit=20")).json()

    second = (await client.get("/api/v1/articles", params={"after": first["next"]})).json()

    assert second["items"][0] == {"id": "ar_20", "number": "A-100", "is_active": True, "price": "129.50"}


async def test_cursors_keep_texts_and_numbers():
    assert web.decode_cursor(web.encode_cursor("logs", "PO 7/æ", -3), "logs") == ("PO 7/æ", -3)


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/articles/a/b", "/api/v1/articles/a%00", "/api/v1/articles/%E2%80%AE"])
async def test_an_unknown_address_is_a_problem_too(client, path):
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["trace_id"]


async def test_a_wrong_method_is_told_the_right_ones(client):
    answer = await client.patch("/api/v1/articles/a")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, PUT"


async def test_a_method_the_guard_refuses_is_told_the_right_ones_too():
    async def refuse_options(connection: Any, _: Any) -> None:
        if connection.scope["method"] == "OPTIONS":
            raise errors.MethodNotAllowed

    async with client_of(app_of(guards=[refuse_options])) as client:
        answer = await client.options("/api/v1/articles/a")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PUT")


async def test_head_answers_like_get_without_the_body(client):
    got = await client.get("/api/v1/articles/a")

    head = await client.head("/api/v1/articles/a")

    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", got.headers["etag"])
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_a_refusal_says_what_is_true_and_what_happened(client):
    answer = await client.get("/api/v1/refusals/order_conflict")

    problem = answer.json()
    assert (problem["type"], problem["title"]) == ("/problems/order_conflict", errors.OrderConflict.title())
    assert (problem["status"], problem["detail"], problem["issues"][0]["code"]) == (409, "This time.", "order_conflict")


@pytest.mark.parametrize(
    ("code", "challenge"),
    [
        ("token_missing", 'Bearer realm="prodsys"'),
        ("token_expired", 'Bearer realm="prodsys", error="invalid_token"'),
        ("insufficient_scope", 'Bearer realm="prodsys", error="insufficient_scope", scope="Articles:Read"'),
    ],
)
async def test_a_refused_token_gets_the_challenge_of_rfc_6750(client, code, challenge):
    answer = await client.get(f"/api/v1/refusals/{code}")

    assert answer.headers["www-authenticate"] == challenge


async def test_a_fault_of_ours_is_500_without_detail_and_logged_with_its_trace(client, capsys):
    answer = await client.get("/api/v1/fault?day=1")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret plan" not in answer.text
    assert "secret plan of day 1" in "".join(capsys.readouterr())


async def test_a_refusal_of_the_callers_own_making_leaves_no_stack_in_the_log(client, capsys):
    await sent(client, b"{")

    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.fixture
def talkative():
    """A journal that says everything; afterwards it is as quiet as before, and a command's stdout holds its answer alone."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("talkative")
async def test_the_access_log_names_the_route_and_never_the_path(client, capsys):
    await client.get("/api/v1/articles/whsec_secret?after=")

    line = "".join(capsys.readouterr())
    assert "/api/v1/articles/{id} " in line
    assert "whsec_secret" not in line


async def test_the_access_log_can_be_switched_off(capsys):
    async with client_of(app_of(log_access=False)) as client:
        await client.get("/nothing")

    assert "".join(capsys.readouterr()) == ""


async def test_a_trace_is_continued_and_another_begun_where_there_is_none(client):
    theirs = "0af7651916cd43dd8448eb211c80319c"

    continued = await client.get("/nothing", headers={"traceparent": f"00-{theirs}-b7ad6b7169203331-01"})
    begun = await client.get("/nothing", headers={"traceparent": "nonsense"})

    assert continued.json()["trace_id"] == continued.headers["traceresponse"].split("-")[1] == theirs
    assert len(begun.json()["trace_id"]) == 32


async def test_every_answer_may_be_stored_nowhere_and_read_only_as_what_it_is(client):
    answer = await client.get("/api/v1/articles/a")

    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_an_etag_saves_an_answer_and_guards_a_change(client):
    tag = (await client.get("/api/v1/articles/a")).headers["etag"]

    saved = await client.get("/api/v1/articles/a", headers={"if-none-match": f'W/"x", {tag}'})
    changed = await client.put("/api/v1/articles/a", json={"text": "b"}, headers={"if-match": tag})
    unguarded = await client.put("/api/v1/articles/a", json={"text": "b"})
    stale = await client.put("/api/v1/articles/a", json={"text": "b"}, headers={"if-match": '"a.2"'})

    assert [answer.status_code for answer in (saved, changed, unguarded, stale)] == [304, 200, 428, 412]
    assert stale.headers["etag"] == tag


async def test_without_a_token_nobody_is_the_caller(client):
    assert (await client.get("/api/v1/me")).json()["code"] == "token_missing"


async def test_a_quota_is_used_up_and_comes_back():
    limiter = web.Limiter("default", quota=2, window=60)

    first, second, third = (limiter.take("tk_1", now=0) for _ in range(3))

    assert (first.policy, first.header()) == (b'"default";q=2;w=60', b'"default";r=1;t=30')
    assert [first.is_open, second.is_open, third.is_open] == [True, True, False]
    assert third.wait == 30
    assert limiter.take("tk_2", now=0).is_open
    assert limiter.take("tk_1", now=30).is_open


async def test_a_limiter_remembers_only_so_many_keys():
    limiter = web.Limiter("default", quota=1, window=60, max_keys=2)

    for key in ("a", "b", "c"):
        limiter.take(key, now=0)

    assert limiter.take("a", now=0).is_open
    assert not limiter.take("c", now=0).is_open


async def test_one_request_too_many_is_429_and_told_when_to_come_back():
    limiter = web.Limiter("default", quota=1, window=60)

    @get("/api/v1/charged", **scopes.public())
    async def charged(scope: Scope) -> None:
        scope["caller"] = Caller(token="tk_1", name="Nordlys", scopes=frozenset(), partner=7, expires_at="2027-02-19T00:00:00Z")  # type: ignore[typeddict-unknown-key]
        web.charge(scope, limiter, "tk_1")

    async with client_of(app_of([charged])) as client:
        taken, refused = [await client.get("/api/v1/charged") for _ in range(2)]

    assert (taken.status_code, refused.status_code, refused.headers["retry-after"]) == (200, 429, "60")
    assert refused.headers["ratelimit"] == '"default";r=0;t=60'
    assert refused.headers["ratelimit-policy"] == '"default";q=1;w=60'
    assert refused.headers["token-expires"] == "2027-02-19T00:00:00Z"


class Effects:
    """A door whose effects can be counted."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.times = 0
        self.refuses = False

    def carry_out(self, _: Tx) -> Counted:
        self.times += 1
        if self.refuses:
            raise errors.WrongState
        return Counted(times=self.times)

    def routes(self) -> list[Any]:
        @post("/api/v1/effects/{id:str}", **scopes.public())
        async def act(
            request: Request[Any, Any, Any], id: FromPath[str], data: JSONBody[Note], idempotency_key: web.IdempotencyKey = None
        ) -> web.Reply[Counted]:
            key = await web.request_key(request, idempotency_key)
            location = {"Location": f"/api/v1/effects/{id}"}
            answer = await web.once(self.db, key, lambda done: web.answered(done, headers=location), self.carry_out)
            return answer.reply()

        @post("/api/v1/secrets", **scopes.public())
        async def make_secret(
            request: Request[Any, Any, Any], data: JSONBody[Note], idempotency_key: web.IdempotencyKey = None
        ) -> web.Reply[Counted]:
            key = await web.request_key(request, idempotency_key)
            return (await web.once(self.db, key, lambda done: web.answered(done, secret_id="tk_7"), self.carry_out)).reply()

        return [act, make_secret]


@pytest.fixture
async def effects(db: Database) -> Effects:
    return Effects(db)


@pytest.fixture
async def door(effects: Effects) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(app_of(effects.routes())) as client:
        yield client


def keyed(key: str = "k1") -> dict[str, str]:
    return {"idempotency-key": key}


async def test_a_request_sent_again_under_its_key_is_answered_as_before(door, effects):
    first = await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed())

    again = await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed('"k1"'))

    assert effects.times == 1
    assert (again.status_code, again.content, again.headers["location"]) == (201, first.content, first.headers["location"])
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")


async def test_without_a_key_or_under_another_address_or_key_it_is_carried_out_again(door, effects):
    await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed())
    await door.post("/api/v1/effects/b", json={"text": "a"}, headers=keyed())
    await door.post("/api/v1/effects/a?x=1", json={"text": "a"}, headers=keyed())
    await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed("k2"))

    await door.post("/api/v1/effects/a", json={"text": "a"})

    assert effects.times == 5


async def test_a_key_with_another_body_is_refused(door, effects):
    await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed())

    other = await door.post("/api/v1/effects/a", json={"text": "b"}, headers=keyed())

    assert (other.status_code, other.json()["code"], effects.times) == (422, "idempotency_key_reused", 1)


async def test_a_refusal_keeps_nothing_so_that_the_key_works_once_it_is_mended(door, effects):
    effects.refuses = True
    refused = await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed())
    effects.refuses = False

    mended = await door.post("/api/v1/effects/a", json={"text": "b"}, headers=keyed())

    assert (refused.status_code, mended.status_code) == (409, 201)


async def test_an_answer_with_a_secret_is_never_kept(door, effects):
    await door.post("/api/v1/secrets", json={"text": "a"}, headers=keyed())

    again = await door.post("/api/v1/secrets", json={"text": "a"}, headers=keyed())

    assert (again.status_code, again.json()["code"], again.json()["issues"][0]["params"]) == (409, "already_done", {"id": "tk_7"})
    contents = await effects.db.read(lambda tx: tx.scalars(select(idempotency.idempotency_keys.c.content)).all())
    assert contents == [None]


async def test_two_at_the_same_moment_under_one_key_are_carried_out_once(door, effects):
    answers = await asyncio.gather(*(door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed()) for _ in range(5)))

    assert {answer.content for answer in answers} == {b'{"times":1}'}
    assert effects.times == 1


async def test_after_72_hours_a_key_is_free_again(door, effects, time_machine):
    await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed())
    later = clock.now() + timedelta(hours=73)

    time_machine.move_to(later)
    again = await door.post("/api/v1/effects/a", json={"text": "other"}, headers=keyed())

    assert (again.status_code, effects.times) == (201, 2)


async def test_old_keys_are_purged(door, effects):
    await door.post("/api/v1/effects/a", json={"text": "a"}, headers=keyed())

    kept = await effects.db.write(idempotency.purge)
    purged = await effects.db.write(idempotency.purge, clock.now() + timedelta(seconds=1))

    assert (kept, purged) == (0, 1)


@pytest.mark.parametrize("key", ["æ", "a" * 256])
async def test_an_odd_key_is_refused(door, key):
    answer = await door.post("/api/v1/effects/a", json={"text": "a"}, headers=[(b"idempotency-key", key.encode())])

    assert answer.status_code == 422
    assert answer.json()["issues"][0]["pointer"] == "/header/Idempotency-Key"


async def test_the_contract_is_the_same_bytes_each_time_and_says_our_decimals_are_text(client):
    served = await client.get("/api/openapi.json")

    contract = served.json()
    assert served.content == web.write_openapi(app_of())
    assert contract["components"]["schemas"]["OrderLine"]["properties"]["price_quantity"]["pattern"] == Quantity.pattern
    assert contract["components"]["schemas"]["OrderLine"]["additionalProperties"] is False
    assert "Page_Article" in contract["components"]["schemas"]


async def test_the_contract_tells_every_operation_its_refusals(client):
    contract = (await client.get("/api/openapi.json")).json()

    paths, shared = contract["paths"], contract["components"]["responses"]
    secured, public = paths["/api/v1/orders"]["post"]["responses"], paths["/api/v1/notes"]["post"]["responses"]
    assert set(secured) == {"201", "400", "401", "403", "404", "413", "415", "422", "429", "500", "503"}
    assert set(public) == {"200", "400", "409", "413", "415", "422", "500"}
    assert public["409"] == {"$ref": "#/components/responses/order_conflict"}
    assert "`order_conflict`" in shared["order_conflict"]["description"]
    assert paths["/api/v1/orders"]["post"]["security"] == [{"token": ["PurchaseOrders:Create"]}]


async def test_every_reference_of_the_contract_leads_somewhere(client):
    for path in ("/api/openapi.json", "/api/openapi-3.0.json"):
        contract = (await client.get(path)).json()
        parts = {f"#/components/{kind}/{name}" for kind, named in contract["components"].items() for name in named}

        assert set(references(contract)) <= parts


async def test_the_older_contract_uses_only_words_of_3_0(client):
    contract = (await client.get("/api/openapi-3.0.json")).json()

    text = msgspec.json.encode(contract).decode()
    assert contract["openapi"] == "3.0.3"
    assert '"null"' not in text
    assert '"const"' not in text
    assert contract["paths"]["/api/v1/orders"]["post"]["security"] == [{"token": []}]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"oneOf": [{"$ref": "#/x"}, {"type": "null"}]}, {"allOf": [{"$ref": "#/x"}], "nullable": True}),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "null"], "examples": ["a"]}, {"type": "string", "nullable": True, "example": "a"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 0, "exclusiveMinimum": True}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"$ref": "#/x", "description": "d"}, {"allOf": [{"$ref": "#/x"}], "description": "d"}),
    ],
)
async def test_a_schema_of_3_1_is_said_in_3_0(new, old):
    contract = openapi30.as_openapi_30({"openapi": "3.1.0", "components": {"schemas": {"X": new}}})

    assert contract["components"]["schemas"]["X"] == old


async def test_a_real_server_refuses_the_same_way():
    app = app_of(log_access=False)
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=WholeAnswers, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([free]))
    while not server.started:  # noqa: ASYNC110  uvicorn offers no event
        await asyncio.sleep(0)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{free.getsockname()[1]}") as client:
        typed = {"content-type": "application/json"}
        head = await client.head("/api/v1/articles/a")
        large = await client.post("/api/v1/notes", content=b" " * 9 * 1024 * 1024, headers=typed)
        chunked = await client.post("/api/v1/notes", content=pieces(), headers=typed)
        deep = await client.post("/api/v1/notes", content=b"[" * 100_000, headers=typed)
        unknown = await client.request("TRACE", "/nothing%00")
    server.should_exit = True
    await serving

    assert [answer.status_code for answer in (head, large, chunked, deep, unknown)] == [200, 413, 413, 400, 404]


class Sent(asyncio.Transport):
    """A connection that remembers what was written to it, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self._is_closed = False

    def write(self, data: Any) -> None:
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True


async def test_an_answer_leaves_in_one_piece_and_a_stream_piece_by_piece():
    @get("/whole", **scopes.public())
    async def whole() -> dict[str, str]:
        return {"a": "b"}

    @get("/stream", **scopes.public())
    async def stream() -> Stream:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"first", b"second"):
                yield piece
                for _ in range(3):
                    await asyncio.sleep(0)

        return Stream(pieces())

    async def answered(path: str) -> Sent:
        config = uvicorn.Config(
            web.web_app([whole, stream], openapi=web.openapi_config("Test", "1"), log_access=False), lifespan="off", log_config=None
        )
        config.load()
        connection, protocol = Sent(), WholeAnswers(config, uvicorn.server.ServerState(), {})
        protocol.connection_made(connection)
        protocol.data_received(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        while not connection.is_closing():  # noqa: ASYNC110  uvicorn offers no event
            await asyncio.sleep(0)
        return connection

    [answer] = (await answered("/whole")).pieces
    streamed = (await answered("/stream")).pieces

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b'{"a":"b"}')
    assert [piece for piece in streamed if b"first" in piece and b"second" in piece] == []
    assert b"second" in b"".join(streamed)


def references(value: Any) -> set[str]:
    match value:
        case dict():
            return {found for key, inner in value.items() for found in ({inner} if key == "$ref" else references(inner))}
        case list():
            return {found for inner in value for found in references(inner)}
        case _:
            return set()


def test_a_routes_dependencies_are_handed_out_one_after_the_other() -> None:
    @get("/three", **scopes.public())
    async def three(first: NamedDependency[int], second: NamedDependency[int], third: NamedDependency[int]) -> int:
        return first + second + third

    given = {name: Provide(lambda: 1, sync_to_thread=False) for name in ("first", "second", "third")}
    app = web.web_app([three], openapi=web.openapi_config("Test", "1"), dependencies=given)

    [route] = [route for route in app.routes if route.path == "/three"]
    models = [model for _, model in getattr(route, "route_handler_map", {}).values()]

    assert models
    assert all(len(batch) == 1 for model in models for batch in model.dependency_batches)
