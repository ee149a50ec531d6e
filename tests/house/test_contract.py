"""The committed contract is the contract of this code, and tells integrators everything."""

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from schemathesis.core.errors import InvalidSchema

from prodsys import app, errors
from prodsys.kit.web import write_openapi
from prodsys.settings import Settings
from tests.house.examples import FILE as EXAMPLES

COMMITTED = EXAMPLES.with_name("prodsys.json")
PROBLEM = "application/problem+json"

AT_PAGES = {errors.SignInNeeded.code, errors.ForeignForm.code}
"""Refusals no operation gives: they are told by pages alone."""
EVERYWHERE = {"method_not_allowed"}
"""A refusal of an address, not of an operation."""

NEVER_READ = {"receive_push"}
"""Bodies whose bytes are signed, and which are never read as a document."""


@pytest.fixture(scope="session")
async def contract(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The contract of this code."""
    return msgspec.json.decode(await _written(tmp_path_factory.mktemp("contract"), "3.1"))  # type: ignore[no-any-return]


async def _written(home: Path, version: str) -> bytes:
    async with app.opened(Settings(home=str(home)), serving=False) as instance:
        return write_openapi(app.create_app(instance), version)


async def test_the_committed_contract_is_the_contract_of_this_code(tmp_path: Path) -> None:
    current = msgspec.json.format(await _written(tmp_path, "3.1"), indent=2) + b"\n"

    if COMMITTED.read_bytes() != current:
        # Not an assertion: half a megabyte of difference helps nobody.
        pytest.fail("The contract has changed; `git diff openapi` shows how, once it is written anew. Run: scripts/openapi --write")


async def test_every_operation_has_a_name_of_ours_a_summary_and_a_place(contract: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in _operations(contract)]

    assert len(set(names)) == len(names)
    for name, (_, operation) in zip(names, _operations(contract), strict=True):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name), name
        assert 2 <= len(operation["summary"]) <= 80, name
        assert operation["tags"], name


async def test_every_document_has_a_name_of_its_own(contract: dict[str, Any]) -> None:
    shown = [name.removeprefix("Page_") for name in contract["components"]["schemas"]]

    # Of two with one name the generator would make `room_file_Name`.
    assert [name for name in shown if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)] == []


async def test_every_operation_shows_what_was_really_sent_and_answered(contract: dict[str, Any]) -> None:
    shown = msgspec.json.decode(EXAMPLES.read_bytes())

    for _, operation in _operations(contract):
        example = shown[operation["operationId"]]
        told = operation["responses"][str(example["answer"]["status"])]
        content = next(iter(told["content"].values())) if "content" in told else None
        assert (content is None) == ("body" not in example["answer"]), operation["operationId"]
        if content is not None:
            assert content["examples"]["answered"]["value"] == example["answer"]["body"]
        if "body" in example["request"]:
            kind = example["request"].get("headers", {}).get("Content-Type", "application/json")
            asked = operation["requestBody"]["content"][kind]
            assert asked["examples"]["sent"]["value"] == example["request"]["body"]


async def test_every_example_fits_the_schema_it_stands_beside(contract: dict[str, Any]) -> None:
    faults = []
    for name, schema, value in _shown_values(contract):
        checker = jsonschema_rs.validator_for({**schema, "components": contract["components"]})
        faults += [f"{name}: {fault.message} at {fault.instance_path}" for fault in checker.iter_errors(value)]

    assert not faults, "\n".join(faults)


async def test_every_header_a_real_answer_carried_is_told(contract: dict[str, Any]) -> None:
    shown = msgspec.json.decode(EXAMPLES.read_bytes())

    for _, operation in _operations(contract):
        answer = shown[operation["operationId"]]["answer"]
        told = {name.lower() for name in operation["responses"][str(answer["status"])].get("headers", {})}
        assert set(answer["headers"]) - {"content-type"} <= told, operation["operationId"]


async def test_every_refusal_stands_with_the_operations_that_may_give_it(contract: dict[str, Any]) -> None:
    told = {code for _, operation in _operations(contract) for code in _codes(contract, operation)}

    assert {kind.code for kind in errors.every_refusal()} - told == EVERYWHERE | AT_PAGES
    assert set(contract["x-problems"]) == {errors.Refusal.code, *(kind.code for kind in errors.every_refusal())}


async def test_a_refusal_is_told_under_its_own_status_with_an_example(contract: dict[str, Any]) -> None:
    status_of = {kind.code: str(kind.status) for kind in errors.every_refusal()}

    for _, operation in _operations(contract):
        for status, told in _answers(contract, operation).items():
            for code in told.get("content", {}).get(PROBLEM, {}).get("examples", {}):
                assert status_of[code] == status, operation["operationId"]
                assert contract["components"]["examples"][code]["value"]["code"] == code


async def test_an_operation_tells_the_refusals_that_follow_from_its_door(contract: dict[str, Any]) -> None:
    for path, operation in _operations(contract):
        codes, takes = _codes(contract, operation), {parameter["name"] for parameter in operation.get("parameters", ())}
        expected = {"internal"}
        if operation["security"] != [{}]:
            expected |= {"token_missing", "token_unknown", "token_expired", "token_revoked", "address_not_allowed"}
            expected |= {"too_many_requests", "storage_unavailable"}
            expected |= {"insufficient_scope"} if operation["security"][0]["token"] else set()
        if "requestBody" in operation:
            expected |= {"too_large", "unsupported_media_type"}
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            expected |= {"invalid"} if operation["operationId"] in NEVER_READ else {"not_json", "invalid"}
        if "Idempotency-Key" in takes:
            expected |= {"idempotency_key_reused", "invalid"}
        if "If-Match" in takes:
            expected |= {"if_match_missing", "stale"}
        if "{" in path:
            expected |= {"not_found"}
        assert expected <= codes, f"{operation['operationId']}: {expected - codes}"


async def test_every_body_is_told_files_too(contract: dict[str, Any]) -> None:
    kinds = {
        operation["operationId"]: set(operation["requestBody"]["content"])
        for _, operation in _operations(contract)
        if "requestBody" in operation
    }
    files = {name for name in kinds if name.startswith("import_")}

    sheets = {"text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    assert files == {"import_articles", "import_agreed_prices", "import_contacts", "import_purchase_orders"}
    assert kinds.pop("put_attachment") == {"application/octet-stream"}
    assert all(kinds[name] == (sheets if name in files else {"application/json"}) for name in kinds)


async def test_every_parameter_of_a_query_says_what_it_is(contract: dict[str, Any]) -> None:
    silent = [
        f"{operation['operationId']}: {parameter['name']}"
        for _, operation in _operations(contract)
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "path" and not parameter.get("description")
    ]

    assert not silent, "\n".join(silent)


async def test_every_document_and_its_unusual_members_are_described(contract: dict[str, Any]) -> None:
    silent = [
        name for name, schema in contract["components"]["schemas"].items() if "properties" in schema and not schema.get("description")
    ]

    assert not silent, silent


@pytest.mark.parametrize("version", ["3.1", "3.0"])
async def test_generators_of_both_versions_can_read_the_contract(version: str, tmp_path: Path) -> None:
    document = msgspec.json.decode(await _written(tmp_path, version))

    schema = schemathesis.openapi.from_dict(document)
    try:
        schema.validate()
    except InvalidSchema as fault:
        pytest.fail(str(fault))
    assert len(list(schema.get_all_operations())) == len(_operations(document))


def _operations(contract: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in contract["paths"].items() for operation in methods.values()]


def _answers(contract: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    shared = contract["components"]["responses"]
    return {status: shared[told["$ref"].rpartition("/")[2]] if "$ref" in told else told for status, told in operation["responses"].items()}


def _codes(contract: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    return {
        code for told in _answers(contract, operation).values() for code in told.get("content", {}).get(PROBLEM, {}).get("examples", {})
    }


def _shown_values(contract: dict[str, Any]) -> list[tuple[str, dict[str, Any], Any]]:
    found = []
    for _, operation in _operations(contract):
        contents = [
            operation.get("requestBody", {}).get("content", {}),
            *(told.get("content", {}) for told in operation["responses"].values()),
        ]
        for content in contents:
            for kind in content.values():
                values = [shown["value"] for shown in kind.get("examples", {}).values() if "value" in shown]
                found += [(operation["operationId"], kind["schema"], value) for value in values]
    return found
