"""People hear of what concerns them by e-mail: an order that came, an answer, trouble and how to mend it."""

from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from prodsys.kit.db import Tx
from prodsys.scopes import CONSOLE, Scope
from prodsys.users import actions as users
from tests.rooms.mailbox import Mailbox, mail_server, words
from tests.stories.company import FJORD, NORDLYS, Company, running
from tests.stories.test_an_order_arrives import a_line, an_order, export

SELLER, BUYER = "ola@fjord.example", "kari@nordlys.example"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
async def fjord(two_databases: tuple[str, str], tmp_path: Path, box: Mailbox) -> AsyncIterator[Company]:
    """The supplier, whose mails leave."""
    async with running(FJORD, two_databases[0], tmp_path / "fjord", alerts_every_seconds=1, **box.knobs()) as company:
        await company.import_articles()
        yield company


@pytest.fixture
async def nordlys(two_databases: tuple[str, str], tmp_path: Path, box: Mailbox) -> AsyncIterator[Company]:
    """The buyer, whose mails leave."""
    async with running(NORDLYS, two_databases[1], tmp_path / "nordlys", alerts_every_seconds=1, **box.knobs()) as company:
        yield company


async def listens(company: Company, email: str, *subjects: str) -> None:
    """Take in a person who hears of these at once."""

    def take_in(tx: Tx) -> str:
        return users.create(tx, CONSOLE, email=email, name=email, password="-", scopes=frozenset(Scope)).id

    user = await company.db.write(take_in)
    for subject in subjects:
        await company.call("POST", "/subscriptions", json={"subject": subject, "user": user})


async def mail_to(company: Company, box: Mailbox, address: str) -> EmailMessage:
    async def arrived() -> Any:
        return box.to(address)

    mails: list[EmailMessage] = await company.in_time(arrived, 30)
    return mails[0]


async def test_the_seller_hears_of_a_new_draft_and_the_mail_links_to_it(
    fjord: Company, nordlys: Company, connected: str, box: Mailbox
) -> None:
    await listens(fjord, SELLER, "new_draft")
    order = await an_order(nordlys, connected)

    await export(nordlys, order)

    mail = await mail_to(fjord, box, SELLER)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]
    assert order["number"] in mail["Subject"]
    assert f"{fjord.url}/drafts/{draft['id']}" in words(mail)


async def test_the_buyer_hears_of_the_answer(fjord: Company, nordlys: Company, connected: str, box: Mailbox) -> None:
    await listens(nordlys, BUYER, "answer")
    order = await an_order(nordlys, connected)
    await export(nordlys, order)
    [draft] = (await fjord.call("GET", "/sales/drafts"))["items"]

    await fjord.call("POST", f"/sales/drafts/{draft['id']}/approve", etag=draft["etag"])

    mail = await mail_to(nordlys, box, BUYER)
    assert "approved" in mail["Subject"]
    assert f"{nordlys.url}/orders/{order['id']}" in words(mail)


async def test_the_admin_hears_of_a_refused_order_once_with_the_reason_and_the_remedy(
    fjord: Company, nordlys: Company, connected: str, box: Mailbox
) -> None:
    await listens(nordlys, BUYER)
    bad = [await an_order(nordlys, connected, a_line("10", "A-999")) for _ in range(3)]

    await export(nordlys, *bad)

    text = words(await mail_to(nordlys, box, BUYER))
    assert "A-999" in text
    assert "What to do: Mend the order and export it again." in text

    async def counted() -> Any:
        alerts = (await nordlys.call("GET", "/alerts"))["items"]
        return alerts if [one["affected"] for one in alerts] == [3] else None

    [alert] = await nordlys.in_time(counted, 30)
    assert (alert["code"], alert["times"], len(box.to(BUYER))) == ("order.refused", 3, 1)


async def test_a_test_mail_arrives(fjord: Company, box: Mailbox) -> None:
    await fjord.call("POST", "/alerts/test-mail", json={"to": SELLER})

    assert (await mail_to(fjord, box, SELLER))["Subject"] == "Fjord Lager AS: test mail"
