"""Goods go out: partly, in several despatches, and the buyer hears of each."""

import pytest
from playwright.async_api import FilePayload

from tests.pages.conftest import Enter
from tests.pages.world import connect
from tests.stories.company import Company
from tests.stories.test_an_order_arrives import a_line
from tests.stories.test_the_answer_comes_back import approve, once_it_is, sent

PDF = b"%PDF-1.7\nnote"


@pytest.fixture
async def supplier(fjord: Company, nordlys: Company) -> str:
    return await connect(nordlys, fjord)


async def test_goods_go_out_in_two_despatches_and_the_buyer_sees_both(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    order, draft = await sent(nordlys, fjord, supplier, a_line("10", quantity="100"), a_line("20", "A-200", quantity="50"))
    approved = await approve(fjord, draft)
    await once_it_is(nordlys, order, acceptance="approved")
    seller = await enter(fjord, "seller")

    page = await seller.open("/sales-orders")
    await page.click(f"th >> text={approved['summary']['order_number']}")
    await page.fill("[name=quantity-1]", "")
    await page.fill("[name=tracking_number]", "TRK-1")
    note = FilePayload(name="note.pdf", mimeType="application/pdf", buffer=PDF)
    heavy = FilePayload(name="weight.pdf", mimeType="application/pdf", buffer=PDF + b"%" * 9_000_000)
    await page.set_input_files("[name=files]", [note, heavy])
    await page.fill("[name=quantity-0]", "")
    await seller.press("Tell the buyer")
    assert "Taken already" in await page.inner_text("form:has(#despatch)"), "the refusal of a despatch of nothing forgets no file"
    seller.trouble.clear()
    await page.fill("[name=quantity-0]", "100")
    await seller.press("Tell the buyer")
    assert "Despatched. The buyer is told." in await seller.words()
    async with page.expect_download() as downloaded:
        await page.click("text=note.pdf")
    assert (await (await downloaded.value).path()).read_bytes() == PDF
    half = await once_it_is(nordlys, order, fulfilment="partly")
    assert [(one["tracking_number"], [file["name"] for file in one["attachments"]]) for one in half["despatches"]] == [
        ("TRK-1", ["note.pdf", "weight.pdf"])
    ]

    assert await page.input_value("[name=quantity-1]") == "50"
    await page.fill("[name=quantity-1]", "30")
    await page.check("[name=is_last]")
    await seller.press("Tell the buyer")
    await seller.must_be_sound()

    shipped = await once_it_is(nordlys, order, fulfilment="shipped")
    assert [line["quantity"] for one in shipped["despatches"] for line in one["lines"]] == ["100", "30"]
    await seller.open("/sales-orders")
    assert "Nothing to despatch" in await seller.words()


async def test_a_despatch_of_nothing_is_refused_and_what_was_typed_stays(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    order, draft = await sent(nordlys, fjord, supplier, a_line("10", quantity="100"))
    await approve(fjord, draft)
    await once_it_is(nordlys, order, acceptance="approved")
    seller = await enter(fjord, "seller", script=False)

    page = await seller.open(f"/sales-orders/{draft['id']}")
    await page.fill("[name=quantity-0]", "")
    await page.fill("[name=carrier]", "Bring")
    await seller.press("Tell the buyer")

    assert "how much" in await seller.words()
    assert await page.input_value("[name=carrier]") == "Bring"


async def test_after_approval_less_is_promised_and_the_buyer_is_asked(
    fjord: Company, nordlys: Company, supplier: str, enter: Enter
) -> None:
    order, draft = await sent(nordlys, fjord, supplier, a_line("10", quantity="100"))
    await approve(fjord, draft)
    await once_it_is(nordlys, order, acceptance="approved")
    seller = await enter(fjord, "seller")

    page = await seller.open(f"/sales-orders/{draft['id']}")
    await seller.press("Answer again")
    await page.check("[name=do-0][value=change]")
    await page.fill("[name=quantity-0] >> nth=0", "60")
    await page.fill("[name=back_order-0]", "40")
    await page.select_option("[name=code-0]", "out_of_stock")
    await page.click("[name=do][value=changes]")
    await seller.press("Send this answer")

    changed = await once_it_is(nordlys, order, acceptance="changed", answer=2)
    assert changed["answered"]["lines"][0]["action"] == "3"


async def test_an_order_without_a_number_of_ours_is_shown_as_a_draft(fjord: Company, nordlys: Company, supplier: str, enter: Enter) -> None:
    _, draft = await sent(nordlys, fjord, supplier)
    viewer = await enter(fjord, "viewer")

    page = await viewer.open(f"/sales-orders/{draft['id']}")

    assert page.url.endswith(f"/drafts/{draft['id']}")
