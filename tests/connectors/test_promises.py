"""What every connector promises, asked of each of them against a simulator of its system on loopback."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from prodsys.connectors import CONNECTORS, known
from prodsys.connectors._base import (
    KINDS,
    Connector,
    Known,
    Later,
    Misconfigured,
    Pace,
    Reach,
    Record,
    Records,
    Refused,
    Resource,
    Secret,
    Written,
    builtins,
    capabilities,
    form,
    read_config,
)
from prodsys.documents import Exact, canonical
from tests.connectors.loopback import Fault, Simulator, reaching, serving

ANSWERED_BY_US = ("prodsys", "superoffice")
"""Connectors without flows of their own: a partner's ProdSys has its own tests, SuperOffice calls us."""
WITHOUT_HTTP = ("files", "accounts")
"""Connectors whose system is no server, so it has no statuses to answer with."""

FLOWING = [name for name in CONNECTORS if name not in ANSWERED_BY_US]
OVER_HTTP = [name for name in FLOWING if name not in WITHOUT_HTTP]


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator, and a way to connect to it as an admin would."""

    simulator: Simulator
    reach: Reach

    def connect(self, **wrong: Any) -> Connector:
        kind = known()[self.simulator.name]
        config, issues = read_config(kind.Config, self.simulator.config() | wrong)
        assert not issues
        connector: Connector = kind(config, msgspec.structs.replace(self.reach, pace=Pace()))
        return connector

    def context(self, connector: Connector, kind: str) -> Known:
        context: Known = msgspec.structs.replace(self.simulator.known(kind), config=connector.config)
        return context

    async def create(self, connector: Connector, kind: str) -> Any:
        return await connector.create(kind, connector.words(kind, self.simulator.examples[kind], self.context(connector, kind)))

    async def found(self, connector: Connector, kind: str) -> list[Record]:
        example = self.simulator.examples[kind]
        looked = await connector.find(kind, "reference", getattr(example, "number", None) or example.article_number)
        assert not isinstance(looked, Later | Misconfigured | Refused), looked
        return list(looked)


def simulator_of(name: str) -> Simulator:
    made: Simulator = importlib.import_module(f"tests.connectors.sim_{name}").SIMULATOR()
    return made


def resources_of(name: str) -> Mapping[str, Resource]:
    """What the connection to the simulator has; for most systems what its connector has."""
    offered: Mapping[str, Resource] = known()[name].offered(simulator_of(name).config())
    return offered


def written_kinds(name: str) -> list[str]:
    """The kinds that can be made there and looked for afterwards."""
    changed = simulator_of(name).only_changed
    return [kind for kind, one in resources_of(name).items() if one.write is not None and not one.is_once_only and kind not in changed]


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The simulator of the connector whose name the test is parametrised by."""
    async with serving(simulator_of(request.getfixturevalue("name"))) as simulator, reaching(simulator, **simulator.reach()) as reach:
        yield Bench(simulator=simulator, reach=reach)


@pytest.fixture
async def impatient(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The same, and we wait a second for an answer, which a busy machine may need, or as long as a real system does."""
    name = request.getfixturevalue("name")
    async with serving(simulator_of(name)) as simulator, reaching(simulator, timeout=simulator.patience) as reach:
        yield Bench(simulator=simulator, reach=reach)


@pytest.mark.parametrize("name", CONNECTORS)
def test_every_field_of_the_form_has_a_title_and_whatever_is_secret_is_sealed(name):
    fields = form(known()[name].Config).get("properties", {})

    for field, said in fields.items():
        assert said.get("title"), field
        sounds_secret = any(word in field for word in ("secret", "password", "api_key", "token")) and not field.endswith(("_url", "_id"))
        assert not sounds_secret or said.get("writeOnly"), f"{field} is no Secret"


@pytest.mark.parametrize("name", CONNECTORS)
def test_what_a_system_cannot_do_is_said_with_the_reason_and_what_it_can_with_how_sure_we_are(name):
    listed = capabilities(known()[name])

    assert [(one.kind, one.direction) for one in listed] == [(kind, way) for kind in KINDS for way in ("in", "out")]
    for one in listed:
        assert one.is_offered != bool(one.reason), one
        assert not one.reason or one.reason.endswith("."), one
        assert not one.is_offered or one.provenance, f"{one.kind}: nobody says how sure we are"


@pytest.mark.parametrize("name", FLOWING)
async def test_making_a_connection_calls_nobody_and_testing_it_says_all_is_well(name, bench):
    connector = bench.connect()
    assert bench.simulator.asked == []

    tested = await connector.test()

    assert tested.is_fine, tested
    assert all(check.message for check in tested.checks)


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_credentials_that_are_not_accepted_are_for_the_admin_and_name_the_field(name, bench):
    connector = bench.connect(**bench.simulator.wrong())

    tested = await connector.test()
    kind = written_kinds(name)[0]
    outcome = await bench.create(connector, kind)

    assert not tested.is_fine
    assert {check.field for check in tested.checks} <= set(connector.config.__struct_fields__) | {""}
    assert any(check.field for check in tested.checks), tested
    assert isinstance(outcome, Misconfigured), outcome


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_system_that_is_not_there_is_nobodys_fault(name, bench):
    connector = bench.connect()
    bench.simulator.stumble(Fault(stumble="drop_before", times=99))

    outcome = await bench.create(connector, written_kinds(name)[0])

    assert isinstance(outcome, Later), outcome


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_system_that_asks_for_patience_gets_it(name, bench):
    connector = bench.connect()
    bench.simulator.stumble(Fault(stumble="status", method="POST", status=429, headers={"retry-after": "7"}))

    outcome = await bench.create(connector, written_kinds(name)[0])

    assert isinstance(outcome, Later), outcome
    assert outcome.retry_after == 7
    assert 6 < connector.reach.pace.wait() <= 7


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in FLOWING for kind in written_kinds(name)])
async def test_what_was_made_is_found_again_under_the_same_id_and_says_the_same(name, kind, bench):
    connector = bench.connect()
    example = bench.simulator.examples[kind]

    made = await bench.create(connector, kind)
    found = await bench.found(connector, kind) if "reference" in connector.resources[kind].find_by else []

    assert isinstance(made, Written), made
    assert [record.id for record in found] in ([made.id], [])
    assert found or "reference" not in connector.resources[kind].find_by
    if connector.resources[kind].read is not None:
        record = await connector.get(kind, made.id)
        assert isinstance(record, Record), record
        assert said_by(connector.document(kind, record), example, bench.simulator.not_mapped.get(kind, ())) == said_by(
            example, example, bench.simulator.not_mapped.get(kind, ())
        )


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in OVER_HTTP for kind in written_kinds(name)])
async def test_a_system_that_breaks_down_before_it_wrote_has_nothing_and_may_be_asked_again(name, kind, bench):
    connector = bench.connect()
    before = bench.simulator.held(kind)
    bench.simulator.stumble(Fault(stumble="status", method="POST", status=503))

    outcome = await bench.create(connector, kind)

    assert isinstance(outcome, Later), outcome
    assert await bench.found(connector, kind) == []
    assert isinstance(await bench.create(connector, kind), Written)
    assert bench.simulator.held(kind) == before + 1


@pytest.mark.parametrize("stumble", ["drop_after", "hang_after"])
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in OVER_HTTP for kind in written_kinds(name)])
async def test_a_lost_reply_to_a_create_is_unknown_and_looking_finds_it(name, kind, stumble, impatient):
    connector = impatient.connect()
    before = impatient.simulator.held(kind)
    assert (await connector.test()).is_fine
    impatient.simulator.stumble(Fault(stumble=stumble, method="POST"))

    outcome = await impatient.create(connector, kind)

    assert isinstance(outcome, Later), outcome
    assert outcome.sent
    assert len(await impatient.found(connector, kind)) == 1
    assert impatient.simulator.held(kind) == before + 1


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_page_for_people_is_not_taken_for_an_answer(name, bench):
    connector = bench.connect()
    kind = written_kinds(name)[0]
    assert (await connector.test()).is_fine
    bench.simulator.stumble(Fault(stumble="html", times=9))

    written = await bench.create(connector, kind)
    tested = await connector.test()

    assert isinstance(written, Later), written
    assert written.sent
    assert not tested.is_fine


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_an_answer_that_comes_too_slowly_is_given_up(name, impatient):
    connector = impatient.connect()
    assert (await connector.test()).is_fine
    impatient.simulator.stumble(Fault(stumble="slow_body", times=9))

    outcome = await impatient.create(connector, written_kinds(name)[0])

    assert isinstance(outcome, Later), outcome
    assert outcome.reason == "timeout"


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_a_refusal_is_told_in_their_words(name, bench):
    connector = bench.connect()
    status, body = bench.simulator.error("The moon is in the wrong house")
    bench.simulator.stumble(Fault(stumble="status", method="POST", status=status, body=body))

    outcome = await bench.create(connector, written_kinds(name)[0])

    assert isinstance(outcome, Refused), outcome
    assert "The moon is in the wrong house" in f"{outcome.problem}"


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_tokens_that_ended_are_renewed_once_for_all_who_wait(name, bench):
    connector = bench.connect()
    if not bench.simulator.expire():
        pytest.skip("There are no tokens that could end.")

    tested = await asyncio.gather(*(connector.test() for _ in range(8)))

    assert all(one.is_fine for one in tested), tested
    assert bench.simulator.count()[f"POST {bench.simulator.token_path}"] == 1


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in FLOWING for kind, one in resources_of(name).items() if one.read])
async def test_recordings_and_whole_lists_can_be_read(name, kind, bench):
    connector = bench.connect()
    if kind in bench.simulator.examples and connector.resources[kind].write is not None:
        assert isinstance(await bench.create(connector, kind), Written)

    read = [connector.document(kind, Record(id="1", theirs=theirs)) for theirs in bench.simulator.recordings.get(kind, [])]
    async for page in connector.pages(kind):
        assert isinstance(page, Records), page
        read += [connector.document(kind, record) for record in page.records]

    assert read or bench.simulator.held(kind) == 0
    assert all(isinstance(document, KINDS[kind]) for document in read)


@pytest.mark.parametrize("name", [name for name in FLOWING if resources_of(name).get("articles", Resource()).read])
async def test_what_a_system_lacks_of_what_our_books_insist_on_is_said_beforehand(name, bench):
    connector = bench.connect()
    rows = [Record(id="1", theirs=theirs) for theirs in bench.simulator.recordings.get("articles", [])]
    async for page in connector.pages("articles"):
        assert isinstance(page, Records), page
        rows += page.records

    articles = [connector.document("articles", row) for row in rows]

    if articles:
        is_said = any(article.currency for article in articles)
        assert ("currency" in connector.resources["articles"].lacks) != is_said


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_no_secret_shows_in_anything_a_connector_says(name, bench):
    connector = bench.connect()
    kind = written_kinds(name)[0]
    said: list[Any] = [connector.config, await connector.test(), await bench.create(connector, kind)]
    for fault in (
        Fault(stumble="status", status=500),
        Fault(stumble="status", status=401, times=9),
        Fault(stumble="html"),
        Fault(stumble="drop_before"),
    ):
        bench.simulator.faults = [fault]
        said += [await connector.test(), await bench.create(connector, kind)]

    filled = msgspec.structs.asdict(connector.config).values()
    secrets = [field.reveal() for field in filled if isinstance(field, Secret) and field]
    if (grant := bench.simulator.grant()) is not None:
        secrets += [one.reveal() for one in (grant.access_token, grant.refresh_token) if isinstance(one, Secret)]

    assert [secret for secret in secrets if any(secret in repr(one) for one in said)] == []


def said_by(document: Any, example: Any, left_out: tuple[str, ...]) -> Any:
    """What a document says of the members the example says something of; numbers by value."""
    return _like(builtins(document), msgspec.to_builtins(example, enc_hook=str), left_out)


def _like(value: Any, example: Any, left_out: tuple[str, ...]) -> Any:
    if isinstance(example, dict) and isinstance(value, dict):
        return {name: _like(value.get(name), one, left_out) for name, one in example.items() if name not in left_out}
    if isinstance(example, list) and isinstance(value, list):
        return [_like(one, like, left_out) for one, like in zip(value, example, strict=False)] + value[len(example) :]
    return canonical(value) if isinstance(value, Decimal | Exact) else value
