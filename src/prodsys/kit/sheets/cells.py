"""What one cell of a table says: a text, a number, or yes and no."""

import re
import unicodedata
from decimal import Decimal
from typing import Literal

import msgspec

LONGEST_TEXT = 32_767  # characters; a spreadsheet program keeps no more in one cell

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"'+[=+\-@\t\r]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACES = "[ \u00a0\u2009\u202f'\u2019]"
_NUMBER = re.compile(
    rf"-?(?:(?P<plain>[0-9]+)|[0-9]{{1,3}}(?:{_SPACES}[0-9]{{3}})+|[0-9]{{1,3}}(?:\.[0-9]{{3}})+(?!\.)|[0-9]{{1,3}}(?:,[0-9]{{3}})+(?!,))"
    r"(?:(?P<mark>[.,])(?P<fraction>[0-9]+))?"
)
_UNCLEAR_NUMBER = re.compile(r"-?[1-9][0-9]{0,2}([.,])[0-9]{3}")
_YES = frozenset({"yes", "true", "1", "ja", "tak"})
_NO = frozenset({"no", "false", "0", "nei", "nein", "nie"})


class Unclear(msgspec.Struct, frozen=True, kw_only=True):
    """Why a cell was not taken; `message` is a sentence for the person who made the table."""

    code: Literal["not_a_number", "ambiguous_number", "number_out_of_range", "not_yes_or_no"]
    message: str


def number(text: str, *, decimal: Literal[".", ","] | None = None) -> Decimal | Unclear:
    """The number a person wrote, exactly and never through a binary float.

    Thousands may be set apart by spaces, apostrophes, dots or commas; the other mark is then the decimal mark ("1 234,50", "1.234,50").
    One dot or comma followed by exactly three digits ("1.234") can mean both, and is refused unless it is the table's own `decimal` mark.
    At most 12 digits before the mark and 6 after it (ruling 10); zeros at the end of the fraction are dropped.
    """
    text = text.strip().replace("\u2212", "-")
    if text.startswith("-"):
        text = "-" + text[1:].lstrip()
    if unclear := _UNCLEAR_NUMBER.fullmatch(text):
        mark = str(unclear[1])
        if mark != decimal:
            message = f'"{text}" can be read in two ways. Write no thousands marks, and a 0 after a fraction of three digits.'
            return Unclear(code="ambiguous_number", message=message)
        return _within_range(text.replace(mark, "."))
    if len(text) > 60 or not (found := _NUMBER.fullmatch(text)):
        return Unclear(code="not_a_number", message=f'"{text[:60]}" is not a number. Write digits with one decimal mark, such as 1234.50.')
    mark, fraction = found["mark"], found["fraction"]
    whole = text[: found.start("mark")] if mark else text
    if mark and mark in whole:
        return Unclear(code="not_a_number", message=f'"{text}" uses the same mark for thousands and for decimals.')
    return _within_range(re.sub(r"[^0-9-]", "", whole) + (f".{fraction}" if mark else ""))


def flag(text: str) -> bool | Unclear:
    """Yes or no, in English, Norwegian, German or Polish, or as 1 and 0."""
    word = text.strip().casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    return Unclear(code="not_yes_or_no", message=f'"{text[:60]}" is neither yes nor no. Write yes or no.')


def cleaned(text: str) -> str:
    """The text as the house keeps it: our own quote mark taken off, NFC, line breaks as \\n, no blanks at the ends."""
    if _QUOTED.match(text):
        text = text[1:]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def quoted(text: str) -> str:
    """The text with a leading `'` if a spreadsheet program would take it for a formula (ruling 32); `cleaned` takes it off again."""
    return f"'{text}" if _FORMULA.match(text) else text


def fault(text: str) -> tuple[str, str] | None:
    """Code and sentence of what makes this text unfit to keep, if anything does (ruling 10)."""
    if len(text) > LONGEST_TEXT:
        return "text_too_long", f"The text has more than {LONGEST_TEXT:,} characters."
    if text.isprintable() and text.isascii():
        return None
    if _CONTROL.search(text):
        return "control_character", "The text contains a control character. Type the cell again without it."
    if "\ufffd" in text:
        return "unreadable_character", "The text contains a character that could not be read. Save the file as UTF-8."
    return None


def _within_range(plain: str) -> Decimal | Unclear:
    whole, _, fraction = plain.partition(".")
    negative, whole, fraction = whole.startswith("-"), whole.lstrip("-").lstrip("0") or "0", fraction.rstrip("0")
    if len(whole) > 12 or len(fraction) > 6:
        return Unclear(
            code="number_out_of_range", message=f'"{plain[:60]}" has more than 12 digits before the decimal mark or more than 6 after it.'
        )
    value = Decimal(f"{whole}.{fraction}" if fraction else whole)
    return -value if negative and value else value
