"""Every list can be taken away as a file: whole, with its filter, and harmless to open."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from python_calamine import CalamineWorkbook

from prodsys import app as prodsys_app
from prodsys import scopes
from prodsys.kit.web import lists_as_files
from prodsys.kit.web.forms import CSV, XLSX
from tests.house.test_doors import ASKS_FOR, Door, doors_of, shut
from tests.stories.company import FJORD, Company, running

MANY = 1_203
CATALOGUE = "number,name,unit,price,currency,gtin,active\n" + "".join(
    f"B-{n:05},Bolt {n},H87,{n}.50,NOK,,{'no' if n % 3 == 0 else 'yes'}\n" for n in range(MANY)
)


@pytest.fixture
async def fjord(tmp_path: Path, database_url: str) -> AsyncIterator[Company]:
    """A company that serves."""
    async with running(FJORD, database_url, tmp_path / "home") as company:
        yield company


@pytest.fixture
async def lists(fjord: Company) -> list[Door]:
    """Every list of the contract."""
    doors = shut(doors_of(prodsys_app.create_app(fjord.instance)))
    return [door for door in doors if door.method == "GET" and lists_as_files.is_list(door.route)]


def table(answer: httpx2.Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


def sheet(answer: httpx2.Response) -> list[list[Any]]:
    assert answer.status_code == 200, answer.text
    return CalamineWorkbook.from_filelike(io.BytesIO(answer.content)).get_sheet_by_index(0).to_python()


async def take(caller: httpx2.AsyncClient, address: str, form: str = CSV, **filters: Any) -> httpx2.Response:
    return await caller.get(address, params=filters, headers={"Accept": form})


async def test_every_list_of_the_contract_comes_as_a_table_under_the_same_door(fjord: Company, lists: list[Door]) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    assert {door.name for door in lists} >= {"list_log_entries", "list_purchase_orders", "list_drafts", "list_articles", "list_contacts"}

    async with fjord.as_(handed["token"]["token"]) as partner, fjord.as_(None) as stranger:
        for door in lists:
            caller = partner if door.opt["door"] == "partner" else fjord.http
            text, book = [await take(caller, door.address, form, **ASKS_FOR.get(door.name, {})) for form in (CSV, XLSX)]
            refused = await take(stranger, door.address)

            assert refused.status_code == 401, door.name
            if "{" in door.path:
                assert text.status_code == book.status_code == 404, door.name
                continue
            headings = table(text)[0]
            assert headings, door.name
            assert sheet(book)[:1] in ([headings], []), door.name
            assert len(table(text)) == max(len(sheet(book)), 1), door.name
            assert text.headers["content-type"] == "text/csv; charset=utf-8"
            assert text.headers["content-disposition"].endswith('.csv"')
            assert book.headers["content-type"] == XLSX


async def test_the_contract_names_both_forms_at_every_list(fjord: Company, lists: list[Door]) -> None:
    async with httpx2.AsyncClient(base_url=fjord.url) as anybody:
        contract = (await anybody.get("/api/openapi.json")).json()

    offering = {
        operation["operationId"]
        for operations in contract["paths"].values()
        for operation in operations.values()
        if {"application/json", CSV, XLSX} == set(operation["responses"].get("200", {}).get("content", {}))
    }
    assert offering == {door.name for door in lists}


async def test_a_file_holds_the_whole_list_however_many_pages_it_has(fjord: Company) -> None:
    await fjord.import_articles(CATALOGUE)

    text = table(await take(fjord.http, "/articles", limit=7))
    book = sheet(await take(fjord.http, "/articles", XLSX))

    number = text[0].index("number")
    assert sorted(row[number] for row in text[1:]) == [f"B-{n:05}" for n in range(MANY)]
    assert [row[number] for row in book[1:]] == [row[number] for row in text[1:]]
    assert {row[text[0].index("price")] for row in text if row[number] == "B-00007"} == {"7.5"}
    assert {row[text[0].index("price")] for row in book if row[number] == "B-00007"} == {7.5}


async def test_a_file_holds_only_what_the_filter_lets_through(fjord: Company) -> None:
    await fjord.import_articles(CATALOGUE)

    text = table(await take(fjord.http, "/articles", q="B-000", active=False))

    assert [row[text[0].index("number")] for row in text[1:]] == [f"B-{n:05}" for n in range(0, 100, 3)]


async def test_a_filter_that_is_wrong_is_refused_before_a_file_begins(fjord: Company) -> None:
    answer = await take(fjord.http, "/logs", after="bm90IG91cnM")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_name_that_looks_like_a_formula_is_text_in_both_files(fjord: Company) -> None:
    formula = '=HYPERLINK("http://evil.example","Æsj")'
    await fjord.call("POST", "/contacts", json={"name": formula})

    text, book = table(await take(fjord.http, "/contacts")), sheet(await take(fjord.http, "/contacts", XLSX))

    for rows in (text, book):
        assert f"'{formula}" in {row[rows[0].index("name")] for row in rows[1:]}


async def test_members_of_members_are_columns_and_several_share_a_cell(fjord: Company) -> None:
    card = {"name": "Havn Bygg AS", "address": {"city": "Łódź", "country": "PL"}, "persons": [{"name": "Åse"}, {"name": "Łukasz"}]}
    await fjord.call("POST", "/contacts", json=card)

    rows = table(await take(fjord.http, "/contacts"))

    [row] = [dict(zip(rows[0], row, strict=True)) for row in rows[1:] if "Havn Bygg AS" in row]
    assert row["address.city"] == "Łódź"
    assert row["persons"] == "Åse; Łukasz"


async def test_a_list_too_long_for_a_workbook_is_refused_and_still_comes_as_text(fjord: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    await fjord.import_articles(CATALOGUE)
    monkeypatch.setattr(lists_as_files, "MOST_ROWS", MANY - 1)

    book, text = await take(fjord.http, "/articles", XLSX), await take(fjord.http, "/articles")

    assert (book.status_code, book.json()["code"]) == (406, "list_too_long")
    assert len(table(text)) == MANY + 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/json, text/csv", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=odd", "application/json"),
        ("application/json;q=0.5, TEXT/CSV", "text/csv; charset=utf-8"),
        ("text/csv, */*", "text/csv; charset=utf-8"),
        (f"text/csv;q=0.4, {XLSX};q=0.9", XLSX),
    ],
)
async def test_the_form_is_the_one_named_and_liked_best(fjord: Company, accept: str, kind: str) -> None:
    answer = await fjord.http.get("/modules", headers={"Accept": accept})

    assert answer.headers["content-type"] == kind


async def test_no_secret_stands_in_the_file_of_tokens(fjord: Company) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325", scopes.Scope.ARTICLES_READ)

    answer = await take(fjord.http, "/tokens")

    assert len(table(answer)) > 2
    secret = handed["token"]["token"]
    assert secret[:12] in answer.text
    assert secret[:14] not in answer.text
