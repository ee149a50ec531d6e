"""Tables come in whole, or with every bad row named, whatever file is brought."""

import io
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
import xlsxwriter  # type: ignore[import-untyped]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodsys.kit import sheets
from prodsys.kit.sheets import BadFile, Table, Unclear, cleaned, number, quoted

BIDI_AND_BROKEN = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffd"
texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=BIDI_AND_BROKEN, include_characters="\t\n"), max_size=40)
formulas = st.builds(str.__add__, st.sampled_from(["=", "+", "-", "@", "\t", "'=", "''@", "'"]), texts)
tables = st.lists(st.tuples(texts | formulas, texts | formulas), max_size=8)


def read(content: bytes, **more: tuple[str, ...]) -> Table:
    table = sheets.read_table(content, text_columns=("number",), **more)
    assert isinstance(table, Table), table
    return table


def refused(content: bytes, **more: tuple[str, ...]) -> str:
    answer = sheets.read_table(content, text_columns=("number",), **more)
    assert isinstance(answer, BadFile)
    assert answer.message.endswith((".", ")."))
    return answer.code


def cells(table: Table) -> list[tuple[str, ...]]:
    return [tuple(row.cells.values()) for row in table.rows]


def faults(table: Table) -> list[tuple[int, str, str]]:
    return [(bad.number, bad.column, bad.code) for bad in table.bad]


def workbook(fill, **options):
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, **options}) as book:
        fill(book, book.add_worksheet())
    return content.getvalue()


def repacked(content: bytes, changes: dict[str, bytes]) -> bytes:
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name not in changes:
                new.writestr(name, old.read(name))
        for name, member in changes.items():
            new.writestr(name, member)
    return changed.getvalue()


def sheet_xml(rows: str) -> bytes:
    name = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<?xml version="1.0"?><worksheet xmlns="{name}"><sheetData>{rows}</sheetData></worksheet>'.encode()


def of_xml(rows: str) -> bytes:
    return repacked(workbook(lambda _, sheet: sheet.write_row(0, 0, ["number"])), {"xl/worksheets/sheet1.xml": sheet_xml(rows)})


def shared_text(text: str) -> bytes:
    return f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>{text}</t></si></sst>'.encode()


@settings(deadline=None)
@given(tables)
def test_a_list_taken_as_csv_comes_back_as_it_was(rows):
    content = b"".join(sheets.write_csv(["number", "name", "note"], [("A-1", *row) for row in rows]))

    table = read(content)

    assert table.bad == []
    assert cells(table) == [("A-1", stored(first), stored(second)) for first, second in rows]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables)
def test_a_list_taken_as_a_workbook_comes_back_as_it_was(rows):
    content = sheets.write_xlsx(["number", "name", "note"], [("A-1", *row) for row in rows])

    table = read(content)

    assert table.bad == []
    assert cells(table) == [("A-1", stored(first), stored(second)) for first, second in rows]


def stored(text: str) -> str:
    return cleaned(quoted(text))


@settings(deadline=None)
@given(texts | formulas)
def test_a_text_that_looks_like_a_formula_is_disarmed_and_restored(text):
    out = quoted(text)

    assert not out.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cleaned(out) == cleaned(f" {text}")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="\",;\t\n\r=a1\x00æ'", max_size=60).map(str.encode))
def test_no_bytes_whatever_bring_the_reader_down(content):
    answer = sheets.read_table(content, text_columns=("number",))

    assert isinstance(answer, Table | BadFile)


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000))
def test_no_damaged_workbook_brings_the_reader_down(noise, place):
    whole = sheets.write_xlsx(["number"], [["A-1"]])

    answer = sheets.read_table(whole[:place] + noise + whole[place + len(noise) :], text_columns=("number",))

    assert isinstance(answer, Table | BadFile)


def test_names_of_columns_are_read_without_regard_to_case_and_blanks():
    table = read(b" Number ,NAME,Colour,\nA-1,Bolt,red,\n\n , ,\nA-2,Nut,blue\n", required=("number", "name"))

    assert table.columns == ("number", "name", "colour")
    assert [(row.number, row.cells["number"], row.cells["colour"]) for row in table.rows] == [(2, "A-1", "red"), (5, "A-2", "blue")]


def test_leading_zeros_in_csv_are_kept():
    assert cells(read(b"number,name\n00042,Bolt\n")) == [("00042", "Bolt")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_nordic_letters_are_read_in_any_usual_encoding(encoding):
    content = "number;name\nÆ-1;Blåbærsyltetøy\n".encode(encoding)

    assert cells(read(content)) == [("Æ-1", "Blåbærsyltetøy")]


def test_a_semicolon_file_has_a_decimal_comma():
    table = read(b"number;price;weight\nA-1;1 234,50;1,234\nA-2;1.234,50;1.234\n")

    prices = [number(row.cells["price"], decimal=table.decimal) for row in table.rows]
    weights = [number(row.cells["weight"], decimal=table.decimal) for row in table.rows]
    assert prices == [Decimal("1234.50"), Decimal("1234.50")]
    assert weights[0] == Decimal("1.234")
    assert isinstance(weights[1], Unclear)


@pytest.mark.parametrize("content", [b"number\tname\nA-1\tBolt, M8; 20\n", b'sep=;\r\nnumber;name\r\nA-1;"Bolt, M8; 20"\r\n'])
def test_the_delimiter_is_found_in_the_header(content):
    assert cells(read(content)) == [("A-1", "Bolt, M8; 20")]


def test_a_quoted_line_break_is_one_row_and_the_next_keeps_its_number():
    table = read(b'number,name\r\nA-1,"Bolt\r\nM8 ""zinc"""\r\nA-2,Nut\r\n')

    assert [(row.number, row.cells["name"]) for row in table.rows] == [(2, 'Bolt\nM8 "zinc"'), (3, "Nut")]


def test_every_bad_row_is_listed_and_the_good_ones_are_kept():
    table = read(b'number,name\nA-1,Bolt\nA\x00-2,N\x07ut\nA-3,"Nut"x\nA-4,a,b\nA-5,\xe2\x80\xae\nA-6,Nut\n')

    assert [row.cells["number"] for row in table.rows] == ["A-1", "A-6"]
    assert faults(table) == [
        (3, "number", "control_character"),
        (3, "name", "control_character"),
        (4, "", "broken_quotes"),
        (5, "", "cell_without_column"),
        (6, "name", "control_character"),
    ]


def test_a_quotation_mark_never_closed_is_a_bad_row():
    table = read(b'number,name\nA-1,Bolt\nA-2,"Nut\nA-3,Washer\n')

    assert (cells(table), faults(table)) == ([("A-1", "Bolt")], [(3, "", "broken_quotes")])


def test_a_character_that_cannot_be_read_is_a_bad_row():
    assert faults(read(b"number,name\nA-1,B\xe6r\x81\n")) == [(2, "name", "unreadable_character")]


def test_a_header_alone_is_a_table_without_rows():
    table = read(b"number,name\n")

    assert (table.columns, table.rows, table.bad) == (("number", "name"), [], [])
    assert read(sheets.write_xlsx(["number", "name"], [])) == Table(columns=("number", "name"), rows=[], bad=[], decimal=None)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (b"\xef\xbb\xbf\r\n \n", "file_empty"),
        (b"number,name, Number\n", "column_twice"),
        (b"name,price\n1,2\n", "column_missing"),
        (b"number," + b",".join(b"c%d" % n for n in range(100)), "too_many_columns"),
        (b"number\n" + b"1\n" * 100_001, "too_many_rows"),
        (b"number" + b"".join(b",c%d" % n for n in range(99)) + b"\n1" * 20_001, "too_many_cells"),
        (b"number\n" + b" " * 20 * 1024**2, "file_too_large"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not_a_table"),
        (b"  <!DOCTYPE html><table><tr><td>number", "not_a_table"),
        (b'number,"na"me\nA-1,Bolt\n', "header_unreadable"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600, "old_workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "file_encrypted"),
        (b"PK\x03\x04 and then nothing of a workbook", "not_a_workbook"),
        (b"PK\x05\x06" + b"\x00" * 18, "not_a_workbook"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_the_reason(content, code):
    assert refused(content, required=("number",)) == code


def test_a_number_in_a_code_column_of_a_workbook_is_a_bad_row():
    def fill(book, sheet):
        sheet.write_row(0, 0, ["Number", "price"])
        sheet.write_row(1, 0, [42, 1])
        sheet.write_string(2, 0, "00042")
        sheet.write_datetime(3, 0, datetime(2026, 2, 1), book.add_format({"num_format": "yyyy-mm-dd"}))  # noqa: DTZ001

    table = read(workbook(fill))

    assert cells(table) == [("00042", "")]
    assert faults(table) == [(2, "number", "format_as_text"), (4, "number", "format_as_text")]
    assert "format the column as text" in table.bad[0].message


def test_numbers_dates_and_flags_of_a_workbook_are_exact_text():
    def fill(book, sheet):
        day, clock = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "hh:mm"})
        sheet.write_row(0, 0, ["a", "b", "c", "d", "e", "f", "g"])
        sheet.write_row(1, 0, [7, 1e-7, 0.1 + 0.2, 1.234, True])
        sheet.write_datetime(1, 5, date(2026, 11, 21), day)
        sheet.write_datetime(1, 6, time(8, 30), clock)

    table = read(workbook(fill))

    assert cells(table) == [("7", "0.0000001", "0.3", "1.2340", "true", "2026-11-21", "08:30:00")]
    assert number(table.rows[0].cells["d"], decimal=table.decimal) == Decimal("1.234")


def test_a_failed_formula_is_a_bad_row_and_not_a_blank():
    def fill(_, sheet):
        sheet.write_row(0, 1, ["number", "price"])
        sheet.write_string(4, 1, "A-1")
        sheet.write_formula(4, 2, "=NA()", None, "#N/A")

    assert faults(read(workbook(fill))) == [(5, "price", "formula_failed")]


def test_rows_of_a_workbook_keep_the_numbers_a_person_sees():
    def fill(_, sheet):
        for row, text in ((2, "number"), (3, "A-1"), (7, "A-2")):
            sheet.write_string(row, 3, text)

    assert [(row.number, row.cells["number"]) for row in read(workbook(fill)).rows] == [(4, "A-1"), (8, "A-2")]


def test_the_first_visible_sheet_is_read():
    def fill(book, sheet):
        seen = book.add_worksheet("Ærlig & <synlig>")
        seen.write_row(0, 0, ["number"])
        seen.write_row(1, 0, ["A-1"])
        seen.activate()
        seen.set_first_sheet()
        sheet.hide()

    assert cells(read(workbook(fill))) == [("A-1",)]


@pytest.mark.parametrize("cell", ["XFD1048576", "A1048576", "XFD2"])
def test_a_workbook_with_one_far_cell_is_refused(cell):
    rows = f'<row r="1"><c r="A1"><v>1</v></c></row><row><c r="{cell}"><v>1</v></c></row>'

    assert refused(of_xml(rows)) == "cell_far_out"


def test_a_far_cell_that_is_only_coloured_does_no_harm():
    rows = '<row r="1"><c r="A1" t="str"><v>number</v></c></row><row r="1048576"><c r="XFD1048576" s="0"/></row>'

    assert read(of_xml(rows)).columns == ("number",)


@pytest.mark.parametrize("far", ["XFD1048576", "A99999999"])
def test_a_far_cell_hidden_from_the_check_dies_with_the_child(far):
    rows = f'<row r="1"><c r="A1"><v>1</v></c></row><row><c x=">" r="{far}"><v>1</v></c></row>'

    assert refused(of_xml(rows)) in {"workbook_too_large", "not_a_workbook"}


def test_a_zip_bomb_is_refused_before_it_is_unpacked():
    content = repacked(sheets.write_xlsx(["number"], []), {"xl/bomb.xml": bytes(65 * 1024**2)})

    assert len(content) < 200_000
    assert refused(content) == "workbook_too_large"


def test_a_text_repeated_without_end_is_refused():
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 2001))
    content = repacked(of_xml(rows), {"xl/sharedStrings.xml": shared_text("x" * 32_000)})

    assert refused(content) == "workbook_too_large"


def test_entities_in_a_workbook_are_refused():
    content = sheets.write_xlsx(["number"], [])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        book = archive.read("xl/workbook.xml").replace(b"<workbook", b'<!DOCTYPE x [<!ENTITY a "aaa">]><workbook', 1)

    assert refused(repacked(content, {"xl/workbook.xml": book})) == "not_a_workbook"


def test_a_workbook_is_read_whatever_folder_we_stand_in(monkeypatch, tmp_path):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('a file in the folder took the place of a library')")
    monkeypatch.chdir(tmp_path)

    assert cells(read(sheets.write_xlsx(["number"], [["A-1"]]))) == [("A-1",)]


def test_values_are_written_plainly_and_numbers_are_never_taken_for_formulas():
    row: list[sheets.Cell] = ["-5", Decimal("-5.50"), 7, True, date(2026, 11, 21), datetime(2026, 11, 21, 8, 30, tzinfo=UTC), None, "=1+1"]

    content = b"".join(sheets.write_csv(["a", "b", "c", "d", "e", "f", "g", "h"], [row]))

    assert content.startswith(b"\xef\xbb\xbfa,b,c")
    assert content.endswith(b"\r\n'-5,-5.50,7,true,2026-11-21,2026-11-21T08:30:00Z,,'=1+1\r\n")


def test_a_workbook_taken_and_brought_back_keeps_values_and_codes():
    row: list[sheets.Cell] = [
        "00042",
        Decimal("-5.50"),
        7,
        False,
        date(2026, 11, 21),
        datetime(2026, 11, 21, 8, 30, tzinfo=UTC),
        None,
        "https://x.example",
    ]

    table = read(sheets.write_xlsx(["number", "b", "c", "d", "e", "f", "g", "h"], [row]))

    assert cells(table) == [("00042", "-5.5", "7", "false", "2026-11-21", "2026-11-21T08:30:00", "", "https://x.example")]


def test_what_a_workbook_cannot_hold_as_a_value_is_held_as_text():
    exact = Decimal("1234567890123.456789")

    table = read(sheets.write_xlsx(["number", "sum", "since"], [["x" * 40_000, exact, date(1850, 1, 1)]]))

    assert cells(table) == [("x" * 32_766 + "…", str(exact), "1850-01-01")]


def test_a_long_list_comes_in_pieces():
    chunks = list(sheets.write_csv(["number", "name"], ((f"A-{n}", "Bolt") for n in range(30_000))))

    assert len(chunks) > 3
    assert len(read(b"".join(chunks)).rows) == 30_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1234.50", "1234.5"),
        ("1 234,50", "1234.5"),
        ("1\u00a0234,50", "1234.5"),
        ("1.234,50", "1234.5"),
        ("1,234.50", "1234.5"),
        ("1'234.50", "1234.5"),
        ("1.234.567", "1234567"),
        ("1,234,567.8", "1234567.8"),
        ("0.125", "0.125"),
        ("1234,567", "1234.567"),
        ("1 234,567", "1234.567"),
        ("\u22125", "-5"),
        ("- 5", "-5"),
        ("-0", "0"),
        ("0007", "7"),
        ("999999999999.999999", "999999999999.999999"),
    ],
)
def test_a_number_is_read_as_people_write_it(text, value):
    read_as = number(text)

    assert str(read_as) == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1.234", "ambiguous_number"),
        ("-12,345", "ambiguous_number"),
        ("", "not_a_number"),
        ("NaN", "not_a_number"),
        ("1e5", "not_a_number"),
        ("1_000", "not_a_number"),
        ("\u0661\u0662", "not_a_number"),
        ("12,34.5", "not_a_number"),
        ("1.234.567.8", "not_a_number"),
        ("1,234,56", "not_a_number"),
        (".5", "not_a_number"),
        ("5-", "not_a_number"),
        ("1 23", "not_a_number"),
        ("9" * 5000, "not_a_number"),
        ("1234567890123", "number_out_of_range"),
        ("0.1234567", "number_out_of_range"),
    ],
)
def test_a_doubtful_number_is_refused_with_the_reason(text, code):
    answer = number(text)

    assert isinstance(answer, Unclear)
    assert answer.code == code


def test_a_tables_own_decimal_mark_settles_the_doubt():
    assert number("1.234", decimal=".") == Decimal("1.234")
    assert number("1,234", decimal=",") == Decimal("1.234")
    assert isinstance(number("1,234", decimal="."), Unclear)


@settings(deadline=None)
@given(st.decimals(-(10**12) + 1, 10**12 - 1, places=6))
def test_our_own_decimals_are_read_exactly(value):
    assert number(f"{value:f}", decimal=".") == value


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_brings_the_number_reader_down(text):
    assert isinstance(number(text), Decimal | Unclear)


def test_yes_and_no_are_known_in_four_languages():
    answers = [sheets.flag(word) for word in ("Yes", " ja ", "TAK", "1", "true", "no", "Nei", "nein", "NIE", "0", "false")]

    assert answers == [True] * 5 + [False] * 6
    assert isinstance(sheets.flag("maybe"), Unclear)
