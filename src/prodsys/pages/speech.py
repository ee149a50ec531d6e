"""A page in the reader's own language: its words, and its way to write numbers, money and dates."""

import datetime as dt
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, UnknownLocaleError, dates, negotiate_locale, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from prodsys.kit.clock import now

LANGUAGES = {"en": "English", "nb": "Norsk", "de": "Deutsch", "pl": "Polski"}
"""Every language the pages are written in, by its own name."""

LOCALE = Path(__file__).parent / "locale"
"""Where the catalogues lie: one `<language>.po` each, English being the text itself."""

# In all of them a time is 13:05:09 and figures stand in threes; what is written here without Babel builds on it.
_REGIONS = {"en": "en_GB", "nb": "nb_NO", "de": "de_DE", "pl": "pl_PL"}
_GLUED = re.compile(r"([A-Z])(\d)")
_PRICE = numbers.parse_pattern("#,##0.00####")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """One language in one time zone. Times come in as UTC instants and are written in the zone; figures stay Decimal."""

    language: str
    locale: Locale
    zone: dt.tzinfo
    catalogue: NullTranslations

    def say(self, message: str, **params: object) -> str:
        """A text with `%(name)s` filled in; English when the catalogue lacks it."""
        text = self.catalogue.gettext(message)
        return text % params if params else text

    def number(self, value: Decimal | int, decimals: int | None = None) -> str:
        """A figure with the reader's separators, as exact as it is or with so many decimals."""
        if decimals is None:
            return numbers.format_decimal(value, locale=self.locale, decimal_quantization=False)
        value = Decimal(value)
        return ("-" if value.is_signed() else "") + _figures(value, decimals, self.locale)

    def money(self, amount: Decimal, currency: str = "") -> str:
        """An amount with two decimals; with its currency as the reader's country writes it."""
        if not currency:
            return self.number(amount, 2)
        before, behind = _around(currency, amount.is_signed(), self.locale)
        return before + _figures(amount, 2, self.locale) + behind

    def price(self, value: Decimal) -> str:
        """A price of one unit: at least two decimals, and as many more as it has."""
        return str(_PRICE.apply(value, self.locale))

    def percent(self, value: Decimal, decimals: int = 1) -> str:
        """A share that is given in per cent already, with its sign."""
        return f"{'+' if value > 0 else ''}{self.number(round(value, decimals), decimals)} %".replace("-", "−")

    def day(self, day: dt.date | None) -> str:
        """A date, as 5 Dec 2026."""
        return "" if day is None else _day(day, self.locale)

    def weekday(self, day: dt.date) -> str:
        """A date with its weekday, as Monday 23 November 2026."""
        return dates.format_date(day, "full", locale=self.locale)

    def moment(self, at: dt.datetime | None) -> str:
        """An instant in the reader's zone: the time alone when it is today's, else the date too."""
        if at is None:
            return ""
        local = at.astimezone(self.zone)
        clock = f"{local:%H:%M}"
        return clock if local.date() == self.today() else f"{_day(local.date(), self.locale)} {clock}"

    def clock(self, at: dt.datetime) -> str:
        """An instant in the reader's zone to the second, for logs: the time alone when it is today's, else the day before it."""
        local = at.astimezone(self.zone)
        clock = f"{local:%H:%M:%S}"
        return clock if local.date() == self.today() else f"{_day(local.date(), self.locale)} {clock}"

    def exact(self, at: dt.datetime | None) -> str:
        """An instant to the second, with its zone."""
        if at is None:
            return ""
        local = at.astimezone(self.zone)
        moment = _day_and_time(self.locale).format(f"{local:%H:%M:%S}", _day(local.date(), self.locale))
        return f"{moment} {local.tzname() or ''}".rstrip()

    def today(self) -> dt.date:
        """The reader's date."""
        return now().astimezone(self.zone).date()

    def for_so_long(self, since: dt.datetime) -> str:
        """How long ago, in one unit that fits: 40 min, 3 h, 2 days."""
        return self.span((now() - since).total_seconds())

    def span(self, seconds: float) -> str:
        """A length of time, in one unit that fits."""
        seconds = max(seconds, 0)
        unit, amount = next(
            (unit, seconds / size)
            for unit, size in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE), ("second", 1))
            if seconds >= size or size == 1
        )
        return _span(int(amount), unit, self.locale)

    def size(self, octets: int) -> str:
        """A file's size."""
        from babel import units

        if octets < 1_000_000:
            return units.format_unit(max(1, round(octets / 1000)), "digital-kilobyte", "short", locale=self.locale)
        return units.format_unit(round(octets / 1_000_000, 1), "digital-megabyte", "short", locale=self.locale)

    def country(self, code: str) -> str:
        """A country's name by its two letters."""
        return str(self.locale.territories.get(code, code))

    def listed(self, words: Iterable[str]) -> str:
        """Words as a list in a sentence: A, B and C."""
        from babel.lists import format_list

        return format_list(list(words), locale=self.locale)

    def read_decimal(self, text: str) -> Decimal:
        """A figure as the reader types it. Raises ValueError for what is not one, also for a separator in the wrong place."""
        text = text.strip().replace("\N{MINUS SIGN}", "-")
        group = numbers.get_group_symbol(self.locale)
        if group.isspace():
            # People type a plain space where their language sets a narrow or a hard one.
            text = re.sub(r"\s", group, text)
        return numbers.parse_decimal(text, locale=self.locale, strict=True)


@lru_cache(64)
def speech(language: str, zone: str = "") -> Speech:
    """The speech of a language, English for one we do not speak; `zone` as in IANA's list, empty for the machine's own."""
    language = language if language in LANGUAGES else "en"
    # Not the offset of this moment: a page says summer times in winter, and is asked for long after the clocks were changed.
    at = ZoneInfo(zone) if zone else dates.get_timezone()
    return Speech(language=language, locale=Locale.parse(_REGIONS[language]), zone=at, catalogue=catalogue(language))


@lru_cache(8)
def catalogue(language: str) -> NullTranslations:
    """The texts of a language, read from its `.po` so that no compiled file is kept beside it."""
    file = LOCALE / f"{language}.po"
    if not file.exists():
        return NullTranslations()
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def wanted(chosen: str, kept: str, accepted: str) -> str:
    """The language to speak: the person's own setting, else the cookie's, else the best the browser accepts, else English."""
    for one in (chosen, kept):
        if one in LANGUAGES:
            return one
    asked = [part.split(";")[0].strip().replace("-", "_") for part in accepted.split(",")[:10]]
    asked = ["nb" if one.split("_")[0] in {"no", "nn"} else one for one in asked]
    try:
        return str(negotiate_locale(asked, list(LANGUAGES)) or "en")
    except (UnknownLocaleError, ValueError):
        return "en"


def _figures(value: Decimal, decimals: int, locale: Locale) -> str:
    """Figures without their sign, in groups of three. Babel writes the same, several times as slowly."""
    return f"{abs(value):,.{decimals}f}".translate(_separators(locale))


@lru_cache(8)
def _separators(locale: Locale) -> dict[int, str]:
    return {ord(","): numbers.get_group_symbol(locale), ord("."): numbers.get_decimal_symbol(locale)}


@lru_cache(512)
def _around(currency: str, is_negative: bool, locale: Locale) -> tuple[str, str]:
    """What stands before and behind an amount, as the reader's country writes it."""
    one = Decimal(-1 if is_negative else 1)
    # Two decimals in every currency: an amount is kept to hundredths, whatever the coins are.
    pattern = locale.currency_formats["standard"].pattern
    text = numbers.format_currency(one, currency, locale=locale, currency_digits=False, format=pattern)
    # British English puts a code where the pound sign stands, without a space.
    before, _, behind = _GLUED.sub("\\1\N{NO-BREAK SPACE}\\2", text).partition(_figures(one, 2, locale))
    return before, behind


@lru_cache(8)
def _day_and_time(locale: Locale) -> str:
    return str(dates.get_datetime_format("medium", locale=locale)).replace("'", "")


@lru_cache(4096)  # a list says the same days and the same hours in most of its rows
def _day(day: dt.date, locale: Locale) -> str:
    return dates.format_date(day, "medium", locale=locale)


@lru_cache(4096)
def _span(amount: int, unit: str, locale: Locale) -> str:
    from babel import units

    return units.format_unit(amount, f"duration-{unit}", "long" if unit == "day" else "short", locale=locale)
