"""The words companies exchange: which numbers are taken, what two orders share that mean the same, what a line amounts to."""

import copy
import unicodedata
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodsys.documents import Exact, Order, OrderLine, Percent, Quantity, UnitPrice, canonical, digest, reader, rounded, write
from tests.rooms.makers import a_line, an_order, read_order, wire_order

NOT_NUMBERS = [
    "NaN", "sNaN", "Infinity", "-Infinity", "1E+9", "1e3", "1_000", " 12", "12 ", "12\n", "", "-", "+1", ".5", "5.", "1,5", "0x1F",
    "١٢", "１２", "½", "1" * 40, "1" * 13, "0.1234567", "--1", "1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_NUMBERS)
@pytest.mark.parametrize("kind", [Exact, Quantity, UnitPrice, Percent])
def test_only_plain_digits_are_a_number(kind, text):
    with pytest.raises(msgspec.ValidationError, match="Expected a"):
        reader(kind)(msgspec.json.encode(text))


@pytest.mark.parametrize("body", ["1", "1.5", "1e400", "-0.0", "true", "null", '["1"]', '{"1": 1}'])
def test_a_number_travels_as_text_only(body):
    with pytest.raises(msgspec.ValidationError):
        reader(Quantity)(body)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Quantity, "0"), (Quantity, "0.000000"), (Quantity, "-1"), (UnitPrice, "-0.01"), (Percent, "100.000001"), (Percent, "-1"),
        (Percent, "1000"),
    ],
)  # fmt: skip
def test_each_kind_of_number_keeps_to_its_signs_and_bounds(kind, text):
    with pytest.raises(msgspec.ValidationError, match="Expected a"):
        reader(kind)(msgspec.json.encode(text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Exact, "-12.50"), (Quantity, "999999999999.999999"), (UnitPrice, "0.00"), (Percent, "100.0"), (Exact, "-0")],
)
def test_a_number_is_told_again_with_the_digits_it_was_sent_with(kind, text):
    assert write(reader(kind)(msgspec.json.encode(text))) == msgspec.json.encode(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=Decimal(999999999999), places=6))
def test_a_number_has_one_canonical_spelling(number):
    text = canonical(number)

    assert Decimal(text) == number
    assert text == canonical(Decimal(f"{number:f}000"))
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


def numbers(least: str = "0", places: int = 6, most: str = "999999") -> st.SearchStrategy[str]:
    """Decimals as the wire spells them."""
    return st.decimals(Decimal(least), Decimal(most), places=places).map(lambda number: f"{number:f}")


TEXTS = st.text(st.sampled_from("aZ09 -/ÅåÉñüłß\u1e9b\u0323한"), min_size=1, max_size=8).filter(lambda text: bool(text.strip()))
MAYBE = st.one_of(st.just(""), TEXTS)


@st.composite
def orders(draw: Any) -> dict[str, Any]:
    """Orders of the wire, with every default left out."""
    ids = draw(st.lists(TEXTS, min_size=1, max_size=4, unique_by=lambda text: unicodedata.normalize("NFC", text).strip()))
    lines = [
        _told(
            line_id=line_id,
            article_number=draw(TEXTS),
            quantity=draw(numbers("0.000001")),
            unit_price=draw(st.none() | numbers()),
            price_quantity=draw(st.none() | st.sampled_from(["100", "1000", "2.5"])),
            discount_percent=draw(st.none() | st.sampled_from(["5", "12.5"])),
            note=draw(MAYBE),
        )
        for line_id in ids
    ]
    return _told(
        number=draw(TEXTS), date="2026-11-21", currency="NOK", buyer={"name": draw(TEXTS), **_told(email=draw(MAYBE))}, note=draw(MAYBE),
        revision=draw(st.none() | st.integers(2, 9)), lines=lines,
    )  # fmt: skip


def _told(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "")}


DECIMALS = {"quantity", "unit_price", "price_quantity", "discount_percent"}
LINE_DEFAULTS: dict[str, Any] = {
    "kind": "article",
    "price_quantity": "1",
    "discount_percent": "0",
    "note": "",
    "requested_date": None,
    "deliver_to": {},
}
ORDER_DEFAULTS: dict[str, Any] = {
    "revision": 1,
    "note": "",
    "charges": [],
    "requested_date": None,
    "deliver_to": {"address": {}},
    "delivery_place": " ",
}


@st.composite
def restated(draw: Any, order: dict[str, Any]) -> dict[str, Any]:
    """The same order in other words."""

    def said(name: str, value: Any) -> Any:
        match value:
            case str() if name in DECIMALS:
                zeros = draw(st.integers(0, 2))
                fraction = value.partition(".")[2]
                tail = ("" if fraction else ".") + "0" * min(zeros, 6 - len(fraction)) if zeros and len(fraction) < 6 else ""
                return "0" * draw(st.integers(0, 2)) + value + tail
            case str() if name not in ("date", "currency", "kind"):
                form = draw(st.sampled_from(["NFC", "NFD"]))
                pads = st.sampled_from(["", " ", "\t", "\n ", "\u00a0"])
                return draw(pads) + unicodedata.normalize(form, value) + draw(pads)
            case dict():
                return {inner: said(inner, value[inner]) for inner in draw(st.permutations(list(value)))}
            case list():
                return [said(name, inner) for inner in value]
            case _:
                return value

    again: dict[str, Any] = said("", order)
    for member in draw(st.sets(st.sampled_from(sorted(ORDER_DEFAULTS)))):
        again.setdefault(member, ORDER_DEFAULTS[member])
    for line in again["lines"]:
        for member in draw(st.sets(st.sampled_from(sorted(LINE_DEFAULTS)))):
            line.setdefault(member, LINE_DEFAULTS[member])
    again["lines"] = draw(st.permutations(again["lines"]))
    return again


def the_digest(order: dict[str, Any]) -> str:
    return digest(read_order(msgspec.json.encode(order)))


@given(st.data())
def test_two_orders_that_mean_the_same_share_a_digest(data):
    order = data.draw(orders())
    again = data.draw(restated(order))

    assert the_digest(again) == the_digest(order)


@given(st.data())
def test_an_order_that_means_something_else_has_another_digest(data):
    order = data.draw(orders())
    other = copy.deepcopy(order)
    line = data.draw(st.sampled_from(other["lines"]))
    match data.draw(
        st.sampled_from(["number", "revision", "case", "quantity", "price", "unit", "line gone", "line more", "buyer", "charge", "word"])
    ):
        case "number":
            other["number"] += "x"
        case "revision":
            other["revision"] = other.get("revision", 1) + 1
        case "case":
            line["article_number"] += "a"
            order["lines"][other["lines"].index(line)]["article_number"] += "A"
        case "quantity":
            line["quantity"] = str(Decimal(line["quantity"]) + Decimal("0.000001"))
        case "price":
            line["unit_price"] = str(Decimal(line.get("unit_price", "0")) + 1)
        case "unit":
            line["unit"] = "KGM"
        case "line gone":
            other["lines"].remove(line)
            other["lines"].append(line | {"line_id": line["line_id"] + "x"})
        case "line more":
            other["lines"].append(a_line("another one"))
        case "buyer":
            other["buyer"]["name"] += "x"
        case "charge":
            other["charges"] = [{"description": "Freight", "amount": "0"}]
        case _:
            line["description"] = "a word"

    assert the_digest(other) != the_digest(order)


def test_a_price_of_zero_is_not_the_absence_of_a_price():
    free = an_order(lines=[a_line(unit_price="0")])
    unsaid = an_order(lines=[{name: value for name, value in a_line().items() if name != "unit_price"}])

    assert digest(free) != digest(unsaid)


def test_a_digest_names_its_version_and_never_changes():
    order = read_order(msgspec.json.encode(wire_order(lines=[a_line("20", quantity="2.50"), a_line("10", description="Ståltråd")])))

    # Receipts are stored under it: whoever has to change this line makes a version 2.
    assert digest(order) == "1:43004c863c31e45db185ada24f5154530a0ffa7ca9d825ee678df28ad91fa85b"


def test_a_blank_line_id_has_a_digest_all_the_same():
    assert digest(an_order(lines=[a_line(" ")])).startswith("1:")


@given(
    numbers("0.000001", most="999999999999.999999"),
    numbers(most="999999999999.999999"),
    numbers("0.000001", most="999999999999.999999"),
    numbers(most="100"),
)
def test_a_lines_net_is_exact_and_rounded_half_up_once(quantity, unit_price, price_quantity, discount):
    line = _line(quantity, unit_price, price_quantity, discount)

    exact = Fraction(quantity) * Fraction(unit_price) / Fraction(price_quantity) * (1 - Fraction(discount) / 100)
    assert line.net == Decimal(int(exact * 100 + Fraction(1, 2))).scaleb(-2, Context(prec=100))


@pytest.mark.parametrize(
    ("quantity", "unit_price", "price_quantity", "discount", "net"),
    [
        ("1200", "129.50", "100", "0", "1554.00"),
        ("1", "0.005", "1", "0", "0.01"),
        ("1", "0.0049", "1", "0", "0.00"),
        ("3", "33.335", "1", "0", "100.01"),
        ("1", "1.005", "1", "0", "1.01"),
        ("1", "0.25", "3", "70", "0.03"),
        ("170", "112.19", "12", "40", "953.62"),
        ("4489", "76.60", "30", "25", "8596.44"),
        ("999999999999", "999999999999", "0.000001", "0", "999999999998000000000001000000.00"),
        ("2", "100", "1", "100", "0.00"),
        ("7", "10", "3", "0", "23.33"),
    ],
)
def test_a_lines_net_by_hand(quantity, unit_price, price_quantity, discount, net):
    assert str(_line(quantity, unit_price, price_quantity, discount).net) == net


@pytest.mark.parametrize("missing", ["quantity", "unit_price"])
def test_a_line_without_quantity_or_price_has_no_net_and_adds_nothing(missing):
    order = an_order(lines=[{name: value for name, value in a_line().items() if name != missing}, a_line("20")])

    assert order.lines[0].net is None
    assert order.net == Decimal("259.00")


def test_an_orders_net_is_its_rounded_lines_and_charges():
    order = an_order(
        lines=[a_line("10", quantity="1", unit_price="0.005"), a_line("20", quantity="1", unit_price="0.005")],
        charges=[{"description": "Freight", "amount": "100.005"}, {"description": "Rebate", "amount": "-10"}],
    )

    assert order.net == Decimal("90.03")


@given(st.decimals(Decimal(-1000000), Decimal(1000000), places=6))
def test_an_amount_is_rounded_half_up_away_from_zero(amount):
    assert rounded(amount) == amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


@given(orders())
def test_what_is_read_can_be_written_and_read_again(order):
    first: Order = read_order(msgspec.json.encode(order))

    assert read_order(write(first)) == first
    assert digest(read_order(write(first))) == digest(first)


@pytest.mark.parametrize("where", ["order", "buyer", "line"])
def test_an_unknown_member_is_refused(where):
    order = wire_order()
    target = {"order": order, "buyer": dict(order["buyer"]), "line": order["lines"][0]}[where]
    target["colour"] = "red"
    if where == "buyer":
        order["buyer"] = target

    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        read_order(msgspec.json.encode(order))


def _line(quantity: str, unit_price: str, price_quantity: str, discount: str) -> OrderLine:
    return an_order(
        lines=[a_line(quantity=quantity, unit_price=unit_price, price_quantity=price_quantity, discount_percent=discount)]
    ).lines[0]
