"""Articles by page: one written with the reader's own separators, a file with a bad row, an agreed price, a number taught and undone."""

from tests.pages.conftest import Enter
from tests.stories.company import Company


async def test_an_article_is_written_with_the_separators_of_the_readers_language(fjord: Company, enter: Enter) -> None:
    seller = await enter(fjord, "seller", language="nb-NO")
    page = await seller.open("/articles/new")

    await page.fill("#f-number", "B-777")
    await page.fill("#f-name", "Vinkel 40x40")
    await page.fill("#f-unit", "stk")
    await page.fill("#f-price", "1 249,50")
    await page.fill("#f-currency", "NOK")
    await page.click("main .form button[type=submit]")
    await page.wait_for_url("**/articles/ar_*")

    [made] = (await fjord.call("GET", "/articles", params={"number": "B-777"}))["items"]
    assert (made["price"], made["unit"]) == ("1249.5", "H87")
    assert await page.input_value("#f-price") == "1\N{NO-BREAK SPACE}249,5"


async def test_a_figure_that_cannot_be_read_is_explained_with_an_example(fjord: Company, enter: Enter) -> None:
    seller = await enter(fjord, "seller")
    page = await seller.open("/articles/new")

    await page.fill("#f-number", "B-778")
    await page.fill("#f-name", "Angle")
    await page.fill("#f-price", "12,5,0")
    await seller.press("Save article")

    assert "1,200.5" in await page.inner_text("#f-price-e")
    assert await page.input_value("#f-number") == "B-778"


async def test_a_file_with_a_bad_row_is_refused_whole_and_names_the_row_or_taken_without_it(fjord: Company, enter: Enter) -> None:
    admin = await enter(fjord)
    table = b"number,name,unit,price,currency\nC-1,Good,stk,1.00,NOK\nC-2,Bad,parsecs,1.00,NOK\n"
    file = {"name": "articles.csv", "mimeType": "text/csv", "buffer": table}

    page = await admin.open("/articles/import")
    await page.set_input_files("#f-file", file)  # type: ignore[arg-type]
    await page.click("main .form button[type=submit]")
    await page.wait_for_selector("#errors")
    assert "parsecs" in await admin.words()
    assert (await fjord.call("GET", "/articles", params={"number": "C-1"}))["items"] == []
    await page.set_input_files("#f-file", file)  # type: ignore[arg-type]
    await page.check("input[name=take_good]")
    await page.click("main .form button[type=submit]")
    await page.wait_for_selector("text=1 row was taken in")

    assert len((await fjord.call("GET", "/articles", params={"number": "C-1"}))["items"]) == 1


async def test_a_price_is_agreed_with_a_partner_and_taken_back(fjord: Company, enter: Enter) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    seller = await enter(fjord, "seller")
    page = await seller.open("/prices")

    await page.select_option("#f-partner", handed["partner"]["id"])
    await page.fill("#f-article_number", "A-100")
    await page.fill("#f-price", "1.15")
    await page.fill("#f-currency", "NOK")
    await seller.press("Keep this price")
    assert "A-100" in await page.inner_text("tbody")
    await seller.must_be_sound()
    await seller.press("Take back")

    assert (await fjord.call("GET", "/agreed-prices"))["items"] == []


async def test_an_unknown_article_in_a_price_is_said_at_its_field(fjord: Company, enter: Enter) -> None:
    handed = await fjord.hand_over("Nordlys Mekaniske AS", "987654325")
    seller = await enter(fjord, "seller")
    page = await seller.open("/prices")

    await page.select_option("#f-partner", handed["partner"]["id"])
    await page.fill("#f-article_number", "NOPE")
    await page.fill("#f-price", "1.15")
    await page.fill("#f-currency", "NOK")
    await seller.press("Keep this price")

    assert await page.get_attribute("#f-article_number", "aria-invalid") == "true"
    assert await page.input_value("#f-price") == "1.15"
