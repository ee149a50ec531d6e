"""Drawings travel before the order that names them, once, and only those see them whose they are."""

import hashlib
import io
import zipfile
from typing import Any

import pytest
from sqlalchemy import func, select, update

from prodsys.attachments.model import CHUNK
from prodsys.kit.clock import now
from prodsys.tables import attachment_chunks, attachments
from prodsys.upkeep import retention
from tests.rooms.makers import wire_order
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import an_order, export

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 3_000


def named(content: bytes, name: str = "drawing.pdf", kind: str = "application/pdf") -> dict[str, Any]:
    return {"name": name, "media_type": kind, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


async def put(company: Any, content: bytes, sha256: str | None = None) -> Any:
    return await company.put(f"/attachments/{sha256 or hashlib.sha256(content).hexdigest()}", content=content)


async def test_a_drawing_goes_ahead_of_its_order_and_is_the_same_file_there(fjord: Company, nordlys: Company, connected: str) -> None:
    file = named(PDF)
    sent = await put(nordlys.http, PDF)
    order = await an_order(nordlys, connected, attachments=[file])

    exported = await export(nordlys, order)

    there = await fjord.http.get(f"/attachments/{file['sha256']}")
    again = await put(nordlys.http, PDF)
    assert (sent.status_code, again.status_code) == (201, 200)
    assert sent.json() == {"sha256": file["sha256"], "size": len(PDF), "media_type": "application/pdf"}
    assert [item["status"] for item in exported["items"]] == ["received"]
    assert there.content == PDF
    assert (there.headers["content-type"], there.headers["x-content-type-options"]) == ("application/octet-stream", "nosniff")
    assert there.headers["content-disposition"].startswith("attachment;")
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    assert (await fjord.call("GET", f"/sales/drafts/{draft['id']}"))["order"]["attachments"] == [file]
    assert (await nordlys.call("GET", f"/purchasing/orders/{order['id']}"))["attachments"] == [file]
    later = await export(nordlys, await an_order(nordlys, connected, attachments=[file]))
    assert [item["status"] for item in later["items"]] == ["received"]
    assert await fjord.db.read(lambda tx: tx.execute(select(func.count()).select_from(attachments)).scalar_one()) == 1


async def test_an_order_that_names_what_was_never_sent_is_refused_at_either_side(fjord: Company, nordlys: Company, connected: str) -> None:
    file = named(PDF)
    handed = await fjord.hand_over("Havn Bygg AS", "974760673")

    here = await nordlys.call(
        "POST", "/purchasing/orders",
        json={"partner": connected, "currency": "NOK", "lines": [{"line_id": "10"}], "attachments": [file]}, expect=422,
    )  # fmt: skip
    async with fjord.as_(handed["token"]["token"]) as havn:
        there = await havn.post("/purchase-orders", json=wire_order(attachments=[file]))
        foretold = await havn.post("/purchase-orders/preview", json={"orders": [wire_order(attachments=[file])]})

    assert [issue["code"] for issue in here["issues"]] == ["attachment_missing"]
    assert [issue["code"] for issue in there.json()["issues"] if issue.get("blocks")] == ["attachment_missing"]
    assert there.json()["issues"][0]["params"]["sha256"] == file["sha256"]
    assert "attachment_missing" not in foretold.text


async def test_a_delivery_note_comes_with_its_despatch_when_it_is_first_wanted(fjord: Company, nordlys: Company, connected: str) -> None:
    note = named(PDF, "note.pdf")
    order = await an_order(nordlys, connected)
    await export(nordlys, order)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])
    gone = {"lines": [{"line_id": "10", "quantity": "100"}], "attachments": [note]}
    missing = await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=gone, expect=422)
    await put(fjord.http, PDF)
    await fjord.call("POST", f"/sales/orders/{draft['id']}/despatches", json=gone)

    async def told() -> Any:
        return (await nordlys.call("GET", f"/purchasing/orders/{order['id']}"))["despatches"]

    [despatch] = await nordlys.in_time(told, 30)
    door = f"/purchasing/orders/{order['id']}/attachments"
    first = await nordlys.http.get(f"{door}/{note['sha256']}")
    again = await nordlys.http.get(f"/attachments/{note['sha256']}")
    strange = await nordlys.http.get(f"{door}/{'0' * 64}")

    assert [issue["code"] for issue in missing["issues"]] == ["attachment_missing"]
    assert despatch["attachments"] == [note]
    assert (first.content, again.content, strange.status_code) == (PDF, PDF, 404)
    handed = await fjord.hand_over("Havn Bygg AS", "974760673")
    async with fjord.as_(handed["token"]["token"]) as havn:
        assert (await havn.get(f"/attachments/{note['sha256']}")).status_code == 404


async def test_a_partner_sees_his_own_files_and_nobody_elses_though_he_knows_their_hash(fjord: Company) -> None:
    nordlys = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    havn = await fjord.hand_over("Havn Bygg AS", "974760673")
    path = f"/attachments/{hashlib.sha256(PDF).hexdigest()}"

    async with fjord.as_(nordlys["token"]["token"]) as first, fjord.as_(havn["token"]["token"]) as second:
        await put(first, PDF)
        own, strange = await first.get(path), await second.get(path)
        naming = await second.post("/purchase-orders", json=wire_order(attachments=[named(PDF)]))
        current = await first.get(path, headers={"If-None-Match": own.headers["etag"]})
        both = await put(second, PDF)
        now_his = await second.get(path)

    assert (own.status_code, strange.status_code) == (200, 404)
    assert [issue["code"] for issue in naming.json()["issues"] if issue.get("blocks")] == ["attachment_missing"]
    assert current.status_code == 304
    assert (both.status_code, now_his.status_code) == (201, 200)
    assert (await fjord.http.get(path)).content == PDF


def a_workbook(*, macros: bool = False) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as parts:
        parts.writestr("[Content_Types].xml", "<Types/>")
        parts.writestr("xl/workbook.xml", "<workbook/>")
        if macros:
            parts.writestr("xl/vbaProject.bin", "macro")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 20, "image/jpeg"),
        (b"AC1032" + b"\0" * 20, "image/vnd.dwg"),
        (b"ISO-10303-21;\nHEADER;", "model/step"),
        ("Målebrev; 12,5 mm\n".encode(), "text/plain"),
        (a_workbook(), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"<html><script>alert(1)</script></html>", "text/plain"),
    ],
)
async def test_a_file_is_what_its_content_shows(fjord: Company, content: bytes, kind: str) -> None:
    answer = await put(fjord.http, content)

    assert (answer.status_code, answer.json()["media_type"]) == (201, kind)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"MZ\x90\x00" + b"\0" * 50, "kind_not_taken"),
        (b"PK\x03\x04rest of an archive", "kind_not_taken"),
        (a_workbook(macros=True), "kind_not_taken"),
        (b"a text with a NUL \0", "kind_not_taken"),
        (b"", "kind_not_taken"),
    ],
)
async def test_what_is_not_on_the_list_is_not_taken_and_nothing_of_it_stays(fjord: Company, content: bytes, code: str) -> None:
    answer = await put(fjord.http, content)

    assert (answer.status_code, answer.json()["issues"][0]["code"]) == (422, code)
    assert await fjord.db.read(lambda tx: tx.execute(select(func.count()).select_from(attachment_chunks)).scalar_one()) == 0
    assert await fjord.db.read(lambda tx: tx.execute(select(func.count()).select_from(attachments)).scalar_one()) == 0


async def test_a_wrong_hash_a_strange_hash_and_too_much_are_refused(fjord: Company) -> None:
    wrong = await put(fjord.http, PDF, "0" * 64)
    strange = await put(fjord.http, PDF, "elsewhere")
    large = await put(fjord.http, b"%PDF-" + b"x" * 20_000_000)

    assert (wrong.status_code, wrong.json()["issues"][0]["code"]) == (422, "hash_mismatch")
    assert (strange.status_code, strange.json()["issues"][0]["code"]) == (422, "hash_invalid")
    assert large.status_code == 413
    assert await fjord.db.read(lambda tx: tx.execute(select(func.count()).select_from(attachments)).scalar_one()) == 0


async def test_files_no_order_names_go_after_a_week(fjord: Company, nordlys: Company, connected: str) -> None:
    used, unused, fresh = PDF, PDF + b"other", PDF + b"fresh"
    for content in (used, unused):
        await put(nordlys.http, content)
    await an_order(nordlys, connected, attachments=[named(used)])
    week = now() - retention.UNUSED_FILES - retention.AT_ONCE
    await nordlys.db.write(lambda tx: tx.execute(update(attachments).values(created_at=week)).rowcount)
    await put(nordlys.http, fresh)

    dropped = await retention.run(nordlys.db, nordlys.instance.settings)

    found = [
        (await nordlys.http.get(f"/attachments/{hashlib.sha256(content).hexdigest()}")).status_code for content in (used, unused, fresh)
    ]
    assert dropped.attachments == 1
    assert found == [200, 404, 200]
    assert len(PDF) > 2 * CHUNK


async def test_the_house_reads_a_file_by_the_orders_that_name_it(fjord: Company, nordlys: Company, connected: str) -> None:
    file = named(PDF)
    path = f"/attachments/{file['sha256']}"
    await put(nordlys.http, PDF)
    unnamed = await asked_by(nordlys, path)
    order = await an_order(nordlys, connected, attachments=[file])

    await export(nordlys, order)

    assert unnamed == {"PurchaseOrders:Read": 403, "SalesOrders:Read": 403, "PurchaseOrders:Write": 200, "Logs:Read": 403}
    assert await asked_by(nordlys, path) == {
        "PurchaseOrders:Read": 200, "SalesOrders:Read": 403, "PurchaseOrders:Write": 403, "Logs:Read": 403,
    }  # fmt: skip
    assert await asked_by(fjord, path) == {
        "PurchaseOrders:Read": 403, "SalesOrders:Read": 200, "PurchaseOrders:Write": 403, "Logs:Read": 403,
    }  # fmt: skip


async def asked_by(company: Company, path: str) -> dict[str, int]:
    """What programs of the house are answered that carry one scope each."""
    found = {}
    for scope in ("PurchaseOrders:Read", "SalesOrders:Read", "PurchaseOrders:Write", "Logs:Read"):
        made = await company.call("POST", "/tokens", json={"name": scope, "scopes": [scope]})
        async with company.as_(made["token"]) as program:
            found[scope] = (await program.get(path)).status_code
    return found


async def test_with_the_module_off_a_partners_file_is_not_taken_and_the_house_goes_on(fjord: Company) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    await fjord.call("PUT", "/modules/prodsys-to-prodsys", json={"is_on": False})

    async with fjord.as_(handed["token"]["token"]) as partner:
        refused = await put(partner, PDF)

    assert (refused.status_code, refused.json()["code"]) == (403, "module_off")
    assert (await put(fjord.http, PDF)).status_code == 201
