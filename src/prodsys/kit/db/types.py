"""How each kind of value is kept, the same on SQLite and PostgreSQL."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import BigInteger, Dialect, MetaData, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from prodsys.kit import clock

T = TypeVar("T")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _plain_text(dialect: Dialect) -> TypeEngine[str]:
    # Byte order on both: a locale's order would make keyset lists differ between the two databases.
    return Text(collation="C") if dialect.name == "postgresql" else Text()


class Code(TypeDecorator[str]):
    """Any text, compared and sorted byte by byte."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return _plain_text(dialect)


class DecimalText(TypeDecorator[Decimal]):
    """A Decimal, kept digit for digit as canonical text: ``1.50`` is ``1.5``, ``1E+3`` is ``1000``, ``-0`` is ``0``."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return _plain_text(dialect)

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> str | None:
        return None if value is None else canonical(value)

    def bind_processor(self, dialect: Dialect) -> Any:
        # What SQLAlchemy would wrap around the method above costs more than the method; an order binds forty of these.
        return _bound_text

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _read_text


class Hundredths(TypeDecorator[Decimal]):
    """An amount with two decimals, kept as a whole number of hundredths, so that it can be summed and sorted.

    A third decimal is a ValueError: rounding is the caller's decision.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        return None if value is None else hundredths(value)

    def bind_processor(self, dialect: Dialect) -> Any:
        return _bound_hundredths

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


class Instant(TypeDecorator[datetime]):
    """A moment, aware and in UTC, kept as microseconds since 1970. A moment without a zone is a ValueError."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else clock.micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else clock.instant(int(value))


class Day(TypeDecorator[date]):
    """A calendar day, kept as ``2026-11-21``."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return _plain_text(dialect)

    def process_bind_param(self, value: date | None, dialect: Dialect) -> str | None:
        if isinstance(value, datetime):
            raise ValueError(f"{value.isoformat()} is a moment, not a day.")
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: Dialect) -> date | None:
        return None if value is None else date.fromisoformat(value)


class Json(TypeDecorator[T], Generic[T]):
    """A Struct or builtin of the given type, kept as JSON text: ``Json(list[Issue])``.

    Another encoder or decoder (for hooks) may be given; they must fit the type.
    """

    impl = Text
    cache_ok = True

    def __init__(self, type: type[T], encoder: msgspec.json.Encoder | None = None, decoder: msgspec.json.Decoder[T] | None = None) -> None:
        super().__init__()
        self.type = type
        self.encoder = encoder or msgspec.json.Encoder()
        self.decoder = decoder or msgspec.json.Decoder(type)

    def process_bind_param(self, value: T | None, dialect: Dialect) -> str | None:
        return None if value is None else self.encoder.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> T | None:
        return None if value is None else self.decoder.decode(value)


def _bound_text(value: Decimal | int | None) -> str | None:
    return None if value is None else canonical(value)


def _read_text(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _bound_hundredths(value: Decimal | int | None) -> int | None:
    return None if value is None else hundredths(value)


def canonical(value: Decimal | int) -> str:
    """The one spelling of a number: no exponent, no zeros at the end of the fraction, ``0`` for zero. Floats are a TypeError."""
    if isinstance(value, Decimal) and (text := str(value)).isdecimal():  # as most of them are
        return text
    text = format(value if isinstance(value, Decimal) and value.is_finite() else _finite(value), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def hundredths(value: Decimal | int) -> int:
    """How many hundredths an amount is. A third decimal is a ValueError, a float a TypeError."""
    whole = _finite(value).scaleb(2)
    if whole != whole.to_integral_value():
        raise ValueError(f"{value} has more than two decimals.")
    return int(whole)


def _finite(value: object) -> Decimal:
    if not isinstance(value, Decimal | int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a Decimal.")
    value = Decimal(value)
    if not value.is_finite():
        raise ValueError(f"{value} is not a number that can be kept.")
    return value
