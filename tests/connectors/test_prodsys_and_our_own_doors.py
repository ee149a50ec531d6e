"""The connector against our own doors: what one version of us asks, the same version answers."""

import datetime as dt
import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from prodsys.company.actions import renew_epoch
from prodsys.connectors.prodsys.instance import Prodsys
from prodsys.connectors.prodsys.words import (
    Articles,
    Changes,
    Company,
    CursorGone,
    Offered,
    Record,
    ReportContact,
    Rotated,
    Same,
    Sending,
    Stale,
    Taken,
    TheirOrder,
)
from prodsys.documents import Party
from prodsys.kit.outbound import Refused
from prodsys.kit.vault import Secret
from tests.connectors.their_prodsys import TRACEPARENT, a_way_out
from tests.stories.company import NORDLYS, running
from tests.stories.company import Company as Ours

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fjord(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ours]:
    """A supplier of ours, with articles."""
    card = Party(name="Fjord Lager AS", organisation_number="999999999")
    async with running(card, database_url, tmp_path_factory.mktemp("fjord")) as company:
        await company.import_articles()
        yield company


@pytest.fixture
async def there(fjord: Ours) -> AsyncIterator[Prodsys]:
    """How a buyer's instance reaches it."""
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    async with a_way_out() as out:
        yield Prodsys(out, fjord.url, Secret(handed["token"]["token"]), trust="admin")


def an_order(number: str, article: str = "A-100") -> Sending:
    line = {"line_id": "10", "article_number": article, "quantity": "1200", "unit": "H87", "unit_price": "1.30"}
    buyer = {"name": "Nordlys Mekaniske AS", "organisation_number": "987654325"}
    order = {"number": number, "date": dt.datetime.now(dt.UTC).date().isoformat(), "currency": "NOK", "buyer": buyer, "lines": [line]}
    return Sending(document=json.dumps(order), traceparent=TRACEPARENT)


async def test_orders_are_taken_alone_and_together_and_refused_with_every_issue(there: Prodsys) -> None:
    [alone] = await there.send([an_order("PO/1")])
    again, fresh, refused = await there.send([an_order("PO/1"), an_order("PO-2"), an_order("PO-3", "A-999")])

    assert isinstance(alone, Taken)
    assert isinstance(again, Taken)
    assert isinstance(fresh, Taken)
    assert isinstance(refused, Refused)
    assert (alone.receipt.new, again.receipt.new, fresh.receipt.new) == (True, False, True)
    assert (again.receipt.id, fresh.receipt.trace_id) == (alone.receipt.id, TRACEPARENT[3:35])
    assert [issue.code for issue in refused.problem.issues if issue.blocks] == ["article_unknown"]


async def test_a_preview_is_read(there: Prodsys) -> None:
    reports = await there.preview([an_order("PO-1").document, an_order("PO-2", "A-999").document])

    assert isinstance(reports, list)
    assert [(report.would, report.lines[0].how) for report in reports] == [("draft", "article_number"), ("refused", "unknown")]


async def test_the_feed_and_one_order_are_read_and_a_foreign_cursor_is_gone(there: Prodsys, fjord: Ours) -> None:
    [taken] = await there.send([an_order("PO-1")])
    assert isinstance(taken, Taken)

    page = await there.changes(None)
    order = await there.order(taken.receipt.id)

    assert isinstance(page, Changes)
    assert page.next is not None
    assert isinstance(order, TheirOrder)
    assert (order.id, order.acceptance) == (taken.receipt.id, "open")
    assert isinstance(await there.changes(page.next), Changes)
    await fjord.db.write(renew_epoch)
    assert await there.changes(page.next) == CursorGone()


async def test_who_they_are_and_what_they_know_is_read(there: Prodsys) -> None:
    company = await there.company()
    contact = await there.contacts_match(NORDLYS)
    numbers = await there.match_articles(["A-100", "A-999", "A-900"])
    articles = await there.articles(None)

    assert isinstance(company, Company)
    assert company.modules is not None
    assert (company.card.name, company.document_versions, "prodsys-to-prodsys" in company.modules) == ("Fjord Lager AS", ["1"], True)
    assert company.token.expires_at is not None
    assert isinstance(contact, ReportContact)
    assert isinstance(numbers, list)
    assert [one.how for one in numbers] == ["article_number", "unknown", "inactive"]
    assert isinstance(articles, Articles)
    assert "A-100" in [article.number for article in articles.items]


async def test_a_token_is_renewed_only_where_the_supplier_allows_it(there: Prodsys, fjord: Ours) -> None:
    refused = await there.rotate()
    [partner] = (await fjord.call("GET", "/partners"))["items"]
    await fjord.call("PATCH", f"/partners/{partner['id']}", etag="*", json={"may_rotate": True})

    rotated = await there.rotate()

    assert isinstance(refused, Refused)
    assert refused.problem.code == "rotation_not_allowed"
    assert isinstance(rotated, Rotated)


async def test_the_record_they_keep_of_us_is_read_once_and_offered_anew_by_its_etag(there: Prodsys, fjord: Ours) -> None:
    before = await there.record()
    await there.send([an_order("PO-1")])
    record = await there.record()
    assert isinstance(record, Record)

    again = await there.record(record.id, record.etag)
    offered = await there.offer_card(record.id, msgspec.structs.replace(record.card, phone="+47 51"), record.etag)
    await fjord.call("PATCH", f"/contacts/{record.id}", etag="*", json={"email": "x@nordlys.example"})
    stale = await there.offer_card(record.id, record.card, record.etag)

    assert (before, again, stale) == (None, Same(), Stale())
    assert record.card.organisation_number == "987654325"
    assert offered == Offered(state="open")
    assert await there.record("ct_nobody", record.etag) is None


async def test_their_card_is_read_only_when_it_has_changed(there: Prodsys) -> None:
    company = await there.company()
    assert isinstance(company, Company)

    assert await there.company_since(company.etag) == Same()
    assert isinstance(await there.company_since('"another"'), Company)
