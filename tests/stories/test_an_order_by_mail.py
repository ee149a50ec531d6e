"""A supplier without ProdSys gets the order as a PDF by e-mail from the same button, and its answer is typed in by hand."""

import datetime as dt
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from prodsys.documents import Address, Charge, DeliveryPlace, Exact, Order, OrderLine, Party, Quantity, UnitPrice
from prodsys.papers import order_on_paper
from prodsys.papers.words import language_of, number
from tests.rooms.mailbox import Mailbox, mail_server
from tests.stories.company import NORDLYS, Company, running
from tests.stories.test_an_order_arrives import a_line, an_order

SUPPLIER = "zamowienia@sruby.example"
CARD = {
    "name": "Łódzkie Śruby Sp. z o.o.",
    "email": SUPPLIER,
    "is_supplier": True,
    "address": {"street": "Piotrkowska", "house_number": "12a", "postcode": "90-001", "city": "Łódź", "country": "PL"},
}


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
async def nordlys(database_url: str, tmp_path: Path, box: Mailbox) -> AsyncIterator[Company]:
    """The buyer, whose mails leave."""
    async with running(NORDLYS, database_url, tmp_path / "nordlys", **box.knobs()) as company:
        yield company


@pytest.fixture
async def supplier(nordlys: Company) -> str:
    """A supplier known by its card alone; its id as a partner."""
    contact = await nordlys.call("POST", "/contacts", json=CARD)
    partner = await nordlys.call("POST", "/partners/without-connection", json={"contact": contact["id"]})
    return str(partner["id"])


async def settled(company: Company, made: dict[str, Any]) -> dict[str, Any]:
    async def over() -> Any:
        found = await company.call("GET", f"/exports/{made['id']}")
        return found if found["is_settled"] else None

    found: dict[str, Any] = await company.in_time(over, 30)
    [item] = found["items"]
    return dict(item)


async def mailed(company: Company, supplier: str) -> dict[str, Any]:
    order = await an_order(company, supplier)
    made = await company.call("POST", "/exports", json={"orders": [order["id"]]})
    item = await settled(company, made)
    assert item["status"] == "sent_by_email", item
    found: dict[str, Any] = await company.call("GET", f"/purchasing/orders/{order['id']}")
    return found


async def test_an_order_leaves_as_a_pdf_and_says_that_it_went_by_mail(nordlys: Company, supplier: str, box: Mailbox) -> None:
    order = await mailed(nordlys, supplier)
    [listed] = (await nordlys.call("GET", "/purchasing/orders"))["items"]

    [mail] = box.to(SUPPLIER)
    [paper] = list(mail.iter_attachments())
    assert order["delivery"] == listed["delivery"] == "sent_by_email"
    assert order["acceptance"] == "open"
    assert order["number"] in mail["Subject"]
    assert mail["Reply-To"].addresses[0].addr_spec == "kari@nordlys.example"
    assert paper.get_content_type() == "application/pdf"
    assert paper.get_content().startswith(b"%PDF")
    assert (await nordlys.logged(subject=order["id"]))[0]["code"] == "order.mailed"


async def test_the_preview_says_that_an_order_would_go_by_mail(nordlys: Company, supplier: str, box: Mailbox) -> None:
    order = await an_order(nordlys, supplier)

    [seen] = (await nordlys.call("POST", "/exports/preview", json={"orders": [order["id"]]}))["items"]

    assert (seen["would"], seen["issues"]) == ("email", [])
    assert box.mails == []


async def test_what_the_supplier_answers_is_typed_in(nordlys: Company, supplier: str) -> None:
    order = await mailed(nordlys, supplier)
    said = {"acceptance": "approved", "their_order_number": "SO-9"}

    answered = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/answer-by-hand", etag=order["etag"], json=said)

    assert (answered["acceptance"], answered["their_order_number"], answered["agreed_revision"]) == ("approved", "SO-9", 1)
    assert answered["delivery"] == "sent_by_email"


async def test_a_rejection_by_hand_needs_its_reason(nordlys: Company, supplier: str) -> None:
    order = await mailed(nordlys, supplier)
    path = f"/purchasing/orders/{order['id']}/answer-by-hand"

    await nordlys.call("POST", path, etag=order["etag"], json={"acceptance": "rejected"}, expect=422)
    await nordlys.call("POST", path, json={"acceptance": "approved"}, expect=428)
    answered = await nordlys.call("POST", path, etag=order["etag"], json={"acceptance": "rejected", "reason": "No steel"})

    assert (answered["acceptance"], answered["reason"]) == ("rejected", "No steel")


async def test_words_over_a_connection_are_refused_for_an_order_that_went_by_mail(nordlys: Company, supplier: str) -> None:
    order = await mailed(nordlys, supplier)

    refused = await nordlys.call("POST", f"/purchasing/orders/{order['id']}/cancel", json={"reason": "too late"}, expect=409)

    assert SUPPLIER in refused["detail"]


async def test_an_answer_cannot_be_typed_in_for_an_order_that_was_not_mailed(nordlys: Company, supplier: str) -> None:
    order = await an_order(nordlys, supplier)

    path = f"/purchasing/orders/{order['id']}/answer-by-hand"
    await nordlys.call("POST", path, etag=order["etag"], json={"acceptance": "approved"}, expect=409)


async def test_an_address_the_mail_server_refuses_is_told_at_the_order(nordlys: Company, supplier: str, box: Mailbox) -> None:
    box.says_to[SUPPLIER] = "550 No such mailbox"
    order = await an_order(nordlys, supplier)

    item = await settled(nordlys, await nordlys.call("POST", "/exports", json={"orders": [order["id"]]}))

    assert item["status"] == "refused"
    assert "550" in item["issues"][0]["message"]


@pytest.mark.parametrize(
    ("says", "to_do"),
    [("451 Try again later", "as soon as it does"), ("530 Sign in first", "set PRODSYS_SMTP_USER")],
)
async def test_an_order_that_waits_for_the_mail_server_says_so(
    nordlys: Company, supplier: str, box: Mailbox, says: str, to_do: str
) -> None:
    box.says_to_sender = says
    order = await an_order(nordlys, supplier)
    made = await nordlys.call("POST", "/exports", json={"orders": [order["id"]]})

    async def waits() -> Any:
        [item] = (await nordlys.call("GET", f"/exports/{made['id']}"))["items"]
        return item if item["status"] == "waiting" and item["attempts"] else None

    item = await nordlys.in_time(waits, 30)

    [listed] = (await nordlys.call("GET", "/purchasing/orders"))["items"]
    shown = await nordlys.call("GET", f"/purchasing/orders/{order['id']}")
    assert to_do in item["what_to_do"]
    assert "supplier" not in item["what_to_do"].casefold()
    assert (listed["delivery"], shown["delivery"]) == ("waiting", "waiting")
    assert box.mails == []


async def test_a_changed_order_goes_out_again_as_its_next_revision(nordlys: Company, supplier: str, box: Mailbox) -> None:
    order = await mailed(nordlys, supplier)
    lines = [a_line("10", quantity="7")]
    changed = await nordlys.call(
        "PUT", f"/purchasing/orders/{order['id']}", etag=order["etag"], json={"partner": supplier, "lines": lines, "currency": "NOK"}
    )

    item = await settled(nordlys, await nordlys.call("POST", "/exports", json={"orders": [order["id"]]}))

    assert item["status"] == "sent_by_email", item

    names = [part.get_filename() for mail in box.to(SUPPLIER) for part in mail.iter_attachments()]
    assert changed["revision"] == 2
    assert [str(name)[-6:] for name in names] == ["-1.pdf", "-2.pdf"]


async def test_an_order_is_read_as_a_pdf_before_it_leaves(nordlys: Company, supplier: str) -> None:
    order = await an_order(nordlys, supplier)

    answer = await nordlys.http.get(f"/purchasing/orders/{order['id']}", headers={"Accept": "application/pdf"})

    assert answer.headers["content-type"] == "application/pdf"
    assert "filename=" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"%PDF")


def a_long_order(lines: int) -> Order:
    return Order(
        number="PO-1/Ø", revision=3, date=dt.date(2026, 11, 21), currency="NOK", buyer=NORDLYS,
        deliver_to=DeliveryPlace(name="Lager 2", address=Address(street="Kaiveien", house_number="7", city="Stavanger")),
        charges=[Charge(description="Frakt", amount=Exact("450"))],
        lines=[
            OrderLine(line_id=str(at), article_number=f"A-{at}", description="Skrue, æøåßł", quantity=Quantity("3"), unit="H87",
                      unit_price=UnitPrice("1234.5"))
            for at in range(lines)
        ],
    )  # fmt: skip


def words_of(content: bytes, tmp_path: Path) -> str:
    (tmp_path / "paper.pdf").write_bytes(content)
    try:
        return subprocess.run(["pdftotext", "-layout", tmp_path / "paper.pdf", "-"], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        pytest.skip("No pdftotext is installed (Debian: apt-get install poppler-utils).")


def test_a_paper_repeats_its_head_on_every_page_and_comes_to_its_sum(tmp_path: Path) -> None:
    order = a_long_order(90)

    said = words_of(order_on_paper(order, Party(name="Łódzkie Śruby", address=Address(city="Łódź", country="PL")), "nb").content, tmp_path)

    pages = said.split("\f")[:-1]
    assert len(pages) == 3
    assert all("Beskrivelse" in page and f"Side {at} av 3" in page for at, page in enumerate(pages, 1))
    assert all("PO-1/Ø" in page for page in pages)
    assert "Skrue, æøåßł" in said
    assert "Łódzkie Śruby" in said
    assert "333 765,00" in pages[-1].replace("\u00a0", " ")


@pytest.mark.parametrize(("country", "language"), [("NO", "nb"), ("DE", "de"), ("AT", "de"), ("PL", "pl"), ("SE", "en"), ("", "en")])
def test_a_paper_speaks_the_language_of_whoever_reads_it(country: str, language: str) -> None:
    assert language_of(country) == language


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "1,234,567.50"), ("nb", "1\u00a0234\u00a0567,50"), ("de", "1.234.567,50"), ("pl", "1\u00a0234\u00a0567,50")],
)
def test_numbers_are_written_as_their_reader_writes_them(language: Any, said: str) -> None:
    assert number(Exact("1234567.5"), language, places=2) == said
    assert number(Exact("-0.005"), language) == f"-0{said[-3]}005"
