"""Whatever is sent to a running company, it answers as its contract says, and never breaks.

The requests are made from the committed contract, well-formed ones and broken ones, the same each time. Longer: PRODSYS_FUZZ_EXAMPLES=200,
or `scripts/fuzz`.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

import hypothesis
import msgspec
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi import checks as contract_checks

from prodsys.upkeep import upgrade
from tests.house.examples import FILE
from tests.stories.company import FJORD, NORDLYS, Company, running

CONTRACT = FILE.with_name("prodsys.json")
FEW = 6
EXAMPLES = int(os.environ.get("PRODSYS_FUZZ_EXAMPLES", FEW))
PARTNERS_MAY = {"PurchaseOrders:Create", "Articles:Read", "Contacts:Read", "Contacts:Write", "Contacts:ReadWrite"}
AT_A_SHUT_DOOR = max(EXAMPLES // 4, 1)
"""A partner is answered 404 at every door of the house whatever he sends, which takes few tries to see."""
SLOW_TO_MAKE_UP = {"set_field_mapping", "preview_mapping"}
"""Field mappings hold steps that hold steps; to make up a broken one takes up to a quarter of a minute, which only the long form has."""
# The company serves in this process and draws at random while Hypothesis does; what is sent stays the same all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")


def never_breaks(ctx: Any, answer: Any, case: Any) -> bool | None:
    """A fault of ours is none the contract may promise; that a foreign system cannot be reached is (502), where the contract says so."""
    return None if answer.status_code == 502 else checks.not_a_server_error(ctx, answer, case)


PROMISES = [
    never_breaks,
    contract_checks.status_code_conformance,
    contract_checks.content_type_conformance,
    contract_checks.response_headers_conformance,
    contract_checks.response_schema_conformance,
]
OPERATIONS = {
    found.ok().definition.raw["operationId"]: found.ok()  # type: ignore[union-attr]
    for found in schemathesis.openapi.from_path(CONTRACT).get_all_operations()
}


class Standing:
    """A company that has been running for a while, in a thread of its own, and the ids of what is in it."""

    url = ""
    tokens: dict[str, str]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """The company all requests go to."""
    home = tmp_path_factory.mktemp("fuzz")
    upgrade.upgrade(f"sqlite:///{home}/prodsys.db")
    found, ready, done = Standing(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with running(FJORD, f"sqlite:///{home}/prodsys.db", home / "home") as fjord:
            await _furnish(fjord, found)
            ready.set()
            await asyncio.to_thread(done.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    assert found.url, "The company did not start."
    try:
        yield found
    finally:
        done.set()
        thread.join()


async def _furnish(fjord: Company, found: Standing) -> None:
    """One of everything, so that an id leads somewhere."""
    await fjord.import_articles()
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    partner, token = handed["partner"]["id"], handed["token"]["token"]
    line = {"line_id": "10", "article_number": "A-100", "quantity": "12", "unit": "H87", "unit_price": "1.30"}
    order = {"number": "PO-1", "date": "2026-11-21", "currency": "NOK", "buyer": msgspec.to_builtins(NORDLYS), "lines": [line]}
    async with fjord.as_(token) as buyer:
        receipt = (await buyer.post("/purchase-orders", json=order)).json()
        await buyer.post("/contacts", json={"name": "Nordlys Mekaniske AS", "organisation_number": "987654325", "phone": "+47 1"})
    written = await fjord.call("POST", "/purchasing/orders", json={"partner": partner, "currency": "NOK", "lines": [line]})
    # Not ready, so that its export has ended: the news of one that has not would be waited for.
    other = await fjord.call("POST", "/purchasing/orders", json={"partner": partner, "currency": "NOK", "lines": [{"line_id": "10"}]})
    exported = await fjord.call("POST", "/exports", json={"orders": [other["id"]]})
    price = {"partner": partner, "article_number": "A-100", "price": "1", "currency": "NOK"}
    agreed = await fjord.call("POST", "/agreed-prices", json=price)
    spare = await fjord.call("POST", "/tokens", json={"name": "spare", "scopes": ["Articles:Read"]})
    [article, *_] = (await fjord.call("GET", "/articles"))["items"]
    [contact, *_] = (await fjord.call("GET", "/contacts"))["items"]
    [proposal] = (await fjord.call("GET", "/contacts/proposals"))["items"]
    [entry, *_] = await fjord.logged()
    found.tokens = {"house": fjord.token, "partner": token, "nobody": ""}
    found.ids = {
        "articles": article["id"],
        "contacts": contact["id"],
        "contacts/proposals": proposal["id"],
        "partners": partner,
        "tokens": spare["id"],
        "purchasing/orders": written["id"],
        "exports": exported["id"],
        "sales/drafts": receipt["id"],
        "purchase-orders": receipt["id"],
        "logs": entry["id"],
        "agreed-prices": agreed["id"],
        "modules": "erp-connections",
    }
    found.url = fjord.url


@pytest.mark.parametrize("who", ["house", "partner"])
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_one_the_contract_tells_of(name: str, who: str, standing: Standing) -> None:
    operation = OPERATIONS[name]
    well_formed = operation.as_strategy()
    broken = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    made_up = well_formed if name in SLOW_TO_MAKE_UP and EXAMPLES == FEW else st.one_of(well_formed, broken)
    asked = operation.definition.raw.get("security", [{}])[0].get("token", [])
    is_shut = who == "partner" and bool(asked) and not PARTNERS_MAY & set(asked)
    known = standing.ids.get(operation.path.removeprefix("/api/v1/").partition("/{")[0])
    headers = {"Authorization": f"Bearer {standing.tokens[who]}"}
    examples = AT_A_SHUT_DOOR if is_shut else EXAMPLES

    @hypothesis.seed(20261121)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=made_up, is_known=st.booleans(), is_current=st.booleans())
    def ask(case: Any, is_known: bool, is_current: bool) -> None:
        if known and is_known:
            case.path_parameters = dict.fromkeys(case.path_parameters, known)
        if is_current and "If-Match" in {parameter.name for parameter in operation.iter_parameters()}:
            case.headers["If-Match"] = "*"
        answer = case.call(base_url=standing.url, headers=headers, timeout=20)
        case.validate_response(answer, checks=PROMISES, headers=headers)

    ask()
