"""What the program says about itself, and what it keeps to itself."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from prodsys.kit.journal import configure, log
from prodsys.kit.metrics import new_metrics
from prodsys.kit.telemetry import Trace, current_trace, cut, new_trace, parse_traceparent, redact
from prodsys.kit.vault import Secret

TOKEN = "pst_Ab3dEf7h_" + "s3cret" * 5 + "xx_abc123"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"token {TOKEN} is unknown", "token pst_Ab3dEf7h*** is unknown"),
        (f"{TOKEN},{TOKEN}", "pst_Ab3dEf7h***,pst_Ab3dEf7h***"),
        ("paste prodsys1:eyJzM2NyZXQiOiJ4In0_-= here", "paste prodsys1:*** here"),
        ("bundle=prodsys1%3AeyJzM2NyZXQi&x=1", "bundle=prodsys1%3A***&x=1"),
        ("whsec_c2VjcmV0+/== set", "whsec_*** set"),
        ("Authorization: Bearer eyJhbGci.s3cret.x-_", "Authorization: ***"),
        ("authorization: Basic czNjcmV0", "authorization: ***"),
        ("GET / HTTP/1.1\r\nX-Api-Key: s3cret\r\nAccept: */*", "GET / HTTP/1.1\r\nX-Api-Key: ***\r\nAccept: */*"),
        ("Set-Cookie: session=s3cret; Path=/\nX: y", "Set-Cookie: ***\nX: y"),
        ("curl -H 'Authorization: ApiKey s3cret' -d x", "curl -H 'Authorization: ***' -d x"),
        ("curl -H 'bearer s3crets3cret'", "curl -H 'bearer ***'"),
        ('{"text":"Bearer s3crets3cret"}', '{"text":"Bearer ***"}'),
        ('{"text":"Bearer s3crets3cre="}', '{"text":"Bearer ***"}'),
        ("the claim: s3cret; enter it", "the claim: ***; enter it"),
        ("{'api_key': 's3\\'cret', 'n': 1}", "{'api_key': '***', 'n': 1}"),
        ('{"password": "s3cret", "n": 1}', '{"password": "***", "n": 1}'),
        ('{"access_token":"s3\\"cr\\\\et","n":"x"}', '{"access_token":"***","n":"x"}'),
        ('{"clientSecret" : "s3cret"}', '{"clientSecret" : "***"}'),
        ('{"api_key":"s3cret","apiKey":"s3cret","API-Key":"s3cret"}', '{"api_key":"***","apiKey":"***","API-Key":"***"}'),
        ('{"claim":"s3cret","pin_token":123456}', '{"claim":"***","pin_token":"***"}'),
        ('{"token":"s3cret cut off in the mid', '{"token":"***"'),
        ('{"token":"s3cret\\', '{"token":"***"'),
        ('{"body":"{\\"token\\": \\"s3cr\\\\\\"et\\", \\"n\\": 1}"}', '{"body":"{\\"token\\": \\"***\\", \\"n\\": 1}"}'),
        ("grant_type=x&client_secret=s3cret&scope=y", "grant_type=x&client_secret=***&scope=y"),
        ("https://erp.example/?api_key=s3cret", "https://erp.example/?api_key=***"),
        ("<Login><Password type='x'>s3cret</Password></Login>", "<Login><Password type='x'>***</Password></Login>"),
    ],
)
def test_a_secret_is_masked_and_what_stands_around_it_stays(said: str, kept: str) -> None:
    assert redact(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "",
        "An order with 10 lines was received.",
        '{"number":"PO-1042","lines":[{"article_number":"A-100","note":"key: 5, basic token fee"}]}',
        '{"token":{"scopes":["PurchaseOrders:Create"],"expires_at":"2027-01-01T00:00:00Z"},"token_expires_at":"2027"}',
        'Bearer realm="prodsys", error="invalid_token"',
        'Bearer resource_metadata="https://erp.example/", realm="x"',
        "This token has expired; ask the company that issued it to rotate it.",
        "pst_short and pst_ alone",
        '{"claims":["a"],"keys":1,"tokens":3,"password":null}',
        "Secret handshake: none of these is one.",
    ],
)
def test_ordinary_words_are_left_alone(said: str) -> None:
    assert redact(said) == said


def test_masking_twice_changes_nothing() -> None:
    once = redact(f'{{"token":"{TOKEN}","text":"Authorization: Bearer {TOKEN}"}}')

    assert redact(once) == once
    assert "s3cret" not in once


def test_masking_json_leaves_json() -> None:
    body = {"token": TOKEN, "list": [{"password": 'a"\\', "n": 1}], "text": f"Bearer {TOKEN}", "nested": json.dumps({"secret": 'x"y'})}

    kept = json.loads(redact(json.dumps(body)))

    assert kept["token"] == "***"
    assert kept["list"] == [{"password": "***", "n": 1}]
    assert json.loads(kept["nested"]) == {"secret": "***"}


def test_hostile_text_is_masked_in_no_time() -> None:
    hostile = [
        '"token":"' * 8_000,
        '"token":"' + "\\" * 65_000,
        'token\\":\\"' * 6_000,
        'token"' + " " * 65_000,
        "<token " * 9_000 + "</",
        "<" * 65_000 + "token</",
        "token " * 11_000 + "</",
        "token" * 13_000 + ':="',
        "a-" * 32_000 + "token: ",
        "token: " * 9_000,
        "cookie: " * 8_000,
        "bearer " * 9_000,
        "'token':'" * 8_000,
        "bearer " + "a." * 32_000 + '="x',
        "pst_" * 16_000 + "whsec_" * 1_000 + "prodsys1:" * 1_000,
    ]

    for text in hostile:
        assert isinstance(redact(text), str)


def test_a_trace_goes_out_and_comes_back() -> None:
    trace = new_trace()

    assert parse_traceparent(trace.header()) == trace
    assert trace.child().trace_id == trace.trace_id
    assert trace.child().span_id != trace.span_id


def test_a_later_version_of_the_header_is_read_as_far_as_we_know_it() -> None:
    read = parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what-comes-next")

    assert read == Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-٠af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
    ],
)
def test_what_is_no_trace_begins_a_new_one(text: str) -> None:
    assert parse_traceparent(text) is None


def test_a_long_body_is_cut_aloud() -> None:
    kept = cut("x" * 100_000)

    assert len(kept.encode()) <= 65_536
    assert kept.splitlines()[-1] == f"… {100_000 - kept.count('x')} bytes cut"


@pytest.mark.parametrize("limit", range(60, 70))
def test_a_cut_never_falls_within_a_character(limit: int) -> None:
    whole = "å🔑x" * 40

    kept, _, said = cut(whole, limit).rpartition("\n")

    assert whole.startswith(kept)
    assert len(f"{kept}\n{said}".encode()) <= limit
    assert said == f"… {len(whole.encode()) - len(kept.encode())} bytes cut"


@pytest.mark.parametrize("whole", ["", "x" * 65_536, "å" * 32_768, "short"])
def test_a_body_that_fits_stays_whole(whole: str) -> None:
    assert cut(whole) == whole


@pytest.fixture
def quiet_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, ours = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**ours)


@pytest.mark.usefixtures("quiet_afterwards")
def test_log_lines_are_json_with_the_trace_and_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    trace = new_trace()
    token = current_trace.set(trace)

    log.info(
        "order.received",
        note=f"with {TOKEN}",
        api_key="s3cret",
        config={"client_secret": "s3cret", "n": 1},
        sealed=Secret("s3cret"),
        lines=10,
    )
    log.debug("not.shown")
    current_trace.reset(token)

    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert "s3cret" not in line
    assert (said["event"], said["level"], said["trace_id"], said["lines"]) == ("order.received", "info", trace.trace_id, 10)
    assert (said["note"], said["api_key"], said["config"]) == ("with pst_Ab3dEf7h***", "***", {"client_secret": "***", "n": 1})


@pytest.mark.usefixtures("quiet_afterwards")
def test_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        # A server of another test has set these up its own way; ours is told not to (`log_config=None`).
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate, logger.disabled = True, False
        logger.setLevel(logging.NOTSET)
    configure("info")

    logging.getLogger("uvicorn.error").warning("Started with %s", TOKEN)
    logging.getLogger("httpx2").info("GET https://erp.example/s3cret")
    logging.getLogger("uvicorn.access").info("GET /s3cret")

    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "Started with pst_Ab3dEf7h***"


@pytest.mark.usefixtures("quiet_afterwards")
def test_a_stack_in_the_log_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")

    try:
        raise RuntimeError(TOKEN)
    except RuntimeError:
        log.exception("broke")
        logging.getLogger("elsewhere").exception("broke too")

    ours, theirs = capsys.readouterr().err.splitlines()
    assert "RuntimeError: pst_Ab3dEf7h***" in json.loads(ours)["exception"]
    assert "RuntimeError: pst_Ab3dEf7h***" in json.loads(theirs)["exception"]


@pytest.mark.usefixtures("quiet_afterwards")
def test_a_disk_that_has_no_room_for_the_log_stops_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with io.TextIOWrapper(Path("/dev/full").open("wb", buffering=0), write_through=True) as full:
        monkeypatch.setattr("sys.stderr", full)
        configure("info")

        with pytest.raises(OSError, match="No space"):
            print("as anybody else would say it", file=full, flush=True)
        log.error("courier.cannot_settle", lane="partner")


@pytest.mark.usefixtures("quiet_afterwards")
def test_a_person_gets_columns_instead_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug", json=False)

    log.debug("order.received", token="s3cret")

    said = capsys.readouterr().err
    assert "order.received" in said
    assert "s3cret" not in said


def test_a_misspelt_level_is_named() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure("loud")


def test_two_companies_in_one_process_count_apart() -> None:
    fjord, nordlys = new_metrics(), new_metrics()

    fjord.exports_total.labels("pa_1", "received").inc()
    fjord.partner_request_seconds.labels("pa_1").observe(0.2)

    assert b'prodsys_exports_total{partner="pa_1",result="received"} 1.0' in fjord.text()
    assert b"pa_1" not in nordlys.text()
