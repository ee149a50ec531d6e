"""What a person typed into a form, read in his own language; everything that cannot be read is said at once."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from prodsys import documents, errors
from prodsys.documents import Issue
from prodsys.kit.web.problems import invalid_body
from prodsys.pages.speech import Speech

T = TypeVar("T")


class Form:
    """The fields of a form as they came. Reading one that is wrong notes an issue; `must_be_sound` raises them all at once."""

    def __init__(self, values: Mapping[str, Sequence[Any]], speech: Speech) -> None:
        self._values = values
        self.speech = speech
        self.issues: list[Issue] = []

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def text(self, name: str, default: str = "") -> str:
        """A field's text without the blanks around it."""
        value = next(iter(self._values.get(name, ())), default)
        return value.strip() if isinstance(value, str) else default

    def secret(self, name: str) -> str:
        """A password as it was typed, blanks and all."""
        value = next(iter(self._values.get(name, ())), "")
        return value if isinstance(value, str) else ""

    def many(self, name: str, *, as_typed: bool = False) -> list[str]:
        """Every value of a field that may be there more than once; `as_typed` with the blanks around it."""
        return [value if as_typed else value.strip() for value in self._values.get(name, ()) if isinstance(value, str)]

    def flag(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.text(name))

    def names(self) -> list[str]:
        """The names of all fields."""
        return list(self._values)

    def file(self, name: str) -> Any | None:
        """An uploaded file (with `filename` and `read()`), None when none was chosen."""
        value = next(iter(self._values.get(name, ())), None)
        if value is None or isinstance(value, str) or not value.filename:
            return None
        return value

    def files(self, name: str) -> list[Any]:
        """Every file that was chosen, each with `filename` and `read()`."""
        return [value for value in self._values.get(name, ()) if not isinstance(value, str) and value.filename]

    def decimal(self, name: str, pointer: str = "", default: Decimal | None = None) -> Decimal | None:
        """A figure as the reader writes it: `1 200,50` in Norwegian, `1,200.50` in English."""
        text = self.text(name)
        if not text:
            return default
        try:
            number = self.speech.read_decimal(text)
        except ValueError:
            example = self.speech.number(Decimal("1200.5"))
            self._note(
                "number_unreadable", f"{text} is not a number; write it as {example}.", pointer or f"/{name}", text=text, example=example
            )
            return default
        return number

    def whole(self, name: str, pointer: str = "", default: int | None = None) -> int | None:
        """A whole number."""
        number = self.decimal(name, pointer)
        if number is None:
            return default
        if number != number.to_integral_value():
            self._note("number_not_whole", f"{self.text(name)} is not a whole number.", pointer or f"/{name}", text=self.text(name))
            return default
        return int(number)

    def day(self, name: str, pointer: str = "") -> dt.date | None:
        """A date as the browser's date field sends it, 2026-12-05."""
        text = self.text(name)
        if not text:
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            self._note("date_unreadable", f"{text} is not a date.", pointer or f"/{name}", text=text)
            return None

    def must_be_sound(self) -> None:
        """Raises Invalid with every issue noted so far."""
        if self.issues:
            raise errors.Invalid(issues=self.issues)

    def _note(self, code: str, message: str, pointer: str, **params: str) -> None:
        self.issues.append(Issue(code=code, message=message, params=params, pointer=pointer, blocks=True))


def document(values: Mapping[str, Any], kind: type[T], form: Form | None = None) -> T:
    """The document a form amounts to, with the rules the API has. Raises Invalid, with what the form itself could not read."""
    if form is not None:
        form.must_be_sound()
    try:
        return msgspec.convert(values, kind, dec_hook=documents.read_exact, builtin_types=(dt.date, dt.datetime, Decimal))
    except msgspec.ValidationError as fault:
        raise invalid_body(fault) from None


def anchor(pointer: str) -> str:
    """The id of the field that keeps what a pointer points to."""
    return "f" + pointer.replace("/", "-")
